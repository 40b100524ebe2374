//! Contained resources.

use serde_json::{Value, json};

use super::super::world::World;
use super::{finds, found, put, refuses};

fn prescription(id: &str, drug: &str, more: &[Value]) -> Value {
    let mut contained = vec![json!({
        "resourceType": "Medication", "id": "m1", "status": "active",
        "code": {"coding": [{"system": "urn:drugs", "code": drug}], "text": format!("{drug} tablets")},
        "ingredient": [{"itemCodeableConcept": {"coding": [{"system": "urn:i", "code": format!("of-{drug}")}]}}],
    })];
    contained.extend(more.iter().cloned());
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "subject": {"reference": "Patient/p"}, "medicationReference": {"reference": "#m1"},
        "contained": contained,
    })
}

fn world() -> (World, String) {
    let (world, who) = World::clinic();
    put(
        &world,
        &who,
        &json!({"resourceType": "Patient", "id": "p", "name": [{"family": "Outside"}]}),
    );
    put(
        &world,
        &who,
        &json!({
            "resourceType": "Medication", "id": "own", "status": "active",
            "code": {"coding": [{"system": "urn:drugs", "code": "aspirin"}]},
        }),
    );
    let practitioner =
        json!({"resourceType": "Practitioner", "id": "d", "name": [{"family": "Inside"}]});
    put(&world, &who, &prescription("a", "aspirin", &[practitioner]));
    put(&world, &who, &prescription("b", "codeine", &[]));
    (world, who)
}

#[test]
fn they_are_found_within_their_containers_or_alone() {
    let (world, who) = world();
    for (query, want) in [
        ("Medication?code=aspirin", &["Medication/own"][..]),
        (
            "Medication?code=aspirin&_contained=false",
            &["Medication/own"],
        ),
        (
            "Medication?code=aspirin&_contained=true",
            &["MedicationRequest/a"],
        ),
        (
            "Medication?code=aspirin&_contained=both",
            &["Medication/own", "MedicationRequest/a"],
        ),
        (
            "Medication?_contained=true",
            &["MedicationRequest/a", "MedicationRequest/b"],
        ),
        (
            "Medication?code:not=aspirin&_contained=true",
            &["MedicationRequest/b"],
        ),
        (
            "Medication?_id=m1&_contained=true",
            &["MedicationRequest/a", "MedicationRequest/b"],
        ),
        ("Medication?_id=own&_contained=true", &[]),
        (
            "Medication?code:text=codeine&_contained=true",
            &["MedicationRequest/b"],
        ),
        (
            "Practitioner?family=inside&_contained=true",
            &["MedicationRequest/a"],
        ),
        ("Practitioner?family=inside", &[]),
        (
            "Medication?_content=codeine&_contained=true",
            &["MedicationRequest/b"],
        ),
        (
            "Medication?_filter=code eq codeine&_contained=true&_containedType=contained",
            &["Medication/m1"],
        ),
        ("Patient?family=outside&_contained=true", &[]),
    ] {
        finds(&world, &who, query, want);
    }
    let alone = world
        .fhir(
            &who,
            "GET Medication?code=aspirin&_contained=both&_containedType=contained&_total=accurate",
            "",
        )
        .status(200)
        .at("/total", 2)
        .at("/entry/0/resource/id", "m1")
        .at("/entry/0/resource/resourceType", "Medication")
        .at("/entry/0/search/mode", "match");
    assert!(
        alone
            .text("/entry/0/fullUrl")
            .ends_with("/t/lakeside/fhir/MedicationRequest/a#m1")
    );
    assert!(
        alone
            .text("/entry/1/fullUrl")
            .ends_with("/t/lakeside/fhir/Medication/own")
    );
    for (query, status, code) in [
        ("_contained=maybe", 400, "search-value"),
        ("_containedType=maybe", 400, "search-value"),
        ("_contained=true&_contained=false", 400, "search-value"),
    ] {
        let query = format!("Medication?{query}");
        refuses(&world, &who, &query, status, code);
    }
    let with = found(
        &world,
        &who,
        "Medication?code=codeine&_contained=true&_include=MedicationRequest:subject",
    );
    assert_eq!(with, ["MedicationRequest/b", "Patient/p"]);
}

