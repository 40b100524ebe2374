//! Elements that a caller may not see, or may see and not change.
//!
//! A [`Mask`] names elements of a resource type, or of the elements with children of their own in it
//! (`Patient.contact`). Elements inside datatypes are not named one by one: a `HumanName` is shown or
//! hidden whole. Where anything is hidden the narrative is hidden too: it is written from the whole.

use std::collections::BTreeSet;

use super::shape::write_meta;
use crate::definitions::{Content, Model, Structure, TypeId};
use crate::json::{self, Kind, Value, push_json_string, write_compact};
use crate::path::Touched;

/// Elements of one resource type.
#[derive(Clone)]
pub struct Mask {
    model: &'static Model,
    type_id: TypeId,
    /// Structure and JSON name: (`Patient`, `telecom`), (`Patient.contact`, `name`).
    elements: BTreeSet<(&'static str, &'static str)>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({:?})", self.elements)
    }
}

impl PartialEq for Mask {
    fn eq(&self, other: &Self) -> bool {
        self.type_id == other.type_id && self.elements == other.elements
    }
}

/// Elements that stay: without them a resource is none.
const NEVER: [&str; 3] = ["id", "meta", "implicitRules"];

/// Why an element cannot be named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// The type has no such element.
    #[error("\"{0}\" is no element of {1}")]
    Unknown(String, &'static str),
    /// It is a part of a datatype.
    #[error("\"{0}\" is inside a datatype; name the element that holds it")]
    Inside(String),
    /// It is always shown.
    #[error("\"{0}\" is always there")]
    Always(String),
}

impl Mask {
    /// These elements: `telecom`, `Patient.telecom`, `contact.name`, `value` or `value[x]` for every
    /// type of a choice, `valueQuantity` for one.
    ///
    /// # Errors
    /// The first that cannot be named.
    pub fn new<'p>(
        model: &'static Model,
        type_id: TypeId,
        paths: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, MaskError> {
        let mut elements = BTreeSet::new();
        for path in paths {
            add(model, type_id, path, &mut elements)?;
        }
        Ok(Self {
            model,
            type_id,
            elements,
        })
    }

    /// How many elements it names.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Whether it names this element of the resource itself.
    pub fn has(&self, json: &str) -> bool {
        let type_name = self.model.type_name(self.type_id);
        self.elements
            .iter()
            .any(|(of, name)| *of == type_name && *name == json)
    }

