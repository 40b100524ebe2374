//! Identity providers of a tenant, and which of them an operator set.

use std::fmt;

use base::Micros;
use serde::{Deserialize, Serialize};

/// Where a tenant's people may sign in instead of here.
#[derive(Clone)]
pub struct IdentityProvider {
    /// Its name in addresses.
    pub id: Box<str>,
    /// What it is, as whoever asks it wrote it down: a JSON object. Its member [`SetByOperator::MEMBER`]
    /// says that an operator set it.
    pub record: Box<str>,
}

impl fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityProvider({})", self.id)
    }
}

/// That an operator set a provider: who, when and why, and until when it lets people in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetByOperator {
    /// The operator.
    pub by: Box<str>,
    /// When, in microseconds of Unix time.
    pub at_us: i64,
    /// Why, in their words.
    pub reason: Box<str>,
    /// The issuer that it was set for. Another one, by the configuration of the house, is not what anybody
    /// of the tenant kept.
    pub issuer: Box<str>,
    /// From then on it lets nobody in, in microseconds of Unix time; without one the tenant keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_us: Option<i64>,
    /// The person of the tenant who keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_by: Option<Box<str>>,
    /// That it ended is written down, and what people had by it is taken off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

impl SetByOperator {
    /// Where a provider's record says it.
    pub const MEMBER: &'static str = "made";

    /// Whether it lets people in, where its issuer is this one.
    pub fn lets_in(&self, issuer: &str, now: Micros) -> bool {
        *self.issuer == *issuer && self.until_us.is_none_or(|until| now.0 < until)
    }

    /// Whether its time is over and nothing was done about it yet.
    pub fn is_due(&self, now: Micros) -> bool {
        !self.ended && self.until_us.is_some_and(|until| now.0 >= until)
    }

    /// Until when it lets people in; without an end where the tenant keeps it.
    pub fn until(&self) -> Option<Micros> {
        self.until_us.map(Micros)
    }
}
