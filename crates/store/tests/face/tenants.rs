//! Tenants as a whole.

use base::Code;
use store::{Read, State};

use super::world::{World, found, name, patient, text};

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
