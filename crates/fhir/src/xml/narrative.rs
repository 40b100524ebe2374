//! The `div` of a narrative: kept as it is written, in and out.
//!
//! Only what would not mean the same elsewhere is written anew: prefixes and default namespaces
//! that were declared further out, CDATA sections, processing instructions; on the way out, what
//! a JSON string may hold and XML may not.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use super::entity::named;
use super::token::{XmlError, is_legal, is_name};
use super::write::{push_attribute, push_text};
use super::{Bounds, Start, Token, Tokens, XHTML, XML};

/// Bounds of a narrative that is kept. Attributes and namespaces are compared with each other: no element of
/// HTML has so many.
const STORED: Bounds = Bounds {
    depth_max: 10_000,
    attributes_max: 256,
    issues_max: 1,
};

/// Reads a `div` to its end: the text of the element, with its own namespace.
pub(super) fn read<'s>(
    start: &Start<'s>,
    tokens: &mut Tokens<'s>,
) -> Result<Cow<'s, str>, XmlError> {
    let source = tokens.source();
    let from = tokens.range().start;
    let depth = tokens.depth();
    let mut as_written = is_own(start, true);
    let mut anew = Anew::default();
    anew.start(start, source.get(tokens.range()).unwrap_or(""));
    loop {
        let token = tokens.next()?;
        let raw = source.get(tokens.range()).unwrap_or("");
        match token {
            Token::Start(inner) => {
                as_written &= is_own(&inner, false);
                anew.start(&inner, raw);
            }
            Token::End => {
                anew.end(raw);
                if tokens.depth() < depth {
                    break;
                }
            }
            Token::Text(text) if raw.starts_with("<![CDATA[") => {
                as_written = false;
                push_text(&text, &mut anew.out);
            }
            Token::Text(_) | Token::Comment(_) => anew.out.push_str(raw),
            Token::Instruction(_) => as_written = false,
            Token::Done => break,
        }
    }
    match as_written {
        true => Ok(Cow::Borrowed(
            source.get(from..tokens.range().end).unwrap_or(""),
        )),
        false => Ok(Cow::Owned(anew.whole())),
    }
}

/// Whether an element of a narrative means by itself what it means here.
fn is_own(start: &Start<'_>, root: bool) -> bool {
    let declared = declares_default(start);
    let plain = |a: &super::Attribute<'_>| a.name.prefix.is_empty() || a.name.space == XML;
    start.name.prefix.is_empty() && (declared || !root) && start.attributes.iter().all(plain)
}

fn push_name(before: &str, prefix: &str, local: &str, out: &mut String) {
    out.push_str(before);
    if !prefix.is_empty() {
        out.push_str(prefix);
        out.push(':');
    }
    out.push_str(local);
}

/// A narrative that is written anew: without prefixes for XHTML, and with each other namespace
/// declared once, at its `div`, as far as prefixes mean one namespace only.
#[derive(Default)]
struct Anew<'s> {
    /// What follows the declarations of the `div`.
    out: String,
    /// Open elements: prefix as written here, local name, and prefixes declared there.
    open: Vec<(Cow<'s, str>, &'s str, Vec<String>)>,
    /// Declared at the `div`.
    outer: BTreeMap<String, String>,
    /// Declared further in, innermost last.
    inner: HashMap<String, Vec<String>>,
    /// Prefixes that were made here.
    made: HashMap<String, String>,
}

