//! Working on a policy: publishing, comparing, trying, rolling back.

use serde_json::{Value, json};

use super::super::people::{Browser, administrator, person};
use super::{govern, grants, northern, staff, two_facilities};

const POLICY: &str = "/admin/v1/tenants/lakeside/policy";

#[test]
fn versions_are_kept_compared_and_rolled_back_to() {
    let (world, _) = two_facilities();
    let get = |path: &str| {
        world
            .admin(&format!("GET {POLICY}{path}"), &Value::Null)
            .status(200)
    };
    get("").at("/version", 1).at("/by", "operator");
    grants(
        &world,
        &json!([{ "name": "a", "who": { "anyone": true }, "actions": "r", "types": ["*"] }]),
    );
    let who = northern(&world, "clinician");
    world.fhir(&who, "GET Patient/p-south", "").status(200);
    world
        .fhir(&who, "GET Patient", "")
        .refused(403, "scope-missing");
    get("/versions")
        .at("/versions/0/version", 2)
        .at("/versions/1/version", 1);
    let diff = get("/diff?from=1&to=2").at("/added/0/name", "a");
    assert!(diff.json()["removed"].as_array().unwrap().len() > 5);
    govern(
        &world,
        &json!({ "version": 1, "reason": "that was wrong", "after": 2 }),
    );
    get("").at("/version", 3).at("/reason", "that was wrong");
    world.fhir(&who, "GET Patient/p-south", "").status(404);
    world
        .admin(
            &format!("POST {POLICY}"),
            &json!({ "version": 1, "reason": "late", "after": 2 }),
        )
        .refused(412, "version-conflict");
    world
        .admin(
            &format!("POST {POLICY}"),
            &json!({ "version": 9, "reason": "none" }),
        )
        .refused(404, "not-found");
}

#[test]
fn a_document_that_cannot_be_put_into_force_is_refused_with_every_reason() {
    let (world, _) = two_facilities();
    let grant = |more: Value| {
        let mut grant = json!({ "name": "g", "who": { "anyone": true }, "actions": "rs", "types": ["Patient"] });
        for (name, value) in more.as_object().unwrap() {
            grant[name] = value.clone();
        }
        grant
    };
    for (wrong, says) in [
        (grant(json!({ "actions": "xyz" })), "actions"),
        (grant(json!({ "types": ["Patiend"] })), "types"),
        (grant(json!({ "types": [] })), "types"),
        (grant(json!({ "who": {} })), "who"),
        (grant(json!({ "criteria": "shoe=7" })), "criteria"),
        (
            grant(json!({ "criteria": "birthdate=tomorrow" })),
            "criteria",
        ),
        (
            grant(json!({ "criteria": "organization=%user.shoes" })),
            "criteria",
        ),
        (grant(json!({ "criteria": "_sort=name" })), "criteria"),
        (
            grant(json!({ "within": "organization=%user.facilities" })),
            "within",
        ),
        (grant(json!({ "hide": ["shoes"] })), "hide"),
        (grant(json!({ "hide": ["name.given"] })), "hide"),
        (grant(json!({ "when": "1 +" })), "when"),
        (grant(json!({ "networks": ["10.0.0.0/99"] })), "networks"),
        (grant(json!({ "effect": "deny", "hide": ["name"] })), "hide"),
        (grant(json!({ "actions": ["$everythin"] })), "actions"),
        (grant(json!({ "actions": ["$policy-publish"] })), "actions"),
        (
            grant(json!({ "actions": ["$everythin"], "effect": "deny" })),
            "is no operation",
        ),
        (
            grant(json!({ "actions": ["$everything"], "effect": "deny", "criteria": "_id=1" })),
            "as a whole",
        ),
    ] {
        let draft = json!({ "document": { "grants": [wrong] }, "reason": "test" });
        let refused = world
            .admin(&format!("POST {POLICY}"), &draft)
            .refused(422, "policy-invalid");
        assert!(
            refused.text("/detail").contains(says),
            "{wrong}: {}",
            refused.text("/detail")
        );
    }
    let unknown =
        json!({ "document": { "grants": [grant(json!({ "whom": 1 }))] }, "reason": "test" });
    let code = world.admin(&format!("POST {POLICY}"), &unknown).code;
    assert!((400..=422).contains(&code), "{code}");
    world
        .admin(&format!("GET {POLICY}"), &Value::Null)
        .at("/version", 1);
}

