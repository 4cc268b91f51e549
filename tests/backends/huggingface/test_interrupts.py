"""Ctrl-C, or an error of the progress callback, in the middle of a transfer."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.utils import _xet
from pydantic import BaseModel

from ritual_artifacts import Progress, RitualArtifactManager, workers
from ritual_artifacts.backends.huggingface.xet import reported
from ritual_artifacts.errors import TransferError
from tests.backends.huggingface.conftest import REPO, Client
from tests.backends.sample import Sample
from tests.servers import faults
from tests.servers.hub import Hub


class Files(BaseModel):
    files: list[Path]


def test_no_further_file_is_sent_after_an_interrupt(hub: Hub, write: Callable[..., Path]) -> None:
    answer = threading.Event()
    hub.faults.add("*", faults.run(lambda: answer.wait(60)), kind="lfs-put")
    client = Client(hub, max_workers=1)
    files = Files(files=[write(f"{number}.bin", 10_000) for number in range(5)])

    def interrupt(report: Progress) -> None:
        if report.stage == "upload" and report.bytes_done:
            threading.Timer(0.5, answer.set).start()  # the request that is under way comes to its end
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RitualArtifactManager(artifact=files).to_repo(
            REPO, repo_manager_kwargs=client.connection, progress=interrupt
        )

    assert hub.ledger.count("lfs-put") == 1
    assert hub.ledger.count("commit") == 0


def test_an_upload_by_xet_is_aborted_when_its_task_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    is_running, is_aborted = threading.Event(), threading.Event()
    session = SimpleNamespace(new_upload_commit=lambda **_: SimpleNamespace(abort=is_aborted.set))
    monkeypatch.setattr(_xet, "get_xet_session", lambda: session)

    def upload(_: Any) -> None:
        with reported(lambda _size, _files: None):
            _xet.get_xet_session().new_upload_commit()  # type: ignore[no-untyped-call]  # the library's
            is_running.set()
            assert is_aborted.wait(60)

    def fail(_: Any) -> None:
        is_running.wait(60)
        message = "the other task failed"
        raise TransferError(message)

    with pytest.raises(TransferError, match="the other task failed"):
        workers.each(lambda run: run(None), [upload, fail], max_workers=2)

    assert is_aborted.is_set()


def test_a_download_does_not_wait_for_a_silent_server_after_an_interrupt(
    hub: Hub, sample: Sample, tmp_path: Path
) -> None:
    Client(hub).upload(sample)
    hub.faults.add("*weights.bin", faults.stall(100_000), kind="bytes")

    def interrupt(report: Progress) -> None:
        if report.stage == "download" and report.bytes_done:
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Client(hub, timeout=60.0).download(tmp_path / "out", progress=interrupt)

    assert time.monotonic() - started < 30
