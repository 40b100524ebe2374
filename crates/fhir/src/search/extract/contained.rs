//! Contained resources (`references.html#contained`): their own rows, and which references point to
//! them.

use base::ResourceId;

use crate::definitions::{Model, ParamKind, TypeId};
use crate::json::Value;
use crate::path::Item;

use super::super::rows::{self, CONTAINED_MAX, Row, RowValue};
use super::{Extractor, Shape};

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
        if all.is_empty() {
            return;
        }
        let from = out.len();
        for one in &all {
            self.of_inner(model, one, out);
        }
        self.links(&all, out);
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
        out.extend(found.into_iter().map(|row| Row {
            param: rows::contained(row.param),
            value: RowValue::Contained(one.place, Box::new(row.value)),
        }));
    }

    fn links(&self, all: &[Inner<'_>], out: &mut Vec<Row>) {
        let reader = self.reader();
        let params = self.of_type.params.iter();
        for param in params.filter(|p| p.kind == ParamKind::Reference) {
            reader.visit(&param.plan, self.resource, &mut |item: Item<'_>| {
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
                let Some(to) = all.iter().find(|one| *one.id == *id) else {
                    return;
                };
                if let Ok(place) = ResourceId::new(&to.place.to_string()) {
                    out.push(Row {
                        param: rows::into_contained(param.id),
                        value: RowValue::Reference {
                            type_id: to.type_id,
                            id: place,
                            version: Box::default(),
                        },
                    });
                }
            });
        }
    }
}
