//! Pages of a tenant's issuer for people: signing in, approving programs, one's own account; and the
//! API of those who administer people.
//!
//! No page needs a script but those that ask for a passkey, and no other may run one. Every form
//! carries a token that was given out to the same browser in the same session.

use std::net::IpAddr;

use axum::body::Body;
use base::Code;
use bytes::Bytes;
use engine::{Departure, Failure, Gate, RequestMeta, SignInFrom, Visitor, form};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HeaderName, LOCATION,
    REFERRER_POLICY, SET_COOKIE, USER_AGENT, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use maud::Markup;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::admin::answer;
use crate::call::{BodyLimit, Call};
use crate::{negotiate, problem};

pub(crate) mod access_report;
pub(crate) mod account;
pub(crate) mod alerts;
pub(crate) mod authorize;
pub(crate) mod choice;
pub(crate) mod clients;
pub(crate) mod end_session;
pub(crate) mod identity_providers;
pub(crate) mod openings;
mod pages;
pub(crate) mod people;
pub(crate) mod provider;
pub(crate) mod registrations;
pub(crate) mod sign_in;
pub(crate) mod vendors;

/// Names and scope of the cookies of a tenant.
struct Cookies {
    session: String,
    form: String,
    journey: String,
    known: String,
    attributes: String,
}

impl Cookies {
    fn of(gate: &Gate) -> Self {
        let (links, tenant) = (gate.links(), gate.name());
        let path = links.auth_path();
        let (prefix, path, secure) = match (links.is_https(), path) {
            // A host of the tenant's own.
            (true, "") => ("__Host-", "/".to_owned(), "; Secure"),
            (true, path) => ("__Secure-", format!("{path}/auth"), "; Secure"),
            (false, path) => ("", format!("{path}/auth"), ""),
        };
        Self {
            session: format!("{prefix}insula-{tenant}"),
            form: format!("{prefix}insula-{tenant}-form"),
            journey: format!("{prefix}insula-{tenant}-journey"),
            known: format!("{prefix}insula-{tenant}-known"),
            attributes: format!("; Path={path}; HttpOnly; SameSite=Lax{secure}"),
        }
    }

    fn set(&self, name: &str, value: &str, seconds: Option<i64>) -> Option<HeaderValue> {
        let life = seconds.map_or_else(String::new, |s| format!("; Max-Age={s}"));
        HeaderValue::from_str(&format!("{name}={value}{}{life}", self.attributes)).ok()
    }
}

/// The value of a cookie; of several of one name, the first.
fn cookie<'c>(call: &'c Call, name: &str) -> Option<&'c str> {
    let all = call.parts.headers.get_all(COOKIE);
    all.iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| {
            let (n, v) = pair.trim().split_once('=')?;
            (n == name && !v.is_empty()).then_some(v)
        })
}

/// A browser at a tenant's pages, for one request: its cookies, and what goes back to it.
pub(crate) struct Browser {
    cookies: Cookies,
    form: String,
    session: String,
    known: String,
    fresh: bool,
    address: IpAddr,
    agent: String,
    request: RequestMeta,
}

impl Browser {
    pub(crate) fn of(gate: &Gate, call: &Call) -> Self {
        let cookies = Cookies::of(gate);
        let agent = call.parts.headers.get(USER_AGENT);
        let agent = agent.and_then(|a| a.to_str().ok()).unwrap_or_default();
        let form = cookie(call, &cookies.form).map(str::to_owned);
        let kept = |name: &str| cookie(call, name).unwrap_or_default().to_owned();
        Self {
            session: kept(&cookies.session),
            known: kept(&cookies.known),
            fresh: form.is_none(),
            form: form.unwrap_or_else(|| call.house.request().id.to_string()),
            address: call.from,
            agent: agent.to_owned(),
            request: call.request,
            cookies,
        }
    }

