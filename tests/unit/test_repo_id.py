"""Repository ids: parsing, folders of the cache, and the encoding that goes on chain."""

import pickle
import string
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from ritual_artifacts import ArtifactError, RepoIdError, RitualRepoId, StorageId
from ritual_artifacts.names import component_problem

# What `RitualRepoId.from_unique_id(…).to_web3().hex()` of infernet-ml 2.0.0 gives.
WEB3 = {
    "local/me/x": (
        "0000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000080"
        "00000000000000000000000000000000000000000000000000000000000000c0"
        "0000000000000000000000000000000000000000000000000000000000000100"
        "0000000000000000000000000000000000000000000000000000000000000002"
        "6d65000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000001"
        "7800000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000"
    ),
    "arweave/owner/name/v1": (
        "0000000000000000000000000000000000000000000000000000000000000001"
        "0000000000000000000000000000000000000000000000000000000000000080"
        "00000000000000000000000000000000000000000000000000000000000000c0"
        "0000000000000000000000000000000000000000000000000000000000000100"
        "0000000000000000000000000000000000000000000000000000000000000005"
        "6f776e6572000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000004"
        "6e616d6500000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000002"
        "7631000000000000000000000000000000000000000000000000000000000000"
    ),
    "huggingface/org/model-é/main": (
        "0000000000000000000000000000000000000000000000000000000000000002"
        "0000000000000000000000000000000000000000000000000000000000000080"
        "00000000000000000000000000000000000000000000000000000000000000c0"
        "0000000000000000000000000000000000000000000000000000000000000100"
        "0000000000000000000000000000000000000000000000000000000000000003"
        "6f72670000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000008"
        "6d6f64656c2dc3a9000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000004"
        "6d61696e00000000000000000000000000000000000000000000000000000000"
    ),
}

BAD_PARTS = {
    "empty": "",
    "dot": ".",
    "dots": "..",
    "slash": "a/b",
    "backslash": "a\\b",
    "NUL": "a\0b",
    "newline": "a\nb",
    "escape": "a\x1bb",
    "right-to-left override": "a\u202eb",
    "lone surrogate": "a\ud800",
    "trailing dot": "a.",
    "trailing space": "a ",
    "Windows device": "NUL",
    "drive": "c:x",
    "too long": "a" * 256,
}

parts = st.text(min_size=1, max_size=40).filter(lambda text: component_problem(text) is None)
ids = st.builds(
    RitualRepoId,
    storage=st.sampled_from(StorageId),
    owner=parts,
    name=parts,
    version=st.none() | parts.filter(lambda text: text.casefold() != "default"),
)


class Holder(BaseModel):
    repo: RitualRepoId


@given(ids)
def test_an_id_survives_every_form_it_is_kept_in(repo: RitualRepoId) -> None:
    cache = Path("/cache")

    assert RitualRepoId.from_unique_id(repo.to_unique_id()) == repo
    assert RitualRepoId.from_local_dir(repo.to_local_dir(cache), cache) == repo
    assert RitualRepoId.from_web3(repo.to_web3()) == repo
    assert RitualRepoId.model_validate_json(repo.model_dump_json()) == repo
    assert pickle.loads(pickle.dumps(repo)) == repo  # noqa: S301 - our own bytes
    assert Holder.model_validate(Holder(repo=repo).model_dump()).repo == repo


@given(ids, ids)
def test_different_ids_have_different_words_and_folders(first: RitualRepoId, second: RitualRepoId) -> None:
    same = first == second

    assert (str(first) == str(second)) is same
    assert (first.to_local_dir(Path("/c")) == second.to_local_dir(Path("/c"))) is same


@given(ids)
def test_a_folder_never_leaves_the_cache(repo: RitualRepoId) -> None:
    folder = repo.to_local_dir(Path("/cache"))

    assert len(folder.relative_to("/cache").parts) == 4
    assert ".." not in folder.parts


