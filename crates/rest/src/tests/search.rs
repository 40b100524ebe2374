//! Searches: links, paging, cursors, what is ignored and what is refused.

use serde_json::json;

use super::world::{Answer, JSON, ROOT, World, patient_with_id};

fn people(world: &World, who: &str, count: usize) {
    for i in 0..count {
        let id = format!("p{i}");
        let put = world.fhir(
            who,
            &format!("PUT Patient/{id}"),
            patient_with_id(&id, "Smith"),
        );
        assert!(matches!(put.code, 200 | 201));
    }
}

#[test]
fn a_search_finds_and_links() {
    let (world, who) = World::clinic();
    people(&world, &who, 3);
    world
        .fhir(&who, "PUT Patient/other", patient_with_id("other", "Jones"))
        .status(201);
    let found = world
        .fhir(&who, "GET Patient?family=smith&_total=accurate", "")
        .status(200);
    let found = found.at("/type", "searchset").at("/total", 3);
    assert_eq!(found.entries(), ["Patient/p2", "Patient/p1", "Patient/p0"]);
    let full = format!("{ROOT}/t/lakeside/fhir/Patient/p2");
    let found = found
        .at("/entry/0/fullUrl", full.as_str())
        .at("/entry/0/search/mode", "match");
    assert!(found.link("self").unwrap().contains("family=smith"));
    assert_eq!(found.link("next"), None);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = world
        .fhir_with(&who, "POST Patient/_search", &form, "family=smith")
        .status(200);
    assert_eq!(posted.entries().len(), 3);
    let posted = world
        .fhir_with(&who, "POST Patient/_search?family=jones", &form, "")
        .status(200);
    assert_eq!(posted.entries(), ["Patient/other"]);
    let system = world
        .fhir(&who, "GET ?_type=Patient&_count=2", "")
        .status(200);
    assert_eq!(system.entries().len(), 2);
    let system = world
        .fhir_with(&who, "POST _search", &form, "_id=p1")
        .status(200);
    assert_eq!(system.entries(), ["Patient/p1"]);
    let count = world
        .fhir(&who, "GET Patient?_summary=count", "")
        .status(200)
        .at("/total", 4);
    assert!(count.entries().is_empty());
    let none = world.fhir(&who, "GET Patient?family=none", "").status(200);
    assert!(none.json().get("entry").is_none(), "no empty arrays");
}

#[test]
fn included_resources_say_so() {
    let (world, who) = World::clinic();
    people(&world, &who, 1);
    let observation = json!({
        "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "Patient/p0" },
    });
    world
        .fhir(&who, "PUT Observation/o", observation.to_string())
        .status(201);
    let found = world
        .fhir(&who, "GET Observation?_include=Observation:subject", "")
        .status(200);
    assert_eq!(found.entries(), ["Observation/o", "Patient/p0"]);
    let found = found.at("/entry/1/search/mode", "include");
    drop(found);
    let no_patients = world.client("lakeside", "system/Observation.rs");
    let line = "GET Observation?_include=Observation:subject";
    let found = world.fhir(&no_patients, line, "");
    assert!(!found.entries().contains(&"Patient/p0".to_owned()));
    // A parameter that leads to one type alone names it.
    for include in ["Observation:patient", "Observation:subject:Patient"] {
        let line = format!("GET Observation?_include={include}");
        let refused = world.fhir(&no_patients, &line, "");
        refused.refused(403, "scope-missing");
        let found = world.fhir(&who, &line, "").status(200);
        assert_eq!(found.entries(), ["Observation/o", "Patient/p0"]);
    }
    let chain = world.fhir(
        &no_patients,
        "GET Observation?subject:Patient.name=smith",
        "",
    );
    chain.refused(403, "scope-missing");
    let chain = world
        .fhir(&who, "GET Observation?subject:Patient.name=smith", "")
        .status(200);
    assert_eq!(chain.entries(), ["Observation/o"]);
}

#[test]
fn pages_agree_although_the_data_moves() {
    let (world, who) = World::clinic();
    people(&world, &who, 7);
    let first = world
        .fhir(&who, "GET Patient?family=smith&_count=3", "")
        .status(200);
    assert_eq!(first.entries(), ["Patient/p6", "Patient/p5", "Patient/p4"]);
    let next = first.link("next").unwrap();
    assert!(
        !next.contains("smith"),
        "the search is not readable in the link"
    );
    people(&world, &who, 9);
    world.fhir(&who, "DELETE Patient/p0", "").status(204);
    let second = world.follow(&who, &next).status(200);
    assert_eq!(second.entries(), ["Patient/p3", "Patient/p2", "Patient/p1"]);
    let third = world
        .follow(&who, &second.link("next").unwrap())
        .status(200);
    assert_eq!(third.link("next"), None);
    assert!(third.entries().len() <= 1);
    let again = world.follow(&who, &next).status(200);
    assert_eq!(again.entries(), second.entries());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let cursor = next.split_once('?').unwrap().1.to_owned();
    let posted = world
        .fhir_with(&who, "POST Patient/_search", &form, cursor)
        .status(200);
    assert_eq!(posted.entries(), second.entries());
}

