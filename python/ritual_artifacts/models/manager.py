"""`ModelManager`: upload of models from folders, download by model id, and the models in the cache."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path, PurePath
from types import MethodType
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

from ritual_artifacts.arguments import merge_options, parse_digest, parse_folder, parse_repo_id
from ritual_artifacts.artifact.introspection import file_names, rebuild
from ritual_artifacts.artifact.manifest import AnyManifest
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.backends import UploadResult, find_storage
from ritual_artifacts.backends.registry import add_credentials
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactError, ManifestError, RepoIdError
from ritual_artifacts.events import ProgressCallback
from ritual_artifacts.manager import RitualArtifactManager
from ritual_artifacts.models.artifact import ModelArtifact, plan_model
from ritual_artifacts.models.identity import MlModelId, find_names
from ritual_artifacts.models.information import MlModelInfo, MLType
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.secret import hide_secrets
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer.cache import BroadcastedArtifact, Cache
from ritual_artifacts.transfer.fetching import Request, fetch
from ritual_artifacts.transfer.publishing import publish

P = ParamSpec("P")
R = TypeVar("R")

_FILES: Final = "files"
"""The field of `ModelArtifact` that has the files."""


class _HybridMethod(Generic[P, R]):
    """A method that can also be called on the class, and then uses a default instance, as in infernet-ml."""

    def __init__(self, method: Callable[Concatenate[Any, P], R]) -> None:
        self._method = method

    def __get__(self, instance: object | None, cls: Callable[[], object]) -> Callable[P, R]:
        return MethodType(self._method, cls() if instance is None else instance)


class ModelManager:
    """Publishes and downloads models, and lists the models in the cache.

    Attributes:
        cache_dir: The folder of downloaded models.
        default_ml_type: The kind of the models, unless a call says otherwise.
    """

    def __init__(self, cache_dir: str | Path | None = None, default_ml_type: MLType | None = None) -> None:
        """Set the cache; nothing is read or written yet.

        Args:
            cache_dir: The folder of downloaded models; default `RITUAL_CACHE_DIR`.
            default_ml_type: The kind of the models, unless a call says otherwise.

        Raises:
            ArtifactError: the environment has an invalid setting.
        """
        chosen = load_settings().cache_dir if cache_dir is None else Path(cache_dir).expanduser()
        self.cache_dir = chosen.absolute()
        self.default_ml_type = default_ml_type

    @classmethod
    @hide_secrets
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
        executor: Executor | None = None,
    ) -> UploadResult:
        """Publish a folder of files, with metadata about them.

        `ritual-artifacts upload FOLDER` publishes the same artifact. Files in subfolders keep their relative
        paths.

        Args:
            directory: The folder, or a single file.
            repo_id: `{storage}/{owner}/{name}[/{version}]`.
            metadata: The requirements of files, by the file's name, each as a `MlModelInfo` or a dictionary
                of its fields; and other metadata under any name, as any JSON except an object. The `id` of
                each `MlModelInfo` is set to the file's model id.
            hf_token: Token for Hugging Face.
            wallet_path: Wallet for Arweave.
            repo_manager_kwargs: Options of the backend.
            upload_kwargs: Options of this upload.
            progress: Called while files are read and sent.
            executor: A thread pool for this call's threads.

        Returns:
            The repository id, the digest, and the number of bytes sent and reused.

        Raises:
            RepoIdError: the id is malformed.
            ArtifactModelError: the folder has no file, or one that cannot be an artifact file; or the
                metadata is invalid, or names a file that does not exist.
            SourceChangedError: a file changed while it was being read; nothing was published.
            BackendError: the storage is not available, refused or failed.
        """
        context = Context.create(progress=progress, executor=executor)
        folder = Path(directory)
        repo = parse_repo_id(repo_id)
        plan_model(folder, metadata)  # find errors before a wallet is opened
        storage = find_storage(repo.storage)
        credentials = {"hf_token": hf_token, "wallet_path": wallet_path}
        given = merge_options(repo_manager_kwargs)
        backend = storage.connect(add_credentials(storage, given, credentials), context)
        repo = backend.choose_owner(repo)
        plan = plan_model(folder, metadata, repo)
        result, _ = publish(plan, backend, repo, context, options=upload_kwargs)
        for name, info in (metadata or {}).items():
            if isinstance(info, MlModelInfo):
                info.id = f"{repo}:{name}"
        return result

    @_HybridMethod
    @hide_secrets
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
        executor: Executor | None = None,
    ) -> ModelArtifact:
        """Download a model. A file appears in the target folder only after its SHA-256 was checked.

        Only the files that the id names are downloaded. Existing files are verified and kept. An interrupted
        download is resumed.

        Args:
            model: The model's id, `{repository id}[:{file},{file}…]`; without files, all files.
            ml_type: The kind of model; accepted for compatibility with infernet-ml, and has no effect.
            repo_id: The repository, instead of `model`.
            file_name: The file or files in `repo_id`, as strings or relative paths; default all.
            directory: Folder for the files; default the cache.
            output_dir: The same as `directory`.
            hf_token: Token for Hugging Face.
            repomanager_kwargs: Options of the backend.
            expected_digest: Accept only the artifact with this digest.
            overwrite: Replace files in the folder that differ and are not known to belong to an artifact.
            progress: Called while bytes arrive.
            executor: A thread pool for this call's threads.

        Returns:
            The files that the id names, in its order, and the whole metadata.

        Raises:
            RepoIdError: the id is malformed, missing, or given twice.
            ArtifactNotFoundError: there is no such repository or version, or it has no such file; the error
                lists its files.
            ManifestError: the manifest is malformed or hostile, or does not describe a folder of files.
            IntegrityError: the artifact or a file differs from the manifest; no wrong byte is at a final
                path.
            ConflictError: a file in the folder would be overwritten.
            BackendError: the storage is not available or failed.
        """
        wanted = _identify(model, repo_id, file_name, ml_type or self.default_ml_type)
        if directory is not None and output_dir is not None and Path(directory) != Path(output_dir):
            message = f"directory {directory} and output_dir {output_dir} differ; pass only one of them"
            raise ArtifactError(message)
        repo, given = wanted.repo_id, output_dir if directory is None else directory
        context = Context.create(progress=progress, executor=executor)
        source = str(repo)

        def select(manifest: AnyManifest) -> Selection:
            names = _choose(wanted, manifest, source)
            return Selection.of_files(names, _FILES, all_files=not wanted.files)

        def build(folder: Path, manifest: AnyManifest, selection: Selection) -> ModelArtifact:
            return _rebuild_in(folder, manifest, list(selection.fields))

        connection = merge_options(repomanager_kwargs, what="repomanager_kwargs")
        request = Request(
            repo_id=repo,
            options=add_credentials(find_storage(repo.storage), connection, {"hf_token": hf_token}),
            directory=None if given is None else parse_folder(given),
            expected_digest=parse_digest(expected_digest),
            overwrite=overwrite,
            select=select,
            check_fit=build,
            cache=Cache.of(context.settings, self.cache_dir),
        )
        fetched = fetch(request, context)
        return build(fetched.folder, fetched.manifest, fetched.selection)

    def has_model(self, model_id: str | MlModelId) -> bool:
        """Return whether the cache has all files that the id names. The files are not read.

        Raises:
            RepoIdError: the id is malformed.
        """
        wanted = MlModelId.from_any(model_id)
        folder = Cache.of(load_settings(), self.cache_dir).folder(wanted.repo_id)
        manifest = folder.manifest or folder.part
        if manifest is None or not (wanted.files or folder.manifest):
            return False
        try:
            names = _choose(wanted, manifest, str(folder.path))
        except ArtifactError:
            return False
        return folder.has(names)

    def get_cached_models(self, default_ml_type: MLType | None = None) -> list[BroadcastedArtifact]:
        """List the complete models in the cache, in the form that a service announces to the network.

        Args:
            default_ml_type: Accepted for compatibility with infernet-ml; has no effect.
        """
        del default_ml_type
        return RitualArtifactManager.get_broadcasted_artifacts_typed(ModelArtifact, self.cache_dir)

    def clear_cache(self, *, incomplete: bool = False) -> int:
        """Remove complete and partial models from the cache, with their folders.

        Artifacts of other types, files of other programs, and folders with an unreadable manifest are kept.
        Folders that another process is downloading into are skipped.

        Args:
            incomplete: Also remove downloads that were interrupted before their type was known. By default
                they are kept, so that the next download resumes them.

        Returns:
            Bytes freed.
        """
        cache = Cache.of(load_settings(), self.cache_dir)
        return cache.clear(ModelArtifact.__name__, incomplete=incomplete)


def _identify(
    model: str | MlModelId | None,
    repo_id: str | RitualRepoId | None,
    file_name: str | PurePath | Sequence[str | PurePath] | None,
    ml_type: MLType | None,
) -> MlModelId:
    """Return the model's id from the arguments of a call: an id, or a repository and files in it."""
    if model is not None and repo_id is None and file_name is None:
        return MlModelId.from_any(model, ml_type)
    if model is not None or repo_id is None:
        message = "expected either a model id, or repo_id and optionally file_name"
        raise RepoIdError(message)
    return MlModelId(repo_id=parse_repo_id(repo_id), files=_name_files(file_name), ml_type=ml_type)


