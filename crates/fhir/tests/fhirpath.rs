//! HL7's FHIRPath suites for R4, R4B and R5, judged case by case.
//!
//! Finds the suites by the environment variable `INSULA_SUITES`; without it the test says so and
//! checks nothing. `fhirpath/exceptions.tsv` lists what does not behave as a suite says, each with
//! the reason; a case that is missing there and fails, or stands there and passes, fails the test.
#![expect(
    clippy::disallowed_methods,
    reason = "the environment names the suites"
)]
#![cfg(test)]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fhir::definitions::{FhirVersion, Model};
use fhir::json;
use fhir::path::operation::{Question, Subject, Surroundings};
use fhir::path::{
    Environment, EvalError, Item, Moment, NoHost, Node, PathError, Plan, Rules, Settings, Types,
};
use fhir::search::terms::Terms;
use fhir::xml::{self, Bounds};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

const EXCEPTIONS: &str = include_str!("fhirpath/exceptions.tsv");

const SUITES: [(FhirVersion, &str, usize); 3] = [
    (FhirVersion::R4, "r4", 935),
    (FhirVersion::R4B, "r4b", 933),
    (FhirVersion::R5, "r5", 1_051),
];

/// One `<test>`.
#[derive(Debug, Default)]
struct Case {
    name: String,
    attributes: BTreeMap<String, String>,
    expression: String,
    invalid: Option<String>,
    /// Type, where told, and text.
    outputs: Vec<(Option<String>, String)>,
}

impl Case {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

fn attributes(start: &BytesStart<'_>) -> BTreeMap<String, String> {
    let pair = |a: quick_xml::events::attributes::Attribute<'_>| {
        let key = a.key.as_ref().to_owned();
        let value = a.value.clone().into_owned();
        (key, value)
    };
    start.attributes().map(|a| pair(a.unwrap())).collect()
}

/// The cases of a suite, groups and all, in order.
fn cases(text: &str) -> Vec<Case> {
    let mut reader = Reader::from_str(text);
    let mut cases = Vec::new();
    let mut case = Case::default();
    let mut content = String::new();
    let (mut group, mut number) = (String::new(), 0);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let attributes = attributes(&start);
                content.clear();
                match start.local_name().as_ref() {
                    "group" => group = attributes.get("name").cloned().unwrap_or_default(),
                    "test" => {
                        case = Case::default();
                        let name = attributes.get("name").cloned().unwrap_or_default();
                        case.name = format!("{group}/{name}");
                        case.attributes = attributes;
                        number += 1;
                    }
                    "expression" => case.invalid = attributes.get("invalid").cloned(),
                    "output" => case
                        .outputs
                        .push((attributes.get("type").cloned(), String::new())),
                    _ => {}
                }
            }
            Event::Empty(start) if start.local_name().as_ref() == "output" => {
                let ty = attributes(&start).get("type").cloned();
                case.outputs.push((ty, String::new()));
            }
            Event::Text(text) => content.push_str(&text),
            Event::GeneralRef(reference) => {
                let name: &str = &reference;
                match reference.resolve_char_ref().unwrap() {
                    Some(c) => content.push(c),
                    None => content
                        .push_str(quick_xml::escape::resolve_predefined_entity(name).unwrap()),
                }
            }
            Event::End(end) => match end.local_name().as_ref() {
                "expression" => case.expression = std::mem::take(&mut content),
                "output" => case.outputs.last_mut().unwrap().1 = std::mem::take(&mut content),
                "test" => cases.push(std::mem::take(&mut case)),
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(cases.len(), number);
    // A name that comes twice is told apart by a number.
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for case in &mut cases {
        let times = seen.entry(case.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            case.name = format!("{}#{times}", case.name);
        }
    }
    cases
}

/// The input as JSON.
fn input(root: &Path, version: (FhirVersion, &str), name: &str) -> Result<String, String> {
    let at = [
        root.join(version.1).join(name),
        root.join(version.1).join("examples").join(name),
    ];
    let path = at.iter().find(|p| p.is_file());
    let bytes = fs::read(path.ok_or(format!("no input {name}"))?).unwrap();
    if name.ends_with(".json") {
        return Ok(String::from_utf8(bytes).unwrap());
    }
    let bounds = Bounds {
        depth_max: 64,
        attributes_max: 64,
        issues_max: 10,
    };
    xml::to_json(Model::of(version.0), &bytes, &bounds).map_err(|o| format!("{name}: {o:?}"))
}

