//! `insula person …`: a tenant's first administrator. Everyone else is made known by administrators of
//! the tenant, in their browsers.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Person {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make the tenant's first administrator; the link by which they set a password is shown once.
    Create {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// What they sign in with.
        #[arg(long)]
        login: String,
        /// Their name for others.
        #[arg(long)]
        name: String,
    },
    /// List the people of a tenant.
    List {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Invite the administrator anew, whose link was lost or who was disabled; what they proved themselves
    /// with before is taken off, and the new link is shown once.
    Invite {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The person's id.
        id: String,
    },
    /// Disable a person, from their next request on.
    Disable {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The person's id.
        id: String,
    },
}

/// Runs the command.
pub fn run(args: &Person) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    match &args.what {
        What::Create {
            tenant,
            login,
            name,
        } => {
            let roles = ["tenant-administrator"];
            let body = json!({ "login": login, "name": name, "roles": roles });
            let made = admin.post(&tenant_path(tenant, "/people")?, &body)?;
            print(args.output, &made, invited)
        }
        What::List { tenant } => {
            let found = admin.get(&tenant_path(tenant, "/people")?)?;
            let people = found.get("people").cloned().unwrap_or_default();
            print(args.output, &people, |people| {
                let people = people.as_array().map_or(&[][..], Vec::as_slice);
                table(
                    &["ID", "LOGIN", "NAME", "STATE", "ROLES"],
                    &people.iter().map(row).collect::<Vec<_>>(),
                )
            })
        }
        What::Invite { tenant, id } => {
            must_be_id(id)?;
            let path = tenant_path(tenant, &format!("/people/{id}/invitation"))?;
            let made = admin.post(&path, &Value::Null)?;
            print(args.output, &made, invited)
        }
        What::Disable { tenant, id } => {
            must_be_id(id)?;
            admin.delete(&tenant_path(tenant, &format!("/people/{id}"))?)?;
            let done = json!({ "id": id, "state": "disabled" });
            print(args.output, &done, |_| format!("{id} is disabled"))
        }
    }
}

fn must_be_id(id: &str) -> anyhow::Result<()> {
    if !id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        bail!("\"{id}\" is not a person's id");
    }
    Ok(())
}

fn invited(made: &Value) -> String {
    let from = match text(made, "from") {
        "" => String::new(),
        from => {
            format!("from        {from}: the clinic has people, who are told of it until then\n")
        }
    };
    format!(
        "id          {}\ninvitation  {}\n{from}until       {}\nThe link is not shown again.",
        text(made, "id"),
        text(made, "invitation"),
        text(made, "until"),
    )
}

fn row(person: &Value) -> Vec<String> {
    let roles = person.get("roles").and_then(Value::as_array);
    let roles: Vec<&str> = roles
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    vec![
        text(person, "id").to_owned(),
        text(person, "login").to_owned(),
        text(person, "name").to_owned(),
        text(person, "state").to_owned(),
        roles.join(" "),
    ]
}
