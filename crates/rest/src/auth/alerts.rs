//! Alerts in the browsers of those who look at the trail: pages for people, and the same as JSON. What
//! says something about one is a form of these pages, or JSON, which no page of another origin can send.

pub(crate) mod rules;

use axum::body::Body;
use base::Code;
use engine::{AlertSaid, AlertView, AlertsPage, AlertsWanted, Failure, Gate, Visitor, form};
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde_json::Value;

use super::{Browser, Fields, failed, pages, reads_pages, said};
use crate::admin::answer;
use crate::call::Call;

/// Alerts on one page for people.
const ON_A_PAGE: u64 = 20;

/// What the query of a page says.
struct Asked {
    state: Option<String>,
    rule: Option<String>,
    before: Option<u64>,
    count: Option<u64>,
}

impl Asked {
    fn of(call: &Call) -> Result<Self, Failure> {
        let query = call.parts.uri.query().unwrap_or_default();
        let words = |name: &str| {
            let found = form::first(query, name).map(std::borrow::Cow::into_owned);
            found.filter(|text| !text.is_empty())
        };
        Ok(Self {
            state: words("state"),
            rule: words("rule"),
            before: words("before").map(|text| number(&text)).transpose()?,
            count: words("_count").map(|text| number(&text)).transpose()?,
        })
    }

    fn wanted(&self) -> AlertsWanted<'_> {
        AlertsWanted {
            state: self.state.as_deref().filter(|state| *state != "all"),
            rule: self.rule.as_deref(),
            number: None,
            before: self.before,
            count: self.count,
        }
    }

    /// The address of a page of the same kind.
    fn link(&self, gate: &Gate, state: &str, before: Option<u64>) -> String {
        let mut query = format!("?state={state}");
        if let Some(rule) = &self.rule {
            query.push_str(&format!("&rule={}", form::encode(rule)));
        }
        if let Some(before) = before {
            query.push_str(&format!("&before={before}"));
        }
        gate.links().auth(&format!("/alerts{query}"))
    }
}

fn number(text: &str) -> Result<u64, Failure> {
    let wrong = |_| Failure::new(Code::RequestInvalid, "a number is expected");
    text.parse().map_err(wrong)
}

/// `GET /t/{tenant}/auth/alerts?state=&rule=&before=&_count=`
pub(crate) async fn list(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    if !reads_pages(&call) {
        let asked = Asked::of(&call)?;
        let found = by.caller().await?.alerts(&asked.wanted()).await?;
        return answer(StatusCode::OK, &found);
    }
    let gate = by.gate();
    let browser = Browser::of(gate, &call);
    match list_page(&by, Asked::of(&call)).await {
        Ok(page) => Ok(browser.page(StatusCode::OK, page, "")),
        Err(failure) => Ok(failed(gate, &failure)),
    }
}

async fn list_page(by: &Visitor, asked: Result<Asked, Failure>) -> Result<Markup, Failure> {
    let mut asked = asked?;
    // What nobody said anything about comes first.
    asked.state.get_or_insert_with(|| "open".to_owned());
    let wanted = AlertsWanted {
        count: Some(ON_A_PAGE),
        ..asked.wanted()
    };
    let caller = by.caller().await?;
    let found = caller.alerts(&wanted).await?;
    Ok(listed(by.gate(), &asked, &found))
}

/// `GET /t/{tenant}/auth/alerts/{number}`
pub(crate) async fn show(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let of = number(call.value("number"));
    if !reads_pages(&call) {
        return answer(StatusCode::OK, &by.caller().await?.alert(of?).await?);
    }
    let gate = by.gate();
    let browser = Browser::of(gate, &call);
    let token = browser.token(gate).await?;
    match show_page(&by, &token, of).await {
        Ok(page) => Ok(browser.page(StatusCode::OK, page, "")),
        Err(failure) => Ok(failed(gate, &failure)),
    }
}

async fn show_page(by: &Visitor, token: &str, of: Result<u64, Failure>) -> Result<Markup, Failure> {
    let caller = by.caller().await?;
    let alert = caller.alert(of?).await?;
    let rules = caller.alert_rules().await?.now;
    Ok(shown(by.gate(), token, &alert, &rules.document))
}

/// `POST /t/{tenant}/auth/alerts/{number}`
pub(crate) async fn acknowledge(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let of = number(call.value("number"));
    let then = format!("/alerts/{}", call.value("number"));
    let read = |fields: Fields| async move {
        Ok(AlertSaid {
            verdict: fields.or_empty("verdict"),
            remark: fields.or_empty("remark"),
        })
    };
    said(&by, call, &then, read, |said| async {
        let alert = by.caller().await?.acknowledge_alert(of?, said).await?;
        answer(StatusCode::OK, &alert)
    })
    .await
}

