//! A data item's tags: an Avro array of pairs of byte strings.

use super::bundle::BundleError;

/// Maximum length of the encoded tags in bytes: other tools and gateways accept no more.
pub const MAX_TAG_BYTES: usize = 4096;
/// Maximum number of tags to write. Tags that are read are limited by their length only.
pub const MAX_TAGS: usize = 128;

/// Bits of a number in each byte, least significant first.
const VARINT_BITS: u32 = 7;
/// Set in each byte of a number but the last.
const MORE: u8 = 0x80;

/// A name and a value; usually text, but any bytes are valid.
pub type Tag = (Vec<u8>, Vec<u8>);

/// Tags and their encoding. The same tags can be encoded in several ways, and the encoding is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    pairs: Vec<Tag>,
    encoded: Vec<u8>,
}

impl Tags {
    /// Encode tags in one block; no tags are encoded as no bytes.
    ///
    /// # Errors
    ///
    /// There are more than other tools accept, or a name or value is empty.
    pub fn encode(pairs: Vec<Tag>) -> Result<Self, BundleError> {
        if pairs.len() > MAX_TAGS {
            return Err(BundleError::TooManyTags { count: pairs.len() });
        }
        if let Some(index) =
            pairs.iter().position(|(name, value)| name.is_empty() || value.is_empty())
        {
            return Err(BundleError::EmptyTag { index });
        }
        let mut encoded = Vec::new();
        if !pairs.is_empty() {
            write_length(&mut encoded, pairs.len());
            for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
                write_length(&mut encoded, text.len());
                encoded.extend_from_slice(text);
            }
            write_length(&mut encoded, 0);
        }
        refuse_long(encoded.len() as u64)?;
        Ok(Self { pairs, encoded })
    }

    /// Decode `count` tags.
    ///
    /// # Errors
    ///
    /// The encoding is invalid or too long, or the number of tags is not `count`.
    pub fn decode(encoded: &[u8], count: u64) -> Result<Self, BundleError> {
        refuse_long(encoded.len() as u64)?;
        let mut reader = Reader { encoded, position: 0 };
        let mut pairs = Vec::new();
        // No tags are encoded as no bytes, or as an array without blocks.
        while !encoded.is_empty() {
            let block = reader.block()?;
            if block == 0 {
                break;
            }
            for _ in 0..block {
                // A false count costs nothing: reading fails at the end of the bytes.
                pairs.push((reader.bytes()?, reader.bytes()?));
            }
        }
        if reader.position < encoded.len() {
            return Err(reader.malformed("unexpected bytes after the end of the array"));
        }
        if pairs.len() as u64 != count {
            return Err(BundleError::TagCount { expected: count, actual: pairs.len() });
        }
        Ok(Self { pairs, encoded: encoded.to_vec() })
    }

    /// Names and values, in order.
    #[must_use]
    pub fn pairs(&self) -> &[Tag] {
        &self.pairs
    }

    /// The tags as they are encoded in the item.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

/// Refuse encoded tags that are too long.
pub(super) fn refuse_long(length: u64) -> Result<(), BundleError> {
    if length > MAX_TAG_BYTES as u64 { Err(BundleError::TagsTooLong { length }) } else { Ok(()) }
}

/// Write a non-negative number in zigzag encoding, which doubles it, with variable length.
fn write_length(encoded: &mut Vec<u8>, length: usize) {
    let mut rest = length as u64 * 2;
    while rest >= u64::from(MORE) {
        encoded.push(rest.to_le_bytes()[0] | MORE);
        rest >>= VARINT_BITS;
    }
    encoded.push(rest.to_le_bytes()[0]);
}

struct Reader<'a> {
    encoded: &'a [u8],
    position: usize,
}

