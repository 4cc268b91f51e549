"""Python environments for the peers, made once, below `build/bench`."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BENCHES = Path(__file__).resolve().parents[1]
ROOM = BENCHES.parent / "build" / "bench"


@dataclass(frozen=True)
class Environment:
    """An interpreter with libraries."""

    python: Path
    requirements: Path | None = None
    """What is installed in it; None for the interpreter that runs this."""

    @property
    def folder(self) -> Path:
        """The environment's root."""
        return self.python.parents[1]

    @property
    def pins(self) -> list[str]:
        """The requirements, one by one, such as `blake3==1.0.11`."""
        lines = self.requirements.read_text(encoding="utf-8").splitlines() if self.requirements else []
        return [line for line in lines if line and not line.startswith("#")]


@dataclass(frozen=True)
class NodePackage:
    """A package of npm, in a folder of its own."""

    folder: Path
    pin: str
    """Name and version, such as `arweave@1.15.7`."""

    def install(self) -> list[str]:
        """Install it, unless it is there; return what could not be installed, and why."""
        if (self.folder / "node_modules" / self.pin.rpartition("@")[0]).exists():
            return []
        self.folder.mkdir(parents=True, exist_ok=True)
        flags = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        command = ["npm", "install", *flags, "--prefix", self.folder, self.pin]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        except FileNotFoundError:
            return [f"{self.pin}: there is no npm"]
        return [f"{self.pin}: {last_line(done.stderr)}"] if done.returncode else []


ARWEAVE_JS = NodePackage(ROOM / "arweave-js", "arweave@1.15.7")
PROJECT = Environment(Path(sys.executable))
LIBRARIES = Environment(ROOM / "peers/bin/python", BENCHES / "requirements.txt")
INFERNET_ML = Environment(ROOM / "infernet-ml/bin/python", BENCHES / "requirements-infernet-ml.txt")


def install(environment: Environment) -> list[str]:
    """Make the environment, unless it is as its requirements want it already.

    Returns:
        Requirements that could not be installed, and why.
    """
    if environment.requirements is None:
        return []
    text = environment.requirements.read_text(encoding="utf-8")
    wanted = f"{sys.version}\n{text}"
    ready = environment.folder / "ready"
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
        return []
    print(f"installing {environment.requirements.name} in {environment.folder}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", environment.folder], check=True)  # noqa: S603 - our own words
    if _pip(environment, "--requirement", str(environment.requirements)) is None:
        ready.write_text(wanted, encoding="utf-8")
        return []
    errors = {requirement: _pip(environment, requirement) for requirement in environment.pins}
    return [f"{requirement}: {error}" for requirement, error in errors.items() if error]


def _pip(environment: Environment, *requirements: str) -> str | None:
    """Install requirements; return what went wrong, if anything did."""
    pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    done = subprocess.run([*pip, *requirements], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own words
    return None if done.returncode == 0 else last_line(done.stderr)


def last_line(text: str) -> str:
    """Return the last line that is not empty, where programs say what ended them."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")
