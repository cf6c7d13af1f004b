"""AdamW whose moments take one byte each; from bitsandbytes."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from qstar_pl.errors import UserError


class AdamW8bit(Optimizer):
    """AdamW with block-wise quantized moments (Dettmers et al. 2022): 2 bytes of state per weight instead of 8.

    Making one returns bitsandbytes' own optimizer; this class only gives its options types, and says in one line what
    to install. Tensors below 4096 weights keep 32-bit moments.
    """

    def __new__(  # type: ignore[misc]
        cls,
        params: ParamsT,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> Optimizer:
        """Return bitsandbytes' optimizer.

        Args:
            params: parameters, or groups of them.
            lr: learning rate.
            betas: decay of the two moments.
            eps: added to the root of the second one.
            weight_decay: decoupled from the gradient.

        Raises:
            UserError: if bitsandbytes is not installed.

        """
        try:
            from bitsandbytes.optim import AdamW8bit as Quantised
        except ImportError as error:
            raise UserError(
                "optimizer AdamW8bit needs bitsandbytes, which is not installed: pip install 'qstar-pl[bitsandbytes]'"
            ) from error
        made: Optimizer = Quantised(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        return made
