//! What is known of code systems is known to whom they are shown.

use serde_json::json;

use super::super::world::World;
use super::{grants, staff, two_facilities};

/// How many conditions are found by a code that is written otherwise than it is stored.
fn found(world: &World, who: &str) -> usize {
    let answer = world.fhir(who, "GET Condition?code=urn:case|ph-low", "");
    answer.status(200).entries().len()
}

#[test]
fn a_code_system_that_is_not_shown_says_nothing_of_case() {
    for first_shown in [true, false] {
        let (world, all) = two_facilities();
        for made in [
            json!({ "resourceType": "CodeSystem", "id": "case", "url": "urn:case", "status": "draft",
                "content": "complete", "caseSensitive": false, "concept": [{ "code": "pH-Low" }] }),
            json!({ "resourceType": "Condition", "id": "c", "subject": { "reference": "Patient/p-north" },
                "code": { "coding": [{ "system": "urn:case", "code": "pH-Low" }] } }),
        ] {
            let line = format!(
                "PUT {}/{}",
                made["resourceType"].as_str().unwrap(),
                made["id"].as_str().unwrap()
            );
            world.fhir(&all, &line, made.to_string()).status(201);
        }
        grants(
            &world,
            &json!([{ "name": "conditions", "who": { "roles": ["nurse"] }, "actions": "rs",
                "types": ["Condition"] },
                { "name": "systems", "who": { "roles": ["nurse"] }, "actions": "rs",
                "types": ["CodeSystem"], "criteria": "status=active" }]),
        );
        let nurse = staff(&world, &["nurse@Organization/o-north"], "system/*.cruds");
        // Whoever asks first, neither learns by the other.
        let mut who = [(&all, 1), (&nurse, 0)];
        if !first_shown {
            who.reverse();
        }
        for (who, wanted) in who {
            assert_eq!(found(&world, who), wanted, "{first_shown}");
        }
    }
}
