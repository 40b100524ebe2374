//! Grants that name operations, and what is read in bulk.

use serde_json::{Value, json};

use super::super::people::{administrator, person};
use super::super::world::World;
use super::{fill, govern, grants, northern, sorted, staff, two_facilities};

/// A grant to whoever is called `taker`.
fn to_taker(name: &str, actions: &Value, types: &[&str], more: &Value) -> Value {
    let mut grant =
        json!({ "name": name, "who": { "roles": ["taker"] }, "actions": actions, "types": types });
    let members = more.as_object().cloned().unwrap_or_default();
    grant.as_object_mut().unwrap().extend(members);
    grant
}

const NORTH: &str = "Patient?organization=%user.facilities";

fn taker(world: &World) -> String {
    staff(world, &["taker@Organization/o-north"], "system/*.cruds")
}

/// Somebody of a role for whom a resource stands.
fn known(world: &World, role: &str, user: &str) -> String {
    let admin = administrator(world, "lakeside");
    let draft =
        json!({ "login": "somebody", "name": "Somebody", "roles": [role], "fhir_user": user });
    super::glass::approved(&person(&admin, &draft).0)
}

fn found(world: &World, who: &str, line: &str) -> Vec<String> {
    let answer = world.fhir(who, &format!("GET {line}"), "");
    sorted(answer.status(200).entries())
}

#[test]
fn an_operation_that_is_granted_gives_nothing_else() {
    let (world, _) = two_facilities();
    let actions = json!(["$everything", "$lastn", "$graphql"]);
    let charts = to_taker("look", &actions, &["*"], &json!({ "within": NORTH }));
    grants(&world, &json!([charts]));
    let who = taker(&world);
    for line in [
        "GET Patient/p-north",
        "GET Patient",
        "GET Observation?code=finding",
        "GET Patient/p-north/$meta",
    ] {
        world.fhir(&who, line, "").refused(403, "scope-missing");
    }
    let all = found(&world, &who, "Patient/p-north/$everything");
    assert!(all.contains(&"Observation/b-north".to_owned()), "{all:?}");
    assert!(all.iter().all(|name| name.ends_with("north")), "{all:?}");
    world
        .fhir(&who, "GET Patient/p-south/$everything", "")
        .refused(404, "not-found");
    let last = "Observation/$lastn?patient=Patient/p-north&code=finding";
    assert_eq!(found(&world, &who, last), ["Observation/b-north"]);
    let other = "Observation/$lastn?patient=Patient/p-south&code=finding";
    assert!(found(&world, &who, other).is_empty());
    let listed = world
        .fhir(&who, "GET $graphql?query=%7BPatientList%7Bid%7D%7D", "")
        .status(200);
    assert_eq!(
        listed.json()["data"]["PatientList"],
        json!([{ "id": "p-north" }])
    );
    // In a batch as alone, one entry as the other.
    let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        { "request": { "method": "GET", "url": last } },
        { "request": { "method": "GET", "url": "Observation/b-north" } }] });
    let answer = world
        .fhir(&who, "POST ", batch.to_string())
        .status(200)
        .json();
    assert_eq!(answer["entry"][0]["response"]["status"], "200 OK");
    assert_eq!(answer["entry"][1]["response"]["status"], "403 Forbidden");
}

