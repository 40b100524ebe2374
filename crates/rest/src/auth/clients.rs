//! API clients of a tenant, for those who administer its people: which there are, which of them an operator
//! made, and keeping or ending one. Pages for people, and the same as JSON.

use axum::body::Body;
use base::Code;
use engine::{ClientView, Failure, Gate, MadeView, Visitor};
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Fields, listing, pages, said};
use crate::admin::{answer, done};
use crate::call::Call;

/// What is decided about a client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// `keep` or `end`.
    decision: String,
}

/// `GET /t/{tenant}/auth/clients`
pub(crate) async fn list(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let found = by.list_clients().await;
    listing(&by, call, ("clients", found), |token, all| {
        listed(by.gate(), token, all)
    })
    .await
}

/// `POST /t/{tenant}/auth/clients/{client_id}`
pub(crate) async fn decide(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let id = call.value("client_id").to_owned();
    let read = |fields: Fields| async move {
        Ok(Decision {
            decision: fields.or_empty("decision"),
        })
    };
    said(&by, call, "/clients", read, |said: Decision| async {
        match decided(&by, &id, said).await? {
            Some(client) => answer(StatusCode::OK, &client),
            None => Ok(done()),
        }
    })
    .await
}

async fn decided(by: &Visitor, id: &str, said: Decision) -> Result<Option<ClientView>, Failure> {
    match said.decision.as_str() {
        "keep" => by.keep_client(id).await.map(Some),
        "end" => by.end_client(id).await.map(|()| None),
        _ => Err(Failure::new(
            Code::RequestInvalid,
            "decision is keep or end",
        )),
    }
}

fn listed(gate: &Gate, token: &str, all: &[ClientView]) -> Markup {
    let body = html! {
        p { a href=(gate.links().auth("/account")) { "To your account" } }
        p { "Programs that this clinic let in, and those that an operator of the house made. One that you do not \
             know reads nothing any more as soon as you end it." }
        @if all.is_empty() { p { "There is none." } }
        @for (place, one) in all.iter().enumerate() {
            @let about = format!("client-{place}");
            section {
                h2 id=(about) { (one.name()) }
                (facts(one))
                @if !one.is_revoked() {
                    form method="post" action=(gate.links().auth(&format!("/clients/{}", one.client_id()))) {
                        input type="hidden" name="_form" value=(token);
                        @if one.made().is_some_and(|made| made.until.is_some()) {
                            button type="submit" name="decision" value="keep" aria-describedby=(about) { "Keep" }
                        }
                        button.second type="submit" name="decision" value="end" aria-describedby=(about) { "End" }
                    }
                }
            }
        }
    };
    pages::page(gate, "Programs of this clinic", &body)
}

fn facts(one: &ClientView) -> Markup {
    let facts = [
        ("Id", one.client_id().to_owned()),
        ("May", one.scopes().join(" ")),
        ("Roles by which policy governs it", one.roles().join(" ")),
        (
            "The vendor whose grant bounds it",
            one.vendor().unwrap_or_default().to_owned(),
        ),
    ];
    html! {
        dl {
            @for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                dt { (name) } dd { (value) }
            }
            @if let Some(made) = one.made() { (by_operator("Made by an operator", made)) }
            @if one.is_revoked() { dt { "Ended" } dd { "Yes" } }
        }
    }
}

/// What an operator did, who and why, and who keeps it.
pub(super) fn by_operator(what: &str, made: &MadeView) -> Markup {
    html! {
        dt { (what) } dd { (made.by) ", " (made.at) }
        dt { "Why" } dd { (made.reason) }
        @if let Some(until) = &made.until {
            dt { "Ends" } dd { (until) ", unless you keep it" }
        }
        @if let Some(by) = &made.kept_by { dt { "Kept by" } dd { (by) } }
    }
}
