//! Signed heads of the trail, and what they and verification find of what is done to the journal on the
//! disk.

use std::path::{Path, PathBuf};

use store::{Finding, FindingKind, ProofOf, Tampering};

use super::world::{Tenant, World, patient};

/// A frame of the journal: where it is, and whose record it is.
#[derive(Clone, Debug)]
struct Frame {
    at: usize,
    len: usize,
    tenant: [u8; 16],
    number: u64,
}

/// The only segment of a journal.
struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Segment {
    fn of(world: &World) -> Self {
        let path = world.data().join("journal").join(format!("{:016}.seg", 1));
        let bytes = std::fs::read(&path).unwrap();
        Self { path, bytes }
    }

    fn start(&self) -> usize {
        let count = u64::from_le_bytes(self.bytes[16..24].try_into().unwrap());
        24 + count as usize * 56 + 32
    }

    fn frames(&self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut at = self.start();
        while self.bytes[at..].starts_with(b"IJ1\0") {
            let sealed = u32::from_le_bytes(self.bytes[at + 4..at + 8].try_into().unwrap());
            let len = 76 + sealed as usize;
            frames.push(Frame {
                at,
                len,
                tenant: self.bytes[at + 8..at + 24].try_into().unwrap(),
                number: u64::from_le_bytes(self.bytes[at + 24..at + 32].try_into().unwrap()),
            });
            at += len;
        }
        frames
    }

    /// Puts these pieces in the place of all frames.
    fn put(&mut self, pieces: &[Vec<u8>]) {
        let start = self.start();
        let all = self.bytes.len();
        self.bytes.truncate(start);
        pieces.iter().for_each(|p| self.bytes.extend_from_slice(p));
        self.bytes.resize(all, 0);
        std::fs::write(&self.path, &self.bytes).unwrap();
    }

    fn pieces(&self) -> Vec<Vec<u8>> {
        let frames = self.frames();
        let piece = |f: &Frame| self.bytes[f.at..f.at + f.len].to_vec();
        frames.iter().map(piece).collect()
    }
}