    /// The elements of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.elements.extend(&other.elements);
        both
    }

    /// Whether an expression that looks at this much looks at an element named here.
    pub fn meets(&self, touched: &Touched, yields: &[&str]) -> bool {
        if self.is_empty() {
            return false;
        }
        let named = |name: &str| self.elements.iter().any(|(_, json)| *json == name);
        touched.everything
            || touched.elements.iter().any(|e| self.elements.contains(e))
            || touched.elements.iter().any(|e| self.is_narrative(e))
            || touched
                .anywhere
                .iter()
                .any(|name| named(name) || &**name == "text")
            || yields.iter().any(|path| self.is_below(path))
    }

    /// Whether an element is the narrative of a resource, and no text of a datatype.
    fn is_narrative(&self, (of, json): &(&'static str, &'static str)) -> bool {
        *json == "text" && (*of == "DomainResource" || self.model.type_id(of).is_some())
    }

    /// Whether anything below the structure of this path is named.
    fn is_below(&self, path: &str) -> bool {
        self.elements.iter().any(|(of, _)| {
            let rest = of.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    fn names(&self, structure: &Structure, json: &str) -> bool {
        let json = json.strip_prefix('_').unwrap_or(json);
        self.elements
            .iter()
            .any(|(of, name)| *of == structure.path && *name == json)
    }

    fn structure(&self) -> Option<&'static Structure> {
        let id = self.model.structure_of(self.type_id)?;
        Some(self.model.structure(id))
    }

    /// The structure below a member, if some of its elements are named here.
    fn inside(&self, structure: &Structure, json: &str) -> Option<&'static Structure> {
        match structure.member(json)?.of.content {
            Content::Structure(id) => {
                let inner = self.model.structure(id);
                self.is_below(inner.path).then_some(inner)
            }
            _ => None,
        }
    }

    /// A stored resource without these elements and without its narrative, tagged as SUBSETTED.
    /// `None` if it cannot be read: then nothing may leave.
    pub fn hide(&self, whole: &[u8]) -> Option<Vec<u8>> {
        if self.is_empty() {
            return Some(whole.to_vec());
        }
        let doc = json::parse(whole, usize::MAX).ok()?;
        let structure = self.structure()?;
        let mut out = String::with_capacity(whole.len() + 128);
        out.push('{');
        let mut tagged = false;
        for member in doc.root().members() {
            let name = member.name();
            if name == "text" || self.names(structure, &name) {
                continue;
            }
            begin(&name, &mut out);
            if name == "meta" {
                tagged = true;
                write_meta(member.value, &mut out);
            } else {
                self.write(structure, &name, member.value, &mut out);
            }
        }
        if !tagged {
            begin("meta", &mut out);
            let empty = json::parse(b"{}", 8).ok()?;
            write_meta(empty.root(), &mut out);
        }
        out.push('}');
        Some(out.into_bytes())
    }

    fn write(&self, structure: &Structure, name: &str, value: Value<'_>, out: &mut String) {
        let Some(inner) = self.inside(structure, name) else {
            return write_compact(value, out);
        };
        if value.kind() == Kind::Array {
            out.push('[');
            for (at, item) in value.items().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                self.object(inner, item, out);
            }
            out.push(']');
        } else {
            self.object(inner, value, out);
        }
    }

    fn object(&self, structure: &Structure, object: Value<'_>, out: &mut String) {
        if object.kind() != Kind::Object {
            return write_compact(object, out);
        }
        out.push('{');
        for member in object.members() {
            let name = member.name();
            if !self.names(structure, &name) {
                begin(&name, out);
                self.write(structure, &name, member.value, out);
            }
        }
        out.push('}');
    }

    /// The narrative of a resource, where the mask hides it.
    pub fn narrative<'v>(&self, resource: Value<'v>) -> Option<&'v str> {
        let text = resource.get("text").filter(|_| !self.is_empty());
        text.map(Value::raw)
    }

    /// What the elements named here hold, each with its place: equal texts, equal content. The order in
    /// which an object has its members means nothing.
    pub fn content(&self, resource: Value<'_>) -> String {
        let mut out = String::new();
        if let Some(structure) = self.structure() {
            self.collect(structure, resource, &mut out);
        }
        out
    }

    fn collect(&self, structure: &Structure, object: Value<'_>, out: &mut String) {
        let mut members: Vec<_> = object.members().map(|m| (m.name(), m.value)).collect();
        members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in members {
            if self.names(structure, &name) {
                begin(&name, out);
                canonical(value, out);
            } else if let Some(inner) = self.inside(structure, &name) {
                let place = out.len();
                begin(&name, out);
                let from = out.len();
                if value.kind() == Kind::Array {
                    for (at, item) in value.items().enumerate() {
                        let before = out.len();
                        out.push_str(&format!("[{at}]"));
                        let start = out.len();
                        self.collect(inner, item, out);
                        if out.len() == start {
                            out.truncate(before);
                        }
                    }
                } else {
                    self.collect(inner, value, out);
                }
                if out.len() == from {
                    out.truncate(place);
                }
            }
        }
    }

    /// A resource as a caller under this mask sent it, with the elements of the stored one that were
    /// hidden from the caller: the text of what is to be stored.
    ///
    /// # Errors
    /// The name of the element that would be lost or changed unseen: one that is hidden and was sent,
    /// or one with hidden parts that was changed.
    pub fn keep(&self, stored: Option<Value<'_>>, sent: Value<'_>) -> Result<String, String> {
        let structure = self.structure().ok_or_else(String::new)?;
        let mut out = String::with_capacity(512);
        out.push('{');
        for member in sent.members() {
            let name = member.name();
            let bare = name.strip_prefix('_').unwrap_or(&name);
            let written = bare == "text" && stored.is_none_or(|s| s.get("text").is_none());
            if (bare == "text" && !written) || self.names(structure, &name) {
                return Err(bare.to_owned());
            }
            begin(&name, &mut out);
            if name == "meta" {
                super::shape::write_meta_untagged(member.value, &mut out);
                continue;
            }
            let before = stored.and_then(|s| s.get(&name));
            match self.inside(structure, &name) {
                Some(_) => {
                    let kept = self.unchanged(structure, &name, before, member.value)?;
                    write_compact(kept, &mut out);
                }
                None => write_compact(member.value, &mut out),
            }
        }
        for member in stored.into_iter().flat_map(Value::members) {
            let name = member.name();
            let hidden = name == "text" || self.names(structure, &name);
            if hidden {
                begin(&name, &mut out);
                write_compact(member.value, &mut out);
            } else if sent.get(&name).is_none()
                && self.inside(structure, &name).is_some()
                && self.hides_in(structure, &name, member.value)
            {
                return Err(name.into_owned());
            }
        }
        out.push('}');
        Ok(out)
    }

    fn hides_in(&self, structure: &Structure, name: &str, value: Value<'_>) -> bool {
        let (mut whole, mut shown) = (String::new(), String::new());
        write_compact(value, &mut whole);
        self.write(structure, name, value, &mut shown);
        whole != shown
    }

    /// An element with hidden parts must come back as it was shown; then the stored one stands.
    fn unchanged<'v>(
        &self,
        structure: &Structure,
        name: &str,
        before: Option<Value<'v>>,
        sent: Value<'v>,
    ) -> Result<Value<'v>, String> {
        if self.hides_in(structure, name, sent) {
            return Err(name.to_owned());
        }
        let Some(before) = before.filter(|b| self.hides_in(structure, name, *b)) else {
            return Ok(sent);
        };
        let mut shown = String::new();
        self.write(structure, name, before, &mut shown);
        let shown = json::parse(shown.as_bytes(), usize::MAX).map_err(|_| name.to_owned())?;
        let (mut was, mut now) = (String::new(), String::new());
        canonical(shown.root(), &mut was);
        canonical(sent, &mut now);
        if was == now {
            Ok(before)
        } else {
            Err(name.to_owned())
        }
    }
}

