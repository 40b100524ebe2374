//! Which searches look at elements that are hidden from their caller: asking is a way of reading.

use super::custom::Customs;
use super::extract::{Plans, holds_canonicals};
use super::query::Query;
use super::rows::{CUSTOM, content, narrative, of_type};
use crate::definitions::{Model, ParamId, TypeId};
use crate::resource::mask::Mask;

/// The first parameter of a search, with the type it is of, that looks at an element named by the
/// type's mask: in conditions, at every link of a chain, in sort keys and in includes. Full text
/// looks at everything, and who follows a canonical looks at the URL and the version of what it leads
/// to. A parameter that is not known to look elsewhere counts as one that does.
pub fn looks_behind<'m>(
    model: &'static Model,
    customs: &Customs,
    query: &Query,
    mask: impl Fn(TypeId) -> Option<&'m Mask>,
) -> Option<(TypeId, ParamId)> {
    let mentioned = query
        .mentions(model)
        .find(|on| is_behind(model, customs, *on, &mask));
    mentioned.or_else(|| {
        let hops = query.hops().into_iter();
        hops.filter_map(|(on, param, to)| leads_behind(model, customs, (on, param), &to, &mask))
            .next()
    })
}

/// The first parameter of a URL or a version that the mask of its type hides and by which a reference, if it
/// holds canonicals, is followed. `to` is empty where it leads to whatever its definition says.
pub fn leads_behind<'m>(
    model: &'static Model,
    customs: &Customs,
    (on, param): (TypeId, ParamId),
    to: &[TypeId],
    mask: impl Fn(TypeId) -> Option<&'m Mask>,
) -> Option<(TypeId, ParamId)> {
    let param = ParamId(param.0 & !of_type(ParamId(0)).0);
    if !holds_canonicals(model, customs, on, param) {
        return None;
    }
    let defined: &[TypeId] = match (customs.numbered(param), model.param_by_id(param)) {
        (Some(own), _) => &own.definition.targets,
        (None, Some(param)) => &param.targets,
        (None, None) => &[],
    };
    let of = |to: TypeId| {
        let named = ["url", "version"].into_iter();
        named
            .filter_map(move |code| Some((to, model.param(to, code)?.id)))
            .find(|named| is_behind(model, customs, *named, &mask))
    };
    match (to, defined) {
        ([], []) => model.types().find_map(of),
        ([], to) | (to, _) => to.iter().copied().find_map(of),
    }
}

fn is_behind<'m>(
    model: &'static Model,
    customs: &Customs,
    (type_id, param): (TypeId, ParamId),
    mask: &impl Fn(TypeId) -> Option<&'m Mask>,
) -> bool {
    let hidden = mask(type_id).filter(|m| !m.is_empty());
    hidden.is_some_and(|m| meets(model, customs, (type_id, param), m))
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
    if param == narrative(type_id) || param == content(type_id) {
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
