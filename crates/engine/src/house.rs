//! The whole house as its edges see it: the store, time, randomness, limits and the caches that
//! span tenants. A way to a tenant's data is only ever a [`crate::Session`], and that comes from
//! [`crate::Gate::enter`].

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use access::{RequestMeta, TenantId};
use base::{Clock, Code, Limits, Micros, Network, RequestId, ResourceId, Rng, Secret, TenantName};
use fhir::definitions::{Model, PerVersion};
use prometheus_client::metrics::gauge::Gauge;
use store::{State, Store, StoreConfig, StoreError};

use crate::auth::{
    Attempts, Documents, Guesses, Passwords, Remembered, Replays, Unknown, UsedCodes, Verdicts,
};
use crate::benches::Benches;
use crate::failure::Failure;
use crate::held::{Bounds, Hold, Holder, Room};
use crate::links::{Links, Reached};
use crate::metrics::Metrics;
use crate::outbound::{Outside, Turns};
use crate::providers::HouseProvider;
use crate::rates::Rates;
use crate::telling::{HeadTellers, MailOutbox};

/// How the house is set up, apart from its store.
#[derive(Clone, Debug, Default)]
pub struct HouseConfig {
    /// All limits.
    pub limits: Limits,
    /// Life of an access token.
    pub access_token_seconds: i64,
    /// Life of a token of a way in for bulk loading.
    pub import_token_seconds: i64,
    /// Life of a way in for bulk loading.
    pub import_seconds_max: i64,
    /// Address that clients use, without a slash at its end.
    pub public_url: Option<String>,
    /// Address that is listened on, as a URL.
    pub listen_url: String,
    /// Domain under which tenants are hosts, in lower case.
    pub domain: Option<String>,
    /// Origins whose pages may use the tenants; `*` for any.
    pub cors_origins: Vec<String>,
    /// Hosts that links may name.
    pub allowed_hosts: Vec<String>,
    /// Whether something before us speaks TLS.
    pub behind_tls_proxy: bool,
    /// Where proxies are that are believed what they say about a request.
    pub trusted_proxies: Vec<Network>,
    /// Which headers these proxies write.
    pub proxy_headers: ProxyHeaders,
    /// The only folder where backups are read and written.
    pub backup_dir: PathBuf,
    /// Seconds between the deletion of a tenant and the destruction of its key.
    pub grace_seconds: u64,
    /// The way to addresses outside.
    pub outside: Outside,
    /// The identity provider that all tenants may use.
    pub house_provider: Option<HouseProvider>,
    /// Whether clients of connections are asked for certificates.
    pub client_certificates: bool,
    /// Whether there are authorities that vouch for their names.
    pub client_authorities: bool,
    /// Where mail waits for a gateway.
    pub mail: MailOutbox,
    /// Where requests that bring much are answered, beside those that serve; none: where they came.
    pub bulk: Option<tokio::runtime::Handle>,
}

impl HouseConfig {
    pub(crate) fn scheme(&self) -> &'static str {
        let tls = self.behind_tls_proxy || self.listen_url.starts_with("https:");
        if tls { "https" } else { "http" }
    }
}

/// Which headers the proxies write that are believed; the others are as clients sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeaders {
    /// Those that are there. A request that brings both, and in which they differ, is refused.
    #[default]
    Either,
    /// `Forwarded` (RFC 7239)
    Forwarded,
    /// `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `-Prefix`
    XForwarded,
}

/// The house. Cheap to clone.
#[derive(Clone, Debug)]
pub struct House(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) config: HouseConfig,
    pub(crate) verdicts: Verdicts,
    /// What policies give to callers, as far as it is remembered.
    pub(crate) remembered: Remembered,
    pub(crate) attempts: Attempts,
    pub(crate) unknown: Unknown,
    /// Failed sign-ins of people: what programs fail at does not hold them up.
    pub(crate) sign_ins: Attempts,
    /// Answers of identity providers that let nobody in.
    pub(crate) arrivals: Attempts,
    /// Logout tokens of identity providers that were not good.
    pub(crate) logouts: Attempts,
    /// Programs that asked to be registered.
    pub(crate) registrations: Attempts,
    /// What journeys of those who choose among clinics are sealed with; another one with each start.
    pub(crate) choosing: Secret<[u8; 32]>,
    pub(crate) replays: Replays,
    /// Answers of passkeys.
    pub(crate) passkey_answers: Replays,
    pub(crate) passwords: Passwords,
    pub(crate) guesses: Guesses,
    pub(crate) used_codes: UsedCodes,
    /// Turns to ask addresses outside.
    pub(crate) turns: Turns,
    /// What was fetched from there and is still believed.
    pub(crate) documents: Documents,
    pub(crate) metrics: Metrics,
    pub(crate) head_tellers: HeadTellers,
    pub(crate) rates: Rates,
    /// Bodies of requests of recognised callers.
    pub(crate) bodies: Arc<Room>,
    /// Bodies of requests of callers who are not recognised yet.
    pub(crate) open_bodies: Arc<Room>,
    /// Answers on their way out.
    pub(crate) answers: Arc<Room>,
    /// Places for processor work on large bodies.
    pub(crate) benches: Benches,
    /// A place for whoever looks through all clinics, one after the other.
    pub(crate) choices: Benches,
    /// When the house was opened.
    pub(crate) started: Micros,
    /// `rest.resource` of CapabilityStatements, with literal and with enforced references.
    pub(crate) capabilities: [PerVersion<String>; 2],
    /// Interactions that the edge has routes for.
    pub(crate) interactions: OnceLock<Vec<&'static str>>,
    closing: AtomicBool,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("House")
    }
}

