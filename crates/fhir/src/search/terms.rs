//! Value sets and code systems in searches (`:in`, `:not-in`, `:above`, `:below`): what they stand
//! for as codes.
//!
//! Sans I/O: [`Terms::resolve`] says which resource it needs next, the caller brings it or says
//! that it is not held. Known are expansions that a ValueSet carries, includes and excludes of
//! listed concepts, of whole code systems, of other value sets, and filters on the hierarchy and
//! the properties of code systems that are held in full. Anything else is refused by name.

mod answers;
pub mod case;
mod code_system;
mod codes;
mod member;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use base::Code;

use code_system::CodeSystem;
use codes::Codes;

use super::query::{Clause, Match, Query, Test, TokenMatch};
use crate::definitions::Model;
use crate::json::{self, Value};
use crate::outcome::Issue;

pub use member::Coded;

/// A resource that is needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// A ValueSet by its URL (perhaps with `|version`) or as `ValueSet/id`.
    ValueSet(String),
    /// A CodeSystem by its URL, perhaps with `|version`.
    CodeSystem(String),
    /// A ConceptMap, in the same ways as a ValueSet.
    ConceptMap(String),
}

/// Why a query is not resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum Unresolved {
    /// This is needed first.
    Needs(Need),
    /// It cannot be answered.
    Refused(Issue),
}

/// Value sets and code systems that understanding one search reads, each time counted.
const READ_MAX: usize = 1_000;
/// Value sets within value sets.
const DEPTH_MAX: usize = 16;
/// Nesting of JSON in stored resources.
const JSON_DEPTH_MAX: usize = 1_024;

/// What is known so far.
#[derive(Debug)]
pub struct Terms {
    model: &'static Model,
    /// Most codes that one value may stand for.
    codes_max: u64,
    held: HashMap<Need, Option<Vec<u8>>>,
    /// Value sets and code systems read so far, the same one again too.
    read: Cell<usize>,
    /// What single codes were compared with so far.
    compared: member::Compared,
}

fn refused(text: String) -> Unresolved {
    Unresolved::Refused(Issue::error(Code::TermsMissing, text))
}

impl Terms {
    /// Nothing is known yet.
    pub fn new(model: &'static Model, codes_max: u64) -> Self {
        Self {
            model,
            codes_max,
            held: HashMap::new(),
            read: Cell::new(0),
            compared: member::Compared::default(),
        }
    }

    /// Whether a query names value sets or code systems.
    pub fn are_in(query: &Query) -> bool {
        query.filter.iter().any(is_in)
    }

    /// Bytes of the resources that were brought.
    pub fn bytes(&self) -> usize {
        self.held.values().flatten().map(Vec::len).sum()
    }

    /// Brings what was needed: the resource, or that the tenant does not hold it.
    pub fn bring(&mut self, need: Need, resource: Option<Vec<u8>>) {
        self.held.insert(need, resource);
    }

    /// Puts codes in the place of what stands for them, everywhere in the query.
    ///
    /// # Errors
    /// What is needed, or why it cannot be done; the query is then of no use.
    pub fn resolve(&self, query: &mut Query) -> Result<(), Unresolved> {
        query.filter.iter_mut().try_for_each(|c| self.clause(c))
    }

