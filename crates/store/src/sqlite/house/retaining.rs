//! How long records of the journal are kept.
//!
//! The journal is of all tenants, so a segment goes as a whole, the oldest first: once every tenant
//! that has records in it no longer asks for them, none of them is under a legal hold, and a signed head
//! covers them, and everybody who ships trails has them, or is further behind than a limit lets them be. What their trees were then is kept, so that the rest is verified as before.

use access::{Actor, Reason, RequestMeta};
use base::RequestId;

use super::anchoring::HOUSE;
use super::notary::trees;
use super::{Entry, House, watching};
use crate::Result;
use crate::face::ShipPlace;
use crate::journal::Heads;
use crate::sqlite::fault::Doing;
use crate::sqlite::folder::hex;

/// Segments that are taken away in one round.
const AT_ONCE: usize = 16;
const DAY_SECONDS: i64 = 86_400;

impl House {
    /// Takes away the oldest segments that nobody asks for any more.
    pub(super) fn drop_old_records(&self) -> Result<()> {
        for _ in 0..AT_ONCE {
            let segments = self.shared.journal.segments()?;
            let [oldest, next, ..] = segments.as_slice() else {
                return Ok(());
            };
            if !self.may_go(*oldest, *next)? {
                return Ok(());
            }
            self.note_unshipped(*oldest, *next)?;
            trees::carry(self, *oldest, *next)?;
            // From here on it is the house that left it out.
            trees::set_floor(self, *next)?;
            self.shared.journal.remove(*oldest)?;
            tracing::info!(
                segment = oldest,
                "old records of the audit journal were removed"
            );
        }
        Ok(())
    }

    /// Whether nobody asks for what is between the beginnings of two segments.
    fn may_go(&self, segment: u64, next: u64) -> Result<bool> {
        for (name, place) in self.lacking(segment) {
            if !self.is_given_up(&name, &place, segment)? {
                return Ok(false);
            }
        }
        let journal = &self.shared.journal;
        let (before, after) = (journal.heads_before(segment)?, journal.heads_before(next)?);
        let now = self.shared.clock.now();
        let entries = self.entries();
        for (id, head) in &after {
            let last = head.number;
            if before.get(id).is_some_and(|h| h.number == last) || last == 0 {
                continue;
            }
            let entry = entries.iter().find(|e| e.tenant.bytes() == id);
            let days = match entry {
                Some(entry) => self.retention_days(entry),
                None if *id == HOUSE => self.house_days(),
                // A tenant whose key is destroyed has no records any more; one that is not let in for
                // another reason keeps them.
                None if !self.folder.wrapped_key(id).exists() => continue,
                None => None,
            };
            let Some(days) = days else {
                return Ok(false);
            };
            // A head that covers the last of them was made after it.
            let heads = self.heads_of(id)?;
            let covers = heads.iter().find(|head| head.size >= last);
            let limit = now.plus_secs(-days.saturating_mul(DAY_SECONDS));
            if covers.is_none_or(|head| head.at().is_none_or(|at| at > limit)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether so much waits for somebody that nothing waits for them any longer.
    fn is_given_up(&self, name: &str, place: &ShipPlace, segment: u64) -> Result<bool> {
        let most = self.shared.config.limits.ship_backlog_bytes_max;
        // The watch over the trails is the house's own: it is never left behind, but in tenants whose
        // records it cannot judge.
        let is_watch = name == watching::NAME;
        let may = most > 0 && (!is_watch || place.segment > segment);
        Ok(may && self.ship_lag(place)? > most)
    }

    /// Says in the trails of tenants that records of theirs go which somebody did not get.
    fn note_unshipped(&self, segment: u64, next: u64) -> Result<()> {
        let lacking = self.lacking(segment);
        if lacking.is_empty() {
            return Ok(());
        }
        let journal = &self.shared.journal;
        let (before, after) = (journal.heads_before(segment)?, journal.heads_before(next)?);
        let id = RequestId(u128::from_be_bytes(self.shared.rng.bytes()));
        let request = RequestMeta::new(id, self.shared.clock.now());
        let by = (Actor::system(Reason::Shipping), request);
        for (name, _) in &lacking {
            tracing::error!(
                shipper = name,
                segment,
                limit = "ship_backlog_bytes_max",
                "records of the audit journal are removed that were not shipped, or not looked at for alerts"
            );
        }
        for entry in self.entries() {
            let of = entry.tenant.bytes();
            let last = |heads: &Heads| heads.get(of).map(|h| h.number);
            let is_in = last(&after).is_some() && last(&after) != last(&before);
            let own = format!("tenant-{}", hex(of));
            let has_own = entry.info.read().settings.ships_to().is_some();
            let waits = |(name, place): &(String, ShipPlace)| match name.as_str() {
                watching::NAME => place.stuck.contains_key(&hex(of)),
                name if name.starts_with("tenant-") => *name == own,
                _ => !has_own,
            };
            if is_in && lacking.iter().any(waits) {
                self.note_in_trail(&entry, &by, "remove records that were not shipped");
            }
        }
        Ok(())
    }

    /// For how many days a tenant's records are kept; for ever without a number.
    fn retention_days(&self, entry: &Entry) -> Option<i64> {
        let settings = entry.info.read().settings.clone();
        if settings.is_held() {
            return None;
        }
        match settings.audit_retention_days {
            Some(days) => (days > 0).then(|| i64::from(days)),
            None => self.house_days(),
        }
    }

    fn house_days(&self) -> Option<i64> {
        let days = self.shared.config.audit_retention_days;
        (days > 0).then(|| i64::from(days))
    }
}

impl crate::journal::Journal {
    /// Takes a segment off the disk.
    fn remove(&self, segment: u64) -> Result<()> {
        std::fs::remove_file(self.path_of(segment)).doing("removing a segment of the journal")
    }
}
