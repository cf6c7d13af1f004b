"""The sums that a metric is computed from: unlike ratios, they add up over batches and ranks."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

Sums = Mapping[str, Tensor]
"""Name → [] float32."""
_COUNT = "/count"


def total(name: str, values: Tensor) -> dict[str, Tensor]:
    """Return the sum of `values` and how many they are, from which `means` forms their mean; {} of none.

    Args:
        name: of the mean.
        values: any shape, a number or truth value each; those that are NaN are left out, with a warning.

    """
    if values.numel() == 0:
        return {}
    values = values.detach().float()  # half precision would lose small values in a long sum
    missing = values.isnan()
    if missing.any():
        rank_zero_warn(f"{name}: values that are not a number are left out of the mean, here {int(missing.sum())}")
        values = values[~missing]
    return {name: values.sum(), name + _COUNT: values.new_tensor(float(values.numel()))}


def means(sums: Sums) -> dict[str, Tensor]:
    """Return the mean of everything that `total` has counted; where it counted nothing, the mean is absent."""
    counted = [name for name in sums if name + _COUNT in sums and bool(sums[name + _COUNT] > 0)]
    return {name: sums[name] / sums[name + _COUNT] for name in counted}
