//! `DataItem`, `BundleEntry`, and the functions that read and write them.

use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ritual_artifacts_core as core;
use ritual_artifacts_core::arweave::deep_hash::{DeepHash, blob};
use ritual_artifacts_core::arweave::{BundleError, ItemFields, Tags};

use crate::convert::{Block, ProgressCallback, TagPairs};
use crate::errors::to_py_err;
use crate::interrupt;

/// Where a data item is in its bundle: what the index calls it, its offset and its size in bytes.
#[pyclass(frozen, eq, hash, module = "ritual_artifacts._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct BundleEntry(core::arweave::BundleEntry);

#[pymethods]
impl BundleEntry {
    /// The item's id in base64url without padding.
    #[getter]
    fn id(&self) -> String {
        self.0.id.to_string()
    }

    /// Offset of its first byte.
    #[getter]
    fn offset(&self) -> u64 {
        self.0.offset
    }

    /// Size in bytes, header and data.
    #[getter]
    fn size(&self) -> u64 {
        self.0.size
    }

    fn __repr__(&self) -> String {
        let core::arweave::BundleEntry { id, offset, size } = self.0;
        format!("BundleEntry(id='{id}', offset={offset}, size={size})")
    }
}

/// What a data item says, and what its signature has to be of. Nobody has checked the signature.
#[pyclass(frozen, module = "ritual_artifacts._core")]
pub(crate) struct DataItem {
    item: core::arweave::DataItem,
    data_size: u64,
    message: DeepHash,
}

#[pymethods]
impl DataItem {
    /// The item's id in base64url without padding: the SHA-256 of its signature.
    #[getter]
    fn id(&self) -> String {
        self.item.id().to_string()
    }

    /// Who signs how: 1 is RSA-PSS with an Arweave wallet's key.
    #[getter]
    fn signature_type(&self) -> u16 {
        self.item.fields.signature_type()
    }

    /// The signature.
    #[getter]
    fn signature<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.item.signature)
    }

    /// The owner's public key; of an Arweave wallet, the modulus.
    #[getter]
    fn owner<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.item.fields.owner())
    }

    /// Whom the item is sent to: 32 bytes, or none.
    #[getter]
    fn target<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.item.fields.target())
    }

    /// What makes the item another one than its like: 32 bytes, or none.
    #[getter]
    fn anchor<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.item.fields.anchor())
    }

    /// Names and values, in order.
    #[getter]
    fn tags(&self) -> TagPairs {
        TagPairs(self.item.fields.tags().pairs().to_vec())
    }

    /// Offset in the item of the data's first byte.
    #[getter]
    fn data_offset(&self) -> usize {
        self.item.data_offset
    }

    /// Bytes of the data.
    #[getter]
    fn data_size(&self) -> u64 {
        self.data_size
    }

    /// What is signed: a deep hash (SHA-384) of everything else.
    #[getter]
    fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.message)
    }
}

/// Read the data item that `data` is, from its first byte to its last.
///
/// What is none is a `ValueError`.
#[pyfunction]
pub(crate) fn parse_data_item(py: Python<'_>, data: Block<'_>) -> PyResult<DataItem> {
    let bytes = data.as_slice();
    let item = py.detach(|| {
        let item = core::arweave::DataItem::parse(bytes)?;
        let content = &bytes[item.data_offset..];
        let message = item.fields.message(blob(content));
        Ok(DataItem { item, data_size: content.len() as u64, message })
    });
    item.map_err(refuse)
}

/// Read the data item that takes `size` bytes of a file (all the rest, if None) from `offset` on.
///
/// The file is read once and never held as a whole. What is no data item is a `ValueError`.
#[pyfunction]
#[pyo3(signature = (path, *, offset = 0, size = None, follow_symlinks = false, progress = None))]
pub(crate) fn read_data_item(
    py: Python<'_>,
    path: PathBuf,
    offset: u64,
    size: Option<u64>,
    follow_symlinks: bool,
    progress: Option<ProgressCallback>,
) -> PyResult<DataItem> {
    let item = interrupt::run(py, progress.as_ref(), |progress, cancel| {
        core::arweave::read_data_item(&path, offset, size, follow_symlinks, progress, cancel)
    })?;
    let section = item.map_err(to_py_err)?;
    Ok(DataItem { item: section.item, data_size: section.data_size, message: section.message })
}

