//! The street door: TCP and TLS in, requests to `rest`. Bounds connections, headers and time, and
//! drains on the way out. Knows nothing of routes.

mod bare;
mod linger;
mod pace;
mod places;
mod tls;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use base::{Code, Limits, Network};
use fhir::outcome::{Issue, Outcome};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rest::App;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use self::bare::Explained;
use self::linger::Lingering;
use self::pace::Pace;
use self::places::{Met, Places};
use self::tls::{Door, Shown};
use crate::config::Config;

/// Seconds in which a client has to finish its TLS handshake, and the headers of its first request.
const GREETING: Duration = Duration::from_secs(15);

/// More connections than this are not counted on, whatever the configuration says.
const CONNECTIONS_CEILING: u32 = 1 << 20;

/// Clients that are told at the same time that there is no place; others are just cut off.
const DOORSTEP: usize = 256;

/// Time for a client that is turned away to take its answer.
const FAREWELL: Duration = Duration::from_secs(2);

/// Time that requests in flight have when the server stops. With what the store needs to close it
/// stays under ten seconds.
const DRAIN: Duration = Duration::from_secs(7);

/// Time for a client that asks for nothing to take leave when the server stops.
const LEAVE: Duration = Duration::from_millis(300);

/// A bound address, ready to serve.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Door>,
    limits: Arc<Limits>,
    /// None: all connections come from a proxy.
    proxies: Option<Vec<Network>>,
}

/// What a request may take of a body before it is read: of one stream, and of all streams of one
/// connection.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;

/// Bytes of a request's head beside what is counted of its headers and its address.
const HEAD_ROOM: u64 = 8 << 10;
/// Bytes of an address that the HTTP layer takes at most.
const URL_BYTES: u64 = 64 << 10;

/// Whether the configured address can be listened on as it is configured, without doing it.
///
/// # Errors
/// What is no address, a certificate that cannot be used, plain HTTP beyond loopback.
pub fn may_bind(config: &Config) -> anyhow::Result<()> {
    let found = config.listen.to_socket_addrs();
    let addresses: Vec<SocketAddr> = found
        .with_context(|| format!("cannot listen on {}", config.listen))?
        .collect();
    if config.tls.cert.is_some() {
        Door::open(&config.tls)?;
    }
    if config.limits.connections_max == 0 {
        bail!("limits.connections_max is 0: nobody could connect");
    }
    match addresses.iter().find(|a| !may_be_plain(config, **a)) {
        Some(address) => beyond_loopback(*address),
        None => Ok(()),
    }
}

fn may_be_plain(config: &Config, address: SocketAddr) -> bool {
    config.tls.cert.is_some() || config.behind_tls_proxy || address.ip().is_loopback()
}

fn beyond_loopback(address: SocketAddr) -> anyhow::Result<()> {
    bail!(
        "{address} is not a loopback address: set [tls] cert and key, or \
         behind_tls_proxy = true"
    )
}

impl Listener {
    /// Binds the configured address. Plain HTTP beyond loopback is refused unless a proxy is
    /// declared.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let tcp = TcpListener::bind(&config.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = tcp.local_addr()?;
        let tls = match config.tls.cert {
            Some(_) => Some(Door::open(&config.tls)?),
            None => None,
        };
        if !may_be_plain(config, address) {
            beyond_loopback(address)?;
        }
        Ok(Self {
            tcp,
            tls,
            limits: Arc::new(config.limits.clone()),
            proxies: (!config.behind_tls_proxy).then_some(config.trusted_networks()?),
        })
    }

    /// The address that was bound.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.tcp.local_addr()?)
    }

    /// The URL of this address.
    pub fn url(&self) -> anyhow::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.address()?))
    }

    /// Writes the address to `DIR/listen.json`, and where commands find the server: with TLS under the
    /// name that its certificate is for, `public_url`.
    pub fn announce(&self, dir: &Path, public_url: Option<&str>) -> anyhow::Result<()> {
        let mut reached = self.address()?;
        if reached.ip().is_unspecified() {
            reached.set_ip(match reached.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let url = match (&self.tls, public_url) {
            (Some(_), Some(url)) => url.trim_end_matches('/').to_owned(),
            (Some(_), None) => format!("https://{reached}"),
            (None, _) => format!("http://{reached}"),
        };
        let text = serde_json::json!({
            "address": self.address()?.to_string(),
            "url": url,
            "pid": std::process::id(),
        });
        let (path, fresh) = (dir.join("listen.json"), dir.join("listen.json.new"));
        let text = format!("{text}\n");
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let written = options
            .open(&fresh)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&fresh, &path))
            // Where there is no room for another, the one that is there has room enough.
            .or_else(|_| {
                let _ = std::fs::remove_file(&fresh);
                in_place(&path, text.as_bytes())
            });
        if written.is_err() {
            // One of an earlier process leads commands astray.
            let _ = std::fs::remove_file(&path);
        }
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Serves until `stop` says so, then lets requests in flight finish.
    pub async fn serve(self, app: App, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let door = self.tls;
        let renewing = door.clone().map(|door| door.renew(stop.clone()));
        let renewed = renewing.map(tokio::spawn);
        let whole = u32::try_from(self.limits.connections_max)?.min(CONNECTIONS_CEILING);
        let each = self
            .proxies
            .map(|proxies| (self.limits.connections_per_address_max, proxies));
        let places = Places::new(whole, each);
        let doorstep = Arc::new(Semaphore::new(DOORSTEP));
        let http = Arc::new(protocol(&self.limits));
        loop {
            let stream = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = told(&mut stop) => break,
            };
            let (stream, peer) = match stream {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            let place = match places.take(peer.ip()) {
                Ok(place) => place,
                Err(met) => {
                    if let Ok(step) = doorstep.clone().try_acquire_owned() {
                        let max = match met {
                            "connections_max" => self.limits.connections_max,
                            _ => self.limits.connections_per_address_max,
                        };
                        tokio::spawn(turn_away(stream, door.is_some(), (met, max), step));
                    }
                    continue;
                }
            };
            let (app, http, mut stop) = (app.clone(), http.clone(), stop.clone());
            let limits = self.limits.clone();
            let pace = Pace::new(&limits);
            let door = door.clone();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                match door {
                    None => {
                        let stream = Explained::new(Lingering::new(stream), limits, pace.clone());
                        connection(&http, stream, app, (peer, None), pace, stop).await;
                    }
                    Some(door) => {
                        let accepting = door.acceptor().accept(stream);
                        let accepted = tokio::select! {
                            accepted = tokio::time::timeout(GREETING, accepting) => accepted,
                            // Nothing was asked yet.
                            () = told(&mut stop) => return,
                        };
                        if let Ok(Ok(stream)) = accepted {
                            let shown = door.shown(stream.get_ref().1);
                            let lingering = Lingering::new(stream);
                            let stream = Explained::new(lingering, limits, pace.clone());
                            connection(&http, stream, app, (peer, shown), pace, stop).await;
                        }
                    }
                }
                drop(place);
            });
        }
        drop(self.tcp);
        if let Some(renewed) = renewed {
            renewed.abort();
        }
        if tokio::time::timeout(DRAIN, places.empty()).await.is_err() {
            tracing::warn!("requests were still running when the time to drain was over");
        }
        Ok(())
    }
}

