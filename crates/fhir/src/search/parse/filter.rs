//! `_filter` (`search_filter.html`).
//!
//! `not` binds closest, then `and`, then `or`. `path[filter].rest` asks both of the same resource
//! that the path leads to.

use base::Code;

use super::super::query::{Clause, How, Match, ParamClause, Prefix, ReferenceMatch, Test};
use super::super::rows::fold;
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::Context;
use super::named::Named;
use super::text::{escape, unescape};
use crate::definitions::{ParamKind, TypeId};
use crate::outcome::Issue;

/// Parentheses within parentheses.
const DEPTH_MAX: usize = 32;

/// A filter, its names not looked up yet.
enum Filter {
    All(Vec<Filter>),
    Either(Vec<Filter>),
    Not(Box<Filter>),
    Test(Path, String, Value),
}

/// The parameter that is compared, and the way to it.
struct Path {
    name: String,
    filter: Option<Box<Filter>>,
    next: Option<Box<Path>>,
}

/// What it is compared with.
enum Value {
    Quoted(String),
    Bare(String),
}

fn bad(what: &str) -> Issue {
    Issue::error(Code::SearchValue, format!("_filter: {what}"))
}

impl Context<'_> {
    /// The condition that a filter is.
    pub(super) fn filter(&self, types: &[TypeId], text: &str, depth: u64) -> Result<Clause, Issue> {
        let mut reader = Reader { rest: text };
        let filter = reader.either(0)?;
        reader.space();
        if !reader.rest.is_empty() {
            return Err(bad("something follows where the filter ends"));
        }
        self.filtered(types, &filter, depth)
    }

    fn filtered(&self, types: &[TypeId], filter: &Filter, depth: u64) -> Result<Clause, Issue> {
        if depth > self.options.limits.chain_depth_max {
            return Err(super::too_much(
                "the chain has too many links",
                "chain_depth_max",
            ));
        }
        let each = |parts: &[Filter]| -> Result<Vec<Clause>, Issue> {
            parts
                .iter()
                .map(|p| self.filtered(types, p, depth))
                .collect()
        };
        Ok(match filter {
            Filter::All(parts) => Clause::And(each(parts)?),
            Filter::Either(parts) => Clause::Or(each(parts)?),
            Filter::Not(part) => Clause::Not(Box::new(self.filtered(types, part, depth)?)),
            Filter::Test(path, op, value) => self.at_path(types, path, op, value, depth)?,
        })
    }

    fn at_path(
        &self,
        types: &[TypeId],
        path: &Path,
        op: &str,
        value: &Value,
        depth: u64,
    ) -> Result<Clause, Issue> {
        self.count_clause()?;
        // What is not known in a filter cannot be left out of it.
        let known = |issue: Issue| Issue {
            code: match issue.code {
                Code::SearchParameterUnknown => Code::SearchValue,
                other => other,
            },
            ..issue
        };
        let named = self.named(types, &path.name, None).map_err(known)?;
        let Some(next) = &path.next else {
            return match path.filter {
                None => self.tested(&named, types, op, value),
                Some(_) => Err(bad("brackets are followed by a dot and a parameter")),
            };
        };
        let inner = |type_id: TypeId| {
            if depth >= self.options.limits.chain_depth_max {
                return Err(super::too_much(
                    "the chain has too many links",
                    "chain_depth_max",
                ));
            }
            let rest = self.at_path(&[type_id], next, op, value, depth + 1)?;
            Ok(match &path.filter {
                None => rest,
                Some(filter) => {
                    Clause::And(vec![self.filtered(&[type_id], filter, depth + 1)?, rest])
                }
            })
        };
        self.through(&named, &next.name, &inner).map_err(known)
    }

    fn tested(
        &self,
        named: &Named<'_>,
        types: &[TypeId],
        op: &str,
        value: &Value,
    ) -> Result<Clause, Issue> {
        let (raw, quoted) = match value {
            Value::Quoted(text) => (text.as_str(), true),
            Value::Bare(text) => (text.as_str(), false),
        };
        if named.code == "_id" {
            let id = base::ResourceId::new(raw).map_err(|_| named.bad_value("no id"))?;
            return match op {
                "eq" => Ok(Clause::Id([id].into())),
                "ne" => Ok(Clause::NotId(vec![id])),
                _ => Err(no_such(named, op)),
            };
        }
        let _ = types;
        let param = |test| {
            Ok(Clause::Param(ParamClause {
                param: named.ids(),
                kind: named.kind,
                test,
            }))
        };
        if op == "pr" {
            return match raw {
                "true" => param(Test::Missing(false)),
                "false" => param(Test::Missing(true)),
                _ => Err(named.bad_value("pr is followed by true or false")),
            };
        }
        // Texts are values as they are; anything else has its own form also within quotes.
        let text = if quoted && named.kind == ParamKind::String {
            escape(raw)
        } else {
            raw.to_owned()
        };
        if unescape(&text).trim().is_empty() {
            return Err(named.bad_value("a value is empty"));
        }
        let found = match named.kind {
            ParamKind::String => Some(text_match(named, op, &text)?),
            ParamKind::Number | ParamKind::Date | ParamKind::Quantity => {
                self.range_match(named, op, &text)?
            }
            ParamKind::Token if op == "ni" => {
                return param(Test::None(
                    [Match::InValueSet {
                        set: unescape(&text).into_owned(),
                        bare: self.is_bare(named),
                    }]
                    .into(),
                ));
            }
            _ => self.other_match(named, op, &text)?,
        };
        match found {
            Some(found) => param(Test::Any([found].into())),
            None => Ok(Clause::Never),
        }
    }

    /// Numbers, dates and quantities: the comparison is a prefix of the value.
    fn range_match(&self, named: &Named<'_>, op: &str, text: &str) -> Result<Option<Match>, Issue> {
        if op == "po" {
            return Ok(match self.one(named, text)? {
                Some(Match::Date(_, range)) => Some(Match::Date(Prefix::Ap, range)),
                Some(Match::Number(_, range)) => Some(Match::Number(Prefix::Ap, range)),
                Some(Match::Quantity(_, range, unit)) => {
                    Some(Match::Quantity(Prefix::Ap, range, unit))
                }
                other => other,
            });
        }
        if !Prefix::ALL.iter().any(|p| p.as_str() == op) {
            return Err(no_such(named, op));
        }
        self.one(named, &format!("{op}{text}"))
    }

    /// Tokens, references, URIs and composites.
    fn other_match(&self, named: &Named<'_>, op: &str, text: &str) -> Result<Option<Match>, Issue> {
        let with = |modifier: Option<&'static str>| {
            let other = Named {
                code: named.code,
                modifier,
                kind: named.kind,
                params: named.params.clone(),
            };
            self.one(&other, text)
        };
        let code = |how| {
            let text = cut(&unescape(text), VALUE_BYTES_MAX).to_ascii_lowercase();
            Ok(Some(Match::TokenCode(how, text)))
        };
        match (named.kind, op) {
            (_, "eq") | (ParamKind::Reference, "re") => with(None),
            (_, "ne") => {
                // A value that nothing can be equal to is unequal to all.
                let none = || {
                    Match::Reference(ReferenceMatch::Url {
                        url: String::new(),
                        version: None,
                    })
                };
                Ok(Some(Match::Unequal(Box::new(
                    with(None)?.unwrap_or_else(none),
                ))))
            }
            (ParamKind::Token, "co") => code(How::Contains),
            (ParamKind::Token, "sw") => code(How::Begins),
            (ParamKind::Token, "ew") => code(How::Ends),
            (ParamKind::Token, "in") => with(Some("in")),
            (ParamKind::Token | ParamKind::Reference | ParamKind::Uri, "ss") => with(Some("above")),
            (ParamKind::Token | ParamKind::Reference | ParamKind::Uri, "sb") => with(Some("below")),
            (ParamKind::Uri, "co") => Ok(Some(Match::UriContains(unescape(text).into_owned()))),
            (ParamKind::Uri, "sw") => Ok(Some(Match::UriBegins(unescape(text).into_owned()))),
            _ => Err(no_such(named, op)),
        }
    }
}

