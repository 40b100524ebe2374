//! How large a condition is: what it costs to keep it and to ask it.

use super::{Clause, Test};

impl Clause {
    /// Conditions in it and values that they compare with, at all places where they stand.
    pub fn size(&self) -> usize {
        let all = |parts: &[Self]| parts.iter().map(Self::size).sum::<usize>();
        1 + match self {
            Self::Param(param) => match &param.test {
                Test::Missing(_) => 0,
                Test::Any(values) | Test::None(values) => values.len(),
            },
            Self::Id(ids) => ids.len(),
            Self::NotId(ids) => ids.len(),
            Self::Chain { targets, .. } => targets.iter().map(|(_, inner)| inner.size()).sum(),
            Self::Has { inner, .. } | Self::MemberOf { inner, .. } => inner.size(),
            Self::And(parts) | Self::Or(parts) | Self::ByType(parts) => all(parts),
            Self::Not(part) => part.size(),
            Self::Never => 0,
        }
    }
}
