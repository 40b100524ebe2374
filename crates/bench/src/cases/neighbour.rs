//! What a tenant that does nothing but import does to the reads of another one.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use super::Setting;
use super::import::synthea;
use crate::data;
use crate::http::Connection;
use crate::load::{self, Dice, Mix, Shape};
use crate::process::Process;
use crate::table::{Row, Target};

/// Reads a second, whether or not the server keeps up.
const RATE: u32 = 200;
/// Connections that they are spread over.
const CONNECTIONS: usize = 16;
/// Resources of the reading tenant.
const RESOURCES: usize = 2_000;
const TARGET: f64 = 2.0;

/// One row: p99 beside an import, as a multiple of p99 alone.
pub(crate) async fn rows(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let house = setting.house("neighbour").await?;
    let mut connection = Connection::open(house.authority()).await?;
    house.create_tenant(&mut connection, "quiet").await?;
    house.create_tenant(&mut connection, "busy").await?;
    let base = house.enter("quiet").await?;
    for bundle in data::bundles(
        data::Size {
            patients: 100,
            observations: RESOURCES,
        },
        200,
    ) {
        connection
            .exchange(&base.request("POST", "", Some(bundle.as_bytes())))
            .await?;
    }
    let mut dice = Dice::new(3);
    let requests = (0..RESOURCES)
        .map(|_| format!("/Observation/o-{}", dice.below(RESOURCES)))
        .map(|path| base.request("GET", &path, None))
        .collect();
    let mix = Mix {
        base,
        requests: Arc::new(requests),
        status: 200,
    };
    let measured = Duration::from_secs(setting.by_length(5, 15, 30));
    let shape = Shape {
        connections: CONNECTIONS,
        warm_up: Duration::from_secs(1),
        measured,
    };

    let alone = load::open(&mix, RATE, shape, Some(house.id())).await?;
    let Some(files) = synthea() else {
        return Ok(Vec::new());
    };
    let paths: Vec<PathBuf> = files.into_iter().map(|f| f.path).collect();
    let mut import = Process::new(house.import("busy", &paths).stdout(Stdio::null()).spawn()?);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let beside = load::open(&mix, RATE, shape, Some(house.id())).await?;
    let ended_early = import.has_ended();
    drop(import);

    let ratio = f64::from(beside.quantile_us(0.99)) / f64::from(alone.quantile_us(0.99).max(1));
    let mut row = Row::new(
        "neighbour imports: read p99",
        ratio,
        "×",
        Target::AtMost(TARGET),
    )
    .with(&beside)
    .note(format!(
        "open loop, {RATE} reads/s; alone p50 {} µs, p99 {} µs{}",
        alone.quantile_us(0.5),
        alone.quantile_us(0.99),
        if ended_early {
            "; the import ended before the measurement did"
        } else {
            ""
        },
    ));
    row.cpu_us = None; // it would count the import's work
    row.audit = setting.audit.to_owned();
    row.tenants = 2;
    row.concurrency = CONNECTIONS as u64;
    house.stop()?;
    Ok(vec![row])
}
