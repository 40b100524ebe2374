//! The operators' audit: one line for each thing that was done to a tenant or the house, each the
//! continuation of a keyed chain.
//!
//! That a line was altered or taken out shows in the chain itself; that lines were cut off its end
//! shows against the journal, which is told of each line.

use ring::hmac;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::super::fault::Doing;
use super::{Control, DOING, Deed};
use crate::Result;
use crate::audit::OperatorsHead;

impl Control {
    /// From now on each line is told, once it is on the disk.
    pub(crate) fn tell(&mut self, tell: impl Fn(OperatorsHead) + Send + 'static) {
        self.told = Some(Box::new(tell));
    }

    /// Checks the chain up to its end, which must not lie before `known`; the first line that does
    /// not continue it.
    pub(crate) fn audit_broken_at(&self, known: Option<OperatorsHead>) -> Result<Option<i64>> {
        check(&self.db, &self.key, known)
    }

    /// Adds a line about something that changes nothing here.
    pub(crate) fn note(&mut self, deed: &Deed<'_>) -> Result<()> {
        self.in_transaction(deed, |_| Ok(()))
    }
}

fn check(db: &Connection, key: &hmac::Key, known: Option<OperatorsHead>) -> Result<Option<i64>> {
    let sql = "SELECT seq,at_us,request,actor,action,tenant,detail,chain FROM audit ORDER BY seq";
    let mut read = db.prepare(sql).doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut last: Vec<u8> = Vec::new();
    let mut line = 0;
    while let Some(row) = rows.next().doing(DOING)? {
        line += 1;
        let text = |i| row.get::<_, String>(i).doing(DOING);
        let (request, actor, action, detail) = (text(2)?, text(3)?, text(4)?, text(6)?);
        let tenant: Option<Vec<u8>> = row.get(5).doing(DOING)?;
        let at = row.get(1).doing(DOING)?;
        let parts = [&*request, &*actor, &*action, &*detail];
        let mac = chain(key, &last, at, parts, tenant.as_deref());
        last = row.get(7).doing(DOING)?;
        let as_known = known.is_none_or(|k| k.line != line || k.chain.as_slice() == last);
        if mac.as_ref() != last || row.get::<_, i64>(0).doing(DOING)? != line || !as_known {
            return Ok(Some(line));
        }
    }
    Ok(known.filter(|k| k.line > line).map(|_| line + 1))
}

pub(super) fn append(
    tx: &Transaction<'_>,
    key: &hmac::Key,
    deed: &Deed<'_>,
) -> rusqlite::Result<OperatorsHead> {
    let last: Vec<u8> = tx
        .query_row(
            "SELECT chain FROM audit ORDER BY seq DESC LIMIT 1",
            [],
            |r| r.get(0),
        )
        .optional()?
        .unwrap_or_default();
    let (actor, request) = deed.by;
    let id = request.id.to_string();
    let tenant = deed.tenant.map(<[u8; 16]>::as_slice);
    let parts = [id.as_str(), actor.as_str(), deed.action, deed.detail];
    let mac = chain(key, &last, request.at.0, parts, tenant);
    tx.execute(
        "INSERT INTO audit (at_us,request,actor,action,tenant,detail,chain)
         VALUES (?1,?2,?3,?4,?5,?6,?7)",
        params![
            request.at.0,
            id,
            actor.as_str(),
            deed.action,
            tenant,
            deed.detail,
            mac.as_ref()
        ],
    )?;
    Ok(OperatorsHead {
        line: tx.last_insert_rowid(),
        chain: mac.as_ref().try_into().unwrap_or_default(),
    })
}

fn chain(
    key: &hmac::Key,
    last: &[u8],
    at: i64,
    parts: [&str; 4],
    tenant: Option<&[u8]>,
) -> hmac::Tag {
    let mut mac = hmac::Context::with_key(key);
    mac.update(b"audit\0");
    mac.update(last);
    mac.update(&at.to_be_bytes());
    for part in parts
        .map(str::as_bytes)
        .into_iter()
        .chain([tenant.unwrap_or_default()])
    {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.sign()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use access::{Actor, Reason, RequestMeta};
    use base::{Micros, RequestId};
    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn audit_lines_are_chained() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let mut control = Control::open(Path::new(":memory:"), &key).unwrap();
        let known = Arc::new(Mutex::new(None));
        let told = known.clone();
        control.tell(move |head| *told.lock() = Some(head));
        let request = RequestMeta::new(RequestId(1), Micros(1));
        let by = (Actor::system(Reason::Operation), request);
        let tenant = [7; 16];
        for path in ["a", "b", "c"] {
            let deed = Deed {
                by: &by,
                action: "x",
                tenant: Some(&tenant),
                detail: path,
            };
            control.copied(path, Micros(2), &deed).unwrap();
        }
        let known = *known.lock();
        let broken = |c: &Control| c.audit_broken_at(known).unwrap();
        assert_eq!(broken(&control), None);
        assert_eq!(control.copies(&tenant).unwrap().len(), 3);
        for (sql, undo, line) in [
            (
                "UPDATE audit SET detail = 'z' WHERE seq = 2",
                "UPDATE audit SET detail = 'b' WHERE seq = 2",
                2,
            ),
            (
                "UPDATE audit SET seq = 4 WHERE seq = 3",
                "UPDATE audit SET seq = 3 WHERE seq = 4",
                3,
            ),
            ("DELETE FROM audit WHERE seq = 3", "", 3),
            ("DELETE FROM audit WHERE seq = 1", "", 1),
        ] {
            control.db.execute_batch(sql).unwrap();
            assert_eq!(broken(&control), Some(line), "{sql}");
            control.db.execute_batch(undo).unwrap();
        }
    }
}
