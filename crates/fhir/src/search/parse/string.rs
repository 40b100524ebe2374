//! `search.html#string`

use crate::outcome::Issue;

use super::super::extract::ParamPlan;
use super::super::query::Match;
use super::super::rows::fold;
use super::super::value::fold::spellings;
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::named::{Known, Named};
use super::text::unescape;

/// What a value may mean: punctuation and the space between words are written as people like it.
pub(super) fn values(named: &Named<'_>, text: &str) -> Result<Vec<Match>, Issue> {
    let text = unescape(text);
    let text = cut(&text, VALUE_BYTES_MAX);
    let has_names = |p: &Known<'_>| p.plan.is_some_and(ParamPlan::has_names);
    let as_match = match named.modifier {
        None if named.params.iter().any(has_names) => Match::NamePrefix,
        None => Match::StringPrefix,
        Some("contains") => Match::StringContains,
        Some("exact") => return Ok(vec![Match::StringExact(text.to_owned())]),
        Some(other) => return Err(named.bad_modifier(other)),
    };
    if fold(text).is_empty() {
        return Err(named.bad_value("the text has no letters to compare"));
    }
    let short = |spelling: String| cut(&spelling, VALUE_BYTES_MAX).to_owned();
    let each = spellings(text).into_iter();
    Ok(each.map(|spelling| as_match(short(spelling))).collect())
}

/// The same of a part of a composite, which means one thing.
pub(super) fn part(named: &Named<'_>, text: &str) -> Result<Match, Issue> {
    let text = unescape(text);
    match fold(cut(&text, VALUE_BYTES_MAX)) {
        folded if folded.is_empty() => Err(named.bad_value("the text has no letters to compare")),
        folded => Ok(Match::StringPrefix(
            cut(&folded, VALUE_BYTES_MAX).to_owned(),
        )),
    }
}
