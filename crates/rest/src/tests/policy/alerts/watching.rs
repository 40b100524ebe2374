//! The watch over the trails: each tenant has its turn, and what counts is what stood when somebody looked.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Clinic, items, patient, put, star};
use crate::tests::world::World;

/// A clinic beside another one, where somebody guesses at a program's secret; who looks at the alerts there.
struct Neighbour {
    program: String,
    auditor: String,
}

impl Neighbour {
    fn of(world: &World) -> Self {
        world.tenant("harbour");
        let (program, _) = world.client_secret("harbour", "system/*.cruds");
        let auditor = world.client("harbour", "system/AuditEvent.rs");
        Self { program, auditor }
    }

    fn is_guessed_at(&self, world: &World) {
        for _ in 0..5 {
            let who = format!("Basic {}", STANDARD.encode(format!("{}:no", self.program)));
            let line = "GET /t/harbour/fhir/Patient/x";
            world.fhir(&who, line, "").status(401);
        }
    }

    fn alerts(&self, world: &World) -> usize {
        let line = "GET /t/harbour/fhir/$alerts?rule=failed-sign-ins";
        items(&world.fhir(&self.auditor, line, "").status(200).json()).len()
    }
}

#[test]
fn who_reads_much_holds_up_the_alerts_of_nobody_else_and_loses_none_of_their_own() {
    let world = World::with(|limits| limits.watch_patients_max = 3, |_| {});
    let clinic = Clinic::with(world);
    let neighbour = Neighbour::of(&clinic.world);
    for n in 0..40 {
        clinic.patient(&format!("p{n:02}"), &star());
    }
    for _ in 0..30 {
        clinic.world.house.tidy();
    }
    for _ in 0..5 {
        let line = "GET Patient?_count=100";
        clinic.world.fhir(&clinic.doctor, line, "").status(200);
    }
    neighbour.is_guessed_at(&clinic.world);
    clinic.world.house.tidy();
    assert_eq!(neighbour.alerts(&clinic.world), 1);
    let behind = |clinic: &Clinic| {
        let who = [("authorization", clinic.world.operator.as_str())];
        let told = clinic.world.ask("GET /metrics", &who, String::new());
        let text = String::from_utf8_lossy(&told.body).into_owned();
        let name = "insula_trails_unwatched ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the level").trim().to_owned()
    };
    assert_eq!(behind(&clinic), "1");
    assert!(clinic.alerts("vip").len() < 40);
    for _ in 0..120 {
        clinic.world.house.tidy();
    }
    // Each of them, counted once for each list.
    let found = clinic.list("rule=vip&_count=100");
    assert_eq!(found.len(), 40);
    let counts: Vec<&Value> = found.iter().map(|alert| &alert["count"]).collect();
    assert!(counts.iter().all(|count| **count == 5), "{counts:?}");
    assert_eq!(behind(&clinic), "0");
    // Of the volume the whole list is said at once.
    let clinic = clinic;
    let rules = json!({ "rules": { "unusual-volume": { "atLeast": 5, "factor": 1 } } });
    clinic.rules(&rules).status(200);
    let line = "GET Patient?_count=100";
    clinic.world.fhir(&clinic.doctor, line, "").status(200);
    for _ in 0..60 {
        clinic.world.house.tidy();
    }
    let found = clinic.list("rule=unusual-volume");
    assert_eq!((found.len(), &found[0]["count"]), (1, &json!(40)));
}

#[test]
fn what_was_left_behind_goes_on_after_a_restart() {
    let world = World::with(|limits| limits.watch_patients_max = 2, |_| {});
    let mut clinic = Clinic::with(world);
    for n in 0..12 {
        clinic.patient(&format!("p{n:02}"), &star());
    }
    for _ in 0..12 {
        clinic.world.house.tidy();
    }
    let line = "GET Patient?_count=100";
    clinic.world.fhir(&clinic.doctor, line, "").status(200);
    clinic.world.house.tidy();
    assert!(clinic.alerts("vip").len() < 12);
    clinic.world.begin_again();
    clinic.later(1);
    for _ in 0..30 {
        clinic.world.house.tidy();
    }
    assert_eq!(clinic.alerts("vip").len(), 12);
}

#[test]
fn a_mark_that_was_taken_off_before_looking_counts() {
    let clinic = Clinic::new();
    for id in ["by-me", "by-another", "long-ago", "flagged", "renamed"] {
        clinic.patient(id, &star());
    }
    let flag = |status: &str| {
        json!({ "resourceType": "Flag", "id": "f", "status": status,
            "code": { "coding": star()["meta"]["security"] },
            "subject": { "reference": "Patient/flagged" } })
    };
    clinic.put(&flag("active"));
    clinic.patient("flagged", &json!({}));
    clinic.patient("long-ago", &json!({ "active": true }));
    clinic.patient("renamed", &json!({ "name": [{ "family": "Smith" }] }));
    clinic.world.clock.forward_secs(2 * 86_400);
    let mut clinic = clinic;
    clinic.later(1);
    // The doctor takes marks and a name off, and looks.
    let world = &clinic.world;
    put(world, &clinic.doctor, &patient("by-me", &json!({})));
    put(world, &clinic.doctor, &flag("inactive"));
    put(world, &clinic.doctor, &patient("renamed", &json!({})));
    clinic.patient("by-another", &json!({}));
    clinic.world.clock.forward_secs(1);
    for id in ["by-me", "by-another", "long-ago", "flagged", "renamed"] {
        clinic.look(id);
    }
    let wanted = ["Patient/by-another", "Patient/by-me", "Patient/flagged"];
    assert_eq!(clinic.alerts("vip"), wanted);
    assert_eq!(clinic.alerts("same-surname"), ["Patient/renamed"]);
}

