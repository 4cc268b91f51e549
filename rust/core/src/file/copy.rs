//! Verified copies: the digest is that of the bytes in the target.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::durable::{land, stage};
use super::resume::Continuing;
use super::target::Finished;
use crate::cancel::CancelToken;
use crate::digest::Sha256Digest;
use crate::engine::{self, Limits, Message};
use crate::error::{Error, Result};
use crate::hash::{FileDigest, ReadSize};
use crate::progress::Progress;
use crate::source::Source;

/// How [`copy_files`] works.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyOptions {
    /// Whether a symbolic link is read through or refused (the default).
    pub follow_symlinks: bool,
    /// Maximum number of threads that hash; one per core if `None`.
    pub max_workers: Option<NonZeroUsize>,
    /// Bytes that a worker reads before it hashes them.
    pub read_size: ReadSize,
    /// Whether a target that exists is continued, as a beginning of its source.
    pub resume: bool,
    /// Whether the first error ends the call and cancels the unfinished copies.
    pub stop_at_error: bool,
}

/// Copy regular files, each pair's first path to its second, on several threads; one result per
/// pair, in their order, naming the source.
///
/// A target appears under its name only when all of it is on disk. It replaces an existing file
/// atomically; on an error, that file is unchanged. If the file system supports it, a copy shares the
/// source's blocks (reflink) until one of the two is modified.
///
/// With `resume`, a copy grows under the target's own name, and is left there on an error or a crash. The next
/// call hashes what is there, copies the rest and returns the digest of the whole: if it is not the expected one,
/// what was there was not a beginning of the source; remove the target and copy it again. A target that is larger
/// than the source, or that cannot be written to without changing another file, is replaced. If another process
/// changes the target meanwhile, the result is [`Error::TargetChanged`], with the same limits as that of
/// [`PartialFile`](crate::PartialFile). The target's name is not durable yet;
/// [`rename_files`](crate::rename_files) makes the final one durable.
pub fn copy_files(
    pairs: &[(PathBuf, PathBuf)],
    options: &CopyOptions,
    progress: &Progress,
    cancel: &CancelToken,
) -> Vec<Result<FileDigest>> {
    let limits = Limits {
        max_workers: options.max_workers,
        read_size: options.read_size.get(),
        stop_at_error: options.stop_at_error,
    };
    let sources: Vec<&Path> = pairs.iter().map(|(from, _)| from.as_path()).collect();
    let follow = options.follow_symlinks;
    if options.resume {
        let results = engine::run_on_files(&sources, follow, limits, cancel, |index, source| {
            let (from, to) = &pairs[index];
            Continuing::start(source, from, to, progress, cancel)
        });
        // The first copies may have been finished long before the last one.
        let check = |(digest, finished): (_, Finished)| finished.check().map(|()| digest);
        return results.into_iter().map(|result| result.and_then(check)).collect();
    }
    engine::run_on_files(&sources, follow, limits, cancel, |index, source| {
        let (from, to) = &pairs[index];
        Copying::start(source, from, to, progress, cancel, clone_file)
    })
}

/// A copy that is being made.
struct Copying<'a> {
    from: &'a Path,
    to: &'a Path,
    staged: NamedTempFile,
    input: Source,
    /// Whether `input` is the staged file itself, which already has the source's bytes.
    cloned: bool,
    progress: &'a Progress,
    cancel: &'a CancelToken,
}

impl<'a> Copying<'a> {
    /// `clone` fills an empty staged file with a reflink of the source, or fails and may leave
    /// anything in it.
    fn start(
        source: Source,
        from: &'a Path,
        to: &'a Path,
        progress: &'a Progress,
        cancel: &'a CancelToken,
        clone: impl FnOnce(&File, &mut NamedTempFile) -> io::Result<()>,
    ) -> Result<Self> {
        let mut staged = stage(to)?;
        // If cloning fails, for whatever reason, copying the bytes succeeds or returns the error.
        let cloned = clone(source.file(), &mut staged).is_ok();
        let input = if cloned {
            source.check_unchanged()?;
            // Hash the clone, not the source, which may have been modified by now.
            let clone = staged.as_file().try_clone().map_err(Error::io("read", to))?;
            Source::from_file(clone, to)?
        } else {
            let cleared = staged.as_file().set_len(0).and_then(|()| staged.rewind());
            cleared.map_err(Error::io("write", to))?;
            source
        };
        Ok(Self { from, to, staged, input, cloned, progress, cancel })
    }
}

