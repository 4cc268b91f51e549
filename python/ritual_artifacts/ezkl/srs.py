"""Structured reference strings (SRS) as files: how many rows one has, and which one fits a circuit."""

import os
from pathlib import Path
from typing import Final

from ritual_artifacts.errors import CircuitError
from ritual_artifacts.ezkl.artifact import MAX_LOGROWS

SRS_NAME: Final = "srs_file.srs"
INSECURE_SRS_NAME: Final = "insecure_srs_file.srs"
"""What an SRS that was generated here is called, so that whoever downloads it can see what it is."""

_HEADER: Final = 4
_BYTES_PER_ROW: Final = 128  # a point as powers of the secret, and one in the Lagrange basis
_TAIL: Final = 256  # two points of the second group


def read_logrows(path: Path) -> int:
    """Return the binary logarithm of the rows that an SRS has.

    Raises:
        CircuitError: the file is no SRS of ezkl's format, or was cut short.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER)
        size = os.fstat(file.fileno()).st_size
    logrows = int.from_bytes(header, "little")
    if len(header) < _HEADER or not 1 <= logrows <= MAX_LOGROWS:
        message = f"{path} is no SRS of KZG as ezkl saves it: its first bytes are 0x{header.hex()}"
        raise CircuitError(message)
    expected = _HEADER + (_BYTES_PER_ROW << logrows) + _TAIL
    if size < expected:
        message = f"the SRS {path} was cut short: expected {expected} bytes for 2^{logrows} rows, got {size}"
        raise CircuitError(message)
    return logrows


def check_fits(path: Path, logrows: int) -> None:
    """Refuse an SRS that has fewer rows than the circuit.

    Raises:
        CircuitError: it is too small, or no SRS.
        OSError: it cannot be read.
    """
    available = read_logrows(path)
    if available < logrows:
        message = (
            f"the SRS {path} is too small for the circuit: expected at least 2^{logrows} rows, got "
            f"2^{available}; give one of logrows {logrows} as srs_path, or a max_logrows of {available}"
        )
        raise CircuitError(message)


def find_downloaded(logrows: int) -> Path:
    """Return the SRS that ezkl has downloaded for this many rows.

    Nothing is downloaded here: which ceremony to trust is for the user to decide.

    Raises:
        CircuitError: there is none.
    """
    root = os.environ.get("EZKL_REPO_PATH") or str(Path("~/.ezkl").expanduser())
    path = Path(root, "srs", f"kzg{logrows}.srs").absolute()
    if not path.is_file():
        message = (
            f"the circuit needs an SRS of logrows {logrows}, and {path} does not exist; download it with "
            f"`await ezkl.get_srs(logrows={logrows})`, or give another one as srs_path (for tests only, "
            f"generate_insecure_srs=True makes one)"
        )
        raise CircuitError(message)
    return path
