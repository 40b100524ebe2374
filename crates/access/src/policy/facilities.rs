//! What is a facility's: charts of patients whom it manages, and who were or are seen there; and who and what works
//! there.

use std::sync::Arc;

use base::ResourceId;
use fhir::definitions::{Model, ParamId, ParamKind, TypeId};
use fhir::search::query::{Clause, Match, ParamClause, Test, TokenMatch};
use fhir::search::rows::EXPECTED_AT;

use super::compile::{Silent, Surroundings, any, named, understood};
use super::variables::Values;

/// Encounters that took place or are taking place, in the words of each version of FHIR. One that is planned,
/// was called off or is there in error is none.
const SEEN: &str = "status=arrived,triaged,in-progress,onleave,finished,on-hold,discharged,completed,discontinued&location=";

/// Types of diaries.
const DIARIES: [&str; 2] = ["Schedule", "Slot"];

/// Facilities: Organizations and Locations.
#[derive(Debug)]
pub(super) struct Places {
    organizations: Place,
    locations: Place,
}

/// Resources of a type, and they as values of searches.
#[derive(Debug)]
struct Place {
    ids: Vec<ResourceId>,
    named: Arc<[Match]>,
}

impl Place {
    fn of(model: &'static Model, kind: &str, references: &[&str]) -> Self {
        let own = references
            .iter()
            .filter_map(|r| r.strip_prefix(kind)?.strip_prefix('/'));
        let ids: Vec<ResourceId> = own.filter_map(|id| ResourceId::new(id).ok()).collect();
        let named = model.type_id(kind).map(|head| named(head, &ids));
        Self {
            ids,
            named: named.unwrap_or_default(),
        }
    }

    /// Resources of a type that name one of these by a parameter.
    fn named_by(&self, model: &'static Model, of: &str, param: &str) -> Option<Clause> {
        let param = model.param(model.type_id(of)?, param)?;
        (!self.ids.is_empty()).then(|| {
            Clause::Param(ParamClause {
                param: vec![param.id],
                kind: ParamKind::Reference,
                test: Test::Any(self.named.clone()),
            })
        })
    }

    /// These themselves.
    fn themselves(&self) -> Option<Clause> {
        (!self.ids.is_empty()).then(|| Clause::Id(self.ids.as_slice().into()))
    }
}

impl Places {
    pub(super) fn of(model: &'static Model, references: &[&str]) -> Self {
        Self {
            organizations: Place::of(model, "Organization", references),
            locations: Place::of(model, "Location", references),
        }
    }

    /// Patients whom the Organizations manage.
    pub(super) fn managed(&self, model: &'static Model) -> Option<Clause> {
        self.organizations
            .named_by(model, "Patient", "organization")
    }

    /// What of a type belongs to them beside charts: themselves, and who and what works there.
    pub(super) fn own(&self, model: &'static Model, type_id: TypeId) -> Option<Clause> {
        let Self {
            organizations,
            locations,
        } = self;
        let of = model.type_name(type_id);
        let ways = match of {
            "Organization" => return organizations.themselves(),
            "Location" => [
                locations.themselves(),
                organizations.named_by(model, of, "organization"),
            ],
            "PractitionerRole" | "HealthcareService" => [
                organizations.named_by(model, of, "organization"),
                locations.named_by(model, of, "location"),
            ],
            "Schedule" => [
                locations.named_by(model, of, "actor"),
                self.by_actors(model, type_id),
            ],
            "Slot" => {
                let schedule = model.type_id("Schedule")?;
                let own = Arc::new(self.own(model, schedule)?);
                return Some(Clause::Chain {
                    param: vec![model.param(type_id, "schedule")?.id],
                    targets: vec![(schedule, own)],
                });
            }
            _ => return None,
        };
        let ways: Vec<Clause> = ways.into_iter().flatten().collect();
        (!ways.is_empty()).then(|| any(ways))
    }

    /// Schedules of whoever and whatever works there: of a Practitioner who has a role there, where no actor is a
    /// place, a role or a service of another.
    fn by_actors(&self, model: &'static Model, schedule: TypeId) -> Option<Clause> {
        let param = vec![model.param(schedule, "actor")?.id];
        let chain = |targets: Vec<(TypeId, Arc<Clause>)>| Clause::Chain {
            param: param.clone(),
            targets,
        };
        let works = ["PractitionerRole", "HealthcareService"].map(|of| {
            let of = model.type_id(of)?;
            Some((of, self.own(model, of)?))
        });
        let location = model.type_id("Location")?;
        let mut theirs: Vec<(TypeId, Clause)> = works.iter().flatten().cloned().collect();
        let managed = self
            .organizations
            .named_by(model, "Location", "organization");
        theirs.extend(managed.map(|managed| (location, managed)));
        let shared = |all: &[(TypeId, Clause)]| -> Vec<(TypeId, Arc<Clause>)> {
            all.iter()
                .map(|(of, own)| (*of, Arc::new(own.clone())))
                .collect()
        };
        let mut ways = Vec::new();
        if !theirs.is_empty() {
            ways.push(chain(shared(&theirs)));
        }
        if let ([Some((role, own)), _], Some(practitioner)) =
            (&works, model.type_id("Practitioner"))
        {
            let has = Clause::Has {
                source: *role,
                param: model.param(*role, "practitioner")?.id,
                inner: Arc::new(Clause::And(vec![own.clone(), is_active(model, *role)?])),
            };
            let mut elsewhere: Vec<(TypeId, Clause)> = works.iter().flatten().cloned().collect();
            elsewhere.push((location, self.own(model, location).unwrap_or(Clause::Never)));
            for (_, own) in &mut elsewhere {
                *own = Clause::Not(Box::new(own.clone()));
            }
            ways.push(Clause::And(vec![
                chain(vec![(practitioner, Arc::new(has))]),
                Clause::Not(Box::new(chain(shared(&elsewhere)))),
            ]));
        }
        (!ways.is_empty()).then(|| any(ways))
    }

