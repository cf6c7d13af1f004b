"""A learned β for DPO: one number, or a function of what the policy makes of the prompt."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qstar_pl.errors import UserError


@dataclass(frozen=True)
class BetaActivation(ABC):
    """Maps the head's output to (β − beta_min) / beta_scale, which must not be negative."""

    @abstractmethod
    def __call__(self, value: Tensor) -> Tensor:
        """Return the activation of `value`, element by element."""

    @abstractmethod
    def inverse(self, activation: float) -> float:
        """Return the value whose activation is `activation`, inside the range and where the slope is not zero.

        Raises:
            UserError: if there is none.

        """


@dataclass(frozen=True)
class Sigmoid(BetaActivation):
    """β stays below beta_min + beta_scale; its slope vanishes at both ends."""

    def __call__(self, value: Tensor) -> Tensor:
        """See `BetaActivation`."""
        return value.sigmoid()

    def inverse(self, activation: float) -> float:
        """See `BetaActivation.inverse`."""
        if not 0 < activation < 1:
            raise UserError(
                f"initial_beta must lie between beta_min and beta_min + beta_scale for Sigmoid, "
                f"got (initial_beta − beta_min) / beta_scale = {activation:.4g}"
            )
        return math.log(activation / (1 - activation))  # the logit


@dataclass(frozen=True)
class Softplus(BetaActivation):
    """log(1 + exp x): unbounded above, never flat."""

    def __call__(self, value: Tensor) -> Tensor:
        """See `BetaActivation`."""
        return F.softplus(value)

    def inverse(self, activation: float) -> float:
        """See `BetaActivation.inverse`."""
        _check_above(activation)
        # log(eᵃ − 1) as a + log(1 − e⁻ᵃ): no overflow for a large a, no cancellation for a small one.
        return activation + math.log(-math.expm1(-activation))


@dataclass(frozen=True)
class ReLU(BetaActivation):
    """max(0, x): a prompt whose x falls below 0 has β = beta_min and no gradient until other prompts lift it again."""

    def __call__(self, value: Tensor) -> Tensor:
        """See `BetaActivation`."""
        return F.relu(value)

    def inverse(self, activation: float) -> float:
        """See `BetaActivation.inverse`."""
        _check_above(activation)
        return activation


def _check_above(activation: float) -> None:
    if not activation > 0:  # also refuses NaN
        raise UserError(
            f"initial_beta must be above beta_min, got (initial_beta − beta_min) / beta_scale = {activation:.4g}"
        )


class BetaHead(nn.Module):
    """β(h) = beta_min + beta_scale · act(w·ĥ + b), with w = 0 at first and b such that β starts at one stated value.

    ĥ is the hidden state h scaled to length 1, so that one learning rate suits models of any width.
    """

    def __init__(
        self, hidden_size: int, activation: BetaActivation, *, initial: float, minimum: float, scale: float, fixed: bool
    ) -> None:
        """Make the head; a `fixed` one has b alone, one number for all prompts."""
        super().__init__()
        self.activation = activation
        self.minimum = minimum
        self.scale = scale
        self.bias = nn.Parameter(torch.tensor([activation.inverse((initial - minimum) / scale)]))
        self.weight = None if fixed else nn.Parameter(torch.zeros(hidden_size))  # 0: every prompt starts at `initial`

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return β [pairs] of `hidden_states` [pairs, hidden_size], in the head's dtype."""
        value = self.bias.expand(len(hidden_states))
        if self.weight is not None:
            value = value + F.normalize(hidden_states.to(self.weight.dtype), dim=-1) @ self.weight
        return self.minimum + self.scale * self.activation(value)
