//! Selecting from resources: elements, references and the directives that reorganise
//! (`graphql.html`). No I/O: what is not loaded is noted.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use async_graphql_parser::Pos;
use async_graphql_parser::types::SelectionSet;
use async_graphql_value::ConstValue;
use base::{Code, ResourceId};
use fhir::definitions::{Content, Model, Structure, TypeId};
use fhir::json::{self, Doc, Kind, Value};
use fhir::path::Types;
use fhir::reference::Literal;
use fhir::search::Customs;

use super::collect::{Group, known_directives};
use super::document::Document;
use super::fields::{Fields, Form, Out};
use super::filter::{Compiled, Slice, scalar};
use super::load::{Known, Loaded, Need};
use super::schema::Schema;
use super::{Checked, Fault, Stop, wrong};
use crate::session::Session;

/// Steps of FHIRPath that one evaluation may take.
const PATH_STEPS_MAX: u64 = 1_000_000;

/// One evaluation.
pub(super) struct Pass<'p> {
    pub(super) document: &'p Document,
    pub(super) loaded: &'p Loaded,
    pub(super) model: &'static Model,
    /// The tenant's own search parameters.
    pub(super) own: &'p Customs,
    /// The schema with these parameters, where there are some.
    own_schema: OnceCell<Schema>,
    pub(super) types: Types,
    base: String,
    pub(super) fields: Cell<u64>,
    /// Fields of the schema that were selected so far.
    pub(super) schema_fields: Cell<u64>,
    /// Bytes of values selected so far.
    pub(super) bytes: Cell<u64>,
    pub(super) bytes_max: u64,
    /// Expressions compiled so far, by what they stand in.
    pub(super) plans: RefCell<Vec<Compiled>>,
    pub(super) path_steps: Cell<u64>,
    /// Resources that were looked at, parsed, by where their bytes are.
    parsed: RefCell<HashMap<*const u8, Rc<Doc<'p>>>>,
    needs: RefCell<Vec<Need>>,
}

/// The resource that is looked at.
#[derive(Clone, Copy)]
pub(super) struct Resource<'r> {
    pub(super) root: Value<'r>,
    /// What `#` references are resolved in.
    container: Value<'r>,
    name: &'static str,
    structure: &'static Structure,
    pub(super) content: Content,
    /// Its id and type, where it has its own place on this server.
    place: Option<(TypeId, &'r ResourceId)>,
}

/// An object that is looked at.
#[derive(Clone, Copy)]
struct Element<'r> {
    resource: Resource<'r>,
    value: Value<'r>,
    structure: &'static Structure,
    is_resource: bool,
}

/// How a selection goes on into what it found.
#[derive(Clone, Copy)]
pub(super) struct Way<'w> {
    /// A flattened list: what is found in it is part of a list.
    listed: bool,
    /// What `@slice` appends to names.
    suffix: &'w str,
    depth: u64,
    /// What the document is asked of: introspection begins there.
    root: bool,
}

impl Way<'_> {
    /// At the resource that the document is asked of.
    const ROOT: Self = Self {
        root: true,
        ..Self::START
    };

    pub(super) const START: Self = Self {
        listed: false,
        suffix: "",
        depth: 0,
        root: false,
    };

    /// Into another object.
    pub(super) const fn deeper(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..Self::START
        }
    }
}

impl<'p> Pass<'p> {
    pub(super) fn new(
        session: &Session,
        own: &'p Customs,
        document: &'p Document,
        loaded: &'p Loaded,
    ) -> Self {
        let model = session.model();
        Self {
            document,
            loaded,
            model,
            own,
            own_schema: OnceCell::new(),
            types: Types::of(model),
            base: session.links().fhir(),
            fields: Cell::new(0),
            schema_fields: Cell::new(0),
            bytes: Cell::new(0),
            bytes_max: session.limits().page_bytes_max,
            plans: RefCell::default(),
            path_steps: Cell::new(PATH_STEPS_MAX),
            parsed: RefCell::default(),
            needs: RefCell::default(),
        }
    }

    /// What can be asked of this tenant.
    pub(super) fn schema(&self) -> &Schema {
        match self.own.iter().any(|c| c.serves) {
            false => Schema::of(self.model),
            true => self
                .own_schema
                .get_or_init(|| Schema::with(self.model, self.own)),
        }
    }

