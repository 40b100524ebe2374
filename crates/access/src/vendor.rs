//! Grants to vendors: what one company's programs may do in one tenant, under which contract, and
//! who has switched them off.
//!
//! A grant only narrows. What a client of the vendor may do is what its own scopes, the tenant's policy
//! and the grant all say. The clinic, the vendor and the operator each hold a switch of their own, and
//! the strictest of the three counts; nobody moves another's. Terms count once the clinic took them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base::{Code, Micros, Network, ResourceId};

use crate::action::{ActionName, Administer};
use crate::client::ClientRecord;
use crate::decide::Denied;
use crate::directory::TenantId;
use crate::permit::{Grant, Permit, RequestMeta, Spent};
use crate::person::TENANT_ADMINISTRATOR;
use crate::policy::Rights;
use crate::principal::{Principal, Who};
use crate::scope::Scopes;

/// A vendor's id in one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VendorId(Arc<str>);

impl VendorId {
    /// Takes an id: a lower-case letter, then up to 63 of `a-z 0-9 -`.
    pub fn new(text: &str) -> Option<Self> {
        let (first, rest) = text.as_bytes().split_first()?;
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let good = first.is_ascii_lowercase() && rest.len() <= 63 && rest.iter().all(plain);
        good.then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who holds a switch of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// The tenant itself: its administrators.
    Clinic,
    /// The vendor, by one of its clients.
    Vendor,
    /// Who runs the house.
    Operator,
}

impl Party {
    /// All of them; each is at the place of its switch.
    pub const ALL: [Self; 3] = [Self::Clinic, Self::Vendor, Self::Operator];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clinic => "clinic",
            Self::Vendor => "vendor",
            Self::Operator => "operator",
        }
    }

    /// The party of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == word)
    }
}

/// How far a switch lets go; the later, the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// As far as the terms.
    Enabled,
    /// Reads and searches only.
    ReadOnly,
    /// Nothing.
    Disabled,
}

impl Hold {
    const ALL: [Self; 3] = [Self::Enabled, Self::ReadOnly, Self::Disabled];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::ReadOnly => "read-only",
            Self::Disabled => "disabled",
        }
    }

    /// The hold of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|h| h.as_str() == word)
    }
}

/// A switch as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// How far it lets go.
    pub hold: Hold,
    /// Since when.
    pub at: Micros,
    /// Who moved it.
    pub by: Box<str>,
    /// Why.
    pub reason: Box<str>,
}

/// A facility: `Organization` or `Location`, and its id.
pub type Facility = (Box<str>, ResourceId);

/// Reads `Organization/1` or `Location/1`.
pub fn facility(text: &str) -> Option<Facility> {
    let (of, id) = text.split_once('/')?;
    let known = matches!(of, "Organization" | "Location");
    Some((of.into(), ResourceId::new(id).ok()?)).filter(|_| known)
}

/// What was agreed with a vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Which data, in words.
    pub data: Box<str>,
    /// Which resource types; those of the scopes if none is named.
    pub types: Arc<[Box<str>]>,
    /// Purposes of use (`TREAT`, `HPAYMT`, `HRESCH`, …).
    pub purposes: Arc<[Box<str>]>,
    /// From when on.
    pub from: Micros,
    /// Until when; not any more from then on.
    pub until: Micros,
    /// Whom to reach at the vendor.
    pub contact: Box<str>,
    /// Where the signed document is.
    pub document: Box<str>,
}

impl Contract {
    /// Whether it runs at this time.
    pub fn runs(&self, at: Micros) -> bool {
        self.from <= at && at < self.until
    }
}

/// How many requests all clients of a vendor may make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VendorRate {
    /// A minute.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

