//! What the language costs without a server: expressions of FHIRPath whose plan is kept, and all index values
//! of a resource. The floor of both is reading the same resource's JSON.

use std::cell::Cell;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, anyhow};
use fhir::definitions::{FhirVersion, Model};
use fhir::path::{Environment, Item, NoHost, Node, Plan, Settings, Types};
use fhir::{json, search};

use super::{Setting, say};
use crate::table::{Row, Target};

/// Microseconds for an expression with a kept plan.
const PATH_TARGET: f64 = 0.5;
/// Microseconds for all index values of the official Patient.
const VALUES_TARGET: f64 = 15.0;
const EXPRESSIONS: [&str; 2] = ["name.given", "telecom.where(system='phone').value"];
const DEPTH: usize = 64;

/// The rows; none when `INSULA_SUITES` does not lead to the published examples.
pub(crate) fn rows(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let suites = std::env::var_os("INSULA_SUITES").unwrap_or_default();
    let file = Path::new(&suites).join("r4-examples/package/Patient-example.json");
    let Ok(bytes) = std::fs::read(file) else {
        say("… not: INSULA_SUITES does not lead to r4-examples")?;
        return Ok(Vec::new());
    };
    let rounds = setting.by_length(2_000, 10_000, 20_000);
    let model = Model::of(FhirVersion::R4);
    let types = Types::of(model);
    let doc = json::parse(&bytes, DEPTH)?;
    let ty = types.of_resource(doc.root()).context("no resource")?;
    let type_id = model.type_id("Patient").context("no such type")?;
    let node = Node::new(doc.root(), ty);
    let read = micros(rounds, || json::parse(black_box(&bytes), DEPTH).is_ok());
    let floor = format!("reading its JSON, {} bytes: {read:.2} µs", bytes.len());
    let mut rows = Vec::new();
    for expression in EXPRESSIONS {
        let settings = Settings::default();
        let plan = Plan::compile_as(&types, &settings, Some(ty), Some(ty), expression)
            .map_err(|e| anyhow!("{expression}: {e}"))?;
        let steps = Cell::new(u64::MAX);
        let focus = [Item::Node(node)];
        let each = micros(rounds * 10, || {
            let env = Environment::of(&types, node, &steps, &NoHost);
            plan.run(env, black_box(&focus)).map(|items| items.len())
        });
        let name = format!("language: {expression}");
        rows.push(row(&name, each, PATH_TARGET).note(&floor));
    }
    let values = || search::extract(model, type_id, black_box(doc.root()), &[]);
    let name = format!("language: a Patient's {} index values", values().len());
    rows.push(row(&name, micros(rounds, values), VALUES_TARGET).note(floor));
    Ok(rows)
}

fn row(name: &str, micros: f64, target: f64) -> Row {
    let mut row = Row::new(name, micros, "µs", Target::AtMost(target));
    (row.tenants, row.cpu_us) = (0, Some(micros));
    row
}

/// What one call takes: the median of some batches.
fn micros<T>(rounds: u32, mut work: impl FnMut() -> T) -> f64 {
    let mut batches: Vec<f64> = (0..15)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..rounds {
                black_box(work());
            }
            begin.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
        })
        .collect();
    batches.sort_unstable_by(f64::total_cmp);
    batches.get(batches.len() / 2).copied().unwrap_or(f64::NAN)
}
