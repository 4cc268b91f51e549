//! SHA-256 digests and their one spelling.

use std::fmt;
use std::str::FromStr;

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

impl AsRef<[u8]> for Sha256Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(2 * self.0.len());
        for byte in self.0 {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
        }
        formatter.write_str(&text)
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
        let refused = || ParseDigestError(text.to_owned());
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return Err(refused());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let high = nibble(pair[0]).ok_or_else(refused)?;
            let low = nibble(pair[1]).ok_or_else(refused)?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
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