fn no_such(named: &Named<'_>, op: &str) -> Issue {
    named.bad_value(&format!(
        "{op} does not compare a parameter of type {}",
        named.kind.as_str()
    ))
}

fn text_match(named: &Named<'_>, op: &str, text: &str) -> Result<Match, Issue> {
    let text = unescape(text);
    let folded = cut(&fold(cut(&text, VALUE_BYTES_MAX)), VALUE_BYTES_MAX).to_owned();
    Ok(match op {
        "eq" => Match::StringIs(folded),
        "ne" => Match::Unequal(Box::new(Match::StringIs(folded))),
        "co" => Match::StringContains(folded),
        "sw" => Match::StringPrefix(folded),
        "ew" => Match::StringSuffix(folded),
        _ => return Err(no_such(named, op)),
    })
}

const OPS: [&str; 19] = [
    "eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss", "sb",
    "in", "ni", "re",
];

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn name(&mut self) -> String {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let name = self.rest.get(..end).unwrap_or("").to_owned();
        self.rest = self.rest.get(end..).unwrap_or("");
        name
    }

    /// Takes a word if it is the next one.
    fn word(&mut self, word: &str) -> bool {
        self.space();
        let Some(rest) = self.rest.strip_prefix(word) else {
            return false;
        };
        if rest.starts_with(|c: char| c.is_whitespace() || c == '(') {
            self.rest = rest;
            return true;
        }
        false
    }

    fn either(&mut self, depth: usize) -> Result<Filter, Issue> {
        if depth > DEPTH_MAX {
            return Err(bad("the filter is nested too deep"));
        }
        let mut parts = vec![self.all(depth)?];
        while self.word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Filter::Either(parts),
        })
    }

    fn all(&mut self, depth: usize) -> Result<Filter, Issue> {
        let mut parts = vec![self.one(depth)?];
        while self.word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Filter::All(parts),
        })
    }

    fn one(&mut self, depth: usize) -> Result<Filter, Issue> {
        if depth > DEPTH_MAX {
            return Err(bad("the filter is nested too deep"));
        }
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        self.space();
        if self.take('(') {
            let inner = self.either(depth + 1)?;
            self.space();
            return if self.take(')') {
                Ok(inner)
            } else {
                Err(bad("a parenthesis is not closed"))
            };
        }
        let path = self.path(depth)?;
        self.space();
        let op = self.name().to_ascii_lowercase();
        if !OPS.contains(&op.as_str()) {
            return Err(bad(
                "a comparison is one of eq ne co sw ew gt lt ge le ap sa eb pr po ss sb in ni re",
            ));
        }
        self.space();
        let value = self.value()?;
        Ok(Filter::Test(path, op, value))
    }

    fn path(&mut self, depth: usize) -> Result<Path, Issue> {
        if depth > DEPTH_MAX {
            return Err(bad("the filter is nested too deep"));
        }
        let name = self.name();
        if name.is_empty() {
            return Err(bad("the name of a parameter is missing"));
        }
        let mut filter = None;
        if self.take('[') {
            filter = Some(Box::new(self.either(depth + 1)?));
            self.space();
            if !self.take(']') {
                return Err(bad("a bracket is not closed"));
            }
        }
        let next = if self.take('.') {
            Some(Box::new(self.path(depth + 1)?))
        } else {
            None
        };
        Ok(Path { name, filter, next })
    }

    fn value(&mut self) -> Result<Value, Issue> {
        if !self.take('"') {
            let is_end = |c: char| c.is_whitespace() || matches!(c, ')' | ']');
            let end = self.rest.find(is_end).unwrap_or(self.rest.len());
            let text = self.rest.get(..end).unwrap_or("").to_owned();
            self.rest = self.rest.get(end..).unwrap_or("");
            return if text.is_empty() {
                Err(bad("a value is missing"))
            } else {
                Ok(Value::Bare(text))
            };
        }
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or("");
                    return Ok(Value::Quoted(text));
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                other => text.push(other),
            }
        }
        Err(bad("a text is not closed"))
    }
}
