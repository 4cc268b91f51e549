//! Hashing many files, with one read of each.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use crate::arweave::{CHUNK, Leaf, LeafHasher, MerkleTree, SplitRule};
use crate::cancel::CancelToken;
use crate::digest::{DataRoot, GitSha1, Sha256Digest};
use crate::engine::{self, Limits, Message, SideDigest};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::source::Source;

/// A file's size and digests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileDigest {
    /// The path, as it was given.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Digest,
    /// The root of its chunks' Merkle tree on Arweave, if requested.
    pub data_root: Option<DataRoot>,
    /// Its git blob SHA-1, if requested and if the file is not too large.
    pub git_sha1: Option<GitSha1>,
}

impl FileDigest {
    pub(crate) fn new(path: &Path, size: u64, sha256: Sha256Digest) -> Self {
        Self { path: path.to_owned(), size, sha256, data_root: None, git_sha1: None }
    }
}

/// Bytes that a worker reads before it hashes them, in all its open files together. A worker takes about this much
/// memory, or twice as much if it reads a large file ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSize(usize);

impl ReadSize {
    /// 2 MiB: larger reads are hardly faster, smaller ones need more system calls.
    pub const DEFAULT: Self = Self(2 << 20);
    /// 1 GiB, which a worker can still allocate.
    pub const MAX: Self = Self(1 << 30);

    /// `None` unless `bytes` is between 1 and [`ReadSize::MAX`].
    #[must_use]
    pub fn new(bytes: usize) -> Option<Self> {
        (1..=Self::MAX.0).contains(&bytes).then_some(Self(bytes))
    }

    /// The number of bytes.
    #[must_use]
    pub fn get(self) -> usize {
        self.0
    }

    pub(crate) fn new_buffer(self) -> Vec<u8> {
        vec![0; self.0]
    }
}

impl Default for ReadSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How [`hash_files`] works.
#[derive(Clone, Copy, Debug)]
pub struct HashOptions {
    /// Whether a symbolic link is read through (the default) or refused.
    pub follow_symlinks: bool,
    /// Maximum number of threads that hash; one per core if `None`. If it is more than one, a large file that is
    /// hashed alone has another thread that reads.
    pub max_workers: Option<NonZeroUsize>,
    /// Bytes that a worker reads before it hashes them.
    pub read_size: ReadSize,
    /// Whether the first error ends the call and cancels the unfinished files.
    pub stop_at_error: bool,
    /// Whether to compute each file's `data_root`.
    pub data_root: bool,
    /// Compute the git blob SHA-1 of files up to this size in bytes; of none if `None`.
    pub git_sha1_max_size: Option<u64>,
}

impl Default for HashOptions {
    fn default() -> Self {
        Self {
            follow_symlinks: true,
            max_workers: None,
            read_size: ReadSize::DEFAULT,
            stop_at_error: false,
            data_root: false,
            git_sha1_max_size: None,
        }
    }
}

/// Hash regular files on several threads; one result per path, in the order of `paths`.
///
/// An error in one file stops the others only if the options say so. Once `cancel` is set, unfinished files return
/// [`Error::Cancelled`](crate::Error::Cancelled).
pub fn hash_files(
    paths: &[PathBuf],
    options: &HashOptions,
    progress: &Progress,
    cancel: &CancelToken,
) -> Vec<Result<FileDigest>> {
    let limits = Limits {
        max_workers: options.max_workers,
        read_size: options.read_size.get(),
        stop_at_error: options.stop_at_error,
    };
    engine::run_on_files(paths, options.follow_symlinks, limits, cancel, |index, source| {
        Ok(Reading::new(&paths[index], source, options, progress, cancel))
    })
}

/// A file that is being hashed.
struct Reading<'a> {
    path: &'a Path,
    source: Source,
    leaves: Option<LeafHasher>,
    git: Option<Sha1>,
    data_root: bool,
    progress: &'a Progress,
    cancel: &'a CancelToken,
}

