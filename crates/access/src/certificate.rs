//! Certificates that clients of connections show, and what a client of a tenant says about its own
//! (RFC 8705). Knows nothing of TLS and of DER: what is in a certificate was read by whoever took the
//! connection, who also saw that the client holds its key.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The certificate that the client of a connection showed, and whose key it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// SHA-256 of the whole certificate.
    pub sha256: [u8; 32],
    /// Its names, if an authority that the house trusts vouches for them.
    pub names: Option<CertificateNames>,
}

/// Names in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// The subject.
    pub subject: DistinguishedName,
    /// `dNSName`s of the subject's alternative names.
    pub dns: Vec<String>,
    /// `uniformResourceIdentifier`s.
    pub uri: Vec<String>,
    /// `iPAddress`es.
    pub ip: Vec<IpAddr>,
    /// `rfc822Name`s.
    pub email: Vec<String>,
    /// SHA-256 of the certificates of those authorities that vouch for them.
    pub authorities: Vec<[u8; 32]>,
    /// Whether the house trusts no other authorities than these.
    pub only: bool,
}

impl CertificateNames {
    /// Whether the authority that a client names vouches for them. A client that names none is
    /// recognised as long as there is no second one: the authority of one clinic says nothing about the
    /// programs of another.
    fn are_vouched_for(&self, authority: Option<&AuthorityDigest>) -> bool {
        match authority {
            Some(AuthorityDigest(wanted)) => self.authorities.contains(wanted),
            None => self.only,
        }
    }
}

/// SHA-256 of the certificate of an authority; as it is kept and told: in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorityDigest(pub [u8; 32]);

impl AuthorityDigest {
    /// Reads 64 hexadecimal digits, perhaps with colons between pairs.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
        let (pairs, rest) = digits.as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |d: u8| char::from(d).to_digit(16);
            let [high, low] = pair.map(digit);
            *byte = u8::try_from(high? << 4 | low?).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for AuthorityDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for AuthorityDigest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AuthorityDigest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wanted = "authority is the SHA-256 of a certificate: 64 hexadecimal digits";
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(wanted))
    }
}

/// A distinguished name, the most specific part first, as RFC 4514 writes it. Each part has one or more
/// pairs of type and value; types are upper-case short names, or numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistinguishedName(Vec<Vec<(String, String)>>);

/// Parts of a name, and pairs of a part.
const PARTS_MAX: usize = 32;

impl DistinguishedName {
    /// Puts one together from its parts, the most specific first.
    pub fn new(mut parts: Vec<Vec<(String, String)>>) -> Self {
        parts.iter_mut().for_each(|part| part.sort());
        Self(parts)
    }

    /// Puts one together from its parts, whose types are short names or numbers, however they are
    /// written.
    pub fn of_types(parts: Vec<Vec<(String, String)>>) -> Self {
        let known = |(name, value): (String, String)| (type_name(&name).unwrap_or(name), value);
        let part = |part: Vec<_>| part.into_iter().map(known).collect();
        Self::new(parts.into_iter().map(part).collect())
    }

    /// Reads the text of RFC 4514. Spaces around separators are no part of it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = vec![Vec::new()];
        let mut rest = text;
        loop {
            let (name, after) = rest.split_once('=')?;
            let (value, end, after) = value(after.trim_start_matches(' '))?;
            parts.last_mut()?.push((type_name(name.trim())?, value));
            match end {
                None => break,
                Some('+') => {}
                Some(_) => parts.push(Vec::new()),
            }
            rest = after;
            let pairs: usize = parts.iter().map(Vec::len).sum();
            (pairs < PARTS_MAX).then_some(())?;
        }
        Some(Self::new(parts))
    }
}

/// A type of a name in the one form that is compared: short names in upper case, others as numbers.
fn type_name(name: &str) -> Option<String> {
    let number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let name = match name.split_at_checked(4) {
        Some((oid, rest)) if oid.eq_ignore_ascii_case("oid.") => rest,
        _ => name,
    };
    if number(name) {
        return Some(
            SHORT
                .iter()
                .find(|(oid, _)| *oid == name)
                .map_or_else(|| name.to_owned(), |(_, short)| (*short).to_owned()),
        );
    }
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then(|| name.to_ascii_uppercase())
}

