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
pub(in crate::tests) fn built(world: &World, who: &str) -> Value {
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
    let part = |status: &Value, at: usize| status["parameter"][1]["part"][at].clone();
    assert_eq!(part(&status, 3)["valueCode"], "serving");
    let progress = |status: &Value| (part(status, 4), part(status, 5));
    let of = |name: &str, count: u32| json!({"name": name, "valueDecimal": count});
    assert_eq!(progress(&status), (of("done", 6), of("total", 6)));
    eyes("g2", "grey");
    let status = built(&world, &who);
    assert_eq!(progress(&status), (of("done", 7), of("total", 7)));
    world.fhir(&who, "DELETE Patient/g2", "").status(204);
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
            &json!({"name": [{"family": "Smith", "suffix": ["Jr. the  Third"]}]}),
        ),
    );
    built(&world, &who);
    finds(&world, &who, "Patient?family=smith", &["Patient/p"]);
    for y in ["jr.", "Jr the third", "jrthe", "j r t"] {
        finds(&world, &who, &format!("Patient?y={y}"), &["Patient/p"]);
    }
    finds(&world, &who, "Patient?y=third", &[]);
    finds(&world, &who, "Patient?y:contains=hir", &["Patient/p"]);
    // Made again, it finds what was there before, and no more of what it was.
    let mut other = parameter("y", "string", "Patient", "Patient.address.city");
    other["id"] = json!("y");
    put(&world, &who, &other);
    built(&world, &who);
    finds(&world, &who, "Patient?y=jrthe", &[]);
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

pub(super) fn composite(
    code: &str,
    base: &str,
    expression: Option<&str>,
    parts: &[(&str, &str)],
) -> Value {
    let mut made = parameter(code, "composite", base, expression.unwrap_or("x"));
    if expression.is_none() {
        made.as_object_mut().unwrap().remove("expression");
    }
    let parts: Vec<Value> = parts
        .iter()
        .map(|(of, expression)| json!({"definition": of, "expression": expression}))
        .collect();
    made["component"] = Value::Array(parts);
    made
}

pub(super) const STANDARD: &str = "http://hl7.org/fhir/SearchParameter";

#[test]
fn composites_of_a_tenants_own_hold_within_one_instance() {
    let (world, who) = World::clinic();
    let names = json!({"name": [{"family": "Berg", "given": ["Ada"]}, {"family": "Tal", "given": ["Eve"]}],
        "birthDate": "1990-05-01", "gender": "female",
        "telecom": [{"system": "phone", "value": "1", "use": "home"}]});
    put(&world, &who, &person("p", &names));
    let individual = |name: &str| format!("{STANDARD}/individual-{name}");
    let (family, given) = (individual("family"), individual("given"));
    for parameter in [
        parameter("use", "token", "Patient", "Patient.telecom.use"),
        composite(
            "full",
            "Patient",
            Some("Patient.name"),
            &[(&family, "family"), (&given, "given")],
        ),
        // Of the resource itself, with a part that the tenant defines.
        composite(
            "three",
            "Patient",
            None,
            &[
                (&individual("gender"), "gender"),
                ("http://e.org/use", "telecom.use"),
                (&individual("telecom"), "telecom"),
            ],
        ),
        composite(
            "born",
            "Patient",
            None,
            &[
                (&individual("birthdate"), "birthDate"),
                (&family, "name.family"),
            ],
        ),
    ] {
        put(&world, &who, &parameter);
    }
    built(&world, &who);
    for (query, there) in [
        ("full=berg$ada", true),
        ("full=ber$ad", true),
        ("full=berg$eve", false),
        ("full=tal$eve", true),
        ("three=female$home$|1", true),
        ("three=female$home$1", true),
        ("three=male$home$1", false),
        ("three=female$work$1", false),
        ("three=female$home$2", false),
        ("born=1990$tal", true),
        ("born=lt1990$tal", false),
        ("born=ge1990-05$ber", true),
    ] {
        let wanted: &[&str] = if there { &["Patient/p"] } else { &[] };
        finds(&world, &who, &format!("Patient?{query}"), wanted);
    }
    // What is written later is indexed as well, and what goes is gone.
    put(
        &world,
        &who,
        &person(
            "q",
            &json!({"name": [{"family": "Berg", "given": ["Eve"]}]}),
        ),
    );
    finds(&world, &who, "Patient?full=berg$eve", &["Patient/q"]);
    put(
        &world,
        &who,
        &person("q", &json!({"name": [{"family": "Berg"}]})),
    );
    finds(&world, &who, "Patient?full=berg$eve", &[]);
    let wrong = world.fhir(&who, "GET Patient?full=berg", "");
    wrong.refused(400, "search-value");
    let report = world.admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null);
    report.status(200).at("/ok", true);
}

