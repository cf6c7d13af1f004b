"""Rows that belong together: the answers to one prompt, or the prompts of one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qstar_pl.errors import UserError

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Rows:
    """Rows of numbers, each of one group."""

    values: Floats
    """[rows, width]"""
    codes: Codes
    """[rows], in [0, groups): the group of each row, numbered in the order of first appearance."""
    names: tuple[Any, ...]
    """[groups]"""

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.names)

    @property
    def sizes(self) -> Floats:
        """[groups]: rows of each."""
        return np.bincount(self.codes, minlength=self.groups).astype(np.float64)

    @property
    def sums(self) -> Floats:
        """[groups, width]: the rows of each group added up."""
        totals = np.zeros((self.groups, self.values.shape[1]))
        np.add.at(totals, self.codes, self.values)
        return totals


def rows_of(
    values: ArrayLike, groups: Sequence[Any] | NDArray[Any] | None = None, mask: ArrayLike | None = None
) -> Rows:
    """Check rows and number their groups; without `groups` every row is a group of its own.

    Args:
        values: [rows] or [rows, width].
        groups: [rows], anything that can be a key: prompt ids, row numbers, texts.
        mask: [rows], true where a row is to count; the others may hold anything, NaN too.

    Raises:
        UserError: if lengths differ, or a row that counts is not finite.

    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2):
        raise UserError(f"values must be [rows] or [rows, width], got {array.ndim} dimensions")
    table = array[:, None] if array.ndim == 1 else array
    keys: Sequence[Any] = range(len(table)) if groups is None else list(groups)
    if len(keys) != len(table):
        raise UserError(f"groups must name the group of each of {len(table)} rows, got {len(keys)}")
    kept = np.ones(len(table), dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if kept.shape != (len(table),):
        raise UserError(f"mask must say of each of {len(table)} rows whether it counts, got shape {kept.shape}")
    wrong = np.flatnonzero(kept & ~np.isfinite(table).all(axis=1))
    if wrong.size:
        got = table[wrong[0]].tolist()
        raise UserError(f"values must be finite, got {got[0] if len(got) == 1 else got} in row {wrong[0] + 1}")
    numbers: dict[Any, int] = {}
    codes = [numbers.setdefault(key, len(numbers)) for key, keep in zip(keys, kept, strict=True) if keep]
    return Rows(table[kept], np.asarray(codes, dtype=np.intp), tuple(numbers))
