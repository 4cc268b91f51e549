"""Data items and transactions of other wallets than Arweave's: verified, or said not to be verifiable."""

import hashlib
import json

import pytest
from Crypto.Hash import keccak
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ritual_artifacts.backends.arweave.encoding import encode
from ritual_artifacts.backends.arweave.reading.signatures import check_signature
from ritual_artifacts.backends.arweave.transaction import (
    ForgedDataError,
    Transaction,
    UnverifiableError,
)
from ritual_artifacts.core.data_items import parse_data_item
from tests.servers.arweave.bundles import write_tags
from tests.servers.arweave.signing import deep_hash

TAGS = ((b"Name", b"value"),)
LENGTHS = {5: (64, 32), 6: (2052, 1025), 7: (65, 42)}


def write(kind: int, owner: bytes, signature: bytes, data: bytes) -> bytes:
    raw = write_tags(TAGS)
    sizes = len(TAGS).to_bytes(8, "little") + len(raw).to_bytes(8, "little")
    return kind.to_bytes(2, "little") + signature + owner + b"\0\0" + sizes + raw + data


def message_of(kind: int, owner: bytes, data: bytes) -> bytes:
    return deep_hash([b"dataitem", b"1", b"%d" % kind, owner, b"", b"", write_tags(TAGS), data])


def make_ed25519(kind: int, data: bytes) -> bytes:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    owner = key.public_key().public_bytes_raw()
    message = message_of(kind, owner, data)
    return write(kind, owner, key.sign(message.hex().encode() if kind == 4 else message), data)


def make_ethereum(kind: int, data: bytes) -> bytes:
    key = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256K1())
    owner = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    message = message_of(kind, owner, data)
    said = b"\x19Ethereum Signed Message:\n%d" % len(message) + message
    digest = keccak.new(data=said, digest_bits=256).digest()
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
    return write(kind, owner, r.to_bytes(32) + s.to_bytes(32) + b"\x1b", data)


MAKERS = [(2, make_ed25519), (3, make_ethereum), (4, make_ed25519)]


@pytest.mark.parametrize(("kind", "make"), MAKERS, ids=["Ed25519", "Ethereum", "Solana"])
@pytest.mark.parametrize("size", [0, 5, 1000])
def test_items_of_other_wallets_are_verified(kind: int, make: type, size: int) -> None:
    item = make(kind, bytes(size) + b"end")

    check_signature(parse_data_item(item))

    with pytest.raises(ForgedDataError, match="is not what its owner signed"):
        check_signature(parse_data_item(item[:-1] + b"X"))


@pytest.mark.parametrize("kind", LENGTHS)
def test_items_of_further_wallets_are_not_called_forged(kind: int) -> None:
    signature, owner = LENGTHS[kind]

    with pytest.raises(UnverifiableError, match=rf"cannot be verified here \(type {kind}\)"):
        check_signature(parse_data_item(write(kind, bytes(owner), bytes(signature), b"data")))


def test_a_transaction_of_an_ecdsa_key_is_not_called_forged() -> None:
    signature = bytes(range(65))
    name = encode(hashlib.sha256(signature).digest())
    values = {"format": 2, "id": name, "owner": "", "signature": encode(signature)}

    with pytest.raises(UnverifiableError, match=r"cannot be verified here \(ECDSA\)"):
        Transaction.from_json(json.dumps(values), name)
