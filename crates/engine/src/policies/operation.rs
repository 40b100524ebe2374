//! `$policy`, `$policy-publish`, `$policy-test`, `$policy-import` and `$policy-dry-run`: the same as in the admin API,
//! with Parameters resources in and out.

use base::Code;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::failure::Failure;
use crate::session::Session;

/// Members that are lists.
const LISTS: [&str; 2] = ["roles", "documents"];

impl Session {
    /// One of the operations on the policy.
    ///
    /// # Errors
    /// Those of each; `not-supported`.
    pub(crate) async fn govern(&self, name: &str, body: &Bytes) -> Result<Answer, Failure> {
        // The right is looked at before what was sent.
        let _ = self.may_govern().await?;
        match name {
            "policy" => answer(&self.policy().await?),
            "policy-publish" => answer(&self.publish_policy(read(body)?).await?),
            "policy-test" => answer(&self.test_policy(read(body)?).await?),
            "policy-import" => answer(&self.import_policy(read(body)?).await?),
            "policy-dry-run" => answer(&self.dry_run_policy(read(body)?).await?),
            _ => Err(Failure::of(Code::NotSupported)),
        }
    }
}

/// Parameters as what they say.
pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    let wrong = |text: String| Failure::new(Code::RequestInvalid, text);
    let body: Value =
        serde_json::from_slice(body).map_err(|e| Failure::new(Code::JsonSyntax, e.to_string()))?;
    if body.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
        return Err(Failure::new(
            Code::ResourceTypeMismatch,
            "a Parameters resource is expected",
        ));
    }
    let mut members = Map::new();
    let parameters = body.get("parameter").and_then(Value::as_array);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| wrong("a parameter has no name".to_owned()))?;
        let object = parameter.as_object();
        let value = object.and_then(|o| o.iter().find(|(k, _)| k.starts_with("value")));
        let value = value.map(|(_, v)| v.clone());
        let value = value.ok_or_else(|| wrong(format!("{name} has no value")))?;
        let (name, value) = match (name, &value) {
            // The document is JSON in a string.
            ("document", Value::String(text)) => {
                let document = serde_json::from_str(text);
                (name, document.map_err(|e| wrong(format!("document: {e}")))?)
            }
            ("role", _) => ("roles", value),
            // Documents of other platforms, and what their names stand for, are JSON in strings.
            ("source", Value::String(text)) => {
                let document = serde_json::from_str(text);
                (
                    "documents",
                    document.map_err(|e| wrong(format!("source: {e}")))?,
                )
            }
            ("names", Value::String(text)) => {
                let names = serde_json::from_str(text);
                (name, names.map_err(|e| wrong(format!("names: {e}")))?)
            }
            ("given-to", _) => {
                members.insert("role".to_owned(), value);
                continue;
            }
            _ => (name, value),
        };
        if LISTS.contains(&name) {
            let list = members.entry(name).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(value);
            }
        } else {
            members.insert(name.to_owned(), value);
        }
    }
    serde_json::from_value(Value::Object(members)).map_err(|e| wrong(e.to_string()))
}

/// A Parameters resource that says what a structure says.
pub(crate) fn answer<T: Serialize>(told: &T) -> Result<Answer, Failure> {
    let told = serde_json::to_value(told).map_err(|_| Failure::of(Code::Internal))?;
    let body = json!({ "resourceType": "Parameters", "parameter": parts(&told) });
    Ok(Answer::Document(Bytes::from(body.to_string())))
}

fn parts(object: &Value) -> Vec<Value> {
    let members = object.as_object().into_iter().flatten();
    members
        .flat_map(|(name, value)| part(name, value))
        .collect()
}

fn part(name: &str, value: &Value) -> Vec<Value> {
    match value {
        _ if matches!(name, "document" | "renewed") => {
            vec![json!({ "name": name, "valueString": value.to_string() })]
        }
        Value::Null => Vec::new(),
        Value::Bool(b) => vec![json!({ "name": name, "valueBoolean": b })],
        Value::Number(n) => vec![json!({ "name": name, "valueInteger": n })],
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![json!({ "name": name, "valueString": text })],
        Value::Array(items) => {
            let name = name.strip_suffix('s').unwrap_or(name);
            items.iter().flat_map(|item| part(name, item)).collect()
        }
        Value::Object(_) => vec![json!({ "name": name, "part": parts(value) })],
    }
}
