//! Whether resources that are about to be written together meet a clause of a search, beside what is
//! stored: conditional references of a transaction are about what it makes as well
//! (`http.html#trules`).
//!
//! Compares the same index values as the store's tables do, by the same rules. What depends on stored
//! resources is asked of the caller, who asks the store; nothing is read here.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base::limits::fixed::TRANSACTION_STEPS_MAX;
use base::{Micros, ResourceId};

use super::custom::Customs;
use super::holds::{all, any, meets};
use super::query::{Clause, Match, ParamClause, Test, TokenMatch, Unit};
use super::rows::{
    Row, RowValue, beginnings, contained, distance, encloses, in_unit, into_contained, of_type,
    plain, typed_identifier,
};
use crate::definitions::{Model, ParamId, ParamKind, TypeId};
use crate::json::Value;
use crate::ucum;

mod beside;

pub use beside::Gone;

/// A resource that is about to be written.
#[derive(Debug)]
pub struct Fresh {
    type_id: TypeId,
    id: ResourceId,
    rows: Vec<Row>,
    /// There is none of this id yet.
    new: bool,
}

impl Fresh {
    /// Of a whole resource, which will have this id and be updated at this time.
    pub fn of(
        model: &'static Model,
        customs: &Customs,
        (type_id, id, new): (TypeId, ResourceId, bool),
        resource: Value<'_>,
        own_bases: &[&str],
        updated: Micros,
    ) -> Self {
        let mut rows = super::extract(model, type_id, resource, own_bases);
        rows.extend(customs.extract(model, type_id, resource, own_bases, |_| true));
        if let Some(param) = model.param(type_id, "_lastUpdated") {
            let (low, high) = (updated.0, updated.0.saturating_add(1_000));
            let value = RowValue::Date(super::query::Range { low, high });
            rows.push(Row {
                param: param.id,
                value,
            });
        }
        Self {
            type_id,
            id,
            rows,
            new,
        }
    }
}

/// What a stored resource is asked: its type, its id, and the clause that it may meet.
pub type Question = (TypeId, ResourceId, Clause);

/// Resources that are about to be written, and what is known of others.
#[derive(Debug)]
pub struct Among<'a> {
    model: &'static Model,
    customs: &'a Customs,
    fresh: &'a [Arc<Fresh>],
    /// What was asked, with the answers.
    known: &'a [(Question, bool)],
    asked: RefCell<Vec<Question>>,
    by_id: HashMap<(TypeId, &'a ResourceId), &'a Fresh>,
    /// Places of those that have a code under a parameter.
    by_code: HashMap<(ParamId, &'a str), Vec<usize>>,
    /// Rows that may still be looked at.
    left: Cell<u64>,
    /// What cannot be said at all, if it was asked.
    unsaid: Cell<Option<&'static str>>,
}

/// One of them, or what one of them contains.
struct Eye<'e> {
    /// `None` for what is contained.
    of: Option<&'e Fresh>,
    type_id: TypeId,
    rows: &'e [Row],
}

