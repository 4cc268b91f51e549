"""How Arweave writes bytes and numbers: base64url without padding, 32-byte notes, decimal strings."""

import base64
import hashlib
import re
import string

_B64 = string.ascii_letters.encode() + string.digits.encode() + b"-_"
_DECIMAL = re.compile(r"0|[1-9][0-9]*")
NOTE_SIZE = 32


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: object) -> bytes:
    """Return the bytes of base64url without padding.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(text, str) or text.encode().translate(None, _B64) or len(text) % 4 == 1:
        message = "no base64url without padding"
        raise ValueError(message)
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if not text.endswith(b64(data[len(data) // 3 * 3 :])):
        message = "base64url with bits left over"
        raise ValueError(message)
    return data


def decimal(text: object) -> int:
    """Return the number of a decimal string.

    Raises:
        ValueError: it is something else, a JSON number for example.
    """
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        message = f"no decimal string: {text!r}"
        raise ValueError(message)
    return int(text)


def note(number: int) -> bytes:
    return number.to_bytes(NOTE_SIZE, "big")


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def address_of(owner: bytes) -> str:
    return b64(sha256(owner))
