"""Progress of the manager's calls."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ritual_artifacts import (
    Progress,
    RitualArtifactManager,
)
from tests.artifacts import Circuit
from tests.unit.manager.artifacts import REPO

Report = Callable[[Progress], object]


def check_sum(reports: list[Progress], stage: str, total: int) -> None:
    assert [report.stage for report in reports] == [stage] * len(reports)
    done = [report.bytes_done for report in reports]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    assert {report.bytes_total for report in reports} == {total}


def test_progress_adds_up_to_every_byte(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> None:
    calls: dict[str, Callable[[Report], object]] = {
        "hash": lambda note: manager.manifest(progress=note),
        "verify": lambda note: manager.verify(progress=note),
        "upload": lambda note: manager.to_repo(REPO, progress=note),
        "copy": lambda note: manager.to_dir(tmp_path / "folder", progress=note),
        "download": lambda note: RitualArtifactManager.from_repo(Circuit, REPO, progress=note),
    }

    for stage, call in calls.items():
        reports: list[Progress] = []
        call(reports.append)
        check_sum(reports, stage, 370_001)


def test_verifying_a_folder_reports_progress(manager: RitualArtifactManager[Circuit], tmp_path: Path) -> None:
    manager.to_dir(tmp_path)
    reports: list[Progress] = []

    RitualArtifactManager.from_dir(Circuit, tmp_path, progress=reports.append)

    check_sum(reports, "verify", 370_001)


@pytest.mark.parametrize("stage", ["upload", "download", "copy"])
def test_what_a_callback_raises_stops_the_work(
    stage: str, manager: RitualArtifactManager[Circuit], tmp_path: Path, own_folders: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.bytes_done:
            raise RuntimeError(progress.stage)

    if stage == "download":
        manager.to_repo(REPO)
    calls: dict[str, Callable[[], object]] = {
        "upload": lambda: manager.to_repo(REPO, progress=stop),
        "download": lambda: RitualArtifactManager.from_repo(Circuit, REPO, progress=stop),
        "copy": lambda: manager.to_dir(tmp_path / "out", progress=stop),
    }

    with pytest.raises(RuntimeError, match=stage):
        calls[stage]()

    assert not (tmp_path / "out").exists()
    assert not RitualArtifactManager.has_artifact(REPO)
    assert list((own_folders / "store" / "incoming").glob("*/*")) == []
