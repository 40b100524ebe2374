//! Text to tokens.

use super::PathError;

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word: identifier or keyword.
    Word(Box<str>),
    /// A delimited identifier, without its back-ticks.
    Quoted(Box<str>),
    /// A string, without quotes and escapes.
    String(Box<str>),
    /// A number as written.
    Number(Box<str>),
    /// A number with `L` behind it, without that.
    Long(Box<str>),
    /// A date or dateTime without `@`.
    Date(Box<str>),
    /// A time without `@T`.
    Time(Box<str>),
    /// `%name`
    Variable(Box<str>),
    /// `$this`, `$index`, `$total`: without `$`.
    Special(Box<str>),
    /// Punctuation.
    Mark(&'static str),
}

/// Longest first, so that `<=` is not read as `<`.
const MARKS: &[&str] = &[
    "!=", "!~", "<=", ">=", "=", "~", "<", ">", "|", "+", "-", "&", "*", "/", "(", ")", "[", "]",
    "{", "}", ".", ",",
];

/// Tokens with the byte at which each starts.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, PathError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut out = Vec::new();
    loop {
        lexer.space()?;
        let at = lexer.at;
        match lexer.token()? {
            Some(token) => out.push((at, token)),
            None => return Ok(out),
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    const fn error(&self, what: &'static str) -> PathError {
        PathError::Syntax { at: self.at, what }
    }

    /// Skips white space and comments.
    fn space(&mut self) -> Result<(), PathError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let end = trimmed
                    .find("*/")
                    .ok_or_else(|| self.error("comment without end"))?;
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Option<Token>, PathError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(None);
        };
        let token = match first {
            '\'' => Token::String(self.delimited('\'')?),
            '`' => Token::Quoted(self.delimited('`')?),
            '"' => Token::Quoted(self.delimited('"')?),
            '0'..='9' => self.any_number(),
            '@' => self.temporal()?,
            '%' => {
                self.at += 1;
                match self.rest().chars().next() {
                    Some(quote @ ('\'' | '`' | '"')) => Token::Variable(self.delimited(quote)?),
                    _ => Token::Variable(self.word("a name after '%'")?.into()),
                }
            }
            '$' => {
                self.at += 1;
                Token::Special(self.word("a name after '$'")?.into())
            }
            'a'..='z' | 'A'..='Z' | '_' => Token::Word(self.word("a name")?.into()),
            _ => {
                let mark = MARKS.iter().find(|m| rest.starts_with(**m));
                let mark = mark.ok_or_else(|| self.error("no token starts like this"))?;
                self.at += mark.len();
                Token::Mark(mark)
            }
        };
        Ok(Some(token))
    }

    /// The longest run of characters that `ok` takes.
    fn run(&mut self, ok: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !ok(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or("")
    }

    fn word(&mut self, what: &'static str) -> Result<&'t str, PathError> {
        let word = self.run(|c| c.is_ascii_alphanumeric() || c == '_');
        if word.is_empty() {
            Err(self.error(what))
        } else {
            Ok(word)
        }
    }

    fn any_number(&mut self) -> Token {
        let number: Box<str> = self.number().into();
        let mut after = self.rest().chars();
        let long = after.next() == Some('L')
            && !after
                .next()
                .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        if long && !number.contains('.') {
            self.at += 1;
            Token::Long(number)
        } else {
            Token::Number(number)
        }
    }

    /// Digits with an optional fraction; a `.` that no digit follows is an invocation.
    fn number(&mut self) -> &'t str {
        let start = self.at;
        self.run(|c| c.is_ascii_digit());
        let mut after = self.rest().chars();
        if after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            self.run(|c| c.is_ascii_digit());
        }
        self.text.get(start..self.at).unwrap_or("")
    }

    fn temporal(&mut self) -> Result<Token, PathError> {
        self.at += 1;
        let time_only = self.rest().starts_with('T');
        if time_only {
            self.at += 1;
        }
        let start = self.at;
        if !time_only {
            self.digits_after("");
            self.digits_after("-");
            self.digits_after("-");
            if self.rest().starts_with('T') {
                self.at += 1;
                self.clock();
            }
        } else {
            self.clock();
        }
        let text = self.text.get(start..self.at).unwrap_or("");
        if text.is_empty() {
            return Err(self.error("a date or time after '@'"));
        }
        Ok(if time_only {
            Token::Time(text.into())
        } else {
            Token::Date(text.into())
        })
    }

    /// A mark and digits, where both are there.
    fn digits_after(&mut self, mark: &str) -> bool {
        let rest = self.rest().strip_prefix(mark);
        let found = rest.is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        if found {
            self.at += mark.len();
            self.run(|c| c.is_ascii_digit());
        }
        found
    }

    /// `14:34:28.123+10:00`, or the beginning of it.
    fn clock(&mut self) {
        if !self.digits_after("") {
            return;
        }
        if self.digits_after(":") && self.digits_after(":") {
            self.digits_after(".");
        }
        if self.rest().starts_with('Z') {
            self.at += 1;
            return;
        }
        // A zone always has minutes; without them a sign is an operator.
        let rest = self.rest().as_bytes();
        let zone = match rest {
            [b'+' | b'-', a, b, b':', c, d, ..] => [a, b, c, d].iter().all(|b| b.is_ascii_digit()),
            _ => false,
        };
        if zone {
            self.at += 6;
        }
    }

    /// The content between two quotes, escapes resolved.
    fn delimited(&mut self, quote: char) -> Result<Box<str>, PathError> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            if c == quote {
                self.at = start + i + 1;
                return Ok(out.into());
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('f') => out.push('\u{c}'),
                Some('u') => {
                    let unit = |chars: &mut dyn Iterator<Item = (usize, char)>| {
                        let hex: String = chars.take(4).map(|(_, c)| c).collect();
                        let digits = hex.bytes().all(|b| b.is_ascii_hexdigit());
                        digits.then(|| u32::from_str_radix(&hex, 16).ok()).flatten()
                    };
                    let mut code = unit(&mut chars);
                    // The two halves of a character beyond the basic plane.
                    if let Some(high @ 0xd800..=0xdbff) = code {
                        let next = (chars.next(), chars.next());
                        let escape = matches!(next, (Some((_, '\\')), Some((_, 'u'))));
                        code = match unit(&mut chars) {
                            Some(low @ 0xdc00..=0xdfff) if escape => {
                                Some(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
                            }
                            _ => None,
                        };
                    }
                    let c = code.and_then(char::from_u32);
                    out.push(c.ok_or_else(|| self.error("bad \\u escape"))?);
                }
                Some(c @ ('\'' | '"' | '`' | '\\' | '/')) => out.push(c),
                _ => return Err(self.error("unknown escape")),
            }
        }
        Err(self.error("string without end"))
    }
}
