//! Composites: parts that must be met by the same instance.

use base::Code;
use fhir::search::query::{Match, Unit};
use fhir::search::rows::{PartKind, folded, in_unit, places};
use fhir::search::words::Run;
use fhir::ucum;

use super::range::{Ends, Place, in_units};
use super::{Equal, Op, Pred, Test, Ways, filtered, prefix};
use crate::plan::Facts;
use crate::plan::text::Bind;
use crate::sqlite::index::Table;
use crate::{Result, StoreError};

/// How a part is compared; see `index::key::made`.
const fn part_kind(part: &Match) -> PartKind {
    match part {
        Match::Token(_) | Match::Reference(_) | Match::Uri(_) => PartKind::Equal,
        Match::StringPrefix(_) | Match::Runs(_) => PartKind::Text,
        Match::Quantity(..) => PartKind::Quantity,
        _ => PartKind::Range,
    }
}

fn equal_part(part: &Match, facts: &mut dyn Facts) -> Result<Option<Equal>> {
    match part {
        Match::Token(token) => Equal::token(token, facts),
        Match::Reference(reference) => Ok(Some(Equal::reference(reference))),
        Match::Uri(uri) => Ok(Some(Equal {
            code: Some(Bind::text(uri)),
            number: Some(0),
            any_of: Vec::new(),
        })),
        _ => Err(StoreError::Refused(
            Code::NotSupported,
            "a composite search needs a part that is compared for equality".to_owned(),
        )),
    }
}

/// What the second part of a composite asks.
struct Second {
    /// Conditions on the key's columns behind the first part, in their order.
    key: Vec<Pred>,
    /// The key's columns from there to `rid` that are left open, if knowing them gives the order.
    open: Columns,
    /// Conditions on other columns.
    filter: Vec<Pred>,
    /// Once `open` is known, rows come in order of `rid`.
    ordered: bool,
}

type Columns = &'static [&'static str];

impl Second {
    /// `None` if no row can meet it.
    fn of(part: Option<&Match>, facts: &mut dyn Facts) -> Result<Option<Self>> {
        let code = |text: &str| Pred::is("code2", Bind::text(text));
        let no_code = || {
            let unit = Pred::is("unit2", Bind::text(""));
            vec![code(""), Pred::is("system2", Bind::Int(0)), unit]
        };
        let keyed = |key, filter| Self {
            key,
            open: &[],
            filter,
            ordered: true,
        };
        let Some(part) = part else {
            return Ok(Some(keyed(no_code(), Vec::new())));
        };
        Ok(Some(match part {
            Match::StringPrefix(text) => Self {
                ordered: false,
                ..keyed(prefix("code2", text), Vec::new())
            },
            Match::Runs(runs) => Self {
                ordered: false,
                ..keyed(Vec::new(), has(runs, "code2").collect())
            },
            Match::Date(how, r) => keyed(no_code(), Ends::of_date("low2", "high2", *r).preds(*how)),
            Match::Number(how, r) => {
                keyed(no_code(), Ends::of_number("low2", "high2", *r).preds(*how))
            }
            Match::Quantity(how, r, unit) => {
                let mut filter = Ends::of_number("low2", "high2", *r).preds(*how);
                let (key, open): (_, Columns) = match unit {
                    Unit::Any => (Vec::new(), &["code2", "system2", "unit2"]),
                    Unit::Code(text) if text.is_empty() => (vec![code("")], &["system2", "unit2"]),
                    Unit::Code(text) => {
                        let printed = Pred::is("unit2", Bind::text(text));
                        filter.push(Pred::Any(vec![vec![code(text)], vec![printed]]));
                        (Vec::new(), &["code2", "system2", "unit2"])
                    }
                    Unit::Coded { system, code: text } => {
                        let Some(system) = facts.system(system)? else {
                            return Ok(None);
                        };
                        let system = Pred::is("system2", Bind::Int(system));
                        (vec![code(text), system], &["unit2"])
                    }
                };
                Self {
                    open,
                    ..keyed(key, filter)
                }
            }
            equal => {
                let Some(part) = equal_part(equal, facts)? else {
                    return Ok(None);
                };
                let mut preds = part.preds("code2", "system2");
                match (part.code.is_some(), part.number.is_some()) {
                    (true, true) => {
                        preds.push(Pred::is("unit2", Bind::text("")));
                        keyed(preds, Vec::new())
                    }
                    (true, false) => {
                        let filter = preds.split_off(1);
                        Self {
                            open: &["system2", "unit2"],
                            ..keyed(preds, filter)
                        }
                    }
                    _ => Self {
                        ordered: false,
                        ..keyed(Vec::new(), preds)
                    },
                }
            }
        }))
    }
}

