//! `kill -9` at moments that nobody chose.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

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