    /// Evaluates the document on a resource, or on the whole.
    pub(super) fn run(&self, focus: Option<&(TypeId, ResourceId)>) -> Checked<Fields> {
        let mut out = Fields::default();
        let sets = [self.document.selection()];
        match focus {
            None => self.whole(&sets, &mut out)?,
            Some((type_id, id)) => {
                self.stored(*type_id, id, &sets, Way::ROOT, &mut out)?;
            }
        }
        Ok(out)
    }

    /// What is not loaded yet.
    pub(super) fn into_needs(self) -> Vec<Need> {
        let mut needs = self.needs.into_inner();
        let mut seen = std::collections::HashSet::new();
        needs.retain(|need| seen.insert(need.clone()));
        needs
    }

    pub(super) fn need(&self, need: Need) {
        self.needs.borrow_mut().push(need);
    }

    /// Selects from a stored resource; `false` if it is not there.
    pub(super) fn stored(
        &self,
        type_id: TypeId,
        id: &ResourceId,
        sets: &[&'p SelectionSet],
        way: Way<'_>,
        out: &mut Fields,
    ) -> Checked<bool> {
        match self.loaded.reads.get(&(type_id, id.clone())) {
            None => {
                self.need(Need::Read(type_id, id.clone()));
                Ok(true)
            }
            Some(Known::Found(body)) => {
                self.body(body, sets, way, out)?;
                Ok(true)
            }
            Some(Known::Absent) => Ok(false),
            Some(Known::Denied) => Err(Stop::Denied),
        }
    }

    /// Selects from the bytes of a stored resource.
    pub(super) fn body(
        &self,
        body: &'p [u8],
        sets: &[&'p SelectionSet],
        way: Way<'_>,
        out: &mut Fields,
    ) -> Checked<()> {
        self.with_resource(body, |resource| self.resource(resource, sets, way, out))
    }

    /// The resource of these bytes, which stay where they are: parsed once, however many fields ask
    /// for it.
    fn parsed(&self, body: &'p [u8]) -> Checked<Rc<Doc<'p>>> {
        if let Some(known) = self.parsed.borrow().get(&body.as_ptr()) {
            return Ok(known.clone());
        }
        // It was within its limits when it came in.
        let doc = Rc::new(json::parse(body, usize::MAX).map_err(|_| damaged())?);
        self.parsed.borrow_mut().insert(body.as_ptr(), doc.clone());
        Ok(doc)
    }

    pub(super) fn with_resource<T>(
        &self,
        body: &'p [u8],
        each: impl FnOnce(Resource<'_>) -> Checked<T>,
    ) -> Checked<T> {
        let doc = self.parsed(body)?;
        let root = doc.root();
        let id = root.get("id").and_then(Value::as_str);
        let id = id.and_then(|id| ResourceId::new(&id).ok());
        let mut resource = self.resource_of(root, root).ok_or_else(damaged)?;
        let type_id = self.model.type_id(resource.name);
        resource.place = type_id.zip(id.as_ref());
        each(resource)
    }

    fn resource_of<'r>(&self, root: Value<'r>, container: Value<'r>) -> Option<Resource<'r>> {
        let name = root.get("resourceType").and_then(Value::as_str)?;
        let id = self.model.structure_named(&name)?;
        let structure = self.model.structure(id);
        Some(Resource {
            root,
            container,
            name: structure.path,
            structure,
            content: Content::Structure(id),
            place: None,
        })
    }

    fn resource(
        &self,
        resource: Resource<'_>,
        sets: &[&'p SelectionSet],
        way: Way<'_>,
        out: &mut Fields,
    ) -> Checked<()> {
        let element = Element {
            resource,
            value: resource.root,
            structure: resource.structure,
            is_resource: true,
        };
        self.object(element, sets, way, out)
    }

    fn object(
        &self,
        element: Element<'_>,
        sets: &[&'p SelectionSet],
        way: Way<'_>,
        out: &mut Fields,
    ) -> Checked<()> {
        let is_it = |name: &str| {
            name == type_name(element.structure)
                || name == element.structure.path
                || (element.is_resource && matches!(name, "Resource" | "DomainResource"))
        };
        for group in self.collect(sets, &is_it, way.depth)? {
            self.field(element, &group, way, out)?;
        }
        Ok(())
    }

    fn field(
        &self,
        element: Element<'_>,
        group: &Group<'p>,
        way: Way<'_>,
        out: &mut Fields,
    ) -> Checked<()> {
        let (name, at) = (group.field.name.node.as_str(), group.at);
        known_directives(group)?;
        let key = format!("{}{}", group.key(), way.suffix);
        let of = element.structure;
        match name {
            "__typename" => return put(out, &key, Form::Single, Out::text(&type_name(of)), at),
            "resourceType" if element.is_resource => {
                let name = Out::text(element.resource.name);
                return put(out, &key, Form::Single, name, at);
            }
            "__schema" | "__type" if way.root => {
                return match self.introspected(&type_name(of), group)? {
                    Some(json) => put(out, &key, Form::Single, Out::Json(json), at),
                    None => Ok(()),
                };
            }
            "resource" if of.path == "Reference" => {
                return self.referred(element, group, way, out);
            }
            _ => {}
        }
        if let (true, Some((type_id, id))) = (element.is_resource, element.resource.place)
            && let Some((found, kind)) = self.search_field(name)
        {
            return self.searched(found, kind, Some((type_id, id)), group, way, out);
        }
        let (json, extra) = match name.strip_prefix('_') {
            Some(bare) => (bare, true),
            None => (name, false),
        };
        let Some(found) = of.member(json) else {
            return wrong(format!("{} has no element {name}", type_name(of)), at);
        };
        let primitive = matches!(found.of.content, Content::Primitive(_));
        if extra && !primitive {
            return wrong(format!("{} has no element {name}", type_name(of)), at);
        }
        let value = element.value.get(name);
        let mut values: Vec<Value<'_>> = match value {
            Some(list) if list.kind() == Kind::Array => list.items().collect(),
            other => other.into_iter().collect(),
        };
        values.retain(|v| v.kind() != Kind::Null);
        let content = match extra {
            true => match self.model.structure_named("Element") {
                Some(id) => Content::Structure(id),
                None => found.of.content,
            },
            false => found.of.content,
        };
        self.check_sets(group, matches!(content, Content::Primitive(_)))?;
        let values = self.filtered(element.resource, content, values, group)?;
        let listed = found.element.repeats();
        self.values(element.resource, content, &values, listed, group, way, out)
    }

    /// Objects need a selection, primitives have none.
    fn check_sets(&self, group: &Group<'_>, primitive: bool) -> Checked<()> {
        match (primitive, group.selects()) {
            (true, true) => wrong("a primitive has no fields", group.at),
            (false, false) => wrong("fields of this element must be selected", group.at),
            _ => Ok(()),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one place of the whole evaluation"
    )]
    fn values(
        &self,
        resource: Resource<'_>,
        content: Content,
        values: &[Value<'_>],
        repeats: bool,
        group: &Group<'p>,
        way: Way<'_>,
        out: &mut Fields,
    ) -> Checked<()> {
        let slice = self.slice(resource, content, group)?;
        let (flatten, first) = (group.has("flatten"), group.has("first"));
        let form = match (group.has("singleton"), first) {
            (true, _) => Form::Single,
            (false, true) if way.listed => Form::List,
            (false, true) => Form::Either,
            _ if repeats || way.listed => Form::List,
            _ => Form::Either,
        };
        let most = if first { 1 } else { usize::MAX };
        for (index, value) in values.iter().take(most).enumerate() {
            let suffix = match &slice {
                None => way.suffix.to_owned(),
                Some(Slice::Index) => format!("{}.{index}", way.suffix),
                Some(Slice::Path(plan)) => {
                    let name = self.text_at(plan, resource, content, *value, group.at)?;
                    format!("{}.{name}", way.suffix)
                }
            };
            let key = format!("{}{suffix}", group.key());
            if let Content::Primitive(_) = content {
                let json = value.raw();
                self.weigh(json.len(), group.at)?;
                put(out, &key, form, Out::Json(json.to_owned()), group.at)?;
                continue;
            }
            let inner = Way {
                listed: flatten && (way.listed || (repeats && !first && slice.is_none())),
                suffix: if flatten || slice.is_some() {
                    &suffix
                } else {
                    ""
                },
                depth: way.depth + 1,
                root: false,
            };
            if flatten {
                self.inside(resource, content, *value, &group.sets, inner, out)?;
            } else {
                let mut object = Fields::default();
                let inner = Way {
                    suffix: "",
                    ..inner
                };
                self.inside(resource, content, *value, &group.sets, inner, &mut object)?;
                put(out, &key, form, Out::Object(object), group.at)?;
            }
        }
        Ok(())
    }

    fn inside(
        &self,
        resource: Resource<'_>,
        content: Content,
        value: Value<'_>,
        sets: &[&'p SelectionSet],
        way: Way<'_>,
        out: &mut Fields,
    ) -> Checked<()> {
        if content == Content::Resource {
            // A contained resource, or one in a Bundle.
            return match self.resource_of(value, resource.container) {
                Some(inner) => self.resource(inner, sets, way, out),
                None => Ok(()),
            };
        }
        let Content::Structure(id) = content else {
            return Ok(());
        };
        let element = Element {
            resource,
            value,
            structure: self.model.structure(id),
            is_resource: false,
        };
        self.object(element, sets, way, out)
    }

    /// `resource` of a Reference: what it refers to.
    fn referred(
        &self,
        element: Element<'_>,
        group: &Group<'p>,
        way: Way<'_>,
        out: &mut Fields,
    ) -> Checked<()> {
        self.check_sets(group, false)?;
        let (mut optional, mut types) = (false, Vec::new());
        for (name, written) in &group.field.arguments {
            let value = self.document.value(&written.node, written.pos)?;
            match (name.node.as_str(), value) {
                ("optional", ConstValue::Boolean(value)) => optional = value,
                ("type", ConstValue::List(all)) => {
                    for one in &all {
                        types.push(scalar(one, written.pos)?);
                    }
                }
                ("type", value) => types.push(scalar(&value, written.pos)?),
                (name, _) => return wrong(format!("the argument {name} is not good"), written.pos),
            }
        }
        let fits = |name: &str| types.is_empty() || types.iter().any(|t| t == name);
        let text = element.value.get("reference").and_then(Value::as_str);
        let text = text.unwrap_or_default();
        let inner = Way {
            suffix: if group.has("flatten") { way.suffix } else { "" },
            listed: group.has("flatten") && way.listed,
            depth: way.depth + 1,
            root: false,
        };
        let mut object = Fields::default();
        let target = if group.has("flatten") {
            &mut *out
        } else {
            &mut object
        };
        let found = match Literal::parse(&text, self.model, &[&self.base]) {
            Literal::Local { type_id, id, .. } => {
                if !fits(self.model.type_name(type_id)) {
                    return Ok(());
                }
                match self.stored(type_id, &id, &group.sets, inner, target) {
                    Err(Stop::Denied) if optional => return Ok(()),
                    done => done?,
                }
            }
            Literal::Contained(id) => match self.contained(element.resource, id) {
                Some(inside) if !fits(inside.name) => return Ok(()),
                Some(inside) => {
                    self.resource(inside, &group.sets, inner, target)?;
                    true
                }
                None => false,
            },
            _ => false,
        };
        match (found, optional) {
            (true, _) if group.has("flatten") => Ok(()),
            (true, _) => {
                let form = match (group.has("singleton"), way.listed) {
                    (false, true) => Form::List,
                    (true, _) => Form::Single,
                    _ => Form::Either,
                };
                let key = format!("{}{}", group.key(), way.suffix);
                put(out, &key, form, Out::Object(object), group.at)
            }
            (false, true) => Ok(()),
            (false, false) => wrong("the reference leads to no resource here", group.at),
        }
    }

    fn contained<'r>(&self, resource: Resource<'r>, id: &str) -> Option<Resource<'r>> {
        if id.is_empty() {
            return self.resource_of(resource.container, resource.container);
        }
        let mut all = resource.container.get("contained")?.items();
        let is_it = |v: &Value<'_>| v.get("id").and_then(Value::as_str).as_deref() == Some(id);
        self.resource_of(all.find(is_it)?, resource.container)
    }
}

fn damaged() -> Stop {
    Stop::Fault(Fault {
        code: Code::Internal,
        text: Code::Internal.describe().to_owned(),
        at: None,
    })
}

pub(super) fn put(out: &mut Fields, key: &str, form: Form, value: Out, at: Pos) -> Checked<()> {
    match out.push(key, form, value) {
        true => Ok(()),
        false => wrong(format!("{key} has several values, but is a @singleton"), at),
    }
}

/// The name of a type in GraphQL: `Patient`, `PatientContact`.
pub(super) fn type_name(structure: &Structure) -> String {
    let mut name = String::new();
    for part in structure.path.split('.') {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}
