//! A data folder of its own for each test, a clock that is set by hand, and short ways to say what
//! callers say.
#![expect(clippy::disallowed_methods, reason = "a test has a folder of its own")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use access::{
    Action, ClientId, NewClient, OperatorToken, Principal, RequestMeta, Scopes, SecretKey, Target,
    TenantId, decide, decide_house, decide_system,
};
use base::{Clock, Limits, Micros, RequestId, ResourceId, Rng, Secret, TenantName, Version};
use fhir::definitions::{FhirVersion, Model, TypeId};
use fhir::resource::{Admission, BodyId, Draft, Valid};
use fhir::validate;
use store::{
    AuditMode, Change, Condition, HistoryOf, HistoryRequest, Method, NewTenant, Page, PageRequest,
    Read, Store, StoreConfig, StoreError, Stored, Synchronous, TenantInfo, TenantSettings,
    TenantStore, Write, Written,
};

pub struct Hand {
    now: AtomicI64,
}

impl Hand {
    pub fn advance_secs(&self, secs: i64) {
        self.now.fetch_add(secs * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Micros {
        Micros(self.now.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Micros {
        self.now()
    }
}

/// Repeatable noise; nobody else sees these folders.
pub struct Noise(AtomicU64);

impl Rng for Noise {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = ((x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8;
        }
    }
}

pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("insula-face-{}-{n}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct World {
    pub store: Store,
    pub clock: Arc<Hand>,
    pub config: StoreConfig,
    seed: u64,
    pub dir: Arc<Dir>,
}

pub fn model() -> &'static Model {
    Model::of(FhirVersion::R4)
}

pub fn type_id(name: &str) -> TypeId {
    model().type_id(name).unwrap()
}

pub fn id(text: &str) -> ResourceId {
    ResourceId::new(text).unwrap()
}

pub fn name(text: &str) -> TenantName {
    TenantName::new(text).unwrap()
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut StoreConfig)) -> Self {
        let dir = Arc::new(Dir::new());
        let mut config = StoreConfig {
            dir: dir.0.join("data"),
            limits: Limits {
                journal_segment_bytes: 128 << 10,
                ..Limits::default()
            },
            synchronous: Synchronous::Normal,
            audit: AuditMode::Window(1),
            reader_threads: 2,
            writer_threads: 2,
            grace_seconds: 30 * 86_400,
            heads: None,
            audit_retention_days: 0,
            host: "insula.example".to_owned(),
        };
        change(&mut config);
        let clock = Arc::new(Hand {
            now: AtomicI64::new(1_800_000_000_000_000),
        });
        let store = Store::open(config.clone(), clock.clone(), rng(1)).unwrap();
        Self {
            store,
            clock,
            config,
            seed: 1,
            dir,
        }
    }

    /// Closes the store and opens the folder again.
    pub fn reopen(self) -> Self {
        let Self {
            store,
            clock,
            config,
            seed,
            dir,
        } = self;
        store.close();
        drop(store);
        let store = Store::open(config.clone(), clock.clone(), rng(seed + 1)).unwrap();
        Self {
            store,
            clock,
            config,
            seed: seed + 1,
            dir,
        }
    }

    pub fn clock_now(&self) -> Micros {
        self.clock.now()
    }

    pub fn data(&self) -> &Path {
        &self.config.dir
    }

    pub fn request(&self) -> RequestMeta {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = RequestId(NEXT.fetch_add(1, Ordering::Relaxed).into());
        RequestMeta::new(id, self.clock.now())
    }

    pub fn operator(&self) -> Principal {
        OperatorToken::new("t").authenticate("t").unwrap()
    }

    pub fn house(&self) -> access::HousePermit {
        decide_house(&self.operator(), self.request()).unwrap()
    }

    pub async fn create(&self, tenant: &str) -> Tenant<'_> {
        self.try_create(tenant).await.unwrap();
        self.tenant(tenant)
    }

    pub async fn try_create(&self, tenant: &str) -> Result<TenantInfo> {
        let new = NewTenant {
            name: name(tenant),
            display: tenant.to_uppercase(),
            fhir: FhirVersion::R4,
            settings: TenantSettings::default(),
        };
        self.store.create_tenant(self.house(), new).await
    }

    pub fn tenant(&self, tenant: &str) -> Tenant<'_> {
        let id = self.store.directory().resolve(&name(tenant)).unwrap();
        Tenant {
            world: self,
            store: self.store.tenant(&id),
            who: all_rights(&id, "tester"),
        }
    }
}

pub fn rng(seed: u64) -> Arc<dyn Rng> {
    Arc::new(Noise(AtomicU64::new(
        seed.wrapping_mul(0xd134_2543_de82_ef95),
    )))
}

/// A client of a tenant with every right, made without the store.
pub fn all_rights(tenant: &TenantId, client: &str) -> Principal {
    with_scopes(tenant, client, "system/*.cruds")
}

pub fn with_scopes(tenant: &TenantId, client: &str, scopes: &str) -> Principal {
    let key = SecretKey::new(&Secret::new([7; 32]));
    access::ClientRecord {
        id: ClientId::new(client).unwrap(),
        name: client.to_owned(),
        scopes: Arc::new(Scopes::parse(scopes, model()).unwrap()),
        secret_hash: key.hash("secret"),
        jwks: None,
        epoch: 1,
        revoked: false,
        import: None,
        program: None,
        roles: None,
        vendor: None,
        certificates: access::CertificateTerms::default(),
        about: access::ClientAbout::default(),
        made: None,
    }
    .authenticate(tenant, &key, "secret")
    .unwrap()
}

