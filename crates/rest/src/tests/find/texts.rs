//! Full text, and how well it fits.

use serde_json::json;

use super::super::world::World;
use super::{finds, person, put, refuses};

#[test]
fn texts_are_searched_by_words() {
    let (world, who) = World::clinic();
    let told = |id: &str, div: &str, note: &str| {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Condition", "id": id, "subject": {"reference": "Patient/x"},
                "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>")},
                "note": [{"text": note}],
            }),
        );
    };
    told("a", "<p>Severe <b>heart attack</b></p>", "seen at home");
    told("b", "The heart is well, no attack", "Fièvre");
    told("c", "Nothing", "a heart note");
    for (query, want) in [
        ("_text=heart", &["Condition/a", "Condition/b"][..]),
        ("_text=\"heart attack\"", &["Condition/a"]),
        ("_text=heart and not severe", &["Condition/b"]),
        ("_text=nothing or severe", &["Condition/a", "Condition/c"]),
        ("_text=sev*", &["Condition/a"]),
        (
            "_content=heart",
            &["Condition/a", "Condition/b", "Condition/c"],
        ),
        ("_content=fievre", &["Condition/b"]),
        ("_content=\"a heart note\"&_text=nothing", &["Condition/c"]),
        ("_content=heart&_id=a,c", &["Condition/a", "Condition/c"]),
    ] {
        finds(&world, &who, &format!("Condition?{query}"), want);
    }
    let counted = world.fhir(
        &who,
        "GET Condition?_content=heart&_count=1&_total=accurate",
        "",
    );
    let counted = counted.status(200).at("/total", 3);
    let next = counted.link("next").unwrap();
    let second = world.follow(&who, &next).status(200);
    assert_eq!(
        (counted.entries(), second.entries()),
        (
            vec!["Condition/c".to_owned()],
            vec!["Condition/b".to_owned()]
        )
    );
    let none = world.fhir(&who, "GET Condition?_content=heart&_summary=count", "");
    none.status(200).at("/total", 3);
    told("a", "now empty", "now gone");
    finds(&world, &who, "Condition?_text=heart", &["Condition/b"]);
    refuses(&world, &who, "Condition?_text=(heart", 400, "search-value");
    // Like any other parameter: in chains, in reverse, negated, as a criterion.
    put(
        &world,
        &who,
        &json!({"resourceType": "Patient", "id": "x", "name": [{"text": "Zoë Long Winter"}]}),
    );
    let conditions = ["Condition/a", "Condition/b", "Condition/c"];
    finds(
        &world,
        &who,
        "Patient?_has:Condition:subject:_content=\"a heart note\"",
        &["Patient/x"],
    );
    finds(
        &world,
        &who,
        "Condition?subject:Patient._content=\"zoe long winter\"",
        &conditions,
    );
    finds(
        &world,
        &who,
        "Condition?subject:Patient._content=\"zoe winter\"",
        &[],
    );
    finds(
        &world,
        &who,
        "Condition?_content=not heart",
        &["Condition/a"],
    );
    finds(
        &world,
        &who,
        "Condition?_text=\"well no attack\"",
        &["Condition/b"],
    );
    finds(&world, &who, "Condition?_text=\"heart no attack\"", &[]);
    let criteria = [("if-none-exist", "_content=winter")];
    let body = r#"{"resourceType":"Patient","name":[{"family":"Winter"}]}"#;
    world
        .fhir_with(&who, "POST Patient", &criteria, body)
        .status(200);
    refuses(&world, &who, "Condition?_content=(a", 400, "search-value");
}

