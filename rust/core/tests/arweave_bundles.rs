//! Data items and bundles equal those of arbundles, and are parsed again. Hostile bytes never make the parser panic,
//! or accept what a naive parser refuses.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use ritual_artifacts_core::TransactionId;
use ritual_artifacts_core::arweave::deep_hash::{DeepHash, blob, list};
use ritual_artifacts_core::arweave::{
    BundleEntry, BundleError, DataItem, ItemFields, MAX_TAG_BYTES, MAX_TAGS, Tag, Tags,
    index_length, parse_index, write_index,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use vectors::{base64url, generated, hex, items, number, text, vectors};

mod vectors;

fn id(signature: &[u8]) -> TransactionId {
    <[u8; 32]>::from(Sha256::digest(signature)).into()
}

/// The data of an item of the vectors.
fn data(item: &Value) -> Vec<u8> {
    match item["data"]["utf8"].as_str() {
        Some(text) => text.into(),
        None => generated(text(&item["data"]["generator"]), number(&item["data"]["size"])),
    }
}

fn tags(item: &Value) -> Vec<Tag> {
    let tag = |tag: &Value| (text(&tag["name"]).into(), text(&tag["value"]).into());
    items(&item["tags"]).iter().map(tag).collect()
}

#[test]
fn data_items_are_those_of_arbundles() {
    for vector in items(&vectors("ans104.json")["items"]) {
        let raw = base64url(&vector["raw_b64url"]);
        let item = DataItem::parse(&raw).unwrap();
        let content = data(vector);

        assert_eq!(item.id().to_string(), text(&vector["id"]));
        assert_eq!(item.data_offset as u64, number(&vector["header_len"]));
        assert_eq!(raw[item.data_offset..], content);
        assert_eq!(u64::from(item.fields.signature_type()), number(&vector["signature_type"]));
        assert_eq!(item.fields.tags().pairs(), tags(vector));
        let target = vector["target"].as_str().map_or(Vec::new(), |_| base64url(&vector["target"]));
        assert_eq!(item.fields.target(), target);
        assert_eq!(item.fields.anchor(), vector["anchor_utf8"].as_str().unwrap_or("").as_bytes());
        let message = item.fields.message(blob(&content));
        assert_eq!(message[..], hex(&vector["signature_data_hex"]), "{}", vector["name"]);

        // And built from their parts they have the same bytes.
        let encoded = Tags::encode(tags(vector)).unwrap();
        assert_eq!(encoded.encoded(), hex(&vector["raw_tags_hex"]));
        let (owner, anchor) = (item.fields.owner(), item.fields.anchor());
        let fields = ItemFields::new(owner, &target, anchor, encoded).unwrap();
        assert_eq!(fields, item.fields);
        assert_eq!(fields.header(&item.signature).unwrap(), raw[..item.data_offset]);
    }
}

#[test]
fn the_bundle_is_that_of_arbundles() {
    let file = vectors("ans104.json");
    let bundle = base64url(&file["bundle_of_first_three"]["raw_b64url"]);
    let raw: Vec<_> =
        items(&file["items"]).iter().map(|item| base64url(&item["raw_b64url"])).collect();

    let length = usize::try_from(index_length(&bundle).unwrap()).unwrap();
    let entries = parse_index(&bundle[..length]).unwrap();

    let ids: Vec<_> = entries.iter().map(|entry| entry.id.to_string()).collect();
    let expected = &file["bundle_of_first_three"]["ids"];
    assert_eq!(ids, items(expected).iter().map(text).collect::<Vec<_>>());
    for (entry, raw) in entries.iter().zip(&raw) {
        let place =
            [entry.offset, entry.offset + entry.size].map(|at| usize::try_from(at).unwrap());
        assert_eq!(bundle[place[0]..place[1]], *raw);
    }
    let index: Vec<_> = entries.iter().map(|entry| (entry.id, entry.size)).collect();
    assert_eq!([write_index(&index), raw.concat()].concat(), bundle);
}

/// Read an item as one would by hand, from a message that is all there: no care is taken of anything.
fn read_naively(item: &[u8]) -> Option<(Vec<Tag>, usize, DeepHash)> {
    let little =
        |bytes: &[u8]| bytes.iter().rev().fold(0_u128, |sum, &byte| sum << 8 | u128::from(byte));
    let mut at = 0_usize;
    let mut take = |count: usize| {
        let part = item.get(at..at.checked_add(count)?)?;
        at += count;
        Some(part)
    };
    let kind = little(take(2)?);
    let (signature, owner) = match kind {
        1 => (512, 512),
        2 | 4 | 5 => (64, 32),
        3 => (65, 65),
        6 => (64 * 32 + 4, 32 * 32 + 1),
        7 => (65, 42),
        _ => return None,
    };
    take(signature)?;
    let owner = take(owner)?;
    let mut optional = || match take(1)? {
        [0] => Some(&[][..]),
        [1] => take(32),
        _ => None,
    };
    let (target, anchor) = (optional()?, optional()?);
    let (count, length) = (little(take(8)?), little(take(8)?));
    let encoded = if length > 4096 { return None } else { take(usize::try_from(length).ok()?)? };
    let tags = decode_naively(encoded)?;
    if tags.len() as u128 != count {
        return None;
    }
    let parts =
        [b"dataitem", &b"1"[..], kind.to_string().as_bytes(), owner, target, anchor, encoded]
            .map(blob)
            .to_vec();
    let message = list(&[parts, vec![blob(&item[at..])]].concat());
    Some((tags, at, message))
}

/// Read an Avro array of pairs with numbers of any length.
fn decode_naively(mut encoded: &[u8]) -> Option<Vec<Tag>> {
    fn number(rest: &mut &[u8]) -> Option<i128> {
        let length = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let (digits, after) = rest.split_at(length);
        *rest = after;
        if length > 10 {
            return None;
        }
        let value =
            digits.iter().rev().fold(0_u128, |sum, byte| sum << 7 | u128::from(byte & 0x7f));
        let value = i128::from(u64::try_from(value).ok()?);
        Some(if value % 2 == 0 { value / 2 } else { -(value + 1) / 2 })
    }
    fn text(rest: &mut &[u8]) -> Option<Vec<u8>> {
        let length = usize::try_from(number(rest)?).ok()?;
        let (text, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some(text.to_vec())
    }
    let mut tags = Vec::new();
    while !encoded.is_empty() {
        let count = number(&mut encoded)?;
        if count == 0 {
            return encoded.is_empty().then_some(tags);
        }
        if count < 0 {
            let length = usize::try_from(number(&mut encoded)?).ok()?;
            encoded.get(..length)?;
        }
        for _ in 0..count.abs() {
            tags.push((text(&mut encoded)?, text(&mut encoded)?));
        }
        // An array has to end with a zero.
        if encoded.is_empty() {
            return None;
        }
    }
    Some(tags)
}

fn check(item: &[u8]) -> Result<(), TestCaseError> {
    match (DataItem::parse(item), read_naively(item)) {
        (Ok(parsed), Some((tags, data_offset, message))) => {
            prop_assert_eq!(parsed.fields.tags().pairs(), tags);
            prop_assert_eq!(parsed.data_offset, data_offset);
            prop_assert_eq!(parsed.fields.message(blob(&item[data_offset..])), message);
        }
        (Err(_), None) => {}
        (ours, naive) => prop_assert!(false, "{ours:?} and not {naive:?}"),
    }
    Ok(())
}

fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    any::<u64>().prop_map(move |seed| {
        let block = |index: u64| Sha256::digest((seed ^ index).to_le_bytes());
        (0..).flat_map(block).take(length).collect()
    })
}

fn optional() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), bytes(32)]
}

