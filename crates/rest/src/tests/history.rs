//! Histories of an instance, a type, and all.

use serde_json::{Value, json};

use super::world::{World, patient_with_id};

fn three_versions(world: &World, who: &str) {
    world
        .fhir(who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    world
        .fhir(who, "PUT Patient/p", patient_with_id("p", "B"))
        .status(200);
    world.fhir(who, "DELETE Patient/p", "").status(204);
}

#[test]
fn a_history_tells_how_it_came_about() {
    let (world, who) = World::clinic();
    three_versions(&world, &who);
    let told = world.fhir(&who, "GET Patient/p/_history", "").status(200);
    let told = told.at("/type", "history").at("/total", 3);
    for (i, method, status, etag) in [
        (0, "DELETE", "204 No Content", "W/\"3\""),
        (1, "PUT", "200 OK", "W/\"2\""),
        (2, "PUT", "201 Created", "W/\"1\""),
    ] {
        let entry = told.json()["entry"][i].clone();
        assert_eq!(entry["request"]["method"], method);
        assert_eq!(entry["request"]["url"], "Patient/p");
        assert_eq!(entry["response"]["status"], status);
        assert_eq!(entry["response"]["etag"], etag);
        assert!(entry["response"]["lastModified"].is_string());
        assert_eq!(entry.get("resource").is_some(), method == "PUT");
        assert!(entry["fullUrl"].as_str().unwrap().ends_with("/Patient/p"));
    }
    world
        .fhir(&who, "GET Patient/never/_history", "")
        .refused(404, "not-found");
}

#[test]
fn histories_of_types_and_of_all_are_paged() {
    let (world, who) = World::clinic();
    three_versions(&world, &who);
    for path in ["Patient/_history", "_history", "Patient/p/_history"] {
        let mut seen = Vec::new();
        let mut page = world
            .fhir(&who, &format!("GET {path}?_count=2"), "")
            .status(200);
        loop {
            for entry in page.json()["entry"].as_array().unwrap() {
                seen.push(entry["response"]["etag"].as_str().unwrap().to_owned());
            }
            let Some(next) = page.link("next") else { break };
            page = world.follow(&who, &next).status(200);
        }
        assert_eq!(seen, ["W/\"3\"", "W/\"2\"", "W/\"1\""], "{path}");
    }
    let count = world
        .fhir(&who, "GET Patient/_history?_count=0", "")
        .status(200);
    assert!(count.at("/total", 3).entries().is_empty());
}

#[test]
fn since_leaves_out_what_is_older() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    world.clock.forward_secs(100);
    let second = world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "B"))
        .status(200);
    let since = second.text("/meta/lastUpdated");
    let told = world
        .fhir(&who, &format!("GET Patient/p/_history?_since={since}"), "")
        .status(200);
    assert_eq!(told.json()["entry"].as_array().unwrap().len(), 1);
    world.fhir(&who, "GET _history?_since=2099", "").status(200);
    world
        .fhir(&who, "GET _history?_since=yesterday", "")
        .refused(400, "search-value");
    world
        .fhir(&who, "GET _history?_count=many", "")
        .refused(400, "search-value");
    world.fhir(&who, "GET _history?nonsense=1", "").status(200);
    let strict = [("prefer", "handling=strict")];
    let refused = world.fhir_with(&who, "GET _history?nonsense=1", &strict, "");
    refused.refused(400, "search-parameter-unknown");
}

#[test]
fn a_history_of_all_shows_what_the_caller_may_see() {
    let (world, who) = World::clinic();
    three_versions(&world, &who);
    let other = world.client("lakeside", "system/Observation.rs");
    let told = world.fhir(&other, "GET _history", "").status(200);
    assert!(told.entries().is_empty());
    world
        .fhir(&other, "GET Patient/_history", "")
        .refused(403, "scope-missing");
    world
        .fhir(&other, "GET Patient/p/_history", "")
        .refused(403, "scope-missing");
}

/// `Patient/p` at three times, ten seconds apart, then deleted; the times as the server tells them.
fn spread(world: &World, who: &str) -> Vec<String> {
    let mut times = Vec::new();
    for name in ["A", "B", "C"] {
        let made = world.fhir(who, "PUT Patient/p", patient_with_id("p", name));
        times.push(made.text("/meta/lastUpdated"));
        world.clock.forward_secs(10);
    }
    world.fhir(who, "DELETE Patient/p", "").status(204);
    times
}

