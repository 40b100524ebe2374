//! One value of a search parameter becomes conditions on the columns of an index table, and the
//! ways in which those rows can be found.
//!
//! Knows no statements and no other conditions.

use base::Code;
use fhir::definitions::ParamId;
use fhir::search::query::{Match, Prefix, Range, ReferenceMatch, TokenMatch, Unit};
use fhir::search::rows::fold;

use super::Facts;
use super::text::{Bind, Binds, joined};
use crate::sqlite::index::{IdKey, NO_TYPE, Table, exact_digest};
use crate::{Result, StoreError};

/// Ranges of dates no longer than this (µs) are not in the index of long ones.
const DAY: i64 = 86_400_000_000;

/// How a column compares with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Is,
    Less,
    LessOrIs,
    More,
    MoreOrIs,
    /// Text that contains the value.
    Contains,
}

/// A condition on the columns of one index row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pred {
    /// A column compared with a value.
    Column(&'static str, Op, Bind),
    /// Any of these groups, of which all members hold.
    Any(Vec<Vec<Pred>>),
    /// Not all of these.
    Not(Vec<Pred>),
}

impl Pred {
    fn is(column: &'static str, value: Bind) -> Self {
        Self::Column(column, Op::Is, value)
    }

    /// The condition on the row called `alias`.
    pub(crate) fn text(&self, alias: &str, binds: &mut Binds) -> String {
        match self {
            Self::Column(column, op, value) => {
                let value = binds.place(value);
                match op {
                    Op::Is => format!("{alias}.{column} = {value}"),
                    Op::Less => format!("{alias}.{column} < {value}"),
                    Op::LessOrIs => format!("{alias}.{column} <= {value}"),
                    Op::More => format!("{alias}.{column} > {value}"),
                    Op::MoreOrIs => format!("{alias}.{column} >= {value}"),
                    Op::Contains => format!("instr({alias}.{column}, {value}) > 0"),
                }
            }
            Self::Any(groups) => {
                let groups: Vec<String> = groups.iter().map(|g| all(g, alias, binds)).collect();
                joined(&groups, "OR", "0")
            }
            Self::Not(group) => format!("NOT ({})", all(group, alias, binds)),
        }
    }
}

/// All of these conditions on the row called `alias`.
pub(crate) fn all(preds: &[Pred], alias: &str, binds: &mut Binds) -> String {
    let parts: Vec<String> = preds.iter().map(|p| p.text(alias, binds)).collect();
    joined(&parts, "AND", "1")
}

/// A part of an index that holds rows of a [`Test`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arm {
    /// Read the index of long ranges instead of the table's key.
    pub(crate) long: bool,
    /// What rows must meet.
    pub(crate) preds: Vec<Pred>,
    /// Rows come in order of `rid`.
    pub(crate) ordered: bool,
    /// No `rid` comes twice.
    pub(crate) unique: bool,
}

/// How rows of a [`Test`] are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ways {
    /// By these arms together.
    Known(Vec<Arm>),
    /// By these arms once for each combination of values that `columns` have where `fixed` hold.
    Each {
        fixed: Vec<(&'static str, Bind)>,
        columns: &'static [&'static str],
        arms: Vec<Arm>,
    },
}

/// What one value asks of the rows of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    /// The table.
    pub(crate) table: Table,
    /// The parameter.
    pub(crate) param: i64,
    /// What a row must meet.
    pub(crate) preds: Vec<Pred>,
    /// Where such rows are.
    pub(crate) ways: Ways,
}

