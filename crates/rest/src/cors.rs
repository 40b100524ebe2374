//! Answers that pages of other origins may read (Fetch standard, CORS): only of origins that the
//! house or the tenant lists, and never with what a browser adds by itself; callers say who they
//! are in `Authorization`.

use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderValue, Method, Response};

use crate::call::Call;
use crate::caller;

/// What a page may send beside what every page may.
const SENT: HeaderValue = HeaderValue::from_static(
    "accept, access-reason, authorization, content-encoding, content-type, if-match, \
     if-modified-since, if-none-exist, if-none-match, if-unmodified-since, prefer, \
     x-correlation-id, x-provenance, x-request-id, x-security-context",
);

/// What a page may read beside what every page may.
const SHOWN: HeaderValue = HeaderValue::from_static(
    "etag, location, content-location, last-modified, accept-encoding, accept-patch, allow, \
     retry-after, vary, www-authenticate, x-correlation-id, x-request-id",
);

/// Seconds for which a browser need not ask again.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// A request of a page whose origin is allowed.
pub(crate) struct Cors {
    /// `Access-Control-Allow-Origin`
    origin: HeaderValue,
    /// Whether the browser asks before it sends the request itself.
    asks: bool,
}

impl Cors {
    /// None for requests that no page sent, and for pages of other origins.
    pub(crate) fn of(call: &Call) -> Option<Self> {
        let origin = call.parts.headers.get(ORIGIN)?;
        let text = origin.to_str().ok()?;
        let listed = call.house.origins(caller::tenant_name(call).as_deref());
        let any = listed.iter().any(|o| o == "*");
        let known = any || listed.iter().any(|o| o.eq_ignore_ascii_case(text));
        known.then(|| Self {
            origin: match any {
                true => HeaderValue::from_static("*"),
                false => origin.clone(),
            },
            asks: call.parts.method == Method::OPTIONS
                && call
                    .parts
                    .headers
                    .contains_key(ACCESS_CONTROL_REQUEST_METHOD),
        })
    }

    /// Lets the page see the answer; `methods` are those of the URL.
    pub(crate) fn allow(self, methods: HeaderValue, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        headers.append(VARY, HeaderValue::from_static("origin"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
        if self.asks {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
            headers.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED);
        }
    }
}
