//! `search.html#reference`

use base::ResourceId;

use crate::json::Value;

use super::super::rows::RowValue;
use super::super::value::reference::{Canonical, Target};
use super::{Emit, Reader, Shape, keep, member_text};

/// What references to contained resources, and those that only have a display, are kept as.
pub(super) const UNNAMED: &str = "#";

impl Reader<'_> {
    /// Where a reference, a canonical or an enclosed resource points to.
    pub(super) fn reference(&self, shape: Shape, value: Value<'_>, emit: Emit<'_>) {
        match shape {
            Shape::Reference => {
                // What only has a display refers to something, which is not said.
                if value.get("reference").is_none()
                    && value.get("identifier").is_none()
                    && value.get("display").is_some()
                {
                    emit(unnamed());
                }
                for member in value.members() {
                    if member.is("reference") {
                        self.target(member.value, emit);
                    } else if member.is("identifier") {
                        identifier(member.value, emit);
                    } else if self.plans.displays && member.is("display") {
                        super::string::text(member.value, emit);
                    }
                }
            }
            Shape::CodeableReference => {
                if let Some(reference) = value.get("reference") {
                    self.reference(Shape::Reference, reference, emit);
                }
            }
            Shape::Primitive(_) => self.target(value, emit),
            // `Bundle.entry[0].resource`: by the id it has.
            Shape::Resource(type_id) => {
                let id = value.get("id").and_then(Value::as_str);
                if let Some(id) = id.and_then(|id| ResourceId::new(&id).ok()) {
                    emit(RowValue::Reference {
                        type_id,
                        id,
                        version: Box::default(),
                    });
                }
            }
            _ => {}
        }
    }

    fn target(&self, value: Value<'_>, emit: Emit<'_>) {
        if let Some(text) = value.as_str() {
            self.pointed(&text, emit);
        }
    }

    /// Contained resources are no resources of their own: where references lead to them is kept
    /// apart. Here it is only kept that there is one.
    pub(super) fn pointed(&self, text: &str, emit: Emit<'_>) {
        if text.is_empty() {
            return;
        }
        match Target::read(text, self.plans.types.model(), self.own_bases) {
            Target::Contained(_) => emit(unnamed()),
            Target::Local {
                type_id,
                id,
                version,
            } => {
                emit(RowValue::Reference {
                    type_id,
                    id,
                    version: keep(version),
                });
            }
            // What refers to a part refers to the whole, too.
            Target::Url(canonical) => {
                let mut named = |url: &str| {
                    emit(RowValue::ReferenceUrl {
                        url: keep(url),
                        version: keep(canonical.version),
                    });
                };
                named(canonical.url);
                if !canonical.fragment.is_empty() {
                    named(&canonical.part());
                }
            }
        }
    }
}

/// What a canonical with a fragment is kept as beside its text: the whole and the part, each with the
/// version behind it, as `url|version` and `url#part|version`.
pub(super) fn parted(text: &str, emit: Emit<'_>) {
    let canonical = Canonical::read(text);
    if canonical.fragment.is_empty() {
        return;
    }
    for url in [canonical.url, &canonical.part()] {
        let named = match canonical.version {
            "" => keep(url),
            version => keep(&format!("{url}|{version}")),
        };
        if *named != *text {
            emit(RowValue::Uri(named));
        }
    }
}

/// That there is a reference, for `:missing`: a URL that no query can ask for.
pub(super) fn unnamed() -> RowValue {
    RowValue::ReferenceUrl {
        url: UNNAMED.into(),
        version: Box::default(),
    }
}

fn identifier(value: Value<'_>, emit: Emit<'_>) {
    let text = |name| value.get(name).map(member_text).unwrap_or_default();
    let (system, code): (Box<str>, Box<str>) = (text("system"), text("value"));
    if !system.is_empty() || !code.is_empty() {
        emit(RowValue::ReferenceIdentifier { system, code });
    }
}
