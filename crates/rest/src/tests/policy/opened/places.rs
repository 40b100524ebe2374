//! Charts that are opened by where people work.

use super::*;

#[test]
fn a_place_reaches_charts_as_an_organization_does() {
    for (fhir, done, class) in [
        ("4.0.1", "finished", json!({ "code": "AMB" })),
        (
            "5.0.0",
            "completed",
            json!([{ "coding": [{ "code": "AMB" }] }]),
        ),
    ] {
        let (world, all) = clinic(fhir);
        let place = |id: &str, of: &str| {
            json!({ "resourceType": "Location", "id": id,
                "managingOrganization": { "reference": format!("Organization/{of}") } })
        };
        for (id, of) in [("l-1", "o-1"), ("l-2", "o-2")] {
            put(&world, &all, "Location", place(id, of));
        }
        for (id, places) in [
            ("at", json!([["l-1", "active"]])),
            ("was-at", json!([["l-1", "completed"]])),
            ("expected", json!([["l-2", "active"], ["l-1", "planned"]])),
            ("reserved", json!([["l-1", "reserved"]])),
            ("back", json!([["l-1", "completed"], ["l-1", "planned"]])),
        ] {
            chart(&world, &all, id);
            let each = places.as_array().unwrap().iter();
            let each = each.map(|one| {
                json!({ "location": { "reference": format!("Location/{}", one[0].as_str().unwrap()) },
                    "status": one[1] })
            });
            let stay = json!({ "resourceType": "Encounter", "id": id, "status": "in-progress",
                "class": class, "subject": { "reference": format!("Patient/{id}") },
                "location": each.collect::<Vec<_>>() });
            put(&world, &all, "Encounter", stay);
        }
        for (id, status, at) in [
            ("seen", done, "l-1"),
            ("here", "in-progress", "l-1"),
            ("planned", "planned", "l-1"),
            ("cancelled", "cancelled", "l-1"),
            ("wrong", "entered-in-error", "l-1"),
            ("unknown", "unknown", "l-1"),
            ("elsewhere", done, "l-2"),
        ] {
            chart(&world, &all, id);
            put(
                &world,
                &all,
                "Encounter",
                json!({ "resourceType": "Encounter", "id": id, "status": status,
                "class": class, "subject": { "reference": format!("Patient/{id}") },
                "location": [{ "location": { "reference": format!("Location/{at}") } }] }),
            );
        }
        for (id, of) in [("managed", "o-1"), ("other", "o-2")] {
            chart(&world, &all, id);
            put(
                &world,
                &all,
                "Patient",
                json!({ "resourceType": "Patient", "id": id,
                "managingOrganization": { "reference": format!("Organization/{of}") } }),
            );
        }
        govern(
            &world,
            &json!({ "preset": "own-facility", "reason": "test" }),
        );
        let found = |role: &str, of: &str| {
            let who = staff(&world, &[role], "system/*.cruds");
            ids(&world, &who, &format!("GET {of}?_count=50"))
        };
        let own = ["at", "back", "here", "managed", "seen", "was-at"];
        assert_eq!(found("clinician@Location/l-1", "Patient"), own, "{fhir}");
        assert_eq!(found("nurse@Location/l-1", "Observation"), own, "{fhir}");
        assert_eq!(found("lab@Location/l-1", "Observation"), own, "{fhir}");
        assert_eq!(found("biller@Location/l-1", "Patient"), own, "{fhir}");
        assert_eq!(found("clinician@Organization/o-1", "Patient"), ["managed"]);
        // Who works at both places sees whoever is at the one, wherever else they are expected.
        let both = ["clinician@Location/l-1", "clinician@Location/l-2"];
        let who = staff(&world, &both, "system/*.cruds");
        let line = "GET Patient?_count=50&_id=at,expected,reserved";
        assert_eq!(ids(&world, &who, line), ["at", "expected"], "{fhir}");
        assert_eq!(
            found("clinician@Location/o-1", "Patient"),
            Vec::<String>::new()
        );
        // Into those charts they write, and open no others to themselves by it.
        let who = staff(&world, &["clinician@Location/l-1"], "system/*.cruds");
        let mut visit = json!({ "resourceType": "Encounter", "status": done, "class": class,
            "subject": { "reference": "Patient/seen" },
            "location": [{ "location": { "reference": "Location/l-1" } }] });
        world
            .fhir(&who, "POST Encounter", visit.to_string())
            .status(201);
        visit["subject"] = json!({ "reference": "Patient/planned" });
        let code = world.fhir(&who, "POST Encounter", visit.to_string()).code;
        assert_eq!(code, 403);
        visit["id"] = json!("planned");
        let code = world
            .fhir(&who, "PUT Encounter/planned", visit.to_string())
            .code;
        assert!(matches!(code, 403 | 404), "{code}");
        assert_eq!(ids(&world, &who, "GET Patient?_count=50"), own, "{fhir}");
        // Once they are there the chart is open.
        let mut stay = json!({ "resourceType": "Encounter", "id": "expected", "status": "in-progress",
            "class": class, "subject": { "reference": "Patient/expected" },
            "location": [{ "location": { "reference": "Location/l-1" }, "status": "active" }] });
        put(&world, &all, "Encounter", stay.clone());
        world.fhir(&who, "GET Patient/expected", "").status(200);
        stay["location"][0]["status"] = json!("planned");
        put(&world, &all, "Encounter", stay);
        world
            .fhir(&who, "GET Patient/expected", "")
            .refused(404, "not-found");
    }
}

#[test]
fn in_a_network_whoever_works_at_a_facility_that_is_there_sees_all() {
    let (world, all) = clinic("4.0.1");
    chart(&world, &all, "p");
    put(
        &world,
        &all,
        "Location",
        json!({ "resourceType": "Location", "id": "l-1" }),
    );
    govern(
        &world,
        &json!({ "preset": "network-wide", "reason": "test" }),
    );
    let sees = |who: &str| world.fhir(who, "GET Observation/p", "").code == 200;
    for (role, wanted) in [
        ("clinician@Organization/o-1", true),
        ("nurse@Organization/o-2", true),
        ("clinician@Location/l-1", true),
        ("clinician", false),
        ("nurse", false),
        ("clinician@Organization/absent", false),
        ("clinician@Organization/l-1", false),
        ("clinician@Location/absent", false),
    ] {
        let who = staff(&world, &[role], "system/*.cruds");
        assert_eq!(sees(&who), wanted, "{role}");
    }
    // The role that counts is held there, and while the facility is there.
    let who = staff(
        &world,
        &["clinician", "auditor@Organization/o-1"],
        "system/*.cruds",
    );
    assert!(!sees(&who));
    let who = staff(&world, &["clinician@Location/l-1"], "system/*.cruds");
    assert!(sees(&who));
    world.fhir(&all, "DELETE Location/l-1", "").status(204);
    assert!(!sees(&who));
}
