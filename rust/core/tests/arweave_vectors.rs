//! Results equal those of arweave-js and arbundles on known data, byte for byte.

use std::iter::once;

use ritual_artifacts_core::arweave::deep_hash::{DeepHash, blob, list};
use ritual_artifacts_core::arweave::{
    CHUNK, Hash, LeafHasher, MerkleTree, ProvenChunk, SplitRule, validate_proof,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use vectors::{base64url, generated, hex, items, number, text, vectors};

mod vectors;

fn tree(data: &[u8], rule: SplitRule, piece: usize) -> MerkleTree {
    let mut hasher = LeafHasher::new(data.len() as u64, rule);
    data.chunks(piece).for_each(|piece| hasher.update(piece));
    MerkleTree::new(hasher.finish().unwrap()).unwrap()
}

#[test]
fn data_roots_are_those_of_every_split_rule() {
    for vector in items(&vectors("data_root_g1.json")["vectors"]) {
        let size = number(&vector["size"]);
        let data = generated("g1", size);
        // The node splits data inside a transaction like one of the others.
        let as_node =
            if size.is_multiple_of(CHUNK) { SplitRule::ArweaveJs } else { SplitRule::Naive };
        let expected = [
            (SplitRule::ArweaveJs, "data_root"),
            (as_node, "data_root_node_inbody_split"),
            (SplitRule::Naive, "data_root_naive_split"),
        ];
        for (rule, key) in expected {
            for piece in [64 * 1024, 1_000_003, 4 << 20, 1 << 30] {
                let root = tree(&data, rule, piece).root();
                assert_eq!(root[..], base64url(&vector[key]), "{} bytes, {rule:?}", data.len());
            }
        }
    }
}

#[test]
fn chunks_and_proofs_are_those_of_arweave_js() {
    for vector in items(&vectors("data_root_g1.json")["vectors"]) {
        let size = number(&vector["size"]);
        let data = generated("g1", size);
        let tree = tree(&data, SplitRule::ArweaveJs, 1 << 20);
        // An empty chunk at the end is in the tree, and not in arweave-js's list.
        let ends = tree.leaves().iter().map(|leaf| leaf.end);
        let uploaded = ends.clone().zip(once(0).chain(ends)).filter(|(end, start)| start < end);
        let chunks = items(&vector["chunks"]);
        assert_eq!(chunks.len(), uploaded.count());

        for (index, chunk) in chunks.iter().enumerate() {
            let (start, end) = (number(&chunk["min"]), number(&chunk["max"]));
            let data_hash: Hash = base64url(&chunk["data_hash"]).try_into().unwrap();
            let proof = base64url(&chunk["data_path"]);
            let expected = ProvenChunk { data_hash, start, end };

            assert_eq!(tree.proof(index).unwrap(), proof);
            assert_eq!(
                (tree.leaves()[index].data_hash, tree.leaves()[index].end),
                (data_hash, end)
            );
            let offset = number(&chunk["offset"]);
            assert_eq!(validate_proof(&tree.root(), offset, size, &proof), Ok(expected));
            let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
            assert_eq!(data_hash[..], Sha256::digest(&data[range])[..]);
        }
    }
}

#[test]
fn deep_hashes_are_those_of_arweave_js() {
    fn deep_hash(value: &Value) -> DeepHash {
        match value {
            Value::Array(items) => list(&items.iter().map(deep_hash).collect::<Vec<_>>()),
            value => blob(&hex(value)),
        }
    }

    for vector in items(&vectors("deep_hash.json")["vectors"]) {
        let actual = match vector.get("input_generator") {
            Some(name) => blob(&generated(text(name), number(&vector["input_size"]))),
            None => deep_hash(&vector["input_hex"]),
        };

        assert_eq!(actual[..], hex(&vector["sha384_hex"]), "{}", vector["name"]);
    }
}

#[test]
fn the_message_that_a_transaction_signs_is_a_deep_hash() {
    for vector in items(&vectors("transactions.json")["vectors"]) {
        let transaction = &vector["post_tx_json"];
        let decimal = |name: &str| blob(text(&transaction[name]).as_bytes());
        let bytes = |name: &str| blob(&base64url(&transaction[name]));
        let pair =
            |tag: &Value| list(&[blob(&base64url(&tag["name"])), blob(&base64url(&tag["value"]))]);
        let tags: Vec<_> = items(&transaction["tags"]).iter().map(pair).collect();

        let message = list(&[
            blob(b"2"),
            bytes("owner"),
            bytes("target"),
            decimal("quantity"),
            decimal("reward"),
            bytes("last_tx"),
            list(&tags),
            decimal("data_size"),
            bytes("data_root"),
        ]);

        assert_eq!(message[..], hex(&vector["signature_data_hex"]), "{}", vector["name"]);
    }
}

#[test]
fn the_data_root_of_a_transaction_is_that_of_its_data() {
    for vector in items(&vectors("transactions.json")["vectors"]) {
        let Some(generator) = vector["data_generator"].as_str() else { continue };
        let data = generated(generator, number(&vector["data_size"]));

        let root = tree(&data, SplitRule::ArweaveJs, 1 << 20).root();

        assert_eq!(root[..], base64url(&vector["post_tx_json"]["data_root"]), "{}", vector["name"]);
    }
}

#[test]
fn the_message_that_a_data_item_signs_is_a_deep_hash() {
    for item in items(&vectors("ans104.json")["items"]) {
        let raw = base64url(&item["raw_b64url"]);
        let (owner, rest) = raw[2 + 512..].split_at(512);
        // A flag, and 32 bytes where it is set.
        let optional = |rest: &[u8]| -> (Vec<u8>, usize) {
            let length = 32 * usize::from(rest[0]);
            (rest[1..=length].to_vec(), 1 + length)
        };
        let (target, taken) = optional(rest);
        let rest = &rest[taken..];
        let (anchor, taken) = optional(rest);
        let rest = &rest[taken..];
        let tag_bytes = usize::from(u16::from_le_bytes([rest[8], rest[9]]));
        let (tags, data) = rest[16..].split_at(tag_bytes);
        assert_eq!(tags, hex(&item["raw_tags_hex"]));

        let message = list(&[
            blob(b"dataitem"),
            blob(b"1"),
            blob(number(&item["signature_type"]).to_string().as_bytes()),
            blob(owner),
            blob(&target),
            blob(&anchor),
            blob(tags),
            blob(data),
        ]);

        assert_eq!(message[..], hex(&item["signature_data_hex"]), "{}", item["name"]);
    }
}
