//! Resources, consents and policies by chance.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::consents::CONFIDENTIALITY;
use super::text::{
    By, CHARTS, CRITERIA, ELEMENTS, Grant, LabelsSaid, Said, Who, day, instant, whens,
};

pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (n.max(1) as u64)).unwrap()
    }

    pub(super) fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// In one of so many cases.
    pub(super) fn in_one_of(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.in_one_of(3)).then(|| make(self))
    }
}

/// A resource, with what is left out left out.
fn put(resource: &mut Value, path: &str, value: Option<Value>) {
    if let Some(value) = value {
        resource[path] = value;
    }
}

/// What is nowhere else: where it is told, the element is.
pub(super) fn mark(of: &str, element: &str) -> String {
    format!("told-{}-{element}-end", of.replace('/', "-")).replace("[x]", "")
}

/// What grants are of.
const ACTIONS: [&str; 14] = [
    "rs", "cruds", "cruds", "cruds", "r", "s", "rsu", "us", "c", "x", "rsx", "l", "el", "crudsx",
];

fn refers(to: &str, of: &str, element: &str) -> Value {
    json!({ "reference": to, "display": mark(of, element) })
}

fn some<T: std::fmt::Display>(dice: &mut Dice, of: T, n: usize) -> String {
    format!("{of}{}", dice.below(n))
}

fn meta(dice: &mut Dice, resource: &mut Value) {
    if !dice.in_one_of(3) {
        return;
    }
    let labels = [
        (CONFIDENTIALITY, "R"),
        (CONFIDENTIALITY, "L"),
        (CONFIDENTIALITY, "V"),
        ("urn:other", "R"),
        ("urn:other", "L"),
        ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "HIV"),
        ("urn:other", "PSY"),
    ];
    let count = 1 + dice.below(2);
    let labels: Vec<Value> = (0..count)
        .map(|_| {
            let (system, code) = dice.one(&labels);
            json!({ "system": system, "code": code })
        })
        .collect();
    resource["meta"] = json!({ "security": labels });
}

pub(super) fn patient(dice: &mut Dice, id: &str, clients: &[String]) -> Value {
    let of = format!("Patient/{id}");
    let family = *dice.one(&["Al", "Bo", "Cy"]);
    let mut patient = json!({ "resourceType": "Patient", "id": id, "active": true,
        "name": [{ "family": family, "given": [mark(&of, "name")] }] });
    let at =
        |dice: &mut Dice, name: &str, element: &str| refers(&some(dice, name, 3), &of, element);
    put(
        &mut patient,
        "gender",
        dice.maybe(|d| json!(d.one(&["male", "female", "other"]))),
    );
    put(
        &mut patient,
        "birthDate",
        dice.maybe(|d| json!(format!("19{}0-01-01", 5 + d.below(4)))),
    );
    put(
        &mut patient,
        "telecom",
        dice.maybe(|_| json!([{ "system": "phone", "value": mark(&of, "telecom") }])),
    );
    put(
        &mut patient,
        "identifier",
        dice.maybe(|d| {
            json!([{ "system": "urn:client", "value": d.one(clients),
            "assigner": { "display": mark(&of, "identifier") } }])
        }),
    );
    put(
        &mut patient,
        "managingOrganization",
        dice.maybe(|d| at(d, "Organization/o", "managingOrganization")),
    );
    put(
        &mut patient,
        "generalPractitioner",
        dice.maybe(|d| json!([at(d, "Practitioner/d", "generalPractitioner")])),
    );
    if dice.in_one_of(3) {
        let told = mark(&of, "text");
        patient["text"] = json!({ "status": "generated",
            "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{told}</div>") });
    }
    meta(dice, &mut patient);
    patient
}

