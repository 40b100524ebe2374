//! Break-glass: a person opens one patient whom their rights do not reach, and what it does not open.

use engine::form::encode;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{World, grants, sorted, staff, two_facilities};
use crate::tests::people::{Browser, PASSWORD, administrator, between, code, person};
use crate::tests::world::{Answer, ROOT};

const CALLBACK: &str = "https://app.example/cb";
const VERIFIER: &str = "0123456789-0123456789-0123456789-0123456789";

/// What clinicians of one facility have, and may open in an emergency: reading all of a chart, writing
/// observations; an auditor reviews it.
pub(super) fn policy(world: &World) {
    let clinician = json!({ "roles": ["clinician"] });
    grants(
        world,
        &json!([
            { "name": "charts", "who": clinician, "actions": "cruds", "types": ["*"],
              "within": "Patient?organization=%user.facilities" },
            { "name": "directory", "who": clinician, "actions": "rs",
              "types": ["Practitioner", "Organization"] },
            { "name": "emergency", "who": clinician, "actions": "rs", "types": ["*"],
              "breakGlass": { "minutes": 30, "reviewers": { "roles": ["auditor"] } } },
            { "name": "emergency notes", "who": clinician, "actions": "c", "types": ["Observation"],
              "breakGlass": { "minutes": 30, "reviewers": { "roles": ["auditor"] } } },
            { "name": "keeper", "who": { "roles": ["tenant-administrator"] },
              "actions": ["administer"], "types": ["*"] },
        ]),
    );
}

/// Somebody signed in with these roles, by two factors or one; a token of a program for them.
pub(super) fn token_of(admin: &Browser<'_>, login: &str, role: &str, two_factors: bool) -> String {
    let world = admin.world;
    let draft = json!({ "login": login, "name": login, "roles": [role] });
    let (first, _) = person(admin, &draft);
    let base = "/t/lakeside/auth/account";
    if two_factors {
        let fields = [("password", PASSWORD)];
        let begun = first.send(&first.account(), &format!("{base}/begin-totp"), &fields);
        let secret = between(&begun, "<code id=\"secret\">", "</code>");
        let now = code(world, &secret);
        first
            .send(&begun, &format!("{base}/confirm-totp"), &[("code", &now)])
            .status(200);
        world.clock.forward_secs(30);
        let again = Browser::new(world);
        let step = again.sign_in("lakeside", login, PASSWORD).status(200);
        let now = code(world, &secret);
        again
            .send(&step, "/t/lakeside/auth/second-factor", &[("code", &now)])
            .status(303);
        return approved(&again);
    }
    approved(&first)
}

/// A token of a program that the person approves for all that they may do.
pub(in crate::tests) fn approved(browser: &Browser<'_>) -> String {
    approved_for(browser, "user/*.cruds")
}

/// The same of one that is approved for these scopes.
pub(in crate::tests) fn approved_for(browser: &Browser<'_>, scope: &str) -> String {
    let world = browser.world;
    let draft = json!({ "name": "Chart", "public": true, "redirect_uris": [CALLBACK],
        "scopes": ["openid", scope] });
    let made = world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let id = made.text("/client_id");
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let aud = format!("{ROOT}/t/lakeside/fhir");
    let asked = [
        ("response_type", "code"),
        ("client_id", &id),
        ("redirect_uri", CALLBACK),
        ("scope", &format!("openid {scope}")),
        ("state", "s"),
        ("aud", &aud),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let query: Vec<String> = asked
        .iter()
        .map(|(n, v)| format!("{n}={}", encode(v)))
        .collect();
    let page = browser
        .open(&format!("/t/lakeside/auth/authorize?{}", query.join("&")))
        .status(200);
    let back = browser.send(
        &page,
        "/t/lakeside/auth/authorize",
        &[("_decision", "approve")],
    );
    let url = back.header_text("location").unwrap().to_owned();
    let code = engine::form::first(url.split_once('?').unwrap().1, "code")
        .unwrap()
        .into_owned();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("client_id", &id),
    ];
    let body: Vec<String> = fields
        .iter()
        .map(|(n, v)| format!("{n}={}", encode(v)))
        .collect();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let told = world
        .ask("POST /t/lakeside/auth/token", &[form], body.join("&"))
        .status(200);
    format!("Bearer {}", told.text("/access_token"))
}

