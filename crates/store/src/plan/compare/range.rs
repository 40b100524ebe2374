//! Ranges: dates, numbers and quantities, with the prefixes of `search.html#prefix`.

use fhir::search::query::{Prefix, Range, Unit};
use fhir::search::rows::in_unit;
use fhir::ucum;

use super::{Arm, Op, Pred, Test, Ways, filtered, unordered};
use crate::Result;
use crate::plan::Facts;
use crate::plan::text::Bind;
use crate::sqlite::index::Table;

/// Ranges of dates no longer than this (µs) are not in the index of long ones.
const DAY: i64 = 86_400_000_000;

/// A range searched for, and the columns it is compared with.
pub(super) struct Ends {
    columns: (&'static str, &'static str),
    low: Bind,
    high: Bind,
    /// `low == high`, and both belong.
    point: bool,
    /// The range's ends moved down by the longest range that the index of long ones leaves out.
    low_before: Bind,
    high_before: Bind,
    /// The lesser of `low` and `high_before`.
    least: Bind,
}

impl Ends {
    pub(super) fn of_date(low: &'static str, high: &'static str, r: Range<i64>) -> Self {
        let before = |x: i64| x.saturating_sub(DAY);
        Self {
            columns: (low, high),
            low: Bind::Int(r.low),
            high: Bind::Int(r.high),
            point: r.low == r.high,
            low_before: Bind::Int(before(r.low)),
            high_before: Bind::Int(before(r.high)),
            least: Bind::Int(r.low.min(before(r.high))),
        }
    }

    pub(super) fn of_number(low: &'static str, high: &'static str, r: Range<f64>) -> Self {
        // A little more than 1, so that rounding leaves nothing out.
        let before = |x: f64| match x.is_finite() {
            true => x - 1.001 - x.abs() * 1e-9,
            false => x,
        };
        Self {
            columns: (low, high),
            low: Bind::real(r.low),
            high: Bind::real(r.high),
            point: r.low >= r.high,
            low_before: Bind::real(before(r.low)),
            high_before: Bind::real(before(r.high)),
            least: Bind::real(r.low.min(before(r.high))),
        }
    }

    fn low(&self, op: Op, value: &Bind) -> Pred {
        Pred::Column(self.columns.0, op, value.clone())
    }

    fn high(&self, op: Op, value: &Bind) -> Pred {
        Pred::Column(self.columns.1, op, value.clone())
    }

    /// What a stored range `[low, high)`, or point, must meet (`search.html#prefix`).
    pub(super) fn preds(&self, how: Prefix) -> Vec<Pred> {
        let (low, high) = (&self.low, &self.high);
        let any = |groups: Vec<Pred>| Pred::Any(groups.into_iter().map(|p| vec![p]).collect());
        match how {
            Prefix::Eq if self.point => vec![self.low(Op::Is, low), self.high(Op::Is, high)],
            Prefix::Eq => vec![
                self.low(Op::MoreOrIs, low),
                self.low(Op::Less, high),
                self.high(Op::LessOrIs, high),
            ],
            Prefix::Ne => vec![Pred::Not(self.preds(Prefix::Eq))],
            Prefix::Gt if self.point => vec![self.high(Op::More, high)],
            Prefix::Gt => {
                vec![any(vec![
                    self.high(Op::More, high),
                    self.low(Op::MoreOrIs, high),
                ])]
            }
            Prefix::Lt => vec![self.low(Op::Less, low)],
            Prefix::Ge => {
                vec![any(vec![
                    self.low(Op::MoreOrIs, low),
                    self.high(Op::More, high),
                ])]
            }
            Prefix::Le if self.point => vec![
                self.low(Op::LessOrIs, low),
                any(vec![self.low(Op::Less, low), self.high(Op::Is, high)]),
            ],
            Prefix::Le => vec![
                self.low(Op::Less, high),
                any(vec![self.low(Op::Less, low), self.high(Op::LessOrIs, high)]),
            ],
            Prefix::Sa if self.point => vec![self.low(Op::More, high)],
            Prefix::Sa => vec![self.low(Op::MoreOrIs, high)],
            Prefix::Eb => vec![self.low(Op::Less, low), self.high(Op::LessOrIs, low)],
            Prefix::Ap => vec![
                self.low(if self.point { Op::LessOrIs } else { Op::Less }, high),
                any(vec![self.high(Op::More, low), self.low(Op::MoreOrIs, low)]),
            ],
        }
    }

