//! `near`, and hierarchies.

use serde_json::json;

use super::super::world::World;
use super::{finds, put, refuses};

#[test]
fn places_are_found_near_and_below_each_other() {
    let (world, who) = World::clinic();
    let place = |id: &str, part_of: Option<&str>, position: Option<(f64, f64)>| {
        let mut place = json!({"resourceType": "Location", "id": id, "status": "active"});
        if let Some(of) = part_of {
            place["partOf"] = json!({"reference": format!("Location/{of}")});
        }
        if let Some((latitude, longitude)) = position {
            place["position"] = json!({"latitude": latitude, "longitude": longitude});
        }
        put(&world, &who, &place);
    };
    place("house", None, Some((52.5200, 13.4050)));
    place("ward", Some("house"), Some((52.5205, 13.4060)));
    place("bed", Some("ward"), None);
    place("far", None, Some((48.1372, 11.5756)));
    finds(
        &world,
        &who,
        "Location?near=52.52|13.405|1|km",
        &["Location/house", "Location/ward"],
    );
    finds(
        &world,
        &who,
        "Location?near=52.52|13.405|10|m",
        &["Location/house"],
    );
    finds(
        &world,
        &who,
        "Location?near=52.52|13.405|505|km",
        &["Location/far", "Location/house", "Location/ward"],
    );
    finds(
        &world,
        &who,
        "Location?near=52.52|13.405|503|km",
        &["Location/house", "Location/ward"],
    );
    refuses(&world, &who, "Location?near=95|13", 400, "search-value");
    let stay = |id: &str, at: &str| {
        put(
            &world,
            &who,
            &json!({
                "resourceType": "Encounter", "id": id, "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                "location": [{"location": {"reference": format!("Location/{at}")}}],
            }),
        );
    };
    stay("e1", "bed");
    stay("e2", "ward");
    stay("e3", "house");
    finds(
        &world,
        &who,
        "Encounter?location:below=Location/ward",
        &["Encounter/e1", "Encounter/e2"],
    );
    finds(
        &world,
        &who,
        "Encounter?location:above=ward",
        &["Encounter/e2", "Encounter/e3"],
    );
    finds(
        &world,
        &who,
        "Location?partof:below=house",
        &["Location/bed", "Location/ward"],
    );
    let blind = world.client("lakeside", "system/Encounter.rs");
    refuses(
        &world,
        &blind,
        "Encounter?location:below=Location/ward",
        403,
        "scope-missing",
    );
}
