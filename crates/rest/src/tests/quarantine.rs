//! Rows that were changed past Insula: found, kept apart, decided about by somebody of the tenant.

mod charts;
mod deciding;

use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rusqlite::Connection;
use serde_json::{Value, json};
use testkit::poll;

use super::people::{administrator, person};
use super::policy::glass::approved;
use super::world::{Answer, World, patient_with_id};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

/// The id of the only tenant, as its folder is named.
fn tenant_id(data: &Path) -> String {
    let found = std::fs::read_dir(data.join("tenants")).unwrap();
    let names = found.map(|e| e.unwrap().file_name().into_string().unwrap());
    names.into_iter().find(|n| n.len() == 32).unwrap()
}

/// The database of the only tenant, opened by somebody who has `insula.key` and no Insula.
pub(super) fn past_insula(data: &Path) -> Connection {
    let id = tenant_id(data);
    let wrapped = std::fs::read(data.join("keys").join(&id)).unwrap();
    let keys = std::fs::read_to_string(data.join("insula.key")).unwrap();
    let key: Vec<String> = keys
        .lines()
        .map(|l| l.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .find(|w| w[0] == "key" && unhex(&w[1]) == wrapped[5..13])
        .unwrap();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &unhex(&key[2])).unwrap());
    let aad = [b"insula wrapped key 1\0".as_slice(), &unhex(&id)].concat();
    let mut sealed = wrapped[25..].to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&wrapped[13..25]).unwrap();
    let key = cipher
        .open_in_place(nonce, Aad::from(aad), &mut sealed)
        .unwrap();
    let key: String = key.iter().map(|b| format!("{b:02x}")).collect();
    let file: PathBuf = data.join("tenants").join(&id).join("data.db");
    let db = Connection::open(file).unwrap();
    db.execute_batch(&format!(
        "PRAGMA key = \"x'{key}'\"; PRAGMA cipher_page_size = 4096;
         PRAGMA cipher_hmac_algorithm = HMAC_SHA256;"
    ))
    .unwrap();
    db
}

/// A clinic with a patient of two versions, another one, and an observation.
fn clinic() -> (World, String) {
    let (world, all) = World::clinic();
    for family in ["First", "Second"] {
        let line = "PUT Patient/p";
        let done = world.fhir(&all, line, patient_with_id("p", family));
        assert!(done.code < 300);
    }
    world
        .fhir(&all, "PUT Patient/other", patient_with_id("other", "Other"))
        .status(201);
    let observation = json!({ "resourceType": "Observation", "id": "o", "status": "final",
        "code": { "text": "x" }, "subject": { "reference": "Patient/p" },
        "valueQuantity": { "value": 7.20 } });
    let observation = observation.to_string().replace("7.2", "7.20");
    world
        .fhir(&all, "PUT Observation/o", observation)
        .status(201);
    (world, all)
}

/// Somebody who may administer the tenant, with these letters on data.
fn approver(world: &World, letters: &str) -> String {
    let mut grants = vec![
        json!({ "name": "administers", "who": { "roles": ["keeper"] },
        "actions": ["administer"], "types": ["*"] }),
    ];
    if !letters.is_empty() {
        grants.push(json!({ "name": "data", "who": { "roles": ["keeper"] },
            "actions": letters, "types": ["*"] }));
    }
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    let admin = administrator(world, "lakeside");
    let draft = json!({ "login": "keeper", "name": "Keeper", "roles": ["keeper"] });
    let (keeper, _) = person(&admin, &draft);
    approved(&keeper)
}

fn client(world: &World, role: &str) -> String {
    let draft = json!({ "name": role, "scopes": ["system/*.cruds"], "roles": [role] });
    let made = world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let (id, secret) = (made.text("/client_id"), made.text("/client_secret"));
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// Checks all rows now; how far it is then.
fn scrub(world: &World) -> Value {
    let path = "/admin/v1/tenants/lakeside/scrub";
    world
        .admin(&format!("POST {path}"), &json!({ "now": true }))
        .status(202);
    poll::until("a round", 60, || {
        let told = world.admin(&format!("GET {path}"), &Value::Null).json();
        (told["running"] == false).then_some(told)
    })
}

fn waiting(world: &World) -> Vec<(String, u64, String)> {
    let told = world.admin("GET /admin/v1/tenants/lakeside/quarantine", &Value::Null);
    let told = told.status(200).json();
    let line = |l: &Value| {
        let text = |name: &str| l[name].as_str().unwrap().to_owned();
        (
            text("resource"),
            l["version"].as_u64().unwrap(),
            text("kind"),
        )
    };
    told["quarantine"]
        .as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect()
}

/// Decides about what is there now.
fn decide(world: &World, who: &str, resource: &str, decision: &str) -> Answer {
    let shown = world.fhir(who, &format!("GET $quarantine?resource={resource}"), "");
    let shown = match shown.code {
        200 => shown.json()["parameter"].clone(),
        _ => json!([]),
    };
    let digest = shown
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == "changedDigest");
    let digest = digest.filter(|_| decision == "accept");
    decide_seen(
        world,
        who,
        (resource, decision),
        digest.and_then(|d| d["valueString"].as_str()),
    )
}

