//! The router, made of the route table, and the one way that every request goes: find the row,
//! find the tenant, recognise the caller, let the handler answer, turn a failure into an answer,
//! count it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::fhir::definitions::Model;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use base::Code;
use bytes::Bytes;
use engine::{Failure, Forwarded, Holder, House, InteractionMetrics, RequestMeta};
use http::header::{ALLOW, CONTENT_LENGTH, HOST, HeaderName, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use tower::Service;

use crate::call::{Call, ClientCertificate};
use crate::cors::Cors;
use crate::problem::{self, Style};
use crate::rendering::Rendering;
use crate::routes::{self, Base, Handler, Route};
use crate::{auth, caller, headers, negotiate, outgoing, proxy, unread, version};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Bytes of an id of a client's own that are told back.
const CORRELATION_BYTES_MAX: usize = 128;
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// The languages of patches (RFC 5789 section 3.1).
const PATCHES: HeaderValue = HeaderValue::from_static(
    "application/json-patch+json, application/xml-patch+xml, application/fhir+json, \
     application/fhir+xml",
);
const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// Everything that Insula answers over HTTP. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    router: Router,
    house: House,
    unmatched: InteractionMetrics,
    secure: bool,
}

/// When, from where and by which way a request came; travels to the row's service.
#[derive(Clone)]
struct Arrived {
    request: RequestMeta,
    from: IpAddr,
    forwarded: Option<Box<Forwarded>>,
}

/// Whether a row's service counted the answer.
#[derive(Clone, Copy)]
struct Counted;

impl App {
    /// Builds the router from the table.
    pub fn new(house: House) -> Self {
        let router = routes::router(&house);
        house.offer(routes::ROUTES.iter().map(|route| route.interaction));
        let unmatched = house.metrics().interaction("unmatched");
        let config = house.config();
        let secure = config.behind_tls_proxy || config.listen_url.starts_with("https:");
        Self {
            router,
            house,
            unmatched,
            secure,
        }
    }

    /// Answers one request that came from this address.
    pub async fn answer<B>(&self, request: Request<B>, peer: IpAddr) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut meta = self.house.request();
        let told = proxy::read(self.house.config(), request.headers(), peer);
        let (doubtful, (from, forwarded)) = match told {
            Ok(told) => (None, told),
            Err(failure) => (Some(failure), (peer, None)),
        };
        meta.from = Some(from);
        let (mut request, unread) = unread::lend(request);
        if from != peer || proxy::is_believed(self.house.config(), peer) {
            // It is the proxy's, not the caller's, whatever it says of whom it brings.
            request.extensions_mut().remove::<ClientCertificate>();
        }
        without_last_slash(request.uri_mut());
        let correlation = correlation(request.headers());
        request.extensions_mut().insert(Arrived {
            request: meta,
            from,
            forwarded,
        });
        let (head, path) = (
            request.method() == Method::HEAD,
            request.uri().path().to_owned(),
        );
        let _counted = InFlight::new(&self.house);
        let unfit = self.too_long(request.uri());
        let unfit = unfit.or_else(|| self.oversized(request.headers()));
        let unfit = unfit.or_else(|| other_than_one_host(&request));
        let unfit = unfit.or_else(|| spelt_otherwise(&path));
        let refused = |failure| counted(problem::respond(&failure, Style::Fhir, ""));
        let unfit = unfit.or_else(|| doubtful.map(refused));
        ask_target(&mut request);
        let mut response = match unfit {
            Some(refused) => {
                drop(request);
                refused
            }
            None => {
                let Ok(response) = self.router.clone().call(request).await;
                response
            }
        };
        if response.extensions_mut().remove::<Counted>().is_none() {
            response = unknown(&path);
            self.unmatched.answered(response.status().as_u16(), 0);
        }
        if head {
            response = without_body(response);
        }
        if let Some(unread) = unread {
            unread.clear(&mut response).await;
        }
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::try_from(meta.id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(correlation) = correlation {
            headers.insert(CORRELATION_ID, correlation);
        }
        headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
        if self.secure {
            let year = HeaderValue::from_static("max-age=31536000");
            headers.insert(STRICT_TRANSPORT_SECURITY, year);
        }
        response
    }
}

/// The id that a client gave its request, which is told back (`http.html#custom`).
fn correlation(headers: &HeaderMap) -> Option<HeaderValue> {
    let given = headers
        .get(CORRELATION_ID)
        .or_else(|| headers.get(REQUEST_ID))?;
    let short = given.len() <= CORRELATION_BYTES_MAX;
    let plain = given.as_bytes().iter().all(u8::is_ascii_graphic);
    (short && plain).then(|| given.clone())
}

