#![expect(clippy::disallowed_methods, reason = "a test has a folder of its own")]

//! What is not there and what is not seen: the same statements, in the same order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use access::{
    Action, ClientId, ClientRecord, Document, OperatorToken, Permit, Policy, Principal,
    RequestFacts, RequestMeta, RoleAt, Scopes, SecretKey, Surroundings, Target, TenantId, decide,
    decide_house,
};
use base::{Clock, Limits, Micros, RequestId, ResourceId, Rng, Secret, TenantName, Version};
use fhir::definitions::{FhirVersion, Model, TypeId};
use fhir::resource::{Admission, BodyId, Draft, Valid};
use fhir::search::{self, Customs, Options};
use fhir::validate;

use crate::{
    AuditMode, Change, Condition, HistoryOf, HistoryRequest, Method, NewTenant, PageRequest, Read,
    Store, StoreConfig, Synchronous, TenantSettings, TenantStore, Write,
};

struct Hand(AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Micros {
        self.monotonic()
    }
    fn monotonic(&self) -> Micros {
        Micros(self.0.load(Ordering::Relaxed))
    }
}

struct Noise(AtomicU64);
impl Rng for Noise {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            *byte = ((x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8;
        }
    }
}

fn model() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn type_id(name: &str) -> TypeId {
    model().type_id(name).unwrap()
}

fn id(text: &str) -> ResourceId {
    ResourceId::new(text).unwrap()
}

fn meta() -> RequestMeta {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    RequestMeta::new(RequestId(number.into()), Micros(1_800_000_000_000_000))
}

fn valid(body: &serde_json::Value) -> Valid {
    let own = id(body["id"].as_str().unwrap());
    let text = body.to_string();
    let draft = Draft::read(model(), text.as_bytes(), 64).unwrap();
    let check = validate::Context {
        own_bases: &[],
        issues_max: 10,
    };
    let admission = Admission {
        type_id: draft.type_id(),
        id: &own,
        body_id: BodyId::Required,
        check,
    };
    Valid::admit(model(), draft.value(), &admission).unwrap()
}

fn client(tenant: &TenantId, roles: Option<&[&str]>) -> Principal {
    let key = SecretKey::new(&Secret::new([7; 32]));
    let roles = roles.map(|r| r.iter().map(|r| RoleAt::parse(r).unwrap()).collect());
    ClientRecord {
        id: ClientId::new(if roles.is_some() { "staff" } else { "all" }).unwrap(),
        name: String::new(),
        scopes: Arc::new(Scopes::parse("system/*.cruds", model()).unwrap()),
        secret_hash: key.hash("s"),
        jwks: None,
        epoch: 1,
        revoked: false,
        import: None,
        program: None,
        roles,
        vendor: None,
        certificates: access::CertificateTerms::default(),
        about: Default::default(),
        made: None,
    }
    .authenticate(tenant, &key, "s")
    .unwrap()
}

