"""The tree of errors: what catches what, and what survives a process boundary."""

import copy
import pickle

import pytest

from ritual_artifacts import errors
from ritual_artifacts.errors import IntegrityError, Mismatch, TransferError

TREE = {
    "ArtifactError": (Exception,),
    "ArtifactModelError": (errors.ArtifactError, TypeError),
    "RepoIdError": (errors.ArtifactError, ValueError),
    "ManifestError": (errors.ArtifactError, ValueError),
    "IntegrityError": (errors.ArtifactError,),
    "SourceChangedError": (errors.ArtifactError,),
    "WalletError": (errors.ArtifactError, ValueError),
    "CircuitError": (errors.ArtifactError, ValueError),
    "BackendError": (errors.ArtifactError,),
    "ArtifactNotFoundError": (errors.BackendError, FileNotFoundError),
    "AuthenticationError": (errors.BackendError, PermissionError),
    "NotFinalizedError": (errors.BackendError,),
    "InsufficientFundsError": (errors.BackendError,),
    "ConflictError": (errors.BackendError,),
    "TransferError": (errors.BackendError, ConnectionError),
}


def test_the_tree_has_these_errors_and_no_others() -> None:
    found = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }

    assert found == set(TREE)


@pytest.mark.parametrize("name", TREE)
def test_an_error_has_its_bases(name: str) -> None:
    assert getattr(errors, name).__bases__ == TREE[name]


@pytest.mark.parametrize("name", TREE)
def test_the_tree_is_drawn_in_the_docstring(name: str) -> None:
    second = [base.__name__ for base in TREE[name] if base.__module__ == "builtins" and base is not Exception]

    line = next(line for line in (errors.__doc__ or "").splitlines() if f" {name}" in f" {line}")

    assert all(f"({base})" in line for base in second)


@pytest.mark.parametrize("name", TREE)
def test_an_error_survives_pickle_and_copy(name: str) -> None:
    error = getattr(errors, name)("what went wrong")

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert type(again) is type(error)
        assert str(again) == "what went wrong"


def test_mismatches_survive_pickle() -> None:
    mismatch = Mismatch("a.bin", "00", "11", "local/me/x", "weights")

    again = pickle.loads(pickle.dumps(IntegrityError.of([mismatch])))  # noqa: S301 - our own bytes

    assert again.mismatches == (mismatch,)


@pytest.mark.parametrize("retryable", [True, False])
def test_whether_a_transfer_may_be_tried_again_survives_pickle(retryable: bool) -> None:  # noqa: FBT001 - pytest's parameter
    again = pickle.loads(pickle.dumps(TransferError("cut", retryable=retryable)))  # noqa: S301 - our own bytes

    assert again.retryable is retryable


def test_an_integrity_error_names_field_file_expected_actual_and_source() -> None:
    error = IntegrityError.of([Mismatch("a.bin", "00", "11", "local/me/x", "weights")])

    assert str(error) == (
        "1 file does not match the manifest: 'a.bin' (field 'weights') from local/me/x: expected 00, got 11"
    )


def test_an_integrity_error_names_every_mismatch() -> None:
    error = IntegrityError.of(Mismatch(name, "00", "missing", "dir") for name in ("a", "b"))

    assert str(error) == (
        "2 files do not match the manifest: 'a' from dir: expected 00, got missing; "
        "'b' from dir: expected 00, got missing"
    )
    assert [mismatch.path for mismatch in error.mismatches] == ["a", "b"]


def test_a_file_name_cannot_break_a_message_into_lines() -> None:
    message = str(Mismatch("a\nb\x1b[31m", "00", "11", "dir"))

    assert message.isprintable()
