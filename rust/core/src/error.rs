//! What can go wrong, always with the file that it went wrong with.

use std::fmt;
use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

/// The result of work on files.
pub type Result<T> = std::result::Result<T, Error>;

/// All results, or the first error that ended the call; what that cancelled is not the reason.
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
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb ("read").
        action: &'static str,
        /// The file or folder that it was tried on.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused to rename a file; either path may be the reason.
    #[error("cannot rename {} to {}: {source}", from.display(), to.display())]
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not the one that it was when reading began, so its digest would be of no
    /// content that the file ever had.
    #[error("{} changed while it was read: {change}", path.display())]
    SourceChanged {
        /// The file that was read.
        path: PathBuf,
        /// What gave the change away.
        change: Change,
    },
    /// Only regular files have content that can be published.
    #[error("{} is {kind}, expected a regular file", path.display())]
    NotRegular {
        /// The path that was given.
        path: PathBuf,
        /// What is there instead.
        kind: FileKind,
    },
    /// A write to a partial file failed before, so the bytes given since are missing from it.
    #[error("an earlier write to {} failed: open it again to continue at its end", path.display())]
    Broken {
        /// The partial file.
        path: PathBuf,
    },
    /// The call's [`CancelToken`](crate::CancelToken) was set.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// For `map_err`: wrap what the operating system said about `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// How a file differs from what it was when reading began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Change {
    /// The file ended too early, grew, or yields more than its size promises.
    #[error("expected {expected} bytes, found {actual}{}", if *at_least { " or more" } else { "" })]
    Size {
        /// The size when reading began.
        expected: u64,
        /// The size found later.
        actual: u64,
        /// Whether reading stopped at `actual` without having seen the end.
        at_least: bool,
    },
    /// A part was read before, and holds other bytes now.
    #[error("the bytes at {offset} are others than before")]
    Content {
        /// Where in the file that part begins.
        offset: u64,
    },
    /// The size is the same, the time of the last modification is not.
    #[error("its modification time moved")]
    ModificationTime,
}

/// What a path leads to, where that is no regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A folder.
    Directory,
    /// A symbolic link, where links are not followed.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix domain socket.
    Socket,
    /// A block or character device, or something that only its operating system knows.
    Device,
}

impl FileKind {
    /// What `file_type` is, `None` for a regular file.
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
