"""Scripts for infernet-ml 2.0.0: what they import, and how they report the result of a call."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.servers.hub import Hub

Infernet = Callable[..., str]

PREAMBLE = """
import json, sys
from pathlib import Path
from typing import List, Optional
from pydantic import BaseModel
from infernet_ml.resource.artifact_manager import RitualArtifactManager
from infernet_ml.resource.repo_id import RitualRepoId
from infernet_ml.utils.model_manager import ModelArtifact, ModelManager
from infernet_ml.utils.specs.ml_model_id import MlModelId
from infernet_ml.utils.specs.ml_model_info import MlModelInfo

class Circuit(BaseModel):
    circuit_file: Path
    weights: List[Path]
    version: str

def files(artifact):
    return {path.name: path.read_bytes().hex() for path in artifact.files}

def attempt(call):
    try:
        value = call()
    except Exception as error:
        value = {"fails": type(error).__name__, "why": str(error)}
    print("\\nRESULT " + json.dumps(value))

"""


def run(infernet: Infernet, script: str, *arguments: object, hub: Hub | None = None) -> Any:
    """Run a script that calls `attempt` once, and return the result."""
    environment: Mapping[str, str] = (
        {} if hub is None else {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token, "HF_HUB_OFFLINE": "0"}
    )
    printed = infernet(PREAMBLE + script, *arguments, environment=environment)
    (result,) = (line.removeprefix("RESULT ") for line in printed.splitlines() if line.startswith("RESULT "))
    return json.loads(result)


def fails(result: Any, error: str, why: str) -> bool:
    """Say whether a call failed inside infernet-ml with this error, for this reason."""
    return isinstance(result, dict) and result.get("fails") == error and why in result["why"]