#[test]
fn words_of_narratives_are_those_that_are_shown() {
    let (world, who) = World::clinic();
    let told = |id: &str, div: &str| {
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>");
        put(
            &world,
            &who,
            &person(id, &json!({"text": {"status": "generated", "div": div}})),
        );
    };
    told(
        "a",
        "<b>F</b>ever a<i>sth</i>ma <span title=\"1 > 0\">hyper</span>ten<a href=\"#x\">sion</a> H<sub>2</sub>O",
    );
    told(
        "b",
        "<table><tr><td>left</td><td>right</td></tr></table><ul><li>one</li><li>two</li></ul>\
         <p>here</p>there up<br/>down mid<img src=\"#i\" alt=\"no\"/>way",
    );
    told(
        "c",
        "Ph<!-- a > b -->armacy Caf&eacute; Blut&shy;druck R&amp;D 5&#160;mg",
    );
    for (words, want) in [
        ("fever", &["Patient/a"][..]),
        ("ever", &[]),
        ("asthma", &["Patient/a"]),
        ("ma", &[]),
        ("hypertension", &["Patient/a"]),
        ("0", &[]),
        ("h2o", &["Patient/a"]),
        ("\"fever asthma\"", &["Patient/a"]),
        ("left", &["Patient/b"]),
        ("\"left right\"", &["Patient/b"]),
        ("one two", &["Patient/b"]),
        ("here there", &["Patient/b"]),
        ("up down", &["Patient/b"]),
        ("mid way", &["Patient/b"]),
        ("no", &[]),
        ("pharmacy", &["Patient/c"]),
        ("café", &["Patient/c"]),
        ("blutdruck", &["Patient/c"]),
        ("\"r d 5 mg\"", &["Patient/c"]),
    ] {
        finds(&world, &who, &format!("Patient?_text={words}"), want);
        finds(&world, &who, &format!("Patient?_content={words}"), want);
    }
}

/// Ids and scores of the matches, in order.
fn scored(world: &World, who: &str, query: &str) -> Vec<(String, f64)> {
    let answer = world.fhir(who, &format!("GET {query}"), "").status(200);
    let json = answer.json();
    let entries = json["entry"].as_array().cloned().unwrap_or_default();
    let one = |e: &serde_json::Value| {
        let id = e["resource"]["id"].as_str().unwrap().to_owned();
        (id, e["search"]["score"].as_f64().unwrap_or(-1.0))
    };
    entries.iter().map(one).collect()
}

#[test]
fn matches_of_a_text_search_have_a_score() {
    let (world, who) = World::clinic();
    let told = |id: &str, div: &str, note: &str| {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Condition", "id": id, "subject": {"reference": "Patient/x"},
                "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>")},
                "note": [{"text": note}],
            }),
        );
    };
    told("a", "fever", "cold");
    told("b", "a fever and another fever", "no fever now");
    told("c", "cold", "fever");
    told("d", "nothing", "to tell");
    let of = |query: &str| scored(&world, &who, &format!("Condition?{query}"));
    let entry = |id: &str, score: f64| (id.to_owned(), score);
    // n / (n + 1), the mean over what is asked for.
    assert_eq!(
        of("_text=fever&_sort=_score"),
        [entry("b", 0.6667), entry("a", 0.5)]
    );
    assert_eq!(
        of("_content=fever&_sort=_score"),
        [entry("b", 0.75), entry("c", 0.5), entry("a", 0.5)]
    );
    assert_eq!(
        of("_content=fever&_sort=-_score"),
        [entry("a", 0.5), entry("c", 0.5), entry("b", 0.75)]
    );
    assert_eq!(
        of("_content=fever,cold&_sort=_score,_id"),
        [entry("a", 0.5), entry("c", 0.5), entry("b", 0.375)]
    );
    assert_eq!(
        of("_content=fever"),
        [entry("c", 0.5), entry("b", 0.75), entry("a", 0.5)]
    );
    // Where nothing is asked about words all fit, and no score is told unless it is the order.
    assert_eq!(of("_id=a"), [entry("a", -1.0)]);
    assert_eq!(of("_id=a&_sort=_score"), [entry("a", 1.0)]);
    // Pages are the whole, also while others write.
    let first = world.fhir(
        &who,
        "GET Condition?_content=fever&_sort=_score&_count=1",
        "",
    );
    told("e", "fever fever fever fever", "fever fever");
    let mut all = first.status(200);
    let mut seen = all.entries();
    while let Some(next) = all.link("next") {
        all = world.follow(&who, &next).status(200);
        seen.extend(all.entries());
    }
    assert_eq!(seen, ["Condition/b", "Condition/c", "Condition/a"]);
}