pub(super) fn parameters(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| json!({ "name": name, "valueString": value });
    let parts: Vec<Value> = fields.iter().map(part).collect();
    json!({ "resourceType": "Parameters", "parameter": parts }).to_string()
}

pub(super) fn open(world: &World, who: &str, patient: &str, fields: &[(&str, &str)]) -> Answer {
    let line = format!("POST Patient/{patient}/$break-glass");
    world.fhir(who, &line, parameters(fields))
}

pub(super) const WHY: (&str, &str) = ("reason", "found unconscious at the station");

pub(super) fn field(told: &Answer, name: &str) -> String {
    let told = told.json();
    let parts = told["parameter"].as_array().unwrap();
    let part = parts
        .iter()
        .find(|p| p["name"] == name)
        .unwrap_or_else(|| panic!("{name}: {told}"));
    part["valueString"].as_str().unwrap().to_owned()
}

pub(super) fn searched(world: &World, who: &str, query: &str) -> Vec<String> {
    sorted(
        world
            .fhir(who, &format!("GET {query}"), "")
            .status(200)
            .entries(),
    )
}

/// The world, somebody of the north by two factors, and an auditor.
fn emergency() -> (World, String, String) {
    let (world, _) = two_facilities();
    policy(&world);
    let admin = administrator(&world, "lakeside");
    let doctor = token_of(&admin, "north", "clinician@Organization/o-north", true);
    let auditor = token_of(&admin, "auditor", "auditor", false);
    drop(admin);
    (world, doctor, auditor)
}

#[test]
fn one_patient_is_opened_for_a_time_and_nobody_else() {
    let (world, doctor, _) = emergency();
    let other = json!({ "resourceType": "Patient", "id": "p-third",
        "managingOrganization": { "reference": "Organization/o-south" } });
    let owner = world.client("lakeside", "system/*.cruds");
    world
        .fhir(&owner, "PUT Patient/p-third", other.to_string())
        .status(201);
    let third = json!({ "resourceType": "Observation", "id": "b-third", "status": "final",
        "code": { "text": "x" }, "subject": { "reference": "Patient/p-third" },
        "derivedFrom": [{ "reference": "Observation/b-south" }] });
    world
        .fhir(&owner, "PUT Observation/b-third", third.to_string())
        .status(201);
    world.fhir(&doctor, "GET Patient/p-south", "").status(404);
    assert_eq!(
        searched(&world, &doctor, "Observation"),
        ["Observation/b-north"]
    );

    let opened = open(&world, &doctor, "p-south", &[WHY]).status(200);
    assert_eq!(field(&opened, "state"), "open");
    assert_eq!(field(&opened, "purpose"), "BTG");
    // With the next request, on every road.
    world.fhir(&doctor, "GET Patient/p-south", "").status(200);
    world
        .fhir(&doctor, "GET Observation/b-south", "")
        .status(200);
    world
        .fhir(&doctor, "GET Observation/b-south/_history/1", "")
        .status(200);
    world
        .fhir(&doctor, "GET Observation/b-south/_history", "")
        .status(200);
    let both = ["Observation/b-north", "Observation/b-south"];
    assert_eq!(searched(&world, &doctor, "Observation"), both);
    assert_eq!(
        searched(&world, &doctor, "Observation?patient=p-south"),
        ["Observation/b-south"]
    );
    assert_eq!(
        searched(
            &world,
            &doctor,
            "Observation?subject:Patient.family=Ofsouth"
        ),
        ["Observation/b-south"]
    );
    assert_eq!(
        searched(
            &world,
            &doctor,
            "Patient?_has:Condition:patient:code:text=ill"
        ),
        ["Patient/p-north", "Patient/p-south"]
    );
    let whole = world
        .fhir(&doctor, "GET Patient/p-south/$everything", "")
        .status(200)
        .entries();
    assert!(whole.contains(&"Condition/c-south".to_owned()), "{whole:?}");
    assert_eq!(
        searched(
            &world,
            &doctor,
            "Encounter?_revinclude=Observation:encounter"
        ),
        [
            "Encounter/e-north",
            "Encounter/e-south",
            "Observation/b-north",
            "Observation/b-south"
        ]
    );

    // Another patient is not, whatever leads there.
    world.fhir(&doctor, "GET Patient/p-third", "").status(404);
    world
        .fhir(&doctor, "GET Observation/b-third", "")
        .status(404);
    assert!(searched(&world, &doctor, "Observation?patient=p-third").is_empty());
    assert!(
        searched(
            &world,
            &doctor,
            "Observation?derived-from=Observation/b-south"
        )
        .is_empty()
    );
    assert!(
        searched(
            &world,
            &doctor,
            "Patient?_has:Observation:patient:derived-from=Observation/b-south"
        )
        .is_empty()
    );
    assert_eq!(
        searched(
            &world,
            &doctor,
            "Observation?_id=b-south&_revinclude=Observation:derived-from"
        ),
        ["Observation/b-south"]
    );

    // What is not offered: writing the chart, deleting it, administering; notes are another grant.
    let mut south = super::patient("south");
    south["birthDate"] = json!("1971-01-01");
    world
        .fhir(&doctor, "PUT Patient/p-south", south.to_string())
        .refused(403, "scope-missing");
    world
        .fhir(&doctor, "DELETE Observation/b-south", "")
        .refused(403, "scope-missing");
    world
        .fhir(&owner, "GET Observation/b-south", "")
        .status(200);
    let note = super::observation("south", "note").to_string();
    world
        .fhir(&doctor, "POST Observation", note.clone())
        .status(403);
    world
        .fhir(&doctor, "GET $policy", "")
        .refused(403, "scope-missing");
    world
        .fhir(&doctor, "GET $quarantine", "")
        .refused(403, "scope-missing");
    open(
        &world,
        &doctor,
        "p-south",
        &[WHY, ("grant", "emergency notes")],
    )
    .status(200);
    world.fhir(&doctor, "POST Observation", note).status(201);
    // Nor is anything moved to another patient's chart.
    let moved = json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "Patient/p-third" } });
    world
        .fhir(&doctor, "POST Observation", moved.to_string())
        .refused(403, "scope-missing");

    // It is over by itself.
    world.clock.forward_secs(30 * 60);
    world.fhir(&doctor, "GET Patient/p-south", "").status(404);
    assert_eq!(
        searched(&world, &doctor, "Observation?code=finding"),
        ["Observation/b-north"]
    );
}

