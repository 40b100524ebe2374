//! Tenants of three versions of FHIR side by side in one process: each has exactly its version's
//! types, elements, codes and search parameters, and nothing of its neighbours'.

use std::fs;

use serde_json::{Value, json};
use testkit::build::{patient, with_id};
use testkit::world::{Caller, Tenant, word};
use testkit::{Folder, Request};

use crate::world::shared;

const VERSIONS: [&str; 3] = ["4.0.1", "4.3.0", "5.0.0"];

/// A tenant of each version, with somebody who may do everything in it.
fn house() -> Vec<(&'static str, Tenant, Caller)> {
    let make = |version| {
        let tenant = shared().tenant_of(version, &json!({}));
        let caller = tenant.owner();
        (version, tenant, caller)
    };
    VERSIONS.into_iter().map(make).collect()
}

/// Resources, and the versions that have their types.
fn of_some_versions() -> Vec<(Value, &'static [&'static str])> {
    vec![
        (
            json!({"resourceType": "SubstanceSpecification"}),
            &["4.0.1"],
        ),
        (
            json!({"resourceType": "Media", "status": "completed", "content": {"title": "x"}}),
            &["4.0.1", "4.3.0"],
        ),
        (
            json!({"resourceType": "NutritionProduct", "status": "active"}),
            &["4.3.0", "5.0.0"],
        ),
        (
            json!({"resourceType": "Transport", "status": "completed", "intent": "order",
                "requestedLocation": {"display": "here"}, "currentLocation": {"display": "there"}}),
            &["5.0.0"],
        ),
    ]
}

#[test]
fn a_type_is_there_in_its_versions_only() {
    for (version, tenant, caller) in house() {
        for (resource, versions) in of_some_versions() {
            let kind = word(&resource, "resourceType");
            let has = versions.contains(&version);
            let written = caller.post(&format!("/{kind}"), &resource);
            let statement = caller.get("/metadata").expect(200).json();
            let promised = statement["rest"][0]["resource"].as_array().unwrap();
            let promised = promised.iter().any(|r| r["type"] == kind);
            assert_eq!(
                (promised, written.status == 201),
                (has, has),
                "{version} {kind}"
            );
            if has {
                let id = word(&written.json(), "id").to_owned();
                let read = caller.get(&format!("/{kind}/{id}")).expect(200).json();
                assert_eq!(read["status"], resource["status"]);
                assert_eq!(caller.found(kind), [id]);
                continue;
            }
            assert_eq!(written.status, 404, "{version} {kind}");
            assert_eq!(caller.get(&format!("/{kind}/1")).status, 404);
            assert_eq!(caller.get(&format!("/{kind}")).status, 404);
            // Nor by another way: in a transaction, or below another type's URL.
            let transaction = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
                {"request": {"method": "POST", "url": kind}, "resource": resource}]});
            let answer = caller.post("", &transaction);
            assert!(
                (400..500).contains(&answer.status),
                "{version} {kind}: {answer:?}"
            );
            assert_eq!(
                caller.post("/Basic", &resource).status,
                400,
                "{version} {kind}"
            );
            let inside =
                json!({"resourceType": "Basic", "code": {"text": "x"}, "contained": [resource]});
            let answer = caller.post("/Basic", &inside);
            assert_eq!(answer.codes(), ["element-value"], "{version} {kind}");
            let text = answer.text();
            assert!(text.contains(version), "does not say which version: {text}");
        }
        tenant.verify();
    }
}

#[test]
fn elements_codes_and_parameters_are_those_of_the_version() {
    let old = json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
        "period": {"start": "2020-05-01", "end": "2020-05-02"}});
    let new = json!({"resourceType": "Encounter", "status": "completed",
        "class": [{"coding": [{"code": "AMB"}]}],
        "actualPeriod": {"start": "2020-05-01", "end": "2020-05-02"}});
    for (version, _, caller) in house() {
        let r5 = version == "5.0.0";
        let (good, bad) = if r5 { (&new, &old) } else { (&old, &new) };
        let id = caller.create(good);
        let refused = caller.post("/Encounter", bad).expect(422).codes();
        assert!(
            refused.contains(&"element-unknown".to_owned()),
            "{refused:?}"
        );
        assert_eq!(caller.found("Encounter?date=ge2020-05-01"), [id.as_str()]);
        let strict = |path: &str| {
            let request = caller.request("GET", path);
            caller
                .ask(&request.header("Prefer", "handling=strict"))
                .status
        };
        // `date-start` came with R5.
        let wanted = if r5 { 200 } else { 400 };
        assert_eq!(
            strict("/Encounter?date-start=2020-05-01"),
            wanted,
            "{version}"
        );
        assert_eq!(strict("/Encounter?class=AMB"), 200);
        // `_profile` is a URI in R4 and a reference in R5.
        let chained = strict("/Encounter?_profile.url=http://x");
        assert_eq!(chained, wanted, "{version}");
    }
}