/// Two facilities with a chart each, and somebody of the north.
struct World {
    store: TenantStore,
    _house: Store,
    dir: PathBuf,
    file: PathBuf,
    who: Principal,
    policy: Policy,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl World {
    async fn new(grants: serde_json::Value) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("insula-traced-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        let config = StoreConfig {
            dir: dir.join("data"),
            limits: Limits {
                scrub_interval_seconds: 0,
                ..Limits::default()
            },
            synchronous: Synchronous::Normal,
            audit: AuditMode::Window(1),
            reader_threads: 1,
            writer_threads: 1,
            grace_seconds: 86_400,
            heads: None,
            audit_retention_days: 0,
            host: "insula.example".to_owned(),
        };
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000_000)));
        let house = Store::open(config, clock, Arc::new(Noise(AtomicU64::new(1)))).unwrap();
        let operator = OperatorToken::new("t").authenticate("t").unwrap();
        let new = NewTenant {
            name: TenantName::new("lakeside").unwrap(),
            display: String::new(),
            fhir: FhirVersion::R4,
            settings: TenantSettings::default(),
        };
        let permit = decide_house(&operator, meta()).unwrap();
        house.create_tenant(permit, new).await.unwrap();
        let tenant = house
            .directory()
            .resolve(&TenantName::new("lakeside").unwrap())
            .unwrap();
        let text = serde_json::json!({ "grants": grants }).to_string();
        let policy = Policy::new(1, Document::parse(&text).unwrap(), model()).unwrap();
        let hex: String = tenant.bytes().iter().map(|b| format!("{b:02x}")).collect();
        let mut world = Self {
            store: house.tenant(&tenant),
            file: dir.join("data").join("tenants").join(hex).join("data.db"),
            who: client(&tenant, None),
            policy,
            _house: house,
            dir,
        };
        for at in ["north", "south"] {
            let subject = serde_json::json!({ "reference": format!("Patient/p-{at}") });
            for body in [
                serde_json::json!({ "resourceType": "Organization", "id": format!("o-{at}"), "name": at }),
                serde_json::json!({ "resourceType": "Patient", "id": format!("p-{at}"),
                    "managingOrganization": { "reference": format!("Organization/o-{at}") } }),
                serde_json::json!({ "resourceType": "Observation", "id": format!("b-{at}"), "status": "final",
                    "code": { "text": "x" }, "subject": subject }),
            ] {
                world.put(&body, None).await.unwrap();
            }
        }
        world.who = client(&tenant, Some(&["clinician"]));
        world
    }

    fn permit<A: Action>(&self, target: Target) -> Permit<A> {
        let facts = RequestFacts {
            at: Micros(0),
            from: None,
            reason: None,
            stepped_up: false,
        };
        let limits = Limits::default();
        let surroundings = Surroundings {
            model: model(),
            limits: &limits,
            own_bases: &[],
            customs: Customs::NONE,
            consents: access::Consents::none(),
            now: Micros(0),
        };
        let rights = self.policy.rights(&self.who, &facts, &surroundings);
        decide(&self.who, &rights, self.store.id(), meta(), target).unwrap()
    }

    async fn commit(&self, write: Write) -> Result<(), String> {
        let change = Change {
            writes: vec![write],
            ..Change::default()
        };
        let done = self.store.commit(meta(), change).await;
        done.map(drop).map_err(|e| e.to_string())
    }

    async fn put(
        &self,
        body: &serde_json::Value,
        condition: Option<Condition>,
    ) -> Result<(), String> {
        let valid = valid(body);
        let target = Target::Instance(valid.type_id(), valid.id().clone());
        let permit = self.permit(target);
        let or_create = Some(self.permit(Target::Types(vec![valid.type_id()])));
        let resource = self.store.prepare(valid);
        let method = Method::Put;
        self.commit(Write::Put {
            permit,
            or_create,
            resource,
            condition,
            method,
        })
        .await
    }

    async fn found(&self, of: &str, text: &str) -> usize {
        let limits = Limits::default();
        let options = Options {
            limits: &limits,
            strict: true,
            own_bases: &[],
            now: Micros(0),
            custom: Customs::NONE,
        };
        let target = search::Target::Types(vec![type_id(of)]);
        let query = search::parse(model(), &target, text, &options)
            .unwrap()
            .query;
        let types = ["Patient", "Observation", "Organization"].map(type_id);
        let permit = self.permit(Target::Types(types.to_vec()));
        let page = PageRequest::default();
        let found = self.store.search(permit, Arc::new(query), page).await;
        found.unwrap().entries.len()
    }

    /// Does one thing about a resource, which comes to nothing; what was told of it.
    async fn ask(&self, what: &str, of: &str, name: &str) -> String {
        let instance = || Target::Instance(type_id(of), id(name));
        let body = |to: &str| match of {
            "Patient" => serde_json::json!({ "resourceType": of, "id": name,
                "managingOrganization": { "reference": format!("Organization/o-{to}") } }),
            _ => serde_json::json!({ "resourceType": of, "id": name, "status": "final",
                "code": { "text": "y" }, "subject": { "reference": format!("Patient/p-{to}") } }),
        };
        let read = |read: Read| match read {
            Read::Absent => "nothing".to_owned(),
            _ => "something".to_owned(),
        };
        match what {
            "read" => read(
                self.store
                    .read(self.permit(instance()), type_id(of), &id(name))
                    .await
                    .unwrap(),
            ),
            "vread" => {
                let permit = self.permit(instance());
                let (of, name) = (type_id(of), id(name));
                read(
                    self.store
                        .vread(permit, of, &name, Version(1))
                        .await
                        .unwrap(),
                )
            }
            "change" => {
                let permit = self.permit(instance());
                let (of, name) = (type_id(of), id(name));
                let now = self.store.read_to_change(permit, of, &name).await.unwrap();
                format!(
                    "{} {} {}",
                    read(now.read),
                    now.mask.is_some(),
                    now.read_only
                )
            }
            "history" => {
                let request = HistoryRequest {
                    of: HistoryOf::Instance(type_id(of), id(name)),
                    since: None,
                    at: None,
                    listed: None,
                    ascending: false,
                    count: 10,
                    page: PageRequest::default(),
                };
                let page = self
                    .store
                    .history(self.permit(instance()), request)
                    .await
                    .unwrap();
                format!("{} {:?}", page.entries.len(), page.total)
            }
            "put" => format!("{:?}", self.put(&body("north"), None).await),
            "put away" => format!("{:?}", self.put(&body("south"), None).await),
            "put if" => {
                let condition = Some(Condition::Version(Version(1)));
                format!("{:?}", self.put(&body("north"), condition).await)
            }
            "delete" | "delete if" => {
                let condition = (what != "delete").then_some(Condition::Version(Version(1)));
                let write = Write::Delete {
                    permit: self.permit(instance()),
                    type_id: type_id(of),
                    id: id(name),
                    condition,
                };
                format!("{:?}", self.commit(write).await)
            }
            query => {
                let found = self.found(of, &query.replace("{}", name)).await;
                found.to_string()
            }
        }
    }
}

