//! Alerts: which accesses call for attention, which do not, and who is told.

mod pages;
mod telling;
mod watching;

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{MailOutbox, OutboundError, Outside};
use ring::hmac;
use serde_json::{Value, json};

use super::glass::{self, approved, approved_for, parameters};
use super::{World, grants, two_facilities};
use crate::tests::elsewhere::Elsewhere;
use crate::tests::people::{Browser, PASSWORD, administrator, person};
use crate::tests::world::Answer;

/// A Monday at ten, where the world began.
const MONDAY_AT_TEN: i64 = 117_477;
const DAY: i64 = 86_400;

/// A clinic with a doctor, an auditor and an administrator, on a Monday at ten.
struct Clinic {
    world: World,
    all: String,
    doctor: String,
    doctor_id: String,
    auditor: String,
}

fn put(world: &World, all: &str, body: &Value) {
    let (of, id) = (&body["resourceType"], &body["id"]);
    let line = format!("PUT {}/{}", of.as_str().unwrap(), id.as_str().unwrap());
    let answer = world.fhir(all, &line, body.to_string());
    assert!(answer.code == 200 || answer.code == 201, "{line}");
}

fn patient(id: &str, more: &Value) -> Value {
    let mut patient = json!({ "resourceType": "Patient", "id": id, "name": [{ "family": id }] });
    for (name, value) in more.as_object().unwrap() {
        patient[name] = value.clone();
    }
    patient
}

impl Clinic {
    fn new() -> Self {
        Self::with(World::new())
    }

    fn with(world: World) -> Self {
        world.tenant("lakeside");
        let all = world.client("lakeside", "system/*.cruds");
        world.clock.forward_secs(MONDAY_AT_TEN);
        grants(
            &world,
            &json!([
                { "name": "all", "who": { "roles": ["clinician", "front-desk"] }, "actions": "cruds",
                  "types": ["*"] },
                { "name": "trail", "who": { "roles": ["auditor"] }, "actions": "rs",
                  "types": ["AuditEvent"] },
                { "name": "keeper", "who": { "roles": ["tenant-administrator"] },
                  "actions": ["administer"], "types": ["*"] },
            ]),
        );
        for (id, family, number) in [("dr-a", "Smith", "1"), ("dr-b", "Jones", "2")] {
            put(
                &world,
                &all,
                &json!({ "resourceType": "Practitioner", "id": id, "name": [{ "family": family }],
                    "identifier": [{ "system": "urn:staff", "value": number }] }),
            );
        }
        let admin = administrator(&world, "lakeside");
        let staff = |login: &str, role: &str, user: Option<&str>| {
            let mut draft = json!({ "login": login, "name": login, "roles": [role] });
            if let Some(user) = user {
                draft["fhir_user"] = json!(user);
            }
            person(&admin, &draft)
        };
        let (a, doctor_id) = staff(
            "a",
            "clinician@Organization/north",
            Some("Practitioner/dr-a"),
        );
        drop(staff(
            "b",
            "clinician@Organization/north",
            Some("Practitioner/dr-b"),
        ));
        let (auditor, _) = staff("auditor", "auditor", None);
        let doctor = approved(&a);
        let auditor = approved_for(&auditor, "user/AuditEvent.rs");
        drop((admin, a));
        Self {
            world,
            all,
            doctor,
            doctor_id,
            auditor,
        }
    }

    fn put(&self, body: &Value) {
        put(&self.world, &self.all, body);
    }

    fn patient(&self, id: &str, more: &Value) {
        self.put(&patient(id, more));
    }

    /// Something that explains that the doctor looks at a patient.
    fn encounter(&self, patient: &str) {
        self.put(
            &json!({ "resourceType": "Encounter", "id": format!("e-{patient}"),
            "status": "in-progress", "class": { "code": "AMB" },
            "subject": { "reference": format!("Patient/{patient}") },
            "participant": [{ "individual": { "reference": "Practitioner/dr-a" } }] }),
        );
    }

    fn look(&self, patient: &str) {
        self.look_as(&self.doctor, patient);
    }

    fn look_as(&self, who: &str, patient: &str) {
        let line = format!("GET Patient/{patient}");
        self.world.fhir(who, &line, "").status(200);
    }

