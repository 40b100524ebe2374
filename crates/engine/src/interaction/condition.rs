//! Conditions that a caller sets on the version of a resource (`http.html#cread`,
//! `http.html#concurrency`).

use base::{Code, Micros, Version};
use store::{Condition, Stored, Versions};

use crate::failure::Failure;

/// Versions that a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    /// `*`
    Any,
    /// Any of these.
    OneOf(Vec<Version>),
}

/// A read that need not be answered with content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unless {
    /// `If-None-Match`
    pub version: Option<VersionMatch>,
    /// `If-Modified-Since`; looked at only without `If-None-Match` (RFC 9110 section 13.1.3).
    pub modified_since: Option<Micros>,
}

impl Unless {
    /// Whether the caller's copy of this version is good.
    pub(crate) fn holds_for(&self, stored: &Stored) -> bool {
        match (&self.version, self.modified_since) {
            (Some(VersionMatch::Any), _) => true,
            (Some(VersionMatch::OneOf(versions)), _) => versions.contains(&stored.version),
            (None, Some(since)) => stored.updated.as_secs() <= since.as_secs(),
            (None, None) => false,
        }
    }
}

/// Conditions on a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteConditions {
    /// `If-Match`: any of these.
    pub if_match: Option<Vec<Version>>,
    /// `If-Match: *`: there must be a current version.
    pub if_there: bool,
    /// `If-None-Match`
    pub if_none_match: Option<VersionMatch>,
    /// `If-Unmodified-Since`; not looked at beside `If-Match` (RFC 9110 section 13.1.4).
    pub unmodified_since: Option<Micros>,
}

impl WriteConditions {
    /// The condition in the store's words.
    ///
    /// # Errors
    /// `request-invalid` for combinations that mean nothing.
    pub(crate) fn to_store(&self) -> Result<Option<Condition>, Failure> {
        match (self.if_match.as_deref(), &self.if_none_match) {
            (None, None) if !self.if_there && self.unmodified_since.is_some() => {
                Ok(self.unmodified_since.map(Condition::Unmodified))
            }
            (None, Some(VersionMatch::OneOf(versions))) if !self.if_there => self.none_of(versions),
            (None, None) if self.if_there => Ok(Some(Condition::There)),
            (None, None) => Ok(None),
            (Some([version]), None) => Ok(Some(Condition::Version(*version))),
            (Some(versions), None) => match Versions::new(versions) {
                Some(versions) => Ok(Some(Condition::OneOf(versions))),
                None => Err(Failure::new(
                    Code::RequestInvalid,
                    "If-Match names too many versions",
                )),
            },
            (None, Some(VersionMatch::Any)) if !self.if_there => Ok(Some(Condition::Absent)),
            _ => Err(Failure::new(
                Code::RequestInvalid,
                "a write takes If-Match or If-None-Match, not both",
            )),
        }
    }

    /// None of these versions is current. Tags that are none of ours cannot be.
    fn none_of(&self, versions: &[Version]) -> Result<Option<Condition>, Failure> {
        if versions.is_empty() {
            return Ok(self.unmodified_since.map(Condition::Unmodified));
        }
        if self.unmodified_since.is_some() {
            let text = "a write takes If-None-Match or If-Unmodified-Since, not both";
            return Err(Failure::new(Code::RequestInvalid, text));
        }
        match Versions::new(versions) {
            Some(versions) => Ok(Some(Condition::NoneOf(versions))),
            None => Err(Failure::new(
                Code::RequestInvalid,
                "If-None-Match names too many versions",
            )),
        }
    }
}

/// The version in decimal digits, as this server writes it; `None` for any other text.
pub(super) fn version(digits: &str) -> Option<Version> {
    let plain = !digits.is_empty()
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(Version)).flatten()
}

/// The version that an entity tag names: `W/"3"` (`"3"` and `3` are taken too).
fn etag(text: &str) -> Option<Version> {
    let text = text.trim();
    let text = text.strip_prefix("W/").unwrap_or(text);
    let digits = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => text,
    };
    version(digits)
}

impl VersionMatch {
    /// What an `If-None-Match` names.
    pub fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        Self::OneOf(text.split(',').filter_map(etag).collect())
    }
}

impl WriteConditions {
    /// The conditions of a request, from its `If-Match` and `If-None-Match`.
    ///
    /// # Errors
    /// `version-conflict` for an `If-Match` that names no version of ours: it cannot match.
    pub fn parse(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Self, Failure> {
        let no_version = || {
            Failure::new(
                Code::VersionConflict,
                "If-Match names no version: versions are W/\"1\", W/\"2\" …",
            )
        };
        let if_there = if_match.is_some_and(|t| t.trim() == "*");
        let versions = |text: &str| {
            // Tags that are none of ours match nothing; the others may.
            let known: Vec<Version> = text.split(',').filter_map(etag).collect();
            if known.is_empty() {
                return Err(no_version());
            }
            Ok(known)
        };
        let if_match = if_match.filter(|_| !if_there).map(versions).transpose()?;
        Ok(Self {
            if_match,
            if_there,
            if_none_match: if_none_match.map(VersionMatch::parse),
            unmodified_since: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_name_versions() {
        for (text, wanted) in [
            ("W/\"3\"", Some(3)),
            ("\"3\"", Some(3)),
            ("3", Some(3)),
            ("W/\"03\"", None),
            ("W/\"3", None),
            ("W/\"x\"", None),
            ("", None),
            ("W/\"-1\"", None),
            ("W/\"99999999999999999999\"", None),
        ] {
            assert_eq!(etag(text), wanted.map(Version), "{text}");
        }
    }

    #[test]
    fn conditions_that_mean_nothing_are_refused() {
        let store = |a, b| WriteConditions::parse(a, b).and_then(|c| c.to_store());
        assert_eq!(store(None, None).unwrap(), None);
        assert_eq!(
            store(Some("W/\"2\""), None).unwrap(),
            Some(Condition::Version(Version(2)))
        );
        let two = Versions::new(&[Version(2), Version(4)]).unwrap();
        assert_eq!(
            store(Some("W/\"2\", \"x\",W/\"4\""), None).unwrap(),
            Some(Condition::OneOf(two))
        );
        assert!(store(Some("1,2,3,4,5,6,7,8,9"), None).is_err());
        assert_eq!(store(None, Some("*")).unwrap(), Some(Condition::Absent));
        assert_eq!(store(Some("*"), None).unwrap(), Some(Condition::There));
        assert!(store(Some("*"), Some("*")).is_err());
        assert_eq!(
            store(Some("abc"), None).unwrap_err().code(),
            Code::VersionConflict
        );
        assert_eq!(
            store(Some("1"), Some("*")).unwrap_err().code(),
            Code::RequestInvalid
        );
        let one = Versions::new(&[Version(1)]).unwrap();
        assert_eq!(
            store(None, Some("W/\"1\"")).unwrap(),
            Some(Condition::NoneOf(one))
        );
        // Which can only be another server's.
        assert_eq!(store(None, Some("W/\"x\"")).unwrap(), None);
    }
}
