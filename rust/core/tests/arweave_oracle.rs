//! Trees, proofs and deep hashes agree with what one gets by doing literally what the protocol says, one node
//! after the other, and no proof makes the validation panic or say what is not so.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use ritual_artifacts_core::arweave::deep_hash::{BlobHasher, DeepHash, blob, list};
use ritual_artifacts_core::arweave::{
    CHUNK, Hash, Leaf, LeafHasher, MAX_PROOF, MerkleTree, ProofError, ProvenChunk, Ruleset,
    SplitRule, chunk_lengths, validate_proof,
};
use sha2::{Digest, Sha256, Sha384};

const RULES: [SplitRule; 3] = [SplitRule::ArweaveJs, SplitRule::Node, SplitRule::Naive];
const RULESETS: [Ruleset; 2] = [Ruleset::Stored, Ruleset::NewData];
const KIB: u64 = 1024;

fn sha256(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

fn note(offset: u64) -> Hash {
    format!("{offset:064x}")
        .as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

/// A tree that holds what each node is made of.
#[derive(Clone, Debug)]
enum Node {
    Leaf { data_hash: Hash, note: Hash },
    Branch { left: Box<Node>, right: Box<Node>, note: Hash, rebased: bool },
}

impl Node {
    fn leaf(data: &[u8], end: u64) -> Self {
        Self::Leaf { data_hash: sha256(&[data]), note: note(end) }
    }

    fn branch(left: Self, right: Self, split: u64, rebased: bool) -> Self {
        Self::Branch { left: left.into(), right: right.into(), note: note(split), rebased }
    }

    fn id(&self) -> Hash {
        match self {
            Self::Leaf { data_hash, note } => sha256(&[&sha256(&[data_hash]), &sha256(&[note])]),
            Self::Branch { left, right, note, .. } => {
                sha256(&[&sha256(&[&left.id()]), &sha256(&[&right.id()]), &sha256(&[note])])
            }
        }
    }

    fn notes(&mut self) -> Vec<&mut Hash> {
        match self {
            Self::Leaf { note, .. } => vec![note],
            Self::Branch { left, right, note, .. } => {
                let mut notes = left.notes();
                notes.push(note);
                notes.append(&mut right.notes());
                notes
            }
        }
    }

    /// The paths to all leaves, from the left to the right.
    fn proofs(&self) -> Vec<Vec<u8>> {
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

/// Cut as the protocol's description says, with a loop for each tool.
fn cut(size: u64, rule: SplitRule) -> Vec<u64> {
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

/// The chunks with their places.
fn chunks(data: &[u8], rule: SplitRule) -> Vec<(Range<usize>, &[u8])> {
    let mut start = 0;
    let place = |length| {
        let range = start..start + usize::try_from(length).unwrap();
        start = range.end;
        (range.clone(), &data[range])
    };
    cut(data.len() as u64, rule).into_iter().map(place).collect()
}

/// Pair neighbours until one is left; each comes with its end.
fn pair_up(mut layer: Vec<(Node, u64)>) -> Node {
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

fn tree(data: &[u8], rule: SplitRule) -> Node {
    let leaf = |(range, chunk): (Range<usize>, &[u8])| {
        (Node::leaf(chunk, range.end as u64), range.end as u64)
    };
    pair_up(chunks(data, rule).into_iter().map(leaf).collect())
}

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

/// Bytes that do not repeat from chunk to chunk.
fn content(size: u64) -> Vec<u8> {
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

/// Sizes that crowd around the borders of chunks and of the 32 KiB rule.
fn border() -> impl Strategy<Value = u64> {
    (0..=5_u64, select(vec![0, 32 * KIB, 128 * KIB]), 0..=4_u64)
        .prop_map(|(chunks, more, off)| (chunks * CHUNK + more + off).saturating_sub(2))
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![2 => border(), 1 => 0..=6 * CHUNK]
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
                for rules in RULESETS {
                    let proven = validate_proof(&tree.root(), offset as u64, size, &proof, rules);
                    prop_assert_eq!(proven, Ok(expected));
                }
            }
            prop_assert!(expected.holds(chunk));
            prop_assert!(!expected.holds(&chunk[1..]));
            for outside in [start.wrapping_sub(1), end] {
                let proven = validate_proof(&tree.root(), outside, size, &proof, Ruleset::Stored);
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
            validate_proof(&tree.root(), offset, size, proof, Ruleset::Stored).is_err()
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

    /// The mark is in no hash, so whoever sends a proof can add one.
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
                if let Ok(proven) = validate_proof(&root, offset, size, &marked, Ruleset::Stored) {
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
        for (proof, (chunk, may_straddle)) in proofs.iter().zip(&grown.places) {
            if chunk.start == chunk.end {
                continue;
            }
            let straddles = chunk.start / CHUNK + 1 == chunk.end / CHUNK && chunk.end % CHUNK > 0;
            let is_fit = chunk.start % CHUNK == 0 || *may_straddle && straddles;
            for offset in [chunk.start, chunk.end - 1] {
                let validate =
                    |rules| validate_proof(&grown.root.id(), offset, grown.size, proof, rules);
                prop_assert_eq!(validate(Ruleset::Stored), Ok(*chunk));
                prop_assert_eq!(validate(Ruleset::NewData).ok(), is_fit.then_some(*chunk));
            }
        }
    }

    /// Hashes that fit and a note that may not.
    #[test]
    fn a_hostile_tree_can_only_promise_chunks_of_the_data(
        shape in shape(),
        (at, note) in (any::<Index>(), hostile_note()),
        sizes in vec(hostile_offset(), 0..3),
        offsets in vec(hostile_offset(), 1..5),
        rules in select(&RULESETS),
    ) {
        let mut grown = Grown::new(&shape);
        let mut notes = grown.root.notes();
        let at = at.index(notes.len());
        *notes[at] = note;
        let root = grown.root.id();

        for proof in grown.root.proofs() {
            for &size in [grown.size].iter().chain(&sizes) {
                for &offset in offsets.iter().chain(&[0, size / 2, size.saturating_sub(1)]) {
                    let proven = validate_proof(&root, offset, size, &proof, rules);
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
            prop_assert!(validate_proof(&root, offset, size, proof, Ruleset::Stored).is_err());
        }
    }

    #[test]
    fn deep_hashes_are_those_of_the_description(value in value(), piece in 1..300_usize) {
        prop_assert_eq!(deep_hash(&value, piece), described(&value));
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
    /// The chunks in order, and whether each is the last of several that count from one beginning.
    places: Vec<(ProvenChunk, bool)>,
}

impl Grown {
    fn new(shape: &Shape) -> Self {
        let mut places = Vec::new();
        let (root, size) = grow(shape, 0, 0, (true, true), &mut places);
        Self { root, size, places }
    }
}

/// Make the nodes of `shape` for data that begins at `start`, with notes that count from `frame`, and find where
/// it ends.
///
/// `edges` says whether it begins, and whether it ends, what counts from `frame`.
fn grow(
    shape: &Shape,
    start: u64,
    frame: u64,
    edges: (bool, bool),
    places: &mut Vec<(ProvenChunk, bool)>,
) -> (Node, u64) {
    match shape {
        Shape::Leaf(length) => {
            let end = start + length;
            let data_hash = some_hash(places.len());
            places.push((ProvenChunk { data_hash, start, end }, edges == (false, true)));
            (Node::Leaf { data_hash, note: note(end - frame) }, end)
        }
        Shape::Branch { left, right, rebased: true } => {
            let (left, split) = grow(left, start, start, (true, true), places);
            let (right, end) = grow(right, split, split, (true, true), places);
            (Node::branch(left, right, split - frame, true), end)
        }
        Shape::Branch { left, right, rebased: false } => {
            let (left, split) = grow(left, start, frame, (edges.0, false), places);
            let (right, end) = grow(right, split, frame, (false, edges.1), places);
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
        let Ok(chunk) = validate_proof(&root.id(), offset, size, proof, Ruleset::Stored) else {
            assert_eq!(offset, 2 * CHUNK);
            continue;
        };
        assert_eq!(chunk.start, offset);
        let range = usize::try_from(chunk.start).unwrap()..usize::try_from(chunk.end).unwrap();
        assert!(chunk.holds(&data[range]));
        offset = chunk.end;
    }

    assert_eq!(offset, size);
    assert_eq!(proofs.len(), 9);
}

#[test]
fn new_data_may_be_rebased_to_the_borders_of_256_kib() {
    let aligned = rebased(&content(2 * CHUNK), &content(CHUNK));
    let shifted = rebased(&content(2 * CHUNK), &content(CHUNK + 7));
    let validate = |root: &Node, size, leaf: usize, offset, rules| {
        validate_proof(&root.id(), offset, size, &root.proofs()[leaf], rules)
    };

    assert!(validate(&aligned, 4 * CHUNK, 5, 3 * CHUNK, Ruleset::NewData).is_ok());
    let (size, offset) = (4 * CHUNK + 14, 3 * CHUNK + 7);
    assert!(validate(&shifted, size, 5, offset, Ruleset::Stored).is_ok());
    assert!(matches!(
        validate(&shifted, size, 5, offset, Ruleset::NewData),
        Err(ProofError::Unaligned { .. })
    ));
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

/// The hash of a chunk that nobody looks into.
fn some_hash(index: usize) -> Hash {
    sha256(&[&index.to_le_bytes()])
}

#[test]
fn new_data_has_to_begin_its_chunks_on_borders_of_256_kib() {
    let cases: [(&[u64], usize, bool); 8] = [
        (&[CHUNK, CHUNK, 1], 2, true),
        (&[CHUNK - 1, CHUNK], 1, true),
        (&[CHUNK - 1, 1], 1, false),
        (&[CHUNK - 1, 2], 1, true),
        (&[CHUNK - 1, CHUNK, 1], 1, false),
        (&[CHUNK - 1, CHUNK, 1], 2, false),
        (&[1, 1], 1, false),
        (&[1, 1], 0, true),
    ];
    for (lengths, leaf, taken) in cases {
        let (root, size, proofs) = lengths_to_proofs(lengths);
        let offset = lengths[..leaf].iter().sum();

        let as_new = validate_proof(&root, offset, size, &proofs[leaf], Ruleset::NewData);
        let as_stored = validate_proof(&root, offset, size, &proofs[leaf], Ruleset::Stored);

        assert_eq!(as_new.is_ok(), taken, "chunk {leaf} of {lengths:?}: {as_new:?}");
        assert!(as_stored.is_ok());
    }
}

#[test]
fn a_chunk_of_more_than_256_kib_is_refused() {
    let (root, size, proofs) = lengths_to_proofs(&[CHUNK + 1]);

    for rules in RULESETS {
        let refused = validate_proof(&root, 0, size, &proofs[0], rules);
        assert_eq!(refused, Err(ProofError::ChunkTooLong { length: CHUNK + 1 }));
    }
}

#[test]
fn bytes_of_another_length_than_the_tree_promises_are_not_the_chunk() {
    let leaf = Leaf { data_hash: sha256(&[b"abc"]), end: 5 };
    let tree = MerkleTree::new(vec![leaf]).unwrap();
    let proof = tree.proof(0).unwrap();

    let chunk = validate_proof(&tree.root(), 0, 5, &proof, Ruleset::Stored).unwrap();

    assert!(!chunk.holds(b"abc"));
    assert!(!chunk.holds(b"abcde"));
}

#[test]
fn an_offset_outside_of_the_data_is_refused() {
    let (root, size, proofs) = lengths_to_proofs(&[5]);

    for (offset, size) in [(size, size), (u64::MAX, size), (0, 0), (u64::MAX, u64::MAX)] {
        let refused = validate_proof(&root, offset, size, &proofs[0], Ruleset::Stored);
        assert_eq!(refused, Err(ProofError::OffsetOutside { offset, size }));
    }
}

#[test]
fn a_size_other_than_the_signed_one_is_refused() {
    let (root, size, proofs) = lengths_to_proofs(&[CHUNK, 5]);

    for wrong in [size - 1, size + 1, u64::MAX] {
        let refused = validate_proof(&root, CHUNK, wrong, &proofs[1], Ruleset::Stored);
        assert_eq!(refused, Err(ProofError::Note { step: 1 }));
    }
}

#[test]
fn a_proof_longer_than_the_node_takes_is_refused_unread() {
    let proof = vec![0; MAX_PROOF + 1];

    let refused = validate_proof(&[0; 32], 0, 1, &proof, Ruleset::Stored);

    assert_eq!(refused, Err(ProofError::Length { length: MAX_PROOF + 1 }));
}

#[derive(Clone, Debug)]
enum Value {
    Blob(Vec<u8>),
    List(Vec<Value>),
}

fn value() -> impl Strategy<Value = Value> {
    let blob = prop_oneof![vec(any::<u8>(), 0..4), vec(any::<u8>(), 0..300)].prop_map(Value::Blob);
    blob.prop_recursive(4, 24, 5, |item| vec(item, 0..5).prop_map(Value::List))
}

fn deep_hash(value: &Value, piece: usize) -> DeepHash {
    match value {
        Value::Blob(data) => {
            let mut hasher = BlobHasher::new();
            data.chunks(piece).for_each(|piece| hasher.update(piece));
            assert_eq!(hasher.clone().finish(), blob(data));
            hasher.finish()
        }
        Value::List(items) => {
            list(&items.iter().map(|item| deep_hash(item, piece)).collect::<Vec<_>>())
        }
    }
}

fn described(value: &Value) -> DeepHash {
    let sha384 = |parts: &[&[u8]]| -> DeepHash { Sha384::digest(parts.concat()).into() };
    match value {
        Value::Blob(data) => {
            let length = data.len().to_string();
            sha384(&[&sha384(&[b"blob", length.as_bytes()]), &sha384(&[data])])
        }
        Value::List(items) => {
            let mut hash = sha384(&[b"list", items.len().to_string().as_bytes()]);
            for item in items {
                hash = sha384(&[&hash, &described(item)]);
            }
            hash
        }
    }
}
