//! Operations: the part of a request that is the same for all of them. What each does is the
//! engine's.

use std::borrow::Cow;

use axum::body::Body;
use base::Code;
use bytes::Bytes;
use engine::{Failure, Input, On, Session, form};
use http::{Method, Response};

use crate::answer::{self, At, Wish};
use crate::call::{BodyLimit, Call};
use crate::fhir::NOT_SEARCHED;
use crate::headers::Prefer;
use crate::negotiate;

/// `GET` or `POST …/$name`, of the whole, a type, a resource or a version.
pub(crate) async fn operation(session: Session, mut call: Call) -> Result<Response<Body>, Failure> {
    let mut query = call.query().to_owned();
    let max = session.query_bytes_max();
    let mut body = Bytes::new();
    if call.parts.method == Method::POST {
        let form = negotiate::body_essence(&call.parts.headers) == negotiate::FORM;
        if form {
            let text = call.body(BodyLimit::Form).await?;
            let text = std::str::from_utf8(&text).map_err(|_| Failure::of(Code::RequestInvalid))?;
            query = [text, &query].join("&");
        } else {
            body = call.body(BodyLimit::Resource).await?;
            if !body.is_empty() {
                negotiate::json_body(&call.parts.headers)?;
            }
        }
    }
    if query.len() as u64 > max {
        return Err(Failure::limit(Code::LimitQuery, "query_bytes_max", max));
    }
    let prefer = Prefer::of(&call.parts.headers);
    let wish = Wish {
        media: negotiate::answer_type(&call.parts.headers, Some(&query))?,
        prefer: None,
    };
    let [type_name, id, version] = ["type", "id", "version"].map(|name| call.value(name));
    let on = match (type_name, id, version) {
        ("", ..) => On::System,
        (type_name, "", _) => On::Type(type_name),
        (type_name, id, "") => On::Instance(type_name, id),
        (type_name, id, version) => On::Version(type_name, id, version),
    };
    let path = call.parts.uri.path();
    let name = path.rsplit_once('$').map_or("", |(_, name)| name);
    let cursor = form::first(&query, "_cursor").map(Cow::into_owned);
    let input = Input {
        query: &form::without(&query, &NOT_SEARCHED),
        cursor: cursor.as_deref(),
        strict: prefer.strict,
        body: &body,
    };
    let answer = session.operate(name, on, input).await?;
    answer::respond(answer, At::of(&session), &wish)
}
