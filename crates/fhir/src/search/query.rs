//! The typed form of a search. Nothing in it is text that still needs parsing.

mod digest;
mod either;
mod mentions;
mod named;
mod size;

use std::sync::Arc;

use crate::definitions::{ParamId, ParamKind, TypeId};

/// One search, as a client meant it. Paging position and snapshot are not part of it.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Query {
    /// Types searched: one for `/Patient?…`, several for `/?_type=…`, all for `/?…`.
    pub types: Vec<TypeId>,
    /// Conditions, all of which must hold.
    pub filter: Vec<Clause>,
    /// Words that `_text` and `_content` ask for, for the score; the conditions themselves are in
    /// [`Self::filter`].
    pub relevance: Vec<Relevance>,
    /// `_contained`: whether contained resources are found.
    pub contained: Option<Contained>,
    /// Sort keys, most important first; empty means newest first.
    pub sort: Vec<SortKey>,
    /// Resources on a page (`_count`), already bounded by `page_entries_max`; 0 asks for the
    /// total only.
    pub count: u32,
    /// Whether `Bundle.total` is wanted.
    pub total: Total,
    /// `_include` and `_revinclude`, in the order given.
    pub include: Vec<Include>,
    /// What part of each resource is answered.
    pub shape: Shape,
}

/// What counts for the score of a match (`search.html#score`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Relevance {
    /// The words.
    pub run: super::words::Run,
    /// The texts in which they are counted.
    pub params: Vec<ParamId>,
}

/// How contained resources are found (`search.html#contained`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Contained {
    /// Resources of their own are found as well.
    pub both: bool,
    /// They are answered alone, not within the resource that contains them.
    pub alone: bool,
}

/// One condition of a [`Query`]. What is long in it, or stands in it at several places, is shared.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Clause {
    /// A search parameter of the searched type(s) compared with values.
    Param(ParamClause),
    /// `_id`: any of these ids.
    Id(Arc<[base::ResourceId]>),
    /// `_id:not`
    NotId(Vec<base::ResourceId>),
    /// A chain `subject:Patient.name=…`: the reference points to a resource for which the inner
    /// clause holds. One entry per target type that the chain may go through.
    Chain {
        /// The reference parameter, for each searched type.
        param: Vec<ParamId>,
        /// Target types, each with the clause that must hold there.
        targets: Vec<(TypeId, Arc<Clause>)>,
    },
    /// `_has:Observation:patient:code=…`: some resource of `source` refers to this one by
    /// `param`, and the inner clause holds for it.
    Has {
        /// The referring type.
        source: TypeId,
        /// Its reference parameter.
        param: ParamId,
        /// The condition on the referring resource.
        inner: Arc<Clause>,
    },
    /// `:in` on a reference: it points to a member of a resource of `source` for which the inner
    /// clause holds; `member` is the parameter of its members.
    MemberOf {
        /// The reference parameter, for each searched type.
        param: Vec<ParamId>,
        /// Group or List.
        source: TypeId,
        /// Its reference parameter.
        member: ParamId,
        /// The condition on the Group or List.
        inner: Arc<Clause>,
    },
    /// All of these; without any, everything.
    And(Vec<Clause>),
    /// Any of these; without any, nothing.
    Or(Vec<Clause>),
    /// For each searched type, in the order of [`Query::types`], a condition of its own: inside
    /// it that type is the only one searched.
    ByType(Vec<Clause>),
    /// This does not hold (`_filter`: `not`).
    Not(Box<Clause>),
    /// Nothing can match (for example a reference to a type that the parameter never targets).
    Never,
}

/// A parameter compared with values, of which any may match.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct ParamClause {
    /// The parameter for each searched type, in the order of [`Query::types`]; a single one
    /// inside chains and `_has`.
    pub param: Vec<ParamId>,
    /// Its type: decides which index table is asked.
    pub kind: ParamKind,
    /// The comparison.
    pub test: Test,
}

/// What a [`ParamClause`] asks.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Test {
    /// `:missing=true` (no value) or `:missing=false` (some value).
    Missing(bool),
    /// Any of these values matches.
    Any(Arc<[Match]>),
    /// `:not`: none of these values matches (resources without the parameter are found too).
    None(Arc<[Match]>),
}

