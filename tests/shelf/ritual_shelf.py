"""A storage in a package of its own: artifacts in the folders of a shelf, such as a network drive.

Below its folder, `<owner>/<name>/<revision>/` holds one version. `<owner>/<name>/versions.json` has the
digest of each revision, the revision that each label names, and the newest one.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from filelock import FileLock
from pydantic import Field, JsonValue

from ritual_artifacts.backends import (
    MANIFEST_FILENAME,
    AnyEntry,
    ArtifactPlan,
    Backend,
    Context,
    FileDigest,
    Flag,
    Manifest,
    Options,
    RemoteFile,
    Revision,
    RitualRepoId,
    Storage,
    UploadResult,
    UploadSession,
    copy_files,
)
from ritual_artifacts.errors import ArtifactNotFoundError, ConflictError


class ShelfOptions(Options):
    title: ClassVar[str] = "the shelf"

    folder: Annotated[Path | str, Flag(("--shelf",), metavar="FOLDER")] = Field(
        description="The folder of the shelf."
    )


class ShelfUploadOptions(Options):
    title: ClassVar[str] = "an upload to the shelf"

    note: Annotated[str | None, Flag(("--note",))] = Field(
        default=None, description="What to write beside the version."
    )


class ShelfStorage(Storage):
    name: ClassVar[str] = "shelf"
    title: ClassVar[str] = "a shelf"
    connection_options: ClassVar[type[Options]] = ShelfOptions
    upload_options: ClassVar[type[Options]] = ShelfUploadOptions

    def connect(self, options: Mapping[str, Any], context: Context) -> "ShelfBackend":
        del context
        return ShelfBackend(Path(ShelfOptions.parse(options).folder))

    def check(self, context: Context) -> None:
        """Any installation can use a shelf, once it is told where one is."""


@dataclass(frozen=True)
class Versions:
    """The versions of one repository: a folder for each, and the file that names them."""

    folder: Path

    def read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / "versions.json").read_text())
        except FileNotFoundError:
            return {"digests": {}, "labels": {}, "newest": None, "notes": {}}
        return found

    def write(self, versions: Mapping[str, Any]) -> None:
        staged = self.folder / "versions.json.new"
        staged.write_text(json.dumps(versions))
        staged.replace(self.folder / "versions.json")


class ShelfBackend(Backend[ShelfUploadOptions]):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def storage(self) -> ShelfStorage:
        return ShelfStorage()

    def upload_options(self, given: Mapping[str, Any]) -> ShelfUploadOptions:
        return ShelfUploadOptions.parse(given)

    def _versions(self, repo_id: RitualRepoId) -> Versions:
        return Versions(self._folder / repo_id.owner / repo_id.name)

    def open(self, repo_id: RitualRepoId) -> "ShelfRevision":
        versions = self._versions(repo_id)
        known = versions.read()
        name = known["labels"].get(repo_id.version) if repo_id.version else known["newest"]
        if name is None:
            message = f"there is no {repo_id} on the shelf {self._folder}"
            raise ArtifactNotFoundError(message)
        return ShelfRevision(repo_id, name, versions.folder / name)

    @contextmanager
    def start_upload(
        self, plan: ArtifactPlan, repo_id: RitualRepoId, options: ShelfUploadOptions, context: Context
    ) -> Iterator[UploadSession]:
        staged = self._folder / ".incoming" / uuid.uuid4().hex
        try:
            yield ShelfUpload(self._versions(repo_id), staged, plan, repo_id, options, context)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


class ShelfRevision(Revision):
    def __init__(self, repo_id: RitualRepoId, name: str, folder: Path) -> None:
        super().__init__(repo_id, name)
        self._folder = folder

    def manifest_bytes(self) -> bytes:
        return (self._folder / MANIFEST_FILENAME).read_bytes()

    def read(self, entry: AnyEntry, offset: int = 0) -> Iterator[bytes]:
        with (self._folder / entry.path).open("rb") as file:
            file.seek(offset)
            while block := file.read(1 << 20):
                yield block

    def local_path(self, entry: AnyEntry) -> Path:
        return self._folder / entry.path

    def listing(self) -> Mapping[str, RemoteFile]:
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        return {path.relative_to(self._folder).as_posix(): RemoteFile(path.stat().st_size) for path in files}


@dataclass(frozen=True)
class ShelfResult(UploadResult):
    note: str | None = None

    def details(self) -> dict[str, JsonValue]:
        return {"note": self.note}

    def summary(self) -> list[str]:
        return [f"noted: {self.note}"] if self.note else []


@dataclass
class ShelfUpload(UploadSession):
    versions: Versions
    staged: Path
    plan: ArtifactPlan
    repo_id: RitualRepoId
    options: ShelfUploadOptions
    context: Context

    def read_files(self) -> list[FileDigest]:
        """Copy the files beside the shelf, each hashed on the way: what is published is what was read."""
        targets = [self.staged / file.path for file in self.plan.files]
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
        return copy_files(
            [(file.source, target) for file, target in zip(self.plan.files, targets, strict=True)],
            max_workers=self.context.settings.max_workers,
            progress=self.context.meter("upload", self.plan.size).advance,
        )

    def publish(self, manifest: Manifest) -> UploadResult:
        label = self.repo_id.version
        document = manifest.with_repo_id(self.repo_id.without_version()).to_bytes()
        (self.staged / MANIFEST_FILENAME).write_bytes(document)
        self.versions.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.versions.folder / "lock"):
            known = self.versions.read()
            named = known["labels"].get(label)
            if named is not None and known["digests"][named] != manifest.digest:
                message = f"{self.repo_id} is another artifact already; choose another version"
                raise ConflictError(message)
            revision = named or hashlib.sha256(document).hexdigest()
            is_new = not (self.versions.folder / revision).exists()
            if is_new:
                self.staged.rename(self.versions.folder / revision)
            known["digests"][revision] = manifest.digest
            if named is None:
                known["newest"] = revision
            if label is not None:
                known["labels"][label] = revision
            known["notes"][revision] = self.options.note
            self.versions.write(known)
        sent = manifest.size if is_new else 0
        return ShelfResult(
            repo_id=self.repo_id,
            revision=revision,
            url=(self.versions.folder / revision).absolute().as_uri(),
            digest=manifest.digest,
            files=manifest.files,
            bytes_sent=sent,
            bytes_reused=manifest.size - sent,
            note=self.options.note,
        )
