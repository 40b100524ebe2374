//! The index of the trail: it narrows, and changes nothing of an answer.

use std::path::PathBuf;

use serde_json::Value;

use super::{Trail, observation};
use crate::tests::world::{World, patient_with_id};

/// Patients of the tests, each with an observation.
const PATIENTS: usize = 40;

impl Trail {
    /// A trail with a few hundred events, over several segments of the journal.
    fn busy(fhir: &str, lag: u64) -> Self {
        let world = World::with(
            |limits| {
                limits.journal_segment_bytes = 64 << 10;
                limits.trail_index_lag_max = lag;
            },
            |_| {},
        );
        let tenant = serde_json::json!({ "name": "lakeside", "fhir": fhir });
        world.admin("POST /admin/v1/tenants", &tenant).status(201);
        let all = world.client("lakeside", "system/*.cruds");
        let trail = Self {
            auditor: world.client("lakeside", "system/AuditEvent.rs"),
            world,
            all,
        };
        trail.some_activity();
        trail
    }

    fn some_activity(&self) {
        let (world, all) = (&self.world, &self.all);
        for n in 0..PATIENTS {
            let id = format!("p{n}");
            let put = |line: &str, body: String| {
                let code = world.fhir(all, line, body).code;
                assert!(code == 200 || code == 201, "{line}");
            };
            put(&format!("PUT Patient/{id}"), patient_with_id(&id, &id));
            put(&format!("PUT Observation/o-{id}"), observation(&id));
            for _ in 0..3 {
                world
                    .fhir(all, &format!("GET Patient/{id}"), "")
                    .status(200);
                world
                    .fhir(all, &format!("GET Observation/o-{id}"), "")
                    .status(200);
            }
            let line = format!("GET Observation?patient={id}");
            world.fhir(all, &line, "").status(200);
        }
        world.fhir(all, "GET Observation?_count=10", "").status(200);
        // From elsewhere, and for something.
        for (from, why) in [
            ("10.4.4.4", "PUBHLTH: a report"),
            ("10.5.5.5", "HPAYMT"),
            ("10.4.4.4", "because"),
        ] {
            for id in ["p1", "p2"] {
                let line = format!("GET /t/lakeside/fhir/Patient/{id}");
                let headers = [("authorization", all.as_str()), ("access-reason", why)];
                world
                    .ask_from(from.parse().unwrap(), &line, &headers, "")
                    .status(200);
            }
        }
        // What is about others as time passes, about nobody, and no part of a chart.
        for (id, of) in [
            ("moved", Some("p1")),
            ("moved", Some("p2")),
            ("of-nobody", None),
        ] {
            let mut body: Value = serde_json::from_str(&observation(of.unwrap_or("p1"))).unwrap();
            body["id"] = id.into();
            if of.is_none() {
                body.as_object_mut().unwrap().remove("subject");
            }
            let line = format!("PUT Observation/{id}");
            assert!(world.fhir(all, &line, body.to_string()).code < 300);
            world
                .fhir(all, &format!("GET Observation/{id}"), "")
                .status(200);
        }
        world.fhir(all, "GET Observation/nothing", "").status(404);
        let organization = serde_json::json!({ "resourceType": "Organization", "id": "o1" });
        world
            .fhir(all, "PUT Organization/o1", organization.to_string())
            .status(201);
        world.fhir(all, "GET Patient/nobody", "").status(404);
        world.fhir(all, "DELETE Observation/o-p3", "").status(204);
        world
            .fhir(all, "GET Observation/o-p3/_history", "")
            .status(200);
        let narrow = world.client("lakeside", "system/Patient.r");
        world.fhir(&narrow, "GET Observation/o-p1", "").status(403);
        world.fhir(&narrow, "GET Patient/p1", "").status(200);
        world
            .fhir("Basic bm9ib2R5Ong=", "GET Patient/p1", "")
            .status(401);
    }

    /// Until everything is in the index.
    fn index(&self) {
        for _ in 0..20 {
            self.world.house.tidy();
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in std::fs::read_dir(self.world.dir.join("tenants")).unwrap() {
            for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                if name.starts_with("trail.db") {
                    found.push(path);
                }
            }
        }
        found
    }

