"""A Hub, a CDN or a line that misbehaves while an artifact is fetched: never a wrong byte at its place."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import RitualArtifactManager
from ritual_artifacts.context import Context, RetryPolicy
from ritual_artifacts.errors import (
    ArtifactNotFoundError,
    AuthenticationError,
    BackendError,
    IntegrityError,
    ManifestError,
    TransferError,
)
from tests.backends.huggingface.conftest import REPO, Client, NotingClock
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.faults import Fault
from tests.servers.hub import Hub


def final_files(folder: Path) -> list[str]:
    """Name what is in the folder, apart from what waits out of sight."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".ritual-partial" not in path.parts
    )


# --- wrong bytes ---


def test_a_flipped_bit_is_caught(any_hub: Hub, sample: Sample, tmp_path: Path) -> None:
    client = Client(any_hub)
    client.upload(sample)
    any_hub.faults.add("*weights.bin", faults.flip_bit())

    with pytest.raises(IntegrityError, match=r"'weights\.bin' \(field 'weights'\)"):
        client.download(tmp_path / "out")

    assert final_files(tmp_path / "out") == []


def test_a_flipped_bit_of_a_regular_file_is_caught(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*config.json", faults.flip_bit())

    with pytest.raises(IntegrityError, match=r"config\.json"):
        client.download(tmp_path / "out")

    assert final_files(tmp_path / "out") == []


def test_a_short_body_is_continued_by_the_next_call(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.short_body(1000), times=1)
    with pytest.raises(TransferError, match="299000 of 300000"):
        client.download(tmp_path / "out")
    assert final_files(tmp_path / "out") == []
    client.hub.ledger.forget()

    again = client.download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)
    [request] = [e for e in client.hub.ledger.of("bytes") if e.path.endswith("weights.bin")]
    assert (request.range, request.sent) == ("bytes=299000-", 1000)


def test_what_comes_after_the_end_is_not_taken(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.long_body(1000))

    again = client.download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)


# --- cut and slow lines ---


@pytest.mark.parametrize("size", [0, 1, 65_536, 299_999])
def test_a_cut_connection_is_continued_at_once(
    size: int, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.cut_after(size), times=1)

    again = client.download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)
    ranges = [e.range for e in client.hub.ledger.of("bytes") if e.path.endswith("weights.bin")]
    assert ranges == [None, f"bytes={size}-" if size else None]


def test_an_ignored_range_costs_bytes_only(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.cut_after(100_000), times=1)
    client.hub.faults.add("*weights.bin", faults.ignore_range())

    again = client.download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)


def test_another_range_than_was_asked_for_is_refused(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.cut_after(100_000), times=1)
    client.hub.faults.add(
        "*weights.bin",
        faults.set_headers({"Content-Range": "bytes 0-299999/300000"}),
        kind="bytes",
        skip=1,
    )

    with pytest.raises(TransferError, match="bytes from 100000"):
        client.download(tmp_path / "out")


