//! One chunk to the server: as a transaction; when that is refused, as a batch, so that only the
//! resources that are at fault are refused.

use std::collections::HashMap;

use base::Code;
use fhir::json::push_json_string;
use serde_json::Value;

use super::split::Item;
use super::way_in::{Said, WayIn, is_passing, refusal};

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is there, in this place (`Type/id`) when the server said so.
    Written(Option<String>),
    /// It was there already, with the same content, in this place.
    Same(Option<String>),
    /// It refers to something that is not there, or not yet.
    Missing(String),
    /// Refused: code and words.
    Refused(Option<String>, String),
}

/// The status of an entry that made no version, as it brought what is there.
const SAME: u16 = 304;

/// Times that a single entry is tried again after a passing failure.
const TRIES: usize = 5;

/// Writes items. One verdict each.
pub(super) fn deliver(way: &WayIn, items: &[Item]) -> anyhow::Result<Vec<Verdict>> {
    let all: Vec<&Item> = items.iter().collect();
    let mut verdicts = vec![Verdict::Written(None); items.len()];
    transaction(way, &all, &mut |at, verdict| {
        if let Some(slot) = verdicts.get_mut(at) {
            *slot = verdict;
        }
    })?;
    Ok(verdicts)
}

type Tell<'t> = &'t mut dyn FnMut(usize, Verdict);

fn transaction(way: &WayIn, items: &[&Item], tell: Tell<'_>) -> anyhow::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let said = way.post(&bundle("transaction", items))?;
    if said.is_good() {
        // Where something is only matters for conditional entries, and what was there already is told by
        // its status.
        let same = said.body.contains("\"304 ");
        if same || items.iter().any(|item| item.conditional.is_some()) {
            tell_each(&said, items, tell);
        } else {
            (0..items.len()).for_each(|at| tell(at, Verdict::Written(None)));
        }
        return Ok(());
    }
    if let [only] = items {
        let (code, words) = said.refusal();
        tell(0, verdict(code, &words, only, 0));
        return Ok(());
    }
    if said.status == 413 {
        return halves(way, items, tell);
    }
    batch(way, items, tell)
}

fn batch(way: &WayIn, items: &[&Item], tell: Tell<'_>) -> anyhow::Result<()> {
    let said = way.post(&bundle("batch", items))?;
    if !said.is_good() {
        return halves(way, items, tell);
    }
    for at in tell_each(&said, items, tell) {
        let Some(item) = items.get(at) else { continue };
        for left in (0..TRIES).rev() {
            let said = way.post(&bundle("transaction", &[*item]))?;
            if said.is_good() {
                tell_each(&said, &[*item], &mut |_, verdict| tell(at, verdict));
                break;
            }
            let (code, words) = said.refusal();
            if left == 0 || !is_passing(said.status, code.as_deref()) {
                tell(at, verdict(code, &words, item, 0));
                break;
            }
        }
    }
    Ok(())
}

/// Sends the first and the second half by themselves.
fn halves(way: &WayIn, items: &[&Item], tell: Tell<'_>) -> anyhow::Result<()> {
    let middle = items.len() / 2;
    let (first, second) = items.split_at(middle);
    transaction(way, first, tell)?;
    transaction(way, second, &mut |at, verdict| tell(middle + at, verdict))
}

/// Tells the verdicts in a batch or transaction response; gives the entries to try again.
fn tell_each(said: &Said, items: &[&Item], tell: Tell<'_>) -> Vec<usize> {
    let mut again = Vec::new();
    let answer: Value = serde_json::from_str(&said.body).unwrap_or(Value::Null);
    for (at, item) in items.iter().enumerate() {
        let response = answer
            .pointer(&format!("/entry/{at}/response"))
            .unwrap_or(&Value::Null);
        let status = response
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let number: u16 = status.get(..3).and_then(|s| s.parse().ok()).unwrap_or(0);
        if (200..300).contains(&number) || number == SAME {
            let location = response.get("location").and_then(Value::as_str);
            let place = location.and_then(|l| place(l, item.type_name));
            tell(
                at,
                match number {
                    SAME => Verdict::Same(place),
                    _ => Verdict::Written(place),
                },
            );
            continue;
        }
        let (code, words) = refusal(response.get("outcome").unwrap_or(&Value::Null));
        if number == 0 || is_passing(number, code.as_deref()) {
            again.push(at);
        } else {
            let words = if words.is_empty() {
                format!("HTTP {status}")
            } else {
                words
            };
            tell(at, verdict(code, &words, item, at));
        }
    }
    again
}

/// The verdict on an item that stood at a place of a request. The place is ours, so words about it
/// are put as words about the resource.
fn verdict(code: Option<String>, words: &str, item: &Item, at: usize) -> Verdict {
    let place = format!("Bundle.entry[{at}]");
    let words = words.replace(&format!("{place}.resource"), item.type_name);
    let words = words.replace(&format!("{place}: "), "");
    if code.as_deref() == Some(Code::ReferenceMissing.as_str()) {
        Verdict::Missing(words)
    } else {
        Verdict::Refused(code, words)
    }
}

/// `Type/id` in a location with or without base and version.
fn place(location: &str, type_name: &str) -> Option<String> {
    let mut steps = location.split('/').skip_while(|step| *step != type_name);
    let (name, id) = (steps.next()?, steps.next()?);
    Some(format!("{name}/{id}"))
}

/// What conditional items became: full URL to literal reference.
pub(super) fn places(items: &[Item], verdicts: &[Verdict]) -> HashMap<String, String> {
    let mut places = HashMap::new();
    for (item, verdict) in items.iter().zip(verdicts) {
        let full_url = item.conditional.as_ref().and_then(|c| c.full_url.as_ref());
        if let (Some(url), Verdict::Written(Some(place)) | Verdict::Same(Some(place))) =
            (full_url, verdict)
        {
            places.insert(url.clone(), place.clone());
        }
    }
    places
}

fn bundle(kind: &str, items: &[&Item]) -> Vec<u8> {
    let bytes: usize = items
        .iter()
        .map(|item| item.body.len() + item.id.len() + 112)
        .sum();
    let mut out = String::with_capacity(bytes + 80);
    out.push_str("{\"resourceType\":\"Bundle\",\"type\":\"");
    out.push_str(kind);
    out.push_str("\",\"entry\":[");
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push('{');
        let (method, url, if_none_exist) = match &item.conditional {
            None => ("PUT", format!("{}/{}", item.type_name, item.id), None),
            Some(asked) => {
                if let Some(full_url) = &asked.full_url {
                    out.push_str("\"fullUrl\":");
                    push_json_string(full_url, &mut out);
                    out.push(',');
                }
                (
                    asked.method,
                    asked.url.clone(),
                    asked.if_none_exist.as_deref(),
                )
            }
        };
        out.push_str("\"resource\":");
        out.push_str(&item.body);
        out.push_str(",\"request\":{\"method\":\"");
        out.push_str(method);
        out.push_str("\",\"url\":");
        push_json_string(&url, &mut out);
        if let Some(criteria) = if_none_exist {
            out.push_str(",\"ifNoneExist\":");
            push_json_string(criteria, &mut out);
        }
        out.push_str("}}");
    }
    out.push_str("]}");
    out.into_bytes()
}
