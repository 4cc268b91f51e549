//! Errors, each with the file that it is about.

use std::fmt;
use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

/// The result of work on files.
pub type Result<T> = std::result::Result<T, Error>;

/// All results, or the first error that is not [`Error::Cancelled`].
///
/// # Errors
///
/// [`Error::Cancelled`] only where there is no other error.
pub fn all_or_error<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let mut items = Vec::with_capacity(results.len());
    let mut cancelled = None;
    for result in results {
        match result {
            Ok(item) => items.push(item),
            Err(error @ Error::Cancelled) => cancelled = Some(error),
            Err(error) => return Err(error),
        }
    }
    cancelled.map_or(Ok(items), Err)
}

/// Why a file could not be hashed, copied or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system returned an error.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action that failed, as a verb ("read").
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file could not be renamed; either path may be the reason.
    #[error("cannot rename {} to {}: {source}", from.display(), to.display())]
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file changed while it was read, so its digest could be that of a mixture of old and new bytes.
    #[error("{} changed while it was read: {change}", path.display())]
    SourceChanged {
        /// The file that was read.
        path: PathBuf,
        /// How the file changed.
        change: Change,
    },
    /// Another process changed the file while it was written, so it may hold other bytes than were written.
    /// Remove it and write it again.
    #[error("another process changed {} while it was written: {change}", path.display())]
    TargetChanged {
        /// The file that was written.
        path: PathBuf,
        /// How the file changed.
        change: Change,
    },
    /// The path is not a regular file.
    #[error("{} is {kind}, expected a regular file", path.display())]
    NotRegular {
        /// The path, as it was given.
        path: PathBuf,
        /// What it is instead.
        kind: FileKind,
    },
    /// An earlier write to a partial file failed, so its end is unknown.
    #[error("an earlier write to {} failed; open it again to continue at its end", path.display())]
    Broken {
        /// The partial file.
        path: PathBuf,
    },
    /// The call's [`CancelToken`](crate::CancelToken) was set.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// For `map_err`: wrap the operating system's error about `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// How a file differs from what was read or written before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Change {
    /// The file is shorter or longer than its size when reading began.
    #[error("expected {expected} bytes, found {actual}{}", if *at_least { " or more" } else { "" })]
    Size {
        /// The size when reading began, or after the last write.
        expected: u64,
        /// The size found later.
        actual: u64,
        /// Whether the file may be longer still, because reading stopped at `actual`.
        at_least: bool,
    },
    /// Bytes that were read before are different now.
    #[error("the bytes at offset {offset} differ from those read before")]
    Content {
        /// Where in the file these bytes begin.
        offset: u64,
    },
    /// The size is the same, but the modification time is not.
    #[error("its modification time changed")]
    ModificationTime,
    /// The digest of the file's bytes is not that of the bytes that were written.
    #[error("its bytes differ from those that were written")]
    Digest,
    /// The path does not name the file any more.
    #[error("it was moved, removed or replaced")]
    Place,
}

/// What a path is, if it is not a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A folder.
    Directory,
    /// A symbolic link that is not followed.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix domain socket.
    Socket,
    /// A block or character device, or another special file.
    Device,
}

impl FileKind {
    /// The kind of a file type; `None` for a regular file.
    pub(crate) fn irregular(file_type: FileType) -> Option<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if file_type.is_fifo() {
                return Some(Self::Fifo);
            }
            if file_type.is_socket() {
                return Some(Self::Socket);
            }
        }
        if file_type.is_file() {
            None
        } else if file_type.is_dir() {
            Some(Self::Directory)
        } else if file_type.is_symlink() {
            Some(Self::Symlink)
        } else {
            Some(Self::Device)
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}