    /// Some time later, the doctor signs in again.
    fn later(&mut self, secs: i64) {
        self.world.clock.forward_secs(secs);
        self.doctor = self.signed_in("a", "user/*.cruds");
        self.auditor = self.signed_in("auditor", "user/AuditEvent.rs");
    }

    fn signed_in(&self, login: &str, scope: &str) -> String {
        let browser = Browser::new(&self.world);
        browser.sign_in("lakeside", login, PASSWORD).status(303);
        approved_for(&browser, scope)
    }

    fn admin(&self) -> String {
        let browser = Browser::new(&self.world);
        browser
            .sign_in("lakeside", "root@clinic", PASSWORD)
            .status(303);
        approved(&browser)
    }

    fn rules(&self, document: &Value) -> Answer {
        let fields = [("document", &*document.to_string()), ("reason", "test")];
        let line = "POST $alert-rules-publish";
        self.world.fhir(&self.admin(), line, parameters(&fields))
    }

    fn list(&self, query: &str) -> Vec<Value> {
        self.world.house.tidy();
        let line = format!("GET $alerts?{query}");
        let told = self.world.fhir(&self.auditor, &line, "").status(200).json();
        items(&told)
    }

    /// Patients whom alerts of a rule are of, in order; those of none are empty.
    fn alerts(&self, rule: &str) -> Vec<String> {
        let found = self.list(&format!("rule={rule}"));
        let patient = |a: &Value| a["patient"].as_str().unwrap_or("").to_owned();
        let mut found: Vec<String> = found.iter().map(patient).collect();
        found.sort();
        found
    }
}

/// The items of an answer, each as an object.
fn items(told: &Value) -> Vec<Value> {
    let parts = told["parameter"].as_array().cloned().unwrap_or_default();
    let items = parts.iter().filter(|p| p["name"] == "item");
    items.map(|p| object(&p["part"])).collect()
}

fn object(parts: &Value) -> Value {
    let mut out = json!({});
    for part in parts.as_array().into_iter().flatten() {
        let name = part["name"].as_str().unwrap();
        let members = part.as_object().unwrap();
        let value = members.iter().find(|(k, _)| k.starts_with("value"));
        let value = value.map_or_else(|| object(&part["part"]), |(_, v)| v.clone());
        out[name] = value;
    }
    out
}

#[test]
fn what_is_marked_is_looked_at_by_those_who_care_for_it_and_nobody_else() {
    let clinic = Clinic::new();
    let importance = "http://terminology.hl7.org/CodeSystem/v3-PatientImportance";
    let vip = json!({ "meta": { "security": [{ "system": importance, "code": "VIP" }] } });
    let by_extension = json!({ "extension": [{
        "url": "http://hl7.org/fhir/StructureDefinition/patient-importance",
        "valueCodeableConcept": { "coding": [{ "system": importance, "code": "VIP" }] } }] });
    clinic.patient("star", &vip);
    clinic.patient("star-of-mine", &vip);
    clinic.patient("star-by-extension", &by_extension);
    clinic.patient("star-by-flag", &json!({}));
    clinic.patient("anybody", &json!({}));
    clinic.put(
        &json!({ "resourceType": "Flag", "id": "f", "status": "active",
        "code": { "coding": [{ "system": importance, "code": "VIP" }] },
        "subject": { "reference": "Patient/star-by-flag" } }),
    );
    clinic.encounter("star-of-mine");
    for id in [
        "star",
        "star",
        "star-of-mine",
        "star-by-extension",
        "star-by-flag",
        "anybody",
    ] {
        clinic.look(id);
    }
    let wanted = [
        "Patient/star",
        "Patient/star-by-extension",
        "Patient/star-by-flag",
    ];
    assert_eq!(clinic.alerts("vip"), wanted);
    // Looking twice, and judging twice, is one alert that counts.
    clinic.world.house.tidy();
    let found = clinic.list("rule=vip");
    let star = found
        .iter()
        .find(|a| a["patient"] == "Patient/star")
        .unwrap();
    assert_eq!(
        (&star["count"], &star["state"]),
        (&json!(2), &json!("open"))
    );
    assert_eq!(star["actor"], format!("person:{}", clinic.doctor_id));
    assert!(
        star["event"]
            .as_str()
            .unwrap()
            .starts_with("AuditEvent/trail-r-")
    );
    // An API client has no patients of its own.
    clinic.look_as(&clinic.all, "star");
    assert_eq!(clinic.alerts("vip").len(), 3);
}

