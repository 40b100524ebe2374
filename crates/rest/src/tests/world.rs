//! A house in a folder that goes away, and a way to ask it that reads like a transcript.
#![expect(
    clippy::disallowed_methods,
    reason = "a test has a folder and draws keys"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::body::Body;
use base::{Clock, Limits, Micros, Rng};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::{AuditMode, House, HouseConfig, ShownCertificate, StoreConfig, Synchronous};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

use crate::{App, ClientCertificate};

/// A clock that moves only when it is told to, and a little with each look.
pub(super) struct Hand {
    now: AtomicI64,
    /// The monotonic clock does not follow where the other is set back.
    passed: AtomicI64,
}

impl Hand {
    pub(super) fn forward_secs(&self, secs: i64) {
        self.now.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Micros {
        Micros(self.now.fetch_add(1_000, Ordering::SeqCst))
    }

    fn monotonic(&self) -> Micros {
        let now = self.now.load(Ordering::SeqCst);
        Micros(self.passed.fetch_max(now, Ordering::SeqCst).max(now))
    }
}

struct Dice(SystemRandom);

impl Rng for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.fill(buffer).unwrap();
    }
}

pub(super) struct World {
    runtime: tokio::runtime::Runtime,
    pub(super) app: App,
    pub(super) house: House,
    pub(super) clock: Arc<Hand>,
    pub(super) operator: String,
    pub(super) dir: PathBuf,
    configs: (StoreConfig, HouseConfig),
}

