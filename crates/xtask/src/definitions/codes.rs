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
/// Value sets that need more than the package (mime types, languages, units, currencies) are left
/// out: their elements' codes stay unchecked.
pub(crate) fn table(package: &Package, types: &Types<'_>) -> Table {
    let mut table = Table::new(package, "value set, system, codes");
    for url in bound_value_sets(types) {
        let Some(codes) = expand(package, url, 0) else {
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
