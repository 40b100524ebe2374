//! Patches against the cases that HL7 publishes.
//!
//! Finds the data by the environment variable `INSULA_SUITES`; without it the tests say so and
//! check nothing. `tests/patch/known.tsv` lists the cases that do not end as the suite says, with
//! the reason; a case that is listed and ends well, or is not there, fails too.
#![cfg(test)]

mod canonical;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fhir::definitions::{FhirVersion, Model};
use fhir::json;
use fhir::patch;
use fhir::xml::{self, to_json};
use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use testkit::outside;

const XML: xml::Bounds = xml::Bounds {
    depth_max: 256,
    attributes_max: 64,
    issues_max: 20,
};

const BOUNDS: patch::Bounds = patch::Bounds {
    operations_max: 500,
    bytes_max: 1 << 20,
    depth_max: 64,
    steps_max: 1_000_000,
    xml: XML,
};

fn suite(name: &str) -> Option<PathBuf> {
    Some(outside::suite("fhir-test-cases")?.join(name))
}

/// The reason why a case does not end as the suite says.
fn known(suite: &str) -> BTreeMap<String, String> {
    let table = include_str!("patch/known.tsv");
    let rows = table
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let (of, case, reason) = (cells.next()?, cells.next()?, cells.next()?);
            (of == suite).then(|| (case.to_owned(), reason.to_owned()))
        });
    rows.collect()
}

/// Fails unless the cases that went wrong are those of the table.
fn judge(suite: &str, measure: &str, wrong: &BTreeMap<String, String>, all: usize) {
    outside::record("patch", measure, all - wrong.len(), all);
    let known = known(suite);
    let better: Vec<_> = known
        .keys()
        .filter(|case| !wrong.contains_key(*case))
        .collect();
    let worse: Vec<_> = wrong
        .iter()
        .filter(|(case, _)| !known.contains_key(*case))
        .collect();
    assert!(worse.is_empty(), "{suite}: {worse:#?}");
    assert!(
        better.is_empty(),
        "{suite} is better than its table: {better:?}"
    );
}

fn canonical_text(text: &str) -> String {
    // What a narrative says, not how its characters and spaces are written.
    canonical::text(text, &|string| match string.starts_with("<div") {
        true => {
            let plain = string.replace("&quot;", "\"");
            plain.split_whitespace().collect::<Vec<_>>().join(" ")
        }
        false => string.to_owned(),
    })
}

#[test]
fn json_patch() {
    let Some(file) = suite("r5/patch/json-patch-tests.json") else {
        return;
    };
    let bytes = fs::read(file).unwrap();
    let cases = json::parse(&bytes, 64).unwrap();
    let mut wrong = BTreeMap::new();
    let mut count = 0;
    for case in cases.root().items() {
        count += 1;
        let name = case.get("comment").unwrap().as_str().unwrap().into_owned();
        let (document, patch) = (case.get("doc").unwrap(), case.get("patch").unwrap());
        let done = patch::json::apply(document, patch, &BOUNDS);
        let end = match (done, case.get("expected")) {
            (Ok(done), Some(expected)) => {
                if canonical_text(&done) == canonical_text(expected.raw()) {
                    continue;
                }
                done
            }
            (Err(_), None) => continue,
            (Ok(done), None) => done,
            (Err(issue), Some(_)) => issue.diagnostics,
        };
        wrong.insert(name, end);
    }
    assert!(count >= 16, "{count} cases");
    judge("json", "JSON Patch", &wrong, count);
}

/// An element of a suite: its name, its attributes, and its text in the file.
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    inner: String,
    outer: String,
}

