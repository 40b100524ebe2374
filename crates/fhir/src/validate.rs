//! Structural validation: does a parsed resource have the elements, types, cardinalities, formats
//! and required codes that this version of FHIR defines (`validation.html`, aspects structure,
//! cardinality, value domains and required bindings)?
//!
//! All issues are collected, up to a limit. Invariants, profiles and terminology beyond required
//! codes are not checked here; depth and size are the JSON reader's business.

use std::collections::HashSet;

use base::{Code, ResourceId};
use smallvec::SmallVec;

use crate::definitions::{
    Content, Element, ElementType, Found, Model, Primitive, Structure, StructureId, TypeId,
};
use crate::json::{Kind, Value};
use crate::outcome::Issue;

mod coded;
mod contained;
mod path;
mod primitive;
mod primitives;
mod references;
mod xhtml;

use path::Path;

/// Whether a text, as a JSON number or boolean where JSON has those, is a value of a primitive type.
pub(crate) fn is_primitive(of: Primitive, text: &str) -> bool {
    match of {
        Primitive::Boolean => matches!(text, "true" | "false"),
        Primitive::Decimal => crate::json::parse(text.as_bytes(), 1)
            .is_ok_and(|doc| doc.root().kind() == Kind::Number),
        Primitive::String | Primitive::Markdown | Primitive::Xhtml => !text.is_empty(),
        of => primitive::is_valid(of, text),
    }
}

/// What validation needs to know beside the model.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    /// Absolute base URLs of this tenant, without a final slash.
    pub own_bases: &'c [&'c str],
    /// Most issues that are collected: limit `outcome_issues_max`.
    pub issues_max: usize,
}

/// What validation found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong, in document order; empty if nothing is.
    pub issues: Vec<Issue>,
    /// Literal references to resources of this server, in document order, repeated ones once.
    /// Those inside the entries of a Bundle are that Bundle's own affair and not listed.
    pub references: Vec<Pointed>,
    /// The first reference by URN that is no affair of a Bundle.
    pub dangling: Option<Box<str>>,
}

/// What a literal reference to this server points to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointed {
    /// The type.
    pub type_id: TypeId,
    /// The id.
    pub id: ResourceId,
    /// The version, where it names one; as written.
    pub version: Option<Box<str>>,
}

/// Checks one resource.
pub fn validate(model: &'static Model, resource: Value<'_>, context: &Context<'_>) -> Report {
    let mut checker = Checker::new(model, *context);
    checker.resource(resource, None, Level::Root);
    checker.finish()
}

/// Whether a text is XHTML as narratives may have it (`narrative.html#xhtml`).
pub(crate) fn is_narrative(text: &str) -> bool {
    xhtml::check(text).is_ok()
}

/// Checks a resource but not the resources inside it: the shell of a Bundle whose entries are
/// admitted one by one.
pub fn validate_shell(model: &'static Model, resource: Value<'_>, context: &Context<'_>) -> Report {
    let mut checker = Checker::new(model, *context);
    checker.shell_only = true;
    checker.resource(resource, None, Level::Root);
    checker.finish()
}

/// Where a resource stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Contained,
    /// In an entry of a Bundle, or a parameter of Parameters.
    Entry,
}

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A resource: has `resourceType` and may be empty otherwise.
    Resource,
    /// An element: has content besides its `id`.
    Element,
    /// `id` and extensions beside the value of a primitive.
    BesideValue,
}

struct Checker<'c> {
    model: &'static Model,
    context: Context<'c>,
    reference: Option<StructureId>,
    codeable_reference: Option<StructureId>,
    extension: Option<StructureId>,
    report: Report,
    /// What the report lists as references, to list each once.
    noted: HashSet<Pointed>,
    /// Issues beyond the limit.
    unlisted: usize,
    /// Depth of resources inside entries.
    entries: usize,
    /// Leave resources inside the resource alone.
    shell_only: bool,
    /// What the resource around this place contains.
    inside: contained::Inside,
    /// This place is in a contained resource.
    is_contained: bool,
}

impl<'c> Checker<'c> {
    fn new(model: &'static Model, context: Context<'c>) -> Self {
        Self {
            model,
            context,
            reference: model.structure_named("Reference"),
            codeable_reference: model.structure_named("CodeableReference"),
            extension: model.structure_named("Extension"),
            report: Report::default(),
            noted: HashSet::new(),
            unlisted: 0,
            entries: 0,
            shell_only: false,
            inside: contained::Inside::default(),
            is_contained: false,
        }
    }

