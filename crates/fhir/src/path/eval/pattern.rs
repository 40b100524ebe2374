//! Regular expressions, as FHIRPath's authors write them. One search takes time linear in the text;
//! what all the searches of a replacement take is counted as they go.

mod work;

use std::sync::OnceLock;

use base::limits::fixed::FHIRPATH_PATTERN_BYTES_MAX;
use regex::{Regex, RegexBuilder};
use regex_automata::util::syntax;

use self::work::Work;
use super::super::EvalError;

/// What is this little work at most is not counted more exactly.
const FEW_STEPS: usize = 256;

/// A compiled pattern.
#[derive(Debug)]
pub(in super::super) struct Pattern {
    regex: Regex,
    ignores_case: bool,
    lines: bool,
    work: OnceLock<Work>,
}

impl Clone for Pattern {
    fn clone(&self) -> Self {
        Self {
            regex: self.regex.clone(),
            work: OnceLock::new(),
            ..*self
        }
    }
}

impl Pattern {
    fn work(&self) -> &Work {
        self.work.get_or_init(|| {
            let syntax = syntax::Config::new()
                .dot_matches_new_line(true)
                .case_insensitive(self.ignores_case)
                .multi_line(self.lines);
            Work::of(self.regex.as_str(), syntax, FHIRPATH_PATTERN_BYTES_MAX)
        })
    }

    /// Whether it matches. `spend` counts the work, and may refuse it.
    pub(super) fn is_match(
        &self,
        text: &str,
        spend: impl FnOnce(usize) -> Result<(), EvalError>,
    ) -> Result<bool, EvalError> {
        let work = self.work();
        let most = work.most(text.len());
        let steps = match most <= FEW_STEPS {
            true => most,
            false => work.steps(work.walk().bytes(text, 0)),
        };
        spend(steps)?;
        Ok(self.regex.is_match(text))
    }

    /// How often it matches, up to a number. `spend` counts the work, and may refuse it.
    pub(super) fn count(
        &self,
        text: &str,
        max: usize,
        mut spend: impl FnMut(usize) -> Result<(), EvalError>,
    ) -> Result<usize, EvalError> {
        let work = self.work();
        let most = work.most(text.len().saturating_mul(text.len()));
        if most <= FEW_STEPS {
            spend(most)?;
            return Ok(self.regex.find_iter(text).take(max).count());
        }
        let mut walk = work.walk();
        let (mut from, mut count) = (0, 0);
        // Bytes that were looked at and are not paid for.
        let mut owed = 0;
        let mut found = self.regex.find_iter(text).take(max);
        loop {
            owed += walk.bytes(text, from);
            if owed >= 64 {
                spend(work.steps(owed))?;
                owed %= 64;
            }
            let Some(next) = found.next() else {
                return Ok(count);
            };
            (from, count) = (next.end(), count + 1);
        }
    }

    /// The text with every match replaced; `$1` and `${name}` in the replacement stand for groups.
    pub(super) fn replace(&self, text: &str, with: &str) -> String {
        self.regex.replace_all(text, with).into_owned()
    }

    /// Whether it is the empty pattern.
    pub(super) fn is_empty(&self) -> bool {
        self.regex.as_str().is_empty()
    }
}

/// Compiles a pattern. A dot matches line ends as well (single line mode). `flags`: `i` ignores
/// case, `m` lets `^` and `$` match at line ends.
pub(in super::super) fn pattern(text: &str, full: bool, flags: &str) -> Result<Pattern, EvalError> {
    let mut text = portable(text);
    if full {
        text = format!("^(?:{text})$");
    }
    let (ignores_case, lines) = (flags.contains('i'), flags.contains('m'));
    let regex = RegexBuilder::new(&text)
        .dot_matches_new_line(true)
        .case_insensitive(ignores_case)
        .multi_line(lines)
        .size_limit(FHIRPATH_PATTERN_BYTES_MAX)
        .build();
    match regex {
        Ok(regex) => Ok(Pattern {
            regex,
            ignores_case,
            lines,
            work: OnceLock::new(),
        }),
        Err(regex::Error::CompiledTooBig(_)) => Err(EvalError::TextTooLong),
        Err(_) => Err(EvalError::Pattern(text.into())),
    }
}

/// Inside classes, `[`, `&`, `~` and `-` twice mean themselves in other dialects.
fn portable(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    let mut at_start = false;
    while let Some(c) = chars.next() {
        let first = std::mem::take(&mut at_start);
        match c {
            '\\' => {
                out.push(c);
                if let Some(next) = chars.next() {
                    // `\/` and the like: an escape that means nothing special.
                    out.push(next);
                }
            }
            '[' if !in_class => {
                in_class = true;
                at_start = true;
                out.push(c);
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
            }
            '[' if chars.peek() == Some(&':') => out.push(c),
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            ']' if in_class && first => {
                out.push('\\');
                out.push(c);
            }
            ']' => {
                // The end of `[:alpha:]` is not the end of the class.
                in_class = in_class && out.ends_with(':') && chars.clone().any(|c| c == ']');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A replacement with `$1` as `${1}`, which text behind it does not become part of.
pub(super) fn replacement(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '$' {
            out.push(c);
            continue;
        }
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if !digits.is_empty() {
            out.push_str(&format!("${{{digits}}}"));
        } else if chars.peek() == Some(&'{') {
            out.push('$');
        } else {
            out.push_str("$$");
        }
    }
    out
}
