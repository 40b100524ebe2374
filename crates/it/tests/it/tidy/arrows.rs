//! Which room may use which: the one direction of the house.

use std::collections::BTreeSet;

use super::{list, nothing, rooms, text};

const EVERYTHING: &[&str] = &[
    "base", "fhir", "access", "store", "engine", "rest", "server", "testkit", "it", "bench",
    "xtask",
];

/// Room, and the rooms that its code (not its tests) may use.
pub(super) const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("fhir", &["base"]),
    ("access", &["base", "fhir"]),
    ("store", &["base", "fhir", "access"]),
    ("engine", &["base", "fhir", "access", "store"]),
    ("rest", &["base", "fhir", "engine"]),
    (
        "server",
        &["base", "fhir", "access", "store", "engine", "rest"],
    ),
    ("testkit", EVERYTHING),
    ("it", EVERYTHING),
    ("bench", EVERYTHING),
    ("xtask", EVERYTHING),
];

/// Rooms that nothing may use except one another.
const OUTSIDE: &[&str] = &["testkit", "it", "bench", "xtask"];

#[test]
fn every_arrow_is_one_of_the_plan() {
    let names: BTreeSet<&str> = rooms().into_iter().map(|room| text(room, "name")).collect();
    let mut wrong = Vec::new();
    for room in rooms() {
        let name = text(room, "name");
        let Some((_, may)) = ARROWS.iter().find(|(n, _)| *n == name) else {
            wrong.push(format!("{name} is no room of the plan"));
            continue;
        };
        for dependency in list(room, "dependencies") {
            let other = text(dependency, "name");
            if !names.contains(other) {
                continue;
            }
            let for_tests = dependency["kind"] == "dev";
            if !for_tests && !may.contains(&other) {
                wrong.push(format!("{name} uses {other}"));
            }
            if !for_tests && OUTSIDE.contains(&other) && !OUTSIDE.contains(&name) {
                wrong.push(format!("{name} uses {other}, which is for tests"));
            }
            if for_tests && !may.contains(&other) && !OUTSIDE.contains(&other) {
                wrong.push(format!("the tests of {name} use {other}"));
            }
        }
    }
    nothing("rooms use only what the plan lets them", &wrong);
}

#[test]
fn rooms_are_folders_of_their_own_name_and_unversioned() {
    let mut wrong = Vec::new();
    for room in rooms() {
        let name = text(room, "name");
        if !text(room, "manifest_path").ends_with(&format!("/crates/{name}/Cargo.toml")) {
            wrong.push(format!("{name} does not lie in crates/{name}"));
        }
        if text(room, "version") != "0.0.0" {
            wrong.push(format!("{name} has a version"));
        }
        if text(room, "license") != "Apache-2.0" {
            wrong.push(format!("{name} is not Apache-2.0"));
        }
    }
    nothing("folder = crate", &wrong);
}
