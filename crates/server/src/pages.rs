//! Pages of the book that are made from code, so that they cannot say anything else: keys of the
//! configuration with all limits, codes of failures, URLs, what is done of each version of FHIR. `cargo xtask docs` writes them; the
//! test beside this compares.

use std::fmt::Write;

use base::Code;
use fhir::definitions::{FhirVersion, Model};
use rest::{Class, ROUTES};

use crate::config;

mod versions;

const MADE: &str = "<!-- made by `cargo xtask docs`; change the code instead -->\n\n";

/// Path below `docs/src` and content of each page.
pub fn all() -> Vec<(&'static str, String)> {
    let own = [
        ("configuration.md", config::markdown()),
        ("integrators/codes.md", codes()),
        ("integrators/urls.md", urls()),
        ("security/access-matrix.md", access_matrix()),
    ];
    let made = |(path, text)| (path, format!("{MADE}{text}"));
    own.into_iter().chain(versions::all()).map(made).collect()
}

fn codes() -> String {
    let mut out = String::from(
        "# Codes\n\nEvery failure and refusal has one of these codes. They never change meaning; new \
         ones are added at the end. [Errors](errors.md) says where they stand in an answer.\n\n\
         | code | status | FHIR issue type | what |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "| `{}` | {} | `{}` | {} |",
            code.as_str(),
            rest::status(*code).as_u16(),
            code.issue_type(),
            code.describe()
        );
    }
    out
}

fn urls() -> String {
    let mut out = String::from(
        "# URLs\n\nEverything that is answered. With a `domain` configured, what begins with `/t/{tenant}` \
         is also served without it at the host `{tenant}.{domain}`. Letters are those of \
         [scopes](start.md#scopes): an interaction needs one or more of them on the types concerned.\n\n\
         | method | path | interaction | who |\n|---|---|---|---|\n",
    );
    for route in ROUTES {
        let who = match route.class() {
            Class::Open => "anyone".to_owned(),
            Class::Gate => "anyone, in a tenant that serves".to_owned(),
            Class::Caller("a") => "whom policy lets administer it".to_owned(),
            Class::Caller("") => "a recognised caller".to_owned(),
            Class::Caller(letters) => format!("a client with `{letters}`"),
            Class::Visitor => "a person in their own browser".to_owned(),
            Class::Operator => "the operator".to_owned(),
        };
        let (method, path) = (&route.method, route.full_path());
        let _ = writeln!(
            out,
            "| {method} | `{path}` | {} | {who} |",
            route.interaction
        );
    }
    out
}

/// Roles by types, of each ready policy.
fn access_matrix() -> String {
    let mut out = String::from(
        "# Who may do what\n\nThe ready [policies](policies.md) as tables, for R4: a row for each resource type, a column \
         for each role. Letters are those of SMART scopes: create, read, update, delete, search; \
         `x` is [export](policies.md#operations-and-export). In \
         brackets: of some resources of the type only (those of the caller's facilities, care teams \
         or patients). A star: some elements are hidden.\n",
    );
    for (name, about) in engine::presets() {
        let Some(matrix) = engine::preset_matrix(name, Model::of(FhirVersion::R4)) else {
            continue;
        };
        let _ = writeln!(out, "\n## {name}\n\n{about}\n");
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let head = [vec![String::new()], matrix.roles.clone()].concat();
        let _ = writeln!(out, "{}\n|{}", line(&head), "---|".repeat(head.len()));
        for (type_name, cells) in &matrix.types {
            let row = [vec![(*type_name).to_owned()], cells.clone()].concat();
            let _ = writeln!(out, "{}", line(&row));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_pages_in_the_book_are_up_to_date() {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src");
        for (path, text) in all() {
            let there = std::fs::read_to_string(book.join(path)).unwrap_or_default();
            assert!(
                there == text,
                "docs/src/{path} is out of date: run `cargo xtask docs`"
            );
        }
    }
}
