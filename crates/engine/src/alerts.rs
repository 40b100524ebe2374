//! Alerts as people of a tenant work on them: looked at, acknowledged; and the rules that raise them.
//!
//! Who may look at the whole trail, or administers, sees alerts and says something about them; who
//! administers changes the rules. Operators are told how many there are.

use access::{Administer, ClientId, Permit, PersonId, Reason, decide_alerts};
use base::{Code, Micros};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{
    AccessReport, Acknowledged, Alert, AlertCounts, AlertRule, AlertRules, AlertRulesVersion,
    AlertsAsked,
};

use crate::failure::Failure;
use crate::session::Session;
use crate::tenants::{AccessAsked, Operator};

/// Bytes of a reason or a remark.
const TEXT_BYTES_MAX: usize = 500;
/// Alerts on a page, where nothing is said, and at most.
const PAGE: usize = 50;
const PAGE_MAX: usize = 500;

/// Which alerts are asked for; what is not said is not asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlertsWanted<'a> {
    /// `open` or `acknowledged`.
    pub state: Option<&'a str>,
    /// The name of a rule.
    pub rule: Option<&'a str>,
    /// Only this one.
    pub number: Option<u64>,
    /// With smaller numbers.
    pub before: Option<u64>,
    /// At most so many.
    pub count: Option<u64>,
}

/// Alerts, the newest first.
#[derive(Debug, Serialize)]
pub struct AlertsPage {
    /// The alerts.
    pub items: Vec<AlertView>,
    /// There are more, before this number.
    pub next: Option<u64>,
}

/// An alert, as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    /// Its number in the tenant.
    pub number: u64,
    /// The name of its rule.
    pub rule: &'static str,
    /// What the rule says, in words.
    pub about: &'static str,
    /// Who did it: `person:…`, `client:…`; empty where nobody knows.
    pub actor: String,
    /// Their name, as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
    /// Through which program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Its name, as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_name: Option<String>,
    /// Whose data: `Patient/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// First, as an instant.
    pub first: String,
    /// Last, as an instant.
    pub last: String,
    /// How many accesses, or of what the rule counts.
    pub count: u64,
    /// What was seen, and what would have been usual, in words.
    pub seen: String,
    /// Events of the trail: `AuditEvent/…`; of an opening, its id.
    pub events: Vec<String>,
    /// `open` or `acknowledged`.
    pub state: &'static str,
    /// What was said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<AcknowledgedView>,
}

/// What was said about an alert, as it is shown.
#[derive(Debug, Serialize)]
pub struct AcknowledgedView {
    /// By whom.
    pub by: String,
    /// When, as an instant.
    pub at: String,
    /// `explained` or `concern`.
    pub verdict: &'static str,
    /// In words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remark: String,
}

/// What somebody says about an alert, as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertSaid {
    /// `explained` or `concern`.
    pub verdict: String,
    /// In words; a concern has some.
    #[serde(default)]
    pub remark: String,
}

/// Rules, as they are sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRulesDraft {
    /// The document.
    pub document: Value,
    /// Why.
    pub reason: String,
    /// The version that their author knew.
    #[serde(default)]
    pub after: Option<u64>,
}

/// A version of the rules, as it is shown.
#[derive(Debug, Serialize)]
pub struct AlertRulesView {
    /// Its number; 0 for the ready ones.
    pub version: u64,
    /// When it was put into force, as an instant.
    pub at: Option<String>,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What it says, with everything that it leaves out; without secrets.
    pub document: Value,
    /// What is different from the version before it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<AlertRulesChange>>,
}

/// The rules in force, and earlier versions of them.
#[derive(Debug, Serialize)]
pub struct AlertRulesHistory {
    /// The rules in force.
    #[serde(flatten)]
    pub now: AlertRulesView,
    /// Earlier versions, the newest first.
    pub earliers: Vec<AlertRulesView>,
}

/// Something that two versions of the rules say differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertRulesChange {
    /// Where in the document: `rules.vip.off`.
    pub what: String,
    /// What the older one says; nothing if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What the newer one says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
}

