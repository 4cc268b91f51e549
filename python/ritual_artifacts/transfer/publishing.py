"""Publishing: from a planned artifact to a storage or a folder; every byte is hashed."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ritual_artifacts.artifact.manifest import AnyManifest, Manifest
from ritual_artifacts.artifact.planning import ArtifactPlan, PlannedFile, plan_files
from ritual_artifacts.artifact.provenance import CHANGED_SINCE, Description, Origin, Stamp
from ritual_artifacts.backends.base import Backend, UploadResult
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import copy_files, hash_files
from ritual_artifacts.errors import MISSING, IntegrityError, Mismatch
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.transfer.staging import stage_into

log = logging.getLogger(__name__)


def publish(
    plan: ArtifactPlan,
    backend: Backend[Any],
    repo_id: RitualRepoId,
    context: Context,
    *,
    options: Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
) -> tuple[UploadResult, Manifest]:
    """Publish a planned artifact.

    Args:
        plan: The planned artifact.
        backend: The storage.
        repo_id: The repository.
        context: The call that this belongs to.
        options: The options of this upload, by name.
        expected: Known SHA-256 of files, by name in the artifact; if a file has another one, nothing is
            published.

    Returns:
        The result, and the manifest.

    Raises:
        ArtifactModelError: a file cannot be an artifact file.
        IntegrityError: a file differs from `expected`.
        SourceChangedError: a file changed while it was read; nothing was published.
        BackendError: the backend refused or failed.
    """
    _warn(plan)
    checked = backend.upload_options(options or {})
    with backend.start_upload(plan, repo_id, checked, context) as session:
        manifest = Manifest.build(plan, session.read_files(), repo_id)
        manifest.to_bytes()  # a manifest that is too large is refused here, before anything is visible
        _compare_all(expected or {}, manifest, plan)
        result = session.publish(manifest)
    if result.repo_id != repo_id:  # the storage chose another owner
        manifest = manifest.with_repo_id(result.repo_id)
    return result, manifest


def export(
    plan: ArtifactPlan,
    target: Path,
    context: Context,
    *,
    repo_id: RitualRepoId | None = None,
    expected: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Copy a planned artifact into a folder, with its manifest; the folder changes all at once.

    Unchanged files of an earlier artifact in the folder are removed if the new one does not have them, except
    in a folder with some of the plan's own sources.

    Args:
        plan: The planned artifact.
        target: The folder.
        context: The call that this belongs to.
        repo_id: The repository to name in the manifest.
        expected: See `publish`.
        overwrite: Replace files that differ and are not known to be an artifact's.

    Raises:
        IntegrityError: a file differs from `expected`.
        ConflictError: another file is in the way.
        SourceChangedError: a file changed while it was read.
        OSError: a file cannot be read, or the disk is full.
    """
    _warn(plan)
    folder = target.resolve()
    in_place = any(path.resolve().is_relative_to(folder) for path in {f.source.parent for f in plan.files})
    with stage_into(target, "export", context, in_place=in_place, overwrite=overwrite) as staging:
        meter = context.meter("copy", plan.size)
        pairs = [(file.source, staging.partial_path(file.path)) for file in plan.files]
        digests = copy_files(pairs, max_workers=context.settings.max_workers, progress=meter.advance)
        manifest = Manifest.build(plan, digests, repo_id)
        _compare_all(expected or {}, manifest, plan)
        for file in plan.files:
            staging.note_verified(file.path)
        present = staging.find_present(manifest, plan.directories)
        staging.commit(manifest, [e.path for e in manifest.files if e.path not in present])
    return manifest


def describe(
    artifact: BaseModel,
    names: Mapping[Path, str],
    last: Description | None,
    repo_id: RitualRepoId | None,
    context: Context,
) -> Description:
    """Return the manifest that publishing an artifact would give; nothing is published.

    Args:
        artifact: The model.
        names: Preferred names for some absolute paths; see `plan_files`.
        last: The last description, which is returned if neither the fields nor the files have changed.
        repo_id: The repository to name in the manifest.
        context: The call that this belongs to; progress is reported as `"hash"`.

    Raises:
        ArtifactModelError: the model cannot be an artifact.
        SourceChangedError: a file changed while it was read.
        OSError: a file is missing or cannot be read.
    """
    plan = plan_files(artifact, names)
    stamp = Stamp.of_plan(plan)
    if last is not None and last.stamp == stamp:
        return last
    digests = hash_files(
        [file.source for file in plan.files],
        follow_symlinks=False,
        max_workers=context.settings.max_workers,
        progress=context.meter("hash", plan.size).advance,
    )
    manifest = Manifest.build(plan, digests, repo_id)
    return Description(manifest, stamp, Origin.of_plan(artifact, plan, manifest))


def plan_unchanged(artifact: BaseModel, origin: Origin | None) -> tuple[ArtifactPlan, dict[str, str]]:
    """Plan to publish an artifact; files that were downloaded or opened must be unchanged.

    Args:
        artifact: The model.
        origin: The origin of a downloaded or opened artifact; None for one that was built here.

    Returns:
        The plan, and the argument `expected` of `publish` and `export`.

    Raises:
        ArtifactModelError: the model cannot be an artifact.
        IntegrityError: such a file is gone, or such a directory has other files now.
        OSError: another file is missing.
    """
    if origin is None:
        return plan_files(artifact), {}
    try:
        plan = plan_files(artifact, origin.names)
    except FileNotFoundError as error:
        missing = origin.missing(str(error.filename))
        if missing is None:
            raise
        raise missing from None
    return plan, origin.expect(plan)


def plan_again(manifest: AnyManifest, places: Mapping[str, Path]) -> ArtifactPlan:
    """Plan to publish an artifact once more, under the same names, without knowing its class.

    Args:
        manifest: The artifact's manifest.
        places: The path of each file, by name.

    Raises:
        IntegrityError: a file is missing; every one is named.
    """
    missing = [entry for entry in manifest.files if not places[entry.path].exists()]
    if missing:
        raise IntegrityError.of(
            Mismatch(entry.path, entry.sha256, MISSING, str(places[entry.path])) for entry in missing
        )
    files = tuple(PlannedFile(e.path, places[e.path], places[e.path].stat().st_size) for e in manifest.files)
    return ArtifactPlan(manifest.artifact_type, manifest.fields, files)


def expected_hashes(manifest: AnyManifest) -> dict[str, str]:
    """Return the argument `expected` of `publish` and `export` for all files of a manifest."""
    return {entry.path: entry.sha256 for entry in manifest.files}


def _warn(plan: ArtifactPlan) -> None:
    for warning in plan.warnings():
        log.warning("%s", warning)


def _compare_all(expected: Mapping[str, str], actual: Manifest, plan: ArtifactPlan) -> None:
    """Compare the files with their expected SHA-256; files that `expected` does not name are new.

    Raises:
        IntegrityError: a file differs.
    """
    mismatches = [
        Mismatch(entry.path, expected[entry.path], entry.sha256, str(file.source), file.field)
        for entry, file in zip(actual.files, plan.files, strict=True)
        if expected.get(entry.path, entry.sha256) != entry.sha256
    ]
    if mismatches:
        raise IntegrityError.of(mismatches, hint=CHANGED_SINCE)
