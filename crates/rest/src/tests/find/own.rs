//! Search parameters of a tenant's own, and indexing anew.

use serde_json::{Value, json};

use super::super::world::World;
use super::{finds, person, put};

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
