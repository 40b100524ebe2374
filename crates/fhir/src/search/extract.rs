//! A resource to its index [`Row`]s.
//!
//! Each search parameter's expression is compiled once per version of FHIR; [`extract`] runs the
//! plans of the resource's type and turns what they find into rows, by the rules of the
//! parameter's type (`search.html`). Knows neither storage nor queries. `_id` and `_lastUpdated`
//! are not index rows of the content and are left to the store.

use std::cell::Cell;
use std::sync::OnceLock;

use crate::definitions::{Model, Param, ParamId, ParamKind, PerVersion, TypeId};
use crate::json;
use crate::path::{Item, Node, PathError, Plan, Type, Types};

use super::rows::{Row, RowValue};

mod composite;
mod quantity;
mod reference;
mod shape;
mod string;
mod temporal;
mod token;

use shape::{Shape, Shapes};

/// All index rows of a resource: sorted by [`Row::total_cmp`], unique. `own_bases` are the absolute
/// URLs under which this server serves this tenant, without a final slash; references under them
/// are local.
///
/// Whatever the content, there is an answer: values that do not have the form of their type give
/// no rows.
pub fn extract(
    model: &'static Model,
    type_id: TypeId,
    resource: json::Value<'_>,
    own_bases: &[&str],
) -> Vec<Row> {
    let plans = Plans::of(model);
    let Some(of_type) = plans.of_type(type_id) else {
        return Vec::new();
    };
    let steps = Cell::new(u64::MAX);
    let node = Node::new(resource, of_type.ty);
    let reader = Reader {
        plans,
        resource: node,
        own_bases,
        steps: &steps,
    };
    let mut rows = Vec::with_capacity(64);
    for param in &of_type.params {
        let from = rows.len();
        let id = param.id;
        reader.param(param, &mut |value| rows.push(Row { param: id, value }));
        settle(&mut rows, from, param.kind);
    }
    rows
}

/// Puts the rows of one parameter, which start at `from`, in order and drops repeated ones. Texts
/// of tokens are only compared folded, so that one of each is enough.
fn settle(rows: &mut Vec<Row>, from: usize, kind: ParamKind) {
    let Some(new) = rows.get_mut(from..) else {
        return;
    };
    if new.len() < 2 {
        return;
    }
    new.sort_unstable_by(Row::total_cmp);
    let mut kept = 0;
    for at in 0..new.len() {
        let repeated = kept > 0
            && match (new.get(kept - 1), new.get(at)) {
                (
                    Some(Row {
                        value: RowValue::String { folded: last, .. },
                        ..
                    }),
                    Some(Row {
                        value: RowValue::String { folded, .. },
                        ..
                    }),
                ) if kind == ParamKind::Token => last == folded,
                (Some(last), Some(row)) => last.total_cmp(row).is_eq(),
                _ => false,
            };
        if !repeated {
            new.swap(kept, at);
            kept += 1;
        }
    }
    rows.truncate(from + kept);
}

/// The compiled parameters of one version of FHIR.
pub(super) struct Plans {
    types: Types,
    shapes: Shapes,
    /// By the order of [`Model::types`].
    of_types: Vec<(TypeId, OnceLock<TypePlans>)>,
}

/// The compiled parameters of one resource type.
pub(super) struct TypePlans {
    ty: Type,
    /// Sorted by id, so that rows come out sorted.
    params: Vec<ParamPlan>,
}

/// A compiled parameter.
pub(super) struct ParamPlan {
    pub(super) id: ParamId,
    kind: ParamKind,
    pub(super) plan: Plan,
    components: Vec<composite::Component>,
}

