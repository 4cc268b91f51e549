//! From data to the leaves of its tree.

use std::iter::Peekable;

use super::chunk::{CHUNK, ChunkLengths, SplitRule, chunk_lengths};
use super::merkle::Leaf;
use super::node::Hash;
use crate::engine::{PART_BORDER, SideDigest};
use crate::error::Change;
use crate::sha256::{BLOCK, Hasher, INITIAL_STATE, Stream, compress, digest_of, pad};

#[expect(clippy::cast_possible_truncation, reason = "256 KiB")]
const WHOLE: usize = CHUNK as usize;

const _: () = assert!(WHOLE == PART_BORDER, "the engine's reads have to end where chunks do");

/// Chunks hashed side by side: no kernel takes more streams.
const LANES: usize = 32;

/// Hashes data chunk by chunk; it arrives in order, in pieces of any length.
///
/// Whole chunks inside a piece are hashed side by side, which is up to twice as fast as one after the other, and
/// faster still with wide vectors. Pieces of several MiB that begin at a multiple of 256 KiB are the fastest;
/// short pieces are as slow as a single stream.
#[derive(Clone)]
pub struct LeafHasher {
    size: u64,
    received: u64,
    /// The lengths of the chunks not yet in `leaves`.
    lengths: Peekable<ChunkLengths>,
    leaves: Vec<Leaf>,
    /// The beginning of the next chunk.
    started: Hasher,
    /// Bytes in `started`.
    filled: u64,
}

impl LeafHasher {
    /// A hasher for data of `size` bytes.
    #[must_use]
    pub fn new(size: u64, rule: SplitRule) -> Self {
        Self {
            size,
            received: 0,
            lengths: chunk_lengths(size, rule).peekable(),
            leaves: Vec::new(),
            started: Hasher::new(),
            filled: 0,
        }
    }

    /// Hash the next bytes.
    pub fn update(&mut self, mut data: &[u8]) {
        self.received = self.received.saturating_add(data.len() as u64);
        while !data.is_empty() {
            let whole = self.take_whole(data);
            if whole > 0 {
                let (chunks, rest) = data.split_at(whole * WHOLE);
                self.push_whole(chunks);
                data = rest;
                continue;
            }
            // Bytes after the last chunk are an error, which `finish` returns.
            let Some(&length) = self.lengths.peek() else { return };
            let missing = usize::try_from(length - self.filled).unwrap_or(usize::MAX);
            let (next, rest) = data.split_at(missing.min(data.len()));
            self.started.update(next);
            self.filled += next.len() as u64;
            if self.filled == length {
                self.push_started();
            }
            data = rest;
        }
    }

    /// The leaves, in order.
    ///
    /// # Errors
    ///
    /// The size of the data is not the one given to `new`.
    pub fn finish(mut self) -> Result<Vec<Leaf>, Change> {
        if self.received != self.size {
            let (expected, actual) = (self.size, self.received);
            return Err(Change::Size { expected, actual, at_least: false });
        }
        if self.lengths.peek() == Some(&0) {
            self.push_started();
        }
        self.leaves.shrink_to_fit();
        Ok(self.leaves)
    }

    /// Count the chunks of full length at the beginning of `data`, up to the number that is hashed at once.
    fn take_whole(&mut self, data: &[u8]) -> usize {
        if self.filled > 0 {
            return 0;
        }
        let most = (data.len() / WHOLE).min(LANES);
        (0..most).take_while(|_| self.lengths.next_if_eq(&CHUNK).is_some()).count()
    }

    fn push_whole(&mut self, chunks: &[u8]) {
        let mut padding = [0; BLOCK];
        pad(&mut padding, 0, CHUNK);
        let mut states = [INITIAL_STATE; LANES];
        let mut streams: Vec<_> = states
            .iter_mut()
            .zip(chunks.chunks_exact(WHOLE))
            .map(|(state, data)| Stream { state, data })
            .collect();
        compress(&mut streams);
        for stream in &mut streams {
            stream.data = &padding;
        }
        compress(&mut streams);
        for state in &states[..chunks.len() / WHOLE] {
            self.push(digest_of(state).into(), CHUNK);
        }
    }

    fn push_started(&mut self) {
        let chunk = std::mem::replace(&mut self.started, Hasher::new());
        self.push(chunk.finalize().into(), self.filled);
        self.filled = 0;
        self.lengths.next();
    }

    fn push(&mut self, data_hash: Hash, length: u64) {
        let start = self.leaves.last().map_or(0, |leaf| leaf.end);
        self.leaves.push(Leaf { data_hash, end: start + length });
    }
}

/// The parts are the chunks.
impl SideDigest for LeafHasher {
    fn update(&mut self, data: &[u8]) {
        Self::update(self, data);
    }

    fn room(&self) -> usize {
        let length = self.lengths.clone().next().unwrap_or(0);
        usize::try_from(length.saturating_sub(self.filled)).unwrap_or(usize::MAX)
    }

    fn can_stream(&self, data: &[u8]) -> bool {
        self.started.is_at_block() && data.len().is_multiple_of(BLOCK) && data.len() <= self.room()
    }

    fn stream<'a>(&'a mut self, data: &'a [u8]) -> Stream<'a> {
        assert!(self.can_stream(data), "not whole blocks of one chunk");
        self.received += data.len() as u64;
        self.filled += data.len() as u64;
        self.started.stream(data)
    }

    fn settle(&mut self) {
        if self.filled > 0 && self.room() == 0 {
            self.push_started();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(size: u64, pieces: &[&[u8]]) -> Result<Vec<Leaf>, Change> {
        let mut hasher = LeafHasher::new(size, SplitRule::ArweaveJs);
        for piece in pieces {
            hasher.update(piece);
        }
        hasher.finish()
    }

    #[test]
    fn no_data_has_no_leaves() {
        assert_eq!(finish(0, &[]), Ok(Vec::new()));
        assert_eq!(finish(0, &[b"", b""]), Ok(Vec::new()));
    }

    #[test]
    fn the_empty_chunk_after_whole_ones_is_a_leaf() {
        let data = vec![1; WHOLE];

        let leaves = finish(CHUNK, &[&data]).unwrap();

        let hashes = [&data[..], b""].map(|chunk| Hash::from(Hasher::digest(chunk)));
        assert_eq!(leaves, hashes.map(|data_hash| Leaf { data_hash, end: CHUNK }));
    }

    #[test]
    fn data_of_another_size_is_refused() {
        let changed = |expected, actual| Err(Change::Size { expected, actual, at_least: false });
        let long = vec![0; 3 * WHOLE];

        assert_eq!(finish(1, &[]), changed(1, 0));
        assert_eq!(finish(0, &[b"a"]), changed(0, 1));
        assert_eq!(finish(CHUNK, &[&long]), changed(CHUNK, 3 * CHUNK));
        assert_eq!(finish(CHUNK, &[&long, &long]), changed(CHUNK, 6 * CHUNK));
        assert_eq!(finish(4 * CHUNK, &[&long]), changed(4 * CHUNK, 3 * CHUNK));
        assert_eq!(finish(u64::MAX, &[b"abc"]), changed(u64::MAX, 3));
    }
}
