//! `ChunkTree`.

use std::path::PathBuf;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ritual_artifacts_core as core;
use ritual_artifacts_core::arweave::{Leaf, MerkleTree, TreeOptions, read_tree};

use crate::convert::{MaxWorkers, ProgressCallback};
use crate::errors::to_py_err;
use crate::interrupt;

/// The Merkle tree over a file's chunks on Arweave, split as arweave-js does.
///
/// Opening it reads the file once, on all cores. Its length is the number of chunks that are uploaded: the empty
/// one that ends some trees is not among them.
#[pyclass(frozen, module = "ritual_artifacts._core")]
pub(crate) struct ChunkTree(Option<MerkleTree>);

#[pymethods]
impl ChunkTree {
    #[new]
    #[pyo3(signature = (path, *, max_workers = None, progress = None))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        max_workers: Option<MaxWorkers>,
        progress: Option<ProgressCallback>,
    ) -> PyResult<Self> {
        let options = TreeOptions {
            max_workers: max_workers.map(|MaxWorkers(number)| number),
            ..TreeOptions::default()
        };
        let tree = interrupt::run(py, progress.as_ref(), |progress, cancel| {
            read_tree(&path, &options, progress, cancel)
        })?;
        tree.map(Self).map_err(to_py_err)
    }

    /// Bytes in the file.
    #[getter]
    fn size(&self) -> u64 {
        self.leaves().last().map_or(0, |leaf| leaf.end)
    }

    /// Root of the tree in base64url without padding; empty for an empty file.
    #[getter]
    fn data_root(&self) -> String {
        core::DataRoot::of(self.0.as_ref()).to_string()
    }

    fn __len__(&self) -> usize {
        self.chunks().len()
    }

    /// Offsets in the file of a chunk's first byte and of the one after its last.
    fn span(&self, index: usize) -> PyResult<(u64, u64)> {
        let leaf = self.chunks().get(index).ok_or_else(no_such_chunk)?;
        let start = index.checked_sub(1).map_or(0, |before| self.chunks()[before].end);
        Ok((start, leaf.end))
    }

    /// The proof (`data_path`) that a chunk is in the tree.
    fn proof<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.chunks().get(index).ok_or_else(no_such_chunk)?;
        let proof = self.0.as_ref().and_then(|tree| tree.proof(index)).ok_or_else(no_such_chunk)?;
        Ok(PyBytes::new(py, &proof))
    }
}

impl ChunkTree {
    fn leaves(&self) -> &[Leaf] {
        self.0.as_ref().map_or(&[], MerkleTree::leaves)
    }

    fn chunks(&self) -> &[Leaf] {
        match self.leaves() {
            [chunks @ .., before, last] if before.end == last.end => {
                &self.leaves()[..=chunks.len()]
            }
            chunks => chunks,
        }
    }
}

fn no_such_chunk() -> PyErr {
    PyIndexError::new_err("there is no such chunk")
}
