//! How large a condition is: what it costs to keep it and to ask it.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Clause, Match, Prefix, Test};

/// Bytes of a value, with what it holds apart: most are short.
const VALUE_BYTES: usize = size_of::<Match>() + 32;

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

    /// Whether it means something else as time passes: "approximately" a date (`ap`) is nearer to it the
    /// nearer it is.
    pub fn passes(&self) -> bool {
        fn of_value(value: &Match) -> bool {
            match value {
                Match::Date(Prefix::Ap, _) => true,
                Match::Unequal(inner) => of_value(inner),
                Match::Composite(parts) => parts.iter().any(of_value),
                _ => false,
            }
        }
        match self {
            Self::Param(param) => match &param.test {
                Test::Missing(_) => false,
                Test::Any(values) | Test::None(values) => values.iter().any(of_value),
            },
            Self::Chain { targets, .. } => targets.iter().any(|(_, inner)| inner.passes()),
            Self::Has { inner, .. } | Self::MemberOf { inner, .. } => inner.passes(),
            Self::And(parts) | Self::Or(parts) | Self::ByType(parts) => {
                parts.iter().any(Self::passes)
            }
            Self::Not(part) => part.passes(),
            Self::Id(_) | Self::NotId(_) | Self::Never => false,
        }
    }

    /// Bytes of memory, about. What is shared counts where it is met first; `known` has what was met.
    pub fn bytes(&self, known: &mut HashSet<usize>) -> usize {
        fn fresh<T: ?Sized>(shared: &Arc<T>, known: &mut HashSet<usize>) -> bool {
            known.insert(Arc::as_ptr(shared).cast::<u8>().addr())
        }
        let each = |parts: &[Self], known: &mut HashSet<usize>| {
            parts.iter().map(|part| part.bytes(known)).sum::<usize>()
        };
        let shared = |inner: &Arc<Self>, known: &mut HashSet<usize>| match fresh(inner, known) {
            true => inner.bytes(known),
            false => 0,
        };
        size_of::<Self>()
            + match self {
                Self::Param(param) => match &param.test {
                    Test::Any(values) | Test::None(values) if fresh(values, known) => {
                        values.len() * VALUE_BYTES
                    }
                    _ => 16,
                },
                Self::Id(ids) if fresh(ids, known) => ids.len() * 48,
                Self::NotId(ids) => ids.len() * 48,
                Self::Chain { targets, .. } => {
                    let inner = targets.iter().map(|(_, inner)| 16 + shared(inner, known));
                    inner.sum()
                }
                Self::Has { inner, .. } | Self::MemberOf { inner, .. } => shared(inner, known),
                Self::And(parts) | Self::Or(parts) | Self::ByType(parts) => each(parts, known),
                Self::Not(part) => part.bytes(known),
                Self::Id(_) | Self::Never => 0,
            }
    }
}
