//! Validating proofs (`data_path`) against a trusted root.

use std::ops::Range;

use super::chunk::CHUNK;
use super::node::{Hash, id, offset_of};

/// Maximum length of a proof in bytes: the Arweave node rejects longer ones.
pub const MAX_PROOF: usize = 256 * 1024;

/// Length of a leaf: the hash of the chunk and the note of its end.
const LEAF: usize = 64;
/// Length of a branch: the ids of two children and the note of where the second begins.
const BRANCH: usize = 96;
/// Marks a branch below which offsets count from the beginning of each child.
const REBASE_MARK: Hash = [0; 32];

/// A chunk that is proven to be part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenChunk {
    /// SHA-256 of the chunk.
    pub data_hash: Hash,
    /// Offset in the data of the chunk's first byte.
    pub start: u64,
    /// Offset in the data of the first byte after the chunk.
    pub end: u64,
}

/// Why a proof is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The offset is not in the data.
    #[error("offset {offset} is outside the data of {size} bytes")]
    OffsetOutside {
        /// The requested offset.
        offset: u64,
        /// The size of the data.
        size: u64,
    },
    /// The proof has an impossible length.
    #[error(
        "the proof has {length} bytes, expected steps of 96 bytes and a last one of 64, at most {MAX_PROOF} in all"
    )]
    Length {
        /// Bytes of the proof.
        length: usize,
    },
    /// The proof belongs to another root, or to another offset.
    #[error(
        "the hash of step {step} of the proof differs from the one in the step before it (or from the root)"
    )]
    Hash {
        /// The step, counted from 0 at the root.
        step: usize,
    },
    /// The offsets in the proof contradict each other.
    #[error("the offset in step {step} of the proof contradicts the steps before it")]
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

/// Validate the proof of the chunk that contains the byte at `offset`, in data of `size` bytes with the `data_root`
/// `root`, and return the chunk's place and hash.
///
/// `proof` may come from an untrusted source. `root` and `size` have to be trusted: take them from the signed
/// transaction.
///
/// # Errors
///
/// The proof is invalid, and says nothing about the chunk.
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

/// The current position on the way from the root to the leaf.
struct Place {
    /// The id that the next step must have.
    id: Hash,
    /// Offset of the requested byte, counted from `frame`.
    offset: u64,
    /// The bytes below, counted in the same way; the requested byte is inside.
    range: Range<u64>,
    /// Where in the data the offsets here begin to count.
    frame: u64,
}

impl Place {
    /// Go down a branch, to the side of the requested byte.
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

    /// From here on, offsets count from the beginning of what is below.
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

    /// The offset in a node's note, its last part, after checking the node's id and that the offset is in range.
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

/// Split a step into its parts of 32 bytes.
fn hashes<const BYTES: usize, const PARTS: usize>(step: &[u8; BYTES]) -> [Hash; PARTS] {
    const { assert!(BYTES == 32 * PARTS) };
    let mut parts = step.as_chunks().0.iter().copied();
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
