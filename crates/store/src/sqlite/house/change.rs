//! What operators do to tenants as a whole.

use std::fs;
use std::sync::Arc;

use access::{Actor, Record, RequestMeta};
use base::{Code, Micros, Secret, TenantName};

use super::super::alerts::operators::{self, Did};
use super::super::control::{Deed, HOLD, Line};
use super::super::fault::Doing;
use super::super::folder;
use super::super::keyring::Owner;
use super::super::schema;
use super::super::seal::sha256;
use super::super::writer;
use super::{Entry, House};
use crate::audit::ChangeHead;
use crate::face::AlertRule;
use crate::{NewTenant, Result, SettingsPatch, State, StoreError, TenantInfo};

/// What was done, and what of it.
fn said(action: &str, changes: &str) -> String {
    match changes {
        "" => action.to_owned(),
        changes => format!("{action}: {changes}"),
    }
}

/// Who did it, for which request.
pub(crate) type By = (Actor, RequestMeta);

impl House {
    /// Makes a tenant.
    pub(crate) fn create_tenant(self: &Arc<Self>, by: &By, new: NewTenant) -> Result<TenantInfo> {
        let info = TenantInfo {
            name: new.name,
            display: new.display,
            fhir: new.fhir,
            settings: new.settings,
            state: State::Active,
            created: self.shared.clock.now().to_millis_precision(),
            shred_at: None,
        };
        let id: [u8; 16] = self.shared.rng.bytes();
        let key = Secret::new(self.shared.rng.bytes());
        self.publish(by, "create tenant", &id, &key, info, |dir| {
            let scratch = self
                .folder
                .tenants()
                .join(format!("template-{}.new", folder::hex(&id)));
            let path = dir.join("data.db");
            let claim = |db: &rusqlite::Connection| schema::claim(db, &id, new.fhir.as_str());
            self.template
                .instantiate(new.fhir, &path, &key, &scratch, &*self.shared.rng, claim)
                .map(|()| None)
        })
    }

    /// Makes a tenant whose folder `fill` fills, and which says where something was last administered. Everything is on the disk under names that do not
    /// count, then the directory learns of it, then the names become good: a crash before the
    /// second step leaves nothing, one after it is completed at the next start.
    pub(crate) fn publish(
        self: &Arc<Self>,
        by: &By,
        action: &'static str,
        id: &[u8; 16],
        key: &Secret<[u8; 32]>,
        info: TenantInfo,
        fill: impl FnOnce(&std::path::Path) -> Result<Option<ChangeHead>>,
    ) -> Result<TenantInfo> {
        self.must_be_free(&info.name)?;
        let _under_one_key = self.rotating.read();
        let dir = self.folder.tenant(id);
        let new_dir = dir.with_extension("new");
        let key_file = self.folder.wrapped_key(id);
        let new_key_file = key_file.with_extension("new");
        let line = self
            .prepare(id, key, &new_dir, &new_key_file, fill)
            .and_then(|(digest, administered)| {
                self.register(by, action, id, info, digest, administered)
            })
            .inspect_err(|_| {
                let _ = fs::remove_dir_all(&new_dir);
                let _ = fs::remove_file(&new_key_file);
            })?;
        fs::rename(&new_key_file, &key_file).doing("naming a key file")?;
        fs::rename(&new_dir, &dir).doing("naming a tenant's folder")?;
        let info = line.info.clone();
        let entry = self.admit(line)?;
        self.note_in_trail(&entry, by, action);
        Ok(info)
    }

    fn register(
        &self,
        by: &By,
        action: &'static str,
        id: &[u8; 16],
        info: TenantInfo,
        digest: [u8; 32],
        administered: Option<ChangeHead>,
    ) -> Result<Line> {
        let record = Record::seal(
            &self.keys.directory,
            info.name.clone(),
            *id,
            info.fhir,
            digest,
        );
        let line = Line {
            record,
            info,
            administered,
            has_places: true,
        };
        let detail = line.info.name.as_str();
        let mut control = self.control.lock();
        // Looked at again under the lock: another one may have taken the name.
        if control.has(&line.info.name)? {
            return Err(exists(&line.info.name));
        }
        control.insert(
            &line,
            &Deed {
                by,
                action,
                tenant: Some(id),
                detail,
            },
        )?;
        drop(control);
        Ok(line)
    }

    fn prepare(
        &self,
        id: &[u8; 16],
        key: &Secret<[u8; 32]>,
        new_dir: &std::path::Path,
        new_key_file: &std::path::Path,
        fill: impl FnOnce(&std::path::Path) -> Result<Option<ChangeHead>>,
    ) -> Result<([u8; 32], Option<ChangeHead>)> {
        (self.shared.reserve).must_stand(self.shared.clock.monotonic())?;
        folder::make_dir(new_dir)?;
        let administered = fill(new_dir)?;
        folder::sync_dir(new_dir)?;
        let wrapped =
            self.keyring
                .read()
                .wrap(Owner::Tenant(id), key.expose(), &*self.shared.rng)?;
        folder::write_new(new_key_file, &wrapped)?;
        folder::sync_dir(&self.folder.keys())?;
        folder::sync_dir(&self.folder.tenants())?;
        Ok((sha256(&wrapped), administered))
    }

