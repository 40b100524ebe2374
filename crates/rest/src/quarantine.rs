//! The background check of tenants' rows, and how many openings wait for a review, in the admin API.

use axum::body::Body;
use base::Code;
use engine::{Failure, Operator, form};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::admin::answer;
use crate::call::Call;

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct ScrubStart {
    /// Not bound by the rate.
    now: bool,
}

/// `GET /admin/v1/tenants/{name}/scrub`
pub(crate) async fn status(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    answer(StatusCode::OK, &by.scrub_status(call.value("name")).await?)
}

/// `POST /admin/v1/tenants/{name}/scrub`
pub(crate) async fn begin(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let start: ScrubStart = call.json().await?;
    let begun = by.begin_scrub(call.value("name"), start.now).await?;
    answer(StatusCode::ACCEPTED, &begun)
}

/// `GET /admin/v1/tenants/{name}/quarantine[?all=true]`
pub(crate) async fn list(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let all = match form::first(call.query(), "all").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let text = "all is true or false";
            return Err(Failure::new(Code::RequestInvalid, text));
        }
    };
    let found = by.quarantine(call.value("name"), all).await?;
    answer(StatusCode::OK, &json!({ "quarantine": found }))
}

/// `GET /admin/v1/tenants/{name}/break-glass`: how many, not who and whom.
pub(crate) async fn openings(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    answer(
        StatusCode::OK,
        &by.opening_counts(call.value("name")).await?,
    )
}

/// `GET /admin/v1/tenants/{name}/alerts`: how many, not of whom.
pub(crate) async fn alerts(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    answer(StatusCode::OK, &by.alert_counts(call.value("name")).await?)
}
