//! A tenant's audit trail read back: records of the journal with the rows they name looked up, and
//! changes where the journal tells of them.

mod activity;
mod event;
pub(crate) mod index;
mod patients;
mod place;
mod records;
mod report;
mod search;
mod words;

use std::fmt::Write;
use std::sync::Arc;

use base::{Micros, RequestId, ResourceId, Seq};
use fhir::audit_event::{AuditEvent, Entity};
use fhir::definitions::TypeId;
use rusqlite::{Connection, OptionalExtension, Row};

use super::connection::in_snapshot;
use super::fault::Doing;
use super::folder::hex;
use super::rows;
use super::tenant::OpenTenant;
use crate::audit::{About, ChangeHead, Told};
use crate::{AuditLine, AuditPage, Result};

pub(crate) use activity::activity;
use event::{ChangeRow, Events};
pub(crate) use place::EventId;
pub(crate) use report::report;
pub(crate) use search::{Spans, Wanted, one, search};
pub(crate) use words::{leave_codes, leave_codes_in};

const DOING: &str = "reading the audit trail";

/// A record that a page begins or goes on with.
enum Found {
    Access(Box<Told>),
    /// Changes after the first of these, up to the second.
    Changes(Seq, Seq),
}

/// The event of a record.
pub(crate) fn access_event(
    tenant: &Arc<OpenTenant>,
    number: u64,
    told: &Told,
) -> Result<AuditEvent> {
    let reader = tenant.reader()?;
    let made = in_snapshot(&reader.db, || {
        Events::new(tenant, &reader.db).access(number, told)
    });
    tenant.give_back(reader);
    made
}

/// The id of the event of a record.
pub(crate) fn event_of_record(number: u64) -> String {
    EventId::Access(number).to_string()
}

/// The id of the event of a change.
pub(crate) fn event_of_change(seq: Seq) -> String {
    EventId::Change(seq).to_string()
}

/// Looks whom records and changes touched, on one snapshot.
pub(crate) struct Look<'a>(Events<'a>);

/// Who made a change.
pub(crate) struct Changed {
    pub(crate) at: Micros,
    pub(crate) actor: String,
    pub(crate) from: Option<std::net::IpAddr>,
    pub(crate) facilities: Option<String>,
}

/// A change that somebody made, and the patients that it touched.
type ByPerson = (Seq, Vec<ResourceId>, Changed);

impl<'a> Look<'a> {
    pub(crate) fn new(tenant: &'a Arc<OpenTenant>, db: &'a Connection) -> Self {
        Self(Events::new(tenant, db))
    }

    /// Patients whom a record says somebody was shown.
    pub(crate) fn touched(&mut self, number: u64, told: &Told) -> Result<Vec<ResourceId>> {
        Ok(patients_of(self.0.access(number, told)?))
    }

    /// The next changes that people made, after one point of the change sequence and up to another, with the
    /// patients that they touched, and how far that goes; those that touched none are left out.
    pub(crate) fn changes_by_people(
        &mut self,
        after: Seq,
        to: Seq,
    ) -> Result<(Vec<ByPerson>, Seq)> {
        const AT_ONCE: usize = 64;
        let mut found = Vec::new();
        let rows = ChangeRow::some(self.0.db, (Some(after), to), false, AT_ONCE)?;
        for row in rows.iter().filter(|row| row.is_by_person()) {
            let patients = patients_of(self.0.change(row)?);
            if !patients.is_empty() {
                found.push((row.seq, patients, row.made()));
            }
        }
        let reached = rows.last().map(|row| row.seq);
        let reached = reached.filter(|_| rows.len() >= AT_ONCE);
        Ok((found, reached.unwrap_or(to)))
    }
}

fn patients_of(event: AuditEvent) -> Vec<ResourceId> {
    let patient = |entity| match entity {
        Entity::Patient(id) => Some(id),
        _ => None,
    };
    event.entities.into_iter().filter_map(patient).collect()
}

/// Events of some of the changes after one point of the change sequence and up to another, in order.
pub(crate) fn change_events(
    tenant: &Arc<OpenTenant>,
    after: Seq,
    to: Seq,
) -> Result<Vec<(Seq, AuditEvent)>> {
    const AT_ONCE: usize = 64;
    let reader = tenant.reader()?;
    let made = in_snapshot(&reader.db, || {
        let mut events = Events::new(tenant, &reader.db);
        let rows = ChangeRow::some(&reader.db, (Some(after), to), false, AT_ONCE)?;
        rows.iter()
            .map(|row| Ok((row.seq, events.change(row)?)))
            .collect()
    });
    tenant.give_back(reader);
    made
}

