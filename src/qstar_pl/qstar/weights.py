"""Importance weights π_θ/q: how the raw log-weights are treated before they enter a loss.

The raw log-weights always reach the diagnostics; a treatment only changes what the loss sees. Every weight is a
constant of the loss (no gradient flows through it).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.qstar.masking import masked_sum
from qstar_pl.qstar.pareto import pareto_smooth


@dataclass(frozen=True, kw_only=True)
class WeightTreatment(ABC):
    """Turns raw log-weights into the weights of a loss."""

    level: Literal["token", "sequence"] = "sequence"
    """sequence: one weight Π_t π_θ/q per answer, exact. token: each token its own π_θ/q, biased but of far lower
    variance, as in PPO's surrogate."""

    def __call__(self, log_weights: Tensor, mask: Tensor, prompt_index: Tensor) -> Tensor:
        """Return the weights [rows, time]; 0 where `mask` is False.

        Args:
            log_weights: [rows, time] raw log π_θ(y_t)/q(y_t), nats.
            mask: [rows, time] bool.
            prompt_index: [rows] int64, the prompt of each row (treatments that normalise do so per prompt).

        """
        log_weights = log_weights.detach()
        if self.level == "sequence":
            row_weights = self.treat(masked_sum(log_weights, mask, dim=-1), prompt_index)
            return torch.where(mask, row_weights.unsqueeze(-1), 0.0)
        prompt_of_token = prompt_index.unsqueeze(-1).expand_as(mask)[mask]
        weights = torch.zeros_like(log_weights)
        weights[mask] = self.treat(log_weights[mask], prompt_of_token)
        return weights

    @abstractmethod
    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """Return the weights [n] of the raw log-weights [n]; `prompt_index` [n] says whose they are."""


@dataclass(frozen=True, kw_only=True)
class Unweighted(WeightTreatment):
    """w = 1: the samples are taken as if they came from π_θ (biased unless they did)."""

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        return torch.ones_like(log_weights)


@dataclass(frozen=True, kw_only=True)
class RawWeights(WeightTreatment):
    """w = π_θ/q: unbiased wherever q > 0, and of unbounded variance."""

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        return log_weights.exp()


@dataclass(frozen=True, kw_only=True)
class ClippedWeights(WeightTreatment):
    """w clipped to [low, high]: biased towards q, of bounded variance."""

    low: float = 0.1
    """Smallest weight."""
    high: float = 10.0
    """Largest weight."""

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise UserError(f"low and high must satisfy 0 <= low < high, got low={self.low}, high={self.high}")

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        return log_weights.exp().clamp(self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class MeanNormalisedWeights(WeightTreatment):
    """w divided by the mean over the micro-batch, so that they average to 1; depends on what shares the batch."""

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        return log_weights.softmax(0) * log_weights.numel()


@dataclass(frozen=True, kw_only=True)
class SelfNormalisedWeights(WeightTreatment):
    """w divided by their mean over the samples of the same prompt.

    The self-normalised estimator of E_πθ[·|x]: consistent, of bias O(1/n), bounded by n. Normalising per prompt keeps
    it independent of how a batch is split into micro-batches or over ranks.
    """

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        relative, _ = _relative_to_prompt(log_weights, prompt_index)
        return relative


@dataclass(frozen=True, kw_only=True)
class TruncatedWeights(WeightTreatment):
    """w cut at √n times the mean weight of its prompt's n samples (Ionides 2008, truncated importance sampling).

    Unlike a fixed bound the cut loosens as samples grow, so the estimate is consistent.
    """

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        relative, counts = _relative_to_prompt(log_weights, prompt_index)
        return log_weights.exp() * torch.clamp(counts.sqrt() / relative, max=1.0)


@dataclass(frozen=True, kw_only=True)
class ParetoSmoothedWeights(WeightTreatment):
    """The largest weights of the micro-batch replaced by quantiles of a fitted tail (PSIS; see `pareto_smooth`).

    Needs at least 25 samples in a micro-batch to have a tail to fit; with fewer the weights stay raw.
    """

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        return pareto_smooth(log_weights)[0].exp()


def _relative_to_prompt(log_weights: Tensor, prompt_index: Tensor) -> tuple[Tensor, Tensor]:
    """Return each weight over the mean weight of its prompt, and the number of samples of that prompt."""
    prompts, group = torch.unique(prompt_index, return_inverse=True)
    highest = log_weights.new_full((len(prompts),), -torch.inf)
    highest = highest.scatter_reduce(0, group, log_weights, "amax")
    weights = (log_weights - highest[group]).exp()
    totals = weights.new_zeros(len(prompts)).index_add(0, group, weights)
    counts = weights.new_zeros(len(prompts)).index_add(0, group, torch.ones_like(weights))
    return weights / totals[group] * counts[group], counts[group]
