//! The judge of policies at the edge: random policies with variables, conditions on the request, hidden
//! elements, consents and labels, over random resources. What searches find, what single resources answer
//! and what writes come to is what a naive evaluator reads from the policy's text.

mod consents;
mod naive;
mod queries;
mod random;
mod text;

use std::net::IpAddr;

use base::Clock;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::people::{
    Browser, PASSWORD, administrator, code as code_of, person, two_factors,
};
use super::super::world::{Answer, World};
use super::{glass, govern, sorted};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use naive::{Caller, Facts, Known, Naive, Scope, name};
use queries::{QUERIES, Query};
use random::{Dice, mark};
use text::{ELEMENTS, Said, members};

const EVERYTHING: &[Scope] = &[("*", "cruds", "system/*.cruds", |_| true)];
const SOME: &[Scope] = &[
    ("Patient", "rs", "system/Patient.rs?gender=female", |r| {
        r["gender"] == "female"
    }),
    ("Observation", "cruds", "system/Observation.cruds", |_| true),
    ("Encounter", "rs", "system/Encounter.rs", |_| true),
];

type Roles = &'static [(&'static str, Option<&'static str>)];

struct Judge {
    world: World,
    /// A client with scopes alone, by which everything is made.
    all: String,
    callers: Vec<Caller>,
    known: Known,
}

impl Judge {
    fn new(dice: &mut Dice) -> Self {
        let (world, all) = World::clinic();
        // At whatever time of the day.
        world
            .clock
            .forward_secs(i64::try_from(dice.below(86_400)).unwrap());
        govern(
            &world,
            &json!({ "preset": "network-wide", "reason": "test" }),
        );
        let mut judge = Self {
            world,
            all,
            callers: Vec::new(),
            known: Known::new(),
        };
        for (at, of) in [("o0", "One"), ("o1", "Two"), ("o2", "Three")] {
            let part_of = (at == "o2").then_some("Organization/o1");
            judge.put(random::organization(at, of, part_of));
        }
        for (at, within) in [
            ("l0", "Organization/o1"),
            ("l1", "Location/l0"),
            ("l2", "Organization/o2"),
        ] {
            judge.put(random::location(at, within));
        }
        for at in 0..3 {
            judge.put(random::practitioner(&format!("d{at}")));
        }
        judge.make_callers();
        let clients = judge.clients();
        for at in 0..5 {
            judge.put(random::patient(dice, &format!("p{at}"), &clients));
        }
        for at in 0..8 {
            judge.put(random::observation(dice, &format!("b{at}")));
        }
        for at in 0..4 {
            judge.put(random::encounter(dice, &format!("e{at}")));
        }
        let now = judge.now();
        for at in 0..3 {
            judge.put(random::consent(dice, &format!("k{at}"), now));
        }
        judge
    }

