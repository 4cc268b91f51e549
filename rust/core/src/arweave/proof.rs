//! Checking a `data_path`: what a chunk's bytes have to be, from a root that is trusted.

use std::ops::Range;

use super::chunk::CHUNK;
use super::node::{Hash, id, offset_of};
use crate::sha256::Hasher;

/// Bytes of a proof at most: the node takes no longer ones.
pub const MAX_PROOF: usize = 256 * 1024;

/// A chunk's hash and the note of its end.
const LEAF: usize = 64;
/// The ids of two children and the note of where the second begins.
const BRANCH: usize = 96;
/// Comes before a branch whose children count their offsets from their own beginning.
const REBASE_MARK: Hash = [0; 32];

/// What is asked of a proof, besides that it hashes to the root and that its notes agree with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruleset {
    /// For reading: chunks of at most 256 KiB, wherever they begin. All that the network ever stored in good
    /// order, whichever rules were in force then.
    Stored,
    /// For writing: what a node asks of new data besides. Every chunk begins on a border of 256 KiB, but the
    /// last may also have one such border inside of it.
    NewData,
}

/// A place in the data, and the hash of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenChunk {
    /// SHA-256 of the chunk.
    pub data_hash: Hash,
    /// Offset in the data of the chunk's first byte.
    pub start: u64,
    /// Offset in the data of the first byte after the chunk.
    pub end: u64,
}

impl ProvenChunk {
    /// Whether `data` is the chunk.
    #[must_use]
    pub fn holds(&self, data: &[u8]) -> bool {
        let mut hasher = Hasher::new();
        // The length is not in the hash, and a hostile tree may give a chunk another one than its hash has.
        data.len() as u64 == self.end - self.start && {
            hasher.update(data);
            Hash::from(hasher.finalize()) == self.data_hash
        }
    }
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No chunk can be there.
    #[error("offset {offset} is outside of the data of {size} bytes")]
    OffsetOutside {
        /// The offset that was asked for.
        offset: u64,
        /// The size of the data.
        size: u64,
    },
    /// No proof has such a length.
    #[error(
        "{length} bytes are no proof: expected steps of 96 bytes, then 64, at most {MAX_PROOF} in all"
    )]
    Length {
        /// Bytes of the proof.
        length: usize,
    },
    /// The proof is not of this root, or not for this offset.
    #[error(
        "step {step} of the proof does not hash to what the step before it (or the root) promises"
    )]
    Hash {
        /// The step, counted from 0 at the root.
        step: usize,
    },
    /// The tree does not cover its data chunk by chunk.
    #[error("step {step} of the proof has an offset that contradicts those of the steps before it")]
    Note {
        /// The step, counted from 0 at the root.
        step: usize,
    },
    /// The chunk is longer than 256 KiB.
    #[error("the chunk has {length} bytes, expected at most {CHUNK}")]
    ChunkTooLong {
        /// Bytes of the chunk.
        length: u64,
    },
    /// A node would not take the chunk as new data.
    #[error("the chunk of bytes {start} to {end} does not begin on a border of {CHUNK} bytes")]
    Unaligned {
        /// Offset in the data of the chunk's first byte.
        start: u64,
        /// Offset in the data of the first byte after the chunk.
        end: u64,
    },
}

/// What the chunk with the byte at `offset` has to be, in data of `size` bytes whose `data_root` is `root`.
///
/// `proof` may come from anyone. `root` and `size` have to be trusted: they are in the signed transaction.
///
/// # Errors
///
/// Every [`ProofError`] says that nothing is known about the chunk.
pub fn validate_proof(
    root: &Hash,
    offset: u64,
    size: u64,
    proof: &[u8],
    ruleset: Ruleset,
) -> Result<ProvenChunk, ProofError> {
    if offset >= size {
        return Err(ProofError::OffsetOutside { offset, size });
    }
    let wrong_length = ProofError::Length { length: proof.len() };
    if proof.len() > MAX_PROOF {
        return Err(wrong_length);
    }
    let mut place = Place { id: *root, offset, range: 0..size, frame: 0, edge: Edge::Whole };
    let mut rest = proof;
    for step in 0.. {
        if let Ok(leaf) = <&[u8; LEAF]>::try_from(rest) {
            let chunk = place.leaf(leaf, step)?;
            place.check(&chunk, ruleset)?;
            return Ok(chunk);
        }
        let marked = rest.strip_prefix(&REBASE_MARK);
        let (branch, below) = marked.unwrap_or(rest).split_first_chunk().ok_or(wrong_length)?;
        place.descend(branch, step)?;
        if marked.is_some() {
            place.rebase();
        }
        rest = below;
    }
    unreachable!("each step makes the rest shorter")
}

