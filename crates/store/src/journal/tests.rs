#![expect(clippy::disallowed_methods, reason = "a test has a folder of its own")]

use std::sync::atomic::{AtomicU8, Ordering};

use super::*;

struct Counting(AtomicU8);

impl Rng for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        buffer
            .iter_mut()
            .for_each(|b| *b = self.0.fetch_add(1, Ordering::Relaxed));
    }
}

static RNG: Counting = Counting(AtomicU8::new(0));
const A: [u8; 16] = [1; 16];
const B: [u8; 16] = [2; 16];

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("insula-journal-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }

    fn open(&self) -> Journal {
        Journal::open(&self.0, 64 << 10, AuditMode::Window(1)).unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut all: Vec<_> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "seg"))
            .collect();
        all.sort();
        all
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn key(byte: u8) -> Secret<[u8; 32]> {
    Secret::new([byte; 32])
}

fn records(journal: &Journal, tenant: [u8; 16], k: u8) -> (Vec<String>, Scan) {
    let mut seen = Vec::new();
    let scan = journal
        .scan(tenant, &key(k), &mut |_, r| {
            seen.push(String::from_utf8(r.to_vec()).unwrap());
        })
        .unwrap();
    (seen, scan)
}

fn fill(journal: &Journal, from: u32, count: u32) {
    let (a, b) = (
        journal.pen(A, &key(1), &RNG).unwrap(),
        journal.pen(B, &key(2), &RNG).unwrap(),
    );
    for i in from..from + count {
        let _ = journal.append(&a, format!("a{i}").as_bytes()).unwrap();
        let _ = journal.append(&b, format!("b{i}").as_bytes()).unwrap();
    }
}

#[test]
fn records_come_back_in_order_over_segments_and_restarts() {
    let folder = Folder::new("order");
    for round in 0..3 {
        let journal = folder.open();
        fill(&journal, round * 1000, 1000);
        let (seen, scan) = records(&journal, A, 1);
        let expected: Vec<_> = (0..(round + 1) * 1000).map(|i| format!("a{i}")).collect();
        assert_eq!(seen, expected);
        assert_eq!(scan.broken_at, None);
        assert_eq!(scan.head, journal.head(&A));
    }
    assert!(folder.segments().len() > 3);
}

#[test]
fn another_tenants_key_opens_nothing() {
    let folder = Folder::new("keys");
    let journal = folder.open();
    fill(&journal, 0, 3);
    let (seen, scan) = records(&journal, A, 2);
    assert!(seen.is_empty());
    assert_eq!(scan.broken_at, Some(1));
}

#[test]
fn a_torn_tail_is_left_behind_and_the_chain_goes_on() {
    let folder = Folder::new("torn");
    let journal = folder.open();
    fill(&journal, 0, 10);
    let end = journal.shared.state.lock().current.end();
    drop(journal);
    let path = folder.segments().pop().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"IJ1\0half a frame", end).unwrap();

    let journal = folder.open();
    fill(&journal, 10, 10);
    let (seen, scan) = records(&journal, B, 2);
    assert_eq!(seen.len(), 20);
    assert_eq!(scan.broken_at, None);
}

#[test]
fn every_changed_byte_of_a_record_shows() {
    use std::os::unix::fs::FileExt;
    let folder = Folder::new("changed");
    let journal = folder.open();
    fill(&journal, 0, 5);
    let path = folder.segments().pop().unwrap();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let start = segment::header_len(0) as u64;
    let end = journal.shared.state.lock().current.end();
    for at in start..end {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let good = |k, t| {
            let (seen, scan) = records(&journal, t, k);
            seen.len() == 5 && scan.broken_at.is_none() && scan.head == journal.head(&t)
        };
        assert!(!(good(1, A) && good(2, B)), "byte {at}");
        file.write_all_at(&byte, at).unwrap();
    }
}

#[test]
fn strict_mode_waits_for_the_disk() {
    let folder = Folder::new("strict");
    let journal = Journal::open(&folder.0, 64 << 10, AuditMode::Strict).unwrap();
    let pen = journal.pen(A, &key(1), &RNG).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for _ in 0..20 {
        let ticket = journal.append(&pen, b"x").unwrap();
        runtime.block_on(journal.durable(ticket)).unwrap();
        assert!(journal.shared.flushed.borrow().upto >= ticket.0);
    }
}

#[test]
fn without_room_the_reserve_is_used_and_then_access_is_refused() {
    let folder = Folder::new("full");
    let journal = folder.open();
    let pen = journal.pen(A, &key(1), &RNG).unwrap();
    let _ = journal.append(&pen, b"first").unwrap();
    // The folder goes away under the journal: no further segment can be made.
    // (A spare without room keeps the flusher from making another in between.)
    let unfit = Segment::spare(&folder.0, 1).unwrap();
    journal.shared.state.lock().spare = Some(unfit);
    std::fs::rename(&folder.0, folder.0.with_extension("gone")).unwrap();
    std::fs::write(&folder.0, b"not a folder").unwrap();
    let refused = (0..10_000).find_map(|_| journal.append(&pen, &[b'x'; 100]).err());
    assert_eq!(refused.unwrap().code(), Code::AuditUnavailable);
    drop(journal);
    std::fs::remove_file(&folder.0).unwrap();
    std::fs::rename(folder.0.with_extension("gone"), &folder.0).unwrap();
}
