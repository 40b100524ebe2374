//! Licences of everything that is built in, and what may not be built in.

use super::{METADATA, list, nothing, rooms, text};

/// Licences that go with Apache-2.0 in one binary.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    // SQLCipher's sources: SQLite's blessing in place of a licence, and a permissive one.
    "WTFPL",
    "blessing",
    "Zlib",
];

/// Packages that may not be there at all, and why.
const BANNED: &[(&str, &str)] = &[
    ("native-tls", "TLS is rustls"),
    (
        "aws-lc-rs",
        "ring is the one library of cryptography beside SQLCipher's",
    ),
    (
        "aws-lc-sys",
        "ring is the one library of cryptography beside SQLCipher's",
    ),
    ("chrono", "base::Micros tells time, and reads no clock"),
    ("serde_yaml", "unmaintained"),
    ("async-std", "tokio is the one runtime"),
    ("git2", "nothing here needs it"),
];

/// Packages that only these rooms may name in their manifests.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("anyhow", &["server", "xtask", "bench", "testkit", "it"]),
    ("axum", &["rest", "server", "bench"]),
    ("hyper", &["rest", "server", "bench", "testkit"]),
    ("rusqlite", &["store", "bench", "testkit", "it"]),
    (
        "tokio",
        &[
            "store", "engine", "rest", "server", "bench", "testkit", "it",
        ],
    ),
    ("rand", &[]),
    ("getrandom", &["server"]),
    ("time", &[]),
    ("lazy_static", &[]),
    ("once_cell", &[]),
    ("reqwest", &[]),
    ("openssl-sys", &[]),
];

/// Whether an SPDX expression can be satisfied by allowed licences.
fn allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let ok = either(&mut rest);
    ok && rest.is_empty()
}

fn either(words: &mut &[&str]) -> bool {
    let mut ok = both(words);
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        ok |= both(words);
    }
    ok
}

fn both(words: &mut &[&str]) -> bool {
    let mut ok = one(words);
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        ok &= one(words);
    }
    ok
}

fn one(words: &mut &[&str]) -> bool {
    let [first, rest @ ..] = *words else {
        return false;
    };
    *words = rest;
    if *first == "(" {
        let ok = either(words);
        let closed = words.first() == Some(&")");
        *words = words.get(1..).unwrap_or_default();
        return ok && closed;
    }
    if let ["WITH", exception, rest @ ..] = *words {
        *words = rest;
        return LICENCES.contains(&format!("{first} WITH {exception}").as_str());
    }
    LICENCES.contains(first)
}

#[test]
fn expressions_of_licences() {
    for yes in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(allowed(yes), "{yes}");
    }
    for no in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND AGPL-3.0",
        "MIT WITH x",
        "(MIT",
    ] {
        assert!(!allowed(no), "{no}");
    }
}

#[test]
fn every_licence_goes_with_ours() {
    let mut wrong = Vec::new();
    for package in list(&METADATA, "packages") {
        let licence = package["license"].as_str().unwrap_or("none");
        if !allowed(licence) {
            wrong.push(format!("{}: {licence}", text(package, "name")));
        }
    }
    nothing("licences that are not on the list", &wrong);
}

#[test]
fn nothing_banned_is_built_in() {
    let mut wrong = Vec::new();
    for package in list(&METADATA, "packages") {
        let name = text(package, "name");
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            wrong.push(format!("{name}: {why}"));
        }
        // OpenSSL is built for SQLCipher in any case; the library of passkeys checks signatures with the same one.
        let may = ["openssl", "webauthn-rs-core", "webauthn-attestation-ca"].contains(&name);
        let uses_openssl = list(package, "dependencies").iter().any(|d| {
            let used = ["openssl-sys", "openssl"].contains(&text(d, "name"));
            used && d["optional"] != true && d["kind"] != "dev"
        });
        if uses_openssl && !may {
            wrong.push(format!(
                "{name} uses OpenSSL, which serves SQLCipher and passkeys alone"
            ));
        }
        if package["source"]
            .as_str()
            .is_some_and(|s| !s.starts_with("registry+"))
        {
            wrong.push(format!("{name} does not come from the registry"));
        }
    }
    nothing("dependencies that are not wanted", &wrong);
}

#[test]
fn some_dependencies_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for room in rooms() {
        let name = text(room, "name");
        for dependency in list(room, "dependencies") {
            let other = text(dependency, "name");
            let allowed = ONLY_IN.iter().find(|(package, _)| *package == other);
            let for_tests = dependency["kind"] == "dev";
            if !for_tests && allowed.is_some_and(|(_, rooms)| !rooms.contains(&name)) {
                wrong.push(format!("{name} uses {other}"));
            }
        }
    }
    nothing("dependencies outside their rooms", &wrong);
}
