"""model-signing's hashes, a file each."""

from collections.abc import Sequence
from pathlib import Path

from model_signing import hashing


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of files, all in one folder."""
    folder = paths[0].parent
    manifest = hashing.Config().use_file_serialization().hash(folder, files_to_hash=paths)
    digests = {item.identifier: item.digest.digest_hex for item in manifest.resource_descriptors()}
    return [digests[path.name] for path in paths]
