//! Value sets and code systems that searches name (`:in`, `:not-in`, `:above`, `:below`): looked up
//! among the tenant's resources, in the state that the search shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use access::{ActionName, Target};
use base::Code;
use fhir::definitions::{Model, ParamId, ParamKind, TypeId};
use fhir::outcome::Outcome;
use fhir::search::Query;
use fhir::search::query::{Clause, Match, ParamClause, Shape, Test, TokenMatch, Total};
use fhir::search::terms::{Need, Terms, Unresolved, case, is_caseless};
use store::{Case, PageRequest};

use crate::failure::Failure;
use crate::session::Session;

/// Value sets and code systems that one search may look into.
pub(super) const LOOKED_UP_MAX: usize = 64;

impl Session {
    /// Puts codes in the place of the value sets that a query names, and compares codes as their code
    /// systems say. `page` is set to the state in
    /// which they were found.
    ///
    /// # Errors
    /// `terms-missing` by name; `scope-missing` for who may not search ValueSet and CodeSystem.
    pub(super) async fn with_terms(
        &self,
        query: &mut Query,
        page: &mut PageRequest,
    ) -> Result<(), Failure> {
        if Terms::are_in(query) {
            self.with_codes(query, page).await?;
        }
        self.without_case(query, page).await
    }

    /// Compares codes without case where the tenant holds a CodeSystem that says so. For who may not
    /// search CodeSystem all codes are as they are written.
    async fn without_case(&self, query: &mut Query, page: &mut PageRequest) -> Result<(), Failure> {
        if !self.store.may_hold_code_systems().await? {
            return Ok(());
        }
        let systems = case::systems(query);
        let may = |of| {
            self.decide::<access::Search>(Target::Types(vec![of]))
                .is_ok()
        };
        let Some(type_id) = self.model().type_id("CodeSystem") else {
            return Ok(());
        };
        if systems.is_empty() || !may(type_id) {
            return Ok(());
        }
        // What is remembered is of all code systems: who is shown some looks for themselves.
        let is_whole = self.rights().rule(ActionName::Search, type_id).is_none();
        let mut caseless = BTreeSet::new();
        for system in systems.into_iter().take(LOOKED_UP_MAX) {
            let known = match is_whole {
                true => Some(self.store.case_of(&system).await?),
                false => None,
            };
            let is = match known {
                Some(Case::Known(is)) => is,
                other => {
                    let found = self.held(&Need::CodeSystem(system.clone()), page).await?;
                    let size = found.as_ref().map_or(0, Vec::len);
                    let look = move || Ok(found.is_some_and(|found| is_caseless(&found)));
                    let is = self.compute(size, look).await?;
                    if let Some(Case::Unknown(seen)) = other {
                        self.store.know_case(&system, seen, is).await?;
                    }
                    is
                }
            };
            if is {
                caseless.insert(system);
            }
        }
        if !caseless.is_empty() {
            case::ignore(query, &caseless);
        }
        Ok(())
    }

    async fn with_codes(&self, query: &mut Query, page: &mut PageRequest) -> Result<(), Failure> {
        let mut terms = Terms::new(self.model(), self.limits().value_set_codes_max);
        for _ in 0..LOOKED_UP_MAX {
            let mut resolved = query.clone();
            let size = terms.bytes();
            let work = move || {
                let done = terms.resolve(&mut resolved);
                Ok((done, terms, resolved))
            };
            let (done, known, resolved) = self.compute(size, work).await?;
            terms = known;
            let need = match done {
                Ok(()) => {
                    *query = resolved;
                    return Ok(());
                }
                Err(Unresolved::Refused(issue)) => return Err(Outcome::from(issue).into()),
                Err(Unresolved::Needs(need)) => need,
            };
            let found = self.held(&need, page).await?;
            terms.bring(need, found);
        }
        let text = "the search looks into too many value sets and code systems";
        Err(Failure::new(Code::LimitQuery, text))
    }

    /// The resource that is needed, if the tenant holds it.
    pub(super) async fn held(
        &self,
        need: &Need,
        page: &mut PageRequest,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let Some(query) = wanted(self.model(), need) else {
            return Ok(None);
        };
        let permit = self.permit_search(&query, Target::Criteria).await?;
        let request = PageRequest {
            after: None,
            as_of: page.as_of,
            deadline: page.deadline,
            asked: None,
        };
        let found = self.store.search(permit, Arc::new(query), request).await?;
        page.as_of = Some(found.as_of);
        let first = found.entries.into_iter().next();
        Ok(first.map(|e| e.resource.get().body.to_vec()))
    }
}

/// The search for a resource that is needed: the newest one of that name.
fn wanted(model: &Model, need: &Need) -> Option<Query> {
    let (type_name, name) = match need {
        Need::ValueSet(name) => ("ValueSet", name),
        Need::CodeSystem(name) => ("CodeSystem", name),
        Need::ConceptMap(name) => ("ConceptMap", name),
    };
    let type_id = model.type_id(type_name)?;
    let id = name
        .strip_prefix(type_name)
        .and_then(|r| r.strip_prefix('/'));
    let filter = match id.and_then(|id| base::ResourceId::new(id).ok()) {
        Some(id) => vec![Clause::Id([id].into())],
        None => {
            let (url, version) = name.rsplit_once('|').unwrap_or((name, ""));
            let mut filter = vec![is(model, type_id, "url", Match::Uri(url.to_owned()))?];
            if !version.is_empty() {
                let version = TokenMatch {
                    system: None,
                    code: Some(version.to_owned()),
                };
                filter.push(is(model, type_id, "version", Match::Token(version))?);
            }
            filter
        }
    };
    Some(Query {
        types: vec![type_id],
        filter,
        relevance: Vec::new(),
        contained: None,
        sort: Vec::new(),
        count: 1,
        total: Total::None,
        include: Vec::new(),
        shape: Shape::Whole,
    })
}

fn is(model: &Model, type_id: TypeId, code: &str, value: Match) -> Option<Clause> {
    let (param, kind): (ParamId, ParamKind) = model.param(type_id, code).map(|p| (p.id, p.kind))?;
    Some(Clause::Param(ParamClause {
        param: vec![param],
        kind,
        test: Test::Any([value].into()),
    }))
}
