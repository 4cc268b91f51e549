"""`verify`: folders, stored artifacts, and repositories of which not one byte is kept."""

from pathlib import Path
from typing import Annotated

import typer

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.backends import Backend, ListsFiles
from ritual_artifacts.cli.hub import RepoTypeOption, RevisionOption, given
from ritual_artifacts.cli.locations import count_unnamed, is_repo_id, locate, open_repo
from ritual_artifacts.cli.output import (
    DigestOption,
    JsonOption,
    count_files,
    progress_bar,
    say,
    show_mismatches,
)
from ritual_artifacts.errors import IntegrityError, Mismatch
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.transfer import downloading as transfer
from ritual_artifacts.transfer.auditing import audit
from ritual_artifacts.transfer.verification import check_expected_digest, find_mismatches


def verify(
    where: Annotated[str, typer.Argument(metavar="PATH|REPO")],
    *,
    digest: DigestOption = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Of a repository: believe nothing, stream and hash every file.")
    ] = False,
    revision: RevisionOption = None,
    repo_type: RepoTypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare every file with the manifest; exit code 1 when something differs.

    The files of a folder are hashed. Of a repository on the Hub, what the Hub says about its files is
    compared, and only small ones, of which it does not say the SHA-256, are read; --deep reads all.
    """
    options = given(revision=revision, repo_type=repo_type)
    if is_repo_id(where):
        repo_id, backend = open_repo(where, options)
        if deep or isinstance(backend, ListsFiles):
            _verify_remote(repo_id, backend, digest, deep=deep, as_json=as_json)
            return
    location = locate(where)
    found = _check_digest(location.manifest, digest, where)
    with progress_bar() as progress:
        mismatches, sizes = find_mismatches(location.manifest, location.places, where, progress=progress)
    found += mismatches
    if not found and not location.manifest.has_sizes:
        found += _check_digest(location.manifest.with_sizes(sizes), digest, where)
    if not is_repo_id(where) and (unnamed := count_unnamed(Path(where), location.manifest)):
        say(f"{unnamed}, not verified")
    show_mismatches(found, f"{where}: {count_files(location.manifest, sizes)}, as promised", as_json=as_json)


def _verify_remote(
    repo_id: RitualRepoId, backend: Backend, digest: str | None, *, deep: bool, as_json: bool
) -> None:
    where = str(repo_id)
    commit, manifest = transfer.read_manifest(backend, repo_id)
    found = _check_digest(manifest, digest, where)
    with progress_bar() as progress:
        result = audit(backend, repo_id, commit, manifest, deep=deep, progress=progress)
    found += result.mismatches
    if not found and not manifest.has_sizes:
        found += _check_digest(manifest.with_sizes(result.sizes), digest, where)
    believed = len(manifest.files) - result.read
    how = f"{result.read} read, {believed} by what the storage says" if believed else "all of them read"
    all_well = f"{where}: {count_files(manifest, result.sizes)}, as promised ({how})"
    show_mismatches(found, all_well, as_json=as_json)


def _check_digest(manifest: Manifest, digest: str | None, where: str) -> list[Mismatch]:
    try:
        check_expected_digest(manifest, digest, where)
    except IntegrityError as error:
        return list(error.mismatches)
    return []