/// Takes the last slash off paths below a FHIR base: clients write `Patient/?name=x` as well.
fn without_last_slash(uri: &mut Uri) {
    let path = uri.path();
    let Some(shorter) = path.strip_suffix('/').filter(|p| p.contains("/fhir/")) else {
        return;
    };
    let shorter = match uri.query() {
        Some(query) => format!("{shorter}?{query}"),
        None => shorter.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = shorter.parse().ok();
    if let Ok(made) = Uri::from_parts(parts) {
        *uri = made;
    }
}

/// Counts a request for as long as it is answered, also when its caller hangs up.
struct InFlight<'h>(&'h House);

impl<'h> InFlight<'h> {
    fn new(house: &'h House) -> Self {
        house.metrics().in_flight.inc();
        Self(house)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics().in_flight.dec();
    }
}

impl App {
    /// The answer to headers beyond `header_bytes_max`. The listener bounds what it reads; this
    /// bounds it to the byte, and by name.
    fn oversized(&self, headers: &HeaderMap) -> Option<Response<Body>> {
        let max = self.house.limits().header_bytes_max;
        let size: usize = headers
            .iter()
            .map(|(n, v)| n.as_str().len() + v.len() + 4)
            .sum();
        if size as u64 <= max {
            return None;
        }
        let failure = Failure::limit(Code::LimitHeaders, "header_bytes_max", max);
        Some(counted(problem::respond(&failure, Style::Fhir, "")))
    }

    /// The answer to an address beyond `url_bytes_max`.
    fn too_long(&self, uri: &Uri) -> Option<Response<Body>> {
        let max = self.house.limits().url_bytes_max;
        let size = uri.path_and_query().map_or(0, |p| p.as_str().len());
        if size as u64 <= max {
            return None;
        }
        let failure = Failure::limit(Code::LimitUrl, "url_bytes_max", max);
        Some(counted(problem::respond(&failure, Style::Fhir, "")))
    }
}

/// The answer to a request with several `Host` headers, of which whoever looked at it before us may have taken
/// another one, or with none where there must be one (RFC 9112, section 3.2).
fn other_than_one_host<B>(request: &Request<B>) -> Option<Response<Body>> {
    let hosts = request.headers().get_all(HOST).iter().take(2).count();
    // Without one the address of HTTP/2 says it, and HTTP/1.0 knows none.
    if hosts == 1 || hosts == 0 && request.version() != Version::HTTP_11 {
        return None;
    }
    let failure = Failure::new(Code::RequestInvalid, "a request has one Host header");
    Some(counted(problem::respond(&failure, Style::Fhir, "")))
}

/// The host in the target of a request counts, and not what its `Host` header says beside it (RFC 9112,
/// section 3.2.2).
fn ask_target<B>(request: &mut Request<B>) {
    let Some(authority) = request.uri().authority() else {
        return;
    };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
}

/// The answer to a path that names a tenant in other letters than its own: names have no others.
fn spelt_otherwise(path: &str) -> Option<Response<Body>> {
    let (name, rest) = path.strip_prefix("/t/")?.split_once('/')?;
    let style = match rest == "fhir" || rest.starts_with("fhir/") {
        true => Style::Fhir,
        false => Style::Problem,
    };
    let failure = Failure::of(Code::RouteUnknown);
    name.contains('%')
        .then(|| counted(problem::respond(&failure, style, "")))
}

fn counted(mut response: Response<Body>) -> Response<Body> {
    response.extensions_mut().insert(Counted);
    response
}

/// No row has this path.
fn unknown(path: &str) -> Response<Body> {
    let fhir = path.starts_with("/t/") || path.starts_with("/fhir");
    let style = if fhir { Style::Fhir } else { Style::Problem };
    problem::respond(&Failure::of(Code::RouteUnknown), style, "")
}

