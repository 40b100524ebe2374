//! Everything that can be searched by, through the edge: forms of parameters, modifiers, filters.

use serde_json::{Value, json};

use super::world::World;

fn put(world: &World, who: &str, resource: &Value) {
    let name = format!(
        "PUT {}/{}",
        resource["resourceType"].as_str().unwrap(),
        resource["id"].as_str().unwrap()
    );
    let answer = world.fhir(who, &name, resource.to_string());
    assert!(matches!(answer.code, 200 | 201), "{}", answer.json());
}

/// Percent-encodes what a URL cannot hold as it is.
fn encoded(query: &str) -> String {
    let mut out = String::new();
    for b in query.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~/?=&:,$*()".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

fn found(world: &World, who: &str, query: &str) -> Vec<String> {
    let line = format!("GET {}", encoded(query));
    let mut entries = world.fhir(who, &line, "").status(200).entries();
    entries.sort_unstable();
    entries
}

#[track_caller]
fn finds(world: &World, who: &str, query: &str, want: &[&str]) {
    assert_eq!(found(world, who, query), want, "{query}");
}

#[track_caller]
fn refuses(world: &World, who: &str, query: &str, status: u16, code: &str) {
    let line = format!("GET {}", encoded(query));
    world.fhir(who, &line, "").refused(status, code);
}

fn weight(id: &str, value: f64, code: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "valueQuantity": {"value": value, "unit": code, "system": "http://unitsofmeasure.org", "code": code},
    })
}

#[test]
fn a_quantity_is_found_in_every_unit_of_its_kind() {
    let (world, who) = World::clinic();
    put(&world, &who, &weight("a", 1.0, "g"));
    put(&world, &who, &weight("b", 1000.0, "mg"));
    put(&world, &who, &weight("c", 2.0, "kg"));
    put(&world, &who, &weight("d", 1.0, "m"));
    let ucum = "http://unitsofmeasure.org";
    for (query, want) in [
        (
            format!("value-quantity=1|{ucum}|g"),
            &["Observation/a", "Observation/b"][..],
        ),
        (
            format!("value-quantity=1000|{ucum}|mg"),
            &["Observation/a", "Observation/b"],
        ),
        (
            format!("value-quantity=gt0.5|{ucum}|kg"),
            &["Observation/c"],
        ),
        (
            format!("value-quantity=ge0.001|{ucum}|kg"),
            &["Observation/a", "Observation/b", "Observation/c"],
        ),
        ("value-quantity=1||mg".to_owned(), &[]),
        (
            "value-quantity=1".to_owned(),
            &["Observation/a", "Observation/d"],
        ),
        (
            format!("code-value-quantity=http://loinc.org|29463-7$2000000|{ucum}|mg"),
            &["Observation/c"],
        ),
        (
            format!("code-value-quantity=29463-7$lt2|{ucum}|g"),
            &["Observation/a", "Observation/b"],
        ),
    ] {
        finds(&world, &who, &format!("Observation?{query}"), want);
    }
}

fn person(id: &str, more: &Value) -> Value {
    let mut patient = json!({"resourceType": "Patient", "id": id});
    let members = patient.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    patient
}

#[test]
fn identifiers_are_found_with_their_type() {
    let (world, who) = World::clinic();
    let kinds = "http://terminology.hl7.org/CodeSystem/v2-0203";
    let identifier = |code: &str, value: &str| json!({"identifier": [{"type": {"coding": [{"system": kinds, "code": code}]}, "system": "urn:x", "value": value}]});
    put(&world, &who, &person("a", &identifier("MR", "12|345")));
    put(&world, &who, &person("b", &identifier("SS", "12|345")));
    finds(
        &world,
        &who,
        &format!("Patient?identifier:of-type={kinds}|MR|12\\|345"),
        &["Patient/a"],
    );
    finds(
        &world,
        &who,
        &format!("Patient?identifier:of-type={kinds}|MR|other"),
        &[],
    );
    refuses(
        &world,
        &who,
        "Patient?identifier:of-type=MR|1",
        400,
        "search-value",
    );
    refuses(
        &world,
        &who,
        "Patient?identifier:nonsense=1",
        400,
        "search-modifier",
    );
}

