"""`ModelManager`: models published from folders, and brought back by their ids."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from types import MethodType
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

from ritual_artifacts.artifact.introspection import file_names, rebuild
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.backends import ChoosesOwner, UploadResult
from ritual_artifacts.core.hashing import make_folder, write_file
from ritual_artifacts.errors import ArtifactError, ArtifactNotFoundError, ManifestError, RepoIdError
from ritual_artifacts.events import ProgressCallback
from ritual_artifacts.locks import is_in_cache, lock_folder
from ritual_artifacts.manager import RitualArtifactManager, is_pinned, open_backend
from ritual_artifacts.models.artifact import ModelArtifact, plan_model
from ritual_artifacts.models.identity import MlModelId, find_names
from ritual_artifacts.models.information import MlModelInfo, MLType
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer import cache, staging
from ritual_artifacts.transfer import downloading as transfer
from ritual_artifacts.transfer.cache import BroadcastedArtifact
from ritual_artifacts.transfer.verification import check_expected_digest, verify_folder

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_FILES: Final = "files"
"""The field of `ModelArtifact` that holds them."""


class _OnTheClassToo(Generic[P, R]):
    """A method that the class has too, as infernet-ml's documentation calls it: there a default manager's."""

    def __init__(self, method: Callable[Concatenate[Any, P], R]) -> None:
        self._method = method

    def __get__(self, manager: object | None, cls: Callable[[], object]) -> Callable[P, R]:
        return MethodType(self._method, cls() if manager is None else manager)


class ModelManager:
    """Publishes models, brings them back, and knows which ones are here.

    Attributes:
        cache_dir: Where downloaded models are.
        default_ml_type: The kind of the models, where a call does not say it.
    """

    def __init__(self, cache_dir: str | Path | None = None, default_ml_type: MLType | None = None) -> None:
        """Choose the cache; nothing is read or written yet.

        Args:
            cache_dir: Where downloaded models are; default `RITUAL_CACHE_DIR`.
            default_ml_type: The kind of the models, where a call does not say it.

        Raises:
            ArtifactError: the environment has a setting that cannot be used.
        """
        chosen = load_settings().cache_dir if cache_dir is None else Path(cache_dir).expanduser()
        self.cache_dir = chosen.absolute()
        self.default_ml_type = default_ml_type

    @classmethod
    def upload_model(  # noqa: PLR0917 - infernet-ml's order
        cls,
        directory: Path | str,
        repo_id: RitualRepoId | str,
        metadata: Mapping[str, object] | None = None,
        hf_token: str | None = None,
        wallet_path: str | Path | None = None,
        repo_manager_kwargs: Mapping[str, Any] | None = None,
        upload_kwargs: Mapping[str, Any] | None = None,
        *,
        progress: ProgressCallback | None = None,
    ) -> UploadResult:
        """Publish a folder of files, with what is known about them.

        It is the artifact that `ritual-artifacts upload FOLDER` publishes. Files in subfolders keep their
        relative paths.

        Args:
            directory: The folder, or a single file.
            repo_id: `{storage}/{owner}/{name}[/{version}]`.
            metadata: A `MlModelInfo`, or its fields as a dictionary, for each file that something is known
                about, by the file's name; and anything else that JSON can say, except a dictionary, by any
                name. The `id` of each `MlModelInfo` is set to the file's model id.
            hf_token: Token for Hugging Face.
            wallet_path: Wallet for Arweave.
            repo_manager_kwargs: Options of the backend.
            upload_kwargs: Options of this upload.
            progress: Called while files are read and sent.

        Returns:
            Where it went, under which digest, and what was sent.

        Raises:
            RepoIdError: the id is malformed.
            ArtifactModelError: the folder has no file, or one that cannot be an artifact's; or the metadata
                is wrong, or tells of a file that is not there.
            SourceChangedError: a file changed while it was read; nothing was published.
            BackendError: the storage is not available, refused or failed.
        """
        folder = Path(directory)
        repo = _parse(repo_id)
        plan_model(folder, metadata)  # what is wrong with it shows before a wallet is opened
        backend = open_backend(repo, repo_manager_kwargs, hf_token, wallet_path)
        if isinstance(backend, ChoosesOwner):
            repo = backend.choose_owner(repo)
        plan = plan_model(folder, metadata, repo)
        result, _ = transfer.upload(plan, backend, repo, options=upload_kwargs, progress=progress)
        for name, info in (metadata or {}).items():
            if isinstance(info, MlModelInfo):
                info.id = f"{repo}:{name}"
        return result

    @_OnTheClassToo
    def download_model(
        self,
        model: str | MlModelId | None = None,
        ml_type: MLType | None = None,
        *,
        repo_id: str | RitualRepoId | None = None,
        file_name: str | PurePath | Sequence[str | PurePath] | None = None,
        directory: str | Path | None = None,
        output_dir: str | Path | None = None,
        hf_token: str | None = None,
        repomanager_kwargs: Mapping[str, Any] | None = None,
        expected_digest: str | None = None,
        overwrite: bool = False,
        progress: ProgressCallback | None = None,
    ) -> ModelArtifact:
        """Bring back a model, every byte verified before it is at its place.

        Only the files that the id names are fetched. Those that are there already are verified and kept, a
        download that was cut short is continued.

        Args:
            model: The model's id, `{repository id}[:{file},{file}…]`; without files every file is meant.
            ml_type: What kind of model it is; taken for the sake of infernet-ml, and changes nothing.
            repo_id: The repository, in place of `model`.
            file_name: The file or files in `repo_id`, as texts or relative paths; default all.
            directory: Folder for the files; default the cache.
            output_dir: The same.
            hf_token: Token for Hugging Face.
            repomanager_kwargs: Options of the backend.
            expected_digest: Accept only the artifact with this digest.
            overwrite: Replace files in the folder that differ and are not known to be an artifact's.
            progress: Called while bytes arrive.

        Returns:
            The files that the id names, in its order, and the whole metadata.

        Raises:
            RepoIdError: the id is malformed, or not given exactly once.
            ArtifactNotFoundError: there is no such repository or version, or it has no such file; the error
                lists those that it has.
            ManifestError: the manifest is malformed or hostile, or is not that of a folder of files.
            IntegrityError: the artifact or a file is not what was promised; no wrong byte is at its place.
            ConflictError: another file is in the way in the folder.
            BackendError: the storage is not available or failed.
        """
        wanted = _identify(model, repo_id, file_name, ml_type or self.default_ml_type)
        if directory is not None and output_dir is not None and Path(directory) != Path(output_dir):
            message = f"directory {directory} and output_dir {output_dir} mean the same; give one of them"
            raise ArtifactError(message)
        repo, given = wanted.repo_id, output_dir if directory is None else directory
        place = cache.place_of(repo, repomanager_kwargs, self.cache_dir) if given is None else Path(given)
        target = place.absolute()
        if cache.is_offline(repo, repomanager_kwargs):
            try:
                return _open_kept(wanted, target, expected_digest, progress)
            except ArtifactNotFoundError as error:
                message = (
                    f"{wanted} is not on this machine ({error}), and offline mode is on (HF_HUB_OFFLINE or "
                    f"local_files_only); download it once with the network"
                )
                raise ArtifactNotFoundError(message) from None
        if given is None and is_pinned(repo, expected_digest):
            try:
                return _open_kept(wanted, target, expected_digest, progress)
            except (ArtifactError, OSError) as error:
                log.info("fetching %s: it is not in the cache as it should be (%s)", wanted, error)
        backend = open_backend(repo, repomanager_kwargs, hf_token)
        revision, manifest = transfer.read_manifest(backend, repo)
        names = _choose(wanted, manifest, str(repo))
        transfer.download(
            backend,
            repo,
            revision,
            manifest,
            target,
            only=names if wanted.files else None,
            exclusive=given is None and is_in_cache(target),
            overwrite=overwrite or given is None,  # in a cache nothing is the user's
            expected_digest=expected_digest,
            fields=dict.fromkeys(names, _FILES),
            check_fit=lambda folder: _rebuild_in(folder, manifest, names),
            progress=progress,
        )
        if given is None and not (target / MANIFEST_FILENAME).exists():
            with lock_folder(target):
                make_folder(cache.part_path(target).parent)
                write_file(cache.part_path(target), manifest.to_bytes())
        return _rebuild_in(target, manifest, names)

    def has_model(self, model_id: str | MlModelId) -> bool:
        """Say whether the cache has every file that the id names. The files are not read.

        Raises:
            RepoIdError: the id is malformed.
        """
        wanted = MlModelId.from_any(model_id)
        folder = cache.find_folder(wanted.repo_id, self.cache_dir)
        manifest = folder.manifest or folder.part
        if manifest is None or not (wanted.files or folder.manifest):
            return False
        try:
            names = _choose(wanted, manifest, str(folder.path))
        except ArtifactError:
            return False
        return folder.has(names)

    def get_cached_models(self, default_ml_type: MLType | None = None) -> list[BroadcastedArtifact]:
        """List the models of which the cache has every file, as what a service tells the network.

        Args:
            default_ml_type: Taken for the sake of infernet-ml, and changes nothing.
        """
        del default_ml_type
        return RitualArtifactManager.get_broadcasted_artifacts_typed(ModelArtifact, self.cache_dir)

    def clear_cache(self, *, incomplete: bool = False) -> int:
        """Remove the models in the cache, whole or in part, each with its folder.

        Artifacts of other types stay, and so does whatever no download has put there. A folder whose manifest
        cannot be read stays as it is. What another process is downloading at this moment is passed over.

        Args:
            incomplete: Also remove downloads that were cut short before it was known whether they are models.
                Without it they are kept for the next one to continue.

        Returns:
            Bytes freed.
        """
        return cache.clear(ModelArtifact.__name__, self.cache_dir, incomplete=incomplete)


def _parse(repo_id: str | RitualRepoId) -> RitualRepoId:
    return repo_id if isinstance(repo_id, RitualRepoId) else RitualRepoId.from_unique_id(repo_id)


def _identify(
    model: str | MlModelId | None,
    repo_id: str | RitualRepoId | None,
    file_name: str | PurePath | Sequence[str | PurePath] | None,
    ml_type: MLType | None,
) -> MlModelId:
    """Return the model's id from what names it in a call: an id, or a repository and files in it."""
    if model is not None and repo_id is None and file_name is None:
        return MlModelId.from_any(model, ml_type)
    if model is not None or repo_id is None:
        message = "name the model once: by its id, or by repo_id and file_name"
        raise RepoIdError(message)
    return MlModelId(repo_id=_parse(repo_id), files=_name_files(file_name), ml_type=ml_type)


