//! Names of parameters: plain, chained (`subject:Patient.name`) and reverse
//! (`_has:Observation:patient:code`), `search.html#chaining`, `search.html#has`.

use std::sync::Arc;

use base::{Code, ResourceId};

use crate::definitions::{ParamKind, TypeId};
use crate::outcome::Issue;

use super::super::extract::{ParamPlan, Special};
use super::super::query::{Clause, Match, ParamClause, Test};
use super::super::words::Words;
use super::named::{Known, Named};
use super::text::{split, unescape};
use super::{Context, date, shown, token, too_much};

impl Context<'_> {
    /// The condition that `name=value` is on resources of the types.
    pub(super) fn clause(
        &self,
        types: &[TypeId],
        name: &str,
        value: &str,
        depth: u64,
    ) -> Result<Clause, Issue> {
        if depth > self.options.limits.chain_depth_max {
            return Err(too_much("the chain has too many links", "chain_depth_max"));
        }
        self.count_clause()?;
        if let Some(rest) = name.strip_prefix("_has:") {
            return self.has(types, rest, value, depth);
        }
        let (head, chained) = match name.split_once('.') {
            Some((head, chained)) => (head, Some(chained)),
            None => (name, None),
        };
        let (code, modifier) = match head.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (head, None),
        };
        if chained.is_none()
            && let Some(special) = self.special(types, code, modifier, value, depth)?
        {
            return Ok(special);
        }
        let named = self.named(types, code, modifier)?;
        match chained {
            Some(chained) => self.chain(&named, chained, value, depth),
            None if code == "_id" => self.id(&named, value),
            None => self.compare(&named, value),
        }
    }

    /// `Type:reference:name` after `_has:`.
    fn has(&self, types: &[TypeId], rest: &str, value: &str, depth: u64) -> Result<Clause, Issue> {
        let mut parts = rest.splitn(3, ':');
        let (Some(source), Some(code), Some(inner)) = (parts.next(), parts.next(), parts.next())
        else {
            let text = "_has needs a type, a reference parameter and a parameter: _has:Type:reference:name";
            return Err(Issue::error(Code::SearchModifier, text));
        };
        let source = self.type_named(source)?;
        let named = self.named(&[source], code, None)?;
        self.need_reference(&named)?;
        let targets = named.targets();
        if !types.iter().any(|t| targets.contains(t)) {
            let text = format!(
                "_has: {} of {} never refers to what is searched",
                shown(code),
                self.model.type_name(source)
            );
            return Err(Issue::error(Code::SearchValue, text));
        }
        let inner = Arc::new(self.clause(&[source], inner, value, depth + 1)?);
        let param = named.params.first().map(|p| p.id);
        match param {
            Some(param) => Ok(Clause::Has {
                source,
                param,
                inner,
            }),
            None => Ok(Clause::Never),
        }
    }

    fn need_reference(&self, named: &Named<'_>) -> Result<(), Issue> {
        if named.kind == ParamKind::Reference {
            return Ok(());
        }
        let text = format!(
            "{} is of type {} and cannot be followed; only references can",
            shown(named.code),
            named.kind.as_str()
        );
        Err(Issue::error(Code::SearchModifier, text))
    }

    /// A chain goes through every type that the reference may point to and that knows the rest.
    fn chain(
        &self,
        named: &Named<'_>,
        chained: &str,
        value: &str,
        depth: u64,
    ) -> Result<Clause, Issue> {
        self.through(named, chained, &|type_id| {
            self.clause(&[type_id], chained, value, depth + 1)
        })
    }

    /// A chain of which `inner` gives the condition on each type that it may go through.
    pub(super) fn through(
        &self,
        named: &Named<'_>,
        chained: &str,
        inner: &dyn Fn(TypeId) -> Result<Clause, Issue>,
    ) -> Result<Clause, Issue> {
        self.need_reference(named)?;
        let mut through = named.targets();
        if let Some(modifier) = named.modifier {
            let only = self.target_type(named, modifier)?;
            through = vec![only];
        }
        let (mut targets, mut refused) = (Vec::new(), None);
        for type_id in through.iter().copied() {
            if through.len() > 1 && !self.exists(type_id, chained) {
                continue;
            }
            match inner(type_id) {
                Ok(inner) => targets.push((type_id, Arc::new(inner))),
                Err(issue) if issue.code == Code::LimitQuery => return Err(issue),
                Err(issue) => refused = refused.or(Some(issue)),
            }
        }
        if targets.is_empty() {
            return Err(refused.unwrap_or_else(|| {
                let text = format!(
                    "no type that {} refers to has the search parameter {}",
                    shown(named.code),
                    shown(chained)
                );
                Issue::error(Code::SearchParameterUnknown, text)
            }));
        }
        Ok(Clause::Chain {
            param: named.ids(),
            targets,
        })
    }

    /// The type that a modifier of a reference names.
    pub(super) fn target_type(&self, named: &Named<'_>, modifier: &str) -> Result<TypeId, Issue> {
        let type_id = self
            .model
            .type_id(modifier)
            .ok_or_else(|| named.bad_modifier(modifier))?;
        if named.targets().contains(&type_id) {
            return Ok(type_id);
        }
        let text = format!("{} never refers to {}", shown(named.code), shown(modifier));
        Err(Issue::error(Code::SearchModifier, text))
    }

    /// `_id`, which is no index row.
    fn id(&self, named: &Named<'_>, value: &str) -> Result<Clause, Issue> {
        if named.modifier == Some("missing") {
            return match value {
                // Every resource has one.
                "true" => Ok(Clause::Never),
                "false" => Ok(Clause::NotId(Vec::new())),
                _ => Err(named.bad_value(":missing is true or false")),
            };
        }
        let id = |text: &&str| {
            ResourceId::new(text).map_err(|e| named.bad_value(&format!("no id: {e}")))
        };
        let ids = self
            .values(value)?
            .iter()
            .map(id)
            .collect::<Result<Vec<_>, _>>()?;
        match named.modifier {
            None => Ok(Clause::Id(ids.into())),
            Some("not") => Ok(Clause::NotId(ids)),
            Some(other) => Err(named.bad_modifier(other)),
        }
    }

    /// The comma-separated values.
    pub(super) fn values<'v>(&self, value: &'v str) -> Result<Vec<&'v str>, Issue> {
        let values = split(value, ',');
        if values.len() as u64 > self.options.limits.query_values_max {
            return Err(too_much(
                "a parameter has too many values",
                "query_values_max",
            ));
        }
        Ok(values)
    }

    pub(super) fn compare(&self, named: &Named<'_>, value: &str) -> Result<Clause, Issue> {
        if !self.takes(named) {
            return Err(named.bad_modifier(named.modifier.unwrap_or("")));
        }
        let special = |p: &Known<'_>| p.plan.and_then(ParamPlan::special);
        if named.kind == ParamKind::Special
            && named.modifier.is_none()
            && named
                .params
                .iter()
                .all(|p| special(p) == Some(Special::Narrative))
        {
            let words = Words::parse(&unescape(value)).map_err(|what| named.bad_value(&what))?;
            return Ok(words.in_texts(&named.ids()));
        }
        match (named.kind, named.modifier) {
            (ParamKind::String, Some("text")) | (_, Some("text-advanced")) => {
                return text_advanced(named, value);
            }
            (ParamKind::Reference, Some("in")) => return self.member_of(named, value),
            (ParamKind::Reference, Some("not-in")) => {
                return Ok(Clause::Not(Box::new(self.member_of(named, value)?)));
            }
            _ => {}
        }
        let test = if named.modifier == Some("missing") {
            match value {
                "true" => Test::Missing(true),
                "false" => Test::Missing(false),
                _ => return Err(named.bad_value(":missing is true or false")),
            }
        } else {
            let mut matches = Vec::new();
            for text in self.values(value)? {
                if unescape(text).trim().is_empty() {
                    return Err(named.bad_value("a value is empty"));
                }
                match named.kind {
                    ParamKind::Composite => matches.extend(self.composite_values(named, text)?),
                    ParamKind::String => matches.extend(super::string::values(named, text)?),
                    ParamKind::Token if self.is_mime_below(named, text) => {
                        matches.extend(token::mime_below(text));
                    }
                    ParamKind::Token => {
                        matches.extend(self.one(named, text)?);
                        matches.extend(self.in_lower_case(named, text));
                    }
                    _ => matches.extend(self.one(named, text)?),
                }
                matches.extend(super::uri::alike(named, text));
                if named.modifier == Some("code-text") {
                    matches.push(Match::TokenTextPrefix(token::folded(text)));
                }
            }
            match named.modifier {
                Some("not" | "not-in") => Test::None(matches.into()),
                // Every value was one that nothing can match.
                _ if matches.is_empty() => return Ok(Clause::Never),
                _ => Test::Any(matches.into()),
            }
        };
        Ok(Clause::Param(ParamClause {
            param: named.ids(),
            kind: named.kind,
            test,
        }))
    }

    /// Whether the modifier exists in this version of FHIR for this type of parameter; names of
    /// types are looked at elsewhere.
    fn takes(&self, named: &Named<'_>) -> bool {
        let Some(modifier) = named.modifier else {
            return true;
        };
        super::super::served::modifiers(self.model.version(), named.kind).contains(&modifier)
            || (named.kind == ParamKind::Reference && self.model.type_id(modifier).is_some())
    }

    /// One value, escapes still in it; `None` if nothing can match it.
    pub(super) fn one(&self, named: &Named<'_>, text: &str) -> Result<Option<Match>, Issue> {
        let only_plain = || {
            named
                .modifier
                .map_or(Ok(()), |m| Err(named.bad_modifier(m)))
        };
        Ok(Some(match named.kind {
            ParamKind::Token => self.token_value(named, text)?,
            ParamKind::String => {
                only_plain()?;
                super::string::part(named, text)?
            }
            ParamKind::Uri => super::uri::read(named, text)?,
            ParamKind::Reference => return self.reference_value(named, text),
            ParamKind::Date => {
                only_plain()?;
                date::read(named, text, self.options.now)?
            }
            ParamKind::Number => {
                only_plain()?;
                super::number::number(named, text)?
            }
            ParamKind::Quantity => {
                only_plain()?;
                super::number::quantity(named, text)?
            }
            ParamKind::Composite => {
                only_plain()?;
                return self.composite_value(named, text);
            }
            ParamKind::Special => {
                only_plain()?;
                let special = |p: &Known<'_>| p.plan.and_then(ParamPlan::special);
                match named.params.first().and_then(special) {
                    Some(Special::Boundary) => super::place::inside(named, text)?,
                    _ => super::place::read(named, text)?,
                }
            }
        }))
    }
}

/// `:text-advanced`, and `:text` of strings (`search.html#modifiertextadvanced`).
fn text_advanced(named: &Named<'_>, value: &str) -> Result<Clause, Issue> {
    let words = Words::parse(&unescape(value)).map_err(|what| named.bad_value(&what))?;
    Ok(words.in_strings(&named.ids(), named.kind))
}
