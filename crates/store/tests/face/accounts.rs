//! In which tenants somebody is known by an account elsewhere, without opening any; who operates the house;
//! and that nobody else on the machine may read what is in the folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use access::{PersonId, PersonRecord, PersonState, Reason, TenantId};
use base::Micros;
use store::{Account, Deed, Person, Proofs};

use super::world::{Tenant, World};

fn account(subject: &str) -> Account {
    Account {
        issuer: "https://login.example".to_owned(),
        subject: subject.to_owned(),
    }
}

fn deed(t: &Tenant<'_>) -> Deed {
    Deed {
        permit: t.system(Reason::Operation),
        actor: None,
        what: "change person".to_owned(),
        alerts: false,
    }
}

async fn known_as(t: &Tenant<'_>, subject: &str) -> PersonId {
    let id = PersonId::of([7; 16]);
    let person = Person {
        record: PersonRecord {
            id: id.clone(),
            login: "ada".into(),
            name: "Ada".into(),
            roles: [].into(),
            groups: [].into(),
            fhir_user: None,
            epoch: 1,
            state: PersonState::Active,
        },
        proofs: Proofs {
            accounts: vec![account(subject)],
            ..Proofs::default()
        },
        made: Micros(0),
    };
    t.store.create_person(deed(t), person).await.unwrap();
    id
}

fn names(some: &[TenantId]) -> Vec<&str> {
    some.iter().map(|t| t.name().as_str()).collect()
}

#[tokio::test]
async fn where_an_account_is_known_is_remembered_and_opens_nothing() {
    let world = World::new();
    for name in ["bayside", "hillside", "lakeside"] {
        world.create(name).await;
    }
    let id = known_as(&world.tenant("lakeside"), "u-7").await;
    known_as(&world.tenant("bayside"), "u-8").await;
    // Of one nobody knows anything before somebody looks.
    let (known, unknown) = world.store.tenants_of_account(&account("u-7"));
    assert_eq!(
        (names(&known), names(&unknown)),
        (vec!["lakeside"], vec!["hillside"])
    );
    world.store.look_at_accounts(&unknown[0]).await.unwrap();

    let world = world.reopen();
    let (known, unknown) = world.store.tenants_of_account(&account("u-7"));
    assert_eq!((names(&known), names(&unknown)), (vec!["lakeside"], vec![]));
    assert_eq!(
        world.store.metrics().open_tenants.get(),
        0,
        "none is opened for it"
    );
    // Another account in its place.
    let t = world.tenant("lakeside");
    let change = |person: &mut Person| {
        person.proofs.accounts = vec![account("u-9")];
        Ok(())
    };
    t.store.change_person(deed(&t), &id, change).await.unwrap();
    assert_eq!(world.store.tenants_of_account(&account("u-7")).0, []);
    let world = world.reopen();
    let (known, _) = world.store.tenants_of_account(&account("u-9"));
    assert_eq!(names(&known), ["lakeside"]);
    // A tenant that goes is known no more.
    let name = base::TenantName::new("lakeside").unwrap();
    world
        .store
        .delete_tenant(world.house(), &name, 0)
        .await
        .unwrap();
    assert_eq!(world.store.tenants_of_account(&account("u-9")).0, []);
}

#[tokio::test]
async fn operators_have_names_and_tokens_of_their_own() {
    let world = World::new();
    let actor = |token: &str| {
        let operator = world.store.operator(token)?;
        Some(operator.actor().as_str().to_owned())
    };
    let own = fs::read_to_string(world.data().join("operator.token")).unwrap();
    assert_eq!(actor(own.trim()).as_deref(), Some("operator"));
    let token = "0123456789abcdef0123456789abcdef";
    assert_eq!(actor(token), None);
    let folder = world.data().join("operators");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, token: &str, mode: u32| {
        let path = folder.join(name);
        fs::write(&path, token).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let file = write("ann.token", token, 0o600);
    assert_eq!(actor(token).as_deref(), Some("operator:ann"));
    assert_eq!(actor(&token.to_uppercase()), None);
    // What others can read, is short, or has no name is nobody's.
    let open = "1123456789abcdef0123456789abcdef";
    write("open.token", open, 0o644);
    write("short.token", "0123", 0o600);
    let unnamed = "2123456789abcdef0123456789abcdef";
    write("Bob Smith.token", unnamed, 0o600);
    for bad in [open, "0123", "", unnamed] {
        assert_eq!(actor(bad), None, "{bad}");
    }
    fs::remove_file(file).unwrap();
    assert_eq!(actor(token), None, "from the next request on");
}

#[tokio::test]
async fn nobody_else_may_read_what_is_in_the_folder() {
    let world = World::new();
    world.create("lakeside").await;
    let control = world.data().join("control.db");
    fs::set_permissions(&control, fs::Permissions::from_mode(0o644)).unwrap();
    let world = world.reopen();
    known_as(&world.tenant("lakeside"), "u-7").await;
    let mut folders = vec![world.data().to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for found in fs::read_dir(folder).unwrap() {
            let path = found.unwrap().path();
            let Ok(about) = fs::metadata(&path) else {
                continue;
            };
            if about.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            assert_eq!(about.mode() & 0o077, 0, "{}", path.display());
        }
    }
    assert!(seen > 5, "{seen}");
}
