"""Several rewards as one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Example, Rollout


class WeightedSum(Reward):
    """Σ_i weights_i · rewards_i, e.g. a learned reward with a programmatic one."""

    def __init__(self, rewards: list[Reward], weights: list[float]) -> None:
        """Describe the sum.

        Args:
            rewards: the terms.
            weights: one factor per term.

        """
        super().__init__()
        if not rewards or len(rewards) != len(weights):
            raise UserError(f"weights must have one factor for each of rewards, got {len(weights)} for {len(rewards)}")
        self.rewards = nn.ModuleList(rewards)
        self.weights = tuple(weights)

    def build(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Reward.build`."""
        for reward in self.rewards:
            # For the type checker: a ModuleList holds modules of any kind.
            assert isinstance(reward, Reward)
            reward.build(tokenizer)

    def left_to_default(self) -> str | None:
        """See `Reward.left_to_default`."""
        for number, reward in enumerate(self.rewards):
            assert isinstance(reward, Reward)
            if (option := reward.left_to_default()) is not None:
                return f"rewards[{number}].{option}"
        return None

    def unknown(self, example: Example) -> str | None:
        """See `Reward.unknown`."""
        for reward in self.rewards:
            assert isinstance(reward, Reward)
            # One that gives 0 for unknown rows leaves them to the other terms.
            if not reward.some_unknown and (reason := reward.unknown(example)) is not None:
                return f"{type(reward).__name__}: {reason}"
        return None

    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        """See `Reward.score`."""
        total = rollout.behavior_logprobs.new_zeros(len(rollout)).float()
        for weight, reward in zip(self.weights, self.rewards, strict=True):
            assert isinstance(reward, Reward)
            total = total + weight * reward.score(rollout, completions)
        return total
