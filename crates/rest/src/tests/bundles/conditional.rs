//! Conditional references, conditions and chains that are met by what the same transaction makes.

use super::*;

/// `POST` of a transaction; `Type/id` of what each entry came down to.
fn places(done: &Value) -> Vec<String> {
    let entries = done["entry"].as_array().unwrap();
    let place = |e: &Value| {
        let url = e["response"]["location"].as_str().unwrap_or("");
        let path = url.split("/fhir/").nth(1).unwrap_or("").to_owned();
        path.split("/_history").next().unwrap().to_owned()
    };
    entries.iter().map(place).collect()
}

#[test]
fn conditional_references_find_what_the_transaction_makes() {
    let (world, who) = World::clinic();
    let put = |r: Value| {
        let line = format!(
            "PUT {}/{}",
            r["resourceType"].as_str().unwrap(),
            r["id"].as_str().unwrap()
        );
        world.fhir(&who, &line, r.to_string()).status(201);
    };
    put(json!({ "resourceType": "Organization", "id": "old", "name": "Old House" }));
    put(json!({ "resourceType": "Organization", "id": "moved", "name": "North" }));
    put(
        json!({ "resourceType": "Patient", "id": "p", "managingOrganization": { "reference": "Organization/old" } }),
    );
    let urn = |n: u8| format!("urn:uuid:00000000-0000-4000-8000-0000000000{n:02}");
    let refers =
        |n: &str| json!({ "request": request("POST", "Observation"), "resource": observation(n) });
    let entries = json!([
        { "fullUrl": urn(1), "request": request("POST", "Patient"), "resource": {
            "resourceType": "Patient", "birthDate": "1980-05-17", "gender": "female",
            "name": [{ "family": "Müller", "given": ["Ana"] }], "identifier": [{ "value": "only" }],
            "managingOrganization": { "reference": urn(2) } } },
        { "fullUrl": urn(2), "request": request("POST", "Organization"),
          "resource": { "resourceType": "Organization", "name": "New Wing", "partOf": { "reference": "Organization?name=old%20house" } } },
        // North no more.
        { "request": request("PUT", "Organization/moved"),
          "resource": { "resourceType": "Organization", "id": "moved", "name": "South" } },
        { "request": request("POST", "Organization"), "resource": { "resourceType": "Organization", "name": "North" } },
        { "request": request("POST", "Provenance"), "resource": {
            "resourceType": "Provenance", "recorded": "2026-01-01T00:00:00Z", "target": [{ "reference": urn(1) }],
            "agent": [{ "who": { "reference": "Organization?name=North" } }] } },
        refers("Patient?family=muller&birthdate=1980-05"),
        refers("Patient?identifier=only"),
        refers("Patient?name:contains=lle&gender:not=male&organization:missing=false"),
        refers("Patient?organization.name=new"),
        refers("Patient?organization.partof.name=old"),
        refers("Patient?_has:Provenance:target:recorded=2026"),
        refers("Patient?_filter=birthdate le 1980-06 and organization.name eq \"new wing\""),
        refers("Patient?organization=Organization/old"),
    ]);
    let sent = bundle("transaction", &entries);
    let done = world.fhir(&who, "POST ", sent).status(200).json();
    let made = places(&done);
    let read = |at: usize| world.fhir(&who, &format!("GET {}", made[at]), "").json();
    assert_eq!(read(1)["partOf"]["reference"], "Organization/old");
    assert_eq!(read(4)["agent"][0]["who"]["reference"], made[3]);
    for at in 5..12 {
        assert_eq!(read(at)["subject"]["reference"], made[0], "{}", entries[at]);
    }
    assert_eq!(read(12)["subject"]["reference"], "Patient/p");
    // What is stored and what is made count alike: two are too many, and none is none.
    for reference in [
        "Patient?family=muller",
        "Patient?family=nobody",
        "Patient?organization.name=north",
    ] {
        let entries = json!([
            { "request": request("POST", "Patient"), "resource": { "resourceType": "Patient", "name": [{ "family": "Mullerin" }] } },
            refers(reference),
        ]);
        let refused = world.fhir(&who, "POST ", bundle("transaction", &entries));
        refused.refused(412, "reference-ambiguous");
    }
    // Of two that match one is deleted.
    put(json!({ "resourceType": "Organization", "id": "twin1", "name": "Twin" }));
    put(json!({ "resourceType": "Organization", "id": "twin2", "name": "Twin" }));
    let entries = json!([
        { "request": request("POST", "Patient"), "resource": {
            "resourceType": "Patient", "managingOrganization": { "reference": "Organization?name=Twin" } } },
        { "request": request("DELETE", "Organization/twin1") },
        { "request": { "method": "POST", "url": "Organization", "ifNoneExist": "name=Twin" },
          "resource": { "resourceType": "Organization", "name": "Twin" } },
    ]);
    let done = world
        .fhir(&who, "POST ", bundle("transaction", &entries))
        .status(200)
        .json();
    assert_eq!(places(&done)[2], "Organization/twin2");
    let patient = world.fhir(&who, &format!("GET {}", places(&done)[0]), "");
    patient.at("/managingOrganization/reference", "Organization/twin2");
}

