//! Policies of other platforms as their makers show them.

use super::*;

#[test]
fn a_practitioners_role_reads_patients() {
    let policy = value!({ "resourceType": "AccessPolicy", "id": "ward-nurses", "engine": "matcho",
        "roleName": "Nurse",
        "matcho": { "uri": "#^/fhir/(Patient|Observation)(/.*)?$", "request-method": "get" } });
    let made = imported(ImportFrom::Aidbox, &policy, &ImportOptions::default());
    let [nurse, _, other, ..] = &callers()[..] else {
        panic!()
    };
    assert!(gives(&made, nurse, "read", "p1") && gives(&made, nurse, "search", "o2"));
    assert!(!gives(&made, nurse, "update", "p1") && !gives(&made, other, "read", "p1"));
    assert!(line(&made, "/roleName", ImportOutcome::Assumed).contains("\"nurse\""));
    assert_eq!(made.document.grants[0].types, ["Observation", "Patient"]);
}

#[test]
fn a_patient_reads_their_own_record_and_what_is_about_them() {
    let policy = value!({ "resourceType": "AccessPolicy", "id": "portal", "engine": "complex", "or": [
        { "engine": "matcho", "matcho": { "operation": { "id": "FhirRead" },
            "params": { "resource/type": "Patient", "resource/id": ".user.data.patient_id" } } },
        { "engine": "matcho", "matcho": { "uri": "/fhir/Observation", "request-method": "get",
            "params": { "patient": ".user.data.patient_id" } } },
        { "engine": "sql", "sql": { "query": "select true" } } ] });
    let made = imported(ImportFrom::Aidbox, &policy, &ImportOptions::default());
    let [own, _, other, ..] = &callers()[..] else {
        panic!()
    };
    assert!(gives(&made, own, "read", "p1") && !gives(&made, own, "read", "p2"));
    assert!(gives(&made, other, "read", "p2") && !gives(&made, other, "read", "p1"));
    assert!(gives(&made, own, "search", "o1") && !gives(&made, own, "search", "o2"));
    assert!(!gives(&made, own, "read", "o1"));
    line(&made, "/or/2/sql", ImportOutcome::LeftOut);
}

#[test]
fn what_narrows_and_is_not_known_leaves_the_policy_out() {
    let none = |policy: Value, pointer: &str| {
        let mut policy = policy;
        policy["resourceType"] = value!("AccessPolicy");
        let made = imported(ImportFrom::Aidbox, &policy, &ImportOptions::default());
        assert!(made.document.grants.is_empty(), "{policy:#}");
        line(&made, pointer, ImportOutcome::Refused);
    };
    none(
        value!({ "engine": "sql", "sql": { "query": "select true" } }),
        "/sql",
    );
    none(
        value!({ "engine": "clj", "clj": "(fn [r] true)" }),
        "/engine",
    );
    none(value!({ "engine": "allow", "type": "rpc" }), "/type");
    none(value!({ "engine": "allow", "onlyOn": "Sunday" }), "/onlyOn");
    none(
        value!({ "engine": "matcho", "matcho": { "headers": { "x-app": "desk" } } }),
        "/matcho/headers/x-app",
    );
    none(
        value!({ "engine": "matcho", "matcho": { "params": { "_include": "nil?" } } }),
        "/matcho/params/_include",
    );
    none(
        value!({ "engine": "matcho", "matcho": { "user": { "data": { "org": ".params.organization" } } } }),
        "/matcho/user/data/org",
    );
    none(
        value!({ "engine": "json-schema", "schema": { "properties": { "uri": { "not": { "const": "/x" } } } } }),
        "/schema/properties/uri/not",
    );
    none(
        value!({ "engine": "complex", "and": [{ "engine": "allow" }, { "engine": "sql", "sql": {} }] }),
        "/and/1/sql",
    );
    none(
        value!({ "engine": "matcho", "matcho": { "uri": "#(?!admin)" } }),
        "/matcho/uri",
    );
}

#[test]
fn names_of_the_other_platform_stand_for_what_the_reader_says() {
    let policy = value!({ "resourceType": "AccessPolicy", "id": "site", "engine": "matcho",
        "link": [{ "reference": "User/jane" }],
        "matcho": { "uri": "/fhir/Patient", "request-method": "get",
            "params": { "organization": ".user.data.site" } } });
    let without = imported(ImportFrom::Aidbox, &policy, &ImportOptions::default());
    assert!(without.document.grants.is_empty());
    let names = [(".user.data.site", "%user.facilities"), ("User/jane", "u1")];
    let names = names.map(|(a, b)| (a.to_owned(), b.to_owned()));
    let options = ImportOptions {
        names: names.into(),
        ..ImportOptions::default()
    };
    let made = imported(ImportFrom::Aidbox, &policy, &options);
    let grant = &made.document.grants[0];
    assert_eq!(grant.who.people, ["u1"]);
    assert_eq!(
        grant.criteria.as_deref(),
        Some("organization=%user.facilities")
    );
}

