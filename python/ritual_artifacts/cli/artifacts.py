"""`upload`, `download`, `copy`, `verify`, `inspect` and `diff`."""

import importlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from ritual_artifacts import transfer
from ritual_artifacts.backends import UploadResult
from ritual_artifacts.canonical import canonical_bytes
from ritual_artifacts.cli.locations import is_repo_id, locate, open_repo, read_location_manifest
from ritual_artifacts.cli.output import (
    JsonOption,
    human_size,
    mismatch_json,
    progress_bar,
    say,
    show,
    show_json,
    show_manifest,
)
from ritual_artifacts.introspection import rebuild
from ritual_artifacts.manifest import Manifest
from ritual_artifacts.planning import MANIFEST_FILENAME, ArtifactPlan, plan_files, plan_folder
from ritual_artifacts.verification import check_expected_digest, find_mismatches

FOLDER_TYPE = "ModelArtifact"
"""Type of an artifact that is just a folder: a list of files and metadata about them, as in infernet-ml."""


def upload(
    path: Annotated[Path, typer.Argument(help="A folder or a file.")],
    repo: Annotated[str, typer.Argument(help="storage/owner/name[/version]")],
    type_: Annotated[str | None, typer.Option("--type", help="The model's class, as module:Class.")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", help="field=value; file names are relative to PATH. Needs --type."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a folder, or a typed artifact whose files are in it."""
    if values and not type_:
        message = "--set needs --type"
        raise typer.BadParameter(message)
    repo_id, backend = open_repo(repo)
    expected = None
    if type_:
        plan = plan_files(_build_typed(type_, values or [], path))
    elif (path / MANIFEST_FILENAME).is_file():
        expected = read_location_manifest(str(path))
        plan = transfer.plan_again(expected, locate(str(path)).places)
    else:
        plan = plan_path(path)
    with progress_bar() as progress:
        result, _ = transfer.upload(plan, backend, repo_id, expected=expected, progress=progress)
    _show_result(result, as_json=as_json)


def plan_path(path: Path) -> ArtifactPlan:
    """Plan to publish a folder, or one file, as it is."""
    if path.is_dir():
        return plan_folder(path, FOLDER_TYPE, "files", {"metadata": {}})
    alone = plan_files(_SingleFile(files=[path]))
    return ArtifactPlan(FOLDER_TYPE, {**alone.fields, "metadata": {}}, alone.files)


class _SingleFile(BaseModel):
    files: list[Path]


def _build_typed(type_: str, values: list[str], folder: Path) -> BaseModel:
    module, _, name = type_.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does: the user's module is beside the files
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        message = f"{type_!r} cannot be imported as module:Class: {error}"
        raise typer.BadParameter(message) from None
    if not (isinstance(cls, type) and issubclass(cls, BaseModel)):
        message = f"{type_} is not a Pydantic model"
        raise typer.BadParameter(message)
    fields: dict[str, Any] = {}
    for item in values:
        field, equals, value = item.partition("=")
        if not equals or field not in cls.model_fields:
            message = f"--set {item!r} must be field=value with a field of {cls.__name__}"
            raise typer.BadParameter(message)
        container = value[:1] in {"[", "{"} and cls.model_fields[field].annotation is not str
        fields[field] = json.loads(value) if container else value
    return rebuild(cls, fields, lambda name: folder / name)


def download(
    repo: Annotated[str, typer.Argument(help="storage/owner/name[/version]")],
    directory: Annotated[Path | None, typer.Argument(help="Default: the cache.")] = None,
    digest: Annotated[str | None, typer.Option(help="Accept only the artifact with this digest.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of yours that are in the way.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch an artifact; every byte is verified before it is at its place."""
    repo_id, backend = open_repo(repo)
    target = repo_id.to_local_dir() if directory is None else directory
    revision, manifest = transfer.read_manifest(backend, repo_id)
    with progress_bar() as progress:
        manifest = transfer.download(
            backend,
            repo_id,
            revision,
            manifest,
            target,
            exclusive=directory is None,
            overwrite=overwrite,
            expected_digest=digest,
            progress=progress,
        )
    if as_json:
        show_json(
            {"path": str(target), "repo_id": repo, "digest": manifest.digest, "files": _files(manifest)}
        )
    else:
        say(f"{len(manifest.files)} files, {human_size(manifest.size)}, verified: {manifest.digest}")
        show(str(target))


def copy(
    source: Annotated[str, typer.Argument(metavar="A", help="A folder or a repository.")],
    target: Annotated[str, typer.Argument(metavar="B", help="A repository or a folder.")],
    as_json: JsonOption = False,
) -> None:
    """Copy an artifact, verified, from a folder or repository to another one."""
    location = locate(source)
    plan = transfer.plan_again(location.manifest, location.places)
    with progress_bar() as progress:
        if is_repo_id(target):
            repo_id, backend = open_repo(target)
            result, _ = transfer.upload(plan, backend, repo_id, expected=location.manifest, progress=progress)
            _show_result(result, as_json=as_json)
            return
        manifest = transfer.export(plan, Path(target), expected=location.manifest, progress=progress)
    if as_json:
        show_json({"path": target, "digest": manifest.digest, "files": _files(manifest)})
    else:
        show(target)


def verify(
    where: Annotated[str, typer.Argument(metavar="PATH|REPO")],
    digest: Annotated[str | None, typer.Option(help="The digest that the artifact must have.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hash every file and compare it with the manifest; exit code 1 when something differs."""
    location = locate(where)
    check_expected_digest(location.manifest, digest, where)
    with progress_bar() as progress:
        found, sizes = find_mismatches(location.manifest, location.places, where, progress=progress)
    if not found and not location.manifest.has_sizes:
        check_expected_digest(location.manifest.with_sizes(sizes), digest, where)
    if as_json:
        show_json({"ok": not found, "mismatches": [mismatch_json(mismatch) for mismatch in found]})
    elif found:
        for mismatch in found:
            show(f"MISMATCH {mismatch}")
    else:
        count = len(location.manifest.files)
        show(f"OK {where}: {count} files, {human_size(location.manifest.size)}, all as the manifest says")
    if found:
        raise typer.Exit(1)


def inspect(where: Annotated[str, typer.Argument(metavar="PATH|REPO")], as_json: JsonOption = False) -> None:
    """Show an artifact's manifest. Its files are not read."""
    manifest = read_location_manifest(where)
    if as_json:
        show_json(
            {
                "artifact_type": manifest.artifact_type,
                "repo_id": manifest.repo_id,
                "digest": manifest.digest,
                "fields": manifest.fields,
                "files": _files(manifest),
            }
        )
    else:
        show_manifest(manifest, where)


def diff(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    as_json: JsonOption = False,
) -> None:
    """Compare two artifacts by their manifests; exit code 1 when they differ."""
    old, new = read_location_manifest(first), read_location_manifest(second)
    changes = {
        "type": _changes({"": old.artifact_type}, {"": new.artifact_type}),
        "fields": _changes(old.fields, new.fields),
        "files": _changes({e.path: e.sha256 for e in old.files}, {e.path: e.sha256 for e in new.files}),
    }
    if as_json:
        show_json(changes)
    else:
        for part, found in changes.items():
            for name, (before, after) in found.items():
                sign = "+" if before is None else "-" if after is None else "~"
                show(f"{sign} {part.removesuffix('s')} {name}: {_brief(before)} -> {_brief(after)}")
    if any(changes.values()):
        raise typer.Exit(1)


def _changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if name not in old or name not in new or canonical_bytes(old[name]) != canonical_bytes(new[name])
    }


def _brief(value: Any) -> str:  # noqa: ANN401 - any JSON
    return "nothing" if value is None else json.dumps(value)


def _files(manifest: Manifest) -> list[dict[str, Any]]:
    return [entry.model_dump() for entry in manifest.files]


def _show_result(result: UploadResult, *, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "repo_id": str(result.repo_id),
                "revision": result.revision,
                "url": result.url,
                "digest": result.digest,
                "bytes_sent": result.bytes_sent,
                "bytes_reused": result.bytes_reused,
                "files": [entry.model_dump() for entry in result.files],
            }
        )
    else:
        sent, reused = human_size(result.bytes_sent), human_size(result.bytes_reused)
        say(f"{len(result.files)} files published, {sent} stored, {reused} were there already")
        show(f"{result.repo_id} {result.digest}")
