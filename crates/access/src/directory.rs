//! Which tenants there are. A [`TenantId`] comes only from [`Directory::resolve`], and a directory
//! takes only records that carry a good MAC of the house.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use base::{Secret, TenantName};
use fhir::definitions::FhirVersion;
use ring::hmac;

/// One tenant, resolved. Holding it proves that the directory vouches for this tenant; it is not
/// a right to anything.
#[derive(Clone)]
pub struct TenantId(Arc<Inner>);

struct Inner {
    id: [u8; 16],
    name: TenantName,
    fhir: FhirVersion,
}

impl TenantId {
    /// The 16 bytes that name the tenant on disk and inside seals.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0.id
    }

    /// The name in URLs.
    pub fn name(&self) -> &TenantName {
        &self.0.name
    }

    /// The tenant's version of FHIR.
    pub fn fhir(&self) -> FhirVersion {
        self.0.fhir
    }

    /// The bytes as 32 hexadecimal digits: the name of the tenant's folder.
    pub fn hex(&self) -> String {
        hex(&self.0.id)
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

impl PartialEq for TenantId {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for TenantId {}

impl std::hash::Hash for TenantId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.name)
    }
}

/// The key that vouches for directory records.
#[derive(Debug)]
pub struct HouseKey(Secret<[u8; 32]>);

impl HouseKey {
    /// Takes the key; `store` derives it from the key-encryption key.
    pub const fn new(key: Secret<[u8; 32]>) -> Self {
        Self(key)
    }
}

/// A directory record as it is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The tenant's name.
    pub name: TenantName,
    /// The tenant's id.
    pub id: [u8; 16],
    /// The tenant's version of FHIR.
    pub fhir: FhirVersion,
    /// SHA-256 of the tenant's wrapped key.
    pub wrapped_key_digest: [u8; 32],
    /// The house's MAC over all of the above.
    pub mac: [u8; 32],
}

impl Record {
    /// Makes the record of a tenant, with its MAC.
    pub fn seal(
        house: &HouseKey,
        name: TenantName,
        id: [u8; 16],
        fhir: FhirVersion,
        wrapped_key_digest: [u8; 32],
    ) -> Self {
        let mut record = Self {
            name,
            id,
            fhir,
            wrapped_key_digest,
            mac: [0; 32],
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, house.0.expose());
        if let Ok(mac) = hmac::sign(&key, &record.message()).as_ref().try_into() {
            record.mac = mac;
        }
        record
    }

    fn message(&self) -> Vec<u8> {
        let mut m = b"insula directory record v1\0".to_vec();
        for part in [
            self.name.as_str().as_bytes(),
            &self.id,
            self.fhir.as_str().as_bytes(),
        ] {
            m.extend_from_slice(&(part.len() as u64).to_be_bytes());
            m.extend_from_slice(part);
        }
        m.extend_from_slice(&self.wrapped_key_digest);
        m
    }
}

/// A directory record whose MAC is not the house's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory record of tenant {name} was not written by this house")]
pub struct Tampered {
    /// The name that the record claims.
    pub name: TenantName,
}

/// All tenants by name.
#[derive(Debug)]
pub struct Directory {
    house: hmac::Key,
    by_name: RwLock<HashMap<TenantName, TenantId>>,
}

impl Directory {
    /// An empty directory that trusts this key.
    pub fn new(house: &HouseKey) -> Self {
        let house = hmac::Key::new(hmac::HMAC_SHA256, house.0.expose());
        Self {
            house,
            by_name: RwLock::default(),
        }
    }

    /// Adds a tenant, or refuses a record with a wrong MAC.
    pub fn admit(&self, record: &Record) -> Result<(), Tampered> {
        hmac::verify(&self.house, &record.message(), &record.mac).map_err(|_| Tampered {
            name: record.name.clone(),
        })?;
        let id = TenantId(Arc::new(Inner {
            id: record.id,
            name: record.name.clone(),
            fhir: record.fhir,
        }));
        self.write().insert(record.name.clone(), id);
        Ok(())
    }

    /// The tenant of this name: the only source of a [`TenantId`].
    pub fn resolve(&self, name: &TenantName) -> Option<TenantId> {
        self.read().get(name).cloned()
    }

    /// Forgets a tenant that is gone.
    pub fn forget(&self, tenant: &TenantId) {
        self.write().remove(tenant.name());
    }

    /// Number of tenants.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is no tenant.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<TenantName, TenantId>> {
        self.by_name
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<TenantName, TenantId>> {
        self.by_name
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(s: &str) -> TenantName {
        TenantName::new(s).unwrap()
    }

    #[test]
    fn only_records_of_this_house_are_admitted() {
        let house = HouseKey::new(Secret::new([1; 32]));
        let directory = Directory::new(&house);
        let good = Record::seal(&house, name("lakeside"), [7; 16], FhirVersion::R4, [9; 32]);
        directory.admit(&good).unwrap();
        assert_eq!(
            directory.resolve(&name("lakeside")).unwrap().bytes(),
            &[7; 16]
        );
        assert!(directory.resolve(&name("hillside")).is_none());

        let mut renamed = good.clone();
        renamed.name = name("hillside");
        let mut swapped = good.clone();
        swapped.wrapped_key_digest = [8; 32];
        let mut other_id = good.clone();
        other_id.id = [6; 16];
        let foreign = HouseKey::new(Secret::new([2; 32]));
        let foreign = Record::seal(
            &foreign,
            name("hillside"),
            [7; 16],
            FhirVersion::R4,
            [9; 32],
        );
        for bad in [renamed, swapped, other_id, foreign] {
            assert!(directory.admit(&bad).is_err(), "{bad:?}");
        }
        assert!(directory.resolve(&name("hillside")).is_none());
    }
}
