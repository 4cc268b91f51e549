"""Format-2 transactions: read without trust, made and signed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from tests.servers.arweave.encoding import address_of, b64, decimal, sha256, unb64
from tests.servers.arweave.signing import Key, deep_hash, verify

Tags = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """A transaction without its data."""

    id: str = ""
    owner: bytes
    signature: bytes = b""
    last_tx: bytes = b""
    target: bytes = b""
    quantity: int = 0
    reward: int = 0
    tags: Tags = ()
    data_size: int = 0
    data_root: bytes = b""
    denomination: int = 0

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Read a transaction as it is posted.

        Raises:
            ValueError: a field has not the type that nodes want.
            KeyError: a field is missing.
        """
        if fields["format"] != 2 or isinstance(fields["format"], bool):
            message = f"no transaction of format 2: {fields['format']!r}"
            raise ValueError(message)
        return cls(
            id=b64(unb64(fields["id"])),
            owner=unb64(fields["owner"]),
            signature=unb64(fields["signature"]),
            last_tx=unb64(fields["last_tx"]),
            target=unb64(fields["target"]),
            quantity=decimal(fields["quantity"]),
            reward=decimal(fields["reward"]),
            # A node takes only tags of exactly this shape, and drops others without a word.
            tags=tuple(
                (unb64(tag["name"]), unb64(tag["value"]))
                for tag in fields["tags"]
                if isinstance(tag, dict) and list(tag) == ["name", "value"]
            ),
            data_size=decimal(fields["data_size"]),
            data_root=unb64(fields["data_root"]),
            denomination=decimal(fields.get("denomination", "0")),
        )

    def to_json(self, data: bytes = b"") -> dict[str, Any]:
        """Return the transaction as it is posted, with its data or without."""
        return {
            "format": 2,
            "id": self.id,
            "last_tx": b64(self.last_tx),
            "owner": b64(self.owner),
            "tags": [{"name": b64(name), "value": b64(value)} for name, value in self.tags],
            "target": b64(self.target),
            "quantity": str(self.quantity),
            "data": b64(data),
            "data_size": str(self.data_size),
            "data_root": b64(self.data_root),
            "reward": str(self.reward),
            "signature": b64(self.signature),
            **({"denomination": str(self.denomination)} if self.denomination else {}),
        }

    def to_bytes(self, data: bytes = b"") -> bytes:
        return json.dumps(self.to_json(data)).encode()

    @property
    def address(self) -> str:
        return address_of(self.owner)

    def message(self) -> bytes:
        """Return what the signature signs."""
        denomination = [b"%d" % self.denomination] if self.denomination else []
        return deep_hash(
            [
                *denomination,
                b"2",
                self.owner,
                self.target,
                b"%d" % self.quantity,
                b"%d" % self.reward,
                self.last_tx,
                [list(tag) for tag in self.tags],
                b"%d" % self.data_size,
                self.data_root,
            ]
        )

    def signed(self, key: Key) -> Self:
        """Return the transaction with a signature and the id that follows from it."""
        signature = key.sign(self.message())
        return replace(self, signature=signature, id=b64(sha256(signature)))

    def is_signed(self) -> bool:
        return verify(self.owner, self.message(), self.signature)

    def tag(self, name: str) -> str | None:
        """Return the value of the first tag with a name."""
        return next((text(value) for given, value in self.tags if given == name.encode()), None)


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def encode_tags(tags: Mapping[str, str] | Iterable[tuple[str, str]]) -> Tags:
    pairs = tags.items() if isinstance(tags, Mapping) else tags
    return tuple((name.encode(), value.encode()) for name, value in pairs)