/// What a vendor may do at most.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorTerms {
    /// Grows with each proposal.
    pub number: u64,
    /// The vendor's name for people.
    pub name: Box<str>,
    /// What was agreed.
    pub contract: Contract,
    /// The most that any of its clients and programs has.
    pub scopes: Arc<Scopes>,
    /// Only what belongs to these facilities; everything of the clinic if none is named.
    pub facilities: Arc<[Facility]>,
    /// Only from these networks; from anywhere if none is named.
    pub networks: Arc<[Network]>,
    /// SHA-256 of the client certificates that may be used; none is asked for if none is named.
    pub certificates: Arc<[[u8; 32]]>,
    /// How fast.
    pub rate: Option<VendorRate>,
}

/// A grant to one vendor in one tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorGrant {
    /// The vendor.
    pub id: VendorId,
    /// The terms that the clinic took.
    pub terms: Option<Arc<VendorTerms>>,
    /// Terms that wait for the clinic.
    pub proposal: Option<Arc<VendorTerms>>,
    /// The switches, each at the place of its party.
    pub holds: [Held; 3],
    /// When it was first proposed.
    pub made: Micros,
}

/// Why a vendor's client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VendorRefusal {
    /// A party has switched it off, or the clinic never enabled it.
    Disabled,
    /// The contract does not run now.
    Ended,
    /// It comes from another network.
    Network,
    /// It comes without a certificate that the grant names.
    Certificate,
}

impl VendorRefusal {
    /// Its stable code.
    pub const fn code(self) -> Code {
        match self {
            Self::Disabled => Code::VendorDisabled,
            Self::Ended => Code::VendorEnded,
            Self::Network => Code::VendorNetwork,
            Self::Certificate => Code::VendorCertificate,
        }
    }
}

impl VendorGrant {
    /// One that was just proposed: it stands disabled until the clinic enables it.
    pub fn proposed(id: VendorId, mut terms: VendorTerms, by: &str, at: Micros) -> Self {
        terms.number = 1;
        let held = |hold| Held {
            hold,
            at,
            by: by.into(),
            reason: Box::default(),
        };
        let [clinic, vendor, operator] = [Hold::Disabled, Hold::Enabled, Hold::Enabled].map(held);
        Self {
            id,
            terms: None,
            proposal: Some(Arc::new(terms)),
            holds: [clinic, vendor, operator],
            made: at,
        }
    }

    /// The vendor's name for people.
    pub fn name(&self) -> &str {
        let newest = self.terms.as_ref().or(self.proposal.as_ref());
        newest.map_or(self.id.as_str(), |terms| &terms.name)
    }

    /// A party's switch.
    pub const fn held(&self, party: Party) -> &Held {
        let [clinic, vendor, operator] = &self.holds;
        match party {
            Party::Clinic => clinic,
            Party::Vendor => vendor,
            Party::Operator => operator,
        }
    }

    /// The same with a switch that is further towards off; one that is not stays as it is.
    pub fn press(&mut self, party: Party, held: Held) {
        let own = self.held_mut(party);
        if own.hold < held.hold {
            *own = held;
        }
    }

    fn held_mut(&mut self, party: Party) -> &mut Held {
        let [clinic, vendor, operator] = &mut self.holds;
        match party {
            Party::Clinic => clinic,
            Party::Vendor => vendor,
            Party::Operator => operator,
        }
    }

    /// The strictest of the switches.
    pub fn standing(&self) -> Hold {
        let strictest = self.holds.iter().map(|h| h.hold).max();
        match &self.terms {
            Some(_) => strictest.unwrap_or(Hold::Disabled),
            None => Hold::Disabled,
        }
    }

