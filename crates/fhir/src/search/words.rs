//! Full text: `_text` and `_content` (`search.html#content`).
//!
//! A text is a row of words: runs of letters and digits, folded like strings. A search names words
//! and `"phrases"`, joined by `and`, `or`, `not` and parentheses; words that stand side by side
//! must all be there, commas part alternatives. Words are compared whole and as they are written:
//! there is no stemming. A word that ends in `*` stands for all that begin with it.

use crate::json::{Kind, Value};

use super::query::{Clause, Match, ParamClause, Test};
use super::rows::fold;
use super::value::{VALUE_BYTES_MAX, cut};
use crate::definitions::{ParamId, ParamKind};

/// Bytes of a word; longer ones are cut.
const WORD_BYTES_MAX: usize = 64;
/// Words of one narrative that are indexed, and pairs of them.
const NARRATIVE_WORDS_MAX: usize = 4_096;
/// Parentheses within parentheses.
const DEPTH_MAX: usize = 16;
/// Words and phrases of one search.
const TERMS_MAX: usize = 64;

/// What a text must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Words {
    /// This word.
    Word(String),
    /// A word that begins with this.
    Begins(String),
    /// These words, one after the other.
    Phrase(Vec<String>),
    /// All of these.
    All(Vec<Words>),
    /// Any of these.
    Either(Vec<Words>),
    /// Not this.
    Not(Box<Words>),
}

/// The words of a text, in order.
pub(crate) fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let runs = folded.split(|c: char| !c.is_alphanumeric());
    runs.filter(|w| !w.is_empty())
        .map(|w| cut(w, WORD_BYTES_MAX).to_owned())
        .collect()
}

/// The text of a narrative's `div`: without tags and comments, character references resolved.
pub(crate) fn narrative(div: &str) -> String {
    let mut out = String::with_capacity(div.len());
    let mut rest = div;
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(rest.get(..at).unwrap_or(""));
        rest = rest.get(at..).unwrap_or("");
        if rest.starts_with('<') {
            let end = if rest.starts_with("<!--") { "-->" } else { ">" };
            let after = rest.find(end).map_or(rest.len(), |i| i + end.len());
            rest = rest.get(after..).unwrap_or("");
            // Elements part words, also where no space stands between them.
            out.push(' ');
            continue;
        }
        let end = rest.bytes().take(11).position(|b| b == b';');
        let (known, after) = match end {
            Some(i) => (
                character(rest.get(1..i).unwrap_or("")),
                rest.get(i + 1..).unwrap_or(""),
            ),
            None => (Some('&'), rest.get(1..).unwrap_or("")),
        };
        out.push(known.unwrap_or(' '));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// What the index keeps of a narrative: each word once, and each pair of neighbours (for phrases).
pub(crate) fn indexed(div: &str) -> Vec<String> {
    let all = words(&narrative(div));
    let pairs = all.windows(2).filter_map(|w| match w {
        [a, b] => Some(format!("{a} {b}")),
        _ => None,
    });
    let mut found: Vec<String> = pairs
        .take(NARRATIVE_WORDS_MAX)
        .chain(all.iter().take(NARRATIVE_WORDS_MAX).cloned())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

impl Words {
    /// Reads what a search asks; an error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader {
            rest: text,
            terms: 0,
        };
        let found = reader.either(0)?;
        reader.space();
        if !reader.rest.is_empty() {
            return Err("a parenthesis is closed that was not opened".to_owned());
        }
        Ok(found)
    }

    /// The condition on index rows of `params`, one for each type searched.
    pub(crate) fn clause(&self, params: &[ParamId]) -> Clause {
        let one = |value: Match| {
            Clause::Param(ParamClause {
                param: params.to_vec(),
                kind: ParamKind::Uri,
                test: Test::Any(vec![value]),
            })
        };
        let several =
            |parts: &[Self]| -> Vec<Clause> { parts.iter().map(|p| p.clause(params)).collect() };
        match self {
            Self::Word(word) => one(Match::Uri(word.clone())),
            Self::Begins(start) => one(Match::UriBegins(start.clone())),
            Self::Phrase(words) => match words.as_slice() {
                [only] => one(Match::Uri(only.clone())),
                several => {
                    let pairs = several.windows(2).filter_map(|w| match w {
                        [a, b] => Some(one(Match::Uri(format!("{a} {b}")))),
                        _ => None,
                    });
                    Clause::And(pairs.collect())
                }
            },
            Self::All(parts) => Clause::And(several(parts)),
            Self::Either(parts) => Clause::Or(several(parts)),
            Self::Not(part) => Clause::Not(Box::new(part.clause(params))),
        }
    }

    /// Whether the texts of a resource hold it: each element's text by itself for phrases, all
    /// together otherwise.
    pub fn hold_in(&self, resource: Value<'_>) -> bool {
        let mut texts = Vec::new();
        collect(resource, &mut texts);
        self.holds(&texts)
    }

    fn holds(&self, texts: &[Vec<String>]) -> bool {
        match self {
            Self::Word(word) => texts.iter().flatten().any(|w| w == word),
            Self::Begins(start) => texts
                .iter()
                .flatten()
                .any(|w| w.starts_with(start.as_str())),
            Self::Phrase(phrase) => texts
                .iter()
                .any(|t| t.windows(phrase.len().max(1)).any(|w| w == phrase)),
            Self::All(parts) => parts.iter().all(|p| p.holds(texts)),
            Self::Either(parts) => parts.iter().any(|p| p.holds(texts)),
            Self::Not(part) => !part.holds(texts),
        }
    }
}

