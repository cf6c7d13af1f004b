"""Reductions over what counts. A mask is bool and True = counts; where it is False the values are never read."""

import torch
from torch import Tensor


def masked_sum(values: Tensor, mask: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """Sum of `values` over `dim` (all dimensions if None) where `mask` is True.

    Selecting instead of multiplying keeps an inf or NaN at a position that does not count out of the sum.
    """
    selected = torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))
    return selected.sum() if dim is None else selected.sum(dim)


def masked_mean(values: Tensor, mask: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """Mean of `values` over `dim` where `mask` is True; NaN where nothing counts, since there is no mean to report."""
    count = mask.sum() if dim is None else mask.sum(dim)
    return masked_sum(values, mask, dim) / count
