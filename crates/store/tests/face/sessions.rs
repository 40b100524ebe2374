//! Sessions of browsers, and what people approved, that somebody alters in the file.

use std::sync::Arc;

use access::{
    ApprovalRecord, Assurance, ClientId, PersonId, PersonRecord, PersonState, Reason, Scopes,
    SessionRecord,
};
use base::Micros;
use fhir::definitions::Model;
use store::{Approval, BrowserSession, Deed, FindingKind, Person, Proofs};

use super::raw;
use super::world::{Tenant, World, new_client};

fn deed(t: &Tenant<'_>, what: &str) -> Deed {
    Deed {
        permit: t.system(Reason::Operation),
        actor: None,
        what: what.to_owned(),
        alerts: false,
    }
}

/// Ada, two of her sessions and two of her approvals, each `good` or `bad`.
async fn signed_in(t: &Tenant<'_>) -> PersonId {
    let (id, now) = (PersonId::of([7; 16]), t.world.clock_now());
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
        proofs: Proofs::default(),
        made: Micros(0),
    };
    t.store
        .create_person(deed(t, "create person"), person)
        .await
        .unwrap();
    let permit = t.system(Reason::Operation);
    let program = new_client("program", "user/*.rs");
    t.store.create_client(permit, program, None).await.unwrap();
    for (place, name) in ["good", "bad"].into_iter().enumerate() {
        let session = BrowserSession {
            record: SessionRecord {
                id: name.into(),
                cookie: [u8::try_from(place).unwrap(); 32],
                person: id.clone(),
                person_epoch: 1,
                assurance: Assurance::Password,
                authenticated: now,
                until: now.plus_secs(3_600),
                idle_secs: 3_600,
                used: now,
                ended: false,
            },
            began: now,
            agent: "browser".into(),
            address: "10.0.0.1".into(),
            through: None,
        };
        let begin = deed(t, "sign in");
        t.store.begin_session(begin, session, None).await.unwrap();
        let model = Model::of(t.store.id().fhir());
        let approval = Approval {
            record: ApprovalRecord {
                id: name.into(),
                person: id.clone(),
                person_epoch: 1,
                client: ClientId::new("program").unwrap(),
                client_epoch: 1,
                scopes: Arc::new(Scopes::parse("user/Patient.r", model).unwrap()),
                patient: None,
                session: Some(name.into()),
                assurance: Assurance::Password,
                authenticated: now,
                until: now.plus_secs(3_600),
                ended: false,
            },
            began: now,
            code: None,
            refresh: None,
            certificate: None,
            context: None,
            nonce: None,
        };
        let approving = t.store.approve(deed(t, "approve"), approval, None);
        approving.await.unwrap();
    }
    id
}

async fn kinds(t: &Tenant<'_>) -> Vec<FindingKind> {
    let report = t.verify().await;
    report.findings.iter().map(|f| f.kind).collect()
}

/// Which of its sessions and approvals are there once the tenant is opened anew.
async fn left(t: &Tenant<'_>) -> (Vec<String>, Vec<String>) {
    let mut left = (Vec::new(), Vec::new());
    for (place, name) in ["good", "bad"].into_iter().enumerate() {
        let cookie = [u8::try_from(place).unwrap(); 32];
        let session = t.store.session_of_cookie(&cookie).await.unwrap();
        if session.is_some() {
            left.0.push(name.to_owned());
        }
        if t.store.approval(name).await.unwrap().is_some() {
            left.1.push(name.to_owned());
        }
    }
    left
}

fn both(names: &[&str]) -> (Vec<String>, Vec<String>) {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    (names.clone(), names)
}

#[tokio::test]
async fn a_session_or_an_approval_that_was_altered_is_nobodys() {
    for alter in [
        // It has two factors, is somebody else's, ends later, may do more, is of another name.
        "UPDATE session SET record = replace(record, '\"two_factors\":false', '\"two_factors\":true') WHERE id = 'bad';
         UPDATE approval SET record = replace(record, 'user/Patient.r', 'user/*.cruds') WHERE id = 'bad';",
        "UPDATE session SET until_us = until_us + 1 WHERE id = 'bad';
         UPDATE approval SET until_us = until_us + 1 WHERE id = 'bad';",
        "UPDATE session SET record = replace(record, '0707', '0808') WHERE id = 'bad';
         UPDATE approval SET record = replace(record, '0707', '0808') WHERE id = 'bad';",
        "UPDATE session SET seal = NULL WHERE id = 'bad';
         UPDATE approval SET seal = (SELECT seal FROM session WHERE id = 'good') WHERE id = 'bad';",
        "UPDATE session SET seal = (SELECT seal FROM session WHERE id = 'good') WHERE id = 'bad';
         UPDATE approval SET seal = (SELECT seal FROM approval WHERE id = 'good') WHERE id = 'bad';",
    ] {
        let world = World::new();
        let t = world.create("lakeside").await;
        signed_in(&t).await;
        assert!(t.verify().await.ok);
        assert_eq!(left(&t).await, both(&["good", "bad"]));
        let world = world.reopen();
        let t = world.tenant("lakeside");
        assert!(t.verify().await.ok);
        assert_eq!(left(&t).await, both(&["good", "bad"]), "as it was");
        let world = world.reopen();
        let t = world.tenant("lakeside");
        raw::open(&t).execute_batch(alter).unwrap();
        assert_eq!(kinds(&t).await, [FindingKind::List], "{alter}");
        assert_eq!(left(&t).await, both(&["good"]), "{alter}");
        // It is taken away when somebody decides, and nothing else.
        let permit = t.system(Reason::Operation);
        t.store
            .begin_anew(permit, "Ada", "an altered session")
            .await
            .unwrap();
        assert!(t.verify().await.ok);
        assert_eq!(left(&t).await, both(&["good"]));
        let client = ClientId::new("program").unwrap();
        assert!(!t.store.client(&client).await.unwrap().unwrap().revoked);
    }
}

#[tokio::test]
async fn what_people_signed_in_before_there_were_seals_goes_on() {
    let world = World::new();
    let t = world.create("lakeside").await;
    signed_in(&t).await;
    let world = world.reopen();
    let t = world.tenant("lakeside");
    raw::open(&t)
        .execute_batch(
            "ALTER TABLE session DROP COLUMN seal; ALTER TABLE approval DROP COLUMN seal;
             ALTER TABLE client DROP COLUMN made;
             UPDATE meta SET value = 10 WHERE key = 'schema';",
        )
        .unwrap();
    assert!(t.verify().await.ok);
    assert_eq!(left(&t).await, both(&["good", "bad"]));
}
