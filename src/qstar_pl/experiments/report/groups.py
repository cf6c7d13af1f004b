"""Which cells may be held against each other: those that differ in what is asked about, and in nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.experiments.report.reading import Results

METHOD, TUNED = "method", "tuned"
"""Factors: the first is of every cell; the second says whose learning rate was swept ("tuned") or not ("shared")."""


@dataclass(frozen=True)
class Group:
    """Cells under the same conditions, with a baseline among them."""

    levels: Mapping[str, str]
    """What its cells have in common: factor → level; empty if all cells of the experiment stand in one group."""
    baseline: str
    cells: tuple[str, ...]
    """The baseline first."""

    @property
    def name(self) -> str:
        """In words: "size large, tuned settings"; "" of the only one."""
        return ", ".join(
            f"{level} settings" if factor == TUNED else f"{factor} {level}" for factor, level in self.levels.items()
        )

    @property
    def others(self) -> tuple[str, ...]:
        """All but the baseline."""
        return tuple(cell for cell in self.cells if cell != self.baseline)


def groups(results: Results) -> tuple[Group, ...]:
    """Return the groups of an experiment; every cell is in one, or in several if some axes are nothing to it.

    Where an experiment compares methods, its axes are conditions: q* with a large policy is held against PPO with a
    large policy. Where there is one method, the axes are what is asked about, and all cells are held against one;
    whether learning rates were tuned is a condition always. A group whose baseline is not there takes its first cell.
    A cell without a level of some condition, as PPO has no π_t, stands in every group that agrees in the others.
    """
    if not results.runs:
        return ()
    factors = {cell: results.factors(cell) for cell in results.cells}
    several = len({levels.get(METHOD) for levels in factors.values()}) > 1
    names = dict.fromkeys(name for levels in factors.values() for name in levels if name != METHOD)
    conditions = tuple(name for name in names if several or name == TUNED)
    levels_of = {cell: tuple(levels.get(name, "") for name in conditions) for cell, levels in factors.items()}
    kinds = dict.fromkeys(levels_of.values())
    found: dict[tuple[str, ...], list[str]] = {at: [] for at in kinds if not any(_widens(at, one) for one in kinds)}
    for cell, own in levels_of.items():
        for at, cells in found.items():
            if at == own or _widens(own, at):
                cells.append(cell)
    rest = {cell: {k: v for k, v in levels.items() if k not in conditions} for cell, levels in factors.items()}
    made = []
    for at, cells in found.items():
        wanted = rest.get(results.baseline, {})
        baseline = next((cell for cell in cells if rest[cell] == wanted), cells[0])
        ordered = (baseline, *(cell for cell in cells if cell != baseline))
        made.append(Group({k: v for k, v in zip(conditions, at, strict=True) if v}, baseline, ordered))
    return tuple(made)


def _widens(levels: tuple[str, ...], full: tuple[str, ...]) -> bool:
    """Return whether levels, some of which are not there (""), agree with those of `full` and are fewer."""
    return levels != full and all(one in ("", other) for one, other in zip(levels, full, strict=True))


def pairs(results: Results) -> list[tuple[str, str]]:
    """Return (cell, what it is held against): its group's baseline, and what the experiment names; each pair once."""
    found = [(cell, group.baseline) for group in groups(results) for cell in group.others]
    cells = set(results.cells)
    for one, other in results.comparisons:
        if {one, other} <= cells and (one, other) not in found and (other, one) not in found:
            found.append((one, other))
    return found


def group_of(results: Results, cell: str) -> Group:
    """Return the group that a cell stands in, the first of several."""
    return next(group for group in groups(results) if cell in group.cells)
