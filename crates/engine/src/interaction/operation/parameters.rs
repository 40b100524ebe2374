//! Parameters resources (`parameters.html`): simple values in, a Meta out.

use base::Code;
use fhir::json::{self, Doc, Kind, Value};

use crate::failure::Failure;

/// A Parameters resource, parsed.
///
/// # Errors
/// `json-syntax`, `limit-exceeded`, `resource-type-mismatch`.
pub(super) fn parse(body: &[u8], depth_max: usize) -> Result<Doc<'_>, Failure> {
    let doc = json::parse(body, depth_max)
        .map_err(|error| Failure::new(Code::JsonSyntax, error.to_string()))?;
    let name = doc.root().get("resourceType").and_then(Value::as_str);
    if name.as_deref() != Some("Parameters") {
        return Err(Failure::new(
            Code::ResourceTypeMismatch,
            "a Parameters resource is expected",
        ));
    }
    Ok(doc)
}

/// The parameters with this name.
pub(super) fn named<'d>(doc: &'d Doc<'d>, wanted: &'static str) -> impl Iterator<Item = Value<'d>> {
    let all = doc.root().get("parameter").into_iter();
    all.flat_map(Value::items)
        .filter(move |p| p.get("name").and_then(Value::as_str).as_deref() == Some(wanted))
}

/// Names and values of parameters that all have a primitive value.
///
/// # Errors
/// Those of [`parse`]; `request-invalid` for another value.
pub(in crate::interaction) fn simple(
    body: &[u8],
    depth_max: usize,
) -> Result<Vec<(String, String)>, Failure> {
    let doc = parse(body, depth_max)?;
    let mut found = Vec::new();
    for parameter in doc
        .root()
        .get("parameter")
        .into_iter()
        .flat_map(Value::items)
    {
        let name = parameter.get("name").and_then(Value::as_str);
        let name = name.ok_or(Failure::new(
            Code::RequestInvalid,
            "a parameter has no name",
        ))?;
        let value = parameter
            .members()
            .find(|member| member.name().starts_with("value"))
            .map(|member| member.value);
        let text = value.and_then(|value| match value.kind() {
            Kind::String => value.as_str().map(std::borrow::Cow::into_owned),
            Kind::Number | Kind::Bool => Some(value.raw().to_owned()),
            _ => None,
        });
        let what = || format!("the parameter {name} needs a simple value");
        let text = text.ok_or_else(|| Failure::new(Code::RequestInvalid, what()))?;
        found.push((name.into_owned(), text));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_values_are_read() {
        let body = br#"{"resourceType":"Parameters","parameter":[
            {"name":"_since","valueInstant":"2026-01-01T00:00:00Z"},
            {"name":"_count","valueInteger":5},{"name":"b","valueBoolean":true}]}"#;
        let wanted = [
            ("_since", "2026-01-01T00:00:00Z"),
            ("_count", "5"),
            ("b", "true"),
        ];
        let found = simple(body, 10).unwrap();
        let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(found, wanted);
        for (bad, code) in [
            (&b"{"[..], Code::JsonSyntax),
            (
                b"{\"resourceType\":\"Patient\"}",
                Code::ResourceTypeMismatch,
            ),
            (
                b"{\"resourceType\":\"Parameters\",\"parameter\":[{\"name\":\"a\"}]}",
                Code::RequestInvalid,
            ),
            (
                b"{\"resourceType\":\"Parameters\",\"parameter\":[{\"valueCode\":\"a\"}]}",
                Code::RequestInvalid,
            ),
        ] {
            assert_eq!(simple(bad, 10).unwrap_err().code(), code);
        }
    }
}
