//! The stable numbers of types and search parameters, shared by all versions of FHIR.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::elements::{Types, is_concrete};
use super::search::Params;

const HEADER: &str = "# Numbers stored in databases: append only.\n\
                      # type, number, name | param, number, type, code\n";

/// Appends the types and parameters that have no number yet; gives how many there were.
pub(crate) fn append(path: &Path, types: &Types<'_>, params: &Params<'_>) -> Result<usize> {
    let mut text = if path.exists() {
        fs::read_to_string(path)?
    } else {
        HEADER.to_owned()
    };
    let (mut known_types, mut known_params) = (BTreeSet::new(), BTreeSet::new());
    let (mut last_type, mut last_param) = (0u32, 0u32);
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            ["type", number, name] => {
                last_type = last_type.max(number.parse().context("registry")?);
                known_types.insert((*name).to_owned());
            }
            ["param", number, name, code] => {
                last_param = last_param.max(number.parse().context("registry")?);
                known_params.insert(((*name).to_owned(), (*code).to_owned()));
            }
            _ => bail!("registry: {line:?}"),
        }
    }
    let mut added = 0;
    let concrete: Vec<&str> = types
        .keys()
        .copied()
        .filter(|t| is_concrete(types, t))
        .collect();
    for name in &concrete {
        if known_types.insert((*name).to_owned()) {
            last_type += 1;
            added += 1;
            text.push_str(&format!("type\t{last_type}\t{name}\n"));
        }
    }
    for name in &concrete {
        for code in codes_of(types, params, name) {
            if known_params.insert(((*name).to_owned(), code.to_owned())) {
                last_param += 1;
                added += 1;
                text.push_str(&format!("param\t{last_param}\t{name}\t{code}\n"));
            }
        }
    }
    fs::write(path, text)?;
    Ok(added)
}

/// Codes of a type's own parameters and of those of its bases.
fn codes_of<'p>(types: &Types<'_>, params: &Params<'p>, name: &str) -> BTreeSet<&'p str> {
    let mut owners = BTreeSet::from([name]);
    let mut at = name;
    while let Some(base) = types.get(at).map(|t| t.base).filter(|b| !b.is_empty()) {
        owners.insert(base);
        at = base;
    }
    params
        .keys()
        .filter(|(owner, _)| owners.contains(owner))
        .map(|(_, code)| *code)
        .collect()
}
