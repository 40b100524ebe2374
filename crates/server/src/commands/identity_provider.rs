//! `insula identity-provider …`: where a tenant's people may sign in instead of here.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct IdentityProvider {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Set a provider: a new one, or in the place of the one of this id.
    Set(Box<Set>),
    /// List the providers of a tenant.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Forget a provider; what was given by it ends.
    Remove {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The provider's id.
        id: String,
    },
}

#[derive(Debug, Args)]
struct Set {
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// Its name in addresses: a-z, 0-9 and -.
    id: String,
    /// What people see on the button.
    #[arg(long)]
    name: String,
    /// The house's own provider, which the configuration names.
    #[arg(long, conflicts_with_all = ["issuer", "client_id", "client_secret_file"])]
    house: bool,
    /// Its issuer.
    #[arg(long, value_name = "URL", required_unless_present = "house")]
    issuer: Option<String>,
    /// What the tenant is called there.
    #[arg(long, value_name = "ID", required_unless_present = "house")]
    client_id: Option<String>,
    /// File with what the tenant proves itself with there; `-` reads it from the standard input.
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// Scopes to ask for; default: openid, profile, email.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The claim that roles come from: its name, or names with dots between them.
    #[arg(long, value_name = "CLAIM")]
    roles_claim: Option<String>,
    /// What a value of that claim comes to: `value=role` or `value=role@Organization/1`; may be repeated.
    #[arg(long = "role", value_name = "VALUE=ROLE", requires = "roles_claim")]
    roles: Vec<String>,
    /// The claim with the resource that stands for the person: `Practitioner/id`.
    #[arg(long, value_name = "CLAIM")]
    fhir_user_claim: Option<String>,
    /// Make those known who are known there and get a role by it.
    #[arg(long)]
    just_in_time: bool,
    /// A value of `acr` or `amr` that stands for two factors; may be repeated.
    #[arg(long = "two-factors", value_name = "VALUE")]
    two_factors: Vec<String>,
    /// Why: those who administer the clinic are shown it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Set {
    fn body(&self) -> anyhow::Result<Value> {
        let mut body = json!({
            "id": self.id, "name": self.name, "just_in_time": self.just_in_time,
        });
        let mut roles: Map<String, Value> = Map::new();
        for pair in &self.roles {
            let Some((value, role)) = pair.rsplit_once('=') else {
                bail!("--role is written value=role, not \"{pair}\"");
            };
            let given = roles.entry(value).or_insert_with(|| json!([]));
            if let Some(given) = given.as_array_mut() {
                given.push(json!(role));
            }
        }
        let members = [
            ("house", self.house.then_some(json!(true))),
            ("issuer", self.issuer.as_ref().map(|v| json!(v))),
            ("client_id", self.client_id.as_ref().map(|v| json!(v))),
            ("client_secret", self.secret()?.map(Value::String)),
            (
                "scopes",
                (!self.scopes.is_empty()).then(|| json!(self.scopes)),
            ),
            ("roles_claim", self.roles_claim.as_ref().map(|v| json!(v))),
            ("roles", (!roles.is_empty()).then_some(Value::Object(roles))),
            (
                "fhir_user_claim",
                self.fhir_user_claim.as_ref().map(|v| json!(v)),
            ),
            ("reason", self.reason.as_ref().map(|v| json!(v))),
            (
                "two_factors",
                (!self.two_factors.is_empty()).then(|| json!(self.two_factors)),
            ),
        ];
        if let Some(body) = body.as_object_mut() {
            for (name, value) in members {
                body.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
        Ok(body)
    }

    fn secret(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.client_secret_file else {
            return Ok(None);
        };
        let mut secret = String::new();
        if path.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut secret)?;
        } else {
            secret = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
        }
        Ok(Some(secret.trim().to_owned()))
    }
}

/// How long it lets people in.
fn standing(provider: &Value) -> String {
    let until = provider.pointer("/made/until").and_then(Value::as_str);
    match (provider.get("lets_in").and_then(Value::as_bool), until) {
        (Some(false), _) => "no".to_owned(),
        (_, Some(until)) => format!("until {until}"),
        (_, None) => "yes".to_owned(),
    }
}

/// Runs the command.
pub fn run(args: &IdentityProvider) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    match &args.what {
        What::Set(set) => {
            let path = tenant_path(&set.tenant, "/identity-providers")?;
            let made = admin.post(&path, &set.body()?)?;
            print(args.output, &made, |made| {
                format!(
                    "{} is set{}. Tell the provider these addresses:\n  \
                     redirect              {}\n  back-channel logout   {}",
                    text(made, "id"),
                    match made.pointer("/made/until").and_then(Value::as_str) {
                        Some(until) => format!(
                            ", and lets people in until {until} unless somebody who administers the clinic keeps it"
                        ),
                        None => String::new(),
                    },
                    text(made, "redirect_uri"),
                    text(made, "backchannel_logout_uri"),
                )
            })
        }
        What::List { tenant } => {
            let found = admin.get(&tenant_path(tenant, "/identity-providers")?)?;
            let all = found.get("identity_providers").cloned().unwrap_or_default();
            print(args.output, &all, |all| {
                let all = all.as_array().map_or(&[][..], Vec::as_slice);
                let row = |p: &Value| {
                    vec![
                        text(p, "id").to_owned(),
                        text(p, "name").to_owned(),
                        match p.get("house").and_then(Value::as_bool) {
                            Some(true) => "the house's".to_owned(),
                            _ => text(p, "issuer").to_owned(),
                        },
                        standing(p),
                    ]
                };
                let rows: Vec<_> = all.iter().map(row).collect();
                table(&["ID", "NAME", "ISSUER", "LETS PEOPLE IN"], &rows)
            })
        }
        What::Remove { tenant, id } => {
            if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                bail!("\"{id}\" is not an id of a provider");
            }
            admin.delete(&tenant_path(tenant, &format!("/identity-providers/{id}"))?)?;
            let done = json!({ "id": id, "removed": true });
            print(args.output, &done, |_| format!("{id} is removed"))
        }
    }
}
