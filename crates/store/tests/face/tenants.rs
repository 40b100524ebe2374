//! Tenants as a whole.

use std::path::{Path, PathBuf};

use base::{Code, Secret};
use store::{Read, RestoreClients, State};

use super::raw;
use super::world::{World, found, name, new_client, observation, patient, rng, text};

#[tokio::test]
async fn tenants_are_made_listed_changed_and_come_back_after_a_restart() {
    let world = World::new();
    for tenant in ["hillside", "lakeside", "abbey"] {
        world
            .create(tenant)
            .await
            .make(patient("1", tenant))
            .await
            .unwrap();
    }
    let taken = world.try_create("abbey").await.unwrap_err();
    assert_eq!(taken.code(), Code::TenantExists);
    let world = world.reopen();
    let list = world
        .store
        .list_tenants(world.house(), Some(name("abbey")), 1)
        .await
        .unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].name, name("hillside"));
    for tenant in ["hillside", "lakeside", "abbey"] {
        let t = world.tenant(tenant);
        assert!(text(&found(t.read("Patient", "1").await)).contains(tenant));
        assert!(t.verify().await.ok);
    }
    assert_eq!(
        world.store.state(world.tenant("abbey").store.id()),
        State::Active
    );
}

#[tokio::test]
async fn a_suspended_tenant_keeps_everything_and_its_neighbours_go_on() {
    let world = World::new();
    let a = world.create("abbey").await;
    let b = world.create("bridge").await;
    a.make(patient("1", "A")).await.unwrap();
    world
        .store
        .suspend_tenant(world.house(), &name("abbey"))
        .await
        .unwrap();
    assert_eq!(
        a.try_read("Patient", "1").await.unwrap_err().code(),
        Code::TenantSuspended
    );
    assert_eq!(
        a.make(patient("2", "A")).await.unwrap_err().code(),
        Code::TenantSuspended
    );
    b.make(patient("1", "B")).await.unwrap();
    world
        .store
        .resume_tenant(world.house(), &name("abbey"))
        .await
        .unwrap();
    assert!(text(&found(a.read("Patient", "1").await)).contains("\"A\""));
    assert!(matches!(a.read("Patient", "2").await, Read::Absent));
}

#[tokio::test]
async fn a_deleted_tenant_can_come_back_until_its_key_is_destroyed() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    let key = raw::key_file(&t);
    let info = world
        .store
        .delete_tenant(world.house(), &name("lakeside"), 60)
        .await
        .unwrap();
    assert_eq!(info.state, State::Leaving);
    assert_eq!(
        t.try_read("Patient", "1").await.unwrap_err().code(),
        Code::TenantLeaving
    );
    let early = world
        .store
        .receipt(world.house(), &name("lakeside"))
        .await
        .unwrap_err();
    assert_eq!(early.code(), Code::TenantState);
    world
        .store
        .resume_tenant(world.house(), &name("lakeside"))
        .await
        .unwrap();
    assert!(matches!(t.read("Patient", "1").await, Read::Found(_)));

    world
        .store
        .delete_tenant(world.house(), &name("lakeside"), 60)
        .await
        .unwrap();
    world.clock.advance_secs(29);
    // Said again, it does not begin anew.
    let again = world
        .store
        .delete_tenant(world.house(), &name("lakeside"), 60)
        .await
        .unwrap();
    assert_eq!(again.state, State::Leaving);
    world.clock.advance_secs(30);
    world.store.tidy();
    assert!(key.exists());
    world.clock.advance_secs(2);
    world.store.tidy();
    assert!(!key.exists());
    assert!(!raw::database(&t).parent().unwrap().exists());
    assert!(world.store.directory().resolve(&name("lakeside")).is_none());
    assert_eq!(
        t.try_read("Patient", "1").await.unwrap_err().code(),
        Code::TenantUnknown
    );
    let late = world
        .store
        .resume_tenant(world.house(), &name("lakeside"))
        .await
        .unwrap_err();
    assert_eq!(late.code(), Code::TenantState);
    let world = world.reopen();
    let info = world
        .store
        .tenant_info(world.house(), &name("lakeside"))
        .await
        .unwrap();
    assert_eq!(info.state, State::Gone);
    // The name is free again, for a tenant of its own.
    let again = world.create("lakeside").await;
    assert!(matches!(again.read("Patient", "1").await, Read::Absent));
}

