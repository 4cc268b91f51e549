//! Deep hashes: Arweave's digest of nested lists of bytes, which transactions and data items sign.
//!
//! The deep hash of a list is computed from those of its items, so hash a nested value from the inside out:
//!
//! ```
//! use ritual_artifacts_core::arweave::deep_hash::{blob, list};
//!
//! let tags = list(&[list(&[blob(b"Content-Type"), blob(b"text/plain")])]);
//! let message = list(&[blob(b"2"), tags]);
//! # assert_ne!(message, list(&[blob(b"2")]));
//! ```

use sha2::{Digest, Sha384};

/// A SHA-384 digest.
pub type DeepHash = [u8; 48];

/// The deep hash of bytes.
#[must_use]
pub fn blob(data: &[u8]) -> DeepHash {
    pair(&tag("blob", data.len() as u64), &Sha384::digest(data).into())
}

/// The deep hash of a list of items with these deep hashes.
#[must_use]
pub fn list(items: &[DeepHash]) -> DeepHash {
    let tag = tag("list", items.len() as u64);
    items.iter().fold(tag, |hash, item| pair(&hash, item))
}

/// The digest of a value's kind and length, without which different values could have one deep hash.
fn tag(kind: &str, length: u64) -> DeepHash {
    Sha384::digest(format!("{kind}{length}")).into()
}

fn pair(first: &DeepHash, second: &DeepHash) -> DeepHash {
    Sha384::new().chain_update(first).chain_update(second).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_only_in_their_shape_have_different_hashes() {
        let (a, b) = (blob(b"a"), blob(b"b"));
        let hashes = [
            blob(b""),
            blob(b"ab"),
            list(&[]),
            list(&[blob(b"")]),
            list(&[list(&[])]),
            list(&[blob(b"ab")]),
            list(&[a, b]),
            list(&[b, a]),
            list(&[list(&[a]), b]),
            list(&[a, list(&[b])]),
            list(&[list(&[a, b])]),
        ];

        let mut distinct = hashes.to_vec();
        distinct.sort_unstable();
        distinct.dedup();

        assert_eq!(distinct.len(), hashes.len());
    }
}
