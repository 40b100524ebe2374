//! Contained resources (`references.html#contained`): each has an id of its own within the resource
//! around it, and nothing that only resources have which stand for themselves.

use std::collections::HashMap;

use base::Code;

use super::Checker;
use super::path::Path;
use crate::definitions::{Model, Structure, TypeId};
use crate::json::Value;

/// What a resource contains.
#[derive(Default)]
pub(super) struct Inside {
    /// It is of a type that can contain resources: references may lead to them.
    able: bool,
    /// By id the type of the first that has it, and how many have it.
    ids: HashMap<String, (Option<TypeId>, usize)>,
}

impl Inside {
    pub(super) fn of(model: &Model, structure: &Structure, resource: Value<'_>) -> Self {
        let all = resource.get("contained").into_iter().flat_map(Value::items);
        let mut ids = HashMap::new();
        for inner in all {
            let Some(id) = inner.get("id").and_then(Value::as_str) else {
                continue;
            };
            let name = inner.get("resourceType").and_then(Value::as_str);
            let type_id = name.and_then(|name| model.type_id(&name));
            ids.entry(id.into_owned()).or_insert((type_id, 0)).1 += 1;
        }
        Self {
            able: structure.member("contained").is_some(),
            ids,
        }
    }

    /// What a reference `#id` leads to: nothing where there is no such resource.
    pub(super) fn target(&self, id: &str) -> Led {
        match self.ids.get(id) {
            Some((Some(type_id), _)) => Led::To(*type_id),
            Some((None, _)) => Led::Unknown,
            // The resource around it; and what cannot contain anything is part of something else.
            None if id.is_empty() || !self.able => Led::Unknown,
            None => Led::Nowhere,
        }
    }
}

/// Where a reference inside a resource leads.
pub(super) enum Led {
    To(TypeId),
    /// To something whose type does not matter here.
    Unknown,
    Nowhere,
}

impl Checker<'_> {
    /// What holds for contained resources beyond what their types say.
    pub(super) fn contained(&mut self, resource: Value<'_>, path: Path<'_>) {
        match resource.get("id").and_then(Value::as_str) {
            None if resource.get("id").is_none() => {
                let text = || "a contained resource needs an id".into();
                self.issue(Code::ElementCardinality, path.name("id"), text);
            }
            // Not a string: said where the element is checked.
            None => {}
            Some(id) if self.inside.ids.get(&*id).is_some_and(|(_, n)| *n > 1) => {
                let text = || "two contained resources have this id".into();
                self.issue(Code::ElementValue, path.name("id"), text);
            }
            Some(_) => {}
        }
        let meta = resource.get("meta");
        for (name, rule) in [
            ("versionId", "dom-4"),
            ("lastUpdated", "dom-4"),
            ("security", "dom-5"),
        ] {
            if meta.is_some_and(|meta| meta.get(name).is_some()) {
                let text = || format!("a contained resource has no {name} ({rule})");
                let at = path.name("meta");
                self.issue(Code::ElementCardinality, at.name(name), text);
            }
        }
    }
}
