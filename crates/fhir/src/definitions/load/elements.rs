//! The table of elements: what each structure has of its own, then with what it inherits.

use std::collections::HashMap;

use super::super::element::{Content, Element, ElementType, Primitive};
use super::super::element::{Structure, StructureId, ValueSetId};
use super::{Loader, lines};

type Numbers = HashMap<&'static str, StructureId>;

/// A structure as the table has it.
struct Header {
    path: &'static str,
    base: &'static str,
    rows: Vec<&'static str>,
}

/// All structures, each with what it inherits.
pub(super) fn structures(loader: &mut Loader, table: &'static str) -> Vec<Structure> {
    let mut headers: Vec<Header> = Vec::new();
    for line in lines(table) {
        if let Some(header) = line.strip_prefix('=') {
            let (path, base) = header.split_once('\t').unwrap_or((header, ""));
            headers.push(Header {
                path,
                base,
                rows: Vec::new(),
            });
        } else if let Some(last) = headers.last_mut() {
            last.rows.push(line);
        } else {
            loader.defects += 1;
        }
    }
    let numbers: Numbers = (0..)
        .zip(&headers)
        .map(|(i, h)| (h.path, StructureId(i)))
        .collect();
    let own: Vec<Vec<Element>> = headers
        .iter()
        .map(|h| own_elements(loader, h, &numbers))
        .collect();
    let mut all = Vec::with_capacity(headers.len());
    for h in &headers {
        match with_inherited(h.path, &headers, &numbers, &own) {
            Some(elements) => all.push(Structure::new(h.path, h.base, elements)),
            None => {
                loader.defects += 1;
                all.push(Structure::new(h.path, h.base, Vec::new()));
            }
        }
    }
    all
}

/// Elements of the bases first; a structure's own element replaces one of the same name.
fn with_inherited(
    path: &'static str,
    headers: &[Header],
    numbers: &Numbers,
    own: &[Vec<Element>],
) -> Option<Vec<Element>> {
    let mut chain = Vec::new();
    let mut at = path;
    while !at.is_empty() && chain.len() < 8 {
        let number = usize::from(numbers.get(at)?.0);
        chain.push(own.get(number)?);
        at = headers.get(number)?.base;
    }
    let mut all: Vec<Element> = Vec::new();
    for element in chain.into_iter().rev().flatten() {
        match all.iter_mut().find(|e| e.name == element.name) {
            Some(inherited) => *inherited = element.clone(),
            None => all.push(element.clone()),
        }
    }
    Some(all)
}

fn own_elements(loader: &mut Loader, header: &Header, numbers: &Numbers) -> Vec<Element> {
    let mut elements = Vec::with_capacity(header.rows.len());
    for row in &header.rows {
        match element(loader, header.path, row, numbers) {
            Some(element) => elements.push(element),
            None => loader.defects += 1,
        }
    }
    elements
}

fn element(loader: &Loader, path: &str, row: &'static str, numbers: &Numbers) -> Option<Element> {
    let mut cells = row.split('\t');
    let (full, min, max, list) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
    let summary = cells.next() == Some("s");
    let url = cells.next();
    let (name, choice) = full
        .strip_suffix("[x]")
        .map_or((full, false), |n| (n, true));
    let max = if max == "*" {
        None
    } else {
        Some(max.parse().ok()?)
    };
    let types = if let Some(reference) = list.strip_prefix('#') {
        let content = Content::Structure(*numbers.get(reference)?);
        let targets = Box::default();
        Box::from([ElementType {
            name: "BackboneElement",
            json: name,
            content,
            targets,
        }])
    } else {
        let own = numbers.get(format!("{path}.{full}").as_str()).copied();
        let of = |text| {
            let mut of = element_type(loader, text, own, numbers)?;
            of.json = if choice {
                choice_name(name, of.name)
            } else {
                name
            };
            Some(of)
        };
        list.split(',').map(of).collect::<Option<_>>()?
    };
    let known = |url| loader.value_sets.binary_search_by(|v| v.url.cmp(url)).ok();
    let required_codes = url
        .and_then(known)
        .and_then(|i| u16::try_from(i).ok())
        .map(ValueSetId);
    let min = min.parse().ok()?;
    Some(Element {
        name,
        choice,
        min,
        max,
        types,
        summary,
        required_codes,
    })
}

/// `Quantity`, `Reference(Patient|Group)`; `own` is the element's own structure, if it has one.
fn element_type(
    loader: &Loader,
    text: &'static str,
    own: Option<StructureId>,
    numbers: &Numbers,
) -> Option<ElementType> {
    let (name, targets) = text.split_once('(').unwrap_or((text, ""));
    let targets = loader.type_list(targets.trim_end_matches(')'), '|')?;
    let content = if let Some(primitive) = Primitive::parse(name) {
        Content::Primitive(primitive)
    } else if name == "Resource" {
        Content::Resource
    } else {
        Content::Structure(own.or_else(|| numbers.get(name).copied())?)
    };
    Some(ElementType {
        name,
        json: "",
        content,
        targets,
    })
}

/// `value` + `dateTime` = `valueDateTime`. Kept for the life of the program, as the model is.
fn choice_name(element: &str, of: &str) -> &'static str {
    let mut name = String::with_capacity(element.len() + of.len());
    name.push_str(element);
    let mut rest = of.chars();
    name.extend(rest.next().map(|c| c.to_ascii_uppercase()));
    name.push_str(rest.as_str());
    name.leak()
}
