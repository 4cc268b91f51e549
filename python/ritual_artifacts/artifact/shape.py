"""The shape of a parsed, untrusted manifest, checked until the first problem, before a model is built.

Pydantic collects every problem of every entry, so that a small, hostile file would cost gigabytes.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from ritual_artifacts.names import MAX_PATH_BYTES

_MAX_NAME: Final = 1024
_SHOWN: Final = 100
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION: Final = 2
_LARGEST: Final = 2**53 - 1
_ENTRY_KEYS: Final = frozenset({"path", "size", "sha256"})


def check_shape(values: Mapping[str, Any], max_entries: int) -> None:
    """Check the parts of a manifest that this package's format defines; other keys are the model's.

    Args:
        values: The parsed file.
        max_entries: Files that a manifest may have.

    Raises:
        ValueError: a part is missing, or is not what the format says.
    """
    for name in ("artifact_type", "file_hashes"):
        if name not in values:
            message = f"{name} is missing"
            raise ValueError(message)
    if not _is_text(values["artifact_type"], _MAX_NAME):
        _refuse("artifact_type", f"a text of 1 to {_MAX_NAME} characters", values["artifact_type"])
    repo_id = values.get("repo_id")
    if repo_id is not None and (not isinstance(repo_id, str) or len(repo_id) > _MAX_NAME):
        _refuse("repo_id", f"a text of at most {_MAX_NAME} characters", repo_id)
    _check_hashes(values["file_hashes"], max_entries)
    extension = values.get("ritual_artifacts")
    if extension is not None:
        _check_extension(extension, max_entries)


def _check_hashes(hashes: object, max_entries: int) -> None:
    if not isinstance(hashes, dict):
        _refuse("file_hashes", "an object", hashes)
    _check_count("file_hashes", len(hashes), max_entries)
    for path, sha256 in hashes.items():
        if not 1 <= len(path) <= MAX_PATH_BYTES:
            _refuse("file_hashes", f"names of 1 to {MAX_PATH_BYTES} characters", path)
        if not _is_sha256(sha256):
            _refuse(f"file_hashes of {path[:_SHOWN]!a}", "64 lower-case hex digits", sha256)


def _check_extension(extension: object, max_entries: int) -> None:
    if not isinstance(extension, dict):
        _refuse("ritual_artifacts", "an object", extension)
    for name in ("manifest_version", "files", "digest"):
        if name not in extension:
            message = f"ritual_artifacts.{name} is missing"
            raise ValueError(message)
    version, files, digest = (extension[name] for name in ("manifest_version", "files", "digest"))
    if type(version) is not int or version != _VERSION:
        _refuse("ritual_artifacts.manifest_version", str(_VERSION), version)
    if not isinstance(files, list):
        _refuse("ritual_artifacts.files", "a list", files)
    _check_count("ritual_artifacts.files", len(files), max_entries)
    for index, entry in enumerate(files):
        _check_entry(f"ritual_artifacts.files.{index}", entry)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        _refuse("ritual_artifacts.digest", "'sha256:' and 64 lower-case hex digits", digest)


def _check_entry(where: str, entry: object) -> None:
    if not isinstance(entry, dict) or entry.keys() != _ENTRY_KEYS:
        _refuse(where, "an object with path, size and sha256, and nothing else", entry)
    if not _is_text(entry["path"], MAX_PATH_BYTES):
        _refuse(f"{where}.path", f"a text of 1 to {MAX_PATH_BYTES} characters", entry["path"])
    if type(entry["size"]) is not int or not 0 <= entry["size"] <= _LARGEST:
        _refuse(f"{where}.size", f"a whole number from 0 to {_LARGEST}", entry["size"])
    if not _is_sha256(entry["sha256"]):
        _refuse(f"{where}.sha256", "64 lower-case hex digits", entry["sha256"])


def _check_count(where: str, count: int, max_entries: int) -> None:
    if count > max_entries:
        message = f"{where} has {count} files; a manifest can have at most {max_entries}"
        raise ValueError(message)


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= longest


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _refuse(where: str, expected: str, value: object) -> NoReturn:
    """Describe a value without showing all of it: it can be large.

    Raises:
        ValueError: always.
    """
    match value:
        case str():
            found = f"{value[:_SHOWN]!a}" + ("…" if len(value) > _SHOWN else "")
        case bool() | float() | None:
            found = repr(value)
        case int():
            found = str(value) if abs(value) <= _LARGEST else "a larger number"
        case list():
            found = f"a list of {len(value)}"
        case dict():
            found = f"an object with {len(value)} keys"
        case _:
            found = type(value).__name__
    message = f"{where}: expected {expected}, got {found}"
    raise ValueError(message)
