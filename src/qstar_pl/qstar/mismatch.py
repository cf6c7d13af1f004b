"""Answers that others drew: the factor between the law that they follow and the law that was meant.

An inference engine draws from μ, which is the sampling law q up to its own kernels, its precision and the age of its
weights. The trainer computes q of the very tokens itself, and so the weight of an answer has two parts,

    π_θ/μ = π_θ/q · q/μ,

of which the first is the correction of sampling from q, and the second, the *mismatch*, would be 1 in a perfect world.
A correction says how the second one enters. With a perfect engine, μ = q to the bit, all of them give the weights that
there would have been without an engine, bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from qstar_pl.qstar.weights import ClippedWeights, WeightTreatment


class TokenLogprobs(NamedTuple):
    """What is known of the drawn tokens, each [rows, time] in nats."""

    policy: Tensor
    """log π_θ."""
    behavior: Tensor
    """log μ: the law that the tokens were drawn from, as whoever drew them reports it."""
    recomputed: Tensor
    """log q: the same law, computed by the models that train."""


class Weights(NamedTuple):
    """What enters the loss, and what it was made of, each [rows, time]; see `WeightTreatment`."""

    log_weights: Tensor
    """log π_θ/μ, raw: diagnostics read these."""
    weights: Tensor
    """Treated; 0 where the mask is False."""
    clipping: Tensor
    """What a bound of `weights` did (not one of the mismatch's own treatment)."""


class MismatchCorrection(ABC):
    """How the factor q/μ enters the weights."""

    @abstractmethod
    def __call__(
        self, logprobs: TokenLogprobs, treatment: WeightTreatment, mask: Tensor, prompt_index: Tensor
    ) -> Weights:
        """Return the weights of a loss.

        Args:
            logprobs: of the drawn tokens.
            treatment: of the weights π_θ/q.
            mask: [rows, time] bool.
            prompt_index: [rows] int64, the prompt of each row.

        """


@dataclass(frozen=True)
class OneFactor(MismatchCorrection):
    """w = f(π_θ/μ): the mismatch is a part of the weight, and `weights` f treats both parts as one.

    Exact where f is (`RawWeights` at sequence level). The default: μ is the law that the answers follow, and so it is
    what they are weighed against.
    """

    def __call__(
        self, logprobs: TokenLogprobs, treatment: WeightTreatment, mask: Tensor, prompt_index: Tensor
    ) -> Weights:
        """See `MismatchCorrection.__call__`."""
        raw = logprobs.policy - logprobs.behavior
        return Weights(raw, treatment(raw, mask, prompt_index), treatment.clipping(raw, mask, prompt_index))


@dataclass(frozen=True, kw_only=True)
class TwoFactors(MismatchCorrection):
    """w = f(π_θ/q) · g(q/μ), each with a treatment and a level of its own.

    For weights of whole answers beside a mismatch that is bounded token by token. The default g cuts each token's ratio
    at 2 and leaves the others raw: truncated importance sampling as in IMPALA (Espeholt et al. 2018,
    https://arxiv.org/abs/1802.01561). With ``ClippedWeights(low=0, high=…)`` g truncates, with ``MaskedWeights`` it
    leaves out what lies outside its bounds. Exact where f and g are raw and of whole answers.
    """

    mismatch: WeightTreatment = ClippedWeights(low=0.0, high=2.0, level="token")  # noqa: RUF009 (frozen)
    """g."""

    def __call__(
        self, logprobs: TokenLogprobs, treatment: WeightTreatment, mask: Tensor, prompt_index: Tensor
    ) -> Weights:
        """See `MismatchCorrection.__call__`."""
        own = logprobs.policy - logprobs.recomputed
        factor = self.mismatch(logprobs.recomputed - logprobs.behavior, mask, prompt_index)
        return Weights(
            log_weights=logprobs.policy - logprobs.behavior,
            weights=treatment(own, mask, prompt_index) * factor,
            clipping=treatment.clipping(own, mask, prompt_index),
        )


@dataclass(frozen=True)
class Uncorrected(MismatchCorrection):
    """w = f(π_θ/q), as if the engine were perfect: the expectation is off by the factor q/μ that is left out."""

    def __call__(
        self, logprobs: TokenLogprobs, treatment: WeightTreatment, mask: Tensor, prompt_index: Tensor
    ) -> Weights:
        """See `MismatchCorrection.__call__`."""
        own = logprobs.policy - logprobs.recomputed
        return Weights(
            log_weights=logprobs.policy - logprobs.behavior,
            weights=treatment(own, mask, prompt_index),
            clipping=treatment.clipping(own, mask, prompt_index),
        )
