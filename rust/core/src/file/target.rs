//! Files that only this process is to write, and which notice when another one does.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::watch::Watch;
use crate::cancel::CancelToken;
use crate::digest::Sha256Digest;
use crate::error::{Change, Error, Result};
use crate::hash::ReadSize;
use crate::progress::Progress;
use crate::sha256::Hasher;
use crate::source::{Source, guard_open, refuse_irregular};

/// A file that is appended to, under its own name.
///
/// Before each write and at the end, the file is compared with what it was after the last write. If its size is
/// another one, or if its path names another file, another process wrote to it. If only its times are others, or
/// if it was opened meanwhile, that may have another reason (a backup, an attribute, a network file system that
/// updates times late), so its bytes decide: they are read again at the end.
///
/// See [`PartialFile`](super::PartialFile) for what is not noticed.
pub(super) struct Target {
    /// Ends before `file` is closed, so that closing it is not noticed.
    watch: Watch,
    path: PathBuf,
    file: File,
    size: u64,
    stamp: Stamp,
    /// Whether times changed that this process did not change.
    doubtful: bool,
}

impl Target {
    /// Create the file, or open it for writing at its end.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`] for anything but a regular file. This includes symbolic links, through which
    /// another file would be written.
    pub(super) fn open(path: &Path) -> Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => refuse_irregular(path, &metadata)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("open", path)(error)),
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        guard_open(&mut options, false);
        exclude_writers(&mut options);
        Self::from_file(options.open(path).map_err(Error::io("open", path))?, path)
    }

    /// Use a file that is open for reading and writing.
    pub(super) fn from_file(file: File, path: &Path) -> Result<Self> {
        let metadata = file.metadata().map_err(Error::io("open", path))?;
        // Checked again, because the path may lead elsewhere by now.
        refuse_irregular(path, &metadata)?;
        let watch = Watch::start(path);
        let metadata = file.metadata().map_err(Error::io("open", path))?;
        let (path, size, stamp) = (path.to_owned(), metadata.len(), Stamp::of(&metadata));
        Ok(Self { watch, path, file, size, stamp, doubtful: false })
    }

    /// Size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn into_file(self) -> File {
        self.file
    }

    /// The bytes that are there, to be read once, before the first `append`.
    pub(super) fn present(&self) -> Result<Source> {
        let file = self.file.try_clone().map_err(Error::io("read", &self.path))?;
        let mut present = Source::from_file(file, &self.path)?;
        present.skip_to(0)?;
        Ok(present)
    }

    /// Write `data` at the end. After an error, the file holds a part of it that `size` counts.
    ///
    /// # Errors
    ///
    /// [`Error::TargetChanged`] if another process changed the file.
    pub(super) fn append(&mut self, mut data: &[u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        self.check()?;
        while !data.is_empty() {
            match self.file.write(data) {
                Ok(count) if count > 0 => {
                    self.size += count as u64;
                    data = &data[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                failed => {
                    let error = failed.err().unwrap_or(ErrorKind::WriteZero.into());
                    return Err(Error::io("write", &self.path)(error));
                }
            }
        }
        self.note()
    }

    /// Sync the content to disk and close the file, whose bytes have the digest `written`.
    ///
    /// # Errors
    ///
    /// [`Error::TargetChanged`] if another process changed the file.
    pub(super) fn finish(mut self, written: Sha256Digest) -> Result<Finished> {
        self.file.sync_all().map_err(Error::io("write", &self.path))?;
        self.check()?;
        if self.doubtful || self.watch.has_noticed() {
            self.check_bytes(written)?;
        }
        self.check_place()?;
        Ok(Finished { path: self.path, size: self.size, stamp: self.stamp, sha256: written })
    }

    /// Compare the file with what it was after the last write.
    fn check(&mut self) -> Result<()> {
        let metadata = self.metadata()?;
        self.check_size(&metadata)?;
        let stamp = Stamp::of(&metadata);
        self.doubtful |= stamp != self.stamp;
        self.stamp = stamp;
        Ok(())
    }

    /// Remember what the file is like after a write.
    fn note(&mut self) -> Result<()> {
        let metadata = self.metadata()?;
        self.check_size(&metadata)?;
        self.stamp = Stamp::of(&metadata);
        Ok(())
    }

    fn metadata(&self) -> Result<Metadata> {
        self.file.metadata().map_err(Error::io("write", &self.path))
    }

    fn check_size(&self, metadata: &Metadata) -> Result<()> {
        let (expected, actual) = (self.size, metadata.len());
        if actual == expected {
            return Ok(());
        }
        Err(self.changed(Change::Size { expected, actual, at_least: false }))
    }

    /// Read the whole file again.
    fn check_bytes(&mut self, written: Sha256Digest) -> Result<()> {
        let source = self.present()?;
        let mut hasher = Hasher::new();
        let mut buffer = ReadSize::DEFAULT.new_buffer();
        let mut offset = 0;
        while offset < self.size {
            let rest = usize::try_from(self.size - offset).unwrap_or(usize::MAX);
            let piece = buffer.len().min(rest);
            source.read_at(&mut buffer[..piece], offset, &Progress::new(), &CancelToken::new())?;
            hasher.update(&buffer[..piece]);
            offset += piece as u64;
        }
        if hasher.finalize() != written {
            return Err(self.changed(Change::Digest));
        }
        let before = self.stamp;
        self.check()?;
        if self.stamp == before { Ok(()) } else { Err(self.changed(Change::ModificationTime)) }
    }

    /// Check that the path names this file.
    #[cfg(unix)]
    fn check_place(&self) -> Result<()> {
        use std::os::unix::fs::MetadataExt;

        let mine = self.metadata()?;
        match fs::symlink_metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (mine.dev(), mine.ino()) => Ok(()),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("open", &self.path)(error))
            }
            _ => Err(self.changed(Change::Place)),
        }
    }

    /// Windows does not rename or remove a file that is open here.
    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "not so on Unix")]
    fn check_place(&self) -> Result<()> {
        Ok(())
    }

    fn changed(&self, change: Change) -> Error {
        Error::TargetChanged { path: self.path.clone(), change }
    }
}

