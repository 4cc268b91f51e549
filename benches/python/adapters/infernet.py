"""The loop of infernet-ml 2.0.0."""

from collections.abc import Sequence
from pathlib import Path

from infernet_ml.resource.artifact_manager import calculate_sha256


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of files."""
    return [calculate_sha256(path) for path in paths]
