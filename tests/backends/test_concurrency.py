"""Eight processes upload, download and collect garbage at once; nothing is lost, mixed or left behind."""

import os
import subprocess
import sys
from pathlib import Path

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.context import Context
from tests.backends.store_process import ROUNDS, Sample
from tests.backends.stores import default_store

SCRIPT = Path(__file__).with_name("store_process.py")
WORKERS = 8


def test_eight_processes_can_use_one_store_at_once(tmp_path: Path, own_folders: Path) -> None:
    processes = [
        subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, str(SCRIPT), str(worker), str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"RITUAL_MAX_WORKERS": "2"},
        )
        for worker in range(WORKERS)
    ]
    errors = [process.communicate()[1] for process in processes]

    assert [process.returncode for process in processes] == [0] * WORKERS, "\n".join(errors)
    store = default_store()
    assert store.find_damage(Context.create()) == []
    labels = {label for version in store.list_versions() for label in version.labels}
    assert labels == {"v1", *(f"{worker}-{turn}" for worker in range(WORKERS) for turn in range(ROUNDS))}
    for label in labels - {"v1"}:
        manager = RitualArtifactManager.from_repo(Sample, f"local/me/model/{label}", tmp_path / "out" / label)
        assert manager.artifact.number == 100 * int(label.split("-")[0]) + int(label.split("-")[1])
    store.collect_garbage()
    assert (
        len(list((store.layout.root / "objects").glob("*/*"))) == 1 + WORKERS * ROUNDS
    )  # shared.bin, and an own.bin each
    assert list((store.layout.root / "incoming").iterdir()) == []
    assert [*tmp_path.rglob(".ritual-*"), *own_folders.rglob(".ritual-*")] == []
