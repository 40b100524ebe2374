//! Data of Binaries that is kept apart from its resource.

use access::{Create, Read as ReadRight, Target};
use base::Code;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fhir::resource::Valid;
use store::{FindingKind, Form, Read, Stored};

use super::raw;
use super::world::{Tenant, World, found, id, name, patient, text, type_id, valid};

fn bytes(size: usize, seed: u8) -> Vec<u8> {
    (0..size).map(|i| (i * 31 / 7) as u8 ^ seed).collect()
}

/// A Binary whose members stand around its data.
fn json(id: &str, data: &str) -> String {
    format!(
        r#"{{"resourceType":"Binary","id":"{id}","contentType":"a/b","data":"{data}","securityContext":{{"reference":"Patient/1"}}}}"#
    )
}

fn binary(id: &str, data: &[u8]) -> Valid {
    valid(&json(id, &STANDARD.encode(data)))
}

fn data(stored: &Stored) -> Vec<u8> {
    let resource: serde_json::Value = serde_json::from_str(text(stored)).unwrap();
    assert_eq!(resource["securityContext"]["reference"], "Patient/1");
    STANDARD.decode(resource["data"].as_str().unwrap()).unwrap()
}

fn chunks(t: &Tenant<'_>) -> i64 {
    let count = "SELECT count(*) FROM chunk";
    raw::open(t).query_row(count, [], |r| r.get(0)).unwrap()
}

async fn pieces(t: &Tenant<'_>, of: &str) -> Vec<u8> {
    let (type_id, id) = (type_id("Binary"), id(of));
    let permit = t.permit::<ReadRight>(Target::Instance(type_id, id.clone()));
    let read = t.store.read_as(permit, type_id, &id, Form::Apart).await;
    let Read::Found(stored) = read.unwrap() else {
        panic!("{of} is there");
    };
    let data = stored.get().data.unwrap();
    let mut all = Vec::new();
    for place in 0..data.pieces() {
        all.extend_from_slice(&t.store.piece(&stored, place).await.unwrap());
    }
    assert_eq!(all.len() as u64, data.size());
    let beyond = t.store.piece(&stored, data.pieces()).await.unwrap_err();
    assert_eq!(beyond.code(), Code::NotFound);
    all
}

#[tokio::test]
async fn much_data_is_kept_apart_and_comes_back_as_it_was() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let (one, two) = (bytes(700_001, 1), bytes(200_000, 2));
    t.make(binary("b", &one)).await.unwrap();
    assert_eq!(chunks(&t), 4);
    t.put(binary("b", &two), None).await.unwrap();
    t.make(binary("small", b"few")).await.unwrap();
    // Not as it would be written again: it stays as it is.
    let broken = STANDARD.encode(&two).replacen("AA", "AA ", 1);
    t.make(valid(&json("lines", &broken))).await.unwrap();
    assert_eq!(chunks(&t), 6);
    t.delete("Binary", "small").await.unwrap();
    let file = world.data().join("copy.insula-backup");
    t.store
        .backup(t.system(access::Reason::Backup), &file)
        .await
        .unwrap();
    world
        .store
        .restore(
            world.house(),
            &file,
            name("copy"),
            store::RestoreClients::default(),
        )
        .await
        .unwrap();
    let world = world.reopen();
    for tenant in ["lakeside", "copy"] {
        let t = world.tenant(tenant);
        assert_eq!(data(&found(t.read("Binary", "b").await)), two);
        assert_eq!(data(&found(t.vread("Binary", "b", 1).await)), one);
        assert_eq!(pieces(&t, "b").await, two);
        assert!(text(&found(t.read("Binary", "lines").await)).contains(&broken));
        let of = store::HistoryOf::Instance(type_id("Binary"), id("b"));
        let page = t.history(of, 10, store::PageRequest::default()).await;
        let history: Vec<_> = page
            .entries
            .iter()
            .map(|e| data(e.resource.get()))
            .collect();
        assert_eq!(history, [two.clone(), one.clone()]);
        let report = t.verify().await;
        assert!(report.ok, "{report:?}");
    }
}

#[tokio::test]
async fn an_upload_comes_in_pieces_and_half_of_one_leaves_nothing() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let all = bytes(3_000_000, 3);
    let create = || t.permit::<Create>(Target::Types(vec![type_id("Binary")]));
    let permit = create();
    let mut upload = t.store.upload(&permit);
    for piece in all.chunks(70_000) {
        upload.push(piece).await.unwrap();
    }
    assert_eq!(upload.small().await.unwrap(), None);
    let about = valid(
        r#"{"resourceType":"Binary","id":"b","contentType":"a/b","securityContext":{"reference":"Patient/1"}}"#,
    );
    let resource = t.store.prepare_uploaded(about, &upload).unwrap();
    drop(upload);
    let write = store::Write::Create { permit, resource };
    t.commit(vec![write]).await.unwrap();
    assert_eq!(data(&found(t.read("Binary", "b").await)), all);
    assert_eq!(pieces(&t, "b").await, all);
    let whole = chunks(&t);

    let mut half = t.store.upload(&create());
    half.push(&all).await.unwrap();
    assert!(chunks(&t) > whole, "it is written as it comes");
    drop(half);
    t.make(patient("1", "After")).await.unwrap();
    assert_eq!(chunks(&t), whole);
    let few = bytes(1_000, 4);
    let mut small = t.store.upload(&create());
    small.push(&few).await.unwrap();
    assert_eq!(small.small().await.unwrap(), Some(few));
    assert!(t.verify().await.ok);

    // What a crash leaves of an upload goes with the next write.
    raw::open(&t)
        .execute_batch(
            "INSERT INTO blob (bid, size, at, staged) VALUES (900, 0, 0, 77);
             INSERT INTO chunk (cid, mac, bytes) VALUES (900 * 1048576, x'00', x'00');",
        )
        .unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    t.make(patient("2", "Later")).await.unwrap();
    assert_eq!(chunks(&t), whole);
    assert_eq!(pieces(&t, "b").await, all);
}

#[tokio::test]
async fn altered_data_is_found_and_not_served() {
    for sql in [
        "UPDATE chunk SET bytes = zeroblob(length(bytes)) WHERE cid = 1048577",
        "UPDATE chunk SET bytes = (SELECT bytes FROM chunk WHERE cid = 1048576) WHERE cid = 1048577",
        "UPDATE chunk SET cid = 1048580 WHERE cid = 1048577;
         UPDATE chunk SET cid = 1048577 WHERE cid = 1048576;
         UPDATE chunk SET cid = 1048576 WHERE cid = 1048580",
        "DELETE FROM chunk WHERE cid = 1048577",
        "UPDATE blob SET size = size - 1",
        "UPDATE version SET blob = NULL",
        "DELETE FROM blob",
    ] {
        let world = World::with(|config| config.limits.body_cache_bytes_max = 0);
        let t = world.create("lakeside").await;
        t.make(binary("b", &bytes(500_000, 5))).await.unwrap();
        assert!(t.verify().await.ok);
        raw::open(&t).execute_batch(sql).unwrap();
        let report = t.verify().await;
        assert!(!report.ok, "{sql}");
        let kinds: Vec<_> = report.findings.iter().map(|f| f.kind).collect();
        assert!(
            kinds
                .iter()
                .all(|k| matches!(k, FindingKind::Body | FindingKind::Seal)),
            "{sql}: {kinds:?}"
        );
        let refused = t.try_read("Binary", "b").await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceQuarantined, "{sql}");
    }
}
