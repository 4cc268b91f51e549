//! Copies that continue where an earlier one stopped: they grow under the target's own name.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek};
use std::path::Path;

use super::target::{Finished, Target};
use crate::cancel::CancelToken;
use crate::digest::Sha256Digest;
use crate::engine::Message;
use crate::error::{Error, Result};
use crate::hash::FileDigest;
use crate::progress::Progress;
use crate::source::Source;

/// A copy into the target itself. What the target holds is hashed first, then the rest is copied.
pub(super) struct Continuing<'a> {
    from: &'a Path,
    source: Source,
    target: Target,
    /// What was there at the start, until it is read.
    present: Option<Source>,
    progress: &'a Progress,
    cancel: &'a CancelToken,
}

impl<'a> Continuing<'a> {
    pub(super) fn start(
        source: Source,
        from: &'a Path,
        to: &Path,
        progress: &'a Progress,
        cancel: &'a CancelToken,
    ) -> Result<Self> {
        Self::start_with(source, from, to, progress, cancel, clone_file)
    }

    /// `clone` turns the empty file at the target's path into a reflink of the source, or fails and may leave
    /// anything in it.
    fn start_with(
        mut source: Source,
        from: &'a Path,
        to: &Path,
        progress: &'a Progress,
        cancel: &'a CancelToken,
        clone: impl FnOnce(&File, &Path, &mut File) -> io::Result<()>,
    ) -> Result<Self> {
        clear_way(to, source.size())?;
        let mut target = Target::open(to)?;
        if target.size() == 0 && source.size() > 0 {
            let mut file = target.into_file();
            // If cloning fails, for whatever reason, copying the bytes succeeds or returns the error.
            if clone(source.file(), to, &mut file).is_ok() {
                source.check_unchanged()?;
            } else {
                let cleared = file.set_len(0).and_then(|()| file.rewind());
                cleared.map_err(Error::io("write", to))?;
            }
            target = Target::from_file(file, to)?;
        }
        source.skip_to(target.size())?;
        let present = Some(target.present()?);
        Ok(Self { from, source, target, present, progress, cancel })
    }
}

impl Message for Continuing<'_> {
    type Output = (FileDigest, Finished);

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        if let Some(present) = &mut self.present {
            filled = present.read(buffer, self.progress, self.cancel)?;
            if filled == buffer.len() {
                return Ok(filled);
            }
            self.present = None;
        }
        let rest = &mut buffer[filled..];
        let count = self.source.read(rest, self.progress, self.cancel)?;
        self.target.append(&rest[..count])?;
        Ok(filled + count)
    }

    fn finish(self, sha256: Sha256Digest) -> Result<Self::Output> {
        let size = self.target.size();
        let finished = self.target.finish(sha256)?;
        Ok((FileDigest::new(self.from, size, sha256), finished))
    }
}

#[cfg(all(unix, not(target_vendor = "apple")))]
fn clone_file(source: &File, _to: &Path, file: &mut File) -> io::Result<()> {
    reflink_copy::reflink_file(source, &*file)
}

/// Apple's call creates the clone itself, with the source's permissions. The clone therefore replaces the
/// file and gets that file's permissions.
#[cfg(target_vendor = "apple")]
fn clone_file(source: &File, to: &Path, file: &mut File) -> io::Result<()> {
    let permissions = file.metadata()?.permissions();
    fs::remove_file(to)?;
    let cloned = reflink_copy::reflink_file_to_path(source, to)
        .and_then(|()| fs::set_permissions(to, permissions));
    if cloned.is_err() {
        let _ = fs::remove_file(to); // it may not be there
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    crate::source::guard_open(&mut options, false);
    *file = options.open(to)?;
    cloned
}

/// Few Windows file systems can clone, and `reflink-copy` documents its support for them as untested.
#[cfg(not(unix))]
fn clone_file(_source: &File, _to: &Path, _file: &mut File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Remove what cannot be continued: a file with another name, which would change too; one that is larger than
/// the source, or read-only; and what is not a regular file. A folder stays, and opening it is an error.
fn clear_way(to: &Path, size: u64) -> Result<()> {
    let there = match fs::symlink_metadata(to) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("open", to)(error)),
    };
    let is_writable = there.is_file() && has_one_name(&there) && !there.permissions().readonly();
    if (is_writable && there.len() <= size) || there.is_dir() {
        return Ok(());
    }
    fs::remove_file(to).map_err(Error::io("replace", to))
}