#[test]
fn a_decision_is_explained() {
    let (world, _) = two_facilities();
    let ask = |question: &Value| world.admin(&format!("POST {POLICY}/test"), question);
    let clinician = json!(["clinician@Organization/o-north"]);
    let of = |id: Option<&str>| {
        let mut question = json!({ "roles": clinician, "action": "read", "type": "Patient" });
        if let Some(id) = id {
            question["id"] = json!(id);
        }
        question
    };
    let yes = ask(&of(None)).status(200).at("/allowed", true).json();
    let mut steps = yes["steps"].as_array().unwrap().iter();
    let step = steps.find(|s| s["grant"] == "clinician: charts").unwrap();
    assert_eq!(
        (&step["says"], step.get("met")),
        (&json!("gives-some"), None)
    );
    // Whom somebody treats is told to nobody outside.
    for id in ["p-north", "p-south", "p-absent"] {
        ask(&of(Some(id))).refused(403, "clinic-only");
    }
    let reads = |at: &str| format!("clinician@Organization/o-{at}");
    let roles = ["tenant-administrator", &reads("north"), &reads("south")];
    let own = staff(&world, &roles, "system/*.cruds");
    for (id, allowed, found) in [
        ("p-north", true, Some(json!(true))),
        ("p-south", false, Some(json!(true))),
        // What is not there is not read by whoever asks: nothing is told of it but what holds for the type.
        ("p-absent", true, None),
    ] {
        let asked = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "role", "valueString": "clinician@Organization/o-north" },
            { "name": "action", "valueCode": "read" }, { "name": "type", "valueCode": "Patient" },
            { "name": "id", "valueId": id } ] });
        let told = world.fhir(&own, "POST $policy-test", asked.to_string());
        let told = told.status(200).json();
        let said = |name: &str| {
            let mut all = told["parameter"].as_array().unwrap().iter();
            let found = all.find(|p| p["name"] == name);
            found.map(|p| p["valueBoolean"].clone())
        };
        assert_eq!(
            (said("allowed"), said("found")),
            (Some(json!(allowed)), found),
            "{id} {told:#}"
        );
    }
    ask(&json!({ "roles": ["clinician"], "action": "read", "type": "Patient" }))
        .status(200)
        .at("/allowed", false);
    let draft = json!({ "grants": [{ "name": "d", "who": { "anyone": true }, "actions": "r", "types": ["*"] }] });
    let mut question = of(None);
    question["document"] = draft;
    ask(&question)
        .status(200)
        .at("/allowed", true)
        .at("/steps/0/says", "gives");
    world
        .admin(
            &format!("POST {POLICY}/test"),
            &json!({ "action": "fly", "type": "Patient" }),
        )
        .refused(400, "request-invalid");
}

