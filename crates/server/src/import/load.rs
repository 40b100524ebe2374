//! The import itself: one thread reads and takes apart, several send.
//!
//! Memory is bounded by the requests in flight, plus about forty bytes for each resource: what its
//! `urn:uuid:` stands for, and whether it came before.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, anyhow};
use fhir::definitions::Model;
use parking_lot::Mutex;

use super::deliver::{Verdict, deliver, places};
use super::journal::{Journal, Line};
use super::ledger::{Ledger, Which};
use super::pack::{Chunk, Packer, content, key};
use super::source::Feed;
use super::split::{Item, Piece, Splitter};
use super::way_in::WayIn;
use super::{Plan, Summary};

/// What an import needs.
#[derive(Debug)]
pub struct Load {
    /// The way into the tenant.
    pub way: WayIn,
    /// The tenant's version of FHIR.
    pub model: &'static Model,
    /// How it is done.
    pub plan: Plan,
    /// Where it goes on; without one it begins at the beginning.
    pub journal: Option<Journal>,
}

/// Rounds in which what refers to something missing is tried again.
const ROUNDS_MAX: usize = 16;

/// Loads everything. `feed` gives the inputs anew for each pass over them: the second one is for
/// resources that refer to something which came later, the third for those that came twice with
/// different content, so that the last one wins.
///
/// # Errors
/// An input cannot be read, or the server is away for too long or refuses the import as a whole.
/// Refused resources are no error.
pub fn load(
    load: Load,
    feed: &mut dyn FnMut() -> anyhow::Result<Box<dyn Feed>>,
) -> anyhow::Result<Summary> {
    let Load {
        way,
        model,
        plan,
        journal,
    } = load;
    let earlier = journal.as_ref().map(|j| j.ways().to_vec());
    if let Some(journal) = &journal {
        let line = Line {
            way: Some(way.id().to_owned()),
            ..Line::default()
        };
        journal.write(&line)?;
    }
    let done = passes(&way, model, &plan, journal, feed);
    way.close();
    if done.is_ok() {
        // What an interrupted run left open: nobody needs it any more.
        for id in earlier.unwrap_or_default() {
            way.close_other(&id);
        }
    }
    done
}

fn passes(
    way: &WayIn,
    model: &'static Model,
    plan: &Plan,
    journal: Option<Journal>,
    feed: &mut dyn FnMut() -> anyhow::Result<Box<dyn Feed>>,
) -> anyhow::Result<Summary> {
    let ledger = Ledger::new(journal, plan.rejects.clone());
    let mut pass = Pass {
        way,
        plan,
        ledger: &ledger,
        splitter: Splitter::new(model),
        seen: HashMap::new(),
        open: HashSet::new(),
        differing: HashSet::new(),
        select: None,
    };
    pass.run(&mut *feed()?, plan.parallel)?;
    let mut waiting = std::mem::take(&mut pass.open);
    waiting.extend(ledger.take_missing());
    for round in 1..=ROUNDS_MAX {
        if waiting.is_empty() {
            break;
        }
        let before = waiting.len();
        pass.select = Some(waiting);
        pass.run(&mut *feed()?, plan.parallel)?;
        waiting = ledger.take_missing();
        if waiting.len() == before || round == ROUNDS_MAX - 1 {
            // Nothing came of waiting: one more time, for good.
            ledger.stop_waiting();
        }
    }
    if !pass.differing.is_empty() {
        ledger.stop_waiting();
        pass.select = Some(std::mem::take(&mut pass.differing));
        pass.run(&mut *feed()?, 1)?;
    }
    plan.progress.finish_and_clear();
    ledger.close()
}

/// One pass over the inputs.
struct Pass<'l> {
    way: &'l WayIn,
    plan: &'l Plan,
    ledger: &'l Ledger,
    splitter: Splitter,
    /// Content by type and id, of everything that came so far.
    seen: HashMap<u64, u64>,
    /// Resources that refer to something which was not seen yet.
    open: HashSet<Which>,
    /// Resources that came before with other content.
    differing: HashSet<Which>,
    /// What is done in this pass; everything in the first.
    select: Option<HashSet<Which>>,
}

/// The sending side of a pass.
struct Senders<'l> {
    way: &'l WayIn,
    ledger: &'l Ledger,
    plan: &'l Plan,
    chunks: Mutex<Receiver<Chunk>>,
    stopped: AtomicBool,
    trouble: Mutex<Option<anyhow::Error>>,
}

