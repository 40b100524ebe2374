//! `insula client …`: API clients of a tenant.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Client {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a client; its secret is shown once.
    Create(Create),
    /// List the clients of a tenant.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// List programs that asked to be registered and wait for approval.
    Pending {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Make a client of a program that waits.
    Approve(Approve),
    /// Refuse a program that waits.
    Refuse {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The id that it was given.
        client_id: String,
    },
    /// Revoke a client, from the next request on.
    Revoke {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The client's id.
        client_id: String,
    },
}

#[derive(Debug, Args)]
struct Approve {
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// The id that it was given.
    client_id: String,
    /// What was looked at, as `pending` shows it: needed where the program asks for something else by now
    /// than it did at first.
    #[arg(long, value_name = "RECORD")]
    record: Option<String>,
    /// A part of the scopes that it asks for, in one argument or several; all of them without.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A role by which the tenant's policy governs it: `clinician@Organization/1`; may be repeated. One that
    /// is a client already keeps those that it has without.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The vendor whose grant bounds it. One that is a client already keeps its vendor without.
    #[arg(long, value_name = "VENDOR")]
    vendor: Option<String>,
}

#[derive(Debug, Args)]
struct Create {
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// A name for people.
    #[arg(long)]
    name: String,
    /// SMART v2 scopes, in one argument or several.
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<String>,
    /// A role by which the tenant's policy governs it: `clinician@Organization/1`; may be repeated.
    /// Without one, its scopes are all that it has.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The vendor whose grant bounds it.
    #[arg(long, value_name = "VENDOR")]
    vendor: Option<String>,
    /// Public keys (JWK Set) for `private_key_jwt`.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Where the client publishes its public keys instead.
    #[arg(long, value_name = "URL", conflicts_with = "jwks")]
    jwks_uri: Option<String>,
    /// Where people are sent back to, for a program that people sign in to; several are possible.
    #[arg(long = "redirect-uri", value_name = "URL")]
    redirects: Vec<String>,
    /// Where people may be sent when they signed out; several are possible.
    #[arg(
        long = "post-logout-redirect-uri",
        value_name = "URL",
        requires = "redirects"
    )]
    signed_out: Vec<String>,
    /// It cannot keep a secret: an app in a browser or on a phone.
    #[arg(long)]
    public: bool,
    /// Where a launch from within a record begins.
    #[arg(long, value_name = "URL")]
    launch_url: Option<String>,
    /// It proves who it is by a TLS certificate (RFC 8705): `self-signed` for one in its keys, or a name that
    /// an authority vouches for: `subject=CN=app,O=Acme`, `dns=…`, `uri=…`, `ip=…`, `email=…`.
    #[arg(long, value_name = "NAME")]
    certificate: Option<String>,
    /// The authority that vouches for the name, where `tls.client_authorities` holds several: the SHA-256 of its
    /// certificate.
    #[arg(long, value_name = "SHA256", requires = "certificate")]
    authority: Option<String>,
    /// Its access tokens are good over connections with its certificate alone.
    #[arg(long)]
    bind_tokens: bool,
    /// Why it is made: the clinic reads it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// For how many days it is good, where the clinic has people of its own, it opens records without them, and
    /// none of them keeps it.
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
}

impl Create {
    /// What certificates are to it.
    fn certificates(&self) -> anyhow::Result<Value> {
        let mut terms = json!({ "bound": self.bind_tokens });
        match self.certificate.as_deref() {
            None => {}
            Some("self-signed") => terms["by"] = json!("self_signed"),
            Some(name) => {
                let known = ["subject", "dns", "uri", "ip", "email"];
                let split = name.split_once('=').filter(|(of, _)| known.contains(of));
                let (of, value) = split.with_context(|| {
                    format!("\"{name}\" is neither self-signed nor like dns=app.example")
                })?;
                terms["by"] = json!({ of: value });
            }
        }
        if let Some(authority) = &self.authority {
            terms["authority"] = json!(authority);
        }
        Ok(terms)
    }
}

