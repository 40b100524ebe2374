//! Instants in parameters of histories: an instant, or a date or time of less precision, which
//! means its beginning.

use base::Micros;

/// The beginning of what is written: `2026`, `2026-11`, `2026-11-22`, `2026-11-22T01:02:03.4Z`,
/// `…+01:00`. A time without a zone is UTC. A space before an offset is a plus sign that lost its
/// escape.
pub(crate) fn parse(text: &str) -> Option<Micros> {
    range(text).map(|(from, _)| from)
}

/// The time that is written, as far as it is precise: from the first instant to before the second.
pub(super) fn range(text: &str) -> Option<(Micros, Micros)> {
    let (date, time) = text
        .split_once('T')
        .map_or((text, None), |(d, t)| (d, Some(t)));
    let mut parts = date.split('-');
    let year: i64 = digits(parts.next()?, 4)?;
    let month = match parts.next() {
        Some(month) => Some(u8::try_from(digits(month, 2)?).ok()?),
        None => None,
    };
    let day = match parts.next() {
        Some(day) => Some(u8::try_from(digits(day, 2)?).ok()?),
        None => None,
    };
    let fits = parts.next().is_none()
        && (1..=12).contains(&month.unwrap_or(1))
        && (1..=31).contains(&day.unwrap_or(1));
    if !fits || (time.is_some() && date.len() != 10) {
        return None;
    }
    let at = |year, month, day| Micros::from_civil(year, month, day, 0);
    let from = at(year, month.unwrap_or(1), day.unwrap_or(1));
    let later = |width: i64| Micros(from.0.saturating_add(width));
    Some(match (month, day, time) {
        (_, Some(_), Some(time)) => {
            let (of_day, width) = micros_of_day(time)?;
            (later(of_day), later(of_day + width))
        }
        (_, Some(_), None) => (from, later(DAY_US)),
        (None | Some(12), None, _) => (from, at(year + 1, 1, 1)),
        (Some(month), None, _) => (from, at(year, month + 1, 1)),
    })
}

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

fn digits(text: &str, len: usize) -> Option<i64> {
    (text.len() == len && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Microseconds since midnight UTC, and how long the time lasts at its precision.
fn micros_of_day(text: &str) -> Option<(i64, i64)> {
    let zone = text.find(['Z', '+', '-', ' ']).unwrap_or(text.len());
    let (clock, zone) = text.split_at_checked(zone)?;
    let offset = match zone {
        "" | "Z" => 0,
        _ => {
            let (sign, rest) = zone.split_at_checked(1)?;
            let (h, m) = rest.split_once(':')?;
            let minutes = digits(h, 2)? * 60 + digits(m, 2)?;
            if sign == "-" { -minutes } else { minutes }
        }
    };
    let mut parts = clock.split(':');
    let (h, m) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (s, fraction, width) = match parts.next() {
        None => (0, 0, 60 * SECOND_US),
        Some(s) => {
            let (whole, fraction) = s.split_once('.').unwrap_or((s, ""));
            let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
            let precise = u32::try_from(fraction.len().min(6)).unwrap_or(6);
            let width = SECOND_US / 10_i64.pow(precise);
            (digits(whole, 2)?, digits(&six, 6)?, width)
        }
    };
    let fits = parts.next().is_none() && h < 24 && m < 60 && s <= 60;
    fits.then_some((
        ((h * 60 + m - offset) * 60 + s) * SECOND_US + fraction,
        width,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read() {
        for (text, wanted) in [
            ("2026", Some("2026-01-01T00:00:00.000Z")),
            ("2026-11", Some("2026-11-01T00:00:00.000Z")),
            ("2026-11-22", Some("2026-11-22T00:00:00.000Z")),
            ("2026-11-22T01:22:03.456Z", Some("2026-11-22T01:22:03.456Z")),
            (
                "2026-11-22T01:22:03.4567891Z",
                Some("2026-11-22T01:22:03.456Z"),
            ),
            (
                "2026-11-22T00:22:03+01:00",
                Some("2026-11-21T23:22:03.000Z"),
            ),
            (
                "2026-11-22T00:22:03 01:00",
                Some("2026-11-21T23:22:03.000Z"),
            ),
            (
                "2026-11-22T00:22:03-01:30",
                Some("2026-11-22T01:52:03.000Z"),
            ),
            ("2026-11-22T00:22", Some("2026-11-22T00:22:00.000Z")),
            ("2026-13", None),
            ("2026-1-1", None),
            ("2026-11T00:00", None),
            ("2026-11-22T25:00:00Z", None),
            ("2026-11-22T00:00:00+1", None),
            ("yesterday", None),
            ("", None),
        ] {
            let read = parse(text).map(|t| t.instant().to_string());
            assert_eq!(read.as_deref(), wanted, "{text}");
        }
    }
    #[test]
    fn what_is_written_lasts_as_long_as_it_is_precise() {
        for (text, wanted) in [
            ("2026", "2027-01-01T00:00:00.000Z"),
            ("2026-11", "2026-12-01T00:00:00.000Z"),
            ("2026-12", "2027-01-01T00:00:00.000Z"),
            ("2026-11-22", "2026-11-23T00:00:00.000Z"),
            ("2026-11-22T01:22", "2026-11-22T01:23:00.000Z"),
            ("2026-11-22T01:22:03Z", "2026-11-22T01:22:04.000Z"),
            ("2026-11-22T01:22:03.4Z", "2026-11-22T01:22:03.500Z"),
        ] {
            assert_eq!(
                range(text).unwrap().1.instant().to_string(),
                wanted,
                "{text}"
            );
        }
    }
}
