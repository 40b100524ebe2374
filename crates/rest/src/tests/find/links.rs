//! Lists, groups and canonicals.

use serde_json::{Value, json};

use super::super::world::World;
use super::{finds, found, person, put, refuses};

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
    finds(&world, &who, "Patient?_list=$current-allergies", &[]);
    refuses(&world, &who, "Patient?_list=$current", 400, "search-value");
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

#[test]
fn what_a_canonical_names_is_found_by_what_names_it() {
    let (world, who) = World::clinic();
    let form = |id: &str, version: &str| {
        put(
            &world,
            &who,
            &json!({"resourceType": "Questionnaire", "id": id, "url": "http://e.org/q", "version": version, "status": "active"}),
        );
    };
    form("q1", "1.2.3");
    form("q2", "2.0");
    let answer = |id: &str, canonical: &str, status: &str| {
        put(
            &world,
            &who,
            &json!({"resourceType": "QuestionnaireResponse", "id": id, "status": status, "questionnaire": canonical}),
        );
    };
    answer("r1", "http://e.org/q|1.2", "completed");
    answer("r2", "http://e.org/q|2.0", "stopped");
    answer("r0", "http://e.org/other", "amended");
    let by = |rest: &str| format!("Questionnaire?_has:QuestionnaireResponse:questionnaire:{rest}");
    finds(&world, &who, &by("status=completed"), &["Questionnaire/q1"]);
    finds(&world, &who, &by("status=stopped"), &["Questionnaire/q2"]);
    finds(&world, &who, &by("status=amended"), &[]);
    let both = ["Questionnaire/q1", "Questionnaire/q2"];
    finds(&world, &who, &by("status:not=amended"), &both);
    answer("r3", "http://e.org/q", "amended");
    finds(&world, &who, &by("status=amended"), &both);
}

#[test]
fn references_to_members_of_groups_and_lists_are_found_in_r5() {
    let (world, who) = World::clinic_of("5.0.0");
    for id in ["a", "b", "c"] {
        put(&world, &who, &person(id, &json!({})));
        put(
            &world,
            &who,
            &json!({"resourceType": "Encounter", "id": id, "status": "completed", "subject": {"reference": format!("Patient/{id}")}}),
        );
    }
    put(
        &world,
        &who,
        &json!({"resourceType": "Encounter", "id": "none", "status": "completed"}),
    );
    put(
        &world,
        &who,
        &json!({
            "resourceType": "Group", "id": "g", "type": "person", "membership": "enumerated",
            "member": [{"entity": {"reference": "Patient/a"}}, {"entity": {"reference": "Patient/b"}, "inactive": true},
                {"entity": {"reference": "Patient/b"}}, {"entity": {"reference": "Patient/c"}, "inactive": true}],
        }),
    );
    put(
        &world,
        &who,
        &json!({
            "resourceType": "List", "id": "l", "status": "current", "mode": "working",
            "entry": [{"item": {"reference": "Patient/c"}}, {"deleted": true, "item": {"reference": "Patient/a"}}],
        }),
    );
    for (query, want) in [
        ("patient:in=Group/g", &["Encounter/a", "Encounter/b"][..]),
        ("patient:in=List/l", &["Encounter/c"]),
        (
            "patient:in=List/l,Group/g",
            &["Encounter/a", "Encounter/b", "Encounter/c"],
        ),
        ("patient:in=Group/gone", &[]),
        ("patient:not-in=Group/g", &["Encounter/c", "Encounter/none"]),
    ] {
        finds(&world, &who, &format!("Encounter?{query}"), want);
    }
    for (query, want) in [
        ("Patient?_in=Group/g", &["Patient/a", "Patient/b"][..]),
        ("Patient?_in=List/l", &["Patient/c"]),
        ("Patient?_in=Group/gone", &[]),
        (
            "Encounter?patient._in=Group/g",
            &["Encounter/a", "Encounter/b"],
        ),
    ] {
        finds(&world, &who, query, want);
    }
    refuses(&world, &who, "Patient?_in=Patient/a", 400, "search-value");
    refuses(
        &world,
        &who,
        "Encounter?patient:in=Patient/a",
        400,
        "search-value",
    );
    let blind = world.client("lakeside", "system/Encounter.rs");
    refuses(
        &world,
        &blind,
        "Encounter?patient:in=Group/g",
        403,
        "scope-missing",
    );
}

#[test]
fn references_to_versions_bring_those() {
    let (world, who) = World::clinic();
    for family in ["First", "Second", "Third"] {
        put(
            &world,
            &who,
            &person("a", &json!({"name": [{"family": family}]})),
        );
    }
    let seen = |id: &str, subject: &str| {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"},
                "subject": {"reference": subject},
            }),
        );
    };
    seen("o1", "Patient/a/_history/1");
    seen("o2", "Patient/a/_history/3");
    seen("o3", "Patient/a/_history/9");
    let brought = |query: &str| -> Vec<String> {
        let line = format!("GET Observation?{query}&_include=Observation:subject");
        let json = world.fhir(&who, &line, "").status(200).json();
        let entries = json["entry"].as_array().unwrap().clone();
        let of = |e: &serde_json::Value| {
            (e["search"]["mode"] == "include").then(|| {
                let family = e["resource"]["name"][0]["family"].as_str().unwrap();
                family.to_owned()
            })
        };
        entries.iter().filter_map(of).collect()
    };
    assert_eq!(brought("_id=o1"), ["First"]);
    assert_eq!(brought("_id=o2"), ["Third"]);
    assert_eq!(brought("_id=o3"), ["Third"]);
    assert_eq!(brought("_id=o1,o2"), ["Third", "First"]);
    finds(
        &world,
        &who,
        "Observation?subject=Patient/a/_history/1",
        &["Observation/o1"],
    );
}

