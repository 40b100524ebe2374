//! Charts that consents permit and care teams open: to whom they are, now, and nothing else.

mod places;
mod teams;

use base::Clock;
use serde_json::{Value, json};

use super::super::people::{administrator, person};
use super::super::world::World;
use super::consents::ids;
use super::{govern, observation, staff};

const TYPES: &str = "http://hl7.org/fhir/resource-types";
const PURPOSE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

#[expect(
    clippy::needless_pass_by_value,
    reason = "resources are written where they are put"
)]
fn put(world: &World, by: &str, of: &str, body: Value) {
    let line = format!("PUT {of}/{}", body["id"].as_str().unwrap());
    let made = world.fhir(by, &line, body.to_string());
    assert!(matches!(made.code, 200 | 201), "{line} {}", made.code);
}

/// A patient with a finding and an immunization.
fn chart(world: &World, all: &str, id: &str) {
    put(
        world,
        all,
        "Patient",
        json!({ "resourceType": "Patient", "id": id }),
    );
    let whose = json!({ "reference": format!("Patient/{id}") });
    let mut finding = observation("x", "finding");
    finding["id"] = json!(id);
    finding["subject"] = whose.clone();
    finding.as_object_mut().unwrap().remove("encounter");
    put(world, all, "Observation", finding);
    let jab = json!({ "resourceType": "Immunization", "id": id, "status": "completed",
        "vaccineCode": { "text": "x" }, "patient": whose, "occurrenceDateTime": "2026" });
    put(world, all, "Immunization", jab);
}

/// A tenant of a version with two organizations.
fn clinic(fhir: &str) -> (World, String) {
    let (world, all) = World::clinic_of(fhir);
    for id in ["o-1", "o-2"] {
        let body = json!({ "resourceType": "Organization", "id": id, "name": id });
        put(&world, &all, "Organization", body);
    }
    (world, all)
}

fn coding(system: &str, code: &str) -> Value {
    json!([{ "system": system, "code": code }])
}

fn actor(role: &str, of: &str) -> Value {
    json!([{ "role": { "coding": [{ "code": role }] }, "reference": { "reference": of } }])
}

/// A Consent of R4 with a provision, and other members.
fn four(patient: &str, provision: &Value, more: &Value) -> Value {
    let mut body = json!({ "resourceType": "Consent", "id": patient, "status": "active",
        "scope": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy" }] },
        "category": [{ "text": "x" }], "patient": { "reference": format!("Patient/{patient}") },
        "provision": provision });
    for (name, said) in more.as_object().unwrap() {
        body[name] = said.clone();
    }
    body
}

/// One of R5 with a decision and an exception.
fn five(patient: &str, decision: &str, provision: &Value, more: &Value) -> Value {
    let mut body = json!({ "resourceType": "Consent", "id": patient, "status": "active",
        "category": [{ "text": "x" }], "subject": { "reference": format!("Patient/{patient}") },
        "decision": decision, "provision": [provision] });
    for (name, said) in more.as_object().unwrap() {
        body[name] = said.clone();
    }
    body
}

fn rule(code: &str) -> Value {
    json!({ "policyRule": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code }] } })
}

