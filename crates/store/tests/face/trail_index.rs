//! The index of the trail is of the journal that is there, and of no other.

use std::path::PathBuf;

use access::Target;
use store::PageRequest;

use super::raw;
use super::searches::query;
use super::world::{Tenant, World, patient, type_id, with_scopes};

fn world() -> World {
    World::with(|config| config.limits.trail_index_lag_max = 1)
}

/// Numbers of the records by which a patient was read, the oldest first.
async fn reads_of(t: &Tenant<'_>, patient: &str) -> Vec<String> {
    let auditor = Tenant {
        world: t.world,
        store: t.store.clone(),
        who: with_scopes(t.store.id(), "auditor", "system/AuditEvent.rs"),
    };
    let target = Target::Types(vec![type_id("AuditEvent")]);
    let asked = format!("patient=Patient/{patient}&action=R&_sort=date&_count=100");
    let query = query("AuditEvent", &asked);
    let found = auditor
        .store
        .search_trail(auditor.permit(target), query, PageRequest::default())
        .await
        .unwrap();
    let id = |e: &store::Entry| e.resource.get().id.as_str().to_owned();
    found.entries.iter().map(id).collect()
}

/// The same, with what the index names and without it; both agree.
async fn agreed(t: &Tenant<'_>, patient: &str) -> Vec<String> {
    let with = reads_of(t, patient).await;
    let index = index(t);
    let away = index.with_extension("away");
    std::fs::rename(&index, &away).unwrap();
    let without = reads_of(t, patient).await;
    std::fs::rename(&away, &index).unwrap();
    assert_eq!(with, without);
    with
}

fn index(t: &Tenant<'_>) -> PathBuf {
    raw::database(t).with_file_name("trail.db")
}

async fn some_reads(t: &Tenant<'_>, patient: &str, times: usize) {
    for _ in 0..times {
        t.world.clock.advance_secs(1);
        t.read("Patient", patient).await;
    }
}

#[tokio::test]
async fn an_index_that_knows_records_which_were_cut_off_is_made_anew() {
    let world = world();
    let t = world.create("lakeside").await;
    for id in ["1", "2"] {
        t.make(patient(id, "One")).await.unwrap();
    }
    some_reads(&t, "1", 20).await;
    world.store.tidy();
    assert_eq!(agreed(&t, "1").await.len(), 20);
    world.store.tidy();
    // While it runs: it ends all the same.
    cut(&segments(&world).pop().unwrap(), 15);
    let world = world.reopen();
    let t = world.tenant("lakeside");
    // The numbers of what was cut off are given again, to reads of somebody else.
    some_reads(&t, "2", 30).await;
    let (one, two) = (agreed(&t, "1").await, agreed(&t, "2").await);
    assert!(one.len() < 20, "{one:?}");
    assert_eq!(two.len(), 30);
    world.store.tidy();
    assert_eq!((agreed(&t, "1").await, agreed(&t, "2").await), (one, two));
}

#[tokio::test]
async fn what_retention_removed_is_not_named_any_more() {
    let world = World::with(|config| {
        config.limits.trail_index_lag_max = 1;
        config.audit_retention_days = 30;
    });
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    some_reads(&t, "1", 1_500).await;
    world.clock.advance_secs(61);
    world.store.tidy();
    assert_eq!(agreed(&t, "1").await.len(), 100);
    let before = segments(&world).len();
    world.clock.advance_secs(31 * 86_400);
    some_reads(&t, "1", 3).await;
    world.store.tidy();
    world.store.tidy();
    assert!(segments(&world).len() < before, "something was removed");
    let world = world.reopen();
    let t = world.tenant("lakeside");
    let left = agreed(&t, "1").await;
    assert!(left.len() >= 3, "{left:?}");
    some_reads(&t, "1", 3).await;
    world.store.tidy();
    agreed(&t, "1").await;
}

fn segments(world: &World) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(world.data().join("journal")).unwrap();
    let paths = folder.map(|file| file.unwrap().path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    found.sort();
    found
}

/// Takes the last frames off a segment.
fn cut(path: &PathBuf, frames: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let count = u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    let mut at = 24 + count as usize * 56 + 32;
    let mut places = Vec::new();
    while bytes[at..].starts_with(b"IJ1\0") {
        places.push(at);
        let sealed = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
        at += 76 + sealed as usize;
    }
    let from = places[places.len() - frames];
    bytes[from..].fill(0);
    std::fs::write(path, &bytes).unwrap();
}
