//! What the specification says, row by row, over everything there is.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use access::{Search, Spent};
use base::ids::uuid_bytes;
use fhir::definitions::{ParamId, TypeId};
use fhir::search::query::{
    Clause, Contained, How, Match, Prefix, Query, Range, ReferenceMatch, SortBy, SortKey, Test,
    TokenMatch, Unit,
};
use fhir::search::rows::{Row, RowValue, into_contained, plain};

use super::world::{DATE_STEP, NUMBER_STEP, Resource, World};

pub(super) struct Answer {
    pub(super) matches: Vec<i64>,
    /// For each match, its place in a container.
    pub(super) places: Vec<u16>,
    pub(super) scores: Vec<f64>,
    pub(super) included: Vec<i64>,
}

struct Eye<'w> {
    w: &'w World,
    all: &'w BTreeMap<i64, Resource>,
    /// Which rows of a type the caller sees; none for policy itself, which sees all.
    spent: Option<&'w Spent<Search>>,
}

pub(super) fn search(w: &World, query: &Query, as_of: u64) -> Answer {
    let spent = w.spend();
    let eye = Eye {
        w,
        all: w.now(as_of),
        spent: Some(&spent),
    };
    if let Some(how) = query.contained {
        return eye.inside(query, how);
    }
    let mut found: Vec<i64> = eye
        .all
        .iter()
        .filter(|(_, r)| spent.allows(r.type_id) && eye.sees(r))
        .filter(|(_, r)| {
            let at = query.types.iter().position(|t| *t == r.type_id);
            at.is_some_and(|at| query.filter.iter().all(|c| eye.holds(c, at, r)))
        })
        .map(|(rid, _)| *rid)
        .collect();
    found.sort_by(|a, b| eye.compare(query, *a, *b));
    let included = eye.included(query, &found);
    let scores = found.iter().map(|rid| eye.score(query, *rid)).collect();
    Answer {
        matches: found,
        places: Vec::new(),
        scores,
        included,
    }
}

/// Whether policy lets a caller see a row as it is now.
pub(super) fn sees(w: &World, spent: &Spent<Search>, rid: i64) -> bool {
    let all = w.now(w.seq);
    let spent = Some(spent);
    let eye = Eye { w, all, spent };
    all.get(&rid).is_some_and(|r| eye.sees(r))
}

/// Whether policy reaches a row as it is now; all that there was, where no rule is about its type.
pub(super) fn reaches(w: &World, spent: &Spent<Search>, rid: i64) -> bool {
    let ruled = |r: &Resource| {
        let rule = spent.rule(r.type_id);
        rule.is_some_and(|rule| rule.filter().is_some())
    };
    let ever = (0..=w.seq).filter_map(|seq| w.now(seq).get(&rid)).next();
    !ever.is_some_and(ruled) || sees(w, spent, rid)
}

/// A value in an order that is the tables': numbers, then texts, then UUIDs.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Value {
    Int(i64),
    Real(f64),
    Text(String),
    /// A code and the number of its system.
    Token(String, i64),
    Uuid([u8; 16]),
}

fn id_value(text: &str) -> Value {
    uuid_bytes(text).map_or_else(|| Value::Text(text.to_owned()), Value::Uuid)
}

