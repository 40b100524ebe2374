//! Which condition to start from.
//!
//! Knows what each condition would cost only through counts that stop early.

use std::sync::Arc;

use fhir::definitions::{ParamId, TypeId};

use super::Facts;
use super::compare::{Arm, Op, Pred, Test, Ways};
use super::cond::{Canonical, Cond};
use super::select::bounded_count;
use super::text::{Bind, Binds};
use crate::Result;
use crate::sqlite::index::{IdKey, Shape, Table};

/// What gives the rows that the other conditions are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// No row at all: the index has no such value.
    Nothing,
    /// All resources of the type, newest first.
    Type,
    /// Parts of an index.
    Arms {
        table: Table,
        param: i64,
        arms: Vec<Arm>,
    },
    /// Resources by their ids.
    Ids(Vec<IdKey>),
    /// The rows that memory of this number lists. Where they are not `exact`, memory is asked about each.
    Rows {
        number: i64,
        rows: Arc<[i64]>,
        exact: bool,
    },
    /// A patient's resources by their date.
    Compartment {
        patients: Vec<IdKey>,
        dates: Vec<Test>,
    },
    /// From the end of a chain back.
    Chain {
        param: i64,
        targets: Vec<(TypeId, Driver)>,
    },
    /// From the resources that canonicals name back; what must hold for those is in the driver.
    Named {
        param: i64,
        targets: Vec<(Canonical, Driver)>,
    },
    /// From the referring resources.
    Has {
        source: TypeId,
        param: i64,
        inner: Box<Driver>,
    },
    /// From contained resources to those that refer to them.
    Inside {
        param: ParamId,
        targets: Vec<(TypeId, Driver)>,
    },
    /// From the resources that name others by canonicals.
    NamedBy {
        source: TypeId,
        param: i64,
        targets: Vec<Canonical>,
        inner: Box<Driver>,
    },
    /// From the resources that list members to what refers to those.
    MemberOf {
        param: i64,
        source: TypeId,
        member: i64,
        inner: Box<Driver>,
    },
    /// What any of these gives.
    Either(Vec<Driver>),
}

impl Driver {
    fn ordered(&self) -> bool {
        match self {
            Self::Type | Self::Nothing | Self::Rows { .. } => true,
            Self::Arms { arms, .. } => arms.iter().all(|a| a.ordered),
            Self::Either(drivers) => drivers.iter().all(Self::ordered),
            _ => false,
        }
    }
}

/// The choice for one type.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// The type.
    pub(crate) type_id: TypeId,
    /// All conditions.
    pub(crate) all: Vec<Cond>,
    /// What gives the rows.
    pub(crate) driver: Driver,
    /// The conditions that its rows do not meet by themselves.
    pub(crate) rest: Vec<Cond>,
    /// So few rows that gathering and sorting them is cheap.
    pub(crate) few: bool,
    /// Newest first is better found by walking the type and asking all conditions.
    pub(crate) walk: bool,
}

struct Candidate {
    driver: Driver,
    covers: Vec<usize>,
    /// Index rows, counted up to a bound.
    rows: u64,
    /// The oldest `rid` among those, if the newest were counted: the older, the rarer.
    oldest: i64,
}

/// Chooses for one type; `None` if nothing can match. `sorted`: the answer is not wanted newest
/// first.
pub(crate) fn choose(
    type_id: TypeId,
    conds: Vec<Cond>,
    shape: &Shape,
    sorted: bool,
    facts: &mut dyn Facts,
) -> Result<Option<Choice>> {
    if conds.contains(&Cond::Never) {
        return Ok(None);
    }
    let bounds = facts.bounds();
    let mut candidates = Vec::new();
    for (at, cond) in conds.iter().enumerate() {
        if let Some(driver) = driver(cond, facts)? {
            if driver == Driver::Nothing {
                return Ok(None);
            }
            let exact = is_exact(cond) || matches!(driver, Driver::Rows { exact: true, .. });
            let covers = if exact { vec![at] } else { Vec::new() };
            candidates.push(Candidate {
                driver,
                covers,
                rows: u64::MAX,
                oldest: i64::MAX,
            });
        }
    }
    let best = match compartment(type_id, &conds, shape) {
        // One patient's resources of one type: nothing else need be weighed.
        Some(of_patient) => Some(of_patient),
        None => rarest(candidates, type_id, sorted, facts)?,
    };
    let Some(best) = best else {
        let (driver, rest) = (Driver::Type, conds.clone());
        return Ok(Some(Choice {
            type_id,
            all: conds,
            driver,
            rest,
            few: false,
            walk: false,
        }));
    };
    let limit = if sorted {
        bounds.sorted
    } else {
        bounds.gathered
    };
    let mut rows = best.rows;
    let ordered = best.driver.ordered();
    if rows >= bounds.compared && (sorted || !ordered) {
        rows = cost(&best.driver, type_id, limit, facts)?.0;
    }
    let rest = conds
        .iter()
        .enumerate()
        .filter(|(at, _)| !best.covers.contains(at))
        .map(|(_, c)| c.clone())
        .collect();
    let few = rows < limit;
    let one_patient = matches!(best.driver, Driver::Compartment { .. });
    Ok(Some(Choice {
        type_id,
        all: conds,
        walk: !ordered && !few && !one_patient,
        few: few || one_patient,
        driver: best.driver,
        rest,
    }))
}

