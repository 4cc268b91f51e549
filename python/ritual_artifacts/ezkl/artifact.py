"""The files of a zero-knowledge circuit, and what it takes to make them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ritual_artifacts.artifact.introspection import explain
from ritual_artifacts.errors import CircuitError

MAX_LOGROWS = 28
"""Above this the curve (BN254) has no circuits."""


class EZKLArtifact(BaseModel):
    """A circuit that ezkl made of an ONNX model: all that is needed to prove, and to verify proofs.

    Attributes:
        compiled_model_path: The circuit, compiled from the model.
        settings_path: The circuit's settings.
        onnx_path: The model.
        calibration_path: The inputs that the circuit was calibrated with.
        srs_path: The structured reference string (SRS).
        verifier_key_path: The verifying key.
        prover_key_path: The proving key.
    """

    model_config = ConfigDict(frozen=True)

    compiled_model_path: Path
    settings_path: Path
    onnx_path: Path
    calibration_path: Path
    srs_path: Path
    verifier_key_path: Path
    prover_key_path: Path


class EZKLVerifierArtifact(BaseModel):
    """What verifying needs of a circuit, without the proving key, which is most of it.

    It opens whatever was published as an `EZKLArtifact`; `fields=VERIFIER_FIELDS` of `from_repo` fetches the
    files without a default only.

    Attributes:
        settings_path: The circuit's settings.
        srs_path: The structured reference string (SRS).
        verifier_key_path: The verifying key.
        compiled_model_path: The circuit, where it was fetched too.
        onnx_path: The model, where it was fetched too.
        calibration_path: The inputs of the calibration, where they were fetched too.
        prover_key_path: The proving key, where it was fetched too.
    """

    model_config = ConfigDict(frozen=True)

    settings_path: Path
    srs_path: Path
    verifier_key_path: Path
    compiled_model_path: Path | None = None
    onnx_path: Path | None = None
    calibration_path: Path | None = None
    prover_key_path: Path | None = None


VERIFIER_FIELDS: Final = ("settings_path", "srs_path", "verifier_key_path")
"""The fields whose files verifying needs."""


class ArtifactGenerationArgs(BaseModel):
    """What `generate_ezkl_artifacts` makes a circuit of.

    A visibility is `public`, `private`, `fixed`, `hashed`, `hashed/public`, `hashed/private/…` or
    `polycommit`, as ezkl explains them; not everything can be private.

    Attributes:
        onnx_path: The ONNX model.
        input_visibility: Who sees the inputs of a proof.
        output_visibility: Who sees its outputs.
        param_visibility: Who sees the model's parameters.
        srs_path: The structured reference string (SRS) of a public ceremony, as `ezkl.get_srs` saves it.
            Default: where ezkl itself looks for the one that fits, in `~/.ezkl/srs`.
        generate_insecure_srs: Make an SRS here instead. Whoever makes one can forge proofs: for tests only.
        output_dir: Folder for the artifact; default `<model>.ezkl` beside the model.
        overwrite: Replace a circuit that is in `output_dir` already.
        calibration_path: Inputs to calibrate the circuit with, in ezkl's JSON; default: random numbers in the
            shapes of the model's inputs. Real inputs give a circuit that is more accurate for them.
        calibration_target: Whether to save rows or to be accurate.
        max_logrows: Calibrate to at most 2 to this power of rows.
        run_args: Other settings of the circuit, under ezkl's names, such as `{"input_scale": 7}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    onnx_path: Path
    input_visibility: str
    output_visibility: str
    param_visibility: str
    srs_path: Path | None = None
    generate_insecure_srs: bool = False
    output_dir: Path | None = None
    overwrite: bool = False
    calibration_path: Path | None = None
    calibration_target: Literal["resources", "accuracy"] = "resources"
    max_logrows: Annotated[int, Field(ge=1, le=MAX_LOGROWS)] | None = None
    run_args: dict[str, Any] = Field(default_factory=dict)

    @field_validator("onnx_path", "srs_path", "output_dir", "calibration_path")
    @classmethod
    def _check_path(cls, path: Path | None) -> Path | None:
        if path is not None and "\0" in str(path):
            message = "it holds a NUL, which no path can"
            raise ValueError(message)
        return path

    if not TYPE_CHECKING:  # a type checker knows the arguments from the attributes

        def __init__(self, /, **data: object) -> None:
            """Check the arguments, so that a wrong one ends in an error of this package.

            Raises:
                CircuitError: an argument is missing, unknown, or of the wrong type.
            """
            try:
                super().__init__(**data)
            except ValidationError as error:
                message = f"no circuit can be made of these arguments: {explain(error, 'the arguments')}"
                raise CircuitError(message) from None
