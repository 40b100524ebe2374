//! What an expression says, as written: no types, no model.

/// A name of a type, perhaps with its namespace: `Patient`, `FHIR.Patient`, `System.String`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// `FHIR` or `System`, where written.
    pub namespace: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
}

/// A literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `{}`
    Empty,
    /// `true`, `false`
    Bool(bool),
    /// `'text'`, without quotes and escapes.
    String(Box<str>),
    /// `1`, `1.50`: as written.
    Number(Box<str>),
    /// `1L`: without the `L`.
    Long(Box<str>),
    /// `@2015-02-04`, `@2015-02-04T14:34`: without the `@`.
    Date(Box<str>),
    /// `@T14:34`: without the `@T`.
    Time(Box<str>),
    /// `4.5 'mg'`, `4 days`: the number as written, the unit, and whether that was quoted.
    Quantity(Box<str>, Box<str>, bool),
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `implies`
    Implies,
    /// `or`
    Or,
    /// `xor`
    Xor,
    /// `and`
    And,
    /// `in`
    In,
    /// `contains`
    Contains,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `~`
    Equivalent,
    /// `!~`
    NotEquivalent,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `|`
    Union,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `&`
    Concatenate,
    /// `*`
    Times,
    /// `/`
    Divide,
    /// `div`
    Div,
    /// `mod`
    Mod,
}

impl Operator {
    /// The operator as written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Implies => "implies",
            Self::Or => "or",
            Self::Xor => "xor",
            Self::And => "and",
            Self::In => "in",
            Self::Contains => "contains",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Equivalent => "~",
            Self::NotEquivalent => "!~",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Union => "|",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Concatenate => "&",
            Self::Times => "*",
            Self::Divide => "/",
            Self::Div => "div",
            Self::Mod => "mod",
        }
    }

    /// How tightly it binds; greater binds tighter. `is` and `as` stand at [`Self::TYPE_LEVEL`].
    pub(super) const fn level(self) -> u8 {
        match self {
            Self::Implies => 1,
            Self::Or | Self::Xor => 2,
            Self::And => 3,
            Self::In | Self::Contains => 4,
            Self::Equal | Self::NotEqual | Self::Equivalent | Self::NotEquivalent => 5,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 6,
            Self::Union => 7,
            Self::Plus | Self::Minus | Self::Concatenate => 9,
            Self::Times | Self::Divide | Self::Div | Self::Mod => 10,
        }
    }

    /// The level of `is` and `as`.
    pub(super) const TYPE_LEVEL: u8 = 8;
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// `$this`
    This,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `%name`
    Variable(Box<str>),
    /// A literal.
    Literal(Literal),
    /// A name at the head: a member of the focus, or the type of the context.
    Name(Box<str>),
    /// `of.name`
    Member(Box<Self>, Box<str>),
    /// `on.name(args)`, or `name(args)` at the head.
    Call(Option<Box<Self>>, Box<str>, Vec<Self>),
    /// `of[index]`
    At(Box<Self>, Box<Self>),
    /// `-of`
    Negate(Box<Self>),
    /// `left operator right`
    Binary(Operator, Box<Self>, Box<Self>),
    /// `of is Type`
    Is(Box<Self>, TypeName),
    /// `of as Type`
    As(Box<Self>, TypeName),
}

impl Expr {
    /// The type that an argument such as `Patient` or `FHIR.Patient` names.
    pub(super) fn type_name(&self) -> Option<TypeName> {
        match self {
            Self::Name(name) => Some(TypeName {
                namespace: None,
                name: name.clone(),
            }),
            Self::Member(of, name) => match &**of {
                Self::Name(namespace) => Some(TypeName {
                    namespace: Some(namespace.clone()),
                    name: name.clone(),
                }),
                _ => None,
            },
            _ => None,
        }
    }
}