/// What happened: the items as type and text, or at what stage it failed, and why.
enum Outcome {
    Items(Vec<(String, String)>),
    Failed(&'static str, String),
}

/// What a terminology is needed for is asked as `$fhirpath`, of a tenant that holds nothing of its own.
fn run_with_terms(types: &Types, case: &Case, source: &str) -> Outcome {
    let expression = serde_json::Value::from(case.expression.trim());
    let parameters = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"expression","valueString":{expression}}},{{"name":"resource","resource":{source}}}]}}"#
    );
    let doc = json::parse(parameters.as_bytes(), 64).unwrap();
    let question = Question::read(types.model(), doc.root()).unwrap();
    let Subject::Inline(subject) = question.subject else {
        panic!("{}: no subject", case.name)
    };
    let mut terms = Terms::new(types.model(), 1_000);
    loop {
        let around = Surroundings {
            types,
            known: &[],
            own_bases: &[],
            terms: &terms,
            now: Moment::parse("2026-11-22T04:50:00.000Z").unwrap(),
            steps: &Cell::new(1_000_000),
            results_bytes_max: 1 << 20,
        };
        let reply = match question.reply(&around, Some(subject)) {
            Ok(reply) => reply,
            Err(issue) => return Outcome::Failed("execution", issue.diagnostics),
        };
        if reply.needs.is_empty() {
            let reply: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            let all = reply["parameter"].as_array().unwrap();
            let results = all.iter().filter(|p| p["name"] == "result");
            let parts = results.flat_map(|p| p["part"].as_array().cloned().unwrap_or_default());
            let item = |part: serde_json::Value| {
                let members = part.as_object().unwrap();
                let value = members.iter().find(|(name, _)| name.starts_with("value"));
                let text = value.map(|(_, v)| v.as_str().map_or(v.to_string(), str::to_owned));
                (
                    part["name"].as_str().unwrap().to_owned(),
                    text.unwrap_or_default(),
                )
            };
            return Outcome::Items(parts.map(item).collect());
        }
        for need in reply.needs {
            terms.bring(need, None);
        }
    }
}

fn run(types: &Types, case: &Case, source: Option<&str>) -> Outcome {
    let mode = case.attribute("mode").unwrap_or("");
    if let ("tx", Some(source)) = (mode, source) {
        return run_with_terms(types, case, source);
    }
    let ordered = case.attribute("checkOrderedFunctions") == Some("true")
        || case.attribute("ordered") == Some("true");
    let settings = Settings {
        rules: Rules {
            search: false,
            ordered,
            polymorphic: mode == "lenient/polymorphics",
        },
        variables: &[],
    };
    let doc = source.map(|s| json::parse(s.as_bytes(), 64).unwrap());
    let node = doc.as_ref().map(|doc| {
        let ty = types.of_resource(doc.root()).unwrap();
        Node::new(doc.root(), ty)
    });
    let ty = node.map(|n| n.ty);
    let plan = match Plan::compile_as(types, &settings, ty, ty, &case.expression) {
        Ok(plan) => plan,
        Err(error @ PathError::Syntax { .. }) => {
            return Outcome::Failed("syntax", error.to_string());
        }
        Err(error) => return Outcome::Failed("semantic", error.to_string()),
    };
    let steps = Cell::new(1_000_000);
    let env = Environment {
        types,
        resource: node,
        root: None,
        now: Moment::parse("2026-11-22T04:50:00.000Z"),
        steps: &steps,
        variables: &[],
        host: &NoHost,
    };
    let focus: Vec<Item<'_>> = node.map(Item::Node).into_iter().collect();
    match plan.run(env, &focus) {
        Err(EvalError::Steps) => panic!("{}: too many steps", case.name),
        Err(error) => Outcome::Failed("execution", error.to_string()),
        Ok(items) if case.attribute("predicate") == Some("true") => {
            let truth = match items.as_slice() {
                [] => "false",
                [Item::Bool(false)] => "false",
                _ => "true",
            };
            Outcome::Items(vec![("Boolean".to_owned(), truth.to_owned())])
        }
        Ok(items) => Outcome::Items(
            items
                .iter()
                .map(|item| {
                    let text = item.to_text(types).unwrap_or_default().into_owned();
                    (types.name(item.ty()).to_owned(), text)
                })
                .collect(),
        ),
    }
}

