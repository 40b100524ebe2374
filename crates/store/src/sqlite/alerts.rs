//! Alerts, the rules by which they are raised, and what is usual for whom: in the tenant's database.
//!
//! What raises them is the watch over the trail (`house/watching.rs`). An alert has a key: the same
//! accesses, looked at twice, raise one alert.

pub(crate) mod facts;
pub(crate) mod judge;
pub(crate) mod operators;
pub(crate) mod profile;

use base::{Code, Micros};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::administration::Chain;
use super::fault::{Doing, damaged, internal};
use super::folder::hex;
use crate::face::{
    Acknowledged, Alert, AlertCounts, AlertRule, AlertRules, AlertRulesVersion, AlertWay,
    AlertsAsked,
};
use crate::{Result, StoreError};
use judge::Raised;
use profile::Profile;

/// Alerts by number; what the watch remembers by the name of somebody, or of something that is no name;
/// rules by version.
pub(crate) const DDL: &str = "
CREATE TABLE alert (
  number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, rule TEXT NOT NULL,
  open INTEGER NOT NULL, told INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
CREATE INDEX alert_open ON alert (open, number);
CREATE INDEX alert_told ON alert (number) WHERE told <> 3;
CREATE TABLE watched (name TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE alert_rules (
  version INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
  document TEXT NOT NULL) STRICT;
";

const DOING: &str = "looking at alerts";
const WRITING: &str = "keeping alerts";
/// Who was told: bits of `told`.
const WEBHOOK: i64 = 1;
const MAIL: i64 = 2;
/// Events that an alert names.
const EVENTS_MAX: usize = 20;
/// Where the watch is, among what it remembers.
const CURSOR: &str = "";

/// How far the watch got in a tenant's trail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// Whose trail: a restored tenant begins another one.
    tenant: String,
    /// The last record.
    pub(crate) record: u64,
    /// The last change.
    pub(crate) change: u64,
}

#[derive(Serialize, Deserialize)]
struct Text {
    actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patient: Option<String>,
    first_us: i64,
    last_us: i64,
    count: u64,
    seen: String,
    events: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acknowledged: Option<SaidText>,
}

#[derive(Serialize, Deserialize)]
struct SaidText {
    by: String,
    at_us: i64,
    concern: bool,
    remark: String,
}

const COLUMNS: &str = "number, rule, record";

fn read(row: &Row<'_>) -> Result<Alert> {
    let broken = |_| damaged("a stored alert cannot be read");
    let number: i64 = row.get(0).doing(DOING)?;
    let rule: String = row.get(1).doing(DOING)?;
    let text: String = row.get(2).doing(DOING)?;
    let text: Text = serde_json::from_str(&text).map_err(broken)?;
    Ok(Alert {
        number: u64::try_from(number).unwrap_or(0),
        rule: AlertRule::parse(&rule)
            .ok_or_else(|| damaged("a stored alert is of a rule that is not known"))?,
        actor: text.actor,
        program: text.program,
        patient: text.patient,
        first: Micros(text.first_us),
        last: Micros(text.last_us),
        count: text.count,
        seen: text.seen,
        events: text.events,
        acknowledged: text.acknowledged.map(|said| Acknowledged {
            by: said.by,
            at: Micros(said.at_us),
            concern: said.concern,
            remark: said.remark,
        }),
    })
}

fn to_text(alert: &Alert) -> Result<String> {
    let text = Text {
        actor: alert.actor.clone(),
        program: alert.program.clone(),
        patient: alert.patient.clone(),
        first_us: alert.first.0,
        last_us: alert.last.0,
        count: alert.count,
        seen: alert.seen.clone(),
        events: alert.events.clone(),
        acknowledged: alert.acknowledged.as_ref().map(|said| SaidText {
            by: said.by.clone(),
            at_us: said.at.0,
            concern: said.concern,
            remark: said.remark.clone(),
        }),
    };
    serde_json::to_string(&text).map_err(|_| internal("writing an alert"))
}

/// Raises an alert; one of its key that is there counts on, unless something was said about it: what
/// goes on after that is an alert of its own. Whether it is new.
pub(crate) fn raise(db: &Connection, raised: &Raised, rules: &AlertRules) -> Result<bool> {
    let found = db
        .query_row(
            &format!("SELECT {COLUMNS} FROM alert WHERE key = ?1"),
            [&raised.key],
            |r| Ok(read(r)),
        )
        .optional()
        .doing(DOING)?;
    if let Some(found) = found {
        let mut alert = found?;
        let known = alert.events.contains(&raised.event);
        if known || raised.at < alert.last {
            return Ok(false);
        }
        if alert.acknowledged.is_none() {
            alert.last = raised.at;
            alert.count = raised.count.unwrap_or(alert.count + 1);
            alert.seen.clone_from(&raised.seen);
            // The first ones, and the last: by that it is known again.
            alert.events.truncate(EVENTS_MAX - 1);
            alert.events.push(raised.event.clone());
            put(db, &alert)?;
            return Ok(false);
        }
        db.execute(
            "UPDATE alert SET key = key || '#' || number WHERE key = ?1",
            [&raised.key],
        )
        .doing(WRITING)?;
    }
    let alert = Alert {
        number: 0,
        rule: raised.rule,
        actor: raised.actor.clone(),
        program: raised.program.clone(),
        patient: raised.patient.clone(),
        first: raised.at,
        last: raised.at,
        count: raised.count.unwrap_or(1),
        seen: raised.seen.clone(),
        events: vec![raised.event.clone()],
        acknowledged: None,
    };
    let webhook = if rules.webhook.is_some() { 0 } else { WEBHOOK };
    let mail = if rules.mail.is_some() { 0 } else { MAIL };
    db.execute(
        "INSERT INTO alert (key, rule, open, told, record) VALUES (?1,?2,1,?3,?4)",
        params![
            raised.key,
            raised.rule.as_str(),
            webhook | mail,
            to_text(&alert)?
        ],
    )
    .doing(WRITING)?;
    Ok(true)
}

fn put(db: &Connection, alert: &Alert) -> Result<()> {
    let number = i64::try_from(alert.number).unwrap_or(i64::MAX);
    db.execute(
        "UPDATE alert SET open = ?2, record = ?3 WHERE number = ?1",
        params![number, alert.acknowledged.is_none(), to_text(alert)?],
    )
    .doing(WRITING)
    .map(drop)
}

/// An alert, by number.
pub(crate) fn get(db: &Connection, number: u64) -> Result<Option<Alert>> {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let sql = format!("SELECT {COLUMNS} FROM alert WHERE number = ?1");
    let found = db.query_row(&sql, [number], |r| Ok(read(r)));
    found.optional().doing(DOING)?.transpose()
}

/// Says something about an open alert.
pub(crate) fn acknowledge(db: &Connection, number: u64, said: Acknowledged) -> Result<Alert> {
    let found = get(db, number)?;
    let unknown = || StoreError::Refused(Code::NotFound, "no such alert".to_owned());
    let mut alert = found.ok_or_else(unknown)?;
    if alert.acknowledged.is_some() {
        let text = "something was said about this alert already".to_owned();
        return Err(StoreError::Refused(Code::AlertState, text));
    }
    alert.acknowledged = Some(said);
    put(db, &alert)?;
    Ok(alert)
}

/// Alerts, the newest first.
pub(crate) fn list(db: &Connection, asked: &AlertsAsked) -> Result<Vec<Alert>> {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT {COLUMNS} FROM alert
         WHERE number < ?1 AND (?2 IS NULL OR open = ?2) AND (?3 IS NULL OR rule = ?3)
         ORDER BY number DESC LIMIT ?4"
    );
    let mut statement = db.prepare(&sql).doing(DOING)?;
    let mut rows = statement
        .query(params![
            asked.before.map_or(i64::MAX, signed),
            asked.open,
            asked.rule.map(AlertRule::as_str),
            signed(asked.limit as u64),
        ])
        .doing(DOING)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// How many there are.
pub(crate) fn counts(db: &Connection) -> Result<AlertCounts> {
    let rules = in_force(db)?.rules;
    let count = |sql: &str| -> Result<u64> {
        let n: i64 = db.query_row(sql, [], |r| r.get(0)).doing(DOING)?;
        Ok(u64::try_from(n).unwrap_or(0))
    };
    Ok(AlertCounts {
        open: count("SELECT count(*) FROM alert WHERE open = 1")?,
        acknowledged: count("SELECT count(*) FROM alert WHERE open = 0")?,
        webhook_waiting: match rules.webhook {
            Some(_) => count("SELECT count(*) FROM alert WHERE told <> 3 AND told & 1 = 0")?,
            None => 0,
        },
        mail_waiting: match rules.mail {
            Some(_) => count("SELECT count(*) FROM alert WHERE told <> 3 AND told & 2 = 0")?,
            None => 0,
        },
    })
}

/// Whether somebody is to be told of an alert.
pub(crate) fn is_anybody_untold(db: &Connection, rules: &AlertRules) -> Result<bool> {
    let ways = [
        (rules.webhook.is_some(), AlertWay::Webhook),
        (rules.mail.is_some(), AlertWay::Mail),
    ];
    for (wanted, way) in ways {
        if wanted && !untold(db, way, 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Alerts that somebody is to be told of, at most so many for each way.
pub(crate) fn untold(
    db: &Connection,
    way: AlertWay,
    max: usize,
) -> Result<Vec<(u64, AlertRule, Micros, u64)>> {
    let bit = bit(way);
    let sql = format!(
        "SELECT {COLUMNS} FROM alert WHERE told <> 3 AND told & {bit} = 0 ORDER BY number LIMIT ?1"
    );
    let mut statement = db.prepare(&sql).doing(DOING)?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut rows = statement.query([limit]).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let alert = read(row)?;
        found.push((alert.number, alert.rule, alert.first, alert.count));
    }
    Ok(found)
}

const fn bit(way: AlertWay) -> i64 {
    match way {
        AlertWay::Webhook => WEBHOOK,
        AlertWay::Mail => MAIL,
    }
}

/// Somebody was told of alerts.
pub(crate) fn told(db: &Connection, way: AlertWay, numbers: &[u64]) -> Result<()> {
    let mut write = db
        .prepare("UPDATE alert SET told = told | ?2 WHERE number = ?1")
        .doing(WRITING)?;
    for number in numbers {
        let number = i64::try_from(*number).unwrap_or(i64::MAX);
        write.execute((number, bit(way))).doing(WRITING)?;
    }
    Ok(())
}

/// The rules in force: the newest, or the ready ones.
pub(crate) fn in_force(db: &Connection) -> Result<AlertRulesVersion> {
    let found = versions(db, 1)?.into_iter().next();
    Ok(found.unwrap_or(AlertRulesVersion {
        version: 0,
        at: Micros(0),
        by: String::new(),
        reason: String::new(),
        rules: AlertRules::default(),
    }))
}

/// Versions of the rules, the newest first.
pub(crate) fn versions(db: &Connection, max: usize) -> Result<Vec<AlertRulesVersion>> {
    const DOING: &str = "reading the rules of alerts";
    let mut statement = db
        .prepare_cached(
            "SELECT version, at_us, actor, reason, document FROM alert_rules
             ORDER BY version DESC LIMIT ?1",
        )
        .doing(DOING)?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut rows = statement.query([limit]).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let text: String = row.get(4).doing(DOING)?;
        found.push(AlertRulesVersion {
            version: u64::try_from(row.get::<_, i64>(0).doing(DOING)?).unwrap_or(0),
            at: Micros(row.get(1).doing(DOING)?),
            by: row.get(2).doing(DOING)?,
            reason: row.get(3).doing(DOING)?,
            rules: AlertRules::stored(&text)
                .map_err(|_| damaged("stored rules of alerts cannot be read"))?,
        });
    }
    Ok(found)
}

/// Puts rules into force; `after` is the version that their author knew, if they said so. Where a webhook
/// stays at its address and no secret is said, it keeps the one that it has.
pub(crate) fn publish(
    db: &Connection,
    mut rules: AlertRules,
    (actor, reason): (&str, &str),
    after: Option<u64>,
    now: Micros,
) -> Result<u64> {
    let before = in_force(db)?;
    if after.is_some_and(|known| known != before.version) {
        let text = format!("version {} is in force", before.version);
        return Err(StoreError::Refused(Code::VersionConflict, text));
    }
    if let (Some(webhook), Some(old)) = (&mut rules.webhook, before.rules.webhook)
        && webhook.url == old.url
        && webhook.secret.is_none()
    {
        webhook.secret = old.secret;
    }
    let version = before.version + 1;
    let number = i64::try_from(version).unwrap_or(i64::MAX);
    db.execute(
        "INSERT INTO alert_rules (version, at_us, actor, reason, document) VALUES (?1,?2,?3,?4,?5)",
        params![number, now.0, actor, reason, rules.to_text()],
    )
    .doing("writing the rules of alerts")?;
    Ok(version)
}

/// Marks all versions as not vouched for and puts the ready rules into force.
pub(crate) fn begin_anew(db: &Connection, by: (&str, &str), now: Micros) -> Result<()> {
    db.execute(
        "UPDATE alert_rules SET reason = 'not vouched for: ' || reason
         WHERE reason NOT LIKE 'not vouched for: %'",
        [],
    )
    .doing(WRITING)?;
    let any: bool = db
        .query_row("SELECT EXISTS (SELECT 1 FROM alert_rules)", [], |r| {
            r.get(0)
        })
        .doing(WRITING)?;
    match any {
        true => publish(db, AlertRules::default(), by, None, now).map(drop),
        false => Ok(()),
    }
}

fn remembered(db: &Connection, name: &str) -> Result<Option<String>> {
    db.prepare_cached("SELECT record FROM watched WHERE name = ?1")
        .and_then(|mut s| s.query_row([name], |r| r.get(0)).optional())
        .doing(DOING)
}

fn remember(db: &Connection, name: &str, record: &str) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO watched (name, record) VALUES (?1,?2)
         ON CONFLICT (name) DO UPDATE SET record = excluded.record",
    )
    .and_then(|mut s| s.execute([name, record]))
    .doing(WRITING)
    .map(drop)
}