def test_a_line_that_is_always_cut_ends_in_an_error_and_a_state_to_continue(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    rule = client.hub.faults.add("*weights.bin", faults.drop(), kind="bytes")

    with pytest.raises(TransferError, match="in a row") as caught:
        client.download(tmp_path / "out")

    assert caught.value.retryable
    assert rule.hits == RetryPolicy().max_attempts
    client.hub.faults.clear()
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


def test_a_server_that_is_silent_counts_as_cut(hub: Hub, sample: Sample, tmp_path: Path) -> None:
    Client(hub).upload(sample)
    hub.faults.add("*weights.bin", faults.delay(1.0), kind="bytes", times=1)

    again = Client(hub, timeout=0.2).download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize("kind", ["info", "resolve", "bytes"])
def test_a_line_that_is_cut_at_any_stage_leaves_all_or_nothing(
    kind: str, times: int | None, any_hub: Hub, sample: Sample, tmp_path: Path
) -> None:
    client = Client(any_hub)
    client.upload(sample)
    any_hub.faults.add("*", faults.drop(), kind=kind, times=times)

    if times is None:
        with pytest.raises(TransferError, match="in a row"):
            client.download(tmp_path / "out")
        assert final_files(tmp_path / "out") == []
        any_hub.faults.clear()

    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


@pytest.mark.parametrize("change", [faults.short_body(14), faults.long_body(7)], ids=["short", "long"])
@pytest.mark.parametrize("name", ["config.json", "ritual_manifest.json"])
def test_a_regular_file_of_another_length_is_not_taken(
    name: str, change: Fault, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add(f"*{name}", change)

    try:
        found = client.download(tmp_path / "out")
    except (ManifestError, TransferError, IntegrityError):
        assert final_files(tmp_path / "out") == []
    else:
        assert contents(found.artifact) == contents(sample)
    client.hub.faults.clear()
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


def test_a_revision_that_vanishes_before_the_download_begins_is_not_found(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample, f"{REPO}/v1")
    repo = client.hub.repo("alice/model")
    gone = faults.run(lambda: (repo.commits.pop(repo.branches["v1"]), repo.branches.pop("v1")))
    client.hub.faults.add("*ritual_manifest.json", gone, kind="resolve", times=1)

    with pytest.raises(ArtifactNotFoundError):
        client.download(tmp_path / "out", f"{REPO}/v1")

    assert final_files(tmp_path / "out") == []


def test_a_token_that_is_revoked_in_mid_transfer_leaves_a_state_to_continue(
    hub: Hub, sample: Sample, tmp_path: Path
) -> None:
    Client(hub).upload(sample)
    hub.faults.add("*weights.bin", faults.cut_after(100_000), times=1)
    hub.faults.add("*weights.bin", faults.run(lambda: hub.revoke(hub.token)), kind="resolve", skip=1, times=1)

    with pytest.raises(AuthenticationError, match="wrong or expired"):
        Client(hub).download(tmp_path / "out")

    assert final_files(tmp_path / "out") == []
    again = Client(hub, token=hub.read_token).download(tmp_path / "out")
    assert contents(again.artifact) == contents(sample)
    assert "bytes=100000-" in {e.range for e in hub.ledger.of("bytes")}


# --- servers that are busy ---


@pytest.mark.parametrize("kind", ["info", "resolve", "bytes"])
@pytest.mark.parametrize("fault", [faults.unavailable(), faults.rate_limit(0), faults.fail(500)])
def test_a_busy_server_is_asked_again(
    kind: str, fault: Fault, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add("*", fault, kind=kind, times=2)

    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


def test_the_pause_that_a_server_asks_for_is_kept(
    client: Client, sample: Sample, tmp_path: Path, context: Context, clock: NotingClock
) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.rate_limit(7), kind="bytes", times=1)

    client.fetch_in(context, tmp_path / "out")

    assert clock.pauses == [7.0]


def test_a_pause_without_end_is_not_kept(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*", faults.rate_limit(86_400), kind="info")

    with pytest.raises(TransferError, match="86400 seconds"):
        client.download(tmp_path / "out")


# --- rights ---


def test_a_private_repository_needs_a_token(hub: Hub, sample: Sample, tmp_path: Path) -> None:
    Client(hub).upload(sample)

    with pytest.raises(ArtifactNotFoundError, match=r"private.*HF_TOKEN"):
        Client(hub, token=False).download(tmp_path / "out")
    with pytest.raises((ArtifactNotFoundError, AuthenticationError)):
        Client(hub, token=hub.other_token).download(tmp_path / "out")
    assert contents(Client(hub, token=hub.read_token).download(tmp_path / "out").artifact) == contents(sample)


def test_a_gated_repository_says_so(hub: Hub, sample: Sample, tmp_path: Path) -> None:
    Client(hub).upload(sample)
    hub.faults.add("*/resolve/*", faults.gated())

    with pytest.raises(AuthenticationError, match="access is restricted"):
        Client(hub).download(tmp_path / "out")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.expired_token(), AuthenticationError),
        (faults.forbidden(), AuthenticationError),
        (faults.repo_not_found(), ArtifactNotFoundError),
        (faults.revision_not_found(), ArtifactNotFoundError),
        (faults.entry_not_found(), ArtifactNotFoundError),
    ],
)
def test_what_happens_in_mid_transfer_has_its_own_error(
    fault: Fault, error: type[BackendError], client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.cut_after(100_000), times=1)
    client.hub.faults.add("*weights.bin", fault, kind="resolve", skip=1)

    with pytest.raises(error, match=r"weights\.bin"):
        client.download(tmp_path / "out")

    assert final_files(tmp_path / "out") == []
    client.hub.faults.clear()
    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


