//! Value sets and code systems in searches (`:in`, `:not-in`, `:above`, `:below`): what they stand
//! for as codes.
//!
//! Sans I/O: [`Terms::resolve`] says which resource it needs next, the caller brings it or says
//! that it is not held. Known are expansions that a ValueSet carries, includes and excludes of
//! listed concepts, of whole code systems, of other value sets, and filters on the hierarchy and
//! the properties of code systems that are held in full. Anything else is refused by name.

mod member;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use base::Code;

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

/// Codes by system; `None` for a system: all of its codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Codes(BTreeMap<String, Option<BTreeSet<String>>>);

impl Codes {
    fn add(&mut self, system: &str, code: &str) {
        match self.0.get_mut(system) {
            Some(None) => {}
            Some(Some(codes)) => {
                codes.insert(code.to_owned());
            }
            None => {
                let codes = BTreeSet::from([code.to_owned()]);
                self.0.insert(system.to_owned(), Some(codes));
            }
        }
    }

    fn all(system: &str) -> Self {
        Self(BTreeMap::from([(system.to_owned(), None)]))
    }

    fn join(&mut self, other: Self) {
        for (system, codes) in other.0 {
            match (self.0.get_mut(&system), codes) {
                (Some(mine), None) => *mine = None,
                (Some(None), Some(_)) => {}
                (Some(Some(mine)), Some(codes)) => mine.extend(codes),
                (None, codes) => {
                    self.0.insert(system, codes);
                }
            }
        }
    }

    fn meet(self, other: &Self) -> Self {
        let both = self.0.into_iter().filter_map(|(system, mine)| {
            let codes = match (mine, other.0.get(&system)?) {
                (None, theirs) => theirs.clone(),
                (mine, None) => mine,
                (Some(mine), Some(theirs)) => Some(mine.intersection(theirs).cloned().collect()),
            };
            Some((system, codes))
        });
        Self(both.collect())
    }

