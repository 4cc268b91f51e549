//! Arweave's formats: chunks, their Merkle tree, proofs, deep hashes and data items.
//!
//! A transaction signs the `data_root` of its data: the id of the root of a Merkle tree whose leaves are chunks
//! of at most 256 KiB. A chunk comes with its proof (`data_path`), the path from the root to its leaf. With the
//! signed transaction, each chunk can be verified by itself, from any source.
//!
//! ```
//! use ritual_artifacts_core::arweave::{LeafHasher, MerkleTree, SplitRule, validate_proof};
//!
//! let data = vec![7; 1_000_000];
//! let mut hasher = LeafHasher::new(1_000_000, SplitRule::ArweaveJs);
//! data.chunks(65_536).for_each(|piece| hasher.update(piece));
//! let tree = MerkleTree::new(hasher.finish().unwrap()).unwrap();
//!
//! let proof = tree.proof(1).unwrap();
//! let chunk = validate_proof(&tree.root(), 300_000, 1_000_000, &proof).unwrap();
//!
//! assert_eq!((chunk.start, chunk.end), (262_144, 524_288));
//! assert_eq!(chunk.data_hash, tree.leaves()[1].data_hash);
//! ```

mod bundle;
mod chunk;
mod data_item;
pub mod deep_hash;
mod file;
mod leaf_hasher;
mod merkle;
mod node;
mod proof;
mod tags;

pub use bundle::{BundleEntry, BundleError, index_length, parse_index, write_index};
pub use chunk::{CHUNK, ChunkLengths, SplitRule, chunk_lengths};
pub use data_item::{DataItem, ItemFields};
pub use file::{TreeOptions, read_chunk, read_tree, read_tree_again};
pub use leaf_hasher::LeafHasher;
pub use merkle::{Leaf, MerkleTree};
pub use node::Hash;
pub use proof::{MAX_PROOF, ProofError, ProvenChunk, validate_proof};
pub use tags::{MAX_TAG_BYTES, MAX_TAGS, Tag, Tags};
