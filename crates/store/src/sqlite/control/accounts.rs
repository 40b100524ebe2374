//! Which accounts at identity providers are known in which tenant, by keyed digests: a memory that spares
//! opening tenants, and no right to anything.

use std::collections::HashMap;

use rusqlite::params;

use super::super::fault::Doing;
use super::{Control, DOING};
use crate::Result;

/// A keyed digest of an account.
pub(crate) type Digest = [u8; 16];

impl Control {
    /// All that is remembered, by tenant; the digests of each in order.
    pub(crate) fn accounts(&self) -> Result<HashMap<[u8; 16], Vec<Digest>>> {
        let mut read = self
            .db
            .prepare("SELECT tenant, digests FROM accounts")
            .doing(DOING)?;
        let mut rows = read.query([]).doing(DOING)?;
        let mut all = HashMap::new();
        while let Some(row) = rows.next().doing(DOING)? {
            let digests: Vec<u8> = row.get(1).doing(DOING)?;
            let (each, _) = digests.as_chunks::<16>();
            let mut each = each.to_vec();
            each.sort_unstable();
            all.insert(row.get(0).doing(DOING)?, each);
        }
        Ok(all)
    }

    /// Remembers all of a tenant's.
    pub(crate) fn keep_accounts(&mut self, tenant: &[u8; 16], all: &[Digest]) -> Result<()> {
        self.db
            .execute(
                "INSERT OR REPLACE INTO accounts VALUES (?1,?2)",
                params![tenant, all.as_flattened()],
            )
            .map(drop)
            .doing(DOING)
    }
}
