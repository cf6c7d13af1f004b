"""Models that are read for their hidden states alone: encoders, and any other that transformers' AutoModel loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.models.capabilities import reads_before_it_answers
from qstar_pl.models.context import context_of
from qstar_pl.models.folder import check_model_folder
from qstar_pl.models.hub import refused
from qstar_pl.models.quiet import quiet
from qstar_pl.models.tiny import check_folder, resolve
from qstar_pl.models.tokenizers import first_line, read_tokenizer


class Encoder(nn.Module):
    """Token embeddings of texts, from one layer of a frozen model."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        layer: int | None = None,
        max_length: int = 512,
    ) -> None:
        """Wrap a model.

        Args:
            model: what `AutoModel` gives; of an encoder with a decoder, the encoder is read.
            tokenizer: of the model.
            layer: whose output is read: 0 is that of the embeddings; None: the last one.
            max_length: tokens of a text that are read, special ones included, at least 3.

        Raises:
            UserError: if the model has no such layer.

        """
        super().__init__()
        config: Any = model.config
        self.model = model.get_encoder() if reads_before_it_answers(config) else model
        self.tokenizer = tokenizer
        layers = config.get_text_config().num_hidden_layers
        if layer is not None and not 0 <= layer <= layers:
            raise UserError(f"layer must lie in [0, {layers}] for this model, got {layer}")
        self.layer = layers if layer is None else layer
        at_least(3, max_length=max_length)
        self.max_length = min(max_length, context_of(model).limit or max_length, tokenizer.model_max_length)

    @classmethod
    def load(cls, name: str, revision: str | None, *, argument: str = "model", **options: Any) -> Encoder:
        """Load a folder or a hub's model, in float32; only safetensors are read, and no code that comes with it is run.

        Args:
            name: hub id or local folder.
            revision: branch, tag or commit of a hub repository.
            argument: the name of the user's option, for error messages.
            **options: `layer` and `max_length`.

        Raises:
            UserError: if there is no such model, or it has no such layer.

        """
        path = resolve(name)
        check_folder(path, argument)
        check_model_folder(Path(path), argument)
        hub = {"trust_remote_code": False, **({} if revision is None else {"revision": revision})}
        tokenizer = read_tokenizer(name, argument=argument, **hub)
        try:
            with quiet():
                model = AutoModel.from_pretrained(path, use_safetensors=True, dtype=torch.float32, **hub)  # nosec B615
        except Exception as error:  # files that anybody may have written: transformers raises what it meets
            wanted = f"{argument} must be a model folder or hub id that transformers can load, got {name!r}: "
            raise refused(wanted, first_line(error), error) from error
        return cls(model.eval(), tokenizer, **options)

    @torch.no_grad()
    def forward(self, texts: list[str], batch_size: int) -> list[Tensor]:
        """Return the normalized embeddings [tokens, width] float32 of each text, without those of special tokens."""
        if not texts:
            return []
        read = self.tokenizer(texts, truncation=True, max_length=self.max_length, return_special_tokens_mask=True)
        rows = list(zip(read["input_ids"], read["special_tokens_mask"], strict=True))
        found: list[Tensor] = [torch.empty(0)] * len(texts)
        # Texts of about the same length share a batch, and none is padded much.
        order = sorted(range(len(texts)), key=lambda row: len(rows[row][0]))
        for start in range(0, len(texts), batch_size):
            batch = order[start : start + batch_size]
            hidden = self._hidden([rows[row][0] for row in batch])
            for row, states in zip(batch, hidden, strict=True):
                special = torch.tensor(rows[row][1], dtype=torch.bool, device=states.device)
                found[row] = nn.functional.normalize(states[: len(special)][~special].float(), dim=-1)
        return found

    def _hidden(self, ids: list[list[int]]) -> Tensor:
        """Return the layer's states [rows, longest, width]; pads stand on the right."""
        device = next(self.model.parameters()).device
        longest = max(1, max(map(len, ids)))
        # Any id will do for a pad, where the mask is 0; a text of no tokens becomes one that is not read.
        padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids], device=device)
        lengths = torch.tensor([max(1, len(row)) for row in ids], device=device)
        mask = torch.arange(longest, device=device) < lengths.unsqueeze(-1)
        states: Tensor = self.model(
            input_ids=padded, attention_mask=mask.long(), output_hidden_states=True
        ).hidden_states[self.layer]
        return states
