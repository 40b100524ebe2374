//! Launches from within a record are for one person and one program of one tenant, and good once.

use serde_json::{Value, json};

use super::{Clinic, Program, approved, code_fields, request, told};
use crate::tests::people::{Browser, administrator, person};
use crate::tests::world::{Answer, JSON, ROOT};

const SCOPE: &str = "launch user/*.rs";

/// A clinic with two clinicians, each in a browser and with a token of the program that they work in.
struct Ward<'w> {
    clinic: &'w Clinic,
    app: Program,
    ada: (Browser<'w>, String, String),
    ben: (Browser<'w>, String, String),
}

impl<'w> Ward<'w> {
    fn of(clinic: &'w Clinic) -> Self {
        let admin = administrator(&clinic.world, "lakeside");
        let grants = json!([{ "name": "own", "who": { "roles": ["clinician"] }, "actions": "cruds", "types": ["*"] }]);
        let draft = json!({ "document": { "grants": grants }, "reason": "test" });
        let path = "POST /admin/v1/tenants/lakeside/policy";
        clinic.world.admin(path, &draft).status(201);
        let record = clinic.program("lakeside", true);
        let someone = |login: &str| {
            let draft = json!({ "login": login, "name": login, "roles": ["clinician"] });
            let (browser, id) = person(&admin, &draft);
            let code = approved(&browser, &request(&record, &[("scope", "user/*.rs")]));
            let granted = clinic.exchange(&record, &code).status(200);
            let bearer = format!("Bearer {}", granted.text("/access_token"));
            (browser, id, bearer)
        };
        Self {
            app: clinic.program("lakeside", true),
            ada: someone("ada"),
            ben: someone("ben"),
            clinic,
        }
    }

    fn makes(&self, who: &str, change: &Value) -> Answer {
        let mut draft = json!({ "client_id": self.app.id, "patient": "p1" });
        for (name, value) in change.as_object().unwrap() {
            draft[name] = value.clone();
        }
        let headers = [("authorization", who), JSON];
        let line = "POST /t/lakeside/auth/launches";
        self.clinic.world.ask(line, &headers, draft.to_string())
    }

    fn url(&self, launch: &str) -> String {
        request(&self.app, &[("launch", launch), ("scope", SCOPE)])
    }

    /// What the program is told that gets no code.
    fn refused(&self, browser: &Browser<'_>, launch: &str) -> String {
        let answer = browser.open(&self.url(launch));
        told(&answer, "error").unwrap()
    }

    fn trail(&self) -> String {
        let path = "GET /admin/v1/tenants/lakeside/audit?limit=1000";
        let found = self.clinic.world.admin(path, &Value::Null).status(200);
        String::from_utf8_lossy(&found.body).into_owned()
    }
}

#[test]
fn a_launch_that_a_person_makes_is_theirs_and_good_once() {
    let clinic = Clinic::new();
    let ward = Ward::of(&clinic);
    let (ada, _, token) = &ward.ada;
    let (ben, ..) = &ward.ben;
    let launch = ward.makes(token, &json!({})).status(201).text("/launch");
    // Somebody else who may see the patient as well does not take it.
    let what = format!("approve client {}", ward.app.id);
    assert_eq!(ward.refused(ben, &launch), "access_denied");
    let trail = ward.trail();
    let refused = trail
        .split("{\"number\"")
        .filter(|line| line.contains(&what));
    assert!(refused.clone().count() == 1 && refused.clone().all(|l| l.contains("refused")));
    // Nor by a form that was made for what they may: the launch is looked at once more.
    let page = ben.open(&request(&ward.app, &[("scope", "user/*.rs")]));
    let fields = [
        ("_decision", "approve"),
        ("launch", &*launch),
        ("scope", SCOPE),
    ];
    let answer = ben.send(&page, "/t/lakeside/auth/authorize", &fields);
    assert!(
        answer.code == 403 || told(&answer, "code").is_none(),
        "{answer:?}"
    );

    // Another program, another tenant.
    let other = clinic.program("lakeside", true);
    let url = request(&other, &[("launch", &launch), ("scope", SCOPE)]);
    let answer = ada.open(&url);
    assert_eq!(told(&answer, "error").as_deref(), Some("invalid_request"));
    let there = clinic.program("hillside", true);
    let aud = format!("{ROOT}/t/hillside/fhir");
    let url = request(
        &there,
        &[("launch", &launch), ("scope", SCOPE), ("aud", &aud)],
    );
    let answer = ada.open(&url.replace("/t/lakeside/", "/t/hillside/"));
    assert_eq!(told(&answer, "error").as_deref(), Some("invalid_request"));

    // Whom it is for takes it, once; also where two pages wait for the same answer.
    let pages = [ada.open(&ward.url(&launch)), ada.open(&ward.url(&launch))];
    let take = |page: &Answer| {
        let fields = [("_decision", "approve")];
        ada.send(page, "/t/lakeside/auth/authorize", &fields)
    };
    let code = told(&take(&pages[0]), "code").unwrap();
    let again = take(&pages[1]);
    assert!(
        again.code == 403 || told(&again, "code").is_none(),
        "{again:?}"
    );
    let granted = clinic.exchange(&ward.app, &code).status(200);
    granted.at("/patient", "p1");
    assert_eq!(ward.refused(ada, &launch), "invalid_request");
}

#[test]
fn a_launch_ends_with_its_time() {
    let clinic = Clinic::with(|limits| limits.launch_seconds_max = 60);
    let ward = Ward::of(&clinic);
    let (ada, _, token) = &ward.ada;
    let launch = ward.makes(token, &json!({})).status(201).text("/launch");
    clinic.world.clock.forward_secs(58);
    let page = ada.open(&ward.url(&launch)).status(200);
    clinic.world.clock.forward_secs(2);
    assert_eq!(ward.refused(ada, &launch), "invalid_request");
    // The page that waits for an answer does not keep it good.
    let fields = [("_decision", "approve")];
    let answer = ada.send(&page, "/t/lakeside/auth/authorize", &fields);
    assert!(
        answer.code == 403 || told(&answer, "code").is_none(),
        "{answer:?}"
    );
}

#[test]
fn a_program_says_for_whom_a_launch_is() {
    let clinic = Clinic::new();
    let ward = Ward::of(&clinic);
    let record = clinic.world.client("lakeside", "system/Patient.r");
    let (ada, id, token) = &ward.ada;
    let (ben, ben_id, _) = &ward.ben;
    // By id or by what they sign in with.
    for whom in [id.as_str(), "Ada"] {
        let made = ward.makes(&record, &json!({ "person": whom })).status(201);
        let launch = made.text("/launch");
        assert_eq!(ward.refused(ben, &launch), "access_denied");
        let code = approved(ada, &ward.url(&launch));
        let granted = clinic.token(&ward.app, &code_fields(&code)).status(200);
        granted.at("/patient", "p1");
        assert_eq!(ward.refused(ada, &launch), "invalid_request");
    }
    // Nobody is told whether there is somebody of a name: it is good for nobody.
    let made = ward
        .makes(&record, &json!({ "person": "nobody" }))
        .status(201);
    assert_eq!(ward.refused(ada, &made.text("/launch")), "access_denied");
    // Of whom nothing is said: for whoever takes it first, and for nobody else.
    let launch = ward.makes(&record, &json!({})).status(201).text("/launch");
    approved(ben, &ward.url(&launch));
    assert_eq!(ward.refused(ada, &launch), "invalid_request");
    // A person makes launches for themselves alone.
    ward.makes(token, &json!({ "person": ben_id }))
        .refused(400, "request-invalid");
    ward.makes(token, &json!({ "person": id })).status(201);
}
