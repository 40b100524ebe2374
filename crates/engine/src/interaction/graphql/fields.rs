//! The answer while it is made: objects whose fields can still become lists, because `@flatten`
//! brings values of several objects together.

use fhir::json::push_json_string;

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As a list, whatever it holds.
    List,
    /// As its one value.
    Single,
    /// As its value, or as a list where there come to be several.
    Either,
}

/// A value.
#[derive(Debug)]
pub(super) enum Out {
    /// JSON.
    Json(String),
    /// An object.
    Object(Fields),
}

/// An object.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<Slot>);

#[derive(Debug)]
struct Slot {
    name: String,
    form: Form,
    values: Vec<Out>,
}

impl Fields {
    /// Adds a value to a field; `false` if the field has one and may have no other.
    pub(super) fn push(&mut self, name: &str, form: Form, value: Out) -> bool {
        match self.0.iter_mut().find(|slot| slot.name == name) {
            None => self.0.push(Slot {
                name: name.to_owned(),
                form,
                values: vec![value],
            }),
            Some(slot) => {
                if slot.form == Form::Single || form == Form::Single {
                    return false;
                }
                slot.form = Form::List;
                slot.values.push(value);
            }
        }
        true
    }

    /// Appends the object as JSON.
    pub(super) fn write(&self, out: &mut String) {
        out.push('{');
        for (at, slot) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            push_json_string(&slot.name, out);
            out.push(':');
            match (slot.form, slot.values.as_slice()) {
                (Form::Single | Form::Either, [only]) => only.write(out),
                (_, values) => {
                    out.push('[');
                    for (at, value) in values.iter().enumerate() {
                        if at > 0 {
                            out.push(',');
                        }
                        value.write(out);
                    }
                    out.push(']');
                }
            }
        }
        out.push('}');
    }
}

impl Out {
    /// A string.
    pub(super) fn text(text: &str) -> Self {
        let mut out = String::with_capacity(text.len() + 2);
        push_json_string(text, &mut out);
        Self::Json(out)
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Json(text) => out.push_str(text),
            Self::Object(fields) => fields.write(out),
        }
    }
}
