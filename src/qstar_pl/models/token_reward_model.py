"""A causal language model read as rewards of tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.files import open_weights
from qstar_pl.models.inputs import fill_masked
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.types import PromptBatch


class TokenRewardModel(nn.Module):
    """r(x, y) = scale · Σ_t f(y_t|x, y_<t), f being the log-probability or the bare logit of the token."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, scale: float, *, normalised: bool
    ) -> None:
        """Wrap a language model.

        Args:
            model: a causal language model.
            tokenizer: says which of its rows are tokens.
            scale: factor of the sum, in units of reward per nat.
            normalised: f is log π_r(y_t|x, y_<t); otherwise the logit.

        """
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.scale = scale
        self.normalised = normalised

    def forward(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """Return the rewards [rows] of the answers; row i answers prompt `prompt_index[i]`."""
        tokens = LanguageModel(self.model, self.tokenizer)
        logits = tokens.completion_logits(prompts, prompt_index, completion_ids, completion_mask)
        # [rows, time]: the logit of each sampled token.
        values = logits.gather(-1, fill_masked(completion_ids, completion_mask).unsqueeze(-1)).squeeze(-1)
        if self.normalised:
            values = values - logits.logsumexp(-1)
        # Replaced, not multiplied by the mask: a pad's value may be −inf, and 0 · −inf is NaN.
        return self.scale * torch.where(completion_mask, values, 0.0).sum(-1)

    def save_pretrained(self, folder: str, **kwargs: Any) -> None:
        """Write a folder that `Pretrained(folder).load()` and `AutoModelForCausalLM` read, with the tokenizer."""
        self.model.save_pretrained(folder, **kwargs)
        open_weights(folder)
        self.tokenizer.save_pretrained(folder)
