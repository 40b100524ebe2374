//! Structural validation against outside data: HL7's own examples and synthetic patients.
//!
//! Finds the data by the environment variable `INSULA_SUITES`; without it the tests say so and
//! check nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "the environment names the suites"
)]
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fhir::definitions::{FhirVersion, Model};
use fhir::json;
use fhir::resource::shape::write_shaped;
use fhir::resource::{Admission, BodyId, Draft, Valid, write_whole};
use fhir::search::query::Shape;
use fhir::validate::{Context, validate};

fn suite(name: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("INSULA_SUITES") else {
        println!("SKIPPED: INSULA_SUITES is not set, {name} was not checked");
        return None;
    };
    let folder = Path::new(&root).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    // What `cargo xtask test` fetches from a registry lies beside the test's own program.
    let own = std::env::current_exe().unwrap();
    let fetched = own.ancestors().nth(3).unwrap().join("clients").join(name);
    if fetched.is_dir() {
        return Some(fetched);
    }
    println!("SKIPPED: INSULA_SUITES has no {name}, and it was not fetched");
    None
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    files
}

/// `code expression` of every issue.
fn issues(version: FhirVersion, bytes: &[u8]) -> Vec<String> {
    let doc = json::parse(bytes, 64).unwrap();
    let context = Context {
        own_bases: &[],
        issues_max: 50,
    };
    let report = validate(Model::of(version), doc.root(), &context);
    report
        .issues
        .iter()
        .map(|i| {
            format!(
                "{} {}",
                i.code.as_str(),
                i.expression.as_deref().unwrap_or("")
            )
        })
        .collect()
}

/// A version's published examples, and which of them are refused: file, tab, one issue, tab, how
/// many there are, tab, why the refusal is right.
struct Examples {
    version: FhirVersion,
    folder: &'static str,
    least: usize,
    refused: &'static str,
}

const EXAMPLES: [Examples; 3] = [
    Examples {
        version: FhirVersion::R4,
        folder: "r4-examples",
        least: 5_000,
        refused: include_str!("refused/r4.tsv"),
    },
    Examples {
        version: FhirVersion::R4B,
        folder: "r4b-examples",
        least: 2_800,
        refused: include_str!("refused/r4b.tsv"),
    },
    Examples {
        version: FhirVersion::R5,
        folder: "r5-examples",
        least: 2_800,
        refused: include_str!("refused/r5.tsv"),
    },
];

impl Examples {
    fn files(&self) -> Option<Vec<PathBuf>> {
        Some(json_files(&suite(self.folder)?.join("package")))
    }

