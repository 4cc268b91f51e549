//! Checking a `data_path`: what a chunk's bytes have to be, from a root that is trusted.

use std::ops::Range;

use super::chunk::CHUNK;
use super::node::{Hash, id, offset_of};

/// Bytes of a proof at most: the node takes no longer ones.
pub const MAX_PROOF: usize = 256 * 1024;

/// A chunk's hash and the note of its end.
const LEAF: usize = 64;
/// The ids of two children and the note of where the second begins.
const BRANCH: usize = 96;
/// Comes before a branch whose children count their offsets from their own beginning.
const REBASE_MARK: Hash = [0; 32];

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
) -> Result<ProvenChunk, ProofError> {
    if offset >= size {
        return Err(ProofError::OffsetOutside { offset, size });
    }
    let wrong_length = ProofError::Length { length: proof.len() };
    if proof.len() > MAX_PROOF {
        return Err(wrong_length);
    }
    let mut place = Place { id: *root, offset, range: 0..size, frame: 0 };
    let mut rest = proof;
    for step in 0.. {
        if let Ok(leaf) = <&[u8; LEAF]>::try_from(rest) {
            return place.leaf(leaf, step);
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
}

impl Place {
    /// Go down by a branch, on the side of the byte that is looked for.
    fn descend(&mut self, branch: &[u8; BRANCH], step: usize) -> Result<(), ProofError> {
        let [left, right, note] = hashes(branch);
        let split = self.offset_in(step, [left, right, note])?;
        if self.offset < split {
            (self.id, self.range.end) = (left, split);
        } else {
            (self.id, self.range.start) = (right, split);
        }
        Ok(())
    }

    /// From here on, the notes count from the beginning of what is below.
    fn rebase(&mut self) {
        let start = self.range.start;
        self.frame += start;
        self.offset -= start;
        self.range = 0..self.range.end - start;
    }

    fn leaf(&self, leaf: &[u8; LEAF], step: usize) -> Result<ProvenChunk, ProofError> {
        let [data_hash, note] = hashes(leaf);
        if self.offset_in(step, [data_hash, note])? != self.range.end {
            return Err(ProofError::Note { step });
        }
        let length = self.range.end - self.range.start;
        if length > CHUNK {
            return Err(ProofError::ChunkTooLong { length });
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
}

/// The parts of 32 bytes of a step.
fn hashes<const BYTES: usize, const PARTS: usize>(step: &[u8; BYTES]) -> [Hash; PARTS] {
    const { assert!(BYTES == 32 * PARTS) };
    let mut parts = step.as_chunks().0.iter().copied();
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
