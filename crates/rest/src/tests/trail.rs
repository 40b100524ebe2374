//! The audit trail as AuditEvents.

mod asked;
mod balp;
mod deeds;
mod index;
mod operations;
mod patches;
mod same;
mod transactions;
mod unknown;
mod verbs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use engine::{HeadTeller, HeadWay, OutboundError};

use super::elsewhere::Elsewhere;
use super::people::{administrator, person};
use super::policy::glass::{approved, approved_for};
use super::world::{Answer, JSON, World, patient_with_id};

/// A clinic with two patients, an observation of each, and somebody who may look at the trail.
struct Trail {
    world: World,
    all: String,
    auditor: String,
}

impl Trail {
    fn of(fhir: &str) -> Self {
        let (world, all) = World::clinic_of(fhir);
        for id in ["p1", "p2"] {
            let line = format!("PUT Patient/{id}");
            world.fhir(&all, &line, patient_with_id(id, id)).status(201);
            let line = format!("PUT Observation/o-{id}");
            world.fhir(&all, &line, observation(id)).status(201);
        }
        let auditor = world.client("lakeside", "system/AuditEvent.rs");
        Self {
            world,
            all,
            auditor,
        }
    }

    fn search(&self, query: &str) -> Answer {
        let line = format!("GET AuditEvent?{query}");
        self.world.fhir(&self.auditor, &line, "")
    }

    fn events(&self, query: &str) -> Vec<Value> {
        let answer = self.search(query).status(200).json();
        let entries = answer["entry"].as_array().cloned().unwrap_or_default();
        entries.iter().map(|e| e["resource"].clone()).collect()
    }
}

fn observation(of: &str) -> String {
    json!({ "resourceType": "Observation", "id": format!("o-{of}"), "status": "final",
        "code": { "text": "x" }, "subject": { "reference": format!("Patient/{of}") } })
    .to_string()
}

/// Values of a member of each entity, wherever it is.
fn whats(event: &Value) -> Vec<&str> {
    let entities = event["entity"].as_array().unwrap();
    entities
        .iter()
        .filter_map(|e| e["what"]["reference"].as_str())
        .collect()
}

fn subtype(event: &Value) -> &str {
    let r4 = event["subtype"][0]["code"].as_str();
    r4.or_else(|| event["code"]["coding"][0]["code"].as_str())
        .unwrap()
}

#[test]
fn a_read_is_an_event_with_everything_that_is_known_of_it() {
    let t = Trail::of("4.0.1");
    let why = ("access-reason", "TREAT: sore throat");
    t.world
        .fhir_with(&t.all, "GET Observation/o-p1", &[why], "")
        .status(200);
    let found = t.events("entity=Observation/o-p1&subtype=read&_sort=-date");
    assert_eq!(found.len(), 1);
    let event = &found[0];
    assert_eq!(event["type"]["code"], "rest");
    assert_eq!(event["action"], "R");
    assert_eq!(event["outcome"], "0");
    assert_eq!(whats(event), ["Observation/o-p1/_history/1", "Patient/p1"]);
    assert_eq!(event["entity"][1]["lifecycle"]["code"], "6");
    assert_eq!(event["entity"][2]["role"]["code"], "1");
    let agents = event["agent"].as_array().unwrap();
    assert_eq!(agents.len(), 2);
    assert_eq!(agents[0]["type"]["coding"][0]["code"], "110152");
    assert_eq!(agents[0]["requestor"], true);
    assert_eq!(
        agents[0]["who"]["identifier"]["system"],
        "urn:insula:client"
    );
    assert_eq!(agents[0]["network"]["type"], "2");
    assert!(agents[0]["network"]["address"].is_string());
    let purpose = &agents[0]["purposeOfUse"][0];
    assert_eq!(purpose["coding"][0]["code"], "TREAT");
    assert_eq!(purpose["text"], "sore throat");
    assert_eq!(agents[1]["type"]["coding"][0]["code"], "110153");
    assert_eq!(event["source"]["site"], "lakeside");
    // The same by its id, and not by another one.
    let id = event["id"].as_str().unwrap();
    assert!(id.starts_with("trail-r-"), "{id}");
    let read = t
        .world
        .fhir(&t.auditor, &format!("GET AuditEvent/{id}"), "");
    assert_eq!(&read.status(200).json(), event);
    for nothing in ["trail-r-99999", "trail-w-99999", "trail-x-1", "trail-r-01"] {
        let line = format!("GET AuditEvent/{nothing}");
        t.world
            .fhir(&t.auditor, &line, "")
            .refused(404, "not-found");
    }
}

