//! Searches of compartments.

use serde_json::json;

use super::world::{World, patient_with_id};

/// Two patients, each with an observation and an encounter; one observed by the other, and one
/// practitioner.
fn ward(world: &World, who: &str) {
    for id in ["a", "b"] {
        world
            .fhir(who, &format!("PUT Patient/{id}"), patient_with_id(id, "X"))
            .status(201);
        let encounter = json!({ "resourceType": "Encounter", "id": format!("e-{id}"),
            "status": "finished", "class": { "code": "AMB" },
            "subject": { "reference": format!("Patient/{id}") },
            "participant": [{ "individual": { "reference": "Practitioner/dr" } }] });
        world
            .fhir(who, &format!("PUT Encounter/e-{id}"), encounter.to_string())
            .status(201);
        let observation = json!({ "resourceType": "Observation", "id": format!("o-{id}"),
            "status": "final", "code": { "coding": [{ "code": id }] },
            "subject": { "reference": format!("Patient/{id}") },
            "encounter": { "reference": format!("Encounter/e-{id}") } });
        world
            .fhir(
                who,
                &format!("PUT Observation/o-{id}"),
                observation.to_string(),
            )
            .status(201);
    }
    let by_b = json!({ "resourceType": "Observation", "id": "o-by-b", "status": "final",
        "code": { "coding": [{ "code": "x" }] }, "subject": { "reference": "Patient/a" },
        "performer": [{ "reference": "Patient/b" }] });
    world
        .fhir(who, "PUT Observation/o-by-b", by_b.to_string())
        .status(201);
    let dr = json!({ "resourceType": "Practitioner", "id": "dr" });
    world
        .fhir(who, "PUT Practitioner/dr", dr.to_string())
        .status(201);
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn a_compartment_holds_what_refers_to_its_head() {
    let (world, who) = World::clinic();
    ward(&world, &who);
    let found = |line: &str| sorted(world.fhir(&who, line, "").status(200).entries());
    assert_eq!(
        found("GET Patient/a/Observation"),
        ["Observation/o-a", "Observation/o-by-b"]
    );
    // Also who only performed it.
    assert_eq!(
        found("GET Patient/b/Observation"),
        ["Observation/o-b", "Observation/o-by-b"]
    );
    assert_eq!(
        found("GET Patient/a/Observation?code=x"),
        ["Observation/o-by-b"]
    );
    assert_eq!(
        found("GET Patient/b/*"),
        [
            "Encounter/e-b",
            "Observation/o-b",
            "Observation/o-by-b",
            "Patient/b"
        ]
    );
    assert_eq!(
        found("GET Patient/a/*?_type=Encounter,Practitioner"),
        ["Encounter/e-a"]
    );
    assert_eq!(found("GET Encounter/e-a/Observation"), ["Observation/o-a"]);
    assert_eq!(
        found("GET Encounter/e-a/*"),
        ["Encounter/e-a", "Observation/o-a"]
    );
    assert_eq!(
        found("GET Practitioner/dr/Encounter"),
        ["Encounter/e-a", "Encounter/e-b"]
    );
    assert!(found("GET Device/none/*").is_empty());
    assert!(found("GET RelatedPerson/none/Observation").is_empty());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = world.fhir_with(&who, "POST Patient/a/Observation/_search", &form, "code=x");
    assert_eq!(posted.status(200).entries(), ["Observation/o-by-b"]);
}

#[test]
fn what_is_no_compartment_is_not_found() {
    let (world, who) = World::clinic();
    for line in [
        "GET Organization/1/Patient",
        "GET Patient/1/Organization",
        "GET Patient/1/Nonsense",
        "GET Nonsense/1/Patient",
        "GET Patient/!/Observation",
    ] {
        world.fhir(&who, line, "").status(404);
    }
}

#[test]
fn pages_of_a_compartment_show_one_state() {
    let (world, who) = World::clinic();
    ward(&world, &who);
    let first = world.fhir(&who, "GET Patient/a/*?_count=2", "").status(200);
    assert_eq!(first.entries().len(), 2);
    let this = first.link("self").unwrap();
    assert!(this.ends_with("/Patient/a/*?_count=2"), "{this}");
    world.fhir(&who, "DELETE Patient/a", "").status(204);
    let late = json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "Patient/a" } });
    world
        .fhir(&who, "POST Observation", late.to_string())
        .status(201);
    let second = world.follow(&who, &first.link("next").unwrap()).status(200);
    assert_eq!(second.link("next"), None);
    let all = [first.entries(), second.entries()].concat();
    assert_eq!(
        sorted(all),
        [
            "Encounter/e-a",
            "Observation/o-a",
            "Observation/o-by-b",
            "Patient/a"
        ]
    );
}

#[test]
fn a_compartment_shows_only_types_that_may_be_searched() {
    let (world, who) = World::clinic();
    ward(&world, &who);
    let some = world.client("lakeside", "system/Observation.rs system/Practitioner.rs");
    let found = |line: &str| sorted(world.fhir(&some, line, "").status(200).entries());
    assert_eq!(
        found("GET Patient/a/*"),
        ["Observation/o-a", "Observation/o-by-b"]
    );
    for line in [
        "GET Patient/a/Encounter",
        "GET Patient/a/*?_type=Encounter",
        "GET Patient/a/Observation?encounter.status=finished",
    ] {
        world.fhir(&some, line, "").refused(403, "scope-missing");
    }
    let others = world.client("lakeside", "system/Practitioner.rs");
    world
        .fhir(&others, "GET Patient/a/*", "")
        .refused(403, "scope-missing");
}
