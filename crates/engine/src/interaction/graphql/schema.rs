//! What can be asked of a version of FHIR by GraphQL, as GraphQL's introspection tells it: the types
//! made from the definitions. Knows nothing of documents, data or callers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fhir::definitions::{
    Content, Element, ElementType, Model, ParamKind, PerVersion, Primitive, Structure, TypeId,
};
use fhir::search::Customs;

use super::select::type_name;

/// A name that is fixed or made once.
pub(super) type Name = Cow<'static, str>;

/// Every type of a version.
#[derive(Debug)]
pub(super) struct Schema {
    types: Vec<Type>,
    places: HashMap<Name, usize>,
    pub(super) directives: Vec<Directive>,
}

/// What sort of type it is, as `__TypeKind` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypeKind {
    Scalar,
    Object,
    Interface,
    Enum,
}

impl TypeKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "SCALAR",
            Self::Object => "OBJECT",
            Self::Interface => "INTERFACE",
            Self::Enum => "ENUM",
        }
    }

    pub(super) const fn has_fields(self) -> bool {
        matches!(self, Self::Object | Self::Interface)
    }
}

/// A type.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) kind: TypeKind,
    pub(super) name: Name,
    pub(super) fields: Vec<FieldOf>,
    /// Interfaces that it has.
    pub(super) interfaces: Vec<Name>,
    /// Objects that have this interface.
    pub(super) possible: Vec<Name>,
    pub(super) values: &'static [&'static str],
}

/// A field of a type.
#[derive(Debug)]
pub(super) struct FieldOf {
    pub(super) name: Name,
    pub(super) args: Arc<[Argument]>,
    pub(super) of: Of,
}

/// An argument of a field or directive.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub(super) name: Name,
    pub(super) of: Of,
}

impl Argument {
    /// The same that may be null.
    pub(super) fn or_null(&self) -> Self {
        let mut same = self.clone();
        if let [Around::NonNull, inner @ ..] = same.of.around {
            same.of.around = inner;
        }
        same
    }
}

/// A directive of HL7's or of GraphQL itself.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) name: &'static str,
    pub(super) locations: &'static [&'static str],
    pub(super) args: Vec<Argument>,
}

/// What stands around a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    List,
    NonNull,
}

/// A type where it is used.
#[derive(Clone, Debug)]
pub(super) struct Of {
    pub(super) around: &'static [Around],
    pub(super) name: Name,
}

impl Of {
    fn one(name: impl Into<Name>) -> Self {
        let name = name.into();
        Self { around: &[], name }
    }

    fn list(name: impl Into<Name>) -> Self {
        Self {
            around: &[Around::List],
            name: name.into(),
        }
    }

    fn required(name: impl Into<Name>) -> Self {
        Self {
            around: &[Around::NonNull],
            name: name.into(),
        }
    }
}

fn argument(name: impl Into<Name>, of: Of) -> Argument {
    let name = name.into();
    Argument { name, of }
}

fn field(name: impl Into<Name>, of: Of) -> FieldOf {
    let (name, args) = (name.into(), Arc::default());
    FieldOf { name, args, of }
}

/// The scalar of a primitive: GraphQL's own where it has one.
const fn scalar_of(primitive: Primitive) -> &'static str {
    match primitive {
        Primitive::Boolean => "Boolean",
        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => "Int",
        Primitive::String => "String",
        other => other.as_str(),
    }
}

/// The scalar of values of a search parameter.
const fn scalar_of_param(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::String => "String",
        other => other.as_str(),
    }
}

/// The interfaces, as structures are called.
const INTERFACES: [&str; 2] = ["Resource", "DomainResource"];

impl Schema {
    /// The schema of a version; made on first use.
    pub(super) fn of(model: &'static Model) -> &'static Self {
        static SCHEMAS: PerVersion<Schema> = PerVersion::new();
        SCHEMAS.get(model.version(), || Self::with(model, Customs::NONE))
    }

    /// The schema of a tenant that has search parameters of its own.
    pub(super) fn with(model: &'static Model, own: &Customs) -> Self {
        Making::new(model, own).whole()
    }

    pub(super) fn types(&self) -> &[Type] {
        &self.types
    }

    pub(super) fn type_named(&self, name: &str) -> Option<&Type> {
        self.types.get(*self.places.get(name)?)
    }
}

/// Arguments that every search has, whatever its type.
const OF_ANY_SEARCH: [&str; 6] = [
    "_filter", "_sort", "_count", "_offset", "_cursor", "fhirpath",
];

/// A schema that is being made.
struct Making<'o> {
    model: &'static Model,
    own: &'o Customs,
    types: Vec<Type>,
    /// Scalars that are used.
    scalars: BTreeSet<&'static str>,
    /// Arguments of searches of a type, for a list and for a connection.
    searches: BTreeMap<TypeId, [Arc<[Argument]>; 2]>,
    /// Types whose parameters refer to a type.
    back: BTreeMap<TypeId, BTreeSet<TypeId>>,
}

