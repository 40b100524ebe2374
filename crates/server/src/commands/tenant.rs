//! `insula tenant …`: makes, lists, changes and ends tenants through the admin API.

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Tenant {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a tenant.
    Create(Create),
    /// List all tenants.
    List,
    /// Show one tenant.
    Show {
        /// Its name.
        name: String,
    },
    /// Change a tenant's name for people and its settings; what is not named stays as it is.
    Change(Box<Change>),
    /// Where what is administered (policy, people, clients) was altered in the file: revoke all clients,
    /// disable all people and put a policy without grants into force, so that each is made good by name.
    BeginAnew {
        /// Its name.
        name: String,
        /// Who decides so.
        #[arg(long)]
        by: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Stop serving a tenant until it is resumed; nothing is lost.
    Suspend {
        /// Its name.
        name: String,
    },
    /// Serve a suspended or leaving tenant again.
    Resume {
        /// Its name.
        name: String,
    },
    /// Delete a tenant: it can be resumed until the grace period ends, then its key is destroyed.
    Delete(Delete),
    /// Show the signed receipt of a deletion.
    Receipt {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Its name in URLs: 3 to 63 of a-z, 0-9 and '-', beginning with a letter.
    name: String,
    /// A name for people.
    #[arg(long)]
    display: Option<String>,
    /// Its version of FHIR.
    #[arg(long, default_value = "4.0.1")]
    fhir: String,
    /// Whether references must resolve.
    #[arg(long)]
    references: Option<References>,
}

#[derive(Debug, Args)]
struct Change {
    /// Its name.
    name: String,
    /// A name for people.
    #[arg(long)]
    display: Option<String>,
    /// Whether references must resolve.
    #[arg(long)]
    references: Option<References>,
    /// Whether nothing of the trail goes and the tenant is not deleted.
    #[arg(long)]
    legal_hold: Option<bool>,
    /// Days for which records of reads are kept; 0 for ever.
    #[arg(long, value_name = "DAYS")]
    audit_retention: Option<u32>,
    /// Who may ask that a program is registered.
    #[arg(long)]
    registration: Option<Registration>,
    /// An origin whose pages may use the tenant; may be repeated, and replaces those that are set.
    #[arg(long = "cors-origin", value_name = "ORIGIN")]
    cors_origins: Vec<String>,
    /// No origin of its own may use the tenant any more.
    #[arg(long, conflicts_with = "cors_origins")]
    no_cors_origins: bool,
    /// Where the trail is shipped (`tls://host:port`); empty: where the house's goes.
    #[arg(long, value_name = "URL")]
    ship_to: Option<String>,
    /// How the receiver gets events.
    #[arg(long)]
    ship_form: Option<ShipForm>,
    /// Certificates (PEM) that the receiver's must be from.
    #[arg(long, value_name = "FILE")]
    ship_ca: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Registration {
    /// Whoever has a token of the tenant's administrators.
    Invited,
    /// Anybody; who asked waits until it is decided.
    Anyone,
    /// Nobody.
    Nobody,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShipForm {
    /// As AuditEvents.
    Rfc5424,
    /// As OCSF events.
    Ocsf,
}

impl Change {
    /// Whether any setting is asked for.
    fn sets(&self) -> bool {
        self.references.is_some()
            || self.legal_hold.is_some()
            || self.audit_retention.is_some()
            || self.registration.is_some()
            || self.no_cors_origins
            || !self.cors_origins.is_empty()
            || self.ship_to.is_some()
            || self.ship_form.is_some()
            || self.ship_ca.is_some()
    }

    /// What is said anew: what is not said stays, whoever sets it meanwhile.
    fn body(&self) -> anyhow::Result<Value> {
        let mut config = json!({});
        if let Some(references) = self.references {
            config["references"] = json!(references.word());
        }
        if let Some(hold) = self.legal_hold {
            config["legal_hold"] = json!(hold);
        }
        if let Some(days) = self.audit_retention {
            config["audit_retention_days"] = json!(days);
        }
        if let Some(registration) = self.registration {
            config["registration"] = json!(match registration {
                Registration::Invited => "invited",
                Registration::Anyone => "anyone",
                Registration::Nobody => "nobody",
            });
        }
        if self.no_cors_origins || !self.cors_origins.is_empty() {
            config["cors_origins"] = json!(self.cors_origins);
        }
        if let Some(url) = &self.ship_to {
            config["audit_shipping"]["syslog"] = json!(url);
        }
        if let Some(form) = self.ship_form {
            config["audit_shipping"]["form"] = json!(match form {
                ShipForm::Rfc5424 => "rfc5424",
                ShipForm::Ocsf => "ocsf",
            });
        }
        if let Some(path) = &self.ship_ca {
            let pem = std::fs::read_to_string(path);
            let pem = pem.with_context(|| format!("cannot read {}", path.display()))?;
            config["audit_shipping"]["ca"] = json!(pem);
        }
        let mut body = json!({});
        if self.sets() {
            body["config"] = config;
        }
        if let Some(display) = &self.display {
            body["display"] = json!(display);
        }
        Ok(body)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum References {
    /// References are stored as they are.
    Literal,
    /// A reference must resolve when it is written.
    Enforced,
}

impl References {
    const fn word(self) -> &'static str {
        match self {
            Self::Literal => "literal",
            Self::Enforced => "enforced",
        }
    }
}

#[derive(Debug, Args)]
struct Delete {
    /// Its name.
    name: String,
    /// Its name once more.
    #[arg(long, value_name = "NAME")]
    confirm: String,
    /// Seconds until the key is destroyed; 0 destroys it now. Default: the server's setting.
    #[arg(long, value_name = "SECONDS")]
    grace: Option<u64>,
}

/// Runs the command.
pub fn run(args: &Tenant) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let value = match &args.what {
        What::Create(new) => {
            tenant_path(&new.name, "")?;
            let mut body = json!({ "name": new.name, "fhir": new.fhir });
            if let Some(display) = &new.display {
                body["display"] = json!(display);
            }
            if let Some(references) = new.references {
                body["config"] = json!({ "references": references.word() });
            }
            admin.post("/tenants", &body)?
        }
        What::List => return list(args),
        What::Show { name } => admin.get(&tenant_path(name, "")?)?,
        What::Change(change) => {
            let path = tenant_path(&change.name, "")?;
            admin.patch(&path, &change.body()?)?
        }
        What::BeginAnew { name, by, reason } => {
            let said = json!({ "by": by, "reason": reason });
            admin.post(&tenant_path(name, "/begin-anew")?, &said)?;
            let done = json!({ "name": name, "administration": "begun anew" });
            return print(args.output, &done, |_| {
                "all clients are revoked, all people are disabled, and a policy without grants is in force;\n\
                 next: insula person create (or invite) an administrator, and publish a policy"
                    .to_owned()
            });
        }
        What::Suspend { name } => admin.post(&tenant_path(name, "/suspend")?, &Value::Null)?,
        What::Resume { name } => admin.post(&tenant_path(name, "/resume")?, &Value::Null)?,
        What::Receipt { name } => {
            // Signed as it is, so it is shown as it is.
            let receipt = admin.get(&tenant_path(name, "/receipt")?)?;
            return print(args.output, &receipt, Value::to_string);
        }
        What::Delete(delete) => {
            if delete.confirm != delete.name {
                bail!("--confirm must repeat the tenant's name");
            }
            let mut query = format!("?confirm={}", delete.name);
            if let Some(grace) = delete.grace {
                query.push_str(&format!("&grace={grace}"));
            }
            let before = admin.get(&tenant_path(&delete.name, "")?)?;
            let now = admin.delete(&tenant_path(&delete.name, &query)?)?;
            return print(args.output, &now, |now| {
                let said = said_again(&before, now).map(|said| said + "\n");
                describe(now) + said.as_deref().unwrap_or_default()
            });
        }
    };
    print(args.output, &value, describe)
}

fn list(args: &Tenant) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    let mut tenants = Vec::new();
    let mut after = String::new();
    loop {
        let mut page = admin.get(&format!("/tenants?limit=1000{after}"))?;
        if let Some(Value::Array(found)) = page.get_mut("tenants").map(Value::take) {
            tenants.extend(found);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    print(args.output, &Value::from(tenants), |tenants| {
        let tenants = tenants.as_array().map_or(&[][..], Vec::as_slice);
        let row = |t: &Value| {
            ["name", "state", "fhir", "display"]
                .map(|name| text(t, name).to_owned())
                .to_vec()
        };
        let rows: Vec<Vec<String>> = tenants.iter().map(row).collect();
        table(&["NAME", "STATE", "FHIR", "DISPLAY"], &rows)
    })
}

/// What somebody is told who deletes a tenant that is leaving already.
fn said_again(before: &Value, now: &Value) -> Option<String> {
    let was_leaving = text(before, "state") == "leaving";
    let (then, now) = (text(before, "shred_at"), text(now, "shred_at"));
    let name = text(before, "name");
    match was_leaving && !now.is_empty() {
        false => None,
        true if then == now => Some(format!(
            "{name} is leaving already, and stays until {now} as it was said first; insula tenant resume {name} keeps it"
        )),
        true => Some(format!("{name} is leaving already; it leaves sooner now")),
    }
}

/// One fact a line.
fn describe(value: &Value) -> String {
    let mut out = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        out.push_str(&format!("{name:<10} {value}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::{Change, said_again};

    #[derive(Parser)]
    struct Of {
        #[command(flatten)]
        change: Change,
    }

    #[test]
    fn who_deletes_again_is_told_that_the_date_stays() {
        let of = |state: &str, at: &str| json!({ "name": "north", "state": state, "shred_at": at });
        let said = |then: &Value, now: &Value| said_again(then, now).unwrap_or_default();
        let leaving = of("leaving", "2026-12-01T00:00:00Z");
        assert_eq!(said(&of("active", ""), &leaving), "");
        let same = said(&leaving, &leaving);
        assert!(
            same.contains("leaving already") && same.contains("2026-12-01"),
            "{same}"
        );
        let sooner = of("leaving", "2026-11-24T00:00:00Z");
        assert!(said(&leaving, &sooner).contains("sooner"));
    }

    #[test]
    fn a_change_says_what_is_asked_and_nothing_else() {
        let body = |arguments: &[&str]| -> Value {
            let all = ["x", "lakeside"].iter().chain(arguments);
            Of::parse_from(all).change.body().unwrap()
        };
        assert_eq!(
            body(&["--display", "Lakeside"]),
            json!({ "display": "Lakeside" })
        );
        assert_eq!(
            body(&["--registration", "nobody"]),
            json!({ "config": { "registration": "nobody" } })
        );
        assert_eq!(
            body(&["--ship-to", "tls://b:2"]),
            json!({ "config": { "audit_shipping": { "syslog": "tls://b:2" } } })
        );
        assert_eq!(
            body(&["--ship-form", "ocsf"]),
            json!({ "config": { "audit_shipping": { "form": "ocsf" } } })
        );
    }
}