/// The candidate with the fewest rows. Of those that are all many, what comes in order before what
/// does not, and then what is spread thinnest over the newest resources.
fn rarest(
    mut candidates: Vec<Candidate>,
    type_id: TypeId,
    sorted: bool,
    facts: &mut dyn Facts,
) -> Result<Option<Candidate>> {
    // Of what is not much shorter than a list that is at hand it need not be known how long it is.
    let listed = candidates.iter().filter_map(|c| match &c.driver {
        Driver::Rows { rows, .. } => Some((rows.len() as u64 / SHORTER).max(SHORT)),
        _ => None,
    });
    let max = listed.fold(facts.bounds().compared, u64::min);
    let unordered = candidates.iter().any(|c| !c.driver.ordered());
    if sorted || candidates.len() > 1 || unordered {
        for candidate in &mut candidates {
            (candidate.rows, candidate.oldest) = cost(&candidate.driver, type_id, max, facts)?;
        }
    }
    Ok(candidates
        .into_iter()
        .filter(|c| c.rows < u64::MAX || c.driver.ordered())
        .min_by_key(|c| {
            let ordered = c.driver.ordered();
            // Between few rows and none the plan is the same: it does not tell of what is not seen.
            let rows = c.rows.max(SHORT).min(max);
            let oldest = if c.rows < max { 0 } else { c.oldest };
            (rows, !ordered, oldest, rank(&c.driver))
        }))
}

/// What gives fewer rows than one in so many of a list, or than this many, is started from instead.
const SHORTER: u64 = 4;
const SHORT: u64 = 16;

/// The rank of what comes from other resources.
const HOPS: u8 = 6;

/// Between drivers that all give many rows: what tends to be rarer first.
fn rank(driver: &Driver) -> u8 {
    match driver {
        Driver::Ids(_) | Driver::Nothing => 0,
        Driver::Compartment { .. } | Driver::Rows { .. } => 1,
        Driver::Either(_) => 4,
        Driver::Arms {
            table: Table::Reference,
            ..
        } => 2,
        Driver::Arms {
            table: Table::Composite,
            ..
        } => 3,
        Driver::Arms {
            table: Table::Uri, ..
        } => 5,
        Driver::Arms { .. } => 4,
        Driver::Chain { .. }
        | Driver::Named { .. }
        | Driver::Inside { .. }
        | Driver::Has { .. }
        | Driver::NamedBy { .. }
        | Driver::MemberOf { .. } => HOPS,
        Driver::Type => 7,
    }
}

/// How many index rows a driver reads, counted up to `max`, and the oldest `rid` among those if
/// they are the newest. `u64::MAX` rows if it had better not be used.
fn cost(driver: &Driver, type_id: TypeId, max: u64, facts: &mut dyn Facts) -> Result<(u64, i64)> {
    const NEVER: (u64, i64) = (u64::MAX, i64::MAX);
    let bounds = facts.bounds();
    match driver {
        Driver::Nothing => return Ok((0, 0)),
        Driver::Ids(ids) => return Ok((ids.len() as u64, 0)),
        Driver::Rows { rows, .. } => {
            let counted = usize::try_from(max).unwrap_or(usize::MAX).min(rows.len());
            let oldest = rows.get(rows.len() - counted).copied();
            return Ok((counted as u64, oldest.unwrap_or(0)));
        }
        Driver::Chain { targets, .. } | Driver::Inside { targets, .. } => {
            let mut inner: u64 = 0;
            for (to, driver) in targets {
                inner = inner.saturating_add(cost(driver, *to, bounds.inner, facts)?.0);
            }
            if inner >= bounds.inner {
                return Ok(NEVER);
            }
        }
        Driver::Named { targets, .. } => {
            let mut inner: u64 = 0;
            for (to, driver) in targets {
                let rows = cost(driver, to.type_id, bounds.inner, facts)?.0;
                inner = inner.saturating_add(rows);
            }
            if inner >= bounds.inner {
                return Ok(NEVER);
            }
        }
        Driver::Has { source, inner, .. }
        | Driver::NamedBy { source, inner, .. }
        | Driver::MemberOf { source, inner, .. }
            if cost(inner, *source, bounds.inner, facts)?.0 >= bounds.inner =>
        {
            return Ok(NEVER);
        }
        Driver::Either(drivers) => {
            for driver in drivers {
                if rank(driver) == HOPS && cost(driver, type_id, max, facts)? == NEVER {
                    return Ok(NEVER);
                }
            }
        }
        _ => {}
    }
    let binds = Binds::as_of(facts.as_of(), bounds);
    let in_order = driver.ordered();
    facts.measure(&bounded_count(driver, type_id, max, in_order, binds))
}

