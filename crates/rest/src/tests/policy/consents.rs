//! Patients' consents and security labels: what they take away from what grants give, on every road.

use super::*;

const CHARTS: &str = "clinician";

/// Clinicians see everything, unless consents and labels say otherwise; a desk keeps consents.
fn sharing(world: &World, more: &Value) {
    let mut document = json!({ "grants": [
        { "name": "charts", "who": { "roles": [CHARTS, "psychiatrist", "patient"] }, "actions": "cruds", "types": ["*"] },
        { "name": "desk", "who": { "roles": ["desk"] }, "actions": "cruds", "types": ["Consent", "Patient"] },
        { "name": "keeper", "who": { "roles": ["keeper"] }, "actions": ["administer", "read", "search", "create", "update", "delete"], "types": ["*"] },
    ] });
    for (name, said) in more.as_object().unwrap() {
        document[name] = said.clone();
    }
    govern(world, &json!({ "document": document, "reason": "test" }));
}

fn consent(provision: &Value) -> Value {
    json!({ "resourceType": "Consent", "id": "k", "status": "active",
        "scope": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy" }] },
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
        "patient": { "reference": "Patient/p-south" }, "dateTime": "2026-01-01",
        "provision": provision })
}

fn keep(world: &World, by: &str, provision: &Value) {
    let made = world.fhir(by, "PUT Consent/k", consent(provision).to_string());
    assert!(
        matches!(made.code, 200 | 201),
        "{}",
        String::from_utf8_lossy(&made.body)
    );
}

pub(super) fn ids(world: &World, who: &str, line: &str) -> Vec<String> {
    {
        let told = world.fhir(who, line, "").status(200).entries().into_iter();
        sorted(
            told.filter_map(|e| Some(e.split_once('/')?.1.to_owned()))
                .collect(),
        )
    }
}

#[test]
fn a_refusal_closes_a_chart_on_every_road_and_with_the_next_request() {
    let (world, all) = two_facilities();
    sharing(&world, &json!({ "consents": "enforced" }));
    let north = northern(&world, CHARTS);
    let south = staff(
        &world,
        &["clinician@Organization/o-south"],
        "system/*.cruds",
    );
    world.fhir(&north, "GET Patient/p-south", "").status(200);
    let against = json!({ "type": "deny", "actor": [{
        "role": { "coding": [{ "code": "PRCP" }] }, "reference": { "reference": "Organization/o-north" } }] });
    keep(&world, &all, &against);
    for line in [
        "GET Patient/p-south",
        "GET Patient/p-south/_history/1",
        "GET Observation/b-south",
        "GET Patient/p-south/$everything",
        "DELETE Condition/c-south",
    ] {
        let code = world.fhir(&north, line, "").code;
        assert!(matches!(code, 404 | 204), "{line} {code}");
        if line.starts_with("GET") {
            world.fhir(&south, line, "").status(200);
        }
    }
    // Deleting what is not there did nothing.
    world.fhir(&south, "GET Condition/c-south", "").status(200);
    assert_eq!(ids(&world, &north, "GET Patient"), ["p-north"]);
    assert_eq!(ids(&world, &south, "GET Patient"), ["p-north", "p-south"]);
    assert_eq!(
        ids(&world, &north, "GET Observation?patient.name=Ofsouth"),
        Vec::<String>::new()
    );
    assert_eq!(
        ids(&world, &north, "GET Encounter?_include=Encounter:patient"),
        ["e-north", "p-north"]
    );
    assert_eq!(
        ids(
            &world,
            &north,
            "GET Practitioner?_has:Encounter:participant:_id=e-south"
        ),
        Vec::<String>::new()
    );
    world
        .fhir(&north, "GET Patient?_total=accurate&_count=0", "")
        .at("/total", 1);
    let asked = json!({ "query": "{ PatientList { id } }" }).to_string();
    let told = world
        .fhir(&north, "POST $graphql", asked)
        .status(200)
        .json();
    assert_eq!(told["data"]["PatientList"], json!([{ "id": "p-north" }]));
    let about = observation("south", "new");
    world
        .fhir(&north, "POST Observation", about.to_string())
        .refused(403, "scope-missing");
    // Consents themselves are seen; who is refused by one does not change it.
    world.fhir(&north, "GET Consent/k", "").status(200);
    world.fhir(&north, "DELETE Consent/k", "");
    world
        .fhir(&north, "GET Patient/p-south", "")
        .refused(404, "not-found");
    let keeper = staff(&world, &["keeper@Organization/o-north"], "system/*.cruds");
    world
        .fhir(&keeper, "GET Patient/p-south", "")
        .refused(404, "not-found");
    // Withdrawn: with the next request.
    world.fhir(&keeper, "DELETE Consent/k", "").status(204);
    world.fhir(&north, "GET Patient/p-south", "").status(200);
}