fn decide_seen(
    world: &World,
    who: &str,
    (resource, decision): (&str, &str),
    digest: Option<&str>,
) -> Answer {
    let mut body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "resource", "valueString": resource },
        { "name": "decision", "valueCode": decision },
        { "name": "remark", "valueString": "seen on paper" } ] });
    if let Some(digest) = digest {
        let part = json!({ "name": "digest", "valueString": digest });
        body["parameter"].as_array_mut().unwrap().push(part);
    }
    world.fhir(who, "POST $quarantine-decide", body.to_string())
}

/// The current version of Patient/p says what Patient/other says, and its seal does not hold.
const SWAP: &str = "UPDATE version SET (body, size, dict) =
   (SELECT body, size, dict FROM version WHERE vid = 3) WHERE vid = 2";

#[test]
fn a_changed_row_is_kept_apart_until_somebody_of_the_tenant_decides() {
    let (world, all) = clinic();
    let keeper = approver(&world, "cruds");
    world.fhir(&all, "GET Patient/p", "").status(200);
    past_insula(&world.dir).execute_batch(SWAP).unwrap();
    let told = scrub(&world);
    assert_eq!(
        (told["found"].clone(), told["last_found"].clone()),
        (json!(1), json!(1))
    );
    assert_eq!(
        waiting(&world),
        [("Patient/p".to_owned(), 2, "seal".to_owned())]
    );

    // Reads say so, also where a good body was in memory; others go on.
    world
        .fhir(&all, "GET Patient/p", "")
        .refused(500, "resource-quarantined");
    world
        .fhir(&all, "GET Patient/p/_history/2", "")
        .refused(500, "resource-quarantined");
    world.fhir(&all, "GET Patient/other", "").status(200);
    // The last good version is there.
    world
        .fhir(&all, "GET Patient/p/_history/1", "")
        .status(200)
        .at("/name/0/family", "First");
    let history = world.fhir(&all, "GET Patient/p/_history", "").status(200);
    assert_eq!(history.entries(), ["Patient/p", "?"]);
    history.at(
        "/entry/1/response/outcome/issue/0/details/coding/0/code",
        "resource-quarantined",
    );
    // Searches leave it out, and say so.
    let found = world.fhir(&all, "GET Patient", "").status(200);
    assert_eq!(found.entries(), ["Patient/other", "outcome"]);
    found.at(
        "/entry/1/resource/issue/0/details/coding/0/code",
        "resource-quarantined",
    );
    // Nobody writes over it.
    let new = patient_with_id("p", "Third");
    world
        .fhir(&all, "PUT Patient/p", new)
        .refused(500, "resource-quarantined");
    world
        .fhir(&all, "DELETE Patient/p", "")
        .refused(500, "resource-quarantined");

    // Who does not administer decides nothing, nor does the operator.
    decide(&world, &all, "Patient/p", "revert").refused(403, "scope-missing");
    let operator = world.operator.clone();
    decide(&world, &operator, "Patient/p", "revert").status(401);

    let shown = world
        .fhir(&keeper, "GET $quarantine?resource=Patient/p", "")
        .status(200);
    let shown = shown.json().to_string();
    assert!(
        shown.contains("Other") && !shown.contains("Second"),
        "{shown}"
    );
    assert!(shown.contains("First"), "{shown}");

    let done = decide(&world, &keeper, "Patient/p", "revert")
        .status(200)
        .json();
    assert!(done.to_string().contains("\"valueInteger\":3"), "{done}");
    world
        .fhir(&all, "GET Patient/p", "")
        .status(200)
        .at("/name/0/family", "First")
        .at("/meta/versionId", "3");
    // What was changed stays as it lies there: nothing was sealed anew.
    world
        .fhir(&all, "GET Patient/p/_history/2", "")
        .refused(500, "resource-quarantined");
    let found = world.fhir(&all, "GET Patient?family=First", "").status(200);
    assert_eq!(found.entries(), ["Patient/p"]);
    assert!(waiting(&world).is_empty());
    scrub(&world);
    assert!(waiting(&world).is_empty(), "decided is decided");
    decide(&world, &keeper, "Patient/p", "revert").refused(409, "quarantine-decision");
    // Who decided what is in the list, and in the trail.
    let list = world.admin(
        "GET /admin/v1/tenants/lakeside/quarantine?all=true",
        &Value::Null,
    );
    list.status(200)
        .at("/quarantine/0/decision", "revert")
        .at("/quarantine/0/made", 3);
    // In words, for the tenant's own people.
    let own = world.fhir(&keeper, "GET $quarantine?all=true", "");
    let own = own.status(200).json().to_string();
    assert!(own.contains("seen on paper"), "{own}");
    let list = world.admin(
        "GET /admin/v1/tenants/lakeside/quarantine?all=true",
        &Value::Null,
    );
    assert_eq!(list.json()["quarantine"][0]["remark"], Value::Null);
    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=1000",
        &Value::Null,
    );
    let trail = trail.status(200).json().to_string();
    assert!(!trail.contains("seen on paper"), "{trail}");
    for line in [
        "quarantine seal Patient/p/_history/2",
        "revert quarantine",
        "Patient/p/_history/3",
    ] {
        assert!(trail.contains(line), "{line}: {trail}");
    }
    let metrics = world.ask("GET /metrics", &[("authorization", &operator)], "");
    let metrics = String::from_utf8(metrics.status(200).body.to_vec()).unwrap();
    assert!(
        metrics.contains("insula_scrub_finished_timestamp_seconds{tenant=\"lakeside\"}"),
        "{metrics}"
    );
}

