//! Instants in parameters of histories: an instant, or a date or time of less precision, which
//! means its beginning.

use base::Micros;

/// The beginning of what is written: `2026`, `2026-11`, `2026-11-22`, `2026-11-22T01:02:03.4Z`,
/// `…+01:00`. A time without a zone is UTC. A space before an offset is a plus sign that lost its
/// escape.
pub(super) fn parse(text: &str) -> Option<Micros> {
    let (date, time) = text
        .split_once('T')
        .map_or((text, None), |(d, t)| (d, Some(t)));
    let mut parts = date.split('-');
    let year: i64 = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |m| digits(m, 2))?;
    let day = parts.next().map_or(Some(1), |d| digits(d, 2))?;
    let fits = parts.next().is_none() && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !fits || (time.is_some() && date.len() != 10) {
        return None;
    }
    let of_day = time.map_or(Some(0), micros_of_day)?;
    let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
    Some(Micros::from_civil(year, month, day, of_day))
}

fn digits(text: &str, len: usize) -> Option<i64> {
    (text.len() == len && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn micros_of_day(text: &str) -> Option<i64> {
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
    let (s, fraction) = match parts.next() {
        None => (0, 0),
        Some(s) => {
            let (whole, fraction) = s.split_once('.').unwrap_or((s, ""));
            let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
            (digits(whole, 2)?, digits(&six, 6)?)
        }
    };
    let fits = parts.next().is_none() && h < 24 && m < 60 && s <= 60;
    fits.then_some(((h * 60 + m - offset) * 60 + s) * 1_000_000 + fraction)
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
}
