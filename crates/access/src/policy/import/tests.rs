mod examples;
mod never_more;

use base::{Limits, Micros, ResourceId};
use fhir::definitions::{FhirVersion, Model};
use fhir::json;
use fhir::search::Customs;
use fhir::search::holds::Beholder;
use proptest::prelude::*;
use serde_json::json as value;

use super::*;
use crate::action::ActionName;
use crate::person::RoleAt;
use crate::policy::{RequestFacts, Rights, Subject};

/// Somebody who asks: as the other platform knows them, and as this one does.
#[derive(Clone, Debug, Default)]
struct Caller {
    person: Option<&'static str>,
    client: Option<&'static str>,
    roles: Vec<&'static str>,
    user: Option<(&'static str, &'static str)>,
    from: Option<&'static str>,
}

fn model() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn around<T>(look: impl FnOnce(&Surroundings<'_>) -> T) -> T {
    let limits = Limits::default();
    look(&Surroundings {
        model: model(),
        limits: &limits,
        own_bases: &[],
        customs: Customs::NONE,
        consents: crate::Consents::none(),
        now: Micros(0),
    })
}

fn imported(from: ImportFrom, document: &Value, options: &ImportOptions) -> Imported {
    around(|surroundings| import(from, std::slice::from_ref(document), options, surroundings))
}

/// What an imported draft gives to somebody.
fn rights(document: &Document, caller: &Caller) -> Rights {
    let policy = Policy::new(1, document.clone(), model()).unwrap();
    let roles: Vec<RoleAt> = caller
        .roles
        .iter()
        .filter_map(|r| RoleAt::parse(r))
        .collect();
    let user = caller
        .user
        .map(|(of, id)| (model().type_id(of).unwrap(), ResourceId::new(id).unwrap()));
    let subject = Subject {
        person: caller.person,
        client: caller.client,
        fhir_user: user.as_ref().map(|(of, id)| (*of, id)),
        ..Subject::holding(&roles)
    };
    let facts = RequestFacts {
        at: Micros(0),
        from: caller.from.map(|a| a.parse().unwrap()),
        reason: None,
        stepped_up: false,
    };
    around(|surroundings| policy.suppose(&subject, &facts, surroundings))
}

fn action_of(name: &str) -> ActionName {
    ActionName::ALL
        .into_iter()
        .find(|a| a.as_str() == name)
        .unwrap()
}

/// Whether rights reach a resource; by which elements they hide of it.
fn reach(rights: &Rights, action: &str, resource: &Value) -> Option<Vec<&'static str>> {
    let type_id = model()
        .type_id(resource["resourceType"].as_str().unwrap())
        .unwrap();
    let action = action_of(action);
    if !rights.allows(action, type_id) {
        return None;
    }
    let Some(rule) = rights.rule(action, type_id) else {
        return Some(Vec::new());
    };
    let text = resource.to_string();
    let document = json::parse(text.as_bytes(), 64).unwrap();
    let eye = Beholder::new(model(), type_id, document.root(), &[]).unwrap();
    let holds = |clause: &fhir::search::query::Clause| eye.holds(clause) == Some(true);
    if !rule.filter().is_none_or(holds) {
        return None;
    }
    let way = rule
        .ways()
        .iter()
        .find(|w| w.clause.as_ref().is_none_or(holds))?;
    let hidden = |name: &&'static str| way.mask.as_ref().is_some_and(|m| m.has(name));
    Some(
        ["birthDate", "name", "code", "telecom"]
            .into_iter()
            .filter(hidden)
            .collect(),
    )
}

fn resources() -> Vec<Value> {
    let patient = |id: &str, gp: &str| {
        value!({ "resourceType": "Patient", "id": id, "active": true, "birthDate": "1990-01-01",
            "generalPractitioner": [{ "reference": gp }],
            "managingOrganization": { "reference": "Organization/o1" } })
    };
    let finding = |id: &str, of: &str, status: &str| {
        value!({ "resourceType": "Observation", "id": id, "status": status,
            "code": { "coding": [{ "system": "http://loinc.org", "code": "718-7" }] },
            "subject": { "reference": of } })
    };
    vec![
        patient("p1", "Practitioner/d1"),
        patient("p2", "Practitioner/d2"),
        patient("Z-9.x", "Practitioner/d2"),
        finding("o1", "Patient/p1", "final"),
        finding("o2", "Patient/p2", "preliminary"),
        value!({ "resourceType": "Organization", "id": "o1", "name": "North" }),
    ]
}

