//! Bundles (ANS-104): many data items in the data of one transaction, behind an index.

use super::node::Hash;
use crate::digest::TransactionId;

/// Bytes of a number in the index, least significant first; and of an id.
const NUMBER: usize = 32;
/// Bytes of an item in the index: its size and its id.
const ENTRY: usize = 2 * NUMBER;

/// Where a data item is in the data of its bundle, as the index says. The index is not signed: verify the item
/// itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BundleEntry {
    /// The item's id.
    pub id: TransactionId,
    /// Offset of its first byte.
    pub offset: u64,
    /// Its size in bytes, header and data.
    pub size: u64,
}

/// Why bytes are not a valid bundle or data item, or parts do not make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes end before the part does.
    #[error("expected {expected} bytes for {what}, got {actual}")]
    Truncated {
        /// The part that is cut off.
        what: &'static str,
        /// Its size in bytes.
        expected: u64,
        /// Bytes left for it.
        actual: u64,
    },
    /// A given part has the wrong length.
    #[error("{what} has {actual} bytes, expected {expected}")]
    Length {
        /// The part.
        what: &'static str,
        /// Bytes that it has to have.
        expected: usize,
        /// Bytes that it has.
        actual: usize,
    },
    /// The signature type is unknown, and with it the length of the signature.
    #[error("unknown signature type {found}, expected 1 (Arweave) to 7")]
    SignatureType {
        /// The number in the item.
        found: u16,
    },
    /// The byte before an optional part is neither 0 (absent) nor 1 (present).
    #[error("invalid presence byte {found} before {what}, expected 0 or 1")]
    Presence {
        /// The optional part.
        what: &'static str,
        /// The byte in the item.
        found: u8,
    },
    /// The encoded tags are longer than other tools and gateways accept.
    #[error("the tags have {length} bytes, expected at most {}", super::tags::MAX_TAG_BYTES)]
    TagsTooLong {
        /// Bytes of the encoded tags.
        length: u64,
    },
    /// There are more tags than other tools and gateways accept.
    #[error("there are {count} tags, expected at most {}", super::tags::MAX_TAGS)]
    TooManyTags {
        /// The number of tags.
        count: usize,
    },
    /// The number of tags differs from the one in the header.
    #[error("expected {expected} tags, got {actual}")]
    TagCount {
        /// The number in the header.
        expected: u64,
        /// The number of tags in the array.
        actual: usize,
    },
    /// The tags are not encoded as an Avro array of pairs.
    #[error("the tags are not a valid Avro array: {problem} (at byte {offset} of the tags)")]
    Tags {
        /// What is wrong.
        problem: &'static str,
        /// Where, counted from the first byte of the tags.
        offset: usize,
    },
    /// A tag has an empty name or value.
    #[error("the name or the value of tag {index} is empty")]
    EmptyTag {
        /// Which one, counted from 0.
        index: usize,
    },
    /// A number in the index needs more than 64 bits.
    #[error("{what} does not fit in 64 bits")]
    Number {
        /// What the number counts.
        what: &'static str,
    },
    /// The index does not have the length that its number of items needs.
    #[error("an index of {count} items does not have {actual} bytes")]
    Index {
        /// The number of items in the index.
        count: u64,
        /// Bytes of the index.
        actual: u64,
    },
    /// No bundle has room for so many items.
    #[error("the index cannot have {count} items")]
    TooManyItems {
        /// The number of items in the index.
        count: u64,
    },
    /// The sizes in the index add up to more than 64 bits hold.
    #[error("data item {index} ends beyond 2^64 bytes")]
    ItemTooLong {
        /// Which one, counted from 0.
        index: usize,
    },
}

/// Write the index of a bundle of items with these ids and sizes, which follow it in this order.
#[must_use]
pub fn write_index(items: &[(TransactionId, u64)]) -> Vec<u8> {
    let mut index = number(items.len() as u64).to_vec();
    for (id, size) in items {
        index.extend(number(*size));
        index.extend_from_slice(id.as_ref());
    }
    index
}

