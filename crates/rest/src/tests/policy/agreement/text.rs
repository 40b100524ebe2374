//! Policies as they are written, and beside every part what it means.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::naive::{Asked, Caller, Facts, Hidden, reference};

/// A policy.
#[derive(Default)]
pub(super) struct Said {
    pub(super) grants: Vec<Grant>,
    /// Consents count: what accesses are for, by role.
    pub(super) consents: Option<BTreeMap<&'static str, Vec<&'static str>>>,
    pub(super) labels: Option<LabelsSaid>,
    /// Whom somebody opened under the grant with `breakGlass`: the person and the patient.
    pub(super) opened: Option<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct LabelsSaid {
    /// Up to which label roles see.
    pub(super) marks: Vec<(&'static str, usize)>,
    /// Which role sees what is of a kind.
    pub(super) sensitivity: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    pub(super) roles: Vec<&'static str>,
    pub(super) groups: Vec<&'static str>,
    pub(super) person: Option<String>,
    pub(super) everybody: bool,
    pub(super) client: Option<String>,
    pub(super) every_client: bool,
    pub(super) anyone: bool,
}

pub(super) struct Grant {
    pub(super) name: String,
    pub(super) denies: bool,
    pub(super) who: Who,
    /// Letters of `cruds`; `x` is export, `e` and `l` are `$everything` and `$lastn`.
    pub(super) actions: &'static str,
    pub(super) types: Vec<&'static str>,
    pub(super) criteria: Option<&'static Criterion>,
    pub(super) within: Option<&'static Criterion>,
    pub(super) by: Option<By>,
    pub(super) hide: Vec<(&'static str, &'static str)>,
    pub(super) keep: Vec<(&'static str, &'static str)>,
    pub(super) when: Option<When>,
    /// Only from `10.0.0.0/8`.
    pub(super) network: bool,
    pub(super) reason: bool,
    /// It gives nothing but in the chart of a patient who was opened under it.
    pub(super) glass: bool,
}

/// By what charts are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Consent,
    CareTeam,
    Facility,
    /// No rule of charts: the caller works somewhere.
    Network,
}

/// Which value of its caller a text needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Facilities,
    Practitioner,
    Patient,
    Client,
}

pub(super) struct Criterion {
    pub(super) of: &'static str,
    pub(super) text: &'static str,
    pub(super) needs: Needs,
    pub(super) says: fn(&Asked<'_>, &Value) -> bool,
}

type Says = dyn Fn(&Caller, Facts) -> Option<bool>;

pub(super) struct When {
    pub(super) text: String,
    pub(super) says: Box<Says>,
}

impl By {
    const fn written(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::CareTeam => "care-team",
            Self::Facility => "facility",
            Self::Network => "network",
        }
    }

    /// The type whose resources open charts so.
    pub(super) const fn key(self) -> Option<&'static str> {
        match self {
            Self::Consent => Some("Consent"),
            Self::CareTeam => Some("CareTeam"),
            Self::Facility | Self::Network => None,
        }
    }
}

impl Grant {
    fn of_type(of: &str, named: &[(&'static str, &'static str)]) -> Hidden {
        let own = named.iter().filter(|(t, _)| *t == of);
        own.map(|(_, element)| *element).collect()
    }

    pub(super) fn hidden(&self, of: &str) -> Hidden {
        Self::of_type(of, &self.hide)
    }

    pub(super) fn kept(&self, of: &str) -> Hidden {
        Self::of_type(of, &self.keep)
    }

    fn actions_written(&self) -> Value {
        if !self.actions.contains(['e', 'l', 'x']) {
            return json!(self.actions);
        }
        let word = |letter: char| match letter {
            'c' => vec!["create"],
            'r' => vec!["read"],
            'u' => vec!["update"],
            'd' => vec!["delete"],
            's' => vec!["search", "history"],
            'x' => vec!["export"],
            'e' => vec!["$everything"],
            _ => vec!["$lastn"],
        };
        let words: Vec<&str> = self.actions.chars().flat_map(word).collect();
        json!(words)
    }

