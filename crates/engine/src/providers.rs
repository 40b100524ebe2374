//! Identity providers of a tenant, as the operator sets them: where people may sign in instead of
//! here, and what claims come to.
//!
//! What an operator set lets people in for a time, and goes on only where the tenant keeps it (`keeping`);
//! where one ends, all that was given by it does (`ending`).

mod ending;
mod keeping;

use std::collections::BTreeMap;

use access::{Reason, RoleAt, TENANT_ADMINISTRATOR, TenantId};
use base::{Code, Micros};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use store::{Deed, IdentityProvider, SetByOperator, TenantStore};
use zeroize::Zeroizing;

use crate::auth::{seal, unseal};
use crate::clients::{MadeView, NO_REASON, held, printable};
use crate::failure::Failure;
use crate::house::{Gate, House};
use crate::links::Links;
use crate::tenants::Operator;

/// The identity provider that all tenants may use, as the configuration names it.
#[derive(Clone, Default)]
pub struct HouseProvider {
    /// Its issuer.
    pub issuer: String,
    /// What the house is called there.
    pub client_id: String,
    /// What the house proves itself with there; without one it has PKCE alone.
    pub client_secret: Option<String>,
}

impl std::fmt::Debug for HouseProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HouseProvider({})", self.issuer)
    }
}

/// An identity provider of a tenant, as the admin API takes it.
pub struct ProviderDraft {
    /// Its name in addresses: 1 to 32 of `a-z 0-9 -`.
    pub id: String,
    settings: Settings,
    /// What the tenant proves itself with there. One that is known stays where it is absent and
    /// issuer and client id are the same.
    client_secret: Option<String>,
    /// Why an operator sets it.
    reason: Option<String>,
}

impl<'de> Deserialize<'de> for ProviderDraft {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut members = Map::deserialize(from)?;
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(D::Error::custom(format!("{name} is a text"))),
        };
        let id = text("id")?.ok_or_else(|| D::Error::missing_field("id"))?;
        let (client_secret, reason) = (text("client_secret")?, text("reason")?);
        let settings = Settings::deserialize(Value::Object(members)).map_err(D::Error::custom)?;
        Ok(Self {
            id,
            settings,
            client_secret,
            reason,
        })
    }
}

impl std::fmt::Debug for ProviderDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProviderDraft({})", self.id)
    }
}

/// What is set about an identity provider, apart from its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// What people see on the button.
    pub(crate) name: String,
    /// Whether it is the house's: issuer and client id are those of the configuration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) house: bool,
    #[serde(default)]
    pub(crate) issuer: String,
    #[serde(default)]
    pub(crate) client_id: String,
    #[serde(default = "usual_scopes")]
    pub(crate) scopes: Vec<String>,
    /// The claim that roles come from: its name, or names with dots between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) roles_claim: Option<String>,
    /// What its values come to: `role`, or `role@Organization/id`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) roles: BTreeMap<String, Vec<String>>,
    /// The claim with the resource that stands for the person: `Practitioner/id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fhir_user_claim: Option<String>,
    /// Whether whoever is known there, and gets a role by it, is made known here.
    #[serde(default)]
    pub(crate) just_in_time: bool,
    /// Values of `acr` or `amr` that stand for two factors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) two_factors: Vec<String>,
}

fn usual_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

/// An identity provider, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    settings: Settings,
    /// Sealed with the tenant's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// That an operator set it; one of an earlier version does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made: Option<SetByOperator>,
}

/// An identity provider, as it is shown.
#[derive(Debug, Serialize)]
pub struct ProviderView {
    id: String,
    #[serde(flatten)]
    settings: Settings,
    has_secret: bool,
    redirect_uri: String,
    backchannel_logout_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<MadeView>,
    /// Whether it lets people in.
    lets_in: bool,
}

impl ProviderView {
    /// Its name in addresses.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// What the tenant is called there.
    pub fn client_id(&self) -> &str {
        &self.settings.client_id
    }

    /// The claim that roles come from, and what its values come to.
    pub fn roles(&self) -> (Option<&str>, &BTreeMap<String, Vec<String>>) {
        (self.settings.roles_claim.as_deref(), &self.settings.roles)
    }

    /// The claim with the resource that stands for a person.
    pub fn fhir_user_claim(&self) -> Option<&str> {
        self.settings.fhir_user_claim.as_deref()
    }

