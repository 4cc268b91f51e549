"""Few open files are enough: a process that may have 64 of them publishes and downloads any number."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from pydantic import BaseModel
from ritual_artifacts import RitualArtifactManager

class Files(BaseModel):
    files: list[Path]

here = Path.cwd()
(here / "files").mkdir()
paths = [here / "files" / f"{number}.bin" for number in range(300)]
for number, path in enumerate(paths):
    path.write_bytes(bytes([number % 256]) * (3000 + number))
manager = RitualArtifactManager(artifact=Files(files=paths))
manager.to_repo("local/me/files/v1")
manager.to_repo("local/me/files/v2")
again = RitualArtifactManager.from_repo(Files, "local/me/files/v1", here / "out")
again.verify()
again.to_dir(here / "copy")
assert [p.read_bytes() for p in again.artifact.files] == [p.read_bytes() for p in paths]
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
@pytest.mark.parametrize("workers", [1, 8, 256])
def test_64_open_files_are_enough_for_the_local_store(workers: int, tmp_path: Path) -> None:
    subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", SCRIPT],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "RITUAL_MAX_WORKERS": str(workers)},
    )
