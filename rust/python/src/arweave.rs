//! `ChunkTree`, `check_proof`, `deep_hash`, `find_data_root`, `split_lengths`.

use std::path::PathBuf;

use pyo3::exceptions::{PyIndexError, PyRecursionError, PyTypeError, PyValueError};
#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;
#[cfg(feature = "stubs")]
use pyo3::type_hint_identifier;
use pyo3::types::{PyBytes, PyList, PyTuple};
use ritual_artifacts_core as core;
use ritual_artifacts_core::arweave::deep_hash::{self, DeepHash};
use ritual_artifacts_core::arweave::{
    Hash, Leaf, LeafHasher, MerkleTree, SplitRule, TreeOptions, chunk_lengths, read_chunk,
    read_tree, read_tree_again, validate_proof,
};

use crate::convert::{Block, MaxWorkers, ProgressCallback};
use crate::errors::to_py_err;
use crate::interrupt;

/// Maximum depth of nested lists; a transaction has three levels.
const MAX_DEPTH: usize = 32;

/// How data is split into chunks, by the name of the tool that does it.
#[derive(Clone, Copy)]
pub(crate) struct Split(SplitRule);

impl FromPyObject<'_, '_> for Split {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_identifier!("builtins", "str");

    fn extract(name: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match name.extract()? {
            "arweave-js" => Ok(Self(SplitRule::ArweaveJs)),
            "naive" => Ok(Self(SplitRule::Naive)),
            other => Err(PyValueError::new_err(format!(
                "rule is {other:?}, expected arweave-js or naive"
            ))),
        }
    }
}

/// The Merkle tree over a file's chunks on Arweave.
///
/// Opening it reads the file once, on all cores. Its length is the number of chunks to upload, without the empty
/// one at the end of some trees. `rule` is the way to split the file: as arweave-js does, or into slices of 256 KiB
/// only (`naive`).
#[pyclass(frozen, module = "ritual_artifacts._core")]
pub(crate) struct ChunkTree {
    path: PathBuf,
    follow_symlinks: bool,
    tree: Option<MerkleTree>,
}

#[pymethods]
impl ChunkTree {
    #[new]
    #[pyo3(signature = (path, *, rule = Split(SplitRule::ArweaveJs), follow_symlinks = false, max_workers = None, progress = None))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        rule: Split,
        follow_symlinks: bool,
        max_workers: Option<MaxWorkers>,
        progress: Option<ProgressCallback>,
    ) -> PyResult<Self> {
        let options = TreeOptions {
            rule: rule.0,
            follow_symlinks,
            max_workers: max_workers.map(|MaxWorkers(number)| number),
            ..TreeOptions::default()
        };
        let tree = interrupt::run(py, progress.as_ref(), |progress, cancel| {
            read_tree(&path, &options, progress, cancel)
        })?;
        Ok(Self { tree: tree.map_err(to_py_err)?, path, follow_symlinks })
    }

    /// Size of the file in bytes.
    #[getter]
    fn size(&self) -> u64 {
        self.leaves().last().map_or(0, |leaf| leaf.end)
    }

    /// Root of the tree in base64url without padding; empty for an empty file.
    #[getter]
    fn data_root(&self) -> String {
        core::DataRoot::from(self.tree.as_ref().map(MerkleTree::root)).to_string()
    }

    fn __len__(&self) -> usize {
        self.chunks().len()
    }

    /// Offsets in the file of a chunk's first byte and of the byte after its last.
    fn span(&self, index: usize) -> PyResult<(u64, u64)> {
        let leaf = self.chunks().get(index).ok_or_else(no_such_chunk)?;
        let start = index.checked_sub(1).map_or(0, |before| self.chunks()[before].end);
        Ok((start, leaf.end))
    }

    /// The proof (`data_path`) that a chunk is part of the file.
    fn proof<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.chunks().get(index).ok_or_else(no_such_chunk)?;
        let proof =
            self.tree.as_ref().and_then(|tree| tree.proof(index)).ok_or_else(no_such_chunk)?;
        Ok(PyBytes::new(py, &proof))
    }

    /// Read a chunk from the file again, and verify that it has not changed.
    fn read<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.chunks().get(index).ok_or_else(no_such_chunk)?;
        let tree = self.tree.as_ref().ok_or_else(no_such_chunk)?;
        let chunk = py.detach(|| read_chunk(&self.path, tree, index, self.follow_symlinks));
        Ok(PyBytes::new(py, &chunk.map_err(to_py_err)?))
    }

    /// The tree over the same file under another rule; only the chunks that differ are read again.
    fn split_as(&self, py: Python<'_>, rule: Split) -> PyResult<Self> {
        let tree = py.detach(|| {
            let again = |tree| read_tree_again(&self.path, tree, rule.0, self.follow_symlinks);
            self.tree.as_ref().map(again).transpose()
        });
        let (path, follow_symlinks) = (self.path.clone(), self.follow_symlinks);
        Ok(Self { path, follow_symlinks, tree: tree.map_err(to_py_err)? })
    }

    /// The id of the node that spans the bytes from `start` to `end`; None if there is no such node.
    fn id_between<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        end: u64,
    ) -> Option<Bound<'py, PyBytes>> {
        let id = py.detach(|| self.tree.as_ref()?.id_between(start, end));
        id.map(|id| PyBytes::new(py, &id))
    }
}

