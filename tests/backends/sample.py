"""The artifact that the tests of network storages publish."""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel


class Sample(BaseModel):
    weights: Path
    shards: list[Path]
    config: Path
    note: str = ""


def make_sample(write: Callable[..., Path], size: int) -> Sample:
    """Write an artifact of a large file of `size` bytes, one of 70,000, a small one and an empty one."""
    return Sample(
        weights=write("weights.bin", size),
        shards=[write("a.safetensors", 70_000), write("empty.safetensors", 0)],
        config=write("config.json", content=b'{"layers": 2}\n'),
        note="ø",
    )


def contents(sample: Sample) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [sample.weights, *sample.shards, sample.config]}
