//! What there is to say about a tenant as a whole, and how a store is set up.

use std::path::PathBuf;

use base::{Limits, Micros, TenantName};
use fhir::definitions::FhirVersion;
use serde::{Deserialize, Serialize};

/// How a store is set up.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data folder.
    pub dir: PathBuf,
    /// All limits.
    pub limits: Limits,
    /// When a write is answered.
    pub synchronous: Synchronous,
    /// When the record of a read reaches the disk.
    pub audit: AuditMode,
    /// Threads that read; 0 chooses from the processors.
    pub reader_threads: usize,
    /// Threads that write; 0 chooses 4. Half as many more write what is much.
    pub writer_threads: usize,
    /// Seconds between deletion of a tenant and the destruction of its key.
    pub grace_seconds: u64,
    /// The folder outside the data folder to which signed heads of audit trails are written.
    pub heads: Option<PathBuf>,
    /// Days for which records of reads are kept where a tenant says nothing else; 0 for ever.
    pub audit_retention_days: u32,
    /// What the house is called in the network, for its part in events of the trail.
    pub host: String,
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// After its log record is on the disk. Survives a power cut.
    #[default]
    Full,
    /// After it is with the operating system. Survives a crash of the process; a power cut may
    /// lose the last moments, never consistency.
    Normal,
}

/// When the record of a read reaches the disk. It is always handed to the operating system before
/// the answer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    /// Flushed at least this often, in milliseconds.
    Window(u64),
    /// Flushed before the answer.
    Strict,
}

/// Whether references must resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum ReferencePolicy {
    /// References are stored as they are.
    #[default]
    Literal,
    /// A literal reference to this server must resolve when it is written, and what is referred
    /// to cannot be deleted.
    Enforced,
}

/// A policy that was put into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its number, from 1.
    pub version: u64,
    /// When.
    pub at: Micros,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What it says.
    pub document: access::Document,
}

/// Settings of one tenant; the `config` of the admin API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSettings {
    /// Whether references must resolve.
    pub references: ReferencePolicy,
    /// Origins whose pages may use the tenant, beside those of the house; `*` for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cors_origins: Vec<String>,
    /// Days for which records of reads are kept; 0 for ever; the house's without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_retention_days: Option<u32>,
    /// `true`: nothing of the trail goes, however old it is, and the tenant is not deleted. Stays until it
    /// is `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<bool>,
    /// Who may ask that a program is registered.
    #[serde(skip_serializing_if = "RegistrationBy::is_invited")]
    pub registration: RegistrationBy,
    /// Where the tenant's trail is shipped, instead of where the house's goes. Stays until its `syslog` is
    /// empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_shipping: Option<AuditShipping>,
}

/// A change of settings: what is not said stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsPatch {
    /// Whether references must resolve.
    pub references: Option<ReferencePolicy>,
    /// Origins whose pages may use the tenant, all of them.
    pub cors_origins: Option<Vec<String>>,
    /// Days for which records of reads are kept.
    pub audit_retention_days: Option<u32>,
    /// Whether nothing of the trail goes.
    pub legal_hold: Option<bool>,
    /// Who may ask that a program is registered.
    pub registration: Option<RegistrationBy>,
    /// Where the trail is shipped; with an empty `syslog`, where the house's goes.
    pub audit_shipping: Option<ShippingPatch>,
}

/// A change of where a trail is shipped: what is not said stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShippingPatch {
    /// A syslog receiver; empty for nowhere.
    pub syslog: Option<String>,
    /// How it gets events.
    pub form: Option<ShippedAs>,
    /// Certificates that the receiver's must be from (PEM); empty for those of `audit.syslog_ca`.
    pub ca: Option<String>,
}

impl ShippingPatch {
    fn apply(self, now: &AuditShipping) -> AuditShipping {
        AuditShipping {
            syslog: self.syslog.unwrap_or_else(|| now.syslog.clone()),
            form: self.form.unwrap_or(now.form),
            ca: (self.ca.or_else(|| now.ca.clone())).filter(|ca| !ca.is_empty()),
        }
    }
}

impl SettingsPatch {
    /// Settings as they are afterwards.
    pub fn apply(self, now: &TenantSettings) -> TenantSettings {
        let ships = match (self.audit_shipping, &now.audit_shipping) {
            (None, now) => now.clone(),
            (Some(patch), Some(now)) => Some(patch.apply(now)),
            (Some(patch), None) => Some(patch.apply(&AuditShipping::default())),
        };
        TenantSettings {
            references: self.references.unwrap_or(now.references),
            cors_origins: self
                .cors_origins
                .unwrap_or_else(|| now.cors_origins.clone()),
            audit_retention_days: self.audit_retention_days.or(now.audit_retention_days),
            legal_hold: self.legal_hold.or(now.legal_hold),
            registration: self.registration.unwrap_or(now.registration),
            audit_shipping: ships.filter(|s| !s.syslog.is_empty()),
        }
    }
}

/// Where a trail is shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct AuditShipping {
    /// A syslog receiver: `tls://host:port`, or `tcp://address:port` on this machine; empty for nowhere.
    pub syslog: String,
    /// How it gets events.
    pub form: ShippedAs,
    /// Certificates that the receiver's must be from (PEM); those of `audit.syslog_ca` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// How a receiver gets events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum ShippedAs {
    /// As AuditEvents.
    #[default]
    Rfc5424,
    /// As OCSF events.
    Ocsf,
}