fn star() -> Value {
    let importance = "http://terminology.hl7.org/CodeSystem/v3-PatientImportance";
    json!({ "meta": { "security": [{ "system": importance, "code": "VIP" }] } })
}

#[test]
fn whose_record_it_is_counts_however_many_are_asked_for_at_once() {
    let clinic = Clinic::new();
    clinic.patient("star", &star());
    let own = json!({ "identifier": [{ "system": "urn:staff", "value": "1" }] });
    clinic.patient("me", &own);
    let colleague = json!({ "identifier": [{ "system": "urn:staff", "value": "2" }] });
    clinic.patient("colleague", &colleague);
    clinic.patient("namesake", &json!({ "name": [{ "family": "Smith" }] }));
    for n in 0..5 {
        clinic.patient(&format!("p{n}"), &json!({}));
    }
    let line = "GET Patient?_id=star,me,colleague,namesake,p0,p1,p2,p3,p4";
    clinic.world.fhir(&clinic.doctor, line, "").status(200);
    assert_eq!(clinic.alerts("vip"), ["Patient/star"]);
    assert_eq!(clinic.alerts("own-record"), ["Patient/me"]);
    assert_eq!(clinic.alerts("co-worker"), ["Patient/colleague"]);
    assert_eq!(clinic.alerts("same-surname"), ["Patient/namesake"]);
    // By which of the marks is for those who read charts.
    let seen = clinic.list("rule=vip")[0]["seen"].to_string();
    assert!(!seen.contains("VIP"), "{seen}");
}

#[test]
fn nobody_makes_what_explains_their_own_access_nor_does_what_comes_after_it() {
    let clinic = Clinic::new();
    for id in ["by-myself", "as-gp", "afterwards", "mine", "mine-changed"] {
        clinic.patient(id, &star());
    }
    let doctor = json!({ "reference": "Practitioner/dr-a" });
    let order = |id: &str| {
        json!({ "resourceType": "ServiceRequest", "id": format!("s-{id}"), "status": "active",
            "intent": "order", "subject": { "reference": format!("Patient/{id}") },
            "requester": doctor, "authoredOn": "2026-11-20" })
    };
    put(&clinic.world, &clinic.doctor, &order("by-myself"));
    let mut as_gp = patient("as-gp", &star());
    as_gp["generalPractitioner"] = json!([doctor]);
    put(&clinic.world, &clinic.doctor, &as_gp);
    clinic.put(&order("mine"));
    clinic.put(&order("mine-changed"));
    // What others say of them stays, also where they go on writing it.
    let mut changed = order("mine-changed");
    changed["note"] = json!([{ "text": "seen" }]);
    put(&clinic.world, &clinic.doctor, &changed);
    for id in ["by-myself", "as-gp", "afterwards", "mine", "mine-changed"] {
        clinic.world.clock.forward_secs(1);
        clinic.look(id);
    }
    clinic.world.clock.forward_secs(1);
    clinic.put(&order("afterwards"));
    let wanted = ["Patient/afterwards", "Patient/as-gp", "Patient/by-myself"];
    assert_eq!(clinic.alerts("vip"), wanted);
}

#[test]
fn what_goes_on_after_something_was_said_is_an_alert_again() {
    let clinic = Clinic::new();
    clinic.patient("star", &star());
    clinic.look("star");
    let found = clinic.list("rule=vip");
    let number = found[0]["number"].to_string();
    let said = [("number", &*number), ("verdict", "explained")];
    let line = "POST $alert-acknowledge";
    let said = clinic.world.fhir(&clinic.auditor, line, parameters(&said));
    said.status(200);
    // Judging again is not going on.
    assert_eq!(clinic.list("rule=vip&state=open").len(), 0);
    for wanted in [1, 2] {
        clinic.world.clock.forward_secs(1);
        clinic.look("star");
        let open = clinic.list("rule=vip&state=open");
        assert_eq!((open.len(), &open[0]["count"]), (1, &json!(wanted)));
        assert_ne!(open[0]["number"].to_string(), number);
    }
    let counts = clinic
        .world
        .admin("GET /admin/v1/tenants/lakeside/alerts", &Value::Null);
    counts.status(200).at("/open", 1).at("/acknowledged", 1);
}

