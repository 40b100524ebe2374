//! A code system that is held in full: its hierarchy and its properties.

use std::collections::{HashMap, HashSet};

use super::{JSON_DEPTH_MAX, parts};
use crate::json::Value;

/// The concepts of a code system: what they are under, and what they are.
#[derive(Debug, Default)]
pub(super) struct CodeSystem {
    /// Case does not count in its codes.
    pub(super) caseless: bool,
    order: Vec<String>,
    /// What each code is under.
    pub(super) parents: HashMap<String, HashSet<String>>,
    properties: HashMap<String, Vec<(String, String)>>,
}

impl CodeSystem {
    /// Takes in a concept and those below it.
    pub(super) fn read(&mut self, concept: Value<'_>, parent: Option<&str>, depth: usize) {
        let Some(code) = concept.get("code").and_then(Value::as_str) else {
            return;
        };
        self.order.push(code.clone().into_owned());
        let mut under = |child: &str, parent: &str| {
            let parents = self.parents.entry(child.to_owned()).or_default();
            parents.insert(parent.to_owned());
        };
        if let Some(parent) = parent {
            under(&code, parent);
        }
        let mut own = Vec::new();
        for property in parts(concept, "property") {
            let Some(name) = property.get("code").and_then(Value::as_str) else {
                continue;
            };
            let member = property.members().find(|m| m.name().starts_with("value"));
            let value = member.and_then(|m| {
                let coded = m.value.get("code").and_then(Value::as_str);
                coded
                    .or_else(|| m.value.as_str())
                    .map(std::borrow::Cow::into_owned)
                    .or_else(|| Some(m.value.raw().to_owned()))
            });
            let Some(value) = value else { continue };
            match &*name {
                "parent" | "subsumedBy" => under(&code, &value),
                "child" => under(&value, &code),
                _ => own.push((name.into_owned(), value)),
            }
        }
        if !own.is_empty() {
            self.properties.insert(code.clone().into_owned(), own);
        }
        if depth < JSON_DEPTH_MAX {
            for child in parts(concept, "concept") {
                self.read(child, Some(&code), depth + 1);
            }
        }
    }

    /// A code as the system itself writes it.
    pub(super) fn written<'c>(&'c self, code: &'c str) -> &'c str {
        if !self.caseless {
            return code;
        }
        let mut all = self.order.iter().map(String::as_str);
        all.find(|own| own.eq_ignore_ascii_case(code))
            .unwrap_or(code)
    }

    /// All codes, in order.
    pub(super) fn all(&self) -> Vec<String> {
        self.order.clone()
    }

    /// What subsumes a code, or what it subsumes; not itself.
    pub(super) fn related(&self, code: &str, above: bool) -> HashSet<String> {
        let mut children: HashMap<&str, Vec<&str>> = HashMap::new();
        for (child, parents) in &self.parents {
            for parent in parents {
                children.entry(parent).or_default().push(child);
            }
        }
        let mut found: HashSet<String> = HashSet::new();
        let mut next = vec![code];
        while let Some(at) = next.pop() {
            let step: Vec<&str> = if above {
                let parents = self.parents.get(at).into_iter().flatten();
                parents.map(String::as_str).collect()
            } else {
                children.get(at).cloned().unwrap_or_default()
            };
            for other in step {
                if other != code && found.insert(other.to_owned()) {
                    next.push(other);
                }
            }
        }
        found
    }

    /// The codes among `kept` that a filter lets through; `None` for one that is not known.
    pub(super) fn filtered(&self, kept: &[String], filter: Value<'_>) -> Option<Vec<String>> {
        let text = |name| filter.get(name).and_then(Value::as_str);
        let (property, op, value) = (text("property")?, text("op")?, text("value")?);
        let only =
            |keep: &dyn Fn(&String) -> bool| kept.iter().filter(|c| keep(c)).cloned().collect();
        let listed: HashSet<&str> = value.split(',').map(str::trim).collect();
        if matches!(&*property, "concept" | "code") {
            let below = self.related(&value, false);
            return Some(match &*op {
                "is-a" => only(&|c| **c == *value || below.contains(c)),
                "descendent-of" => only(&|c| below.contains(c)),
                "is-not-a" => only(&|c| **c != *value && !below.contains(c)),
                "generalizes" => {
                    let over = self.related(&value, true);
                    only(&|c| **c == *value || over.contains(c))
                }
                "=" => only(&|c| **c == *value),
                "in" => only(&|c| listed.contains(c.as_str())),
                "not-in" => only(&|c| !listed.contains(c.as_str())),
                _ => return None,
            });
        }
        if matches!(&*property, "parent" | "child") && &*op == "=" {
            let parents = |c: &str| self.parents.get(c);
            return Some(match &*property {
                "parent" => only(&|c| parents(c).is_some_and(|p| p.contains(&*value))),
                _ => only(&|c| parents(&value).is_some_and(|p| p.contains(c))),
            });
        }
        let has = |c: &String, wanted: &dyn Fn(&str) -> bool| {
            let own = self.properties.get(c).into_iter().flatten();
            own.filter(|(name, _)| *name == *property)
                .any(|(_, v)| wanted(v))
        };
        Some(match &*op {
            "=" => only(&|c| has(c, &|v| v == value)),
            "in" => only(&|c| has(c, &|v| listed.contains(v))),
            "not-in" => only(&|c| !has(c, &|v| listed.contains(v))),
            "exists" => {
                let wanted = &*value != "false";
                only(&|c| has(c, &|_| true) == wanted)
            }
            _ => return None,
        })
    }
}
