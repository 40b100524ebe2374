//! Telling somebody outside: of alerts, by a tenant's webhook and by mail that a gateway picks up; of signed
//! heads of the trails, by the house's webhook or its syslog receiver. At least once.
//!
//! Nobody outside is told who did what to whom: a webhook gets an alert's number, rule, time and count, a
//! mail that there is something to look at.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::{Reason, RequestMeta, TenantId, decide_system};
use base::{Code, RequestId};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use store::{AlertMail, AlertWay, AlertWebhook, AlertsWaiting, TenantStore};
use tokio::sync::watch;
use tokio::task::{self, JoinSet};

use crate::auth::HOUSE;
use crate::failure::Failure;
use crate::house::House;
use crate::outbound::SignedJson;
use crate::shipping::Carrier;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// Until a tenant's webhook that did not answer is called again: the first time, and at most, in
/// microseconds.
const PAUSE_US: i64 = 4_000_000;
const PAUSE_US_MAX: i64 = 600_000_000;
const fn pause_us(failures: u32) -> i64 {
    let shift = if failures < 9 { failures } else { 9 };
    let pause = PAUSE_US << shift;
    if pause < PAUSE_US_MAX {
        pause
    } else {
        PAUSE_US_MAX
    }
}
/// How often tenants' webhooks did not answer, and when they are called again.
type Patience = HashMap<[u8; 16], (u32, i64)>;
/// For so long one tenant's people are told in one turn, and one call more, in microseconds.
const TURN_US: i64 = 10_000_000;
/// Heads told of at once.
const HEADS_MAX: usize = 500;
/// Mails that may wait for the gateway.
const MAILS_MAX: usize = 10_000;

/// Where mail waits for a gateway.
#[derive(Clone, Debug, Default)]
pub struct MailOutbox {
    /// The folder; without one there is no mail.
    pub dir: Option<PathBuf>,
    /// Whom it is from.
    pub from: String,
}

/// Somebody who is told of heads.
pub struct HeadTeller {
    /// Its name, for what is kept of it: of a file's name.
    pub name: &'static str,
    /// Where, for people.
    pub target: String,
    /// By what.
    pub by: HeadWay,
}

/// By what somebody is told of heads.
pub enum HeadWay {
    /// A webhook: its address, and what calls are signed with.
    Webhook(String, Option<String>),
    /// A syslog receiver.
    Syslog(Arc<dyn Carrier>),
}

impl std::fmt::Debug for HeadTeller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeadTeller({})", self.target)
    }
}

/// How one who is told of heads is doing.
#[derive(Clone, Debug, Serialize)]
pub struct HeadTellerView {
    /// Its name.
    pub name: &'static str,
    /// Where.
    pub target: String,
    /// Heads that it was not told of yet.
    pub waiting: u64,
    /// Attempts that failed since start.
    pub failures: u64,
    /// Why the last one failed, until one succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Those who are told of heads, by name.
pub(crate) type HeadTellers = Mutex<BTreeMap<&'static str, HeadTellerView>>;

/// Who is being told of alerts, and who waits for it.
#[derive(Default)]
struct Telling {
    patience: Patience,
    waiting: VecDeque<TenantId>,
    running: JoinSet<Result<Told, Failure>>,
    busy: HashMap<task::Id, TenantId>,
}

/// Somebody was told, or what should have told them broke off.
type Ended = Result<(task::Id, Result<Told, Failure>), task::JoinError>;

/// How it went to tell a tenant's people.
enum Told {
    All,
    /// There are more than are told of at once.
    Some,
    /// Somebody did not take it.
    Refused,
}

impl House {
    fn request_of_house(&self) -> RequestMeta {
        let id = RequestId(u128::from_be_bytes(self.0.rng.bytes()));
        RequestMeta::new(id, self.clock().now())
    }

    /// Tells of alerts until it is told to stop.
    pub async fn tell(self, mut stopped: watch::Receiver<bool>) {
        let mut telling = Telling::default();
        while !*stopped.borrow() {
            self.look_whom_to_tell(&mut telling);
            self.begin_to_tell(&mut telling);
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                Some(ended) = telling.running.join_next_with_id() => self.told(&mut telling, ended),
                _ = stopped.changed() => {}
            }
        }
    }