    pub(crate) fn must_be_free(&self, name: &TenantName) -> Result<()> {
        if self.directory.resolve(name).is_some() {
            return Err(exists(name));
        }
        Ok(())
    }

    /// Tenants in order of name.
    pub(crate) fn list_tenants(&self, after: Option<&TenantName>, limit: usize) -> Vec<TenantInfo> {
        let mut all: Vec<TenantInfo> = self
            .entries()
            .iter()
            .filter(|e| after.is_none_or(|a| e.tenant.name() > a))
            .map(|e| e.info.read().clone())
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all.truncate(limit);
        all
    }

    /// One tenant, gone ones too.
    pub(crate) fn tenant_info(&self, name: &TenantName) -> Result<TenantInfo> {
        match self.entry_named(name) {
            Ok(entry) => Ok(entry.info.read().clone()),
            Err(unknown) => self
                .control
                .lock()
                .gone(name)?
                .map(|(info, _)| info)
                .ok_or(unknown),
        }
    }

    /// Changes display name and settings.
    pub(crate) fn change_tenant(
        self: &Arc<Self>,
        by: &By,
        name: &TenantName,
        display: Option<String>,
        settings: Option<SettingsPatch>,
    ) -> Result<TenantInfo> {
        let entry = self.entry_named(name)?;
        let mut also = None;
        let mut of_trail = None;
        let is_held = entry.info.read().settings.is_held();
        let since = || self.control.lock().held_since(entry.tenant.bytes());
        let held_since = is_held.then(since).transpose()?.flatten();
        // Who comes at the same time changes what this one left.
        let changed = self.update_as(&entry, by, |info| {
            info.display = display.unwrap_or_else(|| info.display.clone());
            let before = info.settings.clone();
            if let Some(patch) = settings {
                let ships = patch.audit_shipping.as_ref();
                if ships.is_some_and(|s| s.syslog.is_none()) && before.audit_shipping.is_none() {
                    let text = "audit_shipping.syslog is missing: the tenant has no destination of its own";
                    return Err(StoreError::Refused(Code::RequestInvalid, text.to_owned()));
                }
                info.settings = patch.apply(&before);
            }
            let now = &info.settings;
            let ships = match &now.audit_shipping {
                own if *own == before.audit_shipping => None,
                Some(_) => Some("set audit destination"),
                None => Some("clear audit destination"),
            };
            let holds = match (before.is_held(), now.is_held()) {
                (false, true) => Some(HOLD),
                (true, false) => Some("lift legal hold"),
                _ => None,
            };
            if !now.is_held() && before.is_held() {
                // While it was held no time passed for what was left of the grace period.
                let at = self.shared.clock.now().to_millis_precision();
                info.shred_at = (info.shred_at).map(|until| self.after_hold(until, held_since, at));
            }
            // Each has words of its own.
            also = ships.filter(|_| holds.is_some());
            let action = holds.or(ships).unwrap_or("change tenant");
            let changes = now.changes(&before);
            let lifts = holds.filter(|what| *what != HOLD);
            let kept = before.audit_retention_days != now.audit_retention_days;
            if kept || ships.or(lifts).is_some() {
                of_trail = Some(said(action, &changes));
            }
            Ok((action, changes))
        })?;
        if let Some(also) = also {
            self.note_in_trail(&entry, by, also);
        }
        if let Some(what) = of_trail {
            self.tell_of_trail(&entry, by, &what);
        }
        Ok(changed)
    }

    /// Tells a tenant's own people by an alert that an operator changed how long their trail is kept, or where it
    /// goes. One that cannot be told is changed all the same; the trail says so.
    fn tell_of_trail(self: &Arc<Self>, entry: &Arc<Entry>, by: &By, what: &str) {
        let raise = || {
            let tenant = self.open_tenant(entry)?;
            if !tenant.people().is_anybody_there() {
                return Ok(());
            }
            let mut slot = tenant.writer.lock();
            writer::alone(&tenant, &mut slot, |_, state| {
                let did = Did {
                    rule: AlertRule::OperatorTrail,
                    by: by.0.as_str(),
                    at: by.1.at,
                    event: what,
                    seen: what.to_owned(),
                    program: None,
                };
                operators::tell(&state.db, did)
            })?;
            self.still_untold(entry.tenant.bytes());
            Ok::<(), StoreError>(())
        };
        if let Err(e) = raise() {
            let name = entry.tenant.name();
            tracing::error!(tenant = %name, error = %e, "nobody there was told that what is kept of their trail was changed");
        }
    }

    /// When a key is destroyed that was to be destroyed at another time before a hold began.
    fn after_hold(&self, until: Micros, held_since: Option<Micros>, at: Micros) -> Micros {
        match held_since {
            Some(since) => until.max(Micros(at.0.saturating_add((until.0 - since.0).max(0)))),
            // Nobody knows what was left: all of it.
            None => until.max(at.plus_secs(seconds(self.shared.config.grace_seconds))),
        }
    }