    fn make_callers(&mut self) {
        let governed: [(Roles, &'static [Scope]); 3] = [
            (&[("clinician", Some("Organization/o0"))], EVERYTHING),
            (
                &[("clinician", None), ("nurse", Some("Location/l0"))],
                EVERYTHING,
            ),
            (
                &[
                    ("nurse", Some("Organization/o2")),
                    ("clinician", Some("Organization/o0")),
                ],
                SOME,
            ),
        ];
        for (roles, scopes) in governed {
            let caller = self.client(Some(roles), scopes);
            self.callers.push(caller);
        }
        let plain = self.client(None, EVERYTHING);
        self.callers.push(plain);
        let people: [(&str, Roles, Option<&'static str>, &'static [&'static str]); 5] = [
            (
                "ann",
                &[("clinician", Some("Organization/o0"))],
                Some("Practitioner/d0"),
                &["night"],
            ),
            (
                "ben",
                &[
                    ("nurse", Some("Organization/o1")),
                    ("clinician", Some("Organization/o2")),
                ],
                Some("Practitioner/d1"),
                &[],
            ),
            ("eve", &[("clinician", None)], None, &["lab", "night"]),
            (
                "liz",
                &[
                    ("nurse", Some("Location/l1")),
                    ("clinician", Some("Location/l2")),
                ],
                Some("Practitioner/d2"),
                &["lab"],
            ),
            ("pat", &[("patient", None)], Some("Patient/p0"), &[]),
        ];
        // Who stands for the patient is there first.
        self.put(json!({ "resourceType": "Patient", "id": "p0" }));
        let admin = administrator(&self.world, "lakeside");
        let mut made = Vec::new();
        for (login, roles, user, groups) in people {
            let held: Vec<String> = roles.iter().map(held).collect();
            let mut draft =
                json!({ "login": login, "name": login, "roles": held, "groups": groups });
            if let Some(user) = user {
                draft["fhir_user"] = json!(user);
            }
            let (mut browser, id) = person(&admin, &draft);
            let strong = login == "eve";
            if strong {
                browser = self.proved(&browser, login);
            }
            let authorization = glass::approved(&browser);
            // The newest client is theirs.
            let listed = self
                .world
                .admin("GET /admin/v1/tenants/lakeside/clients", &Value::Null);
            let listed = listed.status(200).json();
            let client = clients_of(&listed).into_iter().find(|id| {
                !self
                    .callers
                    .iter()
                    .chain(&made)
                    .any(|c: &Caller| c.client == *id)
                    && self.is_program(&listed, id)
            });
            made.push(Caller {
                authorization,
                roles: roles.to_vec(),
                person: Some(id),
                client: client.unwrap(),
                groups,
                strong,
                user,
                governed: true,
                scopes: EVERYTHING,
            });
        }
        self.callers.extend(made);
    }

    /// Somebody in another browser, where they showed two factors.
    fn proved(&self, browser: &Browser<'_>, login: &str) -> Browser<'_> {
        let secret = two_factors(browser);
        self.world.clock.forward_secs(30);
        let again = Browser::new(&self.world);
        let step = again.sign_in("lakeside", login, PASSWORD).status(200);
        let shown = code_of(&self.world, &secret);
        let path = "/t/lakeside/auth/second-factor";
        again
            .send(&step, path, &[("code", shown.as_str())])
            .status(303);
        again
    }

    /// Has whoever proved who they are open a patient, if the policy lets them.
    fn open_somebody(&self, said: &mut Said, dice: &mut Dice, facts: Facts) {
        let caller = self.callers.iter().find(|c| c.strong).unwrap();
        let Some(glass) = said.grants.iter().find(|g| g.glass) else {
            return;
        };
        let patient = format!("Patient/p{}", dice.below(5));
        let body = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "reason", "valueString": "emergency" } ] });
        let line = format!("POST {patient}/$break-glass");
        let answer = self.ask(caller, facts, &line, &body);
        assert!(matches!(answer.code, 200 | 403), "{answer:?}");
        let naive = Naive {
            known: &self.known,
            policy: said,
            caller,
            facts,
        };
        assert!(answer.code == 403 || naive.offers(glass), "{answer:?}");
        if answer.code == 200 {
            said.opened = Some((caller.person.clone().unwrap(), patient));
        }
    }

    fn is_program(&self, listed: &Value, id: &str) -> bool {
        let all = listed
            .as_array()
            .or_else(|| listed["clients"].as_array())
            .unwrap();
        all.iter()
            .any(|c| c["client_id"] == id && c["name"] == "Chart")
    }

    fn client(&self, roles: Option<Roles>, scopes: &'static [Scope]) -> Caller {
        let texts: Vec<&str> = scopes.iter().map(|s| s.2).collect();
        let mut draft = json!({ "name": "staff", "scopes": texts });
        if let Some(roles) = roles {
            draft["roles"] = roles.iter().map(held).collect();
        }
        let made = self
            .world
            .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
            .status(201);
        let (id, secret) = (made.text("/client_id"), made.text("/client_secret"));
        Caller {
            authorization: format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
            roles: roles.unwrap_or_default().to_vec(),
            person: None,
            client: id,
            groups: &[],
            strong: false,
            user: None,
            governed: roles.is_some(),
            scopes,
        }
    }