#[cfg(unix)]
fn has_one_name(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) == 1
}

/// Windows counts names only for an open file, by a call that Rust's library does not have yet.
#[cfg(not(unix))]
fn has_one_name(_metadata: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::error::Change;
    use crate::sha256::Hasher;

    const CONTENT: &[u8] = b"a source that is read in blocks of ten";

    /// A folder with the file "source" in it, which is copied to "target".
    struct Trial {
        folder: TempDir,
        from: PathBuf,
        to: PathBuf,
        progress: Progress,
        cancel: CancelToken,
    }

    impl Trial {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("source"), folder.path().join("target"));
            fs::write(&from, CONTENT).unwrap();
            Self { folder, from, to, progress: Progress::new(), cancel: CancelToken::new() }
        }

        fn with_target(content: &[u8]) -> Self {
            let trial = Self::new();
            fs::write(&trial.to, content).unwrap();
            trial
        }

        fn start_with(
            &self,
            clone: impl FnOnce(&File, &Path, &mut File) -> io::Result<()>,
        ) -> Result<Continuing<'_>> {
            let source = Source::open(&self.from, false)?;
            Continuing::start_with(
                source,
                &self.from,
                &self.to,
                &self.progress,
                &self.cancel,
                clone,
            )
        }

        /// Copy in blocks of ten bytes, and call `meddle` after the second one.
        fn copy_while(&self, meddle: impl Fn()) -> Result<FileDigest> {
            let mut copy = self.start_with(cannot_clone)?;
            let mut hasher = Hasher::new();
            let mut buffer = [0; 10];
            for block in 1.. {
                let count = copy.read(&mut buffer)?;
                hasher.update(&buffer[..count]);
                if count < buffer.len() {
                    break;
                }
                if block == 2 {
                    meddle();
                }
            }
            copy.finish(hasher.finalize()).map(|(digest, _)| digest)
        }

        fn target(&self) -> Vec<u8> {
            fs::read(&self.to).unwrap()
        }

        fn assert_nothing_is_beside_the_target(&self) {
            let entries = fs::read_dir(self.folder.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["source", "target"]);
        }
    }

    fn cannot_clone(_: &File, _: &Path, _: &mut File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn change(result: Result<FileDigest>) -> Change {
        match result {
            Err(Error::TargetChanged { change, .. }) => change,
            other => panic!("expected a change, got {other:?}"),
        }
    }

    #[test]
    fn a_copy_that_is_cancelled_anywhere_is_a_beginning_that_the_next_one_continues() {
        for blocks in 0..4 {
            let trial = Trial::new();
            let mut copy = trial.start_with(cannot_clone).unwrap();
            for _ in 0..blocks {
                copy.read(&mut [0; 10]).unwrap();
            }
            trial.cancel.cancel();
            assert!(matches!(copy.read(&mut [0; 10]), Err(Error::Cancelled)));
            drop(copy);
            assert_eq!(trial.target(), CONTENT[..10 * blocks]);
            trial.assert_nothing_is_beside_the_target();

            let trial = Trial { cancel: CancelToken::new(), progress: Progress::new(), ..trial };
            let digest = trial.copy_while(|| ()).unwrap();

            assert_eq!(digest, FileDigest::new(&trial.from, 38, Hasher::digest(CONTENT)));
            assert_eq!(trial.target(), CONTENT);
            assert_eq!(trial.progress.drain(), 38);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_beginning_is_continued_in_the_same_file() {
        use std::os::unix::fs::MetadataExt;
        let trial = Trial::with_target(&CONTENT[..25]);
        let inode = || fs::metadata(&trial.to).unwrap().ino();
        let before = inode();

        trial.copy_while(|| ()).unwrap();

        assert_eq!(inode(), before);
    }

    #[test]
    fn a_clone_is_hashed_and_nothing_is_copied() {
        let trial = Trial::new();
        let clone = |_: &File, _: &Path, file: &mut File| file.write_all(&[b'c'; 38]);
        let mut copy = trial.start_with(clone).unwrap();

        let mut buffer = [0; 100];
        assert_eq!(copy.read(&mut buffer).unwrap(), 38);

        assert_eq!(buffer[..38], [b'c'; 38]);
        assert_eq!(trial.target(), [b'c'; 38]);
    }

    #[test]
    fn bytes_of_a_failed_clone_do_not_end_up_in_the_target() {
        let trial = Trial::new();
        let clone = |_: &File, _: &Path, file: &mut File| {
            file.write_all(b"half a clone")?;
            Err(ErrorKind::Other.into())
        };

        trial.start_with(clone).unwrap().read(&mut [0; 100]).unwrap();

        assert_eq!(trial.target(), CONTENT);
    }

    #[test]
    fn a_target_with_bytes_is_not_cloned_over() {
        let trial = Trial::with_target(b"a ");

        let started = trial.start_with(|_, _, _| panic!("cloned"));

        assert_eq!(started.unwrap().target.size(), 2);
    }

    #[test]
    fn a_truncated_target_is_caught() {
        let trial = Trial::with_target(b"a ");
        let truncate = || File::options().write(true).open(&trial.to).unwrap().set_len(5).unwrap();

        let result = trial.copy_while(truncate);

        assert_eq!(change(result), Change::Size { expected: 20, actual: 5, at_least: false });
    }

    #[cfg(unix)]
    #[test]
    fn an_overwritten_target_is_caught() {
        let trial = Trial::new();
        let overwrite =
            || File::options().write(true).open(&trial.to).unwrap().write_all(b"A").unwrap();

        assert_eq!(change(trial.copy_while(overwrite)), Change::Digest);
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_target_is_caught() {
        let trial = Trial::new();
        let replace = || {
            fs::remove_file(&trial.to).unwrap();
            fs::write(&trial.to, CONTENT).unwrap();
        };

        assert_eq!(change(trial.copy_while(replace)), Change::Place);
    }

    #[test]
    fn a_source_that_changes_is_caught_and_a_beginning_is_left() {
        let trial = Trial::new();
        let append = || fs::write(&trial.from, [CONTENT, b"more"].concat()).unwrap();

        let result = trial.copy_while(append);

        assert!(matches!(result, Err(Error::SourceChanged { .. })), "{result:?}");
        assert!(CONTENT.starts_with(&trial.target()));
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_continued_is_replaced_and_its_other_name_keeps_its_bytes() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        fs::write(&other, b"a ").unwrap();
        let link = |to: &Path| symlink(&other, to).unwrap();
        let second_name = |to: &Path| fs::hard_link(&other, to).unwrap();
        let read_only = |to: &Path| {
            fs::write(to, b"wrong").unwrap();
            fs::set_permissions(to, fs::Permissions::from_mode(0o444)).unwrap();
        };
        let larger = |to: &Path| fs::write(to, [b'x'; 39]).unwrap();

        for make in [&link as &dyn Fn(&Path), &second_name, &read_only, &larger] {
            let trial = Trial::new();
            make(&trial.to);

            let digest = trial.copy_while(|| ()).unwrap();

            assert_eq!(digest.sha256, Hasher::digest(CONTENT));
            assert_eq!(trial.target(), CONTENT);
            assert!(fs::symlink_metadata(&trial.to).unwrap().is_file());
            assert_eq!(fs::read(&other).unwrap(), b"a ");
        }
    }

    #[test]
    fn a_folder_at_the_target_is_refused_and_kept() {
        let trial = Trial::new();
        fs::create_dir(&trial.to).unwrap();

        let result = trial.copy_while(|| ());

        assert!(matches!(result, Err(Error::NotRegular { .. })), "{result:?}");
        assert!(trial.to.is_dir());
    }
}
