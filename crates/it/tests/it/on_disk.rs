//! What the book says about the data folder: the script in `docs/src/on-disk.md`, run as it
//! stands there, opens a tenant with nothing but the folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::json::Exact;
use testkit::world::{create_client, create_tenant, token};
use testkit::{Caller, Folder, build, outside};

/// The first Python block of the page.
fn script() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/on-disk.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```python\n").expect("a script");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// A Python that has what the script imports.
fn python() -> Option<PathBuf> {
    let python = outside::client("python/bin/python")?;
    let found = Command::new(&python)
        .args(["-c", "import sqlcipher3, zstandard, cryptography"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        outside::skipped(
            "Python lacks sqlcipher3, zstandard or cryptography; `cargo xtask test` brings them",
        );
    }
    found.then_some(python)
}

/// The lines that the script prints about a tenant.
fn opened(python: &Path, folder: &Folder, tenant: &str) -> Vec<String> {
    let file = folder.join("open_tenant.py");
    fs::write(&file, script()).unwrap();
    let output = Command::new(python)
        .arg(&file)
        .arg(folder.join("data"))
        .arg(tenant)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_script_in_the_book_opens_a_tenant() {
    let Some(python) = python() else { return };
    let folder = Folder::new("on-disk");
    let server = crate::world::setup(&folder.join("data")).start();
    let mut answers = Vec::new();
    for name in ["north", "south"] {
        create_tenant(&server, name, &serde_json::json!({}));
        let (id, secret) = create_client(&server, name, &["system/*.cruds"]);
        let token = token(&server, name, &id, &secret);
        let caller = Caller::of(&server, name, Some(format!("Bearer {token}")));
        let named = build::with_id(build::patient("Grünwald"), "by-name");
        caller.put(&named).expect(201);
        caller.put(&named).expect(200);
        caller
            .put(&build::with_id(build::patient(name), "gone"))
            .expect(201);
        caller.delete("/Patient/gone").expect(204);
        let created = caller.post(
            "/Observation",
            &build::observation("Patient/by-name", "8867-4", 1.5),
        );
        let location = created.expect(201).json();
        let observation = format!("/Observation/{}", location["id"].as_str().unwrap());
        answers
            .push(["/Patient/by-name", &observation].map(|path| caller.get(path).expect(200).body));
    }
    server.stop();
    for (name, answers) in ["north", "south"].iter().zip(answers) {
        let lines = opened(&python, &folder, name);
        assert_eq!(lines.len(), answers.len(), "{lines:?}");
        for (line, answer) in lines.iter().zip(&answers) {
            assert_eq!(
                Exact::read(line.as_bytes()).difference(&Exact::read(answer)),
                None
            );
        }
    }
}