/// How rows for which a condition holds can be found, if there is a way.
fn driver(cond: &Cond, facts: &mut dyn Facts) -> Result<Option<Driver>> {
    Ok(match cond {
        Cond::Never | Cond::None(_) | Cond::Missing(..) | Cond::NotId(_) | Cond::Not(_) => None,
        Cond::Reached(number) => match facts.listed(*number) {
            Some((rows, _)) if rows.is_empty() => Some(Driver::Nothing),
            listed => listed.map(|(rows, exact)| Driver::Rows {
                number: *number,
                rows,
                exact,
            }),
        },
        // The first part that has a way gives the rows; the whole is asked about each of them.
        Cond::All(parts) => {
            for part in parts {
                if let Some(driver) = driver(part, facts)? {
                    return Ok(Some(driver));
                }
            }
            None
        }
        Cond::Id(ids) => Some(Driver::Ids(ids.clone())),
        Cond::Any(tests) => arms(tests, facts)?,
        Cond::Chain { param, targets } => {
            let mut drivers = Vec::new();
            for (to, inner) in targets {
                match driver(inner, facts)? {
                    Some(inner) => drivers.push((*to, inner)),
                    None => return Ok(None),
                }
            }
            Some(Driver::Chain {
                param: *param,
                targets: drivers,
            })
        }
        Cond::Named { param, targets } => {
            let mut drivers = Vec::new();
            for to in targets {
                match driver(&to.cond, facts)? {
                    Some(inner) => drivers.push((to.clone(), inner)),
                    None => return Ok(None),
                }
            }
            Some(Driver::Named {
                param: *param,
                targets: drivers,
            })
        }
        Cond::Inside { param, targets } => {
            let mut drivers = Vec::new();
            for (to, inner) in targets {
                match driver(inner, facts)? {
                    Some(inner) => drivers.push((*to, inner)),
                    None => return Ok(None),
                }
            }
            Some(Driver::Inside {
                param: *param,
                targets: drivers,
            })
        }
        Cond::NamedBy {
            source,
            param,
            targets,
            inner,
        } => driver(inner, facts)?.map(|inner| Driver::NamedBy {
            source: *source,
            param: *param,
            targets: targets.clone(),
            inner: Box::new(inner),
        }),
        Cond::MemberOf {
            param,
            source,
            member,
            inner,
        } => driver(inner, facts)?.map(|inner| Driver::MemberOf {
            param: *param,
            source: *source,
            member: *member,
            inner: Box::new(inner),
        }),
        Cond::Has {
            source,
            param,
            inner,
        } => driver(inner, facts)?.map(|inner| Driver::Has {
            source: *source,
            param: *param,
            inner: Box::new(inner),
        }),
        Cond::Either(conds) => either(conds, facts)?,
    })
}

/// A driver of each, if each has one.
fn either(conds: &[Cond], facts: &mut dyn Facts) -> Result<Option<Driver>> {
    let mut drivers = Vec::with_capacity(conds.len());
    for cond in conds {
        match driver(cond, facts)? {
            None => return Ok(None),
            Some(Driver::Nothing) => {}
            Some(driver) => drivers.push(driver),
        }
    }
    Ok(match drivers.len() {
        0 => Some(Driver::Nothing),
        1 => drivers.pop(),
        _ => Some(Driver::Either(drivers)),
    })
}

/// Whether the rows that [`driver`] gives are those for which the condition holds, and no others:
/// of conditions that must all hold it looks at one.
fn is_exact(cond: &Cond) -> bool {
    match cond {
        Cond::All(parts) => matches!(parts.as_slice(), [only] if is_exact(only)),
        Cond::Either(parts) => parts.iter().all(is_exact),
        Cond::Chain { targets, .. } | Cond::Inside { targets, .. } => {
            targets.iter().all(|(_, c)| is_exact(c))
        }
        Cond::Named { targets, .. } => targets.iter().all(|to| is_exact(&to.cond)),
        Cond::Has { inner, .. } | Cond::NamedBy { inner, .. } | Cond::MemberOf { inner, .. } => {
            is_exact(inner)
        }
        // See [`Driver::Rows`].
        Cond::Reached(_) => false,
        _ => true,
    }
}

