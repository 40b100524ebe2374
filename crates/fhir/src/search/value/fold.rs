//! The form in which strings are compared (`search.html#string`).

use std::borrow::Cow;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Words of a name from which on it is kept a second time: longer names are no names.
const LATER_WORDS_MAX: usize = 8;

/// Folds a text for comparison without regard to case, accents, punctuation and runs of white space:
///
/// 1. as [`words`] does;
/// 2. punctuation is dropped, and so are characters without width: `O'Neil` → `oneil`, `Smith-Jones` →
///    `smithjones`. A text of nothing else is left as it is.
///
/// Folding a folded text changes nothing.
pub fn fold(text: &str) -> Cow<'_, str> {
    if is_folded(text) {
        return Cow::Borrowed(text);
    }
    let folded = folded(text, false);
    match folded.is_empty() {
        true => words(text),
        false => Cow::Owned(folded),
    }
}

/// Folds a text and leaves its punctuation where it is:
///
/// 1. Unicode compatibility decomposition (NFKD), combining marks dropped: `é` → `e`, `ﬁ` → `fi`;
/// 2. full lower case; `ß` and `ẞ` become `ss`, a final `ς` becomes `σ`, a dotless `ı` becomes `i`;
///    letters and ligatures that Unicode does not decompose become what people type for them: `ø`
///    → `o`, `ł` → `l`, `đ` and `ð` → `d`, `ħ` → `h`, `æ` → `ae`, `œ` → `oe`, `þ` → `th`;
/// 3. runs of white space become one space, none at the ends.
pub(crate) fn words(text: &str) -> Cow<'_, str> {
    if is_folded(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(folded(text, true))
}

/// A folded text without the spaces between its words, as the beginnings of texts are compared:
/// `Smith Jones`, `Smith-Jones` and `SmithJones` are `smithjones`.
pub fn joined(folded: &str) -> Cow<'_, str> {
    match folded.contains(' ') {
        true => Cow::Owned(folded.split(' ').collect()),
        false => Cow::Borrowed(folded),
    }
}

/// A name from each later word of it on: a part of a name is found by itself
/// (`Quinones` of `Carreño Quinones`, `Jones` of `Smith-Jones`).
pub(crate) fn later_words(name: &str) -> impl Iterator<Item = &str> {
    let parts = |c: char| c.is_whitespace() || is_hyphen(c);
    let mut rest = name.trim_start_matches(parts);
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(parts)?;
        rest = after.trim_start_matches(parts);
        (!rest.is_empty()).then_some(rest)
    })
    .take(LATER_WORDS_MAX)
}

/// Usual texts are in small ASCII letters, with single spaces between their words.
fn is_folded(text: &str) -> bool {
    let mut before = b' ';
    let plain = text.bytes().all(|b| {
        let fits = match b {
            b' ' => before != b' ',
            b'a'..=b'z' | b'0'..=b'9' => true,
            _ => false,
        };
        before = b;
        fits
    });
    plain && (before != b' ' || text.is_empty())
}

/// What is written so far, and whether a space is due.
struct Written {
    text: String,
    space: bool,
    keeps_punctuation: bool,
}

impl Written {
    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.space = true;
            return;
        }
        if !self.keeps_punctuation && is_punctuation(c) {
            return;
        }
        if self.space && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.space = false;
        self.text.push(c);
    }
}

fn folded(text: &str, keeps_punctuation: bool) -> String {
    if text.is_ascii() {
        return folded_ascii(text.as_bytes(), keeps_punctuation);
    }
    let mut written = Written {
        text: String::with_capacity(text.len()),
        space: false,
        keeps_punctuation,
    };
    for c in text.chars() {
        // It would be decomposed to a space and a mark.
        let c = if c == '\u{b4}' { '\'' } else { c };
        each_letter(c, &mut |c| match c {
            'ß' | 'ẞ' => "ss".chars().for_each(|c| written.push(c)),
            'ς' => written.push('σ'),
            'ı' => written.push('i'),
            'ø' | 'Ø' => written.push('o'),
            'ł' | 'Ł' => written.push('l'),
            'đ' | 'Đ' | 'ð' | 'Ð' => written.push('d'),
            'ħ' | 'Ħ' => written.push('h'),
            'æ' | 'Æ' => "ae".chars().for_each(|c| written.push(c)),
            'œ' | 'Œ' => "oe".chars().for_each(|c| written.push(c)),
            'þ' | 'Þ' => "th".chars().for_each(|c| written.push(c)),
            c if c.is_ascii() => written.push(c.to_ascii_lowercase()),
            // Lower case may itself carry a mark (`İ`), which goes as well.
            _ => c
                .to_lowercase()
                .for_each(|c| each_letter(c, &mut |c| written.push(c))),
        });
    }
    written.text
}

