"""A token reaches the Hub and nothing else: no variable that a tool shows, no log, no server but its own."""

import hashlib
import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from huggingface_hub import constants

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.errors import ArtifactError, AuthenticationError
from ritual_artifacts.models import ModelManager
from ritual_artifacts.secret import Secret, hide, hide_secrets
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample
from tests.servers import faults
from tests.servers.files import sign
from tests.servers.hub import Hub
from tests.servers.raw import raw_server

TOKEN = "hf_0123456789abcdefghij"


def frames_of(error: BaseException | None) -> Iterator[FrameType]:
    """Yield every frame that an error keeps, and those of the errors that it replaced."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename != __file__:
                yield frame


def find_shown(error: BaseException) -> list[str]:
    """Return the variables whose `repr` has the token."""
    return [
        f"{frame.f_code.co_qualname}: {name}"
        for frame in frames_of(error)
        for name, value in frame.f_locals.items()
        if TOKEN in repr(value)
    ]


def upload(sample: Sample, endpoint: str) -> object:
    options = {"endpoint": endpoint, "timeout": 1.0}
    manager = RitualArtifactManager(artifact=sample)
    return manager.to_huggingface_hub("alice/model", token=TOKEN, repo_manager_kwargs=options)


def upload_by_options(sample: Sample, endpoint: str) -> object:
    options = {"endpoint": endpoint, "timeout": 1.0, "token": TOKEN, "headers": {"x-key": TOKEN}}
    return RitualArtifactManager(artifact=sample).to_repo(REPO, repo_manager_kwargs=options)


def upload_with_token_in_upload_options(sample: Sample, endpoint: str) -> object:
    options = {"endpoint": endpoint, "timeout": 1.0}
    return RitualArtifactManager(artifact=sample).to_repo(
        REPO, repo_manager_kwargs=options, upload_kwargs={"token": TOKEN}
    )


def upload_by_position(sample: Sample, endpoint: str) -> object:
    options = {"endpoint": endpoint, "timeout": 1.0}
    return RitualArtifactManager(artifact=sample).to_repo(REPO, TOKEN, None, options)


def download(sample: Sample, endpoint: str) -> object:
    options = {"endpoint": endpoint, "timeout": 1.0}
    return RitualArtifactManager.from_huggingface_hub(
        type(sample), "alice/model", token=TOKEN, repomanager_kwargs=options
    )


def download_by_position(sample: Sample, endpoint: str) -> object:
    options = {"endpoint": endpoint, "timeout": 1.0}
    return RitualArtifactManager.from_repo(type(sample), REPO, None, TOKEN, options)


def upload_model(sample: Sample, endpoint: str) -> object:
    options = {"endpoint": endpoint, "timeout": 1.0}
    return ModelManager.upload_model(sample.weights.parent, REPO, hf_token=TOKEN, repo_manager_kwargs=options)


def download_model(_: Sample, endpoint: str) -> object:
    options = {"endpoint": endpoint, "timeout": 1.0, "token": TOKEN}
    return ModelManager().download_model(repo_id=REPO, hf_token=TOKEN, repomanager_kwargs=options)


CALLS = [
    upload,
    upload_by_options,
    upload_with_token_in_upload_options,
    upload_by_position,
    download,
    download_by_position,
    upload_model,
    download_model,
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("problem", ["refused", "closed", "reset", "odd", "loop", "wrong token"])
def test_no_variable_of_a_failing_call_shows_the_token(
    problem: str, call: Callable[[Sample, str], object], sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "refused": [f"HTTP/1.1 403 No\r\nX-Error-Message: {TOKEN}\r\n\r\n{TOKEN}".encode()],
        "reset": [],
        "odd": [b"HTTP/1.1 200 OK\r\n\r\n[]"],
        "loop": [b"HTTP/1.1 302 Found\r\nLocation: /x?token=" + TOKEN.encode() + b"\r\n\r\n"],
    }
    if problem == "wrong token":
        monkeypatch.setitem(globals(), "TOKEN", f"{TOKEN}\u2028x")

    with raw_server(lambda _: answers.get(problem, [])) as server:
        url = "http://127.0.0.1:1" if problem == "closed" else server.url
        with pytest.raises(ArtifactError) as caught:
            call(sample, url)

    assert find_shown(caught.value) == []
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_no_log_shows_a_token_that_a_server_repeats(
    client: Client, sample: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client.hub.faults.add("*", faults.set_headers({"X-Said": f"you sent {client.hub.token}"}))

    with caplog.at_level(logging.DEBUG):
        client.upload(sample)
        client.download(tmp_path / "out")

    assert "X-Said" in caplog.text
    assert client.hub.token not in caplog.text


def test_logs_of_other_code_are_as_before(
    client: Client, sample: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    client.upload(sample)

    logging.getLogger("httpx2").warning("the token is %s", client.hub.token)

    assert client.hub.token in caplog.text


def test_the_signature_of_an_address_is_not_logged(
    client: Client, sample: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client.upload(sample)

    with caplog.at_level(logging.DEBUG):
        client.download(tmp_path / "out")

    signature = sign(client.hub, hashlib.sha256(sample.weights.read_bytes()).hexdigest())
    assert any(signature in exchange.query for exchange in client.hub.ledger.of("bytes"))
    assert signature not in caplog.text


def test_an_upload_without_a_token_sends_no_stored_login(
    hub: Hub, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library adds the stored login to the requests of its LFS protocol, whatever the caller said."""
    Path(constants.HF_TOKEN_PATH).parent.mkdir(parents=True, exist_ok=True)
    Path(constants.HF_TOKEN_PATH).write_text(hub.token)
    alice = hub.tokens[hub.token]  # this hub lets everyone write
    monkeypatch.setattr(hub, "writer", lambda *_: alice)
    monkeypatch.setattr(hub, "caller", lambda *_: alice)

    Client(hub, token=False).upload(sample)

    assert hub.ledger.count("lfs-batch")
    assert hub.ledger.count("lfs-verify")
    assert not any(exchange.authorized for exchange in hub.ledger.of())