fn some_tags() -> impl Strategy<Value = Vec<Tag>> {
    let long = prop_oneof![3 => 1..20_usize, 1 => 60..70_usize, 1 => 120..300_usize];
    vec((vec(any::<u8>(), 1..10), long.prop_flat_map(|length| vec(any::<u8>(), length))), 0..8)
}

prop_compose! {
    fn parts()(
        owner in bytes(512),
        signature in bytes(512),
        (target, anchor) in (optional(), optional()),
        tags in some_tags(),
        data in vec(any::<u8>(), 0..200),
    ) -> (ItemFields, Vec<u8>, Vec<Tag>, Vec<u8>) {
        let fields =
            ItemFields::new(&owner, &target, &anchor, Tags::encode(tags.clone()).unwrap()).unwrap();
        (fields, signature, tags, data)
    }
}

proptest! {
    #[test]
    fn what_is_built_is_read_again((fields, signature, tags, data) in parts()) {
        let item = [fields.header(&signature).unwrap(), data.clone()].concat();

        let parsed = DataItem::parse(&item).unwrap();

        prop_assert_eq!(parsed.id(), id(&signature));
        prop_assert_eq!(&parsed.signature, &signature);
        prop_assert_eq!(&item[parsed.data_offset..], data);
        prop_assert_eq!(parsed.fields.tags().pairs(), tags);
        prop_assert_eq!(&parsed.fields, &fields);
        check(&item)?;
    }

    /// In half of them, the type of the signature is another one too, so that everything else moves.
    #[test]
    fn an_altered_item_is_read_as_a_naive_reader_does(
        (fields, signature, _, data) in parts(),
        changes in vec((any::<Index>(), any::<u8>()), 0..4),
        behind_the_keys in any::<bool>(),
        kind in prop_oneof![Just(1_u8), 0..=8_u8],
        cut in prop_oneof![Just(None), any::<Index>().prop_map(Some)],
    ) {
        let mut item = [fields.header(&signature).unwrap(), data].concat();
        item[0] = kind;
        for (at, byte) in changes {
            let first = if behind_the_keys { 1026 } else { 0 };
            let length = item.len();
            item[first + at.index(length - first)] = byte;
        }
        if let Some(cut) = cut {
            item.truncate(cut.index(item.len()));
        }
        check(&item)?;
    }

    /// Few bytes, most of them small numbers, make arrays that are nearly right.
    #[test]
    fn any_bytes_are_tags_to_both_readers_or_to_none(
        encoded in vec(prop_oneof![3 => 0..6_u8, 1 => any::<u8>()], 0..40),
        count in 0..6_u64,
    ) {
        let expected = decode_naively(&encoded);

        let count = expected.as_ref().map_or(count, |tags| tags.len() as u64);
        let tags = Tags::decode(&encoded, count).ok();

        prop_assert_eq!(tags.map(|tags| tags.pairs().to_vec()), expected);
    }

    #[test]
    fn any_index_is_read_or_refused(
        items in vec((any::<[u8; 32]>(), prop_oneof![0..1000_u64, any::<u64>()]), 0..5),
        change in prop_oneof![Just(None), any::<(Index, u8)>().prop_map(Some)],
        cut in prop_oneof![Just(None), any::<Index>().prop_map(Some)],
    ) {
        let items: Vec<_> = items.into_iter().map(|(id, size)| (id.into(), size)).collect();
        let mut index = write_index(&items);
        let is_whole = change.is_none() && cut.is_none();
        if let Some((at, byte)) = change {
            let length = index.len();
            index[at.index(length)] = byte;
        }
        if let Some(cut) = cut {
            index.truncate(cut.index(index.len()));
        }

        let entries = parse_index(&index);

        let sum = items.iter().map(|(_, size)| u128::from(*size)).sum::<u128>() + index.len() as u128;
        if is_whole {
            prop_assert_eq!(entries.is_ok(), sum <= u128::from(u64::MAX));
        }
        if let Ok(entries) = entries {
            let mut end = index.len() as u64;
            for BundleEntry { offset, size, .. } in &entries {
                prop_assert_eq!(*offset, end);
                end += size;
            }
            let again: Vec<_> = entries.iter().map(|entry| (entry.id, entry.size)).collect();
            prop_assert_eq!(write_index(&again), index);
        }
    }
}

