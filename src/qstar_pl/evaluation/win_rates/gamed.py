"""AlpacaEval's file of gamed baselines, from which its length-controlled rates are formed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qstar_pl.errors import UserError
from qstar_pl.evaluation.win_rates.length_control import GamedBaseline

MOST_PROMPTS = 1_000_000


def read_gamed_baseline(path: Path | str) -> GamedBaseline:
    """Read `df_gamed.csv` of the dataset tatsu-lab/alpaca_eval.

    Args:
        path: rows of index (the prompt's number), preference in [0, 1], std_delta_len and instruction_difficulty.

    Raises:
        UserError: naming the file and the row, if a column is missing or no number; if there is no row.

    """
    from qstar_pl.data.reading.read import read_rows
    from qstar_pl.data.reading.row import Unreadable

    rows = []
    for where, row in read_rows(str(path)):
        if isinstance(row, Unreadable):
            raise UserError(f"{where}: {row.reason}")
        rows.append([_number(where, row, name) for name in _COLUMNS])
    if not rows:
        raise UserError(f"gamed must have at least one row, got none in {path}")
    table = np.array(rows, dtype=np.float64)
    wrong = (table[:, 0] % 1 != 0) | (table[:, 0] < 0) | (table[:, 0] >= MOST_PROMPTS)
    if wrong.any():
        raise UserError(f"{path}: index must be a whole number from 0 to {MOST_PROMPTS - 1}, got {table[wrong][0, 0]}")
    numbers = table[:, 0].astype(np.intp)
    by_prompt = np.full(int(numbers.max()) + 1, np.nan)
    by_prompt[numbers[::-1]] = table[::-1, 3]  # the first of a number counts
    return GamedBaseline(table[:, 1], table[:, 2], table[:, 3], by_prompt)


def _number(where: str, row: Mapping[str, Any], name: str) -> float:
    try:
        number = float(row[name])
    except (KeyError, TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{where}: {name} must be a number, got {row.get(name, 'no such column')!r:.80}")
    return number


_COLUMNS = ("index", "preference", "std_delta_len", "instruction_difficulty")
