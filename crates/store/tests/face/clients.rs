//! API clients and ways in for bulk loading: kept, revoked, and never good again by putting back what
//! was.

use access::{ClientId, ClientRecord, ImportTimes, NewClient, Reason};
use base::{Code, Limits, Secret};
use store::{FindingKind, KeptClients, RestoreClients};

use super::raw;
use super::world::{Tenant, World, name, new_client, patient};

fn client_id(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}

async fn make(t: &Tenant<'_>, id: &str) -> ClientRecord {
    let secret = Secret::new("s3cret".to_owned());
    let permit = t.system(Reason::Operation);
    t.store
        .create_client(permit, new_client(id, "system/*.rs"), Some(&secret))
        .await
        .unwrap()
}

async fn revoke(t: &Tenant<'_>, id: &str) {
    let permit = t.system(Reason::Operation);
    t.store.revoke_client(permit, &client_id(id)).await.unwrap();
}

/// Whether its secret lets a client in.
async fn is_let_in(t: &Tenant<'_>, id: &str) -> bool {
    let record = t.store.client(&client_id(id)).await.unwrap().unwrap();
    let key = t.store.secret_key().await.unwrap();
    let good = record.authenticate(t.store.id(), &key, "s3cret").is_some();
    assert_eq!(t.store.client_epoch(&record.id).is_some(), good);
    good
}

async fn begin_anew(t: &Tenant<'_>) -> Result<(), store::StoreError> {
    let permit = t.system(Reason::Operation);
    t.store.begin_anew(permit, "Ada", "a forged row").await
}

#[tokio::test]
async fn a_forged_policy_is_never_adopted() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let grants = |name: &str| {
        let text = format!(
            r#"{{"grants":[{{"name":"{name}","who":{{"anyone":true}},"actions":"rs","types":["Patient"]}}]}}"#
        );
        access::Document::parse(&text).unwrap()
    };
    let publish = async |document| {
        let permit = t.system(Reason::Operation);
        t.store
            .publish_policy(permit, document, ("test", false), None)
            .await
    };
    publish(grants("good")).await.unwrap();
    assert!(begin_anew(&t).await.is_err(), "nothing was altered");
    // While it is open, and behind everybody's back.
    raw::open(&t)
        .execute(
            "UPDATE policy SET document = replace(document, 'good', 'evil')",
            [],
        )
        .unwrap();
    let refused = publish(grants("other")).await.unwrap_err();
    assert_eq!(refused.code(), Code::AuditAltered);
    assert!(finds(&t, FindingKind::Client).await);
    begin_anew(&t).await.unwrap();
    assert!(t.verify().await.ok);
    let kept = t.store.policies(t.system(Reason::Operation)).await.unwrap();
    assert!(kept[0].document.to_text().contains("\"grants\":[]"));
    assert!(
        kept[0].reason.contains("Ada: a forged row"),
        "{}",
        kept[0].reason
    );
    assert!(
        kept[1].reason.starts_with("not vouched for: "),
        "{}",
        kept[1].reason
    );
    publish(grants("better")).await.unwrap();
    assert!(t.verify().await.ok);
}

#[tokio::test]
async fn an_older_state_that_was_put_back_is_decided_about_once() {
    let world = World::new();
    let t = world.create("lakeside").await;
    make(&t, "old").await;
    let (path, aside) = (raw::database(&t), world.data().join("aside.db"));
    let world = world.reopen();
    let t = world.tenant("lakeside");
    std::fs::copy(&path, &aside).unwrap();
    for id in ["one", "two", "three"] {
        make(&t, id).await;
    }
    revoke(&t, "old").await;
    let world = world.reopen();
    for beside in ["-wal", "-shm"] {
        let mut name = path.clone().into_os_string();
        name.push(beside);
        let _ = std::fs::remove_file(name);
    }
    std::fs::copy(&aside, &path).unwrap();
    let t = world.tenant("lakeside");
    assert!(finds(&t, FindingKind::Client).await);
    begin_anew(&t).await.unwrap();
    make(&t, "new").await;
    assert!(is_let_in(&t, "new").await);
    // The house knows the chain that was decided for.
    let world = world.reopen();
    let t = world.tenant("lakeside");
    assert!(is_let_in(&t, "new").await, "it is not doubted once more");
    assert!(!is_let_in(&t, "old").await);
    assert!(!finds(&t, FindingKind::Client).await);
    make(&t, "newer").await;
}

async fn finds(t: &Tenant<'_>, kind: FindingKind) -> bool {
    t.verify().await.findings.iter().any(|f| f.kind == kind)
}