    fn from(&self) -> SignInFrom<'_> {
        SignInFrom {
            address: self.address,
            agent: &self.agent,
            session: &self.session,
            browser: &self.form,
            known: &self.known,
            request: self.request,
        }
    }

    /// What its forms carry.
    async fn token(&self, gate: &Gate) -> Result<String, Failure> {
        gate.form_token(&self.form, &self.session).await
    }

    /// The person whose session it shows.
    async fn visitor(&self, gate: &Gate) -> Result<Option<Visitor>, Failure> {
        if self.session.is_empty() {
            return Ok(None);
        }
        gate.visitor(&self.session, self.address, self.request)
            .await
    }

    /// The same, who must be there.
    ///
    /// # Errors
    /// `credentials-missing`, `credentials-invalid`.
    pub(crate) async fn known(&self, gate: &Gate) -> Result<Visitor, Failure> {
        let code = match self.session.is_empty() {
            true => Code::CredentialsMissing,
            false => Code::CredentialsInvalid,
        };
        let visitor = self.visitor(gate).await?;
        visitor.ok_or(Failure::of(code))
    }

    /// The fields of a form that was given out to it.
    async fn fields(&self, gate: &Gate, call: &mut Call) -> Result<Fields, Failure> {
        let fields = Fields::read(call).await?;
        self.own(gate, &fields).await?;
        Ok(fields)
    }

    /// Refuses a form that was not given out to it.
    async fn own(&self, gate: &Gate, fields: &Fields) -> Result<(), Failure> {
        let token = fields.get("_form").unwrap_or_default();
        gate.own_form(&self.form, &self.session, &token).await
    }

    /// Has it keep what a journey to an identity provider needs at its end.
    fn keep_journey(&self, response: &mut Response<Body>, departure: &Departure) {
        let (cookies, seconds) = (&self.cookies, departure.seconds);
        let set = cookies.set(&cookies.journey, &departure.cookie, Some(seconds));
        if let Some(set) = set {
            response.headers_mut().append(SET_COOKIE, set);
        }
    }

    /// A page that may run the one script that asks for passkeys.
    fn page_for_passkeys(
        &self,
        gate: &Gate,
        status: StatusCode,
        page: Markup,
        redirect: &str,
    ) -> Response<Body> {
        let mut response = self.page(status, page, redirect);
        let headers = response.headers_mut();
        let policy = headers
            .get(CONTENT_SECURITY_POLICY)
            .and_then(|p| p.to_str().ok());
        let script = gate.links().auth("/passkey.js");
        let policy = policy.map(|policy| format!("{policy}; script-src {script}"));
        if let Some(policy) = policy.and_then(|p| HeaderValue::from_str(&p).ok()) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    fn page(&self, status: StatusCode, page: Markup, redirect: &str) -> Response<Body> {
        let mut response = html(status, page, redirect);
        if self.fresh
            && let Some(set) = self.cookies.set(&self.cookies.form, &self.form, None)
        {
            response.headers_mut().append(SET_COOKIE, set);
        }
        response
    }
}

/// The fields of a form.
struct Fields(Bytes);

