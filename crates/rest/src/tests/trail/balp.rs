//! Events after IHE's Basic Audit Log Patterns, and every kind of event a valid resource.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Trail, observation, subtype};
use crate::tests::people::{administrator, person};
use crate::tests::policy::glass::approved;

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";

fn codes<'e>(event: &'e Value, kind: &str) -> BTreeSet<&'e str> {
    let list = match kind {
        "subtype" => event["subtype"].as_array(),
        _ => event["code"]["coding"].as_array(),
    };
    let codes = list.into_iter().flatten();
    codes.filter_map(|c| c["code"].as_str()).collect()
}

/// The only agent of a type.
fn agent<'e>(event: &'e Value, system: &str, code: &str) -> &'e Value {
    let agents = event["agent"].as_array().unwrap();
    let is = |a: &&Value| {
        let coding = &a["type"]["coding"][0];
        coding["system"] == system && coding["code"] == code
    };
    let found: Vec<&Value> = agents.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{code} in {agents:?}");
    found[0]
}

/// Entities of a type.
fn entities<'e>(event: &'e Value, code: &str) -> Vec<&'e Value> {
    let all = event["entity"].as_array().unwrap().iter();
    all.filter(|e| e["type"]["code"] == code).collect()
}

/// Client and server, as a pattern has them.
fn has_ends(event: &Value, (client, server): ((&str, &str), (&str, &str))) {
    for end in [
        agent(event, client.0, client.1),
        agent(event, server.0, server.1),
    ] {
        assert!(end["who"].is_object(), "{end}");
        assert!(end["network"]["address"].is_string(), "{end}");
        assert!(end["media"].is_null());
    }
    let request = entities(event, "XrequestId");
    assert_eq!(request.len(), 1);
    assert!(request[0]["what"]["identifier"]["value"].is_string());
}

/// The person who asked, as a pattern has them.
fn has_user(event: &Value, part: &str) {
    let system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
    let user = agent(event, system, part);
    assert_eq!(user["requestor"], true);
    assert!(user["who"].is_object());
    assert!(user["network"].is_null() && user["media"].is_null());
    assert_eq!(user["purposeOfUse"][0]["coding"][0]["code"], "TREAT");
}

fn has_patient(event: &Value) {
    let patients = entities(event, "1");
    assert_eq!(patients.len(), 1);
    assert_eq!(patients[0]["role"]["code"], "1");
    assert_eq!(patients[0]["what"]["reference"], "Patient/p1");
}

fn has_data(event: &Value) {
    let data = entities(event, "2");
    assert_eq!(data.len(), 1);
    assert_eq!(data[0]["role"]["code"], "4");
    assert!(data[0]["what"]["reference"].is_string());
}

#[test]
fn accesses_fit_the_patterns() {
    let t = Trail::of("4.0.1");
    let admin = administrator(&t.world, "lakeside");
    let grants = json!({ "document": { "grants": [{ "name": "all", "who": { "roles": ["clinician"] },
        "actions": "cruds", "types": ["*"] }, { "name": "clients", "who": { "clients": ["*"] },
        "actions": "cruds", "types": ["*"] }] }, "reason": "test" });
    let _ = t
        .world
        .admin("POST /admin/v1/tenants/lakeside/policy", &grants);
    let draft = json!({ "login": "a", "name": "a", "roles": ["clinician"] });
    let (doctor, _) = person(&admin, &draft);
    let doctor = approved(&doctor);
    let why = [("access-reason", "TREAT")];
    let ask = |line: &str, body: String| {
        let answer = t.world.fhir_with(&doctor, line, &why, body);
        assert!((200..300).contains(&answer.code), "{line}: {}", answer.code);
    };
    ask("GET Observation/o-p1", String::new());
    ask("GET Observation?patient=p1", String::new());
    ask("POST Observation", observation("p1"));
    ask(
        "PUT Observation/o-p1",
        observation("p1").replace("\"x\"", "\"y\""),
    );
    let made = observation("p1").replace("o-p1", "o-new");
    ask("PUT Observation/o-new", made);
    ask("DELETE Observation/o-new", String::new());
    let source = (DCM, "110153");
    let destination = (DCM, "110152");
    let custodian = (
        "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
        "custodian",
    );
    let patterns = [
        ("read", 'R', (destination, source), "IRCP"),
        ("search-type", 'E', (source, destination), "IRCP"),
        ("create", 'C', (source, destination), "AUT"),
        ("update", 'U', (source, destination), "AUT"),
        ("delete", 'D', ((DCM, "110150"), custodian), "AUT"),
    ];
    for (code, action, ends, user) in patterns {
        let query = format!("subtype={code}&action={action}&agent-name=a&_sort=-date");
        let found = t.events(&query);
        let event = found.first().unwrap_or_else(|| panic!("{code}"));
        assert_eq!(event["type"]["code"], "rest");
        assert!(codes(event, "subtype").contains(code));
        assert_eq!(event["action"], action.to_string());
        assert_eq!(event["outcome"], "0");
        has_ends(event, ends);
        has_user(event, user);
        has_patient(event);
        if code == "search-type" {
            let query = entities(event, "2");
            assert_eq!(query.len(), 1);
            assert_eq!(query[0]["role"]["code"], "24");
            assert!(query[0]["query"].is_string() && query[0]["what"].is_null());
            assert_eq!(entities(event, "Observation").len(), 1);
        } else {
            has_data(event);
        }
    }
    // An update that makes a resource is a creation as well.
    let made = t.events("entity=Observation/o-new&action=C");
    assert_eq!(
        codes(&made[0], "subtype"),
        BTreeSet::from(["create", "update"])
    );
}