impl Plans {
    /// The plans of a model; each type is compiled on first use.
    pub(super) fn of(model: &'static Model) -> &'static Self {
        static PLANS: PerVersion<Plans> = PerVersion::new();
        PLANS.get(model.version(), || {
            let types = Types::of(model);
            let of_types = model.types().map(|t| (t, OnceLock::new())).collect();
            Self {
                types,
                shapes: Shapes::of(model),
                of_types,
            }
        })
    }

    /// The plans of a type.
    pub(super) fn of_type(&self, type_id: TypeId) -> Option<&TypePlans> {
        let (_, cell) = self.of_types.iter().find(|(t, _)| *t == type_id)?;
        let ty = self.types.resource(type_id)?;
        Some(cell.get_or_init(|| TypePlans::compile(&self.types, type_id, ty)))
    }
}

impl TypePlans {
    fn compile(types: &Types, type_id: TypeId, ty: Type) -> Self {
        let special = |kind| kind == ParamKind::Special;
        let of_content = |p: &&Param| {
            !matches!(p.code, "_id" | "_lastUpdated")
                && !special(p.kind)
                && !p.components.iter().any(|c| special(c.kind))
        };
        // An expression that does not compile makes a parameter that is not served; there is none
        // in the models that Insula has, as a test shows.
        let compile = |p: &Param| ParamPlan::compile(types, ty, p).ok();
        let all = types.model().params(type_id).iter();
        let mut params: Vec<_> = all.filter(of_content).filter_map(compile).collect();
        params.sort_unstable_by_key(|p| p.id);
        Self { ty, params }
    }

    /// The plan of a parameter, if the engine can compute it.
    pub(super) fn param(&self, id: ParamId) -> Option<&ParamPlan> {
        let found = self.params.binary_search_by_key(&id, |p| p.id).ok()?;
        self.params.get(found)
    }
}

impl ParamPlan {
    /// The types of a composite's components, in order.
    pub(super) fn component_kinds(&self) -> Vec<ParamKind> {
        self.components.iter().map(|c| c.kind).collect()
    }

    fn compile(types: &Types, ty: Type, param: &Param) -> Result<Self, PathError> {
        let plan = Plan::compile(types, ty, param.expression)?;
        let components = composite::compile(types, ty, &plan, param)?;
        Ok(Self {
            id: param.id,
            kind: param.kind,
            plan,
            components,
        })
    }
}

/// Reads the values of one resource.
struct Reader<'a> {
    plans: &'static Plans,
    resource: Node<'a>,
    own_bases: &'a [&'a str],
    steps: &'a Cell<u64>,
}

type Emit<'e> = &'e mut dyn FnMut(RowValue);

impl<'a> Reader<'a> {
    fn param(&self, param: &'static ParamPlan, emit: Emit<'_>) {
        if param.kind == ParamKind::Composite {
            return self.composite(param, emit);
        }
        self.visit(&param.plan, self.resource, &mut |item| {
            self.values(param.kind, &item, emit);
        });
    }

    /// Runs a plan. Content that breaks a cardinality the expression relies on yields nothing.
    fn visit(&self, plan: &'static Plan, focus: Node<'a>, sink: &mut dyn FnMut(Item<'a>)) {
        let types = &self.plans.types;
        let _ = plan.visit(types, self.resource, focus, self.steps, sink);
    }

    /// The index values of an item for a parameter of this kind.
    fn values(&self, kind: ParamKind, item: &Item<'a>, emit: Emit<'_>) {
        let node = match item {
            Item::Node(node) => *node,
            // Only token parameters have computed values (`Patient.deceased`).
            Item::Bool(b) if kind == ParamKind::Token => return token::of_bool(*b, emit),
            _ => return,
        };
        let Some(value) = node.value else { return };
        let shape = self.plans.shapes.of_type(node.ty);
        match kind {
            ParamKind::Token => token::of(shape, value, emit),
            ParamKind::String => string::of(shape, value, emit),
            ParamKind::Date => temporal::of(shape, value, emit),
            ParamKind::Number => quantity::numbers(shape, value, emit),
            ParamKind::Quantity => quantity::of(shape, value, emit),
            ParamKind::Reference => self.reference(shape, value, emit),
            ParamKind::Uri => {
                if let (Shape::Primitive(_), Some(text)) = (shape, value.as_str()) {
                    emit(RowValue::Uri(keep(&text)));
                }
            }
            ParamKind::Composite | ParamKind::Special => {}
        }
    }
}

/// A text as the index keeps it.
fn keep(text: &str) -> Box<str> {
    super::value::cut(text, super::value::VALUE_BYTES_MAX).into()
}

/// The text of a member, as the index keeps it; empty where there is none.
fn member_text(value: json::Value<'_>) -> Box<str> {
    value.as_str().map_or_else(Box::default, |text| keep(&text))
}

#[cfg(test)]
mod tests;
