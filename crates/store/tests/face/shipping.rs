//! Trails for those who ship them: what is wrong with one holds up neither the others nor retention, and
//! a destination that changes takes nothing of another's along.

use access::{Reason, TenantId, decide_system};
use store::{SettingsPatch, ShipOf, ShipPlace, ShippedEvent, ShippingPatch};

use super::raw;
use super::world::{World, name, patient};

/// What comes after a place of the house's destination.
async fn shipped(world: &World, from: ShipPlace) -> (Vec<ShippedEvent>, ShipPlace) {
    let request = world.request();
    let permits = move |of: &TenantId| decide_system(Reason::Shipping, of, request).ok();
    let found = world.store.to_ship(ShipOf::House, from, 10_000, permits);
    found.await.unwrap()
}

fn of<'e>(events: &'e [ShippedEvent], tenant: &str) -> Vec<&'e str> {
    let events = events.iter().filter(|e| e.tenant.as_str() == tenant);
    events.map(|e| e.event.id.as_str()).collect()
}

#[tokio::test]
async fn a_trail_that_cannot_be_read_waits_and_the_others_go_on() {
    let world = World::new();
    for tenant in ["abbey", "bridge"] {
        let t = world.create(tenant).await;
        t.make(patient("1", "One")).await.unwrap();
        t.read("Patient", "1").await;
    }
    let (all, end) = shipped(&world, ShipPlace::default()).await;
    assert_eq!(world.store.ship_lag(end).await.unwrap(), 0);
    let world = world.reopen();
    let path = raw::database(&world.tenant("abbey"));
    let bytes = std::fs::read(&path).unwrap();
    let mut damaged = bytes.clone();
    damaged[2000..2100].fill(0xaa);
    std::fs::write(&path, damaged).unwrap();
    let (events, place) = shipped(&world, ShipPlace::default()).await;
    assert_eq!(of(&events, "abbey"), [""; 0]);
    assert_eq!(of(&events, "bridge"), of(&all, "bridge"));
    assert!(world.store.ship_lag(place.clone()).await.unwrap() > 0);
    // The others' next ones come, and its own once it can be read.
    world.tenant("bridge").read("Patient", "1").await;
    let (events, place) = shipped(&world, place).await;
    assert_eq!((of(&events, "abbey").len(), events.len()), (0, 1));
    std::fs::write(&path, bytes).unwrap();
    let (events, place) = shipped(&world, place).await;
    assert_eq!(of(&events, "abbey"), of(&all, "abbey"));
    assert_eq!(of(&events, "bridge"), [""; 0]);
    assert_eq!(world.store.ship_lag(place).await.unwrap(), 0);
}

#[tokio::test]
async fn a_destination_that_is_taken_back_leaves_what_it_got() {
    let world = World::new();
    let t = world.create("abbey").await;
    let set = async |syslog: &str| {
        let own = ShippingPatch {
            syslog: Some(syslog.to_owned()),
            ..ShippingPatch::default()
        };
        let settings = SettingsPatch {
            audit_shipping: Some(own),
            ..SettingsPatch::default()
        };
        let name = name("abbey");
        let change = world
            .store
            .change_tenant(world.house(), &name, None, Some(settings));
        change.await.unwrap();
    };
    set("tls://siem.example:6514").await;
    for id in ["1", "2", "3"] {
        t.make(patient(id, "One")).await.unwrap();
    }
    let (events, place) = shipped(&world, ShipPlace::default()).await;
    assert_eq!(of(&events, "abbey"), [""; 0]);
    set("").await;
    t.make(patient("4", "One")).await.unwrap();
    let (events, _) = shipped(&world, place).await;
    let told = format!("{events:?}");
    assert!(told.contains("clear audit destination"), "{told}");
    let changes = of(&events, "abbey")
        .into_iter()
        .filter(|id| id.starts_with("trail-w-"));
    assert_eq!(changes.count(), 1, "{told}");
}

#[tokio::test]
async fn retention_waits_for_a_receiver_up_to_a_limit_and_says_so() {
    for (most, goes) in [(0, false), (200 << 10, true)] {
        let world = World::with(|config| {
            config.heads = Some(config.dir.join("outside"));
            config.audit_retention_days = 30;
            config.limits.ship_backlog_bytes_max = most;
        });
        let place = world.store.ship_place("syslog").unwrap();
        let t = world.create("abbey").await;
        t.make(patient("1", "One")).await.unwrap();
        for _ in 0..3_000 {
            t.read("Patient", "1").await;
        }
        let segments = || {
            let files = std::fs::read_dir(world.data().join("journal")).unwrap();
            let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
            names.filter(|n| n.ends_with(".seg")).count()
        };
        let all = segments();
        world.clock.advance_secs(61);
        world.store.tidy();
        world.clock.advance_secs(31 * 86_400);
        world.store.tidy();
        world.store.tidy();
        assert_eq!(segments() < all, goes, "{all} {}", segments());
        let (events, _) = shipped(&world, place).await;
        let told = format!("{events:?}");
        let says = told.contains("remove records that were not shipped");
        assert_eq!(says, goes);
    }
}
