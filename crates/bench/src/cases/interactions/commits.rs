//! Create, against the store's own group commit: the same resources with the same rows in the same
//! engine, without HTTP. The floor's resources are parsed, checked and compressed before the clock
//! starts; what is timed is the decision, the commit with all index rows and the audit line, and
//! the flush.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::CONNECTIONS;
use crate::cases::Setting;
use crate::data::{self, Size};
use crate::house::House;
use crate::load::{self, Mix, Sample, Shape, micros};
use crate::process::{self, Process};
use crate::table::{Row, Target};

mod bare;

use bare::Bare;

/// What the child is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// A folder for its data.
    dir: PathBuf,
    /// Patients and observations that are there before it begins: as in the house it is compared
    /// with, for a commit costs more in a larger store.
    patients: usize,
    /// See `patients`.
    observations: usize,
    /// Commits under way at once.
    tasks: usize,
}

/// What one round of the child did.
#[derive(Debug, Serialize, Deserialize)]
struct Round {
    elapsed_us: u64,
    cpu_us: u64,
    resident: u64,
    latencies_us: Vec<u32>,
}

impl From<Round> for Sample {
    fn from(round: Round) -> Self {
        Self {
            answers: round.latencies_us.len() as u64,
            elapsed: Duration::from_micros(round.elapsed_us),
            cpu: Duration::from_micros(round.cpu_us),
            resident: round.resident,
            latencies_us: round.latencies_us,
            ..Self::default()
        }
    }
}

/// Creates over HTTP, turn by turn with commits without it.
pub(crate) async fn row(
    setting: &Setting,
    house: &House,
    mix: &Mix,
    shape: Shape,
    rounds: usize,
    size: Size,
    target: f64,
) -> anyhow::Result<Row> {
    let mut floor = Floor::start(setting, size)?;
    let (mut ours, mut theirs) = (Sample::default(), Sample::default());
    for _ in 0..rounds {
        theirs.join(floor.round(shape.measured)?);
        ours.join(load::closed(mix, shape, Some(house.id())).await?);
    }
    let ratio = 100.0 * ours.per_second() / theirs.per_second().max(1e-9);
    let mut row = Row::new("create", ratio, "%", Target::AtLeast(target))
        .with(&ours)
        .note(format!(
            "floor: the store's group commit without HTTP, {:.0} CPU µs each, p50 {} µs; load \
         generator {:.1} CPU µs each",
            theirs.cpu_us(),
            theirs.quantile_us(0.5),
            ours.own_cpu_us(),
        ));
    row.floor_per_second = Some(theirs.per_second());
    row.audit = setting.audit.to_owned();
    row.concurrency = CONNECTIONS as u64;
    Ok(row)
}

/// The child.
struct Floor {
    process: Process,
    orders: ChildStdin,
    rounds: BufReader<ChildStdout>,
}

impl Floor {
    fn start(setting: &Setting, size: Size) -> anyhow::Result<Self> {
        let order = Order {
            dir: setting.folder.join("commits"),
            patients: size.patients,
            observations: size.observations,
            tasks: CONNECTIONS,
        };
        let mut child = Command::new(std::env::current_exe()?)
            .args(["commits", &serde_json::to_string(&order)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().context("the floor takes no orders")?;
        let rounds = BufReader::new(child.stdout.take().context("the floor has no output")?);
        Ok(Self {
            process: Process::new(child),
            orders,
            rounds,
        })
    }

    fn round(&mut self, measured: Duration) -> anyhow::Result<Sample> {
        writeln!(self.orders, "{}", measured.as_millis())?;
        let mut line = String::new();
        if self.rounds.read_line(&mut line)? == 0 {
            bail!("the floor (process {}) ended", self.process.id());
        }
        Ok(serde_json::from_str::<Round>(&line)?.into())
    }
}

/// The child's main: one round for each line of input, which says how many milliseconds.
pub(crate) fn run(order: &str) -> anyhow::Result<()> {
    let order: Order = serde_json::from_str(order)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let bare = Arc::new(Bare::open(&order.dir).await?);
        let size = Size {
            patients: order.patients,
            observations: order.observations,
        };
        for change in data::resources(size)
            .collect::<Vec<_>>()
            .chunks(super::LOAD_ENTRIES)
        {
            let prepared = change.iter().map(|(_, text)| bare.prepare(text));
            bare.commit(prepared.collect::<anyhow::Result<_>>()?)
                .await?;
        }
        let mut next = 0;
        for line in std::io::stdin().lines() {
            let measured = Duration::from_millis(line?.trim().parse()?);
            let round = round(&order, &bare, measured, &mut next).await?;
            let mut out = std::io::stdout();
            writeln!(out, "{}", serde_json::to_string(&round)?)?;
            out.flush()?;
        }
        bare.close();
        Ok(())
    })
}

/// Commits a second that the pool of prepared resources is made for; a faster floor ends its
/// round early, which does not change its rate.
const POOL_PER_SECOND: u64 = 12_000;

async fn round(
    order: &Order,
    bare: &Arc<Bare>,
    measured: Duration,
    next: &mut usize,
) -> anyhow::Result<Round> {
    let wanted = usize::try_from(POOL_PER_SECOND * measured.as_millis() as u64 / 1000)?;
    let mut pool = Vec::with_capacity(wanted);
    for number in *next..*next + wanted {
        let text = data::observation(2_000_000 + number, order.patients, true);
        pool.push(bare.prepare(&text)?);
    }
    *next += wanted;
    let pool = Arc::new(Mutex::new(pool));
    let (cpu, begin) = (process::cpu(std::process::id())?, Instant::now());
    let mut tasks = Vec::new();
    for _ in 0..order.tasks {
        let (bare, pool) = (bare.clone(), pool.clone());
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while begin.elapsed() < measured {
                let Some(prepared) = pool.lock().await.pop() else {
                    break;
                };
                let sent = Instant::now();
                bare.commit(vec![prepared]).await?;
                latencies.push(micros(sent.elapsed()));
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut latencies_us = Vec::new();
    for task in tasks {
        latencies_us.extend(task.await??);
    }
    let cpu = process::cpu(std::process::id())?.saturating_sub(cpu);
    Ok(Round {
        elapsed_us: u64::try_from(begin.elapsed().as_micros())?,
        cpu_us: u64::try_from(cpu.as_micros())?,
        resident: process::resident(std::process::id())?,
        latencies_us,
    })
}