def test_a_signed_address_that_has_expired_is_asked_for_again(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.forbidden(), kind="bytes", times=1)

    assert contents(client.download(tmp_path / "out").artifact) == contents(sample)


@pytest.mark.parametrize("how", ["argument", "environment", "login"])
def test_the_token_is_found_where_the_library_finds_it(
    how: str, hub: Hub, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Client(hub).upload(sample)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    if how == "environment":
        monkeypatch.setenv("HF_TOKEN", hub.token)
    elif how == "login":
        place = Path(os.environ["HF_TOKEN_PATH"])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(hub.token)

    again = RitualArtifactManager.from_huggingface_hub(
        Sample, "alice/model", tmp_path / "out", token=hub.token if how == "argument" else None
    )

    assert contents(again.artifact) == contents(sample)


# --- hostile answers ---


def test_a_redirect_to_another_host_does_not_carry_the_token(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add(
        "*/resolve/*/weights.bin", faults.redirect(f"{client.hub.foreign_url}/steal/weights.bin")
    )

    with pytest.raises(BackendError):
        client.download(tmp_path / "out")

    stolen = [e for e in client.hub.ledger.of() if e.origin == "foreign"]
    assert stolen
    assert not any(e.authorized for e in stolen)
    client.hub.ledger.violations.clear()  # an unknown path on the foreign host is what this test is about


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "//", "javascript:1"])
def test_a_redirect_to_something_else_is_refused(
    target: str, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add("*/resolve/*/weights.bin", faults.redirect(target))

    with pytest.raises(BackendError):
        client.download(tmp_path / "out")

    assert final_files(tmp_path / "out") == []


def test_redirects_without_end_are_refused(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*/resolve/*/weights.bin", faults.redirect("weights.bin"))

    with pytest.raises(BackendError, match="without end"):
        client.download(tmp_path / "out")


@pytest.mark.parametrize("etag", ['"../../../etc/passwd"', '"' + "0" * 64 + '/../x"', "", '"\\..\\x"'])
def test_a_hostile_etag_names_nothing(etag: str, client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    hostile: dict[str, str | None] = {"ETag": etag, "X-Linked-Etag": etag}
    client.hub.faults.add("*/resolve/*", faults.set_headers(hostile))

    client.download(tmp_path / "out")

    assert final_files(tmp_path / "out") == [
        "a.safetensors",
        "config.json",
        "empty.safetensors",
        "ritual_manifest.json",
        "weights.bin",
    ]


@pytest.mark.parametrize("sha", ["main", "../../x", "0" * 39, "0" * 64, 7, None])
def test_a_commit_that_is_none_is_refused(
    sha: object, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add("*", faults.set_body(json.dumps({"sha": sha}).encode()), kind="info")

    with pytest.raises(BackendError):
        client.download(tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"7", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_answer_is_refused(
    body: bytes, client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    client.hub.faults.add("*", faults.set_body(body), kind="info")

    with pytest.raises(BackendError):
        client.download(tmp_path / "out")


@pytest.mark.parametrize("name", ["../outside.bin", "/etc/outside.bin", "a/../../outside.bin"])
def test_a_hostile_name_in_the_manifest_is_refused(name: str, client: Client, tmp_path: Path) -> None:
    repo = client.hub.create_repo("alice/model")
    manifest = {"artifact_type": "Sample", "file_hashes": {name: "0" * 64}, "weights": name}
    client.hub.put(repo, {"ritual_manifest.json": json.dumps(manifest).encode(), "weights.bin": b"x"})

    with pytest.raises(ManifestError):
        client.download(tmp_path / "out")

    assert not (tmp_path / "outside.bin").exists()


def test_hostile_and_colliding_names_in_the_tree_are_never_written(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample)
    repo = client.hub.repo("alice/model")
    client.hub.put(repo, {"../outside.bin": b"x", "WEIGHTS.BIN": b"y", "Weights.bin": b"z"})

    again = client.download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)
    assert {name for name in final_files(tmp_path / "out") if name.lower() == "weights.bin"} == {
        "weights.bin"
    }
    assert not (tmp_path / "outside.bin").exists()


# --- without a network ---


def test_offline_the_cache_is_enough(client: Client, sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    client.upload(sample)
    client.download(None)
    client.hub.ledger.forget()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    again = client.download(None)

    assert contents(again.artifact) == contents(sample)
    assert str(again.repo_id) == REPO
    assert client.hub.ledger.of() == []


def test_offline_a_damaged_copy_is_noticed(client: Client, sample: Sample) -> None:
    client.upload(sample)
    path = client.download(None).artifact.weights
    path.write_bytes(b"damaged")

    with pytest.raises(IntegrityError, match=r"weights\.bin"):
        RitualArtifactManager.from_repo(
            Sample, REPO, repomanager_kwargs=client.connection | {"local_files_only": True}
        )


def test_offline_what_is_not_there_cannot_be_had(
    client: Client, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.upload(sample)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    client.hub.ledger.forget()

    with pytest.raises(ArtifactNotFoundError, match="HF_HUB_OFFLINE"):
        client.download(None)

    assert client.hub.ledger.of() == []


def test_a_commit_in_the_cache_costs_no_request(client: Client, sample: Sample) -> None:
    revision = client.upload(sample).revision
    client.download(None, f"{REPO}/{revision}")
    client.hub.ledger.forget()

    client.download(None, f"{REPO}/{revision}")

    assert client.hub.ledger.of() == []


def test_only_the_files_of_some_fields_are_asked_for(
    client: Client, write: Callable[..., Path], tmp_path: Path
) -> None:
    class Optional(BaseModel):
        weights: Path | None = None
        proof: Path | None = None

    client.upload(Optional(weights=write("weights.bin"), proof=write("proof.bin")))
    client.hub.ledger.forget()

    RitualArtifactManager.from_repo(
        Optional, REPO, tmp_path / "out", repomanager_kwargs=client.connection, fields=["proof"]
    )

    assert not [e for e in client.hub.ledger.of() if e.path.endswith("weights.bin")]


@pytest.mark.parametrize("how", ["environment", "option"])
def test_offline_a_model_a_dataset_and_a_space_of_one_name_are_three(
    how: str, hub: Hub, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = ("model", "dataset", "space")
    for kind in kinds[:2]:
        client = Client(hub, repo_type=kind)
        client.upload(sample.model_copy(update={"note": kind}))
        client.download(None)
    options: dict[str, Any] = {"local_files_only": True} if how == "option" else {}
    if how == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.ledger.forget()

    found = [Client(hub, repo_type=kind, **options).download(None).artifact.note for kind in kinds[:2]]
    by_default = Client(hub, **options).download(None)

    assert found == list(kinds[:2])
    assert by_default.artifact.note == "model"
    with pytest.raises(ArtifactNotFoundError, match="no complete copy"):
        Client(hub, repo_type="space", **options).download(None)
    assert hub.ledger.of() == []


@pytest.mark.parametrize("version", ["", "/v1", "/dataset"])
def test_a_dataset_has_a_place_of_its_own_in_the_cache(
    version: str, hub: Hub, sample: Sample, own_folders: Path
) -> None:
    model, dataset = Client(hub), Client(hub, repo_type="dataset")
    for client, note in ((model, "model"), (dataset, "dataset")):
        client.upload(sample.model_copy(update={"note": note}), f"{REPO}{version}")

    places = {c.download(None, f"{REPO}{version}").artifact.weights.parent for c in (model, dataset)}

    name = version[1:] or "default"
    assert places == {own_folders / "cache" / REPO / name, own_folders / "cache" / REPO / f"dataset~{name}"}


def test_offline_a_repository_type_that_there_is_not_is_refused(client: Client, sample: Sample) -> None:
    client.upload(sample)
    client.download(None)

    with pytest.raises(BackendError, match="repo_type"):
        Client(client.hub, repo_type="datasets", local_files_only=True).download(None)
