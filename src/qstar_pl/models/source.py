"""Where a model comes from: the value of `policy:`, of an expert's `model:` and of a reward model's `model:`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.models.capabilities import Capabilities

if TYPE_CHECKING:
    from qstar_pl.models.reward_parametrisation import TokenwiseReward


class ModelSource(ABC):
    """Describes a causal language model without loading it; a bad option costs no model load."""

    @abstractmethod
    def load(self) -> PreTrainedModel:
        """Return the causal language model in eval mode (so dropout is off) on the CPU, trainable, in its dtype."""

    @abstractmethod
    def load_reward(self) -> PreTrainedModel:
        """Return the same backbone with one scalar output per sequence (`num_labels=1` classification head)."""

    def token_reward(self) -> TokenwiseReward | None:
        """Return the token-wise reward that the model was trained as; None: it is no reward, or has a scalar head."""
        return None

    def in_tiny_world(self) -> bool:
        """Return whether the model speaks the tiny world's language, so that what judges there may judge it."""
        return False

    def under_adapters(self) -> ModelSource | None:
        """Return the source of the model that this one's adapters were put on and that it is without them.

        None: it has no adapters, or is another model without them.
        """
        return None

    def check_beside(self, policy: ModelSource, *, trains: bool) -> None:  # noqa: B027 (most stand by themselves)
        """Raise UserError if a target cannot have its model from here; nothing is loaded yet.

        Args:
            policy: where π_θ comes from.
            trains: whether π_θ is trained.

        """

    @abstractmethod
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer, with a pad token that is not the EOS token."""

    @abstractmethod
    def capabilities(self, tokenizer: PreTrainedTokenizerBase | None = None) -> Capabilities:
        """Return what the model and its tokenizer can do, as their files say it; no weights are loaded.

        Args:
            tokenizer: what `tokenizer()` has returned, if it has been called already.

        Raises:
            UserError: if they do not fit each other, or the model is not a causal language model.

        """