fn listed(gate: &Gate, asked: &Asked, found: &AlertsPage) -> Markup {
    let state = asked.state.as_deref().unwrap_or("open");
    let tab = |name: &'static str, words: &'static str| {
        let current = (name == state).then_some("page");
        html! { a href=(asked.link(gate, name, None)) aria-current=[current] { (words) } }
    };
    let body = html! {
        p { a href=(gate.links().auth("/account")) { "To your account" } }
        p { a href=(gate.links().auth("/alert-rules")) { "The rules by which they are raised" } }
        p { a href=(gate.links().auth("/access-report")) { "Who was shown what of whom" } }
        nav aria-label="Which alerts" {
            (tab("open", "Nobody said anything yet"))
            (tab("acknowledged", "Somebody did"))
            (tab("all", "All"))
        }
        (by_rule(gate, asked, state))
        @if found.items.is_empty() { p { "There are none." } }
        @for alert in &found.items {
            section {
                h2 { a href=(gate.links().auth(&format!("/alerts/{}", alert.number))) {
                    "Alert " (alert.number) ": " (alert.about) } }
                (in_short(alert))
            }
        }
        @if let Some(next) = found.next {
            p { a rel="next" href=(asked.link(gate, state, Some(next))) { "Older ones" } }
        }
    };
    pages::page(gate, "Accesses that somebody should look at", &body)
}

/// A choice of one rule.
fn by_rule(gate: &Gate, asked: &Asked, state: &str) -> Markup {
    let chosen = asked.rule.as_deref().unwrap_or_default();
    html! {
        form method="get" action=(gate.links().auth("/alerts")) {
            input type="hidden" name="state" value=(state);
            label for="rule" { "By which rule" }
            select #rule name="rule" {
                option value="" { "By any" }
                @for (name, about) in engine::alert_rules() {
                    option value=(name) selected[name == chosen] { (name) ": " (about) }
                }
            }
            button.second type="submit" { "Show" }
        }
    }
}

/// A name with what the trail calls it.
fn named(name: Option<&str>, of: &str) -> String {
    match name {
        Some(name) => format!("{name} ({of})"),
        None => of.to_owned(),
    }
}

fn in_short(alert: &AlertView) -> Markup {
    let who = match alert.actor.as_str() {
        "" => "Nobody knows".to_owned(),
        of => named(alert.actor_name.as_deref(), of),
    };
    html! {
        dl {
            dt { "Who" } dd { (who) }
            @if let Some(program) = &alert.program {
                dt { "Through" } dd { (named(alert.program_name.as_deref(), program)) }
            }
            @if let Some(patient) = &alert.patient { dt { "Whom" } dd { (patient) } }
            dt { "When" }
            dd { (time(&alert.first))
                @if alert.last != alert.first { " to " (time(&alert.last)) } }
            dt { "How often" } dd { (alert.count) }
            dt { "What was seen, and what is usual" } dd { (alert.seen) }
        }
    }
}

/// An instant, to the minute.
pub(super) fn time(text: &str) -> Markup {
    html! { time datetime=(text) { (text.get(..16).unwrap_or(text).replace('T', " ")) " UTC" } }
}

fn shown(gate: &Gate, token: &str, alert: &AlertView, document: &Value) -> Markup {
    let events = alert.events.iter();
    let body = html! {
        p { a href=(gate.links().auth("/alerts")) { "To all of them" } }
        p { strong { (alert.about) } "." }
        (in_short(alert))
        @if !alert.events.is_empty() {
            h2 { "In the audit trail" }
            ul { @for event in events { li { code { (event) } } } }
        }
        h2 { "By which rule" }
        p { (rules::explanation(alert.rule)) }
        (rules::terms(alert.rule, document))
        @match &alert.acknowledged {
            Some(said) => {
                h2 { "What was said about it" }
                dl {
                    dt { "By" } dd { (said.by) }
                    dt { "When" } dd { (time(&said.at)) }
                    dt { "What" }
                    dd { @if said.verdict == "concern" { "It gives cause for concern" }
                        @else { "There is an explanation" } }
                    @if !said.remark.is_empty() { dt { "Remark" } dd { (said.remark) } }
                }
            }
            None => (say(gate, token, alert)),
        }
    };
    pages::page(gate, &format!("Alert {}", alert.number), &body)
}

/// The form by which somebody says something about it.
fn say(gate: &Gate, token: &str, alert: &AlertView) -> Markup {
    let verdicts = [
        ("explained", "There is an explanation"),
        ("concern", "It gives cause for concern"),
    ];
    pages::say(
        (
            &gate.links().auth(&format!("/alerts/{}", alert.number)),
            token,
        ),
        "It stands under your name, and is said once.",
        "Remark (for a concern there has to be one)",
        verdicts,
    )
}