    /// Whether whoever is known there, and gets a role by it, is made known here.
    pub const fn is_just_in_time(&self) -> bool {
        self.settings.just_in_time
    }

    /// Values that stand for two factors.
    pub fn two_factors(&self) -> &[String] {
        &self.settings.two_factors
    }

    /// That an operator set it.
    pub const fn made(&self) -> Option<&MadeView> {
        self.made.as_ref()
    }

    /// Whether it lets people in.
    pub const fn lets_in(&self) -> bool {
        self.lets_in
    }
}

/// An identity provider, ready to be asked.
pub(crate) struct Provider {
    pub(crate) id: String,
    pub(crate) settings: Settings,
    pub(crate) secret: Option<Zeroizing<String>>,
    pub(crate) redirect: String,
    /// Whether the tenant keeps it: whom it makes known, the tenant knows.
    pub(crate) kept: bool,
}

impl Provider {
    /// The house's own, for whoever signs in to no tenant yet.
    pub(crate) fn of_house(known: &HouseProvider, origin: &str) -> Self {
        Self {
            id: String::new(),
            settings: Settings {
                name: String::new(),
                house: true,
                issuer: known.issuer.clone(),
                client_id: known.client_id.clone(),
                scopes: vec!["openid".to_owned()],
                roles_claim: None,
                roles: BTreeMap::new(),
                fhir_user_claim: None,
                just_in_time: false,
                two_factors: Vec::new(),
            },
            secret: known.client_secret.clone().map(Zeroizing::new),
            redirect: format!("{origin}/auth/callback"),
            kept: false,
        }
    }
}

/// An identity provider, as people choose it.
#[derive(Clone, Debug)]
pub struct ProviderOffer {
    /// Its name in addresses.
    pub id: String,
    /// Its name for people.
    pub name: String,
}

const NAME_BYTES_MAX: usize = 200;
const URL_BYTES_MAX: usize = 2_000;
const SECRET_BYTES_MAX: usize = 2_000;
const REASON_CHARACTERS_MAX: usize = 200;
const VALUES_MAX: usize = 500;
/// What the secret is sealed for.
const SEALED_FOR: &str = "secret at identity provider";

fn invalid(text: &'static str) -> Failure {
    Failure::new(Code::RequestInvalid, text)
}

/// The issuer of a provider: the house's is that of the configuration.
fn issuer_of(house: &House, settings: &Settings) -> String {
    let known = house.0.config.house_provider.as_ref();
    match (settings.house, known) {
        (false, _) => settings.issuer.clone(),
        (true, Some(known)) => known.issuer.clone(),
        (true, None) => String::new(),
    }
}

impl Kept {
    /// The issuer that it was set for, or has.
    fn issuer(&self, house: &House) -> String {
        match &self.made {
            Some(made) => made.issuer.to_string(),
            None => issuer_of(house, &self.settings),
        }
    }

    /// Whether it lets people in.
    fn lets_in(&self, house: &House, now: Micros) -> bool {
        let issuer = issuer_of(house, &self.settings);
        let made = self.made.as_ref();
        made.is_none_or(|made| made.lets_in(&issuer, now))
    }

    /// Whether what decides who comes in, and as what, is the same as in other settings.
    fn is_same_way(&self, other: &Settings) -> bool {
        let decides = |settings: &Settings| Settings {
            name: String::new(),
            scopes: Vec::new(),
            ..settings.clone()
        };
        decides(&self.settings) == decides(other)
    }
}

