//! The addresses that clients use: how links, issuers and token URLs are built.

use access::TenantId;

use crate::house::HouseConfig;

/// The addresses of one tenant as its caller sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// Everything of the tenant: `https://fhir.example.org/t/lakeside`.
    root: Box<str>,
}

impl Links {
    /// The addresses of a tenant. `host` is the request's `Host`, `of_domain` whether that host
    /// named the tenant.
    pub(crate) fn new(
        config: &HouseConfig,
        tenant: &TenantId,
        host: Option<&str>,
        of_domain: bool,
    ) -> Self {
        let scheme = config.scheme();
        let host = host.filter(|h| is_host(h));
        let root = match (of_domain, host) {
            (true, Some(host)) => format!("{scheme}://{}", host.to_ascii_lowercase()),
            _ => format!("{}/t/{}", origin(config, host), tenant.name()),
        };
        Self { root: root.into() }
    }

    /// The FHIR base, without a slash at its end.
    pub fn fhir(&self) -> String {
        format!("{}/fhir", self.root)
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
    pub fn issuer(&self) -> &str {
        &self.root
    }
}

/// Scheme, host and port that links start with: the public URL; else the request's host, if it is
/// on the list; else the address listened on.
pub(crate) fn origin(config: &HouseConfig, host: Option<&str>) -> String {
    if let Some(url) = &config.public_url {
        return url.clone();
    }
    let listed = host.filter(|h| is_host(h)).filter(|h| {
        let bare = h.rsplit_once(':').map_or(*h, |(name, _)| name);
        let allowed = |a: &String| a.eq_ignore_ascii_case(h) || a.eq_ignore_ascii_case(bare);
        let own = config
            .listen_url
            .split_once("://")
            .is_some_and(|(_, own)| own == *h);
        own || matches!(bare, "localhost" | "127.0.0.1" | "[::1]")
            || config.allowed_hosts.iter().any(allowed)
    });
    match listed {
        Some(host) => format!("{}://{host}", config.scheme()),
        None => config.listen_url.clone(),
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
            assert_eq!(origin(&config(), host), wanted, "{host:?}");
        }
    }

    #[test]
    fn a_public_url_wins() {
        let config = HouseConfig {
            public_url: Some("https://f.example/x".into()),
            ..config()
        };
        assert_eq!(origin(&config, Some("127.0.0.1")), "https://f.example/x");
    }
}
