//! JSON in one form, so that two documents that say the same are the same text.

use std::collections::BTreeMap;

use fhir::json::{self, Kind, Value};

/// The text with members in order of name; numbers stay as they are written, strings become what
/// `string` makes of them.
pub(crate) fn text(of: &str, string: &dyn Fn(&str) -> String) -> String {
    let doc = json::parse(of.as_bytes(), 64).unwrap();
    let mut out = String::new();
    write(doc.root(), string, &mut out);
    out
}

fn write(value: Value<'_>, string: &dyn Fn(&str) -> String, out: &mut String) {
    match value.kind() {
        Kind::Object => {
            let members: BTreeMap<String, Value<'_>> = value
                .members()
                .map(|m| (m.name().into_owned(), m.value))
                .collect();
            for (name, value) in members {
                out.push_str(&name);
                out.push(':');
                write(value, string, out);
                out.push(';');
            }
            out.push('}');
        }
        Kind::Array => {
            for item in value.items() {
                write(item, string, out);
                out.push(',');
            }
            out.push(']');
        }
        Kind::String => json::push_json_string(&string(&value.as_str().unwrap()), out),
        _ => out.push_str(value.raw()),
    }
}