#[test]
fn changed_content_is_accepted_as_a_new_version_if_it_is_valid() {
    let (world, all) = clinic();
    let keeper = approver(&world, "cruds");
    past_insula(&world.dir).execute_batch(SWAP).unwrap();
    // A read that meets it is enough to put it into quarantine.
    world
        .fhir(&all, "GET Patient?family=Second", "")
        .status(200);
    world
        .fhir(&all, "PUT Patient/x", patient_with_id("x", "X"))
        .status(201);
    scrub(&world);
    decide(&world, &keeper, "Patient/p", "note").refused(409, "quarantine-decision");
    decide(&world, &keeper, "Patient/p", "delete").refused(409, "quarantine-decision");
    decide(&world, &keeper, "Patient/p", "accept").status(200);
    world
        .fhir(&all, "GET Patient/p", "")
        .status(200)
        .at("/name/0/family", "Other")
        .at("/meta/versionId", "3");
    let found = world
        .fhir(&all, "GET Patient?family=Other&_sort=_id", "")
        .status(200);
    assert_eq!(found.entries(), ["Patient/other", "Patient/p"]);
}

#[test]
fn deciding_takes_the_right_to_administer_and_the_rights_to_the_resource() {
    let (world, _) = clinic();
    let keeper = approver(&world, "");
    past_insula(&world.dir).execute_batch(SWAP).unwrap();
    scrub(&world);
    // What there is, but not what it says.
    let shown = world
        .fhir(&keeper, "GET $quarantine?resource=Patient/p", "")
        .status(200);
    let text = shown.json().to_string();
    assert!(text.contains("Patient/p") && !text.contains("First") && !text.contains("Other"));
    decide(&world, &keeper, "Patient/p", "accept").refused(403, "scope-missing");
    decide(&world, &keeper, "Patient/p", "revert").refused(403, "scope-missing");
}

