//! A backup becomes a tenant: checked, sealed anew under a key of its own, checked again, published.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use access::{ClientId, Directory, Hold, PersonId, PersonState, Record, VendorId};
use base::{Micros, Secret, TenantName};
use fhir::definitions::FhirVersion;
use rusqlite::params;

use super::super::alerts::operators::{self, Did};
use super::super::clients::RESTORED;
use super::super::fault::{Doing, internal};
use super::super::folder;
use super::super::house::change::By;
use super::super::house::{Entry, House};
use super::super::keyring::{Owner, TenantKeys, WRAPPED_BYTES};
use super::super::people::Comes;
use super::super::rows::{self, COLUMNS};
use super::super::seal::{ChangeLine, Digest, Sealed};
use super::super::tenant::{OpenTenant, open_reader};
use super::super::{
    administration, blob, break_glass, connection, migrate, passkeys, people, policies, quarantine,
    registrations, schema, vendors, writer,
};
use super::{Checked, Header, check_file, checked, invalid, read_header};
use crate::audit::ChangeHead;
use crate::face::Person;
use crate::{
    AlertRule, KeptClients, PolicyVersion, RestoreClients, Restored, Result, State, TenantInfo,
    TenantSettings,
};

/// Which clients and people of a backup are let in.
enum Admitted {
    /// As they were, but for those whom the tenant that they are of does not let in any more; all where it is
    /// not here.
    Then(Option<Box<Gone>>),
    /// As the tenant that it is of has them; none where it is not here.
    AsNow(Box<Now>),
}

/// What a backup's tenant is like now.
#[derive(Default)]
struct Now {
    /// Clients that are good, with their epochs: one that was put in the place of another is not the one of
    /// the backup.
    clients: HashMap<ClientId, u64>,
    people: HashMap<PersonId, Arc<Person>>,
    policies: Vec<PolicyVersion>,
    settings: Option<TenantSettings>,
}

/// Who was taken away in a backup's tenant, and who is let in there.
struct Gone {
    revoked: HashSet<ClientId>,
    people: HashSet<PersonId>,
    vendors: HashSet<VendorId>,
}

/// What a backup's header says, checked.
struct Source {
    id: [u8; 16],
    keys: TenantKeys,
    header: Header,
    start: u64,
    fhir: FhirVersion,
}

impl House {
    /// Makes a tenant of a backup.
    pub(crate) fn restore(
        self: &Arc<Self>,
        by: &By,
        file: &Path,
        as_name: TenantName,
        clients: RestoreClients,
    ) -> Result<Restored> {
        let source = self.open_backup(file)?;
        self.must_be_free(&as_name)?;
        let admitted = self.clients_of(&source.id, clients);
        let is_as_then = clients == RestoreClients::Keep;
        self.tell_source(by, &source.id, &as_name, is_as_then);
        let mut kept = KeptClients::default();
        let id: [u8; 16] = self.shared.rng.bytes();
        let key = Secret::new(self.shared.rng.bytes());
        let info = TenantInfo {
            name: as_name,
            display: source.header.display.clone(),
            fhir: source.fhir,
            settings: settings_of(&source.header, &admitted),
            state: State::Active,
            created: self.shared.clock.now().to_millis_precision(),
            shred_at: None,
        };
        let info = self.publish(by, "restore tenant", &id, &key, info, |dir| {
            let new = (&id, &key);
            let (head, clients) = self.fill_from(&source, file, dir, new, by, &admitted)?;
            kept = clients;
            Ok(Some(head))
        })?;
        self.note_restored(&info.name)?;
        // The file is a copy of the new tenant too, and the new tenant one of the old.
        let file = std::path::absolute(file).doing("reading a backup")?;
        self.note_copy(
            by,
            &*self.entry_named(&info.name)?,
            &file.display().to_string(),
        )?;
        self.note_copied_tenant(by, &source.id, (&id, &info.name))?;
        Ok(Restored {
            info,
            clients: kept,
            quarantined: source.header.quarantined.len() as u64,
        })
    }

