//! What is administered about a tenant apart from its resources, API clients, people and facts about
//! the file, and how it is held under the chain of changes.
//!
//! Each time it changes, a *change without versions* is written: its digest is over all of it, as
//! it is then. The engine authenticates a page of the file, not its age; an older page that is put
//! back does not agree with the last such change, and an older file lacks it.

use access::{Actor, RequestMeta};
use base::{Micros, RequestId, Seq};
use ring::hmac;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::Doing;
use super::seal::{ChangeLine, Digest};
use super::writer::WriterState;
use crate::Result;
use crate::audit::ChangeHead;

/// Whose chain it is: the tenant's id, and the key of its seals.
#[derive(Clone, Copy)]
pub(crate) struct Chain<'a> {
    pub(crate) tenant: &'a [u8; 16],
    pub(crate) key: &'a hmac::Key,
}

impl Chain<'_> {
    /// The seal of a row of one of the tenant's lists, over all that the row says.
    pub(crate) fn seal_of(&self, list: &str, values: &[ValueRef<'_>]) -> [u8; 32] {
        let tag = hmac::sign(self.key, &self.said(list, values));
        let mut seal = [0; 32];
        seal.iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, b)| *to = *b);
        seal
    }

    fn said(&self, list: &str, values: &[ValueRef<'_>]) -> Vec<u8> {
        let mut digest = Digest::default();
        add(&mut digest, ValueRef::Text(list.as_bytes()));
        for value in values {
            add(&mut digest, *value);
        }
        [b"row\0".as_slice(), self.tenant, &digest.value()].concat()
    }

    /// Whether a row carries its seal: the one behind so many columns, over those.
    pub(crate) fn is_sealed(&self, list: &str, row: &Row<'_>, columns: usize) -> Result<bool> {
        const DOING: &str = "reading a sealed list";
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(row.get_ref(column).doing(DOING)?);
        }
        let seal: Option<Vec<u8>> = row.get(columns).doing(DOING)?;
        let said = self.said(list, &values);
        Ok(seal.is_some_and(|seal| hmac::verify(self.key, &said, &seal).is_ok()))
    }
}

/// SHA-256 over all that is administered. Facts that steps of the schema and of the index set for
/// themselves, and how far an index is built, are left out.
pub(crate) fn digest(db: &Connection) -> Result<[u8; 32]> {
    const DOING: &str = "reading what is administered";
    let mut digest = Digest::default();
    for sql in [
        "SELECT key, value FROM meta
         WHERE key NOT IN ('schema', 'index', 'reindex', 'reindexed') ORDER BY key",
        "SELECT id, name, scopes, secret_hash, jwks, epoch, revoked, opened_us, until_us
         FROM client ORDER BY id",
    ] {
        let mut read = db.prepare(sql).doing(DOING)?;
        let columns = read.column_count();
        let mut rows = read.query([]).doing(DOING)?;
        while let Some(row) = rows.next().doing(DOING)? {
            for column in 0..columns {
                add(&mut digest, row.get_ref(column).doing(DOING)?);
            }
        }
        // No row of one table can stand for one of the other.
        digest.add(&[u8::MAX]);
    }
    // Came later: a table without rows adds nothing, so that what was vouched for before it came
    // still is.
    for (table, sql) in [
        (
            "policy",
            "SELECT version, at_us, actor, reason, document FROM policy ORDER BY version",
        ),
        (
            "client roles",
            "SELECT id, roles FROM client WHERE roles IS NOT NULL ORDER BY id",
        ),
        (
            "client vendors",
            "SELECT id, vendor FROM client WHERE vendor IS NOT NULL ORDER BY id",
        ),
        (
            "client certificates",
            "SELECT id, certificates FROM client WHERE certificates IS NOT NULL ORDER BY id",
        ),
        (
            "client makers",
            "SELECT id, made FROM client WHERE made IS NOT NULL ORDER BY id",
        ),
        ("vendor", "SELECT id, record FROM vendor ORDER BY id"),
        (
            "vendor_event",
            "SELECT number, vendor, at_us, actor, party, what, was, state, reason
             FROM vendor_event ORDER BY number",
        ),
        (
            "program_link",
            "SELECT id, record FROM program_link ORDER BY id",
        ),
        ("person", "SELECT id, login, record FROM person ORDER BY id"),
        (
            "program",
            "SELECT client, record FROM program ORDER BY client",
        ),
        (
            "signing_key",
            "SELECT kid, alg, pair, public, made_us, retired_us FROM signing_key ORDER BY kid",
        ),
        (
            "identity_provider",
            "SELECT id, record FROM identity_provider ORDER BY id",
        ),
        (
            "alert_rules",
            "SELECT version, at_us, actor, reason, document FROM alert_rules ORDER BY version",
        ),
    ] {
        if !is_there(db, table)? {
            continue;
        }
        // Each event stands for those before it.
        let sql = match table {
            "vendor_event" if is_there(db, "vendor event chain")? => {
                "SELECT number, chain FROM vendor_event ORDER BY number DESC LIMIT 1"
            }
            _ => sql,
        };
        let mut read = db.prepare(sql).doing(DOING)?;
        let columns = read.column_count();
        let mut rows = read.query([]).doing(DOING)?;
        let mut any = false;
        while let Some(row) = rows.next().doing(DOING)? {
            if !std::mem::replace(&mut any, true) {
                add(&mut digest, ValueRef::Text(table.as_bytes()));
            }
            for column in 0..columns {
                add(&mut digest, row.get_ref(column).doing(DOING)?);
            }
        }
        if any {
            digest.add(&[u8::MAX]);
        }
    }
    Ok(digest.value())
}