/// What a character is decomposed to (NFKD), without its marks; the order of those is all that hangs on
/// the characters beside it.
fn each_letter(c: char, letter: &mut dyn FnMut(char)) {
    if c.is_ascii() {
        return letter(c);
    }
    decompose_compatible(c, |c| {
        if !is_combining_mark(c) {
            letter(c);
        }
    });
}

/// The same for ASCII, which has neither marks nor ligatures.
fn folded_ascii(text: &[u8], keeps_punctuation: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut space = false;
    for &b in text {
        let at = usize::from(b) & (ASCII.len() - 1);
        match ASCII.get(at).copied().unwrap_or(Class::Kept) {
            Class::Space => {
                space = true;
                continue;
            }
            Class::Punctuation if !keeps_punctuation => continue,
            Class::Punctuation | Class::Kept => {}
        }
        if space && !out.is_empty() {
            out.push(b' ');
        }
        space = false;
        out.push(b.to_ascii_lowercase());
    }
    String::from_utf8(out).unwrap_or_default()
}

#[derive(Clone, Copy)]
enum Class {
    Kept,
    Space,
    Punctuation,
}

/// What each ASCII character is.
static ASCII: [Class; 128] = {
    let mut classes = [Class::Kept; 128];
    let mut at = 0;
    while at < 128 {
        let c = at as u8 as char;
        classes[at] = match (c.is_whitespace(), is_punctuation(c)) {
            (true, _) => Class::Space,
            (_, true) => Class::Punctuation,
            _ => Class::Kept,
        };
        at += 1;
    }
    classes
};

const fn is_hyphen(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fb}'
    )
}

/// What Unicode counts as punctuation in the scripts that names and addresses are written in, signs that
/// are typed in the place of an apostrophe, and what has no width. Signs like `+` and `<` are none.
const fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        '!' | '"' | '#' | '%' | '&' | '\'' | '(' | ')' | '*' | ',' | '-' | '.' | '/' | ':' | ';' | '?'
            | '@' | '[' | '\\' | ']' | '_' | '`' | '{' | '}'
            | '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{ad}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
            | '\u{2b9}'..='\u{2bf}' | '\u{37e}' | '\u{387}' | '\u{55a}'..='\u{55f}' | '\u{589}' | '\u{58a}'
            | '\u{5be}' | '\u{5c0}' | '\u{5c3}' | '\u{5c6}' | '\u{5f3}' | '\u{5f4}'
            | '\u{609}' | '\u{60a}' | '\u{60c}' | '\u{60d}' | '\u{61b}' | '\u{61d}'..='\u{61f}'
            | '\u{640}' | '\u{66a}'..='\u{66d}' | '\u{6d4}' | '\u{964}' | '\u{965}' | '\u{970}'
            | '\u{e4f}' | '\u{e5a}' | '\u{e5b}' | '\u{f04}'..='\u{f12}' | '\u{104a}'..='\u{104f}'
            | '\u{10fb}' | '\u{1361}'..='\u{1368}' | '\u{17d4}'..='\u{17d6}'
            | '\u{200b}'..='\u{200f}' | '\u{2010}'..='\u{2027}' | '\u{202a}'..='\u{202e}'
            | '\u{2030}'..='\u{2043}' | '\u{2045}'..='\u{2051}' | '\u{2053}'..='\u{205e}'
            | '\u{2060}'..='\u{2064}' | '\u{2212}' | '\u{2e00}'..='\u{2e5d}'
            | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{3030}'
            | '\u{30fb}' | '\u{fe10}'..='\u{fe19}' | '\u{fe30}'..='\u{fe52}' | '\u{fe54}'..='\u{fe61}'
            | '\u{feff}'
    )
}
