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
fn what_is_rounded_is_a_decimal() {
    let (world, who) = World::clinic();
    let answer = ask(&world, &who, of_patient(), "15.round() | 15.round(1)").status(200);
    let want = json!([{"name": "decimal", "valueDecimal": 15}]);
    assert_eq!(results(&answer)[0]["part"], want);
    ask(&world, &who, of_patient(), "15.round(-1)").refused(422, "expression-failed");
}

#[test]
fn units_of_products_and_quotients_are_written_short() {
    let (world, who) = World::clinic();
    for (expression, value, code) in [
        ("12 'cm2' / 3 'cm'", 4.0, "cm"),
        ("12 'cm' * 3 'cm'", 36.0, "cm2"),
        ("2 'kg.m/s2' * 3 'm'", 6.0, "kg.m2/s2"),
        ("2 'mg/dL' * 3 'dL'", 6.0, "mg"),
        ("12 'cm2' * 3 'cm-2'", 36.0, "1"),
        ("6 / 2 's'", 3.0, "1/s"),
        ("6 'm' / 2 'm.s2'", 3.0, "1/s2"),
        ("3 'm' * 2 'cm'", 6.0, "m.cm"),
        ("4 '[in_i]2' / 2 '[in_i]'", 2.0, "[in_i]"),
        ("6 '10*3/uL' * 2 'uL'", 12.0, "10*3/uL.uL"),
        ("6 'mg{dry}' / 2 'mg'", 3.0, "mg{dry}/mg"),
    ] {
        let answer = ask(&world, &who, of_patient(), expression).status(200);
        let found = &results(&answer)[0]["part"][0]["valueQuantity"];
        let found = (found["value"].as_f64(), found["code"].as_str());
        assert_eq!(found, (Some(value), Some(code)), "{expression}");
    }
}