    /// Its state in one word, and whose switch it is where it is off: `enabled`, `read-only`,
    /// `disabled-by-clinic`, `disabled-by-vendor`, `disabled-by-operator`.
    pub fn state(&self) -> &'static str {
        let off = |party: Party| self.held(party).hold == Hold::Disabled;
        match self.standing() {
            Hold::Enabled => "enabled",
            Hold::ReadOnly => "read-only",
            Hold::Disabled if off(Party::Operator) => "disabled-by-operator",
            Hold::Disabled if off(Party::Vendor) => "disabled-by-vendor",
            Hold::Disabled => "disabled-by-clinic",
        }
    }

    /// Moves a party's own switch.
    ///
    /// # Errors
    /// `vendor-disabled` where there are no terms that the clinic took.
    pub fn switch(&mut self, party: Party, held: Held) -> Result<(), Code> {
        if held.hold != Hold::Disabled && party == Party::Clinic && self.terms.is_none() {
            return Err(Code::VendorDisabled);
        }
        *self.held_mut(party) = held;
        Ok(())
    }

    /// Puts other terms forward; those in force stay until the clinic takes these.
    pub fn propose(&mut self, mut terms: VendorTerms) {
        terms.number = self.newest().saturating_add(1);
        self.proposal = Some(Arc::new(terms));
    }

    /// The number of the newest terms.
    pub fn newest(&self) -> u64 {
        let both = self.terms.iter().chain(&self.proposal);
        both.map(|t| t.number).max().unwrap_or(0)
    }

    /// Takes the terms that were put forward. For the clinic alone: `number` says which it means.
    ///
    /// # Errors
    /// `version-conflict` if others wait.
    pub fn take_terms(&mut self, number: u64) -> Result<(), Code> {
        if self.terms.as_ref().is_some_and(|t| t.number == number) {
            return Ok(());
        }
        match self.proposal.take_if(|t| t.number == number) {
            Some(terms) => {
                self.terms = Some(terms);
                Ok(())
            }
            None => Err(Code::VersionConflict),
        }
    }

    /// Whether a client of the vendor is let in, and on which terms. `certificate` is the SHA-256 of the
    /// client certificate of the connection, where there is one.
    ///
    /// # Errors
    /// [`VendorRefusal`].
    pub fn admits(
        &self,
        now: Micros,
        from: IpAddr,
        certificate: Option<&[u8; 32]>,
    ) -> Result<&VendorTerms, VendorRefusal> {
        let terms = self.terms.as_deref().ok_or(VendorRefusal::Disabled)?;
        if self.standing() == Hold::Disabled {
            return Err(VendorRefusal::Disabled);
        }
        if !terms.contract.runs(now) {
            return Err(VendorRefusal::Ended);
        }
        terms.are_met(from, certificate)?;
        Ok(terms)
    }
}

impl VendorTerms {
    /// Whether somebody comes from where, and with what, the terms want them to.
    ///
    /// # Errors
    /// [`VendorRefusal`].
    pub fn are_met(
        &self,
        from: IpAddr,
        certificate: Option<&[u8; 32]>,
    ) -> Result<(), VendorRefusal> {
        if !self.networks.is_empty() && !self.networks.iter().any(|n| n.contains(from)) {
            return Err(VendorRefusal::Network);
        }
        let pinned = |shown: &[u8; 32]| self.certificates.contains(shown);
        if !self.certificates.is_empty() && !certificate.is_some_and(pinned) {
            return Err(VendorRefusal::Certificate);
        }
        Ok(())
    }
}

/// The right to move a party's own switch, or to put terms forward in its name; spent once.
#[must_use = "a permit that is not spent did nothing"]
pub struct VendorPermit {
    permit: Permit<Administer>,
    party: Party,
    /// The only grant that it is for, if it is for one.
    only: Option<VendorId>,
    /// Whether it is for switching on too.
    loosens: bool,
}

impl fmt::Debug for VendorPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VendorPermit({})", self.party.as_str())
    }
}

impl VendorPermit {
    fn mint(permit: Permit<Administer>, party: Party) -> Self {
        Self {
            permit,
            party,
            only: None,
            loosens: true,
        }
    }

    /// Whether it is for switching on too, and for taking terms; or else for looking, putting terms forward
    /// and switching off.
    pub const fn loosens(&self) -> bool {
        self.loosens
    }

    /// In whose name it is.
    pub const fn party(&self) -> Party {
        self.party
    }

    /// Whether it is for this vendor's grant.
    pub fn is_for(&self, vendor: &VendorId) -> bool {
        self.only.as_ref().is_none_or(|only| only == vendor)
    }

