"""The digest that names an artifact. Its form, `sha256:` and 64 lower-case hex digits, is decided here."""

import hashlib
from typing import Final, Self

from ritual_artifacts.core.hashing import is_sha256
from ritual_artifacts.errors import ArtifactModelError

_PREFIX: Final = "sha256:"


class Digest(str):
    """A SHA-256 with its algorithm's name, `sha256:<64 lower-case hex digits>`, usable as text."""

    __slots__ = ()

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return the digest of some bytes (FIPS 180-4)."""
        return cls(_PREFIX + hashlib.sha256(data).hexdigest())

    @classmethod
    def from_hex(cls, digits: str) -> Self:
        """Return the digest with these 64 hex digits."""
        return cls(_PREFIX + digits)

    @classmethod
    def parse(cls, text: object, what: str = "expected_digest") -> Self:
        """Read a digest that a user gave, with or without `sha256:`.

        Raises:
            ArtifactModelError: the text is not a digest.
        """
        digits = str(text).removeprefix(_PREFIX)  # not every caller has a type checker
        if not is_sha256(digits):
            message = f"{what} must be 'sha256:' and 64 lower-case hex digits, not {text!r}"
            raise ArtifactModelError(message)
        return cls(_PREFIX + digits)

    @property
    def hex(self) -> str:
        """The 64 hex digits alone."""
        return self[len(_PREFIX) :]
