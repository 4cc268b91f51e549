"""Fixtures of the loopback hub; `tests/conftest.py` makes them known."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils import _http

from tests.servers.hfd import Hfd, find_git_lfs, find_hfd, run_hfd
from tests.servers.hub import Hub
from tests.servers.node import NodeClient, find_node_client

MakeHub = Callable[..., Hub]


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give huggingface_hub a home below the test's folder, without xet; return it.

    The library reads its settings when it is imported, so they are set in its constants as well as in the
    environment: nothing of the machine's own configuration, token or cache is seen.
    """
    home = tmp_path / "huggingface"
    for name, value in {
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_XET_CACHE": str(home / "xet"),
        "HF_TOKEN_PATH": str(home / "token"),
    }.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, name, value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    # Or it would ask the public Hub, whatever the endpoint, which coding agents there are.
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    use_xet(monkeypatch, on=False)
    yield home
    huggingface_hub.close_session()


def use_xet(monkeypatch: pytest.MonkeyPatch, *, on: bool) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", not on)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "0" if on else "1")


@pytest.fixture
def make_hub(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHub]:
    """Return a function that starts a hub, `xet=True` with xet; each is checked at the end of the test."""
    hubs: list[Hub] = []
    with ExitStack() as stack:

        def start(*, xet: bool = False) -> Hub:
            hub = stack.enter_context(Hub(own_home.parent / f"hub-{len(hubs)}", xet=xet))
            use_xet(monkeypatch, on=xet)
            hubs.append(hub)
            return hub

        yield start
        huggingface_hub.close_session()
    for hub in hubs:
        hub.check()


@pytest.fixture
def hub(make_hub: MakeHub) -> Hub:
    """Return a hub with plain LFS."""
    return make_hub()


@pytest.fixture
def xet_hub(make_hub: MakeHub) -> Hub:
    """Return a hub with xet."""
    return make_hub(xet=True)


@pytest.fixture(params=["lfs", "xet"])
def any_hub(request: pytest.FixtureRequest, make_hub: MakeHub) -> Hub:
    """Return a hub with plain LFS, and one with xet."""
    return make_hub(xet=request.param == "xet")


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let huggingface_hub retry at once, and return the list of the seconds that it would have waited."""
    waited: list[float] = []
    for module in (_http, file_download):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=waited.append, time=time.time))
    return waited


@pytest.fixture(scope="session")
def hfd_program() -> Path:
    return find_hfd()


@pytest.fixture
def hfd(hfd_program: Path, own_home: Path) -> Iterator[Hfd]:
    """Return a running hfd; huggingface_hub keeps off xet, which this hfd does not speak."""
    with run_hfd(hfd_program, own_home.parent / "hfd") as running:
        yield running


@pytest.fixture(scope="session")
def git_lfs() -> Path:
    """Return the git-lfs program."""
    return find_git_lfs()


@pytest.fixture(scope="session")
def node_client() -> NodeClient:
    """Return the JavaScript client."""
    return find_node_client()