#[test]
fn filters_join_conditions() {
    let (world, who) = World::clinic();
    let clinic = json!({"resourceType": "Organization", "id": "o", "active": true, "name": "Lakeside Clinic"});
    put(&world, &who, &clinic);
    let of = |family: &str, gender: &str, birth: &str| {
        json!({
            "name": [{"family": family, "given": ["Zoë"]}], "gender": gender, "birthDate": birth,
            "managingOrganization": {"reference": "Organization/o"},
        })
    };
    put(
        &world,
        &who,
        &person("a", &of("Smith", "male", "1980-02-03")),
    );
    put(
        &world,
        &who,
        &person("b", &of("Smithson", "female", "1990")),
    );
    put(
        &world,
        &who,
        &person(
            "c",
            &json!({"name": [{"family": "Jones, Sr."}], "birthDate": "2000-01-01"}),
        ),
    );
    for (filter, want) in [
        ("family eq \"smith\"", &["Patient/a"][..]),
        ("family sw smith", &["Patient/a", "Patient/b"]),
        ("family ew \"SON\"", &["Patient/b"]),
        ("family eq \"Jones, Sr.\"", &["Patient/c"]),
        ("given co \"oe\" and gender ne male", &["Patient/b"]),
        (
            "gender eq male or birthdate ge 2000",
            &["Patient/a", "Patient/c"],
        ),
        ("not (family co smith)", &["Patient/c"]),
        (
            "organization.name co \"lakeside\" and birthdate lt 1985",
            &["Patient/a"],
        ),
        (
            "organization[active eq true].name sw lake",
            &["Patient/a", "Patient/b"],
        ),
        ("organization[active eq false].name sw lake", &[]),
        ("organization pr false", &["Patient/c"]),
        ("birthdate po 1990-05", &["Patient/b"]),
        (
            "organization re Organization/o and _id eq a",
            &["Patient/a"],
        ),
    ] {
        finds(&world, &who, &format!("Patient?_filter={filter}"), want);
    }
    refuses(&world, &who, "Patient?_filter=family", 400, "search-value");
    refuses(
        &world,
        &who,
        "Patient?_filter=nonsense eq 1",
        400,
        "search-value",
    );
    let blind = world.client("lakeside", "system/Patient.rs");
    refuses(
        &world,
        &blind,
        "Patient?_filter=organization.name co x",
        403,
        "scope-missing",
    );
}