#[test]
fn moments_that_fhir_has_no_value_for_are_json() {
    let (world, who) = World::clinic();
    let held = json!({"name": "time", "valueTime": "10:30:00"});
    for (expression, name, text, plain) in [
        ("@T10:30:00", "time", "", Some(held)),
        ("@T10:30", "time", "10:30", None),
        ("@T10", "time", "10", None),
        ("@2014-01-01T10", "dateTime", "2014-01-01T10", None),
        (
            "@2014-01-01T10:30:00",
            "dateTime",
            "2014-01-01T10:30:00",
            None,
        ),
        (
            "@2014-01-01T10:30+01:00",
            "dateTime",
            "2014-01-01T10:30+01:00",
            None,
        ),
        (
            "@2014T",
            "dateTime",
            "",
            Some(json!({"name": "dateTime", "valueDateTime": "2014"})),
        ),
    ] {
        let answer = ask(&world, &who, of_patient(), expression).status(200);
        let as_json = json!({"extension": [{"url": JSON, "valueString": format!("\"{text}\"")}], "name": name});
        let part = &results(&answer)[0]["part"][0];
        assert_eq!(*part, plain.unwrap_or(as_json), "{expression}");
    }
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

#[test]
fn a_stored_resource_is_asked_by_its_address() {
    let (world, who) = World::clinic();
    let put = world.fhir(&who, "PUT Patient/example", patient().to_string());
    put.status(201);
    let text = engine::form::encode("name.given.first()");
    let asked = world.fhir(
        &who,
        &format!("GET Patient/example/$fhirpath?expression={text}"),
        "",
    );
    assert_eq!(
        results(&asked.status(200))[0]["part"][0]["valueString"],
        "Peter"
    );
    let body = |parameters: Value| {
        json!({"resourceType": "Parameters", "parameter": parameters}).to_string()
    };
    let expression = json!({"name": "expression", "valueString": "given"});
    let context = json!({"name": "context", "valueString": "name"});
    let line = "POST Patient/example/$fhirpath";
    let asked = world
        .fhir(&who, line, body(json!([context, expression])))
        .status(200);
    assert_eq!(results(&asked).len(), 2);
    let both = body(json!([expression, {"name": "resource", "resource": patient()}]));
    world.fhir(&who, line, both).refused(400, "request-invalid");
    world.fhir(&who, line, "").refused(400, "request-invalid");
    world
        .fhir(&who, "GET Patient/none/$fhirpath?expression=id", "")
        .refused(404, "not-found");
    let other = world.client("lakeside", "system/Observation.rs");
    world
        .fhir(&other, "GET Patient/example/$fhirpath?expression=id", "")
        .refused(403, "scope-missing");
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": "Patient/example/$fhirpath?expression=birthDate"}}]});
    let done = world.fhir(&who, "POST ", batch.to_string()).status(200);
    done.at(
        "/entry/0/resource/parameter/1/part/0/valueDate",
        "1974-12-25",
    );
}

#[test]
fn value_sets_and_code_systems_of_the_tenant_are_known() {
    let (world, who) = World::clinic();
    let system = json!({"resourceType": "CodeSystem", "id": "animals", "url": "http://a", "status": "active",
        "content": "complete", "concept": [{"code": "animal", "concept": [
            {"code": "dog", "concept": [{"code": "poodle"}]}, {"code": "cat"}]}]});
    let set = json!({"resourceType": "ValueSet", "id": "dogs", "url": "http://dogs", "status": "active",
        "compose": {"include": [{"system": "http://a", "filter": [
            {"property": "concept", "op": "is-a", "value": "dog"}]}]}});
    let rest = json!({"resourceType": "ValueSet", "id": "rest", "url": "http://rest", "status": "active",
        "compose": {"include": [{"system": "http://unheld", "filter": [
            {"property": "concept", "op": "is-a", "value": "x"}]}]}});
    for of in [system, set, rest] {
        let line = format!(
            "PUT {}/{}",
            of["resourceType"].as_str().unwrap(),
            of["id"].as_str().unwrap()
        );
        world.fhir(&who, &line, of.to_string()).status(201);
    }
    let coding = |code: &str| json!({"system": "http://a", "code": code});
    let subject = json!({"resourceType": "Observation", "status": "final",
        "category": [{"coding": [coding("cat")]}, {"coding": [{"system": "http://b", "code": "x"}]}],
        "code": {"coding": [coding("poodle"), {"system": "http://b", "code": "dog"}]},
        "valueString": "poodle"});
    let told = |expression: &str| {
        let resource = json!({"name": "resource", "resource": subject});
        let answer = ask(&world, &who, vec![resource], expression).status(200);
        results(&answer)[0]["part"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|p| p["valueBoolean"].clone())
            .collect::<Vec<_>>()
    };
    for (expression, wanted) in [
        ("code.memberOf('http://dogs')", Some(true)),
        ("code.memberOf('ValueSet/dogs')", Some(true)),
        ("category.first().memberOf('http://dogs')", Some(false)),
        ("code.coding.last().memberOf('http://dogs')", Some(false)),
        ("value.memberOf('http://dogs')", Some(true)),
        ("'bird'.memberOf('http://dogs')", Some(false)),
        ("code.coding.memberOf('http://dogs')", None),
        ("code.memberOf('http://nobody-knows')", None),
        (
            "status.memberOf('http://hl7.org/fhir/ValueSet/observation-status')",
            Some(true),
        ),
        (
            "code.coding.where(memberOf('http://dogs')).single().code = 'poodle'",
            Some(true),
        ),
        (
            "category.coding.first().subsumes(code.coding.first())",
            Some(false),
        ),
        ("code.subsumedBy(code.coding.first())", Some(true)),
        ("code.subsumes(category.first())", Some(false)),
        ("code.coding.last().subsumes(category.first())", None),
        ("code.subsumes('dog')", None),
    ] {
        let wanted: Vec<Value> = wanted.into_iter().map(Value::from).collect();
        assert_eq!(told(expression), wanted, "{expression}");
    }
    let refused = |who: &str, expression: &str, status: u16, code: &str| {
        let resource = json!({"name": "resource", "resource": subject});
        ask(&world, who, vec![resource], expression).refused(status, code);
    };
    refused(&who, "code.memberOf('http://rest')", 400, "terms-missing");
    refused(
        &who,
        "code.coding.last().subsumes(category.last())",
        400,
        "terms-missing",
    );
    refused(
        &who,
        "%terminologies.at('http://tx').expand('http://dogs')",
        400,
        "expression-invalid",
    );
    refused(
        &who,
        "code.slice('http://x', 'y')",
        400,
        "expression-invalid",
    );
    refused(&who, "code.elementDefinition()", 400, "expression-invalid");
    let reader = world.client("lakeside", "system/Observation.rs");
    refused(
        &reader,
        "code.memberOf('http://dogs')",
        403,
        "scope-missing",
    );
}

#[test]
fn answers_and_codes_weigh_what_they_say() {
    let (world, who) = World::clinic();
    let weight = |url: &str, n: f64| json!([{"url": format!("http://hl7.org/fhir/StructureDefinition/{url}"), "valueDecimal": n}]);
    let subject = json!({"resourceType": "QuestionnaireResponse", "status": "completed",
        "questionnaire": "http://q", "item": [{"linkId": "1", "answer": [
            {"valueCoding": {"system": "http://s", "code": "a", "extension": weight("itemWeight", 1.5)}},
            {"extension": weight("ordinalValue", 2.0), "valueString": "x"},
            {"valueString": "y"}]}]});
    let resource = vec![json!({"name": "resource", "resource": subject})];
    let answer = ask(
        &world,
        &who,
        resource,
        "item.answer.weight() | item.answer.value.weight()",
    )
    .status(200);
    let parts = results(&answer)[0]["part"].clone();
    let found: Vec<f64> = parts
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["valueDecimal"].as_f64().unwrap())
        .collect();
    assert_eq!(found, [1.5, 2.0]);
}

