//! In which tenants somebody with an account at an identity provider is a person, as the house remembers it, so
//! that no tenant has to be opened to find out.
//!
//! It is a memory and no right: the tenant itself says who is known there. It is compared whenever a tenant is
//! opened or administered, and written where it is not what it was.

use std::sync::Arc;

use access::TenantId;

use super::super::control::Digest;
use super::super::tenant::OpenTenant;
use super::{Entry, House};
use crate::face::Account;
use crate::{Result, State};

/// When what is remembered is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Where there is something else to remember.
    Changed,
    /// Also that there is nothing.
    Looked,
}

impl House {
    /// Compares what is remembered of a tenant with what is there.
    pub(crate) fn note_accounts(&self, entry: &Entry, tenant: &OpenTenant, note: Note) {
        let all = tenant.people().accounts();
        let digest = |account: &Account| self.account_digest(account);
        let mut found: Vec<Digest> = all.iter().map(digest).collect();
        found.sort_unstable();
        {
            let known = entry.accounts.lock();
            let same = known.as_ref() == Some(&found);
            let nothing = known.is_none() && found.is_empty() && note == Note::Changed;
            if same || nothing {
                return;
            }
        }
        if let Err(e) = self.keep_accounts(entry, found) {
            tracing::error!(tenant = %entry.tenant.name(), error = %e, "who is known there was not remembered");
        }
    }

    fn keep_accounts(&self, entry: &Entry, found: Vec<Digest>) -> Result<()> {
        let mut control = self.control.lock();
        if entry.info.read().state == State::Gone {
            return Ok(());
        }
        control.keep_accounts(entry.tenant.bytes(), &found)?;
        *entry.accounts.lock() = Some(found);
        Ok(())
    }

    fn account_digest(&self, account: &Account) -> Digest {
        let mut mac = ring::hmac::Context::with_key(&self.keys.accounts);
        for part in [&account.issuer, &account.subject] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let tag = mac.sign();
        let mut digest = [0; 16];
        digest
            .iter_mut()
            .zip(tag.as_ref())
            .for_each(|(d, t)| *d = *t);
        digest
    }

    /// Tenants that serve where an account is known, and those of which nobody knows, by name.
    pub(crate) fn tenants_of_account(&self, account: &Account) -> (Vec<TenantId>, Vec<TenantId>) {
        let digest = self.account_digest(account);
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for entry in self.entries() {
            if entry.must_serve().is_err() {
                continue;
            }
            match &*entry.accounts.lock() {
                None => unknown.push(entry.tenant.clone()),
                Some(all) if all.binary_search(&digest).is_ok() => known.push(entry.tenant.clone()),
                Some(_) => {}
            }
        }
        for some in [&mut known, &mut unknown] {
            some.sort_by(|a, b| a.name().cmp(b.name()));
        }
        (known, unknown)
    }

    /// Looks at a tenant of which nobody knows whom it knows.
    pub(crate) fn look_at_accounts(&self, entry: &Arc<Entry>) -> Result<()> {
        let tenant = self.open_tenant(entry)?;
        self.note_accounts(entry, &tenant, Note::Looked);
        Ok(())
    }
}
