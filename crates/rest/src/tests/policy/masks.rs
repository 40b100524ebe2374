//! Elements that are hidden, or not to be changed.

use serde_json::{Value, json};

use super::super::world::World;
use super::{grants, northern, patient, two_facilities};

fn masked() -> (World, String, String) {
    let (world, all) = two_facilities();
    let who = northern(&world, "desk");
    grants(
        &world,
        &json!([
            { "name": "patients", "who": { "roles": ["desk"] }, "actions": "cruds", "types": ["Patient"],
              "hide": ["telecom", "contact.name"], "readOnly": ["birthDate"] },
            { "name": "rest", "who": { "roles": ["desk"] }, "actions": "rs",
              "types": ["Observation", "Organization"] },
        ]),
    );
    (world, all, who)
}

#[test]
fn hidden_elements_leave_by_no_road() {
    let (world, all, who) = masked();
    let text = |line: &str| {
        let answer = world.fhir(&who, &format!("GET {line}"), "").status(200);
        String::from_utf8_lossy(&answer.body).into_owned()
    };
    for line in [
        "Patient/p-north",
        "Patient/p-north/_history/1",
        "Patient/p-north/_history",
        "Patient/_history",
        "Patient",
        "Patient?_elements=telecom",
        "Observation?_include=Observation:subject",
        "Patient/p-north/$everything",
        "Patient/p-north?_format=xml",
        "$graphql?query=%7BPatientList%7Btelecom%7Bvalue%7D%7D%7D",
    ] {
        let told = text(line);
        assert!(!told.contains("555-"), "{line}: {told}");
        assert!(
            line.contains("graphql") || told.contains("SUBSETTED"),
            "{line}: {told}"
        );
    }
    assert!(
        String::from_utf8_lossy(&world.fhir(&all, "GET Patient/p-north", "").body).contains("555-")
    );
}

#[test]
fn an_update_by_whom_elements_are_hidden_is_one_event() {
    let (world, _, who) = masked();
    let auditor = world.client("lakeside", "system/AuditEvent.rs");
    let events = || {
        let line = "GET AuditEvent?entity=Patient/p-north&_sort=-date";
        let found = world.fhir(&auditor, line, "").status(200).json();
        found["entry"].as_array().cloned().unwrap_or_default()
    };
    let before = events().len();
    let seen = world.fhir(&who, "GET Patient/p-north", "").status(200);
    let mut seen = seen.json();
    seen["active"] = json!(false);
    for line in ["PUT Patient/p-north", "PUT Patient?_id=p-north"] {
        world.fhir(&who, line, seen.to_string()).status(200);
        seen["active"] = json!(true);
    }
    let all = events();
    // The read, and each change: a conditional one finds what it changes by a search besides.
    assert_eq!(all.len(), before + 4, "{all:#?}");
    // What is refused was looked at all the same.
    seen["telecom"] = json!([{ "value": "555-mine" }]);
    let refused = world.fhir(&who, "PUT Patient/p-north", seen.to_string());
    refused.refused(403, "element-hidden");
    let more = events();
    assert_eq!(more.len(), all.len() + 2, "{more:#?}");
}

#[test]
fn nothing_is_searched_or_sorted_by_what_is_hidden() {
    let (world, _, who) = masked();
    for line in [
        "Patient?phone=555-north",
        "Patient?telecom=555-north",
        "Patient?telecom:missing=false",
        "Patient?_sort=phone",
        "Patient?_filter=phone%20eq%20%22555-north%22",
        "Observation?patient.phone=555-north",
        "Patient?_text=all",
        "Patient?_content=555",
    ] {
        world
            .fhir(&who, &format!("GET {line}"), "")
            .refused(403, "element-hidden");
    }
    for line in [
        "Patient?name=of",
        "Patient?_sort=birthdate",
        "Observation?patient.name=of",
    ] {
        world.fhir(&who, &format!("GET {line}"), "").status(200);
    }
    let probe = [("if-none-exist", "phone=555-south")];
    world
        .fhir_with(
            &who,
            "POST Patient",
            &probe,
            json!({ "resourceType": "Patient" }).to_string(),
        )
        .refused(403, "element-hidden");
}

