//! Operations that read many times are one access.

use serde_json::{Value, json};

use super::{Trail, subtype, whats};
use crate::tests::world::JSON;

/// The events of what `who` does, without those of looking at the trail.
fn of_work(t: &Trail, work: impl Fn(&Trail)) -> Vec<Value> {
    let known = t.events("_count=500&_sort=date").len();
    work(t);
    let events = t.events("_count=500&_sort=date").split_off(known);
    let own = |e: &Value| {
        let entities = e["entity"].as_array().unwrap().iter();
        let words = entities.filter_map(|e| e["query"].as_str());
        !words.map(said).any(|w| w.starts_with("AuditEvent"))
    };
    events.into_iter().filter(own).collect()
}

fn said(query: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(query);
    String::from_utf8(bytes.unwrap()).unwrap()
}

fn query(event: &Value) -> String {
    let entities = event["entity"].as_array().unwrap();
    said(entities.iter().find_map(|e| e["query"].as_str()).unwrap())
}

/// Checks that it is one event of an operation, and gives what it names, sorted.
fn one(events: &[Value]) -> Vec<&str> {
    let [event] = events else {
        panic!("one event is expected: {events:#?}");
    };
    assert_eq!(subtype(event), "operation");
    assert_eq!(event["action"], "E");
    let mut names = whats(event);
    names.sort_unstable();
    names
}

const BOTH: [&str; 4] = [
    "Observation/o-p1/_history/1",
    "Observation/o-p2/_history/1",
    "Patient/p1",
    "Patient/p2",
];

#[test]
fn a_graphql_document_is_one_event_with_all_that_it_showed() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let t = Trail::of(fhir);
        let asked = |path: &str, document: &str| {
            let document = engine::form::encode(document);
            let line = format!("GET {path}$graphql?query={document}");
            t.world.fhir(&t.all, &line, "").status(200);
        };
        let events = of_work(&t, |_| asked("Observation/o-p1/", "{ id status }"));
        assert_eq!(one(&events), ["Observation/o-p1/_history/1", "Patient/p1"]);
        assert_eq!(events[0]["outcome"].as_str().unwrap_or("0"), "0");
        // What it leads to was asked for later: it is the same access.
        let far = "{ subject { resource { ... on Patient { id ObservationList(_reference: patient) \
                   { id } } } } }";
        let events = of_work(&t, |_| asked("Observation/o-p1/", far));
        assert_eq!(
            one(&events),
            [
                "Observation/o-p1/_history/1",
                "Patient/p1",
                "Patient/p1/_history/1"
            ]
        );
        assert!(query(&events[0]).starts_with("Observation/o-p1/$graphql?query="));
        let all = "{ ObservationList { id } Patient(id: \"p1\") { id } }";
        let events = of_work(&t, |_| asked("", all));
        let mut wanted = BOTH.to_vec();
        wanted.insert(3, "Patient/p1/_history/1");
        assert_eq!(one(&events), wanted);
        // A body is told of as well.
        let body = json!({ "query": "{ ObservationList { id } }" }).to_string();
        let events = of_work(&t, |t| {
            let posted = t
                .world
                .fhir_with(&t.all, "POST $graphql", &[JSON], body.clone());
            posted.status(200);
        });
        assert_eq!(one(&events), BOTH);
        assert_eq!(query(&events[0]), format!("$graphql\n{body}"));
    }
}

#[test]
fn everything_and_the_newest_of_each_kind_are_one_event_a_page() {
    for fhir in ["4.0.1", "5.0.0"] {
        let t = Trail::of(fhir);
        let ask = |line: &str| t.world.fhir(&t.all, line, "").status(200);
        let events = of_work(&t, |_| drop(ask("GET Patient/p1/$everything")));
        let chart = [
            "Observation/o-p1/_history/1",
            "Patient/p1",
            "Patient/p1/_history/1",
        ];
        assert_eq!(one(&events), chart);
        assert_eq!(query(&events[0]), "Patient/p1/$everything");
        // Each page is an access, and names whom it is asked of.
        let events = of_work(&t, |t| {
            let page = ask("GET Patient/p1/$everything?_count=1");
            let next = page.link("next").unwrap();
            t.world.follow(&t.all, &next).status(200);
        });
        assert_eq!(events.len(), 2);
        for event in &events {
            assert!(whats(event).contains(&"Patient/p1"));
            assert!(whats(event).contains(&"Patient/p1/_history/1"));
            assert_eq!(query(event), "Patient/p1/$everything?_count=1");
        }
        let everybody = "GET Patient/$everything?_type=Observation";
        let events = of_work(&t, |_| drop(ask(everybody)));
        assert_eq!(one(&events), BOTH);
        let newest = "GET Observation/$lastn?patient=p1&code:text=x";
        let events = of_work(&t, |_| drop(ask(newest)));
        assert_eq!(one(&events), ["Observation/o-p1/_history/1", "Patient/p1"]);
        let code = if fhir == "5.0.0" { "code" } else { "subtype" };
        for patient in ["p1", "p2"] {
            let found = t.events(&format!("patient={patient}&{code}=operation"));
            let told = t.events(&format!("{code}=operation&_count=100"));
            let of = |e: &&Value| whats(e).contains(&format!("Patient/{patient}").as_str());
            assert_eq!(found.len(), told.iter().filter(of).count(), "{fhir}");
        }
        let line = "GET /admin/v1/tenants/lakeside/audit/report?patient=p1";
        let report = t.world.admin(line, &Value::Null).status(200).json();
        let accesses = report["accesses"].as_array().unwrap().iter();
        let of_everything = accesses.filter(|a| {
            let what = a["what"].as_array().unwrap();
            what.len() == 2 && what.contains(&json!("Patient/p1/_history/1"))
        });
        assert!(of_everything.count() >= 1, "{report:#}");
    }
}

#[test]
fn an_operation_on_what_is_not_there_found_nothing() {
    let t = Trail::of("4.0.1");
    for line in [
        "GET Patient/none/$everything",
        "GET Patient/none/$graphql?query=%7Bid%7D",
    ] {
        let events = of_work(&t, |t| {
            t.world.fhir(&t.all, line, "").refused(404, "not-found");
        });
        assert_eq!(one(&events), ["Patient/none"], "{line}");
        assert_eq!(events[0]["outcome"], "4");
    }
    // What is refused is a record of its own, and nothing is told of that was not looked at.
    let few = t
        .world
        .client("lakeside", "system/Patient.rs system/Observation.s");
    let events = of_work(&t, |t| {
        let line = "GET Observation/o-p1/$graphql?query=%7Bid%7D";
        t.world.fhir(&few, line, "").refused(403, "scope-missing");
    });
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["outcome"], "8");
}
