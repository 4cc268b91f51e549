//! Reads the golden vectors, with their spellings of numbers and bytes.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) fn vectors(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/arweave");
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// Sizes and offsets are numbers or decimal text.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| text(value).parse().unwrap())
}

pub(crate) fn hex(value: &Value) -> Vec<u8> {
    let digits = text(value).as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

pub(crate) fn base64url(value: &Value) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut filled, mut bytes) = (0_u32, 0, Vec::new());
    for digit in text(value).bytes() {
        let six = alphabet.iter().position(|&letter| letter == digit).unwrap();
        bits = bits << 6 | u32::try_from(six).unwrap();
        filled += 6;
        if filled >= 8 {
            filled -= 8;
            bytes.push(u8::try_from(bits >> filled & 0xff).unwrap());
        }
    }
    bytes
}

/// The generators described in `tests/vectors/arweave/README.md`.
pub(crate) fn generated(name: &str, size: u64) -> Vec<u8> {
    let size = usize::try_from(size).unwrap();
    let mut data: Vec<u8> = match name {
        "g1" => {
            (0..=255_u8).cycle().take(size).map(|i| i.wrapping_mul(31).wrapping_add(7)).collect()
        }
        "g2" => {
            (0..size.div_ceil(32) as u64).flat_map(|k| Sha256::digest(k.to_le_bytes())).collect()
        }
        _ => panic!("{name}"),
    };
    data.truncate(size);
    data
}
