//! Every road by which a search could leave what policy reaches.

use serde_json::json;

use super::super::people::{administrator, person};
use super::super::world::World;
use super::{fill, grants, northern, observation, sorted, staff, two_facilities};

fn found(world: &World, who: &str, line: &str) -> Vec<String> {
    sorted(
        world
            .fhir(who, &format!("GET {line}"), "")
            .status(200)
            .entries(),
    )
}

/// Every road ends in the northern chart.
fn stays_in_the_north(world: &World, who: &str) {
    for (line, wanted) in [
        ("Patient", "Patient/p-north"),
        ("Patient?_sort=-birthdate", "Patient/p-north"),
        ("Patient?_sort=birthdate&_total=accurate", "Patient/p-north"),
        ("Patient?_id=p-north,p-south", "Patient/p-north"),
        (
            "Patient?_filter=birthdate%20eq%201970-01-01",
            "Patient/p-north",
        ),
        ("Patient?name:missing=false", "Patient/p-north"),
        ("Patient?gender:missing=true", "Patient/p-north"),
        ("Patient?gender:not=male", "Patient/p-north"),
        (
            "Patient?_has:Observation:patient:code=finding",
            "Patient/p-north",
        ),
        ("Patient?_list=l-north", "Patient/p-north"),
        ("Observation", "Observation/b-north"),
        ("Observation?code=finding", "Observation/b-north"),
        ("Observation?date=2026-01-01", "Observation/b-north"),
        (
            "Observation?patient.birthdate=1970-01-01",
            "Observation/b-north",
        ),
        ("Observation?subject:Patient.name=of", "Observation/b-north"),
        (
            "Observation?encounter.status=finished",
            "Observation/b-north",
        ),
        ("Condition?code:text=ill", "Condition/c-north"),
        (
            "Encounter?_has:Observation:encounter:code=finding",
            "Encounter/e-north",
        ),
    ] {
        assert_eq!(found(world, who, line), [wanted], "{line}");
    }
    for line in [
        "Patient?_id=p-south",
        "Patient?name=ofsouth",
        "Patient?_list=l-south",
        "Observation?patient=p-south",
        "Observation?patient.name=ofsouth",
        "Observation?subject=Patient/p-south",
        "Patient?_has:Observation:patient:patient.name=ofsouth",
        "Patient/p-south/Observation",
        "Patient?_filter=name%20co%20%22south%22",
    ] {
        assert_eq!(found(world, who, line), [""; 0], "{line}");
    }
}

#[test]
fn no_road_leads_to_the_other_facility() {
    let (world, _) = two_facilities();
    let who = northern(&world, "clinician");
    stays_in_the_north(&world, &who);
}

#[test]
fn histories_of_computed_lists_stay_in_reach() {
    let (world, all) = two_facilities();
    let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    for at in ["north", "south"] {
        let active = json!({ "resourceType": "Condition", "id": format!("c-{at}"),
            "clinicalStatus": { "coding": [{ "system": system, "code": "active" }] },
            "subject": { "reference": format!("Patient/p-{at}") } });
        let put = format!("PUT Condition/c-{at}");
        world.fhir(&all, &put, active.to_string()).status(200);
    }
    let of = |who: &str| {
        let told = world.fhir(who, "GET _history?_list=$current-problems", "");
        let entries = told.status(200).json()["entry"].clone();
        let each = entries.as_array().cloned().unwrap_or_default();
        let url = |e: &serde_json::Value| e["request"]["url"].as_str().unwrap().to_owned();
        each.iter().map(url).collect::<Vec<_>>()
    };
    let (north, south) = ("Condition/c-north", "Condition/c-south");
    assert_eq!(sorted(of(&all)), [north, north, south, south]);
    assert_eq!(of(&northern(&world, "clinician")), [north, north]);
    // A list of another chart makes nothing of this one current, or not.
    let list = |id: &str, of: &str, item: &str| {
        let list = json!({ "resourceType": "List", "id": id, "status": "current", "mode": "working",
            "subject": { "reference": format!("Patient/{of}") },
            "code": { "coding": [{ "system": "http://loinc.org", "code": "11450-4" }] },
            "entry": [{ "item": { "reference": item } }] });
        world
            .fhir(&all, &format!("PUT List/{id}"), list.to_string())
            .status(201);
    };
    list("far", "p-south", north);
    list("near", "p-north", "Observation/b-north");
    assert_eq!(of(&all), [north, north]);
    assert!(of(&northern(&world, "clinician")).is_empty());
}