impl Settings {
    fn check(&self, house: &House) -> Result<(), Failure> {
        printable(&self.name, NAME_BYTES_MAX, "name has 1 to 200 bytes")?;
        match self.house {
            true if house.0.config.house_provider.is_none() => {
                return Err(invalid("the configuration names no provider of the house"));
            }
            true if !self.issuer.is_empty() || !self.client_id.is_empty() => {
                return Err(invalid(
                    "issuer and client_id of the house's provider are in the configuration",
                ));
            }
            true => {}
            false => {
                printable(&self.issuer, URL_BYTES_MAX, "issuer has 1 to 2000 bytes")?;
                let wanted = "client_id has 1 to 200 bytes";
                printable(&self.client_id, NAME_BYTES_MAX, wanted)?;
                if self.issuer.contains(['?', '#']) {
                    return Err(invalid("an issuer has no query and no fragment"));
                }
                house.admits(&self.issuer)?;
            }
        }
        let word = |w: &String| {
            !w.is_empty() && w.len() <= NAME_BYTES_MAX && w.bytes().all(|b| b.is_ascii_graphic())
        };
        if !self.scopes.iter().all(word) || !self.scopes.iter().any(|s| s == "openid") {
            return Err(invalid("scopes are words, and openid is one of them"));
        }
        let many = self.scopes.len().max(self.roles.len());
        if many.max(self.two_factors.len()) > VALUES_MAX {
            return Err(invalid("at most 500 scopes, values and roles each"));
        }
        if self.roles_claim.is_some() == self.roles.is_empty() {
            return Err(invalid("roles_claim and roles go together"));
        }
        for role in self.roles.values().map(|roles| held(roles)) {
            // Whoever sets providers would make themselves one.
            if role?.iter().any(|held| *held.role == *TENANT_ADMINISTRATOR) {
                return Err(invalid(
                    "a tenant's administrators are made by its administrators, not by claims",
                ));
            }
        }
        Ok(())
    }