#[test]
fn to_whom_some_of_an_event_is_hidden_alerts_are_too() {
    let clinic = Clinic::new();
    let asked = || clinic.world.fhir(&clinic.auditor, "GET $alerts", "");
    asked().status(200);
    grants(
        &clinic.world,
        &json!([{ "name": "trail", "who": { "roles": ["auditor"] }, "actions": "rs",
            "types": ["AuditEvent"], "hide": ["entity"] }]),
    );
    asked().status(403);
}

#[test]
fn nobody_excepts_themselves_from_a_rule() {
    let clinic = Clinic::new();
    let people = administrator_again(&clinic).api("GET people", &Value::Null);
    let people = people.status(200).json();
    let is_admin = |p: &&Value| p["login"] == "root@clinic";
    let admin = people["people"].as_array().unwrap().iter().find(is_admin);
    let admin = admin.unwrap()["id"].as_str().unwrap();
    let except = |id: &str| clinic.rules(&json!({ "rules": { "vip": { "exceptPeople": [id] } } }));
    except(admin).refused(400, "request-invalid");
    except(&clinic.doctor_id).status(200);
}

#[test]
fn every_kind_of_care_explains_an_access_and_what_is_over_does_not() {
    let clinic = Clinic::new();
    let doctor = json!({ "reference": "Practitioner/dr-a" });
    let of = |id: &str| json!({ "reference": format!("Patient/{id}") });
    let security = json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "CELEBRITY" }]);
    let ids = [
        "appointed",
        "ordered",
        "team",
        "own-gp",
        "role",
        "episode",
        "cancelled",
        "long-ago",
        "far-ahead",
        "other",
    ];
    for id in ids {
        let mut more = json!({ "meta": { "security": security } });
        if id == "own-gp" {
            more["generalPractitioner"] = json!([doctor]);
        }
        clinic.patient(id, &more);
    }
    let appointment = |id: &str, status: &str, start: &str, end: &str| {
        json!({ "resourceType": "Appointment", "id": format!("a-{id}"), "status": status,
            "start": start, "end": end, "participant": [
                { "actor": of(id), "status": "accepted" }, { "actor": doctor, "status": "accepted" }] })
    };
    let (start, end) = ("2026-11-24T09:00:00Z", "2026-11-24T09:30:00Z");
    clinic.put(&appointment("appointed", "booked", start, end));
    clinic.put(&appointment("cancelled", "cancelled", start, end));
    clinic.put(&appointment(
        "long-ago",
        "fulfilled",
        "2026-01-24T09:00:00Z",
        "2026-01-24T09:30:00Z",
    ));
    clinic.put(&appointment(
        "far-ahead",
        "booked",
        "2027-11-24T09:00:00Z",
        "2027-11-24T09:30:00Z",
    ));
    clinic.put(
        &json!({ "resourceType": "ServiceRequest", "id": "s", "status": "active", "intent": "order",
        "subject": of("ordered"), "requester": doctor, "authoredOn": "2026-11-20" }),
    );
    clinic.put(
        &json!({ "resourceType": "CareTeam", "id": "t", "status": "active", "subject": of("team"),
        "participant": [{ "member": doctor }] }),
    );
    clinic.put(&json!({ "resourceType": "PractitionerRole", "id": "r", "practitioner": doctor }));
    clinic.put(
        &json!({ "resourceType": "Encounter", "id": "e", "status": "in-progress",
        "class": { "code": "AMB" }, "subject": of("role"),
        "participant": [{ "individual": { "reference": "PractitionerRole/r" } }] }),
    );
    clinic.put(
        &json!({ "resourceType": "EpisodeOfCare", "id": "c", "status": "active",
        "patient": of("episode"), "careManager": doctor }),
    );
    clinic.put(
        &json!({ "resourceType": "Encounter", "id": "e-other", "status": "in-progress",
        "class": { "code": "AMB" }, "subject": of("other"),
        "participant": [{ "individual": { "reference": "Practitioner/dr-b" } }] }),
    );
    ids.iter().for_each(|id| clinic.look(id));
    let wanted = [
        "Patient/cancelled",
        "Patient/far-ahead",
        "Patient/long-ago",
        "Patient/other",
    ];
    assert_eq!(clinic.alerts("vip"), wanted);
}