#[test]
fn a_cursor_is_good_for_its_search_and_caller_only() {
    let (world, who) = World::clinic();
    people(&world, &who, 3);
    let first = world.fhir(&who, "GET Patient?_count=1", "").status(200);
    let next = first.link("next").unwrap();
    let cursor = next.split_once("_cursor=").unwrap().1.to_owned();
    let refused = |who: &str, line: &str| {
        world.fhir(who, line, "").refused(400, "cursor-invalid");
    };
    refused(&who, &format!("GET Observation?_cursor={cursor}"));
    refused(&who, &format!("GET ?_cursor={cursor}"));
    refused(&who, &format!("GET Patient/_history?_cursor={cursor}"));
    refused(&who, &format!("GET Patient?_cursor={cursor}&family=x"));
    refused(
        &who,
        &format!("GET Patient?_cursor={}", cursor.to_lowercase()),
    );
    refused(&who, "GET Patient?_cursor=AAAA");
    refused(&who, "GET Patient?_cursor=");
    let colleague = world.client("lakeside", "system/*.cruds");
    refused(&colleague, &format!("GET Patient?_cursor={cursor}"));
    world.tenant("hillside");
    let stranger = world.client("hillside", "system/*.cruds");
    refused(
        &stranger,
        &format!("GET /t/hillside/fhir/Patient?_cursor={cursor}"),
    );
    world.follow(&who, &next).status(200);
    world.clock.forward_secs(700);
    world.follow(&who, &next).refused(410, "cursor-expired");
}

#[test]
fn unknown_parameters_are_ignored_aloud_or_refused() {
    let (world, who) = World::clinic();
    people(&world, &who, 1);
    let found = world
        .fhir(&who, "GET Patient?nonsense=1&family=smith", "")
        .status(200);
    assert_eq!(found.entries(), ["Patient/p0", "outcome"]);
    let found = found.at("/entry/1/search/mode", "outcome");
    // Every entry has a URL (bdl-15), no two the same.
    let urn = |a: &Answer| a.json()["entry"][1]["fullUrl"].as_str().unwrap().to_owned();
    assert!(urn(&found).starts_with("urn:uuid:"));
    let again = world.fhir(&who, "GET Patient?nonsense=1&family=smith", "");
    assert_ne!(urn(&found), urn(&again));
    assert!(!found.link("self").unwrap().contains("nonsense"));
    let strict = [("prefer", "handling=strict")];
    let refused = world.fhir_with(&who, "GET Patient?nonsense=1", &strict, "");
    refused.refused(400, "search-parameter-unknown");
    for bad in [
        "birthdate=x",
        "family:nonsense=x",
        "_sort=nonsense:x",
        "_count=x",
    ] {
        let answer = world.fhir(&who, &format!("GET Patient?{bad}"), "");
        assert!(matches!(answer.code, 200 | 400), "{bad}: {}", answer.code);
        if answer.code == 200 {
            assert!(answer.entries().contains(&"outcome".to_owned()), "{bad}");
        }
    }
    world
        .fhir(&who, "GET Patient?birthdate=x", "")
        .refused(400, "search-value");
}

#[test]
fn shapes_and_formats() {
    let (world, who) = World::clinic();
    people(&world, &who, 1);
    let found = world
        .fhir(&who, "GET Patient?_elements=id&_format=json", "")
        .status(200);
    let found = found.at("/entry/0/resource/meta/tag/0/code", "SUBSETTED");
    assert!(found.json().pointer("/entry/0/resource/name").is_none());
    world
        .fhir(&who, "GET Patient?_format=ttl", "")
        .refused(406, "not-acceptable");
    world
        .fhir_with(&who, "POST Patient/_search", &[JSON], "{}")
        .refused(415, "media-type");
}

#[test]
fn a_search_of_everything_shows_what_the_caller_may_see() {
    let (world, who) = World::clinic();
    people(&world, &who, 2);
    let observation = json!({ "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "x" } });
    world
        .fhir(&who, "PUT Observation/o", observation.to_string())
        .status(201);
    let some = world.client("lakeside", "system/Observation.rs");
    assert_eq!(
        world
            .fhir(&some, "GET ?_count=10", "")
            .status(200)
            .entries(),
        ["Observation/o"]
    );
    world
        .fhir(&some, "GET ?_type=Observation,Patient", "")
        .refused(403, "scope-missing");
    let writer = world.client("lakeside", "system/*.cud");
    world
        .fhir(&writer, "GET ?_count=10", "")
        .refused(403, "scope-missing");
    world
        .fhir(&writer, "GET Patient", "")
        .refused(403, "scope-missing");
}

#[test]
fn long_queries_are_refused_by_name() {
    let world = World::with(|limits| limits.query_bytes_max = 100, |_| {});
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    let long = format!("family={}", "x".repeat(200));
    let refused = world
        .fhir(&who, &format!("GET Patient?{long}"), "")
        .refused(400, "limit-query");
    refused.at("/issue/0/details/coding/1/code", "query_bytes_max");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    world
        .fhir_with(&who, "POST Patient/_search", &form, long)
        .refused(400, "limit-query");
}

#[test]
fn a_profile_without_a_version_stands_for_each() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let (world, who) = World::clinic_of(fhir);
        for (id, profile) in [
            ("a", "http://e.org/p|1.2"),
            ("b", "http://e.org/p"),
            ("c", "http://e.org/pp"),
        ] {
            let line = format!("PUT Patient/{id}");
            let body = json!({"resourceType": "Patient", "id": id, "meta": {"profile": [profile]}});
            world.fhir(&who, &line, body.to_string()).status(201);
        }
        let found = |query: &str| {
            let line = format!("GET Patient?_sort=_id&{query}");
            world.fhir(&who, &line, "").status(200).entries()
        };
        assert_eq!(found("_profile=http://e.org/p"), ["Patient/a", "Patient/b"]);
        assert_eq!(found("_profile=http://e.org/p%7C1.2"), ["Patient/a"]);
        assert_eq!(found("_profile=http://e.org/p%7C2"), [""; 0]);
        assert_eq!(found("_profile:missing=true"), [""; 0]);
    }
}
