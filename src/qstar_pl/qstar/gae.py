"""Generalized advantage estimation."""

import torch
from torch import Tensor


def generalized_advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float = 1.0, lam: float = 0.95
) -> Tensor:
    """Return advantages [rows, time] (Schulman et al. 2016, eq. 16).

    δ_t = r_t + γ V_{t+1} − V_t and A_t = δ_t + γ λ A_{t+1}, with V = 0 after the last counted token: an answer is a
    whole episode. What a critic learns is A + V. Advantages are 0 where `mask` is False.

    Args:
        rewards: [rows, time] reward of each token.
        values: [rows, time] V(x, y_<t), before the token was chosen; no gradient flows into the result.
        mask: [rows, time] bool; the Trues of a row come first.
        gamma: discount per token.
        lam: λ; 1 gives Monte-Carlo returns, 0 one-step differences.

    """
    # 0 where nothing counts, so that V_{t+1} is 0 after the last counted token and A starts from 0 there.
    values = torch.where(mask, values.detach(), 0.0)
    rewards = torch.where(mask, rewards, 0.0)
    next_values = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    deltas = rewards + gamma * next_values - values
    steps: list[Tensor] = []
    running = torch.zeros_like(deltas[:, 0])
    for step in range(deltas.shape[1] - 1, -1, -1):
        running = deltas[:, step] + gamma * lam * running
        steps.append(running)
    return torch.where(mask, torch.stack(steps[::-1], dim=1), 0.0)
