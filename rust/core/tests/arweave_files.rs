//! Trees over files equal those over the same bytes in memory under every split rule, know the nodes in their proofs,
//! and detect changed chunks.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use ritual_artifacts_core::arweave::{
    CHUNK, Hash, Leaf, LeafHasher, MerkleTree, SplitRule, TreeOptions, read_chunk, read_tree,
    read_tree_again,
};
use ritual_artifacts_core::{CancelToken, Change, Error, Progress};

const RULES: [SplitRule; 2] = [SplitRule::ArweaveJs, SplitRule::Naive];
const KIB: u64 = 1024;

/// Bytes that do not repeat from chunk to chunk.
fn content(size: u64) -> Vec<u8> {
    let block: Vec<u8> = (0..251_u64).map(|i| (i * 31 + size).to_le_bytes()[0]).collect();
    block.into_iter().cycle().take(usize::try_from(size).unwrap()).collect()
}

fn in_memory(data: &[u8], rule: SplitRule) -> Option<MerkleTree> {
    let mut hasher = LeafHasher::new(data.len() as u64, rule);
    hasher.update(data);
    MerkleTree::new(hasher.finish().unwrap())
}

fn read(path: &Path, rule: SplitRule, workers: usize) -> Option<MerkleTree> {
    let max_workers = NonZeroUsize::new(workers);
    let options = TreeOptions { rule, max_workers, ..TreeOptions::default() };
    read_tree(path, &options, &Progress::new(), &CancelToken::new()).unwrap()
}

/// All proofs of a tree, which determine all its nodes.
fn proofs(tree: &MerkleTree) -> Vec<Vec<u8>> {
    (0..tree.leaves().len()).map(|index| tree.proof(index).unwrap()).collect()
}

/// The ids in a proof, each with the bytes that its node spans.
fn nodes(tree: &MerkleTree, index: usize) -> Vec<(u64, u64, Hash)> {
    let leaf = tree.leaves()[index];
    let before = index.checked_sub(1).map_or(0, |before| tree.leaves()[before].end);
    let mut range = (0, tree.leaves().last().unwrap().end);
    let mut nodes = vec![(range.0, range.1, tree.root())];
    let proof = tree.proof(index).unwrap();
    for step in proof.chunks_exact(96) {
        let part = |at: usize| Hash::try_from(&step[32 * at..32 * (at + 1)]).unwrap();
        let split = u64::from_be_bytes(step[88..].try_into().unwrap());
        nodes.extend([(range.0, split, part(0)), (split, range.1, part(1))]);
        range =
            if leaf.end <= split && before < split { (range.0, split) } else { (split, range.1) };
    }
    nodes
}

fn size() -> impl Strategy<Value = u64> {
    let border = (0..=5_u64, select(vec![0, 32 * KIB, 128 * KIB]), 0..=2_u64)
        .prop_map(|(chunks, more, off)| (chunks * CHUNK + more + off).saturating_sub(1));
    prop_oneof![3 => border, 1 => 0..=6 * CHUNK]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_tree_over_a_file_is_that_over_its_bytes(
        size in size(),
        (rule, other) in (select(&RULES), select(&RULES)),
        workers in 1..=3_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let data = content(size);
        fs::write(&path, &data).unwrap();

        let tree = read(&path, rule, workers);
        let again = tree.as_ref().map(|tree| read_tree_again(&path, tree, other, false).unwrap());

        for (found, rule) in [(&tree, rule), (&again, other)] {
            let expected = in_memory(&data, rule);
            prop_assert_eq!(found.as_ref().map(proofs), expected.as_ref().map(proofs));
            prop_assert_eq!(found.as_ref().map(MerkleTree::root), expected.map(|tree| tree.root()));
        }
        let Some(tree) = tree else { return Ok(()) };
        let mut start = 0;
        for (index, leaf) in tree.leaves().iter().enumerate() {
            let chunk = read_chunk(&path, &tree, index, false).unwrap();
            let range = usize::try_from(start).unwrap()..usize::try_from(leaf.end).unwrap();
            prop_assert_eq!(chunk, &data[range]);
            start = leaf.end;
        }
    }

    #[test]
    fn a_tree_knows_the_nodes_in_its_proofs(
        count in 1..=12_u64,
        last in select(vec![0, 1, CHUNK]),
        (from, to) in (0..=13 * CHUNK, 0..=13 * CHUNK),
    ) {
        let leaf = |index: u64| {
            let mut data_hash = [0; 32];
            data_hash[..8].copy_from_slice(&index.to_le_bytes());
            Leaf { data_hash, end: index * CHUNK - if index == count { CHUNK - last } else { 0 } }
        };
        let tree = MerkleTree::new((1..=count).map(leaf).collect()).unwrap();
        let size = tree.leaves().last().unwrap().end;
        let named: Vec<_> = (0..tree.leaves().len()).flat_map(|i| nodes(&tree, i)).collect();

        for &(start, end, id) in &named {
            // Two nodes may span the same bytes if the last leaf is empty; the one with the empty leaf is found.
            let has_twin = end == size && last == 0;
            let found = tree.id_between(start, end);
            prop_assert!(found == Some(id) || has_twin && found.is_some(), "{}..{}", start, end);
        }
        prop_assert_eq!(tree.id_between(0, size), Some(tree.root()));
        let places = named.iter().flat_map(|&(start, end, _)| [start, end]).chain([from, to]);
        for start in places.clone() {
            for end in places.clone() {
                let is_named = named.iter().any(|node| (node.0, node.1) == (start, end));
                prop_assert_eq!(tree.id_between(start, end).is_some(), is_named);
            }
        }
    }
}

#[test]
fn a_chunk_that_changed_since_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut data = content(2 * CHUNK + 5);
    fs::write(&path, &data).unwrap();
    let tree = read(&path, SplitRule::ArweaveJs, 1).unwrap();
    let start = usize::try_from(CHUNK).unwrap();

    data[start] ^= 1;
    fs::write(&path, &data).unwrap();

    assert!(read_chunk(&path, &tree, 0, false).is_ok());
    for result in [
        read_chunk(&path, &tree, 1, false).map(drop),
        read_tree_again(&path, &tree, SplitRule::Naive, false).map(drop),
    ] {
        let Err(Error::SourceChanged { change, .. }) = result else { panic!("{result:?}") };
        assert_eq!(change, Change::Content { offset: CHUNK });
    }
}

#[test]
fn a_file_that_is_shorter_now_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, content(CHUNK + 5)).unwrap();
    let tree = read(&path, SplitRule::Naive, 1).unwrap();

    fs::write(&path, content(CHUNK + 4)).unwrap();

    for result in [
        read_chunk(&path, &tree, 1, false).map(drop),
        read_tree_again(&path, &tree, SplitRule::ArweaveJs, false).map(drop),
    ] {
        assert!(matches!(result, Err(Error::SourceChanged { .. })), "{result:?}");
    }
}

#[test]
fn a_tree_that_ends_with_the_empty_chunk_needs_no_file_to_lose_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let data = content(2 * CHUNK);
    fs::write(&path, &data).unwrap();
    let tree = read(&path, SplitRule::ArweaveJs, 1).unwrap();
    fs::remove_file(&path).unwrap();

    let again = read_tree_again(&path, &tree, SplitRule::Naive, false).unwrap();

    assert_eq!(again.root(), in_memory(&data, SplitRule::Naive).unwrap().root());
}