    fn written(&self) -> Value {
        let mut who = json!({});
        if !self.who.roles.is_empty() {
            who["roles"] = json!(self.who.roles);
        }
        if !self.who.groups.is_empty() {
            who["groups"] = json!(self.who.groups);
        }
        if self.who.anyone {
            who["anyone"] = json!(true);
        }
        let people = self.who.everybody.then(|| "*".to_owned());
        if let Some(id) = people.or_else(|| self.who.person.clone()) {
            who["people"] = json!([id]);
        }
        let clients = self.who.every_client.then(|| "*".to_owned());
        if let Some(id) = clients.or_else(|| self.who.client.clone()) {
            who["clients"] = json!([id]);
        }
        let mut grant = json!({ "name": self.name, "who": who, "actions": self.actions_written(),
            "types": self.types });
        let elements = |named: &[(&str, &str)]| -> Vec<String> {
            named
                .iter()
                .map(|(of, element)| format!("{of}.{element}"))
                .collect()
        };
        for (member, said) in [
            ("effect", self.denies.then(|| json!("deny"))),
            ("criteria", self.criteria.map(|c| json!(c.text))),
            ("within", self.within.map(|c| json!(c.text))),
            (
                "hide",
                (!self.hide.is_empty()).then(|| json!(elements(&self.hide))),
            ),
            (
                "readOnly",
                (!self.keep.is_empty()).then(|| json!(elements(&self.keep))),
            ),
            ("when", self.when.as_ref().map(|w| json!(w.text))),
            ("networks", self.network.then(|| json!(["10.0.0.0/8"]))),
            ("by", self.by.map(|by| json!(by.written()))),
            ("breakGlass", self.glass.then(|| json!({ "minutes": 60 }))),
            ("require", self.reason.then(|| json!({ "reason": true }))),
        ] {
            if let Some(said) = said {
                grant[member] = said;
            }
        }
        grant
    }
}

impl Said {
    pub(super) fn document(&self) -> Value {
        let grants: Vec<Value> = self.grants.iter().map(Grant::written).collect();
        let mut document = json!({ "grants": grants });
        if let Some(purposes) = &self.consents {
            document["consents"] = match purposes.is_empty() {
                true => json!("enforced"),
                false => json!({ "purposes": purposes }),
            };
        }
        if let Some(labels) = &self.labels {
            let mark = |at: usize| ["U", "L", "M", "N", "R", "V"][at];
            let marks = labels.marks.iter();
            let marks: BTreeMap<_, _> = marks.map(|(role, at)| (*role, mark(*at))).collect();
            let kinds = labels.sensitivity.iter();
            let kinds: BTreeMap<_, _> = kinds
                .map(|(kind, role)| (*kind, json!({ "roles": [role] })))
                .collect();
            document["labels"] = json!({ "confidentiality": marks, "sensitivity": kinds });
        }
        document
    }
}

/// The day of an instant, in the time of the house.
pub(super) fn day(micros: i64) -> String {
    let instant = instant(micros);
    instant[..10].to_owned()
}

/// An instant as FHIR writes it, to the second.
pub(super) fn instant(micros: i64) -> String {
    let secs = micros.div_euclid(1_000_000);
    let (days, of_day) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    // Days since the first of March of the year 0.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn code<'v>(of: &'v Value, path: &str) -> Option<&'v str> {
    of.pointer(&format!("/{path}"))?.as_str()
}

fn of_facility(asked: &Asked<'_>, of: &Value, path: &str) -> bool {
    reference(of, path).is_some_and(|at| asked.facilities.contains(&at))
}

fn locations(of: &Value) -> impl Iterator<Item = &str> {
    let all = of["location"].as_array().into_iter().flatten();
    all.filter_map(|one| reference(one, "location"))
}

fn of_practitioner(asked: &Asked<'_>, of: &Value, path: &str) -> bool {
    reference(of, path).is_some_and(|by| asked.practitioner() == Some(by))
}

fn of_client(asked: &Asked<'_>, of: &Value) -> bool {
    code(of, "identifier/0/value") == Some(&*asked.caller.client)
}

fn own(of: &Value, id: &str) -> bool {
    id == super::naive::name(of)
}

