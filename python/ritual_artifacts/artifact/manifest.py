"""The manifest: one JSON file, published with each artifact, that describes it.

The file is flat, so that infernet-ml can read it: the model's fields are at the top level, beside `repo_id`,
`artifact_type`, `file_hashes` and `ritual_artifacts`. The last one has the sizes and the artifact's digest.
A manifest is untrusted input: `parse_manifest` checks every rule of the format before it is used.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ritual_artifacts.artifact.canonical import MAX_DEPTH, canonical_bytes, is_too_deep
from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.introspection import explain
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, RESERVED_PATHS, ArtifactPlan
from ritual_artifacts.artifact.shape import check_shape
from ritual_artifacts.artifact.untrusted import (
    MAX_ENTRIES,
    MAX_MANIFEST_BYTES,
    MAX_NODES,
    has_too_many_nodes,
    parse_strictly,
)
from ritual_artifacts.core.hashing import FileDigest, read_regular
from ritual_artifacts.errors import ManifestError
from ritual_artifacts.names import MAX_PATH_BYTES, collision_key, find_collisions, path_problem
from ritual_artifacts.repo_id import RitualRepoId

MANIFEST_VERSION: Final = 2

_RESERVED_KEYS: Final = frozenset({"repo_id", "artifact_type", "file_hashes", "ritual_artifacts"})

Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", strict=True)]
TypeName = Annotated[str, StringConstraints(min_length=1, max_length=1024, strict=True)]
EntryPath = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATH_BYTES, strict=True)]
Size = Annotated[int, Field(ge=0, le=2**53 - 1, strict=True)]


class ManifestEntry(BaseModel):
    """One file of an artifact.

    Attributes:
        path: Name inside the artifact: a relative, portable path with `/` between its parts.
        size: Size in bytes.
        sha256: SHA-256 of the content in lower-case hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: EntryPath
    size: Size
    sha256: Sha256Hex


class LegacyEntry(BaseModel):
    """One file of an artifact published by infernet-ml 2.0.0, whose manifests have no sizes.

    Attributes:
        path: Name inside the artifact: a relative, portable path with `/` between its parts.
        sha256: SHA-256 of the content in lower-case hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: EntryPath
    sha256: Sha256Hex

    @property
    def size(self) -> None:
        """Unknown: these manifests have no sizes."""


AnyEntry: TypeAlias = ManifestEntry | LegacyEntry


class _Extension(BaseModel):
    """The part of the manifest that this package adds to infernet-ml's format."""

    model_config = ConfigDict(frozen=True)

    manifest_version: Literal[2]
    files: Annotated[tuple[ManifestEntry, ...], Field(max_length=MAX_ENTRIES)]
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", strict=True)]


class ManifestDocument(BaseModel):
    """The content of the manifest file; every other key is a field of the artifact's model."""

    model_config = ConfigDict(frozen=True, extra="allow", title=MANIFEST_FILENAME)

    repo_id: Annotated[str, StringConstraints(max_length=1024, strict=True)] | None = None
    artifact_type: TypeName
    file_hashes: Annotated[dict[EntryPath, Sha256Hex], Field(max_length=MAX_ENTRIES)]
    ritual_artifacts: _Extension | None = None


