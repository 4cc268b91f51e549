"""What an artifact consists of on Arweave before it is signed: data, its root, and its tags."""

import hashlib
import json
import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, ArtifactPlan
from ritual_artifacts.backends.arweave.encoding import ID_LENGTH, decode
from ritual_artifacts.backends.arweave.options import UploadOptions
from ritual_artifacts.backends.arweave.tags import (
    APP_NAME,
    BUNDLE_TYPE,
    BUNDLED_TAG,
    DIGEST_TAG,
    MANIFEST_TYPE,
    PATH_MANIFEST_TYPE,
    VERSION_TAG,
    Tags,
    make_tags,
)
from ritual_artifacts.core.chunks import find_data_root
from ritual_artifacts.core.hashing import FileDigest
from ritual_artifacts.errors import BackendError
from ritual_artifacts.repo_id import RitualRepoId

PATHS_NAME: Final = ":paths"
"""The path manifest, among the names of files, none of which has a colon."""
BUNDLE_NAME: Final = ":bundle"
"""The bundle, among the names of files."""

_UNVERSIONED: Final = "0.0.0"
_DEFAULT_TYPE: Final = "application/octet-stream"
_PLACEHOLDER: Final = "-" * ID_LENGTH
_APP_VERSION: Final = f"ritual-artifacts/{version('ritual-artifacts')}"


@dataclass(frozen=True, kw_only=True)
class UnsignedData:
    """Data that goes into one transaction or data item.

    Attributes:
        name: Its name in the artifact, or `PATHS_NAME` or `BUNDLE_NAME`.
        source: Where the data is, or the data itself.
        size: Bytes.
        data_root: Root of the Merkle tree over its chunks; empty where there is no data.
        tags: Names and values, in order.
        sha256: SHA-256 of the data in lower-case hex, where a tag states it.
    """

    name: str
    source: Path | bytes
    size: int
    data_root: bytes
    tags: Tags
    sha256: str | None = None

    def read(self) -> bytes:
        """Return the data, which is small; of a file that has grown, one byte more."""
        if isinstance(self.source, bytes):
            return self.source
        with self.source.open("rb") as file:
            return file.read(self.size + 1)


class UnsignedArtifact:
    """Everything that an artifact consists of on Arweave.

    Attributes:
        files: The files, and the artifact's manifest as the last.
        unix_time: The tag `Unix-Time` of all transactions.
    """

    def __init__(
        self,
        manifest: Manifest,
        plan: ArtifactPlan,
        digests: Sequence[FileDigest],
        repo_id: RitualRepoId,
        options: UploadOptions,
        *,
        unix_time: str,
    ) -> None:
        """Describe an artifact's files.

        Args:
            manifest: The artifact.
            plan: Where its files are.
            digests: Of the files, in the plan's order, with data roots.
            repo_id: The repository, with the owner's address.
            options: The user's options for tags.
            unix_time: Seconds since 1970.

        Raises:
            BackendError: a node would refuse the tags, or the options name a file that does not exist.
        """
        names = {file.path for file in plan.files}
        for option, mapping in (
            ("version_mapping", options.version_mapping),
            ("extra_file_tags", options.extra_file_tags),
        ):
            if unknown := sorted(mapping.keys() - names - {MANIFEST_FILENAME}):
                message = f"{option} names {unknown[0]!r}, and the artifact has no such file"
                raise BackendError(message)
        self.unix_time: Final = unix_time
        self._repo_id = repo_id
        self._digest = manifest.digest
        self._options = options
        data = manifest.to_bytes()
        roots = {file.path: digest.data_root or "" for file, digest in zip(plan.files, digests, strict=True)}
        self.files: Final = [
            *(
                self._make_file(
                    entry.path,
                    file.source,
                    entry.size,
                    entry.sha256,
                    decode(roots[entry.path], "a data root"),
                )
                for entry, file in zip(manifest.files, plan.files, strict=True)
            ),
            self._make_file(MANIFEST_FILENAME, data, len(data), _sha256(data), find_data_root(data)),
        ]

    def make_paths(self, ids: Mapping[str, str]) -> UnsignedData:
        """Make the path manifest that names these transactions; a file without one gets a placeholder."""
        paths = {file.name: {"id": ids.get(file.name, _PLACEHOLDER)} for file in self.files}
        data = json.dumps({"manifest": "arweave/paths", "version": "0.1.0", "paths": paths}).encode()
        tags = [
            ("Content-Type", PATH_MANIFEST_TYPE),
            ("Type", MANIFEST_TYPE),
            *self._common_tags(),
            *self._version_tags(),
            (DIGEST_TAG, self._digest),
        ]
        return UnsignedData(
            name=PATHS_NAME,
            source=data,
            size=len(data),
            data_root=find_data_root(data),
            tags=make_tags(tags, f"the repository {self._repo_id}"),
        )

    def make_bundle_tags(self, paths: str) -> Tags:
        """Make the tags of a bundle, by which the path manifest inside is found.

        Args:
            paths: Id of the path manifest's data item.
        """
        tags = [
            ("Bundle-Format", "binary"),
            ("Bundle-Version", "2.0.0"),
            ("Type", BUNDLE_TYPE),
            *self._common_tags(),
            *self._version_tags(),
            (DIGEST_TAG, self._digest),
            (BUNDLED_TAG, paths),
        ]
        return make_tags(tags, f"the bundle of {self._repo_id}")

    def _make_file(
        self, name: str, source: Path | bytes, size: int, sha256: str, data_root: bytes
    ) -> UnsignedData:
        tags = [
            *self._options.extra_file_tags.get(name, {}).items(),
            ("Content-Type", mimetypes.guess_type(name)[0] or _DEFAULT_TYPE),
            ("File-Version", self._options.version_mapping.get(name, self._repo_id.version or _UNVERSIONED)),
            ("File-Name", name),
            ("File-SHA256", sha256),
            *self._common_tags(),
            ("File-Size", str(size)),
            (DIGEST_TAG, self._digest),
        ]
        return UnsignedData(
            name=name,
            source=source,
            size=size,
            data_root=data_root,
            tags=make_tags(tags, repr(name)),
            sha256=sha256,
        )

    def _version_tags(self) -> Iterator[tuple[str, str]]:
        if self._repo_id.version is not None:
            yield VERSION_TAG, self._repo_id.version

    def _common_tags(self) -> Iterator[tuple[str, str]]:
        yield "App-Name", APP_NAME
        yield "App-Version", _APP_VERSION
        yield "Unix-Time", self.unix_time
        yield "Repo-Name", self._repo_id.name


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
