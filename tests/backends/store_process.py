"""One of several processes that use one store and one cache at once. Run by `test_concurrency.py`."""

import random
import sys
from pathlib import Path

from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.backends.local import LocalStorage
from ritual_artifacts.context import Context

ROUNDS = 6


class Sample(BaseModel):
    shared: Path
    own: list[Path]
    number: int


def make(folder: Path, number: int) -> Sample:
    """Write the files of artifact `number`, the same in every process."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"shared.bin": b"shared" * 20_000, "own.bin": random.Random(number).randbytes(30_000)}  # noqa: S311
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return Sample(shared=folder / "shared.bin", own=[folder / "own.bin"], number=number)


def main() -> None:
    worker, root = int(sys.argv[1]), Path(sys.argv[2])
    store = LocalStorage().connect({}, Context.create())
    for turn in range(ROUNDS):
        same = make(root / f"worker-{worker}", 0)
        RitualArtifactManager(artifact=same).to_repo("local/me/same/v1")
        different = make(root / f"worker-{worker}", 100 * worker + turn)
        RitualArtifactManager(artifact=different).to_repo(f"local/me/model/{worker}-{turn}")
        if turn % 3 == worker % 3:
            store.collect_garbage()
        into_cache = RitualArtifactManager.from_repo(Sample, "local/me/same")
        assert into_cache.artifact.number == 0
        into_folder = RitualArtifactManager.from_repo(Sample, "local/me/same", root / "folder")
        into_folder.verify()
        assert into_folder.digest == into_cache.digest
        newest = RitualArtifactManager.from_repo(Sample, "local/me/model", root / f"newest-{worker}")
        assert newest.artifact.own[0].read_bytes() == random.Random(newest.artifact.number).randbytes(30_000)  # noqa: S311


if __name__ == "__main__":
    main()
