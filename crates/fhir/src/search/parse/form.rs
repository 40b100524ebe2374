//! `application/x-www-form-urlencoded`, both ways.

use base::Code;

use crate::outcome::Issue;

/// The names and values of a query string or form body, decoded; pairs without any text are
/// skipped.
pub(super) fn decode(text: &str) -> Result<Vec<(String, String)>, Issue> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((part(name)?, part(value)?))
        })
        .collect()
}

fn part(text: &str) -> Result<String, Issue> {
    if !text.bytes().any(|b| matches!(b, b'+' | b'%')) {
        return Ok(text.to_owned());
    }
    let bad = |what| Issue::error(Code::RequestInvalid, format!("the query string has {what}"));
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'+' => b' ',
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                let value = high.zip(low).map(|(h, l)| h * 16 + l);
                let value = value.and_then(|v| u8::try_from(v).ok());
                value.ok_or_else(|| bad("a % that two hexadecimal digits do not follow"))?
            }
            b => b,
        });
    }
    String::from_utf8(out).map_err(|_| bad("percent-encoded bytes that are not UTF-8"))
}

/// Appends `name=value` to a query string.
pub(super) fn encode(name: &str, value: &str, out: &mut String) {
    if !out.is_empty() {
        out.push('&');
    }
    encode_part(name, out);
    out.push('=');
    encode_part(value, out);
}

/// Leaves the characters that have no meaning in a query and read well there.
fn encode_part(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let is_plain = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b':'
                    | b'/'
                    | b','
                    | b'$'
                    | b'*'
                    | b'@'
                    | b'!'
                    | b'('
                    | b')'
            )
    };
    out.reserve(text.len() + 8);
    let mut from = 0;
    for (at, b) in text.bytes().enumerate() {
        if is_plain(b) {
            continue;
        }
        out.push_str(text.get(from..at).unwrap_or(""));
        from = at + 1;
        out.push('%');
        for nibble in [b >> 4, b & 15] {
            out.push(char::from(
                HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'),
            ));
        }
    }
    out.push_str(text.get(from..).unwrap_or(""));
}