/// The results of an expression on the patient, as JSON texts.
fn made(world: &World, who: &str, expression: &str) -> Vec<Value> {
    let answer = ask(world, who, of_patient(), expression).status(200);
    let parts = results(&answer)[0]["part"].as_array().cloned();
    let value = |part: &Value| {
        let members = part.as_object().unwrap();
        let is =
            |name: &str| name.starts_with("value") || name == "resource" || name.starts_with('_');
        let kept = members.iter().filter(|(name, _)| is(name));
        Value::Object(kept.map(|(n, v)| (n.clone(), v.clone())).collect())
    };
    parts.unwrap_or_default().iter().map(value).collect()
}

#[test]
fn elements_are_made_by_the_factory() {
    let (world, who) = World::clinic();
    let one = |expression: &str, want: Value| {
        assert_eq!(made(&world, &who, expression), [want], "{expression}");
    };
    one("%factory.code('final')", json!({"valueCode": "final"}));
    one("%factory.integer(7)", json!({"valueInteger": 7}));
    one("%factory.decimal('1.50')", json!({"valueDecimal": 1.50}));
    one("%factory.date(@2026-11)", json!({"valueDate": "2026-11"}));
    one(
        "%factory.string('x', %factory.Extension('http://e', 3))",
        json!({"valueString": "x", "_valueString": {"extension": [{"url": "http://e", "valueInteger": 3}]}}),
    );
    one(
        "%factory.HumanName('Smith', 'Julia' | 'A', {}, {}, 'Julia Smith')",
        json!({"valueHumanName": {"family": "Smith", "given": ["Julia", "A"], "text": "Julia Smith"}}),
    );
    one(
        "%factory.Identifier('urn:s', '1', 'official', %factory.CodeableConcept(%factory.Coding('urn:c', 'MR', 'Record')))",
        json!({"valueIdentifier": {"system": "urn:s", "value": "1", "use": "official",
            "type": {"coding": [{"system": "urn:c", "code": "MR", "display": "Record"}]}}}),
    );
    one(
        "%factory.Address('5 Nowhere Road', 'Town', {}, '0000', {}, 'home', 'physical')",
        json!({"valueAddress": {"line": ["5 Nowhere Road"], "city": "Town", "postalCode": "0000", "use": "home", "type": "physical"}}),
    );
    one(
        "%factory.ContactPoint('email', 'a@b', 'work').value",
        json!({"valueString": "a@b"}),
    );
    one(
        "%factory.Quantity('http://unitsofmeasure.org', 'mg/dL', '5.03', 'mg/dL') = 5.03 'mg/dL'",
        json!({"valueBoolean": true}),
    );
    one(
        "%factory.create(Money).exists()",
        json!({"valueBoolean": true}),
    );
    one(
        "%factory.withProperty(%factory.create(Reference), 'reference', 'Patient/1')",
        json!({"valueReference": {"reference": "Patient/1"}}),
    );
    one(
        "%factory.withExtension(%factory.withProperty(name.first(), 'given', 'Ann' | 'Lee'), 'http://e', %factory.code('x'))",
        json!({"valueHumanName": {"use": "official", "family": "Chalmers", "given": ["Ann", "Lee"],
            "extension": [{"url": "http://e", "valueCode": "x"}]}}),
    );
    one(
        "%factory.withExtension(birthDate, 'http://e', 'y')",
        json!({"valueDate": "1974-12-25", "_valueDate": {"extension": [{"url": "http://e", "valueString": "y"}]}}),
    );
    one(
        "name.select(%factory.HumanName(family, given)).given.count()",
        json!({"valueInteger": 3}),
    );
    one(
        "%factory.Extension('u', name.first()).value.family",
        json!({"valueString": "Chalmers"}),
    );
    for (wrong, status, code) in [
        ("%factory.Nothing('x')", 400, "expression-invalid"),
        ("%factory.code()", 400, "expression-invalid"),
        ("%factory.create(Nothing)", 400, "expression-invalid"),
        ("%factory", 400, "expression-invalid"),
        ("%server.read(Patient, 'x')", 400, "expression-invalid"),
        ("%factory.integer('x')", 422, "expression-failed"),
        ("%factory.date('x')", 422, "expression-failed"),
        ("%factory.boolean('x')", 422, "expression-failed"),
        ("%factory.decimal('1,2}')", 422, "expression-failed"),
        (
            "%factory.ContactPoint('a' | 'b', 'c')",
            422,
            "expression-failed",
        ),
        (
            "%factory.Identifier('s', 'v', 'u', %factory.Coding('a', 'b'))",
            422,
            "expression-failed",
        ),
        (
            "%factory.withProperty(name.first(), 'shoe', 1)",
            422,
            "expression-failed",
        ),
    ] {
        ask(&world, &who, of_patient(), wrong).refused(status, code);
    }
    // What is made has a bound, and so has its nesting.
    let deep = format!(
        "{}%factory.create(Period){}",
        "%factory.withExtension(".repeat(40),
        ", 'u', 1)".repeat(40)
    );
    ask(&world, &who, of_patient(), &deep).refused(400, "limit-query");
    let many = "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'.toChars().select($index).select(%factory.integer($this + %factory.integer($index))).count()";
    assert_eq!(made(&world, &who, many), [json!({"valueInteger": 40})]);
}

