//! Which accesses call for attention. What explains an access is looked at first: of explained ones only
//! the hours and networks are counted.
//!
//! Knows the rules and what is usual for whom; what they are judged by is looked up by [`Facts`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use access::PersonId;
use base::{Micros, ResourceId};

use super::facts::{self, Facts, Patient, Staff, Viewer};
use super::profile::{Local, Profile, network_of};
use crate::Result;
use crate::face::{AlertRule, AlertRules, Explaining, RuleTerms};

/// Something that calls for attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    /// The same for what is the same alert.
    pub(crate) key: String,
    pub(crate) rule: AlertRule,
    pub(crate) actor: String,
    pub(crate) program: Option<String>,
    pub(crate) patient: Option<String>,
    pub(crate) at: Micros,
    /// How many of what the rule counts; else accesses are counted.
    pub(crate) count: Option<u64>,
    pub(crate) seen: String,
    pub(crate) event: String,
}

/// One access, as far as it is judged.
#[derive(Clone, Debug)]
pub(crate) struct Access<'t> {
    pub(crate) at: Micros,
    /// `person:… client:…`
    pub(crate) actor: &'t str,
    pub(crate) from: Option<IpAddr>,
    /// References, with a space between them.
    pub(crate) facilities: Option<&'t str>,
    /// The event of the trail.
    pub(crate) event: String,
}

impl Access<'_> {
    /// Who, without the program.
    pub(crate) fn who(&self) -> &str {
        match self.program() {
            Some(_) => self.actor.split(' ').next().unwrap_or(self.actor),
            None => self.actor,
        }
    }

    /// The program that a person used. Nobody else uses one: what stands behind others is not one's name.
    fn program(&self) -> Option<&str> {
        let (who, program) = self.actor.split_once(' ')?;
        who.starts_with("person:").then_some(program)
    }

    pub(crate) fn person(&self) -> Option<PersonId> {
        PersonId::new(self.who().strip_prefix("person:")?)
    }
}

/// How far an access was judged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// So many of its patients.
    pub(crate) done: usize,
    /// Nothing explained one of them.
    unexplained: bool,
}

/// Judges accesses of one tenant.
pub(crate) struct Judge<'a> {
    rules: BTreeMap<AlertRule, RuleTerms>,
    explaining: Explaining,
    offset_minutes: i64,
    facts: Facts<'a>,
    pub(crate) raised: Vec<Raised>,
}

