//! `insula alerts …`: accesses that somebody of a tenant should look at, what somebody says about them, and
//! the rules. The operator is told how many there are; the rest takes credentials of the tenant.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::credentials::{Credentials, plain};
use super::print::{print, table, text};
use crate::admin_client::{Connect, Output, tenant_path};

/// Arguments.
#[derive(Debug, Args)]
pub struct Alerts {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How many alerts there are, for the operator.
    Count {
        /// The tenant.
        #[arg(long)]
        tenant: String,
    },
    /// Alerts, the newest first.
    List(List),
    /// One alert: what was seen beside what is usual, and the events of the trail.
    Show {
        #[command(flatten)]
        by: Credentials,
        /// Its number.
        number: u64,
    },
    /// Say something about an alert, once, under one's own name.
    Acknowledge(Acknowledge),
    /// The rules by which alerts are raised.
    Rules(Rules),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    by: Credentials,
    /// Those that nobody said anything about yet, those that somebody did, or all.
    #[arg(long, default_value = "open", value_parser = ["open", "acknowledged", "all"])]
    state: String,
    /// Of this rule.
    #[arg(long)]
    rule: Option<String>,
    /// With smaller numbers, as the end of the last list told.
    #[arg(long)]
    before: Option<u64>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u64,
}

#[derive(Debug, Args)]
struct Acknowledge {
    #[command(flatten)]
    by: Credentials,
    /// Its number.
    number: u64,
    /// There is an explanation, or it gives cause for concern.
    #[arg(long, value_parser = ["explained", "concern"])]
    verdict: String,
    /// What to think of it; a concern has one.
    #[arg(long)]
    remark: Option<String>,
}

#[derive(Debug, Args)]
struct Rules {
    #[command(subcommand)]
    what: OfRules,
}

#[derive(Debug, Subcommand)]
enum OfRules {
    /// The rules in force, or an earlier version, with everything that the document leaves out.
    Show {
        #[command(flatten)]
        by: Credentials,
        /// A version.
        #[arg(long)]
        version: Option<u64>,
    },
    /// Every version that was in force.
    Versions {
        #[command(flatten)]
        by: Credentials,
    },
    /// What is different between two versions.
    Diff {
        #[command(flatten)]
        by: Credentials,
        /// The older one; 0 for the ready rules.
        from: u64,
        /// The newer one.
        to: u64,
    },
    /// Put rules into force.
    Publish {
        #[command(flatten)]
        by: Credentials,
        /// The document.
        file: PathBuf,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The version that is known to be in force; refused if another is.
        #[arg(long)]
        after: Option<u64>,
    },
}

/// Names in answers that may come several times, and what lists of them are called.
const LISTS: &[(&str, &str)] = &[
    ("item", "items"),
    ("event", "events"),
    ("earlier", "earliers"),
    ("change", "changes"),
];

fn parameter(name: &str, value: impl std::fmt::Display) -> Value {
    json!({ "name": name, "valueString": value.to_string() })
}

/// Runs the command.
///
/// # Errors
/// The server is not there, or refuses.
pub fn run(args: &Alerts) -> anyhow::Result<()> {
    match &args.what {
        What::Count { tenant } => {
            let admin = args.connect.admin()?;
            let counts = admin.get(&tenant_path(tenant, "/alerts")?)?;
            print(args.output, &counts, |counts| {
                let of = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or(0);
                format!("{} open, {} acknowledged", of("open"), of("acknowledged"))
            })
        }
        What::List(asked) => list(args, asked),
        What::Show { by, number } => {
            let found = ask(args, by, "$alerts", &[parameter("number", number)])?;
            let alert = found.pointer("/items/0").cloned();
            let alert = alert.with_context(|| format!("there is no alert {number}"))?;
            print(args.output, &alert, in_words)
        }
        What::Acknowledge(said) => {
            let mut parameters = vec![
                parameter("number", said.number),
                parameter("verdict", &said.verdict),
            ];
            parameters.extend(said.remark.iter().map(|r| parameter("remark", r)));
            let alert = ask(args, &said.by, "$alert-acknowledge", &parameters)?;
            print(args.output, &alert, in_words)
        }
        What::Rules(rules) => of_rules(args, &rules.what),
    }
}

fn ask(
    args: &Alerts,
    by: &Credentials,
    operation: &str,
    parameters: &[Value],
) -> anyhow::Result<Value> {
    let told = by.ask(&args.connect, operation, &json!(parameters))?;
    let lists = match operation {
        "$alerts" => LISTS,
        _ => LISTS.split_first().map_or(LISTS, |(_, others)| others),
    };
    Ok(plain(told.get("parameter"), lists))
}

