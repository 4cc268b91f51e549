//! For any content, read size and number of workers, digests equal those of a naive SHA-256 that shares no
//! code with the crate, and copies equal their sources.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use ritual_artifacts_core::{
    CancelToken, CopyOptions, FileDigest, HashOptions, PartialFile, Progress, ReadSize, copy_files,
    hash_files,
};

mod naive;

/// Contents with lengths around multiples of SHA-256's block and of the reads.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        0..=3_usize,
        (1..=40_usize, 0..=2_usize).prop_map(|(blocks, off)| blocks * 64 + off - 1),
        (0..=3_usize).prop_map(|off| 55 + off),
        0..=5000_usize,
    ];
    length.prop_flat_map(|length| vec(any::<u8>(), length))
}

fn read_size() -> impl Strategy<Value = ReadSize> {
    prop_oneof![1..=9_usize, 63..=65_usize, Just(4096), Just(1 << 20)]
        .prop_map(|bytes| ReadSize::new(bytes).expect("within the limits"))
}

fn workers() -> impl Strategy<Value = Option<NonZeroUsize>> {
    (0..=5_usize).prop_map(NonZeroUsize::new)
}

fn write_all(folder: &tempfile::TempDir, contents: &[Vec<u8>]) -> Vec<PathBuf> {
    let write = |(index, content): (usize, &Vec<u8>)| {
        let path = folder.path().join(format!("{index}.source"));
        fs::write(&path, content).unwrap();
        path
    };
    contents.iter().enumerate().map(write).collect()
}

fn assert_digest(digest: &FileDigest, path: &PathBuf, content: &[u8]) {
    assert_eq!(&digest.path, path);
    assert_eq!(digest.size, content.len() as u64);
    assert_eq!(digest.sha256.to_string(), naive::sha256_hex(content));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn digests_match_the_naive_ones_in_the_order_of_the_paths(
        contents in vec(content(), 0..8),
        read_size in read_size(),
        max_workers in workers(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let paths = write_all(&folder, &contents);
        let options = HashOptions { max_workers, read_size, ..HashOptions::default() };
        let progress = Progress::new();

        let results = hash_files(&paths, &options, &progress, &CancelToken::new());

        prop_assert_eq!(results.len(), paths.len());
        for ((result, path), content) in results.iter().zip(&paths).zip(&contents) {
            assert_digest(result.as_ref().unwrap(), path, content);
        }
        let total: usize = contents.iter().map(Vec::len).sum();
        prop_assert_eq!(progress.drain(), total as u64);
    }

    #[test]
    fn copies_equal_their_sources_and_their_digests(
        contents in vec(content(), 0..6),
        read_size in read_size(),
        max_workers in workers(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let paths = write_all(&folder, &contents);
        let pairs: Vec<_> =
            paths.iter().map(|path| (path.clone(), path.with_extension("target"))).collect();
        let options = CopyOptions { max_workers, read_size, ..CopyOptions::default() };
        let progress = Progress::new();

        let results = copy_files(&pairs, &options, &progress, &CancelToken::new());

        for ((result, (source, target)), content) in results.iter().zip(&pairs).zip(&contents) {
            assert_digest(result.as_ref().unwrap(), source, content);
            prop_assert_eq!(&fs::read(target).unwrap(), content);
        }
        let total: usize = contents.iter().map(Vec::len).sum();
        prop_assert_eq!(progress.drain(), total as u64);
        prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2 * contents.len());
    }

    /// For any division of the content into attempts, and of these into writes.
    #[test]
    fn partial_files_end_as_their_content(attempts in vec(vec(content(), 0..4), 0..4)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("partial");
        let open = || PartialFile::open(&path, &Progress::new(), &CancelToken::new()).unwrap();

        for attempt in &attempts {
            let mut partial = open();
            for piece in attempt {
                partial.write(piece).unwrap();
            }
        }
        let digest = open().finish().unwrap();

        let content = attempts.concat().concat();
        assert_digest(&digest, &path, &content);
        prop_assert_eq!(fs::read(&path).unwrap(), content);
    }
}
