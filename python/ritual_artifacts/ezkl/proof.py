"""ezkl's proofs as values, and checks that their readable parts match what they prove."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict

from ritual_artifacts.errors import CircuitError

_FIELD_ORDER: Final = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
"""Order of the scalar field of BN254. Values above its half represent negative numbers."""

_PUBLIC_PARTS: Final = ("inputs", "processed_inputs", "processed_params", "processed_outputs", "outputs")
"""Parts of a proof's readable values, in the order in which it proves them."""

_TOLERANCE: Final = 1e-9


class EZKLProof(BaseModel):
    """A proof, with its witness, key and files.

    Attributes:
        ezkl_proof: The proof in ezkl's format.
        witness: Every value of the computation, including those that the proof hides; empty for a verifier.
        verify_key: The verifying key.
        input: The flattened inputs, if they are public.
        output: The flattened outputs, if they are public.
        flops: Number of operations of the model, if it was counted.
        ezkl_proof_path: The proof's file, if it was kept.
        witness_path: The witness's file, if it was kept.
        settings_path: The circuit's settings.
        vk_path: The verifying key's file.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    ezkl_proof: dict[str, Any]
    witness: dict[str, Any]
    verify_key: bytes | None = None
    input: list[float] | None = None
    output: list[float] | None = None
    flops: float | None = None
    ezkl_proof_path: Path | None = None
    witness_path: Path | None = None
    settings_path: Path | None = None
    vk_path: Path | None = None

    @classmethod
    def from_proof_and_verify_key(
        cls,
        proof: dict[str, Any],
        verify_key: bytes | str,
        proof_directory: Path | None = None,
    ) -> Self:
        """Build a proof without the witness, as a verifier has it.

        Args:
            proof: The proof in ezkl's format.
            verify_key: The verifying key, as bytes or as hex digits with or without `0x`.
            proof_directory: Keep the proof in a new folder below this one.

        Raises:
            CircuitError: the proof or the key is invalid.
        """
        if isinstance(verify_key, str):
            try:
                verify_key = bytes.fromhex(verify_key.removeprefix("0x"))
            except ValueError as error:
                message = f"the verifying key is not valid hex: {error}"
                raise CircuitError(message) from None
        checked = check_shape(proof)
        path = None
        if proof_directory is not None:
            path = keep(proof_directory, {"proof.json": checked})["proof.json"]
        return cls(ezkl_proof=checked, witness={}, verify_key=verify_key, ezkl_proof_path=path)

    @classmethod
    def from_files(
        cls,
        proof_path: Path,
        witness_path: Path,
        settings_path: Path,
        flops: float | None = None,
        vk_path: Path | None = None,
    ) -> Self:
        """Read the files that ezkl wrote.

        Raises:
            CircuitError: one of them is invalid.
            OSError: one of them cannot be read.
        """
        return cls.of(
            check_shape(read_json(proof_path, "the proof")),
            witness=read_json(witness_path, "the witness"),
            verify_key=None if vk_path is None else vk_path.read_bytes(),
            flops=flops,
            ezkl_proof_path=proof_path,
            witness_path=witness_path,
            settings_path=settings_path,
            vk_path=vk_path,
        )

    @classmethod
    def of(cls, proof: dict[str, Any], **more: Any) -> Self:  # noqa: ANN401 - the other fields
        """Build the value, with the inputs and outputs from the proof's readable values."""
        shown = proof.get("pretty_public_inputs") or {}
        return cls(
            ezkl_proof=proof,
            input=_as_numbers(shown.get("rescaled_inputs")),
            output=_as_numbers(shown.get("rescaled_outputs")),
            **more,
        )


def check_shape(proof: object) -> dict[str, Any]:
    """Check that `proof` has the form of ezkl's proofs, and return it.

    Raises:
        CircuitError: it does not.
    """
    if isinstance(proof, Mapping):
        instances, data = proof.get("instances"), proof.get("proof")
        rows = isinstance(instances, list) and all(isinstance(row, list) for row in instances)
        if rows and isinstance(data, list) and data and all(_is_byte(item) for item in data):
            return _check_json(proof)
    message = "not an ezkl proof: expected an object with the lists 'instances' and 'proof'"
    raise CircuitError(message)


