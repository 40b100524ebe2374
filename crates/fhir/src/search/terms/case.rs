//! Codes of code systems in which case does not count (`CodeSystem.caseSensitive`, `search.html#token`).
//!
//! Which systems those are is in the CodeSystem resources that a tenant holds; who knows them says so.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::query::{Clause, Match, Query, Test, TokenMatch};

/// Values of one parameter that are compared without case; of longer lists the usual spellings are
/// looked for.
const COMPARED_MAX: usize = 32;

/// The systems that are named with codes which have letters.
pub fn systems(query: &Query) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for clause in &query.filter {
        named(clause, &mut found);
    }
    found
}

fn named(clause: &Clause, found: &mut BTreeSet<String>) {
    match clause {
        Clause::Param(param) => {
            if let Test::Any(values) | Test::None(values) = &param.test {
                values.iter().for_each(|value| of_match(value, found));
            }
        }
        Clause::Chain { targets, .. } => targets.iter().for_each(|(_, c)| named(c, found)),
        Clause::Has { inner, .. } | Clause::MemberOf { inner, .. } => named(inner, found),
        Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
            parts.iter().for_each(|part| named(part, found));
        }
        Clause::Not(part) => named(part, found),
        Clause::Id(_) | Clause::NotId(_) | Clause::Never => {}
    }
}

fn of_match(value: &Match, found: &mut BTreeSet<String>) {
    match value {
        Match::Token(token) => {
            if let Some((system, _)) = lettered(token)
                && !found.contains(system)
            {
                found.insert(system.to_owned());
            }
        }
        Match::Unequal(inner) => of_match(inner, found),
        Match::Composite(parts) => parts.iter().for_each(|part| of_match(part, found)),
        _ => {}
    }
}

/// System and code, where the code could be written in another way.
fn lettered(token: &TokenMatch) -> Option<(&str, &str)> {
    let (system, code) = (token.system.as_deref()?, token.code.as_deref()?);
    let letters = code.bytes().any(|b| b.is_ascii_alphabetic());
    (letters && !system.is_empty()).then_some((system, code))
}

/// Compares codes of these systems without regard to case, everywhere in the query.
pub fn ignore(query: &mut Query, systems: &BTreeSet<String>) {
    for clause in &mut query.filter {
        ignored(clause, systems);
    }
}

fn ignored(clause: &mut Clause, systems: &BTreeSet<String>) {
    match clause {
        Clause::Param(param) => {
            if let Test::Any(values) | Test::None(values) = &mut param.test {
                of_values(values, systems);
            }
        }
        Clause::Chain { targets, .. } => {
            for (_, inner) in targets {
                ignored(Arc::make_mut(inner), systems);
            }
        }
        Clause::Has { inner, .. } | Clause::MemberOf { inner, .. } => {
            ignored(Arc::make_mut(inner), systems);
        }
        Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
            parts.iter_mut().for_each(|part| ignored(part, systems));
        }
        Clause::Not(part) => ignored(part, systems),
        Clause::Id(_) | Clause::NotId(_) | Clause::Never => {}
    }
}

fn of_values(values: &mut Arc<[Match]>, systems: &BTreeSet<String>) {
    let concerned = |value: &&Match| {
        let mut found = BTreeSet::new();
        of_match(value, &mut found);
        !found.is_disjoint(systems)
    };
    let many = match values.iter().filter(concerned).count() {
        0 => return,
        count => count > COMPARED_MAX,
    };
    let mut all = Vec::with_capacity(values.len());
    for value in values.iter() {
        match value {
            Match::Token(token) if many => {
                all.extend(spellings(token, systems).into_iter().map(Match::Token));
            }
            Match::Composite(parts) => all.extend(composites(parts, systems)),
            other => all.push(one(other, systems)),
        }
    }
    *values = all.into();
}

fn one(value: &Match, systems: &BTreeSet<String>) -> Match {
    match value {
        Match::Token(token) => match lettered(token) {
            Some((system, code)) if systems.contains(system) => Match::TokenCaseless {
                system: system.to_owned(),
                code: code.to_ascii_lowercase(),
            },
            _ => value.clone(),
        },
        Match::Unequal(inner) => Match::Unequal(Box::new(one(inner, systems))),
        other => other.clone(),
    }
}

/// As it is written, in lower case and in upper case.
fn spellings(token: &TokenMatch, systems: &BTreeSet<String>) -> Vec<TokenMatch> {
    let mut codes = BTreeSet::from_iter(token.code.clone());
    if let Some((system, code)) = lettered(token)
        && systems.contains(system)
    {
        codes.extend([code.to_ascii_lowercase(), code.to_ascii_uppercase()]);
    }
    let of = |code| TokenMatch {
        system: token.system.clone(),
        code: Some(code),
    };
    match codes.is_empty() {
        true => vec![token.clone()],
        false => codes.into_iter().map(of).collect(),
    }
}

/// Parts of composites are compared for equality: one for each of the usual spellings.
fn composites(parts: &[Match], systems: &BTreeSet<String>) -> Vec<Match> {
    let mut all = vec![Vec::with_capacity(parts.len())];
    for part in parts {
        let ways = match part {
            Match::Token(token) => {
                let each = spellings(token, systems).into_iter();
                each.map(Match::Token).collect()
            }
            other => vec![other.clone()],
        };
        all = all
            .into_iter()
            .flat_map(|start: Vec<Match>| {
                ways.iter().map(move |way| {
                    let mut longer = start.clone();
                    longer.push(way.clone());
                    longer
                })
            })
            .collect();
    }
    all.into_iter().map(Match::Composite).collect()
}
