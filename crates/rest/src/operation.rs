//! Operations: the part of a request that is the same for all of them. What each does is the
//! engine's.

use std::borrow::Cow;

use axum::body::Body;
use base::Code;
use bytes::Bytes;
use engine::{Failure, Input, On, Session, WriteConditions, form};
use http::{HeaderValue, Method, Response};

use crate::answer::{self, At, Wish};
use crate::call::{BodyLimit, Call};
use crate::fhir::NOT_SEARCHED;
use crate::headers::{self, Prefer};
use crate::negotiate;
use crate::rendering::Pretty;

/// The content type of GraphQL's answers.
const GRAPHQL_JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The parameters of an operation as they came: of the URL and a form, and a body.
async fn parameters(session: &Session, call: &mut Call) -> Result<(String, Bytes), Failure> {
    let query = call.query().to_owned();
    if call.parts.method != Method::POST {
        return Ok((query, Bytes::new()));
    }
    let text = |body: Bytes| {
        String::from_utf8(body.to_vec()).map_err(|_| Failure::of(Code::RequestInvalid))
    };
    match negotiate::body_essence(&call.parts.headers).as_str() {
        negotiate::FORM => {
            let form = text(call.body(BodyLimit::Form).await?)?;
            Ok(([form.as_str(), &query].join("&"), Bytes::new()))
        }
        "application/graphql" => {
            let document = text(call.body(BodyLimit::Form).await?)?;
            Ok((
                format!("query={}&{query}", form::encode(&document)),
                Bytes::new(),
            ))
        }
        _ => {
            let body = call.resource(session, BodyLimit::Resource).await?;
            Ok((query, body))
        }
    }
}

/// `GET` or `POST …/$name`, of the whole, a type, a resource or a version.
pub(crate) async fn operation(session: Session, mut call: Call) -> Result<Response<Body>, Failure> {
    let (query, body) = parameters(&session, &mut call).await?;
    let max = session.query_bytes_max();
    if query.len() as u64 > max {
        return Err(Failure::limit(Code::LimitQuery, "query_bytes_max", max));
    }
    let path = call.parts.uri.path();
    let name = path.rsplit_once('$').map_or("", |(_, name)| name);
    let media = match name {
        // GraphQL has one form, whatever FHIR's formats are.
        "graphql" => GRAPHQL_JSON,
        _ => negotiate::answer_type(&call.parts.headers, Some(&query))?,
    };
    let wish = Wish {
        media,
        prefer: None,
    };
    let [type_name, id, version] = ["type", "id", "version"].map(|name| call.value(name));
    let on = match (type_name, id, version) {
        ("", ..) => On::System,
        (type_name, "", _) => On::Type(type_name),
        (type_name, id, "") => On::Instance(type_name, id),
        (type_name, id, version) => On::Version(type_name, id, version),
    };
    let cursor = form::first(&query, "_cursor").map(Cow::into_owned);
    let conditions = match name {
        "meta-add" | "meta-delete" => headers::conditions(&call.parts.headers)?,
        _ => WriteConditions::default(),
    };
    let input = Input {
        query: &form::without(&query, &NOT_SEARCHED),
        cursor: cursor.as_deref(),
        strict: Prefer::of(&call.parts.headers).strict,
        conditions: &conditions,
        body: &body,
    };
    let answer = session.operate(name, on, input).await?;
    let mut response = answer::respond(answer, At::of(&session), &wish)?;
    Pretty::mark(&query, &mut response);
    Ok(response)
}
