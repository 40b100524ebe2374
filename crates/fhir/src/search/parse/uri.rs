//! `search.html#uri`

use crate::outcome::Issue;

use super::super::query::Match;
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::named::Named;
use super::text::unescape;

pub(super) fn read(named: &Named<'_>, text: &str) -> Result<Match, Issue> {
    let uri = cut(&unescape(text), VALUE_BYTES_MAX).to_owned();
    match named.modifier {
        None => Ok(Match::Uri(uri)),
        Some("below") => Ok(Match::UriBelow(uri)),
        Some("above") => Ok(Match::UriAbove(uri)),
        Some("contains") => Ok(Match::UriContains(uri)),
        Some(other) => Err(named.bad_modifier(other)),
    }
}
