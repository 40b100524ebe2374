//! The names in a certificate that an authority vouches for.

use std::net::IpAddr;

use engine::{CertificateNames, DistinguishedName};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// Reads them; none of a certificate that cannot be read, or has names that no text has.
pub(super) fn read(der: &[u8]) -> Option<CertificateNames> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut names = CertificateNames {
        subject: subject(certificate.subject())?,
        ..CertificateNames::default()
    };
    let others = certificate.subject_alternative_name().ok()?;
    for other in others.iter().flat_map(|all| &all.value.general_names) {
        match other {
            GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
            GeneralName::URI(name) => names.uri.push((*name).to_owned()),
            GeneralName::RFC822Name(name) => names.email.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => names.ip.extend(address(bytes)),
            _ => {}
        }
    }
    Some(names)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// A subject, the most specific part first: certificates write it last.
fn subject(name: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut parts = Vec::new();
    for part in name.iter_rdn() {
        let pairs = part.iter().map(|pair| {
            let value = pair.as_str().ok()?;
            Some((pair.attr_type().to_id_string(), value.to_owned()))
        });
        parts.push(pairs.collect::<Option<Vec<_>>>()?);
    }
    parts.reverse();
    Some(DistinguishedName::of_types(parts))
}