#[test]
fn a_terminology_answers_from_what_the_tenant_holds() {
    for fhir in ["4.0.1", "5.0.0"] {
        let (world, who) = World::clinic_of(fhir);
        let put = |resource: Value| {
            let line = format!(
                "PUT {}/{}",
                resource["resourceType"].as_str().unwrap(),
                resource["id"].as_str().unwrap()
            );
            world.fhir(&who, &line, resource.to_string()).status(201);
        };
        put(
            json!({"resourceType": "CodeSystem", "id": "pets", "url": "http://pets", "status": "active", "content": "complete", "name": "Pets",
            "concept": [{"code": "dog", "display": "Dog", "concept": [{"code": "poodle", "display": "Poodle", "definition": "curly"}]}, {"code": "cat"}]}),
        );
        put(
            json!({"resourceType": "ValueSet", "id": "dogs", "url": "http://dogs", "status": "active",
            "compose": {"include": [{"system": "http://pets", "filter": [{"property": "concept", "op": "is-a", "value": "dog"}]}]}}),
        );
        let how = if fhir == "5.0.0" {
            "relationship"
        } else {
            "equivalence"
        };
        put(
            json!({"resourceType": "ConceptMap", "id": "m", "url": "http://map", "status": "active",
            "group": [{"source": "http://pets", "target": "http://animals", "element": [
                {"code": "cat", "target": [{"code": "felis", how: if fhir == "5.0.0" { "equivalent" } else { "equal" }}]}]}]}),
        );
        let one = |expression: &str, want: Value| {
            assert_eq!(made(&world, &who, expression), [want], "{expression}");
        };
        let none = |expression: &str| {
            assert_eq!(
                made(&world, &who, expression),
                [Value::Null; 0],
                "{expression}"
            );
        };
        one(
            "%terminologies.expand('http://hl7.org/fhir/ValueSet/administrative-gender').expansion.contains.count()",
            json!({"valueInteger": 4}),
        );
        one(
            "%terminologies.expand('http://dogs').expansion.contains.code.join(' ')",
            json!({"valueString": "dog poodle"}),
        );
        one(
            "%terminologies.validateVS('http://hl7.org/fhir/ValueSet/administrative-gender', contact.gender).parameter.where(name = 'result').value",
            json!({"valueBoolean": true}),
        );
        one(
            "%terminologies.validateVS('http://dogs', %factory.Coding('http://pets', 'cat')).parameter.where(name = 'result').value",
            json!({"valueBoolean": false}),
        );
        one(
            "%terminologies.validateCS('http://pets', 'cat', '').parameter.where(name = 'result').value",
            json!({"valueBoolean": true}),
        );
        one(
            "%terminologies.validateCS('http://pets', 'cow').parameter.where(name = 'result').value",
            json!({"valueBoolean": false}),
        );
        one(
            "%terminologies.subsumes('http://pets', 'dog', 'poodle')",
            json!({"valueCode": "subsumes"}),
        );
        one(
            "%terminologies.subsumes('http://pets', 'poodle', 'dog', '')",
            json!({"valueCode": "subsumed-by"}),
        );
        one(
            "%terminologies.subsumes('http://pets', 'cat', 'dog')",
            json!({"valueCode": "not-subsumed"}),
        );
        one(
            "%terminologies.subsumes('http://pets', 'cat', 'cat')",
            json!({"valueCode": "equivalent"}),
        );
        one(
            "%terminologies.lookup(%factory.Coding('http://pets', 'poodle')).parameter.where(name = 'display' or name = 'definition').value.join(':')",
            json!({"valueString": "Poodle:curly"}),
        );
        one(
            "%terminologies.translate('http://map', %factory.Coding('http://pets', 'cat')).parameter.where(name = 'match').part.where(name = 'concept').value.code",
            json!({"valueCode": "felis"}),
        );
        one(
            "%terminologies.translate('http://map', 'dog').parameter.where(name = 'result').value",
            json!({"valueBoolean": false}),
        );
        none("%terminologies.expand('http://nobody-knows')");
        none("%terminologies.translate('http://nobody-knows', 'x')");
        none("%terminologies.expand({})");
        none("%terminologies.lookup(%factory.Coding('http://pets', 'cow'))");
        ask(
            &world,
            &who,
            of_patient(),
            "%terminologies.lookup(%factory.Coding('http://loinc.org', '1-8'))",
        )
        .refused(400, "terms-missing");
        let blind = world.client("lakeside", "system/Patient.rs");
        ask(
            &world,
            &blind,
            of_patient(),
            "%terminologies.expand('http://dogs')",
        )
        .refused(403, "scope-missing");
    }
}

