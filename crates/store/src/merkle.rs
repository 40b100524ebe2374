//! Merkle trees as Certificate Transparency has them (RFC 6962, section 2.1), grown leaf by leaf.
//!
//! Of a tree only the hashes of its full subtrees are kept, a few dozen at most, so that it goes on where
//! it was after a start, and after old leaves are gone. Proofs are made from the leaves that are there.
//! Knows nothing of what leaves are.

use ring::digest;

/// SHA-256.
pub(crate) type Hash = [u8; 32];

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    let digest = context.finish();
    out.iter_mut()
        .zip(digest.as_ref())
        .for_each(|(o, d)| *o = *d);
    out
}

/// The hash of a leaf.
pub(crate) fn leaf(data: &[u8]) -> Hash {
    hash(&[&[0], data])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

/// A tree of so many leaves, as far as it is needed to let it grow: the hashes of its full subtrees,
/// largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The leaves.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// One with these full subtrees; `None` if there cannot be so many.
    pub(crate) fn of(size: u64, nodes: Vec<Hash>) -> Option<Self> {
        (size.count_ones() as usize == nodes.len()).then_some(Self { size, nodes })
    }

    /// The hashes of the full subtrees, largest first.
    pub(crate) fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// Adds a leaf.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut last = leaf;
        let mut full = self.size;
        while full & 1 == 1 {
            if let Some(left) = self.nodes.pop() {
                last = node(&left, &last);
            }
            full >>= 1;
        }
        self.nodes.push(last);
        self.size += 1;
    }

    /// The hash of the whole tree.
    pub(crate) fn root(&self) -> Hash {
        let mut nodes = self.nodes.iter().rev();
        let Some(last) = nodes.next() else {
            return hash(&[]);
        };
        nodes.fold(*last, |right, left| node(left, &right))
    }

    /// The hash of a full subtree.
    fn subtree(&self, from: u64, to: u64) -> Option<Hash> {
        let mut at = 0;
        let mut bit = 1u64 << 63;
        for hash in &self.nodes {
            while self.size & bit == 0 {
                bit >>= 1;
            }
            if (at, at + bit) == (from, to) {
                return Some(*hash);
            }
            at += bit;
            bit >>= 1;
        }
        None
    }
}

/// A tree with the hashes of its leaves, but those of its beginning that are gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    gone: Frontier,
    leaves: Vec<Hash>,
}

impl Tree {
    /// One that goes on after leaves that are gone.
    pub(crate) const fn after(gone: Frontier) -> Self {
        Self {
            gone,
            leaves: Vec::new(),
        }
    }

    /// Adds a leaf.
    pub(crate) fn push(&mut self, leaf: Hash) {
        self.leaves.push(leaf);
    }

    /// The leaves, those that are gone too.
    pub(crate) fn size(&self) -> u64 {
        self.gone.size + self.leaves.len() as u64
    }

    /// The hash of the tree of the first leaves.
    pub(crate) fn root(&self, size: u64) -> Option<Hash> {
        match size {
            0 => Some(hash(&[])),
            size => self.range(0, size),
        }
    }

    fn range(&self, from: u64, to: u64) -> Option<Hash> {
        if to <= self.gone.size
            && let Some(known) = self.gone.subtree(from, to)
        {
            return Some(known);
        }
        let length = to.checked_sub(from)?;
        if length <= 1 {
            let at = usize::try_from(from.checked_sub(self.gone.size)?).ok()?;
            return self.leaves.get(at).copied();
        }
        let middle = from + split(length);
        Some(node(&self.range(from, middle)?, &self.range(middle, to)?))
    }

