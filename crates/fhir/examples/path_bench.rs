//! Times plans: `cargo run --release -p fhir --example path_bench -- FILE`, the file one R4 resource.
//! Prints nanoseconds for each evaluation of a plan that is kept.
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement has a clock and a command line"
)]
#![expect(clippy::print_stdout, reason = "a command")]

use std::cell::Cell;
use std::error::Error;
use std::time::Instant;

use fhir::definitions::{FhirVersion, Model};
use fhir::json;
use fhir::path::{Environment, Item, NoHost, Node, Plan, Settings, Types};

/// That of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: u32 = 200_000;

const EXPRESSIONS: [&str; 6] = [
    "name.given",
    "telecom.where(system='phone').value",
    "Patient.name.where(use = 'official').given.first()",
    "birthDate < @2000-01-01",
    "contact.name.exists() or telecom.exists()",
    "descendants().count()",
];

fn main() -> Result<(), Box<dyn Error>> {
    let types = Types::of(Model::of(FhirVersion::R4));
    let file = std::env::args().nth(1).ok_or("the argument is a file")?;
    let bytes = std::fs::read(file)?;
    let doc = json::parse(&bytes, 64)?;
    let ty = types.of_resource(doc.root()).ok_or("no resource")?;
    let node = Node::new(doc.root(), ty);
    for expression in EXPRESSIONS {
        let settings = Settings::default();
        let plan = Plan::compile_as(&types, &settings, Some(ty), Some(ty), expression)?;
        let steps = Cell::new(u64::MAX);
        let focus = [Item::Node(node)];
        let start = Instant::now();
        let mut items = 0;
        for _ in 0..ROUNDS {
            let env = Environment::of(&types, node, &steps, &NoHost);
            items = std::hint::black_box(plan.run(env, std::hint::black_box(&focus))?).len();
        }
        let each = start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS);
        let start = Instant::now();
        for _ in 0..ROUNDS / 100 {
            std::hint::black_box(Plan::compile_as(
                &types,
                &settings,
                Some(ty),
                Some(ty),
                expression,
            )?);
        }
        let compile = start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS / 100);
        println!("{expression}: {each:.0} ns, {items} items (compiling {compile:.0} ns)");
    }
    Ok(())
}
