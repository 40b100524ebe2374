//! Text of dates, numbers and strings to what indexes and searches compare.
//!
//! The same functions read the values of resources and of queries, so that both sides mean the
//! same. Knows no parameters.

pub(crate) mod date;
pub(crate) mod fold;
pub(crate) mod number;
pub(crate) mod place;
pub(crate) mod reference;

/// Bytes of one indexed value. Longer text is indexed by its beginning, and queries are cut alike,
/// so that they still find it. Not configurable: rows that are there were cut to it.
pub(crate) const VALUE_BYTES_MAX: usize = 4_096;

/// The time that a `date`, `dateTime` or `instant` covers at the precision it was written with, in
/// microseconds since 1970; none if the text is none.
pub fn covered(text: &str) -> Option<super::query::Range<i64>> {
    date::range(text)
}

/// The beginning of `text` that has at most `bytes_max` bytes, cut between characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// A code of which the case does not count, as it is kept and compared.
pub(crate) fn caseless(code: &str) -> String {
    cut(&code.to_lowercase(), VALUE_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests;
