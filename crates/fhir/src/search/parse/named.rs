//! A parameter by its name on the types that are searched.

use base::Code;

use crate::definitions::{Param, ParamId, ParamKind, TypeId};
use crate::outcome::Issue;

use super::{Context, shown};

/// Parameters of the specification that Insula knows and does not serve.
const UNSUPPORTED: &[&str] = &[
    "_contained",
    "_containedType",
    "_content",
    "_filter",
    "_list",
    "_query",
    "_score",
    "_text",
];

/// A parameter as named in a query: the same code on each searched type.
pub(super) struct Named<'q> {
    /// For messages: the name as it stands in the query.
    pub(super) code: &'q str,
    pub(super) modifier: Option<&'q str>,
    pub(super) kind: ParamKind,
    /// One for each searched type, in order.
    pub(super) params: Vec<&'static Param>,
}

impl Named<'_> {
    pub(super) fn ids(&self) -> Vec<ParamId> {
        self.params.iter().map(|p| p.id).collect()
    }

    /// The types that a reference may point to.
    pub(super) fn targets(&self) -> Vec<TypeId> {
        let mut targets: Vec<TypeId> = Vec::new();
        for target in self.params.iter().flat_map(|p| &p.targets) {
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

impl Context<'_> {
    /// The parameter called `code` on each of the types.
    pub(super) fn named<'q>(
        &self,
        types: &[TypeId],
        code: &'q str,
        modifier: Option<&'q str>,
    ) -> Result<Named<'q>, Issue> {
        if UNSUPPORTED.contains(&code) {
            let text = format!("the parameter {} is not supported", shown(code));
            return Err(Issue::error(Code::NotSupported, text));
        }
        let mut params = Vec::with_capacity(types.len());
        for type_id in types {
            let found = self.model.param(*type_id, code).ok_or_else(|| {
                let text = format!(
                    "{} has no search parameter {}",
                    self.model.type_name(*type_id),
                    shown(code)
                );
                Issue::error(Code::SearchParameterUnknown, text)
            })?;
            let plans = self.plans.of_type(*type_id);
            let is_computed = plans.is_some_and(|p| p.param(found.id).is_some());
            if !is_computed && !matches!(found.code, "_id" | "_lastUpdated") {
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
        code == "_has" || self.model.param(type_id, code).is_some()
    }
}