pub fn new_client(client: &str, scopes: &str) -> NewClient {
    NewClient {
        id: ClientId::new(client).unwrap(),
        name: client.to_owned(),
        scopes: Scopes::parse(scopes, model()).unwrap(),
        jwks: None,
        import: None,
        program: None,
        roles: None,
        vendor: None,
        certificates: access::CertificateTerms::default(),
        about: access::ClientAbout::default(),
        made: None,
    }
}

/// A checked resource.
pub fn valid(json: &str) -> Valid {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let resource_id = id(value["id"].as_str().unwrap());
    let draft = Draft::read(model(), json.as_bytes(), 64).unwrap();
    let check = validate::Context {
        own_bases: &[],
        issues_max: 10,
    };
    let admission = Admission {
        type_id: draft.type_id(),
        id: &resource_id,
        body_id: BodyId::Required,
        check,
    };
    Valid::admit(model(), draft.value(), &admission).unwrap()
}

pub fn patient(id: &str, family: &str) -> Valid {
    valid(&format!(
        r#"{{"resourceType":"Patient","id":"{id}","active":true,"name":[{{"family":"{family}"}}]}}"#
    ))
}

pub fn observation(id: &str, patient: &str) -> Valid {
    valid(&format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final",
            "code":{{"coding":[{{"system":"http://loinc.org","code":"718-7"}}]}},
            "subject":{{"reference":"Patient/{patient}"}},"valueQuantity":{{"value":7.20}}}}"#
    ))
}

pub struct Tenant<'w> {
    pub world: &'w World,
    pub store: TenantStore,
    pub who: Principal,
}

pub type Result<T> = std::result::Result<T, StoreError>;

impl Tenant<'_> {
    pub fn permit<A: Action>(&self, target: Target) -> access::Permit<A> {
        let rights = access::Rights::by_scopes(&self.who, model(), Micros(0));
        decide(
            &self.who,
            &rights,
            self.store.id(),
            self.world.request(),
            target,
        )
        .unwrap()
    }

    pub fn system<A: Action>(&self, reason: access::Reason) -> access::Permit<A> {
        decide_system(reason, self.store.id(), self.world.request()).unwrap()
    }

    pub fn creating(&self, valid: Valid) -> Write {
        let permit = self.permit(Target::Types(vec![valid.type_id()]));
        Write::Create {
            permit,
            resource: self.store.prepare(valid),
        }
    }

    pub fn putting(&self, valid: Valid, condition: Option<Condition>) -> Write {
        let target = Target::Instance(valid.type_id(), valid.id().clone());
        let or_create = Some(self.permit(Target::Types(vec![valid.type_id()])));
        let permit = self.permit(target);
        let resource = self.store.prepare(valid);
        Write::Put {
            permit,
            or_create,
            resource,
            condition,
            method: Method::Put,
        }
    }

    pub fn deleting(&self, type_name: &str, of: &str, condition: Option<Condition>) -> Write {
        let (type_id, id) = (type_id(type_name), id(of));
        let permit = self.permit(Target::Instance(type_id, id.clone()));
        Write::Delete {
            permit,
            type_id,
            id,
            condition,
        }
    }

    pub async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Written>> {
        self.store
            .commit(
                self.world.request(),
                Change {
                    writes,
                    ..Change::default()
                },
            )
            .await
    }

    pub async fn make(&self, valid: Valid) -> Result<Written> {
        self.commit(vec![self.creating(valid)])
            .await
            .map(|mut w| w.remove(0))
    }

    pub async fn put(&self, valid: Valid, condition: Option<Condition>) -> Result<Written> {
        self.commit(vec![self.putting(valid, condition)])
            .await
            .map(|mut w| w.remove(0))
    }

    pub async fn delete(&self, type_name: &str, of: &str) -> Result<Written> {
        self.commit(vec![self.deleting(type_name, of, None)])
            .await
            .map(|mut w| w.remove(0))
    }

    pub async fn try_read(&self, type_name: &str, of: &str) -> Result<Read> {
        let (type_id, id) = (type_id(type_name), id(of));
        let permit = self.permit(Target::Instance(type_id, id.clone()));
        self.store.read(permit, type_id, &id).await
    }

    pub async fn read(&self, type_name: &str, of: &str) -> Read {
        self.try_read(type_name, of).await.unwrap()
    }

    pub async fn vread(&self, type_name: &str, of: &str, version: u64) -> Read {
        let (type_id, id) = (type_id(type_name), id(of));
        let permit = self.permit(Target::Instance(type_id, id.clone()));
        self.store
            .vread(permit, type_id, &id, Version(version))
            .await
            .unwrap()
    }

    pub async fn history(&self, of: HistoryOf, count: u32, page: PageRequest) -> Page {
        let target = match &of {
            HistoryOf::Instance(t, i) => Target::Instance(*t, i.clone()),
            HistoryOf::Type(t) => Target::Types(vec![*t]),
            HistoryOf::System => Target::Readable,
        };
        let request = HistoryRequest {
            of,
            since: None,
            at: None,
            listed: None,
            ascending: false,
            count,
            page,
        };
        self.store
            .history(self.permit(target), request)
            .await
            .unwrap()
    }

    pub async fn verify(&self) -> store::VerifyReport {
        self.store
            .verify(self.system(access::Reason::Verify))
            .await
            .unwrap()
    }
}

pub fn found(read: Read) -> Stored {
    match read {
        Read::Found(stored) => stored.into_inner(),
        other => panic!("not found: {other:?}"),
    }
}

pub fn text(stored: &Stored) -> &str {
    std::str::from_utf8(&stored.body).unwrap()
}