    /// Tells of alerts that nobody was told of yet, whoever did not answer before.
    pub async fn tell_now(&self) {
        let mut telling = Telling::default();
        self.look_whom_to_tell(&mut telling);
        loop {
            self.begin_to_tell(&mut telling);
            match telling.running.join_next_with_id().await {
                Some(ended) => self.told(&mut telling, ended),
                None => return,
            }
        }
    }

    /// Looks which tenants' people are to be told something, and may be asked now.
    fn look_whom_to_tell(&self, telling: &mut Telling) {
        for tenant in self.0.store.untold() {
            let now = self.clock().monotonic().0;
            let known = telling.patience.get(tenant.bytes());
            let later = known.is_some_and(|(_, next)| now < *next);
            // What came meanwhile is told in another turn.
            let is_it = |of: &TenantId| of.bytes() == tenant.bytes();
            let is_told_now = telling.busy.values().any(is_it);
            if later || is_told_now {
                self.0.store.still_untold(&tenant);
            } else if !telling.waiting.iter().any(is_it) {
                telling.waiting.push_back(tenant);
            }
        }
    }

    /// Begins to tell as many tenants' people at once as there may be: one who does not answer holds up
    /// nobody else's.
    fn begin_to_tell(&self, telling: &mut Telling) {
        let most = self.limits().tenants_told_at_once_max.max(1);
        while (telling.running.len() as u64) < most {
            let Some(tenant) = telling.waiting.pop_front() else {
                return;
            };
            let (house, of) = (self.clone(), tenant.clone());
            let work = async move {
                let data = house.0.store.tenant(&of);
                house.tell_of(&of, &data).await
            };
            let task = telling.running.spawn(work);
            telling.busy.insert(task.id(), tenant);
        }
    }

    /// Notes how it went.
    fn told(&self, telling: &mut Telling, ended: Ended) {
        let (task, done) = match ended {
            Ok((task, done)) => (task, done),
            Err(broken) => (broken.id(), Err(Failure::of(Code::Internal))),
        };
        let Some(tenant) = telling.busy.remove(&task) else {
            return;
        };
        match done {
            Ok(Told::All) => {
                telling.patience.remove(tenant.bytes());
                return;
            }
            Ok(Told::Some) => {
                telling.patience.remove(tenant.bytes());
                self.0.store.still_untold(&tenant);
                return;
            }
            Ok(Told::Refused) => {}
            // One that is suspended is looked at again when it is back.
            Err(e) => {
                tracing::warn!(tenant = %tenant.name(), error = %e, "alerts were not told of");
            }
        }
        let now = self.clock().monotonic().0;
        let known = telling.patience.get(tenant.bytes());
        let failures = known.map_or(0, |(failures, _)| *failures);
        let next = (failures + 1, now + pause_us(failures));
        telling.patience.insert(*tenant.bytes(), next);
        self.0.store.still_untold(&tenant);
    }

    async fn tell_of(&self, tenant: &TenantId, data: &TenantStore) -> Result<Told, Failure> {
        let permit = || {
            let permit = decide_system(Reason::Telling, tenant, self.request_of_house());
            permit.map_err(|denied| Failure::from(&denied))
        };
        let waiting = data.alerts_waiting(permit()?).await?;
        let (mut all, mut more) = (true, waiting.more);
        let began = self.clock().monotonic().0;
        if let Some(webhook) = &waiting.rules.webhook {
            for call in &waiting.webhook {
                // One that answers slowly takes its turn, and no more.
                if self.clock().monotonic().0 - began > TURN_US {
                    more = true;
                    break;
                }
                if let Err(e) = self.call(tenant, webhook, *call).await {
                    tracing::warn!(tenant = %tenant.name(), error = %e, "a webhook was not told of an alert");
                    all = false;
                    break;
                }
                data.alerts_told(permit()?, AlertWay::Webhook, vec![call.0])
                    .await?;
            }
        }
        if let (Some(mail), false) = (&waiting.rules.mail, waiting.mail.is_empty()) {
            let outbox = &self.0.config.mail;
            match &outbox.dir {
                None => {}
                Some(dir) => match self.write_mail(tenant, dir.clone(), mail, &waiting).await {
                    Ok(()) => {
                        let numbers = waiting.mail.clone();
                        data.alerts_told(permit()?, AlertWay::Mail, numbers).await?;
                    }
                    Err(e) => {
                        tracing::warn!(tenant = %tenant.name(), error = %e, "mail was not written");
                        all = false;
                    }
                },
            }
        }
        Ok(match (all, more) {
            (false, _) => Told::Refused,
            (true, true) => Told::Some,
            (true, false) => Told::All,
        })
    }

