//! Grants to vendors as people work on them: put forward, looked at, switched on and off, reported on.
//!
//! Three may, each with a switch of its own: the operator through the admin API, the clinic's administrators
//! in their browsers or by whom policy lets administer, and the vendor by one of its clients.

mod activity;
mod launching;
mod operation;

use std::sync::Arc;

use access::{
    Contract, Hold, Party, RequestMeta, Scopes, VendorGrant, VendorId, VendorPermit, VendorRate,
    VendorTerms, decide_vendor_own, decide_vendors, decide_vendors_operator, facility,
};
use base::limits::fixed::VENDOR_LIST_MAX;
use base::{Code, Network};
use fhir::definitions::Model;
use serde::{Deserialize, Serialize};
use store::{TenantStore, VendorChange, VendorEvent};

use crate::auth::{Credentials, TokenFailure, TokenRequest};
use crate::clients::printable;
use crate::failure::Failure;
use crate::house::Gate;
use crate::interaction::moment;
use crate::session::Session;
use crate::tenants::Operator;

pub use activity::{ActivityAsked, ActivityDay, ActivityReport};
pub use launching::{LinkDraft, LinkView};
pub(crate) use launching::{Values, filled};

/// Requests a minute, and at once, beyond which a grant's rate bounds nothing.
const RATE_MAX: u32 = 6_000_000;
const BURST_MAX: u32 = 100_000;

/// Terms to be put forward, as the APIs take them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorDraft {
    /// The vendor's id in the tenant.
    pub vendor: String,
    /// Its name for people.
    pub name: String,
    /// What was agreed.
    pub contract: ContractDraft,
    /// The most that its clients and programs get.
    pub scopes: Vec<String>,
    /// Only what belongs to these: `Organization/id`, `Location/id`.
    #[serde(default)]
    pub facilities: Vec<String>,
    /// Only from there.
    #[serde(default)]
    pub networks: Vec<String>,
    /// SHA-256 of client certificates, in hexadecimal digits.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// How fast.
    #[serde(default)]
    pub rate: Option<RateDraft>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What was agreed, as the APIs take and show it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ContractDraft {
    /// Which data, in words.
    pub data: String,
    /// Which resource types; those of the scopes if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Purposes of use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<String>,
    /// From this date or instant on.
    pub from: String,
    /// Before this date or instant.
    pub until: String,
    /// Whom to reach at the vendor.
    pub contact: String,
    /// Where the signed document is.
    pub document: String,
}

/// Requests of all clients of a vendor together.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateDraft {
    /// A minute.
    pub per_minute: u32,
    /// At once; as many as a minute if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

/// A switch to be moved, as the APIs take it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchDraft {
    /// `enabled`, `read-only`, `disabled`.
    pub hold: String,
    /// The number of the terms that are meant; the clinic takes them by this where they wait.
    #[serde(default)]
    pub terms: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Terms, as they are shown.
#[derive(Debug, Serialize)]
pub struct TermsView {
    number: u64,
    name: String,
    contract: ContractDraft,
    scopes: Vec<String>,
    facilities: Vec<String>,
    networks: Vec<String>,
    certificates: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<RateDraft>,
}

impl TermsView {
    /// Their number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What was agreed.
    pub const fn contract(&self) -> &ContractDraft {
        &self.contract
    }

    /// The scopes.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The facilities.
    pub fn facilities(&self) -> &[String] {
        &self.facilities
    }

    /// The networks.
    pub fn networks(&self) -> &[String] {
        &self.networks
    }
}

/// A switch, as it is shown.
#[derive(Debug, Serialize)]
pub struct SwitchView {
    party: &'static str,
    hold: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    at: String,
}

impl SwitchView {
    /// Whose it is, how it stands, and why.
    pub fn words(&self) -> (&'static str, &'static str, &str) {
        (self.party, self.hold, &self.reason)
    }
}

/// A grant, as it is shown.
#[derive(Debug, Serialize)]
pub struct VendorView {
    vendor: String,
    name: String,
    state: &'static str,
    switches: Vec<SwitchView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<TermsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<TermsView>,
    made: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView>>,
}

