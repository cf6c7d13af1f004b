"""What a sampled answer is worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.types import Example, Rollout


class Reward(nn.Module, ABC):
    """Scores finished answers. Weights, where there are any, load in `build` and stay frozen."""

    some_unknown: ClassVar[bool] = False
    """Whether rows that are `unknown` may be among others: their answers get 0, which is no signal."""

    def build(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Load what is needed; called once, from the LightningModule's `configure_model`."""

    def left_to_default(self) -> str | None:
        """Return the option that says what the tiny world alone can take for granted; None: nothing was left open.

        Where policy and data are not the tiny world's, such a reward is replaced, left out, or refused.
        """
        return None

    def unknown(self, example: Example) -> str | None:
        """Return why answers to this example cannot be judged, None if they can; called for all rows at the start."""
        return None

    @abstractmethod
    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        """Return the rewards [rows] float32 of the answers; `completions` are their decoded texts."""