    fn clients(&self) -> Vec<String> {
        self.callers.iter().map(|c| c.client.clone()).collect()
    }

    fn now(&self) -> i64 {
        self.world.clock.now().0
    }

    /// Makes or changes a resource by the client that nothing holds.
    fn put(&mut self, body: Value) {
        let of = name(&body);
        let answer = self
            .world
            .fhir(&self.all, &format!("PUT {of}"), body.to_string());
        assert!(matches!(answer.code, 200 | 201), "{of}: {answer:?}");
        self.known.insert(of, body);
    }

    fn publish(&self, said: &Said) {
        govern(
            &self.world,
            &json!({ "document": said.document(), "reason": "test" }),
        );
    }

    /// A policy that holds nothing back from clients with scopes alone.
    fn let_go(&self) {
        self.publish(&Said::default());
    }

    fn ask(&self, who: &Caller, facts: Facts, line: &str, body: &Value) -> Answer {
        self.ask_as(
            who,
            facts,
            line,
            ("content-type", "application/fhir+json"),
            body,
        )
    }

    fn ask_as(
        &self,
        who: &Caller,
        facts: Facts,
        line: &str,
        more: (&str, &str),
        body: &Value,
    ) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let line = format!("{method} /t/lakeside/fhir/{path}");
        let mut headers = vec![("authorization", who.authorization.as_str())];
        headers.extend(facts.reason.map(|reason| ("access-reason", reason)));
        headers.push(more);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.world.ask_from(facts.from, &line, &headers, body)
    }
}

fn held((role, at): &(&'static str, Option<&'static str>)) -> String {
    match at {
        Some(at) => format!("{role}@{at}"),
        None => (*role).to_owned(),
    }
}

fn clients_of(listed: &Value) -> Vec<String> {
    let all = listed.as_array().or_else(|| listed["clients"].as_array());
    let all = all.unwrap_or_else(|| panic!("{listed:#}"));
    all.iter()
        .map(|c| c["client_id"].as_str().unwrap().to_owned())
        .collect()
}

/// What a resource answers without what every version has anew.
fn plain(mut of: Value) -> Value {
    if let Some(meta) = of.get_mut("meta").and_then(Value::as_object_mut) {
        for own in ["versionId", "lastUpdated", "source"] {
            meta.remove(own);
        }
        if meta.is_empty() {
            of.as_object_mut().unwrap().remove("meta");
        }
    }
    of
}

/// A resource as it is shown where these elements are hidden.
fn hidden(of: &Value, elements: &naive::Hidden) -> Value {
    let mut shown = of.clone();
    if elements.is_empty() {
        return shown;
    }
    let all = shown.as_object_mut().unwrap();
    for element in elements {
        all.retain(|name, _| !members(element).contains(name.as_str()));
    }
    all.remove("text");
    let meta = all.entry("meta").or_insert_with(|| json!({}));
    meta["tag"] = json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "code": "SUBSETTED", "display": "Resource encoded in summary mode" }]);
    shown
}

fn same(a: &Value, b: &Value) -> bool {
    let without_display = |of: &Value| {
        let mut of = plain(of.clone());
        if let Some(tags) = of.pointer_mut("/meta/tag").and_then(Value::as_array_mut) {
            for tag in tags {
                tag.as_object_mut().unwrap().remove("display");
            }
        }
        of
    };
    without_display(a) == without_display(b)
}

/// One caller under one policy.
struct Trial<'j> {
    judge: &'j Judge,
    naive: Naive<'j>,
    told: String,
}

