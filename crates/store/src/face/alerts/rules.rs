//! The rules by which accesses call for attention: a document of each tenant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::AlertRule;

/// The rules of a tenant. What a document does not say is as it is in the ready one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AlertRules {
    /// How far local time is ahead of UTC: `+01:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utc_offset: Option<String>,
    /// What explains an access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explaining>,
    /// What is said of single rules, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, RuleTerms>,
    /// Who is told of each alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<AlertWebhook>,
    /// Who is told by mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<AlertMail>,
}

/// What explains an access to a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Explaining {
    /// Days for which an appointment, an order, an encounter or a care team that ended still explains.
    pub days_before: u32,
    /// Days for which one that is to come explains already.
    pub days_ahead: u32,
    /// An answer with more patients than that is a list: the hour and the facility do not count in it.
    pub list_patients: u32,
    /// To whom every visit of a patient that is due explains an access, where they work: roles that see
    /// everybody who comes.
    pub visit_roles: Vec<String>,
    /// Who explains nothing by what they write, as the trail names them: `client:…`, `person:…`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_by: Vec<String>,
}

impl Default for Explaining {
    fn default() -> Self {
        Self {
            days_before: 30,
            days_ahead: 14,
            list_patients: 5,
            visit_roles: ["front-desk", "nurse", "lab", "biller"]
                .map(str::to_owned)
                .into(),
            not_by: Vec::new(),
        }
    }
}

/// What is said of one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RuleTerms {
    /// The rule is off, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// From how many on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// From how many times the usual on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Days of which something must be known before there is something usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_days: Option<u64>,
    /// Minutes in which it is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u64>,
    /// When the time begins at which nobody works: `20:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When it ends: `06:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whether Saturdays and Sundays are such a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekend: Option<bool>,
    /// Percent of somebody's accesses that make an hour one of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_percent: Option<u64>,
    /// Codes that mark a patient, `system|code`: in `meta.security`, in `patient-importance`, in a Flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Roles for which it does not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except_roles: Vec<String>,
    /// People for whom it does not count, by their ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except_people: Vec<String>,
}

/// Who is told of each alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertWebhook {
    /// Where.
    pub url: String,
    /// What calls are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Who is told by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertMail {
    /// Addresses.
    pub to: Vec<String>,
}

/// Codes that mark a patient without being told.
const IMPORTANT: [&str; 4] = [
    "http://terminology.hl7.org/CodeSystem/v3-PatientImportance|VIP",
    "http://terminology.hl7.org/CodeSystem/v3-PatientImportance|GOVT",
    "http://terminology.hl7.org/CodeSystem/v3-ActCode|CELEBRITY",
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|V",
];
/// Codes that say of a patient that they work here.
const STAFF: [&str; 3] = [
    "http://terminology.hl7.org/CodeSystem/v3-ActCode|EMP",
    "http://terminology.hl7.org/CodeSystem/v3-PatientImportance|STF",
    "http://terminology.hl7.org/CodeSystem/v3-PatientImportance|SFM",
];
/// Bytes of the shortest and the longest secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=256;
/// The longest time for which something explains, in days.
const DAYS_MAX: u32 = 366;
/// From so many patients on at the latest, an answer is a list.
const LIST_PATIENTS_MAX: u32 = 100;
/// The largest of numbers that a rule counts up to.
const AT_LEAST_MAX: u64 = 1_000;
/// The largest factor of what is usual.
const FACTOR_MAX: f64 = 20.0;
/// Days that must be known before something is usual, at most: what is usual is of fewer than 28.
const MIN_DAYS_MAX: u64 = 20;
/// Lists of a document have at most so many entries.
const LIST_MAX: usize = 100;

