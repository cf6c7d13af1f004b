"""From the reward of an answer to rewards of its tokens."""

from __future__ import annotations

import torch
from torch import Tensor


def shape_rewards(rewards: Tensor, prices: Tensor, mask: Tensor) -> Tensor:
    """Return −price for each token that counts, plus the answer's reward on its last one; 0 elsewhere.

    Args:
        rewards: [rows], of whole answers.
        prices: [rows, time], e.g. the KL to the reference times its coefficient; may be anything where `mask` is False.
        mask: [rows, time] bool; the Trues of a row come first. A row without any loses its reward.

    """
    # Counted, and the next one is not.
    last = mask & ~torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1)
    return torch.where(mask, -prices, 0.0) + torch.where(last, rewards.unsqueeze(-1), 0.0)
