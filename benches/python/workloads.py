"""What is hashed, and by whom."""

import random
from dataclasses import dataclass
from pathlib import Path

from peers import DATA_ROOT_PEERS, OURS_ON_THE_FIRST_FILE, PEERS, Peer

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

_SMALL_FILES = (16 * KIB,) * 5000


@dataclass(frozen=True)
class Workload:
    """Files of one folder, and the peers that hash them in turn.

    Work of another kind, such as a second digest from the same read, is a workload with peers of its own.
    """

    name: str
    sizes: tuple[int, ...]
    """Bytes of each file; the largest comes first."""
    peers: tuple[Peer, ...] = PEERS

    @property
    def title(self) -> str:
        """The files in words, such as `16 × 256 MiB`."""
        return " and ".join(
            f"{self.sizes.count(size):,} × {_in_words(size)}" for size in dict.fromkeys(self.sizes)
        )

    def write(self, folder: Path) -> list[Path]:
        """Write the files into an empty folder.

        Raises:
            OSError: there is no room for them.
        """
        return [
            write_sample(folder / f"{index:05}.bin", size, seed=index)
            for index, size in enumerate(self.sizes)
        ]


def make_workloads(mib: int) -> list[Workload]:
    """Return all workloads; `mib` is what the large files take together, in MiB."""
    total = mib * MIB
    return [
        Workload("one", (total,)),
        Workload("shards-16", (total // 16,) * 16),
        Workload("shards-64", (total // 64,) * 64),
        Workload("small", _SMALL_FILES),
        # Not a multiple of a chunk, where arweave-python-client and arweave-js would split differently.
        Workload("data-root", (total // 4 + 100 * KIB,), DATA_ROOT_PEERS),
        Workload("skew", (total, *_SMALL_FILES), (*PEERS, OURS_ON_THE_FIRST_FILE)),
    ]


def write_sample(path: Path, size: int, *, seed: int) -> Path:
    """Write `size` bytes that nothing can compress within a mebibyte, and return the path."""
    block = random.Random(seed).randbytes(MIB)  # noqa: S311 - sample data
    with path.open("wb") as file:
        for offset in range(0, size, len(block)):
            file.write(block[: size - offset])
    return path


def _in_words(size: int) -> str:
    unit, name = next(
        (unit, name) for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")) if size >= unit
    )
    return f"{size / unit:g} {name}"
