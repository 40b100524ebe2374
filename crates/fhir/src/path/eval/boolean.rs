//! Operations whose answer is a boolean: three-valued logic, comparisons, tests.

use super::super::EvalError;
use super::super::item::{Item, Node};
use super::super::plan::{Op, Step};
use super::{Frame, Run, from_ref};

impl<'a> Run<'_, 'a> {
    /// `path = literal`, without making collections of either.
    fn equal_at(
        &self,
        node: Node<'a>,
        steps: &'a [Step],
        literal: &Item<'a>,
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<bool>, EvalError> {
        let (mut count, mut answer) = (0_usize, None);
        self.walk(node, steps, frame, &mut |found| {
            count += 1;
            if count == 1 {
                answer = self.equal(&Item::Node(found), literal)?;
            }
            Ok(())
        })?;
        Ok(if count > 1 { Some(false) } else { answer })
    }

    /// Operations whose answer is a boolean, or empty.
    pub(super) fn boolean(
        &self,
        op: &'a Op,
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<bool>, EvalError> {
        Ok(match op {
            Op::Exists(of) => Some(!self.items(of, frame)?.is_empty()),
            Op::Not(of) => self.truth(of, frame)?.map(|b| !b),
            Op::All(of, criteria) => {
                for (index, item) in self.items(of, frame)?.iter().enumerate() {
                    if self.truth(criteria, &frame.of(from_ref(item), index))? != Some(true) {
                        return Ok(Some(false));
                    }
                }
                Some(true)
            }
            Op::And(left, right) => match self.truth(left, frame)? {
                Some(false) => Some(false),
                left => match (left, self.truth(right, frame)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Op::Or(left, right) => match self.truth(left, frame)? {
                Some(true) => Some(true),
                left => match (left, self.truth(right, frame)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Op::Xor(left, right) => self
                .truth(left, frame)?
                .zip(self.truth(right, frame)?)
                .map(|(l, r)| l != r),
            Op::Implies(left, right) => match self.truth(left, frame)? {
                Some(false) => Some(true),
                left => match (left, self.truth(right, frame)?) {
                    (_, Some(true)) => Some(true),
                    (Some(true), right) => right,
                    _ => None,
                },
            },
            Op::Equal(left, right) => {
                if let (Op::Path(of, steps), Op::Literal(literal)) = (&**left, &**right)
                    && let (Op::Focus, [Item::Node(node)]) = (&**of, frame.this)
                {
                    return self.equal_at(*node, steps, literal, frame);
                }
                let (left, right) = (self.items(left, frame)?, self.items(right, frame)?);
                self.equal_collections(&left, &right)?
            }
            Op::Equivalent(left, right) => {
                let (left, right) = (self.items(left, frame)?, self.items(right, frame)?);
                Some(self.equivalent_collections(&left, &right)?)
            }
            Op::Compare(operator, left, right) => {
                let (left, right) = (self.single(left, frame)?, self.single(right, frame)?);
                match (left, right) {
                    (Some(left), Some(right)) => self.compare(*operator, &left, &right)?,
                    _ => None,
                }
            }
            Op::In(left, right) => {
                let left = self.single(left, frame)?;
                let right = self.items(right, frame)?;
                match left {
                    Some(left) => Some(self.is_in(&left, &right)?),
                    None => None,
                }
            }
            Op::Is(of, test) => self
                .single(of, frame)?
                .map(|item| test.holds(&item, self.types())),
            Op::ResolvesTo(of, test) => match self.single(of, frame)? {
                Some(item) => Some(self.resolves_to(&item, *test)?),
                None => None,
            },
            _ => None,
        })
    }
}
