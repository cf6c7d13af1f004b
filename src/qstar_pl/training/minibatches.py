"""What PPO learns from in several passes, and how its rows are dealt into minibatches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.rollout.streams import row_seed
from qstar_pl.types import TensorFields, WeightedRollout


@dataclass(frozen=True)
class Experience(TensorFields):
    """A rollout with everything that stays fixed while π_θ moves away from π_old; see `Rollout` for what is shared."""

    prompt_index: Tensor
    """[rows] int64."""
    completion_ids: Tensor
    """[rows, time] int64."""
    completion_mask: Tensor
    """[rows, time] bool."""
    old_logprobs: Tensor
    """[rows, time] log π_old(y_t), nats."""
    old_values: Tensor
    """[rows, time] V_old(x, y_<t), in units of reward; 0 without a critic."""
    reference_logprobs: Tensor
    """[rows, time] log π_init(y_t), nats."""
    weights: Tensor
    """[rows, time] treated π_old/q."""
    advantages: Tensor
    """[rows, time]."""
    returns: Tensor
    """[rows, time] what the critic learns."""

    @classmethod
    def of(
        cls,
        weighted: WeightedRollout,
        reference_logprobs: Tensor,
        old_logprobs: Tensor,
        old_values: Tensor,
        returns: Tensor,
    ) -> "Experience":
        """Take from a rollout what the loss needs."""
        rollout = weighted.scored.rollout
        return cls(
            prompt_index=rollout.prompt_index,
            completion_ids=rollout.completion_ids,
            completion_mask=rollout.completion_mask,
            reference_logprobs=reference_logprobs,
            old_logprobs=old_logprobs,
            old_values=old_values,
            weights=weighted.weights,
            advantages=weighted.advantages,
            returns=returns,
        )

    def rows(self, index: Tensor) -> "Experience":
        """Return some of the rows."""
        return self.map_tensors(lambda tensor: tensor[index])


def deal(rows: int, minibatches: int, *, seed: int, epoch: int, device: torch.device | str) -> list[Tensor]:
    """Return the shuffled row numbers of each minibatch, whose sizes differ by one at most.

    The order follows from (seed, epoch) alone, so a resumed run deals as the uninterrupted one would have.

    Raises:
        UserError: if there are fewer rows than minibatches.

    """
    if rows < minibatches:
        raise UserError(f"minibatches must be at most the {rows} answers of a rollout, got {minibatches}")
    # On the CPU, whatever `device` is: an accelerator's generator would give another order.
    generator = torch.Generator().manual_seed(row_seed(seed, epoch, 0, purpose="minibatches"))
    return list(torch.randperm(rows, generator=generator).to(device).tensor_split(minibatches))