/// Without what begins and ends transactions, which follows an answer, and what tidies up now and then.
fn of_requests(ran: Vec<String>) -> Vec<String> {
    const AROUND: [&str; 8] = [
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "RELEASE",
        "PRAGMA",
        "DELETE FROM ix_",
        // After a change that was refused it is looked up again who writes.
        "INSERT INTO actor ",
    ];
    // The background check looks how far it was, and a snapshot is kept for a while: in whose request
    // another is taken is chance.
    const BESIDE: [&str; 3] = [
        "FROM scrub",
        "count(*) FROM quarantine",
        "SELECT coalesce(max(seq), 0) FROM change",
    ];
    let beside = |text: &str| BESIDE.iter().any(|part| text.contains(part));
    let around = |text: &String| AROUND.iter().any(|word| text.starts_with(word)) || beside(text);
    ran.into_iter().filter(|text| !around(text)).collect()
}

#[track_caller]
fn must_be_same(there: &[String], nothing: &[String], what: &str) {
    let pairs = there.iter().zip(nothing);
    let first = pairs.clone().position(|(a, b)| a != b);
    let at = first.unwrap_or(there.len().min(nothing.len()));
    let (a, b) = (there.get(at), nothing.get(at));
    assert_eq!(
        a,
        b,
        "{what}: statement {at} of {} and {}",
        there.len(),
        nothing.len()
    );
}

fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

