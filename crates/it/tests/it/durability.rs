//! What was acknowledged is there: after a crash, after a power cut, on a full disk.

mod crash;
mod disk;
mod import;
mod power;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testkit::build::{bundle, entry, patient, with_id};
use testkit::http::Connection;
use testkit::world::{Caller, matches, word};

/// What a client was told, to be held against what is there later.
#[derive(Clone, Debug, Default)]
struct Ledger {
    /// Patients that were acknowledged, with the family name of the newest acknowledged version.
    kept: BTreeMap<String, String>,
    /// Transactions that were sent, acknowledged or not: the ids of each.
    sent: Vec<Vec<String>>,
}

/// Entries of each transaction.
const WHOLE: usize = 3;

impl Ledger {
    /// Writes the `number`-th thing: mostly a patient, sometimes a transaction. `false` when no
    /// answer came.
    fn write(
        &mut self,
        caller: &Caller,
        connection: &mut Connection,
        who: &str,
        number: u32,
    ) -> bool {
        let ids: Vec<String> = match number % 4 {
            3 => (0..WHOLE)
                .map(|part| format!("{who}-t{number}-{part}"))
                .collect(),
            // The same one again and again, so that there are versions.
            2 => vec![format!("{who}-same")],
            _ => vec![format!("{who}-p{number}")],
        };
        let family = format!("Family{number}");
        let request = if let [id] = ids.as_slice() {
            let resource = with_id(patient(&family), id);
            caller
                .request("PUT", &format!("/Patient/{id}"))
                .fhir(&resource)
        } else {
            self.sent.push(ids.clone());
            let put = |id: &String| {
                let resource = with_id(patient(&family), id);
                entry("PUT", &format!("Patient/{id}"), Some(resource))
            };
            caller
                .request("POST", "")
                .fhir(&bundle("transaction", ids.iter().map(put)))
        };
        let Ok(answer) = connection.ask(&request) else {
            return false;
        };
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        for id in ids {
            self.kept.insert(id, family.clone());
        }
        true
    }

    /// Everything acknowledged is there, and no half of a transaction.
    #[track_caller]
    fn check(&self, caller: &Caller) {
        for (id, family) in &self.kept {
            let found = caller.get(&format!("/Patient/{id}"));
            assert_eq!(found.status, 200, "{id} was acknowledged: {found:?}");
            let found = found.json();
            let newest = word(&found["name"][0], "family");
            // A later version may have been written without its acknowledgement getting through.
            let number = |family: &str| family["Family".len()..].parse::<u32>().unwrap();
            assert!(
                number(newest) >= number(family),
                "{id}: {newest} for {family}"
            );
            if newest == family {
                let query = format!("Patient?_id={id}&family={family}");
                assert_eq!(
                    caller.found(&query),
                    std::slice::from_ref(id),
                    "by the index"
                );
            }
        }
        for ids in &self.sent {
            let there = ids
                .iter()
                .filter(|id| caller.get(&format!("/Patient/{id}")).status == 200);
            let there = there.count();
            assert!(
                there == 0 || there == ids.len(),
                "{there} of the transaction {ids:?}"
            );
        }
    }
}

/// Every version of every patient is there once, and they are counted without a gap.
#[track_caller]
fn check_history(caller: &Caller) {
    let mut versions: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    let mut page = caller.search("Patient/_history?_count=500");
    loop {
        for resource in matches(&page) {
            let version = word(&resource["meta"], "versionId").parse().unwrap();
            let id = word(resource, "id").to_owned();
            assert!(
                versions.entry(id.clone()).or_default().insert(version),
                "{id} {version} twice"
            );
        }
        let Some(next) = testkit::world::link(&page, "next") else {
            break;
        };
        page = caller.ask(&caller.follow(&next)).expect(200).json();
    }
    for (id, versions) in versions {
        let last = versions.last().copied().unwrap();
        assert_eq!(
            versions.len() as u64,
            last,
            "versions of {id}: {versions:?}"
        );
    }
    let counted = &caller.search("Patient/_history?_count=0")["total"];
    assert_ne!(counted, &Value::Null);
}
