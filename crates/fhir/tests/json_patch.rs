//! JSON Patch beside another implementation of it: random documents, random patches, the same end.
//!
//! The one rule that only ours has, that arrays and objects left empty are taken away, is taken out
//! of the comparison where the patch takes something away.
#![cfg(test)]

use fhir::json;
use fhir::patch::{self, Bounds};
use fhir::xml;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const BOUNDS: Bounds = Bounds {
    operations_max: 100,
    bytes_max: 1 << 20,
    depth_max: 64,
    steps_max: 1_000_000,
    xml: xml::Bounds {
        depth_max: 64,
        attributes_max: 64,
        issues_max: 20,
    },
};

/// Names that need escapes in a pointer and in JSON, and names that look like places in arrays.
const NAMES: [&str; 8] = ["a", "b", "~", "/", "0", "-", "ä\"\n", ""];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-9i64..1000).prop_map(Value::from),
        proptest::sample::select(vec!["", "x", "é\u{1f600}", "\\\"/\t"]).prop_map(Value::from),
    ]
}

/// A value without empty arrays and objects.
fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        let member = (proptest::sample::select(NAMES.to_vec()), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 1..4).prop_map(Value::Array),
            proptest::collection::vec(member, 1..5).prop_map(|members| {
                let members = members.into_iter().map(|(n, v)| (n.to_owned(), v));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// A pointer into a value, mostly to something that is there.
fn pointer(of: &Value, walk: &[u8]) -> String {
    let (mut at, mut path) = (of, String::new());
    for step in walk {
        let step = usize::from(*step);
        let (name, next) = match at {
            Value::Array(items) => match items.get(step % (items.len() + 2)) {
                Some(item) => ((step % (items.len() + 2)).to_string(), Some(item)),
                None if step.is_multiple_of(3) => ("-".to_owned(), None),
                None if step % 3 == 1 => (items.len().to_string(), None),
                None => ("01".to_owned(), None),
            },
            Value::Object(members) => match members.iter().nth(step % (members.len() + 2)) {
                Some((name, value)) => (name.clone(), Some(value)),
                None => (NAMES[step % NAMES.len()].to_owned(), None),
            },
            _ if step.is_multiple_of(4) => ("a".to_owned(), None),
            _ => break,
        };
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    path
}

/// What one operation is made of.
type Seed = (u8, Vec<u8>, Vec<u8>, Value, bool);

fn seed() -> impl Strategy<Value = Seed> {
    let walk = || proptest::collection::vec(any::<u8>(), 0..4);
    (0u8..6, walk(), walk(), value(), any::<bool>())
}

fn operation(of: &Value, (op, path, from, value, same): &Seed) -> Value {
    let (path, from) = (pointer(of, path), pointer(of, from));
    match op {
        0 => json!({ "op": "add", "path": path, "value": value }),
        1 => json!({ "op": "remove", "path": path }),
        2 => json!({ "op": "replace", "path": path, "value": value }),
        // The other one does not move the whole document to where it is.
        3 if !from.is_empty() => json!({ "op": "move", "path": path, "from": from }),
        3 | 4 => json!({ "op": "copy", "path": path, "from": from }),
        _ => {
            let there = of.pointer(&path).filter(|_| *same);
            json!({ "op": "test", "path": path, "value": there.unwrap_or(value) })
        }
    }
}

/// Without arrays and objects that hold nothing.
fn pruned(value: Value) -> Option<Value> {
    Some(match value {
        Value::Array(items) => {
            let items: Vec<Value> = items.into_iter().filter_map(pruned).collect();
            (!items.is_empty()).then_some(Value::Array(items))?
        }
        Value::Object(members) => {
            let kept = members.into_iter();
            let kept: Map<_, _> = kept.filter_map(|(n, v)| Some((n, pruned(v)?))).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))?
        }
        scalar => scalar,
    })
}

fn ours(document: &Value, patch: &Value) -> Result<Value, String> {
    let (document, patch) = (document.to_string(), patch.to_string());
    let document = json::parse(document.as_bytes(), 64).unwrap();
    let patch = json::parse(patch.as_bytes(), 64).unwrap();
    let done = patch::json::apply(document.root(), patch.root(), &BOUNDS);
    let done = done.map_err(|issue| issue.diagnostics)?;
    Ok(serde_json::from_str(&done).unwrap())
}

fn theirs(document: &Value, patch: &Value) -> Result<Value, String> {
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|e| e.to_string())?;
    let mut done = document.clone();
    json_patch::patch_unsafe(&mut done, &patch).map_err(|e| e.to_string())?;
    Ok(done)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_implementations_agree(document in value(), seeds in proptest::collection::vec(seed(), 1..5)) {
        // Each operation is made for the document that those before it leave.
        let (mut now, mut operations) = (document.clone(), Vec::new());
        for seed in &seeds {
            let one = operation(&now, seed);
            if let Ok(next) = theirs(&now, &json!([one])) {
                now = next;
            }
            operations.push(one);
        }
        let takes = |o: &Value| o["op"] == "remove" || o["op"] == "move";
        let takes_away = operations.iter().any(takes);
        let patch = Value::Array(operations);
        match (ours(&document, &patch), theirs(&document, &patch)) {
            (Ok(ours), Ok(theirs)) if takes_away => prop_assert_eq!(pruned(ours), pruned(theirs)),
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (Err(_), Err(_)) => {}
            (ours, theirs) => prop_assert!(false, "{patch} on {document}: {ours:?} {theirs:?}"),
        }
    }
}