def _name_files(file_name: object) -> list[str]:
    """Return the file names of a model id.

    Raises:
        RepoIdError: `file_name` is neither a name nor a list of names.
    """
    if file_name is None:
        return []
    if isinstance(file_name, str):
        return file_name.split(",")
    given = file_name if isinstance(file_name, Iterable) else [file_name]
    names = [name.as_posix() if isinstance(name, PurePath) else name for name in given]
    found = [name for name in names if isinstance(name, str)]
    if len(found) < len(names):
        message = f"file_name must be the name of a file or a list of names, got {file_name!r}"
        raise RepoIdError(message)
    return found


def _choose(wanted: MlModelId, manifest: AnyManifest, where: str) -> list[str]:
    """Return the names of the wanted files in the artifact.

    Raises:
        ManifestError: the artifact is not a folder of files.
        ArtifactNotFoundError: it does not have one of the files.
    """
    try:
        names = file_names(ModelArtifact, manifest.fields)[_FILES]
    except ManifestError as error:
        message = f"{where} is a {manifest.artifact_type}, not a model published by ModelManager: {error}"
        raise ManifestError(message) from None
    return find_names(wanted, names, where)


def _rebuild_in(folder: Path, manifest: AnyManifest, names: Sequence[str]) -> ModelArtifact:
    """Build the artifact with only these files."""
    values = {**manifest.fields, _FILES: list(names)}
    return rebuild(ModelArtifact, values, lambda name: manifest.resolve(folder, name))
