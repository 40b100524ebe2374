//! The form in which strings are compared (`search.html#string`).

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Folds a text for comparison without regard to case, accents and white space:
///
/// 1. Unicode compatibility decomposition (NFKD), combining marks dropped: `é` → `e`, `ﬁ` → `fi`;
/// 2. full lower case; `ß` and `ẞ` become `ss`, a final `ς` becomes `σ`, a dotless `ı` becomes `i`;
///    letters and ligatures that Unicode does not decompose become what people type for them: `ø`
///    → `o`, `ł` → `l`, `đ` and `ð` → `d`, `ħ` → `h`, `æ` → `ae`, `œ` → `oe`, `þ` → `th`;
/// 3. runs of white space become one space, none at the ends.
///
/// Folding a folded text changes nothing.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return fold_ascii(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    let mut push = |c: char| {
        if c.is_whitespace() {
            space = true;
            return;
        }
        if space && !out.is_empty() {
            out.push(' ');
        }
        space = false;
        out.push(c);
    };
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            'ß' | 'ẞ' => {
                push('s');
                push('s');
            }
            'ς' => push('σ'),
            'ı' => push('i'),
            'ø' | 'Ø' => push('o'),
            'ł' | 'Ł' => push('l'),
            'đ' | 'Đ' | 'ð' | 'Ð' => push('d'),
            'ħ' | 'Ħ' => push('h'),
            'æ' | 'Æ' => "ae".chars().for_each(&mut push),
            'œ' | 'Œ' => "oe".chars().for_each(&mut push),
            'þ' | 'Þ' => "th".chars().for_each(&mut push),
            // Lower case may itself carry a mark (`İ`), which goes as well.
            _ => c
                .to_lowercase()
                .nfkd()
                .filter(|c| !is_combining_mark(*c))
                .for_each(&mut push),
        }
    }
    Cow::Owned(out)
}

fn fold_ascii(text: &str) -> Cow<'_, str> {
    let is_space = |b: u8| b.is_ascii_whitespace() || b == 0x0b;
    let bytes = text.as_bytes();
    // Usual texts have single spaces between their words, so that only their case is to be folded.
    let mut before = true;
    let spaced = bytes.iter().all(|&b| {
        let space = b <= b' ' && is_space(b);
        let ok = !space || (b == b' ' && !before);
        before = space;
        ok
    });
    if spaced && bytes.last() != Some(&b' ') {
        let upper = |any, b: &u8| any | b.is_ascii_uppercase();
        return match bytes.iter().fold(false, upper) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
    }
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    for &b in bytes {
        if is_space(b) {
            space = true;
            continue;
        }
        if space && !out.is_empty() {
            out.push(' ');
        }
        space = false;
        out.push(char::from(b.to_ascii_lowercase()));
    }
    Cow::Owned(out)
}