#[tokio::test]
async fn clients_are_kept_and_revoked() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let admin = || t.system(access::Reason::Operation);
    let secret = Secret::new("s3cret".to_owned());
    let made = t
        .store
        .create_client(admin(), new_client("a", "system/*.rs"), Some(&secret))
        .await
        .unwrap();
    assert_eq!(t.store.client_epoch(&made.id), Some(made.epoch));
    let again = t
        .store
        .create_client(admin(), new_client("a", "system/*.rs"), Some(&secret))
        .await;
    assert_eq!(again.unwrap_err().code(), Code::DuplicateId);
    let world = world.reopen();
    let t = world.tenant("lakeside");
    let admin = || t.system(access::Reason::Operation);
    let known = t.store.client(&made.id).await.unwrap().unwrap();
    let key = t.store.secret_key().await.unwrap();
    assert!(known.authenticate(t.store.id(), &key, "s3cret").is_some());
    assert!(known.authenticate(t.store.id(), &key, "other").is_none());
    t.store.revoke_client(admin(), &made.id).await.unwrap();
    assert_eq!(t.store.client_epoch(&made.id), None);
    let revoked = t.store.client(&made.id).await.unwrap().unwrap();
    assert!(revoked.revoked && revoked.epoch > made.epoch);
    let unknown = access::ClientId::new("b").unwrap();
    let refused = t.store.revoke_client(admin(), &unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::ClientUnknown);
    assert_eq!(t.store.clients(admin()).await.unwrap().len(), 1);
    assert!(t.verify().await.ok);
}

#[tokio::test]
async fn a_revocation_that_is_taken_back_lets_nobody_in() {
    let world = World::new();
    let t = world.create("lakeside").await;
    make(&t, "vendor").await;
    make(&t, "lab").await;
    revoke(&t, "vendor").await;
    assert!(t.verify().await.ok);
    let world = world.reopen();
    let t = world.tenant("lakeside");
    raw::open(&t)
        .execute(
            "UPDATE client SET epoch = 1, revoked = 0 WHERE id = 'vendor'",
            [],
        )
        .unwrap();
    assert!(!is_let_in(&t, "vendor").await);
    assert!(
        !is_let_in(&t, "lab").await,
        "nothing vouches for any of them"
    );
    assert!(finds(&t, FindingKind::Client).await);
    // Nothing is administered until somebody decides, and what was altered does not become good by it.
    let secret = Secret::new("s3cret".to_owned());
    let permit = t.system(Reason::Operation);
    let refused = t
        .store
        .create_client(permit, new_client("other", "system/*.rs"), Some(&secret))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::AuditAltered);
    assert!(finds(&t, FindingKind::Client).await, "the finding stands");
    begin_anew(&t).await.unwrap();
    make(&t, "other").await;
    assert!(is_let_in(&t, "other").await);
    let world = world.reopen();
    let t = world.tenant("lakeside");
    assert!(is_let_in(&t, "other").await);
    assert!(!is_let_in(&t, "vendor").await);
    assert!(!is_let_in(&t, "lab").await);
    assert!(t.verify().await.ok);
}

#[tokio::test]
async fn facts_about_the_file_are_vouched_for() {
    let world = World::new();
    let t = world.create("lakeside").await;
    make(&t, "vendor").await;
    raw::open(&t)
        .execute(
            "INSERT INTO meta VALUES ('client_secret', randomblob(32))",
            [],
        )
        .unwrap();
    assert!(finds(&t, FindingKind::Client).await);
}

#[tokio::test]
async fn an_older_database_that_is_put_back_lets_no_client_in() {
    let world = World::new();
    let t = world.create("lakeside").await;
    make(&t, "vendor").await;
    t.make(patient("1", "One")).await.unwrap();
    world.store.close();
    let file = raw::database(&t);
    let older = std::fs::read(&file).unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    revoke(&t, "vendor").await;
    world.store.close();
    std::fs::write(&file, older).unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    assert!(!is_let_in(&t, "vendor").await);
    assert!(finds(&t, FindingKind::Client).await);
    assert!(finds(&t, FindingKind::Truncated).await);
}