#[tokio::test]
async fn a_legal_hold_keeps_the_key_of_a_leaving_tenant_and_the_grace_goes_on_after_it() {
    let mut world = World::new();
    let t = world.create("lakeside").await;
    let key = raw::key_file(&t);
    drop(t);
    let lakeside = name("lakeside");
    let hold = async |world: &World, on: bool| {
        let patch = store::SettingsPatch {
            legal_hold: Some(on),
            ..store::SettingsPatch::default()
        };
        let store = &world.store;
        let changed = store.change_tenant(world.house(), &lakeside, None, Some(patch));
        changed.await.unwrap()
    };
    let delete = async |world: &World, grace: u64| {
        let store = &world.store;
        store.delete_tenant(world.house(), &lakeside, grace).await
    };
    let left = delete(&world, 90 * 86_400).await.unwrap();
    world.clock.advance_secs(86_400);
    assert_eq!(hold(&world, true).await.state, State::Leaving);
    // Said again, it does not begin anew; neither is it deleted sooner.
    world.clock.advance_secs(40 * 86_400);
    hold(&world, true).await;
    assert_eq!(
        delete(&world, 0).await.unwrap_err().code(),
        Code::TenantState
    );
    world.clock.advance_secs(160 * 86_400);
    world.store.tidy();
    assert!(key.exists(), "it is held");
    world = world.reopen();
    world.store.tidy();
    assert!(key.exists(), "it is held after a restart");
    let lifted = hold(&world, false).await;
    let later = |info: &store::TenantInfo| info.shred_at.unwrap().0;
    assert_eq!(later(&lifted) - later(&left), 200 * 86_400 * 1_000_000);
    world.clock.advance_secs(89 * 86_400 - 1);
    world.store.tidy();
    assert!(key.exists(), "what was left of the grace goes on");
    // Another hold, after which it can be called back.
    hold(&world, true).await;
    world.clock.advance_secs(86_400);
    world.store.tidy();
    assert!(key.exists());
    hold(&world, false).await;
    world.store.tidy();
    assert!(key.exists(), "a second is left");
    world.clock.advance_secs(2);
    world.store.tidy();
    assert!(!key.exists());
}

