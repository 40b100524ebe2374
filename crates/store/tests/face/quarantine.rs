//! The background check of rows: when it runs, how fast, and what it keeps.

use access::Reason;
use base::Code;
use store::{FindingKind, ScrubStatus};

use super::raw;
use super::world::{Tenant, World, observation, patient};

/// Asks until there is an answer, for at most a minute.
fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..30_000 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    panic!("{what}: not within a minute");
}

/// Waits until a tenant's check is as wanted.
fn until(t: &Tenant<'_>, what: &str, wanted: impl Fn(&ScrubStatus) -> bool) -> ScrubStatus {
    poll(what, || {
        let known = t.world.store.scrub(t.store.id());
        known.filter(&wanted)
    })
}

async fn kinds(t: &Tenant<'_>) -> Vec<(FindingKind, String)> {
    let found = t.store.quarantine(t.system(Reason::Operation), false).await;
    let found = found.unwrap().into_iter();
    found.map(|q| (q.kind, q.id.as_str().to_owned())).collect()
}

#[tokio::test]
async fn a_round_begins_by_itself_and_goes_on_after_a_restart() {
    let world = World::with(|c| {
        c.limits.scrub_interval_seconds = 3_600;
        c.limits.scrub_rows_per_second = 4;
    });
    let t = world.create("lakeside").await;
    for i in 0..12 {
        t.make(patient(&i.to_string(), "A")).await.unwrap();
    }
    world.clock.advance_secs(3_601);
    let some = until(&t, "some rows", |s| s.rows >= 3);
    assert!(some.begun.is_some() && some.finished.is_none(), "{some:?}");
    let begun = some.begun;
    drop(t);
    // What nobody had looked at yet is changed while the house is closed.
    let world = world.reopen();
    let t = world.tenant("lakeside");
    raw::open(&t)
        .execute_batch("UPDATE version SET updated_us = updated_us + 1 WHERE vid = 12")
        .unwrap();
    t.read("Patient", "3").await;
    let on = until(&t, "going on", |s| s.begun.is_some());
    assert_eq!(
        (on.begun, on.rows >= 3),
        (begun, true),
        "not from the start"
    );
    let status = t.store.begin_scrub(t.system(Reason::Operation), true).await;
    assert!(status.unwrap().begun.is_some());
    let done = until(&t, "the end", |s| s.begun.is_none());
    assert!(done.finished.is_some() && done.last_found >= 1, "{done:?}");
    // Versions, then resources.
    assert_eq!(done.last_rows, 24);
    assert_eq!(kinds(&t).await, [(FindingKind::Seal, "11".to_owned())]);
}

#[tokio::test]
async fn a_row_that_a_read_meets_goes_into_quarantine() {
    let world = World::with(|c| c.limits.scrub_interval_seconds = 0);
    let t = world.create("lakeside").await;
    t.make(patient("1", "A")).await.unwrap();
    t.make(observation("o", "1")).await.unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    raw::open(&t)
        .execute_batch("UPDATE version SET updated_us = updated_us + 1 WHERE vid = 2")
        .unwrap();
    let met = t.try_read("Observation", "o").await.unwrap_err();
    assert_eq!(met.code(), Code::ResourceQuarantined);
    poll("the quarantine", || {
        (world.store.metrics().quarantined.get() == 1).then_some(())
    });
    assert_eq!(kinds(&t).await, [(FindingKind::Seal, "o".to_owned())]);
    assert!(
        world
            .store
            .scrub(t.store.id())
            .is_none_or(|s| s.begun.is_none())
    );
    // It is kept over a restart.
    let world = world.reopen();
    let t = world.tenant("lakeside");
    let met = t.put(observation("o", "1"), None).await.unwrap_err();
    assert_eq!(met.code(), Code::ResourceQuarantined);
    assert_eq!(kinds(&t).await.len(), 1);
}

#[tokio::test]
async fn a_quarantine_is_bounded() {
    let world = World::with(|c| c.limits.quarantine_entries_max = 2);
    let t = world.create("lakeside").await;
    for i in 0..5 {
        t.make(patient(&i.to_string(), "A")).await.unwrap();
    }
    raw::open(&t)
        .execute_batch("UPDATE version SET updated_us = updated_us + 1")
        .unwrap();
    let begun = t.store.begin_scrub(t.system(Reason::Operation), true).await;
    begun.unwrap();
    let done = until(&t, "the end", |s| s.begun.is_none() && s.finished.is_some());
    assert_eq!((done.last_found, kinds(&t).await.len()), (5, 2));
    assert!(
        t.try_read("Patient", "4").await.is_err(),
        "what is not listed is not shown either"
    );
}