    /// The values of the claim that roles come from.
    fn values(&self, claims: &Map<String, Value>) -> Vec<String> {
        let found = self.roles_claim.as_deref().and_then(|p| claim(claims, p));
        match found {
            Some(Value::Array(all)) => all.iter().filter_map(word).collect(),
            Some(one) => word(one).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The roles that claims come to.
    pub(crate) fn roles_of(&self, claims: &Map<String, Value>) -> Vec<RoleAt> {
        let values = self.values(claims);
        let given = self.roles.iter().filter(|(v, _)| values.contains(v));
        distinct(given.flat_map(|(_, roles)| roles))
    }

    /// Whether the person was recognised there by two factors.
    pub(crate) fn is_strong(&self, claims: &Map<String, Value>) -> bool {
        let counts = |v: &Value| {
            let text = v.as_str();
            text.is_some_and(|t| self.two_factors.iter().any(|f| f == t))
        };
        let amr = claims.get("amr").and_then(Value::as_array);
        claims.get("acr").is_some_and(counts) || amr.is_some_and(|all| all.iter().any(counts))
    }
}

fn distinct<'r>(texts: impl Iterator<Item = &'r String>) -> Vec<RoleAt> {
    let mut roles: Vec<RoleAt> = Vec::new();
    let parsed = texts.filter_map(|text| RoleAt::parse(text));
    for role in parsed.filter(|held| *held.role != *TENANT_ADMINISTRATOR) {
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    roles
}

/// A claim by its name, or by names with dots between them.
pub(crate) fn claim<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let mut names = path.split('.');
    let mut at = claims.get(names.next()?)?;
    for name in names {
        at = at.get(name)?;
    }
    Some(at)
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn read(kept: &IdentityProvider) -> Result<Kept, Failure> {
    serde_json::from_str(&kept.record).map_err(|_| Failure::of(Code::Internal))
}

fn find(all: &[IdentityProvider], id: &str) -> Result<Kept, Failure> {
    let found = all.iter().find(|p| &*p.id == id);
    read(found.ok_or(Failure::of(Code::ProviderUnknown))?)
}

/// Where the provider sends people back to, and where it tells that somebody signed out.
fn addresses(id: &str, house: bool, links: &Links, house_origin: &str) -> (String, String) {
    let logout = links.auth(&format!("/providers/{id}/logout"));
    match house {
        true => (format!("{house_origin}/auth/callback"), logout),
        false => (links.auth(&format!("/providers/{id}/callback")), logout),
    }
}

fn written(id: &str, kept: &Kept) -> Result<IdentityProvider, Failure> {
    let record = serde_json::to_string(kept).map_err(|_| Failure::of(Code::Internal))?;
    Ok(IdentityProvider {
        id: id.into(),
        record: record.into(),
    })
}

/// Until when a provider that was set lets people in, and why it was set.
fn told(made: &SetByOperator) -> String {
    let until = match made.until() {
        Some(until) if until.0 == made.at_us => " as soon as somebody keeps it".to_owned(),
        Some(until) => format!(" until {}", until.instant()),
        None => String::new(),
    };
    format!("{until}: {}", made.reason)
}

fn made_view(made: &SetByOperator) -> MadeView {
    MadeView {
        by: made.by.to_string(),
        at: Micros(made.at_us).instant().to_string(),
        reason: made.reason.to_string(),
        until: made.until().map(|until| until.instant().to_string()),
        kept_by: made.kept_by.as_deref().map(str::to_owned),
    }
}

fn view(
    house: &House,
    (links, origin): (&Links, &str),
    now: Micros,
    id: &str,
    kept: Kept,
) -> ProviderView {
    let (redirect, logout) = addresses(id, kept.settings.house, links, origin);
    let configured = house.0.config.house_provider.as_ref();
    let own = configured.is_some_and(|p| p.client_secret.is_some());
    ProviderView {
        id: id.to_owned(),
        has_secret: kept.secret.is_some() || kept.settings.house && own,
        lets_in: kept.lets_in(house, now),
        made: kept.made.as_ref().map(made_view),
        settings: kept.settings,
        redirect_uri: redirect,
        backchannel_logout_uri: logout,
    }
}

impl Gate {
    /// Where people may sign in instead of here.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn providers(&self) -> Result<Vec<ProviderOffer>, Failure> {
        let now = self.house.clock().now();
        let mut offers = Vec::new();
        for provider in self.store().identity_providers().await?.iter() {
            let kept = read(provider)?;
            if kept.lets_in(&self.house, now) {
                offers.push(ProviderOffer {
                    id: provider.id.to_string(),
                    name: kept.settings.name,
                });
            }
        }
        Ok(offers)
    }

    /// The name in addresses of the house's provider, where this tenant uses it.
    ///
    /// # Errors
    /// `provider-unknown`
    pub async fn house_provider(&self) -> Result<String, Failure> {
        let now = self.house.clock().now();
        let all = self.store().identity_providers().await?;
        for provider in all.iter() {
            let kept = read(provider)?;
            if kept.settings.house && kept.lets_in(&self.house, now) {
                return Ok(provider.id.to_string());
            }
        }
        Err(Failure::of(Code::ProviderUnknown))
    }

    /// A provider that lets people in, ready to be asked.
    ///
    /// # Errors
    /// `provider-unknown`; `provider-ended` for one that an operator set and nobody of the tenant kept in time.
    pub(crate) async fn provider(&self, id: &str, now: Micros) -> Result<Provider, Failure> {
        let all = self.store().identity_providers().await?;
        if !find(&all, id)?.lets_in(&self.house, now) {
            self.store().end_identity_providers().await?;
            return Err(Failure::of(Code::ProviderEnded));
        }
        self.any_provider(id).await
    }

    /// The same, whether or not it lets people in.
    pub(crate) async fn any_provider(&self, id: &str) -> Result<Provider, Failure> {
        let unknown = || Failure::of(Code::ProviderUnknown);
        let store = self.store();
        let all = store.identity_providers().await?;
        let mut kept = find(&all, id)?;
        let secret = match &self.house.0.config.house_provider {
            Some(house) if kept.settings.house => {
                kept.settings.issuer.clone_from(&house.issuer);
                kept.settings.client_id.clone_from(&house.client_id);
                house.client_secret.clone().map(Zeroizing::new)
            }
            _ if kept.settings.house => return Err(unknown()),
            _ => match kept.secret {
                None => None,
                Some(sealed) => {
                    let key = store.people_key().await?;
                    let secret = unseal::<String>(&key, SEALED_FOR, &sealed, Micros(0));
                    Some(Zeroizing::new(secret.ok_or_else(unknown)?))
                }
            },
        };
        let until = kept.made.as_ref().and_then(SetByOperator::until);
        let (links, origin) = (&self.links, self.house_origin());
        let (redirect, _) = addresses(id, kept.settings.house, links, &origin);
        Ok(Provider {
            id: id.to_owned(),
            settings: kept.settings,
            secret,
            redirect,
            kept: until.is_none(),
        })
    }

    /// The address of the house itself.
    fn house_origin(&self) -> String {
        let config = &self.house.0.config;
        let own = config.public_url.as_ref().unwrap_or(&config.listen_url);
        self.links
            .house(&self.tenant)
            .map_or_else(|| own.clone(), str::to_owned)
    }
}

impl Operator {
    fn provider_deed(&self, tenant: &TenantId, what: String) -> Result<Deed, Failure> {
        Ok(Deed {
            permit: self.system(Reason::Operation, tenant)?,
            actor: None,
            what,
            alerts: false,
        })
    }

