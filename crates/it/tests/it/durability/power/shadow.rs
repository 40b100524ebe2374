//! A folder as the disk may hold it when the power goes at a line of the record.
//!
//! Bytes of a file are sure once a sync of that file began after they were written and returned
//! before the cut. Names in a folder (made, renamed, removed) are sure once a sync of that folder
//! did. Of everything else the disk may hold nothing, or some.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use testkit::Seed;

use super::trace::{Deed, Done, FileId, Trace, write};

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
    fs::create_dir_all(target).unwrap();
    let mut names: BTreeMap<String, FileId> = BTreeMap::new();
    let mut folders: BTreeSet<String> = BTreeSet::from([String::new()]);
    let mut contents: Vec<Vec<u8>> = vec![Vec::new(); trace.files];
    for (at, done) in trace.deeds.iter().enumerate() {
        if done.start >= cut {
            continue;
        }
        if !sure(trace, at, done, cut) && !rest.lucky() {
            continue;
        }
        match &done.deed {
            Deed::Create { path, file } => {
                names.insert(path.clone(), *file);
            }
            Deed::Folder { path } => {
                folders.insert(path.clone());
            }
            Deed::Rename { from, to } => {
                rename(&mut names, from, to);
                if folders.remove(from) {
                    folders.insert(to.clone());
                }
            }
            Deed::Unlink { path } => {
                names.remove(path);
                folders.remove(path);
            }
            Deed::Write { file, at, bytes } => write(&mut contents[*file], *at, bytes),
            Deed::Length { file, length } => contents[*file].resize(*length, 0),
            Deed::Grow { file, length } => {
                let content = &mut contents[*file];
                content.resize(content.len().max(*length), 0);
            }
            Deed::Sync { .. } | Deed::SyncFolder { .. } | Deed::Answer { .. } => {}
        }
    }
    for folder in &folders {
        fs::create_dir_all(target.join(folder)).unwrap();
    }
    for (path, file) in names {
        // A name in a folder that is not there is not there.
        if !folders.contains(parent(&path)) {
            continue;
        }
        // Shared memory of SQLite and the address of a dead server: no disk has to keep them.
        if path.ends_with("-shm") || path == "listen.json" {
            continue;
        }
        fs::write(target.join(path), &contents[file]).unwrap();
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
    match &done.deed {
        Deed::Write { file, .. } | Deed::Length { file, .. } | Deed::Grow { file, .. } => later
            .into_iter()
            .any(|sync| matches!(&sync.deed, Deed::Sync { file: synced } if synced == file)),
        Deed::Create { path, .. }
        | Deed::Folder { path }
        | Deed::Rename { to: path, .. }
        | Deed::Unlink { path } => {
            let parent = parent(path);
            later
                .into_iter()
                .any(|sync| matches!(&sync.deed, Deed::SyncFolder { path } if path == parent))
        }
        Deed::Sync { .. } | Deed::SyncFolder { .. } | Deed::Answer { .. } => true,
    }
}

/// The folder that a name is in.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A file or a whole folder takes another name.
fn rename(names: &mut BTreeMap<String, FileId>, from: &str, to: &str) {
    let under = format!("{from}/");
    let moved: Vec<String> = names
        .keys()
        .filter(|name| *name == from || name.starts_with(&under))
        .cloned()
        .collect();
    for name in moved {
        let Some(file) = names.remove(&name) else {
            continue;
        };
        names.insert(format!("{to}{}", &name[from.len()..]), file);
    }
}