#[test]
fn a_question_has_one_budget() {
    let (steps, bytes) = (4_000, 100_000);
    let world = World::with(
        |limits| {
            limits.fhirpath_steps_max = steps;
            limits.page_bytes_max = bytes;
        },
        |_| {},
    );
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    let given: Vec<String> = (0..150).map(|n| format!("n{n}")).collect();
    let subject = json!({"resourceType": "Patient", "name": [{"given": given}]});
    let about = || vec![json!({"name": "resource", "resource": subject})];
    // What is made nests: each level is a round of its own, and all of them have the same steps.
    let nested = |levels: usize| {
        let start = "name.given.where($this = 'n149').select(%factory.string($this))".to_owned();
        (0..levels).fold(start, |inner, n| {
            format!("({inner}).select(%factory.string($this & '{n}'))")
        })
    };
    ask(&world, &who, about(), &nested(1)).status(200);
    let refused = ask(&world, &who, about(), &nested(20)).refused(400, "limit-query");
    assert!(refused.json().to_string().contains("fhirpath_steps_max"));
    // Too many at once are refused before they are all made.
    let many = "name.given.select(%factory.string($this & %context.id)).count()";
    ask(&world, &who, about(), many).status(200);
    // A small expression can name much again and again.
    let all = "name.given.select(%resource)";
    let refused = ask(&world, &who, about(), all).refused(400, "limit-query");
    assert!(refused.json().to_string().contains("page_bytes_max"));
    let variables: Vec<Value> = (0..101)
        .map(|n| json!({"name": format!("v{n}"), "valueString": "x"}))
        .collect();
    let mut with = about();
    with.push(json!({"name": "variables", "part": variables}));
    ask(&world, &who, with, "1").refused(400, "limit-query");
}