    /// The same, of which the tenant's own people are told.
    fn provider_alert(&self, tenant: &TenantId, what: String) -> Result<Deed, Failure> {
        Ok(Deed {
            alerts: true,
            ..self.provider_deed(tenant, what)?
        })
    }

    fn provider_view(&self, tenant: &TenantId, id: &str, kept: Kept) -> ProviderView {
        let links = self.links(tenant);
        let origin = links.house(tenant).unwrap_or_default().to_owned();
        view(&self.house, (&links, &origin), self.request.at, id, kept)
    }

    /// Sets an identity provider of a tenant: a new one, or another in the place of the one of this id. It lets
    /// people in for a time, and goes on where the tenant keeps it; one that is set as it is stays as it is.
    ///
    /// # Errors
    /// `tenant-unknown`, `request-invalid`, `outbound-refused`, `limit-query`.
    pub async fn set_provider(
        &self,
        tenant: &str,
        draft: ProviderDraft,
    ) -> Result<ProviderView, Failure> {
        let (tenant, store) = self.tenant(tenant)?;
        let of_id = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=32).contains(&draft.id.len()) || !draft.id.bytes().all(of_id) {
            return Err(invalid("id has 1 to 32 of a-z, 0-9 and -"));
        }
        draft.settings.check(&self.house)?;
        crate::people::must_not_be_of_others(&store).await?;
        let reason = draft.reason.as_deref().unwrap_or(NO_REASON);
        let wanted = "reason has 1 to 200 characters";
        printable(reason, REASON_CHARACTERS_MAX, wanted)?;
        let secret = self.secret(&store, &draft).await?;
        let all = store.identity_providers().await?;
        let known = all.iter().find(|p| *p.id == *draft.id).cloned();
        let mut before = known.as_ref().map(read).transpose()?;
        let issuer = issuer_of(&self.house, &draft.settings);
        let for_it = |made: &SetByOperator| *made.issuer == *issuer;
        let same_way = before.as_ref().is_some_and(|before| {
            before.is_same_way(&draft.settings) && before.made.as_ref().is_none_or(for_it)
        });
        let as_it_is =
            |kept: &mut Kept| same_way && kept.settings == draft.settings && kept.secret == secret;
        if let Some(kept) = before.take_if(as_it_is) {
            return Ok(self.provider_view(&tenant, &draft.id, kept));
        }
        let made = match &before {
            Some(before) if same_way => before.made.clone(),
            before => {
                let made = self.setter(&store, reason, &issuer, before.as_ref());
                Some(made.await?)
            }
        };
        let what = match made.as_ref().filter(|_| !same_way) {
            Some(made) => format!("set identity provider {}{}", draft.id, told(made)),
            None => format!("set identity provider {}", draft.id),
        };
        let kept = Kept {
            settings: draft.settings,
            secret,
            made,
        };
        let provider = written(&draft.id, &kept)?;
        let deed = self.provider_alert(&tenant, what)?;
        store.put_identity_provider(deed, provider, known).await?;
        // What was given by it as it was before ends.
        if let Some(before) = before.filter(|_| !same_way) {
            let ending = self.ending(&tenant, &store);
            let issuer = before.issuer(&self.house);
            ending.all_of(&draft.id, &issuer).await?;
        }
        Ok(self.provider_view(&tenant, &draft.id, kept))
    }

    /// That this operator sets a provider. Operators have one time, whatever they set, drop and set again, until
    /// somebody of the tenant keeps one; in a tenant that was made of a backup, or that ended one, it lets nobody
    /// in before somebody keeps it.
    async fn setter(
        &self,
        store: &TenantStore,
        reason: &str,
        issuer: &str,
        before: Option<&Kept>,
    ) -> Result<SetByOperator, Failure> {
        let now = self.request.at;
        let seconds = self.house.limits().operator_provider_seconds;
        let until = now.plus_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let mut until = match store.is_restored().await? {
            true => now,
            false => until,
        };
        let own = before.and_then(|before| before.made.as_ref()?.until());
        let term = store.operator_provider_term().await?;
        for earlier in own.into_iter().chain(term) {
            until = until.min(earlier);
        }
        let until = until.max(now);
        Ok(SetByOperator {
            by: self.principal().actor().as_str().into(),
            at_us: now.0,
            reason: reason.into(),
            issuer: issuer.into(),
            until_us: Some(until.0),
            kept_by: None,
            // Where it lets nobody in there is nothing to end.
            ended: until == now,
        })
    }

