//! Limits, references that must resolve, and modes of durability.

use access::Target;
use base::Code;
use store::{AuditMode, Change, HistoryOf, PageRequest, Read, Synchronous};

use super::raw;
use super::world::{World, found, id, observation, patient, type_id};

#[tokio::test]
async fn a_full_mailbox_refuses_and_what_it_took_is_made() {
    let world = World::with(|c| {
        c.limits.writer_queue_max = 4;
        c.writer_threads = 1;
    });
    let t = world.create("lakeside").await;
    let mut waiting = Vec::new();
    for i in 0..100 {
        let write = t.creating(observation(&format!("o{i}"), "p"));
        let (store, request) = (t.store.clone(), world.request());
        waiting.push(tokio::spawn(async move {
            store
                .commit(
                    request,
                    Change {
                        writes: vec![write],
                        ..Default::default()
                    },
                )
                .await
        }));
    }
    let mut refused = 0;
    for (i, answer) in waiting.into_iter().enumerate() {
        let read =
            |t| async move { super::world::Tenant::read(t, "Observation", &format!("o{i}")).await };
        match answer.await.unwrap() {
            Ok(_) => assert!(matches!(read(&t).await, Read::Found(_))),
            Err(e) => {
                assert_eq!(e.code(), Code::LimitBusy);
                assert!(e.to_string().contains("writer_queue_max"), "{e}");
                assert!(matches!(read(&t).await, Read::Absent));
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    assert_eq!(world.store.metrics().refused_busy.get(), refused);
}

#[tokio::test]
async fn a_group_is_bounded_in_members_and_bytes() {
    for change in [
        (|l: &mut base::Limits| l.group_members_max = 3) as fn(&mut base::Limits),
        |l| l.group_bytes_max = 4_000,
    ] {
        let world = World::with(|c| change(&mut c.limits));
        let t = world.create("lakeside").await;
        let mut waiting = Vec::new();
        for i in 0..60 {
            let write = t.creating(observation(&format!("o{i}"), "p"));
            let (store, request) = (t.store.clone(), world.request());
            waiting.push(tokio::spawn(async move {
                store
                    .commit(
                        request,
                        Change {
                            writes: vec![write],
                            ..Default::default()
                        },
                    )
                    .await
            }));
        }
        for answer in waiting {
            answer.await.unwrap().unwrap();
        }
        let groups = world.store.metrics().group_members.count();
        assert!(groups >= 15, "{groups}");
    }
}

#[tokio::test]
async fn enforced_references_must_resolve_and_keep_their_targets() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let commit = |writes| {
        let change = Change {
            writes,
            enforce_references: true,
            ..Default::default()
        };
        t.store.commit(world.request(), change)
    };
    let dangling = commit(vec![t.creating(observation("o1", "1"))])
        .await
        .unwrap_err();
    assert_eq!(dangling.code(), Code::ReferenceMissing);
    assert!(matches!(t.read("Observation", "o1").await, Read::Absent));
    // In any order, made by the same change.
    commit(vec![
        t.creating(observation("o1", "1")),
        t.creating(patient("1", "One")),
    ])
    .await
    .unwrap();
    let used = commit(vec![t.deleting("Patient", "1", None)])
        .await
        .unwrap_err();
    assert_eq!(used.code(), Code::ReferenceInUse);
    // With what refers to it, it may go.
    commit(vec![
        t.deleting("Patient", "1", None),
        t.deleting("Observation", "o1", None),
    ])
    .await
    .unwrap();
    assert!(matches!(t.read("Patient", "1").await, Read::Deleted(_)));
    let gone = commit(vec![t.creating(observation("o2", "1"))])
        .await
        .unwrap_err();
    assert_eq!(gone.code(), Code::ReferenceMissing);
    assert!(t.verify().await.ok);
}

#[tokio::test]
async fn histories_page_backwards_on_one_snapshot() {
    let world = World::new();
    let t = world.create("lakeside").await;
    for i in 0..25 {
        t.make(observation(&format!("o{i}"), "1")).await.unwrap();
        t.make(patient(&format!("p{i}"), "P")).await.unwrap();
    }
    for of in [HistoryOf::Type(type_id("Observation")), HistoryOf::System] {
        let total = t.history(of.clone(), 0, PageRequest::default()).await;
        let all = total.total.unwrap();
        let mut seen = Vec::new();
        let mut page = PageRequest::default();
        loop {
            let found = t.history(of.clone(), 10, page.clone()).await;
            let versions = found.entries.iter().map(|e| e.resource.get());
            seen.extend(versions.map(|s| (s.type_id, s.id.clone(), s.version)));
            // What is made meanwhile does not show on later pages.
            t.put(observation("o3", "2"), None).await.unwrap();
            let Some(next) = found.next else { break };
            page = PageRequest {
                after: Some(next),
                as_of: Some(found.as_of),
                deadline: None,
                ..PageRequest::default()
            };
        }
        let unique: std::collections::HashSet<_> = seen.iter().collect();
        assert_eq!((unique.len(), seen.len() as u64), (seen.len(), all));
    }
    world.clock.advance_secs(60);
    t.put(patient("p1", "Late"), None).await.unwrap();
    let permit = t.permit(Target::Readable);
    let request = store::HistoryRequest {
        of: HistoryOf::System,
        since: Some(base::Clock::now(&*world.clock)),
        at: None,
        listed: None,
        ascending: false,
        count: 10,
        page: PageRequest::default(),
    };
    let late = t.store.history(permit, request).await.unwrap();
    assert_eq!(late.entries.len(), 1);
    assert_eq!(late.entries[0].resource.get().id, id("p1"));
}

#[tokio::test]
async fn strict_audit_and_full_durability_work_the_same() {
    let world = World::with(|c| {
        c.audit = AuditMode::Strict;
        c.synchronous = Synchronous::Full;
    });
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    for _ in 0..5 {
        found(t.read("Patient", "1").await);
    }
    let report = t.verify().await;
    assert!(report.ok, "{report:?}");
}

#[tokio::test]
async fn a_narrow_permit_shows_only_its_types_in_a_history() {
    let world = World::new();
    let mut t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    t.make(observation("o1", "1")).await.unwrap();
    t.who = super::world::with_scopes(t.store.id(), "narrow", "system/Observation.rs");
    let page = t
        .history(HistoryOf::System, 10, PageRequest::default())
        .await;
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].resource.get().id, id("o1"));
}

