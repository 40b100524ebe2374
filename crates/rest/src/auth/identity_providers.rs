//! Identity providers of a tenant, for those who administer its people: where people may come in instead of
//! here, which of them an operator set, and keeping or ending one. Pages for people, and the same as JSON.

use axum::body::Body;
use base::Code;
use engine::{Failure, Gate, ProviderView, Visitor};
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;

use super::clients::by_operator;
use super::people::said_json;
use super::{Browser, failed, listing, pages, see};
use crate::admin::{answer, done};
use crate::call::Call;
use crate::negotiate;

/// What is decided about a provider.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// `keep` or `end`.
    decision: String,
    /// When it was set, as it was shown (`made.at`).
    #[serde(default)]
    at: Option<String>,
}

/// `GET /t/{tenant}/auth/identity-providers`
pub(crate) async fn list(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let found = by.list_providers().await;
    listing(&by, call, ("identity_providers", found), |token, all| {
        listed(by.gate(), token, all)
    })
    .await
}

/// `POST /t/{tenant}/auth/identity-providers/{provider}`
pub(crate) async fn decide(by: Visitor, mut call: Call) -> Result<Response<Body>, Failure> {
    let id = call.value("provider").to_owned();
    if negotiate::body_essence(&call.parts.headers) != negotiate::FORM {
        let said: Decision = said_json(&mut call).await?;
        return match decided(&by, &id, &said).await? {
            Some(provider) => answer(StatusCode::OK, &provider),
            None => Ok(done()),
        };
    }
    let gate = by.gate().clone();
    let done = by_form(&by, &mut call, &id).await;
    Ok(done.unwrap_or_else(|failure| failed(&gate, &failure)))
}

async fn decided(by: &Visitor, id: &str, said: &Decision) -> Result<Option<ProviderView>, Failure> {
    match said.decision.as_str() {
        "keep" => by.keep_provider(id, said.at.as_deref()).await.map(Some),
        "end" => by.end_provider(id).await.map(|()| None),
        _ => Err(Failure::new(
            Code::RequestInvalid,
            "decision is keep or end",
        )),
    }
}

async fn by_form(by: &Visitor, call: &mut Call, id: &str) -> Result<Response<Body>, Failure> {
    let gate = by.gate();
    let browser = Browser::of(gate, call);
    let fields = browser.fields(gate, call).await?;
    let said = Decision {
        decision: fields.or_empty("decision"),
        at: fields.get("at"),
    };
    decided(by, id, &said).await?;
    Ok(see(&gate.links().auth("/identity-providers")))
}

fn listed(gate: &Gate, token: &str, all: &[ProviderView]) -> Markup {
    let body = html! {
        p { a href=(gate.links().auth("/account")) { "To your account" } }
        p { "Where people may sign in instead of here. Whoever runs one of them decides who comes in through it, \
             and as what: keep those that you know, and end the others." }
        @if all.is_empty() { p { "There is none." } }
        @for (place, one) in all.iter().enumerate() {
            @let about = format!("provider-{place}");
            section {
                h2 id=(about) { (one.name()) }
                (facts(one))
                form method="post" action=(gate.links().auth(&format!("/identity-providers/{}", one.id()))) {
                    input type="hidden" name="_form" value=(token);
                    @if let Some(made) = one.made() {
                        input type="hidden" name="at" value=(made.at);
                        @if made.until.is_some() || !one.lets_in() {
                            button type="submit" name="decision" value="keep" aria-describedby=(about) { "Keep" }
                        }
                    }
                    button.second type="submit" name="decision" value="end" aria-describedby=(about) { "End" }
                }
            }
        }
    };
    pages::page(gate, "Where people may sign in", &body)
}

fn facts(one: &ProviderView) -> Markup {
    let (claim, roles) = one.roles();
    let known = match one.is_just_in_time() {
        true => "Yes: who is known there and gets a role by it",
        false => "",
    };
    let facts = [
        ("Id", one.id().to_owned()),
        ("Issuer", one.issuer().to_owned()),
        ("Known there as", one.client_id().to_owned()),
        ("Makes people known here", known.to_owned()),
        (
            "Roles come from the claim",
            claim.unwrap_or_default().to_owned(),
        ),
        (
            "The record that stands for a person comes from the claim",
            one.fhir_user_claim().unwrap_or_default().to_owned(),
        ),
        ("Stands for two factors", one.two_factors().join(", ")),
    ];
    html! {
        dl {
            @for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                dt { (name) } dd { (value) }
            }
            @for (value, roles) in roles {
                dt { "Who has " (value) " there" } dd { (roles.join(", ")) }
            }
            @if let Some(made) = one.made() { (by_operator("Set by an operator", made)) }
            @if !one.lets_in() { dt { "Lets people in" } dd { "Not any more" } }
        }
    }
}