/// Runs the command.
pub fn run(args: &Client) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    match &args.what {
        What::Create(new) => {
            let scopes: Vec<&str> = new
                .scopes
                .iter()
                .flat_map(|s| s.split_whitespace())
                .collect();
            let mut body = json!({ "name": new.name, "scopes": scopes });
            if !new.roles.is_empty() {
                body["roles"] = json!(new.roles);
            }
            if let Some(vendor) = &new.vendor {
                body["vendor"] = json!(vendor);
            }
            if let Some(path) = &new.jwks {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                body["jwks"] = serde_json::from_str(&text)
                    .with_context(|| format!("{} is not JSON", path.display()))?;
            }
            if let Some(url) = &new.jwks_uri {
                body["jwks_uri"] = json!(url);
            }
            if !new.redirects.is_empty() {
                body["redirect_uris"] = json!(new.redirects);
            }
            if !new.signed_out.is_empty() {
                body["post_logout_redirect_uris"] = json!(new.signed_out);
            }
            if new.public {
                body["public"] = json!(true);
            }
            if let Some(url) = &new.launch_url {
                body["launch_url"] = json!(url);
            }
            if new.certificate.is_some() || new.bind_tokens {
                body["certificates"] = new.certificates()?;
            }
            if let Some(reason) = &new.reason {
                body["reason"] = json!(reason);
            }
            if let Some(days) = new.days {
                body["days"] = json!(days);
            }
            let made = admin.post(&tenant_path(&new.tenant, "/clients")?, &body)?;
            print(args.output, &made, |made| {
                let mut told = format!("client_id      {}\n", text(made, "client_id"));
                if made.get("client_secret").is_some() {
                    let secret = text(made, "client_secret");
                    told.push_str(&format!("client_secret  {secret}\n"));
                }
                told.push_str(&format!("token_url      {}\n", text(made, "token_url")));
                if made.get("client_secret").is_some() {
                    told.push_str("The secret is not shown again.\n");
                }
                if let Some(until) = ends(made) {
                    told.push_str(&format!(
                        "It ends at {until}, unless somebody who administers the clinic keeps it.\n"
                    ));
                }
                let warnings = made.get("warnings").and_then(Value::as_array);
                for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
                    told.push_str(&format!("WARNING: {warning}\n"));
                }
                told
            })
        }
        What::List { tenant } => {
            let found = admin.get(&tenant_path(tenant, "/clients")?)?;
            let clients = found.get("clients").cloned().unwrap_or_default();
            print(args.output, &clients, |clients| {
                let clients = clients.as_array().map_or(&[][..], Vec::as_slice);
                table(
                    &["CLIENT ID", "NAME", "STATE", "SCOPES"],
                    &clients.iter().map(row).collect::<Vec<_>>(),
                )
            })
        }
        What::Pending { tenant } => {
            let found = admin.get(&tenant_path(tenant, "/registrations")?)?;
            let all = found.get("registrations").cloned().unwrap_or_default();
            print(args.output, &all, |all| {
                let all = all.as_array().map_or(&[][..], Vec::as_slice);
                table(
                    &[
                        "CLIENT ID",
                        "NAME",
                        "FROM",
                        "VENDOR",
                        "REDIRECTS",
                        "SCOPES",
                        "RECORD",
                    ],
                    &all.iter().map(waiting).collect::<Vec<_>>(),
                )
            })
        }
        What::Approve(given) => {
            let mut body = json!({ "decision": "approve" });
            if let Some(record) = &given.record {
                body["record"] = json!(record);
            }
            if !given.scopes.is_empty() {
                let scopes = given.scopes.iter().flat_map(|s| s.split_whitespace());
                body["scopes"] = json!(scopes.collect::<Vec<_>>());
            }
            if !given.roles.is_empty() {
                body["roles"] = json!(given.roles);
            }
            if let Some(vendor) = &given.vendor {
                body["vendor"] = json!(vendor);
            }
            let path = registration(&given.tenant, &given.client_id)?;
            let made = admin.post(&path, &body)?;
            print(args.output, &made, |made| {
                format!("{} is a client: {}", given.client_id, row(made).join("  "))
            })
        }
        What::Refuse { tenant, client_id } => {
            let path = registration(tenant, client_id)?;
            admin.post(&path, &json!({ "decision": "refuse" }))?;
            let done = json!({ "client_id": client_id, "refused": true });
            print(args.output, &done, |_| format!("{client_id} is refused"))
        }
        What::Revoke { tenant, client_id } => {
            must_be_id(client_id)?;
            admin.delete(&tenant_path(tenant, &format!("/clients/{client_id}"))?)?;
            let done = json!({ "client_id": client_id, "revoked": true });
            print(args.output, &done, |_| format!("{client_id} is revoked"))
        }
    }
}

fn must_be_id(client_id: &str) -> anyhow::Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !client_id.bytes().all(plain) {
        bail!("\"{client_id}\" is not a client id");
    }
    Ok(())
}

/// The address of a program that waits.
fn registration(tenant: &str, client_id: &str) -> anyhow::Result<String> {
    must_be_id(client_id)?;
    tenant_path(tenant, &format!("/registrations/{client_id}"))
}

fn waiting(one: &Value) -> Vec<String> {
    let words = |member: &str| {
        let all = one.get(member).and_then(Value::as_array);
        let all = all.into_iter().flatten().filter_map(Value::as_str);
        all.collect::<Vec<_>>().join(" ")
    };
    vec![
        text(one, "client_id").to_owned(),
        text(one, "client_name").to_owned(),
        text(one, "from").to_owned(),
        text(one, "vendor").to_owned(),
        words("redirect_uris"),
        words("scopes"),
        text(one, "record").to_owned(),
    ]
}

/// When a client that an operator made ends by itself.
fn ends(client: &Value) -> Option<&str> {
    client.pointer("/made/until").and_then(Value::as_str)
}

fn row(client: &Value) -> Vec<String> {
    let scopes = client
        .get("scopes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let scopes: Vec<&str> = scopes.filter_map(Value::as_str).collect();
    let revoked = client.get("revoked").and_then(Value::as_bool) == Some(true);
    vec![
        text(client, "client_id").to_owned(),
        text(client, "name").to_owned(),
        match (revoked, ends(client)) {
            (true, _) => "revoked".to_owned(),
            (false, Some(until)) => format!("until {until}"),
            (false, None) => "active".to_owned(),
        },
        scopes.join(" "),
    ]
}