fn callers() -> Vec<Caller> {
    let person = |person, client, roles: &[&'static str], user| Caller {
        person,
        client,
        roles: roles.to_vec(),
        user,
        from: Some("198.51.100.7"),
    };
    vec![
        person(Some("u1"), None, &["nurse"], Some(("Patient", "p1"))),
        person(Some("u1"), Some("c1"), &["nurse"], Some(("Patient", "p1"))),
        person(Some("u2"), None, &[], Some(("Patient", "p2"))),
        person(
            Some("u3"),
            Some("c2"),
            &["doctor", "nurse"],
            Some(("Practitioner", "d1")),
        ),
        person(None, Some("c1"), &[], None),
        person(None, Some("c2"), &["nurse"], None),
    ]
}

const ACTIONS: [&str; 6] = ["read", "search", "history", "create", "update", "delete"];

// Aidbox: what a policy says of requests, looked at without any of what imports them.

fn matches(pattern: &Value, found: &Value, request: &Value) -> bool {
    match pattern {
        Value::String(text) => match text.as_str() {
            "present?" | "not-blank?" => !found.is_null(),
            "nil?" => found.is_null(),
            text if text.starts_with('#') => found
                .as_str()
                .is_some_and(|f| regex::Regex::new(&text[1..]).unwrap().is_match(f)),
            text if text.starts_with('.') => {
                let other = text[1..].split('.').fold(request, |at, name| &at[name]);
                !other.is_null() && other == found
            }
            text => found.as_str() == Some(text),
        },
        Value::Object(members) => members.iter().all(|(name, inner)| match name.as_str() {
            "$enum" | "$one-of" => inner
                .as_array()
                .unwrap()
                .iter()
                .any(|p| matches(p, found, request)),
            "$contains" => found
                .as_array()
                .is_some_and(|all| all.iter().any(|one| matches(inner, one, request))),
            name => matches(inner, &found[name], request),
        }),
        other => other == found,
    }
}

fn valid(schema: &Value, found: &Value) -> bool {
    schema
        .as_object()
        .unwrap()
        .iter()
        .all(|(name, said)| match name.as_str() {
            "const" => found == said,
            "enum" => said.as_array().unwrap().contains(found),
            "pattern" => found.as_str().is_none_or(|f| {
                regex::Regex::new(said.as_str().unwrap())
                    .unwrap()
                    .is_match(f)
            }),
            "required" => said
                .as_array()
                .unwrap()
                .iter()
                .all(|n| !found[n.as_str().unwrap()].is_null()),
            "properties" => {
                said.as_object().unwrap().iter().all(|(n, inner)| {
                    found[n.as_str()].is_null() || valid(inner, &found[n.as_str()])
                })
            }
            "minLength" => found
                .as_str()
                .is_none_or(|f| f.len() as u64 >= said.as_u64().unwrap()),
            _ => true,
        })
}

fn engine(policy: &Value, request: &Value) -> bool {
    match policy["engine"].as_str().unwrap() {
        "allow" => true,
        "matcho" => matches(&policy["matcho"], request, request),
        "json-schema" => valid(&policy["schema"], request),
        "complex" => match (policy["and"].as_array(), policy["or"].as_array()) {
            (Some(all), _) => all.iter().all(|p| engine(p, request)),
            (_, Some(any)) => any.iter().any(|p| engine(p, request)),
            _ => false,
        },
        _ => false,
    }
}

fn lets(policy: &Value, request: &Value) -> bool {
    let linked = policy["link"].as_array().is_none_or(|links| {
        links.iter().any(|link| {
            let (kind, id) = link["reference"].as_str().unwrap().split_once('/').unwrap();
            let of = match kind {
                "User" => &request["user"]["id"],
                "Client" => &request["client"]["id"],
                _ => &request["operation"]["id"],
            };
            of == id
        })
    });
    linked && engine(policy, request)
}