impl ChunkTree {
    fn leaves(&self) -> &[Leaf] {
        self.tree.as_ref().map_or(&[], MerkleTree::leaves)
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
    PyIndexError::new_err("chunk index out of range")
}

/// The root of the tree over the chunks of data in memory; empty for no data.
#[pyfunction]
#[pyo3(signature = (data, *, rule = Split(SplitRule::ArweaveJs)))]
pub(crate) fn find_data_root<'py>(
    py: Python<'py>,
    data: Block<'py>,
    rule: Split,
) -> Bound<'py, PyBytes> {
    let data = data.as_slice();
    let root = py.detach(|| {
        let mut hasher = LeafHasher::new(data.len() as u64, rule.0);
        hasher.update(data);
        hasher.finish().ok().and_then(MerkleTree::new).map(|tree| tree.root())
    });
    PyBytes::new(py, root.as_ref().map_or(&[], |root| root.as_slice()))
}

/// Lengths in bytes of the chunks that `size` bytes of data are uploaded in, as arweave-js splits them.
#[pyfunction]
pub(crate) fn split_lengths(size: u64) -> Vec<u64> {
    chunk_lengths(size, SplitRule::ArweaveJs).filter(|&length| length > 0).collect()
}

/// Validate the proof (`data_path`) of the chunk that contains the byte at `offset`, and return the chunk's start,
/// end and SHA-256.
///
/// `data_root` and `data_size` have to be trusted, the proof does not. Raises `ValueError` for an invalid proof.
#[pyfunction]
pub(crate) fn check_proof<'py>(
    py: Python<'py>,
    data_root: &[u8],
    data_size: u64,
    offset: u64,
    proof: &[u8],
) -> PyResult<(u64, u64, Bound<'py, PyBytes>)> {
    let root = Hash::try_from(data_root)
        .map_err(|_| PyValueError::new_err("the data root has to have 32 bytes"))?;
    let chunk = validate_proof(&root, offset, data_size, proof)
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok((chunk.start, chunk.end, PyBytes::new(py, &chunk.data_hash)))
}

/// The deep hash (SHA-384) of bytes, or of a list of bytes and such lists; Arweave signs deep hashes.
#[pyfunction]
#[pyo3(name = "deep_hash")]
pub(crate) fn hash_deeply<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(value.py(), &hash_value(value, 0)?))
}

fn hash_value(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<DeepHash> {
    if let Ok(data) = value.cast::<PyBytes>() {
        return Ok(deep_hash::blob(data.as_bytes()));
    }
    if depth == MAX_DEPTH {
        return Err(PyRecursionError::new_err(format!(
            "lists are nested deeper than {MAX_DEPTH} levels"
        )));
    }
    if !value.is_instance_of::<PyList>() && !value.is_instance_of::<PyTuple>() {
        return Err(PyTypeError::new_err("expected bytes, or a list of bytes and lists"));
    }
    let items: Vec<DeepHash> =
        value.try_iter()?.map(|item| hash_value(&item?, depth + 1)).collect::<PyResult<_>>()?;
    Ok(deep_hash::list(&items))
}