    fn clause(&self, clause: &mut Clause) -> Result<(), Unresolved> {
        match clause {
            Clause::Param(param) => match &mut param.test {
                Test::Missing(_) => Ok(()),
                Test::Any(values) | Test::None(values) => self.values(values),
            },
            Clause::Chain { targets, .. } => {
                (targets.iter_mut()).try_for_each(|(_, c)| self.clause(Arc::make_mut(c)))
            }
            Clause::Has { inner, .. } | Clause::MemberOf { inner, .. } => {
                self.clause(Arc::make_mut(inner))
            }
            Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
                parts.iter_mut().try_for_each(|c| self.clause(c))
            }
            Clause::Not(part) => self.clause(part),
            Clause::Id(_) | Clause::NotId(_) | Clause::Never => Ok(()),
        }
    }

    fn values(&self, values: &mut Arc<[Match]>) -> Result<(), Unresolved> {
        if !values.iter().any(is_terms) {
            return Ok(());
        }
        let mut resolved = Vec::with_capacity(values.len());
        for value in values.iter() {
            let (codes, bare) = match value {
                Match::InValueSet { set, bare } => (self.value_set(set, 0)?, *bare),
                Match::Subsumed {
                    above,
                    system,
                    code,
                    bare,
                } => (self.subsumed(system, code, *above)?, *bare),
                _ => {
                    resolved.push(value.clone());
                    continue;
                }
            };
            if codes.count() > self.codes_max {
                let text = "the value set has too many codes to search by";
                let issue = Issue::error(Code::LimitQuery, text).limit("value_set_codes_max");
                return Err(Unresolved::Refused(issue));
            }
            self.tokens(codes, bare, &mut resolved)?;
        }
        *values = resolved.into();
        Ok(())
    }

    fn tokens(
        &self,
        codes: Codes,
        bare: bool,
        resolved: &mut Vec<Match>,
    ) -> Result<(), Unresolved> {
        let token = |system: &str, code: Option<&str>| {
            Match::Token(TokenMatch {
                system: Some(system.to_owned()),
                code: code.map(str::to_owned),
            })
        };
        for (system, codes) in codes.0 {
            match codes {
                None if bare => {
                    let listed = self.code_system(&system)?.all();
                    resolved.extend(listed.iter().map(|c| token("", Some(c))));
                }
                None => resolved.push(token(&system, None)),
                Some(codes) => {
                    let system = if bare { "" } else { &system };
                    resolved.extend(codes.iter().map(|c| token(system, Some(c))));
                }
            }
        }
        Ok(())
    }

    fn held(&self, need: Need) -> Result<Option<&[u8]>, Unresolved> {
        let read = self.read.get() + 1;
        if read > READ_MAX {
            let text = "the search reads too many value sets and code systems";
            return Err(refused(text.to_owned()));
        }
        self.read.set(read);
        match self.held.get(&need) {
            Some(found) => Ok(found.as_deref()),
            None => Err(Unresolved::Needs(need)),
        }
    }

    fn value_set(&self, name: &str, depth: usize) -> Result<Codes, Unresolved> {
        if depth > DEPTH_MAX {
            return Err(refused(format!(
                "the value set {name} is made of others that never end"
            )));
        }
        let Some(bytes) = self.held(Need::ValueSet(name.to_owned()))? else {
            return self
                .specified(name)
                .ok_or_else(|| refused(format!("this server does not hold the value set {name}")));
        };
        let unreadable = |_| refused(format!("the value set {name} cannot be read"));
        let document = json::parse(bytes, JSON_DEPTH_MAX).map_err(unreadable)?;
        let set = document.root();
        if let Some(expansion) = set.get("expansion") {
            let mut codes = Codes::default();
            expanded(expansion, &mut codes);
            return Ok(codes);
        }
        let compose = set.get("compose").ok_or_else(|| {
            refused(format!(
                "the value set {name} has neither a definition nor an expansion"
            ))
        })?;
        let mut codes = Codes::default();
        for include in parts(compose, "include") {
            codes.join(self.component(name, include, depth)?);
        }
        for exclude in parts(compose, "exclude") {
            let out = self.component(name, exclude, depth)?;
            self.subtract(&mut codes, out)?;
        }
        Ok(codes)
    }

    /// A value set of the specification's own required bindings, where all of its codes are listed.
    fn specified(&self, name: &str) -> Option<Codes> {
        let url = name.split_once('|').map_or(name, |(url, _)| url);
        let set = self
            .model
            .value_sets()
            .iter()
            .find(|s| s.url.split_once('|').map_or(s.url, |(u, _)| u) == url)?;
        let systems = set.systems().map(|(system, codes)| {
            let codes = codes?.iter().map(|c| (*c).to_owned()).collect();
            Some((system.to_owned(), Some(codes)))
        });
        systems.collect::<Option<_>>().map(Codes)
    }

    /// What one `include` or `exclude` says.
    fn component(&self, name: &str, part: Value<'_>, depth: usize) -> Result<Codes, Unresolved> {
        let mut found: Option<Codes> = None;
        if let Some(system) = part.get("system").and_then(Value::as_str) {
            let versioned = match part.get("version").and_then(Value::as_str) {
                Some(version) => format!("{system}|{version}"),
                None => system.clone().into_owned(),
            };
            let concepts = parts(part, "concept");
            let filters: Vec<Value<'_>> = parts(part, "filter").collect();
            let mut codes = Codes::default();
            let mut listed = false;
            for code in concepts.filter_map(|c| c.get("code").and_then(Value::as_str)) {
                listed = true;
                codes.add(&system, &code);
            }
            if !filters.is_empty() {
                let held = self.code_system(&versioned)?;
                let mut kept = held.all();
                for filter in filters {
                    kept = held.filtered(&kept, filter).ok_or_else(|| {
                        refused(format!(
                            "the value set {name} has a filter that is not supported"
                        ))
                    })?;
                }
                codes.0.insert(
                    system.clone().into_owned(),
                    Some(kept.into_iter().collect()),
                );
            } else if !listed {
                codes = Codes::all(&system);
            }
            found = Some(codes);
        }
        for other in parts(part, "valueSet").filter_map(Value::as_str) {
            let other = self.value_set(&other, depth + 1)?;
            found = Some(match found {
                None => other,
                Some(codes) => codes.meet(&other),
            });
        }
        found.ok_or_else(|| {
            refused(format!(
                "the value set {name} includes neither a system nor a value set"
            ))
        })
    }

    fn subtract(&self, codes: &mut Codes, out: Codes) -> Result<(), Unresolved> {
        for (system, out) in out.0 {
            let Some(mine) = codes.0.get_mut(&system) else {
                continue;
            };
            let Some(out) = out else {
                codes.0.remove(&system);
                continue;
            };
            let listed = match mine.take() {
                Some(listed) => listed,
                None => self.code_system(&system)?.all().into_iter().collect(),
            };
            *mine = Some(listed.difference(&out).cloned().collect());
        }
        Ok(())
    }

    fn subsumed(&self, system: &str, code: &str, above: bool) -> Result<Codes, Unresolved> {
        let held = self.code_system(system)?;
        let code = held.written(code);
        let mut codes = Codes::default();
        codes.add(system, code);
        for other in held.related(code, above) {
            codes.add(system, &other);
        }
        Ok(codes)
    }

    fn code_system(&self, url: &str) -> Result<CodeSystem, Unresolved> {
        let absent = || refused(format!("this server does not hold the code system {url}"));
        let Some(bytes) = self.held(Need::CodeSystem(url.to_owned()))? else {
            return Err(absent());
        };
        let document = json::parse(bytes, JSON_DEPTH_MAX).map_err(|_| absent())?;
        let root = document.root();
        let content = root.get("content").and_then(Value::as_str);
        if content.as_deref() != Some("complete") {
            return Err(refused(format!(
                "this server holds the code system {url} only in part"
            )));
        }
        let mut system = CodeSystem::default();
        system.caseless = ignores_case(root);
        for concept in parts(root, "concept") {
            system.read(concept, None, 0);
        }
        Ok(system)
    }
}