#[test]
fn index_rows_pointers_and_old_versions_that_were_changed() {
    let (world, all) = clinic();
    let keeper = approver(&world, "cruds");
    let db = past_insula(&world.dir);
    // The observation moves to another patient, as far as searches know.
    db.execute_batch(
        "UPDATE ix_reference SET id = 'other' WHERE rid =
           (SELECT rid FROM resource WHERE id = 'o') AND id = 'p';
         UPDATE version SET updated_us = updated_us + 1 WHERE vid = 1;",
    )
    .unwrap();
    scrub(&world);
    let mut found = waiting(&world);
    found.sort();
    let line = |name: &str, version, kind: &str| (name.to_owned(), version, kind.to_owned());
    assert_eq!(
        found,
        [
            line("Observation/o", 1, "index"),
            line("Patient/p", 1, "seal")
        ]
    );
    let search = world
        .fhir(&all, "GET Observation?patient=other", "")
        .status(200);
    assert_eq!(
        search.entries(),
        ["outcome"],
        "it is not shown as another patient's"
    );
    world.fhir(&all, "GET Observation/o", "").status(200);
    // An old version is in nobody's way.
    world.fhir(&all, "GET Patient/p", "").status(200);
    world
        .fhir(&all, "PUT Patient/p", patient_with_id("p", "Third"))
        .status(200);
    decide(&world, &keeper, "Patient/p", "revert").refused(409, "quarantine-decision");
    decide(&world, &keeper, "Patient/p", "note").status(200);
    decide(&world, &keeper, "Observation/o", "revert").status(200);
    let search = world
        .fhir(&all, "GET Observation?patient=p", "")
        .status(200);
    assert_eq!(search.entries(), ["Observation/o"]);
    search.at("/entry/0/resource/meta/versionId", "2");
    assert!(
        world
            .fhir(&all, "GET Observation?patient=other", "")
            .entries()
            .is_empty()
    );
    assert!(
        String::from_utf8_lossy(&world.fhir(&all, "GET Observation/o", "").body).contains("7.20")
    );

    // An older state of a resource is made the current one.
    world
        .fhir(&all, "PUT Patient/other", patient_with_id("other", "Newer"))
        .status(200);
    let version = "SELECT min(vid) FROM version WHERE rid =
      (SELECT rid FROM resource WHERE id = 'other')";
    // And again, to the same one, after it was decided.
    for made in ["3", "4"] {
        db.execute_batch(&format!(
            "UPDATE resource SET version = 1, vid = ({version}) WHERE id = 'other'"
        ))
        .unwrap();
        scrub(&world);
        world
            .fhir(&all, "GET Patient/other", "")
            .refused(500, "resource-quarantined");
        decide(&world, &keeper, "Patient/other", "accept").refused(409, "quarantine-decision");
        decide(&world, &keeper, "Patient/other", "revert").status(200);
        world
            .fhir(&all, "GET Patient/other", "")
            .status(200)
            .at("/name/0/family", "Newer")
            .at("/meta/versionId", made);
    }
    scrub(&world);
    let report = world
        .admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null)
        .json();
    assert_eq!(report["findings"], json!([]), "{report}");
    let kinds: Vec<&str> = report["decided"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["seal"],
        "only what is left as it lies there: {report}"
    );
    assert!(waiting(&world).is_empty());
}

#[test]
fn a_resource_of_which_nothing_is_good_is_deleted_or_accepted() {
    let (world, all) = clinic();
    let keeper = approver(&world, "cruds");
    let at = "(SELECT vid FROM resource WHERE id = 'o')";
    past_insula(&world.dir)
        .execute_batch(&format!("UPDATE version SET body = x'00' WHERE vid = {at}"))
        .unwrap();
    world
        .fhir(&all, "GET Observation?patient=p", "")
        .status(200);
    scrub(&world);
    assert_eq!(
        waiting(&world),
        [("Observation/o".to_owned(), 1, "body".to_owned())]
    );
    decide(&world, &keeper, "Observation/o", "revert").refused(409, "quarantine-decision");
    decide(&world, &keeper, "Observation/o", "accept").refused(409, "quarantine-decision");
    decide(&world, &keeper, "Observation/o", "delete").status(200);
    world
        .fhir(&all, "GET Observation/o", "")
        .refused(410, "deleted");
    assert!(world.fhir(&all, "GET Observation", "").entries().is_empty());
}