impl AlertRules {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rules: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        rules.check()?;
        Ok(rules)
    }

    /// Reads a document that is in force: it was checked when it was published.
    pub(crate) fn stored(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Whether some rule does not count for a person, by their id.
    pub(crate) fn excepts(&self, person: &str) -> bool {
        let mut all = self.rules.values().flat_map(|terms| &terms.except_people);
        all.any(|id| id == person)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(offset) = &self.utc_offset {
            minutes_of_offset(offset).ok_or("utcOffset is like +01:00")?;
        }
        for (name, terms) in &self.rules {
            let rule = AlertRule::parse(name).ok_or_else(|| {
                let known: Vec<&str> = AlertRule::ALL.iter().map(|r| r.as_str()).collect();
                format!("there is no rule {name}; there are {}", known.join(", "))
            })?;
            terms.check(rule).map_err(|e| format!("{name}: {e}"))?;
        }
        if let Some(webhook) = &self.webhook {
            let secret = webhook.secret.as_deref();
            if secret.is_some_and(|s| !SECRET_BYTES.contains(&s.len())) {
                return Err("webhook.secret has 16 to 256 bytes".to_owned());
            }
        }
        if let Some(explain) = &self.explain {
            explain.check()?;
        }
        if let Some(mail) = &self.mail {
            let good = |to: &String| {
                let fits = |b: u8| b.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&b);
                let (name, host) = to.split_once('@').unwrap_or_default();
                to.len() <= 254 && !name.is_empty() && !host.is_empty() && to.bytes().all(fits)
            };
            if mail.to.is_empty() || mail.to.len() > LIST_MAX || !mail.to.iter().all(good) {
                return Err("mail.to is a list of addresses".to_owned());
            }
        }
        Ok(())
    }

    /// The document as text.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What explains an access.
    pub fn explaining(&self) -> Explaining {
        self.explain.clone().unwrap_or_default()
    }

    /// Minutes that local time is ahead of UTC.
    pub fn offset_minutes(&self) -> i64 {
        let offset = self.utc_offset.as_deref();
        offset.and_then(minutes_of_offset).unwrap_or(0)
    }

    /// What counts of a rule; none if it is off.
    pub fn terms(&self, rule: AlertRule) -> Option<RuleTerms> {
        let ready = RuleTerms::ready(rule);
        match self.rules.get(rule.as_str()) {
            None => Some(ready),
            Some(said) if said.off.is_some() => None,
            Some(said) => Some(said.clone().over(ready)),
        }
    }

    /// The same document with everything said that it leaves to the ready one; without secrets.
    #[must_use]
    pub fn told(&self) -> Self {
        let mut told = self.clone();
        told.utc_offset.get_or_insert_with(|| "+00:00".to_owned());
        told.explain = Some(self.explaining());
        for rule in AlertRule::ALL {
            let said = self.rules.get(rule.as_str()).cloned().unwrap_or_default();
            let whole = said.over(RuleTerms::ready(*rule));
            told.rules.insert(rule.as_str().to_owned(), whole);
        }
        if let Some(webhook) = &mut told.webhook {
            webhook.secret = None;
        }
        told
    }
}

impl Explaining {
    /// What would explain everything explains nothing.
    fn check(&self) -> Result<(), String> {
        if self.visit_roles.len() > LIST_MAX {
            return Err("visitRoles has at most 100 entries".to_owned());
        }
        let named = |who: &String| {
            let id = ["client:", "person:"].iter();
            let mut id = id.filter_map(|kind| who.strip_prefix(kind));
            id.any(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic()))
        };
        if self.not_by.len() > LIST_MAX || !self.not_by.iter().all(named) {
            return Err("notBy is a list of client:… and person:…".to_owned());
        }
        if self.days_before > DAYS_MAX || self.days_ahead > DAYS_MAX {
            return Err(format!("daysBefore and daysAhead are at most {DAYS_MAX}"));
        }
        if !(1..=LIST_PATIENTS_MAX).contains(&self.list_patients) {
            return Err(format!("listPatients is 1 to {LIST_PATIENTS_MAX}"));
        }
        Ok(())
    }
}

