//! A folder as the disk may hold it when the power goes at a line of the record.
//!
//! Bytes of a file are sure once a sync of that file began after they were written and returned
//! before the cut. Names in a folder (made, renamed, removed) are sure once a sync of that folder
//! did. Of everything else the disk may hold nothing, or some.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use testkit::Seed;

use super::trace::{Deed, Done, FolderId, Named, Place, Trace, write};

/// What becomes of what was not synced.
#[derive(Debug)]
pub(super) enum Rest {
    /// It is lost.
    Lost,
    /// Each piece by its own luck.
    Some(Seed),
}

/// Builds the folder.
pub(super) fn build(trace: &Trace, cut: usize, mut rest: Rest, target: &Path) {
    let mut names: BTreeMap<Place, Named> = BTreeMap::new();
    let mut contents: Vec<Vec<u8>> = vec![Vec::new(); trace.files];
    for (at, done) in trace.deeds.iter().enumerate() {
        if done.start >= cut || !(sure(trace, at, done, cut) || rest.lucky()) {
            continue;
        }
        match &done.deed {
            Deed::Make { place, what } => {
                names.insert(place.clone(), *what);
            }
            Deed::Rename { from, to } => {
                if let Some(what) = names.remove(from) {
                    names.insert(to.clone(), what);
                }
            }
            Deed::Unlink { place } => {
                names.remove(place);
            }
            Deed::Write { file, at, bytes } => write(&mut contents[*file], *at, bytes),
            Deed::Length { file, length } => contents[*file].resize(*length, 0),
            Deed::Grow { file, length } => {
                let content = &mut contents[*file];
                content.resize(content.len().max(*length), 0);
            }
            Deed::Sync { .. } | Deed::Answer { .. } => {}
        }
    }
    lay_out(&names, &contents, 0, target);
}

/// Writes what a folder holds; what has lost its folder is lost with it.
fn lay_out(names: &BTreeMap<Place, Named>, contents: &[Vec<u8>], folder: FolderId, target: &Path) {
    fs::create_dir_all(target).unwrap();
    for ((_, name), what) in names.iter().filter(|((of, _), _)| *of == folder) {
        match what {
            Named::Folder(inner) => lay_out(names, contents, *inner, &target.join(name)),
            // Shared memory of SQLite and the address of a dead server: no disk has to keep them.
            Named::File(_) if name.ends_with("-shm") || name == "listen.json" => {}
            Named::File(file) => fs::write(target.join(name), &contents[*file]).unwrap(),
        }
    }
}

impl Rest {
    fn lucky(&mut self) -> bool {
        match self {
            Self::Lost => false,
            Self::Some(seed) => seed.below(2) == 0,
        }
    }
}

/// Whether a deed was made sure by a sync that began after it and returned before the cut.
fn sure(trace: &Trace, at: usize, done: &Done, cut: usize) -> bool {
    let later = trace.deeds[at..]
        .iter()
        .filter(|sync| sync.start > done.end && sync.end < cut);
    let what = match &done.deed {
        Deed::Write { file, .. } | Deed::Length { file, .. } | Deed::Grow { file, .. } => {
            Named::File(*file)
        }
        Deed::Make { place, .. } | Deed::Rename { to: place, .. } | Deed::Unlink { place } => {
            Named::Folder(place.0)
        }
        Deed::Sync { .. } | Deed::Answer { .. } => return true,
    };
    let mut syncs = later.filter_map(|done| match &done.deed {
        Deed::Sync { what } => Some(*what),
        _ => None,
    });
    syncs.any(|synced| synced == what)
}
