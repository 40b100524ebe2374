//! Parameters that are no values of an element: `_text`, `_content`, `_list`, `_in`, `_filter`
//! (`search.html#special`).

use std::sync::Arc;

use base::{Code, ResourceId};

use super::super::query::Clause;
use super::super::rows::{MEMBER, content, narrative};
use super::super::value::reference::Target;
use super::super::words::Words;
use super::text::unescape;
use super::{Context, Reading, shown};
use crate::definitions::{ParamId, TypeId};
use crate::outcome::Issue;

fn bad_value(name: &str, what: &str) -> Issue {
    Issue::error(Code::SearchValue, format!("{name}: {what}"))
}

/// A list whose members are computed.
struct Current {
    name: &'static str,
    /// Codes of the List resources that hold it.
    codes: &'static str,
    /// What members must be besides.
    only: Option<(&'static str, &'static str)>,
    /// The types of members, and what makes one current by itself.
    types: &'static [(&'static str, &'static [(&'static str, &'static str)])],
}

const ALLERGIES: &str = "http://loinc.org|18716-1,http://loinc.org|52472-8,http://loinc.org|48765-2,\
     http://terminology.hl7.org/CodeSystem/list-example-use-codes|allergies";
const NOT_WRONG: (&str, &str) = ("verification-status:not", "refuted,entered-in-error");
const ALLERGY: (&str, &[(&str, &str)]) = (
    "AllergyIntolerance",
    &[("clinical-status", "active"), NOT_WRONG],
);

/// The functional lists that the specification names (`lifecycle.html#lists`).
const CURRENT: &[Current] = &[
    Current {
        name: "$current-problems",
        codes: "http://loinc.org|46105-3,http://loinc.org|11450-4,\
            http://terminology.hl7.org/CodeSystem/list-example-use-codes|problems",
        only: None,
        types: &[(
            "Condition",
            &[
                ("clinical-status", "active,recurrence,relapse"),
                NOT_WRONG,
                ("category:not", "encounter-diagnosis"),
            ],
        )],
    },
    Current {
        name: "$current-medications",
        codes: "http://loinc.org|57828-6,http://loinc.org|10160-0,\
            http://terminology.hl7.org/CodeSystem/list-example-use-codes|medications",
        only: None,
        types: &[
            (
                "MedicationRequest",
                &[("status", "active"), ("intent:not", "proposal,plan,option")],
            ),
            ("MedicationStatement", &[("status", "active")]),
        ],
    },
    Current {
        name: "$current-allergies",
        codes: ALLERGIES,
        only: None,
        types: &[ALLERGY],
    },
    Current {
        name: "$current-drug-allergies",
        codes: ALLERGIES,
        only: Some(("category", "medication")),
        types: &[ALLERGY],
    },
];

/// What `_text` and `_content` ask.
fn words(name: &str, value: &str) -> Result<Words, Issue> {
    Words::parse(&unescape(value)).map_err(|what| bad_value(name, &what))
}