impl Trial<'_> {
    fn ask(&self, line: &str) -> Answer {
        self.judge
            .ask(self.naive.caller, self.naive.facts, line, &Value::Null)
    }

    fn shown_as(&self, action: char, of: &Value, answer: &Value, line: &str) {
        let masks = self.naive.masks(action, of);
        let fits = masks.iter().any(|mask| same(&hidden(of, mask), answer));
        assert!(
            fits,
            "{line} shows {answer:#}\nof {of:#}\nbut for {masks:?}\n{}",
            self.told
        );
    }

    /// What single resources answer.
    fn reads(&self) {
        for (of, body) in &self.judge.known {
            let line = format!("GET {of}");
            let answer = self.ask(&line);
            let type_name = body["resourceType"].as_str().unwrap();
            let wanted = match (
                self.naive.opens('r', type_name),
                self.naive.reaches('r', body),
            ) {
                (false, _) => 403,
                (_, false) => 404,
                (_, true) => 200,
            };
            assert_eq!(
                answer.code, wanted,
                "{line} {answer:?}\n{body:#}\n{}",
                self.told
            );
            if wanted == 200 {
                self.shown_as('r', body, &answer.json(), &line);
            }
            let history = self.ask(&format!("GET {of}/_history"));
            let wanted = match (
                self.naive.opens('s', type_name),
                self.naive.reaches('s', body),
            ) {
                (false, _) => 403,
                (_, false) => 404,
                (_, true) => 200,
            };
            assert_eq!(
                history.code, wanted,
                "{line}/_history {history:?}\n{}",
                self.told
            );
        }
    }

    /// What a search finds: those of a type that the caller sees and that fit, in their charts only.
    fn searches(&self, queries: &[Query]) {
        for query in queries {
            let line = format!("GET {}", query.text);
            let answer = self.ask(&line);
            let closed = query.types.iter().any(|of| !self.naive.opens('s', of));
            let looks = query.looks.iter().any(|(of, param)| {
                let hidden = self.naive.hides(self.naive.sight(of), of);
                let on = |e: &&(&str, &str, &[&str])| e.0 == *of && e.2.contains(param);
                ELEMENTS.iter().filter(on).any(|e| hidden.contains(e.1))
            });
            if closed || looks {
                assert_eq!(answer.code, 403, "{line} {answer:?}\n{}", self.told);
                continue;
            }
            assert_eq!(answer.code, 200, "{line} {answer:?}\n{}", self.told);
            let of = query.types[0];
            let sees = |r: &&Value| self.naive.reaches('s', r);
            let all = self
                .judge
                .known
                .values()
                .filter(|r| r["resourceType"] == of);
            let fit = all.filter(sees).filter(|r| (query.fits)(self, r));
            let fit: Vec<&Value> = fit.collect();
            let mut wanted: Vec<String> = fit.iter().map(|r| name(r)).collect();
            let json = answer.json();
            let entries = json["entry"].as_array().cloned().unwrap_or_default();
            for entry in &entries {
                let shown = &entry["resource"];
                let known = &self.judge.known[&name(shown)];
                let of = known["resourceType"].as_str().unwrap();
                self.shown_as(self.naive.sight(of), known, shown, &line);
            }
            let matches = entries.iter().filter(|e| e["search"]["mode"] == "match");
            let found: Vec<String> = matches.map(|e| name(&e["resource"])).collect();
            wanted.sort();
            assert_eq!(sorted(found), wanted, "{line}\n{}", self.told);
            assert_eq!(json["total"], wanted.len(), "{line}\n{}", self.told);
            let included = entries.iter().filter(|e| e["search"]["mode"] == "include");
            let included: Vec<String> = included.map(|e| name(&e["resource"])).collect();
            let mut more: Vec<String> =
                fit.iter().flat_map(|r| (query.includes)(self, r)).collect();
            more.sort();
            more.dedup();
            assert_eq!(sorted(included), more, "{line}\n{}", self.told);
        }
    }

    /// Whether a search shows a resource as one that is included.
    fn sees(&self, of: &str) -> bool {
        let known = self.judge.known.get(of);
        known.is_some_and(|r| {
            let type_name = r["resourceType"].as_str().unwrap();
            self.naive.reaches(self.naive.sight(type_name), r)
        })
    }

    /// No road tells what is hidden, or out of reach.
    fn tells_nothing_else(&self) {
        let graphql = "$graphql?query=%7BPatientList%7Bid%20text%7Bdiv%7D%20name%7Bgiven%7D%20telecom%7Bvalue%7D\
            identifier%7Bassigner%7Bdisplay%7D%7DmanagingOrganization%7Bdisplay%7D\
            generalPractitioner%7Bdisplay%20resource%7B...on%20Practitioner%7Bname%7Bgiven%7D%7D%7D%7D%7D\
            ObservationList%7Bnote%7Btext%7DvalueString%20performer%7Bdisplay%7Dsubject%7Bdisplay%20\
            resource%7B...on%20Patient%7Bname%7Bgiven%7D%7D%7D%7D%7D%7D";
        for line in [
            "Patient?_elements=telecom,name",
            "Patient?_format=xml",
            "Patient?_revinclude=*&_include=*&_include:iterate=*",
            "Observation?_include=*&_include:iterate=*&_revinclude:iterate=*",
            "Encounter?_include=Encounter:subject&_include:iterate=Patient:organization",
            "Patient?_summary=data",
            "?_type=Patient,Observation",
            "_history",
            "Patient/_history",
            "Patient/p1/_history",
            "Patient/p1/$everything",
            "Patient/p2/$everything",
            "Patient/p1/Observation",
            "Patient/p0/*",
            "Observation/$lastn?max=1&patient=Patient/p1",
            graphql,
        ] {
            let answer = self.ask(&format!("GET {line}"));
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            for body in self.judge.known.values() {
                self.keeps(body, &text, line);
            }
        }
    }

    fn keeps(&self, body: &Value, text: &str, line: &str) {
        let of = name(body);
        let type_name = body["resourceType"].as_str().unwrap();
        let named = ELEMENTS.iter().filter(|e| e.0 == type_name).map(|e| e.1);
        for element in named.chain(["text"]) {
            if !text.contains(&mark(&of, element)) {
                continue;
            }
            let shows = |action: char| {
                let whole = |mask: &naive::Hidden| match element {
                    "text" => mask.is_empty(),
                    _ => !mask.contains(element),
                };
                self.naive.reaches(action, body) && self.naive.masks(action, body).iter().any(whole)
            };
            assert!(
                shows('r') || shows('s'),
                "{line} tells of {element} of {of}: {text}\n{body:#}\n{}",
                self.told
            );
        }
    }
}

