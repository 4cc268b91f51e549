"""A copy on this machine or the storage: the manager, `ModelManager` and the command line decide alike.

The table of decisions is written down here once more, in `expect`, and compared with what happens.
"""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest
from pydantic import BaseModel

from ritual_artifacts import ArtifactNotFoundError, IntegrityError, RitualArtifactManager, RitualRepoId, cli
from ritual_artifacts.backends import Backend
from ritual_artifacts.errors import TransferError
from ritual_artifacts.models import ModelArtifact, ModelManager
from tests.backends.streaming import Server, StreamingBackend, StreamingStorage
from tests.cli.conftest import Run

REPO = "streaming/me/pair"
COMMIT = "0123456789" * 4

Pinned: TypeAlias = Literal["no", "id", "digest"]
Here: TypeAlias = Literal["nothing", "part", "damaged", "whole"]
Answer: TypeAlias = Literal[
    "the copy", "the copy after the storage failed", "the storage", "not here", "damaged"
]


class Pair(BaseModel):
    a: Path | None = None
    b: Path | None = None


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        offline: Whether the user wants only what is on this machine.
        pinned: How the request names one artifact, if it does.
        here: What the target has already.
        directory: Whether the target is a folder of the user's, and not the cache.
        part: Whether only one of the two files is wanted.
    """

    offline: bool
    pinned: Pinned
    here: Here
    directory: bool
    part: bool

    def __str__(self) -> str:
        return (
            f"{'offline' if self.offline else 'online'}, pinned: {self.pinned}, here: {self.here}, "
            f"{'folder' if self.directory else 'cache'}, {'part' if self.part else 'whole'} wanted"
        )


PINS: list[Pinned] = ["no", "id", "digest"]
HERE: list[Here] = ["nothing", "part", "damaged", "whole"]
CASES = [Case(*row) for row in itertools.product([False, True], PINS, HERE, [False, True], [False, True])]


def expect(case: Case) -> Answer:
    """Return what answers a request while the storage cannot be reached."""
    # A folder outside of the cache has no note about a part.
    is_enough = case.here == "whole" or (case.here == "part" and case.part and not case.directory)
    if case.offline:
        return "the copy" if is_enough else "damaged" if case.here == "damaged" else "not here"
    if not is_enough:
        return "the storage"
    is_asked = case.pinned == "no" or case.directory
    return "the copy after the storage failed" if is_asked else "the copy"


class Endpoint:
    """The storage's only server.

    Attributes:
        server: What is stored.
        is_down: Whether it cannot be reached.
        was_asked: Whether a request was made while it could not be reached.
    """

    def __init__(self) -> None:
        self.server = Server()
        self.is_down = False
        self.was_asked = False

    def connect(self, *_: object) -> Backend[Any]:
        endpoint = self

        class Connection(StreamingBackend):
            def open(self, repo_id: RitualRepoId) -> Any:
                if endpoint.is_down:
                    endpoint.was_asked = True
                    message = "the endpoint is down"
                    raise TransferError(message, retryable=True)
                return super().open(repo_id)

        return Connection(self.server)


@pytest.fixture
def endpoint(test_storages: None, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    del test_storages
    found = Endpoint()
    monkeypatch.setattr(StreamingStorage, "connect", found.connect)
    return found


def by_manager(case: Case, folder: Path | None, digest: str | None, _: Run) -> None:
    fields = ["a"] if case.part else None
    RitualArtifactManager.from_repo(Pair, REPO, folder, expected_digest=digest, fields=fields)


def by_model_manager(case: Case, folder: Path | None, digest: str | None, _: Run) -> None:
    names = ":a.bin" if case.part else ""
    ModelManager().download_model(f"{REPO}{names}", directory=folder, expected_digest=digest)


def by_command_line(_: Case, folder: Path | None, digest: str | None, run: Run) -> None:
    place = [] if folder is None else [folder]
    wanted = [] if digest is None else ["--digest", digest]
    outcome = run("download", REPO, *place, *wanted)
    match outcome.code:
        case 0:
            return
        case cli.NETWORK:
            raise TransferError(outcome.err, retryable=True)
        case _ if "offline mode is on" in outcome.err:
            raise ArtifactNotFoundError(outcome.err)
        case _ if "does not match the manifest" in outcome.err:
            raise IntegrityError(outcome.err)
        case _:
            pytest.fail(outcome.err)


WAYS = [by_manager, by_model_manager, by_command_line]


def prepare(case: Case, way: Callable[..., None], folder: Path | None, own_folders: Path, run: Run) -> str:
    """Publish the artifact and put into the target what is there already; return the artifact's digest."""
    source = own_folders.parent / "source"
    source.mkdir()
    (source / "a.bin").write_bytes(b"a" * 1000)
    (source / "b.bin").write_bytes(b"b" * 1000)
    options = {"space": Server()}
    if way is by_manager:
        pair = RitualArtifactManager(artifact=Pair(a=source / "a.bin", b=source / "b.bin"))
        digest = pair.to_repo(REPO, repo_manager_kwargs=options).digest
    else:
        digest = ModelManager.upload_model(source, REPO, repo_manager_kwargs=options).digest
    if case.here == "part":
        part = Case(offline=False, pinned="no", here="nothing", directory=case.directory, part=True)
        (by_manager if way is by_manager else by_model_manager)(part, folder, None, run)
    elif case.here != "nothing":
        whole = Case(offline=False, pinned="no", here="nothing", directory=case.directory, part=False)
        way(whole, folder, None, run)
    if case.here == "damaged":
        (path,) = (folder or own_folders / "cache" / REPO).rglob("a.bin")
        path.write_bytes(b"A" * 1000)
    return digest