#[tokio::test]
async fn a_receipt_is_signed_and_names_the_copies() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    let file = world.dir.0.join("lakeside.bak");
    t.store
        .backup(t.system(access::Reason::Backup), &file)
        .await
        .unwrap();
    let moved = world.dir.0.join("moved.bak");
    t.store
        .backup(t.system(access::Reason::Backup), &moved)
        .await
        .unwrap();
    std::fs::remove_file(&moved).unwrap();
    world
        .store
        .restore(world.house(), &file, name("clone"), RestoreClients::AsNow)
        .await
        .unwrap();
    let info = world
        .store
        .delete_tenant(world.house(), &name("lakeside"), 0)
        .await
        .unwrap();
    assert_eq!(info.state, State::Gone);
    assert!(!raw::key_file(&t).exists());
    let text = world
        .store
        .receipt(world.house(), &name("lakeside"))
        .await
        .unwrap();
    let receipt: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(receipt["receipt"]["tenant"], "lakeside");
    assert_eq!(
        receipt["receipt"]["copies"][0]["path"],
        file.display().to_string()
    );
    let copies = &receipt["receipt"]["copies"];
    assert_eq!(copies[1]["name"], "clone", "{copies}");
    assert_eq!(copies.as_array().unwrap().len(), 2, "{copies}");
    let elsewhere = &receipt["receipt"]["copies_not_where_they_were_made"];
    assert_eq!(elsewhere[0]["path"], moved.display().to_string());
    let signed = text
        .split_once("{\"receipt\":")
        .unwrap()
        .1
        .split_once(",\"signature\":")
        .unwrap()
        .0;
    let hex = |v: &serde_json::Value| -> Vec<u8> {
        let t = v.as_str().unwrap();
        (0..t.len() / 2)
            .map(|i| u8::from_str_radix(&t[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    };
    let public = hex(&receipt["signature"]["public_key"]);
    assert_eq!(public, world.store.receipt_key());
    ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public)
        .verify(signed.as_bytes(), &hex(&receipt["signature"]["value"]))
        .unwrap();
}

#[tokio::test]
async fn a_backup_made_while_writing_becomes_a_tenant_of_its_own() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let secret = Secret::new("client secret".to_owned());
    let client = new_client("vendor", "system/*.rs");
    t.store
        .create_client(t.system(access::Reason::Operation), client, Some(&secret))
        .await
        .unwrap();
    for i in 0..50 {
        t.make(observation(&format!("o{i}"), "1")).await.unwrap();
    }
    t.put(observation("o1", "2"), None).await.unwrap();
    t.delete("Observation", "o2").await.unwrap();
    let writes: Vec<_> = (50..150)
        .map(|i| t.creating(observation(&format!("o{i}"), "1")))
        .collect();
    let (store, request) = (t.store.clone(), world.request());
    let writing = tokio::spawn(async move {
        for write in writes {
            let change = store::Change {
                writes: vec![write],
                ..Default::default()
            };
            store.commit(request, change).await.unwrap();
        }
    });
    let file = world.dir.0.join("lakeside.bak");
    t.store
        .backup(t.system(access::Reason::Backup), &file)
        .await
        .unwrap();
    writing.await.unwrap();
    let twice = t
        .store
        .backup(t.system(access::Reason::Backup), &file)
        .await
        .unwrap_err();
    assert_eq!(twice.code(), Code::BackupExists);

    let taken = world
        .store
        .restore(
            world.house(),
            &file,
            name("lakeside"),
            RestoreClients::AsNow,
        )
        .await
        .unwrap_err();
    assert_eq!(taken.code(), Code::TenantExists);
    world
        .store
        .restore(world.house(), &file, name("copy"), RestoreClients::AsNow)
        .await
        .unwrap();
    let copy = world.tenant("copy");
    let report = copy.verify().await;
    assert!(report.ok && report.rows >= 52, "{report:?}");
    assert_ne!(raw::tenant_key(&copy), raw::tenant_key(&t));
    assert!(text(&found(copy.read("Observation", "o1").await)).contains("Patient/2"));
    assert!(matches!(
        copy.read("Observation", "o2").await,
        Read::Deleted(_)
    ));
    copy.make(observation("new", "1")).await.unwrap();
    assert!(copy.verify().await.ok);
    // The client's secret is good in the restored tenant, tokens of the first are not.
    let id = access::ClientId::new("vendor").unwrap();
    let record = copy.store.client(&id).await.unwrap().unwrap();
    let key = copy.store.secret_key().await.unwrap();
    assert!(
        record
            .authenticate(copy.store.id(), &key, "client secret")
            .is_some()
    );
    assert_ne!(
        copy.store.token_key().await.unwrap().public(),
        t.store.token_key().await.unwrap().public()
    );
    // What happens to one does not happen to the other.
    world
        .store
        .delete_tenant(world.house(), &name("lakeside"), 0)
        .await
        .unwrap();
    assert!(matches!(
        copy.read("Observation", "o3").await,
        Read::Found(_)
    ));
}