/// The token of a person who is the northern patient, or has opened their chart in a program.
pub(super) fn own_chart(world: &World) -> String {
    let admin = administrator(world, "lakeside");
    let draft = json!({ "login": "paula", "name": "Paula", "roles": ["patient"], "fhir_user": "Patient/p-north" });
    super::glass::approved(&person(&admin, &draft).0)
}

#[test]
fn no_road_leads_out_of_the_compartment_of_a_patient() {
    let (world, all) = two_facilities();
    let who = own_chart(&world);
    stays_in_the_north(&world, &who);
    for line in [
        "GET Patient?_total=accurate",
        "GET Observation?_summary=count&code=finding",
    ] {
        world.fhir(&who, line, "").status(200).at("/total", 1);
    }
    for line in [
        "Patient/p-south",
        "Observation/b-south",
        "Patient/p-south/_history/1",
        "Observation/b-south/_history",
        "Patient/p-south/$everything",
        "Patient/p-south/Observation",
    ] {
        let told = world.fhir(&who, &format!("GET {line}"), "");
        let text = String::from_utf8_lossy(&told.body).into_owned();
        assert!(
            told.code == 404 || told.entries().is_empty(),
            "{line}: {text}"
        );
    }
    // One of theirs that names somebody else's: neither with it nor by it.
    let crossed = json!({ "resourceType": "Observation", "id": "crossed", "status": "final",
        "code": { "text": "x" }, "subject": { "reference": "Patient/p-north" },
        "encounter": { "reference": "Encounter/e-south" },
        "hasMember": [{ "reference": "Observation/b-south" }] });
    world
        .fhir(&all, "PUT Observation/crossed", crossed.to_string())
        .status(201);
    for line in [
        "Observation?_id=crossed&_include=*",
        "Observation?_id=crossed&_include=Observation:has-member&_include:iterate=Observation:subject",
        "Patient?_id=p-north&_revinclude=*&_include:iterate=*",
        "Patient/p-north/$everything",
        "_history",
        "Observation/_history",
        "Observation?has-member.code=finding",
        "Observation?encounter.status=finished&_id=crossed",
        "Encounter?_has:Observation:encounter:_id=crossed",
        "Observation?_has:Observation:has-member:_id=crossed",
    ] {
        let names = found(&world, &who, line);
        let others = names.iter().filter(|n| n.ends_with("-south"));
        let others: Vec<&String> = others
            .filter(|n| !n.starts_with("Practitioner") && !n.starts_with("Organization"))
            .collect();
        assert!(others.is_empty(), "{line}: {names:?}");
    }
    assert_eq!(
        found(&world, &who, "Observation?has-member.code=finding"),
        [""; 0]
    );
    let query = json!({ "query": "{ Observation(id: \"crossed\") { hasMember { resource { ... on Observation { id status } } } } PatientList { id birthDate } ObservationList { id } }" });
    let json_body = [("content-type", "application/json")];
    let told = world.fhir_with(&who, "POST $graphql", &json_body, query.to_string());
    let text = String::from_utf8_lossy(&told.body).into_owned();
    assert!(!text.contains("-south"), "{text}");
    // Nothing is written either, and nothing told by trying.
    let probe = [("if-none-exist", "name=ofsouth")];
    for line in ["POST Patient", "PUT Patient/p-south"] {
        world
            .fhir_with(&who, line, &probe, super::patient("south").to_string())
            .refused(403, "scope-missing");
    }
}

#[test]
fn totals_and_counts_are_of_what_is_reached() {
    let (world, _) = two_facilities();
    let who = northern(&world, "clinician");
    for line in [
        "GET Patient?_total=accurate",
        "GET Patient?_summary=count",
        "GET Patient?_count=0",
        "GET Observation?_summary=count&code=finding",
        "GET Condition?_total=estimate",
    ] {
        world.fhir(&who, line, "").status(200).at("/total", 1);
    }
}

