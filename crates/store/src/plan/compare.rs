//! One value of a search parameter becomes conditions on the columns of an index table, and the
//! ways in which those rows can be found.
//!
//! Knows no statements and no other conditions.

mod composite;
mod range;

use base::{Code, ResourceId};
use fhir::definitions::{ParamId, TypeId};
use fhir::search::query::{Circle, How, Match, ReferenceMatch, Spot, TokenMatch};
use fhir::search::rows::{beginnings, distance, fold, of_type, typed_identifier};

use composite::composite;
use range::{Ends, quantity};

use super::Facts;
use super::text::{Bind, Binds, joined};
use crate::sqlite::index::{IdKey, NO_TYPE, Table, exact_digest};
use crate::{Result, StoreError};

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
    /// Text that ends with the value.
    Ends,
    /// Text whose lower case begins with the value.
    BeginsLower,
    /// Text whose lower case contains the value.
    ContainsLower,
    /// Text whose lower case ends with the value.
    EndsLower,
    /// Text whose lower case is the value.
    IsLower,
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
                let compared = |by: &str| [alias, ".", column, by, &value].concat();
                match op {
                    Op::Is => compared(" = "),
                    Op::Less => compared(" < "),
                    Op::LessOrIs => compared(" <= "),
                    Op::More => compared(" > "),
                    Op::MoreOrIs => compared(" >= "),
                    Op::Contains => format!("instr({alias}.{column}, {value}) > 0"),
                    Op::Ends => format!(
                        "(length({alias}.{column}) >= length({value}) AND \
                         substr({alias}.{column}, length({alias}.{column}) - length({value}) + 1) \
                         = {value})"
                    ),
                    Op::BeginsLower => {
                        format!("substr(lower({alias}.{column}), 1, length({value})) = {value}")
                    }
                    Op::ContainsLower => format!("instr(lower({alias}.{column}), {value}) > 0"),
                    Op::IsLower => format!("lower({alias}.{column}) = {value}"),
                    Op::EndsLower => format!(
                        "(length({alias}.{column}) >= length({value}) AND substr(\
                         lower({alias}.{column}), length({alias}.{column}) - length({value}) + 1) \
                         = {value})"
                    ),
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
    let text = |preds: Vec<Pred>| {
        let ways = Ways::Known(vec![unordered(preds.clone())]);
        Ok(one(Table::String, number, preds, ways))
    };
    match value {
        Match::Token(token) | Match::ReferenceIdentifier(token) => token_test(number, token, facts),
        Match::TokenCaseless { system, code } => caseless(number, system, code, facts),
        Match::OfType(of, value) => {
            let kept = typed_identifier(of.code.as_deref().unwrap_or(""), value);
            let token = TokenMatch {
                system: of.system.clone(),
                code: Some(kept),
            };
            token_test(i64::from(of_type(param).0), &token, facts)
        }
        Match::TokenCode(how, code) => {
            let op = match how {
                How::Begins => Op::BeginsLower,
                How::Contains => Op::ContainsLower,
                How::Ends => Op::EndsLower,
                How::Is => Op::IsLower,
            };
            let preds = vec![Pred::Column("code", op, Bind::text(code))];
            let ways = Ways::Known(vec![unordered(preds.clone())]);
            Ok(one(Table::Token, number, preds, ways))
        }
        Match::TokenText(folded) | Match::StringContains(folded) => text(vec![Pred::Column(
            "folded",
            Op::Contains,
            Bind::text(folded),
        )]),
        // Texts are found by their resource only.
        Match::Run(run) => {
            let pattern = Bind::text(&run.pattern());
            let preds = vec![Pred::Column("text", Op::Contains, pattern)];
            Ok(one(Table::Text, number, preds, Ways::Known(Vec::new())))
        }
        Match::StringPrefix(folded) | Match::TokenTextPrefix(folded) => {
            text(prefix("folded", folded))
        }
        Match::StringBegins(folded) => {
            let preds = prefix("folded", folded);
            let of = |number| {
                let ways = Ways::Known(vec![unordered(preds.clone())]);
                one(Table::String, number, preds.clone(), ways)
            };
            Ok([of(number), of(i64::from(beginnings(param).0))].concat())
        }
        Match::StringSuffix(folded) => {
            text(vec![Pred::Column("folded", Op::Ends, Bind::text(folded))])
        }
        Match::StringIs(folded) => text(vec![Pred::is("folded", Bind::text(folded))]),
        Match::StringExact(exact) => {
            let folded = Pred::is("folded", Bind::text(&fold(exact)));
            let preds = vec![folded, Pred::is("exact", Bind::Int(exact_digest(exact)))];
            let ways = Ways::Known(vec![equality(preds.clone())]);
            Ok(one(Table::String, number, preds, ways))
        }
        Match::Date(how, range) => {
            let range = Ends::of_date("low", "high", *range);
            let ways = Ways::Known(range.arms(*how));
            Ok(one(Table::Date, number, range.preds(*how), ways))
        }
        Match::Number(how, range) => {
            let range = Ends::of_number("low", "high", *range);
            let ways = Ways::Known(range.arms(*how));
            Ok(one(Table::Number, number, range.preds(*how), ways))
        }
        Match::Quantity(how, range, unit) => quantity(number, *how, *range, unit, facts),
        Match::Reference(reference) => Ok(vec![self::reference(number, reference)]),
        Match::Hierarchy {
            above,
            type_id,
            id,
            part_of,
        } => related(number, *above, *type_id, id, *part_of, facts),
        Match::CanonicalVersions {
            above,
            url,
            version,
        } => Ok(vec![versions(number, *above, url, version)]),
        Match::Composite(parts) => composite(number, parts, facts),
        Match::Near(circle) => near(number, circle, facts),
        Match::Encloses(spot) => enclosing(number, spot, facts),
        Match::Unequal(inner) => Ok(unequal(number, tests(param, inner, facts)?, inner)),
        Match::InValueSet { .. } | Match::Subsumed { .. } => Err(StoreError::Refused(
            Code::SearchModifier,
            "value sets cannot be searched by here".to_owned(),
        )),
        uri => Ok(uri_test(number, uri)),
    }
}