#[test]
fn nobody_brings_a_patient_to_their_own_facility_by_what_they_write() {
    let clinic = Clinic::new();
    let at =
        |at: &str| json!({ "managingOrganization": { "reference": format!("Organization/{at}") } });
    for id in ["moved", "visited", "visited-by-another"] {
        clinic.patient(id, &at("south"));
    }
    let visit = |id: &str| {
        json!({ "resourceType": "Encounter", "id": format!("v-{id}"), "status": "finished",
            "class": { "code": "AMB" }, "subject": { "reference": format!("Patient/{id}") },
            "period": { "start": "2020-01-01", "end": "2020-01-01" },
            "serviceProvider": { "reference": "Organization/north" } })
    };
    put(
        &clinic.world,
        &clinic.doctor,
        &patient("moved", &at("north")),
    );
    put(&clinic.world, &clinic.doctor, &visit("visited"));
    clinic.put(&visit("visited-by-another"));
    clinic.world.clock.forward_secs(1);
    for id in ["moved", "visited", "visited-by-another"] {
        clinic.look(id);
    }
    let wanted = ["Patient/moved", "Patient/visited"];
    assert_eq!(clinic.alerts("other-facility"), wanted);
}

#[test]
fn whose_writing_explains_nothing_can_be_said() {
    let clinic = Clinic::new();
    clinic.patient("p", &star());
    clinic.patient("q", &star());
    clinic.encounter("p");
    let vendor = clinic.world.client_secret("lakeside", "system/*.cruds");
    let by_vendor = STANDARD.encode(format!("{}:{}", vendor.0, vendor.1));
    let by_vendor = format!("Basic {by_vendor}");
    let encounter = json!({ "resourceType": "Encounter", "id": "e-q", "status": "in-progress",
        "class": { "code": "AMB" }, "subject": { "reference": "Patient/q" },
        "participant": [{ "individual": { "reference": "Practitioner/dr-a" } }] });
    put(&clinic.world, &by_vendor, &encounter);
    clinic.world.clock.forward_secs(1);
    clinic.look("p");
    clinic.look("q");
    assert_eq!(clinic.alerts("vip"), Vec::<String>::new());
    let not_by = json!({ "explain": { "notBy": [format!("client:{}", vendor.0)] } });
    clinic.rules(&not_by).status(200);
    clinic
        .rules(&json!({ "explain": { "notBy": ["anybody"] } }))
        .refused(400, "request-invalid");
    // What explained an access does so for the rest of the day.
    let mut clinic = clinic;
    clinic.later(86_400);
    clinic.look("p");
    clinic.look("q");
    assert_eq!(clinic.alerts("vip"), ["Patient/q"]);
}

#[test]
fn records_of_a_damaged_tenant_wait_and_others_go_on() {
    let mut clinic = Clinic::new();
    let neighbour = Neighbour::of(&clinic.world);
    clinic.patient("star", &star());
    clinic.world.house.tidy();
    clinic.look("star");
    clinic.world.house.close();
    let data = databases(&clinic.world);
    let damaged: Vec<(PathBuf, Vec<u8>)> = data
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    assert_eq!(damaged.len(), 2);
    // One of them is the neighbour's: its folder has no patient, and is the smaller one.
    let (path, good) = damaged.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let mut bad = good.clone();
    bad[..8_192].fill(7);
    std::fs::write(path, bad).unwrap();
    clinic.world.begin_again();
    neighbour.is_guessed_at(&clinic.world);
    for _ in 0..3 {
        clinic.world.house.tidy();
    }
    assert_eq!(neighbour.alerts(&clinic.world), 1);
    clinic.world.house.close();
    std::fs::write(path, good).unwrap();
    clinic.world.begin_again();
    clinic.later(1);
    assert_eq!(clinic.alerts("vip"), ["Patient/star"]);
}

fn databases(world: &World) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(world.dir.join("tenants")).unwrap();
    let paths = folders.map(|folder| folder.unwrap().path().join("data.db"));
    paths.filter(|path| path.exists()).collect()
}

#[test]
fn who_asks_how_much_there_is_of_somebody_has_looked() {
    let clinic = Clinic::new();
    for id in ["counted", "sought", "left-alone"] {
        clinic.patient(id, &star());
    }
    let world = &clinic.world;
    for line in [
        "GET Observation?patient=counted&_summary=count",
        "GET Observation?patient=sought&code=none",
        "GET Observation?code=none",
    ] {
        world.fhir(&clinic.doctor, line, "").status(200);
    }
    assert_eq!(clinic.alerts("vip"), ["Patient/counted", "Patient/sought"]);
}