#[tokio::test]
async fn a_way_in_for_bulk_loading_is_kept_ends_and_is_revoked() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let open = |id: &str, secs: i64| {
        let opened = world.clock_now();
        let new = NewClient {
            import: Some(ImportTimes {
                opened,
                until: opened.plus_secs(secs),
            }),
            ..new_client(id, access::Scopes::IMPORT)
        };
        t.store.open_import(t.system(Reason::Operation), new)
    };
    let record = open("import-1", 60).await.unwrap();
    assert!(record.is_good(world.clock_now()));
    assert!(!is_secret(&t, &record).await, "there is no secret");
    world.clock.advance_secs(61);
    assert!(!record.is_good(world.clock_now()));
    open("import-2", 60).await.unwrap();
    revoke(&t, "import-2").await;
    assert_eq!(t.store.client_epoch(&client_id("import-2")), None);
    // What ended long ago makes room.
    for i in 3..120 {
        open(&format!("import-{i}"), 1).await.unwrap();
        world.clock.advance_secs(2);
    }
    let kept = t.store.clients(t.system(Reason::Operation)).await.unwrap();
    assert!(kept.len() <= 101, "{}", kept.len());
    assert!(t.verify().await.ok);
}

async fn is_secret(t: &Tenant<'_>, record: &ClientRecord) -> bool {
    let key = t.store.secret_key().await.unwrap();
    record.authenticate(t.store.id(), &key, "").is_some()
}

#[tokio::test]
async fn clients_are_bounded() {
    let world = World::with(|c| {
        c.limits = Limits {
            clients_max: 2,
            ..c.limits.clone()
        }
    });
    let t = world.create("lakeside").await;
    make(&t, "a").await;
    make(&t, "b").await;
    let secret = Secret::new(String::new());
    let permit = t.system(Reason::Operation);
    let refused = t
        .store
        .create_client(permit, new_client("c", "system/*.rs"), Some(&secret))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::LimitQuery);
    assert!(is_let_in(&t, "a").await && t.verify().await.ok);
}

#[tokio::test]
async fn a_restored_tenant_lets_in_whom_its_tenant_lets_in_now() {
    let world = World::new();
    let t = world.create("lakeside").await;
    make(&t, "vendor").await;
    make(&t, "lab").await;
    t.make(patient("1", "One")).await.unwrap();
    let file = world.dir.0.join("lakeside.bak");
    let backup = t.system(Reason::Backup);
    t.store.backup(backup, &file).await.unwrap();
    revoke(&t, "vendor").await;
    let restore = async |as_name: &str, clients| {
        let done = world
            .store
            .restore(world.house(), &file, name(as_name), clients)
            .await
            .unwrap();
        let restored = world.tenant(as_name);
        assert!(restored.verify().await.ok);
        let in_now = (
            is_let_in(&restored, "vendor").await,
            is_let_in(&restored, "lab").await,
        );
        (done.clients, in_now)
    };
    let kept = |kept, revoked| KeptClients { kept, revoked };
    let now = restore("as-now", RestoreClients::AsNow).await;
    assert_eq!(now, (kept(1, 1), (false, true)));
    let all = restore("as-then", RestoreClients::Keep).await;
    assert_eq!(all, (kept(1, 1), (false, true)));
    let none = restore("nobody", RestoreClients::Revoke).await;
    assert_eq!(none, (kept(0, 2), (false, false)));
    world
        .store
        .delete_tenant(world.house(), &name("lakeside"), 0)
        .await
        .unwrap();
    let gone = restore("source-gone", RestoreClients::AsNow).await;
    assert_eq!(gone, (kept(0, 2), (false, false)), "nobody knows any more");
    let world = world.reopen();
    assert!(is_let_in(&world.tenant("as-now"), "lab").await);
}

#[tokio::test]
async fn an_older_database_is_noticed_as_it_is_opened_and_as_long_as_it_is_there() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    world.store.close();
    let file = raw::database(&t);
    let older = std::fs::read(&file).unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    t.make(patient("2", "Two")).await.unwrap();
    let count = |world: &World| world.store.metrics().older_databases.get();
    assert_eq!(count(&world), 0);
    world.store.close();
    let newer = std::fs::read(&file).unwrap();
    std::fs::write(&file, older).unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    t.read("Patient", "1").await;
    assert_eq!(count(&world), 1);
    assert!(finds(&t, FindingKind::Truncated).await);
    // What is made since does not cover it up, nor does a restart.
    for n in 3..9 {
        t.make(patient(&n.to_string(), "Other")).await.unwrap();
    }
    assert!(finds(&t, FindingKind::Truncated).await);
    let world = world.reopen();
    let t = world.tenant("lakeside");
    assert_eq!(count(&world), 1);
    assert!(finds(&t, FindingKind::Truncated).await);
    // The right one is put back.
    world.store.close();
    std::fs::write(&file, newer).unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    t.read("Patient", "2").await;
    assert_eq!(count(&world), 0);
}
