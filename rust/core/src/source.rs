//! Reads regular files, and detects files that change meanwhile.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cancel::CancelToken;
use crate::error::{Change, Error, FileKind, Result};
use crate::progress::Progress;

/// Maximum number of bytes per system call, which Ctrl-C cannot interrupt.
const MAX_READ: usize = 8 << 20;

/// An open regular file, with its size and modification time when it was opened.
pub(crate) struct Source {
    file: File,
    path: PathBuf,
    size: u64,
    /// Bytes read.
    position: u64,
    /// `None` if the file system does not record it.
    modified: Option<SystemTime>,
}

impl Source {
    /// Open the regular file at `path`; anything else is refused without being opened.
    pub(crate) fn open(path: &Path, follow_symlinks: bool) -> Result<Self> {
        look(path, follow_symlinks)?;
        Self::open_known(path, follow_symlinks)
    }

    /// Open a path that [`look`] found to be a regular file.
    pub(crate) fn open_known(path: &Path, follow_symlinks: bool) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true);
        guard_open(&mut options, follow_symlinks);
        Self::from_file(options.open(path).map_err(Error::io("open", path))?, path)
    }

    /// Use an open `file`, positioned at its first byte; errors name it `path`.
    pub(crate) fn from_file(file: File, path: &Path) -> Result<Self> {
        let metadata = file.metadata().map_err(Error::io("read", path))?;
        // Checked again, because the path may lead elsewhere by now.
        refuse_irregular(path, &metadata)?;
        let (path, size, modified) = (path.to_owned(), metadata.len(), metadata.modified().ok());
        Ok(Self { file, path, size, position: 0, modified })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The size in bytes when the file was opened.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Continue at `offset`, which is at most the size.
    pub(crate) fn skip_to(&mut self, offset: u64) -> Result<()> {
        self.file.seek(SeekFrom::Start(offset)).map_err(Error::io("read", &self.path))?;
        self.position = offset;
        Ok(())
    }

    /// Fill `buffer` with the next bytes; with fewer only at the end of the file.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] if the file has changed since it was opened, even if it grows without
    /// end; and [`Error::Cancelled`].
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            cancel.check()?;
            let most = buffer.len().min(filled.saturating_add(MAX_READ));
            let count = match self.file.read(&mut buffer[filled..most]) {
                Ok(0) => {
                    self.check_complete()?;
                    break;
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", &self.path)(error)),
            };
            filled += count;
            self.position += count as u64;
            if self.position > self.size {
                return Err(self.changed_size(self.position, true));
            }
            progress.add(count);
            if self.position == self.size && filled < most {
                self.check_complete()?;
                break;
            }
        }
        Ok(filled)
    }

    /// Fill `buffer` with the bytes from `offset`.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] if the file ends before `buffer` is full; and [`Error::Cancelled`].
    pub(crate) fn read_at(
        &self,
        mut buffer: &mut [u8],
        mut offset: u64,
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<()> {
        while !buffer.is_empty() {
            cancel.check()?;
            match read_at(&self.file, buffer, offset) {
                Ok(0) => return Err(self.changed_size(offset, false)),
                Ok(count) => {
                    progress.add(count);
                    offset += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.path)(error)),
            }
        }
        Ok(())
    }

    fn check_complete(&self) -> Result<()> {
        if self.position < self.size {
            return Err(self.changed_size(self.position, false));
        }
        self.check_unchanged()
    }

    /// Check that the file still ends where it did when it was opened, and is unchanged.
    pub(crate) fn check_end(&self) -> Result<()> {
        match read_at(&self.file, &mut [0], self.size) {
            Ok(0) => self.check_unchanged(),
            Ok(_) => Err(self.changed_size(self.size + 1, true)),
            Err(error) => Err(Error::io("read", &self.path)(error)),
        }
    }

    /// Check that the file has the size and modification time that it had when it was opened.
    ///
    /// A write within the same tick of the file system's clock (some milliseconds) does not change the
    /// modification time, so metadata cannot reveal it.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let now = self.file.metadata().map_err(Error::io("read", &self.path))?;
        if now.len() != self.size {
            return Err(self.changed_size(now.len(), false));
        }
        if now.modified().ok() != self.modified {
            return Err(self.changed(Change::ModificationTime));
        }
        Ok(())
    }

    fn changed_size(&self, actual: u64, at_least: bool) -> Error {
        self.changed(Change::Size { expected: self.size, actual, at_least })
    }

    pub(crate) fn changed(&self, change: Change) -> Error {
        Error::SourceChanged { path: self.path.clone(), change }
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Return the size of the regular file at `path`.
///
/// The path is not opened, because opening a device can have effects: it may rewind a tape or arm a
/// watchdog.
pub(crate) fn look(path: &Path, follow_symlinks: bool) -> Result<u64> {
    let look = if follow_symlinks { fs::metadata } else { fs::symlink_metadata };
    let metadata = look(path).map_err(Error::io("open", path))?;
    refuse_irregular(path, &metadata)?;
    Ok(metadata.len())
}

pub(crate) fn refuse_irregular(path: &Path, metadata: &Metadata) -> Result<()> {
    match FileKind::irregular(metadata.file_type()) {
        Some(kind) => Err(Error::NotRegular { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

/// Keep an open from blocking on a named pipe, or from following a link, that has replaced the regular
/// file since [`look`].
pub(crate) fn guard_open(options: &mut OpenOptions, follow_symlinks: bool) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let no_follow = if follow_symlinks { 0 } else { libc::O_NOFOLLOW };
        options.custom_flags(libc::O_NONBLOCK | no_follow);
    }
    // Windows has neither such flags nor such pipes: `look` before the open has to suffice.
    #[cfg(not(unix))]
    let _ = (options, follow_symlinks);
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    /// Read a file of ten bytes in blocks of four, and call `meddle` after the first block.
    fn read_while(meddle: impl Fn(&File)) -> Result<usize> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source");
        fs::write(&path, b"0123456789").unwrap();
        let writer = OpenOptions::new().append(true).open(&path).unwrap();
        let mut source = Source::open(&path, true)?;

        let mut total = 0;
        loop {
            let count = source.read(&mut [0; 4], &Progress::new(), &CancelToken::new())?;
            if total == 0 {
                meddle(&writer);
            }
            total += count;
            if count < 4 {
                return Ok(total);
            }
        }
    }

    fn change(result: Result<usize>) -> Change {
        match result {
            Err(Error::SourceChanged { change, .. }) => change,
            other => panic!("expected a change, got {other:?}"),
        }
    }

    #[test]
    fn an_untouched_source_is_read_to_its_end() {
        assert_eq!(read_while(|_| ()).unwrap(), 10);
    }

    #[test]
    fn a_truncated_source_is_caught() {
        let result = read_while(|file| file.set_len(5).unwrap());

        assert_eq!(change(result), Change::Size { expected: 10, actual: 5, at_least: false });
    }

    #[test]
    fn a_growing_source_is_caught_without_waiting_for_its_end() {
        let result = read_while(|mut file| file.write_all(&[b'x'; 100]).unwrap());

        assert_eq!(change(result), Change::Size { expected: 10, actual: 12, at_least: true });
    }

    #[test]
    fn a_source_rewritten_at_the_same_size_is_caught() {
        let later = SystemTime::now() + Duration::from_secs(60);
        let result = read_while(|file| file.set_modified(later).unwrap());

        assert_eq!(change(result), Change::ModificationTime);
    }

    #[test]
    fn a_cancelled_read_stops_before_the_next_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source");
        fs::write(&path, [0; 100]).unwrap();
        let (progress, cancel) = (Progress::new(), CancelToken::new());

        let mut source = Source::open(&path, true).unwrap();
        source.read(&mut [0; 10], &progress, &cancel).unwrap();
        cancel.cancel();
        let result = source.read(&mut [0; 10], &progress, &cancel);

        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(progress.drain(), 10);
    }

    #[test]
    fn a_directory_is_refused() {
        let folder = tempfile::tempdir().unwrap();

        let result = Source::open(folder.path(), true);

        assert!(matches!(result, Err(Error::NotRegular { kind: FileKind::Directory, .. })));
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;
        use std::process::Command;

        use super::*;

        fn refused_kind(path: &Path, follow_symlinks: bool) -> FileKind {
            match Source::open(path, follow_symlinks) {
                Err(Error::NotRegular { kind, .. }) => kind,
                Err(other) => panic!("refused for another reason: {other}"),
                Ok(_) => panic!("{} was opened", path.display()),
            }
        }

        fn named_pipe_in(folder: &Path) -> PathBuf {
            let path = folder.join("pipe");
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            path
        }

        #[test]
        fn a_named_pipe_is_refused_without_blocking() {
            let folder = tempfile::tempdir().unwrap();
            let path = named_pipe_in(folder.path());

            assert_eq!(refused_kind(&path, true), FileKind::Fifo);
        }

        #[test]
        fn a_named_pipe_that_appears_after_the_look_does_not_block_either() {
            let folder = tempfile::tempdir().unwrap();
            let path = named_pipe_in(folder.path());
            let mut options = OpenOptions::new();
            guard_open(options.read(true), true);

            let result = Source::from_file(options.open(&path).unwrap(), &path);

            assert!(matches!(result, Err(Error::NotRegular { kind: FileKind::Fifo, .. })));
        }

        #[test]
        fn sockets_and_devices_are_refused() {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("socket");
            let _listener = UnixListener::bind(&socket).unwrap();

            assert_eq!(refused_kind(&socket, true), FileKind::Socket);
            assert_eq!(refused_kind(Path::new("/dev/null"), true), FileKind::Device);
        }

        #[test]
        fn a_link_is_followed_only_if_requested() {
            let folder = tempfile::tempdir().unwrap();
            let (target, link) = (folder.path().join("target"), folder.path().join("link"));
            fs::write(&target, b"x").unwrap();
            symlink(&target, &link).unwrap();

            assert!(Source::open(&link, true).is_ok());
            assert_eq!(refused_kind(&link, false), FileKind::Symlink);
        }

        #[test]
        fn a_link_that_appears_after_the_look_is_not_followed() {
            let folder = tempfile::tempdir().unwrap();
            let (target, link) = (folder.path().join("target"), folder.path().join("link"));
            fs::write(&target, b"x").unwrap();
            symlink(&target, &link).unwrap();
            let mut options = OpenOptions::new();
            guard_open(options.read(true), false);

            assert!(options.open(&link).is_err());
        }
    }
}
