//! Read, search and create: of a house against floors, or of another FHIR server alone.

pub(crate) mod commits;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;

use super::Setting;
use crate::data::{self, Size};
use crate::floor::{Captured, Floor};
use crate::house::House;
use crate::http::{Base, Connection};
use crate::load::{self, Dice, Mix, Sample, Shape};
use crate::table::{Row, Target};

/// Connections of every closed loop.
const CONNECTIONS: usize = 64;
/// Entries of one loading transaction.
const LOAD_ENTRIES: usize = 200;
/// Different requests of one mix.
const DIFFERENT: usize = 4_000;

/// Share of the bare handler's throughput that reads must reach, in per cent.
const READ_TARGET: f64 = 60.0;
const SEARCH_TARGET: f64 = 35.0;
const CREATE_TARGET: f64 = 50.0;

struct Plan {
    size: Size,
    rounds: usize,
    shape: Shape,
}

fn plan(setting: &Setting) -> Plan {
    let measured = Duration::from_millis(setting.by_length(1_000, 3_000, 5_000));
    Plan {
        size: setting.by_length(
            Size {
                patients: 500,
                observations: 5_000,
            },
            Size {
                patients: 2_000,
                observations: 20_000,
            },
            Size {
                patients: 10_000,
                observations: 100_000,
            },
        ),
        rounds: setting.by_length(3, 5, 7),
        shape: Shape {
            connections: CONNECTIONS,
            warm_up: Duration::from_millis(500),
            measured,
        },
    }
}

fn reads(base: &Base, size: Size) -> Mix {
    let mut dice = Dice::new(1);
    let requests = (0..DIFFERENT)
        .map(|_| format!("/Observation/o-{}", dice.below(size.observations)))
        .map(|path| base.request("GET", &path, None))
        .collect();
    Mix {
        base: base.clone(),
        requests: Arc::new(requests),
        status: 200,
    }
}

fn searches(base: &Base) -> Mix {
    let requests = data::token_searches()
        .iter()
        .map(|path| base.request("GET", path, None))
        .collect();
    Mix {
        base: base.clone(),
        requests: Arc::new(requests),
        status: 200,
    }
}

fn creates(base: &Base, size: Size) -> Mix {
    let requests = (0..DIFFERENT)
        .map(|n| data::observation(1_000_000 + n, size.patients, false))
        .map(|body| base.request("POST", "/Observation", Some(body.as_bytes())))
        .collect();
    Mix {
        base: base.clone(),
        requests: Arc::new(requests),
        status: 201,
    }
}

async fn fill(base: &Base, size: Size) -> anyhow::Result<()> {
    let mut connection = Connection::open(&base.authority).await?;
    for bundle in data::bundles(size, LOAD_ENTRIES) {
        let answer = connection
            .exchange(&base.request("POST", "", Some(bundle.as_bytes())))
            .await?;
        let body = String::from_utf8_lossy(connection.body(&answer));
        let beginning: String = body.chars().take(500).collect();
        ensure!(
            answer.status == 200,
            "loading failed: {} {beginning}",
            answer.status
        );
    }
    Ok(())
}

/// The three mixes against another server; no floors and no targets.
pub(crate) async fn of_peer(setting: &Setting, base: Base) -> anyhow::Result<Vec<Row>> {
    let plan = plan(setting);
    if !setting.options.peer_loaded {
        fill(&base, plan.size).await?;
    }
    let mut rows = Vec::new();
    let mixes = [
        ("read by id", reads(&base, plan.size)),
        ("search by token, 20 a page", searches(&base)),
        ("create", creates(&base, plan.size)),
    ];
    for (name, mix) in mixes {
        if !setting.wants(name) {
            continue;
        }
        let mut whole = Sample::default();
        for _ in 0..plan.rounds {
            whole.join(load::closed(&mix, plan.shape, setting.options.peer_pid).await?);
        }
        let mut row = Row::new(name, whole.per_second(), "/s", Target::None).with(&whole);
        row.audit = "peer".to_owned();
        row.concurrency = CONNECTIONS as u64;
        rows.push(row);
    }
    Ok(rows)
}