#[test]
fn who_may_open_whom_and_how() {
    let (world, doctor, auditor) = emergency();
    world.tenant("hillside");
    open(&world, &doctor, "p-south", &[]).refused(403, "reason-required");
    open(&world, &doctor, "p-south", &[("reason", "  ")]).refused(403, "reason-required");
    open(&world, &doctor, "nobody", &[WHY]).refused(404, "not-found");
    open(&world, &doctor, "p-south", &[WHY, ("purpose", "TREAT")]).refused(400, "request-invalid");
    open(&world, &doctor, "p-south", &[WHY, ("minutes", "31")]).refused(400, "request-invalid");
    open(&world, &doctor, "p-south", &[WHY, ("grant", "charts")]).refused(403, "scope-missing");
    // No grant, no person.
    open(&world, &auditor, "p-south", &[WHY]).refused(403, "scope-missing");
    let program = staff(
        &world,
        &["clinician@Organization/o-north"],
        "system/*.cruds",
    );
    open(&world, &program, "p-south", &[WHY]).refused(403, "scope-missing");
    // One factor is not enough, nor are two that were shown long ago.
    let browser = Browser::new(&world);
    browser.sign_in("lakeside", "root@clinic", PASSWORD);
    let once = token_of(&browser, "once", "clinician@Organization/o-north", false);
    open(&world, &once, "p-south", &[WHY]).refused(403, "step-up-required");
    world.fhir(&once, "GET Patient/p-south", "").status(404);
    // A program that was approved for less opens nothing for its person, and lists nothing.
    let again = Browser::new(&world);
    again.sign_in("lakeside", "once", PASSWORD).status(303);
    let narrow = approved_for(&again, "user/Patient.rs");
    open(&world, &narrow, "p-south", &[WHY]).refused(403, "scope-missing");
    world
        .fhir(&narrow, "GET $break-glass", "")
        .refused(403, "scope-missing");
    // Their opening is theirs alone, and of this tenant.
    open(&world, &doctor, "p-south", &[WHY, ("minutes", "20")]).status(200);
    world.fhir(&once, "GET Patient/p-south", "").status(404);
    let line = format!("GET {ROOT}/t/hillside/fhir/Patient/p-south").replace(ROOT, "");
    let elsewhere = world.ask(&line, &[("authorization", &doctor)], "");
    elsewhere.status(401);
    world.clock.forward_secs(901);
    world.fhir(&doctor, "GET Patient/p-south", "").status(200);
    open(&world, &doctor, "p-south", &[WHY]).refused(403, "step-up-required");
    // The policy takes it back from the next request on.
    grants(
        &world,
        &json!([
        { "name": "charts", "who": { "roles": ["clinician"] }, "actions": "cruds", "types": ["*"],
          "within": "Patient?organization=%user.facilities" } ]),
    );
    world.fhir(&doctor, "GET Patient/p-south", "").status(404);
}

