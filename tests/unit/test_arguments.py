"""Arguments of public calls: a wrong one ends in an error of the package that names it."""

from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts.arguments import (
    merge_options,
    parse_digest,
    parse_folder,
    parse_repo_id,
    split_repo_type,
)
from ritual_artifacts.errors import ArtifactError, ArtifactModelError, BackendError, RepoIdError

REPO = parse_repo_id("huggingface/me/model")


def test_an_id_is_taken_as_text_or_as_an_object() -> None:
    assert parse_repo_id(REPO) is REPO
    assert parse_repo_id(str(REPO)) == REPO


def test_no_digest_is_expected_unless_one_was_passed() -> None:
    assert parse_digest(None) is None
    assert parse_digest("0" * 64) == "sha256:" + "0" * 64
    with pytest.raises(ArtifactModelError, match="expected_digest"):
        parse_digest("v1")


def test_a_folder_is_a_path() -> None:
    assert parse_folder("out") == parse_folder(Path("out")) == Path("out")


@pytest.mark.parametrize(("directory", "problem"), [("", "is empty"), ("a\0b", "NUL"), (Path("a\0b"), "NUL")])
def test_a_folder_without_a_name_is_refused(directory: str | Path, problem: str) -> None:
    with pytest.raises(ArtifactError, match=problem):
        parse_folder(directory)


def test_options_under_the_second_name_win() -> None:
    assert merge_options({"a": 1, "b": 1}, {"b": 2}) == {"a": 1, "b": 2}
    assert merge_options(None) == {}


@pytest.mark.parametrize("given", ["root", [("root", "x")], 3])
def test_options_without_names_are_refused(given: Any) -> None:
    with pytest.raises(BackendError, match="upload_kwargs must be a dictionary of options"):
        merge_options(given, what="upload_kwargs")


def test_a_repo_type_names_the_storage_or_is_an_option_of_it() -> None:
    assert split_repo_type(None, REPO) == split_repo_type("huggingface", REPO) == {}
    assert split_repo_type("dataset", REPO) == {"repo_type": "dataset"}
    with pytest.raises(RepoIdError, match="does not agree"):
        split_repo_type("arweave", REPO)
