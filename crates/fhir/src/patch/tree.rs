//! JSON that can be changed. Numbers and strings keep their text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use crate::json::{Kind, Value, push_json_string};

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Tree<'s> {
    /// A number, string, boolean or null as it is written.
    Scalar(Kind, Cow<'s, str>),
    Array(Vec<Self>, Emptied),
    Object(Vec<(Cow<'s, str>, Self)>, Emptied),
}

/// Whether removals left nothing of an array or object: then it goes too, in the end.
pub(super) type Emptied = bool;

impl<'s> Tree<'s> {
    pub(super) fn of(value: Value<'s>) -> Self {
        match value.kind() {
            Kind::Array => Self::Array(value.items().map(Self::of).collect(), false),
            Kind::Object => {
                let members = value.members().map(|m| (m.name(), Self::of(m.value)));
                Self::Object(members.collect(), false)
            }
            kind => Self::Scalar(kind, Cow::Borrowed(value.raw())),
        }
    }

    pub(super) const fn null() -> Self {
        Self::Scalar(Kind::Null, Cow::Borrowed("null"))
    }

    pub(super) const fn object() -> Self {
        Self::Object(Vec::new(), false)
    }

    pub(super) const fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(Kind::Null, _))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members, _) => members.iter().find(|(n, _)| n == name).map(|m| &m.1),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Object(members, _) => members
                .iter_mut()
                .find(|(n, _)| n == name)
                .map(|m| &mut m.1),
            _ => None,
        }
    }

    /// Puts a member in the place of the one of its name, or at the end.
    pub(super) fn put(&mut self, name: &str, value: Self) {
        if let Self::Object(members, _) = self {
            match members.iter_mut().find(|(n, _)| n == name) {
                Some(member) => member.1 = value,
                None => members.push((Cow::Owned(name.to_owned()), value)),
            }
        }
    }

    /// Takes a member away.
    pub(super) fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Object(members, emptied) = self else {
            return None;
        };
        let at = members.iter().position(|(n, _)| n == name)?;
        let (_, taken) = members.remove(at);
        *emptied |= members.is_empty();
        Some(taken)
    }

    /// Bytes of its text.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Scalar(_, text) => text.len() + 1,
            Self::Array(items, _) => 2 + items.iter().map(Self::size).sum::<usize>(),
            Self::Object(members, _) => {
                2 + members
                    .iter()
                    .map(|(n, v)| n.len() + 4 + v.size())
                    .sum::<usize>()
            }
        }
    }

    /// Levels of arrays and objects in it.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Scalar(..) => 0,
            Self::Array(items, _) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members, _) => 1 + members.iter().map(|m| m.1.depth()).max().unwrap_or(0),
        }
    }

    /// Takes away what removals left empty; whether nothing is left of this one.
    pub(super) fn prune(&mut self) -> bool {
        match self {
            Self::Scalar(..) => false,
            Self::Array(items, emptied) => {
                let before = items.len();
                items.retain_mut(|item| !item.prune());
                items.is_empty() && (*emptied || before > 0)
            }
            Self::Object(members, emptied) => {
                let before = members.len();
                members.retain_mut(|member| !member.1.prune());
                members.is_empty() && (*emptied || before > 0)
            }
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Scalar(_, text) => out.push_str(text),
            Self::Array(items, _) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members, _) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    push_json_string(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Whether both are the same value (RFC 6902 section 4.6): numbers by what they are worth,
    /// strings by their characters, members in any order.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(Kind::String, a), Self::Scalar(Kind::String, b)) => {
                a == b || characters(a) == characters(b)
            }
            (Self::Scalar(Kind::Number, a), Self::Scalar(Kind::Number, b)) => same_number(a, b),
            (Self::Scalar(a, x), Self::Scalar(b, y)) => a == b && x == y,
            (Self::Array(a, _), Self::Array(b, _)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            (Self::Object(a, _), Self::Object(b, _)) => {
                a.len() == b.len() && {
                    // Looked up by name: looking through all members for each would take forever
                    // for very many.
                    let mut named = HashMap::with_capacity(b.len());
                    for (name, value) in b {
                        named.entry(name).or_insert(value);
                    }
                    let same = |(name, value): &(Cow<'_, str>, Self)| {
                        named.get(name).is_some_and(|o| value.equals(o))
                    };
                    a.iter().all(same)
                }
            }
            _ => false,
        }
    }
}

/// The characters of a JSON string.
fn characters(quoted: &str) -> Option<String> {
    let doc = crate::json::parse(quoted.as_bytes(), 1).ok()?;
    doc.root().as_str().map(Cow::into_owned)
}

/// Whether two numbers of JSON are worth the same.
fn same_number(a: &str, b: &str) -> bool {
    a == b
        || worth(a)
            .zip(worth(b))
            .is_some_and(|(a, b)| a.cmp(&b) == Ordering::Equal)
}

/// Sign, digits without zeros at either end, and the power of ten of the last one; none for an
/// exponent beyond counting.
fn worth(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent
        .strip_prefix('+')
        .unwrap_or(exponent)
        .parse()
        .ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let power = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(dropped)?;
    let significant = trimmed.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    Some((negative, significant.to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::{Tree, same_number};

    /// Comparing each member with each other one would take minutes here.
    #[test]
    fn very_many_members_are_compared_in_any_order() {
        let object = |numbers: &mut dyn Iterator<Item = usize>| {
            let members = numbers.map(|n| format!("\"m{n}\":{n}"));
            let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
            crate::json::parse(text.leak().as_bytes(), 2).unwrap()
        };
        let count = 200_000;
        let (up, down) = (object(&mut (0..count)), object(&mut (0..count).rev()));
        let other = object(&mut (1..=count));
        let tree = Tree::of(up.root());
        assert!(tree.equals(&Tree::of(down.root())));
        assert!(!tree.equals(&Tree::of(other.root())));
    }

    #[test]
    fn numbers_are_compared_by_worth() {
        for (a, b, same) in [
            ("1", "1.0", true),
            ("1e2", "100", true),
            ("-0", "0.00", true),
            ("0.10", "1E-1", true),
            ("1", "-1", false),
            ("1.01", "1.001", false),
            ("1e99999999999999999999", "1", false),
        ] {
            assert_eq!(same_number(a, b), same, "{a} {b}");
        }
    }
}