/// Changes that writes make: of which type, which element, as which member.
type Edit = (
    &'static str,
    &'static str,
    &'static str,
    fn(&mut Dice) -> Value,
);

const EDITS: &[Edit] = &[
    ("Patient", "active", "active", |d| json!(d.in_one_of(2))),
    ("Patient", "gender", "gender", |d| {
        json!(d.one(&["male", "female"]))
    }),
    ("Patient", "birthDate", "birthDate", |_| json!("2001-02-03")),
    (
        "Patient",
        "telecom",
        "telecom",
        |_| json!([{ "system": "phone", "value": "mine" }]),
    ),
    (
        "Patient",
        "managingOrganization",
        "managingOrganization",
        |d| json!({ "reference": format!("Organization/o{}", d.below(3)) }),
    ),
    ("Observation", "status", "status", |d| {
        json!(d.one(&["final", "amended"]))
    }),
    ("Observation", "value[x]", "valueString", |_| json!("mine")),
    (
        "Observation",
        "note",
        "note",
        |_| json!([{ "text": "mine" }]),
    ),
    (
        "Observation",
        "subject",
        "subject",
        |d| json!({ "reference": format!("Patient/p{}", d.below(5)) }),
    ),
    ("Encounter", "status", "status", |d| {
        json!(d.one(&["finished", "planned"]))
    }),
    (
        "Encounter",
        "serviceProvider",
        "serviceProvider",
        |d| json!({ "reference": format!("Organization/o{}", d.below(3)) }),
    ),
];

