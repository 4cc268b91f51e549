"""Answers that do not say what is stored: nothing is paid on them, and a download does not deny what exists.

Only a well-formed "not found" of every gateway means that something is not there.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.errors import BackendError, ConflictError, NotFinalizedError, TransferError
from tests.backends.arweave.conftest import REPO, Client
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.fixtures import MakeArweave
from tests.servers.arweave.node import ArweaveNode
from tests.servers.faults import Fault

LABEL = f"{REPO}/v1"
PAGE = "<!DOCTYPE html><html><body>please log in</body></html>"
DATA = ("raw", "data", "tx-data", "chunk")

ANSWERS: dict[str, Fault] = {
    **{str(status): node_faults.refuse(status) for status in (301, 400, 401, 402, 403, 418, 451, 503)},
    "404 page": node_faults.refuse(404, PAGE),
    "403 page": node_faults.refuse(403, PAGE),
    "200 page": Fault(instead=node_faults.refuse(200, PAGE).instead),
    "200 empty": node_faults.refuse(200),
    "200 null": node_faults.refuse(200, "null"),
}
"""Of any path."""


def spoil(change: Callable[[dict[str, Any]], None]) -> Fault:
    return faults.change_json(lambda answer: change(answer["data"]["transactions"]))


def spoil_first(part: str) -> Callable[[list[Any]], None]:
    def change(edges: list[Any]) -> None:
        if edges and part == "edge":
            edges[0] = None
        elif edges:
            edges[0]["node"] = None

    return change


INDEX_ANSWERS: dict[str, Fault] = {
    **ANSWERS,
    "errors": faults.set_body(b'{"errors": [{"message": "too complex"}], "data": null}'),
    "errors and nothing": faults.set_body(
        b'{"errors": [{"message": "timeout"}], "data": {"transactions": {"pageInfo": {"hasNextPage": false},'
        b' "edges": []}}}'
    ),
    "no data": faults.set_body(b"{}"),
    "null edges": spoil(lambda page: page.update(edges=None)),
    "null node": node_faults.lie_in_edges(spoil_first("node")),
    "null edge": node_faults.lie_in_edges(spoil_first("edge")),
    "more, and no cursor": faults.set_body(
        b'{"data": {"transactions": {"pageInfo": {"hasNextPage": true}, "edges": []}}}'
    ),
}
"""Of an index, in addition."""

TX_ANSWERS = ANSWERS | {
    "404": node_faults.refuse(404),
    "410": node_faults.refuse(410),
    "{}": faults.set_body(b"{}"),
}
"""Of `/tx/{id}`, for what an index lists as mined."""


@pytest.fixture
def behind(client: Client, make_arweave: MakeArweave) -> ArweaveNode:
    """Return a gateway whose index knows nothing yet."""
    node = make_arweave(weave=client.node.weave)
    node.faults.add("/graphql", node_faults.hide_edges(), kind="graphql")
    return node


@pytest.fixture
def two(client: Client, behind: ArweaveNode, another_machine: Callable[[], None]) -> Callable[[], Client]:
    """Return a function that goes to another machine, with two gateways of which the second is behind."""

    def move() -> Client:
        client.node.mine()
        client.node.ledger.forget()
        another_machine()
        return Client(client.node, behind, wallet=client.wallet)

    return move


def posts(client: Client, *nodes: ArweaveNode) -> int:
    return sum(node.ledger.count("post-tx", "post-chunk") for node in (client.node, *nodes))


# --- nothing is paid --------------------------------------------------------------------------------------


@pytest.mark.parametrize("repo", [REPO, LABEL], ids=["newest", "label"])
@pytest.mark.parametrize("is_same", [True, False], ids=["same", "other"])
@pytest.mark.parametrize("name", INDEX_ANSWERS)
def test_nothing_is_paid_while_an_index_cannot_say(  # noqa: PLR0917 - fixtures
    name: str,
    repo: str,
    client: Client,
    behind: ArweaveNode,
    sample: Sample,
    two: Callable[[], Client],
    *,
    is_same: bool,
) -> None:
    client.upload(sample, repo)
    both = two()
    if not is_same:
        sample.config.write_bytes(b"other")
    client.node.faults.add("/graphql", INDEX_ANSWERS[name], kind="graphql")

    with pytest.raises(
        TransferError, match=f"{client.node.url}.*nothing is paid.*use other gateways"
    ) as caught:
        both.upload(sample, repo)

    assert caught.value.retryable
    assert not posts(client, behind)


@pytest.mark.parametrize("is_same", [True, False], ids=["same", "other"])
@pytest.mark.parametrize("name", TX_ANSWERS)
def test_nothing_is_paid_while_no_gateway_sends_what_an_index_lists(
    name: str,
    client: Client,
    behind: ArweaveNode,
    sample: Sample,
    two: Callable[[], Client],
    *,
    is_same: bool,
) -> None:
    client.upload(sample, LABEL)
    both = two()
    if not is_same:
        sample.config.write_bytes(b"other")
    for node in (client.node, behind):
        node.faults.add("/tx/*", TX_ANSWERS[name], kind="tx")

    with pytest.raises(TransferError, match="an index lists"):
        both.upload(sample, LABEL)

    assert not posts(client, behind)


@pytest.mark.parametrize("name", TX_ANSWERS)
def test_a_stored_file_that_no_gateway_sends_is_not_paid_again(
    name: str, client: Client, sample: Sample
) -> None:
    weights = client.upload(sample).transactions["weights.bin"]
    client.node.mine()
    sample.config.write_bytes(b"new")
    client.node.ledger.forget()
    client.node.faults.add(f"/tx/{weights}", TX_ANSWERS[name], kind="tx")

    with pytest.raises(TransferError, match=f"an index lists {weights}"):
        client.upload(sample)

    assert not posts(client)


@pytest.mark.parametrize("name", ["401", "402", "403", "451", "503", "404 page", "200 page"])
def test_a_stored_file_whose_data_is_refused_is_not_paid_again(
    name: str, client: Client, sample: Sample
) -> None:
    client.upload(sample)
    client.node.mine()
    sample.config.write_bytes(b"new")
    client.node.ledger.forget()
    for kind in DATA:
        client.node.faults.add("*", ANSWERS[name], kind=kind)

    with pytest.raises(TransferError):
        client.upload(sample)

    client.node.faults.clear()
    assert not posts(client)


@pytest.mark.parametrize("name", ANSWERS)
def test_nothing_is_signed_again_while_a_status_cannot_be_read(
    name: str, client: Client, sample: Sample
) -> None:
    first = client.upload(sample)
    client.node.faults.add("/tx/*/status", ANSWERS[name], kind="tx-status")
    client.node.faults.add("/tx", node_faults.refuse(400, "Invalid anchor (last_tx)."), kind="post-tx")
    client.node.faults.add("/graphql", node_faults.hide_edges(), kind="graphql")

    with pytest.raises(BackendError):
        client.upload(sample)

    assert {t.id for t in client.node.transactions()} == {*first.transactions.values(), first.transaction_id}


def test_a_newer_version_on_another_index_is_not_paid_again(
    client: Client, behind: ArweaveNode, sample: Sample, another_machine: Callable[[], None]
) -> None:
    old = client.upload(sample)
    client.node.mine()
    sample.config.write_bytes(b"new")
    second = client.upload(sample)
    client.node.mine()
    behind.faults.clear()

    def hide(edges: list[Any]) -> list[Any]:
        known = {old.transaction_id, *old.transactions.values()}
        return [edge for edge in edges if edge["node"]["id"] in known]

    behind.faults.add("/graphql", node_faults.lie_in_edges(hide), kind="graphql")
    another_machine()
    client.node.ledger.forget()

    again = Client(behind, client.node, wallet=client.wallet).upload(sample)

    assert (again.cost, again.transaction_id) == (0, second.transaction_id)
    assert not posts(client, behind)


@pytest.mark.parametrize("kind", ["post-tx", "post-chunk"])
@pytest.mark.parametrize("name", [name for name in ANSWERS if name not in {"200 empty", "200 null"}])
def test_a_post_that_is_not_acknowledged_is_finished_later_and_paid_once(
    name: str, kind: str, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.node.faults.add("*", ANSWERS[name], kind=kind)
    with pytest.raises(BackendError):
        client.upload(sample, LABEL)
    client.node.faults.clear()

    result = client.upload(sample, LABEL)

    assert {t.id for t in client.node.transactions()} == {
        *result.transactions.values(),
        result.transaction_id,
    }
    client.node.mine()
    assert contents(client.download(tmp_path / "out", client.repo("v1")).artifact) == contents(sample)


# --- what can be said is used -----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [None, {"node": None}, {"node": {"id": "x"}}, 5], ids=str)
def test_a_bad_entry_does_not_discard_the_others(
    bad: object, client: Client, sample: Sample, two: Callable[[], Client], tmp_path: Path
) -> None:
    first = client.upload(sample, LABEL)
    both = two()
    spoiled = node_faults.lie_in_edges(lambda edges: [bad, *edges])  # type: ignore[list-item]
    client.node.faults.add("/graphql", spoiled, kind="graphql")

    assert both.upload(sample, LABEL).transaction_id == first.transaction_id
    assert contents(both.download(tmp_path / "out", client.repo("v1")).artifact) == contents(sample)
    sample.config.write_bytes(b"other")
    with pytest.raises(ConflictError):
        both.upload(sample, LABEL)


@pytest.mark.parametrize("info", [None, {}, {"hasNextPage": None}, "x"], ids=str)
def test_pages_are_read_on_where_their_end_is_not_stated(
    info: object, client: Client, sample: Sample, two: Callable[[], Client]
) -> None:
    client.node.rules.page_limit = 1
    first = client.upload(sample)
    both = two()
    client.node.faults.add("/graphql", spoil(lambda page: page.update(pageInfo=info)), kind="graphql")

    assert both.upload(sample).transaction_id == first.transaction_id
    sample.config.write_bytes(b"new")
    assert both.upload(sample).transactions["weights.bin"] == first.transactions["weights.bin"]


@pytest.mark.parametrize(
    "fault",
    [node_faults.refuse(404), node_faults.refuse(405), node_faults.refuse(400, "Request type not found.")],
)
def test_a_node_that_says_that_it_has_no_index_is_not_waited_for(
    fault: Fault, client: Client, make_arweave: MakeArweave, sample: Sample
) -> None:
    node = make_arweave(weave=client.node.weave)
    node.faults.add("/graphql", fault, kind="graphql")

    assert Client(node, client.node, wallet=client.wallet).upload(sample).cost > 0


@pytest.mark.parametrize("name", ["403", "503", "200 page"])
def test_a_download_uses_the_other_indexes_and_says_so(
    name: str, pair: Client, sample: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair.upload(sample)
    pair.node.mine()
    pair.node.faults.add("/graphql", INDEX_ANSWERS[name], kind="graphql")

    second = Client(pair.node, wallet=pair.wallet)
    second.connection["gateways"] = pair.connection["gateways"]
    assert contents(second.download(tmp_path / "out", f"{pair.repo()}").artifact) == contents(sample)

    list(second.weave().index.search(owner=pair.wallet.address))
    said = [r.getMessage() for r in caplog.records if "only the other indexes are used" in r.getMessage()]
    assert said
    assert pair.node.url in said[0]


# --- downloads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TX_ANSWERS)
def test_what_an_index_lists_is_not_denied(name: str, client: Client, published: dict[str, str]) -> None:
    client.node.faults.add(f"/tx/{published['']}", TX_ANSWERS[name], kind="tx")

    with pytest.raises(TransferError, match=published[""]):
        client.download(None, client.repo("v1"))


@pytest.mark.parametrize("name", ["401", "402", "403", "451", "404 page"])
def test_data_that_is_refused_is_not_requested_again_and_not_denied(
    name: str, client: Client, published: dict[str, str]
) -> None:
    weights = published["weights.bin"]
    for pattern in (f"/raw/{weights}", f"/{weights}", f"/tx/{weights}/data"):
        client.node.faults.add(pattern, ANSWERS[name])
    client.node.faults.add("/chunk/*", ANSWERS[name], kind="chunk")

    with pytest.raises(TransferError, match=f"no gateway sends the data of {weights}.*40|451"):
        client.download(None)

    asked = [exchange.path for exchange in client.node.ledger.of("raw", "tx-data")]
    assert asked.count(f"/raw/{weights}") == 1
    assert asked.count(f"/tx/{weights}/data") == 1


@pytest.mark.parametrize("repo", [None, "v1"], ids=["newest", "label"])
def test_an_index_without_the_block_of_a_mined_transaction_does_not_stop_a_download(
    repo: str | None, client: Client, published: dict[str, str], sample: Sample, tmp_path: Path
) -> None:
    assert published
    fault = node_faults.lie_in_edges(
        lambda edges: [edge["node"].update(block=None) for edge in edges] and None
    )
    client.node.faults.add("/graphql", fault, kind="graphql")

    assert contents(client.download(tmp_path / "out", client.repo(repo)).artifact) == contents(sample)


def test_what_is_not_mined_is_still_not_mined(client: Client, sample: Sample) -> None:
    client.upload(sample, LABEL)

    with pytest.raises(NotFinalizedError, match="not mined yet"):
        client.download(None, client.repo("v1"))
