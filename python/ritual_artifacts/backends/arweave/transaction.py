"""Format-2 transactions: built and signed here, or received from a gateway and verified."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from ritual_artifacts.backends.arweave.encoding import decode, encode
from ritual_artifacts.backends.arweave.tags import MAX_TAGS, Tags, find_tag
from ritual_artifacts.backends.arweave.wallet import RSA_BYTES, RSA_EXPONENT, Wallet, address_of
from ritual_artifacts.core.chunks import deep_hash
from ritual_artifacts.errors import BackendError

MAX_BODY_BYTES: Final = 256 * 1024
"""Data of at most this size is posted inside its transaction; a node checks it as one chunk."""

_FORMAT: Final = 2
_ECDSA_BYTES: Final = 65
_MAX_DIGITS: Final = 30


class ForgedError(BackendError):
    """What a gateway sent is not what the owner signed."""


class ForgedDataError(ForgedError):
    """The data that a gateway sent is not the signed one."""


class UnverifiableError(BackendError):
    """The signature proves that another kind of key made it, which is not supported here."""


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """A transaction that carries data and moves no money.

    Attributes:
        owner: The modulus of the owner's RSA key, big-endian.
        anchor: The block or transaction that `last_tx` names; decoded.
        tags: Names and values, in order.
        reward: What the owner pays, in winston.
        data_size: Bytes of the data.
        data_root: Root of the Merkle tree over the data's chunks; empty where there is no data.
        data: The data, where it is posted inside the transaction; the signature covers its `data_root`.
        signature: RSA-PSS with SHA-256 over the deep hash; empty before `sign`.
        target: The receiver of `quantity`; empty in transactions of this package.
        quantity: Winston that are moved; 0 in transactions of this package.
        denomination: Of the money; 0 where the transaction does not state it.
    """

    owner: bytes = field(repr=False)
    anchor: bytes = field(repr=False)
    tags: Tags
    reward: int
    data_size: int
    data_root: bytes = field(repr=False)
    data: bytes = field(default=b"", repr=False)
    signature: bytes = field(default=b"", repr=False)
    target: bytes = field(default=b"", repr=False)
    quantity: int = 0
    denomination: int = 0

    @cached_property
    def id(self) -> str:
        """SHA-256 of the signature, in base64url."""
        return encode(hashlib.sha256(self.signature).digest())

    @cached_property
    def address(self) -> str:
        """The owner's address: SHA-256 of the key's modulus, in base64url."""
        return address_of(self.owner)

    @cached_property
    def message(self) -> bytes:
        """What is signed: the deep hash (SHA-384) of all fields but data, signature and id."""
        fields: list[Any] = [
            b"2",
            self.owner,
            self.target,
            str(self.quantity).encode(),
            str(self.reward).encode(),
            self.anchor,
            [list(tag) for tag in self.tags],
            str(self.data_size).encode(),
            self.data_root,
        ]
        if self.denomination:
            fields.insert(0, str(self.denomination).encode())
        return deep_hash(fields)

    def tag(self, name: str) -> str | None:
        """Return the value of the first tag of this name, where there is one and it is text."""
        return find_tag(self.tags, name)

    def sign(self, wallet: Wallet) -> Self:
        """Return the transaction with the wallet's signature."""
        return replace(self, signature=wallet.sign(self.message))

    def with_data(self, data: bytes) -> Self:
        """Return the transaction with the data inside; its id and signature stay the same."""
        return replace(self, data=data)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that is posted; numbers are decimal strings, as nodes expect them."""
        denomination = {"denomination": str(self.denomination)} if self.denomination else {}
        return {
            "format": _FORMAT,
            "id": self.id,
            "last_tx": encode(self.anchor),
            "owner": encode(self.owner),
            "tags": [{"name": encode(name), "value": encode(value)} for name, value in self.tags],
            "target": encode(self.target),
            "quantity": str(self.quantity),
            "data": encode(self.data),
            "data_size": str(self.data_size),
            "data_root": encode(self.data_root),
            "reward": str(self.reward),
            "signature": encode(self.signature),
            **denomination,
        }

    @classmethod
    def from_json(cls, data: bytes | str, transaction_id: str) -> Self:
        """Parse a transaction and verify that it is the requested one.

        The id is a hash of the signature, and the signature covers every field that is used here. So no
        gateway can change a byte or name another owner.

        Args:
            data: The JSON object, as `GET /tx/{id}` answers.
            transaction_id: The id that was requested.

        Raises:
            ForgedError: it is not the requested one, or not signed by its owner.
            UnverifiableError: it is the requested one, and signed with another kind of key.
            BackendError: it is malformed, or has a format that cannot be verified.
        """
        what = f"the transaction {transaction_id}"
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            message = f"{what}: expected a JSON object"
            raise BackendError(message)
        _refuse_other_key(values.get("signature"), transaction_id)
        if values.get("format") != _FORMAT:
            message = (
                f"{what}: expected format 2, the only one that can be verified, "
                f"got {str(values.get('format'))[:20]!r}"
            )
            raise BackendError(message)
        transaction = cls(
            owner=decode(values.get("owner"), f"the owner of {what}"),
            anchor=decode(values.get("last_tx", ""), f"the anchor of {what}"),
            tags=_read_tags(values.get("tags", []), what),
            reward=_read_number(values.get("reward", "0"), f"the reward of {what}"),
            data_size=_read_number(values.get("data_size", "0"), f"the size of {what}"),
            data_root=decode(values.get("data_root", ""), f"the data root of {what}"),
            signature=decode(values.get("signature"), f"the signature of {what}"),
            target=decode(values.get("target", ""), f"the target of {what}"),
            quantity=_read_number(values.get("quantity", "0"), f"the quantity of {what}"),
            denomination=_read_number(values.get("denomination", "0"), f"the denomination of {what}"),
        )
        if transaction.id != transaction_id:
            message = f"requested {what}, got {transaction.id}"
            raise ForgedError(message)
        if not is_signed(transaction.owner, transaction.signature, transaction.message):
            message = f"{what} is not signed by its owner"
            raise ForgedError(message)
        if bool(transaction.data_size) != bool(transaction.data_root):
            message = f"{what} has {transaction.data_size} bytes of data, and its data root says otherwise"
            raise BackendError(message)
        return transaction


def is_signed(owner: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether an RSA key of 4096 bits signed a message (RSA-PSS, SHA-256, a salt of any length)."""
    if len(owner) != RSA_BYTES or len(signature) != RSA_BYTES:
        return False
    try:
        key = RSAPublicNumbers(RSA_EXPONENT, int.from_bytes(owner)).public_key()
        key.verify(signature, message, PSS(MGF1(SHA256()), PSS.AUTO), SHA256())
    except (InvalidSignature, ValueError):  # ValueError: not a valid modulus
        return False
    return True


