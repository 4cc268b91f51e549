"""Who hashes: this package, and the programs and libraries that it is compared with."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from environments import ARWEAVE_JS, INFERNET_ML, LIBRARIES, PROJECT, Environment, NodePackage

CORES = len(os.sched_getaffinity(0))

Command: TypeAlias = Callable[[Sequence[Path], Path], list[str]]
"""Makes a command of files and the path of a list of them, in which each ends with a NUL."""

_SHARES_PER_CORE = 4
"""Processes that `xargs` starts on each core, one after the other, if there are files enough."""


@dataclass(frozen=True)
class Peer:
    """A way to hash files: a function of a Python library, or a command."""

    name: str
    digest: str = "SHA-256"
    adapter: str | None = None
    """Module in `adapters`, whose `hash_files` alone is timed."""
    environment: Environment = PROJECT
    """Where the adapter runs."""
    package: NodePackage | None = None
    """What the adapter needs of npm."""
    command: Command | None = None
    """What is timed where there is no adapter, from the start of the process to its exit."""
    variables: tuple[tuple[str, str], ...] = ()
    """Environment variables for it alone, with their values."""
    only_first: bool = False
    """Whether it hashes nothing but the first file."""


def _append_to(*command: str) -> Command:
    return lambda paths, _list: [*command, *map(str, paths)]


def _share_out(*command: str) -> Command:
    def make(paths: Sequence[Path], file_list: Path) -> list[str]:
        share = -(-len(paths) // (CORES * _SHARES_PER_CORE))
        xargs = ["xargs", "-0", "-a", str(file_list), "-P", str(CORES), "-n", str(share)]
        return [*xargs, "stdbuf", "-oL", *command]  # in whole lines, which otherwise mix

    return make


OURS = Peer("ours", adapter="ours")
OURS_ON_THE_FIRST_FILE = Peer("ours, the first file alone", adapter="ours", only_first=True)

_ONE_WORKER = (("RITUAL_MAX_WORKERS", "1"),)
_ROOT = "data_root"
DATA_ROOT_PEERS = (
    Peer("ours", _ROOT, "ours_data_root"),
    Peer("ours, SHA-256 alone", adapter="ours"),
    Peer("ours, one worker", _ROOT, "ours_data_root", variables=_ONE_WORKER),
    Peer("ours, one worker, SHA-256 alone", adapter="ours", variables=_ONE_WORKER),
    Peer("arweave-python-client", _ROOT, "arweave_client", LIBRARIES),
    Peer("arweave-js", _ROOT, "arweave_js", package=ARWEAVE_JS),
)
"""Who finds the root of a file's chunks on Arweave; ours finds its SHA-256 in the same read."""

_B3SUM = (
    Peer("b3sum", "BLAKE3", command=_append_to("b3sum"))
    if shutil.which("b3sum")
    else Peer("blake3 (Python)", "BLAKE3", "blake3_threads", LIBRARIES)
)

PEERS = (
    OURS,
    Peer("ours, no AVX-512", adapter="ours", variables=(("RITUAL_DISABLE_KERNELS", "avx512,avx512x2"),)),
    Peer("ours, command line", command=_append_to(sys.executable, "-m", "ritual_artifacts", "hash")),
    Peer("hashlib.file_digest", adapter="file_digest"),
    Peer("hashlib.file_digest, pool", adapter="file_digest_pool"),
    Peer("huggingface_hub", adapter="huggingface_hub_commit", environment=LIBRARIES),
    Peer("infernet-ml 2.0.0", adapter="infernet", environment=INFERNET_ML),
    Peer("model-signing, files", adapter="model_signing_file", environment=LIBRARIES),
    Peer("model-signing, shards", "SHA-256 of shards", "model_signing_shards", LIBRARIES),
    Peer("dvc", "MD5", "dvc_file", LIBRARIES),
    Peer("hf-xet", "Xet", "xet", LIBRARIES),
    Peer("sha256sum", command=_append_to("sha256sum")),
    Peer("sha256sum, xargs -P", command=_share_out("sha256sum")),
    Peer("openssl dgst", command=_append_to("openssl", "dgst", "-sha256", "-r")),
    Peer("openssl dgst, xargs -P", command=_share_out("openssl", "dgst", "-sha256", "-r")),
    _B3SUM,
)
