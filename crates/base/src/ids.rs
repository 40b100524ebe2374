//! Identifiers that are checked once, where they enter.

use std::fmt;
use std::sync::Arc;

/// Why an identifier was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a FHIR `id`: 1 to 64 of `A-Z a-z 0-9 - .`.
    #[error("an id has 1 to 64 characters of A-Z, a-z, 0-9, '-' and '.'")]
    ResourceId,
    /// Not a tenant name.
    #[error("a tenant name has 3 to 63 characters of a-z, 0-9 and '-', and starts with a letter")]
    TenantName,
    /// A tenant name that is kept for Insula itself.
    #[error("this tenant name is reserved")]
    Reserved,
}

/// A FHIR logical id (`datatypes.html#id`): 1 to 64 characters of `A-Z a-z 0-9 - .`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(Arc<str>);

impl ResourceId {
    /// Checks and takes an id.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let ok = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(IdError::ResourceId)
        }
    }

    /// A fresh, time-ordered id in the form of a UUID version 7 (RFC 9562 section 5.7).
    ///
    /// `millis` is Unix time in milliseconds; `random` gives the 74 random bits.
    pub fn fresh(millis: u64, random: [u8; 10]) -> Self {
        let [_, _, t0, t1, t2, t3, t4, t5] = millis.to_be_bytes();
        let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] = random;
        let bytes = [
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            0x70 | (r0 & 0x0f),
            r1,
            0x80 | (r2 & 0x3f),
            r3,
            r4,
            r5,
            r6,
            r7,
            r8,
            r9,
        ];
        Self(uuid_text(bytes).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The lower-case hyphenated text of a UUID.
pub fn uuid_text(bytes: [u8; 16]) -> String {
    use fmt::Write;
    let mut text = String::with_capacity(36);
    for (i, b) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{b:02x}");
    }
    text
}

/// The 16 bytes of a *lower-case hyphenated* UUID text; `None` for any other text.
pub fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut out = [0u8; 16];
    let mut nibbles = 0usize;
    for (i, b) in text.bytes().enumerate() {
        if matches!(i, 8 | 13 | 18 | 23) {
            if b != b'-' {
                return None;
            }
            continue;
        }
        let v = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            _ => return None,
        };
        let slot = out.get_mut(nibbles / 2)?;
        *slot = (*slot << 4) | v;
        nibbles += 1;
    }
    (nibbles == 32).then_some(out)
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a tenant as it stands in URLs: `^[a-z][a-z0-9-]{2,62}$`, not a reserved word.
///
/// A name is *not* a right: only `access::Directory::resolve` turns it into a `TenantId`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantName(Box<str>);

/// Names that can never be a tenant's.
pub const RESERVED_NAMES: &[&str] = &[
    "admin", "api", "auth", "console", "fhir", "health", "insula", "metrics", "rpc", "static",
    "system", "www",
];

impl TenantName {
    /// Checks and takes a name.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let shape = (3..=63).contains(&text.len())
            && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !shape {
            return Err(IdError::TenantName);
        }
        if RESERVED_NAMES.contains(&text) {
            return Err(IdError::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource's version, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in one tenant's change sequence, counted from 1; 0 is "before any change".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

/// The id of one request, shown to the caller and kept in audit lines.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u128);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_names() {
        for good in ["abc", "lakeside", "a-1", &"a".repeat(63)] {
            assert!(TenantName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Abc",
            "1abc",
            "a_b",
            "a.b",
            "é12",
            &"a".repeat(64),
            "admin",
            "-ab",
        ] {
            assert!(TenantName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fresh_ids_are_uuids_and_ordered() {
        let a = ResourceId::fresh(1_000, [255; 10]);
        let b = ResourceId::fresh(1_001, [0; 10]);
        assert!(a < b);
        let bytes = uuid_bytes(a.as_str()).unwrap();
        assert_eq!(uuid_text(bytes), a.as_str());
        assert_eq!(bytes[6] >> 4, 7);
        assert_eq!(uuid_bytes("not-a-uuid"), None);
        assert_eq!(uuid_bytes(&a.as_str().to_uppercase()), None);
    }
}
