//! Programs that ask to be registered (RFC 7591, RFC 7592), and those who decide about them: pages for
//! people, and the same as JSON.

use axum::body::Body;
use base::Code;
use engine::{
    Failure, Gate, Registering, RegistrationDecision, RegistrationFailure, RegistrationView,
    Visitor,
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::people::said_json;
use super::{Fields, listing, pages, said};
use crate::admin::answer;
use crate::call::{BodyLimit, Call};
use crate::negotiate;

/// The token of `Authorization: Bearer`.
fn bearer(call: &Call) -> Option<String> {
    let header = call.credentials().authorization?;
    let (scheme, token) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    let token = token.trim();
    // Other credentials are no token, and nobody is let in as if they had brought none.
    Some(match scheme.eq_ignore_ascii_case("bearer") {
        true => token.to_owned(),
        false => String::new(),
    })
}

fn told(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// RFC 7591 section 3.2.2; RFC 6750 for tokens.
fn refused(failure: RegistrationFailure, realm: &str) -> Result<Response<Body>, Failure> {
    let (status, error, about) = match failure {
        RegistrationFailure::Redirect(about) => {
            (StatusCode::BAD_REQUEST, "invalid_redirect_uri", about)
        }
        RegistrationFailure::Metadata(about) => {
            (StatusCode::BAD_REQUEST, "invalid_client_metadata", about)
        }
        RegistrationFailure::Token => {
            let about =
                "an access token for registration is needed, and this is none, or none any more";
            (StatusCode::UNAUTHORIZED, "invalid_token", about.to_owned())
        }
        RegistrationFailure::Other(failure) => return Err(failure),
    };
    let body = json!({ "error": error, "error_description": about });
    let mut response = told(status, &body);
    let challenge = format!("Bearer realm=\"{realm}\", error=\"invalid_token\"");
    if status == StatusCode::UNAUTHORIZED
        && let Ok(challenge) = HeaderValue::from_str(&challenge)
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    Ok(response)
}

/// `POST /t/{tenant}/auth/register`
pub(crate) async fn register(gate: Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    if negotiate::body_essence(&call.parts.headers) != "application/json" {
        return Err(Failure::of(Code::MediaType));
    }
    let body = call.body(BodyLimit::Form).await?;
    let token = bearer(&call);
    let asks = Registering {
        metadata: &body,
        token: token.as_deref(),
        from: call.from,
        request: call.request,
    };
    match gate.register(asks).await {
        Ok(registered) => Ok(told(StatusCode::CREATED, &registered)),
        Err(failure) => refused(failure, gate.name().as_str()),
    }
}

/// `GET /t/{tenant}/auth/register/{client_id}`
pub(crate) async fn registered(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let token = bearer(&call);
    let id = call.value("client_id");
    match gate.registered(id, token.as_deref(), call.request).await {
        Ok(registered) => Ok(told(StatusCode::OK, &registered)),
        Err(failure) => refused(failure, gate.name().as_str()),
    }
}

/// `PUT /t/{tenant}/auth/register/{client_id}`
pub(crate) async fn register_anew(gate: Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let (token, id) = (bearer(&call), call.value("client_id").to_owned());
    if negotiate::body_essence(&call.parts.headers) != "application/json" {
        let known = gate.registered(&id, token.as_deref(), call.request).await;
        return match known {
            Ok(_) => Err(Failure::of(Code::MediaType)),
            Err(failure) => refused(failure, gate.name().as_str()),
        };
    }
    let body = call.body(BodyLimit::Form).await?;
    let asks = Registering {
        metadata: &body,
        token: token.as_deref(),
        from: call.from,
        request: call.request,
    };
    match gate.register_anew(&id, asks).await {
        Ok(registered) => Ok(told(StatusCode::OK, &registered)),
        Err(failure) => refused(failure, gate.name().as_str()),
    }
}

/// `DELETE /t/{tenant}/auth/register/{client_id}`
pub(crate) async fn unregister(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let token = bearer(&call);
    let id = call.value("client_id");
    match gate.unregister(id, token.as_deref(), call.request).await {
        Ok(()) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        Err(failure) => refused(failure, gate.name().as_str()),
    }
}

/// `GET /t/{tenant}/auth/registrations`
pub(crate) async fn list(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let found = by.list_registrations().await;
    listing(&by, call, ("registrations", found), |token, all| {
        listed(by.gate(), token, all)
    })
    .await
}

/// `POST /t/{tenant}/auth/registrations/{client_id}`
pub(crate) async fn decide(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let id = call.value("client_id").to_owned();
    let read = |fields: Fields| async move { Ok(decision(&fields)) };
    said(&by, call, "/registrations", read, |decision| async {
        decided(by.decide_registration(&id, decision).await?.as_ref())
    })
    .await
}

/// What is told of a decision: the client, if it is one now.
pub(crate) fn decided(made: Option<&engine::ClientView>) -> Result<Response<Body>, Failure> {
    match made {
        Some(client) => answer(StatusCode::CREATED, client),
        None => Ok(crate::admin::done()),
    }
}

fn decision(fields: &Fields) -> RegistrationDecision {
    let roles: Vec<String> = fields
        .or_empty("roles")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    RegistrationDecision {
        decision: fields.or_empty("decision"),
        // Without the field, nobody looked at anything.
        record: Some(fields.or_empty("record")),
        // What is not ticked is not given, and nothing is given if nothing is ticked.
        scopes: Some(fields.all("scope")),
        roles: (!roles.is_empty()).then_some(roles),
        vendor: fields.get("vendor"),
        authority: fields.get("authority"),
        reason: None,
        days: None,
    }
}

/// `POST /t/{tenant}/auth/registration-tokens`
pub(crate) async fn invite(by: Visitor, mut call: Call) -> Result<Response<Body>, Failure> {
    let _: Value = said_json(&mut call).await?;
    answer(StatusCode::CREATED, &by.invite_program().await?)
}

fn listed(gate: &Gate, token: &str, all: &[RegistrationView]) -> Markup {
    let body = html! {
        p { a href=(gate.links().auth("/account")) { "To your account" } }
        p { "Programs that asked to be registered. What they say about themselves was checked by nobody: approve \
             only those that you were told about." }
        @if all.is_empty() { p { "None waits." } }
        @for one in all {
            section {
                h2 { @if one.client_name.is_empty() { (one.client_id) } @else { (one.client_name) } }
                @if one.changes {
                    p { strong { "It is a client of this clinic already" } " and asks to be another: what it was \
                         given before ends when you approve, and what is said of it below stays unless you change it." }
                }
                (facts(one))
                form method="post"
                    action=(gate.links().auth(&format!("/registrations/{}", one.client_id))) {
                    input type="hidden" name="_form" value=(token);
                    input type="hidden" name="record" value=(one.record);
                    (given(one))
                    button type="submit" name="decision" value="approve" { "Approve" }
                    button.second type="submit" name="decision" value="refuse" { "Refuse" }
                }
            }
        }
    };
    pages::page(gate, "Programs that wait", &body)
}

/// What is given to it: nothing but that people sign in is proposed.
fn given(one: &RegistrationView) -> Markup {
    let signs_in = |scope: &str| matches!(scope, "openid" | "profile" | "fhirUser");
    let id = |what: &str| format!("{what}-{}", one.client_id);
    let roles = one.roles.as_ref().map(|roles| roles.join(" "));
    html! {
        fieldset.choice {
            legend { "What it may do" }
            @for (place, scope) in one.scopes.iter().enumerate() {
                div {
                    input type="checkbox" name="scope" value=(scope) checked[signs_in(scope)]
                        id=(id(&place.to_string()));
                    " "
                    label for=(id(&place.to_string())) { code { (scope) } }
                }
            }
        }
        label for=(id("roles")) { "Roles by which policy governs it, where it acts without a person" }
        input id=(id("roles")) type="text" name="roles" value=[&roles] autocomplete="off" spellcheck="false";
        label for=(id("vendor")) { "The vendor whose grant bounds it, if any" }
        input id=(id("vendor")) type="text" name="vendor" value=[&one.vendor] autocomplete="off" spellcheck="false";
        @if one.token_endpoint_auth_method == "tls_client_auth" {
            label for=(id("authority")) {
                "The authority that vouches for its certificate, where there are several: SHA-256"
            }
            input id=(id("authority")) type="text" name="authority" value=[&one.authority] autocomplete="off" spellcheck="false";
        }
    }
}

/// Members of its metadata that are told in words; the others are shown as they are.
const TOLD: &[&str] = &[
    "client_name",
    "redirect_uris",
    "scope",
    "contacts",
    "token_endpoint_auth_method",
];

fn facts(one: &RegistrationView) -> Markup {
    let how = match one.token_endpoint_auth_method.as_str() {
        "none" => "It proves nothing: an app in a browser or on a phone",
        "private_key_jwt" => "By a key of its own",
        "client_secret_basic" => "By a secret",
        _ => "By a certificate",
    };
    let invited = match one.invited {
        true => "Yes",
        false => "No: anyone could have asked",
    };
    let facts = [
        ("Id", one.client_id.clone()),
        ("People are sent back to", one.redirect_uris.join(" ")),
        ("Asks for", one.scopes.join(" ")),
        ("Proves who it is", how.to_owned()),
        ("Was invited", invited.to_owned()),
        ("Contacts", one.contacts.join(", ")),
        ("Asked", format!("{}, from {}", one.asked, one.from)),
        ("Waits until", one.until.clone()),
    ];
    html! {
        dl {
            @for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                dt { (name) } dd { (value) }
            }
            @for (name, value) in one.metadata.as_object().into_iter().flatten() {
                @if !TOLD.contains(&name.as_str()) {
                    dt { code { (name) } }
                    dd { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) }
                }
            }
        }
    }
}
