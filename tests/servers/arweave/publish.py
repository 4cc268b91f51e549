"""Puts transactions and whole repositories into a node, as other people's tools wrote them."""

import hashlib
import json
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.arweave.bundles import item_id, make_bundle, make_item
from tests.servers.arweave.merkle import Split, split_arweave_js, split_naive, tree_of
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key
from tests.servers.arweave.transactions import Transaction, encode_tags

MANIFEST_TYPE = "application/x.arweave-manifest+json"
MAX_UPLOAD_SIZE = 5_120_000
"""From this size on, ritual-arweave 0.2.0 writes sections of at most so many bytes."""
APP_VERSIONS = {"0.1.1": "0.1.0", "0.2.0": "0.2.0"}
BUNDLE_TAGS = (("Bundle-Format", "binary"), ("Bundle-Version", "2.0.0"))

TagPairs = Mapping[str, str] | Iterable[tuple[str, str]]


def sign_transaction(
    node: ArweaveNode,
    key: Key,
    data: bytes | Path = b"",
    tags: TagPairs = (),
    *,
    split: Split = split_arweave_js,
    target: bytes = b"",
    quantity: int = 0,
) -> Transaction:
    """Return a signed transaction that the node takes, if the wallet has the reward."""
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    unsigned = Transaction(
        owner=key.owner,
        last_tx=node.weave.tip.anchor,
        target=target,
        quantity=quantity,
        reward=node.weave.price(size),
        tags=encode_tags(tags),
        data_size=size,
        data_root=tree_of(data, split).root,
    )
    return unsigned.signed(key)


def publish(
    node: ArweaveNode,
    key: Key,
    data: bytes | Path,
    tags: TagPairs = (),
    *,
    split: Split = split_arweave_js,
    mine: bool = True,
) -> str:
    """Publish data and return the transaction's id."""
    node.mint(key.address)
    transaction = sign_transaction(node, key, data, tags, split=split)
    node.put(transaction, data, split=split)
    if mine:
        node.mine()
    return transaction.id


def publish_manifest(
    node: ArweaveNode,
    key: Key,
    paths: Mapping[str, str] | str | bytes,
    tags: TagPairs = (),
    *,
    mine: bool = True,
) -> str:
    """Publish a path manifest of names and ids, or of hostile text; tags follow its Content-Type."""
    if isinstance(paths, Mapping):
        paths = json.dumps(
            {
                "manifest": "arweave/paths",
                "version": "0.1.0",
                "paths": {name: {"id": tx_id} for name, tx_id in paths.items()},
            }
        )
    data = paths.encode() if isinstance(paths, str) else paths
    all_tags = [("Content-Type", MANIFEST_TYPE), *_pairs(tags)]
    return publish(node, key, data, all_tags, split=split_naive, mine=mine)


def publish_bundle(
    node: ArweaveNode, key: Key, items: Sequence[tuple[bytes, TagPairs]], *, mine: bool = True
) -> tuple[str, list[str]]:
    """Publish data items in one transaction; return its id and theirs."""
    made = [make_item(key, data, encode_tags(tags)) for data, tags in items]
    bundle = publish(node, key, make_bundle(made), BUNDLE_TAGS, mine=mine)
    return bundle, [item_id(item) for item in made]


# --- repositories of ritual-arweave ---


@dataclass(frozen=True)
class PublishedRepo:
    """A repository in the format of ritual-arweave."""

    repo_id: str
    """`owner/name`."""
    manifest: str
    files: Mapping[str, str]
    """The transaction that the manifest names for each file: its own, or that of its section manifest."""
    sections: Mapping[str, Sequence[str]]
    """The transactions of the sections, in their order, of each file that has some."""


