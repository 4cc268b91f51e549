"""What an upload changes in `huggingface_hub`: only while it runs, and only for itself."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from huggingface_hub import close_session, constants, get_session
from huggingface_hub.utils import _http, _xet
from huggingface_hub.utils.tqdm import are_progress_bars_disabled

from ritual_artifacts.backends.huggingface.library import SharedChange, replaced
from ritual_artifacts.backends.huggingface.session import guarded_session
from ritual_artifacts.context import Context
from ritual_artifacts.errors import BackendError
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample
from tests.servers import faults
from tests.servers.fixtures import MakeHub
from tests.servers.hub import Hub

HEADERS = {"user-agent": "ours/1", "authorization": "Bearer hf_ours", "x-key": "secret"}
HERE, THERE = "https://here.example", "https://there.example"
ROUND_TRIP = """
import sys
from pathlib import Path
from pydantic import BaseModel
from ritual_artifacts import RitualArtifactManager

class One(BaseModel):
    file: Path

options = {"endpoint": sys.argv[2], "token": sys.argv[3]}
RitualArtifactManager(artifact=One(file=Path(sys.argv[1]))).to_repo(sys.argv[4], repo_manager_kwargs=options)
RitualArtifactManager.from_repo(One, sys.argv[4], repomanager_kwargs=options)
"""


def library_state() -> list[object]:
    """Return everything of the library that an upload changes."""
    return [
        constants.HF_HUB_DISABLE_TELEMETRY,
        are_progress_bars_disabled(),
        _http._GLOBAL_CLIENT_FACTORY,
        _xet.get_xet_session,
        get_session(),
        get_session().timeout,
        get_session().event_hooks,
    ]


@pytest.mark.parametrize("fails", [False, True], ids=["published", "refused"])
def test_an_upload_leaves_the_library_as_it_was(
    *, fails: bool, any_hub: Hub, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    before = library_state()
    during: list[list[object]] = []
    any_hub.faults.add("*/preupload/*", faults.run(lambda: during.append(library_state())), times=1)

    if fails:
        any_hub.faults.add("*/commit/*", faults.forbidden())
        with pytest.raises(BackendError):
            Client(any_hub).upload(sample)
    else:
        Client(any_hub).upload(sample)

    assert library_state() == before
    telemetry_off, bars_off, factory, xet, _, _, hooks = during[0]
    assert (telemetry_off, bars_off) == (True, True)
    assert factory is not before[2]
    assert xet is not before[3]
    assert hooks != before[6]


def test_uploads_at_once_share_the_changes_and_undo_them(
    any_hub: Hub, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    before = library_state()
    repos = [f"huggingface/alice/model{number}" for number in range(4)]

    with ThreadPoolExecutor(len(repos)) as threads:
        results = list(threads.map(lambda repo: Client(any_hub).upload(sample, repo), repos))

    assert [str(result.repo_id) for result in results] == repos
    assert library_state() == before


def test_no_other_hub_is_asked_for_telemetry(make_hub: MakeHub, write: Callable[..., Path]) -> None:
    hub, public = make_hub(), make_hub()
    environment = {**os.environ, **public.environment(), "HF_HUB_DISABLE_TELEMETRY": "0", "AI_AGENT": "robot"}
    arguments = [str(write("a.bin")), hub.endpoint, hub.token, REPO]

    subprocess.run([sys.executable, "-c", ROUND_TRIP, *arguments], env=environment, check=True)  # noqa: S603 - ours

    assert hub.ledger.count("commit") == 1
    assert public.ledger.of() == []
    assert public.ledger.violations == []
    assert all("agent/" not in e.user_agent for e in hub.ledger.of("refs", "preupload", "commit", "resolve"))


def test_the_change_of_several_calls_lasts_until_the_last_one_ends() -> None:
    module = ModuleType("library")
    module.switch = "original"  # type: ignore[attr-defined]  # what a module has is not known
    change = SharedChange(lambda: replaced(module, "switch", lambda before: f"not {before}"))
    seen: list[str] = []

    with ExitStack() as first:
        first.enter_context(change.active())
        with change.active():
            first.close()
            seen.append(module.switch)
        seen.append(module.switch)

    assert seen == ["not original", "original"]


def test_what_other_code_sets_meanwhile_stays() -> None:
    module = ModuleType("library")
    module.switch = "original"  # type: ignore[attr-defined]  # what a module has is not known

    with replaced(module, "switch", lambda _: "ours"):
        module.switch = "theirs"  # type: ignore[attr-defined]  # as above

    assert module.switch == "theirs"


# --- the session ---


@pytest.fixture
def sent() -> Iterator[list[httpx2.Request]]:
    """Let the library's sessions answer by themselves, and return the requests that they sent."""
    requests: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        if request.url.path == "/redirect":
            return httpx2.Response(307, headers={"Location": f"{THERE}/"})
        return httpx2.Response(200)

    with factory(lambda: httpx2.Client(transport=httpx2.MockTransport(answer), timeout=None)):
        yield requests


@contextmanager
def factory(make: Callable[[], httpx2.Client]) -> Iterator[None]:
    with replaced(_http, "_GLOBAL_CLIENT_FACTORY", lambda _: make):
        close_session()
        yield
        close_session()


def secrets_of(request: httpx2.Request) -> set[str]:
    return {"authorization", "x-key"} & set(request.headers)


def guard(endpoint: str, timeout: float = 60) -> AbstractContextManager[None]:
    return guarded_session(endpoint, HEADERS, timeout, Context.create())


def test_headers_are_sent_to_their_endpoint_only(sent: list[httpx2.Request]) -> None:
    with guard(HERE):
        get_session().get(f"{HERE}/redirect", headers=HEADERS, follow_redirects=True)
        get_session().get(f"{THERE}/", headers=HEADERS)

    assert [secrets_of(request) for request in sent] == [{"authorization", "x-key"}, set(), set()]


def test_the_library_replaces_its_session_by_a_guarded_one(sent: list[httpx2.Request]) -> None:
    with guard(HERE):
        close_session()  # as it does after each failed connection
        get_session().get(f"{THERE}/", headers=HEADERS)

    assert secrets_of(sent[0]) == set()


def test_two_uploads_at_once_may_have_one_token_and_two_endpoints(sent: list[httpx2.Request]) -> None:
    with guard(HERE), guard(THERE):
        for endpoint in (HERE, THERE, "https://elsewhere.example"):
            get_session().get(endpoint, headers=HEADERS)

    assert [len(secrets_of(request)) for request in sent] == [2, 2, 0]


def test_requests_of_other_code_keep_their_headers(sent: list[httpx2.Request]) -> None:
    theirs = HEADERS | {"user-agent": "theirs/1"}

    with guard(HERE):
        get_session().get(THERE, headers=theirs)
    get_session().get(THERE, headers=HEADERS)

    assert [len(secrets_of(request)) for request in sent] == [2, 2]


def test_a_request_without_a_timeout_gets_one_and_others_keep_theirs(sent: list[httpx2.Request]) -> None:
    with guard(HERE), guard(HERE, 90):
        get_session().get(HERE)
        get_session().get(HERE, timeout=7)
    get_session().get(HERE)

    timeouts: list[dict[str, Any]] = [request.extensions["timeout"] for request in sent]
    assert float(timeouts[0]["read"]) == pytest.approx(90)
    assert [timeout["read"] for timeout in timeouts[1:]] == [7, None]
