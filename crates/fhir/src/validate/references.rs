//! Literal references: what they may point to, and which of them are local.

use base::{Code, ResourceId};

use crate::definitions::{ElementType, Model, TypeId};
use crate::json::Value;
use crate::reference::Literal;

use super::contained::Led;
use super::path::Path;
use super::{Checker, Pointed};

impl Checker<'_> {
    /// Checks the target type of a Reference and notes local targets.
    pub(super) fn reference(&mut self, value: Value<'_>, of: &ElementType, path: Path<'_>) {
        let Some(text) = value.get("reference").and_then(Value::as_str) else {
            return self.named_type(value, None, of, path);
        };
        let at = path.name("reference");
        let led = match Literal::parse(&text, self.model, self.context.own_bases) {
            Literal::Local {
                type_id,
                id,
                version,
            } => {
                self.noted(type_id, id, version);
                Some(type_id)
            }
            Literal::Conditional { type_id, .. } if self.entries > 0 => Some(type_id),
            Literal::Conditional { .. } => {
                self.issue(Code::ReferenceTarget, at, || {
                    "a conditional reference stands only in the entries of a transaction".into()
                });
                None
            }
            Literal::Contained("") if !self.is_contained => {
                let text =
                    || "only contained resources refer to what is around them (ref-1)".into();
                self.issue(Code::ReferenceTarget, at, text);
                None
            }
            Literal::Contained(id) => match self.inside.target(id) {
                Led::To(type_id) => Some(type_id),
                Led::Unknown => None,
                Led::Nowhere => {
                    self.issue(Code::ReferenceTarget, at, || {
                        "no resource with this id is contained here (ref-1)".into()
                    });
                    None
                }
            },
            Literal::Absolute(text) => {
                let urn = text
                    .get(..4)
                    .is_some_and(|s| s.eq_ignore_ascii_case("urn:"));
                if urn && self.entries == 0 && self.report.dangling.is_none() {
                    self.report.dangling = Some(text.into());
                }
                restful_type(text, self.model)
            }
            Literal::Malformed => {
                self.issue(Code::ReferenceTarget, at, || {
                    "a relative reference is a resource type of this version, '/' and an id".into()
                });
                None
            }
        };
        if let Some(type_id) = led {
            self.target(type_id, of, at);
        }
        self.named_type(value, led, of, path);
    }

    /// Notes a target on this server; references in entries are their Bundle's own affair.
    fn noted(&mut self, type_id: TypeId, id: ResourceId, version: Option<&str>) {
        let target = Pointed {
            type_id,
            id,
            version: version.map(Into::into),
        };
        if self.entries == 0 && self.is_new(&target) {
            self.report.references.push(target);
        }
    }

    /// Whether a reference was not noted yet.
    fn is_new(&mut self, target: &Pointed) -> bool {
        /// Up to so many are looked through for one.
        const LOOKED_THROUGH: usize = 16;
        let known = &self.report.references;
        if known.len() < LOOKED_THROUGH {
            return !known.contains(target);
        }
        if self.noted.is_empty() {
            self.noted.extend(known.iter().cloned());
        }
        self.noted.insert(target.clone())
    }

    /// `Reference.type`: what the reference leads to, and may lead to. A URL of a type stands for
    /// its name; other URLs are of logical models.
    fn named_type(
        &mut self,
        value: Value<'_>,
        led: Option<TypeId>,
        of: &ElementType,
        path: Path<'_>,
    ) {
        const BASE: &str = "http://hl7.org/fhir/StructureDefinition/";
        let Some(text) = value.get("type").and_then(Value::as_str) else {
            return;
        };
        let name = text.strip_prefix(BASE).unwrap_or(&text);
        let Some(named) = self.model.type_id(name) else {
            return;
        };
        match led {
            // HL7's own examples name other types where there is nothing but a display.
            None if value.get("identifier").is_none() => {}
            None => self.target(named, of, path.name("type")),
            Some(led) if led != named => {
                let text = || "the reference leads to another type than it says".into();
                self.issue(Code::ReferenceTarget, path.name("type"), text);
            }
            Some(_) => {}
        }
    }

    /// Checks the target type of the Reference in a CodeableReference, whose element names the
    /// targets; the rest of it is checked as the Reference that it is.
    pub(super) fn reference_target(&mut self, value: Value<'_>, of: &ElementType, path: Path<'_>) {
        let text = value.get("reference").and_then(Value::as_str);
        let led = match text
            .as_deref()
            .map(|text| Literal::parse(text, self.model, self.context.own_bases))
        {
            Some(Literal::Local { type_id, .. } | Literal::Conditional { type_id, .. }) => {
                Some(type_id)
            }
            Some(Literal::Contained(id)) => match self.inside.target(id) {
                Led::To(type_id) => Some(type_id),
                Led::Unknown | Led::Nowhere => None,
            },
            Some(Literal::Absolute(text)) => restful_type(text, self.model),
            Some(Literal::Malformed) | None => None,
        };
        match led {
            Some(type_id) => self.target(type_id, of, path.name("reference")),
            None => self.named_type(value, None, of, path),
        }
    }

    fn target(&mut self, type_id: TypeId, of: &ElementType, at: Path<'_>) {
        if of.targets.is_empty() || of.targets.contains(&type_id) {
            return;
        }
        let model = self.model;
        self.issue(Code::ReferenceTarget, at, || {
            let allowed: Vec<&str> = of.targets.iter().map(|&t| model.type_name(t)).collect();
            let allowed = allowed.join(", ");
            format!(
                "a reference to {} where {allowed} is allowed",
                model.type_name(type_id)
            )
        });
    }
}

/// The type that a URL of another RESTful server names (`references.html#literal`).
fn restful_type(url: &str, model: &Model) -> Option<TypeId> {
    let scheme = url.get(..5)?;
    if !scheme.eq_ignore_ascii_case("http:") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (url, _) = url.split_once("/_history/").unwrap_or((url, ""));
    let mut parts = url.rsplit('/');
    ResourceId::new(parts.next()?).ok()?;
    let type_id = model.type_id(parts.next()?)?;
    // Not the name of a host.
    parts.next().filter(|before| !before.is_empty())?;
    Some(type_id)
}
