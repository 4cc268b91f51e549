"""The public `hash_files`, for which the environment decides the number of threads."""

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from ritual_artifacts.core import hashing
from ritual_artifacts.settings import load_settings

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _with_setting(function: _Function) -> _Function:
    """Return the function with `RITUAL_MAX_WORKERS` as the default of `max_workers`."""

    @functools.wraps(function)
    def call(*arguments: object, max_workers: int | None = None, **options: object) -> Any:  # noqa: ANN401 - see `hash_files`
        limit = load_settings().max_workers if max_workers is None else max_workers
        return function(*arguments, max_workers=limit, **options)

    return cast("_Function", call)


hash_files: Final = _with_setting(hashing.hash_files)