#[test]
fn who_does_not_reach_a_resource_is_not_told_that_it_is_kept_apart() {
    let (world, _) = clinic();
    let grants = json!([{ "name": "own", "who": { "roles": ["nurse"] }, "actions": "rs",
        "types": ["Patient"], "criteria": "family=Other" }]);
    let draft = json!({ "document": { "grants": grants }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    let nurse = client(&world, "nurse");
    // What lies there now would be in reach, if it could be believed.
    past_insula(&world.dir).execute_batch(SWAP).unwrap();
    scrub(&world);
    let unknown = world.fhir(&nurse, "GET Patient/none", "").status(404);
    let apart = world.fhir(&nurse, "GET Patient/p", "").status(404);
    assert_eq!(unknown.json()["issue"], apart.json()["issue"]);
    world
        .fhir(&nurse, "GET Patient/p/_history/2", "")
        .status(404);
    world
        .fhir(&nurse, "GET Patient/p/_history/1", "")
        .status(404);
    let found = world.fhir(&nurse, "GET Patient", "").status(200);
    assert_eq!(found.entries(), ["Patient/other"]);
    world.fhir(&nurse, "GET Patient/p/_history", "").status(404);
}

#[test]
fn own_addresses_in_any_place_are_as_they_were_written() {
    let (world, who) = World::clinic();
    let own = "http://127.0.0.1:8080/t/lakeside/fhir";
    let response = json!({ "resourceType": "QuestionnaireResponse", "id": "q",
        "status": "completed", "questionnaire": format!("{own}/Questionnaire/1") });
    let mut entries: Vec<Value> = (0..6)
        .map(|n| format!("https://other-{n}.example/base/Patient/1"))
        .map(|url| json!({ "item": { "reference": url } }))
        .collect();
    entries.push(json!({ "item": { "reference": format!("{own}/Patient/1") } }));
    let list = json!({ "resourceType": "List", "id": "l", "status": "current",
        "mode": "working", "entry": entries });
    for (line, body) in [
        ("PUT QuestionnaireResponse/q", response),
        ("PUT List/l", list),
    ] {
        world.fhir(&who, line, body.to_string()).status(201);
    }
    let line = "POST /admin/v1/tenants/lakeside/verify";
    let report = world.admin(line, &Value::Null).status(200);
    report.at("/ok", true);
}

#[test]
fn what_is_accepted_is_what_a_person_looked_at() {
    let (world, _) = clinic();
    let keeper = approver(&world, "cruds");
    // The operator makes API clients; they may look, and decide nothing.
    let robot = client(&world, "keeper");
    past_insula(&world.dir).execute_batch(SWAP).unwrap();
    scrub(&world);
    let shown = world
        .fhir(&robot, "GET $quarantine?resource=Patient/p", "")
        .status(200)
        .json();
    let parts = shown["parameter"].as_array().unwrap();
    let part = |name: &str| {
        let found = parts.iter().find(|p| p["name"] == name).unwrap();
        found["valueString"].as_str().unwrap().to_owned()
    };
    let (changed, good) = (part("changedDigest"), part("lastGoodDigest"));
    for decision in ["accept", "revert", "note", "delete"] {
        let asked = ("Patient/p", decision);
        decide_seen(&world, &robot, asked, Some(&changed)).refused(403, "person-only");
    }
    let asked = ("Patient/p", "accept");
    decide_seen(&world, &keeper, asked, None).refused(400, "request-invalid");
    decide_seen(&world, &keeper, asked, Some(&good)).refused(409, "quarantine-decision");
    // It is changed once more after it was looked at.
    past_insula(&world.dir)
        .execute_batch(
            "UPDATE version SET (body, size, dict) =
               (SELECT body, size, dict FROM version WHERE vid = 1) WHERE vid = 2",
        )
        .unwrap();
    decide_seen(&world, &keeper, asked, Some(&changed)).refused(409, "quarantine-decision");
    decide_seen(&world, &keeper, ("Patient/p", "revert"), Some(&good)).status(200);
}

#[test]
fn a_tenant_with_a_changed_row_is_backed_up_and_restored_and_the_row_stays_kept_apart() {
    let (world, all) = clinic();
    let _ = approver(&world, "cruds");
    past_insula(&world.dir).execute_batch(SWAP).unwrap();
    // Nobody has met the row yet: the backup does, and says so.
    let made = world
        .admin(
            "POST /admin/v1/tenants/lakeside/backup",
            &json!({ "file": "one" }),
        )
        .status(201)
        .at("/quarantined", 1);
    drop(made);
    assert_eq!(
        waiting(&world),
        [("Patient/p".to_owned(), 2, "seal".to_owned())]
    );
    let line = "POST /admin/v1/tenants/again/restore";
    world
        .admin(line, &json!({ "file": "one", "clients": "keep" }))
        .status(201)
        .at("/quarantined", 1);
    let listed = world
        .admin("GET /admin/v1/tenants/again/quarantine", &Value::Null)
        .status(200)
        .at("/quarantine/0/resource", "Patient/p")
        .at("/quarantine/0/kind", "seal");
    assert_eq!(listed.json()["quarantine"].as_array().unwrap().len(), 1);
    let there = |line: &str| {
        let (method, path) = line.split_once(' ').unwrap();
        let headers = [("authorization", all.as_str())];
        world.ask(&format!("{method} /t/again/fhir/{path}"), &headers, "")
    };
    there("GET Patient/p").refused(500, "resource-quarantined");
    there("GET Patient/p/_history/1")
        .status(200)
        .at("/name/0/family", "First");
    there("GET Patient/other").status(200);
    // Verified, and only that is wrong; a second backup of the copy goes as well.
    let report = world.admin("POST /admin/v1/tenants/again/verify", &Value::Null);
    let report = report.json();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{report:#}");
    assert_eq!(
        (&findings[0]["kind"], &findings[0]["id"]),
        (&json!("seal"), &json!("p"))
    );
    world
        .admin(
            "POST /admin/v1/tenants/again/backup",
            &json!({ "file": "two" }),
        )
        .status(201)
        .at("/quarantined", 1);
}

#[test]
fn lines_that_somebody_put_into_the_lists_count_for_nothing() {
    let (world, all) = clinic();
    let keeper = approver(&world, "cruds");
    let db = past_insula(&world.dir);
    // A good row is said to be wrong, and a wrong one to be decided.
    db.execute_batch(
        "INSERT INTO quarantine (rid, type, id, version, kind, found_us)
           SELECT rid, type, id, version, 'seal', 1 FROM resource WHERE id = 'other';",
    )
    .unwrap();
    db.execute_batch(SWAP).unwrap();
    db.execute_batch(
        "INSERT INTO quarantine (rid, type, id, version, kind, found_us, decision, decided_us, decided_by, remark)
           SELECT rid, type, id, version, 'seal', 1, 'note', 1, 'nobody', 'fine' FROM resource WHERE id = 'p';
         INSERT INTO opening (id, opened_us, until_us, record) VALUES ('o-1', 1, 9999999999999999, '{}');",
    )
    .unwrap();
    let report = world.admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null);
    let report = report.json();
    let kinds = report["findings"].to_string();
    assert!(
        kinds.contains("\"list\"") && kinds.contains("\"seal\""),
        "{report:#}"
    );
    scrub(&world);
    assert_eq!(
        waiting(&world),
        [("Patient/p".to_owned(), 2, "seal".to_owned())]
    );
    world.fhir(&all, "GET Patient/other", "").status(200);
    world
        .fhir(&all, "GET Patient/p", "")
        .refused(500, "resource-quarantined");
    let shown = world
        .fhir(&keeper, "GET $break-glass", "")
        .status(200)
        .json();
    assert!(!shown.to_string().contains("o-1"));
}

#[test]
fn a_row_of_which_the_index_is_wrong_is_not_shown_on_its_word_however_often_it_is_met() {
    let (world, all) = World::clinic();
    let put = |body: Value| {
        let at = |name: &str| body[name].as_str().unwrap().to_owned();
        let line = format!("PUT {}/{}", at("resourceType"), at("id"));
        world.fhir(&all, &line, body.to_string()).status(201);
    };
    for id in ["north", "south"] {
        put(json!({ "resourceType": "Organization", "id": id, "name": id }));
        put(
            json!({ "resourceType": "Patient", "id": format!("p-{id}"), "name": [{ "family": id }],
            "managingOrganization": { "reference": format!("Organization/{id}") } }),
        );
        put(
            json!({ "resourceType": "Observation", "id": format!("o-{id}"), "status": "final",
            "code": { "text": "x" }, "subject": { "reference": format!("Patient/p-{id}") } }),
        );
    }
    let grant = json!({ "name": "north", "effect": "allow", "who": { "roles": ["guest"] }, "actions": "rs",
        "types": ["Patient", "Observation"], "within": "Patient?organization=Organization/north" });
    let draft = json!({ "document": { "grants": [grant] }, "reason": "test" });
    world
        .admin("POST /admin/v1/tenants/lakeside/policy", &draft)
        .status(201);
    let guest = client(&world, "guest");
    let db = past_insula(&world.dir);
    db.execute_batch(
        "UPDATE OR REPLACE ix_reference SET id = 'p-north' WHERE id = 'p-south'
           AND rid = (SELECT rid FROM resource WHERE id = 'o-south');",
    )
    .unwrap();
    drop(db);
    scrub(&world);
    for _ in 0..3 {
        world
            .fhir(&guest, "GET Observation/o-south", "")
            .status(404);
        let mut found = world
            .fhir(&guest, "GET Observation", "")
            .status(200)
            .entries();
        found.retain(|entry| entry != "outcome");
        assert_eq!(found, ["Observation/o-north"]);
    }
}
