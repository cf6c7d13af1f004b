"""What a candidate-set sampler asks of a target that has no next-token distribution."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from qstar_pl.types import Rollout


class CandidateDistribution(ABC):
    """A distribution over a prompt's finished answers."""

    @abstractmethod
    def candidate_logprobs(self, candidates: Rollout, policy_logprobs: Tensor) -> Tensor:
        """Return log π_t over each prompt's candidates [prompts, N], normalised.

        Args:
            candidates: N answers to every prompt.
            policy_logprobs: [prompts, N] log π_θ over each set, normalised.

        """
