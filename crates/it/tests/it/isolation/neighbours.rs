//! A tenant's suspension, deletion, damage and load are its own.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testkit::build::{patient, patient_identified, with_id};
use testkit::poll;
use testkit::world::Caller;

use crate::world::{own, shared, tenant};

/// Works on a tenant without a pause until told to stop; how many answers were good, and the
/// first that was not.
fn work(caller: &Caller, stop: &AtomicBool) -> (u32, Option<String>) {
    let mut connection = caller.connect();
    let mut good = 0;
    while !stop.load(Ordering::Relaxed) {
        let id = format!("w{}", good % 50);
        let resource = with_id(patient(&format!("Worker {good}")), &id);
        let put = caller
            .request("PUT", &format!("/Patient/{id}"))
            .fhir(&resource);
        let get = caller.request("GET", &format!("/Patient/{id}"));
        let search = caller.request("GET", "/Patient?family=worker&_count=5");
        for request in [put, get, search] {
            let answer = connection.ask(&request).unwrap();
            if !matches!(answer.status, 200 | 201) {
                return (good, Some(format!("{request:?}: {answer:?}")));
            }
        }
        good += 1;
    }
    (good, None)
}

#[test]
fn suspending_deleting_and_filling_one_disturbs_no_other() {
    let (quiet, noisy) = (tenant(), tenant());
    let (worker, filler) = (quiet.owner(), noisy.owner());
    let stop = AtomicBool::new(false);
    let (good, bad) = thread::scope(|scope| {
        let working = scope.spawn(|| work(&worker, &stop));
        for number in 0..200 {
            filler
                .put(&with_id(patient("Filler"), &format!("f{number}")))
                .expect(201);
        }
        for _ in 0..5 {
            noisy.admin("POST", "/suspend").expect(200);
            filler.get("/Patient/f1").expect(503);
            noisy.admin("POST", "/resume").expect(200);
            filler.get("/Patient/f1").expect(200);
        }
        noisy
            .admin("DELETE", &format!("?confirm={}&grace=0", noisy.name()))
            .expect(202);
        // Its key is destroyed: there is nothing any more, also no tenant.
        filler.get("/Patient/f1").expect(404);
        stop.store(true, Ordering::Relaxed);
        working.join().unwrap()
    });
    assert_eq!(bad, None);
    assert!(good > 10, "the quiet tenant got {good} rounds");
    quiet.verify();
}

#[test]
fn a_suspended_tenant_says_so_and_loses_nothing() {
    let tenant = tenant();
    let caller = tenant.owner();
    caller.put(&with_id(patient("Kept"), "p1")).expect(201);
    tenant.admin("POST", "/suspend").expect(200);
    let answer = caller.get("/Patient/p1").expect(503);
    assert_eq!(answer.json()["resourceType"], "OperationOutcome");
    assert_eq!(answer.codes(), ["tenant-suspended"]);
    assert!(answer.header("retry-after").is_some());
    tenant.admin("POST", "/resume").expect(200);
    caller.get("/Patient/p1").expect(200);
}

#[test]
fn a_shredded_tenant_leaves_a_receipt_and_no_key() {
    let world = own("shred", &[]);
    let (gone, kept) = (world.tenant(), world.tenant());
    let (caller, other) = (gone.owner(), kept.owner());
    caller.put(&with_id(patient("Shredded"), "p1")).expect(201);
    other.put(&with_id(patient("Kept"), "p1")).expect(201);
    let keys = || {
        fs::read_dir(world.server().data().join("keys"))
            .unwrap()
            .count()
    };
    let before = keys();
    gone.admin("DELETE", "?confirm=someone-else").expect(400);
    gone.admin("DELETE", "").expect(400);
    caller.get("/Patient/p1").expect(200);
    gone.admin("DELETE", &format!("?confirm={}&grace=0", gone.name()))
        .expect(202);
    assert_eq!(keys(), before - 1, "the key is destroyed before the answer");
    caller.get("/Patient/p1").expect(404);
    gone.admin("POST", "/resume").expect(409);
    let receipt = gone.admin("GET", "/receipt").expect(200);
    assert!(receipt.text().contains(gone.name()), "{receipt:?}");
    other.get("/Patient/p1").expect(200);
    let folders = || {
        fs::read_dir(world.server().data().join("tenants"))
            .unwrap()
            .count()
    };
    poll::until("the files follow the key", 20, || {
        (folders() == 1).then_some(())
    });
    kept.verify();
}

#[test]
fn a_damaged_tenant_fails_alone() {
    let world = own("damage", &[]);
    let (broken, whole) = (world.tenant(), world.tenant());
    broken
        .owner()
        .put(&with_id(patient("Broken"), "p1"))
        .expect(201);
    whole
        .owner()
        .put(&with_id(patient_identified("Whole", "1"), "p1"))
        .expect(201);
    let (of_broken, of_whole) = (broken.owner().detached(), whole.owner().detached());
    // Which folder is whose is not written on it: the first that was made is the older one.
    let data = world.server().data().to_path_buf();
    let mut folders: Vec<_> = fs::read_dir(data.join("tenants"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort_by_key(|path| fs::metadata(path).unwrap().created().unwrap());
    drop((broken, whole));
    let world = std::sync::Arc::into_inner(world).expect("nobody else holds it");
    let (setup, _folder) = world.stop();
    for entry in fs::read_dir(&folders[0]).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, bytes.iter().map(|b| b ^ 0x5a).collect::<Vec<u8>>()).unwrap();
        }
    }
    let server = setup.start();
    let at = |caller: &Caller| Caller {
        address: server.address().to_owned(),
        ..caller.clone()
    };
    let answer = at(&of_broken).get("/Patient/p1");
    assert_eq!(answer.status, 500, "{answer:?}");
    at(&of_whole).get("/Patient/p1").expect(200);
    assert_eq!(at(&of_whole).found("Patient?identifier=1"), ["p1"]);
}

#[test]
fn a_panicking_request_would_be_one_request() {
    // Nothing known makes the server panic; what came nearest must not have ended it either.
    let world = shared();
    let caller = world.tenant().owner();
    for path in [
        "/Patient?_count=-1",
        "/Patient?_sort=,,",
        "/Patient?birthdate=9999999999",
        "/%00",
    ] {
        let answer = caller.get(path);
        assert!(answer.status < 500, "{path}: {answer:?}");
    }
    caller.get("/Patient").expect(200);
}
