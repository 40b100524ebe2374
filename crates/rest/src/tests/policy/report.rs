//! Who was shown what of whom.

use serde_json::{Value, json};

use super::super::people::{administrator, person};
use super::super::world::World;
use super::{glass, northern, two_facilities};

const REPORT: &str = "GET /admin/v1/tenants/lakeside/audit/report";

fn report(world: &World, query: &str) -> Vec<(String, String, Vec<String>)> {
    let told = world
        .admin(&format!("{REPORT}?{query}"), &Value::Null)
        .status(200)
        .json();
    let words = |list: &Value| {
        let all = list.as_array().unwrap().iter();
        all.map(|w| w.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let each = told["accesses"].as_array().unwrap().iter();
    each.map(|a| {
        let text = |name: &str| a[name].as_str().unwrap().to_owned();
        (text("actor"), text("action"), words(&a["what"]))
    })
    .collect()
}

#[test]
fn every_look_at_a_patient_is_told_with_who_and_what() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    world.fhir(&who, "GET Patient/p-north", "").status(200);
    world
        .fhir(&who, "GET Observation?code=finding", "")
        .status(200);
    world.fhir(&who, "GET Patient/p-south", "").status(404);
    world
        .fhir(&all, "GET Condition?_include=Condition:subject", "")
        .status(200);
    world
        .fhir(&all, "DELETE Observation/b-north", "")
        .status(204);
    let north = report(&world, "patient=Patient/p-north");
    let what = |action: &str| -> Vec<String> {
        let of = north.iter().filter(|a| a.1 == action);
        of.flat_map(|a| a.2.clone()).collect()
    };
    assert_eq!(what("read"), ["Patient/p-north/_history/1"]);
    let seen = what("search");
    for wanted in [
        "Observation/b-north/_history/1",
        "Condition/c-north/_history/1",
        "Patient/p-north/_history/1",
    ] {
        assert!(seen.iter().any(|s| s == wanted), "{wanted} in {seen:?}");
    }
    assert!(seen.iter().all(|s| !s.contains("south")), "{seen:?}");
    let changed = what("change");
    assert!(
        changed
            .iter()
            .any(|s| s == "Observation/b-north/_history/2"),
        "{changed:?}"
    );
    // By whom, and when.
    let actor = north.iter().find(|a| a.1 == "read").unwrap().0.clone();
    let theirs = report(&world, &format!("actor={actor}"));
    assert!(
        theirs.iter().all(|a| a.0 == actor) && theirs.len() == 2,
        "{theirs:?}"
    );
    assert_eq!(report(&world, "to=2020-01-01"), []);
    assert_eq!(report(&world, "patient=nobody"), []);
    world
        .admin(&format!("{REPORT}?from=whenever"), &Value::Null)
        .refused(400, "request-invalid");
    let csv = world
        .admin(
            &format!("{REPORT}?patient=p-north&format=csv"),
            &Value::Null,
        )
        .status(200);
    let csv = String::from_utf8_lossy(&csv.body).into_owned();
    assert!(
        csv.starts_with("record,at,who,actor,action,why,break-glass,patients,what\r\n")
            && csv.contains("\"Patient/p-north\"")
    );
    let page = world
        .admin(
            &format!("{REPORT}?patient=p-north&format=html"),
            &Value::Null,
        )
        .status(200);
    let page = page.header("content-type", "text/html; charset=utf-8");
    assert!(String::from_utf8_lossy(&page.body).contains("<td>Patient/p-north</td>"));
}

#[test]
fn the_patients_whom_a_client_touched_in_a_window() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    world.fhir(&who, "GET Patient/p-north", "").status(200);
    let actor = report(&world, "patient=p-north").pop().unwrap().0;
    world.clock.forward_secs(86_400);
    world
        .fhir(&who, "GET Observation?code=finding", "")
        .status(200);
    world.fhir(&who, "DELETE Condition/c-north", "").status(204);
    world.fhir(&all, "GET Patient/p-south", "").status(200);
    let patients = |query: &str| {
        let line = format!("{REPORT}?actor={actor}{query}");
        world.admin(&line, &Value::Null).status(200).json()["patients"].clone()
    };
    let both = patients("");
    assert_eq!(both.as_array().unwrap().len(), 1, "{both}");
    assert_eq!(both[0]["patient"], "p-north");
    assert_eq!(
        (&both[0]["reads"], &both[0]["writes"]),
        (&2.into(), &1.into())
    );
    assert_eq!(patients("&from=2026-11-23")[0]["reads"], 1);
    assert_eq!(patients("&to=2026-11-23")[0]["writes"], 0);
    let line = format!("{REPORT}?actor={actor}&by=patient&format=csv");
    let csv = world.admin(&line, &Value::Null).status(200);
    let csv = String::from_utf8_lossy(&csv.body).into_owned();
    assert!(
        csv.starts_with("patient,reads,writes,first,last\r\n\"Patient/p-north\",\"2\",\"1\","),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 2);
    let line = format!("{REPORT}?actor={actor}&by=patient&format=html");
    let page = world.admin(&line, &Value::Null).status(200);
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(
        page.contains("1 patients") && !page.contains("accesses</caption>"),
        "{page}"
    );
    let line = format!("{REPORT}?by=moon");
    world
        .admin(&line, &Value::Null)
        .refused(400, "request-invalid");
}