#[test]
fn labels_may_be_changed_by_whom_the_rest_may_not() {
    let (world, all) = two_facilities();
    let labels = to_taker(
        "labels",
        &json!(["$meta-add"]),
        &["Observation"],
        &json!({}),
    );
    let read = to_taker(
        "read",
        &json!("r"),
        &["Observation"],
        &json!({ "within": NORTH }),
    );
    let tagged = to_taker(
        "tagged",
        &json!("r"),
        &["Observation"],
        &json!({ "criteria": "_tag=seen" }),
    );
    grants(&world, &json!([labels, read, tagged]));
    let who = taker(&world);
    let meta = json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta",
        "valueMeta": { "tag": [{ "system": "urn:t", "code": "seen" }] } }] })
    .to_string();
    world
        .fhir(&who, "POST Observation/b-north/$meta-add", meta.clone())
        .status(200);
    let body = world.fhir(&all, "GET Observation/b-north", "").status(200);
    assert_eq!(body.json()["meta"]["tag"][0]["code"], "seen");
    let line = "POST Observation/b-north/$meta-delete";
    world
        .fhir(&who, line, meta.clone())
        .refused(403, "scope-missing");
    world
        .fhir(&who, "PUT Observation/b-north", body.body.clone())
        .refused(403, "scope-missing");
    // Nobody labels what they do not read so that they do.
    world
        .fhir(&who, "POST Observation/b-south/$meta-add", meta)
        .refused(404, "not-found");
    world
        .fhir(&who, "GET Observation/b-south", "")
        .refused(404, "not-found");
}

#[test]
fn many_patients_at_once_are_read_by_grants_of_export_alone() {
    let (world, all) = two_facilities();
    let group = json!({ "resourceType": "Group", "id": "g", "type": "person", "actual": true,
        "member": [{ "entity": { "reference": "Patient/p-north" } }, { "entity": { "reference": "Patient/p-south" } }] });
    world
        .fhir(&all, "PUT Group/g", group.to_string())
        .status(201);
    let who = taker(&world);
    let read = to_taker("read", &json!("rs"), &["*"], &json!({}));
    grants(&world, &json!([read]));
    assert_eq!(
        found(&world, &who, "Patient"),
        ["Patient/p-north", "Patient/p-south"]
    );
    for line in [
        "GET Patient/$everything",
        "GET Group/g/$everything",
        "POST Patient/$everything",
    ] {
        world.fhir(&who, line, "").refused(403, "scope-missing");
    }
    let one = found(&world, &who, "Patient/p-south/$everything");
    assert!(one.contains(&"Observation/b-south".to_owned()), "{one:?}");

    let export = to_taker(
        "take",
        &json!(["export"]),
        &["*"],
        &json!({ "within": NORTH, "hide": ["telecom"] }),
    );
    let groups = to_taker("groups", &json!(["export"]), &["Group"], &json!({}));
    grants(&world, &json!([read, export, groups]));
    let bulk = world
        .fhir(
            &who,
            "GET Patient/$everything?_type=Patient,Observation",
            "",
        )
        .status(200);
    assert_eq!(
        sorted(bulk.entries()),
        ["Observation/b-north", "Patient/p-north"]
    );
    assert!(!String::from_utf8_lossy(&bulk.body).contains("555-north"));
    let of_group = found(&world, &who, "Group/g/$everything?_type=Patient,Group");
    assert_eq!(of_group, ["Group/g", "Patient/p-north"]);
    let single = world.fhir(&who, "GET Patient/p-north", "").status(200);
    assert!(String::from_utf8_lossy(&single.body).contains("555-north"));

    // What may not be read otherwise may not be taken either where a refusal says so.
    let never = json!({ "name": "never", "effect": "deny", "who": { "anyone": true }, "actions": "s", "types": ["Observation"] });
    grants(&world, &json!([read, export, groups, never]));
    world
        .fhir(&who, "GET Patient/$everything?_type=Observation", "")
        .refused(403, "scope-missing");
    let none = json!({ "name": "none", "effect": "deny", "who": { "anyone": true }, "actions": ["export"], "types": ["*"] });
    grants(&world, &json!([read, export, none]));
    world
        .fhir(&who, "GET Patient/$everything", "")
        .refused(403, "scope-missing");
    // Of a client that policy does not govern as well; it has what its scopes say where nothing is refused.
    world
        .fhir(&all, "GET Patient/$everything", "")
        .refused(403, "scope-missing");
    world.fhir(&all, "GET Patient", "").status(200);
    grants(&world, &json!([read]));
    world.fhir(&all, "GET Patient/$everything", "").status(200);
}

