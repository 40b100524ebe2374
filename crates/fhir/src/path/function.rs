//! The table of functions: names, arguments, and what goes in and out.

use super::types::System;

/// What a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Any collection.
    Any,
    /// A single text.
    Text,
}

/// What a function yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Items of the input.
    Same,
    /// Items of the input or of the argument.
    Both,
    /// A value of this type.
    One(System),
    /// A number of the kind that goes in.
    Number,
    /// Whatever.
    Any,
}

macro_rules! functions {
    ($($name:ident = $text:literal, $least:literal..=$most:literal, $input:ident, $output:expr;)+) => {
        /// A function whose arguments are evaluated before it, on the focus around it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Function { $($name,)+ }

        impl Function {
            /// The function of this name.
            pub(super) fn parse(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)+ _ => None }
            }

            /// Its name.
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// How many arguments it takes.
            pub(super) const fn arguments(self) -> std::ops::RangeInclusive<usize> {
                match self { $(Self::$name => $least..=$most,)+ }
            }

            pub(super) const fn input(self) -> Input {
                match self { $(Self::$name => Input::$input,)+ }
            }

            pub(super) const fn output(self) -> Output {
                match self { $(Self::$name => $output,)+ }
            }

            /// The names of all functions.
            pub(super) const NAMES: &'static [&'static str] = &[$($text,)+];
        }
    };
}

use Output as O;
use System as S;