/// Writes over what a file holds.
fn in_place(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(text)?;
    file.set_len(text.len() as u64)
}

type Http = auto::Builder<TokioExecutor>;

fn protocol(limits: &Limits) -> Http {
    // More than our own limits let through, so that what is past those is answered by their name.
    let room = limits.header_bytes_max.saturating_add(HEAD_ROOM);
    let listed = room.saturating_add(limits.url_bytes_max);
    let mut http = auto::Builder::new(TokioExecutor::new());
    // No `pipeline_flush`: it takes whole answers into memory, however slowly they are taken.
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_patience(limits))
        .max_buf_size(usize::try_from(room.saturating_add(URL_BYTES)).unwrap_or(usize::MAX));
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(listed).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_WINDOW as usize)
        .keep_alive_interval(Duration::from_secs(30));
    http
}

/// How long the headers of a request may take. The time in which nothing is asked counts, so that it is no
/// shorter than a connection may be idle; the first request has a clock of its own.
fn head_patience(limits: &Limits) -> Duration {
    GREETING.max(Duration::from_millis(limits.connection_idle_ms_max))
}

async fn connection<S>(
    http: &Http,
    stream: S,
    app: App,
    (peer, shown): (SocketAddr, Option<Shown>),
    pace: Arc<Pace>,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let asked = Arc::new(Notify::new());
    let first = asked.clone();
    // Who says nothing gets no place: until it is known which HTTP is spoken, no other clock runs.
    let silence = async move {
        let greeted = tokio::time::timeout(GREETING, first.notified()).await;
        if greeted.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let watched = pace.clone();
    let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        if let Some(certificate) = shown.as_ref().and_then(Shown::now) {
            request.extensions_mut().insert(certificate);
        }
        let app = app.clone();
        asked.notify_one();
        let asked = watched.asked();
        async move {
            // IPv4 comes written as IPv6 where both are listened for.
            let answer = app.answer(request, peer.ip().to_canonical()).await;
            Ok::<_, std::convert::Infallible>(answer.map(|body| asked.answered(body)))
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = silence => return,
        () = pace.lost() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(FAREWELL, connection).await;
            return;
        }
        () = told(&mut stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = pace.idle_for(LEAVE) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits until the server is told to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Answers a connection beyond a limit on their number without looking at its request.
async fn turn_away(
    mut stream: TcpStream,
    tls: bool,
    (met, max): (Met, u64),
    _: OwnedSemaphorePermit,
) {
    if tls {
        return;
    }
    let text = format!("the limit {met} ({max}) was passed");
    let issue = Issue::error(Code::LimitBusy, text).limit(met);
    let body = Outcome::from(issue).to_json();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/fhir+json; charset=utf-8\r\n\
         content-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let answer = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await?;
        // Closing on bytes that were not read would take the answer away from the client.
        let mut rest = [0; 4096];
        for _ in 0..16 {
            if stream.read(&mut rest).await? == 0 {
                break;
            }
        }
        Ok::<(), std::io::Error>(())
    };
    let _ = tokio::time::timeout(FAREWELL, answer).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clock_ends_a_connection_before_it_may_be_idle_no_longer() {
        for idle in [1_000, 120_000, 3_600_000] {
            let limits = Limits {
                connection_idle_ms_max: idle,
                ..Limits::default()
            };
            assert!(head_patience(&limits) >= Duration::from_millis(idle));
            assert!(head_patience(&limits) >= GREETING);
        }
    }
}