#[test]
fn a_medplum_patient_template_becomes_grants_of_a_role() {
    let policy = value!({ "resourceType": "AccessPolicy", "name": "Portal patients",
        "compartment": { "reference": "Organization/o1" },
        "resource": [
            { "resourceType": "Patient", "criteria": "Patient?_compartment=%patient", "readonlyFields": ["birthDate"] },
            { "resourceType": "Observation", "criteria": "Observation?_compartment=%patient",
              "interaction": ["read", "search", "vread", "history"] },
            { "resourceType": "Organization", "readonly": true },
            { "resourceType": "Task", "criteria": "Task?owner=%profile",
              "writeConstraint": [{ "language": "text/fhirpath", "expression": "status != 'completed'" }] },
            { "resourceType": "Patient", "criteria": "Patient?organization=%site" },
            { "resourceType": "Bot", "readonly": true }
        ] });
    let made = imported(ImportFrom::Medplum, &policy, &ImportOptions::default());
    let mut patient = callers()[0].clone();
    patient.roles = vec!["medplum-portal-patients"];
    assert!(gives(&made, &patient, "update", "p1") && !gives(&made, &patient, "read", "p2"));
    assert!(gives(&made, &patient, "search", "o1") && !gives(&made, &patient, "create", "o1"));
    line(&made, "/compartment", ImportOutcome::LeftOut);
    line(&made, "/resource/3/writeConstraint", ImportOutcome::LeftOut);
    line(&made, "/resource/4/criteria", ImportOutcome::LeftOut);
    line(&made, "/resource/5", ImportOutcome::LeftOut);
    let task = &made
        .document
        .grants
        .iter()
        .find(|g| g.types == ["Task"])
        .unwrap();
    assert_eq!(
        task.actions,
        super::super::super::document::Actions::Words(
            ["read", "search", "history"].map(str::to_owned).to_vec()
        )
    );
    let based = value!({ "resourceType": "AccessPolicy", "name": "x", "basedOn": [{ "reference": "AccessPolicy/1" }],
        "resource": [{ "resourceType": "Patient" }] });
    let made = imported(ImportFrom::Medplum, &based, &ImportOptions::default());
    assert!(made.document.grants.is_empty());
    line(&made, "/basedOn", ImportOutcome::Refused);
}

fn aidbox(engine: &str, said: &Value) -> Value {
    let mut policy =
        value!({ "resourceType": "AccessPolicy", "id": "p", "engine": engine, "roleName": "desk" });
    for (name, said) in said.as_object().unwrap() {
        policy[name] = said.clone();
    }
    policy
}

#[test]
fn what_is_vast_is_refused_before_it_is_read() {
    let wide: serde_json::Map<String, Value> = (0..6_000)
        .map(|at| (format!("k{at}"), value!("x")))
        .collect();
    let mut deep = value!("x");
    for _ in 0..40 {
        deep = value!({ "m": deep });
    }
    for (matcho, why) in [
        (value!({ "params": wide }), "values"),
        (value!({ "x".repeat(300): "x" }), "name"),
        (value!({ "uri": "x".repeat(300_000) }), "bytes"),
        (deep, "deep"),
    ] {
        let policy = aidbox("matcho", &value!({ "matcho": matcho }));
        let made = imported(ImportFrom::Aidbox, &policy, &ImportOptions::default());
        assert!(made.document.grants.is_empty());
        let refused = &made.report[0];
        assert_eq!(refused.outcome, ImportOutcome::Refused);
        assert!(refused.text.contains(why), "{why}: {}", refused.text);
    }
    // Many of one name, and more than a policy has.
    let many: Vec<Value> = (0..300)
        .map(|_| {
            aidbox(
                "matcho",
                &value!({ "matcho": { "request-method": "get", "uri": "/fhir/Patient" } }),
            )
        })
        .collect();
    let made = around(|s| import(ImportFrom::Aidbox, &many, &ImportOptions::default(), s));
    let mut names: Vec<&str> = made
        .document
        .grants
        .iter()
        .map(|g| g.name.as_str())
        .collect();
    assert_eq!(names.len(), 300);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 300);
    let each: Vec<Value> = (0..600)
        .map(|at| value!(format!("/fhir/Patient/{at}")))
        .collect();
    let links: Vec<Value> = (0..600)
        .map(|at| value!({ "reference": format!("User/u{at}") }))
        .collect();
    let more = aidbox(
        "matcho",
        &value!({ "matcho": { "request-method": "get", "uri": { "$enum": each } }, "link": links }),
    );
    let made = imported(ImportFrom::Aidbox, &more, &ImportOptions::default());
    assert!(made.document.grants.is_empty());
}

#[test]
fn forms_of_an_address_and_the_first_role_are_not_taken_for_more() {
    let allowed = |engine: &str, said: &Value| {
        let policy = aidbox(engine, said);
        let made = imported(ImportFrom::Aidbox, &policy, &ImportOptions::default());
        !made.document.grants.is_empty()
    };
    let both = |one: &str, other: &str| {
        value!({ "and": [
            { "engine": "matcho", "matcho": { "request-method": "get", "uri": one } },
            { "engine": "matcho", "matcho": { "request-method": "get", "uri": other } },
        ] })
    };
    assert!(allowed("complex", &both("#^/fhir/Patient$", "#Patient")));
    assert!(!allowed(
        "complex",
        &both("#^/fhir/Patient$", "#^/Patient$")
    ));
    let role = |asked: &Value| value!({ "matcho": { "request-method": "get", "uri": "/fhir/Patient", "user": { "roles": asked } } });
    assert!(!allowed("matcho", &role(&value!(["admin"]))));
    assert!(allowed("matcho", &role(&value!({ "$contains": "admin" }))));
    let literal = value!({ "matcho": { "request-method": "get", "uri": "/fhir/Patient/\u{1}" } });
    assert!(!allowed("matcho", &literal));
}

#[test]
fn a_mask_of_every_type_that_some_type_would_not_keep_is_refused() {
    let of = |field: &str| {
        let policy = value!({ "resourceType": "AccessPolicy", "name": "Readers", "resource": [
            { "resourceType": "*", "hiddenFields": [field], "readonly": true }] });
        let made = imported(ImportFrom::Medplum, &policy, &ImportOptions::default());
        made.document.grants.first().map(|grant| grant.hide.clone())
    };
    assert_eq!(of("telecom"), Some(vec!["telecom".to_owned()]));
    for field in ["meta.account", "meta", "telecoms"] {
        assert_eq!(of(field), None, "{field}");
    }
}
