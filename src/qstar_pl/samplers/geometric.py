"""Sampling from the geometric mixture."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.qstar import AlphaStrategy, KLSymmetricAlpha
from qstar_pl.rollout.law import Geometric, Law
from qstar_pl.samplers.decoding import DecodingSampler


@dataclass(frozen=True, kw_only=True)
class GeometricSampler(DecodingSampler):
    """q = π_θ^α π_t^(1−α)/Z, token by token: q* with the default α.

    The product over tokens is not the normalized mixture of whole answers, q_seq. With S = Σ_t log Z_t along an answer
    the gap of a prompt is D(q‖q_seq) = log E_q[e^S] − E_q[S] (logged as `alpha/sequence_gap`), 0 where S does not vary.
    `SequenceGeometricSampler` draws from q_seq.
    """

    alpha: AlphaStrategy = KLSymmetricAlpha()  # noqa: RUF009 (frozen)
    """How the exponent of π_θ is chosen at every token."""

    @property
    def law(self) -> Law:
        """See `DecodingSampler.law`."""
        return Geometric(self.alpha)