#[test]
fn value_sets_and_code_systems_of_the_tenant_are_searched_by() {
    let (world, who) = World::clinic();
    let system = json!({
        "resourceType": "CodeSystem", "id": "animals", "url": "http://e.org/animals", "status": "active",
        "content": "complete",
        "concept": [{"code": "animal", "concept": [{"code": "dog", "concept": [{"code": "pug"}]}, {"code": "cat"}]}],
    });
    put(&world, &who, &system);
    let set = |id: &str, include: Value| {
        json!({
            "resourceType": "ValueSet", "id": id, "url": format!("http://e.org/{id}"), "status": "active",
            "version": "1.0", "compose": {"include": [include]},
        })
    };
    let below = json!({"system": "http://e.org/animals", "filter": [{"property": "concept", "op": "is-a", "value": "dog"}]});
    put(&world, &who, &set("dogs", below));
    put(
        &world,
        &who,
        &set("all", json!({"system": "http://e.org/animals"})),
    );
    put(
        &world,
        &who,
        &set("other", json!({"valueSet": ["http://e.org/gone"]})),
    );
    for code in ["animal", "dog", "pug", "cat"] {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Condition", "id": code, "subject": {"reference": "Patient/x"},
                "code": {"coding": [{"system": "http://e.org/animals", "code": code}]},
            }),
        );
    }
    put(
        &world,
        &who,
        &json!({"resourceType": "Condition", "id": "none", "subject": {"reference": "Patient/x"}}),
    );
    for (query, want) in [
        (
            "code:in=http://e.org/dogs",
            &["Condition/dog", "Condition/pug"][..],
        ),
        (
            "code:in=http://e.org/dogs|1.0",
            &["Condition/dog", "Condition/pug"],
        ),
        ("code:in=ValueSet/dogs", &["Condition/dog", "Condition/pug"]),
        (
            "code:in=http://e.org/all",
            &[
                "Condition/animal",
                "Condition/cat",
                "Condition/dog",
                "Condition/pug",
            ],
        ),
        (
            "code:not-in=http://e.org/dogs",
            &["Condition/animal", "Condition/cat", "Condition/none"],
        ),
        (
            "code:below=http://e.org/animals|dog",
            &["Condition/dog", "Condition/pug"],
        ),
        (
            "code:above=http://e.org/animals|pug",
            &["Condition/animal", "Condition/dog", "Condition/pug"],
        ),
        (
            "_filter=code in http://e.org/dogs",
            &["Condition/dog", "Condition/pug"],
        ),
    ] {
        finds(&world, &who, &format!("Condition?{query}"), want);
    }
    refuses(
        &world,
        &who,
        "Condition?code:in=http://e.org/gone",
        400,
        "terms-missing",
    );
    refuses(
        &world,
        &who,
        "Condition?code:in=http://e.org/other",
        400,
        "terms-missing",
    );
    refuses(
        &world,
        &who,
        "Condition?code:below=http://e.org/gone|x",
        400,
        "terms-missing",
    );
    put(&world, &who, &person("m", &json!({"gender": "male"})));
    let own = "http://hl7.org/fhir/ValueSet/administrative-gender";
    finds(
        &world,
        &who,
        &format!("Patient?gender:in={own}"),
        &["Patient/m"],
    );
    let blind = world.client("lakeside", "system/Condition.rs");
    refuses(
        &world,
        &blind,
        "Condition?code:in=http://e.org/dogs",
        403,
        "scope-missing",
    );
}

#[test]
fn places_are_found_near_and_below_each_other() {
    let (world, who) = World::clinic();
    let place = |id: &str, part_of: Option<&str>, position: Option<(f64, f64)>| {
        let mut place = json!({"resourceType": "Location", "id": id, "status": "active"});
        if let Some(of) = part_of {
            place["partOf"] = json!({"reference": format!("Location/{of}")});
        }
        if let Some((latitude, longitude)) = position {
            place["position"] = json!({"latitude": latitude, "longitude": longitude});
        }
        put(&world, &who, &place);
    };
    place("house", None, Some((52.5200, 13.4050)));
    place("ward", Some("house"), Some((52.5205, 13.4060)));
    place("bed", Some("ward"), None);
    place("far", None, Some((48.1372, 11.5756)));
    finds(
        &world,
        &who,
        "Location?near=52.52|13.405|1|km",
        &["Location/house", "Location/ward"],
    );
    finds(
        &world,
        &who,
        "Location?near=52.52|13.405|10|m",
        &["Location/house"],
    );
    finds(
        &world,
        &who,
        "Location?near=52.52|13.405|505|km",
        &["Location/far", "Location/house", "Location/ward"],
    );
    finds(
        &world,
        &who,
        "Location?near=52.52|13.405|503|km",
        &["Location/house", "Location/ward"],
    );
    refuses(&world, &who, "Location?near=95|13", 400, "search-value");
    let stay = |id: &str, at: &str| {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Encounter", "id": id, "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                "location": [{"location": {"reference": format!("Location/{at}")}}],
            }),
        );
    };
    stay("e1", "bed");
    stay("e2", "ward");
    stay("e3", "house");
    finds(
        &world,
        &who,
        "Encounter?location:below=Location/ward",
        &["Encounter/e1", "Encounter/e2"],
    );
    finds(
        &world,
        &who,
        "Encounter?location:above=ward",
        &["Encounter/e2", "Encounter/e3"],
    );
    finds(
        &world,
        &who,
        "Location?partof:below=house",
        &["Location/bed", "Location/ward"],
    );
    let blind = world.client("lakeside", "system/Encounter.rs");
    refuses(
        &world,
        &blind,
        "Encounter?location:below=Location/ward",
        403,
        "scope-missing",
    );
}

