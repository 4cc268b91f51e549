"""`ritual-artifacts` and `python -m ritual_artifacts`: takes Ctrl-C over, then imports the command line.

Nothing else stands here, and nothing is imported first, so that Ctrl-C shows no traceback even at the start.
"""

import _thread
import os
import signal
import time
from types import FrameType

INTERRUPTED = 130
_NOTICE_AFTER = 1.0  # seconds


def main() -> None:
    """Run the command line and exit with its code."""
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else the caller ignores Ctrl-C
    if is_ours:
        signal.signal(signal.SIGINT, _end_start)
    from ritual_artifacts.cli import main as run  # noqa: PLC0415 - takes a while

    if is_ours:
        signal.signal(signal.SIGINT, _stop)
    run()


def _end_start(_signal: int, _frame: FrameType | None) -> None:
    """End the process during the imports, when nothing was begun yet."""
    _write("interrupted")
    os._exit(INTERRUPTED)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """Stop the command; the operating system handles a second Ctrl-C, and ends the process at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _thread.start_new_thread(_announce, ())
    raise KeyboardInterrupt


def _announce() -> None:
    time.sleep(_NOTICE_AFTER)
    _write("stopping; press Ctrl-C again to end at once")


def _write(text: str) -> None:
    try:
        os.write(2, f"{text}\n".encode())  # the streams of Python may be locked at this moment
    except OSError:  # closed by who started this
        return


if __name__ == "__main__":
    main()
