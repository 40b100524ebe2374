//! Browser sessions, what people approved programs for, and tokens that were taken back, as rows that end.

use std::collections::HashMap;
use std::sync::Arc;

use access::{ApprovalRecord, Assurance, ClientId, PersonId, Scopes, SessionRecord};
use base::{Micros, ResourceId};
use fhir::definitions::Model;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::super::administration::Chain;
use super::super::fault::{Doing, damaged};
use super::sealed::{put_row, read_rows};
use super::{Ended, TokenId, json};
use crate::Result;
use crate::face::{Approval, BrowserSession, CodeTerms, Through};

#[derive(Serialize, Deserialize)]
struct KeptSession {
    cookie: [u8; 32],
    person: String,
    person_epoch: u64,
    two_factors: bool,
    authenticated_us: i64,
    idle_secs: i64,
    used_us: i64,
    ended: bool,
    began_us: i64,
    agent: String,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    through: Option<Through>,
}

const fn assurance(two_factors: bool) -> Assurance {
    match two_factors {
        true => Assurance::TwoFactors,
        false => Assurance::Password,
    }
}

pub(super) fn read_sessions(
    db: &Connection,
    chain: Chain<'_>,
    now: Micros,
) -> Result<Vec<BrowserSession>> {
    let wrong = || damaged("a stored session");
    let one = |(id, until, text): (String, i64, String)| {
        let kept: KeptSession = serde_json::from_str(&text).map_err(|_| wrong())?;
        Ok(BrowserSession {
            record: SessionRecord {
                id: id.into(),
                cookie: kept.cookie,
                person: PersonId::new(&kept.person).ok_or_else(wrong)?,
                person_epoch: kept.person_epoch,
                assurance: assurance(kept.two_factors),
                authenticated: Micros(kept.authenticated_us),
                until: Micros(until),
                idle_secs: kept.idle_secs,
                used: Micros(kept.used_us),
                ended: kept.ended,
            },
            began: Micros(kept.began_us),
            agent: kept.agent.into(),
            address: kept.address.into(),
            through: kept.through,
        })
    };
    read_rows(db, chain, "session", now)?
        .into_iter()
        .map(one)
        .collect()
}

/// Writes a session, new or changed; one that was ended is dropped.
pub(crate) fn put_session(
    db: &Connection,
    chain: Chain<'_>,
    session: &BrowserSession,
) -> Result<()> {
    let record = &session.record;
    if record.ended {
        return drop_row(db, "DELETE FROM session WHERE id = ?1", &record.id);
    }
    let kept = KeptSession {
        cookie: record.cookie,
        person: record.person.as_str().to_owned(),
        person_epoch: record.person_epoch,
        two_factors: record.assurance == Assurance::TwoFactors,
        authenticated_us: record.authenticated.0,
        idle_secs: record.idle_secs,
        used_us: record.used.0,
        ended: record.ended,
        began_us: session.began.0,
        agent: session.agent.to_string(),
        address: session.address.to_string(),
        through: session.through.clone(),
    };
    let text = json(&kept)?;
    put_row(db, chain, "session", (&record.id, record.until.0, &text))
}

fn drop_row(db: &Connection, sql: &str, id: &str) -> Result<()> {
    db.prepare_cached(sql)
        .and_then(|mut s| s.execute([id]))
        .doing("ending a session or an approval")
        .map(drop)
}

