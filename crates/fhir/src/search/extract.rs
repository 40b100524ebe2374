//! A resource to its index [`Row`]s.
//!
//! Each search parameter's expression is compiled once per version of FHIR; [`extract`] runs the
//! plans of the resource's type and turns what they find into rows, by the rules of the
//! parameter's type (`search.html`). Knows neither storage nor queries. `_id` and `_lastUpdated`
//! are not index rows of the content and are left to the store.

use std::cell::Cell;
use std::ops::Range;
use std::sync::OnceLock;

use smallvec::SmallVec;

use crate::definitions::{
    Content, Model, Param, ParamId, ParamKind, PerVersion, Primitive, TypeId,
};
use crate::json;
use crate::path::{Item, Node, PathError, Plan, Touched, Type, Types};
use crate::resource::mask::Mask;

use super::custom::{Customs, Definition};
use super::rows::{Row, RowValue};

mod apart;
mod composite;
mod computed;
mod contained;
mod quantity;
mod reference;
mod shape;
mod special;
mod string;
mod temporal;
mod token;

use shape::{Shape, Shapes};
use special::Narratives;
pub(super) use special::Special;

/// All index rows of a resource: sorted by [`Row::total_cmp`], unique. `own_bases` are the absolute
/// URLs under which this server serves this tenant, without a final slash; references under them
/// are local.
///
/// Whatever the content, there is an answer: values that do not have the form of their type give
/// no rows.
pub fn extract(
    model: &'static Model,
    type_id: TypeId,
    resource: json::Value<'_>,
    own_bases: &[&str],
) -> Vec<Row> {
    let Some(extractor) = Extractor::new(model, type_id, resource, own_bases) else {
        return Vec::new();
    };
    let mut rows = extractor.rows(&extractor.of_type.params);
    extractor.apart(type_id, &mut rows);
    extractor.contained(&mut rows);
    rows
}

/// Reads the index rows of one resource.
pub(super) struct Extractor<'a> {
    plans: &'static Plans,
    of_type: &'static TypePlans,
    resource: Node<'a>,
    /// The members that the resource has.
    present: Names,
    own_bases: &'a [&'a str],
    /// Steps left, where the expressions are others'.
    left: Option<&'a Cell<u64>>,
    endless: Cell<u64>,
}

impl<'a> Extractor<'a> {
    /// For a resource of this type; `None` if the version does not have it.
    pub(super) fn new(
        model: &'static Model,
        type_id: TypeId,
        resource: json::Value<'a>,
        own_bases: &'a [&'a str],
    ) -> Option<Self> {
        let plans = Plans::of(model);
        let of_type = plans.of_type(type_id)?;
        Some(Self {
            plans,
            of_type,
            resource: Node::new(resource, of_type.ty),
            present: Names::of(resource),
            own_bases,
            left: None,
            endless: Cell::new(u64::MAX),
        })
    }

    /// The same, which takes its steps from those that are left: for expressions that others wrote.
    pub(super) const fn within(mut self, left: &'a Cell<u64>) -> Self {
        self.left = Some(left);
        self
    }

    const fn steps(&self) -> &Cell<u64> {
        match self.left {
            Some(left) => left,
            None => &self.endless,
        }
    }

    /// The rows of these parameters, which are sorted by id.
    pub(super) fn rows<P: std::borrow::Borrow<ParamPlan>>(&'a self, params: &'a [P]) -> Vec<Row> {
        let reader = self.reader();
        let mut rows: Vec<Row> = Vec::with_capacity(64);
        let mut several: SmallVec<[Range<usize>; 16]> = SmallVec::new();
        for param in params {
            let param = param.borrow();
            let from = rows.len();
            let id = param.id;
            reader.param(param, &mut |value| rows.push(Row { param: id, value }));
            if rows.len() > from + 1 {
                several.push(from..rows.len());
            }
        }
        // Not before all are read: a processor waits for texts that it has only just written.
        for of_param in several {
            if let Some(of_param) = rows.get_mut(of_param) {
                of_param.sort_unstable_by(Row::total_cmp);
            }
        }
        let kind = |id: ParamId| {
            let found = params.binary_search_by_key(&id, |p| p.borrow().id).ok();
            found.and_then(|at| Some(params.get(at)?.borrow().kind))
        };
        rows.dedup_by(|row, last| repeats(row, last, kind));
        rows
    }

    /// The plan of a standard parameter of this type.
    pub(super) fn plan(&self, param: ParamId) -> Option<&'static ParamPlan> {
        self.of_type.param(param)
    }

    /// The rows of one parameter.
    pub(super) fn rows_of(&self, param: &'static ParamPlan) -> Vec<Row> {
        let reader = self.reader();
        let mut rows = Vec::new();
        let id = param.id;
        reader.param(param, &mut |value| rows.push(Row { param: id, value }));
        rows
    }

    const fn reader(&self) -> Reader<'_> {
        Reader {
            plans: self.plans,
            resource: self.resource,
            present: self.present,
            own_bases: self.own_bases,
            steps: self.steps(),
        }
    }
}

