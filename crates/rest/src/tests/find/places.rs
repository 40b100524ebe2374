//! `near`, and hierarchies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

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
    // Any unit of length that UCUM has.
    let near = ["Location/house", "Location/ward"];
    finds(&world, &who, "Location?near=52.52|13.405|1|[mi_us]", &near);
    finds(&world, &who, "Location?near=52.52|13.405|100000|cm", &near);
    let far = "Location?near=52.52|13.405|1|kg";
    refuses(&world, &who, far, 400, "search-value");
    let missing = "Location?near:missing=true";
    finds(&world, &who, missing, &["Location/bed"]);
    let there = ["Location/far", "Location/house", "Location/ward"];
    finds(&world, &who, "Location?near:missing=false", &there);
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

/// A Location whose boundary is a square around Berlin with a hole in it.
pub(super) fn region(id: &str) -> Value {
    let boundary = json!({"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [
        [[13.0, 52.3], [13.8, 52.3], [13.8, 52.7], [13.0, 52.7], [13.0, 52.3]],
        [[13.5, 52.4], [13.6, 52.4], [13.6, 52.45], [13.5, 52.45], [13.5, 52.4]]]}});
    json!({"resourceType": "Location", "id": id, "status": "active", "extension": [{
        "url": "http://hl7.org/fhir/StructureDefinition/location-boundary-geojson",
        "valueAttachment": {"contentType": "application/geo+json", "data": STANDARD.encode(boundary.to_string())}}]})
}

#[test]
fn places_are_found_by_what_they_contain() {
    let (world, who) = World::clinic_of("5.0.0");
    put(&world, &who, &region("berlin"));
    put(
        &world,
        &who,
        &json!({"resourceType": "Location", "id": "none", "status": "active"}),
    );
    for (at, there) in [
        ("52.52|13.405", true),
        ("48.1|11.6", false),
        ("52.42|13.55", false),
        ("48.1|11.6,52.52|13.405", true),
    ] {
        let wanted: &[&str] = if there { &["Location/berlin"] } else { &[] };
        finds(&world, &who, &format!("Location?contains={at}"), wanted);
    }
    refuses(&world, &who, "Location?contains=52", 400, "search-value");
    refuses(
        &world,
        &who,
        "Location?contains=52|13|1|km",
        400,
        "search-value",
    );
    refuses(
        &world,
        &who,
        "Location?contains=152|13",
        400,
        "search-value",
    );
}

#[test]
fn boundaries_may_stand_in_urls_and_in_what_is_contained() {
    let (world, who) = World::clinic_of("5.0.0");
    let data = region("x")["extension"][0]["valueAttachment"]["data"]
        .as_str()
        .unwrap()
        .to_owned();
    let text = String::from_utf8(STANDARD.decode(&data).unwrap()).unwrap();
    let escaped = text.replace('"', "%22").replace(' ', "%20");
    let at = |id: &str, url: &str| {
        let mut place = region(id);
        place["extension"][0]["valueAttachment"] =
            json!({"contentType": "application/geo+json", "url": url});
        place
    };
    put(
        &world,
        &who,
        &at("a", &format!("data:application/geo+json;base64,{data}")),
    );
    put(&world, &who, &at("b", &format!("data:,{escaped}")));
    let mut inside = at("c", "#boundary");
    inside["contained"] = json!([{"resourceType": "Binary", "id": "boundary",
        "contentType": "application/geo+json", "data": data}]);
    put(&world, &who, &inside);
    put(&world, &who, &at("d", "http://elsewhere/boundary"));
    put(
        &world,
        &who,
        &at("e", "data:application/geo+json;base64,%%%"),
    );
    put(&world, &who, &at("f", "#nothing"));
    let all = ["Location/a", "Location/b", "Location/c"];
    finds(&world, &who, "Location?contains=52.52|13.405", &all);
    finds(&world, &who, "Location?contains=48.1|11.6", &[]);
}
