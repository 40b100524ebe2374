//! A policy as it is written: JSON that people read.

use base::Code;
use base::limits::fixed::POLICY_BYTES_MAX;
use serde::{Deserialize, Serialize};

use super::errand::operation_of;
use crate::action::ActionName;

/// A policy document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// A title for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The grants; their order says nothing.
    pub grants: Vec<GrantText>,
    /// Patients' consents narrow what grants give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consents: Option<ConsentsText>,
    /// Security labels narrow what grants give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsText>,
}

/// `"enforced"`, or how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ConsentsText {
    /// With nothing more to be said.
    Word(Enforced),
    /// With what more there is to say.
    Rules(ConsentRules),
}

/// `"enforced"`, or how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelsText {
    /// With nothing more to be said.
    Word(Enforced),
    /// With what more there is to say.
    Rules(LabelRules),
}

/// The word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforced {
    /// It counts.
    Enforced,
}

/// What is said about consents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ConsentRules {
    /// What accesses are for (v3-PurposeOfUse), by role; `*` for those of other roles. Without it a
    /// provision that names purposes cannot be evaluated.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub purposes: std::collections::BTreeMap<String, Vec<String>>,
    /// A patient who was opened in an emergency is open whatever their consents say.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub emergency: bool,
}

/// What is said about security labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LabelRules {
    /// How confidential what somebody sees may be, by role (`U L M N R V`); `*` for everybody. Without it
    /// `N`.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub confidentiality: std::collections::BTreeMap<String, String>,
    /// Who sees information of a sensitive kind.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub sensitivity: std::collections::BTreeMap<String, Who>,
}

/// One grant, or one refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GrantText {
    /// A name for people; unique in the document.
    pub name: String,
    /// Whether it gives or refuses.
    #[serde(default, skip_serializing_if = "Effect::is_allow")]
    pub effect: Effect,
    /// To whom.
    pub who: Who,
    /// SMART letters (`cruds`), or words: `read search history create update delete export administer`, and
    /// names of operations with `$`.
    pub actions: Actions,
    /// Names of resource types, or `*`.
    pub types: Vec<String>,
    /// Which resources of these types: a search (`organization=%user.facilities`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<String>,
    /// Which resources: those in the compartment of a resource that a search finds
    /// (`Patient?organization=%user.facilities`), and that resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Which resources: those in the charts that something other than a search opens to the caller now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// Elements that are not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hide: Vec<String>,
    /// Elements that are shown and not changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_only: Vec<String>,
    /// When: FHIRPath that yields true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// From where: networks (`10.0.0.0/8`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// What the caller must have done.
    #[serde(default, skip_serializing_if = "Require::is_nothing")]
    pub require: Require,
    /// It gives nothing by itself: a person may open one patient under it in an emergency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
}

/// What opens charts to somebody beside what searches find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The caller holds a role at a facility that is there; of every resource, not of charts alone.
    Network,
    /// The caller's facilities manage the patient, or saw them.
    Facility,
    /// A Consent in force permits this very access to the caller.
    Consent,
    /// The caller takes part in an active CareTeam of the patient now.
    CareTeam,
}

impl By {
    /// The type of the resources that open charts and that searches do not look at.
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::Network | Self::Facility => None,
            Self::Consent => Some("Consent"),
            Self::CareTeam => Some("CareTeam"),
        }
    }

    /// Types whose resources open charts.
    pub(super) const fn evidence(self) -> &'static [&'static str] {
        match self {
            Self::Network => &[],
            Self::Facility => &["Encounter", "Location"],
            Self::Consent => &["Consent"],
            Self::CareTeam => &["CareTeam"],
        }
    }
}

/// How a person may open a patient whom their rights do not reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct BreakGlass {
    /// For how long; `break_glass_seconds` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Who reviews it afterwards; without it, who may administer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewers: Option<Who>,
}

/// Whether a grant gives or refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It gives.
    #[default]
    Allow,
    /// It refuses, whatever others give.
    Deny,
}

impl Effect {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
    fn is_allow(&self) -> bool {
        *self == Self::Allow
    }
}

/// To whom: any of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Who {
    /// Holders of a role, wherever they hold it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Members of a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// People, by id; `*` is every person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// API clients and programs, by id; `*` is every one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// Everybody whom the tenant knows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anyone: bool,
}

