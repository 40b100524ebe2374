//! Signing out at the wish of a program (OpenID Connect RP-Initiated Logout 1.0). Whoever is meant by an
//! identity token of theirs is signed out; whoever else is signed in is asked.

use axum::body::Body;
use engine::{AuthorizeRequest, EndSession, Failure, Gate, Visitor};
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use maud::{Markup, html};

use super::{Browser, Fields, pages, see};
use crate::auth::sign_in::told;
use crate::call::Call;

/// `GET /t/{tenant}/auth/end-session`
pub(crate) async fn page(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(&gate, &call);
    let done = asked(&gate, &browser, call.query()).await;
    told(&gate, done)
}

async fn asked(gate: &Gate, browser: &Browser, query: &str) -> Result<Response<Body>, Failure> {
    let request = AuthorizeRequest::parse(query)?;
    let wish = gate.end_session(&request, browser.request.at).await?;
    match browser.visitor(gate).await? {
        None => Ok(signed_out(gate, browser, &wish)),
        Some(visitor) if wish.is_of(&visitor) => end(gate, browser, &visitor, &wish).await,
        Some(visitor) => {
            let token = browser.token(gate).await?;
            let page = question(gate, &token, &request, &wish, &visitor);
            let redirect = wish.redirect.as_deref().unwrap_or_default();
            Ok(browser.page(StatusCode::OK, page, redirect))
        }
    }
}

/// `POST /t/{tenant}/auth/end-session`: a program's request, which goes on as an address with which the browser
/// shows the session; or the answer of the person.
pub(crate) async fn decide(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let done = decided(&gate, call).await;
    told(&gate, done)
}

async fn decided(gate: &Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(gate, &call);
    let fields = Fields::read(&mut call).await?;
    let request = AuthorizeRequest::parse(fields.text())?;
    if fields.get("_form").is_none() {
        let query = request.query();
        return Ok(see(&gate.links().auth(&format!("/end-session?{query}"))));
    }
    browser.own(gate, &fields).await?;
    let wish = gate.end_session(&request, browser.request.at).await?;
    if fields.or_empty("_decision") != "sign-out" {
        return Ok(see(&gate.links().auth("/account")));
    }
    match browser.visitor(gate).await? {
        Some(visitor) => end(gate, &browser, &visitor, &wish).await,
        None => Ok(signed_out(gate, &browser, &wish)),
    }
}

async fn end(
    gate: &Gate,
    browser: &Browser,
    visitor: &Visitor,
    wish: &EndSession,
) -> Result<Response<Body>, Failure> {
    visitor.sign_out().await?;
    let mut response = signed_out(gate, browser, wish);
    let cookies = &browser.cookies;
    if let Some(set) = cookies.set(&cookies.session, "", Some(0)) {
        response.headers_mut().append(SET_COOKIE, set);
    }
    Ok(response)
}

fn signed_out(gate: &Gate, browser: &Browser, wish: &EndSession) -> Response<Body> {
    if let Some(redirect) = &wish.redirect {
        return see(redirect);
    }
    let body = html! {
        p { "Programs that you approved for use while you are away go on; your account lists them." }
        p { a href=(gate.links().auth("/login")) { "Sign in again" } }
    };
    browser.page(
        StatusCode::OK,
        pages::page(gate, "You are signed out", &body),
        "",
    )
}

fn question(
    gate: &Gate,
    token: &str,
    request: &AuthorizeRequest,
    wish: &EndSession,
    visitor: &Visitor,
) -> Markup {
    let body = html! {
        p {
            @match &wish.client {
                Some(name) => { strong { (name) } " asks that you are signed out." }
                None => "A program asks that you are signed out.",
            }
            " You are signed in as " strong { (visitor.name()) } "."
        }
        @if let Some(redirect) = &wish.redirect {
            p { "Afterwards you are sent to " code { (redirect) } "." }
        }
        form method="post" action=(gate.links().auth("/end-session")) {
            (pages::brought_back(token, request))
            button type="submit" name="_decision" value="sign-out" { "Sign out" }
            button.second type="submit" name="_decision" value="stay" { "Stay signed in" }
        }
    };
    pages::page(gate, "Sign out?", &body)
}
