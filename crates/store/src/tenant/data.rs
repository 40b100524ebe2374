//! Data of Binaries that is kept apart: written in pieces before the resource is, so that no
//! upload is ever held whole, and read in pieces.

use std::sync::{Arc, OnceLock};

use access::{Action, Permit, Released};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fhir::json::Value;
use fhir::resource::{Valid, write_head};

use super::TenantStore;
use crate::face::{Apart, DataIn};
use crate::sqlite::blob::{self, CHUNK_BYTES};
use crate::sqlite::mailboxes::Item;
use crate::sqlite::readers::Class;
use crate::sqlite::sha256;
use crate::{Data, Prepared, Result, StoreError, Stored};

/// Bodies up to so many bytes keep their data.
const APART_BYTES: usize = 64 << 10;
/// Bytes that are written in one transaction: few enough that other writes of the tenant do not
/// wait for long, many enough that flushing them costs little.
const STEP_BYTES: usize = 4 * CHUNK_BYTES;
/// Steps after which the writer's memory is given back: pages of data are not used again.
const STEPS_KEPT: u64 = 8;

/// Data that is written, in a tenant, and referred to by nothing yet; removed when it is dropped,
/// unless a resource that refers to it was committed.
pub(crate) struct Staged {
    store: TenantStore,
    pub(crate) blob: i64,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Staged({})", self.blob)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let (blob, house) = (self.blob, self.store.handle.0.clone());
        let Some(entry) = self.store.entry.clone() else {
            return;
        };
        let of = entry.clone();
        let task = Box::new(move || house.discard(&of, blob));
        // What cannot be removed now is removed at the next start.
        let _ = self.store.handle.0.mailboxes.put(&entry, Item::Task(task));
    }
}

/// Data of a Binary on its way in.
#[derive(Debug)]
pub struct Upload {
    store: TenantStore,
    /// Set by the first write, also if nobody waits for its end any more: then it is dropped there.
    staged: Arc<OnceLock<Arc<Staged>>>,
    buffer: Vec<u8>,
    written: u64,
}

impl Upload {
    /// Bytes that came.
    pub fn size(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Takes more bytes. Waits while there are enough to be written.
    ///
    /// # Errors
    /// `storage-full`, `storage-fault`, those of the tenant's state.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = STEP_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() >= STEP_BYTES {
                self.write().await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let entry = self.store.serving()?;
        let house = &self.store.handle.0;
        let bytes = std::mem::take(&mut self.buffer);
        let step = self.written / STEP_BYTES as u64;
        let first = self.written / CHUNK_BYTES as u64;
        let size = bytes.len() as u64;
        let known = self.staged.get().map(|s| s.blob);
        let (staged, store) = (self.staged.clone(), self.store.clone());
        let (_, bytes) = house
            .step(
                entry,
                move |tenant, state| {
                    let number = match known {
                        Some(number) => number,
                        None => blob::begin(&state.db, tenant.shared.run)?,
                    };
                    blob::put(tenant, &state.db, number, first, &bytes)?;
                    if step % STEPS_KEPT == STEPS_KEPT - 1 {
                        let _ = state.db.release_memory();
                    }
                    Ok((number, bytes))
                },
                move |(number, _)| {
                    let blob = *number;
                    staged.get_or_init(|| Arc::new(Staged { store, blob }));
                },
            )
            .await?;
        self.written += size;
        self.buffer = bytes;
        self.buffer.clear();
        Ok(())
    }

    /// All bytes, if they are few; else nothing, and everything is written.
    ///
    /// # Errors
    /// As those of [`Self::push`].
    pub async fn small(&mut self) -> Result<Option<Vec<u8>>> {
        if self.staged.get().is_none() && self.buffer.len() <= APART_BYTES / 4 * 3 {
            return Ok(Some(std::mem::take(&mut self.buffer)));
        }
        if !self.buffer.is_empty() {
            self.write().await?;
        }
        Ok(None)
    }
}