    fn open_backup(&self, file: &Path) -> Result<Source> {
        let (header, start) = read_header(&mut BufReader::new(
            File::open(file).doing("reading a backup")?,
        ))?;
        let wrong = || invalid("the backup's header is damaged");
        let id = folder::unhex::<16>(&header.id).ok_or_else(wrong)?;
        let fhir = FhirVersion::parse(&header.fhir).ok_or_else(wrong)?;
        let wrapped = folder::unhex::<WRAPPED_BYTES>(&header.wrapped_key).ok_or_else(wrong)?;
        let keys = self
            .keyring
            .read()
            .unwrap(Owner::Tenant(&id), &wrapped)
            .map(TenantKeys::derive)
            .ok_or_else(|| {
                invalid("the backup's key does not open with insula.key; a retired key can be added there as restore-only")
            })?;
        check_file(file, |_| Ok(&keys))?;
        Ok(Source {
            id,
            keys,
            header,
            start,
            fhir,
        })
    }

    fn fill_from(
        self: &Arc<Self>,
        source: &Source,
        file: &Path,
        dir: &Path,
        (id, key): (&[u8; 16], &Secret<[u8; 32]>),
        by: &By,
        admitted: &Admitted,
    ) -> Result<(ChangeHead, KeptClients)> {
        const DOING: &str = "restoring a backup";
        let path = dir.join("data.db");
        {
            use std::io::Seek;
            let mut from = File::open(file).doing(DOING)?;
            from.seek(io::SeekFrom::Start(source.start)).doing(DOING)?;
            folder::private(&path)?;
            let mut to = File::create(&path).doing(DOING)?;
            io::copy(&mut from.take(source.header.database_bytes), &mut to).doing(DOING)?;
        }
        let old_id = self.passing_id(&source.id, &source.header.name, source.fhir)?;
        let new_id = self.passing_id(id, &source.header.name, source.fhir)?;
        let old_keys = || TenantKeys::derive(Secret::new(*source.keys.database.expose()));
        let mut keys = old_keys();
        {
            let reader = open_reader(&path, &keys, &self.shared)?;
            let version = schema::check(&reader.db, &old_id)?;
            let stale = version < schema::VERSION || !migrate::index_is_current(&reader.db)?;
            drop(reader);
            if stale {
                keys = migrate::run(&old_id, keys, &path, &self.shared)?;
            }
        }
        let reader = open_reader(&path, &keys, &self.shared)?;
        let old = OpenTenant::assemble(&old_id, keys, &path, &self.shared, reader).map(Arc::new)?;
        // What was kept apart when it was made is, and nothing else.
        let why = "rows of the backup do not verify";
        match checked(&old, why).map_err(|_| invalid(why))? {
            Checked::Apart(apart) if apart == source.header.quarantined => {}
            _ => return Err(invalid(why)),
        }
        let new_keys = || TenantKeys::derive(Secret::new(*key.expose()));
        let done = reseal(&old, id, &new_keys(), by, admitted)?;
        drop(old);
        let db = connection::open(&path, &source.keys.database)?;
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
            .doing(DOING)?;
        connection::key_pragma(&db, "rekey", key)?;
        db.execute_batch("PRAGMA journal_mode = WAL;")
            .doing(DOING)?;
        db.close().map_err(|(_, e)| e).doing(DOING)?;
        File::open(&path).and_then(|f| f.sync_all()).doing(DOING)?;
        let reader = open_reader(&path, &new_keys(), &self.shared)?;
        let new =
            OpenTenant::assemble(&new_id, new_keys(), &path, &self.shared, reader).map(Arc::new)?;
        match checked(&new, "a restored tenant does not verify")? {
            Checked::Apart(apart) if apart == source.header.quarantined => {}
            _ => return Err(internal("a restored tenant does not verify")),
        }
        if !source.header.quarantined.is_empty() {
            tracing::error!(
                rows = source.header.quarantined.len(),
                "rows of the backup are not as they were written, and stay kept apart"
            );
        }
        Ok(done)
    }

