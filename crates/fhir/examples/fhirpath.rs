//! Evaluates expressions: `cargo run -p fhir --example fhirpath -- VERSION FILE < EXPRESSIONS`, with
//! one expression a line and one JSON array of texts a line out. For second opinions.
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement has a clock and a command line"
)]
#![expect(clippy::print_stdout, reason = "a command")]

use std::cell::Cell;
use std::error::Error;
use std::io::BufRead;

use fhir::definitions::{FhirVersion, Model};
use fhir::json::{self, push_json_string};
use fhir::path::{Environment, Item, Moment, NoHost, Node, Plan, Settings, Types};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let version = arguments.next().as_deref().and_then(FhirVersion::parse);
    let version = version.ok_or("the first argument is a version, such as 4.0.1")?;
    let types = Types::of(Model::of(version));
    let bytes = std::fs::read(arguments.next().ok_or("the second argument is a file")?)?;
    let doc = json::parse(&bytes, 64)?;
    let ty = types.of_resource(doc.root()).ok_or("no resource")?;
    let node = Node::new(doc.root(), ty);
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(&types, node, &line?));
    }
    Ok(())
}

fn answer(types: &Types, node: Node<'_>, expression: &str) -> String {
    let settings = Settings::default();
    let plan = match Plan::compile_as(types, &settings, Some(node.ty), Some(node.ty), expression) {
        Ok(plan) => plan,
        Err(error) => return format!("ERR {error}"),
    };
    let steps = Cell::new(1_000_000);
    let env = Environment {
        now: Moment::parse("2026-11-22T04:50:00.000Z"),
        ..Environment::of(types, node, &steps, &NoHost)
    };
    let mut out = String::from("[");
    match plan.run(env, &[Item::Node(node)]) {
        Err(error) => return format!("ERR {error}"),
        Ok(items) => {
            for item in &items {
                if out.len() > 1 {
                    out.push(',');
                }
                match item {
                    Item::Node(node) => match node.value {
                        Some(value) => json::write_compact(value, &mut out),
                        None => out.push_str("null"),
                    },
                    Item::Bool(_) | Item::Integer(_) | Item::Long(_) | Item::Decimal(_) => {
                        out.push_str(&item.to_text(types).unwrap_or_default());
                    }
                    item => push_json_string(&item.to_text(types).unwrap_or_default(), &mut out),
                }
            }
        }
    }
    out.push(']');
    out
}