#[test]
fn a_search_is_one_event_with_every_patient_and_the_query() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let t = Trail::of(fhir);
        let line = "GET Observation?status=final&_count=10";
        t.world.fhir(&t.all, line, "").status(200);
        let found = t.events("entity-role=24&entity=Patient/p2");
        assert_eq!(found.len(), 1, "{fhir}");
        let event = &found[0];
        assert_eq!(subtype(event), "search-type");
        assert_eq!(event["action"], "E");
        let mut touched = whats(event);
        touched.sort_unstable();
        assert_eq!(
            touched,
            [
                "Observation/o-p1/_history/1",
                "Observation/o-p2/_history/1",
                "Patient/p1",
                "Patient/p2"
            ]
        );
        let entities = event["entity"].as_array().unwrap();
        let query = entities.iter().find_map(|e| e["query"].as_str()).unwrap();
        let query = String::from_utf8(STANDARD.decode(query).unwrap()).unwrap();
        assert_eq!(query, "Observation?status=final&_count=10");
        for patient in ["p1", "p2"] {
            let of = t.events(&format!("patient={patient}&entity-role=24"));
            assert_eq!(of.len(), 1, "{fhir} {patient}");
            let of = t.events(&format!("patient=Patient/{patient}&entity-role=24"));
            assert_eq!(of.len(), 1, "{fhir} {patient}");
        }
        assert!(t.events("patient=p3").is_empty());
    }
}

#[test]
fn writes_are_events() {
    let t = Trail::of("4.0.1");
    t.world
        .fhir(
            &t.all,
            "PUT Observation/o-p1",
            observation("p2").replace("o-p2", "o-p1"),
        )
        .status(200);
    t.world
        .fhir(&t.all, "DELETE Observation/o-p1", "")
        .status(204);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "PUT", "url": "Patient/p3" },
          "resource": { "resourceType": "Patient", "id": "p3" } },
        { "request": { "method": "PUT", "url": "Observation/o-p3" },
          "resource": serde_json::from_str::<Value>(&observation("p3")).unwrap() } ]});
    t.world
        .fhir_with(&t.all, "POST ", &[JSON], bundle.to_string())
        .status(200);
    let events = t.events("entity=Observation/o-p1&action=C,U,D&_sort=date");
    let found: Vec<(&str, &str, Vec<&str>)> = events
        .iter()
        .map(|e| (e["action"].as_str().unwrap(), subtype(e), whats(e)))
        .collect();
    assert_eq!(
        found,
        [
            (
                "C",
                "update",
                vec!["Observation/o-p1/_history/1", "Patient/p1"]
            ),
            (
                "U",
                "update",
                // Out of whose chart it went as well.
                vec!["Observation/o-p1/_history/2", "Patient/p1", "Patient/p2"]
            ),
            (
                "D",
                "delete",
                vec!["Observation/o-p1/_history/3", "Patient/p2"]
            ),
        ]
    );
    assert_eq!(events[2]["entity"][1]["lifecycle"]["code"], "14");
    assert!(events[2]["agent"][0]["network"]["address"].is_string());
    let id = events[0]["id"].as_str().unwrap();
    assert!(id.starts_with("trail-w-"), "{id}");
    let transactions = t.events("subtype=transaction");
    assert_eq!(transactions.len(), 1);
    assert_eq!(
        whats(&transactions[0]),
        [
            "Patient/p3/_history/1",
            "Observation/o-p3/_history/1",
            "Patient/p3"
        ]
    );
}

