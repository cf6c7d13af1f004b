"""Cells that start where others end, as in SFT→DPO→q*: a stage each, with one budget for all stages together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix.experiment import Cell, Experiment
from qstar_pl.experiments.matrix.settings import Settings, check_settings

AFTER = "after"
"""The setting that holds the digest of the cell before: if that changes, whatever starts from it is run anew."""
_POLICY = "model.init_args.policy.class_path"


def stages_before(cell: Cell, cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that lead to one, the first stage first; none of a cell that starts by itself."""
    named = {one.name: one for one in cells}
    found = list[Cell]()
    while cell.after is not None:
        cell = named[cell.after]
        found.insert(0, cell)
    return found


def with_stages(cells: Sequence[Cell], settings: Mapping[str, Settings]) -> dict[str, Settings]:
    """Return the settings of every cell, by its name, with what the cells before it come to.

    Args:
        cells: in an order in which each follows the one that it starts from.
        settings: what each cell's own words resolve to.

    Raises:
        UserError: if a cell, or the one that it starts from, has no policy.

    """
    found = dict[str, Settings]()
    for cell in cells:
        own = settings[cell.name]
        if cell.after is not None:
            for name in (cell.name, cell.after):
                if _POLICY not in settings[name].options:
                    raise UserError(f"{cell.where}: {AFTER} must join two methods with a policy, got {name} without")
            own = replace(own, options={**own.options, AFTER: found[cell.after].digest})
        found[cell.name] = own
    return found


def check_cells(experiment: Experiment, settings: Mapping[str, Settings], score: str | None = None) -> None:
    """Check every cell before anything runs, as `check_settings` does; all stages of a chain share one budget.

    Raises:
        UserError: if one cannot end at it.

    """
    for cell in experiment.cells:
        before = sum(settings[one.name].samples() or 0 for one in stages_before(cell, experiment.cells))
        check_settings(cell, settings[cell.name], experiment.budget, score, before)
