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
    /// What delimits the part that is read.
    pub(crate) preds: Vec<Pred>,
    /// What its rows must meet besides.
    pub(crate) filter: Vec<Pred>,
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
            let arms = range.arms(*how);
            one(Table::Date, range.preds(*how), Ways::Known(arms))
        }
        Match::Number(how, range) => {
            let range = Ends::of_number("low", "high", *range);
            let arms = range.arms(*how);
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
        filter: Vec::new(),
        ordered: true,
        unique: true,
    }
}

fn unordered(preds: Vec<Pred>) -> Arm {
    Arm {
        ordered: false,
        unique: false,
        ..equality(preds)
    }
}

/// Rows in order of `rid`, compared while they are read.
fn filtered(preds: Vec<Pred>, filter: Vec<Pred>, ordered: bool) -> Arm {
    Arm {
        filter,
        ordered,
        unique: false,
        ..equality(preds)
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

    /// Where such ranges are, in an index ordered by `low`.
    fn arms(&self, how: Prefix) -> Vec<Arm> {
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

fn quantity(
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
        let preds = Equal {
            code: part.code.clone(),
            number: Some(number),
            any_of: Vec::new(),
        }
        .preds("id", "type");
        // Two references may differ in their version only.
        filtered(preds, version.clone().into_iter().collect(), true)
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
    fn of(part: &Match, facts: &mut dyn Facts) -> Result<Option<Self>> {
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
        Ok(Some(match part {
            Match::StringPrefix(text) => Self {
                ordered: false,
                ..keyed(prefix("code2", text), Vec::new())
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

fn composite(param: i64, parts: &[Match], facts: &mut dyn Facts) -> Result<Option<Test>> {
    let mut parts: Vec<&Match> = parts.iter().collect();
    parts.sort_by_key(|p| rank(p));
    let (Some(first), Some(second), third) = (parts.first(), parts.get(1), parts.get(2)) else {
        return Ok(None);
    };
    let (Some(first), Some(mut second)) = (equal_part(first, facts)?, Second::of(second, facts)?)
    else {
        return Ok(None);
    };
    match third {
        None => {}
        Some(Match::Number(how, r)) => {
            let range = Ends::of_number("low3", "high3", *r).preds(*how);
            second.filter.extend(range);
        }
        Some(Match::Date(how, r)) => {
            let range = Ends::of_date("low3", "high3", *r).preds(*how);
            second.filter.extend(range);
        }
        Some(_) => return Ok(None),
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

impl From<IdKey> for Bind {
    fn from(id: IdKey) -> Self {
        match id {
            IdKey::Text(t) => Self::Text(t),
            IdKey::Uuid(b) => Self::Uuid(b),
        }
    }
}
