//! The answer while it is made: objects whose fields can still become lists, because `@flatten`
//! brings values of several objects together.

use std::collections::HashMap;

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
pub(super) struct Fields {
    slots: Vec<Slot>,
    /// The places of the fields by their names, once there are many.
    places: HashMap<String, usize>,
}

/// Up to so many fields are looked through for one of a name.
const LOOKED_THROUGH: usize = 16;

#[derive(Debug)]
struct Slot {
    name: String,
    form: Form,
    values: Vec<Out>,
}

impl Fields {
    /// Makes a field a list, without a value if it has none: a search that finds nothing has an answer.
    pub(super) fn list(&mut self, name: &str) {
        if self.place(name).is_none() {
            self.add(name, Form::List, Vec::new());
        }
    }

    fn add(&mut self, name: &str, form: Form, values: Vec<Out>) {
        if !self.places.is_empty() {
            self.places.insert(name.to_owned(), self.slots.len());
        }
        self.slots.push(Slot {
            name: name.to_owned(),
            form,
            values,
        });
    }

    /// Adds a value to a field; `false` if the field has one and may have no other.
    pub(super) fn push(&mut self, name: &str, form: Form, value: Out) -> bool {
        match self.place(name).and_then(|at| self.slots.get_mut(at)) {
            None => self.add(name, form, vec![value]),
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

    fn place(&mut self, name: &str) -> Option<usize> {
        if self.slots.len() <= LOOKED_THROUGH {
            return self.slots.iter().position(|slot| slot.name == name);
        }
        if self.places.is_empty() {
            let each = self.slots.iter().enumerate();
            self.places = each.map(|(at, slot)| (slot.name.clone(), at)).collect();
        }
        self.places.get(name).copied()
    }

    /// Appends the object as JSON.
    pub(super) fn write(&self, out: &mut String) {
        out.push('{');
        for (at, slot) in self.slots.iter().enumerate() {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Looking for each among all others would take minutes here.
    #[test]
    fn very_many_fields_find_their_places() {
        let mut fields = Fields::default();
        let count = 200_000;
        for round in 0..2 {
            for n in 0..count {
                let value = Out::Json(round.to_string());
                assert!(fields.push(&format!("f{n}"), Form::Either, value));
            }
        }
        assert!(fields.push("only", Form::Single, Out::text("x")));
        assert!(!fields.push("only", Form::Either, Out::text("y")));
        let mut out = String::new();
        fields.write(&mut out);
        assert!(out.starts_with("{\"f0\":[0,1],\"f1\":[0,1],"));
        assert!(out.ends_with(",\"f199999\":[0,1],\"only\":\"x\"}"));
    }
}
