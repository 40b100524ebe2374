//! `search.html#composite`

use crate::definitions::{ParamKind, TypeId};
use crate::outcome::Issue;

use super::super::extract::ParamPlan;
use super::super::query::Match;
use super::super::words::{Run, Words};
use super::Context;
use super::named::Named;
use super::text::{split, unescape};
use super::{date, number, string, token, uri};

/// Words that a narrative within a composite must have.
fn words(inner: &Named<'_>, part: &str) -> Result<Vec<Run>, Issue> {
    let words = Words::parse(&unescape(part)).map_err(|what| inner.bad_value(&what))?;
    words.all().ok_or_else(|| {
        let what = "of texts within a composite words and phrases can be asked that are all there";
        inner.bad_value(what)
    })
}

impl Context<'_> {
    /// What a value may mean. Where two parts are defined the other way round than their expressions
    /// have them (R4's `DocumentReference.relationship`), the value is taken either way.
    pub(super) fn composite_values(
        &self,
        named: &Named<'_>,
        text: &str,
    ) -> Result<Vec<Match>, Issue> {
        let as_is = || self.composite_value(named, text);
        let parts = split(text, '$');
        let [first, second] = parts.as_slice() else {
            return Ok(as_is()?.into_iter().collect());
        };
        if !self.is_crossed(named) {
            return Ok(as_is()?.into_iter().collect());
        }
        let turned = || self.composite_value(named, &format!("{second}${first}"));
        // A part that can only be a reference says which way it is; two bare ones may be either.
        let refers = |part: &str| part.contains('/') && !part.contains('|');
        let kinds = named.params.first().and_then(|p| p.plan);
        let kinds = kinds.map(ParamPlan::component_kinds).unwrap_or_default();
        let leads = kinds.first() == Some(&ParamKind::Reference);
        let each = match (refers(first), refers(second)) {
            (true, false) => [leads.then(as_is), (!leads).then(turned)],
            (false, true) => [(!leads).then(as_is), leads.then(turned)],
            _ => [Some(as_is()), Some(turned())],
        };
        let mut matches = Vec::new();
        let mut refused = None;
        for found in each.into_iter().flatten() {
            match found {
                Ok(found) => matches.extend(found),
                Err(issue) => refused = refused.or(Some(issue)),
            }
        }
        match refused {
            Some(issue) if matches.is_empty() => Err(issue),
            _ => Ok(matches),
        }
    }

    /// Whether each of two parts yields what the definition of the other one says.
    fn is_crossed(&self, named: &Named<'_>) -> bool {
        let Some(param) = named.params.first() else {
            return false;
        };
        let kinds = param.plan.map(ParamPlan::component_kinds);
        let declared: Vec<_> = param
            .components
            .codes()
            .filter_map(|code| self.known(param.type_id, code))
            .map(|known| known.kind)
            .collect();
        match (kinds.as_deref(), declared.as_slice()) {
            (Some([a, b]), [c, d]) => a != b && a == d && b == c,
            _ => false,
        }
    }

    /// `a$b`: one value for each component, by the rules of the component's type; `None` if
    /// nothing can match one of them.
    pub(super) fn composite_value(
        &self,
        named: &Named<'_>,
        text: &str,
    ) -> Result<Option<Match>, Issue> {
        let Some(param) = named.params.first() else {
            return Ok(None);
        };
        let kinds = param
            .plan
            .map(ParamPlan::component_kinds)
            .unwrap_or_default();
        let parts = split(text, '$');
        if parts.len() != kinds.len() || parts.iter().any(|p| unescape(p).trim().is_empty()) {
            let form = param.components.codes().collect::<Vec<_>>().join("$");
            return Err(named.bad_value(&format!("the value has the form {form}")));
        }
        let mut matches = Vec::with_capacity(parts.len());
        for ((part, kind), code) in parts.iter().zip(kinds).zip(param.components.codes()) {
            let of = self.known(param.type_id, code);
            let inner = Named {
                code: named.code,
                modifier: None,
                kind,
                params: of.into_iter().collect(),
            };
            let found = match kind {
                ParamKind::Token => {
                    let read = token::read(&inner, part)?;
                    Some(Match::Token(self.implied_system(&inner, read)))
                }
                ParamKind::String => Some(string::part(&inner, part)?),
                ParamKind::Date => Some(date::read(&inner, part, self.options.now)?),
                ParamKind::Number => Some(number::number(&inner, part)?),
                ParamKind::Quantity => Some(number::quantity(&inner, part)?),
                ParamKind::Uri => Some(uri::read(&inner, part)?),
                ParamKind::Reference => self.component_reference(param.type_id, &inner, part)?,
                ParamKind::Special => Some(Match::Runs(words(&inner, part)?)),
                ParamKind::Composite => None,
            };
            match found {
                Some(found) => matches.push(found),
                None => return Ok(None),
            }
        }
        Ok(Some(Match::Composite(matches)))
    }

    /// A reference inside a composite. A component whose definition is no reference parameter
    /// (R4's `DocumentReference.relationship`) may point wherever one of the type's references may.
    fn component_reference(
        &self,
        type_id: TypeId,
        inner: &Named<'_>,
        part: &str,
    ) -> Result<Option<Match>, Issue> {
        if !inner.targets().is_empty() {
            return self.reference(inner, part);
        }
        let references = self
            .model
            .params(type_id)
            .iter()
            .filter(|p| p.kind == ParamKind::Reference)
            .filter_map(|p| self.known(type_id, p.code));
        let any = Named {
            code: inner.code,
            modifier: None,
            kind: ParamKind::Reference,
            params: references.collect(),
        };
        self.reference(&any, part)
    }
}
