//! The one way out: requests to addresses outside, made by what the house was given for it.
//!
//! Knows which requests are made for whom and how many at once; how a name becomes an address, which
//! addresses may be reached, and TLS are [`Outbound`]'s own.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base::{Code, Limits, Micros};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use ring::hmac;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::Door;
use crate::failure::Failure;
use crate::house::House;

/// A request to an address outside.
#[derive(Clone)]
pub struct Errand {
    /// Where to.
    pub url: String,
    /// `Accept`
    pub accept: &'static str,
    /// `Authorization`, if there is one.
    pub authorization: Option<String>,
    /// The body of a POST, `application/x-www-form-urlencoded`; without any body it is a GET.
    pub form: Option<String>,
    /// The body of a POST of JSON that is signed.
    pub signed: Option<SignedJson>,
    /// Time until the whole answer has to be there.
    pub within: Duration,
    /// Bytes that the body of the answer has at most.
    pub bytes_max: u64,
    /// The turn to go out: to be held until nothing is done for it any more, whoever still waits.
    pub turn: Turn,
}

/// JSON as it is posted, with what shows that the house posts it, after the specification of Standard
/// Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
#[derive(Clone)]
pub struct SignedJson {
    /// The body.
    pub body: String,
    /// The message's id: the same when it is sent again.
    pub id: String,
    /// Seconds since 1970.
    pub at: i64,
    /// `v1,` and HMAC-SHA256 of id, time and body with points between them, in base64; none without a
    /// secret.
    pub signature: Option<String>,
}

impl SignedJson {
    /// Signs a body.
    pub(crate) fn new(body: String, id: String, at: Micros, secret: Option<&str>) -> Self {
        let at = at.0.div_euclid(1_000_000);
        let signature = secret.map(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let text = format!("{id}.{at}.{body}");
            format!("v1,{}", STANDARD.encode(hmac::sign(&key, text.as_bytes())))
        });
        Self {
            body,
            id,
            at,
            signature,
        }
    }
}

impl fmt::Debug for SignedJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedJson({}, {} bytes)", self.id, self.body.len())
    }
}

/// A turn to go out; somebody else's when the last copy is dropped.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    _own: Option<Arc<OwnedSemaphorePermit>>,
    _all: Option<Arc<OwnedSemaphorePermit>>,
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errand({})", host(&self.url))
    }
}

/// What came back, whatever its status. A redirect is an answer like any other: it is not followed.
#[derive(Clone, Default)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Cache-Control`, if it was there.
    pub cache_control: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Not a URL that may be asked.
    #[error("the address is not https, or has a user or a fragment")]
    Url,
    /// None of the addresses behind the name may be reached.
    #[error("the address is not public, and the configuration does not allow it")]
    Address,
    /// The name is not known.
    #[error("the host is not known")]
    Name,
    /// No connection, or it broke.
    #[error("no connection")]
    Connection,
    /// The certificate is not good, or there is no common ground.
    #[error("TLS failed, or the certificate is not trusted")]
    Tls,
    /// It took too long.
    #[error("it took too long")]
    Late,
    /// The answer is too large.
    #[error("the answer is too large")]
    Size,
    /// The answer is not HTTP.
    #[error("the answer is not HTTP")]
    Protocol,
}

/// What comes of a request, later.
pub type Sending = Pin<Box<dyn Future<Output = Result<Reply, OutboundError>> + Send>>;

/// A way to addresses outside.
///
/// It asks https alone, resolves the name itself, and connects to no address but one that it has
/// checked: a public one, or one that the configuration allows. It follows no redirect, keeps no
/// cookie, and uses no proxy that was not configured.
pub trait Outbound: fmt::Debug + Send + Sync {
    /// Makes a request.
    fn send(&self, errand: Errand) -> Sending;

    /// Whether a URL could be asked, as far as can be said without resolving its name.
    ///
    /// # Errors
    /// [`OutboundError::Url`], [`OutboundError::Address`].
    fn admits(&self, url: &str) -> Result<(), OutboundError>;
}

/// The way out that a house was given; by default there is none.
#[derive(Clone, Debug)]
pub struct Outside(Arc<dyn Outbound>);

impl Outside {
    /// Takes a way out.
    pub fn new(outbound: impl Outbound + 'static) -> Self {
        Self(Arc::new(outbound))
    }
}

impl Default for Outside {
    fn default() -> Self {
        Self::new(Nowhere)
    }
}

/// No way out.
#[derive(Debug)]
struct Nowhere;

impl Outbound for Nowhere {
    fn send(&self, _: Errand) -> Sending {
        Box::pin(std::future::ready(Err(OutboundError::Address)))
    }

    fn admits(&self, _: &str) -> Result<(), OutboundError> {
        Err(OutboundError::Address)
    }
}

/// Turns to go out: so many over all, so many for one tenant.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    each: usize,
    tenants: Mutex<HashMap<Door, Arc<Semaphore>>>,
}