fn heads(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

/// A house with two tenants that were read, closed, and its heads outside.
async fn closed() -> (World, PathBuf) {
    let mut outside = PathBuf::new();
    let world = World::with(|config| {
        outside = config.dir.join("outside");
        config.heads = Some(outside.clone());
        config.limits.journal_segment_bytes = 1 << 20;
    });
    for name in ["abbey", "bridge"] {
        let t = world.create(name).await;
        t.make(patient("1", "One")).await.unwrap();
    }
    for _ in 0..10 {
        for name in ["abbey", "bridge"] {
            world.tenant(name).read("Patient", "1").await;
        }
    }
    world.store.close();
    (world, outside)
}

async fn found(world: &World, outside: &Path) -> Vec<Finding> {
    let t = world.tenant("abbey");
    let permit = t.system(access::Reason::Verify);
    let report = t.store.verify_against(permit, heads(outside)).await;
    report.unwrap().findings
}

/// What verification tells after something is done to the frames.
async fn after(
    change: impl FnOnce(&mut Vec<Vec<u8>>, &dyn Fn(u64) -> usize, &[Frame]),
) -> Vec<Finding> {
    let (world, outside) = closed().await;
    let id = *world.tenant("abbey").store.id().bytes();
    let mut segment = Segment::of(&world);
    let frames = segment.frames();
    let place = |number: u64| {
        let mine = |f: &Frame| f.tenant == id && f.number == number;
        frames.iter().position(mine).unwrap()
    };
    let mut pieces = segment.pieces();
    change(&mut pieces, &place, &frames);
    segment.put(&pieces);
    let world = world.reopen();
    found(&world, &outside).await
}

fn told(findings: &[Finding]) -> Vec<(FindingKind, Option<Tampering>, Option<u64>)> {
    let told = findings.iter().map(|f| (f.kind, f.tampering, f.record));
    told.collect()
}

fn has(findings: &[Finding], tampering: Tampering, record: u64) -> bool {
    let wanted = (FindingKind::Journal, Some(tampering), Some(record));
    told(findings).contains(&wanted)
}

fn contradicts_a_head(findings: &[Finding]) -> bool {
    findings.iter().any(|f| f.kind == FindingKind::Head)
}

#[tokio::test]
async fn what_is_left_alone_verifies() {
    let (world, outside) = closed().await;
    let lines = heads(&outside);
    assert_eq!(lines.len(), 3, "one of each tenant and of the house");
    let world = world.reopen();
    assert_eq!(found(&world, &outside).await, []);
    world.store.tidy();
    world.store.tidy();
    assert_eq!(found(&world, &outside).await, []);
}

#[tokio::test]
async fn an_edited_record_is_found_and_named() {
    let findings = after(|pieces, place, _| {
        let last = pieces[place(5)].len() - 20;
        pieces[place(5)][last] ^= 1;
    })
    .await;
    assert!(has(&findings, Tampering::Edited, 5), "{findings:?}");
    assert!(contradicts_a_head(&findings), "{findings:?}");
    assert_eq!(findings.len(), 2, "{findings:?}");
    let accused = |f: &Finding| f.tampering == Some(Tampering::Rewritten);
    assert!(
        !findings.iter().any(accused),
        "who signed rewrote nothing: {findings:?}"
    );
}

#[tokio::test]
async fn a_deleted_record_is_found_and_named() {
    let findings = after(|pieces, place, _| {
        pieces.remove(place(5));
    })
    .await;
    assert!(has(&findings, Tampering::Deleted, 5), "{findings:?}");
    assert!(contradicts_a_head(&findings), "{findings:?}");
}

#[tokio::test]
async fn a_tail_that_is_cut_off_is_found_and_named() {
    let findings = after(|pieces, place, _| pieces.truncate(place(8))).await;
    assert!(has(&findings, Tampering::CutOff, 8), "{findings:?}");
    assert!(contradicts_a_head(&findings), "{findings:?}");
}

/// Nobody needs a key to cut the end off, whatever is written after it.
#[tokio::test]
async fn a_tail_that_is_cut_off_was_not_rewritten_by_what_came_after() {
    let (world, outside) = closed().await;
    let id = *world.tenant("abbey").store.id().bytes();
    let mut segment = Segment::of(&world);
    let frames = segment.frames();
    let mut pieces = segment.pieces();
    let last = frames.iter().rposition(|f| f.tenant == id).unwrap();
    pieces.remove(last);
    segment.put(&pieces);
    let size = frames[last].number;
    let world = world.reopen();
    for _ in 0..5 {
        world.tenant("abbey").read("Patient", "1").await;
    }
    let mut world = world;
    for _ in 0..2 {
        let findings = found(&world, &outside).await;
        let head = findings
            .iter()
            .find(|f| f.kind == FindingKind::Head)
            .unwrap();
        assert_eq!(head.tampering, Some(Tampering::CutOff), "{findings:?}");
        assert!(head.record.is_some_and(|r| r <= size), "{findings:?}");
        world = world.reopen();
    }
}

#[tokio::test]
async fn an_inserted_record_is_found_and_named() {
    // A copy of one, and one of somebody without the key.
    let findings = after(|pieces, place, _| {
        let copy = pieces[place(5)].clone();
        pieces.insert(place(7), copy);
    })
    .await;
    assert!(has(&findings, Tampering::Inserted, 5), "{findings:?}");
    assert!(contradicts_a_head(&findings), "{findings:?}");
    let findings = after(|pieces, place, _| {
        let mut made = pieces[place(5)].clone();
        let last = made.len() - 20;
        made[last] ^= 1;
        pieces.insert(place(6), made);
    })
    .await;
    assert!(has(&findings, Tampering::Inserted, 5), "{findings:?}");
}

#[tokio::test]
async fn records_in_another_order_are_found_and_named() {
    let findings = after(|pieces, place, _| {
        let (a, b) = (place(5), place(6));
        pieces.swap(a, b);
    })
    .await;
    assert!(has(&findings, Tampering::Reordered, 5), "{findings:?}");
    assert!(contradicts_a_head(&findings), "{findings:?}");
}

#[tokio::test]
async fn records_swapped_between_tenants_are_found_and_named() {
    let findings = after(|pieces, place, frames| {
        let mine = place(5);
        let theirs = |f: &Frame| f.tenant != frames[mine].tenant && f.number == 5;
        let other = frames
            .iter()
            .rposition(|f| theirs(f) && f.tenant != [0; 16])
            .unwrap();
        let ids = [mine, other].map(|at| frames[at].tenant);
        pieces[mine][8..24].copy_from_slice(&ids[1]);
        pieces[other][8..24].copy_from_slice(&ids[0]);
    })
    .await;
    assert!(has(&findings, Tampering::Swapped, 5), "{findings:?}");
    assert!(contradicts_a_head(&findings), "{findings:?}");
}

#[tokio::test]
async fn a_head_that_nobody_signed_is_found() {
    let (world, outside) = closed().await;
    let world = world.reopen();
    let t = world.tenant("abbey");
    let mine = heads(&outside);
    let mine = mine.iter().find(|l| l.contains("abbey")).unwrap();
    let forged = mine.replace("\"size\":", "\"size\":1");
    let permit = t.system(access::Reason::Verify);
    let report = t.store.verify_against(permit, vec![forged]).await.unwrap();
    assert!(contradicts_a_head(&report.findings));
    let permit = t.system(access::Reason::Verify);
    let none = t.store.verify_against(permit, vec!["{}".into()]).await;
    assert_eq!(none.unwrap_err().code(), base::Code::RequestInvalid);
}

#[tokio::test]
async fn heads_are_made_every_thousand_records_and_every_minute() {
    let world = World::new();
    let t = world.create("abbey").await;
    t.make(patient("1", "One")).await.unwrap();
    let sizes = |t: &Tenant<'_>| -> Vec<u64> {
        let id: String = t
            .store
            .id()
            .bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let file = world.data().join("heads").join(format!("{id}.jsonl"));
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .map(|l| l.split("\"size\":").nth(1).unwrap())
            .map(|l| l.split(',').next().unwrap().parse().unwrap())
            .collect()
    };
    world.store.tidy();
    let first = sizes(&t);
    assert_eq!(first.len(), 1);
    for _ in 0..1_100 {
        t.read("Patient", "1").await;
    }
    world.store.tidy();
    assert_eq!(sizes(&t), [first[0], 1_000]);
    world.clock.advance_secs(61);
    world.store.tidy();
    let all = sizes(&t);
    assert_eq!(all.len(), 3);
    assert!(all[2] > 1_100);
    world.clock.advance_secs(61);
    world.store.tidy();
    assert_eq!(sizes(&t).len(), 3, "nothing happened, so there is no head");
    let permit = t.system(access::Reason::Verify);
    let proof = t.store.prove(permit, ProofOf::Record(7), Some(1_000)).await;
    let proof = proof.unwrap();
    assert_eq!((proof.index, proof.path.len()), (Some(6), 10));
    let permit = t.system(access::Reason::Verify);
    let proof = t.store.prove(permit, ProofOf::Growth(1_000), None).await;
    assert!(proof.unwrap().size > 1_100);
    let permit = t.system(access::Reason::Verify);
    let none = t.store.prove(permit, ProofOf::Record(99_999), None).await;
    assert_eq!(none.unwrap_err().code(), base::Code::RequestInvalid);
}

