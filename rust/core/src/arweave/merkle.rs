//! The Merkle tree over chunks: its root is signed, its paths are the proofs.

use std::iter::successors;
use std::ops::Range;

use super::node::{Hash, id, note, write_ids};

/// A leaf of the tree: a chunk's hash and end.
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

/// The Merkle tree over the chunks of some data. It takes 72 bytes per chunk.
///
/// Pairs of neighbours form branches, layer by layer; a node left over at the end of a layer moves up unchanged.
/// A node in layer `k` above the leaves therefore spans 2ᵏ leaves (the last one possibly fewer), so nodes need
/// not store where they end.
#[derive(Clone, Debug)]
pub struct MerkleTree {
    leaves: Vec<Leaf>,
    /// The ids in the layers above the leaves, one layer after the other.
    branches: Vec<Hash>,
    root: Hash,
}

impl MerkleTree {
    /// Build the tree over `leaves`, which are ordered by their ends; `None` without leaves, because empty data
    /// has no tree.
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

    /// The chunks, in order. An empty last one is not uploaded.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The proof (`data_path`) that a chunk is part of the data with this root; `None` if there is no such chunk.
    #[must_use]
    pub fn proof(&self, index: usize) -> Option<Vec<u8>> {
        let leaf = self.leaves.get(index)?;
        // Collected from the leaf up; a proof goes from the root down.
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

    /// The id of the node that spans the bytes from `start` to `end`; `None` if there is no such node.
    ///
    /// Of two nodes that span the same bytes, it is the one with the empty leaf.
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

    /// The id of the node that spans these leaves; `None` if there is no such node.
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

/// The number of nodes in each layer above the leaves.
fn widths(leaves: usize) -> impl Iterator<Item = usize> {
    successors(Some(leaves), |&width| (width > 1).then(|| width.div_ceil(2))).skip(1)
}

fn powers_of_two(first: usize) -> impl Iterator<Item = usize> {
    successors(Some(first), |span| span.checked_mul(2))
}

/// The offset where the node at `right` begins, in a layer whose nodes span `span` leaves each.
fn split(leaves: &[Leaf], right: usize, span: usize) -> u64 {
    leaves[right * span - 1].end
}

/// Write the layer above the leaves, whose ids are not kept.
fn write_first_layer(leaves: &[Leaf], layer: &mut [Hash]) {
    const BATCH: usize = 64;
    let mut ids = [[0; 32]; BATCH];
    for (leaves, layer) in leaves.chunks(BATCH).zip(layer.chunks_mut(BATCH / 2)) {
        let ids = &mut ids[..leaves.len()];
        write_ids(leaves.iter().map(Leaf::parts), ids);
        write_layer(ids, layer, |branch| split(leaves, 2 * branch + 1, 1));
    }
}

/// Write the layer above the nodes `below`; `split_of` returns where the right child of a branch begins.
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
    fn a_leaf_left_over_moves_up_unchanged() {
        let leaves = leaves(3);
        let [first, second, third] = [0, 1, 2].map(|index| id(leaves[index].parts()));
        let pair = id([first, second, note(1)]);

        let tree = MerkleTree::new(leaves.clone()).unwrap();

        assert_eq!(tree.root(), id([pair, third, note(2)]));
        let expected = [[pair, third, note(2)].concat(), leaves[2].parts().concat()].concat();
        assert_eq!(tree.proof(2).unwrap(), expected);
    }

    #[test]
    fn a_missing_leaf_has_no_proof() {
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