    /// Suspends a tenant.
    pub(crate) fn suspend_tenant(&self, by: &By, name: &TenantName) -> Result<TenantInfo> {
        let entry = self.entry_named(name)?;
        self.update(&entry, by, "suspend tenant", |info| match info.state {
            State::Active | State::Suspended => {
                info.state = State::Suspended;
                Ok(())
            }
            State::Leaving | State::Gone => Err(wrong_state("it is being deleted")),
        })
    }

    /// Lets a tenant serve again.
    pub(crate) fn resume_tenant(&self, by: &By, name: &TenantName) -> Result<TenantInfo> {
        let entry = match self.entry_named(name) {
            Ok(entry) => entry,
            Err(unknown) => {
                return Err(match self.control.lock().gone(name)? {
                    Some(_) => wrong_state("its key is destroyed"),
                    None => unknown,
                });
            }
        };
        self.update(&entry, by, "resume tenant", |info| {
            // A crash may have come between the end of the key and the note of it.
            if info.state == State::Gone || !self.has_key(&entry) {
                return Err(wrong_state("its key is destroyed"));
            }
            info.state = State::Active;
            info.shred_at = None;
            Ok(())
        })
    }

    /// Whether a tenant's key file is there.
    pub(super) fn has_key(&self, entry: &Entry) -> bool {
        self.folder.wrapped_key(entry.tenant.bytes()).exists()
    }

    /// Whether a tenant is open, or its key is there to open it with.
    pub(super) fn may_open(&self, entry: &Entry) -> bool {
        entry.if_open().is_some() || self.has_key(entry)
    }

    /// Deletes a tenant now or later.
    pub(crate) fn delete_tenant(
        self: &Arc<Self>,
        by: &By,
        name: &TenantName,
        grace_seconds: u64,
    ) -> Result<TenantInfo> {
        let entry = self.entry_named(name)?;
        let at = self.shared.clock.now().to_millis_precision();
        let grace = seconds(grace_seconds);
        let info = self.update(&entry, by, "delete tenant", |info| {
            if info.settings.is_held() {
                return Err(wrong_state("it is under a legal hold"));
            }
            // Said again, it does not begin anew; it may end sooner.
            let until = at.plus_secs(grace);
            let known = info.shred_at.filter(|_| info.state == State::Leaving);
            info.shred_at = Some(known.map_or(until, |known| known.min(until)));
            info.state = State::Leaving;
            Ok(())
        })?;
        if grace_seconds == 0 {
            self.shred(&entry)
        } else {
            Ok(info)
        }
    }

    /// Changes what is known about a tenant, on the disk first.
    pub(super) fn update(
        &self,
        entry: &Arc<Entry>,
        by: &By,
        action: &'static str,
        change: impl FnOnce(&mut TenantInfo) -> Result<()>,
    ) -> Result<TenantInfo> {
        self.update_as(entry, by, |info| {
            change(info).map(|()| (action, String::new()))
        })
    }

    /// The same where what is changed says what it is called, and what it is in words. One after the other.
    fn update_as(
        &self,
        entry: &Arc<Entry>,
        by: &By,
        change: impl FnOnce(&mut TenantInfo) -> Result<(&'static str, String)>,
    ) -> Result<TenantInfo> {
        let mut control = self.control.lock();
        let mut info = entry.info.read().clone();
        let (action, changes) = change(&mut info)?;
        let id = entry.tenant.bytes();
        let deed = Deed {
            by,
            action,
            tenant: Some(id),
            detail: info.name.as_str(),
        };
        control.update(id, &info, None, *entry.administered.lock(), &deed)?;
        *entry.info.write() = info.clone();
        drop(control);
        self.note_in_trail(entry, by, &said(action, &changes));
        Ok(info)
    }

    /// Remembers that a tenant was made of a backup of another one.
    pub(crate) fn note_copied_tenant(
        &self,
        by: &By,
        of: &[u8; 16],
        (id, name): (&[u8; 16], &TenantName),
    ) -> Result<()> {
        let path = format!("{}{} {name}", super::shredding::TENANT, folder::hex(id));
        let deed = Deed {
            by,
            action: "restore tenant from its backup",
            tenant: Some(of),
            detail: name.as_str(),
        };
        self.control
            .lock()
            .copied(&path, self.shared.clock.now(), &deed)
    }

    /// Remembers that a copy of a tenant was made.
    pub(crate) fn note_copy(&self, by: &By, entry: &Entry, path: &str) -> Result<()> {
        let tenant = Some(entry.tenant.bytes());
        let deed = Deed {
            by,
            action: "back up tenant",
            tenant,
            detail: path,
        };
        self.control
            .lock()
            .copied(path, self.shared.clock.now(), &deed)
    }
}

/// Seconds that can be added to a time.
fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .min(i64::MAX / 2_000_000)
}

fn exists(name: &TenantName) -> StoreError {
    StoreError::Refused(Code::TenantExists, format!("a tenant named {name} exists"))
}

fn wrong_state(why: &str) -> StoreError {
    StoreError::Refused(
        Code::TenantState,
        format!("the tenant cannot do this: {why}"),
    )
}