fn begin(name: &str, out: &mut String) {
    if !(out.is_empty() || out.ends_with(['{', '['])) {
        out.push(',');
    }
    push_json_string(name, out);
    out.push(':');
}

/// Equal texts, equal values: members in order of their names.
fn canonical(value: Value<'_>, out: &mut String) {
    match value.kind() {
        Kind::Object => {
            let mut members: Vec<_> = value.members().map(|m| (m.name(), m.value)).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (name, value) in members {
                push_json_string(&name, out);
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for item in value.items() {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Kind::String => push_json_string(&value.as_str().unwrap_or_default(), out),
        _ => out.push_str(value.raw()),
    }
}

fn add(
    model: &'static Model,
    type_id: TypeId,
    path: &str,
    elements: &mut BTreeSet<(&'static str, &'static str)>,
) -> Result<(), MaskError> {
    let type_name = model.type_name(type_id);
    let unknown = || MaskError::Unknown(path.to_owned(), type_name);
    let own = path
        .strip_prefix(type_name)
        .and_then(|p| p.strip_prefix('.'));
    let steps: Vec<&str> = own.unwrap_or(path).split('.').collect();
    let mut structure = model.structure(model.structure_of(type_id).ok_or_else(unknown)?);
    for (at, step) in steps.iter().enumerate() {
        let step = step.strip_suffix("[x]").unwrap_or(step);
        let of_element = structure.element(step);
        let types = match (of_element, structure.member(step)) {
            (Some(element), _) => element.types.iter().collect::<Vec<_>>(),
            (None, Some(found)) => vec![found.of],
            (None, None) => return Err(unknown()),
        };
        if at + 1 < steps.len() {
            let [only] = types.as_slice() else {
                return Err(unknown());
            };
            let Content::Structure(id) = only.content else {
                return Err(unknown());
            };
            structure = model.structure(id);
            if !structure.path.starts_with(type_name) || !structure.path.contains('.') {
                return Err(MaskError::Inside(path.to_owned()));
            }
            continue;
        }
        if structure.path == type_name && NEVER.contains(&step) || step == "id" {
            return Err(MaskError::Always(path.to_owned()));
        }
        elements.extend(types.into_iter().map(|t| (structure.path, t.json)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::FhirVersion;

    const STORED: &str = r#"{"resourceType":"Patient","id":"7","meta":{"versionId":"3"},"text":{"status":"generated","div":"<div>all</div>"},"active":true,"name":[{"family":"A"}],"telecom":[{"value":"1"}],"contact":[{"name":{"family":"B"},"gender":"male"},{"gender":"female"}]}"#;

    fn mask(paths: &[&str]) -> Mask {
        let model = Model::of(FhirVersion::R4);
        let patient = model.type_id("Patient").unwrap();
        Mask::new(model, patient, paths.iter().copied()).unwrap()
    }

    fn keep(m: &Mask, sent: &str) -> Result<String, String> {
        let stored = json::parse(STORED.as_bytes(), 64).unwrap();
        let sent = json::parse(sent.as_bytes(), 64).unwrap();
        m.keep(Some(stored.root()), sent.root())
    }

    #[test]
    fn hidden_elements_and_the_narrative_do_not_leave() {
        let shown = mask(&["telecom", "contact.name"])
            .hide(STORED.as_bytes())
            .unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(
            shown,
            r#"{"resourceType":"Patient","id":"7","meta":{"versionId":"3","tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]},"active":true,"name":[{"family":"A"}],"contact":[{"gender":"male"},{"gender":"female"}]}"#
        );
    }

    #[test]
    fn what_was_shown_can_be_written_back_without_loss() {
        let m = mask(&["telecom", "contact.name"]);
        let shown = String::from_utf8(m.hide(STORED.as_bytes()).unwrap()).unwrap();
        let kept = keep(&m, &shown.replace("true", "false")).unwrap();
        let kept = json::parse(kept.as_bytes(), 64).unwrap();
        assert_eq!(kept.root().get("active").unwrap().as_bool(), Some(false));
        assert!(kept.root().get("telecom").is_some() && kept.root().get("text").is_some());
        assert!(
            kept.root()
                .get("meta")
                .unwrap()
                .get("tag")
                .is_none_or(Value::is_empty_container)
        );
        assert!(kept.source().contains(r#""family":"B""#));
    }

    #[test]
    fn what_is_hidden_is_neither_sent_nor_changed_nor_dropped() {
        let m = mask(&["telecom", "contact.name"]);
        for sent in [
            r#"{"resourceType":"Patient","id":"7","telecom":[],"contact":[{"gender":"male"},{"gender":"female"}]}"#,
            r#"{"resourceType":"Patient","id":"7","contact":[{"gender":"female"},{"gender":"male"}]}"#,
            r#"{"resourceType":"Patient","id":"7","contact":[{"gender":"male"}]}"#,
            r#"{"resourceType":"Patient","id":"7"}"#,
        ] {
            assert!(keep(&m, sent).is_err(), "{sent}");
        }
    }

    #[test]
    fn only_whole_elements_are_named() {
        let model = Model::of(FhirVersion::R4);
        let of = |t: &str, p: &str| Mask::new(model, model.type_id(t).unwrap(), [p]);
        assert!(matches!(
            of("Patient", "name.given"),
            Err(MaskError::Inside(_))
        ));
        assert!(matches!(
            of("Patient", "nothing"),
            Err(MaskError::Unknown(..))
        ));
        assert!(matches!(of("Patient", "id"), Err(MaskError::Always(_))));
        assert!(of("Observation", "value[x]").unwrap().len() > 5);
        assert_eq!(of("Observation", "valueQuantity").unwrap().len(), 1);
    }
}
