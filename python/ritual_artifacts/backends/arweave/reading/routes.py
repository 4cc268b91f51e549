"""The ways to request data: a gateway and a path, or the chunks of all gateways."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ritual_artifacts.backends.arweave.gateway import Gateway


@dataclass(frozen=True)
class Route:
    """One way to request data.

    Attributes:
        gateway: The gateway; None stands for the chunks, which all gateways are asked for.
        template: The path, with a place for the data's id.
        encoded: Whether the answer is base64url, always of all data.
    """

    gateway: Gateway | None
    template: str
    encoded: bool = False

    def path(self, name: str) -> str:
        """Return the path to request from the gateway."""
        return self.template.format(name)

    def __str__(self) -> str:
        """Describe the route in messages."""
        return "the chunks" if self.gateway is None else f"{self.gateway}{self.path('…')}"


BY_CHUNKS: Final = Route(None, "")
"""Chunk by chunk, each with its proof."""


def take(blocks: Iterator[bytes], size: int) -> bytes:
    """Return the first bytes of a stream, at most `size`."""
    data = bytearray()
    for block in blocks:
        data += block
        if len(data) >= size:
            break
    return bytes(data[:size])
