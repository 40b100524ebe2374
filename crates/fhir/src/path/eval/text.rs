//! Functions of strings.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::super::EvalError;
use super::super::function::Function;
use super::super::item::Item;
use super::super::plan::Op;
use super::pattern::{Pattern, pattern, replacement};
use super::{Frame, Items, Run};

impl<'a> Run<'_, 'a> {
    /// A single text; an error for anything else.
    pub(super) fn string(
        &self,
        op: &'a Op,
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<Cow<'a, str>>, EvalError> {
        let Some(item) = self.single(op, frame)? else {
            return Ok(None);
        };
        match &item {
            Item::Node(node) if node.ty.is_primitive() && node.value.is_none() => Ok(None),
            item => item.as_text().map(Some).ok_or(EvalError::Input("a string")),
        }
    }

    /// A single integer; an error for anything else.
    pub(super) fn integer(
        &self,
        op: &'a Op,
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<i64>, EvalError> {
        let Some(item) = self.single(op, frame)? else {
            return Ok(None);
        };
        match item.system(self.types()) {
            Some(Item::Integer(n)) => Ok(Some(i64::from(n))),
            Some(Item::Long(n)) => Ok(Some(n)),
            _ => Err(EvalError::Input("an integer")),
        }
    }

    /// Functions of one text.
    pub(super) fn text_function(
        &self,
        function: Function,
        input: &Items<'a>,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        use Function as F;
        let Some(text) = text_of(function, input)? else {
            return Ok(());
        };
        self.steps(text.len() / 256)?;
        let count = |n: usize| Item::Integer(i32::try_from(n).unwrap_or(i32::MAX));
        match function {
            F::Length => out.push(count(text.chars().count())),
            F::Upper => out.push(self.text(text.to_uppercase())?),
            F::Lower => out.push(self.text(text.to_lowercase())?),
            F::Trim => out.push(Item::text(text.trim().to_owned())),
            F::ToChars => {
                for c in text.chars() {
                    self.step()?;
                    out.push(Item::text(c.to_string()));
                }
            }
            F::Substring => out.extend(self.substring(&text, args, frame)?),
            F::Matches | F::MatchesFull | F::ReplaceMatches => {
                let Some(wanted) = self.string_at(args, 0, frame)? else {
                    return Ok(());
                };
                let flags_at = if function == F::ReplaceMatches { 2 } else { 1 };
                let flags = self.string_at(args, flags_at, frame)?.unwrap_or_default();
                // Compiling is the dearest thing that an expression can ask for.
                self.steps(1_000 + wanted.len() * 16)?;
                let regex = pattern(&wanted, function == F::MatchesFull, &flags)?;
                self.matched_text(function, &text, &regex, args, frame, out)?;
            }
            function => self.text_with_argument(function, &text, args, frame, out)?,
        }
        Ok(())
    }

    fn string_at(
        &self,
        args: &'a [Op],
        at: usize,
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<Cow<'a, str>>, EvalError> {
        match args.get(at) {
            Some(arg) => self.string(arg, frame),
            None => Ok(None),
        }
    }

    fn text_with_argument(
        &self,
        function: Function,
        text: &str,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        use Function as F;
        let Some(arg) = self.string_at(args, 0, frame)? else {
            return Ok(());
        };
        let arg = &*arg;
        let place = |at: Option<usize>| {
            let before = at.and_then(|at| text.get(..at)).map(|t| t.chars().count());
            Item::Integer(before.and_then(|n| i32::try_from(n).ok()).unwrap_or(-1))
        };
        match function {
            F::IndexOf => out.push(place(text.find(arg))),
            F::LastIndexOf => out.push(place(text.rfind(arg))),
            F::StartsWith => out.push(Item::Bool(text.starts_with(arg))),
            F::EndsWith => out.push(Item::Bool(text.ends_with(arg))),
            F::Contains => out.push(Item::Bool(text.contains(arg))),
            F::Split if arg.is_empty() => {
                for c in text.chars() {
                    self.step()?;
                    out.push(Item::text(c.to_string()));
                }
            }
            F::Split => {
                for part in text.split(arg) {
                    self.step()?;
                    out.push(Item::text(part.to_owned()));
                }
            }
            F::Replace => {
                let Some(with) = self.string_at(args, 1, frame)? else {
                    return Ok(());
                };
                self.bounded(text.len() / arg.len().max(1) + 1, with.len(), text.len())?;
                let replaced = if arg.is_empty() {
                    around_each(text, &with)
                } else {
                    text.replace(arg, &with)
                };
                out.push(self.text(replaced)?);
            }
            F::Encode => out.push(match arg {
                "base64" => self.text(STANDARD.encode(text))?,
                "urlbase64" => self.text(URL_SAFE.encode(text))?,
                "hex" => self.text(text.bytes().map(|b| format!("{b:02x}")).collect())?,
                _ => return Err(EvalError::Input("encode")),
            }),
            F::Decode => {
                let bytes = match arg {
                    "base64" => STANDARD.decode(text).ok(),
                    "urlbase64" => URL_SAFE.decode(text).ok(),
                    "hex" => from_hex(text),
                    _ => return Err(EvalError::Input("decode")),
                };
                let decoded = bytes.and_then(|b| String::from_utf8(b).ok());
                out.extend(decoded.map(Item::text));
            }
            F::Escape | F::Unescape => {
                let escaped = match (function, arg) {
                    (F::Escape, "html") => escape_html(text),
                    (F::Escape, "json") => escape_json(text),
                    (F::Unescape, "html") => unescape_html(text),
                    (F::Unescape, "json") => unescape_json(text),
                    _ => return Err(EvalError::Input(function.as_str())),
                };
                out.push(self.text(escaped)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Refuses a text that would be too long before it is made.
    fn bounded(&self, parts: usize, each: usize, more: usize) -> Result<(), EvalError> {
        let bytes = parts.saturating_mul(each).saturating_add(more);
        // What is replaced may not occur at all, so that four times the limit is let through.
        if bytes / 4 > super::super::TEXT_BYTES_MAX {
            return Err(EvalError::TextTooLong);
        }
        self.steps(bytes / 1_024)
    }

    /// From a start, in characters; empty if that is outside.
    fn substring(
        &self,
        text: &str,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<Item<'a>>, EvalError> {
        let Some(start) = args.first().map_or(Ok(None), |a| self.integer(a, frame))? else {
            return Ok(None);
        };
        let length = match args.get(1) {
            // An empty length is as none.
            Some(length) => self.integer(length, frame)?.unwrap_or(i64::MAX),
            None => i64::MAX,
        };
        let Ok(start) = usize::try_from(start) else {
            return Ok(None);
        };
        let mut rest = text.chars().skip(start).peekable();
        if rest.peek().is_none() {
            return Ok(None);
        }
        let length = usize::try_from(length).unwrap_or(0);
        Ok(Some(Item::text(rest.take(length).collect::<String>())))
    }

    /// Functions of a pattern that was compiled with the plan.
    pub(super) fn fixed_pattern(
        &self,
        function: Function,
        input: &Items<'a>,
        regex: &Pattern,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        match text_of(function, input)? {
            Some(text) => self.matched_text(function, &text, regex, args, frame, out),
            None => Ok(()),
        }
    }

    fn matched_text(
        &self,
        function: Function,
        text: &str,
        regex: &Pattern,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        self.steps(text.len() / 64)?;
        if function != Function::ReplaceMatches {
            let is_match = regex.is_match(text, |steps| self.steps(steps))?;
            out.push(Item::Bool(is_match));
            return Ok(());
        }
        let Some(with) = self.string_at(args, 1, frame)? else {
            return Ok(());
        };
        // The empty pattern replaces nothing.
        if regex.is_empty() {
            out.push(Item::text(text.to_owned()));
            return Ok(());
        }
        let with = replacement(&with);
        let max = super::super::TEXT_BYTES_MAX;
        let found = regex.count(text, max, |steps| self.steps(steps))?;
        self.bounded(found, with.len(), text.len())?;
        out.push(self.text(regex.replace(text, &with))?);
        Ok(())
    }

    /// `join(separator)`
    pub(super) fn join(
        &self,
        input: &Items<'a>,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        if input.is_empty() {
            return Ok(());
        }
        let separator = self.string_at(args, 0, frame)?.unwrap_or_default();
        let mut joined = String::new();
        let mut first = true;
        for item in input {
            let Some(text) = item.as_text() else {
                if item
                    .node()
                    .is_some_and(|n| n.ty.is_primitive() && n.value.is_none())
                {
                    continue;
                }
                return Err(EvalError::Input("join"));
            };
            if !first {
                joined.push_str(&separator);
            }
            first = false;
            joined.push_str(&text);
            if joined.len() > super::super::TEXT_BYTES_MAX {
                return Err(EvalError::TextTooLong);
            }
        }
        out.push(self.text(joined)?);
        Ok(())
    }
}

/// The one text that a function is asked for.
fn text_of<'a>(function: Function, input: &Items<'a>) -> Result<Option<Cow<'a, str>>, EvalError> {
    match input.as_slice() {
        [] => Ok(None),
        [Item::Node(node)] if node.ty.is_primitive() && node.value.is_none() => Ok(None),
        [item] => item
            .as_text()
            .map(Some)
            .ok_or(EvalError::Input(function.as_str())),
        _ => Err(EvalError::NotSingle),
    }
}

/// The empty text is before and behind each character.
fn around_each(text: &str, with: &str) -> String {
    let mut out = String::from(with);
    for c in text.chars() {
        out.push(c);
        out.push_str(with);
    }
    out
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn unescape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, entity) = rest.split_at(at);
        out.push_str(before);
        let end = entity.bytes().take(12).position(|b| b == b';');
        let known = end.and_then(|end| {
            let name = entity.get(1..end)?;
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => '\u{a0}',
                name => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((c, end + 1))
        });
        let (c, used) = known.unwrap_or(('&', 1));
        out.push(c);
        rest = entity.get(used..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

fn escape_json(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    crate::json::push_json_string(text, &mut quoted);
    let inner = quoted.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    inner.unwrap_or(&quoted).to_owned()
}

fn unescape_json(text: &str) -> String {
    let quoted = format!("\"{text}\"");
    let parsed = crate::json::parse(quoted.as_bytes(), 1).ok();
    let unescaped = parsed.and_then(|doc| doc.root().as_str().map(Cow::into_owned));
    unescaped.unwrap_or_else(|| text.to_owned())
}
