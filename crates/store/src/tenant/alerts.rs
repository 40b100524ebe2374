//! Alerts of a tenant: looked at, acknowledged, told of; and the rules that raise them.

use access::{Administer, Permit};
use base::Code;

use super::TenantStore;
use crate::sqlite::readers::Class;
use crate::sqlite::writer::WriterState;
use crate::sqlite::{OpenTenant, alerts, writer};
use crate::{
    Acknowledged, Alert, AlertCounts, AlertRules, AlertRulesVersion, AlertWay, AlertsAsked,
    AlertsWaiting, Result, StoreError,
};

/// Versions of the rules that are shown.
const VERSIONS_MAX: usize = 100;
/// Alerts that somebody is told of at once.
const TOLD_MAX: usize = 100;

impl TenantStore {
    /// Alerts, the newest first.
    pub async fn alerts(
        &self,
        permit: Permit<Administer>,
        asked: AlertsAsked,
    ) -> Result<Vec<Alert>> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        self.administered(&spent, "list alerts").await?;
        self.handle
            .0
            .read(entry, Class::Scan, None, move |_, db, _| {
                alerts::list(db, &asked)
            })
            .await
    }

    /// Says something about an open alert: `said` has who and when.
    ///
    /// # Errors
    /// `not-found`; `alert-state` if something was said already, or the alert is of the one who says it.
    pub async fn acknowledge_alert(
        &self,
        permit: Permit<Administer>,
        number: u64,
        said: Acknowledged,
    ) -> Result<Alert> {
        let spent = permit.spend(&self.tenant);
        let what = format!("acknowledge alert {number}");
        self.must_speak_for_clinic(&spent, &what).await?;
        let intent = Self::intends_by(&spent, what);
        let told = intent.clone();
        let who = spent.actor().as_str().split(' ').next().unwrap_or_default();
        let who = who.to_owned();
        let work = move |tenant: &std::sync::Arc<OpenTenant>, slot: &mut Option<WriterState>| {
            writer::alone_durably(tenant, slot, |tenant, state| {
                let alert = alerts::get(&state.db, number)?;
                if alert.is_some_and(|a| a.actor == who) {
                    let text = "nobody says what to think of what they did themselves".to_owned();
                    return Err(StoreError::Refused(Code::AlertState, text));
                }
                let said = alerts::acknowledge(&state.db, number, said)?;
                told.done(tenant)?;
                Ok(said)
            })
        };
        self.writes_as(&intent, work).await
    }

    /// How many alerts there are.
    pub async fn alert_counts(&self, permit: Permit<Administer>) -> Result<AlertCounts> {
        let _ = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        self.handle
            .0
            .read(entry, Class::Scan, None, |_, db, _| alerts::counts(db))
            .await
    }

    /// Versions of the rules, the newest first; none where the ready ones are in force.
    pub async fn alert_rules(&self, permit: Permit<Administer>) -> Result<Vec<AlertRulesVersion>> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        self.administered(&spent, "list alert rules").await?;
        self.handle
            .0
            .read(entry, Class::Scan, None, |_, db, _| {
                alerts::versions(db, VERSIONS_MAX)
            })
            .await
    }

    /// Puts rules into force; their version. `after`: the version that their author knew.
    ///
    /// # Errors
    /// `version-conflict` if another is in force; `request-invalid` if their author is excepted by name.
    pub async fn publish_alert_rules(
        &self,
        permit: Permit<Administer>,
        rules: AlertRules,
        reason: &str,
        after: Option<u64>,
    ) -> Result<u64> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        self.must_speak_for_clinic(&spent, "publish alert rules")
            .await?;
        let intent = Self::intends_by(&spent, "publish alert rules");
        let now = spent.request().at;
        let who = spent.actor().as_str().split(' ').next().unwrap_or_default();
        let excepted = who
            .strip_prefix("person:")
            .is_some_and(|p| rules.excepts(p));
        let (actor, why) = (spent.actor().as_str().to_owned(), reason.to_owned());
        let add = move |_: &OpenTenant, state: &mut WriterState| {
            if excepted {
                let text = "nobody excepts themselves from a rule".to_owned();
                return Err(StoreError::Refused(Code::RequestInvalid, text));
            }
            alerts::publish(&state.db, rules, (&actor, &why), after, now)
        };
        let deed = ("publish alert rules", "");
        self.administers(entry, &intent, deed, add).await
    }

    /// Alerts that somebody is to be told of.
    pub async fn alerts_waiting(&self, permit: Permit<Administer>) -> Result<AlertsWaiting> {
        let _ = permit.spend(&self.tenant);
        let entry = self.serving()?;
        self.handle
            .0
            .read(entry, Class::Scan, None, |_, db, _| {
                let rules = alerts::in_force(db)?.rules;
                let webhook = match rules.webhook {
                    Some(_) => alerts::untold(db, AlertWay::Webhook, TOLD_MAX)?,
                    None => Vec::new(),
                };
                let mail = match rules.mail {
                    Some(_) => alerts::untold(db, AlertWay::Mail, TOLD_MAX)?,
                    None => Vec::new(),
                };
                Ok(AlertsWaiting {
                    more: webhook.len().max(mail.len()) >= TOLD_MAX,
                    rules,
                    webhook,
                    mail: mail.into_iter().map(|(number, ..)| number).collect(),
                })
            })
            .await
    }

    /// Somebody was told of alerts.
    pub async fn alerts_told(
        &self,
        permit: Permit<Administer>,
        way: AlertWay,
        numbers: Vec<u64>,
    ) -> Result<()> {
        let _ = permit.spend(&self.tenant);
        let work = move |tenant: &std::sync::Arc<OpenTenant>, slot: &mut Option<WriterState>| {
            writer::alone_durably(tenant, slot, |_, state| {
                alerts::told(&state.db, way, &numbers)
            })
        };
        self.handle.0.with_writer(self.serving()?, work).await
    }
}
