//! Which function does what.

use super::super::EvalError;
use super::super::function::{Function, Input};
use super::super::item::Item;
use super::super::moment::{Moment, MomentKind, Precision};
use super::super::plan::Op;
use super::{Frame, Items, Run, boundary, convert, math};

impl<'a> Run<'_, 'a> {
    pub(super) fn polymorphic(&self) -> bool {
        self.rules.polymorphic
    }

    /// A function of the table over its input.
    pub(super) fn call(
        &self,
        function: Function,
        input: Items<'a>,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        use Function as F;
        if function.input() == Input::Text {
            return self.text_function(function, &input, args, frame, out);
        }
        if let Some(items) = self.set(function, &input, args, frame)? {
            out.extend(items);
            return Ok(());
        }
        match function {
            F::Join => self.join(&input, args, frame, out),
            F::Children => {
                for node in input.iter().filter_map(Item::node) {
                    self.all_children(node, &mut |child| {
                        self.step()?;
                        out.push(Item::Node(child));
                        Ok(())
                    })?;
                }
                Ok(())
            }
            F::Descendants => self.descendants(input, out),
            F::Extension
            | F::HasExtension
            | F::HasValue
            | F::GetValue
            | F::Resolve
            | F::MemberOf
            | F::Subsumes
            | F::SubsumedBy
            | F::ConformsTo
            | F::Weight
            | F::HtmlChecks
            | F::CheckModifiers => self.element_function(function, input, args, frame, out),
            F::Type => {
                for item in &input {
                    out.push(self.type_info(item));
                }
                Ok(())
            }
            F::Now | F::Today | F::TimeOfDay => {
                let now = self.env.now.ok_or(EvalError::NoClock)?;
                out.extend(match function {
                    F::Today => now.date().map(Item::Moment),
                    F::TimeOfDay => now.time().map(Item::Moment),
                    _ => Some(Item::Moment(now)),
                });
                Ok(())
            }
            function => self.one_value(function, &input, args, frame, out),
        }
    }

    fn descendants(&self, input: Items<'a>, out: &mut Items<'a>) -> Result<(), EvalError> {
        let mut round = input;
        while !round.is_empty() {
            let mut next = Items::new();
            for node in round.iter().filter_map(Item::node) {
                self.all_children(node, &mut |child| {
                    self.step()?;
                    next.push(Item::Node(child));
                    Ok(())
                })?;
            }
            out.extend(next.iter().cloned());
            round = next;
        }
        Ok(())
    }

    fn type_info(&self, item: &Item<'a>) -> Item<'a> {
        let ty = item.ty();
        let namespace = if ty.as_system().is_some() {
            "System"
        } else {
            "FHIR"
        };
        Item::TypeInfo(namespace, self.types().type_name(ty))
    }

    /// Functions of a single value, with at most one argument.
    fn one_value(
        &self,
        function: Function,
        input: &Items<'a>,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        use Function as F;
        let item = match input.as_slice() {
            [] => return Ok(()),
            [item] => item,
            _ => return Err(EvalError::NotSingle),
        };
        if let Some(converts) = converts(function) {
            let unit = match args.first() {
                Some(arg) => self.string(arg, frame)?,
                None => None,
            };
            let found = convert::convert(function, item, unit.as_deref(), self.types());
            if converts {
                out.push(Item::Bool(found.is_some()));
            } else {
                out.extend(found);
            }
            return Ok(());
        }
        let Some(value) = item.system(self.types()) else {
            let valueless = item
                .node()
                .is_some_and(|n| n.ty.is_primitive() && n.value.is_none());
            return if valueless {
                Ok(())
            } else {
                Err(EvalError::Input(function.as_str()))
            };
        };
        let arg = match args.first() {
            Some(arg) => match self
                .single(arg, frame)?
                .and_then(|a| a.system(self.types()))
            {
                Some(arg) => Some(arg),
                // An argument that is empty makes the answer empty.
                None => return Ok(()),
            },
            None => None,
        };
        match function {
            F::LowBoundary | F::HighBoundary => {
                let digits = match arg {
                    None => None,
                    Some(Item::Integer(n)) => Some(i64::from(n)),
                    Some(_) => return Err(EvalError::Input(function.as_str())),
                };
                out.extend(boundary::of(&value, digits, function == F::HighBoundary)?);
            }
            F::Precision => out.push(boundary::precision(&value)?),
            F::Comparable => match (&value, &arg) {
                (Item::Quantity(left), Some(Item::Quantity(right))) => {
                    out.push(Item::Bool(left.is_comparable(right)));
                }
                _ => return Err(EvalError::Input(function.as_str())),
            },
            F::YearOf
            | F::MonthOf
            | F::DayOf
            | F::HourOf
            | F::MinuteOf
            | F::SecondOf
            | F::MillisecondOf
            | F::TimezoneOffsetOf
            | F::DateOf
            | F::TimeOf => {
                let Item::Moment(moment) = value else {
                    return Err(EvalError::Input(function.as_str()));
                };
                out.extend(part(function, moment));
            }
            function => out.extend(math::of(function, &value, arg.as_ref())?),
        }
        Ok(())
    }
}

/// A part of a date or time, where it is known.
fn part<'a>(function: Function, moment: Moment) -> Option<Item<'a>> {
    use Function as F;
    let dated = moment.kind != MomentKind::Time;
    let known = |precision, value: i64| {
        let holds = moment.precision >= precision;
        let value = i32::try_from(value).ok()?;
        holds.then_some(Item::Integer(value))
    };
    match function {
        F::YearOf if dated => known(Precision::Year, i64::from(moment.year)),
        F::MonthOf if dated => known(Precision::Month, i64::from(moment.month)),
        F::DayOf if dated => known(Precision::Day, i64::from(moment.day)),
        F::HourOf => known(Precision::Hour, i64::from(moment.hour)),
        F::MinuteOf => known(Precision::Minute, i64::from(moment.minute)),
        F::SecondOf => known(Precision::Second, i64::from(moment.second)),
        F::MillisecondOf if moment.digits > 0 => {
            known(Precision::Second, i64::from(moment.nanos / 1_000_000))
        }
        F::TimezoneOffsetOf => {
            let minutes = rust_decimal::Decimal::from(moment.offset?);
            let hours = minutes.checked_div(rust_decimal::Decimal::from(60))?;
            Some(Item::Decimal(hours))
        }
        F::DateOf => moment.date().map(Item::Moment),
        F::TimeOf => moment.time().map(Item::Moment),
        _ => None,
    }
}

/// Whether a function is a question (`convertsTo…`) or a conversion (`to…`); `None`: neither.
const fn converts(function: Function) -> Option<bool> {
    use Function as F;
    match function {
        F::ToBoolean
        | F::ToInteger
        | F::ToLong
        | F::ToDecimal
        | F::ToString
        | F::ToDate
        | F::ToDateTime
        | F::ToTime
        | F::ToQuantity => Some(false),
        F::ConvertsToBoolean
        | F::ConvertsToInteger
        | F::ConvertsToLong
        | F::ConvertsToDecimal
        | F::ConvertsToString
        | F::ConvertsToDate
        | F::ConvertsToDateTime
        | F::ConvertsToTime
        | F::ConvertsToQuantity => Some(true),
        _ => None,
    }
}