impl RuleTerms {
    /// How a rule is where nothing is said.
    fn ready(rule: AlertRule) -> Self {
        let text = |codes: &[&str]| Some(codes.iter().map(|c| (*c).to_owned()).collect());
        match rule {
            AlertRule::UnusualVolume => Self {
                at_least: Some(20),
                factor: Some(3.0),
                min_days: Some(5),
                ..Self::default()
            },
            AlertRule::AfterHours => Self {
                from: Some("20:00".to_owned()),
                to: Some("06:00".to_owned()),
                weekend: Some(true),
                usual_percent: Some(5),
                min_days: Some(5),
                ..Self::default()
            },
            AlertRule::Vip => Self {
                labels: text(&IMPORTANT),
                ..Self::default()
            },
            AlertRule::CoWorker => Self {
                labels: text(&STAFF),
                ..Self::default()
            },
            AlertRule::FailedSignIns => Self {
                at_least: Some(5),
                minutes: Some(15),
                ..Self::default()
            },
            AlertRule::NewNetwork => Self {
                min_days: Some(1),
                ..Self::default()
            },
            AlertRule::SameSurname
            | AlertRule::OwnRecord
            | AlertRule::OtherFacility
            | AlertRule::UnreviewedOpening
            | AlertRule::OperatorClient
            | AlertRule::OperatorSignIn
            | AlertRule::OperatorCopy
            | AlertRule::OperatorTrail
            | AlertRule::OperatorPolicy => Self::default(),
        }
    }

    /// These terms, and what they leave out as in others.
    fn over(self, ready: Self) -> Self {
        Self {
            off: self.off,
            at_least: self.at_least.or(ready.at_least),
            factor: self.factor.or(ready.factor),
            min_days: self.min_days.or(ready.min_days),
            minutes: self.minutes.or(ready.minutes),
            from: self.from.or(ready.from),
            to: self.to.or(ready.to),
            weekend: self.weekend.or(ready.weekend),
            usual_percent: self.usual_percent.or(ready.usual_percent),
            labels: self.labels.or(ready.labels),
            except_roles: self.except_roles,
            except_people: self.except_people,
        }
    }

    /// Only what a rule knows can be said of it, and a rule is off for a reason.
    fn check(&self, rule: AlertRule) -> Result<(), String> {
        if let Some(why) = &self.off
            && (why.trim().is_empty() || why.len() > 500)
        {
            return Err("off says why, in 1 to 500 bytes".to_owned());
        }
        let ready = Self::ready(rule);
        let strange = [
            (
                "atLeast",
                self.at_least.is_some() && ready.at_least.is_none(),
            ),
            ("factor", self.factor.is_some() && ready.factor.is_none()),
            (
                "minDays",
                self.min_days.is_some() && ready.min_days.is_none(),
            ),
            ("minutes", self.minutes.is_some() && ready.minutes.is_none()),
            ("from", self.from.is_some() && ready.from.is_none()),
            ("to", self.to.is_some() && ready.to.is_none()),
            ("weekend", self.weekend.is_some() && ready.weekend.is_none()),
            (
                "usualPercent",
                self.usual_percent.is_some() && ready.usual_percent.is_none(),
            ),
            ("labels", self.labels.is_some() && ready.labels.is_none()),
        ];
        if let Some((name, _)) = strange.iter().find(|(_, strange)| *strange) {
            return Err(format!("it has no {name}"));
        }
        if self
            .factor
            .is_some_and(|f| !(1.0..=FACTOR_MAX).contains(&f))
        {
            return Err(format!("factor is 1 to {FACTOR_MAX}"));
        }
        for (name, said, least, most) in [
            ("atLeast", self.at_least, 1, AT_LEAST_MAX),
            ("minutes", self.minutes, 1, 1_440),
            ("minDays", self.min_days, 0, MIN_DAYS_MAX),
            ("usualPercent", self.usual_percent, 1, 100),
        ] {
            if said.is_some_and(|n| !(least..=most).contains(&n)) {
                return Err(format!("{name} is {least} to {most}"));
            }
        }
        for time in [&self.from, &self.to].into_iter().flatten() {
            minutes_of_day(time).ok_or("from and to are times like 20:00")?;
        }
        self.check_hours(ready)?;
        let code = |label: &String| {
            label
                .split_once('|')
                .is_some_and(|(_, code)| !code.is_empty())
        };
        let labels = self.labels.as_deref().unwrap_or_default();
        let too_many = [
            labels.len(),
            self.except_roles.len(),
            self.except_people.len(),
        ];
        if !labels.iter().all(code) || too_many.iter().any(|n| *n > LIST_MAX) {
            return Err("labels are system|code; a list has at most 100 entries".to_owned());
        }
        if self.labels.as_ref().is_some_and(Vec::is_empty) {
            return Err("labels is not empty; a rule that is off says why".to_owned());
        }
        Ok(())
    }

