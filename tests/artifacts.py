"""The artifact that most tests publish."""

from pathlib import Path

from pydantic import BaseModel


class Circuit(BaseModel):
    circuit_file: Path
    weights: list[Path]
    version: str
    num_params: int
