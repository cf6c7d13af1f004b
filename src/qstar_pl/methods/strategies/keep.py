"""Which of the sampled answers a policy learns from."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qstar_pl.qstar.logprobs import sequence_logprobs
from qstar_pl.rollout.streams import row_uniforms
from qstar_pl.types import ScoredRollout


@dataclass(frozen=True)
class Kept:
    """The choice, and what is worth logging of it."""

    mask: Tensor
    """[rows] bool."""
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    """[] each."""


@dataclass(frozen=True)
class Keep(ABC):
    """Chooses among the answers of a rollout; rows of one prompt stand side by side."""

    @abstractmethod
    def __call__(self, scored: ScoredRollout) -> Kept:
        """Return the choice, drawn with the rollout's own seed where it is random."""


@dataclass(frozen=True)
class KeepAll(Keep):
    """Every answer."""

    def __call__(self, scored: ScoredRollout) -> Kept:
        """See `Keep`."""
        return Kept(torch.ones_like(scored.rewards, dtype=torch.bool))


@dataclass(frozen=True)
class KeepBest(Keep):
    """Of each prompt's answers the one with the highest reward, the first of a tie (best-of-n)."""

    def __call__(self, scored: ScoredRollout) -> Kept:
        """See `Keep`."""
        rewards = scored.rewards.view(len(scored.rollout.prompts), -1)
        # Not argmax, which may return any of several maxima. The running count is 1 from the first one to the second.
        best = (rewards == rewards.amax(-1, keepdim=True)).int().cumsum(-1)
        return Kept(((best == 1) & (rewards == rewards.amax(-1, keepdim=True))).flatten())


@dataclass(frozen=True)
class AcceptReject(Keep):
    """Accept an answer with probability min(1, π_t(y) / (M q(y))), ratios of whole answers (von Neumann 1951).

    With M ≥ π_t/q everywhere the accepted answers are samples of π_t, one in M of them. q is the law that the answers
    were drawn from: π_θ with the default sampler.

    M is a number given by the user, or else estimated for every prompt as the largest ratio among its answers. That
    estimate is never above the true bound, so it is biased low: too many answers are accepted, those of high ratio
    stay rarer than under π_t, and at least one answer per prompt is always kept. It is π_t exactly only in the limit
    of many answers. Terms: `log_bound` (mean over prompts), and `over_bound`, the share of answers whose ratio is
    above M (0 with the estimate), for which min(1, ·) has cut something off.
    """

    log_bound: float | None = None
    """log M, nats per answer; null: estimated per prompt."""

    def __call__(self, scored: ScoredRollout) -> Kept:
        """See `Keep`."""
        rollout = scored.rollout
        mask, prompts = rollout.completion_mask, rollout.prompts
        log_ratios = sequence_logprobs(rollout.target_logprobs - rollout.behavior_logprobs, mask)
        by_prompt = log_ratios.view(len(prompts), -1)
        if self.log_bound is None:
            bounds = by_prompt.amax(-1, keepdim=True)  # [prompts, 1]
        else:
            bounds = torch.full_like(by_prompt[:, :1], self.log_bound)
        # float64 like the uniforms: in float32 a ratio just below the bound could round up to it.
        excess = (by_prompt.double() - bounds.double()).flatten()
        uniforms = row_uniforms(
            prompts.keys, by_prompt.shape[1], 1, seed=rollout.info.seed, purpose="accept-reject"
        ).squeeze(-1)
        # u < exp(excess) with u in [0, 1): a ratio at the bound is always accepted, a ratio of 0 never.
        kept = uniforms.to(excess.device) < excess.exp()
        return Kept(kept, {"log_bound": bounds.mean(), "over_bound": (excess > 0).float().mean()})
