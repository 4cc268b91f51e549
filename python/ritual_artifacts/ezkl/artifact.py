"""The artifact classes of zero-knowledge circuits, and the arguments of their generation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ritual_artifacts.artifact.introspection import explain
from ritual_artifacts.errors import CircuitError

MAX_LOGROWS = 28
"""Binary logarithm of the maximum number of rows of a circuit on the curve BN254."""


class EZKLArtifact(BaseModel):
    """A circuit that ezkl generated from an ONNX model, with all files to generate and verify proofs.

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
    """The part of a circuit that verifies proofs. The proving key, the largest file, is not needed.

    It can open every published `EZKLArtifact`. With `fields=VERIFIER_FIELDS`, `from_repo` downloads only the
    files that have no default here.

    Attributes:
        settings_path: The circuit's settings.
        srs_path: The structured reference string (SRS).
        verifier_key_path: The verifying key.
        compiled_model_path: The circuit, if it was downloaded.
        onnx_path: The model, if it was downloaded.
        calibration_path: The inputs that the circuit was calibrated with, if they were downloaded.
        prover_key_path: The proving key, if it was downloaded.
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
"""The fields whose files are needed to verify proofs."""


class ArtifactGenerationArgs(BaseModel):
    """The arguments of `generate_ezkl_artifacts`.

    A visibility is `public`, `private`, `fixed`, `hashed`, `hashed/public`, `hashed/private/…` or
    `polycommit`, as documented by ezkl. Not everything can be private.

    Attributes:
        onnx_path: The ONNX model.
        input_visibility: Visibility of the inputs of a proof.
        output_visibility: Visibility of its outputs.
        param_visibility: Visibility of the model's parameters.
        srs_path: The structured reference string (SRS) of a public ceremony, as `ezkl.get_srs` saves it.
            Default: the SRS that fits in `~/.ezkl/srs`, where ezkl itself looks for it.
        generate_insecure_srs: Generate an SRS on this machine instead. Its creator can forge proofs: for
            tests only.
        output_dir: Folder for the artifact; default `<model>.ezkl` beside the model.
        overwrite: Replace an existing circuit in `output_dir`.
        calibration_path: Inputs to calibrate the circuit with, in ezkl's JSON format. Default: random numbers
            in the shapes of the model's inputs. Real inputs give a circuit that is more accurate for them.
        calibration_target: Whether to minimize the number of rows (`resources`) or the error (`accuracy`).
        max_logrows: Binary logarithm of the maximum number of rows for the calibration.
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
            message = "it contains a NUL character"
            raise ValueError(message)
        return path

    if not TYPE_CHECKING:  # type checkers derive the arguments from the fields

        def __init__(self, /, **data: object) -> None:
            """Check the arguments, and raise this package's own error for an invalid one.

            Raises:
                CircuitError: an argument is missing, unknown, or of the wrong type.
            """
            try:
                super().__init__(**data)
            except ValidationError as error:
                message = f"invalid arguments for a circuit: {explain(error, 'the arguments')}"
                raise CircuitError(message) from None
