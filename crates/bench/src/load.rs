//! Load on a server: closed loop (each connection sends when its answer is there) and open loop
//! (requests at fixed times, whether or not the server keeps up; latency counts from the time a
//! request was due, so a stall is not hidden by requests that were never sent).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::http::{Answer, Base, Connection};
use crate::process;

/// Requests to choose from, and the status that a good answer has.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    /// Where to.
    pub(crate) base: Base,
    /// Whole requests; chosen pseudo-randomly, the same way in every run.
    pub(crate) requests: Arc<Vec<Vec<u8>>>,
    /// The status of a good answer.
    pub(crate) status: u16,
}

/// How long and how wide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Connections.
    pub(crate) connections: usize,
    /// Time before measuring starts.
    pub(crate) warm_up: Duration,
    /// Time measured.
    pub(crate) measured: Duration,
}

/// What was measured; several can be joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Good answers.
    pub(crate) answers: u64,
    /// Bad answers and broken connections.
    pub(crate) failures: u64,
    /// How the first of them began.
    pub(crate) failure: Option<String>,
    /// Time measured.
    pub(crate) elapsed: Duration,
    /// Processor time of the server process in that time.
    pub(crate) cpu: Duration,
    /// Processor time of the load generator in that time.
    pub(crate) own_cpu: Duration,
    /// Resident memory of the server at the end, in bytes.
    pub(crate) resident: u64,
    /// Microseconds of each good answer.
    pub(crate) latencies_us: Vec<u32>,
}

impl Sample {
    /// Adds another sample of the same thing.
    pub(crate) fn join(&mut self, other: Self) {
        self.answers += other.answers;
        self.failures += other.failures;
        self.failure = self.failure.take().or(other.failure);
        self.elapsed += other.elapsed;
        self.cpu += other.cpu;
        self.own_cpu += other.own_cpu;
        self.resident = self.resident.max(other.resident);
        self.latencies_us.extend(other.latencies_us);
    }

    /// Good answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Microseconds of the server's processors for one good answer.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / (self.answers.max(1)) as f64
    }

    /// Microseconds of the load generator's processors for one good answer.
    pub(crate) fn own_cpu_us(&self) -> f64 {
        self.own_cpu.as_secs_f64() * 1e6 / (self.answers.max(1)) as f64
    }

    /// The latency in microseconds below which this share (0 to 1) of the answers came.
    pub(crate) fn quantile_us(&self, share: f64) -> u32 {
        quantile(&self.latencies_us, share)
    }
}

/// The smallest value that at least this share (0 to 1) of the values do not pass.
pub(crate) fn quantile(values: &[u32], share: f64) -> u32 {
    let mut values = values.to_vec();
    let rank = (share * values.len() as f64).ceil() as usize;
    let index = rank.clamp(1, values.len().max(1)) - 1;
    if values.is_empty() {
        return 0;
    }
    *values.select_nth_unstable(index).1
}

/// A small generator of pseudo-random numbers (xorshift64*), so that runs repeat.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Starts from a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number below `bound` (which must not be 0).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        (mixed as usize) % bound.max(1)
    }
}

#[derive(Debug, Default)]
struct Gate {
    counting: AtomicBool,
    stop: AtomicBool,
    failures: AtomicU64,
    failure: OnceLock<String>,
}

/// Closed loop: every connection sends its next request when the last answer is there.
pub(crate) async fn closed(mix: &Mix, shape: Shape, server: Option<u32>) -> anyhow::Result<Sample> {
    let gate = Arc::new(Gate::default());
    let mut tasks = Vec::new();
    for seed in 0..shape.connections {
        let connection = Connection::open(&mix.base.authority).await?;
        tasks.push(tokio::spawn(one_connection(
            connection,
            mix.clone(),
            gate.clone(),
            seed as u64,
        )));
    }
    tokio::time::sleep(shape.warm_up).await;
    gate.failures.store(0, Ordering::Relaxed);
    gate.counting.store(true, Ordering::Relaxed);
    let before = usage(server)?;
    let started = Instant::now();
    tokio::time::sleep(shape.measured).await;
    gate.counting.store(false, Ordering::Relaxed);
    let elapsed = started.elapsed();
    let after = usage(server)?;
    gate.stop.store(true, Ordering::Relaxed);
    let mut latencies_us = Vec::new();
    for task in tasks {
        latencies_us.extend(task.await?);
    }
    Ok(Sample {
        answers: latencies_us.len() as u64,
        failures: gate.failures.load(Ordering::Relaxed),
        failure: gate.failure.get().cloned(),
        elapsed,
        cpu: after.0.saturating_sub(before.0),
        own_cpu: after.1.saturating_sub(before.1),
        resident: server.map(process::resident).transpose()?.unwrap_or(0),
        latencies_us,
    })
}

fn usage(server: Option<u32>) -> anyhow::Result<(Duration, Duration)> {
    let server = server.map(process::cpu).transpose()?.unwrap_or_default();
    Ok((server, process::cpu(std::process::id())?))
}