impl Reader<'_> {
    /// The number of items in the block that begins here; 0 ends the array.
    fn block(&mut self) -> Result<u64, BundleError> {
        let count = self.number()?;
        if count < 0 {
            // The length in bytes follows, for readers that skip blocks. It is not needed here, and not trusted.
            let start = self.position;
            let length = self.number()?;
            let left = (self.encoded.len() - self.position) as u64;
            if u64::try_from(length).map_or(true, |length| length > left) {
                self.position = start;
                return Err(self.malformed("a block is longer than the tags"));
            }
        }
        Ok(count.unsigned_abs())
    }

    fn bytes(&mut self) -> Result<Vec<u8>, BundleError> {
        let start = self.position;
        let length = usize::try_from(self.number()?).ok();
        let end = length.and_then(|length| self.position.checked_add(length));
        let Some(bytes) = end.and_then(|end| self.encoded.get(self.position..end)) else {
            self.position = start;
            return Err(self.malformed("invalid length of a name or value"));
        };
        self.position += bytes.len();
        Ok(bytes.to_vec())
    }

    /// A number in zigzag encoding: even for non-negative numbers, odd for negative ones.
    fn number(&mut self) -> Result<i64, BundleError> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(VARINT_BITS as usize) {
            let Some(&byte) = self.encoded.get(self.position) else {
                return Err(self.malformed("unexpected end inside a number"));
            };
            let bits = u64::from(byte & !MORE);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            self.position += 1;
            if byte & MORE == 0 {
                let half = (number >> 1).cast_signed();
                return Ok(if number & 1 == 0 { half } else { !half });
            }
        }
        Err(self.malformed("a number does not fit in 64 bits"))
    }

    fn malformed(&self, problem: &'static str) -> BundleError {
        BundleError::Tags { problem, offset: self.position }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str, value: &str) -> Tag {
        (name.into(), value.into())
    }

    fn problem(encoded: &[u8]) -> (&'static str, usize) {
        match Tags::decode(encoded, 1) {
            Err(BundleError::Tags { problem, offset }) => (problem, offset),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_tags_are_no_bytes_or_an_empty_array() {
        assert_eq!(Tags::encode(Vec::new()).unwrap(), Tags::default());
        assert_eq!(Tags::decode(b"", 0).unwrap(), Tags::default());
        assert_eq!(Tags::decode(&[0], 0).unwrap().pairs(), []);
        assert_eq!(Tags::decode(b"", 1), Err(BundleError::TagCount { expected: 1, actual: 0 }));
    }

    #[test]
    fn blocks_of_both_forms_are_read_one_after_the_other() {
        // One pair; then -1 pair in 4 bytes; then the end.
        let encoded = [2, 2, b'a', 2, b'b', 1, 8, 2, b'c', 2, b'd', 0];

        let tags = Tags::decode(&encoded, 2).unwrap();

        assert_eq!(tags.pairs(), [tag("a", "b"), tag("c", "d")]);
        assert_eq!(tags.encoded(), encoded);
    }

    #[test]
    fn a_number_may_be_longer_than_it_has_to_be() {
        let encoded = [0x82, 0x80, 0, 2, b'a', 2, b'b', 0];

        assert_eq!(Tags::decode(&encoded, 1).unwrap().pairs(), [tag("a", "b")]);
    }

    #[test]
    fn the_length_of_a_block_may_be_any_that_fits() {
        for length in 0..=5 {
            let encoded = [1, 2 * length, 2, b'a', 2, b'b', 0];

            assert_eq!(Tags::decode(&encoded, 1).unwrap().pairs(), [tag("a", "b")]);
        }
    }

    #[test]
    fn an_invalid_array_is_refused_with_the_place_of_the_error() {
        let long = [0xff; 9];
        for (encoded, offset) in [
            (&[2_u8][..], 1),
            (&[2, 2, b'a'], 3),
            (&[2, 2, b'a', 2, b'b'], 5),
            (&[2, 4, b'a'], 1),
            (&[2, 1, b'a', 2, b'b', 0], 1),
            (&[2, 2, b'a', 2, b'b', 0, 0], 6),
            // Of the block's 6 bytes, 5 are there.
            (&[1, 12, 2, b'a', 2, b'b', 0], 1),
            (&[1, 100, 2, b'a', 2, b'b', 0], 1),
            (&[1, 1, 2, b'a', 2, b'b', 0], 1),
            (&[&long[..], &[2]].concat(), 9),
            (&[&[2][..], &long[..], &[1]].concat(), 1),
            // 2⁶⁴ − 1 pairs, then −2⁶³.
            (&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0], 11),
            (&[&long[..], &[1, 0]].concat(), 11),
        ] {
            assert_eq!(problem(encoded).1, offset, "{encoded:?}");
        }
    }

    #[test]
    fn a_wrong_number_of_tags_is_refused() {
        let tags = Tags::encode(vec![tag("a", "b")]).unwrap();

        for count in [0, 2, u64::MAX] {
            assert_eq!(
                Tags::decode(tags.encoded(), count),
                Err(BundleError::TagCount { expected: count, actual: 1 })
            );
        }
    }

    #[test]
    fn more_than_other_tools_accept_is_not_written() {
        let many = |count| Tags::encode(vec![tag("a", "b"); count]);
        // Counts and lengths take 1 + 1 + 2 + 1 bytes.
        let long = |length| Tags::encode(vec![tag("a", &"x".repeat(length - 6))]);

        assert!(many(MAX_TAGS).is_ok());
        assert_eq!(many(MAX_TAGS + 1), Err(BundleError::TooManyTags { count: MAX_TAGS + 1 }));
        assert_eq!(long(MAX_TAG_BYTES).unwrap().encoded().len(), MAX_TAG_BYTES);
        assert_eq!(
            long(MAX_TAG_BYTES + 1),
            Err(BundleError::TagsTooLong { length: MAX_TAG_BYTES as u64 + 1 })
        );
        assert_eq!(
            Tags::decode(&[0; MAX_TAG_BYTES + 1], 0),
            Err(BundleError::TagsTooLong { length: MAX_TAG_BYTES as u64 + 1 })
        );
        for empty in [tag("", "b"), tag("a", "")] {
            assert_eq!(
                Tags::encode(vec![tag("a", "b"), empty]),
                Err(BundleError::EmptyTag { index: 1 })
            );
        }
    }
}