@pytest.mark.parametrize("storage", StorageId)
@pytest.mark.parametrize("version", ["default", "Default", "DEFAULT"])
def test_no_version_is_called_as_the_folder_of_none(version: str, storage: StorageId) -> None:
    with pytest.raises(RepoIdError, match="leave the version out"):
        RitualRepoId(storage=storage, owner="me", name="x", version=version)


@pytest.mark.parametrize("given", [None, 5, b"local/me/x", ["local"]])
def test_an_id_that_is_not_a_string_is_refused(given: Any) -> None:
    with pytest.raises(RepoIdError, match="must be a string"):
        RitualRepoId.from_unique_id(given)


@pytest.mark.parametrize("part", ["owner", "name", "version"])
@pytest.mark.parametrize("value", BAD_PARTS.values(), ids=BAD_PARTS.keys())
def test_a_bad_part_is_refused_on_construction(part: str, value: str) -> None:
    values: dict[str, Any] = {"owner": "me", "name": "x", "version": "v1"} | {part: value}

    with pytest.raises(RepoIdError, match=f"invalid {part}"):
        RitualRepoId(storage=StorageId.Local, **values)


@pytest.mark.parametrize("part", ["owner", "name", "version"])
@pytest.mark.parametrize("value", BAD_PARTS.values(), ids=BAD_PARTS.keys())
def test_a_bad_part_is_refused_inside_another_model(part: str, value: str) -> None:
    values = {"storage": "local", "owner": "me", "name": "x", "version": "v1"} | {part: value}

    with pytest.raises(ValidationError, match=f"repository id has an invalid {part}"):
        Holder.model_validate({"repo": values})


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"storage": "local", "owner": "me"}, "has no name"),
        ({"owner": "me", "name": "x"}, "has no storage"),
        ({"storage": "ftp", "owner": "me", "name": "x"}, "invalid storage 'ftp'"),
        ({"storage": "local", "owner": 3, "name": "x"}, "invalid owner 3"),
        ({"storage": "local", "owner": "me", "name": "x", "version": "default"}, "invalid version 'default'"),
    ],
)
def test_invalid_values_are_refused_also_inside_another_model(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(RepoIdError, match=problem):
        RitualRepoId(**values)
    with pytest.raises(ValidationError, match=problem):
        Holder.model_validate({"repo": values})


def test_an_id_cannot_be_changed() -> None:
    repo = RitualRepoId.from_unique_id("local/me/x")

    with pytest.raises(ValidationError, match="frozen"):
        repo.owner = ".."  # type: ignore[misc]  # that it is refused is the claim


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must start with a storage"),
        ("me/x", "must start with a storage"),
        ("Local/me/x", "must start with a storage"),
        ("ftp/me/x", "local, arweave, huggingface"),
        ("local", "must have an owner"),
        ("local/me", "must have an owner"),
        ("local/me/x/v1/more", "optionally a version"),
        ("local//x", "invalid owner ''"),
        ("local/me/x/", "invalid version ''"),
        ("local/../../etc", "invalid owner '..'"),
        (" local/me/x", "must start with a storage"),
    ],
)
def test_a_malformed_unique_id_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(RepoIdError, match=problem):
        RitualRepoId.from_unique_id(text)


@pytest.mark.parametrize("parse", [RitualRepoId.from_hf_repo_id, RitualRepoId.from_arweave_repo_id])
@pytest.mark.parametrize("text", ["", "name", "a/b/c/d", "/b", "a/", "../b"])
def test_a_malformed_id_of_one_storage_is_refused(parse: Any, text: str) -> None:
    with pytest.raises(RepoIdError, match="repository id"):
        parse(text)


def test_hugging_face_ids_are_owner_name_and_revision() -> None:
    plain = RitualRepoId.from_hf_repo_id("org/model")
    pinned = RitualRepoId.from_hf_repo_id("org/model/main")

    assert (str(plain), plain.hf_id) == ("huggingface/org/model", "org/model")
    assert (pinned.version, pinned.hf_id) == ("main", "org/model")


def test_arweave_ids_are_owner_name_and_version() -> None:
    plain = RitualRepoId.from_arweave_repo_id("owner/name")
    pinned = RitualRepoId.from_arweave_repo_id("owner/name/v1")

    assert (str(plain), plain.ar_id) == ("arweave/owner/name", "owner/name")
    assert (pinned.version, pinned.ar_id) == ("v1", "owner/name")


