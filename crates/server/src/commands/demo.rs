//! `insula demo`: a throw-away data folder, three sample clinics with synthetic people, and what
//! to try with them.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base::Clock;
use clap::Args;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::serve::Running;
use crate::admin_client::Connect;
use crate::config::Config;
use crate::demo::population::{Date, Recipe};
use crate::demo::{Opened, folder::Folder, open_clinics, tour};
use crate::runtimes::Runtimes;
use crate::world::SystemClock;

/// Arguments.
#[derive(Debug, Args)]
pub struct Demo {
    /// Address to listen on; default: 127.0.0.1:8080, or a free port when that one is taken.
    #[arg(long)]
    listen: Option<String>,
    /// How many people, as a factor on the usual number.
    #[arg(long, default_value_t = 1.0)]
    size: f64,
    /// Other people come from another seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The day that the charts are made for (YYYY-MM-DD); default: today.
    #[arg(long, value_parser = date)]
    today: Option<Date>,
    /// Stop once everything is loaded and printed.
    #[arg(long)]
    exit: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn date(text: &str) -> Result<Date, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else {
        return Err("a date is YYYY-MM-DD".into());
    };
    let (Ok(year), Ok(month @ 1..=12), Ok(day @ 1..=31)) =
        (year.parse(), month.parse(), day.parse())
    else {
        return Err("a date is YYYY-MM-DD".into());
    };
    Ok(Date::new(year, month, day))
}

/// Makes the demo and serves it.
pub fn run(args: &Demo) -> anyhow::Result<()> {
    if !(0.01..=100.0).contains(&args.size) {
        bail!("--size is a factor from 0.01 to 100");
    }
    let mut config = Config::default();
    config.log.filter = "warn".into();
    crate::telemetry::start(&config.log)?;
    let folder = Folder::make()?;
    config.data = folder.path().to_owned();
    let done = Runtimes::start()?.serve(|bulk| demo(args, config, bulk));
    done.and(folder.remove())
}

async fn demo(args: &Demo, mut config: Config, bulk: Handle) -> anyhow::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    if let Some(listen) = &args.listen {
        config.listen.clone_from(listen);
    }
    let running = match Running::start(&config, bulk.clone(), stopped.clone()).await {
        Err(_) if args.listen.is_none() => {
            config.listen = "127.0.0.1:0".into();
            Running::start(&config, bulk, stopped).await?
        }
        started => started?,
    };
    let connect = Connect {
        url: Some(running.url().to_owned()),
        token_file: None,
        data: Some(config.data.clone()),
        ca: None,
    };
    let today = args
        .today
        .unwrap_or_else(|| Date(SystemClock::start().now().as_secs() / 86_400));
    let recipe = Recipe {
        size: args.size,
        seed: args.seed,
        today,
    };
    let loading = tokio::task::spawn_blocking(move || load(&connect, recipe));
    let told = tokio::select! {
        loaded = loading => match loaded.context("loading failed")? {
            Ok(loaded) => tell(args, running.url(), &config.data, &loaded).map(|()| !args.exit),
            Err(error) => Err(error),
        },
        // Loading ends by itself once the server is gone.
        _ = term.recv() => Ok(false),
        _ = int.recv() => Ok(false),
    };
    if matches!(told, Ok(true)) {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
    stop.send_replace(true);
    running.finish().await?;
    told.map(|_| ())
}

struct Loaded {
    clinics: Vec<Opened>,
    took: Duration,
}

fn load(connect: &Connect, recipe: Recipe) -> anyhow::Result<Loaded> {
    let begun = Instant::now();
    let rejects = connect.data_dir().join("demo.rejects.ndjson");
    let clinics = open_clinics(&connect.admin()?, recipe, &rejects)?;
    let rejected: u64 = clinics.iter().map(|c| c.summary.rejected).sum();
    if rejected > 0 {
        let reasons = std::fs::read_to_string(&rejects).unwrap_or_default();
        let first = reasons.lines().next().unwrap_or_default().to_owned();
        bail!("{rejected} sample resources were rejected, first: {first}");
    }
    Ok(Loaded {
        clinics,
        took: begun.elapsed(),
    })
}

fn tell(args: &Demo, url: &str, data: &std::path::Path, loaded: &Loaded) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let token = data.join("operator.token");
    if args.json {
        let clinics: Vec<_> = loaded.clinics.iter().map(Opened::json).collect();
        let told = json!({
            "url": url,
            "data": data.display().to_string(),
            "operator_token_file": token.display().to_string(),
            "seconds": loaded.took.as_secs_f64(),
            "clinics": clinics,
        });
        writeln!(out, "{told}")?;
    } else {
        write!(
            out,
            "{}",
            tour::text(url, &token, &loaded.clinics, loaded.took, args.exit)
        )?;
    }
    out.flush()?;
    Ok(())
}
