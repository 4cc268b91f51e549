"""Changes to `huggingface_hub` that last while an upload runs, and are undone afterwards.

The library has no argument for some things: it keeps its session, its telemetry switch, its progress bars and
its hf-xet session in module globals, one of each for the whole process. So several uploads at once have to
share a change: the first one makes it, and the last one undoes it.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Final

from huggingface_hub import constants
from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # documented there, exported lazily


class SharedChange:
    """A change to the whole process, counted by the calls that need it at the moment."""

    def __init__(self, change: Callable[[], AbstractContextManager[object]]) -> None:
        """Prepare the change.

        Args:
            change: Makes the change when it is entered, and undoes it when it is left.
        """
        self._change = change
        self._users = 0
        self._undo = contextlib.ExitStack()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Have the change made inside the block."""
        with self._lock:
            if not self._users:
                self._undo.enter_context(self._change())
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._undo.close()


@contextlib.contextmanager
def replaced(module: ModuleType, name: str, make: Callable[[Any], object]) -> Iterator[None]:
    """Replace a module's attribute inside the block; what other code sets meanwhile stays.

    Args:
        module: The module.
        name: The attribute's name.
        make: Returns the replacement of the value that it is given.
    """
    original = getattr(module, name)
    replacement = make(original)
    setattr(module, name, replacement)
    try:
        yield
    finally:
        if getattr(module, name) is replacement:
            setattr(module, name, original)


# There is no telemetry; the library would even request data for it from the public Hub.
_telemetry: Final = SharedChange(lambda: replaced(constants, "HF_HUB_DISABLE_TELEMETRY", lambda _: True))
_bars: Final = SharedChange(disable_progress_bars)


def without_telemetry() -> AbstractContextManager[None]:
    """Keep the library from collecting what it would tell about this machine."""
    return _telemetry.active()


def without_bars() -> AbstractContextManager[None]:
    """Keep the library from drawing on the terminal, unless the environment asks for it."""
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is not None:
        return contextlib.nullcontext()
    return _bars.active()


class _LogCleaner(logging.Filter):
    """Cleans what the libraries log while at least one request of this package is under way."""

    def __init__(self) -> None:
        super().__init__()
        self._hiders: tuple[Callable[[str], str], ...] = ()  # replaced as a whole: records read it unlocked
        self._lock = threading.Lock()
        self._attached = SharedChange(self._attach)

    @contextlib.contextmanager
    def active(self, hide: Callable[[str], str]) -> Iterator[None]:
        with self._lock:
            self._hiders = (*self._hiders, hide)
        try:
            with self._attached.active():
                yield
        finally:
            with self._lock:
                rest = list(self._hiders)
                rest.remove(hide)
                self._hiders = tuple(rest)

    @contextlib.contextmanager
    def _attach(self) -> Iterator[None]:
        loggers = [
            logger
            for name, logger in list(logging.Logger.manager.loggerDict.items())
            if isinstance(logger, logging.Logger) and name.partition(".")[0] in _LOGGING
        ]
        for logger in loggers:
            logger.addFilter(self)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        said = cleaned = record.getMessage()
        for hide in self._hiders:
            cleaned = hide(cleaned)
        if cleaned != said:
            record.msg, record.args = cleaned, None
        return True


_LOGGING: Final = frozenset({"httpcore2", "httpx2", "huggingface_hub"})
"""Packages that log addresses and headers."""
_logs: Final = _LogCleaner()  # one, because each package has one logger


def cleaned_logs(hide: Callable[[str], str]) -> AbstractContextManager[None]:
    """Apply `hide` to what the libraries log inside the block."""
    return _logs.active(hide)
