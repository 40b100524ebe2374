//! Every route of the table, asked by everybody who has no business there.
//!
//! The table is `rest`'s own, so a new route is asked from its first day.

use rest::{Base, Class, ROUTES, Route};
use serde_json::json;
use testkit::build::{patient_identified, with_id};
use testkit::http::{Answer, Request};
use testkit::world::{Caller, Tenant};

use crate::world::shared;

/// The type that a route is asked of.
fn type_of(route: &Route) -> &'static str {
    match route.interaction {
        "lastn" => "Observation",
        _ => "Patient",
    }
}

/// The request that fits a route of this tenant; all of it that could fail otherwise is right.
fn request(route: &Route, tenant: &str, authorization: Option<&str>) -> Request {
    let target = route
        .full_path()
        .replace("{tenant}", tenant)
        .replace("{name}", tenant)
        .replace("{client_id}", "nobody")
        .replace("{vendor}", "nobody")
        .replace("{link}", "nobody")
        .replace("{person}", "00000000-0000-4000-8000-000000000000")
        .replace("{action}", "sign-out")
        .replace("{provider}", "nobody")
        .replace("{type}", type_of(route))
        .replace("{import_id}", "nobody")
        .replace("{id}", "p1")
        .replace("{inner}", "Patient")
        .replace("{version}", "1")
        .replace("{number}", "1");
    let query = match route.interaction {
        "search-system" if route.method == "GET" => "?_type=Patient",
        "update-conditional" | "patch-conditional" | "delete-conditional" => {
            "?identifier=urn:insula:test|1"
        }
        // `{__typename}`
        "graphql" => "?query=%7B__typename%7D",
        "fhirpath-instance" => "?expression=id",
        "lastn" => "?patient=p1&code=x",
        "delete-tenant" => &format!("?confirm={tenant}&grace=0"),
        _ => "",
    };
    let mut request = Request::new(route.method.as_str(), &format!("{target}{query}"));
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    let made = patient_identified("Intruder", "none");
    match (route.base, route.interaction) {
        (_, "register") => request.content("application/json", "{}"),
        (_, "token" | "introspect" | "revoke" | "vendor-self") => request.content(
            "application/x-www-form-urlencoded",
            "grant_type=client_credentials",
        ),
        (
            _,
            "sign-in"
            | "second-factor"
            | "accept-invitation"
            | "approve"
            | "change-account"
            | "provider-invitation"
            | "passkey-sign-in",
        ) => request.content("application/x-www-form-urlencoded", "login=intruder"),
        (_, "sign-out") => request.content("application/x-www-form-urlencoded", "_form=x"),
        (_, "back-channel-logout") => {
            request.content("application/x-www-form-urlencoded", "logout_token=x")
        }
        (_, "launch") => request.content(
            "application/json",
            r#"{"client_id": "nobody", "patient": "p1"}"#,
        ),
        (_, "search-system" | "search-type" | "search-compartment") if route.method == "POST" => {
            request.content("application/x-www-form-urlencoded", "_type=Patient")
        }
        (_, "fhirpath") => request.fhir(&json!({
            "resourceType": "Parameters",
            "parameter": [
                {"name": "expression", "valueString": "name.family"},
                {"name": "resource", "valueReference": {"reference": "Patient/p1"}},
            ],
        })),
        (_, "transaction") => request.fhir(&json!({
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": made, "request": {"method": "POST", "url": "Patient"}}],
        })),
        (_, "patch" | "patch-conditional") => request.content(
            "application/json-patch+json",
            r#"[{"op": "add", "path": "/active", "value": true}]"#,
        ),
        (_, "update") => request.fhir(&with_id(made, "p1")),
        (_, "meta-add" | "meta-delete") => request.fhir(&json!({
            "resourceType": "Parameters",
            "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}],
        })),
        (_, "meta" | "everything" | "lastn" | "graphql" | "fhirpath-instance") => request,
        (Base::Fhir, _) if route.method == "POST" || route.method == "PUT" => request.fhir(&made),
        _ if route.method == "POST" || route.method == "PATCH" => request.content(
            "application/json",
            r#"{"name": "intruder", "scopes": [], "reason": "x"}"#,
        ),
        _ => request,
    }
}

/// A tenant with one patient.
fn inhabited() -> Tenant {
    let tenant = shared().tenant();
    let resident = with_id(patient_identified("Resident", "1"), "p1");
    tenant.owner().put(&resident).expect(201);
    tenant
}

/// Nothing of what was asked has happened.
#[track_caller]
fn untouched(tenant: &Tenant) {
    let caller = tenant.owner();
    assert_eq!(
        caller.get("/Patient/p1").expect(200).json()["meta"]["versionId"],
        "1"
    );
    assert_eq!(caller.found("Patient"), ["p1"]);
    assert_eq!(caller.search("_history?_count=0")["total"], 1);
}