/// One value to match. Each variant belongs to one index table.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Match {
    /// token `system|code`, `code`, `|code`, `system|`.
    Token(TokenMatch),
    /// token of a code system in which case does not count. Put in the place of [`Self::Token`] by
    /// [`super::terms::case`] before the query is answered.
    TokenCaseless {
        /// The system.
        system: String,
        /// The code in lower case (ASCII).
        code: String,
    },
    /// token `:text` before R5: the display or text, folded, contains this.
    TokenText(String),
    /// token and reference `:text` since R5: the display or text, folded, begins with this.
    TokenTextPrefix(String),
    /// token `:code-text` and `_filter`: the code, in lower case, compared in this way.
    TokenCode(How, String),
    /// token `:of-type`: the identifier's type, and its value.
    OfType(TokenMatch, String),
    /// token `:in` and `:not-in`: a code of this value set. Put in its place by
    /// [`super::terms::Terms`] before the query is answered.
    InValueSet {
        /// Its canonical URL, with a version if one was named, or `ValueSet/id`.
        set: String,
        /// The elements are codes without a system.
        bare: bool,
    },
    /// token `:below` (the code and what it subsumes) and `:above` (the code and what subsumes it).
    /// Put in its place like [`Self::InValueSet`].
    Subsumed {
        /// `:above`
        above: bool,
        /// The system, which the value must name.
        system: String,
        /// The code.
        code: String,
        /// The elements are codes without a system.
        bare: bool,
    },
    /// Some value is there and is none that this matches (`_filter`: `ne`).
    Unequal(Box<Match>),
    /// string, folded as in [`super::rows::fold`]; begins with.
    StringPrefix(String),
    /// string, folded and [`super::rows::joined`]: the text, or of a family name a later word and what
    /// follows, begins with this, whatever the white space.
    StringBegins(String),
    /// string, folded; the same.
    StringIs(String),
    /// string, folded; ends with.
    StringSuffix(String),
    /// string `:contains`, folded.
    StringContains(String),
    /// string `:exact`, as written.
    StringExact(String),
    /// date, microseconds; the range of the value that was written.
    Date(Prefix, Range<i64>),
    /// number; for `eq` and `ne` the range of the value's implied precision, for `ap` the widened
    /// one, for the other prefixes the number itself as a point.
    Number(Prefix, Range<f64>),
    /// quantity; the range as for [`Self::Number`].
    Quantity(Prefix, Range<f64>, Unit),
    /// reference.
    Reference(ReferenceMatch),
    /// reference `:below` and `:above`: this resource, or one that is part of it (that it is part
    /// of), at any distance, by the parameter of its own type.
    Hierarchy {
        /// `:above`
        above: bool,
        /// The type of both.
        type_id: TypeId,
        /// The resource it starts from.
        id: base::ResourceId,
        /// The parameter of that type by which a resource says what it is part of.
        part_of: ParamId,
    },
    /// canonical `:below` and `:above`: this URL, of a version that begins with this one (that this
    /// one begins with).
    CanonicalVersions {
        /// `:above`
        above: bool,
        /// Without the version.
        url: String,
        /// The version.
        version: String,
    },
    /// reference `:identifier`.
    ReferenceIdentifier(TokenMatch),
    /// uri, exactly.
    Uri(String),
    /// uri `:below`: this or anything under it.
    UriBelow(String),
    /// uri `:above`: this or any prefix of it at a path boundary.
    UriAbove(String),
    /// uri `:contains`
    UriContains(String),
    /// `_text`: a word that begins with this.
    UriBegins(String),
    /// `near`: no farther than this.
    Near(Circle),
    /// `contains`: the boundary goes around this place.
    Encloses(Spot),
    /// `_text` and `_content`: the words stand one after the other.
    Run(super::words::Run),
    /// A part of a composite: a text that has all of these.
    Runs(Vec<super::words::Run>),
    /// composite: one match per component, all in the same instance. Components are `Token`,
    /// `StringPrefix`, `Runs`, `Date`, `Number`, `Quantity`, `Reference` or `Uri`.
    Composite(Vec<Match>),
}

/// How a text compares with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// Begins with it, or is the same.
    Begins,
    /// Contains it.
    Contains,
    /// Ends with it.
    Ends,
    /// Is the same.
    Is,
}