fn etags(answer: &super::world::Answer) -> Vec<u64> {
    let json = answer.json();
    let entries = json["entry"].as_array().cloned().unwrap_or_default();
    let version = |e: &serde_json::Value| {
        let etag = e["response"]["etag"].as_str().unwrap();
        etag.trim_matches(['W', '/', '"']).parse().unwrap()
    };
    entries.iter().map(version).collect()
}

#[test]
fn a_history_can_be_read_forwards() {
    let (world, who) = World::clinic();
    spread(&world, &who);
    for path in ["Patient/p/_history", "Patient/_history", "_history"] {
        let told = |sort: &str| {
            let line = format!("GET {path}?_sort={sort}");
            etags(&world.fhir(&who, &line, "").status(200))
        };
        assert_eq!(told("_lastUpdated"), [1, 2, 3, 4], "{path}");
        assert_eq!(told("-_lastUpdated"), [4, 3, 2, 1], "{path}");
    }
    let mut page = world.fhir(&who, "GET _history?_sort=_lastUpdated&_count=3", "");
    // What comes in between belongs to no page.
    world
        .fhir(&who, "POST Patient", super::world::patient("Late"))
        .status(201);
    let mut seen = Vec::new();
    loop {
        seen.extend(etags(&page));
        let Some(next) = page.link("next") else { break };
        page = world.follow(&who, &next).status(200);
    }
    assert_eq!(seen, [1, 2, 3, 4]);
    for bad in [
        "_sort=name",
        "_sort=",
        "_at=eq2026",
        "_at=2026&_at=2027",
        "_since=x",
    ] {
        world
            .fhir(&who, &format!("GET Patient/_history?{bad}"), "")
            .refused(400, "search-value");
    }
}

#[test]
fn a_history_is_narrowed_to_a_list() {
    let (world, who) = World::clinic();
    for (id, name) in [("p", "A"), ("p", "B"), ("q", "A"), ("q", "B"), ("r", "A")] {
        let put = format!("PUT Patient/{id}");
        let done = world.fhir(&who, &put, patient_with_id(id, name));
        assert!(matches!(done.code, 200 | 201));
    }
    let list = |items: &[&str]| {
        let items: Vec<_> = items
            .iter()
            .map(|item| json!({"item": {"reference": item}}))
            .collect();
        json!({"resourceType": "List", "id": "l", "status": "current", "mode": "working",
            "entry": items})
        .to_string()
    };
    let items = ["Patient/p", "Patient/q/_history/1", "Patient/none"];
    world.fhir(&who, "PUT List/l", list(&items)).status(201);
    world.fhir(&who, "DELETE Patient/p", "").status(204);
    let told = |query: &str| -> Vec<String> {
        let told = world.fhir(&who, &format!("GET {query}"), "").status(200);
        let entries = told.json()["entry"].clone();
        let each = entries.as_array().cloned().unwrap_or_default();
        let name = |e: &Value| {
            format!(
                "{} {}",
                e["request"]["url"].as_str().unwrap(),
                e["response"]["etag"].as_str().unwrap()
            )
        };
        each.iter().map(name).collect()
    };
    let wanted = [
        "Patient/p W/\"3\"",
        "Patient/q W/\"1\"",
        "Patient/p W/\"2\"",
        "Patient/p W/\"1\"",
    ];
    for query in [
        "_history?_list=l",
        "_history?_list=List/l",
        "Patient/_history?_list=l",
        "Patient/_history?_list=List/l/_history/1",
    ] {
        assert_eq!(told(query), wanted, "{query}");
    }
    assert_eq!(told("Patient/q/_history?_list=l"), wanted[1..2]);
    for nothing in [
        "Patient/r/_history?_list=l",
        "_history?_list=none",
        "List/_history?_list=l",
    ] {
        assert!(told(nothing).is_empty(), "{nothing}");
    }
    world
        .fhir(&who, "GET _history?_list=l&_count=0", "")
        .status(200)
        .at("/total", 4);
    for bad in ["_list=Patient/l", "_list=l&_list=l", "_list="] {
        world
            .fhir(&who, &format!("GET _history?{bad}"), "")
            .refused(400, "search-value");
    }
    // All pages go by the List as the first one saw it.
    let page = world.fhir(&who, "GET _history?_list=l&_count=2", "");
    let next = page.status(200).link("next").unwrap();
    world
        .fhir(&who, "PUT List/l", list(&["Patient/r"]))
        .status(200);
    let page = world.follow(&who, &next).status(200);
    assert_eq!(page.json()["entry"].as_array().unwrap().len(), 2);
    assert!(page.link("next").is_none());
    // Who may not read Lists is told that.
    let other = world.client("lakeside", "system/Patient.rs");
    world
        .fhir(&other, "GET Patient/_history?_list=l", "")
        .refused(403, "scope-missing");
}