    fn check(&self) {
        let Some(files) = self.files() else { return };
        let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut count = 0;
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            if name == "package" || name.starts_with("ig-") || name.starts_with('.') {
                continue;
            }
            count += 1;
            let found = issues(self.version, &fs::read(&file).unwrap());
            if !found.is_empty() {
                refused.insert(name, found);
            }
        }
        assert!(count >= self.least, "{count} examples");
        let measure = format!("{}: examples within the rules", self.version.release());
        testkit::outside::record("structure", &measure, count - refused.len(), count);
        let mut wrong = Vec::new();
        let mut known: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
        for line in self.refused.lines().filter(|l| !l.starts_with('#')) {
            let [name, issue, count, _] = *line.split('\t').collect::<Vec<_>>() else {
                panic!("{line:?}");
            };
            known.insert(name, (issue, count.parse().unwrap()));
        }
        for (name, found) in &refused {
            let (issue, count) = known.remove(name.as_str()).unwrap_or_default();
            if found.len() != count || !found.iter().any(|f| f == issue) {
                wrong.push(format!("{name}\t{}\t{}", found.join("; "), found.len()));
            }
        }
        wrong.extend(known.keys().map(|name| format!("{name} is accepted")));
        assert!(wrong.is_empty(), "{}\n{}", self.version, wrong.join("\n"));
    }

    /// Every accepted example goes in, comes out whole, and every part of it that can be asked for
    /// is a valid resource again.
    fn round_trip(&self) {
        let Some(files) = self.files() else { return };
        let model = Model::of(self.version);
        let id = base::ResourceId::new("7").unwrap();
        let check = Context {
            own_bases: &[],
            issues_max: 50,
        };
        let elements = Shape::Elements(vec!["code".to_owned()]);
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let Ok(draft) = Draft::read(model, &bytes, 64) else {
                continue;
            };
            let type_id = draft.type_id();
            let admission = Admission {
                type_id,
                id: &id,
                body_id: BodyId::Ignored,
                check,
            };
            let Ok(valid) = Valid::admit(model, draft.value(), &admission) else {
                continue;
            };
            let mut whole = Vec::new();
            let (version, updated) = (base::Version(1), base::Micros(0));
            let body = valid.body().as_bytes();
            write_whole(&mut whole, valid.type_name(), &id, version, updated, body);
            let again = Draft::read(model, &whole, 64).unwrap();
            let again = Valid::admit(model, again.value(), &admission).unwrap();
            assert_eq!(again.body(), valid.body(), "{}", file.display());
            assert_eq!(again.rows(), valid.rows(), "{}", file.display());
            for shape in [&Shape::Summary, &Shape::Text, &Shape::Data, &elements] {
                let mut part = Vec::new();
                write_shaped(model, &whole, shape, &mut part).unwrap();
                let mut found = issues(self.version, &part);
                // What a part leaves out may be referred to in it.
                found.retain(|issue| !issue.starts_with("reference-target"));
                assert!(
                    found.is_empty(),
                    "{shape:?} of {}: {found:?}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn examples_of_r4() {
    EXAMPLES[0].check();
}

#[test]
fn examples_of_r4b() {
    EXAMPLES[1].check();
}

#[test]
fn examples_of_r5() {
    EXAMPLES[2].check();
}

#[test]
fn examples_of_r4_go_in_and_come_out() {
    EXAMPLES[0].round_trip();
}

#[test]
fn examples_of_r4b_go_in_and_come_out() {
    EXAMPLES[1].round_trip();
}

#[test]
fn examples_of_r5_go_in_and_come_out() {
    EXAMPLES[2].round_trip();
}

#[test]
fn synthetic_patients() {
    let Some(folder) = suite("synthea-smart-615") else {
        return;
    };
    let files = json_files(&folder);
    assert!(files.len() > 600);
    for file in files.iter().step_by(20) {
        let found = issues(FhirVersion::R4, &fs::read(file).unwrap());
        assert_eq!(found, Vec::<String>::new(), "{}", file.display());
    }
}

/// Whether an OperationOutcome has errors.
fn has_errors(outcome: &[u8]) -> bool {
    let doc = json::parse(outcome, 64).unwrap();
    let issues = doc
        .root()
        .get("issue")
        .into_iter()
        .flat_map(json::Value::items);
    let severities = issues.filter_map(|i| i.get("severity").and_then(json::Value::as_str));
    severities.into_iter().any(|s| s == "error" || s == "fatal")
}

#[test]
fn what_the_reference_validator_accepts() {
    let Some(folder) = suite("fhir-test-cases/validator") else {
        return;
    };
    let manifest = fs::read(folder.join("manifest.json")).unwrap();
    let manifest = json::parse(&manifest, 64).unwrap();
    let mut refused = Vec::new();
    let mut count = 0;
    for case in manifest.root().get("test-cases").unwrap().items() {
        let text = |name| case.get(name).and_then(json::Value::as_str);
        let (Some(file), Some(outcome)) = (text("file"), text("java")) else {
            continue;
        };
        let r4 = text("version").is_some_and(|v| v.starts_with("4.0"));
        if !r4 || !file.ends_with(".json") {
            continue;
        }
        let Ok(outcome) = fs::read(folder.join("outcomes").join(&*outcome)) else {
            continue;
        };
        let bytes = fs::read(folder.join(&*file)).unwrap();
        let found = json::parse(&bytes, 64)
            .map_or_else(|e| vec![e.to_string()], |_| issues(FhirVersion::R4, &bytes));
        if has_errors(&outcome) {
            continue;
        }
        count += 1;
        if !found.is_empty() {
            refused.push(format!("{file}: {found:?}"));
        }
    }
    assert!(count > 80, "{count}");
    let measure = "R4: what the reference validator accepts";
    testkit::outside::record("structure", measure, count - refused.len(), count);
    // An id of 65 characters, which that validator only warns about, and comments in JSON.
    let right = [
        "contained-resource.json: [\"element-value Condition.contained[0].id\"]",
        "json-comments-1.json: [\"expected a JSON value at byte 0\"]",
    ];
    assert_eq!(refused, right);
}

/// US Core's search parameters, as a tenant that defines them takes them in: those that the standard
/// has already stay the standard's, the others are served.
#[test]
fn us_core_search_parameters_are_taken_in() {
    let Some(folder) = suite("us-core") else {
        return;
    };
    let model = Model::of(FhirVersion::R4);
    let mut seen = 0;
    for package in ["us_core_311", "us_core_610", "us_core_800"] {
        let package = folder.join(package).join("package");
        if !package.is_dir() {
            println!("SKIPPED: {} is not unpacked", package.display());
            continue;
        }
        let mut defined = Vec::new();
        for file in json_files(&package) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("SearchParameter-") {
                continue;
            }
            seen += 1;
            let bytes = fs::read(&file).unwrap();
            let doc = json::parse(&bytes, 64).unwrap();
            match fhir::search::custom::define(model, doc.root(), &[]) {
                Ok(found) => defined.extend(found),
                Err(issue) => panic!("{name}: {}", issue.diagnostics),
            }
        }
        let codes: Vec<&str> = defined.iter().map(|d| d.code.as_str()).collect();
        println!("{}: {codes:?}", package.display());
        assert!(codes.contains(&"race") && codes.contains(&"ethnicity"));
        // None of the standard's own.
        assert!(
            defined
                .iter()
                .all(|d| model.param(d.type_id, &d.code).is_none())
        );
        let customs = fhir::search::Customs::compile(
            model,
            defined.into_iter().enumerate().map(|(i, d)| {
                let id = fhir::search::rows::CUSTOM + u32::try_from(i).unwrap();
                (fhir::definitions::ParamId(id), d, true)
            }),
        );
        let examples = package.join("example");
        let patient = examples.join("Patient-example.json");
        let Ok(bytes) = fs::read(&patient) else {
            continue;
        };
        let doc = json::parse(&bytes, 64).unwrap();
        let type_id = model.type_id("Patient").unwrap();
        let rows = customs.extract(model, type_id, doc.root(), &[], |_| true);
        let race = customs.named(type_id, "race").unwrap().id;
        assert!(rows.iter().any(|r| r.param == race), "{rows:?}");
    }
    println!("{seen} search parameters");
}