/// What is different between two versions of the rules.
#[derive(Debug, Serialize)]
pub struct AlertRulesDiff {
    /// The older one; 0 for the ready ones.
    pub from: u64,
    /// The newer one.
    pub to: u64,
    /// What is different.
    pub changes: Vec<AlertRulesChange>,
}

fn instant(at: Micros) -> String {
    at.instant().to_string()
}

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Code::RequestInvalid, text)
}

/// The rules that are in force where nobody published any.
fn ready() -> AlertRulesVersion {
    AlertRulesVersion {
        version: 0,
        at: Micros(0),
        by: String::new(),
        reason: String::new(),
        rules: AlertRules::default(),
    }
}

/// Names of the rules, and what each says in words.
pub fn alert_rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    AlertRule::ALL
        .iter()
        .map(|rule| (rule.as_str(), rule.about()))
}

/// The ready document, with everything said.
pub fn ready_alert_rules() -> Value {
    document(&ready())
}

fn document(of: &AlertRulesVersion) -> Value {
    serde_json::to_value(of.rules.told()).unwrap_or_default()
}

/// `before`: the version before it, if it is known.
fn rules_view(of: &AlertRulesVersion, before: Option<&AlertRulesVersion>) -> AlertRulesView {
    let document = document(of);
    AlertRulesView {
        version: of.version,
        at: (of.version > 0).then(|| instant(of.at)),
        by: of.by.clone(),
        reason: of.reason.clone(),
        changes: before.map(|before| differences(&self::document(before), &document)),
        document,
    }
}

/// What two documents say differently, in the order of their members.
fn differences(was: &Value, is: &Value) -> Vec<AlertRulesChange> {
    let mut found = Vec::new();
    differ("", Some(was), Some(is), &mut found);
    found
}

fn differ(what: &str, was: Option<&Value>, is: Option<&Value>, found: &mut Vec<AlertRulesChange>) {
    if was == is {
        return;
    }
    let members = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    if let (Some(old), Some(new)) = (members(was), members(is)) {
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let below = match what {
                "" => name.clone(),
                what => format!("{what}.{name}"),
            };
            differ(&below, old.get(name), new.get(name), found);
        }
        return;
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    found.push(AlertRulesChange {
        what: what.to_owned(),
        was: was.map(text),
        is: is.map(text),
    });
}

impl AlertsWanted<'_> {
    fn asked(&self) -> Result<(AlertsAsked, usize), Failure> {
        let open = match self.state {
            None => None,
            Some("open") => Some(true),
            Some("acknowledged") => Some(false),
            Some(_) => return Err(invalid("state is open or acknowledged")),
        };
        let rule = match self.rule {
            None => None,
            Some(name) => Some(AlertRule::parse(name).ok_or(invalid("there is no such rule"))?),
        };
        let count = self.count.map(|n| usize::try_from(n).unwrap_or(PAGE_MAX));
        let limit = match self.number {
            Some(_) => 1,
            None => count.unwrap_or(PAGE).clamp(1, PAGE_MAX),
        };
        let asked = AlertsAsked {
            open,
            rule,
            before: self.number.map(|n| n.saturating_add(1)).or(self.before),
            // One more tells whether there are more.
            limit: limit + 1,
        };
        Ok((asked, limit))
    }
}

impl Session {
    /// The right to see alerts and to say something about them, or its refusal, recorded.
    pub(crate) async fn may_attend(&self) -> Result<Permit<Administer>, Failure> {
        let decided = decide_alerts(
            self.principal(),
            self.rights(),
            self.tenant(),
            self.request,
            self.model().type_id("AuditEvent"),
        );
        match decided {
            Ok(permit) => Ok(permit),
            Err(denied) => {
                let text = "alerts are for whom policy lets administer, or look at the whole trail";
                Err(self.refuse_saying(denied, text).await)
            }
        }
    }

    /// Whether the caller sees alerts; nothing is recorded.
    pub fn attends(&self) -> bool {
        let audit_event = self.model().type_id("AuditEvent");
        let (principal, rights) = (self.principal(), self.rights());
        decide_alerts(principal, rights, self.tenant(), self.request, audit_event).is_ok()
    }

    /// Whether the caller sees alerts, or the refusal, recorded.
    ///
    /// # Errors
    /// `scope-missing`
    pub async fn alerts_are_seen(&self) -> Result<(), Failure> {
        let _ = self.may_attend().await?;
        Ok(())
    }