def test_a_download_keeps_its_token_while_an_upload_has_another(
    hub: Hub, sample: Sample, tmp_path: Path
) -> None:
    private = hub.create_repo("alice/private", private=True)
    Client(hub).upload(sample, "huggingface/alice/private")
    assert private.private

    def download() -> None:
        reader = Client(hub, token=hub.read_token)
        reader.download(tmp_path / "out", "huggingface/alice/private")

    hub.faults.add("*", faults.run(download), kind="commit", times=1)
    Client(hub).upload(sample, "huggingface/alice/other")

    assert (tmp_path / "out" / "weights.bin").exists()


def test_a_secret_is_the_text_and_hides_it() -> None:
    secret = Secret(TOKEN)

    assert secret == TOKEN
    assert f"Bearer {secret}" == f"Bearer {TOKEN}"
    assert TOKEN not in repr([secret, {"a": secret}])


@pytest.mark.parametrize(
    "name", ["token", "hf_token", "HF_TOKEN", "password", "secret_access_key", "account_key", "api_key"]
)
def test_options_of_every_storage_are_hidden_by_their_name(name: str) -> None:
    given = {name: TOKEN, "region": "eu"}

    assert TOKEN not in repr(hide("repo_manager_kwargs", given))
    assert hide("repo_manager_kwargs", given) == given
    assert "eu" in repr(hide("repo_manager_kwargs", given))


def test_a_malformed_token_is_refused_without_showing_it() -> None:
    @hide_secrets
    def call(token: str) -> None:
        raise AuthenticationError(repr(token))

    with pytest.raises(AuthenticationError) as caught:
        call(TOKEN)

    assert find_shown(caught.value) == []
