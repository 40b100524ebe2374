//! XML to JSON text, in one pass: each element becomes JSON when it ends, its repetitions are
//! gathered into the array that the definitions ask for.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

use base::Code;
use smallvec::SmallVec;

use super::token::XmlError;
use super::{Attribute, Bounds, FHIR, Name, Start, Token, Tokens, XHTML, XML, XSI, narrative};
use crate::definitions::{Content, Found, Model, Primitive, Structure};
use crate::json::push_json_string;
use crate::outcome::{Issue, Outcome};

/// One occurrence of an element, as ranges of JSON text.
#[derive(Clone, Debug)]
struct Item {
    value: Option<Range<usize>>,
    /// What stands beside a primitive's value.
    beside: Option<Range<usize>>,
}

/// The occurrences of one element of an open structure.
struct Slot {
    json: &'static str,
    repeats: bool,
    primitive: bool,
    items: SmallVec<[Item; 1]>,
}

/// What an open element is.
enum Kind {
    /// A resource.
    Resource(&'static Structure),
    /// An element with elements in it.
    Structure(&'static Structure),
    /// A value, as its attribute has it.
    Primitive(Primitive, Option<String>),
    /// A place for one resource: the JSON of the resource, once it is read.
    Holder(Option<Range<usize>>),
    /// What is refused already; nothing in it is looked at.
    Skipped,
}

/// An open element.
struct Frame {
    kind: Kind,
    /// FHIRPath name, and the number of the occurrence if it repeats.
    step: (Cow<'static, str>, Option<usize>),
    /// The slot in the frame around it.
    slot: usize,
    id: Option<String>,
    url: Option<String>,
    slots: SmallVec<[Slot; 4]>,
    /// Where the JSON of its content begins in `out`.
    from: usize,
    /// Whether text in it was refused before.
    texted: bool,
}

pub(super) struct Reader<'m> {
    model: &'static Model,
    bounds: &'m Bounds,
    frames: Vec<Frame>,
    /// JSON of what has ended inside of elements that are open.
    out: String,
    issues: Vec<Issue>,
    unlisted: usize,
}

impl<'m> Reader<'m> {
    pub(super) const fn new(model: &'static Model, bounds: &'m Bounds) -> Self {
        Self {
            model,
            bounds,
            frames: Vec::new(),
            out: String::new(),
            issues: Vec::new(),
            unlisted: 0,
        }
    }

    pub(super) fn read(mut self, bytes: &[u8]) -> Result<String, Outcome> {
        let refused = |e: &XmlError| Outcome::from(Issue::from(e));
        let mut tokens = Tokens::new(bytes, self.bounds).map_err(|e| refused(&e))?;
        self.out.reserve(bytes.len());
        loop {
            match tokens.next().map_err(|e| refused(&e))? {
                Token::Start(start) => self.start(&start, &mut tokens).map_err(|e| refused(&e))?,
                Token::End => self.end(),
                Token::Text(text) => self.text(&text),
                Token::Comment(_) | Token::Instruction(_) => {}
                Token::Done => break,
            }
        }
        if self.unlisted > 0 {
            let text = format!("{} further issues are not listed", self.unlisted);
            let issue = Issue::error(Code::LimitQuery, text).limit("outcome_issues_max");
            self.issues.push(issue);
        }
        match self.issues.is_empty() {
            true => Ok(self.out),
            false => Err(Outcome(self.issues)),
        }
    }

    fn issue(&mut self, code: Code, child: &str, text: impl FnOnce() -> String) {
        if self.issues.len() < self.bounds.issues_max {
            let issue = Issue::error(code, text()).at(self.path(child));
            self.issues.push(issue);
        } else {
            self.unlisted += 1;
        }
    }

    /// `Patient.name[0].given`; the steps of what is open, then a child's.
    fn path(&self, child: &str) -> String {
        let mut path = String::new();
        let mut inside = false;
        for frame in &self.frames {
            // A resource inside a holder has the holder's step.
            if inside && matches!(frame.kind, Kind::Resource(_)) {
                continue;
            }
            push_step(&frame.step.0, &mut path);
            if let Some(index) = frame.step.1 {
                let _ = write!(path, "[{index}]");
            }
            inside = true;
        }
        push_step(clipped(child), &mut path);
        path
    }

    fn start<'s>(&mut self, start: &Start<'s>, tokens: &mut Tokens<'s>) -> Result<(), XmlError> {
        let name = &start.name;
        let Some(top) = self.frames.last() else {
            let kind = self.resource(name);
            self.open(
                kind,
                (Cow::Owned(clipped(name.local).to_owned()), None),
                0,
                start,
            );
            return Ok(());
        };
        let structure = match &top.kind {
            Kind::Skipped => {
                self.open(Kind::Skipped, (Cow::Borrowed(""), None), 0, start);
                return Ok(());
            }
            Kind::Holder(held) => {
                let twice = held.is_some();
                let kind = match twice {
                    true => {
                        self.refuse(Code::ElementCardinality, "", "one resource is allowed here")
                    }
                    false => self.resource(name),
                };
                self.open(
                    kind,
                    (Cow::Owned(clipped(name.local).to_owned()), None),
                    0,
                    start,
                );
                return Ok(());
            }
            Kind::Resource(structure) | Kind::Structure(structure) => Some(*structure),
            Kind::Primitive(..) => self
                .model
                .structure_named("Element")
                .map(|id| self.model.structure(id)),
        };
        let attributes_too = !matches!(top.kind, Kind::Resource(_));
        let found = structure.and_then(|s| s.member(name.local));
        let is_attribute = attributes_too
            && (name.local == "id" || (name.local == "url" && structure.is_some_and(is_extension)));
        match found {
            Some(found) if !is_attribute => self.element(found, start, tokens),
            _ => {
                let of = structure.map_or("", |s| s.path);
                let what = match is_attribute {
                    true => "is an attribute",
                    false => "does not exist",
                };
                let local = clipped(name.local);
                let text = || format!("the element \"{local}\" {what} in {of}");
                self.issue(Code::ElementUnknown, name.local, text);
                self.open(Kind::Skipped, (Cow::Borrowed(""), None), 0, start);
                Ok(())
            }
        }
    }

    /// What the name of a resource opens.
    fn resource(&mut self, name: &Name<'_>) -> Kind {
        if name.space != FHIR {
            let what = "a resource is in the namespace http://hl7.org/fhir";
            return self.refuse(Code::XmlNamespace, name.local, what);
        }
        let type_id = self.model.type_id(name.local);
        let structure = type_id.and_then(|id| self.model.structure_of(id));
        match structure {
            Some(id) => Kind::Resource(self.model.structure(id)),
            None => {
                let version = self.model.version();
                let text = format!("the element names no resource type of FHIR {version}");
                self.refuse(Code::ResourceTypeMismatch, name.local, &text)
            }
        }
    }

    fn refuse(&mut self, code: Code, child: &str, text: &str) -> Kind {
        self.issue(code, child, || text.to_owned());
        Kind::Skipped
    }

    /// Opens an element that its structure has.
    fn element<'s>(
        &mut self,
        found: Found<'static>,
        start: &Start<'s>,
        tokens: &mut Tokens<'s>,
    ) -> Result<(), XmlError> {
        let json = found.of.json;
        let repeats = found.element.repeats();
        let space = match found.of.content {
            Content::Primitive(Primitive::Xhtml) => XHTML,
            _ => FHIR,
        };
        let (slot, count) = self.slot(found);
        let step = (Cow::Borrowed(found.element.name), repeats.then_some(count));
        let wrong = if start.name.space != space {
            let text = format!("\"{json}\" is in the namespace {space}");
            Some(self.refuse(Code::XmlNamespace, json, &text))
        } else if !repeats && count > 0 {
            let text = format!("\"{json}\" occurs more than once");
            Some(self.refuse(Code::ElementCardinality, json, &text))
        } else {
            None
        };
        if let Some(kind) = wrong {
            self.open(kind, step, slot, start);
            return Ok(());
        }
        let kind = match found.of.content {
            Content::Primitive(Primitive::Xhtml) => {
                let div = narrative::read(start, tokens)?;
                let from = self.out.len();
                push_json_string(&div, &mut self.out);
                let value = Some(from..self.out.len());
                self.keep(
                    slot,
                    Item {
                        value,
                        beside: None,
                    },
                );
                return Ok(());
            }
            Content::Primitive(of) => Kind::Primitive(of, None),
            Content::Structure(id) => Kind::Structure(self.model.structure(id)),
            Content::Resource => Kind::Holder(None),
        };
        self.open(kind, step, slot, start);
        Ok(())
    }

