"""Metadata about a model: its kind, and the requirements to run it."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ritual_artifacts.core.hashing import hash_files
from ritual_artifacts.errors import ManifestError

_OLDEST_CUDA: Final = 12.1


class MLType(StrEnum):
    """The kinds of models and inference engines."""

    CSS = "css"
    """Closed-source models behind an API."""
    ONNX = "onnx"
    TORCH = "torch"
    LLAMA_CPP = "llama_cpp"
    TGI_CLIENT = "tgi_client"
    """Models behind a text-generation-inference server."""
    HF_CLIENT = "hf_client"
    """Models behind Hugging Face's inference API."""


def _is_none(value: object) -> bool:
    return value is None


class MlModelInfo(BaseModel):
    """The requirements to run one file of a model.

    Attributes:
        id: The model id of the file, such as `local/me/iris:iris.onnx`; set by an upload.
        cpu_cores: Minimum number of CPU cores.
        memory_requirements: Required memory in bytes.
        max_position_embeddings: Maximum number of tokens in one forward pass.
        quantization_type: The type of quantization.
        inference_engine: The engine that runs the file.
        inference_engine_hash: Digest of the engine's binary or source code.
        cuda_capability: Minimum compute capability of the GPU.
        cuda_version: Minimum version of CUDA, 12.1 or later.
    """

    # Without this, a misspelled requirement would be ignored.
    model_config = ConfigDict(extra="forbid")

    id: str = ""
    # infernet-ml writes null here, but cannot read it; it can read a manifest without the key.
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
        """Create the information from a dictionary of its fields.

        Raises:
            pydantic.ValidationError: a field is missing, unknown, or invalid.
        """
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return dict(self)

    @classmethod
    def calculate_hashes(cls, ritual_manifest: Mapping[str, Any]) -> dict[str, str]:
        """Hash the files whose paths are listed in a dictionary under `files`.

        Returns:
            The SHA-256 of each file in lower-case hex, by its path as given.

        Raises:
            ManifestError: `files` is not a list of paths.
            OSError: a file cannot be read.
        """
        files = ritual_manifest.get("files", [])
        if not isinstance(files, list | tuple) or not all(isinstance(file, str | Path) for file in files):
            message = f"files must be a list of paths, got {files!r}"
            raise ManifestError(message)
        digests = hash_files(files)
        return {file: digest.sha256 for file, digest in zip(files, digests, strict=True)}
