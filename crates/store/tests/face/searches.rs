//! Searches through the face, and conditions that are searches.

use std::sync::Arc;

use access::Target;
use base::{Code, Limits, Micros};
use fhir::search::{self, Options, Query};
use store::{Change, Expectation, Expected, Mode, Page, PageRequest, Read};

use super::world::{Tenant, World, id, model, observation, patient, type_id, valid};

pub(super) fn query(type_name: &str, text: &str) -> Arc<Query> {
    let limits = Limits::default();
    let options = Options {
        limits: &limits,
        strict: true,
        own_bases: &[],
        now: Micros(1_800_000_000_000_000),
        custom: fhir::search::Customs::NONE,
    };
    let target = search::Target::Types(vec![type_id(type_name)]);
    Arc::new(
        search::parse(model(), &target, text, &options)
            .unwrap()
            .query,
    )
}

pub(super) async fn find(t: &Tenant<'_>, type_name: &str, text: &str, page: PageRequest) -> Page {
    let permit = t.permit(Target::Types(vec![type_id(type_name)]));
    t.store
        .search(permit, query(type_name, text), page)
        .await
        .unwrap()
}

pub(super) fn ids(page: &Page) -> Vec<&str> {
    page.entries
        .iter()
        .map(|e| e.resource.get().id.as_str())
        .collect()
}

/// Enough small searches that the next ones are tried on their caller's thread.
pub(super) async fn be_brisk(t: &Tenant<'_>) {
    for _ in 0..40 {
        find(t, "Observation", "_id=nobody", PageRequest::default()).await;
    }
}

#[tokio::test]
async fn pages_of_a_search_show_one_state_whatever_happens_meanwhile() {
    let world = World::new();
    pages_agree(&world.create("lakeside").await).await;
    let brisk = world.create("hillcrest").await;
    be_brisk(&brisk).await;
    pages_agree(&brisk).await;
}

#[tokio::test]
async fn a_search_that_is_too_much_for_its_callers_thread_is_answered_all_the_same() {
    let world = World::new();
    let t = world.create("lakeside").await;
    for i in 0..10 {
        let many = (0..100)
            .map(|j| t.creating(observation(&format!("o{i}-{j}"), "1")))
            .collect();
        t.commit(many).await.unwrap();
    }
    be_brisk(&t).await;
    let costly = "code:not=1-1&_total=accurate&_count=1";
    let page = find(&t, "Observation", costly, PageRequest::default()).await;
    assert_eq!((page.total, page.entries.len()), (Some(1_000), 1));
}

#[tokio::test]
async fn what_was_committed_shows_in_the_next_search_on_its_callers_thread() {
    let world = World::new();
    let t = world.create("lakeside").await;
    be_brisk(&t).await;
    let found = async |id: &str| {
        let page = find(&t, "Observation", "code=718-7", PageRequest::default()).await;
        ids(&page).contains(&id)
    };
    for i in 0..40 {
        let id = format!("o{i}");
        assert!(!found(&id).await);
        t.make(observation(&id, "1")).await.unwrap();
        assert!(found(&id).await, "{id} was made");
        t.delete("Observation", &id).await.unwrap();
        assert!(!found(&id).await, "{id} was deleted");
    }
}

