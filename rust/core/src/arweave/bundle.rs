//! Bundles (ANS-104): many data items in the data of one transaction, and an index before them.

use std::path::Path;

use super::node::Hash;
use crate::cancel::CancelToken;
use crate::digest::TransactionId;
use crate::error::{self, Error};
use crate::progress::Progress;
use crate::source::Source;

/// Bytes of a number in the index, the least significant first; and of an id.
const NUMBER: usize = 32;
/// Bytes of an item in the index: its size and its id.
const ENTRY: usize = 2 * NUMBER;

/// Where a data item is in the data of its bundle. It is a stranger's word: the item proves itself when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BundleEntry {
    /// What the index calls it.
    pub id: TransactionId,
    /// Offset of its first byte.
    pub offset: u64,
    /// Its size in bytes, header and data.
    pub size: u64,
}

/// Why bytes are no bundle, or no data item of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Something that should be there is not, or not all of it.
    #[error("{what} takes {expected} bytes, and {actual} are there")]
    Truncated {
        /// What ends too early.
        what: &'static str,
        /// Bytes that it should have.
        expected: u64,
        /// Bytes that are left for it.
        actual: u64,
    },
    /// A part that is given has a length that such a part never has.
    #[error("{what} has {actual} bytes, expected {expected}")]
    Length {
        /// What has it.
        what: &'static str,
        /// Bytes that it should have.
        expected: usize,
        /// Bytes that it has.
        actual: usize,
    },
    /// Nobody knows how long a signature of this type is.
    #[error("the signature type is {found}, expected 1 (Arweave) to 7")]
    SignatureType {
        /// The number that is there.
        found: u16,
    },
    /// A part is neither there nor absent.
    #[error("the byte that says whether {what} follows is {found}, expected 0 or 1")]
    Presence {
        /// What may follow.
        what: &'static str,
        /// The byte that is there.
        found: u8,
    },
    /// The tags take more room than tools and gateways allow.
    #[error("the tags have {length} bytes, expected at most {}", super::tags::MAX_TAG_BYTES)]
    TagsTooLong {
        /// Bytes of the encoded tags.
        length: u64,
    },
    /// There are more tags than tools and gateways allow.
    #[error("there are {count} tags, expected at most {}", super::tags::MAX_TAGS)]
    TooManyTags {
        /// How many.
        count: usize,
    },
    /// The tags are not as many as the item says.
    #[error("the item promises {expected} tags, and has {actual}")]
    TagCount {
        /// How many it says.
        expected: u64,
        /// How many there are.
        actual: usize,
    },
    /// The tags are not encoded as tags are.
    #[error("the tags are no Avro array of pairs: {problem} (at byte {offset} of them)")]
    Tags {
        /// What is wrong.
        problem: &'static str,
        /// Where, counted from the first byte of the tags.
        offset: usize,
    },
    /// A tag says nothing.
    #[error("the name or the value of tag {index} is empty")]
    EmptyTag {
        /// Which one, counted from 0.
        index: usize,
    },
    /// A number in the index is larger than any data.
    #[error("{what} is a number of more than 64 bits")]
    Number {
        /// What it counts.
        what: &'static str,
    },
    /// The index is not in the data as a whole, or longer than what is given.
    #[error("an index of {count} items does not take {actual} bytes")]
    Index {
        /// How many items the index says that it has.
        count: u64,
        /// Bytes that are there.
        actual: u64,
    },
    /// A data item would end behind the data.
    #[error("item {index} ends outside of the data of {size} bytes")]
    ItemOutside {
        /// Which one, counted from 0.
        index: usize,
        /// Bytes of the whole bundle.
        size: u64,
    },
}

/// Write what stands before the data items with these ids and sizes, which follow in this order.
#[must_use]
pub fn write_index(items: &[(TransactionId, u64)]) -> Vec<u8> {
    let mut index = number(items.len() as u64).to_vec();
    for (id, size) in items {
        index.extend(number(*size));
        index.extend_from_slice(id.as_ref());
    }
    index
}

