//! Quantities, forms of values that several readings have, and queries that mean no good.

use serde_json::{Value, json};

use super::super::world::World;
use super::edges::ids;
use super::own::{STANDARD, built, composite};
use super::{encoded, finds, person, put, refuses};

#[test]
fn a_relationship_between_documents_is_named_either_way() {
    let (world, who) = World::clinic();
    let document = |id: &str, relates: Value| {
        json!({"resourceType": "DocumentReference", "id": id, "status": "current", "relatesTo": relates,
            "content": [{"attachment": {"url": "http://x"}}]})
    };
    let to = |code: &str, id: &str| json!({"code": code, "target": {"reference": format!("DocumentReference/{id}")}});
    put(
        &world,
        &who,
        &document("a", json!([to("replaces", "x"), to("signs", "y")])),
    );
    put(&world, &who, &document("b", json!([to("signs", "x")])));
    for (value, want) in [
        ("replaces$DocumentReference/x", "a"),
        ("DocumentReference/x$replaces", "a"),
        ("x$signs", "b"),
        ("signs$y", "a"),
        ("y$replaces", ""),
    ] {
        ids(
            &world,
            &who,
            &format!("DocumentReference?relationship={value}"),
            want,
        );
    }
    let bad = "DocumentReference?relationship=replaces";
    refuses(&world, &who, bad, 400, "search-value");
}

#[test]
fn a_narrative_of_r5_says_something() {
    let with = |div: &str| {
        let text = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>");
        json!({"resourceType": "Patient", "text": {"status": "generated", "div": text}}).to_string()
    };
    let (world, who) = World::clinic_of("5.0.0");
    for good in ["x", "<p>x</p>", "<img src=\"#a\" alt=\"\"/>", "&#160;"] {
        world.fhir(&who, "POST Patient", with(good)).status(201);
    }
    for empty in ["", " \n ", "<p> </p>", "<!-- x -->", "<br/>"] {
        let refused = world.fhir(&who, "POST Patient", with(empty));
        refused
            .refused(422, "element-empty")
            .at("/issue/0/expression/0", "Patient.text.div");
    }
    // HL7's own examples of R4 have narratives that say nothing.
    let (world, who) = World::clinic();
    world.fhir(&who, "POST Patient", with(" ")).status(201);
}

