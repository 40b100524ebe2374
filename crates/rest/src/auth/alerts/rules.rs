//! The rules of alerts, in the browsers of those who may see them: one form for whoever may change them,
//! and what each version changed.

use std::collections::BTreeMap;

use axum::body::Body;
use base::Code;
use engine::{
    AlertRulesChange, AlertRulesDiff, AlertRulesDraft, AlertRulesHistory, AlertRulesView, Failure,
    Gate, Visitor, form,
};
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::super::{Browser, Fields, failed, pages, reads_pages, said};
use super::{number, time};
use crate::admin::answer;
use crate::call::Call;

/// Members of the rules, and of what explains an access, in words.
const WORDS: &[(&str, &str)] = &[
    ("off", "Off, because"),
    ("atLeast", "From how many on"),
    ("factor", "From how many times the usual on"),
    (
        "minDays",
        "Days that must be known before something is usual",
    ),
    ("minutes", "Minutes in which it is counted"),
    ("from", "Nobody works from"),
    ("to", "Nobody works until"),
    (
        "weekend",
        "Nobody works on Saturdays and Sundays (true or false)",
    ),
    (
        "usualPercent",
        "Percent of somebody's accesses that make an hour usual",
    ),
    ("labels", "Marks, one a line: system|code"),
    ("exceptRoles", "Not for these roles, one a line"),
    ("exceptPeople", "Not for these people, by id, one a line"),
    ("daysBefore", "Days for which what ended still explains"),
    (
        "daysAhead",
        "Days for which what is to come explains already",
    ),
    (
        "listPatients",
        "With more patients than that an answer is a list",
    ),
    (
        "visitRoles",
        "Roles to whom every visit explains an access, one a line",
    ),
];

/// Members that every rule takes, whether or not it says them.
const OF_EVERY_RULE: [&str; 3] = ["off", "exceptRoles", "exceptPeople"];

fn words(member: &str) -> &str {
    let known = WORDS.iter().find(|(name, _)| *name == member);
    known.map_or(member, |(_, words)| words)
}

