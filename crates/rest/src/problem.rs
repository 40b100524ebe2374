//! The one place where a kind of failure becomes a status, and a failure becomes a body:
//! OperationOutcome under a FHIR base, `application/problem+json` (RFC 9457) elsewhere.

use axum::body::Body;
use base::{Code, Kind};
use engine::Failure;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::coding::Coding;
use crate::negotiate::FHIR_JSON;

/// How failures are written under a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// OperationOutcome.
    Fhir,
    /// Problem details.
    Problem,
}

/// The status of a failure.
pub const fn status(code: Code) -> StatusCode {
    match (code.kind(), code) {
        (Kind::Incorrect, _) => StatusCode::BAD_REQUEST,
        (Kind::TooLarge, Code::LimitHeaders) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        (Kind::TooLarge, Code::LimitUrl) => StatusCode::URI_TOO_LONG,
        (Kind::TooLarge, _) => StatusCode::PAYLOAD_TOO_LARGE,
        (Kind::Unprocessable, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (Kind::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (Kind::Forbidden, _) => StatusCode::FORBIDDEN,
        (Kind::NotFound, _) => StatusCode::NOT_FOUND,
        (Kind::Gone, _) => StatusCode::GONE,
        (Kind::Conflict, _) => StatusCode::CONFLICT,
        (Kind::Precondition, _) => StatusCode::PRECONDITION_FAILED,
        (Kind::Misdirected, _) => StatusCode::MISDIRECTED_REQUEST,
        (Kind::Unsupported, Code::MethodNotAllowed) => StatusCode::METHOD_NOT_ALLOWED,
        (Kind::Unsupported, Code::MediaType | Code::ContentCoding) => {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        }
        (Kind::Unsupported, Code::NotAcceptable) => StatusCode::NOT_ACCEPTABLE,
        (Kind::Unsupported, _) => StatusCode::NOT_IMPLEMENTED,
        (Kind::Busy, Code::RateLimited | Code::LimitShare) => StatusCode::TOO_MANY_REQUESTS,
        (Kind::Busy, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Kind::Fault, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer that tells a failure. `realm` names what credentials are for.
pub(crate) fn respond(failure: &Failure, style: Style, realm: &str) -> Response<Body> {
    let code = failure.code();
    let status = status(code);
    let (media, body) = match style {
        Style::Fhir => (FHIR_JSON, failure.outcome().to_json()),
        Style::Problem => (
            HeaderValue::from_static("application/problem+json"),
            problem(failure, status),
        ),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media);
    if let Some(seconds) = failure.retry_seconds() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    // RFC 9110 section 15.5.16: what would have been taken.
    if code == Code::ContentCoding {
        headers.insert(ACCEPT_ENCODING, Coding::ACCEPTED);
    }
    if status == StatusCode::UNAUTHORIZED {
        let error = match code {
            Code::CredentialsMissing => "",
            _ => ", error=\"invalid_token\"",
        };
        let mut challenge = |text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.append(WWW_AUTHENTICATE, value);
            }
        };
        challenge(format!("Bearer realm=\"{realm}\"{error}"));
        if style == Style::Fhir {
            challenge(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
        }
    }
    response
}

fn problem(failure: &Failure, status: StatusCode) -> Vec<u8> {
    let code = failure.code();
    let mut problem = serde_json::json!({
        "type": format!("{}/{}", fhir::outcome::CODE_SYSTEM, code.as_str()),
        "title": code.describe(),
        "status": status.as_u16(),
        "code": code.as_str(),
        "detail": failure.text(),
    });
    if let (Some(limit), Some(object)) = (failure.limit_name(), problem.as_object_mut()) {
        object.insert("limit".into(), limit.into());
    }
    problem.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_of_failure() {
        for code in Code::ALL {
            let status = status(*code);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{}",
                code.as_str()
            );
        }
    }

    #[test]
    fn a_refused_caller_learns_how_to_come_back() {
        let refused = respond(&Failure::of(Code::TokenExpired), Style::Fhir, "lakeside");
        assert_eq!(refused.status(), 401);
        let challenges: Vec<_> = refused.headers().get_all(WWW_AUTHENTICATE).iter().collect();
        assert_eq!(challenges.len(), 2);
        assert!(challenges[0].to_str().unwrap().contains("invalid_token"));
    }
}