    /// Where such ranges are, in an index ordered by `low`.
    pub(super) fn arms(&self, how: Prefix) -> Vec<Arm> {
        let arm = |long: bool, mut preds: Vec<Pred>| {
            preds.extend(self.preds(how));
            Arm {
                long,
                ..unordered(preds)
            }
        };
        match how {
            Prefix::Eq | Prefix::Ne | Prefix::Lt | Prefix::Le | Prefix::Sa | Prefix::Eb => {
                vec![arm(false, Vec::new())]
            }
            Prefix::Gt => vec![
                arm(false, vec![self.low(Op::MoreOrIs, &self.high_before)]),
                arm(true, vec![self.high(Op::More, &self.high)]),
            ],
            Prefix::Ge => vec![
                arm(false, vec![self.low(Op::MoreOrIs, &self.least)]),
                arm(true, vec![self.high(Op::More, &self.high)]),
            ],
            Prefix::Ap => vec![
                arm(false, vec![self.low(Op::MoreOrIs, &self.low_before)]),
                arm(true, vec![self.high(Op::More, &self.low)]),
            ],
        }
    }
}

/// The tests of a quantity; none if the tenant does not have the unit's system. A UCUM unit is
/// compared in every unit of its kind that the parameter's rows have, so that 1 g finds 1000 mg.
pub(super) fn quantity(
    param: i64,
    how: Prefix,
    range: Range<f64>,
    unit: &Unit,
    facts: &mut dyn Facts,
) -> Result<Vec<Test>> {
    let Unit::Coded { system, code } = unit else {
        return Ok(in_one_unit(param, how, range, unit, facts)?
            .into_iter()
            .collect());
    };
    let place = Place {
        table: Table::Quantity,
        param,
        fixed: Vec::new(),
        columns: &["unit", "system"],
    };
    let mut tests = Vec::new();
    for (code, range) in in_units(system, code, range, &place, facts)? {
        let system = system.clone();
        let unit = Unit::Coded { system, code };
        tests.extend(in_one_unit(param, how, range, &unit, facts)?);
    }
    Ok(tests)
}

/// Where units stand in an index: the last two columns are a unit's code and its system.
pub(super) struct Place {
    pub(super) table: Table,
    pub(super) param: i64,
    pub(super) fixed: Vec<(&'static str, Bind)>,
    pub(super) columns: &'static [&'static str],
}

/// A range of a unit in each unit of its kind that there is: itself alone where it is no UCUM unit.
pub(super) fn in_units(
    system: &str,
    code: &str,
    range: Range<f64>,
    place: &Place,
    facts: &mut dyn Facts,
) -> Result<Vec<(String, Range<f64>)>> {
    let own = vec![(code.to_owned(), range)];
    if system != ucum::SYSTEM || !ucum::is_valid(code) {
        return Ok(own);
    }
    let Some(number) = facts.system(system)? else {
        return Ok(own);
    };
    // However many there are: the search's deadline and steps are the bound.
    let (fixed, all) = (&place.fixed, usize::MAX);
    let found = facts.different(place.table, place.param, fixed, place.columns, all)?;
    let Some(found) = found else { return Ok(own) };
    let mut all: Vec<(String, Range<f64>)> = Vec::new();
    for row in found {
        let [.., Bind::Text(unit), Bind::Int(of)] = row.as_slice() else {
            continue;
        };
        if *of != number || all.iter().any(|(known, _)| **known == **unit) {
            continue;
        }
        if let Some(range) = in_unit(range, code, unit) {
            all.push((unit.to_string(), range));
        }
    }
    Ok(all)
}

fn in_one_unit(
    param: i64,
    how: Prefix,
    range: Range<f64>,
    unit: &Unit,
    facts: &mut dyn Facts,
) -> Result<Option<Test>> {
    let range = Ends::of_number("low", "high", range).preds(how);
    let each = |fixed, columns, filter| Ways::Each {
        fixed,
        columns,
        arms: vec![filtered(Vec::new(), filter, true)],
    };
    let (mut preds, ways) = match unit {
        Unit::Any => {
            // Rows of printed units repeat others.
            let own = vec![Pred::Column("system", Op::MoreOrIs, Bind::Int(0))];
            let filter = own.iter().chain(&range).cloned().collect();
            (own, each(Vec::new(), &["unit", "system"], filter))
        }
        Unit::Code(code) => {
            let code = Bind::text(code);
            let fixed = vec![("unit", code.clone())];
            (
                vec![Pred::is("unit", code)],
                each(fixed, &["system"], range.clone()),
            )
        }
        Unit::Coded { system, code } => {
            let Some(system) = facts.system(system)? else {
                return Ok(None);
            };
            let unit = vec![
                Pred::is("unit", Bind::text(code)),
                Pred::is("system", Bind::Int(system)),
            ];
            let arm = filtered(unit.clone(), range.clone(), true);
            (unit, Ways::Known(vec![arm]))
        }
    };
    preds.extend(range);
    Ok(Some(Test {
        table: Table::Quantity,
        param,
        preds,
        ways,
    }))
}
