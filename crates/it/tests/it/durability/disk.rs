//! A full disk: writes are refused by name, reads go on, and space brings writes back.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::build::{patient, with_id};
use testkit::world::{create_client, create_tenant, token, verify};
use testkit::{Caller, Folder, Request, outside};

/// A small file system of its own; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(path: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path.to_path_buf()));
        }
        outside::skipped("a small file system cannot be mounted here");
        None
    }
}

impl SmallDisk {
    /// Takes all room that is left.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        while file.write(&[7; 4096]).is_ok_and(|n| n > 0) {}
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads() {
    let folder = Folder::new("disk");
    let Some(disk) = SmallDisk::new(&folder.join("small"), 96) else {
        return;
    };
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![0; 24 << 20]).unwrap();
    // Its log is on this disk as well, and will be full with it.
    let server = crate::world::setup(&disk.0.join("data")).start();
    create_tenant(&server, "clinic", &serde_json::json!({}));
    let (id, secret) = create_client(&server, "clinic", &["system/*.cruds"]);
    let token = token(&server, "clinic", &id, &secret);
    let caller = Caller::of(&server, "clinic", Some(format!("Bearer {token}")));
    caller.put(&with_id(patient("First"), "p1")).expect(201);

    // Bytes that no compression makes smaller.
    let mut seed = testkit::Seed::new(7);
    let mut stored = Vec::new();
    let refused = loop {
        let bytes: Vec<u8> = (0..(512 << 10) / 8)
            .flat_map(|_| seed.number().to_le_bytes())
            .collect();
        let request = caller.request("POST", "/Binary");
        let answer = caller.ask(&request.content("application/octet-stream", bytes));
        if answer.status != 201 {
            break answer;
        }
        stored.push(answer.header("location").expect("a Location").to_owned());
        assert!(stored.len() < 400, "the small disk is never full");
    };
    assert!(
        stored.len() > 5,
        "only {} fitted: {refused:?}",
        stored.len()
    );
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.codes(), ["storage-full"]);
    assert!(refused.header("retry-after").is_some());

    for _ in 0..50 {
        caller.get("/Patient/p1").expect(200);
        assert_eq!(caller.found("Patient?family=first"), ["p1"]);
    }
    for location in &stored {
        caller.ask(&caller.follow(location)).expect(200);
    }
    let audited = server.ask(&testkit::Request::new("GET", "/health/live"));
    assert_eq!(audited.status, 200);

    // Space again: without a restart, and with one.
    fs::remove_file(&ballast).unwrap();
    let again = testkit::poll::until("writes come back", 20, || {
        Some(caller.put(&with_id(patient("Second"), "p2"))).filter(|a| a.status != 503)
    });
    again.expect(201);
    verify(&server, "clinic");
    let server = server.kill().start();
    let caller = Caller {
        address: server.address().to_owned(),
        ..caller
    };
    caller.get("/Patient/p1").expect(200);
    caller.get("/Patient/p2").expect(200);
    for location in &stored {
        caller.ask(&caller.follow(location)).expect(200);
    }
    verify(&server, "clinic");
    drop(server);
    drop(disk);
}

/// The file that the journal goes on in next.
fn spare_in(journal: &Path) -> u64 {
    let mut files = fs::read_dir(journal).unwrap().flatten();
    let spare = files.find(|file| file.file_name().to_string_lossy().starts_with("spare-"));
    spare.expect("a spare").metadata().unwrap().ino()
}