def _refuse_other_key(text: object, transaction_id: str) -> None:
    """Refuse the signature of an ECDSA key, whose owner field is empty; its length is proven by the id.

    Raises:
        UnverifiableError: it is the requested transaction, and its signature is not one of RSA.
    """
    signature = decode(text, f"the signature of the transaction {transaction_id}")
    if len(signature) == _ECDSA_BYTES and encode(hashlib.sha256(signature).digest()) == transaction_id:
        message = (
            f"the transaction {transaction_id} is signed with a kind of key that cannot be verified here "
            f"(ECDSA)"
        )
        raise UnverifiableError(message)


def _read_tags(value: object, what: str) -> Tags:
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        message = f"{what}: expected a list of at most {MAX_TAGS} tags"
        raise BackendError(message)
    tags = []
    for tag in value:
        if not isinstance(tag, dict):
            message = f"{what} has a malformed tag"
            raise BackendError(message)
        names = (f"the name of a tag of {what}", f"the value of a tag of {what}")
        tags.append((decode(tag.get("name"), names[0]), decode(tag.get("value"), names[1])))
    return tuple(tags)


def _read_number(value: object, what: str) -> int:
    """Parse a number, which the network writes as text."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        message = f"{what}: expected a number, got {text[:_MAX_DIGITS]!r}"
        raise BackendError(message)
    return int(text)
