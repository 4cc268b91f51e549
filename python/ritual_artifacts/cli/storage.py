"""The commands `ls`, `cache …` and `store …`: artifacts on this machine."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME
from ritual_artifacts.backends.local import LocalBackend
from ritual_artifacts.cli.output import (
    JsonOption,
    human_size,
    progress_bar,
    say,
    show,
    show_json,
    show_mismatches,
    show_table,
)
from ritual_artifacts.context import Context
from ritual_artifacts.errors import RepoIdError
from ritual_artifacts.repo_id import RitualRepoId, StorageId, find_storage_name
from ritual_artifacts.settings import load_settings
from ritual_artifacts.transfer.cache import Cache, CacheFolder, verify_cached

cache_app = typer.Typer(no_args_is_help=True, help="Manage downloaded artifacts.")
store_app = typer.Typer(no_args_is_help=True, help="Manage the local store.")

RepoArgument = Annotated[str, typer.Argument(help="storage/owner/name[/version]")]
Row = dict[str, Any]


def _parse_storage(text: str) -> str:
    name = find_storage_name(text)
    if name is None:
        message = f"{text!r} is not an installed storage"
        raise typer.BadParameter(message)
    return name


def _cache() -> Cache:
    return Cache.of(load_settings())


def _store() -> LocalBackend:
    return LocalBackend(load_settings().store_dir)


def ls(
    storage: Annotated[str | None, typer.Argument(parser=_parse_storage, help="Only this storage.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the artifacts in the local store and the cache."""
    rows = [*_stored_rows()] if storage in {None, StorageId.Local} else []
    rows += [row for row in map(_cached_row, _cache().folders()) if storage in {None, row["storage"]}]
    _show_rows(rows, as_json=as_json)


@cache_app.command("ls")
def cache_ls(as_json: JsonOption = False) -> None:
    """List downloaded artifacts, including interrupted downloads."""
    _show_rows(map(_cached_row, _cache().folders()), as_json=as_json)


@cache_app.command("rm")
def cache_rm(repo: RepoArgument, as_json: JsonOption = False) -> None:
    """Remove an artifact from the cache."""
    _show_freed(_cache().remove(RitualRepoId.from_unique_id(repo)), as_json=as_json)


@cache_app.command("prune")
def cache_prune(
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Also remove interrupted and partial downloads.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove partial files that no download needs any more.

    An interrupted download is kept, so that it can be resumed, unless --incomplete is given.
    """
    _show_freed(_cache().prune(incomplete=incomplete), as_json=as_json)


@cache_app.command("verify")
def cache_verify(as_json: JsonOption = False) -> None:
    """Hash every downloaded artifact.

    Exit code 1 if a file differs.
    """
    found, count = [], 0
    with progress_bar() as progress:
        context = Context.create(progress=progress)
        for folder in Cache.of(context.settings).folders():
            if folder.manifest is None and not (folder.path / MANIFEST_FILENAME).exists():
                say(f"skipped {folder.repo_id}, which is not a complete artifact")
                continue
            found += verify_cached(folder, context)
            count += 1
    show_mismatches(found, f"artifacts in the cache: {count}, all match their manifests", as_json=as_json)


@store_app.command("ls")
def store_ls(as_json: JsonOption = False) -> None:
    """List every version in the local store."""
    _show_rows(_stored_rows(), as_json=as_json)


@store_app.command("rm")
def store_rm(repo: RepoArgument, as_json: JsonOption = False) -> None:
    """Remove a version or a whole repository.

    `store gc` then frees the files that are no longer used. A version is removed with its last label, even
    if it was also uploaded without a label.
    """
    repo_id = RitualRepoId.from_unique_id(repo)
    if repo_id.storage != StorageId.Local:
        message = f"{repo} is not in the local store"
        raise RepoIdError(message)
    removed = _store().remove(repo_id)
    if as_json:
        show_json({"removed_revisions": removed})
    else:
        noun = "revision" if removed == 1 else "revisions"
        show(f"{removed} {noun} of {repo} removed")
        if removed:
            say("run 'ritual-artifacts store gc' to free the files that are no longer used")
        else:
            say("only the label was removed: the same artifact has another label")


@store_app.command("gc")
def store_gc(as_json: JsonOption = False) -> None:
    """Remove files that no version uses.

    Files of interrupted uploads are removed too.
    """
    _show_freed(_store().collect_garbage(), as_json=as_json)


@store_app.command("verify")
def store_verify(as_json: JsonOption = False) -> None:
    """Hash every file in the local store.

    Exit code 1 if a file is damaged or missing.
    """
    with progress_bar() as progress:
        found = _store().find_damage(Context.create(progress=progress))
    show_mismatches(found, "all files in the local store match their digests", as_json=as_json)


def _stored_rows() -> Iterable[Row]:
    for version in _store().list_versions():
        yield {
            "where": "store",
            "storage": str(StorageId.Local),
            "repo_id": str(version.repo_id),
            "version": [*version.labels, *(["latest"] if version.latest else [])],
            "state": "complete",
            "type": version.manifest.artifact_type,
            "files": len(version.manifest.files),
            "size": version.manifest.size,
            "date": version.created.astimezone().isoformat(timespec="seconds"),
            "digest": version.manifest.digest,
        }


def _cached_row(folder: CacheFolder) -> Row:
    manifest = folder.manifest
    return {
        "where": "cache",
        "storage": str(folder.repo_id.storage),
        "repo_id": str(folder.repo_id.without_version()),
        "version": [folder.repo_id.version] if folder.repo_id.version else [],
        "state": "complete" if folder.is_complete else "incomplete",
        "type": manifest.artifact_type if manifest else None,
        "files": len(manifest.files) if manifest else None,
        "size": manifest.size if isinstance(manifest, Manifest) and folder.is_complete else folder.size,
        "date": datetime.fromtimestamp(folder.path.stat().st_mtime)
        .astimezone()
        .isoformat(timespec="seconds"),
        "digest": manifest.digest if manifest else None,
    }


def _show_rows(rows: Iterable[Row], *, as_json: bool) -> None:
    listed = list(rows)
    if as_json:
        show_json(listed)
        return
    if not listed:
        say("no artifacts yet; use 'ritual-artifacts upload' or 'ritual-artifacts download'")
        return
    columns = ["where", "repository", "version", "files", "size", "date", "digest"]
    show_table(
        columns,
        [
            (
                row["where"] if row["state"] == "complete" else f"{row['where']}: {row['state']}",
                row["repo_id"],
                ", ".join(row["version"]) or "-",
                "?" if row["files"] is None else str(row["files"]),
                human_size(row["size"]),
                row["date"][:10],
                (row["digest"] or "?").removeprefix("sha256:")[:12],
            )
            for row in listed
        ],
    )


def _show_freed(freed: int, *, as_json: bool) -> None:
    if as_json:
        show_json({"bytes_freed": freed})
    else:
        show(f"{human_size(freed)} freed")
