"""DPO's family of losses of the margin m = (log π_θ − log π_init)(chosen) − (log π_θ − log π_init)(rejected).

Every loss is a function ℓ(m) of the preferred answer's margin. With label smoothing ε (the chance that a label is
flipped) each of them becomes (1−ε) ℓ(m) + ε ℓ(−m) (conservative DPO; Mitchell 2023).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from qstar_pl.checks import within


@dataclass(frozen=True, kw_only=True)
class PreferenceLoss(ABC):
    """A loss of preference margins, in nats of log-ratio."""

    label_smoothing: float = 0.0
    """Chance that a label is flipped, in [0, 0.5)."""

    per_token: ClassVar[bool] = False
    """Whether log-ratios are divided by the answer's length before the margin is formed."""

    def __post_init__(self) -> None:
        within("[0, 0.5)", label_smoothing=self.label_smoothing)

    def __call__(self, margins: Tensor, beta: Tensor | float) -> Tensor:
        """Return the loss [pairs] of `margins` [pairs]; `beta` [] or [pairs], positive, scales them to rewards."""
        smoothing = self.label_smoothing
        return (1 - smoothing) * self.of_margin(margins, beta) + smoothing * self.of_margin(-margins, beta)

    @abstractmethod
    def of_margin(self, margins: Tensor, beta: Tensor | float) -> Tensor:
        """Return ℓ(m) [pairs] for an unsmoothed label."""


@dataclass(frozen=True, kw_only=True)
class Sigmoid(PreferenceLoss):
    """−log σ(β m) (Rafailov et al. 2023, eq. 7)."""

    def of_margin(self, margins: Tensor, beta: Tensor | float) -> Tensor:
        """See `PreferenceLoss.of_margin`."""
        return -F.logsigmoid(beta * margins)


@dataclass(frozen=True, kw_only=True)
class Hinge(PreferenceLoss):
    """max(0, 1 − β m) (SLiC, Zhao et al. 2023; with the reference, as in RSO, Liu et al. 2023)."""

    def of_margin(self, margins: Tensor, beta: Tensor | float) -> Tensor:
        """See `PreferenceLoss.of_margin`."""
        return F.relu(1 - beta * margins)


@dataclass(frozen=True, kw_only=True)
class IPO(PreferenceLoss):
    """(m − 1/(2β))² with log-ratios per token (Azar et al. 2023, eq. 17).

    The paper's margin is of whole answers; here each log-ratio is first divided by its answer's length, so that the
    target 1/(2β) does not depend on how long answers are.
    """

    per_token: ClassVar[bool] = True

    def of_margin(self, margins: Tensor, beta: Tensor | float) -> Tensor:
        """See `PreferenceLoss.of_margin`."""
        return (margins - 1 / (2 * beta)).square()