/// Does something of every kind.
fn everything(t: &Trail) {
    let (world, all) = (&t.world, &t.all);
    let fhir = |line: &str, body: &str| drop(world.fhir(all, line, body.to_owned()));
    fhir("GET Observation/o-p1", "");
    fhir("GET Observation/nothing", "");
    fhir("GET Observation/o-p1/_history/1", "");
    for history in [
        "Observation/o-p1/_history",
        "Observation/_history",
        "_history",
    ] {
        fhir(&format!("GET {history}"), "");
    }
    fhir("GET Observation?status=final&_count=10", "");
    fhir("GET ?_type=Patient,Observation", "");
    fhir("GET Patient/p1/$everything", "");
    fhir("GET Patient/p1/$meta", "");
    fhir("POST Patient", "{\"resourceType\":\"Patient\"}");
    fhir("DELETE Observation/o-p2", "");
    let entry = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "resource": { "resourceType": "Patient" }, "request": { "method": "POST", "url": "Patient" } },
        { "resource": { "resourceType": "Patient" }, "request": { "method": "POST", "url": "Patient" } }] });
    fhir("POST ", &entry.to_string());
    let narrow = world.client("lakeside", "system/Observation.r");
    world.fhir(&narrow, "GET Patient/p1", "").status(403);
    world
        .fhir("Basic bm9ib2R5Ong=", "GET Patient/p1", "")
        .status(401);
    // People, programs, keys, configuration, bulk.
    let admin = administrator(world, "lakeside");
    let draft = json!({ "login": "a", "name": "a", "roles": ["clinician"] });
    let (doctor, id) = person(&admin, &draft);
    let token = approved(&doctor);
    world.fhir(&token, "GET Patient/p1", "");
    let line = format!("PATCH people/{id}");
    drop(admin.api(&line, &json!({ "name": "b" })));
    let tenant = "/admin/v1/tenants/lakeside";
    let null = Value::Null;
    let admin = |line: &str, body: &Value| {
        let answer = world.admin(line, body);
        assert!(answer.code < 300, "{line}: {}", answer.code);
        answer
    };
    let policy = json!({ "preset": "own-facility", "reason": "test" });
    admin(&format!("POST {tenant}/policy"), &policy);
    let client = json!({ "name": "c", "scopes": ["system/*.rs"] });
    let client = admin(&format!("POST {tenant}/clients"), &client).text("/client_id");
    admin(&format!("DELETE {tenant}/clients/{client}"), &null);
    admin(
        &format!("POST {tenant}/imports"),
        &json!({ "reason": "move" }),
    );
    admin(&format!("PATCH {tenant}"), &json!({ "display": "Lake" }));
    admin(&format!("POST {tenant}/suspend"), &null);
    admin(&format!("POST {tenant}/resume"), &null);
    admin(&format!("POST {tenant}/verify"), &null);
    admin(&format!("GET {tenant}/audit?limit=10"), &null);
    admin(
        &format!("GET {tenant}/audit/report?patient=Patient/p1"),
        &null,
    );
}

#[test]
fn every_kind_of_event_is_there_and_is_a_valid_resource() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let t = Trail::of(fhir);
        everything(&t);
        let mut kinds = BTreeSet::new();
        let mut answer = t.search("_count=100&_sort=date").status(200);
        let validator = t.world.client("lakeside", "system/*.cruds");
        loop {
            let page = answer.json();
            let entries = page["entry"].as_array().cloned().unwrap_or_default();
            for entry in entries {
                let event = &entry["resource"];
                let kind = (
                    subtype(event).to_owned(),
                    codes(event, if fhir == "5.0.0" { "code" } else { "subtype" })
                        .into_iter()
                        .map(str::to_owned)
                        .collect::<BTreeSet<_>>(),
                );
                if !kinds.insert(kind.clone()) {
                    continue;
                }
                // What a program sends is judged before it is kept.
                let told = t
                    .world
                    .fhir(&validator, "POST AuditEvent", event.to_string());
                let said = String::from_utf8_lossy(&told.body).into_owned();
                assert_eq!(told.code, 201, "{fhir} {kind:?}: {event}\n{said}");
            }
            let Some(next) = answer.link("next") else {
                break;
            };
            answer = t.world.follow(&t.auditor, &next).status(200);
        }
        let known: BTreeSet<&str> = kinds
            .iter()
            .flat_map(|(_, all)| all)
            .map(String::as_str)
            .collect();
        for wanted in [
            "read",
            "search-type",
            "search-system",
            "history-instance",
            "history-type",
            "history-system",
            "create",
            "delete",
            "transaction",
            // Sign-ins and tokens.
            "110122",
            // Policies, people, programs, configuration, import, use of the trail.
            "110136",
            "110137",
            "110129",
            "110131",
            "110107",
            "110101",
            "publish-policy",
            "create-client",
            "revoke-client",
            "suspend-tenant",
            "resume-tenant",
            "change-tenant",
            "verify",
        ] {
            assert!(known.contains(wanted), "{fhir}: no {wanted} in {known:?}");
        }
    }
}