fn scope(code: &str) -> Value {
    json!({ "scope": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": code }] } })
}

fn with(mut provision: Value, more: &Value) -> Value {
    for (name, said) in more.as_object().unwrap() {
        provision[name] = said.clone();
    }
    provision
}

/// The same with a modifier in its first member of a name.
fn changed(provision: &Value, name: &str) -> Value {
    let mut changed = provision.clone();
    changed[name][0]["modifierExtension"] = json!([{ "url": "urn:x", "valueBoolean": true }]);
    changed
}

fn by_consent(world: &World) {
    govern(world, &json!({ "preset": "by-consent", "reason": "test" }));
}

#[test]
fn only_a_permit_in_force_for_this_opens_a_chart() {
    let (world, all) = clinic("4.0.1");
    let permit = json!({ "type": "permit", "actor": actor("IRCP", "Organization/o-1") });
    let nothing = json!({});
    let past = json!({ "period": { "end": "1990-01-01" } });
    let collect = json!([{ "coding": [{ "code": "collect" }] }]);
    let emergency = json!({ "category": [{ "coding": [{ "code": "emrgonly" }] }] });
    // Permits of this facility, and ways of saying so.
    let open = [
        ("whole", permit.clone(), nothing.clone()),
        ("optout", permit.clone(), rule("OPTOUT")),
        (
            "treat",
            with(
                permit.clone(),
                &json!({ "purpose": coding(PURPOSE, "TREAT") }),
            ),
            nothing.clone(),
        ),
        (
            "begun",
            with(
                permit.clone(),
                &json!({ "period": { "start": "1960-01-01" } }),
            ),
            nothing.clone(),
        ),
        (
            "nested",
            json!({ "type": "deny", "provision": [permit] }),
            rule("OPTOUT"),
        ),
        (
            "url",
            permit.clone(),
            json!({ "patient": { "reference": "http://127.0.0.1:8080/t/lakeside/fhir/Patient/url" } }),
        ),
        (
            "verified",
            permit.clone(),
            json!({ "verification": [{ "verified": true }, { "verified": true }] }),
        ),
    ];
    let said = |verified: &[bool]| {
        let each = verified.iter();
        let each = each.map(|said| json!({ "verified": said, "verificationDate": "2026-01-01" }));
        json!({ "verification": each.collect::<Vec<_>>() })
    };
    let shut = [
        ("unverified", permit.clone(), said(&[false])),
        ("half-verified", permit.clone(), said(&[true, false])),
        (
            "unsaid",
            permit.clone(),
            json!({ "verification": [{ "_verified": { "extension": [{
                "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                "valueCode": "unknown" }] } }] }),
        ),
        ("expired", with(permit.clone(), &past), nothing.clone()),
        ("expired-in", with(permit.clone(), &past), rule("OPTIN")),
        ("expired-out", with(permit.clone(), &past), rule("OPTOUT")),
        (
            "future",
            with(permit.clone(), &json!({ "period": { "start": "2990" } })),
            nothing.clone(),
        ),
        ("nobody", json!({ "type": "permit" }), nothing.clone()),
        (
            "optin",
            json!({ "type": "deny", "actor": actor("IRCP", "Organization/o-2") }),
            rule("OPTIN"),
        ),
        (
            "other",
            json!({ "type": "permit", "actor": actor("IRCP", "Organization/o-2") }),
            nothing.clone(),
        ),
        (
            "author",
            json!({ "type": "permit", "actor": actor("AUT", "Organization/o-1") }),
            nothing.clone(),
        ),
        (
            "keeper",
            json!({ "type": "permit", "actor": actor("CST", "Organization/o-1") }),
            nothing.clone(),
        ),
        (
            "research",
            with(
                permit.clone(),
                &json!({ "purpose": coding(PURPOSE, "HRESCH") }),
            ),
            nothing.clone(),
        ),
        ("of-research", permit.clone(), scope("research")),
        ("adr", permit.clone(), scope("adr")),
        ("treatment", permit.clone(), scope("treatment")),
        (
            "unscoped",
            permit.clone(),
            json!({ "scope": { "text": "privacy" } }),
        ),
        (
            "collect",
            with(permit.clone(), &json!({ "action": collect })),
            nothing.clone(),
        ),
        ("emergency", permit.clone(), emergency),
        ("unknown", permit.clone(), rule("x")),
        (
            "extended",
            with(
                permit.clone(),
                &json!({ "extension": [{ "url": "urn:x", "valueString": "x" }] }),
            ),
            nothing.clone(),
        ),
        (
            "elsewhere",
            permit.clone(),
            json!({ "patient": { "reference": "https://other.test/Patient/elsewhere" } }),
        ),
        (
            "deny",
            json!({ "type": "deny", "actor": actor("IRCP", "Organization/o-1") }),
            nothing.clone(),
        ),
        (
            "deny-past",
            with(
                json!({ "type": "deny", "actor": actor("IRCP", "Organization/o-1") }),
                &past,
            ),
            nothing.clone(),
        ),
        (
            "deny-research",
            json!({ "type": "deny", "actor": actor("IRCP", "Organization/o-1"),
            "purpose": coding(PURPOSE, "HRESCH") }),
            scope("research"),
        ),
        (
            "excepted",
            with(
                permit.clone(),
                &json!({ "provision": [{ "type": "deny" }] }),
            ),
            nothing.clone(),
        ),
        // Verified or agreed to later on.
        (
            "verified-later",
            permit.clone(),
            json!({ "verification": [{ "verified": true, "verificationDate": "2990-01-01" }] }),
        ),
        (
            "agreed-later",
            permit.clone(),
            json!({ "dateTime": "2990-01-01T10:00:00Z" }),
        ),
        // A code of a system that is not known may mean anything.
        (
            "own-purpose",
            with(
                permit.clone(),
                &json!({ "purpose": coding("urn:own", "TREAT") }),
            ),
            nothing.clone(),
        ),
        (
            "own-action",
            with(
                permit.clone(),
                &json!({ "action": [{ "coding": coding("urn:own", "access") }] }),
            ),
            nothing.clone(),
        ),
        (
            "own-role",
            json!({ "type": "permit", "actor": [{ "role": { "coding": coding("urn:own", "IRCP") },
                "reference": { "reference": "Organization/o-1" } }] }),
            nothing.clone(),
        ),
        // Members that change what an actor is, or the data.
        ("odd-actor", changed(&permit, "actor"), nothing.clone()),
        (
            "odd-data",
            changed(
                &with(
                    permit.clone(),
                    &json!({ "data": [{ "meaning": "instance", "reference": { "reference": "Patient/odd-data" } }] }),
                ),
                "data",
            ),
            nothing.clone(),
        ),
        ("inactive", permit.clone(), json!({ "status": "inactive" })),
        ("proposed", permit.clone(), json!({ "status": "proposed" })),
    ];
    for (id, provision, more) in open.iter().chain(&shut) {
        chart(&world, &all, id);
        put(&world, &all, "Consent", four(id, provision, more));
    }
    // Of one type only, and of several people's consents one that refuses.
    chart(&world, &all, "jabs");
    let jabs = with(
        permit.clone(),
        &json!({ "class": coding(TYPES, "Immunization") }),
    );
    put(&world, &all, "Consent", four("jabs", &jabs, &rule("OPTIN")));
    chart(&world, &all, "both");
    put(&world, &all, "Consent", four("both", &permit, &nothing));
    let mut against = four(
        "both",
        &json!({ "type": "deny", "actor": actor("IRCP", "Organization/o-1") }),
        &nothing,
    );
    against["id"] = json!("against");
    put(&world, &all, "Consent", against);
    chart(&world, &all, "none");

    by_consent(&world);
    let own = staff(&world, &["clinician@Organization/o-1"], "system/*.cruds");
    let opened = || {
        let mut opened: Vec<String> = open.iter().map(|(id, ..)| (*id).to_owned()).collect();
        opened.sort();
        opened
    };
    assert_eq!(ids(&world, &own, "GET Patient?_count=100"), opened());
    assert_eq!(ids(&world, &own, "GET Observation?_count=100"), opened());
    let mut with_jabs = opened();
    with_jabs.push("jabs".to_owned());
    with_jabs.sort();
    assert_eq!(ids(&world, &own, "GET Immunization?_count=100"), with_jabs);
    for (id, ..) in &shut {
        let read = world.fhir(&own, &format!("GET Patient/{id}"), "");
        read.refused(404, "not-found");
        let patch = json!([{ "op": "add", "path": "/language", "value": "en" }]).to_string();
        let line = format!("PATCH Observation/{id}");
        let more = [("content-type", "application/json-patch+json")];
        let code = world.fhir_with(&own, &line, &more, patch).code;
        assert!(matches!(code, 403 | 404), "{id} {code}");
    }
    world.fhir(&own, "GET Immunization/jabs", "").status(200);
    world
        .fhir(&own, "GET Patient/jabs", "")
        .refused(404, "not-found");
    // Written into what is opened, and nowhere else.
    let mut finding = observation("x", "finding");
    finding.as_object_mut().unwrap().remove("encounter");
    for (id, code) in [("whole", 201), ("expired", 403), ("none", 403)] {
        finding["subject"] = json!({ "reference": format!("Patient/{id}") });
        world
            .fhir(&own, "POST Observation", finding.to_string())
            .status(code);
    }
    for roles in [
        "clinician",
        "nurse@Organization/unknown",
        "clinician@Location/o-1",
    ] {
        let who = staff(&world, &[roles], "system/*.cruds");
        let found = world.fhir(&who, "GET Patient", "");
        found.refused(403, "scope-missing");
    }
}

#[test]
fn a_decision_of_r5_opens_by_its_exceptions_and_in_its_period() {
    let (world, all) = clinic("5.0.0");
    let named = json!({ "actor": actor("IRCP", "Organization/o-1") });
    let nothing = json!({});
    let jabs = with(
        named.clone(),
        &json!({ "resourceType": coding(TYPES, "Immunization") }),
    );
    for (id, decision, provision, more) in [
        ("whole", "deny", named.clone(), nothing.clone()),
        (
            "now",
            "deny",
            named.clone(),
            json!({ "period": { "start": "1960" } }),
        ),
        (
            "around",
            "permit",
            json!({ "provision": [named] }),
            nothing.clone(),
        ),
        ("jabs", "deny", jabs, nothing.clone()),
        (
            "past",
            "deny",
            named.clone(),
            json!({ "period": { "end": "1990-01-01" } }),
        ),
        (
            "past-too",
            "permit",
            named.clone(),
            json!({ "period": { "end": "1990-01-01" } }),
        ),
        ("refused", "permit", named.clone(), nothing.clone()),
        (
            "nobody",
            "permit",
            json!({ "actor": actor("IRCP", "Organization/o-2") }),
            nothing.clone(),
        ),
        (
            "verified",
            "deny",
            named.clone(),
            json!({ "verification": [{ "verified": true }] }),
        ),
        (
            "unverified",
            "deny",
            named.clone(),
            json!({ "verification": [{ "verified": true }, { "verified": false }] }),
        ),
        (
            "verified-later",
            "deny",
            named.clone(),
            json!({ "verification": [{ "verified": true, "verificationDate": ["1990", "2990"] }] }),
        ),
        (
            "agreed-later",
            "deny",
            named.clone(),
            json!({ "date": "2990-01-01" }),
        ),
        (
            "research",
            "deny",
            named.clone(),
            json!({ "category": [{ "coding": coding(
                "http://terminology.hl7.org/CodeSystem/v3-ActCode", "RESEARCH") }] }),
        ),
        (
            "basis",
            "deny",
            named.clone(),
            json!({ "policyBasis": { "url": "urn:x" } }),
        ),
    ] {
        chart(&world, &all, id);
        put(
            &world,
            &all,
            "Consent",
            five(id, decision, &provision, &more),
        );
    }
    by_consent(&world);
    let own = staff(&world, &["nurse@Organization/o-1"], "system/*.cruds");
    assert_eq!(
        ids(&world, &own, "GET Observation"),
        ["around", "now", "verified", "whole"]
    );
    assert_eq!(
        ids(&world, &own, "GET Immunization"),
        ["around", "jabs", "now", "verified", "whole"]
    );
}

#[test]
fn a_consent_that_was_not_verified_still_refuses() {
    for fhir in ["4.0.1", "5.0.0"] {
        let (world, all) = clinic(fhir);
        chart(&world, &all, "p");
        let who = actor("IRCP", "Organization/o-1");
        let unverified = json!({ "verification": [{ "verified": false }] });
        let consent = match fhir {
            "4.0.1" => four("p", &json!({ "type": "deny", "actor": who }), &unverified),
            _ => five("p", "permit", &json!({ "actor": who }), &unverified),
        };
        let grants = json!([{ "name": "all", "who": { "roles": ["nurse"] }, "actions": "rs", "types": ["*"] }]);
        let document = json!({ "consents": "enforced", "grants": grants });
        govern(&world, &json!({ "document": document, "reason": "test" }));
        let own = staff(&world, &["nurse@Organization/o-1"], "system/*.cruds");
        assert_eq!(ids(&world, &own, "GET Observation"), ["p"]);
        put(&world, &all, "Consent", consent);
        assert_eq!(ids(&world, &own, "GET Observation"), [""; 0], "{fhir}");
    }
}

#[test]
fn a_consent_that_is_verified_later_opens_then() {
    let (world, all) = clinic("4.0.1");
    chart(&world, &all, "p");
    let later = world.clock.now().plus_secs(3_600).instant().to_string();
    let verified = json!({ "verification": [{ "verified": true, "verificationDate": later }] });
    let permit = json!({ "type": "permit", "actor": actor("IRCP", "Organization/o-1") });
    put(&world, &all, "Consent", four("p", &permit, &verified));
    by_consent(&world);
    let own = staff(&world, &["clinician@Organization/o-1"], "system/*.cruds");
    world
        .fhir(&own, "GET Patient/p", "")
        .refused(404, "not-found");
    world.clock.forward_secs(3_600);
    world.fhir(&own, "GET Patient/p", "").status(200);
}

#[test]
fn what_a_consent_opens_closes_when_its_period_ends_and_with_the_next_request() {
    let (world, all) = clinic("4.0.1");
    chart(&world, &all, "p");
    by_consent(&world);
    let own = staff(&world, &["clinician@Organization/o-1"], "system/*.cruds");
    let sees = || world.fhir(&own, "GET Patient/p", "").code == 200;
    assert!(!sees());
    let mut provision = json!({ "type": "permit", "actor": actor("IRCP", "Organization/o-1") });
    put(&world, &all, "Consent", four("p", &provision, &json!({})));
    assert!(sees());
    provision["action"] = json!([{ "coding": [{ "code": "correct" }] }]);
    put(&world, &all, "Consent", four("p", &provision, &json!({})));
    assert!(!sees());
    let today = "2026-11-22";
    provision.as_object_mut().unwrap().remove("action");
    provision["period"] = json!({ "start": today, "end": today });
    put(&world, &all, "Consent", four("p", &provision, &json!({})));
    assert!(sees());
    world.clock.forward_secs(86_400);
    assert!(!sees());
    provision.as_object_mut().unwrap().remove("period");
    put(&world, &all, "Consent", four("p", &provision, &json!({})));
    assert!(sees());
    world.fhir(&all, "DELETE Consent/p", "").status(204);
    assert!(!sees());
}

#[test]
fn many_charts_are_opened_as_few_are() {
    let (world, all) = clinic("4.0.1");
    let permit = json!({ "type": "permit", "actor": actor("IRCP", "Organization/o-1") });
    let entry = |body: Value| {
        let url = format!(
            "{}/{}",
            body["resourceType"].as_str().unwrap(),
            body["id"].as_str().unwrap()
        );
        json!({ "resource": body, "request": { "method": "PUT", "url": url } })
    };
    let mut entries = Vec::new();
    for at in 0..260 {
        let id = format!("p-{at}");
        entries.push(entry(json!({ "resourceType": "Patient", "id": id })));
        if at < 250 {
            entries.push(entry(four(&id, &permit, &json!({}))));
        }
    }
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    world.fhir(&all, "POST ", bundle.to_string()).status(200);
    chart(&world, &all, "p-7");
    chart(&world, &all, "p-255");
    by_consent(&world);
    let own = staff(&world, &["clinician@Organization/o-1"], "system/*.cruds");
    let count = world.fhir(&own, "GET Patient?_total=accurate&_count=0", "");
    count.status(200).at("/total", 250);
    assert_eq!(ids(&world, &own, "GET Observation"), ["p-7"]);
    world.fhir(&own, "GET Observation/p-7", "").status(200);
    world
        .fhir(&own, "GET Observation/p-255", "")
        .refused(404, "not-found");
    let mut finding = observation("x", "finding");
    finding.as_object_mut().unwrap().remove("encounter");
    for (id, code) in [("p-8", 201), ("p-255", 403)] {
        finding["subject"] = json!({ "reference": format!("Patient/{id}") });
        world
            .fhir(&own, "POST Observation", finding.to_string())
            .status(code);
    }
}

#[test]
fn whom_consents_or_teams_open_charts_to_writes_none_of_them() {
    let (world, all) = clinic("4.0.1");
    chart(&world, &all, "p");
    let document = json!({ "consents": "enforced", "grants": [
        { "name": "charts", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["*"], "by": "consent" },
        { "name": "desk", "who": { "roles": ["desk", "doctor"] }, "actions": "cruds", "types": ["Consent"] },
        { "name": "later", "who": { "roles": ["intern"] }, "actions": "rs", "types": ["*"], "by": "consent",
          "require": { "reason": true } },
        { "name": "intern", "who": { "roles": ["intern"] }, "actions": "cruds", "types": ["Consent"] } ] });
    let made = world.admin(
        "POST /admin/v1/tenants/lakeside/policy",
        &json!({ "document": document, "reason": "test" }),
    );
    let warnings = made.status(201).json()["warnings"].to_string();
    assert!(
        warnings.contains("Consent is evidence for \\\"charts\\\""),
        "{warnings}"
    );
    let mut body = four(
        "p",
        &json!({ "type": "permit", "actor": actor("IRCP", "Organization/o-1") }),
        &json!({}),
    );
    body.as_object_mut().unwrap().remove("id");
    for role in ["doctor", "intern"] {
        let who = staff(
            &world,
            &[&format!("{role}@Organization/o-1")],
            "system/*.cruds",
        );
        let made = world.fhir(&who, "POST Consent", body.to_string());
        made.refused(403, "scope-missing");
    }
    let desk = staff(&world, &["desk@Organization/o-1"], "system/*.cruds");
    world
        .fhir(&desk, "POST Consent", body.to_string())
        .status(201);
    let doctor = staff(&world, &["doctor@Organization/o-1"], "system/*.cruds");
    world.fhir(&doctor, "GET Patient/p", "").status(200);
    // What consents say has to count, and a refusal does not go by them.
    for wrong in [
        json!({ "grants": [{ "name": "x", "who": { "anyone": true }, "actions": "r", "types": ["*"], "by": "consent" }] }),
        json!({ "consents": "enforced", "grants": [{ "name": "x", "effect": "deny", "who": { "anyone": true },
            "actions": "r", "types": ["*"], "by": "consent" }] }),
        json!({ "grants": [{ "name": "x", "who": { "anyone": true }, "actions": "r", "types": ["Organization"],
            "by": "care-team" }] }),
        json!({ "grants": [{ "name": "x", "who": { "anyone": true }, "actions": "r", "types": ["*"], "by": "care-team",
            "breakGlass": {} }] }),
    ] {
        let draft = json!({ "document": wrong, "reason": "x" });
        let made = world.admin("POST /admin/v1/tenants/lakeside/policy", &draft);
        made.status(422);
    }
}

#[test]
fn a_base_rule_stands_out_of_the_period_of_its_exception() {
    let (world, all) = clinic("4.0.1");
    let permit = json!({ "type": "permit", "actor": actor("IRCP", "Organization/o-2") });
    let past = json!({ "period": { "start": "1960", "end": "1990" } });
    for (id, provision, more) in [
        ("out", with(permit.clone(), &past), rule("OPTOUT")),
        (
            "next",
            with(permit.clone(), &json!({ "period": { "start": "2990" } })),
            rule("OPTOUT"),
        ),
        ("untyped", with(json!({}), &past), rule("OPTOUT")),
        (
            "nested",
            json!({ "type": "deny", "provision": [with(permit.clone(), &past)] }),
            rule("OPTOUT"),
        ),
        ("in", with(json!({ "type": "deny" }), &past), rule("OPTIN")),
        ("bare", with(json!({ "type": "deny" }), &past), json!({})),
    ] {
        chart(&world, &all, id);
        put(&world, &all, "Consent", four(id, &provision, &more));
    }
    let document = json!({ "consents": "enforced", "grants": [
        { "name": "charts", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["*"] }] });
    govern(&world, &json!({ "document": document, "reason": "test" }));
    for at in ["o-1", "o-2"] {
        let who = staff(
            &world,
            &[&format!("doctor@Organization/{at}")],
            "system/*.cruds",
        );
        assert_eq!(ids(&world, &who, "GET Patient"), ["bare", "in"], "{at}");
    }
}

#[test]
fn whoever_is_refused_reading_by_a_consent_changes_and_deletes_nothing() {
    let (world, all) = clinic("4.0.1");
    chart(&world, &all, "p");
    let document = json!({ "consents": "enforced", "grants": [
        { "name": "charts", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["*"] },
        { "name": "keeper", "who": { "roles": ["keeper"] }, "actions": ["administer", "create", "update"], "types": ["Consent"] } ] });
    govern(&world, &json!({ "document": document, "reason": "test" }));
    let actions: Vec<Value> = (["access", "use", "disclose"].iter())
        .map(|code| json!({ "coding": [{ "code": code }] }))
        .collect();
    let keeper = staff(&world, &["keeper"], "system/*.cruds");
    let against =
        json!({ "type": "deny", "actor": actor("IRCP", "Organization/o-1"), "action": actions });
    put(
        &world,
        &keeper,
        "Consent",
        four("p", &against, &rule("OPTIN")),
    );
    let own = staff(&world, &["doctor@Organization/o-1"], "system/*.cruds");
    world
        .fhir(&own, "GET Observation/p", "")
        .refused(404, "not-found");
    let headers = [("content-type", "application/json-patch+json")];
    for value in ["final", "preliminary"] {
        let patch = json!([{ "op": "test", "path": "/status", "value": value }]).to_string();
        world
            .fhir_with(&own, "PATCH Observation/p", &headers, patch)
            .refused(404, "not-found");
    }
    let mut finding = observation("x", "finding");
    finding["id"] = json!("p");
    finding["subject"] = json!({ "reference": "Patient/p" });
    finding.as_object_mut().unwrap().remove("encounter");
    world
        .fhir(&own, "PUT Observation/p", finding.to_string())
        .refused(404, "not-found");
    // As of what is not there.
    for id in ["p", "absent"] {
        let gone = world.fhir(&own, &format!("DELETE Observation/{id}"), "");
        gone.status(204).no_header("etag");
    }
    let other = staff(&world, &["doctor@Organization/o-2"], "system/*.cruds");
    world
        .fhir(&other, "GET Observation/p", "")
        .status(200)
        .at("/meta/versionId", "1");
    // To add to it is not refused.
    world
        .fhir(&own, "POST Observation", finding.to_string())
        .status(201);
}
