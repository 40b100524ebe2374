//! What is held in memory for those who ask is bounded over the house, and one tenant's part of it
//! leaves room for the others.

use std::fs;
use std::io::Read as _;
use std::sync::Mutex;
use std::thread;

use serde_json::json;
use testkit::build::patient;
use testkit::http::{Answer, Connection, Request};
use testkit::poll;
use testkit::world::{Caller, World};

use crate::limits::{metric, names};
use crate::world::own;

/// Bytes of memory that the server's process has now.
fn resident(world: &World) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.server().pid())).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// A POST that announces a body of so many bytes, and all of it but the last byte.
fn all_but_the_end(head: Request, bytes: usize) -> Vec<u8> {
    let head = head.header("Content-Length", &bytes.to_string());
    let mut out = head.bytes();
    out.extend_from_slice(b"{\"resourceType\":\"Patient\",\"id\":\"");
    let end = head.bytes().len() + bytes - 1;
    out.resize(end, b'x');
    out
}

/// Sends the same bytes on so many connections; answers as they come, until `enough` are there.
fn sent_at_once(
    address: &str,
    bytes: &[u8],
    connections: usize,
    enough: usize,
    then: impl FnOnce(&[Answer]),
) {
    let answers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut connection = Connection::open(address).unwrap();
                // A server that has no room may stop reading.
                let _ = connection.send(bytes);
                if let Ok(answer) = connection.answer(false) {
                    answers.lock().unwrap().push(answer);
                }
            });
        }
        let first = poll::until("enough answers", 60, || {
            let answers = answers.lock().unwrap();
            (answers.len() >= enough).then(|| answers.clone())
        });
        then(&first);
    });
}

/// The most memory that the server's process ever had.
fn most_resident(world: &World) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.server().pid())).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

#[test]
fn a_large_binary_is_never_held_whole() {
    const SIZE: usize = 200 << 20;
    let world = own("binary", &[("limits.page_cache_bytes_max", "33554432")]);
    let caller = world.tenant().owner();
    caller.create(&patient("Before"));
    let before = most_resident(&world);
    let bytes: Vec<u8> = (0..SIZE).map(|n| (n * 31 / 7) as u8).collect();
    let put = caller.request("PUT", "/Binary/large");
    let put = put.header("Prefer", "return=minimal");
    caller
        .ask(&put.content("image/x", bytes.clone()))
        .expect(201);
    let raw = caller.get("/Binary/large").expect(200);
    assert!(raw.body == bytes, "other bytes than were sent");
    let json = caller.request("GET", "/Binary/large");
    let json = json.header("Accept", "application/fhir+json");
    let json = caller.ask(&json).expect(200);
    assert!(json.body.len() > SIZE / 3 * 4);
    let grown = most_resident(&world) - before;
    assert!(grown < 100 << 20, "{grown} bytes more than before");
}

fn fhir_post(caller: &Caller, path: &str) -> Request {
    caller
        .request("POST", path)
        .header("Content-Type", "application/fhir+json")
}

#[test]
fn uploads_of_one_tenant_leave_room_for_another() {
    const SIZE: usize = 12 << 20;
    const SENDERS: usize = 60;
    const SHARE: usize = 64 << 20;
    let world = own(
        "uploads",
        &[
            ("limits.tenant_body_bytes_at_once_max", &SHARE.to_string()),
            ("limits.request_ms_max", "15000"),
        ],
    );
    let (greedy, other) = (world.tenant().owner(), world.tenant().owner());
    let id = other.create(&patient("Before"));
    let before = resident(&world);
    let bytes = all_but_the_end(fhir_post(&greedy, "/Patient"), SIZE);
    sent_at_once(&greedy.address, &bytes, SENDERS, 54, |refused| {
        for answer in refused {
            names(answer, 429, "tenant_body_bytes_at_once_max");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
        other.get(&format!("/Patient/{id}")).expect(200);
        other.create(&patient("Beside"));
        let held = metric(&world, "insula_body_bytes_held");
        assert!(held > 0.0 && held <= SHARE as f64, "{held} bytes are held");
        // Beside what is held: what connections read ahead, and memory that the allocator keeps.
        let grown = resident(&world).saturating_sub(before);
        let sent = (SENDERS * SIZE) as u64;
        assert!(grown < sent / 2, "{grown} bytes more than before");
    });
    assert_eq!(metric(&world, "insula_body_bytes_held"), 0.0);
    greedy.create(&patient("After"));
}

#[test]
fn all_bodies_together_are_bounded() {
    let world = own(
        "bodies",
        &[
            ("limits.body_bytes_max", "900000"),
            ("limits.bundle_bytes_max", "900000"),
            ("limits.body_bytes_at_once_max", "2000000"),
            ("limits.open_body_bytes_at_once_max", "120000"),
            ("limits.address_body_bytes_at_once_max", "50000"),
            ("limits.request_ms_max", "3000"),
        ],
    );
    let caller = world.tenant().owner();
    let bytes = all_but_the_end(fhir_post(&caller, "/Patient"), 900_000);
    sent_at_once(&caller.address, &bytes, 4, 3, |refused| {
        for answer in refused {
            names(answer, 503, "body_bytes_at_once_max");
        }
    });
    // Whoever was not recognised yet has room of its own.
    let form = |path: &str| {
        let request = Request::new("POST", &format!("/t/{}{path}", caller_tenant(&caller)));
        request.header("Content-Type", "application/x-www-form-urlencoded")
    };
    let bytes = all_but_the_end(form("/auth/token"), 40_000);
    sent_at_once(&caller.address, &bytes, 3, 2, |refused| {
        for answer in refused {
            assert_eq!(answer.status, 429, "{answer:?}");
            assert!(answer.text().contains("address_body_bytes_at_once_max"));
        }
    });
    drop(world);
    let world = own("open", &[("limits.open_body_bytes_at_once_max", "50000")]);
    let caller = world.tenant().owner();
    let form = Request::new("POST", &format!("/t/{}/auth/token", caller_tenant(&caller)))
        .content("application/x-www-form-urlencoded", "x".repeat(60_000));
    let refused = world.server().ask(&form);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.text().contains("open_body_bytes_at_once_max"));
}

