//! Bulk loading of Synthea's Bundles with `insula import`, and whether it stays as fast as the
//! store grows: a tenth of the steps at either end, since one step alone says more of the disk.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Setting, say};
use crate::http::Connection;
use crate::process;
use crate::table::{Row, Target};

const RATE_TARGET: f64 = 4_000.0;
/// Share of the first steps' rate that the last ones may lose, in per cent.
const FLAT_TARGET: f64 = 30.0;

/// One Bundle of the suite.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    /// The file.
    pub(crate) path: PathBuf,
    bytes: u64,
}

/// Synthea's Bundles: organisations and practitioners first. None when `INSULA_SUITES` does not
/// lead to them.
pub(crate) fn synthea() -> Option<Vec<Bundle>> {
    let folder = Path::new(&std::env::var_os("INSULA_SUITES")?).join("synthea-smart-615");
    let mut bundles: Vec<Bundle> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter_map(|path| {
            Some(Bundle {
                bytes: path.metadata().ok()?.len(),
                path,
            })
        })
        .collect();
    let first = |b: &Bundle| {
        let name = b
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        !(name.starts_with("hospital") || name.starts_with("practitioner"))
    };
    bundles.sort_by_key(|b| (first(b), b.path.clone()));
    (!bundles.is_empty()).then_some(bundles)
}

/// What one step of loading did.
struct Step {
    resources: u64,
    elapsed: Duration,
    server: Duration,
    importer: Duration,
    resident: u64,
}

/// Resources a second over some steps.
fn rate(steps: &[Step]) -> f64 {
    let resources: u64 = steps.iter().map(|s| s.resources).sum();
    let elapsed: Duration = steps.iter().map(|s| s.elapsed).sum();
    resources as f64 / elapsed.as_secs_f64().max(1e-9)
}

/// Two rows: the rate over the whole load, and the last steps' rate against the first ones'.
pub(crate) async fn rows(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let Some(bundles) = synthea() else {
        say("… not: INSULA_SUITES does not lead to synthea-smart-615")?;
        return Ok(Vec::new());
    };
    let house = setting.house("import").await?;
    let mut connection = Connection::open(house.authority()).await?;
    house.create_tenant(&mut connection, "bench").await?;
    let goal: u64 = setting.by_length(20_000, 150_000, 1_000_000);
    let per_step: u64 = setting.by_length(10 << 20, 44 << 20, 132 << 20);
    let copies = setting.folder.join("bundles");
    std::fs::create_dir_all(&copies)?;
    let (mut steps, mut loaded, mut at) = (Vec::<Step>::new(), 0, 0);
    while loaded < goal {
        let mut paths = Vec::new();
        let mut bytes = 0;
        while bytes < per_step {
            let Some(bundle) = bundles.get(at % bundles.len()) else {
                break;
            };
            paths.push(copy(bundle, &copies, at, at / bundles.len())?);
            bytes += bundle.bytes;
            at += 1;
        }
        let step = load(&house, &paths)?;
        loaded += step.resources;
        paths.iter().for_each(|p| drop(std::fs::remove_file(p)));
        writeln!(
            std::io::stderr(),
            "  {loaded} resources, {:.0}/s",
            rate(std::slice::from_ref(&step))
        )?;
        steps.push(step);
    }
    house.stop()?;
    table(setting, &steps, loaded)
}