#[tokio::test]
async fn every_altered_byte_of_a_backup_is_refused() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    let file = world.dir.0.join("lakeside.bak");
    t.store
        .backup(t.system(access::Reason::Backup), &file)
        .await
        .unwrap();
    let good = std::fs::read(&file).unwrap();
    for place in (0..good.len())
        .step_by(good.len() / 40)
        .chain([good.len() - 1])
    {
        let mut bad = good.clone();
        bad[place] ^= 0x20;
        std::fs::write(&file, bad).unwrap();
        let refused = world
            .store
            .restore(world.house(), &file, name("copy"), RestoreClients::AsNow)
            .await
            .unwrap_err();
        assert_eq!(
            refused.code(),
            Code::BackupInvalid,
            "byte {place}: {refused}"
        );
    }
    std::fs::write(&file, &good[..good.len() - 1]).unwrap();
    let refused = world
        .store
        .restore(world.house(), &file, name("copy"), RestoreClients::AsNow)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::BackupInvalid);
    let left: Vec<_> = std::fs::read_dir(world.data().join("tenants"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn a_rotated_key_opens_everything_and_the_old_one_nothing() {
    let world = World::new();
    for tenant in ["abbey", "bridge"] {
        world
            .create(tenant)
            .await
            .make(patient("1", tenant))
            .await
            .unwrap();
    }
    let old = std::fs::read_to_string(world.data().join("insula.key")).unwrap();
    let before = raw::tenant_key(&world.tenant("abbey"));
    assert_eq!(world.store.rotate_key(world.house()).await.unwrap(), 2);
    let new = std::fs::read_to_string(world.data().join("insula.key")).unwrap();
    assert_eq!(new.lines().count(), 2);
    assert_ne!(old, new);
    assert_eq!(
        raw::tenant_key(&world.tenant("abbey")),
        before,
        "data keys stay"
    );
    world
        .create("castle")
        .await
        .make(patient("1", "castle"))
        .await
        .unwrap();
    let world = world.reopen();
    for tenant in ["abbey", "bridge", "castle"] {
        let t = world.tenant(tenant);
        assert!(matches!(t.read("Patient", "1").await, Read::Found(_)));
        assert!(t.verify().await.ok);
    }
}

#[tokio::test]
async fn an_interrupted_rotation_is_finished_at_the_next_start() {
    let world = World::new();
    for tenant in ["abbey", "bridge", "castle"] {
        world
            .create(tenant)
            .await
            .make(patient("1", tenant))
            .await
            .unwrap();
    }
    world.store.close();
    let before = copy_of(&world, "before");
    let world = world.reopen();
    world.store.rotate_key(world.house()).await.unwrap();
    world.store.close();
    let after = copy_of(&world, "after");
    let text = |dir: &Path| std::fs::read_to_string(dir.join("insula.key")).unwrap();
    let both = format!(
        "{}{}\n",
        text(&after),
        text(&before).lines().nth(1).unwrap()
    );
    let mut files: Vec<_> = std::fs::read_dir(after.join("keys"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    files.sort();
    // As a crash would leave it: both keys there, some files wrapped anew, the directory not yet;
    // at last the directory too.
    let mut world = world;
    for anew in 0..=files.len() + 1 {
        world.store.close();
        let control = if anew > files.len() { &after } else { &before };
        std::fs::remove_dir_all(world.data()).unwrap();
        copy_dir(&before, world.data());
        for file in std::fs::read_dir(control)
            .unwrap()
            .map(|e| e.unwrap().file_name())
        {
            if file.to_str().unwrap().starts_with("control.db") {
                std::fs::copy(control.join(&file), world.data().join(&file)).unwrap();
            }
        }
        std::fs::write(world.data().join("insula.key"), &both).unwrap();
        for file in files.iter().take(anew) {
            let at = Path::new("keys").join(file);
            std::fs::copy(after.join(&at), world.data().join(&at)).unwrap();
        }
        world = world.reopen();
        for tenant in ["abbey", "bridge", "castle"] {
            let t = world.tenant(tenant);
            assert!(
                matches!(t.read("Patient", "1").await, Read::Found(_)),
                "{anew}"
            );
        }
        assert_eq!(text(world.data()).lines().count(), 2, "{anew}");
    }
}

fn copy_of(world: &World, as_name: &str) -> PathBuf {
    let to = world.dir.0.join(as_name);
    copy_dir(world.data(), &to);
    to
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|e| e.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn few_tenants_are_open_however_many_there_are() {
    let world = World::with(|c| c.limits.open_tenants_max = 3);
    for i in 0..12 {
        let t = world.create(&format!("clinic-{i}")).await;
        t.make(patient("1", &format!("family-{i}"))).await.unwrap();
    }
    let metrics = world.store.metrics();
    assert!(metrics.open_tenants.get() <= 3);
    for round in 0..3 {
        for i in 0..12 {
            let t = world.tenant(&format!("clinic-{i}"));
            let read = found(t.read("Patient", "1").await);
            assert!(text(&read).contains(&format!("family-{i}")), "{round}");
            assert!(metrics.open_tenants.get() <= 3);
        }
    }
    world.clock.advance_secs(301);
    world.store.tidy();
    assert_eq!(metrics.open_tenants.get(), 0);
    assert!(world.tenant("clinic-5").verify().await.ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_asked_for_by_many_at_once_is_opened_once() {
    let world = World::new();
    world
        .create("lakeside")
        .await
        .make(patient("1", "One"))
        .await
        .unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    let patient_type = super::world::type_id("Patient");
    let reads: Vec<_> = (0..64)
        .map(|_| {
            let id = super::world::id("1");
            let permit = t.permit(access::Target::Instance(patient_type, id.clone()));
            let store = t.store.clone();
            tokio::spawn(async move { store.read(permit, patient_type, &id).await.unwrap() })
        })
        .collect();
    for read in reads {
        found(read.await.unwrap());
    }
    assert_eq!(world.store.metrics().tenant_opens.get(), 1);
}

#[test]
fn a_data_folder_is_held_by_one_process_at_a_time() {
    let world = World::new();
    let again = store::Store::open(
        world.config.clone(),
        world.clock.clone(),
        super::world::rng(9),
    );
    let refused = again.unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
}

#[tokio::test]
async fn a_deletion_that_a_crash_interrupted_is_finished_at_the_next_start() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let key = raw::key_file(&t);
    t.make(patient("1", "One")).await.unwrap();
    world
        .store
        .delete_tenant(world.house(), &name("lakeside"), 60)
        .await
        .unwrap();
    // The key goes, and then the lights.
    std::fs::remove_file(&key).unwrap();
    let refused = world
        .store
        .resume_tenant(world.house(), &name("lakeside"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::TenantState, "nothing could open it");
    let database = raw::database(&t);
    let world = world.reopen();
    let info = world
        .store
        .tenant_info(world.house(), &name("lakeside"))
        .await
        .unwrap();
    assert_eq!(info.state, State::Gone);
    assert!(!database.exists());
    let receipt = world
        .store
        .receipt(world.house(), &name("lakeside"))
        .await
        .unwrap();
    assert!(receipt.contains("lakeside"));
}

#[tokio::test]
async fn a_folder_without_its_key_file_or_its_list_of_tenants_is_left_as_it_is() {
    for lost in ["insula.key", "control.db"] {
        let world = World::new();
        world.create("lakeside").await;
        world.store.close();
        let file = world.data().join(lost);
        let ends = ["", "-wal", "-shm"];
        for end in ends {
            let from = world.data().join(format!("{lost}{end}"));
            let _ = std::fs::rename(&from, world.dir.0.join(format!("kept{end}")));
        }
        let refused = store::Store::open(world.config.clone(), world.clock.clone(), rng(2));
        let refused = refused.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(refused.contains(&format!("{lost} is missing")), "{refused}");
        assert!(!file.exists(), "nothing is made in its place");
        for end in ends {
            let to = world.data().join(format!("{lost}{end}"));
            let _ = std::fs::rename(world.dir.0.join(format!("kept{end}")), to);
        }
        let world = world.reopen();
        assert!(world.tenant("lakeside").verify().await.ok);
    }
}
