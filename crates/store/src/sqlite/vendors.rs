//! Grants to vendors, what was done to them, and links to programs, in the tenant's database and in the
//! memory of an open tenant. All are among what is administered ([`super::administration`]).

use std::collections::HashMap;
use std::sync::Arc;

use access::{
    Contract, Held, Hold, Party, Scopes, VendorGrant, VendorId, VendorRate, VendorTerms, facility,
};
use base::{Code, Micros, Network};
use fhir::definitions::Model;
use parking_lot::{Mutex, MutexGuard, RwLock};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::administration;
use super::fault::{Doing, damaged, internal};
use super::folder::{hex, unhex};
use super::seal::Digest;
use crate::face::{ProgramLink, VendorEvent};
use crate::{Result, StoreError};

/// Grants, events, links.
pub(crate) const DDL: &str = "
CREATE TABLE vendor (id TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE vendor_event (
  number INTEGER PRIMARY KEY, vendor TEXT NOT NULL, at_us INTEGER NOT NULL, actor TEXT NOT NULL,
  party TEXT NOT NULL, what TEXT NOT NULL, was TEXT NOT NULL, state TEXT NOT NULL,
  reason TEXT NOT NULL, chain BLOB) STRICT;
CREATE INDEX vendor_event_vendor ON vendor_event (vendor);
CREATE TABLE program_link (
  id TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// Those of an open tenant, as they are committed.
#[derive(Debug, Default)]
pub(crate) struct Vendors {
    known: RwLock<Known>,
    /// Whoever moves a switch holds it until that waits to be written.
    moving: Mutex<()>,
}

/// Whose switch of whose grant.
type Switch = (VendorId, Party);

#[derive(Debug, Default)]
struct Known {
    grants: HashMap<VendorId, Arc<VendorGrant>>,
    /// The same with what is pressed.
    effective: HashMap<VendorId, Arc<VendorGrant>>,
    links: Vec<Arc<ProgramLink>>,
    /// Switches that were moved towards off and are not committed yet: they hold from when they were asked
    /// for. Of one switch at most one for each way that it can be moved.
    pressed: Vec<(Switch, Held)>,
}

impl Known {
    fn press(&mut self) {
        self.effective = self.grants.clone();
        for ((id, party), held) in &self.pressed {
            let Some(known) = self.effective.get_mut(id) else {
                continue;
            };
            if known.held(*party).hold < held.hold {
                let mut grant = (**known).clone();
                grant.press(*party, held.clone());
                *known = Arc::new(grant);
            }
        }
    }
}

impl Vendors {
    /// Reads them. When what is administered is not `trusted`, there are none: nobody whom a grant
    /// bounds is let in.
    pub(crate) fn load(db: &Connection, model: &Model, trusted: bool) -> Result<Self> {
        let vendors = Self::default();
        if trusted {
            vendors.learn(db, model)?;
        }
        Ok(vendors)
    }

    /// Learns what was committed. A grant that is the same stays the same: what was made of it stays good.
    pub(crate) fn learn(&self, db: &Connection, model: &Model) -> Result<()> {
        let mut grants = read_grants(db, model)?;
        let links = read_links(db)?;
        let mut known = self.known.write();
        for (id, grant) in &mut grants {
            if let Some(before) = known.grants.get(id).filter(|before| *before == grant) {
                *grant = before.clone();
            }
        }
        // A switch is let go once it stands so in the grant, or the same party moved it after that.
        let mut pressed = std::mem::take(&mut known.pressed);
        pressed.retain(|((id, party), held)| {
            let stands = grants.get(id).map(|grant| grant.held(*party));
            stands.is_some_and(|is| is.hold < held.hold && is.at <= held.at)
        });
        *known = Known {
            grants,
            effective: HashMap::new(),
            links,
            pressed,
        };
        known.press();
        Ok(())
    }

    /// Switches are written in the order in which they are moved: one at a time is moved and put among what
    /// waits to be written.
    pub(crate) fn in_turn(&self) -> MutexGuard<'_, ()> {
        self.moving.lock()
    }

    /// A switch holds from now on, whether or not it was written yet.
    pub(crate) fn press(&self, id: &VendorId, party: Party, held: Held) {
        let mut known = self.known.write();
        let switch = (id.clone(), party);
        let before = |(of, was): &(Switch, Held)| *of == switch && was.hold == held.hold;
        known.pressed.retain(|one| !before(one));
        known.pressed.push((switch, held));
        known.press();
    }

    /// A switch that was pressed is as if it had not been: nobody may move it so.
    pub(crate) fn let_go(&self, id: &VendorId, party: Party, held: &Held) {
        let mut known = self.known.write();
        known
            .pressed
            .retain(|((of, by), was)| (of, *by) != (id, party) || was != held);
        known.press();
    }

    /// Whether a switch holds that is not written.
    pub(crate) fn any_pressed(&self) -> bool {
        !self.known.read().pressed.is_empty()
    }

    /// One vendor's grant as it is committed.
    pub(crate) fn committed(&self, id: &VendorId) -> Option<Arc<VendorGrant>> {
        self.known.read().grants.get(id).cloned()
    }

    /// One vendor's grant.
    pub(crate) fn grant(&self, id: &VendorId) -> Option<Arc<VendorGrant>> {
        self.known.read().effective.get(id).cloned()
    }

    /// All of them, in order of id.
    pub(crate) fn sorted(&self) -> Vec<Arc<VendorGrant>> {
        let mut all: Vec<_> = self.known.read().effective.values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// All program links, in order of id.
    pub(crate) fn links(&self) -> Vec<Arc<ProgramLink>> {
        self.known.read().links.clone()
    }
}

#[derive(Serialize, Deserialize)]
struct KeptGrant {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<KeptTerms>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposal: Option<KeptTerms>,
    holds: [KeptHeld; 3],
    made_us: i64,
}

#[derive(Serialize, Deserialize)]
struct KeptHeld {
    hold: String,
    at_us: i64,
    by: String,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct KeptTerms {
    number: u64,
    name: String,
    data: String,
    types: Vec<String>,
    purposes: Vec<String>,
    from_us: i64,
    until_us: i64,
    contact: String,
    document: String,
    scopes: String,
    facilities: Vec<String>,
    networks: Vec<String>,
    certificates: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<[u32; 2]>,
}

fn texts(all: &[Box<str>]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

impl KeptTerms {
    fn of(terms: &VendorTerms) -> Self {
        let contract = &terms.contract;
        let facility = |(of, id): &access::Facility| format!("{of}/{}", id.as_str());
        Self {
            number: terms.number,
            name: terms.name.to_string(),
            data: contract.data.to_string(),
            types: texts(&contract.types),
            purposes: texts(&contract.purposes),
            from_us: contract.from.0,
            until_us: contract.until.0,
            contact: contract.contact.to_string(),
            document: contract.document.to_string(),
            scopes: terms.scopes.as_str().to_owned(),
            facilities: terms.facilities.iter().map(facility).collect(),
            networks: terms.networks.iter().map(ToString::to_string).collect(),
            certificates: terms.certificates.iter().map(|c| hex(c)).collect(),
            rate: terms.rate.map(|r| [r.per_minute, r.burst]),
        }
    }

    /// What a bound says that cannot be read is not left out: then the grant is damaged.
    fn read(self, model: &Model) -> Option<VendorTerms> {
        let certificates = self.certificates.iter().map(|text| unhex::<32>(text));
        let boxed = |all: Vec<String>| all.into_iter().map(Into::into).collect();
        Some(VendorTerms {
            number: self.number,
            name: self.name.into(),
            contract: Contract {
                data: self.data.into(),
                types: boxed(self.types),
                purposes: boxed(self.purposes),
                from: Micros(self.from_us),
                until: Micros(self.until_us),
                contact: self.contact.into(),
                document: self.document.into(),
            },
            scopes: Arc::new(Scopes::parse(&self.scopes, model).ok()?),
            facilities: self
                .facilities
                .iter()
                .map(|text| facility(text))
                .collect::<Option<_>>()?,
            networks: self
                .networks
                .iter()
                .map(|text| text.parse::<Network>().ok())
                .collect::<Option<_>>()?,
            certificates: certificates.collect::<Option<_>>()?,
            rate: self
                .rate
                .map(|[per_minute, burst]| VendorRate { per_minute, burst }),
        })
    }
}

impl KeptHeld {
    fn of(held: &Held) -> Self {
        Self {
            hold: held.hold.as_str().to_owned(),
            at_us: held.at.0,
            by: held.by.to_string(),
            reason: held.reason.to_string(),
        }
    }

    fn read(self) -> Option<Held> {
        Some(Held {
            hold: Hold::of(&self.hold)?,
            at: Micros(self.at_us),
            by: self.by.into(),
            reason: self.reason.into(),
        })
    }
}

fn read_grants(db: &Connection, model: &Model) -> Result<HashMap<VendorId, Arc<VendorGrant>>> {
    let wrong = || damaged("a stored vendor grant");
    let mut all = HashMap::new();
    for (id, text) in pairs(db, "SELECT id, record FROM vendor")? {
        let id = VendorId::new(&id).ok_or_else(wrong)?;
        let kept: KeptGrant = serde_json::from_str(&text).map_err(|_| wrong())?;
        let terms = |kept: Option<KeptTerms>| {
            kept.map(|k| k.read(model).map(Arc::new).ok_or_else(wrong))
                .transpose()
        };
        let [clinic, vendor, operator] = kept.holds;
        let held = |kept: KeptHeld| kept.read().ok_or_else(wrong);
        let grant = VendorGrant {
            id: id.clone(),
            terms: terms(kept.terms)?,
            proposal: terms(kept.proposal)?,
            holds: [held(clinic)?, held(vendor)?, held(operator)?],
            made: Micros(kept.made_us),
        };
        all.insert(id, Arc::new(grant));
    }
    Ok(all)
}

fn read_links(db: &Connection) -> Result<Vec<Arc<ProgramLink>>> {
    let rows = pairs(db, "SELECT id, record FROM program_link ORDER BY id")?;
    let link = |(id, text): (String, String)| {
        let mut link: ProgramLink =
            serde_json::from_str(&text).map_err(|_| damaged("a stored program link"))?;
        link.id = id;
        Ok(Arc::new(link))
    };
    rows.into_iter().map(link).collect()
}

fn pairs(db: &Connection, sql: &str) -> Result<Vec<(String, String)>> {
    const DOING: &str = "reading vendors";
    let mut read = db.prepare(sql).doing(DOING)?;
    read.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .and_then(Iterator::collect)
        .doing(DOING)
}

/// Writes a grant, new or changed.
pub(crate) fn put_grant(db: &Connection, grant: &VendorGrant) -> Result<()> {
    let kept = KeptGrant {
        terms: grant.terms.as_deref().map(KeptTerms::of),
        proposal: grant.proposal.as_deref().map(KeptTerms::of),
        holds: Party::ALL.map(|party| KeptHeld::of(grant.held(party))),
        made_us: grant.made.0,
    };
    put(db, "vendor", grant.id.as_str(), &kept)
}

/// Writes a program link, new or changed.
pub(crate) fn put_link(db: &Connection, link: &ProgramLink, max: u64) -> Result<()> {
    let (count, known): (i64, bool) = db
        .query_row(
            "SELECT count(*), coalesce(max(id = ?1), 0) FROM program_link",
            [&link.id],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .doing("counting program links")?;
    if !known && u64::try_from(count).unwrap_or(0) >= max {
        return Err(StoreError::Limit {
            code: Code::LimitQuery,
            limit: "program_links_max",
            max,
        });
    }
    put(db, "program_link", &link.id, link)
}

fn put<T: Serialize>(db: &Connection, table: &str, id: &str, record: &T) -> Result<()> {
    let text = serde_json::to_string(record).map_err(|_| internal("writing a record"))?;
    db.execute(
        &format!("INSERT OR REPLACE INTO {table} (id, record) VALUES (?1,?2)"),
        params![id, text],
    )
    .doing("writing about a vendor")
    .map(drop)
}

/// Removes a program link.
pub(crate) fn drop_link(db: &Connection, id: &str) -> Result<()> {
    let gone = db
        .execute("DELETE FROM program_link WHERE id = ?1", [id])
        .doing("removing a program link")?;
    if gone == 0 {
        let text = "no such program link".to_owned();
        return Err(StoreError::Refused(Code::LinkUnknown, text));
    }
    Ok(())
}

/// Moves the clinic's switch of every grant to off.
pub(crate) fn disable_all(db: &Connection, why: &str) -> Result<()> {
    disable_but(db, why, |_| false)
}

/// The same but of grants that are let be.
pub(crate) fn disable_but(
    db: &Connection,
    why: &str,
    is_let: impl Fn(&VendorId) -> bool,
) -> Result<()> {
    for (id, text) in pairs(db, "SELECT id, record FROM vendor")? {
        if VendorId::new(&id).is_some_and(|id| is_let(&id)) {
            continue;
        }
        let mut kept: KeptGrant =
            serde_json::from_str(&text).map_err(|_| damaged("a stored vendor grant"))?;
        let [clinic, ..] = &mut kept.holds;
        if clinic.hold != Hold::Disabled.as_str() {
            Hold::Disabled.as_str().clone_into(&mut clinic.hold);
            "system".clone_into(&mut clinic.by);
            why.clone_into(&mut clinic.reason);
            put(db, "vendor", &id, &kept)?;
        }
    }
    Ok(())
}

/// Switches every grant off and takes the program links away; the events that are there are chained anew.
/// Terms that were in force are put forward again: the clinic has to look at them, and take them, before
/// they bound anything.
pub(crate) fn begin_anew(db: &Connection, why: &str) -> Result<()> {
    disable_all(db, why)?;
    for (id, text) in pairs(db, "SELECT id, record FROM vendor")? {
        let mut kept: KeptGrant =
            serde_json::from_str(&text).map_err(|_| damaged("a stored vendor grant"))?;
        let before = kept.terms.take();
        kept.proposal = kept.proposal.take().or(before);
        put(db, "vendor", &id, &kept)?;
    }
    db.execute("DELETE FROM program_link", [])
        .doing("dropping program links")?;
    db.execute(
        "UPDATE vendor_event SET reason = 'not vouched for: ' || reason
         WHERE reason NOT LIKE 'not vouched for: %'",
        [],
    )
    .doing("writing what was done to vendor grants")?;
    chain_events(db).map(drop)
}

/// How many events are kept of a vendor.
pub(crate) fn event_count(db: &Connection, vendor: &VendorId) -> Result<u64> {
    let sql = "SELECT count(*) FROM vendor_event WHERE vendor = ?1";
    let count: i64 = db
        .query_row(sql, [vendor.as_str()], |r| r.get(0))
        .doing("counting what was done to vendor grants")?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Adds an event; it gets its number.
pub(crate) fn add_event(db: &Connection, vendor: &VendorId, event: &VendorEvent) -> Result<()> {
    db.execute(
        "INSERT INTO vendor_event (vendor, at_us, actor, party, what, was, state, reason)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
        params![
            vendor.as_str(),
            event.at.0,
            event.actor,
            event.party,
            event.what,
            event.was,
            event.state,
            event.reason
        ],
    )
    .doing("writing what was done to a vendor grant")?;
    let number = db.last_insert_rowid();
    let last: Option<Option<Vec<u8>>> = db
        .query_row(
            "SELECT chain FROM vendor_event WHERE number < ?1 ORDER BY number DESC LIMIT 1",
            [number],
            |r| r.get(0),
        )
        .optional()
        .doing(CHAINING)?;
    link(db, number, &last.flatten().unwrap_or_default()).map(drop)
}

const CHAINING: &str = "chaining what was done to vendor grants";

/// What an event says after those before it.
fn linked(db: &Connection, number: i64, last: &[u8]) -> Result<[u8; 32]> {
    let mut digest = Digest::default();
    digest.add(last);
    db.prepare_cached(
        "SELECT number, vendor, at_us, actor, party, what, was, state, reason
         FROM vendor_event WHERE number = ?1",
    )
    .and_then(|mut read| {
        read.query_row([number], |row| {
            for column in 0..9 {
                administration::add(&mut digest, row.get_ref(column)?);
            }
            Ok(())
        })
    })
    .doing(CHAINING)?;
    Ok(digest.value())
}

fn link(db: &Connection, number: i64, last: &[u8]) -> Result<[u8; 32]> {
    let chain = linked(db, number, last)?;
    db.execute(
        "UPDATE vendor_event SET chain = ?2 WHERE number = ?1",
        params![number, chain],
    )
    .doing(CHAINING)?;
    Ok(chain)
}

fn numbers(db: &Connection) -> Result<Vec<i64>> {
    let mut read = db
        .prepare("SELECT number FROM vendor_event ORDER BY number")
        .doing(CHAINING)?;
    read.query_map([], |r| r.get(0))
        .and_then(Iterator::collect)
        .doing(CHAINING)
}

/// Chains events that are there; how many.
pub(crate) fn chain_events(db: &Connection) -> Result<usize> {
    let numbers = numbers(db)?;
    let mut last: Vec<u8> = Vec::new();
    for number in &numbers {
        last = link(db, *number, &last)?.to_vec();
    }
    Ok(numbers.len())
}

/// Whether every event stands after those before it, as it was written.
pub(crate) fn events_hold(db: &Connection) -> Result<bool> {
    let mut last: Vec<u8> = Vec::new();
    for number in numbers(db)? {
        let ours = linked(db, number, &last)?;
        let kept: Option<Vec<u8>> = db
            .query_row(
                "SELECT chain FROM vendor_event WHERE number = ?1",
                [number],
                |r| r.get(0),
            )
            .doing(CHAINING)?;
        if kept.as_deref() != Some(ours.as_slice()) {
            return Ok(false);
        }
        last = ours.to_vec();
    }
    Ok(true)
}

/// What was done to one grant, oldest first.
pub(crate) fn events(db: &Connection, vendor: &VendorId) -> Result<Vec<VendorEvent>> {
    const DOING: &str = "reading what was done to a vendor grant";
    let mut read = db
        .prepare(
            "SELECT number, at_us, actor, party, what, was, state, reason FROM vendor_event
             WHERE vendor = ?1 ORDER BY number",
        )
        .doing(DOING)?;
    read.query_map([vendor.as_str()], |r| {
        Ok(VendorEvent {
            number: u64::try_from(r.get::<_, i64>(0)?).unwrap_or(0),
            at: Micros(r.get(1)?),
            actor: r.get(2)?,
            party: r.get(3)?,
            what: r.get(4)?,
            was: r.get(5)?,
            state: r.get(6)?,
            reason: r.get(7)?,
        })
    })
    .and_then(Iterator::collect)
    .doing(DOING)
}
