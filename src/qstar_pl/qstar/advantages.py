"""Advantages: how much better an answer is than expected for its prompt.

Each strategy says how far the expected gradient is from the true one. Where there is no formula, the figures come from
a pair of small models for which every n-tuple of answers was enumerated (tests/invariant/test_bias.py), with raw
weights of whole answers: *share* is how much of the true gradient is in the expected one (1: all), *error* the length
of their difference over that of the true one. Off policy means drawn from the KL-symmetric q.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from qstar_pl.checks import within
from qstar_pl.errors import UserError
from qstar_pl.qstar.gae import generalized_advantages
from qstar_pl.qstar.masking import masked_sum


@dataclass(frozen=True)
class Advantage(ABC):
    """Turns rewards into advantages."""

    critic: ClassVar[bool] = False
    """Whether learned values are needed."""

    def check(self, samples_per_prompt: int, independent: int | None = None) -> None:  # noqa: B027 (most need nothing)
        """Raise a UserError if the baseline cannot be formed from so many answers to a prompt.

        Args:
            samples_per_prompt: answers to a prompt.
            independent: how many of them are independent of each other; None: all.

        """

    @abstractmethod
    def estimate(
        self,
        rewards: Tensor,
        values: Tensor | None,
        mask: Tensor,
        prompt_index: Tensor,
        set_index: Tensor | None = None,
    ) -> Tensor:
        """Return advantages [rows, time], 0 where `mask` is False.

        Args:
            rewards: [rows, time] reward of each token; an answer's reward is their sum.
            values: [rows, time] V(x, y_<t), for strategies with a critic.
            mask: [rows, time] bool.
            prompt_index: [rows] int64, which answers share a prompt.
            set_index: [rows] int64, which of them were drawn from the same candidate set; None: each on its own.

        """


class AnswerAdvantage(Advantage):
    """One advantage per answer, the same for all its tokens."""

    @abstractmethod
    def __call__(self, rewards: Tensor, prompt_index: Tensor, set_index: Tensor | None = None) -> Tensor:
        """Return the advantages [rows] of `rewards` [rows]; see `Advantage.estimate` for the indices."""

    def estimate(
        self,
        rewards: Tensor,
        values: Tensor | None,
        mask: Tensor,
        prompt_index: Tensor,
        set_index: Tensor | None = None,
    ) -> Tensor:
        """See `Advantage.estimate`."""
        of_answers = masked_sum(rewards, mask, dim=-1)
        advantages = self(of_answers, prompt_index, set_index)
        return torch.where(mask, advantages.unsqueeze(-1), 0.0)


@dataclass(frozen=True)
class GAE(Advantage):
    """Generalized advantage estimation from a learned value of every prefix (Schulman et al. 2016).

    Unbiased on policy if λ = γ = 1, whatever the critic says, and with an exact critic for every λ. Otherwise biased:
    with a critic that says 0 everywhere the share is 0.94 (error 0.06) at λ = 0.95, 0.52 (0.49) at λ = 0.5, on
    answers of up to three tokens. In longer answers the reward at the end reaches token t scaled by λ^(T−t) until the
    critic has learned.
    """

    critic: ClassVar[bool] = True
    gamma: float = 1.0
    """Discount per token, in (0, 1]."""
    lam: float = 0.95
    """λ in [0, 1]: 1 trusts rewards only, 0 the critic's one-step differences."""

    def __post_init__(self) -> None:
        within("(0, 1]", gamma=self.gamma)
        within("[0, 1]", lam=self.lam)

    def estimate(
        self,
        rewards: Tensor,
        values: Tensor | None,
        mask: Tensor,
        prompt_index: Tensor,
        set_index: Tensor | None = None,
    ) -> Tensor:
        """See `Advantage.estimate`."""
        assert values is not None
        return generalized_advantages(rewards, values, mask, gamma=self.gamma, lam=self.lam)


