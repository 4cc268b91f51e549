"""Fetching: the only place that decides between a copy on this machine and the network.

The manager, `ModelManager`, ezkl and the command line all fetch through `fetch`, and open folders with
`open_folder`.
"""

import errno
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import AnyManifest, LegacyManifest, Manifest, read_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.artifact.selection import Selection
from ritual_artifacts.backends.base import Revision, Storage
from ritual_artifacts.backends.registry import connect, find_storage
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactError, ArtifactNotFoundError, TransferError
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.transfer.cache import Cache, read_part
from ritual_artifacts.transfer.downloading import Target, download, read_revision_manifest
from ritual_artifacts.transfer.staging import finish_in_cache
from ritual_artifacts.transfer.verification import check_expected_digest, verify_folder

log = logging.getLogger(__name__)

_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
"""Errors of a folder that this user cannot write."""

Select: TypeAlias = Callable[[AnyManifest], Selection]
CheckFit: TypeAlias = Callable[[Path, AnyManifest, Selection], object]


def select_all(manifest: AnyManifest) -> Selection:
    """Select every file of an artifact, without knowing its class."""
    del manifest
    return Selection()


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request for an artifact.

    Attributes:
        repo_id: The repository and version.
        options: Connection options that the user passed, by name.
        directory: The folder for the files; None for the cache.
        expected_digest: Accept only the artifact with this digest.
        overwrite: Replace files in `directory` that differ and are not known to be an artifact's.
        select: Returns the wanted part of an artifact.
        check_fit: Called with a preview of the target before the target changes; if it raises an exception,
            the target is not changed.
        cache: The cache; None for the default one.
    """

    repo_id: RitualRepoId
    options: Mapping[str, Any] = field(default_factory=dict)
    directory: Path | None = None
    expected_digest: Digest | None = None
    overwrite: bool = False
    select: Select = select_all
    check_fit: CheckFit | None = None
    cache: Cache | None = None


@dataclass(frozen=True)
class Fetched:
    """Verified files of an artifact in a folder.

    Attributes:
        folder: The folder.
        manifest: The artifact's manifest; complete if all files were verified.
        selection: The files that are here and verified.
    """

    folder: Path
    manifest: AnyManifest
    selection: Selection


def fetch(request: Request, context: Context) -> Fetched:
    """Return an artifact in a folder, verified: from the copy that is there, or downloaded.

    In offline mode, only a copy on this machine is used. If the id can only ever name one artifact, a copy in
    the cache is used without the network. Otherwise the storage is asked, and only files that are missing or
    differ are downloaded. If the storage cannot be reached, a copy of the artifact is loaded, with a warning.
    If the folder cannot be written, it must have a copy of the same artifact already.

    Raises:
        ArtifactNotFoundError: there is no such repository or version; or no copy, in offline mode.
        ManifestError: the manifest is malformed or hostile, or does not fit.
        IntegrityError: the artifact or a file differs from the manifest or the expected digest.
        ConflictError: another file is in the way in `directory`; or the folder in the cache is a link.
        BackendError: the storage is not available or failed.
    """
    repo_id = request.repo_id
    storage = find_storage(repo_id.storage)
    cache = request.cache or Cache.of(context.settings)
    in_cache = request.directory is None
    folder = (request.directory or cache.place(repo_id, request.options)).absolute()
    is_offline = storage.is_offline(request.options, context.settings)
    if in_cache:
        _finish(folder, context)
    if in_cache and not is_offline and _is_pinned(storage, request):
        try:
            return _open_copy(folder, request, context)
        except (ArtifactError, OSError) as error:
            log.info("downloading %s: the copy in the cache cannot be used (%s)", repo_id, error)
    backend = storage.connect(request.options, context)  # offline too: it checks the options
    if is_offline:
        try:
            return _open_copy(folder, request, context)
        except ArtifactNotFoundError as error:
            message = (
                f"{repo_id} is not on this machine ({error}), and offline mode is on "
                f"({storage.offline_hint}); download it once with the network"
            )
            raise ArtifactNotFoundError(message) from None
    try:
        revision = backend.open(repo_id)
        manifest = read_revision_manifest(revision)
    except TransferError as error:
        copy = _find_copy(folder, request, context)
        if copy is None:
            raise
        _warn_of_copy(copy, storage, repo_id, error)
        return copy
    return _download(revision, manifest, request, folder, context)


def open_folder(
    folder: Path,
    select: Select,
    context: Context,
    *,
    manifest: AnyManifest | None = None,
    expected_digest: Digest | None = None,
    verify: bool = True,
) -> Fetched:
    """Return the artifact in a folder.

    Args:
        folder: The folder.
        select: Returns the wanted part of the artifact.
        context: The call that this belongs to.
        manifest: Used if the folder has none.
        expected_digest: Accept only the artifact with this digest.
        verify: Hash the selected files and compare them with the manifest.

    Raises:
        ArtifactNotFoundError: the folder has no manifest.
        ManifestError: the manifest is malformed or hostile, or does not fit.
        IntegrityError: the artifact or a file differs from the manifest or the expected digest.
    """
    try:
        found = read_manifest(folder / MANIFEST_FILENAME)
    except FileNotFoundError:
        if manifest is None:
            message = (
                f"{folder} has no {MANIFEST_FILENAME}: it is not an artifact, or its download was interrupted"
            )
            raise ArtifactNotFoundError(message) from None
        found = manifest
    selection = select(found)
    source = str(folder)
    check_expected_digest(found, expected_digest, source)
    if expected_digest is not None and isinstance(found, LegacyManifest):
        # Its digest needs the sizes of all files.
        found = verify_folder(found, folder, context, selection=replace(selection, names=None))
        check_expected_digest(found, expected_digest, source)
        return Fetched(folder, found, selection)
    if verify:
        found = verify_folder(found, folder, context, selection=selection)
    return Fetched(folder, found, selection)


def identify(storage: str, name: str, options: Mapping[str, Any], context: Context) -> RitualRepoId:
    """Return the id of the version that has this immutable name on a storage.

    Raises:
        RepoIdError: the storage cannot find a version by its name alone.
        ArtifactNotFoundError: there is no such version.
    """
    cached = Cache.of(context.settings).find_version(storage, name)
    return cached or connect(storage, options, context).identify(name)


def _finish(folder: Path, context: Context) -> None:
    """Finish a killed commit in a folder of the cache, unless the folder is read-only."""
    try:
        finish_in_cache(folder, context)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        log.info("%s is left as it is: %s", folder, error)


def _open_copy(folder: Path, request: Request, context: Context) -> Fetched:
    """Return the verified copy in a folder: the complete artifact, or the wanted part."""
    part = read_part(folder)

    def select(manifest: AnyManifest) -> Selection:
        selection = request.select(manifest)
        if manifest is part and selection.names is None:
            message = f"{folder} has no complete copy of it"
            raise ArtifactNotFoundError(message)
        return selection

    return open_folder(folder, select, context, manifest=part, expected_digest=request.expected_digest)


def _find_copy(folder: Path, request: Request, context: Context) -> Fetched | None:
    """Return the verified copy of an artifact whose storage cannot be reached; None if there is none."""
    try:
        if request.directory is not None and not _names(read_manifest(folder / MANIFEST_FILENAME), request):
            return None
        return _open_copy(folder, request, context)
    except (ArtifactError, OSError) as error:
        log.info("the copy of %s in %s cannot be used: %s", request.repo_id, folder, error)
        return None


def _download(
    revision: Revision, manifest: AnyManifest, request: Request, folder: Path, context: Context
) -> Fetched:
    """Download the wanted part of a revision; a read-only folder must have a copy of it already."""
    in_cache = request.directory is None
    cache = request.cache or Cache.of(context.settings)
    selection = request.select(manifest)
    check = request.check_fit
    target = Target(
        folder=folder,
        exclusive=in_cache and cache.is_exclusive(folder),
        overwrite=request.overwrite or in_cache,  # no file in the cache is the user's
    )
    try:
        complete = download(
            revision,
            manifest,
            selection,
            target,
            context,
            expected_digest=request.expected_digest,
            check_fit=None if check is None else lambda preview: check(preview, manifest, selection),
        )
    except OSError as error:
        copy = _find_same(folder, manifest, request, context) if error.errno in _READ_ONLY else None
        if copy is None:
            raise
        return copy
    if in_cache and selection.names is not None:
        cache.note_part(folder, complete)
    return Fetched(folder, complete, selection)


def _find_same(folder: Path, manifest: AnyManifest, request: Request, context: Context) -> Fetched | None:
    """Return the verified copy of the same artifact in a read-only folder; None if there is none."""
    try:
        copy = _open_copy(folder, request, context)
    except (ArtifactError, OSError) as error:
        log.info("there is no copy of %s in %s: %s", request.repo_id, folder, error)
        return None
    return copy if _content(copy.manifest) == _content(manifest) else None


def _content(manifest: AnyManifest) -> tuple[str, object, object]:
    """Return what an artifact consists of; unlike a digest, an old manifest has it too."""
    return (
        manifest.artifact_type,
        json.dumps(manifest.fields, sort_keys=True),
        {entry.path: entry.sha256 for entry in manifest.files},
    )


def _names(manifest: AnyManifest, request: Request) -> bool:
    """Return whether a manifest in a user's folder names the requested repository and version."""
    if manifest.repo_id is None:
        return False
    named = RitualRepoId.from_unique_id(manifest.repo_id)
    wanted = request.repo_id
    is_same = named.without_version() == wanted.without_version()
    return is_same and wanted.version in {None, named.version}


def _warn_of_copy(copy: Fetched, storage: Storage, repo_id: RitualRepoId, error: TransferError) -> None:
    digest = copy.manifest.digest if isinstance(copy.manifest, Manifest) else "without a digest"
    hint = f"; offline mode ({storage.offline_hint}) loads it without asking" if storage.offline_hint else ""
    log.warning(
        "%s cannot be reached (%s): loaded the verified copy of %s in %s, %s; there may be a newer version%s",
        storage.title,
        error,
        repo_id,
        copy.folder,
        digest,
        hint,
    )


def _is_pinned(storage: Storage, request: Request) -> bool:
    """Return whether the request can only ever mean one artifact."""
    return request.expected_digest is not None or storage.is_pinned(request.repo_id, request.options)