/// The stable code of a refusal.
fn code(answer: &Answer) -> String {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = json
        .pointer("/issue/0/details/coding/0/code")
        .and_then(Value::as_str);
    format!("{} {}", answer.code, code.unwrap_or_default())
}

impl Judge {
    fn trial<'j>(&'j self, said: &'j Said, at: usize, facts: Facts) -> Trial<'j> {
        let caller = &self.callers[at];
        let naive = Naive {
            known: &self.known,
            policy: said,
            caller,
            facts,
        };
        let told = format!(
            "{facts:?} {:?} {:?} {:?}\n{:#}",
            caller.roles,
            caller.user,
            (&caller.person, &caller.client),
            said.document()
        );
        Trial {
            judge: self,
            naive,
            told,
        }
    }

    /// Changes one resource; what is stored afterwards is known.
    fn write(&mut self, said: &Said, at: usize, facts: Facts, dice: &mut Dice) {
        let (of_type, element, member, make) = *dice.one(EDITS);
        let names: Vec<&String> = self
            .known
            .keys()
            .filter(|n| n.starts_with(&format!("{of_type}/")))
            .collect();
        let of = (*dice.one(&names)).clone();
        let value = make(dice);
        let (old, caller) = (self.known[&of].clone(), &self.callers[at]);
        let mut new = old.clone();
        new[member] = value.clone();
        let mut then = self.known.clone();
        then.insert(of.clone(), new.clone());
        let before = self.trial(said, at, facts);
        let after = Naive {
            known: &then,
            policy: said,
            caller,
            facts,
        };
        let read = before.ask(&format!("GET {of}"));
        let shown = (read.code == 200).then(|| read.json());
        let answer = if dice.in_one_of(3) {
            let patch = json!([{ "op": "add", "path": format!("/{member}"), "value": value }]);
            let kind = ("content-type", "application/json-patch+json");
            self.ask_as(caller, facts, &format!("PATCH {of}"), kind, &patch)
        } else {
            let mut body = shown.clone().unwrap_or_else(|| old.clone());
            body[member] = value;
            self.ask(caller, facts, &format!("PUT {of}"), &body)
        };
        let told = format!(
            "{element} of {of} to {new:#}: {}\n{}",
            code(&answer),
            before.told
        );
        let (naive, changed) = (&before.naive, old != new);
        let in_reach = naive.reaches('u', &old) && after.reaches('u', &new);
        let hid = |of: &Value| of[member].is_null() && !old[member].is_null();
        let kept = naive
            .kept('u', &old)
            .iter()
            .all(|kept| kept.contains(element));
        if answer.code == 200 {
            assert!(in_reach, "out of reach: {told}");
            assert!(!changed || !kept, "not to be changed: {told}");
            assert!(
                !changed || !shown.as_ref().is_some_and(hid),
                "hidden: {told}"
            );
            self.known.insert(of, new);
            return;
        }
        let masked = ['r', 'u'].iter().any(|action| {
            naive.hides(*action, of_type).contains(element)
                || naive.keeps(*action, of_type).contains(element)
        });
        let reads = naive.reaches('r', &old) && after.reaches('r', &new);
        // What is written where something is hidden may be refused by another name.
        let hides = |action: &char| !naive.hides(*action, of_type).is_empty();
        let unseen = ['r', 'u'].iter().any(hides) && answer.code == 403;
        if in_reach && reads && !masked && !unseen {
            assert_eq!(code(&answer), "403 own-evidence", "{told}");
        }
    }

