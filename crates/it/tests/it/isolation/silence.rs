//! What one tenant has, another cannot learn: not from ids, errors, ETags, cursors, caches, metrics.

use serde_json::{Value, json};
use testkit::build::{observation, patient_identified, with_id};
use testkit::http::{Answer, Request};
use testkit::world::{Tenant, basic, link, word};

use crate::world::{shared, tenant};

/// An answer without what every answer has of its own.
fn told(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| name != "x-request-id" && name != "date");
    (answer.status, headers, answer.text().to_owned())
}

/// Two tenants; the first has a patient `p1`, an observation of it and a device.
fn two() -> (Tenant, Tenant) {
    let (first, second) = (tenant(), tenant());
    let owner = first.owner();
    owner
        .put(&with_id(patient_identified("Secret", "111-22"), "p1"))
        .expect(201);
    owner
        .put(&with_id(observation("Patient/p1", "718-7", 7.5), "o1"))
        .expect(201);
    (first, second)
}

#[test]
fn another_tenants_id_is_an_id_like_any() {
    let (_first, second) = two();
    let caller = second.owner();
    for (method, path) in [
        ("GET", "/Patient/{id}"),
        ("GET", "/Patient/{id}/_history"),
        ("GET", "/Patient/{id}/_history/1"),
        ("GET", "/Patient?_id={id}"),
        ("GET", "/Observation?subject=Patient/{id}"),
        (
            "GET",
            "/Patient?_has:Observation:subject:code=718-7&_id={id}",
        ),
        ("DELETE", "/Patient/{id}"),
    ] {
        let theirs = caller.ask(&caller.request(method, &path.replace("{id}", "p1")));
        let none = caller.ask(&caller.request(method, &path.replace("{id}", "p0")));
        let mut theirs = told(&theirs);
        theirs.2 = theirs.2.replace("p1", "p0");
        let mut none = told(&none);
        for told in [&mut theirs, &mut none] {
            told.2 = without_own(&told.2);
        }
        assert_eq!(theirs, none, "{method} {path}");
    }
}

/// A body without the id and time that a search's Bundle has of its own.
fn without_own(body: &str) -> String {
    let Ok(mut json) = serde_json::from_str::<Value>(body) else {
        return body.to_owned();
    };
    if json["resourceType"] == "Bundle" {
        json.as_object_mut()
            .expect("an object")
            .retain(|k, _| k != "id" && k != "meta");
    }
    json.to_string()
}

#[test]
fn the_same_id_is_two_resources() {
    let (first, second) = two();
    let (owner, other) = (first.owner(), second.owner());
    // Also with a condition that the first tenant's resource would break.
    let own = with_id(patient_identified("Own", "111-22"), "p1");
    let request = other
        .request("PUT", "/Patient/p1")
        .header("If-None-Match", "*");
    other.ask(&request.fhir(&own)).expect(201);
    // A conditional create finds nothing of the first tenant's.
    let once = other
        .request("POST", "/Patient")
        .header("If-None-Exist", "identifier=urn:insula:test|111-22")
        .fhir(&patient_identified("Own", "111-22"));
    other.ask(&once).expect(200);
    other.delete("/Patient/p1").expect(204);
    other.get("/Patient/p1").expect(410);
    let kept = owner.get("/Patient/p1").expect(200).json();
    assert_eq!(kept["name"][0]["family"], "Secret");
    assert_eq!(kept["meta"]["versionId"], "1");
}

#[test]
fn searches_stay_at_home() {
    let (_first, second) = two();
    let caller = second.owner();
    caller
        .put(&with_id(observation("Patient/p1", "718-7", 7.5), "o2"))
        .expect(201);
    for query in [
        "Patient?family=Secret",
        "Patient?identifier=111-22",
        "Patient?name:contains=ecr",
        "Patient?gender:not=x",
        "Patient?_lastUpdated=gt2000-01-01",
        "Observation?subject:Patient.family=Secret",
        "?_type=Patient",
        "Patient/_history",
    ] {
        let bundle = caller.search(query.trim_start_matches('/'));
        assert!(
            bundle["entry"].as_array().is_none_or(Vec::is_empty),
            "{query}: {bundle}"
        );
    }
    // What an include would follow is only there in the first tenant.
    let bundle = caller.search("Observation?_include=Observation:subject&_include:iterate=*");
    assert_eq!(
        bundle["entry"].as_array().map(Vec::len),
        Some(1),
        "{bundle}"
    );
}

