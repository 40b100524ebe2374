//! What a full-text search asks, as it is written.

use super::super::value::{VALUE_BYTES_MAX, cut};
use super::{Words, words};

/// Parentheses within parentheses.
const DEPTH_MAX: usize = 16;
/// Words and phrases of one search.
const TERMS_MAX: usize = 64;

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
}

/// The text as far as it is not read.
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
            return Ok(Words::run(words, false));
        }
        let text = self.peek().to_owned();
        self.rest = self.rest.get(text.len()..).unwrap_or("");
        let begins = text.ends_with('*');
        // `low-grade` is two words side by side.
        let found = words(cut(&text, VALUE_BYTES_MAX));
        if found.is_empty() {
            return Err("a word has no letters to compare".to_owned());
        }
        Ok(Words::run(found, begins))
    }
}
