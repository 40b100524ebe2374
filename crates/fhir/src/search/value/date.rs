//! Dates and times to ranges of microseconds (`search.html#date`).

use base::Micros;
use base::clock::days_from_civil;

use crate::search::query::Range;

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 86_400_000_000;

/// The time that a `date`, `dateTime` or `instant` covers at the precision it was written with:
/// `2013-01` is all of January, `2013-01-14T10:00` one minute. Hours without minutes are taken too
/// (queries may have them). Without a zone, UTC is meant. Fractions beyond microseconds are cut.
///
/// `None` if the text is not such a date or names a day that no calendar has.
pub(crate) fn range(text: &str) -> Option<Range<i64>> {
    let (day, time) = match text.split_once('T') {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let mut parts = day.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts
        .next()
        .map(|m| digits(m, 2))
        .map_or(Some(None), |m| m.map(Some))?;
    let day = parts
        .next()
        .map(|d| digits(d, 2))
        .map_or(Some(None), |d| d.map(Some))?;
    if parts.next().is_some() || year == 0 {
        return None;
    }
    let (low, high) = match (month, day) {
        (None, _) => (civil(year, 1, 1)?, civil(year + 1, 1, 1)?),
        (Some(month), None) => {
            let low = civil(year, month, 1)?;
            let high = if month == 12 {
                civil(year + 1, 1, 1)?
            } else {
                civil(year, month + 1, 1)?
            };
            (low, high)
        }
        (Some(month), Some(day)) => {
            let low = civil(year, month, day)?;
            (low, low + DAY_US)
        }
    };
    match time {
        None => Some(Range { low, high }),
        Some(time) => {
            day?;
            let (of_day, width) = time_of_day(time)?;
            Some(Range {
                low: low + of_day,
                high: low + of_day + width,
            })
        }
    }
}

/// Microseconds since midnight UTC, and how long the time lasts at its precision.
fn time_of_day(text: &str) -> Option<(i64, i64)> {
    let (clock, zone) = match text.find(['Z', '+', '-']) {
        Some(at) => (text.get(..at)?, text.get(at..)?),
        None => (text, ""),
    };
    let offset = match zone.as_bytes().first() {
        None => 0,
        Some(b'Z') if zone.len() == 1 => 0,
        Some(sign @ (b'+' | b'-')) => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            if hours > 14 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = parts
        .next()
        .map(|m| digits(m, 2))
        .map_or(Some(None), |m| m.map(Some))?;
    let (seconds, width) = match parts.next() {
        None => (
            0,
            if minute.is_some() {
                MINUTE_US
            } else {
                60 * MINUTE_US
            },
        ),
        Some(text) => seconds(text)?,
    };
    if parts.next().is_some() || hour > 23 || minute.is_some_and(|m| m > 59) {
        return None;
    }
    let minutes = hour * 60 + minute.unwrap_or(0) - offset;
    Some((minutes * MINUTE_US + seconds, width))
}

/// `SS` or `SS.f…` in microseconds, with the width of the last digit. Second 60 is a leap second.
fn seconds(text: &str) -> Option<(i64, i64)> {
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(w, f)| (w, Some(f)));
    let whole = digits(whole, 2).filter(|s| *s <= 60)? * 1_000_000;
    let Some(fraction) = fraction else {
        return Some((whole, 1_000_000));
    };
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut width = 1_000_000;
    let mut micros = 0;
    for b in fraction.bytes().take(6) {
        width /= 10;
        micros += i64::from(b - b'0') * width;
    }
    Some((whole + micros, width))
}

/// A number of exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let ok = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if ok {
        Some(text.bytes().fold(0, |n, b| n * 10 + i64::from(b - b'0')))
    } else {
        None
    }
}

/// Midnight UTC at the start of a day that exists. Year 10000 is only an end.
fn civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    Some(days_from_civil(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?) * DAY_US)
}

/// The range widened by a tenth of its distance from `now`, for `ap` (`search.html#prefix`).
pub(crate) const fn approximate(range: Range<i64>, now: Micros) -> Range<i64> {
    let distance = if range.high <= now.0 {
        now.0.saturating_sub(range.high)
    } else if range.low > now.0 {
        range.low.saturating_sub(now.0)
    } else {
        0
    };
    let margin = distance / 10;
    Range {
        low: range.low.saturating_sub(margin),
        high: range.high.saturating_add(margin),
    }
}
