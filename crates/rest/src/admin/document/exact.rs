//! The description made exact, and bodies held against it: what it does not allow is refused before
//! anything looks at it, so that the description is what is done.
//!
//! Holds kinds and names of members against it; which values are good the engine says, with codes of its own.

use serde_json::{Map, Value, json};

/// Text that can be printed, of at most so many characters.
fn printable(characters: usize) -> Value {
    json!({ "type": "string", "pattern": format!("^[^\\u0000-\\u001f\\u007f-\\u009f]{{1,{characters}}}$") })
}

/// What the engine asks of members, by schema and member.
fn members() -> [(&'static str, &'static str, Value); 18] {
    let administrator = json!({
        "type": "array", "minItems": 1, "items": { "const": "tenant-administrator" },
    });
    let reason = json!({ "type": "string", "minLength": 1, "maxLength": 500, "pattern": "\\S" });
    [
        ("VendorDraft", "name", printable(200)),
        ("VendorDraft", "reason", reason.clone()),
        ("SwitchDraft", "reason", reason.clone()),
        ("Contract", "data", printable(1_000)),
        ("Contract", "contact", printable(1_000)),
        ("Contract", "document", printable(1_000)),
        ("TenantDraft", "display", printable(200)),
        ("TenantPatch", "display", printable(200)),
        ("ImportReason", "reason", printable(80)),
        ("ClientDraft", "name", printable(200)),
        ("PersonDraft", "name", printable(200)),
        (
            "PersonDraft",
            "login",
            json!({ "type": "string", "pattern": "^[^\\s\\u0000-\\u001f\\u007f-\\u009f]{1,200}$" }),
        ),
        ("PersonDraft", "roles", administrator),
        (
            "PersonDraft",
            "groups",
            json!({ "type": "array", "maxItems": 200, "items": printable(200) }),
        ),
        (
            "PersonDraft",
            "fhir_user",
            json!({ "type": "string", "pattern":
                "^((Practitioner|PractitionerRole|Patient|RelatedPerson|Person)/[A-Za-z0-9.-]{1,64})?$" }),
        ),
        ("PolicyDraft", "reason", reason),
        (
            "PolicyQuestion",
            "action",
            json!({ "enum": ["read", "search", "history", "create", "update", "delete"] }),
        ),
        (
            "PolicyQuestion",
            "address",
            json!({ "anyOf": [{ "type": "string", "format": "ipv4" }, { "type": "string", "format": "ipv6" }] }),
        ),
    ]
}

/// Makes a description exact: every parameter of a path is described, numbers have bounds, bodies have no
/// members but those named, and what may be left out may be `null`.
pub(super) fn exact(mut document: Value) -> Value {
    let mut bodies = Vec::new();
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, item) in paths {
            for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
                parameters(path, operation);
                bodies.extend(body_of(operation).map(str::to_owned));
            }
        }
    }
    if let Some(schemas) = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
    {
        for (schema, member, exact) in members() {
            let known = schemas.get_mut(schema);
            let known = known.and_then(|s| s.pointer_mut(&format!("/properties/{member}")));
            if let Some(known) = known {
                *known = exact;
            }
        }
        // What is named inside of a body is one too.
        let mut at = 0;
        while let Some(name) = bodies.get(at).cloned() {
            if let Some(schema) = schemas.get(&name) {
                let mut inner = Vec::new();
                named(schema, &mut inner);
                inner.retain(|name| !bodies.contains(name));
                bodies.append(&mut inner);
            }
            at += 1;
        }
        for name in bodies {
            if let Some(schema) = schemas.get_mut(&name) {
                strict(schema);
            }
        }
    }
    document
}

fn body_of(operation: &Value) -> Option<&str> {
    let pointer = "/requestBody/content/application~1json/schema/$ref";
    let reference = operation.pointer(pointer).and_then(Value::as_str)?;
    reference.rsplit('/').next()
}

fn named(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            let reference = object.get("$ref").and_then(Value::as_str);
            into.extend(reference.and_then(|r| Some(r.rsplit('/').next()?.to_owned())));
            object.values().for_each(|inner| named(inner, into));
        }
        Value::Array(all) => all.iter().for_each(|inner| named(inner, into)),
        _ => {}
    }
}

/// Describes the parameters of a path that are not yet, and bounds numbers.
fn parameters(path: &str, operation: &mut Value) {
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    let known = operation.entry("parameters").or_insert_with(|| json!([]));
    let Some(known) = known.as_array_mut() else {
        return;
    };
    for named in path.split('{').skip(1).filter_map(|p| p.split('}').next()) {
        let is =
            |p: &Value| p.get("in") == Some(&json!("path")) && p.get("name") == Some(&json!(named));
        if !known.iter().any(is) {
            known.push(json!({ "name": named, "in": "path", "required": true,
                "schema": { "type": "string" } }));
        }
    }
    for parameter in known {
        if let Some(schema) = parameter.get_mut("schema") {
            bounded(schema);
        }
    }
}