#[test]
fn chains_go_into_them() {
    let (world, who) = world();
    let line = "MedicationRequest?medication.ingredient-code=of-codeine";
    finds(&world, &who, line, &["MedicationRequest/b"]);
    finds(
        &world,
        &who,
        "MedicationRequest?medication:Medication.code=aspirin",
        &["MedicationRequest/a"],
    );
    finds(
        &world,
        &who,
        "MedicationRequest?medication:Medication.code=urn:drugs|none",
        &[],
    );
    // What is changed or deleted is found no more.
    put(&world, &who, &prescription("b", "ibuprofen", &[]));
    finds(&world, &who, line, &[]);
    finds(&world, &who, "Medication?code=codeine&_contained=true", &[]);
    world
        .fhir(&who, "DELETE MedicationRequest/a", "")
        .status(204);
    finds(
        &world,
        &who,
        "Medication?_contained=true",
        &["MedicationRequest/b"],
    );
    world
        .fhir(&who, "POST MedicationRequest/b/$reindex", "")
        .status(200);
    finds(
        &world,
        &who,
        "Medication?code=ibuprofen&_contained=true",
        &["MedicationRequest/b"],
    );
}

#[test]
fn they_are_shown_to_who_may_see_their_containers() {
    let (world, who) = world();
    let query = "Medication?code=aspirin&_contained=both";
    let blind = world.client("lakeside", "system/Medication.rs");
    finds(&world, &blind, query, &["Medication/own"]);
    let alone = format!("{query}&_containedType=contained");
    finds(&world, &blind, &alone, &["Medication/own"]);
    let both = world.client(
        "lakeside",
        "system/Medication.rs system/MedicationRequest.rs",
    );
    finds(
        &world,
        &both,
        query,
        &["Medication/own", "MedicationRequest/a"],
    );
    let other = world.client("lakeside", "system/MedicationRequest.rs");
    refuses(&world, &other, query, 403, "scope-missing");
    finds(
        &world,
        &other,
        "MedicationRequest?_id=a,b",
        &["MedicationRequest/a", "MedicationRequest/b"],
    );
    let chained = "MedicationRequest?medication:Medication.code=aspirin";
    refuses(&world, &other, chained, 403, "scope-missing");
    let criteria = [("if-none-exist", "code=aspirin&_contained=true")];
    let body = r#"{"resourceType":"Medication"}"#;
    world
        .fhir_with(&who, "POST Medication", &criteria, body)
        .refused(400, "search-value");
}

#[test]
fn pages_of_them_agree() {
    let (world, who) = world();
    for n in 0..7 {
        put(&world, &who, &prescription(&format!("n{n}"), "zinc", &[]));
    }
    for kind in ["container", "contained"] {
        let line = format!(
            "GET Medication?code=zinc&_contained=true&_containedType={kind}&_count=3&_total=accurate"
        );
        let mut page = world.fhir(&who, &line, "").status(200).at("/total", 7);
        put(
            &world,
            &who,
            &prescription(&format!("later-{kind}"), "zinc", &[]),
        );
        let mut seen = 0;
        loop {
            seen += page.entries().len();
            let Some(next) = page.link("next") else { break };
            page = world.follow(&who, &next).status(200);
        }
        assert_eq!(seen, 7, "{kind}");
        world
            .fhir(&who, &format!("DELETE MedicationRequest/later-{kind}"), "")
            .status(204);
    }
}

