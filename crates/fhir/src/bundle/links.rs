//! Links of a transaction's resources to each other, by the `fullUrl` of their entries.

use crate::definitions::{Content, Model, Primitive, Structure, StructureId};
use crate::json::{Kind, Value, push_json_string, write_compact};
use crate::reference::is_absolute;

/// What a link becomes; `None` leaves it.
type Map<'m> = dyn FnMut(&str) -> Option<String> + 'm;

/// Writes the resource compactly with its links replaced (`http.html#trules`): every
/// `Reference.reference`, every element of type uri and url, and `href` and `src` in narrative.
/// Canonicals are not replaced, nor are elements of type oid and uuid, which cannot hold what links
/// become. `map` gets each link as it is written; what it leaves alone keeps its bytes.
pub fn rewrite_references(model: &'static Model, resource: Value<'_>, map: &mut Map<'_>) -> String {
    let (start, end) = resource.span();
    let reference = model.structure_named("Reference");
    let mut writer = Writer {
        model,
        reference,
        map,
        pin: None,
        out: String::with_capacity(end - start + 64),
    };
    writer.resource(resource);
    writer.out
}

/// The extension of a reference that shall lead to the version that its transaction makes
/// (`http.html#trules`).
pub const VERSION_SPECIFIC: &str =
    "http://hl7.org/fhir/StructureDefinition/resolve-as-version-specific";

/// Writes the resource compactly with its references that have the extension [`VERSION_SPECIFIC`]
/// replaced: `pin` gets each as it is written. Where one is replaced, the extension is gone.
pub fn pin_references(model: &'static Model, resource: Value<'_>, pin: &mut Map<'_>) -> String {
    let mut writer = Writer {
        model,
        reference: model.structure_named("Reference"),
        map: &mut |_| None,
        pin: Some(pin),
        out: String::with_capacity(resource.raw().len()),
    };
    writer.resource(resource);
    writer.out
}

/// Whether any reference in the text may have the extension [`VERSION_SPECIFIC`].
pub fn asks_for_versions(text: &[u8]) -> bool {
    // A solidus can be written in two ways.
    memchr::memmem::find(text, b"resolve-as-version-specific").is_some()
}

/// Whether any reference in the text may be one to a version, or ask for one.
pub fn names_versions(text: &[u8]) -> bool {
    asks_for_versions(text) || memchr::memmem::find(text, b"_history").is_some()
}

fn is_version_specific(extension: &Value<'_>) -> bool {
    let url = extension.get("url").and_then(Value::as_str);
    url.as_deref() == Some(VERSION_SPECIFIC)
}

/// A relative reference made absolute by the `fullUrl` of the entry it stands in
/// (`bundle.html#references`): `Patient/2` in `http://x/fhir/Observation/1` is
/// `http://x/fhir/Patient/2`. `None` if the reference is absolute, or the URL is none of a RESTful
/// server.
pub fn resolved(model: &Model, full_url: &str, reference: &str) -> Option<String> {
    if is_absolute(reference) || reference.starts_with('#') {
        return None;
    }
    let (rest, _id) = full_url.rsplit_once('/')?;
    let (base, name) = rest.rsplit_once('/')?;
    model.type_id(name)?;
    Some(format!("{base}/{reference}"))
}

struct Writer<'m, 'p> {
    model: &'static Model,
    reference: Option<StructureId>,
    map: &'m mut Map<'m>,
    pin: Option<&'p mut Map<'p>>,
    out: String,
}

impl Writer<'_, '_> {
    /// What a Reference becomes that shall lead to a version.
    fn pinned(&mut self, reference: Value<'_>) -> Option<String> {
        let pin = self.pin.as_mut()?;
        let mut extensions = reference.get("extension")?.items();
        let asks = extensions.find(is_version_specific)?.get("valueBoolean");
        let text = reference.get("reference").and_then(Value::as_str)?;
        match asks.and_then(Value::as_bool) {
            Some(true) => pin(&text),
            _ => None,
        }
    }

    fn resource(&mut self, resource: Value<'_>) {
        let name = resource.get("resourceType").and_then(Value::as_str);
        match name.and_then(|n| self.model.structure_named(&n)) {
            Some(id) => self.object(resource, id),
            None => write_compact(resource, &mut self.out),
        }
    }

