//! What FHIR says about single resources, their references and narratives, and about conditions and
//! searches beyond what is done every day.

use serde_json::{Value, json};

use super::find::{finds, person, put, refuses};
use super::world::{World, patient_with_id};

const PATIENT_WITH: &str = r#"<div xmlns="http://www.w3.org/1999/xhtml">HERE</div>"#;

fn narrated(inside: &str) -> String {
    let div = PATIENT_WITH.replace("HERE", inside);
    json!({"resourceType": "Patient", "text": {"status": "generated", "div": div}}).to_string()
}

#[test]
fn narratives_are_well_formed_and_do_nothing() {
    let (world, who) = World::clinic();
    let made = |inside: &str| world.fhir(&who, "POST Patient", narrated(inside));
    for good in [
        "a&nbsp;b &#233;",
        "<img src=\"data:image/png;base64,AAAA\"/>",
    ] {
        made(good).status(201);
    }
    for bad in [
        "&bogus;",
        "&#0;",
        "a & b",
        "]]>",
        "<p lang='en' lang='de'>x</p>",
        "<a href=\"&#106;avascript:alert(1)\">x</a>",
        "<a href=\"java&#10;script:alert(1)\">x</a>",
        "<a href=\"java\tscript:alert(1)\">x</a>",
        "<a href=\"JaVaScript&#58;alert(1)\">x</a>",
        "<a href=\"vbscript:x\">x</a>",
        "<a href=\"data:text/html,x\">x</a>",
    ] {
        made(bad).refused(422, "element-value");
    }
    let bare = r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div>x</div>"}}"#;
    world
        .fhir(&who, "POST Patient", bare)
        .refused(422, "element-value");
    let xml = "<Patient xmlns=\"http://hl7.org/fhir\"><text><status value=\"generated\"/>\
        <div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"&#106;avascript:x\">x</a></div></text></Patient>";
    let media = [("content-type", "application/fhir+xml")];
    world
        .fhir_with(&who, "POST Patient", &media, xml)
        .status(422);
}

#[test]
fn references_name_what_may_stand_there() {
    let (world, who) = World::clinic();
    let made = |subject: Value, inside: Value| {
        let condition =
            json!({"resourceType": "Condition", "subject": subject, "contained": inside});
        world.fhir(&who, "POST Condition", condition.to_string())
    };
    let both = json!([{"resourceType": "Patient", "id": "p"}, {"resourceType": "Practitioner", "id": "d"}]);
    made(json!({"reference": "#p"}), both.clone()).status(201);
    for bad in [
        json!({"reference": "#nope"}),
        json!({"reference": "#d"}),
        json!({"reference": "http://x/fhir/Practitioner/1"}),
        json!({"reference": "Patient/1", "type": "Device"}),
        json!({"type": "Device", "identifier": {"value": "x"}}),
    ] {
        made(bad, both.clone()).refused(422, "reference-target");
    }
    let subject = json!({"reference": "#p"});
    made(
        subject.clone(),
        json!([{"resourceType": "Patient", "id": "p"}, {"resourceType": "Device"}]),
    )
    .refused(422, "element-cardinality");
    made(
        subject.clone(),
        json!([{"resourceType": "Patient", "id": "p"}, {"resourceType": "Patient", "id": "p"}]),
    )
    .refused(422, "element-value");
    made(
        subject,
        json!([{"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}]),
    )
    .refused(422, "element-cardinality");
}

#[test]
fn a_reference_that_is_there_is_not_missing() {
    for version in ["4.0.1", "5.0.0"] {
        let (world, who) = World::clinic_of(version);
        let of = |id: &str, subject: Value| {
            let mut one = json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"},
                "contained": [{"resourceType": "Patient", "id": "p"}]});
            if !subject.is_null() {
                one["subject"] = subject;
            }
            put(&world, &who, &one);
        };
        of("inside", json!({"reference": "#p"}));
        of("shown", json!({"display": "Somebody"}));
        of("there", json!({"reference": "Patient/1"}));
        of("none", Value::Null);
        finds(
            &world,
            &who,
            "Observation?subject:missing=true",
            &["Observation/none"],
        );
        let some = [
            "Observation/inside",
            "Observation/shown",
            "Observation/there",
        ];
        finds(&world, &who, "Observation?subject:missing=false", &some);
        finds(
            &world,
            &who,
            "Observation?subject=Patient/1",
            &["Observation/there"],
        );
    }
}

fn transaction(entries: &Value) -> String {
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string()
}

#[test]
fn versions_that_others_had_become_those_that_are_made() {
    let (world, who) = World::clinic();
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "subject": {"reference": "http://x.org/fhir/Patient/1/_history/5"}});
    let bundle = transaction(&json!([
        {"fullUrl": "http://x.org/fhir/Patient/1", "resource": {"resourceType": "Patient"},
            "request": {"method": "POST", "url": "Patient"}},
        {"fullUrl": "http://x.org/fhir/Observation/1", "resource": observation,
            "request": {"method": "POST", "url": "Observation"}}]));
    let prefer = [("prefer", "return=representation")];
    let done = world.fhir_with(&who, "POST ", &prefer, bundle).status(200);
    let id = done.text("/entry/0/resource/id");
    let subject = done.text("/entry/1/resource/subject/reference");
    assert_eq!(subject, format!("Patient/{id}/_history/1"));
    // A version of what is here stays what it is.
    put(&world, &who, &person("p", &json!({})));
    put(&world, &who, &person("p", &json!({"active": true})));
    let own = format!("{}/t/lakeside/fhir", super::world::ROOT);
    let bundle = transaction(&json!([
        {"fullUrl": format!("{own}/Patient/p"), "resource": {"resourceType": "Patient", "id": "p"},
            "request": {"method": "PUT", "url": "Patient/p"}},
        {"fullUrl": format!("{own}/Observation/o"), "resource": {"resourceType": "Observation", "id": "o",
            "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/p/_history/1"}},
            "request": {"method": "PUT", "url": "Observation/o"}}]));
    world.fhir(&who, "POST ", bundle).status(200);
    world
        .fhir(&who, "GET Observation/o", "")
        .at("/subject/reference", "Patient/p/_history/1");
}

