//! A simulated power cut: the server runs under `strace`, which sees every write, rename and sync
//! it asks of the system. From that record a folder is built as a disk may hold it when the power
//! goes at some line: with everything that was synced before, and of the rest nothing, or any part.
//! A server started on that folder must have everything whose acknowledgement was sent before.

mod shadow;
mod trace;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use testkit::world::{create_client, create_tenant, token, verify};
use testkit::{Caller, Folder, Seed, outside};

use super::Ledger;
use shadow::Rest;
use trace::{Deed, Trace};

const WRITERS: usize = 4;
const WRITES: u32 = 30;
const CUTS: usize = 6;

/// System calls that change files, or send answers.
const CALLS: &str = "trace=openat,open,creat,write,writev,pwrite64,pwritev,ftruncate,fallocate,\
                     fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,\
                     rmdir,link,linkat,copy_file_range,sendfile,mmap,msync,lseek,sendto,sendmsg,\
                     io_uring_enter,sync_file_range";

fn can_trace() -> bool {
    let traced = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        outside::skipped("strace is not there, or may not trace");
    }
    can
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    if !can_trace() {
        return;
    }
    let folder = Folder::new("power");
    let (data, record) = (folder.join("data"), folder.join("record"));
    let record = record.to_str().unwrap();
    // `-D`: the server is our child, not strace's.
    let words = [
        "strace", "-D", "-f", "-qq", "-y", "-xx", "-s", "8000000", "-e", CALLS, "-o", record,
    ];
    let server = crate::world::setup(&data).under(&words).start();
    create_tenant(&server, "clinic", &serde_json::json!({}));
    let (id, secret) = create_client(&server, "clinic", &["system/*.cruds"]);
    let token = token(&server, "clinic", &id, &secret);
    let caller = Caller::of(&server, "clinic", Some(format!("Bearer {token}")));
    let ledgers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (caller, ledgers) = (caller.clone(), &ledgers);
            scope.spawn(move || {
                let mut connection = caller.connect();
                let mut ledger = Ledger::default();
                for number in 0..WRITES {
                    assert!(ledger.write(&caller, &mut connection, &format!("w{writer}"), number));
                }
                ledgers.lock().unwrap().push(ledger);
            });
        }
    });
    drop(server.kill());
    let mut whole = Ledger::default();
    for ledger in ledgers.into_inner().unwrap() {
        whole.kept.extend(ledger.kept);
        whole.sent.extend(ledger.sent);
    }

    let trace = testkit::poll::until("the record is complete", 30, || {
        let text = fs::read_to_string(record).ok()?;
        text.contains("+++ killed by SIGKILL +++")
            .then(|| Trace::read(&text, &data))
    });
    let first = trace
        .answers()
        .find(|(_, text)| text.contains("w0-p0"))
        .expect("an answer")
        .0;
    let mut seed = Seed::new(0x5eed);
    for _ in 0..CUTS {
        let cut = first + 1 + seed.below(trace.lines - first);
        for rest in [Rest::Lost, Rest::Some(Seed::new(seed.number()))] {
            eprintln!("power cut at line {cut} of {}, {rest:?}", trace.lines);
            survives(&trace, cut, rest, &whole, &caller, &folder);
        }
    }
    // The strictest: cut right after the acknowledgements themselves.
    let answers: Vec<usize> = trace
        .answers()
        .map(|(line, _)| line)
        .filter(|l| *l >= first)
        .collect();
    for _ in 0..CUTS {
        let cut = seed.of(&answers) + 1;
        eprintln!("power cut right after an answer, at line {cut}");
        survives(&trace, cut, Rest::Lost, &whole, &caller, &folder);
    }
}

/// Starts a server on what the disk holds, and asks for everything acknowledged before the cut.
fn survives(
    trace: &Trace,
    cut: usize,
    rest: Rest,
    whole: &Ledger,
    caller: &Caller,
    folder: &Folder,
) {
    let copy = folder.join("copy");
    let _ = fs::remove_dir_all(&copy);
    shadow::build(trace, cut, rest, &copy);
    let told: BTreeSet<&str> = trace
        .answers()
        .filter(|(line, _)| *line < cut)
        .flat_map(|(_, text)| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')))
        .collect();
    // The newest version of what is written again and again was perhaps not told yet.
    let kept = whole
        .kept
        .iter()
        .filter(|(id, _)| told.contains(id.as_str()));
    let kept = kept.map(|(id, family)| {
        let family = if id.ends_with("-same") {
            "Family0"
        } else {
            family.as_str()
        };
        (id.clone(), family.to_owned())
    });
    let before = Ledger {
        kept: kept.collect(),
        sent: whole.sent.clone(),
    };
    assert!(!before.kept.is_empty());
    let server = crate::world::setup(&copy).start();
    let caller = Caller {
        address: server.address().to_owned(),
        ..caller.clone()
    };
    before.check(&caller);
    verify(&server, "clinic");
}

#[test]
fn the_record_is_read_as_it_is_meant() {
    let text = "\
7 openat(AT_FDCWD</>, \"\\x2f\\x64\\x2f\\x61\", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 5</d/a>
7 pwrite64(5<\\x2f\\x64\\x2f\\x61>, \"\\x31\\x32\", 2, 0 <unfinished ...>
8 fsync(5</d/a> <unfinished ...>
7 <... pwrite64 resumed>) = 2
8 <... fsync resumed>) = 0
7 write(5</d/a>, \"\\x33\", 1) = 1
7 rename(\"\\x2f\\x64\\x2f\\x61\", \"\\x2f\\x64\\x2f\\x62\") = 0
7 unlink(\"\\x2f\\x64\\x2f\\x63\") = -1 ENOENT (No such file or directory)
7 sendto(9<socket:[1]>, \"\\x48\\x54\\x54\\x50\\x2f\\x6f\\x6b\", 7, 0, NULL, 0) = 7
";
    let trace = Trace::read(text, std::path::Path::new("/d"));
    let shown: Vec<String> = trace
        .deeds
        .iter()
        .map(|deed| match &deed.deed {
            Deed::Write { at, bytes, .. } => {
                format!("{}-{} write {at} {bytes:?}", deed.start, deed.end)
            }
            Deed::Sync { .. } => format!("{}-{} sync", deed.start, deed.end),
            other => format!("{}-{} {other:?}", deed.start, deed.end),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "0-0 Make { place: (0, \"a\"), what: File(0) }",
            "1-3 write 0 [49, 50]",
            "2-4 sync",
            "5-5 write 0 [51]",
            "6-6 Rename { from: (0, \"a\"), to: (0, \"b\") }",
            "8-8 Answer { text: \"HTTP/ok\" }",
        ]
    );
}