    async fn call(
        &self,
        tenant: &TenantId,
        webhook: &AlertWebhook,
        (number, rule, at, count): (u64, store::AlertRule, base::Micros, u64),
    ) -> Result<(), Failure> {
        let body = json!({
            "type": "insula.alert",
            "timestamp": at.instant().to_string(),
            "data": { "tenant": tenant.name().as_str(), "alert": number, "rule": rule.as_str(), "count": count },
        });
        let id = format!("alert-{}-{number}", tenant.name());
        let secret = webhook.secret.as_deref();
        let signed = SignedJson::new(body.to_string(), id, self.clock().now(), secret);
        self.post(tenant.bytes(), &webhook.url, signed).await
    }

    async fn write_mail(
        &self,
        tenant: &TenantId,
        dir: PathBuf,
        mail: &AlertMail,
        waiting: &AlertsWaiting,
    ) -> std::io::Result<()> {
        let (first, last) = (waiting.mail.first(), waiting.mail.last());
        let (first, last) = (first.copied().unwrap_or(0), last.copied().unwrap_or(0));
        let name = format!("{}-{first}-{last}.eml", tenant.name());
        let text = self.mail_text(tenant, mail, (first, last), waiting.mail.len());
        let written = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&dir)?;
            if std::fs::read_dir(&dir)?.count() >= MAILS_MAX {
                return Err(std::io::Error::other("too many mails wait for the gateway"));
            }
            // A gateway that looks for `*.eml` never sees half of one.
            let half = dir.join(format!(".{name}.part"));
            std::fs::write(&half, text)?;
            std::fs::File::open(&half)?.sync_all()?;
            std::fs::rename(&half, dir.join(name))
        });
        written.await.map_err(std::io::Error::other)?
    }

    /// A mail (RFC 5322) that says that there is something to look at, and nothing of it.
    fn mail_text(
        &self,
        tenant: &TenantId,
        mail: &AlertMail,
        (first, last): (u64, u64),
        count: usize,
    ) -> String {
        let from = &self.0.config.mail.from;
        let host = from.rsplit_once('@').map_or("localhost", |(_, host)| host);
        let tenant = tenant.name().as_str();
        let alerts = if count == 1 { "alert" } else { "alerts" };
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = write!(
            out,
            "From: {from}\r\nTo: {to}\r\nSubject: Insula: {count} new {alerts} in {tenant}\r\n\
             Date: {date}\r\nMessage-ID: <alerts-{tenant}-{first}-{last}@{host}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             In {tenant} {count} {alerts} on accesses wait for somebody to look at them.\r\n\r\n\
             Sign in to Insula to see them.\r\n",
            to = mail.to.join(", "),
            date = mail_date(self.clock().now()),
        );
        out
    }

    /// How those who are told of heads are doing.
    pub fn head_tellers(&self) -> Vec<HeadTellerView> {
        self.0.head_tellers.lock().values().cloned().collect()
    }

    /// Tells somebody of heads until it is told to stop.
    ///
    /// # Errors
    /// If what is kept of it cannot be read.
    pub async fn tell_heads(
        self,
        teller: &HeadTeller,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), store::StoreError> {
        let mut place = self.0.store.head_place(teller.name)?;
        let mut failures = 0;
        while !*stopped.borrow() {
            failures = match self.tell_heads_now(teller, &mut place).await {
                true => 0,
                false => failures + 1,
            };
            let pause = match failures {
                0 => LOOK,
                n => Duration::from_micros(pause_us(n - 1).unsigned_abs()),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.changed() => {}
            }
        }
        Ok(())
    }

    /// Tells somebody of the heads that they were not told of yet; whether that went well.
    pub async fn tell_heads_now(
        &self,
        teller: &HeadTeller,
        place: &mut BTreeMap<String, u64>,
    ) -> bool {
        let known = place.clone();
        let store = &self.0.store;
        let told = match store.heads_after(known, HEADS_MAX).await {
            Err(e) => Err((0, e.to_string())),
            Ok((heads, _)) if heads.is_empty() => Ok(0),
            Ok((heads, waiting)) => {
                let lines: Vec<String> = heads.iter().map(|h| h.line.clone()).collect();
                match self.hand_heads(teller, lines).await {
                    Err(e) => Err((waiting, e)),
                    Ok(()) => {
                        for head in &heads {
                            place.insert(head.tree.clone(), head.size);
                        }
                        let left = waiting.saturating_sub(heads.len() as u64);
                        let kept = store.keep_head_place(teller.name, place.clone()).await;
                        kept.map(|()| left).map_err(|e| (left, e.to_string()))
                    }
                }
            }
        };
        let mut all = self.0.head_tellers.lock();
        let view = all.entry(teller.name).or_insert_with(|| HeadTellerView {
            name: teller.name,
            target: teller.target.clone(),
            waiting: 0,
            failures: 0,
            error: None,
        });
        match told {
            Ok(left) => {
                view.waiting = left;
                view.error = None;
            }
            Err((waiting, why)) => {
                tracing::warn!(
                    target = teller.target,
                    "heads of trails were not told: {why}"
                );
                view.waiting = waiting;
                view.failures += 1;
                view.error = Some(why);
            }
        }
        let waiting = i64::try_from(view.waiting).unwrap_or(i64::MAX);
        let went_well = view.error.is_none();
        drop(all);
        self.0.metrics.heads_waiting(teller.name, waiting);
        went_well
    }

    async fn hand_heads(&self, teller: &HeadTeller, lines: Vec<String>) -> Result<(), String> {
        match &teller.by {
            HeadWay::Webhook(url, secret) => {
                let heads: Vec<Value> = lines
                    .iter()
                    .filter_map(|line| serde_json::from_str(line).ok())
                    .collect();
                let now = self.clock().now();
                let body = json!({
                    "type": "insula.heads",
                    "timestamp": now.instant().to_string(),
                    "data": { "heads": heads },
                });
                let id = format!("heads-{:032x}", u128::from_be_bytes(self.0.rng.bytes()));
                let signed = SignedJson::new(body.to_string(), id, now, secret.as_deref());
                self.post(&HOUSE, url, signed)
                    .await
                    .map_err(|e| e.to_string())
            }
            HeadWay::Syslog(carrier) => {
                let at = self.clock().now();
                let message = |line: &String| crate::shipping::head_message(at, line);
                let messages = lines.iter().map(message).collect();
                let told = async {
                    carrier.carry(messages).await?;
                    carrier.settle().await
                };
                match tokio::time::timeout(crate::shipping::PATIENCE, told).await {
                    Ok(done) => done.map_err(|e| e.to_string()),
                    Err(_) => Err("it takes nothing".to_owned()),
                }
            }
        }
    }

    /// Whether the house's own webhook may be asked.
    ///
    /// # Errors
    /// `outbound-refused`
    pub fn admits_webhook(&self, url: &str) -> Result<(), Code> {
        self.admits(url).map_err(|e| e.code())
    }
}

/// A time as mails write it (RFC 5322, section 3.3).
fn mail_date(at: base::Micros) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = at.instant().to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or("");
    let day = usize::try_from(at.0.div_euclid(86_400_000_000).rem_euclid(7)).unwrap_or(0);
    let month = part(5, 7).parse::<usize>().unwrap_or(1);
    format!(
        "{}, {} {} {} {} +0000",
        DAYS.get(day).unwrap_or(&""),
        part(8, 10),
        MONTHS.get(month.saturating_sub(1)).unwrap_or(&""),
        part(0, 4),
        part(11, 19),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_mails() {
        let at = base::Micros(1_795_310_523_000_000);
        assert_eq!(mail_date(at), "Sun, 22 Nov 2026 01:22:03 +0000");
        assert_eq!(
            mail_date(base::Micros(0)),
            "Thu, 01 Jan 1970 00:00:00 +0000"
        );
    }
}
