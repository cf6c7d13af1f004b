"""A Hugging Face causal language model as a distribution over continuations."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.freeze import eval_mode
from qstar_pl.models.inputs import check_length, fill_masked, join, learnt_positions, position_ids
from qstar_pl.rollout.next_token import DecodeSession, NextToken
from qstar_pl.types import PromptBatch


class LanguageModel(NextToken):
    """Next-token logits of a causal language model, in float32, over the ids that its tokenizer knows.

    Embeddings are often padded to a round number of rows; the rows beyond the tokenizer's ids are cut off before
    anything is normalised, so that two models with one vocabulary have distributions over the same set.

    Without gradients, dropout is off whatever the model's mode, and the mode is left as it was found.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        """Wrap a model, without a copy.

        Args:
            model: any model of transformers' AutoModelForCausalLM that keeps a key-value cache.
            tokenizer: says how many ids are real and which end an answer; None: the model's configuration says.

        """
        self.model = model
        self.capabilities = Capabilities.of(model, tokenizer)
        absent = self.capabilities.absent_ids
        self._absent = torch.tensor(absent, dtype=torch.int64) if absent else None

    @property
    def vocab_size(self) -> int:
        """See `NextToken.vocab_size`."""
        return self.capabilities.vocab_size

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """See `NextToken.eos_token_ids` and `Capabilities.end_ids`."""
        return self.capabilities.end_ids

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        """See `NextToken.start`: every prompt is read once, its cache is then repeated for each of its rows."""
        return CachedSession(self, prompts, samples)

    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """See `NextToken.completion_logits`; the output head runs on the completion's positions only."""
        return self._logits(self._read(prompts, prompt_index, completion_ids, completion_mask).logits)

    def completion_states(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (logits [rows, time, vocab], last hidden states [rows, time, width]) of one forward pass.

        Both stand where the token is predicted: the state at `time` has read the prompt and y_<time, not y_time, so a
        value head on it gives V(x, y_<t). The logits are bitwise those of `completion_logits`.
        """
        output = self._read(prompts, prompt_index, completion_ids, completion_mask, output_hidden_states=True)
        return self._logits(output.logits), output.hidden_states[-1][:, -completion_ids.shape[1] :]

    def _read(
        self,
        prompts: PromptBatch,
        prompt_index: Tensor,
        completion_ids: Tensor,
        completion_mask: Tensor,
        **options: bool,
    ) -> Any:
        ids, mask = join(prompts, prompt_index, completion_ids, completion_mask)
        # The last token predicts nothing that was asked for; dropping it leaves exactly the positions that do.
        ids, mask = ids[:, :-1], mask[:, :-1]
        check_length(self.model, mask)
        with nullcontext() if torch.is_grad_enabled() else eval_mode(self.model):
            return self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=position_ids(mask),
                use_cache=False,
                logits_to_keep=completion_ids.shape[1],
                **options,
            )

    def _logits(self, logits: Tensor) -> Tensor:
        logits = logits[..., : self.capabilities.vocab_size].to(torch.promote_types(logits.dtype, torch.float32))
        if self._absent is None:
            return logits
        return logits.index_fill(-1, self._absent.to(logits.device), -torch.inf)


class CachedSession(DecodeSession):
    """One growing batch with its key-value cache."""

    def __init__(self, owner: LanguageModel, prompts: PromptBatch, samples: int) -> None:
        """Read the prompts.

        Args:
            owner: the model.
            prompts: padded on the left.
            samples: rows per prompt.

        """
        self._owner = owner
        mask = prompts.prompt_mask
        check_length(owner.model, mask)
        # Without any pad there is nothing to mask out, and attention without a mask is the faster one.
        self._mask = None if bool(mask.all()) else mask
        self._positions = mask.long().sum(-1, keepdim=True)
        with torch.no_grad(), eval_mode(owner.model):
            output = owner.model(
                input_ids=fill_masked(prompts.prompt_ids, mask),
                attention_mask=self._mask,
                position_ids=position_ids(mask),
                use_cache=True,
                logits_to_keep=1,
            )
            self._cache = output.past_key_values
            logits = output.logits[:, -1]
            if samples != 1:
                self._cache.batch_repeat_interleave(samples)
                logits = logits.repeat_interleave(samples, dim=0)
                self._positions = self._positions.repeat_interleave(samples, dim=0)
                self._mask = None if self._mask is None else self._mask.repeat_interleave(samples, dim=0)
        self._limit = learnt_positions(owner.model)
        self._length = int(self._positions.max())
        self._logits = owner._logits(logits)

    @property
    def logits(self) -> Tensor:
        """See `DecodeSession.logits`."""
        return self._logits

    def advance(self, token_ids: Tensor) -> None:
        """See `DecodeSession.advance`."""
        if self._limit is not None and self._length >= self._limit:
            raise UserError(
                f"prompt and max_new_tokens must fit into the model's {self._limit} positions, got {self._length + 1}"
            )
        if self._mask is not None:
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        with torch.no_grad(), eval_mode(self._owner.model):
            output = self._owner.model(
                input_ids=token_ids.unsqueeze(-1),
                attention_mask=self._mask,
                position_ids=self._positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        self._positions = self._positions + 1
        self._length += 1
        self._logits = self._owner._logits(output.logits[:, -1])
