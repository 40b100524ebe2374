//! The order of a search that finds contained resources: what is sorted are places, and the values
//! that count are those of what was found there. Of several found in one container the first in the
//! order stands for it.

use fhir::definitions::ParamId;
use fhir::search::rows::contained;

use super::{By, Key, Order, Place, behind, terms, values};
use crate::plan::score;
use crate::plan::text::{Bind, Binds};
use crate::sqlite::index::{PLACE_BITS, Table};

/// What places are found, and what of them is answered.
pub(crate) struct Found<'a> {
    /// A statement that gives places as `rid`, and as `own` the row of the index whose values count.
    pub(crate) places: String,
    /// What is contained is answered, not what contains it.
    pub(crate) alone: bool,
    /// The parameter `_id` of the types searched.
    pub(crate) ids: &'a [ParamId],
}

/// The statement of the places after `after`, at most `limit`.
pub(crate) fn places(
    found: Found<'_>,
    order: &Order,
    after: Option<&Place>,
    limit: u64,
    b: &mut Binds,
) -> String {
    let keys: Vec<String> = order
        .0
        .iter()
        .flat_map(|key| of_place(key, &found, b))
        .collect();
    let names: Vec<String> = (1..=keys.len()).map(|i| format!("k{i}")).collect();
    let columns = names.join(", ");
    let found = b.table("rid, own", found.places);
    let text = format!("SELECT m.rid, {} FROM {found} AS m", keys.join(", "));
    let keyed = b.table(&format!("rid, {columns}"), text);
    let by = terms(order, &names, 0);
    let text = format!(
        "SELECT rid, {columns}, row_number() OVER (PARTITION BY rid ORDER BY {by}) FROM {keyed}"
    );
    let ranked = b.table(&format!("rid, {columns}, n"), text);
    let after = after.map_or_else(String::new, |place| {
        format!(" AND {}", behind(place, order, &names, "rid", b))
    });
    let limit = b.place(&Bind::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
    format!("SELECT rid, {columns} FROM {ranked} WHERE n = 1{after} ORDER BY {by} LIMIT {limit}")
}

/// The values that a key compares, of the place `m`.
fn of_place(key: &Key, found: &Found<'_>, b: &mut Binds) -> Vec<String> {
    let holder = format!("m.rid >> {PLACE_BITS}");
    match &key.by {
        By::Id => {
            let id = format!("(SELECT t.id FROM resource AS t WHERE t.rid = {holder})");
            if !found.alone {
                return vec![id];
            }
            let ids: Vec<i64> = found.ids.iter().map(|p| of_contained(p.0.into())).collect();
            let inner = values(Table::Token, &ids, &["code"], false, "m.own", b);
            vec![format!(
                "CASE WHEN m.own > 0 THEN {id} ELSE {} END",
                inner.concat()
            )]
        }
        // What is contained has no time of its own.
        By::Param { always: true, .. } => vec![format!(
            "(SELECT v.updated_us FROM version AS v WHERE v.rid = {holder} AND v.seq <= ?1 \
             ORDER BY v.version DESC LIMIT 1)"
        )],
        By::Param { table, params, .. } => {
            let both = params.iter().flat_map(|p| [*p, of_contained(*p)]);
            let both: Vec<i64> = both.collect();
            values(*table, &both, key.columns(), key.descending, "m.own", b)
        }
        By::Score(relevance) => {
            vec![score::expression(&score::within(relevance), "m.own", b)]
        }
    }
}

fn of_contained(param: i64) -> i64 {
    let number = u32::try_from(param).unwrap_or(0);
    i64::from(contained(ParamId(number)).0)
}