    /// Who may still be let in of those whom a backup of a tenant holds, and what became of them.
    fn clients_of(self: &Arc<Self>, id: &[u8; 16], wanted: RestoreClients) -> Admitted {
        let source = || {
            let entry = self.entry_of(id)?;
            let tenant = self.open_tenant(&entry).ok()?;
            let reader = tenant.reader().ok()?;
            let policies = policies::all(&reader.db).ok()?;
            tenant.give_back(reader);
            let settings = entry.info.read().settings.clone();
            let clients = tenant.clients().sorted().into_iter();
            let people = tenant.people().sorted().into_iter();
            Some(Now {
                clients: (clients.filter(|c| !c.revoked))
                    .map(|c| (c.id, c.epoch))
                    .collect(),
                people: people
                    .filter(|p| p.record.state != PersonState::Disabled)
                    .map(|p| (p.record.id.clone(), p))
                    .collect(),
                policies,
                settings: Some(settings),
            })
        };
        match wanted {
            RestoreClients::Keep => Admitted::Then(self.gone_from(id).map(Box::new)),
            RestoreClients::Revoke => Admitted::AsNow(Box::new(Now {
                settings: self.entry_of(id).map(|e| e.info.read().settings.clone()),
                ..Now::default()
            })),
            RestoreClients::AsNow => Admitted::AsNow(Box::new(source().unwrap_or_default())),
        }
    }

    /// Whom a tenant does not let in any more, where it is here and opens.
    fn gone_from(self: &Arc<Self>, id: &[u8; 16]) -> Option<Gone> {
        let tenant = self.open_tenant(&self.entry_of(id)?).ok()?;
        let clients = tenant.clients().sorted().into_iter();
        let people = tenant.people().sorted().into_iter();
        let vendors = tenant.vendors().sorted().into_iter();
        Some(Gone {
            revoked: clients.filter(|c| c.revoked).map(|c| c.id).collect(),
            people: (people.filter(|p| p.record.state != PersonState::Disabled))
                .map(|p| p.record.id.clone())
                .collect(),
            vendors: (vendors.filter(|grant| grant.standing() == Hold::Enabled))
                .map(|grant| grant.id.clone())
                .collect(),
        })
    }

