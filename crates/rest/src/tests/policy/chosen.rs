//! Scopes with a query that whoever asks for the token chose: they tell nothing that a search of theirs
//! would not.

use engine::form::encode;
use serde_json::json;

use super::super::oauth::{FORM, Program, approved, code_fields, request};
use super::super::people::{administrator, person};
use super::super::world::{Answer, World};
use super::{grants, staff, two_facilities};

fn asked(world: &World, who: &str, scope: &str) -> Answer {
    let body = format!("grant_type=client_credentials&scope={}", encode(scope));
    let headers = [FORM, ("authorization", who)];
    world.ask("POST /t/lakeside/auth/token", &headers, body)
}

/// The `Authorization` header of a token with this scope.
fn token(world: &World, who: &str, scope: &str) -> String {
    let given = asked(world, who, scope).status(200).at("/scope", scope);
    format!("Bearer {}", given.text("/access_token"))
}

/// What is seen with a scope, by every road.
fn told(world: &World, who: &str, scope: &str) -> Vec<(u16, Vec<String>)> {
    let who = token(world, who, scope);
    let lines = [
        "GET Patient",
        "GET Patient/p-north",
        "GET Patient/p-south",
        "GET Patient/p-north/_history",
        "GET Observation",
        "GET Observation/b-north",
    ];
    let tell = |line: &&str| {
        let answer = world.fhir(&who, line, "");
        let found = match answer.code {
            200 if line.contains('/') && !line.contains("_history") => vec![],
            200 => answer.entries(),
            _ => vec![],
        };
        (answer.code, found)
    };
    lines.iter().map(tell).collect()
}

#[test]
fn a_query_that_the_caller_chose_for_a_scope_tells_nothing_that_is_kept_from_them() {
    let (world, all) = two_facilities();
    let performed = json!({ "resourceType": "Observation", "id": "b-north", "status": "final",
        "code": { "coding": [{ "system": "urn:c", "code": "finding" }] },
        "subject": { "reference": "Patient/p-north" },
        "performer": [{ "reference": "Patient/p-south" }] });
    world
        .fhir(&all, "PUT Observation/b-north", performed.to_string())
        .status(200);
    grants(
        &world,
        &json!([{ "name": "charts", "who": { "roles": ["nurse"] }, "actions": "rs",
        "types": ["Patient", "Observation"], "within": "Patient?organization=%user.facilities",
        "hide": ["Patient.telecom", "Patient.birthDate"] },
        { "name": "writes", "who": { "roles": ["nurse"] }, "actions": "u", "types": ["Patient"] }]),
    );
    let who = staff(&world, &["nurse@Organization/o-north"], "system/*.cruds");
    // What is true is answered as what is not.
    for (so, otherwise) in [
        ("Patient.rs?phone=555-north", "Patient.rs?phone=555-none"),
        (
            "Patient.rs?birthdate=1970-01-01",
            "Patient.rs?birthdate=1971-01-01",
        ),
        ("Patient.rs?_content=1970", "Patient.rs?_content=1971"),
        (
            "Patient.rs?_filter=birthdate%20eq%201970-01-01",
            "Patient.rs?_filter=birthdate%20eq%201971-01-01",
        ),
        ("*.rs?birthdate=1970-01-01", "*.rs?birthdate=1971-01-01"),
        (
            "Patient.rs?_has:Encounter:patient:status=finished",
            "Patient.rs?_has:Encounter:patient:status=planned",
        ),
        (
            "Patient.rs?organization.name=north",
            "Patient.rs?organization.name=none",
        ),
        (
            "Observation.rs?performer:Patient.name=Ofsouth",
            "Observation.rs?performer:Patient.name=None",
        ),
        (
            "Observation.rs?performer:Patient.birthdate=1970-01-01",
            "Observation.rs?performer:Patient.birthdate=1971-01-01",
        ),
        (
            "Observation.rs?_filter=performer.name%20eq%20%22Ofsouth%22",
            "Observation.rs?_filter=performer.name%20eq%20%22None%22",
        ),
    ] {
        let told = |scope: &str| told(&world, &who, &format!("system/{scope}"));
        assert_eq!(told(so), told(otherwise), "{so}");
    }
    // Nor does writing tell it, of what is not seen or is hidden.
    for (so, otherwise) in [
        ("name=Ofsouth", "name=None"),
        ("birthdate=1970-01-01", "birthdate=1971-01-01"),
    ] {
        let tried = |query: &str| {
            let who = token(&world, &who, &format!("system/Patient.u?{query}"));
            let body = super::patient("south").to_string();
            let own = super::patient("north").to_string();
            let south = world.fhir(&who, "PUT Patient/p-south", body);
            (
                south.code,
                world.fhir(&who, "PUT Patient/p-north", own).code,
            )
        };
        assert_eq!(tried(so), tried(otherwise), "{so}");
    }
    // What is shown anyway narrows as it always did.
    let by_name = token(&world, &who, "system/Patient.rs?name=Ofnorth");
    assert_eq!(
        world.fhir(&by_name, "GET Patient", "").entries(),
        ["Patient/p-north"]
    );
    let by_name = token(&world, &who, "system/Patient.rs?name=Ofsouth");
    assert_eq!(
        world
            .fhir(&by_name, "GET Patient", "")
            .status(200)
            .entries(),
        [""; 0]
    );
    let by_code = token(
        &world,
        &who,
        "system/Observation.rs?code=finding&subject=Patient/p-north",
    );
    assert_eq!(
        world.fhir(&by_code, "GET Observation", "").entries(),
        ["Observation/b-north"]
    );
}

