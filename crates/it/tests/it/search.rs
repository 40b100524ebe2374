//! Searches as `search.html` words them, and pages that agree with one another.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::Caller;
use testkit::build::{observation, patient, with_id};
use testkit::world::{link, matches, word};

use crate::world::tenant;

/// A small clinic.
fn clinic() -> Caller {
    let caller = tenant().owner();
    let put = |resource: Value| {
        caller.put(&resource).expect(201);
    };
    put(json!({"resourceType": "Organization", "id": "house", "name": "The House"}));
    put(
        json!({"resourceType": "Organization", "id": "ward", "name": "Ward", "partOf": {"reference": "Organization/house"}}),
    );
    put(json!({
        "resourceType": "Patient", "id": "ann", "active": true, "gender": "female", "birthDate": "1980-05-17",
        "identifier": [{"system": "urn:mrn", "value": "A1"}, {"value": "bare"}],
        "name": [{"family": "Müller", "given": ["Ann", "Marie"]}],
        "managingOrganization": {"reference": "Organization/ward"},
        "meta": {"tag": [{"system": "urn:tag", "code": "vip"}], "profile": ["http://example.org/P"]},
    }));
    put(json!({
        "resourceType": "Patient", "id": "bob", "active": false, "gender": "male", "birthDate": "1980",
        "identifier": [{"system": "urn:mrn", "value": "B2"}],
        "name": [{"family": "Miller", "given": ["Bob"]}],
    }));
    put(json!({"resourceType": "Patient", "id": "cat", "name": [{"text": "Cat"}]}));
    for (id, subject, code, value, day) in [
        ("o1", "Patient/ann", "718-7", 7.5, "2024-01-10"),
        ("o2", "Patient/ann", "718-7", 9.0, "2024-02-10T10:30:00Z"),
        ("o3", "Patient/bob", "2345-7", 100.0, "2024-02"),
    ] {
        let mut seen = with_id(observation(subject, code, value), id);
        seen["effectiveDateTime"] = json!(day);
        put(seen);
    }
    caller
}

#[test]
fn every_kind_of_parameter() {
    let caller = clinic();
    for (query, expected) in [
        // token
        ("Patient?gender=female", "ann"),
        ("Patient?gender=female,male", "ann bob"),
        ("Patient?gender:not=female", "bob cat"),
        ("Patient?active=false", "bob"),
        ("Patient?identifier=urn:mrn|A1", "ann"),
        ("Patient?identifier=A1", "ann"),
        ("Patient?identifier=|bare", "ann"),
        ("Patient?identifier=urn:mrn|", "ann bob"),
        ("Patient?identifier=urn:other|A1", ""),
        ("Patient?_tag=urn:tag|vip", "ann"),
        ("Patient?_profile=http://example.org/P", "ann"),
        ("Patient?_id=ann,cat,none", "ann cat"),
        // string
        ("Patient?family=mull", "ann"),
        ("Patient?family=m%C3%BCll", "ann"),
        ("Patient?family:exact=Miller", "bob"),
        ("Patient?family:exact=miller", ""),
        ("Patient?family:contains=ller", "ann bob"),
        ("Patient?name=cat", "cat"),
        ("Patient?given=mar", "ann"),
        ("Patient?given=ann&given=marie", "ann"),
        // missing
        ("Patient?gender:missing=true", "cat"),
        ("Patient?gender:missing=false", "ann bob"),
        // date
        ("Patient?birthdate=1980-05-17", "ann"),
        ("Patient?birthdate=1980", "ann bob"),
        ("Patient?birthdate=1980-05", "ann"),
        (
            "Patient?birthdate=ge1980-05-17&birthdate=le1980-05-17",
            "ann bob",
        ),
        ("Patient?birthdate=sa1979", "ann bob"),
        ("Patient?birthdate=eb1980-05-17", ""),
        ("Patient?birthdate=ne1980-05-17", "bob"),
        ("Observation?date=2024-02", "o2 o3"),
        ("Observation?date=gt2024-01-10", "o2 o3"),
        ("Observation?date=lt2024-02-01", "o1"),
        // quantity
        ("Observation?value-quantity=7.5", "o1"),
        (
            "Observation?value-quantity=8|http://unitsofmeasure.org|mg/dL",
            "o1",
        ),
        ("Observation?value-quantity=gt8", "o2 o3"),
        ("Observation?value-quantity=ap8.9", "o2"),
        ("Observation?value-quantity=7.5||mg/dL", "o1"),
        ("Observation?value-quantity=7.5||kg", ""),
        // reference
        ("Observation?subject=Patient/ann", "o1 o2"),
        ("Observation?subject=ann", "o1 o2"),
        ("Observation?subject:Patient=ann", "o1 o2"),
        ("Observation?patient=bob", "o3"),
        // composite
        ("Observation?code-value-quantity=718-7$gt8", "o2"),
        ("Observation?code-value-quantity=2345-7$lt8", ""),
        // chains
        ("Observation?subject:Patient.family=miller", "o3"),
        (
            "Observation?patient.organization.partof.name=the%20house",
            "o1 o2",
        ),
        ("Patient?_has:Observation:patient:code=718-7", "ann"),
        (
            "Organization?_has:Patient:organization:_has:Observation:patient:code=718-7",
            "ward",
        ),
        (
            "Patient?_has:Observation:patient:code=2345-7&gender=female",
            "",
        ),
        // AND of everything
        (
            "Patient?gender=female&family=m&active=true&birthdate=lt2000",
            "ann",
        ),
    ] {
        let found: BTreeSet<String> = caller.found(query).into_iter().collect();
        let expected: BTreeSet<String> = expected.split_whitespace().map(str::to_owned).collect();
        assert_eq!(found, expected, "{query}");
    }
}

