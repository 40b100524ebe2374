//! Events of tenants' trails in the order of the journal, for those who ship them, and how far each
//! of them got. Shipping leaves no records of its own: it would never end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use access::{Export, Permit, TenantId};
use base::{Code, Seq};

use super::notary::HeadFile;
use super::{Entry, House};
use crate::audit::{ChangeHead, Told};
use crate::face::{HeadLine, ShipOf, ShipPlace, ShippedEvent};
use crate::sqlite::fault::Doing;
use crate::sqlite::folder::{self, hex};
use crate::sqlite::trail;
use crate::{Result, StoreError};

/// Bytes of the journal that are looked through at once; a frame is shorter.
const WINDOW_BYTES: u64 = 256 << 10;

/// How far everybody who reads the trails for others got, by name.
pub(super) type Shippers = HashMap<String, ShipPlace>;

/// Gives the right to read a tenant's trail.
pub(crate) type Permits<'p> = &'p dyn Fn(&TenantId) -> Option<Permit<Export>>;

/// A frame, whose it is, and where it begins.
pub(super) struct Framed {
    pub(super) tenant: [u8; 16],
    pub(super) bytes: Vec<u8>,
    pub(super) at: u64,
}

/// Tenants by id.
type Wanted = HashMap<[u8; 16], Arc<Entry>>;

/// Events that are being put together for one who ships.
struct Shipment<'p> {
    wanted: Wanted,
    /// Of these, those whose trails go elsewhere: it is known how far they are, and nothing is shipped.
    elsewhere: HashSet<[u8; 16]>,
    permits: Permits<'p>,
    most: usize,
    place: ShipPlace,
    events: Vec<ShippedEvent>,
}

impl House {
    /// What comes after a place, up to about `most` events, and the place after it.
    pub(crate) fn to_ship(
        self: &Arc<Self>,
        of: &ShipOf,
        from: &ShipPlace,
        most: usize,
        permits: Permits<'_>,
    ) -> Result<(Vec<ShippedEvent>, ShipPlace)> {
        // Nothing was written since: the disk is left alone.
        if self.shared.journal.end() == (from.segment, from.offset) && from.stuck.is_empty() {
            return Ok((Vec::new(), from.clone()));
        }
        let (wanted, elsewhere) = self.wanted(of);
        let mut shipment = Shipment {
            wanted,
            elsewhere,
            permits,
            most,
            place: from.clone(),
            events: Vec::new(),
        };
        let upto = self.shared.journal.settled()?;
        self.ship_stuck(&mut shipment)?;
        while shipment.events.len() < most {
            let place = (shipment.place.segment, shipment.place.offset);
            let (frames, next) =
                self.frames_after(place, upto, &|id| shipment.wanted.contains_key(id))?;
            for frame in &frames {
                // From the beginning of a segment there may be tens of thousands.
                if shipment.events.len() >= most {
                    (shipment.place.segment, shipment.place.offset) = (next.0, frame.at);
                    return Ok((shipment.events, shipment.place));
                }
                let name = hex(&frame.tenant);
                if shipment.place.stuck.contains_key(&name) {
                    continue;
                }
                match self.ship_frame(frame, &mut shipment) {
                    Ok(true) => {}
                    // More changes than go at once: the rest of them comes next.
                    Ok(false) => {
                        (shipment.place.segment, shipment.place.offset) = (next.0, frame.at);
                        return Ok((shipment.events, shipment.place));
                    }
                    // What is wrong with one trail does not stop the others.
                    Err(e) => {
                        tracing::error!(tenant = name, error = %e, "a trail is not shipped");
                        shipment.place.stuck.insert(name, (next.0, frame.at));
                    }
                }
            }
            if next == place {
                break;
            }
            (shipment.place.segment, shipment.place.offset) = next;
        }
        Ok((shipment.events, shipment.place))
    }

