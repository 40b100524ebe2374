//! How well a resource fits the words that a search asks for (`search.html#score`).
//!
//! For each run of words: n / (n + 1), where n is how often it stands in the texts that are searched;
//! the score is the mean of these, rounded to four digits. It lies between 0 and 1, and depends on
//! the resource and the search alone. A search that asks for no words gives each match 1.

use fhir::search::query::Relevance;
use fhir::search::rows::contained;

use super::text::{Bind, Binds, Statement, holds};
use super::{Bounds, View};
use crate::sqlite::index::Table;

/// The score of a resource (an expression).
pub(super) fn expression(relevance: &[Relevance], rid: &str, b: &mut Binds) -> String {
    if relevance.is_empty() {
        return "1.0".to_owned();
    }
    let each: Vec<String> = relevance
        .iter()
        .map(|one| {
            let pattern = b.place(&Bind::text(&one.run.pattern()));
            let mut params: Vec<String> = one
                .params
                .iter()
                .map(|p| b.place(&Bind::Int(i64::from(p.0))))
                .collect();
            params.dedup();
            format!(
                "1.0 - 1.0 / (1 + coalesce((SELECT sum((length(s.text) - \
                 length(replace(s.text, {pattern}, ''))) / length({pattern})) FROM ix_text AS s \
                 INDEXED BY {by_rid} WHERE s.rid = {rid} AND s.param IN ({}) AND {}), 0))",
                params.join(", "),
                holds("s"),
                by_rid = Table::Text.by_rid(),
            )
        })
        .collect();
    let sum = each.join(" + ");
    format!("round(({sum}) / {}, 4)", each.len())
}

/// The same, in what is contained as well: whichever of both the row is.
pub(super) fn within(relevance: &[Relevance]) -> Vec<Relevance> {
    let both = |one: &Relevance| Relevance {
        run: one.run.clone(),
        params: one
            .params
            .iter()
            .flat_map(|p| [*p, contained(*p)])
            .collect(),
    };
    relevance.iter().map(both).collect()
}

/// The score of the best of these index rows: of a resource, and of what it contains.
pub(crate) fn best(relevance: &[Relevance], own: i64, inside: (i64, i64), view: View) -> Statement {
    let mut b = Binds::as_of(view.as_of, view.bounds);
    let score = expression(&within(relevance), "c.rid", &mut b);
    let own = b.place(&Bind::Int(own));
    let (low, high) = (b.place(&Bind::Int(inside.0)), b.place(&Bind::Int(inside.1)));
    b.finish(&format!(
        "SELECT coalesce(max({score}), 0.0) FROM (SELECT {own} AS rid UNION \
         SELECT s.rid FROM ix_text AS s WHERE s.rid BETWEEN {low} AND {high}) AS c \
         WHERE ?1 IS NOT NULL"
    ))
}

/// The scores of these resources, each behind its `rid`.
pub(crate) fn scores(relevance: &[Relevance], rids: &[i64], view: View) -> Statement {
    let (as_of, bounds): (i64, Bounds) = (view.as_of, view.bounds);
    let mut b = Binds::as_of(as_of, bounds);
    let score = expression(relevance, "j.value", &mut b);
    let list: Vec<String> = rids.iter().map(i64::to_string).collect();
    let list = b.place(&Bind::text(&format!("[{}]", list.join(","))));
    b.finish(&format!(
        "SELECT j.value, {score} FROM json_each({list}) AS j WHERE ?1 IS NOT NULL"
    ))
}
