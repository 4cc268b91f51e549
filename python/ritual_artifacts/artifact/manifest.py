"""The manifest: what an artifact is, in one JSON file that travels with it.

The file is flat, so that infernet-ml reads it: the model's fields stand beside `repo_id`, `artifact_type`,
`file_hashes` and `ritual_artifacts`. Sizes and the artifact's digest are in the last one. A manifest comes
from a stranger: `Manifest.from_bytes` proves every promise of the format before anybody uses it.
"""

import hashlib
import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ritual_artifacts.artifact.canonical import MAX_DEPTH, canonical_bytes, is_too_deep
from ritual_artifacts.artifact.introspection import explain
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, RESERVED_PATHS, ArtifactPlan
from ritual_artifacts.core.hashing import FileDigest, read_regular
from ritual_artifacts.errors import ManifestError
from ritual_artifacts.names import MAX_PATH_BYTES, collision_key, find_collisions, path_problem
from ritual_artifacts.repo_id import RitualRepoId

MANIFEST_VERSION: Final = 2
MAX_MANIFEST_BYTES: Final = 64 << 20
"""A larger manifest is refused before it is parsed."""
MAX_ENTRIES: Final = 200_000
MAX_NODES: Final = 16 * MAX_ENTRIES
"""Keys and items in the whole document. A file needs 9 of them, and 1 or 2 in the field that holds it."""

_SHOWN: Final = 100
"""Characters of a hostile key that an error shows."""

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)

_OWN_KEYS: Final = frozenset({"repo_id", "artifact_type", "file_hashes", "ritual_artifacts"})

Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", strict=True)]
TypeName = Annotated[str, StringConstraints(min_length=1, max_length=1024, strict=True)]
EntryPath = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATH_BYTES, strict=True)]
Size = Annotated[int, Field(ge=0, le=2**53 - 1, strict=True)]


class ManifestEntry(BaseModel):
    """One file of an artifact.

    Attributes:
        path: Name inside the artifact: relative, `/` between the parts, portable.
        size: Bytes; None in a manifest that infernet-ml wrote, which has no sizes.
        sha256: SHA-256 of the content in lower-case hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: EntryPath
    size: Size | None
    sha256: Sha256Hex


class _FileRecord(ManifestEntry):
    size: Size


class _Extension(BaseModel):
    """What this package adds to the format of infernet-ml."""

    model_config = ConfigDict(frozen=True)

    manifest_version: Literal[2]
    files: Annotated[tuple[_FileRecord, ...], Field(max_length=MAX_ENTRIES)]
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", strict=True)]


class ManifestDocument(BaseModel):
    """The manifest file as it is written; every other key is a field of the artifact's model."""

    model_config = ConfigDict(frozen=True, extra="allow", title=MANIFEST_FILENAME)

    repo_id: Annotated[str, StringConstraints(max_length=1024, strict=True)] | None = None
    artifact_type: TypeName
    file_hashes: Annotated[dict[EntryPath, Sha256Hex], Field(max_length=MAX_ENTRIES)]
    ritual_artifacts: _Extension | None = None