#[test]
fn texts_are_searched_by_words() {
    let (world, who) = World::clinic();
    let told = |id: &str, div: &str, note: &str| {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Condition", "id": id, "subject": {"reference": "Patient/x"},
                "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>")},
                "note": [{"text": note}],
            }),
        );
    };
    told("a", "<p>Severe <b>heart attack</b></p>", "seen at home");
    told("b", "The heart is well, no attack", "Fièvre");
    told("c", "Nothing", "a heart note");
    for (query, want) in [
        ("_text=heart", &["Condition/a", "Condition/b"][..]),
        ("_text=\"heart attack\"", &["Condition/a"]),
        ("_text=heart and not severe", &["Condition/b"]),
        ("_text=nothing or severe", &["Condition/a", "Condition/c"]),
        ("_text=sev*", &["Condition/a"]),
        (
            "_content=heart",
            &["Condition/a", "Condition/b", "Condition/c"],
        ),
        ("_content=fievre", &["Condition/b"]),
        ("_content=\"a heart note\"&_text=nothing", &["Condition/c"]),
        ("_content=heart&_id=a,c", &["Condition/a", "Condition/c"]),
    ] {
        finds(&world, &who, &format!("Condition?{query}"), want);
    }
    let counted = world.fhir(
        &who,
        "GET Condition?_content=heart&_count=1&_total=accurate",
        "",
    );
    let counted = counted.status(200).at("/total", 3);
    let next = counted.link("next").unwrap();
    let second = world.follow(&who, &next).status(200);
    assert_eq!(
        (counted.entries(), second.entries()),
        (
            vec!["Condition/c".to_owned()],
            vec!["Condition/b".to_owned()]
        )
    );
    let none = world.fhir(&who, "GET Condition?_content=heart&_summary=count", "");
    none.status(200).at("/total", 3);
    told("a", "now empty", "now gone");
    finds(&world, &who, "Condition?_text=heart", &["Condition/b"]);
    refuses(&world, &who, "Condition?_text=(heart", 400, "search-value");
    refuses(
        &world,
        &who,
        "Patient?_has:Condition:subject:_content=x",
        400,
        "search-value",
    );
}

#[test]
fn lists_and_canonicals_are_followed() {
    let (world, who) = World::clinic();
    for id in ["a", "b", "c"] {
        put(&world, &who, &person(id, &json!({})));
    }
    put(
        &world,
        &who,
        &json!({
            "resourceType": "List", "id": "l", "status": "current", "mode": "working",
            "entry": [{"item": {"reference": "Patient/a"}}, {"item": {"reference": "Patient/c"}}],
        }),
    );
    finds(&world, &who, "Patient?_list=l", &["Patient/a", "Patient/c"]);
    finds(&world, &who, "Patient?_list=none", &[]);
    refuses(
        &world,
        &who,
        "Patient?_list=$current-allergies",
        400,
        "search-value",
    );
    let blind = world.client("lakeside", "system/Patient.rs");
    refuses(&world, &blind, "Patient?_list=l", 403, "scope-missing");

    let form = |id: &str, version: &str| {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Questionnaire", "id": id, "url": "http://e.org/q", "version": version, "status": "active",
            }),
        );
    };
    form("q1", "1.2.3");
    form("q2", "2.0");
    let answer = |id: &str, canonical: &str| {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "QuestionnaireResponse", "id": id, "status": "completed", "questionnaire": canonical,
            }),
        );
    };
    answer("r0", "http://e.org/q");
    answer("r1", "http://e.org/q|1.2.3");
    answer("r2", "http://e.org/q|2.0");
    let all = &[
        "QuestionnaireResponse/r0",
        "QuestionnaireResponse/r1",
        "QuestionnaireResponse/r2",
    ];
    let of = |query: &str| format!("QuestionnaireResponse?{query}");
    finds(&world, &who, &of("questionnaire=http://e.org/q"), all);
    finds(
        &world,
        &who,
        &of("questionnaire=http://e.org/q|1.2.3"),
        &["QuestionnaireResponse/r1"],
    );
    finds(
        &world,
        &who,
        &of("questionnaire=http://e.org/q|1.2"),
        &["QuestionnaireResponse/r1"],
    );
    finds(
        &world,
        &who,
        &of("questionnaire=http://e.org/q|1.2.30"),
        &[],
    );
    finds(
        &world,
        &who,
        &of("questionnaire:below=http://e.org/q|1"),
        &["QuestionnaireResponse/r1"],
    );
    let included = found(
        &world,
        &who,
        &of("_id=r1&_include=QuestionnaireResponse:questionnaire"),
    );
    assert_eq!(included, ["Questionnaire/q1", "QuestionnaireResponse/r1"]);
    let included = found(&world, &who, &of("_id=r0&_include=*"));
    assert_eq!(
        included,
        [
            "Questionnaire/q1",
            "Questionnaire/q2",
            "QuestionnaireResponse/r0"
        ]
    );
    finds(
        &world,
        &who,
        &of("questionnaire:Questionnaire.version=2.0"),
        &["QuestionnaireResponse/r0", "QuestionnaireResponse/r2"],
    );
    finds(
        &world,
        &who,
        &of("questionnaire.version=1.2.3"),
        &["QuestionnaireResponse/r0", "QuestionnaireResponse/r1"],
    );
    let back = "Questionnaire?_id=q2&_revinclude=QuestionnaireResponse:questionnaire";
    assert_eq!(
        found(&world, &who, back),
        [
            "Questionnaire/q2",
            "QuestionnaireResponse/r0",
            "QuestionnaireResponse/r2"
        ]
    );
}

