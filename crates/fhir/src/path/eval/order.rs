//! `<`, `<=`, `>`, `>=` and `sort()`.

use std::cmp::Ordering;

use super::super::EvalError;
use super::super::ast::Operator;
use super::super::item::Item;
use super::super::moment::MomentKind;
use super::super::plan::Op;
use super::equal::{as_decimal, as_quantity};
use super::{Frame, Items, Run, from_ref};

impl<'a> Run<'a> {
    pub(super) fn compare(
        &self,
        operator: Operator,
        left: &Item<'a>,
        right: &Item<'a>,
    ) -> Result<Option<bool>, EvalError> {
        let order = self.order(left, right, operator.as_str())?;
        Ok(order.map(|order| match operator {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            _ => order.is_ge(),
        }))
    }

    /// The order of two items; `None` where there is none, an error where they do not go together.
    pub(super) fn order(
        &self,
        left: &Item<'a>,
        right: &Item<'a>,
        operator: &'static str,
    ) -> Result<Option<Ordering>, EvalError> {
        let mismatch = || EvalError::Operands(operator);
        let system = (left.system(self.types()), right.system(self.types()));
        let (Some(left), Some(right)) = system else {
            // A primitive without value is nothing; anything else has no order.
            let empty = |item: &Item<'a>| {
                item.node()
                    .is_some_and(|n| n.ty.is_primitive() && n.value.is_none())
            };
            return if empty(left) || empty(right) {
                Ok(None)
            } else {
                Err(mismatch())
            };
        };
        if let (Some(l), Some(r)) = (as_decimal(&left), as_decimal(&right)) {
            return Ok(Some(l.cmp(&r)));
        }
        match (&left, &right) {
            (Item::String(l), Item::String(r)) => Ok(Some(l.cmp(r))),
            (Item::Moment(l), Item::Moment(r))
                if (l.kind == MomentKind::Time) == (r.kind == MomentKind::Time) =>
            {
                Ok(l.order(r))
            }
            (Item::Quantity(_), _) | (_, Item::Quantity(_)) => {
                match (as_quantity(&left), as_quantity(&right)) {
                    (Some(l), Some(r)) => Ok(l.order(&r)),
                    _ => Err(mismatch()),
                }
            }
            _ => Err(mismatch()),
        }
    }

    /// By each key in turn; items without a key come first, whichever way the key goes.
    pub(super) fn sort(
        &self,
        of: &'a Op,
        keys: &'a [(Op, bool)],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        let mut keyed = Vec::new();
        for (index, item) in self.items(of, frame)?.into_iter().enumerate() {
            let mut values = Vec::with_capacity(keys.len());
            for (key, down) in keys {
                let value = self.single(key, &frame.of(from_ref(&item), index))?;
                values.push((value, *down));
            }
            keyed.push((values, item));
        }
        self.steps(keyed.len().saturating_mul(8))?;
        let mut failed = None;
        keyed.sort_by(|(left, _), (right, _)| {
            for ((left, down), (right, _)) in left.iter().zip(right) {
                let order = match (left, right) {
                    (Some(left), Some(right)) => match self.order(left, right, "sort") {
                        Ok(order) => order.unwrap_or(Ordering::Equal),
                        Err(error) => {
                            failed = Some(error);
                            Ordering::Equal
                        }
                    },
                    (left, right) => {
                        let order = left.is_some().cmp(&right.is_some());
                        if order.is_ne() {
                            return order;
                        }
                        order
                    }
                };
                if order.is_ne() {
                    return if *down { order.reverse() } else { order };
                }
            }
            Ordering::Equal
        });
        out.extend(keyed.into_iter().map(|(_, item)| item));
        failed.map_or(Ok(()), Err)
    }
}
