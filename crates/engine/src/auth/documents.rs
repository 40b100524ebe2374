//! What was fetched from addresses outside and is believed for a while: key sets, and descriptions of
//! identity providers. Each tenant's are its own, wherever they came from.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base::limits::fixed::DOCUMENTS_KEPT_MAX;
use base::{Code, Micros};
use parking_lot::Mutex;

use super::Door;
use crate::failure::Failure;
use crate::house::House;
use crate::outbound::{host, unexpected};

/// Documents that are kept.
#[derive(Debug, Default)]
pub(crate) struct Documents(Mutex<Places>);

/// By whose they are, and where they are from.
type Places = HashMap<(Door, Box<str>), Arc<Place>>;

/// The place of one. Whoever fetches it holds it, so that it is fetched once for all who wait.
#[derive(Debug, Default)]
struct Place {
    used: AtomicI64,
    kept: tokio::sync::Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Option<Arc<[u8]>>,
    /// Until when the bytes are believed.
    until: Micros,
    /// When it was last asked for.
    asked: Option<Micros>,
    /// Why that came to nothing.
    failed: Option<Failure>,
}

/// A document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) bytes: Arc<[u8]>,
    /// Whether it has only just been fetched: there is nothing newer.
    pub(super) fresh: bool,
}

/// How a document is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As it is kept, as long as it is believed.
    Kept,
    /// Anew, because what is kept lacks something; not more often than the limit allows.
    Anew,
}

impl Documents {
    fn place(&self, door: &Door, url: &str, now: Micros) -> Arc<Place> {
        let key = (*door, url.into());
        let mut all = self.0.lock();
        if all.len() >= DOCUMENTS_KEPT_MAX && !all.contains_key(&key) {
            let unused = all.iter().filter(|(_, p)| Arc::strong_count(p) == 1);
            let oldest = unused.min_by_key(|(_, p)| p.used.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                all.remove(&oldest);
            }
        }
        let place = all.entry(key).or_default().clone();
        place.used.store(now.0, Ordering::Relaxed);
        place
    }
}

/// Seconds for which an answer may be kept (RFC 9111), at most so many.
fn life(cache_control: Option<&str>, max: u64) -> u64 {
    let mut life = max;
    for directive in cache_control.unwrap_or_default().split(',') {
        let directive = directive.trim().to_ascii_lowercase();
        match directive.split_once('=') {
            Some(("max-age", seconds)) => {
                let seconds = seconds.trim_matches('"').parse().unwrap_or(0);
                life = life.min(seconds);
            }
            None if matches!(&*directive, "no-store" | "no-cache") => life = 0,
            _ => {}
        }
    }
    life
}

impl House {
    /// A JSON document, kept or fetched.
    ///
    /// # Errors
    /// `outbound-refused`, `outbound-failed`; also for something that is not what it should be. Who
    /// asks again soon gets the same failure, and nobody is asked.
    pub(super) async fn document(
        &self,
        door: &Door,
        url: &str,
        look: Look,
        is_it: fn(&[u8]) -> bool,
        now: Micros,
    ) -> Result<Document, Failure> {
        let limits = self.limits();
        let place = self.0.documents.place(door, url, now);
        let mut kept = place.kept.lock().await;
        let believed = kept.bytes.clone().filter(|_| now < kept.until);
        let again = i64::try_from(limits.keys_again_seconds_min).unwrap_or(i64::MAX);
        let early = kept.asked.is_some_and(|asked| now < asked.plus_secs(again));
        let settled = early && (look == Look::Anew || believed.is_none());
        if let Some(failed) = kept.failed.clone().filter(|_| settled) {
            return Err(failed);
        }
        if let Some(bytes) = believed.filter(|_| look == Look::Kept || early) {
            return Ok(Document {
                bytes,
                fresh: false,
            });
        }
        kept.asked = Some(now);
        match self.fetch(door, url, is_it).await {
            Ok((bytes, seconds)) => {
                kept.bytes = Some(bytes.clone());
                // However short-lived it says it is, strangers do not have it asked for all the time.
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).max(again);
                kept.until = now.plus_secs(seconds);
                kept.failed = None;
                Ok(Document { bytes, fresh: true })
            }
            Err(failure) => {
                kept.failed = Some(failure.clone());
                Err(failure)
            }
        }
    }

    async fn fetch(
        &self,
        door: &Door,
        url: &str,
        is_it: fn(&[u8]) -> bool,
    ) -> Result<(Arc<[u8]>, u64), Failure> {
        let reply = self
            .send(door, self.errand(url, "application/json"))
            .await?;
        if reply.status != 200 {
            return Err(unexpected(url, reply.status));
        }
        if !is_it(&reply.body) {
            let text = format!("{}: the answer is not what was asked for", host(url));
            return Err(Failure::new(Code::OutboundFailed, text));
        }
        let max = self.limits().keys_seconds_max;
        let life = life(reply.cache_control.as_deref(), max);
        Ok((reply.body.into(), life))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_no_longer_than_they_say() {
        for (header, wanted) in [
            (None, 600),
            (Some("public"), 600),
            (Some("max-age=60"), 60),
            (Some("public, Max-Age=\"5\""), 5),
            (Some("max-age=86400"), 600),
            (Some("max-age=x"), 0),
            (Some("no-store"), 0),
            (Some("max-age=60, no-cache"), 0),
        ] {
            assert_eq!(life(header, 600), wanted, "{header:?}");
        }
    }

    #[test]
    fn as_many_are_kept_as_there_is_room_for() {
        let documents = Documents::default();
        for n in 0..2 * DOCUMENTS_KEPT_MAX {
            let now = Micros(i64::try_from(n).unwrap());
            documents.place(&[0; 16], &format!("https://a.example/{n}"), now);
        }
        assert_eq!(documents.0.lock().len(), DOCUMENTS_KEPT_MAX);
        let newest = format!("https://a.example/{}", 2 * DOCUMENTS_KEPT_MAX - 1);
        assert!(documents.0.lock().contains_key(&([0; 16], newest.into())));
    }
}