/// `None`: as the suite says.
fn verdict(case: &Case, outcome: &Outcome) -> Option<String> {
    match (case.invalid.as_deref(), outcome) {
        (None | Some("false"), Outcome::Items(found)) => {
            let wanted: Vec<_> = case.outputs.iter().collect();
            let same = if case.attribute("ordered") == Some("false") {
                let found: BTreeSet<_> = found.iter().map(|(_, text)| text.as_str()).collect();
                let wanted: BTreeSet<_> = wanted.iter().map(|(_, text)| text.as_str()).collect();
                found == wanted
            } else {
                found.len() == wanted.len()
                    && found.iter().zip(&wanted).all(|(f, w)| same_item(f, w))
            };
            (!same).then(|| format!("wanted {:?}, found {found:?}", case.outputs))
        }
        (Some(wanted), Outcome::Failed(stage, _)) if wanted == *stage || wanted == "true" => None,
        (invalid, Outcome::Failed(stage, why)) => {
            Some(format!("wanted {invalid:?}, found {stage}: {why}"))
        }
        (invalid, Outcome::Items(found)) => Some(format!("wanted {invalid:?}, found {found:?}")),
    }
}

fn same_item(
    (ty, text): &(String, String),
    (wanted_ty, wanted): &(Option<String>, String),
) -> bool {
    let same_type = wanted_ty.as_ref().is_none_or(|wanted| {
        // The results of boundaries of dates are all called dateTime.
        let dated = |t: &str| matches!(t.to_lowercase().as_str(), "date" | "datetime");
        ty.eq_ignore_ascii_case(wanted) || (dated(ty) && dated(wanted))
    });
    let wanted = wanted.strip_prefix('@').unwrap_or(wanted);
    let wanted = wanted.strip_prefix('T').unwrap_or(wanted);
    let number = |t: &str| t.parse::<f64>().ok();
    let same_number = || {
        let digits = |t: &str| t.split_once('.').map_or(0, |(_, f)| f.len());
        digits(text) == digits(wanted) && number(text).is_some_and(|n| Some(n) == number(wanted))
    };
    same_type && (text == wanted || same_number())
}

fn exceptions() -> BTreeMap<(&'static str, &'static str), &'static str> {
    let row = |line: &'static str| {
        let mut cells = line.split('\t');
        let mut next = || cells.next().unwrap_or_else(|| panic!("no row: {line}"));
        let (version, case, reason) = (next(), next(), next());
        assert!(reason.len() > 10, "no reason: {line}");
        ((version, case), reason)
    };
    let lines = EXCEPTIONS.lines().filter(|l| !l.starts_with('#'));
    lines.filter(|l| !l.is_empty()).map(row).collect()
}

#[test]
fn the_official_suites() {
    let Some(root) = std::env::var_os("INSULA_SUITES") else {
        println!("SKIPPED: INSULA_SUITES is not set, the FHIRPath suites were not checked");
        return;
    };
    let root = PathBuf::from(root).join("fhir-test-cases");
    let exceptions = exceptions();
    let mut wrong = Vec::new();
    for (version, folder, least) in SUITES {
        let types = Types::of(Model::of(version));
        let suite = root
            .join(folder)
            .join(format!("fhirpath/tests-fhir-{folder}.xml"));
        let cases = cases(&fs::read_to_string(suite).unwrap());
        assert!(cases.len() >= least, "{folder}: {} cases", cases.len());
        let mut inputs: BTreeMap<String, Result<String, String>> = BTreeMap::new();
        let (mut good, mut listed) = (0, 0);
        for case in &cases {
            let source = case.attribute("inputfile").map(|name| {
                inputs
                    .entry(name.to_owned())
                    .or_insert_with(|| input(&root, (version, folder), name))
                    .clone()
            });
            let failure = match source.transpose() {
                Ok(source) => verdict(case, &run(&types, case, source.as_deref())),
                Err(error) => Some(error),
            };
            match (failure, exceptions.get(&(folder, case.name.as_str()))) {
                (None, None) => good += 1,
                (Some(_), Some(_)) => listed += 1,
                (None, Some(_)) => {
                    wrong.push(format!("{folder} {}: passes, take it off", case.name));
                }
                (Some(failure), None) => wrong.push(format!(
                    "{folder} {}: {}\n    {failure}",
                    case.name,
                    case.expression.trim()
                )),
            }
        }
        println!(
            "{folder}: {good} of {} as the suite says, {listed} listed",
            cases.len()
        );
        let measure = format!("{} suite", version.release());
        testkit::outside::record("fhirpath", &measure, good, cases.len());
        for (of, name) in exceptions.keys() {
            if *of == folder && !cases.iter().any(|c| c.name == *name) {
                wrong.push(format!("{folder} has no case {name}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