pub(super) fn observation(dice: &mut Dice, id: &str) -> Value {
    let of = format!("Observation/{id}");
    let mut it = json!({ "resourceType": "Observation", "id": id,
        "status": dice.one(&["final", "amended"]),
        "code": { "coding": [{ "system": "urn:c", "code": dice.one(&["x", "y", "z"]) }] } });
    let subject = (!dice.in_one_of(6)).then(|| refers(&some(dice, "Patient/p", 5), &of, "subject"));
    put(&mut it, "subject", subject);
    put(
        &mut it,
        "valueString",
        dice.maybe(|_| json!(mark(&of, "value[x]"))),
    );
    put(
        &mut it,
        "note",
        dice.maybe(|_| json!([{ "text": mark(&of, "note") }])),
    );
    put(
        &mut it,
        "performer",
        dice.maybe(|d| json!([refers(&some(d, "Practitioner/d", 3), &of, "performer")])),
    );
    put(
        &mut it,
        "effectiveDateTime",
        dice.maybe(|d| json!(format!("2026-01-0{}", 1 + d.below(9)))),
    );
    meta(dice, &mut it);
    it
}

pub(super) fn encounter(dice: &mut Dice, id: &str) -> Value {
    let of = format!("Encounter/{id}");
    let mut it = json!({ "resourceType": "Encounter", "id": id,
        "status": dice.one(&["finished", "planned"]), "class": { "code": "AMB" },
        "subject": refers(&some(dice, "Patient/p", 5), &of, "subject") });
    put(
        &mut it,
        "participant",
        dice.maybe(
            |d| json!([{ "individual": refers(&some(d, "Practitioner/d", 3), &of, "participant") }]),
        ),
    );
    put(
        &mut it,
        "serviceProvider",
        dice.maybe(|d| refers(&some(d, "Organization/o", 3), &of, "serviceProvider")),
    );
    put(&mut it, "location", dice.maybe(places));
    put(
        &mut it,
        "identifier",
        dice.maybe(|_| json!([{ "value": mark(&of, "identifier") }])),
    );
    meta(dice, &mut it);
    it
}

/// Where an encounter is: at one place or two, of which some are only planned.
pub(super) fn places(dice: &mut Dice) -> Value {
    let count = 1 + dice.below(2);
    let one = |dice: &mut Dice| {
        let mut it = json!({ "location": { "reference": some(dice, "Location/l", 3) } });
        let status = [
            None,
            None,
            Some("active"),
            Some("completed"),
            Some("planned"),
            Some("reserved"),
        ];
        put(&mut it, "status", dice.one(&status).map(|s| json!(s)));
        it
    };
    (0..count).map(|_| one(dice)).collect()
}

/// Who cares for a patient, and when.
pub(super) fn care_team(dice: &mut Dice, id: &str, now: i64) -> Value {
    let status = dice.one(&["active", "active", "active", "inactive", "proposed"]);
    let mut it = json!({ "resourceType": "CareTeam", "id": id, "status": status,
        "subject": { "reference": some(dice, "Patient/p", 5) } });
    let count = 1 + dice.below(2);
    let member = |dice: &mut Dice| {
        let of = if dice.in_one_of(6) {
            "Organization/o"
        } else {
            "Practitioner/d"
        };
        let mut one = json!({ "member": { "reference": some(dice, of, 3) } });
        let at = dice.in_one_of(2).then(|| days(dice, now));
        put(&mut one, "period", at);
        one
    };
    it["participant"] = (0..count).map(|_| member(dice)).collect();
    let at = dice.in_one_of(3).then(|| days(dice, now));
    put(&mut it, "period", at);
    meta(dice, &mut it);
    it
}

/// An instant or a day of about now.
fn moment(dice: &mut Dice, now: i64) -> Value {
    let hours = 12 * 3_600_000_000;
    let at = now + hours * (2 * i64::try_from(dice.below(6)).unwrap() - 5);
    match dice.in_one_of(2) {
        true => json!(instant(at)),
        // One that is over, or to come everywhere.
        false => json!(day(at + hours * if at > now { 2 } else { -2 })),
    }
}

/// The code system of a code, another one, or none.
fn coded(dice: &mut Dice, system: &str, code: &str) -> Value {
    match dice.below(6) {
        0 => json!({ "system": "urn:own", "code": code }),
        1 | 2 => json!({ "system": system, "code": code }),
        _ => json!({ "code": code }),
    }
}

/// A few days, which may be over or to come.
fn days(dice: &mut Dice, now: i64) -> Value {
    let days = 86_400_000_000;
    let from = now + days * (i64::try_from(dice.below(7)).unwrap() - 4);
    json!({ "start": day(from), "end": day(from + 2 * days) })
}

