//! `search.html#string`

use crate::outcome::Issue;

use super::super::query::Match;
use super::super::rows::{fold, joined};
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::named::Named;
use super::text::unescape;

/// What a value may mean. `:contains` finds what is found without it, too: there the space between words
/// counts only past the beginning.
pub(super) fn values(named: &Named<'_>, text: &str) -> Result<Vec<Match>, Issue> {
    let text = unescape(text);
    let text = cut(&text, VALUE_BYTES_MAX);
    let contains = match named.modifier {
        None => false,
        Some("contains") => true,
        Some("exact") => return Ok(vec![Match::StringExact(text.to_owned())]),
        Some(other) => return Err(named.bad_modifier(other)),
    };
    let folded = folded(named, text)?;
    let begins = Match::StringBegins(joined(&folded).into_owned());
    Ok(match contains {
        true => vec![Match::StringContains(folded), begins],
        false => vec![begins],
    })
}

/// The same of a part of a composite, which means one thing.
pub(super) fn part(named: &Named<'_>, text: &str) -> Result<Match, Issue> {
    let text = unescape(text);
    let folded = folded(named, cut(&text, VALUE_BYTES_MAX))?;
    Ok(Match::StringPrefix(joined(&folded).into_owned()))
}

/// As the index keeps it.
fn folded(named: &Named<'_>, text: &str) -> Result<String, Issue> {
    match fold(text) {
        folded if folded.is_empty() => Err(named.bad_value("the text has no letters to compare")),
        folded => Ok(cut(&folded, VALUE_BYTES_MAX).to_owned()),
    }
}
