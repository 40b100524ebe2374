//! `search.html#composite`

use crate::definitions::ParamKind;
use crate::path::{Node, PathError, Plan, Type, Types};

use super::super::rows::{PartKind, RowValue, folded, joined};
use super::{Emit, ParamPlan, Reader};

/// Combinations kept for one instance of a composite: a concept with twenty codings and as many
/// values fits; what goes past it is not searchable as a combination.
pub(super) const COMBINATIONS_MAX: usize = 1_024;

/// A part of a composite, compiled for each type that its instances may have.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) kind: ParamKind,
    plans: Vec<(Type, Plan)>,
}

impl Component {
    /// Its expression for each type of instance.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter().map(|(_, plan)| plan)
    }
}

/// Combinations of one instance of a composite with these parts.
fn combinations_max(components: &[Component]) -> usize {
    if components.len() < 3 {
        return COMBINATIONS_MAX;
    }
    let kinds = components.iter().map(|c| PartKind::of(c.kind));
    let kinds: Option<Vec<PartKind>> = kinds.collect();
    let folded = kinds.and_then(|kinds| folded(&kinds));
    folded.map_or(COMBINATIONS_MAX, |folded| folded.combinations_max())
}

/// `parts`: the type of each part, and its expression.
pub(super) fn compile<'p>(
    types: &Types,
    resource: Type,
    instances: &Plan,
    parts: impl Iterator<Item = (ParamKind, &'p str)>,
) -> Result<Vec<Component>, PathError> {
    let component = |(declared, expression): (ParamKind, &str)| {
        let plan =
            |ty: &Type| Plan::compile_in(types, resource, *ty, expression).map(|plan| (*ty, plan));
        let plans: Vec<(Type, Plan)> = instances
            .types()
            .iter()
            .map(plan)
            .collect::<Result<_, _>>()?;
        let names = plans
            .iter()
            .flat_map(|(_, plan)| plan.types())
            .map(|t| types.name(*t));
        let kind = kind_of(declared, names);
        Ok(Component { kind, plans })
    };
    parts.map(component).collect()
}

/// How a part is compared: as its definition says, unless its expression yields what no parameter
/// of that type can hold. (The two definitions of `DocumentReference.relationship` are swapped.)
fn kind_of<'n>(declared: ParamKind, mut names: impl Iterator<Item = &'n str>) -> ParamKind {
    match declared {
        ParamKind::Reference if names.all(|n| matches!(n, "code" | "CodeableConcept")) => {
            ParamKind::Token
        }
        ParamKind::Token if names.all(|n| n == "Reference") => ParamKind::Reference,
        _ => declared,
    }
}

impl<'a> Reader<'a> {
    /// One row for each combination of the components' values within one instance.
    pub(super) fn composite(&self, param: &'a ParamPlan, emit: Emit<'_>) {
        self.each(param, &mut |item| {
            if let Some(instance) = item.node() {
                self.instance(&param.components, instance, emit);
            }
        });
    }

    fn instance(&self, components: &'a [Component], instance: Node<'a>, emit: Emit<'_>) {
        // The last part is the rarest (`code` comes first, its value last), and one that is absent
        // ends it.
        let mut parts = Vec::with_capacity(components.len());
        for component in components.iter().rev() {
            let values = self.component(component, instance);
            if values.is_empty() {
                return;
            }
            parts.push(values);
        }
        let most = combinations_max(components);
        let mut combinations = vec![Vec::with_capacity(parts.len())];
        while let Some(values) = parts.pop() {
            let longer = combinations.iter().flat_map(|combination| {
                values.iter().map(move |value| {
                    let mut longer = combination.clone();
                    longer.push(value.clone());
                    longer
                })
            });
            combinations = longer.take(most).collect();
        }
        combinations
            .into_iter()
            .map(RowValue::Composite)
            .for_each(emit);
    }

    /// The values of a part that a composite can compare: no texts of tokens, no identifiers of
    /// references.
    fn component(&self, component: &'a Component, instance: Node<'a>) -> Vec<RowValue> {
        let mut values = Vec::new();
        let plan = component.plans.iter().find(|(ty, _)| *ty == instance.ty);
        if let Some((_, plan)) = plan {
            self.visit(plan, instance, &mut |item| {
                self.values(component.kind, &item, &mut |value| {
                    if is_comparable(component.kind, &value) {
                        values.push(compared(component.kind, value));
                    }
                });
            });
        }
        values
    }
}

/// Texts are compared by how they begin.
fn compared(kind: ParamKind, value: RowValue) -> RowValue {
    match value {
        RowValue::String { folded, exact } if kind == ParamKind::String => RowValue::String {
            folded: joined(&folded).into(),
            exact,
        },
        value => value,
    }
}

fn is_comparable(kind: ParamKind, value: &RowValue) -> bool {
    match kind {
        ParamKind::Token => matches!(value, RowValue::Token { .. }),
        ParamKind::Reference => match value {
            RowValue::ReferenceIdentifier { .. } | RowValue::String { .. } => false,
            RowValue::ReferenceUrl { url, .. } => **url != *super::reference::UNNAMED,
            _ => true,
        },
        _ => true,
    }
}