/// Whether a file has a table, or clients their roles and vendors: one of an earlier schema, before it is brought up
/// to date, does not.
fn is_there(db: &Connection, table: &str) -> Result<bool> {
    let (sql, name) = match table {
        "client roles" => (
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('client') WHERE name = ?1)",
            "roles",
        ),
        "client vendors" => (
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('client') WHERE name = ?1)",
            "vendor",
        ),
        "client certificates" => (
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('client') WHERE name = ?1)",
            "certificates",
        ),
        "client makers" => (
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('client') WHERE name = ?1)",
            "made",
        ),
        "vendor event chain" => (
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('vendor_event') WHERE name = ?1)",
            "chain",
        ),
        table => (
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)",
            table,
        ),
    };
    db.query_row(sql, [name], |r| r.get(0))
        .doing("reading what is administered")
}

/// Kind, length and bytes of a value.
pub(super) fn add(digest: &mut Digest, value: ValueRef<'_>) {
    let number;
    let (kind, bytes): (u8, &[u8]) = match value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(n) => {
            number = n.to_be_bytes();
            (1, &number)
        }
        ValueRef::Real(n) => {
            number = n.to_be_bytes();
            (2, &number)
        }
        ValueRef::Text(text) => (3, text),
        ValueRef::Blob(bytes) => (4, bytes),
    };
    digest.add(&[kind]);
    digest.add(&(bytes.len() as u64).to_be_bytes());
    digest.add(bytes);
}

/// Whether what is administered is what the last change without versions says. A tenant for whom
/// nothing was administered has no clients.
pub(crate) fn holds(db: &Connection) -> Result<bool> {
    const DOING: &str = "reading what is administered";
    let last: Option<[u8; 32]> = db
        .query_row(
            "SELECT digest FROM change WHERE members = 0 ORDER BY seq DESC LIMIT 1",
            [],
            |r| r.get(0),
        )
        .optional()
        .doing(DOING)?;
    match last {
        Some(last) => Ok(last == digest(db)?),
        None => db
            .query_row(
                "SELECT NOT EXISTS (SELECT 1 FROM client) AND NOT EXISTS (SELECT 1 FROM policy)
                   AND NOT EXISTS (SELECT 1 FROM person)
                   AND NOT EXISTS (SELECT 1 FROM program)
                   AND NOT EXISTS (SELECT 1 FROM vendor)
                   AND NOT EXISTS (SELECT 1 FROM program_link)
                   AND NOT EXISTS (SELECT 1 FROM signing_key)
                   AND NOT EXISTS (SELECT 1 FROM identity_provider)
                   AND NOT EXISTS (SELECT 1 FROM alert_rules)",
                [],
                |r| r.get(0),
            )
            .doing(DOING),
    }
}

/// Whether the chain of changes goes through a place.
pub(crate) fn passes(db: &Connection, place: ChangeHead) -> Result<bool> {
    let seq = i64::try_from(place.seq.0).unwrap_or(i64::MAX);
    let found: Option<[u8; 32]> = db
        .query_row("SELECT chain FROM change WHERE seq = ?1", [seq], |r| {
            r.get(0)
        })
        .optional()
        .doing("reading the chain of changes")?;
    Ok(found == Some(place.chain))
}

/// How what a change without versions says of openings begins.
const OPENINGS: &[u8] = b"openings\0";

/// What a change without versions says of openings: a digest of all that there are, so that one which is
/// taken out, or put back as it was before, is noticed.
fn openings(db: &Connection) -> Result<Option<Vec<u8>>> {
    const DOING: &str = "reading what was opened";
    if !is_there(db, "opening")? {
        return Ok(None);
    }
    let mut read = db
        .prepare("SELECT id, opened_us, until_us, record FROM opening ORDER BY id")
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut digest = Digest::default();
    while let Some(row) = rows.next().doing(DOING)? {
        for column in 0..4 {
            add(&mut digest, row.get_ref(column).doing(DOING)?);
        }
    }
    Ok(Some([OPENINGS, &digest.value()].concat()))
}

/// Whether openings are those that the last change without versions vouches for. One of an earlier version
/// vouches for none.
pub(crate) fn openings_hold(db: &Connection) -> Result<bool> {
    let last: Option<Option<Vec<u8>>> = db
        .query_row(
            "SELECT about FROM change WHERE members = 0 ORDER BY seq DESC LIMIT 1",
            [],
            |r| r.get(0),
        )
        .optional()
        .doing("reading what is administered")?;
    match last.flatten().filter(|said| said.starts_with(OPENINGS)) {
        Some(said) => Ok(openings(db)? == Some(said)),
        None => Ok(true),
    }
}

