//! Destroying a tenant for good, and the receipt for it.
//!
//! The wrapped key goes first: from then on the folder, the journal's records and any stray copy
//! of the database are noise. Then the folder goes, then the directory says so. A crash in between
//! is finished at the next start: a leaving tenant without a key is gone, whatever the clock says.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{Code, TenantName};
use parking_lot::MutexGuard;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::super::control::{Control, Deed};
use super::super::fault::internal;
use super::super::folder::{self, hex};
use super::{Entry, House};
use crate::{Result, State, StoreError, TenantInfo};

/// How long running work on the tenant may go on before its deletion is put off.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(5);

/// What a copy that is a tenant begins with in the control database; its id and name follow.
pub(super) const TENANT: &str = "tenant:";

/// Copies of a tenant, as its receipt lists them.
#[derive(Default)]
struct Copies {
    there: Vec<serde_json::Value>,
    elsewhere: Vec<serde_json::Value>,
}

impl House {
    /// Destroys a leaving tenant's key and removes its folder.
    pub(super) fn shred(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<TenantInfo> {
        let by = self.system();
        let id = *entry.tenant.bytes();
        // Held to the end: nobody opens the tenant again meanwhile.
        let _closed = self.wait_until_closed(entry)?;
        // Held as well: nobody lets the tenant serve again between this look and the key's end.
        let mut control = self.control.lock();
        let mut info = entry.info.read().clone();
        match info.state {
            State::Gone => return Ok(info),
            State::Leaving if info.settings.is_held() && self.has_key(entry) => {
                let text = "the tenant is under a legal hold; its key stays".to_owned();
                return Err(StoreError::Refused(Code::TenantState, text));
            }
            State::Leaving
                if !self.has_key(entry)
                    || info
                        .shred_at
                        .is_some_and(|at| at <= self.shared.clock.now()) => {}
            _ => {
                let text = "the tenant was called back; its key stays".to_owned();
                return Err(StoreError::Refused(Code::TenantState, text));
            }
        }
        let copies = self.copies_of(&control, &id)?;
        folder::shred(&self.folder.wrapped_key(&id))?;
        folder::remove_dir(&self.folder.tenant(&id))?;
        self.shared
            .cache
            .forget(&entry.tenant, &self.shared.metrics);
        info.state = State::Gone;
        let receipt = self.sign_receipt(&id, &info, &copies)?;
        let name = info.name.as_str().to_owned();
        let deed = Deed {
            by: &by,
            action: "destroy key",
            tenant: Some(&id),
            detail: &name,
        };
        let administered = *entry.administered.lock();
        control.update(&id, &info, Some(&receipt), administered, &deed)?;
        control.keep_accounts(&id, &[])?;
        *entry.info.write() = info.clone();
        self.forget(entry);
        Ok(info)
    }

    /// Finishes deletions that a crash interrupted after the key.
    pub(super) fn finish_shredding(self: &Arc<Self>) {
        for entry in self.entries() {
            let leaving = entry.info.read().state == State::Leaving;
            if leaving
                && !self.has_key(&entry)
                && let Err(e) = self.shred(&entry)
            {
                tracing::error!(tenant = %entry.tenant.name(), error = %e, "a deletion was not finished");
            }
        }
    }

    /// Work that was admitted before the tenant was leaving ends first. While the result is held,
    /// the tenant stays closed.
    #[expect(
        clippy::disallowed_methods,
        reason = "who uses a tenant tells nobody when it ends; looked at for a bounded time"
    )]
    fn wait_until_closed<'e>(&self, entry: &'e Arc<Entry>) -> Result<MutexGuard<'e, ()>> {
        let mut waited = Duration::ZERO;
        loop {
            if self.close_tenant(entry) {
                let closed = entry.opening.lock();
                if entry.if_open().is_none() {
                    return Ok(closed);
                }
            }
            if waited >= PATIENCE {
                let text = "work on the tenant has not ended; its key is destroyed later";
                return Err(StoreError::Refused(Code::TenantState, text.to_owned()));
            }
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }

    fn pair(&self) -> Result<Ed25519KeyPair> {
        Ed25519KeyPair::from_seed_unchecked(self.keys.receipt.expose())
            .map_err(|_| internal("the receipt key"))
    }

    /// The public key that receipts are verified with.
    pub(crate) fn receipt_key(&self) -> [u8; 32] {
        self.pair()
            .ok()
            .and_then(|p| p.public_key().as_ref().try_into().ok())
            .unwrap_or_default()
    }

    /// Copies of a tenant, and of tenants that were made of them: those that are there, and files that are
    /// not where they were made. None ends by itself.
    fn copies_of(&self, control: &Control, id: &[u8; 16]) -> Result<Copies> {
        let mut copies = Copies::default();
        let (mut left, mut seen) = (vec![*id], HashSet::from([*id]));
        let mut files = HashSet::new();
        while let Some(id) = left.pop() {
            for (path, made) in control.copies(&id)? {
                let made = made.instant().to_string();
                let tenant = path.strip_prefix(TENANT).and_then(|of| of.split_once(' '));
                let Some((tenant, name)) = tenant else {
                    let copy = json!({
                        "kind": "backup", "path": path, "made": made, "expires": null
                    });
                    if !files.insert(path.clone()) {
                        continue;
                    }
                    match Path::new(&path).exists() {
                        true => copies.there.push(copy),
                        false => copies.elsewhere.push(copy),
                    }
                    continue;
                };
                let Some(tenant) = folder::unhex::<16>(tenant).filter(|t| seen.insert(*t)) else {
                    continue;
                };
                left.push(tenant);
                if self.folder.wrapped_key(&tenant).exists() {
                    copies.there.push(json!({
                        "kind": "tenant", "name": name, "made": made, "expires": null
                    }));
                }
            }
        }
        Ok(copies)
    }

    fn sign_receipt(&self, id: &[u8; 16], info: &TenantInfo, copies: &Copies) -> Result<String> {
        let receipt = json!({
            "tenant": info.name.as_str(),
            "id": hex(id),
            "created": info.created.instant().to_string(),
            "destroyed": self.shared.clock.now().instant().to_string(),
            "what": ["the tenant's key", "its database: resources, history, indexes, API clients",
                "the readability of its records in the journal"],
            "kept": ["this receipt", "the operators' audit lines about the tenant"],
            "copies": copies.there,
            "copies_not_where_they_were_made": copies.elsewhere,
        });
        let text = receipt.to_string();
        let pair = self.pair()?;
        let signature = hex(pair.sign(text.as_bytes()).as_ref());
        let key = hex(pair.public_key().as_ref());
        // The signature is over the bytes of `receipt` exactly as they stand here.
        Ok(format!(
            "{{\"receipt\":{text},\"signature\":{{\"algorithm\":\"Ed25519\",\
             \"public_key\":\"{key}\",\"value\":\"{signature}\"}}}}"
        ))
    }

    /// The receipt of a tenant that is gone.
    pub(crate) fn receipt(&self, name: &TenantName) -> Result<String> {
        if let Some((_, receipt)) = self.control.lock().gone(name)? {
            return Ok(receipt);
        }
        self.entry_named(name)?;
        let text = "the tenant's key still exists".to_owned();
        Err(StoreError::Refused(Code::TenantState, text))
    }
}
