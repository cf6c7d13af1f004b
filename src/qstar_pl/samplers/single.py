"""Sampling from one of the two models."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.rollout.law import POLICY, TARGET, Alone, Law
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.samplers.decoding import DecodingSampler
from qstar_pl.samplers.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class PolicySampler(DecodingSampler):
    """q = π_θ: on-policy. α is 1 and log Z is 0; π_t reads the finished answers in one pass."""

    @property
    def law(self) -> Law:
        """See `DecodingSampler.law`."""
        return Alone(POLICY)

    @property
    def needs_target(self) -> bool:
        """See `Sampler.needs_target`."""
        return False


@dataclass(frozen=True, kw_only=True)
class TargetSampler(DecodingSampler):
    """q = π_t: fully off-policy. α is 0 and log Z is 0; π_θ reads the finished answers in one pass."""

    @property
    def law(self) -> Law:
        """See `DecodingSampler.law`."""
        return Alone(TARGET)


def draws_policy(sampler: Sampler) -> bool:
    """Return whether q is known to be π_θ itself, which temperature, top_k and top_p change."""
    truncation = Truncation(sampler.temperature, sampler.top_k, sampler.top_p)
    # Of a class derived from PolicySampler nothing is known.
    return type(sampler) is PolicySampler and not truncation.changes
