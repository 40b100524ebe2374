//! When a connection is given up: a client takes nothing of an answer, or asks for nothing.
//!
//! Both are seen from the answers themselves and not from the bytes on the wire: a client that
//! keeps its connection busy with pings, or reads one of its answers and not the others, holds
//! memory all the same. Knows nothing of what is asked.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use base::Limits;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

/// What the requests of one connection are doing.
#[derive(Debug)]
pub(super) struct Pace {
    stall: Duration,
    idle: Duration,
    state: Mutex<State>,
    /// Something that is said waits until the client takes it.
    unsent: AtomicBool,
    /// How often something was.
    sent: AtomicU64,
}

#[derive(Debug)]
struct State {
    next: u64,
    /// Requests that are not answered to the end: since when the client has had something to take,
    /// if it has.
    asked: HashMap<u64, Option<Instant>>,
    /// When there last was a request.
    last: Instant,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            stall: Duration::from_millis(limits.answer_stall_ms_max),
            idle: Duration::from_millis(limits.connection_idle_ms_max),
            state: Mutex::new(State {
                next: 0,
                asked: HashMap::new(),
                last: Instant::now(),
            }),
            unsent: AtomicBool::new(false),
            sent: AtomicU64::new(0),
        })
    }

    /// Notes whether something waits to be sent.
    pub(super) fn waits<T>(&self, sent: Poll<T>) -> Poll<T> {
        self.unsent.store(sent.is_pending(), Ordering::Relaxed);
        self.sent.fetch_add(1, Ordering::Relaxed);
        sent
    }

    /// Waits until, for so long, nothing was asked that is not answered and sent. An answer of HTTP/2 is
    /// sent in parts, as the client makes room for them.
    pub(super) async fn idle_for(&self, long: Duration) {
        let mut since = Instant::now();
        let mut sent = self.sent.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep_until(since + long).await;
            let last = self.state.lock().last;
            let now_sent = self.sent.load(Ordering::Relaxed);
            let goes_on = std::mem::replace(&mut sent, now_sent) != now_sent;
            if goes_on || !self.is_quiet() || self.unsent.load(Ordering::Relaxed) {
                since = Instant::now();
            } else if last > since {
                since = last;
            } else {
                return;
            }
        }
    }

    /// A request has come.
    pub(super) fn asked(self: &Arc<Self>) -> Asked {
        let mut state = self.state.lock();
        let id = state.next;
        state.next += 1;
        state.asked.insert(id, None);
        Asked {
            pace: self.clone(),
            id,
        }
    }

    /// Whether nothing is asked that is not answered.
    pub(super) fn is_quiet(&self) -> bool {
        self.state.lock().asked.is_empty()
    }

    /// Waits until there is a reason to end the connection.
    pub(super) async fn lost(&self) {
        while let Some(at) = self.next_look() {
            tokio::time::sleep_until(at).await;
        }
    }

    /// When it should be looked at again; never, if there is a reason to end the connection now.
    fn next_look(&self) -> Option<Instant> {
        let state = self.state.lock();
        let now = Instant::now();
        let until = if state.asked.is_empty() {
            state.last + self.idle
        } else {
            let since = state.asked.values().flatten().min();
            since.copied().unwrap_or(now) + self.stall
        };
        // What is asked meanwhile is looked at soon enough.
        (until > now).then_some(until.min(now + self.stall))
    }
}

/// A request that is not answered to the end yet.
#[derive(Debug)]
pub(super) struct Asked {
    pace: Arc<Pace>,
    id: u64,
}

impl Asked {
    /// The answer, watched while it leaves.
    pub(super) fn answered(self, body: Body) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Leaving { body, asked: self })
    }

    fn note(&self, since: Option<Instant>) {
        if let Some(noted) = self.pace.state.lock().asked.get_mut(&self.id) {
            *noted = since;
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut state = self.pace.state.lock();
        state.asked.remove(&self.id);
        state.last = Instant::now();
    }
}

struct Leaving {
    body: Body,
    asked: Asked,
}

impl http_body::Body for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        // While we make the next piece it is not the client who lets us wait.
        self.asked.note(polled.is_ready().then(Instant::now));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Arc<Pace> {
        Pace::new(&Limits {
            answer_stall_ms_max: 1_000,
            connection_idle_ms_max: 60_000,
            ..Limits::default()
        })
    }

    /// Seconds until the connection is looked at again.
    fn look(pace: &Pace) -> Option<u64> {
        let at = pace.next_look()?;
        Some(
            at.duration_since(Instant::now())
                .as_millis()
                .div_ceil(1_000) as u64,
        )
    }

    #[test]
    fn an_answer_that_is_not_taken_ends_the_connection_and_our_own_slowness_does_not() {
        let pace = pace();
        assert_eq!(look(&pace), Some(1), "a request may come");
        let (slow, quick) = (pace.asked(), pace.asked());
        assert_eq!(look(&pace), Some(1), "nothing to take yet");
        quick.note(Some(Instant::now()));
        let long_ago = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        slow.note(Some(long_ago));
        assert_eq!(look(&pace), None);
        slow.note(None);
        assert_eq!(look(&pace), Some(1));
        drop((slow, quick));
        assert_eq!(look(&pace), Some(1));
        pace.state.lock().last = Instant::now().checked_sub(Duration::from_secs(61)).unwrap();
        assert_eq!(look(&pace), None);
    }
}