fn parameter(code: &str, kind: &str, base: &str, expression: &str) -> Value {
    json!({
        "resourceType": "SearchParameter", "id": code, "url": format!("http://e.org/{code}"), "name": code,
        "status": "active", "description": "x", "code": code, "base": [base], "type": kind,
        "expression": expression,
    })
}

/// Waits until nothing is being built; a build of a few resources takes no time.
fn built(world: &World, who: &str) -> Value {
    for _ in 0..200_000 {
        let status = world
            .fhir(who, "GET $reindex-status", "")
            .status(200)
            .json();
        if status["parameter"][0]["valueCode"] == "complete" {
            return status;
        }
        std::thread::yield_now();
    }
    panic!("never built");
}

#[test]
fn a_tenant_defines_search_parameters_of_its_own() {
    let (world, who) = World::clinic();
    let eyes = |id: &str, color: &str| {
        let eye = json!({"extension": [{"url": "http://e.org/eye", "valueCode": color}]});
        put(&world, &who, &person(id, &eye));
    };
    for i in 0..5 {
        eyes(&format!("b{i}"), "blue");
    }
    eyes("g", "green");
    let url = "http://e.org/eye";
    let strict = [("prefer", "handling=strict")];
    let unknown = world.fhir_with(&who, "GET Patient?eye=blue", &strict, "");
    unknown.refused(400, "search-parameter-unknown");
    let eye = parameter(
        "eye",
        "token",
        "Patient",
        &format!("Patient.extension.where(url = '{url}').value"),
    );
    put(&world, &who, &eye);
    let status = built(&world, &who);
    assert_eq!(status["parameter"][1]["part"][3]["valueCode"], "serving");
    let blue = [
        "Patient/b0",
        "Patient/b1",
        "Patient/b2",
        "Patient/b3",
        "Patient/b4",
    ];
    finds(&world, &who, "Patient?eye=blue", &blue);
    finds(&world, &who, "Patient?eye=green", &["Patient/g"]);
    finds(&world, &who, "Patient?eye:not=blue", &["Patient/g"]);
    finds(&world, &who, "Patient?_filter=eye eq green", &["Patient/g"]);
    // What is written now is indexed at once.
    eyes("g", "blue");
    finds(&world, &who, "Patient?eye=green", &[]);
    eyes("h", "green");
    finds(&world, &who, "Patient?eye=green", &["Patient/h"]);
    world
        .fhir(
            &who,
            "PUT Observation/o",
            json!({
                "resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"},
                "subject": {"reference": "Patient/h"},
            })
            .to_string(),
        )
        .status(201);
    finds(
        &world,
        &who,
        "Observation?subject:Patient.eye=green",
        &["Observation/o"],
    );
    let sorted = world
        .fhir(&who, "GET Patient?_sort=eye&_count=6", "")
        .status(200)
        .entries();
    assert_eq!(sorted.len(), 6);
    let told = |world: &World| {
        let statement = world.fhir("", "GET metadata", "").status(200).json();
        let rest = statement["rest"][0]["resource"].as_array().unwrap().clone();
        let patient = rest
            .iter()
            .find(|r| r["type"] == "Patient")
            .unwrap()
            .clone();
        let params = patient["searchParam"].as_array().unwrap().clone();
        params.iter().any(|p| p["definition"] == "http://e.org/eye")
    };
    assert!(told(&world));

    // Another tenant has nothing of it.
    world.tenant("hillside");
    let other = world.client("hillside", "system/*.cruds");
    let headers = [
        ("authorization", other.as_str()),
        ("prefer", "handling=strict"),
    ];
    let refused = world.ask("GET /t/hillside/fhir/Patient?eye=blue", &headers, "");
    refused.refused(400, "search-parameter-unknown");

    // A definition that goes takes its index along.
    world
        .fhir(&who, "DELETE SearchParameter/eye", "")
        .status(204);
    built(&world, &who);
    let gone = world.fhir_with(&who, "GET Patient?eye=blue", &strict, "");
    gone.refused(400, "search-parameter-unknown");
    assert!(!told(&world));
    put(&world, &who, &eye);
    built(&world, &who);
    finds(&world, &who, "Patient?eye=green", &["Patient/h"]);
}

