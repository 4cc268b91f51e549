"""Few gateways open bundles, so what is in a bundle is found by the tags of its own transaction."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    ConflictError,
    NotFinalizedError,
    SourceChangedError,
)
from ritual_artifacts.repo_id import RitualRepoId
from tests.backends.arweave.conftest import REPO, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.bundles import item_id, make_bundle, make_item
from tests.servers.arweave.publish import BUNDLE_TAGS, publish
from tests.servers.arweave.signing import Key
from tests.servers.arweave.transactions import encode_tags

V1 = f"{REPO}/v1"


@pytest.fixture
def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def move() -> None:
        monkeypatch.setenv("RITUAL_STATE_DIR", str(tmp_path / "another"))

    return move


@pytest.fixture
def closed(client: Client) -> Client:
    """Return a client of a gateway that opens no bundles."""
    hide = node_faults.lie_in_edges(lambda edges: [e for e in edges if not e["node"].get("bundledIn")])
    client.node.faults.add("/graphql", hide, kind="graphql")
    return client


@pytest.mark.parametrize("version", [None, "v1"])
def test_an_artifact_in_a_closed_bundle_is_found_by_its_name(
    closed: Client, sample: Sample, tmp_path: Path, version: str | None
) -> None:
    closed.upload(sample, REPO if version is None else V1, bundle=True)
    closed.node.mine()

    manager = closed.download(tmp_path / "out", closed.repo(version))

    assert contents(manager.artifact) == contents(sample)


@pytest.mark.parametrize("repo", [REPO, V1])
@pytest.mark.parametrize("is_moved", [False, True])
def test_a_closed_bundle_is_not_paid_again(
    closed: Client, sample: Sample, another_machine: Callable[[], None], repo: str, *, is_moved: bool
) -> None:
    first = closed.upload(sample, repo, bundle=True)
    if is_moved:
        another_machine()
        with pytest.raises(NotFinalizedError, match=first.final_transaction):
            closed.upload(sample, repo, bundle=True)
    closed.node.mine()

    again = closed.upload(sample, repo, bundle=True)

    assert (again.cost, again.transaction_id) == (0, first.transaction_id)
    assert len(closed.node.transactions()) == 1


@pytest.mark.parametrize("is_mined", [False, True])
@pytest.mark.parametrize("is_moved", [False, True])
def test_a_label_in_a_closed_bundle_is_taken(
    closed: Client,
    sample: Sample,
    another_machine: Callable[[], None],
    *,
    is_mined: bool,
    is_moved: bool,
) -> None:
    closed.upload(sample, V1, bundle=True)
    if is_mined:
        closed.node.mine()
    if is_moved:
        another_machine()
    sample.weights.write_bytes(b"other" * 1000)

    with pytest.raises(ConflictError if is_mined else NotFinalizedError):
        closed.upload(sample, V1, bundle=True)

    assert len(closed.node.transactions()) == 1


def test_the_newest_counts_in_a_closed_bundle_or_without_one(
    closed: Client, sample: Sample, tmp_path: Path
) -> None:
    for content, is_bundle in ((b"1", True), (b"2", False), (b"3", True)):
        sample.config.write_bytes(content)
        closed.upload(sample, bundle=is_bundle)
        closed.node.mine()

        downloaded = closed.download(tmp_path / content.decode()).artifact.config.read_bytes()

        assert downloaded == content


@pytest.mark.parametrize("is_open", [False, True])
def test_a_version_in_a_bundle_is_listed_once(client: Client, sample: Sample, *, is_open: bool) -> None:
    client.upload(sample, V1, bundle=True)
    client.node.mine()
    if not is_open:
        hide = node_faults.lie_in_edges(lambda edges: [e for e in edges if not e["node"].get("bundledIn")])
        client.node.faults.add("/graphql", hide, kind="graphql")

    versions = client.weave().versions.list_labels(
        RitualRepoId.from_arweave_repo_id(client.repo().removeprefix("arweave/"))
    )

    assert versions == ["v1"]


@pytest.mark.parametrize("inside", ["another owner", "another repository", "nothing", "no id", "no tag"])
def test_a_bundle_with_something_else_inside_is_skipped(
    closed: Client, other_wallet: Key, sample: Sample, tmp_path: Path, inside: str
) -> None:
    closed.upload(sample)
    closed.node.mine()
    name = "other" if inside == "another repository" else "model"
    common = [("App-Name", "Ritual"), ("Repo-Name", name)]
    paths = json.dumps({"manifest": "arweave/paths", "version": "0.1.0", "paths": {}}).encode()
    content_type = ("Content-Type", "application/x.arweave-manifest+json")
    signer = other_wallet if inside == "another owner" else closed.wallet
    item = make_item(signer, paths, encode_tags([content_type, ("Type", "manifest"), *common]))
    named = {"nothing": "A" * 43, "no id": "../x"}.get(inside, item_id(item))
    tags = [*BUNDLE_TAGS, ("Type", "bundle"), ("App-Name", "Ritual"), ("Repo-Name", "model")]
    if inside != "no tag":
        tags.append(("Path-Manifest", named))
    publish(closed.node, closed.wallet, make_bundle([item]), tags)

    manager = closed.download(tmp_path / "out")

    assert contents(manager.artifact) == contents(sample)


def test_a_bundle_without_an_artifact_is_not_found(closed: Client) -> None:
    tags = [*BUNDLE_TAGS, ("Type", "bundle"), ("App-Name", "Ritual"), ("Repo-Name", "model")]
    publish(closed.node, closed.wallet, make_bundle([]), tags)

    with pytest.raises(ArtifactNotFoundError, match="Arweave has no"):
        closed.download(None)


@pytest.mark.parametrize("content", [b'{"layers": 9}\n', b"longer than it was", b""])
def test_a_file_that_changes_before_its_bundle_is_signed_is_not_paid_for(
    client: Client, sample: Sample, content: bytes
) -> None:
    change = faults.run(lambda: sample.config.write_bytes(content) and None)
    client.node.faults.add("/tx_anchor", change, kind="anchor", times=1)

    with pytest.raises(SourceChangedError, match=r"config\.json"):
        client.upload(sample, bundle=True)

    assert not client.node.transactions()


def test_a_file_that_changes_before_its_bundle_is_signed_again_is_not_paid_for(
    client: Client, sample: Sample
) -> None:
    stale = node_faults.refuse(400, "Invalid anchor (last_tx).")
    client.node.faults.add("/tx", stale, kind="post-tx", times=1)
    change = faults.run(lambda: sample.config.write_bytes(b"changed") and None)
    client.node.faults.add("/tx_anchor", change, kind="anchor", skip=1, times=1)

    with pytest.raises(SourceChangedError, match=r"config\.json"):
        client.upload(sample, bundle=True)

    assert not client.node.transactions()
