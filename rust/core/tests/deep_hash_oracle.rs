//! Deep hashes equal those of a naive implementation of the protocol's description.

use proptest::collection::vec;
use proptest::prelude::*;
use ritual_artifacts_core::arweave::deep_hash::{DeepHash, blob, list};
use sha2::{Digest, Sha384};

#[derive(Clone, Debug)]
enum Value {
    Blob(Vec<u8>),
    List(Vec<Value>),
}

fn value() -> impl Strategy<Value = Value> {
    let blob = prop_oneof![vec(any::<u8>(), 0..4), vec(any::<u8>(), 0..300)].prop_map(Value::Blob);
    blob.prop_recursive(4, 24, 5, |item| vec(item, 0..5).prop_map(Value::List))
}

fn deep_hash(value: &Value) -> DeepHash {
    match value {
        Value::Blob(data) => blob(data),
        Value::List(items) => list(&items.iter().map(deep_hash).collect::<Vec<_>>()),
    }
}

fn described(value: &Value) -> DeepHash {
    let sha384 = |parts: &[&[u8]]| -> DeepHash { Sha384::digest(parts.concat()).into() };
    match value {
        Value::Blob(data) => {
            let length = data.len().to_string();
            sha384(&[&sha384(&[b"blob", length.as_bytes()]), &sha384(&[data])])
        }
        Value::List(items) => {
            let mut hash = sha384(&[b"list", items.len().to_string().as_bytes()]);
            for item in items {
                hash = sha384(&[&hash, &described(item)]);
            }
            hash
        }
    }
}

proptest! {
    #[test]
    fn deep_hashes_are_those_of_the_description(value in value()) {
        prop_assert_eq!(deep_hash(&value), described(&value));
    }
}