/// Whether a reference parameter, of the definitions or one of the tenant's own, holds canonicals,
/// which are followed by URL (`references.html#canonical`).
pub fn holds_canonicals(
    model: &'static Model,
    own: &Customs,
    type_id: TypeId,
    param: ParamId,
) -> bool {
    let of_version = || {
        let plans = Plans::of(model).of_type(type_id);
        plans.and_then(|t| t.param(param))
    };
    let plan = match own.numbered(param) {
        Some(custom) => Some(&custom.plan),
        None => of_version(),
    };
    plan.is_some_and(|plan| {
        let is_text = |t: &Type| matches!(t.content(), Content::Primitive(_));
        plan.plan.types().iter().any(is_text)
    })
}

/// Puts the rows of one parameter of this kind, which start at `from`, in order and drops repeated ones.
fn settle(rows: &mut Vec<Row>, from: usize, kind: ParamKind) {
    if rows.len() < from + 2 {
        return;
    }
    let mut new = rows.split_off(from);
    new.sort_unstable_by(Row::total_cmp);
    new.dedup_by(|row, last| repeats(row, last, |_| Some(kind)));
    rows.append(&mut new);
}

/// Whether a row says nothing that the one before it does not say. Texts of tokens are only compared
/// folded, so that one of each is enough.
fn repeats(row: &Row, last: &Row, kind: impl Fn(ParamId) -> Option<ParamKind>) -> bool {
    row.param == last.param
        && match (&last.value, &row.value) {
            (
                RowValue::String {
                    folded: before,
                    exact: a,
                },
                RowValue::String { folded, exact: b },
            ) => before == folded && (a == b || kind(row.param) == Some(ParamKind::Token)),
            (last, row) => last == row,
        }
}

/// The compiled parameters of one version of FHIR.
pub(super) struct Plans {
    types: Types,
    shapes: Shapes,
    /// References are searched by what they display.
    displays: bool,
    /// By the order of [`Model::types`].
    of_types: Vec<(TypeId, OnceLock<TypePlans>)>,
}

/// The compiled parameters of one resource type.
pub(super) struct TypePlans {
    ty: Type,
    /// Sorted by id, so that rows come out sorted.
    params: Vec<ParamPlan>,
}

/// A compiled parameter.
#[derive(Debug)]
pub(super) struct ParamPlan {
    pub(super) id: ParamId,
    kind: ParamKind,
    pub(super) plan: Plan,
    /// The members of which a resource must have one for anything to be found; `None` where that is not
    /// known.
    begins: Option<Names>,
    components: Vec<composite::Component>,
    /// Some of its values are identifiers, which may have a type.
    has_identifiers: bool,
    /// Some of its values are family names, of which each part is found by itself.
    has_names: bool,
    /// Its values are MIME types.
    is_mime: bool,
    /// Some of its values may be whole resources.
    encloses: bool,
    /// How a special parameter is compared.
    special: Option<Special>,
    /// Its tokens are kept without regard to case.
    caseless: bool,
}

