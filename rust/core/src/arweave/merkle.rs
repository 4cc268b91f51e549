//! The tree over the chunks: its root is signed, its paths are the proofs.

use std::iter::successors;
use std::ops::Range;

use super::node::{Hash, id, note, write_ids};

/// A chunk, as the tree knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 of the chunk.
    pub data_hash: Hash,
    /// Offset in the data of the first byte after the chunk.
    pub end: u64,
}

impl Leaf {
    fn parts(&self) -> [Hash; 2] {
        [self.data_hash, note(self.end)]
    }
}

/// The tree over all chunks of some data: 72 bytes a chunk.
///
/// Two neighbours make a branch, layer by layer; where one is left over at the end of a layer, it goes up as
/// it is. So a node of the `k`th layer above the leaves spans 2ᵏ of these, the last of a layer maybe fewer,
/// and no node has to remember where it ends.
#[derive(Clone, Debug)]
pub struct MerkleTree {
    leaves: Vec<Leaf>,
    /// The ids in the layers above the leaves, one layer after the other.
    branches: Vec<Hash>,
    root: Hash,
}

impl MerkleTree {
    /// `None` where there are no leaves: no data has no tree, and its transaction no `data_root`.
    ///
    /// The leaves are those of [`LeafHasher`](super::LeafHasher), or at least ordered by their ends.
    #[must_use]
    pub fn new(leaves: Vec<Leaf>) -> Option<Self> {
        let last = leaves.last()?;
        let mut branches = vec![[0; 32]; widths(leaves.len()).sum()];
        let mut layers = branches.as_mut_slice();
        if let Some(width) = widths(leaves.len()).next() {
            let (layer, above) = layers.split_at_mut(width);
            write_first_layer(&leaves, layer);
            let mut below = &*layer;
            layers = above;
            for (width, span) in widths(leaves.len()).skip(1).zip(powers_of_two(2)) {
                let (layer, above) = layers.split_at_mut(width);
                write_layer(below, layer, |branch| split(&leaves, 2 * branch + 1, span));
                below = layer;
                layers = above;
            }
        }
        let root = branches.last().copied().unwrap_or_else(|| id(last.parts()));
        Some(Self { leaves, branches, root })
    }

    /// The transaction's `data_root`.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The chunks, in order; the last may be empty, and is not uploaded then.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The `data_path` of a chunk: it proves to whoever knows the root that the chunk is a part of the data.
    ///
    /// `None` where there is no such leaf.
    #[must_use]
    pub fn proof(&self, index: usize) -> Option<Vec<u8>> {
        let leaf = self.leaves.get(index)?;
        // From the leaf up; a proof reads from the root down.
        let mut steps = Vec::new();
        if let Some(sibling) = self.leaves.get(index ^ 1) {
            let ids = [id(leaf.parts()), id(sibling.parts())];
            let right = index | 1;
            let [left_id, right_id] = if index == right { [ids[1], ids[0]] } else { ids };
            steps.push([left_id, right_id, note(split(&self.leaves, right, 1))]);
        }
        let mut layers = self.branches.as_slice();
        let mut index = index / 2;
        for (width, span) in widths(self.leaves.len()).zip(powers_of_two(2)) {
            let (layer, above) = layers.split_at(width);
            let right = index | 1;
            if let Some(&right_id) = layer.get(right) {
                steps.push([layer[right - 1], right_id, note(split(&self.leaves, right, span))]);
            }
            layers = above;
            index /= 2;
        }
        steps.reverse();
        Some([steps.as_flattened(), &leaf.parts()].concat().as_flattened().to_vec())
    }

    /// The id of the node that spans the bytes from `start` to `end`; `None` where there is no such node.
    ///
    /// Of two that span the same bytes, it is the one with the empty leaf.
    #[must_use]
    pub fn id_between(&self, start: u64, end: u64) -> Option<Hash> {
        let first = match start {
            0 => 0,
            _ => self.leaves.partition_point(|leaf| leaf.end < start) + 1,
        };
        let begins = first == 0 || self.leaves.get(first - 1).is_some_and(|leaf| leaf.end == start);
        if !begins {
            return None;
        }
        // The empty leaf ends where the one before it does.
        let after = self.leaves.partition_point(|leaf| leaf.end <= end);
        let mut candidates =
            (first + 1..=after).rev().take_while(|&a| self.leaves[a - 1].end == end);
        candidates.find_map(|after| self.id_of(first..after))
    }