#[test]
fn whom_everybody_comes_to_is_explained_by_visits_where_they_work() {
    let clinic = Clinic::new();
    let admin = administrator_again(&clinic);
    let draft =
        json!({ "login": "desk", "name": "Desk", "roles": ["front-desk@Organization/north"] });
    let (desk, _) = person(&admin, &draft);
    let desk = approved(&desk);
    for (id, at) in [
        ("due-here", "north"),
        ("due-there", "south"),
        ("not-due", ""),
    ] {
        let vip = json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-PatientImportance", "code": "VIP" }]);
        clinic.patient(id, &json!({ "meta": { "security": vip } }));
        if !at.is_empty() {
            clinic.put(
                &json!({ "resourceType": "Encounter", "id": format!("e-{id}"), "status": "planned",
                "class": { "code": "AMB" }, "subject": { "reference": format!("Patient/{id}") },
                "period": { "start": "2026-11-23T11:00:00Z" },
                "serviceProvider": { "reference": format!("Organization/{at}") } }),
            );
        }
        clinic.look_as(&desk, id);
    }
    assert_eq!(
        clinic.alerts("vip"),
        ["Patient/due-there", "Patient/not-due"]
    );
}

fn administrator_again(clinic: &Clinic) -> Browser<'_> {
    let browser = Browser::new(&clinic.world);
    browser
        .sign_in("lakeside", "root@clinic", PASSWORD)
        .status(303);
    browser
}

#[test]
fn ones_own_record_a_coworkers_and_a_namesakes() {
    let clinic = Clinic::new();
    let staff =
        |number: &str| json!({ "identifier": [{ "system": "urn:staff", "value": number }] });
    clinic.patient("me", &staff("1"));
    clinic.patient("colleague", &staff("2"));
    clinic.patient("colleague-of-mine", &staff("2"));
    clinic.patient("namesake", &json!({ "name": [{ "family": "SMITH" }] }));
    clinic.patient(
        "namesake-of-mine",
        &json!({ "name": [{ "family": "Smith" }] }),
    );
    clinic.patient("anybody", &staff("3"));
    for id in ["me", "colleague-of-mine", "namesake-of-mine"] {
        clinic.encounter(id);
    }
    for id in [
        "me",
        "colleague",
        "colleague-of-mine",
        "namesake",
        "namesake-of-mine",
        "anybody",
    ] {
        clinic.look(id);
    }
    // Nobody is in their own care team: that explains nothing.
    assert_eq!(clinic.alerts("own-record"), ["Patient/me"]);
    assert_eq!(clinic.alerts("co-worker"), ["Patient/colleague"]);
    assert_eq!(clinic.alerts("same-surname"), ["Patient/namesake"]);
}

#[test]
fn patients_who_read_their_own_chart_are_no_staff() {
    let clinic = Clinic::new();
    clinic.patient("pat", &json!({}));
    let admin = administrator_again(&clinic);
    let draft = json!({ "login": "pat", "name": "Pat", "roles": ["clinician"], "fhir_user": "Patient/pat" });
    let (pat, _) = person(&admin, &draft);
    clinic.look_as(&approved(&pat), "pat");
    assert_eq!(clinic.list(""), Vec::<Value>::new());
}

#[test]
fn patients_of_other_facilities() {
    let clinic = Clinic::new();
    let managed =
        |at: &str| json!({ "managingOrganization": { "reference": format!("Organization/{at}") } });
    clinic.patient("here", &managed("north"));
    clinic.patient("there", &managed("south"));
    clinic.patient("there-of-mine", &managed("south"));
    clinic.patient("there-and-here", &managed("south"));
    clinic.patient("nowhere", &json!({}));
    clinic.encounter("there-of-mine");
    clinic.put(
        &json!({ "resourceType": "Encounter", "id": "e", "status": "finished",
        "class": { "code": "AMB" }, "subject": { "reference": "Patient/there-and-here" },
        "serviceProvider": { "reference": "Organization/north" } }),
    );
    for id in [
        "here",
        "there",
        "there-of-mine",
        "there-and-here",
        "nowhere",
    ] {
        clinic.look(id);
    }
    assert_eq!(clinic.alerts("other-facility"), ["Patient/there"]);
}

