"""The guide's Python runs as it is written, from top to bottom."""

import re
import subprocess
import sys
from pathlib import Path

from ritual_artifacts.ezkl.process import run_steps
from tests.circuits.conftest import make_network

GUIDE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "ezkl.md"

# 128 instead of 16384 everywhere: the keys of the first circuit would take a minute.
SMALL = "run_args={'decomp_base': 128, 'decomp_legs': 3},"


def test_every_snippet_of_the_guide_runs(real_ezkl: str, tmp_path: Path) -> None:
    assert real_ezkl
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    script = "".join(blocks).replace('srs_path=Path("kzg15.srs"),', f'srs_path=Path("kzg15.srs"), {SMALL}', 1)
    (tmp_path / "model.onnx").write_bytes(make_network())
    (tmp_path / "guide.py").write_text(script)
    run_steps([("gen_srs", {"srs_path": str(tmp_path / "kzg15.srs"), "logrows": 10})])

    done = subprocess.run(
        [sys.executable, "guide.py"], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert len(blocks) == 8
    assert SMALL in script
    assert done.stdout.splitlines()[-1] == "verifier_key_path"
    assert {"model.ezkl", "small", "proof.json"} <= {path.name for path in tmp_path.iterdir()}