#[test]
fn a_query_that_a_client_is_registered_with_is_the_clinics_own_word() {
    let (world, _) = two_facilities();
    grants(
        &world,
        &json!([{ "name": "charts", "who": { "roles": ["nurse"] }, "actions": "rs",
        "types": ["Patient"], "hide": ["Patient.birthDate"] }]),
    );
    let scope = "system/Patient.rs?organization.name=north&birthdate=1970-01-01";
    let who = staff(&world, &["nurse"], scope);
    let narrower = "system/Patient.s?organization.name=north&birthdate=1970-01-01";
    for who in [
        who.clone(),
        token(&world, &who, scope),
        token(&world, &who, narrower),
    ] {
        let found = world.fhir(&who, "GET Patient", "").status(200).entries();
        assert_eq!(found, ["Patient/p-north"]);
    }
    // Another one is not given, and beside a wider one it is a query of the caller's.
    asked(&world, &who, "system/Patient.rs?birthdate=1970-01-01")
        .status(400)
        .at("/error", "invalid_scope");
}

#[test]
fn a_query_narrows_only_what_its_client_may_search() {
    let (world, _) = two_facilities();
    let who = staff(&world, &["nurse"], "system/Patient.u system/Observation.rs");
    asked(&world, &who, "system/Patient.u?birthdate=1970-01-01")
        .status(400)
        .at("/error", "invalid_scope");
    asked(
        &world,
        &who,
        "system/Patient.u system/Observation.r?code=finding",
    )
    .status(200);
}

#[test]
fn labels_are_not_asked_around_by_a_scope() {
    let (world, all) = two_facilities();
    let ill = json!({ "resourceType": "Condition", "id": "c-north",
        "subject": { "reference": "Patient/p-north" },
        "code": { "coding": [{ "system": "urn:c", "code": "secret" }] },
        "meta": { "security": [{ "code": "R",
            "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality" }] } });
    world
        .fhir(&all, "PUT Condition/c-north", ill.to_string())
        .status(200);
    let draft = json!({ "document": { "labels": "enforced", "grants": [] }, "reason": "test" });
    super::govern(&world, &draft);
    // A client that no policy governs is under the labels as well.
    world.fhir(&all, "GET Condition/c-north", "").status(404);
    let told = |code: &str| {
        let scope = format!("system/Patient.rs?_has:Condition:patient:code=urn:c|{code}");
        told(&world, &all, &scope)
    };
    assert_eq!(told("secret"), told("none"));
}

#[test]
fn a_program_asks_no_more_by_its_scopes_than_its_person() {
    let (world, all) = two_facilities();
    let performed = json!({ "resourceType": "Observation", "id": "b-north", "status": "final",
        "code": { "coding": [{ "system": "urn:c", "code": "finding" }] },
        "subject": { "reference": "Patient/p-north" },
        "performer": [{ "reference": "Patient/p-south" }] });
    world
        .fhir(&all, "PUT Observation/b-north", performed.to_string())
        .status(200);
    grants(
        &world,
        &json!([{ "name": "own", "who": { "anyone": true }, "actions": "rs", "types": ["*"],
        "within": "Patient?_id=%patient.id" },
        { "name": "desk", "who": { "roles": ["desk"] }, "actions": "rs", "types": ["Patient"],
        "hide": ["birthDate"] }]),
    );
    let draft = json!({ "name": "App", "public": true, "redirect_uris": ["https://app.example/cb?a=1"],
        "scopes": ["openid", "launch/patient", "patient/*.rs", "user/*.rs"] });
    let made = world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let app = Program {
        id: made.text("/client_id"),
        secret: None,
    };
    let admin = administrator(&world, "lakeside");
    let draft = json!({ "login": "own", "name": "Own", "fhir_user": "Patient/p-north" });
    let (patient, _) = person(&admin, &draft);
    let draft = json!({ "login": "desk", "name": "Desk", "roles": ["desk"] });
    let (desk, _) = person(&admin, &draft);
    let told = |who, scope: &str| {
        let code = approved(who, &request(&app, &[("scope", scope)]));
        let fields: Vec<String> = code_fields(&code)
            .iter()
            .chain(&[("client_id", app.id.as_str())])
            .map(|(n, v)| format!("{n}={}", encode(v)))
            .collect();
        let given = world.ask("POST /t/lakeside/auth/token", &[FORM], fields.join("&"));
        let who = format!("Bearer {}", given.status(200).text("/access_token"));
        [
            "Patient",
            "Patient/p-north",
            "Observation",
            "Observation/b-north",
        ]
        .map(|line| {
            let answer = world.fhir(&who, &format!("GET {line}"), "");
            let many = answer.code == 200 && !line.contains('/');
            (answer.code, if many { answer.entries() } else { vec![] })
        })
    };
    for (who, so, otherwise) in [
        (
            &desk,
            "user/Patient.rs?birthdate=1970-01-01",
            "user/Patient.rs?birthdate=1971-01-01",
        ),
        (
            &desk,
            "user/Patient.rs?_has:Condition:patient:_id=c-north",
            "user/Patient.rs?_has:Condition:patient:_id=none",
        ),
        (
            &patient,
            "launch/patient patient/Observation.rs?performer:Patient.name=Ofsouth",
            "launch/patient patient/Observation.rs?performer:Patient.name=None",
        ),
    ] {
        assert_eq!(told(who, so), told(who, otherwise), "{so}");
    }
    let shown = told(
        &patient,
        "launch/patient patient/Observation.rs?code=finding",
    );
    assert_eq!(shown[2], (200, vec!["Observation/b-north".to_owned()]));
}
