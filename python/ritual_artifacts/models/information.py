"""What is known about a model: its kind, and what it needs to run."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ritual_artifacts.core.hashing import hash_files
from ritual_artifacts.errors import ManifestError

_OLDEST_CUDA: Final = 12.1


class MLType(StrEnum):
    """The kinds of models, and of engines that run them."""

    CSS = "css"
    """Closed-source models behind an API."""
    ONNX = "onnx"
    TORCH = "torch"
    LLAMA_CPP = "llama_cpp"
    TGI_CLIENT = "tgi_client"
    """A client of a text-generation-inference server."""
    HF_CLIENT = "hf_client"
    """A client of Hugging Face's inference API."""


def _is_none(value: object) -> bool:
    return value is None


class MlModelInfo(BaseModel):
    """What one file of a model needs to run.

    Attributes:
        id: The model id of the file, such as `local/me/iris:iris.onnx`; an upload sets it.
        cpu_cores: Fewest cores that it runs on.
        memory_requirements: Memory that it needs, in bytes.
        max_position_embeddings: Tokens that one forward pass can take.
        quantization_type: How it is quantized.
        inference_engine: What runs it.
        inference_engine_hash: Digest of the engine's program or source code.
        cuda_capability: Lowest compute capability of the graphics card.
        cuda_version: Lowest version of CUDA, 12.1 or later.
    """

    # A misspelled requirement would be no requirement at all.
    model_config = ConfigDict(extra="forbid")

    id: str = ""
    # infernet-ml cannot read a null here that it writes itself; it can read a manifest without the key.
    cpu_cores: int | None = Field(default=None, exclude_if=_is_none)
    memory_requirements: int
    max_position_embeddings: int | None = None
    quantization_type: str | None = None
    inference_engine: MLType | None = None
    inference_engine_hash: str | None = None
    cuda_capability: float | None = None
    cuda_version: float | None = None

    @field_validator("cuda_version")
    @classmethod
    def _check_cuda_version(cls, value: float | None) -> float | None:
        if value is not None and value < _OLDEST_CUDA:
            message = f"cuda_version must be at least {_OLDEST_CUDA}"
            raise ValueError(message)
        return value

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the information from its fields.

        Raises:
            pydantic.ValidationError: a field is missing, unknown, or has a value that it cannot have.
        """
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return dict(self)

    @classmethod
    def calculate_hashes(cls, ritual_manifest: Mapping[str, Any]) -> dict[str, str]:
        """Hash the files of a dictionary whose `files` are paths.

        Returns:
            The SHA-256 of each, in lower-case hex, by its path as it was given.

        Raises:
            ManifestError: `files` is no list of paths.
            OSError: a file cannot be read.
        """
        files = ritual_manifest.get("files", [])
        if not isinstance(files, list | tuple) or not all(isinstance(file, str | Path) for file in files):
            message = f"files must be a list of paths, not {files!r}"
            raise ManifestError(message)
        digests = hash_files(files)
        return {file: digest.sha256 for file, digest in zip(files, digests, strict=True)}