#[test]
fn a_draft_is_tried_on_what_was_asked() {
    let (world, _) = two_facilities();
    let who = northern(&world, "clinician");
    world.fhir(&who, "GET Patient/p-north", "").status(200);
    world.fhir(&who, "GET Patient/p-south", "").status(404);
    world.fhir(&who, "GET Observation", "").status(200);
    let draft = json!({ "document": { "grants": [{ "name": "south", "who": { "roles": ["clinician"] },
        "actions": "rs", "types": ["Patient"], "criteria": "organization=Organization/o-south" }] } });
    // The operator reads no charts: they are told by roles and types.
    let run = world
        .admin(&format!("POST {POLICY}/dry-run"), &draft)
        .status(200)
        .json();
    assert_eq!(run["changes"], json!([]), "{run:#}");
    assert!(!run.to_string().contains("p-north"), "{run:#}");
    let shift = |run: &Value, action: &str, of: &str| {
        let mut all = run["shifts"].as_array().unwrap().iter();
        let found = all.find(|s| {
            s["roles"] == "clinician@Organization/o-north"
                && s["action"] == action
                && s["type"] == of
        });
        found.cloned()
    };
    let reads = shift(&run, "read", "Patient").unwrap();
    assert_eq!(
        (
            &reads["now"],
            &reads["then"],
            &reads["times"],
            &reads["callers"]
        ),
        (&json!("some"), &json!("some"), &json!(2), &json!(1))
    );
    let searched = shift(&run, "search", "Observation").unwrap();
    assert_eq!(
        (&searched["now"], &searched["then"]),
        (&json!("some"), &json!("nothing"))
    );
    // Whoever reads a resource is told of the requests for it, and of no others.
    let changes = |role: &str| {
        let who = staff(&world, &["tenant-administrator", role], "system/*.cruds");
        let parameters = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "document", "valueString": draft["document"].to_string() } ] });
        let told = world
            .fhir(&who, "POST $policy-dry-run", parameters.to_string())
            .status(200)
            .json();
        let parts = told["parameter"].as_array().unwrap().clone();
        let value = |of: &Value, name: &str| {
            let mut parts = of["part"].as_array().unwrap().iter();
            parts.find(|p| p["name"] == name).unwrap().clone()
        };
        let mut found: Vec<(String, bool, bool)> = (parts.iter())
            .filter(|p| p["name"] == "change")
            .map(|p| {
                (
                    value(p, "about")["valueString"]
                        .as_str()
                        .unwrap()
                        .to_owned(),
                    value(p, "now")["valueBoolean"] == true,
                    value(p, "then")["valueBoolean"] == true,
                )
            })
            .filter(|(about, ..)| about.starts_with("Patient/p-"))
            .collect();
        found.sort();
        (found, told.to_string())
    };
    let (found, text) = changes("clinician@Organization/o-north");
    assert_eq!(found, [("Patient/p-north".to_owned(), true, false)]);
    assert!(!text.contains("p-south"), "{text}");
    let (found, _) = changes("clinician@Organization/o-south");
    assert_eq!(found, [("Patient/p-south".to_owned(), false, true)]);
    let (found, text) = changes("lab@Organization/o-west");
    assert!(found.is_empty() && !text.contains("Patient/p-"), "{text}");
    // Nothing came into force.
    world
        .admin(&format!("GET {POLICY}"), &Value::Null)
        .at("/version", 1);
}

/// What an earlier version of a ready policy says.
fn earlier(ready: &Value) -> Value {
    let mut document = ready.clone();
    for grant in document["grants"].as_array_mut().unwrap() {
        let grant = grant.as_object_mut().unwrap();
        let directory = grant["name"].as_str().unwrap().ends_with("the directory");
        if directory {
            let types = grant["types"].as_array_mut().unwrap();
            let at = types.iter().position(|of| of == "Endpoint").unwrap();
            types.splice(at + 1..at + 1, ["Schedule", "Slot"].map(Value::from));
            grant["actions"] = json!("rs");
        }
        match grant["name"].as_str().unwrap() {
            "biller: patients" => {
                grant["hide"] = json!(["Patient.contact", "Encounter.diagnosis"]);
            }
            "front-desk: appointments" => {
                grant.remove("hide");
                grant["types"] = json!([
                    "Appointment",
                    "AppointmentResponse",
                    "Schedule",
                    "Encounter"
                ]);
            }
            _ => {}
        }
        let within = match grant.remove("by") {
            Some(by) if by == "facility" => "Patient?organization=%user.facilities",
            Some(by) if by == "care-team" => {
                "Patient?_has:CareTeam:patient:participant=%user.practitioner"
            }
            Some(by) if by == "consent" => {
                "Patient?_has:Consent:patient:_filter=status eq active and actor eq %user.facilities"
            }
            _ => continue,
        };
        grant.insert("within".to_owned(), json!(within));
    }
    // Diaries had no grants of their own.
    let grants = document["grants"].as_array_mut().unwrap();
    grants.retain(|grant| !grant["name"].as_str().unwrap().ends_with(": diaries"));
    document
}