class _BaseManifest(BaseModel):
    """What all manifests have in common."""

    model_config = ConfigDict(frozen=True)

    artifact_type: TypeName
    fields: dict[str, Any]
    files: tuple[AnyEntry, ...]
    repo_id: str | None = None

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if not self.artifact_type.isprintable():
            message = f"the artifact type {self.artifact_type!r} has a character that is not printable"
            raise ValueError(message)
        if self.repo_id is not None:
            RitualRepoId.from_unique_id(self.repo_id)
        for entry in self.files:
            problem = path_problem(entry.path)
            if problem is None and collision_key(entry.path.partition("/")[0]) in RESERVED_PATHS:
                problem = "is reserved by the format"
            if problem:
                message = f"the file name {entry.path!r} {problem}"
                raise ValueError(message)
        for first, second in find_collisions(entry.path for entry in self.files):
            message = f"the file names {first!r} and {second!r} collide on some file systems"
            raise ValueError(message)
        return self

    def with_repo_id(self, repo_id: RitualRepoId | None) -> Self:
        """Return the same artifact's manifest for another repository."""
        named = None if repo_id is None else repo_id.to_unique_id()
        return self.model_validate(self.model_dump() | {"repo_id": named})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy that computes its own digest. See pydantic's `BaseModel.model_copy`."""
        copy = super().model_copy(update=update, deep=deep)
        for name in ("digest", "_paths", "_sorted_paths"):
            copy.__dict__.pop(name, None)
        return copy

    def resolve(self, root: Path, name: str) -> Path:
        """Return the path below `root` of the file or directory that a field calls `name`.

        Raises:
            ManifestError: the artifact has no such file or directory.
        """
        if name not in self._paths and not self._has_directory(name):
            message = f"a field names {name!r}, which is not one of the artifact's files"
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
        return document

    def to_bytes(self) -> bytes:
        """Serialize to the manifest file: ASCII JSON, indented by four spaces as in infernet-ml.

        Raises:
            ManifestError: the manifest is larger or deeper than a reader accepts.
        """
        document = self.to_document()
        if is_too_deep(document):
            message = f"the manifest is nested deeper than {MAX_DEPTH} levels, the limit of the format"
            raise ManifestError(message)
        try:
            data = (json.dumps(document, indent=4, allow_nan=False) + "\n").encode()
        except (TypeError, ValueError) as error:
            message = f"the manifest has a field that JSON cannot represent: {error}"
            raise ManifestError(message) from None
        if len(data) > MAX_MANIFEST_BYTES or len(self.files) > MAX_ENTRIES or has_too_many_nodes(data):
            message = (
                f"the manifest is too large: {len(self.files)} files and {len(data)} bytes; the limits are "
                f"{MAX_ENTRIES} files, {MAX_MANIFEST_BYTES} bytes, and {MAX_NODES} keys and items"
            )
            raise ManifestError(message)
        return data


