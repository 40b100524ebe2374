//! The way to addresses outside: https by rustls, on threads that may block.
//!
//! A name is resolved here, each address behind it is checked, and only a checked one is connected to:
//! a name that leads elsewhere the next time leads nowhere. No redirect is followed, no cookie kept, no
//! proxy of the environment used, no connection kept open.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use base::{Network, is_public};
use engine::{Errand, Outbound, OutboundError, Reply, Sending};
use ureq::config::Config as AgentConfig;
use ureq::http::Uri;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use crate::config::Config;

/// Bytes of the headers of an answer.
const HEADER_BYTES_MAX: usize = 32 << 10;
/// Time until a connection stands, at most.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Which addresses may be reached, apart from public ones by https.
#[derive(Clone, Debug, Default)]
struct Allowed {
    networks: Vec<Network>,
    plain_loopback: bool,
}

impl Allowed {
    fn admits(&self, address: IpAddr, https: bool) -> bool {
        let address = address.to_canonical();
        let own = self.plain_loopback && address.is_loopback();
        own || https && (is_public(address) || self.networks.iter().any(|n| n.contains(address)))
    }

    /// Whether a URL may be asked, before its name is resolved; whether it is https.
    fn url(&self, uri: &Uri) -> Result<bool, OutboundError> {
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.plain_loopback => false,
            _ => return Err(OutboundError::Url),
        };
        let authority = uri.authority().ok_or(OutboundError::Url)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(OutboundError::Url);
        }
        let host = authority.host().trim_matches(['[', ']']);
        match host.parse::<IpAddr>() {
            Ok(address) if !self.admits(address, https) => Err(OutboundError::Address),
            Err(_) if !https && host != "localhost" => Err(OutboundError::Url),
            _ => Ok(https),
        }
    }
}

/// A resolver that gives only addresses that may be reached.
#[derive(Debug, Default)]
struct Guarded {
    inner: DefaultResolver,
    allowed: Allowed,
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &AgentConfig,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let refused = |why: OutboundError| Error::Other(Box::new(why));
        let https = self.allowed.url(uri).map_err(refused)?;
        let all = self.inner.resolve(uri, config, timeout)?;
        let mut checked = self.empty();
        let admitted = |a: &&SocketAddr| self.allowed.admits(a.ip(), https);
        for address in all.iter().filter(admitted) {
            checked.push(*address);
        }
        match checked.is_empty() {
            true => Err(refused(OutboundError::Address)),
            false => Ok(checked),
        }
    }
}

/// The way out of this machine.
#[derive(Clone, Debug)]
pub struct WayOut {
    agent: Agent,
    allowed: Allowed,
}

impl WayOut {
    /// The way out that the configuration describes.
    ///
    /// # Errors
    /// A file of certificates that cannot be read, networks that are none.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let allowed = Allowed {
            networks: config.outbound_networks()?,
            plain_loopback: config.outbound.plain_loopback,
        };
        let mut agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .max_response_header_size(HEADER_BYTES_MAX)
            .user_agent("insula")
            .timeout_connect(Some(CONNECT_MAX));
        if let Some(path) = &config.outbound.roots {
            let roots = roots(path)?;
            agent = agent.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let resolver = Guarded {
            inner: DefaultResolver::default(),
            allowed: allowed.clone(),
        };
        let connector = DefaultConnector::default();
        Ok(Self {
            agent: Agent::with_parts(agent.build(), connector, resolver),
            allowed,
        })
    }

    fn ask(&self, errand: &Errand) -> Result<Reply, OutboundError> {
        let sent = match (&errand.form, &errand.signed) {
            (_, Some(signed)) => {
                let mut post = self.agent.post(&errand.url).header(ACCEPT, errand.accept);
                post = post.header(CONTENT_TYPE, "application/json");
                post = post.header("webhook-id", &signed.id);
                post = post.header("webhook-timestamp", signed.at.to_string());
                if let Some(signature) = &signed.signature {
                    post = post.header("webhook-signature", signature);
                }
                let post = post.config().timeout_global(Some(errand.within)).build();
                post.send(&signed.body)
            }
            (None, None) => {
                let mut get = self.agent.get(&errand.url).header(ACCEPT, errand.accept);
                if let Some(authorization) = &errand.authorization {
                    get = get.header(AUTHORIZATION, authorization);
                }
                let get = get.config().timeout_global(Some(errand.within)).build();
                get.call()
            }
            (Some(form), None) => {
                let mut post = self.agent.post(&errand.url).header(ACCEPT, errand.accept);
                post = post.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
                if let Some(authorization) = &errand.authorization {
                    post = post.header(AUTHORIZATION, authorization);
                }
                let post = post.config().timeout_global(Some(errand.within)).build();
                post.send(form)
            }
        };
        let mut response = sent.map_err(|e| why(&e))?;
        let header = response.headers().get(CACHE_CONTROL);
        let cache_control = header.and_then(|v| v.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        let body = response.body_mut().with_config();
        let body = body.limit(errand.bytes_max).read_to_vec();
        Ok(Reply {
            status,
            cache_control,
            body: body.map_err(|e| why(&e))?,
        })
    }
}

