//! Signing in, and the link of an invitation.

use axum::body::Body;
use base::Code;
use engine::{AuthorizeRequest, Failure, Gate, NewSession, SignedIn, form};
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};
use maud::{Markup, html};

use super::{Browser, failed, pages, see};
use crate::call::Call;
use crate::problem;

/// Where somebody goes who is signed in: a page of the same tenant, nothing else.
fn target(gate: &Gate, next: &str) -> String {
    let known = matches!(
        next,
        "account" | "people" | "clients" | "identity-providers" | "registrations" | "vendors"
    );
    match known || next.starts_with("authorize?") {
        true => gate.links().auth(&format!("/{next}")),
        false => gate.links().auth("/account"),
    }
}

/// Where the program behind a sign-in sends people, for the policy of the page.
async fn redirect(gate: &Gate, browser: &Browser, next: &str) -> String {
    let Some(query) = next.strip_prefix("authorize?") else {
        return String::new();
    };
    let Ok(request) = AuthorizeRequest::parse(query) else {
        return String::new();
    };
    let asked = gate.asked(&request, browser.request.at).await;
    asked.map_or_else(|_| String::new(), |asked| asked.redirect().to_owned())
}

/// The answer of a page: a failure of what it does is told as a page too.
pub(super) fn told(
    gate: &Gate,
    done: Result<Response<Body>, Failure>,
) -> Result<Response<Body>, Failure> {
    Ok(done.unwrap_or_else(|failure| failed(gate, &failure)))
}

/// `GET /t/{tenant}/auth/login?next=`
pub(crate) async fn page(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let next = form::first(call.query(), "next").unwrap_or_default();
    let (browser, next) = (Browser::of(&gate, &call), next.into_owned());
    let again = form::first(call.query(), "again").is_some();
    let done = show(&gate, &browser, (&next, ""), again, None).await;
    told(&gate, done)
}

async fn show(
    gate: &Gate,
    browser: &Browser,
    (next, login): (&str, &str),
    again: bool,
    wrong: Option<&Failure>,
) -> Result<Response<Body>, Failure> {
    let token = browser.token(gate).await?;
    let query = format!(
        "next={}{}",
        form::encode(next),
        if again { "&again=1" } else { "" }
    );
    let through = pages::through(gate, &gate.providers().await?, &query);
    let through = html! {
        @if gate.takes_passkeys() { (pages::passkey_link(gate, &query)) }
        (through)
    };
    let page = pages::sign_in(gate, &token, (next, login), wrong, &through);
    let redirect = redirect(gate, browser, next).await;
    Ok(answered(browser, page, &redirect, wrong))
}

/// A page, and why it is shown again if it is: with when trying once more makes sense.
pub(super) fn answered(
    browser: &Browser,
    page: Markup,
    redirect: &str,
    wrong: Option<&Failure>,
) -> Response<Body> {
    let status = wrong.map_or(StatusCode::OK, |w| problem::status(w.code()));
    let mut response = browser.page(status, page, redirect);
    if let Some(seconds) = wrong.and_then(Failure::retry_seconds) {
        let after = HeaderValue::from(seconds);
        response.headers_mut().insert(RETRY_AFTER, after);
    }
    response
}

/// `POST /t/{tenant}/auth/login`
pub(crate) async fn sign_in(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let done = try_sign_in(&gate, call).await;
    told(&gate, done)
}

async fn try_sign_in(gate: &Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(gate, &call);
    let fields = browser.fields(gate, &mut call).await?;
    let next = fields.or_empty("next");
    let (login, password) = (fields.or_empty("login"), fields.or_empty("password"));
    match gate.sign_in(&login, &password, browser.from()).await {
        Ok(SignedIn::Done(session)) => Ok(signed_in(gate, &browser, &session, &next)),
        Ok(SignedIn::SecondFactor(ticket)) => {
            ask_second(gate, &browser, &ticket, &next, false).await
        }
        Err(failure) if is_told(&failure) => {
            show(gate, &browser, (&next, &login), false, Some(&failure)).await
        }
        Err(failure) => Err(failure),
    }
}

pub(super) fn is_told(failure: &Failure) -> bool {
    matches!(
        failure.code(),
        Code::CredentialsInvalid | Code::RateLimited | Code::PasswordRefused
    )
}

/// `POST /t/{tenant}/auth/second-factor`
pub(crate) async fn second_factor(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let done = try_second_factor(&gate, call).await;
    told(&gate, done)
}

/// The page that asks for a second factor: a code, or a passkey where there is one.
pub(super) async fn ask_second(
    gate: &Gate,
    browser: &Browser,
    ticket: &str,
    next: &str,
    again: bool,
) -> Result<Response<Body>, Failure> {
    let token = browser.token(gate).await?;
    let question = gate.ask_passkey_of(ticket, browser.from()).await?;
    let page = pages::second_factor(gate, &token, (ticket, next), again, question.as_ref());
    let redirect = redirect(gate, browser, next).await;
    let status = match again {
        true => StatusCode::UNAUTHORIZED,
        false => StatusCode::OK,
    };
    Ok(match question {
        Some(_) => browser.page_for_passkeys(gate, status, page, &redirect),
        None => browser.page(status, page, &redirect),
    })
}