#[test]
fn a_search_by_post_is_the_same_search() {
    let caller = clinic();
    let form = |path: &str, body: &str| {
        let request = caller.request("POST", path);
        caller
            .ask(&request.content("application/x-www-form-urlencoded", body))
            .expect(200)
            .json()
    };
    let ids = |bundle: &Value| -> Vec<String> {
        matches(bundle).map(|r| word(r, "id").to_owned()).collect()
    };
    assert_eq!(
        ids(&form("/Patient/_search", "family=m%C3%BCller")),
        ["ann"]
    );
    assert_eq!(
        ids(&form("/Patient/_search?gender=male", "family=mi")),
        ["bob"]
    );
    assert_eq!(ids(&form("/_search", "_type=Patient&_id=ann")), ["ann"]);
    let first = form("/Patient/_search", "_count=2&_sort=_id");
    assert_eq!(ids(&first), ["ann", "bob"]);
    let next = link(&first, "next").expect("a second page");
    assert_eq!(
        ids(&caller.ask(&caller.follow(&next)).expect(200).json()),
        ["cat"]
    );
}

#[test]
fn order_count_and_shape() {
    let caller = clinic();
    let order = |query: &str| caller.found(query);
    assert_eq!(order("Patient?_sort=_id"), ["ann", "bob", "cat"]);
    assert_eq!(order("Patient?_sort=-_id"), ["cat", "bob", "ann"]);
    assert_eq!(
        order("Observation?_sort=-value-quantity"),
        ["o3", "o2", "o1"]
    );
    assert_eq!(order("Observation?_sort=date"), ["o1", "o3", "o2"]);
    assert_eq!(order("Observation?_sort=code,-date"), ["o3", "o2", "o1"]);
    assert_eq!(
        order("Patient?_sort=family&_count=1").len(),
        3,
        "the one without comes too"
    );

    let count = caller.search("Patient?_summary=count");
    assert_eq!(
        (count["total"].as_u64(), count.get("entry")),
        (Some(3), None)
    );
    assert_eq!(caller.search("Patient?_count=0")["total"], 3);
    assert_eq!(
        caller.search("Patient?_count=1&_total=accurate")["total"],
        3
    );
    let elements = caller.search("Patient?_id=ann&_elements=birthDate");
    let ann = matches(&elements).next().unwrap();
    assert_eq!(ann["birthDate"], "1980-05-17");
    assert!(ann.get("name").is_none() && ann["meta"]["tag"].to_string().contains("SUBSETTED"));
    let summary = caller.search("Patient?_id=ann&_summary=true");
    assert!(
        matches(&summary).next().unwrap()["meta"]["tag"]
            .to_string()
            .contains("SUBSETTED")
    );
    let own = link(&caller.search("Patient?family=m&gender=male"), "self").expect("a self link");
    assert!(
        own.contains("family=m") && own.contains("gender=male"),
        "{own}"
    );
}