fn table(setting: &Setting, steps: &[Step], loaded: u64) -> anyhow::Result<Vec<Row>> {
    let server: Duration = steps.iter().map(|s| s.server).sum();
    let importer: Duration = steps.iter().map(|s| s.importer).sum();
    let whole_rate = rate(steps);
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / loaded.max(1) as f64;
    let last = steps.last().context("no step")?;
    let tenth = steps.len().div_ceil(10);
    let (first_steps, _) = steps.split_at(tenth);
    let (_, last_steps) = steps.split_at(steps.len() - tenth);
    let (early, late) = (rate(first_steps), rate(last_steps));
    let mut whole = Row::new(
        "import of Synthea bundles",
        whole_rate,
        "/s",
        Target::AtLeast(RATE_TARGET),
    )
    .note(format!(
        "{loaded} resources; the importing command used {:.0} CPU µs each beside the server's",
        each(importer)
    ));
    whole.cpu_us = Some(each(server));
    whole.resident_bytes = Some(last.resident);
    let slowdown = 100.0 * (1.0 - late / early.max(1e-9));
    let mut flat = Row::new(
        "import: slower as the store grows",
        slowdown,
        "%",
        Target::AtMost(FLAT_TARGET),
    )
    .note(format!(
        "{early:.0}/s in the first tenth of {} steps, {late:.0}/s in the last (up to {loaded} resources)",
        steps.len()
    ));
    for row in [&mut whole, &mut flat] {
        row.audit = setting.audit.to_owned();
        row.per_second = Some(whole_rate);
    }
    Ok(vec![whole, flat])
}

/// A copy of a Bundle whose resources are others each time round: an import keeps ids, so the same
/// ones again would be updates, and the store would not grow.
fn copy(bundle: &Bundle, folder: &Path, at: usize, round: usize) -> anyhow::Result<PathBuf> {
    let mut text = std::fs::read(&bundle.path)?;
    rename(&mut text, round);
    let path = folder.join(format!("{at:07}.json"));
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Changes every UUID in a text, the same one always to the same other one.
fn rename(text: &mut [u8], round: usize) {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let is_uuid = |t: &[u8]| {
        t.iter()
            .enumerate()
            .all(|(i, b)| match HYPHENS.contains(&i) {
                true => *b == b'-',
                false => b.is_ascii_digit() || (b'a'..=b'f').contains(b),
            })
    };
    let mut at = 0;
    while let Some(uuid) = text.get_mut(at..at + 36) {
        if !is_uuid(uuid) {
            at += 1;
            continue;
        }
        let mut carry = round;
        for digit in uuid.iter_mut().take(4) {
            let value = usize::from(*digit - if *digit >= b'a' { b'a' - 10 } else { b'0' });
            let sum = value + carry % 16;
            *digit = *b"0123456789abcdef".get(sum % 16).unwrap_or(&b'0');
            carry /= 16;
        }
        at += 36;
    }
}

fn load(house: &crate::house::House, paths: &[PathBuf]) -> anyhow::Result<Step> {
    let server_before = process::cpu(house.id())?;
    let children_before = children_cpu()?;
    let begin = Instant::now();
    let output = house
        .import("bench", paths)
        .stdout(Stdio::piped())
        .output()?;
    let elapsed = begin.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "insula import failed: {text}");
    let summary: Value = serde_json::from_str(&text).context("no summary from insula import")?;
    Ok(Step {
        resources: number(&summary, &["resources", "written", "loaded"])
            .context("no count in the summary")?,
        elapsed,
        server: process::cpu(house.id())?.saturating_sub(server_before),
        importer: children_cpu()?.saturating_sub(children_before),
        resident: process::resident(house.id())?,
    })
}

fn number(summary: &Value, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| summary.get(name)?.as_u64())
}

/// Processor time of children that have ended and were waited for: cutime + cstime.
fn children_cpu() -> anyhow::Result<Duration> {
    process::children_cpu(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_ids_of_its_own() {
        let text = "urn:uuid:018f428e-34f6-4707-8009-5ad742f901e7 and 018f428e-34f6-4707-8009-5ad742f901e7 -";
        let renamed = |round| {
            let mut bytes = text.as_bytes().to_vec();
            rename(&mut bytes, round);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(renamed(0), text);
        let rounds: std::collections::BTreeSet<String> = (0..300).map(renamed).collect();
        assert_eq!(rounds.len(), 300);
        assert_eq!(
            renamed(1)
                .matches("118f428e-34f6-4707-8009-5ad742f901e7")
                .count(),
            2
        );
    }
}