#[test]
fn texts_of_codes_and_references_are_searched_in_r5() {
    let (world, who) = World::clinic_of("5.0.0");
    let told = |id: &str, code: &str, text: &str, subject: &str| {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Condition", "id": id,
                "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
                "code": {"coding": [{"system": "urn:c", "code": code}], "text": text},
                "subject": {"reference": "Patient/x", "display": subject},
            }),
        );
    };
    told("a", "R51.9", "Headache, unspecified", "Zoë Winter");
    told("b", "G43", "Acute headache of the bone", "Peter Long");
    for (query, want) in [
        ("code:text=headache", &["Condition/a"][..]),
        ("code:code-text=r51", &["Condition/a"]),
        ("code:code-text=acute", &["Condition/b"]),
        (
            "code:text-advanced=headache",
            &["Condition/a", "Condition/b"],
        ),
        (
            "code:text-advanced=(bone or liver) and headache",
            &["Condition/b"],
        ),
        (
            "code:text-advanced=headache and not acute",
            &["Condition/a"],
        ),
        ("subject:text=zoe", &["Condition/a"]),
        ("subject:code-text=pet", &["Condition/b"]),
        ("subject:text-advanced=winter", &["Condition/a"]),
        ("subject:missing=true", &[]),
    ] {
        finds(&world, &who, &format!("Condition?{query}"), want);
    }
    put(
        &world,
        &who,
        &json!({"resourceType": "Patient", "id": "x", "name": [{"family": "van der Berg"}]}),
    );
    finds(
        &world,
        &who,
        "Patient?family:text=berg and not smith",
        &["Patient/x"],
    );
    refuses(
        &world,
        &who,
        "Patient?name:code-text=x",
        400,
        "search-modifier",
    );
    let (world, who) = World::clinic();
    for query in [
        "Condition?subject:text=x",
        "Condition?code:code-text=x",
        "Patient?family:text=x",
        "Encounter?patient:in=Group/1",
        "Observation?code-value-quantity:missing=true",
        "Patient?gender:of-type=a|b|c",
        "QuestionnaireResponse?questionnaire:identifier=x",
        "Patient?birthdate:exact=2000",
    ] {
        refuses(&world, &who, query, 400, "search-modifier");
    }
}

#[test]
fn sections_are_found_by_their_narratives() {
    let (world, who) = World::clinic_of("5.0.0");
    let section = |code: &str, text: &str| {
        json!({"code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{text}</p></div>")}})
    };
    put(
        &world,
        &who,
        &json!({"resourceType": "Composition", "id": "c", "status": "final", "date": "2024-01-01",
            "title": "x", "type": {"text": "x"}, "author": [{"display": "x"}],
            "section": [section("1", "Fever and dry cough"), section("2", "No known allergies")]}),
    );
    let there: &[&str] = &["Composition/c"];
    for (query, wanted) in [
        ("section-text=cough", there),
        ("section-text=known allergies fever", there),
        ("section-text=\"known allergies\"", there),
        ("section-text=\"cough known\"", &[]),
        ("section-text=not cough", &[]),
        ("section-text=asthma or aller*", there),
        ("section-code-text=1$cough", there),
        ("section-code-text=http://loinc.org|1$dry fever", there),
        ("section-code-text=2$cough", &[]),
        ("section-code-text=2$\"known allergies\"", there),
        ("section-code-text=2$cough,1$cough", there),
        ("section-code-text=1$fever allergies", &[]),
    ] {
        finds(&world, &who, &format!("Composition?{query}"), wanted);
    }
    refuses(
        &world,
        &who,
        "Composition?section-code-text=1$not cough",
        400,
        "search-value",
    );
}