impl<'s> Anew<'s> {
    fn start(&mut self, start: &Start<'s>, raw: &str) {
        let name = &start.name;
        let html = name.space == XHTML;
        let root = self.open.is_empty();
        let mut declared = Vec::new();
        let prefix: Cow<'s, str> = if html {
            "".into()
        } else if name.prefix.is_empty() && !declares_default(start) {
            self.foreign(&name.space)
        } else {
            name.prefix.into()
        };
        if !root {
            push_name("<", &prefix, name.local, &mut self.out);
            self.need(&prefix, &name.space, &mut declared);
        }
        for attribute in &start.attributes {
            let (prefix, local) = (attribute.name.prefix, attribute.name.local);
            if prefix.is_empty() {
                push_attribute(local, &attribute.value, &mut self.out);
            } else {
                if attribute.name.space != XML {
                    self.need(prefix, &attribute.name.space, &mut declared);
                }
                push_attribute(
                    &format!("{prefix}:{local}"),
                    &attribute.value,
                    &mut self.out,
                );
            }
        }
        self.out
            .push_str(if raw.ends_with("/>") { "/>" } else { ">" });
        self.open.push((prefix, name.local, declared));
    }

    /// The prefix of elements without one whose namespace comes from further out.
    fn foreign(&mut self, space: &str) -> Cow<'s, str> {
        // No prefix can stand for no namespace.
        if space.is_empty() || self.means("").is_some_and(|known| known == space) {
            return "".into();
        }
        if let Some(made) = self.made.get(space) {
            return made.clone().into();
        }
        let mut made = format!("ns{}", self.made.len());
        while self.outer.contains_key(&made) {
            made.push('_');
        }
        self.made.insert(space.to_owned(), made.clone());
        made.into()
    }

    /// What a prefix means at this place.
    fn means(&self, prefix: &str) -> Option<&str> {
        let inner = self.inner.get(prefix).and_then(|all| all.last());
        match inner.or_else(|| self.outer.get(prefix)) {
            Some(space) => Some(space),
            None if prefix.is_empty() => Some(XHTML),
            None => None,
        }
    }

    /// Sees to it that a prefix means this namespace in the element that is written.
    fn need(&mut self, prefix: &str, space: &str, declared: &mut Vec<String>) {
        match self.means(prefix) {
            Some(known) if known == space => {}
            None => {
                self.outer.insert(prefix.to_owned(), space.to_owned());
            }
            Some(_) => {
                match prefix {
                    "" => push_attribute("xmlns", space, &mut self.out),
                    prefix => push_attribute(&format!("xmlns:{prefix}"), space, &mut self.out),
                }
                let all = self.inner.entry(prefix.to_owned()).or_default();
                all.push(space.to_owned());
                declared.push(prefix.to_owned());
            }
        }
    }

    fn end(&mut self, raw: &str) {
        let Some((prefix, local, declared)) = self.open.pop() else {
            return;
        };
        // An empty element was closed where it began.
        if raw.starts_with("</") {
            push_name("</", &prefix, local, &mut self.out);
            self.out.push('>');
        }
        for prefix in declared {
            if let Some(all) = self.inner.get_mut(&prefix) {
                all.pop();
            }
        }
    }

    fn whole(self) -> String {
        let mut whole = String::with_capacity(self.out.len() + 64);
        whole.push_str("<div");
        push_attribute("xmlns", XHTML, &mut whole);
        for (prefix, space) in &self.outer {
            push_attribute(&format!("xmlns:{prefix}"), space, &mut whole);
        }
        whole.push_str(&self.out);
        whole
    }
}

fn declares_default(start: &Start<'_>) -> bool {
    start.declares.iter().any(|(prefix, _)| prefix.is_empty())
}

/// Appends a stored narrative as XML.
pub(super) fn write(div: &str, out: &mut String) {
    if is_well_formed(div) {
        return out.push_str(div);
    }
    let mended = mended(div);
    if is_well_formed(&mended) {
        return out.push_str(&mended);
    }
    // Tags that are none: the text as a reader would see it is all that XML can carry.
    out.push_str("<div");
    push_attribute("xmlns", XHTML, out);
    out.push('>');
    push_text(div, out);
    out.push_str("</div>");
}

