//! Value sets and code systems.

use serde_json::{Value, json};

use super::super::world::World;
use super::{finds, person, put, refuses};

#[test]
fn value_sets_and_code_systems_of_the_tenant_are_searched_by() {
    let (world, who) = World::clinic();
    let system = json!({
        "resourceType": "CodeSystem", "id": "animals", "url": "http://e.org/animals", "status": "active",
        "content": "complete",
        "concept": [{"code": "animal", "concept": [{"code": "dog", "concept": [{"code": "pug"}]}, {"code": "cat"}]}],
    });
    put(&world, &who, &system);
    let set = |id: &str, include: Value| {
        json!({
            "resourceType": "ValueSet", "id": id, "url": format!("http://e.org/{id}"), "status": "active",
            "version": "1.0", "compose": {"include": [include]},
        })
    };
    let below = json!({"system": "http://e.org/animals", "filter": [{"property": "concept", "op": "is-a", "value": "dog"}]});
    put(&world, &who, &set("dogs", below));
    put(
        &world,
        &who,
        &set("all", json!({"system": "http://e.org/animals"})),
    );
    put(
        &world,
        &who,
        &set("other", json!({"valueSet": ["http://e.org/gone"]})),
    );
    for code in ["animal", "dog", "pug", "cat"] {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Condition", "id": code, "subject": {"reference": "Patient/x"},
                "code": {"coding": [{"system": "http://e.org/animals", "code": code}]},
            }),
        );
    }
    put(
        &world,
        &who,
        &json!({"resourceType": "Condition", "id": "none", "subject": {"reference": "Patient/x"}}),
    );
    for (query, want) in [
        (
            "code:in=http://e.org/dogs",
            &["Condition/dog", "Condition/pug"][..],
        ),
        (
            "code:in=http://e.org/dogs|1.0",
            &["Condition/dog", "Condition/pug"],
        ),
        ("code:in=ValueSet/dogs", &["Condition/dog", "Condition/pug"]),
        (
            "code:in=http://e.org/all",
            &[
                "Condition/animal",
                "Condition/cat",
                "Condition/dog",
                "Condition/pug",
            ],
        ),
        (
            "code:not-in=http://e.org/dogs",
            &["Condition/animal", "Condition/cat", "Condition/none"],
        ),
        (
            "code:below=http://e.org/animals|dog",
            &["Condition/dog", "Condition/pug"],
        ),
        (
            "code:above=http://e.org/animals|pug",
            &["Condition/animal", "Condition/dog", "Condition/pug"],
        ),
        (
            "_filter=code in http://e.org/dogs",
            &["Condition/dog", "Condition/pug"],
        ),
    ] {
        finds(&world, &who, &format!("Condition?{query}"), want);
    }
    refuses(
        &world,
        &who,
        "Condition?code:in=http://e.org/gone",
        400,
        "terms-missing",
    );
    refuses(
        &world,
        &who,
        "Condition?code:in=http://e.org/other",
        400,
        "terms-missing",
    );
    refuses(
        &world,
        &who,
        "Condition?code:below=http://e.org/gone|x",
        400,
        "terms-missing",
    );
    put(&world, &who, &person("m", &json!({"gender": "male"})));
    let own = "http://hl7.org/fhir/ValueSet/administrative-gender";
    finds(
        &world,
        &who,
        &format!("Patient?gender:in={own}"),
        &["Patient/m"],
    );
    let blind = world.client("lakeside", "system/Condition.rs");
    refuses(
        &world,
        &blind,
        "Condition?code:in=http://e.org/dogs",
        403,
        "scope-missing",
    );
}