impl VendorView {
    /// The vendor's id.
    pub fn vendor(&self) -> &str {
        &self.vendor
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its state in one word.
    pub const fn state(&self) -> &'static str {
        self.state
    }

    /// The three switches.
    pub fn switches(&self) -> &[SwitchView] {
        &self.switches
    }

    /// The terms in force.
    pub const fn terms(&self) -> Option<&TermsView> {
        self.terms.as_ref()
    }

    /// As the vendor sees it: who acts for the clinic and for the operator, and why, is theirs.
    fn for_vendor(mut self) -> Self {
        let own = Party::Vendor.as_str();
        for switch in self.switches.iter_mut().filter(|s| s.party != own) {
            switch.by.clear();
            switch.reason.clear();
        }
        let events = self.events.iter_mut().flatten();
        for event in events.filter(|e| e.party != own) {
            event.actor.clear();
            event.reason.clear();
        }
        self
    }

    /// Terms that wait for the clinic.
    pub const fn proposal(&self) -> Option<&TermsView> {
        self.proposal.as_ref()
    }
}

/// Something that was done to a grant, as it is shown.
#[derive(Debug, Serialize)]
pub struct EventView {
    number: u64,
    at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    actor: String,
    party: String,
    what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    was: String,
    state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

const NAME_CHARACTERS_MAX: usize = 200;
const WORDS_CHARACTERS_MAX: usize = 1_000;
const REASON_CHARACTERS_MAX: usize = 500;

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Code::RequestInvalid, text)
}

/// The id of a vendor in a URL or a body.
pub(crate) fn vendor_id(text: &str) -> Result<VendorId, Failure> {
    VendorId::new(text).ok_or(Failure::of(Code::VendorUnknown))
}

/// The grant of a vendor to which a client is bound, if its scopes fit.
///
/// # Errors
/// `vendor-unknown`, `scope-invalid`.
pub(crate) async fn binding(
    store: &TenantStore,
    vendor: &str,
    scopes: &Scopes,
) -> Result<VendorId, Failure> {
    let id = vendor_id(vendor)?;
    let grant = store.vendor(&id).await?;
    let grant = grant.ok_or(Failure::of(Code::VendorUnknown))?;
    let mut all = grant.terms.iter().chain(&grant.proposal);
    if !all.any(|terms| terms.scopes.covers(&on_resources(scopes))) {
        return Err(Failure::new(
            Code::ScopeInvalid,
            "the scopes go beyond those of the vendor's grant",
        ));
    }
    Ok(id)
}

/// Scopes without the words that are on no resource: a grant is about data.
fn on_resources(scopes: &Scopes) -> Scopes {
    use access::ScopeContext::{Patient, System, User};
    scopes.only(&[System, User, Patient])
}

fn list<T>(
    all: &[String],
    what: &'static str,
    wanted: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    if all.len() > VENDOR_LIST_MAX {
        return Err(invalid(format!(
            "{what} has at most {VENDOR_LIST_MAX} entries"
        )));
    }
    let one = |text: &String| {
        read(text).ok_or_else(|| invalid(format!("{what}: \"{text}\" is not {wanted}")))
    };
    all.iter().map(one).collect()
}

/// Thirty-two bytes of hexadecimal digits, with or without colons.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    let digit = |b: &u8| {
        char::from(*b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    (digits.len() == 64).then_some(())?;
    let mut out = [0; 32];
    for (place, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *place = match pair {
            [high, low] => digit(high)? << 4 | digit(low)?,
            _ => return None,
        };
    }
    Some(out)
}

fn purpose(text: &str) -> Option<Box<str>> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    ((1..=32).contains(&text.len()) && text.bytes().all(plain)).then(|| text.into())
}