    /// Puts something in its place that is none, and stays.
    fn remove_index(&self) -> PathBuf {
        let files = self.files();
        files
            .iter()
            .for_each(|file| std::fs::remove_file(file).unwrap());
        let index = files
            .into_iter()
            .find(|f| f.extension().is_some_and(|e| e == "db"));
        let index = index.expect("there is an index");
        std::fs::create_dir(&index).unwrap();
        index
    }

    /// Ids of all events of a search, page after page; and how many events were looked at for them.
    fn all_ids(&self, query: &str) -> (Vec<String>, u64) {
        let before = self.looked_at();
        let mut ids = Vec::new();
        let mut answer = self.search(query).status(200);
        loop {
            let json = answer.json();
            let entries = json["entry"].as_array().cloned().unwrap_or_default();
            let id = |e: &Value| e["resource"]["id"].as_str().unwrap().to_owned();
            ids.extend(entries.iter().map(id));
            let Some(next) = answer.link("next") else {
                return (ids, self.looked_at() - before);
            };
            answer = self.world.follow(&self.auditor, &next).status(200);
        }
    }

    fn looked_at(&self) -> u64 {
        let metrics = self.world.ask(
            "GET /metrics",
            &[("authorization", self.world.operator.as_str())],
            String::new(),
        );
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let name = "insula_trail_events_looked_at_total ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the counter").trim().parse().unwrap()
    }

    fn now(&self) -> String {
        use base::Clock;
        self.world.clock.now().instant().to_string()
    }
}

/// What is asked, and whether the index knows something of it.
fn questions(fhir: &str) -> Vec<(&'static str, bool)> {
    let mut all = vec![
        ("patient=Patient/p7", true),
        ("patient=Patient/p7&_sort=date", true),
        ("patient=p7,p9&_count=3", true),
        ("patient=p7&patient=p9", true),
        ("patient=nobody", true),
        ("patient=p3&action=D", true),
        ("action=D", true),
        ("action=R&patient=p3&_sort=date&_count=2", true),
        ("action:not=R", true),
        ("outcome:not=0", true),
        ("entity=Observation/o-p3", true),
        ("entity=Observation/o-p3,Patient/p9&_sort=date", true),
        ("entity=Patient/p7", true),
        ("entity=Patient/nobody", true),
        ("entity=Observation/nothing", true),
        ("entity=Observation/moved", true),
        ("entity=Observation/of-nobody", false),
        ("entity=Organization/o1", false),
        ("_sort=date&_count=50", false),
    ];
    match fhir {
        "5.0.0" => all.extend([
            ("code=delete", true),
            ("purpose=PUBHLTH", true),
            (
                "purpose=http://terminology.hl7.org/CodeSystem/v3-ActReason|HPAYMT&_sort=date",
                true,
            ),
            ("purpose:missing=false", true),
            ("purpose:text=because", false),
        ]),
        _ => all.extend([
            ("address=10.4.4.4", true),
            ("address=10.4&_sort=date", true),
            ("address:contains=4.4,5.5", true),
            ("address=insula.example", false),
            ("subtype=delete", true),
            (
                "subtype=http://hl7.org/fhir/restful-interaction|history-instance",
                true,
            ),
            ("type=110114", true),
            ("altid=operator", true),
            ("agent-name=nobody-of-this-name", true),
            ("subtype:text=delete", false),
        ]),
    }
    all
}