/// What is looked at before a rule raises an alert.
pub(super) fn explanation(rule: &str) -> &'static str {
    match rule {
        "own-record" => "Nothing explains it: nobody is in their own care team.",
        "failed-sign-ins" => "Of nobody who is known, they are counted by network.",
        "new-network" => "Networks of the last 90 days are known.",
        "break-glass-unreviewed" => "It ends with the review.",
        _ => {
            "Nothing explained it: no care team, appointment, order or encounter of the patient names \
             the person."
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

/// What a rule says, as it is in force.
pub(super) fn terms(rule: &str, document: &Value) -> Markup {
    let said = document.pointer(&format!("/rules/{rule}"));
    let said = said.and_then(Value::as_object);
    html! {
        dl {
            dt { "Rule" } dd { code { (rule) } }
            @for (name, value) in said.into_iter().flatten() {
                dt { (words(name)) } dd { (text(value).replace('\n', ", ")) }
            }
        }
    }
}

/// `GET /t/{tenant}/auth/alert-rules?from=&to=`
pub(crate) async fn show(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    if !reads_pages(&call) {
        let caller = by.caller().await?;
        return match versions(&call)? {
            Some((from, to)) => answer(StatusCode::OK, &caller.alert_rules_diff(from, to).await?),
            None => answer(StatusCode::OK, &caller.alert_rules().await?),
        };
    }
    let gate = by.gate();
    let browser = Browser::of(gate, &call);
    let token = browser.token(gate).await?;
    match show_page(&by, versions(&call), &token).await {
        Ok(page) => Ok(browser.page(StatusCode::OK, page, "")),
        Err(failure) => Ok(failed(gate, &failure)),
    }
}

async fn show_page(
    by: &Visitor,
    versions: Result<Option<(u64, u64)>, Failure>,
    token: &str,
) -> Result<Markup, Failure> {
    let caller = by.caller().await?;
    let history = caller.alert_rules().await?;
    let compared = match versions? {
        Some((from, to)) => Some(caller.alert_rules_diff(from, to).await?),
        None => None,
    };
    let may = caller.may_change_alert_rules();
    let body = html! {
        p { a href=(by.gate().links().auth("/alerts")) { "To the alerts" } }
        (in_force(&history.now))
        @if may { (change(by.gate(), token, &history.now)) }
        @else { p { "Whoever administers the clinic changes them." } (told(&history.now.document)) }
        (earlier(by.gate(), &history, compared.as_ref()))
    };
    Ok(pages::page(by.gate(), "Rules of alerts", &body))
}

/// Two versions that are to be compared.
fn versions(call: &Call) -> Result<Option<(u64, u64)>, Failure> {
    let query = call.parts.uri.query().unwrap_or_default();
    let of = |name: &str| form::first(query, name).map(|t| number(&t)).transpose();
    match (of("from")?, of("to")?) {
        (Some(from), Some(to)) => Ok(Some((from, to))),
        (None, None) => Ok(None),
        _ => Err(Failure::new(
            Code::RequestInvalid,
            "from and to are two versions",
        )),
    }
}

/// `POST /t/{tenant}/auth/alert-rules`
pub(crate) async fn publish(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let read = |fields: Fields| async {
        let fields = fields;
        let now = by.caller().await?.alert_rules().await?.now;
        Ok(AlertRulesDraft {
            document: document(&fields, &now.document)?,
            reason: fields.or_empty("reason"),
            after: fields.or_empty("after").parse().ok(),
        })
    };
    said(&by, call, "/alert-rules", read, |draft| async {
        let version = by.caller().await?.publish_alert_rules(draft).await?;
        answer(StatusCode::CREATED, &json!({ "version": version }))
    })
    .await
}

/// The document that a form says. Its members are those of the document that is in force, with everything
/// that every rule takes; what is as it is ready is left to be so.
fn document(fields: &Fields, now: &Value) -> Result<Value, Failure> {
    let ready = engine::ready_alert_rules();
    let mut made = Map::new();
    if let Some(offset) = fields.get("utcOffset") {
        made.insert("utcOffset".to_owned(), json!(offset));
    }
    let explain = of_group(fields, "explain", now.get("explain"), &[])?;
    if Some(&explain) != ready.get("explain") {
        made.insert("explain".to_owned(), explain);
    }
    let mut rules = Map::new();
    for (rule, said) in now
        .get("rules")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let said = of_group(fields, rule, Some(said), &OF_EVERY_RULE)?;
        if Some(&said) != ready.pointer(&format!("/rules/{rule}")) {
            rules.insert(rule.clone(), said);
        }
    }
    if !rules.is_empty() {
        made.insert("rules".to_owned(), Value::Object(rules));
    }
    if let Some(url) = fields.get("webhook") {
        let mut webhook = json!({ "url": url });
        if let Some(secret) = fields.get("webhook-secret") {
            webhook["secret"] = json!(secret);
        }
        made.insert("webhook".to_owned(), webhook);
    }
    let to = lines(&fields.or_empty("mail"));
    if !to.is_empty() {
        made.insert("mail".to_owned(), json!({ "to": to }));
    }
    Ok(Value::Object(made))
}

fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines.filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

/// The members of a group of fields, each of the kind that it has in the document in force. An empty
/// field says nothing.
fn of_group(
    fields: &Fields,
    group: &str,
    now: Option<&Value>,
    more: &[&str],
) -> Result<Value, Failure> {
    let mut made = Map::new();
    let is_said = |name: &str| now.is_some_and(|now| now.get(name).is_some());
    for (name, kind) in members(now, more) {
        let said = fields.or_empty(&format!("{group}.{name}"));
        let said = said.trim();
        let wrong = || {
            let text = format!("{group}: {} is not \"{said}\"", words(&name));
            Failure::new(Code::RequestInvalid, text)
        };
        let value = match (&kind, said) {
            // A list that had something in it is empty now.
            (Value::Array(_), "") if is_said(&name) => json!([]),
            (_, "") => continue,
            (Value::Array(_), said) => json!(lines(said)),
            (Value::Number(_) | Value::Bool(_), said) => {
                let value: Value = serde_json::from_str(said).map_err(|_| wrong())?;
                let fits = value.is_boolean() == kind.is_boolean() && !value.is_string();
                fits.then_some(value).ok_or_else(wrong)?
            }
            (_, said) => json!(said),
        };
        made.insert(name, value);
    }
    Ok(Value::Object(made))
}

/// Names and values of a group of members, with those that it might have too.
fn members(now: Option<&Value>, more: &[&str]) -> BTreeMap<String, Value> {
    let mut all: BTreeMap<String, Value> = more
        .iter()
        .map(|name| {
            let kind = match name.starts_with("except") {
                true => json!([]),
                false => json!(""),
            };
            ((*name).to_owned(), kind)
        })
        .collect();
    let said = now.and_then(Value::as_object).into_iter().flatten();
    all.extend(said.map(|(name, value)| (name.clone(), value.clone())));
    all
}

fn in_force(now: &AlertRulesView) -> Markup {
    html! {
        @if now.version == 0 {
            p { "The ready rules are in force: nobody published others." }
        } @else {
            p { "Version " strong { (now.version) } " is in force"
                @if let Some(at) = &now.at { ", since " (time(at)) }
                ", by " (now.by) ": " (now.reason) }
        }
    }
}

/// The rules, for who may not change them.
fn told(document: &Value) -> Markup {
    let rules = document.get("rules").and_then(Value::as_object);
    html! {
        @for (rule, _) in rules.into_iter().flatten() {
            section { h2 { (about(rule)) } (terms(rule, document)) }
        }
    }
}

fn about(rule: &str) -> &'static str {
    let known = engine::alert_rules().find(|(name, _)| *name == rule);
    known.map_or("", |(_, about)| about)
}