#[test]
fn includes() {
    let caller = clinic();
    let brought = |query: &str| -> BTreeSet<String> {
        let bundle = caller.search(query);
        let entries = bundle["entry"].as_array().unwrap();
        let included = entries.iter().filter(|e| e["search"]["mode"] == "include");
        included
            .map(|e| word(&e["resource"], "id").to_owned())
            .collect()
    };
    let set =
        |ids: &str| -> BTreeSet<String> { ids.split_whitespace().map(str::to_owned).collect() };
    assert_eq!(
        brought("Observation?_include=Observation:subject"),
        set("ann bob")
    );
    assert_eq!(
        brought("Observation?_include=Observation:subject:Group"),
        set("")
    );
    assert_eq!(
        brought("Patient?_id=ann&_revinclude=Observation:subject"),
        set("o1 o2")
    );
    assert_eq!(
        brought(
            "Observation?_id=o1&_include=Observation:subject&_include:iterate=Patient:organization&_include:iterate=Organization:partof"
        ),
        set("ann ward house")
    );
    assert_eq!(brought("Observation?_id=o1&_include=*"), set("ann"));
}

#[test]
fn pages_show_what_was_there_at_the_first() {
    let caller = tenant().owner();
    for number in 0..12 {
        caller
            .put(&with_id(
                patient(&format!("Aged{number:02}")),
                &format!("p{number:02}"),
            ))
            .expect(201);
    }
    for sort in [
        "",
        "&_sort=family",
        "&_sort=-family",
        "&_sort=_lastUpdated",
        "&_sort=-_lastUpdated",
    ] {
        let mut page = caller.search(&format!("Patient?family=aged&_count=3{sort}"));
        let mut seen: Vec<(String, String)> = Vec::new();
        let mut round = 0;
        loop {
            seen.extend(matches(&page).map(|r| {
                (
                    word(r, "id").to_owned(),
                    word(&r["name"][0], "family").to_owned(),
                )
            }));
            // Others move, rename, remove and add in between.
            round += 1;
            let moved = format!("p{:02}", (round * 5) % 12);
            caller.put(&with_id(patient(&format!("Aged{:02}", 50 + round)), &moved));
            caller
                .delete(&format!("/Patient/p{:02}", (round * 7) % 12))
                .expect(204);
            caller.put(&with_id(patient("Aged00"), &format!("new{round}")));
            let Some(next) = link(&page, "next") else {
                break;
            };
            page = caller.ask(&caller.follow(&next)).expect(200).json();
        }
        let ids: BTreeSet<&String> = seen.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), seen.len(), "{sort}: twice in {seen:?}");
        assert_eq!(ids.len(), 12, "{sort}: {seen:?}");
        assert!(ids.iter().all(|id| id.starts_with('p')), "{sort}: {seen:?}");
        // As it was, for the next order.
        for number in 0..12 {
            caller.put(&with_id(
                patient(&format!("Aged{number:02}")),
                &format!("p{number:02}"),
            ));
        }
        for number in 1..=round {
            caller.delete(&format!("/Patient/new{number}")).expect(204);
        }
    }
}