/// The parts of a composite in their places.
#[derive(Clone, Copy)]
struct Parts<'p> {
    first: Option<&'p Match>,
    /// Parts for which there is no place, as one text in that of the first, and the number beside it.
    folded: Option<(&'p str, i64)>,
    /// Only where parts are folded there may be none.
    second: Option<&'p Match>,
    third: Option<&'p Match>,
}

impl<'p> Parts<'p> {
    fn of(parts: &'p [Match]) -> Option<Self> {
        let kinds: Vec<PartKind> = parts.iter().map(part_kind).collect();
        let at = places(&kinds)?;
        Some(Self {
            first: at.first.and_then(|at| parts.get(at)),
            folded: None,
            second: Some(parts.get(at.second)?),
            third: at.third.and_then(|at| parts.get(at)),
        })
    }

    /// What the columns of the first part must be; `None` if no row can meet it.
    fn found_by(&self, facts: &mut dyn Facts) -> Result<Option<Equal>> {
        let of = |code: Option<&str>, number| Equal {
            code: code.map(Bind::text),
            number,
            any_of: Vec::new(),
        };
        if let Some((text, beside)) = self.folded {
            return Ok(Some(of(Some(text), Some(beside))));
        }
        match (self.first, self.third) {
            (Some(first), _) => equal_part(first, facts),
            // The unit of the second quantity stands there.
            (None, Some(Match::Quantity(_, _, unit))) => Ok(match unit {
                Unit::Any => Some(of(None, None)),
                Unit::Code(text) => Some(of(Some(text), None)),
                Unit::Coded { system, code } => facts
                    .system(system)?
                    .map(|number| of(Some(code), Some(number))),
            }),
            (None, _) => Ok(Some(of(Some(""), Some(0)))),
        }
    }
}

/// The tests of a composite; none if no row can meet it. A quantity in a UCUM unit is compared in
/// every unit of its kind that stands beside the first part.
pub(super) fn composite(param: i64, parts: &[Match], facts: &mut dyn Facts) -> Result<Vec<Test>> {
    let Some(parts) = Parts::of(parts) else {
        return in_folds(param, parts, facts);
    };
    let Some(Match::Quantity(how, range, Unit::Coded { system, code })) = parts.third else {
        return in_second_units(param, parts, facts);
    };
    // Of two quantities each is compared in every unit of its kind.
    let place = Place {
        table: Table::Composite,
        param,
        fixed: Vec::new(),
        columns: &["code1", "system1"],
    };
    let mut tests = Vec::new();
    for (code, range) in in_units(system, code, *range, &place, facts)? {
        let system = system.clone();
        let quantity = Match::Quantity(*how, range, Unit::Coded { system, code });
        let parts = Parts {
            third: Some(&quantity),
            ..parts
        };
        tests.extend(in_second_units(param, parts, facts)?);
    }
    Ok(tests)
}

/// The tests of a composite with parts that are folded. The unit of a second quantity stands behind these.
fn in_folds(param: i64, parts: &[Match], facts: &mut dyn Facts) -> Result<Vec<Test>> {
    let kinds: Vec<PartKind> = parts.iter().map(part_kind).collect();
    let Some(at) = folded(&kinds) else {
        return Ok(Vec::new());
    };
    let Some(text) = at.asked(parts) else {
        return Ok(Vec::new());
    };
    let part = |at: Option<usize>| at.and_then(|at| parts.get(at));
    let (second, third) = (part(at.second), part(at.third));
    let Some(Match::Quantity(how, range, unit)) = third else {
        let parts = Parts {
            first: None,
            folded: Some((&text, 0)),
            second,
            third,
        };
        return in_second_units(param, parts, facts);
    };
    let wanted = match unit {
        Unit::Coded { system, .. } => match facts.system(system)? {
            None => return Ok(Vec::new()),
            known => known,
        },
        _ => None,
    };
    // However many there are: the search's deadline and steps are the bound.
    let columns = &["code1", "system1"];
    let there = facts.different(Table::Composite, param, &[], columns, usize::MAX)?;
    let mut tests = Vec::new();
    for row in there.unwrap_or_default() {
        let [Bind::Text(code1), Bind::Int(beside)] = row.as_slice() else {
            continue;
        };
        let Some(own) = code1.strip_prefix(&text) else {
            continue;
        };
        let range = match unit {
            Unit::Any => Some(*range),
            Unit::Code(code) => (own == code).then_some(*range),
            Unit::Coded { .. } if wanted != Some(*beside) => None,
            Unit::Coded { code, .. } if own == code => Some(*range),
            Unit::Coded { system, code } => {
                let convert = system == ucum::SYSTEM && ucum::is_valid(code);
                convert.then(|| in_unit(*range, code, own)).flatten()
            }
        };
        if let Some(range) = range {
            let quantity = Match::Quantity(*how, range, Unit::Any);
            let parts = Parts {
                first: None,
                folded: Some((code1, *beside)),
                second,
                third: Some(&quantity),
            };
            tests.extend(in_second_units(param, parts, facts)?);
        }
    }
    Ok(tests)
}

