//! `search.html#date`

use base::Micros;

use crate::outcome::Issue;

use super::super::query::{Match, Prefix};
use super::super::value::date;
use super::named::Named;
use super::text::{prefix, unescape};

pub(super) fn read(named: &Named<'_>, text: &str, now: Micros) -> Result<Match, Issue> {
    let text = unescape(text);
    let (prefix, text) = prefix(&text);
    // A `+` before the zone that the client did not encode arrives as a space.
    let range = date::range(text).or_else(|| date::range(&text.replacen(' ', "+", 1)));
    // Where there is an hour there are minutes (`search.html#date`).
    let minutes = text
        .split_once('T')
        .is_none_or(|(_, time)| time.as_bytes().get(2) == Some(&b':'));
    let range = range.filter(|_| minutes).ok_or_else(|| {
        named.bad_value(
            "not a date: an optional prefix (eq ne gt lt ge le sa eb ap), then YYYY, YYYY-MM, \
             YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.f]][Z|+hh:mm]",
        )
    })?;
    let range = if prefix == Prefix::Ap {
        date::approximate(range, now)
    } else {
        range
    };
    Ok(Match::Date(prefix, range))
}
