//! Schedules and slots are those of the facilities of whose diaries they are.

use serde_json::{Value, json};

use super::super::world::World;
use super::{govern, northern, sorted, staff, two_facilities};

/// Three schedules for each facility, of a place, of a role and of somebody who has a role there, each with a slot.
fn diaries() -> World {
    let (world, all) = two_facilities();
    let put = |body: &Value| {
        let line = format!(
            "PUT {}/{}",
            body["resourceType"].as_str().unwrap(),
            body["id"].as_str().unwrap()
        );
        world.fhir(&all, &line, body.to_string()).status(201);
    };
    for at in ["north", "south"] {
        let organization = json!({ "reference": format!("Organization/o-{at}") });
        put(
            &json!({ "resourceType": "Location", "id": format!("place-{at}"), "managingOrganization": organization }),
        );
        put(
            &json!({ "resourceType": "PractitionerRole", "id": format!("role-{at}"), "organization": organization,
            "practitioner": { "reference": format!("Practitioner/dr-{at}") } }),
        );
        for (name, actor) in [
            ("place", "Location/place"),
            ("role", "PractitionerRole/role"),
            ("own", "Practitioner/dr"),
        ] {
            put(&schedule(&format!("{name}-{at}"), &format!("{actor}-{at}")));
            put(&slot(&format!("{name}-{at}"), &format!("{name}-{at}")));
        }
    }
    world
}

fn schedule(id: &str, actor: &str) -> Value {
    json!({ "resourceType": "Schedule", "id": id, "actor": [{ "reference": actor }] })
}

fn slot(id: &str, schedule: &str) -> Value {
    json!({ "resourceType": "Slot", "id": id, "status": "free", "start": "2026-05-01T09:00:00Z",
        "end": "2026-05-01T09:30:00Z", "schedule": { "reference": format!("Schedule/{schedule}") } })
}

fn found(world: &World, who: &str, line: &str) -> Vec<String> {
    let answer = world.fhir(who, &format!("GET {line}"), "");
    sorted(answer.status(200).entries())
}

#[test]
fn everybody_sees_the_diaries_of_their_facilities() {
    let world = diaries();
    for preset in ["own-facility", "care-team", "by-consent"] {
        govern(&world, &json!({ "preset": preset, "reason": "test" }));
        for role in [
            "clinician",
            "nurse",
            "front-desk",
            "biller",
            "lab",
            "vendor-read-only",
        ] {
            let who = northern(&world, role);
            let north = [
                "Schedule/own-north",
                "Schedule/place-north",
                "Schedule/role-north",
            ];
            assert_eq!(found(&world, &who, "Schedule"), north, "{preset} {role}");
            let north = ["Slot/own-north", "Slot/place-north", "Slot/role-north"];
            assert_eq!(found(&world, &who, "Slot"), north, "{preset} {role}");
            world
                .fhir(&who, "GET Slot/own-south", "")
                .refused(404, "not-found");
        }
    }
    // Of a place those that are its own.
    let who = staff(
        &world,
        &["front-desk@Location/place-north"],
        "system/*.cruds",
    );
    assert_eq!(found(&world, &who, "Slot"), ["Slot/place-north"]);
    let nowhere = staff(&world, &["front-desk"], "system/*.cruds");
    world
        .fhir(&nowhere, "GET Slot", "")
        .refused(403, "scope-missing");
}

#[test]
fn the_front_desk_keeps_the_diaries_of_its_facility() {
    let world = diaries();
    let who = northern(&world, "front-desk");
    world
        .fhir(&who, "POST Slot", slot("new", "own-north").to_string())
        .status(201);
    world
        .fhir(
            &who,
            "POST Schedule",
            schedule("new", "PractitionerRole/role-north").to_string(),
        )
        .status(201);
    world
        .fhir(&who, "POST Slot", slot("new", "own-south").to_string())
        .refused(403, "scope-missing");
    world
        .fhir(
            &who,
            "POST Schedule",
            schedule("new", "Location/place-south").to_string(),
        )
        .refused(403, "scope-missing");
    let mut busy = slot("place-north", "place-north");
    busy["status"] = json!("busy");
    world
        .fhir(&who, "PUT Slot/place-north", busy.to_string())
        .status(200);
    busy["schedule"]["reference"] = json!("Schedule/place-south");
    world
        .fhir(&who, "PUT Slot/place-north", busy.to_string())
        .refused(403, "scope-missing");
    let clerk = northern(&world, "biller");
    world
        .fhir(&clerk, "POST Slot", slot("new", "own-north").to_string())
        .refused(403, "scope-missing");
}

#[test]
fn a_schedule_of_several_is_whose_place_it_names() {
    let world = diaries();
    let all = world.client("lakeside", "system/*.cruds");
    let both = |id: &str, more: &str| {
        let mut body = schedule(id, "Practitioner/dr-north");
        let actors = body["actor"].as_array_mut().unwrap();
        actors.push(json!({ "reference": more }));
        world
            .fhir(&all, &format!("PUT Schedule/{id}"), body.to_string())
            .status(201);
    };
    both("here", "Location/place-north");
    both("away", "Location/place-south");
    let who = northern(&world, "front-desk");
    world.fhir(&who, "GET Schedule/here", "").status(200);
    world
        .fhir(&who, "GET Schedule/away", "")
        .refused(404, "not-found");
    // Who has no role here any more works elsewhere.
    let mut over = json!({ "resourceType": "PractitionerRole", "id": "role-north", "active": false,
        "organization": { "reference": "Organization/o-north" },
        "practitioner": { "reference": "Practitioner/dr-north" } });
    world.fhir(&who, "GET Schedule/own-north", "").status(200);
    world
        .fhir(&all, "PUT PractitionerRole/role-north", over.to_string())
        .status(200);
    world
        .fhir(&who, "GET Schedule/own-north", "")
        .refused(404, "not-found");
    over["active"] = json!(true);
    world
        .fhir(&all, "PUT PractitionerRole/role-north", over.to_string())
        .status(200);
    world.fhir(&who, "GET Slot/own-north", "").status(200);
}

#[test]
fn diaries_are_given_where_a_grant_names_them() {
    let world = diaries();
    let grant = |types: Value, more: Value| {
        let mut grant = json!({ "name": "g", "who": { "roles": ["clerk"] }, "actions": "cruds", "types": types, "by": "facility" });
        grant
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([grant])
    };
    let who = northern(&world, "clerk");
    super::grants(&world, &grant(json!(["*"]), json!({})));
    assert!(found(&world, &who, "Schedule").is_empty());
    world
        .fhir(&who, "GET Slot", "")
        .refused(403, "scope-missing");
    // Both hold where another condition is said.
    let own = json!({ "within": "Patient?_id=p-north" });
    super::grants(&world, &grant(json!(["Schedule"]), own));
    assert!(found(&world, &who, "Schedule").is_empty());
    super::grants(
        &world,
        &grant(
            json!(["Schedule"]),
            json!({ "criteria": "active:missing=true" }),
        ),
    );
    assert_eq!(found(&world, &who, "Schedule").len(), 3);
}