#[test]
fn quantities_are_compared_with_their_comparators_and_ranges() {
    let (world, who) = World::clinic();
    let of = |id: &str, value: &str| {
        let text = format!(
            r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},{value}}}"#
        );
        world
            .fhir(&who, &format!("PUT Observation/{id}"), text)
            .status(201);
    };
    let ucum = r#""system":"http://unitsofmeasure.org""#;
    of(
        "a",
        &format!(r#""valueQuantity":{{"value":5.4,"unit":"mg","code":"mg",{ucum}}}"#),
    );
    of(
        "b",
        &format!(r#""valueQuantity":{{"value":5.40,"unit":"mg","code":"mg",{ucum}}}"#),
    );
    of(
        "c",
        &format!(r#""valueQuantity":{{"value":0.0054,"unit":"g","code":"g",{ucum}}}"#),
    );
    of(
        "d",
        &format!(r#""valueQuantity":{{"value":5.44,"unit":"mg","code":"mg",{ucum}}}"#),
    );
    of(
        "e",
        &format!(
            r#""valueQuantity":{{"value":5,"comparator":"<","unit":"mg","code":"mg",{ucum}}}"#
        ),
    );
    of(
        "f",
        &format!(
            r#""valueQuantity":{{"value":6,"comparator":">=","unit":"mg","code":"mg",{ucum}}}"#
        ),
    );
    of("g", r#""valueQuantity":{"value":5.4,"unit":"tablets"}"#);
    of(
        "h",
        r#""component":[{"code":{"coding":[{"code":"s"}]},"valueQuantity":{"value":120}},{"code":{"coding":[{"code":"d"}]},"valueQuantity":{"value":80}}]"#,
    );
    let system = "http://unitsofmeasure.org";
    for (query, want) in [
        (format!("value-quantity=5.4|{system}|mg"), "a b c d"),
        (format!("value-quantity=5.40|{system}|mg"), "a b c"),
        (format!("value-quantity=5.40e-3|{system}|g"), "a b c"),
        (format!("value-quantity=5.4e-6|{system}|kg"), "a b c d"),
        ("value-quantity=5.4||mg".to_owned(), "a b d"),
        ("value-quantity=5.4||tablets".to_owned(), "g"),
        ("value-quantity=5.4".to_owned(), "a b d g"),
        (format!("value-quantity=lt5|{system}|mg"), "e"),
        (format!("value-quantity=gt5.42|{system}|mg"), "d f"),
        (format!("value-quantity=sa5.5|{system}|mg"), "f"),
        (format!("value-quantity=gt7|{system}|mg"), "f"),
        (format!("value-quantity=ne5.40|{system}|mg"), "d e f"),
        (format!("value-quantity=ap5|{system}|mg"), "a b c d e"),
        ("component-code-value-quantity=s$120".to_owned(), "h"),
        ("component-code-value-quantity=s$80".to_owned(), ""),
        (
            "component-code-value-quantity=s$gt100,d$lt90".to_owned(),
            "h",
        ),
        (
            "component-code=s&component-value-quantity=80".to_owned(),
            "h",
        ),
        ("combo-code-value-quantity=d$80".to_owned(), "h"),
        ("value-quantity:missing=true".to_owned(), "h"),
    ] {
        ids(&world, &who, &format!("Observation?{query}"), want);
    }
    for bad in [
        "", "x", "5||", "5|a", "5|a|b|c", "5.|a|b", "gt", "1e4x", "NaN", "inf",
    ] {
        let query = format!("Observation?value-quantity={bad}&_count=1");
        if !bad.is_empty() {
            refuses(&world, &who, &query, 400, "search-value");
        }
    }
}

#[test]
fn no_query_breaks_the_server() {
    let (world, who) = World::clinic();
    put(
        &world,
        &who,
        &person("a", &json!({"birthDate": "2000-01-01"})),
    );
    let many = |part: &str, count: usize| vec![part; count].join(",");
    for query in [
        "Patient?_sort=".to_owned() + &many("family", 16),
        "Patient?_sort=".to_owned() + &many("-birthdate", 200),
        "Patient?_elements=".to_owned() + &many("name", 2_000),
        "Patient?name=".to_owned() + &many("a", 999),
        "Patient?name=".to_owned() + &many("a", 2_000),
        "Patient?birthdate=".to_owned() + &many("ne2000", 900),
        "Patient?identifier=".to_owned() + &many("a|b", 999),
        "Patient?_id=".to_owned() + &many("a", 999),
        "Patient?_include=Patient:*&_include:iterate=*&_revinclude=*&_revinclude:iterate=*".to_owned(),
        "Patient?_has:Observation:patient:_has:Observation:focus:_has:Observation:focus:_has:Observation:focus:code=x".to_owned(),
        "Observation?subject.link.link.link.link.link.link.name=x".to_owned(),
        "Patient?_filter=".to_owned() + &"(".repeat(500),
        "Patient?_filter=".to_owned() + &"not ".repeat(500) + "name eq a",
        "Patient?_filter=".to_owned() + &vec!["name eq a"; 1_500].join(" or "),
        "Patient?_filter=name[name[name[name eq a].x eq b].y eq c].z eq d".to_owned(),
        "Patient?_text=".to_owned() + &"(".repeat(300),
        "Patient?_content=\"".to_owned(),
        "Patient?_content=*".to_owned(),
        "Patient?near=1|2|3|4".to_owned(),
        "Location?near=91|0".to_owned(),
        "Location?near=0|0|1e300|km".to_owned(),
        "Location?near=0|0|1|".to_owned() + &"m.".repeat(200) + "m",
        "Location?near=".to_owned() + &many("1|2|3|km", 500),
        "Patient?birthdate=9999-12-31T23:59:59.999999999999999Z".to_owned(),
        "Patient?birthdate=gt0001".to_owned(),
        "Patient?birthdate=ap9999".to_owned(),
        "Patient?_lastUpdated=lt9999-12-31".to_owned(),
        "Patient?_count=99999999999999999999999".to_owned(),
        "Patient?_count=-1".to_owned(),
        "Patient?name:exact=".to_owned() + &"a".repeat(20_000),
        "Patient?name:contains=%".to_owned(),
        "Patient?name=_%".to_owned(),
        "Patient?name=\u{0}".to_owned(),
        "Patient?name=\u{301}".to_owned(),
        "Patient?organization=Organization/a/_history/x".to_owned(),
        "Patient?organization=#a".to_owned(),
        "Patient?organization=Patient/a".to_owned(),
        "Patient?organization:identifier=|".to_owned(),
        "Patient?identifier:of-type=||".to_owned(),
        "Patient?organization:below=Organization/a".to_owned(),
        "Patient?_profile:below=http://x|1".to_owned(),
        "Patient?_list=$current-nothing".to_owned(),
        "Patient?_list=a,b".to_owned(),
        "Patient?_query=x".to_owned(),
        "Patient?:missing=true".to_owned(),
        "Patient?name::exact=x".to_owned(),
        "Patient?.name=x".to_owned(),
        "Patient?name.=x".to_owned(),
        "Patient?_has:=x".to_owned(),
        "Patient?_has::::=x".to_owned(),
        "Patient?_contained=both&_sort=family&_include=Patient:organization".to_owned(),
        "Observation?code-value-quantity=$".to_owned(),
        "Observation?code-value-quantity=a$b$c".to_owned(),
        "Observation?value-quantity=1|http://unitsofmeasure.org|".to_owned() + &"m".repeat(300),
        "Observation?value-quantity=1e308|http://unitsofmeasure.org|Ym".to_owned(),
        "Observation?value-quantity=1|http://unitsofmeasure.org|m9999999999".to_owned(),
        "Observation?code:in=http://nowhere".to_owned(),
        "Observation?code:below=x".to_owned(),
        "?_type=Patient,Observation&_sort=_lastUpdated&name=x".to_owned(),
        "?_type=Patient,,&_id=a".to_owned(),
        "?_type=Nothing".to_owned(),
        "?_sort=family".to_owned(),
    ] {
        let line = format!("GET {}", encoded(&query));
        let answer = world.fhir(&who, &line, "");
        let shown: String = query.chars().take(120).collect();
        assert!(
            matches!(answer.code, 200 | 400 | 501),
            "{shown}: {}",
            answer.code
        );
    }
}

#[test]
fn composites_may_have_many_parts() {
    let (world, who) = World::clinic();
    let clinical = format!("{STANDARD}/clinical-code");
    let status = format!("{STANDARD}/Observation-status");
    let subject = format!("{STANDARD}/Observation-subject");
    let category = format!("{STANDARD}/Observation-category");
    let value = format!("{STANDARD}/Observation-value-quantity");
    let date = format!("{STANDARD}/clinical-date");
    let whole = |code: &str, parts: &[(&str, &str)]| {
        put(&world, &who, &composite(code, "Observation", None, parts));
        built(&world, &who);
    };
    let four = [
        (clinical.as_str(), "code"),
        (status.as_str(), "status"),
        (subject.as_str(), "subject"),
        (category.as_str(), "category"),
    ];
    let observation = |id: &str,
                       code: &str,
                       status: &str,
                       of: &str,
                       value: f64,
                       unit: &str,
                       at: &str| {
        put(
            &world,
            &who,
            &json!({"resourceType": "Observation", "id": id, "status": status,
            "code": {"coding": [{"system": "http://loinc.org", "code": code}, {"code": "local"}]},
            "category": [{"coding": [{"system": "http://cat", "code": "lab"}]}, {"coding": [{"code": "vital"}]}],
            "subject": {"reference": format!("Patient/{of}")}, "effectiveDateTime": at,
            "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}}),
        );
    };
    observation("a", "x", "final", "p", 1.0, "g", "2020-01-01");
    whole("four", &four);
    let six = [
        &four[..],
        &[(value.as_str(), "value"), (date.as_str(), "effective")],
    ]
    .concat();
    whole("six", &six);
    observation("b", "x", "amended", "p", 1000.0, "mg", "2021-01-01");
    observation("c", "y", "final", "q", 2.0, "g", "2020-06-01");
    for (query, want) in [
        ("four=x$final$Patient/p$lab", "a"),
        ("four=http://loinc.org|x$final$p$http://cat|lab", "a"),
        ("four=http://loinc.org|$final$p$http://cat|", "a"),
        ("four=local$final$q$vital", "c"),
        ("four=|local$final$q$|vital", "c"),
        ("four=|x$final$p$lab", ""),
        ("four=x$final$Patient/q$lab", ""),
        ("four=x$amended$p$lab,y$final$q$lab", "b c"),
        (
            "six=local$final$p$lab$1000|http://unitsofmeasure.org|mg$2020",
            "a",
        ),
        (
            "six=local$final$p$lab$gt1|http://unitsofmeasure.org|g$2020",
            "",
        ),
        (
            "six=local$final$q$lab$gt1|http://unitsofmeasure.org|g$ge2020-05",
            "c",
        ),
        ("six=x$amended$p$lab$1$2021", ""),
        ("six=x$amended$p$lab$1000$2021", "b"),
    ] {
        let want: Vec<String> = want
            .split_whitespace()
            .map(|id| format!("Observation/{id}"))
            .collect();
        let want: Vec<&str> = want.iter().map(String::as_str).collect();
        finds(&world, &who, &format!("Observation?{query}"), &want);
    }
    refuses(
        &world,
        &who,
        "Observation?four=x$final$p",
        400,
        "search-value",
    );
    // What is kept is what would be made anew.
    observation("a", "x", "amended", "p", 1.0, "g", "2020-01-01");
    finds(&world, &who, "Observation?four=x$final$p$lab", &[]);
    finds(
        &world,
        &who,
        "Observation?four=x$amended$p$lab",
        &["Observation/a", "Observation/b"],
    );
    let too_many = [&six[..], &[(value.as_str(), "value")]].concat();
    let bad = composite("x", "Observation", None, &too_many);
    let answer = world.fhir(&who, "PUT SearchParameter/x", bad.to_string());
    answer.refused(422, "search-parameter-invalid");
}
