"""Files of structured reference strings (SRS): their number of rows, and which one fits a circuit."""

import os
from pathlib import Path
from typing import Final

from ritual_artifacts.errors import CircuitError
from ritual_artifacts.ezkl.artifact import MAX_LOGROWS

SRS_NAME: Final = "srs_file.srs"
INSECURE_SRS_NAME: Final = "insecure_srs_file.srs"
"""File name of an SRS that was generated on this machine, so that everyone who downloads it can see that."""

_HEADER: Final = 4
_BYTES_PER_ROW: Final = 128  # a point in the monomial basis, and one in the Lagrange basis
_TAIL: Final = 256  # two points of the second group


def read_logrows(path: Path) -> int:
    """Return the binary logarithm of an SRS's number of rows.

    Raises:
        CircuitError: the file is not an SRS in ezkl's format, or is truncated.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER)
        size = os.fstat(file.fileno()).st_size
    logrows = int.from_bytes(header, "little")
    if len(header) < _HEADER or not 1 <= logrows <= MAX_LOGROWS:
        message = f"{path} is not a KZG SRS in ezkl's format: its first bytes are 0x{header.hex()}"
        raise CircuitError(message)
    expected = _HEADER + (_BYTES_PER_ROW << logrows) + _TAIL
    if size < expected:
        message = f"the SRS {path} is truncated: expected {expected} bytes for 2^{logrows} rows, got {size}"
        raise CircuitError(message)
    return logrows


def check_fits(path: Path, logrows: int) -> None:
    """Refuse an SRS that has fewer rows than the circuit.

    Raises:
        CircuitError: it is too small, or not an SRS.
        OSError: it cannot be read.
    """
    available = read_logrows(path)
    if available < logrows:
        message = (
            f"the SRS {path} is too small for the circuit: expected at least 2^{logrows} rows, got "
            f"2^{available}; pass one with logrows {logrows} as srs_path, or set max_logrows to {available}"
        )
        raise CircuitError(message)


def find_downloaded(logrows: int) -> Path:
    """Return the SRS that ezkl has downloaded for this number of rows.

    Nothing is downloaded here: the user decides which ceremony to trust.

    Raises:
        CircuitError: there is no such file.
    """
    root = os.environ.get("EZKL_REPO_PATH") or str(Path("~/.ezkl").expanduser())
    path = Path(root, "srs", f"kzg{logrows}.srs").absolute()
    if not path.is_file():
        message = (
            f"the circuit needs an SRS with logrows {logrows}, but {path} does not exist; download it with "
            f"`await ezkl.get_srs(logrows={logrows})`, or pass another one as srs_path (for tests only, "
            f"generate_insecure_srs=True generates one)"
        )
        raise CircuitError(message)
    return path
