//! A clinic by chance, everybody who asks in it, and what is known of all that is stored.

use base::Clock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::super::people::{
    Browser, PASSWORD, administrator, code as code_of, person, two_factors,
};
use super::super::super::vendors;
use super::super::super::world::{Answer, World};
use super::super::{glass, govern};
use super::naive::{Caller, Errand, Facts, Known, Naive, Scope, Vendor, name};
use super::random::{self, Dice};
use super::text::Said;

const EVERYTHING: &[Scope] = &[("*", "cruds", "system/*.cruds", |_| true)];
const SOME: &[Scope] = &[
    ("Patient", "rs", "system/Patient.rs?gender=female", |r| {
        r["gender"] == "female"
    }),
    ("Observation", "cruds", "system/Observation.cruds", |_| true),
    ("Encounter", "rs", "system/Encounter.rs", |_| true),
];

/// Vendors, and what their grants leave.
static VENDORS: [Vendor; 3] = [
    Vendor {
        id: "acme",
        scopes: EVERYTHING,
        facilities: &["Organization/o0", "Location/l0"],
        read_only: false,
    },
    Vendor {
        id: "bolt",
        scopes: EVERYTHING,
        facilities: &["Location/l1"],
        read_only: true,
    },
    Vendor {
        id: "core",
        scopes: SOME,
        facilities: &[],
        read_only: false,
    },
];

type Roles = &'static [(&'static str, Option<&'static str>)];

pub(super) struct Judge {
    pub(super) world: World,
    /// A client with scopes alone, by which everything is made.
    pub(super) all: String,
    pub(super) callers: Vec<Caller>,
    pub(super) known: Known,
}

impl Judge {
    pub(super) fn new(dice: &mut Dice) -> Self {
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
        for at in 0..4 {
            judge.put(random::consent(dice, &format!("k{at}"), now));
        }
        for at in 0..3 {
            judge.put(random::care_team(dice, &format!("t{at}"), now));
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
            let caller = self.client(Some(roles), scopes, None);
            self.callers.push(caller);
        }
        let plain = self.client(None, EVERYTHING, None);
        self.callers.push(plain);
        // Who stands for the patient is there first.
        self.put(json!({ "resourceType": "Patient", "id": "p0" }));
        let admin = administrator(&self.world, "lakeside");
        let vendors = self.of_vendors(&admin);
        self.callers.extend(vendors);
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
                vendor: None,
            });
        }
        self.callers.extend(made);
    }

    /// A client of each vendor: governed by policy or not.
    fn of_vendors(&self, admin: &Browser<'_>) -> Vec<Caller> {
        let roles: [Option<Roles>; 3] = [
            Some(&[("clinician", Some("Organization/o0"))]),
            None,
            Some(&[
                ("clinician", Some("Organization/o1")),
                ("nurse", Some("Location/l2")),
            ]),
        ];
        let agreed = |vendor: &Vendor, scopes: &[Scope]| {
            let texts: Vec<&str> = scopes.iter().map(|s| s.2).collect();
            let terms =
                json!({ "vendor": vendor.id, "scopes": texts, "facilities": vendor.facilities });
            let number = vendors::propose(&self.world, &terms);
            let says = json!({ "hold": "enabled", "terms": number, "reason": "test" });
            let line = format!("POST vendors/{}/switch", vendor.id);
            admin.api(&line, &says).status(200);
        };
        let one = |(vendor, roles): (&'static Vendor, Option<Roles>)| {
            // Its client has more than is left of the grant.
            agreed(vendor, EVERYTHING);
            let caller = self.client(roles, EVERYTHING, Some(vendor));
            agreed(vendor, vendor.scopes);
            if vendor.read_only {
                let says = json!({ "hold": "read-only", "reason": "test" });
                let line = format!("POST vendors/{}/switch", vendor.id);
                admin.api(&line, &says).status(200);
            }
            caller
        };
        VENDORS.iter().zip(roles).map(one).collect()
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
    pub(super) fn open_somebody(&self, said: &mut Said, dice: &mut Dice, facts: Facts) {
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
            errand: Errand::Plain,
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

    fn client(
        &self,
        roles: Option<Roles>,
        scopes: &'static [Scope],
        vendor: Option<&'static Vendor>,
    ) -> Caller {
        let texts: Vec<&str> = scopes.iter().map(|s| s.2).collect();
        let mut draft = json!({ "name": "staff", "scopes": texts });
        if let Some(roles) = roles {
            draft["roles"] = roles.iter().map(held).collect();
        }
        if let Some(vendor) = vendor {
            draft["vendor"] = json!(vendor.id);
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
            vendor,
        }
    }

    pub(super) fn clients(&self) -> Vec<String> {
        self.callers.iter().map(|c| c.client.clone()).collect()
    }

    pub(super) fn now(&self) -> i64 {
        self.world.clock.now().0
    }

    /// Makes or changes a resource by the client that nothing holds.
    pub(super) fn put(&mut self, body: Value) {
        let of = name(&body);
        let answer = self
            .world
            .fhir(&self.all, &format!("PUT {of}"), body.to_string());
        assert!(matches!(answer.code, 200 | 201), "{of}: {answer:?}");
        self.known.insert(of, body);
    }

    pub(super) fn publish(&self, said: &Said) {
        govern(
            &self.world,
            &json!({ "document": said.document(), "reason": "test" }),
        );
    }

    /// A policy that holds nothing back from clients with scopes alone.
    pub(super) fn let_go(&self) {
        self.publish(&Said::default());
    }

    pub(super) fn ask(&self, who: &Caller, facts: Facts, line: &str, body: &Value) -> Answer {
        self.ask_as(
            who,
            facts,
            line,
            ("content-type", "application/fhir+json"),
            body,
        )
    }

    pub(super) fn ask_as(
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
