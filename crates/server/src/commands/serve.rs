//! `insula serve`: opens the data folder, listens, and drains when it is told to stop.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use engine::{House, HouseConfig, HouseProvider, MailOutbox, Outbound, Outside};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::listen::Listener;
use crate::outbound::WayOut;
use crate::runtimes::Runtimes;
use crate::world::{SystemClock, SystemRng};

/// Arguments.
#[derive(Debug, Args, Default)]
pub struct Serve {
    /// Configuration file (TOML).
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Data folder; wins over the configuration.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Address to listen on; wins over the configuration.
    #[arg(long)]
    pub listen: Option<String>,
}

/// Time that the store has to close.
const CLOSE: Duration = Duration::from_millis(2_500);

/// Serves until SIGTERM or SIGINT.
pub fn run(args: &Serve) -> anyhow::Result<()> {
    let mut config = load(args.config.as_deref())?;
    if let Some(data) = &args.data {
        config.data.clone_from(data);
    }
    if let Some(listen) = &args.listen {
        config.listen.clone_from(listen);
    }
    crate::telemetry::start(&config.log)?;
    Runtimes::start()?.serve(|bulk| serve(&config, bulk))
}

/// Reads the configuration: a file, if one is given, and the environment.
pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    let text = match file {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?,
    };
    let place = file.map_or_else(|| "environment".into(), |p| p.display().to_string());
    Config::read(&text, std::env::vars()).with_context(|| place)
}

/// Whether a server of this configuration would begin to serve, as far as can be told without touching
/// the data folder: what it names is there, and of the kind that is wanted.
///
/// # Errors
/// What would keep it from starting.
pub fn may_start(config: &Config) -> anyhow::Result<()> {
    if config.data.as_os_str().is_empty() {
        bail!("data is empty: name the data folder");
    }
    crate::listen::may_bind(config)?;
    crate::ship::may_ship(&config.audit)?;
    let way_out = WayOut::new(config)?;
    if let Some(url) = &config.audit.heads_webhook
        && let Err(why) = way_out.admits(url)
    {
        bail!("audit.heads_webhook: {why}");
    }
    house_provider(config).map(drop)
}

async fn serve(config: &Config, bulk: Handle) -> anyhow::Result<()> {
    may_start(config)?;
    let (stop, stopped) = watch::channel(false);
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let running = Running::start(config, bulk, stopped).await?;
    running.greet(config)?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping");
    stop.send_replace(true);
    running.finish().await
}

/// A server at work.
#[derive(Debug)]
pub struct Running {
    house: House,
    url: String,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
    shipping: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Opens the data folder and starts to serve; ends when `stopped` turns true. Requests that bring
    /// much are answered on `bulk`.
    pub async fn start(
        config: &Config,
        bulk: Handle,
        stopped: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let listener = Listener::bind(config).await?;
        let (clock, rng) = (
            Arc::new(SystemClock::start()),
            Arc::new(SystemRng::system()),
        );
        for dir in [&config.data, &config.backup_dir()] {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .with_context(|| format!("cannot make the folder {}", dir.display()))?;
        }
        let url = listener.url()?;
        let mut set_up = house_config(config, &listener)?;
        set_up.bulk = Some(bulk);
        let house = House::open(config.store(), clock, rng, set_up)
            .with_context(|| format!("cannot open the data folder {}", config.data.display()))?;
        if let Err(error) = listener.announce(&config.data, config.public_url.as_deref()) {
            tracing::warn!(
                error = format!("{error:#}"),
                "commands do not find this server by its data folder: name it by --url"
            );
        }
        let shipping = crate::ship::start(&house, &config.audit, stopped.clone())?;
        let app = rest::App::new(house.clone());
        let task = tokio::spawn(listener.serve(app, stopped));
        Ok(Self {
            house,
            url,
            task,
            shipping,
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The house that is served.
    pub const fn house(&self) -> &House {
        &self.house
    }

    fn greet(&self, config: &Config) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "Insula serves {}", self.url)?;
        writeln!(out, "  data folder     {}", config.data.display())?;
        writeln!(
            out,
            "  operator token  {}",
            config.data.join("operator.token").display()
        )?;
        out.flush()?;
        Ok(())
    }

    /// Waits until requests in flight are answered, then closes the store.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.task.await.context("the listener failed")??;
        self.shipping.await.context("shipping failed")?;
        let house = self.house;
        let closed = tokio::task::spawn_blocking(move || house.close());
        if tokio::time::timeout(CLOSE, closed).await.is_err() {
            tracing::warn!("the store did not close in time; it recovers when it is opened again");
        }
        Ok(())
    }
}

fn house_config(config: &Config, listener: &Listener) -> anyhow::Result<HouseConfig> {
    Ok(HouseConfig {
        limits: config.limits.clone(),
        access_token_seconds: i64::try_from(config.auth.access_token_seconds)?,
        import_token_seconds: i64::try_from(config.auth.import_token_seconds)?,
        import_seconds_max: i64::try_from(config.auth.import_seconds_max)?,
        public_url: config
            .public_url
            .as_ref()
            .map(|u| u.trim_end_matches('/').to_owned()),
        listen_url: listener.url()?,
        domain: config.domain.as_ref().map(|d| d.to_ascii_lowercase()),
        cors_origins: config.cors_origins.clone(),
        allowed_hosts: config
            .allowed_hosts
            .iter()
            .map(|h| h.to_ascii_lowercase())
            .collect(),
        behind_tls_proxy: config.behind_tls_proxy,
        trusted_proxies: config.trusted_networks()?,
        proxy_headers: config.proxy_headers,
        backup_dir: config.backup_dir(),
        grace_seconds: config.storage.grace_seconds,
        outside: Outside::new(WayOut::new(config)?),
        house_provider: house_provider(config)?,
        client_certificates: config.tls.cert.is_some() && config.tls.client_certificates,
        client_authorities: config.tls.cert.is_some() && config.tls.client_authorities.is_some(),
        mail: MailOutbox {
            dir: config.alerts.mail_outbox.clone(),
            from: config.alerts.mail_from.clone(),
        },
        bulk: None,
    })
}

/// The identity provider that all tenants may use.
fn house_provider(config: &Config) -> anyhow::Result<Option<HouseProvider>> {
    let set = &config.identity_provider;
    let (Some(issuer), Some(client_id)) = (&set.issuer, &set.client_id) else {
        return Ok(None);
    };
    let secret = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::Ok(text.trim().to_owned())
    };
    Ok(Some(HouseProvider {
        issuer: issuer.clone(),
        client_id: client_id.clone(),
        client_secret: set.client_secret_file.as_ref().map(secret).transpose()?,
    }))
}
