//! The types that expressions deal in: those of the model, and FHIRPath's own.

use crate::definitions::{Content, ElementType, Model, Primitive, TypeId};
use crate::json;

use super::plan::Field;

/// A type of FHIR, or one of FHIRPath's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fhir(Content),
    System(System),
}

macro_rules! system_types {
    ($($name:ident = $text:literal,)+) => {
        /// FHIRPath's own types (`System.…`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum System { $(#[doc = $text] $name,)+ }

        impl System {
            /// The type of this name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)+ _ => None }
            }

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

system_types! {
    Boolean = "Boolean",
    String = "String",
    Integer = "Integer",
    Long = "Long",
    Decimal = "Decimal",
    Date = "Date",
    DateTime = "DateTime",
    Time = "Time",
    Quantity = "Quantity",
    TypeInfo = "TypeInfo",
}

impl Type {
    /// `boolean`
    pub const BOOLEAN: Self = Self(Kind::Fhir(Content::Primitive(Primitive::Boolean)));

    /// One of FHIRPath's own types.
    pub const fn system(system: System) -> Self {
        Self(Kind::System(system))
    }

    pub(super) const fn primitive(primitive: Primitive) -> Self {
        Self(Kind::Fhir(Content::Primitive(primitive)))
    }

    pub(super) const fn fhir(content: Content) -> Self {
        Self(Kind::Fhir(content))
    }

    /// What elements of the type contain; a value of FHIRPath's own is what the primitive of its
    /// name is.
    pub const fn content(self) -> Content {
        match self.0 {
            Kind::Fhir(content) => content,
            Kind::System(system) => Content::Primitive(match system {
                System::Boolean => Primitive::Boolean,
                System::Integer | System::Long => Primitive::Integer,
                System::Decimal | System::Quantity => Primitive::Decimal,
                System::Date => Primitive::Date,
                System::DateTime => Primitive::DateTime,
                System::Time => Primitive::Time,
                System::String | System::TypeInfo => Primitive::String,
            }),
        }
    }

    /// The FHIRPath type that it is, if it is none of the model.
    pub const fn as_system(self) -> Option<System> {
        match self.0 {
            Kind::System(system) => Some(system),
            Kind::Fhir(_) => None,
        }
    }

    pub(super) const fn is_primitive(self) -> bool {
        matches!(self.0, Kind::Fhir(Content::Primitive(_)))
    }

    pub(super) const fn as_primitive(self) -> Option<Primitive> {
        match self.0 {
            Kind::Fhir(Content::Primitive(p)) => Some(p),
            _ => None,
        }
    }

    pub(super) const fn is_any_resource(self) -> bool {
        matches!(self.0, Kind::Fhir(Content::Resource))
    }
}

impl From<Content> for Type {
    /// The type of what elements contain.
    fn from(content: Content) -> Self {
        Self::fhir(content)
    }
}

/// The types of one model.
#[derive(Clone, Copy, Debug)]
pub struct Types {
    model: &'static Model,
    extension: Type,
    element: Type,
}

impl Types {
    /// The types of a model.
    pub fn of(model: &'static Model) -> Self {
        let named = |name| {
            let content = model.structure_named(name).map(Content::Structure);
            Type::fhir(content.unwrap_or(Content::Resource))
        };
        Self {
            model,
            extension: named("Extension"),
            element: named("Element"),
        }
    }

    /// The model.
    pub const fn model(&self) -> &'static Model {
        self.model
    }

    /// The type of the model of this name: a resource, a datatype, a primitive.
    pub fn by_name(&self, name: &str) -> Option<Type> {
        if name == "Resource" {
            return Some(Type::fhir(Content::Resource));
        }
        if let Some(primitive) = Primitive::parse(name) {
            return Some(Type::primitive(primitive));
        }
        // Paths of backbone elements are structures too, but no names of types.
        self.model
            .structure_named(name)
            .filter(|_| !name.contains('.'))
            .map(|s| Type::fhir(Content::Structure(s)))
    }

    /// A type's name, or the path of an element with children.
    pub fn name(&self, ty: Type) -> &'static str {
        match ty.0 {
            Kind::System(system) => system.as_str(),
            Kind::Fhir(Content::Primitive(p)) => p.as_str(),
            Kind::Fhir(Content::Structure(s)) => self.model.structure(s).path,
            Kind::Fhir(Content::Resource) => "Resource",
        }
    }

    /// A type's name as `type()` tells it: elements with children of their own are `BackboneElement`
    /// or `Element`.
    pub fn type_name(&self, ty: Type) -> &'static str {
        match ty.0 {
            Kind::Fhir(Content::Structure(s)) => {
                let structure = self.model.structure(s);
                if structure.path.contains('.') {
                    structure.base
                } else {
                    structure.path
                }
            }
            _ => self.name(ty),
        }
    }

    /// A resource type.
    pub fn resource(&self, id: TypeId) -> Option<Type> {
        self.model
            .structure_of(id)
            .map(|s| Type::fhir(Content::Structure(s)))
    }

    /// The type that a resource says it has.
    pub fn of_resource(&self, value: json::Value<'_>) -> Option<Type> {
        let name = value.get("resourceType")?.as_str()?;
        self.resource(self.model.type_id(&name)?)
    }

    pub(super) const fn extension(&self) -> Type {
        self.extension
    }

    /// Whether `ty` is `base` or specialises it.
    pub(super) fn is_a(&self, ty: Type, base: Type) -> bool {
        if ty == base {
            return true;
        }
        match (ty.0, base.0) {
            (Kind::Fhir(Content::Primitive(p)), Kind::Fhir(Content::Primitive(base))) => {
                use Primitive as P;
                match p {
                    P::Code | P::Id | P::Markdown => base == P::String,
                    P::Url | P::Canonical | P::Uuid | P::Oid => base == P::Uri,
                    P::PositiveInt | P::UnsignedInt => base == P::Integer,
                    _ => false,
                }
            }
            (Kind::Fhir(Content::Primitive(_)), Kind::Fhir(Content::Structure(_))) => {
                matches!(self.name(base), "Element" | "PrimitiveType" | "DataType")
            }
            (
                Kind::Fhir(Content::Structure(_)),
                Kind::Fhir(Content::Structure(_) | Content::Resource),
            ) => {
                let wanted = self.name(base);
                let mut at = Some(ty);
                while let Some(Type(Kind::Fhir(Content::Structure(s)))) = at {
                    let name = self.model.structure(s).base;
                    if name == wanted {
                        return true;
                    }
                    at = self
                        .model
                        .structure_named(name)
                        .map(|s| Type::fhir(Content::Structure(s)));
                }
                false
            }
            _ => false,
        }
    }

    /// Whether elements of the type are quantities (`Age`, `Duration` … are).
    pub(super) fn is_quantity(&self, ty: Type) -> bool {
        match ty.0 {
            Kind::Fhir(Content::Structure(s)) => {
                let structure = self.model.structure(s);
                structure.path == "Quantity" || structure.base == "Quantity"
            }
            Kind::System(system) => system == System::Quantity,
            Kind::Fhir(_) => false,
        }
    }

    /// The JSON members behind an element's name; none if the type has no such element. Primitives
    /// have the `id` and `extension` that stand beside their value.
    pub(super) fn fields(&self, on: Type, name: &str, polymorphic: bool) -> Vec<Field> {
        let mut fields = Vec::new();
        self.each_field(on, name, polymorphic, &mut |field| fields.push(field));
        fields
    }

    /// Hands the JSON members behind an element's name to `take`.
    pub(super) fn each_field(
        &self,
        on: Type,
        name: &str,
        polymorphic: bool,
        take: &mut dyn FnMut(Field),
    ) {
        let holder = if on.is_primitive() { self.element } else { on };
        let Kind::Fhir(Content::Structure(structure)) = holder.0 else {
            return;
        };
        let structure = self.model.structure(structure);
        if let Some(element) = structure.element(name) {
            for of in &element.types {
                take(Self::field(of, element.required_codes));
            }
        } else if polymorphic && let Some(found) = structure.member(name) {
            take(Self::field(found.of, found.element.required_codes));
        }
    }

    fn field(of: &ElementType, codes: Option<crate::definitions::ValueSetId>) -> Field {
        let primitive = matches!(of.content, Content::Primitive(_));
        Field {
            key: of.json,
            ty: Type::fhir(of.content),
            primitive,
            codes: codes.filter(|_| primitive),
        }
    }

    /// The structure whose elements are the children of an element of the type.
    pub(super) fn structure(&self, on: Type) -> Option<&'static crate::definitions::Structure> {
        let holder = if on.is_primitive() { self.element } else { on };
        match holder.0 {
            Kind::Fhir(Content::Structure(s)) => Some(self.model.structure(s)),
            _ => None,
        }
    }
}