    fn finish(mut self) -> Report {
        if self.unlisted > 0 {
            let text = format!("{} further issues are not listed", self.unlisted);
            let issue = Issue::error(Code::LimitQuery, text).limit("outcome_issues_max");
            self.report.issues.push(issue);
        }
        self.report
    }

    fn issue(&mut self, code: Code, path: Path<'_>, text: impl FnOnce() -> String) {
        if self.report.issues.len() < self.context.issues_max {
            self.report
                .issues
                .push(Issue::error(code, text()).at(path.text()));
        } else {
            self.unlisted += 1;
        }
    }

    fn resource(&mut self, value: Value<'_>, path: Option<Path<'_>>, level: Level) {
        let at = path.unwrap_or(Path::root("Resource"));
        if value.kind() != Kind::Object {
            return self.issue(Code::ElementType, at, || {
                "a resource is a JSON object".into()
            });
        }
        let Some(name) = value.get("resourceType") else {
            let text = || "the member \"resourceType\" is missing".into();
            return self.issue(Code::ElementCardinality, at, text);
        };
        let Some(name) = name.as_str() else {
            let text = || "\"resourceType\" is a JSON string".into();
            return self.issue(Code::ElementType, at.name("resourceType"), text);
        };
        let Some(type_id) = self.model.type_id(&name) else {
            let version = self.model.version();
            let text = || format!("\"resourceType\" names no resource type of FHIR {version}");
            return self.issue(Code::ElementValue, at.name("resourceType"), text);
        };
        let Some(structure) = self.model.structure_of(type_id) else {
            return;
        };
        let structure = self.model.structure(structure);
        let at = path.unwrap_or(Path::root(structure.path));
        if level == Level::Contained && value.get("contained").is_some() {
            let text = || "a contained resource contains no further resources".into();
            self.issue(Code::ElementUnknown, at.name("contained"), text);
        }
        if level == Level::Contained {
            self.contained(value, at);
            let around = std::mem::replace(&mut self.is_contained, true);
            self.structure(value, structure, at, Form::Resource);
            self.is_contained = around;
            return;
        }
        let inside = contained::Inside::of(self.model, structure, value);
        let around = std::mem::replace(&mut self.inside, inside);
        let is_contained = std::mem::replace(&mut self.is_contained, false);
        let entries = usize::from(level == Level::Entry);
        self.entries += entries;
        self.structure(value, structure, at, Form::Resource);
        self.entries -= entries;
        self.is_contained = is_contained;
        self.inside = around;
    }