    /// The sealed secret that a provider gets.
    async fn secret(
        &self,
        store: &TenantStore,
        draft: &ProviderDraft,
    ) -> Result<Option<String>, Failure> {
        let all = store.identity_providers().await?;
        let known = find(&all, &draft.id).ok().filter(|kept| {
            let (old, new) = (&kept.settings, &draft.settings);
            (old.house, &old.issuer, &old.client_id) == (new.house, &new.issuer, &new.client_id)
        });
        let known = known.and_then(|kept| kept.secret);
        let Some(secret) = draft.client_secret.as_deref() else {
            return Ok(known);
        };
        if draft.settings.house {
            return Err(invalid(
                "the secret of the house's provider is in the configuration",
            ));
        }
        printable(
            secret,
            SECRET_BYTES_MAX,
            "client_secret has 1 to 2000 bytes",
        )?;
        let (key, rng) = (store.people_key().await?, &*self.house.0.rng);
        let same = |known: &String| {
            let known = unseal::<String>(&key, SEALED_FOR, known, Micros(0)).map(Zeroizing::new);
            known.is_some_and(|known| *known == secret)
        };
        if let Some(known) = known.filter(same) {
            return Ok(Some(known));
        }
        let secret = secret.to_owned();
        seal(&key, SEALED_FOR, &secret, Micros(i64::MAX), rng).map(Some)
    }

    /// The identity providers of a tenant.
    ///
    /// # Errors
    /// `tenant-unknown`
    pub async fn list_providers(&self, tenant: &str) -> Result<Vec<ProviderView>, Failure> {
        let (tenant, store) = self.tenant(tenant)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        store.looked_at(permit, "list identity providers").await?;
        let all = store.identity_providers().await?;
        let view = |kept: &IdentityProvider| Ok(self.provider_view(&tenant, &kept.id, read(kept)?));
        all.iter().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(claim: &str) -> Settings {
        serde_json::from_value(json!({
            "name": "Acme", "issuer": "https://id.example", "client_id": "x",
            "roles_claim": claim,
            "roles": { "nurses": ["nurse@Organization/7", "staff"], "all": ["staff"], "7": ["lab"] },
            "two_factors": ["mfa", "urn:strong"],
        }))
        .unwrap()
    }

    fn roles(claim: &str, claims: &Value) -> Vec<String> {
        let roles = settings(claim).roles_of(claims.as_object().unwrap());
        roles.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn claims_come_to_roles() {
        for (claim, claims, wanted) in [
            (
                "groups",
                json!({ "groups": ["x", "nurses"] }),
                &["nurse@Organization/7", "staff"][..],
            ),
            (
                "groups",
                json!({ "groups": ["all", "nurses"] }),
                &["staff", "nurse@Organization/7"],
            ),
            ("groups", json!({ "groups": "all" }), &["staff"]),
            (
                "groups",
                json!({ "groups": [7, {"all": 1}, null] }),
                &["lab"],
            ),
            ("groups", json!({}), &[]),
            ("a.b", json!({ "a": { "b": ["all"] } }), &["staff"]),
            ("a.b", json!({ "a": { "c": ["all"] } }), &[]),
            (
                "https://x.example/r",
                json!({ "https://x.example/r": ["all"] }),
                &["staff"],
            ),
        ] {
            assert_eq!(roles(claim, &claims), wanted, "{claim} {claims}");
        }
        let mut root = settings("groups");
        let wanted = vec!["tenant-administrator".to_owned(), "lab".to_owned()];
        root.roles.insert("root".to_owned(), wanted);
        let claims = json!({ "groups": ["root"] });
        let given = root.roles_of(claims.as_object().unwrap());
        assert_eq!(given.len(), 1, "nobody administers by claims");
    }

    #[test]
    fn two_factors_are_what_is_said_to_be() {
        let strong = |claims: Value| settings("g").is_strong(claims.as_object().unwrap());
        assert!(strong(json!({ "amr": ["pwd", "mfa"] })));
        assert!(strong(json!({ "acr": "urn:strong" })));
        assert!(!strong(json!({ "amr": ["pwd"], "acr": "1" })));
        assert!(!strong(json!({})));
    }
}
