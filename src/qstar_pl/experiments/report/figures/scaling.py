"""How the score changes along an axis whose levels are numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from qstar_pl.experiments.report.figures.lines import thousands
from qstar_pl.experiments.report.figures.panel import Label, LeftOut, Panel, axes, label_ends
from qstar_pl.experiments.report.figures.words import look, measure
from qstar_pl.experiments.report.reading import Results

_LEVEL = re.compile(r"(?P<words>.*?)_?(?P<number>\d+(?:\.\d+)?)(?P<times>[kM]?)")
_TIMES = {"": 1.0, "k": 1e3, "M": 1e6}
FEWEST = 3
"""Levels that make an axis an ordered one."""
WIDE = 8.0
"""Largest level ÷ smallest from which on the axis is logarithmic."""

Line = dict[float, list[float]]
"""Level → final scores of its seeds."""


@dataclass(frozen=True)
class Scale:
    """Cells that differ in one number, line by line."""

    axis: str
    words: str
    """What stands before the numbers of the levels: "n" in n10k."""
    lines: Mapping[str, Line]

    @property
    def is_wide(self) -> bool:
        """Whether the levels span so much that equal ratios should look equal."""
        levels = [level for line in self.lines.values() for level in line]
        return min(levels) > 0 and max(levels) / min(levels) >= WIDE


def level(text: str) -> tuple[str, float] | None:
    """Return the words before a level's number, and the number: n10k → ("n", 10000); None where it ends in none."""
    found = _LEVEL.fullmatch(text)
    return None if found is None else (found["words"], float(found["number"]) * _TIMES[found["times"]])


def scales(results: Results) -> list[Scale]:
    """Return the ordered axes of an experiment."""
    axes_ = dict.fromkeys(name for cell in results.cells for name in results.factors(cell) if name != "method")
    found = dict[tuple[str, str], dict[str, Line]]()
    for name in axes_:
        for cell in results.cells:
            factors = results.factors(cell)
            ordered = level(factors.get(name, ""))
            scores = [run.after.get(results.score, math.nan) for run in results.finished(cell)]
            scores = [score for score in scores if math.isfinite(score)]
            if ordered is not None and scores:
                others = " ".join(value for axis, value in factors.items() if axis != name)
                found.setdefault((name, ordered[0]), {}).setdefault(others, {})[ordered[1]] = scores
    made = [Scale(name, words, lines) for (name, words), lines in found.items()]
    return [one for one in made if max(map(len, one.lines.values())) >= FEWEST]


def scaling(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the panels of final score against level."""
    found = scales(results)
    if not found:
        yield LeftOut("Scaling", f"no axis of this experiment has {FEWEST} levels that are numbers")
    for one in found:
        name = f"{one.axis} ({one.words})" if one.words else one.axis
        ends = "; ".join(
            f"{label}: {', '.join(f'{fmean(line[x]):.3f} at {x:g}' for x in sorted(line))}"
            for label, line in one.lines.items()
        )
        yield Panel(
            f"scaling_{one.axis}" + (f"_{one.words}" if len(found) > 1 else ""),
            f"Score along {name}",
            "After training: mean ± 1 s.d. over seeds" + ("; logarithmic axis." if one.is_wide else "."),
            f"{measure(results.score)} by {name}. {ends}.",
            _drawing(results, one, name),
        )


def _drawing(results: Results, one: Scale, name: str) -> Callable[[Any], None]:
    def draw(figure: Any) -> None:
        axis = axes(figure, name, measure(results.score))
        labels = []
        for number, (label, line) in enumerate(one.lines.items()):
            style = look(number)
            places = sorted(line)
            means = [fmean(line[place]) for place in places]
            spreads = [stdev(line[place]) if len(line[place]) > 1 else 0.0 for place in places]
            axis.errorbar(
                places,
                means,
                spreads,
                color=style.color,
                linestyle=style.dashes,
                marker=style.marker,
                elinewidth=0.8,
                capsize=2,
            )
            labels.append(Label(label, means[-1], style))
        if one.is_wide:
            axis.set_xscale("log")
            axis.minorticks_off()
            levels = sorted({place for line in one.lines.values() for place in line})
            axis.set_xticks(levels, [f"{place / 1000:g}k" if place >= 10_000 else f"{place:g}" for place in levels])
        else:
            thousands(axis.xaxis)
        label_ends(axis, labels)

    return draw