/// What is allowed or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Actions {
    /// SMART letters, of `cruds`.
    Letters(String),
    /// Words.
    Words(Vec<String>),
}

impl Actions {
    /// The actions named; operations are not among them.
    pub(super) fn named(&self) -> Vec<ActionName> {
        let words: Vec<&str> = match self {
            Self::Letters(letters) => {
                return letters.chars().flat_map(of_letter).copied().collect();
            }
            Self::Words(words) => words.iter().map(String::as_str).collect(),
        };
        ActionName::ALL
            .into_iter()
            .filter(|a| words.contains(&a.as_str()))
            .collect()
    }

    /// The operations named, with `$`.
    pub(super) fn operations(&self) -> impl Iterator<Item = &str> {
        let words: &[String] = match self {
            Self::Letters(_) => &[],
            Self::Words(words) => words,
        };
        words
            .iter()
            .map(String::as_str)
            .filter(|w| w.starts_with('$'))
    }

    /// The first that is none.
    fn unknown(&self) -> Option<String> {
        match self {
            Self::Letters(letters) => letters
                .chars()
                .find(|c| of_letter(*c).is_empty())
                .map(String::from)
                .or_else(|| letters.is_empty().then(String::new)),
            Self::Words(words) => {
                let known = |w: &str| w.starts_with('$') || GRANTED.iter().any(|a| a.as_str() == w);
                let unknown = words.iter().find(|w| !known(w)).cloned();
                unknown.or_else(|| words.is_empty().then(String::new))
            }
        }
    }
}

/// Actions that a document can name.
const GRANTED: [ActionName; 8] = [
    ActionName::Read,
    ActionName::Search,
    ActionName::History,
    ActionName::Create,
    ActionName::Update,
    ActionName::Delete,
    ActionName::Export,
    ActionName::Administer,
];

const fn of_letter(letter: char) -> &'static [ActionName] {
    match letter {
        'c' => &[ActionName::Create],
        'r' => &[ActionName::Read],
        'u' => &[ActionName::Update],
        'd' => &[ActionName::Delete],
        's' => &[ActionName::Search, ActionName::History],
        _ => &[],
    }
}

/// What the caller must have done for a grant to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Require {
    /// Said why, in the header `Access-Reason`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reason: bool,
    /// Proved who they are by two factors.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub step_up: bool,
}

impl Require {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The grant; none for the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// The member.
    pub member: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// A document that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy is refused")]
pub struct PolicyError(pub Vec<Problem>);

impl PolicyError {
    /// Its stable code.
    pub const fn code(&self) -> Code {
        Code::PolicyInvalid
    }

