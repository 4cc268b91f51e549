"""The checkout goes on the import path, so that every area can use `tests.backends.streaming`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
