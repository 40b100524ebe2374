//! Asking a tenant itself, as somebody of the tenant: what is a tenant's own is not the operator's.

use std::path::PathBuf;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::admin_client::{Connect, tenant_path};

/// Whose right it is by which a tenant is asked.
#[derive(Debug, Args)]
pub(super) struct Credentials {
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// An API client of the tenant that may administer it, by id.
    #[arg(long, requires = "secret_file")]
    client: Option<String>,
    /// File with the client's secret.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// File with an access token of the tenant, instead of a client's secret.
    #[arg(long, value_name = "FILE", conflicts_with = "client")]
    bearer_file: Option<PathBuf>,
}

impl Credentials {
    fn authorization(&self) -> anyhow::Result<String> {
        let file = |path: &PathBuf| {
            let text = std::fs::read_to_string(path);
            text.with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(match (&self.client, &self.secret_file, &self.bearer_file) {
            (Some(client), Some(secret), _) => {
                let pair = format!("{client}:{}", file(secret)?.trim());
                format!("Basic {}", STANDARD.encode(pair))
            }
            (_, _, Some(token)) => format!("Bearer {}", file(token)?.trim()),
            _ => bail!(
                "this is the tenant's: --bearer-file of a person who may administer it, or to look, \
                 --client with --secret-file"
            ),
        })
    }

    /// Asks for an operation with parameters, and gives back what the server says.
    pub(super) fn ask(
        &self,
        connect: &Connect,
        operation: &str,
        parameters: &Value,
    ) -> anyhow::Result<Value> {
        tenant_path(&self.tenant, "")?;
        let authorization = self.authorization()?;
        let url = connect.server_url()?;
        let body = json!({ "resourceType": "Parameters", "parameter": parameters });
        let response = connect
            .agent()?
            .post(format!("{url}/t/{}/fhir/{operation}", self.tenant))
            .header("authorization", authorization)
            .header("content-type", "application/fhir+json")
            .send(body.to_string().as_bytes());
        let mut response = response.with_context(|| format!("cannot reach {url}"))?;
        let status = response.status();
        let said: Value =
            serde_json::from_str(&response.body_mut().read_to_string()?).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(said);
        }
        let issue = |path: &str| {
            said.pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (why, code) = (
            issue("/issue/0/diagnostics"),
            issue("/issue/0/details/coding/0/code"),
        );
        bail!("{why} ({code}, HTTP {})", status.as_u16())
    }
}

/// Parts of a Parameters resource as plain JSON. `lists`: names that may come several times, and what the
/// lists are called.
pub(super) fn plain(parts: Option<&Value>, lists: &[(&str, &str)]) -> Value {
    let mut made = Map::new();
    for (_, list) in lists.iter().filter(|(one, _)| *one == "item") {
        made.insert((*list).to_owned(), json!([]));
    }
    for part in parts.and_then(Value::as_array).into_iter().flatten() {
        let name = part.get("name").and_then(Value::as_str).unwrap_or_default();
        let members = part.as_object().into_iter().flatten();
        let value = members.into_iter().find(|(n, _)| n.starts_with("value"));
        let value = match value {
            // The document is JSON in a string.
            Some((_, Value::String(text))) if name == "document" => {
                serde_json::from_str(text).unwrap_or_default()
            }
            Some((_, value)) => value.clone(),
            None => plain(part.get("part"), &without_items(lists)),
        };
        match lists.iter().find(|(one, _)| *one == name) {
            None => drop(made.insert(name.to_owned(), value)),
            Some((_, list)) => {
                let list = made.entry((*list).to_owned()).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(value);
                }
            }
        }
    }
    Value::Object(made)
}

/// Items have no items.
fn without_items<'l>(lists: &[(&'l str, &'l str)]) -> Vec<(&'l str, &'l str)> {
    let others = lists.iter().filter(|(one, _)| *one != "item");
    others.copied().collect()
}