fn caller_tenant(caller: &Caller) -> &str {
    caller.base.split('/').nth(2).unwrap()
}

#[test]
fn a_body_is_read_when_its_caller_may_send_it() {
    let tenant = crate::world::tenant();
    let (reader, nobody) = (
        tenant.client(&["system/Patient.rs"]),
        Caller {
            authorization: None,
            ..tenant.owner()
        },
    );
    let form = |caller: &Caller, path: &str| {
        caller
            .request("POST", path)
            .header("Content-Type", "application/x-www-form-urlencoded")
    };
    let put = |caller: &Caller, path: &str| {
        caller
            .request("PUT", path)
            .header("Content-Type", "application/fhir+json")
    };
    for (request, status) in [
        (fhir_post(&nobody, "/Patient"), 401),
        (fhir_post(&nobody, ""), 401),
        (form(&nobody, "/Patient/_search"), 401),
        (fhir_post(&reader, "/Patient"), 403),
        (put(&reader, "/Patient/p1"), 403),
        (put(&reader, "/Patient?identifier=x"), 403),
        (form(&reader, "/Observation/_search"), 403),
        (
            reader
                .request("POST", "/Binary")
                .header("Content-Type", "text/plain"),
            403,
        ),
    ] {
        // Nothing of the body is ever sent.
        let request = request.header("Content-Length", "1000");
        let mut connection = nobody.connect();
        connection.send(&request.bytes()).unwrap();
        let answer = connection.answer(false).unwrap();
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
    }
}

/// Larger than what the sockets between take by themselves.
const PAGE: usize = 48 << 20;

/// A search whose page is that large.
fn large_page(caller: &Caller) -> Request {
    let mut large = patient("Large");
    large["text"] = json!({"status": "generated", "div": format!(
        "<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", "long ".repeat(PAGE / 20)
    )});
    for _ in 0..4 {
        let post = fhir_post(caller, "/Patient").header("Prefer", "return=minimal");
        let body = Some(large.to_string().into_bytes());
        caller.ask(&Request { body, ..post }).expect(201);
    }
    caller.request("GET", "/Patient")
}

/// Asks, and takes the beginning of the status line only.
fn ask_and_wait(caller: &Caller, request: &Request) -> (Connection, [u8; 12]) {
    let mut connection = caller.connect();
    connection.send(&request.bytes()).unwrap();
    let mut start = [0; 12];
    connection.raw().read_exact(&mut start).unwrap();
    (connection, start)
}

#[test]
fn answers_that_nobody_takes_are_bounded() {
    let share = (120 << 20).to_string();
    let world = own(
        "answers",
        &[("limits.tenant_answer_bytes_at_once_max", &share)],
    );
    let (slow, other) = (world.tenant().owner(), world.tenant().owner());
    let request = large_page(&slow);
    let held: Vec<_> = (0..2).map(|_| ask_and_wait(&slow, &request)).collect();
    for (_, start) in &held {
        assert!(start.ends_with(b"200"), "{start:?}");
    }
    names(&slow.ask(&request), 429, "tenant_answer_bytes_at_once_max");
    other.create(&patient("Beside"));
    drop(held);
    poll::until("what was held is free again", 30, || {
        (metric(&world, "insula_answer_bytes_held") < PAGE as f64).then_some(())
    });
    slow.ask(&request).expect(200);

    drop(world);
    let world = own(
        "all-answers",
        &[("limits.answer_bytes_at_once_max", "1000000")],
    );
    let caller = world.tenant().owner();
    let mut large = patient("Large");
    large["name"][0]["given"] = json!(["x".repeat(600_000)]);
    let post = fhir_post(&caller, "/Patient").header("Prefer", "return=minimal");
    let body = Some(large.to_string().into_bytes());
    caller.ask(&Request { body, ..post }).expect(201);
    names(&caller.get("/Patient"), 503, "answer_bytes_at_once_max");
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    let world = own("stall", &[("limits.answer_stall_ms_max", "300")]);
    let caller = world.tenant().owner();
    let (mut connection, start) = ask_and_wait(&caller, &large_page(&caller));
    assert!(start.ends_with(b"200"), "{start:?}");
    poll::until("what was held is free again", 30, || {
        (metric(&world, "insula_answer_bytes_held") < PAGE as f64).then_some(())
    });
    let mut rest = Vec::new();
    let left = connection.raw().read_to_end(&mut rest);
    assert!(left.is_err() || rest.len() < PAGE, "{} bytes", rest.len());
}

#[test]
fn a_connection_without_requests_is_closed() {
    let world = own("idle", &[("limits.connection_idle_ms_max", "300")]);
    let caller = world.tenant().owner();
    let mut connection = caller.connect();
    let request = caller.request("GET", "/Patient");
    connection.ask(&request).unwrap().expect(200);
    let mut rest = Vec::new();
    connection.raw().read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
}
