//! Forms of values: units, identifiers with their types, `_filter`.

use serde_json::{Value, json};

use super::super::world::World;
use super::{finds, person, put, refuses};

fn weight(id: &str, value: f64, code: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "valueQuantity": {"value": value, "unit": code, "system": "http://unitsofmeasure.org", "code": code},
    })
}

#[test]
fn a_quantity_is_found_in_every_unit_of_its_kind() {
    let (world, who) = World::clinic();
    put(&world, &who, &weight("a", 1.0, "g"));
    put(&world, &who, &weight("b", 1000.0, "mg"));
    put(&world, &who, &weight("c", 2.0, "kg"));
    put(&world, &who, &weight("d", 1.0, "m"));
    let ucum = "http://unitsofmeasure.org";
    for (query, want) in [
        (
            format!("value-quantity=1|{ucum}|g"),
            &["Observation/a", "Observation/b"][..],
        ),
        (
            format!("value-quantity=1000|{ucum}|mg"),
            &["Observation/a", "Observation/b"],
        ),
        (
            format!("value-quantity=gt0.5|{ucum}|kg"),
            &["Observation/c"],
        ),
        (
            format!("value-quantity=ge0.001|{ucum}|kg"),
            &["Observation/a", "Observation/b", "Observation/c"],
        ),
        ("value-quantity=1||mg".to_owned(), &[]),
        (
            "value-quantity=1".to_owned(),
            &["Observation/a", "Observation/d"],
        ),
        (
            format!("code-value-quantity=http://loinc.org|29463-7$2000000|{ucum}|mg"),
            &["Observation/c"],
        ),
        (
            format!("code-value-quantity=29463-7$lt2|{ucum}|g"),
            &["Observation/a", "Observation/b"],
        ),
    ] {
        finds(&world, &who, &format!("Observation?{query}"), want);
    }
}

