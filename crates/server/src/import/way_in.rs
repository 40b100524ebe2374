//! The timed way in: opened for one tenant with a reason, its token renewed as often as it ends, closed
//! when the work is done; and requests that are patient with a busy or restarting server.

use std::io::ErrorKind;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base::{Code, Secret};
use serde_json::{Value, json};

use crate::admin_client::{AdminClient, tenant_path};

/// How long a request is tried again while the server is busy or away.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long the first request is tried again while nothing listens there: nothing was begun yet.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);
/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(300);

/// A way to write into one tenant.
#[derive(Debug)]
pub struct WayIn {
    admin: AdminClient,
    tenant: String,
    id: String,
    base: String,
    token: RwLock<Secret<String>>,
    patience: Duration,
    /// The server has answered a Bundle.
    begun: AtomicBool,
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Said {
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Code and words of an OperationOutcome.
    pub(super) fn refusal(&self) -> (Option<String>, String) {
        let outcome: Value = serde_json::from_str(&self.body).unwrap_or(Value::Null);
        let (code, words) = refusal(&outcome);
        if words.is_empty() {
            (code, format!("HTTP {}", self.status))
        } else {
            (code, words)
        }
    }
}

/// Code and words of the errors in an OperationOutcome.
pub(super) fn refusal(outcome: &Value) -> (Option<String>, String) {
    let issues = outcome
        .get("issue")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let of = |issue: &Value, path: &str| {
        issue
            .pointer(path)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let bad = |issue: &&Value| matches!(of(issue, "/severity").as_deref(), Some("error" | "fatal"));
    let code = issues
        .iter()
        .find(bad)
        .and_then(|i| of(i, "/details/coding/0/code"));
    let words: Vec<String> = issues
        .iter()
        .filter(bad)
        .take(5)
        .map(|issue| {
            let said = of(issue, "/diagnostics").or_else(|| of(issue, "/details/text"));
            match (of(issue, "/expression/0"), said) {
                (Some(at), Some(said)) => format!("{at}: {said}"),
                (at, said) => at.or(said).unwrap_or_default(),
            }
        })
        .collect();
    (code, words.join("; "))
}

impl WayIn {
    /// Asks the admin API for a way in.
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub fn open(admin: AdminClient, tenant: &str, reason: &str) -> anyhow::Result<Self> {
        let path = tenant_path(tenant, "")?;
        let base = format!(
            "{}/t{}/fhir",
            admin.url(),
            path.trim_start_matches("/tenants")
        );
        let opened = admin.post(
            &tenant_path(tenant, "/imports")?,
            &json!({ "reason": reason }),
        )?;
        let id = opened.get("import_id").and_then(Value::as_str);
        let id = id.filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric()));
        let id = id
            .context("the server gave no id for the import")?
            .to_owned();
        let token = RwLock::new(token_in(&opened)?);
        Ok(Self {
            admin,
            tenant: tenant.to_owned(),
            id,
            base,
            token,
            patience: PATIENCE,
            begun: AtomicBool::new(false),
        })
    }

    /// The same, giving up on a server that is away after this time.
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn renew(&self) -> anyhow::Result<()> {
        let path = tenant_path(&self.tenant, &format!("/imports/{}/renew", self.id))?;
        let renewed = self.admin.post(&path, &Value::Null)?;
        let token = token_in(&renewed)?;
        if let Ok(mut held) = self.token.write() {
            *held = token;
        }
        Ok(())
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Closes the way in. One that cannot be closed ends by itself.
    pub(super) fn close(&self) {
        self.close_other(&self.id);
    }

    /// Closes another way into the same tenant.
    pub(super) fn close_other(&self, id: &str) {
        if let Ok(path) = tenant_path(&self.tenant, &format!("/imports/{id}")) {
            let _ = self.admin.delete(&path);
        }
    }

    fn bearer(&self) -> String {
        self.token
            .read()
            .map(|t| format!("Bearer {}", t.expose()))
            .unwrap_or_default()
    }

    /// Posts a Bundle to the FHIR base. Waits while the server is busy or away, for a time.
    pub(super) fn post(&self, bundle: &[u8]) -> anyhow::Result<Said> {
        let begun = Instant::now();
        let mut pause = PAUSES.0;
        let mut renewed = false;
        loop {
            let mut patience = self.patience;
            let trouble = match self.once(bundle) {
                Ok(said) if said.status == 401 && !renewed => {
                    renewed = true;
                    self.renew()?;
                    continue;
                }
                Ok(said) if said.status == 401 => {
                    bail!("the server refuses the import: {}", said.refusal().1)
                }
                Ok(said) if matches!(said.status, 429 | 502 | 503 | 504) => said.refusal().1,
                Ok(said) if said.status == 403 || said.status == 410 => {
                    bail!("the server refuses the import: {}", said.refusal().1)
                }
                Ok(said) => return Ok(said),
                Err(error) => {
                    let begun = self.begun.load(Ordering::Relaxed);
                    patience = patience_with(self.patience, begun, &error);
                    format!("{error}")
                }
            };
            if begun.elapsed() >= patience {
                bail!("gave up on {}: {trouble}", self.base);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn once(&self, bundle: &[u8]) -> Result<Said, ureq::Error> {
        let request = self
            .admin
            .agent()
            .post(&self.base)
            .config()
            .timeout_recv_response(Some(ANSWER_MAX));
        let mut response = request
            .build()
            .header("authorization", self.bearer())
            .header("content-type", "application/fhir+json")
            .header("accept", "application/fhir+json")
            .header("prefer", "return=minimal")
            .send(bundle)?;
        self.begun.store(true, Ordering::Relaxed);
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()?;
        Ok(Said { status, body })
    }
}

/// How long to wait for a server that cannot be asked: not long for one that never was there.
fn patience_with(patience: Duration, begun: bool, error: &ureq::Error) -> Duration {
    let refused = match error {
        ureq::Error::ConnectionFailed => true,
        ureq::Error::Io(e) => e.kind() == ErrorKind::ConnectionRefused,
        _ => false,
    };
    match refused && !begun {
        true => patience.min(FIRST_PATIENCE),
        false => patience,
    }
}

fn token_in(answer: &Value) -> anyhow::Result<Secret<String>> {
    let token = answer.get("access_token").and_then(Value::as_str);
    let token = token.context("the server gave no token for the import")?;
    Ok(Secret::new(token.to_owned()))
}

/// Whether trying again may help.
pub(super) fn is_passing(status: u16, code: Option<&str>) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504) || code == Some(Code::WriteRace.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_never_was_there_is_not_waited_for() {
        let of = |kind: ErrorKind| ureq::Error::Io(kind.into());
        let refused = of(ErrorKind::ConnectionRefused);
        assert_eq!(patience_with(PATIENCE, false, &refused), FIRST_PATIENCE);
        assert_eq!(patience_with(PATIENCE, true, &refused), PATIENCE);
        let broken = of(ErrorKind::ConnectionReset);
        assert_eq!(patience_with(PATIENCE, false, &broken), PATIENCE);
        let none = Duration::ZERO;
        assert_eq!(patience_with(none, false, &refused), none);
    }
}