#[derive(Serialize, Deserialize)]
struct KeptApproval {
    person: String,
    person_epoch: u64,
    client: String,
    client_epoch: u64,
    scopes: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patient: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    two_factors: bool,
    authenticated_us: i64,
    ended: bool,
    began_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<CodeTerms>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<[u8; 32]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

pub(super) fn read_approvals(
    db: &Connection,
    model: &Model,
    chain: Chain<'_>,
    now: Micros,
) -> Result<Vec<Approval>> {
    let wrong = || damaged("a stored approval");
    let one = |(id, until, text): (String, i64, String)| {
        let kept: KeptApproval = serde_json::from_str(&text).map_err(|_| wrong())?;
        let patient = kept.patient.map(|id| ResourceId::new(&id)).transpose();
        Ok(Approval {
            record: ApprovalRecord {
                id: id.into(),
                person: PersonId::new(&kept.person).ok_or_else(wrong)?,
                person_epoch: kept.person_epoch,
                client: ClientId::new(&kept.client).ok_or_else(wrong)?,
                client_epoch: kept.client_epoch,
                scopes: Arc::new(Scopes::parse(&kept.scopes, model).map_err(|_| wrong())?),
                patient: patient.map_err(|_| wrong())?,
                session: kept.session.map(Into::into),
                assurance: assurance(kept.two_factors),
                authenticated: Micros(kept.authenticated_us),
                until: Micros(until),
                ended: kept.ended,
            },
            began: Micros(kept.began_us),
            code: kept.code,
            refresh: kept.refresh,
            certificate: kept.certificate,
            context: kept.context.map(Into::into),
            nonce: kept.nonce.map(Into::into),
        })
    };
    read_rows(db, chain, "approval", now)?
        .into_iter()
        .map(one)
        .collect()
}

/// Writes an approval, new or changed; one that was ended is dropped.
pub(crate) fn put_approval(db: &Connection, chain: Chain<'_>, approval: &Approval) -> Result<()> {
    let record = &approval.record;
    if record.ended {
        return drop_row(db, "DELETE FROM approval WHERE id = ?1", &record.id);
    }
    let kept = KeptApproval {
        person: record.person.as_str().to_owned(),
        person_epoch: record.person_epoch,
        client: record.client.as_str().to_owned(),
        client_epoch: record.client_epoch,
        scopes: record.scopes.as_str().to_owned(),
        patient: record.patient.as_ref().map(|p| p.as_str().to_owned()),
        session: record.session.as_deref().map(str::to_owned),
        two_factors: record.assurance == Assurance::TwoFactors,
        authenticated_us: record.authenticated.0,
        ended: record.ended,
        began_us: approval.began.0,
        code: approval.code.clone(),
        refresh: approval.refresh,
        certificate: approval.certificate,
        context: approval.context.as_deref().map(str::to_owned),
        nonce: approval.nonce.as_deref().map(str::to_owned),
    };
    let text = json(&kept)?;
    put_row(db, chain, "approval", (&record.id, record.until.0, &text))
}

pub(super) fn read_ended_tokens(db: &Connection, now: Micros) -> Result<HashMap<TokenId, Ended>> {
    const DOING: &str = "reading tokens that were taken back";
    let mut read = db
        .prepare("SELECT id, until_us, client FROM ended_token WHERE until_us > ?1")
        .doing(DOING)?;
    let one = |row: &rusqlite::Row<'_>| {
        let client: Option<String> = row.get(2)?;
        let ended = Ended {
            client: client.as_deref().and_then(ClientId::new),
            until: Micros(row.get(1)?),
        };
        Ok((row.get(0)?, ended))
    };
    read.query_map([now.0], one)
        .and_then(Iterator::collect)
        .doing(DOING)
}

/// Keeps that a token was taken back.
pub(crate) fn put_ended_token(
    db: &Connection,
    token: &TokenId,
    client: &ClientId,
    until: Micros,
) -> Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO ended_token (id, until_us, client) VALUES (?1,?2,?3)",
        params![token, until.0, client.as_str()],
    )
    .doing("taking a token back")
    .map(drop)
}

/// Drops what ended by itself.
pub(crate) fn sweep(db: &Connection, now: Micros) -> Result<()> {
    const DOING: &str = "dropping what ended";
    db.execute("DELETE FROM session WHERE until_us <= ?1", [now.0])
        .doing(DOING)?;
    db.execute("DELETE FROM approval WHERE until_us <= ?1", [now.0])
        .doing(DOING)?;
    db.execute("DELETE FROM ended_token WHERE until_us <= ?1", [now.0])
        .doing(DOING)
        .map(drop)
}