/// The tests of one value; none if no row can meet it (a system that the tenant has never seen).
pub(crate) fn tests(param: ParamId, value: &Match, facts: &mut dyn Facts) -> Result<Vec<Test>> {
    let number = i64::from(param.0);
    let one = |table, preds, ways| {
        Ok(vec![Test {
            table,
            param: number,
            preds,
            ways,
        }])
    };
    match value {
        Match::Token(token) | Match::ReferenceIdentifier(token) => {
            let Some(part) = Equal::token(token, facts)? else {
                return Ok(Vec::new());
            };
            let (preds, ways) = part.table("code", "system", &["system"]);
            one(Table::Token, preds, ways)
        }
        Match::TokenText(text) | Match::StringContains(text) => {
            let preds = vec![Pred::Column("folded", Op::Contains, Bind::text(text))];
            one(
                Table::String,
                preds.clone(),
                Ways::Known(vec![unordered(preds)]),
            )
        }
        Match::StringPrefix(text) => {
            let preds = prefix("folded", text);
            one(
                Table::String,
                preds.clone(),
                Ways::Known(vec![unordered(preds)]),
            )
        }
        Match::StringExact(text) => {
            let folded = Pred::is("folded", Bind::text(&fold(text)));
            let preds = vec![folded, Pred::is("exact", Bind::Int(exact_digest(text)))];
            one(
                Table::String,
                preds.clone(),
                Ways::Known(vec![equality(preds)]),
            )
        }
        Match::Date(how, range) => {
            let range = Ends::of_date("low", "high", *range);
            let arms = range.arms(*how, &[]);
            one(Table::Date, range.preds(*how), Ways::Known(arms))
        }
        Match::Number(how, range) => {
            let range = Ends::of_number("low", "high", *range);
            let arms = range.arms(*how, &[]);
            one(Table::Number, range.preds(*how), Ways::Known(arms))
        }
        Match::Quantity(how, range, unit) => Ok(quantity(number, *how, *range, unit, facts)?
            .into_iter()
            .collect()),
        Match::Reference(reference) => Ok(vec![self::reference(number, reference)]),
        Match::Uri(uri) => {
            let preds = vec![Pred::is("uri", Bind::text(uri))];
            one(
                Table::Uri,
                preds.clone(),
                Ways::Known(vec![equality(preds)]),
            )
        }
        Match::UriBelow(uri) => Ok(vec![uri_below(number, uri)]),
        Match::UriAbove(uri) => Ok(vec![uri_above(number, uri)]),
        Match::Composite(parts) => Ok(composite(number, parts, facts)?.into_iter().collect()),
    }
}

fn equality(preds: Vec<Pred>) -> Arm {
    Arm {
        long: false,
        preds,
        ordered: true,
        unique: true,
    }
}

fn unordered(preds: Vec<Pred>) -> Arm {
    Arm {
        long: false,
        preds,
        ordered: false,
        unique: false,
    }
}

/// Begins with `text`.
fn prefix(column: &'static str, text: &str) -> Vec<Pred> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut preds = vec![Pred::Column(column, Op::MoreOrIs, Bind::text(text))];
    if let Some(end) = after_prefix(text) {
        preds.push(Pred::Column(column, Op::Less, Bind::text(&end)));
    }
    preds
}

/// The first text after all that begin with `text`, in order of code points.
pub(crate) fn after_prefix(text: &str) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// A value compared for equality: a code or id, and a number beside it.
struct Equal {
    code: Option<Bind>,
    number: Option<i64>,
    /// Several numbers are possible.
    any_of: Vec<i64>,
}

impl Equal {
    /// `None` if the tenant does not have the system.
    fn token(token: &TokenMatch, facts: &mut dyn Facts) -> Result<Option<Self>> {
        let number = match &token.system {
            None => None,
            Some(text) => match facts.system(text)? {
                None => return Ok(None),
                known => known,
            },
        };
        let code = token.code.as_deref().map(Bind::text);
        Ok(Some(Self {
            code,
            number,
            any_of: Vec::new(),
        }))
    }

    fn reference(reference: &ReferenceMatch) -> Self {
        let of = |id: IdKey, number, any_of| Self {
            code: Some(id.into()),
            number,
            any_of,
        };
        match reference {
            ReferenceMatch::Local { type_id, id, .. } => {
                of(IdKey::of_id(id), Some(i64::from(type_id.0)), Vec::new())
            }
            ReferenceMatch::AnyType { id, types } => of(
                IdKey::of_id(id),
                None,
                types.iter().map(|t| i64::from(t.0)).collect(),
            ),
            ReferenceMatch::Url { url, .. } => {
                of(IdKey::Text(url.as_str().into()), Some(NO_TYPE), Vec::new())
            }
        }
    }

    fn preds(&self, code: &'static str, number: &'static str) -> Vec<Pred> {
        let mut preds = Vec::new();
        if let Some(value) = &self.code {
            preds.push(Pred::is(code, value.clone()));
        }
        if let Some(value) = self.number {
            preds.push(Pred::is(number, Bind::Int(value)));
        }
        if !self.any_of.is_empty() {
            let each = |n: &i64| vec![Pred::is(number, Bind::Int(*n))];
            preds.push(Pred::Any(self.any_of.iter().map(each).collect()));
        }
        preds
    }