/// The words of each text of a resource. What says how to read it is none of its content.
fn collect(value: Value<'_>, texts: &mut Vec<Vec<String>>) {
    match value.kind() {
        Kind::Object => {
            for member in value.members() {
                if member.is("resourceType") {
                    continue;
                }
                if member.is("div")
                    && let Some(div) = member.value.as_str()
                {
                    texts.push(words(&narrative(&div)));
                } else {
                    collect(member.value, texts);
                }
            }
        }
        Kind::Array => value.items().for_each(|item| collect(item, texts)),
        Kind::String => {
            if let Some(text) = value.as_str() {
                texts.push(words(&text));
            }
        }
        Kind::Number | Kind::Bool => texts.push(words(value.raw())),
        Kind::Null => {}
    }
}

struct Reader<'t> {
    rest: &'t str,
    terms: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// The next word as it is written, without taking it.
    fn peek(&self) -> &str {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"'))
            .unwrap_or(self.rest.len());
        self.rest.get(..end).unwrap_or("")
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.space();
        let is = self.peek().eq_ignore_ascii_case(word);
        if is {
            self.rest = self.rest.get(word.len()..).unwrap_or("");
        }
        is
    }

    fn either(&mut self, depth: usize) -> Result<Words, String> {
        if depth > DEPTH_MAX {
            return Err("the parentheses are nested too deep".to_owned());
        }
        let mut parts = vec![self.all(depth)?];
        loop {
            self.space();
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else if !self.take_word("or") {
                break;
            }
            parts.push(self.all(depth)?);
        }
        Ok(match parts.pop() {
            Some(only) if parts.is_empty() => only,
            Some(last) => {
                parts.push(last);
                Words::Either(parts)
            }
            None => Words::Either(parts),
        })
    }

    fn all(&mut self, depth: usize) -> Result<Words, String> {
        let mut parts = Vec::new();
        loop {
            let joined = !parts.is_empty() && self.take_word("and");
            self.space();
            let ends = self.rest.is_empty()
                || self.rest.starts_with([')', ','])
                || self.peek().eq_ignore_ascii_case("or");
            if ends && (joined || parts.is_empty()) {
                return Err("a word is missing".to_owned());
            }
            if ends {
                break;
            }
            parts.push(self.one(depth)?);
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            Some(last) => {
                parts.push(last);
                Ok(Words::All(parts))
            }
            None => Err("a word is missing".to_owned()),
        }
    }

    fn one(&mut self, depth: usize) -> Result<Words, String> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(format!("more than {TERMS_MAX} words"));
        }
        if self.take_word("not") {
            if depth > DEPTH_MAX {
                return Err("the parentheses are nested too deep".to_owned());
            }
            return Ok(Words::Not(Box::new(self.one(depth + 1)?)));
        }
        self.space();
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest;
            let inner = self.either(depth + 1)?;
            self.space();
            let Some(rest) = self.rest.strip_prefix(')') else {
                return Err("a parenthesis is not closed".to_owned());
            };
            self.rest = rest;
            return Ok(inner);
        }
        if let Some(rest) = self.rest.strip_prefix('"') {
            let Some((phrase, after)) = rest.split_once('"') else {
                return Err("a phrase is not closed".to_owned());
            };
            self.rest = after;
            let words = words(phrase);
            if words.is_empty() {
                return Err("a phrase has no letters to compare".to_owned());
            }
            return Ok(Words::Phrase(words));
        }
        let text = self.peek().to_owned();
        self.rest = self.rest.get(text.len()..).unwrap_or("");
        let begins = text.ends_with('*');
        let mut found = words(cut(&text, VALUE_BYTES_MAX));
        match (found.pop(), found.is_empty()) {
            (None, _) => Err("a word has no letters to compare".to_owned()),
            (Some(only), true) if begins => Ok(Words::Begins(only)),
            (Some(only), true) => Ok(Words::Word(only)),
            // `low-grade` is two words side by side.
            (Some(last), false) => {
                found.push(last);
                Ok(Words::Phrase(found))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Words, indexed, narrative, words};
    use crate::json;

    #[test]
    fn a_narrative_is_its_text() {
        let div = "<div xmlns=\"x\"><!-- <b>no</b> --><p>Caf&#233;</p>low-grade &amp; <b>Fever</b>&nbsp;&#x41;</div>";
        assert_eq!(
            words(&narrative(div)),
            ["cafe", "low", "grade", "fever", "a"]
        );
        assert_eq!(indexed("<div>a b a b</div>"), ["a", "a b", "b", "b a"]);
    }

    #[test]
    fn words_are_joined() {
        let word = |w: &str| Words::Word(w.to_owned());
        for (text, want) in [
            ("Heart", word("heart")),
            (
                "heart attack",
                Words::All(vec![word("heart"), word("attack")]),
            ),
            ("a or b", Words::Either(vec![word("a"), word("b")])),
            (
                "a,b AND c",
                Words::Either(vec![word("a"), Words::All(vec![word("b"), word("c")])]),
            ),
            (
                "not (a or b*) c",
                Words::All(vec![
                    Words::Not(Box::new(Words::Either(vec![
                        word("a"),
                        Words::Begins("b".to_owned()),
                    ]))),
                    word("c"),
                ]),
            ),
            (
                "\"heart attack\"",
                Words::Phrase(vec!["heart".to_owned(), "attack".to_owned()]),
            ),
        ] {
            assert_eq!(Words::parse(text).unwrap(), want, "{text}");
        }
        for bad in [
            "", "a and", "or a", "(a", "a)", "\"a", "\"-\"", "--", "a or", ",a",
        ] {
            assert!(Words::parse(bad).is_err(), "{bad}");
        }
        assert!(Words::parse(&"(".repeat(1_000)).is_err());
        assert!(Words::parse(&"not ".repeat(1_000)).is_err());
    }

    #[test]
    fn a_resource_holds_words() {
        let text = r#"{"resourceType":"Basic","text":{"div":"<div>Big <b>blue</b> house</div>"},
            "note":[{"text":"No fever today"}],"n":3}"#;
        let document = json::parse(text.as_bytes(), 64).unwrap();
        for (words, holds) in [
            ("blue", true),
            ("\"blue house\"", true),
            ("\"house big\"", false),
            ("\"house no\"", false),
            ("fever and not snow", true),
            ("fever not today", false),
            ("basic", false),
            ("hou*", true),
        ] {
            assert_eq!(
                Words::parse(words).unwrap().hold_in(document.root()),
                holds,
                "{words}"
            );
        }
    }
}