impl Message for Copying<'_> {
    type Output = FileDigest;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.input.read(buffer, self.progress, self.cancel)?;
        if !self.cloned {
            let written = self.staged.as_file().write_all(&buffer[..count]);
            written.map_err(Error::io("write", self.to))?;
        }
        Ok(count)
    }

    fn finish(self, sha256: Sha256Digest) -> Result<FileDigest> {
        land(self.staged, self.to)?;
        Ok(FileDigest::new(self.from, self.input.size(), sha256))
    }
}

#[cfg(all(unix, not(target_vendor = "apple")))]
fn clone_file(source: &File, staged: &mut NamedTempFile) -> io::Result<()> {
    reflink_copy::reflink_file(source, staged.as_file())
}

/// Apple's call creates the clone itself, with the source's permissions. The clone therefore replaces the
/// staged file and gets that file's permissions.
#[cfg(target_vendor = "apple")]
fn clone_file(source: &File, staged: &mut NamedTempFile) -> io::Result<()> {
    use std::fs;

    let folder = staged.path().parent().unwrap_or(Path::new("."));
    let permissions = staged.as_file().metadata()?.permissions();
    *staged = super::durable::staging().make_in(folder, |path| {
        reflink_copy::reflink_file_to_path(source, path)?;
        fs::set_permissions(path, permissions.clone())
            .and_then(|()| File::options().read(true).write(true).open(path))
            .inspect_err(|_| drop(fs::remove_file(path)))
    })?;
    Ok(())
}

