//! Side digests come from the same read as SHA-256, however a file is hashed: alone, by one worker or by two, or side
//! by side with others.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::slice::from_ref;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ritual_artifacts_core::arweave::{LeafHasher, MerkleTree, SplitRule, TreeOptions, read_tree};
use ritual_artifacts_core::{
    CancelToken, DataRoot, Error, FileDigest, HashOptions, Progress, ReadSize, hash_files,
};

use sha1::{Digest, Sha1};

mod naive;

/// Sizes at the borders of chunks, of what one read takes, and of blocks.
const SIZES: [usize; 14] = [
    0, 1, 63, 64, 65_536, 262_143, 262_144, 262_145, 294_911, 294_912, 524_288, 524_289, 1_048_576,
    2_500_000,
];

/// One of the sizes, so that a file of exactly this size has a git SHA-1, and one byte more has none.
const GIT_MAX_SIZE: u64 = 524_288;

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

/// The root, computed from the whole content at once.
fn expected_root(content: &[u8]) -> String {
    let mut hasher = LeafHasher::new(content.len() as u64, SplitRule::ArweaveJs);
    hasher.update(content);
    let tree = MerkleTree::new(hasher.finish().unwrap());
    tree.map_or_else(String::new, |tree| BASE64URL_NOPAD.encode(&tree.root()))
}

/// The git blob SHA-1, computed from the whole content at once; `None` above the limit.
fn expected_blob(content: &[u8]) -> Option<String> {
    let blob = [format!("blob {}\0", content.len()).as_bytes(), content].concat();
    let is_wanted = content.len() as u64 <= GIT_MAX_SIZE;
    is_wanted.then(|| HEXLOWER.encode(&Sha1::digest(blob)))
}

fn hash(paths: &[PathBuf], workers: usize, read_size: usize) -> Vec<FileDigest> {
    let options = HashOptions {
        max_workers: NonZeroUsize::new(workers),
        read_size: ReadSize::new(read_size).unwrap(),
        data_root: true,
        git_sha1_max_size: Some(GIT_MAX_SIZE),
        ..HashOptions::default()
    };
    let results = hash_files(paths, &options, &Progress::new(), &CancelToken::new());
    results.into_iter().map(Result::unwrap).collect()
}

#[test]
fn every_way_to_hash_a_file_gives_the_same_digests() {
    let folder = tempfile::tempdir().unwrap();
    let contents = SIZES.map(content);
    let paths = SIZES.map(|size| folder.path().join(size.to_string()));
    for (path, content) in paths.iter().zip(&contents) {
        fs::write(path, content).unwrap();
    }
    let expected: Vec<_> = contents.iter().map(|content| expected_root(content)).collect();
    let blobs: Vec<_> = contents.iter().map(|content| expected_blob(content)).collect();

    for (workers, read_size) in [(1, 1 << 20), (2, 1 << 20), (1, 100_000), (2, 4096), (3, 777)] {
        let together = hash(&paths, workers, read_size);
        let alone: Vec<_> =
            paths.iter().flat_map(|path| hash(from_ref(path), workers, read_size)).collect();

        for digests in [together, alone] {
            let roots: Vec<_> =
                digests.iter().map(|digest| digest.data_root.unwrap().to_string()).collect();
            assert_eq!(roots, expected, "{workers} workers, {read_size} bytes a read");
            let names: Vec<_> =
                digests.iter().map(|digest| digest.git_sha1.map(|name| name.to_string())).collect();
            assert_eq!(names, blobs, "{workers} workers, {read_size} bytes a read");
            for (digest, content) in digests.iter().zip(&contents).filter(|(d, _)| d.size < 1000) {
                assert_eq!(digest.sha256.to_string(), naive::sha256_hex(content));
            }
        }
    }
}

#[test]
fn the_tree_of_a_file_is_that_of_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for size in SIZES {
        let (path, content) = (folder.path().join(size.to_string()), content(size));
        fs::write(&path, &content).unwrap();
        for (workers, read_size) in [(1, 1 << 20), (2, 4096), (3, 777)] {
            let options = TreeOptions {
                max_workers: NonZeroUsize::new(workers),
                read_size: ReadSize::new(read_size).unwrap(),
                ..TreeOptions::default()
            };
            let progress = Progress::new();

            let tree = read_tree(&path, &options, &progress, &CancelToken::new()).unwrap();

            assert_eq!(
                DataRoot::from(tree.map(|tree| tree.root())).to_string(),
                expected_root(&content)
            );
            assert_eq!(progress.drain(), size as u64);
        }
    }
}

/// A file under `/proc` reports a size of 0, but is not empty.
#[cfg(target_os = "linux")]
#[test]
fn a_file_with_a_false_size_has_no_tree() {
    let (options, cancel) = (TreeOptions::default(), CancelToken::new());

    let result = read_tree(Path::new("/proc/version"), &options, &Progress::new(), &cancel);

    assert!(matches!(result, Err(Error::SourceChanged { .. })), "{result:?}");
}

/// The chunks are not all planned before the first is read.
#[test]
fn a_cancelled_tree_of_an_enormous_file_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    let file = fs::File::create(&path).unwrap();
    let mut size = i64::MAX.unsigned_abs();
    while file.set_len(size).is_err() {
        size /= 2; // file systems have limits of their own
    }
    let cancel = CancelToken::new();
    cancel.cancel();

    let result = read_tree(&path, &TreeOptions::default(), &Progress::new(), &cancel);

    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
}

#[test]
fn git_names_small_files_as_git_does() {
    let folder = tempfile::tempdir().unwrap();
    let large = vec![0; 524_289];
    let contents = [
        (&b""[..], Some("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")),
        (b"hello\n", Some("ce013625030ba8dba906f756967f9e9ca394464a")),
        (&large[1..], Some("8dd9b32398037d9b41b3651c8ca362d48243bb3d")),
        (&large, None),
    ];
    let paths: Vec<_> = (0..contents.len()).map(|i| folder.path().join(i.to_string())).collect();
    for (path, (content, _)) in paths.iter().zip(contents) {
        fs::write(path, content).unwrap();
    }

    let digests = hash(&paths, 2, 1 << 20);

    let names = digests.iter().map(|digest| digest.git_sha1.map(|name| name.to_string()));
    assert_eq!(names.collect::<Vec<_>>(), contents.map(|(_, name)| name.map(str::to_owned)));
}

#[test]
fn nothing_more_than_asked_for_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, b"content").unwrap();

    let results =
        hash_files(&[path], &HashOptions::default(), &Progress::new(), &CancelToken::new());

    let digest = results[0].as_ref().unwrap();
    assert_eq!((digest.data_root, digest.git_sha1), (None, None));
}