/// Asks every route of a tenant, GET also as HEAD; `wanted` says what must come.
#[track_caller]
fn every_route(
    tenant: &str,
    who: &str,
    authorization: Option<&str>,
    wanted: impl Fn(&Route) -> Option<u16>,
) {
    let world = shared();
    let mut wrong = Vec::new();
    let mut asked = 0;
    for route in ROUTES {
        let Some(status) = wanted(route) else {
            continue;
        };
        let mut request = request(route, tenant, authorization);
        let answer = world.server().ask(&request);
        asked += 1;
        if answer.status != status {
            wrong.push(format!(
                "{route:?} as {who}: {} for {status}",
                answer.status
            ));
        }
        if status >= 400 {
            wrong.extend(bad_refusal(route, &answer).map(|why| format!("{route:?}: {why}")));
        }
        if request.method == "GET" {
            "HEAD".clone_into(&mut request.method);
            let head = world.server().ask(&request);
            if head.status != answer.status || !head.body.is_empty() {
                wrong.push(format!("HEAD of {route:?} as {who}: {}", head.status));
            }
        }
    }
    assert!(asked > 0, "no route was asked");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the form of a refusal.
fn bad_refusal(route: &Route, answer: &Answer) -> Option<String> {
    let kind = answer.header("content-type").unwrap_or_default();
    let wanted = match (route.base, route.interaction) {
        // RFC 6749 has a form of its own for refusals of this one, once the tenant is known.
        (
            _,
            "token" | "introspect" | "revoke" | "vendor-self" | "register" | "registered"
            | "register-anew" | "unregister",
        ) if kind.starts_with("application/json") => {
            return None;
        }
        // What people see is told them as a page.
        (Base::Tenant, _) if route.class() == Class::Gate && kind.starts_with("text/html") => {
            return None;
        }
        (Base::Fhir, _) => "application/fhir+json",
        _ => "application/problem+json",
    };
    if !kind.starts_with(wanted) {
        return Some(format!("{} is told as {kind:?}", answer.status));
    }
    if answer.status == 401 && answer.header("www-authenticate").is_none() {
        return Some("401 without WWW-Authenticate".to_owned());
    }
    answer.codes().is_empty().then(|| "no code".to_owned())
}

/// What anyone without good credentials must get.
fn unrecognised(route: &Route) -> Option<u16> {
    match (route.class(), route.interaction) {
        (_, "token" | "introspect" | "revoke" | "vendor-self") => Some(401),
        (_, "registered" | "register-anew" | "unregister") => Some(401),
        (_, "register") => Some(400),
        // Forms that were given out to nobody.
        (
            _,
            "sign-in"
            | "second-factor"
            | "accept-invitation"
            | "approve"
            | "provider-invitation"
            | "sign-out"
            | "passkey-sign-in",
        ) => Some(403),
        (_, "authorize" | "provider-sign-in" | "back-channel-logout" | "choose-tenant") => {
            Some(404)
        }
        // The house's own sends nobody on who comes from nowhere.
        (Class::Open, "provider-callback") => Some(403),
        (_, "provider-callback") => Some(404),
        (_, "invitation") => Some(410),
        (Class::Open | Class::Gate, _) => Some(200),
        _ => Some(401),
    }
}

#[test]
fn nobody() {
    let tenant = inhabited();
    every_route(tenant.name(), "nobody", None, unrecognised);
    untouched(&tenant);
}

#[test]
fn somebody_with_rubbish_for_credentials() {
    let tenant = inhabited();
    let owner = tenant.owner();
    let token = owner.authorization.clone().unwrap();
    let mut cut = token.clone();
    cut.truncate(token.len() - 3);
    let unsigned = format!(
        "Bearer {}.",
        token[7..].rsplit_once('.').map_or("", |(head, _)| head)
    );
    for rubbish in [
        "Bearer rubbish",
        "Bearer ",
        "Basic !!!",
        "Basic Og==",
        "Digest x",
        cut.as_str(),
        unsigned.as_str(),
        // {"alg":"none"}
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
    ] {
        every_route(tenant.name(), rubbish, Some(rubbish), unrecognised);
    }
    untouched(&tenant);
}

#[test]
fn a_client_of_another_tenant() {
    let (tenant, other) = (inhabited(), inhabited());
    let stranger = other.owner();
    every_route(
        tenant.name(),
        "stranger",
        stranger.authorization.as_deref(),
        unrecognised,
    );
    let basic = testkit::world::basic(&stranger.id, &stranger.secret);
    every_route(
        tenant.name(),
        "stranger by Basic",
        Some(&basic),
        unrecognised,
    );
    untouched(&tenant);
    untouched(&other);
}

#[test]
fn the_operator_has_no_way_to_data() {
    let tenant = inhabited();
    let operator = format!("Bearer {}", shared().server().operator());
    every_route(
        tenant.name(),
        "operator",
        Some(&operator),
        |route| match route.class() {
            Class::Caller(_) => Some(401),
            _ => None,
        },
    );
    untouched(&tenant);
}

#[test]
fn a_client_without_the_scope() {
    let tenant = inhabited();
    // Every right, but on another type.
    let elsewhere = tenant.client(&["system/Device.cruds"]);
    refused(&tenant, &elsewhere, |route| route.path.contains("{type}"));
    // Every right on the type but the one that is needed.
    for letter in ['c', 'r', 'u', 'd', 's'] {
        let others: String = "cruds".chars().filter(|c| *c != letter).collect();
        let caller = tenant.client(&[&format!("system/Patient.{others}")]);
        refused(&tenant, &caller, |route| match route.class() {
            // A transaction needs what its entries need: here, to create.
            Class::Caller(_) if route.interaction == "transaction" => letter == 'c',
            Class::Caller(letters) => letters.contains(letter),
            _ => false,
        });
    }
    untouched(&tenant);
}

/// Those routes answer this client 403, and nothing but the code says why.
#[track_caller]
fn refused(tenant: &Tenant, caller: &Caller, which: impl Fn(&Route) -> bool) {
    let authorization = caller.authorization.as_deref();
    every_route(tenant.name(), "no scope", authorization, |route| {
        (matches!(route.class(), Class::Caller(_)) && which(route)).then_some(403)
    });
}

#[test]
fn a_client_with_the_scope() {
    // The tests above would also pass if nobody could do anything.
    let tenant = inhabited();
    let authorization = tenant.owner().authorization.unwrap();
    for route in ROUTES
        .iter()
        .filter(|route| matches!(route.class(), Class::Caller(_)))
    {
        // Nobody administers policy by a scope; a launch needs a program, and is judged with them.
        // Patients are opened by people, and judged with them too.
        let by_people = matches!(route.interaction, "launch" | "userinfo")
            || route.interaction.starts_with("break-glass");
        let apart = route.class() == Class::Caller("a") || by_people;
        if route.method == "DELETE" || apart {
            continue;
        }
        let answer = shared()
            .server()
            .ask(&request(route, tenant.name(), Some(&authorization)));
        assert!((200..300).contains(&answer.status), "{route:?}: {answer:?}");
    }
}

#[test]
fn a_tenant_that_is_not_there() {
    let tenant = inhabited();
    let owner = tenant.owner().authorization.unwrap();
    let operator = format!("Bearer {}", shared().server().operator());
    // Not there, never possible, reserved, another's with another case.
    let upper = tenant.name().to_uppercase();
    for name in [
        "nowhere",
        "x",
        "admin",
        "%2e%2e",
        "clinic%2Fx",
        "clin%C3%AFc",
        upper.as_str(),
    ] {
        for who in [None, Some(owner.as_str()), Some(operator.as_str())] {
            every_route(name, "anyone", who, |route| match route.base {
                Base::House => None,
                Base::Tenant | Base::Fhir => Some(404),
            });
        }
    }
    untouched(&tenant);
}

#[test]
fn a_suspended_and_a_deleted_tenant() {
    let (suspended, deleted, other) = (inhabited(), inhabited(), inhabited());
    let of_suspended = suspended.owner().authorization.unwrap();
    let of_deleted = deleted.owner().authorization.unwrap();
    suspended.admin("POST", "/suspend").expect(200);
    deleted
        .admin("DELETE", &format!("?confirm={}", deleted.name()))
        .expect(202);
    let of_tenants = |status| {
        move |route: &Route| match route.base {
            Base::House => None,
            Base::Tenant | Base::Fhir => Some(status),
        }
    };
    every_route(
        suspended.name(),
        "owner",
        Some(&of_suspended),
        of_tenants(503),
    );
    every_route(suspended.name(), "nobody", None, of_tenants(503));
    every_route(deleted.name(), "owner", Some(&of_deleted), of_tenants(410));
    every_route(deleted.name(), "nobody", None, of_tenants(410));
    // Their tokens are worth nothing elsewhere.
    every_route(
        other.name(),
        "of suspended",
        Some(&of_suspended),
        unrecognised,
    );
    every_route(other.name(), "of deleted", Some(&of_deleted), unrecognised);
    suspended.admin("POST", "/resume").expect(200);
    deleted.admin("POST", "/resume").expect(200);
    untouched(&suspended);
    untouched(&deleted);
    untouched(&other);
}
