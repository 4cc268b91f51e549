//! Digesting: many files, one read of each.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::cancel::CancelToken;
use crate::digest::Sha256Digest;
use crate::engine::{self, Limits, Message};
use crate::error::Result;
use crate::progress::Progress;
use crate::source::Source;

/// What a file held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileDigest {
    /// The path that was read, as it was given.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Digest,
}

/// Bytes that a worker reads before it hashes them, in all the files that it has open; and so about its
/// memory (twice that where a file alone is read ahead).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSize(usize);

impl ReadSize {
    /// 1 MiB: larger reads measure no faster, smaller ones cost system calls.
    pub const DEFAULT: Self = Self(1 << 20);
    /// 1 GiB: a worker has to be able to allocate it.
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
    /// Threads that hash, at most; one a core if `None`. Where it is more than one, a large file that is
    /// hashed alone has one more, which reads.
    pub max_workers: Option<NonZeroUsize>,
    /// Bytes that a worker reads before it hashes them.
    pub read_size: ReadSize,
    /// Whether one file's error ends the call; the files not finished by then are cancelled.
    pub stop_at_error: bool,
}

impl Default for HashOptions {
    fn default() -> Self {
        Self {
            follow_symlinks: true,
            max_workers: None,
            read_size: ReadSize::DEFAULT,
            stop_at_error: false,
        }
    }
}

/// Hash regular files on several threads; one result per path, in the order of `paths`.
///
/// A file that fails stops the others only where the options say so. Once `cancel` is set, what is not finished is
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
        Ok(Reading { source, path: &paths[index], progress, cancel })
    })
}

/// A file that is only read.
struct Reading<'a> {
    source: Source,
    path: &'a Path,
    progress: &'a Progress,
    cancel: &'a CancelToken,
}

impl Message for Reading<'_> {
    type Output = FileDigest;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.source.read(buffer, self.progress, self.cancel)
    }

    fn finish(self, sha256: Sha256Digest) -> Result<FileDigest> {
        Ok(FileDigest { path: self.path.to_owned(), size: self.source.size(), sha256 })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::Error;

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
    fn an_error_stops_the_others_where_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        fs::write(&empty, b"").unwrap();
        let options = HashOptions {
            max_workers: NonZeroUsize::new(1),
            stop_at_error: true,
            ..HashOptions::default()
        };
        // Nothing is larger than the first path, so it is looked at first.
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
