//! Patients whom people opened in an emergency: in the tenant's database, and in the memory of an open
//! tenant those who are open.
//!
//! An opening carries the epoch of the person's record. What it gives is policy's, asked anew for every
//! request; here is only who opened whom, until when, and what was said about it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use access::PersonId;
use base::{Micros, ResourceId};
use parking_lot::RwLock;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::administration::Chain;
use super::fault::{Doing, damaged, internal};
use crate::Result;
use crate::face::{Opening, OpeningCounts, OpeningState, Review};

/// Openings, by id.
pub(crate) const DDL: &str = "
CREATE TABLE opening (
  id TEXT NOT NULL PRIMARY KEY, opened_us INTEGER NOT NULL, until_us INTEGER NOT NULL,
  record TEXT NOT NULL, seal BLOB) STRICT, WITHOUT ROWID;
CREATE INDEX opening_opened ON opening (opened_us);
";

const DOING: &str = "looking at what was opened";
const LIST: &str = "opening";
/// What a row says, and its seal.
const COLUMNS: &str = "id, opened_us, until_us, record, seal";

/// Rows that carry their seals: one that somebody put into the file opens nobody.
fn sealed(
    db: &Connection,
    chain: Chain<'_>,
    rest: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Opening>> {
    let sql = format!("SELECT {COLUMNS} FROM opening {rest}");
    let mut read = db.prepare(&sql).doing(DOING)?;
    let mut rows = read.query(params).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        if chain.is_sealed(LIST, row, 4)? {
            found.push(from_text(&row.get::<_, String>(3).doing(DOING)?)?);
        } else {
            tracing::error!("an opening does not carry its seal, and counts for nothing");
        }
    }
    Ok(found)
}

/// How many rows do not carry their seals.
pub(crate) fn unsealed(db: &Connection, chain: Chain<'_>) -> Result<u64> {
    let all: i64 = db
        .query_row("SELECT count(*) FROM opening", [], |r| r.get(0))
        .doing(DOING)?;
    let good = sealed(db, chain, "", [])?.len() as u64;
    Ok(u64::try_from(all).unwrap_or(0).saturating_sub(good))
}

/// Seals all rows that carry the seal of another chain, for this one; without another, all that are there.
pub(crate) fn reseal(db: &Connection, from: Option<Chain<'_>>, to: Chain<'_>) -> Result<()> {
    let all = match from {
        Some(from) => sealed(db, from, "", [])?,
        None => {
            let mut read = db.prepare("SELECT record FROM opening").doing(DOING)?;
            let texts: Vec<String> = read
                .query_map([], |r| r.get(0))
                .and_then(Iterator::collect)
                .doing(DOING)?;
            let all: Result<Vec<Opening>> = texts.iter().map(|t| from_text(t)).collect();
            all?
        }
    };
    all.iter().try_for_each(|opening| put(db, opening, to))
}

/// Patients who are open. While none is, asking costs one load.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    any: AtomicBool,
    open: RwLock<HashMap<Box<str>, Arc<Opening>>>,
}

impl Openings {
    /// Those that are open now. None, when what is administered is not `trusted`.
    pub(crate) fn load(
        db: &Connection,
        trusted: bool,
        chain: Chain<'_>,
        now: Micros,
    ) -> Result<Self> {
        let openings = Self::default();
        if !trusted {
            return Ok(openings);
        }
        for opening in sealed(db, chain, "WHERE until_us > ?1", [now.0])? {
            openings.learn(opening, now);
        }
        Ok(openings)
    }

    /// Learns what was committed.
    pub(crate) fn learn(&self, opening: Opening, now: Micros) {
        let mut open = self.open.write();
        open.retain(|_, o| o.is_open(now));
        if opening.is_open(now) {
            open.insert(opening.id.clone(), Arc::new(opening));
        } else {
            open.remove(&opening.id);
        }
        self.any.store(!open.is_empty(), Ordering::Release);
    }

    /// Learns it from the tables: nothing, where they were not as they are vouched for.
    pub(crate) fn learn_all(
        &self,
        db: &Connection,
        held: bool,
        chain: Chain<'_>,
        now: Micros,
    ) -> Result<()> {
        let loaded = Self::load(db, held, chain, now)?;
        let mut open = self.open.write();
        *open = loaded.open.into_inner();
        self.any.store(!open.is_empty(), Ordering::Release);
        Ok(())
    }