#[test]
fn grants_of_earlier_ready_policies_are_told_of_and_renewed_in_a_draft() {
    let (world, _) = two_facilities();
    let admin = administrator(&world, "lakeside");
    let (doctor, _) = person(
        &admin,
        &json!({ "login": "doc", "name": "Doc", "roles": ["clinician"] }),
    );
    let presets = world.admin("GET /admin/v1/policy-presets", &Value::Null);
    let presets = presets.status(200).json();
    let in_force = || {
        let shown = world.admin(&format!("GET {POLICY}"), &Value::Null);
        shown.status(200).json()
    };
    let told = "has grants that may open more than is meant";
    for preset in presets["presets"].as_array().unwrap() {
        let (name, ready) = (&preset["name"], &preset["document"]);
        let mut old = earlier(ready);
        if name == "by-consent" {
            old.as_object_mut().unwrap().remove("consents");
        }
        // One that somebody wrote themselves stays as it is.
        let own = json!({ "name": "own", "who": { "roles": ["nurse"] }, "actions": "rs",
            "types": ["*"], "within": "Patient?organization=%user.facilities" });
        old["grants"].as_array_mut().unwrap().push(own.clone());
        let draft = json!({ "document": old, "reason": "test" });
        let made = world.admin(&format!("POST {POLICY}"), &draft).status(201);
        let warnings = made.json()["warnings"].to_string();
        assert!(warnings.contains("clinician: charts"), "{name}: {warnings}");
        assert!(!warnings.contains("own"), "{name}: {warnings}");
        let shown = in_force();
        assert_eq!(shown["document"], old, "{name}");
        assert!(
            shown["warnings"][0]
                .as_str()
                .unwrap()
                .contains("nurse: charts")
        );
        let mut renewed = ready.clone();
        let grants = renewed["grants"].as_array_mut().unwrap();
        let diaries = |grant: &Value| grant["name"].as_str().unwrap().ends_with(": diaries");
        let (added, kept) = std::mem::take(grants).into_iter().partition(diaries);
        *grants = [kept, vec![own], added].concat();
        assert_eq!(shown["renewed"], renewed, "{name}");
        let page =
            |of: &Browser<'_>| String::from_utf8_lossy(&of.account().status(200).body).into_owned();
        let looked = || {
            let path = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
            let trail = world.admin(path, &Value::Null).status(200);
            String::from_utf8_lossy(&trail.body)
                .matches("outdated policy")
                .count()
        };
        let before = looked();
        assert!(page(&admin).contains(told), "{name}");
        assert!(!page(&doctor).contains(told), "{name}");
        assert_eq!(looked(), before + 1, "{name}");
        let client = staff(&world, &["tenant-administrator"], "system/*.cruds");
        let parameters = world.fhir(&client, "GET $policy", "").status(200).json();
        let all = parameters["parameter"].as_array().unwrap();
        let draft = all.iter().find(|p| p["name"] == "renewed").unwrap();
        let draft: Value = serde_json::from_str(draft["valueString"].as_str().unwrap()).unwrap();
        assert_eq!(draft, renewed, "{name}");
        govern(&world, &json!({ "document": draft, "reason": "renewed" }));
        let shown = in_force();
        assert!(shown["warnings"].is_null() && shown["renewed"].is_null());
        assert!(!page(&admin).contains(told), "{name}");
    }
}

