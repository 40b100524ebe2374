//! Who decides about what is kept apart: who reaches it by what its last good version says.

use serde_json::{Value, json};

use super::super::people::{administrator, person};
use super::super::policy::glass::approved;
use super::super::world::World;
use super::{SWAP, approver, client, clinic, decide, past_insula, scrub, waiting};

/// Two facilities, each with a patient and an observation of theirs, and people who administer the tenant and
/// reach the charts of some facilities.
fn facilities(reached: &[(&str, &[&str])]) -> (World, String, Vec<String>) {
    let (world, all) = World::clinic();
    let put = |body: Value| {
        let at = |name: &str| body[name].as_str().unwrap().to_owned();
        let line = format!("PUT {}/{}", at("resourceType"), at("id"));
        world.fhir(&all, &line, body.to_string()).status(201);
    };
    for id in ["north", "south"] {
        put(json!({ "resourceType": "Organization", "id": id, "name": id }));
        put(
            json!({ "resourceType": "Patient", "id": format!("p-{id}"), "name": [{ "family": id }],
            "managingOrganization": { "reference": format!("Organization/{id}") } }),
        );
        put(
            json!({ "resourceType": "Observation", "id": format!("o-{id}"), "status": "final",
            "code": { "text": "x" }, "subject": { "reference": format!("Patient/p-{id}") } }),
        );
    }
    let mut grants = vec![
        json!({ "name": "administers", "who": { "roles": ["keeper"] },
        "actions": ["administer"], "types": ["*"] }),
    ];
    for (login, of) in reached {
        for facility in *of {
            grants.push(
                json!({ "name": format!("{login}-{facility}"), "who": { "roles": [login] },
                "actions": "cruds", "types": ["Patient", "Observation"],
                "within": format!("Patient?organization:below=Organization/{facility}") }),
            );
        }
    }
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    let admin = administrator(&world, "lakeside");
    let people = reached.iter().map(|(login, _)| {
        let draft = json!({ "login": login, "name": login, "roles": ["keeper", login] });
        approved(&person(&admin, &draft).0)
    });
    let people = people.collect();
    (world, all, people)
}

#[test]
fn a_decision_is_made_with_its_deletion_or_not_at_all() {
    let (world, all, people) = facilities(&[("near", &["north"]), ("far", &["north", "south"])]);
    // There is one version, and it does not carry its seal.
    let change = |id: &str| {
        past_insula(&world.dir)
            .execute_batch(&format!(
                "UPDATE version SET updated_us = updated_us + 1 WHERE vid =
                   (SELECT vid FROM resource WHERE id = '{id}')"
            ))
            .unwrap();
    };
    change("o-south");
    scrub(&world);
    let apart = [("Observation/o-south".to_owned(), 1, "seal".to_owned())];
    assert_eq!(waiting(&world), apart);
    for (decision, who) in [
        ("delete", &people[0]),
        ("revert", &people[0]),
        ("accept", &people[0]),
        // Nothing that can be believed says that it is theirs.
        ("delete", &people[1]),
        ("revert", &people[1]),
    ] {
        decide(&world, who, "Observation/o-south", decision).refused(403, "scope-missing");
        assert_eq!(waiting(&world), apart, "{decision}");
    }
    world
        .fhir(&all, "GET Observation/o-south", "")
        .refused(500, "resource-quarantined");
    let report = world.admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null);
    let report = report.json();
    assert_eq!(report["findings"][0]["id"], "o-south", "{report:#}");
    assert_eq!(report["decided"], Value::Null, "{report:#}");
    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=1000",
        &Value::Null,
    );
    let trail = trail.status(200).json().to_string();
    assert!(!trail.contains("delete quarantine"), "{trail}");

    // Who reaches all of the type decides.
    let grants = json!([{ "name": "all", "who": { "roles": ["keeper"] },
        "actions": ["administer", "create", "read", "update", "delete", "search"], "types": ["*"] }]);
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    decide(&world, &people[0], "Observation/o-south", "delete").status(200);
    world
        .fhir(&all, "GET Observation/o-south", "")
        .refused(410, "deleted");
    assert!(waiting(&world).is_empty());
    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=1000",
        &Value::Null,
    );
    let trail = trail.status(200).json().to_string();
    assert!(
        trail.contains("delete quarantine Observation/o-south"),
        "{trail}"
    );
}

#[test]
fn who_reaches_some_charts_reverts_what_the_index_says_wrongly_of_them_and_deletes_nothing_good() {
    let (world, all, people) = facilities(&[("near", &["north"]), ("far", &["north", "south"])]);
    let (near, far) = (&people[0], &people[1]);
    // As far as searches know, what is of the south is of the north.
    past_insula(&world.dir)
        .execute_batch(
            "UPDATE ix_reference SET id = 'p-north' WHERE id = 'p-south' AND rid =
               (SELECT rid FROM resource WHERE id = 'o-south');
             UPDATE ix_reference SET id = 'north' WHERE id = 'south' AND rid =
               (SELECT rid FROM resource WHERE id = 'p-south');",
        )
        .unwrap();
    scrub(&world);
    let resources = ["Observation/o-south", "Patient/p-south"];
    let names = || {
        let mut names: Vec<String> = waiting(&world).into_iter().map(|w| w.0).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names(), resources);
    // The patient first: what its index says of it opens no chart until it is good again.
    for resource in ["Patient/p-south", "Observation/o-south"] {
        let line = format!("GET $quarantine?resource={resource}");
        let shown = world.fhir(near, &line, "").status(200).json().to_string();
        assert!(!shown.contains("lastGood"), "{shown}");
        for decision in ["revert", "delete", "accept"] {
            decide(&world, near, resource, decision).refused(403, "scope-missing");
        }
        let shown = world.fhir(far, &line, "").status(200).json().to_string();
        assert!(shown.contains("lastGoodDigest"), "{shown}");
        decide(&world, far, resource, "delete").refused(409, "quarantine-decision");
        assert!(names().contains(&resource.to_owned()));
        decide(&world, far, resource, "revert").status(200);
        world
            .fhir(&all, &format!("GET {resource}"), "")
            .status(200)
            .at("/meta/versionId", "2");
    }
    assert!(waiting(&world).is_empty());
    world.fhir(far, "GET Observation/o-south", "").status(200);
    world.fhir(near, "GET Observation/o-south", "").status(404);
    let found = world.fhir(&all, "GET Observation?patient=p-south", "");
    assert_eq!(found.status(200).entries(), ["Observation/o-south"]);
    let report = world.admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null);
    assert_eq!(report.json()["findings"], json!([]));
}