/// An item of 1044 bytes and `data`, and the offset of what follows its keys.
fn plain(data: &[u8]) -> (Vec<u8>, usize) {
    let fields = ItemFields::new(&[1; 512], b"", b"", Tags::default()).unwrap();
    ([fields.header(&[2; 512]).unwrap(), data.to_vec()].concat(), 2 + 1024)
}

#[test]
fn hostile_items_are_refused() {
    let (item, keys) = plain(b"data");
    let with = |at: usize, bytes: &[u8]| {
        let mut item = item.clone();
        item[at..at + bytes.len()].copy_from_slice(bytes);
        DataItem::parse(&item).unwrap_err()
    };

    for kind in [0, 8, 0x0101, u16::MAX] {
        assert_eq!(with(0, &kind.to_le_bytes()), BundleError::SignatureType { found: kind });
    }
    for (at, what) in [(keys, "the target"), (keys + 1, "the anchor")] {
        for found in [2, 0xff] {
            assert_eq!(with(at, &[found]), BundleError::Presence { what, found });
        }
        assert!(matches!(
            with(at, &[1]),
            BundleError::Truncated { expected: 8 | 32, .. } | BundleError::TagsTooLong { .. }
        ));
    }
    for count in [1, u64::MAX] {
        let error = BundleError::TagCount { expected: count, actual: 0 };
        assert_eq!(with(keys + 2, &count.to_le_bytes()), error);
    }
    for length in [MAX_TAG_BYTES as u64 + 1, u64::MAX] {
        let error = BundleError::TagsTooLong { length };
        assert_eq!(with(keys + 10, &length.to_le_bytes()), error);
    }
    let error = BundleError::Truncated { what: "the tags", expected: 4096, actual: 4 };
    assert_eq!(with(keys + 10, &4096_u64.to_le_bytes()), error);
    for length in 0..item.len() - b"data".len() {
        assert!(DataItem::parse(&item[..length]).is_err(), "{length}");
    }
    assert!(DataItem::parse(&item[..item.len() - b"data".len()]).is_ok());
}

