//! Where audit trails are shipped to: syslog receivers over TLS (RFC 5425), or over TCP on this machine;
//! a file. The sockets behind [`engine::Carrier`].

mod line;

use std::collections::HashMap;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use engine::{
    AuditShipping, Carrier, Carrying, HeadTeller, HeadWay, House, ShipForm, ShipOf, ShippedAs,
    Shipper, SyslogTarget,
};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::fs::OpenOptions;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Audit;
use line::Syslog;

/// How often it is looked which tenants have destinations of their own.
const LOOK: Duration = Duration::from_secs(2);
/// Until one who ships and ended is started again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long those who ship may take to end.
const END: Duration = Duration::from_secs(3);

/// Whether trails could be shipped as it is configured; only where a webhook may lead is asked of the way
/// out.
///
/// # Errors
/// As [`start`].
pub(crate) fn may_ship(audit: &Audit) -> anyhow::Result<()> {
    of_house(audit)?;
    if let (Some(_), Some(path)) = (&audit.heads_webhook, &audit.heads_webhook_secret) {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(())
}

/// Those who ship by the configuration of the house.
fn of_house(audit: &Audit) -> anyhow::Result<Vec<Shipper>> {
    let mut all = Vec::new();
    if let Some(target) = &audit.syslog {
        let carrier = syslog(target, None, audit).context("audit.syslog")?;
        all.push(Shipper {
            name: "syslog".to_owned(),
            of: ShipOf::House,
            target: target.clone(),
            form: form(audit.syslog_form),
            carrier: Arc::new(carrier),
        });
    }
    if let Some(file) = &audit.ocsf {
        all.push(Shipper {
            name: "ocsf".to_owned(),
            of: ShipOf::House,
            target: file.display().to_string(),
            form: ShipForm::Lines,
            carrier: Arc::new(Lines(file.clone())),
        });
    }
    Ok(all)
}

const fn form(form: ShippedAs) -> ShipForm {
    match form {
        ShippedAs::Rfc5424 => ShipForm::Rfc5424,
        ShippedAs::Ocsf => ShipForm::Ocsf,
    }
}

fn syslog(target: &str, ca: Option<&str>, audit: &Audit) -> anyhow::Result<Syslog> {
    let target = SyslogTarget::parse(target)?;
    let tls = match target.tls {
        true => Some(client_config(ca, audit)?),
        false => None,
    };
    Syslog::new(target, tls, audit.syslog_bare_end)
}

/// Those who are told of signed heads.
fn head_tellers(house: &House, audit: &Audit) -> anyhow::Result<Vec<HeadTeller>> {
    let mut all = Vec::new();
    if let (true, Some(target)) = (audit.heads_syslog, &audit.syslog) {
        let carrier = syslog(target, None, audit).context("audit.syslog")?;
        all.push(HeadTeller {
            name: "heads-syslog",
            target: target.clone(),
            by: HeadWay::Syslog(Arc::new(carrier)),
        });
    }
    if let Some(url) = &audit.heads_webhook {
        if let Err(code) = house.admits_webhook(url) {
            bail!("audit.heads_webhook: {}", code.as_str());
        }
        let secret = match &audit.heads_webhook_secret {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                Some(text.trim().to_owned())
            }
        };
        all.push(HeadTeller {
            name: "heads-webhook",
            target: url.clone(),
            by: HeadWay::Webhook(url.clone(), secret),
        });
    }
    Ok(all)
}