#[test]
fn at_hours_when_nobody_works_but_those_who_do() {
    let mut clinic = Clinic::new();
    let rules = json!({ "rules": { "after-hours": { "minDays": 1 } } });
    clinic.rules(&rules).status(200);
    for id in ["by-day", "by-night", "by-night-of-mine", "later", "weekend"] {
        clinic.patient(id, &json!({}));
    }
    clinic.encounter("by-night-of-mine");
    clinic.look("by-day");
    clinic.later(12 * 3_600);
    clinic.look("by-night");
    clinic.look("by-night-of-mine");
    assert_eq!(clinic.alerts("after-hours"), ["Patient/by-night"]);
    // Somebody who is here at this hour again and again works at this hour.
    (0..5).for_each(|_| clinic.look("by-night-of-mine"));
    clinic.later(DAY);
    clinic.look("later");
    assert_eq!(clinic.alerts("after-hours"), ["Patient/by-night"]);
    // Of a Saturday at noon hours say nothing.
    clinic.later(3 * DAY + 14 * 3_600);
    clinic.look("weekend");
    assert_eq!(
        clinic.alerts("after-hours"),
        ["Patient/by-night", "Patient/weekend"]
    );
    // The clinic may be elsewhere: what is night here is day there.
    let clinic = Clinic::new();
    clinic.rules(&json!({ "utcOffset": "+12:00" })).status(200);
    clinic.patient("p", &json!({}));
    clinic.look("p");
    assert_eq!(clinic.alerts("after-hours"), ["Patient/p"]);
}

#[test]
fn many_more_patients_than_usual() {
    let mut clinic = Clinic::new();
    let rules =
        json!({ "rules": { "unusual-volume": { "minDays": 2, "atLeast": 3, "factor": 2 } } });
    clinic.rules(&rules).status(200);
    for n in 0..9 {
        clinic.patient(&format!("p{n}"), &json!({}));
        clinic.patient(&format!("mine{n}"), &json!({}));
        clinic.encounter(&format!("mine{n}"));
    }
    // Two of them a day are usual, whoever is cared for besides.
    for _ in 0..2 {
        for n in 0..2 {
            clinic.look(&format!("p{n}"));
        }
        (0..9).for_each(|n| clinic.look(&format!("mine{n}")));
        assert_eq!(clinic.alerts("unusual-volume"), Vec::<String>::new());
        clinic.later(DAY);
    }
    for n in 0..3 {
        clinic.look(&format!("p{n}"));
        clinic.look("p0");
    }
    assert_eq!(clinic.alerts("unusual-volume"), Vec::<String>::new());
    clinic.look("p3");
    clinic.look("p4");
    let found = clinic.list("rule=unusual-volume");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["count"], 5);
    let seen = found[0]["seen"].as_str().unwrap();
    assert!(
        seen.contains("5 patients") && seen.contains("2.0 a day"),
        "{seen}"
    );
    // A list is no look at those who are in it, but it counts.
    clinic.later(DAY);
    let line = "GET Patient?_count=100";
    clinic.world.fhir(&clinic.doctor, line, "").status(200);
    assert_eq!(clinic.alerts("unusual-volume").len(), 2);
    assert_eq!(clinic.alerts("same-surname"), Vec::<String>::new());
}