    /// The audit path of a leaf in the tree of the first leaves (RFC 6962, section 2.1.1).
    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        let mut path = Vec::new();
        let (mut from, mut to) = (0, size);
        if index >= size || size > self.size() {
            return None;
        }
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                path.push(self.range(middle, to)?);
                to = middle;
            } else {
                path.push(self.range(from, middle)?);
                from = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The proof that the tree of the first `old` leaves is the beginning of that of the first `size`
    /// (RFC 6962, section 2.1.2).
    pub(crate) fn consistency(&self, old: u64, size: u64) -> Option<Vec<Hash>> {
        if old == 0 || old > size || size > self.size() {
            return None;
        }
        let mut path = Vec::new();
        let (mut from, mut to) = (0, size);
        let mut whole = true;
        while old != to {
            let middle = from + split(to - from);
            if old <= middle {
                path.push(self.range(middle, to)?);
                to = middle;
            } else {
                path.push(self.range(from, middle)?);
                (from, whole) = (middle, false);
            }
        }
        if !whole {
            path.push(self.range(from, to)?);
        }
        path.reverse();
        Some(path)
    }
}

/// The largest power of two below a length of two or more.
const fn split(length: u64) -> u64 {
    1 << (63 - (length - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: &[u8]) -> String {
        hash.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The definition, word for word.
    fn plain(leaves: &[&[u8]]) -> Hash {
        match leaves {
            [] => hash(&[]),
            [only] => leaf(only),
            many => {
                let (left, right) = many.split_at(split(many.len() as u64) as usize);
                node(&plain(left), &plain(right))
            }
        }
    }

    /// The leaves with which Certificate Transparency's implementations are tried.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];

    #[test]
    fn roots_are_those_of_the_definition() {
        let mut frontier = Frontier::default();
        let mut tree = Tree::default();
        assert_eq!(
            hex(&frontier.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (at, data) in LEAVES.iter().enumerate() {
            frontier.push(leaf(data));
            tree.push(leaf(data));
            let wanted = plain(&LEAVES[..=at]);
            assert_eq!(frontier.root(), wanted);
            assert_eq!(tree.root(at as u64 + 1), Some(wanted));
        }
        assert_eq!(
            hex(&frontier.root()),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }

    #[test]
    fn proofs_prove_and_need_no_leaves_that_are_gone() {
        let leaves: Vec<Hash> = (0u32..70).map(|n| leaf(&n.to_be_bytes())).collect();
        let mut whole = Tree::default();
        leaves.iter().for_each(|l| whole.push(*l));
        for size in 1..=70u64 {
            let root = whole.root(size).unwrap();
            for index in 0..size {
                let path = whole.inclusion(index, size).unwrap();
                assert_eq!(
                    climb(leaves[index as usize], index, size, &path),
                    Some(root)
                );
            }
        }
        for gone in [1u64, 5, 32, 37] {
            let mut frontier = Frontier::default();
            leaves[..gone as usize]
                .iter()
                .for_each(|l| frontier.push(*l));
            let mut rest = Tree::after(frontier);
            leaves[gone as usize..].iter().for_each(|l| rest.push(*l));
            for size in gone + 1..=70 {
                assert_eq!(rest.root(size), whole.root(size));
                for index in gone..size {
                    assert_eq!(rest.inclusion(index, size), whole.inclusion(index, size));
                }
                for old in gone + 1..=size {
                    assert_eq!(rest.consistency(old, size), whole.consistency(old, size));
                }
            }
        }
        assert_eq!(whole.inclusion(70, 70), None);
        assert_eq!(whole.consistency(0, 70), None);
        assert_eq!(whole.consistency(3, 71), None);
        assert_eq!(whole.consistency(70, 70), Some(Vec::new()));
    }

    /// How a path is checked (RFC 9162, section 2.1.3.2).
    fn climb(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
        let (mut at, mut last, mut root) = (index, size - 1, leaf);
        for sibling in path {
            if last == 0 {
                return None;
            }
            if at & 1 == 1 || at == last {
                root = node(sibling, &root);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                root = node(&root, sibling);
            }
            at >>= 1;
            last >>= 1;
        }
        (last == 0).then_some(root)
    }
}
