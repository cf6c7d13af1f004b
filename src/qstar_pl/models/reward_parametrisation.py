"""What a reward r(x, y) is a function of, as a strategy of reward modeling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from qstar_pl.checks import positive
from qstar_pl.models.reward_model import RewardModel
from qstar_pl.models.source import ModelSource
from qstar_pl.models.token_reward_model import TokenRewardModel


@dataclass(frozen=True)
class RewardParametrisation(ABC):
    """Builds the module that maps answers to rewards [rows] and saves itself by `save_pretrained(folder)`."""

    centring: ClassVar[float]
    """Weight of (r_chosen + r_rejected)² unless the user gives another."""

    @abstractmethod
    def build(self, source: ModelSource) -> nn.Module:
        """Load the backbone; the module is called on (prompts, prompt_index, completion_ids, completion_mask)."""


@dataclass(frozen=True)
class SequenceHead(RewardParametrisation):
    """One scalar at the answer's last token; saved as a Hugging Face sequence classifier."""

    centring: ClassVar[float] = 0.01

    def build(self, source: ModelSource) -> nn.Module:
        """See `RewardParametrisation.build`."""
        return RewardModel(source.load_reward())


@dataclass(frozen=True)
class TokenwiseReward(RewardParametrisation, ABC):
    """A sum over tokens of what a causal language model says of each; saved as an ordinary one."""

    scale: float = 0.05
    """r = scale · Σ_t …; such sums grow with length, and a small scale keeps the comparison from saturating."""

    def __post_init__(self) -> None:
        positive(scale=self.scale)

    @abstractmethod
    def build(self, source: ModelSource) -> TokenRewardModel:
        """See `RewardParametrisation.build`."""


@dataclass(frozen=True)
class Autoregressive(TokenwiseReward):
    """r(x, y) = scale · Σ_t log π_r(y_t|x, y_<t) (GenARM, arXiv 2410.08193): the reward that `RewardTilted` needs.

    Next-token rewards over the whole vocabulary cost one forward pass. Normalization over each next token fixes the
    mean reward, so there is nothing to center.
    """

    centring: ClassVar[float] = 0.0

    def build(self, source: ModelSource) -> TokenRewardModel:
        """See `RewardParametrisation.build`."""
        return TokenRewardModel(source.load(), source.tokenizer(), self.scale, normalised=True)


@dataclass(frozen=True)
class TokenRewards(TokenwiseReward):
    """r(x, y) = scale · Σ_t logits[y_t]: a token-level reward head, the logits as they are.

    As a target it is `RewardTilted` too; what a context's logits have in common then drops out, but counts here.
    """

    centring: ClassVar[float] = 0.01

    def build(self, source: ModelSource) -> TokenRewardModel:
        """See `RewardParametrisation.build`."""
        return TokenRewardModel(source.load(), source.tokenizer(), self.scale, normalised=False)
