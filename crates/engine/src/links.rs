//! The addresses that clients use: how links, issuers and token URLs are built.

use access::TenantId;

use crate::house::HouseConfig;

/// The addresses of one tenant as its caller sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// Everything of the tenant: `https://fhir.example.org/t/lakeside`.
    root: Box<str>,
}

/// What a proxy that is believed says about how a request reached it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// `http` or `https`.
    pub scheme: Option<&'static str>,
    /// The host, perhaps with its port.
    pub host: Option<String>,
    /// The port, where the host has none.
    pub port: Option<u16>,
    /// The path that the proxy took away: `/clinic`; empty for none.
    pub prefix: String,
}

/// How a caller reached the house.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached<'a> {
    /// The request's `Host`.
    pub host: Option<&'a str>,
    /// What a believed proxy says.
    pub forwarded: Option<&'a Forwarded>,
}

impl<'a> Reached<'a> {
    /// The host that the caller asked for: what a believed proxy says, else `Host`.
    pub fn host(&self) -> Option<&'a str> {
        let told = self.forwarded.and_then(|f| f.host.as_deref());
        told.filter(|h| is_host(h)).or(self.host)
    }

    fn scheme(&self, config: &HouseConfig) -> &'static str {
        let told = self.forwarded.and_then(|f| f.scheme);
        told.unwrap_or_else(|| config.scheme())
    }

    fn prefix(&self) -> &'a str {
        self.forwarded.map_or("", |f| &f.prefix)
    }

    /// The origin with this host.
    fn at(&self, config: &HouseConfig, host: &str) -> String {
        let scheme = self.scheme(config);
        let port = self.forwarded.and_then(|f| f.port);
        let usual = if scheme == "https" { 443 } else { 80 };
        let bare = host.rsplit_once(':').is_none_or(|_| host.ends_with(']'));
        match port.filter(|port| bare && *port != usual) {
            Some(port) => format!("{scheme}://{host}:{port}{}", self.prefix()),
            None => [scheme, "://", host, self.prefix()].concat(),
        }
    }
}

impl Links {
    /// The addresses of a tenant; `of_domain`: the host named the tenant.
    pub(crate) fn new(
        config: &HouseConfig,
        tenant: &TenantId,
        reached: Reached<'_>,
        of_domain: bool,
    ) -> Self {
        match reached.host().filter(|h| of_domain && is_host(h)) {
            Some(host) => Self {
                root: reached.at(config, &host.to_ascii_lowercase()).into(),
            },
            None => Self::under(&origin(config, reached), tenant),
        }
    }

    /// The addresses of a tenant under an [`origin`].
    pub(crate) fn under(origin: &str, tenant: &TenantId) -> Self {
        Self {
            root: [origin, "/t/", tenant.name().as_str()].concat().into(),
        }
    }

    /// The addresses of a tenant at its own host under the domain, and perhaps at a port; none where the house
    /// has no domain.
    pub(crate) fn at_own_host(
        config: &HouseConfig,
        tenant: &TenantId,
        reached: Reached<'_>,
        port: Option<u16>,
    ) -> Option<Self> {
        let (scheme, domain) = (reached.scheme(config), config.domain.as_deref()?);
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let root = format!("{scheme}://{}.{domain}{port}", tenant.name().as_str());
        Some(Self { root: root.into() })
    }

    /// The port of a tenant's own host, as far as its addresses name one; none where the tenant is a path of
    /// the house.
    pub(crate) fn own_port(&self, tenant: &TenantId) -> Option<Option<u16>> {
        if self.house(tenant).is_some() {
            return None;
        }
        let port = self.origin().rsplit_once(':').map(|(_, port)| port);
        Some(port.and_then(|port| port.parse().ok()))
    }

    /// The FHIR base, without a slash at its end.
    pub fn fhir(&self) -> String {
        [&self.root, "/fhir"].concat()
    }

    /// Where access tokens are given; the audience of client assertions.
    pub fn token(&self) -> String {
        format!("{}/auth/token", self.root)
    }

    /// The tenant's public keys.
    pub fn jwks(&self) -> String {
        format!("{}/auth/jwks", self.root)
    }

    /// The tenant as an OAuth issuer.
    pub fn issuer(&self) -> String {
        self.auth("")
    }

    /// A page or an endpoint of the tenant's issuer, by what follows `…/auth`.
    pub fn auth(&self, rest: &str) -> String {
        format!("{}/auth{rest}", self.root)
    }

    /// The address of the house, where the tenant is one of its paths.
    pub(crate) fn house(&self, tenant: &TenantId) -> Option<&str> {
        let rest = self.root.strip_suffix(tenant.name().as_str())?;
        rest.strip_suffix("/t/")
    }

    /// Scheme, host and perhaps port of all addresses.
    pub fn origin(&self) -> &str {
        let after = self.root.find("://").map_or(0, |at| at + 3);
        let rest = self.root.get(after..).unwrap_or_default();
        let end = rest.find('/').map_or(self.root.len(), |at| after + at);
        self.root.get(..end).unwrap_or_default()
    }