def _check_json(proof: Mapping[str, Any]) -> dict[str, Any]:
    """Check that JSON can represent `proof`, and return it.

    Raises:
        CircuitError: it cannot.
    """
    checked = dict(proof)
    try:
        json.dumps(checked)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"not an ezkl proof: it has a value that JSON cannot represent: {error}"
        raise CircuitError(message) from None
    return checked


def read_json(source: Path | str, what: str) -> dict[str, Any]:
    """Read a JSON object from a file, or parse it from a string.

    Raises:
        CircuitError: the content is not a JSON object.
        OSError: the file cannot be read.
    """
    where = f"{what} in {source}" if isinstance(source, Path) else what
    try:
        value = json.loads(source.read_bytes() if isinstance(source, Path) else source)
    except (ValueError, RecursionError) as error:
        message = f"{where} is not valid JSON: {error}"
        raise CircuitError(message) from None
    if not isinstance(value, dict):
        message = f"{where} is not a JSON object"
        raise CircuitError(message)
    return value


def keep(directory: Path, contents: Mapping[str, object]) -> dict[str, Path]:
    """Write JSON files to a new folder below `directory` that only this user can read."""
    folder = directory.absolute() / str(uuid.uuid4())
    work = folder.with_name(f".{folder.name}")
    directory.mkdir(parents=True, exist_ok=True)
    work.mkdir(mode=0o700)
    for name, content in contents.items():
        (work / name).write_text(json.dumps(content), encoding="utf-8")
    work.rename(folder)
    return {name: folder / name for name in contents}


def find_contradiction(proof: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """Return how a proof's readable parts differ from what it proves, or None. ezkl does not check this.

    Args:
        proof: A proof whose form was checked.
        settings: The circuit's settings.
    """
    written = proof.get("hex_proof")
    if written is not None and written != f"0x{bytes(proof['proof']).hex()}":
        return "its hex digits differ from its bytes"
    shown = proof.get("pretty_public_inputs")
    if shown is None:
        return None
    try:
        proven = [felt for row in proof["instances"] for felt in map(_read_little_endian, row)]
        readable = [int(felt, 16) for part in _PUBLIC_PARTS for row in shown.get(part) or [] for felt in row]
        if readable != proven:
            return "its readable values differ from the proven ones"
        for part, scales in (("inputs", "model_input_scales"), ("outputs", "model_output_scales")):
            if not _is_rescaled(shown.get(part), shown.get(f"rescaled_{part}"), settings[scales]):
                return f"its rescaled {part} differ from the proven ones"
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        return f"its readable values are malformed: {error}"
    return None


def _is_rescaled(felts: Any, numbers: Any, scales: list[int]) -> bool:  # noqa: ANN401 - untrusted JSON
    felts, numbers = felts or [], numbers or []
    if [len(row) for row in felts] != [len(row) for row in numbers] or len(felts) > len(scales):
        return False
    return all(
        _is_close(float(number), _read_signed(felt) / 2**scale)
        for felt_row, number_row, scale in zip(felts, numbers, scales, strict=False)
        for felt, number in zip(felt_row, number_row, strict=True)
    )


def _is_close(number: float, expected: float) -> bool:
    return abs(number - expected) <= _TOLERANCE * max(1.0, abs(expected))


def _read_little_endian(felt: str) -> int:
    return int.from_bytes(bytes.fromhex(felt), "little")


def _read_signed(felt: str) -> int:
    value = int(felt, 16)
    return value - _FIELD_ORDER if value > _FIELD_ORDER // 2 else value


def _is_byte(item: object) -> bool:
    return type(item) is int and 0 <= item <= 0xFF  # noqa: PLR2004 - the maximum of a byte


def _as_numbers(rows: list[list[str]] | None) -> list[float] | None:
    try:
        numbers = [float(number) for row in rows or [] for number in row]
    except (TypeError, ValueError) as error:
        message = f"the proof has readable values that are not numbers: {error}"
        raise CircuitError(message) from None
    return numbers or None
