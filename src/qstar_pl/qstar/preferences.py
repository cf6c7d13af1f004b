"""What a model makes of pairs of answers: margins, rewards, and the means that are reported of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from qstar_pl.qstar.logprobs import sequence_logprobs
from qstar_pl.qstar.masking import masked_mean, masked_sum


@dataclass(frozen=True)
class AnswerLogprobs:
    """One answer of each pair."""

    policy: Tensor
    """[pairs, time]: log π_θ of each token, in nats."""
    reference: Tensor
    """[pairs, time]: log π_init."""
    mask: Tensor
    """[pairs, time] bool."""

    def log_ratios(self, *, per_token: bool = False) -> Tensor:
        """Return log π_θ/π_init [pairs] of the whole answer, or its mean over the answer's tokens."""
        return (masked_mean if per_token else masked_sum)(self.policy - self.reference, self.mask, dim=-1)


@dataclass(frozen=True)
class PairLogprobs:
    """Both answers of each pair."""

    chosen: AnswerLogprobs
    rejected: AnswerLogprobs

    def margins(self, *, per_token: bool = False) -> Tensor:
        """Return m = log π_θ/π_init (preferred answer) − log π_θ/π_init (the other) [pairs], in nats."""
        return self.chosen.log_ratios(per_token=per_token) - self.rejected.log_ratios(per_token=per_token)

    def quantities(self, beta: Tensor | float) -> dict[str, Tensor]:
        """Return [pairs] by key: the implicit rewards β log π_θ/π_init of whole answers, and log π_θ of them.

        Args:
            beta: of each pair, or of all.

        """
        chosen, rejected = (beta * answer.log_ratios() for answer in (self.chosen, self.rejected))
        return reward_quantities(chosen, rejected) | {
            "logps/chosen": sequence_logprobs(self.chosen.policy, self.chosen.mask),
            "logps/rejected": sequence_logprobs(self.rejected.policy, self.rejected.mask),
        }


def reward_quantities(chosen: Tensor, rejected: Tensor) -> dict[str, Tensor]:
    """Return [pairs] by key: the rewards [pairs] of both answers, by how much and whether the chosen one has more."""
    margins = chosen - rejected
    return {
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/margins": margins,
        "rewards/accuracies": (margins.sign() + 1) / 2,  # a tie counts one half
    }
