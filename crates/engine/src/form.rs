//! `application/x-www-form-urlencoded`: query strings and form bodies.

use std::borrow::Cow;

/// The decoded name–value pairs of a query string or form body.
pub fn pairs(text: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// The first value of a name.
pub fn first<'t>(text: &'t str, name: &str) -> Option<Cow<'t, str>> {
    text.split('&').find_map(|pair| {
        let (of, value) = pair.split_once('=').unwrap_or((pair, ""));
        (of == name || (is_coded(of) && decode(of) == name)).then(|| decode(value))
    })
}

/// The text without the pairs of these names, still encoded.
pub fn without(text: &str, names: &[&str]) -> String {
    let mut out = String::with_capacity(text.len());
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split_once('=').map_or(pair, |(n, _)| n);
        if names.contains(&&*decode(name)) {
            continue;
        }
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(pair);
    }
    out
}

fn is_coded(text: &str) -> bool {
    text.bytes().any(|b| matches!(b, b'+' | b'%'))
}

/// Decodes `+` and `%xx`. What does not decode to UTF-8 gets replacement characters: it can match
/// nothing.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !is_coded(text) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        out.push(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = tail;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *first,
        });
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

/// Encodes a value for a query string; `:`, `|`, `,`, `/` and `$` stay readable.
pub fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~:|,/$@*".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let found: Vec<_> = pairs("a=1&b=x%20y+z&&c&%C3%BC=%E2%82%AC&d=%zz%4").collect();
        let wanted = [
            ("a", "1"),
            ("b", "x y z"),
            ("c", ""),
            ("ü", "€"),
            ("d", "%zz%4"),
        ];
        assert_eq!(found.len(), wanted.len());
        for ((n, v), (wn, wv)) in found.iter().zip(wanted) {
            assert_eq!((&**n, &**v), (wn, wv));
        }
        assert_eq!(decode("%ff"), "\u{fffd}");
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in ["", "a b+c&d=e%f", "http://x|1,2$3", "Jürgen/€"] {
            assert_eq!(decode(&encode(text)), text);
        }
    }

    #[test]
    fn names_can_be_left_out() {
        assert_eq!(
            without("a=1&_format=json&b=2&_f%6Frmat=x", &["_format"]),
            "a=1&b=2"
        );
    }
}
