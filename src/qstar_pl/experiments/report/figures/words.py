"""What stands along the axes, and how the cells of an experiment look in every figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qstar_pl.experiments.report.reading import Axis, Results
from qstar_pl.figures import LineStyle, line_style, with_unit
from qstar_pl.figures.style import COLORS, MARKERS

SPENT: dict[Axis, str] = {
    "step": "optimizer steps",
    "samples": "samples (answers, pairs or demonstrations)",
    "generated": "generated tokens",
    "tokens": "trained tokens",
    "seconds": "seconds of training, without validation",
}
_MEASURED = {
    "val/reward_gold": "held-out gold reward per answer",
    "val/reward_proxy": "held-out proxy reward per answer",
    "val/preference_accuracy": "held-out preference accuracy",
    "val/kl_policy_reference": "D(π_θ‖π_init), nats per answer",
}
MOST = 9
"""So many lines of one panel can still be told apart and followed."""


def measure(key: str) -> str:
    """Return what a metric is, with its unit where that is known."""
    return _MEASURED.get(key) or with_unit(key)


def styles(results: Results) -> dict[str, LineStyle]:
    """Return the look of each cell, the same in all figures."""
    return {cell: look(number) for number, cell in enumerate(results.cells)}


def look(number: int) -> LineStyle:
    """Return the look of a cell, from 0; where colors begin anew, markers are others."""
    usual = line_style(number)
    return LineStyle(usual.color, usual.dashes, MARKERS[(number + number // len(COLORS)) % len(MARKERS)])


def handfuls(cells: Sequence[str], most: int = MOST) -> list[list[str]]:
    """Return the cells in panels of about equal size, none with more than `most`."""
    count = -(-len(cells) // most)
    sizes = [len(cells) // count + (number < len(cells) % count) for number in range(count)]
    ends = [sum(sizes[: number + 1]) for number in range(count)]
    return [list(cells[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def numbered(name: str, number: int) -> str:
    """Return the name of one of several panels: `alpha`, or `alpha_2`."""
    return f"{name}_{number + 1}" if number else name


def of(number: int, count: int) -> str:
    """Return what is said behind the title of one of several panels."""
    return "" if count == 1 else f" ({number + 1} of {count})"


def listed(names: Iterable[str]) -> str:
    """Return names in words."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def seeds_of(results: Results, cells: Iterable[str]) -> str:
    """Return over how many seeds means are taken."""
    counts = sorted({len(results.finished(cell)) for cell in cells})
    if counts == [1]:
        return "one seed"
    return f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
