//! Many registered tenants: what they cost when nobody uses them, and the first request to one
//! that is closed.

use std::time::{Duration, Instant};

use super::Setting;
use crate::http::{Base, Connection};
use crate::load::{Sample, micros, quantile};
use crate::process;
use crate::table::{Row, Target};

const CREATE_MS_TARGET: f64 = 50.0;
const START_S_TARGET: f64 = 1.0;
const IDLE_MB_TARGET: f64 = 150.0;
const FIRST_MS_TARGET: f64 = 20.0;
/// Quiet time before memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// Rows for creation, start, idle memory and first requests.
pub(crate) async fn rows(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let tenants: usize = setting.by_length(1_000, 10_000, 10_000);
    let visited: usize = setting.by_length(200, 1_000, 1_000);
    let house = setting.house("crowd").await?;
    let mut connection = Connection::open(house.authority()).await?;
    let mut creation_us = Vec::new();
    for number in 0..tenants {
        let took = house.create_tenant(&mut connection, &name(number)).await?;
        creation_us.push(micros(took));
    }
    let mut bases = Vec::new();
    for number in (0..tenants).step_by((tenants / visited).max(1)) {
        let base = house.enter(&name(number)).await?;
        let body = crate::data::patient(number);
        connection
            .exchange(&base.request(
                "PUT",
                &format!("/Patient/p-{number}"),
                Some(body.as_bytes()),
            ))
            .await?;
        bases.push((base, number));
    }
    house.stop()?;

    let house = setting.house("crowd").await?;
    let started = house.started_in;
    tokio::time::sleep(SETTLE).await;
    let idle = process::resident(house.id())?;
    let first = first_requests(&house, &bases).await?;
    let after = process::resident(house.id())?;

    let mut created = Row::new(
        "tenants: create one",
        f64::from(quantile(&creation_us, 0.99)) / 1e3,
        "ms",
        Target::AtMost(CREATE_MS_TARGET),
    )
    .note("the figure is the 99th percentile, one after the other, over the admin API");
    created.p50_us = Some(quantile(&creation_us, 0.5));
    created.p99_us = Some(quantile(&creation_us, 0.99));
    let start = Row::new(
        "tenants: start with all registered",
        started.as_secs_f64(),
        "s",
        Target::AtMost(START_S_TARGET),
    );
    let mut memory = Row::new(
        "tenants: idle memory",
        idle as f64 / 1e6,
        "MB",
        Target::AtMost(IDLE_MB_TARGET),
    )
    .note(format!(
        "{:.0} MB after {} of them were read from",
        after as f64 / 1e6,
        bases.len()
    ));
    memory.resident_bytes = Some(idle);
    let opened = Row::new(
        "tenants: first read of a closed one",
        f64::from(first.quantile_us(0.99)) / 1e3,
        "ms",
        Target::AtMost(FIRST_MS_TARGET),
    )
    .with(&first)
    .note("the figure is the 99th percentile; one request each, token checked for the first time");
    let mut rows = vec![created, start, memory, opened];
    for row in &mut rows {
        row.tenants = tenants as u64;
        row.audit = setting.audit.to_owned();
    }
    house.stop()?;
    Ok(rows)
}

fn name(number: usize) -> String {
    format!("clinic-{number:05}")
}

async fn first_requests(
    house: &crate::house::House,
    bases: &[(Base, usize)],
) -> anyhow::Result<Sample> {
    let mut connection = Connection::open(house.authority()).await?;
    let mut sample = Sample::default();
    let cpu = process::cpu(house.id())?;
    let begin = Instant::now();
    for (base, number) in bases {
        let base = Base {
            authority: house.authority().to_owned(),
            ..base.clone()
        };
        let request = base.request("GET", &format!("/Patient/p-{number}"), None);
        let sent = Instant::now();
        let answer = connection.exchange(&request).await?;
        if answer.status == 200 {
            sample.latencies_us.push(micros(sent.elapsed()));
        } else {
            sample.failures += 1;
        }
    }
    sample.elapsed = begin.elapsed();
    sample.answers = sample.latencies_us.len() as u64;
    sample.cpu = process::cpu(house.id())?.saturating_sub(cpu);
    sample.resident = process::resident(house.id())?;
    Ok(sample)
}