    /// The slot of an element in the innermost frame, and how many occurrences it has.
    fn slot(&mut self, found: Found<'static>) -> (usize, usize) {
        let Some(top) = self.frames.last_mut() else {
            return (0, 0);
        };
        let known = top.slots.iter().rposition(|s| s.json == found.of.json);
        let at = known.unwrap_or_else(|| {
            top.slots.push(Slot {
                json: found.of.json,
                repeats: found.element.repeats(),
                primitive: matches!(found.of.content, Content::Primitive(_)),
                items: SmallVec::new(),
            });
            top.slots.len() - 1
        });
        (at, top.slots.get(at).map_or(0, |s| s.items.len()))
    }

    fn open(
        &mut self,
        kind: Kind,
        step: (Cow<'static, str>, Option<usize>),
        slot: usize,
        start: &Start<'_>,
    ) {
        let skipped = matches!(kind, Kind::Skipped);
        self.frames.push(Frame {
            kind,
            step,
            slot,
            id: None,
            url: None,
            slots: SmallVec::new(),
            from: self.out.len(),
            texted: false,
        });
        if !skipped {
            for attribute in &start.attributes {
                self.attribute(attribute);
            }
        }
    }

    fn attribute(&mut self, attribute: &Attribute<'_>) {
        let Attribute { name, value } = attribute;
        if name.space == XSI || (name.space == XML && name.local == "space") {
            return;
        }
        let Some(top) = self.frames.last_mut() else {
            return;
        };
        let plain = name.space.is_empty();
        match (name.local, &mut top.kind) {
            ("id", Kind::Structure(_) | Kind::Primitive(..)) if plain => {
                top.id = Some(value.clone().into_owned());
            }
            ("value", Kind::Primitive(_, of)) if plain => *of = Some(value.clone().into_owned()),
            ("url", Kind::Structure(of)) if plain && is_extension(of) => {
                top.url = Some(value.clone().into_owned());
            }
            _ => {
                let local = clipped(name.local);
                let text = || format!("the attribute \"{local}\" does not exist here");
                self.issue(Code::ElementUnknown, name.local, text);
            }
        }
    }

    fn text(&mut self, text: &str) {
        if text.trim_matches(super::token::is_space).is_empty() {
            return;
        }
        let Some(top) = self.frames.last_mut() else {
            return;
        };
        if top.texted || matches!(top.kind, Kind::Skipped) {
            return;
        }
        top.texted = true;
        self.issue(Code::XmlText, "", || {
            "text outside of a narrative; values are attributes named \"value\"".to_owned()
        });
    }

    fn end(&mut self) {
        let Some(frame) = self.frames.last() else {
            return;
        };
        if let Kind::Primitive(_, None) = frame.kind
            && frame.slots.is_empty()
            && frame.id.is_none()
        {
            let text = || "the element has no value and no extension".to_owned();
            self.issue(Code::ElementEmpty, "", text);
        } else if matches!(frame.kind, Kind::Holder(None)) {
            self.issue(Code::ElementEmpty, "", || {
                "there is no resource in it".to_owned()
            });
        }
        let Some(frame) = self.frames.pop() else {
            return;
        };
        if matches!(frame.kind, Kind::Skipped) {
            if let Some(Kind::Holder(held)) = self.frames.last_mut().map(|f| &mut f.kind) {
                *held = Some(0..0);
            }
            return;
        }
        let content = frame.content(&self.out);
        self.out.truncate(frame.from);
        let mut write = |text: &str| {
            let from = self.out.len();
            self.out.push_str(text);
            Some(from..self.out.len())
        };
        let item = match &frame.kind {
            Kind::Primitive(of, value) => Item {
                value: value.as_ref().and_then(|v| write(&primitive(*of, v))),
                beside: (content.len() > 2).then(|| write(&content)).flatten(),
            },
            _ => Item {
                value: write(&content),
                beside: None,
            },
        };
        self.keep(frame.slot, item);
    }

    /// Adds an occurrence to the innermost frame.
    fn keep(&mut self, slot: usize, item: Item) {
        let Some(top) = self.frames.last_mut() else {
            return;
        };
        match &mut top.kind {
            Kind::Holder(held) => *held = item.value,
            _ => {
                if let Some(slot) = top.slots.get_mut(slot) {
                    slot.items.push(item);
                }
            }
        }
    }
}

impl Frame {
    /// The JSON of the element; of a primitive what stands beside its value.
    fn content(&self, out: &str) -> String {
        if let Kind::Holder(held) = &self.kind {
            let held = held.clone().and_then(|range| out.get(range));
            return held.unwrap_or("{}").to_owned();
        }
        let size: usize = out.len() - self.from + 16 * self.slots.len() + 64;
        let mut json = String::with_capacity(size);
        json.push('{');
        let member = |name: [&str; 2], json: &mut String| {
            if json.len() > 1 {
                json.push(',');
            }
            json.push('"');
            json.push_str(name[0]);
            json.push_str(name[1]);
            json.push_str("\":");
        };
        if let Kind::Resource(structure) = self.kind {
            member(["", "resourceType"], &mut json);
            push_json_string(structure.path, &mut json);
        }
        for (name, value) in [("id", &self.id), ("url", &self.url)] {
            if let Some(value) = value {
                member(["", name], &mut json);
                push_json_string(value, &mut json);
            }
        }
        for slot in &self.slots {
            if slot.items.iter().any(|i| i.value.is_some()) {
                member(["", slot.json], &mut json);
                slot.write(out, |item| item.value.clone(), &mut json);
            }
            if slot.primitive && slot.items.iter().any(|i| i.beside.is_some()) {
                member(["_", slot.json], &mut json);
                slot.write(out, |item| item.beside.clone(), &mut json);
            }
        }
        json.push('}');
        json
    }
}

impl Slot {
    fn write(&self, out: &str, of: impl Fn(&Item) -> Option<Range<usize>>, json: &mut String) {
        if self.repeats {
            json.push('[');
        }
        for (i, item) in self.items.iter().enumerate() {
            if i > 0 {
                json.push(',');
            }
            json.push_str(of(item).and_then(|range| out.get(range)).unwrap_or("null"));
        }
        if self.repeats {
            json.push(']');
        }
    }
}

/// A primitive's value in JSON. What is no number or boolean of JSON becomes a string, which the
/// validator refuses with its place.
fn primitive(of: Primitive, value: &str) -> Cow<'_, str> {
    let bare = match of {
        Primitive::Boolean => matches!(value, "true" | "false"),
        Primitive::Decimal | Primitive::UnsignedInt => is_number(value),
        // A plus sign may stand before them in XML, not in JSON (`datatypes.html#integer`).
        Primitive::Integer | Primitive::PositiveInt => {
            let unsigned = value
                .strip_prefix('+')
                .filter(|digits| digits.starts_with(|c: char| matches!(c, '1'..='9')));
            match unsigned.filter(|digits| is_number(digits)) {
                Some(unsigned) => return Cow::Borrowed(unsigned),
                None => is_number(value),
            }
        }
        _ => false,
    };
    if bare {
        return Cow::Borrowed(value);
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    push_json_string(value, &mut quoted);
    Cow::Owned(quoted)
}

/// Whether this is a number of JSON (RFC 8259 section 6).
fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or("");
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or("");
    }
    let Some(exponent) = rest.strip_prefix(['e', 'E']) else {
        return rest.is_empty();
    };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    !exponent.is_empty() && digits(exponent) == exponent.len()
}

/// Whether `url` is an attribute of the structure.
fn is_extension(of: &Structure) -> bool {
    of.path == "Extension"
}

fn push_step(step: &str, path: &mut String) {
    if !step.is_empty() {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(step);
    }
}

/// At most 64 characters of a name that a client sent.
fn clipped(text: &str) -> &str {
    text.char_indices()
        .nth(64)
        .and_then(|(at, _)| text.get(..at))
        .unwrap_or(text)
}

#[cfg(test)]
mod signs {
    use super::{Primitive, primitive};

    #[test]
    fn whole_numbers_may_have_a_plus_sign() {
        for (of, text, wanted) in [
            (Primitive::Integer, "+1", "1"),
            (Primitive::Integer, "-1", "-1"),
            (Primitive::Integer, "+-1", "\"+-1\""),
            (Primitive::Integer, "+0", "\"+0\""),
            (Primitive::PositiveInt, "+12", "12"),
            (Primitive::UnsignedInt, "+1", "\"+1\""),
            (Primitive::Decimal, "+1", "\"+1\""),
        ] {
            assert_eq!(primitive(of, text), wanted, "{text}");
        }
    }
}
