//! Files that are written in pieces, over one or more attempts.

use std::path::{Path, PathBuf};

use super::target::Target;
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::hash::{FileDigest, ReadSize};
use crate::progress::Progress;
use crate::sha256::Hasher;

/// A file that is appended to, and hashed at the same time.
///
/// The file on disk is always a prefix of the bytes written. After a crash or on a full disk, open it
/// again to continue at its end.
///
/// If another process changes, moves or replaces the file meanwhile, the next write or [`finish`](Self::finish)
/// returns [`Error::TargetChanged`]: remove the file and start again. On Linux, whoever opens the file meanwhile
/// causes its bytes to be read again in `finish`; elsewhere, a change of its times does. On Windows, other
/// processes cannot open it for writing. Not noticed is a write that leaves the size as it is
///
/// - by a process that opened the file before, if it comes during a write here or, on kernels that stamp files by a
///   clock of some milliseconds (Linux before 6.13), in the same tick;
/// - at these moments by any process, on Unix other than Linux, on network file systems that another machine
///   writes to, in a forked process, and if the limit of inotify instances or watches is reached;
/// - through a memory mapping that exists before, into a page that was written to.
pub struct PartialFile {
    path: PathBuf,
    target: Target,
    hasher: Hasher,
    broken: bool,
}

impl PartialFile {
    /// Create the file, or hash the bytes of an earlier attempt and continue at their end.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`] for anything but a regular file. This includes symbolic links, through which
    /// another file would be written.
    pub fn open(path: &Path, progress: &Progress, cancel: &CancelToken) -> Result<Self> {
        let target = Target::open(path)?;
        let mut present = target.present()?;
        let mut hasher = Hasher::new();
        let mut buffer = ReadSize::DEFAULT.new_buffer();
        loop {
            let count = present.read(&mut buffer, progress, cancel)?;
            hasher.update(&buffer[..count]);
            if count < buffer.len() {
                break;
            }
        }
        Ok(Self { path: path.to_owned(), target, hasher, broken: false })
    }

    /// The size in bytes, including earlier attempts.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.target.size()
    }

    /// Hash `data` and append it.
    ///
    /// # Errors
    ///
    /// [`Error::TargetChanged`] if another process has changed the file; remove it and start again.
    ///
    /// After an error, it is unknown how much of `data` is in the file, so every further call fails with
    /// [`Error::Broken`]. Open the file again to continue.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        self.refuse_broken()?;
        let written = self.target.append(data);
        self.broken = written.is_err();
        self.hasher.update(data);
        written
    }

    /// Sync the content to disk, close the file and return its digest.
    ///
    /// Its name is not durable yet; [`rename_files`](crate::rename_files) makes the final one durable.
    ///
    /// # Errors
    ///
    /// [`Error::TargetChanged`] if another process has changed the file; remove it and start again.
    pub fn finish(self) -> Result<FileDigest> {
        self.refuse_broken()?;
        let digest = FileDigest::new(&self.path, self.size(), self.hasher.finalize());
        self.target.finish(digest.sha256)?;
        Ok(digest)
    }

    fn refuse_broken(&self) -> Result<()> {
        if self.broken { Err(Error::Broken { path: self.path.clone() }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use tempfile::TempDir;

    use super::*;
    use crate::digest::Sha256Digest;

    fn partial_in(folder: &TempDir) -> PathBuf {
        folder.path().join("partial")
    }

    fn open(path: &Path) -> PartialFile {
        PartialFile::open(path, &Progress::new(), &CancelToken::new()).unwrap()
    }

    fn sha256(content: &[u8]) -> Sha256Digest {
        Hasher::digest(content)
    }

    #[test]
    fn a_file_written_in_pieces_has_the_digest_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = partial_in(&folder);
        let mut partial = open(&path);

        for piece in ["one ", "", "two ", "three"] {
            partial.write(piece.as_bytes()).unwrap();
        }
        let digest = partial.finish().unwrap();

        let expected = FileDigest::new(&path, 13, sha256(b"one two three"));
        assert_eq!(digest, expected);
        assert_eq!(fs::read(&digest.path).unwrap(), b"one two three");
    }

    #[test]
    fn an_interrupted_file_is_continued_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = partial_in(&folder);
        let mut interrupted = open(&path);
        interrupted.write(b"first, ").unwrap();
        drop(interrupted);
        let progress = Progress::new();

        let mut resumed = PartialFile::open(&path, &progress, &CancelToken::new()).unwrap();
        assert_eq!((resumed.size(), progress.drain()), (7, 7));
        resumed.write(b"second").unwrap();

        assert_eq!(resumed.finish().unwrap().sha256, sha256(b"first, second"));
        assert_eq!(fs::read(&path).unwrap(), b"first, second");
    }

    #[test]
    fn after_a_failed_write_no_more_is_accepted_until_the_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = partial_in(&folder);
        let mut partial = open(&path);
        partial.write(b"first, ").unwrap();
        // Open for reading alone: writes fail.
        partial.target = Target::from_file(File::open(&path).unwrap(), &path).unwrap();

        assert!(matches!(partial.write(b"lost"), Err(Error::Io { .. })));
        assert!(matches!(partial.write(b"second"), Err(Error::Broken { .. })));
        assert!(matches!(partial.finish(), Err(Error::Broken { .. })));

        let mut resumed = open(&path);
        resumed.write(b"second").unwrap();
        assert_eq!(resumed.finish().unwrap().sha256, sha256(b"first, second"));
    }

    #[test]
    fn a_second_writer_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = partial_in(&folder);
        let mut partial = open(&path);
        partial.write(b"mine").unwrap();
        fs::write(&path, b"another writer's").unwrap();

        assert!(matches!(partial.finish(), Err(Error::TargetChanged { .. })));
    }

    #[test]
    fn hashing_the_present_content_can_be_cancelled() {
        let folder = tempfile::tempdir().unwrap();
        let path = partial_in(&folder);
        fs::write(&path, b"content").unwrap();
        let cancel = CancelToken::new();
        cancel.cancel();

        let result = PartialFile::open(&path, &Progress::new(), &cancel);

        assert!(matches!(result.err(), Some(Error::Cancelled)));
        assert_eq!(fs::read(&path).unwrap(), b"content");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (partial_in(&folder), folder.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();

        let result = PartialFile::open(&path, &Progress::new(), &CancelToken::new());

        assert!(matches!(result.err(), Some(Error::NotRegular { .. })));
        assert!(!elsewhere.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_mode_that_the_umask_asks_for() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        fs::write(&plain, b"x").unwrap();

        open(&partial_in(&folder));

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&partial_in(&folder)), mode(&plain));
    }
}