    fn object(&mut self, object: Value<'_>, id: StructureId) {
        if object.kind() != Kind::Object {
            return write_compact(object, &mut self.out);
        }
        let structure: &'static Structure = self.model.structure(id);
        let pinned = match Some(id) == self.reference {
            true => self.pinned(object),
            false => None,
        };
        let left = |extensions: Value<'_>| {
            extensions
                .items()
                .filter(|e| !is_version_specific(e))
                .count()
        };
        self.out.push('{');
        let mut first = true;
        for member in object.members() {
            let name = member.name();
            if pinned.is_some() && name == "extension" && left(member.value) == 0 {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            push_json_string(&name, &mut self.out);
            self.out.push(':');
            let content = structure.member(&name).map(|f| f.of.content);
            let is_link = Some(id) == self.reference && name == "reference";
            match content {
                _ if is_link && pinned.is_some() => {
                    push_json_string(pinned.as_deref().unwrap_or_default(), &mut self.out);
                }
                _ if pinned.is_some() && name == "extension" => {
                    let mut kept = member.value.items().filter(|e| !is_version_specific(e));
                    self.out.push('[');
                    if let Some(one) = kept.next() {
                        write_compact(one, &mut self.out);
                    }
                    for one in kept {
                        self.out.push(',');
                        write_compact(one, &mut self.out);
                    }
                    self.out.push(']');
                }
                _ if is_link => self.link(member.value),
                Some(Content::Structure(inner)) => {
                    self.each(member.value, |w, v| w.object(v, inner));
                }
                Some(Content::Resource) => self.each(member.value, Self::resource),
                Some(Content::Primitive(Primitive::Uri | Primitive::Url)) => {
                    self.each(member.value, Self::link);
                }
                Some(Content::Primitive(Primitive::Xhtml)) => self.narrative(member.value),
                // Beside a primitive stand extensions.
                None if name.starts_with('_') => {
                    let element = self.model.structure_named("Element");
                    match element {
                        Some(element) => self.each(member.value, |w, v| w.object(v, element)),
                        None => write_compact(member.value, &mut self.out),
                    }
                }
                _ => write_compact(member.value, &mut self.out),
            }
        }
        self.out.push('}');
    }

    /// Writes a value, or the items of an array.
    fn each(&mut self, value: Value<'_>, mut write: impl FnMut(&mut Self, Value<'_>)) {
        if value.kind() != Kind::Array {
            return write(self, value);
        }
        self.out.push('[');
        for (i, item) in value.items().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            write(self, item);
        }
        self.out.push(']');
    }

    fn link(&mut self, value: Value<'_>) {
        match value.as_str().and_then(|text| (self.map)(&text)) {
            Some(new) => push_json_string(&new, &mut self.out),
            None => write_compact(value, &mut self.out),
        }
    }

    /// Replaces the values of `href` and `src` attributes.
    fn narrative(&mut self, value: Value<'_>) {
        let Some(text) = value.as_str() else {
            return write_compact(value, &mut self.out);
        };
        let mut new = String::new();
        let mut rest: &str = &text;
        let mut changed = false;
        while let Some((before, link, after)) = next_link(rest) {
            new.push_str(before);
            match (self.map)(link) {
                Some(replacement) => {
                    changed = true;
                    push_attribute(&replacement, &mut new);
                }
                None => new.push_str(link),
            }
            rest = after;
        }
        if changed {
            new.push_str(rest);
            push_json_string(&new, &mut self.out);
        } else {
            write_compact(value, &mut self.out);
        }
    }
}

/// The next `href="…"` or `src="…"` of a narrative: what is before the value, the value, and the
/// rest from the closing quote.
fn next_link(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find('=').map(|at| from + at) {
        from = at + 1;
        let name = text.get(..at)?.trim_end();
        let is_link = ["href", "src"].iter().any(|n| {
            name.strip_suffix(n)
                .is_some_and(|b| b.ends_with(|c: char| c.is_ascii_whitespace()))
        });
        let tail = text.get(from..)?;
        let value = tail.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        if let (true, Some(quote)) = (is_link, quote) {
            let start = from + (tail.len() - value.len()) + 1;
            let length = text.get(start..)?.find(quote)?;
            return Some((
                text.get(..start)?,
                text.get(start..start + length)?,
                text.get(start + length..)?,
            ));
        }
    }
    None
}

/// Appends the value of an XML attribute.
fn push_attribute(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
}
