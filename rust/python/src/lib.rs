//! `ritual_artifacts._core`: the Rust core for Python.
//!
//! This crate only converts types and errors, and releases the GIL.

#![allow(
    clippy::needless_pass_by_value,
    reason = "PyO3 converts every argument into a value of the function's own"
)]

mod arweave;
mod bundles;
mod convert;
mod errors;
mod files;
mod hashing;
mod interrupt;

/// Hashing and durable file writes, in Rust.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::arweave::{ChunkTree, check_proof, find_data_root, hash_deeply, split_lengths};
    #[pymodule_export]
    use crate::bundles::{
        BundleEntry, DataItem, bundle_index, bundle_index_length, data_item_header,
        data_item_message, parse_bundle, parse_data_item,
    };
    #[pymodule_export]
    use crate::files::{PartialFile, copy_files, rename_files, write_file};
    #[pymodule_export]
    use crate::hashing::{FileDigest, hash_files, sha256_kernels};
}
