//! The codes of required value sets, as far as the specification itself enumerates them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Table;
use super::elements::{Types, bound_value_sets};
use super::package::{Package, items, text};

/// Codes by system.
type Codes<'p> = BTreeMap<&'p str, BTreeSet<&'p str>>;

/// One row a value set and system: `value set, system, codes…` (codes separated by spaces).
///
/// What the package of the version does not enumerate is taken as `expansions` has it. Value sets
/// of code systems that none of the two has (LOINC's) are left out: their elements' codes stay
/// unchecked.
pub(crate) fn table(package: &Package, expansions: Option<&Package>, types: &Types<'_>) -> Table {
    let packages: Vec<&Package> = std::iter::once(package).chain(expansions).collect();
    let mut table = Table::of(&packages, "value set, system, codes");
    for url in bound_value_sets(types) {
        let published = || expansions.and_then(|p| expanded(p, url));
        let Some(codes) = expand(package, url, 0).or_else(published) else {
            continue;
        };
        let spaced = codes.values().flatten().any(|c| c.contains(' '));
        if codes.is_empty() || spaced {
            continue;
        }
        for (system, codes) in codes {
            let codes: Vec<&str> = codes.into_iter().collect();
            table.row(&[url, system, &codes.join(" ")]);
        }
    }
    table
}

/// Systems whose codes no list gives: the row says `*`, and `fhir::definitions::Form` what they
/// look like.
const FORMS: &[&str] = &[
    "http://hl7.org/fhir/color-rgb",
    "http://unitsofmeasure.org",
    "https://www.iana.org/time-zones",
    "urn:ietf:bcp:13",
    "urn:ietf:bcp:47",
    "urn:iso:std:iso:3166",
    "urn:iso:std:iso:4217",
];

/// The codes of a value set as it was expanded when the version was published.
fn expanded<'p>(expansions: &'p Package, url: &str) -> Option<Codes<'p>> {
    let mut all = Codes::new();
    contained(expansions.value_sets.get(url)?.get("expansion")?, &mut all);
    Some(all)
}

fn contained<'p>(part: &'p Value, all: &mut Codes<'p>) {
    for item in items(part, "contains") {
        let may_be_used = item.get("abstract").and_then(Value::as_bool) != Some(true);
        if let (Some(system), Some(code), true) =
            (text(item, "system"), text(item, "code"), may_be_used)
        {
            all.entry(system).or_default().insert(code);
        }
        contained(item, all);
    }
}

fn expand<'p>(package: &'p Package, url: &str, depth: u8) -> Option<Codes<'p>> {
    let url = url.split('|').next().unwrap_or(url);
    let compose = package.value_sets.get(url)?.get("compose")?;
    if depth > 8 || items(compose, "exclude").next().is_some() {
        return None;
    }
    let mut all = Codes::new();
    for include in items(compose, "include") {
        for (system, codes) in included(package, include, depth)? {
            all.entry(system).or_default().extend(codes);
        }
    }
    Some(all)
}

fn included<'p>(package: &'p Package, include: &'p Value, depth: u8) -> Option<Codes<'p>> {
    if items(include, "filter").next().is_some() {
        return None;
    }
    let imports: Vec<&str> = items(include, "valueSet")
        .filter_map(Value::as_str)
        .collect();
    let Some(system) = text(include, "system") else {
        let [only] = imports.as_slice() else {
            return None;
        };
        return expand(package, only, depth + 1);
    };
    if !imports.is_empty() {
        return None;
    }
    let mut codes = BTreeSet::new();
    if items(include, "concept").next().is_some() {
        codes.extend(items(include, "concept").filter_map(|c| text(c, "code")));
    } else if FORMS.contains(&system) {
        codes.insert("*");
    } else {
        let definition = package.code_systems.get(system)?;
        if text(definition, "content") != Some("complete") {
            return None;
        }
        collect(definition, &mut codes);
    }
    Some(Codes::from([(system, codes)]))
}

fn collect<'p>(concepts: &'p Value, codes: &mut BTreeSet<&'p str>) {
    for concept in items(concepts, "concept") {
        codes.extend(text(concept, "code"));
        collect(concept, codes);
    }
}
