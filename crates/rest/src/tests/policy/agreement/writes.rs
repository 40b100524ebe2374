//! What callers change and make, and what becomes of it.

use serde_json::{Value, json};

use super::super::super::world::Answer;
use super::judge::Judge;
use super::naive::{Errand, Facts, Naive, name};
use super::random::{self, Dice};
use super::text::{Said, members};
use super::trial::same;

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
    ("Encounter", "location", "location", random::places),
    ("CareTeam", "status", "status", |d| {
        json!(d.one(&["active", "inactive"]))
    }),
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
    /// Changes one resource; what is stored afterwards is known.
    pub(super) fn write(&mut self, said: &Said, at: usize, facts: Facts, dice: &mut Dice) {
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
            errand: Errand::Plain,
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
    pub(super) fn create(
        &mut self,
        said: &Said,
        at: usize,
        facts: Facts,
        dice: &mut Dice,
    ) -> Option<String> {
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
            errand: Errand::Plain,
        };
        let (told, made) = (self.trial(said, at, facts).told, new.clone());
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
                // What is made does not lead to itself.
                let beside = Naive {
                    known: &self.known,
                    policy: said,
                    caller,
                    facts,
                    errand: Errand::Plain,
                };
                let alone = !beside.reaches('c', &made);
                assert!(
                    code(&answer) == "403 own-evidence"
                        || alone && code(&answer) == "403 scope-missing",
                    "{told}"
                );
            }
            return None;
        }
        assert!(reached, "out of reach: {told}");
        let location = answer.header_text("location").unwrap();
        let path = location.split("/fhir/").nth(1).unwrap();
        Some(path.split("/_history").next().unwrap().to_owned())
    }

    /// What is stored is what is known.
    pub(super) fn is_as_known(&self) {
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
