//! Tenants of a running server and the clients that call them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Folder;
use crate::http::{Answer, Connection, Request, ask};
use crate::process::{Insula, Setup};

/// A server on a folder of its own.
#[derive(Debug)]
pub struct World {
    // Dropped before the folder it works on.
    server: Option<Insula>,
    folder: Folder,
}

impl World {
    /// Starts a server on an empty folder.
    pub fn new(name: &str, setup: impl FnOnce(&Folder) -> Setup) -> Arc<Self> {
        let folder = Folder::new(name);
        let server = Some(setup(&folder).start());
        Arc::new(Self { server, folder })
    }

    /// The server.
    pub fn server(&self) -> &Insula {
        self.server.as_ref().expect("a running server")
    }

    /// Stops the server; what is needed to start it again, and the folder it worked on.
    pub fn stop(mut self) -> (Setup, Folder) {
        let server = self.server.take().expect("a running server");
        (server.stop().0, self.folder)
    }

    /// The folder that is removed with this world.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A new tenant with a name that no other test uses.
    #[track_caller]
    pub fn tenant(self: &Arc<Self>) -> Tenant {
        self.tenant_with(&json!({}))
    }

    /// A new tenant with these settings.
    #[track_caller]
    pub fn tenant_with(self: &Arc<Self>, config: &Value) -> Tenant {
        self.tenant_of("4.0.1", config)
    }

    /// A new tenant of this version of FHIR.
    #[track_caller]
    pub fn tenant_of(self: &Arc<Self>, fhir: &str, config: &Value) -> Tenant {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("clinic-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        create_tenant_of(self.server(), &name, fhir, config);
        Tenant {
            world: Arc::clone(self),
            name,
        }
    }
}

/// Makes a tenant of FHIR R4.
#[track_caller]
pub fn create_tenant(server: &Insula, name: &str, config: &Value) {
    create_tenant_of(server, name, "4.0.1", config);
}

/// Makes a tenant of this version of FHIR.
#[track_caller]
pub fn create_tenant_of(server: &Insula, name: &str, fhir: &str, config: &Value) {
    let draft = json!({"name": name, "display": name, "fhir": fhir, "config": config});
    let request = Request::new("POST", "/admin/v1/tenants");
    server
        .admin(request.content("application/json", draft.to_string()))
        .expect(201);
}

/// Makes a client of a tenant: its id and secret.
#[track_caller]
pub fn create_client(server: &Insula, tenant: &str, scopes: &[&str]) -> (String, String) {
    let request = Request::new("POST", &format!("/admin/v1/tenants/{tenant}/clients"));
    let draft = json!({"name": "a test", "scopes": scopes}).to_string();
    let made = server
        .admin(request.content("application/json", draft))
        .expect(201)
        .json();
    let text = |member: &str| made[member].as_str().expect("a text").to_owned();
    (text("client_id"), text("client_secret"))
}

/// Trades a client's secret for a bearer token.
#[track_caller]
pub fn token(server: &Insula, tenant: &str, id: &str, secret: &str) -> String {
    let request = Request::new("POST", &format!("/t/{tenant}/auth/token"))
        .header("Authorization", &basic(id, secret))
        .content(
            "application/x-www-form-urlencoded",
            "grant_type=client_credentials",
        );
    let answer = server.ask(&request).expect(200).json();
    answer["access_token"].as_str().expect("a token").to_owned()
}

/// The header of HTTP Basic.
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// A tenant.
#[derive(Clone, Debug)]
pub struct Tenant {
    world: Arc<World>,
    name: String,
}

impl Tenant {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its world.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The path of its FHIR base.
    pub fn base(&self) -> String {
        format!("/t/{}/fhir", self.name)
    }

    /// The URL of its FHIR base.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.world.server().address(), self.base())
    }

    /// A new client with these scopes, with a token.
    #[track_caller]
    pub fn client(&self, scopes: &[&str]) -> Caller {
        let server = self.world.server();
        let (id, secret) = create_client(server, &self.name, scopes);
        let token = token(server, &self.name, &id, &secret);
        Caller {
            address: server.address().to_owned(),
            base: self.base(),
            authorization: Some(format!("Bearer {token}")),
            id,
            secret,
            world: Some(Arc::clone(&self.world)),
        }
    }

    /// A new client that may do everything.
    #[track_caller]
    pub fn owner(&self) -> Caller {
        self.client(&["system/*.cruds"])
    }