impl<'a> Among<'a> {
    /// These resources; `known` are the answers to what was asked before.
    pub fn new(
        (model, customs): (&'static Model, &'a Customs),
        fresh: &'a [Arc<Fresh>],
        known: &'a [(Question, bool)],
    ) -> Self {
        let mut by_code: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, one) in fresh.iter().enumerate() {
            for row in &one.rows {
                if let RowValue::Token { code, .. } = &row.value {
                    by_code.entry((row.param, &**code)).or_default().push(at);
                }
            }
        }
        let by_id = fresh.iter().map(|one| ((one.type_id, &one.id), &**one));
        Self {
            model,
            customs,
            fresh,
            known,
            asked: RefCell::new(Vec::new()),
            by_id: by_id.collect(),
            by_code,
            left: Cell::new(TRANSACTION_STEPS_MAX),
            unsaid: Cell::new(None),
        }
    }

    /// What was asked that cannot be said, whatever is known of stored resources.
    pub fn unsaid(&self) -> Option<&'static str> {
        self.unsaid.get()
    }

    /// Places of those that may meet these clauses: few where codes are asked for.
    pub fn candidates(&self, clauses: &[Clause]) -> Vec<usize> {
        let mut places = clauses.iter().find_map(|clause| self.with_codes(clause));
        let places = places.get_or_insert_with(|| (0..self.fresh.len()).collect());
        std::mem::take(places)
    }

    fn with_codes(&self, clause: &Clause) -> Option<Vec<usize>> {
        let Clause::Param(ParamClause {
            param,
            test: Test::Any(values),
            ..
        }) = clause
        else {
            return None;
        };
        let mut places = Vec::new();
        for value in values.iter() {
            let Match::Token(TokenMatch {
                code: Some(code), ..
            }) = value
            else {
                return None;
            };
            let key = (*param.first()?, code.as_str());
            places.extend(self.by_code.get(&key).into_iter().flatten());
        }
        places.sort_unstable();
        places.dedup();
        Some(places)
    }

    /// Whether one of them meets these clauses of a search of its type; `None` while that depends on
    /// what [`Self::questions`] are, cannot be said at all, or would be too much work
    /// ([`Self::is_spent`]).
    pub fn holds(&self, at: usize, clauses: &[Clause]) -> Option<bool> {
        let eye = self.fresh.get(at)?.eye();
        all(clauses.iter().map(|clause| self.clause(&eye, clause)))
    }

    /// Whether more rows would have to be looked at than may be.
    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// Notes that rows are looked at; `None` if that was too many.
    fn look(&self, rows: usize) -> Option<()> {
        let left = self.left.get().saturating_sub(1 + rows as u64);
        self.left.set(left);
        (left > 0).then_some(())
    }

    /// What must be known of stored resources first.
    pub fn questions(&self) -> Vec<Question> {
        self.asked.take()
    }

    fn clause(&self, eye: &Eye<'_>, clause: &Clause) -> Option<bool> {
        self.look(eye.rows.len())?;
        match clause {
            Clause::Never => Some(false),
            Clause::And(parts) => all(parts.iter().map(|p| self.clause(eye, p))),
            Clause::Or(parts) => any(parts.iter().map(|p| self.clause(eye, p))),
            Clause::Not(part) => self.clause(eye, part).map(|holds| !holds),
            Clause::ByType(parts) => self.clause(eye, parts.first()?),
            Clause::Id(ids) => Some(self.has_id(eye, ids)),
            Clause::NotId(ids) => Some(!self.has_id(eye, ids)),
            Clause::Param(param) => self.parameter(eye, param),
            Clause::Chain { param, targets } => self.chain(eye, *param.first()?, targets),
            Clause::Has {
                source,
                param,
                inner,
            } => self.has(eye, (*source, *param), inner, clause),
            Clause::MemberOf {
                param,
                source,
                member,
                inner,
            } => {
                let listed = Clause::Has {
                    source: *source,
                    param: *member,
                    inner: inner.clone(),
                };
                let targets = references(eye.rows, *param.first()?);
                any(targets.map(|(type_id, id)| self.other(type_id, id, &listed)))
            }
        }
    }

    /// Whether a resource that is referred to meets a clause: one of them, or a stored one.
    fn other(&self, type_id: TypeId, id: &ResourceId, clause: &Clause) -> Option<bool> {
        match self.find(type_id, id) {
            Some(one) => self.clause(&one.eye(), clause),
            None => self.stored(type_id, id, clause),
        }
    }

    fn find(&self, type_id: TypeId, id: &ResourceId) -> Option<&'a Fresh> {
        self.by_id.get(&(type_id, id)).copied()
    }

    fn stored(&self, type_id: TypeId, id: &ResourceId, clause: &Clause) -> Option<bool> {
        self.look(self.known.len())?;
        let is = |q: &Question| q.0 == type_id && q.1 == *id && q.2 == *clause;
        if let Some((_, answer)) = self.known.iter().find(|(q, _)| is(q)) {
            return Some(*answer);
        }
        let mut asked = self.asked.borrow_mut();
        if !asked.iter().any(is) {
            asked.push((type_id, id.clone(), clause.clone()));
        }
        None
    }

    fn has_id(&self, eye: &Eye<'_>, ids: &[ResourceId]) -> bool {
        if let Some(one) = eye.of {
            return ids.contains(&one.id);
        }
        let Some(param) = self.model.param(eye.type_id, "_id").map(|p| p.id) else {
            return false;
        };
        let own = eye.rows.iter().filter(|row| row.param == param);
        let mut codes = own.filter_map(|row| match &row.value {
            RowValue::Token { code, .. } => Some(code),
            _ => None,
        });
        codes.any(|code| ids.iter().any(|id| *id.as_str() == **code))
    }

    fn chain(
        &self,
        eye: &Eye<'_>,
        param: ParamId,
        targets: &[(TypeId, Arc<Clause>)],
    ) -> Option<bool> {
        let of_type = |type_id: TypeId| targets.iter().filter(move |(to, _)| *to == type_id);
        let mut found = Vec::new();
        for (type_id, id) in references(eye.rows, param) {
            for (_, inner) in of_type(type_id) {
                found.push(self.other(type_id, id, inner));
            }
        }
        for (type_id, place) in references(eye.rows, into_contained(param)) {
            let Ok(place) = place.as_str().parse::<u16>() else {
                continue;
            };
            self.look(eye.rows.len())?;
            let rows = of_place(eye.rows, place);
            let inside = Eye {
                of: None,
                type_id,
                rows: &rows,
            };
            for (_, inner) in of_type(type_id) {
                found.push(self.clause(&inside, inner));
            }
        }
        let names_some =
            |row: &Row| row.param == param && matches!(row.value, RowValue::ReferenceUrl { .. });
        if eye.rows.iter().any(names_some) {
            self.look(self.fresh.len().saturating_mul(eye.rows.len()))?;
            for one in self.fresh.iter().filter(|one| self.names(eye, param, one)) {
                for (_, inner) in of_type(one.type_id) {
                    found.push(self.clause(&one.eye(), inner));
                }
            }
        }
        any(found.into_iter())
    }

    fn has(
        &self,
        eye: &Eye<'_>,
        (source, param): (TypeId, ParamId),
        inner: &Clause,
        whole: &Clause,
    ) -> Option<bool> {
        let Some(me) = eye.of else {
            return Some(false);
        };
        self.look(self.fresh.iter().map(|from| from.rows.len()).sum())?;
        let refers = |from: &&Arc<Fresh>| {
            let by_id =
                || references(&from.rows, param).any(|(t, id)| t == me.type_id && *id == me.id);
            from.type_id == source && (by_id() || self.names(&from.eye(), param, me))
        };
        let mut found: Vec<Option<bool>> = self
            .fresh
            .iter()
            .filter(refers)
            .map(|from| self.clause(&from.eye(), inner))
            .collect();
        // To what is not there yet nothing stored is known to refer.
        if !me.new {
            found.push(self.stored(me.type_id, &me.id, whole));
        }
        any(found.into_iter())
    }

    /// Whether a canonical of the parameter names the other one.
    fn names(&self, eye: &Eye<'_>, param: ParamId, other: &Fresh) -> bool {
        let text = |code: &str| {
            let param = self.model.param(other.type_id, code)?;
            let mut of = other.rows.iter().filter(|row| row.param == param.id);
            of.find_map(|row| match &row.value {
                RowValue::Uri(text) | RowValue::Token { code: text, .. } => Some(&**text),
                _ => None,
            })
        };
        let named = eye.rows.iter().filter(|row| row.param == param);
        let mut named = named.filter_map(|row| match &row.value {
            RowValue::ReferenceUrl { url, version } => Some((&**url, &**version)),
            _ => None,
        });
        named.any(|(url, version)| {
            text("url") == Some(url)
                && (version.is_empty() || is_of(text("version").unwrap_or(""), version))
        })
    }

    fn parameter(&self, eye: &Eye<'_>, clause: &ParamClause) -> Option<bool> {
        let param = *clause.param.first()?;
        let found = |values: &[Match]| any(values.iter().map(|v| self.value(eye, param, v)));
        match &clause.test {
            Test::Missing(missing) => {
                let mut own = eye.rows.iter().filter(|row| row.param == param);
                Some(own.next().is_none() == *missing)
            }
            Test::Any(values) => found(values),
            Test::None(values) => found(values).map(|holds| !holds),
        }
    }

    fn value(&self, eye: &Eye<'_>, param: ParamId, value: &Match) -> Option<bool> {
        let rows = |param| eye.rows.iter().filter(move |row| row.param == param);
        match value {
            Match::OfType(of, text) => {
                let kept = typed_identifier(of.code.as_deref().unwrap_or(""), text);
                let is = |row: &Row| match &row.value {
                    RowValue::Token { system, code } => {
                        **code == *kept && of.system.as_deref().is_none_or(|s| s == &**system)
                    }
                    _ => false,
                };
                Some(rows(of_type(param)).any(is))
            }
            Match::StringBegins(_) => {
                let beside = rows(beginnings(param));
                any(rows(param).chain(beside).map(|row| is(&row.value, value)))
            }
            Match::Unequal(inner) => {
                let aside = |row: &Row| {
                    matches!(
                        (&row.value, &**inner),
                        (RowValue::String { .. }, Match::Token(_))
                            | (RowValue::ReferenceIdentifier { .. }, Match::Reference(_))
                    )
                };
                let own = rows(param).filter(|row| !aside(row));
                any(own.map(|row| is(&row.value, inner).map(|equal| !equal)))
            }
            Match::Hierarchy {
                above,
                type_id,
                id,
                part_of,
            } => {
                let own = references(eye.rows, param).filter(|(t, _)| t == type_id);
                any(own.map(|(_, found)| {
                    let (lower, upper) = if *above { (id, found) } else { (found, id) };
                    self.is_part((*type_id, *part_of), lower, upper)
                }))
            }
            value => any(rows(param).map(|row| is(&row.value, value))),
        }
    }

    /// Whether a resource is the other one or part of it, however often it is part of the same.
    fn is_part(
        &self,
        (type_id, part_of): (TypeId, ParamId),
        lower: &ResourceId,
        upper: &ResourceId,
    ) -> Option<bool> {
        let below = Match::Hierarchy {
            above: false,
            type_id,
            id: upper.clone(),
            part_of,
        };
        let clause = Clause::Param(ParamClause {
            param: vec![part_of],
            kind: ParamKind::Reference,
            test: Test::Any([below].into()),
        });
        let (mut seen, mut waiting) = (HashSet::new(), vec![lower]);
        let mut answer = Some(false);
        while let Some(next) = waiting.pop() {
            if next == upper {
                return Some(true);
            }
            if !seen.insert(next) {
                continue;
            }
            match self.find(type_id, next) {
                Some(one) => {
                    self.look(one.rows.len())?;
                    let above = references(&one.rows, part_of).filter(|(t, _)| *t == type_id);
                    waiting.extend(above.map(|(_, id)| id));
                }
                None => match self.stored(type_id, next, &clause) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => answer = None,
                },
            }
        }
        answer
    }
}

