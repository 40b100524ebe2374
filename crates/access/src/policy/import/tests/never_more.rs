//! Places where a policy there could become more here.

use super::*;

fn aidbox(policy: Value) -> Imported {
    let mut policy = policy;
    policy["resourceType"] = value!("AccessPolicy");
    imported(ImportFrom::Aidbox, &policy, &ImportOptions::default())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "patterns are written where they are used"
)]
fn matcho(pattern: Value) -> Value {
    value!({ "id": "p", "engine": "matcho", "matcho": pattern })
}

#[test]
fn a_star_is_a_name_there_and_networks_are_no_addresses() {
    for pattern in [
        value!({ "user": { "id": "*" }, "request-method": "get" }),
        value!({ "client": { "id": { "$enum": ["*", "c1"] } }, "request-method": "get" }),
        value!({ "request-method": "*", "uri": "/fhir/Patient" }),
        value!({ "operation": { "id": "*" } }),
        value!({ "request-method": "get", "remote-addr": "198.51.100.0/24" }),
    ] {
        let made = aidbox(matcho(pattern.clone()));
        assert!(made.document.grants.is_empty(), "{pattern:#}");
        let refused = |l: &ImportLine| l.outcome == ImportOutcome::Refused;
        assert!(made.report.iter().any(refused), "{:#?}", made.report);
    }
    let linked = value!({ "id": "p", "engine": "allow", "link": [{ "reference": "User/*" }] });
    let made = aidbox(linked);
    assert!(made.document.grants.is_empty());
    line(&made, "/link/0", ImportOutcome::LeftOut);
    let one = matcho(value!({ "request-method": "get", "remote-addr": "198.51.100.7" }));
    assert_eq!(aidbox(one).document.grants[0].networks, ["198.51.100.7"]);
}

#[test]
fn what_a_schema_requires_is_asked_for() {
    let schema =
        |schema: Value| aidbox(value!({ "id": "p", "engine": "json-schema", "schema": schema }));
    let made = schema(value!({ "required": ["user"],
        "properties": { "user": { "properties": { "data": { "type": "object" } } } } }));
    let [person, .., client] = &callers()[..] else {
        panic!()
    };
    assert!(gives(&made, person, "read", "p1") && !gives(&made, client, "read", "p1"));
    for (wrong, pointer) in [
        (value!({ "required": true }), "/schema/required"),
        (
            value!({ "allOf": { "required": ["user"] } }),
            "/schema/allOf",
        ),
        (
            value!({ "properties": { "user": { "required": true } } }),
            "/schema/properties/user/required",
        ),
    ] {
        let made = schema(wrong);
        assert!(made.document.grants.is_empty());
        line(&made, pointer, ImportOutcome::Refused);
    }
}

#[test]
fn history_of_one_is_not_history_of_all_and_put_is_not_patch() {
    let caller = &callers()[0];
    let made = |uri: &str| aidbox(matcho(value!({ "request-method": "get", "uri": uri })));
    let one = made("#^/fhir/Patient/[A-Za-z0-9.-]{1,64}(/_history)?$");
    assert!(gives(&one, caller, "read", "p1") && !gives(&one, caller, "history", "p1"));
    let known = made("#^/fhir/Patient(/.*)?$");
    assert!(gives(&known, caller, "history", "p1"));
    let operation = aidbox(matcho(
        value!({ "operation": { "id": { "$enum": ["FhirRead", "FhirHistory"] } } }),
    ));
    assert!(gives(&operation, caller, "read", "p1") && !gives(&operation, caller, "history", "p1"));
    let medplum = |interaction: Value| {
        let policy = value!({ "resourceType": "AccessPolicy", "name": "x",
            "resource": [{ "resourceType": "Patient", "interaction": interaction }] });
        let options = ImportOptions {
            role: Some("nurse".to_owned()),
            ..ImportOptions::default()
        };
        imported(ImportFrom::Medplum, &policy, &options)
    };
    let read = medplum(value!(["read", "history"]));
    assert!(gives(&read, caller, "read", "p1") && !gives(&read, caller, "history", "p1"));
    line(&read, "/resource/0/interaction", ImportOutcome::LeftOut);
    assert!(gives(
        &medplum(value!(["search", "history"])),
        caller,
        "history",
        "p1"
    ));

    let put = value!({ "resourceType": "AccessPolicy", "id": "p", "engine": "matcho",
        "matcho": { "uri": "#^/fhir/Patient/.*", "request-method": "put" } });
    let without = imported(ImportFrom::Aidbox, &put, &ImportOptions::default());
    assert!(!gives(&without, caller, "update", "p1"));
    let said = |l: &ImportLine| l.outcome == ImportOutcome::LeftOut && l.text.contains("PATCH");
    assert!(without.report.iter().any(said));
    let options = ImportOptions {
        names: [("FhirPatch".to_owned(), "update".to_owned())].into(),
        ..ImportOptions::default()
    };
    let with = imported(ImportFrom::Aidbox, &put, &options);
    assert!(gives(&with, caller, "update", "p1"));
}

