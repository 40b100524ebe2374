//! People, identity providers and the keys of identity tokens as rows. They are administered: what vouches for
//! them is the chain of what was.

use access::{PersonId, PersonRecord, PersonState, RoleAt};
use base::{Micros, ResourceId};
use fhir::definitions::{Model, TypeId};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::super::fault::{Doing, damaged};
use super::super::{passkeys, schema};
use super::json;
use crate::Result;
use crate::face::{IdentityProvider, Person, Proofs, SigningKey};

/// A person, as they are kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptPerson {
    name: String,
    roles: Vec<String>,
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fhir_user: Option<String>,
    epoch: u64,
    state: String,
    made_us: i64,
    proofs: Proofs,
}

const STATES: [(&str, PersonState); 3] = [
    ("invited", PersonState::Invited),
    ("active", PersonState::Active),
    ("disabled", PersonState::Disabled),
];

fn reference(text: &str, model: &Model) -> Option<(TypeId, ResourceId)> {
    let (of, id) = text.split_once('/')?;
    Some((model.type_id(of)?, ResourceId::new(id).ok()?))
}

pub(super) fn read_people(db: &Connection, model: &Model) -> Result<Vec<Person>> {
    const DOING: &str = "reading people";
    let wrong = || damaged("a stored person");
    let mut read = db
        .prepare("SELECT id, login, record FROM person")
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut people = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let id: String = row.get(0).doing(DOING)?;
        let login: String = row.get(1).doing(DOING)?;
        let text: String = row.get(2).doing(DOING)?;
        let kept: KeptPerson = serde_json::from_str(&text).map_err(|_| wrong())?;
        let roles = kept.roles.iter().map(|r| RoleAt::parse(r));
        let state = STATES.iter().find(|(word, _)| *word == kept.state);
        people.push(Person {
            record: PersonRecord {
                id: PersonId::new(&id).ok_or_else(wrong)?,
                login: login.into(),
                name: kept.name.into(),
                roles: roles.collect::<Option<Vec<_>>>().ok_or_else(wrong)?.into(),
                groups: kept.groups.into_iter().map(Into::into).collect(),
                fhir_user: kept.fhir_user.and_then(|text| reference(&text, model)),
                epoch: kept.epoch,
                state: state.map(|(_, state)| *state).ok_or_else(wrong)?,
            },
            proofs: kept.proofs,
            made: Micros(kept.made_us),
        });
    }
    Ok(people)
}

/// A person as they are kept.
pub(crate) fn kept(model: &Model, person: &Person) -> KeptPerson {
    let record = &person.record;
    let state = STATES.iter().find(|(_, state)| *state == record.state);
    let fhir_user = record.fhir_user.as_ref();
    KeptPerson {
        name: record.name.to_string(),
        roles: record.roles.iter().map(ToString::to_string).collect(),
        groups: record.groups.iter().map(ToString::to_string).collect(),
        fhir_user: fhir_user.map(|(of, id)| format!("{}/{}", model.type_name(*of), id.as_str())),
        epoch: record.epoch,
        state: state.map_or("disabled", |(word, _)| *word).to_owned(),
        made_us: person.made.0,
        proofs: person.proofs.clone(),
    }
}

/// Writes a person, new or changed.
pub(crate) fn put_person(db: &Connection, model: &Model, person: &Person) -> Result<()> {
    let record = &person.record;
    let kept = kept(model, person);
    db.execute(
        "INSERT INTO person (id, login, record) VALUES (?1,?2,?3)
         ON CONFLICT (id) DO UPDATE SET login = excluded.login, record = excluded.record",
        params![record.id.as_str(), record.login, json(&kept)?],
    )
    .doing("writing a person")?;
    passkeys::sweep(db, person)
}

/// Makes it so that nobody may sign in; the records stay.
pub(crate) fn disable_all(db: &Connection) -> Result<()> {
    restored(db, |_| Comes::Disabled)?;
    db.execute("DELETE FROM signing_key", [])
        .doing("dropping signing keys")
        .map(drop)
}

/// Disables everybody, takes off what they prove themselves with, what they may do and where they may sign in
/// instead of here: a role that was forged is none for whoever is invited anew, and each of them is given
/// what they may do by somebody.
pub(crate) fn begin_anew(db: &Connection) -> Result<()> {
    const DOING: &str = "disabling people";
    disable_all(db)?;
    db.execute("DELETE FROM identity_provider", [])
        .doing(DOING)?;
    let mut read = db.prepare("SELECT id, record FROM person").doing(DOING)?;
    let all: Vec<(String, String)> = read
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .and_then(Iterator::collect)
        .doing(DOING)?;
    for (id, text) in all {
        let mut kept: KeptPerson =
            serde_json::from_str(&text).map_err(|_| damaged("a stored person"))?;
        kept.proofs = kept.proofs.taken_off();
        kept.roles.clear();
        kept.groups.clear();
        kept.fhir_user = None;
        db.execute(
            "UPDATE person SET record = ?2 WHERE id = ?1",
            params![
                id,
                serde_json::to_string(&kept).map_err(|_| damaged("a stored person"))?
            ],
        )
        .doing(DOING)?;
    }
    Ok(())
}