fn treated(asked: &Asked<'_>, of: &Value) -> bool {
    let own = super::naive::name(of);
    asked.all("Encounter").any(|e| {
        reference(e, "subject") == Some(&*own)
            && of_practitioner(asked, e, "participant/0/individual")
    })
}

fn patient<'a>(asked: &'a Asked<'_>, of: &Value) -> Option<&'a Value> {
    asked.target(of, "subject")
}

/// Criteria of policies.
pub(super) const CRITERIA: &[Criterion] = &[
    Criterion {
        of: "Patient",
        text: "gender=female",
        needs: Needs::Nothing,
        says: |_, r| code(r, "gender") == Some("female"),
    },
    Criterion {
        of: "Patient",
        text: "gender:not=male",
        needs: Needs::Nothing,
        says: |_, r| code(r, "gender") != Some("male"),
    },
    Criterion {
        of: "Patient",
        text: "birthdate:missing=true",
        needs: Needs::Nothing,
        says: |_, r| r["birthDate"].is_null(),
    },
    Criterion {
        of: "Patient",
        text: "organization=%user.facilities",
        needs: Needs::Facilities,
        says: |a, r| of_facility(a, r, "managingOrganization"),
    },
    Criterion {
        of: "Patient",
        text: "general-practitioner=%user.practitioner",
        needs: Needs::Practitioner,
        says: |a, r| of_practitioner(a, r, "generalPractitioner/0"),
    },
    Criterion {
        of: "Patient",
        text: "general-practitioner:Practitioner=%user.practitioner.id&gender=female",
        needs: Needs::Practitioner,
        says: |a, r| {
            of_practitioner(a, r, "generalPractitioner/0") && code(r, "gender") == Some("female")
        },
    },
    Criterion {
        of: "Patient",
        text: "_id=%patient.id",
        needs: Needs::Patient,
        says: |a, r| a.patient().is_some_and(|id| own(r, id)),
    },
    Criterion {
        of: "Patient",
        text: "_id=p0,p1,p2",
        needs: Needs::Nothing,
        says: |_, r| ["p0", "p1", "p2"].contains(&code(r, "id").unwrap()),
    },
    Criterion {
        of: "Patient",
        text: "identifier=urn:client|%client.id",
        needs: Needs::Client,
        says: of_client,
    },
    Criterion {
        of: "Patient",
        text: "organization.name=two",
        needs: Needs::Nothing,
        says: |a, r| {
            a.target(r, "managingOrganization")
                .is_some_and(|o| o["name"] == "Two")
        },
    },
    Criterion {
        of: "Patient",
        text: "_has:Observation:patient:code=x",
        needs: Needs::Nothing,
        says: |a, r| {
            let own = super::naive::name(r);
            a.all("Observation").any(|o| {
                reference(o, "subject") == Some(&*own) && code(o, "code/coding/0/code") == Some("x")
            })
        },
    },
    Criterion {
        of: "Patient",
        text: "_has:Encounter:patient:participant=%user.practitioner",
        needs: Needs::Practitioner,
        says: treated,
    },
    Criterion {
        of: "Observation",
        text: "code=urn:c|x,urn:c|y",
        needs: Needs::Nothing,
        says: |_, r| matches!(code(r, "code/coding/0/code"), Some("x" | "y")),
    },
    Criterion {
        of: "Observation",
        text: "code:not=x",
        needs: Needs::Nothing,
        says: |_, r| code(r, "code/coding/0/code") != Some("x"),
    },
    Criterion {
        of: "Observation",
        text: "status=final&patient:Patient.gender=female",
        needs: Needs::Nothing,
        says: |a, r| {
            code(r, "status") == Some("final")
                && patient(a, r).is_some_and(|p| code(p, "gender") == Some("female"))
        },
    },
    Criterion {
        of: "Observation",
        text: "performer=%user.practitioner",
        needs: Needs::Practitioner,
        says: |a, r| of_practitioner(a, r, "performer/0"),
    },
    Criterion {
        of: "Observation",
        text: "patient=%patient",
        needs: Needs::Patient,
        says: |a, r| reference(r, "subject").is_some() && reference(r, "subject") == a.patient(),
    },
    Criterion {
        of: "Observation",
        text: "patient.organization=%user.facilities",
        needs: Needs::Facilities,
        says: |a, r| patient(a, r).is_some_and(|p| of_facility(a, p, "managingOrganization")),
    },
    Criterion {
        of: "Observation",
        text: "patient.identifier=urn:client|%client.id",
        needs: Needs::Client,
        says: |a, r| patient(a, r).is_some_and(|p| of_client(a, p)),
    },
    Criterion {
        of: "Observation",
        text: "subject:missing=true",
        needs: Needs::Nothing,
        says: |_, r| reference(r, "subject").is_none(),
    },
    Criterion {
        of: "Encounter",
        text: "participant=%user.practitioner",
        needs: Needs::Practitioner,
        says: |a, r| of_practitioner(a, r, "participant/0/individual"),
    },
    Criterion {
        of: "Encounter",
        text: "service-provider=%user.facilities",
        needs: Needs::Facilities,
        says: |a, r| of_facility(a, r, "serviceProvider"),
    },
    Criterion {
        of: "Encounter",
        text: "location=%user.facilities",
        needs: Needs::Facilities,
        says: |a, r| locations(r).any(|at| a.facilities.contains(&at)),
    },
    Criterion {
        of: "Encounter",
        text: "location.organization=%user.facilities",
        needs: Needs::Facilities,
        says: |a, r| {
            let mut at = locations(r).filter_map(|at| a.known.get(at));
            at.any(|at| of_facility(a, at, "managingOrganization"))
        },
    },
    Criterion {
        of: "Location",
        text: "partof:missing=true",
        needs: Needs::Nothing,
        says: |_, r| reference(r, "partOf").is_none(),
    },
    Criterion {
        of: "Encounter",
        text: "status=finished",
        needs: Needs::Nothing,
        says: |_, r| code(r, "status") == Some("finished"),
    },
    Criterion {
        of: "Encounter",
        text: "subject=%patient",
        needs: Needs::Patient,
        says: |a, r| reference(r, "subject").is_some() && reference(r, "subject") == a.patient(),
    },
    Criterion {
        of: "Practitioner",
        text: "_id=%user.practitioner.id",
        needs: Needs::Practitioner,
        says: |a, r| a.practitioner().is_some_and(|id| own(r, id)),
    },
    Criterion {
        of: "Organization",
        text: "name=two,one",
        needs: Needs::Nothing,
        says: |_, r| r["name"] == "Two" || r["name"] == "One",
    },
    Criterion {
        of: "*",
        text: "_security=HIV",
        needs: Needs::Nothing,
        says: |_, r| {
            let all = r.pointer("/meta/security").and_then(Value::as_array);
            all.is_some_and(|all| all.iter().any(|l| l["code"] == "HIV"))
        },
    },
];

