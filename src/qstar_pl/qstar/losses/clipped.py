"""PPO's clipped surrogates."""

import torch
from torch import Tensor


def clipped_policy_loss(log_ratio: Tensor, advantages: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Return (loss, clipped_mask), both of the inputs' shape (Schulman et al. 2017, eq. 7).

    loss = max(−A ρ, −A clip(ρ, 1−ε, 1+ε)), ρ = exp(log_ratio); `clipped_mask` is True where the second term is
    the larger one, so that no gradient flows.

    Args:
        log_ratio: log π_θ(y_t) − log π_old(y_t), with gradient, nats.
        advantages: taken as constant.
        clip: ε > 0.

    """
    ratio = log_ratio.exp()
    advantages = advantages.detach()
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip, 1 + clip)
    return torch.maximum(plain, clipped), clipped > plain


def clipped_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    """Return ½ max((V − R)², (V_old + clip(V − V_old, ±ε) − R)²); ½ (V − R)² if `clip` is None. Shapes as given."""
    plain = (values - returns).square()
    if clip is None:
        return plain / 2
    near = old_values + (values - old_values).clamp(-clip, clip)
    # The larger loss, so that clipping never makes a value that moved away from its return look better.
    return torch.maximum(plain, (near - returns).square()) / 2
