//! Non-interference: a tenant's answers are the same with and without a neighbour's work in
//! between, however alike the neighbour's ids, values and requests are.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use testkit::build::{bundle, entry, observation, patient_identified, with_id};
use testkit::http::{Answer, Connection};
use testkit::world::{Caller, Tenant, link};

use crate::world::shared;

/// Something that a client does. Small numbers, so that the two tenants meet often.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Create(u8),
    CreateOnce(u8),
    Delete(u8),
    Read(u8),
    Vread(u8, u8),
    History(u8),
    Search(u8),
    Pages,
    Chain(u8),
    Transaction(u8, u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let (id, name) = (0..4u8, 0..3u8);
    prop_oneof![
        4 => (id.clone(), name.clone()).prop_map(|(id, name)| Step::Put(id, name)),
        2 => name.clone().prop_map(Step::Create),
        2 => name.clone().prop_map(Step::CreateOnce),
        1 => id.clone().prop_map(Step::Delete),
        2 => id.clone().prop_map(Step::Read),
        1 => (id.clone(), 1..4u8).prop_map(|(id, version)| Step::Vread(id, version)),
        1 => id.clone().prop_map(Step::History),
        2 => name.clone().prop_map(Step::Search),
        1 => Just(Step::Pages),
        1 => name.clone().prop_map(Step::Chain),
        2 => (id, name, any::<bool>()).prop_map(|(id, name, good)| Step::Transaction(id, name, good)),
    ]
}

/// Does a step; every answer that came.
fn act(step: &Step, caller: &Caller, connection: &mut Connection) -> Vec<Answer> {
    let mut ask = |request| connection.ask(&request).unwrap();
    let resident = |name: &u8| patient_identified(&format!("Name{name}"), &format!("n-{name}"));
    let get = |path: String| caller.request("GET", &path);
    match step {
        Step::Put(id, name) => {
            let resource = with_id(resident(name), &format!("p{id}"));
            vec![ask(caller
                .request("PUT", &format!("/Patient/p{id}"))
                .fhir(&resource))]
        }
        Step::Create(name) => vec![ask(caller
            .request("POST", "/Patient")
            .fhir(&resident(name)))],
        Step::CreateOnce(name) => vec![ask(caller
            .request("POST", "/Patient")
            .header(
                "If-None-Exist",
                &format!("identifier=urn:insula:test|n-{name}"),
            )
            .fhir(&resident(name)))],
        Step::Delete(id) => vec![ask(caller.request("DELETE", &format!("/Patient/p{id}")))],
        Step::Read(id) => vec![ask(get(format!("/Patient/p{id}")))],
        Step::Vread(id, version) => vec![ask(get(format!("/Patient/p{id}/_history/{version}")))],
        Step::History(id) => vec![ask(get(format!("/Patient/p{id}/_history")))],
        Step::Search(name) => vec![ask(get(format!(
            "/Patient?family=name{name}&_total=accurate"
        )))],
        Step::Chain(name) => {
            let query = format!("/Observation?subject:Patient.family=name{name}&_include=*");
            vec![ask(get(query))]
        }
        Step::Pages => {
            let mut answers = vec![ask(get("/Patient?_count=2&_sort=family,_id".to_owned()))];
            while let Some(next) = link(&answers[answers.len() - 1].json(), "next") {
                answers.push(ask(caller.follow(&next)));
            }
            answers
        }
        Step::Transaction(id, name, good) => {
            let seen = observation(&format!("Patient/p{id}"), "718-7", f64::from(*name));
            let second = if *good { "Observation" } else { "Nonsense" };
            let changed = with_id(resident(name), &format!("p{id}"));
            let whole = bundle(
                "transaction",
                vec![
                    entry("PUT", &format!("Patient/p{id}"), Some(changed)),
                    entry("POST", second, Some(seen)),
                ],
            );
            vec![ask(caller.request("POST", "").fhir(&whole))]
        }
    }
}

/// Answers without what differs between two runs by its nature: names of tenants, times, random
/// ids (numbered by first appearance) and cursors.
struct Plain {
    tenant: String,
    ids: Vec<String>,
}

impl Plain {
    fn answer(&mut self, answer: &Answer) -> String {
        let mut out = format!("{}\n", answer.status);
        for (name, value) in &answer.headers {
            if !matches!(
                name.as_str(),
                "date" | "last-modified" | "x-request-id" | "content-length"
            ) {
                out.push_str(&format!("{name}: {}\n", self.text(value)));
            }
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(mut json) => {
                self.value(&mut json);
                out + &json.to_string()
            }
            Err(_) => out + answer.text(),
        }
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match name.as_str() {
                        "lastUpdated" | "lastModified" | "timestamp" => *member = Value::Null,
                        _ => self.value(member),
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(|e| self.value(e)),
            Value::String(text) => *text = self.text(text),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) -> String {
        let text = text.replace(&self.tenant, "TENANT");
        let mut out = String::new();
        for part in text.split_inclusive(['/', '?', '&', '=', ' ', '"']) {
            let word = part.trim_end_matches(['/', '?', '&', '=', ' ', '"']);
            let rest = &part[word.len()..];
            let hex = word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
            if word.len() == 36 && hex {
                let known = self
                    .ids
                    .iter()
                    .position(|id| id == word)
                    .unwrap_or_else(|| {
                        self.ids.push(word.to_owned());
                        self.ids.len() - 1
                    });
                out.push_str(&format!("ID{known}"));
            } else if word.len() > 60 {
                out.push_str("CURSOR");
            } else {
                out.push_str(word);
            }
            out.push_str(rest);
        }
        out
    }
}

/// Every answer to these steps, with a neighbour's steps in between.
fn run(tenant: &Tenant, steps: &[Step], neighbour: Option<(&Tenant, &[Step])>) -> Vec<String> {
    let caller = tenant.owner();
    let mut connection = caller.connect();
    let mut between = neighbour.map(|(tenant, steps)| {
        let caller = tenant.owner();
        (caller.connect(), caller, steps.iter().cycle())
    });
    let mut plain = Plain {
        tenant: tenant.name().to_owned(),
        ids: Vec::new(),
    };
    let mut answers = Vec::new();
    for step in steps {
        if let Some((connection, caller, steps)) = &mut between {
            for step in steps.take(2) {
                act(step, caller, connection);
            }
        }
        for answer in act(step, &caller, &mut connection) {
            answers.push(plain.answer(&answer));
        }
    }
    answers
}

#[test]
fn a_neighbours_work_changes_no_answer() {
    let world = shared();
    let config = Config {
        cases: 12,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = || proptest::collection::vec(step(), 10..30);
    let both = (steps(), steps());
    TestRunner::new(config)
        .run(&both, |(own, others)| {
            let alone = run(&world.tenant(), &own, None);
            let beside = world.tenant();
            let watched = world.tenant();
            let together = run(&watched, &own, Some((&beside, &others)));
            prop_assert_eq!(alone.len(), together.len());
            for (at, (alone, together)) in alone.iter().zip(&together).enumerate() {
                prop_assert_eq!(alone, together, "answer {}", at);
            }
            Ok(())
        })
        .unwrap();
}
