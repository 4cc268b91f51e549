//! Writing files: verified copies, resumable partial files and atomic replacement.

mod copy;
mod durable;
mod partial;
mod resume;
mod target;
mod watch;

pub use copy::{CopyOptions, copy_files};
pub use durable::{rename_files, write_file};
pub use partial::PartialFile;
