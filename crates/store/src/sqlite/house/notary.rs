//! Signed heads of the tenants' trails: what a trail was up to a point, in a few bytes that are kept
//! outside the house, so that whoever rewrites the trail afterwards, with every key in hand, is found
//! out.
//!
//! A tenant's records in the journal are the leaves of a Merkle tree (RFC 6962), each byte for byte the
//! frame that is on the disk. The trees grow in the background, from what is on the disk already: who
//! reads does not wait for it. A head is made every thousand records, and every minute in which there
//! were any.

mod head;
pub(super) mod trees;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use base::{Code, Micros};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use head::sign;
pub(crate) use head::{HeadFile, Judged, Origin, SignedHead};

use super::anchoring::HOUSE;
use super::{Entry, House};
use crate::Result;
use crate::face::{ProofOf, TrailProof};
use crate::journal::{self, Keyed};
use crate::merkle::{self, Frontier};
use crate::sqlite::fault::{damaged, internal};
use crate::sqlite::folder::hex;

/// Records after which a head is made.
const HEAD_RECORDS: u64 = 1_000;
/// Seconds after which a head is made if there is a record that none is of.
const HEAD_SECONDS: i64 = 60;
/// Segments looked through in one round.
const SEGMENTS_AT_ONCE: usize = 4;

/// Of which trees heads are made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Those whose time has come.
    ByTime,
    /// That of one tenant too.
    Of([u8; 16]),
    /// All that have grown, as far as it can be done quickly.
    All,
}

/// For so long, heads are made of all trees.
const ALL_US: i64 = 2_000_000;

/// The trees of all tenants as far as they were read.
#[derive(Default)]
pub(crate) struct Notary {
    /// The segment and the place in it that come next.
    at: Option<(u64, u64)>,
    trees: HashMap<[u8; 16], Grown>,
    /// Heads that are not outside yet.
    unexported: u64,
}

/// A tree, and the last head of it.
struct Grown {
    tree: Frontier,
    /// The last head on the disk; looked up once it is asked for.
    last: Option<Option<SignedHead>>,
    headed_at: Micros,
    /// How far the file outside the house goes.
    exported: Option<u64>,
}

impl House {
    /// Lets the trees grow by what is on the disk, and makes heads that are due. Whether there is more
    /// to be read.
    pub(crate) fn notarise(&self, which: Due) -> Result<bool> {
        let mut notary = self.notary.lock();
        let journal = &self.shared.journal;
        let (segment, end) = journal.settled()?;
        let mut at = match notary.at {
            Some(at) => at,
            None => self.recall(&mut notary)?,
        };
        let mut looked = 0;
        while at.0 < segment || (at.0 == segment && at.1 < end) {
            if looked == SEGMENTS_AT_ONCE && which == Due::ByTime {
                return Ok(true);
            }
            looked += 1;
            let stop = (at.0 == segment).then_some(end);
            let mut due = Vec::new();
            let trees = &mut notary.trees;
            let reached = journal.frames_from(at, stop, &mut |tenant, frame| {
                let grown = trees.entry(tenant).or_insert_with(Grown::empty);
                grown.tree.push(merkle::leaf(frame));
                let size = grown.tree.size();
                if size.is_multiple_of(HEAD_RECORDS) || grown.is_last(size) {
                    due.push((tenant, grown.tree.clone()));
                }
            })?;
            for (tenant, tree) in due {
                self.head_is_due(&mut notary, tenant, &tree)?;
            }
            if reached == at.1 && at.0 == segment {
                tracing::error!(
                    segment,
                    code = Code::AuditAltered.as_str(),
                    "the journal cannot be read up to where it was written"
                );
                break;
            }
            at = (at.0, reached);
            if at.0 < segment {
                at = (journal.segment_after(at.0)?.unwrap_or(segment), 0);
                trees::keep(self, &notary.trees, at.0)?;
            }
            notary.at = Some(at);
        }
        self.heads_by_time(&mut notary, which);
        self.export_heads(&mut notary);
        Ok(false)
    }

    /// Where the trees stood at the beginning of the newest segment of which that is known.
    fn recall(&self, notary: &mut Notary) -> Result<(u64, u64)> {
        let (segment, trees) = trees::recall(self)?;
        notary.trees = trees
            .into_iter()
            .map(|(tenant, tree)| {
                let mut grown = Grown::empty();
                grown.tree = tree;
                (tenant, grown)
            })
            .collect();
        // Heads of earlier runs are what the trees are compared with.
        for (tenant, head) in self.last_heads()? {
            let grown = notary.trees.entry(tenant).or_insert_with(Grown::empty);
            grown.last = Some(head);
        }
        Ok((segment, 0))
    }

    fn last_heads(&self) -> Result<Vec<([u8; 16], Option<SignedHead>)>> {
        let mut found = Vec::new();
        for tenant in self.origins() {
            let head = HeadFile::of(&self.folder.heads(), &tenant).last()?;
            found.push((tenant, head));
        }
        Ok(found)
    }

    /// Everybody whose records are in the journal.
    fn origins(&self) -> Vec<[u8; 16]> {
        let all = self.entries();
        let tenants = all.iter().map(|e| *e.tenant.bytes());
        tenants.chain([HOUSE]).collect()
    }