    /// Ships what was left of trails that could not be read, up to where the others are.
    fn ship_stuck(self: &Arc<Self>, shipment: &mut Shipment<'_>) -> Result<()> {
        let upto = (shipment.place.segment, shipment.place.offset);
        for (name, begin) in shipment.place.stuck.clone() {
            let found = shipment.wanted.iter().find(|(id, _)| hex(*id) == name);
            let found = found.filter(|(_, entry)| self.may_open(entry));
            let Some((id, entry)) = found.map(|(id, entry)| (*id, entry.clone())) else {
                shipment.place.stuck.remove(&name);
                continue;
            };
            if self.open_tenant(&entry).is_err() {
                continue;
            }
            let mut place = begin;
            let mut is_broken = false;
            'windows: while shipment.events.len() < shipment.most && place < upto {
                let (frames, next) = self.frames_after(place, upto, &|of| *of == id)?;
                for frame in &frames {
                    let is_full = shipment.events.len() >= shipment.most;
                    if is_full || !matches!(self.ship_frame(frame, shipment), Ok(true)) {
                        // Where it was before, or there are more changes than go at once.
                        place = (next.0, frame.at);
                        is_broken = true;
                        break 'windows;
                    }
                }
                if next == place {
                    break;
                }
                place = next;
            }
            match place < upto || is_broken {
                true => shipment.place.stuck.insert(name, place),
                false => shipment.place.stuck.remove(&name),
            };
        }
        Ok(())
    }

    /// Tenants whose trails go there, with those of which is known how far they
    /// are because they might; and the latter.
    fn wanted(&self, of: &ShipOf) -> (Wanted, HashSet<[u8; 16]>) {
        let fits = |entry: &Arc<Entry>| match of {
            ShipOf::House => true,
            ShipOf::Tenant(tenant) => entry.tenant.bytes() == tenant.bytes(),
        };
        let all = self.entries();
        let some = all.into_iter().filter(fits);
        let wanted: Wanted = some.map(|e| (*e.tenant.bytes(), e)).collect();
        let has_own = |e: &Arc<Entry>| e.info.read().settings.ships_to().is_some();
        let own = wanted.iter().filter(|(_, entry)| has_own(entry));
        let elsewhere = match of {
            ShipOf::House => own.map(|(id, _)| *id).collect(),
            ShipOf::Tenant(_) => HashSet::new(),
        };
        (wanted, elsewhere)
    }

    /// Frames of some tenants after a place, and the place after them; the same place where there is
    /// nothing more. A place that retention has passed is where the journal begins now.
    pub(super) fn frames_after(
        &self,
        (mut segment, mut offset): (u64, u64),
        (last, end): (u64, u64),
        wanted: &dyn Fn(&[u8; 16]) -> bool,
    ) -> Result<(Vec<Framed>, (u64, u64))> {
        let journal = &self.shared.journal;
        let oldest = journal.segments()?.first().copied().unwrap_or(last);
        if segment < oldest {
            (segment, offset) = (oldest, 0);
        }
        let mut frames: Vec<Framed> = Vec::new();
        let mut length = 0;
        if (segment, offset) >= (last, end) {
            return Ok((frames, (segment, offset)));
        }
        let whole = (segment == last).then_some(end);
        // From the beginning of a segment the header comes first, and nobody knows how long it is.
        let stop = match (offset, whole) {
            (0, whole) => whole,
            (_, Some(end)) => Some(end.min(offset + WINDOW_BYTES)),
            (_, None) => Some(offset + WINDOW_BYTES),
        };
        let reached = journal.frames_from((segment, offset), stop, &mut |tenant, bytes| {
            if wanted(&tenant) {
                frames.push(Framed {
                    tenant,
                    bytes: bytes.to_vec(),
                    at: length,
                });
            }
            length += bytes.len() as u64;
        })?;
        let begin = reached.saturating_sub(length);
        frames.iter_mut().for_each(|frame| frame.at += begin);
        if reached == offset && segment < last {
            return Ok((frames, (journal.segment_after(segment)?.unwrap_or(last), 0)));
        }
        Ok((frames, (segment, reached)))
    }

    /// Whether all of a frame is in the shipment.
    fn ship_frame(self: &Arc<Self>, frame: &Framed, shipment: &mut Shipment<'_>) -> Result<bool> {
        let Some(entry) = shipment.wanted.get(&frame.tenant).cloned() else {
            return Ok(true);
        };
        let Some(permit) = (shipment.permits)(&entry.tenant) else {
            return Ok(true);
        };
        let _spent = permit.spend(&entry.tenant);
        // Nobody reads what is left of a tenant whose key is gone.
        if !self.may_open(&entry) {
            return Ok(true);
        }
        let tenant = self.open_tenant(&entry)?;
        let key = &tenant.keys.journal;
        let Some((number, record)) = self.shared.journal.open_frame(key, &frame.bytes)? else {
            tracing::error!(
                tenant = %entry.tenant.name(),
                code = Code::AuditAltered.as_str(),
                "a record of the trail does not open and is not shipped"
            );
            return Ok(true);
        };
        let is_elsewhere = shipment.elsewhere.contains(&frame.tenant);
        if is_elsewhere {
            if let Some(head) = ChangeHead::decode(&record) {
                // Should it come here one day, it begins here.
                let known = &mut shipment.place.changes;
                known.insert(hex(&frame.tenant), head.seq.0);
            }
            return Ok(true);
        }
        let events = &mut shipment.events;
        let mut add = |event| {
            events.push(ShippedEvent {
                tenant: tenant.id.name().clone(),
                fhir: tenant.id.fhir(),
                event,
            });
        };
        if let Some(head) = ChangeHead::decode(&record) {
            let known = shipment
                .place
                .changes
                .entry(hex(&frame.tenant))
                .or_insert(0);
            let mut added = 0;
            while *known < head.seq.0 {
                if added >= shipment.most {
                    return Ok(false);
                }
                let some = trail::change_events(&tenant, Seq(*known), head.seq)?;
                let Some((last, _)) = some.last() else {
                    *known = head.seq.0;
                    break;
                };
                *known = last.0;
                added += some.len();
                some.into_iter().for_each(|(_, event)| add(event));
            }
        } else if let Some(told) = Told::read(&record) {
            add(trail::access_event(&tenant, number, &told)?);
        }
        Ok(true)
    }

    /// Bytes of the journal after a place.
    pub(crate) fn ship_lag(&self, place: &ShipPlace) -> Result<u64> {
        let journal = &self.shared.journal;
        let (last, end) = journal.end();
        let (from, offset) = place.oldest();
        if from == last {
            return Ok(end.saturating_sub(offset));
        }
        let mut bytes = 0;
        for segment in journal.segments()?.into_iter().filter(|s| *s >= from) {
            let whole = match segment == last {
                true => end,
                false => std::fs::metadata(journal.path_of(segment)).map_or(0, |m| m.len()),
            };
            let done = if segment == from { offset } else { 0 };
            bytes += whole.saturating_sub(done);
        }
        Ok(bytes)
    }

    fn ship_file(&self, name: &str) -> PathBuf {
        self.folder.shipping().join(format!("{name}.json"))
    }

    /// How far a shipper got; from now on nothing that it did not ship goes.
    pub(crate) fn ship_place(&self, name: &str) -> Result<ShipPlace> {
        const DOING: &str = "reading how far a trail was shipped";
        let place: ShipPlace = match std::fs::read(self.ship_file(name)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| {
                let text = format!("shipping/{name}.json does not say how far a trail was shipped");
                StoreError::Refused(Code::StorageFault, text)
            })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => ShipPlace::default(),
            Err(e) => return Err(e).doing(DOING),
        };
        self.shippers.lock().insert(name.to_owned(), place.clone());
        Ok(place)
    }

    /// Keeps how far a shipper got.
    pub(crate) fn keep_ship_place(&self, name: &str, place: &ShipPlace) -> Result<()> {
        folder::make_dir(&self.folder.shipping())?;
        let text = serde_json::to_vec(place).unwrap_or_default();
        folder::replace(&self.ship_file(name), &text)?;
        // One that ended meanwhile is not waited for again.
        if let Some(known) = self.shippers.lock().get_mut(name) {
            known.clone_from(place);
        }
        Ok(())
    }

    /// Heads of trees that are larger than somebody knows them, at most so many, and how many there are.
    pub(crate) fn heads_after(
        &self,
        known: &BTreeMap<String, u64>,
        max: usize,
    ) -> Result<(Vec<HeadLine>, u64)> {
        let mut heads = Vec::new();
        let mut all = 0;
        for (tree, last) in self.grown_heads() {
            let name = hex(&tree);
            let from = known.get(&name).copied().unwrap_or(0);
            if last <= from {
                continue;
            }
            for head in HeadFile::of(&self.folder.heads(), &tree).all()? {
                if head.size <= from {
                    continue;
                }
                all += 1;
                if heads.len() < max {
                    heads.push(HeadLine {
                        tree: name.clone(),
                        size: head.size,
                        line: head.to_line()?,
                    });
                }
            }
        }
        Ok((heads, all))
    }

    /// Of which heads somebody was told: the size of each tree.
    pub(crate) fn head_place(&self, name: &str) -> Result<BTreeMap<String, u64>> {
        match std::fs::read(self.ship_file(name)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| {
                let text = format!("shipping/{name}.json does not say which heads were told");
                StoreError::Refused(Code::StorageFault, text)
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(e) => Err(e).doing("reading of which heads somebody was told"),
        }
    }

    /// Keeps of which heads somebody was told.
    pub(crate) fn keep_head_place(&self, name: &str, place: &BTreeMap<String, u64>) -> Result<()> {
        folder::make_dir(&self.folder.shipping())?;
        let text = serde_json::to_vec(place).unwrap_or_default();
        folder::replace(&self.ship_file(name), &text)
    }

    /// Nobody ships under this name any more: nothing waits for it.
    pub(crate) fn ship_no_more(&self, name: &str) {
        self.shippers.lock().remove(name);
    }

    /// Who does not have what a segment holds, by name, and where they are.
    pub(super) fn lacking(&self, segment: u64) -> Vec<(String, ShipPlace)> {
        let shippers = self.shippers.lock();
        let lacking = shippers.iter().filter(|(_, p)| p.oldest().0 <= segment);
        lacking.map(|(n, p)| (n.clone(), p.clone())).collect()
    }
}
