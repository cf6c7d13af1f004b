"""Advantages: how much better an answer is than what was to be expected of its prompt."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.qstar.gae import generalised_advantages
from qstar_pl.qstar.masking import masked_sum


@dataclass(frozen=True)
class Advantage(ABC):
    """Turns rewards into advantages."""

    critic: ClassVar[bool] = False
    """Whether learnt values are needed."""

    def check(self, samples_per_prompt: int) -> None:  # noqa: B027 (most need nothing)
        """Raise a UserError if the baseline cannot be formed from so many answers to a prompt."""

    @abstractmethod
    def estimate(
        self, rewards: Tensor, values: Tensor | None, mask: Tensor, prompt_index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (advantages, returns), both [rows, time] and 0 where `mask` is False.

        Args:
            rewards: [rows, time] reward of each token; an answer's reward is their sum.
            values: [rows, time] V(x, y_<t), for strategies with a critic.
            mask: [rows, time] bool.
            prompt_index: [rows] int64, which answers share a prompt.

        """


class AnswerAdvantage(Advantage):
    """One advantage per answer, the same for all its tokens."""

    @abstractmethod
    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """Return the advantages [rows] of `rewards` [rows]."""

    def estimate(
        self, rewards: Tensor, values: Tensor | None, mask: Tensor, prompt_index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Advantage.estimate`; returns are the whole answer's reward at every token."""
        of_answers = masked_sum(rewards, mask, dim=-1)
        advantages = self(of_answers, prompt_index)
        return torch.where(mask, advantages.unsqueeze(-1), 0.0), torch.where(mask, of_answers.unsqueeze(-1), 0.0)


@dataclass(frozen=True)
class GAE(Advantage):
    """Generalised advantage estimation from a learnt value of every prefix (Schulman et al. 2016)."""

    critic: ClassVar[bool] = True
    gamma: float = 1.0
    """Discount per token, in (0, 1]."""
    lam: float = 0.95
    """λ in [0, 1]: 1 trusts rewards only, 0 the critic's one-step differences."""

    def __post_init__(self) -> None:
        if not 0 < self.gamma <= 1:
            raise UserError(f"gamma must lie in (0, 1], got {self.gamma}")
        if not 0 <= self.lam <= 1:
            raise UserError(f"lam must lie in [0, 1], got {self.lam}")

    def estimate(
        self, rewards: Tensor, values: Tensor | None, mask: Tensor, prompt_index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Advantage.estimate`."""
        assert values is not None
        return generalised_advantages(rewards, values, mask, gamma=self.gamma, lam=self.lam)


def _group_sums(values: Tensor, prompt_index: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for every row, the sum of `values` over its prompt's rows and their number."""
    prompts, group = torch.unique(prompt_index, return_inverse=True)
    sums = values.new_zeros(len(prompts)).index_add(0, group, values)
    counts = values.new_zeros(len(prompts)).index_add(0, group, torch.ones_like(values))
    return sums[group], counts[group]


@dataclass(frozen=True)
class RawReward(AnswerAdvantage):
    """A = r: unbiased, of high variance."""

    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """See `AnswerAdvantage.__call__`."""
        return rewards


@dataclass(frozen=True)
class MeanBaseline(AnswerAdvantage):
    """A = r − mean over the prompt's answers. The baseline holds the answer itself: shrinks the gradient by (n−1)/n."""

    def check(self, samples_per_prompt: int) -> None:
        """See `Advantage.check`."""
        _need_two(type(self).__name__, samples_per_prompt)

    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """See `AnswerAdvantage.__call__`."""
        sums, counts = _group_sums(rewards, prompt_index)
        return rewards - sums / counts


@dataclass(frozen=True)
class LeaveOneOut(AnswerAdvantage):
    """A_i = r_i − mean of the other answers to the same prompt (RLOO; Kool et al. 2019, Ahmadian et al. 2024).

    The baseline does not depend on y_i, so the gradient stays unbiased under any q with raw weights.
    """

    def check(self, samples_per_prompt: int) -> None:
        """See `Advantage.check`."""
        _need_two(type(self).__name__, samples_per_prompt)

    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """See `AnswerAdvantage.__call__`."""
        sums, counts = _group_sums(rewards, prompt_index)
        return rewards - (sums - rewards) / (counts - 1)


@dataclass(frozen=True)
class GroupNormalised(AnswerAdvantage):
    """A = (r − mean)/(s.d. + epsilon) over the prompt's answers (GRPO; Shao et al. 2024), s.d. with n−1."""

    epsilon: float = 1e-4
    """Added to the standard deviation, in units of reward."""

    def check(self, samples_per_prompt: int) -> None:
        """See `Advantage.check`."""
        _need_two(type(self).__name__, samples_per_prompt)

    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """See `AnswerAdvantage.__call__`."""
        sums, counts = _group_sums(rewards, prompt_index)
        centred = rewards - sums / counts
        squares, _ = _group_sums(centred.square(), prompt_index)
        return centred / ((squares / (counts - 1)).sqrt() + self.epsilon)


def _need_two(advantage: str, samples_per_prompt: int) -> None:
    if samples_per_prompt < 2:
        raise UserError(f"samples_per_prompt must be at least 2 for {advantage}, got {samples_per_prompt}")
