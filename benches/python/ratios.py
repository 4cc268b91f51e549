"""Ratios between processes that were measured in turn."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processes import Usage


@dataclass(frozen=True)
class Spread:
    """A value that was measured several times."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratios:
    """What one took, as multiples of what the baseline took in the same round."""

    wall: Spread
    cpu: Spread
    peak_mib: Spread
    """Not a ratio."""


def ratios_to(baseline: str, rounds: Sequence[Mapping[str, Usage]]) -> dict[str, Ratios]:
    """Compare each name's usages with those of the baseline, round by round."""
    return {
        name: Ratios(
            wall=_spread([usages[name].wall / usages[baseline].wall for usages in rounds]),
            cpu=_spread([usages[name].cpu / usages[baseline].cpu for usages in rounds]),
            peak_mib=_spread([usages[name].peak_mib for usages in rounds]),
        )
        for name in rounds[0]
    }


def _spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))