#[test]
fn a_server_starts_on_a_full_disk_and_serves_reads() {
    let folder = Folder::new("disk-start");
    let Some(disk) = SmallDisk::new(&folder.join("small"), 96) else {
        return;
    };
    let mut server = crate::world::setup(&disk.0.join("data")).start();
    let names = ["clinic", "abbey", "lake"];
    let callers = names.map(|name| {
        create_tenant(&server, name, &serde_json::json!({}));
        let (id, secret) = create_client(&server, name, &["system/*.cruds"]);
        let token = token(&server, name, &id, &secret);
        let caller = Caller::of(&server, name, Some(format!("Bearer {token}")));
        caller.put(&with_id(patient("First"), "p1")).expect(201);
        caller
    });
    // After a stop, and after it was killed.
    for killed in [false, true] {
        let setup = match killed {
            true => server.kill(),
            false => server.stop().0,
        };
        let ballast = disk.fill();
        let journal = disk.0.join("data/journal");
        let spare = spare_in(&journal);
        server = setup.start();
        // Room that was taken for records of reads is not let go of in between.
        assert_eq!(spare_in(&journal), spare);
        let callers = callers.clone().map(|caller| Caller {
            address: server.address().to_owned(),
            ..caller
        });
        for caller in &callers {
            for _ in 0..5 {
                caller.get("/Patient/p1").expect(200);
                assert_eq!(caller.found("Patient?family=first"), ["p1"]);
            }
            let refused = caller.put(&with_id(patient("Second"), "p2")).expect(503);
            assert_eq!(refused.codes(), ["storage-full"]);
            assert!(refused.text().contains("the disk is full"), "{refused:?}");
            assert!(refused.header("retry-after").is_some());
        }
        let new = serde_json::json!({ "name": "new-one" }).to_string();
        let request = Request::new("POST", "/admin/v1/tenants").content("application/json", new);
        let refused = server.admin(request).expect(503);
        assert_eq!(refused.json()["code"], "storage-full");

        fs::remove_file(ballast).unwrap();
        for caller in &callers {
            let id = format!("again-{killed}");
            let again = testkit::poll::until("writes come back", 20, || {
                Some(caller.put(&with_id(patient("Again"), &id))).filter(|a| a.status != 503)
            });
            again.expect(201);
            caller.get("/Patient/p2").expect(404);
        }
        for name in names {
            verify(&server, name);
        }
        let reserve = fs::metadata(server.data().join("insula.reserve")).unwrap();
        assert_eq!(reserve.len(), 1 << 20);
    }
    drop(server);
    drop(disk);
}

#[test]
fn records_of_reads_go_on_in_what_room_is_left() {
    let folder = Folder::new("disk-journal");
    let Some(disk) = SmallDisk::new(&folder.join("small"), 64) else {
        return;
    };
    let server = crate::world::setup(&disk.0.join("data")).start();
    create_tenant(&server, "clinic", &serde_json::json!({}));
    let (id, secret) = create_client(&server, "clinic", &["system/*.cruds"]);
    let token = token(&server, "clinic", &id, &secret);
    let caller = Caller::of(&server, "clinic", Some(format!("Bearer {token}")));
    caller.put(&with_id(patient("First"), "p1")).expect(201);
    let journal = server.data().join("journal");
    let setup = server.kill();
    // A segment that the power went away from is not gone on with, and there is no other.
    for file in fs::read_dir(&journal).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "seg") {
            let mut segment = fs::File::options().write(true).open(&path).unwrap();
            segment.seek(SeekFrom::End(-1)).unwrap();
            segment.write_all(&[1]).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    let ballast = disk.fill();
    let server = setup.start();
    let caller = Caller {
        address: server.address().to_owned(),
        ..caller
    };
    for _ in 0..50 {
        caller.get("/Patient/p1").expect(200);
    }
    caller.put(&with_id(patient("Second"), "p2")).expect(503);
    let sizes = fs::read_dir(&journal).unwrap().flatten();
    let sizes: Vec<u64> = sizes.map(|file| file.metadata().unwrap().len()).collect();
    assert!(sizes.contains(&(256 << 10)), "{sizes:?}");
    fs::remove_file(ballast).unwrap();
    testkit::poll::until("writes come back", 20, || {
        let answer = caller.put(&with_id(patient("Second"), "p2"));
        (answer.status == 201).then_some(())
    });
    drop(server);
    drop(disk);
}
