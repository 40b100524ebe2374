//! Audit trails whose end was cut off while nobody looked.

use std::path::PathBuf;

use store::FindingKind;

use super::raw;
use super::world::{Tenant, World, patient};

async fn finds(t: &Tenant<'_>, kind: FindingKind) -> bool {
    t.verify().await.findings.iter().any(|f| f.kind == kind)
}

fn segments(world: &World) -> Vec<PathBuf> {
    let mut segments: Vec<_> = std::fs::read_dir(world.data().join("journal"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    segments
}

/// Takes everything but the beginning of the journal away.
fn cut(world: &World) {
    let segments = segments(world);
    let mut bytes = std::fs::read(&segments[0]).unwrap();
    bytes[2_000..].fill(0);
    std::fs::write(&segments[0], bytes).unwrap();
    for later in &segments[1..] {
        std::fs::remove_file(later).unwrap();
    }
}

async fn read_often(t: &Tenant<'_>) {
    for _ in 0..50 {
        t.read("Patient", "1").await;
    }
}

/// The cut is found, also after the journal has grown past it, and after another start.
async fn is_found(world: World) {
    cut(&world);
    let world = world.reopen();
    let t = world.tenant("lakeside");
    assert!(finds(&t, FindingKind::Journal).await);
    for _ in 0..6 {
        read_often(&t).await;
        t.put(patient("2", "Later"), None).await.unwrap();
    }
    assert!(
        finds(&t, FindingKind::Journal).await,
        "it grew past the cut"
    );
    let world = world.reopen();
    assert!(finds(&world.tenant("lakeside"), FindingKind::Journal).await);
}

#[tokio::test]
async fn changes_know_where_the_journal_was() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    read_often(&t).await;
    // A change notes how far the journal was at a change before it, once that is on the disk.
    let flushes = world.store.metrics().journal_flushes.get();
    t.put(patient("2", "Zwei"), None).await.unwrap();
    while world.store.metrics().journal_flushes.get() < flushes + 2 {
        t.put(patient("2", "Zwo"), None).await.unwrap();
    }
    t.put(patient("2", "Dos"), None).await.unwrap();
    t.put(patient("2", "Tre"), None).await.unwrap();
    assert!(t.verify().await.ok);
    world.store.close();
    // What the house knows goes too.
    raw::control(&world)
        .execute("DELETE FROM journal", [])
        .unwrap();
    is_found(world).await;
}

#[tokio::test]
async fn the_house_knows_where_the_journal_was_when_it_closed() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    let world = world.reopen();
    // Only reads: no change tells of them.
    read_often(&world.tenant("lakeside")).await;
    world.store.close();
    is_found(world).await;
}

#[tokio::test]
async fn the_house_looks_where_the_journal_is_now_and_then() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    read_often(&t).await;
    let anchored = || {
        raw::control(&world)
            .query_row("SELECT coalesce(max(number), 0) FROM journal", [], |r| {
                r.get::<_, i64>(0)
            })
            .unwrap()
    };
    for _ in 0..1_000 {
        world.clock.advance_secs(61);
        world.store.tidy();
        if anchored() > 50 {
            assert!(t.verify().await.ok);
            return;
        }
        // Nothing else wakes the flusher's window.
        t.read("Patient", "1").await;
    }
    panic!("no place was kept: {}", anchored());
}

#[tokio::test]
async fn a_place_that_is_taken_out_is_missed() {
    // Without it a cut of the journal is not found. Nobody needs a key to take it out, and the heads.
    for (table, kind) in [
        ("journal", FindingKind::Journal),
        ("changes", FindingKind::Truncated),
    ] {
        for sql in ["DELETE FROM", "UPDATE OR IGNORE"] {
            let world = World::new();
            let t = world.create("lakeside").await;
            world.create("other").await;
            t.make(patient("1", "One")).await.unwrap();
            let world = world.reopen();
            let t = world.tenant("lakeside");
            read_often(&t).await;
            assert!(t.verify().await.ok);
            world.store.close();
            let rest = match sql {
                "DELETE FROM" => "",
                // Another place than was sealed.
                _ => " SET number = number + 7",
            };
            raw::control(&world)
                .execute(&format!("{sql} {table}{rest}"), [])
                .unwrap();
            for folder in ["heads", "shipping"] {
                let _ = std::fs::remove_dir_all(world.data().join(folder));
            }
            let mut world = world;
            // And after another start.
            for _ in 0..2 {
                world = world.reopen();
                let t = world.tenant("lakeside");
                assert!(finds(&t, kind).await, "{sql} {table}");
                t.put(patient("2", "Later"), None).await.unwrap();
                assert!(finds(&t, kind).await, "{sql} {table}");
            }
            // Of a tenant that is new nothing is missed.
            assert!(!finds(&world.create("newer").await, kind).await, "{table}");
        }
    }
}

#[tokio::test]
async fn a_journal_without_its_beginning_is_found() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    for _ in 0..40 {
        read_often(&t).await;
    }
    let world = world.reopen();
    let segments = segments(&world);
    assert!(segments.len() > 1);
    assert!(world.tenant("lakeside").verify().await.ok);
    std::fs::remove_file(&segments[0]).unwrap();
    assert!(finds(&world.tenant("lakeside"), FindingKind::Journal).await);
}

#[tokio::test]
async fn altered_and_cut_lines_of_the_operators_audit_are_found() {
    for sql in [
        "UPDATE audit SET actor = 'somebody' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 1",
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
    ] {
        let world = World::new();
        for tenant in ["abbey", "bridge", "castle"] {
            world.create(tenant).await;
        }
        assert!(world.tenant("abbey").verify().await.ok);
        world.store.close();
        raw::control(&world).execute(sql, []).unwrap();
        let world = world.reopen();
        let t = world.tenant("abbey");
        assert!(finds(&t, FindingKind::Operators).await, "{sql}");
        // New lines do not hide it.
        world.create("later").await;
        assert!(finds(&t, FindingKind::Operators).await, "{sql}");
    }
}