#[test]
fn export_asks_for_what_its_grant_asks_for() {
    let (world, _) = two_facilities();
    let export = to_taker(
        "take",
        &json!(["export"]),
        &["*"],
        &json!({ "require": { "reason": true } }),
    );
    grants(&world, &json!([export]));
    let who = taker(&world);
    let line = "GET Patient/$everything?_type=Patient";
    world.fhir(&who, line, "").refused(403, "reason-required");
    let answer = world.fhir_with(&who, line, &[("access-reason", "moving out")], "");
    assert_eq!(answer.status(200).entries().len(), 2);
}

#[test]
fn nobody_opens_to_themselves_what_an_operation_shows() {
    let (world, _) = two_facilities();
    let write = to_taker("teams", &json!("crus"), &["CareTeam"], &json!({}));
    let team = "Patient?_has:CareTeam:patient:participant=%user.practitioner";
    let look = to_taker(
        "look",
        &json!(["$everything"]),
        &["*"],
        &json!({ "within": team }),
    );
    grants(&world, &json!([write, look]));
    let who = known(&world, "taker", "Practitioner/dr-north");
    let body = json!({ "resourceType": "CareTeam", "status": "active", "subject": { "reference": "Patient/p-south" },
        "participant": [{ "member": { "reference": "Practitioner/dr-north" } }] });
    world
        .fhir(&who, "POST CareTeam", body.to_string())
        .refused(403, "own-evidence");
}

#[test]
fn a_test_of_the_policy_tells_of_operations_and_export() {
    let (world, all) = World::clinic();
    fill(&world, &all);
    let look = to_taker(
        "look",
        &json!(["$lastn", "export"]),
        &["Observation"],
        &json!({}),
    );
    let no = json!({ "name": "no", "effect": "deny", "who": { "roles": ["taker"] }, "actions": ["$everything"], "types": ["*"] });
    grants(&world, &json!([look, no]));
    let ask = |action: &str| {
        let asked = json!({ "roles": ["taker"], "action": action, "type": "Observation" });
        let told = world
            .admin("POST /admin/v1/tenants/lakeside/policy/test", &asked)
            .status(200)
            .json();
        (
            told["allowed"].clone(),
            told["steps"][0]["says"].clone(),
            told["steps"][1]["says"].clone(),
        )
    };
    assert_eq!(
        ask("search"),
        (json!(false), json!("other-action"), json!("other-action"))
    );
    assert_eq!(
        ask("$lastn"),
        (json!(true), json!("gives"), json!("other-action"))
    );
    // The operation that reads in bulk is refused by name.
    assert_eq!(
        ask("export"),
        (json!(false), json!("gives"), json!("refuses"))
    );
    assert_eq!(
        ask("$everything"),
        (json!(false), json!("other-action"), json!("refuses"))
    );
    let matrix = world
        .admin("GET /admin/v1/tenants/lakeside/policy/matrix", &Value::Null)
        .status(200)
        .json();
    assert_eq!(matrix["types"]["Observation"], json!(["$lastn"]));
}

#[test]
fn patients_take_their_own_chart_along() {
    let (world, _) = two_facilities();
    govern(
        &world,
        &json!({ "preset": "network-wide", "reason": "test" }),
    );
    let who = known(&world, "patient", "Patient/p-north");
    let all = found(
        &world,
        &who,
        "Patient/$everything?_type=Patient,Observation",
    );
    assert_eq!(all, ["Observation/b-north", "Patient/p-north"]);
    let clinician = northern(&world, "clinician");
    world
        .fhir(&clinician, "GET Patient/$everything", "")
        .refused(403, "scope-missing");
}