#[test]
fn it_is_ended_and_reviewed_by_somebody_else() {
    let (world, doctor, auditor) = emergency();
    open(&world, &doctor, "nobody", &[WHY]).refused(404, "not-found");
    let opened = open(&world, &doctor, "p-south", &[WHY]).status(200);
    let id = field(&opened, "id");
    world
        .fhir(&doctor, "GET Observation/b-south", "")
        .status(200);
    let line = "POST $break-glass-review";
    let verdict = |who: &str, word: &str, remark: &str| {
        world.fhir(
            who,
            line,
            parameters(&[("id", &id), ("verdict", word), ("remark", remark)]),
        )
    };
    verdict(&auditor, "accept", "").refused(409, "break-glass-state");
    verdict(&doctor, "accept", "").refused(403, "scope-missing");
    let end = |who: &str| world.fhir(who, "POST $break-glass-end", parameters(&[("id", &id)]));
    end(&doctor).status(200);
    world.fhir(&doctor, "GET Patient/p-south", "").status(404);
    end(&doctor).refused(409, "break-glass-state");

    let queue = |who: &str, state: &str| {
        let told = world
            .fhir(who, &format!("GET $break-glass?state={state}"), "")
            .status(200)
            .json();
        told.to_string().matches(&id).count()
    };
    assert_eq!(
        (
            queue(&auditor, "due"),
            queue(&auditor, "overdue"),
            queue(&doctor, "due")
        ),
        (1, 0, 1)
    );
    let counts = |name: &str| {
        let told = world.admin("GET /admin/v1/tenants/lakeside/break-glass", &Value::Null);
        told.status(200).json()[name].as_u64().unwrap()
    };
    assert_eq!((counts("due"), counts("overdue")), (1, 0));
    world.clock.forward_secs(259_201);
    assert_eq!((counts("due"), counts("overdue")), (1, 1));
    // A reviewer sees what was looked at, not what it says.
    let admin = Browser::new(&world);
    admin.sign_in("lakeside", "root@clinic", PASSWORD);
    let auditor = token_of(&admin, "auditor-2", "auditor", false);
    assert_eq!(queue(&auditor, "overdue"), 1);
    let looked = world
        .fhir(&auditor, &format!("GET $break-glass-review?id={id}"), "")
        .status(200);
    let looked = looked.json().to_string();
    assert!(
        looked.contains("Observation/b-south/_history/1"),
        "{looked}"
    );
    assert!(!looked.contains("seen in the south"), "{looked}");
    world
        .fhir(&auditor, "GET Observation/b-south", "")
        .status(403);
    verdict(&auditor, "object", "").refused(400, "request-invalid");
    verdict(&auditor, "object", "the patient was awake").status(200);
    verdict(&auditor, "accept", "").refused(409, "break-glass-state");
    assert_eq!((counts("due"), counts("overdue")), (0, 0));
    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=1000",
        &Value::Null,
    );
    let trail = trail.status(200).json().to_string();
    for line in [
        "break-glass Patient/p-south",
        "end break-glass ",
        "object to break-glass ",
    ] {
        assert!(trail.contains(line), "{line}");
    }
    // What was refused is told as that; whose opening it is, and why it was asked for, is told too.
    grants(
        &world,
        &json!([{ "name": "trail", "who": { "roles": ["looker"] }, "actions": "rs", "types": ["AuditEvent"] }]),
    );
    let draft =
        json!({ "name": "looker", "scopes": ["system/AuditEvent.rs"], "roles": ["looker"] });
    let made = world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let (id, secret) = (made.text("/client_id"), made.text("/client_secret"));
    let looker = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let events = |query: &str| -> Vec<Value> {
        let found = world.fhir(&looker, &format!("GET AuditEvent?{query}&_count=500"), "");
        let found = found.status(200).json();
        let entries = found["entry"].as_array().unwrap().iter();
        entries.map(|e| e["resource"].clone()).collect()
    };
    let coded = |e: &Value, code: &str| {
        let codes = e["subtype"].as_array();
        codes.is_some_and(|all| all.iter().any(|c| c["code"] == code))
    };
    let all = events("_sort=-date");
    let told = |code: &str| -> Vec<&Value> { all.iter().filter(|e| coded(e, code)).collect() };
    let outcomes = |code: &str| {
        let mut all: Vec<String> = (told(code).iter())
            .map(|e| e["outcome"].as_str().unwrap().to_owned())
            .collect();
        all.sort();
        all.dedup();
        all
    };
    assert_eq!(outcomes("break-glass"), ["0", "4"]);
    assert_eq!(outcomes("accept-break-glass"), ["4"]);
    let about = events("patient=Patient/p-south");
    for code in ["break-glass", "end-break-glass", "object-to-break-glass"] {
        assert!(about.iter().any(|e| coded(e, code)), "{code}");
    }
    let why = told("break-glass");
    let why = why.iter().find(|e| e["outcome"] == "0").unwrap();
    assert!(why.to_string().contains(WHY.1), "{why:#}");
}

