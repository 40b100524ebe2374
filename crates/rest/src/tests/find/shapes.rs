//! What is answered of what was found, and references in each of their forms.

use serde_json::{Value, json};

use super::super::world::World;
use super::edges::{ids, observation, shown};
use super::{encoded, finds, person, put, refuses};

fn get(world: &World, who: &str, query: &str) -> Value {
    let answer = world.fhir(who, &format!("GET {}", encoded(query)), "");
    answer.status(200).json()
}

fn members(resource: &Value) -> String {
    let mut names: Vec<&str> = resource
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.join(" ")
}

#[test]
fn parts_of_resources_say_that_they_are_parts() {
    for version in ["4.0.1", "4.3.0", "5.0.0"] {
        let (world, who) = World::clinic_of(version);
        let more = json!({
            "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},
            "subject": {"reference": "Patient/p"}, "issued": "2020-01-01T00:00:00Z",
            "note": [{"text": "n"}], "effectiveDateTime": "2020-01-01",
        });
        put(&world, &who, &observation("o", &more));
        let part = |query: &str| {
            let found = get(&world, &who, &format!("Observation?{query}"));
            let resource = found["entry"][0]["resource"].clone();
            let tag = &resource["meta"]["tag"][0];
            let marked = tag["code"] == "SUBSETTED"
                && tag["system"] == "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
            (members(&resource), marked)
        };
        let all = "code effectiveDateTime id issued meta note resourceType status subject text";
        assert_eq!(part(""), (all.to_owned(), false));
        assert_eq!(part("_summary=false"), (all.to_owned(), false));
        // What must be there stays, also where it was not asked for.
        assert_eq!(
            part("_elements=subject"),
            ("code id meta resourceType status subject".to_owned(), true)
        );
        assert_eq!(
            part("_elements=note,effective"),
            (
                "code effectiveDateTime id meta note resourceType status".to_owned(),
                true
            )
        );
        let text = part("_summary=text");
        assert_eq!(
            text,
            ("code id meta resourceType status text".to_owned(), true)
        );
        let data = all.replace(" text", "");
        assert_eq!(part("_summary=data"), (data, true));
        let summary = part("_summary=true");
        assert!(summary.1 && !summary.0.contains("note") && !summary.0.contains("text"));
        assert!(summary.0.contains("subject") && summary.0.contains("effectiveDateTime"));
        for count in ["_summary=count", "_count=0"] {
            let found = get(&world, &who, &format!("Observation?{count}"));
            assert_eq!(found["total"], 1, "{count}");
            assert!(found["entry"].is_null(), "{count}: {found}");
        }
        refuses(
            &world,
            &who,
            "Observation?_summary=all",
            400,
            "search-value",
        );
    }
}

#[test]
fn parameters_join_and_repeat() {
    let (world, who) = World::clinic();
    put(
        &world,
        &who,
        &person("a", &json!({"gender": "male", "birthDate": "2000-01-01"})),
    );
    put(
        &world,
        &who,
        &person("b", &json!({"gender": "female", "birthDate": "2001-01-01"})),
    );
    put(&world, &who, &observation("a", &json!({})));
    for (query, want) in [
        ("_id=a&_id=b", ""),
        ("_id=a,b", "a b"),
        ("gender=male,female&birthdate=ge2001", "b"),
        ("birthdate=ge2000&birthdate=le2000-12-31", "a"),
        ("birthdate=lt2000-06,gt2000-12-31", "a b"),
        ("_lastUpdated=2026-11-22", "a b"),
        ("_lastUpdated=lt2026-11-22", ""),
        (
            "_lastUpdated=ge2026-11-22T00:00:00Z&_lastUpdated=lt2026-11-23",
            "a b",
        ),
        ("_lastUpdated=gt2026-11-22", ""),
    ] {
        ids(&world, &who, &format!("Patient?{query}"), want);
    }
    finds(&world, &who, "?_id=a", &["Observation/a", "Patient/a"]);
    finds(&world, &who, "?_type=Patient&_id=a", &["Patient/a"]);
    finds(
        &world,
        &who,
        "?_type=Patient,Observation&_lastUpdated=2026",
        &["Observation/a", "Patient/a", "Patient/b"],
    );
    // What only one of the types has is no parameter of both.
    let strict = [("prefer", "handling=strict")];
    let mixed = "GET ?_type=Patient,Observation&gender=male";
    world
        .fhir_with(&who, mixed, &strict, "")
        .refused(400, "search-parameter-unknown");
    // A form and its URL are one query.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = |line: &str, body: &str| world.fhir_with(&who, line, &form, body.to_owned());
    let answer = posted("POST Patient/_search?gender=male", "birthdate=ge2000");
    assert_eq!(answer.status(200).entries(), ["Patient/a"]);
    let answer = posted("POST _search", "_type=Patient&_id=b");
    assert_eq!(answer.status(200).entries(), ["Patient/b"]);
    // Without a value a parameter asks nothing.
    let blank = world
        .fhir(&who, "GET Patient?gender=&_id=a", "")
        .status(200);
    let entries = blank.entries();
    assert_eq!(entries.first().map(String::as_str), Some("Patient/a"));
    let strict = world.fhir_with(&who, "GET Patient?nonsense=1", &strict, "");
    strict.refused(400, "search-parameter-unknown");
    let lenient = world
        .fhir(&who, "GET Patient?nonsense=1&_id=a", "")
        .status(200);
    assert!(!lenient.link("self").unwrap().contains("nonsense"));
    assert_eq!(lenient.entries(), ["Patient/a", "outcome"]);
}

