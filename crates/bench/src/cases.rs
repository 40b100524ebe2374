//! What is measured, one file per case.

mod crowd;
mod governed;
mod import;
mod interactions;
mod language;
mod neighbour;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::Options;
use crate::house::House;
use crate::http::Base;
use crate::table::Row;

/// What all cases need to know.
#[derive(Debug)]
pub(crate) struct Setting {
    options: Options,
    insula: PathBuf,
    /// A fresh folder; removed at the end.
    folder: PathBuf,
    /// The audit mode, as rows name it.
    audit: &'static str,
}

impl Setting {
    fn new(options: Options) -> anyhow::Result<Self> {
        let beside = std::env::current_exe()?.with_file_name("insula");
        let insula = options.insula.clone().unwrap_or(beside);
        let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        let folder = parent.join(format!("insula-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let audit = if options.strict {
            "strict"
        } else {
            "window 50 ms"
        };
        Ok(Self {
            options,
            insula,
            folder,
            audit,
        })
    }

    fn wants(&self, name: &str) -> bool {
        self.options.only.is_empty() || self.options.only.iter().any(|o| name.contains(o.as_str()))
    }

    /// Starts a house in a folder of this name below the run's folder.
    async fn house(&self, name: &str) -> anyhow::Result<House> {
        let mut settings = vec![("INSULA_LOG__FILTER".to_owned(), "warn".to_owned())];
        // One client asks for more than one clinic's clients ever would.
        let limit = "INSULA_LIMITS__CLIENT_REQUESTS_PER_SECOND_MAX";
        settings.push((limit.to_owned(), "0".to_owned()));
        if self.options.strict {
            settings.push(("INSULA_AUDIT__MODE".to_owned(), "strict".to_owned()));
        }
        House::start(&self.insula, &self.folder.join(name), &settings).await
    }

    /// One of three figures, by how long the run may take.
    fn by_length<T>(&self, quick: T, usual: T, full: T) -> T {
        match (self.options.quick, self.options.full) {
            (true, _) => quick,
            (_, true) => full,
            _ => usual,
        }
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs the cases that are asked for.
pub(crate) async fn run(options: Options) -> anyhow::Result<Vec<Row>> {
    let setting = Setting::new(options)?;
    if let Some(url) = &setting.options.peer {
        let base = Base::parse(url, setting.options.peer_auth.clone())?;
        return interactions::of_peer(&setting, base).await;
    }
    anyhow::ensure!(
        setting.insula.is_file(),
        "no program at {}",
        setting.insula.display()
    );
    let mut rows = vec![disk(&setting.folder)?];
    if ["read", "search", "create"]
        .iter()
        .any(|n| setting.wants(n))
    {
        say("read, search and create")?;
        rows.extend(interactions::of_house(&setting).await?);
    }
    if setting.wants("language") {
        say("the language")?;
        rows.extend(language::rows(&setting)?);
    }
    if setting.wants("policy") {
        say("policy")?;
        rows.extend(governed::rows(&setting).await?);
    }
    if setting.wants("import") {
        say("import")?;
        rows.extend(import::rows(&setting).await?);
    }
    if setting.wants("neighbour") {
        say("a busy neighbour")?;
        rows.extend(neighbour::rows(&setting).await?);
    }
    if setting.wants("tenants") {
        say("many tenants")?;
        rows.extend(crowd::rows(&setting).await?);
    }
    Ok(rows)
}

/// Started as a child: commits without HTTP.
pub(crate) fn commits(order: &str) -> anyhow::Result<()> {
    interactions::commits::run(order)
}

fn say(what: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "measuring {what} …")?;
    Ok(())
}

/// How long the disk takes to make an append durable: what bounds every durable write here.
fn disk(folder: &Path) -> anyhow::Result<Row> {
    use crate::table::Target;
    let path = folder.join("disk");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 200 && begin.elapsed() < Duration::from_secs(2) {
        let one = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(crate::load::micros(one.elapsed()));
    }
    std::fs::remove_file(&path).context("cannot clear the disk test")?;
    let median = crate::load::quantile(&times, 0.5);
    let mut row = Row::new(
        "disk: append 4 kB + fdatasync",
        f64::from(median) / 1e3,
        "ms",
        Target::None,
    );
    row.p50_us = Some(median);
    row.p99_us = Some(crate::load::quantile(&times, 0.99));
    row.tenants = 0;
    Ok(row)
}
