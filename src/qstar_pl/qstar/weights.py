"""Importance weights π_θ/q: how the raw log-weights are treated before they enter a loss.

The raw log-weights always reach the diagnostics; a treatment only changes what the loss sees. Every weight is a
constant of the loss (no gradient flows through it).

Each treatment says how far the expected gradient is from the true one, on a pair of small models whose 4-tuples of
answers were all enumerated (tests/invariant/test_bias.py), with `LeaveOneOut`: *share* is how much of the true gradient
is in the expected one (1: all), *error* the length of their difference over that of the true one; first for the
KL-symmetric q, whose ESS is 0.36, then for q = π_t, whose ESS is 0.01. On policy all of them are exact.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.qstar.masking import masked_sum
from qstar_pl.qstar.pareto import FEWEST, pareto_smooth

_Function = Callable[[Tensor, Tensor], Tensor]
"""(raw log-weights [n], prompt_index [n]) → [n]."""


@dataclass(frozen=True, kw_only=True)
class WeightTreatment(ABC):
    """Turns raw log-weights into the weights of a loss."""

    level: Literal["token", "sequence"] = "sequence"
    """sequence: one weight Π_t π_θ/q per answer, exact if raw. token: each token its own π_θ/q, of far lower
    variance, as in PPO's surrogate, and biased also if raw: share 0.36 (error 0.68); q = π_t: 0.23 (1.03)."""

    def __call__(self, log_weights: Tensor, mask: Tensor, prompt_index: Tensor) -> Tensor:
        """Return the weights [rows, time]; 0 where `mask` is False.

        Args:
            log_weights: [rows, time] raw log π_θ(y_t)/q(y_t), nats.
            mask: [rows, time] bool.
            prompt_index: [rows] int64, the prompt of each row (treatments that normalize do so per prompt).

        """
        return self._at_level(self.treat, log_weights, mask, prompt_index)

    def clipping(self, log_weights: Tensor, mask: Tensor, prompt_index: Tensor) -> Tensor:
        """Return [rows, time] what a bound did to each weight: −1 raised, 1 lowered, 0 left it; arguments as above.

        Constant along a row at sequence level, and 0 where `mask` is False.
        """
        return self._at_level(self.bound, log_weights, mask, prompt_index)

    def _at_level(self, function: _Function, log_weights: Tensor, mask: Tensor, prompt_index: Tensor) -> Tensor:
        log_weights = log_weights.detach()
        # A whole answer's weight is the product of its tokens': a sum of logarithms.
        if self.level == "sequence":
            of_rows = function(masked_sum(log_weights, mask, dim=-1), prompt_index)
            return torch.where(mask, of_rows.unsqueeze(-1), 0.0)
        # Flattened to what counts [n], so that a treatment never sees a pad.
        of_tokens = torch.zeros_like(log_weights)
        of_tokens[mask] = function(log_weights[mask], prompt_index.unsqueeze(-1).expand_as(mask)[mask])
        return of_tokens

    def bound(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """Return −1, 0 or 1 [n] (see `clipping`) of the raw log-weights [n]; 0 unless the treatment has bounds."""
        return torch.zeros_like(log_weights)

    @abstractmethod
    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """Return the weights [n] of the raw log-weights [n]; `prompt_index` [n] says whose they are."""


@dataclass(frozen=True, kw_only=True)
class Unweighted(WeightTreatment):
    """w = 1: the samples are treated as if they came from π_θ.

    Biased unless they did: share 1.04 (error 0.85); q = π_t: 0.98 (0.83).
    """

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
    """w clipped to [low, high]: biased toward q, of bounded variance.

    Share 1.07 (error 0.09), with 38% of the answers raised to the floor; q = π_t: -0.32 (1.33), with 91% at the floor
    and 2% at the cap: there the gradient points away from the true one. `weights/floor_fraction` says how many are
    raised.
    """

    low: float = 0.1
    """Smallest weight."""
    high: float = 10.0
    """Largest weight."""

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        return log_weights.exp().clamp(self.low, self.high)

    def bound(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.bound`."""
        weights = log_weights.exp()
        return (weights > self.high).to(weights.dtype) - (weights < self.low).to(weights.dtype)


@dataclass(frozen=True, kw_only=True)
class MaskedWeights(WeightTreatment):
    """w inside [low, high], and 0 outside: what lies far from q is left out of the gradient instead of being bounded.

    Share 0.98 (error 0.03); q = π_t: -0.45 (1.45), where nearly all is left out. Beside an engine's mismatch it is
    what others call IcePop.
    """

    low: float = 0.1
    """Smallest weight that counts."""
    high: float = 10.0
    """Largest weight that counts."""

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        return torch.where(self.bound(log_weights, prompt_index) == 0, log_weights.exp(), 0.0)

    def bound(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """Return 1 [n] where the weight was set to 0, which lowers it; else 0."""
        weights = log_weights.exp()
        return ((weights > self.high) | (weights < self.low)).to(weights.dtype)


@dataclass(frozen=True, kw_only=True)
class MeanNormalisedWeights(WeightTreatment):
    """w divided by the mean over the micro-batch, so that they average to 1; depends on what shares the batch.

    With one prompt in the micro-batch the same as `SelfNormalisedWeights`, bias included; more prompts reduce the bias.
    """

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        # n w/Σw, where exp alone could overflow; a batch without any weight has no shares, and keeps its zeros.
        weighs = log_weights.numel() > 0 and log_weights.amax() > -torch.inf
        return log_weights.softmax(0) * log_weights.numel() if weighs else log_weights.exp()


@dataclass(frozen=True, kw_only=True)
class SelfNormalisedWeights(WeightTreatment):
    """w divided by their mean over the samples of the same prompt.

    The self-normalized estimator of E_πθ[·|x]: consistent, of bias O(1/n), bounded by n. Normalizing per prompt keeps
    it independent of how a batch is split into micro-batches or over ranks. With few answers the bias is large: share
    0.44 (error 0.56); q = π_t: -1.28 (2.48), pointing away from the true gradient.
    """

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        relative, _ = _relative_to_prompt(log_weights, prompt_index)
        return relative


@dataclass(frozen=True, kw_only=True)
class TruncatedWeights(WeightTreatment):
    """w cut at √n times the mean weight of its prompt's n samples (Ionides 2008, truncated importance sampling).

    Unlike a fixed bound the cut loosens as samples grow, so the estimate is consistent. It shrinks the gradient and
    hardly turns it: share 0.79 (error 0.21); q = π_t: 0.46 (0.54).
    """

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        relative, counts = _relative_to_prompt(log_weights, prompt_index)
        return log_weights.exp() * torch.clamp(counts.sqrt() / relative, max=1.0)  # min(w, √n · mean)

    def bound(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.bound`."""
        relative, counts = _relative_to_prompt(log_weights, prompt_index)
        return (relative > counts.sqrt()).to(log_weights.dtype)


@dataclass(frozen=True, kw_only=True)
class ParetoSmoothedWeights(WeightTreatment):
    """The largest weights of the micro-batch replaced by quantiles of a fitted tail (PSIS; see `pareto_smooth`).

    Needs at least 21 weights in a micro-batch to have a tail to fit; with fewer they stay raw, with a warning. Biased a
    little where the weights have moments, more where not: with 32 answers of one prompt (6,000 simulated sets) share
    1.00; q = π_t: about 0.87.
    """

    def treat(self, log_weights: Tensor, prompt_index: Tensor) -> Tensor:
        """See `WeightTreatment.treat`."""
        if (count := log_weights.numel()) < FEWEST:
            warnings.warn(
                f"{type(self).__name__}: {count} weights of a micro-batch have no tail to smooth, and stay raw; "
                f"there must be at least {FEWEST}",
                RuntimeWarning,
                stacklevel=3,
            )
        return pareto_smooth(log_weights)[0].exp()


def _check_bounds(low: float, high: float) -> None:
    if not 0 <= low < high:
        raise UserError(f"low and high must satisfy 0 <= low < high, got low={low}, high={high}")


def _relative_to_prompt(log_weights: Tensor, prompt_index: Tensor) -> tuple[Tensor, Tensor]:
    """Return each weight over the mean weight of its prompt, and the number of samples of that prompt.

    Where π_θ gives no answer of a prompt any probability, their weights are 0.
    """
    prompts, group = torch.unique(prompt_index, return_inverse=True)
    # Relative to the prompt's largest: the ratio is the same, and exp cannot overflow.
    highest = log_weights.new_full((len(prompts),), -torch.inf)
    highest = highest.scatter_reduce(0, group, log_weights, "amax")
    highest = highest.masked_fill(highest == -torch.inf, 0.0)  # −inf − (−inf) would be NaN
    weights = (log_weights - highest[group]).exp()
    totals = weights.new_zeros(len(prompts)).index_add(0, group, weights)
    counts = weights.new_zeros(len(prompts)).index_add(0, group, torch.ones_like(weights))
    totals = totals.masked_fill(totals == 0, 1.0)
    return weights / totals[group] * counts[group], counts[group]
