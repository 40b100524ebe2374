//! Functions of whole collections.

use super::super::EvalError;
use super::super::function::Function;
use super::super::item::Item;
use super::super::plan::Op;
use super::{Frame, Items, Run};

impl<'a> Run<'_, 'a> {
    pub(super) fn is_in(&self, item: &Item<'a>, items: &[Item<'a>]) -> Result<bool, EvalError> {
        for other in items {
            if self.equal(item, other)? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn are_in(&self, items: &[Item<'a>], others: &[Item<'a>]) -> Result<bool, EvalError> {
        for item in items {
            if !self.is_in(item, others)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Functions of a collection, or of two; `None`: another kind of function.
    pub(super) fn set(
        &self,
        function: Function,
        input: &Items<'a>,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<Items<'a>>, EvalError> {
        use Function as F;
        let other = || match args.first() {
            Some(arg) => self.items(arg, frame),
            None => Ok(Items::new()),
        };
        let boolean = |b: bool| Items::from_iter([Item::Bool(b)]);
        let mut out = Items::new();
        match function {
            F::Single if input.len() > 1 => return Err(EvalError::NotSingle),
            F::Single => out.extend(input.iter().cloned()),
            F::Distinct | F::IsDistinct => {
                for item in input {
                    self.push_new(item.clone(), &mut out, 0)?;
                }
                if function == F::IsDistinct {
                    out = boolean(out.len() == input.len());
                }
            }
            F::AllTrue | F::AnyTrue | F::AllFalse | F::AnyFalse => {
                let wanted = matches!(function, F::AllTrue | F::AnyTrue);
                let all = matches!(function, F::AllTrue | F::AllFalse);
                let mut answer = all;
                for item in input {
                    let Some(Item::Bool(b)) = item.system(self.types()) else {
                        return Err(EvalError::Input(function.as_str()));
                    };
                    if (b == wanted) != all {
                        answer = !all;
                    }
                }
                out = boolean(answer);
            }
            F::SubsetOf => out = boolean(self.are_in(input, &other()?)?),
            F::SupersetOf => out = boolean(self.are_in(&other()?, input)?),
            F::Intersect => {
                let other = other()?;
                for item in input {
                    if self.is_in(item, &other)? {
                        self.push_new(item.clone(), &mut out, 0)?;
                    }
                }
            }
            F::Exclude => {
                let other = other()?;
                for item in input {
                    if !self.is_in(item, &other)? {
                        out.push(item.clone());
                    }
                }
            }
            F::Combine => {
                out.extend(input.iter().cloned());
                for item in other()? {
                    self.step()?;
                    out.push(item);
                }
            }
            F::Coalesce => {
                for arg in args {
                    out = self.items(arg, frame)?;
                    if !out.is_empty() {
                        break;
                    }
                }
            }
            F::Skip | F::Take => {
                let count = match args.first() {
                    Some(arg) => self.integer(arg, frame)?,
                    None => None,
                };
                let Some(count) = count else {
                    return Ok(Some(out));
                };
                let count = usize::try_from(count).unwrap_or(0);
                let items = input.iter().cloned();
                if function == F::Skip {
                    out.extend(items.skip(count));
                } else {
                    out.extend(items.take(count));
                }
            }
            F::Sum | F::Min | F::Max | F::Avg => out.extend(self.total(function, input)?),
            _ => return Ok(None),
        }
        Ok(Some(out))
    }

    fn total(&self, function: Function, input: &Items<'a>) -> Result<Option<Item<'a>>, EvalError> {
        use super::super::ast::Operator;
        let mut items = input.iter();
        let Some(first) = items.next() else {
            return Ok(None);
        };
        let mut total = first.clone();
        for item in items {
            let next = match function {
                Function::Min | Function::Max => {
                    let order = self.order(item, &total, function.as_str())?;
                    let better = order.is_some_and(|o| {
                        if function == Function::Min {
                            o.is_lt()
                        } else {
                            o.is_gt()
                        }
                    });
                    if better { Some(item.clone()) } else { None }
                }
                _ => match self.arithmetic(Operator::Plus, &total, item)? {
                    Some(sum) => Some(sum),
                    None => return Ok(None),
                },
            };
            if let Some(next) = next {
                total = next;
            }
        }
        if function == Function::Avg {
            let count = Item::Integer(i32::try_from(input.len()).unwrap_or(i32::MAX));
            return self.arithmetic(Operator::Divide, &total, &count);
        }
        Ok(Some(total))
    }
}
