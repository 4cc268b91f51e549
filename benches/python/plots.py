"""Charts of `results.json`, one picture for each workload: `python plots.py FOLDER`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_PANELS = {
    "wall": "wall time, ours = 1",
    "cpu": "CPU seconds, ours = 1",
    "peak_mib": "peak memory, MiB",
}

Spread: TypeAlias = Mapping[str, float]
"""Keys `median`, `low` and `high`."""


def main() -> None:
    """Draw all of them into the same folder."""
    folder = Path(sys.argv[1])
    for result in json.loads((folder / "results.json").read_bytes())["results"]:
        ratios = result["ratios"]
        figure = Figure(figsize=(15, 1.5 + 0.32 * len(ratios)), layout="constrained")
        figure.suptitle(f"{result['title']}: medians and ranges")
        panels = zip(_PANELS.items(), figure.subplots(1, len(_PANELS), sharey=True), strict=True)
        for (part, label), axes in panels:
            axes.set_xlabel(label)
            _draw(axes, {name: spreads[part] for name, spreads in ratios.items()})
        figure.savefig(folder / f"{result['name']}.png", dpi=110)


def _draw(axes: Axes, spreads: Mapping[str, Spread]) -> None:
    for row, (name, spread) in enumerate(spreads.items()):
        median = spread["median"]
        around = ([median - spread["low"]], [spread["high"] - median])
        axes.errorbar(median, row, xerr=around, fmt="o", capsize=3, color=_colour(name))
        axes.annotate(f"{median:.2f}", (median, row), (0, 5), textcoords="offset points", ha="center", size=8)
    axes.set_yticks(range(len(spreads)), list(spreads))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.grid(alpha=0.3)
    axes.margins(x=0.1)


def _colour(name: str) -> str:
    return "#d1495b" if name.startswith("ours") else "#33658a"


if __name__ == "__main__":
    main()