impl<'o> Making<'o> {
    fn new(model: &'static Model, own: &'o Customs) -> Self {
        let mut back: BTreeMap<TypeId, BTreeSet<TypeId>> = BTreeMap::new();
        for of in model.types() {
            for param in model.params(of) {
                for target in &param.targets {
                    back.entry(*target).or_default().insert(of);
                }
            }
        }
        let scalars = BTreeSet::from(["Boolean", "Float", "ID", "Int", "String", "code"]);
        let (types, searches) = (Vec::new(), BTreeMap::new());
        for custom in own.iter().filter(|c| c.serves) {
            for target in &custom.definition.targets {
                let of = custom.definition.type_id;
                if custom.definition.kind == ParamKind::Reference {
                    back.entry(*target).or_default().insert(of);
                }
            }
        }
        Self {
            model,
            own,
            types,
            scalars,
            searches,
            back,
        }
    }

    fn whole(mut self) -> Schema {
        for type_id in self.model.types() {
            let arguments = self.search_arguments(type_id);
            self.searches.insert(type_id, arguments);
        }
        self.query();
        for structure in self.model.structures() {
            self.structure(structure);
        }
        for type_id in self.model.types() {
            self.connection(self.model.type_name(type_id));
        }
        let page_info = vec![
            field("hasNextPage", Of::one("Boolean")),
            field("hasPreviousPage", Of::one("Boolean")),
            field("endCursor", Of::one("ID")),
        ];
        self.object("PageInfo", page_info);
        self.introspection();
        for scalar in std::mem::take(&mut self.scalars) {
            self.push(TypeKind::Scalar, scalar, Vec::new());
        }
        let places = self.types.iter().enumerate();
        let places = places.map(|(at, t)| (t.name.clone(), at)).collect();
        Schema {
            types: self.types,
            places,
            directives: directives(),
        }
    }

    fn push(&mut self, kind: TypeKind, name: impl Into<Name>, fields: Vec<FieldOf>) {
        self.types.push(Type {
            kind,
            name: name.into(),
            fields,
            interfaces: Vec::new(),
            possible: Vec::new(),
            values: &[],
        });
    }

    fn object(&mut self, name: impl Into<Name>, fields: Vec<FieldOf>) {
        self.push(TypeKind::Object, name, fields);
    }

    /// What can be asked of the whole.
    fn query(&mut self) {
        let mut fields = Vec::new();
        for type_id in self.model.types() {
            let name = self.model.type_name(type_id);
            fields.push(FieldOf {
                name: name.into(),
                args: Arc::new([argument("id", Of::required("ID"))]),
                of: Of::one(name),
            });
            fields.extend(self.search_fields(type_id, None));
        }
        self.object("Query", fields);
    }

    /// `PatientList` and `PatientConnection`; `back` is an argument more.
    fn search_fields(&self, type_id: TypeId, back: Option<&Argument>) -> [FieldOf; 2] {
        let name = self.model.type_name(type_id);
        let [list, connection] = self.searches.get(&type_id).cloned().unwrap_or_default();
        let with = |args: Arc<[Argument]>| match back {
            Some(back) => {
                // What refers to a resource is narrowed by `_filter`: all parameters of all types
                // at all types would be a schema of many millions of arguments.
                let few = args.iter().filter(|a| OF_ANY_SEARCH.contains(&&*a.name));
                std::iter::once(back).chain(few).cloned().collect()
            }
            None => args,
        };
        [
            FieldOf {
                name: format!("{name}List").into(),
                args: with(list),
                of: Of::list(name),
            },
            FieldOf {
                name: format!("{name}Connection").into(),
                args: with(connection),
                of: Of::one(format!("{name}Connection")),
            },
        ]
    }

    fn search_arguments(&mut self, type_id: TypeId) -> [Arc<[Argument]>; 2] {
        let mut args: Vec<Argument> = Vec::new();
        let own = self.own.iter().map(|c| (c.serves, &c.definition));
        let own = own.filter(|(serves, d)| *serves && d.type_id == type_id);
        let own = own.map(|(_, d)| (d.code.as_str(), d.kind));
        let params = self.model.params(type_id).iter();
        for (code, kind) in params.map(|p| (p.code, p.kind)).chain(own) {
            let scalar = scalar_of_param(kind);
            self.scalars.insert(scalar);
            let name = code.replace('-', "_");
            if args.iter().all(|a| a.name != name) {
                args.push(argument(name, Of::list(scalar)));
            }
        }
        for (name, scalar) in [
            ("_filter", "String"),
            ("_sort", "String"),
            ("_count", "Int"),
            ("fhirpath", "String"),
        ] {
            if args.iter().all(|a| a.name != name) {
                args.push(argument(name, Of::one(scalar)));
            }
        }
        let with = |name: &'static str, scalar: &'static str| {
            let more = std::iter::once(argument(name, Of::one(scalar)));
            args.iter().cloned().chain(more).collect()
        };
        [with("_offset", "Int"), with("_cursor", "ID")]
    }

