"""What huggingface_hub does before it uploads files, where it has to know their SHA-256."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of files."""
    return [
        CommitOperationAdd(path_in_repo=path.name, path_or_fileobj=path).upload_info.sha256.hex()
        for path in paths
    ]