#[test]
fn includes_stay_within_reach() {
    let (world, all) = two_facilities();
    // A northern finding that names a southern patient's visit.
    let crossed = json!({ "resourceType": "Observation", "id": "crossed", "status": "final",
        "code": { "text": "x" }, "subject": { "reference": "Patient/p-north" },
        "encounter": { "reference": "Encounter/e-south" } });
    world
        .fhir(&all, "PUT Observation/crossed", crossed.to_string())
        .status(201);
    let who = northern(&world, "clinician");
    assert_eq!(
        found(
            &world,
            &who,
            "Observation?_id=crossed&_include=Observation:encounter&_include=Observation:subject"
        ),
        ["Observation/crossed", "Patient/p-north"]
    );
    assert_eq!(
        found(
            &world,
            &who,
            "Observation?_id=crossed&_include=Observation:encounter&_include:iterate=Encounter:patient"
        ),
        ["Observation/crossed"]
    );
    assert_eq!(
        found(&world, &who, "Observation?encounter.status=finished"),
        ["Observation/b-north"]
    );
    let back = found(
        &world,
        &who,
        "Patient?_revinclude=Observation:subject&_revinclude=Condition:subject",
    );
    assert_eq!(
        back,
        [
            "Condition/c-north",
            "Observation/b-north",
            "Observation/crossed",
            "Patient/p-north"
        ]
    );
}

