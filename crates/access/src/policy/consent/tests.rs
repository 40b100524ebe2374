use std::sync::Arc;

use base::{Limits, Micros};
use fhir::definitions::{FhirVersion, Model};
use fhir::json;
use fhir::search::Customs;
use fhir::search::holds::Beholder;
use fhir::search::query::Clause;
use serde_json::{Value, json as value};

use super::*;
use crate::action::ActionName;
use crate::person::RoleAt;
use crate::policy::{Document, Opened, Policy, RequestFacts, Rights, Subject, Surroundings};

/// Somebody who asks.
#[derive(Clone, Copy, Default)]
struct Caller {
    person: Option<&'static str>,
    client: Option<&'static str>,
    role: &'static str,
    user: Option<(&'static str, &'static str)>,
}

fn id(text: &str) -> ResourceId {
    ResourceId::new(text).unwrap()
}

fn doctor() -> Caller {
    Caller {
        person: Some("u1"),
        role: "clinician@Organization/o1",
        user: Some(("Practitioner", "d1")),
        ..Caller::default()
    }
}

fn charts(consents: &Value) -> Value {
    value!({ "consents": consents, "grants": [
        { "name": "charts", "who": { "roles": ["clinician"] }, "actions": "rs", "types": ["*"] }] })
}

/// A department `o1a` of `o1`, a ward `w` in it, and `o2`.
fn known(version: FhirVersion, consents: &[&Value]) -> Consents {
    let mut known = Consents::default();
    for (of, name, body) in [
        ("Organization", "o1", value!({})),
        ("Organization", "o2", value!({})),
        (
            "Organization",
            "o1a",
            value!({ "partOf": { "reference": "Organization/o1" } }),
        ),
        (
            "Location",
            "w",
            value!({ "managingOrganization": { "reference": "Organization/o1a" } }),
        ),
        (
            "Organization",
            "odd",
            value!({ "partOf": { "identifier": { "value": "1" } } }),
        ),
    ] {
        known.learn_place(of, &id(name), Some(body.to_string().as_bytes()));
    }
    for (at, consent) in consents.iter().enumerate() {
        let name = id(&format!("k{at}"));
        known.learn(
            Model::of(version),
            &name,
            Some(consent.to_string().as_bytes()),
        );
    }
    known
}