/// Whether a CodeSystem says that case does not count in its codes.
fn ignores_case(system: Value<'_>) -> bool {
    system.get("caseSensitive").and_then(Value::as_bool) == Some(false)
}

/// The same of one that is stored.
pub fn is_caseless(code_system: &[u8]) -> bool {
    json::parse(code_system, JSON_DEPTH_MAX).is_ok_and(|document| ignores_case(document.root()))
}

fn is_in(clause: &Clause) -> bool {
    match clause {
        Clause::Param(param) => match &param.test {
            Test::Missing(_) => false,
            Test::Any(values) | Test::None(values) => values.iter().any(is_terms),
        },
        Clause::Chain { targets, .. } => targets.iter().any(|(_, c)| is_in(c)),
        Clause::Has { inner, .. } | Clause::MemberOf { inner, .. } => is_in(inner),
        Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => parts.iter().any(is_in),
        Clause::Not(part) => is_in(part),
        Clause::Id(_) | Clause::NotId(_) | Clause::Never => false,
    }
}

const fn is_terms(value: &Match) -> bool {
    matches!(value, Match::InValueSet { .. } | Match::Subsumed { .. })
}

fn parts<'a>(of: Value<'a>, name: &str) -> impl Iterator<Item = Value<'a>> {
    of.get(name).into_iter().flat_map(Value::items)
}

/// The codes of an expansion; abstract ones are there for order only.
fn expanded(of: Value<'_>, codes: &mut Codes) {
    for entry in parts(of, "contains") {
        let text = |name| entry.get(name).and_then(Value::as_str);
        let is_abstract = entry.get("abstract").and_then(Value::as_bool) == Some(true);
        if let (Some(code), false) = (text("code"), is_abstract) {
            codes.add(&text("system").unwrap_or_default(), &code);
        }
        expanded(entry, codes);
    }
}

#[cfg(test)]
mod tests;