    /// The right to look at what vendors did, once; the clinic's only.
    pub fn of_clinic(self) -> Option<Permit<Administer>> {
        (self.party == Party::Clinic).then_some(self.permit)
    }

    /// Spends it on a tenant.
    ///
    /// # Panics
    /// If it is for another tenant, like [`Permit::spend`].
    pub fn spend(self, tenant: &TenantId) -> Spent<Administer> {
        self.permit.spend(tenant)
    }
}

fn refused(principal: &Principal, request: RequestMeta) -> Denied {
    Denied {
        actor: principal.actor(),
        action: ActionName::Administer,
        type_id: None,
        request: Box::new(request),
        lacks: None,
        read_only: false,
    }
}

/// Decides whether a principal speaks for the clinic about vendors and program links: whoever the
/// tenant's policy lets administer it, and its administrators in their own browsers. No client and no
/// program of a vendor does. A client, which the operator makes, only looks and
/// switches off: switching on is a person's.
///
/// # Errors
/// [`Denied`], to be recorded.
pub fn decide_vendors(
    principal: &Principal,
    rights: &Rights,
    tenant: &TenantId,
    request: RequestMeta,
) -> Result<VendorPermit, Denied> {
    let own = match &principal.0 {
        Who::Person(acting) => {
            acting.client.is_none() && acting.person.has_role(TENANT_ADMINISTRATOR)
        }
        Who::Client { .. } | Who::Operator(_) => false,
    };
    let here = principal.tenant() == Some(tenant) && principal.vendor().is_none();
    let may = own || rights.are_of(principal, tenant) && rights.administers();
    if !(here && may) {
        return Err(refused(principal, request));
    }
    let grant = Grant::of_tenant(tenant, principal.actor(), request);
    let mut permit = VendorPermit::mint(Permit::mint(grant), Party::Clinic);
    permit.loosens = principal.person().is_some();
    Ok(permit)
}

/// The operator's right about the vendors of a tenant: to put terms forward and to hold the operator's own
/// switch.
///
/// # Errors
/// [`Denied`]
pub fn decide_vendors_operator(
    principal: &Principal,
    tenant: &TenantId,
    request: RequestMeta,
) -> Result<VendorPermit, Denied> {
    if !principal.is_operator() {
        return Err(refused(principal, request));
    }
    let grant = Grant::of_tenant(tenant, principal.actor(), request);
    Ok(VendorPermit::mint(Permit::mint(grant), Party::Operator))
}

/// The vendor's right about its own grant, by one of its clients that has proved who it is. It holds
/// when the grant is switched off too: else the vendor could not lift its own switch.
pub fn decide_vendor_own(
    client: &ClientRecord,
    tenant: &TenantId,
    request: RequestMeta,
) -> Option<(VendorId, VendorPermit)> {
    let good = client.is_good(request.at) && !client.is_public();
    let vendor = client.vendor.clone().filter(|_| good)?;
    let grant = Grant::of_tenant(tenant, client.actor(), request);
    let permit = VendorPermit {
        permit: Permit::mint(grant),
        party: Party::Vendor,
        only: Some(vendor.clone()),
        loosens: true,
    };
    Some((vendor, permit))
}

#[cfg(test)]
mod tests {
    use fhir::definitions::{FhirVersion, Model};

    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn terms() -> VendorTerms {
        let model = Model::of(FhirVersion::R4);
        VendorTerms {
            number: 1,
            name: "Acme".into(),
            contract: Contract {
                data: "observations".into(),
                types: Arc::default(),
                purposes: Arc::default(),
                from: Micros(DAY),
                until: Micros(3 * DAY),
                contact: "a@b".into(),
                document: "c".into(),
            },
            scopes: Arc::new(Scopes::parse("system/Observation.rs", model).unwrap()),
            facilities: Arc::default(),
            networks: Arc::new(["10.0.0.0/8".parse().unwrap()]),
            certificates: Arc::default(),
            rate: None,
        }
    }

    fn held(hold: Hold) -> Held {
        Held {
            hold,
            at: Micros(0),
            by: "x".into(),
            reason: "y".into(),
        }
    }

