//! Operations with a part that is evaluated for items one by one, or with variables of its own.

use super::super::EvalError;
use super::super::plan::Op;
use super::{Frame, Items, Run, from_ref};

impl<'a> Run<'_, 'a> {
    /// Operations with a part that is evaluated for items one by one.
    pub(super) fn lambda(
        &self,
        op: &'a Op,
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        match op {
            Op::Iif(of, criterion, then, otherwise) => {
                let input = self.items(of, frame)?;
                if input.len() > 1 {
                    return Err(EvalError::NotSingle);
                }
                let inner = Frame {
                    this: &input,
                    ..*frame
                };
                let holds = self.truth(criterion, &inner)? == Some(true);
                self.eval(if holds { then } else { otherwise }, &inner, out)
            }
            Op::Repeat(of, projection, all) => self.repeat(of, projection, *all, frame, out),
            Op::Aggregate(of, round, start) => {
                let mut total = self.items(start, frame)?;
                for (index, item) in self.items(of, frame)?.iter().enumerate() {
                    let inner = Frame {
                        this: from_ref(item),
                        index: Some(index),
                        total: &total,
                    };
                    total = self.items(round, &inner)?;
                }
                out.extend(total);
                Ok(())
            }
            Op::Trace(of, name, projection) => {
                let items = self.items(of, frame)?;
                let name = self.string(name, frame)?.unwrap_or_default();
                match projection {
                    None => self.env.host.trace(&name, &items),
                    Some(projection) => {
                        let mut shown = Items::new();
                        for (index, item) in items.iter().enumerate() {
                            self.eval(projection, &frame.of(from_ref(item), index), &mut shown)?;
                        }
                        self.env.host.trace(&name, &shown);
                    }
                }
                out.extend(items);
                Ok(())
            }
            Op::Sort(of, keys) => self.sort(of, keys, frame, out),
            Op::Define(of, slot, name, value) => {
                let input = self.items(of, frame)?;
                let inner = Frame {
                    this: &input,
                    ..*frame
                };
                let name = self.string(name, &inner)?.unwrap_or_default().into_owned();
                let value = match value {
                    Some(value) => self.items(value, &inner)?,
                    None => input.clone(),
                };
                if let Some(slot) = self.slots.borrow_mut().get_mut(*slot) {
                    *slot = (name, value);
                }
                out.extend(input);
                Ok(())
            }
            Op::Make(make, args) => self.make(*make, args, frame, out),
            Op::Call(function, of, args) => {
                let input = self.items(of, frame)?;
                self.call(*function, input, args, frame, out)
            }
            Op::Pattern(function, of, regex, args) => {
                let input = self.items(of, frame)?;
                self.fixed_pattern(*function, &input, regex, args, frame, out)
            }
            _ => Ok(()),
        }
    }

    fn repeat(
        &self,
        of: &'a Op,
        projection: &'a Op,
        all: bool,
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        let mut round = self.items(of, frame)?;
        let from = out.len();
        while !round.is_empty() {
            let mut next = Items::new();
            for (index, item) in round.iter().enumerate() {
                for found in self.items(projection, &frame.of(from_ref(item), index))? {
                    if all {
                        self.step()?;
                        out.push(found.clone());
                        next.push(found);
                    } else if self.push_new(found.clone(), out, from)? {
                        next.push(found);
                    }
                }
            }
            round = next;
        }
        Ok(())
    }
}
