//! Alerts and their rules in people's browsers.

use serde_json::{Value, json};

use super::{Clinic, administrator_again};
use crate::tests::people::{Browser, PASSWORD, attribute};
use crate::tests::world::Answer;

const ALERTS: &str = "/t/lakeside/auth/alerts";
const RULES: &str = "/t/lakeside/auth/alert-rules";

fn html(page: &Answer) -> String {
    String::from_utf8_lossy(&page.body).into_owned()
}

fn signed_in<'c>(clinic: &'c Clinic, login: &str) -> Browser<'c> {
    let browser = Browser::new(&clinic.world);
    browser.sign_in("lakeside", login, PASSWORD).status(303);
    browser
}

/// Everything that a form of a page would send: also what is not hidden.
fn all_of_form(page: &Answer, path: &str) -> Vec<(String, String)> {
    let html = html(page);
    let form = html
        .split("<form ")
        .skip(1)
        .find(|form| form.contains("method=\"post\"") && form.contains(path))
        .unwrap_or_else(|| panic!("no form to {path}: {html}"));
    let form = form.split("</form>").next().unwrap();
    let mut all = Vec::new();
    for tag in form.split('<').skip(1) {
        let Some(name) = attribute(tag, "name") else {
            continue;
        };
        if tag.starts_with("input ") {
            all.push((name, attribute(tag, "value").unwrap_or_default()));
        } else if tag.starts_with("textarea ") {
            let text = tag.split_once('>').unwrap().1;
            all.push((name, text.to_owned()));
        }
    }
    all
}

fn set(fields: &mut [(String, String)], name: &str, value: &str) {
    let field = fields.iter_mut().find(|(n, _)| n == name);
    value.clone_into(&mut field.unwrap_or_else(|| panic!("no field {name}")).1);
}