/// What an Arweave wallet has to sign to make a data item of this data; `target` and `anchor` may be empty.
///
/// Tags that other tools do not take, and parts of a wrong length, are a `ValueError`.
#[pyfunction]
pub(crate) fn data_item_message<'py>(
    py: Python<'py>,
    owner: &[u8],
    target: &[u8],
    anchor: &[u8],
    tags: TagPairs,
    data: Block<'py>,
) -> PyResult<Bound<'py, PyBytes>> {
    let fields = make_fields(owner, target, anchor, tags)?;
    let bytes = data.as_slice();
    let message = py.detach(|| fields.message(blob(bytes)));
    Ok(PyBytes::new(py, &message))
}

/// As `data_item_message`, of the data in a file, which is read once and never held as a whole.
#[pyfunction]
#[pyo3(signature = (owner, target, anchor, tags, path, *, follow_symlinks = false, progress = None))]
#[expect(clippy::too_many_arguments, reason = "one for each of the Python function")]
pub(crate) fn data_item_message_of_file<'py>(
    py: Python<'py>,
    owner: &[u8],
    target: &[u8],
    anchor: &[u8],
    tags: TagPairs,
    path: PathBuf,
    follow_symlinks: bool,
    progress: Option<ProgressCallback>,
) -> PyResult<Bound<'py, PyBytes>> {
    let fields = make_fields(owner, target, anchor, tags)?;
    let data = interrupt::run(py, progress.as_ref(), |progress, cancel| {
        core::arweave::hash_file_blob(&path, follow_symlinks, progress, cancel)
    })?;
    Ok(PyBytes::new(py, &fields.message(data.map_err(to_py_err)?)))
}

/// What stands before the data in a data item that an Arweave wallet has signed.
#[pyfunction]
pub(crate) fn data_item_header<'py>(
    py: Python<'py>,
    owner: &[u8],
    signature: &[u8],
    target: &[u8],
    anchor: &[u8],
    tags: TagPairs,
) -> PyResult<Bound<'py, PyBytes>> {
    let header = make_fields(owner, target, anchor, tags)?.header(signature).map_err(refuse)?;
    Ok(PyBytes::new(py, &header))
}

fn make_fields(owner: &[u8], target: &[u8], anchor: &[u8], tags: TagPairs) -> PyResult<ItemFields> {
    let tags = Tags::encode(tags.0).map_err(refuse)?;
    ItemFields::new(owner, target, anchor, tags).map_err(refuse)
}

/// What stands before the data items with these ids and sizes in a bundle.
#[pyfunction]
pub(crate) fn bundle_index(
    py: Python<'_>,
    items: Vec<(String, u64)>,
) -> PyResult<Bound<'_, PyBytes>> {
    let entries: Vec<_> = items
        .into_iter()
        .map(|(id, size)| Ok((id.parse()?, size)))
        .collect::<Result<_, core::ParseDigestError>>()
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &core::arweave::write_index(&entries)))
}

/// How many bytes the index of a bundle takes that begins with these 32 bytes.
#[pyfunction]
pub(crate) fn bundle_index_length(beginning: &[u8]) -> PyResult<u64> {
    core::arweave::index_length(beginning).map_err(refuse)
}

/// Read the index of a bundle of `size` bytes (None: unknown), which is all of `index`.
#[pyfunction]
#[pyo3(signature = (index, *, size = None))]
pub(crate) fn parse_bundle(index: &[u8], size: Option<u64>) -> PyResult<Vec<BundleEntry>> {
    let entries = core::arweave::parse_index(index, size).map_err(refuse)?;
    Ok(entries.into_iter().map(BundleEntry).collect())
}

/// Read the index of the bundle that takes `size` bytes of a file (all the rest, if None) from `offset` on.
///
/// The items' offsets count from the beginning of the file. What is no bundle is a `ValueError`.
#[pyfunction]
#[pyo3(signature = (path, *, offset = 0, size = None, follow_symlinks = false))]
pub(crate) fn read_bundle(
    py: Python<'_>,
    path: PathBuf,
    offset: u64,
    size: Option<u64>,
    follow_symlinks: bool,
) -> PyResult<Vec<BundleEntry>> {
    let entries = py
        .detach(|| core::arweave::read_bundle(&path, offset, size, follow_symlinks))
        .map_err(to_py_err)?;
    Ok(entries.into_iter().map(BundleEntry).collect())
}

fn refuse(error: BundleError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