    fn count(&self) -> u64 {
        self.0
            .values()
            .map(|c| c.as_ref().map_or(1, BTreeSet::len) as u64)
            .sum()
    }
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
                targets.iter_mut().try_for_each(|(_, c)| self.clause(c))
            }
            Clause::Has { inner, .. } => self.clause(inner),
            Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
                parts.iter_mut().try_for_each(|c| self.clause(c))
            }
            Clause::Not(part) => self.clause(part),
            Clause::Id(_) | Clause::NotId(_) | Clause::Never => Ok(()),
        }
    }

    fn values(&self, values: &mut Vec<Match>) -> Result<(), Unresolved> {
        if !values.iter().any(is_terms) {
            return Ok(());
        }
        let mut resolved = Vec::with_capacity(values.len());
        for value in values.drain(..) {
            let (codes, bare) = match &value {
                Match::InValueSet { set, bare } => (self.value_set(set, 0)?, *bare),
                Match::Subsumed {
                    above,
                    system,
                    code,
                    bare,
                } => (self.subsumed(system, code, *above)?, *bare),
                _ => {
                    resolved.push(value);
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
        *values = resolved;
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

    /// A value set of the specification's own required bindings.
    fn specified(&self, name: &str) -> Option<Codes> {
        let url = name.split_once('|').map_or(name, |(url, _)| url);
        let set = self
            .model
            .value_sets()
            .iter()
            .find(|s| s.url.split_once('|').map_or(s.url, |(u, _)| u) == url)?;
        let systems = set.systems().map(|(system, codes)| {
            let codes = codes.iter().map(|c| (*c).to_owned()).collect();
            (system.to_owned(), Some(codes))
        });
        Some(Codes(systems.collect()))
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
        for concept in parts(root, "concept") {
            system.read(concept, None, 0);
        }
        Ok(system)
    }
}

fn is_in(clause: &Clause) -> bool {
    match clause {
        Clause::Param(param) => match &param.test {
            Test::Missing(_) => false,
            Test::Any(values) | Test::None(values) => values.iter().any(is_terms),
        },
        Clause::Chain { targets, .. } => targets.iter().any(|(_, c)| is_in(c)),
        Clause::Has { inner, .. } => is_in(inner),
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

/// The concepts of a code system: what they are under, and what they are.
#[derive(Debug, Default)]
struct CodeSystem {
    order: Vec<String>,
    parents: HashMap<String, HashSet<String>>,
    properties: HashMap<String, Vec<(String, String)>>,
}

impl CodeSystem {
    fn read(&mut self, concept: Value<'_>, parent: Option<&str>, depth: usize) {
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

    fn all(&self) -> Vec<String> {
        self.order.clone()
    }

    /// What subsumes a code, or what it subsumes; not itself.
    fn related(&self, code: &str, above: bool) -> HashSet<String> {
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
    fn filtered(&self, kept: &[String], filter: Value<'_>) -> Option<Vec<String>> {
        let text = |name| filter.get(name).and_then(Value::as_str);
        let (property, op, value) = (text("property")?, text("op")?, text("value")?);
        let only =
            |keep: &dyn Fn(&String) -> bool| kept.iter().filter(|c| keep(c)).cloned().collect();
        let listed: Vec<&str> = value.split(',').map(str::trim).collect();
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
                "in" => only(&|c| listed.contains(&c.as_str())),
                "not-in" => only(&|c| !listed.contains(&c.as_str())),
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
            "in" => only(&|c| has(c, &|v| listed.contains(&v))),
            "not-in" => only(&|c| !has(c, &|v| listed.contains(&v))),
            "exists" => {
                let wanted = &*value != "false";
                only(&|c| has(c, &|_| true) == wanted)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Need, Terms, Unresolved};
    use crate::definitions::{FhirVersion, Model};
    use crate::search::query::Match;

    const ANIMALS: &str = r#"{"resourceType":"CodeSystem","content":"complete","url":"urn:a","concept":[
        {"code":"animal","concept":[
            {"code":"dog","concept":[{"code":"pug"}]},
            {"code":"cat","property":[{"code":"legs","valueInteger":4},{"code":"tail","valueCode":"long"}]}]},
        {"code":"bat","property":[{"code":"parent","valueCode":"animal"},{"code":"tail","valueCode":"short"}]}]}"#;

    fn codes(set: &str, bare: bool) -> Result<Vec<String>, String> {
        let mut terms = Terms::new(Model::of(FhirVersion::R4), 100);
        terms.bring(
            Need::ValueSet("urn:s".to_owned()),
            Some(set.as_bytes().to_vec()),
        );
        terms.bring(
            Need::ValueSet("urn:other".to_owned()),
            Some(br#"{"compose":{"include":[{"system":"urn:a","concept":[{"code":"pug"},{"code":"cat"}]}]}}"#.to_vec()),
        );
        terms.bring(
            Need::CodeSystem("urn:a".to_owned()),
            Some(ANIMALS.as_bytes().to_vec()),
        );
        terms.bring(Need::CodeSystem("urn:gone".to_owned()), None);
        resolved(
            &terms,
            Match::InValueSet {
                set: "urn:s".to_owned(),
                bare,
            },
        )
    }

    fn resolved(terms: &Terms, value: Match) -> Result<Vec<String>, String> {
        let mut values = vec![value];
        match terms.values(&mut values) {
            Ok(()) => {}
            Err(Unresolved::Refused(issue)) => return Err(issue.diagnostics.to_string()),
            Err(Unresolved::Needs(need)) => return Err(format!("{need:?}")),
        }
        let mut texts: Vec<String> = values
            .iter()
            .map(|v| match v {
                Match::Token(t) => format!(
                    "{}|{}",
                    t.system.as_deref().unwrap_or("?"),
                    t.code.as_deref().unwrap_or("*")
                ),
                other => panic!("{other:?}"),
            })
            .collect();
        texts.sort_unstable();
        Ok(texts)
    }

    fn include(text: &str) -> String {
        format!(r#"{{"compose":{{"include":[{text}]}}}}"#)
    }

    #[test]
    fn value_sets_are_their_codes() {
        let filter = |property: &str, op: &str, value: &str| {
            include(&format!(
                r#"{{"system":"urn:a","filter":[{{"property":"{property}","op":"{op}","value":"{value}"}}]}}"#
            ))
        };
        let check =
            |set: &str, want: &[&str]| assert_eq!(codes(set, false).unwrap(), want, "{set}");
        check(
            &include(
                r#"{"system":"urn:b","concept":[{"code":"x"},{"code":"y"}]},{"system":"urn:c"}"#,
            ),
            &["urn:b|x", "urn:b|y", "urn:c|*"],
        );
        check(
            &filter("concept", "is-a", "dog"),
            &["urn:a|dog", "urn:a|pug"],
        );
        check(
            &filter("concept", "descendent-of", "animal"),
            &["urn:a|bat", "urn:a|cat", "urn:a|dog", "urn:a|pug"],
        );
        check(&filter("tail", "=", "long"), &["urn:a|cat"]);
        check(&filter("legs", "exists", "true"), &["urn:a|cat"]);
        check(
            &include(r#"{"valueSet":["urn:other"]}"#),
            &["urn:a|cat", "urn:a|pug"],
        );
        check(
            &include(
                r#"{"system":"urn:a","filter":[{"property":"concept","op":"is-a","value":"dog"}],"valueSet":["urn:other"]}"#,
            ),
            &["urn:a|pug"],
        );
        check(
            r#"{"compose":{"include":[{"system":"urn:a"}],"exclude":[{"valueSet":["urn:other"]}]}}"#,
            &["urn:a|animal", "urn:a|bat", "urn:a|dog"],
        );
        check(
            r#"{"expansion":{"contains":[{"abstract":true,"system":"s","code":"a","contains":[{"system":"s","code":"b"}]}]},"compose":{}}"#,
            &["s|b"],
        );
        assert_eq!(
            codes(
                &include(r#"{"system":"urn:a","concept":[{"code":"x"}]}"#),
                true
            )
            .unwrap(),
            ["|x"]
        );
        assert_eq!(
            codes(&include(r#"{"system":"urn:a"}"#), true)
                .unwrap()
                .len(),
            5
        );
    }

    #[test]
    fn what_is_not_held_is_said_by_name() {
        let mut terms = Terms::new(Model::of(FhirVersion::R4), 100);
        let value = |set: &str| Match::InValueSet {
            set: set.to_owned(),
            bare: false,
        };
        assert!(
            resolved(&terms, value("urn:s"))
                .unwrap_err()
                .contains("ValueSet")
        );
        terms.bring(Need::ValueSet("urn:s".to_owned()), None);
        assert_eq!(
            resolved(&terms, value("urn:s")).unwrap_err(),
            "this server does not hold the value set urn:s"
        );
        let filter =
            r#"{"system":"urn:gone","filter":[{"property":"concept","op":"is-a","value":"x"}]}"#;
        assert_eq!(
            codes(&include(filter), false).unwrap_err(),
            "this server does not hold the code system urn:gone"
        );
        let own = "http://hl7.org/fhir/ValueSet/administrative-gender";
        terms.bring(Need::ValueSet(own.to_owned()), None);
        assert_eq!(resolved(&terms, value(own)).unwrap().len(), 4);
    }

    #[test]
    fn codes_subsume_each_other() {
        let mut terms = Terms::new(Model::of(FhirVersion::R4), 100);
        terms.bring(
            Need::CodeSystem("urn:a".to_owned()),
            Some(ANIMALS.as_bytes().to_vec()),
        );
        let value = |above, code: &str| Match::Subsumed {
            above,
            system: "urn:a".to_owned(),
            code: code.to_owned(),
            bare: false,
        };
        let check = |above, code, want: &[&str]| {
            assert_eq!(resolved(&terms, value(above, code)).unwrap(), want);
        };
        check(false, "dog", &["urn:a|dog", "urn:a|pug"]);
        check(true, "pug", &["urn:a|animal", "urn:a|dog", "urn:a|pug"]);
        check(true, "bat", &["urn:a|animal", "urn:a|bat"]);
    }
}