    pub(super) fn of(member: &'static str, problem: String) -> Self {
        Self(vec![Problem {
            grant: None,
            member,
            problem,
        }])
    }
}

impl Document {
    /// Reads a document; only its form is looked at.
    ///
    /// # Errors
    /// Where it departs from the form.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            let problem = format!("more than {POLICY_BYTES_MAX} bytes");
            return Err(PolicyError::of("document", problem));
        }
        let document: Self =
            serde_json::from_str(text).map_err(|e| PolicyError::of("document", e.to_string()))?;
        let problems = document.problems();
        if problems.is_empty() {
            Ok(document)
        } else {
            Err(PolicyError(problems))
        }
    }

    /// The document as text.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether some grant gives something to holders of a role, or lets them review.
    pub fn names_role(&self, role: &str) -> bool {
        let names = |who: &Who| who.roles.iter().any(|known| known == role);
        self.grants.iter().any(|grant| {
            let glass = grant.break_glass.as_ref();
            let reviews = glass.and_then(|glass| glass.reviewers.as_ref());
            grant.effect == Effect::Allow && names(&grant.who) || reviews.is_some_and(names)
        })
    }

    /// What it says about consents; none where they do not count.
    pub(super) fn consent_rules(&self) -> Option<ConsentRules> {
        match self.consents.as_ref()? {
            ConsentsText::Word(_) => Some(ConsentRules::default()),
            ConsentsText::Rules(rules) => Some(rules.clone()),
        }
    }

    /// What it says about security labels; none where they do not count.
    pub(super) fn label_rules(&self) -> Option<LabelRules> {
        match self.labels.as_ref()? {
            LabelsText::Word(_) => Some(LabelRules::default()),
            LabelsText::Rules(rules) => Some(rules.clone()),
        }
    }

    /// Whether patients' consents count.
    pub const fn enforces_consents(&self) -> bool {
        self.consents.is_some()
    }

    /// Whether what it gives goes by what is known beside what searches find: patients' consents, who is in
    /// their care teams, which facilities are there.
    pub fn asks_patients(&self) -> bool {
        self.enforces_consents()
            || self
                .grants
                .iter()
                .any(|g| matches!(g.by, Some(by) if by != By::Facility))
    }

    /// Whether criteria of some grant name a search parameter, perhaps.
    pub fn names(&self, code: &str) -> bool {
        let part = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let texts = self.grants.iter().flat_map(|g| [&g.criteria, &g.within]);
        let mut words = texts.flatten().flat_map(|text| text.split(part));
        words.any(|word| word == code)
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(rules) = self.label_rules() {
            for (role, mark) in &rules.confidentiality {
                if !super::labels::is_mark(mark) {
                    let problem = format!("{role}: \"{mark}\" is none of U L M N R V");
                    problems.extend(PolicyError::of("labels", problem).0);
                }
            }
            for (kind, who) in &rules.sensitivity {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if kind.is_empty() || !kind.chars().all(plain) || *who == Who::default() {
                    let problem = format!("\"{kind}\" is no code, or names nobody");
                    problems.extend(PolicyError::of("labels", problem).0);
                }
            }
        }
        if let Some(rules) = self.consent_rules()
            && rules.purposes.values().any(Vec::is_empty)
        {
            let problem = "a role whose accesses are for nothing".to_owned();
            problems.extend(PolicyError::of("consents", problem).0);
        }
        let max = usize::try_from(base::limits::fixed::POLICY_GRANTS_MAX).unwrap_or(usize::MAX);
        if self.grants.len() > max {
            let problem = format!("more than {max} grants");
            problems.extend(PolicyError::of("grants", problem).0);
        }
        let mut names = std::collections::HashSet::new();
        for grant in &self.grants {
            let mut wrong = |member, problem: &str| {
                problems.push(Problem {
                    grant: Some(grant.name.clone()),
                    member,
                    problem: problem.to_owned(),
                });
            };
            if grant.name.trim().is_empty() || !names.insert(grant.name.as_str()) {
                wrong("name", "a grant needs a name that no other has");
            }
            if grant.who == Who::default() {
                wrong("who", "nobody is named");
            }
            if let Some(unknown) = grant.actions.unknown() {
                wrong("actions", &format!("\"{unknown}\" is no action"));
            }
            let mut operations = grant.actions.operations().peekable();
            let narrowed = grant.criteria.is_some() || grant.within.is_some();
            if grant.effect == Effect::Deny && operations.peek().is_some() && narrowed {
                wrong("criteria", "an operation is refused as a whole");
            }
            if grant.effect == Effect::Allow
                && let Some(name) = operations.find(|name| operation_of(name).is_none())
            {
                wrong(
                    "actions",
                    &format!("\"{name}\" is no operation that is granted by name"),
                );
            }
            if grant.types.is_empty() {
                wrong("types", "no type is named; * is every type");
            }
            if grant.effect == Effect::Deny
                && (!grant.hide.is_empty() || !grant.read_only.is_empty())
            {
                wrong("hide", "a refusal hides the whole resource");
            }
            if let Some(by) = grant.by {
                if grant.effect == Effect::Deny {
                    wrong("by", "a refusal goes by searches");
                }
                if grant.break_glass.is_some() {
                    wrong("by", "an opening is of a patient whom nothing else opens");
                }
                if by == By::Consent && self.consents.is_none() {
                    wrong("by", "what consents say does not count: \"consents\"");
                }
            }
            if let Some(glass) = &grant.break_glass {
                if grant.effect == Effect::Deny {
                    wrong("breakGlass", "a refusal is not opened");
                }
                if grant.actions.named().contains(&ActionName::Administer) {
                    wrong("breakGlass", "nobody administers by it");
                }
                if glass.minutes == Some(0) {
                    wrong("breakGlass", "it is for some minutes");
                }
                if glass.reviewers == Some(Who::default()) {
                    wrong("breakGlass", "reviewers names nobody");
                }
            }
            if grant.effect == Effect::Deny && !grant.require.is_nothing() {
                wrong("require", "a refusal asks for nothing");
            }
        }
        problems
    }
}
