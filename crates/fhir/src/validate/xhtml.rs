//! Narrative: a `div` in the namespace of XHTML, well-formed, of the HTML that FHIR allows, with
//! nothing active in it (`narrative.html#xhtml`). The names that HTML 4 gives to characters may be
//! used, though XML does not know them.

use std::borrow::Cow;

use crate::xml::{is_well_formed_narrative, named_character, reference};

/// Elements that `narrative.html` allows: HTML 4.0 chapters 7–11 (without 7.1–7.4) and 15, `a`,
/// `img` and style attributes.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "dir",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "map",
    "area",
    "menu",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
];

/// Checks a narrative; says what is wrong.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let text = text.trim();
    if !text.starts_with("<div") {
        return Err("a narrative starts with <div");
    }
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let tail = rest.get(at + 1..).unwrap_or("");
        if let Some(comment) = tail.strip_prefix("!--") {
            let end = comment
                .find("-->")
                .ok_or("a comment in a narrative has no end")?;
            rest = comment.get(end + 3..).unwrap_or("");
            continue;
        }
        let end = tag_end(tail).ok_or("a tag in a narrative has no end")?;
        let tag = tail.get(..end).unwrap_or("");
        rest = tail.get(end + 1..).unwrap_or("");
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name.trim_end()) {
                return Err("tags of a narrative do not match");
            }
        } else {
            let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
            let name = tag.split(|c: char| c.is_whitespace()).next().unwrap_or("");
            if !ELEMENTS.contains(&name) {
                return Err("a narrative has an element that is not allowed");
            }
            attributes(tag.get(name.len()..).unwrap_or(""))?;
            if !closed {
                open.push(name);
            }
        }
        if open.is_empty() && !rest.trim().is_empty() {
            return Err("a narrative is one <div>");
        }
    }
    if !open.is_empty() {
        return Err("tags of a narrative do not match");
    }
    if is_well_formed_narrative(text) {
        Ok(())
    } else {
        Err(
            "a narrative is well-formed XML, and its <div> is in the namespace http://www.w3.org/1999/xhtml",
        )
    }
}

/// Whether a checked narrative has content that is no whitespace: text or an image (`txt-2`).
pub(super) fn says_something(text: &str) -> bool {
    let mut rest = text;
    loop {
        let (before, tail) = rest.split_once('<').unwrap_or((rest, ""));
        if !before.trim().is_empty() || tail.starts_with("img") {
            return true;
        }
        if tail.is_empty() {
            return false;
        }
        rest = match tail.strip_prefix("!--") {
            Some(comment) => comment.split_once("-->").map_or("", |(_, behind)| behind),
            None => tail_of_tag(tail),
        };
    }
}

fn tail_of_tag(tail: &str) -> &str {
    tag_end(tail)
        .and_then(|end| tail.get(end + 1..))
        .unwrap_or("")
}

/// Where the tag ends that starts this text: the first `>` outside quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, b) in text.bytes().enumerate() {
        match (quote, b) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(q), b) if q == b => quote = None,
            _ => {}
        }
    }
    None
}

/// Whether the value of an attribute is a script, or a URL of a document that may have some. Read as
/// browsers read URLs: references resolved, and no white space and no control characters.
fn is_active(name: &str, value: &str) -> bool {
    if !value.contains([':', '&']) {
        return false;
    }
    let plain: String = decoded(value)
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .collect::<String>()
        .to_ascii_lowercase();
    if name.eq_ignore_ascii_case("style") {
        return ["javascript:", "vbscript:", "expression("]
            .iter()
            .any(|what| plain.contains(what));
    }
    let local = name.rsplit(':').next().unwrap_or(name);
    match plain.split_once(':') {
        Some(("javascript" | "vbscript" | "livescript" | "mocha", _)) => true,
        // An image runs nothing where it is shown as one.
        Some(("data", of)) => match local.to_ascii_lowercase().as_str() {
            "src" => !of.starts_with("image/"),
            "href" | "cite" | "longdesc" | "background" | "usemap" => {
                !of.starts_with("image/") || of.starts_with("image/svg")
            }
            _ => false,
        },
        _ => false,
    }
}

/// The value of an attribute with its references resolved; those that are none stay.
fn decoded(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, tail)) = rest.split_once('&') {
        out.push_str(before);
        let found = reference(tail).and_then(|(name, after)| Some((referred(name)?, after)));
        match found {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that a reference names.
fn referred(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return code.ok().and_then(char::from_u32);
    }
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        name => named_character(name),
    }
}

