//! Policies of tenants in the admin API.

use axum::body::Body;
use engine::{Failure, Operator, form};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::admin::{answer, number};
use crate::call::Call;

/// `GET /admin/v1/policy-presets`
pub(crate) async fn presets(by: Operator, _: Call) -> Result<Response<Body>, Failure> {
    answer(StatusCode::OK, &json!({ "presets": by.presets() }))
}

/// `GET /admin/v1/tenants/{name}/policy`
pub(crate) async fn show(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    answer(StatusCode::OK, &by.policy(call.value("name"), None).await?)
}

/// `POST /admin/v1/tenants/{name}/policy`
pub(crate) async fn publish(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft = call.json().await?;
    let made = by.publish_policy(call.value("name"), draft).await?;
    answer(StatusCode::CREATED, &made)
}

/// `GET /admin/v1/tenants/{name}/policy/versions`
pub(crate) async fn versions(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let versions = by.policy_versions(call.value("name")).await?;
    answer(StatusCode::OK, &json!({ "versions": versions }))
}

/// `GET /admin/v1/tenants/{name}/policy/versions/{version}`
pub(crate) async fn version(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let version = call.value("version").parse();
    let version = version.map_err(|_| Failure::of(base::Code::NotFound))?;
    answer(
        StatusCode::OK,
        &by.policy(call.value("name"), Some(version)).await?,
    )
}

/// `GET /admin/v1/tenants/{name}/policy/diff?from=&to=`
pub(crate) async fn diff(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let from = number(&call, "from")?.unwrap_or(0);
    let to = match number(&call, "to")? {
        Some(to) => to,
        None => by.policy(call.value("name"), None).await?.version,
    };
    answer(
        StatusCode::OK,
        &by.policy_diff(call.value("name"), from, to).await?,
    )
}

/// `POST /admin/v1/tenants/{name}/policy/test`
pub(crate) async fn test(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let question = call.json().await?;
    answer(
        StatusCode::OK,
        &by.test_policy(call.value("name"), question).await?,
    )
}

/// `POST /admin/v1/tenants/{name}/policy/import`
pub(crate) async fn import(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let asked = call.json().await?;
    answer(
        StatusCode::OK,
        &by.import_policy(call.value("name"), asked).await?,
    )
}

/// `POST /admin/v1/tenants/{name}/policy/dry-run`
pub(crate) async fn dry_run(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let trial = call.json().await?;
    answer(
        StatusCode::OK,
        &by.dry_run_policy(call.value("name"), trial).await?,
    )
}

/// `GET /admin/v1/tenants/{name}/policy/matrix[?format=text]`
pub(crate) async fn matrix(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let matrix = by.policy_matrix(call.value("name")).await?;
    if form::first(call.query(), "format").as_deref() != Some("text") {
        return answer(StatusCode::OK, &matrix);
    }
    let mut response = Response::new(Body::from(matrix.to_text()));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    Ok(response)
}
