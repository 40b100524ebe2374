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

#[test]
fn case_counts_as_the_code_system_says() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let (world, who) = World::clinic_of(fhir);
        let (any, same) = ("http://e.org/any", "http://e.org/same");
        let condition = |id: &str, system: &str, code: &str| {
            let mut made = json!({
                "resourceType": "Condition", "id": id, "subject": {"reference": "Patient/x"},
                "code": {"coding": [{"system": system, "code": code}]},
            });
            if fhir == "5.0.0" {
                made["clinicalStatus"] = json!({"coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]});
            }
            put(&world, &who, &made);
        };
        condition("a", any, "pH-Low");
        condition("b", any, "PH-LOW");
        condition("c", any, "ph-lower");
        condition("d", same, "pH-Low");
        condition("e", same, "PH-LOW");
        let all = |query: &str, want: &[&str]| {
            let want: Vec<String> = want.iter().map(|id| format!("Condition/{id}")).collect();
            let want: Vec<&str> = want.iter().map(String::as_str).collect();
            finds(&world, &who, &format!("Condition?{query}"), &want);
        };
        let code = |system: &str, code: &str| format!("code={system}|{code}");
        // Nobody knows yet.
        all(&code(any, "ph-low"), &[]);
        let system = |id: &str, url: &str, sensitive: bool, child: &str| {
            json!({
                "resourceType": "CodeSystem", "id": id, "url": url, "status": "active",
                "content": "complete", "caseSensitive": sensitive,
                "concept": [{"code": "pH", "concept": [{"code": child}]}],
            })
        };
        put(&world, &who, &system("any", any, false, "pH-Low"));
        put(&world, &who, &system("same", same, true, "pH-Low"));
        for written in ["ph-low", "PH-Low", "pH-lOW"] {
            all(&code(any, written), &["a", "b"]);
            all(&code(same, written), &[]);
        }
        all("code=ph-low", &[]);
        all(&code(same, "pH-Low"), &["d"]);
        all(&format!("code:not={any}|ph-low"), &["c", "d", "e"]);
        all(
            &format!("code={any}|ph-low,{same}|PH-LOW"),
            &["a", "b", "e"],
        );
        all(&format!("_filter=code eq {any}|ph-low"), &["a", "b"]);
        all(&format!("_filter=code ne {any}|ph-low"), &["c", "d", "e"]);
        all(&format!("code:below={any}|PH"), &["a", "b"]);
        all(&format!("code:above={any}|ph-LOW"), &["a", "b"]);
        let set = json!({
            "resourceType": "ValueSet", "id": "set", "url": "http://e.org/set", "status": "active",
            "compose": {"include": [{"system": any, "concept": [{"code": "ph-LOW"}]}]},
        });
        put(&world, &who, &set);
        all("code:in=http://e.org/set", &["a", "b"]);
        all("code:not-in=http://e.org/set", &["c", "d", "e"]);
        put(&world, &who, &person("x", &json!({})));
        finds(
            &world,
            &who,
            &format!("Patient?_has:Condition:patient:code={any}|ph-low"),
            &["Patient/x"],
        );
        finds(
            &world,
            &who,
            &format!("Patient?_has:Condition:patient:code={same}|ph-low"),
            &[],
        );
        // In composites and in long lists the usual spellings are found.
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Observation", "id": "o", "status": "final",
                "code": {"coding": [{"system": any, "code": "PH"}]},
                "valueQuantity": {"value": 7, "system": "http://unitsofmeasure.org", "code": "1"},
            }),
        );
        let both = format!("Observation?code-value-quantity={any}|ph$7");
        finds(&world, &who, &both, &["Observation/o"]);
        let many: Vec<String> = (0..40).map(|n| format!("{any}|x{n}")).collect();
        all(&format!("code={},{any}|ph-low", many.join(",")), &["b"]);
        // What the code system says now counts, and only for who may look at it.
        let blind = world.client("lakeside", "system/Condition.rs");
        finds(
            &world,
            &blind,
            &format!("Condition?{}", code(any, "ph-low")),
            &[],
        );
        put(&world, &who, &system("any", any, true, "pH-Low"));
        all(&code(any, "ph-low"), &[]);
        put(&world, &who, &system("any", any, false, "pH-Low"));
        all(&code(any, "ph-low"), &["a", "b"]);
        world.fhir(&who, "DELETE CodeSystem/any", "").status(204);
        all(&code(any, "ph-low"), &[]);
    }
}