impl VendorDraft {
    fn terms(&self, model: &'static Model) -> Result<VendorTerms, Failure> {
        printable(
            &self.name,
            NAME_CHARACTERS_MAX,
            "name has 1 to 200 characters",
        )?;
        let contract = &self.contract;
        for text in [&contract.data, &contract.contact, &contract.document] {
            let wanted = "data, contact and document of the contract have 1 to 1000 characters";
            printable(text, WORDS_CHARACTERS_MAX, wanted)?;
        }
        let time = |text: &str| {
            moment(text).ok_or_else(|| invalid("from and until are dates or instants"))
        };
        let (from, until) = (time(&contract.from)?, time(&contract.until)?);
        if until <= from {
            return Err(invalid("the contract ends before it begins"));
        }
        let scopes = Scopes::parse(&self.scopes.join(" "), model)
            .map_err(|e| Failure::new(Code::ScopeInvalid, e.to_string()))?;
        if on_resources(&scopes).as_str() != scopes.as_str() {
            return Err(Failure::new(
                Code::ScopeInvalid,
                "a grant has scopes on resources: system/, user/ or patient/",
            ));
        }
        let known = |text: &str| model.type_id(text).map(|_| Box::<str>::from(text));
        let network = |text: &str| text.parse::<Network>().ok();
        let rate = self.rate.map(|rate| VendorRate {
            per_minute: rate.per_minute.min(RATE_MAX),
            burst: rate.burst.unwrap_or(rate.per_minute).min(BURST_MAX),
        });
        if rate.is_some_and(|r| r.per_minute == 0 || r.burst == 0) {
            return Err(invalid("a rate lets at least one request through"));
        }
        let certificates = "64 hexadecimal digits";
        Ok(VendorTerms {
            number: 0,
            name: self.name.as_str().into(),
            contract: Contract {
                data: contract.data.as_str().into(),
                types: list(&contract.types, "types", "a resource type", known)?.into(),
                purposes: list(&contract.purposes, "purposes", "a code", purpose)?.into(),
                from,
                until,
                contact: contract.contact.as_str().into(),
                document: contract.document.as_str().into(),
            },
            scopes: Arc::new(scopes),
            facilities: list(
                &self.facilities,
                "facilities",
                "Organization/id or Location/id",
                facility,
            )?
            .into(),
            networks: list(&self.networks, "networks", "a network", network)?.into(),
            certificates: list(&self.certificates, "certificates", certificates, digest)?.into(),
            rate,
        })
    }
}

fn terms_view(terms: &VendorTerms) -> TermsView {
    let texts = |all: &[Box<str>]| all.iter().map(ToString::to_string).collect();
    let hex = |bytes: &[u8; 32]| bytes.iter().map(|b| format!("{b:02x}")).collect();
    let contract = &terms.contract;
    TermsView {
        number: terms.number,
        name: terms.name.to_string(),
        contract: ContractDraft {
            data: contract.data.to_string(),
            types: texts(&contract.types),
            purposes: texts(&contract.purposes),
            from: contract.from.instant().to_string(),
            until: contract.until.instant().to_string(),
            contact: contract.contact.to_string(),
            document: contract.document.to_string(),
        },
        scopes: terms
            .scopes
            .as_str()
            .split(' ')
            .map(str::to_owned)
            .collect(),
        facilities: terms
            .facilities
            .iter()
            .map(|(of, id)| format!("{of}/{}", id.as_str()))
            .collect(),
        networks: terms.networks.iter().map(ToString::to_string).collect(),
        certificates: terms.certificates.iter().map(hex).collect(),
        rate: terms.rate.map(|rate| RateDraft {
            per_minute: rate.per_minute,
            burst: Some(rate.burst),
        }),
    }
}

fn view(grant: &VendorGrant, events: Option<Vec<VendorEvent>>) -> VendorView {
    let switch = |party: Party| {
        let held = grant.held(party);
        SwitchView {
            party: party.as_str(),
            hold: held.hold.as_str(),
            by: held.by.to_string(),
            reason: held.reason.to_string(),
            at: held.at.instant().to_string(),
        }
    };
    let event = |event: VendorEvent| EventView {
        number: event.number,
        at: event.at.instant().to_string(),
        actor: event.actor,
        party: event.party,
        what: event.what,
        was: event.was,
        state: event.state,
        reason: event.reason,
    };
    VendorView {
        vendor: grant.id.as_str().to_owned(),
        name: grant.name().to_owned(),
        state: grant.state(),
        switches: Party::ALL.map(switch).into(),
        terms: grant.terms.as_deref().map(terms_view),
        proposal: grant.proposal.as_deref().map(terms_view),
        made: grant.made.instant().to_string(),
        events: events.map(|all| all.into_iter().map(event).collect()),
    }
}