    /// As a row of its own table.
    fn table(
        &self,
        code: &'static str,
        number: &'static str,
        columns: &'static [&'static str],
    ) -> (Vec<Pred>, Ways) {
        let preds = self.preds(code, number);
        let ways = match (&self.code, self.number) {
            (Some(_), Some(_)) => Ways::Known(vec![equality(preds.clone())]),
            (Some(value), None) => Ways::Each {
                fixed: vec![(code, value.clone())],
                columns,
                arms: vec![equality(Vec::new())],
            },
            _ => Ways::Known(vec![unordered(preds.clone())]),
        };
        (preds, ways)
    }
}

/// A range searched for, and the columns it is compared with.
struct Ends {
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
    fn of_date(low: &'static str, high: &'static str, r: Range<i64>) -> Self {
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

    fn of_number(low: &'static str, high: &'static str, r: Range<f64>) -> Self {
        // A little more than 1, so that rounding leaves nothing out.
        let before = |x: f64| x - 1.001 - x.abs() * 1e-9;
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
    fn preds(&self, how: Prefix) -> Vec<Pred> {
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

    /// Where such ranges are, in an index ordered by `low` behind `before`.
    fn arms(&self, how: Prefix, before: &[Pred]) -> Vec<Arm> {
        let arm = |long: bool, bounds: Vec<Pred>| {
            let mut preds = before.to_vec();
            preds.extend(bounds);
            preds.extend(self.preds(how));
            Arm {
                long,
                preds,
                ordered: false,
                unique: false,
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

fn quantity(
    param: i64,
    how: Prefix,
    range: Range<f64>,
    unit: &Unit,
    facts: &mut dyn Facts,
) -> Result<Option<Test>> {
    let ends = Ends::of_number("low", "high", range);
    let (mut preds, ways) = match unit {
        // Rows of printed units repeat others.
        Unit::Any => (
            vec![Pred::Column("system", Op::MoreOrIs, Bind::Int(0))],
            Ways::Each {
                fixed: Vec::new(),
                columns: &["unit", "system"],
                arms: ends.arms(how, &[]),
            },
        ),
        Unit::Code(code) => {
            let code = Bind::text(code);
            let fixed = vec![("unit", code.clone())];
            let arms = ends.arms(how, &[]);
            (
                vec![Pred::is("unit", code)],
                Ways::Each {
                    fixed,
                    columns: &["system"],
                    arms,
                },
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
            let arms = ends.arms(how, &unit);
            (unit, Ways::Known(arms))
        }
    };
    preds.extend(ends.preds(how));
    Ok(Some(Test {
        table: Table::Quantity,
        param,
        preds,
        ways,
    }))
}

fn reference(param: i64, reference: &ReferenceMatch) -> Test {
    let part = Equal::reference(reference);
    let mut preds = part.preds("id", "type");
    let version = match reference {
        ReferenceMatch::Local { version, .. } | ReferenceMatch::Url { version, .. } => version
            .as_deref()
            .map(|v| Pred::is("version", Bind::text(v))),
        ReferenceMatch::AnyType { .. } => None,
    };
    let arm = |number: i64| {
        let mut preds = Equal {
            code: part.code.clone(),
            number: Some(number),
            any_of: Vec::new(),
        }
        .preds("id", "type");
        preds.extend(version.clone());
        // Two references may differ in their version only.
        Arm {
            long: false,
            preds,
            ordered: true,
            unique: false,
        }
    };
    let arms = part
        .number
        .iter()
        .chain(&part.any_of)
        .map(|n| arm(*n))
        .collect();
    preds.extend(version.clone());
    Test {
        table: Table::Reference,
        param,
        preds,
        ways: Ways::Known(arms),
    }
}

fn uri_below(param: i64, uri: &str) -> Test {
    let same = vec![Pred::is("uri", Bind::text(uri))];
    let path = if uri.ends_with('/') {
        uri.to_owned()
    } else {
        format!("{uri}/")
    };
    let under = prefix("uri", &path);
    let arms = vec![equality(same.clone()), unordered(under.clone())];
    let preds = vec![Pred::Any(vec![same, under])];
    Test {
        table: Table::Uri,
        param,
        preds,
        ways: Ways::Known(arms),
    }
}

fn uri_above(param: i64, uri: &str) -> Test {
    let mut prefixes = vec![uri];
    for (at, _) in uri.match_indices('/') {
        prefixes.extend(uri.get(..at));
        prefixes.extend(uri.get(..=at));
    }
    prefixes.retain(|p| !p.is_empty());
    prefixes.sort_unstable();
    prefixes.dedup();
    let groups: Vec<Vec<Pred>> = prefixes
        .iter()
        .map(|p| vec![Pred::is("uri", Bind::text(p))])
        .collect();
    let arms = groups.iter().cloned().map(equality).collect();
    Test {
        table: Table::Uri,
        param,
        preds: vec![Pred::Any(groups)],
        ways: Ways::Known(arms),
    }
}

/// The place of a part in the order of parts; see `index::key::part_rank`.
const fn rank(part: &Match) -> u8 {
    match part {
        Match::Token(_) | Match::Reference(_) | Match::Uri(_) => 0,
        Match::StringPrefix(_) => 1,
        Match::Quantity(..) => 2,
        _ => 3,
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

fn composite(param: i64, parts: &[Match], facts: &mut dyn Facts) -> Result<Option<Test>> {
    let mut parts: Vec<&Match> = parts.iter().collect();
    parts.sort_by_key(|p| rank(p));
    let (Some(first), Some(second), third) = (parts.first(), parts.get(1), parts.get(2)) else {
        return Ok(None);
    };
    let Some(first) = equal_part(first, facts)? else {
        return Ok(None);
    };
    let zero = |column| Pred::is(column, Bind::Int(0));
    let no_range2 = || vec![zero("low2"), zero("high2")];
    // Whether every column before `rid` is compared for equality.
    let mut ordered = third.is_none();
    let mut rest = match second {
        Match::StringPrefix(text) => {
            ordered = false;
            let mut preds = no_range2();
            preds.extend(prefix("code2", text));
            preds
        }
        Match::Date(how, r) => {
            ordered = false;
            Ends::of_date("low2", "high2", *r).preds(*how)
        }
        Match::Number(how, r) => {
            ordered = false;
            Ends::of_number("low2", "high2", *r).preds(*how)
        }
        Match::Quantity(how, r, unit) => {
            ordered = false;
            let mut preds = Ends::of_number("low2", "high2", *r).preds(*how);
            match unit {
                Unit::Any => {}
                Unit::Code(code) if code.is_empty() => {
                    preds.push(Pred::is("code2", Bind::text("")));
                }
                Unit::Code(code) => preds.push(Pred::Any(vec![
                    vec![Pred::is("code2", Bind::text(code))],
                    vec![Pred::is("unit2", Bind::text(code))],
                ])),
                Unit::Coded { system, code } => {
                    let Some(system) = facts.system(system)? else {
                        return Ok(None);
                    };
                    preds.push(Pred::is("code2", Bind::text(code)));
                    preds.push(Pred::is("system2", Bind::Int(system)));
                }
            }
            preds
        }
        equal => {
            let Some(part) = equal_part(equal, facts)? else {
                return Ok(None);
            };
            ordered &= part.code.is_some() && part.number.is_some();
            let mut preds = no_range2();
            preds.extend(part.preds("code2", "system2"));
            preds.push(Pred::is("unit2", Bind::text("")));
            preds
        }
    };
    match third {
        None => rest.extend([zero("low3"), zero("high3")]),
        Some(Match::Number(how, r)) => {
            rest.extend(Ends::of_number("low3", "high3", *r).preds(*how));
        }
        Some(Match::Date(how, r)) => rest.extend(Ends::of_date("low3", "high3", *r).preds(*how)),
        Some(_) => return Ok(None),
    }
    let mut preds = first.preds("code1", "system1");
    let arm = |preds| Arm {
        long: false,
        preds,
        ordered,
        unique: ordered,
    };
    let ways = match (&first.code, first.number) {
        (Some(code), None) => Ways::Each {
            fixed: vec![("code1", code.clone())],
            columns: &["system1"],
            arms: vec![arm(rest.clone())],
        },
        _ => {
            let mut all = preds.clone();
            all.extend(rest.iter().cloned());
            let known = first.code.is_some();
            Ways::Known(vec![if known { arm(all) } else { unordered(all) }])
        }
    };
    preds.extend(rest);
    Ok(Some(Test {
        table: Table::Composite,
        param,
        preds,
        ways,
    }))
}

impl From<IdKey> for Bind {
    fn from(id: IdKey) -> Self {
        match id {
            IdKey::Text(t) => Self::Text(t),
            IdKey::Uuid(b) => Self::Uuid(b),
        }
    }
}
