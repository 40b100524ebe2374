//! What may be said in one room only: SQL, statuses, randomness, sockets, routes. Clocks and the
//! environment are `clippy.toml`'s.

use super::nothing;
use super::rust::{Source, sources};

/// Rooms that no rule of this file binds: they judge, measure and automate.
const FREE: &[&str] = &["testkit", "it", "bench", "xtask"];

/// Words of code that only some places may say.
struct Rule {
    about: &'static str,
    words: &'static [&'static str],
    /// Beginnings of paths.
    only_in: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        about: "status codes only in rest",
        words: &["StatusCode"],
        only_in: &["crates/rest/"],
    },
    Rule {
        about: "the system's randomness only in server",
        words: &["SystemRandom", "getrandom", "thread_rng"],
        only_in: &["crates/server/"],
    },
    Rule {
        about: "listening sockets only in server",
        words: &["TcpListener", "UnixListener", "UdpSocket"],
        only_in: &["crates/server/"],
    },
    Rule {
        about: "outbound connections only in server: the one way out, and commands that call the admin API",
        words: &["TcpStream::connect", "ureq::", "UnixStream"],
        only_in: &["crates/server/"],
    },
    Rule {
        about: "SQLite only in store",
        words: &["rusqlite"],
        only_in: &["crates/store/"],
    },
    Rule {
        about: "other programs are started nowhere",
        words: &["process::Command", "Command::new(\"\")"],
        only_in: &[],
    },
    Rule {
        about: "routes only in the route table, of which app.rs makes the router",
        words: &[
            "Router::",
            ".route(",
            ".route_service(",
            ".nest(",
            ".fallback(",
            "MethodRouter",
        ],
        only_in: &["crates/rest/src/routes.rs", "crates/rest/src/app.rs"],
    },
    Rule {
        about: "pure rooms read and write no file",
        words: &["std::fs", "File::", "async fn", ".await"],
        only_in: &[
            "crates/store/",
            "crates/engine/",
            "crates/rest/",
            "crates/server/",
        ],
    },
];

/// Beginnings of SQL statements, as this project writes them.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE VIRTUAL ",
    "PRAGMA ",
    "ATTACH ",
    "BEGIN IMMEDIATE",
    "SAVEPOINT ",
    "WITH RECURSIVE ",
];

fn bound() -> impl Iterator<Item = Source> {
    sources()
        .into_iter()
        .filter(|source| !FREE.contains(&source.room.as_str()))
}

#[test]
fn some_words_are_said_in_one_place() {
    let mut wrong = Vec::new();
    for source in bound() {
        for rule in RULES {
            if rule
                .only_in
                .iter()
                .any(|place| source.path.starts_with(place))
            {
                continue;
            }
            for (number, line) in source.code_lines() {
                if rule.words.iter().any(|word| line.contains(word)) {
                    wrong.push(format!(
                        "{}:{number}: {} ({})",
                        source.path,
                        line.trim(),
                        rule.about
                    ));
                }
            }
        }
    }
    nothing("words outside their place", &wrong);
}

#[test]
fn sql_is_written_in_store_alone() {
    let mut wrong = Vec::new();
    for source in bound().filter(|source| source.room != "store") {
        for (number, text) in source.texts() {
            if SQL.iter().any(|begin| text.trim_start().starts_with(begin)) {
                wrong.push(format!("{}:{number}: {text}", source.path));
            }
        }
    }
    nothing("SQL outside store", &wrong);
}

#[test]
fn every_rule_still_has_its_place() {
    // A place that is renamed away would quietly forbid or allow nothing.
    let all = sources();
    for rule in RULES {
        for place in rule.only_in {
            assert!(
                all.iter().any(|source| source.path.starts_with(place)),
                "{place}"
            );
        }
    }
}