#[test]
fn what_a_history_ignores_is_told() {
    let (world, who) = World::clinic();
    three_versions(&world, &who);
    let told = world
        .fhir(&who, "GET Patient/_history?_type=Patient&_count=2", "")
        .status(200);
    let last = told.json()["entry"][2].clone();
    // Every entry has a URL (bdl-15).
    assert!(last["fullUrl"].as_str().unwrap().starts_with("urn:uuid:"));
    let issue = &last["response"]["outcome"]["issue"][0];
    assert_eq!(issue["severity"], "warning");
    assert_eq!(
        issue["details"]["coding"][0]["code"],
        "search-parameter-ignored"
    );
    assert!(!told.link("self").unwrap().contains("_type"));
    // What was told once is not in the link to the next page.
    let next = told.link("next").unwrap();
    let next = world.follow(&who, &next).status(200);
    assert_eq!(next.json()["entry"].as_array().unwrap().len(), 1);
    let strict = [("prefer", "handling=strict")];
    world
        .fhir_with(&who, "GET Patient/_history?_type=Patient", &strict, "")
        .refused(400, "search-parameter-unknown");
}

#[test]
fn a_history_tells_what_was_current_at_a_time() {
    let (world, who) = World::clinic();
    let times = spread(&world, &who);
    let at = |path: &str, at: &str| {
        let line = format!("GET {path}?_at={at}&_sort=_lastUpdated");
        etags(&world.fhir(&who, &line, "").status(200))
    };
    // Between the second and the third.
    let second = &times[1];
    let seconds: u32 = second[17..19].parse().unwrap();
    let between = format!("{}{:02}Z", &second[..17], (seconds + 5) % 60);
    for path in ["Patient/p/_history", "Patient/_history", "_history"] {
        assert_eq!(at(path, second), [2], "{path}: the one before has ended");
        if seconds < 50 {
            assert_eq!(at(path, &between), [2], "{path}");
        }
        assert_eq!(
            at(path, "2099"),
            [4],
            "{path}: the deletion is what is there"
        );
        assert_eq!(at(path, "2001"), [] as [u64; 0], "{path}");
        assert_eq!(at(path, &second[..4]), [1, 2, 3, 4], "{path}");
    }
}

#[test]
fn a_version_that_is_known_is_not_sent_again() {
    let (world, who) = World::clinic();
    three_versions(&world, &who);
    let line = "GET Patient/p/_history/2";
    let known = world.fhir_with(&who, line, &[("if-none-match", "W/\"2\"")], "");
    assert!(known.status(304).body.is_empty());
    world
        .fhir_with(&who, line, &[("if-none-match", "W/\"1\"")], "")
        .status(200);
}

#[test]
fn what_stands_on_one_page_is_counted() {
    let (world, who) = World::clinic();
    for family in ["A", "B"] {
        world.fhir(&who, "PUT Patient/p", patient_with_id("p", family));
    }
    for line in ["GET Patient/_history", "GET _history"] {
        world.fhir(&who, line, "").status(200).at("/total", 2);
    }
    world
        .fhir(&who, "GET _history?_since=2199-01-01", "")
        .status(200)
        .at("/total", 0);
    let page = world
        .fhir(&who, "GET Patient/_history?_count=1", "")
        .status(200);
    assert!(page.json().get("total").is_none());
}

