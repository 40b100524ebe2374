//! Criteria of conditional interactions and conditional references: a search of one type of which
//! only the number of matches counts (`http.html#ccreate`).

use std::sync::Arc;

use access::{Released, Search, Target};
use base::Code;
use fhir::definitions::TypeId;
use fhir::outcome::Outcome;
use fhir::search::Query;
use fhir::search::query::Total;
use store::{Expectation, Expected, PageRequest, Stored};

use crate::failure::Failure;
use crate::session::Session;

/// A query string, understood.
#[derive(Debug)]
pub(super) struct Understood {
    pub(super) query: Query,
    /// What there is to say about it; no errors.
    pub(super) issues: Outcome,
    /// The parameters that count, encoded.
    pub(super) this: String,
}

/// Criteria, understood.
#[derive(Clone, Debug)]
pub(super) struct Criteria(Arc<Query>);

/// What criteria match.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    One(Released<Stored>),
    Several,
}

impl Session {
    pub(super) fn understand(
        &self,
        _types: &[TypeId],
        _text: &str,
        _strict: bool,
    ) -> Result<Understood, Failure> {
        Err(Failure::of(Code::NotSupported))
    }

    /// Understands criteria. Parameters that are not known would make them match more than was
    /// meant, so they are errors whatever the caller prefers.
    pub(super) fn criteria(&self, type_id: TypeId, text: &str) -> Result<Criteria, Failure> {
        let text = text.trim().trim_start_matches('?');
        let text = text.split_once('?').map_or(text, |(_, query)| query);
        let mut query = self.understand(&[type_id], text, true)?.query;
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
        Ok(Criteria(Arc::new(query)))
    }

    /// What criteria match now.
    pub(super) async fn matches(&self, criteria: &Criteria) -> Result<Found, Failure> {
        let permit = self
            .permit::<Search>(Target::Types(criteria.0.types.clone()))
            .await?;
        let request = PageRequest {
            deadline: self.deadline(),
            ..PageRequest::default()
        };
        let page = self
            .store
            .search(permit, criteria.0.clone(), request)
            .await?;
        let mut entries = page.entries.into_iter();
        Ok(match (entries.next(), entries.next()) {
            (None, _) => Found::Nothing,
            (Some(only), None) => Found::One(only.resource),
            (Some(_), Some(_)) => Found::Several,
        })
    }

    /// What must still be true when the write is made.
    pub(super) async fn expectation(
        &self,
        criteria: &Criteria,
        expected: Expected,
    ) -> Result<Expectation, Failure> {
        let permit = self
            .permit::<Search>(Target::Types(criteria.0.types.clone()))
            .await?;
        Ok(Expectation {
            permit,
            query: criteria.0.clone(),
            expected,
        })
    }
}