#[test]
fn quantities_within_composites_are_compared_in_their_units() {
    let (world, who) = World::clinic();
    let pressure = |value: f64, unit: &str| json!({"value": value, "system": "http://unitsofmeasure.org", "code": unit});
    let observation = |id: &str, low: Value, high: Value| {
        put(
            &world,
            &who,
            &json!({"resourceType": "Observation", "id": id, "status": "final",
                "code": {"coding": [{"system": "s", "code": "c"}]},
                "referenceRange": [{"low": low, "high": high}]}),
        );
    };
    observation("mg", pressure(500.0, "mg"), pressure(2.0, "g"));
    observation("kg", pressure(1.0, "kg"), pressure(2.0, "kg"));
    let value = format!("{STANDARD}/Observation-value-quantity");
    put(
        &world,
        &who,
        &composite(
            "normal",
            "Observation",
            Some("Observation.referenceRange"),
            &[(&value, "low"), (&value, "high")],
        ),
    );
    let code = format!("{STANDARD}/clinical-code");
    put(
        &world,
        &who,
        &composite(
            "code-low-status",
            "Observation",
            None,
            &[
                (&code, "code"),
                (&value, "referenceRange.low"),
                (&format!("{STANDARD}/Observation-status"), "status"),
            ],
        ),
    );
    // Codes beside two quantities.
    put(
        &world,
        &who,
        &composite(
            "code-normal",
            "Observation",
            None,
            &[
                (&value, "referenceRange.low"),
                (&code, "code"),
                (&value, "referenceRange.high"),
            ],
        ),
    );
    put(
        &world,
        &who,
        &composite(
            "code-status-normal",
            "Observation",
            None,
            &[
                (&code, "code"),
                (&format!("{STANDARD}/Observation-status"), "status"),
                (&value, "referenceRange.low"),
                (&value, "referenceRange.high"),
            ],
        ),
    );
    built(&world, &who);
    const UCUM: &str = "http://unitsofmeasure.org";
    for (query, wanted) in [
        (
            format!("normal=0.5|{UCUM}|g$2000|{UCUM}|mg"),
            vec!["Observation/mg"],
        ),
        (
            format!("normal=le1|{UCUM}|kg$ge2|{UCUM}|g"),
            vec!["Observation/kg", "Observation/mg"],
        ),
        (format!("normal=1|{UCUM}|kg$gt2|{UCUM}|kg"), vec![]),
        ("normal=500$2".to_owned(), vec!["Observation/mg"]),
        ("normal=500||mg$2||g".to_owned(), vec!["Observation/mg"]),
        (
            format!("code-low-status=s|c$lt1|{UCUM}|g$final"),
            vec!["Observation/mg"],
        ),
        (format!("code-low-status=s|c$lt1|{UCUM}|g$amended"), vec![]),
        (
            format!("code-normal=0.5|{UCUM}|g$s|c$2000|{UCUM}|mg"),
            vec!["Observation/mg"],
        ),
        (
            format!("code-normal=le1|{UCUM}|kg$c$ge2|{UCUM}|g"),
            vec!["Observation/kg", "Observation/mg"],
        ),
        (
            format!("code-normal=0.5|{UCUM}|g$s|d$2000|{UCUM}|mg"),
            vec![],
        ),
        (format!("code-normal=0.5|{UCUM}|g$s|c$3|{UCUM}|g"), vec![]),
        (
            format!("code-normal=le1|{UCUM}|kg$s|c$2|http://e.org/never|g"),
            vec![],
        ),
        ("code-normal=500$s|$2".to_owned(), vec!["Observation/mg"]),
        (
            "code-normal=500||mg$c$2||g".to_owned(),
            vec!["Observation/mg"],
        ),
        ("code-normal=500||mg$c$2||kg".to_owned(), vec![]),
        (
            format!("code-status-normal=s|c$final$1|{UCUM}|kg$ge2000|{UCUM}|g"),
            vec!["Observation/kg"],
        ),
        (
            format!("code-status-normal=s|c$amended$1|{UCUM}|kg$ge2000|{UCUM}|g"),
            vec![],
        ),
    ] {
        finds(&world, &who, &format!("Observation?{query}"), &wanted);
    }
}

#[test]
fn composites_that_cannot_be_are_refused() {
    let (world, who) = World::clinic();
    let family = format!("{STANDARD}/individual-family");
    for parts in [
        vec![
            ("http://e.org/nobody", "name.family"),
            (family.as_str(), "name.family"),
        ],
        vec![(family.as_str(), "name.family")],
        vec![
            (family.as_str(), "name.nothing"),
            (family.as_str(), "name.family"),
        ],
        vec![(family.as_str(), "name.family"); 3],
        vec![
            ("http://hl7.org/fhir/SearchParameter/Location-near", "name"),
            (family.as_str(), "name.family"),
        ],
    ] {
        let bad = composite("x", "Patient", None, &parts);
        let answer = world.fhir(&who, "PUT SearchParameter/x", bad.to_string());
        answer.refused(422, "search-parameter-invalid");
    }
}