    /// The id of the node that spans these leaves; `None` where there is no such node.
    fn id_of(&self, leaves: Range<usize>) -> Option<Hash> {
        let span = leaves.len().next_power_of_two();
        let is_last = leaves.end == self.leaves.len();
        if !leaves.start.is_multiple_of(span) || leaves.len() < span && !is_last {
            return None;
        }
        let Some(below) = span.ilog2().checked_sub(1) else {
            return Some(id(self.leaves[leaves.start].parts()));
        };
        let layer: usize = widths(self.leaves.len()).take(below as usize).sum();
        self.branches.get(layer + leaves.start / span).copied()
    }
}

/// How many nodes each layer above `leaves` leaves has.
fn widths(leaves: usize) -> impl Iterator<Item = usize> {
    successors(Some(leaves), |&width| (width > 1).then(|| width.div_ceil(2))).skip(1)
}

fn powers_of_two(first: usize) -> impl Iterator<Item = usize> {
    successors(Some(first), |span| span.checked_mul(2))
}

/// Where the node at `right`, in a layer of nodes that span `span` leaves each, begins.
fn split(leaves: &[Leaf], right: usize, span: usize) -> u64 {
    leaves[right * span - 1].end
}

/// Write the layer above the leaves, whose ids are needed in no other place.
fn write_first_layer(leaves: &[Leaf], layer: &mut [Hash]) {
    const BATCH: usize = 64;
    let mut ids = [[0; 32]; BATCH];
    for (leaves, layer) in leaves.chunks(BATCH).zip(layer.chunks_mut(BATCH / 2)) {
        let ids = &mut ids[..leaves.len()];
        write_ids(leaves.iter().map(Leaf::parts), ids);
        write_layer(ids, layer, |branch| split(leaves, 2 * branch + 1, 1));
    }
}

/// Write the layer above the nodes `below`; `split_of` says where the right child of each branch begins.
fn write_layer(below: &[Hash], layer: &mut [Hash], split_of: impl Fn(usize) -> u64) {
    let (pairs, left_over) = below.as_chunks::<2>();
    let branches = pairs.iter().enumerate();
    write_ids(
        branches.map(|(branch, &[left, right])| [left, right, note(split_of(branch))]),
        &mut layer[..pairs.len()],
    );
    layer[pairs.len()..].copy_from_slice(left_over);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256::Hasher;

    fn leaves(count: u64) -> Vec<Leaf> {
        (1..=count)
            .map(|end| Leaf { data_hash: Hasher::digest(&end.to_le_bytes()).into(), end })
            .collect()
    }

    #[test]
    fn no_leaves_have_no_tree() {
        assert!(MerkleTree::new(Vec::new()).is_none());
    }

    #[test]
    fn the_root_of_one_leaf_is_the_leaf() {
        let leaf = leaves(1)[0];

        let tree = MerkleTree::new(vec![leaf]).unwrap();

        assert_eq!(tree.root(), id(leaf.parts()));
        assert_eq!(tree.proof(0).unwrap(), leaf.parts().concat());
    }

    #[test]
    fn a_leaf_that_is_left_over_goes_up_as_it_is() {
        let leaves = leaves(3);
        let [first, second, third] = [0, 1, 2].map(|index| id(leaves[index].parts()));
        let pair = id([first, second, note(1)]);

        let tree = MerkleTree::new(leaves.clone()).unwrap();

        assert_eq!(tree.root(), id([pair, third, note(2)]));
        let expected = [[pair, third, note(2)].concat(), leaves[2].parts().concat()].concat();
        assert_eq!(tree.proof(2).unwrap(), expected);
    }

    #[test]
    fn a_leaf_that_is_not_there_has_no_proof() {
        let tree = MerkleTree::new(leaves(3)).unwrap();

        assert_eq!(tree.proof(3), None);
        assert_eq!(tree.proof(usize::MAX), None);
    }

    #[test]
    fn a_chunk_takes_72_bytes() {
        let count = 1 << 12;
        let tree = MerkleTree::new(leaves(count)).unwrap();

        let bytes = size_of_val(tree.leaves.as_slice()) + size_of_val(tree.branches.as_slice());

        assert!(bytes as u64 <= 72 * count);
    }
}