/// Read an index, and nothing else: `index` ends where the first data item begins.
///
/// `size` is that of the bundle, if it is known.
///
/// # Errors
///
/// It has another length than it says, or data items where no data is.
pub fn parse_index(index: &[u8], size: Option<u64>) -> Result<Vec<BundleEntry>, BundleError> {
    let end = index_length(index)?;
    let last = size.unwrap_or(u64::MAX);
    let actual = last.min(index.len() as u64);
    if actual != end || index.len() as u64 != end {
        let count = (end - NUMBER as u64) / ENTRY as u64;
        return Err(BundleError::Index { count, actual });
    }
    let mut offset = end;
    let (entries, _) = index[NUMBER..].as_chunks::<ENTRY>();
    let entry = |(index, entry): (usize, &[u8; ENTRY])| {
        let (length, id) = halves(entry);
        let length = parse_number(&length, "the size of a data item")?;
        let start = offset;
        offset = start
            .checked_add(length)
            .filter(|&end| end <= last)
            .ok_or(BundleError::ItemOutside { index, size: last })?;
        Ok(BundleEntry { id: id.into(), offset: start, size: length })
    };
    entries.iter().enumerate().map(entry).collect()
}

/// How many bytes the index takes that begins so; all that is looked at is the number of items.
///
/// # Errors
///
/// The first 32 bytes are not there, or say a number of items that no data has room for.
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
        .ok_or(BundleError::Index { count, actual: u64::MAX })
}

/// Read the index of a bundle that is a regular file, or the `size` bytes from `offset` of one.
///
/// The offsets in the result count from the beginning of the file.
///
/// # Errors
///
/// The file cannot be read, changed meanwhile, or holds no bundle there.
pub fn read_bundle(
    path: &Path,
    offset: u64,
    size: Option<u64>,
    follow_symlinks: bool,
) -> error::Result<Vec<BundleEntry>> {
    let source = Source::open(path, follow_symlinks)?;
    let size = section_size(&source, path, offset, size, "the bundle")?;
    let malformed = |source| Error::Malformed { path: path.to_owned(), offset, source };
    let read = |length: u64| -> error::Result<Vec<u8>> {
        // Nothing is allocated that the file does not have.
        let mut bytes = vec![0; usize::try_from(length.min(size)).unwrap_or(usize::MAX)];
        source.read_at(&mut bytes, offset, &Progress::new(), &CancelToken::new())?;
        Ok(bytes)
    };
    let length = index_length(&read(NUMBER as u64)?).map_err(malformed)?;
    let mut entries = parse_index(&read(length)?, Some(size)).map_err(malformed)?;
    source.check_unchanged()?;
    for entry in &mut entries {
        entry.offset += offset;
    }
    Ok(entries)
}

