"""`RitualArtifactManager`: a typed artifact, and every way to publish it and to bring it back."""

import json
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar, cast

from pydantic import BaseModel, PrivateAttr, ValidationError

from ritual_artifacts.artifact.canonical import canonical_bytes
from ritual_artifacts.artifact.introspection import (
    RESERVED_FIELDS,
    check_model,
    describe,
    explain,
    fill,
    rebuild,
)
from ritual_artifacts.artifact.manifest import Manifest, ManifestEntry
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, ArtifactPlan, plan_files
from ritual_artifacts.artifact.selection import fields_by_directory, fields_by_file, names_below, select_files
from ritual_artifacts.backends import Backend, UploadResult, identify, load_backend
from ritual_artifacts.core.hashing import hash_files
from ritual_artifacts.errors import (
    ArtifactError,
    ArtifactModelError,
    ArtifactNotFoundError,
    IntegrityError,
    ManifestError,
    Mismatch,
    RepoIdError,
)
from ritual_artifacts.events import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId, StorageId
from ritual_artifacts.transfer import cache, staging
from ritual_artifacts.transfer import downloading as transfer
from ritual_artifacts.transfer.cache import BroadcastedArtifact, CachedArtifact
from ritual_artifacts.transfer.verification import (
    MISSING,
    UNNAMED,
    check_expected_digest,
    find_mismatches,
    find_strays,
    verify_folder,
)

log = logging.getLogger(__name__)

ArtifactType = TypeVar("ArtifactType", bound=BaseModel)

_Stamp: TypeAlias = tuple[bytes, tuple[tuple[str, Path, int, int, int, int], ...]]
_COMMIT_LENGTH = 40