#[test]
fn a_uuid_is_no_link() {
    let (world, who) = World::clinic();
    let uuid = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520";
    let patient = json!({"resourceType": "Patient", "extension": [
        {"url": "http://e.org/u", "valueUuid": uuid}, {"url": "http://e.org/v", "valueUri": uuid}]});
    let bundle = transaction(&json!([{"fullUrl": uuid, "resource": patient,
        "request": {"method": "POST", "url": "Patient"}}]));
    let prefer = [("prefer", "return=representation")];
    let done = world.fhir_with(&who, "POST ", &prefer, bundle).status(200);
    assert_eq!(done.text("/entry/0/resource/extension/0/valueUuid"), uuid);
    let id = done.text("/entry/0/resource/id");
    assert_eq!(
        done.text("/entry/0/resource/extension/1/valueUri"),
        format!("Patient/{id}")
    );
}

#[test]
fn what_is_computed_is_found() {
    let (world, who) = World::clinic();
    let one = json!({"name": [{"family": "Carreño", "given": ["Ana"]}], "birthDate": "1980-02-03"});
    put(&world, &who, &person("a", &one));
    for (code, kind, expression) in [
        ("upper", "string", "Patient.name.family.upper()"),
        ("tagged", "token", "Patient.name.family.first() + '-x'"),
        (
            "either",
            "string",
            "iif(Patient.birthDate.exists(), Patient.name.family.first() + 'y', 'none')",
        ),
        (
            "whole",
            "string",
            "Patient.name.select(given.first() + ' ' + family)",
        ),
        ("born", "string", "Patient.birthDate.toString()"),
        ("later", "date", "Patient.birthDate + 1 year"),
        ("names", "number", "Patient.name.count()"),
    ] {
        let parameter = json!({"resourceType": "SearchParameter", "id": code, "url": format!("http://e.org/{code}"),
            "name": code, "status": "active", "description": "x", "code": code, "base": ["Patient"],
            "type": kind, "expression": expression});
        put(&world, &who, &parameter);
    }
    super::find::built(&world, &who);
    for query in [
        "upper=carreno",
        "upper:exact=CARREÑO",
        "tagged=Carreño-x",
        "either=carrenoy",
        "whole=ana carre",
        "born=1980-02",
        "later=1981-02-03",
        "later=ge1981",
        "names=1",
    ] {
        finds(&world, &who, &format!("Patient?{query}"), &["Patient/a"]);
    }
    for query in ["tagged=x", "later=1980", "names=2"] {
        finds(&world, &who, &format!("Patient?{query}"), &[]);
    }
    for expression in [
        "Patient.managingOrganization.resolve().name",
        "Patient.where(birthDate < today()).name.family",
        "Patient.maritalStatus.where(memberOf('http://x')).text",
        "now()",
        "Patient.contact",
    ] {
        let parameter = json!({"resourceType": "SearchParameter", "url": "http://e.org/bad",
            "name": "bad", "status": "active", "description": "x", "code": "bad", "base": ["Patient"],
            "type": "token", "expression": expression});
        world
            .fhir(&who, "POST SearchParameter", parameter.to_string())
            .refused(422, "search-parameter-invalid");
    }
}

