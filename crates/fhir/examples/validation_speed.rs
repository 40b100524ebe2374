//! Measures how long loading the model, parsing, validating and admitting (validating, extracting
//! index rows, writing the body) take:
//! `cargo run --release -p fhir --example validation_speed [file.json…]`.
//!
//! Without arguments an Observation of 1.4 kB is measured.
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement has a clock and a command line"
)]

use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use base::ResourceId;
use fhir::definitions::{FhirVersion, Model};
use fhir::json;
use fhir::resource::{Admission, BodyId, Valid, resource_type};
use fhir::validate::{Context, validate};

const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"0a8aaf2b-4a5a-4c5e-9d5e-0a2c4d7a9f01",
"meta":{"profile":["http://hl7.org/fhir/StructureDefinition/bp","http://hl7.org/fhir/StructureDefinition/vitalsigns"]},
"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category",
"code":"vital-signs","display":"vital-signs"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure panel"}],"text":"Blood pressure"},
"subject":{"reference":"Patient/44ec4447-9e2c-4eb9-bd4f-0bdb416b806e"},
"encounter":{"reference":"Encounter/9d0a27a4-5cf1-4c4b-8a54-9b2a1b1f0a77"},
"effectiveDateTime":"2014-06-21T10:21:39-04:00","issued":"2014-06-21T10:21:39.123-04:00",
"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4","display":"Diastolic Blood Pressure"}],
"text":"Diastolic Blood Pressure"},"valueQuantity":{"value":81.00,"unit":"mm[Hg]",
"system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic Blood Pressure"}],
"text":"Systolic Blood Pressure"},"valueQuantity":{"value":117.50,"unit":"mm[Hg]",
"system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"#;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let started = Instant::now();
    let model = Model::of(FhirVersion::R4);
    writeln!(
        out,
        "model loaded in {:.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    )?;
    let mut inputs = vec![("Observation".to_owned(), OBSERVATION.as_bytes().to_vec())];
    for name in std::env::args().skip(1) {
        let bytes = std::fs::read(&name)?;
        inputs.push((name, bytes));
    }
    for (name, bytes) in &inputs {
        let rounds = (20_000_000 / bytes.len()).max(3);
        let parse = time(rounds, || json::parse(bytes, 64).is_ok());
        let Ok(doc) = json::parse(bytes, 64) else {
            continue;
        };
        let context = Context {
            own_bases: &["https://host/t/x/fhir"],
            issues_max: 100,
        };
        let check = time(rounds, || {
            validate(model, doc.root(), &context).issues.is_empty()
        });
        let good = validate(model, doc.root(), &context).issues.is_empty();
        let size = bytes.len();
        let admit = time(rounds, || admit(model, doc.root(), context).is_some());
        writeln!(
            out,
            "{name}: {size} bytes, valid {good}, parse {parse:.2} µs, validate {check:.2} µs, admit {admit:.2} µs"
        )?;
    }
    Ok(())
}

fn admit(model: &'static Model, resource: json::Value<'_>, check: Context<'_>) -> Option<Valid> {
    let id = ResourceId::new("7").ok()?;
    let type_id = resource_type(model, resource).ok()?;
    let admission = Admission {
        type_id,
        id: &id,
        body_id: BodyId::Ignored,
        check,
    };
    Valid::admit(model, resource, &admission).ok()
}

/// Microseconds of one call: the best of five runs.
fn time(rounds: usize, mut call: impl FnMut() -> bool) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        for _ in 0..rounds {
            black_box(call());
        }
        best = best.min(started.elapsed().as_secs_f64());
    }
    best * 1e6 / rounds as f64
}