def _group_sums(values: Tensor, prompt_index: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for every row, the sum of `values` over its prompt's rows and their number."""
    # Any labels will do: the inverse of unique numbers the prompts 0, 1, …
    prompts, group = torch.unique(prompt_index, return_inverse=True)
    sums = values.new_zeros(len(prompts)).index_add(0, group, values)
    counts = values.new_zeros(len(prompts)).index_add(0, group, torch.ones_like(values))
    return sums[group], counts[group]


@dataclass(frozen=True)
class RawReward(AnswerAdvantage):
    """A = r: unbiased under any q that covers π_θ, of high variance."""

    def __call__(self, rewards: Tensor, prompt_index: Tensor, set_index: Tensor | None = None) -> Tensor:
        """See `AnswerAdvantage.__call__`."""
        return rewards


@dataclass(frozen=True)
class MeanBaseline(AnswerAdvantage):
    """A = r − mean over the prompt's n answers.

    Biased in length, not in direction: the baseline includes the answer itself, so the expected gradient is (n−1)/n of
    the true one, on and off policy.
    """

    def check(self, samples_per_prompt: int, independent: int | None = None) -> None:
        """See `Advantage.check`."""
        _need_two(type(self).__name__, samples_per_prompt)

    def __call__(self, rewards: Tensor, prompt_index: Tensor, set_index: Tensor | None = None) -> Tensor:
        """See `AnswerAdvantage.__call__`."""
        sums, counts = _group_sums(rewards, prompt_index)
        return rewards - sums / counts


@dataclass(frozen=True)
class LeaveOneOut(AnswerAdvantage):
    """A_i = r_i − mean of the other answers to the same prompt (RLOO; Kool et al. 2019, Ahmadian et al. 2024).

    The baseline does not depend on y_i, so the gradient stays unbiased under any q with raw weights. Answers that
    share a candidate set do depend on each other, so the mean is then over the answers of the other sets. (With those
    of the same set the share would be 0.45, 0.63, 0.73 for sets of 2, 3, 4 candidates of the policy.)
    """

    def check(self, samples_per_prompt: int, independent: int | None = None) -> None:
        """See `Advantage.check`."""
        _need_two(type(self).__name__, samples_per_prompt)
        if independent == 1:
            raise UserError(
                "sampler.answers_per_set must be below samples_per_prompt for LeaveOneOut, whose baseline comes from "
                f"the other candidate sets, got one set for all {samples_per_prompt} answers"
            )

    def __call__(self, rewards: Tensor, prompt_index: Tensor, set_index: Tensor | None = None) -> Tensor:
        """See `AnswerAdvantage.__call__`."""
        sums, counts = _group_sums(rewards, prompt_index)
        # What the baseline must leave out: the answer, with all that share its candidate set.
        own, own_counts = (rewards, 1.0) if set_index is None else _group_sums(rewards, set_index)
        return rewards - (sums - own) / (counts - own_counts)


@dataclass(frozen=True)
class GroupNormalised(AnswerAdvantage):
    """A = (r − mean)/(s.d. + epsilon) over the prompt's answers (GRPO; Shao et al. 2024), s.d. with n−1.

    Biased: prompts are weighted by one over their spread, and the spread depends on the answer it divides. With n = 4
    the share is 0.85 (error 0.16) on policy and 0.64 (0.36) off policy. The advantage has no unit, so what a nat of
    KL costs beside it varies from prompt to prompt.
    """

    epsilon: float = 1e-4
    """Added to the standard deviation, in units of reward."""

    def check(self, samples_per_prompt: int, independent: int | None = None) -> None:
        """See `Advantage.check`."""
        _need_two(type(self).__name__, samples_per_prompt)

    def __call__(self, rewards: Tensor, prompt_index: Tensor, set_index: Tensor | None = None) -> Tensor:
        """See `AnswerAdvantage.__call__`."""
        sums, counts = _group_sums(rewards, prompt_index)
        centered = rewards - sums / counts
        squares, _ = _group_sums(centered.square(), prompt_index)
        return centered / ((squares / (counts - 1)).sqrt() + self.epsilon)


def _need_two(advantage: str, samples_per_prompt: int) -> None:
    if samples_per_prompt < 2:
        raise UserError(f"samples_per_prompt must be at least 2 for {advantage}, got {samples_per_prompt}")
