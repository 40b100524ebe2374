//! Which searches look at elements that are hidden from their caller: asking is a way of reading.

use super::custom::Customs;
use super::extract::Plans;
use super::query::Query;
use super::rows::{CUSTOM, narrative, of_type};
use crate::definitions::{Model, ParamId, TypeId};
use crate::resource::mask::Mask;

/// The first parameter of a search, with the type it is of, that looks at an element named by the
/// type's mask: in conditions, at every link of a chain, in sort keys and in includes. Full text
/// looks at everything. A parameter that is not known to look elsewhere counts as one that does.
pub fn looks_behind<'m>(
    model: &'static Model,
    customs: &Customs,
    query: &Query,
    mask: impl Fn(TypeId) -> Option<&'m Mask>,
) -> Option<(TypeId, ParamId)> {
    let masked = |t: &TypeId| mask(*t).is_some_and(|m| !m.is_empty());
    if !query.content.is_empty()
        && let Some(type_id) = query.types.iter().find(|t| masked(t))
    {
        return Some((*type_id, narrative(*type_id)));
    }
    query.mentions(model).find(|(type_id, param)| {
        let hidden = mask(*type_id).filter(|m| !m.is_empty());
        hidden.is_some_and(|m| meets(model, customs, (*type_id, *param), m))
    })
}

fn meets(
    model: &'static Model,
    customs: &Customs,
    (type_id, param): (TypeId, ParamId),
    mask: &Mask,
) -> bool {
    // The resource as such: that it is there, and its id.
    if param == ParamId(0) {
        return false;
    }
    if param == narrative(type_id) {
        return true;
    }
    let plans = Plans::of(model);
    if param.0 >= CUSTOM {
        let own = customs.iter().find(|c| c.id == param);
        return own.is_none_or(|c| plans.meets(&c.plan, mask));
    }
    let plain = if param.0 & of_type(ParamId(0)).0 != 0 {
        ParamId(param.0 & !of_type(ParamId(0)).0)
    } else {
        param
    };
    if let Some(known) = model.param_by_id(plain)
        && matches!(known.code, "_id" | "_lastUpdated")
    {
        return false;
    }
    let plan = plans.of_type(type_id).and_then(|t| t.param(plain));
    plan.is_none_or(|plan| plans.meets(plan, mask))
}
