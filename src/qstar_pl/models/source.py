"""Where a model comes from: the value of `policy:`, of an expert's `model:` and of a reward model's `model:`."""

from __future__ import annotations

from abc import ABC, abstractmethod

from transformers import PreTrainedModel, PreTrainedTokenizerBase


class ModelSource(ABC):
    """Describes a causal language model without loading it; a bad option costs no model load."""

    @abstractmethod
    def load(self) -> PreTrainedModel:
        """Return the causal language model in eval mode (so dropout is off) on the CPU, trainable, in its dtype."""

    @abstractmethod
    def load_reward(self) -> PreTrainedModel:
        """Return the same backbone with one scalar output per sequence (`num_labels=1` classification head)."""

    @abstractmethod
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer, with a pad token that is not the EOS token."""