/// Adds a change without versions: from here on what is administered is as it is now.
pub(crate) fn append(
    db: &Connection,
    chain: Chain<'_>,
    request: RequestMeta,
    actor: &Actor,
    now: Micros,
) -> Result<(ChangeHead, Micros)> {
    let vouched = Vouched {
        digest: digest(db)?,
        openings: openings(db)?,
    };
    append_of(db, chain, (request, actor), now, &vouched)
}

/// What a change without versions vouches for.
struct Vouched {
    digest: [u8; 32],
    openings: Option<Vec<u8>>,
}

fn append_of(
    db: &Connection,
    chain: Chain<'_>,
    (request, actor): (RequestMeta, &Actor),
    now: Micros,
    vouched: &Vouched,
) -> Result<(ChangeHead, Micros)> {
    const DOING: &str = "writing what is administered";
    let last = db
        .query_row(
            "SELECT seq, chain, updated_us FROM change ORDER BY seq DESC LIMIT 1",
            [],
            |r| Ok((r.get::<_, i64>(0)?, r.get(1)?, r.get(2)?)),
        )
        .optional()
        .doing(DOING)?;
    let (seq, before, updated) = last.unwrap_or((0, [0; 32], 0));
    let seq = seq + 1;
    let updated = Micros(updated).max(now.to_millis_precision());
    let Vouched {
        digest,
        openings: about,
    } = vouched;
    let line = ChangeLine {
        tenant: chain.tenant,
        seq: Seq(u64::try_from(seq).unwrap_or(0)),
        updated,
        request: request.id,
        actor: actor.as_str(),
        members: 0,
        digest,
        journal: None,
        about: about.as_deref(),
    };
    let head = ChangeHead {
        seq: line.seq,
        chain: line.chain(chain.key, &before),
    };
    let number: i64 = db
        .query_row(
            "INSERT INTO actor (text) VALUES (?1)
             ON CONFLICT (text) DO UPDATE SET text = excluded.text RETURNING id",
            [actor.as_str()],
            |r| r.get(0),
        )
        .doing(DOING)?;
    let RequestId(request) = request.id;
    db.execute(
        "INSERT INTO change (seq,updated_us,request,actor,members,digest,chain)
         VALUES (?1,?2,?3,?4,0,?5,?6)",
        params![
            seq,
            updated.0,
            request.to_be_bytes(),
            number,
            digest,
            head.chain,
        ],
    )
    .doing(DOING)?;
    // Earlier schemas, on the way to this one, have no place for it.
    if let Some(about) = about {
        let sql = "UPDATE change SET about = ?2 WHERE seq = ?1";
        db.execute(sql, params![seq, about]).doing(DOING)?;
    }
    Ok((head, updated))
}

/// What is said of openings that were not those which were vouched for: nothing makes them good again.
fn altered() -> Vec<u8> {
    [OPENINGS, b"altered"].concat()
}

/// Adds a change without versions in a writer's transaction: from here on openings are as they are now, if
/// they `held` before. Everything else that is administered stays vouched for as it was: nobody who opens a
/// patient takes a client for good that was altered.
pub(crate) fn record_openings(
    state: &mut WriterState,
    chain: Chain<'_>,
    by: &(Actor, RequestMeta),
    now: Micros,
    held: bool,
) -> Result<Option<ChangeHead>> {
    let last: Option<[u8; 32]> = state
        .db
        .query_row(
            "SELECT digest FROM change WHERE members = 0 ORDER BY seq DESC LIMIT 1",
            [],
            |r| r.get(0),
        )
        .optional()
        .doing("reading what is administered")?;
    // Where nobody was ever let in, nobody opens anything.
    let Some(digest) = last else {
        return Ok(None);
    };
    let openings = match held {
        true => openings(&state.db)?,
        false => Some(altered()),
    };
    let vouched = Vouched { digest, openings };
    let (head, updated) = append_of(&state.db, chain, (by.1, &by.0), now, &vouched)?;
    (state.seq, state.chain, state.updated) = (head.seq.0, head.chain, updated);
    Ok(Some(head))
}

/// The same for all that is administered; the writer knows of it.
pub(crate) fn record(
    state: &mut WriterState,
    chain: Chain<'_>,
    by: &(Actor, RequestMeta),
    now: Micros,
    held: bool,
) -> Result<ChangeHead> {
    let openings = match held {
        true => openings(&state.db)?,
        false => Some(altered()),
    };
    let vouched = Vouched {
        digest: digest(&state.db)?,
        openings,
    };
    let (head, updated) = append_of(&state.db, chain, (by.1, &by.0), now, &vouched)?;
    (state.seq, state.chain, state.updated) = (head.seq.0, head.chain, updated);
    Ok(head)
}
