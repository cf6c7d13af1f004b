"""Advantages: how much better an answer is than what was to be expected of its prompt."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.errors import UserError


@dataclass(frozen=True)
class Advantage(ABC):
    """Turns the rewards of one batch of answers into advantages."""

    def check(self, samples_per_prompt: int) -> None:  # noqa: B027 (most need nothing)
        """Raise a UserError if the baseline cannot be formed from so many answers to a prompt."""

    @abstractmethod
    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """Return the advantages [rows] of `rewards` [rows]; `prompt_index` [rows] says which answers share a prompt."""


def _group_sums(values: Tensor, prompt_index: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for every row, the sum of `values` over its prompt's rows and their number."""
    prompts, group = prompt_index.unique(return_inverse=True)
    sums = values.new_zeros(len(prompts)).index_add(0, group, values)
    counts = values.new_zeros(len(prompts)).index_add(0, group, torch.ones_like(values))
    return sums[group], counts[group]


@dataclass(frozen=True)
class RawReward(Advantage):
    """A = r: unbiased, of high variance."""

    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """See `Advantage.__call__`."""
        return rewards


@dataclass(frozen=True)
class MeanBaseline(Advantage):
    """A = r − mean over the prompt's answers. The baseline holds the answer itself: shrinks the gradient by (n−1)/n."""

    def check(self, samples_per_prompt: int) -> None:
        """See `Advantage.check`."""
        _need_two(type(self).__name__, samples_per_prompt)

    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """See `Advantage.__call__`."""
        sums, counts = _group_sums(rewards, prompt_index)
        return rewards - sums / counts


@dataclass(frozen=True)
class LeaveOneOut(Advantage):
    """A_i = r_i − mean of the other answers to the same prompt (RLOO; Kool et al. 2019, Ahmadian et al. 2024).

    The baseline does not depend on y_i, so the gradient stays unbiased under any q with raw weights.
    """

    def check(self, samples_per_prompt: int) -> None:
        """See `Advantage.check`."""
        _need_two(type(self).__name__, samples_per_prompt)

    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """See `Advantage.__call__`."""
        sums, counts = _group_sums(rewards, prompt_index)
        return rewards - (sums - rewards) / (counts - 1)


@dataclass(frozen=True)
class GroupNormalised(Advantage):
    """A = (r − mean)/(s.d. + epsilon) over the prompt's answers (GRPO; Shao et al. 2024), s.d. with n−1."""

    epsilon: float = 1e-4
    """Added to the standard deviation, in units of reward."""

    def check(self, samples_per_prompt: int) -> None:
        """See `Advantage.check`."""
        _need_two(type(self).__name__, samples_per_prompt)

    def __call__(self, rewards: Tensor, prompt_index: Tensor) -> Tensor:
        """See `Advantage.__call__`."""
        sums, counts = _group_sums(rewards, prompt_index)
        centred = rewards - sums / counts
        squares, _ = _group_sums(centred.square(), prompt_index)
        return centred / ((squares / (counts - 1)).sqrt() + self.epsilon)


def _need_two(advantage: str, samples_per_prompt: int) -> None:
    if samples_per_prompt < 2:
        raise UserError(f"samples_per_prompt must be at least 2 for {advantage}, got {samples_per_prompt}")