    /// Whether the caller may change the rules; nothing is recorded.
    pub fn may_change_alert_rules(&self) -> bool {
        self.rights().administers()
    }

    /// Alerts, the newest first.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `request-invalid`.
    pub async fn alerts(&self, wanted: &AlertsWanted<'_>) -> Result<AlertsPage, Failure> {
        let permit = self.may_attend().await?;
        let (asked, limit) = wanted.asked()?;
        let mut found = self.store.alerts(permit, asked).await?;
        let more = found.len() > limit && wanted.number.is_none();
        found.truncate(limit);
        if let Some(number) = wanted.number {
            found.retain(|alert| alert.number == number);
        }
        let next = found.last().filter(|_| more).map(|alert| alert.number);
        let mut items = Vec::with_capacity(found.len());
        for alert in found {
            items.push(self.alert_view(alert).await);
        }
        Ok(AlertsPage { items, next })
    }

    /// One alert.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `not-found`.
    pub async fn alert(&self, number: u64) -> Result<AlertView, Failure> {
        let wanted = AlertsWanted {
            number: Some(number),
            ..AlertsWanted::default()
        };
        let found = self.alerts(&wanted).await?.items.pop();
        found.ok_or_else(|| Failure::new(Code::NotFound, "no such alert"))
    }

    /// Says something about an open alert.
    ///
    /// # Errors
    /// `scope-missing`, recorded, also for programs; `request-invalid`, `not-found`; `alert-state` where
    /// something was said already, or it is one's own.
    pub async fn acknowledge_alert(
        &self,
        number: u64,
        said: AlertSaid,
    ) -> Result<AlertView, Failure> {
        let permit = self.may_attend().await?;
        // Somebody vouches for it with their name.
        if self.principal().person().is_none() {
            return Err(self
                .refuse_for(access::ActionName::Administer, None, Code::ScopeMissing)
                .await);
        }
        let concern = match said.verdict.as_str() {
            "explained" => false,
            "concern" => true,
            _ => return Err(invalid("verdict is explained or concern")),
        };
        let remark = said.remark.trim().to_owned();
        if remark.len() > TEXT_BYTES_MAX || concern && remark.is_empty() {
            return Err(invalid(
                "remark says what to think of it, in at most 500 bytes; a concern has one",
            ));
        }
        let said = Acknowledged {
            by: self.principal().actor().as_str().to_owned(),
            at: self.request.at,
            concern,
            remark,
        };
        let alert = self.store.acknowledge_alert(permit, number, said).await?;
        Ok(self.alert_view(alert).await)
    }

    /// The rules in force, and earlier versions.
    ///
    /// # Errors
    /// `scope-missing`, recorded.
    pub async fn alert_rules(&self) -> Result<AlertRulesHistory, Failure> {
        let found = self.versions_of_rules().await?;
        let mut views = (0..found.len()).filter_map(|at| {
            let of = found.get(at)?;
            Some(rules_view(of, found.get(at + 1)))
        });
        let now = views.next().unwrap_or_else(|| rules_view(&ready(), None));
        Ok(AlertRulesHistory {
            now,
            earliers: views.filter(|view| view.version > 0).collect(),
        })
    }

    /// What is different between two versions of the rules.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `not-found`.
    pub async fn alert_rules_diff(&self, from: u64, to: u64) -> Result<AlertRulesDiff, Failure> {
        let found = self.versions_of_rules().await?;
        let version = |number: u64| {
            let version = found.iter().find(|v| v.version == number);
            let unknown = || Failure::new(Code::NotFound, "no such version of the rules");
            version.map(document).ok_or_else(unknown)
        };
        Ok(AlertRulesDiff {
            from,
            to,
            changes: differences(&version(from)?, &version(to)?),
        })
    }

    /// Versions of the rules, the newest first; the ready ones are the last, where all are told.
    async fn versions_of_rules(&self) -> Result<Vec<AlertRulesVersion>, Failure> {
        let permit = self.may_attend().await?;
        let mut found = self.store.alert_rules(permit).await?;
        if found.last().is_none_or(|oldest| oldest.version == 1) {
            found.push(ready());
        }
        Ok(found)
    }