fn reason(text: &str) -> Result<&str, Failure> {
    let wanted = "reason says why, in 1 to 500 characters";
    printable(text, REASON_CHARACTERS_MAX, wanted)?;
    match text.trim() {
        "" => Err(invalid(wanted)),
        text => Ok(text),
    }
}

/// Where grants are worked on, whoever does it.
struct Contracts<'a> {
    store: &'a TenantStore,
    model: &'static Model,
}

impl Contracts<'_> {
    async fn all(&self, permit: VendorPermit) -> Result<Vec<VendorView>, Failure> {
        let all = self.store.vendors(permit).await?;
        Ok(all.iter().map(|grant| view(grant, None)).collect())
    }

    async fn one(&self, permit: VendorPermit, id: &VendorId) -> Result<VendorView, Failure> {
        let events = self.store.vendor_events(permit, id).await?;
        let grant = self.store.vendor(id).await?;
        let grant = grant.ok_or(Failure::of(Code::VendorUnknown))?;
        Ok(view(&grant, Some(events)))
    }

    async fn propose(
        &self,
        permit: VendorPermit,
        draft: &VendorDraft,
    ) -> Result<VendorView, Failure> {
        let why = reason(&draft.reason)?;
        let id = VendorId::new(&draft.vendor).ok_or_else(|| {
            invalid("vendor begins with a lower-case letter and has up to 64 of a-z, 0-9 and -")
        })?;
        let change = VendorChange::Propose(Box::new(draft.terms(self.model)?));
        let grant = self.store.change_vendor(permit, &id, change, why).await?;
        Ok(view(&grant, None))
    }

    async fn switch(
        &self,
        permit: VendorPermit,
        id: &VendorId,
        draft: &SwitchDraft,
    ) -> Result<VendorView, Failure> {
        let why = reason(&draft.reason)?;
        let hold = Hold::of(&draft.hold)
            .ok_or_else(|| invalid("hold is enabled, read-only or disabled"))?;
        let terms = draft.terms;
        let change = VendorChange::Switch { hold, terms };
        let grant = self.store.change_vendor(permit, id, change, why).await?;
        Ok(view(&grant, None))
    }
}

impl Operator {
    async fn contracts<T>(
        &self,
        name: &str,
        work: impl AsyncFnOnce(Contracts<'_>, VendorPermit) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permit = decide_vendors_operator(self.principal(), &tenant, self.request);
        let permit = permit.map_err(|denied| Failure::from(&denied))?;
        let model = Model::of(tenant.fhir());
        let store = &store;
        work(Contracts { store, model }, permit).await
    }

    /// All vendors of a tenant, in order of id.
    ///
    /// # Errors
    /// `tenant-unknown`
    pub async fn vendors(&self, name: &str) -> Result<Vec<VendorView>, Failure> {
        self.contracts(name, async |c, permit| c.all(permit).await)
            .await
    }

    /// One vendor of a tenant, and what was done to its grant.
    ///
    /// # Errors
    /// `tenant-unknown`, `vendor-unknown`.
    pub async fn vendor(&self, name: &str, vendor: &str) -> Result<VendorView, Failure> {
        let id = vendor_id(vendor)?;
        self.contracts(name, async |c, permit| c.one(permit, &id).await)
            .await
    }

    /// Puts terms forward: they count once the clinic takes them.
    ///
    /// # Errors
    /// `tenant-unknown`, `request-invalid`, `scope-invalid`, `limit-query`.
    pub async fn propose_vendor(
        &self,
        name: &str,
        draft: VendorDraft,
    ) -> Result<VendorView, Failure> {
        self.contracts(name, async |c, permit| c.propose(permit, &draft).await)
            .await
    }

    /// Moves the operator's own switch, from the next request on.
    ///
    /// # Errors
    /// `tenant-unknown`, `vendor-unknown`, `request-invalid`; `clinic-only` for terms.
    pub async fn switch_vendor(
        &self,
        name: &str,
        vendor: &str,
        draft: SwitchDraft,
    ) -> Result<VendorView, Failure> {
        let id = vendor_id(vendor)?;
        self.contracts(name, async |c, permit| c.switch(permit, &id, &draft).await)
            .await
    }
}

impl Session {
    fn contracts(&self) -> Contracts<'_> {
        Contracts {
            store: &self.store,
            model: self.model(),
        }
    }