impl Fields {
    async fn read(call: &mut Call) -> Result<Self, Failure> {
        if negotiate::body_essence(&call.parts.headers) != negotiate::FORM {
            return Err(Failure::of(Code::MediaType));
        }
        Ok(Self(call.body(BodyLimit::Form).await?))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<String> {
        let value = form::first(self.text(), name)?;
        (!value.is_empty()).then(|| value.into_owned())
    }

    /// All values of a name.
    fn all(&self, name: &str) -> Vec<String> {
        let pairs = form::pairs(self.text()).filter(|(n, _)| n == name);
        pairs.map(|(_, value)| value.into_owned()).collect()
    }

    fn or_empty(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }
}

/// What a page may do: nothing but show itself with the tenant's style, and send forms to the tenant
/// and on to where a program wants people to be sent.
fn html(status: StatusCode, page: Markup, redirect: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(page.into_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(CONTENT_TYPE, fixed("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, fixed("no-store"));
    headers.insert(REFERRER_POLICY, fixed("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, fixed("DENY"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(opener, fixed("same-origin"));
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {}; frame-ancestors 'none'; \
         base-uri 'none'",
        origin(redirect)
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The origin of a URL, or its scheme where it has no authority.
fn origin(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else {
        return String::new();
    };
    let safe = |t: &str| !t.contains([';', ',', ' ', '\'', '"']);
    match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let host = rest.split_at(end).0;
            match safe(host) {
                true => format!("{scheme}://{host}"),
                false => String::new(),
            }
        }
        None => format!("{scheme}:"),
    }
}

fn see(url: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(url) = HeaderValue::from_str(url) {
        headers.insert(LOCATION, url);
    }
    response
}

/// A failure as a page.
fn failed(gate: &Gate, failure: &Failure) -> Response<Body> {
    let status = problem::status(failure.code());
    let mut response = html(status, pages::failure(gate, failure), "");
    if let Some(seconds) = failure.retry_seconds() {
        let after = HeaderValue::from(seconds);
        response
            .headers_mut()
            .insert(http::header::RETRY_AFTER, after);
    }
    response
}

/// Whether whoever asks reads pages.
pub(crate) fn reads_pages(call: &Call) -> bool {
    let accept = call.parts.headers.get(ACCEPT).and_then(|a| a.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// What was listed: as a page, with forms that carry the token of this browser, or as JSON under this name.
async fn listing<T: Serialize + Send>(
    by: &Visitor,
    call: Call,
    (name, found): (&str, Result<Vec<T>, Failure>),
    page: impl FnOnce(&str, &[T]) -> Markup + Send,
) -> Result<Response<Body>, Failure> {
    if !reads_pages(&call) {
        return answer(StatusCode::OK, &json!({ name: found? }));
    }
    let gate = by.gate();
    let browser = Browser::of(gate, &call);
    let token = browser.token(gate).await?;
    match found {
        Ok(all) => Ok(browser.page(StatusCode::OK, page(&token, &all), "")),
        Err(failure) => Ok(failed(gate, &failure)),
    }
}

/// Has done what somebody says: by a form of our pages, after which they see the page `then`, or by JSON, which
/// no page of another origin can send, and which is answered with what `work` tells.
async fn said<T, Read, Work>(
    by: &Visitor,
    mut call: Call,
    then: &str,
    read: impl FnOnce(Fields) -> Read + Send,
    work: impl FnOnce(T) -> Work + Send,
) -> Result<Response<Body>, Failure>
where
    T: DeserializeOwned + Send,
    Read: Future<Output = Result<T, Failure>> + Send,
    Work: Future<Output = Result<Response<Body>, Failure>> + Send,
{
    if negotiate::body_essence(&call.parts.headers) != negotiate::FORM {
        return work(people::said_json(&mut call).await?).await;
    }
    let gate = by.gate();
    let by_form = async {
        let fields = Browser::of(gate, &call).fields(gate, &mut call).await?;
        work(read(fields).await?).await
    };
    Ok(match by_form.await {
        Ok(_) => see(&gate.links().auth(then)),
        Err(failure) => failed(gate, &failure),
    })
}

/// Refuses what a page of another origin has a browser send, where the browser says so (Fetch Metadata):
/// the session's cookie goes to no other site, but does so between the hosts of one.
///
/// # Errors
/// `form-foreign`
pub(crate) fn of_this_origin(call: &Call) -> Result<(), Failure> {
    let site = call.parts.headers.get("sec-fetch-site");
    match site.is_none_or(|site| matches!(site.as_bytes(), b"same-origin" | b"none")) {
        true => Ok(()),
        false => Err(Failure::of(Code::FormForeign)),
    }
}

/// Where somebody who is not signed in signs in, on the way to this page.
pub(crate) fn to_sign_in(gate: &Gate, call: &Call) -> Response<Body> {
    let path = call.parts.uri.path();
    let page = path
        .rsplit_once("/auth/")
        .map_or("account", |(_, page)| page);
    see(&gate
        .links()
        .auth(&format!("/login?next={}", form::encode(page))))
}

/// `GET /t/{tenant}/auth/passkey.js`: the only script there is.
pub(crate) async fn script(_: Gate, _: Call) -> Result<Response<Body>, Failure> {
    let mut response = Response::new(Body::from(include_str!("auth/passkey.js")));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    Ok(response)
}

/// `GET /t/{tenant}/auth/style.css`
pub(crate) async fn style(_: Gate, call: Call) -> Result<Response<Body>, Failure> {
    house_style(call).await
}

/// `GET /auth/style.css`
pub(crate) async fn house_style(_: Call) -> Result<Response<Body>, Failure> {
    let mut response = Response::new(Body::from(pages::STYLE));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/css; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    Ok(response)
}