    /// A time at which nobody works, which is not none.
    fn check_hours(&self, ready: Self) -> Result<(), String> {
        let has_hours = ready.from.is_some();
        let (from, to, _) = self.clone().over(ready).off_hours();
        match has_hours && from == to {
            true => Err("from and to are different times".to_owned()),
            false => Ok(()),
        }
    }

    /// The time at which nobody works, in minutes of the day; whether weekends are one whole.
    pub(crate) fn off_hours(&self) -> (u16, u16, bool) {
        let of = |time: &Option<String>| time.as_deref().and_then(minutes_of_day).unwrap_or(0);
        (of(&self.from), of(&self.to), self.weekend == Some(true))
    }
}

fn minutes_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn minutes_of_offset(text: &str) -> Option<i64> {
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let minutes = i64::from(minutes_of_day(text.get(1..)?)?);
    (minutes <= 14 * 60).then_some(sign * minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_or_refused_by_name() {
        for (text, wanted) in [
            ("{}", ""),
            (r#"{"utcOffset":"-03:30"}"#, ""),
            (r#"{"utcOffset":"1"}"#, "utcOffset"),
            (r#"{"rules":{"vip":{"off":"no such patients here"}}}"#, ""),
            (r#"{"rules":{"vip":{"off":" "}}}"#, "off says why"),
            (r#"{"rules":{"vip":{"factor":2}}}"#, "no factor"),
            (
                r#"{"rules":{"unusual-volume":{"factor":2.5,"atLeast":3}}}"#,
                "",
            ),
            (
                r#"{"rules":{"unusual-volume":{"atLeast":0}}}"#,
                "atLeast is 1",
            ),
            (
                r#"{"rules":{"unusual-volume":{"atLeast":18446744073709551615}}}"#,
                "atLeast is 1",
            ),
            (r#"{"rules":{"new-network":{"minDays":365}}}"#, "minDays is"),
            (
                r#"{"rules":{"after-hours":{"usualPercent":0}}}"#,
                "usualPercent is",
            ),
            (
                r#"{"rules":{"after-hours":{"from":"06:00"}}}"#,
                "different times",
            ),
            (r#"{"rules":{"vip":{"labels":[]}}}"#, "labels is not empty"),
            (r#"{"explain":{"listPatients":0}}"#, "listPatients is 1"),
            (r#"{"explain":{"notBy":["client:scheduling"]}}"#, ""),
            (r#"{"explain":{"notBy":["scheduling"]}}"#, "notBy"),
            (r#"{"explain":{"daysBefore":4294967295}}"#, "daysBefore"),
            (r#"{"rules":{"after-hours":{"from":"25:00"}}}"#, "20:00"),
            (r#"{"rules":{"nosy":{}}}"#, "there is no rule nosy"),
            (r#"{"mail":{"to":["a@b.example"]}}"#, ""),
            (r#"{"mail":{"to":["a@b.example\r\nBcc: c@d"]}}"#, "mail.to"),
            (
                r#"{"webhook":{"url":"https://x.example","secret":"short"}}"#,
                "16 to 256",
            ),
            (r#"{"else":1}"#, "unknown field"),
        ] {
            let found = AlertRules::parse(text).err().unwrap_or_default();
            assert_eq!(found.is_empty(), wanted.is_empty(), "{text}: {found}");
            assert!(found.contains(wanted), "{text}: {found}");
        }
    }

    #[test]
    fn what_is_not_said_is_as_it_is_ready() {
        let rules = r#"{"rules":{"unusual-volume":{"atLeast":3},"vip":{"off":"none here"}}}"#;
        let rules = AlertRules::parse(rules).unwrap();
        let volume = rules.terms(AlertRule::UnusualVolume).unwrap();
        assert_eq!((volume.at_least, volume.min_days), (Some(3), Some(5)));
        assert!(rules.terms(AlertRule::Vip).is_none());
        assert!(rules.terms(AlertRule::CoWorker).unwrap().labels.is_some());
        let told = rules.told();
        assert_eq!(told.rules.len(), AlertRule::ALL.len());
        assert_eq!(AlertRules::parse(&told.to_text()).unwrap(), told);
        assert_eq!(minutes_of_offset("-03:30"), Some(-210));
    }
}