#[test]
fn elements_that_are_made_have_a_limit() {
    let (world, who) = World::clinic();
    let given = |count: usize| -> Vec<String> { (0..count).map(|n| format!("n{n}")).collect() };
    let about = |count: usize| {
        let subject = json!({"resourceType": "Patient", "name": [{"given": given(count)}]});
        vec![json!({"name": "resource", "resource": subject})]
    };
    let make = "name.given.select(%factory.string($this)).count()";
    let made = ask(&world, &who, about(1_000), make).status(200);
    assert_eq!(results(&made)[0]["part"][0]["valueInteger"], 1_000);
    ask(&world, &who, about(1_001), make).refused(400, "limit-query");
    // Each of them is not large, all of them together are.
    let large = "name.given.select(%factory.string(%long & $this)).count()";
    let mut with = about(100);
    with.push(json!({"name": "variables", "part": [
        {"name": "long", "valueString": "x".repeat(100_000)}]}));
    ask(&world, &who, with, large).refused(400, "limit-query");
}

#[test]
fn places_of_many_elements_are_told() {
    let (world, who) = World::clinic();
    let given: Vec<String> = (0..3_000).map(|n| format!("n{n}")).collect();
    let subject = json!({"resourceType": "Patient", "name": [{"given": ["x"]}, {"given": given}]});
    let about = vec![json!({"name": "resource", "resource": subject})];
    let answer = ask(&world, &who, about, "name.given").status(200);
    let parts = results(&answer)[0]["part"].clone();
    assert_eq!(parts.as_array().unwrap().len(), 3_001);
    assert_eq!(
        parts[0]["extension"][0]["valueString"],
        "Patient.name[0].given[0]"
    );
    assert_eq!(
        parts[3_000]["extension"][0]["valueString"],
        "Patient.name[1].given[2999]"
    );
}