    /// Puts rules into force; their version.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `request-invalid`, `version-conflict`.
    pub async fn publish_alert_rules(&self, draft: AlertRulesDraft) -> Result<u64, Failure> {
        let permit = self.may_govern().await?;
        let reason = draft.reason.trim();
        if reason.is_empty() || reason.len() > TEXT_BYTES_MAX {
            return Err(invalid("reason says why, in 1 to 500 bytes"));
        }
        let rules = AlertRules::parse(&draft.document.to_string())
            .map_err(|e| invalid(format!("document: {e}")))?;
        if let Some(webhook) = &rules.webhook {
            self.house().admits(&webhook.url)?;
        }
        let after = draft.after;
        let published = self.store.publish_alert_rules(permit, rules, reason, after);
        Ok(published.await?)
    }

    /// Who was shown or changed what about which patients, for those who see alerts. Somebody is named as
    /// the trail names them, or by what they sign in with.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `request-invalid`.
    pub async fn accesses(&self, asked: &AccessAsked<'_>) -> Result<AccessReport, Failure> {
        let permit = self.may_attend().await?;
        Ok(self
            .store
            .report_of_accesses(permit, asked.query()?)
            .await?)
    }

    async fn alert_view(&self, alert: Alert) -> AlertView {
        // Of an opening, a client and a copy the event is its id or name, of what an operator did what that
        // was, and no event of the trail.
        let of_trail = !matches!(
            alert.rule,
            AlertRule::UnreviewedOpening
                | AlertRule::OperatorClient
                | AlertRule::OperatorSignIn
                | AlertRule::OperatorCopy
                | AlertRule::OperatorTrail
                | AlertRule::OperatorPolicy
        );
        let event = |id: String| match of_trail {
            true => format!("AuditEvent/{id}"),
            false => id,
        };
        let actor_name = self.name_of(&alert.actor).await;
        let program_name = match &alert.program {
            Some(program) => self.name_of(program).await,
            None => None,
        };
        AlertView {
            number: alert.number,
            rule: alert.rule.as_str(),
            about: alert.rule.about(),
            actor: alert.actor,
            actor_name,
            program: alert.program,
            program_name,
            patient: alert.patient.map(|id| format!("Patient/{id}")),
            first: instant(alert.first),
            last: instant(alert.last),
            count: alert.count,
            seen: alert.seen,
            events: alert.events.into_iter().map(event).collect(),
            state: match alert.acknowledged {
                Some(_) => "acknowledged",
                None => "open",
            },
            acknowledged: alert.acknowledged.map(|said| AcknowledgedView {
                by: said.by,
                at: instant(said.at),
                verdict: if said.concern { "concern" } else { "explained" },
                remark: said.remark,
            }),
        }
    }

    /// What people call somebody whom the trail names; none if nobody knows them any more.
    async fn name_of(&self, actor: &str) -> Option<String> {
        if let Some(id) = actor.strip_prefix("person:") {
            let person = self.store.person(&PersonId::new(id)?).await.ok()??;
            return Some(person.record.name.to_string());
        }
        let id = ClientId::new(actor.strip_prefix("client:")?)?;
        Some(self.store.client(&id).await.ok()??.name)
    }
}

impl Operator {
    /// How many alerts a tenant has.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-damaged`.
    pub async fn alert_counts(&self, name: &str) -> Result<AlertCounts, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        Ok(data.alert_counts(permit).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_two_versions_say_differently_is_named_by_its_place() {
        let was = json!({ "utcOffset": "+00:00", "rules": { "vip": { "labels": ["a|b"] } } });
        let is = json!({ "rules": { "vip": { "labels": ["a|b"], "off": "none" } }, "mail": [1] });
        let change = |what: &str, was: Option<&str>, is: Option<&str>| AlertRulesChange {
            what: what.to_owned(),
            was: was.map(str::to_owned),
            is: is.map(str::to_owned),
        };
        assert_eq!(
            differences(&was, &is),
            [
                change("mail", None, Some("[1]")),
                change("rules.vip.off", None, Some("none")),
                change("utcOffset", Some("+00:00"), None),
            ]
        );
        assert_eq!(differences(&was, &was), []);
    }
}