/// Whole numbers are counted from zero.
fn bounded(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut()
        && object.get("type") == Some(&json!("integer"))
    {
        object.entry("minimum").or_insert_with(|| json!(0));
    }
}

/// No members but those named; what may be left out may be `null`.
fn strict(schema: &mut Value) {
    bounded(schema);
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let required = object.get("required").cloned().unwrap_or_default();
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, inner) in properties {
            strict(inner);
            let needed = required
                .as_array()
                .is_some_and(|r| r.contains(&json!(name)));
            if !needed {
                let is = inner.take();
                *inner = json!({ "anyOf": [is, { "type": "null" }] });
            }
        }
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    for word in ["items", "oneOf", "anyOf", "allOf"] {
        match object.get_mut(word) {
            Some(Value::Array(all)) => all.iter_mut().for_each(strict),
            Some(inner) => strict(inner),
            None => {}
        }
    }
}

/// The schema of the body of an operation.
pub(super) fn body_schema<'d>(document: &'d Value, operation: &str) -> Option<&'d Value> {
    let paths = document.get("paths")?.as_object()?;
    let mut all = paths
        .values()
        .filter_map(Value::as_object)
        .flat_map(Map::values);
    let found = all.find(|o| o.get("operationId") == Some(&json!(operation)))?;
    let name = body_of(found)?;
    document.pointer("/components/schemas")?.get(name)
}

/// Holds a value against a schema; where it does not fit, and why. Members that are `null` where they may be
/// left out are left out afterwards.
///
/// # Errors
/// The place and the reason.
pub(super) fn fits(
    document: &Value,
    schema: &Value,
    value: &mut Value,
    place: &str,
) -> Result<(), String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        let schemas = document.pointer("/components/schemas");
        return match schemas.and_then(|s| s.get(name)) {
            Some(schema) => fits(document, schema, value, place),
            None => Ok(()),
        };
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(ways) = schema.get(word).and_then(Value::as_array) {
            let mut first = None;
            for way in ways {
                match fits(document, way, value, place) {
                    Ok(()) => return Ok(()),
                    Err(why) => first = first.or(Some(why)),
                }
            }
            return Err(first.unwrap_or_else(|| format!("{place} does not fit")));
        }
    }
    if let Some(kind) = schema.get("type").and_then(Value::as_str)
        && !is_of(kind, value)
    {
        let article = if kind.starts_with(['a', 'i', 'o']) {
            "an"
        } else {
            "a"
        };
        return Err(format!("{place} is not {article} {kind}"));
    }
    match value {
        Value::Object(members) => of_object(document, schema, members, place),
        Value::Array(all) => {
            let Some(items) = schema.get("items") else {
                return Ok(());
            };
            let mut each = all.iter_mut().enumerate();
            each.try_for_each(|(n, item)| fits(document, items, item, &format!("{place}[{n}]")))
        }
        _ => Ok(()),
    }
}

fn of_object(
    document: &Value,
    schema: &Value,
    members: &mut Map<String, Value>,
    place: &str,
) -> Result<(), String> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    let inside = |name: &str| match place {
        "the body" => name.to_owned(),
        place => format!("{place}.{name}"),
    };
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            return Err(format!("{} is missing", inside(name)));
        }
    }
    for (name, value) in members.iter_mut() {
        match properties.get(name) {
            Some(known) => fits(document, known, value, &inside(name))?,
            None if schema.get("additionalProperties") == Some(&json!(false)) => {
                let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                return Err(format!(
                    "{} is unknown; known are {}",
                    inside(name),
                    known.join(", ")
                ));
            }
            None => {}
        }
    }
    members.retain(|_, value| !value.is_null());
    Ok(())
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_held_against_the_description() {
        let document = super::super::openapi();
        let fitted = |operation: &str, mut body: Value| {
            let schema = body_schema(&document, operation).unwrap();
            fits(&document, schema, &mut body, "the body").map(|()| body)
        };
        let good = json!({ "name": "lakeside", "display": null, "config": { "references": null } });
        assert_eq!(
            fitted("create-tenant", good).unwrap(),
            json!({ "name": "lakeside", "config": {} })
        );
        for (body, why) in [
            (json!([null, null]), "the body is not an object"),
            (json!({}), "name is missing"),
            (json!({ "name": "a", "nam": 1 }), "nam is unknown"),
            (json!({ "name": 7 }), "name is not a string"),
            (
                json!({ "name": "lakeside", "config": [] }),
                "config is not an object",
            ),
            (
                json!({ "name": "lakeside", "config": { "cors_origins": [1] } }),
                "config.cors_origins[0] is not a string",
            ),
        ] {
            let told = fitted("create-tenant", body).unwrap_err();
            assert!(told.starts_with(why), "{told}");
        }
    }

    #[test]
    fn every_parameter_of_a_path_is_described() {
        let document = super::super::openapi();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                let named = path.matches('{').count();
                let parameters = operation["parameters"].as_array().unwrap();
                let of_path = parameters.iter().filter(|p| p["in"] == "path").count();
                assert_eq!(named, of_path, "{path}");
            }
        }
    }
}
