//! The part of XPath that XML Patch uses (RFC 5261 section 4.1): steps along children, with
//! predicates on position, attributes and content, to exactly one node.

use super::super::{malformed, misfit};
use super::dom::{Data, Dom, ROOT};
use crate::outcome::Issue;

/// What a selector found.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Node(usize),
    /// An element and the number of its attribute.
    Attribute(usize, usize),
    /// An element and a prefix that it declares.
    Namespace(usize, String),
}

/// What a prefix means in the patch.
type Spaces<'s> = &'s dyn Fn(&str) -> Option<String>;

/// The one place that a selector names.
pub(super) fn select(dom: &Dom, selector: &str, spaces: Spaces<'_>) -> Result<Place, Issue> {
    let text = selector.trim();
    let steps = steps(text.strip_prefix('/').unwrap_or(text))?;
    let mut nodes = vec![ROOT];
    for (i, step) in steps.iter().enumerate() {
        let last = i + 1 == steps.len();
        if let Some(name) = step
            .strip_prefix('@')
            .or_else(|| step.strip_prefix("attribute::"))
        {
            return match last {
                true => attribute(dom, &nodes, name, spaces),
                false => Err(malformed("an attribute is the last step")),
            };
        }
        if let Some(prefix) = step.strip_prefix("namespace::") {
            let declares = |n: &usize| {
                dom.element(*n)
                    .is_some_and(|e| e.declares.iter().any(|(p, _)| p == prefix))
            };
            nodes.retain(declares);
            return only(&nodes).map(|n| Place::Namespace(n, prefix.to_owned()));
        }
        nodes = walk(dom, &nodes, step, spaces)?;
    }
    only(&nodes).map(Place::Node)
}

fn only(nodes: &[usize]) -> Result<usize, Issue> {
    match nodes {
        [one] if *one != ROOT => Ok(*one),
        [] | [_] => Err(misfit("the selector matches nothing")),
        _ => Err(misfit("the selector matches more than one node")),
    }
}

fn attribute(dom: &Dom, nodes: &[usize], name: &str, spaces: Spaces<'_>) -> Result<Place, Issue> {
    let (space, local) = attribute_name(name, spaces)?;
    let mut found = nodes.iter().filter_map(|node| {
        let attributes = &dom.element(*node)?.attributes;
        let at = attributes
            .iter()
            .position(|a| a.local == local && a.space == space)?;
        Some(Place::Attribute(*node, at))
    });
    match (found.next(), found.next()) {
        (Some(place), None) => Ok(place),
        (None, _) => Err(misfit("the selector matches nothing")),
        _ => Err(misfit("the selector matches more than one attribute")),
    }
}

/// The steps of a path: `/` inside of brackets and quotes does not count.
fn steps(path: &str) -> Result<Vec<&str>, Issue> {
    let mut all = Vec::new();
    let (mut from, mut depth, mut quote) = (0, 0_usize, None);
    for (at, c) in path.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') => depth = depth.saturating_sub(1),
            (None, '/') if depth == 0 => {
                all.push(path.get(from..at).unwrap_or("").trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(path.get(from..).unwrap_or("").trim());
    match depth == 0 && quote.is_none() && all.iter().all(|s| !s.is_empty()) {
        true => Ok(all),
        false => Err(malformed("\"sel\" is no selector")),
    }
}

/// The nodes that a step leads to.
fn walk(dom: &Dom, nodes: &[usize], step: &str, spaces: Spaces<'_>) -> Result<Vec<usize>, Issue> {
    let (test, mut rest) = step.split_at(step.find('[').unwrap_or(step.len()));
    let test = Test::parse(test.trim(), spaces)?;
    let mut predicates = Vec::new();
    while let Some(inner) = rest.trim_start().strip_prefix('[') {
        let end = closing(inner).ok_or_else(|| malformed("\"sel\" is no selector"))?;
        predicates.push(inner.get(..end).unwrap_or("").trim());
        rest = inner.get(end + 1..).unwrap_or("");
    }
    if !rest.trim().is_empty() {
        return Err(malformed("\"sel\" is no selector"));
    }
    let mut found = Vec::new();
    for node in nodes {
        let mut here: Vec<usize> = match test {
            Test::Itself => vec![*node],
            _ => dom
                .children(*node)
                .iter()
                .copied()
                .filter(|n| test.holds(dom, *n))
                .collect(),
        };
        for predicate in &predicates {
            here = filter(dom, &here, predicate, spaces)?;
        }
        found.extend(here);
    }
    Ok(found)
}

/// Where the bracket that is open closes.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ']') => return Some(at),
            _ => {}
        }
    }
    None
}

