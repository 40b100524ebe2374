//! Composites with more parts than a row has places: the parts that are compared for equality are
//! folded into one text, in each way in which they may be asked for.

use super::super::query::{Match, ReferenceMatch, TokenMatch};
use super::{PartKind, RowValue, places};

/// Parts that may be folded: each may be asked for in up to three ways, and a row is kept for each way of
/// all of them.
const FOLDED_MAX: usize = 4;

/// Rows of one instance; combinations past it are not searchable.
const ROWS_MAX: usize = 4_096;

/// Between a system and its code, and between parts.
const WITHIN: char = '\u{1e}';
const BETWEEN: char = '\u{1f}';

/// The parts of such a composite, each the number of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// Those that are folded into the place that rows are found by.
    pub equal: Vec<usize>,
    /// A quantity, or a text or range.
    pub second: Option<usize>,
    /// A text or range, or a second quantity: its unit then stands behind the folded parts.
    pub third: Option<usize>,
}

/// How parts of these kinds are folded; `None` where they have [`places`] of their own, and for
/// combinations that rows cannot hold at all: more than two parts that are not compared for equality, more
/// than four that are, none that is.
pub fn folded(kinds: &[PartKind]) -> Option<Folded> {
    let of = |kind: PartKind| {
        let each = kinds.iter().enumerate();
        each.filter(move |(_, k)| **k == kind).map(|(at, _)| at)
    };
    let equal: Vec<usize> = of(PartKind::Equal).collect();
    let mut others = of(PartKind::Quantity)
        .chain(of(PartKind::Text))
        .chain(of(PartKind::Range));
    let (second, third) = (others.next(), others.next());
    let fits = (1..=FOLDED_MAX).contains(&equal.len())
        && kinds.len() > 2
        && others.next().is_none()
        && places(kinds).is_none();
    fits.then_some(Folded {
        equal,
        second,
        third,
    })
}

impl Folded {
    /// Combinations of one instance for which there is room.
    pub fn combinations_max(&self) -> usize {
        let ways = u32::try_from(self.equal.len()).map_or(1, |parts| 3_usize.saturating_pow(parts));
        (ROWS_MAX / ways.max(1)).max(1)
    }

    /// The texts of one combination: one for each way to ask for it.
    pub fn texts(&self, values: &[RowValue]) -> Vec<String> {
        let mut texts = vec![String::new()];
        for part in self.equal.iter().filter_map(|at| values.get(*at)) {
            let ways = ways(part);
            texts = texts
                .iter()
                .flat_map(|text| ways.iter().map(move |way| format!("{text}{way}{BETWEEN}")))
                .collect();
        }
        texts
    }

    /// The text that is asked for; `None` if a part asks for nothing that is folded.
    pub fn asked(&self, values: &[Match]) -> Option<String> {
        let mut text = String::new();
        for at in &self.equal {
            text.push_str(&asked(values.get(*at)?)?);
            text.push(BETWEEN);
        }
        Some(text)
    }
}

/// The ways in which a value may be asked for.
fn ways(value: &RowValue) -> Vec<String> {
    match value {
        RowValue::Token { system, code } | RowValue::ReferenceIdentifier { system, code } => {
            let mut ways = Vec::with_capacity(3);
            if !code.is_empty() {
                ways.push(format!("c{code}"));
                ways.push(format!("b{system}{WITHIN}{code}"));
            }
            ways.push(format!("s{system}"));
            ways
        }
        RowValue::Reference { type_id, id, .. } => {
            vec![format!("r{}/{id}", type_id.0), format!("i{id}")]
        }
        RowValue::ReferenceUrl { url: text, .. } | RowValue::Uri(text) => vec![format!("u{text}")],
        _ => Vec::new(),
    }
}

fn asked(value: &Match) -> Option<String> {
    Some(match value {
        Match::Token(TokenMatch {
            system: None,
            code: Some(code),
        }) => format!("c{code}"),
        Match::Token(TokenMatch {
            system: Some(system),
            code: Some(code),
        }) => format!("b{system}{WITHIN}{code}"),
        Match::Token(TokenMatch {
            system: Some(system),
            code: None,
        }) => format!("s{system}"),
        Match::Reference(ReferenceMatch::Local { type_id, id, .. }) => {
            format!("r{}/{id}", type_id.0)
        }
        Match::Reference(ReferenceMatch::AnyType { id, .. }) => format!("i{id}"),
        Match::Reference(ReferenceMatch::Url { url: text, .. }) | Match::Uri(text) => {
            format!("u{text}")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::PartKind::{Equal, Quantity, Range, Text};
    use super::{PartKind, folded};

    #[test]
    fn what_has_no_places_is_folded() {
        let check = |kinds: &[PartKind],
                     wanted: Option<(&[usize], Option<usize>, Option<usize>)>| {
            let found = folded(kinds);
            let found = found.as_ref().map(|f| (&*f.equal, f.second, f.third));
            assert_eq!(found, wanted, "{kinds:?}");
        };
        check(
            &[Equal, Equal, Equal, Equal],
            Some((&[0, 1, 2, 3], None, None)),
        );
        check(
            &[Equal, Range, Equal, Quantity],
            Some((&[0, 2], Some(3), Some(1))),
        );
        check(
            &[Equal, Equal, Equal, Text],
            Some((&[0, 1, 2], Some(3), None)),
        );
        check(
            &[Equal, Equal, Text, Range],
            Some((&[0, 1], Some(2), Some(3))),
        );
        check(&[Quantity, Equal, Quantity], Some((&[1], Some(0), Some(2))));
        check(
            &[Equal, Equal, Quantity, Quantity],
            Some((&[0, 1], Some(2), Some(3))),
        );
        // These have places of their own, or none at all.
        check(&[Equal, Equal, Equal], None);
        check(&[Equal], None);
        check(&[Equal, Quantity], None);
        check(&[Equal, Text, Text, Text], None);
        check(&[Equal, Quantity, Quantity, Quantity], None);
        check(&[Equal; 5], None);
    }
}
