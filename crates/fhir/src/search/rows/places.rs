//! Which parts of a composite stand where in its index rows: rows and queries must agree, and a
//! definition must fit before anything is indexed by it.

use crate::definitions::ParamKind;

/// How a part of a composite is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// Codes, references and URIs: for equality.
    Equal,
    /// By the beginning of a text.
    Text,
    /// A number with its unit.
    Quantity,
    /// Dates and numbers, without a unit.
    Range,
}

impl PartKind {
    /// How parameters of this type are compared within a composite; `None` for those that cannot be
    /// a part.
    pub const fn of(kind: ParamKind) -> Option<Self> {
        Some(match kind {
            ParamKind::Token | ParamKind::Reference | ParamKind::Uri => Self::Equal,
            ParamKind::String => Self::Text,
            ParamKind::Quantity => Self::Quantity,
            ParamKind::Date | ParamKind::Number => Self::Range,
            ParamKind::Composite | ParamKind::Special => return None,
        })
    }
}

/// The places of a composite's parts, each the number of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The part that rows are found by; without one they are found by the second.
    pub first: Option<usize>,
    /// A part of any kind.
    pub second: usize,
    /// A part that is compared while reading. A quantity stands here only beside another one, and
    /// has its unit in the place of the first part.
    pub third: Option<usize>,
}

/// The places of parts of these kinds: what is compared for equality first, then quantities, texts and
/// ranges, each kind in the order of the parameter. `None` for combinations that rows cannot hold:
/// fewer than two parts or more than three, three without one that is compared for equality, and two
/// quantities beside something else.
pub fn places(kinds: &[PartKind]) -> Option<Places> {
    let of = |kind: PartKind| {
        let each = kinds.iter().enumerate();
        each.filter(move |(_, k)| **k == kind).map(|(at, _)| at)
    };
    let mut equal = of(PartKind::Equal);
    let first = equal.next();
    let mut rest = of(PartKind::Quantity)
        .chain(equal)
        .chain(of(PartKind::Text))
        .chain(of(PartKind::Range));
    let (second, third) = (rest.next()?, rest.next());
    let quantities = of(PartKind::Quantity).count();
    let fits = rest.next().is_none()
        && (first.is_some() || third.is_some())
        && (quantities < 2 || first.is_none());
    fits.then_some(Places {
        first,
        second,
        third,
    })
}

#[cfg(test)]
mod tests {
    use super::PartKind::{Equal, Quantity, Range, Text};
    use super::{PartKind, Places, places};

    #[test]
    fn parts_have_their_places() {
        let check = |kinds: &[PartKind], wanted: Option<(Option<usize>, usize, Option<usize>)>| {
            let wanted = wanted.map(|(first, second, third)| Places {
                first,
                second,
                third,
            });
            assert_eq!(places(kinds), wanted, "{kinds:?}");
        };
        check(&[Equal, Quantity], Some((Some(0), 1, None)));
        check(&[Range, Equal], Some((Some(1), 0, None)));
        check(&[Equal, Range, Range], Some((Some(0), 1, Some(2))));
        check(&[Equal, Equal], Some((Some(0), 1, None)));
        check(&[Equal, Equal, Quantity], Some((Some(0), 2, Some(1))));
        check(&[Equal, Equal, Equal], Some((Some(0), 1, Some(2))));
        check(&[Equal, Text, Range], Some((Some(0), 1, Some(2))));
        check(&[Text, Text], Some((None, 0, Some(1))));
        check(&[Range, Text], Some((None, 1, Some(0))));
        check(&[Quantity, Quantity], Some((None, 0, Some(1))));
        check(&[Equal, Quantity, Quantity], None);
        check(&[Text, Text, Text], None);
        check(&[Equal], None);
        check(&[], None);
        check(&[Equal, Equal, Equal, Equal], None);
    }
}