/// Another password ends what is open, and so does a restore.
#[test]
fn nobody_reviews_with_another_account_what_they_opened() {
    let (world, _) = two_facilities();
    policy(&world);
    let admin = administrator(&world, "lakeside");
    let doctor = token_of(&admin, "doctor", "clinician@Organization/o-north", true);
    let opened = open(&world, &doctor, "p-south", &[WHY]).status(200);
    let id = field(&opened, "id");
    let fields = parameters(&[("id", &id)]);
    world
        .fhir(&doctor, "POST $break-glass-end", fields)
        .status(200);
    let people = admin.api("GET people", &Value::Null).json()["people"].clone();
    let mut all = people.as_array().unwrap().iter();
    let one = all.find(|p| p["login"] == "doctor").unwrap()["id"].clone();
    let path = format!("PATCH people/{}", one.as_str().unwrap());
    let stands = json!({ "fhir_user": "Practitioner/dr-north" });
    admin.api(&path, &stands).status(200);
    let reviewer = |login: &str, of: &str| {
        let draft = json!({ "login": login, "name": login, "roles": ["auditor"], "fhir_user": of });
        approved(&person(&admin, &draft).0)
    };
    let same = reviewer("doctor-too", "Practitioner/dr-north");
    let other = reviewer("auditor", "Practitioner/dr-south");
    let accept = |who: &str| {
        let fields = parameters(&[("id", &id), ("verdict", "accept")]);
        world.fhir(who, "POST $break-glass-review", fields)
    };
    accept(&same).refused(409, "break-glass-state");
    accept(&other).status(200);
}

