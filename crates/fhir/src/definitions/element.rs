//! Structures (types and backbone elements) and their elements.

use std::sync::OnceLock;

use super::TypeId;
use super::form::Form;

/// A structure: a resource type, a complex datatype, or an element with children of its own
/// (`Observation.component`). The number holds for one run of one model only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StructureId(pub(super) u16);

/// A required value set whose codes the model knows. The number holds for one run only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueSetId(pub(super) u16);

/// A structure with all its elements, inherited ones first.
#[derive(Debug)]
pub struct Structure {
    /// `Observation`, `Observation.component`, `HumanName`.
    pub path: &'static str,
    /// The type it specialises: `DomainResource`, `BackboneElement`, `Element`; empty for roots.
    pub base: &'static str,
    /// Its elements in the order of definition.
    pub elements: Box<[Element]>,
    /// Indices into `elements` of those with `min` ≥ 1.
    pub required: Box<[u16]>,
    names: Names,
}

/// One element of a structure.
#[derive(Clone, Debug)]
pub struct Element {
    /// Its FHIRPath name: `status`; `value` for `value[x]`.
    pub name: &'static str,
    /// Whether it is a choice of types (`value[x]`).
    pub choice: bool,
    /// Least number of occurrences.
    pub min: u16,
    /// Greatest number of occurrences; `None` is `*`. An element that may repeat is an array.
    pub max: Option<u16>,
    /// The types it can have; several only for a choice.
    pub types: Box<[ElementType]>,
    /// Whether `_summary=true` keeps it.
    pub summary: bool,
    /// Its required value set, where the model knows the codes.
    pub required_codes: Option<ValueSetId>,
}

impl Element {
    /// Whether it is written as a JSON array.
    pub fn repeats(&self) -> bool {
        self.max != Some(1)
    }
}

/// One of the types of an [`Element`].
#[derive(Clone, Debug)]
pub struct ElementType {
    /// The type's name: `Quantity`, `dateTime`, `BackboneElement`, `Resource`.
    pub name: &'static str,
    /// The member's name in JSON: `valueQuantity`, `status`.
    pub json: &'static str,
    /// What it contains.
    pub content: Content,
    /// For `Reference` and `canonical`: the resource types it may point to; empty means any.
    pub targets: Box<[TypeId]>,
}

/// What an element of some type contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A value, with `id` and extensions beside it.
    Primitive(Primitive),
    /// Elements.
    Structure(StructureId),
    /// A whole resource of any type.
    Resource,
}

macro_rules! primitives {
    ($($name:ident = $text:literal,)+) => {
        /// Primitive types (`datatypes.html#primitive`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Primitive { $(#[doc = $text] $name,)+ }

        impl Primitive {
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

primitives! {
    Base64Binary = "base64Binary",
    Boolean = "boolean",
    Canonical = "canonical",
    Code = "code",
    Date = "date",
    DateTime = "dateTime",
    Decimal = "decimal",
    Id = "id",
    Instant = "instant",
    Integer = "integer",
    Integer64 = "integer64",
    Markdown = "markdown",
    Oid = "oid",
    PositiveInt = "positiveInt",
    String = "string",
    Time = "time",
    UnsignedInt = "unsignedInt",
    Uri = "uri",
    Url = "url",
    Uuid = "uuid",
    Xhtml = "xhtml",
}

/// An element and one of its types, found by a JSON name.
#[derive(Clone, Copy, Debug)]
pub struct Found<'m> {
    /// Index into [`Structure::elements`].
    pub index: u16,
    /// The element.
    pub element: &'m Element,
    /// The type that the name stands for.
    pub of: &'m ElementType,
}

impl Structure {
    pub(super) fn new(path: &'static str, base: &'static str, elements: Vec<Element>) -> Self {
        let indexed = (0u16..).zip(&elements);
        let required = indexed
            .filter_map(|(i, e)| (e.min > 0).then_some(i))
            .collect();
        let names = Names::new(&elements);
        Self {
            path,
            base,
            elements: elements.into(),
            required,
            names,
        }
    }

    /// A structure without elements, for numbers of another model.
    pub(super) fn nothing() -> &'static Self {
        static NOTHING: OnceLock<Structure> = OnceLock::new();
        NOTHING.get_or_init(|| Self::new("", "", Vec::new()))
    }

    /// The element that a JSON member belongs to: `status`, `valueQuantity` (not `value`, and not
    /// `_status`).
    pub fn member(&self, json: &str) -> Option<Found<'_>> {
        self.names.candidates(json).find_map(|(index, of)| {
            let element = self.elements.get(usize::from(index))?;
            let of = element.types.get(usize::from(of))?;
            (of.json == json).then_some(Found { index, element, of })
        })
    }

    /// The element of a FHIRPath name: `status`, `value` (not `valueQuantity`).
    pub fn element(&self, name: &str) -> Option<&Element> {
        self.names.candidates(name).find_map(|(index, _)| {
            self.elements
                .get(usize::from(index))
                .filter(|e| e.name == name)
        })
    }
}

