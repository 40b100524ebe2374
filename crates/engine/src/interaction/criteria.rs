//! Criteria of conditional interactions and conditional references: a search of one type of which
//! only the number of matches counts (`http.html#ccreate`).

use std::sync::Arc;

use access::{Action, ActionName, Permit, Released, Search, Target};
use base::{Code, ResourceId};
use fhir::definitions::TypeId;
use fhir::search::query::{Clause, Shape, Total};
use fhir::search::terms::Terms;
use fhir::search::{self, Options, Parsed, Query};
use store::{Expectation, Expected, PageRequest, Stored};

use crate::failure::Failure;
use crate::form;
use crate::session::Session;

/// Criteria, understood; whether value sets or code systems were looked into for that; and the words that they
/// came in, which the trail keeps.
#[derive(Clone, Debug)]
pub(super) struct Criteria(Arc<Query>, bool, Option<Arc<str>>);

impl Criteria {
    /// The conditions, all of which must hold.
    pub(super) fn clauses(&self) -> &[Clause] {
        &self.0.filter
    }

    /// Whether they stand on value sets or code systems.
    pub(super) const fn by_terms(&self) -> bool {
        self.1
    }

    /// Other conditions in place of those.
    pub(super) fn ask(&mut self, clauses: Vec<Clause>) {
        Arc::make_mut(&mut self.0).filter = clauses;
    }

    /// The same about all other resources than these.
    pub(super) fn without(mut self, ids: Vec<ResourceId>) -> Self {
        if !ids.is_empty() {
            let query = Arc::make_mut(&mut self.0);
            query.filter.push(Clause::NotId(ids));
        }
        self
    }
}

impl Session {
    /// Understands a query string.
    pub(super) async fn understand(
        &self,
        target: &search::Target,
        text: &str,
        strict: bool,
    ) -> Result<Parsed, Failure> {
        let base = self.links().fhir();
        let custom = self.store.customs().await?;
        let options = Options {
            limits: self.limits(),
            strict,
            own_bases: &[base.as_str()],
            now: self.request.at,
            custom: &custom,
        };
        Ok(search::parse(self.model(), target, text, &options)?)
    }

    /// The right to a search, on every type that it names in any place: one that shows a page, or one
    /// that is a condition of something else.
    pub(super) async fn permit_search(
        &self,
        query: &Query,
        target: fn(Vec<TypeId>) -> Target,
    ) -> Result<Permit<Search>, Failure> {
        self.must_not_look_behind(query).await?;
        let mut types = query.types.clone();
        // An include that names its target asks for that type; one that does not brings what may
        // be shown.
        let targets = query.include.iter().filter_map(|include| include.target);
        let mentioned = query.mentions(self.model()).map(|(type_id, _)| type_id);
        for type_id in mentioned.chain(targets) {
            if !types.contains(&type_id) {
                types.push(type_id);
            }
        }
        self.permit(target(types)).await
    }

    /// Refuses a search by elements that policy hides: what it finds would tell them.
    async fn must_not_look_behind(&self, query: &Query) -> Result<(), Failure> {
        let hidden = |t: TypeId| self.rights().seen(t).and_then(|rule| rule.hidden());
        if !self.rights().hides() {
            return Ok(());
        }
        let customs = self.store.customs().await?;
        match search::guarded::looks_behind(self.model(), &customs, query, hidden) {
            None => Ok(()),
            Some((type_id, _)) => Err(self
                .refuse_for(ActionName::Search, Some(type_id), Code::ElementHidden)
                .await),
        }
    }

    /// Understands criteria. Parameters that are not known would make them match more than was
    /// meant, so they are errors whatever the caller prefers.
    pub(super) async fn criteria(&self, type_id: TypeId, text: &str) -> Result<Criteria, Failure> {
        let text = text.trim().trim_start_matches('?');
        let text = text.split_once('?').map_or(text, |(_, query)| query);
        if !names_one(text) {
            let text = "the criteria of a way in for bulk loading are one identifier, _id or url";
            self.must_not_import(text).await?;
        }
        let mut query = self
            .understand(&search::Target::Types(vec![type_id]), text, true)
            .await?
            .query;
        if query.contained.is_some() {
            return Err(Failure::new(
                Code::SearchValue,
                "the criteria of a write are about resources, not about what they contain",
            ));
        }
        if query.filter.is_empty() {
            return Err(Failure::new(
                Code::SearchValue,
                "the criteria name no parameter",
            ));
        }
        query.count = 2;
        query.total = Total::None;
        query.include.clear();
        query.sort.clear();
        query.relevance.clear();
        let mut page = PageRequest {
            deadline: self.deadline(),
            ..PageRequest::default()
        };
        let by_terms = Terms::are_in(&query);
        self.with_terms(&mut query, &mut page).await?;
        let words = [self.model().type_name(type_id), "?", text].concat();
        Ok(Criteria(Arc::new(query), by_terms, Some(words.into())))
    }

    /// Understands the criteria of a write. The right to it is checked before anything is understood
    /// or looked up.
    pub(super) async fn criteria_of<A: Action>(
        &self,
        type_name: &str,
        text: &str,
    ) -> Result<(TypeId, Criteria), Failure> {
        let type_id = self.type_id(type_name)?;
        let _ = self.permit::<A>(Target::Types(vec![type_id])).await?;
        Ok((type_id, self.criteria(type_id, text).await?))
    }

    /// The one resource that criteria match now, if any does.
    ///
    /// # Errors
    /// `multiple-matches`
    pub(super) async fn match_of(
        &self,
        criteria: &Criteria,
    ) -> Result<Option<Released<Stored>>, Failure> {
        let permit = self.permit_search(&criteria.0, Target::Criteria).await?;
        let request = PageRequest {
            deadline: self.deadline(),
            asked: criteria.2.clone(),
            ..PageRequest::default()
        };
        let page = self
            .store
            .search(permit, criteria.0.clone(), request)
            .await?;
        let mut entries = page.entries.into_iter();
        match (entries.next(), entries.next()) {
            (only, None) => Ok(only.map(|entry| entry.resource)),
            (_, Some(_)) => Err(Failure::of(Code::MultipleMatches)),
        }
    }

    /// What must still be true when the write is made.
    pub(super) async fn expectation(
        &self,
        criteria: &Criteria,
        expected: Expected,
    ) -> Result<Expectation, Failure> {
        let permit = self.permit_search(&criteria.0, Target::Criteria).await?;
        Ok(Expectation {
            permit,
            query: criteria.0.clone(),
            expected,
        })
    }

    /// Whether a stored resource meets a clause, for the caller.
    pub(super) async fn meets(
        &self,
        (type_id, id, clause): &(TypeId, ResourceId, Clause),
    ) -> Result<bool, Failure> {
        let query = Query {
            types: vec![*type_id],
            filter: vec![Clause::Id([id.clone()].into()), clause.clone()],
            relevance: Vec::new(),
            contained: None,
            sort: Vec::new(),
            count: 1,
            total: Total::None,
            include: Vec::new(),
            shape: Shape::Whole,
        };
        self.match_of(&Criteria(Arc::new(query), false, None))
            .await
            .map(|found| found.is_some())
    }
}

/// Whether criteria are what something is called, and nothing about what it says: one `identifier` with a
/// value, `_id` or `url`, without modifier and without alternatives.
fn names_one(text: &str) -> bool {
    let mut pairs = form::pairs(text);
    let (Some((name, value)), None) = (pairs.next(), pairs.next()) else {
        return false;
    };
    let whole = !value.is_empty() && !value.ends_with('|');
    matches!(&*name, "identifier" | "_id" | "url") && whole && !value.contains(',')
}