/// Requests of the other platform that do this to a resource.
fn requests(caller: &Caller, action: &str, resource: &Value) -> Vec<Value> {
    let (of, id) = (
        resource["resourceType"].as_str().unwrap(),
        resource["id"].as_str().unwrap(),
    );
    let one = value!({ "resource/type": of, "resource/id": id });
    let of_type = value!({ "resource/type": of });
    let (method, tail, operation, params) = match action {
        "read" => ("get", format!("/{id}"), "FhirRead", one),
        "history" => ("get", format!("/{id}/_history"), "FhirHistory", one),
        "update" => ("put", format!("/{id}"), "FhirUpdate", one),
        "delete" => ("delete", format!("/{id}"), "FhirDelete", one),
        "create" => ("post", String::new(), "FhirCreate", of_type),
        _ => ("get", String::new(), "FhirSearch", of_type),
    };
    let mut all = vec![params.clone()];
    if action == "search" {
        let subject = resource["subject"]["reference"].as_str();
        let patient = subject.and_then(|s| s.strip_prefix("Patient/"));
        for (name, text) in [
            ("_id", Some(id)),
            ("patient", patient),
            ("status", resource["status"].as_str()),
        ] {
            if let Some(text) = text {
                let mut with = params.clone();
                with[name] = value!(text);
                all.push(with);
            }
        }
    }
    let roles: Vec<Value> = caller
        .roles
        .iter()
        .map(|r| value!({ "value": r }))
        .collect();
    let user = caller.person.map(|id| {
        let patient = caller
            .user
            .filter(|(of, _)| *of == "Patient")
            .map(|(_, id)| id);
        value!({ "id": id, "roles": roles, "data": { "patient_id": patient } })
    });
    all.into_iter()
        .map(|params| {
            value!({ "request-method": method, "uri": format!("/fhir/{of}{tail}"), "params": params,
                "operation": { "id": operation }, "user": user,
                "client": caller.client.map(|id| value!({ "id": id })),
                "remote-addr": caller.from })
        })
        .collect()
}

/// Whatever the draft gives, the policy that it was made of gives.
fn never_wider(policy: &Value) {
    let made = imported(ImportFrom::Aidbox, policy, &ImportOptions::default());
    for caller in callers() {
        let rights = rights(&made.document, &caller);
        for resource in resources() {
            for action in ACTIONS {
                if reach(&rights, action, &resource).is_none() {
                    continue;
                }
                let asked = requests(&caller, action, &resource);
                assert!(
                    asked.iter().any(|request| lets(policy, request)),
                    "{action} {} by {caller:?}\n{policy:#}\n{:#?}",
                    resource["id"],
                    made.document
                );
            }
        }
    }
}

fn matcho_policies() -> impl Strategy<Value = Value> {
    let some = |all: Vec<Value>| prop::sample::select(all);
    (
        some(vec![
            Value::Null,
            value!("get"),
            value!({ "$enum": ["get", "put"] }),
            value!({ "$one-of": ["post", "delete", "get"] }),
            value!("#get|post"),
        ]),
        some(vec![
            Value::Null,
            value!("/fhir/Patient"),
            value!("/fhir/Patient/p1"),
            value!("#^/fhir/Patient/.*"),
            value!("#/fhir/(Patient|Observation)"),
            value!("#^/fhir/[^/]+/[a-z0-9]+$"),
            value!("#^/fhir/Patient(/.*)?$"),
            value!("#^/fhir/Observation/.{1,2}$"),
            value!("#^/fhir/Observation/[A-Za-z0-9.-]{1,64}$"),
            value!({ "$enum": ["/fhir/Patient", "/fhir/Observation/o1"] }),
        ]),
        some(vec![
            Value::Null,
            value!({ "resource/type": "Patient" }),
            value!({ "resource/type": { "$enum": ["Patient", "Observation"] } }),
            value!({ "resource/type": "Patient", "resource/id": ".user.data.patient_id" }),
            value!({ "patient": ".user.data.patient_id" }),
            value!({ "patient": "p1" }),
            value!({ "status": "final", "patient": "present?" }),
            value!({ "_include": "nil?" }),
        ]),
        some(vec![
            Value::Null,
            value!("present?"),
            value!({ "id": "u1" }),
            value!({ "id": { "$enum": ["u1", "u3"] } }),
            value!({ "roles": { "$contains": { "value": "nurse" } } }),
            value!({ "data": { "department": "er" } }),
        ]),
        some(vec![
            Value::Null,
            value!({ "id": "c1" }),
            value!("present?"),
        ]),
        some(vec![
            Value::Null,
            Value::Null,
            value!({ "headers": { "x-app": "desk" } }),
            value!({ "body": { "status": "final" } }),
            value!({ "remote-addr": "198.51.100.7" }),
            value!({ "remote-addr": "192.0.2.1" }),
        ]),
    )
        .prop_map(|(method, uri, params, user, client, more)| {
            let mut pattern = serde_json::Map::new();
            for (name, part) in [
                ("request-method", method),
                ("uri", uri),
                ("params", params),
                ("user", user),
                ("client", client),
            ] {
                if !part.is_null() {
                    pattern.insert(name.to_owned(), part);
                }
            }
            pattern.extend(more.as_object().cloned().unwrap_or_default());
            value!({ "engine": "matcho", "matcho": pattern })
        })
}

