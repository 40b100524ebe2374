//! Openings that somebody takes out of the file, or puts back as they were.

use access::{Administer, PersonId, Reason};
use base::Secret;
use store::{FindingKind, Opening, Review};

use super::raw;
use super::world::{Tenant, World, id, new_client, patient};

fn opening(world: &World, name: &str) -> Opening {
    let now = world.clock_now();
    Opening {
        id: name.into(),
        person: PersonId::new("00000000-0000-4000-8000-000000000001").unwrap(),
        person_epoch: 1,
        actor: "person:00000000-0000-4000-8000-000000000001".to_owned(),
        grant: "emergency".to_owned(),
        patient: id("1"),
        purpose: "BTG".to_owned(),
        reason: "unconscious".to_owned(),
        opened: now,
        until: now.plus_secs(3_600),
        ended: None,
        review: None,
    }
}

fn secret() -> Secret<String> {
    Secret::new("s3cret".to_owned())
}

async fn two_openings(t: &Tenant<'_>) {
    t.make(patient("1", "One")).await.unwrap();
    // Somebody is let in, so that something is vouched for.
    let permit = t.system(Reason::Operation);
    let client = new_client("reader", "system/*.rs");
    t.store
        .create_client(permit, client, &secret())
        .await
        .unwrap();
    for name in ["first", "second"] {
        let permit = t.system::<Administer>(Reason::Operation);
        let opening = opening(t.world, name);
        t.store.open_patient(permit, opening).await.unwrap();
    }
    assert!(t.verify().await.ok);
}

async fn finds_the_list(t: &Tenant<'_>) {
    let report = t.verify().await;
    let kinds: Vec<FindingKind> = report.findings.iter().map(|f| f.kind).collect();
    assert_eq!(kinds, [FindingKind::List]);
}

#[tokio::test]
async fn an_opening_that_was_taken_out_is_missed() {
    let world = World::new();
    let t = world.create("lakeside").await;
    two_openings(&t).await;
    let world = world.reopen();
    let t = world.tenant("lakeside");
    raw::open(&t)
        .execute("DELETE FROM opening WHERE id = 'first'", [])
        .unwrap();
    finds_the_list(&t).await;
    // Nobody vouches for what is gone by opening another patient, or by administering.
    let permit = t.system::<Administer>(Reason::Operation);
    let third = opening(&world, "third");
    t.store.open_patient(permit, third).await.unwrap();
    finds_the_list(&t).await;
    let permit = t.system(Reason::Operation);
    let client = new_client("another", "system/*.rs");
    t.store
        .create_client(permit, client, &secret())
        .await
        .unwrap();
    finds_the_list(&t).await;
}

#[tokio::test]
async fn an_opening_that_was_put_back_as_it_was_before_its_review_is_noticed() {
    let world = World::new();
    let t = world.create("lakeside").await;
    two_openings(&t).await;
    let row = |t: &Tenant<'_>| -> (String, Vec<u8>) {
        let sql = "SELECT record, seal FROM opening WHERE id = 'first'";
        let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?));
        raw::open(t).query_row(sql, [], read).unwrap()
    };
    let world = world.reopen();
    let t = world.tenant("lakeside");
    let before = row(&t);
    let review = |opening: &mut Opening| {
        opening.review = Some(Review {
            by: "person:2".to_owned(),
            at: opening.until,
            objects: true,
            remark: "why?".to_owned(),
        });
        Ok(())
    };
    let permit = t.system(Reason::Operation);
    t.store
        .change_opening(permit, ("first", "review break-glass"), review)
        .await
        .unwrap();
    assert!(t.verify().await.ok);
    let world = world.reopen();
    let t = world.tenant("lakeside");
    assert_ne!(before, row(&t));
    raw::open(&t)
        .execute(
            "UPDATE opening SET record = ?1, seal = ?2 WHERE id = 'first'",
            before,
        )
        .unwrap();
    finds_the_list(&t).await;
}