#[test]
fn sign_ins_that_fail_and_networks_that_are_new() {
    let mut clinic = Clinic::new();
    let rules = json!({ "rules": { "failed-sign-ins": { "atLeast": 2, "minutes": 15 } } });
    clinic.rules(&rules).status(200);
    let wrong = || {
        let browser = Browser::new(&clinic.world);
        browser
            .sign_in("lakeside", "b", "wrong password")
            .status(401);
    };
    wrong();
    // Long ago is another time.
    clinic.world.clock.forward_secs(1_000);
    wrong();
    assert_eq!(clinic.alerts("failed-sign-ins").len(), 0);
    clinic.world.clock.forward_secs(60);
    wrong();
    let found = clinic.list("rule=failed-sign-ins");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["count"], 2);
    assert!(found[0]["actor"].as_str().unwrap().starts_with("person:"));

    // Nor does it matter where a secret is guessed at: a client's, on the FHIR base.
    let (id, _) = clinic.world.client_secret("lakeside", "system/Patient.r");
    for guess in ["one", "two"] {
        let who = format!("Basic {}", STANDARD.encode(format!("{id}:{guess}")));
        let world = &clinic.world;
        world.fhir(&who, "GET Patient/p", "").status(401);
        let nobody = format!("Basic {}", STANDARD.encode(format!("nobody:{guess}")));
        world.fhir(&nobody, "GET Patient/p", "").status(401);
    }
    let found = clinic.list("rule=failed-sign-ins");
    assert_eq!(found.len(), 3);
    let told = |actor: &str| found.iter().any(|f| f["actor"] == actor);
    assert!(told(&format!("client:{id}")), "{found:#?}");
    // Of nobody who is known, by where they come from; a record that stands for many counts as many.
    assert!(told("from 127.0.0.0/24"), "{found:#?}");
    let far: IpAddr = "203.0.113.7".parse().unwrap();
    for n in 0..10 {
        let guess = format!("Bearer guess{n}");
        let who = [("authorization", guess.as_str())];
        let line = "GET /t/lakeside/fhir/Patient/p";
        let answer = clinic.world.ask_from(far, line, &who, "");
        answer.status(401);
    }
    let found = clinic.list("rule=failed-sign-ins");
    let far = found.iter().find(|f| f["actor"] == "from 203.0.113.0/24");
    assert_eq!(far.unwrap()["count"], 10, "{found:#?}");

    clinic.patient("p", &json!({}));
    clinic.encounter("p");
    let from = |clinic: &Clinic, address: &str| {
        let who = [("authorization", clinic.doctor.as_str())];
        let line = "GET /t/lakeside/fhir/Patient/p";
        let address: IpAddr = address.parse().unwrap();
        clinic.world.ask_from(address, line, &who, "").status(200);
    };
    // On the first day everything is new.
    from(&clinic, "192.0.2.7");
    assert_eq!(clinic.alerts("new-network").len(), 0);
    clinic.later(DAY);
    from(&clinic, "192.0.2.99");
    assert_eq!(clinic.alerts("new-network").len(), 0);
    from(&clinic, "198.51.100.7");
    from(&clinic, "198.51.100.8");
    let found = clinic.list("rule=new-network");
    assert_eq!(found.len(), 1);
    assert!(
        found[0]["seen"]
            .as_str()
            .unwrap()
            .starts_with("198.51.100.0/24")
    );
}

#[test]
fn what_was_opened_in_an_emergency_and_nobody_reviewed() {
    let (world, _) = two_facilities();
    glass::policy(&world);
    let admin = administrator(&world, "lakeside");
    let doctor = glass::token_of(&admin, "north", "clinician@Organization/o-north", true);
    for (patient, review) in [("p-south", false), ("p-north", true)] {
        let opened = glass::open(&world, &doctor, patient, &[glass::WHY]).status(200);
        if review {
            let id = glass::field(&opened, "id");
            world.clock.forward_secs(1_900);
            let auditor = glass::token_of(&admin, "auditor", "auditor", false);
            let said = parameters(&[("id", &id), ("verdict", "accept")]);
            world
                .fhir(&auditor, "POST $break-glass-review", said)
                .status(200);
        }
    }
    let listed = || {
        world.house.tidy();
        let browser = Browser::new(&world);
        browser
            .sign_in("lakeside", "root@clinic", PASSWORD)
            .status(303);
        let admin = approved(&browser);
        let line = "GET $alerts?rule=break-glass-unreviewed";
        items(&world.fhir(&admin, line, "").status(200).json())
    };
    assert_eq!(listed().len(), 0);
    world.clock.forward_secs(74 * 3_600);
    let found = listed();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["patient"], "Patient/p-south");
    world.clock.forward_secs(3_600);
    assert_eq!(listed().len(), 1);
}