/// A file that was finished, and what it was like then.
pub(super) struct Finished {
    path: PathBuf,
    size: u64,
    stamp: Stamp,
    sha256: Sha256Digest,
}

impl Finished {
    /// Check that no process has changed the file since; if its times are others, its bytes are read again.
    pub(super) fn check(&self) -> Result<()> {
        match fs::symlink_metadata(&self.path) {
            Ok(there) if there.len() == self.size && Stamp::of(&there) == self.stamp => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::TargetChanged { path: self.path.clone(), change: Change::Place })
            }
            _ => {
                let mut target = Target::open(&self.path)?;
                target.doubtful = true;
                target.finish(self.sha256).map(drop)
            }
        }
    }
}

/// Let no other process write, rename or remove the file while it is open.
fn exclude_writers(options: &mut fs::OpenOptions) {
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        const FILE_SHARE_READ: u32 = 1;
        options.share_mode(FILE_SHARE_READ);
    }
    // Unix has no such locks: what another process does is noticed afterwards.
    #[cfg(not(windows))]
    let _ = options;
}

/// A file's times, which change when it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    /// `None` if the file system does not record it.
    modified: Option<SystemTime>,
    /// When content or attributes changed; no program can set it.
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { modified: metadata.modified().ok(), changed }
    }

    /// On Windows, the time of a write may be recorded later, so it says nothing.
    #[cfg(not(unix))]
    fn of(_metadata: &Metadata) -> Self {
        Self { modified: None }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    /// A file with the content "first, " that this process wrote, and room for another to meddle.
    struct Trial {
        folder: TempDir,
        target: Target,
    }

    impl Trial {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut target = Target::open(&folder.path().join("target")).unwrap();
            target.append(b"first, ").unwrap();
            Self { folder, target }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("target")
        }

        /// Open the file as another process would.
        fn other(&self) -> File {
            File::options().write(true).open(self.path()).unwrap()
        }

        fn finish(mut self) -> Option<Change> {
            let written = self.target.append(b"second");
            let digest = Hasher::digest(b"first, second");
            match written.and_then(|()| self.target.finish(digest)) {
                Ok(_) => None,
                Err(Error::TargetChanged { path, change }) => {
                    assert_eq!(path, self.folder.path().join("target"));
                    Some(change)
                }
                Err(other) => panic!("failed for another reason: {other}"),
            }
        }
    }

    /// Otherwise every file would be read twice.
    #[test]
    fn a_file_that_no_other_process_touches_is_not_doubted() {
        let mut trial = Trial::new();
        trial.target.append(b"second").unwrap();

        trial.target.check().unwrap();

        assert!(!trial.target.doubtful && !trial.target.watch.has_noticed());
        trial.target.finish(Hasher::digest(b"never compared")).unwrap();
    }

    #[test]
    fn another_size_is_caught_before_more_is_written() {
        for actual in [3, 10] {
            let trial = Trial::new();
            trial.other().set_len(actual).unwrap();

            let size = Change::Size { expected: 7, actual, at_least: false };
            assert_eq!(trial.finish(), Some(size));
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_overwritten_file_is_caught_at_the_end() {
        let trial = Trial::new();
        trial.other().write_all(b"other").unwrap();

        assert_eq!(trial.finish(), Some(Change::Digest));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_truncated_and_filled_again_is_caught() {
        let trial = Trial::new();
        let mut other = trial.other();
        other.set_len(0).unwrap();
        other.write_all(b"FIRST, ").unwrap();

        assert_eq!(trial.finish(), Some(Change::Digest));
    }

    /// A program that restores the modification time cannot restore the time of the change.
    #[cfg(unix)]
    #[test]
    fn an_overwritten_file_with_its_old_time_is_caught() {
        let trial = Trial::new();
        let modified = fs::metadata(trial.path()).unwrap().modified().unwrap();
        std::thread::sleep(Duration::from_millis(20)); // longer than a tick
        let mut other = trial.other();
        other.write_all(b"other").unwrap();
        other.set_modified(modified).unwrap();

        assert_eq!(trial.finish(), Some(Change::Digest));
    }

    #[cfg(unix)]
    #[test]
    fn a_write_after_the_last_one_here_is_caught() {
        let mut trial = Trial::new();
        trial.target.append(b"second").unwrap();
        trial.other().write_all(b"other").unwrap();

        let result = trial.target.finish(Hasher::digest(b"first, second")).map(drop);

        assert!(
            matches!(result, Err(Error::TargetChanged { change: Change::Digest, .. })),
            "{result:?}"
        );
    }

    #[test]
    fn a_finished_file_is_checked_again() {
        let check = |meddle: &dyn Fn(&Path)| {
            let trial = Trial::new();
            let path = trial.path();
            let finished = trial.target.finish(Hasher::digest(b"first, ")).unwrap();
            meddle(&path);
            match finished.check() {
                Ok(()) => None,
                Err(Error::TargetChanged { change, .. }) => Some(change),
                Err(other) => panic!("failed for another reason: {other}"),
            }
        };

        assert_eq!(check(&|_| ()), None);
        assert_eq!(check(&|path| fs::write(path, b"first, ").unwrap()), None);
        assert_eq!(check(&|path| fs::write(path, b"first").unwrap()), Some(Change::Digest));
        assert_eq!(check(&|path| fs::remove_file(path).unwrap()), Some(Change::Place));
        #[cfg(unix)]
        assert_eq!(check(&|path| fs::write(path, b"FIRST, ").unwrap()), Some(Change::Digest));
    }

    /// The write of the other process comes at the same moment as one here: its time says nothing.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_write_that_its_times_do_not_show_is_caught() {
        let mut trial = Trial::new();
        trial.other().write_all(b"other").unwrap();
        trial.target.note().unwrap();

        assert_eq!(trial.finish(), Some(Change::Digest));
    }

    /// Times that change for another reason cost a second read, but are not an error.
    #[cfg(unix)]
    #[test]
    fn a_touched_file_with_its_bytes_is_finished() {
        use std::os::unix::fs::PermissionsExt;
        let trial = Trial::new();
        trial.other().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        fs::set_permissions(trial.path(), fs::Permissions::from_mode(0o600)).unwrap();

        assert_eq!(trial.finish(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_moved_or_removed_file_is_caught() {
        let replace = |trial: &Trial| {
            let other = trial.folder.path().join("other");
            fs::write(&other, b"first, second").unwrap();
            fs::rename(other, trial.path()).unwrap();
        };
        let rename = |trial: &Trial| {
            fs::rename(trial.path(), trial.folder.path().join("elsewhere")).unwrap();
        };
        let remove = |trial: &Trial| fs::remove_file(trial.path()).unwrap();

        for meddle in [&replace as &dyn Fn(&Trial), &rename, &remove] {
            let trial = Trial::new();
            meddle(&trial);
            assert_eq!(trial.finish(), Some(Change::Place));
        }
    }
}