    fn structure(&mut self, structure: &'static Structure) {
        if structure.elements.is_empty() {
            return;
        }
        let type_id = self.model.type_id(structure.path);
        let interface = INTERFACES.contains(&structure.path);
        let is_resource = interface || type_id.is_some();
        let interfaces = self.interfaces_of(structure);
        if !is_resource && !interfaces.is_empty() {
            // Kinds of resources that no resource is of alone.
            return;
        }
        let mut fields = Vec::new();
        if is_resource {
            fields.push(field("resourceType", Of::one("code")));
        }
        for element in &structure.elements {
            for of in &element.types {
                self.element(element, of, &mut fields);
            }
        }
        if structure.path == "Reference" {
            let optional = argument("optional", Of::one("Boolean"));
            fields.push(FieldOf {
                name: "resource".into(),
                args: Arc::new([optional, argument("type", Of::list("code"))]),
                of: Of::one("Resource"),
            });
        }
        let refers = argument("_reference", Of::one("code"));
        let back = type_id.and_then(|type_id| self.back.get(&type_id));
        for of in back.into_iter().flatten() {
            fields.extend(self.search_fields(*of, Some(&refers)));
        }
        let kind = match interface {
            true => TypeKind::Interface,
            false => TypeKind::Object,
        };
        self.push(kind, type_name(structure), fields);
        let possible = match interface {
            true => self.implementers(structure.path),
            false => Vec::new(),
        };
        if let Some(made) = self.types.last_mut() {
            (made.interfaces, made.possible) = (interfaces, possible);
        }
    }

    /// The interfaces of a structure, those of its bases among them.
    fn interfaces_of(&self, structure: &'static Structure) -> Vec<Name> {
        let mut found = Vec::new();
        let mut base = structure.base;
        while let Some(id) = self.model.structure_named(base) {
            let of = self.model.structure(id);
            if INTERFACES.contains(&of.path) {
                found.push(of.path.into());
            }
            base = of.base;
        }
        found
    }

    fn implementers(&self, interface: &str) -> Vec<Name> {
        let mut found = Vec::new();
        for type_id in self.model.types() {
            let structure = self.model.structure_of(type_id);
            let structure = structure.map(|id| self.model.structure(id));
            if structure.is_some_and(|s| self.interfaces_of(s).iter().any(|i| i == interface)) {
                found.push(self.model.type_name(type_id).into());
            }
        }
        found
    }

    /// The fields of an element in one of its types: its value, and what stands beside a primitive.
    fn element(&mut self, element: &Element, of: &'static ElementType, fields: &mut Vec<FieldOf>) {
        let name: Name = match of.content {
            Content::Primitive(primitive) => {
                let scalar = scalar_of(primitive);
                self.scalars.insert(scalar);
                scalar.into()
            }
            Content::Structure(id) => type_name(self.model.structure(id)).into(),
            Content::Resource => "Resource".into(),
        };
        let (args, used) = match element.repeats() {
            true => (self.filters(of.content), Of::list(name)),
            false => (Arc::default(), Of::one(name)),
        };
        fields.push(FieldOf {
            name: of.json.into(),
            args,
            of: used,
        });
        if matches!(of.content, Content::Primitive(p) if p != Primitive::Xhtml) {
            let beside = match element.repeats() {
                true => Of::list("Element"),
                false => Of::one("Element"),
            };
            fields.push(field(format!("_{}", of.json), beside));
        }
    }

    /// The arguments of a list of elements.
    fn filters(&mut self, content: Content) -> Arc<[Argument]> {
        let mut args = vec![
            argument("fhirpath", Of::one("String")),
            argument("_count", Of::one("Int")),
            argument("_offset", Of::one("Int")),
        ];
        if let Content::Structure(id) = content {
            for element in &self.model.structure(id).elements {
                for of in element.types.iter().filter(|_| !element.choice) {
                    if let (Content::Primitive(p), false) = (of.content, element.repeats()) {
                        self.scalars.insert(scalar_of(p));
                        args.push(argument(of.json, Of::one(scalar_of(p))));
                    }
                }
            }
        }
        args.into()
    }