/// Short names of types (RFC 4514 section 3, and two that are used as widely).
const SHORT: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
];

/// A value up to its separator: the value, the separator, and what is behind it.
fn value(text: &str) -> Option<(String, Option<char>, &str)> {
    let mut bytes = Vec::new();
    // Spaces that were escaped are part of the value, others at its end are not.
    let mut kept = 0;
    let mut rest = text.chars();
    let end = loop {
        let Some(c) = rest.next() else { break None };
        match c {
            ',' | '+' | ';' => break Some(c),
            '"' | '<' | '>' | '\0' => return None,
            '#' if bytes.is_empty() => return None,
            '\\' => {
                let next = rest.next()?;
                match next.to_digit(16) {
                    Some(high) => {
                        let low = rest.next()?.to_digit(16)?;
                        bytes.push(u8::try_from(high * 16 + low).ok()?);
                    }
                    None if " \"#+,;<=>\\".contains(next) => bytes.push(u8::try_from(next).ok()?),
                    None => return None,
                }
                kept = bytes.len();
            }
            ' ' => bytes.push(b' '),
            c => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                kept = bytes.len();
            }
        }
    };
    bytes.truncate(kept);
    let value = String::from_utf8(bytes).ok().filter(|v| !v.is_empty())?;
    Some((value, end, rest.as_str()))
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            for (at, (name, value)) in part.iter().enumerate() {
                write!(f, "{}{name}=", if at == 0 { "" } else { "+" })?;
                for c in value.chars() {
                    f.write_str(if " \"#+,;<=>\\".contains(c) { "\\" } else { "" })?;
                    write!(f, "{c}")?;
                }
            }
        }
        Ok(())
    }
}

/// How a client is recognised by its certificate (RFC 8705 section 2). As it is kept: JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByCertificate {
    /// `self_signed_tls_client_auth`: one of those in its key set.
    SelfSigned,
    /// `tls_client_auth`: an authority vouches for this subject (RFC 4514).
    Subject(String),
    /// The same, for this `dNSName`.
    Dns(String),
    /// The same, for this `uniformResourceIdentifier`.
    Uri(String),
    /// The same, for this `iPAddress`.
    Ip(IpAddr),
    /// The same, for this `rfc822Name`.
    Email(String),
}

impl ByCertificate {
    /// The method, as `token_endpoint_auth_method` names it.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::SelfSigned => "self_signed_tls_client_auth",
            _ => "tls_client_auth",
        }
    }

    /// Whether a certificate that this authority vouches for is the client's; never for one that is in a
    /// key set, which is looked for there.
    pub fn is_named_by(
        &self,
        shown: &ShownCertificate,
        authority: Option<&AuthorityDigest>,
    ) -> bool {
        let names = shown.names.as_ref();
        let Some(names) = names.filter(|names| names.are_vouched_for(authority)) else {
            return false;
        };
        match self {
            Self::SelfSigned => false,
            Self::Subject(wanted) => {
                DistinguishedName::parse(wanted).is_some_and(|wanted| wanted == names.subject)
            }
            Self::Dns(wanted) => names.dns.iter().any(|n| n.eq_ignore_ascii_case(wanted)),
            Self::Uri(wanted) => names.uri.contains(wanted),
            Self::Ip(wanted) => names.ip.contains(wanted),
            Self::Email(wanted) => names.email.contains(wanted),
        }
    }
}