/// The size of a part of a file that begins at `offset`; all the rest if `size` is `None`.
pub(super) fn section_size(
    source: &Source,
    path: &Path,
    offset: u64,
    size: Option<u64>,
    what: &'static str,
) -> error::Result<u64> {
    let actual = source.size().saturating_sub(offset);
    let expected = size.unwrap_or(actual);
    if expected > actual {
        let source = BundleError::Truncated { what, expected, actual };
        return Err(Error::Malformed { path: path.to_owned(), offset, source });
    }
    Ok(expected)
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
    use std::fs;

    use super::*;

    fn id(number: u8) -> TransactionId {
        [number; 32].into()
    }

    #[test]
    fn an_index_says_where_each_item_is() {
        let index = write_index(&[(id(1), 100), (id(2), 0), (id(3), 7)]);

        let entries = parse_index(&index, Some(224 + 107)).unwrap();

        assert_eq!(index.len(), 32 + 3 * 64);
        let expected = [(id(1), 224, 100), (id(2), 324, 0), (id(3), 324, 7)];
        assert_eq!(entries, expected.map(|(id, offset, size)| BundleEntry { id, offset, size }));
        assert_eq!(parse_index(&index, None).unwrap(), entries);
    }

    #[test]
    fn a_bundle_may_be_empty() {
        let index = write_index(&[]);

        assert_eq!(index, [0; 32]);
        assert_eq!(parse_index(&index, Some(32)), Ok(Vec::new()));
    }

    #[test]
    fn an_index_of_another_length_than_it_says_is_refused() {
        let index = write_index(&[(id(1), 100)]);

        for length in [32, 33, 95] {
            let error = BundleError::Index { count: 1, actual: length as u64 };
            assert_eq!(parse_index(&index[..length], None), Err(error));
        }
        assert!(matches!(
            parse_index(&[&index[..], &[0]].concat(), None),
            Err(BundleError::Index { count: 1, actual: 97 })
        ));
        for length in [0, 1, 31] {
            assert!(matches!(
                parse_index(&index[..length], None),
                Err(BundleError::Truncated { expected: 32, .. })
            ));
        }
    }

    #[test]
    fn an_index_that_is_longer_than_the_bundle_is_refused() {
        for (items, count) in [(vec![], 0), (vec![(id(1), 0)], 1)] {
            let index = write_index(&items);
            for size in [0, index.len() as u64 - 1] {
                let error = BundleError::Index { count, actual: size };
                assert_eq!(parse_index(&index, Some(size)), Err(error));
            }
            assert!(parse_index(&index, Some(index.len() as u64)).is_ok());
        }
    }

    #[test]
    fn counts_and_sizes_beyond_all_data_are_refused() {
        let what = "the number of data items";
        for byte in 8..32 {
            let mut index = write_index(&[]);
            index[byte] = 1;
            assert_eq!(parse_index(&index, None), Err(BundleError::Number { what }));
        }
        for count in [u64::MAX, u64::MAX / 64, u64::MAX / 64 + 1] {
            let error = parse_index(&number(count), None).unwrap_err();
            assert!(matches!(error, BundleError::Index { .. }), "{count}: {error}");
        }
        let mut index = write_index(&[(id(1), 1)]);
        index[32 + 8] = 1;
        let what = "the size of a data item";
        assert_eq!(parse_index(&index, None), Err(BundleError::Number { what }));
    }

    #[test]
    fn an_item_that_ends_outside_of_the_data_is_refused() {
        let outside = |index, size| Err(BundleError::ItemOutside { index, size });
        let index = write_index(&[(id(1), 10), (id(2), 10)]);
        assert_eq!(parse_index(&index, Some(179)), outside(1, 179));
        assert_eq!(parse_index(&index, Some(169)), outside(0, 169));
        assert!(parse_index(&index, Some(180)).is_ok());

        let index = write_index(&[(id(1), 10), (id(2), u64::MAX)]);
        assert_eq!(parse_index(&index, None), outside(1, u64::MAX));
    }

    #[test]
    fn a_count_that_lies_makes_nobody_allocate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        fs::write(&path, number(u64::MAX / 64 - 1)).unwrap();

        let result = read_bundle(&path, 0, None, false);

        assert!(
            matches!(
                result,
                Err(Error::Malformed { source: BundleError::Index { actual: 32, .. }, .. })
            ),
            "{result:?}"
        );
    }

    #[test]
    fn a_bundle_inside_of_a_file_is_read_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        let index = write_index(&[(id(1), 4)]);
        fs::write(&path, [b"abc", &index[..], b"item", b"xyz"].concat()).unwrap();

        let entries = read_bundle(&path, 3, Some(100), false).unwrap();

        assert_eq!(entries, [BundleEntry { id: id(1), offset: 99, size: 4 }]);
        for (offset, size) in
            [(3, Some(104)), (3, Some(99)), (3, Some(31)), (200, None), (u64::MAX, Some(1))]
        {
            let result = read_bundle(&path, offset, size, false);
            assert!(
                matches!(result, Err(Error::Malformed { .. })),
                "{offset} {size:?}: {result:?}"
            );
        }
    }
}
