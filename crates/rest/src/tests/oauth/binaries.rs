//! What a program that acts within one patient's chart reaches of Binary: what is bound to that chart.

use serde_json::json;

use super::{CALLBACK, Clinic, Program, approved, request};
use crate::tests::people::{Browser, administrator, person};
use crate::tests::world::World;

fn fill(world: &World) {
    let owner = world.client("lakeside", "system/*.cruds");
    let put = |line: &str, body: serde_json::Value| {
        let answer = world.fhir(&owner, &format!("PUT {line}"), body.to_string());
        answer.status(201);
    };
    put(
        "Patient/p2",
        json!({ "resourceType": "Patient", "id": "p2" }),
    );
    for of in ["p1", "p2"] {
        put(
            &format!("DocumentReference/of-{of}"),
            json!({ "resourceType": "DocumentReference", "id": format!("of-{of}"), "status": "current",
                "subject": { "reference": format!("Patient/{of}") },
                "content": [{ "attachment": { "url": format!("Binary/doc-{of}") } }] }),
        );
    }
    put(
        "Organization/o",
        json!({ "resourceType": "Organization", "id": "o", "name": "x" }),
    );
    for (id, context) in [
        ("own-p1", "Patient/p1"),
        ("own-p2", "Patient/p2"),
        ("doc-p1", "DocumentReference/of-p1"),
        ("doc-p2", "DocumentReference/of-p2"),
        ("logo", "Organization/o"),
        ("free", ""),
    ] {
        let headers = [
            ("content-type", "image/png"),
            ("x-security-context", context),
        ];
        let headers = match context {
            "" => &headers[..1],
            _ => &headers,
        };
        world
            .fhir_with(&owner, &format!("PUT Binary/{id}"), headers, "bytes")
            .status(201);
    }
}

/// A program's `Authorization` for patient `p1`, who has the role that the policy gives their own chart.
fn token(clinic: &Clinic, admin: &Browser<'_>, scope: &str) -> String {
    let login = format!("doe-{}", scope.len());
    let draft = json!({ "login": login, "name": "J. Doe", "fhir_user": "Patient/p1", "roles": ["patient"] });
    let (browser, _) = person(admin, &draft);
    let mut scopes = vec!["launch/patient"];
    scopes.extend(scope.split(' '));
    let draft = json!({ "name": "Documents", "public": true, "redirect_uris": [CALLBACK], "scopes": scopes });
    let made = clinic
        .world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let app = Program {
        id: made.text("/client_id"),
        secret: None,
    };
    let asked = format!("launch/patient {scope}");
    let code = approved(&browser, &request(&app, &[("scope", &asked)]));
    let granted = clinic.exchange(&app, &code).status(200);
    format!(
        "Bearer {}",
        granted.at("/patient", "p1").text("/access_token")
    )
}

#[test]
fn a_chart_reaches_the_binaries_that_are_bound_to_it() {
    let clinic = Clinic::new();
    fill(&clinic.world);
    let admin = administrator(&clinic.world, "lakeside");
    clinic
        .world
        .admin(
            "POST /admin/v1/tenants/lakeside/policy",
            &json!({ "preset": "own-facility", "reason": "test" }),
        )
        .status(201);
    for (scope, seen) in [
        ("patient/*.rs", &["doc-p1", "own-p1"][..]),
        ("patient/Binary.rs patient/Patient.rs", &["own-p1"]),
        (
            "patient/Binary.rs patient/DocumentReference.rs",
            &["doc-p1"],
        ),
        ("patient/Binary.rs", &[]),
        ("patient/Patient.rs", &[]),
    ] {
        let bearer = token(&clinic, &admin, scope);
        for id in ["own-p1", "own-p2", "doc-p1", "doc-p2", "logo", "free"] {
            let read = clinic.world.fhir(&bearer, &format!("GET Binary/{id}"), "");
            let wanted = match (
                seen.contains(&id),
                scope.contains('*') || scope.contains("Binary"),
            ) {
                (true, _) => 200,
                (false, true) => 404,
                (false, false) => 403,
            };
            assert_eq!(read.code, wanted, "{scope}: {id}");
        }
        if scope.contains("Binary") {
            let found = clinic.world.fhir(&bearer, "GET Binary?_sort=_id", "");
            let wanted: Vec<String> = seen.iter().map(|id| format!("Binary/{id}")).collect();
            assert_eq!(found.status(200).entries(), wanted, "{scope}");
        }
    }
}

#[test]
fn what_a_chart_writes_of_binaries_is_bound_to_it() {
    let clinic = Clinic::new();
    fill(&clinic.world);
    let admin = administrator(&clinic.world, "lakeside");
    let grants = json!([{ "name": "all", "who": { "roles": ["patient"] }, "actions": "cruds", "types": ["*"] }]);
    clinic
        .world
        .admin(
            "POST /admin/v1/tenants/lakeside/policy",
            &json!({ "document": { "grants": grants }, "reason": "test" }),
        )
        .status(201);
    let bearer = token(&clinic, &admin, "patient/*.cruds");
    let png = ("content-type", "image/png");
    for (line, context, good) in [
        ("POST Binary", "Patient/p1", true),
        ("POST Binary", "DocumentReference/of-p1", true),
        ("POST Binary", "Patient/p2", false),
        ("POST Binary", "DocumentReference/of-p2", false),
        ("POST Binary", "Organization/o", false),
        ("POST Binary", "", false),
        ("PUT Binary/own-p1", "Patient/p1", true),
        ("PUT Binary/own-p1", "Patient/p2", false),
        ("PUT Binary/own-p1", "", false),
        ("PUT Binary/own-p2", "Patient/p1", false),
        ("PUT Binary/free", "Patient/p1", false),
    ] {
        let headers = [png, ("x-security-context", context)];
        let headers = match context {
            "" => &headers[..1],
            _ => &headers,
        };
        let answer = clinic.world.fhir_with(&bearer, line, headers, "other");
        assert_eq!(
            matches!(answer.code, 200 | 201),
            good,
            "{line} {context}: {answer:?}"
        );
        if !good {
            assert!(
                matches!(answer.code, 403 | 404),
                "{line} {context}: {answer:?}"
            );
        }
    }
}