/// Refuses event handlers and script URLs.
fn attributes(mut rest: &str) -> Result<(), &'static str> {
    const SHAPE: &str = "an attribute in a narrative is malformed";
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(());
        }
        let (name, value) = rest.split_once('=').ok_or(SHAPE)?;
        let name = name.trim_end();
        let value = value.trim_start();
        let quote = value
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''))
            .ok_or(SHAPE)?;
        let (value, after) = value
            .get(1..)
            .and_then(|v| v.split_once(quote))
            .ok_or(SHAPE)?;
        let handler = name.get(..2).is_some_and(|p| p.eq_ignore_ascii_case("on"));
        if handler || is_active(name, value) {
            return Err("a narrative has active content");
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::{check, says_something};

    #[test]
    fn some_narratives_say_nothing() {
        for some in [
            "<div>x</div>",
            "<div><p a='>'> <b>&#160;</b></p></div>",
            "<div><img src='#p'/></div>",
        ] {
            assert!(says_something(some), "{some}");
        }
        for none in [
            "<div/>",
            "<div xmlns='x'> \n</div>",
            "<div><p><!-- x --></p><br/></div>",
        ] {
            assert!(!says_something(none), "{none}");
        }
    }

    const NS: &str = "xmlns=\"http://www.w3.org/1999/xhtml\"";

    /// A `div` in its namespace with this inside.
    fn div(inside: &str) -> String {
        format!("<div {NS}>{inside}</div>")
    }

    #[test]
    fn narratives() {
        for good in [
            "x",
            "<p>a<br/>b &lt; c</p><!-- <x> --><img src=\"#p\" alt='>'/>",
            "a&nbsp;b &eacute; &#233; &#xe9; ]] >",
            "<a href=\"mailto:a@b.c\" title='javascript is a word'>x</a>",
            "<img src='data:image/png;base64,AAAA'/><a href='tel:1'>x</a><a href='ftp://x/y'>y</a>",
            "<p title='data: 7' style='color: red'>x</p>",
        ] {
            assert_eq!(check(&div(good)), Ok(()), "{good}");
        }
        assert_eq!(check(&format!(" <div {NS}><div/></div>\n")), Ok(()));
        assert_eq!(check(&format!("<div {NS}/>")), Ok(()));
        for bad in [
            "x".to_owned(),
            "<p>x</p>".to_owned(),
            "<div>x</div>".to_owned(),
            "<div xmlns='urn:x'>x</div>".to_owned(),
            format!("<div {NS}>"),
            format!("<div {NS}></p>"),
            format!("<div {NS}></div><div></div>"),
            format!("<div {NS}></div>x"),
            format!("<DIV {NS}></DIV>"),
            format!("<div {NS} a></div>"),
            format!("<div {NS} a=b></div>"),
            format!("<div {NS} onclick=\"x\"></div>"),
            div("<script>x</script>"),
            div("<p</div>"),
            div("<!-- "),
            div("<iframe src=\"x\"/>"),
            div("<p lang='en' lang='de'>x</p>"),
            div("&bogus;"),
            div("&#0;"),
            div("a & b"),
            div("]]>"),
            div("\u{ffff}"),
            div("<p title='a & b'/>"),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_byte_is_looked_at_a_few_times() {
        // What is no reference is not looked for up to the end: this took minutes.
        let ampersands = "&".repeat(4 << 20);
        assert!(check(&div(&format!("<p title='{ampersands}'>x</p>"))).is_err());
        assert!(check(&div(&format!("{ampersands};"))).is_err());
        let zeros = "0".repeat(100);
        let hidden = format!("<a href='&#{zeros}106;avascript:x'>y</a>");
        assert!(check(&div(&hidden)).is_err(), "however long a reference is");
    }

    #[test]
    fn nothing_active_passes() {
        for url in [
            " JavaScript:x",
            "&#106;avascript:alert(1)",
            "&#x6A;avascript:alert(1)",
            "java&#10;script:alert(1)",
            "java\tscript:alert(1)",
            "java&#9;script:alert(1)",
            "JaVaScript&#58;alert(1)",
            "javascript&colon;alert(1)",
            "&#1;javascript:alert(1)",
            "java&nbsp;script:alert(1)",
            "vbscript:x",
            "data:text/html,x",
            "data:text/html;base64,eA==",
            "data:,x",
            "data:image/svg+xml,x",
        ] {
            let narrative = div(&format!("<a href=\"{url}\">x</a>"));
            assert!(check(&narrative).is_err(), "{narrative}");
        }
        for bad in [
            "<img src='data:text/html,x'/>",
            "<p style='background: url(java&#115;cript:x)'>y</p>",
            "<p style='width: expression(x)'>y</p>",
            "<p ONCLICK='x'>y</p>",
        ] {
            assert!(check(&div(bad)).is_err(), "{bad}");
        }
    }
}