    /// Whether a tenant was made of a backup of one that is here and that people of its own administer: those
    /// say who comes in, in both.
    pub(crate) fn is_of_others(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<bool> {
        let tenant = self.open_tenant(entry)?;
        let reader = tenant.reader()?;
        let made_of: Option<Vec<u8>> = schema::meta(&reader.db, RESTORED)?;
        tenant.give_back(reader);
        drop(tenant);
        let made_of = made_of.unwrap_or_default();
        let (ids, _) = made_of.as_chunks::<16>();
        let administered = |id: &[u8; 16]| {
            let entry = self.entry_of(id)?;
            // One that does not open has nobody who could.
            let people = self.open_tenant(&entry).ok()?.people().sorted();
            let mut people = people.iter().map(|p| &p.record);
            Some(people.any(|p| {
                p.state == PersonState::Active && p.has_role(access::TENANT_ADMINISTRATOR)
            }))
        };
        Ok(ids.iter().any(|id| administered(id) == Some(true)))
    }

    /// Whether a tenant was made of a backup, and has or had people of its own.
    pub(crate) fn is_restored(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<bool> {
        let tenant = self.open_tenant(entry)?;
        let reader = tenant.reader()?;
        let made_of: Option<Vec<u8>> = schema::meta(&reader.db, RESTORED)?;
        tenant.give_back(reader);
        Ok(made_of.is_some() && tenant.people().is_anybody_there())
    }

    fn entry_of(&self, id: &[u8; 16]) -> Option<Arc<Entry>> {
        let all = self.entries();
        all.into_iter().find(|e| e.tenant.bytes() == id)
    }

    /// Tells a backup's tenant, where it is here, that another one is made of it: in its trail, and those who
    /// administer it by an alert. A tenant that cannot be told is restored all the same: it may be for that.
    fn tell_source(
        self: &Arc<Self>,
        by: &By,
        id: &[u8; 16],
        as_name: &TenantName,
        is_as_then: bool,
    ) {
        let Some(entry) = self.entry_of(id) else {
            return;
        };
        let then = match is_as_then {
            true => ", people and policy as they were",
            false => "",
        };
        let did = format!("restore a backup as {as_name}{then}");
        self.note_in_trail(&entry, by, &did);
        let raise = || {
            let tenant = self.open_tenant(&entry)?;
            let mut slot = tenant.writer.lock();
            writer::alone(&tenant, &mut slot, |_, state| {
                let why = match by.1.why.as_str() {
                    "" => "no reason was given",
                    why => why,
                };
                let did = Did {
                    rule: AlertRule::OperatorCopy,
                    by: by.0.as_str(),
                    at: by.1.at,
                    event: as_name.as_str(),
                    seen: format!("{as_name}{then}: {why}"),
                    program: None,
                };
                operators::tell(&state.db, did)
            })
        };
        if let Err(e) = raise() {
            let name = entry.tenant.name();
            tracing::error!(tenant = %name, error = %e, "nobody there was told that it is restored as another one");
        }
    }

    /// A tenant id for work on a database that is no tenant yet, vouched for by this house like any
    /// other.
    fn passing_id(&self, id: &[u8; 16], name: &str, fhir: FhirVersion) -> Result<access::TenantId> {
        let name = TenantName::new(name).map_err(|_| invalid("the backup's header is damaged"))?;
        let directory = Directory::new(&self.keys.directory);
        let record = Record::seal(&self.keys.directory, name.clone(), *id, fhir, [0; 32]);
        directory
            .admit(&record)
            .map_err(|_| internal("a record of our own"))?;
        directory
            .resolve(&name)
            .ok_or_else(|| internal("a record of our own"))
    }

    /// Tells the journal where the restored tenant's chain ends.
    fn note_restored(self: &Arc<Self>, name: &TenantName) -> Result<()> {
        let entry = self.entry_named(name)?;
        let tenant = self.open_tenant(&entry)?;
        let mut slot = tenant.writer.lock();
        let state = writer::open_state(&tenant, &mut slot)?;
        let head = ChangeHead {
            seq: base::Seq(state.seq),
            chain: state.chain,
        };
        self.shared
            .journal
            .append(&tenant.pen, &head.encode())
            .map(drop)
    }
}

/// The settings of a tenant that is made of a backup: those that its tenant has now, where it is here, and a
/// legal hold that either has.
fn settings_of(header: &Header, admitted: &Admitted) -> TenantSettings {
    let now = match admitted {
        Admitted::AsNow(now) => now.settings.as_ref(),
        Admitted::Then(_) => None,
    };
    let Some(now) = now else {
        return header.settings.clone();
    };
    let mut settings = now.clone();
    if header.settings.is_held() {
        settings.legal_hold = header.settings.legal_hold;
    }
    settings
}

/// Makes every seal and the chain of changes anew, for another tenant id and key, and lets in those
/// clients that are admitted. The old seals were checked before, and are again as each row is read.
fn reseal(
    old: &Arc<OpenTenant>,
    id: &[u8; 16],
    keys: &TenantKeys,
    by: &By,
    admitted: &Admitted,
) -> Result<(ChangeHead, KeptClients)> {
    let mut slot = old.writer.lock();
    writer::alone(old, &mut slot, |old, state| {
        let db = &state.db;
        let held = administration::openings_hold(db)?;
        reseal_versions(old, db, id, keys)?;
        blob::reseal(old, db, id, &keys.seal)?;
        schema::set_meta(db, "tenant", id)?;
        if schema::meta::<[u8; 32]>(db, "client_secret")?.is_none() {
            schema::set_meta(db, "client_secret", old.keys.client_secret.expose())?;
        }
        let kept = admit(db, admitted)?;
        people::restored(db, |id| match admitted {
            Admitted::Then(Some(gone)) if !gone.people.contains(id) => Comes::Disabled,
            Admitted::Then(_) => Comes::Unchanged,
            Admitted::AsNow(now) => match now.people.get(id) {
                Some(person) => Comes::As(Box::new(people::kept(old.model, person))),
                None => Comes::Disabled,
            },
        })?;
        if let Admitted::AsNow(now) = admitted {
            policies::carry(db, &now.policies)?;
        }
        // What operators make there waits for those whom it is about.
        let mut made_of: Vec<u8> = schema::meta(db, RESTORED)?.unwrap_or_default();
        made_of.extend_from_slice(old.id.bytes());
        schema::set_meta(db, RESTORED, made_of)?;
        let sealed_anew = administration::Chain {
            tenant: id,
            key: &keys.seal,
        };
        // Nobody is open who was open then.
        let ending = ("system:restored from a backup", old.shared.clock.now());
        break_glass::end(db, old.chain(), None, ending)?;
        break_glass::reseal(db, Some(old.chain()), sealed_anew)?;
        quarantine::reseal(db, Some(old.chain()), sealed_anew)?;
        passkeys::reseal(db, old.chain(), sealed_anew)?;
        registrations::reseal(db, Some(old.chain()), sealed_anew)?;
        // What was switched off since the backup was made stays off until the clinic looks at it.
        let why = "restored from a backup";
        match admitted {
            Admitted::AsNow(_) => vendors::disable_all(db, why)?,
            Admitted::Then(Some(gone)) => {
                vendors::disable_but(db, why, |id| gone.vendors.contains(id))?;
            }
            Admitted::Then(None) => {}
        }
        let chain = administration::Chain {
            tenant: id,
            key: &keys.seal,
        };
        let now = old.shared.clock.now();
        let head = administration::record(state, chain, by, now, held)?;
        Ok((head, kept))
    })
}

fn reseal_versions(
    old: &Arc<OpenTenant>,
    db: &rusqlite::Connection,
    id: &[u8; 16],
    keys: &TenantKeys,
) -> Result<()> {
    const DOING: &str = "sealing a restored tenant";
    let mut seals = db
        .prepare("UPDATE version SET seal = ?2 WHERE vid = ?1")
        .doing(DOING)?;
    let sql = format!(
        "SELECT {COLUMNS}, v.vid FROM version v JOIN resource r ON r.rid = v.rid ORDER BY v.vid"
    );
    let mut read = db.prepare(&sql).doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut chain = Chain {
        db,
        id,
        keys,
        last: [0; 32],
        seq: 0,
        digest: Digest::default(),
    };
    while let Some(row) = rows.next().doing(DOING)? {
        let Ok(opened) = rows::open(old, db, row)? else {
            // It was found not to be as it was written, and is not sealed anew: what it carries is not a
            // seal of this tenant either.
            let carried: [u8; 32] = row.get(10).doing(DOING)?;
            let seq: i64 = row.get(4).doing(DOING)?;
            chain.add(u64::try_from(seq).unwrap_or(0), &carried)?;
            continue;
        };
        let vid: i64 = row.get(13).doing(DOING)?;
        let sealed = Sealed {
            tenant: id,
            type_id: opened.stored.type_id,
            id: &opened.stored.id,
            version: opened.stored.version,
            method: opened.stored.method,
            updated: opened.stored.updated,
            actor: &opened.actor,
            seq: opened.seq,
            digest: &opened.digest,
        };
        let seal = sealed.seal(&keys.seal);
        seals.execute(params![vid, seal]).doing(DOING)?;
        chain.add(opened.seq.0, &seal)?;
    }
    chain.end()
}

/// Revokes clients that are not admitted, and every way in for bulk loading.
fn admit(db: &rusqlite::Connection, admitted: &Admitted) -> Result<KeptClients> {
    const DOING: &str = "revoking clients of a restored tenant";
    let mut read = db
        .prepare("SELECT id, until_us IS NOT NULL, epoch FROM client WHERE revoked = 0")
        .doing(DOING)?;
    let live: Vec<(String, bool, i64)> = read
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .and_then(Iterator::collect)
        .doing(DOING)?;
    let mut kept = KeptClients::default();
    for (id, import, epoch) in live {
        let epoch = u64::try_from(epoch).ok();
        let of = ClientId::new(&id);
        let admits = of.is_some_and(|id| match admitted {
            Admitted::Then(gone) => gone.as_ref().is_none_or(|g| !g.revoked.contains(&id)),
            Admitted::AsNow(now) => now.clients.get(&id).copied() == epoch,
        });
        if admits && !import {
            kept.kept += 1;
            continue;
        }
        db.execute(
            "UPDATE client SET epoch = epoch + 1, revoked = 1 WHERE id = ?1",
            [&id],
        )
        .doing(DOING)?;
        kept.revoked += u64::from(!import);
    }
    Ok(kept)
}

/// Changes in order, each with the seals of its versions made anew.
struct Chain<'a> {
    db: &'a rusqlite::Connection,
    id: &'a [u8; 16],
    keys: &'a TenantKeys,
    last: [u8; 32],
    /// The change whose versions come.
    seq: u64,
    digest: Digest,
}

impl Chain<'_> {
    fn add(&mut self, seq: u64, seal: &[u8; 32]) -> Result<()> {
        while self.seq < seq {
            self.close()?;
            self.seq += 1;
        }
        self.digest.add(seal);
        Ok(())
    }