impl Drop for World {
    fn drop(&mut self) {
        self.house.close();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub(super) const ROOT: &str = "http://127.0.0.1:8080";

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {}, |_| {})
    }

    pub(super) fn with(
        limits: impl FnOnce(&mut Limits),
        config: impl FnOnce(&mut HouseConfig),
    ) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("insula-rest-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let clock = Arc::new(Hand {
            now: AtomicI64::new(1_795_310_523_000_000),
            passed: AtomicI64::new(0),
        });
        let rng = Arc::new(Dice(SystemRandom::new()));
        let mut all = Limits::default();
        limits(&mut all);
        let store_config = StoreConfig {
            dir: dir.clone(),
            limits: all.clone(),
            synchronous: Synchronous::Normal,
            audit: AuditMode::Window(50),
            reader_threads: 2,
            writer_threads: 2,
            grace_seconds: 1_000,
            heads: None,
            audit_retention_days: 0,
            host: "insula.example".to_owned(),
        };
        let mut house_config = HouseConfig {
            limits: all,
            access_token_seconds: 3600,
            import_token_seconds: 900,
            import_seconds_max: 3600,
            listen_url: ROOT.into(),
            backup_dir: dir.join("backups"),
            grace_seconds: 1_000,
            ..HouseConfig::default()
        };
        config(&mut house_config);
        std::fs::create_dir_all(&house_config.backup_dir).unwrap();
        let configs = (store_config.clone(), house_config.clone());
        let house = House::open(store_config, clock.clone(), rng, house_config).unwrap();
        let operator = std::fs::read_to_string(dir.join("operator.token")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let app = App::new(house.clone());
        let operator = format!("Bearer {}", operator.trim());
        Self {
            runtime,
            app,
            house,
            clock,
            operator,
            dir,
            configs,
        }
    }

    /// The house ends and begins again.
    pub(super) fn begin_again(&mut self) {
        self.house.close();
        let rng = Arc::new(Dice(SystemRandom::new()));
        let (store, house) = self.configs.clone();
        self.house = House::open(store, self.clock.clone(), rng, house).unwrap();
        self.app = App::new(self.house.clone());
    }

    /// The same, with other limits.
    pub(super) fn begin_again_with(&mut self, limits: impl Fn(&mut Limits)) {
        limits(&mut self.configs.0.limits);
        limits(&mut self.configs.1.limits);
        self.begin_again();
    }

    /// The same, with another configuration.
    pub(super) fn begin_again_as(&mut self, config: impl Fn(&mut HouseConfig)) {
        config(&mut self.configs.1);
        self.begin_again();
    }

    /// Tells of alerts that nobody was told of yet.
    pub(super) fn tell(&self) {
        self.runtime.block_on(self.house.tell_now());
    }

    /// Tells somebody of signed heads.
    pub(super) fn tell_heads(
        &self,
        teller: &engine::HeadTeller,
        place: &mut std::collections::BTreeMap<String, u64>,
    ) {
        self.runtime
            .block_on(self.house.tell_heads_now(teller, place));
    }

    /// A tenant with a client that may do everything there: `(world, Authorization)`.
    pub(super) fn clinic() -> (Self, String) {
        let world = Self::new();
        world.tenant("lakeside");
        let all = world.client("lakeside", "system/*.cruds");
        (world, all)
    }

    /// The same, of a version of FHIR.
    pub(super) fn clinic_of(fhir: &str) -> (Self, String) {
        let world = Self::new();
        world
            .admin(
                "POST /admin/v1/tenants",
                &json!({ "name": "lakeside", "fhir": fhir }),
            )
            .status(201);
        let all = world.client("lakeside", "system/*.cruds");
        (world, all)
    }

    pub(super) fn tenant(&self, name: &str) {
        self.admin("POST /admin/v1/tenants", &json!({ "name": name }))
            .status(201);
    }

    /// The `Authorization` header of a new client.
    pub(super) fn client(&self, tenant: &str, scopes: &str) -> String {
        let (id, secret) = self.client_secret(tenant, scopes);
        format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
    }

    pub(super) fn client_secret(&self, tenant: &str, scopes: &str) -> (String, String) {
        let scopes: Vec<&str> = scopes.split(' ').collect();
        let path = format!("POST /admin/v1/tenants/{tenant}/clients");
        let made = self
            .admin(&path, &json!({ "name": "test", "scopes": scopes }))
            .status(201);
        (made.text("/client_id"), made.text("/client_secret"))
    }

    pub(super) fn admin(&self, line: &str, body: &Value) -> Answer {
        let headers = [("authorization", self.operator.as_str()), JSON];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.ask(line, &headers, body)
    }

    /// Asks as a client of a tenant, with a FHIR body if there is one.
    pub(super) fn fhir(&self, who: &str, line: &str, body: impl Into<Bytes>) -> Answer {
        self.fhir_with(who, line, &[], body)
    }

    pub(super) fn fhir_with(
        &self,
        who: &str,
        line: &str,
        more: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let path = match path.strip_prefix('/') {
            Some(_) => path.to_owned(),
            None => format!("/t/lakeside/fhir/{path}"),
        };
        let mut headers = vec![("authorization", who)];
        let body = body.into();
        if !more.iter().any(|(name, _)| *name == "content-type") && !body.is_empty() {
            headers.push(("content-type", "application/fhir+json"));
        }
        headers.extend_from_slice(more);
        self.ask(&format!("{method} {path}"), &headers, body)
    }

    /// Follows a link of an answer.
    pub(super) fn follow(&self, who: &str, url: &str) -> Answer {
        let path = url.strip_prefix(ROOT).unwrap();
        self.fhir(who, &format!("GET {path}"), "")
    }

    pub(super) fn ask(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.ask_from(Ipv4Addr::LOCALHOST.into(), line, headers, body)
    }

    pub(super) fn ask_from(
        &self,
        from: IpAddr,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.ask_with(from, None, line, headers, body)
    }

    /// Asks, and waits for no answer yet.
    pub(super) fn begin(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> tokio::task::JoinHandle<u16> {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "127.0.0.1:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.into())).unwrap();
        let app = self.app.clone();
        self.runtime.spawn(async move {
            let answer = app.answer(request, Ipv4Addr::LOCALHOST.into()).await;
            answer.status().as_u16()
        })
    }

    /// The status of what was begun.
    pub(super) fn finish(&self, begun: tokio::task::JoinHandle<u16>) -> u16 {
        self.runtime.block_on(begun).unwrap()
    }

    /// Tells of alerts in the background until something is there.
    pub(super) fn tell_until(&self, there: impl Future<Output = ()>) {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let telling = self.runtime.spawn(self.house.clone().tell(stopped));
        self.runtime.block_on(async {
            there.await;
            stop.send_replace(true);
            telling.await.unwrap();
        });
    }

    /// The same over a connection that was made with a client certificate of this digest.
    pub(super) fn ask_with(
        &self,
        from: IpAddr,
        certificate: Option<[u8; 32]>,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let shown = certificate.map(|sha256| ShownCertificate {
            sha256,
            names: None,
        });
        self.ask_showing(from, shown, line, headers, body)
    }

    /// The same with a certificate whose names an authority may vouch for.
    pub(super) fn ask_showing(
        &self,
        from: IpAddr,
        shown: Option<ShownCertificate>,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(shown) = shown {
            request = request.extension(ClientCertificate(Arc::new(shown)));
        }
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:8080");
        }
        // An empty one stands for none.
        for (name, value) in headers.iter().filter(|h| **h != ("host", "")) {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.into())).unwrap();
        self.runtime.block_on(async {
            let response = self.app.answer(request, from).await;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer {
                line: line.to_owned(),
                code: parts.status.as_u16(),
                headers: parts.headers,
                body,
            }
        })
    }
}