impl Pass<'_> {
    fn run(&mut self, feed: &mut dyn Feed, parallel: usize) -> anyhow::Result<()> {
        let (to, chunks) = sync_channel(2);
        let senders = Senders {
            way: self.way,
            ledger: self.ledger,
            plan: self.plan,
            chunks: Mutex::new(chunks),
            stopped: AtomicBool::new(false),
            trouble: Mutex::new(None),
        };
        let read = std::thread::scope(|scope| {
            for _ in 0..parallel.max(1) {
                scope.spawn(|| senders.work());
            }
            let read = self.read(feed, &to, &senders);
            drop(to);
            read
        });
        let trouble = senders.trouble.lock().take();
        trouble.map_or(Ok(()), Err)?;
        read
    }

    fn read(
        &mut self,
        feed: &mut dyn Feed,
        to: &SyncSender<Chunk>,
        senders: &Senders<'_>,
    ) -> anyhow::Result<()> {
        let mut packer = Packer::new(self.plan.entries_max, self.plan.bytes_max);
        let mut origin = None;
        self.splitter.begin();
        while let Some(document) = feed.next()? {
            if senders.stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            if self
                .select
                .as_ref()
                .is_some_and(|s| !s.iter().any(|w| w.0 == document.origin.digest))
            {
                continue;
            }
            if origin.as_ref() != Some(&document.origin) {
                self.end(origin.replace(document.origin.clone()))?;
            }
            self.document(&document, &mut packer, to)?;
            if self.select.is_none() {
                self.plan.progress.inc(document.advance);
            }
        }
        self.end(origin)?;
        packer.flush().map_or(Ok(()), |chunk| send(to, chunk))
    }

    fn end(&self, origin: Option<std::sync::Arc<super::Origin>>) -> anyhow::Result<()> {
        match origin {
            // An input that the journal passed over has given nothing, and its end is noted.
            Some(origin) if self.select.is_none() && self.splitter.ordinal() > 0 => {
                self.ledger.end(&origin.digest, self.splitter.ordinal())
            }
            _ => Ok(()),
        }
    }

    fn document(
        &mut self,
        document: &super::Document,
        packer: &mut Packer,
        to: &SyncSender<Chunk>,
    ) -> anyhow::Result<()> {
        let (way, ledger) = (self.way, self.ledger);
        let (seen, open, differing) = (&mut self.seen, &mut self.open, &mut self.differing);
        let select = self.select.as_ref();
        let mut settle = |items: Vec<Item>| settle(way, ledger, items, select);
        let mut take = |piece: Piece| {
            let item = match piece {
                Piece::Item(item) => *item,
                Piece::Reject(ordinal, reject) => {
                    let which = (document.origin.digest, ordinal);
                    let skip = select.is_some() || ledger.has(&which);
                    return if skip {
                        Ok(())
                    } else {
                        ledger.refuse(which, reject)
                    };
                }
            };
            let which = (item.place.origin.digest, item.ordinal);
            if let Some(select) = select {
                if !select.contains(&which) {
                    return Ok(());
                }
                ledger.unresolved(item.open.len());
            } else {
                if ledger.has(&which) {
                    return Ok(());
                }
                match seen.insert(key(&item), content(&item)) {
                    None if !item.open.is_empty() => {
                        open.insert(which);
                        return Ok(());
                    }
                    None => {}
                    Some(before) if before == content(&item) => {
                        packer.repeated(which.0, which.1);
                        return Ok(());
                    }
                    Some(_) => {
                        differing.insert(which);
                        return Ok(());
                    }
                }
            }
            packer.push(item).map_or(Ok(()), |chunk| send(to, chunk))
        };
        self.splitter.split(document, &mut settle, &mut take)
    }
}

/// Writes conditional items at once, because what follows may refer to them. In later passes, and
/// when the journal has them, they are only asked for their place.
fn settle(
    way: &WayIn,
    ledger: &Ledger,
    items: Vec<Item>,
    select: Option<&HashSet<Which>>,
) -> anyhow::Result<HashMap<String, String>> {
    let verdicts = deliver(way, &items)?;
    let places = places(&items, &verdicts);
    let which = |item: &Item| (item.place.origin.digest, item.ordinal);
    let fresh = |item: &Item| match select {
        Some(select) => select.contains(&which(item)),
        None => !ledger.has(&which(item)),
    };
    let (items, verdicts): (Vec<Item>, Vec<Verdict>) = items
        .into_iter()
        .zip(verdicts)
        .filter(|(item, _)| fresh(item))
        .unzip();
    ledger.enter(&Chunk::of(items), &verdicts)?;
    Ok(places)
}

fn send(to: &SyncSender<Chunk>, chunk: Chunk) -> anyhow::Result<()> {
    to.send(chunk)
        .map_err(|_| anyhow!("the senders have stopped"))
}

impl Senders<'_> {
    fn work(&self) {
        loop {
            let chunk = self.chunks.lock().recv();
            let Ok(chunk) = chunk else { return };
            if self.stopped.load(Ordering::Relaxed) {
                // The reader must not wait for ever on a full channel.
                continue;
            }
            if let Err(error) = self.one(&chunk) {
                self.trouble.lock().get_or_insert(error);
                self.stopped.store(true, Ordering::Relaxed);
            }
        }
    }

    fn one(&self, chunk: &Chunk) -> anyhow::Result<()> {
        let verdicts = deliver(self.way, &chunk.items)
            .context("the import stopped; the same command goes on where it was")?;
        self.ledger.enter(chunk, &verdicts)?;
        let (written, rejected) = self.ledger.so_far();
        self.plan.progress.set_message(match rejected {
            0 => format!("{written} resources"),
            _ => format!("{written} resources, {rejected} rejected"),
        });
        Ok(())
    }
}