impl Plans {
    /// The plans of a model; each type is compiled on first use.
    pub(super) fn of(model: &'static Model) -> &'static Self {
        static PLANS: PerVersion<Plans> = PerVersion::new();
        PLANS.get(model.version(), || {
            let types = Types::of(model);
            let of_types = model.types().map(|t| (t, OnceLock::new())).collect();
            Self {
                types,
                shapes: Shapes::of(model),
                displays: super::served::is_r5(model.version()),
                of_types,
            }
        })
    }

    /// The plan of a parameter that a tenant defines.
    ///
    /// # Errors
    /// What does not compile.
    pub(super) fn try_custom(
        &self,
        id: ParamId,
        definition: &Definition,
    ) -> Result<ParamPlan, PathError> {
        let ty = self.types.resource(definition.type_id);
        let ty = ty.unwrap_or(Type::BOOLEAN);
        let plan = Plan::compile(&self.types, ty, &definition.expression)?;
        let parts = definition.components.iter();
        let parts = parts.map(|part| (part.kind, part.expression.as_str()));
        let components = composite::compile(&self.types, ty, &plan, parts)?;
        let named = (id, definition.code.as_str(), definition.kind);
        Ok(ParamPlan::of(&self.types, ty, named, plan, components))
    }

    /// The same; `None` if it does not compile.
    pub(super) fn custom(&self, id: ParamId, definition: &Definition) -> Option<ParamPlan> {
        self.try_custom(id, definition).ok()
    }

    /// The plans of a type.
    pub(super) fn of_type(&self, type_id: TypeId) -> Option<&TypePlans> {
        let (_, cell) = self.of_types.iter().find(|(t, _)| *t == type_id)?;
        let ty = self.types.resource(type_id)?;
        Some(cell.get_or_init(|| TypePlans::compile(&self.types, type_id, ty)))
    }
}

impl Plans {
    /// Whether a parameter can hold anything of what its expression yields, as far as that is known.
    pub(super) fn can_hold(&self, param: &ParamPlan) -> bool {
        let types = param.plan.types();
        let fits = |ty: &Type| match ty.as_system() {
            Some(system) => computed::fits(param.kind, system),
            None => ty.content() == Content::Resource || self.shapes.of_type(*ty).fits(param.kind),
        };
        types.is_empty() || types.iter().any(fits)
    }

    /// Whether a parameter's expression looks at an element that a mask names; one that is not known
    /// does.
    pub(super) fn meets(&self, param: &ParamPlan, mask: &Mask) -> bool {
        let of_plan = |plan: &Plan| {
            let yields: Vec<&str> = plan.types().iter().map(|t| self.types.name(*t)).collect();
            mask.meets(&plan.touches(&self.types), &yields)
        };
        of_plan(&param.plan) || param.components.iter().any(|c| c.plans().any(of_plan))
    }
}

impl TypePlans {
    fn compile(types: &Types, type_id: TypeId, ty: Type) -> Self {
        let of_content = |p: &&Param| !matches!(p.code, "_id" | "_lastUpdated");
        // An expression that does not compile makes a parameter that is not served; there is none
        // in the models that Insula has, as a test shows.
        let compile = |p: &Param| ParamPlan::compile(types, ty, p).ok();
        let all = types.model().params(type_id).iter();
        let known = |p: &ParamPlan| p.kind != ParamKind::Special || p.special.is_some();
        let mut params: Vec<_> = all
            .filter(of_content)
            .filter_map(compile)
            .filter(known)
            .collect();
        params.sort_unstable_by_key(|p| p.id);
        Self { ty, params }
    }

    /// The plan of a parameter, if the engine can compute it.
    pub(super) fn param(&self, id: ParamId) -> Option<&ParamPlan> {
        let found = self.params.binary_search_by_key(&id, |p| p.id).ok()?;
        self.params.get(found)
    }
}

impl ParamPlan {
    /// The types of a composite's components, in order.
    pub(super) fn component_kinds(&self) -> Vec<ParamKind> {
        self.components.iter().map(|c| c.kind).collect()
    }

    /// Whether it is a special parameter of a kind that is known.
    pub(super) const fn is_known_special(&self) -> bool {
        self.special.is_some()
    }

