"""How PPO's price of a nat moves during training."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.checks import at_least, positive
from qstar_pl.qstar.masking import masked_sum
from qstar_pl.types import WeightedRollout


@dataclass(frozen=True)
class KLController(ABC):
    """Updates the KL coefficient; the coefficient itself is the method's state and travels with its checkpoint."""

    @abstractmethod
    def next(self, coefficient: float, kl: float, samples: int) -> float:
        """Return the next coefficient, given the measured D(π_θ‖π_init) in nats per answer and the answers drawn."""


@dataclass(frozen=True)
class FixedKL(KLController):
    """The coefficient stays what it was."""

    def next(self, coefficient: float, kl: float, samples: int) -> float:
        """See `KLController.next`."""
        return coefficient


@dataclass(frozen=True)
class AdaptiveKL(KLController):
    """coefficient ← coefficient · (1 + clip(kl/target − 1, ±0.2) · samples/horizon) (Ziegler et al. 2019, §2.2)."""

    target: float = 6.0
    """Wanted D(π_θ‖π_init), nats per answer; positive."""
    horizon: int = 10_000
    """Answers over which an error of 20% moves the coefficient by 20%; positive."""

    def __post_init__(self) -> None:
        positive(target=self.target)
        at_least(1, horizon=self.horizon)

    def next(self, coefficient: float, kl: float, samples: int) -> float:
        """See `KLController.next`."""
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        return coefficient * (1 + error * samples / self.horizon)


def kl_of_answers(
    weighted: WeightedRollout, reference_logprobs: Tensor, all_sum: Callable[[Tensor], Tensor]
) -> tuple[float, int]:
    """Return D(π_old‖π_init) of a rollout in nats per answer, and the number of answers, over all ranks.

    Args:
        weighted: answers drawn from q, whose treated weights make them π_old's.
        reference_logprobs: [rows, time] log π_init(y_t), nats.
        all_sum: sums over ranks.

    """
    rollout = weighted.scored.rollout
    # E_q[w log π_old/π_init], which with w = π_old/q is the expectation under π_old.
    nats = masked_sum(weighted.weights * (rollout.policy_logprobs - reference_logprobs), rollout.completion_mask)
    total, answers = all_sum(torch.stack([nats, torch.full_like(nats, len(rollout))])).tolist()
    return total / answers, int(answers)