impl Turns {
    pub(crate) fn new(limits: &Limits) -> Self {
        let places = |n: u64| usize::try_from(n).unwrap_or(1).clamp(1, 10_000);
        Self {
            all: Arc::new(Semaphore::new(places(limits.outbound_at_once_max))),
            each: places(limits.tenant_outbound_at_once_max),
            tenants: Mutex::default(),
        }
    }

    /// A turn of this tenant.
    async fn take(&self, door: &Door) -> Option<Turn> {
        let own = {
            let mut tenants = self.tenants.lock();
            tenants.retain(|_, places| Arc::strong_count(places) > 1);
            let fresh = || Arc::new(Semaphore::new(self.each));
            tenants.entry(*door).or_insert_with(fresh).clone()
        };
        // One's own turn first: who waits for it stands in nobody else's way.
        let own = own.acquire_owned().await.ok()?;
        let all = self.all.clone().acquire_owned().await.ok()?;
        Some(Turn {
            _own: Some(Arc::new(own)),
            _all: Some(Arc::new(all)),
        })
    }
}

impl House {
    /// Whether a URL could be asked.
    ///
    /// # Errors
    /// `outbound-refused`
    pub(crate) fn admits(&self, url: &str) -> Result<(), Failure> {
        let outside = &self.0.config.outside.0;
        outside.admits(url).map_err(|why| failure(url, why))
    }

    /// Makes a request for a tenant.
    ///
    /// # Errors
    /// `outbound-refused`, `outbound-failed`.
    pub(crate) async fn send(&self, door: &Door, errand: Errand) -> Result<Reply, Failure> {
        let within = Duration::from_millis(self.limits().outbound_ms_max);
        let url = errand.url.clone();
        let outside = &self.0.config.outside.0;
        let sent = async {
            let mut errand = errand;
            let turn = self.0.turns.take(door).await;
            errand.turn = turn.ok_or(OutboundError::Connection)?;
            outside.send(errand).await
        };
        let done = tokio::time::timeout(within, sent).await;
        let done = done.unwrap_or(Err(OutboundError::Late));
        done.map_err(|why| failure(&url, why))
    }

    /// Posts JSON; whether it was taken.
    ///
    /// # Errors
    /// `outbound-refused`, `outbound-failed`.
    pub(crate) async fn post(
        &self,
        door: &Door,
        url: &str,
        signed: SignedJson,
    ) -> Result<(), Failure> {
        let mut errand = self.errand(url, "*/*");
        errand.signed = Some(signed);
        let reply = self.send(door, errand).await?;
        match reply.status {
            200..=299 => Ok(()),
            status => Err(unexpected(url, status)),
        }
    }

    /// A GET.
    pub(crate) fn errand(&self, url: &str, accept: &'static str) -> Errand {
        let limits = self.limits();
        Errand {
            url: url.to_owned(),
            accept,
            authorization: None,
            form: None,
            signed: None,
            within: Duration::from_millis(limits.outbound_ms_max),
            bytes_max: limits.outbound_bytes_max,
            turn: Turn::default(),
        }
    }
}

/// A failure that names the host and the reason, and nothing of what was asked or answered.
fn failure(url: &str, why: OutboundError) -> Failure {
    let code = match why {
        OutboundError::Url | OutboundError::Address => Code::OutboundRefused,
        _ => Code::OutboundFailed,
    };
    let host = host(url);
    tracing::warn!(host, %why, "nothing came from outside");
    Failure::new(code, format!("{host}: {why}"))
}

/// A failure because of the status of an answer.
pub(crate) fn unexpected(url: &str, status: u16) -> Failure {
    let host = host(url);
    tracing::warn!(
        host,
        status,
        "an answer from outside was not as it should be"
    );
    Failure::new(
        Code::OutboundFailed,
        format!("{host}: the answer has status {status}"),
    )
}

/// The host of a URL, and perhaps its port.
pub(crate) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, h)| h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_tenant_does_not_take_the_turns_of_another() {
        let limits = Limits {
            outbound_at_once_max: 2,
            tenant_outbound_at_once_max: 1,
            ..Limits::default()
        };
        let turns = Turns::new(&limits);
        let (a, b) = ([1; 16], [2; 16]);
        let first = turns.take(&a).await.unwrap();
        let copy = first.clone();
        drop(first);
        let second = turns.take(&a);
        tokio::pin!(second);
        let waits = tokio::select! {
            biased;
            _ = &mut second => false,
            () = std::future::ready(()) => true,
        };
        assert!(waits, "something is still done in its turn");
        turns.take(&b).await.unwrap();
        drop(copy);
        second.await.unwrap();
    }

    #[test]
    fn hosts() {
        for (url, wanted) in [
            ("https://a.example/x?y", "a.example"),
            ("https://a.example:8443", "a.example:8443"),
            ("https://u@a.example/", "a.example"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(host(url), wanted);
        }
    }
}