#[test]
fn definitions_that_cannot_be_served_are_refused() {
    let (world, who) = World::clinic();
    for bad in [
        parameter("x", "string", "Patient", "Patient.name.where("),
        parameter("x", "string", "Patient", "Patient.nothing"),
    ] {
        let answer = world.fhir(&who, "PUT SearchParameter/x", bad.to_string());
        answer.refused(422, "search-parameter-invalid");
    }
    let composite = parameter("x", "composite", "Patient", "Patient");
    let answer = world.fhir(&who, "PUT SearchParameter/x", composite.to_string());
    answer.refused(422, "search-parameter-invalid");
    let mut draft = parameter("x", "string", "Patient", "Patient.name.where(");
    draft["status"] = json!("draft");
    put(&world, &who, &draft);
    put(
        &world,
        &who,
        &parameter("y", "string", "Patient", "Patient.name.suffix"),
    );
    let mut twice = parameter("y", "string", "Patient", "Patient.name.prefix");
    twice["id"] = json!("z");
    let answer = world.fhir(&who, "PUT SearchParameter/z", twice.to_string());
    answer.refused(422, "search-parameter-invalid");
    // The standard's own parameters stay as they are.
    put(
        &world,
        &who,
        &parameter("family", "string", "Patient", "Patient.name.suffix"),
    );
    put(
        &world,
        &who,
        &person(
            "p",
            &json!({"name": [{"family": "Smith", "suffix": ["Jr."]}]}),
        ),
    );
    built(&world, &who);
    finds(&world, &who, "Patient?family=smith", &["Patient/p"]);
    finds(&world, &who, "Patient?y=jr.", &["Patient/p"]);
}

#[test]
fn an_index_is_made_again() {
    let (world, who) = World::clinic();
    put(
        &world,
        &who,
        &person("p", &json!({"name": [{"family": "Smith"}]})),
    );
    let taken = world.fhir(&who, "POST $reindex", "").status(202);
    assert!(
        taken
            .header_text("content-location")
            .unwrap()
            .ends_with("/$reindex-status")
    );
    built(&world, &who);
    finds(&world, &who, "Patient?family=smith", &["Patient/p"]);
    world.fhir(&who, "POST Patient/p/$reindex", "").status(200);
    world
        .fhir(&who, "POST Patient/none/$reindex", "")
        .refused(404, "not-found");
    let reader = world.client("lakeside", "system/*.rs");
    world
        .fhir(&reader, "POST $reindex", "")
        .refused(403, "scope-missing");
}
