//! SHA-256 digests and their one spelling.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

/// A SHA-256 digest; written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

/// The text is not a SHA-256 digest in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a SHA-256 digest: expected 64 lower-case hexadecimal digits")]
pub struct ParseDigestError(String);

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

    /// Upper case is refused: two spellings of one digest would make equal manifests differ.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let digest = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        digest.map(Self).ok_or_else(|| ParseDigestError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256::Hasher;

    /// SHA-256 of "abc", from FIPS 180-4's published examples.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_published_example_is_met() {
        assert_eq!(Hasher::digest(b"abc").to_string(), ABC);
    }

    #[test]
    fn what_is_displayed_parses_back() {
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
