"""Whitening over everything that counts, on all ranks."""

from collections.abc import Callable

import torch
from torch import Tensor

from qstar_pl.qstar.masking import masked_sum


def whiten(
    values: Tensor, mask: Tensor, *, all_sum: Callable[[Tensor], Tensor] = lambda total: total, epsilon: float = 1e-8
) -> Tensor:
    """Return (values − mean)/s.d. where `mask` is True and 0 elsewhere; mean and s.d. (with n) are of counted values.

    Args:
        values: any shape.
        mask: same shape, bool.
        all_sum: sums a small vector over ranks, so that the statistics do not depend on how rows were dealt out.
        epsilon: added to the variance.

    """
    total = all_sum(torch.stack([masked_sum(values, mask), mask.sum().to(values.dtype)]).double())
    mean = total[0] / total[1]
    # Centred before squaring: the difference of large sums would lose digits.
    centred = torch.where(mask, values - mean.to(values.dtype), 0.0)
    variance = all_sum(centred.double().square().sum().unsqueeze(0))[0] / total[1]
    return centred / (variance + epsilon).sqrt().to(values.dtype)