    /// A tree is as large as its last head says, or as one is made at.
    fn head_is_due(&self, notary: &mut Notary, tenant: [u8; 16], tree: &Frontier) -> Result<()> {
        let Some(grown) = notary.trees.get_mut(&tenant) else {
            return Ok(());
        };
        let size = tree.size();
        let last = grown.last.get_or_insert(None);
        match last {
            Some(head) if head.size == size => {
                if head.root != tree.root() {
                    tracing::error!(
                        tenant = hex(&tenant),
                        size,
                        code = Code::AuditAltered.as_str(),
                        "the trail is not what its last head says"
                    );
                }
            }
            Some(head) if head.size > size => {}
            _ => self.make_head(grown, tenant, tree)?,
        }
        Ok(())
    }

    fn make_head(&self, grown: &mut Grown, tenant: [u8; 16], tree: &Frontier) -> Result<()> {
        let Some(origin) = self.origin_of(&tenant)? else {
            return Ok(());
        };
        let head = sign(&origin, tree, self.shared.clock.now())?;
        HeadFile::of(&self.folder.heads(), &tenant).append(&head)?;
        grown.last = Some(Some(head));
        grown.headed_at = self.shared.clock.monotonic();
        Ok(())
    }

    /// Whose tree it is, with the key that signs for it; `None` once its key is destroyed.
    fn origin_of(&self, tenant: &[u8; 16]) -> Result<Option<Origin>> {
        if *tenant == HOUSE {
            return Origin::new(String::new(), HOUSE, &self.keys.head).map(Some);
        }
        let entry = self
            .entries()
            .into_iter()
            .find(|e| e.tenant.bytes() == tenant);
        let Some(entry) = entry.filter(|e| self.has_key(e)) else {
            return Ok(None);
        };
        self.origin(&entry).map(Some)
    }

    pub(crate) fn origin(&self, entry: &Entry) -> Result<Origin> {
        let keys = self.unwrap_keys(entry)?;
        let name = entry.tenant.name().to_string();
        Origin::new(name, *entry.tenant.bytes(), &keys.head)
    }

    fn heads_by_time(&self, notary: &mut Notary, which: Due) {
        let clock = self.shared.clock.monotonic();
        let is_late = || self.shared.clock.monotonic().0 - clock.0 > ALL_US;
        for (tenant, grown) in &mut notary.trees {
            let size = grown.tree.size();
            let headed = grown.last.as_ref().and_then(Option::as_ref);
            let behind = size > headed.map_or(0, |head| head.size);
            let waited = clock >= grown.headed_at.plus_secs(HEAD_SECONDS);
            let now = match which {
                Due::ByTime => waited,
                Due::Of(one) => waited || one == *tenant,
                Due::All => true,
            };
            if !behind || !now {
                continue;
            }
            if which == Due::All && is_late() {
                return;
            }
            let tree = grown.tree.clone();
            if let Err(e) = self.make_head(grown, *tenant, &tree) {
                tracing::error!(tenant = hex(tenant), error = %e, "a head of a trail was not made");
            }
        }
    }

    /// Writes heads outside the house; those that cannot be written now the next time.
    fn export_heads(&self, notary: &mut Notary) {
        let Some(outside) = self.shared.config.heads.clone() else {
            return;
        };
        let mut behind = 0;
        for (tenant, grown) in &mut notary.trees {
            let size = grown.last.as_ref().and_then(Option::as_ref);
            let size = size.map_or(0, |head| head.size);
            if grown.exported.is_some_and(|exported| exported >= size) || size == 0 {
                continue;
            }
            match export(&self.folder.heads(), &outside, tenant, grown.exported) {
                Ok(reached) => grown.exported = Some(reached),
                Err(e) => {
                    behind += 1;
                    tracing::error!(
                        folder = %outside.display(),
                        error = %e,
                        "heads of trails were not written outside the house"
                    );
                }
            }
        }
        notary.unexported = behind;
        self.shared.metrics.heads_unexported.set(behind);
    }

    /// Trees of which there are heads, with the size of the last one.
    pub(super) fn grown_heads(&self) -> Vec<([u8; 16], u64)> {
        let notary = self.notary.lock();
        let last = |grown: &Grown| grown.last.as_ref()?.as_ref().map(|head| head.size);
        let grown = notary.trees.iter();
        grown
            .filter_map(|(tree, g)| Some((*tree, last(g)?)))
            .collect()
    }

    /// The last head of a tenant, made now if there is something that none is of.
    pub(crate) fn head_now(self: &Arc<Self>, entry: &Entry) -> Result<SignedHead> {
        let tenant = entry.tenant.bytes();
        while self.notarise(Due::Of(*tenant))? {}
        let head = HeadFile::of(&self.folder.heads(), tenant).last()?;
        head.ok_or_else(|| internal("a trail without a record has no head"))
    }

