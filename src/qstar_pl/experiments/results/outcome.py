"""What one run found and spent, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from qstar_pl.errors import UserError
from qstar_pl.experiments.curve import STEP, is_measured
from qstar_pl.experiments.matrix import Budget
from qstar_pl.experiments.matrix.experiment import KEY, UNITS
from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.run_folders.metrics import Metrics, read_metrics

Status = Literal["finished", "failed", "unfinished"]
TIMES = ("time/", "memory/", "tokens/per_s")
"""How metrics begin that differ between two runs of the same."""


def is_time(key: str) -> bool:
    """Return whether a metric differs between two runs of the same."""
    return key.startswith(TIMES)


@dataclass(frozen=True)
class Outcome:
    """One run, as far as it has come."""

    run: PlannedRun
    status: Status
    reason: str
    """Why it failed; "" if it did not."""
    metrics: Metrics
    spent: Mapping[str, float]
    """"samples", "generated" and "tokens" at its end, with those of the stages before it; its own "steps"."""
    before: Mapping[str, float]
    """Validation before the first step."""
    after: Mapping[str, float]
    """The last validation, if it is that of the last step."""
    off_budget: str
    """Where it ended instead of its budget; "" if it ended there."""
    started_at: Mapping[str, float] = field(default_factory=dict)
    """What the stages before it have spent, as in `spent`; empty of a run that starts from its own model."""


def outcome(run: PlannedRun, budget: Budget | None) -> Outcome:
    """Read a run's folder; what is missing in it is no error."""
    state, metrics = run.state, Metrics((), ())
    status: Status = "finished" if state == "finished" else "failed" if state == "failed" else "unfinished"
    reason = run.folder.reason() if status == "failed" else ""
    try:
        if state not in ("new", "changed") and (file := run.folder.metrics) is not None:
            metrics = read_metrics(file)
    except UserError as error:
        status, reason = "failed", str(error)
    if status == "finished" and not metrics.rows:
        status, reason = "failed", "it has ended without a row of metrics"
    step = metrics.step() or 0
    spent = {unit: _last(metrics, f"{unit}{KEY}") for unit in UNITS}
    before = {} if run.base is None else outcome(run.base, None).spent
    before = {unit: value for unit, value in before.items() if unit in UNITS}
    every: dict[str, float] = {
        unit: before.get(unit, 0.0) + value for unit, value in spent.items() if value is not None
    }
    if budget is not None and run.samples_asked is not None:
        budget = Budget("samples", round(run.samples_asked))
    return Outcome(
        run,
        status,
        reason,
        metrics,
        {**every, "steps": float(step)},
        _measured(metrics, 0),
        _measured(metrics, step) if step and status == "finished" else {},
        _off(metrics, budget) if status == "finished" and budget is not None else "",
        before,
    )


def _measured(metrics: Metrics, step: int) -> dict[str, float]:
    found = dict[str, float]()
    for row in metrics.rows:
        if row.get(STEP) == step:
            found |= {key: value for key, value in row.items() if is_measured(key)}
    return found


def _last(metrics: Metrics, key: str) -> float | None:
    return next((row[key] for row in reversed(metrics.rows) if key in row), None)


def _off(metrics: Metrics, budget: Budget) -> str:
    """Return where a run ended that did not end with the step that spent the last of its budget."""
    totals = sorted({row[budget.key] for row in metrics.rows if budget.key in row})
    if not totals:
        return f"it does not log {budget.key}"
    before = totals[-2] if len(totals) > 1 else 0.0
    if before < budget.amount <= totals[-1]:
        return ""
    return f"it ended at {totals[-1]:,.0f} {budget.unit}, its budget is {budget.amount:,}"
