"""Root reads and writes whatever it likes; a script that wants to be refused gives that up first."""

import ctypes
import os

CANNOT = 77
"""Exit code of a script that could not."""

_CAPABILITY_VERSION_3 = 0x20080522


def drop() -> None:
    """Drop all capabilities of this process, so that modes count for root too (Linux)."""
    if os.getuid() != 0:
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    try:
        failed = ctypes.CDLL(None).capset(header, nothing)
    except AttributeError:
        failed = True
    if failed:
        os._exit(CANNOT)
