"""Run one adapter as a command: `python call.py ADAPTER PATH…` prints what `sha256sum` would print."""

import importlib
import sys
from pathlib import Path


def main() -> None:
    """Print the digests."""
    adapter, *paths = sys.argv[1:]
    digests = importlib.import_module(f"adapters.{adapter}").hash_files([Path(path) for path in paths])
    for path, digest in zip(paths, digests, strict=True):
        print(f"{digest}  {path}")


if __name__ == "__main__":
    main()