/// What touched a patient, by the events and by the report alike, oldest first.
fn touched(t: &Trail, patient: &str) -> Vec<String> {
    let events = t.events(&format!("patient={patient}&_sort=date&_count=100"));
    let line = format!("GET /admin/v1/tenants/lakeside/audit/report?patient={patient}");
    let report = t.world.admin(&line, &Value::Null).status(200).json();
    let accesses = report["accesses"].as_array().unwrap().iter();
    let told = accesses.flat_map(|a| a["what"].as_array().unwrap().clone());
    let told: Vec<String> = told.map(|w| w.as_str().unwrap().to_owned()).collect();
    let of_patient = |w: &&str| *w != format!("Patient/{patient}");
    let whats: Vec<String> = events
        .iter()
        .flat_map(|e| whats(e).into_iter().filter(of_patient).take(1))
        .map(str::to_owned)
        .collect();
    assert_eq!(whats, told, "{patient}");
    told
}

#[test]
fn what_is_taken_out_of_a_chart_touches_the_patient_whose_it_was() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let t = Trail::of(fhir);
        let moved = observation("p2").replace("o-p2", "o-p1");
        t.world
            .fhir(&t.all, "PUT Observation/o-p1", moved)
            .status(200);
        let of_p1 = touched(&t, "p1");
        assert_eq!(
            of_p1,
            [
                "Patient/p1/_history/1",
                "Observation/o-p1/_history/1",
                "Observation/o-p1/_history/2"
            ],
            "{fhir}"
        );
        assert!(touched(&t, "p2").contains(&"Observation/o-p1/_history/2".to_owned()));
        // What happens to it from then on is no more of the first one.
        t.world.fhir(&t.all, "GET Observation/o-p1", "").status(200);
        t.world
            .fhir(&t.all, "DELETE Observation/o-p1", "")
            .status(204);
        assert_eq!(touched(&t, "p1"), of_p1, "{fhir}");
    }
}

#[test]
fn a_binary_touches_the_patient_of_its_security_context() {
    for fhir in ["4.0.1", "5.0.0"] {
        let t = Trail::of(fhir);
        for (id, context) in [("b-1", "Patient/p1"), ("b-2", "Observation/o-p1")] {
            let binary = json!({ "resourceType": "Binary", "id": id, "contentType": "text/plain",
                "securityContext": { "reference": context }, "data": "aGVsbG8=" });
            t.world
                .fhir(&t.all, &format!("PUT Binary/{id}"), binary.to_string())
                .status(201);
            let raw = [("accept", "text/plain")];
            let line = format!("GET Binary/{id}");
            let read = t.world.fhir_with(&t.all, &line, &raw, "").status(200);
            assert_eq!(read.body, "hello");
            let version = format!("{line}/_history/1");
            t.world.fhir(&t.all, &version, "").status(200);
        }
        let count = |id: &str| {
            let name = format!("Binary/{id}/_history/1");
            touched(&t, "p1").iter().filter(|w| **w == name).count()
        };
        assert_eq!((count("b-1"), count("b-2")), (3, 3), "{fhir}");
        // Whose the finding was then counts, wherever it is later.
        let moved = observation("p2").replace("o-p2", "o-p1");
        t.world
            .fhir(&t.all, "PUT Observation/o-p1", moved)
            .status(200);
        t.world.fhir(&t.all, "GET Binary/b-2", "").status(200);
        assert_eq!((count("b-1"), count("b-2")), (3, 3), "{fhir}");
        let of_p2 = touched(&t, "p2");
        assert!(
            of_p2.contains(&"Binary/b-2/_history/1".to_owned()),
            "{of_p2:?}"
        );
    }
}

