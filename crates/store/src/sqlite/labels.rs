//! Which profiles, tags and security labels current resources carry: the different values in the
//! index of `_profile`, `_tag` and `_security`.

use std::collections::BTreeSet;

use base::Code;
use fhir::definitions::{Model, ParamKind, TypeId};
use rusqlite::{Connection, OptionalExtension};

use super::fault::Doing;
use super::index::{NO_TYPE, Table};
use crate::plan::select::key_index;
use crate::{Labels, Result, StoreError};

const DOING: &str = "looking for labels";

/// The labels of these types.
///
/// # Errors
/// `limit-query` if there are more than `max` of a kind.
pub(crate) fn of(
    db: &Connection,
    model: &Model,
    types: &BTreeSet<TypeId>,
    max: u64,
) -> Result<Labels> {
    let mut labels = Labels::default();
    let mut references = Vec::new();
    let room = |set: usize| {
        let limit = "meta_values_max";
        match set as u64 <= max {
            true => Ok(()),
            false => Err(StoreError::Limit {
                code: Code::LimitQuery,
                limit,
                max,
            }),
        }
    };
    for type_id in types {
        for (code, set) in [
            ("_tag", &mut labels.tags),
            ("_security", &mut labels.security),
        ] {
            if let Some(param) = model.param(*type_id, code) {
                tokens(db, param.id.0, set, max)?;
                room(set.len())?;
            }
        }
        if let Some(param) = model.param(*type_id, "_profile") {
            match param.kind {
                ParamKind::Reference => references.push(param.id.0),
                _ => urls(db, param.id.0, &mut labels.profiles, max)?,
            }
            room(labels.profiles.len())?;
        }
    }
    if !references.is_empty() {
        targets(db, &references, &mut labels.profiles, max)?;
        room(labels.profiles.len())?;
    }
    Ok(labels)
}

/// Steps through the different codes and systems of a parameter, each found by its key.
fn tokens(
    db: &Connection,
    param: u32,
    out: &mut BTreeSet<(String, String)>,
    max: u64,
) -> Result<()> {
    let next = format!(
        "SELECT code, system, (SELECT text FROM system WHERE id = t.system) FROM ix_token AS t \
         INDEXED BY {} WHERE param = ?1 AND (code, system) > (?2, ?3) ORDER BY code, system LIMIT 1",
        key_index(Table::Token)
    );
    let mut next = db.prepare_cached(&next).doing(DOING)?;
    let held = "SELECT 1 FROM ix_token WHERE param = ?1 AND code = ?2 AND system = ?3 \
                AND until_seq = 0 LIMIT 1";
    let mut held = db.prepare_cached(held).doing(DOING)?;
    let mut last = (String::new(), i64::MIN);
    while (out.len() as u64) <= max {
        let found: Option<(String, i64, Option<String>)> = next
            .query_row((param, &last.0, last.1), |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?))
            })
            .optional()
            .doing(DOING)?;
        let Some((code, number, system)) = found else {
            break;
        };
        if held.exists((param, &code, number)).doing(DOING)? {
            out.insert((system.unwrap_or_default(), code.clone()));
        }
        last = (code, number);
    }
    Ok(())
}

/// The same for URLs.
fn urls(db: &Connection, param: u32, out: &mut BTreeSet<String>, max: u64) -> Result<()> {
    let next = format!(
        "SELECT uri FROM ix_uri INDEXED BY {} WHERE param = ?1 AND uri > ?2 ORDER BY uri LIMIT 1",
        key_index(Table::Uri)
    );
    let mut next = db.prepare_cached(&next).doing(DOING)?;
    let held = "SELECT 1 FROM ix_uri WHERE param = ?1 AND uri = ?2 AND until_seq = 0 LIMIT 1";
    let mut held = db.prepare_cached(held).doing(DOING)?;
    step(out, max, |last| {
        let found: Option<String> = next.query_row((param, last), |r| r.get(0)).optional()?;
        let mut holds = |url: &String| held.exists((param, url));
        found.map(|url| Ok((holds(&url)?, url))).transpose()
    })
}

/// The same for URLs that references are to. They stand in order of what they are to: one walk is for all
/// parameters.
fn targets(db: &Connection, params: &[u32], out: &mut BTreeSet<String>, max: u64) -> Result<()> {
    let next = format!(
        "SELECT id FROM ix_reference INDEXED BY {} WHERE type = {NO_TYPE} AND id > ?1 \
         ORDER BY id LIMIT 1",
        key_index(Table::Reference)
    );
    let mut next = db.prepare_cached(&next).doing(DOING)?;
    let held = format!(
        "SELECT 1 FROM ix_reference WHERE type = {NO_TYPE} AND id = ?2 AND param = ?1 \
         AND until_seq = 0 LIMIT 1"
    );
    let mut held = db.prepare_cached(&held).doing(DOING)?;
    step(out, max, |last| {
        let found: Option<String> = next.query_row([last], |r| r.get(0)).optional()?;
        let Some(url) = found else { return Ok(None) };
        for param in params {
            if held.exists((param, &url))? {
                return Ok(Some((true, url)));
            }
        }
        Ok(Some((false, url)))
    })
}

/// Steps from one URL to the next, and takes those that are held.
fn step(
    out: &mut BTreeSet<String>,
    max: u64,
    mut next: impl FnMut(&str) -> rusqlite::Result<Option<(bool, String)>>,
) -> Result<()> {
    let mut last = String::new();
    while (out.len() as u64) <= max
        && let Some((held, url)) = next(&last).doing(DOING)?
    {
        if held {
            out.insert(url.clone());
        }
        last = url;
    }
    Ok(())
}