/// The Parameters of an answer by name.
fn said(told: &Value, name: &str) -> Value {
    let parameters = told["parameter"].as_array().unwrap();
    let found = parameters.iter().find(|p| p["name"] == name);
    found.map_or(Value::Null, |p| p["valueBoolean"].clone())
}

#[test]
fn a_policy_is_tried_on_what_is_kept_apart_as_reads_of_it_are_judged() {
    let (world, _) = clinic();
    let keeper = approver(&world, "cruds");
    // The last good version says First, the index Second, what lies there Other.
    let criteria = ["family=First", "family=Second", "family=Other", "_id=p", ""];
    let mut grants = vec![json!({ "name": "keeps", "who": { "roles": ["keeper"] },
        "actions": ["administer", "create", "read", "update", "delete", "search"], "types": ["*"] })];
    for (n, criteria) in criteria.iter().enumerate() {
        let mut grant = json!({ "name": format!("g{n}"), "who": { "roles": [format!("r{n}")] },
            "actions": "rs", "types": ["Patient"] });
        if !criteria.is_empty() {
            grant["criteria"] = json!(format!("Patient?{criteria}"));
        }
        grants.push(grant);
    }
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    past_insula(&world.dir).execute_batch(SWAP).unwrap();
    scrub(&world);
    for (n, criteria) in criteria.iter().enumerate() {
        let role = format!("r{n}");
        let read = world.fhir(&client(&world, &role), "GET Patient/p", "").code;
        let body = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "role", "valueString": role },
            { "name": "action", "valueCode": "read" },
            { "name": "type", "valueCode": "Patient" },
            { "name": "id", "valueString": "p" } ] });
        let told = world
            .fhir(&keeper, "POST $policy-test", body.to_string())
            .status(200)
            .json();
        assert_eq!(said(&told, "found"), true, "{criteria}: {told:#}");
        assert_eq!(said(&told, "quarantined"), true, "{criteria}: {told:#}");
        let wanted = if said(&told, "allowed") == true {
            500
        } else {
            404
        };
        assert_eq!(read, wanted, "{criteria}: {told:#}");
        let reaches = matches!(*criteria, "_id=p" | "");
        assert_eq!(said(&told, "allowed"), reaches, "{criteria}: {told:#}");
    }
    // What is not there, and what is as it was written, is told of as ever.
    for (id, found) in [("none", false), ("other", true)] {
        let body = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "role", "valueString": "r4" },
            { "name": "action", "valueCode": "read" },
            { "name": "type", "valueCode": "Patient" },
            { "name": "id", "valueString": id } ] });
        let told = world.fhir(&keeper, "POST $policy-test", body.to_string());
        let told = told.status(200).json();
        assert_eq!(said(&told, "found"), found, "{told:#}");
        assert_eq!(said(&told, "quarantined"), Value::Null, "{told:#}");
    }
}

#[test]
fn a_good_version_is_reverted_to_that_would_not_be_accepted_today() {
    let (mut world, all) = clinic();
    let keeper = approver(&world, "cruds");
    let mut deep = json!({ "url": "http://x", "valueString": "deep" });
    for _ in 0..12 {
        deep = json!({ "url": "http://x", "extension": [deep] });
    }
    let mut body = json!({ "resourceType": "Patient", "id": "p", "name": [{ "family": "Deep" }] });
    body["extension"] = json!([deep]);
    world
        .fhir(&all, "PUT Patient/p", body.to_string())
        .status(200);
    let third = super::patient_with_id("p", "Fourth");
    world.fhir(&all, "PUT Patient/p", third).status(200);
    past_insula(&world.dir)
        .execute_batch(
            "UPDATE version SET updated_us = updated_us + 1 WHERE version = 4 AND rid =
               (SELECT rid FROM resource WHERE id = 'p')",
        )
        .unwrap();
    world.begin_again_with(|limits| limits.json_depth_max = 12);
    scrub(&world);
    let apart = [("Patient/p".to_owned(), 4, "seal".to_owned())];
    assert_eq!(waiting(&world), apart);
    // Nobody brings the like today.
    world
        .fhir(
            &all,
            "PUT Patient/q",
            body.to_string().replace("\"p\"", "\"q\""),
        )
        .refused(413, "limit-exceeded");
    decide(&world, &keeper, "Patient/p", "revert").status(200);
    let now = world.fhir(&all, "GET Patient/p", "").status(200);
    now.at("/name/0/family", "Deep").at("/meta/versionId", "5");
    let found = world.fhir(&all, "GET Patient?family=Deep", "").status(200);
    assert_eq!(found.entries(), ["Patient/p"]);
    assert!(waiting(&world).is_empty());
}
