"""Sufficient statistics of a set of weights that are known only by their logarithms, and what is formed from them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from .observer import Observer
from .reductions import LOGSUMEXP, MAX, MIN, widen


def row_log_weights(log_weights: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return Σ_t log w_t [rows] over counted tokens, and which rows [rows] count.

    A row without a counted token is filler, not an answer: an answer has its EOS at least.
    """
    values = widen(log_weights)
    return torch.where(mask, values, torch.zeros_like(values)).sum(-1), mask.any(-1)


def add_log_weights(diagnostic: Observer, prefix: str, log_weights: Tensor, mask: Tensor) -> None:
    """Add count, Σw, Σw² (by log-sum-exp), max and min of the weights where `mask` is True.

    Args:
        diagnostic: whose statistics `<prefix>/…` to add to.
        prefix: name of the set.
        log_weights: any shape; −inf (w = 0) is a value like any other.
        mask: bool, same shape.

    """
    if log_weights.numel() == 0:
        return
    values = widen(log_weights).flatten()
    counted = mask.flatten()
    low, high = values.new_tensor(-torch.inf), values.new_tensor(torch.inf)
    values_or_none = torch.where(counted, values, low)
    diagnostic.add(f"{prefix}/count", counted.sum())
    diagnostic.add(f"{prefix}/log_sum", values_or_none.logsumexp(0), LOGSUMEXP)
    diagnostic.add(f"{prefix}/log_sum_squares", (2 * values_or_none).logsumexp(0), LOGSUMEXP)
    diagnostic.add(f"{prefix}/log_max", values_or_none.amax(), MAX)
    diagnostic.add(f"{prefix}/log_min", torch.where(counted, values, high).amin(), MIN)


def weight_metrics(stats: Mapping[str, float], prefix: str) -> dict[str, float]:
    """Return mean, max, min, cv and ess_fraction of the set; {} if it is empty.

    ess_fraction = (Σw)² / (N Σw²) and cv = √(1/ess_fraction − 1), the population's, are absent if all weights are 0.
    """
    count = stats.get(f"{prefix}/count", 0.0)
    if not count > 0:
        return {}
    log_sum = stats[f"{prefix}/log_sum"]
    metrics = {
        "mean": exp(log_sum - math.log(count)),
        "max": exp(stats[f"{prefix}/log_max"]),
        "min": exp(stats[f"{prefix}/log_min"]),
    }
    if log_sum == -math.inf:
        return metrics
    # At most 1 (Cauchy–Schwarz), up to the last digit; 0 where it underflows.
    ess_fraction = min(1.0, exp(2 * log_sum - stats[f"{prefix}/log_sum_squares"] - math.log(count)))
    cv = math.sqrt(1 / ess_fraction - 1) if ess_fraction > 0 else math.inf
    return metrics | {"cv": cv, "ess_fraction": ess_fraction}


def exp(log_value: float) -> float:
    """Return e^log_value, inf where a float cannot hold it."""
    # e^709.78 is the largest double, beyond which math.exp raises OverflowError.
    return math.exp(log_value) if log_value < 709.0 else math.inf if log_value == log_value else math.nan
