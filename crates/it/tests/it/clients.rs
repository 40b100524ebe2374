//! Clients of other makers, as their users run them: they create, read, update, search through
//! pages and send a transaction. The scripts lie in `crates/it/clients`.

use std::path::Path;
use std::process::Command;

use testkit::outside;

/// Runs a script with the base and a token; it ends with an error when something is not as its
/// client expects.
fn run(program: &Path, script: &str, folder: &Path) {
    let tenant = crate::world::tenant();
    let caller = tenant.owner();
    let token = caller
        .authorization
        .as_deref()
        .unwrap()
        .trim_start_matches("Bearer ")
        .to_owned();
    let output = Command::new(program)
        .arg(format!("{}/clients/{script}", env!("CARGO_MANIFEST_DIR")))
        .args([&tenant.url(), &token])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // Every script leaves the same behind.
    assert_eq!(caller.found("Patient?family=Paged").len(), 7);
    assert_eq!(caller.found("Patient?family=Updated").len(), 1);
    assert_eq!(
        caller
            .found("Observation?subject:Patient.family=Transacted")
            .len(),
        1
    );
    assert!(caller.found("Patient?family=Created").is_empty());
}

#[test]
fn fhirclient() {
    let Some(python) = outside::client("python/bin/python") else {
        return;
    };
    run(&python, "fhirclient_judge.py", &std::env::temp_dir());
}

#[test]
fn fhirpy() {
    let Some(python) = outside::client("python/bin/python") else {
        return;
    };
    run(&python, "fhirpy_judge.py", &std::env::temp_dir());
}

#[test]
fn fhir_kit_client() {
    let Some(_) = outside::client("node/node_modules/fhir-kit-client") else {
        return;
    };
    let folder = outside::client("node").expect("its parent");
    run(Path::new("node"), "fhir_kit_client_judge.mjs", &folder);
}
