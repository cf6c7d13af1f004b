"""What the diagnostics of a generated data set say: distributions, and the checks of theory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstar_pl.errors import UserError
from qstar_pl.generation.diagnostics import ROW_NUMBERS

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SUFFIX = ".diagnostics.jsonl"
COLUMNS = ("tokens", *ROW_NUMBERS)
Column = NDArray[np.float64]


@dataclass(frozen=True)
class Check:
    """A claim about q* that the numbers of a run meet or do not."""

    name: str
    column: str
    """Per answer: a mean over its tokens."""
    low: float
    high: float
    """Met by values in [low, high], or in [low, high) if not `closed`."""
    closed: bool = True
    """Whether `high` itself meets it."""

    def met_mask(self, values: Column) -> NDArray[np.bool_]:
        """Return which values meet it."""
        return (values >= self.low) & ((values <= self.high) if self.closed else (values < self.high))


CHECKS = (
    Check("ESS ratio (θ over t) in [0.9, 1.1]", "ess_ratio_mean", 0.9, 1.1),
    Check("|D(q‖π_θ) − D(q‖π_t)| < 0.05 nats", "kl_difference", 0.0, 0.05, closed=False),
    Check("α in [0.2, 0.8]", "alpha_mean", 0.2, 0.8),
)
"""What KL symmetry is expected to give. The second is exact by construction, the first holds to second order only."""


@dataclass(frozen=True)
class Diagnostics:
    """The diagnostics of one run."""

    name: str
    path: Path
    columns: Mapping[str, Column]
    """[rows] each; NaN where a row has no value. `kl_difference` is added: |kl_theta_mean − kl_t_mean| of a
    row, so that rows on either side do not cancel."""

    @property
    def rows(self) -> int:
        """Answers."""
        return len(self.columns["tokens"])


def find_diagnostics(path: Path) -> list[Path]:
    """Return the diagnostics that a user's word stands for: the file, that beside an output, all in a folder.

    Raises:
        UserError: if there are none.

    """
    if path.is_dir():
        found = sorted(path.glob(f"*{SUFFIX}"))
        if not found:
            raise UserError(f"diagnostics must be *{SUFFIX} files or a folder of them, got {path}, which has none")
        return found
    if path.name.endswith(SUFFIX) and path.is_file():
        return [path]
    beside = path.with_name(f"{path.stem}{SUFFIX}")
    if path.name.endswith(SUFFIX) or not beside.is_file():
        raise UserError(
            f"diagnostics must be *{SUFFIX} files of `qstar generate`, got {path}; there is no "
            f"{path if path.name.endswith(SUFFIX) else beside}"
        )
    return [beside]


def read_diagnostics(path: Path, name: str) -> Diagnostics:
    """Read a diagnostics file.

    Raises:
        UserError: if a line is not JSON, or no line of diagnostics.

    """
    values: dict[str, list[float]] = {column: [] for column in COLUMNS}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            row = _parse(line, f"{path}:{number}")
            for column in COLUMNS:
                value = row.get(column)
                values[column].append(float("nan") if value is None else float(value))
    if not values["tokens"]:
        raise UserError(f"diagnostics must hold at least one row, got {path}, which is empty")
    columns = {column: np.array(numbers) for column, numbers in values.items()}
    columns["kl_difference"] = np.abs(columns["kl_theta_mean"] - columns["kl_t_mean"])
    return Diagnostics(name, path, columns)


def _parse(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: diagnostics must be a JSON object per line: {error}") from error
    if not isinstance(row, dict) or "tokens" not in row:
        raise UserError(f"{where}: diagnostics must be those of `qstar generate`, got a line without tokens")
    return row


def statistics(values: Column) -> dict[str, float] | None:
    """Return mean, s.d. (n − 1), extremes and quantiles over the rows that have a value; None without any."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None
    quantiles = {f"q{round(100 * q):02d}": float(np.quantile(values, q)) for q in QUANTILES}
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {
        "rows": len(values),
        "mean": float(values.mean()),
        "std": deviation,
        "min": float(values.min()),
        **quantiles,
        "max": float(values.max()),
    }


def check_results(run: Diagnostics) -> list[dict[str, Any]]:
    """Return, per check, the mean over rows, whether it passes, and the share of rows that pass by themselves.

    A run without π_t has no value, and passes nothing: `passed` is None.
    """
    results = []
    for check in CHECKS:
        values = run.columns[check.column]
        values = values[np.isfinite(values)]
        mean = float(values.mean()) if len(values) else None
        passed = None if mean is None else bool(check.met_mask(np.array([mean]))[0])
        share = float(check.met_mask(values).mean()) if len(values) else None
        results.append({"check": check.name, "mean": mean, "passed": passed, "share_of_rows": share})
    return results


def analyse(runs: Sequence[Diagnostics]) -> dict[str, Any]:
    """Return statistics and checks of every run, as they are written to JSON."""
    return {
        "runs": {
            run.name: {
                "file": str(run.path),
                "rows": run.rows,
                "statistics": {name: statistics(column) for name, column in run.columns.items()},
                "checks": check_results(run),
            }
            for run in runs
        }
    }