#[test]
fn the_order_of_members_changes_nothing_that_is_kept() {
    let (world, all) = two_facilities();
    let who = northern(&world, "desk");
    grants(
        &world,
        &json!([
            { "name": "patients", "who": { "roles": ["desk"] }, "actions": "cruds", "types": ["Patient"],
              "hide": ["gender"], "readOnly": ["gender", "name", "birthDate"] },
        ]),
    );
    let text = |active: bool| {
        format!(
            r#"{{"resourceType":"Patient","id":"o","gender":"male","active":{active},
                "name":[{{"family":"A"}}],"birthDate":"1970-01-01",
                "managingOrganization":{{"reference":"Organization/north"}}}}"#
        )
    };
    world.fhir(&all, "PUT Patient/o", text(false)).status(201);
    let back = r#"{"birthDate":"1970-01-01","name":[{"family":"A"}],"active":true,
        "managingOrganization":{"reference":"Organization/north"},"id":"o","resourceType":"Patient"}"#;
    world.fhir(&who, "PUT Patient/o", back).status(200);
    world
        .fhir(&all, "GET Patient/o", "")
        .at("/gender", "male")
        .at("/active", true);
}

#[test]
fn canonicals_are_not_followed_by_a_url_that_is_hidden() {
    let (world, all) = two_facilities();
    let who = northern(&world, "desk");
    let grant = |hide: &[&str]| {
        grants(
            &world,
            &json!([
                { "name": "forms", "who": { "roles": ["desk"] }, "actions": "rs", "types": ["Questionnaire"],
                  "hide": hide },
                { "name": "answers", "who": { "roles": ["desk"] }, "actions": "rs",
                  "types": ["QuestionnaireResponse"] },
            ]),
        );
    };
    let form = json!({ "resourceType": "Questionnaire", "id": "q", "status": "active",
        "url": "http://forms.example/fall", "publisher": "mine" });
    world
        .fhir(&all, "PUT Questionnaire/q", form.to_string())
        .status(201);
    let response = json!({ "resourceType": "QuestionnaireResponse", "id": "r", "status": "completed",
        "questionnaire": "http://forms.example/fall" });
    world
        .fhir(&all, "PUT QuestionnaireResponse/r", response.to_string())
        .status(201);
    let roads = [
        "QuestionnaireResponse?questionnaire.status=active",
        "QuestionnaireResponse?_include=QuestionnaireResponse:questionnaire",
        "Questionnaire?_revinclude=QuestionnaireResponse:questionnaire",
        "Questionnaire?_has:QuestionnaireResponse:questionnaire:status=completed",
        "QuestionnaireResponse?_filter=questionnaire.status%20eq%20active",
    ];
    let everything = "QuestionnaireResponse?_include:iterate=*";
    for hidden in ["url", "version"] {
        grant(&[hidden]);
        for road in roads {
            world
                .fhir(&who, &format!("GET {road}"), "")
                .refused(403, "element-hidden");
        }
        let answer = world
            .fhir(&who, &format!("GET {everything}"), "")
            .status(200);
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!told.contains("\"Questionnaire\""), "{told}");
    }
    grant(&["publisher"]);
    for road in roads.into_iter().chain([everything]) {
        let answer = world.fhir(&who, &format!("GET {road}"), "").status(200);
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(told.contains("\"fullUrl\""), "{road}: {told}");
    }
}

#[test]
fn writing_back_what_was_read_loses_nothing() {
    let (world, all, who) = masked();
    let mut shown: Value = world
        .fhir(&who, "GET Patient/p-north", "")
        .status(200)
        .json();
    shown["active"] = json!(false);
    let answer = world
        .fhir(&who, "PUT Patient/p-north", shown.to_string())
        .status(200);
    assert!(!String::from_utf8_lossy(&answer.body).contains("555-"));
    let whole = world.fhir(&all, "GET Patient/p-north", "").status(200);
    let whole = whole
        .at("/active", false)
        .at("/telecom/0/value", "555-north");
    assert!(whole.json().pointer("/meta/tag").is_none());
    // By patch, by $meta-add, conditionally and in a transaction.
    let flip = json!([{ "op": "replace", "path": "/active", "value": true }]);
    let json_patch = [("content-type", "application/json-patch+json")];
    world
        .fhir_with(&who, "PATCH Patient/p-north", &json_patch, flip.to_string())
        .status(200);
    let meta = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "meta", "valueMeta": { "tag": [{ "system": "urn:t", "code": "x" }] } }] });
    world
        .fhir(&who, "POST Patient/p-north/$meta-add", meta.to_string())
        .status(200);
    let shown = world
        .fhir(&who, "GET Patient/p-north", "")
        .status(200)
        .json();
    world
        .fhir(&who, "PUT Patient?name=ofnorth", shown.to_string())
        .status(200);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "resource": shown, "request": { "method": "PUT", "url": "Patient/p-north" } }] });
    world.fhir(&who, "POST ", bundle.to_string()).status(200);
    world
        .fhir(&all, "GET Patient/p-north", "")
        .at("/telecom/0/value", "555-north")
        .at("/meta/tag/0/code", "x")
        .at("/meta/versionId", "6");
}

