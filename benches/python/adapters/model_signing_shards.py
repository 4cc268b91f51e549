"""model-signing's hashes, one for each shard of a file."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from model_signing import hashing


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of the shards of files, all in one folder; those of a file are joined by `+`."""
    folder = paths[0].parent
    manifest = hashing.Config().use_shard_serialization().hash(folder, files_to_hash=paths)
    digests = defaultdict(list)
    for shard in manifest.resource_descriptors():
        name, _start, _end = shard.identifier.rsplit(":", 2)
        digests[name].append(shard.digest.digest_hex)
    return ["+".join(digests[path.name]) for path in paths]
