"""One number per answer, from a Hugging Face sequence classifier."""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qstar_pl.errors import UserError
from qstar_pl.files import open_weights
from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.configure import set_pad
from qstar_pl.models.inputs import check_length, join, last_position, unpack
from qstar_pl.models.probe import TOKENS, padding_of, sample_rows, undisturbed
from qstar_pl.models.reading import Reader
from qstar_pl.models.source import ModelSource
from qstar_pl.types import PromptBatch


class RewardModel(nn.Module):
    """r(x, y): the scalar head at the last token that counts.

    Hugging Face's own pooling looks for the last token that is not the pad *id*, so it reads the wrong position where
    the pad token is also text (or EOS), and takes positions from the padding. Here the mask says what counts. The
    weights are those of `AutoModelForSequenceClassification`, which loads what `save_pretrained` writes.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        """Wrap a classifier.

        Args:
            model: a sequence classifier with one label whose head is called `score`, as in GPT-2, Llama, GPT-NeoX
                and Qwen2.

        """
        super().__init__()
        self.model = model
        if getattr(self.model.config.get_text_config(), "pad_token_id", None) is None:
            set_pad(self.model.config, 0)  # never looked for: it only lets Hugging Face accept a batch
        if not isinstance(getattr(model, "score", None), nn.Module):
            raise UserError(
                f"model must be a sequence classifier with a scalar head called score, got {model.config.model_type}"
            )
        self.capabilities = Capabilities.of(model)
        self.reader = Reader(model)
        self.reads_prefixes: bool | None = None
        """Whether `PrefixRewards` gives what whole sequences get; None: not tried yet."""
        self._side: Literal["left", "right"] | None = None

    @classmethod
    def load(cls, source: ModelSource, argument: str) -> Self:
        """Load a trained reward model.

        Raises:
            UserError: naming the user's `argument`, if the weights are a language model's, whose scalar head would be
                random.

        """
        network = source.load_reward()
        architectures = network.config.architectures or []
        if architectures and not any(name.endswith("ForSequenceClassification") for name in architectures):
            raise UserError(f"{argument} must be a reward model with a trained scalar head, got {architectures[0]}")
        return cls(network)

    def forward(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """Return the rewards [rows] float32 of the answers; row i answers prompt `prompt_index[i]`."""
        ids, mask = join(prompts, prompt_index, completion_ids, completion_mask)
        return self.score(ids, mask)

    def score(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the rewards [rows] of token sequences [rows, length] padded on either side or both."""
        return self.prefix_scores(ids, mask).gather(-1, last_position(mask).unsqueeze(-1)).squeeze(-1)

    def prefix_scores(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the head's value [rows, length] float32 at every position, i.e. the reward of every prefix."""
        check_length(self.capabilities.context, mask)
        return self._values(ids, mask, self._padding())

    def _values(self, ids: Tensor, mask: Tensor, padding: Literal["left", "right"]) -> Tensor:
        values = self.head_values(**self.reader.padded(ids, mask, padding))[0]
        return values if padding == "left" else unpack(values, mask)

    def _padding(self) -> Literal["left", "right"]:
        """Return on which side pads may stand; the weights are tried out on the first call."""
        if self._side is None:
            with undisturbed(self.model):
                rows = sample_rows(self.model, self.capabilities.ordinary_ids(TOKENS))
                self._side = padding_of(self.model, self._values, rows)
        return self._side

    def head_values(self, **inputs: Any) -> tuple[Tensor, Any]:
        """Return the head's value [rows, length] float32 at every position, and the model's output for `inputs`."""
        head: nn.Module = self.model.score
        if torch.is_grad_enabled():
            # Sharded parameters are gathered for the backward pass by hooks on what the root returns, so a gradient
            # must come that way: not through something caught on its way inside.
            output = self.model(**inputs, output_hidden_states=True)
            return head(output.hidden_states[-1]).squeeze(-1).to(torch.float32), output
        captured: list[Tensor] = []
        # Through the model's own forward, not its parts: sharded parameters are gathered by the root's hooks.
        handle = head.register_forward_hook(lambda _module, _inputs, output: captured.append(output))
        try:
            output = self.model(**inputs)
        finally:
            handle.remove()
        return captured[0].squeeze(-1).to(torch.float32), output

    def save_pretrained(self, folder: str, **kwargs: Any) -> None:
        """Write a folder that `Pretrained(folder).load_reward()` and `AutoModelForSequenceClassification` read."""
        self.model.save_pretrained(folder, **kwargs)
        open_weights(folder)
