"""The errors of the package, all in one tree.

::

    ArtifactError
    ├── ArtifactModelError (TypeError)     the Pydantic model cannot be an artifact
    ├── RepoIdError (ValueError)           a repository id is malformed
    ├── ManifestError (ValueError)         a manifest is malformed, hostile, or does not match its digest
    ├── IntegrityError                     bytes differ from the manifest
    ├── SourceChangedError                 a file changed while it was being read
    ├── WalletError (ValueError)           an Arweave wallet cannot be used
    ├── CircuitError (ValueError)          a circuit or proof is invalid, or cannot be generated
    └── BackendError                       a storage backend refused or failed
        ├── ArtifactNotFoundError (FileNotFoundError)
        ├── AuthenticationError (PermissionError)
        ├── NotFinalizedError              stored, but not confirmed yet
        ├── InsufficientFundsError         the wallet cannot pay
        ├── ConflictError                  something else already exists
        └── TransferError (ConnectionError)

A local `OSError` (disk full, permission denied) and `KeyboardInterrupt` pass through unchanged.
Messages say what happened, where, what was expected and found, and what to do next. They never contain a
token or a key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self


class ArtifactError(Exception):
    """Base of every error that this package raises itself."""


class ArtifactModelError(ArtifactError, TypeError):
    """The Pydantic model, or a value in it, cannot be published as an artifact."""


class RepoIdError(ArtifactError, ValueError):
    """A repository id is malformed."""


class ManifestError(ArtifactError, ValueError):
    """A manifest is malformed, hostile, or does not match the digest that it states."""


MISSING: Final = "missing"
"""The `actual` value of a `Mismatch` if there is no file."""

UNNAMED: Final = "no such file"
"""The `expected` value of a `Mismatch` for a file that the manifest does not name."""


@dataclass(frozen=True)
class Mismatch:
    """One file that differs from the manifest.

    Attributes:
        path: Name of the file inside the artifact.
        expected: The value in the manifest (a SHA-256 in lower-case hex, or a size in bytes).
        actual: The value found; `"missing"` if there is no file.
        source: Where the bytes are from (a folder, a repository).
        field: Name of the model's field that holds the file, if known.
    """

    path: str
    expected: str
    actual: str
    source: str
    field: str | None = None

    def __str__(self) -> str:
        """Describe the mismatch on one line."""
        where = f"{self.path!r} (field {self.field!r})" if self.field else f"{self.path!r}"
        return f"{where} from {self.source}: expected {self.expected}, got {self.actual}"


class IntegrityError(ArtifactError):
    """Bytes differ from the manifest.

    If this error ends a download or a copy, no wrong byte is at a final path.

    Attributes:
        mismatches: Every file that differs, in the manifest's order.
    """

    mismatches: tuple[Mismatch, ...] = ()

    @classmethod
    def of(cls, mismatches: Iterable[Mismatch], *, hint: str = "") -> Self:
        """Build the error for all `mismatches`, with the next step as `hint`."""
        found = tuple(mismatches)
        noun = "file does" if len(found) == 1 else "files do"
        problems = "; ".join(map(str, found)) + (f"; {hint}" if hint else "")
        error = cls(f"{len(found)} {noun} not match the manifest: {problems}")
        error.mismatches = found
        return error


class SourceChangedError(ArtifactError):
    """A file changed while it was read, or another process changed it while it was written."""


class WalletError(ArtifactError, ValueError):
    """An Arweave wallet is missing, malformed or of the wrong kind."""


class CircuitError(ArtifactError, ValueError):
    """A circuit or proof cannot be generated from the input, or the input is not a circuit or proof."""


class BackendError(ArtifactError):
    """A storage backend is missing, refused a request, or failed."""


class ArtifactNotFoundError(BackendError, FileNotFoundError):
    """The storage has no such repository, version or file."""


class AuthenticationError(BackendError, PermissionError):
    """The storage rejected the credentials."""


class NotFinalizedError(BackendError):
    """The artifact is stored, but the network has not confirmed it yet."""


class InsufficientFundsError(BackendError):
    """The wallet cannot pay for the upload."""


class ConflictError(BackendError):
    """Something else already exists where the artifact would be written."""


class TransferError(BackendError, ConnectionError):
    """Bytes did not arrive.

    Attributes:
        retryable: Whether the same call may succeed later.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        """Create the error, and store whether a retry may succeed."""
        super().__init__(message)
        self.retryable = retryable