#[test]
fn what_is_open_ends_with_another_password_and_with_a_restore() {
    let (world, _) = two_facilities();
    policy(&world);
    let admin = administrator(&world, "lakeside");
    let doctor = token_of(&admin, "north", "clinician@Organization/o-north", true);
    let auditor = token_of(&admin, "auditor", "auditor", false);
    let opened = open(&world, &doctor, "p-south", &[WHY]).status(200);
    let id = field(&opened, "id");
    world.fhir(&doctor, "GET Patient/p-south", "").status(200);
    // What is open in a backup is closed in what is made of it.
    let file = json!({ "file": "open" });
    world
        .admin("POST /admin/v1/tenants/lakeside/backup", &file)
        .status(201);
    let file = json!({ "file": "open", "clients": "keep" });
    world
        .admin("POST /admin/v1/tenants/again/restore", &file)
        .status(201);
    let counts = world.admin("GET /admin/v1/tenants/again/break-glass", &Value::Null);
    counts.status(200).at("/open", 0).at("/due", 1);
    let counts = world.admin("GET /admin/v1/tenants/lakeside/break-glass", &Value::Null);
    counts.status(200).at("/open", 1);

    let browser = Browser::new(&world);
    let people = admin.api("GET people", &Value::Null).status(200).json();
    let north = people["people"].as_array().unwrap().iter();
    let north = north.filter(|p| p["login"] == "north").collect::<Vec<_>>();
    let person = north[0]["id"].as_str().unwrap();
    let invited = admin
        .api(&format!("POST people/{person}/invitation"), &json!({}))
        .status(201);
    browser.accept(&invited.text("/invitation"));
    let look = format!("GET $break-glass-review?id={id}");
    let told = world.fhir(&auditor, &look, "").status(200);
    let told = told.json().to_string();
    assert!(told.contains("system:another password"), "{told}");
    assert_ne!(world.fhir(&doctor, "GET Patient/p-south", "").code, 200);
    // Who looked at it is in the trail, by name.
    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=1000",
        &Value::Null,
    );
    let trail = trail.status(200).json().to_string();
    assert!(
        trail.contains(&format!("look at break-glass {id}")),
        "{trail}"
    );
}

#[test]
fn the_queue_is_reviewed_in_the_browser() {
    const QUEUE: &str = "/t/lakeside/auth/break-glass";
    let (world, _) = two_facilities();
    policy(&world);
    let admin = administrator(&world, "lakeside");
    let doctor = token_of(&admin, "north", "clinician@Organization/o-north", true);
    let opened = open(&world, &doctor, "p-south", &[WHY]).status(200);
    let id = field(&opened, "id");
    world.fhir(&doctor, "GET Patient/p-south", "").status(200);
    let of = |login: &str, role: &str| {
        let draft = json!({ "login": login, "name": login, "roles": [role] });
        person(&admin, &draft).0
    };
    let (auditor, other) = (of("auditor", "auditor"), of("other", "nobody"));
    let html = |page: &Answer| String::from_utf8_lossy(&page.body).into_owned();
    Browser::new(&world).open(QUEUE).status(303);
    // Who neither opened nor reviews finds nothing there.
    assert!(!html(&other.open(QUEUE).status(200)).contains("p-south"));
    other.open(&format!("{QUEUE}/{id}")).status(404);
    assert!(html(&auditor.account()).contains(QUEUE));
    let one = format!("{QUEUE}/{id}");
    let page = auditor.open(&one).status(200);
    assert!(
        !html(&page).contains("method=\"post\""),
        "the patient is open"
    );
    world.clock.forward_secs(1_900);
    let listed = html(&auditor.open(QUEUE).status(200));
    assert!(
        listed.contains("Patient/p-south") && listed.contains(WHY.1),
        "{listed}"
    );
    let page = auditor.open(&one).status(200);
    let text = html(&page);
    assert!(text.contains("Patient/p-south/_history/1"), "{text}");
    auditor.open(&format!("{QUEUE}/nothing")).status(404);
    let say = |fields: &[(&str, &str)]| auditor.send(&page, &one, fields);
    say(&[("_form", "x"), ("verdict", "accept")]).status(403);
    say(&[("verdict", "object")]).status(400);
    say(&[("verdict", "object"), ("remark", "why <this>?")]).status(303);
    say(&[("verdict", "accept")]).status(409);
    let text = html(&auditor.open(&one).status(200));
    assert!(
        text.contains("why &lt;this&gt;?") && !text.contains("method=\"post\""),
        "{text}"
    );
    assert!(!html(&auditor.open(QUEUE).status(200)).contains("p-south"));
    let told = auditor
        .api("GET break-glass?state=objected", &Value::Null)
        .status(200);
    told.at("/items/0/review/verdict", "object");
    // The person sees their own, and does not review it.
    let own = Browser::new(&world);
    let said = json!({ "verdict": "accept" });
    let unsigned = own.api(&format!("POST break-glass/{id}"), &said);
    assert_eq!(unsigned.code, 401);
    let verified = world.admin("POST /admin/v1/tenants/lakeside/verify", &Value::Null);
    verified.status(200).at("/ok", true);
}