    /// A tenant's tree from the beginning of the oldest segment on; `each` is given the tree of the
    /// leaves that are gone, and each leaf that is there.
    pub(crate) fn leaves(
        &self,
        tenant: &[u8; 16],
        each: &mut dyn FnMut(&Frontier, &[u8]),
    ) -> Result<merkle::Tree> {
        let journal = &self.shared.journal;
        let (last, end) = journal.settled()?;
        let oldest = journal.segments()?.first().copied().unwrap_or(last);
        let gone = trees::before(self, oldest)?
            .remove(tenant)
            .unwrap_or_default();
        let mut tree = merkle::Tree::after(gone.clone());
        let mut at = (oldest, 0);
        loop {
            let stop = (at.0 == last).then_some(end);
            journal.frames_from(at, stop, &mut |of, frame| {
                if of == *tenant {
                    each(&gone, frame);
                    tree.push(merkle::leaf(frame));
                }
            })?;
            match journal.segment_after(at.0)? {
                Some(next) if next <= last => at = (next, 0),
                _ => return Ok(tree),
            }
        }
    }
}

impl House {
    /// The keys under which all tenants' records are encrypted, as far as they open.
    pub(crate) fn journal_keys(&self) -> Result<Vec<Keyed>> {
        let mut all = vec![(HOUSE, journal::key_of(&self.keys.journal)?)];
        for entry in self.entries() {
            if let Ok(keys) = self.unwrap_keys(&entry) {
                all.push((*entry.tenant.bytes(), journal::key_of(&keys.journal)?));
            }
        }
        Ok(all)
    }

    /// Heads of a tenant's trail that are kept in the data folder.
    pub(crate) fn heads_of(&self, tenant: &[u8; 16]) -> Result<Vec<SignedHead>> {
        HeadFile::of(&self.folder.heads(), tenant).all()
    }

    /// Whether segments of the journal are gone that the house did not take away.
    pub(crate) fn segments_taken(&self) -> Result<bool> {
        let oldest = self.shared.journal.segments()?.first().copied();
        let Some(oldest) = oldest else {
            return Ok(false);
        };
        Ok(!self.shared.journal.begins_with(oldest)?
            && trees::floor(self)?.is_none_or(|floor| floor < oldest))
    }

    /// A proof about a tenant's tree: of the first `size` leaves, or of all.
    pub(crate) fn prove(
        &self,
        tenant: &[u8; 16],
        what: ProofOf,
        size: Option<u64>,
    ) -> Result<TrailProof> {
        let mut wanted: Option<Vec<u8>> = None;
        let mut at = None;
        let tree = self.leaves(tenant, &mut |gone, frame| {
            let index = at.map_or(gone.size(), |at: u64| at + 1);
            at = Some(index);
            if matches!(what, ProofOf::Record(record) if record == index + 1) {
                wanted = Some(frame.to_vec());
            }
        })?;
        let size = size.unwrap_or(tree.size());
        let none = || {
            let text = "there is no such record, or it is gone, or it is not of that tree";
            crate::StoreError::Refused(Code::RequestInvalid, text.to_owned())
        };
        let root = tree
            .root(size)
            .filter(|_| size <= tree.size())
            .ok_or_else(none)?;
        let text = |hash: &merkle::Hash| STANDARD.encode(hash);
        let (path, mut proof) = match what {
            ProofOf::Record(record) => {
                let leaf = wanted.ok_or_else(none)?;
                let index = record.checked_sub(1).ok_or_else(none)?;
                let path = tree.inclusion(index, size).ok_or_else(none)?;
                let proof = TrailProof {
                    record: Some(record),
                    index: Some(index),
                    leaf: Some(STANDARD.encode(&leaf)),
                    leaf_hash: Some(text(&merkle::leaf(&leaf))),
                    ..TrailProof::default()
                };
                (path, proof)
            }
            ProofOf::Growth(from) => {
                let path = tree.consistency(from, size).ok_or_else(none)?;
                let proof = TrailProof {
                    from: Some(from),
                    from_root: tree.root(from).as_ref().map(text),
                    ..TrailProof::default()
                };
                (path, proof)
            }
        };
        (proof.size, proof.root) = (size, text(&root));
        proof.path = path.iter().map(text).collect();
        Ok(proof)
    }
}

impl Grown {
    fn empty() -> Self {
        Self {
            tree: Frontier::default(),
            last: None,
            headed_at: Micros(i64::MIN / 2),
            exported: None,
        }
    }

    fn is_last(&self, size: u64) -> bool {
        let last = self.last.as_ref().and_then(Option::as_ref);
        last.is_some_and(|head| head.size == size)
    }
}

/// Appends to the file outside what it does not have; how far it goes then.
fn export(inside: &Path, outside: &Path, tenant: &[u8; 16], known: Option<u64>) -> Result<u64> {
    let target = HeadFile::of(outside, tenant);
    let mut reached = match known {
        Some(size) => size,
        None => target.last()?.map_or(0, |head| head.size),
    };
    for head in HeadFile::of(inside, tenant).all()? {
        if head.size > reached {
            target.append(&head)?;
            reached = head.size;
        }
    }
    Ok(reached)
}

/// A tree whose leaves are not all there.
fn incomplete() -> crate::StoreError {
    damaged("the state of the trees before the journal's first segment is not there")
}
