//! To an identity provider and back; and what it tells behind the browser's back.

use axum::body::Body;
use base::Code;
use engine::{Arrival, Failure, Gate, Going, SignedIn, form};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};

use super::sign_in::{signed_in, told};
use super::{Browser, Fields, cookie, pages, see};
use crate::call::Call;

/// `GET /t/{tenant}/auth/providers/{provider}?next=`
pub(crate) async fn depart(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(&gate, &call);
    let (provider, query) = (call.value("provider"), call.query());
    let done = departed(&gate, &browser, provider, query).await;
    told(&gate, done)
}

async fn departed(
    gate: &Gate,
    browser: &Browser,
    provider: &str,
    query: &str,
) -> Result<Response<Body>, Failure> {
    let field = |name| form::first(query, name).unwrap_or_default();
    let next = field("next");
    // Who is signed in and comes all the same has to prove anew who they are.
    let again = !field("again").is_empty() || browser.visitor(gate).await?.is_some();
    let going = Going::SignIn { next: &next, again };
    let departure = gate.depart(provider, going, browser.request.at).await?;
    let mut response = see(&departure.url);
    browser.keep_journey(&mut response, &departure);
    Ok(response)
}

/// `POST /t/{tenant}/auth/providers/{provider}`: an invitation is to be accepted with an account there.
pub(crate) async fn invited(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let done = try_invited(&gate, call).await;
    told(&gate, done)
}

async fn try_invited(gate: &Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(gate, &call);
    let provider = call.value("provider").to_owned();
    let fields = browser.fields(gate, &mut call).await?;
    let token = fields.or_empty("token");
    let going = Going::Invited(&token);
    let departure = gate.depart(&provider, going, browser.request.at).await?;
    let page = pages::link(gate, &departure.url);
    let mut response = browser.page(StatusCode::OK, page, "");
    browser.keep_journey(&mut response, &departure);
    Ok(response)
}

/// `GET /t/{tenant}/auth/providers/{provider}/callback`
pub(crate) async fn arrive(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(&gate, &call);
    let kept = cookie(&call, &browser.cookies.journey).unwrap_or_default();
    let (provider, query) = (call.value("provider"), call.query());
    let done = arrived(&gate, &browser, kept, provider, query).await;
    let mut done = told(&gate, done)?;
    // One journey, one answer.
    let cookies = &browser.cookies;
    if let Some(set) = cookies.set(&cookies.journey, "", Some(0)) {
        done.headers_mut().append(SET_COOKIE, set);
    }
    Ok(done)
}

async fn arrived(
    gate: &Gate,
    browser: &Browser,
    kept: &str,
    provider: &str,
    query: &str,
) -> Result<Response<Body>, Failure> {
    let visitor = browser.visitor(gate).await?;
    let arrival = gate.arrive(provider, kept, query, visitor.as_ref(), browser.from());
    match arrival.await? {
        Arrival::In(SignedIn::Done(session), next) => Ok(signed_in(gate, browser, &session, &next)),
        Arrival::In(SignedIn::SecondFactor(ticket), next) => {
            super::sign_in::ask_second(gate, browser, &ticket, &next, false).await
        }
        Arrival::Linked => Ok(see(&gate.links().auth("/account"))),
    }
}

/// `GET /auth/callback`: the one address that the house's provider sends people back to; the tenant
/// that they left from is the beginning of `state`, and nothing for who wants to choose one.
pub(crate) async fn forward(call: Call) -> Result<Response<Body>, Failure> {
    let unknown = || Failure::of(Code::FormForeign);
    let state = form::first(call.query(), "state").ok_or_else(unknown)?;
    if state.starts_with('.') {
        drop(state);
        return super::choice::arrive(call).await;
    }
    let gate = call.house.gate_of_state(&state, call.reached()).await?;
    let provider = gate.house_provider().await?;
    let path = format!("/providers/{provider}/callback?{}", call.query());
    Ok(see(&gate.links().auth(&path)))
}

/// `POST /t/{tenant}/auth/providers/{provider}/logout` (OpenID Connect Back-Channel Logout 1.0).
pub(crate) async fn logout(gate: Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(&gate, &call);
    let provider = call.value("provider").to_owned();
    let fields = Fields::read(&mut call).await?;
    let token = fields.or_empty("logout_token");
    let done = gate.logged_out(&provider, &token, browser.from()).await;
    let mut response = match done {
        Ok(()) => Response::new(Body::empty()),
        Err(failure) if failure.code() == Code::ProviderAnswer => refused(&failure),
        Err(failure) => return Err(failure),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Section 2.8: 400, with a reason as in OAuth.
fn refused(failure: &Failure) -> Response<Body> {
    let body = serde_json::json!({
        "error": "invalid_request", "error_description": failure.text(),
        "code": failure.code().as_str(),
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