/// The three mixes against a house, each interleaved with its floor.
pub(crate) async fn of_house(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let plan = plan(setting);
    let house = setting.house("interactions").await?;
    let mut connection = Connection::open(house.authority()).await?;
    house.create_tenant(&mut connection, "bench").await?;
    let base = house.enter("bench").await?;
    fill(&base, plan.size).await?;
    let mut rows = Vec::new();
    let cases = [
        ("read by id", reads(&base, plan.size), READ_TARGET),
        ("search by token, 20 a page", searches(&base), SEARCH_TARGET),
    ];
    for (name, mix, target) in cases {
        if setting.wants(name) {
            rows.push(against_bare(setting, &plan, &house, name, &mix, target).await?);
        }
    }
    if setting.wants("create") {
        rows.push(
            commits::row(
                setting,
                &house,
                &creates(&base, plan.size),
                plan.shape,
                plan.rounds,
                plan.size,
                CREATE_TARGET,
            )
            .await?,
        );
    }
    house.stop()?;
    Ok(rows)
}

/// One mix against the house and, turn by turn, against a bare handler that gives one of the same
/// answers.
async fn against_bare(
    setting: &Setting,
    plan: &Plan,
    house: &House,
    name: &str,
    mix: &Mix,
    target: f64,
) -> anyhow::Result<Row> {
    let captured = median_answer(mix).await?;
    let floor = Floor::start(&captured, &mix.base, &setting.folder)?;
    let bare = Mix {
        base: floor.base.clone(),
        ..mix.clone()
    };
    let (mut ours, mut theirs) = (Sample::default(), Sample::default());
    for _ in 0..plan.rounds {
        theirs.join(load::closed(&bare, plan.shape, Some(floor.id())).await?);
        ours.join(load::closed(mix, plan.shape, Some(house.id())).await?);
    }
    let ratio = 100.0 * ours.per_second() / theirs.per_second().max(1e-9);
    let mut row = Row::new(name, ratio, "%", Target::AtLeast(target)).with(&ours).note(format!(
        "{} B answers; bare handler {:.1} CPU µs each; load generator {:.1} CPU µs each against \
         Insula, {:.1} against the bare handler, on the same processors; by processor time, \
         generator included: {:.0}%",
        captured.body.len(),
        theirs.cpu_us(),
        ours.own_cpu_us(),
        theirs.own_cpu_us(),
        by_cpu(&ours, &theirs),
    ));
    row.failures += theirs.failures;
    row.floor_per_second = Some(theirs.per_second());
    row.audit = setting.audit.to_owned();
    row.concurrency = CONNECTIONS as u64;
    Ok(row)
}

/// The floor's processor time for one answer as a share (in per cent) of ours, with that of the
/// load generator on both sides: the ratio of throughputs on a machine that does nothing else.
pub(crate) fn by_cpu(ours: &Sample, floor: &Sample) -> f64 {
    let each = |sample: &Sample| sample.cpu_us() + sample.own_cpu_us();
    100.0 * each(floor) / each(ours).max(1e-9)
}

/// The answer of median size among those to the first requests of a mix.
pub(crate) async fn median_answer(mix: &Mix) -> anyhow::Result<Captured> {
    let mut connection = Connection::open(&mix.base.authority).await?;
    let mut answers = Vec::new();
    for request in mix.requests.iter().take(40) {
        let answer = connection.exchange(request).await?;
        let captured = Captured::from_answer(&connection, &answer);
        ensure!(
            answer.status == mix.status,
            "{} instead of {}: {}",
            answer.status,
            mix.status,
            captured.body
        );
        answers.push(captured);
    }
    answers.sort_by_key(|a| a.body.len());
    let middle = answers.len() / 2;
    ensure!(!answers.is_empty(), "nothing to ask for");
    Ok(answers.swap_remove(middle))
}
