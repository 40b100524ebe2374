//! `<`, `<=`, `>`, `>=` and `sort()`.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::super::EvalError;
use super::super::ast::Operator;
use super::super::item::Item;
use super::super::moment::MomentKind;
use super::super::plan::Op;
use super::equal::{as_decimal, as_quantity};
use super::{Frame, Items, Run, from_ref};

impl<'a> Run<'_, 'a> {
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
        let sorted = merged(keyed, |left, right| self.keys_order(left, right))?;
        out.extend(sorted.into_iter().map(|(_, item)| item));
        Ok(())
    }

    fn keys_order(&self, left: &Keyed<'a>, right: &Keyed<'a>) -> Result<Ordering, EvalError> {
        for ((left, down), (right, _)) in left.0.iter().zip(&right.0) {
            let order = match (left, right) {
                (Some(left), Some(right)) => {
                    let order = self.order(left, right, "sort")?;
                    let order = order.unwrap_or(Ordering::Equal);
                    if *down { order.reverse() } else { order }
                }
                (left, right) => left.is_some().cmp(&right.is_some()),
            };
            if order.is_ne() {
                return Ok(order);
            }
        }
        Ok(Ordering::Equal)
    }
}

/// The keys of an item, each with whether it goes down, and the item.
type Keyed<'a> = (Vec<(Option<Item<'a>>, bool)>, Item<'a>);

/// Sorted, equal ones in the order they came. Unlike the standard library's sort this takes any
/// comparison: dates of different precision have no total order.
fn merged<T>(
    items: Vec<T>,
    order: impl Fn(&T, &T) -> Result<Ordering, EvalError>,
) -> Result<Vec<T>, EvalError> {
    let mut runs: VecDeque<Vec<T>> = items.into_iter().map(|item| vec![item]).collect();
    while runs.len() > 1 {
        let mut longer = VecDeque::with_capacity(runs.len() / 2 + 1);
        while let Some(left) = runs.pop_front() {
            let Some(right) = runs.pop_front() else {
                longer.push_back(left);
                break;
            };
            let mut run = Vec::with_capacity(left.len() + right.len());
            let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
            while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
                let next = if order(r, l)?.is_lt() {
                    right.next()
                } else {
                    left.next()
                };
                run.extend(next);
            }
            run.extend(left);
            run.extend(right);
            longer.push_back(run);
        }
        runs = longer;
    }
    Ok(runs.pop_front().unwrap_or_default())
}