/// A place on the earth (WGS 84).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// Degrees, north is positive.
    pub latitude: f64,
    /// Degrees, east is positive.
    pub longitude: f64,
}

/// A place on the earth (WGS 84) and the surroundings of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    /// Degrees, north is positive.
    pub latitude: f64,
    /// Degrees, east is positive.
    pub longitude: f64,
    /// Metres.
    pub radius: f64,
}

/// How a token's system is constrained.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenMatch {
    /// `None`: any system; `Some("")`: no system; else this one.
    pub system: Option<String>,
    /// `None`: any code of that system.
    pub code: Option<String>,
}

/// The unit part of a quantity search.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// `5.4`: any unit.
    Any,
    /// `5.4||mg`: this code or unit, any system.
    Code(String),
    /// `5.4|http://unitsofmeasure.org|mg`
    Coded {
        /// The system.
        system: String,
        /// The code.
        code: String,
    },
}

/// A reference to match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReferenceMatch {
    /// `Patient/7` or, with one possible target type, `7`; a version if `Patient/7/_history/2`.
    Local {
        /// The target's type.
        type_id: TypeId,
        /// The target's id.
        id: base::ResourceId,
        /// A version, if one was named.
        version: Option<String>,
    },
    /// `7` where several target types are possible.
    AnyType {
        /// The target's id.
        id: base::ResourceId,
        /// Types the parameter may target.
        types: Vec<TypeId>,
    },
    /// An absolute URL that is not of this server, or a canonical (`url|version`).
    Url {
        /// The URL without version.
        url: String,
        /// The canonical's version, if one was named. A part of a version stands for all that
        /// begin with it: `1.2` for `1.2.7`.
        version: Option<String>,
    },
}

/// A comparison prefix (`search.html#prefix`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// equal: the search range contains the value's range
    Eq,
    /// not equal
    Ne,
    /// greater than
    Gt,
    /// less than
    Lt,
    /// greater or equal
    Ge,
    /// less or equal
    Le,
    /// starts after
    Sa,
    /// ends before
    Eb,
    /// approximately; the range has already been widened and overlap decides
    Ap,
}

impl Prefix {
    /// Every prefix.
    pub const ALL: &'static [Self] = &[
        Self::Eq,
        Self::Ne,
        Self::Gt,
        Self::Lt,
        Self::Ge,
        Self::Le,
        Self::Sa,
        Self::Eb,
        Self::Ap,
    ];

    /// The prefix as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Lt => "lt",
            Self::Ge => "ge",
            Self::Le => "le",
            Self::Sa => "sa",
            Self::Eb => "eb",
            Self::Ap => "ap",
        }
    }
}

/// A half-open range: `low` belongs to it, `high` does not. For numbers an exact point has
/// `low == high` and then both belong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range<T> {
    /// First value inside.
    pub low: T,
    /// First value after it.
    pub high: T,
}

/// A key of `_sort`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SortKey {
    /// What is compared.
    pub by: SortBy,
    /// `-`: greatest first.
    pub descending: bool,
}

/// What a sort key compares.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SortBy {
    /// `_id`
    Id,
    /// `_lastUpdated`, for each searched type the parameter's id.
    LastUpdated(Vec<ParamId>),
    /// A parameter, for each searched type.
    Param(Vec<ParamId>, ParamKind),
    /// `_score`: how well it fits.
    Score,
}

/// `_total`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Total {
    /// Do not count.
    None,
    /// A cheap figure if there is one.
    Estimate,
    /// Count.
    Accurate,
}

/// `_include` or `_revinclude`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Include {
    /// `_revinclude`: resources that refer to the found ones.
    pub reverse: bool,
    /// `:iterate`: also over what was included.
    pub iterate: bool,
    /// Parameters followed: the type they stand on and their id.
    pub params: Vec<(TypeId, ParamId)>,
    /// Only targets of this type.
    pub target: Option<TypeId>,
    /// `*`, of whatever type: what the caller may not look at is no part of it.
    pub open: bool,
}

/// `_summary` and `_elements`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Shape {
    /// The whole resource.
    #[default]
    Whole,
    /// `_summary=true`
    Summary,
    /// `_summary=text`
    Text,
    /// `_summary=data`
    Data,
    /// `_elements=…`: base element names.
    Elements(Vec<String>),
}
