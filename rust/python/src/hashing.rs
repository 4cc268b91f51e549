//! `FileDigest`, `hash_files`, `sha256_kernels`.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use ritual_artifacts_core as core;

use crate::convert::{MaxWorkers, ProgressCallback, ReadBytes};
use crate::errors::to_py_err;
use crate::interrupt;

/// A file's path as it was given, its size in bytes, its SHA-256 and, if requested, other digests.
#[pyclass(frozen, eq, hash, module = "ritual_artifacts._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct FileDigest(core::FileDigest);

#[pymethods]
impl FileDigest {
    /// Make a digest from values computed elsewhere, each spelled like the attribute of its name.
    #[new]
    #[pyo3(signature = (path, size, sha256, data_root = None, git_sha1 = None))]
    fn new(
        path: PathBuf,
        size: u64,
        sha256: &str,
        data_root: Option<&str>,
        git_sha1: Option<&str>,
    ) -> PyResult<Self> {
        Ok(Self(core::FileDigest {
            path,
            size,
            sha256: parse(sha256)?,
            data_root: data_root.map(parse).transpose()?,
            git_sha1: git_sha1.map(parse).transpose()?,
        }))
    }

    /// The constructor's arguments, for pickling and copying.
    fn __getnewargs__(&self) -> (PathBuf, u64, String, Option<String>, Option<String>) {
        (self.path(), self.size(), self.sha256(), self.data_root(), self.git_sha1())
    }

    /// The path, as it was given.
    #[getter]
    fn path(&self) -> PathBuf {
        self.0.path.clone()
    }

    /// Size in bytes.
    #[getter]
    fn size(&self) -> u64 {
        self.0.size
    }

    /// SHA-256 in lower-case hexadecimal.
    #[getter]
    fn sha256(&self) -> String {
        self.0.sha256.to_string()
    }

    /// Root of the file's chunks on Arweave in base64url, empty for an empty file; None unless requested.
    #[getter]
    fn data_root(&self) -> Option<String> {
        self.0.data_root.map(|root| root.to_string())
    }

    /// SHA-1 of the file as a git blob in lower-case hexadecimal; None unless requested, or if it is too large.
    #[getter]
    fn git_sha1(&self) -> Option<String> {
        self.0.git_sha1.map(|sha1| sha1.to_string())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let core::FileDigest { path, size, sha256, data_root, git_sha1 } = &self.0;
        let path = path.as_path().into_pyobject(py)?.repr()?;
        let root = data_root.map_or_else(String::new, |root| format!(", data_root='{root}'"));
        let sha1 = git_sha1.map_or_else(String::new, |sha1| format!(", git_sha1='{sha1}'"));
        Ok(format!("FileDigest(path={path}, size={size}, sha256='{sha256}'{root}{sha1})"))
    }
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> PyResult<T> {
    text.parse().map_err(|error: T::Err| PyValueError::new_err(error.to_string()))
}

impl From<core::FileDigest> for FileDigest {
    fn from(digest: core::FileDigest) -> Self {
        Self(digest)
    }
}

/// Hash regular files with SHA-256 on several threads; one item per path, in order.
///
/// With `return_exceptions`, a file's error takes its place in the list; otherwise the first error ends the
/// call and is raised.
#[pyfunction]
#[pyo3(signature = (
    paths,
    *,
    follow_symlinks = true,
    max_workers = None,
    read_size = ReadBytes(core::ReadSize::DEFAULT),
    progress = None,
    return_exceptions = false,
    data_root = false,
    git_sha1_max_size = None,
) -> "list[FileDigest | Exception]")]
#[expect(clippy::too_many_arguments, reason = "one for each of the Python function")]
pub(crate) fn hash_files(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    follow_symlinks: bool,
    max_workers: Option<MaxWorkers>,
    read_size: ReadBytes,
    progress: Option<ProgressCallback>,
    return_exceptions: bool,
    data_root: bool,
    git_sha1_max_size: Option<u64>,
) -> PyResult<Bound<'_, PyList>> {
    let options = core::HashOptions {
        follow_symlinks,
        max_workers: max_workers.map(|MaxWorkers(number)| number),
        read_size: read_size.0,
        stop_at_error: !return_exceptions,
        data_root,
        git_sha1_max_size,
    };
    let results = interrupt::run(py, progress.as_ref(), |progress, cancel| {
        core::hash_files(&paths, &options, progress, cancel)
    })?;

    if !return_exceptions {
        return PyList::new(
            py,
            core::all_or_error(results).map_err(to_py_err)?.into_iter().map(FileDigest),
        );
    }
    let items = PyList::empty(py);
    for result in results {
        match result {
            Ok(digest) => items.append(FileDigest(digest))?,
            Err(error) => items.append(to_py_err(error).into_value(py))?,
        }
    }
    Ok(items)
}

/// Names of the SHA-256 implementations that this processor supports; the last, `single`, runs on any.
#[pyfunction]
pub(crate) fn sha256_kernels() -> Vec<&'static str> {
    core::sha256::allowed_kernels().iter().map(|kernel| kernel.name()).collect()
}
