//! Digests, each with a single valid spelling.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

/// A text that is not a valid digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}")]
pub struct ParseDigestError {
    text: String,
    what: &'static str,
}

impl ParseDigestError {
    fn new(text: &str, what: &'static str) -> Self {
        Self { text: text.to_owned(), what }
    }
}

impl From<[u8; 32]> for Sha256Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<Sha256Digest> for [u8; 32] {
    fn from(digest: Sha256Digest) -> Self {
        digest.0
    }
}

impl AsRef<[u8]> for Sha256Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sha256Digest({self})")
    }
}

impl FromStr for Sha256Digest {
    type Err = ParseDigestError;

    /// Upper case is refused: with two spellings of a digest, equal manifests could differ.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let digest = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        digest.map(Self).ok_or_else(|| {
            let what = "SHA-256 digest: expected 64 lower-case hexadecimal digits";
            ParseDigestError::new(text, what)
        })
    }
}

/// The root of a file's chunks on Arweave, written in base64url without padding; empty for an empty file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataRoot(Option<[u8; 32]>);

/// From the root of a Merkle tree; `None` for empty data, which has no tree.
impl From<Option<[u8; 32]>> for DataRoot {
    fn from(root: Option<[u8; 32]>) -> Self {
        Self(root)
    }
}

impl fmt::Display for DataRoot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |root| formatter.write_str(&BASE64URL_NOPAD.encode(&root)))
    }
}

impl FromStr for DataRoot {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let root = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let root = root.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        root.map(|root| Self(Some(root))).ok_or_else(|| {
            ParseDigestError::new(text, "data root: expected 43 characters of base64url")
        })
    }
}

/// The id of a transaction or data item on Arweave, written in base64url without padding: SHA-256 of its signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId([u8; 32]);

impl From<[u8; 32]> for TransactionId {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for TransactionId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TransactionId({self})")
    }
}

impl FromStr for TransactionId {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let id = id.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        id.map(Self).ok_or_else(|| {
            ParseDigestError::new(text, "transaction id: expected 43 characters of base64url")
        })
    }
}

/// The id of a git blob, written in lower-case hex: SHA-1 of `blob `, the size in decimal, a NUL and the content.
///
/// See "Git Objects" in the book "Pro Git".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GitSha1([u8; 20]);

impl From<[u8; 20]> for GitSha1 {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for GitSha1 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for GitSha1 {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sha1 = HEXLOWER.decode(text.as_bytes()).ok();
        let sha1 = sha1.and_then(|bytes| <[u8; 20]>::try_from(bytes).ok());
        sha1.map(Self).ok_or_else(|| {
            ParseDigestError::new(text, "git blob SHA-1: expected 40 lower-case hexadecimal digits")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256::Hasher;

    /// SHA-256 of "abc", from FIPS 180-4's published examples.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_published_example_is_reproduced() {
        assert_eq!(Hasher::digest(b"abc").to_string(), ABC);
    }

    #[test]
    fn a_displayed_digest_parses_back() {
        let digest =
            Sha256Digest::from(*b"0123456789\x00\x01\x0f\x10\x7f\x80\xf0\xffabcdefghijklmn");

        assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn any_other_spelling_is_refused() {
        let wrong = [
            String::new(),
            ABC.to_uppercase(),
            format!("0x{}", &ABC[2..]),
            format!("{ABC}0"),
            ABC[1..].to_owned(),
            format!("{}g", &ABC[1..]),
            "é".repeat(32),
        ];

        for text in wrong {
            assert!(text.parse::<Sha256Digest>().is_err(), "{text:?} was accepted");
        }
    }
}