fn in_second_units(param: i64, parts: Parts<'_>, facts: &mut dyn Facts) -> Result<Vec<Test>> {
    let Some(Match::Quantity(how, range, Unit::Coded { system, code })) = parts.second else {
        return Ok(in_one_unit(param, parts, facts)?.into_iter().collect());
    };
    let Some(first) = parts.found_by(facts)? else {
        return Ok(Vec::new());
    };
    let code1 = first.code.clone().map(|code| ("code1", code));
    let system1 = first.number.map(|n| ("system1", Bind::Int(n)));
    let columns: &'static [&'static str] = match (&code1, &system1) {
        (Some(_), Some(_)) => &["code2", "system2"],
        (Some(_), None) => &["system1", "code2", "system2"],
        _ => &["code1", "system1", "code2", "system2"],
    };
    let fixed = match (code1, system1) {
        (Some(code), system) => [code].into_iter().chain(system).collect(),
        (None, _) => Vec::new(),
    };
    let place = Place {
        table: Table::Composite,
        param,
        fixed,
        columns,
    };
    let mut tests = Vec::new();
    for (code, range) in in_units(system, code, *range, &place, facts)? {
        let system = system.clone();
        let quantity = Match::Quantity(*how, range, Unit::Coded { system, code });
        let parts = Parts {
            second: Some(&quantity),
            ..parts
        };
        tests.extend(in_one_unit(param, parts, facts)?);
    }
    Ok(tests)
}

/// The test of a composite whose quantities are of one unit each.
fn in_one_unit(param: i64, parts: Parts<'_>, facts: &mut dyn Facts) -> Result<Option<Test>> {
    let (Some(first), Some(mut second)) =
        (parts.found_by(facts)?, Second::of(parts.second, facts)?)
    else {
        return Ok(None);
    };
    match parts.third {
        None => {}
        Some(Match::Number(how, r) | Match::Quantity(how, r, _)) => {
            let range = Ends::of_number("low3", "high3", *r).preds(*how);
            second.filter.extend(range);
        }
        Some(Match::Date(how, r)) => {
            let range = Ends::of_date("low3", "high3", *r).preds(*how);
            second.filter.extend(range);
        }
        Some(Match::StringPrefix(text)) => second.filter.extend(prefix("low3", text)),
        Some(Match::Runs(runs)) => second.filter.extend(has(runs, "low3")),
        Some(equal) => match equal_part(equal, facts)? {
            Some(part) => second.filter.extend(part.preds("low3", "high3")),
            None => return Ok(None),
        },
    }
    let own = first.preds("code1", "system1");
    let preds = [own.clone(), second.key.clone(), second.filter.clone()].concat();
    let ways = composite_ways(&first, own, second);
    Ok(Some(Test {
        table: Table::Composite,
        param,
        preds,
        ways,
    }))
}

/// A text that has all of these words.
fn has<'r>(runs: &'r [Run], column: &'static str) -> impl Iterator<Item = Pred> + 'r {
    runs.iter()
        .map(move |run| Pred::Column(column, Op::Contains, Bind::text(&run.pattern())))
}

fn composite_ways(first: &Equal, own: Vec<Pred>, second: Second) -> Ways {
    let Second {
        key,
        open,
        mut filter,
        ordered,
    } = second;
    let Some(code) = first.code.clone() else {
        filter.extend(key);
        return Ways::Known(vec![filtered(own, filter, false)]);
    };
    let code = ("code1", code);
    if let Some(number) = first.number {
        if open.is_empty() {
            return Ways::Known(vec![filtered([own, key].concat(), filter, ordered)]);
        }
        let mut fixed = vec![code, ("system1", Bind::Int(number))];
        fixed.extend(key.into_iter().filter_map(|p| match p {
            Pred::Column(column, Op::Is, value) => Some((column, value)),
            _ => None,
        }));
        return Ways::Each {
            fixed,
            columns: open,
            arms: vec![filtered(Vec::new(), filter, true)],
        };
    }
    // Which of several kinds of target it is.
    filter.extend(own.into_iter().skip(1));
    let (columns, ordered): (Columns, bool) = match (key.is_empty(), open.is_empty()) {
        (true, false) => (&["system1", "code2", "system2", "unit2"], true),
        (false, false) => (&["system1"], false),
        (_, true) => (&["system1"], ordered),
    };
    Ways::Each {
        fixed: vec![code],
        columns,
        arms: vec![filtered(key, filter, ordered)],
    }
}