#[test]
fn a_report_names_people_and_programs_and_takes_their_names() {
    let (world, _) = two_facilities();
    let who = northern(&world, "clinician");
    let asked = [("access-reason", "TREAT: seen today")];
    world
        .fhir_with(&who, "GET Patient/p-north", &asked, "")
        .status(200);
    let told = |query: &str| world.admin(&format!("{REPORT}?{query}"), &Value::Null);
    let by_name = told("actor=staff").status(200);
    let by_name = by_name.at("/accesses/0/who", "staff");
    // Operators are told what for, and no words: they may name patients.
    assert_eq!(by_name.text("/accesses/0/why"), "TREAT");
    let trail = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
    let lines = world.admin(trail, &Value::Null).status(200);
    let lines = lines.json().to_string();
    assert!(lines.contains("\"why\":\"TREAT\"") && !lines.contains("seen today"));
    assert!(lines.contains("access report: everybody by staff"));
    assert_eq!(by_name.json()["accesses"][0]["break_glass"], false);
    told("actor=nobody").refused(400, "request-invalid");
    // The house itself is one word; others begin with it.
    let draft = json!({ "name": "operators-console", "scopes": ["system/*.rs"] });
    let made = world.admin("POST /admin/v1/tenants/lakeside/clients", &draft);
    let made = made.status(201);
    let pair = format!(
        "{}:{}",
        made.text("/client_id"),
        made.text("/client_secret")
    );
    let pair = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
    world
        .fhir(&format!("Basic {pair}"), "GET Patient/p-north", "")
        .status(200);
    let theirs = told("actor=operators-console").status(200).json();
    assert_eq!(theirs["accesses"].as_array().unwrap().len(), 1, "{theirs}");
    told("actor=operator.nobody").refused(400, "request-invalid");
    told("actor=operator").status(200);
    told("actor=client:nobody").refused(400, "request-invalid");
    // The clinic makes its own.
    let admin = administrator(&world, "lakeside");
    let own = "GET /t/lakeside/auth/access-report?patient=p-north";
    let (eve, _) = person(&admin, &json!({ "login": "eve", "name": "Eve" }));
    eve.ask(own, &[], "").status(403);
    let page = admin
        .ask(&format!("{own}&format=html"), &[], "")
        .status(200);
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(
        page.contains("seen today") && page.contains("staff"),
        "{page}"
    );
}

