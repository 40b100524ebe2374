//! `$alerts`, `$alert-acknowledge`, `$alert-rules` and `$alert-rules-publish`: accesses that call for
//! attention, what somebody says about them, and the rules.
//!
//! Who may look at the whole trail, or administers, sees alerts and says something about them; who
//! administers changes the rules. Operators are told how many there are.

use access::{Administer, Permit, Reason, decide_alerts};
use base::{Code, Micros};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{
    Acknowledged, Alert, AlertCounts, AlertRule, AlertRules, AlertRulesVersion, AlertsAsked,
};

use super::Input;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::form;
use crate::policies::{parameters_of, read_parameters};
use crate::session::Session;
use crate::tenants::Operator;

/// Bytes of a reason or a remark.
const TEXT_BYTES_MAX: usize = 500;
/// Alerts on a page, where nothing is said, and at most.
const PAGE: usize = 50;
const PAGE_MAX: usize = 500;

/// An alert, as it is shown.
#[derive(Debug, Serialize)]
struct AlertView {
    number: u64,
    rule: &'static str,
    about: &'static str,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patient: Option<String>,
    first: String,
    last: String,
    count: u64,
    seen: String,
    events: Vec<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<AcknowledgedView>,
}

#[derive(Debug, Serialize)]
struct AcknowledgedView {
    by: String,
    at: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    remark: String,
}

/// Rules as they are sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesDraft {
    document: Value,
    reason: String,
    #[serde(default)]
    after: Option<u64>,
}

fn instant(at: Micros) -> String {
    at.instant().to_string()
}

fn view(alert: Alert) -> AlertView {
    // Of an opening, the event is its id, and no event of the trail.
    let of_trail = alert.rule != AlertRule::UnreviewedOpening;
    let event = |id: String| match of_trail {
        true => format!("AuditEvent/{id}"),
        false => id,
    };
    AlertView {
        number: alert.number,
        rule: alert.rule.as_str(),
        about: alert.rule.about(),
        actor: alert.actor,
        program: alert.program,
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

fn rules_view(of: &AlertRulesVersion) -> Value {
    let in_force = of.version > 0;
    json!({
        "version": of.version,
        "at": in_force.then(|| instant(of.at)),
        "by": of.by,
        "reason": of.reason,
        "document": of.rules.told(),
    })
}

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Code::RequestInvalid, text)
}

fn words(query: &str, name: &str) -> Option<String> {
    let text = form::first(query, name)?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn number(query: &str, name: &'static str) -> Result<Option<u64>, Failure> {
    let text = words(query, name);
    let parse = |t: String| {
        t.parse()
            .map_err(|_| invalid(format!("{name} is a number")))
    };
    text.map(parse).transpose()
}

impl Session {
    /// One of the operations on alerts.
    ///
    /// # Errors
    /// `scope-missing`, recorded, and those of each.
    pub(super) async fn attend(&self, name: &str, input: &Input<'_>) -> Result<Answer, Failure> {
        match name {
            "alerts" => {
                let permit = self.may_attend().await?;
                self.alerts(permit, &self.simple_parameters(input)?).await
            }
            "alert-acknowledge" => {
                let permit = self.may_attend().await?;
                let query = self.simple_parameters(input)?;
                self.acknowledge(permit, &query).await
            }
            "alert-rules" => {
                let permit = self.may_attend().await?;
                let found = self.store.alert_rules(permit).await?;
                let ready = AlertRulesVersion {
                    version: 0,
                    at: Micros(0),
                    by: String::new(),
                    reason: String::new(),
                    rules: AlertRules::default(),
                };
                let now = found.first().unwrap_or(&ready);
                let earlier: Vec<Value> = found.iter().skip(1).map(rules_view).collect();
                let mut told = rules_view(now);
                if let Some(told) = told.as_object_mut() {
                    told.insert("earliers".to_owned(), Value::Array(earlier));
                }
                parameters_of(&told)
            }
            _ => {
                let permit = self.may_govern().await?;
                self.publish_alert_rules(permit, input).await
            }
        }
    }

    async fn may_attend(&self) -> Result<Permit<Administer>, Failure> {
        let decided = decide_alerts(
            self.principal(),
            self.rights(),
            self.tenant(),
            self.request,
            self.model().type_id("AuditEvent"),
        );
        match decided {
            Ok(permit) => Ok(permit),
            Err(denied) => Err(self.refuse(denied).await),
        }
    }

    async fn alerts(&self, permit: Permit<Administer>, query: &str) -> Result<Answer, Failure> {
        let open = match words(query, "state").as_deref() {
            None => None,
            Some("open") => Some(true),
            Some("acknowledged") => Some(false),
            Some(_) => return Err(invalid("state is open or acknowledged")),
        };
        let rule = match words(query, "rule") {
            None => None,
            Some(name) => Some(AlertRule::parse(&name).ok_or(invalid("there is no such rule"))?),
        };
        let limit =
            number(query, "_count")?.map_or(PAGE, |n| usize::try_from(n).unwrap_or(PAGE_MAX));
        let limit = limit.clamp(1, PAGE_MAX);
        let asked = AlertsAsked {
            open,
            rule,
            before: number(query, "before")?,
            // One more tells whether there are more.
            limit: limit + 1,
        };
        let mut found = self.store.alerts(permit, asked).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|alert| alert.number);
        let items: Vec<AlertView> = found.into_iter().map(view).collect();
        parameters_of(&json!({ "items": items, "next": next }))
    }

    async fn acknowledge(
        &self,
        permit: Permit<Administer>,
        query: &str,
    ) -> Result<Answer, Failure> {
        // Somebody vouches for it with their name.
        if self.principal().person().is_none() {
            return Err(self
                .refuse_for(access::ActionName::Administer, None, Code::ScopeMissing)
                .await);
        }
        let of = number(query, "number")?.ok_or(invalid("number says which alert"))?;
        let concern = match words(query, "verdict").as_deref() {
            Some("explained") => false,
            Some("concern") => true,
            _ => return Err(invalid("verdict is explained or concern")),
        };
        let remark = words(query, "remark").unwrap_or_default();
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
        let alert = self.store.acknowledge_alert(permit, of, said).await?;
        parameters_of(&view(alert))
    }

    async fn publish_alert_rules(
        &self,
        permit: Permit<Administer>,
        input: &Input<'_>,
    ) -> Result<Answer, Failure> {
        let draft: RulesDraft = read_parameters(input.body)?;
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
        let version = self
            .store
            .publish_alert_rules(permit, rules, reason, after)
            .await?;
        parameters_of(&json!({ "version": version }))
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