impl Outbound for WayOut {
    fn send(&self, errand: Errand) -> Sending {
        let this = self.clone();
        Box::pin(async move {
            this.admits(&errand.url)?;
            let asked = tokio::task::spawn_blocking(move || this.ask(&errand));
            asked.await.unwrap_or(Err(OutboundError::Connection))
        })
    }

    fn admits(&self, url: &str) -> Result<(), OutboundError> {
        if url.contains(['#', ' ', '\\']) || url.contains(char::is_control) {
            return Err(OutboundError::Url);
        }
        let uri: Uri = url.parse().map_err(|_| OutboundError::Url)?;
        self.allowed.url(&uri).map(drop)
    }
}

/// Certificates of authorities to trust, in place of the public ones.
fn roots(path: &Path) -> anyhow::Result<RootCerts> {
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        bail!("{} holds no certificate", path.display());
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

fn why(error: &Error) -> OutboundError {
    match error {
        Error::Other(inner) => match inner.downcast_ref::<OutboundError>() {
            Some(why) => *why,
            None => OutboundError::Connection,
        },
        Error::BadUri(_) => OutboundError::Url,
        Error::HostNotFound => OutboundError::Name,
        Error::Timeout(_) => OutboundError::Late,
        Error::BodyExceedsLimit(_) | Error::LargeResponseHeader(..) => OutboundError::Size,
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) => OutboundError::Tls,
        Error::Protocol(_) | Error::Http(_) => OutboundError::Protocol,
        Error::Io(inner) => io(inner),
        _ => OutboundError::Connection,
    }
}

