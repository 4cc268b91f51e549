//! The only place that chooses an exception class.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyValueError};
use pyo3::prelude::*;
use ritual_artifacts_core::{Error, FileKind};

pyo3::import_exception!(ritual_artifacts.errors, ArtifactModelError);
pyo3::import_exception!(ritual_artifacts.errors, SourceChangedError);

/// The same number wherever Python runs.
const EISDIR: i32 = 21;

pub(crate) fn to_py_err(error: Error) -> PyErr {
    match error {
        Error::Io { path, source, .. } => os_error(&source, path, None),
        Error::Rename { from, to, source } => os_error(&source, from, Some(to)),
        Error::NotRegular { path, kind: FileKind::Directory } => {
            // As Python's own `open` does.
            PyOSError::new_err((EISDIR, "Is a directory", path.into_os_string()))
        }
        Error::NotRegular { .. } => ArtifactModelError::new_err(error.to_string()),
        Error::SourceChanged { .. } | Error::TargetChanged { .. } => {
            SourceChangedError::new_err(error.to_string())
        }
        Error::Broken { .. } => PyValueError::new_err(error.to_string()),
        Error::Cancelled => PyKeyboardInterrupt::new_err(()),
    }
}

/// An `OSError` with all attributes set; Python chooses the subclass by the number.
fn os_error(source: &io::Error, path: PathBuf, second_path: Option<PathBuf>) -> PyErr {
    let code = source.raw_os_error();
    if code.is_none() && source.kind() == io::ErrorKind::InvalidInput {
        // The path contains a NUL. Python's `open` raises `ValueError` too.
        return PyValueError::new_err(format!("{source}: {}", path.display()));
    }
    let mut message = source.to_string();
    if let Some(code) = code {
        // Rust appends the number to the message, Python puts it in front.
        let repeated = format!(" (os error {code})");
        message.truncate(message.strip_suffix(&repeated).unwrap_or(&message).len());
    }
    // The code is passed twice because Windows has its own numbers: there, Python derives `errno` from
    // the second, `winerror`, which it ignores elsewhere.
    let second_path = second_path.map(OsString::from);
    PyOSError::new_err((code, message, path.into_os_string(), code, second_path))
}
