"""arweave-js's root of a file's chunks; it wants the file in memory."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from environments import ARWEAVE_JS

_SCRIPT = """
const { readFileSync } = require("node:fs");
const { computeRootHash } = require("arweave/node/lib/merkle");
const { bufferTob64Url } = require("arweave/node/lib/utils");
(async () => {
    for (const path of process.argv.slice(1)) {
        console.log(bufferTob64Url(await computeRootHash(readFileSync(path))));
    }
})();
"""


def hash_files(paths: Sequence[Path]) -> list[str]:
    """Roots of files."""
    command = ["node", "-e", _SCRIPT, "--", *map(str, paths)]
    done = subprocess.run(command, cwd=ARWEAVE_JS.folder, capture_output=True, text=True, check=True)  # noqa: S603 - our own script
    return done.stdout.split()