/// How a person of a backup comes back.
pub(crate) enum Comes {
    /// As they were.
    Unchanged,
    /// As they are in the tenant that it is of.
    As(Box<KeptPerson>),
    /// Disabled.
    Disabled,
}

/// Has people come back, or disables them, and ends all sessions and approvals.
pub(crate) fn restored(db: &Connection, comes: impl Fn(&PersonId) -> Comes) -> Result<()> {
    const DOING: &str = "disabling people";
    let mut read = db.prepare("SELECT id, record FROM person").doing(DOING)?;
    let all: Vec<(String, String)> = read
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .and_then(Iterator::collect)
        .doing(DOING)?;
    for (id, text) in all {
        let then: KeptPerson =
            serde_json::from_str(&text).map_err(|_| damaged("a stored person"))?;
        let epoch = then.epoch;
        let mut kept = match PersonId::new(&id).map_or(Comes::Disabled, |id| comes(&id)) {
            Comes::Unchanged => continue,
            Comes::As(now) => *now,
            Comes::Disabled => {
                let mut then = then;
                "disabled".clone_into(&mut then.state);
                then.proofs.invitation = None;
                then
            }
        };
        kept.epoch = kept.epoch.max(epoch) + 1;
        db.execute(
            "UPDATE person SET record = ?2 WHERE id = ?1",
            params![id, json(&kept)?],
        )
        .doing(DOING)?;
    }
    // Who is let in elsewhere, and as what, is configured anew.
    db.execute_batch("DELETE FROM session; DELETE FROM approval; DELETE FROM identity_provider;")
        .doing(DOING)
}

pub(super) fn read_providers(db: &Connection) -> Result<Vec<IdentityProvider>> {
    const DOING: &str = "reading identity providers";
    let mut read = db
        .prepare("SELECT id, record FROM identity_provider ORDER BY id")
        .doing(DOING)?;
    read.query_map([], |r| {
        let (id, record): (String, String) = (r.get(0)?, r.get(1)?);
        Ok(IdentityProvider {
            id: id.into(),
            record: record.into(),
        })
    })
    .and_then(Iterator::collect)
    .doing(DOING)
}

/// Writes an identity provider, new or changed.
pub(crate) fn put_provider(db: &Connection, provider: &IdentityProvider) -> Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO identity_provider (id, record) VALUES (?1,?2)",
        params![provider.id, provider.record],
    )
    .doing("writing an identity provider")
    .map(drop)
}

/// The fact about the file that says until when what operators set lets people in, since nobody of the tenant
/// kept any of it.
const TERM: &str = "operator_provider_until";

/// Until when identity providers that operators set let people in, where that was said and nobody of the tenant
/// kept one since.
pub(crate) fn provider_term(db: &Connection) -> Result<Option<Micros>> {
    Ok(schema::meta::<i64>(db, TERM)?.map(Micros))
}

/// Says that they do until then at the latest.
pub(crate) fn bound_provider_term(db: &Connection, until: Micros) -> Result<()> {
    let known = provider_term(db)?;
    let until = known.map_or(until, |known| known.min(until));
    schema::set_meta(db, TERM, until.0)
}

/// Somebody of the tenant kept one: the next one has a time of its own.
pub(crate) fn end_provider_term(db: &Connection) -> Result<()> {
    db.execute("DELETE FROM meta WHERE key = ?1", [TERM])
        .doing("writing about a tenant")
        .map(drop)
}

/// Drops an identity provider; whether there was one.
pub(crate) fn drop_provider(db: &Connection, id: &str) -> Result<bool> {
    db.execute("DELETE FROM identity_provider WHERE id = ?1", [id])
        .doing("dropping an identity provider")
        .map(|count| count > 0)
}

pub(super) fn read_keys(db: &Connection) -> Result<Vec<SigningKey>> {
    const DOING: &str = "reading signing keys";
    let mut read = db
        .prepare(
            "SELECT kid, alg, pair, public, made_us, retired_us FROM signing_key
             ORDER BY made_us DESC, kid",
        )
        .doing(DOING)?;
    read.query_map([], |r| {
        Ok(SigningKey {
            kid: r.get(0)?,
            alg: r.get(1)?,
            pair: r.get(2)?,
            public: r.get(3)?,
            made: Micros(r.get(4)?),
            retired: r.get::<_, Option<i64>>(5)?.map(Micros),
        })
    })
    .and_then(Iterator::collect)
    .doing(DOING)
}

/// Adds a key; those of its algorithm from before sign nothing any more, and those that were retired
/// before `gone` go.
pub(crate) fn put_key(db: &Connection, key: &SigningKey, gone: Micros) -> Result<()> {
    const DOING: &str = "writing a signing key";
    db.execute(
        "UPDATE signing_key SET retired_us = ?2 WHERE alg = ?1 AND retired_us IS NULL",
        params![key.alg, key.made.0],
    )
    .doing(DOING)?;
    db.execute("DELETE FROM signing_key WHERE retired_us < ?1", [gone.0])
        .doing(DOING)?;
    db.execute(
        "INSERT INTO signing_key (kid, alg, pair, public, made_us) VALUES (?1,?2,?3,?4,?5)",
        params![key.kid, key.alg, key.pair, key.public, key.made.0],
    )
    .doing(DOING)
    .map(drop)
}
