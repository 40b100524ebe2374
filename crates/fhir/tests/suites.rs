//! Structural validation against outside data: HL7's own examples and synthetic patients.
//!
//! Finds the data by the environment variable `INSULA_SUITES`; without it the tests say so and
//! check nothing.

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
    assert!(folder.is_dir(), "INSULA_SUITES has no {name}");
    Some(folder)
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
fn issues(bytes: &[u8]) -> Vec<String> {
    let doc = json::parse(bytes, 64).unwrap();
    let context = Context {
        own_bases: &[],
        issues_max: 50,
    };
    let report = validate(Model::of(FhirVersion::R4), doc.root(), &context);
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

/// Examples that break the specification they illustrate: the name, one issue, how many there
/// are, and why the refusal is right.
const REFUSED: &[(&str, &str, usize, &str)] = &[
    (
        "DeviceMetric-example",
        "reference-target DeviceMetric.parent.reference",
        1,
        "a DeviceDefinition where only a Device is allowed",
    ),
    (
        "DeviceUseStatement-example",
        "reference-target DeviceUseStatement.reasonReference[0].reference",
        1,
        "a Procedure, which is not among the targets",
    ),
    (
        "ImplementationGuide-fhir",
        "element-cardinality ImplementationGuide.status",
        3,
        "name and status are missing, and a reference has an id of more than 64 characters",
    ),
    (
        "MedicationRequest-medrx0301",
        "reference-target MedicationRequest.dispenseRequest.performer.reference",
        1,
        "a Practitioner where only an Organization is allowed",
    ),
    (
        "Observation-clinical-gender",
        "reference-target Observation.performer[0].reference",
        1,
        "an Encounter as performer",
    ),
    (
        "Questionnaire-qs1",
        "element-cardinality Questionnaire.item[0].item[0].linkId",
        32,
        "items without linkId",
    ),
    (
        "SearchParameter-codesystem-extensions-CodeSystem-author",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
    (
        "SearchParameter-codesystem-extensions-CodeSystem-effective",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
    (
        "SearchParameter-codesystem-extensions-CodeSystem-end",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
    (
        "SearchParameter-codesystem-extensions-CodeSystem-keyword",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
    (
        "SearchParameter-codesystem-extensions-CodeSystem-workflow",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
    (
        "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject",
        "element-value SearchParameter.id",
        1,
        "an id of more than 64 characters",
    ),
    (
        "SearchParameter-valueset-extensions-ValueSet-author",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
    (
        "SearchParameter-valueset-extensions-ValueSet-effective",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
    (
        "SearchParameter-valueset-extensions-ValueSet-end",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
    (
        "SearchParameter-valueset-extensions-ValueSet-keyword",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
    (
        "SearchParameter-valueset-extensions-ValueSet-workflow",
        "element-cardinality SearchParameter.base",
        1,
        "no base",
    ),
];

#[test]
fn examples_of_the_specification() {
    let Some(folder) = suite("r4-examples/package") else {
        return;
    };
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for file in json_files(&folder) {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "package" || name.starts_with("ig-") {
            continue;
        }
        count += 1;
        let found = issues(&fs::read(&file).unwrap());
        if !found.is_empty() {
            refused.insert(name, found);
        }
    }
    assert!(count > 5_000, "{count} examples");
    let mut wrong: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for &(name, issue, count, _) in REFUSED {
        wrong.insert(name, (issue, count));
    }
    for (name, found) in &refused {
        let (issue, count) = wrong.remove(name.as_str()).unwrap_or_default();
        assert!(found.iter().any(|f| f == issue), "{name}: {found:#?}");
        assert_eq!(found.len(), count, "{name}: {found:#?}");
    }
    assert!(wrong.is_empty(), "accepted: {wrong:?}");
}

/// Every accepted example goes in, comes out whole, and every part of it that can be asked for is
/// a valid resource again.
#[test]
fn examples_go_in_and_come_out() {
    let Some(folder) = suite("r4-examples/package") else {
        return;
    };
    let model = Model::of(FhirVersion::R4);
    let id = base::ResourceId::new("7").unwrap();
    let check = Context {
        own_bases: &[],
        issues_max: 50,
    };
    let elements = Shape::Elements(vec!["code".to_owned()]);
    for file in json_files(&folder) {
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
            assert_eq!(
                issues(&part),
                Vec::<String>::new(),
                "{shape:?} of {}",
                file.display()
            );
        }
    }
}

#[test]
fn synthetic_patients() {
    let Some(folder) = suite("synthea-smart-615") else {
        return;
    };
    let files = json_files(&folder);
    assert!(files.len() > 600);
    for file in files.iter().step_by(20) {
        let found = issues(&fs::read(file).unwrap());
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
        let found =
            json::parse(&bytes, 64).map_or_else(|e| vec![e.to_string()], |_| issues(&bytes));
        if has_errors(&outcome) {
            continue;
        }
        count += 1;
        if !found.is_empty() {
            refused.push(format!("{file}: {found:?}"));
        }
    }
    assert!(count > 80, "{count}");
    // An id of 65 characters, which that validator only warns about, and comments in JSON.
    let right = [
        "contained-resource.json: [\"element-value Condition.contained[0].id\"]",
        "json-comments-1.json: [\"expected a JSON value at byte 0\"]",
    ];
    assert_eq!(refused, right);
}
