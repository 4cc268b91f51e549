"""Fixtures of the loopback node; `tests/conftest.py` makes them known."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.arlocal import Arlocal, ArlocalProgram, find_arlocal, run_arlocal
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key, load_key
from tests.servers.arweave_js import ArweaveJs, find_arweave_js

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "arweave"

MakeArweave = Callable[..., ArweaveNode]


@pytest.fixture
def make_arweave(tmp_path: Path) -> Iterator[MakeArweave]:
    """Return a function that starts a node, with the arguments of `ArweaveNode`.

    `weave=other.weave` shows another node's chain. Each node is checked at the end of the test.
    """
    nodes: list[ArweaveNode] = []
    with ExitStack() as stack:

        def start(**options: object) -> ArweaveNode:
            folder = tmp_path / f"arweave-{len(nodes)}"
            node = stack.enter_context(ArweaveNode(folder, **options))  # type: ignore[arg-type]  # passed on
            nodes.append(node)
            return node

        yield start
    for node in nodes:
        node.check()


@pytest.fixture
def arweave_node(make_arweave: MakeArweave) -> ArweaveNode:
    """Return a node whose transactions wait until the test mines."""
    return make_arweave()


@pytest.fixture
def wallet(tmp_path: Path) -> Key:
    """Return a wallet with a file of its own, `wallet.path`; it has no winston until the test mints some."""
    return _own_key(tmp_path, "test_key_rsa4096.json")


@pytest.fixture
def other_wallet(tmp_path: Path) -> Key:
    """Return the wallet of somebody else."""
    return _own_key(tmp_path, "second_key_rsa4096.json")


def _own_key(folder: Path, name: str) -> Key:
    path = folder / "wallets" / name
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(VECTORS / name, path)
    path.chmod(0o600)
    return load_key(path)


@pytest.fixture(scope="session")
def arlocal_program() -> ArlocalProgram:
    return find_arlocal()


@pytest.fixture
def arlocal(arlocal_program: ArlocalProgram, tmp_path: Path) -> Iterator[Arlocal]:
    """Return a running arlocal, with a chain of its own."""
    with run_arlocal(arlocal_program, tmp_path / "arlocal") as running:
        yield running


@pytest.fixture(scope="session")
def arweave_js() -> ArweaveJs:
    """Return the JavaScript client."""
    return find_arweave_js()
