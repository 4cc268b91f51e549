"""Format-2 transactions: built and signed here, or taken from a stranger and proven."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Self, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from ritual_artifacts.backends.arweave.encoding import decode, encode
from ritual_artifacts.backends.arweave.wallet import RSA_BYTES, RSA_EXPONENT, Wallet, address_of
from ritual_artifacts.core.chunks import deep_hash
from ritual_artifacts.errors import BackendError

MAX_TAG_BYTES: Final = 2048
"""Names and values of all tags together, as the node counts."""
MAX_TAGS: Final = 2048
MAX_BODY_BYTES: Final = 256 * 1024
"""Data up to here travels inside its transaction; a node checks it as one chunk."""

_FORMAT: Final = 2
_MAX_DIGITS: Final = 30

Tags: TypeAlias = tuple[tuple[bytes, bytes], ...]


def make_tags(tags: Iterable[tuple[str, str]], what: str) -> Tags:
    """Encode tags.

    Args:
        tags: Names and values, in order.
        what: What they describe, for messages.

    Raises:
        BackendError: they are more than a node takes.
    """
    try:
        made = tuple((name.encode(), value.encode()) for name, value in tags)
    except UnicodeEncodeError:
        message = f"a tag of {what} holds text that is no Unicode"
        raise BackendError(message) from None
    size = sum(len(name) + len(value) for name, value in made)
    if size > MAX_TAG_BYTES or len(made) > MAX_TAGS:
        message = (
            f"the tags of {what} have {size} bytes, and a node takes {MAX_TAG_BYTES}; "
            f"shorten its name or its tags"
        )
        raise BackendError(message)
    if empty := next((name for name, value in made if not name or not value), None):
        message = f"the tag {empty.decode()!r} of {what} is empty, which gateways drop"
        raise BackendError(message)
    return made


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
        data: The data itself, where it travels inside; not signed, because `data_root` is.
        signature: RSA-PSS with SHA-256 over the deep hash; empty before `sign`.
        target: Who gets `quantity`; empty in what is written here.
        quantity: Winston that are moved; 0 in what is written here.
        denomination: Of the money; 0 where the field is not there.
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
        """Return the value of the first tag of a name; None where there is none, or where it is no text."""
        return find_tag(self.tags, name)

    def has_tags(self, tags: Mapping[str, str]) -> bool:
        """Say whether each of these tags is there with this very value."""
        return all(self.tag(name) == value for name, value in tags.items())

    def sign(self, wallet: Wallet) -> Self:
        """Return the transaction with the wallet's signature."""
        return replace(self, signature=wallet.sign(self.message))

    def with_data(self, data: bytes) -> Self:
        """Return the transaction with data inside, which is not signed, because `data_root` is."""
        return replace(self, data=data)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that is posted; numbers are decimal strings, as the node wants them."""
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
        """Read a transaction from a stranger and prove that it is the one that is meant.

        The id is a hash of the signature, and the signature covers everything that is used here: nobody can
        change a byte, or say that somebody else is the owner.

        Args:
            data: The JSON object, as `GET /tx/{id}` answers.
            transaction_id: The id that was asked for.

        Raises:
            BackendError: it is malformed, another one, of a kind that cannot be proven, or not signed by its
                owner.
        """
        what = f"the transaction {transaction_id}"
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            message = f"{what} is no JSON object"
            raise BackendError(message)
        if values.get("format") != _FORMAT:
            message = (
                f"{what} has the format {str(values.get('format'))[:20]!r}; only format 2 can be verified"
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
            message = f"{what} was asked for, and {transaction.id} came"
            raise BackendError(message)
        if not is_signed(transaction.owner, transaction.signature, transaction.message):
            message = f"{what} is not signed by its owner: it was altered"
            raise BackendError(message)
        if bool(transaction.data_size) != bool(transaction.data_root):
            message = f"{what} has {transaction.data_size} bytes of data, which its data root contradicts"
            raise BackendError(message)
        return transaction


def find_tag(tags: Tags, name: str) -> str | None:
    """Return the value of the first tag of a name; None where there is none, or where it is no text."""
    wanted = name.encode()
    value = next((value for key, value in tags if key == wanted), None)
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def is_signed(owner: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether an RSA key of 4096 bits has signed a message (RSA-PSS, SHA-256, a salt of any length)."""
    if len(owner) != RSA_BYTES or len(signature) != RSA_BYTES:
        return False
    try:
        key = RSAPublicNumbers(RSA_EXPONENT, int.from_bytes(owner)).public_key()
        key.verify(signature, message, PSS(MGF1(SHA256()), PSS.AUTO), SHA256())
    except (InvalidSignature, ValueError):  # ValueError: the modulus is none
        return False
    return True


def _read_tags(value: object, what: str) -> Tags:
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        message = f"{what} has tags that are no list, or too many"
        raise BackendError(message)
    tags = []
    for tag in value:
        if not isinstance(tag, dict):
            message = f"{what} has a tag that is none"
            raise BackendError(message)
        names = (f"a tag's name in {what}", f"a tag's value in {what}")
        tags.append((decode(tag.get("name"), names[0]), decode(tag.get("value"), names[1])))
    return tuple(tags)


def _read_number(value: object, what: str) -> int:
    """Read a number, which the network writes as text."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        message = f"{what} is {text[:_MAX_DIGITS]!r}, which is no number"
        raise BackendError(message)
    return int(text)
