//! Replaces files atomically and durably: after a crash, either the old or the new file exists.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};

/// Write a small file atomically: readers see either the old content or all of `bytes`.
///
/// # Errors
///
/// [`Error::Io`]; an existing file at `path` is then unchanged.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut staged = stage(path)?;
    staged.write_all(bytes).map_err(Error::io("write", path))?;
    land(staged, path)
}

/// Rename each pair's first path to its second, then make all new names durable.
///
/// # Errors
///
/// [`Error::Rename`] at the first rename that fails; earlier renames remain. [`Error::Io`] if a folder
/// cannot be synced.
pub fn rename_files(pairs: &[(PathBuf, PathBuf)]) -> Result<()> {
    let renamed = pairs.iter().try_for_each(|(from, to)| {
        fs::rename(from, to).map_err(|source| Error::Rename {
            from: from.clone(),
            to: to.clone(),
            source,
        })
    });
    let folders: BTreeSet<_> =
        pairs.iter().flat_map(|(from, to)| [folder_of(from), folder_of(to)]).collect();
    let synced = folders.into_iter().try_for_each(sync_folder);
    renamed.and(synced)
}

/// Create a temporary file in the folder of `target`, so that renaming it is atomic. Dropping it removes
/// it.
pub(super) fn stage(target: &Path) -> Result<NamedTempFile> {
    staging().tempfile_in(folder_of(target)).map_err(Error::io("create a file beside", target))
}

/// Names and permissions of staged files. The permissions follow the user's umask, as for any new file;
/// by default, temporary files are private to their owner.
pub(super) fn staging() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".ritual-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

/// Sync a staged file to disk, then rename it to `target`.
pub(super) fn land(staged: NamedTempFile, target: &Path) -> Result<()> {
    staged.as_file().sync_all().map_err(Error::io("write", target))?;
    staged.persist(target).map_err(|failed| Error::io("replace", target)(failed.error))?;
    sync_folder(folder_of(target))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Make the names in `folder` durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    use std::io::ErrorKind::{InvalidInput, Unsupported};

    match fs::File::open(folder).and_then(|file| file.sync_all()) {
        // The file system cannot sync a folder; nothing more can be done.
        Err(error) if matches!(error.kind(), InvalidInput | Unsupported) => Ok(()),
        result => result.map_err(Error::io("sync", folder)),
    }
}

/// Windows has no call for this: NTFS journals names.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
fn sync_folder(_folder: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"something longer").unwrap();

        write_file(&path, b"new").unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_write_that_fails_leaves_the_target_and_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a folder, which a file cannot replace");
        fs::create_dir_all(path.join("child")).unwrap();

        let result = write_file(&path, b"new");

        assert!(matches!(result, Err(Error::Io { path: named, .. }) if named == path));
        assert!(path.join("child").is_dir());
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_target() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("file");

        let result = write_file(&path, b"new");

        assert!(matches!(result, Err(Error::Io { path: named, .. }) if named == path));
    }

    #[test]
    fn a_path_without_a_folder_is_in_the_current_one() {
        assert_eq!(folder_of(Path::new("file")), Path::new("."));
        assert_eq!(folder_of(Path::new("folder/file")), Path::new("folder"));
    }

    #[test]
    fn files_are_renamed_up_to_the_first_that_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "c"] {
            fs::write(at(name), name).unwrap();
        }

        let result =
            rename_files(&[(at("a"), at("A2")), (at("missing"), at("B2")), (at("c"), at("C2"))]);

        let Err(Error::Rename { from, to, .. }) = result else { panic!("{result:?}") };
        assert_eq!((from, to), (at("missing"), at("B2")));
        assert_eq!(names(folder.path()), ["A2", "c"]);
    }

    #[test]
    fn renames_cross_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("file"), b"x").unwrap();

        rename_files(&[(from.join("file"), to.join("file"))]).unwrap();

        assert_eq!((names(&from), names(&to)), (vec![], vec!["file".to_owned()]));
    }

    /// The umask belongs to the whole process, so the test does not set it: what it expects is the
    /// mode of a file created plainly.
    #[cfg(unix)]
    #[test]
    fn a_written_file_has_the_mode_that_the_umask_asks_for() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (plain, written) = (folder.path().join("plain"), folder.path().join("written"));
        fs::write(&plain, b"x").unwrap();

        write_file(&written, b"x").unwrap();

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&written), mode(&plain));
    }
}
