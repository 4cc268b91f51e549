//! How data is split into chunks.

/// Maximum length of a chunk in bytes.
pub const CHUNK: u64 = 256 * 1024;

/// Minimum length of the last chunk in bytes, where arweave-js splits data of more than one chunk.
const MIN_LAST: u64 = 32 * 1024;

/// How data is split into chunks.
///
/// The network accepts any split with valid proofs, and tools split differently. To compute the `data_root` that
/// another tool has signed, split as it does. The Arweave node splits data inside a transaction too: like
/// [`ArweaveJs`](Self::ArweaveJs) if all chunks have 256 KiB, otherwise like [`Naive`](Self::Naive).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SplitRule {
    /// As arweave-js and the tools built on it: if the last chunk would be shorter than 32 KiB, it shares its
    /// bytes evenly with the one before it. If all chunks have 256 KiB, an empty one follows.
    #[default]
    ArweaveJs,
    /// As arweave-python-client and the tools built on it: slices of 256 KiB only.
    Naive,
}

impl SplitRule {
    /// The length of the next chunk, with `rest` bytes left.
    fn next_length(self, rest: u64) -> u64 {
        let shared = self == Self::ArweaveJs && rest > CHUNK && rest - CHUNK < MIN_LAST;
        if shared { rest.div_ceil(2) } else { rest.min(CHUNK) }
    }

    fn ends_with_empty(self) -> bool {
        self != Self::Naive
    }
}

/// The lengths of the chunks of `size` bytes, in order; none for no bytes.
#[must_use]
pub fn chunk_lengths(size: u64, rule: SplitRule) -> ChunkLengths {
    ChunkLengths { rest: (size > 0).then_some(size), rule }
}

/// What [`chunk_lengths`] returns.
#[derive(Clone, Debug)]
pub struct ChunkLengths {
    /// Bytes left; `None` after the last chunk, which may be empty.
    rest: Option<u64>,
    rule: SplitRule,
}

impl Iterator for ChunkLengths {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let rest = self.rest?;
        let length = self.rule.next_length(rest);
        let empty_follows = length == CHUNK && self.rule.ends_with_empty();
        self.rest = Some(rest - length).filter(|&left| left > 0 || empty_follows);
        Some(length)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = match self.rest {
            None => 0,
            // Sharing bytes does not change the number of chunks.
            Some(rest) if self.rule.ends_with_empty() => rest / CHUNK + 1,
            Some(rest) => rest.div_ceil(CHUNK),
        };
        let count = usize::try_from(count);
        (count.unwrap_or(usize::MAX), count.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SplitRule::{ArweaveJs, Naive};

    fn lengths(size: u64, rule: SplitRule) -> Vec<u64> {
        chunk_lengths(size, rule).collect()
    }

    #[test]
    fn no_bytes_have_no_chunks() {
        for rule in [ArweaveJs, Naive] {
            assert_eq!(lengths(0, rule), []);
        }
    }

    #[test]
    fn less_than_a_chunk_is_one_chunk() {
        for rule in [ArweaveJs, Naive] {
            for size in [1, MIN_LAST - 1, MIN_LAST, MIN_LAST + 1, CHUNK - 1] {
                assert_eq!(lengths(size, rule), [size]);
            }
        }
    }

    #[test]
    fn whole_chunks_are_followed_by_an_empty_one_but_in_the_naive_split() {
        assert_eq!(lengths(CHUNK, ArweaveJs), [CHUNK, 0]);
        assert_eq!(lengths(3 * CHUNK, ArweaveJs), [CHUNK, CHUNK, CHUNK, 0]);
        assert_eq!(lengths(CHUNK, Naive), [CHUNK]);
        assert_eq!(lengths(3 * CHUNK, Naive), [CHUNK, CHUNK, CHUNK]);
    }

    #[test]
    fn only_arweave_js_shares_what_would_make_a_short_last_chunk() {
        assert_eq!(lengths(CHUNK + 1, ArweaveJs), [131_073, 131_072]);
        assert_eq!(lengths(2 * CHUNK + MIN_LAST - 1, ArweaveJs), [CHUNK, 147_456, 147_455]);
        assert_eq!(lengths(2 * CHUNK + MIN_LAST, ArweaveJs), [CHUNK, CHUNK, MIN_LAST]);
        assert_eq!(lengths(CHUNK + 1, Naive), [CHUNK, 1]);
    }

    #[test]
    fn the_number_of_chunks_is_known_before() {
        for rule in [ArweaveJs, Naive] {
            for chunks in 0..4 {
                for more in [0, 1, MIN_LAST - 1, MIN_LAST, MIN_LAST + 1, CHUNK - 1] {
                    let mut lengths = chunk_lengths(chunks * CHUNK + more, rule);
                    loop {
                        let count = lengths.clone().count();
                        assert_eq!(lengths.size_hint(), (count, Some(count)));
                        if lengths.next().is_none() {
                            break;
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_size_does_not_overflow() {
        for rule in [ArweaveJs, Naive] {
            let mut lengths = chunk_lengths(u64::MAX, rule);

            assert_eq!(lengths.next(), Some(CHUNK));
            #[cfg(target_pointer_width = "64")]
            assert_eq!(lengths.size_hint().0, (1 << 46) - 1);
        }
    }
}
