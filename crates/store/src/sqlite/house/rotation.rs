//! A new key-encryption key: every wrapped key is wrapped anew, no data is touched.
//!
//! The key file gets the new key first, in front; then every wrapped key is replaced, each by a
//! rename; then one transaction brings the directory records up to the new files; then the old key
//! leaves the key file. A start that finds two keys does the rest: each step can be done again.

use std::sync::Arc;

use access::Record;

use super::super::control::Deed;
use super::super::fault::{Doing, damaged};
use super::super::folder;
use super::super::keyring::Owner;
use super::super::seal::sha256;
use super::House;
use super::change::By;
use crate::Result;

impl House {
    /// Makes a new key-encryption key. How many tenants' keys were wrapped.
    pub(crate) fn rotate_key(self: &Arc<Self>, by: &By) -> Result<usize> {
        // One rotation at a time, and no tenant is made meanwhile under the old key.
        let _one = self.rotating.write();
        if !self.keyring.read().is_rotating() {
            self.keyring
                .write()
                .add(&self.folder.key_file(), &*self.shared.rng)?;
        }
        self.rewrap_all(by)
    }

    /// Finishes a rotation that was interrupted.
    pub(super) fn resume_rotation(self: &Arc<Self>) -> Result<()> {
        if !self.keyring.read().is_rotating() {
            return Ok(());
        }
        self.rewrap_all(&self.system()).map(drop)
    }

    fn rewrap_all(self: &Arc<Self>, by: &By) -> Result<usize> {
        self.rewrap_house()?;
        let mut records = Vec::new();
        let mut wrapped = Vec::new();
        let mut failed = 0usize;
        for entry in self.entries() {
            match self.rewrap(&entry) {
                Ok(record) => {
                    records.push(record);
                    wrapped.push(entry);
                }
                Err(e) => {
                    failed += 1;
                    tracing::error!(tenant = %entry.tenant.name(), error = %e, "a key was not wrapped anew");
                }
            }
        }
        let detail = format!("{} keys", records.len());
        let deed = Deed {
            by,
            action: "rotate key",
            tenant: None,
            detail: &detail,
        };
        self.control.lock().rewrap(&records, &deed)?;
        for entry in &wrapped {
            self.note_in_trail(entry, by, "rotate key");
        }
        failed += self.wrapped_otherwise()?;
        // A key file that could not be read keeps the old key in place, so that nothing is lost.
        if failed == 0 {
            self.keyring.write().drop_old(&self.folder.key_file())?;
        }
        Ok(records.len())
    }

    /// Key files not under the new key: also those of tenants whose directory line is damaged, who
    /// would be lost with the old key.
    fn wrapped_otherwise(&self) -> Result<usize> {
        const DOING: &str = "looking at the key files";
        let keyring = self.keyring.read();
        let mut found = 0;
        for file in std::fs::read_dir(self.folder.keys()).doing(DOING)? {
            let path = file.doing(DOING)?.path();
            if !keyring.is_current(&std::fs::read(&path).doing(DOING)?) {
                found += 1;
                tracing::error!(file = %path.display(), "a key file keeps the old key in place");
            }
        }
        Ok(found)
    }

    fn rewrap_house(&self) -> Result<()> {
        let path = self.folder.house_secret();
        let keyring = self.keyring.read();
        let wrapped = std::fs::read(&path).doing("reading keys/house")?;
        if keyring.is_current(&wrapped) {
            return Ok(());
        }
        let secret = self.house_secret.expose();
        folder::replace(
            &path,
            &keyring.wrap(Owner::House, secret, &*self.shared.rng)?,
        )
    }

    fn rewrap(&self, entry: &super::Entry) -> Result<Record> {
        // Held so that nobody opens the tenant between file and digest.
        let mut record = entry.record.lock();
        let path = self.folder.wrapped_key(&record.id);
        let keyring = self.keyring.read();
        let owner = Owner::Tenant(&record.id);
        let mut wrapped = std::fs::read(&path).doing("reading a key file")?;
        // A file already wrapped anew is one that this house wrapped before a crash: only who has
        // the key-encryption key can have made it for this tenant.
        let known = sha256(&wrapped) == record.wrapped_key_digest;
        let key = keyring
            .unwrap(owner, &wrapped)
            .filter(|_| known || keyring.is_current(&wrapped))
            .ok_or_else(|| damaged("a tenant's key does not open"))?;
        if !keyring.is_current(&wrapped) {
            wrapped = keyring.wrap(owner, key.expose(), &*self.shared.rng)?;
            folder::replace(&path, &wrapped)?;
        }
        *record = Record::seal(
            &self.keys.directory,
            record.name.clone(),
            record.id,
            record.fhir,
            sha256(&wrapped),
        );
        Ok(record.clone())
    }
}