/// What a step asks of a node.
enum Test {
    Itself,
    Any,
    Name(String, String),
    Text,
    Comment,
    Instruction(String),
}

impl Test {
    fn parse(text: &str, spaces: Spaces<'_>) -> Result<Self, Issue> {
        Ok(match text {
            "." => Self::Itself,
            "*" => Self::Any,
            "text()" => Self::Text,
            "comment()" => Self::Comment,
            _ => {
                if let Some(inner) = text.strip_prefix("processing-instruction(") {
                    let inner = inner.strip_suffix(')').unwrap_or(inner).trim();
                    return Ok(Self::Instruction(
                        inner.trim_matches(['"', '\'']).to_owned(),
                    ));
                }
                let text = text.strip_prefix("child::").unwrap_or(text);
                let (space, local) = element_name(text, spaces)?;
                Self::Name(space, local.to_owned())
            }
        })
    }

    fn holds(&self, dom: &Dom, node: usize) -> bool {
        match (self, dom.data(node)) {
            (Self::Any, Data::Element(_))
            | (Self::Text, Data::Text(_))
            | (Self::Comment, Data::Comment(_)) => true,
            (Self::Name(space, local), Data::Element(e)) => e.space == *space && e.local == *local,
            (Self::Instruction(target), Data::Instruction(text)) => {
                target.is_empty() || text.split_whitespace().next() == Some(target)
            }
            _ => false,
        }
    }
}

fn element_name<'t>(text: &'t str, spaces: Spaces<'_>) -> Result<(String, &'t str), Issue> {
    let (prefix, local) = text.split_once(':').unwrap_or(("", text));
    if !crate::xml::is_name(local) {
        return Err(malformed("\"sel\" has a step that is not understood"));
    }
    let space = spaces(prefix).ok_or_else(|| malformed("\"sel\" has a prefix without meaning"))?;
    Ok((space, local))
}

fn attribute_name<'t>(text: &'t str, spaces: Spaces<'_>) -> Result<(String, &'t str), Issue> {
    match text.contains(':') {
        true => element_name(text, spaces),
        false if crate::xml::is_name(text) => Ok((String::new(), text)),
        false => Err(malformed("\"sel\" has a step that is not understood")),
    }
}

/// The nodes for which a predicate holds: `n`, `@name`, `@name='v'`, `name='v'`, `.='v'`.
fn filter(
    dom: &Dom,
    nodes: &[usize],
    predicate: &str,
    spaces: Spaces<'_>,
) -> Result<Vec<usize>, Issue> {
    if let Ok(position) = predicate.parse::<usize>() {
        let at = position.checked_sub(1).and_then(|i| nodes.get(i).copied());
        return Ok(at.into_iter().collect());
    }
    let (left, right) = match predicate.split_once('=') {
        Some((left, right)) => (left.trim(), Some(literal(right.trim())?)),
        None => (predicate, None),
    };
    let equals = |text: &str| right.is_none_or(|r| r == text);
    let mut kept = Vec::new();
    for node in nodes {
        let holds = if let Some(name) = left.strip_prefix('@') {
            let (space, local) = attribute_name(name, spaces)?;
            let attributes = dom.element(*node).map_or(&[][..], |e| &e.attributes);
            let is = |a: &super::dom::Attribute| a.local == local && a.space == space;
            attributes.iter().any(|a| is(a) && equals(&a.value))
        } else if matches!(left, "." | "text()") {
            equals(&dom.text(*node))
        } else {
            of_child(dom, *node, left, &equals, spaces)?
        };
        if holds {
            kept.push(*node);
        }
    }
    Ok(kept)
}

/// `name='v'`, and `name/@value='v'`, which is how FHIR's values are asked for.
fn of_child(
    dom: &Dom,
    node: usize,
    left: &str,
    equals: &dyn Fn(&str) -> bool,
    spaces: Spaces<'_>,
) -> Result<bool, Issue> {
    let (name, attribute) = left.split_once("/@").unwrap_or((left, ""));
    let (space, local) = element_name(name.trim(), spaces)?;
    let is = |n: &&usize| {
        dom.element(**n)
            .is_some_and(|e| e.local == local && e.space == space)
    };
    let mut children = dom.children(node).iter().filter(is);
    Ok(children.any(|child| match attribute {
        "" => equals(&dom.text(*child)),
        name => dom.attribute(*child, name).is_some_and(equals),
    }))
}

/// The text between quotes.
fn literal(text: &str) -> Result<&str, Issue> {
    let quoted = |q: char| text.strip_prefix(q).and_then(|t| t.strip_suffix(q));
    quoted('\'')
        .or_else(|| quoted('"'))
        .ok_or_else(|| malformed("a value in \"sel\" is quoted"))
}
