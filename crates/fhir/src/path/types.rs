//! The types that expressions deal in: those of the model.

use crate::definitions::{Content, Model, Primitive, TypeId};
use crate::json;

use super::compile::Field;

/// A type of FHIR. FHIRPath's own types (`System.String`) are taken for the primitive of the same
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type(Content);

impl Type {
    /// `boolean`
    pub const BOOLEAN: Self = Self(Content::Primitive(Primitive::Boolean));
    /// `string`
    pub const STRING: Self = Self(Content::Primitive(Primitive::String));
    /// `integer`
    pub const INTEGER: Self = Self(Content::Primitive(Primitive::Integer));
    /// `decimal`
    pub const DECIMAL: Self = Self(Content::Primitive(Primitive::Decimal));
    /// `date`
    pub const DATE: Self = Self(Content::Primitive(Primitive::Date));
    /// `dateTime`
    pub const DATE_TIME: Self = Self(Content::Primitive(Primitive::DateTime));
    /// `time`
    pub const TIME: Self = Self(Content::Primitive(Primitive::Time));

    /// What elements of the type contain.
    pub const fn content(self) -> Content {
        self.0
    }

    pub(super) const fn is_primitive(self) -> bool {
        matches!(self.0, Content::Primitive(_))
    }

    pub(super) const fn is_temporal(self) -> bool {
        use Primitive::{Date, DateTime, Instant};
        matches!(self.0, Content::Primitive(Date | DateTime | Instant))
    }
}

/// The types of one model.
#[derive(Clone, Copy, Debug)]
pub struct Types {
    model: &'static Model,
    extension: Type,
}

impl Types {
    /// The types of a model.
    pub fn of(model: &'static Model) -> Self {
        let extension = model.structure_named("Extension");
        Self {
            model,
            extension: Type(extension.map_or(Content::Resource, Content::Structure)),
        }
    }

    /// The model.
    pub const fn model(&self) -> &'static Model {
        self.model
    }

    /// The type of this name: a resource, a datatype, a primitive. `System.Boolean` and wrong case
    /// in `DateTime`, which R4's own expressions have, are the primitive.
    pub fn by_name(&self, name: &str) -> Option<Type> {
        if name == "Resource" {
            return Some(Type(Content::Resource));
        }
        if let Some(primitive) = Primitive::parse(name) {
            return Some(Type(Content::Primitive(primitive)));
        }
        // Paths of backbone elements are structures too, but no names of types.
        let structure = self
            .model
            .structure_named(name)
            .filter(|_| !name.contains('.'));
        if let Some(structure) = structure {
            return Some(Type(Content::Structure(structure)));
        }
        let mut chars = name.chars();
        let lower: String = chars.next()?.to_lowercase().chain(chars).collect();
        Primitive::parse(&lower).map(|p| Type(Content::Primitive(p)))
    }

    /// A type's name, or the path of an element with children.
    pub fn name(&self, ty: Type) -> &'static str {
        match ty.0 {
            Content::Primitive(p) => p.as_str(),
            Content::Structure(s) => self.model.structure(s).path,
            Content::Resource => "Resource",
        }
    }

    /// A resource type.
    pub fn resource(&self, id: TypeId) -> Option<Type> {
        self.model
            .structure_of(id)
            .map(|s| Type(Content::Structure(s)))
    }

    /// The type that a resource says it has.
    pub(super) fn of_resource(&self, value: json::Value<'_>) -> Option<Type> {
        let name = value.get("resourceType")?.as_str()?;
        self.resource(self.model.type_id(&name)?)
    }

    pub(super) const fn extension(&self) -> Type {
        self.extension
    }

    pub(super) const fn is_any_resource(&self, ty: Type) -> bool {
        matches!(ty.0, Content::Resource)
    }

    /// Whether `ty` is `base` or specialises it.
    pub(super) fn is_a(&self, ty: Type, base: Type) -> bool {
        if ty == base {
            return true;
        }
        match (ty.0, base.0) {
            (Content::Primitive(p), Content::Primitive(base)) => {
                use Primitive as P;
                match p {
                    P::Code | P::Id | P::Markdown => base == P::String,
                    P::Url | P::Canonical | P::Uuid | P::Oid => base == P::Uri,
                    P::PositiveInt | P::UnsignedInt => base == P::Integer,
                    _ => false,
                }
            }
            (Content::Structure(_), Content::Structure(_) | Content::Resource) => {
                let wanted = self.name(base);
                let mut at = Some(ty);
                while let Some(Type(Content::Structure(s))) = at {
                    let name = self.model.structure(s).base;
                    if name == wanted {
                        return true;
                    }
                    at = self
                        .model
                        .structure_named(name)
                        .map(|s| Type(Content::Structure(s)));
                }
                false
            }
            _ => false,
        }
    }

    /// The concrete types that elements of this type may turn out to be.
    pub(super) fn concrete(&self, ty: Type) -> Vec<Type> {
        if self.is_any_resource(ty) {
            self.model
                .types()
                .filter_map(|t| self.resource(t))
                .collect()
        } else {
            vec![ty]
        }
    }

    /// The JSON members behind an element's name; none if the type has no such element.
    pub(super) fn fields(&self, on: Type, name: &str) -> Vec<Field> {
        let Content::Structure(structure) = on.0 else {
            return Vec::new();
        };
        let Some(element) = self.model.structure(structure).element(name) else {
            return Vec::new();
        };
        let field = |t: &crate::definitions::ElementType| {
            let primitive = matches!(t.content, Content::Primitive(_));
            Field {
                key: t.json,
                extra_key: format!("_{}", t.json).into(),
                ty: Type(t.content),
                primitive,
                codes: element.required_codes.filter(|_| primitive),
            }
        };
        element.types.iter().map(field).collect()
    }
}
