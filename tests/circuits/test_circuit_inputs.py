"""Inputs and proofs as values."""

import json
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import CircuitError
from ritual_artifacts.ezkl import EZKLProof
from ritual_artifacts.ezkl.inputs import lay_out
from ritual_artifacts.ezkl.proof import find_contradiction

FIELD_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617


class Array:
    """What arrays of NumPy and PyTorch have in common."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def tolist(self) -> Any:
        return self._values


@pytest.mark.parametrize(
    ("inputs", "kinds", "expected"),
    [
        ([1, 2.5], ["F32"], [[1.0, 2.5]]),
        ([[[1, 2], [3, 4]]], ["F32"], [[1.0, 2.0, 3.0, 4.0]]),
        (Array([[1.5], [2.5]]), ["F32"], [[1.5, 2.5]]),
        ({"x": Array([1.5])}, ["F32"], [[1.5]]),
        ((Array([1.0]), [2.0, 3.0]), ["F32", "F64"], [[1.0], [2.0, 3.0]]),
        ([True, 0, 1.0], ["Bool"], [[True, False, True]]),
        ([3, 4.0, True], ["Int"], [[3, 4, 1]]),
        (Array(2.0), ["F32"], [[2.0]]),
    ],
)
def test_numbers_are_laid_out_flat_for_each_input(
    inputs: Any, kinds: list[str], expected: list[list[Any]]
) -> None:
    laid_out = lay_out(inputs, {"input_types": kinds})

    assert json.dumps(laid_out) == json.dumps(expected)


@pytest.mark.parametrize(
    ("inputs", "kinds", "message"),
    [
        ({"a": [1], "b": [2]}, ["F32", "F32"], "pass a list in the order"),
        ({}, ["F32"], "got 0 names"),
        ([[1.0]], ["F32", "F32"], "2 inputs.*got a list of 1"),
        (1.0, ["F32", "F32"], "2 inputs.*got float"),
        (["1"], ["F32"], "finite numbers, got str"),
        ([None], ["F32"], "finite numbers, got NoneType"),
        ([float("inf")], ["F32"], "finite numbers"),
        ([2], ["Bool"], "type Bool"),
        ([1.5], ["Int"], "type Int"),
    ],
)
def test_inputs_that_the_model_does_not_have_are_refused(inputs: Any, kinds: list[str], message: str) -> None:
    with pytest.raises(CircuitError, match=message):
        lay_out(inputs, {"input_types": kinds})


def test_inputs_that_contain_themselves_are_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(CircuitError, match="nested deeper"):
        lay_out(endless, {"input_types": ["F32"]})


def test_no_number_of_an_input_is_in_a_message() -> None:
    with pytest.raises(CircuitError) as caught:
        lay_out([123456.5], {"input_types": ["Int"]})

    assert "123456" not in str(caught.value)


# --- what a proof says in clear ----------------------------------------------------------------------------


def felt(value: int) -> str:
    return f"0x{value % FIELD_ORDER:064x}"


def instance(value: int) -> str:
    return (value % FIELD_ORDER).to_bytes(32, "little").hex()


SETTINGS = {"model_input_scales": [1], "model_output_scales": [2, 3]}


def proof_with(**shown: Any) -> dict[str, Any]:
    return {
        "instances": [[instance(-3), instance(7), instance(-5), instance(8)]],
        "proof": [1, 255],
        "hex_proof": "0x01ff",
        "pretty_public_inputs": {
            "inputs": [[felt(-3)]],
            "rescaled_inputs": [["-1.5"]],
            "processed_params": [[felt(7)]],
            "outputs": [[felt(-5)], [felt(8)]],
            "rescaled_outputs": [["-1.25"], ["1"]],
            **shown,
        },
    }


def test_a_consistent_proof_has_no_contradiction() -> None:
    assert find_contradiction(proof_with(), SETTINGS) is None
    assert find_contradiction({**proof_with(), "pretty_public_inputs": None}, SETTINGS) is None


@pytest.mark.parametrize(
    "shown",
    [
        {"inputs": [[felt(3)]]},
        {"inputs": [[felt(-3), felt(7)]], "processed_params": []},
        {"rescaled_inputs": [["1.5"]]},
        {"rescaled_inputs": [[]]},
        {"rescaled_inputs": []},
        {"rescaled_inputs": [["nan"]]},
        {"rescaled_outputs": [["-1.25"], ["1"], ["5"]]},
        {"rescaled_outputs": [["-1.25"], ["x"]]},
        {"outputs": [[felt(-5)]], "rescaled_outputs": [["-1.25"]]},
        {"outputs": 3},
        {"processed_params": [["nonsense"]]},
    ],
)
def test_a_contradiction_in_a_proof_is_found(shown: dict[str, Any]) -> None:
    assert find_contradiction(proof_with(**shown), SETTINGS)


def test_instances_that_are_not_numbers_are_found() -> None:
    assert find_contradiction({**proof_with(), "instances": [["zz"]]}, SETTINGS)
    assert find_contradiction({**proof_with(), "instances": [[3]]}, SETTINGS)


def test_a_proof_is_equal_after_a_round_trip_as_json() -> None:
    proof = EZKLProof(ezkl_proof=proof_with(), witness={}, verify_key=b"\xff\x00")

    assert EZKLProof.model_validate_json(proof.model_dump_json()) == proof


def test_a_key_that_is_not_hex_is_refused() -> None:
    with pytest.raises(CircuitError, match="not valid hex"):
        EZKLProof.from_proof_and_verify_key(proof_with(), "0xnope")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_files_of_a_proof_that_are_not_json_objects_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    path.write_bytes(content)

    with pytest.raises(CircuitError, match=r"proof\.json"):
        EZKLProof.from_files(path, path, path)


def test_a_proof_can_be_kept_with_its_key(tmp_path: Path) -> None:
    proof = EZKLProof.from_proof_and_verify_key(proof_with(), b"key", tmp_path)

    assert proof.ezkl_proof_path is not None
    assert json.loads(proof.ezkl_proof_path.read_text()) == proof_with()