impl House {
    /// Opens the data folder and puts the house together.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open(
        store: StoreConfig,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        config: HouseConfig,
    ) -> Result<Self, StoreError> {
        let store = Store::open(store, clock.clone(), rng.clone())?;
        Ok(Self::new(store, clock, rng, config))
    }

    fn new(store: Store, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, config: HouseConfig) -> Self {
        let metrics = Metrics::new(&store);
        let verdicts = Verdicts::new(config.limits.token_cache_entries_max);
        let remembered = Remembered::new(config.limits.rights_bytes_max);
        let per_minute = config.limits.failed_logins_per_minute_max;
        let (attempts, sign_ins) = (Attempts::new(per_minute), Attempts::new(per_minute));
        let passwords = Passwords::new(&config.limits);
        let guesses = Guesses::new(&config.limits);
        let rates = Rates::new(&config.limits, clock.clone());
        let replays_max = config.limits.assertions_per_client_max;
        let registrations_max = config.limits.registrations_per_minute_max;
        let turns = Turns::new(&config.limits);
        let choosing = Secret::new(rng.bytes());
        let started = clock.now();
        let [bodies, open_bodies, answers] = rooms(&config.limits, &metrics);
        Self(Arc::new(Inner {
            store,
            clock,
            rng,
            config,
            verdicts,
            remembered,
            attempts,
            unknown: Unknown::default(),
            sign_ins,
            arrivals: Attempts::new(per_minute),
            logouts: Attempts::new(per_minute),
            registrations: Attempts::new(registrations_max),
            choosing,
            replays: Replays::new(replays_max),
            passkey_answers: Replays::new(replays_max),
            passwords,
            guesses,
            used_codes: UsedCodes::default(),
            turns,
            documents: Documents::default(),
            metrics,
            head_tellers: HeadTellers::default(),
            rates,
            bodies,
            open_bodies,
            answers,
            benches: Benches::new(processors()),
            choices: Benches::new(1),
            started,
            capabilities: Default::default(),
            interactions: OnceLock::new(),
            closing: AtomicBool::new(false),
        }))
    }

    /// Notes which interactions the edge has routes for: what a CapabilityStatement may promise.
    /// The first edge that says so counts.
    pub fn offer(&self, interactions: impl Iterator<Item = &'static str>) {
        let _ = self.0.interactions.get_or_init(|| interactions.collect());
    }

    /// One round of housekeeping now, instead of with the next tick. Blocks until done.
    pub fn tidy(&self) {
        self.0.store.tidy();
    }

    /// How the house is set up.
    pub fn config(&self) -> &HouseConfig {
        &self.0.config
    }

    /// All limits.
    pub fn limits(&self) -> &Limits {
        &self.0.config.limits
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Time.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// An id and a time for a request that just came in. The id is random: a counted one would
    /// tell each tenant how busy the others are.
    pub fn request(&self) -> RequestMeta {
        let id = u128::from_be_bytes(self.0.rng.bytes());
        RequestMeta::new(RequestId(id), self.0.clock.now())
    }

    /// A hold for the body of a request.
    pub fn hold_body(&self, holder: Holder) -> Hold {
        match holder {
            Holder::Tenant(_) | Holder::Operator => self.0.bodies.hold(holder),
            Holder::Address(_) => self.0.open_bodies.hold(holder),
        }
    }

    /// A hold for an answer until the client has taken it.
    pub fn hold_answer(&self, holder: Holder) -> Hold {
        self.0.answers.hold(holder)
    }

    /// The origins whose pages may use a tenant: the house's and the tenant's own.
    pub fn origins(&self, tenant: Option<&str>) -> Vec<String> {
        let mut all = self.0.config.cors_origins.clone();
        let known = tenant.and_then(|name| TenantName::new(name).ok());
        let tenant = known.and_then(|name| self.0.store.directory().resolve(&name));
        if let Some(tenant) = tenant {
            all.extend(self.0.store.settings(&tenant).cors_origins);
        }
        all
    }

    /// Whether the house can take work.
    pub fn is_ready(&self) -> bool {
        !self.0.closing.load(Ordering::Relaxed)
    }

    /// Finishes what was taken, flushes, closes. Blocks.
    pub fn close(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
        self.0.store.close();
    }

    /// The gate of a tenant: it exists and serves. `of_domain`: the host
    /// named the tenant.
    ///
    /// # Errors
    /// `tenant-unknown`; `tenant-suspended`; `tenant-leaving`.
    pub fn gate(&self, name: &str, reached: Reached<'_>, of_domain: bool) -> Result<Gate, Failure> {
        let unknown = || Failure::of(Code::TenantUnknown);
        let name = TenantName::new(name).map_err(|_| unknown())?;
        let tenant = self
            .0
            .store
            .directory()
            .resolve(&name)
            .ok_or_else(unknown)?;
        match self.0.store.state(&tenant) {
            State::Active => {}
            State::Suspended => {
                return Err(Failure::of(Code::TenantSuspended).retry_after(60));
            }
            State::Leaving | State::Gone => return Err(Failure::of(Code::TenantLeaving)),
        }
        let links = Links::new(&self.0.config, &tenant, reached, of_domain);
        Ok(Gate {
            house: self.clone(),
            tenant,
            links,
        })
    }

    /// The gate of a tenant to which somebody comes back from the house's identity provider, by the answer's
    /// `state`: at the address that they left from, where the browser shows its cookies.
    ///
    /// # Errors
    /// `form-foreign`, also for a port that nobody here left from; those of [`Self::gate`].
    pub async fn gate_of_state(&self, state: &str, reached: Reached<'_>) -> Result<Gate, Failure> {
        let foreign = || Failure::of(Code::FormForeign);
        let (tenant, rest) = state.split_once('.').ok_or_else(foreign)?;
        let mut gate = self.gate(tenant, reached, false)?;
        if let Some((port, _)) = rest.split_once('.') {
            // An answer, which somebody signs in with, goes to no port that a stranger wrote there.
            let (left, mac) = state.rsplit_once('.').ok_or_else(foreign)?;
            if !gate.is_own_state(left, mac).await? {
                return Err(foreign());
            }
            let port = (!port.is_empty()).then(|| port.parse().map_err(|_| foreign()));
            let port = port.transpose()?;
            let own = Links::at_own_host(&self.0.config, &gate.tenant, reached, port);
            gate.links = own.ok_or_else(foreign)?;
        }
        Ok(gate)
    }

    pub(crate) fn fresh_id(&self, at: Micros) -> ResourceId {
        let millis = u64::try_from(at.0.div_euclid(1000)).unwrap_or(0);
        ResourceId::fresh(millis, self.0.rng.bytes())
    }
}