pub(super) fn practitioner(id: &str) -> Value {
    let told = mark(&format!("Practitioner/{id}"), "name");
    json!({ "resourceType": "Practitioner", "id": id, "name": [{ "family": "Dr", "given": [told] }] })
}

pub(super) fn organization(id: &str, name: &str, part_of: Option<&str>) -> Value {
    let mut it = json!({ "resourceType": "Organization", "id": id, "name": name });
    put(
        &mut it,
        "partOf",
        part_of.map(|of| json!({ "reference": of })),
    );
    it
}

pub(super) fn location(id: &str, within: &str) -> Value {
    let mut it = json!({ "resourceType": "Location", "id": id, "name": id });
    let element = match within.starts_with("Location/") {
        true => "partOf",
        false => "managingOrganization",
    };
    it[element] = json!({ "reference": within });
    it
}

pub(super) fn consent(dice: &mut Dice, id: &str, now: i64) -> Value {
    let category = json!([{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }]);
    let mut it = json!({ "resourceType": "Consent", "id": id,
        "status": if dice.in_one_of(8) { "inactive" } else { "active" },
        "scope": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/consentscope",
            "code": "patient-privacy" }] },
        "category": category, "dateTime": "2026-01-01",
        "patient": { "reference": some(dice, "Patient/p", 5) } });
    let said: [&[bool]; 6] = [&[], &[], &[], &[true], &[false], &[true, false]];
    let verified = *dice.one(&said);
    if !verified.is_empty() {
        let each = verified.iter().map(|said| {
            let mut one = json!({ "verified": said });
            put(&mut one, "verificationDate", dice.maybe(|d| moment(d, now)));
            one
        });
        it["verification"] = each.collect();
    }
    if dice.in_one_of(6) {
        it["dateTime"] = moment(dice, now);
    }
    let rule = *dice.one(&[None, None, Some("OPTIN"), Some("OPTOUT")]);
    put(&mut it, "policyRule", rule.map(|code| {
        json!({ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code }] })
    }));
    if dice.in_one_of(3) {
        let (_, to) = actor(dice);
        it["provision"] = json!({ "type": "permit", "actor": to });
    } else if rule.is_none() || !dice.in_one_of(4) {
        let kind = dice.one(&["deny", "deny", "permit"]);
        it["provision"] = provision(dice, Some(kind), now, 0);
        let exceptions = it["provision"]["provision"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let same = exceptions
            .iter()
            .all(|e| e["type"] == exceptions[0]["type"]);
        let told = rule.is_some() || !exceptions.is_empty() && same;
        let says_more = it["provision"].as_object().unwrap().len() > 1;
        if told && says_more && dice.in_one_of(3) {
            it["provision"].as_object_mut().unwrap().remove("type");
        }
    }
    it
}

fn provision(dice: &mut Dice, kind: Option<&str>, now: i64, depth: usize) -> Value {
    let mut it = json!({});
    put(&mut it, "type", kind.map(|k| json!(k)));
    for _ in 0..dice.below(3) {
        let (name, said) = condition(dice, now);
        it[name] = said;
    }
    if depth < 2 && !dice.in_one_of(3) {
        let count = 1 + dice.below(2);
        let inner = |dice: &mut Dice| {
            let kind = *dice.one(&["permit", "permit", "deny"]);
            provision(dice, Some(kind), now, depth + 1)
        };
        it["provision"] = (0..count).map(|_| inner(dice)).collect();
    }
    it
}

fn actor(dice: &mut Dice) -> (&'static str, Value) {
    let role = if dice.in_one_of(8) { "AUT" } else { "PRCP" };
    let to = match dice.below(6) {
        0 | 1 => some(dice, "Practitioner/d", 3),
        2..=4 => some(dice, "Organization/o", 3),
        _ => "CareTeam/t".to_owned(),
    };
    let system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
    let role = json!({ "coding": [coded(dice, system, role)] });
    let mut one = json!({ "role": role, "reference": { "reference": to } });
    if dice.in_one_of(8) {
        one["modifierExtension"] = json!([{ "url": "urn:x", "valueBoolean": true }]);
    }
    ("actor", json!([one]))
}