fn one(table: Table, param: i64, preds: Vec<Pred>, ways: Ways) -> Vec<Test> {
    vec![Test {
        table,
        param,
        preds,
        ways,
    }]
}

fn token_test(param: i64, token: &TokenMatch, facts: &mut dyn Facts) -> Result<Vec<Test>> {
    let Some(part) = Equal::token(token, facts)? else {
        return Ok(Vec::new());
    };
    let (preds, ways) = part.table("code", "system", &["system"]);
    Ok(one(Table::Token, param, preds, ways))
}

/// A code of which the case does not count: rows that begin as it may begin, compared while they are
/// read.
fn caseless(param: i64, system: &str, code: &str, facts: &mut dyn Facts) -> Result<Vec<Test>> {
    /// Beginnings that are looked at are at most two to the power of this.
    const LETTERS: usize = 3;
    let Some(system) = facts.system(system)? else {
        return Ok(Vec::new());
    };
    let mut starts = vec![String::new()];
    let mut letters = 0;
    for c in code.chars() {
        let upper = c.to_ascii_uppercase();
        if upper != c {
            letters += 1;
        }
        if letters > LETTERS {
            break;
        }
        let longer = |c: char| starts.iter().map(move |start| format!("{start}{c}"));
        starts = match upper == c {
            true => longer(c).collect(),
            false => longer(upper).chain(longer(c)).collect(),
        };
    }
    let is = vec![
        Pred::Column("code", Op::IsLower, Bind::text(code)),
        Pred::is("system", Bind::Int(system)),
    ];
    let arm = |start: &String| filtered(prefix("code", start), is.clone(), false);
    let ways = Ways::Known(starts.iter().map(arm).collect());
    Ok(one(Table::Token, param, is.clone(), ways))
}

fn uri_test(param: i64, uri: &Match) -> Vec<Test> {
    let range = |preds: Vec<Pred>| {
        let ways = Ways::Known(vec![unordered(preds.clone())]);
        one(Table::Uri, param, preds, ways)
    };
    match uri {
        Match::Uri(uri) => {
            let preds = vec![Pred::is("uri", Bind::text(uri))];
            let ways = Ways::Known(vec![equality(preds.clone())]);
            one(Table::Uri, param, preds, ways)
        }
        Match::UriBelow(uri) => vec![uri_below(param, uri)],
        Match::UriAbove(uri) => vec![uri_above(param, uri)],
        Match::UriBegins(start) => range(prefix("uri", start)),
        Match::UriContains(part) => {
            range(vec![Pred::Column("uri", Op::Contains, Bind::text(part))])
        }
        _ => Vec::new(),
    }
}

/// Some row that meets none of the tests of the value: rows of the table that such values are in.
fn unequal(param: i64, equal: Vec<Test>, value: &Match) -> Vec<Test> {
    let table = match (equal.first(), value) {
        (Some(test), _) => test.table,
        (None, Match::Token(_) | Match::TokenCaseless { .. }) => Table::Token,
        (None, Match::Composite(_)) => Table::Composite,
        (None, Match::Reference(_)) => Table::Reference,
        // Of a reference to a type that is never pointed to.
        (None, _) => Table::Uri,
    };
    let preds: Vec<Pred> = equal.into_iter().map(|t| Pred::Not(t.preds)).collect();
    let ways = Ways::Known(vec![unordered(preds.clone())]);
    one(table, param, preds, ways)
}