#[test]
fn references_of_a_tenants_own_follow_canonicals() {
    let (world, who) = World::clinic();
    put(
        &world,
        &who,
        &json!({"resourceType": "Questionnaire", "id": "q", "status": "active", "title": "Pain",
            "url": "http://e.org/q", "version": "2.1"}),
    );
    let goal = |id: &str, name: &str| {
        put(
            &world,
            &who,
            &json!({"resourceType": "Patient", "id": id,
                "extension": [{"url": "http://e.org/form", "valueCanonical": name}]}),
        );
    };
    goal("a", "http://e.org/q|2.1");
    goal("b", "http://e.org/q|1");
    goal("c", "http://e.org/other");
    let mut form = parameter(
        "form",
        "reference",
        "Patient",
        "Patient.extension.where(url = 'http://e.org/form').value.ofType(canonical)",
    );
    form["target"] = json!(["Questionnaire"]);
    put(&world, &who, &form);
    built(&world, &who);
    finds(
        &world,
        &who,
        "Patient?form=http://e.org/q",
        &["Patient/a", "Patient/b"],
    );
    finds(
        &world,
        &who,
        "Patient?form:Questionnaire.title=pain",
        &["Patient/a"],
    );
    finds(&world, &who, "Patient?form.title=pain", &["Patient/a"]);
    finds(
        &world,
        &who,
        "Questionnaire?_has:Patient:form:_id=a",
        &["Questionnaire/q"],
    );
    finds(&world, &who, "Questionnaire?_has:Patient:form:_id=b", &[]);
    for include in ["Patient:form", "*", "Patient:*"] {
        let query = format!("Patient?_id=a&_include={include}");
        finds(&world, &who, &query, &["Patient/a", "Questionnaire/q"]);
    }
    for include in ["Patient:form", "Patient:*"] {
        let query = format!("Questionnaire?_id=q&_revinclude={include}");
        finds(&world, &who, &query, &["Patient/a", "Questionnaire/q"]);
    }
}

#[test]
fn graphql_knows_parameters_of_a_tenants_own() {
    let (world, who) = World::clinic();
    let eye = json!({"extension": [{"url": "http://e.org/eye", "valueCode": "blue"}]});
    put(&world, &who, &person("p", &eye));
    put(&world, &who, &person("q", &json!({})));
    put(
        &world,
        &who,
        &parameter(
            "eye-colour",
            "token",
            "Patient",
            "Patient.extension.where(url = 'http://e.org/eye').value",
        ),
    );
    built(&world, &who);
    let document = json!({"query": "{ PatientList(eye_colour: \"blue\") { id } \
        __type(name: \"Query\") { fields { name args { name } } } }"});
    let answer = world
        .fhir_with(
            &who,
            "POST $graphql",
            &[super::super::world::JSON],
            document.to_string(),
        )
        .status(200)
        .at("/data/PatientList", json!([{"id": "p"}]));
    let fields = answer.json()["data"]["__type"]["fields"].clone();
    let list = fields
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["name"] == "PatientList");
    let args = list.unwrap()["args"].as_array().unwrap().clone();
    assert!(args.iter().any(|a| a["name"] == "eye_colour"));
    // Another tenant's schema has none of it.
    world.tenant("hillside");
    let other = world.client("hillside", "system/*.cruds");
    let headers = [("authorization", other.as_str()), super::super::world::JSON];
    let refused = world.ask(
        "POST /t/hillside/fhir/$graphql",
        &headers,
        document.to_string(),
    );
    refused.status(400);
}

#[test]
fn positions_and_boundaries_can_be_special_parameters() {
    let (world, who) = World::clinic();
    let geolocation = json!({"url": "http://hl7.org/fhir/StructureDefinition/geolocation", "extension": [
        {"url": "latitude", "valueDecimal": 52.52}, {"url": "longitude", "valueDecimal": 13.405}]});
    let home = json!({"address": [{"city": "Berlin", "extension": [geolocation]}]});
    put(&world, &who, &person("p", &home));
    put(&world, &who, &person("q", &json!({})));
    put(
        &world,
        &who,
        &parameter(
            "home-near",
            "special",
            "Patient",
            "Patient.address.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/geolocation')",
        ),
    );
    put(
        &world,
        &who,
        &parameter(
            "contains",
            "special",
            "Location",
            "Location.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/location-boundary-geojson')",
        ),
    );
    put(&world, &who, &super::places::region("berlin"));
    built(&world, &who);
    finds(
        &world,
        &who,
        "Patient?home-near=52.52|13.4|5|km",
        &["Patient/p"],
    );
    finds(&world, &who, "Patient?home-near=48|11|5|km", &[]);
    finds(
        &world,
        &who,
        "Location?contains=52.5|13.4",
        &["Location/berlin"],
    );
    finds(&world, &who, "Location?contains=48|11", &[]);
    let bad = parameter("age", "special", "Patient", "Patient.birthDate");
    let answer = world.fhir(&who, "PUT SearchParameter/age", bad.to_string());
    answer.refused(422, "search-parameter-invalid");
}