impl TenantStore {
    /// Begins to take the data of a Binary that the permit's holder may write.
    pub fn upload<A: Action>(&self, permit: &Permit<A>) -> Upload {
        assert!(
            *permit.tenant() == self.tenant,
            "a permit was brought to another tenant"
        );
        Upload {
            store: self.clone(),
            staged: Arc::default(),
            buffer: Vec::new(),
            written: 0,
        }
    }

    /// As [`Self::prepare`], for a Binary without `data` and the data that was uploaded.
    ///
    /// # Errors
    /// If nothing was uploaded.
    pub fn prepare_uploaded(&self, valid: Valid, upload: &Upload) -> Result<Prepared> {
        let empty = || StoreError::Refused(base::Code::BodyEmpty, "nothing was uploaded".into());
        let staged = upload.staged.get().cloned().ok_or_else(empty)?;
        let mut body = valid.body().to_owned();
        // The brace that closes it comes after the data.
        body.pop();
        body.push_str(",\"data\":\"");
        let at = body.len();
        body.push_str("\"}");
        let apart = Apart {
            body,
            at,
            size: upload.written,
            data: DataIn::Staged(staged),
        };
        Ok(self.pack(valid, Some(apart)))
    }

    /// Packs and digests a body.
    pub(super) fn pack(&self, valid: Valid, apart: Option<Apart>) -> Prepared {
        let body = match &apart {
            Some(apart) => apart.body.as_bytes(),
            None => valid.body().as_bytes(),
        };
        // Packing cannot fail for lack of anything but memory; the writer refuses what is empty.
        let codec = &self.handle.0.shared.codec;
        let (dict, packed) = codec.pack(self.tenant.fhir(), body).unwrap_or_default();
        let digest = sha256(body);
        Prepared {
            valid: Arc::new(valid),
            packed,
            dict,
            digest,
            apart,
        }
    }

    /// A piece of a Binary's data; the permit that released the version lets its data out too.
    ///
    /// # Errors
    /// `tenant-damaged` if it does not carry its seal; `not-found` if there is no such piece.
    pub async fn piece(&self, of: &Released<Stored>, place: u64) -> Result<Bytes> {
        let gone = || StoreError::Refused(base::Code::NotFound, "no such piece".into());
        let data = of.get().data.filter(|d| place < d.pieces());
        let data = data.ok_or_else(gone)?;
        let entry = self.serving()?;
        self.handle
            .0
            .read(entry, Class::Point, None, move |tenant, db, _| {
                blob::chunk(tenant, db, &data, place).map(Bytes::from)
            })
            .await
    }
}

/// Takes the data out of a Binary if there is much of it. Data that is not written as base64 is
/// written once it comes out again (with line breaks, say) stays where it is.
pub(super) fn take_apart(valid: &Valid) -> Option<Apart> {
    if valid.type_name() != "Binary" || valid.body().len() <= APART_BYTES {
        return None;
    }
    let mut whole = Vec::with_capacity(valid.body().len() + 192);
    let version = base::Version(1);
    write_head(
        &mut whole,
        valid.type_name(),
        valid.id(),
        version,
        base::Micros(0),
    );
    let head = whole.len();
    whole.extend_from_slice(valid.body().as_bytes());
    let document = fhir::json::parse(&whole, usize::MAX).ok()?;
    let (start, end) = document.root().get("data").map(Value::span)?;
    // Without the quotes.
    let (start, end) = (start.checked_add(1)?, end.checked_sub(1)?);
    let data = STANDARD.decode(whole.get(start..end)?).ok()?;
    let (start, end) = (start.checked_sub(head)?, end.checked_sub(head)?);
    let mut body = valid.body().get(..start)?.to_owned();
    body.push_str(valid.body().get(end..)?);
    (!data.is_empty()).then_some(Apart {
        body,
        at: start,
        size: data.len() as u64,
        data: DataIn::Here(data),
    })
}

impl Data {
    /// Bytes of the base64 of all of it.
    pub const fn base64_len(&self) -> u64 {
        self.size.div_ceil(3) * 4
    }
}
