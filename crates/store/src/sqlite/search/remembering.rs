//! Searches under rules of policy, with what is remembered of those.
//!
//! Rows of which it is not known whether a rule reaches them are asked about all at once, and the search
//! begins again. Knows nothing of how rules become statements.

use std::collections::{HashMap, HashSet};

use access::Rule;
use base::{Code, Seq};
use fhir::definitions::TypeId;
use fhir::search::Query;
use fhir::search::query::Clause;
use rusqlite::Connection;

use super::facts::{Data, Memory};
use super::{Found, Surroundings, bounds_of, met, run, seq_number};
use crate::plan::select::is_there;
use crate::plan::text::{Binds, json};
use crate::plan::{Bounds, View};
use crate::sqlite::reach::{Asking, Shape, Ticket, View as Known, is_worth};
use crate::sqlite::rows;
use crate::sqlite::tenant::OpenTenant;
use crate::{PageRequest, Result};

/// How often a search is begun again after it met rows of which it was not known whether policy reaches
/// them.
const ROUNDS: usize = 4;
/// Rows that are asked about in one statement.
const LEARNED_AT_ONCE: usize = 128;

/// What is remembered of a rule as of the newest change that a snapshot shows; none where it is not
/// remembered. The ticket was taken before the snapshot.
pub(crate) fn remembered(
    tenant: &OpenTenant,
    conn: &Connection,
    rule: &Rule,
    (type_id, as_of, ticket): (TypeId, Seq, Ticket),
) -> Result<Option<Known>> {
    let own = tenant.customs();
    let data = Data {
        conn,
        vocabulary: &tenant.vocabulary,
        model: tenant.model,
        own: &own,
        view: View {
            as_of: seq_number(as_of),
            bounds: bounds_of(tenant),
        },
        memory: None,
        denied: false,
    };
    data.known(type_id, rule, (&tenant.reaches, ticket, as_of.0))
}

/// Begins to remember a rule that is asked without a database at hand: one that rows answer by themselves.
pub(crate) fn begin_to_remember(tenant: &OpenTenant, rule: &Rule, type_id: TypeId) {
    let canonical = |_, _| true;
    let shape = || {
        let filter = rule.filter()?;
        let worth = is_worth(filter, tenant.model.type_id("Patient"));
        let shape = worth.then(|| Shape::of(filter, type_id, &canonical))??;
        (!shape.looks_further()).then_some(shape)
    };
    tenant.reaches.begin(rule, type_id, shape);
}

