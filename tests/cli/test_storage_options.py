"""Options of commands come from the storages, also those of other packages, and reach only their own."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from ritual_artifacts import cli
from ritual_artifacts.backends import Flag, Storage, find_storage
from ritual_artifacts.repo_id import StorageId
from tests.cli.conftest import Run

TALKING: Final = ["download", "verify", "inspect", "diff", "estimate", "status", "upload", "copy"]
"""Commands that talk to a storage."""

UPLOADING: Final = ["upload", "copy", "estimate"]


def flags_of(storage: Storage, *, upload: bool) -> list[Flag]:
    options = storage.upload_options if upload else storage.connection_options
    return [flag for _, flag, _ in options.flags()]


def spellings(*, upload: bool) -> set[str]:
    storages = [find_storage(name) for name in StorageId]
    return {
        spelling
        for storage in storages
        for flag in flags_of(storage, upload=upload)
        for name in flag.names
        for spelling in name.split("/")
    }


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERMINAL_WIDTH", "200")


# --- --help ---


@pytest.mark.parametrize("command", TALKING)
def test_the_options_of_every_connection_are_in_the_help_of_commands_that_make_one(
    command: str, run: Run
) -> None:
    shown = run(command, "--help").out

    assert not [spelling for spelling in spellings(upload=False) if f"{spelling} " not in shown]


@pytest.mark.parametrize("command", UPLOADING)
def test_the_options_of_every_upload_are_in_the_help_of_commands_that_upload(command: str, run: Run) -> None:
    shown = run(command, "--help").out

    assert not [spelling for spelling in spellings(upload=True) if spelling not in shown]


def test_commands_that_do_not_upload_have_no_options_of_uploads(run: Run) -> None:
    only_uploads = spellings(upload=True) - spellings(upload=False)

    for command in sorted(set(TALKING) - set(UPLOADING)):
        shown = run(command, "--help").out.split()
        assert not only_uploads.intersection(shown), command


def test_no_option_holds_a_credential() -> None:
    """Every process on a machine can read the command lines of all others."""
    for storage in map(find_storage, StorageId):
        credential = storage.credential
        named = {name for name, _, _ in storage.connection_options.flags()}
        assert credential is None or credential.option not in named or credential.argument == "wallet_path"


# --- an option for another storage ---

FOREIGN: Final = {
    "download": ["local/me/x", "--repo-type", "model"],
    "verify": ["local/me/x", "--revision", "main"],
    "upload": ["model", "local/me/x", "--message", "hello"],
    "upload, with a price": ["model", "huggingface/me/x", "--max-cost", "1"],
    "upload, with a switch": ["model", "local/me/x", "--public"],
    "copy, to a folder": ["model", "out", "--max-cost", "1"],
    "copy, from another storage": ["local/me/x", "local/me/y", "--tag", "v1"],
    "inspect": ["local/me/x", "--repo-type", "dataset"],
    "inspect, of a folder": ["model", "--repo-type", "dataset"],
    "verify, of a folder": ["model", "--repo-type", "dataset"],
    "copy, from where the option belongs": ["huggingface/me/x", "local/me/y", "--tag", "v1"],
    "status": [f"arweave/{'a' * 43}/x", "--revision", "main"],
    "estimate": ["model", "local/me/x", "--max-cost", "1"],
    "diff": ["local/me/x", "local/me/y", "--revision", "main"],
}


@pytest.mark.parametrize("case", FOREIGN)
def test_an_option_that_the_storage_does_not_take_is_refused(
    case: str, model: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    command, (option, *_) = case.partition(",")[0], [a for a in FOREIGN[case] if a.startswith("-")]

    outcome = run(command, *FOREIGN[case])

    assert outcome.code == cli.USAGE
    assert f"{option}" in outcome.err
    assert "does not apply to" in outcome.err


def test_a_value_that_an_option_cannot_have_is_refused_by_its_name(model: Path, run: Run) -> None:
    wrong = run("upload", model, f"arweave/{'a' * 43}/x", "--max-cost", "much")

    assert wrong.code == cli.USAGE
    assert "--max-cost" in wrong.err


# --- storages of other packages ---

ECHO = """
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ritual_artifacts.backends import Flag, Options
from ritual_artifacts.backends.memory import MemoryBackend, MemorySpace, MemoryStorage
from ritual_artifacts.errors import BackendError


def parse_coins(text: str) -> int:
    number, coins, rest = text.partition("coins")
    if not coins or rest:
        raise ValueError("expected a number of coins, such as 3coins")
    return int(number)


class EchoOptions(Options):
    title: ClassVar[str] = "the echo"
    place: Annotated[Path | None, Flag(("--place",), metavar="DIR")] = Field(None, description="Where.")
    colours: Annotated[Sequence[str] | None, Flag(("--colour",))] = Field(None, description="Colours.")
    quiet: Annotated[bool, Flag(("--loud",), inverted=True)] = Field(True, description="Be loud.")
    price: Annotated[int | None, Flag(("--price",), parse=parse_coins)] = Field(None, description="Coins.")
    secret: str | None = Field(None, description="No flag.")


class EchoUploadOptions(Options):
    title: ClassVar[str] = "an upload to the echo"
    private: Annotated[bool | None, Flag(("--private/--public",))] = Field(None, description="Hide it.")
    count: Annotated[int, Flag(("--count", "-c"))] = Field(1, description="How often.")


