//! What is done to a data folder behind Insula's back.

use base::Code;
use store::FindingKind::{self, *};
use store::Read;

use super::raw;
use super::world::{Tenant, World, observation, patient};

async fn fill(t: &Tenant<'_>) {
    t.make(patient("1", "One")).await.unwrap();
    t.make(patient("2", "Two")).await.unwrap();
    t.put(patient("1", "Uno"), None).await.unwrap();
    t.make(observation("o1", "1")).await.unwrap();
    t.make(observation("o2", "2")).await.unwrap();
    t.delete("Observation", "o2").await.unwrap();
}

/// Runs SQL on a tenant's database past Insula; what verification finds then, by kind and id.
async fn after(sql: &str) -> Vec<(FindingKind, String)> {
    let world = World::new();
    let t = world.create("lakeside").await;
    fill(&t).await;
    let good = t.verify().await;
    assert!(good.ok, "{good:?}");
    assert!(good.events > 6 + 6, "changes and records: {}", good.events);
    raw::open(&t).execute_batch(sql).unwrap();
    let report = t.verify().await;
    assert!(!report.ok, "{sql}");
    let mut found: Vec<_> = report
        .findings
        .iter()
        .map(|f| {
            let id =
                f.id.as_ref()
                    .map_or(String::new(), |i| i.as_str().to_owned());
            (f.kind, f.seq.map_or(id, |s| s.0.to_string()))
        })
        .collect();
    found.dedup();
    found
}

fn s(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn each_way_to_alter_a_row_is_found_and_named() {
    let cases: &[(&str, &[(FindingKind, &str)])] = &[
        (
            // another body, taken from another row of the same type
            "UPDATE version SET (body, size) = (SELECT body, size FROM version WHERE vid = 2)
             WHERE vid = 3",
            &[(Seal, "1")],
        ),
        ("UPDATE version SET body = x'00' WHERE vid = 4", &[(Body, "o1")]),
        // an edited seal also breaks the change that it is part of
        ("UPDATE version SET seal = zeroblob(32) WHERE vid = 4", &[(Seal, "o1"), (Change, "4")]),
        ("UPDATE version SET updated_us = updated_us + 1 WHERE vid = 1", &[(Seal, "1")]),
        ("UPDATE version SET method = 1 WHERE vid = 3", &[(Seal, "1")]),
        ("UPDATE actor SET text = 'client:other'", &[(Seal, "1"), (Seal, "2")]),
        // the older version goes
        ("DELETE FROM version WHERE vid = 1", &[(Change, "1"), (VersionMissing, "1")]),
        // the current version goes, and the one before is made current
        (
            "DELETE FROM version WHERE vid = 3;
             UPDATE resource SET version = 1, vid = 1 WHERE vid = 3",
            &[(Change, "3")],
        ),
        // a deletion is undone
        ("UPDATE resource SET deleted = 0 WHERE deleted = 1", &[(Current, "o2")]),
        ("UPDATE resource SET vid = 1, version = 1 WHERE vid = 3", &[(VersionMissing, "1")]),
        ("DELETE FROM resource WHERE vid = 2", &[(Current, "")]),
        ("UPDATE resource SET id = '9' WHERE id = '2'", &[(Seal, "9")]),
        ("UPDATE change SET actor = actor + 1 WHERE seq = 2", &[(Change, "2")]),
        ("UPDATE change SET request = zeroblob(16) WHERE seq = 2", &[(Change, "2")]),
        // the end is cut off, with everything that it made
        (
            "DELETE FROM change WHERE seq = 6; DELETE FROM version WHERE seq = 6;
             UPDATE resource SET deleted = 0, version = 1, vid = 5 WHERE version = 2 AND deleted = 1",
            &[(Truncated, "5"), (Index, "o2")],
        ),
        // a change that nobody made is put behind the last one
        (
            "INSERT INTO change SELECT seq + 1, updated_us, request, actor, members, digest, chain, journal, about
             FROM change WHERE seq = 6",
            &[(Change, "7")],
        ),
        // so is one with a version of a resource, as an update would leave it
        (
            "INSERT INTO change SELECT seq + 1, updated_us, request, actor, members, digest, chain, journal, about
             FROM change WHERE seq = 6;
             INSERT INTO version SELECT 7, rid, type, 2, 7, method, updated_us, actor, dict, size, seal, body, blob
             FROM version WHERE vid = 2;
             UPDATE resource SET vid = 7, version = 2 WHERE vid = 2",
            &[(Change, "7"), (Seal, "2")],
        ),
        // two changes stand in each other's place, with all that they made
        (
            "UPDATE change SET seq = -seq WHERE seq IN (2, 4);
             UPDATE change SET seq = 6 + seq WHERE seq IN (-2, -4);
             UPDATE version SET seq = 6 - seq WHERE seq IN (2, 4)",
            &[(Change, "2"), (Change, "4")],
        ),
        ("DELETE FROM ix_string WHERE rid = 2", &[(Index, "2")]),
        ("UPDATE ix_token SET code = 'other' WHERE rid = 3", &[(Index, "o1")]),
        ("UPDATE dictionary SET bytes = x'00'", &[(Dictionary, "")]),
    ];
    for (sql, expected) in cases {
        let found = after(sql).await;
        for (kind, id) in *expected {
            assert!(found.contains(&(*kind, s(id))), "{sql}: {found:?}");
        }
    }
}

#[tokio::test]
async fn an_altered_row_is_never_served() {
    let world = World::new();
    let t = world.create("lakeside").await;
    fill(&t).await;
    let world = world.reopen();
    let t = world.tenant("lakeside");
    raw::open(&t)
        .execute_batch(
            "UPDATE version SET (body, size) = (SELECT body, size FROM version WHERE vid = 2)
             WHERE vid = 3",
        )
        .unwrap();
    assert_eq!(
        t.try_read("Patient", "1").await.unwrap_err().code(),
        Code::ResourceQuarantined
    );
    assert!(matches!(t.read("Patient", "2").await, Read::Found(_)));
}

#[tokio::test]
async fn rows_and_files_of_another_tenant_do_not_pass() {
    let world = World::new();
    let a = world.create("abbey").await;
    let b = world.create("bridge").await;
    fill(&a).await;
    fill(&b).await;

    // A row with its seal, from the same place in the other tenant.
    let row: (Vec<u8>, Vec<u8>, i64) = raw::open(&b)
        .query_row(
            "SELECT body, seal, size FROM version WHERE vid = 1",
            [],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
        )
        .unwrap();
    raw::open(&a)
        .execute(
            "UPDATE version SET body = ?1, seal = ?2, size = ?3 WHERE vid = 1",
            row,
        )
        .unwrap();
    let report = a.verify().await;
    assert!(report.findings.iter().any(|f| f.kind == Seal), "{report:?}");

    // Key files change places.
    let (key_a, key_b) = (raw::key_file(&a), raw::key_file(&b));
    let (data_a, data_b) = (raw::database(&a), raw::database(&b));
    let swap = |x: &std::path::Path, y: &std::path::Path| {
        let t = x.with_extension("swap");
        std::fs::rename(x, &t).unwrap();
        std::fs::rename(y, x).unwrap();
        std::fs::rename(&t, y).unwrap();
    };
    let world = world.reopen();
    swap(&key_a, &key_b);
    for tenant in ["abbey", "bridge"] {
        let refused = world
            .tenant(tenant)
            .try_read("Patient", "1")
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::TenantDamaged, "swapped keys");
    }
    // Databases too: now each key fits its database, but neither belongs to its name.
    swap(&data_a, &data_b);
    for tenant in ["abbey", "bridge"] {
        let refused = world
            .tenant(tenant)
            .try_read("Patient", "1")
            .await
            .unwrap_err();
        assert_eq!(
            refused.code(),
            Code::TenantDamaged,
            "swapped keys and databases"
        );
    }
    swap(&key_a, &key_b);
    swap(&data_a, &data_b);
    assert!(matches!(
        world.tenant("bridge").read("Patient", "1").await,
        Read::Found(_)
    ));
}

