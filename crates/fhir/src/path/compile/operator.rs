//! Operators with two operands, and what comes out of them.

use super::super::PathError;
use super::super::ast::{Expr, Operator};
use super::super::plan::Op;
use super::super::types::{System, Type, Types};
use super::{Compiler, Kinds, Scope, Typed, one};

impl Compiler<'_> {
    pub(super) fn binary(
        &self,
        operator: Operator,
        left: &Expr,
        right: &Expr,
        scope: &Scope,
    ) -> Result<Typed, PathError> {
        let left = self.branch(left, scope)?;
        let right = self.branch(right, scope)?;
        if operator == Operator::Plus && !self.can_add(&left.types, &right.types) {
            return Err(PathError::Operands {
                operator: operator.as_str(),
                left: self.names(&left.types),
                right: self.names(&right.types),
            });
        }
        let sum = arithmetic_types(self.types, operator, &left.types, &right.types);
        let (left, right) = (Box::new(left.op), Box::new(right.op));
        let boolean = |op| Ok(one(op, System::Boolean));
        match operator {
            Operator::And => boolean(Op::And(left, right)),
            Operator::Or => boolean(Op::Or(left, right)),
            Operator::Xor => boolean(Op::Xor(left, right)),
            Operator::Implies => boolean(Op::Implies(left, right)),
            Operator::Equal => boolean(Op::Equal(left, right)),
            Operator::NotEqual => boolean(Op::Not(Box::new(Op::Equal(left, right)))),
            Operator::Equivalent => boolean(Op::Equivalent(left, right)),
            Operator::NotEquivalent => boolean(Op::Not(Box::new(Op::Equivalent(left, right)))),
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => boolean(Op::Compare(operator, left, right)),
            Operator::In => boolean(Op::In(left, right)),
            Operator::Contains => boolean(Op::In(right, left)),
            Operator::Concatenate => Ok(one(Op::Concatenate(left, right), System::String)),
            Operator::Plus
            | Operator::Minus
            | Operator::Times
            | Operator::Divide
            | Operator::Div
            | Operator::Mod => Ok(Typed::new(Op::Arithmetic(operator, left, right), sum)),
            Operator::Union => Ok(Typed::nothing()),
        }
    }

    /// Whether some pair of operands can be added.
    fn can_add(&self, left: &Kinds, right: &Kinds) -> bool {
        if left.any || right.any || left.list.is_empty() || right.list.is_empty() {
            return true;
        }
        let class = |t: &Type| sum_class(self.types, *t);
        left.list.iter().any(|l| {
            right.list.iter().any(|r| match (class(l), class(r)) {
                (Sum::Moment, Sum::Quantity) => true,
                (Sum::Moment, _) | (_, Sum::Moment) => false,
                (Sum::Number, Sum::Quantity) | (Sum::Quantity, Sum::Number) => true,
                (l, r) => l == r && l != Sum::Other,
            })
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sum {
    Number,
    Text,
    Moment,
    Quantity,
    Other,
}

fn sum_class(types: &Types, ty: Type) -> Sum {
    use crate::definitions::Primitive as P;
    if types.is_quantity(ty) {
        return Sum::Quantity;
    }
    match (ty.as_system(), ty.as_primitive()) {
        (Some(System::Integer | System::Long | System::Decimal), _)
        | (_, Some(P::Integer | P::Integer64 | P::PositiveInt | P::UnsignedInt | P::Decimal)) => {
            Sum::Number
        }
        (Some(System::Date | System::DateTime | System::Time), _)
        | (_, Some(P::Date | P::DateTime | P::Instant | P::Time)) => Sum::Moment,
        (Some(System::Boolean | System::TypeInfo), _) | (_, Some(P::Boolean)) | (None, None) => {
            Sum::Other
        }
        _ => Sum::Text,
    }
}

/// The types of a sum, product …
fn arithmetic_types(types: &Types, operator: Operator, left: &Kinds, right: &Kinds) -> Kinds {
    if left.any || right.any {
        return Kinds::any();
    }
    if left.list.is_empty() || right.list.is_empty() {
        return Kinds::default();
    }
    let mut kinds = Kinds::default();
    for ty in left.list.iter().chain(&right.list) {
        let found: &[System] = match sum_class(types, *ty) {
            Sum::Number if operator == Operator::Divide => &[System::Decimal],
            Sum::Number => &[System::Integer, System::Long, System::Decimal],
            Sum::Text => &[System::String],
            Sum::Moment => match ty.content() {
                crate::definitions::Content::Primitive(crate::definitions::Primitive::Date) => {
                    &[System::Date]
                }
                crate::definitions::Content::Primitive(crate::definitions::Primitive::Time) => {
                    &[System::Time]
                }
                _ => &[System::DateTime],
            },
            Sum::Quantity => &[System::Quantity],
            Sum::Other => &[],
        };
        let found: Vec<Type> = found.iter().map(|s| Type::system(*s)).collect();
        kinds.add(&Kinds::of(&found));
    }
    kinds
}