    /// Diaries of theirs, of a type; none where it is none of diaries.
    pub(super) fn diaries(&self, model: &'static Model, type_id: TypeId) -> Option<Clause> {
        let is_one = DIARIES.contains(&model.type_name(type_id));
        is_one.then(|| self.own(model, type_id))?
    }
}

/// Patients who were or are seen at Locations; none where there are none of these. At one for which they are only
/// planned, or that is only reserved for them, they are not.
pub(super) fn seen_at(locations: &[&str], surroundings: &Surroundings<'_>) -> Option<Clause> {
    if locations.is_empty() {
        return None;
    }
    let model = surroundings.model;
    let encounter = model.type_id("Encounter")?;
    let whose = model.param(encounter, "patient")?;
    let text = format!("{SEEN}{}", locations.join(","));
    let values = Values::default();
    let seen = understood(encounter, &text, &values, surroundings, "facilities").ok()?;
    let location = model.type_id("Location")?;
    let at = model.param(encounter, "location")?.id;
    let ids = ids_of(locations);
    let at_one = |id: &ResourceId| {
        let refers = |param: ParamId| {
            Clause::Param(ParamClause {
                param: vec![param],
                kind: ParamKind::Reference,
                test: Test::Any(named(location, std::slice::from_ref(id))),
            })
        };
        let expected = Clause::Not(Box::new(refers(EXPECTED_AT)));
        Clause::And(vec![refers(at), expected])
    };
    let inner = Clause::And(vec![seen, Clause::Or(ids.iter().map(at_one).collect())]);
    Some(Clause::Has {
        source: encounter,
        param: whose.id,
        inner: Arc::new(inner),
    })
}

/// The ids of references.
fn ids_of(references: &[&str]) -> Vec<ResourceId> {
    let ids = references.iter().filter_map(|r| r.split_once('/'));
    ids.filter_map(|(_, id)| ResourceId::new(id).ok()).collect()
}

/// Patients whom the Organizations manage to which Locations belong.
fn managed_for(locations: &[&str], surroundings: &Surroundings<'_>) -> Option<Clause> {
    let model = surroundings.model;
    let types = ["Patient", "Organization", "Location"].map(|name| model.type_id(name));
    let [Some(patient), Some(organization), Some(location)] = types else {
        return None;
    };
    let of_location = Clause::Has {
        source: location,
        param: model.param(location, "organization")?.id,
        inner: Arc::new(Clause::Id(ids_of(locations).into())),
    };
    Some(Clause::Chain {
        param: vec![model.param(patient, "organization")?.id],
        targets: vec![(organization, Arc::new(of_location))],
    })
}

/// Patients whose charts are those of somebody's facilities: whom their Organizations manage; whom those
/// manage to which their Locations belong, and who were or are seen there.
pub(super) fn patients_of(
    values: &Values,
    surroundings: &Surroundings<'_>,
) -> Result<(TypeId, Arc<Clause>), Silent> {
    let Some(patient) = surroundings.model.type_id("Patient") else {
        return Err(Silent::Nothing);
    };
    let (organizations, locations): (Vec<&str>, Vec<&str>) = values
        .facilities()
        .partition(|facility| facility.starts_with("Organization/"));
    let mut ways = Vec::new();
    if !organizations.is_empty() {
        let text = format!("organization={}", organizations.join(","));
        let (none, member) = (Values::default(), "by");
        ways.push(understood(patient, &text, &none, surroundings, member)?);
    }
    if !locations.is_empty() {
        ways.extend(managed_for(&locations, surroundings));
        ways.extend(seen_at(&locations, surroundings));
    }
    match (ways.len(), ways.pop()) {
        (1, Some(one)) => Ok((patient, Arc::new(one))),
        (_, Some(last)) => {
            ways.push(last);
            Ok((patient, Arc::new(Clause::Or(ways))))
        }
        (_, None) => Err(Silent::Nothing),
    }
}

/// Not said to be over.
fn is_active(model: &'static Model, of: TypeId) -> Option<Clause> {
    let param = model.param(of, "active")?;
    let over = Match::Token(TokenMatch {
        system: None,
        code: Some("false".to_owned()),
    });
    Some(Clause::Param(ParamClause {
        param: vec![param.id],
        kind: ParamKind::Token,
        test: Test::None([over].into()),
    }))
}
