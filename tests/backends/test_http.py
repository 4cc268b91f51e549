import pytest

from ritual_artifacts.backends.http import Patience
from ritual_artifacts.errors import TransferError


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return what was slept, without sleeping."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def fail_always(patience: Patience, retry_after: float | None = None) -> None:
    while True:
        patience.wait("no", retry_after)


def test_pauses_grow_until_it_is_enough(pauses: list[float]) -> None:
    with pytest.raises(TransferError, match="asking: no, 6 times in a row") as caught:
        fail_always(Patience("asking"))

    assert caught.value.retryable
    assert len(pauses) == 5
    for pause, step in zip(pauses, (0.5, 1, 2, 4, 8), strict=True):
        assert 0.7 * step < pause < 1.3 * step


def test_a_server_that_asks_for_no_pause_does_not_get_all_attempts_at_once(pauses: list[float]) -> None:
    with pytest.raises(TransferError):
        fail_always(Patience("asking"), retry_after=0)

    assert sum(pauses) > 10


def test_a_server_that_asks_for_a_pause_gets_it(pauses: list[float]) -> None:
    Patience("asking").wait("busy", retry_after=42)

    assert pauses == [42]


def test_a_server_that_asks_for_too_long_a_pause_ends_it(pauses: list[float]) -> None:
    with pytest.raises(TransferError, match="asks to wait 3600 seconds"):
        Patience("asking").wait("busy", retry_after=3600)

    assert not pauses


def test_progress_makes_patience_new(pauses: list[float]) -> None:
    patience = Patience("asking")
    for _ in range(20):
        patience.wait("no")
        patience.renew()

    assert max(pauses) < 1
