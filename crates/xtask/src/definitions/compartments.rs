//! Compartments: by which search parameters a resource belongs to a patient, encounter, …

use serde_json::Value;

use super::Table;
use super::package::{Package, items, text};

/// One row a compartment and type: `compartment, type, codes…` (codes separated by spaces).
pub(crate) fn table(package: &Package) -> Table {
    let mut table = Table::new(package, "compartment, type, parameters");
    let mut rows = Vec::new();
    for definition in package.compartments.values() {
        let Some(compartment) = text(definition, "code") else {
            continue;
        };
        for resource in items(definition, "resource") {
            // `{def}` is the heading resource itself, which belongs by its id.
            let params = items(resource, "param").filter_map(Value::as_str);
            let params: Vec<&str> = params.filter(|p| *p != "{def}").collect();
            if let Some(name) = text(resource, "code")
                && !params.is_empty()
            {
                rows.push([compartment.to_owned(), name.to_owned(), params.join(" ")]);
            }
        }
    }
    rows.sort();
    for [compartment, name, params] in &rows {
        table.row(&[compartment, name, params]);
    }
    table
}