#[test]
fn a_draft_is_tried_on_what_operations_looked_at() {
    let (world, _) = two_facilities();
    let look = to_taker(
        "look",
        &json!(["$lastn", "export"]),
        &["Observation", "Patient"],
        &json!({}),
    );
    grants(&world, &json!([look]));
    let who = taker(&world);
    found(
        &world,
        &who,
        "Observation/$lastn?patient=Patient/p-north&code=finding",
    );
    found(&world, &who, "Patient/$everything?_type=Patient");
    let shifts = |actions: &Value| {
        let grant = to_taker("look", actions, &["Observation", "Patient"], &json!({}));
        let draft = json!({ "document": { "grants": [grant] } });
        let line = "POST /admin/v1/tenants/lakeside/policy/dry-run";
        let run = world.admin(line, &draft).status(200).json();
        let shifts = run["shifts"].as_array().unwrap().clone();
        let told = |s: &Value| format!("{} {} {}", s["type"], s["now"], s["then"]).replace('"', "");
        sorted(shifts.iter().map(told).collect())
    };
    assert!(shifts(&json!(["$lastn", "export", "read"])).is_empty());
    assert_eq!(shifts(&json!(["$lastn"])), ["Patient all nothing"]);
    // What may be searched may be asked by every operation, and is not exported for that.
    assert_eq!(shifts(&json!("rs")), ["Patient all nothing"]);
    assert_eq!(
        shifts(&json!("r")),
        ["Observation all nothing", "Patient all nothing"]
    );
}

#[test]
fn what_is_refused_by_name_is_told_as_nothing_and_recorded() {
    let (world, _) = two_facilities();
    let look = to_taker(
        "look",
        &json!(["$lastn", "export", "search", "$meta-add"]),
        &["Observation", "Patient"],
        &json!({}),
    );
    let no = json!({ "name": "no", "effect": "deny", "who": { "roles": ["taker"] },
        "actions": ["$everything", "$lastn"], "types": ["*"] });
    grants(&world, &json!([look]));
    let who = taker(&world);
    found(&world, &who, "Patient/$everything?_type=Observation");
    grants(&world, &json!([look, no]));
    let line = "GET /admin/v1/tenants/lakeside/policy/matrix";
    let matrix = world.admin(line, &Value::Null).status(200).json();
    assert_eq!(matrix["types"]["Observation"], json!(["s"]));
    let draft = json!({ "document": { "grants": [look] } });
    let line = "POST /admin/v1/tenants/lakeside/policy/dry-run";
    let run = world.admin(line, &draft).status(200).json();
    let shift = &run["shifts"][0];
    assert_eq!(
        (&shift["action"], &shift["now"], &shift["then"]),
        (&json!("export"), &json!("nothing"), &json!("all"))
    );
    // What labelling takes beside the grant is not there.
    let asked = json!({ "roles": ["taker"], "action": "$meta-add", "type": "Observation" });
    let line = "POST /admin/v1/tenants/lakeside/policy/test";
    assert_eq!(
        world.admin(line, &asked).status(200).json()["allowed"],
        false
    );

    grants(
        &world,
        &json!([to_taker("read", &json!("rs"), &["*"], &json!({}))]),
    );
    world
        .fhir(&who, "GET Patient/$everything", "")
        .refused(403, "scope-missing");
    let auditor = world.client("lakeside", "system/AuditEvent.rs");
    let told = world
        .fhir(&auditor, "GET AuditEvent?outcome=8&_count=1", "")
        .status(200)
        .json();
    let event = &told["entry"][0]["resource"];
    let codes = event["subtype"].to_string();
    assert!(
        codes.contains("operation") && !codes.contains("Audit Log"),
        "{event:#}"
    );
}

#[test]
fn every_operation_that_is_served_can_be_refused_by_name() {
    let (world, _) = World::clinic();
    let paths = crate::routes::ROUTES.iter().map(|route| route.path);
    let mut names: Vec<&str> = paths
        .filter_map(|path| path.find('$').map(|at| &path[at..]))
        .collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 20, "{names:?}");
    let no = json!({ "name": "no", "effect": "deny", "who": { "anyone": true }, "actions": names, "types": ["*"] });
    grants(&world, &json!([no]));
}