/// The same answer for HEAD: its length is told, its body is not sent.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact()
        && parts.status != StatusCode::NO_CONTENT
        && parts.status != StatusCode::NOT_MODIFIED
    {
        parts
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

/// The rows of one path.
struct Rows {
    house: House,
    rows: Vec<(&'static Route, InteractionMetrics)>,
}

/// What answers under one path.
#[derive(Clone)]
pub(crate) struct At(Arc<Rows>);

impl At {
    pub(crate) fn new(house: &House, rows: Vec<&'static Route>) -> Self {
        let count = |route: &'static Route| house.metrics().interaction(route.interaction);
        let rows = rows
            .into_iter()
            .map(|route| (route, count(route)))
            .collect();
        Self(Arc::new(Rows {
            house: house.clone(),
            rows,
        }))
    }
}

impl Service<Request<Body>> for At {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let rows = self.0.clone();
        Box::pin(async move { Ok(rows.answer(request).await) })
    }
}

impl Rows {
    async fn answer(&self, mut request: Request<Body>) -> Response<Body> {
        let arrived = request.extensions_mut().remove::<Arrived>();
        let Some(Arrived {
            request: meta,
            from,
            forwarded,
        }) = arrived
        else {
            return problem::respond(&Failure::of(Code::Internal), Style::Problem, "");
        };
        let started = self.house.clock().monotonic();
        let (mut parts, body) = request.into_parts();
        let Ok(values) = RawPathParams::from_request_parts(&mut parts, &()).await else {
            let mut response = unknown(parts.uri.path());
            response.extensions_mut().insert(Counted);
            return response;
        };
        let path = values.iter().map(|(n, v)| (n.into(), v.into())).collect();
        let mut call = Call {
            house: self.house.clone(),
            request: meta,
            from,
            forwarded,
            holder: Holder::address(from),
            parts,
            interaction: "unmatched",
            path,
            body,
        };
        let method = match &call.parts.method {
            &Method::HEAD => &Method::GET,
            other => other,
        };
        let row = self.rows.iter().find(|(route, _)| route.method == *method);
        let interaction = row.map_or("unmatched", |(route, _)| route.interaction);
        call.interaction = interaction;
        let base = self
            .rows
            .first()
            .map_or(Base::House, |(route, _)| route.base);
        let tenant = call.value("tenant").to_owned();
        // A Binary in its own format says nothing about the format of resources.
        let raw = call.value("type") == "Binary" && !negotiate::is_resource(&call.parts.headers);
        let sends = [Method::POST, Method::PUT, Method::PATCH].contains(&call.parts.method);
        if base == Base::Fhir && sends && !raw {
            negotiate::prefer_as_sent(&mut call.parts.headers);
        }
        let rendering = Rendering::of(&call.parts);
        let cors = Some(&call)
            .filter(|_| base != Base::House)
            .and_then(Cors::of);
        let patches = call.parts.method == Method::PATCH;
        let answered = match row {
            Some((route, _)) => {
                let bulk = self.house.config().bulk.as_ref();
                let bulk = bulk.filter(|_| brings_much(&call.parts.headers));
                let answered = Guarded(Box::pin(run(route, call, rendering.clone())));
                match bulk {
                    Some(bulk) => Apart(bulk.spawn(answered)).await,
                    None => answered.await,
                }
            }
            None => self.not_allowed(base, &call),
        };
        let mut response = match answered {
            Ok(response) => response,
            Err(failure) => {
                let failure = match base {
                    // To the operator it is a state like another, and nothing that goes by itself.
                    Base::House if failure.code() == Code::TenantSuspended => {
                        Failure::new(Code::TenantState, "the tenant is suspended")
                    }
                    _ => failure,
                };
                let realm = if tenant.is_empty() { "insula" } else { &tenant };
                note(&failure, meta, &tenant, interaction);
                let refused = problem::respond(&failure, base.style(), realm);
                rendering.refuse(refused).await
            }
        };
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, self.allow());
        }
        if patches && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            response.headers_mut().insert(ACCEPT_PATCH, PATCHES);
        }
        if let Some(cors) = cors {
            cors.allow(self.allow(), &mut response);
        }
        let micros = self.house.clock().monotonic().0.saturating_sub(started.0);
        if let Some((_, metrics)) = row {
            metrics.answered(response.status().as_u16(), micros);
        }
        tracing::debug!(
            request = %meta.id,
            tenant,
            interaction,
            status = response.status().as_u16(),
            micros,
            "answered"
        );
        response.extensions_mut().insert(Counted);
        response
    }

    /// The path exists, the method does not: but a tenant that does not exist is told first.
    fn not_allowed(&self, base: Base, call: &Call) -> Result<Response<Body>, Failure> {
        if base != Base::House {
            caller::gate(call)?;
        }
        if call.parts.method == Method::OPTIONS {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(ALLOW, self.allow());
            if self.rows.iter().any(|(r, _)| r.method == Method::PATCH) && base == Base::Fhir {
                response.headers_mut().insert(ACCEPT_PATCH, PATCHES);
            }
            return Ok(response);
        }
        // What looks like an id and is the name of an operation is one that is not there.
        let last = call.parts.uri.path().rsplit('/').next().unwrap_or("");
        let known = || self.rows.iter().any(|(r, _)| r.path.ends_with(last));
        if base == Base::Fhir && last.starts_with('$') && !known() {
            let text = "this operation is not supported";
            return Err(Failure::new(Code::NotSupported, text));
        }
        Err(Failure::of(Code::MethodNotAllowed))
    }

    fn allow(&self) -> HeaderValue {
        let mut methods: Vec<&str> = self.rows.iter().map(|(r, _)| r.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
    }
}