#[tokio::test]
async fn directory_lines_that_the_house_did_not_write_are_not_admitted() {
    let world = World::new();
    let ids = [
        world.create("abbey").await.store.id().hex(),
        world.create("bridge").await.store.id().hex(),
    ];
    world
        .create("castle")
        .await
        .make(patient("1", "C"))
        .await
        .unwrap();
    let control = raw::control(&world);
    world.store.close();
    // Two tenants change names.
    control
        .execute("UPDATE tenant SET name = 'x' WHERE name = 'abbey'", [])
        .unwrap();
    control
        .execute("UPDATE tenant SET name = 'abbey' WHERE name = 'bridge'", [])
        .unwrap();
    control
        .execute("UPDATE tenant SET name = 'bridge' WHERE name = 'x'", [])
        .unwrap();
    drop(control);
    let world = world.reopen();
    for tenant in ["abbey", "bridge"] {
        let known = world.store.directory().resolve(&super::world::name(tenant));
        assert!(known.is_none(), "{tenant}: {ids:?}");
    }
    assert!(matches!(
        world.tenant("castle").read("Patient", "1").await,
        Read::Found(_)
    ));
}

#[tokio::test]
async fn a_damaged_tenant_answers_so_and_leaves_others_alone() {
    let world = World::new();
    let a = world.create("abbey").await;
    let b = world.create("bridge").await;
    fill(&a).await;
    fill(&b).await;
    let world = world.reopen();
    let path = raw::database(&world.tenant("abbey"));
    let bytes = std::fs::read(&path).unwrap();
    let mut damaged = bytes.clone();
    damaged[2000..2100].fill(0xaa);
    std::fs::write(&path, damaged).unwrap();
    let refused = world
        .tenant("abbey")
        .try_read("Patient", "1")
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::TenantDamaged);
    let refused = world
        .tenant("abbey")
        .make(patient("9", "X"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::TenantDamaged);
    world
        .tenant("bridge")
        .make(patient("9", "X"))
        .await
        .unwrap();
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(
        world.tenant("abbey").read("Patient", "1").await,
        Read::Found(_)
    ));
}

#[tokio::test]
async fn an_altered_record_of_the_journal_is_found() {
    let world = World::new();
    let t = world.create("lakeside").await;
    fill(&t).await;
    for _ in 0..20 {
        t.read("Patient", "1").await;
    }
    assert!(t.verify().await.ok);
    let world = world.reopen();
    let t = world.tenant("lakeside");
    t.read("Patient", "1").await;
    assert!(t.verify().await.ok, "the chain goes on after a restart");
    let mut segments: Vec<_> = std::fs::read_dir(world.data().join("journal"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    let first = &segments[0];
    let mut bytes = std::fs::read(first).unwrap();
    bytes[900] ^= 1;
    std::fs::write(first, bytes).unwrap();
    let report = t.verify().await;
    assert!(
        report.findings.iter().any(|f| f.kind == Journal),
        "{report:?}"
    );
}