#[test]
fn a_history_is_narrowed_to_a_list_that_is_computed() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let (world, who) = World::clinic_of(fhir);
        let problem = |id: &str, patient: &str, clinical: &str, note: &str| {
            let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
            let body = json!({"resourceType": "Condition", "id": id, "code": {"text": note},
                "clinicalStatus": {"coding": [{"system": system, "code": clinical}]},
                "subject": {"reference": format!("Patient/{patient}")}});
            let put = format!("PUT Condition/{id}");
            let done = world.fhir(&who, &put, body.to_string());
            assert!(matches!(done.code, 200 | 201), "{done:?}");
        };
        for id in ["with", "without"] {
            world
                .fhir(&who, &format!("PUT Patient/{id}"), patient_with_id(id, "A"))
                .status(201);
        }
        problem("open", "without", "resolved", "a");
        problem("open", "without", "active", "b");
        problem("over", "without", "active", "a");
        problem("over", "without", "resolved", "b");
        problem("listed", "with", "inactive", "a");
        problem("unlisted", "with", "active", "a");
        let subject = json!({"reference": "Patient/with"});
        let many = fhir == "5.0.0";
        let list = |status: &str| {
            json!({"resourceType": "List", "id": "l", "status": status, "mode": "working",
                "code": {"coding": [{"system": "http://loinc.org", "code": "11450-4"}]},
                "subject": if many { json!([subject]) } else { subject.clone() },
                "entry": [{"item": {"reference": "Condition/listed"}}]})
            .to_string()
        };
        world.fhir(&who, "PUT List/l", list("current")).status(201);
        let names = |page: &super::world::Answer| -> Vec<String> {
            let entries = page.json()["entry"].as_array().cloned().unwrap_or_default();
            let name = |e: &Value| {
                format!(
                    "{} {}",
                    e["request"]["url"].as_str().unwrap(),
                    e["response"]["etag"].as_str().unwrap()
                )
            };
            entries.iter().map(name).collect()
        };
        let told = |query: &str| names(&world.fhir(&who, &format!("GET {query}"), "").status(200));
        let wanted = [
            "Condition/listed W/\"1\"",
            "Condition/open W/\"2\"",
            "Condition/open W/\"1\"",
        ];
        for query in [
            "_history?_list=$current-problems",
            "Condition/_history?_list=%24current-problems",
        ] {
            assert_eq!(told(query), wanted, "{fhir} {query}");
        }
        let backwards = told("_history?_list=$current-problems&_sort=_lastUpdated");
        assert!(backwards.iter().rev().eq(&wanted), "{backwards:?}");
        assert_eq!(
            told("Condition/open/_history?_list=$current-problems"),
            wanted[1..]
        );
        for nothing in [
            "Condition/over/_history?_list=$current-problems",
            "Patient/_history?_list=$current-problems",
            "_history?_list=$current-allergies",
        ] {
            assert!(told(nothing).is_empty(), "{nothing}");
        }
        let count = "GET _history?_list=$current-problems&_count=0";
        world.fhir(&who, count, "").status(200).at("/total", 3);
        // All pages go by what was current when the first one was read.
        let first = "GET _history?_list=$current-problems&_count=1";
        let page = world.fhir(&who, first, "").status(200);
        let mut seen = names(&page);
        let mut next = page.link("next");
        problem("open", "without", "resolved", "c");
        world.fhir(&who, "PUT List/l", list("retired")).status(200);
        while let Some(link) = next {
            let page = world.follow(&who, &link).status(200);
            seen.extend(names(&page));
            next = page.link("next");
        }
        assert_eq!(seen, wanted, "{fhir}");
        // Without its list a patient's problems are those that are active.
        let now = told("_history?_list=$current-problems");
        assert_eq!(now, ["Condition/unlisted W/\"1\""], "{fhir}");
        for bad in ["$current-shoes", "$current-problems&_list=l"] {
            world
                .fhir(&who, &format!("GET _history?_list={bad}"), "")
                .refused(400, "search-value");
        }
        // What is current is found by Lists: who may not search them is told so.
        let other = world.client("lakeside", "system/Condition.rs");
        world
            .fhir(&other, "GET Condition/_history?_list=$current-problems", "")
            .refused(403, "scope-missing");
    }
}