class Manifest(_BaseManifest):
    """The description of an artifact: its type, its fields, and its files with their sizes and digests.

    Attributes:
        artifact_type: Name of the model's class.
        fields: Metadata as JSON, and the names of files where the type has files.
        files: One entry per file, sorted by path.
        repo_id: The repository it was published to, if known; not part of the digest.
    """

    files: tuple[ManifestEntry, ...]

    @classmethod
    def build(
        cls, plan: ArtifactPlan, digests: Sequence[FileDigest], repo_id: RitualRepoId | None = None
    ) -> Self:
        """Build the manifest of a plan from the digests of its files, in the plan's order.

        Raises:
            ManifestError: the manifest would be invalid.
        """
        files = tuple(
            ManifestEntry(path=file.path, size=digest.size, sha256=digest.sha256)
            for file, digest in zip(plan.files, digests, strict=True)
        )
        named = None if repo_id is None else repo_id.to_unique_id()
        try:
            return cls(artifact_type=plan.artifact_type, fields=dict(plan.fields), files=files, repo_id=named)
        except ValidationError as error:
            message = f"the manifest of {plan.artifact_type!r} would be invalid: {explain(error, 'it')}"
            raise ManifestError(message) from None

    @cached_property
    def digest(self) -> Digest:
        """SHA-256 of the canonical JSON (RFC 8785) of type, fields and files.

        It identifies the artifact, and is the same on every backend, machine and run.

        Raises:
            ManifestError: a field has a number that canonical JSON cannot represent.
        """
        files = [entry.model_dump() for entry in self.files]
        try:
            content = canonical_bytes(
                {"artifact_type": self.artifact_type, "fields": self.fields, "files": files}
            )
        except ValueError as error:
            message = f"the artifact has no digest: {error}"
            raise ManifestError(message) from None
        return Digest.of(content)

    @property
    def fields_hash(self) -> str:
        """SHA-256 of the fields, in hex; unlike in the digest, 1 and 1.0 differ."""
        return hashlib.sha256(json.dumps(self.fields, sort_keys=True).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Total size of the files in bytes."""
        return sum(entry.size for entry in self.files)

    def to_document(self) -> dict[str, Any]:
        """Return the content of the manifest file."""
        document = super().to_document()
        document["ritual_artifacts"] = {
            "manifest_version": MANIFEST_VERSION,
            "files": [entry.model_dump() for entry in self.files],
            "digest": self.digest,
        }
        return document

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "the manifest") -> Self:
        """Parse an untrusted manifest in this package's format; see `parse_manifest`.

        Raises:
            ManifestError: the manifest is invalid, or is one of infernet-ml's, which have no sizes.
        """
        return cls._complete(parse_manifest(data, source), source)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an untrusted manifest file in this package's format; see `read_manifest`.

        Raises:
            ManifestError: the manifest is invalid, or is one of infernet-ml's, which have no sizes.
            OSError: the file is missing or cannot be read.
        """
        return cls._complete(read_manifest(path), str(path))

    @classmethod
    def _complete(cls, manifest: "AnyManifest", source: str) -> Self:
        if isinstance(manifest, cls):
            return manifest
        message = f"{source} has no sizes, because it is in infernet-ml's format; verify its files first"
        raise ManifestError(message)


class LegacyManifest(_BaseManifest):
    """The manifest of an artifact published by infernet-ml 2.0.0. It has no sizes, and therefore no digest.

    Attributes:
        artifact_type: Name of the model's class.
        fields: Metadata as JSON, and the names of files where the type has files.
        files: One entry per file, sorted by path.
        repo_id: The repository it was published to, if known.
    """

    files: tuple[LegacyEntry, ...]

    @property
    def digest(self) -> None:
        """Not known, because it covers the sizes."""

    @property
    def can_have_digest(self) -> bool:
        """Whether canonical JSON can represent the fields; infernet-ml writes integers of any size."""
        try:
            canonical_bytes(self.fields)
        except ValueError:
            return False
        return True

    def with_sizes(self, sizes: Mapping[str, int]) -> "AnyManifest":
        """Return the manifest with sizes, which must be those of verified files.

        A manifest that cannot have a digest is returned as it is.
        """
        if not self.can_have_digest:
            return self
        files = tuple(ManifestEntry(path=e.path, size=sizes[e.path], sha256=e.sha256) for e in self.files)
        return Manifest(
            artifact_type=self.artifact_type, fields=self.fields, files=files, repo_id=self.repo_id
        )


AnyManifest: TypeAlias = Manifest | LegacyManifest


def complete_manifest(manifest: AnyManifest, sizes: Mapping[str, int]) -> AnyManifest:
    """Return a manifest with sizes, if it can have a digest.

    A legacy one gets `sizes`, which must be those of verified files.
    """
    return manifest if isinstance(manifest, Manifest) else manifest.with_sizes(sizes)


def parse_manifest(data: bytes, source: str = "the manifest") -> AnyManifest:
    """Parse an untrusted manifest of this package or of infernet-ml 2.0.0.

    Args:
        data: The file's content.
        source: The name of the manifest in error messages.

    Raises:
        ManifestError: the manifest is too large or too deep, has too many keys and items, is not strict
            JSON, has duplicate keys, unknown digests, hostile or colliding file names, or a digest that
            does not match its content.
    """
    try:
        values = parse_strictly(data)
        check_shape(values, MAX_ENTRIES)
        document = ManifestDocument.model_validate(values)
        fields = {key: value for key, value in values.items() if key not in _RESERVED_KEYS}
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()  # no 1e999, no lone surrogates
        manifest = _from_document(document, fields)
    except ValidationError as error:
        message = f"{source} is not a valid manifest: {explain(error, 'it')}"
        raise ManifestError(message) from None
    except (ValueError, RecursionError) as error:
        message = f"{source} is not a valid manifest: {error}"
        raise ManifestError(message) from None
    if document.ritual_artifacts is not None and isinstance(manifest, Manifest):
        if document.file_hashes != {entry.path: entry.sha256 for entry in manifest.files}:
            message = f"{source} contradicts itself: file_hashes and ritual_artifacts.files differ"
            raise ManifestError(message)
        if manifest.digest != document.ritual_artifacts.digest:
            message = (
                f"{source} was altered: its digest is {document.ritual_artifacts.digest}, "
                f"but its content has {manifest.digest}"
            )
            raise ManifestError(message)
    return manifest


def read_manifest(path: Path) -> AnyManifest:
    """Read an untrusted manifest file of this package or of infernet-ml 2.0.0.

    Raises:
        ManifestError: it is not a regular file; or see `parse_manifest`.
        OSError: the file is missing or cannot be read.
    """
    data = read_regular(path, MAX_MANIFEST_BYTES + 1)
    if data is None:
        message = f"{path} is not a regular file, so it cannot be a manifest"
        raise ManifestError(message)
    return parse_manifest(data, str(path))


def _from_document(document: ManifestDocument, fields: dict[str, Any]) -> AnyManifest:
    content: dict[str, Any] = {
        "artifact_type": document.artifact_type,
        "fields": fields,
        "repo_id": document.repo_id,
    }
    if document.ritual_artifacts is not None:
        files = sorted(document.ritual_artifacts.files, key=lambda entry: entry.path)
        return Manifest(**content, files=tuple(files))
    hashes = sorted(document.file_hashes.items())
    return LegacyManifest(**content, files=tuple(LegacyEntry(path=p, sha256=sha) for p, sha in hashes))
