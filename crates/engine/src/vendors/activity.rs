//! What a vendor's clients and programs did, counted, beside what its contract says.

use std::collections::BTreeSet;

use access::{ActionName, Administer, ClientRecord, Permit, Reason, VendorGrant, VendorTerms};
use base::{Code, Micros};
use fhir::definitions::{Model, TypeId};
use serde::Serialize;
use store::{Activity, ActivityQuery, TenantStore, Volume};

use super::{TermsView, terms_view, vendor_id};
use crate::failure::Failure;
use crate::interaction::moment;
use crate::session::Session;
use crate::tenants::Operator;

const DAY_US: i64 = 86_400_000_000;

/// Which time is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActivityAsked<'a> {
    /// From then on: a date or an instant.
    pub from: Option<&'a str>,
    /// Before then.
    pub to: Option<&'a str>,
}

/// What was done with resources of a type in a day.
#[derive(Clone, Debug, Serialize)]
pub struct ActivityDay {
    /// The day, in UTC.
    pub day: String,
    /// The client.
    pub client: String,
    /// The type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How much.
    #[serde(flatten)]
    pub volume: Volume,
    /// What of it is outside of the contract: `type`, `time`, `write`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<&'static str>,
}

/// Accesses of a day that were refused.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedDay {
    /// The day, in UTC.
    pub day: String,
    /// Why.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// What was done with one patient's resources.
#[derive(Clone, Debug, Serialize)]
pub struct PatientLine {
    /// Their id.
    pub patient: String,
    /// How much.
    #[serde(flatten)]
    pub volume: Volume,
    /// First.
    pub first: String,
    /// Last.
    pub last: String,
}

/// Requests with one purpose of use.
#[derive(Clone, Debug, Serialize)]
pub struct PurposeLine {
    /// The purpose's code (`TREAT`, `HPAYMT`, …); none where none was named.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// How many.
    pub requests: u64,
    /// Whether the contract agrees to it; where it names no purpose, to any.
    pub agreed: bool,
}

/// What a vendor's clients and programs did.
#[derive(Debug, Serialize)]
pub struct ActivityReport {
    /// The vendor's id.
    pub vendor: String,
    /// Its name.
    pub name: String,
    /// The state of its grant.
    pub state: &'static str,
    /// The terms that it is held against: those in force, else those that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<TermsView>,
    /// Its clients and programs.
    pub clients: Vec<String>,
    /// Everything together.
    #[serde(flatten)]
    pub volume: Volume,
    /// Accesses that were refused.
    pub refused: u64,
    /// What of the volume is outside of the contract.
    pub outside: Volume,
    /// By day, client and type.
    pub days: Vec<ActivityDay>,
    /// Refusals by day and code.
    pub refusals: Vec<RefusedDay>,
    /// By patient.
    pub patients: Vec<PatientLine>,
    /// By purpose of use.
    pub purposes: Vec<PurposeLine>,
    /// There is more than is told apart, or some accesses showed more than they name.
    pub more: bool,
}

/// A day of that number since 1970.
fn day(number: i64) -> String {
    let text = Micros(number.saturating_mul(DAY_US)).instant().to_string();
    text.get(..10).unwrap_or(&text).to_owned()
}

/// What a contract says about a type.
struct Against<'a> {
    terms: &'a VendorTerms,
    model: &'static Model,
    types: BTreeSet<&'a str>,
}

impl<'a> Against<'a> {
    fn new(terms: &'a VendorTerms, model: &'static Model) -> Self {
        let named = terms.contract.types.iter().map(|t| &**t);
        Self {
            terms,
            model,
            types: named.collect(),
        }
    }

    fn grants(&self, type_id: TypeId, any_of: &[ActionName]) -> bool {
        let on = |s: &&access::ResourceScope| s.types.contains(type_id);
        let mut scopes = self.terms.scopes.resources().iter().filter(on);
        scopes.any(|scope| any_of.iter().any(|action| scope.allows(*action)))
    }

    fn marks(&self, number: i64, type_name: &str, volume: Volume) -> Vec<&'static str> {
        const READS: [ActionName; 2] = [ActionName::Read, ActionName::Search];
        const WRITES: [ActionName; 3] =
            [ActionName::Create, ActionName::Update, ActionName::Delete];
        let mut marks = Vec::new();
        let type_id = self.model.type_id(type_name);
        let any = |actions: &[ActionName]| type_id.is_some_and(|t| self.grants(t, actions));
        let agreed = match self.types.is_empty() {
            true => any(&READS) || any(&WRITES),
            false => self.types.contains(type_name),
        };
        if !agreed {
            marks.push("type");
        } else if volume.writes > 0 && !any(&WRITES) {
            marks.push("write");
        }
        let (begin, end) = (
            number.saturating_mul(DAY_US),
            number.saturating_add(1).saturating_mul(DAY_US),
        );
        let contract = &self.terms.contract;
        if end <= contract.from.0 || begin >= contract.until.0 {
            marks.push("time");
        }
        marks
    }
}