def _name_files(file_name: object) -> list[str]:
    """Return the names of files as a model id has them.

    Raises:
        RepoIdError: it is neither a name nor a list of names.
    """
    if file_name is None:
        return []
    if isinstance(file_name, str):
        return file_name.split(",")
    given = file_name if isinstance(file_name, Iterable) else [file_name]
    names = [name.as_posix() if isinstance(name, PurePath) else name for name in given]
    found = [name for name in names if isinstance(name, str)]
    if len(found) < len(names):
        message = f"file_name must be a name of a file or a list of names, not {file_name!r}"
        raise RepoIdError(message)
    return found


def _choose(wanted: MlModelId, manifest: Manifest, where: str) -> list[str]:
    """Return the names of the wanted files in the artifact.

    Raises:
        ManifestError: the artifact is not a folder of files.
        ArtifactNotFoundError: it does not have one of them.
    """
    try:
        names = file_names(ModelArtifact, manifest.fields)[_FILES]
    except ManifestError as error:
        message = f"{where} is a {manifest.artifact_type}, not a model that ModelManager published: {error}"
        raise ManifestError(message) from None
    return find_names(wanted, names, where)


def _open_kept(
    wanted: MlModelId, target: Path, expected_digest: str | None, progress: ProgressCallback | None
) -> ModelArtifact:
    """Bring back the copy that is on this machine, verified, without asking anybody.

    Raises:
        ArtifactNotFoundError: the folder does not have the model.
        ManifestError: its manifest is malformed, or not that of a folder of files.
        IntegrityError: a file is missing or differs.
    """
    staging.finish_interrupted(target)
    try:
        manifest = Manifest.read(target / MANIFEST_FILENAME)
    except FileNotFoundError:
        part = cache.read_part(target)
        if part is None or not wanted.files:
            message = f"{target} has no complete copy of it"
            raise ArtifactNotFoundError(message) from None
        manifest = part
    names = _choose(wanted, manifest, str(target))
    check_expected_digest(manifest, expected_digest, str(target))
    if expected_digest is not None and not manifest.has_sizes:  # its digest needs the sizes of all files
        check_expected_digest(
            verify_folder(manifest, target, progress=progress), expected_digest, str(target)
        )
    entries = tuple(entry for entry in manifest.files if entry.path in names)
    verify_folder(
        manifest.model_copy(update={"files": entries}),
        target,
        fields=dict.fromkeys(names, _FILES),
        progress=progress,
    )
    return _rebuild_in(target, manifest, names)


def _rebuild_in(folder: Path, manifest: Manifest, names: Sequence[str]) -> ModelArtifact:
    """Build the artifact of those files only."""
    values = {**manifest.fields, _FILES: list(names)}
    return rebuild(ModelArtifact, values, lambda name: manifest.resolve(folder, name))