    /// How a special parameter is compared.
    pub(super) const fn special(&self) -> Option<Special> {
        self.special
    }

    /// What its expressions ask beyond the resource, if they do.
    pub(super) fn asks_outside(&self) -> Option<&'static str> {
        let parts = self.components.iter().flat_map(composite::Component::plans);
        std::iter::once(&self.plan)
            .chain(parts)
            .find_map(Plan::asks_outside)
    }

    /// It is a token whose values are all plain text, so that their case does not count
    /// (`search.html#token`).
    pub(super) const fn is_caseless(&self) -> bool {
        self.caseless
    }

    /// Its values are MIME types.
    pub(super) const fn is_mime(&self) -> bool {
        self.is_mime
    }

    /// Some of its values are identifiers.
    pub(super) const fn has_identifiers(&self) -> bool {
        self.has_identifiers
    }

    /// Some of its values are references, which may have an identifier; canonicals have none.
    pub(super) fn may_identify(&self) -> bool {
        let types = self.plan.types();
        let is_text = |t: &Type| matches!(t.content(), Content::Primitive(_));
        types.is_empty() || !types.iter().all(is_text)
    }

    fn compile(types: &Types, ty: Type, param: &Param) -> Result<Self, PathError> {
        let plan = Plan::compile(types, ty, param.expression)?;
        let parts = param.components.iter().map(|c| (c.kind, c.expression));
        let components = composite::compile(types, ty, &plan, parts)?;
        let named = (param.id, param.code, param.kind);
        Ok(Self::of(types, ty, named, plan, components))
    }

    fn of(
        types: &Types,
        resource: Type,
        (id, code, kind): (ParamId, &str, ParamKind),
        plan: Plan,
        components: Vec<composite::Component>,
    ) -> Self {
        let special = match kind {
            ParamKind::Special => Special::of(types, &plan, code),
            _ => None,
        };
        let is_identifier = |ty: &Type| types.name(*ty) == "Identifier";
        let is_plain = |ty: &Type| {
            let text = matches!(
                ty.content(),
                Content::Primitive(Primitive::String | Primitive::Markdown)
            );
            ty.as_system().is_none() && text
        };
        let whole = |ty: &Type| {
            ty.content() == Content::Resource || types.model().type_id(types.name(*ty)).is_some()
        };
        let of_code = |ty: &Type| {
            ty.content() == Content::Primitive(Primitive::Code) && ty.as_system().is_none()
        };
        let codes = kind == ParamKind::Token && !plan.types().is_empty();
        let is_mime = codes && plan.types().iter().all(of_code) && holds_mime(&plan.touches(types));
        let has_names = kind == ParamKind::String && {
            let named = |ty: &Type| types.name(*ty) == "HumanName";
            let touched = plan.touches(types);
            plan.types().iter().any(named) || touched.elements.contains(&("HumanName", "family"))
        };
        let begins = plan
            .begins(resource)
            .map(|keys| keys.into_iter().map(Names::name).collect());
        Self {
            id,
            kind,
            begins,
            has_names,
            is_mime,
            caseless: kind == ParamKind::Token
                && !plan.types().is_empty()
                && plan.types().iter().all(is_plain),
            encloses: kind == ParamKind::Reference && plan.types().iter().any(whole),
            has_identifiers: kind == ParamKind::Token && plan.types().iter().any(is_identifier),
            plan,
            components,
            special,
        }
    }
}

/// Whether an expression ends in elements that hold MIME types (RFC 6838).
fn holds_mime(touched: &Touched) -> bool {
    let mime = |(of, name): &(&str, &str)| {
        *name == "contentType" || (*of, *name) == ("CapabilityStatement", "format")
    };
    touched.elements.iter().any(mime)
}

/// Names of members, a bit for some of them each: whether two lists of names may meet.
#[derive(Clone, Copy, Debug, Default)]
struct Names(u64);

impl Names {
    /// Those of the members of a resource; of a `_` sibling that of its primitive.
    fn of(resource: json::Value<'_>) -> Self {
        let members = resource.members();
        members.map(|member| Self::name(&member.name())).collect()
    }

