//! Contained resources (`references.html#contained`): their own rows, and which references point to
//! them.

use std::cell::Cell;

use base::ResourceId;

use crate::definitions::{Model, ParamId, ParamKind, TypeId};
use crate::json::Value;
use crate::path::Item;

use super::super::custom::Customs;
use super::super::rows::{self, CONTAINED_MAX, ENCLOSED_MAX, Row, RowValue};
use super::{Extractor, ParamPlan, Shape};

/// A contained resource of a type that the version has.
struct Inner<'a> {
    /// Counted from 1.
    place: u16,
    type_id: TypeId,
    id: Box<str>,
    value: Value<'a>,
}

fn inner<'a>(model: &Model, resource: Value<'a>) -> Vec<Inner<'a>> {
    let all = resource.get("contained").into_iter().flat_map(Value::items);
    let read = |(place, value): (u16, Value<'a>)| {
        let name = value.get("resourceType").and_then(Value::as_str)?;
        let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
        Some(Inner {
            place,
            type_id: model.type_id(&name)?,
            id: id.into(),
            value,
        })
    };
    (1..=CONTAINED_MAX).zip(all).filter_map(read).collect()
}

impl Extractor<'_> {
    /// The rows of what is contained, and the references to it.
    pub(super) fn contained(&self, out: &mut Vec<Row>) {
        let model = self.plans.types.model();
        let Some(resource) = self.resource.value else {
            return;
        };
        let all = inner(model, resource);
        let enclosed = self.enclosed();
        if all.is_empty() && enclosed.is_empty() {
            return;
        }
        let from = out.len();
        for one in all.iter().chain(enclosed.iter().map(|(_, one)| one)) {
            self.of_inner(model, one, out);
        }
        for param in &self.of_type.params {
            self.links(param, &all, out);
        }
        out.extend(enclosed.iter().filter_map(|(param, one)| link(*param, one)));
        if let Some(new) = out.get_mut(from..) {
            new.sort_unstable_by(Row::total_cmp);
        }
        out.dedup();
    }

    fn of_inner(&self, model: &'static Model, one: &Inner<'_>, out: &mut Vec<Row>) {
        let Some(extractor) = Extractor::new(model, one.type_id, one.value, self.own_bases) else {
            return;
        };
        let mut found = extractor.rows(&extractor.of_type.params);
        extractor.apart(one.type_id, &mut found);
        if let Some(id) = model.param(one.type_id, "_id") {
            let value = RowValue::Token {
                system: Box::default(),
                code: one.id.clone(),
            };
            found.push(Row {
                param: id.id,
                value,
            });
        }
        out.extend(found.into_iter().map(|row| one.row(row)));
    }

    /// Resources that reference parameters yield themselves (`Bundle.entry[0].resource`).
    fn enclosed(&self) -> Vec<(ParamId, Inner<'_>)> {
        let mut found = Vec::new();
        let params = self.of_type.params.iter();
        for param in params.filter(|p| p.encloses) {
            let reader = self.reader();
            reader.each(param, &mut |item: Item<'_>| {
                let place = u16::try_from(found.len()).unwrap_or(ENCLOSED_MAX);
                let node = item.node().filter(|_| place < ENCLOSED_MAX);
                let Some((node, value)) = node.and_then(|n| Some((n, n.value?))) else {
                    return;
                };
                let Shape::Resource(type_id) = self.plans.shapes.of_type(node.ty) else {
                    return;
                };
                let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
                let one = Inner {
                    place: CONTAINED_MAX + 1 + place,
                    type_id,
                    id: id.into(),
                    value,
                };
                found.push((param.id, one));
            });
        }
        found
    }

    /// The references of a parameter to what is contained.
    fn links(&self, param: &ParamPlan, all: &[Inner<'_>], out: &mut Vec<Row>) {
        if param.kind != ParamKind::Reference {
            return;
        }
        let reader = self.reader();
        reader.each(param, &mut |item: Item<'_>| {
            let Some(node) = item.node() else { return };
            let value = match self.plans.shapes.of_type(node.ty) {
                Shape::Reference => node.value,
                Shape::CodeableReference => node.value.and_then(|v| v.get("reference")),
                _ => None,
            };
            let text = value
                .and_then(|v| v.get("reference"))
                .and_then(Value::as_str);
            let Some(id) = text.as_deref().and_then(|t| t.strip_prefix('#')) else {
                return;
            };
            let to = all.iter().find(|one| *one.id == *id);
            out.extend(to.and_then(|to| link(param.id, to)));
        });
    }

    /// The rows of what is contained for a tenant's own parameters, and the references of those to it.
    pub(in super::super) fn contained_of(
        model: &'static Model,
        customs: &Customs,
        (type_id, resource): (TypeId, Value<'_>),
        own_bases: &[&str],
        wanted: &dyn Fn(&super::super::custom::Custom) -> bool,
        left: &Cell<u64>,
    ) -> Vec<Row> {
        let mut out = Vec::new();
        let all = inner(model, resource);
        if all.is_empty() {
            return out;
        }
        let plans = |of: TypeId| {
            let fits =
                move |c: &&super::super::custom::Custom| c.definition.type_id == of && wanted(c);
            let mut plans: Vec<&ParamPlan> = customs.iter().filter(fits).map(|c| &c.plan).collect();
            plans.sort_unstable_by_key(|p| p.id);
            plans
        };
        for one in &all {
            let plans = plans(one.type_id);
            if plans.is_empty() {
                continue;
            }
            let Some(extractor) = Extractor::new(model, one.type_id, one.value, own_bases) else {
                continue;
            };
            let extractor = extractor.within(left);
            let mut found = extractor.rows(&plans);
            extractor.beginnings(&plans, &mut found);
            out.extend(found.into_iter().map(|row| one.row(row)));
        }
        let own = plans(type_id);
        if let Some(extractor) = Extractor::new(model, type_id, resource, own_bases) {
            let extractor = extractor.within(left);
            for param in own {
                extractor.links(param, &all, &mut out);
            }
        }
        out
    }
}

impl Inner<'_> {
    /// A row of its own as one of the resource around it.
    fn row(&self, row: Row) -> Row {
        Row {
            param: rows::contained(row.param),
            value: RowValue::Contained(self.place, Box::new(row.value)),
        }
    }
}

fn link(param: ParamId, to: &Inner<'_>) -> Option<Row> {
    let place = ResourceId::new(&to.place.to_string()).ok()?;
    Some(Row {
        param: rows::into_contained(param),
        value: RowValue::Reference {
            type_id: to.type_id,
            id: place,
            version: Box::default(),
        },
    })
}