/// Where the way down from the root has led to.
struct Place {
    /// The id that the next step must have.
    id: Hash,
    /// Offset of the byte that is looked for, counted as the notes here do.
    offset: u64,
    /// What is below, counted in the same way; the byte that is looked for is inside.
    range: Range<u64>,
    /// Where in the data the notes here begin to count.
    frame: u64,
    edge: Edge,
}

/// Which part of a tree that counts for itself a place spans.
#[derive(Clone, Copy, PartialEq)]
enum Edge {
    /// All.
    Whole,
    /// The last part.
    Last,
    /// Any other part.
    Inner,
}

impl Place {
    /// Go down by a branch, on the side of the byte that is looked for.
    fn descend(&mut self, branch: &[u8; BRANCH], step: usize) -> Result<(), ProofError> {
        let [left, right, note] = hashes(branch);
        let split = self.offset_in(step, [left, right, note])?;
        if self.offset < split {
            (self.id, self.range.end, self.edge) = (left, split, Edge::Inner);
        } else {
            (self.id, self.range.start) = (right, split);
            if self.edge == Edge::Whole {
                self.edge = Edge::Last;
            }
        }
        Ok(())
    }

    /// From here on, the notes count from the beginning of what is below.
    fn rebase(&mut self) {
        let start = self.range.start;
        self.frame += start;
        self.offset -= start;
        self.range = 0..self.range.end - start;
        self.edge = Edge::Whole;
    }

    fn leaf(&self, leaf: &[u8; LEAF], step: usize) -> Result<ProvenChunk, ProofError> {
        let [data_hash, note] = hashes(leaf);
        if self.offset_in(step, [data_hash, note])? != self.range.end {
            return Err(ProofError::Note { step });
        }
        let (start, end) = (self.frame + self.range.start, self.frame + self.range.end);
        Ok(ProvenChunk { data_hash, start, end })
    }

    /// The offset in a node's note, which is its last part, if the node has the id and the range the offset.
    fn offset_in<const PARTS: usize>(
        &self,
        step: usize,
        parts: [Hash; PARTS],
    ) -> Result<u64, ProofError> {
        if id(parts) != self.id {
            return Err(ProofError::Hash { step });
        }
        parts
            .last()
            .and_then(offset_of)
            .filter(|offset| (self.range.start..=self.range.end).contains(offset))
            .ok_or(ProofError::Note { step })
    }

    fn check(&self, chunk: &ProvenChunk, ruleset: Ruleset) -> Result<(), ProofError> {
        let &ProvenChunk { start, end, .. } = chunk;
        if end - start > CHUNK {
            return Err(ProofError::ChunkTooLong { length: end - start });
        }
        let aligned = start.is_multiple_of(CHUNK);
        let straddles = start / CHUNK + 1 == end / CHUNK && !end.is_multiple_of(CHUNK);
        if ruleset == Ruleset::Stored || aligned || (self.edge == Edge::Last && straddles) {
            return Ok(());
        }
        Err(ProofError::Unaligned { start, end })
    }
}

/// The parts of 32 bytes of a step.
fn hashes<const BYTES: usize, const PARTS: usize>(step: &[u8; BYTES]) -> [Hash; PARTS] {
    const { assert!(BYTES == 32 * PARTS) };
    let mut parts = step.as_chunks().0.iter().copied();
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