/// Who may ask that a program is registered (RFC 7591); whoever asks, it waits for approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationBy {
    /// Whoever reaches the tenant.
    Anyone,
    /// Who has an initial access token.
    #[default]
    Invited,
    /// Nobody: programs are registered by the operator.
    Nobody,
}

impl RegistrationBy {
    fn is_invited(&self) -> bool {
        *self == Self::Invited
    }
}

impl TenantSettings {
    /// What is different from what it was, in words: first what the trail hangs on.
    pub(crate) fn changes(&self, was: &Self) -> String {
        let days = |of: &Self| match of.audit_retention_days {
            None => "the house's".to_owned(),
            Some(days) => days.to_string(),
        };
        let to = |settings: &Self| settings.ships_to().map(|ships| ships.syslog.clone());
        let text = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        let mut changes = Vec::new();
        if days(was) != days(self) {
            let (was, now) = (days(was), days(self));
            changes.push(format!("audit_retention_days {was} to {now}"));
        }
        if let Some(to) = to(self).filter(|_| self.audit_shipping != was.audit_shipping) {
            changes.push(to);
        }
        if was.registration != self.registration {
            let (was, now) = (text(&was.registration), text(&self.registration));
            changes.push(format!("registration {was} to {now}"));
        }
        if was.references != self.references {
            let (was, now) = (text(&was.references), text(&self.references));
            changes.push(format!("references {was} to {now}"));
        }
        if was.cors_origins != self.cors_origins {
            changes.push("cors_origins".to_owned());
        }
        changes.join(", ")
    }

    /// The tenant's own destination.
    pub fn ships_to(&self) -> Option<&AuditShipping> {
        self.audit_shipping
            .as_ref()
            .filter(|s| !s.syslog.is_empty())
    }

    /// Whether nothing of the trail goes.
    pub fn is_held(&self) -> bool {
        self.legal_hold == Some(true)
    }
}

/// What is needed to make a tenant.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its name in URLs.
    pub name: TenantName,
    /// A name for people.
    pub display: String,
    /// Its version of FHIR.
    pub fhir: FhirVersion,
    /// Its settings.
    pub settings: TenantSettings,
}

/// Which API clients of a backup the restored tenant lets in. Ways in for bulk loading are never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum RestoreClients {
    /// Those that the backup's tenant lets in now. Where that tenant is not here any more, or cannot
    /// be opened, nobody knows who was revoked since: none.
    #[default]
    AsNow,
    /// All that were let in when the backup was made.
    Keep,
    /// None.
    Revoke,
}

/// How many API clients a restored tenant lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Default)]
pub struct KeptClients {
    /// Clients that are let in.
    pub kept: u64,
    /// Clients that were let in when the backup was made and are not any more.
    pub revoked: u64,
}

/// A tenant made from a backup.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The tenant.
    pub info: TenantInfo,
    /// What became of its clients.
    pub clients: KeptClients,
    /// Rows that are not as they were written, and are kept apart.
    pub quarantined: u64,
}

/// Whether a tenant serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It serves.
    Active,
    /// It answers 503 until it is resumed.
    Suspended,
    /// It is deleted; until the grace period ends it can be resumed, then its key is destroyed.
    Leaving,
    /// Its key is destroyed; only the receipt is left.
    Gone,
}

/// A tenant as the admin API shows it.
#[derive(Clone, Debug)]
pub struct TenantInfo {
    /// Its name in URLs.
    pub name: TenantName,
    /// A name for people.
    pub display: String,
    /// Its version of FHIR.
    pub fhir: FhirVersion,
    /// Its settings.
    pub settings: TenantSettings,
    /// Whether it serves.
    pub state: State,
    /// When it was made.
    pub created: Micros,
    /// When its key is destroyed, for a leaving tenant.
    pub shred_at: Option<Micros>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_shipping_undo_nothing_of_each_other() {
        let patch = |text: &str| -> SettingsPatch { serde_json::from_str(text).unwrap() };
        let start = TenantSettings::default();
        let one = r#"{"audit_shipping": {"syslog": "tls://a:1", "ca": "PEM"}}"#;
        let set = patch(one).apply(&start);
        // Two who saw the same, one after the other.
        let form = patch(r#"{"audit_shipping": {"form": "ocsf"}}"#);
        let moved = patch(r#"{"audit_shipping": {"syslog": "tls://b:2"}}"#);
        let both = moved.apply(&form.apply(&set)).audit_shipping.unwrap();
        let wanted = AuditShipping {
            syslog: "tls://b:2".to_owned(),
            form: ShippedAs::Ocsf,
            ca: Some("PEM".to_owned()),
        };
        assert_eq!(both, wanted);
        let without = patch(r#"{"audit_shipping": {"ca": ""}}"#).apply(&set);
        assert_eq!(without.audit_shipping.unwrap().ca, None);
        let nowhere = patch(r#"{"audit_shipping": {"syslog": ""}}"#).apply(&set);
        assert_eq!(nowhere.audit_shipping, None);
        let other = patch(r#"{"legal_hold": true}"#).apply(&set);
        assert_eq!(other.audit_shipping, set.audit_shipping);
    }
}
