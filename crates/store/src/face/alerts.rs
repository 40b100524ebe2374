//! Alerts: accesses that somebody should look at, by which rules, and what was said about them.

mod rules;

use base::Micros;
use serde::Serialize;

pub use rules::{AlertMail, AlertRules, AlertWebhook, Explaining, RuleTerms};

macro_rules! rules {
    ($($name:ident = $text:literal, $about:literal;)+) => {
        /// By what an access calls for attention.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AlertRule {
            $(#[doc = $about] $name,)+
        }

        impl AlertRule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in documents.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it says, in words.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)+ }
            }
        }
    };
}

rules! {
    UnusualVolume = "unusual-volume", "Somebody looked at many more patients in a day than they do";
    AfterHours = "after-hours", "Somebody looked at a patient at a time when they do not work";
    Vip = "vip", "Somebody looked at a patient who is marked as one of special importance";
    CoWorker = "co-worker", "Somebody looked at a patient who works here";
    SameSurname = "same-surname", "Somebody looked at a patient of their own surname";
    OwnRecord = "own-record", "Somebody looked at their own record as staff";
    OtherFacility = "other-facility", "Somebody looked at a patient of facilities where they do not work";
    FailedSignIns = "failed-sign-ins", "Sign-ins failed again and again";
    NewNetwork = "new-network", "Somebody came from a network that they never came from";
    UnreviewedOpening = "break-glass-unreviewed", "Nobody reviewed in time that a patient was opened in an emergency";
    OperatorClient = "operator-client", "An operator made an API client that opens records, or opened a way in for bulk loading";
    OperatorSignIn = "operator-sign-in", "An operator changed who may sign in to the tenant";
    OperatorCopy = "operator-copy", "An operator made another tenant of a backup of this one";
    OperatorTrail = "operator-trail", "An operator changed how long the trail is kept, or where it goes";
    OperatorPolicy = "operator-policy", "An operator changed what people and programs may do";
}

impl AlertRule {
    /// The rule of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.as_str() == name)
    }
}

/// What was said about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// By whom.
    pub by: String,
    /// When.
    pub at: Micros,
    /// It gives cause for concern; otherwise there is an explanation.
    pub concern: bool,
    /// In words.
    pub remark: String,
}

/// Something that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its number in the tenant.
    pub number: u64,
    /// By what.
    pub rule: AlertRule,
    /// Who did it, as the trail names them: `person:…`, `client:…`; empty where nobody knows.
    pub actor: String,
    /// Through which program.
    pub program: Option<String>,
    /// To whose data.
    pub patient: Option<String>,
    /// First.
    pub first: Micros,
    /// Last.
    pub last: Micros,
    /// How many accesses, or of what the rule counts.
    pub count: u64,
    /// What was seen, and what would have been usual, in words without content of records.
    pub seen: String,
    /// The first events of the trail that it is about, by their ids.
    pub events: Vec<String>,
    /// What was said about it.
    pub acknowledged: Option<Acknowledged>,
}

/// How many alerts there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertCounts {
    /// That nobody said anything about yet.
    pub open: u64,
    /// That somebody said something about.
    pub acknowledged: u64,
    /// That wait for being told of by the webhook.
    pub webhook_waiting: u64,
    /// That wait for being told of by mail.
    pub mail_waiting: u64,
}

/// Which alerts are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlertsAsked {
    /// Open ones, or those that something was said about; both without it.
    pub open: Option<bool>,
    /// Of this rule.
    pub rule: Option<AlertRule>,
    /// With smaller numbers.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Rules that were put into force.
#[derive(Clone, Debug)]
pub struct AlertRulesVersion {
    /// Their number, from 1; 0 for the ready ones.
    pub version: u64,
    /// When.
    pub at: Micros,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What they say.
    pub rules: AlertRules,
}

/// By what somebody is told of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertWay {
    /// By the tenant's webhook.
    Webhook,
    /// By mail.
    Mail,
}

/// Alerts that somebody is to be told of.
#[derive(Clone, Debug)]
pub struct AlertsWaiting {
    /// The rules in force.
    pub rules: AlertRules,
    /// Number, rule, first time and count of those that the webhook is to be told of, in order.
    pub webhook: Vec<(u64, AlertRule, Micros, u64)>,
    /// Numbers of those that mail is to tell of, in order.
    pub mail: Vec<u64>,
    /// Whether there are more than are told of at once.
    pub more: bool,
}