fn condition(dice: &mut Dice, now: i64) -> (&'static str, Value) {
    match dice.below(9) {
        0..=2 => actor(dice),
        3 => {
            let of = dice.one(&["Observation", "Patient", "Encounter", "Resource"]);
            (
                "class",
                json!([{ "system": "http://hl7.org/fhir/resource-types", "code": of }]),
            )
        }
        4 => {
            let act = dice.one(&["access", "collect", "correct", "use"]);
            let system = "http://terminology.hl7.org/CodeSystem/consentaction";
            ("action", json!([{ "coding": [coded(dice, system, act)] }]))
        }
        5 => {
            let labels = [
                (CONFIDENTIALITY, "R"),
                (CONFIDENTIALITY, "N"),
                (CONFIDENTIALITY, "L"),
                ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "HIV"),
            ];
            let (system, code) = dice.one(&labels);
            let system = match *code {
                // In whatever system it stands.
                "HIV" => json!({ "code": code }),
                _ => json!({ "system": system, "code": code }),
            };
            ("securityLabel", json!([system]))
        }
        6 => {
            let code = dice.one(&["TREAT", "HPAYMT", "HRESCH"]);
            let system = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
            ("purpose", json!([coded(dice, system, code)]))
        }
        7 => match dice.below(3) {
            0 => (
                "code",
                json!([{ "coding": [{ "system": "urn:c", "code": dice.one(&["x", "y"]) }] }]),
            ),
            1 => ("dataPeriod", json!({ "start": "2026-01-05" })),
            _ => {
                let to = some(dice, "Observation/b", 8);
                (
                    "data",
                    json!([{ "meaning": "instance", "reference": { "reference": to } }]),
                )
            }
        },
        _ => ("period", days(dice, now)),
    }
}

const ROLES: &[&str] = &["clinician", "nurse", "patient"];
const TYPES: &[&str] = &[
    "Patient",
    "Observation",
    "Encounter",
    "Practitioner",
    "Organization",
    "Location",
];
const GROUPS: &[&str] = &["night", "lab"];

fn who(dice: &mut Dice, people: &[String], clients: &[String]) -> Who {
    let mut who = Who::default();
    match dice.below(11) {
        10 => who.groups = vec![*dice.one(GROUPS)],
        0..=5 => {
            if dice.in_one_of(8) {
                who.groups = GROUPS.to_vec();
            }
            who.roles = vec![*dice.one(ROLES)];
            if dice.in_one_of(2) {
                who.roles = ROLES[..2].to_vec();
            }
        }
        6 => who.person = Some(dice.one(people).clone()),
        7 => who.client = Some(dice.one(clients).clone()),
        8 => match dice.below(2) {
            0 => who.everybody = true,
            _ => who.every_client = true,
        },
        _ => who.anyone = true,
    }
    who
}