fn schema_policies() -> impl Strategy<Value = Value> {
    let some = |all: Vec<Value>| prop::sample::select(all);
    (
        some(vec![
            value!({ "const": "get" }),
            value!({ "enum": ["get", "post"] }),
            value!({}),
            value!({ "type": "string", "minLength": 4 }),
        ]),
        some(vec![
            value!({ "type": "string", "pattern": "^/fhir/Patient(/[^/]+)?$" }),
            value!({ "pattern": "Observation" }),
            value!({ "const": "/fhir/Observation" }),
        ]),
        some(vec![
            Value::Null,
            value!({ "type": "object", "required": ["id"], "properties": { "id": { "const": "u1" } } }),
            value!({ "type": "object", "required": ["id"] }),
        ]),
        any::<bool>(),
    )
        .prop_map(|(method, uri, user, required)| {
            let mut properties = value!({ "request-method": method, "uri": uri });
            let mut names = vec!["uri", "request-method"];
            if !user.is_null() {
                properties["user"] = user;
                if required {
                    names.push("user");
                }
            }
            value!({ "engine": "json-schema",
                "schema": { "type": "object", "required": names, "properties": properties } })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_aidbox_policy_is_never_wider_here(
        one in prop_oneof![matcho_policies(), schema_policies()],
        other in prop_oneof![matcho_policies(), schema_policies()],
        shape in 0..4,
        link in prop::sample::select(vec!["", "User/u1", "Client/c1", "Operation/FhirRead"]),
    ) {
        let mut policy = match shape {
            0 | 1 => one,
            2 => value!({ "engine": "complex", "and": [one, other] }),
            _ => value!({ "engine": "complex", "or": [one, other] }),
        };
        policy["resourceType"] = value!("AccessPolicy");
        policy["id"] = value!("any");
        if !link.is_empty() {
            policy["link"] = value!([{ "reference": link }]);
        }
        never_wider(&policy);
    }

    #[test]
    fn a_medplum_policy_is_never_wider_here(
        entries in prop::collection::vec(entry(), 1..4),
        rules in prop::sample::select(vec![
            Value::Null,
            value!([{ "value": "198.51.100.0/24", "action": "allow" }, { "value": "*", "action": "block" }]),
            value!([{ "value": "203.0.113.9", "action": "allow" }, { "value": "*", "action": "block" }]),
            value!([{ "value": "198.51.100.7", "action": "block" }]),
            value!([{ "value": "198.51.100.7", "action": "allow" }, { "value": "198.51.0.0/16", "action": "block" }]),
        ]),
    ) {
        let mut policy = value!({ "resourceType": "AccessPolicy", "name": "any", "resource": entries });
        if !rules.is_null() {
            policy["ipAccessRule"] = rules;
        }
        let options = ImportOptions { role: Some("nurse".to_owned()), ..ImportOptions::default() };
        let made = imported(ImportFrom::Medplum, &policy, &options);
        for caller in callers() {
            let rights = rights(&made.document, &caller);
            for resource in resources() {
                for action in ACTIONS {
                    let Some(hidden) = reach(&rights, action, &resource) else { continue };
                    let given = medplum_gives(&policy, &caller, action, &resource);
                    let given = given.unwrap_or_else(|| panic!(
                        "{action} {} by {caller:?}\n{policy:#}", resource["id"]));
                    for name in given {
                        prop_assert!(hidden.contains(&name.as_str()), "{} shows {}", policy, name);
                    }
                }
            }
        }
    }
}

fn entry() -> impl Strategy<Value = Value> {
    let some = |all: Vec<Value>| prop::sample::select(all);
    (
        some(vec![
            value!({ "resourceType": "Patient" }),
            value!({ "resourceType": "Patient", "criteria": "Patient?_id=p1" }),
            value!({ "resourceType": "Patient", "criteria": "Patient?general-practitioner=%profile" }),
            value!({ "resourceType": "Patient", "criteria": "Patient?organization=%somewhere" }),
            value!({ "resourceType": "Patient", "criteria": "Patient?_compartment=%patient" }),
            value!({ "resourceType": "Observation", "criteria": "Observation?_compartment=%patient" }),
            value!({ "resourceType": "Observation", "criteria": "Observation?status=final" }),
            value!({ "resourceType": "Observation", "criteria": "Observation?status:not=final" }),
            value!({ "resourceType": "*" }),
            value!({ "resourceType": "*", "criteria": "*?_compartment=Patient/p1" }),
        ]),
        some(vec![
            value!({}),
            value!({ "readonly": true }),
            value!({ "interaction": ["read", "search"] }),
            value!({ "interaction": ["create", "update"] }),
            value!({ "interaction": ["read"], "readonly": true }),
        ]),
        some(vec![
            value!({}),
            value!({ "hiddenFields": ["birthDate"] }),
            value!({ "hiddenFields": ["name.family", "telecom"] }),
            value!({ "readonlyFields": ["birthDate"] }),
            value!({ "writeConstraint": [{ "language": "text/fhirpath", "expression": "false" }] }),
            value!({ "somethingElse": true }),
        ]),
    )
        .prop_map(|(mut entry, actions, more)| {
            for part in [actions, more] {
                for (name, said) in part.as_object().cloned().unwrap_or_default() {
                    entry[name] = said;
                }
            }
            // Only Patients have birthdays here.
            let fields = entry.get("hiddenFields").or_else(|| entry.get("readonlyFields"));
            if fields.is_some() && entry["resourceType"] == "Observation" {
                entry.as_object_mut().unwrap().remove("hiddenFields");
                entry.as_object_mut().unwrap().remove("readonlyFields");
            }
            entry
        })
}

/// Whether a policy gives this, and which elements it hides then: by the first entry that does.
fn medplum_gives(
    policy: &Value,
    caller: &Caller,
    action: &str,
    resource: &Value,
) -> Option<Vec<String>> {
    if !caller.roles.contains(&"nurse") {
        return None;
    }
    let blocked = match policy["ipAccessRule"].as_array() {
        None => false,
        Some(rules) => rules
            .iter()
            .find(|r| {
                matches!(
                    r["value"].as_str().unwrap(),
                    "*" | "198.51.100.0/24" | "198.51.0.0/16" | "198.51.100.7"
                )
            })
            .is_some_and(|r| r["action"] == "block"),
    };
    if blocked {
        return None;
    }
    let of = |entry: &&Value| {
        let type_name = entry["resourceType"].as_str().unwrap();
        let interactions = entry["interaction"].as_array();
        let writes = !matches!(action, "read" | "search" | "history");
        (type_name == "*" || resource["resourceType"] == type_name)
            && interactions.is_none_or(|all| all.iter().any(|i| i == action))
            && !(writes && entry["readonly"] == true)
            && !(writes && entry.get("writeConstraint").is_some())
            && entry.get("somethingElse").is_none()
            && entry["criteria"]
                .as_str()
                .is_none_or(|c| criteria(c, caller, resource))
    };
    let entry = policy["resource"].as_array().unwrap().iter().find(of)?;
    let hidden = entry["hiddenFields"].as_array().into_iter().flatten();
    let hidden = hidden.map(|f| f.as_str().unwrap().split('.').next().unwrap().to_owned());
    let patient = resource["resourceType"] == "Patient";
    Some(hidden.filter(|_| patient).collect())
}

fn criteria(text: &str, caller: &Caller, resource: &Value) -> bool {
    let own = caller.user.map(|(of, id)| format!("{of}/{id}"));
    let about = |patient: &str| {
        let itself = resource["resourceType"] == "Patient"
            && patient == format!("Patient/{}", resource["id"].as_str().unwrap());
        itself || resource["subject"]["reference"] == patient
    };
    match text.split_once('?').unwrap().1 {
        "_id=p1" => resource["id"] == "p1",
        "general-practitioner=%profile" => {
            own.is_some_and(|own| resource["generalPractitioner"][0]["reference"] == own)
        }
        "_compartment=%patient" => {
            own.is_some_and(|own| own.starts_with("Patient/") && about(&own))
        }
        "_compartment=Patient/p1" => about("Patient/p1"),
        "status=final" => resource["status"] == "final",
        "status:not=final" => resource["status"] != "final",
        _ => false,
    }
}

// What a reader of the draft sees.

fn line<'i>(made: &'i Imported, pointer: &str, outcome: ImportOutcome) -> &'i str {
    let found = made
        .report
        .iter()
        .find(|l| l.pointer == pointer && l.outcome == outcome);
    found.map_or_else(
        || panic!("{pointer} {outcome:?} in {:#?}", made.report),
        |l| &l.text,
    )
}

fn gives(made: &Imported, caller: &Caller, action: &str, id: &str) -> bool {
    let all = resources();
    let resource = all
        .iter()
        .find(|r| r["id"] == id && r["resourceType"] != "Organization");
    reach(&rights(&made.document, caller), action, resource.unwrap()).is_some()
}