/// How far the watch got in a tenant's trail.
pub(crate) fn cursor(db: &Connection, tenant: &[u8; 16]) -> Result<Cursor> {
    let text = remembered(db, CURSOR)?;
    let known: Option<Cursor> = text.and_then(|t| serde_json::from_str(&t).ok());
    let tenant = hex(tenant);
    Ok(match known {
        Some(known) if known.tenant == tenant => known,
        _ => Cursor {
            tenant,
            ..Cursor::default()
        },
    })
}

/// Keeps how far it got.
pub(crate) fn keep_cursor(db: &Connection, cursor: &Cursor) -> Result<()> {
    remember(
        db,
        CURSOR,
        &serde_json::to_string(cursor).unwrap_or_default(),
    )
}

/// What is usual for somebody.
pub(crate) fn profile(db: &Connection, actor: &str) -> Result<Profile> {
    let text = remembered(db, actor)?;
    Ok(text
        .and_then(|t| serde_json::from_str(&t).ok())
        .unwrap_or_default())
}

/// Keeps it.
pub(crate) fn keep_profile(db: &Connection, actor: &str, profile: &Profile) -> Result<()> {
    remember(
        db,
        actor,
        &serde_json::to_string(profile).unwrap_or_default(),
    )
}

/// Of networks that nobody who is known came from, so many are remembered.
const STRANGERS_MAX: i64 = 1_000;
/// How names of such networks begin among what is remembered.
pub(crate) const STRANGER: &str = "from ";

