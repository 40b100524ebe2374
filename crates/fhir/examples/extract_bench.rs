//! Times index extraction: `cargo run --release -p fhir --example extract_bench -- FILE…`, each file
//! one resource. Prints microseconds for parsing and for extracting, and the number of rows.
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement has a clock and a command line"
)]
#![expect(clippy::print_stdout, reason = "a command")]

use std::error::Error;
use std::time::Instant;

use fhir::definitions::{FhirVersion, Model};
use fhir::{json, search};

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: u32 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::of(FhirVersion::R4);
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let doc = json::parse(&bytes, 64)?;
        let name = doc.root().get("resourceType").and_then(json::Value::as_str);
        let type_id = name
            .as_deref()
            .and_then(|n| model.type_id(n))
            .ok_or("no resource")?;
        let rows = search::extract(model, type_id, doc.root(), &[]);
        let start = Instant::now();
        for _ in 0..ROUNDS {
            std::hint::black_box(json::parse(std::hint::black_box(&bytes), 64)?);
        }
        let parse_us = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let root = std::hint::black_box(doc.root());
            std::hint::black_box(search::extract(model, type_id, root, &[]));
        }
        let extract_us = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
        let file = std::path::Path::new(&path)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        println!(
            "{file}: {} bytes, parse {parse_us:.1} us, extract {extract_us:.1} us, {} rows",
            bytes.len(),
            rows.len()
        );
    }
    Ok(())
}