fn grant(dice: &mut Dice, at: usize, people: &[String], clients: &[String], now: i64) -> Grant {
    let denies = dice.in_one_of(4);
    let of = *dice.one(TYPES);
    let mut grant = Grant {
        name: format!("g{at}"),
        denies,
        who: who(dice, people, clients),
        actions: ACTIONS[dice.below(ACTIONS.len())],
        types: vec![of],
        criteria: None,
        within: None,
        by: None,
        hide: Vec::new(),
        keep: Vec::new(),
        when: None,
        network: dice.in_one_of(8),
        reason: !denies && dice.in_one_of(8),
        glass: false,
    };
    match dice.below(6) {
        0 => grant.types = vec!["*"],
        1 => grant.types = TYPES[..3].to_vec(),
        _ => {}
    }
    let fits = |c: &&super::text::Criterion| match grant.types.as_slice() {
        [one] => c.of == *one,
        _ => c.of == "*",
    };
    let criteria: Vec<_> = CRITERIA.iter().filter(fits).collect();
    if !criteria.is_empty() && !dice.in_one_of(4) {
        grant.criteria = Some(*dice.one(&criteria));
    }
    let charts = grant
        .types
        .iter()
        .all(|t| !matches!(*t, "Practitioner" | "Organization" | "Location"));
    if charts && dice.in_one_of(3) {
        grant.within = Some(dice.one(CHARTS));
    }
    // A refusal of an operation is one of all of it.
    if denies && grant.actions.contains(['e', 'l']) {
        (grant.criteria, grant.within) = (None, None);
    }
    if !denies && dice.in_one_of(2) {
        grant.by = Some(match dice.below(6) {
            0 | 1 if charts => By::Consent,
            2 if charts => By::CareTeam,
            3 | 4 if charts => By::Facility,
            _ => By::Network,
        });
    }
    let has = |of: &str| matches!(grant.types.as_slice(), ["*"]) || grant.types.contains(&of);
    let elements: Vec<(&str, &str)> = ELEMENTS
        .iter()
        .filter(|e| has(e.0))
        .map(|e| (e.0, e.1))
        .collect();
    if !denies && !elements.is_empty() {
        let some = |dice: &mut Dice| -> Vec<(&'static str, &'static str)> {
            (0..=dice.below(2)).map(|_| *dice.one(&elements)).collect()
        };
        if dice.in_one_of(2) {
            grant.hide = some(dice);
        }
        if dice.in_one_of(5) {
            grant.keep = some(dice);
        }
    }
    if dice.in_one_of(4) {
        let mut whens = whens(now);
        let at = dice.below(whens.len());
        grant.when = Some(whens.swap_remove(at));
    }
    grant
}

/// A grant as ready policies have them: to those who treat, everything in the charts that are opened to them.
fn treats(dice: &mut Dice) -> Grant {
    Grant {
        name: "charts".to_owned(),
        denies: false,
        who: Who {
            roles: ROLES[..2].to_vec(),
            ..Who::default()
        },
        actions: "cruds",
        types: vec!["*"],
        criteria: None,
        within: None,
        by: Some(*dice.one(&[By::Consent, By::Consent, By::CareTeam, By::Facility])),
        hide: Vec::new(),
        keep: Vec::new(),
        when: None,
        network: false,
        reason: false,
        glass: false,
    }
}

pub(super) fn policy(dice: &mut Dice, people: &[String], clients: &[String], now: i64) -> Said {
    let treated = dice.in_one_of(2);
    let count = if treated {
        dice.below(4)
    } else {
        3 + dice.below(6)
    };
    let mut grants: Vec<Grant> = (0..count)
        .map(|at| grant(dice, at, people, clients, now))
        .collect();
    if treated {
        grants.push(treats(dice));
    }
    if dice.in_one_of(2) {
        let mut glass = grant(dice, count, people, clients, now);
        let places = |t: &&'static str| matches!(*t, "Practitioner" | "Organization" | "Location");
        glass.by = None;
        if !glass.denies && !glass.types.iter().any(places) {
            // What was opened under it is not open under one of another policy.
            glass.name = format!("glass{}", dice.below(1_000_000_000));
            glass.glass = true;
            grants.push(glass);
        }
    }
    let purposes: [&[(&str, &[&str])]; 3] = [
        &[],
        &[("*", &["TREAT"])],
        &[
            ("clinician", &["TREAT"]),
            ("nurse", &["HPAYMT"]),
            ("patient", &["PATRQT"]),
        ],
    ];
    let asks = grants.iter().any(|grant| grant.by == Some(By::Consent));
    let consents = (asks || dice.in_one_of(2)).then(|| {
        let said = dice.one(&purposes).iter();
        said.map(|(role, of)| (*role, of.to_vec()))
            .collect::<BTreeMap<_, _>>()
    });
    let labels = dice.in_one_of(2).then(|| {
        let marks = [
            vec![],
            vec![("clinician", 4), ("nurse", 2)],
            vec![("*", 3), ("nurse", 5)],
            vec![("*", 1), ("clinician", 3)],
        ];
        let kinds = [
            vec![],
            vec![("PSY", "nurse")],
            vec![("HIV", "clinician"), ("PSY", "nurse")],
        ];
        LabelsSaid {
            marks: dice.one(&marks).clone(),
            sensitivity: dice.one(&kinds).clone(),
        }
    });
    Said {
        grants,
        consents,
        labels,
        opened: None,
    }
}