#[test]
fn conditions_see_what_earlier_entries_make() {
    let (world, who) = World::clinic();
    let patient = |value: &str| json!({ "resourceType": "Patient", "identifier": [{ "system": "http://mrn", "value": value }] });
    let create = |value: &str, urn: &str| {
        json!({ "fullUrl": urn, "resource": patient(value),
            "request": { "method": "POST", "url": "Patient", "ifNoneExist": format!("identifier=http://mrn|{value}") } })
    };
    let (one, two) = (URN, "urn:uuid:aaaaaaaa-4be2-4561-91ce-51548425acb9");
    let entries = json!([
        create("1", one), create("1", two), create("2", "urn:uuid:bbbbbbbb-4be2-4561-91ce-51548425acb9"),
        { "request": request("POST", "Observation"), "resource": observation(two) },
    ]);
    let done = world
        .fhir(&who, "POST ", bundle("transaction", &entries))
        .status(200)
        .json();
    assert_eq!(
        statuses(&done),
        ["201 Created", "200 OK", "201 Created", "201 Created"]
    );
    let made = places(&done);
    assert_eq!(made[0], made[1]);
    assert_ne!(made[0], made[2]);
    let observation = world.fhir(&who, &format!("GET {}", made[3]), "");
    observation.at("/subject/reference", made[0].as_str());
    world
        .fhir(&who, "GET Patient?_summary=count", "")
        .at("/total", 2);
    // A conditional update is not a second write of what is made here.
    let update = |value: &str| json!({ "request": request("PUT", &format!("Patient?identifier=http://mrn|{value}")), "resource": patient(value) });
    for twice in [
        json!([update("3"), update("3")]),
        json!([{ "request": request("POST", "Patient"), "resource": patient("3") }, update("3")]),
        json!([update("3"), { "request": request("POST", "Patient"), "resource": patient("3") }]),
    ] {
        let refused = world.fhir(&who, "POST ", bundle("transaction", &twice));
        refused.refused(400, "bundle-duplicate");
    }
    world
        .fhir(&who, "GET Patient?_summary=count", "")
        .at("/total", 2);
}

#[test]
fn a_hierarchy_that_goes_round_in_a_transaction_ends() {
    let (world, who) = World::clinic();
    let part = |id: &str| {
        json!({ "request": request("PUT", &format!("Procedure/{id}")), "resource": {
            "resourceType": "Procedure", "id": id, "status": "completed", "subject": { "display": "x" },
            "partOf": [{ "reference": "Procedure/a" }, { "reference": "Procedure/b" }] } })
    };
    let asks = |above: &str| {
        json!({ "request": request("POST", "Observation"), "resource": {
            "resourceType": "Observation", "status": "final", "code": { "text": "x" },
            "partOf": [{ "reference": format!("Procedure?part-of:below=Procedure/{above}") }] } })
    };
    let entries = json!([part("a"), part("b"), asks("none")]);
    let answer = world.fhir(&who, "POST ", bundle("transaction", &entries));
    assert!((400..500).contains(&answer.code), "{}", answer.code);
    // Both are part of either.
    let entries = json!([part("a"), part("b"), asks("a")]);
    let answer = world.fhir(&who, "POST ", bundle("transaction", &entries));
    assert!((400..500).contains(&answer.code), "{}", answer.code);
}

