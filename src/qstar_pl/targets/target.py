"""π_t, the behavior we want, as a strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Target(nn.Module, ABC):
    """A frozen distribution over answers. Weights load in `build`, so that a bad option costs no model load.

    What a sampler can ask of it is said by its kind: `TokenTarget` or `CandidateTarget`.
    """

    @abstractmethod
    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Load the weights and freeze them; called once, from the LightningModule's `configure_model`.

        Args:
            reference: frozen π_init, for targets that tilt it.
            tokenizer: the policy's tokenizer; a target must share its vocabulary.

        Raises:
            UserError: if the target has another vocabulary.

        """

    def left_to_default(self) -> str | None:
        """Return the option that was left at a reward of the tiny world; see `Reward.left_to_default`."""
        return None

    def decoding_models(self) -> list[nn.Module]:
        """Return the modules that answer for each token, so that sharded ones can be gathered once for a rollout."""
        return [self]