/// References to a resource and to what is part of it (or what it is part of).
fn related(
    param: i64,
    above: bool,
    type_id: TypeId,
    id: &ResourceId,
    part_of: ParamId,
    facts: &mut dyn Facts,
) -> Result<Vec<Test>> {
    let mut all = vec![IdKey::of_id(id)];
    let mut next = all.clone();
    let mut rounds = 0;
    while !next.is_empty() {
        let found = facts.related(above, type_id, &next, part_of)?;
        next = found.into_iter().filter(|id| !all.contains(id)).collect();
        next.dedup();
        all.extend(next.iter().cloned());
        rounds += 1;
        if all.len() > facts.bounds().hierarchy || rounds > facts.bounds().hierarchy {
            return Err(StoreError::Limit {
                code: Code::LimitQuery,
                limit: "search_hierarchy_max",
                max: facts.bounds().hierarchy as u64,
            });
        }
    }
    let test = |id: &IdKey| {
        let preds = vec![
            Pred::is("id", id.clone().into()),
            Pred::is("type", Bind::Int(i64::from(type_id.0))),
        ];
        let ways = Ways::Known(vec![filtered(preds.clone(), Vec::new(), true)]);
        one(Table::Reference, param, preds, ways)
    };
    Ok(all.iter().flat_map(test).collect())
}

/// Begins with a version: it, or it and a part behind a dot or a hyphen.
fn of_version(version: &str) -> Pred {
    Pred::Any(vec![
        vec![Pred::is("version", Bind::text(version))],
        prefix("version", &format!("{version}.")),
        prefix("version", &format!("{version}-")),
    ])
}

fn versions(param: i64, above: bool, url: &str, version: &str) -> Test {
    let version = if above {
        let starts = version.match_indices(['.', '-']).map(|(at, _)| at);
        let each = starts
            .filter_map(|at| version.get(..at))
            .chain([version])
            .filter(|v| !v.is_empty())
            .map(|v| vec![Pred::is("version", Bind::text(v))]);
        Pred::Any(each.collect())
    } else {
        of_version(version)
    };
    let key = vec![
        Pred::is("id", Bind::text(url)),
        Pred::is("type", Bind::Int(NO_TYPE)),
    ];
    let arm = filtered(key.clone(), vec![version.clone()], true);
    Test {
        table: Table::Reference,
        param,
        preds: [key, vec![version]].concat(),
        ways: Ways::Known(vec![arm]),
    }
}

/// Positions within a circle: those that there are, compared one by one.
fn near(param: i64, circle: &Circle, facts: &mut dyn Facts) -> Result<Vec<Test>> {
    /// Metres of a degree of latitude, at least.
    const DEGREE: f64 = 110_000.0;
    let reach = circle.radius / DEGREE;
    let (south, north) = (circle.latitude - reach, circle.latitude + reach);
    let at = (circle.latitude, circle.longitude);
    let found = facts.positions(param, south, north)?;
    let inside = found
        .into_iter()
        .filter(|place| distance(at, *place) <= circle.radius);
    let test = |(latitude, longitude): (f64, f64)| {
        let preds = vec![
            Pred::is("low", Bind::real(latitude)),
            Pred::is("high", Bind::real(longitude)),
        ];
        let ways = Ways::Known(vec![equality(preds.clone())]);
        one(Table::Number, param, preds, ways)
    };
    Ok(inside.flat_map(test).collect())
}

/// Boundaries around a place: those that there are, compared one by one.
fn enclosing(param: i64, spot: &Spot, facts: &mut dyn Facts) -> Result<Vec<Test>> {
    let around = facts.areas(param, *spot)?.into_iter();
    Ok(around
        .flat_map(|boundary| uri_test(param, &Match::Uri(boundary.into())))
        .collect())
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

fn reference(param: i64, reference: &ReferenceMatch) -> Test {
    let part = Equal::reference(reference);
    let mut preds = part.preds("id", "type");
    let version = match reference {
        ReferenceMatch::Local { version, .. } | ReferenceMatch::Url { version, .. } => {
            version.as_deref().map(|v| match reference {
                ReferenceMatch::Url { .. } => of_version(v),
                _ => Pred::is("version", Bind::text(v)),
            })
        }
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

impl From<IdKey> for Bind {
    fn from(id: IdKey) -> Self {
        match id {
            IdKey::Text(t) => Self::Text(t),
            IdKey::Uuid(b) => Self::Uuid(b),
        }
    }
}