/// `GET /t/{tenant}/auth/passkey?next=`
pub(crate) async fn passkey(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let next = form::first(call.query(), "next").unwrap_or_default();
    let (browser, next) = (Browser::of(&gate, &call), next.into_owned());
    let done = ask_passkey(&gate, &browser, &next).await;
    told(&gate, done)
}

async fn ask_passkey(
    gate: &Gate,
    browser: &Browser,
    next: &str,
) -> Result<Response<Body>, Failure> {
    let question = gate.ask_passkey(browser.from()).await?;
    let token = browser.token(gate).await?;
    let page = pages::passkey(gate, &token, next, &question);
    let redirect = redirect(gate, browser, next).await;
    Ok(browser.page_for_passkeys(gate, StatusCode::OK, page, &redirect))
}

/// `POST /t/{tenant}/auth/passkey`
pub(crate) async fn by_passkey(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let done = try_passkey(&gate, call).await;
    told(&gate, done)
}

async fn try_passkey(gate: &Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(gate, &call);
    let fields = browser.fields(gate, &mut call).await?;
    let (state, answer) = (fields.or_empty("state"), fields.or_empty("answer"));
    let session = gate.sign_in_by_passkey(&state, &answer, browser.from());
    let session = session.await?;
    Ok(signed_in(
        gate,
        &browser,
        &session,
        &fields.or_empty("next"),
    ))
}

async fn try_second_factor(gate: &Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(gate, &call);
    let fields = browser.fields(gate, &mut call).await?;
    let (ticket, next) = (fields.or_empty("ticket"), fields.or_empty("next"));
    let (code, answer) = (fields.or_empty("code"), fields.or_empty("answer"));
    let from = browser.from();
    let done = match answer.is_empty() {
        true => gate.second_factor(&ticket, &code, from).await,
        false => {
            let state = fields.or_empty("state");
            gate.second_factor_by_passkey(&ticket, (&state, &answer), from)
                .await
        }
    };
    match done {
        Ok(session) => Ok(signed_in(gate, &browser, &session, &next)),
        Err(failure) if failure.code() == Code::CredentialsInvalid => {
            ask_second(gate, &browser, &ticket, &next, true).await
        }
        Err(failure) => Err(failure),
    }
}

pub(super) fn signed_in(
    gate: &Gate,
    browser: &Browser,
    session: &NewSession,
    next: &str,
) -> Response<Body> {
    let mut response = see(&target(gate, next));
    let cookies = &browser.cookies;
    let kept = [
        (&cookies.session, &session.cookie, session.seconds),
        (&cookies.known, &session.known, session.known_seconds),
    ];
    for (name, value, seconds) in kept {
        if let Some(set) = cookies.set(name, value, Some(seconds)) {
            response.headers_mut().append(SET_COOKIE, set);
        }
    }
    response
}

/// `GET /t/{tenant}/auth/invitation?token=`
pub(crate) async fn invitation(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let token = form::first(call.query(), "token").unwrap_or_default();
    let (browser, token) = (Browser::of(&gate, &call), token.into_owned());
    let done = show_invitation(&gate, &browser, &token, None).await;
    told(&gate, done)
}

async fn show_invitation(
    gate: &Gate,
    browser: &Browser,
    invitation: &str,
    wrong: Option<&Failure>,
) -> Result<Response<Body>, Failure> {
    let login = gate.invited(invitation, browser.request.at).await?;
    let token = browser.token(gate).await?;
    let through = pages::invited_through(gate, &gate.providers().await?, &token, invitation);
    let page = pages::invitation(gate, &token, invitation, &login, wrong, &through);
    Ok(answered(browser, page, "", wrong))
}

/// `POST /t/{tenant}/auth/invitation`
pub(crate) async fn accept(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let done = try_accept(&gate, call).await;
    told(&gate, done)
}

async fn try_accept(gate: &Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(gate, &call);
    let fields = browser.fields(gate, &mut call).await?;
    let (token, password) = (fields.or_empty("token"), fields.or_empty("password"));
    let done = match fields.or_empty("again") == password {
        true => {
            gate.accept_invitation(&token, &password, browser.from())
                .await
        }
        false => Err(Failure::new(
            Code::PasswordRefused,
            "the two passwords are not the same",
        )),
    };
    match done {
        Ok(session) => Ok(signed_in(gate, &browser, &session, "account")),
        Err(failure) if is_told(&failure) => {
            show_invitation(gate, &browser, &token, Some(&failure)).await
        }
        Err(failure) => Err(failure),
    }
}
