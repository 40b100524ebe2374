//! A store without HTTP: one tenant, one client, and commits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use access::{
    ClientId, Create, NewClient, Principal, Reason, RequestMeta, Scopes, Target, TenantId,
};
use anyhow::Context as _;
use base::{Clock, Limits, Micros, RequestId, ResourceId, Rng, Secret, TenantName};
use fhir::definitions::{FhirVersion, Model};
use fhir::json::Value;
use fhir::outcome::Outcome;
use fhir::resource::{Admission, BodyId, Draft, Valid};
use fhir::validate::Context;
use ring::rand::{SecureRandom, SystemRandom};
use store::{
    AuditMode, Change, NewTenant, Prepared, Store, StoreConfig, Synchronous, TenantSettings,
    TenantStore, Write,
};

/// The store and who writes to it.
pub(super) struct Bare {
    store: Store,
    tenant: TenantId,
    data: TenantStore,
    model: &'static Model,
    principal: Principal,
    rights: access::Rights,
    clock: Arc<dyn Clock>,
}

impl Bare {
    /// A fresh store with the default settings, as `insula serve` opens it.
    pub(super) async fn open(dir: &Path) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock(Instant::now()));
        let config = StoreConfig {
            dir: dir.to_owned(),
            limits: Limits::default(),
            synchronous: Synchronous::Full,
            audit: AuditMode::Window(50),
            reader_threads: 0,
            writer_threads: 0,
            grace_seconds: 0,
            heads: None,
            audit_retention_days: 0,
            host: "insula.example".to_owned(),
        };
        std::fs::create_dir_all(dir)?;
        let store = Store::open(
            config,
            clock.clone(),
            Arc::new(SystemRng(SystemRandom::new())),
        )?;
        let request = || RequestMeta::new(RequestId(0), clock.now());
        let token = std::fs::read_to_string(dir.join("operator.token"))?;
        let operator = store.operator(token.trim()).context("not the operator")?;
        let name = TenantName::new("bench")?;
        let new = NewTenant {
            name: name.clone(),
            display: "Bench".to_owned(),
            fhir: FhirVersion::R4,
            settings: TenantSettings::default(),
        };
        store
            .create_tenant(access::decide_house(&operator, request())?, new)
            .await?;
        let tenant = store
            .directory()
            .resolve(&name)
            .context("no tenant was made")?;
        let data = store.tenant(&tenant);
        let model = Model::of(FhirVersion::R4);
        let secret = Secret::new("bench".to_owned());
        let new = NewClient {
            id: ClientId::new("bench").context("not a client id")?,
            name: "bench".to_owned(),
            scopes: Scopes::parse("system/*.cruds", model)?,
            jwks: None,
            import: None,
            program: None,
            roles: None,
            vendor: None,
            certificates: access::CertificateTerms::default(),
            about: access::ClientAbout::default(),
            made: None,
        };
        let permit = access::decide_system(Reason::Operation, &tenant, request())?;
        let client = data.create_client(permit, new, Some(&secret)).await?;
        let key = data.secret_key().await?;
        let principal = client
            .authenticate(&tenant, &key, secret.expose())
            .context("not the client")?;
        let rights = access::Rights::by_scopes(&principal, model, clock.now());
        Ok(Self {
            store,
            tenant,
            data,
            model,
            principal,
            rights,
            clock,
        })
    }

    /// Parses, checks, extracts index rows and compresses.
    pub(super) fn prepare(&self, text: &str) -> anyhow::Result<Prepared> {
        let draft = Draft::read(self.model, text.as_bytes(), DEPTH_MAX).map_err(|o| refused(&o))?;
        let id = draft
            .value()
            .get("id")
            .and_then(Value::as_str)
            .context("no id")?;
        let admission = Admission {
            type_id: draft.type_id(),
            id: &ResourceId::new(&id)?,
            body_id: BodyId::Required,
            check: Context {
                own_bases: &[],
                issues_max: 10,
            },
        };
        let valid = Valid::admit(self.model, draft.value(), &admission).map_err(|o| refused(&o))?;
        Ok(self.data.prepare(valid))
    }

    /// Creates: decided, committed together, durable.
    pub(super) async fn commit(&self, resources: Vec<Prepared>) -> anyhow::Result<()> {
        let request = RequestMeta::new(RequestId(0), self.clock.now());
        let mut change = Change::default();
        for resource in resources {
            let target = Target::Types(vec![resource.valid().type_id()]);
            let permit = access::decide::<Create>(
                &self.principal,
                &self.rights,
                &self.tenant,
                request,
                target,
            )?;
            change.writes.push(Write::Create { permit, resource });
        }
        self.data.commit(request, change).await?;
        Ok(())
    }

    /// Flushes and closes.
    pub(super) fn close(&self) {
        self.store.close();
    }
}

/// Nesting of the made-up resources is far below this.
const DEPTH_MAX: usize = 64;

fn refused(outcome: &Outcome) -> anyhow::Error {
    anyhow::anyhow!("a made-up resource was refused: {outcome:?}")
}

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Micros {
        Micros(i64::try_from(self.0.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

struct SystemRng(SystemRandom);

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) {
        // Keys without randomness would be worse than no measurement.
        if self.0.fill(buffer).is_err() {
            std::process::abort();
        }
    }
}