#[test]
fn an_etag_tells_nothing() {
    let (first, second) = two();
    let etag = first
        .owner()
        .get("/Patient/p1")
        .header("etag")
        .expect("an ETag")
        .to_owned();
    let caller = second.owner();
    let request = caller
        .request("GET", "/Patient/p1")
        .header("If-None-Match", &etag);
    caller.ask(&request).expect(404);
    let update = caller
        .request("PUT", "/Patient/p1")
        .header("If-Match", &etag);
    let update = update.fhir(&with_id(patient_identified("x", "1"), "p1"));
    caller.ask(&update).expect(412);
    caller.get("/Patient/p1").expect(404);
}

/// The query of the second page of a search.
#[track_caller]
fn cursor(page: &Value) -> String {
    let next = link(page, "next").expect("a second page");
    next.split_once("/fhir").expect("a FHIR base").1.to_owned()
}

#[test]
fn a_cursor_is_its_clients_and_its_tenants() {
    let (first, second) = (tenant(), tenant());
    let (owner, colleague, stranger) = (first.owner(), first.owner(), second.owner());
    for caller in [&owner, &stranger] {
        for number in 0..5 {
            caller.create(&patient_identified("Zebrafinch", &format!("zf-{number}")));
        }
    }
    let query = "Patient?_count=2&_sort=family&family=zebrafinch";
    let next = cursor(&owner.search(query));
    owner.get(&next).expect(200);
    for (who, caller) in [("colleague", &colleague), ("stranger", &stranger)] {
        let answer = caller.get(&next).expect(400);
        assert_eq!(answer.codes(), ["cursor-invalid"], "{who}");
    }
    // Not even a stranger's own search and page makes it good.
    let theirs = cursor(&stranger.search(query));
    assert_ne!(theirs, next);
    assert_eq!(owner.get(&theirs).expect(400).codes(), ["cursor-invalid"]);
    // It holds sort keys, so it must not be readable, and no bit of it may be changed.
    let token = next.rsplit_once('=').expect("a parameter").1.to_owned();
    assert!(token.len() > 40, "{token}");
    assert!(
        !next
            .to_lowercase()
            .replace("family=zebrafinch", "")
            .contains("zebrafinch"),
        "{next}"
    );
    let pair = first.owner().search(query);
    let again = cursor(&pair);
    assert_ne!(
        again.rsplit_once('=').unwrap().1,
        token,
        "the same page, the same cursor twice"
    );
    for at in (0..token.len()).step_by(7) {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = next.replace(&token, &String::from_utf8(changed).unwrap());
        if changed != next {
            assert_eq!(owner.get(&changed).status, 400, "byte {at} changed");
        }
    }
}

#[test]
fn credentials_tell_nothing_of_other_tenants() {
    let (first, second) = two();
    let known = first.owner();
    let ask = |id: &str, secret: &str| {
        let request = Request::new("POST", &format!("/t/{}/auth/token", second.name()))
            .header("Authorization", &basic(id, secret))
            .content(
                "application/x-www-form-urlencoded",
                "grant_type=client_credentials",
            );
        told(&shared().server().ask(&request))
    };
    let theirs = ask(&known.id, &known.secret);
    assert_eq!(theirs.0, 401);
    assert_eq!(theirs, ask("nobody-at-all", "wrong"));
    let mine = second.owner();
    assert_eq!(theirs, ask(&mine.id, "wrong"));
    assert_eq!(ask(&mine.id, &mine.secret).0, 200);
}

#[test]
fn a_cache_answers_nobody_else_and_nothing_old() {
    let (first, second) = two();
    let (owner, stranger) = (first.owner(), second.owner());
    let weak = first.client(&["system/Device.rs"]);
    for round in 1..5 {
        for _ in 0..3 {
            let found = owner.get("/Patient/p1").expect(200).json();
            assert_eq!(found["meta"]["versionId"], round.to_string());
        }
        stranger.get("/Patient/p1").expect(404);
        weak.get("/Patient/p1").expect(403);
        let newer = with_id(patient_identified(&format!("Round {round}"), "1"), "p1");
        owner.put(&newer).expect(200);
        let found = owner.get("/Patient/p1").expect(200).json();
        assert_eq!(found["name"][0]["family"], format!("Round {round}"));
    }
    owner.delete("/Patient/p1").expect(204);
    owner.get("/Patient/p1").expect(410);
}

