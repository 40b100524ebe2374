//! The versions of FHIR, and values that exist once for each of them.

use std::fmt;
use std::sync::OnceLock;

/// A version of FHIR that a tenant can speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FhirVersion {
    /// 4.0.1
    #[default]
    R4,
    /// 4.3.0
    R4B,
    /// 5.0.0
    R5,
}

impl FhirVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 3] = [Self::R4, Self::R4B, Self::R5];

    /// The version as it stands in `CapabilityStatement.fhirVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::R4 => "4.0.1",
            Self::R4B => "4.3.0",
            Self::R5 => "5.0.0",
        }
    }

    /// The version as the media type parameter `fhirVersion` names it (`http.html#version-parameter`).
    pub const fn mime(self) -> &'static str {
        match self {
            Self::R4 => "4.0",
            Self::R4B => "4.3",
            Self::R5 => "5.0",
        }
    }

    /// Its name among people: `R4`, `R4B`, `R5`.
    pub const fn release(self) -> &'static str {
        match self {
            Self::R4 => "R4",
            Self::R4B => "R4B",
            Self::R5 => "R5",
        }
    }

    /// The version that this text names in full.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.as_str() == text)
    }
}

impl fmt::Display for FhirVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One value for each version, made on first use: what the process knows of a version it does not
/// serve costs nothing.
#[derive(Debug)]
pub struct PerVersion<T>([OnceLock<T>; FhirVersion::ALL.len()]);

impl<T> PerVersion<T> {
    /// No values yet.
    pub const fn new() -> Self {
        Self([const { OnceLock::new() }; FhirVersion::ALL.len()])
    }

    /// A version's value.
    pub fn get(&self, version: FhirVersion, make: impl FnOnce() -> T) -> &T {
        let [r4, r4b, r5] = &self.0;
        let cell = match version {
            FhirVersion::R4 => r4,
            FhirVersion::R4B => r4b,
            FhirVersion::R5 => r5,
        };
        cell.get_or_init(make)
    }
}

impl<T> Default for PerVersion<T> {
    fn default() -> Self {
        Self::new()
    }
}
