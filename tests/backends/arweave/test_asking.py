"""The loop that asks sources in turn, with sources and a clock of the test's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from ritual_artifacts.backends.arweave.asking import (
    Choose,
    Later,
    Outcome,
    Refused,
    Took,
    Turns,
    ask_in_turn,
    prefer_evidence,
    prefer_giving_up,
)
from ritual_artifacts.context import Context, RetryPolicy
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, NotFinalizedError, TransferError
from ritual_artifacts.settings import load_settings

NOT_FOUND = Refused(ArtifactNotFoundError("not found"))
INVALID = Refused(BackendError("invalid"))
NOT_MINED = Refused(NotFinalizedError("not mined"))
BUSY = Later("busy")


@dataclass
class NotedClock:
    """A clock that notes pauses instead of making them."""

    pauses: list[float] = field(default_factory=list)

    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Sources:
    """Sources that answer one outcome after the other, the last one for ever, and note who was asked."""

    def __init__(self, **outcomes: Sequence[Outcome[int]]) -> None:
        self.clock = NotedClock()
        self.asked: list[str] = []
        self._outcomes = {name: list(each) for name, each in outcomes.items()}

    def turns(self, **options: Callable[[str], bool]) -> Turns[str]:
        retry = RetryPolicy(max_attempts=3, first_wait=1.0)
        context = Context(settings=load_settings(), clock=self.clock, retry=retry)
        return Turns(self._outcomes, "asking", context, **options)

    def attempt(self, source: str) -> Outcome[int]:
        self.asked.append(source)
        left = self._outcomes[source]
        return left.pop(0) if len(left) > 1 else left[0]

    def ask(self, choose: Choose | None = None) -> int:
        return ask_in_turn(self.turns(), "asking", self.attempt, choose)


def test_the_first_value_counts_and_no_further_source_is_asked() -> None:
    sources = Sources(a=[INVALID], b=[Took(1)], c=[Took(2)])

    assert sources.ask() == 1
    assert sources.asked == ["a", "b"]
    assert not sources.clock.pauses


def test_only_sources_that_said_later_are_asked_again() -> None:
    sources = Sources(a=[NOT_FOUND], b=[BUSY, BUSY, Took(1)], c=[BUSY, NOT_FOUND])

    assert sources.ask() == 1
    assert sources.asked == ["a", "b", "c", "b", "c", "b"]
    assert len(sources.clock.pauses) == 2


def test_a_refusal_that_may_change_is_asked_again_while_another_source_is_waited_for() -> None:
    refused = Refused(BackendError("no"), may_change=True)
    sources = Sources(a=[refused, Took(1)], b=[BUSY])

    assert sources.ask() == 1
    assert sources.asked == ["a", "b", "a"]


def test_a_refusal_that_may_change_is_not_waited_for_alone() -> None:
    sources = Sources(a=[Refused(BackendError("no"), may_change=True), Took(1)], b=[INVALID])

    with pytest.raises(BackendError, match="asking: no"):
        sources.ask()

    assert not sources.clock.pauses


def test_a_source_that_asks_for_a_pause_gets_it() -> None:
    sources = Sources(a=[Later("busy", pause=42.0), Took(1)])

    sources.ask()

    assert sources.clock.pauses == [42.0]


def test_waiting_for_the_network_is_not_a_failure() -> None:
    sources = Sources(a=[*[Later("full", poll=15.0)] * 50, Took(1)])

    assert sources.ask() == 1
    assert sources.clock.pauses == [15.0] * 50


def test_progress_starts_the_count_of_failures_again() -> None:
    sources = Sources(a=[BUSY])
    turns = sources.turns()
    rounds = 0

    for source in turns:
        rounds += 1
        if rounds == 10:
            break
        turns.retries.reset()
        turns.note(source, BUSY)

    assert rounds == 10


def test_optional_sources_are_not_waited_for() -> None:
    sources = Sources(a=[BUSY], b=[Took(1)])
    turns = sources.turns(is_optional=lambda source: source == "a")

    asked = []
    for source in turns:
        asked.append(source)
        turns.note(source, BUSY if source == "a" else INVALID)

    assert asked == ["a", "b"]
    assert turns.waiting == ["a"]


# --- which error is raised --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "error"),
    [
        ([NOT_FOUND, INVALID, NOT_MINED], NotFinalizedError),
        ([NOT_FOUND, INVALID], BackendError),
        ([NOT_FOUND, NOT_FOUND], ArtifactNotFoundError),
    ],
    ids=["not mined", "invalid", "not found"],
)
def test_the_refusal_that_says_most_is_raised(
    outcomes: list[Outcome[int]], error: type[BackendError]
) -> None:
    sources = Sources(**{f"source-{number}": [outcome] for number, outcome in enumerate(outcomes)})

    with pytest.raises(BackendError, match=r"asking: .* \(source-\d\)") as caught:
        sources.ask()

    assert type(caught.value) is error


def test_a_source_that_could_not_be_asked_counts_more_than_a_refusal() -> None:
    sources = Sources(a=[NOT_FOUND], b=[BUSY])

    with pytest.raises(TransferError, match="asking: b: busy, 3 times in a row") as caught:
        sources.ask(prefer_giving_up)

    assert caught.value.retryable
    assert sources.asked == ["a", "b", "b", "b"]


@pytest.mark.parametrize("refusal", [NOT_FOUND, INVALID], ids=["not found", "invalid"])
def test_a_source_that_could_not_be_asked_leaves_open_what_others_deny(refusal: Outcome[int]) -> None:
    with pytest.raises(TransferError, match="b: busy"):
        Sources(a=[refusal], b=[BUSY]).ask(prefer_evidence)


def test_but_a_source_that_knows_it_counts() -> None:
    with pytest.raises(NotFinalizedError):
        Sources(a=[NOT_MINED], b=[BUSY]).ask(prefer_evidence)


def test_an_error_that_an_attempt_raises_counts_as_a_refusal() -> None:
    def attempt(source: str) -> Outcome[str]:
        if source == "a":
            message = "invalid"
            raise BackendError(message)
        return Took(source)

    turns = Sources(a=[BUSY], b=[BUSY]).turns()

    assert ask_in_turn(turns, "asking", attempt) == "b"


def test_an_attempt_that_gave_up_itself_ends_the_loop() -> None:
    def attempt(source: str) -> Outcome[str]:
        message = f"{source} gave up"
        raise TransferError(message)

    with pytest.raises(TransferError, match=r"^a gave up$"):
        ask_in_turn(Sources(a=[BUSY], b=[BUSY]).turns(), "asking", attempt, prefer_evidence)