    /// The path of everything under the tenant's issuer, as browsers see it.
    pub fn auth_path(&self) -> &str {
        let after = self.root.find("://").map_or(0, |at| at + 3);
        let rest = self.root.get(after..).unwrap_or_default();
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("")
    }

    /// Whether the addresses begin with `https:`.
    pub fn is_https(&self) -> bool {
        self.root.starts_with("https:")
    }
}

/// What links start with: the public URL; else the host that a believed proxy or the request names,
/// if it may be named; else the address listened on.
pub(crate) fn origin(config: &HouseConfig, reached: Reached<'_>) -> String {
    if let Some(url) = &config.public_url {
        return url.clone();
    }
    let told = reached.forwarded.and_then(|f| f.host.as_deref());
    let listed = |h: &&str| {
        let bare = h.rsplit_once(':').map_or(*h, |(name, _)| name);
        let allowed = |a: &String| a.eq_ignore_ascii_case(h) || a.eq_ignore_ascii_case(bare);
        let own = config
            .listen_url
            .split_once("://")
            .is_some_and(|(_, own)| own == *h);
        own || matches!(bare, "localhost" | "127.0.0.1" | "[::1]")
            || config.allowed_hosts.iter().any(allowed)
    };
    let asked = reached.host.filter(|h| is_host(h)).filter(listed);
    match told.filter(|h| is_host(h)).or(asked) {
        Some(host) => reached.at(config, host),
        None => format!("{}{}", config.listen_url, reached.prefix()),
    }
}

/// Whether a `Host` is a host and perhaps a port, so that a link that begins with it leads there:
/// `localhost:80@evil.example` is none.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some(parts) if !host.ends_with(']') => parts,
        _ => (host, ""),
    };
    let of_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let literal = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let good = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(of_name),
    };
    good && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> HouseConfig {
        HouseConfig {
            listen_url: "http://10.0.0.1:80".into(),
            allowed_hosts: vec!["clinic.example".into()],
            ..HouseConfig::default()
        }
    }

    #[test]
    fn links_name_only_hosts_that_are_allowed() {
        for (host, wanted) in [
            (None, "http://10.0.0.1:80"),
            (Some("evil.example"), "http://10.0.0.1:80"),
            (Some("10.0.0.1:80"), "http://10.0.0.1:80"),
            (Some("clinic.example"), "http://clinic.example"),
            (Some("Clinic.example:81"), "http://Clinic.example:81"),
            (Some("127.0.0.1:5"), "http://127.0.0.1:5"),
            (Some("[::1]:5"), "http://[::1]:5"),
            (Some("localhost:80@evil.example"), "http://10.0.0.1:80"),
            (Some("clinic.example:evil.example"), "http://10.0.0.1:80"),
            (Some("clinic.example:1/x?"), "http://10.0.0.1:80"),
        ] {
            let reached = Reached {
                host,
                forwarded: None,
            };
            assert_eq!(origin(&config(), reached), wanted, "{host:?}");
        }
    }

    #[test]
    fn a_public_url_wins() {
        let config = HouseConfig {
            public_url: Some("https://f.example/x".into()),
            ..config()
        };
        let forwarded = Forwarded {
            host: Some("other.example".into()),
            prefix: "/y".into(),
            ..Forwarded::default()
        };
        let reached = Reached {
            host: Some("127.0.0.1"),
            forwarded: Some(&forwarded),
        };
        assert_eq!(origin(&config, reached), "https://f.example/x");
    }

    #[test]
    fn what_a_believed_proxy_says_is_named() {
        let told = |scheme, host: Option<&str>, port, prefix: &str| {
            let forwarded = Forwarded {
                scheme,
                host: host.map(str::to_owned),
                port,
                prefix: prefix.to_owned(),
            };
            let reached = Reached {
                host: Some("inside"),
                forwarded: Some(&forwarded),
            };
            origin(&config(), reached)
        };
        let https = Some("https");
        assert_eq!(
            told(https, Some("a.example"), None, ""),
            "https://a.example"
        );
        assert_eq!(
            told(None, Some("a.example"), None, "/x"),
            "http://a.example/x"
        );
        assert_eq!(
            told(https, Some("a.example"), Some(8443), ""),
            "https://a.example:8443"
        );
        assert_eq!(
            told(https, Some("a.example"), Some(443), ""),
            "https://a.example"
        );
        assert_eq!(told(https, Some("[::1]"), Some(1), ""), "https://[::1]:1");
        assert_eq!(told(https, Some("a:1"), Some(2), ""), "https://a:1");
        assert_eq!(told(https, Some("a/evil"), None, ""), "http://10.0.0.1:80");
        assert_eq!(told(https, None, None, "/x"), "http://10.0.0.1:80/x");
    }
}
