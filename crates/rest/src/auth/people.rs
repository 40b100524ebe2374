//! The API of those who administer a tenant's people, in their browsers: JSON in, JSON out. A page of
//! another origin cannot send it: it takes JSON only, which must be said, and the session's cookie goes
//! with no request that another site makes.

use axum::body::Body;
use base::Code;
use engine::{Failure, PersonDraft, PersonPatch, Session, Visitor};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::admin::{answer, done};
use crate::call::Call;

/// A body that is said to be JSON: a browser asks us first before it lets another origin send one.
pub(super) async fn said_json<T: DeserializeOwned>(call: &mut Call) -> Result<T, Failure> {
    if !call.parts.headers.contains_key(CONTENT_TYPE) {
        return Err(Failure::of(Code::MediaType));
    }
    call.json().await
}

/// `GET /t/{tenant}/auth/people`
pub(crate) async fn list(by: Visitor, _: Call) -> Result<Response<Body>, Failure> {
    answer(
        StatusCode::OK,
        &json!({ "people": by.list_people().await? }),
    )
}

/// `POST /t/{tenant}/auth/people`
pub(crate) async fn create(by: Visitor, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft: PersonDraft = said_json(&mut call).await?;
    answer(StatusCode::CREATED, &by.create_person(draft).await?)
}

/// `PATCH /t/{tenant}/auth/people/{person}`
pub(crate) async fn change(by: Visitor, mut call: Call) -> Result<Response<Body>, Failure> {
    let patch: PersonPatch = said_json(&mut call).await?;
    let view = by.change_person(call.value("person"), patch).await?;
    answer(StatusCode::OK, &view)
}

/// `POST /t/{tenant}/auth/people/{person}/invitation`
pub(crate) async fn invite(by: Visitor, mut call: Call) -> Result<Response<Body>, Failure> {
    let _: serde_json::Value = said_json(&mut call).await?;
    let invited = by.invite_person(call.value("person")).await?;
    answer(StatusCode::CREATED, &invited)
}

/// `POST /t/{tenant}/auth/people/{person}/sign-out`
pub(crate) async fn sign_out(by: Visitor, mut call: Call) -> Result<Response<Body>, Failure> {
    let _: serde_json::Value = said_json(&mut call).await?;
    by.sign_person_out(call.value("person")).await?;
    Ok(done())
}

/// `GET /t/{tenant}/auth/launches`: the programs that can be opened from within a record.
pub(crate) async fn launches(by: Session, _: Call) -> Result<Response<Body>, Failure> {
    let links = by.program_links().await?;
    answer(StatusCode::OK, &json!({ "links": links }))
}

/// `POST /t/{tenant}/auth/launches`
pub(crate) async fn launch(by: Session, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft = call.json().await?;
    answer(StatusCode::CREATED, &by.make_launch(draft).await?)
}
