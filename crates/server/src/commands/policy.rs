//! `insula policy …`: what a tenant's people and governed clients may do.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::print::{print, table, text};
use crate::admin_client::{AdminClient, Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Policy {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Policies that are ready to be put into force.
    Presets,
    /// The policy in force, or an older version.
    Show {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// A version.
        #[arg(long)]
        version: Option<u64>,
    },
    /// Which grants of the policy in force are as ready policies of earlier versions say them.
    Outdated {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// Write the policy with today's grants in their place to this file, ready to be tried and published.
        #[arg(long, value_name = "FILE")]
        draft: Option<PathBuf>,
    },
    /// Put a policy into force, from the next request on.
    Publish(Publish),
    /// Put an older version into force again.
    Rollback {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The version.
        version: u64,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Every version that was in force.
    Versions {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// What is different between two versions.
    Diff {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The older one; 0 is no policy.
        from: u64,
        /// The newer one.
        to: u64,
    },
    /// Who may do what, as a table of roles by types.
    Matrix {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Explain a decision.
    Test(Test),
    /// What policies of Aidbox or Medplum become here: a draft, and what could not be mapped.
    Import(Import),
    /// Try a draft on what was asked lately.
    DryRun {
        /// The tenant.
        #[arg(long)]
        tenant: String,
        /// The draft.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Publish {
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// The document.
    #[arg(required_unless_present = "preset", conflicts_with = "preset")]
    file: Option<PathBuf>,
    /// A ready policy instead.
    #[arg(long)]
    preset: Option<String>,
    /// Why.
    #[arg(long)]
    reason: String,
    /// The version that is known to be in force; refused if another is.
    #[arg(long)]
    after: Option<u64>,
}

#[derive(Debug, Args)]
struct Import {
    /// The tenant whose types and search parameters they are understood in.
    #[arg(long)]
    tenant: String,
    /// Whose documents they are: `aidbox`, `medplum`.
    #[arg(long)]
    from: String,
    /// The role to which policies are given that name nobody.
    #[arg(long)]
    role: Option<String>,
    /// What a name of the other platform stands for here: `%provider_organization=%user.facilities`,
    /// `.user.data.org=%user.facilities`, `User/jane=…`; may be repeated.
    #[arg(long = "name", value_name = "THERE=HERE")]
    names: Vec<String>,
    /// Write the draft to this file, ready to be published.
    #[arg(long, value_name = "FILE")]
    draft: Option<PathBuf>,
    /// Documents: JSON (one, a list, a Bundle) or NDJSON.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct Test {
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// An API client, by id.
    #[arg(long)]
    client: Option<String>,
    /// A person of the tenant, by id or by login.
    #[arg(long, conflicts_with_all = ["client", "roles"])]
    person: Option<String>,
    /// The person proved by two factors who they are.
    #[arg(long, requires = "person")]
    stepped_up: bool,
    /// Somebody with this role: `clinician@Organization/1`; may be repeated.
    #[arg(long = "role")]
    roles: Vec<String>,
    /// `read search history create update delete export`, or an operation that grants name (`'$lastn'`)
    action: String,
    /// A resource type
    target: String,
    /// A draft to ask instead of the policy in force.
    #[arg(long, value_name = "FILE")]
    draft: Option<PathBuf>,
}

fn document(path: &PathBuf) -> anyhow::Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// Runs the command.
pub fn run(args: &Policy) -> anyhow::Result<()> {
    let admin = args.connect.admin()?;
    match &args.what {
        What::Presets => {
            let found = admin.get("/policy-presets")?;
            let presets = found.get("presets").cloned().unwrap_or_default();
            print(args.output, &presets, |presets| {
                let rows = presets.as_array().map_or(&[][..], Vec::as_slice).iter();
                let row = |p: &Value| vec![text(p, "name").to_owned(), text(p, "about").to_owned()];
                table(&["NAME", "FOR"], &rows.map(row).collect::<Vec<_>>())
            })
        }
        What::Show { tenant, version } => {
            let path = match version {
                Some(version) => format!("/policy/versions/{version}"),
                None => "/policy".to_owned(),
            };
            let policy = admin.get(&tenant_path(tenant, &path)?)?;
            print(args.output, &policy, |policy| {
                let document = policy.get("document").cloned().unwrap_or_default();
                serde_json::to_string_pretty(&document).unwrap_or_default()
            })
        }
        What::Outdated { tenant, draft } => {
            let policy = admin.get(&tenant_path(tenant, "/policy")?)?;
            if let (Some(path), Some(renewed)) = (draft, policy.get("renewed")) {
                write_draft(path, renewed)?;
            }
            print(args.output, &policy, |policy| match warnings(policy) {
                lines if lines.is_empty() => "none".to_owned(),
                lines => lines.join("\n"),
            })
        }
        What::Publish(new) => {
            let mut draft = json!({ "reason": new.reason });
            match (&new.file, &new.preset) {
                (Some(file), _) => draft["document"] = document(file)?,
                (None, preset) => draft["preset"] = json!(preset),
            }
            if let Some(after) = new.after {
                draft["after"] = json!(after);
            }
            publish(&admin, args.output, &new.tenant, &draft)
        }
        What::Rollback {
            tenant,
            version,
            reason,
        } => {
            let draft = json!({ "version": version, "reason": reason });
            publish(&admin, args.output, tenant, &draft)
        }
        What::Versions { tenant } => {
            let found = admin.get(&tenant_path(tenant, "/policy/versions")?)?;
            let versions = found.get("versions").cloned().unwrap_or_default();
            print(args.output, &versions, |versions| {
                let rows = versions.as_array().map_or(&[][..], Vec::as_slice).iter();
                let row = |v: &Value| {
                    let number = v.get("version").and_then(Value::as_u64).unwrap_or(0);
                    let words = ["at", "by", "reason"].map(|name| text(v, name).to_owned());
                    [vec![number.to_string()], words.to_vec()].concat()
                };
                table(
                    &["VERSION", "AT", "BY", "REASON"],
                    &rows.map(row).collect::<Vec<_>>(),
                )
            })
        }
        What::Diff { tenant, from, to } => {
            let path = format!("/policy/diff?from={from}&to={to}");
            let diff = admin.get(&tenant_path(tenant, &path)?)?;
            print(args.output, &diff, |diff| {
                let named = |list: &str, sign: &str| -> Vec<String> {
                    let all = diff
                        .get(list)
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten();
                    all.map(|g| format!("{sign} {}", text(g, "name"))).collect()
                };
                [
                    named("added", "+"),
                    named("removed", "-"),
                    named("changed", "~"),
                ]
                .concat()
                .join("\n")
            })
        }
        What::Matrix { tenant } => {
            let matrix = admin.get(&tenant_path(tenant, "/policy/matrix")?)?;
            print(args.output, &matrix, as_table)
        }
        What::Test(test) => {
            let mut question =
                json!({ "roles": test.roles, "action": test.action, "type": test.target });
            if let Some(client) = &test.client {
                question["client"] = json!(client);
            }
            if let Some(person) = &test.person {
                question["person"] = json!(person);
                question["steppedUp"] = json!(test.stepped_up);
            }
            if let Some(draft) = &test.draft {
                question["document"] = document(draft)?;
            }
            let told = admin.post(&tenant_path(&test.tenant, "/policy/test")?, &question)?;
            print(args.output, &told, explained)
        }
        What::Import(asked) => import(&admin, args.output, asked),
        What::DryRun { tenant, file } => {
            let trial = json!({ "document": document(file)? });
            let run = admin.post(&tenant_path(tenant, "/policy/dry-run")?, &trial)?;
            print(args.output, &run, |run| {
                let rows = run.get("shifts").and_then(Value::as_array);
                let row = |shift: &Value| {
                    let count = |name: &str| {
                        let count = shift.get(name).and_then(Value::as_u64);
                        count.unwrap_or(0).to_string()
                    };
                    let words = ["roles", "action", "type", "now", "then"];
                    let words = words.map(|name| text(shift, name).to_owned());
                    [words.to_vec(), vec![count("callers"), count("times")]].concat()
                };
                table(
                    &["ROLES", "ACTION", "TYPE", "NOW", "THEN", "CALLERS", "TIMES"],
                    &rows.into_iter().flatten().map(row).collect::<Vec<_>>(),
                )
            })
        }
    }
}

fn publish(admin: &AdminClient, output: Output, tenant: &str, draft: &Value) -> anyhow::Result<()> {
    let made = admin.post(&tenant_path(tenant, "/policy")?, draft)?;
    print(output, &made, |made| {
        let version = made.get("version").and_then(Value::as_u64).unwrap_or(0);
        let mut lines = vec![format!("version {version} is in force")];
        lines.extend(warnings(made));
        lines.join("\n")
    })
}

fn warnings(policy: &Value) -> Vec<String> {
    let all = policy.get("warnings").and_then(Value::as_array);
    let all = all.into_iter().flatten().filter_map(Value::as_str);
    all.map(|w| format!("warning: {w}")).collect()
}

fn write_draft(path: &PathBuf, document: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn import(admin: &AdminClient, output: Output, asked: &Import) -> anyhow::Result<()> {
    let mut documents = Vec::new();
    for path in &asked.files {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        // One document, or one in each line.
        for found in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            let found = found.with_context(|| format!("{} is not JSON", path.display()))?;
            documents.push(found);
        }
    }
    let mut names = serde_json::Map::new();
    for name in &asked.names {
        let (there, here) = name
            .split_once('=')
            .with_context(|| format!("--name {name}: THERE=HERE is expected"))?;
        names.insert(there.to_owned(), json!(here));
    }
    let mut body = json!({ "from": asked.from, "documents": documents, "names": names });
    if let Some(role) = &asked.role {
        body["role"] = json!(role);
    }
    let made = admin.post(&tenant_path(&asked.tenant, "/policy/import")?, &body)?;
    let draft = made.get("document").cloned().unwrap_or_default();
    if let Some(path) = &asked.draft {
        write_draft(path, &draft)?;
    }
    print(output, &made, |made| {
        let lines = made.get("report").and_then(Value::as_array);
        let lines = lines.into_iter().flatten();
        let row = |line: &Value| -> Vec<String> {
            let words = ["document", "pointer", "outcome", "text"];
            words.map(|name| text(line, name).to_owned()).to_vec()
        };
        let rows: Vec<Vec<String>> = lines.map(row).collect();
        let report = table(&["DOCUMENT", "WHERE", "WHAT", "WHY"], &rows);
        match &asked.draft {
            Some(_) => report,
            None => {
                let draft = serde_json::to_string_pretty(&draft).unwrap_or_default();
                format!("{draft}\n\n{report}")
            }
        }
    })
}

fn as_table(matrix: &Value) -> String {
    let words = |list: Option<&Value>| -> Vec<String> {
        let all = list.and_then(Value::as_array).into_iter().flatten();
        all.map(|w| w.as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let roles = words(matrix.get("roles"));
    let types = matrix.get("types").and_then(Value::as_object);
    let rows = types.into_iter().flatten();
    let rows: Vec<Vec<String>> = rows
        .map(|(name, cells)| [vec![name.clone()], words(Some(cells))].concat())
        .collect();
    let mut head = vec!["TYPE"];
    head.extend(roles.iter().map(String::as_str));
    table(&head, &rows)
}

fn explained(told: &Value) -> String {
    let allowed = told.get("allowed").and_then(Value::as_bool) == Some(true);
    let mut lines = vec![if allowed { "allowed" } else { "refused" }.to_owned()];
    if told.get("signs_in").and_then(Value::as_bool) == Some(false) {
        lines.push("this person may not sign in".to_owned());
    }
    if told.get("found").and_then(Value::as_bool) == Some(false) {
        lines.push("there is no such resource".to_owned());
    }
    if told.get("quarantined").and_then(Value::as_bool) == Some(true) {
        let text = "it waits in quarantine: who is allowed to is told that, and not what it says";
        lines.push(text.to_owned());
    }
    for step in told
        .get("steps")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let met = match step.get("met").and_then(Value::as_bool) {
            Some(true) => ", and it is one of them",
            Some(false) => ", and it is none of them",
            None => "",
        };
        lines.push(format!(
            "  {}: {}{met}",
            text(step, "grant"),
            text(step, "says")
        ));
    }
    lines.join("\n")
}
