"""The command `doctor`: reports the installation, its folders and its backends."""

import contextlib
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import typer

from ritual_artifacts import __version__
from ritual_artifacts.backends import available_storages, find_storage
from ritual_artifacts.cli.output import JsonOption, human_size, show, show_json
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import sha256_kernels
from ritual_artifacts.errors import ArtifactError, BackendError


def doctor(as_json: JsonOption = False) -> None:
    """Report versions, processor, folders and backends.

    Exit code 1 if a folder cannot be written.
    """
    context = Context.create()
    settings = context.settings
    about = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "workers": settings.max_workers or os.cpu_count(),
        "sha256_kernels": sha256_kernels(),
    }
    folders = {
        "cache": _inspect_folder(settings.cache_dir),
        "store": _inspect_folder(settings.store_dir),
        "state": _inspect_folder(settings.state_dir),
    }
    backends = {name: _try_storage(name, context) for name in available_storages()}
    # Only whether a credential is set, never its value.
    credentials = {name: bool(os.environ.get(name)) for name in _name_credentials()}
    if as_json:
        show_json(about | {"folders": folders, "backends": backends, "credentials": credentials})
    else:
        _show_rows(None, about | {"sha256_kernels": ", ".join(sha256_kernels())})
        _show_rows("folders", {name: _describe_folder(folder) for name, folder in folders.items()})
        _show_rows("backends", backends)
        _show_rows("credentials", {name: "set" if on else "not set" for name, on in credentials.items()})
    if not all(folder["writable"] for folder in folders.values()):
        raise typer.Exit(1)


def _show_rows(title: str | None, rows: dict[str, Any]) -> None:
    if title:
        show("")
        show(title)
    indent = "  " if title else ""
    width = max(map(len, rows))
    for name, value in rows.items():
        show(f"{indent}{name:<{width}}  {value}")


def _inspect_folder(path: Path) -> dict[str, Any]:
    existing = next(parent for parent in (path, *path.parents) if os.path.exists(parent))  # noqa: PTH110 - Path.exists raises if a parent cannot be searched
    return {
        "path": str(path),
        "exists": existing == path,
        "writable": existing.is_dir() and os.access(existing, os.W_OK),
        "free_bytes": shutil.disk_usage(existing).free,
    }


def _describe_folder(folder: dict[str, Any]) -> str:
    state = "writable" if folder["writable"] else "NOT WRITABLE"
    missing = "" if folder["exists"] else ", not created yet"
    return f"{folder['path']} ({state}{missing}, {human_size(folder['free_bytes'])} free)"


def _try_storage(name: str, context: Context) -> str:
    try:
        find_storage(name).check(context)
    except ArtifactError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - another package's code, which may raise anything
        return f"cannot be used: {type(error).__name__}: {error}"
    return "ready"


def _name_credentials() -> list[str]:
    """Return the environment variables for the credentials of all storages that can be imported."""
    found = []
    for name in available_storages():
        with contextlib.suppress(BackendError):
            credential = find_storage(name).credential
            if credential is not None:
                found.append(credential.variable)
    return sorted(found, reverse=True)
