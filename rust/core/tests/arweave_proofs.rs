//! Proofs of trees of any shape, altered and hostile ones: no proof makes the validation panic or accept a chunk
//! that is not in the tree.

use description::{Node, RULES, content, cut, note, sha256, size, tree};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use ritual_artifacts_core::arweave::{
    CHUNK, Hash, Leaf, MAX_PROOF, MerkleTree, ProofError, ProvenChunk, SplitRule, validate_proof,
};

mod description;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The mark is not hashed, so a sender can add one to any proof.
    #[test]
    fn a_mark_that_the_tree_was_not_built_with_moves_no_chunk(
        size in prop_oneof![size(), 1..=40 * CHUNK],
        rule in select(&RULES),
        marks in any::<u8>(),
    ) {
        prop_assume!(size > 0);
        let lengths = cut(size, rule);
        let (root, size, proofs) = lengths_to_proofs(&lengths);

        let mut start = 0;
        for (index, (length, proof)) in lengths.into_iter().zip(proofs).enumerate() {
            let end = start + length;
            let (steps, leaf) = proof.split_at(proof.len() - 64);
            let marked = steps.chunks(96).enumerate().flat_map(|(step, branch)| {
                let mark: &[u8] = if marks >> (step % 8) & 1 == 1 { &[0; 32] } else { &[] };
                [mark, branch].concat()
            });
            let marked: Vec<u8> = marked.chain(leaf.iter().copied()).collect();
            for offset in [0, start, start + length / 2, end.saturating_sub(1), size - 1] {
                if let Ok(proven) = validate_proof(&root, offset, size, &marked) {
                    let data_hash = some_hash(index);
                    prop_assert_eq!(proven, ProvenChunk { data_hash, start, end });
                }
            }
            start = end;
        }
    }

    #[test]
    fn a_tree_of_any_shape_proves_its_chunks(shape in shape()) {
        let grown = Grown::new(&shape);
        prop_assume!(grown.size > 0);

        let proofs = grown.root.proofs();
        prop_assert_eq!(proofs.len(), grown.places.len());
        for (proof, chunk) in proofs.iter().zip(&grown.places) {
            if chunk.start == chunk.end {
                continue;
            }
            for offset in [chunk.start, chunk.end - 1] {
                let proven = validate_proof(&grown.root.id(), offset, grown.size, proof);
                prop_assert_eq!(proven, Ok(*chunk));
            }
        }
    }

    /// With valid hashes, and a note that may be invalid.
    #[test]
    fn a_hostile_tree_proves_only_chunks_inside_the_data(
        shape in shape(),
        (at, note) in (any::<Index>(), hostile_note()),
        sizes in vec(hostile_offset(), 0..3),
        offsets in vec(hostile_offset(), 1..5),
    ) {
        let mut grown = Grown::new(&shape);
        let mut notes = notes_of(&mut grown.root);
        let at = at.index(notes.len());
        *notes[at] = note;
        let root = grown.root.id();

        for proof in grown.root.proofs() {
            for &size in [grown.size].iter().chain(&sizes) {
                for &offset in offsets.iter().chain(&[0, size / 2, size.saturating_sub(1)]) {
                    let proven = validate_proof(&root, offset, size, &proof);
                    let Ok(chunk) = proven else { continue };
                    prop_assert!(chunk.start <= offset && offset < chunk.end && chunk.end <= size);
                    prop_assert!(chunk.end - chunk.start <= CHUNK);
                    prop_assert_eq!(&proof[proof.len() - 64..proof.len() - 32], chunk.data_hash);
                }
            }
        }
    }

    #[test]
    fn what_is_no_proof_is_refused(
        root in any::<Hash>(),
        (offset, size) in any::<(u64, u64)>(),
        proof in vec(any::<u8>(), 0..700),
        zeros in 0..200_usize,
    ) {
        for proof in [&proof[..], &[&vec![0; zeros][..], &proof].concat()] {
            prop_assert!(validate_proof(&root, offset, size, proof).is_err());
        }
    }
}

fn notes_of(node: &mut Node) -> Vec<&mut Hash> {
    match node {
        Node::Leaf { note, .. } => vec![note],
        Node::Branch { left, right, note, .. } => {
            let mut notes = notes_of(left);
            notes.push(note);
            notes.append(&mut notes_of(right));
            notes
        }
    }
}

fn hostile_offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0..=8_u64, 0..=2_u64).prop_map(|(chunks, off)| (chunks * CHUNK + off).saturating_sub(1)),
        1 => (0..=2_u64).prop_map(|off| u64::MAX - off),
        1 => any::<u64>(),
    ]
}

fn hostile_note() -> impl Strategy<Value = Hash> {
    prop_oneof![9 => hostile_offset().prop_map(note), 1 => any::<Hash>()]
}

/// What a tree looks like, with the lengths of its chunks.
#[derive(Clone, Debug)]
enum Shape {
    Leaf(u64),
    Branch { left: Box<Shape>, right: Box<Shape>, rebased: bool },
}

