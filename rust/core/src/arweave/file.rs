//! The tree over a file's chunks, built on all cores.

use std::num::NonZeroUsize;
use std::path::Path;

use super::chunk::{SplitRule, chunk_lengths};
use super::merkle::{Leaf, MerkleTree};
use super::node::Hash;
use crate::cancel::CancelToken;
use crate::digest::Sha256Digest;
use crate::engine::{self, Limits, Message};
use crate::error::{Change, Result, all_or_error};
use crate::hash::ReadSize;
use crate::progress::Progress;
use crate::sha256::Hasher;
use crate::source::Source;

/// Chunks planned at once: 1 GiB of them, so that the plan stays small.
const WINDOW: usize = 4096;

/// How [`read_tree`] works.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeOptions {
    /// How the file is split.
    pub rule: SplitRule,
    /// Whether a symbolic link is read through or refused (the default).
    pub follow_symlinks: bool,
    /// Maximum number of threads; one per core if `None`.
    pub max_workers: Option<NonZeroUsize>,
    /// Bytes that a worker reads before it hashes them.
    pub read_size: ReadSize,
}

/// Read a regular file once and build the tree over its chunks; `None` for an empty file.
///
/// The chunks are independent of each other, so all cores share the work.
///
/// # Errors
///
/// The file cannot be read, is not a regular file, or changed while it was read; or the call was cancelled.
pub fn read_tree(
    path: &Path,
    options: &TreeOptions,
    progress: &Progress,
    cancel: &CancelToken,
) -> Result<Option<MerkleTree>> {
    let source = Source::open(path, options.follow_symlinks)?;
    let limits = Limits {
        max_workers: options.max_workers,
        read_size: options.read_size.get(),
        stop_at_error: true,
    };
    let mut lengths = chunk_lengths(source.size(), options.rule);
    let mut leaves: Vec<Leaf> = Vec::new();
    loop {
        let window: Vec<_> = lengths.by_ref().take(WINDOW).collect();
        if window.is_empty() {
            break;
        }
        let start = leaves.last().map_or(0, |leaf| leaf.end);
        let ends: Vec<_> = window
            .iter()
            .scan(start, |end, length| {
                *end += length;
                Some(*end)
            })
            .collect();
        let results = engine::run(&window, limits, cancel, |index| {
            let (source, end) = (&source, ends[index]);
            Ok(Section { source, position: end - window[index], end, progress, cancel })
        });
        leaves.extend(all_or_error(results)?);
    }
    source.check_end()?;
    Ok(MerkleTree::new(leaves))
}

/// Read one chunk of a file and verify it against a tree built earlier.
///
/// # Errors
///
/// The file cannot be read, is not a regular file, or the chunk has changed.
///
/// # Panics
///
/// The tree has no leaf at `index`.
pub fn read_chunk(
    path: &Path,
    tree: &MerkleTree,
    index: usize,
    follow_symlinks: bool,
) -> Result<Vec<u8>> {
    let leaves = tree.leaves();
    let start = index.checked_sub(1).map_or(0, |before| leaves[before].end);
    let length = usize::try_from(leaves[index].end - start).unwrap_or(usize::MAX);
    let mut chunk = vec![0; length];
    let source = Source::open(path, follow_symlinks)?;
    source.read_at(&mut chunk, start, &Progress::new(), &CancelToken::new())?;
    if Hash::from(Hasher::digest(&chunk)) != leaves[index].data_hash {
        return Err(source.changed(Change::Content { offset: start }));
    }
    Ok(chunk)
}

/// Build the tree over a file under another split rule, from a tree built earlier.
///
/// The rules differ in the last chunks only. Only these are read again, and verified against the earlier tree.
///
/// # Errors
///
/// The file cannot be read, is not a regular file, or these chunks have changed.
pub fn read_tree_again(
    path: &Path,
    tree: &MerkleTree,
    rule: SplitRule,
    follow_symlinks: bool,
) -> Result<MerkleTree> {
    let before = tree.leaves();
    let size = before.last().map_or(0, |leaf| leaf.end);
    let ends = chunk_lengths(size, rule).scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    let same = before.iter().zip(ends.clone()).take_while(|(leaf, end)| leaf.end == *end).count();
    let (kept, others) = before.split_at(same);
    let start = kept.last().map_or(0, |leaf| leaf.end);

    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(usize::MAX)];
    if !bytes.is_empty() {
        let source = Source::open(path, follow_symlinks)?;
        source.read_at(&mut bytes, start, &Progress::new(), &CancelToken::new())?;
        if leaves_of(&bytes, start, others.iter().map(|leaf| leaf.end)) != others {
            return Err(source.changed(Change::Content { offset: start }));
        }
    }
    let leaves = [kept, &leaves_of(&bytes, start, ends.skip(same))].concat();
    Ok(MerkleTree::new(leaves).unwrap_or_else(|| tree.clone()))
}

/// The leaves of `bytes`, which begin at offset `start` and are split at `ends`.
fn leaves_of(bytes: &[u8], start: u64, ends: impl Iterator<Item = u64>) -> Vec<Leaf> {
    let mut rest = bytes;
    let mut before = start;
    ends.map(|end| {
        let length = usize::try_from(end - before).unwrap_or(usize::MAX);
        let (chunk, after) = rest.split_at(length);
        (rest, before) = (after, end);
        Leaf { data_hash: Hasher::digest(chunk).into(), end }
    })
    .collect()
}

/// A chunk of a file.
struct Section<'a> {
    source: &'a Source,
    position: u64,
    end: u64,
    progress: &'a Progress,
    cancel: &'a CancelToken,
}

impl Message for Section<'_> {
    type Output = Leaf;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let buffer_length = buffer.len();
        let part = &mut buffer[..left.min(buffer_length)];
        self.source.read_at(part, self.position, self.progress, self.cancel)?;
        self.position += part.len() as u64;
        Ok(part.len())
    }

    fn finish(self, sha256: Sha256Digest) -> Result<Leaf> {
        Ok(Leaf { data_hash: sha256.into(), end: self.end })
    }
}