/// Whether the text is one `div` in its namespace.
fn is_well_formed(div: &str) -> bool {
    let Ok(mut tokens) = Tokens::of(div, &STORED) else {
        return false;
    };
    let mut first = true;
    loop {
        match tokens.next() {
            Ok(Token::Start(start)) if first => {
                first = false;
                if start.name.local != "div" || start.name.space != XHTML {
                    return false;
                }
            }
            Ok(Token::Instruction(_)) => return false,
            // Before the element or after it there is nothing but space.
            Ok(Token::Comment(_)) if tokens.depth() == 0 => return false,
            Ok(Token::Done) => return !first,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// The name of the reference that goes on behind an `&`, and what follows its `;`. A name has no other
/// characters than these, so nothing is looked at twice for the sake of a `;` that is far away.
pub(crate) fn reference(tail: &str) -> Option<(&str, &str)> {
    let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '#')?;
    Some((tail.get(..end)?, tail.get(end..)?.strip_prefix(';')?))
}

/// Whether a narrative is well-formed, with the names of HTML for characters that XML does not know.
pub(crate) fn is_well_formed_narrative(div: &str) -> bool {
    if is_well_formed(div) {
        return true;
    }
    let mut plain = String::with_capacity(div.len());
    let mut rest = div;
    let mut changed = false;
    while let Some((before, tail)) = rest.split_once('&') {
        plain.push_str(before);
        let known = reference(tail).and_then(|(name, after)| Some((named(name)?, after)));
        rest = match known {
            Some((c, after)) => {
                changed = true;
                plain.push(c);
                after
            }
            None => {
                plain.push('&');
                tail
            }
        };
    }
    plain.push_str(rest);
    changed && is_well_formed(&plain)
}

/// The same narrative with what XML does not know written as it does.
fn mended(div: &str) -> String {
    let mut out = String::with_capacity(div.len() + 64);
    let mut rest = div.trim();
    let mut first = true;
    // Where no tag ends any more, none ends behind it: quotes apart, which are text then.
    let mut ends = true;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or("");
        rest = match c {
            '<' => match ends.then(|| tag_end(tail)).flatten() {
                Some(end) => {
                    let (tag, after) = tail.split_at(end);
                    push_tag(tag, first, &mut out);
                    first = false;
                    after.get(1..).unwrap_or("")
                }
                None => {
                    ends = false;
                    out.push_str("&lt;");
                    tail
                }
            },
            '&' => push_reference(tail, &mut out),
            _ => {
                out.push(if is_legal(c) { c } else { '\u{fffd}' });
                tail
            }
        };
    }
    out
}

/// Where the tag that begins here ends: its `>`, which does not count inside of quotes.
fn tag_end(tail: &str) -> Option<usize> {
    if let Some(comment) = tail.strip_prefix("!--") {
        return comment.find("-->").map(|at| at + 5);
    }
    let mut quote = None;
    for (at, b) in tail.bytes().enumerate() {
        match (quote, b) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(q), b) if q == b => quote = None,
            _ => {}
        }
    }
    None
}

fn push_tag(tag: &str, first: bool, out: &mut String) {
    if let Some(comment) = tag.strip_prefix("!--").and_then(|t| t.strip_suffix("--")) {
        if !comment.contains("--") && !comment.ends_with('-') {
            let _ = write!(out, "<!--{comment}-->");
        }
        return;
    }
    if tag.starts_with('/') {
        let _ = write!(out, "<{tag}>");
        return;
    }
    let (tag, end) = tag.strip_suffix('/').map_or((tag, ">"), |t| (t, "/>"));
    let (name, mut rest) = tag.split_at(tag.find(char::is_whitespace).unwrap_or(tag.len()));
    let _ = write!(out, "<{name}");
    let mut seen: HashSet<&str> = HashSet::new();
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim();
        let after = after.trim_start();
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            break;
        };
        let Some((value, after)) = after.get(1..).and_then(|a| a.split_once(quote)) else {
            break;
        };
        rest = after;
        if is_name(name) && seen.insert(name) {
            let mut plain = String::new();
            let mut value = value;
            while let Some(c) = value.chars().next() {
                let tail = value.get(c.len_utf8()..).unwrap_or("");
                value = match c {
                    '&' => push_reference(tail, &mut plain),
                    '<' => {
                        plain.push_str("&lt;");
                        tail
                    }
                    _ => {
                        plain.push(if is_legal(c) { c } else { '\u{fffd}' });
                        tail
                    }
                };
            }
            let _ = write!(out, " {name}={quote}{plain}{quote}");
        }
    }
    if first && !seen.contains("xmlns") {
        push_attribute("xmlns", XHTML, out);
    }
    out.push_str(end);
}

/// Writes what an `&` begins, and gives what follows it.
fn push_reference<'t>(tail: &'t str, out: &mut String) -> &'t str {
    let end = tail.bytes().take(32).position(|b| b == b';');
    if let Some((name, after)) = end.and_then(|end| Some((tail.get(..end)?, tail.get(end + 1..)?)))
    {
        let known = matches!(name, "lt" | "gt" | "amp" | "apos" | "quot")
            || name.strip_prefix('#').is_some_and(|n| {
                let digits = n.strip_prefix('x').map_or((n, 10), |h| (h, 16));
                let code = u32::from_str_radix(digits.0, digits.1).ok();
                code.and_then(char::from_u32).is_some_and(is_legal)
            });
        if known {
            let _ = write!(out, "&{name};");
            return after;
        }
        if let Some(c) = named(name) {
            out.push(c);
            return after;
        }
    }
    out.push_str("&amp;");
    tail
}
