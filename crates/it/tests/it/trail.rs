//! The audit trail judged from outside: heads and proofs by another maker's Merkle tree, and what is
//! done to the files while the program is away.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::build::{patient, with_id};
use testkit::world::{Caller, create_client, create_tenant, token};
use testkit::{Folder, Insula, outside};

pub(crate) fn reader(server: &Insula, tenant: &str) -> Caller {
    let (id, secret) = create_client(server, tenant, &["system/*.cruds", "system/AuditEvent.rs"]);
    let token = token(server, tenant, &id, &secret);
    Caller::of(server, tenant, Some(format!("Bearer {token}")))
}

fn head_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
    files
        .filter(|f| f.extension().is_some_and(|e| e == "jsonl"))
        .collect()
}

#[test]
fn heads_and_proofs_hold_before_another_makers_tree() {
    let Some(python) = outside::client("python/bin/python") else {
        return;
    };
    let has = |module: &str| {
        let import = format!("import {module}");
        let asked = Command::new(&python).args(["-c", &import]).output();
        asked.is_ok_and(|o| o.status.success())
    };
    if !has("pymerkle") || !has("cryptography") {
        outside::skipped("Python lacks pymerkle; `cargo xtask test` brings it");
        return;
    }
    let folder = Folder::new("trail");
    let heads = folder.join("outside");
    let server = crate::world::setup(&folder.join("data"))
        .set("audit.heads", heads.to_str().unwrap())
        .start();
    create_tenant(&server, "north", &json!({}));
    let caller = reader(&server, "north");
    caller.put(&with_id(patient("One"), "1")).expect(201);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        for _ in 0..25 {
            caller.get("/Patient/1").expect(200);
        }
        let head = server.run(&["audit", "--tenant", "north", "--head"]);
        let head: Value = serde_json::from_str(&head).unwrap();
        sizes.push(head["size"].as_u64().unwrap());
    }
    let mut proofs = Vec::new();
    let mut prove = |words: &[&str]| {
        let words: Vec<&str> = ["audit", "--tenant", "north"]
            .into_iter()
            .chain(words.iter().copied())
            .collect();
        let proof = server.run(&words);
        proofs.push(serde_json::from_str::<Value>(&proof).unwrap());
    };
    for size in &sizes {
        for record in [1, 2, 17, *size] {
            let (record, size) = (record.to_string(), size.to_string());
            prove(&["--proof", &record, "--size", &size]);
        }
        for from in &sizes {
            if from <= size {
                let (from, size) = (from.to_string(), size.to_string());
                prove(&["--proof-from", &from, "--size", &size]);
            }
        }
    }
    let (setup, _) = server.stop();
    let mine = head_files(&heads).into_iter().find(|file| {
        let text = fs::read_to_string(file).unwrap();
        text.contains("\"north\"")
    });
    let mine = mine.unwrap();
    let file = folder.join("proofs.json");
    fs::write(&file, Value::from(proofs).to_string()).unwrap();
    let judged = Command::new(&python)
        .arg(format!(
            "{}/clients/pymerkle_judge.py",
            env!("CARGO_MANIFEST_DIR")
        ))
        .args([&folder.join("data/journal"), &mine, &file])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{errors}");
    let words = String::from_utf8(judged.stdout).unwrap();
    let counts: Vec<u64> = words
        .split_whitespace()
        .map(|w| w.parse().unwrap())
        .collect();
    assert_eq!(counts[2..], [12, 6], "{words}");
    drop(setup);
}

/// Changes a byte of the tenth frame; what `verify --heads` prints then.
#[test]
fn the_command_finds_what_was_done_to_the_files() {
    let folder = Folder::new("trail-altered");
    let heads = folder.join("outside");
    let server = crate::world::setup(&folder.join("data"))
        .set("audit.heads", heads.to_str().unwrap())
        .start();
    create_tenant(&server, "north", &json!({}));
    let caller = reader(&server, "north");
    caller.put(&with_id(patient("One"), "1")).expect(201);
    for _ in 0..20 {
        caller.get("/Patient/1").expect(200);
    }
    let outside = heads.to_str().unwrap();
    let verify = ["verify", "--tenant", "north", "--heads", outside, "--json"];
    server.run(&["audit", "--tenant", "north", "--head"]);
    let good: Value = serde_json::from_str(&server.run(&verify)).unwrap();
    assert_eq!(good["ok"], true, "{good}");
    let (setup, _) = server.stop();
    let path = folder.join("data/journal").join(format!("{:016}.seg", 1));
    let mut bytes = fs::read(&path).unwrap();
    let text = b"IJ1\0";
    let frames: Vec<usize> = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, w)| w == text)
        .map(|(at, _)| at)
        .collect();
    // The frame of the last read but some.
    let at = frames[frames.len() - 6];
    let number = u64::from_le_bytes(bytes[at + 24..at + 32].try_into().unwrap());
    bytes[at + 100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let server = setup.start();
    let output = server.spawn(&verify).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let edited = |f: &Value| f["tampering"] == "edited" && f["record"] == number;
    assert!(findings.iter().any(edited), "{report}");
    assert!(findings.iter().any(|f| f["kind"] == "head"), "{report}");
}
