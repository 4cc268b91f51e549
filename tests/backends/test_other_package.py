"""A storage of another package: built and installed by pip, then used without a change to this one."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "shelf"

ROUND_TRIP = """
import sys
from pathlib import Path
from pydantic import BaseModel
from ritual_artifacts import RitualArtifactManager

class Sample(BaseModel):
    file: Path
    note: str

options = {"folder": "books"}
manager = RitualArtifactManager(artifact=Sample(file=Path("a.bin"), note="a note"))
result = manager.to_repo("shelf/me/sample/v1", repo_manager_kwargs=options, upload_kwargs={"note": "new"})
assert result.details() == {"note": "new"}
downloaded = RitualArtifactManager.from_repo(Sample, "shelf/me/sample", repo_manager_kwargs=options)
assert downloaded.artifact.file.read_bytes() == Path("a.bin").read_bytes()
assert downloaded.artifact.note == "a note"
assert downloaded.digest == result.digest
"""


@dataclass(frozen=True)
class Installation:
    """A folder that Python imports the installed package from, and one to work in."""

    site: Path
    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        paths = [str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"},
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "ritual_artifacts", *arguments)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package and install it into a folder of its own; no index is asked."""
    root = tmp_path_factory.mktemp("shelf")
    shutil.copytree(SOURCE, root / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    offline = ["--no-build-isolation", "--no-deps", "--target", str(root / "site"), str(root / "source")]
    done = subprocess.run([*pip, *offline], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return root / "site"


@pytest.fixture
def installed(site: Path, tmp_path: Path) -> Installation:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"content" * 1000)
    return Installation(site, folder)


def test_it_is_used_from_python(installed: Installation) -> None:
    done = installed.run("-c", ROUND_TRIP)

    assert done.returncode == 0, done.stderr
    assert (installed.folder / "books" / "me" / "sample" / "versions.json").is_file()


def test_its_options_are_in_the_help_of_each_command(installed: Installation) -> None:
    upload, download = installed.command("upload", "--help"), installed.command("download", "--help")

    assert "--shelf" in upload.stdout
    assert "--note" in upload.stdout
    assert "What to write beside the version." in upload.stdout
    assert "--shelf" in download.stdout
    assert "--note" not in download.stdout


def test_it_is_used_from_the_command_line(installed: Installation) -> None:
    (installed.folder / "model").mkdir()
    shutil.move(installed.folder / "a.bin", installed.folder / "model" / "a.bin")
    shelf = ("--shelf", "books")

    uploaded = installed.command("upload", "model", "shelf/me/model/v1", *shelf, "--note", "new", "--json")
    verified = installed.command("verify", "shelf/me/model/v1", *shelf, "--deep")
    downloaded = installed.command("download", "shelf/me/model/v1", "out", *shelf)
    into_cache = installed.command("download", "shelf/me/model/v1", *shelf)
    listed = installed.command("ls", "--json")

    for done in (uploaded, verified, downloaded, into_cache, listed):
        assert done.returncode == 0, done.stderr
    assert json.loads(uploaded.stdout)["repo_id"] == "shelf/me/model/v1"
    assert "new" in uploaded.stdout
    assert (installed.folder / "out" / "a.bin").read_bytes() == b"content" * 1000
    assert [row["repo_id"] for row in json.loads(listed.stdout)] == ["shelf/me/model"]


def test_damage_is_found_from_the_command_line(installed: Installation) -> None:
    shelf = ("--shelf", "books")
    installed.command("upload", "a.bin", "shelf/me/model/v1", *shelf)
    [stored] = (installed.folder / "books" / "me" / "model").glob("*/a.bin")
    stored.write_bytes(b"altered" * 1000)

    done = installed.command("verify", "shelf/me/model/v1", *shelf, "--deep")

    assert done.returncode == 1
    assert "a.bin" in done.stdout + done.stderr


def test_a_required_option_that_is_not_given_is_named(installed: Installation) -> None:
    done = installed.command("download", "shelf/me/model")

    assert done.returncode != 0
    assert "folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_lists_it_as_ready(installed: Installation) -> None:
    done = installed.command("doctor", "--json")

    assert json.loads(done.stdout)["backends"]["shelf"] == "ready"


@pytest.mark.timeout(600)
def test_it_passes_the_contract_suite_in_its_own_tests(installed: Installation, site: Path) -> None:
    shutil.copy(SOURCE / "test_shelf.py", installed.folder)

    done = installed.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shelf.py")

    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
    assert (site / "ritual_shelf.py").is_file()
