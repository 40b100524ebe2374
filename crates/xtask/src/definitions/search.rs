//! Search parameters, one row a type.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Table;
use super::corrections;
use super::elements::{Types, is_concrete};
use super::package::{Package, items, text};

/// A search parameter of one type.
pub(crate) struct Param<'p> {
    pub(crate) kind: &'p str,
    pub(crate) url: &'p str,
    pub(crate) expression: String,
    /// `*`: any type; empty: none.
    pub(crate) targets: String,
    /// `code kind expression`
    pub(crate) components: Vec<String>,
}

/// Parameters by type (or abstract base) and code.
pub(crate) type Params<'p> = BTreeMap<(&'p str, &'p str), Param<'p>>;

/// The parameters that can be computed: those with an expression. `_text`, `_content`, `_query`
/// and `_filter` have none, and what has a processing mode of its own (`_in`, `_has`) is no value
/// of the content. Composites whose parts the package does not define are corrected, or left out
/// and named in `left_out`.
pub(crate) fn params<'p>(
    package: &'p Package,
    types: &Types<'_>,
    left_out: &mut Vec<String>,
) -> Params<'p> {
    let mut found = Params::new();
    for (url, definition) in &package.params {
        let (Some(code), Some(kind)) = (text(definition, "code"), text(definition, "type")) else {
            continue;
        };
        let expressed = text(definition, "expression").unwrap_or_default();
        // `Location.near` is computed from a value all the same: it says `special`.
        if text(definition, "processingMode") == Some("other") && kind != "special" {
            continue;
        }
        let published = || items(definition, "component").map(|c| component(package, c));
        let components: Vec<String> = match corrections::components_of(url, &package.version) {
            Some(components) => components,
            None => match published().collect::<Result<_>>() {
                Ok(components) => components,
                Err(error) => {
                    left_out.push(format!("{url}: {error:#}"));
                    continue;
                }
            },
        };
        for base in items(definition, "base").filter_map(Value::as_str) {
            if types.get(base).is_none_or(|t| t.kind != "resource") {
                continue;
            }
            let mut expression = branches(expressed, base);
            if let Some(correct) = corrections::expression_of(url, base, &expression) {
                correct.clone_into(&mut expression);
            }
            if expression.is_empty() {
                if !expressed.is_empty() {
                    left_out.push(format!("{url}: nothing on {base}"));
                }
                continue;
            }
            let targets = targets(types, definition, kind, &expression);
            found.insert(
                (base, code),
                Param {
                    kind,
                    url,
                    expression,
                    targets,
                    components: components.clone(),
                },
            );
        }
    }
    found
}

fn component(package: &Package, component: &Value) -> Result<String> {
    // R4 and later give a canonical; some packages still print it as a Reference.
    let url = text(component, "definition")
        .or_else(|| {
            component
                .get("definition")
                .and_then(|d| text(d, "reference"))
        })
        .context("a component without definition")?;
    let definition = package.params.get(url).with_context(|| url.to_owned())?;
    let code = text(definition, "code").context("a parameter without code")?;
    let kind = text(definition, "type").context("a parameter without type")?;
    let expression = text(component, "expression").context("a component without expression")?;
    Ok(format!("{code} {kind} {}", normal(expression)))
}

/// Types that a reference can point to. A parameter whose every branch ends in
/// `where(resolve() is X)` points to `X` only, whatever the definition lists.
fn targets(types: &Types<'_>, definition: &Value, kind: &str, expression: &str) -> String {
    if kind != "reference" {
        return String::new();
    }
    let resolved: Option<Vec<String>> = split(expression).iter().map(|b| resolved(b)).collect();
    if let Some(mut resolved) = resolved {
        resolved.sort();
        resolved.dedup();
        return resolved.join(" ");
    }
    let named: Vec<&str> = items(definition, "target")
        .filter_map(Value::as_str)
        .collect();
    let all = types.keys().filter(|t| is_concrete(types, t)).count();
    let any = named.iter().any(|t| !is_concrete(types, t));
    // Lists of "every type" leave out Parameters, which nothing refers to.
    if named.is_empty() || any || named.len() + 1 >= all {
        "*".to_owned()
    } else {
        named.join(" ")
    }
}

