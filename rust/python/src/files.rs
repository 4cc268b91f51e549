//! `copy_files`, `PartialFile`, `write_file`, `rename_files`.

use std::mem;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyTuple;
use ritual_artifacts_core as core;

use crate::convert::{Block, MaxWorkers, ProgressCallback};
use crate::errors::to_py_err;
use crate::hashing::FileDigest;
use crate::interrupt;

/// Copy regular files, each pair's first path to its second; one item per pair, in order, with the
/// source's path and the size and SHA-256 of the target's bytes.
///
/// An error ends the call; finished copies remain. With `resume`, each copy continues what its target holds, and
/// an unfinished one remains too.
#[pyfunction]
#[pyo3(signature = (pairs, *, follow_symlinks = false, max_workers = None, progress = None, resume = false))]
pub(crate) fn copy_files(
    py: Python<'_>,
    pairs: Vec<(PathBuf, PathBuf)>,
    follow_symlinks: bool,
    max_workers: Option<MaxWorkers>,
    progress: Option<ProgressCallback>,
    resume: bool,
) -> PyResult<Vec<FileDigest>> {
    let options = core::CopyOptions {
        follow_symlinks,
        max_workers: max_workers.map(|MaxWorkers(number)| number),
        resume,
        stop_at_error: true,
        ..core::CopyOptions::default()
    };
    let results = interrupt::run(py, progress.as_ref(), |progress, cancel| {
        core::copy_files(&pairs, &options, progress, cancel)
    })?;
    Ok(core::all_or_error(results).map_err(to_py_err)?.into_iter().map(FileDigest::from).collect())
}

/// Write a small file atomically: readers see either the old content or all of the new one.
#[pyfunction]
pub(crate) fn write_file(py: Python<'_>, path: PathBuf, data: Block<'_>) -> PyResult<()> {
    let bytes = data.as_slice();
    py.detach(|| core::write_file(&path, bytes)).map_err(to_py_err)
}

/// Rename each pair's first path to its second, then make all new names durable.
#[pyfunction]
pub(crate) fn rename_files(py: Python<'_>, pairs: Vec<(PathBuf, PathBuf)>) -> PyResult<()> {
    py.detach(|| core::rename_files(&pairs)).map_err(to_py_err)
}

/// A file that is appended to, and hashed at the same time; it continues where an earlier attempt ended.
///
/// Opening it hashes the present content, and reports that to `progress`. After a failed write, open it
/// again.
#[pyclass(frozen, module = "ritual_artifacts._core")]
pub(crate) struct PartialFile {
    path: PathBuf,
    state: Mutex<State>,
}

enum State {
    Open(Box<core::PartialFile>),
    Closed { size: u64 },
}

impl State {
    fn size(&self) -> u64 {
        match self {
            Self::Open(partial) => partial.size(),
            Self::Closed { size } => *size,
        }
    }

    /// Close the file, and return it if it was open.
    fn take(&mut self) -> Option<Box<core::PartialFile>> {
        let closed = Self::Closed { size: self.size() };
        match mem::replace(self, closed) {
            Self::Open(partial) => Some(partial),
            Self::Closed { .. } => None,
        }
    }
}

#[pymethods]
impl PartialFile {
    #[new]
    #[pyo3(signature = (path, *, progress = None))]
    fn new(py: Python<'_>, path: PathBuf, progress: Option<ProgressCallback>) -> PyResult<Self> {
        let partial = interrupt::run(py, progress.as_ref(), |progress, cancel| {
            core::PartialFile::open(&path, progress, cancel)
        })?
        .map_err(to_py_err)?;
        Ok(Self { path, state: Mutex::new(State::Open(Box::new(partial))) })
    }

    /// Size in bytes, including earlier attempts.
    #[getter]
    fn size(&self, py: Python<'_>) -> u64 {
        self.lock(py).size()
    }

    /// Hash `data` and append it.
    fn write(&self, py: Python<'_>, data: Block<'_>) -> PyResult<()> {
        let mut state = self.lock(py);
        let State::Open(partial) = &mut *state else { return Err(self.closed_error()) };
        let bytes = data.as_slice();
        py.detach(|| partial.write(bytes)).map_err(to_py_err)
    }

    /// Sync the content to disk, close the file and return its digest.
    fn finish(&self, py: Python<'_>) -> PyResult<FileDigest> {
        let partial = self.lock(py).take().ok_or_else(|| self.closed_error())?;
        py.detach(|| partial.finish()).map(FileDigest::from).map_err(to_py_err)
    }

    /// Close the file and keep its content; closing twice is allowed.
    fn close(&self, py: Python<'_>) {
        self.lock(py).take();
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_error: "object"))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}

impl PartialFile {
    /// Release the GIL while waiting: another thread may hold the lock during a long write.
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    fn closed_error(&self) -> PyErr {
        PyValueError::new_err(format!("{} is closed", self.path.display()))
    }
}