impl Eye<'_> {
    /// What a resource contains.
    fn contained(&self, r: &Resource) -> Vec<Resource> {
        let mut found: BTreeMap<u16, Resource> = BTreeMap::new();
        for row in &r.rows {
            let RowValue::Contained(place, value) = &row.value else {
                continue;
            };
            let param = plain(row.param);
            // Every parameter belongs to one type; other rows know it by a parameter of theirs.
            let type_id = self.w.model().param_by_id(param).map(|p| p.type_id);
            let one = found.entry(*place).or_insert_with(|| Resource {
                type_id: TypeId(0),
                id: r.id.clone(),
                rows: Vec::new(),
                place: *place,
            });
            one.type_id = type_id.unwrap_or(one.type_id);
            one.rows.push(Row {
                param,
                value: (**value).clone(),
            });
        }
        found.into_values().collect()
    }

    fn inside(&self, query: &Query, how: Contained) -> Answer {
        let mut found: BTreeSet<(i64, u16)> = BTreeSet::new();
        let fits = |r: &Resource| {
            let at = query.types.iter().position(|t| *t == r.type_id);
            let spent = self.spent.unwrap();
            let seen = if r.place == 0 {
                self.sees(r)
            } else {
                self.sees_whole(r.type_id)
            };
            spent.allows(r.type_id)
                && seen
                && at.is_some_and(|at| query.filter.iter().all(|c| self.holds(c, at, r)))
        };
        for (rid, r) in self.all {
            if how.both && fits(r) {
                found.insert((*rid, 0));
            }
            for one in self.contained(r).iter().filter(|one| fits(one)) {
                if self.sees(r) {
                    found.insert((*rid, if how.alone { one.place } else { 0 }));
                }
            }
        }
        let matches: Vec<i64> = found.iter().rev().map(|(rid, _)| *rid).collect();
        let scored = |(rid, place): &(i64, u16)| self.inner_score(query, how, *rid, *place);
        Answer {
            included: self.included(query, &matches),
            places: found.iter().rev().map(|(_, place)| *place).collect(),
            scores: match query.relevance.is_empty() {
                true => Vec::new(),
                false => found.iter().rev().map(scored).collect(),
            },
            matches,
        }
    }

    /// The score of what is contained at a place, or the best of a resource and of all that it
    /// contains; of itself a resource counts only where it is searched.
    fn inner_score(&self, query: &Query, how: Contained, rid: i64, place: u16) -> f64 {
        let r = &self.all[&rid];
        let inner = self.contained(r);
        let of = |one: &Resource| self.score_of(query, &one.rows);
        if place > 0 {
            return inner.iter().find(|one| one.place == place).map_or(0.0, of);
        }
        let own = if how.both { of(r) } else { 0.0 };
        inner.iter().map(of).fold(own, f64::max)
    }

    fn score(&self, query: &Query, rid: i64) -> f64 {
        self.score_of(query, &self.all[&rid].rows)
    }

    fn score_of(&self, query: &Query, rows: &[Row]) -> f64 {
        if query.relevance.is_empty() {
            return 1.0;
        }
        let each = query.relevance.iter().map(|one| {
            let pattern = one.run.pattern();
            let texts = rows.iter().filter_map(|row| match &row.value {
                RowValue::Text(text) if one.params.contains(&row.param) => Some(text),
                _ => None,
            });
            let count: usize = texts.map(|text| text.matches(&pattern).count()).sum();
            1.0 - 1.0 / (1 + count) as f64
        });
        let mean = each.sum::<f64>() / query.relevance.len() as f64;
        (mean * 10_000.0).round() / 10_000.0
    }

    /// Whether the row is one that the caller is shown.
    fn sees(&self, r: &Resource) -> bool {
        let Some(spent) = self.spent else { return true };
        let policy = Eye {
            spent: None,
            ..*self
        };
        let filter = spent.rule(r.type_id).and_then(|rule| rule.filter());
        spent.shows(r.type_id) && filter.is_none_or(|clause| policy.holds(clause, 0, r))
    }

    /// Whether every row of a type is seen.
    fn sees_whole(&self, type_id: TypeId) -> bool {
        self.spent.is_some_and(|spent| {
            let rule = spent.rule(type_id).and_then(|rule| rule.filter());
            spent.shows(type_id) && rule.is_none()
        })
    }

    fn holds(&self, clause: &Clause, at: usize, r: &Resource) -> bool {
        match clause {
            Clause::Never => false,
            Clause::And(clauses) => clauses.iter().all(|c| self.holds(c, at, r)),
            Clause::Or(clauses) => clauses.iter().any(|c| self.holds(c, at, r)),
            Clause::ByType(clauses) => self.holds(&clauses[at], 0, r),
            Clause::Not(part) => !self.holds(part, at, r),
            Clause::Id(ids) => self.has_id(r, ids),
            Clause::NotId(ids) => !self.has_id(r, ids),
            Clause::Param(p) => {
                let rows = || r.rows.iter().filter(|row| row.param == p.param[at]);
                let param = p.param[at];
                let any = |values: &[Match]| values.iter().any(|m| self.value(r, param, m));
                match &p.test {
                    Test::Missing(missing) => rows().next().is_none() == *missing,
                    Test::Any(values) => any(values),
                    Test::None(values) => !any(values),
                }
            }
            Clause::Chain { param, targets } => {
                let inside = |one: &Resource| {
                    let param = into_contained(param[at]);
                    let place = one.place.to_string();
                    let refers = r.rows.iter().any(|row| {
                        row.param == param
                            && matches!(&row.value, RowValue::Reference { type_id, id, .. }
                                if *type_id == one.type_id && id.as_str() == place)
                    });
                    refers
                        && targets.iter().any(|(t, inner)| {
                            *t == one.type_id && self.sees_whole(*t) && self.holds(inner, 0, one)
                        })
                };
                let contained = r.place == 0 && self.contained(r).iter().any(inside);
                contained
                    || self.targets(r, param[at], None).iter().any(|rid| {
                        let to = &self.all[rid];
                        targets.iter().any(|(t, inner)| {
                            *t == to.type_id && self.sees(to) && self.holds(inner, 0, to)
                        })
                    })
            }
            Clause::MemberOf {
                param,
                source,
                member,
                inner,
            } => {
                let of = |row: &Row, p: ParamId| match &row.value {
                    RowValue::Reference { type_id, id, .. } if row.param == p => {
                        Some((type_id.0, id.as_str().to_owned()))
                    }
                    RowValue::ReferenceUrl { url, .. } if row.param == p => {
                        Some((u16::MAX, url.to_string()))
                    }
                    _ => None,
                };
                let mine: Vec<_> = r.rows.iter().filter_map(|row| of(row, param[at])).collect();
                self.all.values().any(|from| {
                    from.type_id == *source
                        && self.sees(from)
                        && self.holds(inner, 0, from)
                        && from
                            .rows
                            .iter()
                            .filter_map(|row| of(row, *member))
                            .any(|it| mine.contains(&it))
                })
            }
            Clause::Has {
                source,
                param,
                inner,
            } => {
                r.place == 0
                    && self.all.values().any(|from| {
                        from.type_id == *source
                            && self.sees(from)
                            && refers(from, *param, r)
                            && self.holds(inner, 0, from)
                    })
            }
        }
    }

    fn has_id(&self, r: &Resource, ids: &[base::ResourceId]) -> bool {
        if r.place == 0 {
            return ids.contains(&r.id);
        }
        let id = self.w.param(self.w.model().type_name(r.type_id), "_id");
        r.rows.iter().any(|row| {
            row.param == id
                && matches!(&row.value, RowValue::Token { code, .. }
                    if ids.iter().any(|i| i.as_str() == &**code))
        })
    }

    /// Whether some value of a parameter is what is asked for.
    fn value(&self, r: &Resource, param: ParamId, m: &Match) -> bool {
        let rows = |param| r.rows.iter().filter(move |row| row.param == param);
        match m {
            Match::OfType(of, value) => {
                let kept = format!("{}|{value}", of.code.as_deref().unwrap());
                rows(fhir::search::rows::of_type(param)).any(|row| {
                    matches!(&row.value, RowValue::Token { system, code }
                        if **code == *kept && Some(&**system) == of.system.as_deref())
                })
            }
            // What is kept beside the texts for it is looked at for the later words of names alone.
            Match::StringBegins(part) => {
                let letters = |row: &Row| match &row.value {
                    RowValue::String { exact, .. } => {
                        let plain = exact.to_lowercase().replace(['é', 'ë'], "e");
                        plain.chars().filter(|c| c.is_alphanumeric()).collect()
                    }
                    _ => "\0".to_owned(),
                };
                let later = |row: &Row| {
                    let text = letters(row);
                    let mut from = text.chars();
                    from.next();
                    from.as_str().starts_with(part.as_str())
                };
                rows(param).any(|row| letters(row).starts_with(part.as_str()))
                    || rows(fhir::search::rows::beginnings(param)).any(later)
            }
            Match::Unequal(inner) => rows(param)
                .filter(|row| {
                    !matches!(
                        (&row.value, &**inner),
                        (RowValue::String { .. }, Match::Token(_))
                            | (RowValue::ReferenceIdentifier { .. }, Match::Reference(_))
                    )
                })
                .any(|row| !meets(&row.value, inner)),
            Match::Hierarchy {
                above,
                type_id,
                id,
                part_of,
            } => {
                let mut family = BTreeSet::from([id.as_str().to_owned()]);
                loop {
                    let before = family.len();
                    for from in self.all.values().filter(|x| x.type_id == *type_id) {
                        for row in from.rows.iter().filter(|row| row.param == *part_of) {
                            let RowValue::Reference {
                                type_id: to, id, ..
                            } = &row.value
                            else {
                                continue;
                            };
                            let (from, to_id) = (from.id.as_str(), id.as_str());
                            if to != type_id {
                                continue;
                            }
                            if *above && family.contains(from) {
                                family.insert(to_id.to_owned());
                            } else if !*above && family.contains(to_id) {
                                family.insert(from.to_owned());
                            }
                        }
                    }
                    if family.len() == before {
                        break;
                    }
                }
                rows(param).any(|row| {
                    matches!(&row.value, RowValue::Reference { type_id: t, id, .. }
                        if t == type_id && family.contains(id.as_str()))
                })
            }
            m => rows(param).any(|row| meets(&row.value, m)),
        }
    }

    fn targets(&self, r: &Resource, param: ParamId, only: Option<TypeId>) -> Vec<i64> {
        self.all
            .iter()
            .filter(|(_, to)| only.is_none_or(|t| t == to.type_id) && refers(r, param, to))
            .map(|(rid, _)| *rid)
            .collect()
    }

    fn compare(&self, query: &Query, a: i64, b: i64) -> Ordering {
        for key in &query.sort {
            let value = |rid| self.key(query, &key.by, key.descending, rid);
            let order = match (value(a), value(b)) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) if key.descending => b.partial_cmp(&a).unwrap(),
                (Some(a), Some(b)) => a.partial_cmp(&b).unwrap(),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        // The best fitting come first, and of those the newest.
        let ascending = |k: &SortKey| k.descending == (k.by == SortBy::Score);
        if query.sort.first().is_some_and(ascending) {
            a.cmp(&b)
        } else {
            b.cmp(&a)
        }
    }

    fn key(&self, query: &Query, by: &SortBy, descending: bool, rid: i64) -> Option<Value> {
        let r = &self.all[&rid];
        let at = query.types.iter().position(|t| *t == r.type_id).unwrap();
        let (param, kind) = match by {
            SortBy::Id => return Some(id_value(r.id.as_str())),
            SortBy::Score => return Some(Value::Real(-self.score(query, rid))),
            SortBy::LastUpdated(params) => (params[at], None),
            SortBy::Param(params, kind) => (params[at], Some(*kind)),
        };
        use fhir::definitions::ParamKind as K;
        let values = r
            .rows
            .iter()
            .filter(|row| row.param == param)
            .filter_map(|row| {
                Some(match (&row.value, kind) {
                    (RowValue::Token { code, system }, Some(K::Token)) => {
                        let number = self
                            .w
                            .vocabulary
                            .system(&self.w.conn, system)
                            .unwrap()
                            .unwrap();
                        Value::Token(code.to_string(), number)
                    }
                    (RowValue::String { folded, .. }, Some(K::String)) => {
                        Value::Text(folded.to_string())
                    }
                    (RowValue::Date(range), _) => Value::Int(range.low),
                    (RowValue::Number(range), _) => Value::Real(range.low),
                    (RowValue::Quantity { value, .. }, _) => Value::Real(value.low),
                    (RowValue::Reference { id, .. }, _) => id_value(id.as_str()),
                    (RowValue::ReferenceUrl { url, .. }, _) => Value::Text(url.to_string()),
                    (RowValue::Uri(uri), _) => Value::Text(uri.to_string()),
                    _ => return None,
                })
            });
        let mut values: Vec<Value> = values.collect();
        values.sort_by(|a, b| a.partial_cmp(b).unwrap());
        if descending {
            values.pop()
        } else {
            values.into_iter().next()
        }
    }

    fn included(&self, query: &Query, matches: &[i64]) -> Vec<i64> {
        let mut seen: BTreeSet<i64> = matches.iter().copied().collect();
        let mut start: Vec<i64> = matches.to_vec();
        let mut first = true;
        while !start.is_empty() {
            let mut next = Vec::new();
            for include in query.include.iter().filter(|i| first || i.iterate) {
                for (on, param) in &include.params {
                    for rid in &start {
                        let r = &self.all[rid];
                        let fits = |t: TypeId| include.target.is_none_or(|x| x == t);
                        let hits: Vec<i64> = if include.reverse {
                            self.all
                                .iter()
                                .filter(|(_, from)| {
                                    from.type_id == *on
                                        && fits(r.type_id)
                                        && refers(from, *param, r)
                                })
                                .map(|(rid, _)| *rid)
                                .collect()
                        } else if r.type_id == *on {
                            self.targets(r, *param, include.target)
                        } else {
                            Vec::new()
                        };
                        next.extend(
                            hits.into_iter()
                                .filter(|h| self.sees(&self.all[h]))
                                .filter(|h| seen.insert(*h)),
                        );
                    }
                }
            }
            first = false;
            start = next;
        }
        for m in matches {
            seen.remove(m);
        }
        seen.into_iter().collect()
    }
}