/// Whose charts.
pub(super) const CHARTS: &[Criterion] = &[
    Criterion {
        of: "Patient",
        text: "Patient?organization=%user.facilities",
        needs: Needs::Facilities,
        says: |a, r| of_facility(a, r, "managingOrganization"),
    },
    Criterion {
        of: "Patient",
        text: "Patient?general-practitioner=%user.practitioner",
        needs: Needs::Practitioner,
        says: |a, r| of_practitioner(a, r, "generalPractitioner/0"),
    },
    Criterion {
        of: "Patient",
        text: "Patient?_id=%patient.id",
        needs: Needs::Patient,
        says: |a, r| a.patient().is_some_and(|id| own(r, id)),
    },
    Criterion {
        of: "Patient",
        text: "Patient?gender=female",
        needs: Needs::Nothing,
        says: |_, r| code(r, "gender") == Some("female"),
    },
    Criterion {
        of: "Patient",
        text: "Patient?identifier=urn:client|%client.id",
        needs: Needs::Client,
        says: of_client,
    },
    Criterion {
        of: "Patient",
        text: "Patient?_has:Encounter:patient:participant=%user.practitioner",
        needs: Needs::Practitioner,
        says: treated,
    },
    Criterion {
        of: "Patient",
        text: "Patient?gender:not=male&organization:missing=false",
        needs: Needs::Nothing,
        says: |_, r| {
            code(r, "gender") != Some("male") && reference(r, "managingOrganization").is_some()
        },
    },
];

