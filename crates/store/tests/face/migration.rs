//! Data folders made by earlier versions of the schema.

use store::{AuditMode, Method, Read};

use super::raw;
use super::world::{World, found, observation, patient, text};

/// The tables of version 1, in order of name, without those of the index. Never change it.
const TABLES_OF_1: &[&str] = &[
    "actor",
    "change",
    "client",
    "dictionary",
    "meta",
    "resource",
    "version",
];

/// Makes of a database of today what version 1 of the schema had.
const BACK_TO_1: &str = "
DROP TABLE type;
DROP TABLE search_param;
DROP TABLE ix_compartment;
DROP INDEX change_administered;
ALTER TABLE change DROP COLUMN journal;
ALTER TABLE change DROP COLUMN about;
ALTER TABLE client DROP COLUMN opened_us;
ALTER TABLE client DROP COLUMN until_us;
ALTER TABLE client DROP COLUMN roles;
ALTER TABLE client DROP COLUMN vendor;
ALTER TABLE client DROP COLUMN certificates;
ALTER TABLE client DROP COLUMN made;
DROP TABLE vendor;
DROP TABLE vendor_event;
DROP TABLE program_link;
DROP TABLE policy;
DROP TABLE program;
DROP TABLE person;
DROP TABLE signing_key;
DROP TABLE session;
DROP TABLE approval;
DROP TABLE quarantine;
DROP TABLE opening;
DROP TABLE passkey_use;
DROP TABLE alert;
DROP TABLE watched;
DROP TABLE alert_rules;
DROP TABLE scrub;
DROP TABLE ended_token;
DROP TABLE registration;
DROP TABLE identity_provider;
DROP TABLE blob;
DROP TABLE chunk;
ALTER TABLE version DROP COLUMN blob;
UPDATE meta SET value = 1 WHERE key = 'schema';
";

#[tokio::test]
async fn a_folder_of_schema_1_is_brought_up_to_date_when_it_is_opened() {
    // Nothing of the journal is on the disk before it is closed, so no change tells of it.
    let world = World::with(|config| config.audit = AuditMode::Window(600_000));
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    t.put(patient("1", "Uno"), None).await.unwrap();
    // More than one batch of the indexing.
    for i in 0..6 {
        let writes = (0..100)
            .map(|j| t.creating(observation(&format!("o{i}-{j}"), "1")))
            .collect();
        t.commit(writes).await.unwrap();
    }
    t.delete("Observation", "o0-1").await.unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    {
        let db = raw::open(&t);
        db.execute_batch(BACK_TO_1).unwrap();
        let mut read = db
            .prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'ix_%'
                 AND name <> 'system' AND name NOT LIKE 'sqlite_%' ORDER BY name",
            )
            .unwrap();
        let names: Vec<String> = read
            .query_map([], |r| r.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(names, TABLES_OF_1);
    }
    assert!(text(&found(t.read("Patient", "1").await)).contains("Uno"));
    assert!(text(&found(t.vread("Patient", "1", 1).await)).contains("One"));
    assert!(matches!(
        t.read("Observation", "o0-1").await,
        Read::Deleted(_)
    ));
    let report = t.verify().await;
    assert!(report.ok, "{} findings", report.findings.len());
    let db = raw::open(&t);
    let name: String = db
        .query_row(
            "SELECT t.name FROM resource r JOIN type t ON t.id = r.type WHERE r.id = '1'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(name, "Patient");
    let put = t.put(observation("o0-2", "1"), None).await.unwrap();
    assert_eq!(put.stored.unwrap().get().method, Method::Put);
    assert!(t.verify().await.ok);
}

#[tokio::test]
async fn an_interrupted_indexing_is_begun_again() {
    let world = World::new();
    let t = world.create("lakeside").await;
    for i in 0..5 {
        let writes = (0..200)
            .map(|j| t.creating(observation(&format!("o{i}-{j}"), "1")))
            .collect();
        t.commit(writes).await.unwrap();
    }
    let world = world.reopen();
    let t = world.tenant("lakeside");
    raw::open(&t)
        .execute_batch(
            "UPDATE meta SET value = 0 WHERE key = 'index';
             DELETE FROM ix_token WHERE rid > 700; DELETE FROM ix_compartment WHERE rid > 500;
             DELETE FROM ix_type WHERE rid > 600;",
        )
        .unwrap();
    let report = t.verify().await;
    assert!(report.ok, "{} findings", report.findings.len());
    let index: i64 = raw::open(&t)
        .query_row("SELECT value FROM meta WHERE key = 'index'", [], |r| {
            r.get(0)
        })
        .unwrap();
    assert!(index > 0);
}

#[tokio::test]
async fn a_folder_of_a_later_schema_is_left_alone() {
    let world = World::new();
    let t = world.create("lakeside").await;
    t.make(patient("1", "One")).await.unwrap();
    let world = world.reopen();
    let t = world.tenant("lakeside");
    let set = |v: i64| {
        raw::open(&t)
            .execute(
                "UPDATE meta SET value = value + ?1 WHERE key = 'schema'",
                [v],
            )
            .unwrap();
    };
    set(1);
    assert!(t.try_read("Patient", "1").await.is_err());
    set(-1);
    assert!(matches!(t.read("Patient", "1").await, Read::Found(_)));
}