    /// Closes the current change, and those without versions up to the end.
    fn end(mut self) -> Result<()> {
        loop {
            self.close()?;
            let more: bool = self
                .db
                .query_row(
                    "SELECT EXISTS (SELECT 1 FROM change WHERE seq > ?1)",
                    [i64::try_from(self.seq).unwrap_or(i64::MAX)],
                    |r| r.get(0),
                )
                .doing("sealing a restored tenant")?;
            if !more {
                return Ok(());
            }
            self.seq += 1;
        }
    }

    fn close(&mut self) -> Result<()> {
        const DOING: &str = "sealing a restored tenant";
        if self.seq == 0 {
            return Ok(());
        }
        let ours = std::mem::take(&mut self.digest).value();
        let seq = i64::try_from(self.seq).unwrap_or(i64::MAX);
        let (updated, request, actor, members, was, about) = self
            .db
            .prepare_cached(
                "SELECT c.updated_us, c.request, a.text, c.members, c.digest, c.about
                 FROM change c JOIN actor a ON a.id = c.actor WHERE c.seq = ?1",
            )
            .and_then(|mut s| {
                s.query_row([seq], |r| {
                    let request: [u8; 16] = r.get(1)?;
                    let actor: String = r.get(2)?;
                    let members: i64 = r.get(3)?;
                    let was: [u8; 32] = r.get(4)?;
                    let about: Option<Vec<u8>> = r.get(5)?;
                    Ok((Micros(r.get(0)?), request, actor, members, was, about))
                })
            })
            .doing(DOING)?;
        // What was administered then is as it was.
        let digest = if members == 0 { was } else { ours };
        let line = ChangeLine {
            tenant: self.id,
            seq: base::Seq(self.seq),
            updated,
            request: base::RequestId(u128::from_be_bytes(request)),
            actor: &actor,
            members: u64::try_from(members).unwrap_or(0),
            digest: &digest,
            // Its place in the journal is another one.
            journal: None,
            about: about.as_deref(),
        };
        let chain = line.chain(&self.keys.seal, &self.last);
        self.db
            .prepare_cached(
                "UPDATE change SET digest = ?2, chain = ?3, journal = NULL WHERE seq = ?1",
            )
            .and_then(|mut s| s.execute(params![seq, digest, chain]))
            .doing(DOING)?;
        self.last = chain;
        Ok(())
    }
}
