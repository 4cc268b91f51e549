"""Nodes: a manifest's fields as JSON, with references in place of files, and with unordered sets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ritual_artifacts.artifact.canonical import Json, canonical_bytes
from ritual_artifacts.artifact.introspection.shapes import FileKind

At: TypeAlias = tuple[str | int, ...]
"""The location of a node: the keys and indexes that lead to it."""


@dataclass(frozen=True)
class FileRef:
    """A file or directory that the model names.

    Attributes:
        field: The top-level field it is in.
        path: Where it is.
        kind: What its type declares it to be.
    """

    field: str
    path: Path
    kind: FileKind


class Unordered(list["Node"]):
    """The items of a set."""


Node: TypeAlias = Json | FileRef | Sequence["Node"] | Mapping[str, "Node"]


def dotted(at: At) -> str:
    """Format a location for a message."""
    return ".".join(map(str, at))


def fill(node: Node, name_of: Callable[[FileRef], str]) -> Json:
    """Replace each file reference in `node` with the name that `name_of` returns for it; sort the sets."""
    if isinstance(node, FileRef):
        return name_of(node)
    if isinstance(node, Mapping):
        return {key: fill(part, name_of) for key, part in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str):
        filled = [fill(part, name_of) for part in node]
        return sorted(filled, key=canonical_bytes) if isinstance(node, Unordered) else filled
    return node


def file_refs(node: Node) -> list[FileRef]:
    """List the file references in `node`, in an order that is the same for equal models."""
    if isinstance(node, FileRef):
        return [node]
    parts: Iterable[Node] = ()
    if isinstance(node, Mapping):
        parts = (part for _, part in sorted(node.items()))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        parts = sorted(node, key=_set_order) if isinstance(node, Unordered) else node
    return [ref for part in parts for ref in file_refs(part)]


def _set_order(node: Node) -> tuple[bytes, bytes]:
    """Return a sort key for the items of a set: first the names, which are the same on every machine."""
    names = fill(node, lambda ref: ref.path.name)
    return canonical_bytes(names), canonical_bytes(fill(node, lambda ref: str(ref.path)))