#[test]
fn they_are_sorted_by_what_was_found() {
    let (world, who) = world();
    // The lesser of its two counts.
    let other = json!({
        "resourceType": "Medication", "id": "m2", "status": "active",
        "code": {"coding": [{"system": "urn:drugs", "code": "zinc"}]},
    });
    put(&world, &who, &prescription("c", "bismuth", &[other]));
    let ordered = |query: &str| {
        let line = format!("GET Medication?{query}");
        world.fhir(&who, &line, "").status(200).entries()
    };
    let (own, a, b, c) = (
        "Medication/own",
        "MedicationRequest/a",
        "MedicationRequest/b",
        "MedicationRequest/c",
    );
    for (query, want) in [
        ("_contained=true&_sort=code", &[a, c, b][..]),
        ("_contained=true&_sort=-code", &[c, b, a]),
        ("_contained=true&code=zinc,codeine&_sort=code", &[b, c]),
        ("_contained=both&_sort=code,_id", &[a, own, c, b]),
        ("_contained=both&_sort=code,-_id", &[own, a, c, b]),
        ("_contained=both&_sort=_lastUpdated", &[own, a, b, c]),
        ("_contained=both&_sort=-_lastUpdated", &[c, b, a, own]),
        ("_contained=both&_sort=-_id", &[own, c, b, a]),
        (
            "_contained=true&_containedType=contained&_sort=_id,code",
            &[
                "Medication/m1",
                "Medication/m1",
                "Medication/m1",
                "Medication/m2",
            ],
        ),
    ] {
        assert_eq!(ordered(query), want, "{query}");
        // Pages put together are the whole.
        let mut page = world
            .fhir(&who, &format!("GET Medication?{query}&_count=1"), "")
            .status(200);
        let mut all = page.entries();
        while let Some(next) = page.link("next") {
            page = world.follow(&who, &next).status(200);
            all.extend(page.entries());
        }
        assert_eq!(all, want, "pages of {query}");
    }
    let alone = world.fhir(
        &who,
        "GET Medication?_contained=true&_containedType=contained&_sort=-code",
        "",
    );
    let alone = alone.status(200).json();
    let urls: Vec<&str> = alone["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["fullUrl"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(urls, ["c#m2", "b#m1", "c#m1", "a#m1"]);
}

#[test]
fn what_they_refer_to_is_brought() {
    let (world, who) = World::clinic();
    let maker = |id: &str| json!({"resourceType": "Organization", "id": id, "name": id});
    put(&world, &who, &maker("m1"));
    put(&world, &who, &maker("m2"));
    let mut holder = prescription("a", "aspirin", &[]);
    holder["contained"][0]["manufacturer"] = json!({"reference": "Organization/m1"});
    put(&world, &who, &holder);
    put(
        &world,
        &who,
        &json!({"resourceType": "Medication", "id": "own", "manufacturer": {"reference": "Organization/m2"}}),
    );
    let alone = "Medication?_containedType=contained&_include=Medication:manufacturer&_contained";
    finds(
        &world,
        &who,
        &format!("{alone}=true"),
        &["Medication/m1", "Organization/m1"],
    );
    let both = [
        "Medication/m1",
        "Medication/own",
        "Organization/m1",
        "Organization/m2",
    ];
    finds(&world, &who, &format!("{alone}=both"), &both);
    let query = "Medication?_contained=true&_containedType=contained&_include=*&_revinclude=*";
    finds(&world, &who, query, &["Medication/m1", "Organization/m1"]);
}

#[test]
fn they_are_sorted_by_how_well_they_fit() {
    let (world, who) = World::clinic();
    let noted = |id: &str, text: &str| {
        let mut holder = prescription(id, "x", &[]);
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>");
        holder["contained"][0]["text"] = json!({"status": "generated", "div": div});
        put(&world, &who, &holder);
    };
    noted("some", "bitter");
    noted("most", "bitter and bitter and more bitter");
    noted("none", "sweet");
    noted("more", "bitter and bitter");
    for alone in ["", "&_containedType=contained"] {
        let page = |query: &str| {
            let line = format!("GET Medication?_contained=true{alone}&{query}");
            let found = world.fhir(&who, &line, "").status(200).json();
            let entries = found["entry"].as_array().unwrap().clone();
            let name = |e: &Value| {
                let url = e["fullUrl"].as_str().unwrap();
                let id = url
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .trim_end_matches("#m1")
                    .to_owned();
                (id, e["search"]["score"].as_f64().unwrap())
            };
            entries.iter().map(name).collect::<Vec<_>>()
        };
        let best = [
            ("most".to_owned(), 0.75),
            ("more".to_owned(), 0.6667),
            ("some".to_owned(), 0.5),
        ];
        assert_eq!(page("_text=bitter&_sort=_score"), best, "{alone}");
        assert_eq!(
            page("_text=bitter&_sort=_score&_count=2"),
            best[..2],
            "{alone}"
        );
        assert_eq!(page("_text=bitter&_sort=-_score")[0], best[2], "{alone}");
        let newest: Vec<_> = page("_text=bitter").into_iter().map(|(id, _)| id).collect();
        assert_eq!(newest, ["more", "most", "some"], "{alone}");
        assert_eq!(page("_text=bitter")[1], best[0], "{alone}");
    }
}
