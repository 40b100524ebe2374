//! Whom somebody asks about by name is touched, also where nothing is shown: a total says something, and so does
//! that there is nothing.

use serde_json::Value;

use super::{Trail, observation};
use crate::tests::world::JSON;

/// Events of what was asked of somebody, without those of looking at the trail.
fn asked_about(t: &Trail, who: &str) -> Vec<Value> {
    t.events(&format!(
        "patient={who}&entity-role=24&_count=200&_sort=-date"
    ))
}

fn words(event: &Value) -> String {
    use base64::Engine as _;
    let mut entities = event["entity"].as_array().unwrap().iter();
    let query = entities.find_map(|e| e["query"].as_str()).unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(query);
    String::from_utf8(bytes.unwrap()).unwrap()
}

#[test]
fn totals_and_empty_pages_touch_whom_they_are_asked_about() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let t = Trail::of(fhir);
        for line in [
            "Observation?patient=p1&_summary=count",
            "Observation?patient=Patient/p1&_total=accurate&_count=0",
            "Observation?subject=Patient/p1&status=amended",
            "Observation?subject:Patient=p1,p2&status=amended",
            "Observation?subject:Patient._id=p1&_summary=count",
            "Observation?_filter=subject%20eq%20Patient/p1%20and%20status%20eq%20amended",
            "Patient?_id=p1&_summary=count",
            "Patient?_id=p1&gender=other",
            "Patient/p1/Observation?status=amended",
            "Patient/p1/*?_type=Condition",
            "Practitioner?_has:Observation:performer:patient=p1",
            "Observation/$lastn?patient=p1&category=none",
            "$graphql?query=%7BObservationList(patient:%22p1%22,status:%22amended%22)%7Bid%7D%7D",
        ] {
            let known = asked_about(&t, "p1").len();
            t.world.fhir(&t.all, &format!("GET {line}"), "").status(200);
            let events = asked_about(&t, "p1");
            assert_eq!(events.len(), known + 1, "{fhir} {line}");
        }
        // Nobody is made by being asked for.
        t.world
            .fhir(&t.all, "GET Observation?patient=ghost", "")
            .status(200);
        assert_eq!(asked_about(&t, "ghost").len(), 0, "{fhir}");
    }
}

#[test]
fn criteria_of_writes_are_kept_and_touch_whom_they_are_about() {
    let t = Trail::of("4.0.1");
    let none = ("if-none-exist", "subject=Patient/p1&status=amended");
    t.world
        .ask(
            "POST /t/lakeside/fhir/Observation",
            &[JSON, ("authorization", &t.all), none],
            observation("p2"),
        )
        .status(201);
    let last = &asked_about(&t, "p1")[0];
    assert_eq!(words(last), "Observation?subject=Patient/p1&status=amended");
    for line in ["DELETE", "PUT"] {
        let body = match line {
            "PUT" => observation("p2").replace("\"id\":\"o-p2\",", ""),
            _ => String::new(),
        };
        let known = asked_about(&t, "p1").len();
        let line = format!("{line} Observation?subject=Patient/p1&status=cancelled");
        t.world.fhir(&t.all, &line, body);
        let events = asked_about(&t, "p1");
        assert_eq!(events.len(), known + 1, "{line}");
        assert_eq!(
            words(&events[0]),
            "Observation?subject=Patient/p1&status=cancelled"
        );
    }
}

#[test]
fn the_report_of_a_patient_has_who_counted_what_there_is_of_them() {
    let t = Trail::of("4.0.1");
    let report = || {
        let line = "GET /admin/v1/tenants/lakeside/audit/report?patient=Patient/p1";
        let told = t.world.admin(line, &Value::Null).status(200).json();
        let all = told["accesses"].as_array().unwrap().clone();
        let of = |a: &Value| (a["action"].clone(), a["what"].as_array().unwrap().len());
        all.iter().map(of).collect::<Vec<_>>()
    };
    let known = report().len();
    for line in [
        "GET Observation?patient=p1&_summary=count",
        "GET Observation?patient=p1&status=amended",
        "GET Observation?patient=ghost",
        "GET Observation?status=amended",
    ] {
        t.world.fhir(&t.all, line, "").status(200);
    }
    // Whether there is something was told, and nothing was shown.
    let asked = (Value::from("search"), 0);
    assert_eq!(report()[known..], [asked.clone(), asked]);
}