/// A tenant that exists and serves, before anyone was recognised: what may be asked without
/// credentials, and the way in.
#[derive(Clone, Debug)]
pub struct Gate {
    pub(crate) house: House,
    pub(crate) tenant: TenantId,
    pub(crate) links: Links,
}

impl Gate {
    /// The tenant's name.
    pub fn name(&self) -> &TenantName {
        self.tenant.name()
    }

    /// The tenant's addresses.
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// A URL for what is stored nowhere: `urn:uuid:…`.
    pub fn fresh_urn(&self) -> String {
        let house = &self.house;
        format!("urn:uuid:{}", house.fresh_id(house.0.clock.now()))
    }

    /// What this tenant's version of FHIR defines.
    pub fn model(&self) -> &'static Model {
        Model::of(self.tenant.fhir())
    }
}

/// Room for bodies, for bodies of callers who are not recognised yet, and for answers.
fn rooms(limits: &Limits, metrics: &Metrics) -> [Arc<Room>; 3] {
    let [bodies, open_bodies, answers] = [
        Bounds {
            house: ("body_bytes_at_once_max", limits.body_bytes_at_once_max),
            share: (
                "tenant_body_bytes_at_once_max",
                limits.tenant_body_bytes_at_once_max,
            ),
        },
        Bounds {
            house: (
                "open_body_bytes_at_once_max",
                limits.open_body_bytes_at_once_max,
            ),
            share: (
                "address_body_bytes_at_once_max",
                limits.address_body_bytes_at_once_max,
            ),
        },
        Bounds {
            house: ("answer_bytes_at_once_max", limits.answer_bytes_at_once_max),
            share: (
                "tenant_answer_bytes_at_once_max",
                limits.tenant_answer_bytes_at_once_max,
            ),
        },
    ];
    let held = |bounds, gauge: &Gauge| Room::new(bounds, gauge.clone());
    [
        held(bodies, &metrics.body_bytes),
        held(open_bodies, &Gauge::default()),
        held(answers, &metrics.answer_bytes),
    ]
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get)
}
