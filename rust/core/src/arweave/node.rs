//! The ids of a tree's nodes, many at once.
//!
//! A node has parts of 32 bytes: a leaf has its chunk's hash and a note, a branch its children's ids and a note.
//! A note is an offset. The id of a node is the hash of the hashes of its parts. Data of 500 GB has four million
//! nodes, and each takes three or four hashes of one or two blocks. Computed one by one, such short hashes would
//! leave most of a core idle.

use crate::sha256::{BLOCK, INITIAL_STATE, Stream, compress, digest_of, pad};

/// A SHA-256 digest: a node's id or the hash of a chunk.
pub type Hash = [u8; 32];

/// Nodes whose ids are computed at once: enough to fill the widest kernel.
const BATCH: usize = 32;

/// An offset as a node holds it: 256 bits, most significant byte first.
pub(super) fn note(offset: u64) -> Hash {
    let mut note = [0; 32];
    note[24..].copy_from_slice(&offset.to_be_bytes());
    note
}

/// The offset in a note; `None` if it does not fit in 64 bits.
pub(super) fn offset_of(note: &Hash) -> Option<u64> {
    let (high, low) = note.split_last_chunk()?;
    high.iter().all(|&byte| byte == 0).then(|| u64::from_be_bytes(*low))
}

/// Write the ids of `nodes`, each given by its parts, to `ids`; stops at the end of either.
pub(super) fn write_ids<const PARTS: usize>(
    mut nodes: impl Iterator<Item = [Hash; PARTS]>,
    ids: &mut [Hash],
) {
    for ids in ids.chunks_mut(BATCH) {
        let parts: Vec<Hash> = nodes.by_ref().take(ids.len()).flatten().collect();
        let hashes = hash_each::<BLOCK>(parts.iter().map(<[u8; 32]>::as_slice));
        let nodes = hashes.chunks_exact(PARTS).map(<[Hash]>::as_flattened);
        // Two or three hashes and the padding.
        for (id, hash) in ids.iter_mut().zip(hash_each::<{ 2 * BLOCK }>(nodes)) {
            *id = hash;
        }
    }
}

/// The id of one node.
pub(super) fn id<const PARTS: usize>(parts: [Hash; PARTS]) -> Hash {
    let mut id = [[0; 32]];
    write_ids(std::iter::once(parts), &mut id);
    id[0]
}

/// SHA-256 of messages that all have `PADDED` bytes once padded.
fn hash_each<'a, const PADDED: usize>(messages: impl Iterator<Item = &'a [u8]>) -> Vec<Hash> {
    let padded: Vec<_> = messages
        .map(|message| {
            let mut padded = [0; PADDED];
            padded[..message.len()].copy_from_slice(message);
            let end = pad(&mut padded, message.len(), message.len() as u64);
            debug_assert_eq!(end, PADDED);
            padded
        })
        .collect();
    let mut states = vec![INITIAL_STATE; padded.len()];
    let mut streams: Vec<_> =
        states.iter_mut().zip(&padded).map(|(state, data)| Stream { state, data }).collect();
    compress(&mut streams);
    states.iter().map(|state| digest_of(state).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256::Hasher;

    fn one_at_a_time(parts: &[Hash]) -> Hash {
        let hashes: Vec<Hash> = parts.iter().map(|part| Hasher::digest(part).into()).collect();
        Hasher::digest(hashes.as_flattened()).into()
    }

    fn part(number: usize) -> Hash {
        Hasher::digest(&number.to_le_bytes()).into()
    }

    #[test]
    fn ids_computed_at_once_equal_those_computed_one_by_one() {
        for count in (0..=2 * BATCH + 3).chain([1000]) {
            let leaves: Vec<_> = (0..count).map(|i| [part(i), note(i as u64)]).collect();
            let branches: Vec<_> =
                (0..count).map(|i| [part(i), part(!i), note(i as u64)]).collect();
            let mut ids = vec![[0; 32]; count];

            write_ids(leaves.iter().copied(), &mut ids);
            assert!(ids.iter().zip(&leaves).all(|(id, parts)| *id == one_at_a_time(parts)));

            write_ids(branches.iter().copied(), &mut ids);
            assert!(ids.iter().zip(&branches).all(|(id, parts)| *id == one_at_a_time(parts)));
        }
    }

    #[test]
    fn a_note_has_256_bits_with_the_most_significant_byte_first() {
        let mut expected = [0; 32];
        expected[29..].copy_from_slice(&[1, 2, 3]);

        assert_eq!(note(0x01_02_03), expected);
    }

    #[test]
    fn a_note_of_more_than_64_bits_has_no_offset() {
        let mut too_large = note(5);
        too_large[23] = 1;

        assert_eq!(offset_of(&note(u64::MAX)), Some(u64::MAX));
        assert_eq!(offset_of(&too_large), None);
    }
}
