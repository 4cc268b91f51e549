//! The ids of the tree's nodes, many side by side.
//!
//! A node is made of parts of 32 bytes: a leaf of its chunk's hash and a note, a branch of its children's ids
//! and a note. Its id is the hash of the hashes of its parts. Data of 500 GB has four million nodes, each of
//! three or four hashes of a block or two, which are too short to keep a core busy one after the other.

use crate::sha256::{BLOCK, INITIAL_STATE, Stream, compress, digest_of, pad};

/// A SHA-256 digest: a node's id or the hash of a chunk.
pub type Hash = [u8; 32];

/// Nodes whose ids are computed in one go: enough for the widest kernel to be full.
const BATCH: usize = 32;

/// An offset as it stands in a node: 256 bits, the most significant first.
pub(super) fn note(offset: u64) -> Hash {
    let mut note = [0; 32];
    note[24..].copy_from_slice(&offset.to_be_bytes());
    note
}

/// The offset that a note stands for, unless it is larger than any data.
pub(super) fn offset_of(note: &Hash) -> Option<u64> {
    let (high, low) = note.split_last_chunk()?;
    high.iter().all(|&byte| byte == 0).then(|| u64::from_be_bytes(*low))
}

/// Write the ids of `nodes`, given by their parts, to `ids`; stops at the end of either.
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

/// SHA-256 of messages that all are `PADDED` bytes once they are padded.
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
    fn side_by_side_is_what_one_at_a_time_is() {
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
    fn a_note_is_256_bits_with_the_most_significant_first() {
        let mut expected = [0; 32];
        expected[29..].copy_from_slice(&[1, 2, 3]);

        assert_eq!(note(0x01_02_03), expected);
    }

    #[test]
    fn a_note_that_no_data_reaches_stands_for_nothing() {
        let mut too_large = note(5);
        too_large[23] = 1;

        assert_eq!(offset_of(&note(u64::MAX)), Some(u64::MAX));
        assert_eq!(offset_of(&too_large), None);
    }
}