/// The elements in an element's text.
fn elements(text: &str) -> Vec<Element> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut found: Vec<Element> = Vec::new();
    let (mut depth, mut start, mut inner) = (0, 0, 0);
    let position = |r: &quick_xml::Reader<&[u8]>| usize::try_from(r.buffer_position()).unwrap();
    loop {
        let before = position(&reader);
        let event = reader.read_event().unwrap();
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                let empty = matches!(event, Event::Empty(_));
                if depth == 0 {
                    let attributes = tag.attributes().map(|a| {
                        let a = a.unwrap();
                        (a.key.0.to_owned(), a.value.into_owned())
                    });
                    found.push(Element {
                        name: tag.name().0.to_owned(),
                        attributes: attributes.collect(),
                        inner: String::new(),
                        outer: text[before..position(&reader)].to_owned(),
                    });
                    (start, inner) = (before, position(&reader));
                }
                depth += usize::from(!empty);
            }
            Event::End(_) => {
                depth -= 1;
                if depth == 0 {
                    let last = found.last_mut().unwrap();
                    last.inner = text[inner..before].to_owned();
                    last.outer = text[start..position(&reader)].to_owned();
                }
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

fn cases(file: &Path) -> Vec<(String, Vec<Element>)> {
    let text = fs::read_to_string(file).unwrap();
    let root = elements(&text).pop().unwrap();
    let cases = elements(&root.inner)
        .into_iter()
        .filter(|e| e.name == "case");
    cases
        .map(|c| (c.attributes["name"].clone(), elements(&c.inner)))
        .collect()
}

fn fhirpath_patch(version: FhirVersion, name: &str, least: usize) {
    let Some(folder) = suite(name) else {
        return;
    };
    let model = Model::of(version);
    let mut wrong = BTreeMap::new();
    let all = cases(&folder.join("patch/fhir-patch-tests.xml"));
    let count = all.len();
    assert!(count >= least, "{count} cases");
    for (case, parts) in all {
        let part = |name: &str| parts.iter().find(|p| p.name == name);
        let read = |name: &str| {
            let inner = &part(name)?.inner;
            Some(to_json(model, inner.trim().as_bytes(), &XML).map_err(|o| o.to_string()))
        };
        let run = || -> Result<(), String> {
            let (input, diff) = (read("input").unwrap()?, read("diff").unwrap()?);
            let input = json::parse(input.as_bytes(), 64).unwrap();
            let diff = json::parse(diff.as_bytes(), 64).unwrap();
            let done = patch::path::apply(model, input.root(), diff.root(), &BOUNDS);
            match (done, read("output")) {
                (Err(_), None) => Ok(()),
                (Err(issue), Some(_)) => Err(issue.diagnostics),
                (Ok(done), None) => Err(done),
                (Ok(done), Some(wanted)) => {
                    let same = canonical_text(&done) == canonical_text(&wanted?);
                    if same { Ok(()) } else { Err(done) }
                }
            }
        };
        if let Err(end) = run() {
            wrong.insert(case, end);
        }
    }
    let measure = format!("FHIRPath Patch, {}", version.release());
    judge(&format!("fhirpath {name}"), &measure, &wrong, count);
}

#[test]
fn fhirpath_patch_r4() {
    fhirpath_patch(FhirVersion::R4, "r4", 30);
}

#[test]
fn fhirpath_patch_r4b() {
    fhirpath_patch(FhirVersion::R4B, "r4b", 30);
}

#[test]
fn fhirpath_patch_r5() {
    fhirpath_patch(FhirVersion::R5, "r5", 30);
}

/// What an XML document says, without white space between elements.
fn said(xml: &str) -> Vec<String> {
    let mut reader = NsReader::from_str(xml);
    let mut all: Vec<String> = Vec::new();
    loop {
        let (space, event) = reader.read_resolved_event().unwrap();
        let space = match space {
            ResolveResult::Bound(space) => space.0.to_owned(),
            _ => String::new(),
        };
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                let attributes = tag.attributes().map(|a| {
                    let a = a.unwrap();
                    format!("{}={}", a.key.0, a.value)
                });
                let mut attributes: Vec<String> =
                    attributes.filter(|a| !a.starts_with("xmlns=")).collect();
                attributes.sort();
                all.push(format!(
                    "<{space} {} {attributes:?}",
                    tag.local_name().as_ref()
                ));
                if matches!(event, Event::Empty(_)) {
                    all.push(">".to_owned());
                }
            }
            Event::End(_) => all.push(">".to_owned()),
            Event::Text(t) => all.push(t.trim().to_owned()),
            Event::Comment(t) => all.push(format!("!{}", &*t)),
            Event::Eof => break,
            other => all.push(format!("{other:?}")),
        }
    }
    all.retain(|s| !s.is_empty());
    all
}

#[test]
fn xml_patch() {
    let Some(file) = suite("r5/patch/xml-patch-tests.xml") else {
        return;
    };
    let all = cases(&file);
    let count = all.len();
    assert!(count >= 20, "{count} cases");
    let mut wrong = BTreeMap::new();
    for (case, parts) in all {
        let part = |name: &str| parts.iter().find(|p| p.name == name);
        let (target, diff) = (part("target").unwrap(), part("patch").unwrap());
        let done = patch::xml::apply(target.inner.trim(), &diff.outer, &BOUNDS);
        let end = match (done, part("patched")) {
            (Ok(done), Some(wanted)) if said(&done) == said(wanted.inner.trim()) => continue,
            (Err(_), None) => continue,
            (Ok(done), _) => done,
            (Err(issue), _) => issue.diagnostics,
        };
        wrong.insert(case, end);
    }
    judge("xml", "XML Patch", &wrong, count);
}
