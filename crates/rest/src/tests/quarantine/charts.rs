//! What rows that are kept apart open and refuse of charts.

use super::*;

#[test]
fn what_is_kept_apart_opens_no_chart_and_still_closes_them() {
    let (world, all) = World::clinic();
    let put = |body: Value| {
        let at = |name: &str| body[name].as_str().unwrap().to_owned();
        let line = format!("PUT {}/{}", at("resourceType"), at("id"));
        world.fhir(&all, &line, body.to_string()).status(201);
    };
    for id in ["north", "south", "shut"] {
        put(json!({ "resourceType": "Organization", "id": id, "name": id }));
    }
    for (id, of) in [("s", "south"), ("d", "shut"), ("n", "north")] {
        put(
            json!({ "resourceType": "Patient", "id": id, "name": [{ "family": id }],
            "managingOrganization": { "reference": format!("Organization/{of}") } }),
        );
        put(
            json!({ "resourceType": "Observation", "id": format!("o-{id}"), "status": "final",
            "code": { "text": "x" }, "subject": { "reference": format!("Patient/{id}") } }),
        );
    }
    let grant = |name: &str, role: &str, effect: &str, within: Value| {
        json!({ "name": name, "effect": effect, "who": { "roles": [role] }, "actions": "rs",
            "types": ["Patient", "Observation"], "within": within })
    };
    let grants = vec![
        grant(
            "north",
            "guest",
            "allow",
            json!("Patient?organization=Organization/north"),
        ),
        grant("all", "other", "allow", json!("Patient?name:missing=false")),
        grant(
            "shut",
            "other",
            "deny",
            json!("Patient?organization=Organization/shut"),
        ),
    ];
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    let (guest, other) = (client(&world, "guest"), client(&world, "other"));
    let reads = |who: &str, id: &str| world.fhir(who, &format!("GET Observation/{id}"), "").code;
    let found = |who: &str| {
        let page = world.fhir(who, "GET Observation?_sort=_id", "").status(200);
        page.entries()
    };
    assert_eq!((reads(&guest, "o-n"), reads(&guest, "o-s")), (200, 404));
    assert_eq!((reads(&other, "o-s"), reads(&other, "o-d")), (200, 404));
    // Somebody makes the index say that the southern patient is a northern one, and nothing of the name
    // of the one whose chart is shut.
    let db = past_insula(&world.dir);
    db.execute_batch(
        "UPDATE OR REPLACE ix_reference SET id = 'north' WHERE id = 'south'
           AND rid = (SELECT rid FROM resource WHERE id = 's');
         DELETE FROM ix_string WHERE rid = (SELECT rid FROM resource WHERE id = 'd');",
    )
    .unwrap();
    drop(db);
    scrub(&world);
    let mut apart: Vec<String> = waiting(&world).into_iter().map(|w| w.0).collect();
    apart.sort();
    apart.dedup();
    assert_eq!(apart, ["Patient/d", "Patient/s"]);
    for _ in 0..2 {
        assert_eq!((reads(&guest, "o-n"), reads(&guest, "o-s")), (200, 404));
        assert_eq!(found(&guest), ["Observation/o-n"]);
        assert_eq!((reads(&other, "o-n"), reads(&other, "o-d")), (200, 404));
        assert_eq!(found(&other), ["Observation/o-n"]);
    }
}

#[test]
fn what_a_facility_in_quarantine_is_part_of_opens_nothing_and_refuses_as_before() {
    let (world, all) = World::clinic();
    for (id, of) in [("top", None), ("other", None), ("ward", Some("other"))] {
        let mut body = json!({ "resourceType": "Organization", "id": id, "name": id });
        if let Some(of) = of {
            body["partOf"] = json!({ "reference": format!("Organization/{of}") });
        }
        world
            .fhir(&all, &format!("PUT Organization/{id}"), body.to_string())
            .status(201);
    }
    let patient = json!({ "resourceType": "Patient", "id": "w",
        "managingOrganization": { "reference": "Organization/ward" } });
    world
        .fhir(&all, "PUT Patient/w", patient.to_string())
        .status(201);
    let govern = |grants: Value| {
        let draft = json!({ "reason": "test", "document": { "grants": grants } });
        world
            .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
            .status(201);
    };
    let staff = |role: &str| {
        let draft = json!({ "name": "staff", "scopes": ["system/*.cruds"], "roles": [role] });
        let made = world
            .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
            .status(201);
        let (id, secret) = (made.text("/client_id"), made.text("/client_secret"));
        format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
    };
    let below = |of: &str, effect: &str, name: &str| {
        json!({ "name": name, "effect": effect, "who": { "roles": ["x"] }, "actions": "rs", "types": ["Patient"],
            "criteria": format!("organization:below=Organization/{of}") })
    };
    let who = staff("x");
    // As the index has it now, the ward is part of the top: its row says otherwise.
    past_insula(&world.dir)
        .execute_batch(
            "UPDATE ix_reference SET id = 'top' WHERE id = 'other' AND rid =
               (SELECT rid FROM resource WHERE id = 'ward')",
        )
        .unwrap();
    scrub(&world);
    assert_eq!(waiting(&world)[0].0, "Organization/ward");
    govern(json!([below("top", "allow", "a")]));
    world
        .fhir(&who, "GET Patient/w", "")
        .refused(404, "not-found");
    let found = world.fhir(&who, "GET Patient", "").status(200);
    assert_eq!(found.entries(), [""; 0]);
    // Against somebody it counts all the same.
    govern(json!([
        { "name": "all", "who": { "roles": ["x"] }, "actions": "rs", "types": ["Patient"] },
        below("top", "deny", "d"),
    ]));
    world
        .fhir(&who, "GET Patient/w", "")
        .refused(404, "not-found");
    let found = world.fhir(&who, "GET Patient", "").status(200);
    assert_eq!(found.entries(), [""; 0]);
}