async fn pages_agree(t: &Tenant<'_>) {
    for i in 0..30 {
        t.make(observation(&format!("o{i}"), "1")).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut request = PageRequest::default();
    loop {
        let page = find(t, "Observation", "code=718-7&_count=7", request).await;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        for entry in &page.entries {
            assert_eq!(entry.resource.get().version.0, 1);
        }
        // Deleted, changed and made meanwhile: none of it shows.
        t.delete("Observation", "o2").await.unwrap();
        t.put(observation("o1", "2"), None).await.unwrap();
        t.make(observation(&format!("later{}", seen.len()), "1"))
            .await
            .unwrap();
        let Some(next) = page.next else { break };
        request = PageRequest {
            after: Some(next),
            as_of: Some(page.as_of),
            deadline: None,
            ..PageRequest::default()
        };
    }
    let expected: Vec<String> = (0..30).rev().map(|i| format!("o{i}")).collect();
    assert_eq!(seen, expected);
    let now = find(
        t,
        "Observation",
        "code=718-7&_count=100",
        PageRequest::default(),
    )
    .await;
    assert!(!ids(&now).contains(&"o2"));
}

#[tokio::test]
async fn included_resources_of_types_outside_the_permit_stay() {
    let world = World::new();
    let mut t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    t.make(observation("o1", "1")).await.unwrap();
    let text = "code=718-7&_include=Observation:subject";
    let page = find(&t, "Observation", text, PageRequest::default()).await;
    let modes: Vec<Mode> = page.entries.iter().map(|e| e.mode).collect();
    assert_eq!(
        (ids(&page), modes),
        (vec!["o1", "1"], vec![Mode::Match, Mode::Include])
    );
    t.who = super::world::with_scopes(t.store.id(), "narrow", "system/Observation.rs");
    let page = find(&t, "Observation", text, PageRequest::default()).await;
    assert_eq!(ids(&page), ["o1"]);
}

#[tokio::test]
async fn of_many_conditional_creates_one_is_made() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let criteria = query("Patient", "identifier=urn:x|7");
    let mut waiting = Vec::new();
    for i in 0..50 {
        let resource = valid(&format!(
            r#"{{"resourceType":"Patient","id":"p{i}","identifier":[{{"system":"urn:x","value":"7"}}]}}"#
        ));
        let change = Change {
            writes: vec![t.creating(resource)],
            expectations: vec![Expectation {
                permit: t.permit(Target::Types(vec![type_id("Patient")])),
                query: criteria.clone(),
                expected: Expected::Nothing,
            }],
            ..Default::default()
        };
        let (store, request) = (t.store.clone(), world.request());
        waiting.push(tokio::spawn(
            async move { store.commit(request, change).await },
        ));
    }
    let mut made = Vec::new();
    for (i, answer) in waiting.into_iter().enumerate() {
        match answer.await.unwrap() {
            Ok(_) => made.push(i),
            Err(e) => assert_eq!(e.code(), Code::WriteRace),
        }
    }
    assert_eq!(made.len(), 1, "{made:?}");
    let winner = format!("p{}", made[0]);
    let page = find(&t, "Patient", "identifier=urn:x|7", PageRequest::default()).await;
    assert_eq!(ids(&page), [winner.as_str()]);

    // What was found is still what is found, or the change is not made.
    let expect = |expected| Expectation {
        permit: t.permit(Target::Types(vec![type_id("Patient")])),
        query: criteria.clone(),
        expected,
    };
    let one = Expected::One(type_id("Patient"), id(&winner));
    let good = Change {
        writes: vec![t.putting(patient(&winner, "Changed"), None)],
        expectations: vec![expect(one.clone())],
        ..Default::default()
    };
    t.store.commit(world.request(), good).await.unwrap();
    // The change took the identifier away.
    let late = Change {
        writes: vec![t.creating(patient("other", "X"))],
        expectations: vec![expect(one)],
        ..Default::default()
    };
    let raced = t.store.commit(world.request(), late).await.unwrap_err();
    assert_eq!(raced.code(), Code::WriteRace);
    assert!(matches!(t.read("Patient", "other").await, Read::Absent));
    assert!(t.verify().await.ok);
}

#[tokio::test]
async fn a_search_past_its_budget_is_given_up_and_the_tenant_goes_on() {
    let world = World::with(|c| c.limits.search_kilosteps_max = 1);
    let t = world.create("lakeside").await;
    for i in 0..10 {
        let many = (0..100)
            .map(|j| t.creating(observation(&format!("o{i}-{j}"), "1")))
            .collect();
        t.commit(many).await.unwrap();
    }
    be_brisk(&t).await;
    let permit = t.permit(Target::Types(vec![type_id("Observation")]));
    let costly = query("Observation", "code:not=718-7&_total=accurate");
    let given_up = t
        .store
        .search(permit, costly, PageRequest::default())
        .await
        .unwrap_err();
    assert_eq!(given_up.code(), Code::LimitTime);
    assert!(matches!(
        t.read("Observation", "o1-1").await,
        Read::Found(_)
    ));
}
