"""Samples of peers, taken in turn."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from environments import ROOM, last_line
from peers import Peer
from processes import Usage

Round: TypeAlias = dict[str, Usage]
"""What each peer took, by its name."""

_SAMPLE = Path(__file__).with_name("sample.py")


class SampleError(Exception):
    """A peer could not hash the files; the message names it and says why."""


class DigestError(Exception):
    """Two peers disagree on the digest of a file."""


@dataclass(frozen=True)
class Measurement:
    """Samples peers on files; their digests have to agree wherever they are the same digest."""

    paths: Sequence[Path]
    is_cold: bool
    """Whether the page cache is asked to drop the files before each sample."""
    _digests: dict[tuple[str, Path], str] = field(default_factory=dict)

    def rounds(self, peers: Sequence[Peer], number: int) -> Iterator[Round]:
        """Sample all peers in turn, so many times; each round begins with another one of them.

        Raises:
            SampleError: a peer could not hash the files.
            DigestError: two peers, or two rounds, disagree.
        """
        for index in range(number):
            start = index * len(peers) // number
            order = [*peers[start:], *peers[:start]]
            samples = {peer.name: self.sample(peer) for peer in order}
            yield {peer.name: samples[peer.name] for peer in peers}

    def sample(self, peer: Peer) -> Usage:
        """Run a peer once, in a process of its own.

        Raises:
            SampleError: it could not hash the files.
            DigestError: its digests are not those that were seen before.
        """
        paths = self.paths[:1] if peer.only_first else self.paths
        if self.is_cold:
            _forget(paths)
        usage, digests = _run(peer, paths)
        for path, digest in zip(paths, digests, strict=True):
            expected = self._digests.setdefault((peer.digest, path), digest)
            if digest != expected:
                message = f"{peer.name}: {peer.digest} of {path} is {digest}, not {expected} as seen before"
                raise DigestError(message)
        return usage


def _run(peer: Peer, paths: Sequence[Path]) -> tuple[Usage, list[str]]:
    with tempfile.TemporaryDirectory(dir=ROOM) as name:
        folder = Path(name)
        file_list, job = folder / "list", folder / "job.json"
        file_list.write_bytes(b"".join(bytes(path) + b"\0" for path in paths))
        command = peer.command(paths, file_list) if peer.command else None
        task = {"paths": [str(path) for path in paths], "adapter": peer.adapter, "command": command}
        job.write_text(json.dumps(task), encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - our own script
            [peer.environment.python, _SAMPLE, job],
            # no peer looks into the user's own settings and caches, or asks a server
            env={**os.environ, "HOME": name, "HF_HUB_OFFLINE": "1", **dict(peer.variables)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        message = f"{peer.name}: {last_line(done.stderr)}"
        raise SampleError(message)
    result = json.loads(done.stdout)
    digests = result.pop("digests")
    return Usage(**result), digests


def _forget(paths: Sequence[Path]) -> None:
    """Ask the system to drop the files from its cache; best effort, and what is not on the disk yet stays."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
