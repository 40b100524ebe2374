//! Probes and metrics.

use axum::body::Body;
use base::Code;
use engine::{Failure, Operator};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use crate::call::Call;

fn text(media: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// `GET /health/live`: the process answers.
pub(crate) async fn live(_: Call) -> Result<Response<Body>, Failure> {
    Ok(text("application/json", r#"{"status":"live"}"#))
}

/// `GET /health/ready`: the process takes work.
pub(crate) async fn ready(call: Call) -> Result<Response<Body>, Failure> {
    if call.house.is_ready() {
        return Ok(text("application/json", r#"{"status":"ready"}"#));
    }
    Err(Failure::of(Code::Stopping))
}

/// `GET /metrics`: OpenMetrics text, for the operator.
pub(crate) async fn metrics(_: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(text(media, call.house.metrics().render()))
}