impl Surroundings<'_> {
    /// A page. All pages show the same change, but nothing that policy does not reach any more.
    pub(super) fn answer(
        &self,
        query: &Query,
        (request, newest): (&PageRequest, Seq),
        bounds: Bounds,
    ) -> Result<Found> {
        let sight = self.spent.sight();
        if !sight.is_ruled() {
            return self.page(query, (request, newest), bounds, None);
        }
        let mut found = self.remembering(query, (request, newest), bounds)?;
        if found.as_of < newest {
            self.withdraw(&mut found, bounds, newest)?;
        }
        Ok(found)
    }

    /// Notes which rows of a page policy does not reach now.
    fn withdraw(&self, found: &mut Found, bounds: Bounds, newest: Seq) -> Result<()> {
        let sight = self.spent.sight();
        let rows = found.matches.iter().chain(&found.included.rows);
        let mut by_type: HashMap<TypeId, Vec<i64>> = HashMap::new();
        for (rid, type_id) in rows {
            by_type.entry(*type_id).or_default().push(*rid);
        }
        let view = View {
            as_of: seq_number(newest),
            bounds,
        };
        let place = (self.conn, self.vocabulary, self.model, self.own);
        for (type_id, rids) in by_type {
            let rule = sight.rule(type_id);
            if let Some(filter) = rule.and_then(|rule| rule.filter()) {
                // Of what is deleted nothing says whether it would be reached.
                let there = self.there(&rids, type_id, view)?;
                let reached = met(place, view, filter, type_id, (&there, &[]))?;
                let gone = rids.into_iter().filter(|rid| !reached.contains(rid));
                found.withdrawn.extend(gone);
            }
        }
        Ok(())
    }

    /// Of these rows, those of resources that there are.
    fn there(&self, rids: &[i64], type_id: TypeId, view: View) -> Result<Vec<i64>> {
        let mut binds = Binds::as_of(view.as_of, view.bounds);
        let list = binds.place(&json(rids.iter().copied()));
        let there = is_there(type_id, "j.value", 0);
        let text = format!("SELECT j.value FROM json_each({list}) AS j WHERE {there}");
        let mut found = Vec::with_capacity(rids.len());
        run(self.conn, &binds.finish(&text), |row| {
            found.push(row.get(0)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// A page, with what is remembered of policy where that serves.
    fn remembering(
        &self,
        query: &Query,
        (request, newest): (&PageRequest, Seq),
        bounds: Bounds,
    ) -> Result<Found> {
        if let (None, Some((reaches, ticket))) = (query.contained, self.memory) {
            for _ in 0..ROUNDS {
                let asking = Asking::begin();
                let memory = Memory {
                    reaches,
                    ticket,
                    asking: &asking,
                    newest,
                };
                self.foreseen(query, (request, newest), bounds, &memory)?;
                let found = self.page(query, (request, newest), bounds, Some(&memory));
                let unknown = asking.unknown();
                if unknown.is_empty() || out_of_time(&found) {
                    return found;
                }
                drop(asking);
                for (view, rids) in unknown {
                    self.learn(&view, rids, bounds)?;
                }
                reaches.make_room();
            }
        }
        self.page(query, (request, newest), bounds, None)
    }

    /// Of resources that a search names by their ids it is learned beforehand whether policy reaches them:
    /// what is not there is asked about like what is and is not seen.
    fn foreseen(
        &self,
        query: &Query,
        (request, newest): (&PageRequest, Seq),
        bounds: Bounds,
        memory: &Memory<'_>,
    ) -> Result<()> {
        let of_id = |clause: &Clause| match clause {
            Clause::Id(ids) => Some(ids.clone()),
            _ => None,
        };
        let ids = query.filter.iter().find_map(of_id);
        let (Some(ids), [type_id]) = (ids, query.types.as_slice()) else {
            return Ok(());
        };
        let rule = self.spent.sight().rule(*type_id);
        let Some(rule) = rule.filter(|rule| rule.filter().is_some()) else {
            return Ok(());
        };
        let view = View {
            as_of: seq_number(request.as_of.unwrap_or(newest)),
            bounds,
        };
        let number = self.data(view, Some(memory)).number_of(*type_id, rule)?;
        let Some(known) = number.and_then(|number| memory.asking.view(number)) else {
            return Ok(());
        };
        let mut unseen = Vec::new();
        for id in ids.iter() {
            let rid = rows::rid_of(self.conn, *type_id, id)?.unwrap_or(-1);
            if known.known(rid) != Some(true) {
                unseen.push(rid);
            }
        }
        match unseen.is_empty() {
            true => Ok(()),
            false => self.learn(&known, unseen, bounds),
        }
    }

    /// Asks the index which of these rows a rule reaches.
    fn learn(&self, view: &Known, mut rids: Vec<i64>, bounds: Bounds) -> Result<()> {
        let sight = self.spent.sight();
        let type_id = view.type_id();
        let Some(filter) = sight.rule(type_id).and_then(|rule| rule.filter()) else {
            return Ok(());
        };
        rids.sort_unstable();
        rids.dedup();
        let place = (self.conn, self.vocabulary, self.model, self.own);
        let of = View {
            as_of: view.as_of(),
            bounds,
        };
        // What was learned stays so where there is no time for the rest: asked again, it goes on there.
        for rids in rids.chunks(LEARNED_AT_ONCE) {
            let there = self.there(rids, type_id, of)?;
            let met = met(place, of, filter, type_id, (&there, &[]))?;
            for rid in rids {
                view.learn(*rid, met.contains(rid));
            }
        }
        Ok(())
    }

    /// Of included resources from a place on, keeps those that the permit reaches.
    pub(super) fn reached(
        &self,
        included: &mut Vec<(i64, TypeId)>,
        from: usize,
        (as_of, bounds): (Seq, Bounds),
        memory: Option<&Memory<'_>>,
    ) -> Result<()> {
        let sight = self.spent.sight();
        let new = included.split_off(from.min(included.len()));
        let mut types: Vec<TypeId> = new.iter().map(|(_, t)| *t).collect();
        types.sort_unstable();
        types.dedup();
        let mut hidden = HashSet::new();
        for type_id in types {
            let Some(rule) = sight.rule(type_id) else {
                continue;
            };
            let Some(clause) = rule.filter() else {
                continue;
            };
            let of_type = new.iter().filter(|(_, t)| *t == type_id);
            let mut rids: Vec<i64> = of_type.map(|(rid, _)| *rid).collect();
            let place = (self.conn, self.vocabulary, self.model, self.own);
            let view = View {
                as_of: seq_number(as_of),
                bounds,
            };
            let known = match memory {
                None => None,
                Some(memory) => {
                    let mut data = self.data(view, Some(memory));
                    data.number_of(type_id, rule)?
                }
            };
            let known = known.and_then(|number| memory?.asking.view(number));
            if let Some(known) = &known {
                rids.retain(|rid| match known.known(*rid) {
                    None => true,
                    Some(true) => false,
                    Some(false) => {
                        hidden.insert(*rid);
                        false
                    }
                });
            }
            if rids.is_empty() {
                continue;
            }
            let seen = met(place, view, clause, type_id, (&rids, &[]))?;
            for rid in rids {
                let reached = seen.contains(&rid);
                if let Some(known) = &known {
                    known.learn(rid, reached);
                }
                if !reached {
                    hidden.insert(rid);
                }
            }
        }
        included.extend(new.into_iter().filter(|(rid, _)| !hidden.contains(rid)));
        Ok(())
    }
}

fn out_of_time(found: &Result<Found>) -> bool {
    matches!(found, Err(e) if e.code() == Code::LimitTime)
}
