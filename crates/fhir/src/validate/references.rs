//! Literal references: what they may point to, and which of them are local.

use base::Code;

use crate::definitions::{ElementType, TypeId};
use crate::json::Value;
use crate::reference::Literal;

use super::Checker;
use super::path::Path;

impl Checker<'_> {
    /// Checks the target type of a Reference and notes local targets.
    pub(super) fn reference(&mut self, value: Value<'_>, of: &ElementType, path: Path<'_>) {
        let Some(text) = value.get("reference").and_then(Value::as_str) else {
            return;
        };
        match Literal::parse(&text, self.model, self.context.own_bases) {
            Literal::Local { type_id, id, .. } => {
                self.target(type_id, of, path);
                let target = (type_id, id);
                if self.entries == 0 && !self.report.references.contains(&target) {
                    self.report.references.push(target);
                }
            }
            Literal::Conditional { type_id, .. } if self.entries > 0 => {
                self.target(type_id, of, path);
            }
            Literal::Conditional { .. } => {
                self.issue(Code::ReferenceTarget, path.name("reference"), || {
                    "a conditional reference stands only in the entries of a transaction".into()
                });
            }
            Literal::Contained(_) | Literal::Absolute(_) => {}
            Literal::Malformed => self.issue(Code::ReferenceTarget, path.name("reference"), || {
                "a relative reference is a resource type of this version, '/' and an id".into()
            }),
        }
    }

    /// Checks the target type of the Reference in a CodeableReference, whose element names the
    /// targets; the rest of it is checked as the Reference that it is.
    pub(super) fn reference_target(&mut self, value: Value<'_>, of: &ElementType, path: Path<'_>) {
        let text = value.get("reference").and_then(Value::as_str);
        let read = |text| match Literal::parse(text, self.model, self.context.own_bases) {
            Literal::Local { type_id, .. } | Literal::Conditional { type_id, .. } => Some(type_id),
            Literal::Contained(_) | Literal::Absolute(_) | Literal::Malformed => None,
        };
        if let Some(type_id) = text.as_deref().and_then(read) {
            self.target(type_id, of, path);
        }
    }

    fn target(&mut self, type_id: TypeId, of: &ElementType, path: Path<'_>) {
        if of.targets.is_empty() || of.targets.contains(&type_id) {
            return;
        }
        let model = self.model;
        self.issue(Code::ReferenceTarget, path.name("reference"), || {
            let allowed: Vec<&str> = of.targets.iter().map(|&t| model.type_name(t)).collect();
            let allowed = allowed.join(", ");
            format!(
                "a reference to {} where {allowed} is allowed",
                model.type_name(type_id)
            )
        });
    }
}