    /// Nobody has opened anybody, until it is read again.
    pub(crate) fn forget(&self) {
        self.open.write().clear();
        self.any.store(false, Ordering::Release);
    }

    /// Whom a person has opened, in a fixed order.
    pub(crate) fn of(&self, person: (&PersonId, u64), now: Micros) -> Vec<Arc<Opening>> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let open = self.open.read();
        let theirs = |o: &&Arc<Opening>| (&o.person, o.person_epoch) == person && o.is_open(now);
        let mut found: Vec<_> = open.values().filter(theirs).cloned().collect();
        drop(open);
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }
}

#[derive(Serialize, Deserialize)]
struct Text {
    id: String,
    person: String,
    epoch: u64,
    actor: String,
    grant: String,
    patient: String,
    purpose: String,
    reason: String,
    opened_us: i64,
    until_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    review: Option<ReviewText>,
}

#[derive(Serialize, Deserialize)]
struct ReviewText {
    by: String,
    at_us: i64,
    objects: bool,
    remark: String,
}

fn from_text(text: &str) -> Result<Opening> {
    let broken = || damaged("a stored opening cannot be read");
    let text: Text = serde_json::from_str(text).map_err(|_| broken())?;
    Ok(Opening {
        id: text.id.into(),
        person: PersonId::new(&text.person).ok_or_else(broken)?,
        person_epoch: text.epoch,
        actor: text.actor,
        grant: text.grant,
        patient: ResourceId::new(&text.patient).map_err(|_| broken())?,
        purpose: text.purpose,
        reason: text.reason,
        opened: Micros(text.opened_us),
        until: Micros(text.until_us),
        ended: match (text.ended_us, text.ended_by) {
            (Some(at), by) => Some((Micros(at), by.unwrap_or_default())),
            (None, _) => None,
        },
        review: text.review.map(|r| Review {
            by: r.by,
            at: Micros(r.at_us),
            objects: r.objects,
            remark: r.remark,
        }),
    })
}

fn to_text(opening: &Opening) -> Result<String> {
    let text = Text {
        id: opening.id.to_string(),
        person: opening.person.as_str().to_owned(),
        epoch: opening.person_epoch,
        actor: opening.actor.clone(),
        grant: opening.grant.clone(),
        patient: opening.patient.as_str().to_owned(),
        purpose: opening.purpose.clone(),
        reason: opening.reason.clone(),
        opened_us: opening.opened.0,
        until_us: opening.until.0,
        ended_us: opening.ended.as_ref().map(|(at, _)| at.0),
        ended_by: opening.ended.as_ref().map(|(_, by)| by.clone()),
        review: opening.review.as_ref().map(|r| ReviewText {
            by: r.by.clone(),
            at_us: r.at.0,
            objects: r.objects,
            remark: r.remark.clone(),
        }),
    };
    serde_json::to_string(&text).map_err(|_| internal("writing an opening"))
}

/// Keeps an opening.
pub(crate) fn put(db: &Connection, opening: &Opening, chain: Chain<'_>) -> Result<()> {
    let (id, text) = (&*opening.id, to_text(opening)?);
    let (opened, until) = (opening.opened.0, opening.end().0);
    let seal = chain.seal_of(
        LIST,
        &[
            ValueRef::Text(id.as_bytes()),
            ValueRef::Integer(opened),
            ValueRef::Integer(until),
            ValueRef::Text(text.as_bytes()),
        ],
    );
    db.execute(
        "INSERT INTO opening (id, opened_us, until_us, record, seal) VALUES (?1,?2,?3,?4,?5)
         ON CONFLICT (id) DO UPDATE SET until_us = excluded.until_us, record = excluded.record,
           seal = excluded.seal",
        params![id, opened, until, text, seal],
    )
    .doing("keeping what was opened")
    .map(drop)
}

/// An opening, by id.
pub(crate) fn get(db: &Connection, chain: Chain<'_>, id: &str) -> Result<Option<Opening>> {
    Ok(sealed(db, chain, "WHERE id = ?1", [id])?.pop())
}

/// Openings, the newest first.
pub(crate) fn list(db: &Connection, chain: Chain<'_>, max: usize) -> Result<Vec<Opening>> {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    sealed(db, chain, "ORDER BY opened_us DESC LIMIT ?1", [max])
}