#[test]
fn who_administers_policy_works_on_it_over_fhir() {
    let (world, all) = two_facilities();
    let admin = staff(&world, &["tenant-administrator"], "system/*.cruds");
    for line in [
        "GET $policy",
        "POST $policy-publish",
        "POST $policy-test",
        "POST $policy-dry-run",
    ] {
        world.fhir(&all, line, "").refused(403, "scope-missing");
        let clinician = northern(&world, "clinician");
        world
            .fhir(&clinician, line, "")
            .refused(403, "scope-missing");
    }
    world
        .fhir(&admin, "GET $policy", "")
        .status(200)
        .at("/resourceType", "Parameters");
    let test = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "role", "valueString": "clinician@Organization/o-north" },
        { "name": "action", "valueCode": "read" }, { "name": "type", "valueCode": "Patient" },
        { "name": "id", "valueId": "p-south" } ] });
    let told = world
        .fhir(&admin, "POST $policy-test", test.to_string())
        .status(200)
        .json();
    let allowed = told["parameter"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == "allowed");
    // Of a chart that is not theirs to read they are told what holds of the type.
    assert_eq!(allowed.unwrap()["valueBoolean"], true);
    assert!(!told.to_string().contains("\"met\""), "{told}");
    let publish = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "preset", "valueString": "network-wide" },
        { "name": "reason", "valueString": "we share" } ] });
    world
        .fhir(&admin, "POST $policy-publish", publish.to_string())
        .status(200);
    let who = northern(&world, "clinician");
    world.fhir(&who, "GET Patient/p-south", "").status(200);
    let shown = world
        .admin(&format!("GET {POLICY}"), &Value::Null)
        .at("/version", 2);
    assert!(shown.text("/by").starts_with("client:"));
    // A token that was narrowed administers nothing.
    let narrow = staff(&world, &["tenant-administrator"], "system/Patient.rs");
    world
        .fhir(&narrow, "GET $policy", "")
        .refused(403, "scope-missing");
    // Administering the policy is no right to charts.
    world
        .fhir(&admin, "GET Patient/p-south", "")
        .refused(403, "scope-missing");
}

#[test]
fn the_matrix_can_be_read() {
    let (world, _) = two_facilities();
    let matrix = world
        .admin(&format!("GET {POLICY}/matrix"), &Value::Null)
        .status(200)
        .json();
    let roles = matrix["roles"].as_array().unwrap();
    let of = |role: &str, name: &str| {
        let at = roles.iter().position(|r| r == role).unwrap();
        matrix["types"][name][at].as_str().unwrap().to_owned()
    };
    assert_eq!(of("clinician", "Patient"), "(cruds)");
    assert_eq!(of("biller", "Patient"), "(rs)*");
    assert_eq!(of("biller", "Observation"), "");
    assert_eq!(of("clinician", "Organization"), "rs");
    let text = world
        .admin(&format!("GET {POLICY}/matrix?format=text"), &Value::Null)
        .status(200);
    assert!(String::from_utf8_lossy(&text.body).contains("Patient"));
}

#[test]
fn a_draft_tells_nothing_by_way_of_what_its_author_does_not_read() {
    let (world, _) = two_facilities();
    grants(
        &world,
        &json!([
            { "name": "keeper", "who": { "roles": ["keeper"] }, "actions": ["administer"], "types": ["*"] },
            { "name": "reader", "who": { "roles": ["reader"] }, "actions": "rs", "types": ["Patient"] },
            { "name": "finder", "who": { "roles": ["finder"] }, "actions": "rs", "types": ["Patient", "Observation"] },
        ]),
    );
    // Of a patient who may be read: whether there is a finding that may not.
    let draft = json!({ "grants": [{ "name": "probe", "who": { "roles": ["x", "reader"] }, "actions": "rs",
        "types": ["Patient"], "criteria": "_has:Observation:patient:code=urn:c|other" }] });
    let test = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "role", "valueString": "x" }, { "name": "action", "valueCode": "read" },
        { "name": "type", "valueCode": "Patient" }, { "name": "id", "valueId": "p-south" },
        { "name": "document", "valueString": draft.to_string() } ] });
    let asker = staff(&world, &["reader"], "system/*.cruds");
    world.fhir(&asker, "GET Patient/p-south", "").status(200);
    let run = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "document", "valueString": draft.to_string() } ] });
    for (role, tells) in [("reader", false), ("finder", true)] {
        let who = staff(&world, &["keeper", role], "system/*.cruds");
        let told = world
            .fhir(&who, "POST $policy-test", test.to_string())
            .status(200);
        let text = String::from_utf8_lossy(&told.body).into_owned();
        assert_eq!(text.contains("\"met\""), tells, "{text}");
        let told = world
            .fhir(&who, "POST $policy-dry-run", run.to_string())
            .status(200);
        let text = String::from_utf8_lossy(&told.body).into_owned();
        assert_eq!(text.contains("Patient/p-south"), tells, "{text}");
    }
}

