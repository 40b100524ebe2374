//! Formats of primitive values (`datatypes.html#primitive`), over their unescaped text.

use crate::definitions::Primitive;

/// Whether a text is a value of this type. For types that JSON writes as numbers the text is the
/// number as written.
pub(super) fn is_valid(of: Primitive, text: &str) -> bool {
    match of {
        Primitive::Boolean | Primitive::Decimal => true,
        Primitive::Integer => text.parse::<i32>().is_ok(),
        Primitive::Integer64 => is_integer64(text),
        Primitive::UnsignedInt => text.parse::<i32>().is_ok_and(|n| n >= 0),
        Primitive::PositiveInt => text.parse::<i32>().is_ok_and(|n| n > 0),
        Primitive::String | Primitive::Markdown | Primitive::Xhtml => is_string(text),
        Primitive::Code => is_code(text),
        Primitive::Id => base::ResourceId::new(text).is_ok(),
        Primitive::Uri | Primitive::Url | Primitive::Canonical => is_uri(text),
        Primitive::Oid => text.strip_prefix("urn:oid:").is_some_and(is_oid),
        Primitive::Uuid => text
            .strip_prefix("urn:uuid:")
            .is_some_and(|u| base::ids::uuid_bytes(u).is_some()),
        Primitive::Base64Binary => is_base64(text),
        Primitive::Date => date(text.as_bytes()).is_some_and(<[u8]>::is_empty),
        Primitive::DateTime => is_date_time(text.as_bytes()),
        Primitive::Instant => is_instant(text.as_bytes()),
        Primitive::Time => time(text.as_bytes()).is_some_and(<[u8]>::is_empty),
    }
}

/// `[0]|[-+]?[1-9][0-9]*`, within 64 bits.
fn is_integer64(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    (text == "0" || !digits.starts_with('0')) && text.parse::<i64>().is_ok()
}

/// Not empty, no control characters but tab, line feed and carriage return.
fn is_string(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b >= 0x20 || matches!(b, b'\t' | b'\n' | b'\r'))
}

/// No white space at the ends, single spaces inside. As in XML Schema, whose
/// expressions the specification uses, white space is that of ASCII.
fn is_code(text: &str) -> bool {
    let mut space = true;
    for b in text.bytes() {
        if b.is_ascii_whitespace() && (space || b != b' ') {
            return false;
        }
        space = b == b' ';
    }
    !space
}

fn is_uri(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b > b' ' && b != 0x7f)
}

/// `[0-2](\.(0|[1-9][0-9]*))+`
fn is_oid(text: &str) -> bool {
    let mut arcs = text.split('.');
    let first = arcs.next().is_some_and(|a| matches!(a, "0" | "1" | "2"));
    let mut more = false;
    for arc in arcs {
        let digits = !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit());
        if !digits || (arc.len() > 1 && arc.starts_with('0')) {
            return false;
        }
        more = true;
    }
    first && more
}

/// RFC 4648 section 4, with white space anywhere.
fn is_base64(text: &str) -> bool {
    let (mut count, mut padding) = (0usize, 0usize);
    for b in text.bytes() {
        match b {
            b'=' => padding += 1,
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        count += 1;
    }
    count > 0 && count % 4 == 0 && padding <= 2
}

/// Takes `n` digits.
fn digits(text: &[u8], n: usize) -> Option<(u32, &[u8])> {
    let (head, rest) = text.split_at_checked(n)?;
    let all = head.iter().all(u8::is_ascii_digit);
    all.then(|| {
        (
            head.iter().fold(0, |v, b| v * 10 + u32::from(b - b'0')),
            rest,
        )
    })
}

/// `YYYY`, `YYYY-MM` or `YYYY-MM-DD` of the real calendar; gives what follows.
fn date(text: &[u8]) -> Option<&[u8]> {
    let (year, rest) = digits(text, 4)?;
    if year == 0 {
        return None;
    }
    let Some(rest) = rest.strip_prefix(b"-") else {
        return Some(rest);
    };
    let (month, rest) = digits(rest, 2)?;
    let length = month_length(year, month)?;
    let Some(rest) = rest.strip_prefix(b"-") else {
        return Some(rest);
    };
    let (day, rest) = digits(rest, 2)?;
    (1..=length).contains(&day).then_some(rest)
}

const fn month_length(year: u32, month: u32) -> Option<u32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => Some(29),
        2 => Some(28),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// `hh:mm:ss` with an optional fraction; 60 is a leap second. Gives what follows.
fn time(text: &[u8]) -> Option<&[u8]> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(b":")?, 2)?;
    let (second, rest) = digits(rest.strip_prefix(b":")?, 2)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let Some(fraction) = rest.strip_prefix(b".") else {
        return Some(rest);
    };
    let length = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    if length == 0 {
        None
    } else {
        fraction.get(length..)
    }
}