#[test]
fn the_index_narrows_and_changes_nothing_of_an_answer() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let trail = Trail::busy(fhir, 1);
        trail.index();
        // What comes after the index is looked through without it.
        let until = trail.now();
        let ask = |trail: &Trail| -> Vec<(Vec<String>, u64)> {
            let all = questions(fhir);
            let with_time = |(q, _): &(&str, bool)| trail.all_ids(&format!("{q}&date=lt{until}"));
            all.iter().map(with_time).collect()
        };
        let with = ask(&trail);
        trail.remove_index();
        let without = ask(&trail);
        for (n, (question, narrows)) in questions(fhir).into_iter().enumerate() {
            assert_eq!(with[n].0, without[n].0, "{fhir} {question}");
            let (few, all) = (with[n].1, without[n].1);
            assert_eq!(
                few * 10 < all * 6,
                narrows,
                "{fhir} {question}: {few} of {all}"
            );
        }
        assert!(with[0].0.len() > 8, "{fhir}: {:?}", with[0].0);
        let sorted: Vec<&String> = with[1].0.iter().rev().collect();
        assert_eq!(sorted, with[0].0.iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_the_index_does_not_know_yet_is_found() {
    let trail = Trail::busy("4.0.1", 100_000);
    trail.index();
    assert!(
        trail.files().is_empty(),
        "nothing is indexed that is little"
    );
    let trail = Trail::busy("4.0.1", 300);
    trail.index();
    assert!(!trail.files().is_empty());
    // Less than what the index may lack.
    let read = |id: &str| {
        let line = format!("GET Patient/{id}");
        trail.world.fhir(&trail.all, &line, "").status(200);
    };
    for _ in 0..5 {
        read("p7");
        read("p8");
    }
    trail.index();
    let until = trail.now();
    let query = format!("patient=p7&action=R&date=lt{until}");
    let (found, looked_at) = trail.all_ids(&query);
    let (oldest_first, _) = trail.all_ids(&format!("{query}&_sort=date"));
    trail.remove_index();
    let (wanted, _) = trail.all_ids(&query);
    assert_eq!(found, wanted);
    assert_eq!(
        oldest_first.iter().rev().collect::<Vec<_>>(),
        wanted.iter().collect::<Vec<_>>()
    );
    assert!(looked_at < 200, "{looked_at}");
}

#[test]
fn an_index_that_is_broken_is_not_used_and_made_anew() {
    let trail = Trail::busy("4.0.1", 1);
    trail.index();
    let wanted = |until: &str| trail.all_ids(&format!("patient=p7&date=lt{until}"));
    let until = trail.now();
    let (good, few) = wanted(&until);
    let index = trail.remove_index();
    let (found, many) = wanted(&until);
    assert_eq!(found, good);
    assert!(many > 2 * few, "{many} for {few}");
    std::fs::remove_dir(&index).unwrap();
    std::fs::write(&index, vec![7; 64 << 10]).unwrap();
    assert_eq!(wanted(&until).0, good);
    // Something more happens, and the index is made anew.
    trail.world.clock.forward_secs(61);
    trail
        .world
        .fhir(&trail.all, "GET Patient/p7", "")
        .status(200);
    trail.index();
    let (found, again) = wanted(&until);
    assert_eq!(found, good);
    assert!(again < many / 2, "{again} of {many}");
}

#[test]
fn reports_use_the_index_and_say_the_same_without_it() {
    let trail = Trail::busy("4.0.1", 1);
    let id = {
        let made = trail.world.client_secret("lakeside", "system/Patient.r");
        let who = format!("{}:{}", made.0, made.1);
        let who = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, who);
        for id in ["p1", "p2", "p1"] {
            let line = format!("GET Patient/{id}");
            trail
                .world
                .fhir(&format!("Basic {who}"), &line, "")
                .status(200);
        }
        made.0
    };
    trail.index();
    trail
        .world
        .fhir(&trail.all, "GET Patient/p2", "")
        .status(200);
    let until = trail.now();
    let report = |query: &str| {
        let before = trail.looked_at();
        let line = format!("GET /admin/v1/tenants/lakeside/audit/report?{query}&to={until}");
        let told = trail.world.admin(&line, &Value::Null).status(200).json();
        (told, trail.looked_at() - before)
    };
    let questions = [
        "patient=Patient/p2".to_owned(),
        "patient=Patient/p2&from=2000-01-01".to_owned(),
        format!("actor=client:{id}"),
        format!("actor=client:{id}&patient=Patient/p1"),
    ];
    let with: Vec<(Value, u64)> = questions.iter().map(|q| report(q)).collect();
    trail.remove_index();
    for (question, (told, few)) in questions.iter().zip(with) {
        let (wanted, all) = report(question);
        assert_eq!(told["accesses"], wanted["accesses"], "{question}");
        assert_eq!(told["patients"], wanted["patients"], "{question}");
        // Of others than the one who is asked for, their name tells enough.
        let narrowed = few * 2 < all || !question.starts_with("patient");
        assert!(narrowed, "{question}: {few} of {all}");
    }
}