fn arms(tests: &[Test], facts: &mut dyn Facts) -> Result<Option<Driver>> {
    let Some(first) = tests.first() else {
        return Ok(None);
    };
    let (table, param) = (first.table, first.param);
    // Texts are found by their resource only.
    if table == Table::Text {
        return Ok(None);
    }
    let bounds = facts.bounds();
    let mut all = Vec::new();
    for test in tests {
        if (test.table, test.param) != (table, param) {
            return Ok(None);
        }
        match &test.ways {
            Ways::Known(arms) => all.extend(arms.iter().cloned()),
            Ways::Each {
                fixed,
                columns,
                arms,
            } => match facts.different(table, param, fixed, columns, bounds.systems)? {
                None => {
                    let same = |(column, value)| Pred::Column(column, Op::Is, value);
                    all.push(Arm {
                        long: false,
                        preds: fixed.iter().cloned().map(same).collect(),
                        filter: test.preds.clone(),
                        ordered: false,
                        unique: false,
                    });
                }
                Some(values) => {
                    for row in values {
                        all.extend(
                            arms.iter()
                                .map(|arm| within(arm, fixed, columns, row.clone())),
                        );
                    }
                }
            },
        }
    }
    all.dedup();
    if all.is_empty() {
        return Ok(Some(Driver::Nothing));
    }
    // References are found by what they are to, or by their resource.
    if table == Table::Reference && !all.iter().all(has_target) {
        return Ok(None);
    }
    Ok(Some(Driver::Arms {
        table,
        param,
        arms: all,
    }))
}

fn has_target(arm: &Arm) -> bool {
    let is = |name: &str| {
        let same = |p: &Pred| matches!(p, Pred::Column(column, Op::Is, _) if *column == name);
        arm.preds.iter().any(same)
    };
    is("type") && is("id")
}

/// The arm, for these values of the columns that it left open.
fn within(
    arm: &Arm,
    fixed: &[(&'static str, Bind)],
    columns: &[&'static str],
    values: Vec<Bind>,
) -> Arm {
    let same = |(column, value)| Pred::Column(column, Op::Is, value);
    let mut preds: Vec<Pred> = fixed.iter().cloned().map(same).collect();
    preds.extend(columns.iter().copied().zip(values).map(same));
    preds.extend(arm.preds.iter().cloned());
    Arm {
        preds,
        ..arm.clone()
    }
}

/// A patient and a date: both in one index.
fn compartment(type_id: TypeId, conds: &[Cond], shape: &Shape) -> Option<Candidate> {
    let of_type = shape.of_type(type_id)?;
    let date_param = i64::from(of_type.date?.0);
    let patient_type = i64::from(shape.patient()?.0);
    let (at_patient, patients) = conds.iter().enumerate().find_map(|(at, cond)| {
        let Cond::Any(tests) = cond else { return None };
        let mut ids = Vec::new();
        for test in tests {
            let known = of_type
                .patients
                .iter()
                .any(|p| i64::from(p.0) == test.param);
            let Ways::Known(arms) = &test.ways else {
                return None;
            };
            if test.table != Table::Reference || !known {
                return None;
            }
            for arm in arms {
                ids.push(patient_of(arm, patient_type)?);
            }
        }
        Some((at, ids))
    })?;
    let (at_date, dates) = conds.iter().enumerate().find_map(|(at, cond)| {
        let Cond::Any(tests) = cond else { return None };
        let fits = |t: &Test| t.table == Table::Date && t.param == date_param;
        tests.iter().all(fits).then(|| (at, tests.clone()))
    })?;
    // Where `patient` and `subject` both exist the index holds either's targets.
    let mut covers = vec![at_date];
    if of_type.patients.len() == 1 {
        covers.push(at_patient);
    }
    let driver = Driver::Compartment { patients, dates };
    Some(Candidate {
        driver,
        covers,
        rows: 0,
        oldest: i64::MAX,
    })
}

/// The patient that an arm of a reference is about, whatever the version.
fn patient_of(arm: &Arm, patient_type: i64) -> Option<IdKey> {
    let mut id = None;
    let mut of_patient = false;
    for pred in &arm.preds {
        match pred {
            Pred::Column("type", Op::Is, Bind::Int(t)) => of_patient = *t == patient_type,
            Pred::Column("id", Op::Is, Bind::Text(t)) => id = Some(IdKey::Text(t.clone())),
            Pred::Column("id", Op::Is, Bind::Uuid(u)) => id = Some(IdKey::Uuid(*u)),
            _ => {}
        }
    }
    id.filter(|_| of_patient)
}
