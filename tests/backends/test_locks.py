"""File systems without locks, or with broken ones: an error that names the file and the cure, at once."""

import errno
import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import Timeout

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.context import Context
from ritual_artifacts.locks import ProcessLock, lock_folder
from tests.artifacts import Circuit

CODES = [errno.ENOSYS, errno.ENOLCK, errno.EIO, errno.EOPNOTSUPP, errno.EINVAL]


def break_locks(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, "as the kernel says it")

    monkeypatch.setattr(fcntl, "flock", fail)


def check(error: OSError, code: int) -> None:
    assert error.errno == code
    assert str(error.filename).startswith("/")
    assert "RITUAL_STORE_DIR" in str(error)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("earlier", ["new", "used"])
def test_a_store_without_locks_is_refused_at_once(
    earlier: str, code: int, manager: RitualArtifactManager[Circuit], monkeypatch: pytest.MonkeyPatch
) -> None:
    if earlier == "used":
        manager.to_repo("local/me/circuit/v1")
    break_locks(monkeypatch, code)

    with pytest.raises(OSError, match="cannot lock this file") as caught:
        manager.to_repo("local/me/circuit/v2")

    check(caught.value, code)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("earlier", ["new", "used"])
def test_a_cache_without_locks_is_refused_at_once(
    earlier: str, code: int, manager: RitualArtifactManager[Circuit], monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.to_repo("local/me/circuit/v1")
    if earlier == "used":
        RitualArtifactManager.from_repo(Circuit, "local/me/circuit/v1")
    manager.to_repo("local/me/circuit/v2")
    break_locks(monkeypatch, code)

    with pytest.raises(OSError, match="cannot lock this file") as caught:
        RitualArtifactManager.from_repo(Circuit, "local/me/circuit/v2")

    check(caught.value, code)


def test_a_lock_that_is_held_keeps_others_out(tmp_path: Path) -> None:
    with ProcessLock(tmp_path / "lock"), pytest.raises(Timeout):
        ProcessLock(tmp_path / "lock", timeout=0).acquire()

    with ProcessLock(tmp_path / "lock", timeout=0):
        pass


def test_an_old_lock_file_locks_nobody_out(tmp_path: Path, write: Callable[..., Path]) -> None:
    del write
    settings = Context.create().settings
    with lock_folder(tmp_path / "folder", settings):
        pass

    with lock_folder(tmp_path / "folder", settings, timeout=0):
        pass