impl Fresh {
    fn eye(&self) -> Eye<'_> {
        Eye {
            of: Some(self),
            type_id: self.type_id,
            rows: &self.rows,
        }
    }
}

/// What the references of a parameter lead to here.
fn references(rows: &[Row], param: ParamId) -> impl Iterator<Item = (TypeId, &ResourceId)> {
    let own = rows.iter().filter(move |row| row.param == param);
    own.filter_map(|row| match &row.value {
        RowValue::Reference { type_id, id, .. } => Some((*type_id, id)),
        _ => None,
    })
}

/// The rows of what is contained at this place, as those of a resource.
fn of_place(rows: &[Row], place: u16) -> Vec<Row> {
    let inside = |row: &Row| match &row.value {
        RowValue::Contained(at, value) if *at == place => {
            let param = plain(row.param);
            debug_assert!(contained(param) == row.param);
            Some(Row {
                param,
                value: (**value).clone(),
            })
        }
        _ => None,
    };
    rows.iter().filter_map(inside).collect()
}

/// Whether a version is this one or begins with it.
fn is_of(version: &str, part: &str) -> bool {
    let rest = version.strip_prefix(part);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

/// Whether a row is what is asked for.
fn is(row: &RowValue, value: &Match) -> Option<bool> {
    Some(match (row, value) {
        (RowValue::Composite(values), Match::Composite(parts)) => {
            let pairs = values.iter().zip(parts).map(|(v, part)| is(v, part));
            return all(pairs).map(|fits| fits && values.len() == parts.len());
        }
        (RowValue::String { folded, .. }, Match::Runs(runs)) => {
            runs.iter().all(|run| folded.contains(&run.pattern()))
        }
        (RowValue::Text(text), Match::Run(run)) => text.contains(&run.pattern()),
        (RowValue::Uri(word), Match::UriBegins(part)) => word.starts_with(part.as_str()),
        (RowValue::Number(at), Match::Near(circle)) => {
            let from = (circle.latitude, circle.longitude);
            distance(from, (at.low, at.high)) <= circle.radius
        }
        (RowValue::Uri(area), Match::Encloses(spot)) => {
            encloses(area, (spot.latitude, spot.longitude))
        }
        (
            RowValue::ReferenceUrl { url, version },
            Match::CanonicalVersions {
                above,
                url: wanted,
                version: part,
            },
        ) => {
            let fits = match above {
                true => !version.is_empty() && is_of(part, version),
                false => is_of(version, part),
            };
            **url == **wanted && fits
        }
        (
            RowValue::Quantity { system, code, .. },
            Match::Quantity(
                how,
                range,
                Unit::Coded {
                    system: of,
                    code: wanted,
                },
            ),
        ) if **system == *ucum::SYSTEM && *of == ucum::SYSTEM && **code != **wanted => {
            let Some(range) = in_unit(*range, wanted, code) else {
                return Some(false);
            };
            let (system, code) = (of.clone(), code.to_string());
            let same = Match::Quantity(*how, range, Unit::Coded { system, code });
            return meets(row, &same);
        }
        (_, Match::Composite(_) | Match::Run(_) | Match::Runs(_) | Match::UriBegins(_))
        | (_, Match::Near(_) | Match::Encloses(_) | Match::CanonicalVersions { .. }) => false,
        // Put in the place of codes before anything is compared.
        (_, Match::InValueSet { .. } | Match::Subsumed { .. }) => return None,
        (row, value) => return meets(row, value),
    })
}