#[test]
fn refusals_sign_ins_and_administration_are_events() {
    let t = Trail::of("4.0.1");
    let reader = t.world.client("lakeside", "system/Patient.rs");
    t.world
        .fhir(&reader, "GET Observation/o-p1", "")
        .refused(403, "scope-missing");
    let refused = t.events("outcome=8");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["outcomeDesc"], "scope-missing");
    t.world.fhir(&t.all, "GET Patient/none", "").status(404);
    assert_eq!(t.events("outcome=4").len(), 1);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let by = ("authorization", t.all.as_str());
    t.world
        .ask(
            "POST /t/lakeside/auth/token",
            &[form, by],
            "grant_type=client_credentials",
        )
        .status(200);
    let logins = t.events("type=http://dicom.nema.org/resources/ontology/DCM|110114");
    assert_eq!(logins.len(), 1);
    assert_eq!(subtype(&logins[0]), "110122");
    t.world
        .admin(
            "PATCH /admin/v1/tenants/lakeside",
            &json!({ "display": "Lake" }),
        )
        .status(200);
    let draft = json!({ "preset": "own-facility", "reason": "test" });
    t.world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    t.world
        .admin("POST /admin/v1/key/rotate", &Value::Null)
        .status(200);
    for what in [
        "create-tenant",
        "change-tenant",
        "create-client",
        "publish-policy",
        "rotate-key",
    ] {
        let found = t.events(&format!("subtype=urn:insula:trail|{what}"));
        assert!(!found.is_empty(), "{what}");
        assert_eq!(found[0]["type"]["code"], "110113", "{what}");
    }
    let searches = t.events("subtype=search-type&_count=100");
    assert!(!searches.is_empty(), "looking at the trail is in the trail");
}

#[test]
fn pages_follow_each_other_and_end() {
    let t = Trail::of("4.0.1");
    let sent = |id: &str, recorded: &str| {
        let mut event = sent_event();
        event["id"] = json!(id);
        event["recorded"] = json!(recorded);
        let line = format!("PUT AuditEvent/{id}");
        t.world.fhir(&t.all, &line, event.to_string()).status(201);
    };
    sent("old", "2000-01-01T00:00:00Z");
    sent("new", "2999-01-01T00:00:00Z");
    for n in 0..7 {
        let line = format!("GET Patient/p{}", n % 2 + 1);
        t.world.fhir(&t.all, &line, "").status(200);
    }
    for order in ["date", "-date"] {
        let whole = t.events(&format!("_sort={order}&_count=100"));
        let mut found = Vec::new();
        let mut answer = t.search(&format!("_sort={order}&_count=3")).status(200);
        loop {
            let page = answer.json();
            for entry in page["entry"].as_array().into_iter().flatten() {
                found.push(entry["resource"].clone());
            }
            let Some(next) = answer.link("next") else {
                break;
            };
            assert!(found.len() < 200, "paging goes on for ever");
            answer = t.world.follow(&t.auditor, &next).status(200);
        }
        let ids = |events: &[Value]| -> Vec<String> {
            let id = |e: &Value| e["id"].as_str().unwrap().to_owned();
            events.iter().map(id).collect()
        };
        let (ids, whole) = (ids(&found), ids(&whole));
        let mut unique = ids.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "no event comes twice");
        assert!(whole.iter().all(|id| ids.contains(id) || order == "-date"));
        let dates: Vec<&str> = found
            .iter()
            .map(|e| e["recorded"].as_str().unwrap())
            .collect();
        let mut sorted = dates.clone();
        sorted.sort_unstable();
        if order == "-date" {
            sorted.reverse();
        }
        assert_eq!(dates, sorted);
        assert!(ids.contains(&"old".to_owned()) && ids.contains(&"new".to_owned()));
    }
    let within = t.events("date=ge2999&_count=100");
    assert_eq!(within.len(), 1);
    assert_eq!(t.events("_id=old").len(), 1);
    let counted = t.search("_summary=count&patient=p1").status(200).json();
    let all = t.events("patient=p1&_count=100").len();
    assert_eq!(counted["total"].as_u64(), Some(all as u64));
}