#[test]
fn what_is_out_of_reach_answers_like_what_is_not_there() {
    let (world, _) = two_facilities();
    let who = northern(&world, "clinician");
    let own = |name: &str| ["x-request-id", "date"].contains(&name);
    let told = |line: &str| {
        let conditions = [
            ("if-none-match", "W/\"1\""),
            ("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ];
        let mut told = Vec::new();
        for headers in [&[][..], &conditions[..1], &conditions[1..]] {
            let answer = world
                .fhir_with(&who, &format!("GET {line}"), headers, "")
                .status(404);
            let of_all = answer
                .headers
                .iter()
                .filter(|(name, _)| !own(name.as_str()));
            let of_all = of_all.map(|(name, value)| format!("{name}: {value:?}"));
            told.push(of_all.collect::<Vec<String>>().join("\n"));
            told.push(String::from_utf8_lossy(&answer.body).into_owned());
        }
        told
    };
    world.fhir(&who, "GET Patient/p-north", "").status(200);
    for (there, absent) in [
        ("Patient/p-south", "Patient/p-absent"),
        ("Observation/b-south", "Observation/b-absent"),
        ("Patient/p-south/_history/1", "Patient/p-absent/_history/1"),
        (
            "Patient/p-south/$everything",
            "Patient/p-absent/$everything",
        ),
        ("Patient/p-south/$meta", "Patient/p-absent/$meta"),
    ] {
        assert_eq!(told(there), told(absent), "{there}");
    }
    let history = |id: &str| {
        let answer = world.fhir(&who, &format!("GET Patient/{id}/_history"), "");
        (answer.code, answer.entries())
    };
    assert_eq!(history("p-south"), history("p-absent"));
}

#[test]
fn histories_everything_and_graphql_stay_within_reach() {
    let (world, all) = two_facilities();
    let who = northern(&world, "clinician");
    assert_eq!(found(&world, &who, "Patient/_history"), ["Patient/p-north"]);
    let whole = found(&world, &who, "_history");
    assert!(
        whole.iter().all(|name| !name.ends_with("south")
            || name.starts_with("Practitioner")
            || name.starts_with("Organization")),
        "{whole:?}"
    );
    let everything = found(&world, &who, "Patient/p-north/$everything");
    assert!(
        everything.iter().any(|n| n == "Observation/b-north"),
        "{everything:?}"
    );
    assert!(
        !everything
            .iter()
            .any(|n| n.starts_with("Observation/b-s") || n == "Patient/p-south"),
        "{everything:?}"
    );
    let query = json!({ "query": "{ PatientList { id } Patient(id: \"p-south\") { id } ObservationList(code: \"finding\") { id subject { resource { ... on Patient { id birthDate } } } } }" });
    let answer = world.fhir_with(
        &who,
        "POST $graphql",
        &[("content-type", "application/json")],
        query.to_string(),
    );
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(
        !text.contains("p-south") && !text.contains("b-south"),
        "{text}"
    );
    // Moved out of reach: neither it nor what it was.
    let moved = super::patient("south")
        .to_string()
        .replace("p-south", "p-north");
    world.fhir(&all, "PUT Patient/p-north", moved).status(200);
    world.fhir(&who, "GET Patient/p-north", "").status(404);
    world
        .fhir(&who, "GET Patient/p-north/_history/1", "")
        .status(404);
    assert_eq!(found(&world, &who, "Patient/_history"), [""; 0]);
    assert_eq!(found(&world, &who, "Observation"), [""; 0]);
}

#[test]
fn somebody_at_no_facility_sees_no_chart_and_without_a_role_nothing() {
    let (world, _) = two_facilities();
    let nowhere = staff(&world, &["clinician"], "system/*.cruds");
    world
        .fhir(&nowhere, "GET Patient", "")
        .refused(403, "scope-missing");
    world
        .fhir(&nowhere, "GET Patient/p-north", "")
        .refused(403, "scope-missing");
    let nobody = staff(&world, &[], "system/*.cruds");
    world
        .fhir(&nobody, "GET Patient", "")
        .refused(403, "scope-missing");
    world
        .fhir(&nobody, "GET Organization", "")
        .refused(403, "scope-missing");
    let stranger = staff(&world, &["florist@Organization/o-north"], "system/*.cruds");
    world
        .fhir(&stranger, "GET Patient", "")
        .refused(403, "scope-missing");
}

#[test]
fn a_patient_without_a_facility_is_seen_only_where_a_grant_says_so() {
    let (world, all) = two_facilities();
    let homeless = json!({ "resourceType": "Patient", "id": "p-none" });
    world
        .fhir(&all, "PUT Patient/p-none", homeless.to_string())
        .status(201);
    let who = northern(&world, "clinician");
    world.fhir(&who, "GET Patient/p-none", "").status(404);
    assert_eq!(found(&world, &who, "Patient"), ["Patient/p-north"]);
    grants(
        &world,
        &json!([
            { "name": "own", "who": { "roles": ["clinician"] }, "actions": "rs", "types": ["Patient"],
              "criteria": "organization=%user.facilities" },
            { "name": "none", "who": { "roles": ["clinician"] }, "actions": "rs", "types": ["Patient"],
              "criteria": "organization:missing=true" },
        ]),
    );
    assert_eq!(
        found(&world, &who, "Patient"),
        ["Patient/p-none", "Patient/p-north"]
    );
    world.fhir(&who, "GET Patient/p-none", "").status(200);
}

#[test]
fn a_refusal_wins_and_one_that_cannot_be_evaluated_refuses() {
    let (world, _) = two_facilities();
    let who = northern(&world, "clinician");
    let all = json!({ "name": "all", "who": { "roles": ["clinician"] }, "actions": "cruds", "types": ["*"] });
    grants(
        &world,
        &json!([all, { "name": "no south", "effect": "deny", "who": { "anyone": true },
        "actions": "rs", "types": ["Patient"], "criteria": "organization=Organization/o-south" }]),
    );
    assert_eq!(found(&world, &who, "Patient"), ["Patient/p-north"]);
    world.fhir(&who, "GET Patient/p-south", "").status(404);
    assert_eq!(
        found(&world, &who, "Observation?patient.birthdate=1970-01-01"),
        ["Observation/b-north"]
    );
    // The caller has no such value.
    grants(
        &world,
        &json!([all, { "name": "theirs", "effect": "deny", "who": { "anyone": true },
        "actions": "rs", "types": ["Patient"], "criteria": "general-practitioner=%user.practitioner" }]),
    );
    world
        .fhir(&who, "GET Patient", "")
        .refused(403, "scope-missing");
    world.fhir(&who, "GET Observation", "").status(200);
    // Refusals are for clients that policy does not govern too.
    let vendor = world.client("lakeside", "system/*.cruds");
    world
        .fhir(&vendor, "GET Patient", "")
        .refused(403, "scope-missing");
    grants(
        &world,
        &json!([all, { "name": "no everything", "effect": "deny", "who": { "anyone": true },
        "actions": ["$everything"], "types": ["*"] }]),
    );
    world
        .fhir(&who, "GET Patient/p-north/$everything", "")
        .refused(403, "operation-refused");
    world.fhir(&who, "GET Patient/p-north", "").status(200);
}

#[test]
fn scopes_narrow_what_policy_gives() {
    let (world, _) = two_facilities();
    let who = staff(
        &world,
        &["clinician@Organization/o-north"],
        "system/Observation.rs system/Patient.r",
    );
    assert_eq!(found(&world, &who, "Observation"), ["Observation/b-north"]);
    world
        .fhir(&who, "GET Patient", "")
        .refused(403, "scope-missing");
    world.fhir(&who, "GET Patient/p-north", "").status(200);
    world.fhir(&who, "GET Patient/p-south", "").status(404);
    world
        .fhir(&who, "DELETE Observation/b-north", "")
        .refused(403, "scope-missing");
    // A scope with a query narrows by itself.
    let narrow = world.client("lakeside", "system/Observation.rs?patient=p-south");
    assert_eq!(
        found(&world, &narrow, "Observation"),
        ["Observation/b-south"]
    );
    world
        .fhir(&narrow, "GET Observation/b-north", "")
        .status(404);
}

#[test]
fn circumstances_are_looked_at_with_each_request() {
    let (world, _) = two_facilities();
    let who = northern(&world, "clinician");
    let grant = |more: serde_json::Value| {
        let mut grant = json!({ "name": "charts", "who": { "roles": ["clinician"] },
            "actions": "rs", "types": ["Patient"] });
        for (name, value) in more.as_object().unwrap() {
            grant[name] = value.clone();
        }
        grants(&world, &json!([grant]));
    };
    grant(json!({ "networks": ["10.0.0.0/8"] }));
    world
        .fhir(&who, "GET Patient/p-north", "")
        .refused(403, "scope-missing");
    let headers = [("authorization", who.as_str())];
    let from = |address: &str| {
        world.ask_from(
            address.parse().unwrap(),
            "GET /t/lakeside/fhir/Patient/p-north",
            &headers,
            "",
        )
    };
    from("10.1.2.3").status(200);
    from("11.1.2.3").status(403);
    grant(json!({ "when": "%address.startsWith('10.') and now() > @2020-01-01T00:00:00Z" }));
    from("10.1.2.3").status(200);
    from("11.1.2.3").status(403);
    grant(json!({ "require": { "reason": true } }));
    world
        .fhir(&who, "GET Patient/p-north", "")
        .refused(403, "reason-required");
    world
        .fhir_with(
            &who,
            "GET Patient/p-north",
            &[("access-reason", "called in")],
            "",
        )
        .status(200);
    grant(json!({ "require": { "stepUp": true } }));
    world
        .fhir(&who, "GET Patient/p-north", "")
        .refused(403, "step-up-required");
}

#[test]
fn anothers_cursor_is_worth_nothing_and_policy_is_decided_anew_on_each_page() {
    let (world, all) = two_facilities();
    for i in 0..5 {
        let mut body = super::observation("north", "more");
        body["id"] = json!(format!("m{i}"));
        world
            .fhir(&all, &format!("PUT Observation/m{i}"), body.to_string())
            .status(201);
    }
    let who = northern(&world, "clinician");
    let page = world.fhir(&who, "GET Observation?_count=2", "").status(200);
    let next = page.link("next").unwrap();
    let other = northern(&world, "clinician");
    world.follow(&other, &next).status(400);
    world.follow(&who, &next).status(200);
    // Patients of the north are moved away: the next page has nothing of theirs.
    let moved = super::patient("south")
        .to_string()
        .replace("p-south", "p-north");
    world.fhir(&all, "PUT Patient/p-north", moved).status(200);
    grants(
        &world,
        &json!([{ "name": "south", "who": { "roles": ["clinician"] }, "actions": "rs",
        "types": ["Observation"], "criteria": "code=nothing" }]),
    );
    assert_eq!(world.follow(&who, &next).status(200).entries(), [""; 0]);
}

#[test]
fn what_is_out_of_reach_does_not_count_among_what_is_included() {
    let world = World::with(|limits| limits.included_entries_max = 3, |_| {});
    world.tenant("lakeside");
    let all = world.client("lakeside", "system/*.cruds");
    fill(&world, &all);
    for at in 0..10 {
        let mut one = observation("south", "many");
        one["id"] = json!(format!("many-{at}"));
        one["performer"] = json!([{ "reference": "Practitioner/dr-south" }]);
        world
            .fhir(&all, &format!("PUT Observation/many-{at}"), one.to_string())
            .status(201);
    }
    let north = northern(&world, "clinician");
    let line = "GET Practitioner?_id=dr-south&_revinclude=Observation:performer";
    let told = world.fhir(&north, line, "").status(200);
    assert_eq!(told.entries(), ["Practitioner/dr-south"]);
    world.fhir(&all, line, "").status(400);
}
