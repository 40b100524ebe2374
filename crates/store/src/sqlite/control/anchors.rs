//! Where each tenant's chain in the journal stood, kept apart from the journal, so that a journal
//! whose end was cut off while nobody looked shows.
//!
//! A place is kept only once it is on the disk, so a crash or a power cut leaves no place ahead of
//! the journal. A place that the journal did not reach at a start is *held*: it stays, as evidence,
//! whatever the journal grows to. Each tenant has one from its beginning, which its line vouches for: where
//! it is missing, a place of which nobody knows where it was is held. The same of the chain of changes in each tenant's database.

use ring::hmac;
use rusqlite::{Transaction, params};

use super::super::fault::Doing;
use super::{Control, DOING, signed};
use crate::Result;
use crate::journal::Head;

/// A place that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) place: Head,
    /// The journal did not reach it at a start.
    pub(crate) held: bool,
}

/// Places by tenant.
pub(crate) type Anchors = Vec<([u8; 16], Anchor)>;

/// Of which chain a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Of a tenant's records in the journal.
    Journal,
    /// Of a tenant's changes, in its own database.
    Changes,
}

/// Places of chains of changes; files that were made before there were any lack it.
pub(super) const CHANGES: &str = "
CREATE TABLE IF NOT EXISTS changes (
  tenant BLOB NOT NULL PRIMARY KEY, number INTEGER NOT NULL, chain BLOB NOT NULL,
  held INTEGER NOT NULL, mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
";

impl Anchor {
    /// Of a place that was taken out.
    pub(crate) const LOST: Self = Self {
        place: Head {
            number: 0,
            chain: [0; 32],
        },
        held: true,
    };

    /// Whether it was taken out: nobody knows any more where it was.
    pub(crate) const fn is_lost(&self) -> bool {
        self.held && self.place.number == 0
    }
}

impl Of {
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Changes => "changes",
        }
    }
}

fn message(of: Of, tenant: &[u8; 16], anchor: &Anchor) -> Vec<u8> {
    let mut m = of.table().as_bytes().to_vec();
    m.push(0);
    m.extend_from_slice(tenant);
    m.extend_from_slice(&anchor.place.to_bytes());
    m.push(u8::from(anchor.held));
    m
}

/// Whose chain holds what operators did: no tenant has this id.
pub(crate) const HOUSE: [u8; 16] = [0; 16];

/// Places before the first record and change of a tenant, and of the house: from then on they are there, and
/// one that is not was taken out.
pub(super) fn begin(
    tx: &Transaction<'_>,
    key: &hmac::Key,
    tenant: &[u8; 16],
) -> rusqlite::Result<()> {
    let anchor = Anchor {
        place: Head::default(),
        held: false,
    };
    for (of, id) in [
        (Of::Journal, tenant),
        (Of::Changes, tenant),
        (Of::Journal, &HOUSE),
    ] {
        let sql = format!("INSERT OR IGNORE INTO {} VALUES (?1,0,?2,0,?3)", of.table());
        let mac = hmac::sign(key, &message(of, id, &anchor));
        tx.execute(&sql, params![id, anchor.place.chain, mac.as_ref()])?;
    }
    Ok(())
}

impl Control {
    /// All places that are kept. One whose MAC is wrong is left out and counted.
    pub(crate) fn anchors(&self, of: Of) -> Result<(Anchors, usize)> {
        let sql = format!(
            "SELECT tenant, number, chain, held, mac FROM {}",
            of.table()
        );
        let mut read = self.db.prepare(&sql).doing(DOING)?;
        let mut rows = read.query([]).doing(DOING)?;
        let (mut good, mut bad) = (Vec::new(), 0);
        while let Some(row) = rows.next().doing(DOING)? {
            let columns = (|| {
                let place = Head {
                    number: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
                    chain: row.get(2)?,
                };
                let anchor = Anchor {
                    place,
                    held: row.get(3)?,
                };
                Ok::<_, rusqlite::Error>((row.get(0)?, anchor, row.get::<_, Vec<u8>>(4)?))
            })();
            match columns {
                Ok((tenant, anchor, mac))
                    if hmac::verify(&self.key, &message(of, &tenant, &anchor), &mac).is_ok() =>
                {
                    good.push((tenant, anchor));
                }
                _ => bad += 1,
            }
        }
        Ok((good, bad))
    }

    /// Keeps places.
    pub(crate) fn anchor(&mut self, of: Of, places: &[([u8; 16], Anchor)]) -> Result<()> {
        let sql = format!(
            "INSERT OR REPLACE INTO {} VALUES (?1,?2,?3,?4,?5)",
            of.table()
        );
        let key = self.key.clone();
        let tx = self.db.transaction().doing(DOING)?;
        {
            let mut write = tx.prepare(&sql).doing(DOING)?;
            for (tenant, anchor) in places {
                let mac = hmac::sign(&key, &message(of, tenant, anchor));
                let number = signed(anchor.place.number);
                let chain = anchor.place.chain;
                write
                    .execute(params![tenant, number, chain, anchor.held, mac.as_ref()])
                    .doing(DOING)?;
            }
        }
        tx.commit().doing(DOING)
    }
}