#[tokio::test]
#[should_panic(expected = "another tenant")]
async fn a_permit_of_another_tenant_stops_the_request() {
    let world = World::new();
    let a = world.create("abbey").await;
    let b = world.create("bridge").await;
    let permit = a.permit(Target::Instance(type_id("Patient"), id("1")));
    let _ = b.store.read(permit, type_id("Patient"), &id("1")).await;
}

#[tokio::test]
async fn a_log_is_cut_to_its_limit_also_beside_a_long_read() {
    const MAX: u64 = 1 << 20;
    // The index of the trail reads beside it, a moment at a time.
    const BESIDE: u64 = 5 * MAX;
    let world = World::with(|config| config.limits.log_bytes_max = MAX);
    let t = world.create("lakeside").await;
    let log = raw::database(&t).with_extension("db-wal");
    let size = || std::fs::metadata(&log).map_or(0, |m| m.len());
    let round = async |from: usize| {
        for i in from..from + 30 {
            let writes = (0..40)
                .map(|j| t.creating(observation(&format!("o{i}-{j}"), "1")))
                .collect();
            t.commit(writes).await.unwrap();
        }
    };
    // What looks after the house may read just when the log would begin anew: then it does a little later.
    for from in [0, 30, 60] {
        round(from).await;
        if size() <= BESIDE {
            break;
        }
    }
    assert!(size() <= BESIDE, "{} bytes of log", size());
    {
        let reader = raw::open(&t);
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM version;")
            .unwrap();
        round(100).await;
        round(130).await;
        assert!(size() > BESIDE, "what is read is kept: {} bytes", size());
    }
    // As above.
    for from in (200..).step_by(30).take(10) {
        round(from).await;
        if size() <= BESIDE {
            break;
        }
    }
    assert!(size() <= BESIDE, "{} bytes of log", size());
    // Searches keep their snapshot until something is committed; that holds nothing up.
    super::searches::be_brisk(&t).await;
    for from in (600..660).step_by(2) {
        super::searches::find(&t, "Observation", "_count=1", PageRequest::default()).await;
        let writes = (0..40)
            .map(|j| t.creating(observation(&format!("o{from}-{j}"), "1")))
            .collect();
        t.commit(writes).await.unwrap();
    }
    assert!(size() <= BESIDE, "{} bytes of log", size());
    assert!(t.verify().await.ok);
}