async fn run(
    route: &'static Route,
    mut call: Call,
    rendering: Rendering,
) -> Result<Response<Body>, Failure> {
    let house = call.house.clone();
    match route.handler {
        Handler::Open(handler) => handler(call).await,
        Handler::Gate(handler) => {
            let gate = caller::gate(&call)?;
            let model = gate.model();
            speak(model, &mut call)?;
            let response = handler(gate, call).await?;
            rendering.give(model, None, response).await
        }
        Handler::Caller(_, handler) => {
            let gate = caller::gate(&call)?;
            let session = gate.enter(call.credentials(), call.request).await?;
            let model = session.model();
            speak(model, &mut call)?;
            let holder = session.holder();
            call.holder = holder;
            let by = rendering.asks().then(|| session.clone());
            let session = headers::with_provenance(session, route, &call.parts.headers)?;
            let response = handler(session, call).await?;
            let response = rendering.give(model, by.as_ref(), response).await?;
            outgoing::held(&house, holder, response)
        }
        Handler::Visitor(handler) => {
            let gate = caller::gate(&call)?;
            let browser = auth::Browser::of(&gate, &call);
            let looks = matches!(call.parts.method, Method::GET | Method::HEAD);
            if !looks {
                auth::of_this_origin(&call)?;
            }
            let page = call.parts.method == Method::GET && auth::reads_pages(&call);
            match browser.known(&gate).await {
                Ok(visitor) => handler(visitor, call).await,
                Err(e) if page && e.kind() == base::Kind::Unauthenticated => {
                    Ok(auth::to_sign_in(&gate, &call))
                }
                Err(e) => Err(e),
            }
        }
        Handler::Operator(handler) => {
            let operator = call
                .house
                .operator(call.credentials(), call.request, call.reached())?;
            call.holder = Holder::Operator;
            outgoing::held(&house, Holder::Operator, handler(operator, call).await?)
        }
    }
}

/// Refuses what asks for another version of FHIR than the tenant's.
fn speak(model: &Model, call: &mut Call) -> Result<(), Failure> {
    let query = call.parts.uri.query();
    version::check(&mut call.parts.headers, query, model.version())
}

/// A handler whose panic is its own: the caller gets a failure, everyone else goes on.
struct Guarded<F>(Pin<Box<F>>);

impl<F: Future<Output = Result<Response<Body>, Failure>>> Future for Guarded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let polled = AssertUnwindSafe(|| self.0.as_mut().poll(context));
        catch_unwind(polled).unwrap_or_else(|_| Poll::Ready(Err(Failure::of(Code::Internal))))
    }
}

/// Bytes of a body from which on a request is answered apart from those that are small.
const MUCH_BYTES: u64 = 256 << 10;

fn brings_much(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    length
        .and_then(|v| v.parse().ok())
        .is_some_and(|n: u64| n >= MUCH_BYTES)
}

/// A request that is answered on other threads; it ends when whoever asked hangs up.
struct Apart(tokio::task::JoinHandle<Result<Response<Body>, Failure>>);

impl Future for Apart {
    type Output = Result<Response<Body>, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|ended| ended.unwrap_or_else(|_| Err(Failure::of(Code::Internal))))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One line about a failure that an operator may want to look at: ids and codes, no content.
fn note(failure: &Failure, meta: RequestMeta, tenant: &str, interaction: &str) {
    let code = failure.code();
    let status = problem::status(code);
    if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        tracing::warn!(request = %meta.id, tenant, interaction, code = code.as_str(), "failed");
    } else if matches!(status.as_u16(), 401 | 403 | 429) {
        tracing::info!(request = %meta.id, tenant, interaction, code = code.as_str(), "refused");
    }
}