#[test]
fn plain_texts_searched_as_tokens_have_no_case() {
    let (world, who) = World::clinic();
    put(
        &world,
        &who,
        &json!({"resourceType": "Medication", "id": "m", "batch": {"lotNumber": "AbC-1"}}),
    );
    for lot in ["abc-1", "AbC-1", "ABC-1"] {
        finds(
            &world,
            &who,
            &format!("Medication?lot-number={lot}"),
            &["Medication/m"],
        );
    }
    finds(&world, &who, "Medication?lot-number:not=abc-1", &[]);
    finds(&world, &who, "Medication?lot-number=abc", &[]);
}

#[test]
fn conditions_on_versions_and_times() {
    let (world, who) = World::clinic();
    let body = |family: &str| patient_with_id("p", family);
    let put = |name: &str, value: &str, family: &str| {
        world.fhir_with(&who, "PUT Patient/p", &[(name, value)], body(family))
    };
    put("if-none-match", "W/\"1\"", "One").status(201);
    put("if-none-match", "W/\"999\"", "Two").status(200);
    put("if-none-match", "W/\"1\", W/\"2\"", "No").refused(412, "precondition-failed");
    put("if-none-match", "W/\"x\"", "Three").status(200);
    let read = world.fhir(&who, "GET Patient/p", "").status(200);
    let made = read.header_text("last-modified").unwrap().to_owned();
    world.clock.forward_secs(60);
    put("if-unmodified-since", &made, "Four").status(200);
    put("if-unmodified-since", &made, "No").refused(412, "precondition-failed");
    let since = [("if-unmodified-since", made.as_str())];
    let patch = [since[0], ("content-type", "application/json-patch+json")];
    let add = r#"[{"op":"add","path":"/active","value":true}]"#;
    world
        .fhir_with(&who, "PATCH Patient/p", &patch, add)
        .refused(412, "precondition-failed");
    world
        .fhir_with(&who, "DELETE Patient/p", &since, "")
        .refused(412, "precondition-failed");
    world
        .fhir_with(&who, "DELETE Patient?family=Four", &since, "")
        .refused(412, "precondition-failed");
    // Beside If-Match it is not looked at.
    let both = [since[0], ("if-match", "W/\"4\"")];
    world
        .fhir_with(&who, "PUT Patient/p", &both, body("Five"))
        .status(200);
    let meta = json!({"resourceType": "Parameters", "parameter": [
        {"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]});
    let add = |tags: &str| {
        world.fhir_with(
            &who,
            "POST Patient/p/$meta-add",
            &[("if-match", tags)],
            meta.to_string(),
        )
    };
    add("W/\"4\"").refused(412, "version-conflict");
    add("W/\"5\"").status(200);
}

#[test]
fn versions_are_named_as_they_are() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    world.fhir(&who, "GET Patient/p/_history/1", "").status(200);
    for other in ["01", "+1", "0", "1.0"] {
        world
            .fhir(&who, &format!("GET Patient/p/_history/{other}"), "")
            .refused(404, "not-found");
    }
    world.fhir(&who, "DELETE Patient/p", "").status(204);
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "B"))
        .status(201);
    let told = world
        .fhir(&who, "GET Patient/p/_history", "")
        .status(200)
        .json();
    for (i, status) in [
        (0, "201 Created"),
        (1, "204 No Content"),
        (2, "201 Created"),
    ] {
        assert_eq!(told["entry"][i]["response"]["status"], status);
    }
}

#[test]
fn what_a_query_may_not_say_is_refused() {
    let (world, who) = World::clinic();
    for (query, code) in [
        ("Observation?date=2013-01-14T10", "search-value"),
        ("Observation?date=ge2013-01-14T10Z", "search-value"),
        ("Patient?name=a\\b", "search-value"),
        ("Patient?identifier=urn:x|a\\", "search-value"),
        ("?_type:not=Patient", "search-modifier"),
        ("?_type:missing=true", "search-modifier"),
    ] {
        refuses(&world, &who, query, 400, code);
    }
    world.fhir(&who, "GET Patient?name=%zz", "").status(400);
    finds(&world, &who, "Patient?name=a\\,b", &[]);
    finds(&world, &who, "Observation?date=2013-01-14T10:00", &[]);
}

#[test]
fn an_id_in_what_is_created_means_nothing() {
    let (world, who) = World::clinic();
    let body = r#"{"resourceType":"Patient","id":"not an id"}"#;
    let made = world.fhir(&who, "POST Patient", body).status(201);
    assert_ne!(made.text("/id"), "not an id");
    world.fhir(&who, "PUT Patient/x", body).status(400);
}

#[test]
fn links_of_pages_keep_the_form() {
    let (world, who) = World::clinic();
    for id in ["a", "b", "c"] {
        put(&world, &who, &person(id, &json!({})));
    }
    for path in ["Patient", "Patient/_history"] {
        let line = format!("GET {path}?_count=1&_format=application/fhir%2Bjson&_pretty=true");
        let first = world.fhir(&who, &line, "").status(200);
        let next = first.link("next").unwrap();
        assert!(
            next.contains("&_format=application/fhir%2Bjson&_pretty=true"),
            "{next}"
        );
        let second = world.follow(&who, &next).status(200);
        assert!(second.link("next").unwrap().contains("&_pretty=true"));
    }
}

#[test]
fn an_operation_that_there_is_not_is_told_so() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "GET Composition/x/$document", "")
        .refused(501, "not-supported");
}

