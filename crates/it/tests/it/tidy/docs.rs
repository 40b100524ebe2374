//! The book: what its summary lists exists, and nothing lies beside it unlisted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{nothing, root};

/// Targets of Markdown links.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
}

fn pages(folder: &Path, into: &mut BTreeSet<String>, base: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, into, base);
        } else if path.extension().is_some_and(|e| e == "md") {
            into.insert(
                path.strip_prefix(base)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
}

#[test]
fn the_summary_lists_the_pages_that_exist() {
    let source = root().join("docs/src");
    let summary = fs::read_to_string(source.join("SUMMARY.md")).expect("docs/src/SUMMARY.md");
    let listed: BTreeSet<String> = links(&summary)
        .map(|l| l.trim_start_matches("./").to_owned())
        .collect();
    let mut there = BTreeSet::new();
    pages(&source, &mut there, &source);
    there.remove("SUMMARY.md");
    assert_eq!(listed, there);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = root();
    let mut all = BTreeSet::new();
    pages(&root.join("docs"), &mut all, &root);
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "GLOSSARY.md",
        "CHANGELOG.md",
    ] {
        all.insert(page.to_owned());
    }
    let mut wrong = Vec::new();
    for page in &all {
        let path = root.join(page);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{page}: {e}"));
        for link in links(&text) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !path.parent().unwrap().join(target).exists() {
                wrong.push(format!("{page}: {link}"));
            }
        }
    }
    nothing("links that lead nowhere", &wrong);
}
