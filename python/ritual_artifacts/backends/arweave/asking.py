"""The loop that asks several sources in turn, pauses, and gives up. It knows nothing of what is asked.

One attempt asks one source and returns its outcome: `Took` a value, `Refused` for good, or `Later`. A round
asks each source once. The next round, after a pause, asks those that said `Later`. The loop ends with a
value, when no source is worth another attempt, or when the retry policy gives up.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from ritual_artifacts.backends.arweave.transaction import ForgedError
from ritual_artifacts.backends.http import Retries
from ritual_artifacts.context import Context
from ritual_artifacts.errors import ArtifactNotFoundError, BackendError, NotFinalizedError, TransferError

Value = TypeVar("Value")
Source = TypeVar("Source")


@dataclass(frozen=True, slots=True)
class Took(Generic[Value]):
    """The source gave what was wanted.

    Attributes:
        value: What it gave.
    """

    value: Value


@dataclass(frozen=True, slots=True)
class Refused:
    """The source does not have what is wanted, or gave something invalid.

    Attributes:
        error: Why.
        may_change: Whether the source is asked again as long as others are waited for.
    """

    error: BackendError
    may_change: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """The same attempt may succeed later.

    Attributes:
        problem: Why it failed now.
        pause: Seconds that the source asked to wait.
        poll: Seconds after which the source is asked again without counting this as a failure.
    """

    problem: str
    pause: float | None = None
    poll: float | None = None


Outcome: TypeAlias = Took[Value] | Refused | Later
Choose: TypeAlias = Callable[[Sequence[BackendError], TransferError | None], BackendError]
"""Chooses the error to raise from all refusals and the error of a retry policy that gave up."""


class Turns(Generic[Source]):
    """The sources to ask, one after the other; the caller reports each outcome with `note`.

    Iterating raises `TransferError` when the retry policy gives up, and ends when no source is worth another
    attempt.

    Attributes:
        retries: The failures in a row; reset it when bytes arrive.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        doing: str,
        context: Context,
        *,
        is_optional: Callable[[Source], bool] = lambda _: False,
    ) -> None:
        """Prepare the first round.

        Args:
            sources: In the order in which they are asked; each is hashable and says with `str` what it is.
            doing: What they are asked for, for messages.
            context: Its retry policy and clock count.
            is_optional: Says of a source that answered `Later`, at the end of a round, that it is not worth
                waiting for.
        """
        self._sources = list(sources)
        self._clock = context.clock
        self._is_optional = is_optional
        self._outcomes: dict[Source, Refused | Later] = {}
        self.retries = Retries(doing, context)

    def __iter__(self) -> Iterator[Source]:
        """Yield the sources of each round, with pauses between the rounds."""
        asked = self._sources
        while True:
            for source in asked:
                self._outcomes.pop(source, None)
                yield source
            waiting = [source for source in self.waiting if not self._is_optional(source)]
            if not waiting:
                return
            self._pause(waiting)
            asked = [source for source in self._sources if source in waiting or self._may_change(source)]

    def note(self, source: Source, outcome: Refused | Later) -> None:
        """Report the outcome of asking a source, unless it gave a value."""
        self._outcomes[source] = outcome

    @property
    def waiting(self) -> list[Source]:
        """The sources that said `Later`, in the order in which they did."""
        return [source for source, outcome in self._outcomes.items() if isinstance(outcome, Later)]

    @property
    def refusals(self) -> list[tuple[Source, BackendError]]:
        """The sources that refused, and why, in the order in which they did."""
        return [(s, outcome.error) for s, outcome in self._outcomes.items() if isinstance(outcome, Refused)]

    def _may_change(self, source: Source) -> bool:
        outcome = self._outcomes.get(source)
        return isinstance(outcome, Refused) and outcome.may_change

    def _pause(self, waiting: Sequence[Source]) -> None:
        said = [(s, outcome) for s in waiting if isinstance(outcome := self._outcomes[s], Later)]
        polls = [outcome.poll for _, outcome in said if outcome.poll is not None]
        if polls:
            self._clock.sleep(max(polls))
            return
        source, last = said[-1]
        self.retries.wait(f"{source}: {last.problem}", last.pause)


def ask_in_turn(
    turns: Turns[Source],
    doing: str,
    attempt: Callable[[Source], Outcome[Value]],
    choose: Choose | None = None,
) -> Value:
    """Return the first value that a source gives.

    Args:
        turns: The sources.
        doing: What they are asked for, for messages.
        attempt: Asks one source. A `BackendError` that it raises counts as `Refused`; a `TransferError` comes
            from sources that it asked in turn itself, and ends the loop.
        choose: Chooses the error; default: that the retry policy gave up, else the `strongest` refusal.

    Raises:
        TransferError: the retry policy gave up.
        BackendError: every source refused.
    """
    choose = choose or prefer_giving_up
    gave_up: TransferError | None = None
    order = iter(turns)
    while True:
        try:
            source = next(order, None)
        except TransferError as error:
            gave_up = error
            break
        if source is None:
            break
        try:
            outcome = attempt(source)
        except TransferError:
            raise
        except BackendError as error:
            outcome = Refused(error)
        if isinstance(outcome, Took):
            return outcome.value
        turns.note(source, outcome)
    refusals = [type(error)(f"{doing}: {error} ({source})") for source, error in turns.refusals]
    raise choose(refusals, gave_up) from None


def prefer_giving_up(refusals: Sequence[BackendError], gave_up: TransferError | None) -> BackendError:
    """Choose the error: a source that could not be asked may have what others refused."""
    return gave_up or strongest(refusals)


def prefer_evidence(refusals: Sequence[BackendError], gave_up: TransferError | None) -> BackendError:
    """Choose the error: a source that knows it counts most, and then one that could not be asked."""
    pending = next((error for error in refusals if isinstance(error, NotFinalizedError)), None)
    return pending or gave_up or strongest(refusals)


def strongest(refusals: Sequence[BackendError]) -> BackendError:
    """Return the refusal that says most: not mined yet, forged, otherwise invalid, and not found as the last.

    So "not found" means that every source said so.
    """
    return min(refusals, key=_rank)


def _rank(error: BackendError) -> int:
    if isinstance(error, NotFinalizedError):
        return 0
    if isinstance(error, ForgedError):
        return 1
    return 3 if isinstance(error, ArtifactNotFoundError) else 2
