//! Which tenant a request is for, and where it comes from.
//!
//! The path names a tenant, or the host does; when both do they must agree. There is no default
//! tenant.

use std::net::IpAddr;

use base::Code;
use engine::{Failure, Gate, House};
use http::HeaderMap;

use crate::call::Call;

/// The gate of the tenant that a request is for.
///
/// # Errors
/// `tenant-unknown`, `tenant-suspended`, `tenant-leaving`, `misdirected`.
pub(crate) fn gate(call: &Call) -> Result<Gate, Failure> {
    let host = call.host();
    let of_host = host.and_then(|h| tenant_of_host(call.house.config().domain.as_deref()?, h));
    let of_path = Some(call.value("tenant")).filter(|v| !v.is_empty());
    match (of_path, of_host) {
        (Some(path), Some(host)) if !path.eq_ignore_ascii_case(host) => {
            Err(Failure::of(Code::Misdirected))
        }
        (Some(name), _) => call.house.gate(name, host, false),
        (None, Some(name)) => call.house.gate(&name.to_ascii_lowercase(), host, true),
        (None, None) => Err(Failure::of(Code::TenantUnknown)),
    }
}

/// The tenant that a host names under the domain.
fn tenant_of_host<'h>(domain: &str, host: &'h str) -> Option<&'h str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let split = name.len().checked_sub(domain.len() + 1)?;
    let (label, rest) = name.split_at_checked(split)?;
    let under = rest
        .strip_prefix('.')
        .is_some_and(|d| d.eq_ignore_ascii_case(domain));
    (under && !label.is_empty() && !label.contains('.')).then_some(label)
}

/// Where a request comes from: behind a proxy, what the proxy says last.
pub(crate) fn address(house: &House, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
    if !house.config().behind_tls_proxy {
        return peer;
    }
    let said = headers.get_all("x-forwarded-for").iter().next_back();
    let said = said
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.rsplit(',').next());
    said.and_then(|v| v.trim().parse().ok()).unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_names_a_tenant_under_the_domain_only() {
        for (host, wanted) in [
            ("lakeside.insula.example", Some("lakeside")),
            ("Lakeside.Insula.example:8443", Some("Lakeside")),
            ("insula.example", None),
            ("a.b.insula.example", None),
            (".insula.example", None),
            ("lakesideinsula.example", None),
            ("lakeside.other.example", None),
            ("", None),
            ("é.insula.example", Some("é")),
        ] {
            assert_eq!(tenant_of_host("insula.example", host), wanted, "{host}");
        }
    }
}