fn shape() -> impl Strategy<Value = Shape> {
    let length = select(vec![0, 1, CHUNK / 2, CHUNK - 1, CHUNK, CHUNK, CHUNK, CHUNK]);
    length.prop_map(Shape::Leaf).prop_recursive(5, 24, 2, |below| {
        (below.clone(), below, prop::bool::weighted(0.3)).prop_map(|(left, right, rebased)| {
            Shape::Branch { left: left.into(), right: right.into(), rebased }
        })
    })
}

struct Grown {
    root: Node,
    size: u64,
    /// The chunks in order.
    places: Vec<ProvenChunk>,
}

impl Grown {
    fn new(shape: &Shape) -> Self {
        let mut places = Vec::new();
        let (root, size) = grow(shape, 0, 0, &mut places);
        Self { root, size, places }
    }
}

/// Make the nodes of `shape` for data that begins at `start`, with notes that count from `frame`, and find where
/// it ends.
fn grow(shape: &Shape, start: u64, frame: u64, places: &mut Vec<ProvenChunk>) -> (Node, u64) {
    match shape {
        Shape::Leaf(length) => {
            let end = start + length;
            let data_hash = some_hash(places.len());
            places.push(ProvenChunk { data_hash, start, end });
            (Node::Leaf { data_hash, note: note(end - frame) }, end)
        }
        Shape::Branch { left, right, rebased: true } => {
            let (left, split) = grow(left, start, start, places);
            let (right, end) = grow(right, split, split, places);
            (Node::branch(left, right, split - frame, true), end)
        }
        Shape::Branch { left, right, rebased: false } => {
            let (left, split) = grow(left, start, frame, places);
            let (right, end) = grow(right, split, frame, places);
            (Node::branch(left, right, split - frame, false), end)
        }
    }
}

/// Two datasets, each with a tree that begins to count at 0, under one root; the second one twice.
fn rebased(first: &[u8], second: &[u8]) -> Node {
    let split = first.len() as u64;
    let (left, right) = (tree(first, SplitRule::ArweaveJs), tree(second, SplitRule::ArweaveJs));
    let twice = Node::branch(right.clone(), right, second.len() as u64, true);
    Node::branch(left, twice, split, true)
}

#[test]
fn trees_under_a_rebasing_branch_count_from_their_own_beginning() {
    let first = content(2 * CHUNK);
    let second = content(2 * CHUNK + 7);
    let data = [&first[..], &second, &second].concat();
    let root = rebased(&first, &second);
    let proofs = root.proofs();
    let size = data.len() as u64;

    let mut offset = 0;
    for proof in &proofs {
        // The empty chunk of the first tree is in no place.
        let Ok(chunk) = validate_proof(&root.id(), offset, size, proof) else {
            assert_eq!(offset, 2 * CHUNK);
            continue;
        };
        assert_eq!(chunk.start, offset);
        let range = usize::try_from(chunk.start).unwrap()..usize::try_from(chunk.end).unwrap();
        assert_eq!(chunk.data_hash, sha256(&[&data[range]]));
        offset = chunk.end;
    }

    assert_eq!(offset, size);
    assert_eq!(proofs.len(), 9);
}

#[test]
fn a_chunk_of_more_than_256_kib_is_refused() {
    let (root, size, proofs) = lengths_to_proofs(&[CHUNK + 1]);

    let refused = validate_proof(&root, 0, size, &proofs[0]);

    assert_eq!(refused, Err(ProofError::ChunkTooLong { length: CHUNK + 1 }));
}

#[test]
fn an_offset_outside_of_the_data_is_refused() {
    let (root, size, proofs) = lengths_to_proofs(&[5]);

    for (offset, size) in [(size, size), (u64::MAX, size), (0, 0), (u64::MAX, u64::MAX)] {
        let refused = validate_proof(&root, offset, size, &proofs[0]);
        assert_eq!(refused, Err(ProofError::OffsetOutside { offset, size }));
    }
}

#[test]
fn a_size_other_than_the_signed_one_is_refused() {
    let (root, size, proofs) = lengths_to_proofs(&[CHUNK, 5]);

    for wrong in [size - 1, size + 1, u64::MAX] {
        let refused = validate_proof(&root, CHUNK, wrong, &proofs[1]);
        assert_eq!(refused, Err(ProofError::Note { step: 1 }));
    }
}

#[test]
fn a_proof_longer_than_the_node_takes_is_refused_unread() {
    let proof = vec![0; MAX_PROOF + 1];

    let refused = validate_proof(&[0; 32], 0, 1, &proof);

    assert_eq!(refused, Err(ProofError::Length { length: MAX_PROOF + 1 }));
}

/// The root and the proofs of chunks with these lengths, and the size of their data.
fn lengths_to_proofs(lengths: &[u64]) -> (Hash, u64, Vec<Vec<u8>>) {
    let mut size = 0;
    let leaf = |(index, length): (usize, &u64)| {
        size += length;
        Leaf { data_hash: some_hash(index), end: size }
    };
    let tree = MerkleTree::new(lengths.iter().enumerate().map(leaf).collect()).unwrap();
    let proofs = (0..lengths.len()).map(|leaf| tree.proof(leaf).unwrap()).collect();
    (tree.root(), size, proofs)
}

/// A hash in place of a chunk's.
fn some_hash(index: usize) -> Hash {
    sha256(&[&index.to_le_bytes()])
}