/// Few Windows file systems can clone, and `reflink-copy` documents its support for them as untested.
#[cfg(not(unix))]
fn clone_file(_source: &File, _staged: &mut NamedTempFile) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::sync::Mutex;

    use tempfile::TempDir;

    use super::*;
    use crate::sha256::Hasher;

    /// A folder with the file "source" in it, and the result of copying that to "target".
    struct Trial {
        folder: TempDir,
        cancel: CancelToken,
    }

    impl Trial {
        fn new(content: &[u8]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("source"), content).unwrap();
            Self { folder, cancel: CancelToken::new() }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn append_to_source(&self) {
            let mut source = OpenOptions::new().append(true).open(self.at("source")).unwrap();
            source.write_all(b"more").unwrap();
        }

        fn copy(
            &self,
            clone: impl FnOnce(&File, &mut NamedTempFile) -> io::Result<()>,
        ) -> Result<FileDigest> {
            let (from, to) = (self.at("source"), self.at("target"));
            let source = Source::open(&from, false)?;
            let progress = Progress::new();
            let copying = Copying::start(source, &from, &to, &progress, &self.cancel, clone)?;
            let copying = Mutex::new(Some(copying));
            let limits = Limits { max_workers: None, read_size: 64, stop_at_error: false };
            engine::run(&[0], limits, &self.cancel, |_| Ok(copying.lock().unwrap().take().unwrap()))
                .remove(0)
        }

        fn assert_only_the_source_is_there(&self) {
            let names: Vec<_> =
                fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(names, ["source"]);
        }
    }

    /// Simulates a file system that can clone.
    fn clone_by_copying(mut source: &File, staged: &mut NamedTempFile) -> io::Result<()> {
        io::copy(&mut source, staged)?;
        staged.rewind()
    }

    fn cannot_clone(_: &File, _: &mut NamedTempFile) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[test]
    fn a_clone_and_a_byte_copy_give_the_same_file_and_digest() {
        let content = b"neither empty nor a multiple of four..";
        let (cloned, copied) = (Trial::new(content), Trial::new(content));

        let clone = cloned.copy(clone_by_copying).unwrap();
        let copy = copied.copy(cannot_clone).unwrap();

        assert_eq!((clone.size, clone.sha256), (copy.size, copy.sha256));
        assert_eq!(clone.path, cloned.at("source"));
        for trial in [cloned, copied] {
            assert_eq!(fs::read(trial.at("target")).unwrap(), content);
        }
    }

    #[test]
    fn bytes_of_a_failed_clone_do_not_end_up_in_the_target() {
        let trial = Trial::new(b"content");

        let copied = trial.copy(|_, staged| {
            staged.as_file().set_len(1000)?;
            Err(io::ErrorKind::Other.into())
        });

        assert_eq!(copied.unwrap().size, 7);
        assert_eq!(fs::read(trial.at("target")).unwrap(), b"content");
    }

    #[test]
    fn the_digest_of_a_clone_is_that_of_the_bytes_in_the_target() {
        let trial = Trial::new(b"content");

        let digest = trial.copy(|_, staged| {
            staged.write_all(b"another")?;
            staged.rewind()
        });

        let landed = Hasher::digest(b"another");
        assert_eq!(digest.unwrap().sha256, landed);
        assert_eq!(fs::read(trial.at("target")).unwrap(), b"another");
    }

    #[test]
    fn a_source_that_changes_while_it_is_copied_gives_no_target() {
        let trial = Trial::new(b"content");

        let result = trial.copy(|source, staged| {
            trial.append_to_source();
            cannot_clone(source, staged)
        });

        assert!(matches!(result, Err(Error::SourceChanged { .. })), "{result:?}");
        trial.assert_only_the_source_is_there();
    }

    #[test]
    fn a_source_that_changes_while_it_is_cloned_gives_no_target() {
        let trial = Trial::new(b"content");

        let result = trial.copy(|source, staged| {
            trial.append_to_source();
            clone_by_copying(source, staged)
        });

        assert!(matches!(result, Err(Error::SourceChanged { .. })), "{result:?}");
        trial.assert_only_the_source_is_there();
    }

    #[test]
    fn a_cancelled_copy_leaves_the_old_target_and_no_temporary_file() {
        let trial = Trial::new(b"content");
        fs::write(trial.at("target"), b"old").unwrap();

        let result = trial.copy(|source, staged| {
            trial.cancel.cancel();
            cannot_clone(source, staged)
        });

        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert_eq!(fs::read(trial.at("target")).unwrap(), b"old");
        fs::remove_file(trial.at("target")).unwrap();
        trial.assert_only_the_source_is_there();
    }

    #[test]
    fn an_existing_target_is_replaced() {
        let trial = Trial::new(b"content");
        fs::write(trial.at("target"), b"something that is longer").unwrap();

        trial.copy(clone_file).unwrap();

        assert_eq!(fs::read(trial.at("target")).unwrap(), b"content");
    }

    /// A file under `/proc` reports a size of 0, but is not empty.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_source_with_a_false_size_is_not_copied() {
        let trial = Trial::new(b"");

        let results = copy_files(
            &[("/proc/version".into(), trial.at("target"))],
            &CopyOptions::default(),
            &Progress::new(),
            &CancelToken::new(),
        );

        assert!(matches!(results[..], [Err(Error::SourceChanged { .. })]), "{results:?}");
        trial.assert_only_the_source_is_there();
    }

    #[cfg(unix)]
    #[test]
    fn a_private_source_gives_a_copy_with_the_mode_that_the_umask_asks_for() {
        use std::os::unix::fs::PermissionsExt;
        let trial = Trial::new(b"content");
        fs::write(trial.at("plain"), b"x").unwrap();
        fs::set_permissions(trial.at("source"), fs::Permissions::from_mode(0o400)).unwrap();

        trial.copy(clone_file).unwrap();

        let mode = |name: &str| fs::metadata(trial.at(name)).unwrap().permissions().mode();
        assert_eq!(mode("target"), mode("plain"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_copied_only_if_requested() {
        let trial = Trial::new(b"content");
        std::os::unix::fs::symlink(trial.at("source"), trial.at("link")).unwrap();
        let pairs = [(trial.at("link"), trial.at("target"))];
        let copy = |follow_symlinks| {
            let options = CopyOptions { follow_symlinks, ..CopyOptions::default() };
            copy_files(&pairs, &options, &Progress::new(), &CancelToken::new()).remove(0)
        };

        assert!(matches!(copy(false), Err(Error::NotRegular { .. })));
        assert!(copy(true).is_ok());
        assert!(fs::symlink_metadata(trial.at("target")).unwrap().is_file());
    }
}