#[tokio::test]
async fn old_records_go_once_nobody_asks_for_them_and_the_rest_verifies() {
    let mut outside = PathBuf::new();
    let world = World::with(|config| {
        outside = config.dir.join("outside");
        config.heads = Some(outside.clone());
        config.audit_retention_days = 30;
    });
    let t = world.create("abbey").await;
    t.make(patient("1", "One")).await.unwrap();
    let other = world.create("bridge").await;
    for _ in 0..3_000 {
        t.read("Patient", "1").await;
    }
    other.make(patient("1", "One")).await.unwrap();
    let segments = || {
        let files = std::fs::read_dir(world.data().join("journal")).unwrap();
        let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|n| n.ends_with(".seg")).collect();
        names.sort();
        names
    };
    let all = segments();
    assert!(all.len() > 2, "{all:?}");
    let hold = |hold: bool| store::SettingsPatch {
        legal_hold: Some(hold),
        ..store::SettingsPatch::default()
    };
    let set = async |on: bool| {
        let name = super::world::name("bridge");
        let change = world
            .store
            .change_tenant(world.house(), &name, None, Some(hold(on)));
        change.await.unwrap();
    };
    world.clock.advance_secs(61);
    world.store.tidy();
    assert_eq!(segments(), all, "they are young");
    set(true).await;
    world.clock.advance_secs(31 * 86_400);
    world.store.tidy();
    let held = segments();
    assert!(held.len() > 1, "the other tenant's are held: {held:?}");
    set(false).await;
    world.store.tidy();
    world.clock.advance_secs(31 * 86_400);
    world.store.tidy();
    world.store.tidy();
    let left = segments();
    assert!(left.len() < all.len(), "{left:?}");
    assert_eq!(left.last(), all.last().max(left.last()));
    assert_eq!(found(&world, &outside).await, []);
    let world = world.reopen();
    assert_eq!(found(&world, &outside).await, []);
    let t = world.tenant("abbey");
    let permit = t.system(access::Reason::Verify);
    let proof = t.store.prove(permit, ProofOf::Growth(3_000), None).await;
    assert!(proof.is_ok(), "{proof:?}");
    // Taking away one more is not the house's doing.
    let first = world.data().join("journal").join(&left[0]);
    if left.len() > 1 {
        std::fs::remove_file(first).unwrap();
        let findings = found(&world, &outside).await;
        let gone = |f: &Finding| f.tampering == Some(Tampering::Deleted);
        assert!(findings.iter().any(gone), "{findings:?}");
    }
}
