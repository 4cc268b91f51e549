"""`RitualArtifactManager`: a typed artifact, and the public calls that publish, download and verify it.

Only public calls are here: each checks its arguments, makes one `Context`, and calls `transfer`. The module
is longer than others because of the signatures and the descriptions of arguments.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from pydantic import BaseModel, PrivateAttr, ValidationError
from typing_extensions import Unpack

from ritual_artifacts.arguments import (
    DownloadCall,
    UploadCall,
    merge_options,
    parse_digest,
    parse_folder,
    parse_repo_id,
    split_repo_type,
)
from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.introspection import check_model, explain
from ritual_artifacts.artifact.manifest import AnyManifest, Manifest, parse_manifest, read_manifest
from ritual_artifacts.artifact.provenance import Description, Origin, Stamp
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.backends import UploadResult
from ritual_artifacts.backends.registry import add_credentials, find_storage
from ritual_artifacts.context import Context
from ritual_artifacts.errors import (
    ArtifactError,
    ArtifactModelError,
    ArtifactNotFoundError,
)
from ritual_artifacts.events import ProgressCallback
from ritual_artifacts.repo_id import RitualRepoId, StorageId
from ritual_artifacts.secret import hide_secrets
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer.cache import BroadcastedArtifact, Cache, CachedArtifact
from ritual_artifacts.transfer.fetching import Request, fetch, identify, open_folder
from ritual_artifacts.transfer.loading import Loaded, build_from_values, load, rebuild_in, serialize
from ritual_artifacts.transfer.publishing import describe, export, plan_unchanged, publish
from ritual_artifacts.transfer.verification import check_expected_digest, verify_origin

log = logging.getLogger(__name__)

ArtifactType = TypeVar("ArtifactType", bound=BaseModel)


class RitualArtifactManager(BaseModel, Generic[ArtifactType]):
    """A typed artifact that can be published, downloaded and verified.

    An artifact is a Pydantic model. Its fields of type `Path` (and lists, optionals, dictionaries and nested
    models of them) are files; all others are metadata.

    Attributes:
        repo_id: The repository that the artifact was downloaded from; None for one that was built here.
        artifact: The model.

    Raises:
        ArtifactModelError: the model's class has a reserved, secret or ambiguous field.
    """

    repo_id: RitualRepoId | None = None
    artifact: ArtifactType

    _origin: Origin | None = PrivateAttr(default=None)  # what was downloaded or opened
    _published: Origin | None = PrivateAttr(default=None)  # what was uploaded last
    _described: Description | None = PrivateAttr(default=None)  # the last manifest that was made

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
        """Pickle the classes of `RitualArtifactManager[A]` apart: as written, it has no name to import."""
        generic = type(self).__pydantic_generic_metadata__
        if generic["origin"] is None:
            return _make_blank, (type(self), ()), self.__getstate__()
        return _make_blank, (generic["origin"], generic["args"]), self.__getstate__()

    # --- what it is ---

    def manifest(
        self, *, progress: ProgressCallback | None = None, executor: Executor | None = None
    ) -> Manifest:
        """Return the artifact's manifest; files that changed since the last call are hashed.

        Raises:
            ArtifactModelError: the model cannot be an artifact.
            SourceChangedError: a file changed while it was read.
            OSError: a file is missing or cannot be read.
        """
        context = Context.create(progress=progress, executor=executor)
        names = {} if self._origin is None else self._origin.names
        self._described = describe(self.artifact, names, self._described, self.repo_id, context)
        return self._described.manifest

    @property
    def digest(self) -> Digest:
        """The artifact's digest, `sha256:` and hex; the same on every backend, machine and run.

        Raises:
            ArtifactModelError: the model cannot be an artifact.
            OSError: a file is missing or cannot be read.
        """
        return self.manifest().digest

    def verify(
        self, *, progress: ProgressCallback | None = None, executor: Executor | None = None
    ) -> AnyManifest:
        """Hash every file again and compare it with the manifest that was downloaded or uploaded.

        An artifact that was neither downloaded nor uploaded is compared with its last `manifest()` or
        `digest`, or gets its first one here. If only some fields were downloaded, only these are compared.

        Returns:
            The manifest that the files match.

        Raises:
            IntegrityError: files are missing, differ, or do not belong in a directory of the artifact, or a
                field has another value now; everything is named.
        """
        described = None if self._described is None else self._described.origin
        origin = self._published or self._origin or described
        if origin is None:
            return self.manifest(progress=progress, executor=executor)
        context = Context.create(progress=progress, executor=executor)
        return verify_origin(self.artifact, origin, str(self.repo_id or "this machine"), context)

    # --- publishing ---

    @hide_secrets
    def to_repo(
        self,
        repo_id: str | RitualRepoId,
        hf_token: str | None = None,
        wallet_path: str | Path | None = None,
        repo_manager_kwargs: Mapping[str, Any] | None = None,
        upload_kwargs: Mapping[str, Any] | None = None,
        *,
        repo_type: str | None = None,
        repomanager_kwargs: Mapping[str, Any] | None = None,
        progress: ProgressCallback | None = None,
        executor: Executor | None = None,
    ) -> UploadResult:
        """Publish the artifact to a repository.

        Files that were downloaded, or opened from a folder, are published only if they are unchanged. To
        publish them with your edits, make a new manager: `RitualArtifactManager(artifact=manager.artifact)`.

        Args:
            repo_id: `{storage}/{owner}/{name}[/{version}]`.
            hf_token: Token for Hugging Face.
            wallet_path: Wallet for Arweave.
            repo_manager_kwargs: Connection options of the backend.
            upload_kwargs: Options of this upload.
            repo_type: Name of the storage, which must agree with the id; or an upload option of that name.
            repomanager_kwargs: The same as `repo_manager_kwargs`.
            progress: Called while files are read and sent.
            executor: A thread pool for this call's threads.

        Returns:
            Where it went, under which digest, and what was sent.

        Raises:
            RepoIdError: the id is malformed, or does not agree with `repo_type`.
            ArtifactModelError: the model cannot be an artifact.
            IntegrityError: a file has changed since it was downloaded or opened; nothing was published.
            SourceChangedError: a file changed while it was read; nothing was published.
            BackendError: the storage is not available, refused or failed.
        """
        context = Context.create(progress=progress, executor=executor)
        repo = parse_repo_id(repo_id)
        options = merge_options(upload_kwargs, split_repo_type(repo_type, repo), "upload_kwargs")
        storage = find_storage(repo.storage)
        credentials = {"hf_token": hf_token, "wallet_path": wallet_path}
        given = merge_options(repo_manager_kwargs, repomanager_kwargs)
        backend = storage.connect(add_credentials(storage, given, credentials), context)
        plan, expected = plan_unchanged(self.artifact, self._origin)
        stamp = Stamp.of_plan(plan)
        result, manifest = publish(plan, backend, repo, context, options=options, expected=expected)
        self._published = Origin.of_plan(self.artifact, plan, manifest)
        self._described = Description(manifest, stamp, self._published)
        return result

    @hide_secrets
    def to_huggingface_hub(
        self,
        repo_name: str,
        token: str | None = None,
        repo_manager_kwargs: Mapping[str, Any] | None = None,
        upload_kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[UploadCall],
    ) -> UploadResult:
        """Publish to the Hugging Face Hub; `repo_name` is `owner/name[/revision]`. See `to_repo`."""
        repo = RitualRepoId.from_hf_repo_id(repo_name)
        return self.to_repo(repo, token, None, repo_manager_kwargs, upload_kwargs, **options)

    @hide_secrets
    def to_arweave(
        self,
        repo_name: str,
        wallet_path: str | Path | None = None,
        repo_manager_kwargs: Mapping[str, Any] | None = None,
        upload_kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[UploadCall],
    ) -> UploadResult:
        """Publish to Arweave under `repo_name`; the owner is the wallet's address. See `to_repo`."""
        name = repo_name if "/" in repo_name else f"wallet/{repo_name}"
        repo = RitualRepoId.from_arweave_repo_id(name)
        return self.to_repo(repo, None, wallet_path, repo_manager_kwargs, upload_kwargs, **options)

    def to_dir(
        self,
        directory: Path | str,
        repo_id: RitualRepoId | str | None = None,
        *,
        overwrite: bool = False,
        progress: ProgressCallback | None = None,
        executor: Executor | None = None,
    ) -> Manifest:
        """Copy the artifact's files and its manifest into a folder; each file is hashed while it is copied.

        The folder changes only when everything is there. Unchanged files of another artifact in the folder
        are removed where this one does not have them; other files are left alone. Files that were downloaded
        or opened are copied only if they are unchanged; see `to_repo`.

        Args:
            directory: The folder; made where it is missing.
            repo_id: Repository to name in the manifest; default the one that the artifact is from.
            overwrite: Replace files that differ and are not known to be an artifact's.
            progress: Called while files are copied.
            executor: A thread pool for this call's threads.

        Returns:
            The manifest.

        Raises:
            ArtifactModelError: the model cannot be an artifact.
            IntegrityError: a file has changed since it was downloaded or opened.
            ConflictError: another file is in the way, or in a directory that is to be the artifact's.
            SourceChangedError: a file changed while it was read.
            OSError: a file cannot be read, or the disk is full.
        """
        context = Context.create(progress=progress, executor=executor)
        repo = self.repo_id if repo_id is None else parse_repo_id(repo_id)
        target = parse_folder(directory)
        plan, expected = plan_unchanged(self.artifact, self._origin)
        return export(plan, target, context, repo_id=repo, expected=expected, overwrite=overwrite)

    # --- downloading and opening ---

    @classmethod
    def get_instance_from_manifest(
        cls, artifact_class: type[ArtifactType], manifest_file: Path | str
    ) -> ArtifactType:
        """Build the typed artifact that a manifest beside its files describes. The files are not read.

        Raises:
            ManifestError: the manifest is malformed or hostile, or does not fit the class.
            OSError: the manifest cannot be read.
        """
        path = Path(manifest_file)
        return rebuild_in(path.parent, artifact_class, read_manifest(path), Selection())

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
        executor: Executor | None = None,
    ) -> Self:
        """Open an artifact in a folder that `to_dir`, a download or infernet-ml wrote.

        The folder may hold other files too, but not in a directory that is a field of the artifact.

        Args:
            artifact_class: The model's class.
            directory: The folder.
            manifest_data: Used where the folder has no manifest: a manifest's content, or just the model's
                fields. Paths are relative to the folder; without `file_hashes` there is nothing to verify.
            verify: Hash every file and compare it with the manifest.
            expected_digest: Accept only the artifact with this digest.
            progress: Called while files are verified.
            executor: A thread pool for this call's threads.

        Raises:
            ArtifactNotFoundError: the folder has no manifest.
            ManifestError: the manifest is malformed or hostile, or does not fit the class.
            IntegrityError: the artifact or a file differs from the manifest or from `expected_digest`.
        """
        check_model(artifact_class)
        context = Context.create(progress=progress, executor=executor)
        wanted = parse_digest(expected_digest)
        folder = parse_folder(directory).absolute()
        given = None
        if manifest_data is not None and "file_hashes" in manifest_data:
            given = parse_manifest(serialize(manifest_data), "manifest_data")
        try:
            fetched = open_folder(
                folder,
                lambda manifest: Selection.of_model(artifact_class, manifest),
                context,
                manifest=given,
                expected_digest=wanted,
                verify=verify,
            )
        except ArtifactNotFoundError:
            if manifest_data is None or given is not None:
                raise
            named = manifest_data.get("repo_id")
            manager = cls._class_for(artifact_class)(
                repo_id=None if named is None else parse_repo_id(named),
                artifact=build_from_values(artifact_class, folder, manifest_data),
            )
            if wanted is not None:
                check_expected_digest(manager.manifest(progress=progress), wanted, str(folder))
            return manager
        owner = fetched.manifest.repo_id
        repo_id = None if owner is None else RitualRepoId.from_unique_id(owner)
        return cls._of(load(artifact_class, fetched, verified=verify or wanted is not None), repo_id)

    @classmethod
    @hide_secrets
    def from_repo(
        cls,
        artifact_class: type[ArtifactType],
        repo_id: str | RitualRepoId,
        directory: str | Path | None = None,
        hf_token: str | None = None,
        repomanager_kwargs: Mapping[str, Any] | None = None,
        *,
        repo_manager_kwargs: Mapping[str, Any] | None = None,
        expected_digest: str | None = None,
        fields: Sequence[str] | None = None,
        overwrite: bool = False,
        progress: ProgressCallback | None = None,
        executor: Executor | None = None,
    ) -> Self:
        """Download an artifact; a file appears in its folder only after its SHA-256 was checked.

        Files that are there already are verified and kept; an interrupted download is continued. Unchanged
        files of an older version in the folder are removed where this one does not have them.

        Args:
            artifact_class: The model's class.
            repo_id: `{storage}/{owner}/{name}[/{version}]`; no version means the newest.
            directory: Folder for the files; default the cache.
            hf_token: Token for Hugging Face.
            repomanager_kwargs: Connection options of the backend.
            repo_manager_kwargs: The same.
            expected_digest: Accept only the artifact with this digest.
            fields: Download only the files of these fields; all other fields with files must have a default,
                which they then get. A folder with a part has no manifest, so that later downloads cannot know
                that its files are unchanged: to replace them by another version takes `overwrite`, and so
                does a part where another version is whole.
            overwrite: Replace files in `directory` that differ and are not known to be an artifact's.
            progress: Called while bytes arrive.
            executor: A thread pool for this call's threads.

        Raises:
            ArtifactNotFoundError: there is no such repository or version.
            ManifestError: the manifest is malformed or hostile, or does not fit the class.
            IntegrityError: the artifact or a file differs from the manifest or from `expected_digest`; no
                wrong byte is in its place.
            ConflictError: another file is in the way in `directory`, or in a directory that is to be the
                artifact's; or the folder in the cache is a link.
            BackendError: the storage is not available or failed.
        """
        check_model(artifact_class)
        context = Context.create(progress=progress, executor=executor)
        repo = parse_repo_id(repo_id)
        given = merge_options(repo_manager_kwargs, repomanager_kwargs)
        request = Request(
            repo_id=repo,
            options=add_credentials(find_storage(repo.storage), given, {"hf_token": hf_token}),
            directory=None if directory is None else parse_folder(directory),
            expected_digest=parse_digest(expected_digest),
            overwrite=overwrite,
            select=lambda manifest: Selection.of_model(artifact_class, manifest, fields),
            check_fit=lambda folder, manifest, part: rebuild_in(folder, artifact_class, manifest, part),
        )
        return cls._of(load(artifact_class, fetch(request, context), verified=True), repo)

    @classmethod
    @hide_secrets
    def from_huggingface_hub(
        cls,
        artifact_class: type[ArtifactType],
        repo_id: str,
        directory: str | Path | None = None,
        token: str | None = None,
        repomanager_kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[DownloadCall],
    ) -> Self:
        """Download from the Hugging Face Hub; `repo_id` is `owner/name[/revision]`. See `from_repo`."""
        repo = RitualRepoId.from_hf_repo_id(repo_id)
        return cls.from_repo(artifact_class, repo, directory, token, repomanager_kwargs, **options)

    @classmethod
    @hide_secrets
    def from_arweave(
        cls,
        artifact_class: type[ArtifactType],
        repo_id: str,
        directory: str | Path | None = None,
        repomanager_kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[DownloadCall],
    ) -> Self:
        """Download from Arweave; see `from_repo`.

        `repo_id` is `owner/name[/version]`, or the id of the transaction with the path manifest.
        """
        if "/" in repo_id:
            repo = RitualRepoId.from_arweave_repo_id(repo_id)
        else:
            given = merge_options(options.get("repo_manager_kwargs"), repomanager_kwargs)
            repo = identify(StorageId.Arweave, repo_id, given, Context.create())
        return cls.from_repo(artifact_class, repo, directory, None, repomanager_kwargs, **options)

    @classmethod
    def _of(cls, loaded: Loaded[ArtifactType], repo_id: RitualRepoId | None) -> Self:
        """Return the manager of an artifact that was just downloaded or opened."""
        manager = cls._class_for(type(loaded.artifact))(repo_id=repo_id, artifact=loaded.artifact)
        manager._origin = loaded.origin  # noqa: SLF001 - a manager, just made
        manager._described = loaded.description  # noqa: SLF001 - the same
        return manager

    @classmethod
    def _class_for(cls, artifact_class: type[ArtifactType]) -> type[Self]:
        """Return the class of a manager of `artifact_class`.

        `RitualArtifactManager[A].from_repo(B, …)` gives a B, as in infernet-ml: the argument decides.
        """
        origin = cls.__pydantic_generic_metadata__["origin"]
        return cls if origin is None else cast("type[Self]", origin.__class_getitem__(artifact_class))

    # --- the cache ---

    @classmethod
    def has_artifact(cls, repo_id: RitualRepoId | str, cache_dir: Path | str | None = None) -> bool:
        """Return whether the cache has the whole artifact. Its files are not read."""
        return Cache.of(load_settings(), cache_dir).folder(parse_repo_id(repo_id)).is_complete

    @classmethod
    def get_cached_artifacts(cls, cache_dir: Path | str | None = None) -> list[CachedArtifact]:
        """List the complete artifacts in the cache (default `RITUAL_CACHE_DIR`)."""
        return Cache.of(load_settings(), cache_dir).artifacts()

    @classmethod
    def get_broadcasted_artifacts_typed(
        cls, artifact_class: type[ArtifactType], cache_dir: Path | str | None = None
    ) -> list[BroadcastedArtifact]:
        """List the complete artifacts in the cache that are of `artifact_class` and fit it."""
        found = []
        for artifact in cls.get_cached_artifacts(cache_dir):
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
