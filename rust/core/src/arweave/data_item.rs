//! Data items (ANS-104): data with its own owner, tags and signature, inside another transaction's data.

use sha2::{Digest, Sha256};

use super::bundle::BundleError;
use super::deep_hash::{DeepHash, blob, list};
use super::node::Hash;
use super::tags::{Tags, refuse_long};
use crate::digest::TransactionId;

/// Lengths in bytes of signature and owner, for each signature type from 1: Arweave, ed25519, Ethereum, Solana,
/// Aptos, Aptos with several keys, and Ethereum's typed data.
const LENGTHS: [(usize, usize); 7] =
    [(512, 512), (64, 32), (65, 65), (64, 32), (64, 32), (2052, 1025), (65, 42)];
/// Arweave's own signature type: RSA-PSS with a 4096-bit key.
const ARWEAVE: u16 = 1;

/// The fields of a data item that its signature covers, without the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemFields {
    signature_type: u16,
    owner: Vec<u8>,
    target: Option<Hash>,
    anchor: Option<Hash>,
    tags: Tags,
}

impl ItemFields {
    /// The fields of an item for an Arweave wallet to sign. An empty `target` or `anchor` is left out.
    ///
    /// # Errors
    ///
    /// A field has the wrong length.
    pub fn new(
        owner: &[u8],
        target: &[u8],
        anchor: &[u8],
        tags: Tags,
    ) -> Result<Self, BundleError> {
        let (_, owner_length) = lengths(ARWEAVE)?;
        check_length("the owner", owner, owner_length)?;
        let optional = |what, bytes: &[u8]| {
            check_length(what, bytes, if bytes.is_empty() { 0 } else { size_of::<Hash>() })?;
            Ok(bytes.try_into().ok())
        };
        Ok(Self {
            signature_type: ARWEAVE,
            owner: owner.to_vec(),
            target: optional("the target", target)?,
            anchor: optional("the anchor", anchor)?,
            tags,
        })
    }

    /// The signature type: 1 for an Arweave wallet.
    #[must_use]
    pub fn signature_type(&self) -> u16 {
        self.signature_type
    }

    /// The owner's public key; for Arweave the modulus, most significant byte first.
    #[must_use]
    pub fn owner(&self) -> &[u8] {
        &self.owner
    }

    /// The address of the recipient; empty for none.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.target.as_ref().map_or(&[], |target| target)
    }

    /// Bytes that tell equal items apart; empty for none.
    #[must_use]
    pub fn anchor(&self) -> &[u8] {
        self.anchor.as_ref().map_or(&[], |anchor| anchor)
    }

    /// The tags.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        &self.tags
    }

    /// The message to sign, for data with this deep hash.
    #[must_use]
    pub fn message(&self, data: DeepHash) -> DeepHash {
        list(&[
            blob(b"dataitem"),
            blob(b"1"),
            blob(self.signature_type.to_string().as_bytes()),
            blob(&self.owner),
            blob(self.target()),
            blob(self.anchor()),
            blob(self.tags.encoded()),
            data,
        ])
    }

    /// The item's header, which comes before its data.
    ///
    /// # Errors
    ///
    /// The signature has the wrong length for its type.
    pub fn header(&self, signature: &[u8]) -> Result<Vec<u8>, BundleError> {
        let (signature_length, _) = lengths(self.signature_type)?;
        check_length("the signature", signature, signature_length)?;
        let number = |number: usize| (number as u64).to_le_bytes();
        let encoded = self.tags.encoded();
        let optional = [self.target(), self.anchor()];
        Ok([
            &self.signature_type.to_le_bytes(),
            signature,
            &self.owner,
            &[u8::from(self.target.is_some())],
            optional[0],
            &[u8::from(self.anchor.is_some())],
            optional[1],
            &number(self.tags.pairs().len()),
            &number(encoded.len()),
            encoded,
        ]
        .concat())
    }
}

/// A data item without its data. Its signature is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataItem {
    /// The signed fields.
    pub fields: ItemFields,
    /// The signature; its length fits its type.
    pub signature: Vec<u8>,
    /// Offset in the item of the data's first byte.
    pub data_offset: usize,
}

impl DataItem {
    /// Parse an item; `item` has at least its whole header.
    ///
    /// # Errors
    ///
    /// The header is invalid or incomplete.
    pub fn parse(item: &[u8]) -> Result<Self, BundleError> {
        let mut parts = Parts { rest: item };
        let signature_type = u16::from_le_bytes(parts.array("the signature type")?);
        let (signature_length, owner_length) = lengths(signature_type)?;
        let signature = parts.take("the signature", signature_length as u64)?.to_vec();
        let owner = parts.take("the owner", owner_length as u64)?.to_vec();
        let target = parts.optional("the target")?;
        let anchor = parts.optional("the anchor")?;
        let count = u64::from_le_bytes(parts.array("the number of tags")?);
        let length = u64::from_le_bytes(parts.array("the length of the tags")?);
        refuse_long(length)?;
        let tags = Tags::decode(parts.take("the tags", length)?, count)?;
        let fields = ItemFields { signature_type, owner, target, anchor, tags };
        Ok(Self { fields, signature, data_offset: item.len() - parts.rest.len() })
    }

    /// The item's id: SHA-256 of its signature.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        TransactionId::from(<Hash>::from(Sha256::digest(&self.signature)))
    }
}

/// Lengths in bytes of signature and owner.
fn lengths(signature_type: u16) -> Result<(usize, usize), BundleError> {
    let index = usize::from(signature_type).checked_sub(1);
    let known = index.and_then(|index| LENGTHS.get(index)).copied();
    known.ok_or(BundleError::SignatureType { found: signature_type })
}

fn check_length(what: &'static str, part: &[u8], expected: usize) -> Result<(), BundleError> {
    let actual = part.len();
    if actual == expected { Ok(()) } else { Err(BundleError::Length { what, expected, actual }) }
}

/// The unread rest of an item.
struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    fn take(&mut self, what: &'static str, length: u64) -> Result<&'a [u8], BundleError> {
        let taken =
            usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (part, rest) = taken.ok_or(BundleError::Truncated {
            what,
            expected: length,
            actual: self.rest.len() as u64,
        })?;
        self.rest = rest;
        Ok(part)
    }

    fn array<const LENGTH: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; LENGTH], BundleError> {
        let mut array = [0; LENGTH];
        array.copy_from_slice(self.take(what, LENGTH as u64)?);
        Ok(array)
    }

    fn optional(&mut self, what: &'static str) -> Result<Option<Hash>, BundleError> {
        match self.array(what)? {
            [0] => Ok(None),
            [1] => self.array(what).map(Some),
            [found] => Err(BundleError::Presence { what, found }),
        }
    }
}
