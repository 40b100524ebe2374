//! What every file has, and what none has.

use super::nothing;
use super::rust::sources;

/// A file past this is asked to split, one past the other must.
const LINES_MAX: usize = 900;

#[test]
fn every_file_says_what_it_is_for() {
    let wrong: Vec<String> = sources()
        .into_iter()
        // `tests.rs` says by its name and place what it is for.
        .filter(|source| !source.path.ends_with("/tests.rs"))
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    nothing("files that do not open with `//!`", &wrong);
}

#[test]
fn no_file_is_several() {
    let wrong: Vec<String> = sources()
        .into_iter()
        .map(|source| (source.text.lines().count(), source.path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    nothing("files to split", &wrong);
}

#[test]
fn nothing_is_left_for_later() {
    // Spelled apart, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let code = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[ign", "ore"),
        concat!("#[all", "ow("),
        concat!("#![all", "ow("),
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| word(line, mark)) {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
        for (number, line) in source.code.lines().enumerate() {
            if code.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    nothing("marks of unfinished work", &wrong);
}

/// Whether a line has a mark as a word of its own.
fn word(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + mark.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

#[test]
fn nobody_sleeps() {
    let sleep = concat!("sle", "ep(");
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.code.lines().enumerate() {
            let test =
                number >= source.tests_from || ["it", "testkit"].contains(&source.room.as_str());
            if test && line.contains(sleep) {
                wrong.push(format!("{}:{}", source.path, number + 1));
            }
        }
    }
    nothing("tests wait for a condition, not for a time", &wrong);
}

#[test]
fn names_say_what_is_inside() {
    let empty = [
        "utils", "util", "helper", "helpers", "manager", "service", "common", "misc",
    ];
    let wrong: Vec<String> = sources()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| {
            path.trim_end_matches(".rs")
                .split('/')
                .any(|part| empty.contains(&part))
        })
        .collect();
    nothing("names that say nothing", &wrong);
}