    fn name(name: &str) -> Self {
        let name = match name.as_bytes() {
            [b'_', of_primitive @ ..] => of_primitive,
            name => name,
        };
        let end = |byte: Option<&u8>| byte.copied().map_or(0, usize::from);
        let mixed = end(name.first()) * 7 + end(name.last()) * 13 + name.len() * 29;
        Self(1 << (mixed % 64))
    }

    const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<Self> for Names {
    fn from_iter<I: IntoIterator<Item = Self>>(names: I) -> Self {
        Self(names.into_iter().fold(0, |all, name| all | name.0))
    }
}

/// Reads the values of one resource.
struct Reader<'a> {
    plans: &'static Plans,
    resource: Node<'a>,
    present: Names,
    own_bases: &'a [&'a str],
    steps: &'a Cell<u64>,
}

type Emit<'e> = &'e mut dyn FnMut(RowValue);

impl<'a> Reader<'a> {
    fn param(&self, param: &'a ParamPlan, emit: Emit<'_>) {
        match (param.kind, param.special) {
            (ParamKind::Composite, _) => return self.composite(param, emit),
            (_, Some(special)) => return self.special(special, param, emit),
            _ => {}
        }
        self.each(param, &mut |item| match param.caseless {
            true => self.values(param.kind, &item, &mut |value| emit(token::caseless(value))),
            false => self.values(param.kind, &item, emit),
        });
    }

    fn special(&self, special: Special, param: &'a ParamPlan, emit: Emit<'_>) {
        let mut narratives = Narratives::default();
        self.each(param, &mut |item| {
            let Some(value) = item.node().and_then(|node| node.value) else {
                return;
            };
            match special {
                Special::Position => special::position(value, emit),
                Special::Boundary => special::boundary(value, self.resource.value, emit),
                Special::Narrative => narratives.add(value),
            }
        });
        narratives.emit(emit);
    }

    /// What a parameter's expression yields.
    fn each(&self, param: &'a ParamPlan, sink: &mut dyn FnMut(Item<'a>)) {
        if param.begins.is_none_or(|names| names.meet(self.present)) {
            self.visit(&param.plan, self.resource, sink);
        }
    }

    /// Runs a plan. Content that breaks a cardinality the expression relies on yields nothing.
    fn visit(&self, plan: &'a Plan, focus: Node<'a>, sink: &mut dyn FnMut(Item<'a>)) {
        let types = &self.plans.types;
        let _ = plan.visit(types, self.resource, focus, self.steps, sink);
    }

    /// The index values of an item for a parameter of this kind.
    fn values(&self, kind: ParamKind, item: &Item<'a>, emit: Emit<'_>) {
        let node = match item {
            Item::Node(node) => *node,
            item => return self.computed(kind, item, emit),
        };
        let Some(value) = node.value else { return };
        let shape = self.plans.shapes.of_type(node.ty);
        match kind {
            ParamKind::Token => token::of(shape, value, emit),
            ParamKind::String => string::of(shape, value, emit),
            ParamKind::Date => temporal::of(shape, value, emit),
            ParamKind::Number => quantity::numbers(shape, value, emit),
            ParamKind::Quantity => quantity::of(shape, value, emit),
            ParamKind::Reference => self.reference(shape, value, emit),
            ParamKind::Uri => {
                if let (Shape::Primitive(of), Some(text)) = (shape, value.as_str()) {
                    emit(RowValue::Uri(keep(&text)));
                    if of == Primitive::Canonical {
                        reference::parted(&text, emit);
                    }
                }
            }
            // Within a composite: the words of a narrative.
            ParamKind::Special => {
                let mut narratives = Narratives::default();
                narratives.add(value);
                narratives.part(emit);
            }
            ParamKind::Composite => {}
        }
    }
}

/// A text as the index keeps it.
fn keep(text: &str) -> Box<str> {
    super::value::cut(text, super::value::VALUE_BYTES_MAX).into()
}

/// The text of a member, as the index keeps it; empty where there is none.
fn member_text(value: json::Value<'_>) -> Box<str> {
    value.as_str().map_or_else(Box::default, |text| keep(&text))
}

#[cfg(test)]
mod tests;
