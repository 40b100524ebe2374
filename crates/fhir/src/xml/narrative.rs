//! The `div` of a narrative: kept as it is written, in and out.
//!
//! Only what would not mean the same elsewhere is written anew: prefixes and default namespaces
//! that were declared further out, CDATA sections, processing instructions; on the way out, what
//! a JSON string may hold and XML may not.

use std::borrow::Cow;
use std::fmt::Write;

use super::entity::named;
use super::token::{XmlError, is_legal, is_name};
use super::write::{push_attribute, push_text};
use super::{Bounds, Start, Token, Tokens, XHTML, XML};

/// Bounds of a narrative that comes out of the store; it was bounded when it came in.
const STORED: Bounds = Bounds {
    depth_max: 10_000,
    attributes_max: 10_000,
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
    let mut out = String::new();
    push_start(
        start,
        true,
        source.get(tokens.range()).unwrap_or(""),
        &mut out,
    );
    let mut open = vec![start.name.clone()];
    loop {
        let token = tokens.next()?;
        let raw = source.get(tokens.range()).unwrap_or("");
        match token {
            Token::Start(inner) => {
                as_written &= is_own(&inner, false);
                push_start(&inner, false, raw, &mut out);
                open.push(inner.name);
            }
            Token::End => {
                let Some(name) = open.pop() else {
                    break;
                };
                // An empty element was closed where it began.
                if raw.starts_with("</") {
                    let prefix = if name.space == XHTML { "" } else { name.prefix };
                    push_name("</", prefix, name.local, &mut out);
                    out.push('>');
                }
                if tokens.depth() < depth {
                    break;
                }
            }
            Token::Text(text) if raw.starts_with("<![CDATA[") => {
                as_written = false;
                push_text(&text, &mut out);
            }
            Token::Text(_) | Token::Comment(_) => out.push_str(raw),
            Token::Instruction(_) => as_written = false,
            Token::Done => break,
        }
    }
    match as_written {
        true => Ok(Cow::Borrowed(
            source.get(from..tokens.range().end).unwrap_or(""),
        )),
        false => Ok(Cow::Owned(out)),
    }
}

/// Whether an element of a narrative means by itself what it means here.
fn is_own(start: &Start<'_>, root: bool) -> bool {
    let declared = start.declares.iter().any(|(prefix, _)| prefix.is_empty());
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

/// A start tag without the prefixes of XHTML; other namespaces are declared where they are used.
fn push_start(start: &Start<'_>, root: bool, raw: &str, out: &mut String) {
    let name = &start.name;
    let html = name.space == XHTML;
    push_name("<", if html { "" } else { name.prefix }, name.local, out);
    if root {
        push_attribute("xmlns", XHTML, out);
    } else if !html && name.prefix.is_empty() {
        push_attribute("xmlns", &name.space, out);
    } else if !html {
        push_attribute(&format!("xmlns:{}", name.prefix), &name.space, out);
    }
    for attribute in &start.attributes {
        let (prefix, local) = (attribute.name.prefix, attribute.name.local);
        if prefix.is_empty() {
            push_attribute(local, &attribute.value, out);
        } else {
            if attribute.name.space != XML && (html || prefix != name.prefix) {
                push_attribute(&format!("xmlns:{prefix}"), &attribute.name.space, out);
            }
            push_attribute(&format!("{prefix}:{local}"), &attribute.value, out);
        }
    }
    out.push_str(if raw.ends_with("/>") { "/>" } else { ">" });
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

/// The same narrative with what XML does not know written as it does.
fn mended(div: &str) -> String {
    let mut out = String::with_capacity(div.len() + 64);
    let mut rest = div.trim();
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or("");
        rest = match c {
            '<' => match tag_end(tail) {
                Some(end) => {
                    let (tag, after) = tail.split_at(end);
                    push_tag(tag, first, &mut out);
                    first = false;
                    after.get(1..).unwrap_or("")
                }
                None => {
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
    let mut seen: Vec<&str> = Vec::new();
    let spaced = |name: &&str| **name == *"xmlns";
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
        if is_name(name) && !seen.contains(&name) {
            seen.push(name);
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
    if first && !seen.iter().any(spaced) {
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
