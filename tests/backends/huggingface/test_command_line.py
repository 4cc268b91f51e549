"""The command line with a Hub: its options, exit codes and output, which never contains a token."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.backends.huggingface.conftest import REPO
from tests.servers import faults
from tests.servers.hub import Hub

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(hub: Hub, tmp_path: Path) -> Run:
    def run_command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "ritual_artifacts", *map(str, arguments)],
            env={**os.environ, **hub.environment(), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run_command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 400)
    (folder / "sub" / "config.json").write_text("{}")
    return folder


def data(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_folder_is_uploaded_and_downloaded(run: Run, model: Path, tmp_path: Path, hub: Hub) -> None:
    uploaded = data(run("upload", model, f"{REPO}/v1", "--json", "-m", "First", "--public", "--tag", "t1"))
    downloaded = data(run("download", f"{REPO}/v1", "out", "--json"))

    repo = hub.repo("alice/model")
    assert (repo.branches["v1"], repo.tags["t1"]) == (uploaded["revision"],) * 2
    assert repo.find("v1").title == "First"  # type: ignore[union-attr]  # it was just made
    assert not repo.private
    assert downloaded["digest"] == uploaded["digest"]
    assert (tmp_path / "out" / "weights.bin").read_bytes() == (model / "weights.bin").read_bytes()
    assert (tmp_path / "out" / "sub" / "config.json").read_text() == "{}"


def test_a_pull_request_is_opened_and_its_address_shown(run: Run, model: Path, hub: Hub) -> None:
    hub.create_repo("alice/model")

    done = run("upload", model, REPO, "--create-pr", "--license", "mit")

    assert done.returncode == 0, done.stderr
    assert f"{hub.endpoint}/alice/model/discussions/1" in done.stderr
    assert data(run("download", REPO, "out", "--revision", "refs/pr/1", "--json"))["files"]


def test_verify_downloads_no_file_whose_sha256_the_hub_states(run: Run, model: Path, hub: Hub) -> None:
    run("upload", model, REPO)
    hub.ledger.forget()

    done = run("verify", REPO)

    assert done.returncode == 0, done.stderr
    assert "1 read, 1 by reported digest" in done.stdout
    assert hub.ledger.count("bytes") == 0


def test_verify_finds_what_is_missing_and_what_differs(run: Run, model: Path, hub: Hub) -> None:
    run("upload", model, REPO)
    repo = hub.repo("alice/model")
    hub.put(repo, {"weights.bin": b"x" * 102_400, "sub/config.json": b"[]"})
    differ = run("verify", REPO, "--json")
    hub.put(repo, {"weights.bin": None})
    missing = run("verify", REPO)

    assert differ.returncode == missing.returncode == 1
    assert [m["path"] for m in json.loads(differ.stdout)["mismatches"]] == ["sub/config.json", "weights.bin"]
    assert "'weights.bin'" in missing.stdout
    assert "missing" in missing.stdout


def test_a_deep_verification_reads_every_byte(run: Run, model: Path, hub: Hub) -> None:
    run("upload", model, REPO)
    hub.faults.add("*weights.bin", faults.flip_bit(), kind="bytes")

    shallow, deep = run("verify", REPO), run("verify", REPO, "--deep")

    assert (shallow.returncode, deep.returncode) == (0, 1)
    assert "MISMATCH 'weights.bin'" in deep.stdout


def test_inspect_shows_the_manifest(run: Run, model: Path) -> None:
    uploaded = data(run("upload", model, REPO, "--json"))

    assert data(run("inspect", REPO, "--json"))["digest"] == uploaded["digest"]


def test_errors_have_their_exit_code_and_show_no_token(run: Run, model: Path, hub: Hub) -> None:
    run("upload", model, REPO)
    cases = [
        (run("download", f"{REPO}/missing"), 1),
        (run("download", REPO, HF_TOKEN="hf_wrong_token_of_mine"), 4),
        (run("download", REPO, HF_ENDPOINT="http://127.0.0.1:9"), 3),
        (run("download", REPO, "out", HF_HUB_OFFLINE="1"), 1),
        (run("upload", model, "huggingface/alice/a--b"), 2),
    ]

    assert [done.returncode for done, _ in cases] == [code for _, code in cases]
    for done, _ in cases:
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert "hf_wrong_token_of_mine" not in done.stderr
        assert hub.token not in done.stderr


def test_there_is_no_option_for_a_token(run: Run, model: Path) -> None:
    done = run("upload", model, REPO, "--token", "hf_secret")

    assert done.returncode == 2


def test_options_of_the_hub_are_refused_elsewhere(run: Run, model: Path) -> None:
    done = run("upload", model, "local/me/model", "--create-pr")

    assert done.returncode == 2
    assert "--create-pr" in done.stderr


def test_offline_the_cache_is_enough(run: Run, model: Path, hub: Hub) -> None:
    run("upload", model, REPO)
    run("download", REPO)
    hub.ledger.forget()

    done = run("download", REPO, HF_HUB_OFFLINE="1")

    assert done.returncode == 0, done.stderr
    assert hub.ledger.of() == []


@pytest.mark.parametrize("options", [["--repo-type", "dataset"], ["--revision", "v1"]], ids=" ".join)
def test_what_was_downloaded_with_options_is_copied_with_them(
    options: list[str], run: Run, model: Path, tmp_path: Path
) -> None:
    run("upload", model, REPO, *options)
    run("download", REPO, *options)

    copied = data(run("copy", REPO, "out", *options, "--json"))

    assert [entry["path"] for entry in copied["files"]] == ["sub/config.json", "weights.bin"]
    assert (tmp_path / "out" / "weights.bin").read_bytes() == (model / "weights.bin").read_bytes()