    /// Asks the operator's API about this tenant: `POST`, `/suspend`.
    #[track_caller]
    pub fn admin(&self, method: &str, rest: &str) -> Answer {
        let target = format!("/admin/v1/tenants/{}{rest}", self.name);
        self.world.server().admin(Request::new(method, &target))
    }

    /// What `insula verify` finds; it must find nothing wrong.
    #[track_caller]
    pub fn verify(&self) -> Value {
        verify(self.world.server(), &self.name)
    }
}

/// What `insula verify` says of a tenant; it must find nothing wrong.
#[track_caller]
pub fn verify(server: &Insula, tenant: &str) -> Value {
    let report = server.run(&["verify", "--tenant", tenant, "--json"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["ok"], true, "{report}");
    report
}

/// Somebody who calls a FHIR base.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `host:port`.
    pub address: String,
    /// The path of the base.
    pub base: String,
    /// The header that says who it is.
    pub authorization: Option<String>,
    /// The client's id.
    pub id: String,
    /// The client's secret.
    pub secret: String,
    /// Keeps the server running.
    pub world: Option<Arc<World>>,
}

impl Caller {
    /// A caller of a running server's tenant that nothing else is known of: no world, no tenant.
    pub fn of(server: &Insula, tenant: &str, authorization: Option<String>) -> Self {
        Self {
            address: server.address().to_owned(),
            base: format!("/t/{tenant}/fhir"),
            authorization,
            id: String::new(),
            secret: String::new(),
            world: None,
        }
    }

    /// The same client, without keeping the server running.
    #[must_use]
    pub fn detached(self) -> Self {
        Self {
            world: None,
            ..self
        }
    }

    /// The same client at another tenant's base.
    #[must_use]
    pub fn at(&self, tenant: &Tenant) -> Self {
        Self {
            base: tenant.base(),
            ..self.clone()
        }
    }

    /// A request below the base.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let request = Request::new(method, &format!("{}{path}", self.base));
        match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        }
    }

    /// A connection to be kept.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(&self.address).expect("a connection")
    }

    /// Sends a request made by [`Caller::request`].
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Answer {
        ask(&self.address, request)
    }

    /// `GET`
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask(&self.request("GET", path))
    }

    /// `DELETE`
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.ask(&self.request("DELETE", path))
    }

    /// `POST` of a resource.
    #[track_caller]
    pub fn post(&self, path: &str, resource: &Value) -> Answer {
        self.ask(&self.request("POST", path).fhir(resource))
    }

    /// `PUT` of a resource to its own type and id.
    #[track_caller]
    pub fn put(&self, resource: &Value) -> Answer {
        let path = format!(
            "/{}/{}",
            word(resource, "resourceType"),
            word(resource, "id")
        );
        self.ask(&self.request("PUT", &path).fhir(resource))
    }

    /// Creates a resource; its id.
    #[track_caller]
    pub fn create(&self, resource: &Value) -> String {
        let path = format!("/{}", word(resource, "resourceType"));
        let answer = self.post(&path, resource).expect(201);
        word(&answer.json(), "id").to_owned()
    }

    /// A search; the Bundle.
    #[track_caller]
    pub fn search(&self, query: &str) -> Value {
        self.get(&format!("/{query}")).expect(200).json()
    }

    /// Ids of a search's matches over all its pages.
    #[track_caller]
    pub fn found(&self, query: &str) -> Vec<String> {
        let mut ids = Vec::new();
        let mut page = self.search(query);
        loop {
            ids.extend(matches(&page).map(|resource| word(resource, "id").to_owned()));
            let Some(next) = link(&page, "next") else {
                return ids;
            };
            page = self.ask(&self.follow(&next)).expect(200).json();
        }
    }

    /// The request for a link of a Bundle.
    #[track_caller]
    pub fn follow(&self, url: &str) -> Request {
        let path = url.split_once(&self.base).map(|(_, path)| path);
        self.request(
            "GET",
            path.unwrap_or_else(|| panic!("{url} is not below {}", self.base)),
        )
    }
}

/// A text member of a JSON object.
#[track_caller]
pub fn word<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// The resources of a Bundle that matched.
pub fn matches(bundle: &Value) -> impl Iterator<Item = &Value> {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    entries
        .filter(|e| e["search"]["mode"] != "include")
        .map(|e| &e["resource"])
}

/// The URL of a Bundle's link.
pub fn link(bundle: &Value, relation: &str) -> Option<String> {
    let mut links = bundle["link"].as_array().into_iter().flatten();
    let link = links.find(|link| link["relation"] == relation)?;
    Some(link["url"].as_str()?.to_owned())
}
