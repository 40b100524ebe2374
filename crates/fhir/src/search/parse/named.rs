//! A parameter by its name on the types that are searched.

use base::Code;

use crate::definitions::{Component, ParamId, ParamKind, TypeId};
use crate::outcome::Issue;

use super::super::custom::Part;
use super::super::extract::ParamPlan;
use super::{Context, shown};

/// Parameters of the specification that Insula knows and does not serve.
const UNSUPPORTED: &[&str] = &["_query"];

/// The parts of a composite.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parts<'q> {
    /// Of one of the definitions.
    Standard(&'q [Component]),
    /// Of one of the tenant's.
    Own(&'q [Part]),
}

impl<'q> Parts<'q> {
    /// The names of the parameters that define them.
    pub(super) fn codes(self) -> impl Iterator<Item = &'q str> {
        let (standard, own): (&[Component], &[Part]) = match self {
            Self::Standard(parts) => (parts, &[]),
            Self::Own(parts) => (&[], parts),
        };
        let own = own.iter().map(|part| part.code.as_str());
        standard.iter().map(|part| part.code).chain(own)
    }
}

/// A search parameter, of the definitions or of the tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'q> {
    pub(super) id: ParamId,
    pub(super) type_id: TypeId,
    pub(super) kind: ParamKind,
    pub(super) targets: &'q [TypeId],
    pub(super) components: Parts<'q>,
    /// How its values are computed; not for `_id` and `_lastUpdated`.
    pub(super) plan: Option<&'q ParamPlan>,
}

/// A parameter as named in a query: the same code on each searched type.
pub(super) struct Named<'q> {
    /// For messages: the name as it stands in the query.
    pub(super) code: &'q str,
    pub(super) modifier: Option<&'q str>,
    pub(super) kind: ParamKind,
    /// One for each searched type, in order.
    pub(super) params: Vec<Known<'q>>,
}

impl Named<'_> {
    pub(super) fn ids(&self) -> Vec<ParamId> {
        self.params.iter().map(|p| p.id).collect()
    }

    /// The types that a reference may point to.
    pub(super) fn targets(&self) -> Vec<TypeId> {
        let mut targets: Vec<TypeId> = Vec::new();
        for target in self.params.iter().flat_map(|p| p.targets) {
            if !targets.contains(target) {
                targets.push(*target);
            }
        }
        targets
    }

    /// What is wrong with a value.
    pub(super) fn bad_value(&self, what: &str) -> Issue {
        let text = format!("{}: {what}", shown(self.code));
        Issue::error(Code::SearchValue, text)
    }

    /// The modifier does not exist for this type of parameter.
    pub(super) fn bad_modifier(&self, modifier: &str) -> Issue {
        let text = format!(
            "{}: the modifier {} is not supported on a parameter of type {}",
            shown(self.code),
            shown(modifier),
            self.kind.as_str()
        );
        Issue::error(Code::SearchModifier, text)
    }
}

impl<'c> Context<'c> {
    /// The parameter called `code` of a type.
    pub(super) fn known(&self, type_id: TypeId, code: &str) -> Option<Known<'c>> {
        if let Some(param) = self.model.param(type_id, code) {
            let plan = self.plans.of_type(type_id).and_then(|p| p.param(param.id));
            return Some(Known {
                id: param.id,
                type_id,
                kind: param.kind,
                targets: &param.targets,
                components: Parts::Standard(&param.components),
                plan,
            });
        }
        let custom = self.options.custom.serving(type_id, code)?;
        Some(Known {
            id: custom.id,
            type_id,
            kind: custom.definition.kind,
            targets: match custom.definition.kind {
                ParamKind::Reference => &custom.definition.targets,
                _ => &[],
            },
            components: Parts::Own(&custom.definition.components),
            plan: Some(&custom.plan),
        })
    }

    /// The parameter called `code` on each of the types.
    pub(super) fn named<'q>(
        &self,
        types: &[TypeId],
        code: &'q str,
        modifier: Option<&'q str>,
    ) -> Result<Named<'q>, Issue>
    where
        'c: 'q,
    {
        if UNSUPPORTED.contains(&code) {
            let text = format!(
                "the parameter {} is not supported: there are no named queries here; a search is \
                 asked by its parameters, or with _filter",
                shown(code)
            );
            return Err(Issue::error(Code::NotSupported, text));
        }
        let mut params = Vec::with_capacity(types.len());
        for type_id in types {
            let found = self.known(*type_id, code).ok_or_else(|| {
                let building = self.options.custom.named(*type_id, code).is_some();
                let text = format!(
                    "{} has no search parameter {}{}",
                    self.model.type_name(*type_id),
                    shown(code),
                    if building {
                        " yet: its index is being built"
                    } else {
                        ""
                    },
                );
                Issue::error(Code::SearchParameterUnknown, text)
            })?;
            if found.plan.is_none() && !matches!(code, "_id" | "_lastUpdated") {
                let text = format!("the parameter {} is not supported", shown(code));
                return Err(Issue::error(Code::NotSupported, text));
            }
            params.push(found);
        }
        let kind = params.first().map_or(ParamKind::Special, |p| p.kind);
        if params.iter().any(|p| p.kind != kind) {
            let text = format!("{} is not of one type on all types searched", shown(code));
            return Err(Issue::error(Code::SearchValue, text));
        }
        Ok(Named {
            code,
            modifier,
            kind,
            params,
        })
    }

    /// Whether the first name of a (perhaps chained) parameter exists on a type.
    pub(super) fn exists(&self, type_id: TypeId, name: &str) -> bool {
        let end = name.find([':', '.']).unwrap_or(name.len());
        let code = name.get(..end).unwrap_or(name);
        let r5 = super::super::served::is_r5(self.model.version());
        matches!(code, "_has" | "_text" | "_content" | "_list" | "_filter")
            || (code == "_in" && r5)
            || self.known(type_id, code).is_some()
    }
}