class EchoBackend(MemoryBackend):
    def upload_options(self, given: Mapping[str, Any]) -> Any:
        EchoUploadOptions.parse(given)
        raise BackendError(f"connection {self.given}, upload {dict(given)}")


class EchoStorage(MemoryStorage):
    name: ClassVar[str] = "echo"
    title: ClassVar[str] = "Echo"
    connection_options: ClassVar[type[Options]] = EchoOptions
    upload_options: ClassVar[type[Options]] = EchoUploadOptions

    def connect(self, options: Mapping[str, Any], context: Any) -> EchoBackend:
        EchoOptions.parse(options)
        backend = EchoBackend(MemorySpace())
        backend.given = dict(options)
        return backend
"""

Install = Callable[..., dict[str, str]]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Return a function that installs a package with a storage, and returns the environment to run in."""

    def install_package(name: str, target: str, modules: Mapping[str, str]) -> dict[str, str]:
        site = tmp_path / "site"
        info = site / f"{name}_storage-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-storage\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ritual_artifacts.backends]\n{name} = {target}\n")
        for module, code in modules.items():
            (site / f"{module}.py").write_text(code)
        return {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}

    return install_package


def test_options_of_another_package_reach_its_storage_as_typed_values(
    install: Install, model: Path, run_process: Run
) -> None:
    environment = install("echo", "echo_storage:EchoStorage", {"echo_storage": ECHO})
    given = ["--place", "here", "--colour", "red", "--colour", "blue", "--loud", "--price", "3coins"]

    shown = run_process("upload", "--help", environment=environment).out
    outcome = run_process(
        "upload", model, "echo/me/x", *given, "--public", "-c", "2", environment=environment
    )

    for option in ("--place", "DIR", "--colour", "--loud", "--price", "--count"):
        assert option in shown
    assert "--secret" not in shown
    assert outcome.code == cli.FAILURE
    connection = {"place": Path("here"), "colours": ["red", "blue"], "quiet": False, "price": 3}
    upload = {"private": False, "count": 2}
    assert f"connection {connection}, upload {upload}" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["echo/me/x", "--price", "3"], "expected a number of coins"),
        (["echo/me/x", "--count", "many"], "--count"),
        (["local/me/x", "--colour", "red"], "--colour does not apply to local"),
        (["echo/me/x", "--max-cost", "1"], "--max-cost does not apply to echo"),
    ],
)
def test_wrong_options_of_another_package_are_usage_errors(
    arguments: list[str], problem: str, install: Install, model: Path, run_process: Run
) -> None:
    environment = install("echo", "echo_storage:EchoStorage", {"echo_storage": ECHO})

    outcome = run_process("upload", model, *arguments, environment=environment)

    assert outcome.code == cli.USAGE
    assert problem in outcome.err


BROKEN: Final = {
    "a missing module": ("nowhere:Storage", {}),
    "a missing class": ("broken:Storage", {"broken": ""}),
    "a missing dependency": ("broken:Storage", {"broken": "import nowhere"}),
    "an import that fails": ("broken:Storage", {"broken": "raise RuntimeError('on purpose')"}),
    "a syntax error": ("broken:Storage", {"broken": "class Storage"}),
    "not a storage": ("broken:Storage", {"broken": "class Storage: pass"}),
    "a function": ("broken:storage", {"broken": "def storage(): raise KeyError('on purpose')"}),
    "an abstract storage": (
        "broken:Broken",
        {"broken": "from ritual_artifacts.backends import Storage\nclass Broken(Storage): pass"},
    ),
    "a storage without options": (
        "broken:Broken",
        {
            "broken": "from ritual_artifacts.backends import Storage\n"
            "class Broken(Storage):\n    def connect(self, options, context): pass\n"
        },
    ),
    "a check that fails": (
        "broken:Broken",
        {
            "broken": "from ritual_artifacts.backends.local.storage import LocalStorage\n"
            "class Broken(LocalStorage):\n    def check(self, context): raise KeyError('on purpose')\n"
            "    def connect(self, options, context): raise KeyError('on purpose')\n"
        },
    ),
    "an older protocol": (
        "broken:Broken",
        {"broken": "class Broken:\n    def __init__(self, **options): pass\n"},
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_package_does_not_break_the_command_line(
    case: str, install: Install, model: Path, run_process: Run
) -> None:
    target, modules = BROKEN[case]
    environment = install("broken", target, modules)

    uploaded = run_process("upload", model, "local/me/x", environment=environment)
    reported = run_process("doctor", environment=environment)

    assert (uploaded.code, uploaded.out.split()[:1]) == (0, ["local/me/x"])
    assert reported.code == 0
    [row] = [line for line in reported.out.splitlines() if line.startswith("  broken ")]
    assert "ready" not in row


def test_a_repository_of_a_broken_package_is_an_error_that_names_the_package(
    install: Install, model: Path, run_process: Run
) -> None:
    environment = install("broken", *BROKEN["an import that fails"])

    outcome = run_process("upload", model, "broken/me/x", environment=environment)

    assert outcome.code == cli.FAILURE
    assert (
        "error: the backend for 'broken', broken:Storage, cannot be imported: RuntimeError: on purpose"
        in outcome.err
    )
