"""A process that generates a circuit can be killed at any time; the next one removes what it left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ritual_artifacts import EZKLArtifact, RitualArtifactManager
from ritual_artifacts.ezkl.process import _WORKER
from tests.circuits.conftest import FakeEzkl, generate

pytestmark = pytest.mark.skipif(os.name != "posix", reason="killing is a matter of signals here")

GENERATE = """
import sys
from pathlib import Path
from tests.circuits.conftest import generate

generate(Path(sys.argv[1]), overwrite=sys.argv[2] == "overwrite")
"""

DIE_BETWEEN_RENAMES = """
import os
from pathlib import Path

rename = Path.rename


def rename_and_die(path, target):
    rename(path, target)
    if str(target).endswith(".old"):
        os._exit(9)


Path.rename = rename_and_die
"""


def wait_until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # a zombie waits only for its new parent


def hidden(model: Path) -> list[Path]:
    return [path for path in model.parent.iterdir() if path.name.startswith(".")]


@pytest.fixture
def start(fake_ezkl: FakeEzkl, model: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Return what starts to make a circuit in another process, and waits until ezkl is at its keys."""
    started: list[subprocess.Popen[bytes]] = []

    def start_and_wait(what: str) -> subprocess.Popen[bytes]:
        before = fake_ezkl.calls.count("setup")
        fake_ezkl.break_at("setup", what)
        started.append(
            subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, "-c", GENERATE, str(model), "new"],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]),
                },
            )
        )
        assert wait_until(lambda: fake_ezkl.calls.count("setup") > before)
        fake_ezkl.break_at("nothing", "")
        return started[-1]

    yield start_and_wait
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process that is amid a call")
@pytest.mark.parametrize("what", ["sleep", "hold the lock"])
def test_ezkl_ends_with_the_process_that_waits_for_it(
    what: str, fake_ezkl: FakeEzkl, start: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    process = start(what)
    worker = fake_ezkl.records[-1]["pid"]
    assert is_running(worker)

    process.send_signal(signal.SIGKILL)
    process.wait()

    assert wait_until(lambda: not is_running(worker))


def test_a_worker_ends_when_its_input_does(fake_ezkl: FakeEzkl, tmp_path: Path) -> None:
    fake_ezkl.break_at("gen_srs", "sleep")
    job = tmp_path / "job.json"
    job.write_text(
        '{"result": "result", "steps": [["gen_srs", {"srs_path": "kzg.srs", "logrows": 1}]]}',
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "EZKL_REPO_PATH": str(tmp_path)}

    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(_WORKER), str(job)], stdin=subprocess.PIPE, cwd=tmp_path, env=environment
    ) as process:
        assert process.stdin is not None
        assert wait_until(lambda: "gen_srs" in fake_ezkl.calls)
        process.stdin.close()

        assert process.wait(30) == 1
    assert not (tmp_path / "result").exists()


def test_the_files_of_a_killed_process_are_removed_by_the_next_one(
    model: Path, start: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    process = start("sleep")
    process.kill()
    process.wait()
    left = hidden(model)

    generate(model)

    assert len(left) == 2  # the folder and its lock
    assert hidden(model) == []


def test_the_files_of_a_running_process_stay(
    model: Path, start: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    start("sleep")
    in_use = hidden(model)

    generate(model)

    assert in_use
    assert hidden(model) == in_use


def test_folders_of_other_programs_stay(fake_ezkl: FakeEzkl, model: Path) -> None:
    word = "0" * 32
    others = [f".{model.stem}.ezkl.{word}", f".other.ezkl.{word}", f".{model.stem}.ezkl.mine"]
    for name in others:
        (model.parent / name).mkdir()
    (model.parent / f".other.ezkl.{word}.lock").touch()

    generate(model)

    assert fake_ezkl.calls
    assert {path.name for path in hidden(model)} == {*others, f".other.ezkl.{word}.lock"}


def test_a_circuit_that_a_killed_process_had_put_aside_is_restored(fake_ezkl: FakeEzkl, model: Path) -> None:
    first = generate(model)
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", DIE_BETWEEN_RENAMES + GENERATE, str(model), "overwrite"],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
    )
    folder = first.settings_path.parent
    was_gone = not folder.exists()
    fake_ezkl.break_at("gen_settings", "no luck")

    with pytest.raises(ValueError, match="no luck"):
        generate(model, overwrite=True)

    assert (done.returncode, was_gone) == (9, True)
    assert RitualArtifactManager.from_dir(EZKLArtifact, folder).artifact == first
    assert hidden(model) == []


SECRETS = [
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "ARWEAVE_WALLET_FILE_PATH",
    "AWS_SECRET_ACCESS_KEY",
    "OPENAI_API_KEY",
    "DATABASE_URL",
    "ANYTHING_ELSE",
]


@pytest.mark.parametrize("name", SECRETS)
def test_the_worker_does_not_get_the_secrets_of_the_environment(
    name: str, fake_ezkl: FakeEzkl, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")

    generate(model)

    environment = fake_ezkl.records[-1]["environment"]
    assert "a secret" not in environment.values()
    assert environment["RAYON_NUM_THREADS"] == "1"
    assert "PATH" in environment
