"""What was measured, as JSON and as Markdown tables."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from measurement import Round
from peers import OURS, Peer
from ratios import ratios_to
from workloads import Workload

_LEGEND = """\
Medians over rounds in which all took turns on the same files. *Wall* and *CPU* are multiples of what `ours`
took in the same round: above 1, it needed more than ours. *Ours ÷ it* is the reverse, wall and CPU.

- *call*: a function of a Python library, timed alone, in a fresh process that had imported it before. Its
  memory is what the call added to that of the interpreter, at most.
- *process*: a command, timed from its start to its exit. Its memory is that of its largest process, at most,
  and includes what it inherits from the bare Python interpreter that starts it.
- *warm*: the files were in the page cache, if they fit. *Cold*: the system was asked to drop them before
  each sample (`posix_fadvise`), which is best effort.
"""


@dataclass(frozen=True)
class Result:
    """One workload, measured."""

    workload: Workload
    cache: str
    peers: Sequence[Peer]
    rounds: Sequence[Round]

    @property
    def title(self) -> str:
        """The files and the state of the page cache in words."""
        return f"{self.workload.title}, {self.cache}"


@dataclass
class Report:
    """All that was measured so far."""

    machine: dict[str, str]
    missing: list[str] = field(default_factory=list)
    """Libraries and peers that are missing, each with the reason."""
    results: list[Result] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write `results.json` and `results.md`."""
        (folder / "results.json").write_text(json.dumps(self._plain(), indent=1), encoding="utf-8")
        (folder / "results.md").write_text("\n".join(self._lines()) + "\n", encoding="utf-8")

    def _plain(self) -> dict[str, object]:
        return {
            "machine": self.machine,
            "missing": self.missing,
            "results": [
                {
                    "name": f"{result.workload.name}-{result.cache}",
                    "title": result.title,
                    "digests": {peer.name: peer.digest for peer in result.peers},
                    "ratios": {
                        name: asdict(ratios) for name, ratios in ratios_to(OURS.name, result.rounds).items()
                    },
                    "rounds": [
                        {name: asdict(usage) for name, usage in usages.items()} for usages in result.rounds
                    ],
                }
                for result in self.results
            ],
        }

    def _lines(self) -> Iterator[str]:
        yield "# Hashing files: ours and others\n"
        yield from (f"- {name}: {value}" for name, value in self.machine.items())
        yield f"\n{_LEGEND}"
        for result in self.results:
            yield from _table(result)
        if self.missing:
            yield "## Missing\n"
            yield from (f"- {reason}" for reason in self.missing)


def _table(result: Result) -> Iterator[str]:
    yield f"## {result.title}\n"
    yield "| | digest | timed | wall | min–max | CPU | ours ÷ it | peak MiB |"
    yield "|---|---|---|---|---|---|---|---|"
    ratios = ratios_to(OURS.name, result.rounds)
    for peer in result.peers:
        wall, cpu, peak = ratios[peer.name].wall, ratios[peer.name].cpu, ratios[peer.name].peak_mib
        timed = "call" if peer.adapter else "process"
        yield (
            f"| {peer.name} | {peer.digest} | {timed} | {wall.median:.2f} | {wall.low:.2f}–{wall.high:.2f} "
            f"| {cpu.median:.2f} | {1 / wall.median:.2f} / {1 / cpu.median:.2f} | {peak.high:.1f} |"
        )
    yield ""