functions! {
    Single = "single", 0..=0, Any, O::Same;
    Distinct = "distinct", 0..=0, Any, O::Same;
    IsDistinct = "isDistinct", 0..=0, Any, O::One(S::Boolean);
    AllTrue = "allTrue", 0..=0, Any, O::One(S::Boolean);
    AnyTrue = "anyTrue", 0..=0, Any, O::One(S::Boolean);
    AllFalse = "allFalse", 0..=0, Any, O::One(S::Boolean);
    AnyFalse = "anyFalse", 0..=0, Any, O::One(S::Boolean);
    SubsetOf = "subsetOf", 1..=1, Any, O::One(S::Boolean);
    SupersetOf = "supersetOf", 1..=1, Any, O::One(S::Boolean);
    Skip = "skip", 1..=1, Any, O::Same;
    Take = "take", 1..=1, Any, O::Same;
    Intersect = "intersect", 1..=1, Any, O::Same;
    Exclude = "exclude", 1..=1, Any, O::Same;
    Combine = "combine", 1..=2, Any, O::Both;
    Coalesce = "coalesce", 1..=64, Any, O::Any;
    Children = "children", 0..=0, Any, O::Any;
    Descendants = "descendants", 0..=0, Any, O::Any;
    ToBoolean = "toBoolean", 0..=0, Any, O::One(S::Boolean);
    ToInteger = "toInteger", 0..=0, Any, O::One(S::Integer);
    ToLong = "toLong", 0..=0, Any, O::One(S::Long);
    ToDecimal = "toDecimal", 0..=0, Any, O::One(S::Decimal);
    ToString = "toString", 0..=0, Any, O::One(S::String);
    ToDate = "toDate", 0..=0, Any, O::One(S::Date);
    ToDateTime = "toDateTime", 0..=0, Any, O::One(S::DateTime);
    ToTime = "toTime", 0..=0, Any, O::One(S::Time);
    ToQuantity = "toQuantity", 0..=1, Any, O::One(S::Quantity);
    ConvertsToBoolean = "convertsToBoolean", 0..=0, Any, O::One(S::Boolean);
    ConvertsToInteger = "convertsToInteger", 0..=0, Any, O::One(S::Boolean);
    ConvertsToLong = "convertsToLong", 0..=0, Any, O::One(S::Boolean);
    ConvertsToDecimal = "convertsToDecimal", 0..=0, Any, O::One(S::Boolean);
    ConvertsToString = "convertsToString", 0..=0, Any, O::One(S::Boolean);
    ConvertsToDate = "convertsToDate", 0..=0, Any, O::One(S::Boolean);
    ConvertsToDateTime = "convertsToDateTime", 0..=0, Any, O::One(S::Boolean);
    ConvertsToTime = "convertsToTime", 0..=0, Any, O::One(S::Boolean);
    ConvertsToQuantity = "convertsToQuantity", 0..=1, Any, O::One(S::Boolean);
    IndexOf = "indexOf", 1..=1, Text, O::One(S::Integer);
    LastIndexOf = "lastIndexOf", 1..=1, Text, O::One(S::Integer);
    Substring = "substring", 1..=2, Text, O::One(S::String);
    StartsWith = "startsWith", 1..=1, Text, O::One(S::Boolean);
    EndsWith = "endsWith", 1..=1, Text, O::One(S::Boolean);
    Contains = "contains", 1..=1, Text, O::One(S::Boolean);
    Upper = "upper", 0..=0, Text, O::One(S::String);
    Lower = "lower", 0..=0, Text, O::One(S::String);
    Replace = "replace", 2..=2, Text, O::One(S::String);
    Matches = "matches", 1..=2, Text, O::One(S::Boolean);
    MatchesFull = "matchesFull", 1..=2, Text, O::One(S::Boolean);
    ReplaceMatches = "replaceMatches", 2..=3, Text, O::One(S::String);
    Length = "length", 0..=0, Text, O::One(S::Integer);
    ToChars = "toChars", 0..=0, Text, O::One(S::String);
    Encode = "encode", 1..=1, Text, O::One(S::String);
    Decode = "decode", 1..=1, Text, O::One(S::String);
    Escape = "escape", 1..=1, Text, O::One(S::String);
    Unescape = "unescape", 1..=1, Text, O::One(S::String);
    Trim = "trim", 0..=0, Text, O::One(S::String);
    Split = "split", 1..=1, Text, O::One(S::String);
    Join = "join", 0..=1, Any, O::One(S::String);
    Abs = "abs", 0..=0, Any, O::Number;
    Ceiling = "ceiling", 0..=0, Any, O::One(S::Integer);
    Exp = "exp", 0..=0, Any, O::One(S::Decimal);
    Floor = "floor", 0..=0, Any, O::One(S::Integer);
    Ln = "ln", 0..=0, Any, O::One(S::Decimal);
    Log = "log", 1..=1, Any, O::One(S::Decimal);
    Power = "power", 1..=1, Any, O::Number;
    Round = "round", 0..=1, Any, O::Number;
    Sqrt = "sqrt", 0..=0, Any, O::One(S::Decimal);
    Truncate = "truncate", 0..=0, Any, O::One(S::Integer);
    Sum = "sum", 0..=0, Any, O::Number;
    Min = "min", 0..=0, Any, O::Same;
    Max = "max", 0..=0, Any, O::Same;
    Avg = "avg", 0..=0, Any, O::Number;
    Now = "now", 0..=0, Any, O::One(S::DateTime);
    TimeOfDay = "timeOfDay", 0..=0, Any, O::One(S::Time);
    Today = "today", 0..=0, Any, O::One(S::Date);
    LowBoundary = "lowBoundary", 0..=1, Any, O::Any;
    HighBoundary = "highBoundary", 0..=1, Any, O::Any;
    Precision = "precision", 0..=0, Any, O::One(S::Integer);
    Comparable = "comparable", 1..=1, Any, O::One(S::Boolean);
    YearOf = "yearOf", 0..=0, Any, O::One(S::Integer);
    MonthOf = "monthOf", 0..=0, Any, O::One(S::Integer);
    DayOf = "dayOf", 0..=0, Any, O::One(S::Integer);
    HourOf = "hourOf", 0..=0, Any, O::One(S::Integer);
    MinuteOf = "minuteOf", 0..=0, Any, O::One(S::Integer);
    SecondOf = "secondOf", 0..=0, Any, O::One(S::Integer);
    MillisecondOf = "millisecondOf", 0..=0, Any, O::One(S::Integer);
    TimezoneOffsetOf = "timezoneOffsetOf", 0..=0, Any, O::One(S::Decimal);
    DateOf = "dateOf", 0..=0, Any, O::One(S::Date);
    TimeOf = "timeOf", 0..=0, Any, O::One(S::Time);
    Type = "type", 0..=0, Any, O::One(S::TypeInfo);
    Extension = "extension", 1..=1, Any, O::Any;
    HasExtension = "hasExtension", 1..=1, Any, O::One(S::Boolean);
    HasValue = "hasValue", 0..=0, Any, O::One(S::Boolean);
    GetValue = "getValue", 0..=0, Any, O::Any;
    Resolve = "resolve", 0..=0, Any, O::Any;
    MemberOf = "memberOf", 1..=1, Any, O::One(S::Boolean);
    Subsumes = "subsumes", 1..=1, Any, O::One(S::Boolean);
    SubsumedBy = "subsumedBy", 1..=1, Any, O::One(S::Boolean);
    Weight = "weight", 0..=0, Any, O::One(S::Decimal);
    ConformsTo = "conformsTo", 1..=1, Any, O::One(S::Boolean);
    HtmlChecks = "htmlChecks", 0..=0, Any, O::One(S::Boolean);
    CheckModifiers = "checkModifiers", 0..=64, Any, O::Same;
}

impl Function {
    /// Functions that the compiler makes operations of their own.
    pub(super) const OWN_NAMES: &'static [&'static str] = &[
        "aggregate",
        "all",
        "as",
        "count",
        "defineVariable",
        "empty",
        "exists",
        "first",
        "iif",
        "is",
        "last",
        "not",
        "ofType",
        "repeat",
        "repeatAll",
        "select",
        "sort",
        "tail",
        "trace",
        "union",
        "where",
    ];

    /// Whether it looks at whole elements, with all that is in them.
    pub(super) const fn is_deep(self) -> bool {
        matches!(
            self,
            Self::Children
                | Self::Descendants
                | Self::Resolve
                | Self::ConformsTo
                | Self::MemberOf
                | Self::Subsumes
                | Self::SubsumedBy
                | Self::Weight
                | Self::Distinct
                | Self::IsDistinct
                | Self::SubsetOf
                | Self::SupersetOf
                | Self::Intersect
                | Self::Exclude
        )
    }
}
