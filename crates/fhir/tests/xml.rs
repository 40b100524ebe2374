//! The XML form against outside data: HL7's examples there and back, and XML that others wrote.
//!
//! Finds the data by the environment variable `INSULA_SUITES`; without it the tests say so and
//! check nothing.
#![cfg(test)]

mod canonical;

use std::fs;
use std::path::{Path, PathBuf};

use fhir::definitions::{Content, FhirVersion, Model, Primitive, Structure};
use fhir::json;
use fhir::xml::{Bounds, Layout, to_json, write_xml};
use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use testkit::outside;

const BOUNDS: Bounds = Bounds {
    depth_max: 256,
    attributes_max: 64,
    issues_max: 20,
};

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

fn canonical_text(text: &str) -> String {
    canonical::text(text, &str::to_owned)
}

/// JSON to XML to JSON: the same, number by number.
fn there_and_back(version: FhirVersion, package: &str, least: usize) {
    let Some(folder) = outside::suite(package) else {
        return;
    };
    let model = Model::of(version);
    let mut found = Vec::new();
    files(&folder, "json", &mut found);
    let mut count = 0;
    let mut failed = Vec::new();
    for file in found {
        let bytes = fs::read(&file).unwrap();
        let Ok(doc) = json::parse(&bytes, 64) else {
            continue;
        };
        if fhir::resource::resource_type(model, doc.root()).is_err() {
            continue;
        }
        let mut xml = String::new();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if let Err(issue) = write_xml(model, doc.root(), Layout::Compact, &mut xml) {
            failed.push(format!("{name}: {issue:?}"));
            continue;
        }
        count += 1;
        let back = match to_json(model, xml.as_bytes(), &BOUNDS) {
            Ok(back) => back,
            Err(outcome) => {
                failed.push(format!("{name}: {outcome}"));
                continue;
            }
        };
        if canonical_text(&back) != canonical_text(doc.root().raw()) {
            failed.push(format!("{name}: not the same"));
        }
    }
    assert!(count >= least, "{count} examples");
    let measure = format!("{}: examples to XML and back", version.release());
    outside::record("xml", &measure, count - failed.len(), count);
    failed.sort();
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn r5_examples_there_and_back() {
    there_and_back(FhirVersion::R5, "r5-examples/package", 2_500);
}

#[test]
fn r4_examples_there_and_back() {
    there_and_back(FhirVersion::R4, "r4-examples/package", 5_000);
}

/// What an XML document says: elements, attributes in order of name, text where text counts.
fn said(xml: &str) -> Option<Vec<String>> {
    let mut reader = NsReader::from_str(xml);
    let mut all: Vec<String> = Vec::new();
    let mut html = 0;
    let mut text = String::new();
    loop {
        let (space, event) = reader.read_resolved_event().ok()?;
        let space = match space {
            ResolveResult::Bound(space) => space.0.to_owned(),
            _ => String::new(),
        };
        let of_html = space == fhir::xml::XHTML;
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                all.push(std::mem::take(&mut text));
                let mut attributes = Vec::new();
                for attribute in tag.attributes() {
                    let attribute = attribute.ok()?;
                    let key = attribute.key.0;
                    if key.starts_with("xmlns") || key.starts_with("xsi:") {
                        continue;
                    }
                    let version = quick_xml::XmlVersion::Explicit1_0;
                    let value = attribute.normalized_value(version).ok()?;
                    attributes.push(format!("{key}={value}"));
                }
                attributes.sort();
                all.push(format!(
                    "<{space} {} {attributes:?}",
                    tag.local_name().as_ref()
                ));
                html += usize::from(of_html && matches!(event, Event::Start(_)));
                if matches!(event, Event::Empty(_)) {
                    all.push(">".to_owned());
                }
            }
            Event::End(_) => {
                html -= usize::from(of_html);
                all.push(std::mem::take(&mut text));
                all.push(">".to_owned());
            }
            Event::Text(t) if html > 0 => text.push_str(&t.xml10_content()),
            Event::CData(t) if html > 0 => text.push_str(&t.xml10_content()),
            Event::GeneralRef(r) if html > 0 => {
                let c = match &*r {
                    "lt" => '<',
                    "gt" => '>',
                    "amp" => '&',
                    "quot" => '"',
                    "apos" => '\'',
                    _ => r.resolve_char_ref().ok()??,
                };
                text.push(c);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    all.retain(|s| !s.is_empty());
    Some(all)
}

/// Files that are not taken, and why.
fn foreign(version: FhirVersion, folder: &str, least: usize, refused: &[(&str, &str)]) {
    let Some(folder) = outside::suite(folder) else {
        return;
    };
    let model = Model::of(version);
    let mut found = Vec::new();
    files(&folder, "xml", &mut found);
    found.sort();
    let (mut count, mut failed) = (0, Vec::new());
    for file in found {
        let bytes = fs::read(&file).unwrap();
        let Ok(text) = std::str::from_utf8(&bytes) else {
            continue;
        };
        let name = file
            .strip_prefix(&folder)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let before = said(text.trim_start_matches('\u{feff}'));
        let of_fhir = before.as_ref().and_then(|b| b.first()).and_then(|root| {
            let rest = root.strip_prefix("<http://hl7.org/fhir ")?;
            model.type_id(rest.split(' ').next()?)
        });
        if of_fhir.is_none() {
            continue;
        }
        count += 1;
        let json = match to_json(model, &bytes, &BOUNDS) {
            Ok(json) => json,
            Err(outcome) => {
                let first = outcome.0.first().unwrap();
                let place = first.expression.as_deref().unwrap_or(&first.diagnostics);
                failed.push((name, format!("{} {place}", first.code.as_str())));
                continue;
            }
        };
        let doc = json::parse(json.as_bytes(), 64).unwrap();
        let mut xml = String::new();
        write_xml(model, doc.root(), Layout::Compact, &mut xml).unwrap();
        let after = said(&xml).unwrap();
        let mut before = before.unwrap();
        let mut sorted = after.clone();
        if before != sorted {
            // Elements out of the order of definition come back in it.
            before.sort();
            sorted.sort();
        }
        if before != sorted {
            let differs = before.iter().zip(&sorted).find(|(a, b)| a != b);
            failed.push((name, format!("not the same: {differs:?}")));
        }
    }
    assert!(count >= least, "{count} documents");
    let measure = format!("{}: documents of others", version.release());
    outside::record("xml", &measure, count - failed.len(), count);
    let refused: Vec<(String, String)> = refused
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    assert_eq!(failed, refused);
}

/// Written for another version of FHIR than the folder is named after.
const OF_ANOTHER_VERSION_R4B: &[(&str, &str)] = &[
    (
        "myconsent-ext.xml",
        "element-unknown StructureDefinition.contextType",
    ),
    (
        "snapshot-generation/pattern-ext-2-input.xml",
        "element-unknown StructureDefinition.differential.element[1].sliceName.name",
    ),
];

/// The same, and: text between elements (`au1a`, `pas-base-org`), half of a surrogate pair as a
/// character (`unicode-problem`).
const REFUSED_R5: &[(&str, &str)] = &[
    (
        "bundle-resource-element-test.xml",
        "element-unknown Bundle.entry[0].resource.code.coding[0].value",
    ),
    (
        "medicationdispense8.xml",
        "element-unknown MedicationDispense.medicationReference",
    ),
    (
        "narrative/condition-ckd.xml",
        "element-unknown Condition.evidence[0].detail",
    ),
    (
        "narrative/ex-doc.xml",
        "element-unknown Bundle.entry[0].resource.confidentiality",
    ),
    (
        "narrative/nested.xml",
        "element-unknown CodeSystem.meta.version",
    ),
    (
        "narrative/sd-bindings.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[0].xpath",
    ),
    (
        "obs-resource-element-test.xml",
        "element-unknown Observation.code.coding[0].value",
    ),
    (
        "parameters-example.xml",
        "element-unknown Parameters.parameter[1].part[3].resource.telecom",
    ),
    (
        "profiles/instance-name+comments-ext.xml",
        "element-unknown Observation.name",
    ),
    (
        "profiles/instance-name+comments-ext2.xml",
        "element-unknown Observation.name",
    ),
    (
        "profiles/instance-name+comments-ext3.xml",
        "element-unknown Observation.name",
    ),
    (
        "profiles/instance-name+comments-long.xml",
        "element-unknown Observation.name",
    ),
    (
        "profiles/instance-name+comments.xml",
        "element-unknown Observation.name",
    ),
    (
        "profiles/instance-name+issued.xml",
        "element-unknown Observation.name",
    ),
    (
        "profiles/instance-name-only.xml",
        "element-unknown Observation.name",
    ),
    (
        "profiles/instance-name-quantity.xml",
        "element-unknown Observation.name",
    ),
    (
        "profiles/instance-name-quantity2.xml",
        "element-unknown Observation.name",
    ),
    (
        "profiles/instance-name-value.xml",
        "element-unknown Observation.name",
    ),
    (
        "snapshot-generation/au1a.xml",
        "xml-text StructureDefinition.snapshot.element[0].constraint[1]",
    ),
    (
        "snapshot-generation/choice_min_1-expected.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[0].xpath",
    ),
    (
        "snapshot-generation/multi-au-core.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[0].xpath",
    ),
    (
        "snapshot-generation/on-core-short-string.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[0].xpath",
    ),
    (
        "snapshot-generation/on-core-uri-label.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[0].xpath",
    ),
    (
        "snapshot-generation/on-group-note-info.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[0].xpath",
    ),
    (
        "snapshot-generation/on-option-note-info.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[0].xpath",
    ),
    (
        "snapshot-generation/on-question-note-info.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[0].xpath",
    ),
    (
        "snapshot-generation/on-sdc-same-line.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[0].xpath",
    ),
    (
        "snapshot-generation/pas-base-org.xml",
        "xml-text StructureDefinition.snapshot.element[0].constraint[1]",
    ),
    (
        "snapshot-generation/sushi3-dep.xml",
        "element-unknown StructureDefinition.snapshot.element[0].constraint[1].xpath",
    ),
    (
        "unicode-problem.xml",
        "xml-syntax a reference to a character that XML does not allow at line 4, column 5",
    ),
];

#[test]
fn r4_documents_of_others() {
    foreign(
        FhirVersion::R4,
        "fhir-test-cases/r4",
        20,
        OF_ANOTHER_VERSION_R4B.get(..1).unwrap(),
    );
}

#[test]
fn r4b_documents_of_others() {
    foreign(
        FhirVersion::R4B,
        "fhir-test-cases/r4b",
        20,
        OF_ANOTHER_VERSION_R4B,
    );
}

#[test]
fn r5_documents_of_others() {
    foreign(FhirVersion::R5, "fhir-test-cases/r5", 300, REFUSED_R5);
}

/// Numbers that only depend on where they started.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

fn random_text(dice: &mut Dice) -> String {
    const PARTS: [&str; 12] = [
        "a", "é", "😀", " ", "\n", "\t", "\r\n", "<", "&amp;", "\"", "'", "]]>",
    ];
    (0..=dice.roll(6))
        .map(|_| PARTS[dice.roll(PARTS.len())])
        .collect()
}

fn random_primitive(of: Primitive, dice: &mut Dice) -> String {
    match of {
        Primitive::Boolean => ["true", "false"][dice.roll(2)].to_owned(),
        Primitive::Decimal => ["1.50", "-0.0", "1E-5", "100", "0.10"][dice.roll(5)].to_owned(),
        Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt => {
            dice.roll(1_000).to_string()
        }
        Primitive::Xhtml => {
            r#""<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a &lt; b<br/></p></div>""#.to_owned()
        }
        _ => {
            let mut quoted = String::new();
            json::push_json_string(&random_text(dice), &mut quoted);
            quoted
        }
    }
}

/// Members of an object, without its brackets.
fn random_members(
    model: &Model,
    of: &Structure,
    resource: bool,
    depth: usize,
    dice: &mut Dice,
) -> Vec<String> {
    let mut members = Vec::new();
    for element in &of.elements {
        if dice.roll(of.elements.len().max(4)) > 3 {
            continue;
        }
        let t = &element.types[dice.roll(element.types.len())];
        let count = if element.repeats() {
            1 + dice.roll(3)
        } else {
            1
        };
        let list = |items: Vec<String>| match element.repeats() {
            true => format!("[{}]", items.join(",")),
            false => items.concat(),
        };
        let attribute =
            !resource && (t.json == "id" || (t.json == "url" && of.path == "Extension"));
        match t.content {
            Content::Primitive(p) if attribute || p == Primitive::Xhtml => {
                members.push(format!("\"{}\":{}", t.json, random_primitive(p, dice)));
            }
            Content::Primitive(p) => {
                let beside = dice.roll(4) == 0;
                let values = (0..count).map(|_| random_primitive(p, dice)).collect();
                members.push(format!("\"{}\":{}", t.json, list(values)));
                if beside {
                    let ids = (0..count).map(|i| format!("{{\"id\":\"i{i}\"}}")).collect();
                    members.push(format!("\"_{}\":{}", t.json, list(ids)));
                }
            }
            _ if depth == 0 => {}
            Content::Structure(id) => {
                let items = (0..count).map(|_| {
                    let inner = random_members(model, model.structure(id), false, depth - 1, dice);
                    format!("{{{}}}", inner.join(","))
                });
                let items: Vec<String> = items.collect();
                members.push(format!("\"{}\":{}", t.json, list(items)));
            }
            Content::Resource => {
                let items = (0..count)
                    .map(|_| random_resource(model, depth - 1, dice))
                    .collect();
                members.push(format!("\"{}\":{}", t.json, list(items)));
            }
        }
    }
    members
}

fn random_resource(model: &Model, depth: usize, dice: &mut Dice) -> String {
    let types: Vec<_> = model.types().collect();
    let of = model.structure(model.structure_of(types[dice.roll(types.len())]).unwrap());
    let mut members = vec![format!("\"resourceType\":\"{}\"", of.path)];
    members.extend(random_members(model, of, true, depth, dice));
    format!("{{{}}}", members.join(","))
}

#[test]
fn random_resources_there_and_back() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..600 {
        let version = FhirVersion::ALL[round % FhirVersion::ALL.len()];
        let model = Model::of(version);
        let text = random_resource(model, 4, &mut dice);
        let doc = json::parse(text.as_bytes(), 64).unwrap();
        for layout in [Layout::Compact, Layout::Pretty] {
            let mut xml = String::new();
            write_xml(model, doc.root(), layout, &mut xml).unwrap();
            let back = to_json(model, xml.as_bytes(), &BOUNDS);
            let back = back.unwrap_or_else(|e| panic!("{text}\n{xml}\n{e}"));
            assert_eq!(canonical_text(&back), canonical_text(&text), "{xml}");
        }
    }
}