#[test]
fn strings_are_found_however_they_are_written() {
    let (world, who) = World::clinic();
    for (id, family) in [
        ("a", "O'Neil"),
        ("b", "Smith-Jones"),
        ("c", "Carreño Quinones"),
        ("d", "van der  Berg"),
        ("e", "-"),
        ("f", "Smith \t Jones"),
        ("g", "SmithJones"),
        ("h", "Juan Neri"),
    ] {
        let city = json!([{"city": "Winston-Salem", "line": ["123, Main St."]}]);
        let more = json!({"name": [{"family": family}], "address": city});
        put(&world, &who, &person(id, &more));
    }
    for (query, want) in [
        ("family=oneil", &["Patient/a"][..]),
        ("family=O\u{2019}NEIL", &["Patient/a"]),
        ("family=o neil", &["Patient/a"]),
        (
            "family=smithjones",
            &["Patient/b", "Patient/f", "Patient/g"],
        ),
        (
            "family=smith jones",
            &["Patient/b", "Patient/f", "Patient/g"],
        ),
        (
            "family=Smith-Jones",
            &["Patient/b", "Patient/f", "Patient/g"],
        ),
        ("family=smit hjo", &["Patient/b", "Patient/f", "Patient/g"]),
        ("family=jones", &["Patient/b", "Patient/f"]),
        ("name=jones", &["Patient/b", "Patient/f"]),
        ("phonetic=jones", &["Patient/b", "Patient/f"]),
        ("family=jua nn", &["Patient/h"]),
        // What is found without it is found with `:contains`; past the beginning spaces count.
        (
            "family:contains=smithjones",
            &["Patient/b", "Patient/f", "Patient/g"],
        ),
        ("family:contains=ann", &[]),
        ("family:contains=an n", &["Patient/h"]),
        ("family:contains=hjo", &["Patient/b", "Patient/g"]),
        ("family:exact=SmithJones", &["Patient/g"]),
        ("family:exact=Smith \t Jones", &["Patient/f"]),
        ("family:exact=Smith Jones", &[]),
        ("family=quinones", &["Patient/c"]),
        ("family=Carreno", &["Patient/c"]),
        ("family=der berg", &["Patient/d"]),
        ("family=van der berg", &["Patient/d"]),
        ("family=-", &["Patient/e"]),
        ("family=one", &["Patient/a"]),
        ("family=erg", &[]),
        ("family:exact=Quinones", &[]),
        ("family:exact=oneil", &[]),
        ("family:exact=O'Neil", &["Patient/a"]),
        ("family:exact=Carreño Quinones", &["Patient/c"]),
        ("family:contains=th-j", &["Patient/b", "Patient/g"]),
        ("family:contains=th j", &["Patient/f"]),
        ("_filter=family eq quinones", &[]),
        ("_filter=family sw \"o'n\"", &["Patient/a"]),
    ] {
        finds(&world, &who, &format!("Patient?{query}"), want);
    }
    for query in [
        "address-city=winston salem",
        "address=123 main st",
        "address-city=WinstonSalem",
    ] {
        assert_eq!(
            super::found(&world, &who, &format!("Patient?{query}")).len(),
            8,
            "{query}"
        );
    }
    // A later word of a name is no place to sort by.
    let sorted = world
        .fhir(&who, "GET Patient?_sort=family", "")
        .status(200)
        .json();
    let ids: Vec<_> = sorted["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["resource"]["id"])
        .collect();
    assert_eq!(ids, ["e", "c", "h", "a", "f", "b", "g", "d"]);
}

#[test]
fn mime_types_are_found_by_their_first_part() {
    let (world, who) = World::clinic();
    for (id, mime) in [
        ("a", "text/xml"),
        ("b", "TEXT/xml; charset=UTF-8"),
        ("c", "text/plain"),
        ("d", "textual/x"),
    ] {
        let document = json!({"resourceType": "DocumentReference", "id": id, "status": "current",
            "content": [{"attachment": {"contentType": mime, "url": "http://example.org/x"}}]});
        put(&world, &who, &document);
    }
    let documents = |ids: &[&str]| -> Vec<String> {
        ids.iter()
            .map(|id| format!("DocumentReference/{id}"))
            .collect()
    };
    for (value, want) in [
        ("text", &["a", "b", "c"][..]),
        ("text/*", &["a", "b", "c"]),
        ("text/xml", &["a", "b"]),
        ("Text/XML", &["a", "b"]),
        ("urn:ietf:bcp:13|text/plain", &["c"]),
        ("image", &[]),
    ] {
        let query = format!("DocumentReference?contenttype:below={value}");
        assert_eq!(
            super::found(&world, &who, &query),
            documents(want),
            "{query}"
        );
    }
    let exact = super::found(&world, &who, "DocumentReference?contenttype=text/xml");
    assert_eq!(exact, documents(&["a"]));
}

#[test]
fn identifiers_are_found_with_their_type() {
    let (world, who) = World::clinic();
    let kinds = "http://terminology.hl7.org/CodeSystem/v2-0203";
    let identifier = |code: &str, value: &str| json!({"identifier": [{"type": {"coding": [{"system": kinds, "code": code}]}, "system": "urn:x", "value": value}]});
    put(&world, &who, &person("a", &identifier("MR", "12|345")));
    put(&world, &who, &person("b", &identifier("SS", "12|345")));
    finds(
        &world,
        &who,
        &format!("Patient?identifier:of-type={kinds}|MR|12\\|345"),
        &["Patient/a"],
    );
    finds(
        &world,
        &who,
        &format!("Patient?identifier:of-type={kinds}|MR|other"),
        &[],
    );
    refuses(
        &world,
        &who,
        "Patient?identifier:of-type=MR|1",
        400,
        "search-value",
    );
    refuses(
        &world,
        &who,
        "Patient?identifier:nonsense=1",
        400,
        "search-modifier",
    );
}

#[test]
fn filters_join_conditions() {
    let (world, who) = World::clinic();
    let clinic = json!({"resourceType": "Organization", "id": "o", "active": true, "name": "Lakeside Clinic"});
    put(&world, &who, &clinic);
    let of = |family: &str, gender: &str, birth: &str| {
        json!({
            "name": [{"family": family, "given": ["Zoë"]}], "gender": gender, "birthDate": birth,
            "managingOrganization": {"reference": "Organization/o"},
        })
    };
    put(
        &world,
        &who,
        &person("a", &of("Smith", "male", "1980-02-03")),
    );
    put(
        &world,
        &who,
        &person("b", &of("Smithson", "female", "1990")),
    );
    put(
        &world,
        &who,
        &person(
            "c",
            &json!({"name": [{"family": "Jones, Sr."}], "birthDate": "2000-01-01"}),
        ),
    );
    for (filter, want) in [
        ("family eq \"smith\"", &["Patient/a"][..]),
        ("family sw smith", &["Patient/a", "Patient/b"]),
        ("family ew \"SON\"", &["Patient/b"]),
        ("family eq \"Jones, Sr.\"", &["Patient/c"]),
        ("given co \"oe\" and gender ne male", &["Patient/b"]),
        (
            "gender eq male or birthdate ge 2000",
            &["Patient/a", "Patient/c"],
        ),
        ("not (family co smith)", &["Patient/c"]),
        (
            "organization.name co \"lakeside\" and birthdate lt 1985",
            &["Patient/a"],
        ),
        (
            "organization[active eq true].name sw lake",
            &["Patient/a", "Patient/b"],
        ),
        ("organization[active eq false].name sw lake", &[]),
        ("organization pr false", &["Patient/c"]),
        ("birthdate po 1990-05", &["Patient/b"]),
        (
            "organization re Organization/o and _id eq a",
            &["Patient/a"],
        ),
    ] {
        finds(&world, &who, &format!("Patient?_filter={filter}"), want);
    }
    refuses(&world, &who, "Patient?_filter=family", 400, "search-value");
    refuses(
        &world,
        &who,
        "Patient?_filter=nonsense eq 1",
        400,
        "search-value",
    );
    let blind = world.client("lakeside", "system/Patient.rs");
    refuses(
        &world,
        &blind,
        "Patient?_filter=organization.name co x",
        403,
        "scope-missing",
    );
}