/// Openings that were open in some time, oldest first.
pub(crate) fn between(
    db: &Connection,
    chain: Chain<'_>,
    (from, to): (Option<Micros>, Option<Micros>),
) -> Result<Vec<Opening>> {
    let from = from.map_or(i64::MIN, |from| from.0);
    let to = to.map_or(i64::MAX, |to| to.0);
    let rest = "WHERE until_us >= ?1 AND opened_us < ?2 ORDER BY opened_us, id";
    sealed(db, chain, rest, [from, to])
}

/// What is shown of openings, the newest first: those that nobody reviewed yet, and where `reviewed` is asked
/// for too, at most so many of the newest. Of many that wait, the oldest are shown: they are due first.
pub(crate) fn shown(
    db: &Connection,
    chain: Chain<'_>,
    reviewed: bool,
    max: usize,
) -> Result<Vec<Opening>> {
    let mut found = waiting(db, chain)?;
    found.sort_by_key(|opening| opening.opened);
    found.truncate(max);
    if reviewed {
        let newest = list(db, chain, max)?;
        let known: HashSet<Box<str>> = found.iter().map(|o| o.id.clone()).collect();
        found.extend(newest.into_iter().filter(|o| !known.contains(&o.id)));
    }
    found.sort_by(|a, b| (b.opened, &b.id).cmp(&(a.opened, &a.id)));
    Ok(found)
}

/// Openings that nobody reviewed yet.
pub(crate) fn waiting(db: &Connection, chain: Chain<'_>) -> Result<Vec<Opening>> {
    const UNREVIEWED: &str =
        "WHERE iif(json_valid(record), json_extract(record, '$.review'), NULL) IS NULL";
    sealed(db, chain, UNREVIEWED, [])
}

/// Ends what is open, of one person or of all; what was ended.
pub(crate) fn end(
    db: &Connection,
    chain: Chain<'_>,
    person: Option<&PersonId>,
    (by, now): (&str, Micros),
) -> Result<Vec<Opening>> {
    let mut ended = Vec::new();
    for mut opening in sealed(db, chain, "WHERE until_us > ?1", [now.0])? {
        if opening.is_open(now) && person.is_none_or(|person| *person == opening.person) {
            opening.ended = Some((now, by.to_owned()));
            put(db, &opening, chain)?;
            ended.push(opening);
        }
    }
    Ok(ended)
}

/// How many wait.
pub(crate) fn counts(
    db: &Connection,
    chain: Chain<'_>,
    now: Micros,
    review_seconds: u64,
) -> Result<OpeningCounts> {
    let mut counts = OpeningCounts::default();
    for opening in waiting(db, chain)? {
        match opening.state(now, review_seconds) {
            OpeningState::Open => counts.open += 1,
            OpeningState::Due => counts.due += 1,
            OpeningState::Overdue => {
                counts.due += 1;
                counts.overdue += 1;
            }
            OpeningState::Accepted | OpeningState::Objected => {}
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use access::PersonId;
    use base::{Micros, ResourceId};
    use ring::hmac;
    use rusqlite::Connection;

    use super::{Chain, DDL, put, shown};
    use crate::face::{Opening, Review};

    #[test]
    fn what_waits_is_shown_however_much_came_after_it() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(DDL).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let chain = Chain {
            tenant: &[7; 16],
            key: &key,
        };
        for at in 0..10 {
            let reviewed = Review {
                by: "somebody".to_owned(),
                at: Micros(at + 2),
                objects: false,
                remark: String::new(),
            };
            let opening = Opening {
                id: format!("o{at}").into(),
                person: PersonId::of([1; 16]),
                person_epoch: 1,
                actor: "person:ada".to_owned(),
                grant: "emergency".to_owned(),
                patient: ResourceId::new("p").unwrap(),
                purpose: "BTG".to_owned(),
                reason: "unconscious".to_owned(),
                opened: Micros(at),
                until: Micros(at + 1),
                ended: None,
                review: (at > 1).then_some(reviewed),
            };
            put(&db, &opening, chain).unwrap();
        }
        let ids = |reviewed: bool, max: usize| -> Vec<String> {
            let all = shown(&db, chain, reviewed, max).unwrap();
            all.iter().map(|o| o.id.to_string()).collect()
        };
        assert_eq!(ids(false, 3), ["o1", "o0"]);
        assert_eq!(ids(true, 3), ["o9", "o8", "o7", "o1", "o0"]);
        assert_eq!(ids(false, 1), ["o0"], "the oldest is due first");
    }
}