#[test]
fn references_are_found_in_each_of_their_forms() {
    let (world, who) = World::clinic();
    put(&world, &who, &person("p", &json!({})));
    let base = "http://127.0.0.1:8080/t/lakeside/fhir";
    let about = |id: &str, subject: Value| {
        put(&world, &who, &observation(id, &json!({"subject": subject})));
    };
    about("1", json!({"reference": "Patient/p"}));
    about("2", json!({"reference": format!("{base}/Patient/p")}));
    about("3", json!({"reference": "Patient/p/_history/1"}));
    about("4", json!({"reference": "http://elsewhere/fhir/Patient/p"}));
    about(
        "5",
        json!({"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}),
    );
    about(
        "6",
        json!({"identifier": {"system": "http://mrn", "value": "7"}}),
    );
    about("7", json!({"display": "somebody"}));
    about("8", json!({"reference": "Group/p"}));
    for (query, want) in [
        ("subject=Patient/p".to_owned(), "1 2 3"),
        ("subject=p".to_owned(), "1 2 3 8"),
        ("subject:Patient=p".to_owned(), "1 2 3"),
        ("patient=p".to_owned(), "1 2 3"),
        (format!("subject={base}/Patient/p"), "1 2 3"),
        ("subject=Patient/p/_history/1".to_owned(), "3"),
        ("subject=http://elsewhere/fhir/Patient/p".to_owned(), "4"),
        (
            "subject=urn:uuid:c757873d-ec9a-4326-a141-556f43239520".to_owned(),
            "5",
        ),
        ("subject:identifier=http://mrn|7".to_owned(), "6"),
        ("subject:identifier=7".to_owned(), "6"),
        ("subject:identifier=http://mrn|".to_owned(), "6"),
        ("subject:identifier=|7".to_owned(), ""),
        ("subject:Patient.identifier=7".to_owned(), ""),
        ("subject:Device=p".to_owned(), ""),
    ] {
        ids(&world, &who, &format!("Observation?{query}"), want);
    }
    refuses(
        &world,
        &who,
        "Observation?subject:Practitioner=p",
        400,
        "search-modifier",
    );
    refuses(
        &world,
        &who,
        "Observation?subject:Nobody=p",
        400,
        "search-modifier",
    );
    let answered = |id, questionnaire| answered(&world, &who, id, questionnaire);
    answered("a", "http://q");
    answered("b", "http://q|1.0");
    answered("c", "http://q|1.0.3");
    answered("d", "http://q|2");
    answered("e", "http://q/x");
    for (value, want) in [
        ("questionnaire=http://q", "a b c d"),
        ("questionnaire=http://q|2", "d"),
        ("questionnaire=http://q|1.0", "b c"),
        ("questionnaire:below=http://q|1", "b c"),
        ("questionnaire=http://nothing", ""),
    ] {
        ids(
            &world,
            &who,
            &format!("QuestionnaireResponse?{value}"),
            want,
        );
    }
}

fn answered(world: &World, who: &str, id: &str, questionnaire: &str) {
    let response = json!({"resourceType": "QuestionnaireResponse", "id": id,
        "status": "completed", "questionnaire": questionnaire});
    put(world, who, &response);
}

#[test]
fn canonicals_are_found_with_and_without_their_fragment() {
    let (world, who) = World::clinic();
    let form = json!({"resourceType": "Questionnaire", "id": "q", "url": "http://e.org/q",
        "version": "1.0", "status": "active", "title": "Falls"});
    put(&world, &who, &form);
    let answered = |id, questionnaire| answered(&world, &who, id, questionnaire);
    answered("a", "http://e.org/q");
    answered("b", "http://e.org/q|1.0#part");
    answered("c", "http://e.org/q#part");
    answered("d", "http://e.org/q|2#part");
    answered("e", "http://e.org/q|1.0#other");
    for (value, want) in [
        ("questionnaire=http://e.org/q", "a b c d e"),
        ("questionnaire=http://e.org/q|1.0", "b e"),
        ("questionnaire=http://e.org/q|1.0#part", "b"),
        ("questionnaire=http://e.org/q#part", "b c d"),
        ("questionnaire=http://e.org/q|3#part", ""),
        ("questionnaire=http://e.org/q|1.0#nothing", ""),
        ("questionnaire:below=http://e.org/q|1", "b e"),
        ("questionnaire:below=http://e.org/q|1#part", "b"),
        ("questionnaire.title=falls", "a b c e"),
    ] {
        let query = format!("QuestionnaireResponse?{value}");
        ids(&world, &who, &query, want);
    }
    let profiled = |id: &str, profile: &str| {
        put(
            &world,
            &who,
            &person(id, &json!({"meta": {"profile": [profile]}})),
        );
    };
    profiled("a", "http://e.org/p");
    profiled("b", "http://e.org/p|1#part");
    profiled("c", "http://e.org/p#part");
    for (value, want) in [
        ("http://e.org/p", "a b c"),
        ("http://e.org/p|1", "b"),
        ("http://e.org/p#part", "b c"),
        ("http://e.org/p|1#part", "b"),
        ("http://e.org/p|1#other", ""),
    ] {
        ids(&world, &who, &format!("Patient?_profile={value}"), want);
    }
}

#[test]
fn uris_and_labels_are_whole_or_begin() {
    let (world, who) = World::clinic();
    let set = |id: &str, url: &str| {
        put(
            &world,
            &who,
            &json!({"resourceType": "ValueSet", "id": id, "status": "draft", "url": url}),
        );
    };
    set("a", "http://acme.org/fhir/ValueSet/123");
    set("b", "http://acme.org/fhir/ValueSet/123/history/5");
    set("c", "http://acme.org/fhir/ValueSet/1234");
    set("d", "urn:oid:1.2.3.4.5");
    set("e", "http://acme.org/fhir");
    for (query, want) in [
        ("url=http://acme.org/fhir/ValueSet/123", "a"),
        ("url=http://ACME.org/fhir/ValueSet/123", ""),
        ("url=http://acme.org/fhir/ValueSet", ""),
        ("url:below=http://acme.org/fhir/ValueSet/123", "a b"),
        ("url:below=http://acme.org/fhir/", "a b c"),
        ("url:below=http://acme.org/fhir", "a b c e"),
        (
            "url:above=http://acme.org/fhir/ValueSet/123/history/5",
            "a b e",
        ),
        ("url=urn:oid:1.2.3.4.5", "d"),
        ("url=urn:oid:1.2.3.4.5,http://acme.org/fhir", "d e"),
        ("url:missing=true", ""),
    ] {
        ids(&world, &who, &format!("ValueSet?{query}"), want);
    }
    refuses(
        &world,
        &who,
        "ValueSet?url:contains=acme",
        400,
        "search-modifier",
    );
    let labelled = |id: &str, meta: Value| put(&world, &who, &person(id, &json!({ "meta": meta })));
    labelled(
        "a",
        json!({"tag": [{"system": "http://t", "code": "x"}], "profile": ["http://p|1"]}),
    );
    labelled(
        "b",
        json!({"tag": [{"system": "http://t", "code": "y"}], "security": [{"code": "R"}]}),
    );
    labelled("c", json!({"source": "http://s#1"}));
    for (query, want) in [
        ("_tag=http://t|x", "a"),
        ("_tag=x,y", "a b"),
        ("_tag:not=x", "b c"),
        ("_tag=http://t|", "a b"),
        ("_tag:missing=true", "c"),
        ("_security=R", "b"),
        ("_profile=http://p", "a"),
        ("_profile=http://p|1", "a"),
        ("_profile=http://p|2", ""),
        ("_profile:below=http://p", "a"),
        ("_profile:below=http://p|2", ""),
        ("_source=http://s#1", "c"),
    ] {
        ids(&world, &who, &format!("Patient?{query}"), want);
    }
}

#[test]
fn elements_of_composites_belong_together() {
    let (world, who) = World::clinic();
    let with = |id: &str, parts: Value| {
        put(
            &world,
            &who,
            &observation(id, &json!({ "component": parts })),
        );
    };
    let part = |code: &str, value: &str| {
        json!({"code": {"coding": [{"system": "http://c", "code": code}]},
            "valueCodeableConcept": {"coding": [{"system": "http://v", "code": value}]}})
    };
    with("a", json!([part("one", "x"), part("two", "y")]));
    with("b", json!([part("one", "y"), part("two", "x")]));
    for (query, want) in [
        ("component-code-value-concept=one$x", "a"),
        ("component-code-value-concept=http://c|one$http://v|x", "a"),
        ("component-code-value-concept=http://c|one$http://w|x", ""),
        ("component-code-value-concept=one$x,one$y", "a b"),
        (
            "component-code-value-concept=one$y&component-code-value-concept=two$x",
            "b",
        ),
        ("component-code=one&component-value-concept=x", "a b"),
        ("combo-code-value-concept=two$x", "b"),
    ] {
        ids(&world, &who, &format!("Observation?{query}"), want);
    }
    for bad in ["one", "one$", "$x", "one$x$y", "$"] {
        let query = format!("Observation?component-code-value-concept={bad}");
        refuses(&world, &who, &query, 400, "search-value");
    }
    refuses(
        &world,
        &who,
        "Observation?component-code-value-concept:not=one$x",
        400,
        "search-modifier",
    );
}

#[test]
fn codes_are_found_by_their_texts_as_each_version_has_it() {
    let coded = json!({"code": {"coding": [{"system": "http://l", "code": "8480-6", "display": "Systolic blood pressure"}],
        "text": "Blood pressure, upper"}});
    for (version, r5) in [("4.0.1", false), ("5.0.0", true)] {
        let (world, who) = World::clinic_of(version);
        put(&world, &who, &observation("a", &coded));
        put(&world, &who, &observation("b", &json!({})));
        ids(&world, &who, "Observation?code:text=systolic", "a");
        ids(&world, &who, "Observation?code:text=BLOOD", "a");
        ids(
            &world,
            &who,
            "Observation?code:text=upper",
            if r5 { "" } else { "a" },
        );
        ids(&world, &who, "Observation?code=systolic", "");
        if r5 {
            ids(&world, &who, "Observation?code:code-text=8480", "a");
            ids(&world, &who, "Observation?code:code-text=blood", "a");
            ids(
                &world,
                &who,
                "Observation?code:text-advanced=pressure and upper",
                "a",
            );
        } else {
            let query = "Observation?code:code-text=8480";
            refuses(&world, &who, query, 400, "search-modifier");
        }
    }
}

#[test]
fn pages_of_an_order_by_what_few_have_are_whole() {
    let (world, who) = World::clinic();
    for n in 0..23 {
        let mut more = json!({"identifier": [{"value": format!("{}", n % 3)}]});
        if n % 4 == 0 {
            more["name"] = json!([{"family": format!("F{}", n % 5)}]);
        }
        if n % 7 == 0 {
            more["managingOrganization"] = json!({"reference": format!("Organization/{}", n % 2)});
        }
        put(&world, &who, &person(&format!("n{n}"), &more));
    }
    for sort in [
        "family",
        "-family",
        "organization",
        "-organization,family",
        "identifier,-family",
        "gender,-_id",
    ] {
        let whole = shown(&world, &who, &format!("Patient?_sort={sort}&_count=100"));
        assert_eq!(whole.len(), 23, "{sort}");
        let mut paged = Vec::new();
        let mut answer = world.fhir(&who, &format!("GET Patient?_sort={sort}&_count=4"), "");
        loop {
            answer = answer.status(200);
            paged.extend(answer.entries());
            match answer.link("next") {
                Some(next) => answer = world.follow(&who, &next),
                None => break,
            }
        }
        let whole: Vec<String> = whole.iter().map(|id| format!("Patient/{id}")).collect();
        assert_eq!(paged, whole, "{sort}");
    }
}