#[test]
fn parts_of_a_wrong_length_are_not_written() {
    let fields = |owner: usize, target: usize, anchor: usize| {
        let [owner, target, anchor] = [owner, target, anchor].map(|length| vec![7; length]);
        ItemFields::new(&owner, &target, &anchor, Tags::default())
    };
    let wrong = |what, expected, actual| BundleError::Length { what, expected, actual };

    for length in [0, 511, 513] {
        assert_eq!(fields(length, 0, 0), Err(wrong("the owner", 512, length)));
        let signature = vec![0; length];
        let error = fields(512, 0, 0).unwrap().header(&signature);
        assert_eq!(error, Err(wrong("the signature", 512, length)));
    }
    for length in [1, 31, 33] {
        assert_eq!(fields(512, length, 0), Err(wrong("the target", 32, length)));
        assert_eq!(fields(512, 32, length), Err(wrong("the anchor", 32, length)));
    }
}

#[test]
fn the_longest_header_is_read() {
    let tag = |length| (vec![b'n'; 1], vec![b'v'; length]);
    // Each short tag takes five bytes, the long one and the array seven.
    let tags = vec![tag(MAX_TAG_BYTES - 7 - 4 * (MAX_TAGS - 1)); 1];
    let tags = Tags::encode([tags, vec![tag(1); MAX_TAGS - 1]].concat()).unwrap();
    assert!(tags.encoded().len() > MAX_TAG_BYTES - 3);
    let number = |number: usize| (number as u64).to_le_bytes();
    // Signature type 6, Aptos with several keys, has the longest signature and owner.
    let item = [
        &[6, 0][..],
        &[1; 2052],
        &[2; 1025],
        &[1],
        &[3; 32],
        &[1],
        &[4; 32],
        &number(MAX_TAGS),
        &number(tags.encoded().len()),
        tags.encoded(),
    ]
    .concat();

    let read = DataItem::parse(&[&item[..], b"data"].concat()).unwrap();

    assert_eq!(read.data_offset, item.len());
    assert_eq!(read.fields.tags(), &tags);
}