fn resolved(branch: &str) -> Option<String> {
    let (_, of) = branch
        .trim_end_matches(')')
        .rsplit_once("where(resolve() is ")?;
    of.chars()
        .all(|c| c.is_ascii_alphanumeric())
        .then(|| of.to_owned())
}

/// The branches of a union that speak of this type, or else those that name no type at all
/// (`name | alias`).
fn branches(expression: &str, base: &str) -> String {
    let all = split(expression);
    let of_base: Vec<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|b| {
            let rest = b.trim_start_matches(['(', ' ']).strip_prefix(base);
            rest.is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_alphanumeric()))
        })
        .collect();
    let chosen = if of_base.is_empty() {
        let nameless = |b: &&String| {
            let first = b.trim_start_matches(['(', ' ']).chars().next();
            first.is_some_and(|c| !c.is_ascii_uppercase())
        };
        let all: Vec<&str> = all.iter().filter(nameless).map(String::as_str).collect();
        all.join(" | ")
    } else {
        of_base.join(" | ")
    };
    normal(&chosen)
}

/// The top-level branches of a union.
fn split(expression: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut quoted) = (0i32, false);
    for c in expression.chars() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            '|' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.iter().map(|p| p.trim().to_owned()).collect()
}

/// One line; type names spelled as they are defined; `hasExtension` (no FHIRPath function) spelled out; a parameter that ends at an
/// extension means the extension's value.
fn normal(expression: &str) -> String {
    let mut text = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    text = text.replace("(DateTime)", "(dateTime)");
    while let Some(at) = text.find("hasExtension(") {
        let Some(end) = text.get(at..).and_then(|t| t.find(')')) else {
            break;
        };
        text.replace_range(at + end..=at + end, ").exists()");
        text.replace_range(at..at + "hasExtension".len(), "extension");
    }
    let ends_at_extension = text
        .strip_suffix("')")
        .and_then(|t| t.rsplit_once('\''))
        .is_some_and(|(before, _)| before.ends_with(".extension("));
    if ends_at_extension {
        text.push_str(".value");
    }
    text
}

/// `type, code, kind, targets, url, expression, components…`
pub(crate) fn table(package: &Package, params: &Params<'_>) -> Table {
    let columns = "type, code, kind, targets, url, expression, components (code kind expression)";
    let mut table = Table::new(package, columns);
    for ((base, code), p) in params {
        let mut cells = vec![*base, *code, p.kind, &p.targets, p.url, &p.expression];
        cells.extend(p.components.iter().map(String::as_str));
        table.row(&cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_gets_its_own_branches() {
        let all = "(A.value as Quantity) | AB.code | A.x.where(y = '|') | name";
        assert_eq!(
            branches(all, "A"),
            "(A.value as Quantity) | A.x.where(y = '|')"
        );
        assert_eq!(branches(all, "AB"), "AB.code");
        assert_eq!(branches("name | alias", "A"), "name | alias");
        assert_eq!(
            branches("B.name | (start | B.end).first()", "A"),
            "(start | B.end).first()"
        );
        assert_eq!(branches("B.name", "A"), "");
    }

    #[test]
    fn expressions_are_plain_fhirpath() {
        assert_eq!(normal("a\n  .b"), "a .b");
        assert_eq!(normal("A.extension('u')"), "A.extension('u').value");
        assert_eq!(normal("A.extension('u').value"), "A.extension('u').value");
        assert_eq!(
            normal("i.where(hasExtension('u')).c"),
            "i.where(extension('u').exists()).c"
        );
        assert_eq!(normal("value.as(DateTime)"), "value.as(dateTime)");
    }

    #[test]
    fn resolve_narrows_targets() {
        assert_eq!(
            resolved("A.b.where(resolve() is Patient)").as_deref(),
            Some("Patient")
        );
        assert_eq!(
            resolved("(A.b.where(resolve() is Patient))").as_deref(),
            Some("Patient")
        );
        assert_eq!(resolved("A.b.where(resolve() is Patient).c"), None);
        assert_eq!(resolved("A.b"), None);
    }
}