/// Read an index, which is all of `index`.
///
/// # Errors
///
/// Its length does not fit its number of items, or a size is too large.
pub fn parse_index(index: &[u8]) -> Result<Vec<BundleEntry>, BundleError> {
    let end = index_length(index)?;
    let actual = index.len() as u64;
    if actual != end {
        let count = (end - NUMBER as u64) / ENTRY as u64;
        return Err(BundleError::Index { count, actual });
    }
    let mut offset = end;
    let (entries, _) = index[NUMBER..].as_chunks::<ENTRY>();
    let entry = |(index, entry): (usize, &[u8; ENTRY])| {
        let (length, id) = halves(entry);
        let size = parse_number(&length, "the size of a data item")?;
        let start = offset;
        offset = start.checked_add(size).ok_or(BundleError::ItemTooLong { index })?;
        Ok(BundleEntry { id: id.into(), offset: start, size })
    };
    entries.iter().enumerate().map(entry).collect()
}

/// The length in bytes of an index, from its first 32 bytes.
///
/// # Errors
///
/// There are fewer bytes, or the number of items is too large.
pub fn index_length(beginning: &[u8]) -> Result<u64, BundleError> {
    let count = beginning.first_chunk::<NUMBER>().ok_or(BundleError::Truncated {
        what: "the number of data items",
        expected: NUMBER as u64,
        actual: beginning.len() as u64,
    })?;
    let count = parse_number(count, "the number of data items")?;
    let entries = count.checked_mul(ENTRY as u64);
    entries
        .and_then(|entries| entries.checked_add(NUMBER as u64))
        .ok_or(BundleError::TooManyItems { count })
}

fn number(value: u64) -> Hash {
    let mut number = [0; NUMBER];
    number[..8].copy_from_slice(&value.to_le_bytes());
    number
}

fn parse_number(number: &Hash, what: &'static str) -> Result<u64, BundleError> {
    let (low, high) = number.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let fits = high.iter().all(|&byte| byte == 0);
    if fits { Ok(u64::from_le_bytes(*low)) } else { Err(BundleError::Number { what }) }
}

fn halves(entry: &[u8; ENTRY]) -> (Hash, Hash) {
    let [size, id] = *entry.as_chunks().0 else { unreachable!("two halves") };
    (size, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> TransactionId {
        [number; 32].into()
    }

    #[test]
    fn an_index_says_where_each_item_is() {
        let index = write_index(&[(id(1), 100), (id(2), 0), (id(3), 7)]);

        let entries = parse_index(&index).unwrap();

        assert_eq!(index.len(), 32 + 3 * 64);
        let expected = [(id(1), 224, 100), (id(2), 324, 0), (id(3), 324, 7)];
        assert_eq!(entries, expected.map(|(id, offset, size)| BundleEntry { id, offset, size }));
    }

    #[test]
    fn a_bundle_may_be_empty() {
        let index = write_index(&[]);

        assert_eq!(index, [0; 32]);
        assert_eq!(parse_index(&index), Ok(Vec::new()));
    }

    #[test]
    fn an_index_of_another_length_than_it_says_is_refused() {
        let index = write_index(&[(id(1), 100)]);

        for length in [32, 33, 95] {
            let error = BundleError::Index { count: 1, actual: length as u64 };
            assert_eq!(parse_index(&index[..length]), Err(error));
        }
        assert!(matches!(
            parse_index(&[&index[..], &[0]].concat()),
            Err(BundleError::Index { count: 1, actual: 97 })
        ));
        for length in [0, 1, 31] {
            assert!(matches!(
                parse_index(&index[..length]),
                Err(BundleError::Truncated { expected: 32, .. })
            ));
        }
    }

    #[test]
    fn counts_and_sizes_of_more_than_64_bits_are_refused() {
        let what = "the number of data items";
        for byte in 8..32 {
            let mut index = write_index(&[]);
            index[byte] = 1;
            assert_eq!(parse_index(&index), Err(BundleError::Number { what }));
        }
        for count in [u64::MAX, u64::MAX / 64 + 1] {
            assert_eq!(parse_index(&number(count)), Err(BundleError::TooManyItems { count }));
        }
        let mut index = write_index(&[(id(1), 1)]);
        index[32 + 8] = 1;
        let what = "the size of a data item";
        assert_eq!(parse_index(&index), Err(BundleError::Number { what }));
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let index = write_index(&[(id(1), 10), (id(2), u64::MAX - 159 - 10)]);
        assert_eq!(parse_index(&index), Err(BundleError::ItemTooLong { index: 1 }));

        let index = write_index(&[(id(1), 10), (id(2), u64::MAX - 160 - 10)]);
        assert!(parse_index(&index).is_ok());
    }
}
