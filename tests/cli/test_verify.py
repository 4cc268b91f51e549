"""`verify`: folders, the local store, and what is not an artifact."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.stores import default_store
from tests.cli.conftest import MANIFEST, REPO, Run, files_below, lose_objects


def test_an_intact_artifact_is_verified(run: Run, model: Path, tmp_path: Path) -> None:
    digest = json.loads(run("upload", model, REPO, "--json").out)["digest"]
    run("download", REPO, tmp_path / "out")

    for where in (REPO, tmp_path / "out"):
        outcome = run("verify", where, "--digest", digest)

        assert outcome.code == 0
        assert outcome.out == f"OK {where}: 4 files, 10.2 kB, all match the manifest\n"
    assert json.loads(run("verify", REPO, "--json").out) == {"ok": True, "mismatches": []}


def test_every_mismatch_is_named(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "out")
    (tmp_path / "out" / "config.json").unlink()
    (tmp_path / "out" / "weights.bin").write_bytes(b"tampered")

    text = run("verify", tmp_path / "out")
    printed = run("verify", tmp_path / "out", "--json")

    assert (text.code, printed.code) == (1, 1)
    assert [line.partition(":")[0] for line in text.out.splitlines()] == [
        f"MISMATCH 'config.json' from {tmp_path / 'out'}",
        f"MISMATCH 'weights.bin' from {tmp_path / 'out'}",
    ]
    found = json.loads(printed.out)
    assert found["ok"] is False
    assert [(m["path"], m["actual"]) for m in found["mismatches"]] == [
        ("config.json", "missing"),
        ("weights.bin", "8 bytes"),
    ]


def test_another_digest_is_a_mismatch(run: Run, model: Path) -> None:
    digest = json.loads(run("upload", model, REPO, "--json").out)["digest"]

    outcome = run("verify", REPO, "--digest", f"sha256:{'0' * 64}", "--json")

    assert outcome.code == 1
    (mismatch,) = json.loads(outcome.out)["mismatches"]
    assert (mismatch["expected"], mismatch["actual"]) == (f"sha256:{'0' * 64}", digest)


def test_files_that_the_manifest_does_not_name_are_reported(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "out")
    (tmp_path / "out" / "more.bin").write_bytes(b"")

    outcome = run("verify", tmp_path / "out")

    assert (outcome.code, outcome.out[:2]) == (0, "OK")
    assert outcome.err == f"{tmp_path / 'out'} has 1 file that its manifest does not name, not verified\n"


def test_a_file_is_not_the_folder_of_an_artifact(run: Run, model: Path) -> None:
    for command in ("verify", "inspect"):
        outcome = run(command, model / "weights.bin")

        assert (outcome.code, outcome.out) == (1, "")
        assert "is not a folder; name the folder that holds the artifact's manifest" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["upload", "", REPO],
        ["upload", ".", REPO, "--type", ""],
        ["download", REPO, ""],
        ["verify", ""],
        ["inspect", ""],
        ["copy", "", REPO],
        ["demo", ""],
    ],
    ids=" ".join,
)
def test_an_empty_argument_is_not_the_current_folder(
    arguments: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"x")

    outcome = run(*arguments)

    assert (outcome.code, outcome.out) == (2, "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs")
@pytest.mark.timeout(20)
def test_a_manifest_that_is_a_fifo_is_refused_at_once(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / MANIFEST)

    for command in ("verify", "inspect"):
        outcome = run(command, tmp_path)

        assert (outcome.code, outcome.out) == (1, "")
        assert "is not a regular file" in outcome.err


def test_a_damaged_store_fails_verification(run: Run, model: Path) -> None:
    files = json.loads(run("upload", model, REPO, "--json").out)["files"]
    victim = default_store().layout.object_path(
        next(f["sha256"] for f in files if f["path"] == "config.json")
    )
    victim.chmod(0o644)
    victim.write_bytes(b"[]")

    outcome = run("verify", REPO)

    assert outcome.code == 1
    assert outcome.out.startswith("MISMATCH 'config.json' from local/me/model/v1: expected ")


def test_every_lost_and_every_damaged_file_of_a_repository_is_named(run: Run, model: Path) -> None:
    lose_objects(run, model)

    text, printed = run("verify", REPO), run("verify", REPO, "--json")

    assert (text.code, printed.code, text.err) == (1, 1, "")
    assert text.out.count("MISMATCH") == 3
    assert [(m["path"], m["actual"]) for m in json.loads(printed.out)["mismatches"]] == [
        ("config.json", "missing"),
        ("empty", "9 bytes"),
        ("weights.bin", "missing"),
    ]


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_folder_without_a_manifest_is_not_an_artifact(command: str, run: Run, model: Path) -> None:
    outcome = run(command, model)

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        f"error: {model} has no {MANIFEST}: it is not an artifact, or its download was interrupted\n"
    )


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_path_that_does_not_exist_is_explained(command: str, run: Run) -> None:
    outcome = run(command, "me/model")

    assert outcome.code == 1
    assert outcome.err == (
        "error: me/model does not exist; a repository id starts with a storage, such as 'local/'\n"
    )


def test_an_altered_manifest_is_refused(run: Run, model: Path, tmp_path: Path) -> None:
    run("upload", model, REPO)
    run("download", REPO, tmp_path / "out")
    manifest = tmp_path / "out" / MANIFEST
    manifest.write_text(manifest.read_text().replace("ModelArtifact", "OtherArtifact"))

    outcome = run("verify", tmp_path / "out")

    assert (outcome.code, outcome.out) == (1, "")
    assert "was altered" in outcome.err


KILLED_DURING_THE_COMMIT = """
import os
from ritual_artifacts import cli
from ritual_artifacts.transfer.commit import Commit

Commit.sync = lambda _: os._exit(9)
cli.main()
"""


def test_commands_that_look_leave_a_folder_in_mid_commit_as_it_is(
    run: Run, model: Path, tmp_path: Path
) -> None:
    run("upload", model, REPO)
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED_DURING_THE_COMMIT, "download", REPO, str(out)]
    killed = subprocess.run(command, check=False)  # noqa: S603 - our own command
    before = files_below(out)

    looked = [run(command, out) for command in ("verify", "inspect")]
    after = files_below(out)
    downloaded = run("download", REPO, out)

    assert killed.returncode == 9
    assert "weights.bin" in before
    assert [outcome.code for outcome in looked] == [1, 1]
    assert all(f"has no {MANIFEST}" in outcome.err for outcome in looked)
    assert after == before
    assert downloaded.code == 0
    assert run("verify", out).code == 0
    assert files_below(out).keys() == files_below(model).keys() | {MANIFEST}