def test_an_id_of_another_storage_is_not_given_out() -> None:
    repo = RitualRepoId.from_unique_id("local/me/x")

    with pytest.raises(RepoIdError, match="local/me/x is not on huggingface"):
        _ = repo.hf_id
    with pytest.raises(RepoIdError, match="local/me/x is not on arweave"):
        _ = repo.ar_id


def test_the_cache_is_the_configured_one(own_folders: Path) -> None:
    plain = RitualRepoId.from_unique_id("local/me/x")
    pinned = RitualRepoId.from_unique_id("local/me/x/v1")

    assert plain.to_local_dir() == own_folders / "cache/local/me/x/default"
    assert pinned.to_local_dir() == own_folders / "cache/local/me/x/v1"
    assert [RitualRepoId.from_local_dir(repo.to_local_dir()) for repo in (plain, pinned)] == [plain, pinned]


@pytest.mark.parametrize(
    "folder", ["/elsewhere/a/b/c", "/cache", "/cache/local/me/x", "/cache/local/a/b/c/d"]
)
def test_a_folder_that_is_not_of_the_cache_has_no_id(folder: str) -> None:
    with pytest.raises(RepoIdError, match="is not an artifact folder of the cache"):
        RitualRepoId.from_local_dir(Path(folder), Path("/cache"))


def test_a_folder_of_an_unknown_storage_has_no_id() -> None:
    with pytest.raises(RepoIdError, match="must start with a storage"):
        RitualRepoId.from_local_dir(Path("/cache/ftp/me/x/v1"), Path("/cache"))


@pytest.mark.parametrize(("unique_id", "encoded"), WEB3.items())
def test_the_chain_encoding_is_byte_for_byte_that_of_infernet_ml(unique_id: str, encoded: str) -> None:
    repo = RitualRepoId.from_unique_id(unique_id)

    assert repo.to_web3().hex() == encoded
    assert RitualRepoId.from_web3(bytes.fromhex(encoded)) == repo
    assert RitualRepoId.from_web3(encoded) == repo
    assert RitualRepoId.from_web3(f"0x{encoded}") == repo


@given(st.binary(max_size=400))
def test_bytes_from_a_stranger_are_an_id_or_an_error(data: bytes) -> None:
    try:
        repo = RitualRepoId.from_web3(data)
    except RepoIdError:
        return
    assert RitualRepoId.from_web3(repo.to_web3()) == repo


@given(st.integers(0, len(WEB3["local/me/x"]) // 2 - 1), st.integers(0, 255))
def test_a_changed_byte_is_an_id_or_an_error(position: int, byte: int) -> None:
    data = bytearray.fromhex(WEB3["local/me/x"])
    data[position] = byte

    try:
        RitualRepoId.from_web3(bytes(data))
    except RepoIdError as error:
        assert str(error)  # noqa: PT017 - either outcome is fine


@pytest.mark.parametrize("text", ["not hex", "0x0", "", string.hexdigits])
def test_text_that_is_no_encoding_is_refused(text: str) -> None:
    with pytest.raises(RepoIdError, match="not an ABI-encoded repository id"):
        RitualRepoId.from_web3(text)


def test_a_hostile_part_on_chain_is_refused() -> None:
    hostile = bytes.fromhex(WEB3["local/me/x"].replace("6d65", "2e2e", 1))

    with pytest.raises(RepoIdError, match=r"invalid owner '\.\.'"):
        RitualRepoId.from_web3(hostile)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    repo = RitualRepoId.from_unique_id("local/me/x")
    monkeypatch.setitem(sys.modules, "eth_abi.abi", None)

    with pytest.raises(ArtifactError, match=r"pip install 'ritual-artifacts\[web3\]'"):
        repo.to_web3()
    with pytest.raises(ArtifactError, match=r"pip install 'ritual-artifacts\[web3\]'"):
        RitualRepoId.from_web3(b"")