#[test]
fn who_sees_alerts_and_says_something_about_them() {
    let clinic = Clinic::new();
    clinic.patient("namesake", &json!({ "name": [{ "family": "Smith" }] }));
    clinic.look("namesake");
    let found = clinic.list("");
    assert_eq!(found.len(), 1);
    let number = found[0]["number"].to_string();
    let world = &clinic.world;
    let said = |who: &str, verdict: &str| {
        let fields = [
            ("number", &*number),
            ("verdict", verdict),
            ("remark", "talked to them"),
        ];
        world.fhir(who, "POST $alert-acknowledge", parameters(&fields))
    };
    for who in [&clinic.doctor, &clinic.all] {
        world
            .fhir(who, "GET $alerts", "")
            .refused(403, "scope-missing");
        world
            .fhir(who, "GET $alert-rules", "")
            .refused(403, "scope-missing");
        said(who, "explained").refused(403, "scope-missing");
    }
    // A program that looks at the trail sees them, and vouches for nothing.
    let siem = world.client("lakeside", "system/AuditEvent.rs");
    world.fhir(&siem, "GET $alerts", "").status(200);
    said(&siem, "explained").refused(403, "scope-missing");
    // The operator is told how many there are: one is of the program that they made just now.
    let counts = world.admin("GET /admin/v1/tenants/lakeside/alerts", &Value::Null);
    counts.status(200).at("/open", 2).at("/acknowledged", 0);
    said(&clinic.auditor, "maybe").refused(400, "request-invalid");
    said(&clinic.auditor, "concern").status(200);
    said(&clinic.auditor, "concern").refused(409, "alert-state");
    let found = clinic.list("state=acknowledged");
    assert_eq!(found[0]["acknowledged"]["verdict"], "concern");
    let open = clinic.list("state=open");
    assert_eq!(
        (open.len(), &open[0]["rule"]),
        (1, &json!("operator-client"))
    );
    // Another tenant has none of it.
    world.tenant("harbour");
    let other = world.client("harbour", "system/AuditEvent.rs");
    let told = world
        .fhir(&other, "GET /t/harbour/fhir/$alerts", "")
        .status(200);
    assert_eq!(items(&told.json()), Vec::<Value>::new());
    let stranger = world.fhir(&other, "GET $alerts", "");
    assert_eq!(stranger.code, 401);
}

#[test]
fn nobody_says_what_to_think_of_what_they_did() {
    let clinic = Clinic::new();
    let admin = administrator_again(&clinic);
    let draft = json!({ "login": "c", "name": "C Namesake", "roles": ["clinician", "auditor"] });
    let (both, _) = person(&admin, &draft);
    let token = approved_for(&both, "user/*.cruds user/AuditEvent.rs");
    clinic.patient("p", &json!({ "name": [{ "family": "Namesake" }] }));
    clinic.look_as(&token, "p");
    let found = clinic.list("rule=same-surname");
    let number = found[0]["number"].to_string();
    let fields = [("number", &*number), ("verdict", "explained")];
    let said = |who: &str| {
        clinic
            .world
            .fhir(who, "POST $alert-acknowledge", parameters(&fields))
    };
    said(&token).refused(409, "alert-state");
    said(&clinic.auditor).status(200);
}

#[test]
fn rules_are_versioned_and_can_be_switched_off_for_a_reason() {
    let clinic = Clinic::new();
    let told = clinic
        .world
        .fhir(&clinic.auditor, "GET $alert-rules", "")
        .status(200);
    let ready = object(&told.json()["parameter"]);
    assert_eq!(ready["version"], 0);
    let document: Value = serde_json::from_str(ready["document"].as_str().unwrap()).unwrap();
    assert_eq!(document["rules"]["unusual-volume"]["atLeast"], 20);
    for wrong in [
        json!({ "rules": { "same-surname": { "off": "" } } }),
        json!({ "rules": { "nosy": {} } }),
        json!({ "else": 1 }),
    ] {
        clinic.rules(&wrong).refused(400, "request-invalid");
    }
    // Who looks at the trail does not change the rules.
    let fields = [("document", "{}"), ("reason", "test")];
    let line = "POST $alert-rules-publish";
    let world = &clinic.world;
    world
        .fhir(&clinic.auditor, line, parameters(&fields))
        .refused(403, "scope-missing");
    let off = json!({ "rules": { "same-surname": { "off": "half the village is called Smith" } } });
    clinic.rules(&off).status(200);
    clinic.patient("namesake", &json!({ "name": [{ "family": "Smith" }] }));
    clinic.look("namesake");
    assert_eq!(clinic.alerts("same-surname"), Vec::<String>::new());
    let excepted = json!({ "rules": { "same-surname": { "exceptRoles": ["clinician"] } } });
    clinic.rules(&excepted).status(200);
    clinic.look("namesake");
    assert_eq!(clinic.alerts("same-surname"), Vec::<String>::new());
    clinic.rules(&json!({})).status(200);
    clinic.look("namesake");
    assert_eq!(clinic.alerts("same-surname"), ["Patient/namesake"]);
    let told = world
        .fhir(&clinic.auditor, "GET $alert-rules", "")
        .status(200);
    assert_eq!(object(&told.json()["parameter"])["version"], 3);
    // What is administered is vouched for.
    let verified = world.admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null);
    verified.status(200).at("/ok", true);
}