fn add(all: &mut Volume, more: Volume) {
    all.reads += more.reads;
    all.writes += more.writes;
}

fn report(
    grant: &VendorGrant,
    clients: Vec<String>,
    activity: Activity,
    model: &'static Model,
) -> ActivityReport {
    let terms = grant.terms.as_deref().or(grant.proposal.as_deref());
    let against = terms.map(|terms| Against::new(terms, model));
    let (mut volume, mut outside) = (Volume::default(), Volume::default());
    let mut days = Vec::with_capacity(activity.days.len());
    for ((number, client, type_name), found) in activity.days {
        let against = against.as_ref();
        let marks = against.map_or_else(Vec::new, |a| a.marks(number, &type_name, found));
        add(&mut volume, found);
        if !marks.is_empty() {
            add(&mut outside, found);
        }
        days.push(ActivityDay {
            day: day(number),
            client,
            type_name,
            volume: found,
            outside: marks,
        });
    }
    let refusals: Vec<RefusedDay> = activity
        .refused
        .into_iter()
        .map(|((number, code), count)| RefusedDay {
            day: day(number),
            code,
            count,
        })
        .collect();
    let patients = activity.patients.into_iter().map(|(id, of)| PatientLine {
        patient: id.as_str().to_owned(),
        volume: of.volume,
        first: of.first.instant().to_string(),
        last: of.last.instant().to_string(),
    });
    let agreed = terms.map(|t| &t.contract.purposes);
    let agreed = |purpose: &str| {
        agreed.is_none_or(|all| all.is_empty() || all.iter().any(|p| **p == *purpose))
    };
    let purposes = activity
        .purposes
        .into_iter()
        .map(|(purpose, requests)| PurposeLine {
            agreed: agreed(&purpose),
            purpose,
            requests,
        });
    let purposes: Vec<PurposeLine> = purposes.collect();
    ActivityReport {
        vendor: grant.id.as_str().to_owned(),
        name: grant.name().to_owned(),
        state: grant.state(),
        terms: terms.map(terms_view),
        clients,
        volume,
        refused: refusals.iter().map(|r| r.count).sum(),
        outside,
        days,
        refusals,
        patients: patients.collect(),
        purposes,
        more: activity.more,
    }
}

async fn made(
    store: &TenantStore,
    model: &'static Model,
    permits: [Permit<Administer>; 2],
    vendor: &str,
    asked: &ActivityAsked<'_>,
) -> Result<ActivityReport, Failure> {
    let id = vendor_id(vendor)?;
    let grant = store.vendor(&id).await?;
    let grant = grant.ok_or(Failure::of(Code::VendorUnknown))?;
    let time = |text: Option<&str>| {
        let wrong = "from and to are dates or instants";
        let read = |t| moment(t).ok_or_else(|| Failure::new(Code::RequestInvalid, wrong));
        text.map(read).transpose()
    };
    let (from, to) = (time(asked.from)?, time(asked.to)?);
    let [listing, reporting] = permits;
    let all = store.clients(listing).await?;
    let own = |c: &&ClientRecord| c.vendor.as_ref() == Some(&id);
    let clients: Vec<String> = all
        .iter()
        .filter(own)
        .map(|c| c.id.as_str().to_owned())
        .collect();
    let query = ActivityQuery {
        actors: clients.iter().map(|id| format!("client:{id}")).collect(),
        from,
        to,
    };
    let activity = store.activity(reporting, query).await?;
    Ok(report(&grant, clients, activity, model))
}

impl Operator {
    /// What a vendor's clients and programs did.
    ///
    /// # Errors
    /// `tenant-unknown`, `vendor-unknown`, `request-invalid`.
    pub async fn vendor_activity(
        &self,
        name: &str,
        vendor: &str,
        asked: &ActivityAsked<'_>,
    ) -> Result<ActivityReport, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permits = [
            self.system(Reason::Operation, &tenant)?,
            self.system(Reason::Operation, &tenant)?,
        ];
        let model = Model::of(tenant.fhir());
        made(&store, model, permits, vendor, asked).await
    }
}

impl Session {
    /// What a vendor's clients and programs did.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `vendor-unknown`, `request-invalid`.
    pub async fn vendor_activity(
        &self,
        vendor: &str,
        asked: &ActivityAsked<'_>,
    ) -> Result<ActivityReport, Failure> {
        let permit = async || {
            let permit = self.for_clinic().await?.of_clinic();
            permit.ok_or(Failure::of(Code::ClinicOnly))
        };
        let permits = [permit().await?, permit().await?];
        made(&self.store, self.model(), permits, vendor, asked).await
    }
}
