//! `search.html#string`

use crate::outcome::Issue;

use super::super::query::Match;
use super::super::rows::fold;
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::named::Named;
use super::text::unescape;

pub(super) fn read(named: &Named<'_>, text: &str) -> Result<Match, Issue> {
    let text = unescape(text);
    let text = cut(&text, VALUE_BYTES_MAX);
    let folded = || match fold(text) {
        folded if folded.is_empty() => Err(named.bad_value("the text has no letters to compare")),
        folded => Ok(cut(&folded, VALUE_BYTES_MAX).to_owned()),
    };
    match named.modifier {
        None => Ok(Match::StringPrefix(folded()?)),
        Some("contains") => Ok(Match::StringContains(folded()?)),
        Some("exact") => Ok(Match::StringExact(text.to_owned())),
        Some(other) => Err(named.bad_modifier(other)),
    }
}