class Manifest(BaseModel):
    """What an artifact is: its type, its fields, and its files with their digests.

    Attributes:
        artifact_type: Name of the model's class.
        fields: Metadata as JSON, and the names of files where the type has files.
        files: One entry per file, sorted by path.
        repo_id: The repository it was published to, where that was known; not part of the digest.
    """

    model_config = ConfigDict(frozen=True)

    artifact_type: TypeName
    fields: dict[str, Any]
    files: tuple[ManifestEntry, ...]
    repo_id: str | None = None

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if not self.artifact_type.isprintable():
            message = f"the artifact type {self.artifact_type!r} holds a character that cannot be printed"
            raise ValueError(message)
        if self.repo_id is not None:
            RitualRepoId.from_unique_id(self.repo_id)
        for entry in self.files:
            problem = path_problem(entry.path)
            if problem is None and collision_key(entry.path.partition("/")[0]) in RESERVED_PATHS:
                problem = "is a name that the format needs for itself"
            if problem:
                message = f"the file name {entry.path!r} {problem}"
                raise ValueError(message)
        for first, second in find_collisions(entry.path for entry in self.files):
            message = f"the file names {first!r} and {second!r} cannot exist side by side"
            raise ValueError(message)
        return self

    @classmethod
    def build(
        cls, plan: ArtifactPlan, digests: Sequence[FileDigest], repo_id: RitualRepoId | None = None
    ) -> Self:
        """Join a plan with the digests of its files, which stand in the plan's order.

        Raises:
            ManifestError: a reader would refuse the manifest.
        """
        files = tuple(
            ManifestEntry(path=file.path, size=digest.size, sha256=digest.sha256)
            for file, digest in zip(plan.files, digests, strict=True)
        )
        named = None if repo_id is None else repo_id.to_unique_id()
        try:
            return cls(artifact_type=plan.artifact_type, fields=dict(plan.fields), files=files, repo_id=named)
        except ValidationError as error:
            message = f"{plan.artifact_type!r} has no valid manifest: {explain(error, 'it')}"
            raise ManifestError(message) from None

    @cached_property
    def digest(self) -> str | None:
        """`sha256:` and the SHA-256, in hex, of the canonical JSON (RFC 8785) of type, fields and files.

        It names the artifact: the same on every backend, machine and run. None where a size is not known.

        Raises:
            ManifestError: a field holds a number that canonical JSON does not have.
        """
        if not self.has_sizes:
            return None
        files = [entry.model_dump() for entry in self.files]
        try:
            content = canonical_bytes(
                {"artifact_type": self.artifact_type, "fields": self.fields, "files": files}
            )
        except ValueError as error:
            message = f"the artifact has no digest: {error}"
            raise ManifestError(message) from None
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

    @property
    def has_sizes(self) -> bool:
        """Whether the manifest states every file's size; those of infernet-ml do not."""
        return all(entry.size is not None for entry in self.files)

    @property
    def size(self) -> int:
        """Bytes of all files together, as far as sizes are known."""
        return sum(entry.size or 0 for entry in self.files)

    def with_sizes(self, sizes: Mapping[str, int]) -> Self:
        """Return the manifest with the sizes that were measured on verified files."""
        files = [{"path": e.path, "size": sizes[e.path], "sha256": e.sha256} for e in self.files]
        return self.model_validate(self.model_dump() | {"files": files})

    def with_repo_id(self, repo_id: RitualRepoId | None) -> Self:
        """Return the same artifact's manifest for another repository."""
        named = None if repo_id is None else repo_id.to_unique_id()
        return self.model_validate(self.model_dump() | {"repo_id": named})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, which computes its digest anew. See pydantic's `BaseModel.model_copy`."""
        copy = super().model_copy(update=update, deep=deep)
        for name in ("digest", "_paths", "_sorted_paths"):
            copy.__dict__.pop(name, None)
        return copy

    def resolve(self, root: Path, name: str) -> Path:
        """Return where the file or directory that a field calls `name` is below `root`.

        Raises:
            ManifestError: the artifact has no such file or directory.
        """
        if name not in self._paths and not self._has_directory(name):
            message = f"a field names {name!r}, which is not among the artifact's files"
            raise ManifestError(message)
        return root / name

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(entry.path for entry in self.files)

    @cached_property
    def _sorted_paths(self) -> list[str]:
        return sorted(self._paths)

    def _has_directory(self, name: str) -> bool:
        following = bisect_left(self._sorted_paths, f"{name}/")
        return any(path.startswith(f"{name}/") for path in self._sorted_paths[following : following + 1])

    def to_document(self) -> dict[str, Any]:
        """Return the content of the manifest file."""
        document: dict[str, Any] = dict(self.fields)
        if self.repo_id is not None:
            document["repo_id"] = self.repo_id
        document["artifact_type"] = self.artifact_type
        document["file_hashes"] = {entry.path: entry.sha256 for entry in self.files}
        if self.has_sizes:
            document["ritual_artifacts"] = {
                "manifest_version": MANIFEST_VERSION,
                "files": [entry.model_dump() for entry in self.files],
                "digest": self.digest,
            }
        return document

    def to_bytes(self) -> bytes:
        """Serialize to the manifest file: ASCII JSON, indented by four spaces as infernet-ml does.

        Raises:
            ManifestError: the manifest is larger or deeper than a reader accepts.
        """
        document = self.to_document()
        if is_too_deep(document):
            message = f"the manifest is nested deeper than {MAX_DEPTH}, which no reader accepts"
            raise ManifestError(message)
        try:
            data = (json.dumps(document, indent=4, allow_nan=False) + "\n").encode()
        except (TypeError, ValueError) as error:
            message = f"the manifest has a field that JSON cannot hold: {error}"
            raise ManifestError(message) from None
        if len(data) > MAX_MANIFEST_BYTES or len(self.files) > MAX_ENTRIES or _has_too_many_nodes(data):
            message = (
                f"the manifest has {len(self.files)} files and {len(data)} bytes, more than readers accept "
                f"({MAX_ENTRIES} files, {MAX_MANIFEST_BYTES} bytes, {MAX_NODES} keys and items)"
            )
            raise ManifestError(message)
        return data

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "the manifest") -> Self:
        """Parse a manifest of this package or of infernet-ml 2.0.0, trusting nothing in it.

        Args:
            data: The file's content.
            source: What to call it in an error.

        Raises:
            ManifestError: the manifest is too large or too deep, has too many keys and items, is not strict
                JSON, has duplicate keys, unknown digests, hostile or colliding file names, or a digest that
                is not its own.
        """
        try:
            values = _parse_strictly(data)
            document = ManifestDocument.model_validate(values)
            fields = {key: value for key, value in values.items() if key not in _OWN_KEYS}
            json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()  # no 1e999, no lone surrogates
            extension = document.ritual_artifacts
            manifest = cls(
                artifact_type=document.artifact_type,
                fields=fields,
                files=_entries(document),
                repo_id=document.repo_id,
            )
        except ValidationError as error:
            message = f"{source} is not a valid manifest: {explain(error, 'it')}"
            raise ManifestError(message) from None
        except (ValueError, RecursionError) as error:
            message = f"{source} is not a valid manifest: {error}"
            raise ManifestError(message) from None
        if extension:
            if document.file_hashes != {entry.path: entry.sha256 for entry in extension.files}:
                message = f"{source} contradicts itself: file_hashes and ritual_artifacts.files differ"
                raise ManifestError(message)
            if manifest.digest != extension.digest:
                message = (
                    f"{source} was altered: it states the digest {extension.digest}, "
                    f"but its content has {manifest.digest}"
                )
                raise ManifestError(message)
        return manifest

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a manifest file.

        Raises:
            ManifestError: it is no regular file; or see `from_bytes`.
            OSError: the file is missing or cannot be read.
        """
        data = read_regular(path, MAX_MANIFEST_BYTES + 1)
        if data is None:
            message = f"{path} is not a regular file, so it is no manifest"
            raise ManifestError(message)
        return cls.from_bytes(data, str(path))


def _entries(document: ManifestDocument) -> tuple[ManifestEntry, ...]:
    """Return the files by path; a manifest of infernet-ml has no sizes."""
    found: Iterable[tuple[str, int | None, str]] = ((p, None, sha) for p, sha in document.file_hashes.items())
    if document.ritual_artifacts:
        found = ((file.path, file.size, file.sha256) for file in document.ritual_artifacts.files)
    return tuple(ManifestEntry(path=path, size=size, sha256=sha256) for path, size, sha256 in sorted(found))


def _parse_strictly(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_MANIFEST_BYTES:
        message = f"it is larger than {MAX_MANIFEST_BYTES} bytes"
        raise ValueError(message)
    if _has_too_many_nodes(data):
        message = f"it has more than {MAX_NODES} keys and items"
        raise ValueError(message)
    try:
        values = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        message = f"it is nested deeper than {MAX_DEPTH}"
        raise ValueError(message) from None
    if not isinstance(values, dict):
        message = "it is not a JSON object"
        raise ValueError(message)  # noqa: TRY004 - the content is wrong, not a type in a program
    if is_too_deep(values):
        message = f"it is nested deeper than {MAX_DEPTH}"
        raise ValueError(message)
    return values


def _has_too_many_nodes(data: bytes) -> bool:
    """Say whether JSON text has more than `MAX_NODES` keys and items, which a parser makes objects of.

    The marks that stand between them are counted. Strings may hold such marks too: they are left out where
    it would matter, which takes longer.
    """
    if _count_marks(data, 0, len(data)) <= MAX_NODES:
        return False
    count, end = 0, 0
    for string in _STRING.finditer(data):
        count += _count_marks(data, end, string.start())
        end = string.end()
        if count > MAX_NODES:
            return True
    return count + _count_marks(data, end, len(data)) > MAX_NODES


def _count_marks(data: bytes, start: int, end: int) -> int:
    return sum(data.count(mark, start, end) for mark in (b",", b":", b"[", b"{"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        message = f"the key {twice[:_SHOWN]!a} appears twice in one object"
        raise ValueError(message)
    return values


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)