#[test]
fn the_parts_of_a_provision_say_whom_what_and_when_it_is_about() {
    let (world, all) = two_facilities();
    let rules = json!({ "consents": { "purposes": { "*": ["TREAT"] } } });
    sharing(&world, &rules);
    let north = northern(&world, CHARTS);
    // Whom a consent refuses does not change it, unless they administer.
    keep(&world, &all, &json!({ "type": "deny" }));
    let made = world.fhir(&all, "DELETE Consent/k", "");
    assert!(matches!(made.code, 204 | 403 | 404));
    let all = staff(&world, &["keeper"], "system/*.cruds");
    let sees = |line: &str| world.fhir(&north, &format!("GET {line}"), "").code == 200;
    let coding = |system: &str, code: &str| json!({ "system": system, "code": code });
    let types = "http://hl7.org/fhir/resource-types";
    let purpose = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
    for (provision, patient, finding, condition) in [
        // Everything; nothing.
        (json!({ "type": "deny" }), false, false, false),
        (json!({ "type": "permit" }), true, true, true),
        // When.
        (
            json!({ "type": "deny", "period": { "start": "2020", "end": "2021" } }),
            true,
            true,
            true,
        ),
        (
            json!({ "type": "deny", "period": { "start": "2020" } }),
            false,
            false,
            false,
        ),
        // What for.
        (
            json!({ "type": "deny", "purpose": [coding(purpose, "HRESCH")] }),
            true,
            true,
            true,
        ),
        (
            json!({ "type": "deny", "purpose": [coding(purpose, "TREAT")] }),
            false,
            false,
            false,
        ),
        (
            json!({ "type": "deny", "purpose": [coding(purpose, "CAREMGT")] }),
            false,
            false,
            false,
        ),
        // What with it.
        (
            json!({ "type": "deny", "action": [{ "coding": [{ "code": "correct" }] }] }),
            true,
            true,
            true,
        ),
        (
            json!({ "type": "deny", "action": [{ "coding": [{ "code": "access" }] }] }),
            false,
            false,
            false,
        ),
        // Which resources.
        (
            json!({ "type": "deny", "class": [coding(types, "Observation")] }),
            true,
            false,
            true,
        ),
        (
            json!({ "type": "deny", "code": [{ "coding": [coding("urn:c", "finding")] }] }),
            true,
            false,
            true,
        ),
        (
            json!({ "type": "deny", "data": [{ "meaning": "instance", "reference": { "reference": "Condition/c-south" } }] }),
            true,
            true,
            false,
        ),
        (
            json!({ "type": "deny", "class": [coding(types, "Observation")], "dataPeriod": { "end": "2024" } }),
            true,
            true,
            true,
        ),
        (
            json!({ "type": "deny", "class": [coding(types, "Observation")], "dataPeriod": { "start": "2025" } }),
            true,
            false,
            true,
        ),
        // Exceptions, and exceptions to them.
        (
            json!({ "type": "deny", "provision": [{ "type": "permit", "class": [coding(types, "Observation"), coding(types, "Condition")],
            "provision": [{ "type": "deny", "class": [coding(types, "Condition")] }] }] }),
            false,
            true,
            false,
        ),
        (
            json!({ "type": "deny", "provision": [{ "type": "permit", "actor": [{ "role": { "coding": [{ "code": "IRCP" }] },
            "reference": { "reference": "Organization/o-north" } }] }] }),
            true,
            true,
            true,
        ),
        (
            json!({ "type": "permit", "provision": [{ "type": "deny", "actor": [{ "role": { "coding": [{ "code": "IRCP" }] },
            "reference": { "reference": "Organization/o-south" } }] }] }),
            true,
            true,
            true,
        ),
        // What cannot be evaluated refuses, and permits nothing.
        (
            json!({ "type": "deny", "actor": [{ "role": { "coding": [{ "code": "IRCP" }] }, "reference": { "reference": "CareTeam/1" } }] }),
            false,
            false,
            false,
        ),
        (
            json!({ "type": "deny", "provision": [{ "type": "permit", "data": [{ "meaning": "related", "reference": { "reference": "Encounter/e-south" } }] }] }),
            false,
            false,
            false,
        ),
        (
            json!({ "type": "permit", "provision": [{ "type": "deny", "extension": [{ "url": "urn:x", "valueBoolean": true }] }] }),
            false,
            false,
            false,
        ),
    ] {
        keep(&world, &all, &provision);
        let found = (
            sees("Patient/p-south"),
            sees("Observation/b-south"),
            sees("Condition/c-south"),
        );
        assert_eq!(found, (patient, finding, condition), "{provision:#}");
        assert_eq!(
            ids(&world, &north, "GET Observation").contains(&"b-south".to_owned()),
            finding,
            "{provision:#}"
        );
        assert!(sees("Patient/p-north"));
    }
    // Of a consent that is none any more, or about something else, nothing counts.
    for (member, value) in [
        ("status", json!("inactive")),
        ("scope", json!({ "coding": [{ "code": "research" }] })),
    ] {
        let mut other = consent(&json!({ "type": "deny" }));
        other[member] = value;
        world
            .fhir(&all, "PUT Consent/k", other.to_string())
            .status(200);
        assert!(sees("Patient/p-south"), "{member}");
    }
    // The policy rule is the base of which provisions are exceptions.
    let mut out = consent(
        &json!({ "provision": [{ "type": "permit", "class": [coding(types, "Condition")] }] }),
    );
    out["policyRule"] = json!({ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT" }] });
    world
        .fhir(&all, "PUT Consent/k", out.to_string())
        .status(200);
    assert_eq!(
        (sees("Patient/p-south"), sees("Condition/c-south")),
        (false, true)
    );
}

#[test]
fn a_period_that_begins_closes_by_itself_and_the_step_is_explained() {
    let (world, all) = two_facilities();
    sharing(&world, &json!({ "consents": "enforced" }));
    let north = northern(&world, CHARTS);
    // The clock of this world stands at the end of November 2026.
    keep(
        &world,
        &all,
        &json!({ "type": "deny", "period": { "start": "2027" } }),
    );
    world.fhir(&north, "GET Patient/p-south", "").status(200);
    world.clock.forward_secs(60 * 60 * 24 * 60);
    world
        .fhir(&north, "GET Patient/p-south", "")
        .refused(404, "not-found");
    let asked =
        json!({ "roles": ["clinician@Organization/o-north"], "action": "read", "type": "Patient" });
    let told = world
        .admin("POST /admin/v1/tenants/lakeside/policy/test", &asked)
        .status(200)
        .json();
    assert_eq!(told["allowed"], true);
    let step = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["grant"] == "consents")
        .unwrap()
        .clone();
    assert_eq!(
        (&step["says"], step.get("met")),
        (&json!("refuses-some"), None),
        "{told:#}"
    );
}

#[test]
fn labels_withhold_what_is_confidential_or_sensitive_from_whoever_is_not_named() {
    let (world, all) = two_facilities();
    let labelled = |id: &str, code: &str, system: &str| {
        let mut body = observation("north", "finding");
        body["id"] = json!(id);
        body["meta"] = json!({ "security": [{ "system": system, "code": code }] });
        world
            .fhir(&all, &format!("PUT Observation/{id}"), body.to_string())
            .status(201);
    };
    let mark = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
    let kind = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    labelled("normal", "N", mark);
    labelled("restricted", "R", mark);
    labelled("very", "V", mark);
    labelled("mind", "PSY", kind);
    labelled("drugs", "ETH", kind);
    labelled("assault", "MST", kind);
    labelled("pregnancy", "PREGNANT", kind);
    labelled("asked-for", "PRS", kind);
    sharing(
        &world,
        &json!({ "labels": {
        "confidentiality": { "psychiatrist": "R", "keeper": "V" },
        "sensitivity": { "PSY": { "roles": ["psychiatrist"] } } } }),
    );
    let labels = |who: &str| {
        let mut found = ids(&world, who, "GET Observation");
        found.retain(|id| !id.starts_with("b-"));
        found
    };
    let clinician = northern(&world, CHARTS);
    let psychiatrist = northern(&world, "psychiatrist");
    let keeper = northern(&world, "keeper");
    assert_eq!(labels(&clinician), ["normal"]);
    assert_eq!(labels(&psychiatrist), ["mind", "normal", "restricted"]);
    assert_eq!(labels(&keeper), ["normal", "restricted", "very"]);
    world
        .fhir(&clinician, "GET Observation/restricted", "")
        .refused(404, "not-found");
    world
        .fhir(&psychiatrist, "GET Observation/mind", "")
        .status(200);
    world
        .fhir(&clinician, "GET Observation/mind/_history/1", "")
        .refused(404, "not-found");
    // Nobody writes what they would not see, nor takes a label away that they do not reach.
    let mut body = observation("north", "finding");
    body["meta"] = json!({ "security": [{ "system": mark, "code": "R" }] });
    world
        .fhir(&clinician, "POST Observation", body.to_string())
        .refused(403, "scope-missing");
    body["id"] = json!("restricted");
    body.as_object_mut().unwrap().remove("meta");
    let code = world
        .fhir(&clinician, "PUT Observation/restricted", body.to_string())
        .code;
    assert!(matches!(code, 403 | 404), "{code}");
    sharing(&world, &json!({ "labels": "enforced" }));
    assert_eq!(labels(&psychiatrist), ["normal"]);
    // A document that names no mark is none.
    let wrong = json!({ "document": { "grants": [], "labels": { "confidentiality": { "nurse": "secret" } } }, "reason": "x" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &wrong)
        .status(422);
}

#[test]
fn by_consent_opens_to_whom_it_permits_only() {
    let (world, all) = two_facilities();
    govern(&world, &json!({ "preset": "by-consent", "reason": "test" }));
    let north = northern(&world, CHARTS);
    let actor = json!([{ "role": { "coding": [{ "code": "IRCP" }] }, "reference": { "reference": "Organization/o-north" } }]);
    keep(&world, &all, &json!({ "type": "permit", "actor": actor }));
    world.fhir(&north, "GET Patient/p-south", "").status(200);
    // It names them, and refuses them.
    keep(&world, &all, &json!({ "type": "deny", "actor": actor }));
    world
        .fhir(&north, "GET Patient/p-south", "")
        .refused(404, "not-found");
}

#[test]
fn a_decision_of_r5_and_its_exceptions_take_turns() {
    let (world, all) = World::clinic_of("5.0.0");
    for at in ["north", "south"] {
        let body = json!({ "resourceType": "Organization", "id": format!("o-{at}"), "name": at });
        let line = format!("PUT Organization/o-{at}");
        world.fhir(&all, &line, body.to_string()).status(201);
    }
    for (line, body) in [
        (
            "PUT Patient/p",
            json!({ "resourceType": "Patient", "id": "p" }),
        ),
        (
            "PUT Observation/b",
            json!({ "resourceType": "Observation", "id": "b", "status": "final", "code": { "text": "x" },
                "subject": { "reference": "Patient/p" } }),
        ),
    ] {
        world.fhir(&all, line, body.to_string()).status(201);
    }
    sharing(&world, &json!({ "consents": "enforced" }));
    let north = northern(&world, CHARTS);
    let south = staff(
        &world,
        &["clinician@Organization/o-south"],
        "system/*.cruds",
    );
    let keeper = staff(&world, &["keeper"], "system/*.cruds");
    let sees = |who: &str| {
        let code = |line: &str| world.fhir(who, line, "").code == 200;
        (code("GET Patient/p"), code("GET Observation/b"))
    };
    let mut consent = json!({ "resourceType": "Consent", "id": "k", "status": "active",
        "subject": { "reference": "Patient/p" }, "decision": "deny",
        "provision": [{ "actor": [{ "reference": { "reference": "Organization/o-north" } }],
            "provision": [{ "resourceType": [{ "system": "http://hl7.org/fhir/fhir-types", "code": "Observation" }] }] }] });
    world
        .fhir(&keeper, "PUT Consent/k", consent.to_string())
        .status(201);
    assert_eq!(sees(&north), (true, false));
    assert_eq!(sees(&south), (false, false));
    consent["decision"] = json!("permit");
    world
        .fhir(&keeper, "PUT Consent/k", consent.to_string())
        .status(200);
    assert_eq!(sees(&north), (false, true));
    assert_eq!(sees(&south), (true, true));
    // Out of its own period it says nothing.
    consent["decision"] = json!("deny");
    consent["period"] = json!({ "end": "2020" });
    world
        .fhir(&keeper, "PUT Consent/k", consent.to_string())
        .status(200);
    assert_eq!(sees(&south), (true, true));
}

#[test]
fn publishing_tells_of_consents_that_hold_nobody_and_parts_of_a_facility_are_closed_too() {
    let (world, all) = two_facilities();
    let mut unheld = consent(&json!({ "type": "deny" }));
    unheld["id"] = json!("u");
    unheld["patient"] = json!({ "identifier": { "value": "1" } });
    world
        .fhir(&all, "PUT Consent/u", unheld.to_string())
        .status(201);
    let document = json!({ "consents": "enforced", "grants": [
        { "name": "charts", "who": { "roles": [CHARTS, "desk"] }, "actions": "cruds", "types": ["*"] }] });
    let draft = json!({ "document": document, "reason": "test" });
    let made = world.admin("POST /admin/v1/tenants/lakeside/policy", &draft);
    // Operators are told how many they are; which, whoever administers the policy in the clinic.
    let warnings = made.status(201).json()["warnings"].to_string();
    assert!(warnings.contains("1 Consents refuse nothing"), "{warnings}");
    assert!(!warnings.contains("Consent/"), "{warnings}");
    let governor = json!({ "name": "administers", "who": { "roles": ["governor"] }, "actions": ["administer"],
        "types": ["*"] });
    let mut document = document;
    document["grants"].as_array_mut().unwrap().push(governor);
    let draft = json!({ "document": document, "reason": "test" });
    let path = "POST /admin/v1/tenants/lakeside/policy";
    world.admin(path, &draft).status(201);
    let governor = staff(&world, &["governor"], "system/*.cruds");
    let parameters = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "document", "valueString": document.to_string() },
        { "name": "reason", "valueString": "test" } ] });
    let made = world.fhir(&governor, "POST $policy-publish", parameters.to_string());
    assert!(made.code < 300, "{made:?}");
    let told = String::from_utf8_lossy(&made.body).into_owned();
    assert!(told.contains("Consent/u"), "{told}");

    let department = json!({ "resourceType": "Organization", "id": "o-dep", "name": "dep" });
    world
        .fhir(&all, "PUT Organization/o-dep", department.to_string())
        .status(201);
    let against = json!({ "type": "deny", "actor": [{
        "role": { "coding": [{ "code": "PRCP" }] }, "reference": { "reference": "Organization/o-north" } }] });
    keep(&world, &all, &against);
    let inside = staff(&world, &["clinician@Organization/o-dep"], "system/*.cruds");
    world.fhir(&inside, "GET Patient/p-south", "").status(200);
    // With the next request after it became part of what is refused.
    let mut department = department;
    department["partOf"] = json!({ "reference": "Organization/o-north" });
    world
        .fhir(&all, "PUT Organization/o-dep", department.to_string())
        .status(200);
    world
        .fhir(&inside, "GET Patient/p-south", "")
        .refused(404, "not-found");
}
