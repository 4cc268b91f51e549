"""Keys, deep hashes and RSA-PSS signatures, by `hashlib` and `cryptography` alone."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
)
from cryptography.hazmat.primitives.hashes import SHA256

from tests.servers.arweave.encoding import address_of, unb64
from tests.servers.replies import Reply, Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

EXPONENT = 65537
OWNER_SIZE = SIGNATURE_SIZE = 512

Deep: TypeAlias = "bytes | Slice | Sequence[Deep]"


@dataclass(frozen=True)
class Key:
    """A wallet of the tests, with the file that holds it."""

    path: Path
    owner: bytes
    private: RSAPrivateKey

    def __repr__(self) -> str:
        return f"Key({self.address})"

    @property
    def address(self) -> str:
        return address_of(self.owner)

    def sign(self, message: bytes, *, salt_length: int = 32) -> bytes:
        return self.private.sign(message, PSS(MGF1(SHA256()), salt_length), SHA256())


@cache
def load_key(path: Path) -> Key:
    """Read a JWK."""
    jwk = json.loads(path.read_text())
    n, e, d, p, q, dp, dq, qi = (
        int.from_bytes(unb64(jwk[name]), "big") for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi")
    )
    numbers = RSAPrivateNumbers(p, q, d, dp, dq, qi, RSAPublicNumbers(e, n))
    # The keys of the tests are well known; to prove it again takes a second.
    private = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    return Key(path, unb64(jwk["n"]), private)


def verify(owner: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an owner signed a message, with a salt of any length."""
    if len(owner) != OWNER_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    try:
        public = RSAPublicNumbers(EXPONENT, int.from_bytes(owner, "big")).public_key()
        public.verify(signature, message, PSS(MGF1(SHA256()), PSS.AUTO), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def deep_hash(item: Deep) -> bytes:
    """Return the deep hash of bytes, of a part of a file, or of a list of those."""
    if isinstance(item, bytes):
        return _sha384(_sha384(b"blob%d" % len(item)) + _sha384(item))
    if isinstance(item, Slice):
        state = hashlib.sha384()
        for block in Reply(body=item).blocks():
            state.update(block)
        return _sha384(_sha384(b"blob%d" % (item.stop - item.start)) + state.digest())
    accumulated = _sha384(b"list%d" % len(item))
    for part in item:
        accumulated = _sha384(accumulated + deep_hash(part))
    return accumulated


def _sha384(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()
