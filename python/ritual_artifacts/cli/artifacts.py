"""`upload`, `download`, `copy`, `verify`, `inspect` and `diff`."""

import json
import pkgutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from ritual_artifacts.artifact.canonical import canonical_bytes
from ritual_artifacts.artifact.introspection import rebuild
from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, plan_files
from ritual_artifacts.backends import UploadResult
from ritual_artifacts.cli.arweave import (
    BundleOption,
    ConfirmationsOption,
    MaxCostOption,
    ReseedOption,
    WalletOption,
    describe_cost,
    parse_cost,
)
from ritual_artifacts.cli.hub import (
    BaseModelOption,
    CardOption,
    CreatePrOption,
    DeleteOption,
    DescriptionOption,
    LicenseOption,
    MessageOption,
    PipelineTagOption,
    PrivateOption,
    RepoTypeOption,
    RevisionOption,
    TagOption,
    given,
)
from ritual_artifacts.cli.locations import (
    count_unnamed,
    is_repo_id,
    locate,
    locate_folder,
    open_repo,
    parse_path,
    read_location_manifest,
)
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
from ritual_artifacts.errors import ManifestError
from ritual_artifacts.models.artifact import plan_model
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.transfer import cache
from ritual_artifacts.transfer import downloading as transfer
from ritual_artifacts.transfer.verification import check_expected_digest, verify_folder

_SHOWN_LENGTH = 33
"""Characters of a value that `diff` shows: two of them fit on a line."""


def upload(
    path: Annotated[Path, typer.Argument(parser=parse_path, help="A folder or a file.")],
    repo: Annotated[str, typer.Argument(help="storage/owner/name[/version]")],
    type_: Annotated[str | None, typer.Option("--type", help="The model's class, as module:Class.")] = None,
    *,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="field=value; file names are relative to PATH, lists are JSON. Needs --type."
        ),
    ] = None,
    revision: RevisionOption = None,
    repo_type: RepoTypeOption = None,
    message: MessageOption = None,
    description: DescriptionOption = None,
    private: PrivateOption = None,
    create_pr: CreatePrOption = False,
    tag: TagOption = None,
    delete: DeleteOption = None,
    card: CardOption = True,
    license_: LicenseOption = None,
    base_model: BaseModelOption = None,
    pipeline_tag: PipelineTagOption = None,
    wallet: WalletOption = None,
    max_cost: MaxCostOption = None,
    bundle: BundleOption = False,
    confirmations: ConfirmationsOption = None,
    reseed: ReseedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish a folder or a file, or a typed artifact whose files are in the folder.

    A folder with a manifest (a download, say) is published as that artifact, and only if it still matches.
    """
    if values and type_ is None:
        problem = "--set needs --type"
        raise typer.BadParameter(problem)
    repo_id, backend = open_repo(repo, given(revision=revision, repo_type=repo_type, wallet_path=wallet))
    options = given(
        commit_message=message,
        commit_description=description,
        private=private,
        create_pr=create_pr or None,
        tag=tag,
        delete_patterns=delete or None,
        card=None if card else False,
        license=license_,
        base_model=base_model or None,
        pipeline_tag=pipeline_tag,
        max_cost=parse_cost(max_cost),
        bundle=bundle or None,
        confirmations=confirmations,
        reseed=reseed or None,
    )
    expected = None
    if type_ is not None:
        plan = plan_files(_build_typed(type_, values or [], path))
    elif (path / MANIFEST_FILENAME).is_file():
        location = locate_folder(path)
        expected = location.manifest
        plan = transfer.plan_again(expected, location.places)
        left_out = count_unnamed(path, expected)
        if left_out:
            say(f"{left_out}, left out; remove {MANIFEST_FILENAME} to publish the folder as it is")
    else:
        plan = plan_model(path)
    with progress_bar() as progress:
        result, _ = transfer.upload(
            plan, backend, repo_id, expected=expected, options=options, progress=progress
        )
    _show_result(result, as_json=as_json)


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
        message = f"--set {field}: the value begins like JSON, but is none: {error}"
        raise typer.BadParameter(message) from None


def download(
    repo: Annotated[str, typer.Argument(help="storage/owner/name[/version]")],
    directory: Annotated[Path | None, typer.Argument(parser=parse_path, help="Default: the cache.")] = None,
    *,
    digest: DigestOption = None,
    overwrite: OverwriteOption = False,
    revision: RevisionOption = None,
    repo_type: RepoTypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch an artifact; every byte is verified before it is at its place."""
    options = given(revision=revision, repo_type=repo_type)
    repo_id, backend = open_repo(repo, options)
    target = cache.place_of(repo_id, options) if directory is None else directory
    with progress_bar() as progress:
        if cache.is_offline(repo_id):
            manifest = verify_folder(locate_folder(target).manifest, target, progress=progress)
            check_expected_digest(manifest, digest, str(target))
        else:
            commit, manifest = transfer.read_manifest(backend, repo_id)
            manifest = transfer.download(
                backend,
                repo_id,
                commit,
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
        say(f"{count_files(manifest)}, verified: {manifest.digest}")
        show(str(target))


def copy(
    source: Annotated[str, typer.Argument(metavar="A", help="A folder or a repository.")],
    target: Annotated[str, typer.Argument(metavar="B", help="A repository or a folder.")],
    overwrite: OverwriteOption = False,
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
        origin = location.manifest.repo_id
        manifest = transfer.export(
            plan,
            parse_path(target),
            None if origin is None else RitualRepoId.from_unique_id(origin),
            expected=location.manifest,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        show_json({"path": target, "digest": manifest.digest, "files": _files(manifest)})
    else:
        say(f"{count_files(manifest)}, verified: {manifest.digest}")
        show(target)


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
    """Return what differs, by name: `old` and `new`, or only one of them where the other has none."""
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
                **result.details(),
            }
        )
    else:
        sent, reused = human_size(result.bytes_sent), human_size(result.bytes_reused)
        count = len(result.files)
        noun = "file" if count == 1 else "files"
        say(f"{count} {noun} published: {sent} stored, {reused} there already")
        if not result.url.startswith("file:"):
            say(result.url)
        if (cost := result.details().get("cost")) is not None:
            say(describe_cost(str(cost)))
        show(f"{result.repo_id} {result.digest}")