fn rights_at(
    version: FhirVersion,
    document: &Value,
    caller: Caller,
    consents: &Consents,
    opened: &[Opened<'_>],
) -> Rights {
    let roles = [RoleAt::parse(caller.role).unwrap()];
    rights_of(version, document, caller, &roles, consents, opened)
}

fn rights_of(
    version: FhirVersion,
    document: &Value,
    caller: Caller,
    roles: &[RoleAt],
    consents: &Consents,
    opened: &[Opened<'_>],
) -> Rights {
    let model = Model::of(version);
    let limits = Limits::default();
    let surroundings = Surroundings {
        model,
        limits: &limits,
        own_bases: &["https://here.example/t/lakeside/fhir"],
        customs: Customs::NONE,
        consents,
        now: Micros(0),
    };
    let document = Document::parse(&document.to_string()).unwrap();
    let policy = Policy::new(1, document, model).unwrap();
    policy.check(&surroundings).unwrap();
    let user = caller
        .user
        .map(|(of, name)| (model.type_id(of).unwrap(), id(name)));
    let subject = Subject {
        person: caller.person,
        client: caller.client,
        fhir_user: user.as_ref().map(|(of, id)| (*of, id)),
        ..Subject::holding(roles)
    };
    let facts = RequestFacts {
        at: Micros(0),
        from: None,
        reason: None,
        stepped_up: false,
    };
    policy.suppose_open(&subject, &facts, &surroundings, opened)
}

/// The way by which somebody reads a resource: whether it was opened.
fn way(version: FhirVersion, rights: &Rights, resource: &Value) -> Option<bool> {
    let model = Model::of(version);
    let type_id = model
        .type_id(resource["resourceType"].as_str().unwrap())
        .unwrap();
    if !rights.allows(ActionName::Read, type_id) {
        return None;
    }
    let Some(rule) = rights.rule(ActionName::Read, type_id) else {
        return Some(false);
    };
    let text = resource.to_string();
    let document = json::parse(text.as_bytes(), 64).unwrap();
    let eye = Beholder::new(model, type_id, document.root(), &[]).unwrap();
    let holds = |clause: &Clause| eye.holds(clause) == Some(true);
    if !rule.filter().is_none_or(holds) {
        return None;
    }
    let way = rule
        .ways()
        .iter()
        .find(|w| w.clause.as_ref().is_none_or(holds));
    Some(way.unwrap().opened)
}

fn sees_as(version: FhirVersion, caller: Caller, purposes: &Value, consent: &Value) -> bool {
    let consents = known(version, &[consent]);
    let document = charts(purposes);
    let rights = rights_at(version, &document, caller, &consents, &[]);
    let patient = value!({ "resourceType": "Patient", "id": "p1" });
    let other = value!({ "resourceType": "Patient", "id": "p2" });
    assert_eq!(way(version, &rights, &other), Some(false));
    way(version, &rights, &patient).is_some()
}

fn sees(version: FhirVersion, caller: Caller, consent: &Value) -> bool {
    sees_as(version, caller, &value!("enforced"), consent)
}

fn r4(provision: &Value) -> Value {
    value!({ "resourceType": "Consent", "status": "active", "patient": { "reference": "Patient/p1" },
        "provision": provision })
}

fn coded(system: &str, code: &str) -> Value {
    value!({ "coding": [{ "system": system, "code": code }] })
}

#[test]
fn consents_for_emergencies_only_close_a_chart() {
    let system = "http://terminology.hl7.org/CodeSystem/consentcategorycodes";
    for (system, code, decision, open) in [
        (system, "emrgonly", "deny", false),
        (system, "emrgonly", "permit", false),
        (system, "research", "deny", true),
        ("urn:own", "research", "deny", false),
    ] {
        let consent = value!({ "resourceType": "Consent", "status": "active", "decision": decision,
            "category": [coded(system, code)], "subject": { "reference": "Patient/p1" } });
        assert_eq!(
            sees(FhirVersion::R5, doctor(), &consent),
            open,
            "{consent:#}"
        );
    }
    // Of R4 whatever its scope.
    let mut consent = r4(&value!({ "type": "permit" }));
    assert!(sees(FhirVersion::R4, doctor(), &consent));
    consent["category"] = value!([coded(system, "emrgonly")]);
    consent["scope"] = coded(
        "http://terminology.hl7.org/CodeSystem/consentscope",
        "treatment",
    );
    assert!(!sees(FhirVersion::R4, doctor(), &consent));
}

#[test]
fn whoever_is_not_surely_somebody_else_is_refused() {
    let at = |role: &'static str| Caller { role, ..doctor() };
    let program = Caller {
        person: None,
        client: Some("c1"),
        user: None,
        ..doctor()
    };
    let nobody = Caller {
        user: None,
        ..doctor()
    };
    for (actor, caller, open) in [
        ("Practitioner/d1", doctor(), false),
        ("Practitioner/d2", doctor(), true),
        ("Practitioner/d2", nobody, false),
        ("Practitioner/d2", program, true),
        ("PractitionerRole/5", doctor(), false),
        ("PractitionerRole/5", program, false),
        ("RelatedPerson/5", doctor(), false),
        ("Person/5", doctor(), false),
        ("Organization/o1", doctor(), false),
        ("Organization/o2", doctor(), true),
        ("Organization/o1", at("clinician@Organization/o2"), true),
        // A whole is about its parts, and who is in the whole may be in the part.
        ("Organization/o1", at("clinician@Organization/o1a"), false),
        ("Organization/o1", at("clinician@Location/w"), false),
        ("Organization/o2", at("clinician@Location/w"), true),
        ("Location/w", doctor(), false),
        // What is not known may be anywhere.
        ("Organization/o2", at("clinician@Location/unknown"), false),
        ("Organization/o2", at("clinician@Organization/odd"), false),
        ("Organization/o2", at("clinician"), false),
    ] {
        let actor = value!([{ "reference": { "reference": actor } }]);
        let consent = r4(&value!({ "type": "deny", "actor": actor }));
        assert_eq!(
            sees(FhirVersion::R4, caller, &consent),
            open,
            "{actor} {}",
            caller.role
        );
        // And what permits them is about nobody else.
        let permit =
            value!({ "type": "deny", "provision": [{ "type": "permit", "actor": actor }] });
        let named = [value!("Practitioner/d1"), value!("Organization/o1")];
        let own = caller.role == doctor().role
            && named.contains(&actor[0]["reference"]["reference"])
            && (caller.user.is_some() || actor[0]["reference"]["reference"] != named[0]);
        assert_eq!(
            sees(FhirVersion::R4, caller, &r4(&permit)),
            own,
            "{actor} permitted"
        );
    }
}

#[test]
fn a_facility_that_moves_is_another_state() {
    let mut known = known(FhirVersion::R4, &[]);
    let before = known.state(Micros(0), None);
    known.learn_place("Organization", &id("o2"), Some(b"{\"name\":\"other\"}"));
    assert_eq!(known.state(Micros(0), None), before);
    let body = value!({ "partOf": { "reference": "Organization/o1" } }).to_string();
    known.learn_place("Organization", &id("o2"), Some(body.as_bytes()));
    assert_ne!(known.state(Micros(0), None), before);
}

#[test]
fn references_to_other_servers_are_not_about_what_is_here() {
    for (base, here) in [
        ("https://hospital-b.example/fhir/", false),
        ("https://here.example/t/lakeside/fhir/", true),
        ("", true),
    ] {
        let permit = |exception: Value| {
            let mut provision = value!({ "type": "permit" });
            for (name, said) in exception.as_object().unwrap() {
                provision[name] = said.clone();
            }
            let mut consent = r4(&provision);
            consent["policyRule"] =
                coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT");
            consent
        };
        let practitioner = format!("{base}Practitioner/d1");
        let actor = permit(value!({ "actor": [{ "reference": { "reference": practitioner } }] }));
        assert_eq!(sees(FhirVersion::R4, doctor(), &actor), here, "{base}");
        let patient = format!("{base}Patient/p1");
        let data =
            value!({ "data": [{ "meaning": "instance", "reference": { "reference": patient } }] });
        assert_eq!(
            sees(FhirVersion::R4, doctor(), &permit(data)),
            here,
            "{base}"
        );
        // A refusal counts: it may be about them.
        let other = format!("{base}Practitioner/d2");
        let deny =
            r4(&value!({ "type": "deny", "actor": [{ "reference": { "reference": other } }] }));
        assert_eq!(sees(FhirVersion::R4, doctor(), &deny), here, "{base}");
    }
}

#[test]
fn what_is_read_anew_is_never_taken_for_what_was_known() {
    let consent = r4(&value!({ "type": "deny" }));
    let first = known(FhirVersion::R4, &[&consent]);
    let again = known(FhirVersion::R4, &[&consent]);
    assert_eq!(first.state(Micros(0), None), first.state(Micros(0), None));
    assert_ne!(first.state(Micros(0), None), again.state(Micros(0), None));
    assert_ne!(
        Consents::default().state(Micros(0), None),
        Consents::default().state(Micros(0), None)
    );
}

#[test]
fn what_is_open_in_an_emergency_is_seen_by_the_way_that_was_opened() {
    let version = FhirVersion::R4;
    let document = |when: &str| {
        value!({ "consents": { "emergency": true }, "grants": [
            { "name": "charts", "who": { "roles": ["clinician"] }, "actions": "rsu", "types": ["*"] },
            { "name": "glass", "who": { "roles": ["clinician"] }, "actions": "rs", "types": ["*"], "when": when,
              "breakGlass": { "reviewers": { "roles": ["auditor"] } } }] })
    };
    let consents = known(version, &[&r4(&value!({ "type": "deny" }))]);
    let patient = id("p1");
    let opened = |grant| {
        [Opened {
            grant,
            patient: &patient,
        }]
    };
    let chart = value!({ "resourceType": "Patient", "id": "p1" });
    let other = value!({ "resourceType": "Patient", "id": "p2" });
    let rights = rights_at(
        version,
        &document("true"),
        doctor(),
        &consents,
        &opened("glass"),
    );
    assert_eq!(way(version, &rights, &chart), Some(true));
    assert_eq!(way(version, &rights, &other), Some(false));
    // What the opening does not give stays closed.
    let of_patient = Model::of(version).type_id("Patient").unwrap();
    let rule = rights.rule(ActionName::Update, of_patient).unwrap();
    assert!(rule.filter().is_some() && !rule.opens());
    // Nor does an opening under a grant that is gone, or does not hold, lift anything.
    for (when, grant) in [("true", "gone"), ("false", "glass")] {
        let rights = rights_at(
            version,
            &document(when),
            doctor(),
            &consents,
            &opened(grant),
        );
        assert_eq!(way(version, &rights, &chart), None, "{when} {grant}");
    }
    // One that cannot be read closes all but what is open.
    let mut broken = known(version, &[]);
    broken.is_broken(id("k"), None);
    let rights = rights_at(
        version,
        &document("true"),
        doctor(),
        &broken,
        &opened("glass"),
    );
    assert_eq!(way(version, &rights, &chart), Some(true));
    assert_eq!(way(version, &rights, &other), None);
}

#[test]
fn the_highest_label_counts_and_only_known_systems_lower_one() {
    let version = FhirVersion::R4;
    let known_system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
    let labelled = |labels: &[(&str, &str)]| {
        let labels: Vec<Value> = labels
            .iter()
            .map(|(system, code)| value!({ "system": system, "code": code }))
            .collect();
        value!({ "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "x" },
            "subject": { "reference": "Patient/p1" }, "meta": { "security": labels } })
    };
    let low = labelled(&[(known_system, "L")]);
    let both = labelled(&[(known_system, "L"), (known_system, "V")]);
    let foreign = labelled(&[("urn:clinic", "L")]);
    let sensitive = labelled(&[(known_system, "L"), ("urn:x", "HIV")]);
    let plain = labelled(&[]);
    let mut document = charts(&value!("enforced"));
    document["labels"] = value!({ "confidentiality": { "clinician": "L" } });
    let rights = rights_at(version, &document, doctor(), Consents::none(), &[]);
    let shown = |rights: &Rights| {
        [&low, &both, &foreign, &sensitive, &plain].map(|r| way(version, rights, r).is_some())
    };
    assert_eq!(shown(&rights), [true, false, false, false, false]);
    // The same of consents: refused from N on, permitted up to L.
    let label = value!([{ "system": known_system, "code": "N" }]);
    let deny = r4(&value!({ "type": "deny", "securityLabel": label }));
    let rights = |consent: &Value| {
        let consents = known(version, &[consent]);
        rights_at(
            version,
            &charts(&value!("enforced")),
            doctor(),
            &consents,
            &[],
        )
    };
    assert_eq!(shown(&rights(&deny)), [true, false, false, true, false]);
    let label = value!([{ "system": known_system, "code": "L" }]);
    let permit =
        value!({ "type": "deny", "provision": [{ "type": "permit", "securityLabel": label }] });
    assert_eq!(
        shown(&rights(&r4(&permit))),
        [true, false, false, true, false]
    );
}

#[test]
fn a_policy_rule_that_is_not_known_permits_nothing() {
    let acts = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    let treat = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
    let purposes = value!({ "purposes": { "*": ["TREAT"] } });
    let permit = value!({ "type": "permit" });
    let emergency =
        value!({ "type": "permit", "purpose": [{ "system": treat, "code": "ETREAT" }] });
    for (rule, provision, open) in [
        (coded(acts, "OPTIN"), &permit, true),
        (coded(acts, "EMRGONLY"), &emergency, false),
        (coded(acts, "NOPP"), &permit, false),
        (coded("urn:own", "OPTIN"), &permit, false),
        (value!({ "text": "as agreed" }), &permit, false),
    ] {
        let mut consent = r4(provision);
        consent["policyRule"] = rule;
        assert_eq!(
            sees_as(FhirVersion::R4, doctor(), &purposes, &consent),
            open,
            "{consent:#}"
        );
    }
    let mut consent = r4(&permit);
    consent["policy"] = value!([{ "authority": "https://example.org" }]);
    assert!(sees(FhirVersion::R4, doctor(), &consent));
    consent["policy"] = value!([{ "uri": "https://example.org/rules" }]);
    assert!(!sees(FhirVersion::R4, doctor(), &consent));
}

#[test]
fn consents_that_nobody_can_be_held_to_are_told() {
    let named = r4(&value!({ "type": "deny" }));
    let mut by_number = named.clone();
    by_number["patient"] = value!({ "identifier": { "value": "1" } });
    let mut ended = by_number.clone();
    ended["status"] = value!("inactive");
    let mut known = known(FhirVersion::R4, &[&named, &by_number, &ended]);
    assert_eq!(known.unheld().collect::<Vec<_>>(), [&id("k1")]);
    known.learn(Model::of(FhirVersion::R4), &id("k1"), None);
    assert_eq!(known.unheld().len(), 0);
    let unknown = value!({ "resourceType": "Consent", "status": "unknown",
        "subject": { "reference": "Patient/p1" }, "decision": "deny" });
    assert_eq!(self::known(FhirVersion::R5, &[&unknown]).unheld().len(), 1);
}

#[test]
fn all_purposes_are_permitted_or_none_and_any_is_refused() {
    let system = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
    let both = value!({ "purposes": { "clinician": ["TREAT", "HMARKT"] } });
    let one = value!({ "purposes": { "clinician": ["TREAT"] } });
    let purpose = value!([{ "system": system, "code": "TREAT" }]);
    let permit =
        r4(&value!({ "type": "deny", "provision": [{ "type": "permit", "purpose": purpose }] }));
    assert!(sees_as(FhirVersion::R4, doctor(), &one, &permit));
    assert!(!sees_as(FhirVersion::R4, doctor(), &both, &permit));
    let marketing = value!([{ "system": system, "code": "HMARKT" }]);
    let deny = r4(&value!({ "type": "deny", "purpose": marketing }));
    assert!(sees_as(FhirVersion::R4, doctor(), &one, &deny));
    assert!(!sees_as(FhirVersion::R4, doctor(), &both, &deny));
}

/// Refusals in refusals, each about one label, and one that permits inside of them all.
fn nested(depth: usize, labels: &[String]) -> Value {
    let mut provision = value!({ "type": "permit" });
    for at in (0..depth).rev() {
        provision = value!({ "type": "deny", "provision": [provision],
            "securityLabel": [{ "system": "urn:l", "code": labels[at % labels.len()] }] });
    }
    provision
}

/// Rules of all actions and types together.
fn size(version: FhirVersion, rights: &Rights) -> usize {
    let model = Model::of(version);
    let actions = [ActionName::Read, ActionName::Search];
    let of_type = |type_id| {
        let of = |action| rights.rule(action, type_id)?.filter().map(Clause::size);
        actions.into_iter().filter_map(of).sum::<usize>()
    };
    model.types().map(of_type).sum()
}

#[test]
fn what_is_nested_does_not_double_with_each_level() {
    let version = FhirVersion::R4;
    let labels: Vec<String> = (0..20).map(|at| format!("L{at}")).collect();
    let of = |depth| {
        let consents = known(version, &[&r4(&nested(depth, &labels))]);
        let rights = rights_at(
            version,
            &charts(&value!("enforced")),
            doctor(),
            &consents,
            &[],
        );
        size(version, &rights)
    };
    let (few, many) = (of(4), of(19));
    assert!(many < few * 10, "{few} {many}");
}

#[test]
fn nested_provisions_say_what_they_say() {
    // Each level is an exception to the one around it.
    let said = |labels: &[bool], node: &Value| -> bool {
        fn denied(node: &Value, has: &dyn Fn(&str) -> bool) -> bool {
            let applies = |n: &Value| n["securityLabel"][0]["code"].as_str().is_none_or(has);
            let (mut refuses, mut permits) = (false, false);
            for inner in node["provision"].as_array().into_iter().flatten() {
                if applies(inner) {
                    match denied(inner, has) {
                        true => refuses = true,
                        false => permits = true,
                    }
                }
            }
            refuses || node["type"] == "deny" && !permits
        }
        let has = |code: &str| labels[code[1..].parse::<usize>().unwrap()];
        let applies = node["securityLabel"][0]["code"].as_str().is_none_or(has);
        applies && denied(node, &has)
    };
    let mut seed = 7_u64;
    let mut dice = |of: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % of
    };
    fn tree(dice: &mut dyn FnMut(u64) -> u64, depth: u64) -> Value {
        let kind = if dice(2) == 0 { "deny" } else { "permit" };
        let mut node = value!({ "type": kind });
        if depth < 4 {
            node["securityLabel"] =
                value!([{ "system": "urn:l", "code": format!("L{}", dice(3)) }]);
        }
        if depth > 0 {
            let inner: Vec<Value> = (0..dice(3)).map(|_| tree(dice, depth - 1)).collect();
            node["provision"] = value!(inner);
        }
        node
    }
    for _ in 0..60 {
        let provision = tree(&mut dice, 4);
        let consents = known(FhirVersion::R4, &[&r4(&provision)]);
        let document = charts(&value!("enforced"));
        let rights = rights_at(FhirVersion::R4, &document, doctor(), &consents, &[]);
        for labels in 0..8_usize {
            let labels: Vec<bool> = (0..3).map(|at| labels >> at & 1 == 1).collect();
            let held: Vec<Value> = (0..3)
                .filter(|at| labels[*at])
                .map(|at| value!({ "system": "urn:l", "code": format!("L{at}") }))
                .collect();
            let seen =
                value!({ "resourceType": "Patient", "id": "p1", "meta": { "security": held } });
            assert_eq!(
                way(FhirVersion::R4, &rights, &seen).is_none(),
                said(&labels, &provision),
                "{labels:?} {provision:#}"
            );
        }
    }
}

#[test]
fn many_codes_are_refused_like_few_and_too_much_refuses_everything() {
    let observation = |code: &str| {
        value!({ "resourceType": "Observation", "id": "o", "status": "final",
            "code": { "coding": [{ "system": "urn:c", "code": code }] }, "subject": { "reference": "Patient/p1" } })
    };
    for (count, others) in [(3, true), (900, true), (1_100, true), (12_000, false)] {
        let codes: Vec<Value> = (0..count)
            .map(|at| value!({ "coding": [{ "system": "urn:c", "code": format!("c{at}") }] }))
            .collect();
        let consents = known(
            FhirVersion::R4,
            &[&r4(&value!({ "type": "deny", "code": codes }))],
        );
        let document = charts(&value!("enforced"));
        let rights = rights_at(FhirVersion::R4, &document, doctor(), &consents, &[]);
        let sees = |code: &str| way(FhirVersion::R4, &rights, &observation(code)).is_some();
        let last = format!("c{}", count - 1);
        assert_eq!((sees("c0"), sees(&last)), (false, false), "{count}");
        assert_eq!(sees("other"), others, "{count}");
    }
    // One that is longer than any query.
    let long = value!([{ "coding": [{ "system": "urn:c", "code": "x".repeat(70_000) }] }]);
    let deny = r4(&value!({ "type": "deny", "code": long }));
    let consents = known(FhirVersion::R4, &[&deny]);
    let document = charts(&value!("enforced"));
    let rights = rights_at(FhirVersion::R4, &document, doctor(), &consents, &[]);
    assert_eq!(way(FhirVersion::R4, &rights, &observation("other")), None);
}

#[test]
fn classes_that_are_no_types_may_be_any() {
    let class = |code: &str| {
        let named = value!([{ "system": "http://hl7.org/fhir/resource-types", "code": code }]);
        r4(&value!({ "type": "deny", "class": named }))
    };
    for (code, open) in [
        ("Patient", false),
        ("Observation", true),
        ("Resource", false),
        ("DomainResource", false),
        ("application/hl7-cda+xml", false),
    ] {
        assert_eq!(
            sees(FhirVersion::R4, doctor(), &class(code)),
            open,
            "{code}"
        );
    }
}

#[test]
fn a_role_of_which_nothing_is_said_comes_for_what_everybody_comes_for() {
    let system = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
    let purposes = value!({ "purposes": { "*": ["TREAT"], "biller": ["HPAYMT"] } });
    let of = |code: &str| {
        r4(&value!({ "type": "deny", "purpose": [{ "system": system, "code": code }] }))
    };
    for (code, open) in [("TREAT", false), ("HPAYMT", false), ("HRESCH", true)] {
        let consents = known(FhirVersion::R4, &[&of(code)]);
        let roles = ["clinician", "biller"].map(|r| RoleAt::parse(r).unwrap());
        let document = charts(&purposes);
        let rights = rights_of(FhirVersion::R4, &document, doctor(), &roles, &consents, &[]);
        let seen = value!({ "resourceType": "Patient", "id": "p1" });
        assert_eq!(
            way(FhirVersion::R4, &rights, &seen).is_some(),
            open,
            "{code}"
        );
    }
}

#[test]
fn actions_of_which_rules_are_the_same_share_them_and_lists_are_there_once() {
    let refusing: Vec<Value> = (0..200)
        .map(|at| {
            let mut consent = r4(&value!({ "type": "deny" }));
            consent["patient"]["reference"] = value!(format!("Patient/q{at}"));
            consent
        })
        .collect();
    let all: Vec<&Value> = refusing.iter().collect();
    let consents = known(FhirVersion::R4, &all);
    let document = charts(&value!("enforced"));
    let rights = rights_at(FhirVersion::R4, &document, doctor(), &consents, &[]);
    assert!(rights.bytes() < 1 << 20, "{}", rights.bytes());
    let patient = Model::of(FhirVersion::R4).type_id("Patient").unwrap();
    let rule = |action| rights.rule(action, patient).unwrap();
    assert!(Arc::ptr_eq(
        rule(ActionName::Read),
        rule(ActionName::Search)
    ));
}

#[test]
fn one_that_cannot_be_read_closes_the_chart_of_its_patient() {
    let mut consents = known(FhirVersion::R4, &[]);
    let sees = |consents: &Consents, who: &str| {
        let document = charts(&value!("enforced"));
        let rights = rights_at(FhirVersion::R4, &document, doctor(), consents, &[]);
        let seen = value!({ "resourceType": "Patient", "id": who });
        way(FhirVersion::R4, &rights, &seen).is_some()
    };
    consents.is_broken(id("k"), Some(id("p1")));
    assert!(!sees(&consents, "p1") && sees(&consents, "p2"));
    consents.is_broken(id("k2"), None);
    assert!(!sees(&consents, "p1") && !sees(&consents, "p2"));
    consents.learn(Model::of(FhirVersion::R4), &id("k2"), None);
    assert!(!sees(&consents, "p1") && sees(&consents, "p2"));
}

#[test]
fn what_a_policy_comes_to_is_bounded() {
    let model = Model::of(FhirVersion::R4);
    let ids: Vec<String> = (0..900).map(|at| format!("i{at}")).collect();
    let grants: Vec<Value> = (0..20)
        .map(|at| {
            value!({ "name": format!("g{at}"), "who": { "anyone": true }, "actions": "cruds", "types": ["*"],
                "criteria": format!("_id={}", ids.join(",")) })
        })
        .collect();
    let limits = Limits::default();
    let surroundings = Surroundings {
        model,
        limits: &limits,
        own_bases: &[],
        customs: Customs::NONE,
        consents: Consents::none(),
        now: Micros(0),
    };
    let policy = |grants: &[Value]| {
        let document = Document::parse(&value!({ "grants": grants }).to_string()).unwrap();
        Policy::new(1, document, model).unwrap()
    };
    policy(&grants[..5]).check(&surroundings).unwrap();
    let refused = policy(&grants).check(&surroundings).unwrap_err();
    assert!(refused.0[0].problem.contains("conditions"), "{refused:?}");
    // What one caller is given is bounded too, if such a document is there.
    let roles = [RoleAt::parse("clinician").unwrap()];
    let facts = RequestFacts {
        at: Micros(0),
        from: None,
        reason: None,
        stepped_up: false,
    };
    let rights = policy(&grants).suppose(&Subject::holding(&roles), &facts, &surroundings);
    assert!(rights.bytes() < 32 << 20, "{}", rights.bytes());
    let mut long = grants[0].clone();
    long["when"] = value!("true".repeat(300_000));
    assert!(Document::parse(&value!({ "grants": [long] }).to_string()).is_err());
    let mut typo =
        value!({ "name": "g", "who": { "anyone": true }, "actions": "rs", "types": ["*"] });
    for (hide, good) in [("telecom", true), ("telecoms", false), ("meta", false)] {
        typo["hide"] = value!([hide]);
        let checked = policy(std::slice::from_ref(&typo)).check(&surroundings);
        assert_eq!(checked.is_ok(), good, "{hide}");
    }
}
