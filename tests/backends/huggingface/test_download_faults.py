"""Faults during a download: wrong bytes, lost connections, busy servers and missing rights."""

import os
from pathlib import Path

import pytest

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
from tests.backends.huggingface.conftest import REPO, Client, NotingClock, final_files
from tests.backends.sample import Sample, contents
from tests.servers import faults
from tests.servers.faults import Fault
from tests.servers.hub import Hub

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


def test_bytes_after_the_end_are_dropped(client: Client, sample: Sample, tmp_path: Path) -> None:
    client.upload(sample)
    client.hub.faults.add("*weights.bin", faults.long_body(1000))

    again = client.download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)


# --- lost and slow connections ---


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


def test_a_connection_that_is_always_lost_ends_in_an_error_and_can_be_continued(
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


def test_a_silent_server_counts_as_a_lost_connection(hub: Hub, sample: Sample, tmp_path: Path) -> None:
    Client(hub).upload(sample)
    hub.faults.add("*weights.bin", faults.delay(1.0), kind="bytes", times=1)

    again = Client(hub, timeout=0.2).download(tmp_path / "out")

    assert contents(again.artifact) == contents(sample)


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize("kind", ["info", "resolve", "bytes"])
def test_a_lost_connection_at_any_stage_leaves_all_or_nothing(
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


def test_a_revision_that_is_removed_before_the_download_is_not_found(
    client: Client, sample: Sample, tmp_path: Path
) -> None:
    client.upload(sample, f"{REPO}/v1")
    repo = client.hub.repo("alice/model")
    gone = faults.run(lambda: (repo.commits.pop(repo.branches["v1"]), repo.branches.pop("v1")))
    client.hub.faults.add("*ritual_manifest.json", gone, kind="resolve", times=1)

    with pytest.raises(ArtifactNotFoundError):
        client.download(tmp_path / "out", f"{REPO}/v1")

    assert final_files(tmp_path / "out") == []


def test_a_download_continues_after_its_token_was_revoked(hub: Hub, sample: Sample, tmp_path: Path) -> None:
    Client(hub).upload(sample)
    hub.faults.add("*weights.bin", faults.cut_after(100_000), times=1)
    hub.faults.add("*weights.bin", faults.run(lambda: hub.revoke(hub.token)), kind="resolve", skip=1, times=1)

    with pytest.raises(AuthenticationError, match="wrong or expired"):
        Client(hub).download(tmp_path / "out")

    assert final_files(tmp_path / "out") == []
    again = Client(hub, token=hub.read_token).download(tmp_path / "out")
    assert contents(again.artifact) == contents(sample)
    assert "bytes=100000-" in {e.range for e in hub.ledger.of("bytes")}


# --- busy servers ---


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


def test_too_long_a_pause_is_an_error(client: Client, sample: Sample, tmp_path: Path) -> None:
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


def test_a_gated_repository_has_its_own_error(hub: Hub, sample: Sample, tmp_path: Path) -> None:
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
def test_an_error_in_the_middle_of_a_transfer_names_the_file(
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


def test_a_signed_address_that_has_expired_is_requested_again(
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
