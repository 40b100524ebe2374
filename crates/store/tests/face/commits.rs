//! What a commit does, and what readers see of it.

use base::{Code, Version};
use store::{Condition, HistoryOf, Method, Outcome, PageRequest, Read};

use super::world::{World, found, id, observation, patient, text, type_id};

#[tokio::test]
async fn a_resource_is_made_read_changed_and_deleted() {
    let world = World::new();
    let t = world.create("lakeside").await;
    assert!(matches!(t.read("Patient", "7").await, Read::Absent));

    let made = t.make(patient("7", "Chalmers")).await.unwrap();
    assert_eq!(made.outcome, Outcome::Created);
    let made = made.stored.unwrap().into_inner();
    let read = found(t.read("Patient", "7").await);
    assert_eq!(text(&read), text(&made));
    assert_eq!(
        text(&read),
        r#"{"resourceType":"Patient","id":"7","meta":{"versionId":"1","lastUpdated":"2027-01-15T08:00:00.000Z"},"active":true,"name":[{"family":"Chalmers"}]}"#
    );

    let put = t
        .put(
            patient("7", "Windsor"),
            Some(Condition::Version(Version(1))),
        )
        .await
        .unwrap();
    assert_eq!(put.outcome, Outcome::Updated);
    assert!(text(&found(t.read("Patient", "7").await)).contains("Windsor"));
    assert!(text(&found(t.vread("Patient", "7", 1).await)).contains("Chalmers"));

    let stale = t
        .put(patient("7", "X"), Some(Condition::Version(Version(1))))
        .await
        .unwrap_err();
    assert_eq!(stale.code(), Code::VersionConflict);

    assert_eq!(
        t.delete("Patient", "7").await.unwrap().outcome,
        Outcome::Deleted
    );
    assert_eq!(
        t.delete("Patient", "7").await.unwrap().outcome,
        Outcome::Nothing
    );
    let Read::Deleted(tombstone) = t.read("Patient", "7").await else {
        panic!()
    };
    assert_eq!(tombstone.get().version, Version(3));

    let again = t.put(patient("7", "Back"), None).await.unwrap();
    assert_eq!(again.outcome, Outcome::Created);
    assert_eq!(found(t.read("Patient", "7").await).version, Version(4));

    let of = HistoryOf::Instance(type_id("Patient"), id("7"));
    let page = t.history(of, 10, PageRequest::default()).await;
    let methods: Vec<_> = page
        .entries
        .iter()
        .map(|e| e.resource.get().method)
        .collect();
    assert_eq!(
        methods,
        [Method::Put, Method::Delete, Method::Put, Method::Post]
    );
    assert_eq!(page.total, Some(4));
    let report = t.verify().await;
    assert!(report.ok, "{report:?}");
    assert_eq!(report.rows, 4);
}

#[tokio::test]
async fn a_change_is_made_whole_or_not_at_all() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    let writes = vec![
        t.putting(patient("1", "Changed"), None),
        t.creating(patient("2", "Two")),
        t.creating(patient("1x", "Three")),
        t.deleting("Patient", "9", Some(Condition::Version(Version(4)))),
    ];
    let refused = t.commit(writes).await.unwrap_err();
    assert_eq!(refused.code(), Code::VersionConflict);
    assert!(text(&found(t.read("Patient", "1").await)).contains("One"));
    assert!(matches!(t.read("Patient", "2").await, Read::Absent));

    let twice = vec![
        t.creating(patient("3", "A")),
        t.putting(patient("3", "B"), None),
    ];
    assert_eq!(
        t.commit(twice).await.unwrap_err().code(),
        Code::BundleDuplicate
    );
    let taken = t.make(patient("1", "Again")).await.unwrap_err();
    assert_eq!(taken.code(), Code::DuplicateId);
    assert!(t.verify().await.ok);
}

#[tokio::test]
async fn a_member_that_fails_does_not_undo_its_neighbours() {
    let world = World::new();
    let t = world.create("lakeside").await;
    // All at once: they meet in groups.
    let mut waiting = Vec::new();
    for i in 0..200 {
        let condition = (i % 3 == 0).then_some(Condition::Version(Version(9)));
        let write = t.putting(observation(&format!("o{i}"), "p"), condition);
        let (store, request) = (t.store.clone(), world.request());
        waiting.push(tokio::spawn(async move {
            let change = store::Change {
                writes: vec![write],
                ..Default::default()
            };
            store.commit(request, change).await
        }));
    }
    for (i, answer) in waiting.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        assert_eq!(answer.is_ok(), i % 3 != 0, "{i}");
        let read = t.read("Observation", &format!("o{i}")).await;
        assert_eq!(matches!(read, Read::Found(_)), i % 3 != 0, "{i}");
    }
    let groups = world.store.metrics().group_members.count();
    assert!(groups < 200, "{groups} groups for 200 changes");
    let report = t.verify().await;
    assert!(report.ok, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_go_back_while_writers_change() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "v1")).await.unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut readers = Vec::new();
    for _ in 0..4 {
        let (store, stop) = (t.store.clone(), stop.clone());
        let permits: Vec<_> = (0..20_000)
            .map(|_| t.permit(access::Target::Instance(type_id("Patient"), id("1"))))
            .collect();
        readers.push(tokio::spawn(async move {
            let mut last = 0;
            for permit in permits {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let read = store
                    .read(permit, type_id("Patient"), &id("1"))
                    .await
                    .unwrap();
                let stored = found(read);
                let version = stored.version.0;
                assert!(version >= last, "{version} after {last}");
                assert!(
                    text(&stored).contains(&format!("\"v{version}\"")),
                    "{}",
                    text(&stored)
                );
                last = version;
            }
        }));
    }
    for version in 2..300 {
        t.put(patient("1", &format!("v{version}")), None)
            .await
            .unwrap();
        assert_eq!(
            found(t.read("Patient", "1").await).version,
            Version(version)
        );
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(world.store.metrics().cache_hits.get() > 0);
}
