//! Patients whom people opened in an emergency, in the browsers of those who review it and of those who
//! opened: pages, and the same as JSON.

use axum::body::Body;
use engine::{Failure, Gate, OpenedAccess, OpeningView, ReviewSaid, Visitor, form};
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde_json::json;

use super::alerts::time;
use super::{Browser, Fields, failed, pages, reads_pages, said};
use crate::admin::answer;
use crate::call::Call;

/// States by which a list is asked for, and what they are called.
const STATES: [(&str, &str); 5] = [
    ("due", "To be reviewed"),
    ("open", "Open now"),
    ("accepted", "Accepted"),
    ("objected", "Objected to"),
    ("all", "All"),
];

/// `GET /t/{tenant}/auth/break-glass?state=`
pub(crate) async fn list(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let state = form::first(call.query(), "state").map(std::borrow::Cow::into_owned);
    if !reads_pages(&call) {
        let found = by.caller().await?.opening_views(state.as_deref()).await?;
        return answer(StatusCode::OK, &json!({ "items": found }));
    }
    let gate = by.gate();
    let browser = Browser::of(gate, &call);
    let state = state.unwrap_or_else(|| "due".to_owned());
    let wanted = Some(state.as_str()).filter(|state| *state != "all");
    Ok(match by.caller().await?.opening_views(wanted).await {
        Ok(found) => browser.page(StatusCode::OK, listed(gate, &state, &found), ""),
        Err(failure) => failed(gate, &failure),
    })
}

/// `GET /t/{tenant}/auth/break-glass/{id}`
pub(crate) async fn show(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let id = call.value("id").to_owned();
    let is_page = reads_pages(&call);
    let gate = by.gate();
    let browser = Browser::of(gate, &call);
    drop(call);
    let found = by.caller().await?.opening_to_review(&id).await;
    if !is_page {
        let (opening, accesses) = found?;
        return answer(
            StatusCode::OK,
            &json!({ "opening": opening, "items": accesses }),
        );
    }
    let token = browser.token(gate).await?;
    Ok(match found {
        Ok((opening, accesses)) => {
            let page = shown(gate, &token, &opening, &accesses);
            browser.page(StatusCode::OK, page, "")
        }
        Err(failure) => failed(gate, &failure),
    })
}

/// `POST /t/{tenant}/auth/break-glass/{id}`
pub(crate) async fn review(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let id = call.value("id").to_owned();
    let read = |fields: Fields| async move {
        Ok(ReviewSaid {
            verdict: fields.or_empty("verdict"),
            remark: fields.or_empty("remark"),
        })
    };
    said(&by, call, "/break-glass", read, |said| async {
        let view = by.caller().await?.say_of_opening(&id, said).await?;
        answer(StatusCode::OK, &view)
    })
    .await
}

fn listed(gate: &Gate, state: &str, found: &[OpeningView]) -> Markup {
    let link = |name: &str| gate.links().auth(&format!("/break-glass?state={name}"));
    let body = html! {
        p { a href=(gate.links().auth("/account")) { "To your account" } }
        p { "Patients whom somebody opened in an emergency: your own openings, and those that you review." }
        nav aria-label="Which openings" {
            @for (name, words) in STATES {
                a href=(link(name)) aria-current=[(name == state).then_some("page")] { (words) }
            }
        }
        @if found.is_empty() { p { "There are none." } }
        @for opening in found {
            section {
                h2 { a href=(gate.links().auth(&format!("/break-glass/{}", opening.id))) {
                    (opening.patient) ", " (time(&opening.opened)) } }
                (facts(opening))
            }
        }
    };
    pages::page(gate, "Patients opened in an emergency", &body)
}

fn facts(opening: &OpeningView) -> Markup {
    html! {
        dl {
            dt { "Who" } dd { (opening.person) }
            dt { "Why" } dd { (opening.reason) " (" (opening.purpose) ")" }
            dt { "From" } dd { (time(&opening.opened)) }
            dt { "Until" }
            dd { (time(opening.ended.as_ref().unwrap_or(&opening.until)))
                @if let Some(by) = &opening.ended_by { ", ended by " (by) } }
            dt { "State" } dd { (opening.state) }
            @if let Some(review) = &opening.review {
                dt { "Review" }
                dd { @if review.verdict == "object" { "Objected to" } @else { "Accepted" }
                    " by " (review.by) ", " (time(&review.at))
                    @if !review.remark.is_empty() { ": " (review.remark) } }
            }
        }
    }
}

fn shown(gate: &Gate, token: &str, opening: &OpeningView, accesses: &[OpenedAccess]) -> Markup {
    let waits = matches!(opening.state, "due" | "overdue");
    let body = html! {
        p { a href=(gate.links().auth("/break-glass")) { "To all of them" } }
        (facts(opening))
        h2 { "What they were shown or changed of the patient meanwhile" }
        @if accesses.is_empty() { p { "Nothing." } }
        ul {
            @for access in accesses {
                li { (time(&access.at)) ", " (access.action) ": "
                    code { (access.resources.join(" ")) } }
            }
        }
        @if waits {
            (pages::say(
                (&gate.links().auth(&format!("/break-glass/{}", opening.id)), token),
                "Somebody else than who opened says it, under their name, and once.",
                "Remark (who objects says why)",
                [("accept", "It was right"), ("object", "I object")],
            ))
        }
    };
    pages::page(gate, &format!("Opening of {}", opening.patient), &body)
}
