//! What one grant leads to.

use std::sync::Arc;

use fhir::definitions::TypeId;
use fhir::resource::mask::Mask;
use fhir::search::query::Clause;

use super::{
    Silent, Surroundings, any, both, in_compartment, in_own_compartment, is_binary, lacks_context,
    others, strays, understood, within_of,
};
use crate::policy::document::{By, Effect, GrantText};
use crate::policy::facilities::{Places, patients_of};
use crate::policy::presets::is_elsewhere;
use crate::policy::rights::Way;
use crate::policy::variables::Values;

/// What a grant says about types, for one caller. What is the same for all types is made once.
pub(in crate::policy) struct Ways<'a> {
    grant: &'a GrantText,
    /// It is for every type: some may lack what it names.
    all: bool,
    values: &'a Values,
    surroundings: &'a Surroundings<'a>,
    within: Vec<Result<Within, Silent>>,
}

/// In whose compartments something is.
struct Within {
    head: TypeId,
    /// Which resources head them.
    inner: Arc<Clause>,
    /// Those that do not.
    others: Arc<Clause>,
    /// The facilities whose charts are meant: where the grant names diaries, theirs count as well.
    places: Option<Places>,
}

impl<'a> Ways<'a> {
    pub(in crate::policy) fn of(
        grant: &'a GrantText,
        all: bool,
        values: &'a Values,
        surroundings: &'a Surroundings<'a>,
    ) -> Self {
        let within = |found: Result<(TypeId, Arc<Clause>), Silent>, places| {
            let (head, inner) = found?;
            let others = others(&inner);
            Ok(Within {
                head,
                inner,
                others,
                places,
            })
        };
        let text = grant.within.as_ref();
        let mut charts: Vec<Result<Within, Silent>> = text
            .map(|text| within(within_of(text, values, surroundings), None))
            .into_iter()
            .collect();
        if grant.by == Some(By::Facility) {
            let all: Vec<&str> = values.facilities().collect();
            let places = Places::of(surroundings.model, &all);
            charts.push(within(patients_of(values, surroundings), Some(places)));
        }
        Self {
            grant,
            all,
            values,
            surroundings,
            within: charts,
        }
    }

    /// Conditions and values that all types share.
    pub(in crate::policy) fn shared(&self) -> usize {
        let all = self.within.iter().flatten();
        all.map(|within| within.inner.size() + within.others.size())
            .sum()
    }

    /// About one type, and how many conditions, values and elements that comes to; without what the grant
    /// leaves to others to open ([`BuiltIn::opened`]).
    pub(in crate::policy) fn on(&self, type_id: TypeId) -> Result<(Way, usize), Silent> {
        let grant = self.grant;
        let model = self.surroundings.model;
        let mut clauses = Vec::new();
        let mut size = 1 + grant.hide.len() + grant.read_only.len();
        if let Some(text) = &grant.criteria {
            let found = understood(type_id, text, self.values, self.surroundings, "criteria")?;
            size += found.size();
            clauses.push(found);
        }
        for within in &self.within {
            let within = within.as_ref().map_err(Clone::clone)?;
            let Within {
                head,
                inner,
                places,
                ..
            } = within;
            let inside = match in_compartment(model, *head, type_id, inner) {
                // What its context refers to decides, which is said last.
                None if grant.effect == Effect::Allow && is_binary(model, type_id) => {
                    Some(lacks_context(false))
                }
                inside => inside,
            };
            // Like the trail they are not given by a grant of every type.
            let places = places.as_ref().filter(|_| !self.all);
            let diaries = places.and_then(|places| places.diaries(model, type_id));
            size += diaries.as_ref().map_or(0, Clause::size);
            let inside = match (inside, diaries) {
                (Some(inside), Some(diaries)) => Some(any(vec![inside, diaries])),
                (inside, diaries) => inside.or(diaries),
            };
            let never = "the type is never in such a compartment";
            let inside = inside.ok_or_else(|| Silent::Wrong("within", never.to_owned()))?;
            size += model
                .compartment(*head)
                .map_or(1, |c| 1 + c.params(type_id).len());
            clauses.push(inside);
        }
        let patient = model.type_id("Patient");
        let charts = |head| in_own_compartment(model, head, type_id, &[]).is_some();
        if grant.by.is_some_and(|by| by.key().is_some())
            && !is_binary(model, type_id)
            && !patient.is_some_and(charts)
        {
            let never = "the type is never in a chart";
            return Err(Silent::Wrong("by", never.to_owned()));
        }
        // Somebody at no facility is shown nothing by a rule of charts.
        if matches!(grant.by, Some(by) if by != By::Facility) && !self.is_somewhere() {
            return Err(Silent::Nothing);
        }
        let way = Way {
            grant: grant.name.as_str().into(),
            clause: match clauses.len() {
                0 => None,
                1 => clauses.pop(),
                _ => Some(Clause::And(clauses)),
            },
            mask: self.mask(type_id, "hide", &grant.hide)?,
            read_only: self.mask(type_id, "readOnly", &grant.read_only)?,
            opened: false,
        };
        Ok((way, size))
    }

    /// Whether one of the caller's facilities is there.
    fn is_somewhere(&self) -> bool {
        let consents = self.surroundings.consents;
        self.values.facilities().any(|at| consents.has_place(at))
    }

    /// The same way for writing: who writes into a chart reaches the one whose it is.
    pub(in crate::policy) fn to_write(&self, type_id: TypeId, way: &Way) -> Way {
        let mut way = way.clone();
        for within in self.within.iter().flatten() {
            let model = self.surroundings.model;
            let stray = strays(model, within.head, type_id, &within.others);
            way.clause = both(way.clause, stray);
        }
        way
    }

    fn mask(
        &self,
        type_id: TypeId,
        member: &'static str,
        paths: &[String],
    ) -> Result<Option<Arc<Mask>>, Silent> {
        if paths.is_empty() {
            return Ok(None);
        }
        let model = self.surroundings.model;
        let name = model.type_name(type_id);
        // `Patient.telecom` is about patients only.
        let has = |p: &&str| Mask::new(model, type_id, [*p]).is_ok();
        let own = paths.iter().map(String::as_str).filter(|path| {
            path.split_once('.')
                .is_none_or(|(of, _)| of == name || model.type_id(of).is_none())
        });
        // What this version does not have there is nothing to hide.
        let own = own.filter(|path| !is_elsewhere(path, paths) || has(path));
        let found = Mask::new(model, type_id, own.clone());
        let mask = match found {
            Ok(mask) => mask,
            // Of every type, those that have it.
            Err(_) if self.all => Mask::new(model, type_id, own.filter(has))
                .map_err(|e| Silent::Wrong(member, e.to_string()))?,
            Err(e) => return Err(Silent::Wrong(member, e.to_string())),
        };
        Ok((!mask.is_empty()).then(|| Arc::new(mask)))
    }
}