def publish_ritual_repo(
    node: ArweaveNode,
    key: Key,
    name: str,
    files: Mapping[str, bytes],
    *,
    tool: str = "0.2.0",
    versions: Mapping[str, str] | None = None,
    extra_tags: TagPairs = (),
    max_upload_size: int = MAX_UPLOAD_SIZE,
    unix_time: float = 1_795_457_181.25,
    mine: bool = True,
) -> PublishedRepo:
    """Publish files as ritual-arweave 0.1.1 or 0.2.0 (`tool`) does.

    Args:
        node: where to.
        key: who signs.
        name: the repository's name.
        files: content by relative path.
        tool: the release that is imitated.
        versions: `File-Version` of some files; the others have "0.0.0".
        extra_tags: tags that come before the tool's own.
        max_upload_size: from this size (bytes) on, 0.2.0 writes sections.
        unix_time: the time that the tags tell.
        mine: put it all into a block.
    """
    app = [("App-Name", "Ritual"), ("App-Version", APP_VERSIONS[tool])]
    time = ("Unix-Time", str(unix_time))
    repo = ("Repo-Name", name)
    ids: dict[str, str] = {}
    sections: dict[str, list[str]] = {}

    def publish_file(path: str, content: bytes, part: bytes) -> str:
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        tags = [
            *_pairs(extra_tags),
            ("Content-Type", kind),
            ("File-Version", (versions or {}).get(path, "0.0.0")),
            ("File-Name", path),
            ("File-SHA256", hashlib.sha256(content).hexdigest()),
            *app,
            time,
            repo,
        ]
        if tool == "0.2.0":
            tags.append(("File-Size", str(len(part))))
        return publish(node, key, part, tags, split=split_naive, mine=False)

    for path, content in files.items():
        if tool == "0.1.1" or len(content) < max_upload_size:
            ids[path] = publish_file(path, content, content)
            continue
        starts = range(0, len(content), max_upload_size)
        parts = [publish_file(path, content, content[at : at + max_upload_size]) for at in starts]
        sections[path] = parts
        # The tool waits for its uploads in whatever order they end.
        unordered = {f"{number}.section": parts[number] for number in reversed(range(len(parts)))}
        section_tags = [
            ("Type", "manifest"),
            *app,
            ("File-Type", "Sectioned"),
            ("File-Size", str(len(content))),
            time,
            ("File-Name", path.rsplit("/", 1)[-1]),
        ]
        ids[path] = publish_manifest(node, key, unordered, section_tags, mine=False)
    manifest = publish_manifest(node, key, ids, [("Type", "manifest"), *app, time, repo], mine=False)
    if mine:
        node.mine()
    return PublishedRepo(f"{key.address}/{name}", manifest, ids, sections)


def publish_recorded_repo(node: ArweaveNode, recording: Path) -> PublishedRepo:
    """Publish a repository that the real ritual-arweave wrote, with its own signatures."""
    recorded = json.loads(recording.read_text())
    place = 0
    manifests: dict[str, dict[str, str]] = {}
    for record in recorded["transactions"]:
        data = record.get("data_utf8", "").encode()
        if size := record.get("data_len"):
            data = g2(place + size)[place:]
            place += size
        assert hashlib.sha256(data).hexdigest() == record["data_sha256"]
        tags = record["graphql_node"]["tags"]
        transaction = Transaction.from_json({**record["tx"], "id": record["id"], "tags": []})
        signed = {**transaction.__dict__, "tags": encode_tags([(tag["name"], tag["value"]) for tag in tags])}
        node.put(Transaction(**signed), data, split=split_naive)
        if {"name": "Type", "value": "manifest"} in tags:
            manifests[record["id"]] = _ids_of(json.loads(data))
    node.mine()
    files = manifests.pop(recorded["manifest_tx"])
    sections = {
        path: [manifests[tx_id][f"{number}.section"] for number in range(len(manifests[tx_id]))]
        for path, tx_id in files.items()
        if tx_id in manifests
    }
    return PublishedRepo(recorded["repo_id"], recorded["manifest_tx"], files, sections)


def g1(size: int) -> bytes:
    """Return data of the vectors: bytes that repeat after 256."""
    pattern = bytes((31 * i + 7) % 256 for i in range(256))
    return (pattern * (size // 256 + 1))[:size]


def g2(size: int) -> bytes:
    """Return data of the vectors: the SHA-256 of 0, 1, 2 …, one after the other."""
    count = -(-size // 32)
    return b"".join(hashlib.sha256(k.to_bytes(8, "little")).digest() for k in range(count))[:size]


def _pairs(tags: TagPairs) -> list[tuple[str, str]]:
    return list(tags.items() if isinstance(tags, Mapping) else tags)


def _ids_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {path: entry["id"] for path, entry in manifest["paths"].items()}
