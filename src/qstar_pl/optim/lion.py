"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from qstar_pl.checks import at_least, positive, within


class Lion(Optimizer):
    """θ ← θ − lr (sign(β₁ m + (1 − β₁) g) + weight_decay θ), then m ← β₂ m + (1 − β₂) g (Chen et al. 2023, alg. 2).

    Every weight moves by lr per step whatever the gradient's size, so lr should be 3 to 10 times smaller than AdamW's,
    and weight_decay as many times larger. One buffer per weight, where Adam has two.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-5,
        direction_beta: float = 0.9,
        momentum_beta: float = 0.99,
        weight_decay: float = 0.0,
    ) -> None:
        """Describe the step.

        Args:
            params: parameters, or groups of them.
            lr: how far every weight moves per step, positive.
            direction_beta: β₁, in [0, 1). Not `betas`: on the command line that would be inherited from AdamW's.
            momentum_beta: β₂, in [0, 1).
            weight_decay: decoupled from the gradient, as in AdamW; at least 0.

        """
        positive(lr=lr)
        for name, beta in (("direction_beta", direction_beta), ("momentum_beta", momentum_beta)):
            within("[0, 1)", **{name: beta})
        at_least(0, weight_decay=weight_decay)
        betas = (direction_beta, momentum_beta)
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; returns what `closure` returns, which is called first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for parameter in group["params"]:
                if (gradient := parameter.grad) is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                momentum = state["momentum"]
                # Decoupled decay, of the weights before the step.
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                # `lerp` makes a new tensor, so the momentum is still the old one below.
                parameter.sub_(momentum.lerp(gradient, 1 - beta1).sign_(), alpha=group["lr"])
                momentum.lerp_(gradient, 1 - beta2)
        return loss