/// One who ships for a tenant.
struct Own {
    destination: AuditShipping,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Starts those who ship, and looks after tenants that have destinations of their own, until it is told to
/// stop.
///
/// # Errors
/// What of the configuration cannot be: an address that is none, TCP to another machine, certificates that
/// cannot be read.
pub(crate) fn start(
    house: &House,
    audit: &Audit,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<()>> {
    let mut tasks: Vec<JoinHandle<()>> = of_house(audit)?
        .into_iter()
        .map(|shipper| spawn(house, shipper, stopped.clone()))
        .collect();
    for teller in head_tellers(house, audit)? {
        let (house, stopped) = (house.clone(), stopped.clone());
        let teller = Arc::new(teller);
        tasks.push(tokio::spawn(async move {
            let tell = || {
                let (house, teller, stopped) = (house.clone(), teller.clone(), stopped.clone());
                async move { house.tell_heads(&teller, stopped).await }
            };
            let (stop, what) = (stopped.clone(), "heads of trails are not told");
            again(tell, stop, &teller.target, what).await;
        }));
    }
    tasks.push(tokio::spawn(house.clone().tell(stopped.clone())));
    let (house, audit) = (house.clone(), audit.clone());
    Ok(tokio::spawn(async move {
        let mut own = HashMap::new();
        while !*stopped.borrow() {
            look_after(&house, &audit, &mut own).await;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stopped.changed() => {}
            }
        }
        for (_, Own { stop, task, .. }) in own {
            stop.send_replace(true);
            tasks.push(task);
        }
        for task in tasks {
            // One that does not end in time sends again what it had sent.
            let _ = tokio::time::timeout(END, task).await;
        }
    }))
}

fn spawn(house: &House, shipper: Shipper, stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    let house = house.clone();
    tokio::spawn(async move {
        let (target, stop) = (shipper.target.clone(), stopped.clone());
        let ship = || house.clone().ship(shipper.clone(), stopped.clone());
        again(ship, stop, &target, "audit trails are not shipped").await;
    })
}

/// Does something until it is told to stop; what ends before is begun again.
async fn again<E: std::fmt::Display, F: Future<Output = Result<(), E>>>(
    work: impl Fn() -> F,
    mut stopped: watch::Receiver<bool>,
    target: &str,
    what: &str,
) {
    while !*stopped.borrow() {
        if let Err(e) = work().await {
            tracing::error!(target, error = %e, "{what}");
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = stopped.changed() => {}
        }
    }
}

/// Starts and stops as tenants' settings say.
async fn look_after(house: &House, audit: &Audit, own: &mut HashMap<[u8; 16], Own>) {
    let wanted = house.destinations();
    let mut gone = Vec::new();
    for (tenant, one) in &*own {
        let still = wanted.iter().find(|(id, _)| id.bytes() == tenant);
        // One that ended of itself is started again.
        if one.task.is_finished()
            || still.is_none_or(|(_, destination)| *destination != one.destination)
        {
            gone.push(*tenant);
        }
    }
    for tenant in gone {
        if let Some(Own { stop, mut task, .. }) = own.remove(&tenant) {
            stop.send_replace(true);
            if tokio::time::timeout(END, &mut task).await.is_err() {
                // Two of one name would take away what is known of each other.
                task.abort();
                let _ = task.await;
            }
        }
    }
    for (tenant, destination) in wanted {
        if own.contains_key(tenant.bytes()) {
            continue;
        }
        let name = u128::from_be_bytes(*tenant.bytes());
        let made = syslog(&destination.syslog, destination.ca.as_deref(), audit);
        let carrier: Arc<dyn Carrier> = match made {
            Ok(carrier) => Arc::new(carrier),
            // It waits, and its lag shows, until the settings are right.
            Err(e) => Arc::new(Nowhere(format!("{e:#}"))),
        };
        let shipper = Shipper {
            name: format!("tenant-{name:032x}"),
            of: ShipOf::Tenant(tenant.clone()),
            target: destination.syslog.clone(),
            form: form(destination.form),
            carrier,
        };
        let (stop, stopped) = watch::channel(false);
        let task = spawn(house, shipper, stopped);
        let one = Own {
            destination,
            stop,
            task,
        };
        own.insert(*tenant.bytes(), one);
    }
}

/// A destination that cannot be reached as it is set.
struct Nowhere(String);

impl Carrier for Nowhere {
    fn carry(&self, _: Vec<Vec<u8>>) -> Carrying<'_> {
        Box::pin(std::future::ready(Err(io::Error::other(self.0.clone()))))
    }

    fn settle(&self) -> Carrying<'_> {
        self.carry(Vec::new())
    }
}

/// A file of lines.
struct Lines(PathBuf);

impl Carrier for Lines {
    fn carry(&self, messages: Vec<Vec<u8>>) -> Carrying<'_> {
        Box::pin(async move {
            let mut file = OpenOptions::new()
                .create(true)
                .read(true)
                .append(true)
                .mode(0o600)
                .open(&self.0)
                .await?;
            let mut bytes = messages.concat();
            // What was broken off in a line is left as a line of its own; it comes again whole.
            if file.seek(io::SeekFrom::End(0)).await? > 0 {
                file.seek(io::SeekFrom::End(-1)).await?;
                if file.read_u8().await? != b'\n' {
                    bytes.insert(0, b'\n');
                }
            }
            file.write_all(&bytes).await?;
            file.flush().await?;
            file.sync_data().await
        })
    }

    fn settle(&self) -> Carrying<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// How TLS is spoken to a receiver; `ca`: whom its certificate is from (PEM), `audit.syslog_ca` without it.
fn client_config(ca: Option<&str>, audit: &Audit) -> anyhow::Result<ClientConfig> {
    let trusted = match (ca, &audit.syslog_ca) {
        (Some(pem), _) => certs_in(Cursor::new(pem.as_bytes()))?,
        (None, Some(path)) => certs(path)?,
        (None, None) => {
            bail!("tls:// needs whom the receiver's certificate is from: audit.syslog_ca, or ca")
        }
    };
    let mut roots = RootCertStore::empty();
    for cert in trusted {
        roots.add(cert)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    match (&audit.syslog_cert, &audit.syslog_key) {
        (Some(cert), Some(key)) => {
            let mut file = BufReader::new(std::fs::File::open(key)?);
            let key = rustls_pemfile::private_key(&mut file)?
                .with_context(|| format!("{} holds no key", key.display()))?;
            Ok(builder.with_client_auth_cert(certs(cert)?, key)?)
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        _ => bail!("audit.syslog_cert and audit.syslog_key go together"),
    }
}

fn certs(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    certs_in(file).with_context(|| path.display().to_string())
}

fn certs_in(pem: impl Read) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = rustls_pemfile::certs(&mut BufReader::new(pem)).collect();
    let all = all?;
    match all.is_empty() {
        true => bail!("there is no certificate"),
        false => Ok(all),
    }
}