    /// Makes a resource, which goes again.
    fn create(&mut self, said: &Said, at: usize, facts: Facts, dice: &mut Dice) -> Option<String> {
        let mut new = match dice.below(3) {
            0 => random::patient(dice, "new", &self.clients()),
            1 => random::observation(dice, "new"),
            _ => random::encounter(dice, "new"),
        };
        let of_type = new["resourceType"].as_str().unwrap().to_owned();
        let caller = &self.callers[at];
        let mut then = self.known.clone();
        then.insert(name(&new), new.clone());
        let naive = Naive {
            known: &then,
            policy: said,
            caller,
            facts,
        };
        let told = self.trial(said, at, facts).told;
        let reached = naive.reaches('c', &then[&name(&new)]);
        let has = |e: &str| members(e).iter().any(|m| !new[*m].is_null());
        let bounds = |action: char| {
            let mut all = naive.hides(action, &of_type);
            all.extend(naive.keeps(action, &of_type));
            all.iter().any(|e| has(e))
        };
        let masked = bounds('c') || bounds('r') || !naive.hides('c', &of_type).is_empty();
        new.as_object_mut().unwrap().remove("id");
        let answer = self.ask(caller, facts, &format!("POST {of_type}"), &new);
        let told = format!("{new:#}: {}\n{told}", code(&answer));
        if answer.code != 201 {
            if reached && !masked {
                assert_eq!(code(&answer), "403 own-evidence", "{told}");
            }
            return None;
        }
        assert!(reached, "out of reach: {told}");
        let location = answer.header_text("location").unwrap();
        let path = location.split("/fhir/").nth(1).unwrap();
        Some(path.split("/_history").next().unwrap().to_owned())
    }

    /// What is stored is what is known.
    fn is_as_known(&self) {
        for (of, body) in &self.known {
            let stored = self
                .world
                .fhir(&self.all, &format!("GET {of}"), "")
                .status(200)
                .json();
            assert!(same(&stored, body), "{of} is {stored:#}\nand not {body:#}");
        }
    }
}

fn round(judge: &mut Judge, dice: &mut Dice) {
    let clients = judge.clients();
    let people: Vec<String> = judge
        .callers
        .iter()
        .filter_map(|c| c.person.clone())
        .collect();
    let mut said = random::policy(dice, &people, &clients, judge.now());
    judge.publish(&said);
    let facts = |judge: &Judge, dice: &mut Dice| Facts {
        from: dice
            .one::<IpAddr>(&["10.0.0.7".parse().unwrap(), "192.0.2.4".parse().unwrap()])
            .to_owned(),
        reason: *dice.one(&[None, Some("audit"), Some("care of somebody")]),
        now: judge.now(),
    };
    let fact = facts(judge, dice);
    judge.open_somebody(&mut said, dice, fact);
    let strong = judge.callers.iter().position(|c| c.strong).unwrap();
    let who = |judge: &Judge, dice: &mut Dice| match said.opened.is_some() && dice.in_one_of(2) {
        true => strong,
        false => dice.below(judge.callers.len()),
    };
    for _ in 0..2 {
        let at = who(judge, dice);
        let facts = facts(judge, dice);
        let trial = judge.trial(&said, at, facts);
        trial.reads();
        trial.searches(QUERIES);
        trial.tells_nothing_else();
    }
    let at = who(judge, dice);
    let mut made = Vec::new();
    for _ in 0..6 {
        let facts = facts(judge, dice);
        judge.write(&said, at, facts, dice);
        made.extend(judge.create(&said, at, facts, dice));
    }
    judge.let_go();
    for of in made {
        judge
            .world
            .fhir(&judge.all, &format!("DELETE {of}"), "")
            .status(204);
    }
    judge.is_as_known();
    // Others go on.
    let (p, b, e) = (dice.below(5), dice.below(8), dice.below(4));
    let now = judge.now();
    for body in [
        random::patient(dice, &format!("p{p}"), &clients),
        random::observation(dice, &format!("b{b}")),
        random::encounter(dice, &format!("e{e}")),
        random::consent(dice, &format!("k{}", p % 3), now),
    ] {
        judge.put(body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn requests_get_what_the_text_of_the_policy_says(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let mut judge = Judge::new(&mut dice);
        for _ in 0..8 {
            round(&mut judge, &mut dice);
        }
    }
}
