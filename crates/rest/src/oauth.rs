//! The tenant as an OAuth 2 issuer: the token endpoint, its keys, and what SMART clients look up
//! first.

use std::borrow::Cow;

use axum::body::Body;
use base::Code;
use engine::{Assurance, Failure, Gate, House, Session, SwitchDraft, TokenFailure, TokenRequest};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::call::{BodyLimit, Call};
use engine::form;

use crate::negotiate;

fn json(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What is wrong with the parameters of a request is told in the words of OAuth.
type Asked<T> = Result<Result<T, TokenFailure>, Failure>;

/// The parameters of a request of a client.
async fn asked(call: &mut Call) -> Asked<TokenRequest> {
    Ok(asked_with(call).await?.map(|(asked, _)| asked))
}

/// The same, with the form that it was read from.
async fn asked_with(call: &mut Call) -> Asked<(TokenRequest, String)> {
    let headers = &call.parts.headers;
    if !headers.contains_key(CONTENT_TYPE) && call.body(BodyLimit::Form).await?.is_empty() {
        // Nothing is said, in no format.
        return Ok(Ok((TokenRequest::default(), String::new())));
    }
    if negotiate::body_essence(&call.parts.headers) != "application/x-www-form-urlencoded" {
        return Err(Failure::of(Code::MediaType));
    }
    let body = call.body(BodyLimit::Form).await?;
    Ok(read(&body))
}

/// RFC 6749 section 3.2: no parameter is there twice; one without a value is as if it were not.
fn read(body: &[u8]) -> Result<(TokenRequest, String), TokenFailure> {
    let unread = TokenFailure::Request("the parameters are not UTF-8");
    let text = std::str::from_utf8(body).map_err(|_| unread)?;
    let mut asked = TokenRequest::default();
    let mut seen: Vec<Cow<'_, str>> = Vec::new();
    for (name, value) in form::pairs(text) {
        let value = Some(value.into_owned()).filter(|v| !v.is_empty());
        let place = match &*name {
            "grant_type" => &mut asked.grant_type,
            "scope" => &mut asked.scope,
            "client_assertion_type" => &mut asked.assertion_type,
            "client_assertion" => &mut asked.assertion,
            "client_id" => &mut asked.client_id,
            "code" => &mut asked.code,
            "redirect_uri" => &mut asked.redirect,
            "code_verifier" => &mut asked.verifier,
            "refresh_token" => &mut asked.refresh,
            "token" => &mut asked.token,
            "client_secret" => {
                asked.secret_in_body = true;
                continue;
            }
            _ => continue,
        };
        // Only names that are known are remembered, and there are few.
        if seen.contains(&name) {
            return Err(TokenFailure::Request("a parameter is there twice"));
        }
        *place = value;
        seen.push(name);
    }
    Ok((asked, text.to_owned()))
}

fn unkept(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// `POST /t/{tenant}/auth/token` (RFC 6749 sections 4.1.3, 4.4 and 6).
pub(crate) async fn token(gate: Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let given = match asked(&mut call).await? {
        Ok(asked) => gate.token(&asked, call.credentials(), call.request).await,
        Err(failure) => Err(failure),
    };
    let response = match given {
        Ok(granted) => {
            let mut body = json!({
                "access_token": granted.access_token,
                "token_type": "bearer",
                "expires_in": granted.expires_seconds,
                "scope": granted.scope,
            });
            if let Some(members) = body.as_object_mut() {
                members.extend(granted.more);
            }
            json(StatusCode::OK, &body)
        }
        Err(failure) => refused(&failure, gate.name().as_str())?,
    };
    Ok(unkept(response))
}

/// `POST /t/{tenant}/auth/introspect` (RFC 7662).
pub(crate) async fn introspect(gate: Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let told = match asked(&mut call).await? {
        Ok(asked) => {
            gate.introspect(&asked, call.credentials(), call.request)
                .await
        }
        Err(failure) => Err(failure),
    };
    Ok(unkept(match told {
        Ok(told) => json(StatusCode::OK, &told),
        Err(failure) => refused(&failure, gate.name().as_str())?,
    }))
}

/// `POST /t/{tenant}/auth/revoke` (RFC 7009).
pub(crate) async fn revoke(gate: Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let done = match asked(&mut call).await? {
        Ok(asked) => gate.revoke(&asked, call.credentials(), call.request).await,
        Err(failure) => Err(failure),
    };
    Ok(unkept(match done {
        Ok(()) => Response::new(Body::empty()),
        Err(failure) => refused(&failure, gate.name().as_str())?,
    }))
}

/// `POST /t/{tenant}/auth/vendor`: what a vendor does with its own grant, by one of its clients.
pub(crate) async fn vendor(gate: Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let view = match asked_of_vendor(&mut call).await? {
        Ok((asked, draft)) => {
            gate.own_vendor(&asked, draft, call.credentials(), call.request)
                .await
        }
        Err(failure) => Err(failure),
    };
    Ok(unkept(match view {
        Ok(view) => {
            let view = serde_json::to_value(&view).map_err(|_| Failure::of(Code::Internal))?;
            json(StatusCode::OK, &view)
        }
        Err(failure) => refused(&failure, gate.name().as_str())?,
    }))
}

/// The client's own parameters, and `hold` with `reason` where it moves its switch.
async fn asked_of_vendor(call: &mut Call) -> Asked<(TokenRequest, Option<SwitchDraft>)> {
    let (asked, text) = match asked_with(call).await? {
        Ok(read) => read,
        Err(failure) => return Ok(Err(failure)),
    };
    let field = |name| form::first(&text, name).map(std::borrow::Cow::into_owned);
    let draft = field("hold")
        .filter(|h| !h.is_empty())
        .map(|hold| SwitchDraft {
            hold,
            terms: None,
            reason: field("reason").unwrap_or_default(),
        });
    Ok(Ok((asked, draft)))
}

/// RFC 6749 section 5.2.
fn refused(failure: &TokenFailure, realm: &str) -> Result<Response<Body>, Failure> {
    let (status, error, about) = match failure {
        TokenFailure::Request(about) => (StatusCode::BAD_REQUEST, "invalid_request", *about),
        TokenFailure::Client => (
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            Code::CredentialsInvalid.describe(),
        ),
        TokenFailure::Keys(about) => (StatusCode::UNAUTHORIZED, "invalid_client", about.as_str()),
        TokenFailure::Grant => (
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "client_credentials, authorization_code and refresh_token are supported",
        ),
        TokenFailure::Spent => (
            StatusCode::BAD_REQUEST,
            "invalid_grant",
            "the code or refresh token is not good, or not any more",
        ),
        TokenFailure::Unauthorized => (
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
            "a public client has no rights of its own",
        ),
        TokenFailure::Vendor(code) => (
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
            code.describe(),
        ),
        TokenFailure::Scope => (
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "none of the scopes can be granted to this client",
        ),
        TokenFailure::Other(failure) => return Err(failure.clone()),
    };
    let mut response = json(
        status,
        &json!({ "error": error, "error_description": about }),
    );
    if status == StatusCode::UNAUTHORIZED
        && let Ok(challenge) = HeaderValue::from_str(&format!("Basic realm=\"{realm}\""))
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    Ok(response)
}

/// `GET /t/{tenant}/auth/jwks`: the public keys that check this tenant's tokens (RFC 7517).
pub(crate) async fn jwks(gate: Gate, _: Call) -> Result<Response<Body>, Failure> {
    Ok(json(StatusCode::OK, &gate.jwks().await?))
}

/// `GET` and `POST /t/{tenant}/auth/userinfo` (OpenID Connect Core, section 5.3).
pub(crate) async fn userinfo(by: Session, call: Call) -> Result<Response<Body>, Failure> {
    drop(call);
    match by.userinfo().await {
        Ok(claims) => Ok(unkept(json(StatusCode::OK, &claims))),
        Err(failure) if failure.code() == Code::ScopeMissing => {
            let mut response = json(
                StatusCode::FORBIDDEN,
                &json!({ "error": "insufficient_scope", "error_description": failure.text() }),
            );
            // RFC 6750 section 3.1.
            let challenge = "Bearer error=\"insufficient_scope\", scope=\"openid\"";
            let challenge = HeaderValue::from_static(challenge);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            Ok(unkept(response))
        }
        Err(failure) => Err(failure),
    }
}

/// What both descriptions of the issuer say.
fn described(gate: &Gate, house: &House) -> serde_json::Value {
    let (links, config) = (gate.links(), house.config());
    let mut methods = vec!["client_secret_basic", "private_key_jwt", "none"];
    if config.client_certificates {
        methods.push("self_signed_tls_client_auth");
    }
    if config.client_authorities {
        methods.push("tls_client_auth");
    }
    let proving: Vec<&str> = methods.iter().copied().filter(|m| *m != "none").collect();
    let algorithms = json!(["RS384", "ES384"]);
    json!({
        "issuer": links.issuer(),
        "jwks_uri": links.jwks(),
        "authorization_endpoint": links.auth("/authorize"),
        "token_endpoint": links.token(),
        "userinfo_endpoint": links.auth("/userinfo"),
        "end_session_endpoint": links.auth("/end-session"),
        "introspection_endpoint": links.auth("/introspect"),
        "revocation_endpoint": links.auth("/revoke"),
        "registration_endpoint": links.auth("/register"),
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "tls_client_certificate_bound_access_tokens": config.client_certificates,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": proving,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": [
            "openid", "profile", "fhirUser", "launch", "launch/patient",
            "online_access", "offline_access",
            "patient/*.cruds", "user/*.cruds", "system/*.cruds", "system/*.rs",
        ],
    })
}

/// `GET …/fhir/.well-known/smart-configuration` (SMART App Launch 2.2).
pub(crate) async fn smart_configuration(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let mut about = described(&gate, &call.house);
    if let Some(members) = about.as_object_mut() {
        members.insert(
            "management_endpoint".into(),
            json!(gate.links().auth("/account")),
        );
        members.insert(
            "capabilities".into(),
            json!([
                "launch-ehr",
                "launch-standalone",
                "authorize-post",
                "client-public",
                "client-confidential-symmetric",
                "client-confidential-asymmetric",
                "sso-openid-connect",
                "context-banner",
                "context-ehr-patient",
                "context-ehr-encounter",
                "context-standalone-patient",
                "permission-offline",
                "permission-online",
                "permission-patient",
                "permission-user",
                "permission-v1",
                "permission-v2",
            ]),
        );
    }
    Ok(json(StatusCode::OK, &about))
}

/// `GET /.well-known/oauth-authorization-server/t/{tenant}/auth` (RFC 8414 section 3.1), and on a tenant's own
/// host `/.well-known/oauth-authorization-server/auth`.
pub(crate) async fn authorization_server(call: Call) -> Result<Response<Body>, Failure> {
    let gate = crate::caller::gate(&call)?;
    configuration(gate, call).await
}

/// `GET /t/{tenant}/auth/.well-known/openid-configuration` (OpenID Connect Discovery 1.0).
pub(crate) async fn configuration(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let mut about = described(&gate, &call.house);
    if let Some(members) = about.as_object_mut() {
        for (name, value) in [
            ("subject_types_supported", json!(["public"])),
            ("id_token_signing_alg_values_supported", json!(["RS256"])),
            (
                "claims_supported",
                json!([
                    "iss",
                    "sub",
                    "aud",
                    "exp",
                    "iat",
                    "auth_time",
                    "nonce",
                    "acr",
                    "amr",
                    "fhirUser",
                    "profile",
                    "name",
                    "preferred_username",
                ]),
            ),
            (
                "acr_values_supported",
                json!([Assurance::Password.acr(), Assurance::TwoFactors.acr()]),
            ),
            (
                "prompt_values_supported",
                json!(["none", "login", "consent"]),
            ),
            ("claims_parameter_supported", json!(false)),
            ("request_parameter_supported", json!(false)),
            ("request_uri_parameter_supported", json!(false)),
        ] {
            members.insert(name.into(), value);
        }
    }
    Ok(json(StatusCode::OK, &about))
}
