"""GNU's `sha256sum`, which says what `hash` has to do."""

import os
import re
import shutil
import subprocess

import pytest

WARNING = re.compile(r"^sha256sum: (?:WARNING: |(?=.*: improperly formatted SHA256))", re.MULTILINE)
ERROR = re.compile(r"^sha256sum: ", re.MULTILINE)


def _is_there() -> bool:
    """Say whether it is there, and new enough (9.0) to read CRLF and to escape carriage returns."""
    if shutil.which("sha256sum") is None:
        return False
    shown = subprocess.run(["sha256sum", "--version"], capture_output=True, check=False, text=True)  # noqa: S607 - wherever it is
    version = re.match(r"sha256sum \(GNU coreutils\) (\d+)", shown.stdout)
    return version is not None and int(version[1]) >= 9


needs_sha256sum = pytest.mark.skipif(not _is_there(), reason="sha256sum of GNU coreutils 9 is not installed")


def sha256sum(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run it, and return its exit code, its output, and its messages with our prefixes."""
    done = subprocess.run(  # noqa: S603 - coreutils
        ["sha256sum", *arguments],  # noqa: S607 - wherever it is
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    out, err = (part.decode(errors="surrogateescape") for part in (done.stdout, done.stderr))
    return done.returncode, out, ERROR.sub("error: ", WARNING.sub("warning: ", err))