/// Lines of at most `limit` records after the record `after`.
pub(crate) fn page(tenant: &Arc<OpenTenant>, after: u64, limit: usize) -> Result<AuditPage> {
    let mut found: Vec<(u64, Found)> = Vec::new();
    let mut more = false;
    let mut last = Seq(0);
    let journal = &tenant.shared.journal;
    let id = *tenant.id.bytes();
    journal.scan(id, &tenant.keys.journal, &mut |place, record| {
        let wanted = place.number > after;
        more |= wanted && found.len() >= limit;
        let wanted = wanted && found.len() < limit;
        if let Some(head) = ChangeHead::decode(record) {
            let from = std::mem::replace(&mut last, head.seq);
            if wanted {
                found.push((place.number, Found::Changes(from, head.seq)));
            }
        } else if wanted && let Some(told) = Told::read(record) {
            found.push((place.number, Found::Access(Box::new(told))));
        }
    })?;
    let next = found.last().map(|(number, _)| *number).filter(|_| more);
    let reader = tenant.reader()?;
    let lines = in_snapshot(&reader.db, || {
        let mut lines = Vec::with_capacity(found.len());
        for (number, found) in found {
            match found {
                Found::Access(told) => {
                    let most = AuditLine::SHOWN_MAX;
                    lines.push(access(tenant, &reader.db, number, *told, most)?);
                }
                Found::Changes(from, to) => {
                    let most = AuditLine::SHOWN_MAX;
                    changes(tenant, &reader.db, number, (from, to), most, &mut lines)?;
                }
            }
        }
        Ok(lines)
    });
    tenant.give_back(reader);
    Ok(AuditPage {
        lines: lines?,
        next,
    })
}

/// Lines of the newest `limit` records.
pub(crate) fn newest(tenant: &Arc<OpenTenant>, limit: usize) -> Result<AuditPage> {
    let head = tenant.shared.journal.head(tenant.id.bytes()).number;
    page(tenant, head.saturating_sub(limit as u64), limit)
}

fn access(
    tenant: &OpenTenant,
    db: &Connection,
    number: u64,
    told: Told,
    most: usize,
) -> Result<AuditLine> {
    let shown = shown(tenant, db, &told, most)?;
    let (why, break_glass) = (told.about.why.clone(), told.about.break_glass);
    let type_name = told.type_id.map(|t| tenant.model.type_name(t));
    let about = match (type_name, told.word) {
        (Some(type_name), Some(word)) => Some(format!("{type_name}/{word}")),
        (Some(type_name), None) => Some(type_name.to_owned()),
        (None, word) => word,
    };
    Ok(AuditLine {
        number,
        at: told.request.at,
        request: told.request.id,
        actor: told.actor,
        action: told.action.map_or("unknown", access::ActionName::as_str),
        outcome: told.outcome,
        code: told.code,
        about,
        query: told.query.map(|digest| hex(&digest)),
        count: told.count.into(),
        shown,
        why,
        break_glass,
    })
}

/// The versions that a record names as shown.
fn shown(tenant: &OpenTenant, db: &Connection, told: &Told, most: usize) -> Result<Vec<String>> {
    let mut shown = Vec::new();
    for row in told.rows.iter().take(most) {
        let name = match told.as_of {
            Some(seq) => resource(tenant, db, *row, seq)?,
            None => version(tenant, db, *row)?,
        };
        // A row that is not there any more was taken out behind our back; verification says so.
        shown.push(name.unwrap_or_else(|| "?".to_owned()));
    }
    if let (true, Some(type_id), Some(id), Some(version)) = (
        told.outcome == "given",
        told.type_id,
        &told.word,
        told.about.version,
    ) {
        // What an operation is asked of is looked at, and may not be among what it shows.
        let of = tenant.model.type_name(type_id);
        let name = format!("{of}/{id}/_history/{}", version.0);
        if !shown.contains(&name) {
            shown.insert(0, name);
            shown.truncate(most);
        }
    }
    Ok(shown)
}

/// A version that a change made.
struct Member {
    /// `Type/id/_history/version`
    name: String,
    method: i64,
    version: i64,
    /// Its row of `version`.
    vid: i64,
}

/// `Type/id/_history/version` of a row of `resource`, as it was at a point of the change sequence.
fn resource(tenant: &OpenTenant, db: &Connection, rid: i64, seq: Seq) -> Result<Option<String>> {
    let vid: Option<i64> = db
        .prepare_cached(
            "SELECT vid FROM version WHERE rid = ?1 AND seq <= ?2 ORDER BY version DESC LIMIT 1",
        )
        .and_then(|mut s| {
            let seq = i64::try_from(seq.0).unwrap_or(i64::MAX);
            s.query_row((rid, seq), |r| r.get(0)).optional()
        })
        .doing(DOING)?;
    vid.map_or(Ok(None), |vid| version(tenant, db, vid))
}