/// An open-addressed table from names to elements, at most half full.
#[derive(Debug)]
struct Names {
    slots: Box<[(u16, u16)]>,
}

const FREE: u16 = u16::MAX;
/// In place of a type's index: the FHIRPath name of a choice, which is no JSON name.
const CHOICE: u16 = u16::MAX;

impl Names {
    fn new(elements: &[Element]) -> Self {
        let names = elements
            .iter()
            .map(|e| e.types.len() + usize::from(e.choice))
            .sum::<usize>();
        let mut slots = vec![(FREE, 0); (names * 2 + 1).next_power_of_two()];
        let mut put = |name: &str, entry: (u16, u16)| {
            let mask = slots.len() - 1;
            let mut at = hash(name) & mask;
            while slots.get(at).is_some_and(|s| s.0 != FREE) {
                at = (at + 1) & mask;
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = entry;
            }
        };
        for (index, element) in (0u16..).zip(elements) {
            for (of, t) in (0u16..).zip(&element.types) {
                put(t.json, (index, of));
            }
            if element.choice {
                put(element.name, (index, CHOICE));
            }
        }
        Self {
            slots: slots.into(),
        }
    }

    /// Entries that may have this name.
    fn candidates(&self, name: &str) -> impl Iterator<Item = (u16, u16)> {
        let mask = self.slots.len() - 1;
        let start = hash(name) & mask;
        (0..self.slots.len())
            .map_while(move |i| self.slots.get((start + i) & mask).copied())
            .take_while(|s| s.0 != FREE)
    }
}

/// Mixes the length and the first and last eight bytes: names within a structure rarely agree in
/// all of these.
fn hash(name: &str) -> usize {
    let bytes = name.as_bytes();
    let word = |b: &[u8]| b.iter().fold(0u64, |w, &b| (w << 8) | u64::from(b));
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_be_bytes(*first), u64::from_be_bytes(*last)),
        _ => (word(bytes), 0),
    };
    let mixed =
        (first ^ last.rotate_left(29) ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize
}

/// The codes of a required binding.
#[derive(Debug)]
pub struct ValueSet {
    /// Its canonical URL.
    pub url: &'static str,
    /// Its systems.
    pub(super) systems: Vec<System>,
}

/// What a value set has of one code system.
#[derive(Debug)]
pub(super) struct System {
    pub(super) url: &'static str,
    /// Its codes, sorted; none where a form says what they are.
    pub(super) codes: Vec<&'static str>,
    /// What codes look like that no list gives.
    pub(super) form: Option<Form>,
}

/// The one system of value sets in which the case of codes does not count.
const CASELESS: &str = "http://hl7.org/fhir/color-names";

impl System {
    fn has(&self, code: &str) -> bool {
        let listed = |code: &str| self.codes.binary_search(&code).is_ok();
        self.form.is_some_and(|form| form.fits(code))
            || listed(code)
            || (self.url == CASELESS && listed(&code.to_ascii_lowercase()))
    }
}

impl ValueSet {
    /// Whether some system of the set has this code; for elements of type `code`.
    pub fn has_code(&self, code: &str) -> bool {
        self.systems.iter().any(|s| s.has(code))
    }

    /// Whether the set has this code of this system; for codings.
    pub fn has(&self, system: &str, code: &str) -> bool {
        self.systems.iter().any(|s| s.url == system && s.has(code))
    }

    /// Each system with its codes, sorted; none where they are not listed.
    pub fn systems(&self) -> impl Iterator<Item = (&'static str, Option<&[&'static str]>)> {
        self.systems.iter().map(|s| {
            let listed = s.form.is_none().then_some(s.codes.as_slice());
            (s.url, listed)
        })
    }

    /// Whether some code of the set is of this system.
    pub fn has_system(&self, system: &str) -> bool {
        self.systems.iter().any(|s| s.url == system)
    }
}
