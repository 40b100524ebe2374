//! Elements of primitive types: the value, and the `_name` member beside it that carries its `id`
//! and extensions (`json.html#primitive`).

use std::borrow::Cow;

use base::Code;

use crate::definitions::{Element, FhirVersion, Found, Primitive};
use crate::json::{Kind, Value};

use super::path::Path;
use super::{Checker, Form, clipped, primitive, xhtml};

impl Checker<'_> {
    /// Checks the value member of a primitive element.
    pub(super) fn primitive_element(
        &mut self,
        object: Value<'_>,
        value: Value<'_>,
        found: Found<'static>,
        of: Primitive,
        path: Path<'_>,
    ) {
        let Some(count) = self.shape(value, found.element, path) else {
            return;
        };
        if !found.element.repeats() {
            return self.primitive(value, found.element, of, path);
        }
        self.count(count, found.element, path);
        for (i, item) in value.items().enumerate() {
            if item.kind() == Kind::Null {
                self.null_item(object, found, i, path.index(i));
            } else {
                self.primitive(item, found.element, of, path.index(i));
            }
        }
    }

    /// A null in the array of values stands for an item that only has an id or extensions.
    fn null_item(&mut self, object: Value<'_>, found: Found<'_>, i: usize, path: Path<'_>) {
        let beside = beside(object, found.of.json).and_then(|b| b.items().nth(i));
        if beside.is_none_or(|b| b.kind() == Kind::Null) {
            let text = || "null needs an extension beside it".into();
            self.issue(Code::ElementEmpty, path, text);
        }
    }

    fn primitive(&mut self, value: Value<'_>, element: &Element, of: Primitive, path: Path<'_>) {
        let (expected, text) = match of {
            Primitive::Boolean => ("true or false", value.as_bool().map(|_| Cow::Borrowed(""))),
            Primitive::Integer
            | Primitive::UnsignedInt
            | Primitive::PositiveInt
            | Primitive::Decimal => ("number", value.as_number().map(Cow::Borrowed)),
            _ => ("string", value.as_str()),
        };
        let Some(text) = text else {
            let text = || format!("a {} is a JSON {expected}", of.as_str());
            return self.issue(Code::ElementType, path, text);
        };
        if !primitive::is_valid(of, &text) {
            let (code, text) = if text.is_empty() {
                (Code::ElementEmpty, "a string is never empty".to_owned())
            } else {
                (Code::ElementValue, format!("not a valid {}", of.as_str()))
            };
            return self.issue(code, path, || text);
        }
        if of == Primitive::Xhtml
            && let Err(what) = xhtml::check(&text)
        {
            return self.issue(Code::ElementValue, path, || what.into());
        }
        // Published examples of R4 and R4B have narratives that say nothing; those of R5 do not.
        if of == Primitive::Xhtml
            && self.model.version() == FhirVersion::R5
            && !xhtml::says_something(&text)
        {
            let text = "a narrative has some text or an image (txt-2)";
            return self.issue(Code::ElementEmpty, path, || text.into());
        }
        if let Some(set) = element.required_codes.and_then(|c| self.model.value_set(c))
            && !set.has_code(&text)
        {
            let text = || format!("\"{}\" is not a code of {}", clipped(&text), set.url);
            self.issue(Code::ElementCode, path, text);
        }
    }

    /// Checks the `_name` member of a primitive element.
    pub(super) fn beside_element(
        &mut self,
        object: Value<'_>,
        value: Value<'_>,
        found: Found<'static>,
        path: Path<'_>,
    ) {
        let Some(count) = self.shape(value, found.element, path) else {
            return;
        };
        let main = object.get(found.of.json);
        if !found.element.repeats() {
            return self.beside(value, main.is_some(), path);
        }
        if main.is_some_and(|m| m.kind() == Kind::Array && m.items().count() != count) {
            let name = found.of.json;
            let text = || format!("\"{name}\" and \"_{name}\" have different lengths");
            return self.issue(Code::ElementCardinality, path, text);
        }
        let mut values = main.into_iter().flat_map(Value::items);
        for (i, item) in value.items().enumerate() {
            let has_value = values.next().is_some_and(|v| v.kind() != Kind::Null);
            if item.kind() != Kind::Null {
                self.beside(item, has_value, path.index(i));
            } else if main.is_none() {
                let text = || "null needs a value beside it".into();
                self.issue(Code::ElementEmpty, path.index(i), text);
            }
        }
    }

    /// An object with `id` and `extension`; without a value it needs an extension.
    fn beside(&mut self, value: Value<'_>, has_value: bool, path: Path<'_>) {
        if value.kind() != Kind::Object {
            let text = || "what stands beside a primitive is a JSON object".into();
            return self.issue(Code::ElementType, path, text);
        }
        let Some(element) = self.model.structure_named("Element") else {
            return;
        };
        // Beside a value an id alone is enough.
        let form = if has_value {
            Form::BesideValue
        } else {
            Form::Element
        };
        if value.is_empty_container() {
            self.issue(Code::ElementEmpty, path, || {
                "an element needs content".into()
            });
        } else {
            self.structure(value, self.model.structure(element), path, form);
        }
    }
}

/// The `_name` member of an object.
fn beside<'d>(object: Value<'d>, name: &str) -> Option<Value<'d>> {
    let is_beside = |n: Cow<'_, str>| n.strip_prefix('_') == Some(name);
    object
        .members()
        .find(|m| is_beside(m.name()))
        .map(|m| m.value)
}
