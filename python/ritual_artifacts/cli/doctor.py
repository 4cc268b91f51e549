"""`doctor`: what this installation can do here."""

import os
import platform
import shutil
from pathlib import Path

import typer

from ritual_artifacts import __version__
from ritual_artifacts.backends import available_backends, load_backend
from ritual_artifacts.cli.output import JsonOption, human_size, show, show_json
from ritual_artifacts.errors import BackendError
from ritual_artifacts.hashing import cpu_features
from ritual_artifacts.repo_id import StorageId
from ritual_artifacts.settings import load_settings

_CREDENTIALS = ("HF_TOKEN", "ARWEAVE_WALLET_FILE_PATH")


def doctor(as_json: JsonOption = False) -> None:
    """Report versions, processor, folders, backends; exit code 1 when a folder cannot be written."""
    settings = load_settings()
    folders = {
        "cache": settings.cache_dir,
        "store": settings.store_dir,
        "state": settings.state_dir,
    }
    report = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "workers": settings.max_workers or os.cpu_count(),
        "sha256_instructions": cpu_features(),
        "folders": {name: _folder_report(path) for name, path in folders.items()},
        "backends": {str(storage): _backend_report(storage) for storage in StorageId},
        # Whether a credential is set, never what it is.
        "credentials": {name: "set" if os.environ.get(name) else "not set" for name in _CREDENTIALS},
    }
    if as_json:
        show_json(report)
    else:
        for name, value in report.items():
            parts = value.items() if isinstance(value, dict) else [("", value)]
            for part, text in parts:
                shown = ", ".join(text) or "none found: portable code" if isinstance(text, list) else text
                show(f"{f'{name} {part}'.strip():<38}{shown}")
    if any("not writable" in folder for folder in report["folders"].values()):
        raise typer.Exit(1)


def _folder_report(path: Path) -> str:
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    state = "writable" if writable else "not writable"
    free = human_size(shutil.disk_usage(existing).free)
    return f"{path} ({state}{'' if path.exists() else ', not made yet'}, {free} free)"


def _backend_report(storage: StorageId) -> str:
    if storage not in available_backends():
        return "not in this installation"
    try:
        load_backend(storage)
    except BackendError as error:
        return str(error)
    return "ready"
