//! Codes of required bindings: what is taken, and what is found by their value sets.

use serde_json::{Value, json};

use super::{World, finds, put};

fn condition(id: &str, status: &str) -> Value {
    json!({"resourceType": "Condition", "id": id, "subject": {"reference": "Patient/p"},
        "clinicalStatus": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": status}]}})
}

#[test]
fn codes_of_other_code_systems_are_known_in_r5() {
    let (world, who) = World::clinic_of("5.0.0");
    put(&world, &who, &condition("a", "active"));
    put(&world, &who, &condition("u", "unknown"));
    let bogus = condition("b", "bogus").to_string();
    world
        .fhir(&who, "POST Condition", bogus)
        .refused(422, "element-code")
        .at("/issue/0/expression/0", "Condition.clinicalStatus");
    let set = "http://hl7.org/fhir/ValueSet/condition-clinical";
    let all = ["Condition/a", "Condition/u"];
    finds(
        &world,
        &who,
        &format!("Condition?clinical-status:in={set}"),
        &all,
    );
    finds(
        &world,
        &who,
        &format!("Condition?clinical-status:not-in={set}"),
        &[],
    );
    let asked = json!({"resourceType": "Parameters", "parameter": [
        {"name": "expression", "valueString": format!("clinicalStatus.memberOf('{set}')")},
        {"name": "resource", "resource": condition("a", "active")}]});
    world
        .fhir(&who, "POST $fhirpath", asked.to_string())
        .status(200)
        .at("/parameter/1/part/0/valueBoolean", true);
}

/// Whether a resource with one more element is taken, by version.
fn takes(world: &World, who: &str, mut resource: Value, member: &str, value: Value) -> bool {
    resource[member] = value;
    let line = format!("POST {}", resource["resourceType"].as_str().unwrap());
    let answer = world.fhir(who, &line, resource.to_string());
    match answer.code {
        201 => true,
        _ => {
            answer.refused(422, "element-code");
            false
        }
    }
}

#[test]
fn languages_and_media_types_have_a_form() {
    let patient = || json!({"resourceType": "Patient"});
    let photo = |contents: &str| json!([{"contentType": contents}]);
    for version in ["4.0.1", "4.3.0", "5.0.0"] {
        let (world, who) = World::clinic_of(version);
        for (value, good) in [
            ("image/png", true),
            ("text/plain; charset=utf-8", true),
            ("picture", false),
            ("image/", false),
        ] {
            let taken = takes(&world, &who, patient(), "photo", photo(value));
            assert_eq!(taken, good, "{version} {value}");
        }
        // Languages are a required binding in R5 alone.
        let r5 = version == "5.0.0";
        for (value, good) in [("de-CH", true), ("en_US", !r5), ("german language", !r5)] {
            let taken = takes(&world, &who, patient(), "language", json!(value));
            assert_eq!(taken, good, "{version} {value}");
        }
    }
    // The system that the binding implies may be said.
    let (world, who) = World::clinic_of("5.0.0");
    put(
        &world,
        &who,
        &json!({"resourceType": "Patient", "id": "p", "language": "de-CH"}),
    );
    for query in ["_language=de-CH", "_language=urn:ietf:bcp:47|de-CH"] {
        finds(&world, &who, &format!("Patient?{query}"), &["Patient/p"]);
    }
    finds(&world, &who, "Patient?_language=urn:ietf:bcp:13|de-CH", &[]);
}

#[test]
fn a_filter_that_compares_is_about_values_that_are_there() {
    let (world, who) = World::clinic();
    for (id, gender) in [("f", json!("female")), ("m", json!("male"))] {
        put(
            &world,
            &who,
            &json!({"resourceType": "Patient", "id": id, "gender": gender}),
        );
    }
    put(
        &world,
        &who,
        &json!({"resourceType": "Patient", "id": "none"}),
    );
    let genders = "http://hl7.org/fhir/ValueSet/administrative-gender";
    for (filter, want) in [
        ("gender ne male", &["Patient/f"][..]),
        ("not (gender eq male)", &["Patient/f", "Patient/none"]),
        (
            &format!("gender in \"{genders}\""),
            &["Patient/f", "Patient/m"],
        ),
        (&format!("gender ni \"{genders}\""), &["Patient/none"]),
        (&format!("not (gender in \"{genders}\")"), &["Patient/none"]),
    ] {
        finds(&world, &who, &format!("Patient?_filter={filter}"), want);
    }
}
