//! What of a question the index can answer: numbers of patients, of those who act, of kinds of events, of
//! addresses and of purposes, outside of which nothing can be meant.

use base::ResourceId;
use fhir::definitions::TypeId;
use fhir::json;
use fhir::search::holds::Beholder;
use fhir::search::query::{Clause, Match, ReferenceMatch, Test};

use super::super::event::Events;
use super::{ACTOR, ADDRESS, Index, KIND, NOBODY, PATIENT, PURPOSE};
use crate::Result;
use crate::sqlite::tenant::OpenTenant;

/// Parameters that look at who took part, and at nothing else.
const OF_ACTOR: [&str; 4] = ["agent", "agent-name", "agent-role", "altid"];
/// Parameters that look at what happened, and at nothing else.
const OF_KIND: [&str; 6] = ["action", "type", "subtype", "category", "code", "outcome"];
/// Parameters that look at addresses, and at nothing else.
const OF_ADDRESS: [&str; 1] = ["address"];
/// Parameters that look at what something was for, and at nothing else.
const OF_PURPOSE: [&str; 1] = ["purpose"];
/// Parameters that look at what was touched.
const OF_ENTITY: [&str; 1] = ["entity"];
/// Names of one kind that are looked at for one question.
const NAMES_MAX: usize = 20_000;
/// Nesting that no event has.
const DEPTH_MAX: usize = 64;

/// Outside of this nothing can be meant.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Narrow {
    /// Some of each.
    patients: Vec<Vec<i64>>,
    actors: Option<Vec<i64>>,
    kinds: Option<Vec<i64>>,
    addresses: Option<Vec<i64>>,
    purposes: Option<Vec<i64>>,
}

impl Narrow {
    /// What follows `SELECT …` for one of the two tables; none where nothing can be meant. Placeholders 1
    /// to 4: first and last number, first and last time.
    pub(super) fn statement(&self, table: &str) -> Option<String> {
        let list = |ids: &[i64]| {
            let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
            texts.join(",")
        };
        // The rarest thing is begun with: a patient, somebody, an address, a purpose, a kind.
        let columns = [
            ("actor", &self.actors),
            ("address", &self.addresses),
            ("purpose", &self.purposes),
            ("kind", &self.kinds),
        ];
        let empty = |ids: &Option<Vec<i64>>| ids.as_ref().is_some_and(Vec::is_empty);
        let nobody = self.patients.iter().any(Vec::is_empty);
        if nobody || columns.iter().any(|(_, ids)| empty(ids)) {
            return None;
        }
        let within = "BETWEEN ?1 AND ?2";
        let mut more = vec!["e.at_us BETWEEN ?3 AND ?4".to_owned()];
        let mut patients = self.patients.iter();
        let first = columns.iter().find(|(_, ids)| ids.is_some());
        let from = match (patients.next(), first) {
            (Some(first), _) => {
                more.push(format!("p.patient IN ({})", list(first)));
                more.push(format!("p.number {within}"));
                format!("FROM {table}_patient p CROSS JOIN {table} e ON e.number = p.number")
            }
            (None, first) => {
                more.push(format!("e.number {within}"));
                // Of kinds there are few: as a rule the rest is narrower.
                match first.filter(|(column, _)| *column != "kind") {
                    Some((column, _)) => format!("FROM {table} e INDEXED BY {table}_{column}"),
                    None => format!("FROM {table} e"),
                }
            }
        };
        for others in patients {
            more.push(format!(
                "EXISTS (SELECT 1 FROM {table}_patient o WHERE o.number = e.number
                   AND o.patient IN ({}))",
                list(others)
            ));
        }
        for (column, ids) in columns {
            if let Some(ids) = ids {
                more.push(format!("e.{column} IN ({})", list(ids)));
            }
        }
        Some(format!("{from} WHERE {}", more.join(" AND ")))
    }

    fn narrows(&self) -> bool {
        let columns = [&self.actors, &self.kinds, &self.addresses, &self.purposes];
        !self.patients.is_empty() || columns.iter().any(|ids| ids.is_some())
    }
}

/// Where a report is about a patient or somebody: outside of this nothing is meant. `is_by` says of a name
/// of the trail whether it is theirs.
pub(in super::super) fn of_names(
    index: &Index,
    patient: Option<&ResourceId>,
    is_by: Option<&dyn Fn(&str) -> bool>,
) -> Result<Option<Narrow>> {
    let mut narrow = Narrow::default();
    if let Some(patient) = patient {
        narrow
            .patients
            .push(index.some(PATIENT, &[patient.as_str()])?);
    }
    if let Some(is_by) = is_by
        && let Some(all) = index.all(ACTOR, NAMES_MAX)?
    {
        let theirs = all.into_iter().filter(|(_, name)| is_by(name));
        narrow.actors = Some(theirs.map(|(id, _)| id).collect());
    }
    Ok(narrow.narrows().then_some(narrow))
}