/// An access to patients by somebody of the staff.
struct Looking<'j> {
    access: &'j Access<'j>,
    local: Local,
    person: PersonId,
    staff: Arc<Staff>,
    /// What was usual before.
    hour_share: u64,
    known_days: u64,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(rules: &AlertRules, facts: Facts<'a>) -> Self {
        let terms = |rule: &AlertRule| Some((*rule, rules.terms(*rule)?));
        Self {
            rules: AlertRule::ALL.iter().filter_map(terms).collect(),
            explaining: rules.explaining(),
            offset_minutes: rules.offset_minutes(),
            facts,
            raised: Vec::new(),
        }
    }

    fn local(&self, at: Micros) -> Local {
        Local::of(at, self.offset_minutes)
    }

    /// What counts of a rule for somebody of the staff, or for whoever is none.
    fn counts(&self, rule: AlertRule, staff: Option<&Staff>) -> Option<&RuleTerms> {
        let terms = self.rules.get(&rule)?;
        let excepted = staff.is_some_and(|staff| {
            let record = &staff.person.record;
            let by_role = |role: &String| record.roles.iter().any(|r| *r.role == **role);
            let by_id = |id: &String| record.id.as_str() == id.as_str();
            terms.except_roles.iter().any(by_role) || terms.except_people.iter().any(by_id)
        });
        (!excepted).then_some(terms)
    }

    fn raise(
        &mut self,
        rule: AlertRule,
        access: &Access<'_>,
        patient: Option<&ResourceId>,
        count: Option<u64>,
        seen: String,
    ) {
        let day = self.local(access.at).day;
        let of = patient.map_or("", ResourceId::as_str);
        self.raised.push(Raised {
            key: format!("{}|{day}|{}|{of}", rule.as_str(), access.who()),
            rule,
            actor: access.who().to_owned(),
            program: access.program().map(str::to_owned),
            patient: patient.map(|p| p.as_str().to_owned()),
            at: access.at,
            count,
            seen,
            event: access.event.clone(),
        });
    }

    /// A sign-in that failed so many times.
    pub(crate) fn failed(
        &mut self,
        access: &Access<'_>,
        times: u64,
        profile: &mut Profile,
    ) -> Result<()> {
        let staff = match access.person() {
            Some(person) => self.facts.staff(&person)?,
            None => None,
        };
        let Some(terms) = self.counts(AlertRule::FailedSignIns, staff.as_deref()) else {
            return Ok(());
        };
        let (minutes, most) = (terms.minutes.unwrap_or(15), terms.at_least.unwrap_or(5));
        let count = profile.failures(access.at, times, minutes);
        if count >= most {
            let seen = format!("{count} within {minutes} minutes; {most} are too many");
            self.raise(AlertRule::FailedSignIns, access, None, Some(count), seen);
        }
        Ok(())
    }

    /// An access, whatever it was to: from where, and when.
    pub(crate) fn came(&mut self, access: &Access<'_>, profile: &mut Profile) -> Result<()> {
        let local = self.local(access.at);
        let known = profile.known_days(local);
        if let Some(address) = access.from {
            let network = network_of(address);
            if profile.network(local, &network) {
                let staff = match access.person() {
                    Some(person) => self.facts.staff(&person)?,
                    None => None,
                };
                let terms = self.counts(AlertRule::NewNetwork, staff.as_deref());
                if terms.is_some_and(|t| known >= t.min_days.unwrap_or(1)) {
                    let seen = format!("{network}, known on {known} days before");
                    self.raise(AlertRule::NewNetwork, access, None, None, seen);
                }
            }
        }
        Ok(())
    }

    /// Counts an access into what is usual.
    pub(crate) fn counted(&self, access: &Access<'_>, profile: &mut Profile) {
        profile.access(self.local(access.at));
    }

    /// An access of a person to patients, from where `progress` is until `is_over`, which is asked after
    /// each of them; whether it is judged to its end. `profile` is what is usual for them.
    pub(crate) fn looked(
        &mut self,
        access: &Access<'_>,
        patients: &[ResourceId],
        progress: &mut Progress,
        profile: &mut Profile,
        is_over: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let local = self.local(access.at);
        let (hour_share, known_days) = (profile.share(local), profile.known_days(local));
        let Some(person) = access.person() else {
            return Ok(true);
        };
        let Some(staff) = self.facts.staff(&person)? else {
            return Ok(true);
        };
        let looking = Looking {
            access,
            local,
            person,
            staff,
            hour_share,
            known_days,
        };
        let is_list = patients.len() > self.explaining.list_patients as usize;
        for id in patients.iter().skip(progress.done) {
            progress.unexplained |= self.one(&looking, id, is_list, profile)?;
            progress.done += 1;
            if progress.done < patients.len() && is_over() {
                return Ok(false);
            }
        }
        if progress.unexplained {
            self.volume(&looking, profile);
        }
        Ok(true)
    }

    /// One patient who was looked at; whether nothing explains it.
    fn one(
        &mut self,
        looking: &Looking<'_>,
        id: &ResourceId,
        is_list: bool,
        profile: &mut Profile,
    ) -> Result<bool> {
        let at = looking.access.at;
        let patient = self.facts.patient(id, &looking.person, at)?;
        self.own(looking, id, &patient);
        let by = &self.explaining;
        if self.facts.explained(&looking.staff, id, at, by)? {
            return Ok(false);
        }
        profile.patient(looking.local, facts::digest(id));
        // Whose record it is counts however many are asked for at once.
        self.by_whose(looking, id, &patient)?;
        if !is_list {
            self.by_where(looking, id)?;
        }
        Ok(true)
    }

    /// Nobody is in their own care team: no explanation counts.
    fn own(&mut self, looking: &Looking<'_>, id: &ResourceId, patient: &Patient) {
        let of = Some(&*looking.staff);
        if self.counts(AlertRule::OwnRecord, of).is_some()
            && Facts::is_self(&looking.staff, id, patient)
        {
            let seen = "the patient is the one who looked".to_owned();
            self.raise(AlertRule::OwnRecord, looking.access, Some(id), None, seen);
        }
    }

    fn volume(&mut self, looking: &Looking<'_>, profile: &Profile) {
        let count = profile.patients_today();
        let of = Some(&*looking.staff);
        let Some(terms) = self.counts(AlertRule::UnusualVolume, of) else {
            return;
        };
        let (usual, days) = profile.usual_patients();
        let floor = terms.at_least.unwrap_or(20);
        let factor = terms.factor.unwrap_or(3.0);
        let known = days >= terms.min_days.unwrap_or(5);
        let most = match known {
            true => (usual * factor).max(floor as f64),
            // Of somebody new nothing is usual yet: so many are too many for anybody.
            false => floor as f64 * factor,
        };
        if count as f64 >= most {
            let seen = match known {
                true => format!(
                    "{count} patients without explanation; usual are {usual:.1} a day on {days} days"
                ),
                false => format!("{count} patients without explanation; nothing is usual yet"),
            };
            let rule = AlertRule::UnusualVolume;
            self.raise(rule, looking.access, None, Some(count), seen);
        }
    }

    /// What is unusual because of who the patient is.
    fn by_whose(
        &mut self,
        looking: &Looking<'_>,
        id: &ResourceId,
        patient: &Patient,
    ) -> Result<()> {
        let staff = looking.staff.clone();
        let of = Some(&*staff);
        let mut found: Vec<(AlertRule, String)> = Vec::new();
        // By which mark is for those who may read the chart.
        let by_mark = || "the patient is marked".to_owned();
        if let Some(terms) = self.counts(AlertRule::Vip, of)
            && is_marked(terms, patient)
        {
            found.push((AlertRule::Vip, by_mark()));
        }
        if let Some(terms) = self.counts(AlertRule::CoWorker, of) {
            let is_marked = is_marked(terms, patient);
            if Facts::is_self(&staff, id, patient) {
                // That is a rule of its own.
            } else if is_marked {
                found.push((AlertRule::CoWorker, by_mark()));
            } else if self.facts.works_here(&looking.person, id, patient)? {
                let seen = "the patient may sign in here".to_owned();
                found.push((AlertRule::CoWorker, seen));
            }
        }
        if self.counts(AlertRule::SameSurname, of).is_some()
            && !staff.human.surnames.is_disjoint(&patient.human.surnames)
            && !Facts::is_self(&staff, id, patient)
        {
            found.push((
                AlertRule::SameSurname,
                "the surnames are the same".to_owned(),
            ));
        }
        self.raise_all(looking, id, found);
        Ok(())
    }

    /// What is unusual because of when and where somebody works.
    fn by_where(&mut self, looking: &Looking<'_>, id: &ResourceId) -> Result<()> {
        let staff = looking.staff.clone();
        let of = Some(&*staff);
        let mut found: Vec<(AlertRule, String)> = Vec::new();
        if let Some(terms) = self.counts(AlertRule::AfterHours, of)
            && let Some(seen) = after_hours(terms, looking)
        {
            found.push((AlertRule::AfterHours, seen));
        }
        if self.counts(AlertRule::OtherFacility, of).is_some() {
            let own = facts::facilities(looking.access.facilities);
            let viewer = Viewer::of(&looking.person, looking.access.at);
            let theirs = match own.is_empty() {
                true => BTreeSet::new(),
                false => self.facts.facilities_of(id, &viewer)?,
            };
            if !theirs.is_empty() && !theirs.iter().any(|f| own.contains(f.as_str())) {
                let seen = "the patient was never at a facility of theirs".to_owned();
                found.push((AlertRule::OtherFacility, seen));
            }
        }
        self.raise_all(looking, id, found);
        Ok(())
    }

    fn raise_all(
        &mut self,
        looking: &Looking<'_>,
        id: &ResourceId,
        found: Vec<(AlertRule, String)>,
    ) {
        for (rule, seen) in found {
            self.raise(rule, looking.access, Some(id), None, seen);
        }
    }
}

/// What is unusual about a time.
fn after_hours(terms: &RuleTerms, looking: &Looking<'_>) -> Option<String> {
    let (from, to, weekend) = terms.off_hours();
    let minute = looking.local.minute;
    let at_night = match from <= to {
        true => (from..to).contains(&minute),
        false => minute >= from || minute < to,
    };
    let free = weekend && looking.local.is_weekend();
    if !at_night && !free {
        return None;
    }
    // Whoever works at this hour works at this hour. Of weekends the hour says nothing.
    let share = looking.hour_share;
    let usual = terms.usual_percent.unwrap_or(5);
    let known = looking.known_days >= terms.min_days.unwrap_or(5);
    if at_night && known && share >= usual {
        return None;
    }
    let (hour, minute) = (minute / 60, minute % 60);
    let day = if free { " on a weekend" } else { "" };
    Some(format!(
        "at {hour:02}:{minute:02}{day}; {share} % of their accesses are in this hour"
    ))
}

/// Whether a code of a rule marks a patient.
fn is_marked(terms: &RuleTerms, patient: &Patient) -> bool {
    let labels = terms.labels.as_deref().unwrap_or_default();
    labels.iter().any(|label| patient.labels.contains(label))
}