fn sent_event() -> Value {
    json!({ "resourceType": "AuditEvent", "type": { "code": "rest" },
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{ "requestor": true, "name": "another program" }],
        "source": { "observer": { "display": "elsewhere" } } })
}

#[test]
fn nobody_writes_the_trail() {
    let t = Trail::of("4.0.1");
    let id = t.events("_count=1")[0]["id"].as_str().unwrap().to_owned();
    let mut event = sent_event();
    event["id"] = json!(id);
    for id in [id.as_str(), "trail-w-77777", "trail-of-mine"] {
        event["id"] = json!(id);
        let line = format!("PUT AuditEvent/{id}");
        t.world
            .fhir(&t.all, &line, event.to_string())
            .refused(403, "trail-read-only");
        let line = format!("DELETE AuditEvent/{id}");
        let code = t.world.fhir(&t.all, &line, "").code;
        assert!(code == 403 || code == 404, "{code}");
    }
    // What clients send has ids of its own.
    let made = t
        .world
        .fhir_with(&t.all, "POST AuditEvent", &[JSON], event.to_string())
        .status(201);
    assert!(!made.text("/id").starts_with("trail-"));
}

#[test]
fn the_trail_needs_a_right_of_its_own() {
    let t = Trail::of("4.0.1");
    let reader = t.world.client("lakeside", "system/Patient.rs");
    t.world
        .fhir(&reader, "GET AuditEvent", "")
        .refused(403, "scope-missing");
    t.world
        .fhir(&reader, "GET AuditEvent/trail-r-1", "")
        .refused(403, "scope-missing");
    let draft = json!({ "preset": "network-wide", "reason": "test" });
    t.world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    for (role, code) in [
        ("clinician", 403),
        ("nurse", 403),
        ("vendor-read-only", 403),
        ("patient", 403),
        ("auditor", 200),
        ("tenant-administrator", 200),
    ] {
        let draft = json!({ "name": role, "scopes": ["system/*.cruds", "system/AuditEvent.rs"], "roles": [role] });
        let made = t
            .world
            .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
            .status(201);
        let (id, secret) = (made.text("/client_id"), made.text("/client_secret"));
        let who = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let answer = t.world.fhir(&who, "GET AuditEvent", "");
        assert_eq!(answer.code, code, "{role}");
    }
}

#[test]
fn a_scope_for_every_type_does_not_stand_for_the_trail() {
    let t = Trail::of("4.0.1");
    let mut event = sent_event();
    event["id"] = json!("mine");
    t.world
        .fhir(&t.all, "PUT AuditEvent/mine", event.to_string())
        .status(201);
    let seen = t.world.fhir(&t.all, "GET AuditEvent", "").status(200);
    assert_eq!(seen.entries(), ["AuditEvent/mine"]);
    let id = t.events("_count=1&subtype=update")[0]["id"].clone();
    let line = format!("GET AuditEvent/{}", id.as_str().unwrap());
    t.world.fhir(&t.all, &line, "").refused(404, "not-found");
}

#[test]
fn people_are_told_that_the_trail_is_left_out_and_programs_count_as_before() {
    for fhir in ["4.0.1", "5.0.0"] {
        let t = Trail::of(fhir);
        let mut event = sent_event();
        event["id"] = json!("mine");
        if fhir == "4.0.1" {
            t.world
                .fhir(&t.all, "PUT AuditEvent/mine", event.to_string())
                .status(201);
        }
        let admin = administrator(&t.world, "lakeside");
        let draft = json!({ "preset": "network-wide", "reason": "test" });
        t.world
            .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
            .status(201);
        let draft = json!({ "login": "aud", "name": "aud", "roles": ["auditor"] });
        let (auditor, _) = person(&admin, &draft);
        let wide = approved(&auditor);
        for query in ["", "?patient=Patient/9", "?_summary=count"] {
            let line = format!("GET AuditEvent{query}");
            let told = t
                .world
                .fhir(&wide, &line, "")
                .status(200)
                .json()
                .to_string();
            let says = told.contains("scope-missing") && told.contains("trail is left out");
            assert!(says, "{fhir} {line}: {told}");
            assert!(!told.contains("trail-"), "{told}");
            let told = t
                .world
                .fhir(&t.all, &line, "")
                .status(200)
                .json()
                .to_string();
            assert!(!told.contains("scope-missing"), "{told}");
        }
        let named = approved_for(&auditor, "user/AuditEvent.rs");
        let seen = t
            .world
            .fhir(&named, "GET AuditEvent", "")
            .status(200)
            .json();
        let seen = seen.to_string();
        assert!(seen.contains("trail-") && !seen.contains("scope-missing"));
    }
}

