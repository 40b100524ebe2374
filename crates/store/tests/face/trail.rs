//! The audit trail names what was shown.

use access::{Reason, Target};
use store::{AuditLine, HistoryOf, PageRequest};

use super::searches::{find, ids};
use super::world::{Tenant, World, id, observation, patient, type_id};

async fn lines(t: &Tenant<'_>) -> Vec<AuditLine> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let permit = t.system(Reason::Verify);
        let page = t.store.audit(permit, after, 3).await.unwrap();
        all.extend(page.lines);
        match page.next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

fn of<'l>(lines: &'l [AuditLine], action: &str) -> Vec<&'l AuditLine> {
    lines.iter().filter(|l| l.action == action).collect()
}

#[tokio::test]
async fn reads_searches_histories_and_changes_name_what_they_were_about() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    let many = vec![
        t.creating(observation("o1", "1")),
        t.creating(observation("o2", "1")),
    ];
    t.commit(many).await.unwrap();
    t.put(patient("1", "Uno"), None).await.unwrap();
    let page = find(&t, "Observation", "code=718-7", PageRequest::default()).await;
    assert_eq!(ids(&page).len(), 2);
    find(&t, "Observation", "code=none", PageRequest::default()).await;
    // What changes later does not change what was shown.
    t.put(observation("o1", "2"), None).await.unwrap();
    t.read("Patient", "1").await;
    t.read("Patient", "2").await;
    let of_one = HistoryOf::Instance(type_id("Patient"), id("1"));
    t.history(of_one, 10, PageRequest::default()).await;
    t.history(
        HistoryOf::Type(type_id("Observation")),
        2,
        PageRequest::default(),
    )
    .await;
    let world = world.reopen();
    let t = world.tenant("lakeside");
    let all = lines(&t).await;

    let searches = of(&all, "search");
    let mut shown = searches[0].shown.clone();
    shown.sort();
    assert_eq!(
        shown,
        ["Observation/o1/_history/1", "Observation/o2/_history/1"]
    );
    assert_eq!((searches[0].outcome, searches[0].count), ("given", 2));
    assert_eq!(searches[0].about.as_deref(), Some("Observation"));
    assert_eq!((searches[1].outcome, searches[1].count), ("nothing", 0));
    assert_ne!(searches[0].query, searches[1].query);

    let reads = of(&all, "read");
    assert_eq!(reads[0].about.as_deref(), Some("Patient/1"));
    assert_eq!(reads[1].outcome, "nothing");

    let histories = of(&all, "history");
    assert_eq!(
        histories[0].shown,
        ["Patient/1/_history/2", "Patient/1/_history/1"]
    );
    assert_eq!(
        histories[1].shown,
        ["Observation/o1/_history/2", "Observation/o2/_history/1"]
    );

    let changes = of(&all, "change");
    assert_eq!(changes.len(), 4);
    assert_eq!(changes[0].shown, ["Patient/1/_history/1"]);
    assert_eq!(
        changes[1].shown,
        ["Observation/o1/_history/1", "Observation/o2/_history/1"]
    );
    assert_eq!(changes[2].shown, ["Patient/1/_history/2"]);
    assert!(
        changes
            .iter()
            .all(|c| c.actor == "client:tester" && c.outcome == "made")
    );
    assert!(of(&all, "export").len() > 1, "reading it is recorded too");
    assert!(t.verify().await.ok);
}

#[tokio::test]
async fn a_refusal_is_in_the_trail_and_other_tenants_are_not() {
    let world = World::new();
    let a = world.create("abbey").await;
    let b = world.create("bridge").await;
    b.make(patient("b", "B")).await.unwrap();
    let who = super::world::with_scopes(a.store.id(), "reader", "system/Observation.rs");
    let target = Target::Types(vec![type_id("Patient")]);
    let rights = access::Rights::by_scopes(&who, super::world::model(), base::Micros(0));
    let denied =
        access::decide::<access::Search>(&who, &rights, a.store.id(), world.request(), target);
    a.store.denied(&denied.unwrap_err()).await.unwrap();
    let all = lines(&a).await;
    let search = of(&all, "search")[0];
    assert_eq!(
        (search.outcome, search.code.as_deref()),
        ("refused", Some("scope-missing"))
    );
    assert_eq!(search.actor, "client:reader");
    assert!(of(&all, "change").is_empty());
}
