//! The audit trails of tenants on their way to somebody outside.

use std::collections::BTreeMap;

use access::TenantId;
use base::{Micros, TenantName};
use fhir::audit_event::AuditEvent;
use fhir::definitions::FhirVersion;
use serde::{Deserialize, Serialize};

/// Whose trails go to a destination.
#[derive(Clone, Debug)]
pub enum ShipOf {
    /// Those of all tenants that have no destination of their own.
    House,
    /// One tenant's.
    Tenant(TenantId),
}

/// How far the trails were shipped: a place in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipPlace {
    /// The segment.
    pub segment: u64,
    /// The place in it.
    pub offset: u64,
    /// The last change of each tenant that was shipped.
    pub(crate) changes: BTreeMap<String, u64>,
    /// Tenants whose trail could not be read, and the place from which on it is not shipped.
    #[serde(default)]
    pub(crate) stuck: BTreeMap<String, (u64, u64)>,
    /// When everything had arrived last.
    #[serde(default)]
    level_us: i64,
}

impl ShipPlace {
    /// When everything had arrived last; the epoch if it never had.
    pub const fn level_at(&self) -> Micros {
        Micros(self.level_us)
    }

    /// The same place, where everything has arrived now.
    #[must_use]
    pub fn level(mut self, now: Micros) -> Self {
        self.level_us = now.0;
        self
    }

    /// The place from which on something is not shipped.
    pub(crate) fn oldest(&self) -> (u64, u64) {
        let stuck = self.stuck.values().copied();
        stuck.fold((self.segment, self.offset), Ord::min)
    }
}

/// An event to be shipped.
#[derive(Clone, Debug)]
pub struct ShippedEvent {
    /// The tenant.
    pub tenant: TenantName,
    /// Its id in hexadecimal digits: a name may be another tenant's later.
    pub tenant_id: String,
    /// Its version of FHIR.
    pub fhir: FhirVersion,
    /// The event.
    pub event: AuditEvent,
}

impl ShippedEvent {
    /// The event's id, with the tenant's: that of the event alone is only one in its tenant.
    pub fn uid(&self) -> String {
        format!("{}.{}", self.tenant_id, self.event.id.as_str())
    }
}

/// A signed head that somebody is to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadLine {
    /// Of which tree: a tenant's id in hexadecimal digits.
    pub tree: String,
    /// The tree's size.
    pub size: u64,
    /// The head as a line of JSON.
    pub line: String,
}