/// `Type/id/_history/version` of a row of `version`.
fn version(tenant: &OpenTenant, db: &Connection, vid: i64) -> Result<Option<String>> {
    db.prepare_cached(
        "SELECT r.type, r.id, v.version FROM version v JOIN resource r ON r.rid = v.rid
         WHERE v.vid = ?1",
    )
    .and_then(|mut s| s.query_row([vid], |r| named(tenant, r)).optional())
    .doing(DOING)
    .map(Option::flatten)
}

fn named(tenant: &OpenTenant, row: &Row<'_>) -> rusqlite::Result<Option<String>> {
    let type_name = tenant.model.type_name(TypeId(row.get(0)?));
    let Some(id) = rows::id_of(row.get_ref(1)?) else {
        return Ok(None);
    };
    let mut name = format!("{type_name}/{}", id.as_str());
    let _ = write!(name, "/_history/{}", row.get::<_, i64>(2)?);
    Ok(Some(name))
}

/// Changes with versions, after one point of the change sequence and up to another.
fn changes(
    tenant: &OpenTenant,
    db: &Connection,
    number: u64,
    (from, to): (Seq, Seq),
    most: usize,
    lines: &mut Vec<AuditLine>,
) -> Result<()> {
    let signed = |seq: Seq| i64::try_from(seq.0).unwrap_or(i64::MAX);
    let mut read = db
        .prepare_cached(
            "SELECT c.seq, c.updated_us, c.request, a.text, c.members, c.about
             FROM change c JOIN actor a ON a.id = c.actor
             WHERE c.seq > ?1 AND c.seq <= ?2 AND c.members > 0 ORDER BY c.seq",
        )
        .doing(DOING)?;
    let mut rows = read.query((signed(from), signed(to))).doing(DOING)?;
    while let Some(row) = rows.next().doing(DOING)? {
        let count: i64 = row.get(4).doing(DOING)?;
        let about: Option<Vec<u8>> = row.get(5).doing(DOING)?;
        let about = about.and_then(|items| About::read(&items));
        let about = about.unwrap_or_default();
        lines.push(AuditLine {
            number,
            at: Micros(row.get(1).doing(DOING)?),
            request: RequestId(u128::from_be_bytes(row.get(2).doing(DOING)?)),
            actor: row.get(3).doing(DOING)?,
            action: "change",
            outcome: "made",
            code: None,
            about: None,
            query: None,
            count: u64::try_from(count).unwrap_or(0),
            shown: {
                let seq: i64 = row.get(0).doing(DOING)?;
                let seq = Seq(u64::try_from(seq).unwrap_or(0));
                let made = members(tenant, db, seq, most)?;
                made.into_iter().map(|member| member.name).collect()
            },
            why: about.why,
            break_glass: about.break_glass,
        });
    }
    Ok(())
}

/// The versions of a change, at most so many.
fn members(tenant: &OpenTenant, db: &Connection, seq: Seq, most: usize) -> Result<Vec<Member>> {
    let seq = i64::try_from(seq.0).unwrap_or(i64::MAX);
    // Row numbers of versions grow with the change sequence.
    let mut look = db
        .prepare_cached("SELECT vid, seq FROM version WHERE vid >= ?1 ORDER BY vid LIMIT 1")
        .doing(DOING)?;
    let mut high: i64 = db
        .prepare_cached("SELECT coalesce(max(vid), 0) + 1 FROM version")
        .and_then(|mut s| s.query_row([], |r| r.get(0)))
        .doing(DOING)?;
    let mut low = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        let at: Option<(i64, i64)> = look
            .query_row([middle], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()
            .doing(DOING)?;
        match at {
            Some((vid, of)) if of < seq => low = vid + 1,
            _ => high = middle,
        }
    }
    // They stand together: what comes after them is not read.
    let mut read = db
        .prepare_cached(
            "SELECT r.type, r.id, v.version, v.method, v.vid, v.seq
             FROM version v JOIN resource r ON r.rid = v.rid WHERE v.vid >= ?1 ORDER BY v.vid",
        )
        .doing(DOING)?;
    let mut rows = read.query([low]).doing(DOING)?;
    let mut made = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        if made.len() >= most || row.get::<_, i64>(5).doing(DOING)? != seq {
            break;
        }
        made.push(Member {
            name: (named(tenant, row).doing(DOING)?).unwrap_or_else(|| "?".to_owned()),
            method: row.get(3).doing(DOING)?,
            version: row.get(2).doing(DOING)?,
            vid: row.get(4).doing(DOING)?,
        });
    }
    Ok(made)
}