#[test]
fn chains_lead_to_what_a_transaction_makes_of_stored_resources() {
    let (world, who) = World::clinic();
    let put = |r: Value| {
        let (of, id) = (
            r["resourceType"].as_str().unwrap(),
            r["id"].as_str().unwrap(),
        );
        world
            .fhir(&who, &format!("PUT {of}/{id}"), r.to_string())
            .status(201);
    };
    let house =
        |id: &str, name: &str| json!({ "resourceType": "Organization", "id": id, "name": name });
    let patient = |id: &str, house: &str| {
        json!({ "resourceType": "Patient", "id": id,
            "managingOrganization": { "reference": format!("Organization/{house}") } })
    };
    for (id, name) in [("a", "Alpha"), ("b", "Beta"), ("c", "Gamma")] {
        put(house(id, name));
        put(patient(&format!("in-{id}"), id));
    }
    let refers = |to: &str| json!({ "request": request("POST", "Observation"), "resource": observation(to) });
    let moved = |rest: Value| {
        let mut entries = vec![
            // What was Alpha is Beta now, and Beta is Delta.
            json!({ "request": request("PUT", "Organization/a"), "resource": house("a", "Beta") }),
            json!({ "request": request("PUT", "Organization/b"), "resource": house("b", "Delta") }),
        ];
        entries.extend(rest.as_array().unwrap().clone());
        world.fhir(&who, "POST ", bundle("transaction", &json!(entries)))
    };
    for nobody in [
        "Patient?organization.name=alpha",
        "Patient?organization.name=nothing",
    ] {
        moved(json!([refers(nobody)])).refused(412, "reference-ambiguous");
    }
    let gone = json!([
        { "request": request("DELETE", "Organization/c") },
        refers("Patient?organization.name=gamma"),
    ]);
    moved(gone).refused(412, "reference-ambiguous");
    let done = moved(json!([
        refers("Patient?organization.name=beta"),
        refers("Patient?organization.name=delta"),
        refers("Patient?organization.name=gamma"),
        refers("Patient?_filter=organization.name eq \"beta\""),
        { "request": request("PATCH", "Organization/c"), "resource": {
            "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
                { "name": "type", "valueCode": "add" }, { "name": "path", "valueString": "Organization" },
                { "name": "name", "valueString": "active" }, { "name": "value", "valueBoolean": true }] }] } },
        refers("Patient?organization.active=true"),
        { "request": request("POST", "Provenance"), "resource": {
            "resourceType": "Provenance", "recorded": "2031-01-01T00:00:00Z",
            "target": [{ "reference": "Patient/in-b" }], "agent": [{ "who": { "reference": "Organization/a" } }] } },
        refers("Patient?_has:Provenance:target:recorded=2031"),
    ]))
    .status(200)
    .json();
    let made = places(&done);
    for (at, id) in [
        (2, "in-a"),
        (3, "in-b"),
        (4, "in-c"),
        (5, "in-a"),
        (7, "in-c"),
        (9, "in-b"),
    ] {
        let read = world.fhir(&who, &format!("GET {}", made[at]), "");
        read.at("/subject/reference", format!("Patient/{id}"));
    }
}

