//! The tenant as an OAuth 2 issuer: the token endpoint, its keys, and what SMART clients look up
//! first.

use axum::body::Body;
use base::Code;
use engine::{Failure, Gate, TokenFailure, TokenRequest};
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

/// `POST /t/{tenant}/auth/token` (RFC 6749 section 4.4).
pub(crate) async fn token(gate: Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    if negotiate::body_essence(&call.parts.headers) != "application/x-www-form-urlencoded" {
        return Err(Failure::of(Code::MediaType));
    }
    let body = call.body(BodyLimit::Form).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Failure::of(Code::RequestInvalid))?;
    let mut asked = TokenRequest::default();
    for (name, value) in form::pairs(text) {
        let value = Some(value.into_owned()).filter(|v| !v.is_empty());
        match &*name {
            "grant_type" => asked.grant_type = value,
            "scope" => asked.scope = value,
            "client_assertion_type" => asked.assertion_type = value,
            "client_assertion" => asked.assertion = value,
            "client_secret" => asked.secret_in_body = true,
            _ => {}
        }
    }
    let mut response = match gate.token(&asked, call.credentials(), call.request).await {
        Ok(granted) => json(
            StatusCode::OK,
            &json!({
                "access_token": granted.access_token,
                "token_type": "bearer",
                "expires_in": granted.expires_seconds,
                "scope": granted.scope,
            }),
        ),
        Err(failure) => refused(failure, gate.name().as_str())?,
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// RFC 6749 section 5.2.
fn refused(failure: TokenFailure, realm: &str) -> Result<Response<Body>, Failure> {
    let (status, error, about) = match failure {
        TokenFailure::Request(about) => (StatusCode::BAD_REQUEST, "invalid_request", about),
        TokenFailure::Client => (
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            Code::CredentialsInvalid.describe(),
        ),
        TokenFailure::Grant => (
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "only client_credentials is supported",
        ),
        TokenFailure::Scope => (
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "none of the scopes can be granted to this client",
        ),
        TokenFailure::Other(failure) => return Err(failure),
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

/// `GET /t/{tenant}/auth/jwks`: the public key that checks this tenant's tokens (RFC 7517).
pub(crate) async fn jwks(gate: Gate, _: Call) -> Result<Response<Body>, Failure> {
    let key = gate.public_key().await?;
    let set = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "x": key,
    }] });
    Ok(json(StatusCode::OK, &set))
}

/// `GET …/fhir/.well-known/smart-configuration` (SMART App Launch 2.2).
pub(crate) async fn smart_configuration(gate: Gate, _: Call) -> Result<Response<Body>, Failure> {
    let links = gate.links();
    let about = json!({
        "issuer": links.issuer(),
        "jwks_uri": links.jwks(),
        "token_endpoint": links.token(),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "scopes_supported": ["system/*.cruds", "system/*.rs"],
        "capabilities": ["client-confidential-symmetric", "client-confidential-asymmetric", "permission-v2"],
    });
    Ok(json(StatusCode::OK, &about))
}