#[test]
fn names_of_roles_there_never_become_one_here() {
    let policy = |id: &str, role: &str| {
        value!({ "resourceType": "AccessPolicy", "id": id, "engine": "matcho", "roleName": role,
            "matcho": { "request-method": "get" } })
    };
    let long = "a".repeat(80);
    let documents = [
        policy("one", "Clinic A"),
        policy("two", "clinic-a"),
        policy("three", "Clinic A"),
        policy("four", "Küche"),
        policy("five", &long),
    ];
    let of = |names: &[(&str, &str)]| {
        let names = names
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        let options = ImportOptions {
            names: names.collect(),
            ..ImportOptions::default()
        };
        let made = around(|s| import(ImportFrom::Aidbox, &documents, &options, s));
        let grants = made.document.grants.iter();
        grants
            .map(|g| (g.name.clone(), g.who.roles.join(",")))
            .collect::<Vec<_>>()
    };
    let pair = |name: &str, role: &str| (name.to_owned(), role.to_owned());
    assert_eq!(
        of(&[]),
        [pair("one", "clinic-a"), pair("three", "clinic-a")]
    );
    let said = of(&[("role/clinic-a", "other"), ("role/Küche", "kitchen")]);
    let all = [
        ("one", "clinic-a"),
        ("two", "other"),
        ("three", "clinic-a"),
        ("four", "kitchen"),
    ];
    assert_eq!(said, all.map(|(name, role)| pair(name, role)));
}

#[test]
fn the_trail_is_not_given_by_a_resource_of_its_name() {
    let policy = value!({ "resourceType": "AccessPolicy", "name": "x", "resource": [
        { "resourceType": "AuditEvent", "readonly": true }, { "resourceType": "Patient", "readonly": true }] });
    let made = imported(ImportFrom::Medplum, &policy, &ImportOptions::default());
    assert_eq!(made.document.grants.len(), 1);
    line(&made, "/resource/0", ImportOutcome::LeftOut);
    let made = aidbox(matcho(
        value!({ "request-method": "get", "uri": "#^/fhir/(AuditEvent|Patient)/.*" }),
    ));
    assert!(made.document.grants.iter().all(|g| g.types == ["Patient"]));
    assert!(!made.document.grants.is_empty());
}

#[test]
fn an_import_has_bounds() {
    let links: Vec<Value> = (0..=POLICY_IMPORT_WAYS_MAX)
        .map(|at| value!({ "reference": format!("User/u{at}") }))
        .collect();
    let made = aidbox(value!({ "id": "p", "engine": "allow", "link": links }));
    assert!(made.document.grants.is_empty());
    line(&made, "", ImportOutcome::Refused);
    let none = value!({ "resourceType": "AccessPolicy", "engine": "sql" });
    let many = vec![none; POLICY_IMPORT_DOCUMENTS_MAX + 5];
    let made = around(|s| import(ImportFrom::Aidbox, &many, &ImportOptions::default(), s));
    let last = made.report.last().unwrap();
    assert!(last.text.contains("documents in one import"), "{last:?}");
    assert_eq!(made.report.len(), POLICY_IMPORT_DOCUMENTS_MAX + 1);
}