pub(super) const JSON: (&str, &str) = ("content-type", "application/json");

/// An answer; each method checks one thing and gives it back.
#[derive(Debug)]
pub(super) struct Answer {
    line: String,
    pub(super) code: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(super) fn status(self, wanted: u16) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.code, wanted, "{}\n{body:.2000}", self.line);
        self
    }

    /// A refusal with this status and stable code.
    #[track_caller]
    pub(super) fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.status(status);
        let json = answer.json();
        let found = json
            .pointer("/issue/0/details/coding/0/code")
            .or_else(|| json.pointer("/code"))
            .and_then(Value::as_str);
        assert_eq!(found, Some(code), "{}\n{json:#}", answer.line);
        answer
    }

    #[track_caller]
    pub(super) fn header(self, name: &str, wanted: &str) -> Self {
        assert_eq!(
            self.header_text(name),
            Some(wanted),
            "{name} of {}",
            self.line
        );
        self
    }

    #[track_caller]
    pub(super) fn no_header(self, name: &str) -> Self {
        assert_eq!(self.header_text(name), None, "{name} of {}", self.line);
        self
    }

    pub(super) fn header_text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{}: {e}\n{text}", self.line))
    }

    /// A string at a JSON pointer.
    #[track_caller]
    pub(super) fn text(&self, pointer: &str) -> String {
        let json = self.json();
        let found = json
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned);
        found.unwrap_or_else(|| panic!("{pointer} of {}\n{json:#}", self.line))
    }

    #[track_caller]
    pub(super) fn at(self, pointer: &str, wanted: impl Into<Value>) -> Self {
        let json = self.json();
        let wanted = wanted.into();
        assert_eq!(
            json.pointer(pointer),
            Some(&wanted),
            "{pointer} of {}\n{json:#}",
            self.line
        );
        self
    }

    /// The URL of the link of this relation, if there is one.
    pub(super) fn link(&self, relation: &str) -> Option<String> {
        let json = self.json();
        let links = json["link"].as_array()?;
        let link = links.iter().find(|l| l["relation"] == relation)?;
        Some(link["url"].as_str()?.to_owned())
    }

    /// `Type/id` of every entry, in order; `outcome` for outcomes.
    pub(super) fn entries(&self) -> Vec<String> {
        let json = self.json();
        let entries = json["entry"].as_array().cloned().unwrap_or_default();
        let name = |e: &Value| match e["resource"]["resourceType"].as_str() {
            Some("OperationOutcome") => "outcome".to_owned(),
            Some(of) => format!("{of}/{}", e["resource"]["id"].as_str().unwrap_or("?")),
            None => "?".to_owned(),
        };
        entries.iter().map(name).collect()
    }
}

/// A small Patient.
pub(super) fn patient(family: &str) -> String {
    json!({ "resourceType": "Patient", "active": true, "name": [{ "family": family }] }).to_string()
}

pub(super) fn patient_with_id(id: &str, family: &str) -> String {
    json!({ "resourceType": "Patient", "id": id, "name": [{ "family": family }] }).to_string()
}
