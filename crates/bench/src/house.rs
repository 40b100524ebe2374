//! A running `insula serve` in a data folder of its own, and its admin API.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::http::{Base, Connection};
use crate::process::Process;

/// A running house.
#[derive(Debug)]
pub(crate) struct House {
    process: Process,
    insula: PathBuf,
    /// The data folder.
    pub(crate) dir: PathBuf,
    admin: Base,
    /// From starting the process to the first good answer of `/health/ready`.
    pub(crate) started_in: Duration,
}

impl House {
    /// Starts a house on a data folder, with settings as `INSULA_…` environment variables, and
    /// waits until it is ready.
    pub(crate) async fn start(
        insula: &Path,
        dir: &Path,
        settings: &[(String, String)],
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let listen = dir.join("listen.json");
        let _ = std::fs::remove_file(&listen);
        let log = File::create(dir.with_extension("log"))?;
        let begin = Instant::now();
        let child = Command::new(insula)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir)
            .envs(settings.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", insula.display()))?;
        let mut process = Process::new(child);
        let authority = loop {
            if let Some(address) = address(&listen) {
                break address;
            }
            if process.has_ended() || begin.elapsed() > Duration::from_secs(60) {
                bail!(
                    "insula serve did not start; see {}",
                    dir.with_extension("log").display()
                );
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        ready(&authority, begin).await?;
        let started_in = begin.elapsed();
        let token = std::fs::read_to_string(dir.join("operator.token"))?;
        let admin = Base {
            authority,
            path: String::new(),
            authorization: Some(format!("Bearer {}", token.trim())),
        };
        Ok(Self {
            process,
            insula: insula.to_owned(),
            dir: dir.to_owned(),
            admin,
            started_in,
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> &str {
        &self.admin.authority
    }

    /// Ends it in the orderly way.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.process.stop(Duration::from_secs(15))
    }

    /// One request to the admin API.
    pub(crate) async fn admin(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let mut connection = Connection::open(self.authority()).await?;
        self.admin_on(&mut connection, method, path, body).await
    }

    /// The same on a connection that is open.
    pub(crate) async fn admin_on(
        &self,
        connection: &mut Connection,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let body = body.map(|b| b.to_string().into_bytes());
        let request = self
            .admin
            .request_as(method, path, body.as_deref(), "application/json");
        let answer = connection.exchange(&request).await?;
        let text = String::from_utf8_lossy(connection.body(&answer)).into_owned();
        if !(200..300).contains(&answer.status) {
            bail!("{method} {path}: {} {text}", answer.status);
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Makes a tenant; answers how long that took.
    pub(crate) async fn create_tenant(
        &self,
        connection: &mut Connection,
        name: &str,
    ) -> anyhow::Result<Duration> {
        let new = json!({"name": name, "display": format!("Bench {name}"), "fhir": "4.0.1"});
        let begin = Instant::now();
        self.admin_on(connection, "POST", "/admin/v1/tenants", Some(new))
            .await?;
        Ok(begin.elapsed())
    }

    /// Makes a client with all rights in a tenant, and answers that tenant's base with a token of
    /// the client.
    pub(crate) async fn enter(&self, tenant: &str) -> anyhow::Result<Base> {
        self.enter_as(tenant, &[]).await
    }

    /// The same for a client that policy governs, under these roles.
    pub(crate) async fn enter_as(&self, tenant: &str, roles: &[String]) -> anyhow::Result<Base> {
        let path = format!("/admin/v1/tenants/{tenant}/clients");
        let mut new = json!({"name": "bench", "scopes": ["system/*.cruds"]});
        if let Some(new) = new.as_object_mut().filter(|_| !roles.is_empty()) {
            new.insert("roles".to_owned(), json!(roles));
        }
        let client = self.admin("POST", &path, Some(new)).await?;
        let field = |name: &str| -> anyhow::Result<String> {
            Ok(client
                .get(name)
                .and_then(Value::as_str)
                .context("no credentials in the answer")?
                .to_owned())
        };
        let credentials = (field("client_id")?, field("client_secret")?);
        let token = self.token(tenant, &credentials).await?;
        Ok(Base {
            authority: self.authority().to_owned(),
            path: format!("/t/{tenant}/fhir"),
            authorization: Some(format!("Bearer {token}")),
        })
    }

    async fn token(&self, tenant: &str, (id, secret): &(String, String)) -> anyhow::Result<String> {
        use base64::Engine;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        let issuer = Base {
            authority: self.authority().to_owned(),
            path: format!("/t/{tenant}/auth"),
            authorization: Some(format!("Basic {basic}")),
        };
        let form = b"grant_type=client_credentials&scope=system%2F*.cruds";
        let request = issuer.request_as(
            "POST",
            "/token",
            Some(form),
            "application/x-www-form-urlencoded",
        );
        let mut connection = Connection::open(self.authority()).await?;
        let answer = connection.exchange(&request).await?;
        let body: Value = serde_json::from_slice(connection.body(&answer)).unwrap_or(Value::Null);
        let token = body.get("access_token").and_then(Value::as_str);
        Ok(token
            .with_context(|| format!("no token: {} {body}", answer.status))?
            .to_owned())
    }

    /// The command `insula import` of these paths into a tenant, ready to be run.
    pub(crate) fn import(&self, tenant: &str, paths: &[PathBuf]) -> Command {
        let mut command = Command::new(&self.insula);
        command
            .args(["import", "--json", "--tenant", tenant, "--url"])
            .arg(format!("http://{}", self.authority()))
            .arg("--token-file")
            .arg(self.dir.join("operator.token"))
            .arg("--journal")
            .arg(self.dir.with_extension("import-journal"))
            .arg("--rejects")
            .arg(self.dir.with_extension("rejects"))
            .args(paths)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

fn address(listen: &Path) -> Option<String> {
    let listen: Value = serde_json::from_slice(&std::fs::read(listen).ok()?).ok()?;
    Some(listen.get("address")?.as_str()?.to_owned())
}

async fn ready(authority: &str, begin: Instant) -> anyhow::Result<()> {
    let base = Base {
        authority: authority.to_owned(),
        path: String::new(),
        authorization: None,
    };
    let request = base.request("GET", "/health/ready", None);
    loop {
        if let Ok(mut connection) = Connection::open(authority).await
            && let Ok(answer) = connection.exchange(&request).await
            && answer.status == 200
        {
            return Ok(());
        }
        if begin.elapsed() > Duration::from_secs(60) {
            bail!("insula serve listens but does not become ready");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
