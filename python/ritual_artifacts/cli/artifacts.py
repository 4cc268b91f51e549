"""The commands `upload`, `download`, `copy`, `inspect` and `diff`."""

import json
import pkgutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from ritual_artifacts.artifact.canonical import canonical_bytes
from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.introspection import rebuild
from ritual_artifacts.artifact.manifest import AnyManifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, ArtifactPlan, plan_files
from ritual_artifacts.backends import UploadResult
from ritual_artifacts.cli.locations import (
    count_unnamed,
    find_location_storage,
    is_repo_id,
    locate,
    locate_folder,
    parse_path,
    parse_repo,
    read_location_manifest,
)
from ritual_artifacts.cli.options import Given, takes_storage_options
from ritual_artifacts.cli.output import (
    SHORT_DIGEST,
    DigestOption,
    JsonOption,
    OverwriteOption,
    count_files,
    human_size,
    progress_bar,
    say,
    show,
    show_json,
    show_manifest,
)
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ManifestError
from ritual_artifacts.models.artifact import plan_model
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.transfer.fetching import Request, fetch
from ritual_artifacts.transfer.publishing import expected_hashes, export, plan_again, publish

TypeOption = Annotated[str | None, typer.Option("--type", help="The model's class, as module:Class.")]
ValuesOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="field=value; file names are relative to PATH, lists are JSON. Needs --type."),
]

_SHOWN_LENGTH = 33
"""Characters of a value that `diff` shows: two of them fit on a line."""


@takes_storage_options(upload=True)
def upload(
    path: Annotated[Path, typer.Argument(parser=parse_path, help="A folder or a file.")],
    repo: Annotated[str, typer.Argument(help="storage/owner/name[/version]")],
    *,
    type_: TypeOption = None,
    values: ValuesOption = None,
    given: Given,
    as_json: JsonOption = False,
) -> None:
    """Publish a folder, a file or a typed artifact.

    A folder with a manifest, such as a download, is published as that artifact, and only if all files match.
    With --type and --set, a model of your own is published, whose files are in the folder.
    """
    with progress_bar() as progress:
        context = Context.create(progress=progress, notice=say)
        repository = parse_repo(repo, given, context)
        given.refuse_foreign(repository.storage, upload=repository.storage)
        backend = repository.connect()
        plan, expected = plan_upload(path, type_, values or [])
        options = given.upload(repository.storage)
        result, _ = publish(plan, backend, repository.repo_id, context, options=options, expected=expected)
    _show_result(result, as_json=as_json)


def plan_upload(path: Path, type_: str | None, values: list[str]) -> tuple[ArtifactPlan, dict[str, str]]:
    """Return the plan for an upload of `path`, and the SHA-256 of each file that its manifest names."""
    if values and type_ is None:
        problem = "--set needs --type"
        raise typer.BadParameter(problem)
    if type_ is not None:
        return plan_files(_build_typed(type_, values, path)), {}
    if not (path / MANIFEST_FILENAME).is_file():
        return plan_model(path), {}
    location = locate_folder(path)
    if left_out := count_unnamed(path, location.manifest):
        say(f"{left_out}, left out; remove {MANIFEST_FILENAME} to publish the folder as it is")
    return plan_again(location.manifest, location.places), expected_hashes(location.manifest)


def _build_typed(type_: str, values: list[str], folder: Path) -> BaseModel:
    cls = _import_model(type_)
    fields: dict[str, Any] = {}
    for item in values:
        field, equals, value = item.partition("=")
        if not equals or field not in cls.model_fields:
            known = ", ".join(cls.model_fields)
            message = f"--set {item!r} must be field=value, with a field of {cls.__name__}: {known}"
            raise typer.BadParameter(message)
        fields[field] = _parse_value(field, value) if cls.model_fields[field].annotation is not str else value
    try:
        return rebuild(cls, fields, lambda name: folder / name)
    except ManifestError as error:
        problem = str(error).removeprefix(f"the manifest does not fit {cls.__name__}: ")
        message = f"the values do not fit {cls.__name__}: {problem}"
        raise typer.BadParameter(message) from None


def _import_model(type_: str) -> type[BaseModel]:
    if (here := str(Path.cwd())) not in sys.path:  # as `python -m` does
        sys.path.insert(0, here)
    try:
        cls = pkgutil.resolve_name(type_)
    except Exception as error:  # noqa: BLE001 - importing runs the user's module, which may raise anything
        message = f"--type {type_!r} cannot be imported as module:Class: {type(error).__name__}: {error}"
        raise typer.BadParameter(message) from None
    if not (isinstance(cls, type) and issubclass(cls, BaseModel)):
        message = f"--type {type_!r} is not a Pydantic model"
        raise typer.BadParameter(message)
    return cls


def _parse_value(field: str, value: str) -> Any:  # noqa: ANN401 - any JSON
    if value[:1] not in {"[", "{"}:
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        message = f"--set {field}: the value looks like JSON, but is not valid: {error}"
        raise typer.BadParameter(message) from None