#[test]
fn whoever_looks_at_the_trail_sees_alerts_and_says_something_about_them() {
    let clinic = Clinic::new();
    for id in ["p1", "p2", "p3"] {
        clinic.patient(id, &json!({ "name": [{ "family": "Smith" }] }));
        clinic.look(id);
    }
    clinic.world.house.tidy();
    let world = &clinic.world;
    // Who is not signed in is sent to sign in, and who does not look at the trail sees nothing.
    Browser::new(world).open(ALERTS).status(303);
    let doctor = signed_in(&clinic, "a");
    doctor.open(ALERTS).status(403);
    doctor.open(RULES).status(403);
    doctor
        .api("GET alerts", &Value::Null)
        .refused(403, "scope-missing");
    assert!(!html(&doctor.account()).contains(ALERTS));

    let auditor = signed_in(&clinic, "auditor");
    assert!(html(&auditor.account()).contains(ALERTS));
    let page = html(&auditor.open(ALERTS).status(200));
    for wanted in [
        "Patient/p1",
        "Patient/p3",
        "their own surname",
        "a (person:",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    let none = html(&auditor.open(&format!("{ALERTS}?rule=vip")).status(200));
    assert!(!none.contains("Patient/p1"), "{none}");
    auditor.open(&format!("{ALERTS}?rule=nosy")).status(400);
    auditor.open(&format!("{ALERTS}?state=maybe")).status(400);

    // One of them, with the rule as it is in force and what would have explained it.
    let listed = auditor
        .api("GET alerts?state=open", &Value::Null)
        .status(200)
        .json();
    let number = listed["items"][0]["number"].to_string();
    let one = format!("{ALERTS}/{number}");
    let page = auditor.open(&one).status(200);
    let text = html(&page);
    assert!(
        text.contains("AuditEvent/trail-r-") && text.contains("care team"),
        "{text}"
    );
    auditor.open(&format!("{ALERTS}/4711")).status(404);
    auditor.open(&format!("{ALERTS}/x")).status(400);
    auditor
        .api("GET alerts/4711", &Value::Null)
        .refused(404, "not-found");

    // Only a form of this page, in this session, and a concern has a remark.
    let say = |fields: &[(&str, &str)]| auditor.send(&page, &one, fields);
    let foreign = [("_form", "x"), ("verdict", "explained")];
    say(&foreign).status(403);
    say(&[("verdict", "concern")]).status(400);
    say(&[("verdict", "concern"), ("remark", "ask <them>")]).status(303);
    say(&[("verdict", "explained")]).status(409);
    let said = html(&auditor.open(&one).status(200));
    assert!(
        said.contains("ask &lt;them&gt;") && !said.contains("<form method=\"post\""),
        "{said}"
    );
    let open = html(&auditor.open(ALERTS).status(200));
    assert!(!open.contains(&format!("{one}\"")), "{open}");
    let told = html(
        &auditor
            .open(&format!("{ALERTS}?state=acknowledged"))
            .status(200),
    );
    assert!(told.contains(&format!("{one}\"")), "{told}");
    // The same as JSON, which has to be said.
    let listed = auditor
        .api("GET alerts?state=open", &Value::Null)
        .status(200)
        .json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let next = listed["items"][0]["number"].to_string();
    let said = json!({ "verdict": "explained", "remark": "a test" });
    auditor
        .api(&format!("POST alerts/{next}"), &said)
        .status(200)
        .at("/acknowledged/verdict", "explained");
    let unsaid = format!("POST {ALERTS}/{next}");
    auditor.ask(&unsaid, &[], &said.to_string()).status(415);
}

#[test]
fn pages_of_alerts_follow_one_another() {
    let clinic = Clinic::new();
    for n in 0..23 {
        let id = format!("p{n}");
        clinic.patient(&id, &json!({ "name": [{ "family": "Smith" }] }));
        clinic.look(&id);
    }
    clinic.world.house.tidy();
    let auditor = signed_in(&clinic, "auditor");
    let first = html(
        &auditor
            .open(&format!("{ALERTS}?rule=same-surname"))
            .status(200),
    );
    assert_eq!(first.matches("<section>").count(), 20);
    let next = first
        .split("<a ")
        .find(|a| a.contains("rel=\"next\""))
        .and_then(|a| attribute(a, "href"))
        .expect("a link to older ones");
    let second = html(&auditor.open(&next).status(200));
    assert_eq!(second.matches("<section>").count(), 3);
    assert!(!second.contains("rel=\"next\""), "{second}");
}

#[test]
fn whoever_administers_changes_the_rules_and_sees_what_each_version_changed() {
    let clinic = Clinic::new();
    let admin = administrator_again(&clinic);
    let page = admin.open(RULES).status(200);
    assert!(html(&page).contains("The ready rules are in force"));
    let mut fields = all_of_form(&page, RULES);
    set(&mut fields, "unusual-volume.atLeast", "7");
    set(
        &mut fields,
        "same-surname.off",
        "half the village is called Smith",
    );
    set(&mut fields, "after-hours.exceptRoles", "nurse\nlab\n");
    set(&mut fields, "explain.visitRoles", "");
    set(&mut fields, "reason", "we are small");
    // A form that nobody was given changes nothing.
    let mut foreign = fields.clone();
    set(&mut foreign, "_form", "x");
    admin.post(RULES, &foreign).status(403);
    let mut wrong = fields.clone();
    set(&mut wrong, "unusual-volume.atLeast", "seven");
    admin.post(RULES, &wrong).status(400);
    admin.post(RULES, &fields).status(303);
    // Somebody who saw the version before does not undo this one unseen.
    admin.post(RULES, &fields).status(412);

    let told = admin
        .api("GET alert-rules", &Value::Null)
        .status(200)
        .json();
    assert_eq!(told["version"], 1);
    let rules = &told["document"]["rules"];
    assert_eq!(rules["unusual-volume"]["atLeast"], 7);
    assert_eq!(rules["after-hours"]["exceptRoles"], json!(["nurse", "lab"]));
    assert_eq!(told["document"]["explain"]["visitRoles"], json!([]));
    let changed: Vec<&str> = told["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        changed,
        [
            "explain.visitRoles",
            "rules.after-hours.exceptRoles",
            "rules.same-surname.off",
            "rules.unusual-volume.atLeast",
        ]
    );
    let document = json!({ "rules": { "unusual-volume": { "atLeast": 9 } } });
    let draft = json!({ "document": document, "reason": "not that small", "after": 1 });
    admin
        .api("POST alert-rules", &draft)
        .status(201)
        .at("/version", 2);
    admin
        .api("POST alert-rules", &draft)
        .refused(412, "version-conflict");
    let compared = html(&admin.open(&format!("{RULES}?from=1&to=2")).status(200));
    assert!(
        compared.contains("<del>7</del> became <ins>9</ins>"),
        "{compared}"
    );
    assert!(compared.contains("not that small"), "{compared}");
    admin.open(&format!("{RULES}?from=1&to=9")).status(404);
    admin.open(&format!("{RULES}?from=1")).status(400);

    // Who looks at the trail sees the rules and has no form.
    let auditor = signed_in(&clinic, "auditor");
    let seen = html(&auditor.open(RULES).status(200));
    assert!(!seen.contains("method=\"post\"") && seen.contains("atLeast") || seen.contains('9'));
    auditor
        .api(
            "POST alert-rules",
            &json!({ "document": {}, "reason": "x" }),
        )
        .refused(403, "scope-missing");
    // The same by the operation: what is different between two versions.
    let told = clinic
        .world
        .fhir(&clinic.auditor, "GET $alert-rules?from=0&to=2", "")
        .status(200)
        .json()
        .to_string();
    assert!(told.contains("rules.unusual-volume.atLeast"), "{told}");
}

#[test]
fn whoever_looks_at_the_trail_is_told_who_saw_what_of_whom() {
    let clinic = Clinic::new();
    clinic.patient("p1", &json!({}));
    clinic.patient("p2", &json!({}));
    clinic.look("p1");
    const REPORT: &str = "/t/lakeside/auth/access-report";
    let (doctor, auditor) = (signed_in(&clinic, "a"), signed_in(&clinic, "auditor"));
    doctor.open(REPORT).status(403);
    doctor
        .open(&format!("{REPORT}?patient=p1&format=html"))
        .status(403);
    doctor
        .api("GET access-report?patient=p1", &Value::Null)
        .refused(403, "scope-missing");
    Browser::new(&clinic.world).open(REPORT).status(303);
    let form = html(&auditor.open(REPORT).status(200));
    assert!(form.contains("name=\"patient\""), "{form}");
    // By what they sign in with; what is not filled in is not asked.
    let asked = format!("{REPORT}?patient=&actor=a&from=&to=&by=access&format=html");
    let page = html(&auditor.open(&asked).status(200));
    assert!(
        page.contains("Patient/p1/_history/1") && !page.contains("Patient/p2"),
        "{page}"
    );
    let told = auditor
        .api("GET access-report?patient=Patient/p2", &Value::Null)
        .status(200)
        .json();
    let actors: Vec<&str> = told["accesses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["actor"].as_str().unwrap())
        .collect();
    assert_eq!(actors.len(), 1, "only who made it: {told:#}");
    let csv = auditor
        .open(&format!("{REPORT}?patient=p1&by=patient&format=csv"))
        .status(200);
    assert!(
        html(&csv).starts_with("patient,reads,writes"),
        "{}",
        html(&csv)
    );
    auditor
        .open(&format!("{REPORT}?actor=nobody-here&format=html"))
        .status(400);
    auditor
        .open(&format!("{REPORT}?patient=p1&format=pdf"))
        .status(400);
    // Looking is in the trail, in the name of who looked.
    let trail = clinic.world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=1000",
        &Value::Null,
    );
    assert!(trail.json().to_string().contains("report of accesses"));
}
