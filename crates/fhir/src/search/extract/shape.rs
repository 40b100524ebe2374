//! What an element's type means for indexing.

use crate::definitions::{Content, Model, ParamKind, Primitive, StructureId, TypeId};
use crate::path::Type;

/// The forms that indexing distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Primitive(Primitive),
    Address,
    CodeableConcept,
    CodeableReference,
    Coding,
    ContactPoint,
    HumanName,
    Identifier,
    Money,
    Period,
    /// `Quantity` and what specialises it.
    Quantity,
    Range,
    Reference,
    SampledData,
    Timing,
    /// A whole resource.
    Resource(TypeId),
    Other,
}

/// The forms by structure.
pub(super) struct Shapes {
    known: Vec<(StructureId, Shape)>,
}

impl Shape {
    /// Whether a parameter of this type finds values in elements of this shape.
    pub(super) fn fits(self, kind: ParamKind) -> bool {
        use Shape::{
            Address, CodeableConcept, CodeableReference, Coding, ContactPoint, HumanName,
            Identifier, Money, Period, Primitive, Quantity, Range, Reference, Resource,
            SampledData, Timing,
        };
        match kind {
            ParamKind::Token => matches!(
                self,
                Coding
                    | CodeableConcept
                    | CodeableReference
                    | Identifier
                    | ContactPoint
                    | Primitive(_)
            ),
            ParamKind::String => matches!(
                self,
                Coding
                    | CodeableConcept
                    | CodeableReference
                    | Identifier
                    | ContactPoint
                    | HumanName
                    | Address
                    | Primitive(_)
            ),
            ParamKind::Date => matches!(self, Primitive(_) | Period | Timing),
            ParamKind::Number => matches!(self, Primitive(_) | Quantity | Range),
            ParamKind::Quantity => matches!(self, Quantity | Range | SampledData | Money),
            ParamKind::Reference => {
                matches!(
                    self,
                    Reference | CodeableReference | Primitive(_) | Resource(_)
                )
            }
            ParamKind::Uri => matches!(self, Primitive(_)),
            ParamKind::Composite | ParamKind::Special => true,
        }
    }
}

impl Shapes {
    pub(super) fn of(model: &Model) -> Self {
        let datatypes = [
            ("Address", Shape::Address),
            ("Age", Shape::Quantity),
            ("CodeableConcept", Shape::CodeableConcept),
            ("CodeableReference", Shape::CodeableReference),
            ("Coding", Shape::Coding),
            ("ContactPoint", Shape::ContactPoint),
            ("Count", Shape::Quantity),
            ("Distance", Shape::Quantity),
            ("Duration", Shape::Quantity),
            ("HumanName", Shape::HumanName),
            ("Identifier", Shape::Identifier),
            ("Money", Shape::Money),
            ("Period", Shape::Period),
            ("Quantity", Shape::Quantity),
            ("Range", Shape::Range),
            ("Reference", Shape::Reference),
            ("SampledData", Shape::SampledData),
            ("Timing", Shape::Timing),
        ];
        let named = datatypes
            .into_iter()
            .filter_map(|(n, s)| Some((model.structure_named(n)?, s)));
        let resources = model
            .types()
            .filter_map(|t| Some((model.structure_of(t)?, Shape::Resource(t))));
        let mut known: Vec<_> = named.chain(resources).collect();
        known.sort_unstable_by_key(|(s, _)| *s);
        Self { known }
    }

    pub(super) fn of_type(&self, ty: Type) -> Shape {
        match ty.content() {
            Content::Primitive(p) => Shape::Primitive(p),
            Content::Structure(s) => {
                let found = self.known.binary_search_by_key(&s, |(s, _)| *s).ok();
                found
                    .and_then(|i| self.known.get(i))
                    .map_or(Shape::Other, |(_, shape)| *shape)
            }
            Content::Resource => Shape::Other,
        }
    }
}