#[test]
fn the_statement_says_what_is_there() {
    let (world, who) = World::clinic();
    let statement = world.fhir(&who, "GET metadata", "").status(200).json();
    let rest = &statement["rest"][0];
    let names = |of: &Value, member: &str| -> Vec<String> {
        let all = of[member].as_array().unwrap().iter();
        all.map(|o| o["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let operations = names(rest, "operation");
    for name in ["fhirpath", "reindex", "reindex-status", "graphql"] {
        assert!(operations.iter().any(|o| o == name), "{name}");
    }
    let shared = names(rest, "searchParam");
    for name in ["_id", "_lastUpdated", "_tag", "_type", "_has"] {
        assert!(shared.iter().any(|o| o == name), "{name}");
    }
    let compartments = rest["compartment"].as_array().unwrap();
    assert!(compartments.contains(&json!("http://hl7.org/fhir/CompartmentDefinition/patient")));
    let resources = rest["resource"].as_array().unwrap();
    let trail = resources
        .iter()
        .find(|r| r["type"] == "AuditEvent")
        .unwrap();
    assert!(trail.get("searchInclude").is_none() && trail.get("searchRevInclude").is_none());
    let auditor = world.client("lakeside", "system/AuditEvent.rs");
    for parameter in trail["searchParam"].as_array().unwrap() {
        let value = match (
            parameter["type"].as_str().unwrap(),
            parameter["name"].as_str().unwrap(),
        ) {
            (_, "_filter") => "date gt 2020",
            ("date", _) => "2020",
            ("reference", _) => "Patient/1",
            ("uri", _) => "http://e.org/x",
            _ => "x",
        };
        let name = parameter["name"].as_str().unwrap();
        finds(
            &world,
            &auditor,
            &format!("AuditEvent?{name}={value}&date=2020"),
            &[],
        );
    }
    let found = world
        .fhir(&auditor, "GET AuditEvent?_lastUpdated=ge2020&_count=1", "")
        .status(200);
    assert_eq!(found.entries().len(), 1);
}

#[test]
fn enforced_references_lead_to_what_is_there() {
    let world = World::new();
    let tenant = json!({ "name": "lakeside", "config": { "references": "enforced" } });
    world.admin("POST /admin/v1/tenants", &tenant).status(201);
    let who = world.client("lakeside", "system/*.cruds");
    put(&world, &who, &person("e1", &json!({})));
    let made = |subject: &str| {
        let one = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": subject}});
        world.fhir(&who, "POST Observation", one.to_string())
    };
    made("Patient/e1/_history/1").status(201);
    for lost in [
        "Patient/e1/_history/9",
        "Patient/e1/_history/01",
        "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    ] {
        made(lost).refused(422, "reference-missing");
    }
}