fn same(grants: serde_json::Value) {
    block(async {
        let world = World::new(grants).await;
        for (of, there, not) in [
            ("Observation", "b-south", "b-none"),
            ("Patient", "p-south", "p-none"),
        ] {
            let seen = there.replace("south", "north");
            for what in [
                "read",
                "vread",
                "history",
                "change",
                "put",
                "put away",
                "put if",
                "delete",
                "delete if",
                "_id={}",
                "_id={}&_include=Observation:subject",
                "_id={}&_total=accurate",
            ] {
                if what.contains("_include") && of != "Observation" {
                    continue;
                }
                // Also at first, when nothing is remembered yet.
                if !what.starts_with("put") && !what.starts_with("delete") {
                    world.ask(what, of, &seen).await;
                }
                for round in 0..3 {
                    super::take(&world.file);
                    let told = world.ask(what, of, there).await;
                    let of_there = of_requests(super::take(&world.file));
                    let nothing = world.ask(what, of, not).await;
                    let of_nothing = of_requests(super::take(&world.file));
                    assert_eq!(told, nothing, "{what} {of}");
                    assert!(!of_there.is_empty(), "{what} {of}");
                    must_be_same(
                        &of_there,
                        &of_nothing,
                        &format!("{what} {of}, round {round}"),
                    );
                }
            }
        }
        // Roads over others: once it is remembered what is reached.
        for (of, query, there, not) in [
            ("Observation", "patient={}", "p-south", "p-none"),
            ("Observation", "patient._id={}", "p-south", "p-none"),
            (
                "Patient",
                "_has:Observation:patient:_id={}",
                "b-south",
                "b-none",
            ),
            ("Patient", "_filter=_id eq {}", "p-south", "p-none"),
            (
                "Observation",
                "patient={}&_include=Observation:subject",
                "p-south",
                "p-none",
            ),
            (
                "Patient",
                "_id={}&_revinclude=Observation:subject",
                "p-south",
                "p-none",
            ),
        ] {
            for name in [there, not] {
                assert_eq!(world.ask(query, of, name).await, "0");
            }
            super::take(&world.file);
            world.ask(query, of, there).await;
            let of_there = super::take(&world.file);
            world.ask(query, of, not).await;
            let of_nothing = of_requests(super::take(&world.file));
            must_be_same(&of_requests(of_there), &of_nothing, query);
        }
    });
}

#[test]
fn absent_and_invisible_run_the_same_statements() {
    same(serde_json::json!([
        { "name": "charts", "who": { "roles": ["clinician"] }, "actions": "cruds", "types": ["*"],
          "within": "Patient?organization=Organization/o-north" },
        { "name": "organizations", "who": { "roles": ["clinician"] }, "actions": "rs", "types": ["Organization"] },
    ]));
}

#[test]
fn under_several_ways_and_hidden_elements_too() {
    same(serde_json::json!([
        { "name": "charts", "who": { "roles": ["clinician"] }, "actions": "rs", "types": ["*"],
          "within": "Patient?organization=Organization/o-north" },
        { "name": "work", "who": { "roles": ["clinician"] }, "actions": "cud", "types": ["*"],
          "within": "Patient?organization=Organization/o-north&organization:not=Organization/o-none" },
        { "name": "east", "who": { "roles": ["clinician"] }, "actions": "cruds", "types": ["Observation", "Patient"],
          "within": "Patient?organization=Organization/o-east" },
        { "name": "organizations", "who": { "roles": ["clinician"] }, "actions": "rs", "types": ["Organization"] },
    ]));
}

#[test]
fn where_resources_say_it_themselves_too() {
    same(serde_json::json!([
        { "name": "patients", "who": { "roles": ["clinician"] }, "actions": "cruds", "types": ["Patient"],
          "criteria": "organization=Organization/o-north" },
        { "name": "findings", "who": { "roles": ["clinician"] }, "actions": "cruds", "types": ["Observation"],
          "criteria": "patient=Patient/p-north,Patient/p-other,Patient/p-third" },
        { "name": "organizations", "who": { "roles": ["clinician"] }, "actions": "rs", "types": ["Organization"] },
    ]));
}