/// What certificates are to a client. As it is kept: JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateTerms {
    /// It proves who it is by one, and by nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<ByCertificate>,
    /// The authority that vouches for its name; without one the only authority that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<AuthorityDigest>,
    /// Its access tokens are good over connections with its certificate alone (RFC 8705 section 3).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bound: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> DistinguishedName {
        DistinguishedName::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn names_are_compared_however_they_are_written() {
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        let wanted = DistinguishedName::new(vec![
            vec![pair("CN", "Growth, chart")],
            vec![pair("OU", "b"), pair("O", "Acme")],
            vec![pair("C", "DE")],
        ]);
        for text in [
            r"CN=Growth\, chart,O=Acme+OU=b,C=DE",
            r"cn = Growth\2c chart , ou=b + o=Acme, c=DE ",
            r"2.5.4.3=Growth\, chart;OU=b+O=Acme;C=DE",
        ] {
            assert_eq!(subject(text), wanted, "{text}");
        }
        assert_eq!(subject(&wanted.to_string()), wanted);
        for other in [
            r"CN=Growth\, chart,O=Acme,C=DE",
            r"C=DE,O=Acme+OU=b,CN=Growth\, chart",
            r"CN=growth\, chart,O=Acme+OU=b,C=DE",
            r"CN=Growth\, chart\ ,O=Acme+OU=b,C=DE",
        ] {
            assert_ne!(subject(other), wanted, "{other}");
        }
        for bad in [
            "", "CN", "CN=", "=x", "CN=a,", "CN=#04", "C N=a", "CN=\"a\"", r"CN=a\", r"CN=\ff",
        ] {
            assert_eq!(DistinguishedName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_no_authority_vouches_for_is_nobodys_name() {
        let names = CertificateNames {
            subject: subject("CN=app"),
            dns: vec!["app.example".to_owned()],
            uri: vec!["urn:app".to_owned()],
            ip: vec![IpAddr::from([10, 0, 0, 1])],
            email: vec!["a@app.example".to_owned()],
            authorities: vec![[1; 32]],
            only: true,
        };
        let mut shown = ShownCertificate {
            sha256: [7; 32],
            names: Some(names),
        };
        let rules = [
            ByCertificate::Subject("CN=app".to_owned()),
            ByCertificate::Dns("App.example".to_owned()),
            ByCertificate::Uri("urn:app".to_owned()),
            ByCertificate::Ip(IpAddr::from([10, 0, 0, 1])),
            ByCertificate::Email("a@app.example".to_owned()),
        ];
        for rule in &rules {
            assert!(rule.is_named_by(&shown, None), "{rule:?}");
            let own = AuthorityDigest([1; 32]);
            assert!(rule.is_named_by(&shown, Some(&own)), "{rule:?}");
            let other = AuthorityDigest([2; 32]);
            assert!(!rule.is_named_by(&shown, Some(&other)), "{rule:?}");
        }
        for rule in [
            ByCertificate::Subject("CN=app,O=x".to_owned()),
            ByCertificate::Dns("b.app.example".to_owned()),
            ByCertificate::Uri("urn:APP".to_owned()),
            ByCertificate::Ip(IpAddr::from([10, 0, 0, 2])),
            ByCertificate::Email("b@app.example".to_owned()),
            ByCertificate::SelfSigned,
        ] {
            assert!(!rule.is_named_by(&shown, None), "{rule:?}");
        }
        // Of several authorities the client says which.
        if let Some(names) = &mut shown.names {
            names.only = false;
        }
        let own = AuthorityDigest([1; 32]);
        for rule in &rules {
            assert!(!rule.is_named_by(&shown, None), "{rule:?}");
            assert!(rule.is_named_by(&shown, Some(&own)), "{rule:?}");
        }
        shown.names = None;
        let named = |rule: &ByCertificate| rule.is_named_by(&shown, Some(&own));
        assert!(!rules.iter().any(named));
    }

    #[test]
    fn authorities_are_told_apart_by_their_digests() {
        let text = "0a".repeat(32);
        let read = AuthorityDigest::parse(&text).unwrap();
        assert_eq!(read, AuthorityDigest([10; 32]));
        assert_eq!(read.to_string(), text);
        let colons = ["0A"; 32].join(":");
        assert_eq!(AuthorityDigest::parse(&colons), Some(read));
        for bad in ["", "0a", &"0".repeat(63), &"0g".repeat(32), &"é".repeat(32)] {
            assert_eq!(AuthorityDigest::parse(bad), None, "{bad}");
        }
    }
}
