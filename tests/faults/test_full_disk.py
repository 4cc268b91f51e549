"""A full disk ends in an OSError, and in the old state; with room again, the same call succeeds."""

import errno
from pathlib import Path

import pytest

from tests.backends.stores import default_store
from tests.faults.scripts import run_python

pytest.importorskip("resource", reason="Windows has no limit for the size of a file")

SCRIPT = """
import resource, signal, sys
from pathlib import Path
from pydantic import BaseModel
from ritual_artifacts import RitualArtifactManager
from tests.faults import privileges

class Sample(BaseModel):
    file: Path

action, size = sys.argv[1], int(sys.argv[2])
source = Path("source.bin")
if not source.exists():
    source.write_bytes(b"0123456789abcdef" * 65536)
manager = RitualArtifactManager(artifact=Sample(file=source))
if action == "from_repo":
    manager.to_repo("local/me/model")
privileges.drop()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
try:
    if action == "to_repo":
        manager.to_repo("local/me/model")
    elif action == "to_dir":
        manager.to_dir("out")
    else:
        RitualArtifactManager.from_repo(Sample, "local/me/model", "out")
except OSError as error:
    print(error.errno, error.filename)
"""


def run(action: str, size: int, folder: Path) -> str:
    return run_python("-c", SCRIPT, action, str(size), folder=folder)


@pytest.mark.parametrize("action", ["to_repo", "to_dir", "from_repo"])
@pytest.mark.parametrize("size", [700_000, 100], ids=["no room for the file", "no room for the manifest"])
def test_a_full_disk_leaves_the_old_state(action: str, size: int, tmp_path: Path) -> None:
    error = run(action, size, tmp_path)

    assert error.startswith(str(errno.EFBIG))
    assert str(tmp_path) in error or "out" in error
    if action == "to_repo":
        assert list(default_store().list_versions()) == []
        assert list((default_store().layout.root / "incoming").iterdir()) == []
    elif action == "to_dir":
        assert not (tmp_path / "out").exists()
    else:
        assert not list((tmp_path / "out").glob("[!.]*")) if (tmp_path / "out").exists() else True


@pytest.mark.parametrize("action", ["to_repo", "to_dir", "from_repo"])
def test_with_room_again_the_same_call_succeeds(action: str, tmp_path: Path) -> None:
    run(action, 700_000, tmp_path)

    assert run(action, 1 << 30, tmp_path) == ""

    if action == "to_repo":
        assert len(list(default_store().list_versions())) == 1
    else:
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"source.bin", "ritual_manifest.json"}
        assert (tmp_path / "out" / "source.bin").read_bytes() == (tmp_path / "source.bin").read_bytes()


@pytest.mark.parametrize("action", ["to_dir", "from_repo"])
def test_a_read_only_target_is_a_permission_error_that_names_it(action: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    target.chmod(0o555)

    error = run(action, 1 << 30, tmp_path)

    assert error.startswith(str(errno.EACCES))
    assert "out" in error
    assert list(target.iterdir()) == []
