//! What is out of reach from the moment that it is answered that it was moved, whatever is remembered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::world::World;
use super::{northern, observation, patient, sorted, two_facilities};

/// The northern patient, now of a facility.
fn moved(world: &World, all: &str, to: &str) {
    let mut body = patient("north");
    body["managingOrganization"] = json!({ "reference": format!("Organization/o-{to}") });
    world
        .fhir(all, "PUT Patient/p-north", body.to_string())
        .status(200);
}

fn found(world: &World, who: &str, line: &str) -> Vec<String> {
    let page = world.fhir(who, &format!("GET {line}"), "").status(200);
    sorted(page.entries())
}

/// Asks often enough that it is remembered.
fn warm(world: &World, who: &str) {
    for _ in 0..3 {
        for line in [
            "Observation/b-north",
            "Condition/c-north",
            "Patient/p-north",
        ] {
            world.fhir(who, &format!("GET {line}"), "").status(200);
        }
        assert_eq!(found(world, who, "Observation"), ["Observation/b-north"]);
        assert_eq!(
            found(
                world,
                who,
                "Observation?_include=Observation:subject&_include=Observation:encounter"
            ),
            [
                "Encounter/e-north",
                "Observation/b-north",
                "Patient/p-north"
            ]
        );
    }
}

#[test]
fn a_chart_is_closed_and_open_again_at_the_next_request() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    for _ in 0..3 {
        warm(&world, &who);
        moved(&world, &all, "south");
        for line in [
            "Observation/b-north",
            "Condition/c-north",
            "Encounter/e-north",
            "Patient/p-north",
            "Observation/b-north/_history/1",
            "Patient/p-north/_history/1",
            "Observation/b-north/_history",
        ] {
            world.fhir(&who, &format!("GET {line}"), "").status(404);
        }
        for line in [
            "Observation",
            "Observation?code=finding&_include=Observation:subject",
            "Patient?_revinclude=Observation:subject",
            "Encounter?_has:Observation:encounter:code=finding",
            "Observation?_total=accurate&_sort=date",
        ] {
            assert_eq!(found(&world, &who, line), [""; 0], "{line}");
        }
        moved(&world, &all, "north");
    }
    warm(&world, &who);
}

#[test]
fn a_finding_that_becomes_another_patients_is_gone_at_the_next_request() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    warm(&world, &who);
    let put = |at: &str| {
        let mut body = observation(at, "finding");
        body["id"] = json!("b-north");
        let line = "PUT Observation/b-north";
        world.fhir(&all, line, body.to_string()).status(200);
    };
    put("south");
    world.fhir(&who, "GET Observation/b-north", "").status(404);
    assert_eq!(found(&world, &who, "Observation"), [""; 0]);
    put("north");
    world.fhir(&who, "GET Observation/b-north", "").status(200);
    assert_eq!(found(&world, &who, "Observation"), ["Observation/b-north"]);
    world
        .fhir(&all, "DELETE Observation/b-north", "")
        .status(204);
    assert_eq!(found(&world, &who, "Observation"), [""; 0]);
    let body = {
        let mut body = observation("south", "finding");
        body["id"] = json!("b-north");
        body.to_string()
    };
    world
        .fhir(&all, "PUT Observation/b-north", body)
        .status(201);
    world.fhir(&who, "GET Observation/b-north", "").status(404);
}

#[test]
fn what_a_finding_said_in_another_chart_is_not_shown_with_it() {
    let (world, all) = two_facilities();
    // Filed in the wrong chart at first, and read there.
    for at in ["south", "north"] {
        let mut body = observation(at, "misfiled");
        body["id"] = json!("m");
        let done = world.fhir(&all, "PUT Observation/m", body.to_string());
        assert!(done.code < 300);
    }
    let who = northern(&world, "clinician");
    world.fhir(&who, "GET Observation/m", "").status(200);
    for line in ["GET Observation/m/_history/1", "GET Observation/m/_history"] {
        let told = world.fhir(&who, line, "");
        let text = String::from_utf8_lossy(&told.body).into_owned();
        assert!(!text.contains("south"), "{line}: {text}");
    }
    world
        .fhir(&who, "GET Observation/m/_history/1", "")
        .refused(404, "not-found");
    world
        .fhir(&who, "GET Observation/m/_history/2", "")
        .status(200);
    assert_eq!(
        found(&world, &who, "Observation/m/_history"),
        ["Observation/m"]
    );
    let whole = found(&world, &who, "Observation/_history");
    assert_eq!(whole.iter().filter(|e| *e == "Observation/m").count(), 1);
    // Who sees both charts sees both versions.
    world
        .fhir(&all, "GET Observation/m/_history/1", "")
        .status(200);
}

