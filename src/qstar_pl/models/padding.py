"""Pads on the left that rows of different lengths need to stand side by side."""

from __future__ import annotations

from torch import Tensor

LEAST_ROWS = 4
"""Rows of a matrix product at least. Products of fewer rows are summed by other kernels, in another order; from four
on, a single thread gives each row bit for bit what the whole batch gives it. Four cost hardly more than one."""
STRIDE = 16
"""Columns that sums over a row take at a time, in any of the CPU's vector units (AVX-512: 16 of float32; AVX2: 8).
A row that is moved by a multiple of them is summed in the same order: what it gets stays what it was, bit for bit."""


def pad_left(values: Tensor, columns: int, dim: int) -> Tensor:
    """Return `values` with zeros (False) before what stands in `dim`, so that it has `columns`."""
    missing = columns - values.shape[dim]
    if missing == 0:
        return values
    shape = list(values.shape)
    shape[dim] = columns
    padded = values.new_zeros(shape)
    padded.narrow(dim, missing, columns - missing).copy_(values)
    return padded


def spare_columns(columns: int, needed: int) -> int:
    """Return how many columns on the left may go if `needed` must stay: a multiple of `STRIDE`."""
    return (columns - needed) // STRIDE * STRIDE