fn list(args: &Alerts, asked: &List) -> anyhow::Result<()> {
    let mut parameters = vec![parameter("_count", asked.limit)];
    if asked.state != "all" {
        parameters.push(parameter("state", &asked.state));
    }
    parameters.extend(asked.rule.iter().map(|rule| parameter("rule", rule)));
    parameters.extend(asked.before.map(|before| parameter("before", before)));
    let found = ask(args, &asked.by, "$alerts", &parameters)?;
    print(args.output, &found, |found| {
        let all = found.get("items").and_then(Value::as_array);
        let all = all.map_or(&[][..], Vec::as_slice);
        if all.is_empty() {
            return "there are no such alerts".to_owned();
        }
        let row = |alert: &Value| {
            let number = alert.get("number").map(Value::to_string);
            let words = ["rule", "last", "actor", "patient", "seen", "state"];
            let words = words.map(|name| text(alert, name).to_owned());
            [vec![number.unwrap_or_default()], words.to_vec()].concat()
        };
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        let head = ["NUMBER", "RULE", "LAST", "WHO", "WHOM", "SEEN", "STATE"];
        let mut told = table(&head, &rows);
        if let Some(next) = found.get("next") {
            told.push_str(&format!("there are more: --before {next}"));
        }
        told
    })
}

/// An alert in lines.
fn in_words(alert: &Value) -> String {
    let number = alert.get("number").map(Value::to_string);
    let count = alert.get("count").map(Value::to_string);
    let mut lines = vec![format!(
        "alert {}, {}: {}",
        number.unwrap_or_default(),
        text(alert, "state"),
        text(alert, "about")
    )];
    let named = |of: &str, name: &str| match text(alert, name) {
        "" => text(alert, of).to_owned(),
        name => format!("{name} ({})", text(alert, of)),
    };
    for (label, value) in [
        ("rule", text(alert, "rule").to_owned()),
        ("who", named("actor", "actorName")),
        ("through", named("program", "programName")),
        ("whom", text(alert, "patient").to_owned()),
        ("first", text(alert, "first").to_owned()),
        ("last", text(alert, "last").to_owned()),
        ("count", count.unwrap_or_default()),
        ("seen", text(alert, "seen").to_owned()),
    ] {
        if !value.is_empty() {
            lines.push(format!("  {label}: {value}"));
        }
    }
    let events = alert.get("events").and_then(Value::as_array);
    for event in events.into_iter().flatten().filter_map(Value::as_str) {
        lines.push(format!("  event: {event}"));
    }
    if let Some(said) = alert.get("acknowledged") {
        let (verdict, by) = (text(said, "verdict"), text(said, "by"));
        lines.push(format!("  {verdict}, says {by}: {}", text(said, "remark")));
    }
    lines.join("\n")
}

fn of_rules(args: &Alerts, what: &OfRules) -> anyhow::Result<()> {
    match what {
        OfRules::Show { by, version } => {
            let told = ask(args, by, "$alert-rules", &[])?;
            let all = versions(&told);
            let found = match version {
                None => all.first().copied(),
                Some(version) => {
                    let is = |v: &&Value| v.get("version") == Some(&json!(version));
                    all.into_iter().find(is)
                }
            };
            let found = found.context("there is no such version")?;
            print(args.output, found, |of| {
                let document = of.get("document").cloned().unwrap_or_default();
                serde_json::to_string_pretty(&document).unwrap_or_default()
            })
        }
        OfRules::Versions { by } => {
            let told = ask(args, by, "$alert-rules", &[])?;
            let published = |v: &&Value| v.get("version") != Some(&json!(0));
            let all: Vec<&Value> = versions(&told).into_iter().filter(published).collect();
            print(args.output, &json!(all), |_| {
                let row = |v: &&Value| {
                    let number = v.get("version").map(Value::to_string);
                    let words = ["at", "by", "reason"].map(|name| text(v, name).to_owned());
                    [vec![number.unwrap_or_default()], words.to_vec()].concat()
                };
                let rows: Vec<Vec<String>> = all.iter().map(row).collect();
                table(&["VERSION", "AT", "BY", "REASON"], &rows)
            })
        }
        OfRules::Diff { by, from, to } => {
            let asked = [parameter("from", from), parameter("to", to)];
            let diff = ask(args, by, "$alert-rules", &asked)?;
            print(args.output, &diff, |diff| {
                let all = diff.get("changes").and_then(Value::as_array);
                let line = |change: &Value| {
                    let (was, is) = (text(change, "was"), text(change, "is"));
                    format!("{}: {was} -> {is}", text(change, "what"))
                };
                let lines: Vec<String> = all.into_iter().flatten().map(line).collect();
                lines.join("\n")
            })
        }
        OfRules::Publish {
            by,
            file,
            reason,
            after,
        } => {
            let document = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let mut parameters = vec![parameter("document", document), parameter("reason", reason)];
            let known = |n: &u64| json!({ "name": "after", "valueInteger": n });
            parameters.extend(after.iter().map(known));
            let made = ask(args, by, "$alert-rules-publish", &parameters)?;
            print(args.output, &made, |made| {
                let version = made.get("version").and_then(Value::as_u64).unwrap_or(0);
                format!("version {version} is in force")
            })
        }
    }
}

/// The version in force and earlier ones.
fn versions(told: &Value) -> Vec<&Value> {
    let earlier = told.get("earliers").and_then(Value::as_array);
    std::iter::once(told)
        .chain(earlier.into_iter().flatten())
        .collect()
}