@takes_storage_options()
def download(
    repo: Annotated[str, typer.Argument(help="storage/owner/name[/version]")],
    directory: Annotated[Path | None, typer.Argument(parser=parse_path, help="Default: the cache.")] = None,
    *,
    digest: DigestOption = None,
    overwrite: OverwriteOption = False,
    given: Given,
    as_json: JsonOption = False,
) -> None:
    """Download an artifact, every byte verified.

    A file appears in the target folder only after its SHA-256 was checked. Run the same command again to
    resume an interrupted download.
    """
    with progress_bar() as progress:
        context = Context.create(progress=progress, notice=say)
        repository = parse_repo(repo, given, context)
        given.refuse_foreign(repository.storage)
        request = Request(
            repo_id=repository.repo_id,
            options=repository.options,
            directory=directory,
            expected_digest=None if digest is None else Digest.parse(digest),
            overwrite=overwrite,
        )
        fetched = fetch(request, context)
    folder = str(fetched.folder if directory is None else directory)
    _show_files(fetched.manifest, folder, {"path": folder, "repo_id": repo}, as_json=as_json)


@takes_storage_options(upload=True)
def copy(
    source: Annotated[str, typer.Argument(metavar="A", help="A folder or a repository.")],
    target: Annotated[str, typer.Argument(metavar="B", help="A repository or a folder.")],
    *,
    overwrite: OverwriteOption = False,
    given: Given,
    as_json: JsonOption = False,
) -> None:
    """Copy an artifact between folders and repositories.

    Every byte is verified. The files of a remote repository must be in the cache.
    """
    with progress_bar() as progress:
        context = Context.create(progress=progress, notice=say)
        from_storage = parse_repo(source, given, context).storage if is_repo_id(source) else None
        to_repository = parse_repo(target, given, context) if is_repo_id(target) else None
        to_storage = None if to_repository is None else to_repository.storage
        given.refuse_foreign(from_storage, to_storage, upload=to_storage)
        location = locate(source, given, context)
        plan = plan_again(location.manifest, location.places)
        expected = expected_hashes(location.manifest)
        if to_repository is not None:
            options = given.upload(to_repository.storage)
            backend = to_repository.connect()
            result, _ = publish(
                plan, backend, to_repository.repo_id, context, options=options, expected=expected
            )
        else:
            named = location.manifest.repo_id
            manifest = export(
                plan,
                parse_path(target),
                context,
                repo_id=None if named is None else RitualRepoId.from_unique_id(named),
                expected=expected,
                overwrite=overwrite,
            )
    if to_repository is not None:
        _show_result(result, as_json=as_json)
    else:
        _show_files(manifest, target, {"path": target}, as_json=as_json)


@takes_storage_options()
def inspect(
    where: Annotated[str, typer.Argument(metavar="PATH|REPO")],
    *,
    given: Given,
    as_json: JsonOption = False,
) -> None:
    """Show an artifact's manifest.

    The artifact's files are not read.
    """
    given.refuse_foreign(find_location_storage(where))
    manifest = read_location_manifest(where, given, Context.create())
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


@takes_storage_options()
def diff(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    *,
    given: Given,
    as_json: JsonOption = False,
) -> None:
    """Compare two artifacts by their manifests.

    Exit code 1 when they differ.
    """
    given.refuse_foreign(find_location_storage(first), find_location_storage(second))
    context = Context.create()
    old, new = (read_location_manifest(where, given, context) for where in (first, second))
    changes = {
        "type": _find_changes({"type": old.artifact_type}, {"type": new.artifact_type}),
        "fields": _find_changes(old.fields, new.fields),
        "files": _find_changes({e.path: e.sha256 for e in old.files}, {e.path: e.sha256 for e in new.files}),
    }
    equal = not any(changes.values())
    if as_json:
        show_json({"equal": equal} | changes)
    else:
        for part, found in changes.items():
            for name, change in found.items():
                sign = "~" if len(change) > 1 else "+" if "new" in change else "-"
                label = part.removesuffix("s") if name == part else f"{part.removesuffix('s')} {name}"
                values = (v[:SHORT_DIGEST] if part == "files" else _shorten(v) for v in change.values())
                show(f"{sign} {label}: {' -> '.join(values)}")
        if equal:
            say(f"no difference: {new.digest or 'the same type, fields and files'}")
    if not equal:
        raise typer.Exit(1)


def _find_changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the values that differ, by name: `old` and `new`, or only the one that exists."""
    return {
        name: {side: values[name] for side, values in (("old", old), ("new", new)) if name in values}
        for name in sorted(old.keys() | new.keys())
        if name not in old or name not in new or _comparable(old[name]) != _comparable(new[name])
    }


def _comparable(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    try:
        return canonical_bytes(value)
    except ValueError:  # an old manifest may hold integers that canonical JSON does not have
        return json.dumps(value, sort_keys=True).encode()


def _shorten(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def _files(manifest: AnyManifest) -> list[dict[str, Any]]:
    return [{"path": e.path, "size": e.size, "sha256": e.sha256} for e in manifest.files]


def _show_files(manifest: AnyManifest, place: str, about: dict[str, str], *, as_json: bool) -> None:
    """Show an artifact that was just written to a folder."""
    if as_json:
        show_json({**about, "digest": manifest.digest, "files": _files(manifest)})
    else:
        suffix = "" if manifest.digest is None else f": {manifest.digest}"
        say(f"{count_files(manifest)}, verified{suffix}")
        show(place)


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
                **result.details(),
            }
        )
    else:
        sent, reused = human_size(result.bytes_sent), human_size(result.bytes_reused)
        count = len(result.files)
        noun = "file" if count == 1 else "files"
        say(f"{count} {noun} published: {sent} stored, {reused} already there")
        if not result.url.startswith("file:"):
            say(result.url)
        for line in result.summary():
            say(line)
        show(f"{result.repo_id} {result.digest}")