    /// The right to speak for the clinic about vendors, or its refusal, recorded.
    pub(crate) async fn for_clinic(&self) -> Result<VendorPermit, Failure> {
        let decided = decide_vendors(self.principal(), self.rights(), self.tenant(), self.request);
        match decided {
            Ok(permit) => Ok(permit),
            Err(denied) => Err(self.refuse(denied).await),
        }
    }

    /// All vendors of the clinic, in order of id.
    ///
    /// # Errors
    /// `scope-missing`, recorded.
    pub async fn vendors(&self) -> Result<Vec<VendorView>, Failure> {
        let permit = self.for_clinic().await?;
        self.contracts().all(permit).await
    }

    /// One vendor, and what was done to its grant.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `vendor-unknown`.
    pub async fn vendor(&self, vendor: &str) -> Result<VendorView, Failure> {
        let permit = self.for_clinic().await?;
        self.contracts().one(permit, &vendor_id(vendor)?).await
    }

    /// Puts terms forward. They count when they are taken, as an operator's do.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `request-invalid`, `scope-invalid`, `limit-query`.
    pub async fn propose_vendor(&self, draft: VendorDraft) -> Result<VendorView, Failure> {
        let permit = self.for_clinic().await?;
        self.contracts().propose(permit, &draft).await
    }

    /// Moves the clinic's own switch, from the next request on.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `vendor-unknown`, `request-invalid`, `version-conflict`.
    pub async fn switch_vendor(
        &self,
        vendor: &str,
        draft: SwitchDraft,
    ) -> Result<VendorView, Failure> {
        let permit = self.for_clinic().await?;
        let id = vendor_id(vendor)?;
        self.contracts().switch(permit, &id, &draft).await
    }
}

impl Gate {
    /// What a vendor does with its own grant: looks at it, and moves its own switch. Good when the grant
    /// is switched off too.
    ///
    /// # Errors
    /// As those of [`Self::token`]; `client-unknown` within for a client without a vendor.
    pub async fn own_vendor(
        &self,
        asked: &TokenRequest,
        draft: Option<SwitchDraft>,
        credentials: Credentials<'_>,
        request: RequestMeta,
    ) -> Result<VendorView, TokenFailure> {
        let store = self.store();
        let record = self.proved(&store, asked, credentials, request).await?;
        let own = decide_vendor_own(&record, &self.tenant, request);
        let (id, permit) = own.ok_or(TokenFailure::Client)?;
        let house = &self.house.0;
        let grant = store.vendor(&id).await.map_err(Failure::from)?;
        let terms = grant.as_ref().and_then(|g| g.terms.as_ref());
        let bound = terms.and_then(|t| t.rate).map(|rate| (&id, rate));
        // Also while it is switched off.
        house
            .rates
            .spend_switch(&self.tenant, &id, &house.metrics)?;
        house
            .rates
            .spend_client(&self.tenant, &record.id, bound, &house.metrics)?;
        // From anywhere it is switched off; whoever lets go of it comes as the terms want them to.
        let wanted = draft.as_ref().and_then(|draft| Hold::of(&draft.hold));
        let held = grant.as_ref().map(|grant| grant.held(Party::Vendor).hold);
        if wanted.zip(held).is_some_and(|(wanted, held)| wanted < held)
            && let Some(terms) = terms
        {
            let certificate = credentials.certificate.map(|shown| &shown.sha256);
            if let Err(refusal) = terms.are_met(credentials.from, certificate) {
                let (what, code) = (format!("vendor {}: switch", id.as_str()), refusal.code());
                house.metrics.denials.inc();
                let actor = record.actor();
                let noted = store.not_let_in(request, &actor, &what, code);
                noted.await.map_err(Failure::from)?;
                return Err(TokenFailure::Vendor(code));
            }
        }
        let model = self.model();
        let contracts = Contracts {
            store: &store,
            model,
        };
        let told = match draft {
            None => contracts.one(permit, &id).await?,
            Some(draft) => contracts.switch(permit, &id, &draft).await?,
        };
        Ok(told.for_vendor())
    }
}
