//! The code map of ARCHITECTURE.md against `crates/` and against the arrows.

use std::collections::BTreeSet;
use std::fs;

use super::arrows::ARROWS;
use super::root;

/// Rows of the code map: crates named in the first column, words of the third.
fn rows() -> Vec<(Vec<String>, String)> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let map = page
        .split("## Code map")
        .nth(1)
        .expect("a code map")
        .split("\n## ")
        .next()
        .unwrap();
    map.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let names = cells[0]
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            (names, cells[2].to_owned())
        })
        .collect()
}

#[test]
fn the_map_names_every_crate_once() {
    let mut named = BTreeSet::new();
    for name in rows().into_iter().flat_map(|(names, _)| names) {
        assert!(named.insert(name.clone()), "{name} is on the map twice");
    }
    let there: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, there);
}

#[test]
fn the_map_shows_the_arrows() {
    for (names, may) in rows() {
        for name in names {
            let (_, arrows) = ARROWS
                .iter()
                .find(|(room, _)| *room == name)
                .expect("a room");
            let shown: Vec<&str> = match may.as_str() {
                "–" => Vec::new(),
                "anything" => continue,
                "all of the above" => ARROWS
                    .iter()
                    .map(|(room, _)| *room)
                    .take_while(|room| *room != name)
                    .collect(),
                words => words.split_whitespace().collect(),
            };
            assert_eq!(shown, *arrows, "{name}");
        }
    }
}
