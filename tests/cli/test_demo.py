"""`demo`: its steps succeed with any folder, and it removes its files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Return the folder for the temporary files of a demo."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def folder_with_an_empty_file(root: Path) -> Path:
    (root / "empty").mkdir()
    (root / "empty" / "nothing").touch()
    return root / "empty"


def folder_with_equal_files(root: Path) -> Path:
    (root / "equal").mkdir()
    for name in ("one", "two"):
        (root / "equal" / name).write_bytes(b"the same")
    return root / "equal"


def single_file(root: Path) -> Path:
    (root / "alone.bin").write_bytes(b"alone")
    return root / "alone.bin"


def folder_with_folders(root: Path) -> Path:
    (root / "model" / "sub").mkdir(parents=True)
    (root / "model" / "config.json").write_text("{}")
    (root / "model" / "sub" / "[red]weights.bin").write_bytes(bytes(100_000))
    return root / "model"


def snapshot(root: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


def test_the_sample_makes_the_round_trip_and_no_file_stays(
    run_process: Run, temporary: Path, tmp_path: Path, own_folders: Path
) -> None:
    outcome = run_process("demo", environment={"TMPDIR": str(temporary), "HOME": str(tmp_path)})

    assert (outcome.code, outcome.err) == (0, "")
    assert [line[:2] for line in outcome.out.splitlines() if line[0].isdigit()] == ["1.", "2.", "3.", "4."]
    for line in (
        "the same upload again: 0 bytes stored",
        "2 files, digest equal",
        "3. flip one bit of the downloaded model.safetensors",
        "detected: model.safetensors",
        "refused: model.safetensors",
        "model.safetensors is not in the target folder",
    ):
        assert line in outcome.out
    assert list(tmp_path.rglob("*")) == [temporary]
    assert not own_folders.exists()


@pytest.mark.parametrize(
    "make",
    [folder_with_an_empty_file, folder_with_equal_files, single_file, folder_with_folders],
    ids=lambda make: make.__name__.replace("_", " "),
)
def test_any_model_makes_the_round_trip_and_stays_as_it_is(
    make: Callable[[Path], Path], run_process: Run, temporary: Path, tmp_path: Path
) -> None:
    model = make(tmp_path)
    before = snapshot(tmp_path)
    environment = {"TMPDIR": str(temporary), "HOME": str(tmp_path)}

    printed = run_process("demo", model, "--json", environment=environment)
    text = run_process("demo", model, environment=environment)

    steps = json.loads(printed.out)
    assert (printed.code, text.code, printed.err, text.err) == (0, 0, "", "")
    assert steps["downloaded_equal"]
    assert steps["tampering_caught"]
    assert steps["bytes_sent_again"] == 0
    assert snapshot(tmp_path) == before


def test_a_change_to_an_empty_file_is_described(run_process: Run, tmp_path: Path) -> None:
    outcome = run_process("demo", folder_with_an_empty_file(tmp_path))

    assert "3. add a byte to the end of the downloaded nothing" in outcome.out
    assert "expected 0 bytes" in outcome.out


def test_a_missing_folder_is_an_error(run_process: Run, temporary: Path, tmp_path: Path) -> None:
    outcome = run_process("demo", "missing", environment={"TMPDIR": str(temporary)})

    assert outcome.code == 1
    assert outcome.err == "error: missing: No such file or directory\n"
    assert list(temporary.iterdir()) == []
    assert list(tmp_path.iterdir()) == [temporary]


def test_a_module_in_the_current_folder_is_not_imported(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)

    assert run("demo").code == 0


def test_the_demo_fails_if_tampering_is_not_detected(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["ritual_artifacts.cli.demo"]
    monkeypatch.setattr(module, "_tamper", lambda _path: "change nothing")

    outcome = run("demo", "--json")

    assert outcome.code == 1
    assert json.loads(outcome.out)["tampering_caught"] is False
