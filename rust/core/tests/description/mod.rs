//! The protocol's description of chunks and trees, implemented naively: node by node, without any code of the crate.

use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::select;
use ritual_artifacts_core::arweave::{CHUNK, Hash, SplitRule};
use sha2::{Digest, Sha256};

pub(crate) const RULES: [SplitRule; 2] = [SplitRule::ArweaveJs, SplitRule::Naive];
const KIB: u64 = 1024;

pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

pub(crate) fn note(offset: u64) -> Hash {
    format!("{offset:064x}")
        .as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

/// A tree that holds the parts of each node.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Leaf { data_hash: Hash, note: Hash },
    Branch { left: Box<Node>, right: Box<Node>, note: Hash, rebased: bool },
}

impl Node {
    pub(crate) fn leaf(data: &[u8], end: u64) -> Self {
        Self::Leaf { data_hash: sha256(&[data]), note: note(end) }
    }

    pub(crate) fn branch(left: Self, right: Self, split: u64, rebased: bool) -> Self {
        Self::Branch { left: left.into(), right: right.into(), note: note(split), rebased }
    }

    pub(crate) fn id(&self) -> Hash {
        match self {
            Self::Leaf { data_hash, note } => sha256(&[&sha256(&[data_hash]), &sha256(&[note])]),
            Self::Branch { left, right, note, .. } => {
                sha256(&[&sha256(&[&left.id()]), &sha256(&[&right.id()]), &sha256(&[note])])
            }
        }
    }

    /// The paths to all leaves, from the left to the right.
    pub(crate) fn proofs(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Leaf { data_hash, note } => vec![[*data_hash, *note].concat()],
            Self::Branch { left, right, note, rebased } => {
                let mark: &[Hash] = if *rebased { &[[0; 32]] } else { &[] };
                let step = [mark, &[left.id(), right.id(), *note]].concat().concat();
                let below = [left.proofs(), right.proofs()].concat();
                below.into_iter().map(|proof| [&step[..], &proof].concat()).collect()
            }
        }
    }
}

/// Split `size` bytes as the description of each tool says.
pub(crate) fn cut(size: u64, rule: SplitRule) -> Vec<u64> {
    let mut lengths = Vec::new();
    let mut rest = size;
    if size == 0 {
        return lengths;
    }
    while rest >= 262_144 {
        let next = rest - 262_144;
        let shared = rule == SplitRule::ArweaveJs && 0 < next && next < 32_768;
        lengths.push(if shared { rest / 2 + rest % 2 } else { 262_144 });
        rest -= lengths.last().unwrap();
    }
    if rest > 0 || rule != SplitRule::Naive {
        lengths.push(rest);
    }
    lengths
}

/// The chunks and their places.
pub(crate) fn chunks(data: &[u8], rule: SplitRule) -> Vec<(Range<usize>, &[u8])> {
    let mut start = 0;
    let place = |length| {
        let range = start..start + usize::try_from(length).unwrap();
        start = range.end;
        (range.clone(), &data[range])
    };
    cut(data.len() as u64, rule).into_iter().map(place).collect()
}

/// Pair neighbours until one node is left; each comes with its end.
pub(crate) fn pair_up(mut layer: Vec<(Node, u64)>) -> Node {
    while layer.len() > 1 {
        let mut nodes = layer.into_iter();
        let mut above = Vec::new();
        while let Some((left, split)) = nodes.next() {
            above.push(match nodes.next() {
                Some((right, end)) => (Node::branch(left, right, split, false), end),
                None => (left, split),
            });
        }
        layer = above;
    }
    layer.remove(0).0
}

pub(crate) fn tree(data: &[u8], rule: SplitRule) -> Node {
    let leaf = |(range, chunk): (Range<usize>, &[u8])| {
        (Node::leaf(chunk, range.end as u64), range.end as u64)
    };
    pair_up(chunks(data, rule).into_iter().map(leaf).collect())
}

/// Bytes that do not repeat from chunk to chunk.
pub(crate) fn content(size: u64) -> Vec<u8> {
    let mut state = size ^ 0x9e37_79b9_7f4a_7c15;
    let mut data = Vec::with_capacity(usize::try_from(size).unwrap() + 8);
    while (data.len() as u64) < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend(state.to_le_bytes());
    }
    data.truncate(usize::try_from(size).unwrap());
    data
}

/// Sizes around multiples of a chunk and the limit of 32 KiB for the last one.
fn border() -> impl Strategy<Value = u64> {
    (0..=5_u64, select(vec![0, 32 * KIB, 128 * KIB]), 0..=4_u64)
        .prop_map(|(chunks, more, off)| (chunks * CHUNK + more + off).saturating_sub(2))
}

pub(crate) fn size() -> impl Strategy<Value = u64> {
    prop_oneof![2 => border(), 1 => 0..=6 * CHUNK]
}