async fn one_connection(
    mut connection: Connection,
    mix: Mix,
    gate: Arc<Gate>,
    seed: u64,
) -> Vec<u32> {
    let mut dice = Dice::new(seed + 1);
    let mut latencies = Vec::new();
    while !gate.stop.load(Ordering::Relaxed) {
        let Some(request) = mix.requests.get(dice.below(mix.requests.len())) else {
            break;
        };
        let sent = Instant::now();
        match connection.exchange(request).await {
            Ok(answer) if answer.status == mix.status => {
                if gate.counting.load(Ordering::Relaxed) {
                    latencies.push(micros(sent.elapsed()));
                }
            }
            Ok(answer) => {
                gate.failures.fetch_add(1, Ordering::Relaxed);
                gate.failure
                    .get_or_init(|| beginning(&connection, &answer, request));
            }
            Err(e) => {
                gate.failures.fetch_add(1, Ordering::Relaxed);
                gate.failure.get_or_init(|| e.to_string());
                match Connection::open(&mix.base.authority).await {
                    Ok(fresh) => connection = fresh,
                    Err(_) => break,
                }
            }
        }
    }
    latencies
}

/// The beginning of a request and of its answer, for people.
fn beginning(connection: &Connection, answer: &Answer, request: &[u8]) -> String {
    let asked = request.split(|b| *b == b'\r').next().unwrap_or_default();
    let body: Vec<u8> = connection.body(answer).iter().copied().take(300).collect();
    let text = String::from_utf8_lossy;
    format!("{}: {} {}", text(asked), answer.status, text(&body))
}

/// Open loop: one request each `1/rate` seconds, spread over the connections.
pub(crate) async fn open(
    mix: &Mix,
    rate_per_second: u32,
    shape: Shape,
    server: Option<u32>,
) -> anyhow::Result<Sample> {
    let interval = Duration::from_secs(1) / rate_per_second.max(1);
    let stride = u32::try_from(shape.connections.max(1)).context("too many connections")?;
    let start = Instant::now() + Duration::from_millis(50);
    let (count_from, end) = (
        start + shape.warm_up,
        start + shape.warm_up + shape.measured,
    );
    // Of their own, since they keep their place in the order of threads for good.
    let mut threads = Vec::new();
    for lane in 0..stride {
        let mix = mix.clone();
        threads.push(std::thread::spawn(move || {
            process::come_first();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()?;
            let mut connection = runtime.block_on(Connection::open(&mix.base.authority))?;
            let mut dice = Dice::new(u64::from(lane) + 1);
            let (mut latencies, mut failures) = (Vec::new(), 0);
            let mut due = start + interval * lane;
            while due < end {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let Some(request) = mix.requests.get(dice.below(mix.requests.len())) else {
                    break;
                };
                match runtime.block_on(connection.exchange(request)) {
                    Ok(answer) if answer.status == mix.status => {
                        if due >= count_from {
                            latencies.push(micros(due.elapsed()));
                        }
                    }
                    Ok(_) => failures += 1,
                    Err(_) => {
                        failures += 1;
                        match runtime.block_on(Connection::open(&mix.base.authority)) {
                            Ok(fresh) => connection = fresh,
                            Err(_) => break,
                        }
                    }
                }
                due += interval * stride;
            }
            anyhow::Ok((latencies, failures))
        }));
    }
    tokio::time::sleep_until(count_from.into()).await;
    let before = usage(server)?;
    let mut sample = Sample {
        elapsed: shape.measured,
        ..Sample::default()
    };
    for thread in threads {
        let (latencies, failures) = thread
            .join()
            .map_err(|_| anyhow::anyhow!("a thread that sends requests panicked"))??;
        sample.latencies_us.extend(latencies);
        sample.failures += failures;
    }
    let after = usage(server)?;
    sample.answers = sample.latencies_us.len() as u64;
    sample.cpu = after.0.saturating_sub(before.0);
    sample.own_cpu = after.1.saturating_sub(before.1);
    sample.resident = server.map(process::resident).transpose()?.unwrap_or(0);
    Ok(sample)
}

/// Whole microseconds, cut to 32 bits.
pub(crate) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<u32> = (1..=100).rev().collect();
        for (share, expected) in [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)] {
            assert_eq!(quantile(&values, share), expected, "{share}");
        }
        assert_eq!(quantile(&[], 0.5), 0);
    }

    #[test]
    fn the_dice_repeat_and_reach_every_face() {
        let mut seen = [false; 10];
        let (mut a, mut b) = (Dice::new(7), Dice::new(7));
        for _ in 0..1_000 {
            let face = a.below(10);
            assert_eq!(face, b.below(10));
            seen[face] = true;
        }
        assert_eq!(seen, [true; 10]);
    }

    #[test]
    fn samples_join() {
        let half = Sample {
            answers: 10,
            elapsed: Duration::from_secs(1),
            cpu: Duration::from_micros(200),
            latencies_us: vec![5; 10],
            ..Sample::default()
        };
        let mut whole = half.clone();
        whole.join(half);
        assert_eq!((whole.per_second() as u32, whole.cpu_us() as u32), (10, 20));
    }
}