class RitualArtifactManager(BaseModel, Generic[ArtifactType]):
    """A typed artifact on its way to or from a storage.

    An artifact is a Pydantic model. Its fields of type `Path` (and lists, optionals, dictionaries and nested
    models of them) are files, all others are metadata.

    Attributes:
        repo_id: The repository that the artifact came from; None for one that was built here.
        artifact: The model.

    Raises:
        ArtifactModelError: the model's class has a reserved, secret or ambiguous field.
    """

    repo_id: RitualRepoId | None = None
    artifact: ArtifactType

    _described: Manifest | None = PrivateAttr(default=None)
    _stamp: _Stamp | None = PrivateAttr(default=None)  # what `_described` was made of
    _promised: Manifest | None = PrivateAttr(default=None)  # what the artifact came or left with
    _values: dict[str, str] = PrivateAttr(default_factory=dict)  # the fields when that was promised
    _places: dict[str, Path] = PrivateAttr(default_factory=dict)  # where the promised files are
    _folders: dict[str, Path] = PrivateAttr(default_factory=dict)  # where the promised directories are
    _names: dict[Path, str] = PrivateAttr(default_factory=dict)  # how what came is called in the artifact
    _came: dict[Path, ManifestEntry] = PrivateAttr(default_factory=dict)  # what the files were that came

    if not TYPE_CHECKING:  # a type checker knows the arguments from the attributes

        def __init__(self, /, **data: object) -> None:
            """Check the arguments, so that a wrong one ends in an error of this package."""
            try:
                super().__init__(**data)
            except ValidationError as error:
                message = f"this cannot be managed as an artifact: {explain(error, 'the manager')}"
                raise ArtifactModelError(message) from None

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - pydantic's signature
        """Refuse a model that cannot be an artifact, before anything is done with it."""
        super().model_post_init(context)
        check_model(type(self.artifact))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the classes of `RitualArtifactManager[A]` apart: where it was written, it has no name."""
        generic = type(self).__pydantic_generic_metadata__
        if generic["origin"] is None:
            return _make_blank, (type(self), ()), self.__getstate__()
        return _make_blank, (generic["origin"], generic["args"]), self.__getstate__()

    # --- what it is ---

    def manifest(self, *, progress: ProgressCallback | None = None) -> Manifest:
        """Return the artifact's manifest; files that changed since the last call are hashed.

        Raises:
            ArtifactModelError: the model cannot be an artifact.
            SourceChangedError: a file changed while it was read.
            OSError: a file is missing or cannot be read.
        """
        plan = self._plan()
        stamp = _take_stamp(plan)
        if self._described is None or self._stamp != stamp:
            meter = ProgressMeter(progress, "hash", plan.size)
            sources = [file.source for file in plan.files]
            digests = hash_files(sources, follow_symlinks=False, progress=meter.advance)
            self._described, self._stamp = Manifest.build(plan, digests, self.repo_id), stamp
            if self._promised is None:
                self._note_places(_places_of(plan), plan.directories)
        return self._described

    @property
    def digest(self) -> str:
        """The artifact's digest, `sha256:` and hex; the same on every backend, machine and run.

        Raises:
            ArtifactModelError: the model cannot be an artifact.
            OSError: a file is missing or cannot be read.
        """
        digest = self.manifest().digest
        if digest is None:  # a manifest of files that were just read has every size
            message = "the manifest has no sizes"
            raise ManifestError(message)
        return digest

    def verify(self, *, progress: ProgressCallback | None = None) -> Manifest:
        """Hash every file again and compare it with the manifest that the artifact came or left with.

        An artifact that was neither downloaded nor uploaded is compared with its last `manifest()` or
        `digest`; one that has none yet gets it here. One of which only some fields were fetched is compared
        in these.

        Returns:
            The manifest that the files match.

        Raises:
            IntegrityError: files are missing, differ, or do not belong in a directory of the artifact, or a
                field has another value since; everything is named.
        """
        manifest = self._promised or self._described
        if manifest is None:
            return self.manifest(progress=progress)
        source = str(self.repo_id or "this machine")
        fields = fields_by_file(type(self.artifact), manifest)
        directories = fields_by_directory(type(self.artifact), manifest)
        found = _find_changes(self._values, _take_values(self.artifact), source)
        found += find_mismatches(manifest, self._places, source, fields=fields, progress=progress)[0]
        found += find_strays(manifest, self._folders, source, fields=directories)
        if found:
            raise IntegrityError.of(found)
        return manifest

    def _plan(self) -> ArtifactPlan:
        return plan_files(self.artifact, self._names)

    def _note_places(self, files: Mapping[str, Path], directories: Mapping[str, Path]) -> None:
        """Remember where everything is, and what the fields are, that the manifest is about."""
        self._places, self._folders = dict(files), dict(directories)
        self._values = _take_values(self.artifact)

    # --- publishing ---

    def to_repo(
        self,
        repo_id: str | RitualRepoId,
        hf_token: str | None = None,
        wallet_path: str | Path | None = None,
        repo_manager_kwargs: Mapping[str, Any] | None = None,
        upload_kwargs: Mapping[str, Any] | None = None,
        *,
        repo_type: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> UploadResult:
        """Publish the artifact to a repository.

        Files that came by a download or from a folder are published only as what they came as. To publish
        them with your edits, make a new manager: `RitualArtifactManager(artifact=manager.artifact)`.

        Args:
            repo_id: `{storage}/{owner}/{name}[/{version}]`.
            hf_token: Token for Hugging Face.
            wallet_path: Wallet for Arweave.
            repo_manager_kwargs: Options of the backend.
            upload_kwargs: Options of this upload.
            repo_type: Name of the storage, where given; it must agree with the id.
            progress: Called while files are read and sent.

        Returns:
            Where it went, under which digest, and what was sent.

        Raises:
            RepoIdError: the id is malformed, or does not agree with `repo_type`.
            ArtifactModelError: the model cannot be an artifact.
            IntegrityError: a file is no longer what it came as, because it was edited, or because another
                download has replaced it in the cache; nothing was published.
            SourceChangedError: a file changed while it was read; nothing was published.
            BackendError: the storage is not available, refused or failed.
        """
        repo = _parse(repo_id)
        options = dict(upload_kwargs or {})
        if repo_type is not None:
            if repo_type not in set(StorageId):
                options["repo_type"] = repo_type
            elif repo_type != repo.storage:
                message = f"repo_type {repo_type!r} does not agree with the repository id {repo}"
                raise RepoIdError(message)
        backend = open_backend(repo, repo_manager_kwargs, hf_token, wallet_path)
        plan, expected = self._plan_as_it_came()
        stamp = _take_stamp(plan)
        result, manifest = transfer.upload(
            plan, backend, repo, expected=expected, options=options, progress=progress
        )
        self._described, self._stamp = manifest, stamp
        self._promised = manifest
        self._note_places(_places_of(plan), plan.directories)
        return result

    def _plan_as_it_came(self) -> tuple[ArtifactPlan, Manifest | None]:
        """Return the plan, and what those of its files must be that came with the artifact.

        Raises:
            IntegrityError: a file that came is gone, or a directory that came has other files now.
        """
        try:
            plan = self._plan()
        except FileNotFoundError as error:
            gone = self._came.get(Path(str(error.filename)).absolute())
            if gone is None:
                raise
            mismatch = Mismatch(gone.path, gone.sha256, MISSING, str(error.filename))
            raise IntegrityError.of([mismatch], hint=transfer.CHANGED_SINCE) from None
        if not self._came:
            return plan, None
        files = {file.source.absolute(): file for file in plan.files}
        found = []
        for folder in (place.absolute() for place in plan.directories.values()):
            if folder not in self._names:
                continue
            below = f"{folder}{os.sep}"
            found += [
                Mismatch(entry.path, entry.sha256, MISSING, str(path))
                for path, entry in self._came.items()
                if path not in files and str(path).startswith(below)
            ]
            found += [
                Mismatch(file.path, UNNAMED, "a file", str(path), file.field)
                for path, file in files.items()
                if path not in self._came and str(path).startswith(below)
            ]
        if found:
            raise IntegrityError.of(found, hint=transfer.CHANGED_SINCE)
        entries = [
            came.model_copy(update={"path": file.path})
            for path, file in files.items()
            if (came := self._came.get(path)) is not None
        ]
        return plan, Manifest(artifact_type=plan.artifact_type, fields={}, files=tuple(entries))

    def to_huggingface_hub(
        self,
        repo_name: str,
        token: str | None = None,
        repo_manager_kwargs: Mapping[str, Any] | None = None,
        upload_kwargs: Mapping[str, Any] | None = None,
    ) -> UploadResult:
        """Publish to the Hugging Face Hub; `repo_name` is `owner/name[/revision]`. See `to_repo`."""
        repo = RitualRepoId.from_hf_repo_id(repo_name)
        return self.to_repo(repo, token, None, repo_manager_kwargs, upload_kwargs)

    def to_arweave(
        self,
        repo_name: str,
        wallet_path: str | Path | None = None,
        repo_manager_kwargs: Mapping[str, Any] | None = None,
        upload_kwargs: Mapping[str, Any] | None = None,
    ) -> UploadResult:
        """Publish to Arweave under `repo_name`; the owner is the wallet's address. See `to_repo`."""
        name = repo_name if "/" in repo_name else f"wallet/{repo_name}"
        repo = RitualRepoId.from_arweave_repo_id(name)
        return self.to_repo(repo, None, wallet_path, repo_manager_kwargs, upload_kwargs)

    def to_dir(
        self,
        directory: Path | str,
        repo_id: RitualRepoId | str | None = None,
        *,
        overwrite: bool = False,
        progress: ProgressCallback | None = None,
    ) -> Manifest:
        """Copy the artifact's files and its manifest into a folder, each file hashed as it lands.

        The folder changes only when everything is there. Of another artifact in it, files that are unchanged
        and that this one does not have go away; other files are left alone. Files that came by a download or
        from a folder are copied only as what they came as; see `to_repo`.

        Args:
            directory: The folder; made where it is missing.
            repo_id: Repository to name in the manifest; default the one that the artifact came from.
            overwrite: Replace files that differ and are not known to be an artifact's.
            progress: Called while files are copied.

        Returns:
            The manifest.

        Raises:
            ArtifactModelError: the model cannot be an artifact.
            IntegrityError: a file is no longer what it came as.
            ConflictError: another file is in the way, or in a directory that is to be the artifact's.
            SourceChangedError: a file changed while it was read.
            OSError: a file cannot be read, or the disk is full.
        """
        repo = self.repo_id if repo_id is None else _parse(repo_id)
        plan, expected = self._plan_as_it_came()
        return transfer.export(
            plan, Path(directory), repo, expected=expected, overwrite=overwrite, progress=progress
        )

    # --- bringing back ---

    @classmethod
    def get_instance_from_manifest(
        cls, artifact_class: type[ArtifactType], manifest_file: Path | str
    ) -> ArtifactType:
        """Build the typed artifact that a manifest beside its files describes. The files are not read.

        Raises:
            ManifestError: the manifest is malformed or hostile, or does not fit the class.
            OSError: the manifest cannot be read.
        """
        manifest = Manifest.read(Path(manifest_file))
        folder = Path(manifest_file).parent
        return rebuild(artifact_class, manifest.fields, lambda name: manifest.resolve(folder, name))

    @classmethod
    def from_dir(
        cls,
        artifact_class: type[ArtifactType],
        directory: Path | str,
        manifest_data: Mapping[str, Any] | None = None,
        *,
        verify: bool = True,
        expected_digest: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> Self:
        """Bring back an artifact from a folder that `to_dir`, a download or infernet-ml wrote.

        A download into it whose files were all there when its process was killed is finished first. The
        folder may hold other files too, but not in a directory that is a field of the artifact.

        Args:
            artifact_class: The model's class.
            directory: The folder.
            manifest_data: Used where the folder has no manifest: a manifest's content, or just the model's
                fields. Paths are relative to the folder; without `file_hashes` there is nothing to verify.
            verify: Hash every file and compare it with the manifest.
            expected_digest: Accept only the artifact with this digest.
            progress: Called while files are verified.

        Raises:
            ArtifactNotFoundError: the folder has no manifest.
            ManifestError: the manifest is malformed or hostile, or does not fit the class.
            IntegrityError: the artifact or a file is not what was promised.
        """
        check_model(artifact_class)
        folder = Path(directory).absolute()
        staging.finish_interrupted(folder)
        try:
            manifest = Manifest.read(folder / MANIFEST_FILENAME)
        except FileNotFoundError:
            if manifest_data is None:
                message = (
                    f"{folder} has no {MANIFEST_FILENAME}: "
                    f"it is not an artifact, or its download was cut short"
                )
                raise ArtifactNotFoundError(message) from None
            data = _serialize(manifest_data)
            if "file_hashes" not in manifest_data:
                manager = cls._from_values(artifact_class, folder, manifest_data)
                if expected_digest is not None:
                    check_expected_digest(manager.manifest(progress=progress), expected_digest, str(folder))
                return manager
            manifest = Manifest.from_bytes(data, "manifest_data")
        check_expected_digest(manifest, expected_digest, str(folder))
        fields = fields_by_file(artifact_class, manifest)
        verify = verify or (expected_digest is not None and not manifest.has_sizes)
        if verify:
            directories = fields_by_directory(artifact_class, manifest)
            manifest = verify_folder(
                manifest, folder, fields=fields, directories=directories, progress=progress
            )
            check_expected_digest(manifest, expected_digest, str(folder))
        repo_id = None if manifest.repo_id is None else RitualRepoId.from_unique_id(manifest.repo_id)
        return cls._load_from(artifact_class, folder, manifest, repo_id, verified=verify)

    @classmethod
    def from_repo(
        cls,
        artifact_class: type[ArtifactType],
        repo_id: str | RitualRepoId,
        directory: str | Path | None = None,
        hf_token: str | None = None,
        repomanager_kwargs: Mapping[str, Any] | None = None,
        *,
        expected_digest: str | None = None,
        fields: Sequence[str] | None = None,
        overwrite: bool = False,
        progress: ProgressCallback | None = None,
    ) -> Self:
        """Bring back an artifact from a repository, every byte verified before it is at its place.

        Files that are there already are verified and kept, a download that was cut short is continued. Of an
        older version in the folder, files that are unchanged and that this one does not have go away.

        Args:
            artifact_class: The model's class.
            repo_id: `{storage}/{owner}/{name}[/{version}]`; no version means the newest.
            directory: Folder for the files; default the cache.
            hf_token: Token for Hugging Face.
            repomanager_kwargs: Options of the backend.
            expected_digest: Accept only the artifact with this digest.
            fields: Fetch only the files of these fields; all other fields with files must have a default,
                which they then get. A folder with a part has no manifest, so that it is not known later that
                its files came unchanged: to replace them by another version takes `overwrite`, and so does a
                part where another version is whole.
            overwrite: Replace files in `directory` that differ and are not known to be an artifact's.
            progress: Called while bytes arrive.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
            ManifestError: the manifest is malformed or hostile, or does not fit the class.
            IntegrityError: the artifact or a file is not what was promised; no wrong byte is at its place.
            ConflictError: another file is in the way in `directory`, or in a directory that is to be the
                artifact's; or the folder in the cache is a link.
            BackendError: the storage is not available or failed.
        """
        check_model(artifact_class)
        repo = _parse(repo_id)
        place = cache.place_of(repo, repomanager_kwargs) if directory is None else Path(directory)
        target = place.absolute()
        if directory is None and fields is None and is_pinned(repo, expected_digest):
            try:
                cached = cls.from_dir(
                    artifact_class, target, expected_digest=expected_digest, progress=progress
                )
            except (ArtifactError, OSError) as error:
                log.info("fetching %s: it is not in the cache as it should be (%s)", repo, error)
            else:
                cached.repo_id = repo
                return cached
        backend = open_backend(repo, repomanager_kwargs, hf_token)  # offline, too: it looks at the options
        if cache.is_offline(repo, repomanager_kwargs):
            if fields is not None:
                message = (
                    f"fields= of {repo} have to be fetched, and offline mode is on (HF_HUB_OFFLINE or "
                    f"local_files_only); without fields=, a complete copy on this machine will do"
                )
                raise ArtifactNotFoundError(message)
            return cls._from_offline(artifact_class, repo, target, expected_digest, progress)
        revision, manifest = transfer.read_manifest(backend, repo)
        only, left_out = select_files(artifact_class, manifest, fields)
        directories = fields_by_directory(artifact_class, manifest)

        def rebuild_in(folder: Path) -> ArtifactType:
            return _rebuild_in(folder, artifact_class, manifest, left_out)

        whole = transfer.download(
            backend,
            repo,
            revision,
            manifest,
            target,
            only=only,
            exclusive=directory is None,
            overwrite=overwrite,
            expected_digest=expected_digest,
            fields=fields_by_file(artifact_class, manifest),
            directories=[name for name, field in directories.items() if field not in left_out],
            check_fit=rebuild_in,
            progress=progress,
        )
        return cls._load_from(
            artifact_class, target, whole, repo, verified=True, only=only, left_out=left_out
        )

    @classmethod
    def _from_offline(
        cls,
        artifact_class: type[ArtifactType],
        repo: RitualRepoId,
        folder: Path,
        expected_digest: str | None,
        progress: ProgressCallback | None,
    ) -> Self:
        """Bring back the copy that is on this machine, verified."""
        try:
            manager = cls.from_dir(artifact_class, folder, expected_digest=expected_digest, progress=progress)
        except ArtifactNotFoundError:
            message = (
                f"{folder} has no complete copy of {repo}, and offline mode is on (HF_HUB_OFFLINE or "
                f"local_files_only); download it once with the network"
            )
            raise ArtifactNotFoundError(message) from None
        manager.repo_id = repo
        return manager

    @classmethod
    def from_huggingface_hub(
        cls,
        artifact_class: type[ArtifactType],
        repo_id: str,
        directory: str | Path | None = None,
        token: str | None = None,
        repomanager_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Bring back an artifact from the Hugging Face Hub; `repo_id` is `owner/name[/revision]`."""
        repo = RitualRepoId.from_hf_repo_id(repo_id)
        return cls.from_repo(artifact_class, repo, directory, token, repomanager_kwargs)

    @classmethod
    def from_arweave(
        cls,
        artifact_class: type[ArtifactType],
        repo_id: str,
        directory: str | Path | None = None,
        repomanager_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Bring back an artifact from Arweave.

        `repo_id` is `owner/name[/version]`, or the id of the transaction with its path manifest. See
        `from_repo`.
        """
        if "/" in repo_id:
            repo = RitualRepoId.from_arweave_repo_id(repo_id)
        else:
            repo = _identify(repo_id, repomanager_kwargs)
        return cls.from_repo(artifact_class, repo, directory, None, repomanager_kwargs)

    @classmethod
    def _load_from(
        cls,
        artifact_class: type[ArtifactType],
        folder: Path,
        manifest: Manifest,
        repo_id: RitualRepoId | None,
        *,
        verified: bool,
        only: Collection[str] | None = None,
        left_out: Sequence[str] = (),
    ) -> Self:
        artifact = _rebuild_in(folder, artifact_class, manifest, left_out)
        manager = cls._class_for(artifact_class)(repo_id=repo_id, artifact=artifact)
        if only is not None:
            fields = {name: value for name, value in manifest.fields.items() if name not in left_out}
            files = tuple(entry for entry in manifest.files if entry.path in only)
            manifest = manifest.model_copy(update={"fields": fields, "files": files})
        manager._adopt(manifest, folder, verified=verified)  # noqa: SLF001 - a manager, just made
        return manager

    def _adopt(self, manifest: Manifest, folder: Path, *, verified: bool) -> None:
        """Take over the manifest that the artifact came with.

        Files that were just verified need not be hashed again while they look the same from outside. But the
        class may give other fields and files than the one that was published: then this is another artifact.
        """
        cls = type(self.artifact)
        self._promised = manifest
        self._names = names_below(folder, manifest)
        self._came = {folder / entry.path: entry for entry in manifest.files}
        places = {entry.path: folder / entry.path for entry in manifest.files}
        self._note_places(places, {name: folder / name for name in fields_by_directory(cls, manifest)})
        if unused := len(places.keys() - fields_by_file(cls, manifest).keys()):
            log.warning(
                "%d files in %s belong to no field of %s; published again, the artifact is without them",
                unused,
                folder,
                cls.__name__,
            )
        if verified:
            try:
                plan = self._plan()
                if _is_plan_of(plan, manifest) and _places_of(plan) == places:
                    self._described, self._stamp = manifest, _take_stamp(plan)
            except (ArtifactModelError, OSError) as error:
                log.info("this artifact could not be published again as it is: %s", error)

    @classmethod
    def _class_for(cls, artifact_class: type[ArtifactType]) -> type[Self]:
        """Return the class of a manager of `artifact_class`.

        `RitualArtifactManager[A].from_repo(B, …)` brings back a B, as in infernet-ml: the argument decides.
        """
        origin = cls.__pydantic_generic_metadata__["origin"]
        return cls if origin is None else cast("type[Self]", origin.__class_getitem__(artifact_class))

    @classmethod
    def _from_values(
        cls, artifact_class: type[ArtifactType], folder: Path, values: Mapping[str, Any]
    ) -> Self:
        def resolve(name: str) -> Path:
            path = folder / name
            if "\0" in name or not path.resolve().is_relative_to(folder.resolve()) or not path.exists():
                message = f"{folder} has no {name!r}"
                raise ManifestError(message)
            return path

        own = {name: value for name, value in values.items() if name not in RESERVED_FIELDS}
        repo_id = values.get("repo_id")
        return cls._class_for(artifact_class)(
            repo_id=None if repo_id is None else _parse(repo_id),
            artifact=rebuild(artifact_class, own, resolve),
        )

    # --- the cache ---

    @classmethod
    def has_artifact(cls, repo_id: RitualRepoId | str, cache_dir: Path | str | None = None) -> bool:
        """Say whether the cache has the whole artifact. Its files are not read."""
        return cache.find_folder(_parse(repo_id), cache_dir).is_complete

    @classmethod
    def get_cached_artifacts(cls, cache_dir: Path | str | None = None) -> list[CachedArtifact]:
        """List the complete artifacts in the cache (default `RITUAL_CACHE_DIR`)."""
        return cache.cached_artifacts(cache_dir)

    @classmethod
    def get_broadcasted_artifacts_typed(
        cls, artifact_class: type[ArtifactType], cache_dir: Path | str | None = None
    ) -> list[BroadcastedArtifact]:
        """List the complete artifacts in the cache that are of `artifact_class` and fit it."""
        found = []
        for artifact in cache.cached_artifacts(cache_dir):
            if artifact.type == artifact_class.__name__:
                try:
                    cls.get_instance_from_manifest(artifact_class, artifact.path)
                except (ArtifactError, OSError) as error:
                    log.info("ignoring %s: %s", artifact.path, error)
                else:
                    found.append(artifact.to_broadcasted_artifact())
        return found


def _make_blank(origin: Any, arguments: tuple[type, ...]) -> object:  # noqa: ANN401 - a generic class
    cls = origin[arguments] if arguments else origin
    return cls.__new__(cls)


def _parse(repo_id: str | RitualRepoId) -> RitualRepoId:
    return repo_id if isinstance(repo_id, RitualRepoId) else RitualRepoId.from_unique_id(repo_id)


def open_backend(
    repo: RitualRepoId,
    options: Mapping[str, Any] | None,
    hf_token: str | None = None,
    wallet_path: str | Path | None = None,
) -> Backend:
    """Load the backend of a repository; a credential goes only to the storage that it is for.

    Raises:
        BackendError: there is no such backend, or it does not take these options.
    """
    given = dict(options or {})
    if repo.storage is StorageId.Huggingface and hf_token is not None:
        given["token"] = hf_token
    if repo.storage is StorageId.Arweave and wallet_path is not None:
        given["wallet_path"] = wallet_path
    return load_backend(repo.storage, given)


def _identify(transaction_id: str, options: Mapping[str, Any] | None) -> RitualRepoId:
    """Return the repository and version that a path manifest on Arweave is."""
    cached = cache.find_version(StorageId.Arweave, transaction_id)
    return cached or identify(load_backend(StorageId.Arweave, options), transaction_id)


def _serialize(values: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(values).encode()
    except (TypeError, ValueError, RecursionError) as error:
        message = f"manifest_data is not a valid manifest, which holds only what JSON can: {error}"
        raise ManifestError(message) from None


def _rebuild_in(
    folder: Path, artifact_class: type[ArtifactType], manifest: Manifest, left_out: Sequence[str]
) -> ArtifactType:
    """Build the artifact whose files are in `folder`, with the defaults of the fields that are left out."""
    values = {name: value for name, value in manifest.fields.items() if name not in left_out}
    return rebuild(artifact_class, values, lambda name: manifest.resolve(folder, name))


def _is_plan_of(plan: ArtifactPlan, manifest: Manifest) -> bool:
    """Say whether publishing the plan would give this manifest, if its files are unchanged."""
    named = [file.path for file in plan.files], plan.artifact_type
    if named != ([entry.path for entry in manifest.files], manifest.artifact_type):
        return False
    try:
        return canonical_bytes(plan.fields) == canonical_bytes(manifest.fields)
    except ValueError:  # an old manifest may hold integers that canonical JSON does not have
        return False


def _take_values(artifact: BaseModel) -> dict[str, str]:
    """Note the fields as JSON, with absolute paths; nothing where the artifact could not be published."""
    try:
        nodes = describe(artifact).items()
        values = {name: fill(node, lambda ref: str(ref.path.absolute())) for name, node in nodes}
    except (ArtifactModelError, ValueError):  # ValueError: a set of paths that are no Unicode
        return {}
    return {name: json.dumps(value, sort_keys=True) for name, value in values.items()}


def _find_changes(before: Mapping[str, str], now: Mapping[str, str], source: str) -> list[Mismatch]:
    """Name the fields whose values are others."""
    return [
        Mismatch("(the value)", before.get(name, MISSING), now.get(name, MISSING), source, name)
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _places_of(plan: ArtifactPlan) -> dict[str, Path]:
    return {file.path: file.source.absolute() for file in plan.files}


def _take_stamp(plan: ArtifactPlan) -> _Stamp:
    """Note what files look like from outside; while that stays the same, their digests are taken to."""
    stats = [(file, file.source.stat()) for file in plan.files]
    seen = ((f.path, f.source, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for f, s in stats)
    return canonical_bytes(plan.fields), tuple(seen)


def is_pinned(repo: RitualRepoId, expected_digest: str | None) -> bool:
    """Say whether the id can only ever name one artifact, so that a copy in the cache is as good."""
    if expected_digest is not None:
        return True
    if repo.version is None or repo.storage is StorageId.Local:  # the store is here: asking it costs nothing
        return False
    is_commit = len(repo.version) == _COMMIT_LENGTH and set(repo.version) <= set("0123456789abcdef")
    return repo.storage is StorageId.Arweave or is_commit