/// Elements that are hidden or kept from change: type and element, and the search parameters that look at it.
pub(super) const ELEMENTS: &[(&str, &str, &[&str])] = &[
    ("Patient", "telecom", &["phone", "telecom"]),
    ("Patient", "birthDate", &["birthdate"]),
    ("Patient", "gender", &["gender"]),
    ("Patient", "name", &["name", "family", "phonetic"]),
    ("Patient", "identifier", &["identifier"]),
    ("Patient", "managingOrganization", &["organization"]),
    ("Patient", "generalPractitioner", &["general-practitioner"]),
    (
        "Observation",
        "value[x]",
        &["value-string", "combo-value-concept"],
    ),
    ("Observation", "note", &[]),
    ("Observation", "performer", &["performer"]),
    ("Observation", "subject", &["subject", "patient"]),
    ("Observation", "effective[x]", &["date"]),
    ("Encounter", "participant", &["participant", "practitioner"]),
    ("Encounter", "serviceProvider", &["service-provider"]),
    ("Encounter", "identifier", &["identifier"]),
    ("Practitioner", "name", &["name", "family"]),
];

/// The members of a resource that an element is.
pub(super) fn members(element: &str) -> BTreeSet<&str> {
    match element {
        "value[x]" => ["valueString"].into(),
        "effective[x]" => ["effectiveDateTime"].into(),
        plain => [plain].into(),
    }
}

/// Conditions on the request; `at` is about now, in microseconds.
pub(super) fn whens(at: i64) -> Vec<When> {
    type Says = fn(&Caller, Facts) -> Option<bool>;
    let plain: &[(&str, Says)] = &[
        ("%address = '10.0.0.7'", |_, f| {
            Some(f.from.to_string() == "10.0.0.7")
        }),
        ("%address.startsWith('10.').not()", |_, f| {
            Some(!f.from.to_string().starts_with("10."))
        }),
        ("%reason.exists()", |_, f| Some(f.reason.is_some())),
        ("%reason = 'audit'", |_, f| f.reason.map(|r| r == "audit")),
        ("%reason.lower().contains('care')", |_, f| {
            f.reason.map(|r| r.contains("care"))
        }),
        ("%roles.where($this = 'nurse').exists()", |c, _| {
            Some(c.roles.iter().any(|(r, _)| *r == "nurse"))
        }),
        ("'clinician' in %roles", |c, _| {
            Some(c.roles.iter().any(|(r, _)| *r == "clinician"))
        }),
        ("%person.exists()", |c, _| Some(c.person.is_some())),
        ("%person.empty() and %client.exists()", |c, _| {
            Some(c.person.is_none())
        }),
        ("%steppedUp", |c, _| Some(c.strong)),
        ("%steppedUp.not() or %reason.exists()", |c, f| {
            Some(!c.strong || f.reason.is_some())
        }),
        ("%groups.exists()", |c, _| Some(!c.groups.is_empty())),
        ("'lab' in %groups", |c, _| Some(c.groups.contains(&"lab"))),
        ("%roles", |_, _| None),
        (
            "%address.substring(0, 3) = '10.' implies %reason.exists()",
            |_, f| Some(!f.from.to_string().starts_with("10.") || f.reason.is_some()),
        ),
        ("timeOfDay() < @T12:00:00", |_, f| {
            Some(&instant(f.now)[11..] < "12")
        }),
    ];
    let mut all: Vec<When> = plain
        .iter()
        .map(|(text, says)| When {
            text: (*text).to_owned(),
            says: Box::new(says),
        })
        .collect();
    let hour = 3_600_000_000;
    for bound in [at - hour, at + hour] {
        let text = format!("now() < @{}", instant(bound));
        all.push(When {
            text,
            says: Box::new(move |_, f| Some(f.now < bound)),
        });
    }
    all
}