impl Narrow {
    /// Outside of what a search can mean nothing; none where the index knows nothing of what is asked.
    pub(in super::super) fn of_search(
        index: &Index,
        events: &mut Events<'_>,
        (type_id, clauses): (TypeId, &[Clause]),
        patients: &[Vec<ResourceId>],
    ) -> Result<Option<Self>> {
        let tenant = events.tenant;
        let mut narrow = Self::default();
        for any in patients {
            let texts: Vec<&str> = any.iter().map(ResourceId::as_str).collect();
            narrow.patients.push(index.some(PATIENT, &texts)?);
        }
        let looks_at = |clause: &&Clause, of: &[&str]| looks_only_at(tenant, clause, of);
        let of_actor: Vec<&Clause> = clauses
            .iter()
            .filter(|clause| looks_at(clause, &OF_ACTOR))
            .collect();
        if !of_actor.is_empty()
            && let Some(all) = index.all(ACTOR, NAMES_MAX)?
        {
            let mut found = Vec::new();
            for (id, name) in all {
                let document = events.of_actor(&name)?.to_json(tenant.id.fhir());
                if may_hold(tenant, type_id, &document, &of_actor) {
                    found.push(id);
                }
            }
            narrow.actors = Some(found);
        }
        let by_document = [
            (KIND, &OF_KIND[..], &mut narrow.kinds),
            (ADDRESS, &OF_ADDRESS[..], &mut narrow.addresses),
            (PURPOSE, &OF_PURPOSE[..], &mut narrow.purposes),
        ];
        for (kind, params, ids) in by_document {
            let plain = |clause: &&Clause| kind == ADDRESS || has_no_words(clause);
            let asked = clauses.iter().filter(|clause| looks_at(clause, params));
            let asked: Vec<&Clause> = asked.filter(plain).collect();
            if asked.is_empty() {
                continue;
            }
            if let Some(all) = index.all(kind, NAMES_MAX)? {
                let fits =
                    |(_, document): &(i64, String)| may_hold(tenant, type_id, document, &asked);
                *ids = Some(all.into_iter().filter(fits).map(|(id, _)| id).collect());
            }
        }
        for clause in clauses.iter().filter(|clause| looks_at(clause, &OF_ENTITY)) {
            narrow.patients.extend(touching(index, events, clause)?);
        }
        Ok(narrow.narrows().then_some(narrow))
    }
}

/// Where something that is named was touched, a patient was whom some version of it is about, or it was
/// about nobody; none where more than resources of charts is meant, or not all of their versions say it.
fn touching(index: &Index, events: &mut Events<'_>, clause: &Clause) -> Result<Option<Vec<i64>>> {
    let Clause::Param(param) = clause else {
        return Ok(None);
    };
    let Test::Any(values) = &param.test else {
        return Ok(None);
    };
    let mut found = Vec::new();
    for value in values.iter() {
        let Match::Reference(ReferenceMatch::Local { type_id, id, .. }) = value else {
            return Ok(None);
        };
        let Some(patients) = events.ever_about(*type_id, id)? else {
            return Ok(None);
        };
        let texts: Vec<&str> = patients.iter().map(ResourceId::as_str).collect();
        found.extend(index.some(PATIENT, &texts)?);
        let of = events.tenant.model.type_name(*type_id);
        found.extend(index.some(NOBODY, &[of])?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(Some(found))
}

/// Whether all of some clauses hold for a document, or cannot be said not to.
fn may_hold(tenant: &OpenTenant, type_id: TypeId, document: &str, clauses: &[&Clause]) -> bool {
    let Ok(document) = json::parse(document.as_bytes(), DEPTH_MAX) else {
        return true;
    };
    let eye = Beholder::new(tenant.model, type_id, document.root(), &[]);
    let holds = |clause: &&Clause| {
        let said = eye.as_ref().and_then(|eye| eye.holds(clause));
        said != Some(false)
    };
    clauses.iter().all(holds)
}

/// Whether a clause looks at nothing but these parameters.
fn looks_only_at(tenant: &OpenTenant, clause: &Clause, of: &[&str]) -> bool {
    match clause {
        Clause::Param(param) => {
            let known = param.param.first();
            let known = known.and_then(|p| tenant.model.param_by_id(*p));
            known.is_some_and(|p| of.contains(&p.code))
        }
        Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
            !parts.is_empty() && parts.iter().all(|p| looks_only_at(tenant, p, of))
        }
        Clause::Not(part) => looks_only_at(tenant, part, of),
        _ => false,
    }
}

/// Whether a clause compares codes and no words: those are not in the index.
fn has_no_words(clause: &Clause) -> bool {
    fn is_of_codes(value: &Match) -> bool {
        match value {
            Match::Token(_) | Match::TokenCaseless { .. } | Match::TokenCode(..) => true,
            Match::Unequal(value) => is_of_codes(value),
            _ => false,
        }
    }
    match clause {
        Clause::Param(param) => match &param.test {
            Test::Missing(_) => true,
            Test::Any(values) | Test::None(values) => values.iter().all(is_of_codes),
        },
        Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
            parts.iter().all(has_no_words)
        }
        Clause::Not(part) => has_no_words(part),
        _ => false,
    }
}