/// `Z` or an offset of at most 14 hours.
fn is_zone(text: &[u8]) -> bool {
    let offset = match text {
        b"Z" => return true,
        [b'+' | b'-', rest @ ..] => rest,
        _ => return false,
    };
    let Some((hour, rest)) = digits(offset, 2) else {
        return false;
    };
    let minute = rest.strip_prefix(b":").and_then(|r| digits(r, 2));
    minute.is_some_and(|(minute, rest)| {
        rest.is_empty() && minute < 60 && (hour < 14 || (hour == 14 && minute == 0))
    })
}

fn is_date_time(text: &[u8]) -> bool {
    match date(text) {
        Some([]) => true,
        // A time needs a whole date before it, and a zone after it.
        Some([b'T', rest @ ..]) if text.len() - rest.len() == 11 => time(rest).is_some_and(is_zone),
        _ => false,
    }
}

fn is_instant(text: &[u8]) -> bool {
    text.len() > 10 && is_date_time(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(of: Primitive, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(is_valid(of, text), "{} {text:?}", of.as_str());
        }
        for text in bad {
            assert!(!is_valid(of, text), "{} {text:?}", of.as_str());
        }
    }

    #[test]
    fn dates_are_of_the_real_calendar() {
        check(
            Primitive::Date,
            &[
                "2020",
                "2020-02",
                "2020-02-29",
                "0001-01-01",
                "9999-12-31",
                "2000-02-29",
            ],
            &[
                "",
                "0000",
                "20",
                "2020-13",
                "2020-00",
                "2021-02-29",
                "1900-02-29",
                "2020-04-31",
                "2020-01-00",
                "2020-1-1",
                "2020-01-01T00:00:00Z",
                "2020-",
                "2020-01-",
                " 2020",
                "20200101",
            ],
        );
    }

    #[test]
    fn times_have_seconds_and_date_times_a_zone() {
        check(
            Primitive::DateTime,
            &[
                "2020",
                "2020-02",
                "2020-02-29",
                "2020-02-29T23:59:60Z",
                "2020-02-29T00:00:00.123456+14:00",
                "2020-02-29T00:00:00-00:00",
            ],
            &[
                "2020-02-29T10:00Z",
                "2020-02-29T10:00:00",
                "2020-02T10:00:00Z",
                "2020-02-29T24:00:00Z",
                "2020-02-29T10:60:00Z",
                "2020-02-29T10:00:61Z",
                "2020-02-29T10:00:00.Z",
                "2020-02-29T10:00:00+14:01",
                "2020-02-29T10:00:00+15:00",
                "2020-02-29 10:00:00Z",
                "2020-02-29T10:00:00Zx",
                "2020T10:00:00Z",
                "2020-02-29T",
            ],
        );
        check(
            Primitive::Instant,
            &["2020-02-29T23:59:59Z", "2020-02-29T23:59:59.1+01:00"],
            &["2020-02-29", "2020-02-29T23:59:59", "2020"],
        );
        check(
            Primitive::Time,
            &["00:00:00", "23:59:60.5"],
            &["24:00:00", "10:00", "10:00:00Z", "1:00:00", ""],
        );
    }

    #[test]
    fn numbers_fit() {
        check(
            Primitive::Integer,
            &["0", "-5", "2147483647", "-2147483648"],
            &["2147483648", "1.0", "1e3"],
        );
        check(Primitive::UnsignedInt, &["0", "7"], &["-1", "4294967295"]);
        check(Primitive::PositiveInt, &["1"], &["0", "-1"]);
    }

    #[test]
    fn texts_have_their_shapes() {
        check(
            Primitive::String,
            &["a", " ", "a\tb\r\nc", "é"],
            &["", "a\u{0}", "\u{1b}"],
        );
        check(
            Primitive::Code,
            &["a", "a b", "<", "é"],
            &["", " a", "a ", "a  b", "a\tb", "a\nb"],
        );
        check(
            Primitive::Id,
            &["a", "A-1.b", &"x".repeat(64)],
            &["", "a_b", "a/b", &"x".repeat(65)],
        );
        check(
            Primitive::Uri,
            &["urn:x", "a", "http://x/é"],
            &["", "a b", "a\n", "\u{7f}"],
        );
        check(
            Primitive::Oid,
            &["urn:oid:1.2.3", "urn:oid:2.0"],
            &[
                "1.2.3",
                "urn:oid:3.1",
                "urn:oid:1",
                "urn:oid:1.02",
                "urn:oid:1..2",
            ],
        );
        check(
            Primitive::Uuid,
            &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
            &[
                "urn:uuid:C757873D-EC9A-4326-A141-556F43239520",
                "c757873d-ec9a-4326-a141-556f43239520",
                "urn:uuid:1",
            ],
        );
        check(
            Primitive::Base64Binary,
            &["QUJD", "QUI=", "QQ==", "QU\nJD QUJD"],
            &["", "QUJ", "QU=D", "Q===", "QUJ*", "=ABC"],
        );
    }
}