/// rustls tells what is wrong with a certificate inside of an error of the connection.
fn io(error: &std::io::Error) -> OutboundError {
    use std::io::ErrorKind;
    let inner = error.get_ref();
    let of_tls = inner.and_then(|e| e.downcast_ref::<rustls::Error>());
    if of_tls.is_some() {
        return OutboundError::Tls;
    }
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => OutboundError::Late,
        ErrorKind::InvalidData => OutboundError::Tls,
        _ if error.to_string().contains("lookup address") => OutboundError::Name,
        _ => OutboundError::Connection,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::config::Outbound as Keys;

    fn way_out(networks: &[&str], plain_loopback: bool) -> WayOut {
        let config = Config {
            outbound: Keys {
                networks: networks.iter().map(|n| (*n).to_owned()).collect(),
                plain_loopback,
                roots: None,
            },
            ..Config::default()
        };
        WayOut::new(&config).unwrap()
    }

    fn errand(url: &str) -> Errand {
        Errand {
            url: url.to_owned(),
            accept: "application/json",
            authorization: None,
            form: None,
            signed: None,
            within: Duration::from_secs(5),
            bytes_max: 100,
            turn: engine::Turn::default(),
        }
    }

    /// Answers one request with this text; gives what was asked.
    fn answering(answer: &'static str) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = vec![0; 4_096];
            let read = stream.read(&mut asked).unwrap();
            asked.truncate(read);
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        });
        (port, asked)
    }

    #[test]
    fn what_is_not_public_is_not_asked() {
        let strict = way_out(&[], false);
        for (url, wanted) in [
            ("https://keys.example.org/jwks", Ok(())),
            ("https://1.1.1.1/jwks", Ok(())),
            ("http://keys.example.org/jwks", Err(OutboundError::Url)),
            ("http://127.0.0.1/jwks", Err(OutboundError::Url)),
            ("https://127.0.0.1/jwks", Err(OutboundError::Address)),
            ("https://[::1]/jwks", Err(OutboundError::Address)),
            ("https://[::ffff:10.0.0.1]/", Err(OutboundError::Address)),
            ("https://169.254.169.254/", Err(OutboundError::Address)),
            ("https://10.1.2.3:8443/", Err(OutboundError::Address)),
            ("https://user@keys.example.org/", Err(OutboundError::Url)),
            ("https://keys.example.org/#x", Err(OutboundError::Url)),
            ("ftp://keys.example.org/", Err(OutboundError::Url)),
            ("file:///etc/passwd", Err(OutboundError::Url)),
            ("keys.example.org", Err(OutboundError::Url)),
            ("", Err(OutboundError::Url)),
        ] {
            assert_eq!(strict.admits(url), wanted, "{url}");
        }
        let inside = way_out(&["10.1.0.0/16"], false);
        assert_eq!(inside.admits("https://10.1.2.3/"), Ok(()));
        assert_eq!(
            inside.admits("https://10.2.2.3/"),
            Err(OutboundError::Address)
        );
        let loopback = way_out(&[], true);
        assert_eq!(loopback.admits("http://127.0.0.1:9/"), Ok(()));
        assert_eq!(loopback.admits("http://localhost:9/"), Ok(()));
        assert_eq!(
            loopback.admits("http://10.0.0.1/"),
            Err(OutboundError::Address)
        );
        assert_eq!(
            loopback.admits("http://keys.example.org/"),
            Err(OutboundError::Url)
        );
    }

    #[test]
    fn a_name_that_leads_inside_leads_nowhere() {
        // The name is resolved, and what comes of it is checked: nothing is connected to.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let strict = way_out(&[], false);
        let asked = strict.ask(&errand(&format!("https://localhost:{port}/")));
        assert_eq!(asked.unwrap_err(), OutboundError::Address);
        let nobody = listener.accept().unwrap_err();
        assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_answer_comes_back_as_it_is() {
        let (port, asked) = answering(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=5\r\nset-cookie: a=b\r\n\
             content-length: 2\r\n\r\n{}",
        );
        let mut errand = errand(&format!("http://127.0.0.1:{port}/jwks?x=1"));
        errand.authorization = Some("Bearer t".to_owned());
        let reply = way_out(&[], true).ask(&errand).unwrap();
        assert_eq!((reply.status, &*reply.body), (200, &b"{}"[..]));
        assert_eq!(reply.cache_control.as_deref(), Some("max-age=5"));
        let asked = asked.join().unwrap().to_ascii_lowercase();
        assert!(asked.starts_with("get /jwks?x=1 "), "{asked}");
        assert!(asked.contains("authorization: bearer t"), "{asked}");
    }

    #[test]
    fn a_form_is_posted() {
        let (port, asked) = answering("HTTP/1.1 400 Bad\r\ncontent-length: 2\r\n\r\n{}");
        let mut errand = errand(&format!("http://127.0.0.1:{port}/token"));
        errand.form = Some("a=b".to_owned());
        assert_eq!(way_out(&[], true).ask(&errand).unwrap().status, 400);
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /token "), "{asked}");
        assert!(asked.contains("application/x-www-form-urlencoded"));
    }

    #[test]
    fn redirects_are_not_followed() {
        let (port, asked) = answering(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        );
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(way_out(&[], true).ask(&errand(&url)).unwrap().status, 302);
        asked.join().unwrap();
    }

    #[test]
    fn what_is_too_large_or_no_http_is_no_answer() {
        for (answer, wanted) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n\
                 0123456789012345678901234567890123456789012345678901234567890123456789\
                 0123456789012345678901234567890",
                OutboundError::Size,
            ),
            ("SSH-2.0-x\r\n\r\n", OutboundError::Protocol),
        ] {
            let (port, asked) = answering(answer);
            let url = format!("http://127.0.0.1:{port}/");
            let failed = way_out(&[], true).ask(&errand(&url)).unwrap_err();
            assert_eq!(failed, wanted, "{answer}");
            asked.join().unwrap();
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = closed.local_addr().unwrap().port();
        drop(closed);
        let failed = way_out(&[], true).ask(&errand(&format!("http://127.0.0.1:{port}/")));
        assert_eq!(failed.unwrap_err(), OutboundError::Connection);
    }
}
