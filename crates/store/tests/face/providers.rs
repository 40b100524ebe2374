//! Identity providers that an operator set: their end is written down once, when it was done.

use access::Reason;
use store::{Deed, IdentityProvider};

use super::raw;
use super::world::{Tenant, World};

fn deed(t: &Tenant<'_>, what: &str) -> Deed {
    Deed {
        permit: t.system(Reason::Operation),
        actor: None,
        what: what.to_owned(),
        alerts: false,
    }
}

/// What the trail says of the end.
async fn ends(t: &Tenant<'_>) -> usize {
    let permit = t.system(Reason::Verify);
    let page = t.store.audit(permit, 0, 1000).await.unwrap();
    let told = page.lines.iter().filter(|line| {
        let about = line.about.as_deref().unwrap_or_default();
        about.starts_with("identity provider acme ended")
    });
    told.count()
}

#[tokio::test]
async fn an_end_that_was_not_done_is_not_in_the_trail() {
    let world = World::new();
    let t = world.create("lakeside").await;
    let made = r#"{"made":{"by":"operator","at_us":1,"reason":"r","issuer":"i","until_us":2}}"#;
    let provider = IdentityProvider {
        id: "acme".into(),
        record: made.into(),
    };
    let put = t
        .store
        .put_identity_provider(deed(&t, "set"), provider, None);
    put.await.unwrap();
    let forge = |sql: &str| raw::open(&t).execute(sql, []).unwrap();
    forge("INSERT INTO meta (key, value) VALUES ('forged', 1)");
    for _ in 0..3 {
        t.store.end_identity_providers().await.unwrap_err();
    }
    assert_eq!(ends(&t).await, 0);
    forge("DELETE FROM meta WHERE key = 'forged'");
    assert_eq!(t.store.end_identity_providers().await.unwrap(), 1);
    assert_eq!(t.store.end_identity_providers().await.unwrap(), 0);
    assert_eq!(ends(&t).await, 1);
}
