//! HL7's own cases of `$graphql`, of each version, where `INSULA_SUITES` has them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fhir::definitions::{FhirVersion, Model};
use serde_json::{Value, json};
use testkit::outside;

use super::super::world::World;
use super::put;

/// Cases that cannot be answered as the suite says, and why.
const EXCEPTIONS: &[(&str, &str)] = &[(
    "search-full",
    "the suite's page and cursor are those of a service made up for it",
)];

/// The cases of a version.
const CASES: usize = 29;

fn attributes(line: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit(' ').next().unwrap_or_default();
        let (value, after) = after.split_once('"').unwrap_or((after, ""));
        found.insert(name.to_owned(), value.to_owned());
        rest = after;
    }
    found
}

/// The resource of the suite, from its XML.
fn resource_of(version: FhirVersion, file: &Path) -> Value {
    let bytes = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let bounds = fhir::xml::Bounds {
        depth_max: 64,
        attributes_max: 64,
        issues_max: 10,
    };
    let text = fhir::xml::to_json(Model::of(version), &bytes, &bounds).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What the suite's own service has stored.
fn store(world: &World, who: &str, version: FhirVersion, folder: &Path) {
    let folder = match version {
        FhirVersion::R4 => folder.join("examples"),
        _ => folder.to_owned(),
    };
    for name in [
        "patient-example",
        "observation-example",
        "medicationdispenseexample8",
        "patient-glossy-example",
        "observation-example-20minute-apgar-score",
        "list-example-long",
    ] {
        let mut resource = resource_of(version, &folder.join(format!("{name}.xml")));
        match name {
            // The suite's own search finds two patients only.
            "patient-glossy-example" => resource["active"] = false.into(),
            // The suite asks for them by these ids.
            "list-example-long" => resource["id"] = "example-long".into(),
            "medicationdispenseexample8" => resource["id"] = "meddisp008".into(),
            _ => {}
        }
        put(world, who, &resource);
    }
    let mut condition = json!({ "resourceType": "Condition", "id": "example",
        "subject": { "reference": "Patient/example" } });
    if version == FhirVersion::R5 {
        let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
        condition["clinicalStatus"] = json!({ "coding": [{ "system": system, "code": "active" }] });
    }
    for resource in [
        json!({ "resourceType": "Patient", "id": "xds", "active": true }),
        json!({ "resourceType": "Patient", "id": "inactive", "active": false }),
        condition,
    ] {
        put(world, who, &resource);
    }
}

/// Whether a case comes out as the suite says; if not, the answer.
fn judge(
    world: &World,
    who: &str,
    folder: &Path,
    case: &BTreeMap<String, String>,
) -> Result<(), String> {
    let query = fs::read_to_string(folder.join(&case["source"])).unwrap();
    let context = &case["context"];
    let path = context.strip_suffix("$graphql").unwrap_or(context);
    let mut body = json!({ "query": query });
    if let Some(operation) = case.get("operation") {
        body["operationName"] = operation.as_str().into();
        body["variables"] = json!({ "var": true });
    }
    let json_body = [("content-type", "application/json")];
    let line = format!("POST {path}$graphql");
    let answer = world.fhir_with(who, &line, &json_body, body.to_string());
    let good = match case["output"].as_str() {
        "$error" => answer.code >= 400 && answer.json()["errors"].is_array(),
        output => {
            let wanted = fs::read_to_string(folder.join(output)).unwrap();
            let wanted: Value = serde_json::from_str(&wanted).unwrap();
            let mut found = answer.json()["data"].clone();
            // The suite's searches have no order.
            if let Some(Value::Array(list)) = found.get_mut("PatientList") {
                list.sort_by_key(|p| p["id"].to_string());
            }
            found == wanted
        }
    };
    let text = String::from_utf8_lossy(&answer.body);
    if good {
        Ok(())
    } else {
        Err(format!("{} {text:.600}", answer.code))
    }
}

fn cases_of(version: FhirVersion) {
    let Some(root) = outside::suite("fhir-test-cases") else {
        return;
    };
    let release = version.release();
    let folder = root.join(release.to_ascii_lowercase());
    let world = World::new();
    let tenant = json!({ "name": "lakeside", "fhir": version.as_str() });
    world.admin("POST /admin/v1/tenants", &tenant).status(201);
    let who = world.client("lakeside", "system/*.cruds");
    store(&world, &who, version, &folder);
    let folder = folder.join("graphql");
    let manifest = fs::read_to_string(folder.join("manifest.xml")).unwrap();
    let (mut wrong, mut good, mut all) = (Vec::new(), 0, 0);
    for line in manifest.lines().filter(|line| line.contains("<test ")) {
        let case = attributes(line);
        let end = judge(&world, &who, &folder, &case);
        all += 1;
        good += usize::from(end.is_ok());
        let excepted = EXCEPTIONS.iter().any(|(name, _)| *name == case["name"]);
        match end {
            Ok(()) if excepted => wrong.push(format!("{} is good now", case["name"])),
            Err(end) if !excepted => wrong.push(format!("{}: {end}", case["name"])),
            _ => {}
        }
    }
    outside::record("graphql", &format!("{release} cases"), good, all);
    assert_eq!(all, CASES, "the suite has other cases than those known");
    assert!(wrong.is_empty(), "{release}: {}", wrong.join("\n"));
}

#[test]
fn hl7s_graphql_cases_of_r4() {
    cases_of(FhirVersion::R4);
}

#[test]
fn hl7s_graphql_cases_of_r4b() {
    cases_of(FhirVersion::R4B);
}

#[test]
fn hl7s_graphql_cases_of_r5() {
    cases_of(FhirVersion::R5);
}
