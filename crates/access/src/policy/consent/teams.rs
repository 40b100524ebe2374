//! Who cares for whom: the members of active CareTeams, for grants that give nothing else. A team or a member
//! out of its period, or of which that cannot be told, opens nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use base::limits::fixed::CHARTS_OPENED_MAX;
use base::{Micros, ResourceId};
use serde_json::Value;

use super::read::{is_plain, list, period, reference, text};
use super::{Condition, Reference};

/// A Period: from and until.
type Span = (Option<i64>, Option<i64>);

/// An active team.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Team {
    patient: Reference,
    /// Practitioners, and of the times of which each is a member all that must be now.
    members: Vec<(Reference, Vec<Span>)>,
}

/// Active teams, by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Teams {
    known: HashMap<ResourceId, Arc<Team>>,
    /// In which teams a Practitioner is.
    of: HashMap<ResourceId, Arc<BTreeSet<ResourceId>>>,
    /// When that changed.
    changed: HashMap<ResourceId, u64>,
}

impl Teams {
    /// Learns of one as it is now: at what times something turned, and at what times something does.
    pub(super) fn learn(
        &mut self,
        id: &ResourceId,
        body: Option<&[u8]>,
        generation: u64,
    ) -> (Vec<i64>, Vec<i64>) {
        let now = body.and_then(team).map(Arc::new);
        if self.known.get(id) == now.as_ref() {
            return (Vec::new(), Vec::new());
        }
        let before = self.known.remove(id);
        for member in before.iter().flat_map(|team| team.practitioners()) {
            self.changed.insert(member.clone(), generation);
            if let Some(teams) = self.of.get_mut(member) {
                let teams = Arc::make_mut(teams);
                teams.remove(id);
                if teams.is_empty() {
                    self.of.remove(member);
                }
            }
        }
        for member in now.iter().flat_map(|team| team.practitioners()) {
            self.changed.insert(member.clone(), generation);
            let teams = self.of.entry(member.clone()).or_default();
            Arc::make_mut(teams).insert(id.clone());
        }
        let turns = (
            before.as_ref().map_or_else(Vec::new, |team| team.turns()),
            now.as_ref().map_or_else(Vec::new, |team| team.turns()),
        );
        if let Some(now) = now {
            self.known.insert(id.clone(), now);
        }
        turns
    }

    /// When something was last learned of the teams in which a Practitioner is.
    pub(super) fn changed(&self, practitioner: &ResourceId) -> u64 {
        self.changed.get(practitioner).copied().unwrap_or(0)
    }

    /// Patients in whose teams a Practitioner is now. `is_own`: whether what stands before a reference is this
    /// tenant.
    pub(super) fn patients(
        &self,
        practitioner: &ResourceId,
        now: Micros,
        is_own: &dyn Fn(Option<&str>) -> bool,
    ) -> Vec<ResourceId> {
        let teams = self.of.get(practitioner).into_iter();
        let teams = teams.flat_map(|teams| teams.iter());
        let mut found: Vec<ResourceId> = teams
            .filter_map(|id| self.known.get(id))
            .filter(|team| is_own(team.patient.base.as_deref()))
            .filter(|team| {
                team.members.iter().any(|(member, spans)| {
                    member.id == *practitioner
                        && is_own(member.base.as_deref())
                        && spans.iter().all(|span| is_in(*span, now))
                })
            })
            .map(|team| team.patient.id.clone())
            .collect();
        found.sort_unstable();
        found.dedup();
        found.truncate(CHARTS_OPENED_MAX);
        found
    }
}

fn is_in((from, until): Span, now: Micros) -> bool {
    from.is_none_or(|from| from <= now.0) && until.is_none_or(|until| now.0 < until)
}

impl Team {
    fn practitioners(&self) -> impl Iterator<Item = &ResourceId> {
        self.members.iter().map(|(member, _)| &member.id)
    }

    fn turns(&self) -> Vec<i64> {
        let spans = self.members.iter().flat_map(|(_, spans)| spans);
        let mut turns: Vec<i64> = spans
            .flat_map(|(from, until)| from.iter().chain(until))
            .copied()
            .collect();
        turns.sort_unstable();
        turns.dedup();
        turns
    }
}

/// A CareTeam as it is stored; none where it opens nothing to any Practitioner at any time.
fn team(body: &[u8]) -> Option<Team> {
    let body: Value = serde_json::from_slice(body).ok()?;
    if text(&body, "status") != Some("active") || !is_plain(&body) {
        return None;
    }
    let patient = body.get("subject").and_then(reference)?;
    if &*patient.of != "Patient" {
        return None;
    }
    let whole = span(&body, "period")?;
    let member = |participant: &Value| {
        let member = participant.get("member").and_then(reference)?;
        // When in R5 a timing says it cannot be told.
        let told = is_plain(participant) && participant.get("coverageTiming").is_none();
        if &*member.of != "Practitioner" || !told {
            return None;
        }
        // R4 and R4B say it in the one, R5 in the other.
        let of = [
            span(participant, "period")?,
            span(participant, "coveragePeriod")?,
        ];
        let spans = std::iter::once(whole).chain(of);
        Some((member, spans.filter(|span| *span != (None, None)).collect()))
    };
    let members: Vec<_> = list(&body, "participant")
        .iter()
        .filter_map(member)
        .collect();
    (!members.is_empty()).then_some(Team { patient, members })
}

/// A Period; of one that is not there, all times; none where it cannot be read.
fn span(value: &Value, name: &str) -> Option<Span> {
    match period(value, name) {
        None => Some((None, None)),
        Some(Condition::Period(from, until)) => Some((from, until)),
        Some(_) => None,
    }
}