fn refers(from: &Resource, param: ParamId, to: &Resource) -> bool {
    from.rows.iter().any(|row: &Row| {
        row.param == param
            && matches!(&row.value, RowValue::Reference { type_id, id, .. }
                if *type_id == to.type_id && *id == to.id)
    })
}

fn meets(value: &RowValue, m: &Match) -> bool {
    match (value, m) {
        (RowValue::Token { system, code }, Match::Token(t))
        | (RowValue::ReferenceIdentifier { system, code }, Match::ReferenceIdentifier(t)) => {
            token(system, code, t)
        }
        (RowValue::String { folded, .. }, Match::TokenText(x) | Match::StringContains(x)) => {
            folded.contains(x.as_str())
        }
        (RowValue::String { folded, .. }, Match::StringPrefix(x) | Match::TokenTextPrefix(x)) => {
            folded.starts_with(x.as_str())
        }
        (RowValue::String { folded, .. }, Match::StringIs(x)) => **folded == **x,
        (RowValue::String { folded, .. }, Match::StringSuffix(x)) => folded.ends_with(x.as_str()),
        (RowValue::Token { system, code }, Match::TokenCaseless { system: s, code: c }) => {
            **system == **s && code.to_ascii_lowercase() == *c
        }
        (RowValue::Token { code, .. }, Match::TokenCode(how, x)) => {
            let code = code.to_ascii_lowercase();
            match how {
                How::Begins => code.starts_with(x.as_str()),
                How::Contains => code.contains(x.as_str()),
                How::Ends => code.ends_with(x.as_str()),
                How::Is => code == *x,
            }
        }
        (RowValue::String { exact, .. }, Match::StringExact(x)) => **exact == **x,
        (RowValue::Date(v), Match::Date(how, s)) => date(*v, *how, *s),
        (RowValue::Number(v), Match::Number(how, s)) => number(*v, *how, *s),
        (
            RowValue::Quantity {
                value,
                system,
                code,
                unit,
            },
            Match::Quantity(how, s, u),
        ) => {
            if let Unit::Coded {
                system: s2,
                code: c2,
            } = u
                && (&**system, s2.as_str()) == (fhir::ucum::SYSTEM, fhir::ucum::SYSTEM)
                && let (Some(a), Some(b)) = (bits(code), bits(c2))
            {
                let of = |r: &Range<f64>, x: f64| Range {
                    low: r.low * x,
                    high: r.high * x,
                };
                return number(of(value, a), *how, of(s, b));
            }
            let fits = match u {
                Unit::Any => true,
                Unit::Code(c) => **code == **c || (!unit.is_empty() && **unit == **c),
                Unit::Coded { system: s, code: c } => **system == **s && **code == **c,
            };
            fits && number(*value, *how, *s)
        }
        (
            RowValue::Reference {
                type_id,
                id,
                version,
            },
            Match::Reference(r),
        ) => match r {
            ReferenceMatch::Local {
                type_id: t,
                id: i,
                version: v,
            } => t == type_id && i == id && v.as_ref().is_none_or(|v| **v == **version),
            ReferenceMatch::AnyType { id: i, types } => i == id && types.contains(type_id),
            ReferenceMatch::Url { .. } => false,
        },
        (
            RowValue::ReferenceUrl { url, version },
            Match::Reference(ReferenceMatch::Url { url: u, version: v }),
        ) => **url == **u && v.as_ref().is_none_or(|v| is_of(version, v)),
        (
            RowValue::ReferenceUrl { url, version },
            Match::CanonicalVersions {
                above,
                url: u,
                version: v,
            },
        ) => {
            let fits = if *above {
                !version.is_empty() && is_of(v, version)
            } else {
                is_of(version, v)
            };
            **url == **u && fits
        }
        (RowValue::Text(text), Match::Run(run)) => text.contains(&run.pattern()),
        (RowValue::Uri(uri), Match::UriContains(x)) => uri.contains(x.as_str()),
        (RowValue::Uri(uri), Match::UriBegins(x)) => uri.starts_with(x.as_str()),
        (RowValue::Number(at), Match::Near(c)) => {
            let from = (c.latitude, c.longitude);
            fhir::search::rows::distance(from, (at.low, at.high)) <= c.radius
        }
        (RowValue::Uri(uri), Match::Uri(u)) => **uri == **u,
        (RowValue::Uri(uri), Match::UriBelow(u)) => under(uri, u),
        (RowValue::Uri(uri), Match::UriAbove(u)) => under(u, uri),
        (RowValue::Composite(values), Match::Composite(parts)) => {
            values.len() == parts.len() && values.iter().zip(parts).all(|(v, m)| meets(v, m))
        }
        _ => false,
    }
}