def find_answer(case: Case, way: Callable[..., None], folder: Path | None, digest: str, run: Run) -> Answer:
    try:
        way(case, folder, digest if case.pinned == "digest" else None, run)
    except TransferError:
        return "the storage"
    except ArtifactNotFoundError:
        return "not here"
    except IntegrityError:
        return "damaged"
    return "the copy"


ROWS = [
    pytest.param(case, way, id=f"{case}, {way.__name__.replace('_', ' ')}")
    for case, way in itertools.product(CASES, WAYS)
    if not (case.part and way is by_command_line)  # which downloads whole artifacts
]


@pytest.mark.parametrize(("case", "way"), ROWS)
def test_the_copy_or_the_storage(  # noqa: PLR0917 - pytest's parameters
    case: Case,
    way: Callable[..., None],
    endpoint: Endpoint,
    own_folders: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = own_folders.parent / "out" if case.directory else None
    digest = prepare(case, way, folder, own_folders, run)
    monkeypatch.setattr(StreamingStorage, "is_offline", lambda *_: case.offline)
    monkeypatch.setattr(StreamingStorage, "offline_hint", "by a test")
    monkeypatch.setattr(StreamingStorage, "is_pinned", lambda *_: case.pinned == "id")
    endpoint.is_down = True

    answer = find_answer(case, way, folder, digest, run)
    if answer == "the copy" and endpoint.was_asked:
        answer = "the copy after the storage failed"
    assert answer == expect(case)


# --- a complete copy that is pinned, of storages whose endpoint is down ---


@pytest.fixture
def model(tmp_path: Path) -> RitualArtifactManager[ModelArtifact]:
    path = tmp_path / "model" / "iris.onnx"
    path.parent.mkdir()
    path.write_bytes(b"onnx")
    return RitualArtifactManager(artifact=ModelArtifact(files=[path], metadata={}))


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("RITUAL_ARWEAVE_GATEWAYS", "http://127.0.0.1:9")
    monkeypatch.setenv("RITUAL_RETRY_WAIT", "0.001")


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize(
    ("repo", "pinned_by"),
    [
        (f"huggingface/me/iris/{COMMIT}", "commit"),
        ("huggingface/me/iris/main", "digest"),
        ("huggingface/me/iris", "digest"),
        (f"arweave/{'a' * 43}/iris/v1", "label"),
        (f"arweave/{'a' * 43}/iris", "digest"),
        ("local/me/iris", "digest"),
    ],
)
def test_a_complete_copy_that_is_pinned_needs_no_endpoint(
    repo: str, pinned_by: str, model: RitualArtifactManager[ModelArtifact], run: Run
) -> None:
    folder = RitualRepoId.from_unique_id(repo).to_local_dir()
    model.to_dir(folder, repo)
    digest = model.digest if pinned_by == "digest" else None

    in_python = RitualArtifactManager.from_repo(ModelArtifact, repo, expected_digest=digest)
    of_models = ModelManager().download_model(repo, expected_digest=digest)
    by_command = run("download", repo, *([] if digest is None else ["--digest", digest]))

    assert in_python.artifact.files == of_models.files == [folder / "iris.onnx"]
    assert (by_command.code, by_command.out.strip()) == (0, str(folder))


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("repo", ["huggingface/me/iris/main", f"arweave/{'a' * 43}/iris"])
def test_a_copy_that_may_be_outdated_is_loaded_with_a_warning(
    repo: str, model: RitualArtifactManager[ModelArtifact], run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RitualRepoId.from_unique_id(repo).to_local_dir()
    model.to_dir(folder, repo)

    in_python = RitualArtifactManager.from_repo(ModelArtifact, repo)
    by_command = run("download", repo)

    assert in_python.artifact.files == [folder / "iris.onnx"]
    assert (by_command.code, by_command.out.strip()) == (0, str(folder))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert all("there may be a newer version" in warning for warning in warnings)


def test_a_pinned_copy_that_is_incomplete_is_completed_by_the_storage(
    model: RitualArtifactManager[ModelArtifact], own_folders: Path, run: Run
) -> None:
    digest = model.to_repo("local/me/iris").digest
    RitualArtifactManager.from_repo(ModelArtifact, "local/me/iris")
    shutil.rmtree(own_folders / "cache" / "local/me/iris/default")

    assert run("download", "local/me/iris", "--digest", digest).code == 0