#[test]
fn later_pages_show_nothing_that_moved_meanwhile() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    let mut second = patient("north");
    second["id"] = json!("p-second");
    world
        .fhir(&all, "PUT Patient/p-second", second.to_string())
        .status(201);
    for n in 0..12 {
        let mut body = observation("north", "finding");
        body["id"] = json!(format!("x-{n}"));
        if n % 2 == 0 {
            body["subject"] = json!({ "reference": "Patient/p-second" });
        }
        let line = format!("PUT Observation/x-{n}");
        world.fhir(&all, &line, body.to_string()).status(201);
    }
    let first = world
        .fhir(
            &who,
            "GET Observation?_count=3&_include=Observation:subject",
            "",
        )
        .status(200);
    let mut next = first.link("next");
    moved(&world, &all, "south");
    let mut seen = Vec::new();
    while let Some(url) = next {
        let page = world.follow(&who, &url).status(200);
        seen.extend(page.entries());
        next = page.link("next");
    }
    let left: Vec<&String> = seen
        .iter()
        .filter(|e| e.starts_with("Observation/"))
        .collect();
    assert!(!left.is_empty());
    for entry in seen {
        let of_second = ["Patient/p-second"].contains(&entry.as_str())
            || (0..12)
                .step_by(2)
                .any(|n| entry == format!("Observation/x-{n}"));
        assert!(of_second, "{entry}");
    }
}

#[test]
fn a_role_that_ends_and_a_policy_that_narrows_count_at_once() {
    let (world, _) = two_facilities();
    let who = northern(&world, "clinician");
    warm(&world, &who);
    super::grants(
        &world,
        &json!([{ "name": "south", "who": { "roles": ["clinician"] }, "actions": "rs", "types": ["*"],
            "within": "Patient?organization=Organization/o-south" }]),
    );
    world.fhir(&who, "GET Observation/b-north", "").status(404);
    assert_eq!(found(&world, &who, "Observation"), ["Observation/b-south"]);
}

#[test]
fn with_next_to_no_memory_the_answers_are_the_same() {
    let world = World::with(|limits| limits.reach_bytes_max = 0, |_| {});
    world.tenant("lakeside");
    let all = world.client("lakeside", "system/*.cruds");
    super::fill(&world, &all);
    let who = northern(&world, "clinician");
    warm(&world, &who);
    moved(&world, &all, "south");
    world.fhir(&who, "GET Observation/b-north", "").status(404);
    assert_eq!(found(&world, &who, "Observation"), [""; 0]);
}

/// A client that policy governs by the role of guests.
fn guest(world: &World) -> String {
    let draft = json!({ "name": "guest", "scopes": ["system/*.cruds"], "roles": ["guest"] });
    let made = world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let (id, secret) = (made.text("/client_id"), made.text("/client_secret"));
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[test]
fn what_is_denied_and_then_deleted_is_told_of_as_little_as_before() {
    let (world, all) = World::clinic();
    for id in ["shut", "open"] {
        let organization = json!({ "resourceType": "Organization", "id": id, "name": id });
        let line = format!("PUT Organization/{id}");
        world
            .fhir(&all, &line, organization.to_string())
            .status(201);
        let patient = json!({ "resourceType": "Patient", "id": id,
            "managingOrganization": { "reference": format!("Organization/{id}") } });
        let line = format!("PUT Patient/{id}");
        world.fhir(&all, &line, patient.to_string()).status(201);
    }
    let who = json!({ "roles": ["guest"] });
    let grants = json!([
        { "name": "all", "effect": "allow", "who": who, "actions": "rs", "types": ["Patient"] },
        { "name": "shut", "effect": "deny", "who": who, "actions": "rs", "types": ["Patient"],
          "criteria": "organization.name=shut" },
    ]);
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    let guest = guest(&world);
    let asks = |line: &str, code: u16| world.fhir(&guest, line, "").status(code);
    asks("GET Patient/open", 200);
    asks("GET Patient/shut", 404);
    world.fhir(&all, "DELETE Patient/shut", "").status(204);
    for _ in 0..3 {
        assert_eq!(found(&world, &guest, "Patient?_id=shut"), [""; 0]);
        assert_eq!(found(&world, &guest, "Patient"), ["Patient/open"]);
        asks("GET Patient/shut", 404);
    }
}

#[test]
fn a_search_goes_on_where_listing_what_policy_reaches_takes_too_long() {
    let world = World::with(|limits| limits.search_kilosteps_max = 200, |_| {});
    world.tenant("lakeside");
    let all = world.client("lakeside", "system/*.cruds");
    super::fill(&world, &all);
    // Many findings of one facility, over many patients.
    for batch in 0..30 {
        let mut entries = Vec::new();
        for n in 0..100 {
            let id = format!("n-{batch}-{n}");
            if n % 10 == 0 {
                let mut body = patient("north");
                body["id"] = json!(format!("n-{batch}-{n}"));
                entries.push(json!({ "resource": body,
                    "request": { "method": "PUT", "url": format!("Patient/n-{batch}-{n}") } }));
            }
            let mut body = observation("north", "many");
            body["id"] = json!(id);
            body["subject"]["reference"] = json!(format!("Patient/n-{batch}-{}", n / 10 * 10));
            entries.push(json!({ "resource": body,
                "request": { "method": "PUT", "url": format!("Observation/{id}") } }));
        }
        let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries });
        world.fhir(&all, "POST ", bundle.to_string()).status(200);
    }
    let who = northern(&world, "clinician");
    for _ in 0..3 {
        for line in [
            "Observation?_id=b-north,b-south",
            "Observation?code=finding",
            "Observation?_count=1&code=finding",
        ] {
            assert_eq!(found(&world, &who, line), ["Observation/b-north"], "{line}");
        }
        let page = world.fhir(&who, "GET Observation?_count=5", "").status(200);
        assert_eq!(page.entries().len(), 5);
    }
}