/// Forgets such networks where they are too many: their sign-ins are counted anew.
pub(crate) fn forget_strangers(db: &Connection) -> Result<()> {
    // `from!` is the first name after those that begin with `from `.
    let (first, end) = (STRANGER, "from!");
    let count: i64 = db
        .query_row(
            "SELECT count(*) FROM watched WHERE name >= ?1 AND name < ?2",
            [first, end],
            |r| r.get(0),
        )
        .doing(DOING)?;
    if count > STRANGERS_MAX {
        db.execute(
            "DELETE FROM watched WHERE name >= ?1 AND name < ?2",
            [first, end],
        )
        .doing(WRITING)?;
    }
    Ok(())
}

/// Openings that nobody reviewed in time.
pub(crate) fn unreviewed(
    db: &Connection,
    chain: Chain<'_>,
    now: Micros,
    review_seconds: u64,
) -> Result<Vec<Raised>> {
    let all = super::break_glass::waiting(db, chain)?;
    let late = all
        .into_iter()
        .filter(|o| o.state(now, review_seconds) == crate::face::OpeningState::Overdue);
    Ok(late
        .map(|opening| Raised {
            key: format!("{}|{}", AlertRule::UnreviewedOpening.as_str(), opening.id),
            rule: AlertRule::UnreviewedOpening,
            actor: opening
                .actor
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            program: opening.actor.split_once(' ').map(|(_, p)| p.to_owned()),
            patient: Some(opening.patient.as_str().to_owned()),
            at: opening.end(),
            count: Some(1),
            seen: format!("not reviewed within {} hours", review_seconds / 3_600),
            event: opening.id.to_string(),
        })
        .collect())
}
