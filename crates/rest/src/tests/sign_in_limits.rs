//! Every named limit of signing in, met from outside.

use base::Limits;
use serde_json::{Value, json};

use super::people::{Browser, PASSWORD, administrator, person};
use super::world::World;

const BASE: &str = "/t/lakeside/auth";

fn limited(limits: impl FnOnce(&mut Limits)) -> World {
    let world = World::with(limits, |_| {});
    world.tenant("lakeside");
    world
}

fn ada(n: usize) -> Value {
    json!({ "login": format!("ada{n}"), "name": "Ada" })
}

/// Whoever sends a program's request is nobody yet: it is not read without end.
#[test]
fn parameters_of_a_request() {
    let world = limited(|_| {});
    let admin = administrator(&world, "lakeside");
    let many: Vec<String> = (0..70).map(|n| format!("p{n}=x")).collect();
    let refused = Browser::new(&world).open(&format!("{BASE}/authorize?{}", many.join("&")));
    assert_eq!(refused.code, 400);
    assert!(String::from_utf8_lossy(&refused.body).contains("authorize_parameters_max"));
    let page = admin.open(&format!("{BASE}/account")).status(200);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    let token = super::people::attribute(html.split("name=\"_form\"").nth(1).unwrap(), "value");
    let mut fields = vec![("_form".to_owned(), token.unwrap())];
    fields.extend((0..70).map(|n| (format!("p{n}"), "x".to_owned())));
    let refused = admin.post(&format!("{BASE}/authorize"), &fields);
    assert_eq!(refused.code, 400);
    // What nobody left for is not read at all.
    let far = Browser::new(&world).open(&format!("/auth/callback?state=.x&{}", many.join("&")));
    assert!(far.code == 403 || far.code == 404, "{}", far.code);
}

#[test]
fn people_of_a_tenant() {
    let world = limited(|limits| limits.people_max = 2);
    let admin = administrator(&world, "lakeside");
    admin.api("POST people", &ada(1)).status(201);
    let refused = admin.api("POST people", &ada(2));
    assert!(refused.code >= 400);
    assert!(String::from_utf8_lossy(&refused.body).contains("people_max"));
}

#[test]
fn sessions_of_a_person_and_of_a_tenant() {
    let world = limited(|limits| {
        limits.sessions_per_person_max = 2;
        limits.sessions_max = 4;
    });
    let admin = administrator(&world, "lakeside");
    let (first, _) = person(&admin, &ada(1));
    let more = || {
        let browser = Browser::new(&world);
        browser.sign_in("lakeside", "ada1", PASSWORD).status(303);
        world.clock.forward_secs(1);
        browser
    };
    // However often one person signs in, the oldest sessions of theirs end, and nobody else's.
    let kept: Vec<Browser<'_>> = (0..10).map(|_| more()).collect();
    first.account().status(303);
    kept[7].account().status(303);
    kept[8].account().status(200);
    kept[9].account().status(200);
    admin.account().status(200);
    person(&admin, &ada(2));
    // One more than the tenant may have.
    let invited = admin.api("POST people", &ada(3)).status(201);
    let browser = Browser::new(&world);
    let page = browser.open(&invited.text("/invitation")).status(200);
    let fields = [("password", PASSWORD), ("again", PASSWORD)];
    let refused = browser.send(&page, &format!("{BASE}/invitation"), &fields);
    assert_eq!(refused.code, 503);
    assert!(String::from_utf8_lossy(&refused.body).contains("sessions_max"));
    // Whoever signs out makes room.
    let out = format!("{BASE}/account/sign-out");
    kept[8].send(&kept[8].account(), &out, &[]).status(303);
    Browser::new(&world)
        .sign_in("lakeside", "ada3", PASSWORD)
        .status(303);
}

#[test]
fn a_session_lives_so_long() {
    let world = limited(|limits| {
        limits.session_seconds_max = 1_000;
        limits.session_idle_seconds_max = 600;
    });
    let admin = administrator(&world, "lakeside");
    let (unused, _) = person(&admin, &ada(1));
    world.clock.forward_secs(500);
    admin.account().status(200);
    world.clock.forward_secs(200);
    unused.account().status(303);
    admin.account().status(200);
    world.clock.forward_secs(301);
    admin.account().status(303);
}

#[test]
fn an_invitation_lives_so_long() {
    let world = limited(|limits| limits.invitation_seconds_max = 100);
    let admin = administrator(&world, "lakeside");
    let invited = admin.api("POST people", &ada(1)).status(201);
    let browser = Browser::new(&world);
    browser.open(&invited.text("/invitation")).status(200);
    world.clock.forward_secs(101);
    browser.open(&invited.text("/invitation")).status(410);
}

#[test]
fn a_password_has_so_many_characters() {
    let world = limited(|limits| limits.password_characters_min = PASSWORD.len() as u64 + 1);
    let draft = json!({ "login": "root", "name": "R", "roles": ["tenant-administrator"] });
    let made = world.admin("POST /admin/v1/tenants/lakeside/people", &draft);
    let made = made.status(201);
    let browser = Browser::new(&world);
    let page = browser.open(&made.text("/invitation")).status(200);
    let longer = format!("{PASSWORD}!");
    for (password, code) in [(PASSWORD, 422), (longer.as_str(), 303)] {
        let fields = [("password", password), ("again", password)];
        let done = browser.send(&page, &format!("{BASE}/invitation"), &fields);
        assert_eq!(done.code, code);
    }
}

#[test]
fn wrong_passwords_from_an_address() {
    let world = limited(|limits| {
        limits.wrong_passwords_max = 2;
        limits.sign_in_delay_ms_max = 0;
    });
    let admin = administrator(&world, "lakeside");
    person(&admin, &ada(1));
    let guesser = Browser::new(&world);
    for _ in 0..2 {
        guesser.sign_in("lakeside", "ada1", "wrong").status(401);
    }
    guesser.sign_in("lakeside", "ada1", "wrong").status(429);
    guesser.sign_in("lakeside", "ada1", PASSWORD).status(429);
    let mut elsewhere = Browser::new(&world);
    elsewhere.from = "10.1.1.1".parse().unwrap();
    elsewhere.sign_in("lakeside", "ada1", PASSWORD).status(303);
}

/// Many are behind one address.
#[test]
fn what_strangers_get_wrong_shuts_an_address_to_nobody_who_signs_in_there() {
    let world = limited(|limits| {
        limits.failed_logins_per_minute_max = 3;
        limits.sign_in_delay_ms_max = 0;
    });
    let admin = administrator(&world, "lakeside");
    person(&admin, &ada(1));
    person(&admin, &ada(2));
    let browser = Browser::new(&world);
    browser.sign_in("lakeside", "ada1", PASSWORD).status(303);
    for n in 0..3 {
        let stranger = Browser::new(&world);
        let login = format!("nobody{n}");
        stranger.sign_in("lakeside", &login, "wrong").status(401);
    }
    let stranger = Browser::new(&world);
    stranger.sign_in("lakeside", "nobody9", "wrong").status(429);
    stranger.sign_in("lakeside", "ada2", PASSWORD).status(429);
    let again = Browser::new(&world);
    again.sign_in("lakeside", "ada1", PASSWORD).status(303);
    // Whoever guesses at them waits as before.
    for _ in 0..10 {
        let guesser = Browser::new(&world);
        guesser.sign_in("lakeside", "ada1", "wrong");
    }
    let again = Browser::new(&world);
    again.sign_in("lakeside", "ada1", PASSWORD).status(429);
}
