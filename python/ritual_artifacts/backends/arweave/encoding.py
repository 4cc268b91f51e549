"""Text that Arweave uses: base64url without padding, ids, and amounts of money."""

import base64
import binascii
import re
from typing import Final

from ritual_artifacts.errors import BackendError

WINSTON_PER_AR: Final = 10**12
"""1 AR is 10¹² winston, the smallest unit."""

ID_LENGTH: Final = 43
"""Characters of a transaction id or an address, which are 32 bytes."""

_DECIMALS: Final = 12
_AMOUNT: Final = re.compile(rf"([0-9]+)(?:\.([0-9]{{1,{_DECIMALS}}}))?")
_ID: Final = re.compile(rf"[A-Za-z0-9_-]{{{ID_LENGTH}}}")
_SHOWN: Final = 80


def encode(data: bytes) -> str:
    """Encode bytes as base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: object, what: str) -> bytes:
    """Decode the output of `encode`, and nothing else: each value has one spelling.

    Args:
        text: The text, unchecked.
        what: What to call it in an error.

    Raises:
        BackendError: the text is not base64url, has padding, or is not the canonical spelling.
    """
    try:
        if not isinstance(text, str):
            raise TypeError  # noqa: TRY301 - reported below, with all others
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (TypeError, ValueError, binascii.Error):
        data = None
    if data is None or encode(data) != text:
        message = f"{what}: expected base64url without padding, got {str(text)[:_SHOWN]!r}"
        raise BackendError(message)
    return data


def is_id(text: str) -> bool:
    """Return whether `text` can be a transaction id or an address: 43 base64url characters, 32 bytes."""
    return _ID.fullmatch(text) is not None


def format_ar(winston: int) -> str:
    """Return an amount of winston in AR, exactly, such as `0.000000012345 AR`."""
    whole, part = divmod(winston, WINSTON_PER_AR)
    decimals = f".{part:0{_DECIMALS}d}".rstrip("0").rstrip(".")
    return f"{whole}{decimals} AR"


def parse_ar(text: str) -> int:
    """Return an amount in AR as winston.

    Raises:
        ValueError: the text is not a number, negative, or finer than a winston.
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        message = (
            f"expected an amount in AR such as 0.05, with at most {_DECIMALS} decimals, got {text[:_SHOWN]!r}"
        )
        raise ValueError(message)
    whole, decimals = found.groups(default="")
    return int(whole) * WINSTON_PER_AR + int(decimals.ljust(_DECIMALS, "0"))