#[test]
fn what_is_hidden_is_not_written_and_not_looked_at() {
    let (world, all, who) = masked();
    world
        .fhir(&who, "PUT Patient/p-north", patient("north").to_string())
        .refused(403, "element-hidden");
    world
        .fhir(&who, "POST Patient", patient("north").to_string())
        .refused(403, "element-hidden");
    let json_patch = [("content-type", "application/json-patch+json")];
    for op in [
        json!({ "op": "test", "path": "/telecom/0/value", "value": "555-north" }),
        json!({ "op": "remove", "path": "/telecom" }),
        json!({ "op": "copy", "from": "/telecom", "path": "/extension" }),
    ] {
        let answer = world.fhir_with(
            &who,
            "PATCH Patient/p-north",
            &json_patch,
            json!([op]).to_string(),
        );
        assert!((400..=422).contains(&answer.code), "{op}: {}", answer.code);
    }
    let add = json!([{ "op": "add", "path": "/telecom", "value": [{ "value": "1" }] }]);
    world
        .fhir_with(&who, "PATCH Patient/p-north", &json_patch, add.to_string())
        .refused(403, "element-hidden");
    world
        .fhir(&all, "GET Patient/p-north", "")
        .at("/meta/versionId", "1");
    // And what is not theirs to change.
    let mut shown: Value = world.fhir(&who, "GET Patient/p-north", "").json();
    shown["birthDate"] = json!("1971-01-01");
    world
        .fhir(&who, "PUT Patient/p-north", shown.to_string())
        .refused(403, "element-read-only");
    world
        .fhir(
            &who,
            "POST Patient",
            json!({ "resourceType": "Patient", "birthDate": "1970-01-01" }).to_string(),
        )
        .refused(403, "element-read-only");
    world
        .fhir(
            &who,
            "POST Patient",
            json!({ "resourceType": "Patient", "active": true }).to_string(),
        )
        .status(201);
}

#[test]
fn the_grant_that_hides_least_shows_the_resource() {
    let (world, _) = two_facilities();
    let who = northern(&world, "desk");
    grants(
        &world,
        &json!([
            { "name": "own", "who": { "roles": ["desk"] }, "actions": "rs", "types": ["Patient"],
              "criteria": "organization=%user.facilities" },
            { "name": "others", "who": { "roles": ["desk"] }, "actions": "rs", "types": ["Patient"],
              "hide": ["telecom"] },
        ]),
    );
    let shown = |line: &str| {
        String::from_utf8_lossy(&world.fhir(&who, line, "").status(200).body).into_owned()
    };
    assert!(shown("GET Patient/p-north").contains("555-north"));
    assert!(!shown("GET Patient/p-south").contains("555-"));
    let both = shown("GET Patient");
    assert!(
        both.contains("555-north") && !both.contains("555-south"),
        "{both}"
    );
}

#[test]
fn what_was_deleted_is_told_as_deleted_to_who_reaches_all_of_the_type() {
    let (world, all, who) = masked();
    world.fhir(&all, "DELETE Patient/p-north", "").status(204);
    world
        .fhir(&who, "GET Patient/p-north", "")
        .refused(410, "deleted");
    let history = world
        .fhir(&who, "GET Patient/p-north/_history", "")
        .status(200);
    let told = String::from_utf8_lossy(&history.body).into_owned();
    assert_eq!(history.json()["entry"].as_array().map(Vec::len), Some(2));
    assert!(told.contains("Ofnorth") && !told.contains("555-"), "{told}");
}
