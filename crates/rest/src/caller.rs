//! Which tenant a request is for.
//!
//! The path names a tenant, or the host does; when both do they must agree. There is no default
//! tenant.

use base::Code;
use engine::{Failure, Gate};

use crate::call::Call;

/// The gate of the tenant that a request is for.
///
/// # Errors
/// `tenant-unknown`, `tenant-suspended`, `tenant-leaving`, `misdirected`.
pub(crate) fn gate(call: &Call) -> Result<Gate, Failure> {
    let reached = call.reached();
    let of_host = reached
        .host()
        .and_then(|h| tenant_of_host(call.house.config().domain.as_deref()?, h));
    let of_path = Some(call.value("tenant")).filter(|v| !v.is_empty());
    match (of_path, of_host) {
        (Some(path), Some(host)) if !path.eq_ignore_ascii_case(host) => {
            Err(Failure::of(Code::Misdirected))
        }
        (Some(name), _) => call.house.gate(name, reached, false),
        (None, Some(name)) => call.house.gate(&name.to_ascii_lowercase(), reached, true),
        (None, None) => Err(Failure::of(Code::TenantUnknown)),
    }
}

/// The name of the tenant that a request is for, whether there is one of that name or not.
pub(crate) fn tenant_name(call: &Call) -> Option<String> {
    let of_path = Some(call.value("tenant")).filter(|v| !v.is_empty());
    let of_host = || {
        let reached = call.reached();
        tenant_of_host(call.house.config().domain.as_deref()?, reached.host()?).map(str::to_owned)
    };
    of_path
        .map(str::to_owned)
        .or_else(of_host)
        .map(|name| name.to_ascii_lowercase())
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