#[test]
fn a_revoked_client_is_out_at_its_next_request() {
    let tenant = tenant();
    let (caller, other) = (tenant.owner(), tenant.owner());
    let token = caller.get("/Patient").expect(200);
    assert_eq!(token.status, 200);
    let mut connection = caller.connect();
    let request = caller.request("GET", "/Patient");
    assert_eq!(connection.ask(&request).unwrap().status, 200);
    tenant
        .admin("DELETE", &format!("/clients/{}", caller.id))
        .expect(204);
    assert_eq!(connection.ask(&request).unwrap().status, 401);
    let by_basic = Request::new("GET", &format!("{}/Patient", tenant.base()))
        .header("Authorization", &basic(&caller.id, &caller.secret));
    shared().server().ask(&by_basic).expect(401);
    other.get("/Patient").expect(200);
}

#[test]
fn metrics_and_the_list_of_tenants_are_the_operators() {
    let (first, _second) = two();
    let owner = first.owner().authorization.unwrap();
    for path in ["/metrics", "/admin/v1/tenants"] {
        let request = Request::new("GET", path);
        shared().server().ask(&request).expect(401);
        shared()
            .server()
            .ask(&request.clone().header("Authorization", &owner))
            .expect(401);
        shared().server().admin(request).expect(200);
    }
    // Open probes name nobody.
    for path in ["/health/live", "/health/ready", "/admin/v1/openapi.json"] {
        let answer = shared()
            .server()
            .ask(&Request::new("GET", path))
            .expect(200);
        assert!(!answer.text().contains("clinic-"), "{path}");
    }
    let metrics = shared()
        .server()
        .admin(Request::new("GET", "/metrics"))
        .expect(200);
    for secret in ["Secret", "111-22", "p1\""] {
        assert!(!metrics.text().contains(secret), "metrics contain {secret}");
    }
}

#[test]
fn the_log_holds_no_content() {
    let (first, second) = two();
    let owner = first.owner();
    owner.get("/Patient?family=Sensitivename").expect(200);
    owner.post(
        "/Patient",
        &json!({"resourceType": "Patient", "nombre": "Sensitivename"}),
    );
    owner.get("/Patient?nombre=Sensitivename");
    second.owner().get("/Patient/Sensitivename").expect(404);
    second.owner().ask(
        &owner
            .request("GET", "/Patient?family=Sensitivename")
            .header("x", "y"),
    );
    let log = std::fs::read_to_string(shared().server().data().join("log.txt")).unwrap();
    let token = owner
        .authorization
        .as_deref()
        .unwrap()
        .trim_start_matches("Bearer ");
    for secret in [
        "Sensitivename",
        owner.secret.as_str(),
        token,
        shared().server().operator(),
    ] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
}

#[test]
fn no_file_of_a_tenant_is_readable() {
    let (first, _second) = two();
    let marks: [&[u8]; 3] = [b"Secret", b"111-22", b"Observation"];
    first.owner().get("/Patient/p1").expect(200);
    let mut seen = 0;
    let mut folders = vec![shared().server().data().join("tenants")];
    while let Some(folder) = folders.pop() {
        // Other tests make and remove tenants at the same time.
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(bytes) = std::fs::read(&path) else {
                continue;
            };
            seen += bytes.len();
            for mark in marks {
                let found = bytes.windows(mark.len()).any(|window| window == mark);
                assert!(
                    !found,
                    "{} holds {}",
                    path.display(),
                    String::from_utf8_lossy(mark)
                );
            }
        }
    }
    assert!(seen > 10_000, "only {seen} bytes were looked at");
}

#[test]
fn another_tenants_reference_is_no_reference() {
    let (first, _second) = two();
    let third = shared().tenant_with(&json!({"references": "enforced"}));
    let caller = third.owner();
    let absolute = format!("{}/Patient/p1", first.url());
    let refused = caller
        .post("/Observation", &observation("Patient/p1", "718-7", 1.0))
        .expect(422);
    assert_eq!(refused.codes(), ["reference-missing"]);
    // A URL on another base is not this server's to resolve, whether it exists or not.
    let kept = caller
        .post("/Observation", &observation(&absolute, "718-7", 1.0))
        .expect(201)
        .json();
    let id = word(&kept, "id");
    let bundle = caller.search(&format!(
        "Observation?_id={id}&_include=Observation:subject"
    ));
    assert_eq!(
        bundle["entry"].as_array().map(Vec::len),
        Some(1),
        "{bundle}"
    );
    let chained = caller.search("Observation?subject:Patient.family=Secret");
    assert!(chained["entry"].as_array().is_none_or(Vec::is_empty));
}
