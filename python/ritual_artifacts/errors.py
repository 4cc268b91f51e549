"""The errors of the package, all in one tree.

::

    ArtifactError
    ├── ArtifactModelError (TypeError)     the Pydantic model cannot be an artifact
    ├── RepoIdError (ValueError)           a repository id is malformed
    ├── ManifestError (ValueError)         a manifest is malformed, hostile, or not what it says it is
    ├── IntegrityError                     bytes differ from what the manifest promises
    ├── SourceChangedError                 a file changed while it was being read
    ├── WalletError (ValueError)           an Arweave wallet cannot be used
    ├── CircuitError (ValueError)          a circuit, a proof, or what one is to be made of cannot be used
    └── BackendError                       a storage backend refused or failed
        ├── ArtifactNotFoundError (FileNotFoundError)
        ├── AuthenticationError (PermissionError)
        ├── NotFinalizedError              stored, but not confirmed yet
        ├── InsufficientFundsError         the wallet cannot pay
        ├── ConflictError                  something else is already there
        └── TransferError (ConnectionError)

A local `OSError` (disk full, permission denied) and `KeyboardInterrupt` pass through unchanged.
Messages say what, where, expected and actual, and what to do next; they never hold a token or a key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self


class ArtifactError(Exception):
    """Base of every error that this package raises on its own account."""


class ArtifactModelError(ArtifactError, TypeError):
    """The Pydantic model, or a value in it, cannot be published as an artifact."""


class RepoIdError(ArtifactError, ValueError):
    """A repository id is malformed."""


class ManifestError(ArtifactError, ValueError):
    """A manifest is malformed, hostile, or does not have the digest that it states."""


MISSING: Final = "missing"
"""What a `Mismatch` found where there is no file."""


@dataclass(frozen=True)
class Mismatch:
    """One file that is not what the manifest says.

    Attributes:
        path: Name of the file inside the artifact.
        expected: What the manifest promises (a SHA-256 in lower-case hex, or a size in bytes).
        actual: What was found, `"missing"` where there was no file.
        source: Where the bytes came from (a folder, a repository).
        field: Name of the model's field that holds the file, where it is known.
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
    """Bytes differ from what the manifest promises.

    Where it ends a download or a copy, none of them is at a final path.

    Attributes:
        mismatches: Every file that differs, in the manifest's order.
    """

    mismatches: tuple[Mismatch, ...] = ()

    @classmethod
    def of(cls, mismatches: Iterable[Mismatch], *, hint: str = "") -> Self:
        """Build the error that names every one of `mismatches`, and says with `hint` what to do."""
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
    """A circuit or a proof cannot be made of what was given, or what was given is none."""


class BackendError(ArtifactError):
    """A storage backend is missing, refused a request, or failed."""


class ArtifactNotFoundError(BackendError, FileNotFoundError):
    """The storage has no such repository, version or file."""


class AuthenticationError(BackendError, PermissionError):
    """The storage did not accept the credentials."""


class NotFinalizedError(BackendError):
    """The artifact is stored, but the network has not confirmed it yet."""


class InsufficientFundsError(BackendError):
    """The wallet cannot pay for the upload."""


class ConflictError(BackendError):
    """Something else is already where the artifact would go."""


class TransferError(BackendError, ConnectionError):
    """Bytes did not arrive.

    Attributes:
        retryable: Whether the same call may succeed later.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        """Remember whether trying again makes sense."""
        super().__init__(message)
        self.retryable = retryable
