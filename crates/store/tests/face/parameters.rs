//! Search parameters that a tenant defines: built in the background, across a restart.

use std::sync::Arc;

use access::Target;
use base::{Limits, Micros};
use fhir::search::{self, Options};
use store::{Page, PageRequest};

use super::world::{Tenant, World, model, type_id, valid};

const PATIENTS: usize = 900;

fn eyed(id: &str, color: &str) -> fhir::resource::Valid {
    valid(&format!(
        r#"{{"resourceType":"Patient","id":"{id}","extension":[
            {{"url":"http://e.org/eye","valueCode":"{color}"}}]}}"#
    ))
}

fn parameter(id: &str, expression: &str) -> fhir::resource::Valid {
    valid(&format!(
        r#"{{"resourceType":"SearchParameter","id":"{id}","url":"http://e.org/eye","name":"eye",
            "status":"active","description":"x","code":"eye","base":["Patient"],"type":"token",
            "expression":"{expression}"}}"#
    ))
}

const EYE: &str = "Patient.extension.where(url='http://e.org/eye').value";

async fn count(t: &Tenant<'_>, text: &str) -> u64 {
    let custom = t.store.customs().await.unwrap();
    let limits = Limits::default();
    let options = Options {
        limits: &limits,
        strict: true,
        own_bases: &[],
        now: Micros(1_800_000_000_000_000),
        custom: &custom,
    };
    let target = search::Target::Types(vec![type_id("Patient")]);
    let text = format!("{text}&_summary=count");
    let query = search::parse(model(), &target, &text, &options).unwrap();
    let permit = t.permit(Target::Types(vec![type_id("Patient")]));
    let page: Page = t
        .store
        .search(permit, Arc::new(query.query), PageRequest::default())
        .await
        .unwrap();
    page.total.unwrap()
}

/// Waits until the parameter serves (or is gone).
async fn until(t: &Tenant<'_>, serves: bool) {
    for _ in 0..10_000_000 {
        let customs = t.store.customs().await.unwrap();
        if customs.serving(type_id("Patient"), "eye").is_some() == serves {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never comes to serve");
}

#[tokio::test]
async fn a_build_goes_on_after_a_restart_and_beside_writers() {
    let world = World::new();
    let t = world.create("lakeside").await;
    for i in 0..PATIENTS / 100 {
        let writes = (0..100)
            .map(|j| t.creating(eyed(&format!("p{i}-{j}"), "blue")))
            .collect();
        t.commit(writes).await.unwrap();
    }
    t.make(parameter("a", EYE)).await.unwrap();
    // Closed wherever the build is by now.
    let world = world.reopen();
    let t = world.tenant("lakeside");
    for i in 0..20 {
        t.put(eyed(&format!("p0-{i}"), "green"), None)
            .await
            .unwrap();
        t.put(eyed(&format!("n{i}"), "blue"), None).await.unwrap();
    }
    t.delete("Patient", "p1-1").await.unwrap();
    until(&t, true).await;
    assert_eq!(count(&t, "eye=blue").await, PATIENTS as u64 - 1);
    assert_eq!(count(&t, "eye=green").await, 20);
    let report = t.verify().await;
    assert!(report.ok, "{} findings", report.findings.len());

    // Another definition under the same resource is another index.
    let name = "Patient.name.family";
    t.put(parameter("a", name), None).await.unwrap();
    assert!(
        t.store
            .customs()
            .await
            .unwrap()
            .serving(type_id("Patient"), "eye")
            .is_none()
    );
    until(&t, true).await;
    assert_eq!(count(&t, "eye=blue").await, 0);
    assert!(t.verify().await.ok);
    t.delete("SearchParameter", "a").await.unwrap();
    until(&t, false).await;
    assert!(t.verify().await.ok);
    // Again from the beginning, with nothing of what was there before.
    t.put(parameter("a", EYE), None).await.unwrap();
    until(&t, true).await;
    assert_eq!(count(&t, "eye=green").await, 20);
    assert!(t.verify().await.ok);
}

#[tokio::test]
async fn a_refused_definition_changes_nothing() {
    let world = World::with(|c| c.limits.search_parameters_custom_max = 1);
    let t = world.create("lakeside").await;
    let bad = t.make(parameter("a", "Patient.name.where(")).await;
    assert_eq!(bad.unwrap_err().code(), base::Code::SearchParameterInvalid);
    t.make(parameter("b", EYE)).await.unwrap();
    let twice = t.make(parameter("c", EYE)).await;
    assert_eq!(
        twice.unwrap_err().code(),
        base::Code::SearchParameterInvalid
    );
    // The group that the refused one was in went on.
    t.make(eyed("p", "blue")).await.unwrap();
    until(&t, true).await;
    assert_eq!(count(&t, "eye=blue").await, 1);
}