#[test]
fn current_lists_are_what_patients_lists_say_or_what_is_current() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let (world, who) = World::clinic_of(fhir);
        let concept =
            |system: &str, code: &str| json!({"coding": [{"system": system, "code": code}]});
        let allergy = |id: &str, patient: &str, status: &str, more: &Value| {
            let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
            let mut it = json!({
                "resourceType": "AllergyIntolerance", "id": id, "clinicalStatus": concept(system, status),
                "patient": {"reference": format!("Patient/{patient}")},
            });
            it.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            put(&world, &who, &it);
        };
        let verified = |code: &str| {
            let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification";
            json!({"verificationStatus": concept(system, code), "category": ["medication"]})
        };
        for id in ["with", "without"] {
            put(&world, &who, &person(id, &json!({})));
        }
        allergy(
            "listed",
            "with",
            "inactive",
            &json!({"category": ["medication"]}),
        );
        allergy("unlisted", "with", "active", &json!({}));
        allergy("open", "without", "active", &verified("confirmed"));
        allergy("wrong", "without", "active", &verified("refuted"));
        allergy("over", "without", "resolved", &json!({}));
        let subject = json!({"reference": "Patient/with"});
        let list = |id: &str, status: &str, item: &str| {
            put(
                &world,
                &who,
                &json!({
                    "resourceType": "List", "id": id, "status": status, "mode": "working",
                    "code": concept("http://loinc.org", "48765-2"), "subject": if fhir == "5.0.0" { json!([subject]) } else { subject.clone() },
                    "entry": [{"item": {"reference": format!("AllergyIntolerance/{item}")}}],
                }),
            );
        };
        list("now", "current", "listed");
        list("then", "retired", "unlisted");
        let named = |query: &str, want: &[&str]| {
            finds(&world, &who, &format!("AllergyIntolerance?{query}"), want);
        };
        named(
            "_list=$current-allergies",
            &["AllergyIntolerance/listed", "AllergyIntolerance/open"],
        );
        named(
            "patient=with&_list=$current-allergies",
            &["AllergyIntolerance/listed"],
        );
        named(
            "patient=without&_list=$current-drug-allergies",
            &["AllergyIntolerance/open"],
        );
        named("_list=$current-problems", &[]);
        finds(
            &world,
            &who,
            "?_type=AllergyIntolerance,Patient&_list=$current-drug-allergies",
            &["AllergyIntolerance/listed", "AllergyIntolerance/open"],
        );
        let mut order = json!({
            "resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order",
            "subject": {"reference": "Patient/with"},
        });
        match fhir {
            "5.0.0" => order["medication"] = json!({"concept": {"text": "x"}}),
            _ => order["medicationCodeableConcept"] = json!({"text": "x"}),
        }
        put(&world, &who, &order);
        finds(
            &world,
            &who,
            "MedicationRequest?_list=$current-medications",
            &["MedicationRequest/m"],
        );
        finds(
            &world,
            &who,
            "MedicationStatement?_list=$current-medications",
            &[],
        );
    }
}

#[test]
fn whatever_refers_to_the_matches_is_brought() {
    let (world, who) = World::clinic();
    put(&world, &who, &person("a", &json!({})));
    put(
        &world,
        &who,
        &person(
            "b",
            &json!({"link": [{"type": "seealso", "other": {"reference": "Patient/a"}}]}),
        ),
    );
    put(
        &world,
        &who,
        &json!({"resourceType": "Group", "id": "g", "type": "person", "actual": true,
        "member": [{"entity": {"reference": "Patient/a"}}]}),
    );
    put(
        &world,
        &who,
        &json!({"resourceType": "Provenance", "id": "v", "recorded": "2026-01-01T00:00:00Z",
        "target": [{"reference": "Group/g"}], "agent": [{"who": {"display": "x"}}]}),
    );
    let all = ["Group/g", "Patient/a", "Patient/b"];
    finds(&world, &who, "Patient?_id=a&_revinclude=*", &all);
    let more = ["Group/g", "Patient/a", "Patient/b", "Provenance/v"];
    finds(&world, &who, "Patient?_id=a&_revinclude:iterate=*", &more);
    finds(
        &world,
        &who,
        "Provenance?_include:iterate=*",
        &["Group/g", "Patient/a", "Provenance/v"],
    );
    // What the caller may not search is not brought, and no reason to refuse.
    let some = world.client("lakeside", "system/Patient.rs");
    finds(
        &world,
        &some,
        "Patient?_id=a&_revinclude=*",
        &["Patient/a", "Patient/b"],
    );
}