impl Context<'_> {
    /// Notes the words of `_text` and `_content`, which count for the score.
    pub(super) fn relevant(
        &self,
        name: &str,
        value: &str,
        reading: &mut Reading,
    ) -> Result<(), Issue> {
        let params: Vec<ParamId> = match name {
            "_text" => self.types.iter().map(|t| narrative(*t)).collect(),
            "_content" => {
                let both = self.types.iter().flat_map(|t| [narrative(*t), content(*t)]);
                both.collect()
            }
            _ => return Ok(()),
        };
        let relevance = words(name, value)?.relevance(&params);
        reading.parsed.query.relevance.extend(relevance);
        Ok(())
    }

    /// The condition of a parameter of this kind; `None` for any other.
    pub(super) fn special(
        &self,
        types: &[TypeId],
        code: &str,
        modifier: Option<&str>,
        value: &str,
        depth: u64,
    ) -> Result<Option<Clause>, Issue> {
        let r5 = super::super::served::is_r5(self.model.version());
        match code {
            "_text" | "_content" | "_list" | "_filter" => {}
            "_in" if r5 => {}
            _ => return Ok(None),
        }
        if let Some(modifier) = modifier {
            let text = format!("{code} takes no modifier {}", shown(modifier));
            return Err(Issue::error(Code::SearchModifier, text));
        }
        match code {
            "_text" => Ok(Some(words(code, value)?.in_narratives(types))),
            "_content" => Ok(Some(words(code, value)?.in_resources(types))),
            "_list" if value.starts_with('$') => self.current(types, value).map(Some),
            "_list" => self.list(value).map(Some),
            "_in" => self.members(value).map(Some),
            _ => self.filter(types, value, depth).map(Some),
        }
    }

    /// `_list=42`: members of the List resource (`search.html#list`).
    fn list(&self, value: &str) -> Result<Clause, Issue> {
        let known = self.model.type_id("List");
        let item = known.and_then(|t| Some((t, self.known(t, "item")?)));
        let Some((source, item)) = item else {
            return Err(bad_value("_list", "this version of FHIR has no List"));
        };
        let mut ids = Vec::new();
        for text in self.values(value)? {
            let id = text.strip_prefix("List/").unwrap_or(text);
            let id = ResourceId::new(id)
                .map_err(|_| bad_value("_list", "the value is the id of a List resource"))?;
            ids.push(id);
        }
        Ok(Clause::Has {
            source,
            param: item.id,
            inner: Arc::new(Clause::Id(ids.into())),
        })
    }

    /// `_list=$current-problems` and the like (`lifecycle.html#lists`): what the patient's current
    /// lists of that kind name; of a patient who has none, what is current by its status.
    fn current(&self, types: &[TypeId], value: &str) -> Result<Clause, Issue> {
        let named = CURRENT.iter().find(|list| list.name == value);
        let named = named.ok_or_else(|| {
            let names: Vec<&str> = CURRENT.iter().map(|list| list.name).collect();
            bad_value(
                "_list",
                &format!("the lists that are computed are {}", names.join(", ")),
            )
        })?;
        let mut each = Vec::with_capacity(types.len());
        for type_id in types {
            let name = self.model.type_name(*type_id);
            let of_type = named.types.iter().find(|of| of.0 == name);
            each.push(match of_type {
                Some((_, conditions)) => self.current_of(*type_id, named, conditions)?,
                None => Clause::Never,
            });
        }
        match each.len() {
            1 => Ok(each.pop().unwrap_or(Clause::Never)),
            _ => Ok(Clause::ByType(each)),
        }
    }

    fn current_of(
        &self,
        type_id: TypeId,
        list: &Current,
        conditions: &[(&str, &str)],
    ) -> Result<Clause, Issue> {
        let known = |type_id: TypeId, code: &str| self.known(type_id, code).map(|p| p.id);
        let listed = || {
            let lists = self.model.type_id("List")?;
            let patient = self.model.type_id("Patient")?;
            let params = (known(lists, "item")?, known(lists, "subject")?);
            Some((lists, patient, params, known(type_id, "patient")?))
        };
        let missing = || bad_value("_list", "this version of FHIR has no such list");
        let (lists, patient, (item, subject), of) = listed().ok_or_else(missing)?;
        let by = |on: TypeId, all: &[(&str, &str)]| {
            // What a version does not have says nothing.
            let there = all.iter().filter(|(name, _)| {
                let code = name.split(':').next().unwrap_or(name);
                self.known(on, code).is_some()
            });
            let each = there.map(|(name, value)| self.clause(&[on], name, value, 0));
            each.collect::<Result<Vec<_>, _>>().map(Clause::And)
        };
        let current = by(lists, &[("status", "current"), ("code", list.codes)])?;
        let has = |param| Clause::Has {
            source: lists,
            param,
            inner: Arc::new(current.clone()),
        };
        let curated = Clause::Chain {
            param: vec![of],
            targets: vec![(patient, Arc::new(has(subject)))],
        };
        let status = if super::super::served::is_r5(self.model.version()) {
            ("status", "active,recorded")
        } else {
            ("status", "active")
        };
        let conditions: Vec<(&str, &str)> = conditions
            .iter()
            .map(|pair| if pair.0 == "status" { status } else { *pair })
            .collect();
        let open = Clause::And(vec![
            Clause::Not(Box::new(curated)),
            by(type_id, &conditions)?,
        ]);
        let found = Clause::Or(vec![has(item), open]);
        Ok(match list.only {
            None => found,
            Some((name, value)) => {
                Clause::And(vec![found, self.clause(&[type_id], name, value, 0)?])
            }
        })
    }

    /// `_in=Group/7`: members of a Group, CareTeam or List (R5, `search.html#_in`).
    fn members(&self, value: &str) -> Result<Clause, Issue> {
        const FORM: &str = "the value is Group/id, CareTeam/id or List/id";
        let mut each = Vec::new();
        for text in self.values(value)? {
            self.count_clause()?;
            let read = Target::read(text, self.model, self.options.own_bases);
            let Target::Local { type_id, id, .. } = read else {
                return Err(bad_value("_in", FORM));
            };
            let members = match self.model.type_name(type_id) {
                "Group" | "List" => Some(MEMBER),
                "CareTeam" => self.known(type_id, "participant").map(|p| p.id),
                _ => None,
            };
            each.push(Clause::Has {
                source: type_id,
                param: members.ok_or_else(|| bad_value("_in", FORM))?,
                inner: Arc::new(Clause::Id([id].into())),
            });
        }
        Ok(Clause::Or(each))
    }
}
