//! `DataItem`, `BundleEntry`, and the functions that parse and write them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ritual_artifacts_core as core;
use ritual_artifacts_core::arweave::deep_hash::{DeepHash, blob};
use ritual_artifacts_core::arweave::{BundleError, ItemFields, Tags};

use crate::convert::{Block, TagPairs};

/// Where a data item is in its bundle: its id, offset and size in bytes.
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

/// The fields of a data item, and the message that its signature has to sign. The signature is not verified.
#[pyclass(frozen, module = "ritual_artifacts._core")]
pub(crate) struct DataItem {
    item: core::arweave::DataItem,
    message: DeepHash,
}

#[pymethods]
impl DataItem {
    /// The item's id in base64url without padding: the SHA-256 of its signature.
    #[getter]
    fn id(&self) -> String {
        self.item.id().to_string()
    }

    /// Signature type; 1 is RSA-PSS with an Arweave wallet's key.
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

    /// The signed message: a deep hash (SHA-384) of all other fields and the data.
    #[getter]
    fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.message)
    }
}

/// Parse a whole data item. Raises `ValueError` if it is invalid.
#[pyfunction]
pub(crate) fn parse_data_item(py: Python<'_>, data: Block<'_>) -> PyResult<DataItem> {
    let bytes = data.as_slice();
    let item = py.detach(|| {
        let item = core::arweave::DataItem::parse(bytes)?;
        let message = item.fields.message(blob(&bytes[item.data_offset..]));
        Ok(DataItem { item, message })
    });
    item.map_err(refuse)
}

/// The message that an Arweave wallet signs to make a data item; `target` and `anchor` may be empty.
///
/// Raises `ValueError` if a part has the wrong length, or if other tools would not accept the tags.
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

/// The header of a data item that an Arweave wallet has signed; the data follows it.
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

/// The index of a bundle of data items with these ids and sizes.
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

/// The length of a bundle's index, from the first 32 bytes of the bundle.
#[pyfunction]
pub(crate) fn bundle_index_length(beginning: &[u8]) -> PyResult<u64> {
    core::arweave::index_length(beginning).map_err(refuse)
}

/// Parse the whole index of a bundle. Raises `ValueError` if it is invalid.
#[pyfunction]
pub(crate) fn parse_bundle(index: &[u8]) -> PyResult<Vec<BundleEntry>> {
    let entries = core::arweave::parse_index(index).map_err(refuse)?;
    Ok(entries.into_iter().map(BundleEntry).collect())
}

fn refuse(error: BundleError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