#[test]
fn what_a_conditional_reference_cannot_follow_is_refused_by_name() {
    let (world, who) = World::clinic_of("5.0.0");
    let put = |r: &Value| {
        let (of, id) = (
            r["resourceType"].as_str().unwrap(),
            r["id"].as_str().unwrap(),
        );
        let answer = world.fhir(&who, &format!("PUT {of}/{id}"), r.to_string());
        answer.status(201);
    };
    let location = |id: &str, part_of: &str| json!({ "resourceType": "Location", "id": id, "partOf": { "reference": format!("Location/{part_of}") } });
    put(&json!({ "resourceType": "Location", "id": "house" }));
    put(&json!({ "resourceType": "Location", "id": "other" }));
    put(&location("ward", "house"));
    let encounter = |id: &str, place: &str| {
        json!({ "resourceType": "Encounter", "id": id, "status": "completed",
            "location": [{ "location": { "reference": format!("Location/{place}") } }] })
    };
    put(&encounter("e", "ward"));
    put(&json!({ "resourceType": "Patient", "id": "p" }));
    put(&json!({ "resourceType": "Patient", "id": "q" }));
    put(
        &json!({ "resourceType": "Condition", "id": "of-p", "subject": { "reference": "Patient/p" },
        "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active" }] },
        "code": { "coding": [{ "system": "http://e.org/c", "code": "dog" }] } }),
    );
    put(
        &json!({ "resourceType": "Condition", "id": "of-q", "subject": { "reference": "Patient/q" },
        "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active" }] } }),
    );
    let questionnaire = |id: &str, title: &str| {
        json!({ "resourceType": "Questionnaire", "id": id, "status": "active",
            "url": "http://e.org/q", "title": title })
    };
    put(
        &json!({ "resourceType": "QuestionnaireResponse", "id": "answers", "status": "completed",
        "questionnaire": "http://e.org/q" }),
    );
    let set = json!({ "resourceType": "ValueSet", "id": "s", "url": "http://e.org/s", "status": "active",
        "compose": { "include": [{ "system": "http://e.org/c", "concept": [{ "code": "dog" }] }] } });
    put(&set);
    let group = |member: &str| {
        json!({ "resourceType": "Group", "id": "g", "type": "person", "membership": "enumerated",
            "member": [{ "entity": { "reference": format!("Patient/{member}") } }] })
    };
    put(&group("p"));
    let entry = |r: &Value| {
        let url = format!(
            "{}/{}",
            r["resourceType"].as_str().unwrap(),
            r["id"].as_str().unwrap()
        );
        json!({ "request": request("PUT", &url), "resource": r })
    };
    let list = |to: &str| {
        json!({ "request": request("POST", "List"), "resource": { "resourceType": "List", "status": "current",
            "mode": "working", "entry": [{ "item": { "reference": to } }] } })
    };
    let sent =
        |entries: &[Value]| world.fhir(&who, "POST ", bundle("transaction", &json!(entries)));
    let first_reference = |done: &Value, at: usize| {
        let made = places(done);
        let read = world.fhir(&who, &format!("GET {}", made[at]), "");
        read.text("/entry/0/item/reference")
    };
    let everything = || world.fhir(&who, "GET _history?_count=0", "").json()["total"].clone();
    for (changed, reference, what) in [
        (
            entry(&location("ward", "other")),
            "Encounter?location:below=Location/other",
            "hierarchy",
        ),
        (
            json!({ "request": request("DELETE", "Location/ward") }),
            "Encounter?location:below=Location/house",
            "hierarchy",
        ),
        (
            entry(&questionnaire("q", "New")),
            "QuestionnaireResponse?questionnaire.title=New",
            "canonicals",
        ),
        (
            entry(&set),
            "Condition?code:in=http://e.org/s",
            "value sets",
        ),
    ] {
        let before = everything();
        let refused = sent(&[changed, list(reference)]).refused(412, "reference-ambiguous");
        let said = refused.text("/issue/0/diagnostics");
        assert!(said.contains(what), "{reference}: {said}");
        assert_eq!(
            refused.text("/issue/0/expression/0"),
            "Bundle.entry[1]",
            "{reference}"
        );
        assert_eq!(everything(), before, "{reference}");
    }
    // What it does not change is followed, and so are members.
    let patient = json!({ "resourceType": "Patient", "id": "new" });
    let done = sent(&[
        entry(&patient),
        list("Encounter?location:below=Location/house"),
        list("Condition?code:in=http://e.org/s"),
        entry(&group("q")),
        list("Condition?patient:in=Group/g"),
        entry(&encounter("e2", "other")),
        list("Encounter?location:below=Location/other"),
    ]);
    let done = done.status(200).json();
    for (at, wanted) in [
        (1, "Encounter/e"),
        (2, "Condition/of-p"),
        (4, "Condition/of-q"),
        (6, "Encounter/e2"),
    ] {
        assert_eq!(first_reference(&done, at), wanted);
    }
}
