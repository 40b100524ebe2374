//! The report of what a vendor did, against its contract.

use serde_json::{Value, json};

use super::{
    VENDORS, basic, client, clinic, clinic_says, enabled, observation, operator_says, propose,
};

#[test]
fn reads_and_writes_are_counted_by_day_type_and_patient_against_the_contract() {
    let (world, all) = clinic();
    let admin = enabled(&world, &json!({ "contract": { "types": ["Observation"] } }));
    let (id, secret) = client(&world, "system/*.cruds");
    let who = basic(&(id.clone(), secret));
    world.fhir(&all, "GET Patient/p2", "").status(200);
    world.fhir(&who, "GET Observation/o1", "").status(200);
    world
        .fhir(&who, "GET Observation?code=seen", "")
        .status(200);
    world
        .fhir(&who, "POST Observation", observation("x", "p2").to_string())
        .status(201);
    world.clock.forward_secs(86_400);
    world.fhir(&who, "GET Patient/p1", "").status(200);
    operator_says(&world, "disabled").status(200);
    world.fhir(&who, "GET Patient/p2", "").status(403);
    let report = world.admin(&format!("GET {VENDORS}/acme/activity"), &Value::Null);
    let report = report
        .status(200)
        .at("/reads", 3)
        .at("/writes", 1)
        .at("/refused", 1)
        .at("/outside/reads", 1)
        .at("/outside/writes", 0)
        .at("/clients/0", id.as_str())
        .at("/terms/contract/document", "DPA 17")
        .at("/more", false)
        .json();
    let days = report["days"].as_array().unwrap();
    assert_eq!(days.len(), 2, "{report:#}");
    assert_eq!(days[0]["type"], "Observation");
    assert_eq!(
        (&days[0]["reads"], &days[0]["writes"]),
        (&json!(2), &json!(1))
    );
    assert!(days[0]["outside"].is_null());
    assert_eq!(
        (&days[1]["type"], &days[1]["outside"]),
        (&json!("Patient"), &json!(["type"]))
    );
    assert_ne!(days[0]["day"], days[1]["day"]);
    let patients = report["patients"].as_array().unwrap();
    let names: Vec<&str> = patients
        .iter()
        .map(|p| p["patient"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["p1", "p2"]);
    assert_eq!(
        (&patients[0]["reads"], &patients[1]["writes"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(report["refusals"][0]["code"], "vendor-disabled");

    // The clinic asks the same, in its browser.
    let own = admin.ask(
        "GET /t/lakeside/auth/vendors/acme/activity?format=csv",
        &[],
        "",
    );
    // A session ends in a day without use.
    assert_eq!(own.code, 401);
    let again = super::super::people::Browser::new(&world);
    again
        .sign_in("lakeside", "root@clinic", super::super::people::PASSWORD)
        .status(303);
    let csv = again
        .ask(
            "GET /t/lakeside/auth/vendors/acme/activity?format=csv",
            &[],
            "",
        )
        .status(200);
    let text = String::from_utf8_lossy(&csv.body).into_owned();
    assert!(
        text.starts_with("day,client,type,reads,writes,outside\r\n"),
        "{text}"
    );
    assert!(
        text.contains("\"Patient\",\"1\",\"0\",\"type\"\r\n"),
        "{text}"
    );
    let csv = again
        .ask(
            "GET /t/lakeside/auth/vendors/acme/activity?format=csv&by=patient",
            &[],
            "",
        )
        .status(200);
    assert!(String::from_utf8_lossy(&csv.body).contains("\"Patient/p2\",\"0\",\"1\","));
    let line = format!("GET {VENDORS}/acme/activity?format=html");
    let html = world.admin(&line, &Value::Null).status(200);
    let html = String::from_utf8_lossy(&html.body).into_owned();
    assert!(
        html.contains("<h1>What Acme did</h1>")
            && html.contains("DPA 17")
            && !html.contains("<script")
    );
    let line = format!("GET {VENDORS}/acme/activity?to=2020-01-01");
    world
        .admin(&line, &Value::Null)
        .status(200)
        .at("/reads", 0)
        .at("/refused", 0);
    for wrong in ["format=pdf", "by=week", "from=soon"] {
        let line = format!("GET {VENDORS}/acme/activity?{wrong}");
        world
            .admin(&line, &Value::Null)
            .refused(400, "request-invalid");
    }
    // What was read before the contract began is marked.
    let later = json!({ "contract": { "from": "2027-06-01" } });
    let number = propose(&world, &later);
    clinic_says(&again, "enabled", Some(number)).status(200);
    let line = format!("GET {VENDORS}/acme/activity");
    world
        .admin(&line, &Value::Null)
        .status(200)
        .at("/days/0/outside/0", "time");
}

#[test]
fn purposes_are_held_against_those_of_the_contract() {
    let (world, _) = clinic();
    drop(enabled(
        &world,
        &json!({ "contract": { "purposes": ["TREAT"] } }),
    ));
    let who = basic(&client(&world, "system/*.cruds"));
    let asks = |why: Option<&str>| {
        let why: Vec<(&str, &str)> = why.map(|why| ("access-reason", why)).into_iter().collect();
        world
            .fhir_with(&who, "GET Observation/o1", &why, "")
            .status(200);
    };
    asks(Some("TREAT: sore throat"));
    asks(Some("HRESCH"));
    asks(Some("HRESCH, again"));
    asks(Some("because"));
    asks(None);
    let why = [("access-reason", "HPAYMT")];
    let body = observation("y", "p1").to_string();
    world
        .fhir_with(&who, "POST Observation", &why, body)
        .status(201);
    let line = format!("GET {VENDORS}/acme/activity");
    let report = world.admin(&line, &Value::Null).status(200).json();
    assert_eq!(
        report["purposes"],
        json!([
            { "requests": 2, "agreed": false },
            { "purpose": "HPAYMT", "requests": 1, "agreed": false },
            { "purpose": "HRESCH", "requests": 2, "agreed": false },
            { "purpose": "TREAT", "requests": 1, "agreed": true },
        ])
    );
    let line = format!("GET {VENDORS}/acme/activity?format=csv&by=purpose");
    let csv = world.admin(&line, &Value::Null).status(200);
    let csv = String::from_utf8_lossy(&csv.body).into_owned();
    assert!(
        csv.contains("\"HRESCH\",\"2\",\"no\"") && csv.contains("\"none named\""),
        "{csv}"
    );
}
