"""Fetches what tests need of other people, before they run and without their time limits.

    python -m tests.servers.prepare

What cannot be had is said, and is the tests' to skip or to fail for.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.interop.ritual_arweave import VERSIONS, find_old_tool
from tests.servers.arlocal import find_arlocal
from tests.servers.arweave_js import find_arweave_js
from tests.servers.hfd import find_git_lfs, find_hfd
from tests.servers.node import find_node_client

FINDERS: list[Callable[[], object]] = [
    find_arlocal,  # the one that takes longest
    find_node_client,
    find_arweave_js,
    *(partial(find_old_tool, version) for version in VERSIONS),
    find_hfd,
    find_git_lfs,
]


def main() -> None:
    """Fetch everything, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        for reason in filter(None, pool.map(_try, FINDERS)):
            print(reason.splitlines()[0][:200])  # noqa: T201 - a script


def _try(find: Callable[[], object]) -> str | None:
    try:
        find()
    except (pytest.skip.Exception, pytest.fail.Exception) as problem:
        return str(problem)
    return None


if __name__ == "__main__":
    main()
