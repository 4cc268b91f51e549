//! The fast part of `ritual-artifacts`: hashing files, verified copies, and writes that survive a crash.
//!
//! Every call reads each byte once, names the file in its errors, can be cancelled from another thread, and needs
//! the same memory whatever the size of the files. Nothing here knows Python.

pub mod arweave;
mod cancel;
mod digest;
mod engine;
mod error;
mod file;
mod hash;
mod progress;
pub mod sha256;
mod source;

pub use cancel::CancelToken;
pub use digest::{DataRoot, GitSha1, ParseDigestError, Sha256Digest, TransactionId};
pub use error::{Change, Error, FileKind, Result, all_or_error};
pub use file::{CopyOptions, PartialFile, copy_files, rename_files, write_file};
pub use hash::{FileDigest, HashOptions, ReadSize, hash_files};
pub use progress::Progress;
