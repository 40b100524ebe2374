//! Who is told of alerts outside, and from where on a clinic is watched.

use super::*;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has a folder of its own")]
fn a_webhook_is_told_until_it_takes_it_and_mail_waits_for_its_gateway() {
    let elsewhere = Elsewhere::default();
    let outside = Outside::new(elsewhere.clone());
    let outbox = std::env::temp_dir().join(format!("insula-mail-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&outbox);
    let mail = MailOutbox {
        dir: Some(outbox.clone()),
        from: "insula@clinic.example".to_owned(),
    };
    let world = World::with(
        |_| {},
        |config| {
            config.outside = outside;
            config.mail = mail;
        },
    );
    let clinic = Clinic::with(world);
    let url = "https://siem.clinic.example/alerts";
    let inside = json!({ "webhook": { "url": "https://inside.example/" } });
    clinic.rules(&inside).refused(400, "outbound-refused");
    let rules = json!({
        "webhook": { "url": url, "secret": "0123456789abcdef0123456789abcdef" },
        "mail": { "to": ["privacy@clinic.example"] },
    });
    clinic.rules(&rules).status(200);
    clinic.patient("namesake", &json!({ "name": [{ "family": "Smith" }] }));
    clinic.look("namesake");
    clinic.world.house.tidy();
    let world = &clinic.world;
    let waiting = |wanted: u64| {
        let counts = world.admin("GET /admin/v1/tenants/lakeside/alerts", &Value::Null);
        counts.status(200).at("/webhook_waiting", wanted);
    };
    waiting(1);
    elsewhere.answer(url, |_| Err(OutboundError::Connection));
    world.tell();
    waiting(1);
    elsewhere.serve(url, &json!({}));
    world.tell();
    waiting(0);
    world.tell();
    assert_eq!(elsewhere.count(url), 2);
    let signed = elsewhere.last(url).signed.unwrap();
    let body: Value = serde_json::from_str(&signed.body).unwrap();
    assert_eq!(body["data"]["rule"], "same-surname");
    assert_eq!(body["data"]["tenant"], "lakeside");
    for hidden in ["namesake", "Smith", &clinic.doctor_id] {
        assert!(!signed.body.contains(hidden), "{}", signed.body);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef0123456789abcdef");
    let text = format!("{}.{}.{}", signed.id, signed.at, signed.body);
    let wanted = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    assert_eq!(signed.signature.unwrap(), format!("v1,{wanted}"));
    // The secret is shown to nobody.
    let told = world
        .fhir(&clinic.auditor, "GET $alert-rules", "")
        .status(200);
    assert!(!String::from_utf8_lossy(&told.body).contains("0123456789abcdef"));
    let mails: Vec<_> = std::fs::read_dir(&outbox)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert_eq!(mails.len(), 1, "{mails:?}");
    let mail = std::fs::read_to_string(&mails[0]).unwrap();
    assert!(mail.starts_with("From: insula@clinic.example\r\nTo: privacy@clinic.example\r\n"));
    assert!(
        mail.contains("\r\n\r\nIn lakeside 1 alert on accesses"),
        "{mail}"
    );
    for hidden in ["namesake", "Smith", "surname", &clinic.doctor_id] {
        assert!(!mail.contains(hidden), "{mail}");
    }
    std::fs::remove_dir_all(&outbox).unwrap();
}

#[test]
fn a_restored_clinic_is_watched_from_its_own_beginning() {
    let clinic = Clinic::new();
    let rules = json!({ "rules": { "failed-sign-ins": { "atLeast": 2 } } });
    clinic.rules(&rules).status(200);
    clinic.patient("p", &json!({}));
    // Its trail is longer than the other one's will be.
    (0..50).for_each(|_| clinic.look("p"));
    let world = &clinic.world;
    world.house.tidy();
    world.clock.forward_secs(61);
    world.house.tidy();
    let file = json!({ "file": "a.backup" });
    world.admin("POST /admin/v1/tenants/lakeside/backup", &file);
    let restored = world.admin("POST /admin/v1/tenants/copy/restore", &file);
    assert!(restored.code < 300, "{restored:?}");
    let open = || {
        world.house.tidy();
        let counts = world.admin("GET /admin/v1/tenants/copy/alerts", &Value::Null);
        counts.status(200).json()["open"].as_u64().unwrap()
    };
    let before = open();
    for _ in 0..2 {
        let browser = Browser::new(world);
        browser
            .sign_in("copy", "nobody", "wrong password")
            .status(401);
    }
    assert_eq!(open(), before + 1);
}

/// An address that takes calls and never answers, and one that answers at once.
#[derive(Clone, Debug, Default)]
struct OneIsSlow {
    quick: std::sync::Arc<tokio::sync::Notify>,
    slow: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl engine::Outbound for OneIsSlow {
    fn send(&self, errand: engine::Errand) -> engine::Sending {
        if errand.url.contains("slow") {
            self.slow.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            return Box::pin(std::future::pending());
        }
        self.quick.notify_one();
        let done = Ok(crate::tests::elsewhere::reply(&json!({})));
        Box::pin(std::future::ready(done))
    }

    fn admits(&self, _: &str) -> Result<(), OutboundError> {
        Ok(())
    }
}

#[test]
fn a_webhook_that_does_not_answer_holds_up_no_other_clinics() {
    let outside = OneIsSlow::default();
    let seam = Outside::new(outside.clone());
    let world = World::with(
        |limits| limits.tenants_told_at_once_max = 3,
        |config| config.outside = seam,
    );
    // Two that are slow take two of three places; the third clinic is told whenever it comes.
    for (tenant, url) in [
        ("aaa", "https://slow.example/1"),
        ("bbb", "https://slow.example/2"),
        ("ccc", "https://quick.example/"),
    ] {
        world.tenant(tenant);
        let draft = json!({ "document": { "grants": [{ "name": "keeper",
            "who": { "roles": ["tenant-administrator"] }, "actions": ["administer"], "types": ["*"] }] },
            "reason": "test" });
        let line = format!("POST /admin/v1/tenants/{tenant}/policy");
        world.admin(&line, &draft).status(201);
        let admin = crate::tests::people::administrator(&world, tenant);
        let rules = json!({ "document": { "webhook": { "url": url },
            "rules": { "failed-sign-ins": { "atLeast": 2 } } }, "reason": "test" });
        let line = format!("POST /t/{tenant}/auth/alert-rules");
        let headers = [crate::tests::world::JSON];
        admin.ask(&line, &headers, &rules.to_string()).status(201);
        for _ in 0..3 {
            let browser = Browser::new(&world);
            browser
                .sign_in(tenant, "nobody", "wrong password")
                .status(401);
        }
    }
    world.house.tidy();
    let told = outside.quick.clone();
    world.tell_until(async move { told.notified().await });
    let waiting = |tenant: &str| {
        let line = format!("GET /admin/v1/tenants/{tenant}/alerts");
        let counts = world.admin(&line, &Value::Null).status(200).json();
        counts["webhook_waiting"].as_u64().unwrap()
    };
    assert!(waiting("aaa") > 0 && waiting("bbb") > 0);
    assert!(outside.slow.load(std::sync::atomic::Ordering::SeqCst) <= 2);
}