#[test]
fn statements_say_the_version_and_media_types_may_name_it() {
    for (version, _, caller) in house() {
        let statement = caller.get("/metadata").expect(200).json();
        assert_eq!(statement["fhirVersion"], version);
        let short = version.rsplit_once('.').unwrap().0;
        for asked in VERSIONS {
            let named = asked.rsplit_once('.').unwrap().0;
            let media = format!("application/fhir+json; fhirVersion={named}");
            let same = asked == version;
            let metadata = caller.request("GET", "/metadata").header("Accept", &media);
            assert_eq!(
                caller.ask(&metadata).status,
                if same { 200 } else { 406 },
                "{asked}"
            );
            let body = json!({"resourceType": "Basic", "code": {"text": "x"}}).to_string();
            let basic = caller.request("POST", "/Basic").content(&media, body);
            let answer = caller.ask(&basic);
            assert_eq!(answer.status, if same { 201 } else { 415 }, "{asked}");
            if !same {
                let text = answer.text();
                assert!(text.contains(&format!("fhirVersion={short}")), "{text}");
            }
        }
    }
}

#[test]
fn what_a_tenant_says_is_valid_in_its_version() {
    for (version, _, caller) in house() {
        let patient = caller.create(&patient("Valid"));
        let statement = caller.get("/metadata").expect(200).json();
        let outcome = caller.get("/Patient/nobody").expect(404).json();
        let search = caller.search("Patient?_include=Patient:organization");
        let history = caller
            .get(&format!("/Patient/{patient}/_history"))
            .expect(200)
            .json();
        for said in [statement, outcome, search, history] {
            let kind = word(&said, "resourceType").to_owned();
            let answer = caller.post(&format!("/{kind}"), &said);
            assert_eq!(answer.status, 201, "{version} {kind}: {}", answer.text());
        }
    }
}

#[test]
fn neighbours_of_other_versions_stay_behind_their_walls() {
    let house = house();
    for (version, _, caller) in &house {
        let basic = json!({"resourceType": "Basic", "code": {"text": *version}});
        caller.put(&with_id(basic, "same"));
    }
    for (version, _, caller) in &house {
        let read = caller.get("/Basic/same").expect(200).json();
        assert_eq!(read["code"]["text"], *version);
        assert_eq!(caller.found("Basic"), ["same"]);
        for (other, neighbour, _) in house.iter().filter(|(v, ..)| v != version) {
            let stranger = caller.at(neighbour);
            for path in ["/Basic/same", "/Basic", "/Transport", "/Media"] {
                let status = stranger.get(path).status;
                assert_eq!(status, 401, "a client of {version} at {other}: {path}");
            }
        }
    }
}

#[test]
fn the_command_line_makes_and_fills_a_tenant_of_each_version() {
    let world = shared();
    let folder = Folder::new("versions");
    for (version, name) in [("4.3.0", "version-r4b"), ("5.0.0", "version-r5")] {
        let words = ["tenant", "create", name, "--fhir", version, "--json"];
        let made: Value = serde_json::from_str(&world.server().run(&words)).unwrap();
        assert_eq!(made["fhir"], version);
        let file = folder.join(&format!("{name}.ndjson"));
        let lines = (0..20).map(|i| {
            let line = json!({"resourceType": "NutritionProduct", "id": format!("n{i}"), "status": "active"});
            format!("{line}\n")
        });
        fs::write(&file, lines.collect::<String>()).unwrap();
        let file = file.to_str().unwrap();
        world.server().run(&["import", "--tenant", name, file]);
        testkit::world::verify(world.server(), name);
    }
    for wrong in ["4.0", "3.0.2", "R5", ""] {
        let draft = json!({"name": "version-wrong", "fhir": wrong}).to_string();
        let request = Request::new("POST", "/admin/v1/tenants");
        let answer = world
            .server()
            .admin(request.content("application/json", draft));
        assert_eq!(answer.expect(400).codes(), ["request-invalid"], "{wrong:?}");
    }
}