/// Units of the test that measure the same: a byte has eight bits.
fn bits(code: &str) -> Option<f64> {
    match code {
        "By" => Some(8.0),
        "bit" => Some(1.0),
        _ => None,
    }
}

fn is_of(version: &str, part: &str) -> bool {
    version
        .strip_prefix(part)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

fn under(uri: &str, base: &str) -> bool {
    uri.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || base.ends_with('/'))
}

fn token(system: &str, code: &str, t: &TokenMatch) -> bool {
    t.system.as_ref().is_none_or(|s| s == system) && t.code.as_ref().is_none_or(|c| c == code)
}

/// Ranges as sets of points: whole steps and the middles between them.
fn points(low: i64, high: i64) -> BTreeSet<i64> {
    if low == high {
        BTreeSet::from([low * 2])
    } else {
        (low * 2..high * 2).collect()
    }
}

fn compare(value: &BTreeSet<i64>, how: Prefix, search: &BTreeSet<i64>) -> bool {
    let (first, last) = (search.first().unwrap(), search.last().unwrap());
    let above = value.iter().any(|p| p > last);
    let below = value.iter().any(|p| p < first);
    let contained = value.is_subset(search);
    match how {
        Prefix::Eq => contained,
        Prefix::Ne => !contained,
        Prefix::Gt => above,
        Prefix::Lt => below,
        Prefix::Ge => above || contained,
        Prefix::Le => below || contained,
        Prefix::Sa => value.iter().all(|p| p > last),
        Prefix::Eb => value.iter().all(|p| p < first),
        Prefix::Ap => !value.is_disjoint(search),
    }
}

fn date(value: Range<i64>, how: Prefix, search: Range<i64>) -> bool {
    let step = |x: i64| match x {
        i64::MIN => -40,
        i64::MAX => 80,
        x if x % DATE_STEP == 1_000 => x / DATE_STEP + 1,
        x => x / DATE_STEP,
    };
    // `_lastUpdated` is a thousandth of nothing: all that matters is where it begins.
    let instant = value.high == value.low.saturating_add(1_000);
    let v = if instant {
        BTreeSet::from([step(value.low) * 2])
    } else {
        points(step(value.low), step(value.high))
    };
    compare(&v, how, &points(step(search.low), step(search.high)))
}

fn number(value: Range<f64>, how: Prefix, search: Range<f64>) -> bool {
    let step = |x: f64| ((x + 1.5) / NUMBER_STEP).round() as i64;
    compare(
        &points(step(value.low), step(value.high)),
        how,
        &points(step(search.low), step(search.high)),
    )
}
