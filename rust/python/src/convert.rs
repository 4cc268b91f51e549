//! Arguments that `PyO3` cannot convert, each with its type in the stub.

use std::num::NonZeroUsize;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOverflowError, PyValueError};
#[cfg(feature = "stubs")]
use pyo3::inspect::{PyStaticConstant, PyStaticExpr};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
#[cfg(feature = "stubs")]
use pyo3::{type_hint_identifier, type_hint_subscript};
use ritual_artifacts_core::ReadSize;
use ritual_artifacts_core::arweave::Tag;

/// Maximum number of threads.
#[derive(Clone, Copy)]
pub(crate) struct MaxWorkers(pub(crate) NonZeroUsize);

impl FromPyObject<'_, '_> for MaxWorkers {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_identifier!("builtins", "int");

    fn extract(number: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let in_range = whole(number)?.and_then(NonZeroUsize::new);
        in_range.map(Self).ok_or_else(|| {
            PyValueError::new_err(format!("max_workers is {}, expected 1 or more", *number))
        })
    }
}

/// Bytes per read.
#[derive(Clone, Copy)]
pub(crate) struct ReadBytes(pub(crate) ReadSize);

impl FromPyObject<'_, '_> for ReadBytes {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_identifier!("builtins", "int");

    fn extract(number: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let in_range = whole(number)?.and_then(ReadSize::new);
        in_range.map(Self).ok_or_else(|| {
            let largest = ReadSize::MAX.get();
            PyValueError::new_err(format!(
                "read_size is {}, expected 1 to {largest} bytes",
                *number
            ))
        })
    }
}

/// `None` for a negative number and for one that does not fit in a machine word.
fn whole(number: Borrowed<'_, '_, PyAny>) -> PyResult<Option<usize>> {
    match number.extract() {
        Ok(number) => Ok(Some(number)),
        Err(error) if error.is_instance_of::<PyOverflowError>(number.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A callback that gets the number of bytes read since its last call.
pub(crate) struct ProgressCallback(Py<PyAny>);

impl ProgressCallback {
    pub(crate) fn call(&self, py: Python<'_>, bytes: u64) -> PyResult<()> {
        self.0.call1(py, (bytes,)).map(drop)
    }
}

impl FromPyObject<'_, '_> for ProgressCallback {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_subscript!(
        type_hint_identifier!("collections.abc", "Callable"),
        PyStaticExpr::List { elts: &[type_hint_identifier!("builtins", "int")] },
        type_hint_identifier!("builtins", "object")
    );

    fn extract(callback: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        Ok(Self(callback.to_owned().unbind()))
    }
}

/// Bytes that do not change while the GIL is released.
pub(crate) enum Block<'py> {
    /// `bytes` are immutable, so they need no copy.
    Bytes(Bound<'py, PyBytes>),
    /// A copy of any other buffer, which another thread could modify.
    Copied(Vec<u8>),
}

impl Block<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes(),
            Self::Copied(bytes) => bytes,
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Block<'py> {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = PyBuffer::<u8>::INPUT_TYPE;

    fn extract(data: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = data.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.to_owned()));
        }
        PyBuffer::get(&data)?.to_vec(data.py()).map(Self::Copied)
    }
}

/// Names and values of tags.
pub(crate) struct TagPairs(pub(crate) Vec<Tag>);

#[cfg(feature = "stubs")]
const TAG: PyStaticExpr = type_hint_subscript!(
    type_hint_identifier!("builtins", "tuple"),
    type_hint_identifier!("builtins", "bytes"),
    type_hint_identifier!("builtins", "bytes")
);

impl FromPyObject<'_, '_> for TagPairs {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr =
        type_hint_subscript!(type_hint_identifier!("collections.abc", "Sequence"), TAG);

    fn extract(tags: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let pairs: Vec<(Bound<'_, PyBytes>, Bound<'_, PyBytes>)> = tags.extract()?;
        let own = |bytes: &Bound<'_, PyBytes>| bytes.as_bytes().to_vec();
        Ok(Self(pairs.iter().map(|(name, value)| (own(name), own(value))).collect()))
    }
}

impl<'py> IntoPyObject<'py> for TagPairs {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = type_hint_subscript!(
        type_hint_identifier!("builtins", "tuple"),
        TAG,
        PyStaticExpr::Constant { value: PyStaticConstant::Ellipsis }
    );

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let bytes = |text: &[u8]| PyBytes::new(py, text);
        PyTuple::new(py, self.0.iter().map(|(name, value)| (bytes(name), bytes(value))))
    }
}
