//! What a client's scopes let it see reaches into every corner of a search.

use serde_json::{Value, json};
use testkit::build::{bundle, entry, observation, patient_identified, with_id};
use testkit::world::{Caller, Tenant, matches, word};

use crate::world::tenant;

fn inhabited() -> (Tenant, Caller) {
    let tenant = tenant();
    let owner = tenant.owner();
    owner
        .put(&with_id(patient_identified("Hidden", "1"), "p1"))
        .expect(201);
    owner
        .put(&with_id(observation("Patient/p1", "718-7", 1.0), "o1"))
        .expect(201);
    let device =
        json!({"resourceType": "Device", "id": "d1", "patient": {"reference": "Patient/p1"}});
    owner.put(&device).expect(201);
    (tenant, owner)
}

#[test]
fn a_query_may_not_mention_what_its_caller_may_not_search() {
    let (tenant, _owner) = inhabited();
    let scopes = [
        "system/Observation.rs",
        "system/Device.rs",
        "system/Organization.rs",
    ];
    let caller = tenant.client(&scopes);
    for query in [
        "Observation?subject:Patient.family=Hidden",
        "Observation?patient.family=Hidden",
        "Organization?_has:Patient:organization:family=Hidden",
        "Device?patient.family=Hidden",
        "Patient?_id=p1",
        "?_type=Observation,Patient",
    ] {
        let answer = caller.get(&format!("/{query}"));
        assert_eq!(answer.status, 403, "{query}: {answer:?}");
        assert!(!answer.text().contains("Hidden"), "{query}");
    }
    // The same searches that mention nothing hidden.
    assert_eq!(caller.found("Observation?code=718-7"), ["o1"]);
    assert_eq!(caller.found("Observation?subject=Patient/p1"), ["o1"]);
}

#[test]
fn includes_bring_only_what_may_be_read() {
    let (tenant, _owner) = inhabited();
    let caller = tenant.client(&["system/Observation.rs"]);
    for query in [
        "Observation?_include=Observation:subject",
        "Observation?_include=Observation:subject:Patient",
        "Observation?_include=*",
    ] {
        let answer = caller.get(&format!("/{query}"));
        assert!(!answer.text().contains("Hidden"), "{query}: {answer:?}");
        assert!(matches!(answer.status, 200 | 403), "{query}: {answer:?}");
    }
}

#[test]
fn the_whole_system_is_what_may_be_read_of_it() {
    let (tenant, owner) = inhabited();
    let caller = tenant.client(&["system/Observation.rs"]);
    let kinds = |bundle: &Value| -> Vec<String> {
        matches(bundle)
            .map(|r| word(r, "resourceType").to_owned())
            .collect()
    };
    assert_eq!(kinds(&caller.search("_history")), ["Observation"]);
    assert_eq!(kinds(&owner.search("_history")).len(), 3);
    let found = caller.get("/?_lastUpdated=gt2000-01-01");
    if found.status == 200 {
        assert_eq!(kinds(&found.json()), ["Observation"]);
    } else {
        assert_eq!(found.status, 403, "{found:?}");
    }
}

#[test]
fn absent_and_forbidden_look_the_same_to_who_may_not_ask() {
    let (tenant, _owner) = inhabited();
    let caller = tenant.client(&["system/Device.rs"]);
    let told = |id: &str| {
        let answer = caller.get(&format!("/Patient/{id}"));
        (answer.status, answer.text().replace(id, ""))
    };
    assert_eq!(told("p1"), told("p0"));
    assert_eq!(told("p1").0, 403);
}

#[test]
fn a_transaction_with_one_forbidden_entry_does_nothing() {
    let (tenant, owner) = inhabited();
    let caller = tenant.client(&["system/Observation.cruds", "system/Patient.rs"]);
    let entries = || {
        vec![
            entry(
                "PUT",
                "Observation/o2",
                Some(with_id(observation("Patient/p1", "a", 1.0), "o2")),
            ),
            entry(
                "PUT",
                "Patient/p1",
                Some(with_id(patient_identified("Changed", "1"), "p1")),
            ),
        ]
    };
    caller
        .post("", &bundle("transaction", entries()))
        .expect(403);
    owner.get("/Observation/o2").expect(404);
    // A batch does what may be done.
    let answer = caller
        .post("", &bundle("batch", entries()))
        .expect(200)
        .json();
    let status = |at: usize| word(&answer["entry"][at]["response"], "status")[..3].to_owned();
    assert_eq!((status(0).as_str(), status(1).as_str()), ("201", "403"));
    owner.get("/Observation/o2").expect(200);
    assert_eq!(
        owner.get("/Patient/p1").json()["name"][0]["family"],
        "Hidden"
    );
}

#[test]
fn conditions_need_the_right_to_search() {
    let (tenant, owner) = inhabited();
    let caller = tenant.client(&["system/Patient.cu"]);
    let once = caller
        .request("POST", "/Patient")
        .header("If-None-Exist", "identifier=urn:insula:test|1")
        .fhir(&patient_identified("Again", "1"));
    caller.ask(&once).expect(403);
    let update = caller.request("PUT", "/Patient?identifier=urn:insula:test|1");
    caller
        .ask(&update.fhir(&patient_identified("Again", "1")))
        .expect(403);
    let conditional = json!({
        "resourceType": "Bundle", "type": "transaction",
        "entry": [{
            "resource": patient_identified("Again", "1"),
            "request": {
                "method": "POST", "url": "Patient",
                "ifNoneExist": "identifier=urn:insula:test|1"
            },
        }],
    });
    caller.post("", &conditional).expect(403);
    assert_eq!(owner.found("Patient"), ["p1"]);
    // A conditional reference searches too.
    let searching = tenant.client(&["system/Observation.cu"]);
    let named = observation("Patient?identifier=urn:insula:test|1", "a", 1.0);
    let refused = searching.post(
        "",
        &bundle(
            "transaction",
            vec![entry("POST", "Observation", Some(named))],
        ),
    );
    refused.expect(403);
}

#[test]
fn update_as_create_needs_the_right_to_create() {
    let (tenant, owner) = inhabited();
    let caller = tenant.client(&["system/Patient.u"]);
    caller
        .put(&with_id(patient_identified("New", "2"), "p2"))
        .expect(403);
    owner.get("/Patient/p2").expect(404);
    caller
        .put(&with_id(patient_identified("Newer", "1"), "p1"))
        .expect(200);
}

#[test]
fn scopes_that_mean_nothing_are_refused() {
    let tenant = tenant();
    for scope in [
        "system/*.x",
        "system/Nothing.r",
        "system/Patient.sr",
        "everything",
        "system/Patient",
    ] {
        let draft = json!({"name": "x", "scopes": [scope]}).to_string();
        let target = format!("/admin/v1/tenants/{}/clients", tenant.name());
        let request = testkit::Request::new("POST", &target).content("application/json", draft);
        let answer = tenant.world().server().admin(request).expect(400);
        assert_eq!(answer.codes(), ["scope-invalid"], "{scope}");
    }
}
