"""DVC's hash of a file, with its default algorithm."""

from collections.abc import Sequence
from pathlib import Path

from dvc_data.hashfile.hash import DEFAULT_ALGORITHM, hash_file
from dvc_objects.fs import localfs


def hash_files(paths: Sequence[Path]) -> list[str]:
    """MD5 of files."""
    infos = (hash_file(str(path), localfs, DEFAULT_ALGORITHM)[1] for path in paths)
    return [info.value for info in infos]