#[test]
fn a_deletion_that_finds_nothing_is_an_access() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    let lines = || {
        let trail = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
        let told = world.admin(trail, &Value::Null).status(200).json();
        let lines = told["lines"].as_array().unwrap().clone();
        lines
            .into_iter()
            .filter(|line| line["action"] == "delete")
            .map(|line| {
                let text = |name: &str| line[name].as_str().unwrap().to_owned();
                (text("about"), text("outcome"))
            })
            .collect::<Vec<_>>()
    };
    let noted = |id: &str| (format!("Observation/{id}"), "nothing".to_owned());
    world
        .fhir(&who, "DELETE Observation/b-south", "")
        .status(204);
    world
        .fhir(&who, "DELETE Observation/b-absent", "")
        .status(204);
    assert_eq!(lines(), [noted("b-south"), noted("b-absent")]);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "DELETE", "url": "Observation/b-south" } },
        { "request": { "method": "DELETE", "url": "Observation/b-none" } } ] });
    world.fhir(&who, "POST ", bundle.to_string()).status(200);
    // What is deleted by a change is told by the change, and what was deleted before is not there.
    for _ in 0..2 {
        world
            .fhir(&all, "DELETE Observation/b-north", "")
            .status(204);
    }
    let all = lines();
    assert_eq!(
        all.get(2..),
        Some(&[noted("b-south"), noted("b-none"), noted("b-north")][..]),
        "{all:?}"
    );
}

#[test]
fn what_was_opened_is_told_also_where_nothing_was_looked_at() {
    let (world, _) = two_facilities();
    glass::policy(&world);
    let admin = administrator(&world, "lakeside");
    let doctor = glass::token_of(&admin, "north", "clinician@Organization/o-north", true);
    glass::open(&world, &doctor, "p-south", &[glass::WHY]).status(200);
    let told = |query: &str| {
        let line = format!("{REPORT}?{query}");
        world.admin(&line, &Value::Null).status(200).json()
    };
    let report = told("patient=p-south");
    let opened = &report["openings"];
    assert_eq!(opened.as_array().unwrap().len(), 1, "{opened}");
    let opened = &opened[0];
    assert_eq!(opened["patient"], "p-south");
    assert!(opened["actor"].as_str().unwrap().starts_with("person:"));
    // Its words are for the clinic alone.
    assert_eq!(opened["why"], "");
    assert_ne!(opened["purpose"], "");
    let own = "GET /t/lakeside/auth/access-report?patient=p-south&format=json";
    let own = admin.ask(own, &[], "").status(200).json();
    let why = own["openings"][0]["why"].as_str();
    assert!(why.is_some_and(|why| !why.is_empty()), "{own}");
    let (from, until) = (opened["from"].as_str(), opened["until"].as_str());
    assert!(from.unwrap() < until.unwrap(), "{opened}");
    // Of another patient, of somebody else, and of another time it is not told.
    let none = json!([]);
    let before = format!("to={}", from.unwrap());
    for query in ["patient=p-north", "actor=operator", &before] {
        assert_eq!(told(query)["openings"], none, "{query}");
    }
    let login = told("actor=north");
    assert_eq!(login["openings"].as_array().unwrap().len(), 1);
    // Ways in of operators, with the reason.
    let draft = json!({ "name": "Import", "scopes": ["system/*.rs"], "reason": "ticket 7" });
    let path = "POST /admin/v1/tenants/lakeside/clients";
    let made = world.admin(path, &draft).status(201).text("/client_id");
    let all = told("");
    let ways = all["operators"].as_array().unwrap().clone();
    let of = |id: &str| ways.iter().find(|way| way["what"] == id).unwrap().clone();
    let client = of(&format!("client:{made}"));
    assert_eq!(
        (&client["why"], &client["by"]),
        (&json!("ticket 7"), &json!("operator"))
    );
    assert!(client["until"].is_string());
    let csv = world
        .admin(&format!("{REPORT}?by=opening&format=csv"), &Value::Null)
        .status(200);
    let csv = String::from_utf8_lossy(&csv.body).into_owned();
    assert!(csv.starts_with("kind,id,patient,who,actor,why,from,until,by,said\r\n"));
    assert!(
        csv.contains("\"break-glass\"") && csv.contains("\"ticket 7\""),
        "{csv}"
    );
    let page = world
        .admin(
            &format!("{REPORT}?patient=p-south&format=html"),
            &Value::Null,
        )
        .status(200);
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.contains("1 patients opened in an emergency"), "{page}");
    let wrong = world.admin(&format!("{REPORT}?by=door"), &Value::Null);
    wrong.refused(400, "request-invalid");
}
