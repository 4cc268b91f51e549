"""The command `verify`: folders, artifacts in the local store, and remote repositories."""

from pathlib import Path
from typing import Annotated

import typer

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import AnyManifest, complete_manifest
from ritual_artifacts.backends import Revision
from ritual_artifacts.cli.locations import (
    Location,
    count_unnamed,
    find_location_storage,
    is_repo_id,
    locate_folder,
    locate_stored,
    parse_path,
    parse_repo,
)
from ritual_artifacts.cli.options import Given, takes_storage_options
from ritual_artifacts.cli.output import (
    DigestOption,
    JsonOption,
    count_files,
    progress_bar,
    say,
    show_mismatches,
)
from ritual_artifacts.context import Context
from ritual_artifacts.errors import IntegrityError, Mismatch
from ritual_artifacts.transfer.auditing import audit
from ritual_artifacts.transfer.verification import check_expected_digest, find_mismatches


@takes_storage_options()
def verify(
    where: Annotated[str, typer.Argument(metavar="PATH|REPO")],
    *,
    digest: DigestOption = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="For a repository: download and hash every file.")
    ] = False,
    given: Given,
    as_json: JsonOption = False,
) -> None:
    """Compare every file with the manifest.

    Files in a folder are hashed. For a repository, the digests that the storage reports are compared, and
    only files without a reported SHA-256 are downloaded. Nothing is kept or changed. Exit code 1 when
    something differs.
    """
    given.refuse_foreign(find_location_storage(where))
    wanted = None if digest is None else Digest.parse(digest)
    with progress_bar() as progress:
        context = Context.create(progress=progress)
        if not is_repo_id(where):
            location = locate_folder(parse_path(where))
            found, success = _verify_location(location, wanted, context)
        else:
            repository = parse_repo(where, given, context)
            revision, manifest = repository.open()
            stored = None if deep else locate_stored(revision, manifest)
            found, success = (
                _verify_remote(revision, manifest, wanted, context, deep=deep)
                if stored is None
                else _verify_location(stored, wanted, context)
            )
    if not is_repo_id(where) and (unnamed := count_unnamed(Path(location.name), location.manifest)):
        say(f"{unnamed}, not verified")
    show_mismatches(found, success, as_json=as_json)


def _verify_location(
    location: Location, digest: Digest | None, context: Context
) -> tuple[list[Mismatch], str]:
    """Hash the files; return the mismatches, and the message when there are none."""
    manifest = location.manifest
    found = _check_digest(manifest, digest, location.name)
    mismatches, sizes = find_mismatches(manifest.files, location.places, location.name, context)
    found += mismatches
    if not found:
        found = _check_digest(complete_manifest(manifest, sizes), digest, location.name)
    return found, f"{location.name}: {count_files(manifest, sizes)}, all match the manifest"


def _verify_remote(
    revision: Revision, manifest: AnyManifest, digest: Digest | None, context: Context, *, deep: bool
) -> tuple[list[Mismatch], str]:
    """Compare the files in a storage; return the mismatches, and the message when there are none."""
    where = str(revision.repo_id)
    found = _check_digest(manifest, digest, where)
    result = audit(revision, manifest, context, deep=deep)
    found += result.mismatches
    if not found:
        found = _check_digest(complete_manifest(manifest, result.sizes), digest, where)
    listed = len(manifest.files) - result.read
    how = f"{result.read} read, {listed} by reported digest" if listed else "all files read"
    return found, f"{where}: {count_files(manifest, result.sizes)}, all match the manifest ({how})"


def _check_digest(manifest: AnyManifest, digest: Digest | None, where: str) -> list[Mismatch]:
    try:
        check_expected_digest(manifest, digest, where)
    except IntegrityError as error:
        return list(error.mismatches)
    return []
