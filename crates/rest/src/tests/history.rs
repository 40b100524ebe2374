//! Histories of an instance, a type, and all.

use super::world::{World, patient_with_id};

fn three_versions(world: &World, who: &str) {
    world
        .fhir(who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    world
        .fhir(who, "PUT Patient/p", patient_with_id("p", "B"))
        .status(200);
    world.fhir(who, "DELETE Patient/p", "").status(204);
}

#[test]
fn a_history_tells_how_it_came_about() {
    let (world, who) = World::clinic();
    three_versions(&world, &who);
    let told = world.fhir(&who, "GET Patient/p/_history", "").status(200);
    let told = told.at("/type", "history").at("/total", 3);
    for (i, method, status, etag) in [
        (0, "DELETE", "204 No Content", "W/\"3\""),
        (1, "PUT", "200 OK", "W/\"2\""),
        (2, "PUT", "201 Created", "W/\"1\""),
    ] {
        let entry = told.json()["entry"][i].clone();
        assert_eq!(entry["request"]["method"], method);
        assert_eq!(entry["request"]["url"], "Patient/p");
        assert_eq!(entry["response"]["status"], status);
        assert_eq!(entry["response"]["etag"], etag);
        assert!(entry["response"]["lastModified"].is_string());
        assert_eq!(entry.get("resource").is_some(), method == "PUT");
        assert!(entry["fullUrl"].as_str().unwrap().ends_with("/Patient/p"));
    }
    world
        .fhir(&who, "GET Patient/never/_history", "")
        .refused(404, "not-found");
}

#[test]
fn histories_of_types_and_of_all_are_paged() {
    let (world, who) = World::clinic();
    three_versions(&world, &who);
    for path in ["Patient/_history", "_history", "Patient/p/_history"] {
        let mut seen = Vec::new();
        let mut page = world
            .fhir(&who, &format!("GET {path}?_count=2"), "")
            .status(200);
        loop {
            for entry in page.json()["entry"].as_array().unwrap() {
                seen.push(entry["response"]["etag"].as_str().unwrap().to_owned());
            }
            let Some(next) = page.link("next") else { break };
            page = world.follow(&who, &next).status(200);
        }
        assert_eq!(seen, ["W/\"3\"", "W/\"2\"", "W/\"1\""], "{path}");
    }
    let count = world
        .fhir(&who, "GET Patient/_history?_count=0", "")
        .status(200);
    assert!(count.at("/total", 3).entries().is_empty());
}

#[test]
fn since_leaves_out_what_is_older() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    world.clock.forward_secs(100);
    let second = world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "B"))
        .status(200);
    let since = second.text("/meta/lastUpdated");
    let told = world
        .fhir(&who, &format!("GET Patient/p/_history?_since={since}"), "")
        .status(200);
    assert_eq!(told.json()["entry"].as_array().unwrap().len(), 1);
    world.fhir(&who, "GET _history?_since=2099", "").status(200);
    world
        .fhir(&who, "GET _history?_since=yesterday", "")
        .refused(400, "search-value");
    world
        .fhir(&who, "GET _history?_count=many", "")
        .refused(400, "search-value");
    world.fhir(&who, "GET _history?nonsense=1", "").status(200);
    let strict = [("prefer", "handling=strict")];
    let refused = world.fhir_with(&who, "GET _history?nonsense=1", &strict, "");
    refused.refused(400, "search-parameter-unknown");
}

#[test]
fn a_history_of_all_shows_what_the_caller_may_see() {
    let (world, who) = World::clinic();
    three_versions(&world, &who);
    let other = world.client("lakeside", "system/Observation.rs");
    let told = world.fhir(&other, "GET _history", "").status(200);
    assert!(told.entries().is_empty());
    world
        .fhir(&other, "GET Patient/_history", "")
        .refused(403, "scope-missing");
    world
        .fhir(&other, "GET Patient/p/_history", "")
        .refused(403, "scope-missing");
}
