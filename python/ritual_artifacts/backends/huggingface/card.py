"""The card: the `README.md` that the Hub shows on the page of an artifact."""

import json
import re
from typing import Final

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.backends.huggingface.options import HubUploadOptions, RepoType, as_patterns
from ritual_artifacts.repo_id import RitualRepoId

CARD_FILENAME: Final = "README.md"
LIBRARY_NAME: Final = "ritual-artifacts"

_MAX_ROWS: Final = 100
_PLAIN: Final = re.compile(r"[a-z]+(-[a-z0-9.]+)+")
_UNITS: Final = ("bytes", "KB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000


def write_card(
    manifest: Manifest, repo_id: RitualRepoId, repo_type: RepoType, options: HubUploadOptions
) -> bytes:
    """Describe an artifact for people, with code that downloads it.

    Args:
        manifest: The artifact.
        repo_id: Where it is published.
        repo_type: Kind of repository.
        options: Licence, base model and task, if the user named them.
    """
    header: dict[str, str | list[str]] = {"library_name": LIBRARY_NAME, "tags": [LIBRARY_NAME]}
    if options.license:
        header["license"] = options.license
    if options.base_model:
        header["base_model"] = list(as_patterns(options.base_model))
    if options.pipeline_tag:
        header["pipeline_tag"] = options.pipeline_tag
    if repo_type == "space":
        header |= {"title": repo_id.name, "sdk": options.space_sdk or "static"}
    front = "\n".join(f"{key}: {_yaml(value)}" for key, value in header.items())
    usage = _usage(manifest, repo_id, repo_type)
    sections = [f"---\n{front}\n---", f"# {repo_id.name}", _introduction(manifest), usage, _files(manifest)]
    return ("\n\n".join(sections) + "\n").encode()


def _yaml(value: str | list[str]) -> str:
    """Write a value as YAML: plain words as they are, everything else as JSON, which is valid YAML."""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value)


def _introduction(manifest: Manifest) -> str:
    return (
        f"An artifact of type {_code(manifest.artifact_type)}: {len(manifest.files)} "
        f"file{'' if len(manifest.files) == 1 else 's'}, {_human(manifest.size)}. Its digest is\n\n"
        f"    {manifest.digest}"
    )


def _usage(manifest: Manifest, repo_id: RitualRepoId, repo_type: RepoType) -> str:
    named = manifest.artifact_type.isidentifier()
    cls = manifest.artifact_type if named else "YourModel"
    kind = "" if repo_type == "model" else f'\n    repomanager_kwargs={{"repo_type": "{repo_type}"}},'
    # The card stays when the artifact is replaced: without a version, the id names the newest artifact.
    pin = "" if repo_id.version is None else f'\n    expected_digest="{manifest.digest}",'
    return (
        f"## Usage\n\n```python\nfrom ritual_artifacts import RitualArtifactManager\n\n"
        f"# {cls} is the Pydantic model with which the artifact was published.\n"
        f"artifact = RitualArtifactManager.from_repo(\n    {cls},\n    {json.dumps(str(repo_id))},"
        f"{pin}{kind}\n).artifact\n```\n\n"
        f"The SHA-256 of every file is checked before the file appears in the target folder."
    )


def _files(manifest: Manifest) -> str:
    rows = [
        f"| {_cell(entry.path)} | {_human(entry.size)} | `{entry.sha256}` |"
        for entry in manifest.files[:_MAX_ROWS]
    ]
    left_out = len(manifest.files) - len(rows)
    if left_out:
        rows.append(f"| … and {left_out} more, see `ritual_manifest.json` | | |")
    return "\n".join(["## Files\n", "| file | size | SHA-256 |", "| --- | ---: | --- |", *rows])


def _cell(text: str) -> str:
    return _code(text).replace("|", "\\|")


def _code(text: str) -> str:
    """Quote text so that it contains no markup."""
    return f"`` {text.replace('``', '` `')} ``" if "`" in text else f"`{text}`"


def _human(size: float) -> str:
    for unit in _UNITS:
        if size < _STEP or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == _UNITS[0] else f"{size:.1f} {unit}"
        size /= _STEP
    raise AssertionError
