//! Searches of contained resources (`search.html#contained`): the rows of what is contained, as
//! places.
//!
//! A place is one number: the `rid` of the container and, below it, where in it the match stands; 0
//! for the resource itself. Without an order places are answered greatest first, which is newest first.

use fhir::definitions::{ParamId, TypeId};
use fhir::search::rows::{CONTAINED_MAX, contained};

use super::View;
use super::compare::Arm;
use super::cond::Cond;
use super::drive::{Choice, Driver};
use super::order::{self, FoundPlaces, Order, Place};
use super::select::{probe, sources};
use super::text::{Bind, Binds, Statement, joined};
use crate::sqlite::index::{PLACE_BITS, Table};

/// A search that finds contained resources.
pub(crate) struct Inside<'a> {
    /// For each type searched, how contained resources of it are found.
    pub(crate) inner: &'a [Choice],
    /// For each type searched, how resources of their own are found, if they are.
    pub(crate) own: &'a [Choice],
    /// What must hold for containers of each type that may be shown.
    pub(crate) holders: &'a [(TypeId, Cond)],
    /// What is contained counts, not what contains it.
    pub(crate) alone: bool,
    /// The parameter `_id` of the types searched.
    pub(crate) ids: &'a [ParamId],
}

/// All contained resources of a type; `id` is its parameter `_id`.
pub(crate) fn all(id: ParamId) -> Driver {
    Driver::Arms {
        table: Table::Token,
        param: i64::from(contained(id).0),
        arms: vec![Arm {
            long: false,
            preds: Vec::new(),
            filter: Vec::new(),
            ordered: false,
            unique: true,
        }],
    }
}

impl Inside<'_> {
    /// The places after `after`, at most `limit`, with the values that place them in the order.
    pub(crate) fn page(
        &self,
        order: &Order,
        after: Option<&Place>,
        limit: u64,
        view: View,
    ) -> Statement {
        let mut b = Binds::as_of(view.as_of, view.bounds);
        if !order.newest_first() {
            let found = FoundPlaces {
                places: self.places(", d.rid AS own", &mut b),
                alone: self.alone,
                ids: self.ids,
            };
            let main = order::places(found, order, after, limit, &mut b);
            return b.finish(&main);
        }
        let places = self.places("", &mut b);
        let after = after.map_or_else(String::new, |place| {
            format!(" WHERE rid < {}", b.place(&Bind::Int(place.rid)))
        });
        let limit = b.place(&Bind::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
        b.finish(&format!(
            "SELECT rid FROM ({places}){after} ORDER BY rid DESC LIMIT {limit}"
        ))
    }

    /// The number of places.
    pub(crate) fn total(&self, view: View) -> Statement {
        let mut b = Binds::as_of(view.as_of, view.bounds);
        let places = self.places("", &mut b);
        b.finish(&format!("SELECT count(*) FROM ({places})"))
    }

    /// `more`: a column besides the place.
    fn places(&self, more: &str, b: &mut Binds) -> String {
        let none = if more.is_empty() { "" } else { ", 0 AS own" };
        let mut each = vec![format!("SELECT 0 AS rid{none} WHERE ?1 IS NULL")];
        for choice in self.own {
            let place = format!("d.rid << {PLACE_BITS} AS rid{more}");
            each.extend(rows(choice, &place, "", b));
        }
        let place = if self.alone {
            format!("-d.rid AS rid{more}")
        } else {
            format!("((-d.rid) >> {PLACE_BITS}) << {PLACE_BITS} AS rid{more}")
        };
        for choice in self.inner {
            let holder = self.holder(b);
            each.extend(rows(choice, &place, &holder, b));
        }
        each.join(" UNION ")
    }

    /// The condition that it is contained, and not only enclosed, and that the container may be shown.
    fn holder(&self, b: &mut Binds) -> String {
        let free = Cond::All(Vec::new());
        let (free, bound): (Vec<_>, Vec<_>) = self.holders.iter().partition(|(_, c)| *c == free);
        let types: Vec<String> = free.iter().map(|(t, _)| t.0.to_string()).collect();
        let mut ways = vec![format!("h.type IN ({})", types.join(", "))];
        for (type_id, cond) in bound {
            let holds = probe(cond, *type_id, "h.rid", 2, b);
            ways.push(format!("(h.type = {} AND {holds})", type_id.0));
        }
        format!(
            " AND ((-d.rid) & {last}) <= {CONTAINED_MAX} AND EXISTS (SELECT 1 FROM resource AS h WHERE h.rid = (-d.rid) >> {PLACE_BITS} \
             AND {} LIMIT 1)",
            joined(&ways, "OR", "0"),
            last = (1 << PLACE_BITS) - 1,
        )
    }
}

fn rows(choice: &Choice, what: &str, more: &str, b: &mut Binds) -> Vec<String> {
    let found = sources(&choice.driver, choice.type_id, false, b);
    let probes: String = choice
        .rest
        .iter()
        .map(|c| format!(" AND {}", probe(c, choice.type_id, "d.rid", 1, b)))
        .collect();
    let each = found.iter();
    each.map(|source| format!("SELECT {what} {}{more}{probes}", source.from))
        .collect()
}