impl<'a> Reading<'a> {
    fn new(
        path: &'a Path,
        source: Source,
        options: &HashOptions,
        progress: &'a Progress,
        cancel: &'a CancelToken,
    ) -> Self {
        let size = source.size();
        // A file shorter than a chunk is a single chunk, whose hash is the file's own SHA-256.
        let leaves = (options.data_root && size >= CHUNK)
            .then(|| LeafHasher::new(size, SplitRule::ArweaveJs));
        let git = options
            .git_sha1_max_size
            .is_some_and(|most| size <= most)
            .then(|| Sha1::new_with_prefix(format!("blob {size}\0")));
        Self { path, source, leaves, git, data_root: options.data_root, progress, cancel }
    }

    fn find_data_root(&mut self, sha256: Sha256Digest) -> Result<DataRoot> {
        let size = self.source.size();
        let leaves = match self.leaves.take() {
            Some(leaves) => leaves
                .finish()
                .map_err(|change| Error::SourceChanged { path: self.path.to_owned(), change })?,
            None if size == 0 => Vec::new(),
            None => vec![Leaf { data_hash: sha256.into(), end: size }],
        };
        Ok(MerkleTree::new(leaves).map(|tree| tree.root()).into())
    }
}

impl Message for Reading<'_> {
    type Output = FileDigest;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.source.read(buffer, self.progress, self.cancel)?;
        if let Some(git) = &mut self.git {
            git.update(&buffer[..count]);
        }
        Ok(count)
    }

    fn side_digest(&mut self) -> Option<&mut dyn SideDigest> {
        self.leaves.as_mut().map(|leaves| leaves as &mut dyn SideDigest)
    }

    fn finish(mut self, sha256: Sha256Digest) -> Result<FileDigest> {
        let data_root = self.data_root.then(|| self.find_data_root(sha256)).transpose()?;
        let git_sha1 = self.git.map(|git| GitSha1::from(<[u8; 20]>::from(git.finalize())));
        let digest = FileDigest::new(self.path, self.source.size(), sha256);
        Ok(FileDigest { data_root, git_sha1, ..digest })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_read_size_of_nothing_or_of_too_much_is_refused() {
        assert_eq!(ReadSize::new(0), None);
        assert_eq!(ReadSize::new(1).map(ReadSize::get), Some(1));
        assert_eq!(ReadSize::new(ReadSize::MAX.get()), Some(ReadSize::MAX));
        assert_eq!(ReadSize::new(ReadSize::MAX.get() + 1), None);
    }

    #[test]
    fn a_missing_file_does_not_stop_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, present) = (folder.path().join("missing"), folder.path().join("present"));
        fs::write(&present, b"abc").unwrap();
        let progress = Progress::new();

        let results = hash_files(
            &[missing.clone(), present],
            &HashOptions::default(),
            &progress,
            &CancelToken::new(),
        );

        let Err(Error::Io { path, source, .. }) = &results[0] else { panic!("{results:?}") };
        assert_eq!((path, source.kind()), (&missing, std::io::ErrorKind::NotFound));
        assert_eq!(results[1].as_ref().unwrap().size, 3);
        assert_eq!(progress.drain(), 3);
    }

    #[test]
    fn an_error_stops_the_others_if_requested() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        fs::write(&empty, b"").unwrap();
        let options = HashOptions {
            max_workers: NonZeroUsize::new(1),
            stop_at_error: true,
            ..HashOptions::default()
        };
        // No file is larger than the first path, so it comes first.
        let paths = [folder.path().to_owned(), empty];

        let results = hash_files(&paths, &options, &Progress::new(), &CancelToken::new());

        assert!(matches!(results[0], Err(Error::NotRegular { .. })), "{results:?}");
        assert!(matches!(results[1], Err(Error::Cancelled)), "{results:?}");
    }

    #[test]
    fn a_cancelled_call_reads_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"abc").unwrap();
        let (progress, cancel) = (Progress::new(), CancelToken::new());
        cancel.cancel();

        let results = hash_files(&[path], &HashOptions::default(), &progress, &cancel);

        assert!(matches!(results[..], [Err(Error::Cancelled)]));
        assert_eq!(progress.drain(), 0);
    }
}
