"""What LEDPO's β is fitted to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from qstar_pl.checks import within
from qstar_pl.errors import UserError
from qstar_pl.qstar.losses import PreferenceLoss
from qstar_pl.rollout.streams import row_uniforms
from qstar_pl.types import LossReport


@dataclass(frozen=True)
class BetaObjective(ABC):
    """Makes one loss of the margins and of β, for the policy and for β."""

    default_prior_weight: ClassVar[float]
    """LEDPO's `prior_weight` where the user gives none."""

    def check(self, detach_hidden: bool) -> None:  # noqa: B027 (the joint objective allows both)
        """Raise a UserError if β may not share the policy's hidden states."""

    @abstractmethod
    def __call__(
        self, loss: PreferenceLoss, margins: Tensor, betas: Tensor, keys: Tensor, initial_beta: float
    ) -> LossReport:
        """Return the loss, a mean over pairs, and its terms.

        Args:
            loss: the preference loss.
            margins: [pairs] m, with the policy's gradient, nats.
            betas: [pairs] β(x), with the head's gradient.
            keys: [pairs] int64, `Example.key`.
            initial_beta: β before the first step.

        """


@dataclass(frozen=True)
class Joint(BetaObjective):
    """Mean of ℓ(β m): the policy and β descend one loss.

    The data do not determine this β. ℓ depends on β m alone, so a policy that can scale its margins makes up for any β,
    and where it has done so (∂ℓ/∂m = 0 for every pair) ∂ℓ/∂β is 0 as well and the prior is all that is left. β is a
    transient on the way there: it rises while margins are small and comes back to initial_beta. With 1,000 synthetic
    pairs and a policy of 8 weights it rose from 0.10 to 0.11 and 0.13 where the labels were drawn with β* = 0.2 and
    0.4, and ended at 0.10 both times (tests/methods/strategies/test_beta_objective.py). What it says in between is how
    fast the policy learns.
    """

    default_prior_weight: ClassVar[float] = 0.1

    def __call__(
        self, loss: PreferenceLoss, margins: Tensor, betas: Tensor, keys: Tensor, initial_beta: float
    ) -> LossReport:
        """See `BetaObjective.__call__`."""
        return LossReport(loss(margins, betas).mean(), {})


@dataclass(frozen=True)
class HeldOut(BetaObjective):
    """β fitted to pairs that the policy does not learn from: the β at which its margins are calibrated.

    A share of the pairs, chosen by the hash of their prompts, is held out. The policy learns from the others with
    initial_beta, as in DPO; β descends −log σ(β m) of the held-out pairs, in which m is a constant. That is a logistic
    regression with one slope (or one for every prompt): β is determined by the data, and consistent, wherever margins
    differ from 0. It answers what the margins are worth on new pairs: P(chosen is preferred) = σ(β m). Below
    initial_beta the policy claims more than it knows (it has overfitted its pairs), above it could go further, and a
    policy that has learned the truth with initial_beta has β = initial_beta.

    It does not tell which initial_beta to train with: β m is all that comparisons see, so no comparison can.
    """

    default_prior_weight: ClassVar[float] = 0.0
    share: float = 0.2
    """Share of the pairs that is held out, in (0, 1)."""

    def __post_init__(self) -> None:
        within("(0, 1)", share=self.share)

    def check(self, detach_hidden: bool) -> None:
        """See `BetaObjective.check`: through the hidden states the policy would learn from held-out pairs."""
        if not detach_hidden:
            raise UserError("detach_hidden must be true for HeldOut, which keeps pairs from the policy, got false")

    def held_out(self, keys: Tensor) -> Tensor:
        """Return [pairs] bool: the same pairs in every epoch, and in every run on the same data."""
        uniforms = row_uniforms(keys, 1, 1, seed=0, purpose="held-out pairs").squeeze(-1)
        return (uniforms < self.share).to(keys.device)  # uniforms are drawn on the CPU, the same for every device

    def __call__(
        self, loss: PreferenceLoss, margins: Tensor, betas: Tensor, keys: Tensor, initial_beta: float
    ) -> LossReport:
        """See `BetaObjective.__call__`; terms `policy` and `held_out`, each per pair of its own kind."""
        held_out = self.held_out(keys)
        # Divided by the expected number of pairs, not by the actual one, so that micro-batches add up to one batch.
        policy = torch.where(held_out, 0.0, loss(margins, initial_beta)).mean() / (1 - self.share)
        calibration = torch.where(held_out, -F.logsigmoid(betas * margins.detach()), 0.0).mean() / self.share
        return LossReport(policy + calibration, {"policy": policy.detach(), "held_out": calibration.detach()})