    /// Checks the members of an object against a structure's elements.
    fn structure(&mut self, object: Value<'_>, of: &'static Structure, path: Path<'_>, form: Form) {
        let mut seen = 0u128;
        let mut choices: SmallVec<[(u16, &'static str); 2]> = SmallVec::new();
        let mut content = form != Form::Element;
        for member in object.members() {
            let name = member.name();
            if form == Form::Resource && name == "resourceType" {
                continue;
            }
            let beside = name.strip_prefix('_');
            let Some(found) = of.member(beside.unwrap_or(&name)) else {
                self.issue(Code::ElementUnknown, path.name(&name), || {
                    format!("{} has no element \"{}\"", of.path, clipped(&name))
                });
                continue;
            };
            content |= found.element.name != "id";
            seen |= 1u128.checked_shl(u32::from(found.index)).unwrap_or(0);
            if found.element.choice {
                self.one_choice(&mut choices, found, path);
            }
            let at = path.name(found.element.name);
            match (beside, found.of.content) {
                (None, Content::Primitive(p)) => {
                    self.primitive_element(object, member.value, found, p, at);
                }
                (Some(_), Content::Primitive(_)) => {
                    self.beside_element(object, member.value, found, at);
                }
                (None, _) => self.element(member.value, found, at),
                (Some(_), _) => self.issue(Code::ElementUnknown, path.name(&name), || {
                    format!("only primitive elements have \"{}\"", clipped(&name))
                }),
            }
        }
        if !content {
            self.issue(Code::ElementEmpty, path, || {
                "an element needs content".into()
            });
        }
        for &index in &of.required {
            let here = 1u128.checked_shl(u32::from(index)).unwrap_or(0);
            if seen & here == 0
                && let Some(element) = of.elements.get(usize::from(index))
            {
                let text = || format!("{} needs \"{}\"", of.path, shown(element));
                self.issue(Code::ElementCardinality, path.name(element.name), text);
            }
        }
    }

    /// Refuses a second type of one choice (`valueString` beside `valueQuantity`).
    fn one_choice(
        &mut self,
        choices: &mut SmallVec<[(u16, &'static str); 2]>,
        found: Found<'static>,
        path: Path<'_>,
    ) {
        match choices.iter().find(|(index, _)| *index == found.index) {
            Some(&(_, json)) if json != found.of.json => {
                let text = || format!("both \"{json}\" and \"{}\": one is allowed", found.of.json);
                self.issue(
                    Code::ElementCardinality,
                    path.name(found.element.name),
                    text,
                );
            }
            Some(_) => {}
            None => choices.push((found.index, found.of.json)),
        }
    }

    /// Checks an element that is not primitive.
    fn element(&mut self, value: Value<'_>, found: Found<'static>, path: Path<'_>) {
        let Some(count) = self.shape(value, found.element, path) else {
            return;
        };
        if !found.element.repeats() {
            return self.item(value, found.element, found.of, path);
        }
        self.count(count, found.element, path);
        for (i, item) in value.items().enumerate() {
            self.item(item, found.element, found.of, path.index(i));
        }
    }

    /// Whether the value is an array exactly where the element may repeat, and how many items.
    fn shape(&mut self, value: Value<'_>, element: &Element, path: Path<'_>) -> Option<usize> {
        match (element.repeats(), value.kind() == Kind::Array) {
            (false, false) => return Some(1),
            (true, true) if !value.is_empty_container() => return Some(value.items().count()),
            (true, true) => {
                self.issue(Code::ElementEmpty, path, || {
                    "an array is never empty".into()
                });
            }
            (true, false) => {
                let text = || format!("\"{}\" is a JSON array", shown(element));
                self.issue(Code::ElementType, path, text);
            }
            (false, true) => {
                let text = || format!("\"{}\" does not repeat: no JSON array", shown(element));
                self.issue(Code::ElementType, path, text);
            }
        }
        None
    }

    fn count(&mut self, count: usize, element: &Element, path: Path<'_>) {
        if count < usize::from(element.min) {
            let text = || format!("at least {} of \"{}\"", element.min, shown(element));
            self.issue(Code::ElementCardinality, path, text);
        }
        if let Some(max) = element.max
            && count > usize::from(max)
        {
            let text = || format!("at most {max} of \"{}\"", shown(element));
            self.issue(Code::ElementCardinality, path, text);
        }
    }

    fn item(
        &mut self,
        value: Value<'_>,
        element: &'static Element,
        of: &'static ElementType,
        path: Path<'_>,
    ) {
        match of.content {
            Content::Primitive(_) => {}
            Content::Resource if self.shell_only => {}
            Content::Resource => {
                let contained = element.name == "contained";
                let level = if contained {
                    Level::Contained
                } else {
                    Level::Entry
                };
                self.resource(value, Some(path), level);
            }
            Content::Structure(id) => {
                if value.kind() != Kind::Object {
                    let text = || format!("a {} is a JSON object", of.name);
                    return self.issue(Code::ElementType, path, text);
                }
                self.structure(value, self.model.structure(id), path, Form::Element);
                if Some(id) == self.reference {
                    self.reference(value, of, path);
                } else if Some(id) == self.codeable_reference
                    && let Some(reference) = value.get("reference")
                {
                    self.reference_target(reference, of, path.name("reference"));
                } else if Some(id) == self.extension {
                    self.extension(value, path);
                }
                if let Some(codes) = element.required_codes {
                    self.coded(value, of, codes, path);
                }
            }
        }
    }

    /// An extension has a value, or extensions in its place (`extensibility.html`, ext-1).
    fn extension(&mut self, value: Value<'_>, path: Path<'_>) {
        let (mut extensions, mut valued) = (false, false);
        for member in value.members() {
            let name = member.name();
            extensions |= name == "extension";
            valued |= name.trim_start_matches('_').starts_with("value");
        }
        if extensions == valued {
            self.issue(Code::ElementCardinality, path, || {
                "an extension has a value or extensions, and not both (ext-1)".into()
            });
        }
    }
}

/// `value[x]` for a choice, else the name.
fn shown(element: &Element) -> String {
    if element.choice {
        format!("{}[x]", element.name)
    } else {
        element.name.to_owned()
    }
}

/// At most 64 characters of a name or code that a client sent, for a diagnostic.
fn clipped(text: &str) -> &str {
    text.char_indices()
        .nth(64)
        .and_then(|(at, _)| text.get(..at))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests;