#[test]
fn what_the_trail_cannot_answer_is_refused_by_name() {
    let t = Trail::of("4.0.1");
    for query in [
        "patient.name=x",
        "_include=AuditEvent:patient",
        "_revinclude=Provenance:target",
        "_sort=agent-name",
        "_has:Provenance:target:_id=x",
        "_content=x",
    ] {
        let line = format!("GET AuditEvent?{query}");
        let refused = t.world.fhir(&t.all, &line, "");
        let refused = refused.refused(400, "search-modifier");
        let text = refused.json().to_string();
        assert!(text.contains("audit trail"), "{query}: {text}");
    }
    t.search("nonsense=1").status(200);
    assert!(!t.events("agent-name:missing=false").is_empty());
    assert!(!t.events("altid=client:").is_empty() || !t.events("agent-name=t").is_empty());
}

#[test]
fn heads_are_posted_until_they_are_taken_each_once_and_signed() {
    let (world, elsewhere) = Elsewhere::world();
    world.tenant("lakeside");
    let url = "https://notary.example/heads";
    let teller = HeadTeller {
        name: "heads-webhook",
        target: url.to_owned(),
        by: HeadWay::Webhook(url.to_owned(), Some("0123456789abcdef".to_owned())),
    };
    let mut place = std::collections::BTreeMap::new();
    let mut round = || {
        world.clock.forward_secs(61);
        world.house.tidy();
        world.tell_heads(&teller, &mut place);
        world.house.head_tellers().remove(0)
    };
    let all = world.client("lakeside", "system/*.cruds");
    world.fhir(&all, "GET Patient", "").status(200);
    elsewhere.answer(url, |_| Err(OutboundError::Connection));
    let view = round();
    assert!(view.waiting > 0 && view.failures == 1 && view.error.is_some());
    elsewhere.serve(url, &json!({}));
    let view = round();
    assert!(view.waiting == 0 && view.error.is_none());
    let told = |errand: &engine::Errand| -> Vec<(String, u64)> {
        let signed = errand.signed.as_ref().unwrap();
        assert!(signed.signature.as_ref().unwrap().starts_with("v1,"));
        let body: Value = serde_json::from_str(&signed.body).unwrap();
        let heads = body["data"]["heads"].as_array().unwrap();
        let head = |h: &Value| {
            (
                h["tenant"].as_str().unwrap().to_owned(),
                h["size"].as_u64().unwrap(),
            )
        };
        heads.iter().map(head).collect()
    };
    let first = told(&elsewhere.last(url));
    assert!(first.iter().any(|(tenant, _)| tenant == "lakeside"));
    // Nothing new is nothing told; what is new is told alone.
    let count = elsewhere.count(url);
    round();
    world.fhir(&all, "GET Patient", "").status(200);
    round();
    round();
    let second = told(&elsewhere.last(url));
    let of = |heads: &[(String, u64)]| {
        heads
            .iter()
            .filter(|(t, _)| t == "lakeside")
            .map(|(_, n)| *n)
            .max()
    };
    assert!(of(&second) > of(&first), "{first:?} {second:?}");
    assert!(second.iter().all(|head| !first.contains(head)));
    assert!(elsewhere.count(url) > count);
}
