//! `$fhirpath`.

use serde_json::{Value, json};

use super::world::{Answer, World, patient_with_id};

const PATH: &str = "http://fhir.forms-lab.com/StructureDefinition/resource-path";
const JSON: &str = "http://fhir.forms-lab.com/StructureDefinition/json-value";

fn patient() -> Value {
    json!({"resourceType": "Patient", "id": "example", "active": true,
        "name": [{"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
                 {"use": "usual", "given": ["Jim"]}],
        "birthDate": "1974-12-25",
        "contact": [{"gender": "female"}],
        "managingOrganization": {"reference": "Organization/o"}})
}

fn ask(world: &World, who: &str, mut parameters: Vec<Value>, expression: &str) -> Answer {
    parameters.push(json!({"name": "expression", "valueString": expression}));
    let body = json!({"resourceType": "Parameters", "parameter": parameters});
    world.fhir(who, "POST $fhirpath", body.to_string())
}

fn of_patient() -> Vec<Value> {
    vec![json!({"name": "resource", "resource": patient()})]
}

/// The parts of the results, without their paths.
fn results(answer: &Answer) -> Vec<Value> {
    let json = answer.json();
    let all = json["parameter"].as_array().unwrap().iter();
    all.filter(|p| p["name"] == "result").cloned().collect()
}

#[test]
fn values_come_back_with_their_types_and_places() {
    let (world, who) = World::clinic();
    let answer = ask(
        &world,
        &who,
        of_patient(),
        "name.given.first() | active | 1 + 1.5 | 4 'mg'",
    )
    .status(200);
    let place = |path: &str| json!([{"url": PATH, "valueString": path}]);
    assert_eq!(
        results(&answer)[0]["part"],
        json!([
            {"extension": place("Patient.name[0].given[0]"), "name": "string", "valueString": "Peter"},
            {"extension": place("Patient.active"), "name": "boolean", "valueBoolean": true},
            {"name": "decimal", "valueDecimal": 2.5},
            {"name": "Quantity", "valueQuantity": {"value": 4, "unit": "mg",
                "system": "http://unitsofmeasure.org", "code": "mg"}},
        ])
    );
    let echo = &answer.json()["parameter"][0];
    assert_eq!(echo["name"], "parameters");
    let part = |name: &str| {
        let parts = echo["part"].as_array().unwrap();
        parts
            .iter()
            .find(|p| p["name"] == name)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(part("evaluator")["valueString"], "Insula (R4)");
    assert_eq!(part("resource")["resource"]["id"], "example");
    let tree: Value =
        serde_json::from_str(part("parseDebugTree")["valueString"].as_str().unwrap()).unwrap();
    assert_eq!(tree["ExpressionType"], "BinaryExpression");
}

#[test]
fn what_parameters_cannot_hold_is_json() {
    let (world, who) = World::clinic();
    let answer = ask(&world, &who, of_patient(), "contact | $this | '' ").status(200);
    let results = results(&answer);
    let parts = results[0]["part"].as_array().unwrap();
    let shown = parts[0]["extension"].as_array().unwrap();
    let value = shown.iter().find(|e| e["url"] == JSON).unwrap();
    assert_eq!(value["valueString"], r#"{"gender":"female"}"#);
    assert_eq!(parts[1]["name"], "Patient");
    assert_eq!(parts[1]["resource"]["id"], "example");
    assert_eq!(parts[2], json!({"name": "empty-string"}));
}

#[test]
fn each_item_of_the_context_has_a_result_with_its_traces() {
    let (world, who) = World::clinic();
    let mut parameters = of_patient();
    parameters.push(json!({"name": "context", "valueString": "name"}));
    parameters
        .push(json!({"name": "variables", "part": [{"name": "greeting", "valueString": "Hi"}]}));
    let answer = ask(
        &world,
        &who,
        parameters,
        "%greeting & ' ' & given.first().trace('seen')",
    )
    .status(200);
    let results = results(&answer);
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["valueString"], "Patient.name[0]");
    assert_eq!(results[0]["part"][0]["valueString"], "Hi Peter");
    assert_eq!(results[0]["part"][1]["name"], "trace");
    assert_eq!(results[0]["part"][1]["valueString"], "seen");
    assert_eq!(results[0]["part"][1]["part"][0]["valueString"], "Peter");
    assert_eq!(results[1]["part"][0]["valueString"], "Hi Jim");
}

#[test]
fn references_lead_only_to_what_the_caller_may_read() {
    let (world, who) = World::clinic();
    let organization = json!({"resourceType": "Organization", "id": "o", "name": "Acme"});
    world
        .fhir(&who, "PUT Organization/o", organization.to_string())
        .status(201);
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "Stored"))
        .status(201);
    let name = "managingOrganization.resolve().name";
    let found = |who: &str| {
        let answer = ask(&world, who, of_patient(), name).status(200);
        results(&answer)[0]["part"][0]["valueString"].clone()
    };
    assert_eq!(found(&who), "Acme");
    let patients_only = world.client("lakeside", "system/Patient.rs");
    assert_eq!(found(&patients_only), Value::Null);
    let stored = |id: &str| {
        vec![json!({"name": "resource", "valueReference": {"reference": format!("Patient/{id}")}})]
    };
    let answer = ask(&world, &patients_only, stored("p"), "name.family").status(200);
    assert_eq!(results(&answer)[0]["part"][0]["valueString"], "Stored");
    ask(&world, &patients_only, stored("q"), "name.family").refused(404, "not-found");
    let other = world.client("lakeside", "system/Device.rs");
    ask(&world, &other, stored("p"), "name.family").refused(403, "scope-missing");
    let writer = world.client("lakeside", "system/Patient.cud");
    ask(&world, &writer, of_patient(), "name").refused(403, "scope-missing");
}

#[test]
fn what_is_wrong_is_told() {
    let (world, who) = World::clinic();
    for (expression, status, code) in [
        ("name.", 400, "expression-invalid"),
        ("name.nonsense", 400, "expression-invalid"),
        ("%nothing", 400, "expression-invalid"),
        ("name.single()", 422, "expression-failed"),
        ("", 400, "request-invalid"),
    ] {
        ask(&world, &who, of_patient(), expression).refused(status, code);
    }
    let body = json!({"resourceType": "Patient"}).to_string();
    world
        .fhir(&who, "POST $fhirpath", body)
        .refused(400, "request-invalid");
    // Without a resource an expression stands for itself.
    let answer = ask(&world, &who, Vec::new(), "today() > @2020-01-01").status(200);
    assert_eq!(results(&answer)[0]["part"][0]["valueBoolean"], true);
}
