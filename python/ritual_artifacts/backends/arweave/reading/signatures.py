"""Signatures of data items, by kind of key. Nothing here signs."""

from collections.abc import Callable, Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from ritual_artifacts.backends.arweave.transaction import ForgedDataError, UnverifiableError, is_signed
from ritual_artifacts.core.data_items import DataItem

_NUMBER_BYTES: Final = 32
_ETHEREUM_PREFIX: Final = b"\x19Ethereum Signed Message:\n"


def check_signature(item: DataItem) -> None:
    """Check that the owner of a data item signed it.

    Raises:
        ForgedDataError: the owner did not.
        UnverifiableError: it has a kind of key that cannot be verified here.
    """
    verify = _KINDS.get(item.signature_type)
    if verify is None:
        message = (
            f"the data item {item.id} is signed with a kind of key that cannot be verified here "
            f"(type {item.signature_type})"
        )
        raise UnverifiableError(message)
    if not verify(item.owner, item.signature, item.message):
        message = f"the data item {item.id} is not what its owner signed"
        raise ForgedDataError(message)


def _is_ed25519(owner: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(owner).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: not a point of the curve
        return False
    return True


def _is_solana(owner: bytes, signature: bytes, message: bytes) -> bool:
    """Verify a signature of a Solana wallet, which signs the message as text in hex."""
    return _is_ed25519(owner, signature, message.hex().encode())


def _is_ethereum(owner: bytes, signature: bytes, message: bytes) -> bool:
    """Verify a signature of an Ethereum wallet (EIP-191): r, s and a byte that is not needed here."""
    r, s = (int.from_bytes(signature[start : start + _NUMBER_BYTES]) for start in (0, _NUMBER_BYTES))
    digest = _keccak(_ETHEREUM_PREFIX + str(len(message)).encode() + message)
    try:
        key = EllipticCurvePublicKey.from_encoded_point(SECP256K1(), owner)
        key.verify(encode_dss_signature(r, s), digest, ECDSA(Prehashed(SHA256())))  # of 32 bytes, as this is
    except (InvalidSignature, ValueError):  # ValueError: not a point of the curve
        return False
    return True


def _keccak(data: bytes) -> bytes:
    """Return the Keccak-256 hash, which is SHA3-256 with the padding of before it was a standard."""
    rate = 136
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % rate)
    padded[-1] |= 0x80
    state = [0] * 25
    for start in range(0, len(padded), rate):
        for lane in range(rate // 8):
            place = start + 8 * lane
            state[lane] ^= int.from_bytes(padded[place : place + 8], "little")
        _permute(state)
    return b"".join(lane.to_bytes(8, "little") for lane in state[:4])


_MASK: Final = (1 << 64) - 1
_ROUNDS: Final = 24


def _permute(state: list[int]) -> None:
    """Apply Keccak-f[1600] (FIPS 202, section 3) in place; lane (x, y) is at `x + 5 * y`."""
    feedback = 1
    for _ in range(_ROUNDS):
        parity = [state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20] for x in range(5)]
        for x in range(5):
            mixed = parity[x - 1] ^ _rotate(parity[(x + 1) % 5], 1)
            for y in range(0, 25, 5):
                state[x + y] ^= mixed
        x, y, moved = 1, 0, state[1]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            state[x + 5 * y], moved = _rotate(moved, (step + 1) * (step + 2) // 2 % 64), state[x + 5 * y]
        for y in range(0, 25, 5):
            row = state[y : y + 5]
            for x in range(5):
                state[x + y] = row[x] ^ (~row[(x + 1) % 5] & _MASK & row[(x + 2) % 5])
        for bit in range(7):
            feedback = ((feedback << 1) ^ (0x171 if feedback & 0x80 else 0)) & 0xFF
            if feedback & 2:
                state[0] ^= 1 << ((1 << bit) - 1)


def _rotate(lane: int, bits: int) -> int:
    return ((lane << bits) | (lane >> (64 - bits))) & _MASK if bits else lane


_KINDS: Final[Mapping[int, Callable[[bytes, bytes, bytes], bool]]] = {
    1: is_signed,
    2: _is_ed25519,
    3: _is_ethereum,
    4: _is_solana,
}
"""By the signature type of ANS-104: Arweave, Ed25519, Ethereum, Solana."""