    fn connection(&mut self, of: &'static str) {
        let connection = vec![
            field("count", Of::one("Int")),
            field("offset", Of::one("Int")),
            field("pagesize", Of::one("Int")),
            field("edges", Of::list(format!("{of}Edge"))),
            field("pageInfo", Of::one("PageInfo")),
            field("first", Of::one("ID")),
            field("previous", Of::one("ID")),
            field("next", Of::one("ID")),
            field("last", Of::one("ID")),
        ];
        self.object(format!("{of}Connection"), connection);
        let edge = vec![
            field("mode", Of::one("code")),
            field("score", Of::one("Float")),
            field("resource", Of::one(of)),
        ];
        self.object(format!("{of}Edge"), edge);
    }

    /// The types of introspection itself.
    fn introspection(&mut self) {
        for (name, fields) in OWN {
            let fields = fields.iter().map(|(name, around, of)| FieldOf {
                name: (*name).into(),
                args: match *name {
                    "fields" | "enumValues" | "inputFields" => {
                        Arc::new([argument("includeDeprecated", Of::one("Boolean"))])
                    }
                    _ => Arc::default(),
                },
                of: Of {
                    around,
                    name: (*of).into(),
                },
            });
            let fields = fields.collect();
            self.object(*name, fields);
        }
        for (name, values) in [("__TypeKind", KINDS), ("__DirectiveLocation", LOCATIONS)] {
            self.push(TypeKind::Enum, name, Vec::new());
            if let Some(made) = self.types.last_mut() {
                made.values = values;
            }
        }
    }
}

const KINDS: &[&str] = &[
    "SCALAR",
    "OBJECT",
    "INTERFACE",
    "UNION",
    "ENUM",
    "INPUT_OBJECT",
    "LIST",
    "NON_NULL",
];

const LOCATIONS: &[&str] = &["QUERY", "FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"];

const ONE: &[Around] = &[];
const LIST: &[Around] = &[Around::List, Around::NonNull];
const SURE: &[Around] = &[Around::NonNull];
const SURE_LIST: &[Around] = &[Around::NonNull, Around::List, Around::NonNull];

/// A field of introspection: its name, what stands around its type, and the type.
type OwnField = (&'static str, &'static [Around], &'static str);

const OWN: &[(&str, &[OwnField])] = &[
    (
        "__Schema",
        &[
            ("description", ONE, "String"),
            ("types", SURE_LIST, "__Type"),
            ("queryType", SURE, "__Type"),
            ("mutationType", ONE, "__Type"),
            ("subscriptionType", ONE, "__Type"),
            ("directives", SURE_LIST, "__Directive"),
        ],
    ),
    (
        "__Type",
        &[
            ("kind", SURE, "__TypeKind"),
            ("name", ONE, "String"),
            ("description", ONE, "String"),
            ("specifiedByURL", ONE, "String"),
            ("fields", LIST, "__Field"),
            ("interfaces", LIST, "__Type"),
            ("possibleTypes", LIST, "__Type"),
            ("enumValues", LIST, "__EnumValue"),
            ("inputFields", LIST, "__InputValue"),
            ("ofType", ONE, "__Type"),
            ("isOneOf", ONE, "Boolean"),
        ],
    ),
    (
        "__Field",
        &[
            ("name", SURE, "String"),
            ("description", ONE, "String"),
            ("args", SURE_LIST, "__InputValue"),
            ("type", SURE, "__Type"),
            ("isDeprecated", SURE, "Boolean"),
            ("deprecationReason", ONE, "String"),
        ],
    ),
    (
        "__InputValue",
        &[
            ("name", SURE, "String"),
            ("description", ONE, "String"),
            ("type", SURE, "__Type"),
            ("defaultValue", ONE, "String"),
            ("isDeprecated", SURE, "Boolean"),
            ("deprecationReason", ONE, "String"),
        ],
    ),
    (
        "__EnumValue",
        &[
            ("name", SURE, "String"),
            ("description", ONE, "String"),
            ("isDeprecated", SURE, "Boolean"),
            ("deprecationReason", ONE, "String"),
        ],
    ),
    (
        "__Directive",
        &[
            ("name", SURE, "String"),
            ("description", ONE, "String"),
            ("isRepeatable", SURE, "Boolean"),
            ("locations", SURE_LIST, "__DirectiveLocation"),
            ("args", SURE_LIST, "__InputValue"),
        ],
    ),
];

fn directives() -> Vec<Directive> {
    const ANYWHERE: &[&str] = &["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"];
    let one = |name, locations, args| Directive {
        name,
        locations,
        args,
    };
    let condition = || vec![argument("if", Of::required("Boolean"))];
    vec![
        one("include", ANYWHERE, condition()),
        one("skip", ANYWHERE, condition()),
        one("flatten", &["FIELD"], Vec::new()),
        one("first", &["FIELD"], Vec::new()),
        one("singleton", &["FIELD"], Vec::new()),
        one(
            "slice",
            &["FIELD"],
            vec![argument("path", Of::required("String"))],
        ),
    ]
}
