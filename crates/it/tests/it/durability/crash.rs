//! `kill -9` at moments that nobody chose.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use serde_json::json;
use testkit::build::{bundle, entry, patient, with_id};
use testkit::http::Connection;
use testkit::world::{create_client, create_tenant, token, verify};
use testkit::{Caller, Folder, Insula, Seed, poll};

use super::{Ledger, check_history};

const ROUNDS: u32 = 6;
const WRITERS: usize = 6;

/// The caller, at the server's newest address.
fn at(server: &Insula, caller: &Caller) -> Caller {
    Caller {
        address: server.address().to_owned(),
        ..caller.clone()
    }
}

#[test]
fn a_crash_loses_nothing_acknowledged() {
    let folder = Folder::new("crash");
    let mut setup = crate::world::setup(&folder.join("data"));
    let mut seed = Seed::new(0x00c0_ffee);
    let mut server = setup.start();
    let callers: Vec<Caller> = ["north", "south"]
        .iter()
        .map(|name| {
            create_tenant(&server, name, &serde_json::json!({}));
            let (id, secret) = create_client(&server, name, &["system/*.cruds"]);
            let token = token(&server, name, &id, &secret);
            Caller::of(&server, name, Some(format!("Bearer {token}")))
        })
        .collect();
    let mut ledgers = vec![Ledger::default(); WRITERS];
    for round in 0..ROUNDS {
        let answered = AtomicU32::new(0);
        let end = 20 + seed.below(200) as u32;
        thread::scope(|scope| {
            for (writer, ledger) in ledgers.iter_mut().enumerate() {
                let caller = at(&server, &callers[writer % callers.len()]);
                let answered = &answered;
                scope.spawn(move || {
                    let who = format!("w{writer}");
                    let mut connection: Connection = caller.connect();
                    let mut number = round * 10_000;
                    while ledger.write(&caller, &mut connection, &who, number) {
                        answered.fetch_add(1, Ordering::Relaxed);
                        number += 1;
                    }
                });
            }
            poll::until("enough answers", 60, || {
                (answered.load(Ordering::Relaxed) >= end).then_some(())
            });
            setup = server.kill();
        });
        server = setup.start();
        for (writer, ledger) in ledgers.iter().enumerate() {
            ledger.check(&at(&server, &callers[writer % callers.len()]));
        }
        for name in ["north", "south"] {
            verify(&server, name);
        }
    }
    for caller in &callers {
        check_history(&at(&server, caller));
    }
}

/// Resources that are there before the parameter is defined: several steps of its build.
const INDEXED: usize = 1_500;
const CRASHES: u64 = 4;

#[test]
fn a_crash_does_not_end_the_building_of_an_index() {
    let folder = Folder::new("building");
    let mut setup = crate::world::setup(&folder.join("data"));
    let mut server = setup.start();
    create_tenant(&server, "north", &json!({}));
    let (id, secret) = create_client(&server, "north", &["system/*.cruds"]);
    let token = token(&server, "north", &id, &secret);
    let caller = Caller::of(&server, "north", Some(format!("Bearer {token}")));
    for some in (0..INDEXED).collect::<Vec<_>>().chunks(500) {
        let put = |n: &usize| {
            let eye = if n.is_multiple_of(3) { "green" } else { "blue" };
            let mut resource = with_id(patient("Eye"), &format!("p{n}"));
            resource["extension"] = json!([{"url": "http://e.org/eye", "valueCode": eye}]);
            entry("PUT", &format!("Patient/p{n}"), Some(resource))
        };
        let all = bundle("transaction", some.iter().map(put));
        caller.post("", &all).expect(200);
    }
    let definition = json!({
        "resourceType": "SearchParameter", "id": "eye", "url": "http://e.org/eye", "name": "eye",
        "status": "active", "description": "x", "code": "eye", "base": ["Patient"], "type": "token",
        "expression": "Patient.extension.where(url = 'http://e.org/eye').value",
    });
    caller.put(&definition).expect(201);
    let mut seed = Seed::new(0x000e_7e00);
    for _ in 0..CRASHES {
        // At a step of the build that nobody chose: each look at its status takes some time.
        for _ in 0..seed.below(4) {
            at(&server, &caller).get("/$reindex-status").expect(200);
        }
        setup = server.kill();
        server = setup.start();
    }
    let caller = at(&server, &caller);
    poll::until("the index is built", 120, || {
        let status = caller.get("/$reindex-status").expect(200).json();
        (status["parameter"][0]["valueCode"] == "complete").then_some(())
    });
    for (eye, count) in [("green", INDEXED / 3), ("blue", INDEXED - INDEXED / 3)] {
        let found = caller.search(&format!("Patient?eye={eye}&_summary=count"));
        assert_eq!(found["total"], json!(count), "{eye}");
    }
    verify(&server, "north");
}
