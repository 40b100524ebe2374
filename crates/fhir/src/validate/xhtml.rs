//! Narrative: a balanced `div` of the HTML that FHIR allows, with nothing active in it
//! (`narrative.html#xhtml`). Entities and text are left alone.

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
    if open.is_empty() {
        Ok(())
    } else {
        Err("tags of a narrative do not match")
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
        let script = value.trim_start().get(..11);
        let active = name.get(..2).is_some_and(|p| p.eq_ignore_ascii_case("on"))
            || script.is_some_and(|s| s.eq_ignore_ascii_case("javascript:"));
        if active {
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

    #[test]
    fn narratives() {
        for good in [
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>",
            "<div xmlns='u'><p>a<br/>b &lt; c</p><!-- <x> --><img src=\"#p\" alt='>'/></div>",
            " <div><div/></div>\n",
            "<div/>",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "x",
            "<p>x</p>",
            "<div>",
            "<div></p>",
            "<div></div><div></div>",
            "<div></div>x",
            "<div><script>x</script></div>",
            "<div onclick=\"x\"></div>",
            "<div><a href=\" JavaScript:x\">y</a></div>",
            "<div><p</div>",
            "<div><!-- </div>",
            "<div a></div>",
            "<div a=b></div>",
            "<DIV></DIV>",
            "<div><iframe src=\"x\"/></div>",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