    fn grant() -> VendorGrant {
        let id = VendorId::new("acme").unwrap();
        let mut grant = VendorGrant::proposed(id, terms(), "operator", Micros(0));
        grant.take_terms(1).unwrap();
        grant.switch(Party::Clinic, held(Hold::Enabled)).unwrap();
        grant
    }

    fn inside() -> IpAddr {
        "10.1.2.3".parse().unwrap()
    }

    #[test]
    fn what_is_proposed_stands_disabled_until_the_clinic_takes_it() {
        let id = VendorId::new("acme").unwrap();
        let mut grant = VendorGrant::proposed(id, terms(), "operator", Micros(0));
        assert_eq!(grant.state(), "disabled-by-clinic");
        for party in [Party::Vendor, Party::Operator] {
            grant.switch(party, held(Hold::Enabled)).unwrap();
        }
        let refused = grant.switch(Party::Clinic, held(Hold::Enabled));
        assert_eq!(refused, Err(Code::VendorDisabled));
        let at = Micros(2 * DAY);
        assert_eq!(
            grant.admits(at, inside(), None),
            Err(VendorRefusal::Disabled)
        );
        assert_eq!(grant.take_terms(2), Err(Code::VersionConflict));
        grant.take_terms(1).unwrap();
        assert_eq!(grant.state(), "disabled-by-clinic");
        grant.switch(Party::Clinic, held(Hold::Enabled)).unwrap();
        assert_eq!(grant.state(), "enabled");
    }

    #[test]
    fn lifting_one_switch_lifts_no_other() {
        let mut grant = grant();
        for party in Party::ALL {
            grant.switch(party, held(Hold::Disabled)).unwrap();
        }
        for (party, state) in [
            (Party::Operator, "disabled-by-vendor"),
            (Party::Vendor, "disabled-by-clinic"),
            (Party::Clinic, "enabled"),
        ] {
            grant.switch(party, held(Hold::Enabled)).unwrap();
            assert_eq!(grant.state(), state);
        }
        grant.switch(Party::Vendor, held(Hold::ReadOnly)).unwrap();
        grant.switch(Party::Clinic, held(Hold::Enabled)).unwrap();
        assert_eq!(grant.state(), "read-only");
    }

    #[test]
    fn other_terms_wait_and_those_in_force_stay() {
        let mut grant = grant();
        let mut wider = terms();
        wider.networks = Arc::default();
        grant.propose(wider);
        let outside: IpAddr = "192.0.2.1".parse().unwrap();
        let at = Micros(2 * DAY);
        assert_eq!(grant.admits(at, outside, None), Err(VendorRefusal::Network));
        grant.take_terms(2).unwrap();
        assert!(grant.admits(at, outside, None).is_ok());
    }

    #[test]
    fn time_network_and_certificate_are_all_asked_for() {
        let mut grant = grant();
        for (day, wanted) in [(0, false), (1, true), (2, true), (3, false)] {
            let found = grant.admits(Micros(day * DAY), inside(), None);
            assert_eq!(found.is_ok(), wanted, "{day}");
        }
        let mut pinned = terms();
        pinned.certificates = Arc::new([[7; 32]]);
        grant.propose(pinned);
        grant.take_terms(2).unwrap();
        let at = Micros(2 * DAY);
        for (shown, wanted) in [(None, false), (Some([8; 32]), false), (Some([7; 32]), true)] {
            let found = grant.admits(at, inside(), shown.as_ref());
            assert_eq!(found.is_ok(), wanted, "{shown:?}");
        }
    }

    #[test]
    fn ids_of_vendors_are_plain() {
        for (text, good) in [
            ("acme", true),
            ("a", true),
            ("acme-2", true),
            ("", false),
            ("Acme", false),
            ("2acme", false),
            ("ac me", false),
            ("acme/x", false),
        ] {
            assert_eq!(VendorId::new(text).is_some(), good, "{text}");
        }
    }
}
