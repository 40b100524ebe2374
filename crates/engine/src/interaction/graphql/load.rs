//! What an evaluation lacks, read and searched under the caller's permits, all as of one state.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use access::{Read as ReadAction, Target};
use base::{Code, ResourceId, Seq};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::search;
use fhir::search::query::Total;
use store::{Mode, Read};

use crate::cursor::Cursor;
use crate::failure::Failure;
use crate::interaction::search::Asked;
use crate::session::Session;

/// Something that is not loaded yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Need {
    /// A resource.
    Read(TypeId, ResourceId),
    /// A page of a search.
    Search(Find),
}

/// A page of a search.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Find {
    pub(super) type_id: TypeId,
    /// The parameters, encoded; empty with a cursor.
    pub(super) query: String,
    pub(super) cursor: Option<String>,
    /// Whether the number of all matches is wanted.
    pub(super) total: bool,
}

/// A resource that was asked for.
#[derive(Debug)]
pub(super) enum Known {
    Found(Bytes),
    Absent,
    /// The caller may not read it.
    Denied,
}

/// A page that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) resources: Vec<Bytes>,
    pub(super) total: Option<u64>,
    /// Matches before this page.
    pub(super) offset: u64,
    /// Matches that a page holds at most.
    pub(super) count: u32,
    pub(super) next: Option<String>,
}

/// What was loaded so far.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) reads: HashMap<(TypeId, ResourceId), Known>,
    pub(super) searches: HashMap<Find, Found>,
    /// What was told of the schema, by its place in the document.
    pub(super) schema: RefCell<HashMap<Vec<usize>, String>>,
    resources: u64,
    /// Types of which a resource was refused.
    refused: HashSet<TypeId>,
    as_of: Option<Seq>,
}

impl Loaded {
    /// Bytes of the resources.
    pub(super) fn bytes(&self) -> usize {
        let read = |known: &Known| match known {
            Known::Found(body) => body.len(),
            Known::Absent | Known::Denied => 0,
        };
        let reads: usize = self.reads.values().map(read).sum();
        let searches = self.searches.values().flat_map(|found| &found.resources);
        reads + searches.map(Bytes::len).sum::<usize>()
    }
}

impl Session {
    pub(super) async fn load(&self, needs: Vec<Need>, loaded: &mut Loaded) -> Result<(), Failure> {
        let mut reads = Vec::new();
        let mut searches = Vec::new();
        for need in needs {
            match need {
                Need::Read(type_id, id) => {
                    let target = Target::Instance(type_id, id.clone());
                    match self.decide::<ReadAction>(target) {
                        Ok(permit) => reads.push((permit, type_id, id)),
                        Err(denied) => {
                            // Recorded here, also where the document does without.
                            if loaded.refused.insert(type_id) {
                                let failure = self.refuse(denied).await;
                                if failure.code() != Code::ScopeMissing {
                                    return Err(failure);
                                }
                            }
                            loaded.reads.insert((type_id, id), Known::Denied);
                        }
                    }
                }
                Need::Search(find) => searches.push(find),
            }
        }
        // A cursor brings the state that all the rest is read as of.
        searches.sort_by_key(|find| find.cursor.is_none());
        for find in searches {
            let found = self.find(&find, loaded).await?;
            self.counted(loaded, found.resources.len())?;
            loaded.searches.insert(find, found);
        }
        self.counted(loaded, reads.len())?;
        if reads.is_empty() {
            return Ok(());
        }
        let names: Vec<(TypeId, ResourceId)> =
            reads.iter().map(|(_, t, id)| (*t, id.clone())).collect();
        let (found, as_of, left_out) = self.store.read_together(reads, loaded.as_of).await?;
        must_be_whole(left_out)?;
        loaded.as_of = Some(as_of);
        for (name, read) in names.into_iter().zip(found) {
            let known = match read {
                Read::Found(stored) => Known::Found(stored.into_inner().body),
                Read::Deleted(_) | Read::Absent => Known::Absent,
            };
            loaded.reads.insert(name, known);
        }
        Ok(())
    }

    fn counted(&self, loaded: &mut Loaded, more: usize) -> Result<(), Failure> {
        let max = self.limits().graphql_resources_max;
        loaded.resources += more as u64;
        match loaded.resources <= max {
            true => Ok(()),
            false => Err(Failure::limit(
                Code::LimitQuery,
                "graphql_resources_max",
                max,
            )),
        }
    }

    async fn find(&self, find: &Find, loaded: &mut Loaded) -> Result<Found, Failure> {
        let name = self.model().type_name(find.type_id);
        let of = format!("graphql {name}");
        let asked = Asked {
            query: &find.query,
            cursor: find.cursor.as_deref(),
            strict: true,
        };
        let mut place = self.place(&of, asked).await?;
        // A cursor carries the number of matches before its page, too.
        let (offset, text) = match (&find.cursor, place.query.split_once('|')) {
            (Some(_), Some((offset, text))) => (offset.parse().unwrap_or(0), text.to_owned()),
            _ => (0, place.query.clone()),
        };
        let states = (loaded.as_of, place.page.as_of);
        if let (Some(one), Some(other)) = states
            && one != other
        {
            let text = "one document cannot show pages of different states";
            return Err(Failure::new(Code::CursorInvalid, text));
        }
        place.page.as_of = states.0.or(states.1);
        let target = search::Target::Types(vec![find.type_id]);
        let mut query = self.understand(&target, &text, true).await?.query;
        if !query.include.is_empty() || query.contained.is_some() {
            let text = "GraphQL searches take no _include, no _revinclude and no _contained";
            return Err(Failure::new(Code::NotSupported, text));
        }
        if find.total {
            query.total = Total::Accurate;
        }
        let count = query.count;
        self.with_terms(&mut query, &mut place.page).await?;
        let query = Arc::new(query);
        let permit = self.permit_search(&query, Target::Types).await?;
        let page = self.store.search(permit, query, place.page).await?;
        must_be_whole(page.left_out)?;
        loaded.as_of = Some(page.as_of);
        let next = match &page.next {
            None => None,
            Some(position) => {
                let before = offset + page.entries.len() as u64;
                let cursor = Cursor {
                    query: format!("{before}|{text}"),
                    position: position.clone(),
                    as_of: page.as_of,
                    first: place.first,
                };
                Some(self.seal(&of, &cursor).await?)
            }
        };
        let matches = page.entries.into_iter().filter(|e| e.mode == Mode::Match);
        Ok(Found {
            resources: matches.map(|e| e.resource.into_inner().body).collect(),
            total: page.total,
            offset,
            count,
            next,
        })
    }
}

/// A document has no place to say that something is left out.
fn must_be_whole(left_out: u32) -> Result<(), Failure> {
    match left_out {
        0 => Ok(()),
        _ => Err(Failure::of(Code::ResourceQuarantined)),
    }
}