/// A policy that is in force asks what a draft would ask.
#[test]
fn nobody_asks_of_charts_by_publishing_what_they_ask() {
    let (world, _) = two_facilities();
    grants(
        &world,
        &json!([
            { "name": "probe", "who": { "roles": ["x"] }, "actions": "r", "types": ["Patient"],
              "criteria": "_has:Observation:patient:code=urn:c|finding" },
            { "name": "keeper", "who": { "roles": ["keeper"] }, "actions": ["administer"], "types": ["*"] },
            { "name": "reader", "who": { "roles": ["reader"] }, "actions": "rs", "types": ["*"] },
        ]),
    );
    let asked = json!({ "roles": ["x"], "action": "read", "type": "Patient", "id": "p-south" });
    world
        .admin(&format!("POST {POLICY}/test"), &asked)
        .refused(403, "clinic-only");
    let parameters = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "role", "valueString": "x" }, { "name": "action", "valueCode": "read" },
        { "name": "type", "valueCode": "Patient" }, { "name": "id", "valueId": "p-south" } ] });
    for (roles, tells) in [(&["keeper"][..], false), (&["keeper", "reader"], true)] {
        let who = staff(&world, roles, "system/*.cruds");
        let told = world
            .fhir(&who, "POST $policy-test", parameters.to_string())
            .status(200);
        let text = String::from_utf8_lossy(&told.body).into_owned();
        assert_eq!(text.contains("\"met\""), tells, "{text}");
    }
}

#[test]
fn a_draft_tells_nothing_of_what_its_author_does_not_read() {
    let (world, _) = two_facilities();
    let draft = |roles: &str| {
        json!({ "grants": [{ "name": "probe", "who": { "roles": [roles] }, "actions": "rs", "types": ["Patient"],
            "criteria": "birthdate=1970-01-01" }] })
    };
    let asked = json!({ "roles": ["x"], "action": "read", "type": "Patient", "id": "p-south", "document": draft("x") });
    world
        .admin(&format!("POST {POLICY}/test"), &asked)
        .refused(403, "clinic-only");
    grants(
        &world,
        &json!([
            { "name": "keeper", "who": { "roles": ["keeper"] }, "actions": ["administer"], "types": ["*"] },
            { "name": "reader", "who": { "roles": ["reader"] }, "actions": "rs", "types": ["Patient"],
              "criteria": "organization=%user.facilities" },
        ]),
    );
    let parameters = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "role", "valueString": "x" }, { "name": "action", "valueCode": "read" },
        { "name": "type", "valueCode": "Patient" }, { "name": "id", "valueId": "p-south" },
        { "name": "document", "valueString": draft("x").to_string() } ] });
    let keeper = staff(&world, &["keeper"], "system/*.cruds");
    for (roles, tells) in [
        (["keeper", "reader@Organization/o-north"], false),
        (["keeper", "reader@Organization/o-south"], true),
    ] {
        let who = staff(&world, &roles, "system/*.cruds");
        let told = world
            .fhir(&who, "POST $policy-test", parameters.to_string())
            .status(200);
        let text = String::from_utf8_lossy(&told.body).into_owned();
        assert_eq!(text.contains("\"met\""), tells, "{text}");
    }
    // Whoever asks of a resource is in the trail with it.
    world
        .fhir(&keeper, "POST $policy-test", parameters.to_string())
        .status(200);
    let trail = world
        .admin(
            "GET /admin/v1/tenants/lakeside/audit?limit=1000",
            &Value::Null,
        )
        .status(200);
    let lines = trail.json();
    let lines = lines["lines"].as_array().unwrap().iter();
    let mut asked =
        lines.filter(|l| l["action"] == "administer" && l["about"] == "Patient/p-south");
    assert!(
        asked.next().is_some(),
        "{}",
        String::from_utf8_lossy(&trail.body)
    );
}