/// The form by which rules are changed.
fn change(gate: &Gate, token: &str, now: &AlertRulesView) -> Markup {
    let document = &now.document;
    let rules = document.get("rules").and_then(Value::as_object);
    let member = |path: &str| document.pointer(path).map(text).unwrap_or_default();
    html! {
        form method="post" action=(gate.links().auth("/alert-rules")) {
            input type="hidden" name="_form" value=(token);
            input type="hidden" name="after" value=(now.version);
            fieldset {
                legend { "What explains an access" }
                (group("explain", document.get("explain"), &[]))
                (field("utcOffset", "Local time is ahead of UTC by", &json!(member("/utcOffset"))))
            }
            @for (rule, said) in rules.into_iter().flatten() {
                fieldset {
                    legend { (about(rule)) }
                    p.note { code { (rule) } ". " (explanation(rule)) }
                    (group(rule, Some(said), &OF_EVERY_RULE))
                }
            }
            fieldset {
                legend { "Who is told" }
                (field("webhook", "Address that is called for each alert", &json!(member("/webhook/url"))))
                label for="webhook-secret" { "Secret that calls are signed with; empty: as it is" }
                input #webhook-secret type="password" name="webhook-secret" autocomplete="off";
                @let to = document.pointer("/mail/to").cloned().unwrap_or_else(|| json!([]));
                (field("mail", "Mail addresses, one a line", &to))
            }
            label for="reason" { "Why you change them" }
            input #reason type="text" name="reason" required maxlength="500" autocomplete="off";
            button type="submit" { "Put into force" }
        }
    }
}

fn group(name: &str, said: Option<&Value>, more: &[&str]) -> Markup {
    html! {
        @for (member, value) in members(said, more) {
            (field(&format!("{name}.{member}"), words(&member), &value))
        }
    }
}

fn field(name: &str, words: &str, value: &Value) -> Markup {
    let id = name.replace('.', "-");
    html! {
        label for=(id) { (words) }
        @if let Value::Array(items) = value {
            textarea id=(id) name=(name) rows=(items.len().clamp(1, 8)) spellcheck="false" {
                (text(value)) }
        } @else {
            input id=(id) type="text" name=(name) value=(text(value)) autocomplete="off"
                spellcheck="false";
        }
    }
}

fn changes(all: &[AlertRulesChange]) -> Markup {
    html! {
        @if all.is_empty() { p { "Nothing." } } @else {
            ul {
                @for change in all {
                    li { code { (change.what) } ": "
                        @match (&change.was, &change.is) {
                            (Some(was), Some(is)) => { del { (was) } " became " ins { (is) } }
                            (None, Some(is)) => { ins { (is) } " came" }
                            (Some(was), None) => { del { (was) } " went" }
                            (None, None) => {}
                        }
                    }
                }
            }
        }
    }
}

/// Versions with what each changed, and two of them compared.
fn earlier(gate: &Gate, history: &AlertRulesHistory, compared: Option<&AlertRulesDiff>) -> Markup {
    let all: Vec<&AlertRulesView> = std::iter::once(&history.now)
        .chain(&history.earliers)
        .filter(|view| view.version > 0)
        .collect();
    let choice = |name: &'static str, words: &'static str| {
        html! {
            label for=(name) { (words) }
            select id=(name) name=(name) {
                @for view in &all { option value=(view.version) { "Version " (view.version) } }
                option value="0" selected[name == "from"] { "The ready rules" }
            }
        }
    };
    html! {
        @if let Some(diff) = compared {
            section {
                h2 { "From version " (diff.from) " to version " (diff.to) }
                (changes(&diff.changes))
            }
        }
        @if !all.is_empty() {
            h2 { "Versions" }
            form method="get" action=(gate.links().auth("/alert-rules")) {
                (choice("from", "From"))
                (choice("to", "To"))
                button.second type="submit" { "Compare" }
            }
        }
        @for view in &all {
            section {
                h3 { "Version " (view.version) }
                p { @if let Some(at) = &view.at { (time(at)) ", " } (view.by) ": " (view.reason) }
                @if let Some(all) = &view.changes { p { "What it changed:" } (changes(all)) }
            }
        }
    }
}
