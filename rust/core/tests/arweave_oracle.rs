//! Chunks, trees and proofs equal those of a naive implementation of the protocol's description.

use description::{Node, RULES, chunks, content, cut, note, pair_up, sha256, size, tree};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use ritual_artifacts_core::arweave::{
    CHUNK, Leaf, LeafHasher, MerkleTree, ProvenChunk, SplitRule, chunk_lengths, validate_proof,
};

mod description;

fn hash(data: &[u8], rule: SplitRule, pieces: impl Iterator<Item = usize>) -> Vec<Leaf> {
    let mut hasher = LeafHasher::new(data.len() as u64, rule);
    let mut rest = data;
    for piece in pieces {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        hasher.update(now);
        rest = later;
    }
    hasher.update(rest);
    hasher.finish().unwrap()
}

fn piece() -> impl Strategy<Value = usize> {
    const CHUNK: usize = 256 * 1024;
    prop_oneof![
        0..=200_usize,
        Just(64 * 1024),
        (1..=5_usize, 0..=2_usize).prop_map(|(chunks, off)| chunks * CHUNK + off - 1),
        0..=2 * CHUNK,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn lengths_are_those_of_the_description(
        size in prop_oneof![size(), 0..=1_u64 << 33],
        rule in select(&RULES),
    ) {
        let lengths: Vec<_> = chunk_lengths(size, rule).collect();

        prop_assert_eq!(lengths.iter().sum::<u64>(), size);
        prop_assert_eq!(lengths, cut(size, rule));
    }

    #[test]
    fn leaves_do_not_depend_on_the_pieces(
        size in size(),
        rule in select(&RULES),
        pieces in vec(piece(), 0..12),
    ) {
        let data = content(size);
        let expected: Vec<_> = chunks(&data, rule)
            .into_iter()
            .map(|(range, chunk)| Leaf { data_hash: sha256(&[chunk]), end: range.end as u64 })
            .collect();

        prop_assert_eq!(hash(&data, rule, pieces.into_iter()), expected);
    }

    #[test]
    fn the_root_and_every_proof_are_those_of_the_description(
        size in size(),
        rule in select(&RULES),
    ) {
        prop_assume!(size > 0);
        let data = content(size);
        let expected = tree(&data, rule);

        let tree = MerkleTree::new(hash(&data, rule, std::iter::empty())).unwrap();

        prop_assert_eq!(tree.root(), expected.id());
        let count = tree.leaves().len();
        let proofs: Vec<_> = (0..count).map(|leaf| tree.proof(leaf).unwrap()).collect();
        prop_assert_eq!(proofs, expected.proofs());
        prop_assert_eq!(tree.proof(count), None);
    }

    #[test]
    fn every_byte_is_proven_to_be_in_its_chunk(size in size(), rule in select(&RULES)) {
        prop_assume!(size > 0);
        let data = content(size);
        let tree = MerkleTree::new(hash(&data, rule, std::iter::empty())).unwrap();

        for (index, (range, chunk)) in chunks(&data, rule).into_iter().enumerate() {
            let proof = tree.proof(index).unwrap();
            let (start, end) = (range.start as u64, range.end as u64);
            let expected = ProvenChunk { data_hash: sha256(&[chunk]), start, end };
            let Some(last) = range.clone().last() else { continue };
            for offset in [range.start, usize::midpoint(range.start, last), last] {
                let proven = validate_proof(&tree.root(), offset as u64, size, &proof);
                prop_assert_eq!(proven, Ok(expected));
            }
            // A node takes new data only so: chunks begin at multiples of 256 KiB, but for a last one that
            // has one such multiple inside.
            let straddles = start / CHUNK + 1 == end / CHUNK && end % CHUNK > 0;
            prop_assert!(start % CHUNK == 0 || end == size && straddles);
            for outside in [start.wrapping_sub(1), end] {
                let proven = validate_proof(&tree.root(), outside, size, &proof);
                prop_assert!(proven.is_err());
            }
        }
    }

    /// Of many more leaves than the data of the other tests has.
    #[test]
    fn wide_trees_are_those_of_the_description(
        count in prop_oneof![1..=300_usize, 1000..=3000_usize],
        seed in any::<u64>(),
    ) {
        let leaf = |index: u64| {
            Leaf { data_hash: sha256(&[&(seed ^ index).to_le_bytes()]), end: index * CHUNK }
        };
        let node = |&Leaf { data_hash, end }: &Leaf| {
            (Node::Leaf { data_hash, note: note(end) }, end)
        };
        let leaves: Vec<_> = (1..=count as u64).map(leaf).collect();
        let expected = pair_up(leaves.iter().map(node).collect());

        let tree = MerkleTree::new(leaves).unwrap();

        prop_assert_eq!(tree.root(), expected.id());
        if count <= 300 {
            let proofs: Vec<_> = (0..count).map(|leaf| tree.proof(leaf).unwrap()).collect();
            prop_assert_eq!(proofs, expected.proofs());
        }
    }

    #[test]
    fn a_changed_proof_proves_nothing(
        size in 1..=6 * CHUNK,
        rule in select(&RULES),
        (offset, at, cut) in any::<(Index, Index, Index)>(),
        (bit, more) in (0..8_u8, 1..=200_usize),
    ) {
        let data = content(size);
        let tree = MerkleTree::new(hash(&data, rule, std::iter::empty())).unwrap();
        let offset = offset.index(data.len()) as u64;
        let index = tree.leaves().iter().position(|leaf| offset < leaf.end).unwrap();
        let proof = tree.proof(index).unwrap();
        let is_refused = |proof: &[u8]| {
            validate_proof(&tree.root(), offset, size, proof).is_err()
        };
        let zeros = vec![0; more];

        let mut flipped = proof.clone();
        flipped[at.index(proof.len())] ^= 1 << bit;
        prop_assert!(is_refused(&flipped));
        prop_assert!(is_refused(&proof[..cut.index(proof.len())]));
        prop_assert!(is_refused(&[&proof[..], &zeros].concat()));
        // 32 zeros are a mark, and the next test's.
        prop_assert!(more == 32 || is_refused(&[&zeros, &proof[..]].concat()));
        for other in (0..tree.leaves().len()).filter(|&other| other != index) {
            prop_assert!(is_refused(&tree.proof(other).unwrap()));
        }
    }

}
