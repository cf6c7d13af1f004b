"""Diagnostics files as columns of numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstar_pl.errors import UserError
from qstar_pl.rollout.row_numbers import ROW_NUMBERS

SUFFIX = ".diagnostics.jsonl"
COLUMNS = ("tokens", *ROW_NUMBERS)
LARGEST = 1e30
"""No number of a run is larger, and no axis of a figure reaches further."""
NESTED = "diagnostics"
"""Key under which some tools keep an answer's numbers, inside its row of text."""
Column = NDArray[np.float64]


@dataclass(frozen=True)
class Diagnostics:
    """The diagnostics of one run."""

    name: str
    path: Path
    columns: Mapping[str, Column]
    """[rows] each; NaN where a row has no value. `kl_difference` is added: |kl_theta_mean − kl_t_mean| per row, so that
    rows of either sign do not cancel."""
    prompts_cut: int = 0
    """Number of answers whose prompt was cut."""

    @property
    def rows(self) -> int:
        """Number of answers."""
        return len(self.columns["tokens"])


def find_diagnostics(path: Path) -> list[Path]:
    """Return the diagnostics that a path stands for: the file itself, the one beside an output, or all in a folder.

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
    # Another tool's file, whose rows hold diagnostics themselves.
    if not path.name.endswith(SUFFIX) and not beside.is_file() and path.is_file() and _has_numbers(path):
        return [path]
    if path.name.endswith(SUFFIX) or not beside.is_file():
        raise UserError(
            f"diagnostics must be *{SUFFIX} files of `qstar generate`, got {path}; there is no "
            f"{path if path.name.endswith(SUFFIX) else beside}"
        )
    return [beside]


def _has_numbers(path: Path) -> bool:
    """Return whether a file with another suffix holds diagnostics all the same, by its first line."""
    try:
        with path.open(encoding="utf-8") as file:
            _parse(file.readline(), str(path))
    except (UserError, UnicodeDecodeError):
        return False
    return True


def read_diagnostics(path: Path, name: str) -> Diagnostics:
    """Read a diagnostics file of this project, or one that has some of its keys.

    Raises:
        UserError: if a line is not JSON or holds no diagnostics, or the file is empty.

    """
    values: dict[str, list[float]] = {column: [] for column in COLUMNS}
    cut = 0
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            row = _parse(line, f"{path}:{number}")
            cut += bool(row.get("prompt_cut"))
            for column in COLUMNS:
                values[column].append(_number(row, column, f"{path}:{number}"))
    if not values["tokens"]:
        raise UserError(f"diagnostics must hold at least one row, got {path}, which is empty")
    columns = {column: np.array(numbers) for column, numbers in values.items()}
    columns["kl_difference"] = np.abs(columns["kl_theta_mean"] - columns["kl_t_mean"])
    columns["ess_ratio"] = _ratios(columns)
    return Diagnostics(name, path, columns, cut)


def _ratios(columns: Mapping[str, Column]) -> Column:
    """Return each answer's ESS ratio: as given, else from its two means, else the mean of its tokens' ratios."""
    with np.errstate(invalid="ignore", divide="ignore"):
        of_means = columns["ess_theta_mean"] / columns["ess_t_mean"]
    # Where both sizes are known they decide, so 0/0 stays undefined instead of falling back to the mean of ratios.
    sizes = np.isfinite(columns["ess_theta_mean"]) & np.isfinite(columns["ess_t_mean"])
    found = np.where(sizes, of_means, columns["ess_ratio_mean"])
    return np.where(np.isfinite(columns["ess_ratio"]), columns["ess_ratio"], found)


def _number(row: Mapping[str, Any], column: str, where: str) -> float:
    value = row.get(column)
    if value is None:
        return math.nan
    # bool is a subclass of int.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{where}: {column} must be a number, got {value!r}")
    if LARGEST < abs(value) < math.inf:
        raise UserError(f"{where}: {column} must lie within ±{LARGEST:g}, got {str(value)[:20]}")
    return float(value)


def _parse(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: diagnostics must be a JSON object per line: {error}") from error
    if isinstance(row, dict) and isinstance(row.get(NESTED), dict):
        row = row[NESTED]
    if not isinstance(row, dict) or not any(name in row for name in ROW_NUMBERS):
        raise UserError(
            f"{where}: diagnostics must be those of `qstar generate`, got a line without any of its numbers, such as "
            "alpha_mean"
        )
    return row
