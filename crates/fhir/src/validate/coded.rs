//! Required bindings of coded datatypes (`terminologies.html#required`).

use base::Code;

use crate::definitions::{ElementType, ValueSetId};
use crate::json::Value;

use super::Checker;
use super::path::Path;

impl Checker<'_> {
    /// A CodeableConcept, also in a CodeableReference, has at least one coding of the set; a Coding
    /// or Quantity is of the set.
    /// Without any coding the concept needs an extension that says why.
    pub(super) fn coded(
        &mut self,
        value: Value<'_>,
        of: &ElementType,
        codes: ValueSetId,
        path: Path<'_>,
    ) {
        let Some(set) = self.model.value_set(codes) else {
            return;
        };
        let is_member = |coding: Value<'_>| {
            let member = |name| coding.get(name).and_then(Value::as_str);
            match (member("system"), member("code")) {
                (Some(system), Some(code)) => set.has(&system, &code),
                _ => false,
            }
        };
        let of_concept = |value: Value<'_>| {
            value.get("coding").map_or_else(
                || value.get("extension").is_some(),
                |codings| codings.items().any(is_member),
            )
        };
        let good = match of.name {
            "CodeableConcept" => of_concept(value),
            "CodeableReference" => value.get("concept").is_none_or(of_concept),
            "Coding" | "Quantity" => value.get("code").is_none() || is_member(value),
            _ => true,
        };
        if !good {
            self.issue(Code::ElementCode, path, || {
                format!("no code of {}", set.url)
            });
        }
    }
}
